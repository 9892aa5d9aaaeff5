/*
 * `stem mv`: moves a value or a sub-database.
 */
#include "tool.h"

static const char help[] =
    "Moves the value under FROM to TO, replacing what was there. TO is the new path\n"
    "itself, not a sub-database to put the value into.\n"
    "\n"
    "  -r, --recursive   all that lies below FROM as well; what is below TO besides "
    "stays\n"
    "  --to LOCATION     TO is in that database, which is made when there is none\n"
    "\n"
    "With -r FROM or TO can be '', the whole database. A place cannot be moved into\n"
    "itself. With -r, or into another database, nothing is removed from FROM before it\n"
    "is at TO and on the disk; a move that fails can be run again, and does the rest.\n"
    "\n"
    "Examples:\n"
    "  stem mv ./app.db users/42/mail users/42/email\n"
    "  stem mv -r ./app.db users/42 archive/42\n"
    "  stem mv -r ./app.db logs/2025 logs/2025 --to ./archive.db\n";

const command mv_command = {
    .name = "mv",
    .operands = "LOCATION FROM TO [-r] [--to LOCATION]",
    .summary = "move a value or a sub-database",
    .help = help,
    .min_operands = 3,
    .max_operands = 3,
    .letters = "r",
    .options = transfer_options,
    .run = transfer,
};
