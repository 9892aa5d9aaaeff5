/*
 * `stem count`: how many values lie below a path.
 */
#include <inttypes.h>

#include "tool.h"

static const char help[] =
    "Prints how many values lie below PATH, at any depth; without PATH, in the whole\n"
    "database. The value of PATH itself is not counted. Nothing there is 0.\n"
    "\n"
    "Examples:\n"
    "  stem count ./app.db\n"
    "  stem count ./app.db users\n";

static const struct option options[] = {
    {0},
};

static int count(const place *where)
{
    uint64_t n;
    int code = stem_count(where->inside, NULL, &n);

    if (code != STEM_OK)
        return complain_code(code);
    printf("%" PRIu64 "\n", n);
    return DONE;
}

static int run(const command *which, int argc, char **argv)
{
    arguments args;
    place where;
    int status;

    arguments_start(&args, which, argc, argv);
    while (arguments_next(&args) != -1)
        continue;
    status = open_place(which, args.operands[0], args.operands[1], READING, &where);
    if (status == DONE)
        status = count(&where);
    return close_place(&where, status);
}

const command count_command = {
    .name = "count",
    .operands = "LOCATION [PATH]",
    .summary = "count the values below a path",
    .help = help,
    .min_operands = 1,
    .max_operands = 2,
    .letters = "",
    .options = options,
    .run = run,
};
