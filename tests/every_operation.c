/*
 * Every public operation as one call: see every_operation.h.
 */
#include "every_operation.h"

#include <stdio.h>
#include <string.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

/* What no call answers with. Check's assertions need memory, which may have run out. */
enum { WRONG_OUTPUT = 99 };

/* Whether the operation was carried out, and has set its outputs. */
static bool is_done(int code)
{
    return code == STEM_OK || code == STEM_EUNKNOWN;
}

/* ---- Handles ---------------------------------------------------------------------- */

/* Closes a handle that was made; the code of the failure when it was not. */
static int close_made(stem_db *made)
{
    return made ? stem_close(made) : stem_errcode();
}

static int sub(world *w)
{
    return close_made(stem_sub(w->place, "deeper", "still"));
}

static int duplicate(world *w)
{
    return close_made(stem_dup(w->place));
}

static int read_only(world *w)
{
    return close_made(stem_read_only(w->place));
}

static int snapshot(world *w)
{
    return close_made(stem_snapshot(w->place));
}

static int path(world *w)
{
    char *text = stem_path(w->place);
    int code = text ? STEM_OK : stem_errcode();

    stem_free(text);
    return code;
}

/* ---- Single keys ------------------------------------------------------------------ */

enum { LONG_NAME = 1000, LONG_TEXT = 2000 };

static const char *long_text(char buffer[LONG_TEXT + 1], size_t len)
{
    memset(buffer, 'n', len);
    buffer[len] = '\0';
    return buffer;
}

static int put(world *w)
{
    return stem_put(w->place, "int", 42);
}

static int put_long(world *w)
{
    char name[LONG_TEXT + 1], text[LONG_TEXT + 1];

    return stem_put(w->place, long_text(name, LONG_NAME), long_text(text, LONG_TEXT));
}

static int del(world *w)
{
    return stem_del(w->place, "int");
}

static int has(world *w)
{
    return stem_has(w->place, "int");
}

static int has_frozen(world *w)
{
    return stem_has(w->frozen, "int");
}

static int get(world *w)
{
    stem_value value;
    int code = stem_get(w->place, "list", &value);

    if (code == STEM_OK)
        stem_value_free(&value);
    return code;
}

static int type(world *w)
{
    int found;

    return stem_type(w->place, "str", &found);
}

static int get_scalars(world *w)
{
    int64_t number;
    uint64_t positive;
    double real;
    bool is_set;

    int code = stem_get_int(w->place, "int", &number);
    if (code == STEM_OK)
        code = stem_get_uint(w->place, "int", &positive);
    if (code == STEM_OK)
        code = stem_get_float(w->place, "float", &real);
    return code == STEM_OK ? stem_get_bool(w->place, "bool", &is_set) : code;
}

static int get_time(world *w)
{
    stem_timestamp time;

    return stem_get_time(w->place, "time", &time);
}

static int get_str(world *w)
{
    char *text;
    int code = stem_get_str(w->place, "str", &text, NULL);

    if (code == STEM_OK)
        stem_free(text);
    return code;
}

static int get_bin(world *w)
{
    void *bytes;
    size_t len;
    int code = stem_get_bin(w->place, "bin", &bytes, &len);

    if (code == STEM_OK)
        stem_free(bytes);
    return code;
}

static int get_array(world *w)
{
    stem_value array;
    int code = stem_get_array(w->place, "array", STEM_F64, &array);

    if (code == STEM_OK)
        stem_value_free(&array);
    return code;
}

static int get_or_fallback(world *w)
{
    int64_t number = stem_get_int_or(w->place, "int", -1);
    int code = stem_errcode();

    return number == (code == STEM_OK ? 41 : -1) ? code : WRONG_OUTPUT;
}

#ifdef HAVE_JSON
static int put_json(world *w)
{
    return stem_put_json(w->place, "json", "{\"a\": [1, 2.5, \"text\", null]}");
}

static int get_json(world *w)
{
    char *text;
    int code = stem_get_json(w->place, "list", 0, &text);

    if (code == STEM_OK)
        stem_free(text);
    return code;
}
#endif

/* ---- Reading in order ------------------------------------------------------------- */

/* Walks to the end; an iterator answers with its first failure when it is closed. */
static int walk_all(stem_iter *iter)
{
    size_t n;
    int code = STEM_OK;

    while (code == STEM_OK && stem_iter_next(iter))
        if (!stem_iter_path(iter, &n))
            code = stem_errcode();
    const int ended = stem_iter_code(iter);
    int closed = stem_iter_close(iter);
    if (closed != ended)
        return WRONG_OUTPUT;
    return code == STEM_OK ? closed : code;
}

