/*
 * One side against others, at the same work in the same run: rows of a table, and of figures
 * for programs. The sides work in slices by turns, in an order that rotates, so that whatever
 * else the machine does meets all of them. A ratio is taken within a round, and the median
 * over the rounds counts. Nothing is judged by the exit status.
 */
#ifndef STEM_BENCH_COMPARE_H
#define STEM_BENCH_COMPARE_H

#include "bench.h"
#include "side.h"

enum { COMPARE_SIDES_MAX = 3 };

/* One kind of work. Side 0 is measured against the others; a target of 0 is none. */
typedef struct comparison {
    const char *what;
    const char *names[COMPARE_SIDES_MAX];
    double targets[COMPARE_SIDES_MAX];       /* of the ratio to that side */
    bench_samples wall[COMPARE_SIDES_MAX];   /* nanoseconds per operation */
    bench_samples ratios[COMPARE_SIDES_MAX]; /* wall time of side 0 over that side's */
    bench_samples
        cpu_ratios[COMPARE_SIDES_MAX]; /* of the calling thread's processor time */
} comparison;

/* One slice of all the work; all slices have about the same. */
typedef void compare_work(void *context, int side, size_t slice, size_t slices);

/* Does the work with each of the first `sides` sides, and adds one round to the row;
 * `operations` is what all slices together have done. */
void compare(comparison *row, size_t round, int sides, compare_work *work, void *context,
             size_t slices, size_t operations);

/* Prints the table of those rows that have rounds, and behind it their figures, each on a line
 * that begins with "figure". */
void compare_print(comparison *rows, size_t n);

/* ---- Databases -------------------------------------------------------------------- */

/* A fresh database for each side. */
typedef struct compare_databases {
    size_t n; /* entries of the workload */
    int sides;
    const side *kinds[COMPARE_SIDES_MAX];
    char *paths[COMPARE_SIDES_MAX];
    side_db *dbs[COMPARE_SIDES_MAX];
} compare_databases;

void compare_open(compare_databases *opened, const side *const *kinds, int sides,
                  const char *dir, const workload *load);
void compare_close(compare_databases *opened);

#endif
