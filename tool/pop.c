/*
 * `stem pop`: takes values out, one by its path or the first or last entries of a
 * sub-database, and prints them. What could not be printed is put back.
 */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* Options; above what getopt uses itself. */
enum { FIRST = FORM_END, LAST };

static const char help[] =
    "Removes the value under PATH and prints it, as 'stem get' does.\n"
    "\n"
    "  --json         strings as JSON too, in quotes\n"
    "  --pretty       JSON over several lines\n"
    "  --plain        JSON with names that begin with '$' as they are, and no forms\n"
    "  --raw          the bytes of a string, of bytes, an array or an ext; no line end\n"
    "  --first[=N]    take the first entry, or N of them, from below PATH; without PATH\n"
    "                 from the whole database\n"
    "  --last[=N]     the same from the end, the last one first\n"
    "\n"
    "--first and --last print one line of JSON for each entry, with the path that it "
    "had\n"
    "in the database: {\"path\": \"jobs/17\", \"value\": \"send mail\"}. Entries are "
    "sorted\n"
    "by the bytes of their names. All are taken at once, fewer than N when there are no\n"
    "more, and it is an error with status 1 when there is none.\n"
    "\n"
    "What cannot be printed, because the reader has gone or the disk is full, is put\n"
    "back.\n"
    "\n"
    "Examples:\n"
    "  stem pop ./app.db users/42/token\n"
    "  stem pop ./app.db jobs --first\n"
    "  stem pop ./app.db jobs --first=10 | jq .value\n"
    "  stem pop ./app.db undo --last\n";

static const struct option options[] = {
    {"json", no_argument, NULL, FORM_JSON},
    {"raw", no_argument, NULL, FORM_RAW},
    {"pretty", no_argument, NULL, FORM_PRETTY},
    {"plain", no_argument, NULL, FORM_PLAIN},
    /* Entries, and not one value. */
    {"first", optional_argument, NULL, FIRST},
    {"last", optional_argument, NULL, LAST},
    {0},
};

/* Says what became of what could not be printed. */
static int complain_put_back(const char *what, int code)
{
    if (code == STEM_OK && !reader_has_gone())
        complain("pop: %s put back", what);
    if (code == STEM_OK)
        return FAILED;
    if (code == STEM_EXISTS || code == STEM_CONFLICT)
        complain("pop: %s lost: something else has been stored there since", what);
    else
        complain("pop: %s lost: %s", what, stem_errmsg());
    return FAILED;
}

static int pop_value(const command *which, const place *where, const form *how)
{
    stem_value value;
    int code = stem_pop(where->parent, place_key(where), &value);
    int status;

    if (code == STEM_NOTFOUND)
        return complain_no_value(where, "--first takes the first entry below it");
    if (code != STEM_OK)
        return complain_code(code);
    status = print_value(which, &value, how);
    if (output_failed() || status != DONE) {
        code = stem_insert_value(where->parent, place_key(where), value);
        status = complain_put_back("the value is", code);
    }
    stem_value_free(&value);
    return status;
}

/* The entry's path in the database and its value, as JSON; owned. NULL on failure. */
static char *entry_text(const place *where, const stem_entry *entry, int flags)
{
    size_t n = where->n_names + entry->n_names;
    const char **names = need_memory(malloc(n * sizeof *names));
    char *path;
    char *path_json = NULL;
    char *value_json = NULL;
    char *text = NULL;

    for (size_t i = 0; i < where->n_names; i++)
        names[i] = where->names[i];
    memcpy(names + where->n_names, entry->names, entry->n_names * sizeof *names);
    path = stem_path_format(names, n);
    if (path) {
        const stem_value value = stem_str(path);

        path_json = stem_json_format(&value, 0);
    }
    if (path_json)
        value_json = stem_json_format(&entry->value, flags);
    if (value_json)
        text = format_text("{\"path\": %s, \"value\": %s}", path_json, value_json);
    free(names);
    stem_free(path);
    stem_free(path_json);
    stem_free(value_json);
    return text;
}

static int print_entries(const place *where, const stem_entry *entries, size_t n,
                         int flags)
{
    for (size_t i = 0; i < n && !ferror(stdout); i++) {
        char *text = entry_text(where, &entries[i], flags);

        if (!text)
            return complain_code(stem_errcode());
        print_text(text, strlen(text));
        free(text);
    }
    return output_failed() ? FAILED : DONE;
}

static int add_to_batch(stem_batch *batch, stem_db *db, const stem_entry *entry)
{
    const char *key = entry->names[entry->n_names - 1];
    stem_db *parent = stem_sub_path(db, entry->names, entry->n_names - 1);
    int code = parent ? stem_batch_expect_absent(batch, parent, key) : stem_errcode();

    if (code == STEM_OK)
        code = stem_batch_put_value(batch, parent, key, entry->value);
    stem_close(parent);
    return code;
}

static int put_back(const place *where, const stem_entry *entries, size_t n)
{
    stem_batch *batch = stem_batch_new(where->inside);
    int code = batch ? STEM_OK : stem_errcode();

    for (size_t i = 0; i < n && code == STEM_OK; i++)
        code = add_to_batch(batch, where->inside, &entries[i]);
    if (code == STEM_OK)
        code = stem_batch_commit(batch, false);
    stem_batch_free(batch);
    return complain_put_back(n == 1 ? "the entry is" : "the entries are", code);
}

static int pop_entries(const place *where, int end, size_t n, int flags)
{
    stem_entry *entries;
    size_t count;
    int code = end == FIRST ? stem_pop_first(where->inside, NULL, n, &entries, &count)
                            : stem_pop_last(where->inside, NULL, n, &entries, &count);
    int status;

    if (code == STEM_NOTFOUND)
        return complain_nothing_below(where);
    if (code != STEM_OK)
        return complain_code(code);
    status = print_entries(where, entries, count, flags);
    if (status != DONE)
        status = put_back(where, entries, count);
    stem_entries_free(entries, count);
    return status;
}

static int run(const command *which, int argc, char **argv)
{
    form how = {.kind = FORM_BARE};
    int end = 0;
    size_t n = 1;
    arguments args;
    place where;
    int option;
    int status;

    arguments_start(&args, which, argc, argv);
    while ((option = arguments_next(&args)) != -1) {
        if (option < FORM_END) {
            form_option(which, &how, option);
            continue;
        }
        if (end && end != option)
            usage_error(which, "only one of --first and --last");
        end = option;
        n = optarg ? parse_count(which, end == FIRST ? "--first" : "--last", optarg) : 1;
    }
    if (end && (how.kind == FORM_RAW || (how.flags & STEM_JSON_PRETTY)))
        usage_error(which, "--first and --last print lines of JSON, without --raw and "
                           "--pretty");
    if (!end && !args.operands[1])
        usage_error(which, "PATH is missing");
    if (!end)
        need_key(which, args.operands[1]);
    status = open_place(which, args.operands[0], args.operands[1], WRITING, &where);
    if (status == DONE)
        status =
            end ? pop_entries(&where, end, n, how.flags) : pop_value(which, &where, &how);
    return close_place(&where, status);
}

const command pop_command = {
    .name = "pop",
    .operands = "LOCATION [PATH] [--first[=N] | --last[=N]] [--json | --raw] [--plain]",
    .summary = "take a value out, or the first or last entries",
    .help = help,
    .min_operands = 1,
    .max_operands = 2,
    .letters = "",
    .options = options,
    .run = run,
};
