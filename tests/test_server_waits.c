/*
 * Who waits for whom in a server whose engine takes its time: a compaction, or the commits of
 * FLUSHDB, that last until the test lets them go on.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "db.h"
#include "place.h"
#include "served.h"

static stem_db *db;
static stem_server *server;

/* ---- An engine that is held up ---------------------------------------------------- */

static const stem_engine_ops *whole;
static stem_engine_ops slow;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_held_up; /* whoever comes waits */
static unsigned n_come; /* in all */

static void come_by(void)
{
    pthread_mutex_lock(&lock);
    n_come++;
    pthread_cond_broadcast(&changed);
    while (is_held_up)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void hold_up(void)
{
    pthread_mutex_lock(&lock);
    is_held_up = true;
    pthread_mutex_unlock(&lock);
}

static void let_go(void)
{
    pthread_mutex_lock(&lock);
    is_held_up = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void await_come(unsigned n)
{
    pthread_mutex_lock(&lock);
    while (n_come < n)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static int compact_slowly(stem_engine *engine, const stem_engine_range *range)
{
    come_by();
    return whole->compact(engine, range);
}

/* As FLUSHDB does: those that begin with a delete, of what is none of Stem's own records. */
static int delete_slowly(stem_engine *engine, const stem_commit *commit, size_t *failed)
{
    const stem_write *first = commit->writes;

    if (commit->n_writes > 0 && first->is_delete && *first->key.data != '\0')
        come_by();
    return whole->commit(engine, commit, failed);
}

static void open_served(void)
{
    db = new_database();
    whole = db->engine->ops;
    slow = *whole;
    slow.compact = compact_slowly;
    slow.commit = delete_slowly;
    db->engine->ops = &slow;
    server = serve(db, NULL);
}

static void close_served(void)
{
    let_go();
    assert_ok(stem_server_close(server));
    assert_ok(stem_close(db));
}

/* ---- Clients ---------------------------------------------------------------------- */

/* Asks without waiting for the answer. */
static void begin(redisContext *client, const char *request)
{
    int done = 0;

    redisAppendCommand(client, request);
    while (!done)
        ck_assert_int_eq(redisBufferWrite(client, &done), REDIS_OK);
}

/* Ends the client's connection: another takes its place in its session. */
static void replace(redisContext *client, const char *session)
{
    redisContext *other = dial();

    ck_assert_int_eq(*ask(other, "STEM.ATTACH 1 0 %s", session), '[');
    ck_assert_str_eq(next_answer(client), "gone");
    redisFree(other);
}

static void attach(redisContext *client, char session[33])
{
    ck_assert_int_eq(
        sscanf(ask(client, "STEM.ATTACH 1 0 NEW"), "[\"%32[0-9a-f]\"", session), 1);
}

/* ---- Compactions ------------------------------------------------------------------ */

START_TEST(who_compacts_keeps_nobody_from_a_session_or_a_sync)
{
    redisContext *compacting = dial(), *client = dial();
    stem_db *other;

    hold_up();
    begin(compacting, "STEM.COMPACT a b");
    await_come(1);
    assert_answer("+OK", client, "STEM.SYNC");
    assert_answer("+OK", client, "STEM.FLUSH");
    assert_ok(stem_open(&other, served_at(), NULL));
    assert_ok(stem_put(other, "a", 1));
    assert_ok(stem_sync(other));
    assert_ok(stem_close(other));
    let_go();
    ck_assert_str_eq(next_answer(compacting), "+OK");
    redisFree(compacting);
    redisFree(client);
}
END_TEST

START_TEST(what_has_not_begun_is_dropped_with_its_connection)
{
    redisContext *compacting = dial(), *client = dial();
    char session[33];

    assert_ok(stem_put(db, "a", 1));
    attach(client, session);
    hold_up();
    begin(compacting, "STEM.COMPACT a b");
    await_come(1);
    begin(client, "FLUSHDB");
    replace(client, session);
    let_go();
    ck_assert_str_eq(next_answer(compacting), "+OK");
    /* Whatever comes next has waited for it. */
    assert_answer("+OK", compacting, "STEM.COMPACT a b");
    assert_contents(db, "a=1");
    redisFree(compacting);
    redisFree(client);
}
END_TEST

/* ---- FLUSHDB ---------------------------------------------------------------------- */

START_TEST(flushdb_ends_with_its_connection)
{
    enum { KEYS = 5000 }; /* of a few commits */
    stem_batch *batch = stem_batch_new(db);
    redisContext *client = dial(), *other = dial();
    char session[33], name[16];
    uint64_t left;

    for (int i = 0; i < KEYS; i++) {
        snprintf(name, sizeof name, "%06d", i);
        assert_ok(stem_batch_put(batch, db, name, i));
    }
    assert_ok(stem_batch_commit(batch, false));
    stem_batch_free(batch);
    attach(client, session);
    hold_up();
    begin(client, "FLUSHDB");
    await_come(1);
    replace(client, session);
    let_go();
    assert_answer("+OK", other, "STEM.COMPACT a b"); /* behind it */
    assert_ok(stem_count(db, NULL, &left));
    ck_assert_uint_gt(left, 0);
    ck_assert_uint_lt(left, KEYS);
    redisFree(client);
    redisFree(other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server waits");
    TCase *tcase = add_case(suite, "waits", 60);

    tcase_add_checked_fixture(tcase, open_served, close_served);
    tcase_add_test(tcase, who_compacts_keeps_nobody_from_a_session_or_a_sync);
    tcase_add_test(tcase, what_has_not_begun_is_dropped_with_its_connection);
    tcase_add_test(tcase, flushdb_ends_with_its_connection);
    return run_suite(suite);
}
