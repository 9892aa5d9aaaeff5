/*
 * Processes that end without closing what they have open with write-back: a normal end writes all
 * that was answered, and a child's writes nothing of its parent's.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "stem.h"
#include "support.h"

enum { KEYS = 500 };

/* Nothing is written because time has passed. */
static const stem_options options = {.writeback_bytes = 1 << 20, .writeback_ms = 60000};

static stem_db *at_exit_db;
static const char *dir;

/* The processes here end with everything open, which is what is tested. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static void put_keys(stem_db *db, int n)
{
    for (int i = 0; i < n; i++) {
        char name[32];

        snprintf(name, sizeof name, "%d", i);
        must_ok(stem_put(db, name, i));
    }
}

static void assert_keys(const char *path, uint64_t n)
{
    uint64_t found = 0;
    stem_db *db;

    assert_ok(stem_open(&db, path, NULL));
    assert_ok(stem_count(db, NULL, &found));
    ck_assert_uint_eq(found, n);
    assert_ok(stem_close(db));
}

/* ---- Ends that write ----------------------------------------------------------------- */

static void end_plainly(void *path)
{
    stem_db *db;

    must_ok(stem_open(&db, path, &options));
    put_keys(db, KEYS);
    exit(0);
}

/* With everything open that there is. */
static void end_with_all_open(void *path)
{
    stem_db *db, *sub;

    must_ok(stem_open(&db, path, &options));
    put_keys(db, KEYS - 2);
    sub = stem_sub(db, "sub");
    stem_iter *iter = stem_iter_open(db, NULL);
    must(stem_iter_next(iter) && stem_snapshot(db));
    must_ok(stem_put(sub, "key", 1));
    must_ok(stem_batch_put(stem_batch_new(db), db, "never committed", 1));
    must_ok(stem_close(db));
    must_ok(stem_put(sub, "last", 1));
    exit(0);
}

static void put_at_exit(void)
{
    put_keys(at_exit_db, KEYS);
}

static void end_with_a_late_put(void *path)
{
    atexit(put_at_exit);
    must_ok(stem_open(&at_exit_db, path, &options));
    exit(0);
}

static void *exit_elsewhere(void *unused)
{
    (void)unused;
    exit(0);
}

static void end_by_a_thread(void *path)
{
    pthread_t thread;
    stem_db *db;

    must_ok(stem_open(&db, path, &options));
    put_keys(db, KEYS);
    must(pthread_create(&thread, NULL, exit_elsewhere, NULL) == 0);
    pthread_join(thread, NULL);
}

static void *put_for_ever(void *db)
{
    for (int i = 0;; i++)
        stem_put(stem_sub(db, "thread"), "key", i);
    return NULL;
}

/* The count is that of the keys and of one more. */
static void end_beside_threads(void *path)
{
    pthread_t threads[3];
    stem_db *db;

    must_ok(stem_open(&db, path, &options));
    put_keys(db, KEYS - 1);
    stem_db *sub = stem_sub(db, "thread");
    must_ok(stem_put(sub, "key", 1));
    for (int i = 0; i < 3; i++)
        must(pthread_create(&threads[i], NULL, put_for_ever, db) == 0);
    pause_ms(20);
    exit(0);
}

static void (*const ends[])(void *) = {end_plainly, end_with_all_open,
                                       end_with_a_late_put, end_by_a_thread,
                                       end_beside_threads};

START_TEST(a_normal_end_writes_what_is_in_memory)
{
    const char *path = path_in(temp_dir(), "d");

    assert_child_ends_well(start_child(ends[_i], (void *)path));
    assert_keys(path, KEYS);
}
END_TEST

static void end_with_several(void *unused)
{
    (void)unused;
    for (int i = 0; i < 5; i++) {
        char name[32];
        stem_db *db;

        snprintf(name, sizeof name, "d%d", i);
        must_ok(stem_open(&db, path_in(dir, name), i == 2 ? NULL : &options));
        put_keys(db, KEYS);
        if (i == 3)
            must_ok(stem_close(db));
    }
    exit(0);
}

START_TEST(all_databases_are_written)
{
    dir = temp_dir();
    assert_child_ends_well(start_child(end_with_several, NULL));
    for (int i = 0; i < 5; i++) {
        char name[32];

        snprintf(name, sizeof name, "d%d", i);
        assert_keys(path_in(dir, name), KEYS);
    }
}
END_TEST

/* ---- Ends that do not ------------------------------------------------------------------ */

static void let_a_child_end(void *path)
{
    int status;
    stem_db *db;

    must_ok(stem_open(&db, path, &options));
    put_keys(db, KEYS);
    const pid_t child = fork();
    if (child == 0)
        exit(0);
    must(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    must_ok(stem_put(db, "after", 1));
    raise(SIGKILL);
}

START_TEST(a_child_that_ends_writes_nothing_of_its_parents)
{
    const char *path = path_in(temp_dir(), "d");

    assert_child_killed(start_child(let_a_child_end, (void *)path), SIGKILL);
    assert_keys(path, 0);
}
END_TEST

static void end_abruptly(void *path)
{
    stem_db *db;

    must_ok(stem_open(&db, path, &options));
    put_keys(db, KEYS);
    _exit(0);
}

START_TEST(an_abrupt_end_writes_nothing)
{
    const char *path = path_in(temp_dir(), "d");

    assert_child_ends_well(start_child(end_abruptly, (void *)path));
    assert_keys(path, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exit");
    TCase *tcase = add_case(suite, "exit", 30);

    tcase_add_loop_test(tcase, a_normal_end_writes_what_is_in_memory, 0,
                        (int)(sizeof ends / sizeof *ends));
    tcase_add_test(tcase, all_databases_are_written);
    tcase_add_test(tcase, a_child_that_ends_writes_nothing_of_its_parents);
    tcase_add_test(tcase, an_abrupt_end_writes_nothing);
    return run_suite(suite);
}