static int walk(world *w)
{
    return walk_all(stem_iter_open(w->place, NULL));
}

static int walk_back(world *w)
{
    return walk_all(stem_iter_open(w->queue, STEM_RANGE(.reverse = true)));
}

static int walk_resuming(world *w)
{
    return walk_all(stem_iter_open(w->place, STEM_RANGE(.resume = true)));
}

static int walk_frozen(world *w)
{
    return walk_all(stem_iter_open(w->frozen, STEM_RANGE(.shallow = true)));
}

static int children(world *w)
{
    return walk_all(stem_children(w->queue, NULL));
}

static int children_back(world *w)
{
    return walk_all(stem_children(w->queue, STEM_RANGE(.reverse = true)));
}

static int seek(world *w)
{
    const char *const names[] = {"second"};
    stem_iter *iter = stem_children(w->queue, STEM_RANGE(.reverse = true));

    if (!iter)
        return stem_iter_close(iter);
    int code = stem_iter_seek(iter, names, 1);
    int walked = walk_all(iter);
    return code == STEM_OK ? walked : code;
}

static int count(world *w)
{
    uint64_t n;

    return stem_count(w->place, NULL, &n);
}

/* ---- The whole place -------------------------------------------------------------- */

static int size(world *w)
{
    stem_size_info info;

    return stem_size(w->place, &info);
}

static int compact(world *w)
{
    return stem_compact(w->place);
}

static int sync_all(world *w)
{
    return stem_sync(w->db);
}

static int stats(world *w)
{
    stem_statistics statistics;

    return stem_stats(w->db, &statistics);
}

/* ---- Batches ---------------------------------------------------------------------- */

/* Adds of every kind, and enough of them to let every list grow. */
static int fill_batch(stem_batch *batch, world *w, bool with_expectations)
{
    char key[16], text[LONG_TEXT + 1];
    int code = STEM_OK;

    for (int i = 0; i < 100 && code == STEM_OK; i++) {
        snprintf(key, sizeof key, "batch %d", i);
        code = stem_batch_put(batch, w->free_place, key, long_text(text, LONG_TEXT));
        if (code == STEM_OK && with_expectations)
            code = stem_batch_expect_absent(batch, w->free_place, key);
    }
    if (code == STEM_OK)
        code = stem_batch_del(batch, w->place, "int");
    if (code == STEM_OK && with_expectations)
        code = stem_batch_expect(batch, w->place, "int", 41);
    if (code == STEM_OK && with_expectations)
        code = stem_batch_expect_empty(batch, w->free_place, STEM_RANGE(.prefix = "b"));
    return code;
}

static int commit_batch(world *w, bool with_expectations)
{
    stem_batch *batch = stem_batch_new(w->db);
    int code = batch ? fill_batch(batch, w, with_expectations) : stem_errcode();

    if (code == STEM_OK)
        code = stem_batch_commit(batch, false);
    if (code == STEM_CONFLICT && stem_batch_failed(batch) != 0)
        code = WRONG_OUTPUT;
    stem_batch_free(batch);
    return code;
}

static int plain_batch(world *w)
{
    return commit_batch(w, false);
}

static int expecting_batch(world *w)
{
    return commit_batch(w, true);
}

/* ---- Atomic operations on one key ------------------------------------------------- */

static int insert(world *w)
{
    char text[LONG_TEXT + 1];

    return stem_insert(w->place, "new", long_text(text, LONG_TEXT));
}

static int replace(world *w)
{
    return stem_replace(w->place, "str", "other");
}

static int get_or_put(stem_db *db, const char *key)
{
    stem_value now;
    int code = stem_get_or_put(db, key, "put", &now);

    if (is_done(code))
        stem_value_free(&now);
    return code;
}

static int get_or_put_absent(world *w)
{
    return get_or_put(w->place, "new");
}

static int get_or_put_present(world *w)
{
    return get_or_put(w->place, "str");
}

static int cas(world *w)
{
    return stem_cas(w->place, "int", 41, "other");
}

static int incr(world *w)
{
    int64_t now = -1;
    int code = stem_incr(w->place, "int", 2, 0, &now);

    return now == (is_done(code) ? 43 : -1) ? code : WRONG_OUTPUT;
}

static int incr_absent(world *w)
{
    return stem_incr(w->place, "new", 2, 5, NULL);
}

static int incr_float(world *w)
{
    double now = -1;
    int code = stem_incr_float(w->place, "float", 0.25, 0, &now);

    return now == (is_done(code) ? 2.75 : -1) ? code : WRONG_OUTPUT;
}

