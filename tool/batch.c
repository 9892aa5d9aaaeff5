/*
 * `stem batch`: puts, deletions and expectations as lines of JSON on standard input, each
 * line one commit, or all of them one. Memory is bounded by the longest line, but for --one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "operation.h"
#include "tool.h"

/* Options; above what getopt uses itself. */
enum { ONE = 256, SYNC, PLAIN };

enum { LINE_MAX_BYTES = 64 << 20 };

static const char help[] =
    "Reads operations from standard input, a line of JSON for each or for a list of\n"
    "them, and commits each line: all that it says, or nothing. The database is made\n"
    "when there is none.\n"
    "\n"
    "  {\"put\": PATH, \"value\": VALUE}      store the value\n"
    "  {\"del\": PATH}                      remove the value, if there is one\n"
    "  {\"expect\": PATH, \"value\": VALUE}   only if PATH holds exactly this value\n"
    "  {\"expect_absent\": PATH}            only if PATH holds no value\n"
    "  {\"expect_empty\": PATH}             only if nothing lies below PATH; \"\" is "
    "the\n"
    "                                     whole database\n"
    "  [OPERATION, ...]                   several in one commit\n"
    "\n"
    "PATH and VALUE are written as for 'stem put --json'. Expectations look at what was\n"
    "there before the commit, wherever they stand in it. Of several writes to one PATH\n"
    "the last counts. Empty lines are nothing.\n"
    "\n"
    "  --one    all lines are one commit\n"
    "  --sync   each commit is on the disk before the next line is read\n"
    "  --plain  in VALUE names that begin with '$' are taken as they are, and there are\n"
    "           no forms\n"
    "\n"
    "The first line that is wrong, or whose expectation does not hold, ends the "
    "command:\n"
    "nothing of that line is applied, the lines before it stay (with --one nothing at\n"
    "all is applied). The exit status is 1 for an expectation, 3 for all else. A line "
    "is\n"
    "at most 64 MiB; --one holds all of them in memory.\n"
    "\n"
    "Examples:\n"
    "  stem batch ./app.db < operations.jsonl\n"
    "  echo '[{\"expect\": \"a/owner\", \"value\": \"me\"}, {\"put\": \"a/done\", "
    "\"value\": true}]' |\n"
    "    stem batch ./app.db\n"
    "  stem pop ./app.db jobs --first=10 | jq -c '{put: .path, value}' |\n"
    "    stem batch ./archive.db --one\n";

static const struct option options[] = {
    {"one", no_argument, NULL, ONE},
    {"sync", no_argument, NULL, SYNC},
    {"plain", no_argument, NULL, PLAIN},
    {0},
};

/* Where in the input something stands. */
struct position {
    uint64_t line;      /* from 1 on; 0 for all of them */
    uint64_t operation; /* in a list, from 1 on; 0 when the line is one operation */
};

/* An expectation of the commit in hand: what a message needs when it does not hold. */
struct expectation {
    struct position at;
    enum operation_kind kind;
    char *path;
};

struct batcher {
    const arguments *args;
    bool is_one, is_synced;
    int flags;    /* of stem_json_parse_flags */
    bool is_open; /* `where`; not before one line has been found good */
    place where;
    stem_batch *batch; /* NULL while a line is only looked at */
    struct position at;
    uint64_t n_commits;
    bool has_uncommitted;
    struct expectation *expectations; /* in the order in which the batch has them */
    size_t n_expectations, room;
};

/* ---- Messages --------------------------------------------------------------------- */

/* "line 3", "line 3, operation 2" or, for all lines, ""; owned. */
static char *position_text(const struct position *at)
{
    if (at->line == 0)
        return format_text("%s", "");
    if (at->operation == 0)
        return format_text("line %" PRIu64, at->line);
    return format_text("line %" PRIu64 ", operation %" PRIu64, at->line, at->operation);
}

/* What has become of the input. */
static char *outcome_text(const struct batcher *b)
{
    if (b->is_one || b->n_commits == 0)
        return format_text("nothing was applied");
    if (b->n_commits == 1)
        return format_text(
            "nothing of this line was applied; the commit before it stays");
    return format_text("nothing of this line was applied; the %" PRIu64
                       " commits before it stay",
                       b->n_commits);
}

/* Says where something is wrong, what, and what has become of the input. */
static void complain_at(const struct batcher *b, const char *separator, const char *cause,
                        const char *outcome)
{
    char *position = position_text(&b->at);

    complain("batch: %s%s%s; %s", position, position[0] ? separator : "", cause, outcome);
    free(position);
}

