/*
 * `stem stat`: what a database, or a path in it, takes.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static const char help[] =
    "Prints what there is at PATH, or in the whole database: entries, names one level\n"
    "down, and sizes. \"on disk\" is what tables of LevelDB hold of it, compressed;\n"
    "what was written since the last table is in the log, of the database as a whole.\n"
    "\n"
    "Examples:\n"
    "  stem stat ./app.db\n"
    "  stem stat ./app.db users\n";

static const struct option options[] = {
    {0},
};

static void print_line(const char *name, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void print_line(const char *name, const char *format, ...)
{
    va_list values;

    printf("%-16s", name);
    va_start(values, format);
    vprintf(format, values);
    va_end(values);
    putchar('\n');
}

/* The format's number, from the marker file in the directory. */
static void print_format(const char *location)
{
    static const char scheme[] = "leveldb:";
    bool has_scheme = strncmp(location, scheme, sizeof scheme - 1) == 0;
    char *name =
        format_text("%s/STEM", has_scheme ? location + sizeof scheme - 1 : location);
    FILE *marker = fopen(name, "r");
    unsigned number;

    free(name);
    if (!marker)
        return;
    if (fscanf(marker, "Stem database, format %u", &number) == 1)
        print_line("format", "%u", number);
    fclose(marker);
}

static int print_own_value(const place *where)
{
    stem_value value;
    int status = read_own_value(where, &value);
    uint64_t bytes;
    char size[32];

    if (status == DONE) {
        char *type = type_text(&value);
        bool has_size = payload_size(&value, &bytes);

        print_line("value", "%s%s%s", type, has_size ? ", " : "",
                   has_size ? size_text(bytes, size) : "");
        free(type);
        stem_value_free(&value);
    }
    return status;
}

static int print_names(const place *where)
{
    const stem_range range = {.keys_only = true};
    stem_iter *iter = stem_children(where->inside, &range);
    uint64_t n_values = 0;
    uint64_t n_subs = 0;
    int code;

    while (stem_iter_next(iter)) {
        n_values += (stem_iter_kind(iter) & STEM_HAS_VALUE) != 0;
        n_subs += (stem_iter_kind(iter) & STEM_HAS_CHILDREN) != 0;
    }
    code = stem_iter_close(iter);
    if (code != STEM_OK)
        return complain_code(code);
    print_line("one level down", "%" PRIu64 " value%s, %" PRIu64 " sub-database%s",
               n_values, n_values == 1 ? "" : "s", n_subs, n_subs == 1 ? "" : "s");
    return DONE;
}

static int print_below(const place *where)
{
    stem_size_info size;
    uint64_t entries;
    char text[32];
    int code = stem_count(where->inside, NULL, &entries);

    if (code == STEM_OK)
        code = stem_size(where->inside, &size);
    if (code != STEM_OK)
        return complain_code(code);
    print_line("entries", "%" PRIu64, entries);
    if (print_names(where) != DONE)
        return FAILED;
    print_line("on disk", "%s", size_text(size.table_bytes, text));
    return DONE;
}

/* What concerns the database and no path. */
static int print_database(const place *where)
{
    stem_statistics stats;
    char text[32];
    int code = stem_stats(where->root, &stats);

    if (code != STEM_OK)
        return complain_code(code);
    print_line("tables", "%" PRIu64 " file%s, %s", stats.table_files,
               stats.table_files == 1 ? "" : "s", size_text(stats.table_bytes, text));
    print_line("logs", "%" PRIu64 " file%s, %s", stats.log_files,
               stats.log_files == 1 ? "" : "s", size_text(stats.log_bytes, text));
    print_line("memory", "%s", size_text(stats.memory_bytes, text));
    if (stats.repairs > 0)
        print_line("repairs", "%" PRIu64, stats.repairs);
    return DONE;
}

static int print_all(const place *where)
{
    bool is_value =
        where->n_names > 0 && stem_has(where->parent, place_key(where)) == STEM_OK;
    int status = is_value || where->n_names == 0 ? DONE : find_anything_below(where);

    if (status == NOT_FOUND)
        complain_nothing(where);
    if (status != DONE)
        return status;
    print_line("location", "%s", where->location);
    if (where->n_names == 0)
        print_format(where->location);
    else
        print_line("path", "%s", where->path);
    if (print_own_value(where) == FAILED || print_below(where) != DONE)
        return FAILED;
    return where->n_names == 0 ? print_database(where) : DONE;
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
        status = print_all(&where);
    return close_place(&where, status);
}

const command stat_command = {
    .name = "stat",
    .operands = "LOCATION [PATH]",
    .summary = "print counts and sizes",
    .help = help,
    .min_operands = 1,
    .max_operands = 2,
    .letters = "",
    .options = options,
    .run = run,
};
