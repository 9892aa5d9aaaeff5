/*
 * Handles: opening, deriving, closing, and what concerns the whole place behind one.
 *
 * A handle holds one user of its engine, and one of its snapshot when it is frozen; nothing
 * else ties handles together, so they close in any order.
 */
#include "db.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "path.h"

/* ---- Failing ---------------------------------------------------------------------- */

void stem_db_refuse(const stem_db *db, const char *operation)
{
    if (!db)
        stem_failure_set(STEM_EINVAL, "%s: the handle is NULL", operation);
    else
        stem_failure_set(STEM_EFORK,
                         "%s: the handle was opened before fork(); it stays the parent's",
                         operation);
}

int stem_db_check_inherited(const stem_db *db, const char *operation)
{
    stem_engine *engine = db->engine;

    if (engine->ops->adopt) {
        const int code = engine->ops->adopt(engine);
        return code == STEM_OK ? code : stem_db_fail(db, code, operation, NULL);
    }
    stem_db_refuse(db, operation);
    return STEM_EFORK;
}

int stem_db_fail_below(const stem_db *db, int code, const char *operation,
                       const char *below, size_t len)
{
    char *stored = malloc(db->prefix_len + len + 1);

    if (!stored)
        return stem_fail_at(code, operation, NULL);
    memcpy(stored, db->prefix, db->prefix_len);
    if (len > 0)
        memcpy(stored + db->prefix_len, below, len);
    char *text = stem_path_text(stored, db->prefix_len + len);
    free(stored);
    stem_fail_at(code, operation, text);
    stem_free(text);
    return code;
}

int stem_db_fail(const stem_db *db, int code, const char *operation, const char *key)
{
    size_t len = key ? strnlen(key, STEM_COMPONENT_MAX) : 0;

    return stem_db_fail_below(db, code, operation, key, len);
}

/* ---- Counting --------------------------------------------------------------------- */

stem_frozen *stem_frozen_retain(stem_frozen *frozen)
{
    if (frozen)
        atomic_fetch_add_explicit(&frozen->users, 1, memory_order_relaxed);
    return frozen;
}

void stem_frozen_release(stem_frozen *frozen, stem_engine *engine)
{
    if (!frozen || atomic_fetch_sub(&frozen->users, 1) > 1)
        return;
    if (!stem_engine_is_inherited(engine))
        engine->ops->snapshot_close(engine, frozen->snapshot);
    free(frozen);
}

/* A handle like `db`, with `room` bytes behind its prefix, and users of its own. */
static stem_db *derive(const stem_db *db, size_t room)
{
    stem_db *made = malloc(sizeof *made + db->prefix_len + room);

    if (!made) {
        stem_fail(STEM_ENOMEM, "no memory for a handle");
        return NULL;
    }
    made->engine = db->engine;
    made->frozen = stem_frozen_retain(db->frozen);
    made->is_read_only = db->is_read_only;
    made->sync = db->sync;
    made->prefix_len = db->prefix_len;
    memcpy(made->prefix, db->prefix, db->prefix_len);
    stem_engine_retain(made->engine);
    return made;
}

/* ---- Opening and closing ---------------------------------------------------------- */

static int check_reserved(const stem_options *options)
{
    for (size_t i = 0; i < sizeof options->reserved / sizeof *options->reserved; i++)
        if (options->reserved[i] != 0)
            return stem_fail(
                STEM_EINVAL,
                "stem_options.reserved[%zu] is not zero: the options were not "
                "initialised, or are a newer library's",
                i);
    return STEM_OK;
}

stem_db *stem_db_over(stem_engine *engine, const stem_options *options)
{
    stem_db *made = malloc(sizeof *made);

    if (!made) {
        stem_fail(STEM_ENOMEM, "no memory for a handle");
        return NULL;
    }
    *made = (stem_db){
        .engine = engine, .is_read_only = options->read_only, .sync = options->sync};
    return made;
}

static int open_location(stem_db **db, const char *location, const stem_options *options)
{
    if (!db)
        return stem_fail(STEM_EINVAL, "the place for the handle is NULL");
    int code = check_reserved(options);
    if (code != STEM_OK)
        return code;
    /* Before the engine, so that a failure leaves nothing behind in the directory. */
    stem_db *made = stem_db_over(NULL, options);
    if (!made)
        return STEM_ENOMEM;
    code = stem_engine_acquire(location, options, stem_serve_host, &made->engine);
    if (code != STEM_OK) {
        free(made);
        return code;
    }
    *db = made;
    return STEM_OK;
}

/* Says the operation and the location. */
static int fail_location(int code, const char *operation, const char *location)
{
    char shown[STEM_ERROR_TEXT_SIZE];

    stem_location_show(location, shown, sizeof shown);
    return stem_fail_at(code, operation, shown);
}

