/*
 * Clients of a server that is killed again and again: every operation that is answered has been
 * applied exactly once, and none fails. STEM_TEST_KILLS says how often.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "place.h"
#include "process.h"
#include "random.h"
#include "tool_server.h"

enum { CLIENTS = 4, KILLS = 40 };

static atomic_bool is_over;

static void start(void)
{
    place_tool_server(temp_dir());
    atomic_store(&is_over, false);
    start_tool_server();
}

static void stop(void)
{
    kill_tool_server(SIGTERM);
}

/* What one client has done, and been answered. */
typedef struct work {
    stem_db *db;
    unsigned number;
    int64_t increments, inserted, popped;
} work;

/* Increments the one counter, inserts names of its own, pops whatever is there. */
static void *work_on(void *argument)
{
    work *mine = argument;
    stem_db *queue = stem_sub(mine->db, "queue");
    char name[32];

    while (!atomic_load(&is_over)) {
        stem_entry *entries;
        size_t n;

        must_ok(stem_incr(mine->db, "counter", 1, 0, NULL));
        mine->increments++;
        snprintf(name, sizeof name, "%u.%lld", mine->number, (long long)mine->inserted);
        must_ok(stem_insert(queue, name, 1));
        mine->inserted++;
        const size_t wanted = (size_t)(1 + mine->inserted % 2);
        const int code = stem_pop_first(queue, NULL, wanted, &entries, &n);
        must(code == STEM_OK || code == STEM_NOTFOUND); /* others may have emptied it */
        if (code == STEM_OK) {
            mine->popped += (int64_t)n;
            stem_entries_free(entries, n);
        }
    }
    stem_close(queue);
    return NULL;
}

START_TEST(what_is_answered_was_applied_once)
{
    const unsigned long kills = number_from("STEM_TEST_KILLS", KILLS);
    pthread_t threads[CLIENTS];
    work works[CLIENTS] = {0};
    stem_db *db = open_tool_server();
    int64_t counter, increments = 0, left = 0;
    uint64_t count;

    for (unsigned i = 0; i < CLIENTS; i++) {
        /* Two share one client, whose slots they take by turns. */
        works[i] = (work){.db = i % 2 ? stem_dup(db) : open_tool_server(), .number = i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work_on, &works[i]), 0);
    }
    for (unsigned long i = 0; i < kills; i++) {
        usleep((useconds_t)(20000 + random_below(80000)));
        kill_tool_server(SIGKILL);
        start_tool_server();
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        increments += works[i].increments;
        left += works[i].inserted - works[i].popped;
        assert_ok(stem_close(works[i].db));
    }
    assert_ok(stem_get_int(db, "counter", &counter));
    ck_assert_int_eq(counter, increments);
    ck_assert_int_gt(counter, (int64_t)kills);
    stem_db *queue = stem_sub(db, "queue");
    assert_ok(stem_count(queue, NULL, &count));
    ck_assert_int_eq((int64_t)count, left);
    stem_close(queue);
    assert_ok(stem_close(db));
    printf("%lu kills, %lld increments\n", kills, (long long)counter);
}
END_TEST

/* 000000 and so on, each with its number. */
static void put_entries(stem_db *db, int entries)
{
    stem_batch *batch = stem_batch_new(db);
    char name[16];

    for (int i = 0; i < entries; i++) {
        snprintf(name, sizeof name, "%06d", i);
        assert_ok(stem_batch_put(batch, db, name, i));
    }
    assert_ok(stem_batch_commit(batch, false));
    stem_batch_free(batch);
}

START_TEST(an_iterator_never_mixes_two_states)
{
    enum { ENTRIES = 20000 };
    stem_db *db = open_tool_server();
    int n = 0;

    put_entries(db, ENTRIES);
    stem_iter *iter = stem_iter_open(db, NULL);
    ck_assert(stem_iter_next(iter));
    n++;
    kill_tool_server(SIGKILL);
    start_tool_server();
    stem_db *other = open_tool_server();
    assert_ok(stem_clear(other, NULL));
    assert_ok(stem_close(other));
    while (stem_iter_next(iter)) {
        ck_assert_int_eq(stem_iter_value(iter)->as.integer, n);
        n++;
    }
    ck_assert_int_lt(n, ENTRIES);
    assert_code(stem_iter_code(iter), STEM_EGONE);
    assert_code(stem_iter_close(iter), STEM_EGONE);
    stem_db *snapshot = stem_snapshot(db);
    ck_assert_ptr_nonnull(snapshot);
    kill_tool_server(SIGKILL);
    start_tool_server();
    assert_code(stem_has(snapshot, "000001"), STEM_EGONE);
    stem_close(snapshot);
    assert_ok(stem_close(db));
}
END_TEST

/* Walks on while servers are killed and another client writes what is not counted. */
START_TEST(a_walk_that_resumes_outlives_its_servers)
{
    enum { ENTRIES = 20000, EVERY = 4000 };
    stem_db *db = open_tool_server(), *other = open_tool_server();
    char name[16];
    int n = 0;

    put_entries(db, ENTRIES);
    stem_iter *iter = stem_iter_open(db, STEM_RANGE(.resume = true, .shallow = true));
    while (stem_iter_next(iter)) {
        if (stem_iter_value(iter)->as.integer < 0)
            continue;
        ck_assert_int_eq(stem_iter_value(iter)->as.integer, n);
        if (++n % EVERY == 1) {
            kill_tool_server(SIGKILL);
            start_tool_server();
            snprintf(name, sizeof name, "%06d+", (int)random_below(ENTRIES));
            assert_ok(stem_put(other, name, -1));
        }
    }
    assert_ok(stem_iter_close(iter));
    ck_assert_int_eq(n, ENTRIES);
    assert_ok(stem_close(other));
    assert_ok(stem_close(db));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server crash");
    TCase *tcase = add_case(suite, "killed", 600);

    tcase_add_checked_fixture(tcase, start, stop);
    tcase_add_test(tcase, what_is_answered_was_applied_once);
    tcase_add_test(tcase, an_iterator_never_mixes_two_states);
    tcase_add_test(tcase, a_walk_that_resumes_outlives_its_servers);
    return run_suite(suite);
}