static int pop(world *w)
{
    stem_value value;
    int code = stem_pop(w->place, "list", &value);

    if (is_done(code))
        stem_value_free(&value);
    return code;
}

static int extend(void *context, const stem_value *current, stem_value *next)
{
    static char text[LONG_TEXT + 1];

    (void)context;
    (void)current;
    *next = stem_str(long_text(text, LONG_TEXT));
    return STEM_UPDATE_PUT;
}

static int update(world *w)
{
    return stem_update(w->place, "str", extend, NULL);
}

static int drop(void *context, const stem_value *current, stem_value *next)
{
    (void)context;
    (void)current;
    (void)next;
    return STEM_UPDATE_DELETE;
}

static int update_away(world *w)
{
    return stem_update(w->place, "str", drop, NULL);
}

/* ---- Many at once ----------------------------------------------------------------- */

enum { KEYS = 4 };
static const char *const keys[KEYS] = {"str", "none", "list", "array"};

static int get_many_of(stem_db *db)
{
    stem_value values[KEYS];
    int codes[KEYS];
    int code = stem_get_many(db, keys, KEYS, values, codes);

    for (int i = 0; i < KEYS && code == STEM_OK; i++)
        stem_value_free(&values[i]);
    return code;
}

static int get_many(world *w)
{
    return get_many_of(w->place);
}

static int get_many_frozen(world *w)
{
    return get_many_of(w->frozen);
}

static int has_many(world *w)
{
    bool there[KEYS];

    return stem_has_many(w->place, keys, KEYS, there);
}

static int put_many(world *w)
{
    const stem_value values[KEYS] = {stem_int(1), stem_str("two"), stem_float(3),
                                     stem_nil()};

    return stem_put_many(w->place, keys, values, KEYS);
}

static int del_many(world *w)
{
    return stem_del_many(w->place, keys, KEYS);
}

typedef int pop_fn(stem_db *db, const stem_range *range, size_t n, stem_entry **entries,
                   size_t *count);

static int pop_entries(pop_fn *pop_some, stem_db *db, size_t n, size_t expected)
{
    stem_entry *entries = NULL;
    size_t found = 0;
    int code = pop_some(db, NULL, n, &entries, &found);

    stem_entries_free(entries, found);
    return found == (is_done(code) ? expected : 0) ? code : WRONG_OUTPUT;
}

static int pop_first(world *w)
{
    return pop_entries(stem_pop_first, w->queue, 2, 2);
}

static int pop_last(world *w)
{
    return pop_entries(stem_pop_last, w->queue, 3, 3);
}

static int pop_all(world *w)
{
    return pop_entries(stem_pop_first, w->place, 100, 10);
}

/* ---- Whole sub-databases ---------------------------------------------------------- */

static int clear(world *w)
{
    return stem_clear(w->large, NULL);
}

static int clear_range(world *w)
{
    return stem_clear(w->place, STEM_RANGE(.gte = "b", .lt = "c"));
}

static int copy_key(world *w)
{
    return stem_copy(w->place, "list", w->free_place, "copied");
}

static int copy_key_out(world *w)
{
    return stem_copy(w->place, "list", w->other_place, "copied");
}

static int move_key(world *w)
{
    return stem_move(w->place, "list", w->free_place, "moved");
}

static int move_key_out(world *w)
{
    return stem_move(w->place, "list", w->other_place, "moved");
}

static int copy(world *w)
{
    return stem_copy(w->large, NULL, w->free_place, NULL);
}

static int copy_out(world *w)
{
    return stem_copy(w->queue, NULL, w->other_place, NULL);
}

static int copy_frozen(world *w)
{
    return stem_copy(w->frozen, NULL, w->free_place, NULL);
}

static int move(world *w)
{
    return stem_move(w->large, NULL, w->free_place, NULL);
}

static int move_out(world *w)
{
    return stem_move(w->queue, NULL, w->other_place, NULL);
}

/* ---- All -------------------------------------------------------------------------- */