/* Says what an answer of an open is about. */
static void explain_answer(int code, const stem_options *options)
{
    if (code == STEM_EXISTS)
        stem_failure_set(code, "there is a database already, and must_be_new is set");
    else
        stem_failure_set(code, "there is no database, and %s is set",
                         options->must_exist ? "must_exist" : "read_only");
}

int stem_open(stem_db **db, const char *location, const stem_options *options)
{
    static const stem_options defaults;

    if (!options)
        options = &defaults;
    const int code = open_location(db, location, options);
    if (code == STEM_OK)
        return code;
    if (code > 0)
        explain_answer(code, options);
    return fail_location(code, "open", location);
}

static void let_go_of_frozen(void *held, stem_engine *engine)
{
    stem_db *db = held;

    stem_frozen_release(db->frozen, engine);
    db->frozen = NULL;
}

/* A handle that cannot be closed keeps its snapshot, too. */
static int close_handle(stem_db *db, bool is_discarding)
{
    if (!db)
        return STEM_OK;
    const int code = stem_engine_release_as(
        db->engine, &(stem_engine_leave){.is_discarding = is_discarding,
                                         .let_go = db->frozen ? let_go_of_frozen : NULL,
                                         .held = db});
    if (code != STEM_OK)
        return stem_fail_at(code, "close", NULL);
    free(db);
    return STEM_OK;
}

int stem_close(stem_db *db)
{
    return close_handle(db, false);
}

void stem_db_release(stem_db *db)
{
    if (stem_close(db) == STEM_OK)
        return;
    stem_frozen_release(db->frozen, db->engine);
    stem_engine_orphan(db->engine);
    free(db);
}

int stem_close_discard(stem_db *db)
{
    return close_handle(db, true);
}

int stem_destroy(const char *location)
{
    const int code = stem_engine_destroy(location);

    if (code == STEM_NOTFOUND)
        stem_failure_set(code, "there is no database");
    return code < 0 || code == STEM_NOTFOUND ? fail_location(code, "destroy", location)
                                             : code;
}

/* ---- Deriving --------------------------------------------------------------------- */

/* Long lists and names are measured again while they are copied, short ones remembered. */
enum { REMEMBERED = 8 };

/* The stored length that `n` names add, or false after a failure. */
static bool measure_names(const stem_db *db, const char *const *names, size_t n,
                          size_t lens[REMEMBERED], size_t *added)
{
    size_t sum = 0;

    if (n > 0 && !names) {
        stem_fail(STEM_EINVAL, "the list of names is NULL");
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        size_t len = stem_component_len(names[i]);

        if (len == 0)
            return false;
        if (i < REMEMBERED)
            lens[i] = len;
        sum += len + 1;
        if (db->prefix_len + sum - 1 > STEM_PATH_MAX) {
            stem_fail(STEM_EINVAL, "the path is over %d bytes", STEM_PATH_MAX);
            return false;
        }
    }
    *added = sum;
    return true;
}

stem_db *stem_db_sub(const stem_db *db, const char *const *names, size_t n)
{
    size_t lens[REMEMBERED], added;

    if (!measure_names(db, names, n, lens, &added))
        return NULL;
    stem_db *sub = derive(db, added);
    if (!sub)
        return NULL;
    char *end = sub->prefix + sub->prefix_len;
    for (size_t i = 0; i < n; i++) {
        size_t size = (i < REMEMBERED ? lens[i] : strlen(names[i])) + 1;

        memcpy(end, names[i], size);
        end += size;
    }
    sub->prefix_len += added;
    return sub;
}

stem_db *stem_sub_path(stem_db *db, const char *const *names, size_t n)
{
    if (stem_db_check(db, "sub") != STEM_OK)
        return NULL;
    stem_db *sub = stem_db_sub(db, names, n);
    if (!sub)
        stem_db_fail(db, stem_errcode(), "sub", NULL);
    return sub;
}

/* Another handle to the same place. */
static stem_db *derive_same(const stem_db *db, const char *operation)
{
    if (stem_db_check(db, operation) != STEM_OK)
        return NULL;
    stem_db *made = derive(db, 0);
    if (!made)
        stem_db_fail(db, STEM_ENOMEM, operation, NULL);
    return made;
}

stem_db *stem_dup(stem_db *db)
{
    return derive_same(db, "dup");
}

static stem_db *derive_read_only(const stem_db *db, const char *operation)
{
    stem_db *made = derive_same(db, operation);

    if (made)
        made->is_read_only = true;
    return made;
}

stem_db *stem_read_only(stem_db *db)
{
    return derive_read_only(db, "read_only");
}

/* Opens a snapshot with one user, or NULL. */
static stem_frozen *freeze(stem_engine *engine)
{
    stem_frozen *frozen = malloc(sizeof *frozen);

    if (!frozen) {
        stem_fail(STEM_ENOMEM, "no memory for a snapshot");
        return NULL;
    }
    atomic_init(&frozen->users, 1);
    if (engine->ops->snapshot_open(engine, &frozen->snapshot) != STEM_OK) {
        free(frozen);
        return NULL;
    }
    return frozen;
}

