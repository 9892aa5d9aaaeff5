/*
 * `stem del`: removes one value.
 */
#include "tool.h"

static const char help[] = "Removes the value under PATH. What lies below it, if PATH is "
                           "a sub-database as well,\n"
                           "stays. The exit status is 1 when there is no such value.\n"
                           "\n"
                           "Examples:\n"
                           "  stem del ./app.db users/42/name\n";

static const struct option options[] = {
    {"help", no_argument, NULL, 'h'},
    {0},
};

static int del(const place *where)
{
    int code = stem_has(where->parent, place_key(where));

    if (code == STEM_NOTFOUND)
        return complain_no_value(where);
    if (code == STEM_OK)
        code = stem_del(where->parent, place_key(where));
    return code == STEM_OK ? DONE : complain_code(code);
}

static int run(const command *which, int argc, char **argv)
{
    arguments args;
    place where;
    int status;

    arguments_start(&args, which, argc, argv);
    while (arguments_next(&args) != -1)
        continue;
    need_key(which, args.operands[1]);
    status = open_place(which, args.operands[0], args.operands[1], WRITING, &where);
    if (status == DONE)
        status = del(&where);
    return close_place(&where, status);
}

const command del_command = {
    .name = "del",
    .operands = "LOCATION PATH",
    .summary = "remove a value",
    .help = help,
    .min_operands = 2,
    .max_operands = 2,
    .letters = "",
    .options = options,
    .run = run,
};
