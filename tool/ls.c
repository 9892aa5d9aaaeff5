/*
 * `stem ls`: the names one level down, for people and for scripts.
 */
#include <stdlib.h>

#include "tool.h"

static const char help[] = "Prints the names one level below PATH, or of the database, "
                           "one a line and sorted by\n"
                           "their bytes. A sub-database has a '/' behind its name; a "
                           "name that is both a value and\n"
                           "a sub-database has two lines, one of each. Each line can be "
                           "given back as PATH, or\n"
                           "behind PATH and a '/', with the '/' at its end or without.\n"
                           "\n"
                           "  -l, --long   type and size before each name\n"
                           "\n"
                           "The size is that of a string's, an array's or a container's "
                           "bytes. The exit status is 1\n"
                           "when there is nothing below PATH.\n"
                           "\n"
                           "Examples:\n"
                           "  stem ls ./app.db\n"
                           "  stem ls -l ./app.db users/42\n";

static const struct option options[] = {
    {"long", no_argument, NULL, 'l'},
    {0},
};

enum { TYPE_COLUMNS = 14, SIZE_COLUMNS = 10 };

/* The columns before a name; NULL stands for a sub-database. */
static void print_details(const stem_value *value)
{
    char *type = value ? type_text(value) : format_text("-");
    size_t columns = columns_of(type);
    uint64_t bytes;
    char buffer[32];
    const char *size =
        value && payload_size(value, &bytes) ? size_text(bytes, buffer) : "-";

    printf("%s%*s  %*s  ", type,
           columns < TYPE_COLUMNS ? (int)(TYPE_COLUMNS - columns) : 0, "", SIZE_COLUMNS,
           size);
    free(type);
}

static int print_names(const stem_iter *iter, bool is_long)
{
    const char *name = stem_iter_key(iter);
    char *text = stem_path_format(&name, 1);
    int kind = stem_iter_kind(iter);

    if (!text)
        return complain_code(stem_errcode());
    if (kind & STEM_HAS_VALUE) {
        if (is_long)
            print_details(stem_iter_value(iter));
        puts(text);
    }
    if (kind & STEM_HAS_CHILDREN) {
        if (is_long)
            print_details(NULL);
        printf("%s/\n", text);
    }
    stem_free(text);
    return DONE;
}

static int list(const place *where, bool is_long)
{
    const stem_range range = {.keys_only = !is_long};
    stem_iter *iter = stem_children(where->inside, &range);
    int status = where->n_names == 0 ? DONE : NOT_FOUND;
    int code;

    while (status != FAILED && !ferror(stdout) && stem_iter_next(iter))
        status = print_names(iter, is_long);
    code = stem_iter_close(iter);
    return code == STEM_OK ? status : complain_code(code);
}

static int run(const command *which, int argc, char **argv)
{
    bool is_long = false;
    arguments args;
    place where;
    int status;

    arguments_start(&args, which, argc, argv);
    while (arguments_next(&args) != -1)
        is_long = true;
    status = open_place(which, args.operands[0], args.operands[1], READING, &where);
    if (status == DONE && (status = list(&where, is_long)) == NOT_FOUND)
        status = complain_nothing_below(&where);
    return close_place(&where, status);
}

const command ls_command = {
    .name = "ls",
    .operands = "LOCATION [PATH] [-l]",
    .summary = "list the names one level down",
    .help = help,
    .min_operands = 1,
    .max_operands = 2,
    .letters = "l",
    .options = options,
    .run = run,
};
