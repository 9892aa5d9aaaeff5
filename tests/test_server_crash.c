/*
 * Clients of a server that is killed again and again: every operation that is answered has been
 * applied exactly once, and none fails. STEM_TEST_KILLS says how often.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "place.h"
#include "process.h"
#include "random.h"

enum { CLIENTS = 4, KILLS = 40 };

static char where[512], listen_at[512];
static const char *directory;
static pid_t server;
static atomic_bool is_over;

/* The tool of this build, in a process that knows nothing of this one. */
static void start_server(void)
{
    const char *build = getenv("STEM_BUILD");
    char tool[512];

    snprintf(tool, sizeof tool, "%s/stem", build ? build : ".");
    server = fork();
    ck_assert_int_ge(server, 0);
    if (server > 0)
        return;
    if (!freopen("/dev/null", "w", stdout))
        _exit(1);
    execl(tool, tool, "serve", directory, "--listen", listen_at, (char *)NULL);
    _exit(127);
}

/* The server alone is killed, and not the script of libtool's that has started it. */
static void kill_server(int signal_number)
{
    int status;

    ck_assert_int_eq(kill(server, signal_number), 0);
    ck_assert_int_eq(waitpid(server, &status, 0), server);
    ck_assert_int_ne(WIFEXITED(status) ? WEXITSTATUS(status) : 0, 127);
}

static void start(void)
{
    directory = path_in(temp_dir(), "db");
    snprintf(listen_at, sizeof listen_at, "unix:%s", path_in(temp_dir(), "socket"));
    snprintf(where, sizeof where, "%s", listen_at);
    atomic_store(&is_over, false);
    start_server();
}

static void stop(void)
{
    kill_server(SIGTERM);
}

/* A server that has been started just now may not listen yet. */
static stem_db *open_served(void)
{
    enum { TRIES = 1000, PAUSE_US = 10000 };
    stem_db *db = NULL;

    for (int i = 0; i < TRIES && stem_open(&db, where, NULL) != STEM_OK; i++)
        usleep(PAUSE_US);
    ck_assert_msg(db, "%s", stem_errmsg());
    return db;
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
        const int code = stem_pop_first(queue, wanted, &entries, &n);
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
    stem_db *db = open_served();
    int64_t counter, increments = 0, left = 0;
    uint64_t count;

    for (unsigned i = 0; i < CLIENTS; i++) {
        /* Two share one client, whose slots they take by turns. */
        works[i] = (work){.db = i % 2 ? stem_dup(db) : open_served(), .number = i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work_on, &works[i]), 0);
    }
    for (unsigned long i = 0; i < kills; i++) {
        usleep((useconds_t)(20000 + random_below(80000)));
        kill_server(SIGKILL);
        start_server();
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

START_TEST(an_iterator_never_mixes_two_states)
{
    enum { ENTRIES = 20000 };
    stem_db *db = open_served();
    stem_batch *batch = stem_batch_new(db);
    char name[16];
    int n = 0;

    for (int i = 0; i < ENTRIES; i++) {
        snprintf(name, sizeof name, "%06d", i);
        assert_ok(stem_batch_put(batch, db, name, i));
    }
    assert_ok(stem_batch_commit(batch, false));
    stem_batch_free(batch);
    stem_iter *iter = stem_iter_open(db, NULL);
    ck_assert(stem_iter_next(iter));
    n++;
    kill_server(SIGKILL);
    start_server();
    stem_db *other = open_served();
    assert_ok(stem_clear(other, NULL));
    assert_ok(stem_close(other));
    while (stem_iter_next(iter)) {
        ck_assert_int_eq(stem_iter_value(iter)->as.integer, n);
        n++;
    }
    ck_assert_int_lt(n, ENTRIES);
    assert_code(stem_iter_close(iter), STEM_EGONE);
    stem_db *snapshot = stem_snapshot(db);
    ck_assert_ptr_nonnull(snapshot);
    kill_server(SIGKILL);
    start_server();
    assert_code(stem_has(snapshot, "000001"), STEM_EGONE);
    stem_close(snapshot);
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
    return run_suite(suite);
}
