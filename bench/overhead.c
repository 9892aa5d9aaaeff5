/*
 * What Stem costs over LevelDB: against the raw C API writing and reading the very same bytes,
 * and against hand-glued code, in one process. In each round every side has its own fresh
 * database; see compare.h for the rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "compare.h"
#include "side.h"

enum { SIDES = 3, SLICES = 12, WALKS = 3, ARRAYS = 1000, ARRAY_PASSES = 10 };

static const side *const sides[SIDES] = {&side_stem, &side_raw, &side_glued};

#define NAMES                                                                            \
    {                                                                                    \
        "stem", "raw", "glued"                                                           \
    }
enum { PUT, GET, ARRAY, DENSE_ARRAY, WALK, DEEP, ROWS };

static comparison rows[ROWS] = {
    [PUT] = {.what = "put an integer or a short string",
             .names = NAMES,
             .targets = {0, 1.05, 1.00}},
    [GET] = {.what = "get one, typed", .names = NAMES, .targets = {0, 1.05, 1.00}},
    [ARRAY] = {.what = "get a 1,000-element f64 array",
               .names = NAMES,
               .targets = {0, 1.02, 0.90}},
    [DENSE_ARRAY] = {.what = "the same, of dense doubles",
                     .names = NAMES,
                     .targets = {0, 1.02, 0.90}},
    [WALK] = {.what = "walk everything, key and typed value",
              .names = NAMES,
              .targets = {0, 1.50, 1.00}},
    [DEEP] = {.what = "put ten levels deep", .names = NAMES, .targets = {0, 1.05, 1.00}},
};

/* ---- Kinds of work ---------------------------------------------------------------- */

/* What the kinds of work are given. */
typedef struct task {
    compare_databases databases;
    size_t n; /* entries or arrays */
} task;

static void put_slice(void *context, int i, size_t slice, size_t slices)
{
    task *given = context;

    sides[i]->put(given->databases.dbs[i], given->n * slice / slices,
                  given->n * (slice + 1) / slices);
}

static void get_slice(void *context, int i, size_t slice, size_t slices)
{
    task *given = context;

    sides[i]->get(given->databases.dbs[i], given->n * slice / slices,
                  given->n * (slice + 1) / slices);
}

/* A slice is all of it, once more. */
static void walk_all(void *context, int i, size_t slice, size_t slices)
{
    task *given = context;

    (void)slice;
    (void)slices;
    sides[i]->walk(given->databases.dbs[i]);
}

static void get_arrays(void *context, int i, size_t slice, size_t slices)
{
    task *given = context;

    (void)slice;
    (void)slices;
    for (int pass = 0; pass < ARRAY_PASSES; pass++)
        sides[i]->get_arrays(given->databases.dbs[i], given->n);
}

/* ---- Rounds ----------------------------------------------------------------------- */

static void run_entries(const bench_arguments *given, const workload *load, size_t round)
{
    task work = {.n = load->n};

    compare_open(&work.databases, sides, SIDES, given->dir, load);
    compare(&rows[PUT], round, SIDES, put_slice, &work, SLICES, load->n);
    compare(&rows[GET], round, SIDES, get_slice, &work, SLICES, load->n);
    compare(&rows[WALK], round, SIDES, walk_all, &work, WALKS, load->n * WALKS);
    compare_close(&work.databases);
}

static void run_arrays(const bench_arguments *given, workload *load, size_t round,
                       comparison *row, bool is_dense)
{
    task work = {.n = load->n < ARRAYS ? load->n : ARRAYS};

    load->has_dense_arrays = is_dense;
    compare_open(&work.databases, sides, SIDES, given->dir, load);
    for (int i = 0; i < SIDES; i++) {
        sides[i]->put_arrays(work.databases.dbs[i], work.n);
        sides[i]->get_arrays(work.databases.dbs[i], work.n);
    }
    compare(row, round, SIDES, get_arrays, &work, SLICES, work.n * ARRAY_PASSES * SLICES);
    compare_close(&work.databases);
}

static void run_deep(const bench_arguments *given, const workload *load, size_t round)
{
    task work = {.n = load->n};

    compare_open(&work.databases, sides, SIDES, given->dir, load);
    compare(&rows[DEEP], round, SIDES, put_slice, &work, SLICES, load->n);
    compare_close(&work.databases);
}

/* ---- Deriving --------------------------------------------------------------------- */

/* Deriving and closing a sub-database against malloc and free of 128 bytes. */
static void run_derive(const bench_arguments *given, bench_samples *ratios,
                       bench_samples derived, bench_samples allocated)
{
    enum { TIMES = 2000000, BYTES = 128, TARGET = 4 };
    char *path = bench_directory(given->dir);
    stem_db *db;

    if (stem_open(&db, path, NULL) != STEM_OK)
        bench_die("open: %s", stem_errmsg());
    for (size_t round = 0; round < given->rounds; round++) {
        bench_time start = bench_now();

        for (int i = 0; i < TIMES; i++)
            stem_close(stem_sub(db, "users"));
        uint64_t derive = bench_since(start).wall;
        start = bench_now();
        for (int i = 0; i < TIMES; i++) {
            void *volatile block = malloc(BYTES);

            free(block);
        }
        uint64_t allocate = bench_since(start).wall;
        bench_add(ratios, (double)derive / (double)allocate);
        bench_add(&derived, (double)derive / TIMES);
        bench_add(&allocated, (double)allocate / TIMES);
    }
    stem_close(db);
    bench_remove(path);
    double ratio = bench_median(ratios);
    printf("derive and close a sub-database: %.1f ns, malloc and free of %d bytes: "
           "%.1f ns; ratio %.2f (%.2f to %.2f), target %d: %s\n",
           bench_median(&derived), BYTES, bench_median(&allocated), ratio,
           bench_least(ratios), bench_most(ratios), TARGET,
           ratio <= TARGET ? "met" : "MISSED");
    printf("figure\tderive and close a sub-database\tmalloc\ttarget=%d\tratio=%.3f"
           "\tleast=%.3f\tmost=%.3f\trounds=%zu\n",
           TARGET, ratio, bench_least(ratios), bench_most(ratios), ratios->n);
}

/* ---- All of it -------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    const bench_arguments defaults = {.n = 1000000, .rounds = 11};
    const bench_arguments given =
        bench_parse(argc, argv, defaults,
                    "usage: overhead [-n KEYS] [-r ROUNDS] [-d DIRECTORY] "
                    "[-o entries|arrays|deep|derive]");
    workload *shallow = workload_make(given.n, 1);
    workload *deep = workload_make(given.n, LEVELS_MAX);
    bench_samples ratios = {0}, none = {0};

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t round = 0; round < given.rounds; round++) {
        fprintf(stderr, "round %zu of %zu\n", round + 1, given.rounds);
        if (bench_is_wanted(&given, "entries"))
            run_entries(&given, shallow, round);
        if (bench_is_wanted(&given, "arrays")) {
            run_arrays(&given, shallow, round, &rows[ARRAY], false);
            run_arrays(&given, shallow, round, &rows[DENSE_ARRAY], true);
        }
        if (bench_is_wanted(&given, "deep"))
            run_deep(&given, deep, round);
    }
    printf("%zu keys, medians of %zu rounds; Stem's time over the other side's\n\n",
           given.n, given.rounds);
    compare_print(rows, ROWS);
    if (bench_is_wanted(&given, "derive"))
        run_derive(&given, &ratios, none, none);
    workload_free(shallow);
    workload_free(deep);
    return EXIT_SUCCESS;
}
