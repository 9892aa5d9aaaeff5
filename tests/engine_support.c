/*
 * What the tests of the engine contract share.
 */
#include "engine_support.h"

#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "translating_engine.h"

#if defined(HAVE_HIREDIS) && defined(HAVE_LIBEVENT)
#define CAN_SERVE
#endif

#define SERVED "served" /* by a server of the test's own, from memory */

/* An engine joins the suite with a line here. NULL is a new directory. */
static const struct {
    const char *location;
    stem_options options;
    unsigned through; /* one in so many commits is, or none */
} locations[] = {
    {NULL, {0}, 0},
    {"mem:", {0}, 0},
    {NULL, {.writeback_bytes = 64 << 20, .writeback_ms = 60000}, 0},
    {NULL, {.writeback_bytes = 1 << 20, .writeback_ms = 1}, 0},
    {"mem:", {.writeback_bytes = 1 << 20}, 0},
    {NULL, {.writeback_bytes = 64 << 20, .writeback_ms = 60000}, 1},
    {NULL, {.writeback_bytes = 1 << 20, .writeback_ms = 1}, 2},
#ifdef CAN_SERVE
    {SERVED, {0}, 0},
#endif
};
enum { LOCATIONS = sizeof locations / sizeof *locations };
const int n_engine_locations = LOCATIONS;
#ifdef CAN_SERVE
const int n_local_engine_locations = LOCATIONS - 1;
#else
const int n_local_engine_locations = LOCATIONS;
#endif

_Thread_local size_t last_failed;

#ifdef CAN_SERVE
static stem_server *server;

static const char *start_serving(void)
{
    static char location[512];
    const char *listen[] = {location, NULL};
    stem_db *db;

    snprintf(location, sizeof location, "unix:%s", path_in(temp_dir(), "s"));
    assert_ok(stem_open(&db, "mem:", NULL));
    /* Requests are as large as they may be, so that they carry what an engine takes. */
    assert_ok(stem_server_open(
        &server, db,
        STEM_SERVER_OPTIONS(.listen = listen, .max_request_bytes = 8UL << 30)));
    assert_ok(stem_close(db)); /* the server has its own */
    return location;
}

static void stop_serving(void)
{
    assert_ok(stem_server_close(server));
    server = NULL;
}
#else
static const char *start_serving(void)
{
    return NULL;
}

static void stop_serving(void)
{
}
#endif

/* The operations of the engine that is open, and what they are with some commits through. */
static const stem_engine_ops *real_ops;
static stem_engine_ops through_ops;
static unsigned one_in;

static int commit_some_through(stem_engine *engine, const stem_commit *commit,
                               size_t *failed)
{
    static atomic_uint n_commits;
    stem_commit some = *commit;

    some.through = atomic_fetch_add(&n_commits, 1) % one_in == 0;
    return real_ops->commit(engine, &some, failed);
}

static void let_commits_through(stem_engine *engine, unsigned through)
{
    if (through == 0 || engine->ops == &through_ops)
        return;
    one_in = through;
    real_ops = engine->ops;
    through_ops = *real_ops;
    through_ops.commit = commit_some_through;
    engine->ops = &through_ops;
}

/* Removes what an earlier test left at a location that outlives its engine. */
static void remove_all(stem_engine *engine)
{
    const stem_engine_range everything = {{NULL, 0}, {NULL, 0}};
    stem_engine_iter *iter;
    stem_slice key;
    int code;

    assert_ok(engine->ops->iter_open(engine, NULL, &everything, false, &iter));
    while ((code = engine->ops->iter_next(iter, &key, NULL)) == STEM_OK)
        del(engine, key);
    assert_code(code, STEM_NOTFOUND);
    engine->ops->iter_close(iter);
}

stem_engine *open_engine(int location)
{
    const char *where = locations[location].location;
    const bool is_served = where && strcmp(where, SERVED) == 0;
    stem_engine *engine;

    if (!where)
        where = path_in(temp_dir(), "db");
    else if (is_served)
        where = start_serving();
    assert_ok(stem_engine_acquire(where, &locations[location].options, NULL, &engine));
    if (is_served)
        engine = translating_engine_over(engine);
    let_commits_through(engine, locations[location].through);
    remove_all(engine);
    return engine;
}

void close_engine(stem_engine *engine)
{
    const bool is_last = atomic_load(&engine->users) == 1;

    assert_ok(stem_engine_release(engine));
    if (is_last)
        stop_serving();
}

int commit(stem_engine *engine, const stem_write *writes, size_t n_writes,
           const stem_expectation *expectations, size_t n_expectations)
{
    const stem_commit all = {.writes = writes,
                             .n_writes = n_writes,
                             .expectations = expectations,
                             .n_expectations = n_expectations};

    last_failed = SIZE_MAX;
    int code = engine->ops->commit(engine, &all, &last_failed);
    if (code != STEM_CONFLICT)
        ck_assert_uint_eq(last_failed, SIZE_MAX);
    return code;
}

void put(stem_engine *engine, stem_slice key, stem_slice value)
{
    const stem_write write = {key, value, false};

    assert_ok(commit(engine, &write, 1, NULL, 0));
}

void del(stem_engine *engine, stem_slice key)
{
    const stem_write write = {key, {NULL, 0}, true};

    assert_ok(commit(engine, &write, 1, NULL, 0));
}

void assert_bytes(const stem_read *read, stem_slice expected)
{
    ck_assert_ptr_nonnull(read->data);
    ck_assert_uint_eq(read->len, expected.len);
    ck_assert_mem_eq(read->data, expected.data, expected.len);
}

void assert_holds(stem_engine *engine, const stem_engine_snapshot *snapshot,
                  stem_slice key, stem_slice expected)
{
    stem_read read;

    assert_ok(engine->ops->read(engine, snapshot, &key, 1, &read));
    assert_bytes(&read, expected);
    free(read.data);
}

void assert_absent(stem_engine *engine, const stem_engine_snapshot *snapshot,
                   stem_slice key)
{
    stem_read read = {.data = (char *)&read};

    assert_ok(engine->ops->read(engine, snapshot, &key, 1, &read));
    ck_assert_ptr_null(read.data);
}