static int refuse(const struct batcher *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse(const struct batcher *b, const char *format, ...)
{
    char *outcome = outcome_text(b);
    char *cause = NULL;
    va_list values;

    va_start(values, format);
    if (vasprintf(&cause, format, values) < 0)
        cause = NULL;
    va_end(values);
    complain_at(b, ": ", need_memory(cause), outcome);
    free(outcome);
    free(cause);
    return FAILED;
}

/* The parser names line 1, of the text that it was given. */
static int refuse_json(const struct batcher *b)
{
    static const char first[] = "line 1, ";
    char *outcome = outcome_text(b);
    const char *found = strstr(stem_errmsg(), first);

    if (found)
        complain_at(b, ", ", found + sizeof first - 1, outcome);
    else
        complain_at(b, ": ", stem_errmsg(), outcome);
    free(outcome);
    return FAILED;
}

/* ---- Operations ------------------------------------------------------------------- */

static void note_expectation(struct batcher *b, operation *what)
{
    if (b->n_expectations == b->room) {
        b->room = 2 * b->room + 16;
        b->expectations =
            need_memory(realloc(b->expectations, b->room * sizeof *b->expectations));
    }
    b->expectations[b->n_expectations++] =
        (struct expectation){.at = b->at, .kind = what->kind, .path = what->path};
    what->path = NULL;
}

static int add_to_batch(stem_batch *batch, stem_db *root, const operation *what)
{
    bool is_place = what->kind == EXPECT_EMPTY;
    size_t n = what->n_names - (is_place ? 0 : 1);
    const char *key = is_place ? NULL : what->names[n];
    stem_db *db = stem_sub_path(root, (const char *const *)what->names, n);
    int code = db ? STEM_OK : stem_errcode();

    if (code == STEM_OK && what->kind == PUT)
        code = stem_batch_put_value(batch, db, key, what->value);
    if (code == STEM_OK && what->kind == DEL)
        code = stem_batch_del(batch, db, key);
    if (code == STEM_OK && what->kind == EXPECT)
        code = stem_batch_expect_value(batch, db, key, what->value);
    if (code == STEM_OK && what->kind == EXPECT_ABSENT)
        code = stem_batch_expect_absent(batch, db, key);
    if (code == STEM_OK && what->kind == EXPECT_EMPTY)
        code = stem_batch_expect_empty(batch, db, NULL);
    stem_close(db);
    return code;
}

/* Adds an operation to the commit; without a batch only sees whether it could be. */
static int add_operation(struct batcher *b, operation *what)
{
    if (!b->batch) {
        size_t len;
        void *bytes = stem_encode(&what->value, &len);

        stem_free(bytes);
        return bytes ? DONE
                     : refuse(b, "\"%s\" of %s: %s", operation_names[what->kind],
                              what->path, stem_errmsg());
    }
    if (add_to_batch(b->batch, b->where.root, what) != STEM_OK)
        return refuse(b, "%s", stem_errmsg());
    if (what->kind == EXPECT || what->kind == EXPECT_ABSENT || what->kind == EXPECT_EMPTY)
        note_expectation(b, what);
    return DONE;
}

static int take_operation(struct batcher *b, const stem_value *object)
{
    operation what;
    char *fault = operation_read(object, &what);
    int status = fault ? refuse(b, "%s", fault) : add_operation(b, &what);

    free(fault);
    operation_free(&what);
    return status;
}

/* ---- Commits ---------------------------------------------------------------------- */

static void forget(struct batcher *b)
{
    while (b->n_expectations > 0)
        free(b->expectations[--b->n_expectations].path);
    stem_batch_reset(b->batch);
    b->has_uncommitted = false;
}

/* What there is instead of what was expected; owned. */
static char *found_text(const struct batcher *b, const struct expectation *expected)
{
    char *text = NULL;
    stem_value value;
    place where;

    if (expected->kind == EXPECT_EMPTY)
        return format_text("something lies below it");
    if (open_place_beside(b->args->command, &b->where, expected->path, &where) == DONE &&
        stem_get(where.parent, place_key(&where), &value) == STEM_OK) {
        char *type = type_text(&value);
        char *shown = short_text(&value);

        text = format_text("there is %s%s%s", type, shown[0] ? " " : "", shown);
        free(type);
        free(shown);
        stem_value_free(&value);
    }
    close_place(&where, DONE);
    return text ? text : format_text("there is nothing");
}

/* Says which expectation did not hold. */
static int complain_conflict(struct batcher *b)
{
    const struct expectation *failed = &b->expectations[stem_batch_failed(b->batch)];
    char *found = found_text(b, failed);

    b->at = failed->at;
    refuse(b, "\"%s\" of %s does not hold: %s", operation_names[failed->kind],
           failed->path[0] ? failed->path : "the database", found);
    free(found);
    return NOT_FOUND;
}

static int complain_unknown(const struct batcher *b)
{
    complain_at(b, ": ", stem_errmsg(), "it was applied, but may not be on the disk");
    return FAILED;
}

static int commit(struct batcher *b)
{
    int status = DONE;
    int code = stem_batch_commit(b->batch, b->is_synced);

    if (code == STEM_CONFLICT)
        status = complain_conflict(b);
    else if (code == STEM_EUNKNOWN)
        status = complain_unknown(b);
    else if (code != STEM_OK)
        status = refuse(b, "%s", stem_errmsg());
    if (status == DONE)
        b->n_commits++;
    forget(b);
    return status;
}

/* ---- Lines ------------------------------------------------------------------------ */

static int take_operations(struct batcher *b, const stem_value *line)
{
    int status = DONE;
    stem_cursor cursor;
    stem_value object;

    b->at.operation = 0;
    if (line->type != STEM_LIST)
        return take_operation(b, line);
    stem_cursor_init(&cursor, line);
    while (status == DONE && stem_cursor_next(&cursor, NULL, &object)) {
        b->at.operation++;
        status = take_operation(b, &object);
        stem_value_free(&object);
    }
    b->at.operation = 0;
    return status == DONE && cursor.code != STEM_OK ? complain_code(cursor.code) : status;
}

static int open_batch(struct batcher *b)
{
    int status =
        open_place(b->args->command, b->args->operands[0], "", CREATING, &b->where);

    b->is_open = true;
    if (status != DONE)
        return status;
    b->batch = stem_batch_new(b->where.root);
    return b->batch ? DONE : complain_code(stem_errcode());
}

static int take_line(struct batcher *b, const char *text, size_t len)
{
    stem_value line;
    int status = DONE;

    if (strspn(text, " \t\r") == len)
        return DONE;
    if (stem_json_parse_flags(text, len, b->flags, &line) != STEM_OK)
        return refuse_json(b);
    if (!b->is_open) {
        status = take_operations(b, &line);
        if (status == DONE)
            status = open_batch(b);
    }
    if (status == DONE)
        status = take_operations(b, &line);
    stem_value_free(&line);
    if (status != DONE)
        return status;
    b->has_uncommitted = true;
    return b->is_one ? DONE : commit(b);
}

/* A buffer for one line. */
struct line {
    char *data;
    size_t len, room;
};

/* Reads a line without its end, and ends it with a NUL. False at the end of the input,
 * after an error, and for a line that is too long: then its length says so. */
static bool read_line(struct line *line)
{
    int c;

    line->len = 0;
    line->data[0] = '\0';
    while ((c = getc_unlocked(stdin)) != EOF && c != '\n' &&
           line->len <= LINE_MAX_BYTES) {
        if (line->len + 2 > line->room) {
            line->room = 2 * line->room + 4096;
            line->data = need_memory(realloc(line->data, line->room));
        }
        line->data[line->len++] = (char)c;
        line->data[line->len] = '\0';
    }
    if (line->len > LINE_MAX_BYTES || ferror(stdin))
        return false;
    return c == '\n' || line->len > 0;
}

static int take_lines(struct batcher *b)
{
    struct line line = {.room = 4096};
    int status = DONE;

    line.data = need_memory(malloc(line.room));
    errno = 0;
    for (b->at.line = 1; status == DONE && read_line(&line); b->at.line++)
        status = take_line(b, line.data, line.len);
    if (status == DONE && ferror(stdin))
        status = refuse(b, "cannot read standard input: %s", strerror(errno));
    else if (status == DONE && line.len > LINE_MAX_BYTES)
        status = refuse(b, "the line is longer than %d MiB", LINE_MAX_BYTES >> 20);
    b->at = (struct position){0};
    if (status == DONE && b->has_uncommitted)
        status = commit(b);
    free(line.data);
    return status;
}

static int run(const command *which, int argc, char **argv)
{
    arguments args;
    struct batcher b = {.args = &args};
    int option;
    int status;

    arguments_start(&args, which, argc, argv);
    while ((option = arguments_next(&args)) != -1) {
        b.is_one |= option == ONE;
        b.is_synced |= option == SYNC;
        if (option == PLAIN)
            b.flags = STEM_JSON_PLAIN;
    }
    status = take_lines(&b);
    forget(&b);
    free(b.expectations);
    stem_batch_free(b.batch);
    return b.is_open ? close_place(&b.where, status) : status;
}

const command batch_command = {
    .name = "batch",
    .operands = "LOCATION [--one] [--sync] [--plain]",
    .summary = "carry out lines of JSON from standard input",
    .help = help,
    .min_operands = 1,
    .max_operands = 1,
    .letters = "",
    .options = options,
    .run = run,
};
