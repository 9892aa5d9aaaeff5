/*
 * `stem export`: a database, or a part of it, as one JSON document. It is written while
 * it is read: of the database one value is in memory at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* Options; above what getopt uses itself. */
enum { PRETTY = 256, PLAIN };

static const char help[] =
    "Prints what lies at PATH, or the whole database, as one JSON document on\n"
    "standard output. Sub-databases are objects; a name that is a value and a\n"
    "sub-database is an object whose member \"\" is the value; a '$' in front of a\n"
    "name is doubled. 'stem import' reads it back. A map value is an object too, so\n"
    "that importing it again makes a sub-database of it, unless with --flat.\n"
    "\n"
    "  --pretty   over several lines, indented\n"
    "  --plain    names that begin with '$' as they are, and no forms: bytes, times,\n"
    "             arrays and what else JSON has no value for end it with an error\n"
    "\n"
    "The document is of one moment, whatever is written meanwhile. A name that is not\n"
    "UTF-8 cannot be a JSON name, and ends it with an error. The exit status is 1\n"
    "when there is nothing at PATH.\n"
    "\n"
    "Examples:\n"
    "  stem export ./app.db > backup.json\n"
    "  stem export ./app.db users/42 --pretty\n";

static const struct option options[] = {
    {"pretty", no_argument, NULL, PRETTY},
    {"plain", no_argument, NULL, PLAIN},
    {0},
};

/* The objects that are open form a path; the last value read waits until the next tells
 * whether something lies below it. */
struct exporter {
    bool is_pretty, is_plain;
    char **open; /* names of the open objects below the outermost */
    size_t n_open, room;
    bool has_root; /* the outermost object has been opened */
    bool is_first; /* nothing stands in the innermost object yet */
    char *waiting; /* the JSON of a value, or NULL */
    char *name;    /* of that value in the innermost object, "" for PATH's own */
};

static void begin_line(const struct exporter *e, size_t depth)
{
    if (!e->is_pretty)
        return;
    putchar('\n');
    for (size_t i = 0; i < depth; i++)
        fputs("  ", stdout);
}

/* Where members of the innermost object stand. */
static size_t depth_of(const struct exporter *e)
{
    return e->n_open + 1;
}

static int print_name(struct exporter *e, const char *name)
{
    const stem_value value = stem_str(name);
    char *json = stem_json_format(&value, 0);

    if (!json)
        return complain_code(stem_errcode());
    if (json[0] != '"') {
        char *text = stem_path_format(&name, 1);

        complain("export: the name %s is not UTF-8, and cannot be a name in JSON",
                 text ? text : "");
        stem_free(text);
        stem_free(json);
        return FAILED;
    }
    if (!e->is_first)
        fputs(e->is_pretty ? "," : ", ", stdout);
    begin_line(e, depth_of(e));
    printf("\"%s%s: ", name[0] == '$' && !e->is_plain ? "$" : "", json + 1);
    stem_free(json);
    e->is_first = false;
    return DONE;
}

/* Prints a value's JSON, its further lines as deep as the first. */
static void print_json(const struct exporter *e, const char *json, size_t depth)
{
    for (const char *end; (end = strchr(json, '\n')); json = end + 1) {
        fwrite(json, 1, (size_t)(end - json), stdout);
        begin_line(e, depth);
    }
    fputs(json, stdout);
}

static void open_object(struct exporter *e)
{
    putchar('{');
    e->is_first = true;
}

static void close_object(struct exporter *e, size_t depth)
{
    if (!e->is_first)
        begin_line(e, depth);
    putchar('}');
    e->is_first = false;
}

/* Opens the object of a name in the innermost one. */
static int descend(struct exporter *e, const char *name)
{
    int status = print_name(e, name);

    if (status != DONE)
        return status;
    if (e->n_open == e->room) {
        e->room = 2 * e->room + 16;
        e->open = need_memory(realloc(e->open, e->room * sizeof *e->open));
    }
    e->open[e->n_open++] = need_memory(strdup(name));
    open_object(e);
    return DONE;
}

static void ascend(struct exporter *e)
{
    free(e->open[--e->n_open]);
    close_object(e, depth_of(e));
}

/* Prints the waiting value as the member `name`. */
static int print_waiting(struct exporter *e, const char *name)
{
    int status = print_name(e, name);

    if (status == DONE)
        print_json(e, e->waiting, depth_of(e));
    free(e->waiting);
    e->waiting = NULL;
    return status;
}

