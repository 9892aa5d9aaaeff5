/*
 * The tables of what this build has no commands for.
 */
#include "command.h"

const stem_command stem_connection_commands[] = {{.name = NULL}};
