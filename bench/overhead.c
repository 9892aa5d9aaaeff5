/*
 * What Stem costs over LevelDB: against the raw C API writing and reading the very same bytes,
 * and against hand-glued code, in one process.
 *
 * In each round every side has its own fresh database. The sides do the same work in slices
 * by turns, in an order that rotates, with LevelDB at rest in between. A ratio is taken
 * within a round, and the median over the rounds counts. It prints a table for people and
 * lines that begin with "figure" for programs, and judges nothing by its exit status.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "side.h"

enum { STEM, RAW, GLUED, SIDES };
enum { SLICES = 10, WALKS = 3, ARRAYS = 1000, ARRAY_PASSES = 10, THREADS = 2 };

static const side *const sides[SIDES] = {&side_stem, &side_raw, &side_glued};

/* ---- Rows of the table ------------------------------------------------------------ */

/* One kind of work. A target of 0 is none. */
typedef struct row {
    const char *what;
    double targets[SIDES];           /* of the ratio to that side */
    bench_samples wall[SIDES];       /* nanoseconds per operation */
    bench_samples ratios[SIDES];     /* Stem's wall time over that side's */
    bench_samples cpu_ratios[SIDES]; /* the same of this thread's processor time */
} row;

enum { PUT, GET, ARRAY, DENSE_ARRAY, WALK, DEEP, TOGETHER, ROWS };

static row rows[ROWS] = {
    [PUT] = {.what = "put an integer or a short string", .targets = {0, 1.05, 1.00}},
    [GET] = {.what = "get one, typed", .targets = {0, 1.05, 1.00}},
    [ARRAY] = {.what = "get a 1,000-element f64 array", .targets = {0, 1.02, 0.90}},
    [DENSE_ARRAY] = {.what = "the same, of dense doubles", .targets = {0, 1.02, 0.90}},
    [WALK] = {.what = "walk everything, key and typed value", .targets = {0, 1.50, 1.00}},
    [DEEP] = {.what = "put ten levels deep", .targets = {0, 1.05, 1.00}},
    [TOGETHER] = {.what = "put from two threads at once", .targets = {0, 1 / 0.95, 0}},
};

/* One slice of all the work, of `n` entries; all slices have about the same. */
typedef void work(const side *which, side_db *db, size_t n, size_t slice, size_t slices);

static void add_times(row *measured, const bench_time taken[SIDES],
                      side_db *const dbs[SIDES], size_t operations)
{
    for (int i = 0; i < SIDES; i++) {
        if (!dbs[i])
            continue;
        bench_add(&measured->wall[i], (double)taken[i].wall / (double)operations);
        bench_add(&measured->ratios[i], (double)taken[STEM].wall / (double)taken[i].wall);
        bench_add(&measured->cpu_ratios[i],
                  (double)taken[STEM].cpu / (double)taken[i].cpu);
    }
}

/* Lets the sides do their work in slices by turns, in an order that rotates, so that what else
 * the machine does meets all of them. */
static void measure(row *measured, size_t round, side_db *const dbs[SIDES], work *do_work,
                    size_t n, size_t slices, size_t operations)
{
    static const int orders[6][SIDES] = {{STEM, RAW, GLUED}, {GLUED, RAW, STEM},
                                         {RAW, GLUED, STEM}, {STEM, GLUED, RAW},
                                         {GLUED, STEM, RAW}, {RAW, STEM, GLUED}};
    bench_time taken[SIDES] = {{0, 0}};

    for (size_t slice = 0; slice < slices; slice++)
        for (int i = 0; i < SIDES; i++) {
            int which = orders[(round + slice) % 6][i];

            if (!dbs[which])
                continue;
            bench_settle();
            bench_time start = bench_now();
            do_work(sides[which], dbs[which], n, slice, slices);
            bench_time passed = bench_since(start);
            taken[which].wall += passed.wall;
            taken[which].cpu += passed.cpu;
        }
    add_times(measured, taken, dbs, operations);
}

static void print_row(row *done)
{
    for (int i = RAW; i < SIDES; i++) {
        if (done->ratios[i].n == 0)
            continue;
        double ratio = bench_median(&done->ratios[i]), target = done->targets[i];
        const char *verdict = target == 0 ? "" : ratio <= target ? "met" : "MISSED";

        printf("%-38s %-6s %6.3f  %6.3f %6.3f  %6.3f  %6.3f  %7.0f %7.0f  %s\n",
               i == RAW ? done->what : "", sides[i]->name, target, ratio,
               bench_median(&done->cpu_ratios[i]), bench_least(&done->ratios[i]),
               bench_most(&done->ratios[i]), bench_median(&done->wall[STEM]),
               bench_median(&done->wall[i]), verdict);
    }
}

static void print_figures(row *done)
{
    for (int i = RAW; i < SIDES; i++) {
        if (done->ratios[i].n == 0)
            continue;
        printf("figure\t%s\t%s\ttarget=%.3f\tratio=%.3f\tcpu=%.3f\tleast=%.3f\tmost=%.3f"
               "\tstem_ns=%.1f\tother_ns=%.1f\trounds=%zu\n",
               done->what, sides[i]->name, done->targets[i],
               bench_median(&done->ratios[i]), bench_median(&done->cpu_ratios[i]),
               bench_least(&done->ratios[i]), bench_most(&done->ratios[i]),
               bench_median(&done->wall[STEM]), bench_median(&done->wall[i]),
               done->ratios[i].n);
    }
}

/* ---- Kinds of work ---------------------------------------------------------------- */

static void put_slice(const side *which, side_db *db, size_t n, size_t slice,
                      size_t slices)
{
    which->put(db, n * slice / slices, n * (slice + 1) / slices);
}

