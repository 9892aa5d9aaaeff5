/*
 * Many threads that open, use, sync, close and destroy the same few directories at once,
 * in this process and another: each answer is one that the moment allows, and no time is
 * lost.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "stem.h"
#include "support.h"

enum { THREADS = 8, DIRECTORIES = 3 };

typedef struct worker {
    pthread_t thread;
    unsigned seed;
    const char *const *paths;
    double seconds;
    int opens, destroys;
    char problem[1200];
} worker;

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Notes the first answer that is none of those allowed. */
static bool is_allowed(worker *me, const char *what, int code, int one, int other)
{
    if (code == STEM_OK || code == one || code == other)
        return true;
    if (!*me->problem)
        snprintf(me->problem, sizeof me->problem, "%s answered %s: %s", what,
                 stem_strerror(code), stem_errmsg());
    return false;
}

/* What a thread does with a handle of its own, whatever others do. */
static void use(worker *me, stem_db *db)
{
    stem_db *sub = stem_sub(db, "thread");
    char key[16];
    int64_t n = -1;
    const int value = rand_r(&me->seed) % 1000;

    snprintf(key, sizeof key, "%p", (void *)me);
    is_allowed(me, "put", stem_put(sub, key, value), STEM_OK, STEM_OK);
    is_allowed(me, "get", stem_get_int(sub, key, &n), STEM_OK, STEM_OK);
    if (n != value && !*me->problem)
        snprintf(me->problem, sizeof me->problem, "read %lld after putting %d",
                 (long long)n, value);
    switch (rand_r(&me->seed) % 6) {
    case 0:
        is_allowed(me, "sync", stem_sync(db), STEM_OK, STEM_OK);
        break;
    case 1: {
        stem_db *snapshot = stem_snapshot(sub);
        stem_iter *iter = stem_iter_open(snapshot, NULL);

        stem_close(snapshot);
        while (stem_iter_next(iter))
            ;
        is_allowed(me, "walk", stem_iter_close(iter), STEM_OK, STEM_OK);
        break;
    }
    case 2: {
        stem_statistics stats;

        is_allowed(me, "stats", stem_stats(db, &stats), STEM_OK, STEM_OK);
        break;
    }
    case 3:
        is_allowed(me, "compact", stem_compact(sub), STEM_OK, STEM_OK);
        break;
    default:
        break;
    }
    stem_close(db);
    is_allowed(me, "put", stem_put(sub, key, value), STEM_OK, STEM_OK);
    stem_close(sub);
}

static void *work(void *argument)
{
    worker *me = argument;

    for (double end = now() + me->seconds; now() < end && !*me->problem;) {
        const char *path = me->paths[rand_r(&me->seed) % DIRECTORIES];
        stem_db *db;
        int code;

        if (rand_r(&me->seed) % 4 == 0) {
            code = stem_destroy(path);
            /* Another process may have made it again before its directory was gone. */
            is_allowed(me, "destroy", code == STEM_EXISTS ? STEM_OK : code, STEM_NOTFOUND,
                       STEM_ELOCKED);
            me->destroys += code == STEM_OK;
            continue;
        }
        code = stem_open(&db, path,
                         rand_r(&me->seed) % 4 == 0 ? STEM_OPTIONS(.must_exist = true)
                                                    : NULL);
        if (is_allowed(me, "open", code, STEM_NOTFOUND, STEM_ELOCKED) &&
            code == STEM_OK) {
            me->opens++;
            use(me, db);
        }
    }
    return NULL;
}

/* Runs the threads and answers with the first problem of any, NULL for none. Alone, they
 * must have come to open and to destroy. */
static const char *run_threads(const char *const *paths, unsigned seed, double seconds,
                               bool alone)
{
    static worker workers[THREADS];
    const char *problem = NULL;
    int opens = 0, destroys = 0;

    for (int i = 0; i < THREADS; i++) {
        workers[i] =
            (worker){.seed = seed + (unsigned)i, .paths = paths, .seconds = seconds};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            return "no thread";
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        opens += workers[i].opens;
        destroys += workers[i].destroys;
        if (*workers[i].problem && !problem)
            problem = workers[i].problem;
    }
    if (!problem && alone && (opens == 0 || destroys == 0))
        problem = "nothing was opened, or nothing destroyed";
    return problem;
}

static const char *paths[DIRECTORIES];

static void run_as_child(void *argument)
{
    const char *problem = run_threads(paths, *(unsigned *)argument, 1.5, false);

    if (problem)
        fprintf(stderr, "in a child: %s\n", problem);
    must(problem == NULL);
}

static void make_paths(void)
{
    const char *dir = temp_dir();

    for (int i = 0; i < DIRECTORIES; i++) {
        char name[8];

        snprintf(name, sizeof name, "d%d", i);
        paths[i] = path_in(dir, name);
    }
}

START_TEST(threads_share_and_destroy_directories)
{
    make_paths();
    const char *problem = run_threads(paths, 1, 2, true);
    ck_assert_msg(problem == NULL, "%s", problem);
}
END_TEST

START_TEST(processes_contend_for_directories)
{
    pid_t children[2];

    make_paths();
    for (unsigned i = 0; i < 2; i++) {
        unsigned seed = 100 * (i + 1);

        children[i] = start_child(run_as_child, &seed);
    }
    for (int i = 0; i < 2; i++)
        assert_child_ends_well(children[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stress");
    TCase *stress = add_case(suite, "stress", 60);

    tcase_add_test(stress, threads_share_and_destroy_directories);
    tcase_add_test(stress, processes_contend_for_directories);
    return run_suite(suite);
}
