/*
 * `stem get`: prints one value.
 */
#include <stdlib.h>

#include "tool.h"

static const char help[] =
    "Prints the value under PATH: a string as it is, everything else as JSON, and a\n"
    "line end. On a terminal control characters are shown as \\xHH, unless with\n"
    "--raw.\n"
    "\n"
    "  --json     strings as JSON too, in quotes\n"
    "  --pretty   JSON over several lines\n"
    "  --raw      the bytes of a string, of bytes, an array or an ext; no line end\n"
    "\n"
    "Examples:\n"
    "  stem get ./app.db users/42/name\n"
    "  stem get ./app.db users/42/tags --json | jq length\n"
    "  stem get ./app.db users/42/photo --raw > photo.jpg\n";

static const struct option options[] = {
    {"json", no_argument, NULL, FORM_JSON},
    {"raw", no_argument, NULL, FORM_RAW},
    {"pretty", no_argument, NULL, FORM_PRETTY},
    {0},
};

/* What else can be looked at where there is no value. */
static int complain_absent(const place *where)
{
    char *advice = format_text("see 'stem ls %s %s'", where->location, where->path);
    int status = complain_no_value(where, advice);

    free(advice);
    return status;
}

static int run(const command *which, int argc, char **argv)
{
    form how = {.kind = FORM_PLAIN};
    stem_value value = {0};
    arguments args;
    place where;
    int option;
    int status;

    arguments_start(&args, which, argc, argv);
    while ((option = arguments_next(&args)) != -1)
        form_option(which, &how, option);
    need_key(which, args.operands[1]);
    status = open_place(which, args.operands[0], args.operands[1], READING, &where);
    if (status == DONE) {
        status = read_own_value(&where, &value);
        if (status == NOT_FOUND)
            status = complain_absent(&where);
        else if (status == DONE)
            status = print_value(which, &value, &how);
    }
    stem_value_free(&value);
    return close_place(&where, status);
}

const command get_command = {
    .name = "get",
    .operands = "LOCATION PATH [--json | --raw] [--pretty]",
    .summary = "print a value",
    .help = help,
    .min_operands = 2,
    .max_operands = 2,
    .letters = "",
    .options = options,
    .run = run,
};