static void get_slice(const side *which, side_db *db, size_t n, size_t slice,
                      size_t slices)
{
    which->get(db, n * slice / slices, n * (slice + 1) / slices);
}

/* A slice is all of it, once more. */
static void walk_all(const side *which, side_db *db, size_t n, size_t slice,
                     size_t slices)
{
    (void)n;
    (void)slice;
    (void)slices;
    which->walk(db);
}

static void get_arrays(const side *which, side_db *db, size_t n, size_t slice,
                       size_t slices)
{
    (void)slice;
    (void)slices;
    for (int pass = 0; pass < ARRAY_PASSES; pass++)
        which->get_arrays(db, n);
}

typedef struct part {
    const side *which;
    side_db *db;
    size_t first, end;
} part;

static void *put_part(void *argument)
{
    part *mine = argument;

    mine->which->put(mine->db, mine->first, mine->end);
    return NULL;
}

static void put_together(const side *which, side_db *db, size_t n, size_t slice,
                         size_t slices)
{
    pthread_t threads[THREADS];
    part parts[THREADS];
    const size_t start = n * slice / slices, len = n * (slice + 1) / slices - start;

    for (size_t i = 0; i < THREADS; i++) {
        parts[i] =
            (part){which, db, start + len * i / THREADS, start + len * (i + 1) / THREADS};
        if (pthread_create(&threads[i], NULL, put_part, &parts[i]) != 0)
            bench_die("no thread can be started");
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* ---- Rounds ----------------------------------------------------------------------- */

typedef struct round_of_databases {
    char *paths[SIDES];
    side_db *dbs[SIDES];
} round_of_databases;

/* `glued` false leaves that side out. */
static void open_round(round_of_databases *opened, const char *dir, const workload *load,
                       bool glued)
{
    for (int i = 0; i < SIDES; i++) {
        bool is_in = i != GLUED || glued;

        opened->paths[i] = is_in ? bench_directory(dir) : NULL;
        opened->dbs[i] =
            is_in ? sides[i]->open(opened->paths[i], &side_options, load) : NULL;
    }
}

static void close_round(round_of_databases *opened)
{
    for (int i = 0; i < SIDES; i++)
        if (opened->dbs[i]) {
            sides[i]->close(opened->dbs[i]);
            bench_remove(opened->paths[i]);
        }
}

static void run_entries(const bench_arguments *given, const workload *load, size_t round)
{
    round_of_databases opened;

    open_round(&opened, given->dir, load, true);
    measure(&rows[PUT], round, opened.dbs, put_slice, load->n, SLICES, load->n);
    measure(&rows[GET], round, opened.dbs, get_slice, load->n, SLICES, load->n);
    measure(&rows[WALK], round, opened.dbs, walk_all, load->n, WALKS, load->n * WALKS);
    close_round(&opened);
}

static void run_arrays(const bench_arguments *given, workload *load, size_t round,
                       row *measured, bool is_dense)
{
    size_t n = load->n < ARRAYS ? load->n : ARRAYS;
    round_of_databases opened;

    load->has_dense_arrays = is_dense;
    open_round(&opened, given->dir, load, true);
    for (int i = 0; i < SIDES; i++) {
        sides[i]->put_arrays(opened.dbs[i], n);
        sides[i]->get_arrays(opened.dbs[i], n);
    }
    measure(measured, round, opened.dbs, get_arrays, n, SLICES,
            n * ARRAY_PASSES * SLICES);
    close_round(&opened);
}

static void run_put(const bench_arguments *given, const workload *load, size_t round,
                    row *measured, work *do_work, bool glued)
{
    round_of_databases opened;

    open_round(&opened, given->dir, load, glued);
    measure(measured, round, opened.dbs, do_work, load->n, SLICES, load->n);
    close_round(&opened);
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

static bool is_wanted(const bench_arguments *given, const char *part_name)
{
    return !given->only || strcmp(given->only, part_name) == 0;
}

int main(int argc, char **argv)
{
    const bench_arguments defaults = {.n = 1000000, .rounds = 11};
    const bench_arguments given =
        bench_parse(argc, argv, defaults,
                    "usage: overhead [-n KEYS] [-r ROUNDS] [-d DIRECTORY] "
                    "[-o entries|arrays|deep|together|derive]");
    workload *shallow = workload_make(given.n, 1);
    workload *deep = workload_make(given.n, LEVELS_MAX);
    bench_samples ratios = {0}, none = {0};

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t round = 0; round < given.rounds; round++) {
        fprintf(stderr, "round %zu of %zu\n", round + 1, given.rounds);
        if (is_wanted(&given, "entries"))
            run_entries(&given, shallow, round);
        if (is_wanted(&given, "arrays")) {
            run_arrays(&given, shallow, round, &rows[ARRAY], false);
            run_arrays(&given, shallow, round, &rows[DENSE_ARRAY], true);
        }
        if (is_wanted(&given, "deep"))
            run_put(&given, deep, round, &rows[DEEP], put_slice, true);
        if (is_wanted(&given, "together"))
            run_put(&given, shallow, round, &rows[TOGETHER], put_together, false);
    }
    printf("%zu keys, medians of %zu rounds; Stem's time over the other side's\n\n",
           given.n, given.rounds);
    printf("%-38s %-6s %6s  %6s %6s  %6s  %6s  %7s %7s\n", "what", "side", "target",
           "ratio", "cpu", "least", "most", "stem/ns", "side/ns");
    for (int i = 0; i < ROWS; i++)
        print_row(&rows[i]);
    putchar('\n');
    for (int i = 0; i < ROWS; i++)
        print_figures(&rows[i]);
    if (is_wanted(&given, "derive"))
        run_derive(&given, &ratios, none, none);
    workload_free(shallow);
    workload_free(deep);
    return EXIT_SUCCESS;
}