/* Whether a path is below the waiting value. */
static bool is_below_waiting(const struct exporter *e, const char *const *names, size_t n)
{
    if (!e->waiting || n <= e->n_open + 1)
        return false;
    for (size_t i = 0; i < e->n_open; i++) {
        if (strcmp(names[i], e->open[i]) != 0)
            return false;
    }
    return strcmp(names[e->n_open], e->name) == 0;
}

/* Lets the waiting value go where it belongs, now that the next path is known. */
static int settle_waiting(struct exporter *e, const char *const *names, size_t n)
{
    int status = DONE;

    if (!e->has_root) {
        open_object(e);
        e->has_root = true;
        return e->waiting ? print_waiting(e, "") : DONE;
    }
    if (is_below_waiting(e, names, n)) {
        status = descend(e, e->name);
        return status == DONE ? print_waiting(e, "") : status;
    }
    return e->waiting ? print_waiting(e, e->name) : status;
}

/* Opens and closes objects until those that are open lead to the path's last name. */
static int move_to(struct exporter *e, const char *const *names, size_t n)
{
    size_t common = 0;
    int status = DONE;

    while (common < e->n_open && common + 1 < n &&
           strcmp(e->open[common], names[common]) == 0)
        common++;
    while (e->n_open > common)
        ascend(e);
    while (status == DONE && e->n_open + 1 < n)
        status = descend(e, names[e->n_open]);
    return status;
}

static int set_waiting(struct exporter *e, const char *name, const stem_value *value)
{
    free(e->name);
    e->name = need_memory(strdup(name));
    e->waiting = stem_json_format(value, (e->is_pretty ? STEM_JSON_PRETTY : 0) |
                                             (e->is_plain ? STEM_JSON_PLAIN : 0));
    return e->waiting ? DONE : complain_code(stem_errcode());
}

static int export_entry(struct exporter *e, stem_iter *iter)
{
    size_t n;
    const char *const *names = stem_iter_path(iter, &n);
    int status;

    if (!names)
        return complain_code(stem_errcode());
    status = settle_waiting(e, names, n);
    if (status == DONE)
        status = move_to(e, names, n);
    if (status == DONE)
        status = set_waiting(e, names[n - 1], stem_iter_value(iter));
    return status;
}

static int export_below(struct exporter *e, const place *where)
{
    stem_iter *iter = stem_iter_open(where->inside, NULL);
    int status = DONE;
    int code;

    while (status == DONE && !ferror(stdout) && stem_iter_next(iter))
        status = export_entry(e, iter);
    code = stem_iter_close(iter);
    if (status == DONE && code != STEM_OK)
        status = complain_code(code);
    return status;
}

/* What is left when everything has been read. */
static int finish(struct exporter *e, const place *where)
{
    if (!e->has_root && e->waiting) {
        print_json(e, e->waiting, 0);
    } else if (!e->has_root && where->n_names > 0) {
        return complain_nothing(where);
    } else if (!e->has_root) {
        fputs("{}", stdout);
    } else {
        if (e->waiting && print_waiting(e, e->name) != DONE)
            return FAILED;
        while (e->n_open > 0)
            ascend(e);
        close_object(e, 0);
    }
    putchar('\n');
    return DONE;
}

static int export(const place *where, bool is_pretty, bool is_plain)
{
    struct exporter e = {.is_pretty = is_pretty, .is_plain = is_plain};
    stem_value own = {0};
    int status = read_own_value(where, &own);

    if (status == DONE)
        status = set_waiting(&e, "", &own);
    stem_value_free(&own);
    if (status != FAILED)
        status = export_below(&e, where);
    if (status == DONE)
        status = finish(&e, where);
    for (size_t i = 0; i < e.n_open; i++)
        free(e.open[i]);
    free(e.open);
    free(e.waiting);
    free(e.name);
    return status;
}

static int run(const command *which, int argc, char **argv)
{
    bool is_pretty = false;
    bool is_plain = false;
    arguments args;
    place where;
    int option;
    int status;

    arguments_start(&args, which, argc, argv);
    while ((option = arguments_next(&args)) != -1) {
        is_pretty |= option == PRETTY;
        is_plain |= option == PLAIN;
    }
    status = open_place(which, args.operands[0], args.operands[1], READING, &where);
    if (status == DONE)
        status = export(&where, is_pretty, is_plain);
    return close_place(&where, status);
}

const command export_command = {
    .name = "export",
    .operands = "LOCATION [PATH] [--pretty] [--plain]",
    .summary = "print a database as one JSON document",
    .help = help,
    .min_operands = 1,
    .max_operands = 2,
    .letters = "",
    .options = options,
    .run = run,
};