stem_db *stem_snapshot(stem_db *db)
{
    stem_db *made = derive_read_only(db, "snapshot");

    if (!made || made->frozen)
        return made; /* frozen already: the same moment */
    made->frozen = freeze(made->engine);
    if (!made->frozen) {
        int code = stem_db_fail(db, stem_errcode(), "snapshot", NULL);
        stem_close(made);
        stem_errcode_set(code);
        return NULL;
    }
    return made;
}

char *stem_path(stem_db *db)
{
    if (stem_db_check(db, "path") != STEM_OK)
        return NULL;
    return stem_path_text(db->prefix, db->prefix_len);
}

/* ---- Stored keys ------------------------------------------------------------------ */

size_t stem_key_len(const stem_db *db, const char *name)
{
    const size_t len = stem_component_len(name);
    const size_t size = db->prefix_len + len;

    if (len == 0)
        return 0;
    if (size > STEM_PATH_MAX) {
        stem_fail(STEM_EINVAL, "the path is %zu bytes, over the limit of %d", size,
                  STEM_PATH_MAX);
        return 0;
    }
    return size;
}

int stem_key_make(const stem_db *db, const char *name, stem_key *key)
{
    const size_t size = stem_key_len(db, name);
    char *bytes = key->inline_bytes;

    if (size == 0)
        return STEM_EINVAL;
    key->heap = NULL;
    if (size > sizeof key->inline_bytes) {
        bytes = key->heap = malloc(size);
        if (!bytes)
            return stem_fail(STEM_ENOMEM, "no memory for a key of %zu bytes", size);
    }
    stem_key_write(db, name, size, bytes);
    key->stored = (stem_slice){bytes, size};
    return STEM_OK;
}

/* ---- The whole place -------------------------------------------------------------- */

static int count_once(stem_db *db, const stem_range *keys, uint64_t *n)
{
    stem_iter *iter = stem_iter_open_for(db, keys, "count");

    if (!iter)
        return stem_errcode();
    for (*n = 0; stem_iter_next(iter);)
        ++*n;
    return stem_iter_close(iter);
}

int stem_count(stem_db *db, const stem_range *range, uint64_t *count)
{
    stem_range keys = range ? *range : (stem_range){0};
    uint64_t n = 0;
    int code, n_gone = 0;

    if (!count)
        return stem_fail(STEM_EINVAL, "count: the place for the count is NULL");
    keys.keys_only = true;
    keys.resume = false; /* the count is that of one state */
    /* A server that is another by now knows nothing of the walk, nor of a snapshot. */
    do
        code = count_once(db, &keys, &n);
    while (code == STEM_EGONE && !db->frozen && ++n_gone < STEM_STATES_MAX);
    if (code == STEM_OK)
        *count = n;
    return code;
}

int stem_size(stem_db *db, stem_size_info *size)
{
    stem_span span;

    int code = stem_db_check(db, "size");
    if (code != STEM_OK)
        return code;
    if (!size)
        return stem_fail(STEM_EINVAL, "size: the place for the size is NULL");
    code = stem_span_make(db, NULL, false, &span);
    if (code == STEM_OK) {
        code = db->engine->ops->estimate(db->engine, &span.range, size);
        free(span.buffer);
    }
    return code == STEM_OK ? STEM_OK : stem_db_fail(db, code, "size", NULL);
}

int stem_compact(stem_db *db)
{
    stem_span span;

    int code = stem_db_check(db, "compact");
    if (code != STEM_OK)
        return code;
    if (db->is_read_only)
        code = stem_fail(STEM_EREADONLY, "the handle only reads");
    if (code == STEM_OK)
        code = stem_span_make(db, NULL, false, &span);
    if (code == STEM_OK) {
        code = db->engine->ops->compact(db->engine, &span.range);
        free(span.buffer);
    }
    return code == STEM_OK ? STEM_OK : stem_db_fail(db, code, "compact", NULL);
}

int stem_flush(stem_db *db)
{
    int code = stem_db_check(db, "flush");

    if (code == STEM_OK && db->engine->ops->flush)
        code = db->engine->ops->flush(db->engine);
    if (code != STEM_OK)
        stem_fail_at(code, "flush", NULL);
    return code;
}

int stem_sync(stem_db *db)
{
    int code = stem_db_check(db, "sync");

    if (code == STEM_OK)
        code = db->engine->ops->sync(db->engine);
    if (code != STEM_OK)
        stem_fail_at(code, "sync", NULL);
    return code;
}

int stem_stats(stem_db *db, stem_statistics *stats)
{
    int code = stem_db_check(db, "stats");

    if (code != STEM_OK)
        return code;
    if (!stats)
        return stem_fail(STEM_EINVAL, "stats: the place for them is NULL");
    code = db->engine->ops->stats(db->engine, stats);
    if (code == STEM_OK)
        stats->handles = atomic_load(&db->engine->users);
    else
        stem_fail_at(code, "stats", NULL);
    return code;
}
