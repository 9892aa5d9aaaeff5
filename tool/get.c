/*
 * `stem get`: prints values.
 */
#include <stdlib.h>

#include "tool.h"

static const char help[] =
    "Prints the value under each PATH: a string as it is, everything else as JSON, and\n"
    "a line end. All are of one moment. On a terminal control characters are shown as\n"
    "\\xHH, unless with --raw. The exit status is 1 when there is no value at a PATH,\n"
    "after printing those at the others.\n"
    "\n"
    "  --json     strings as JSON too, in quotes\n"
    "  --pretty   JSON over several lines\n"
    "  --plain    JSON with names that begin with '$' as they are, and no forms: what "
    "has\n"
    "             no other is an error\n"
    "  --raw      the bytes of a string, of bytes, an array or an ext; no line end\n"
    "\n"
    "Examples:\n"
    "  stem get ./app.db users/42/name\n"
    "  stem get ./app.db users/42/name users/43/name\n"
    "  stem get ./app.db users/42/tags --json | jq length\n"
    "  stem get ./app.db users/42/photo --raw > photo.jpg\n";

static const struct option options[] = {
    {"json", no_argument, NULL, FORM_JSON},
    {"raw", no_argument, NULL, FORM_RAW},
    {"pretty", no_argument, NULL, FORM_PRETTY},
    {"plain", no_argument, NULL, FORM_PLAIN},
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

static int get(const command *which, const place *where, const form *how)
{
    stem_value value = {0};
    int status = read_own_value(where, &value);

    if (status == NOT_FOUND)
        status = complain_absent(where);
    else if (status == DONE)
        status = print_value(which, &value, how);
    stem_value_free(&value);
    return status;
}

static int get_each(const command *which, const place *database, char **paths,
                    const form *how)
{
    int status = DONE;

    for (size_t i = 0; status != FAILED && !ferror(stdout) && paths[i]; i++) {
        place where;
        int result = open_place_beside(which, database, paths[i], &where);

        if (result == DONE)
            result = get(which, &where, how);
        status = worse_status(status, close_place(&where, result));
    }
    return status;
}

static int run(const command *which, int argc, char **argv)
{
    form how = {.kind = FORM_BARE};
    arguments args;
    char **paths;
    place database;
    int option;
    int status;

    arguments_start(&args, which, argc, argv);
    while ((option = arguments_next(&args)) != -1)
        form_option(which, &how, option);
    paths = args.operands + 1;
    check_paths(which, paths, ", and the database itself holds no value");
    status = open_place(which, args.operands[0], "", READING, &database);
    if (status == DONE)
        status = get_each(which, &database, paths, &how);
    return close_place(&database, status);
}

const command get_command = {
    .name = "get",
    .operands = "LOCATION PATH... [--json | --raw] [--pretty] [--plain]",
    .summary = "print values",
    .help = help,
    .min_operands = 2,
    .max_operands = ANY_NUMBER,
    .letters = "",
    .options = options,
    .run = run,
};