const operation operations[] = {
    {"sub", "place", sub, ONE_COMMIT, STEM_OK},
    {"dup", "place", duplicate, ONE_COMMIT, STEM_OK},
    {"read_only", "place", read_only, ONE_COMMIT, STEM_OK},
    {"snapshot", "place", snapshot, ONE_COMMIT, STEM_OK},
    {"path", "", path, ONE_COMMIT, STEM_OK},
    {"put", "place/int", put, ONE_COMMIT, STEM_OK},
    {"put", "place/nnn", put_long, ONE_COMMIT, STEM_OK},
    {"del", "place/int", del, ONE_COMMIT, STEM_OK},
    {"has", "place/int", has, ONE_COMMIT, STEM_OK},
    {"has", "place/int", has_frozen, ONE_COMMIT, STEM_OK},
    {"get", "place/list", get, ONE_COMMIT, STEM_OK},
    {"type", "place/str", type, ONE_COMMIT, STEM_OK},
    {"get", "place", get_scalars, ONE_COMMIT, STEM_OK},
    {"get", "place/time", get_time, ONE_COMMIT, STEM_OK},
    {"get", "place/str", get_str, ONE_COMMIT, STEM_OK},
    {"get", "place/bin", get_bin, ONE_COMMIT, STEM_OK},
    {"get", "place/array", get_array, ONE_COMMIT, STEM_OK},
    {"get", "place/int", get_or_fallback, ONE_COMMIT, STEM_OK},
#ifdef HAVE_JSON
    {"put", "place/json", put_json, ONE_COMMIT, STEM_OK},
    {"get", "place/list", get_json, ONE_COMMIT, STEM_OK},
#endif
    {"iterate", "place", walk, ONE_COMMIT, STEM_OK},
    {"iterate", "queue", walk_back, ONE_COMMIT, STEM_OK},
    {"iterate", "place", walk_resuming, ONE_COMMIT, STEM_OK},
    {"iterate", "place", walk_frozen, ONE_COMMIT, STEM_OK},
    {"children", "queue", children, ONE_COMMIT, STEM_OK},
    {"children", "queue", children_back, ONE_COMMIT, STEM_OK},
    {"", "queue", seek, ONE_COMMIT, STEM_OK},
    {"count", "place", count, ONE_COMMIT, STEM_OK},
    {"size", "place", size, ONE_COMMIT, STEM_OK},
    {"compact", "place", compact, ONE_COMMIT, STEM_OK},
    {"sync", "", sync_all, ONE_COMMIT, STEM_OK},
    {"stats", "", stats, ONE_COMMIT, STEM_OK},
    {"", "", plain_batch, ONE_COMMIT, STEM_OK},
    {"", "", expecting_batch, ONE_COMMIT, STEM_CONFLICT},
    {"insert", "place/new", insert, ONE_COMMIT, STEM_EXISTS},
    {"replace", "place/str", replace, ONE_COMMIT, STEM_OK},
    {"get or put", "place/new", get_or_put_absent, ONE_COMMIT, STEM_OK},
    {"get or put", "place/str", get_or_put_present, ONE_COMMIT, STEM_OK},
    {"cas", "place/int", cas, ONE_COMMIT, STEM_CONFLICT},
    {"incr", "place/int", incr, ONE_COMMIT, STEM_OK},
    {"incr", "place/new", incr_absent, ONE_COMMIT, STEM_OK},
    {"incr", "place/float", incr_float, ONE_COMMIT, STEM_OK},
    {"pop", "place/list", pop, ONE_COMMIT, STEM_OK},
    {"update", "place/str", update, ONE_COMMIT, STEM_OK},
    {"update", "place/str", update_away, ONE_COMMIT, STEM_OK},
    {"get many", "place", get_many, ONE_COMMIT, STEM_OK},
    {"get many", "place", get_many_frozen, ONE_COMMIT, STEM_OK},
    {"has many", "place", has_many, ONE_COMMIT, STEM_OK},
    {"", "", put_many, ONE_COMMIT, STEM_OK},
    {"", "", del_many, ONE_COMMIT, STEM_OK},
    {"pop first", "queue", pop_first, ONE_COMMIT, STEM_OK},
    {"pop last", "queue", pop_last, ONE_COMMIT, STEM_OK},
    {"pop first", "place", pop_all, ONE_COMMIT, STEM_OK},
    {"clear", "large", clear, CLEARS, STEM_OK},
    {"clear", "place", clear_range, CLEARS, STEM_OK},
    {"copy", "place/list", copy_key, ONE_COMMIT, STEM_OK},
    {"copy", "place/list", copy_key_out, ONE_COMMIT, STEM_OK},
    {"move", "place/list", move_key, ONE_COMMIT, STEM_OK},
    {"move", "place/list", move_key_out, TRANSFERS, STEM_OK},
    {"copy", "large", copy, TRANSFERS, STEM_OK},
    {"copy", "queue", copy_out, TRANSFERS, STEM_OK},
    {"copy", "place", copy_frozen, TRANSFERS, STEM_OK},
    {"move", "large", move, TRANSFERS, STEM_OK},
    {"move", "queue", move_out, TRANSFERS, STEM_OK},
};
const int n_operations = sizeof operations / sizeof *operations;
