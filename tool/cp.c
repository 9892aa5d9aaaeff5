/*
 * `stem cp`: copies a value or a sub-database.
 */
#include "tool.h"

static const char help[] =
    "Copies the value under FROM to TO, replacing what was there. TO is the new path\n"
    "itself, not a sub-database to put the value into.\n"
    "\n"
    "  -r, --recursive   all that lies below FROM as well; what is below TO besides "
    "stays\n"
    "  --to LOCATION     TO is in that database, which is made when there is none\n"
    "\n"
    "With -r FROM or TO can be '', the whole database. A place cannot be copied into\n"
    "itself. What is copied is what there was when the copying began. A copy with -r\n"
    "that fails can be run again, and completes what is there.\n"
    "\n"
    "Examples:\n"
    "  stem cp ./app.db config/theme config/old_theme\n"
    "  stem cp -r ./app.db users/42 users/43\n"
    "  stem cp -r ./app.db users users --to ./users.db\n"
    "  stem cp -r ./app.db '' '' --to ./copy.db\n";

const command cp_command = {
    .name = "cp",
    .operands = "LOCATION FROM TO [-r] [--to LOCATION]",
    .summary = "copy a value or a sub-database",
    .help = help,
    .min_operands = 3,
    .max_operands = 3,
    .letters = "r",
    .options = transfer_options,
    .run = transfer,
};
