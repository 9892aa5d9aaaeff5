/*
 * A server in a process of its own, the `stem` command of this build, which tests can kill.
 */
#ifndef STEM_TESTS_TOOL_SERVER_H
#define STEM_TESTS_TOOL_SERVER_H

#include <sys/types.h>

#include "stem.h"
#include "support.h"

/* Where a test's server has its database, and listens: below temp_dir(), or the directory
 * given. */
void place_tool_server(const char *directory);
const char *tool_socket(void);   /* the path alone */
const char *tool_location(void); /* "unix:..." */

void start_tool_server(void);
/* Waits for its end. */
void kill_tool_server(int signal_number);
pid_t tool_server(void);
/* KiB that are in memory. */
long tool_server_resident(void);

/* A client of it, as soon as it listens. */
stem_db *open_tool_server(void);

#endif
