/*
 * What write-back gains over LevelDB's C API with LevelDB's defaults: how many times as fast
 * puts and gets are, and how long single puts take. Each round does the same work on either
 * side, on a fresh database of its own, one side after the other and the first of them by
 * turns, because what one leaves to do in the background must not meet the other. A ratio is
 * taken within a round, and the median over the rounds counts. Nothing is judged by the exit
 * status.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "chart.h"
#include "latency.h"
#include "rival.h"

enum { THREADS = 2, HOT_KEYS = 1000, HOT_PUTS = 1000000 };
enum { MEMORY_KEYS = 10000, MEMORY_GETS = 1000000 };
enum { ZIPF_KEYS = 1000000, ZIPF_OPERATIONS = 1000000 }; /* of each thread */

/* ---- Rows ------------------------------------------------------------------------- */

/* What was measured, on both sides. What is better when smaller is always the ratio of LevelDB's
 * to Stem's. */
typedef struct row {
    const char *what, *unit;
    double least, aim;
    bench_samples sides[RIVALS], ratios;
} row;

enum {
    FLUSHED,
    RETURNED,
    HOT,
    GET_MEMORY,
    GET_BELOW,
    GET_UNVERIFIED,
    GET_DEFAULTS,
    ZIPF,
    OPEN_LOOP,
    APART,
    SATURATED,
    LONGEST,
    ROWS
};

static row rows[ROWS] = {
    [FLUSHED] = {.what = "random puts, flush included",
                 .unit = "ns",
                 .least = 2.0,
                 .aim = 2.5},
    [RETURNED] = {.what = "until the last put returns",
                  .unit = "ns",
                  .least = 3,
                  .aim = 5},
    [HOT] = {.what = "overwrites of hot keys", .unit = "ns", .least = 5, .aim = 10},
    [GET_MEMORY] = {.what = "get of a value in memory",
                    .unit = "ns",
                    .least = 5,
                    .aim = 10},
    [GET_BELOW] = {.what = "get of one not in memory",
                   .unit = "ns",
                   .least = 0.90,
                   .aim = 0.95},
    [GET_UNVERIFIED] = {.what = "the same, with a Bloom filter", .unit = "ns"},
    [GET_DEFAULTS] = {.what = "the same, and verified", .unit = "ns"},
    [ZIPF] = {.what = "2 threads, half puts, Zipf", .unit = "ns", .least = 2.5, .aim = 4},
    [OPEN_LOOP] = {.what = "p99.99 of a put, open loop",
                   .unit = "µs",
                   .least = 10,
                   .aim = 50},
    [APART] = {.what = "the same, its processor its own",
               .unit = "µs",
               .least = 10,
               .aim = 50},
    [SATURATED] = {.what = "p99.99 of a put, saturated",
                   .unit = "µs",
                   .least = 1,
                   .aim = 2},
    [LONGEST] = {.what = "longest put, saturated", .unit = "µs", .least = 1, .aim = 2},
};

static void add(row *to, const double measured[RIVALS])
{
    for (int which = 0; which < RIVALS; which++)
        bench_add(&to->sides[which], measured[which]);
    bench_add(&to->ratios, measured[RIVAL_RAW] / measured[RIVAL_STEM]);
}

static void print_rows(void)
{
    printf("%-32s %6s %6s %8s %7s %7s %12s %12s\n", "what", "least", "aim", "times",
           "from", "to", rival_names[RIVAL_STEM], rival_names[RIVAL_RAW]);
    for (row *each = rows; each < rows + ROWS; each++) {
        const double ratio = bench_median(&each->ratios);

        if (each->ratios.n > 0)
            printf("%-32s %6.2f %6.2f %8.2f %7.2f %7.2f %9.1f %s %9.1f %s  %s\n",
                   each->what, each->least, each->aim, ratio, bench_least(&each->ratios),
                   bench_most(&each->ratios), bench_median(&each->sides[RIVAL_STEM]),
                   each->unit, bench_median(&each->sides[RIVAL_RAW]), each->unit,
                   each->aim == 0         ? ""
                   : ratio >= each->aim   ? "aim met"
                   : ratio >= each->least ? "met"
                                          : "MISSED");
    }
    putchar('\n');
    for (row *each = rows; each < rows + ROWS; each++)
        if (each->ratios.n > 0)
            printf("figure\t%s\t%s\tleast=%.2f\taim=%.2f\tratio=%.3f\tfrom=%.3f\tto=%.3f"
                   "\tstem=%.1f\traw=%.1f\trounds=%zu\n",
                   each->what, each->unit, each->least, each->aim,
                   bench_median(&each->ratios), bench_least(&each->ratios),
                   bench_most(&each->ratios), bench_median(&each->sides[RIVAL_STEM]),
                   bench_median(&each->sides[RIVAL_RAW]), each->ratios.n);
}

/* ---- The work --------------------------------------------------------------------- */

/* What all parts need: keys, a value for each, and orders to take them in. */
typedef struct material {
    const bench_arguments *given;
    size_t memory; /* of write-back, in bytes */
    rival_text *keys, *values;
    uint32_t *zipf[THREADS];
} material;

/* The side whose turn it is in a round. */
static int side_of_turn(size_t round, int turn)
{
    return (int)((round + (size_t)turn) % RIVALS);
}

static double per_operation(uint64_t ns, size_t operations)
{
    return (double)ns / (double)operations;
}

static void put_all(rival *to, const material *with, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rival_put(to, with->keys[i], with->values[i]);
}

static void run_puts(const material *with, size_t round)
{
    const size_t n = with->given->n;
    double returned[RIVALS], flushed[RIVALS];

    for (int turn = 0; turn < RIVALS; turn++) {
        const int which = side_of_turn(round, turn);
        rival to;

        rival_open(&to, which, with->given->dir, with->memory);
        const uint64_t start = bench_wall();
        put_all(&to, with, n);
        returned[which] = per_operation(bench_wall() - start, n);
        rival_flush(&to);
        flushed[which] = per_operation(bench_wall() - start, n);
        rival_close(&to);
    }
    add(&rows[RETURNED], returned);
    add(&rows[FLUSHED], flushed);
}

static void run_hot(const material *with, size_t round)
{
    double taken[RIVALS];

    for (int turn = 0; turn < RIVALS; turn++) {
        const int which = side_of_turn(round, turn);
        rival to;

        rival_open(&to, which, with->given->dir, with->memory);
        const uint64_t start = bench_wall();
        for (size_t i = 0; i < HOT_PUTS; i++)
            rival_put(&to, with->keys[i * 7919 % HOT_KEYS],
                      with->values[i % with->given->n]);
        rival_flush(&to);
        taken[which] = per_operation(bench_wall() - start, HOT_PUTS);
        rival_close(&to);
    }
    add(&rows[HOT], taken);
}

/* The same keys again and again, of a database that lies in tables. The values are equal, for
 * LevelDB keeps only blocks that compress in its cache. */
static void run_get_memory(const material *with, size_t round)
{
    double taken[RIVALS];

    for (int turn = 0; turn < RIVALS; turn++) {
        const int which = side_of_turn(round, turn);
        rival from;

        rival_open(&from, which, with->given->dir, with->memory);
        for (size_t i = 0; i < MEMORY_KEYS; i++)
            rival_put(&from, with->keys[i], with->values[0]);
        rival_compact(&from);
        rival_reopen(&from, with->memory, RIVAL_UNVERIFIED);
        for (size_t i = 0; i < 3 * (size_t)MEMORY_KEYS; i++)
            rival_get(&from, with->keys[i % MEMORY_KEYS]);
        bench_settle();
        const uint64_t start = bench_wall();
        for (size_t i = 0; i < MEMORY_GETS; i++)
            rival_get(&from, with->keys[i * 7919 % MEMORY_KEYS]);
        taken[which] = per_operation(bench_wall() - start, MEMORY_GETS);
        rival_close(&from);
    }
    add(&rows[GET_MEMORY], taken);
}

/* Every key once, so that none is worth keeping. */
static double time_gets(rival *from, const material *with, enum rival_settings settings)
{
    const size_t n = with->given->n;

    rival_reopen(from, with->memory, settings);
    bench_settle();
    const uint64_t start = bench_wall();
    for (size_t i = 0; i < n; i++)
        rival_get(from, with->keys[n - 1 - i]);
    return per_operation(bench_wall() - start, n);
}

/* With the settings of LevelDB's defaults, and with what Stem has in place of them. */
static void run_get_below(const material *with, size_t round)
{
    double as_raw[RIVALS], unverified[RIVALS], defaults[RIVALS];

    for (int turn = 0; turn < RIVALS; turn++) {
        const int which = side_of_turn(round, turn);
        rival from;

        rival_open(&from, which, with->given->dir, with->memory);
        rival_reopen(&from, with->memory,
                     RIVAL_AS_RAW); /* tables are made without filters */
        put_all(&from, with, with->given->n);
        as_raw[which] = unverified[which] = defaults[which] =
            time_gets(&from, with, RIVAL_AS_RAW);
        rival_close(&from);
        if (which == RIVAL_RAW)
            continue;
        rival_open(&from, which, with->given->dir, with->memory);
        put_all(&from, with, with->given->n);
        unverified[which] = time_gets(&from, with, RIVAL_UNVERIFIED);
        defaults[which] = time_gets(&from, with, RIVAL_OWN_DEFAULTS);
        rival_close(&from);
    }
    add(&rows[GET_BELOW], as_raw);
    add(&rows[GET_UNVERIFIED], unverified);
    add(&rows[GET_DEFAULTS], defaults);
}

/* ---- Two threads ------------------------------------------------------------------ */

/* What one thread does to which database. */
typedef struct share {
    rival *to;
    const material *with;
    const uint32_t *order;
} share;

static void *put_and_get(void *argument)
{
    const share *mine = argument;

    for (size_t i = 0; i < ZIPF_OPERATIONS; i++) {
        const char *key = mine->with->keys[mine->order[i]];

        if (i % 2 == 0)
            rival_get(mine->to, key);
        else
            rival_put(mine->to, key, mine->with->values[i % mine->with->given->n]);
    }
    return NULL;
}

static void run_together(rival *to, const material *with)
{
    pthread_t threads[THREADS];
    share shares[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        shares[i] = (share){to, with, with->zipf[i]};
        if (pthread_create(&threads[i], NULL, put_and_get, &shares[i]) != 0)
            bench_die("no thread can be started");
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void run_zipf(const material *with, size_t round)
{
    double taken[RIVALS];

    for (int turn = 0; turn < RIVALS; turn++) {
        const int which = side_of_turn(round, turn);
        rival to;

        rival_open(&to, which, with->given->dir, with->memory);
        put_all(&to, with, ZIPF_KEYS);
        rival_reopen(&to, with->memory, RIVAL_UNVERIFIED);
        bench_settle();
        const uint64_t start = bench_wall();
        run_together(&to, with);
        rival_flush(&to);
        taken[which] = per_operation(bench_wall() - start, ZIPF_OPERATIONS * THREADS);
        rival_close(&to);
    }
    add(&rows[ZIPF], taken);
}

/* ---- Latency ---------------------------------------------------------------------- */

/* Of all rounds; the totals are for the picture. */
static histogram open_loop[RIVALS], apart[RIVALS], saturated[RIVALS];

/* Sums up what was counted. */
static void merge(histogram *to, const histogram *from)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->counts[i] += from->counts[i];
    to->n += from->n;
    if (from->longest > to->longest)
        to->longest = from->longest;
}

static const double tail = 0.9999;

/* What raw LevelDB keeps up over the time of all rounds together. */
static double find_rate(const material *with)
{
    static histogram unused;
    const bench_arguments *given = with->given;
    rival to;

    rival_open(&to, RIVAL_RAW, given->dir, with->memory);
    const double rate = latency_saturate(&to, given->seconds * given->rounds, &unused);
    rival_close(&to);
    printf("raw LevelDB keeps up %.0f puts a second over %zu s\n", rate,
           given->seconds * given->rounds);
    return rate;
}

/* What the machine itself adds in an open loop in which nothing is put. */
static void print_floor(const material *with, double per_second)
{
    static histogram nothing;

    latency_open_loop(NULL, per_second, with->given->seconds, &nothing);
    printf("nothing put at all: p99.99 %.1f µs, longest %.1f µs\n",
           (double)histogram_quantile(&nothing, tail) / 1e3,
           (double)nothing.longest / 1e3);
}

/* With threads where the kernel has them, or the putting one's processor its own. */
static void run_open_loop(const material *with, size_t round, double per_second,
                          bool is_apart)
{
    double taken[RIVALS];

    for (int turn = 0; turn < RIVALS; turn++) {
        const int which = side_of_turn(round, turn);
        histogram *times = bench_alloc(1, sizeof *times);
        rival to;

        rival_open(&to, which, with->given->dir, with->memory);
        if (is_apart)
            latency_set_apart();
        latency_open_loop(&to, per_second, with->given->seconds, times);
        latency_set_free();
        rival_close(&to);
        taken[which] = (double)histogram_quantile(times, tail) / 1e3;
        merge(is_apart ? &apart[which] : &open_loop[which], times);
        free(times);
    }
    add(&rows[is_apart ? APART : OPEN_LOOP], taken);
}

static void run_saturated(const material *with, size_t round)
{
    double taken[RIVALS], longest[RIVALS];

    for (int turn = 0; turn < RIVALS; turn++) {
        const int which = side_of_turn(round, turn);
        histogram *times = bench_alloc(1, sizeof *times);
        rival to;

        rival_open(&to, which, with->given->dir, with->memory);
        latency_saturate(&to, with->given->seconds, times);
        rival_close(&to);
        taken[which] = (double)histogram_quantile(times, tail) / 1e3;
        longest[which] = (double)times->longest / 1e3;
        merge(&saturated[which], times);
        free(times);
    }
    add(&rows[SATURATED], taken);
    add(&rows[LONGEST], longest);
}

static void print_distribution(const char *what, const histogram *sides)
{
    static const double parts[] = {0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999};

    for (int which = 0; which < RIVALS; which++) {
        if (sides[which].n == 0)
            continue;
        printf("%-10s %-5s %10llu puts, µs:", what, rival_names[which],
               (unsigned long long)sides[which].n);
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            printf("  p%g %.1f", parts[i] * 100,
                   (double)histogram_quantile(&sides[which], parts[i]) / 1e3);
        printf("  longest %.1f\n", (double)sides[which].longest / 1e3);
    }
}

static void draw(const char *path)
{
    static const char *const colours[RIVALS] = {"#1b7837", "#b2182b"};
    static const char *const pale[RIVALS] = {"#a6dba0", "#f4a582"};
    const chart_line lines[] = {
        {"Stem, open loop", colours[RIVAL_STEM], false, &open_loop[RIVAL_STEM]},
        {"LevelDB, open loop", colours[RIVAL_RAW], false, &open_loop[RIVAL_RAW]},
        {"Stem, its own core", pale[RIVAL_STEM], false, &apart[RIVAL_STEM]},
        {"LevelDB, its own core", pale[RIVAL_RAW], false, &apart[RIVAL_RAW]},
        {"Stem, saturated", colours[RIVAL_STEM], true, &saturated[RIVAL_STEM]},
        {"LevelDB, saturated", colours[RIVAL_RAW], true, &saturated[RIVAL_RAW]},
    };

    chart_write(path, "How long a put takes, with write-back and without", lines,
                sizeof lines / sizeof *lines);
}

/* ---- Material --------------------------------------------------------------------- */

/* Draws from Zipf's distribution with the exponent 0.99, by bisecting the sums. */
static void draw_zipf(uint32_t *order, const double *sums, uint64_t seed)
{
    for (size_t i = 0; i < ZIPF_OPERATIONS; i++) {
        size_t low = 0, high = ZIPF_KEYS - 1;

        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const double wanted = (double)(seed >> 11) * 0x1p-53 * sums[ZIPF_KEYS - 1];
        while (low < high) {
            const size_t middle = (low + high) / 2;

            if (sums[middle] < wanted)
                low = middle + 1;
            else
                high = middle;
        }
        order[i] = (uint32_t)low;
    }
}

static void make_material(material *made, const bench_arguments *given)
{
    const size_t n = given->n > ZIPF_KEYS ? given->n : ZIPF_KEYS;
    double *sums = bench_alloc(ZIPF_KEYS, sizeof *sums), sum = 0;

    made->given = given;
    made->memory = given->mib << 20;
    made->keys = bench_alloc(n, sizeof *made->keys);
    made->values = bench_alloc(n, sizeof *made->values);
    for (size_t i = 0; i < n; i++) {
        rival_text_of(i, made->keys[i]);
        rival_text_of(~i, made->values[i]);
    }
    for (size_t i = 0; i < ZIPF_KEYS; i++)
        sums[i] = sum += pow((double)(i + 1), -0.99);
    for (size_t i = 0; i < THREADS; i++) {
        made->zipf[i] = bench_alloc(ZIPF_OPERATIONS, sizeof *made->zipf[i]);
        draw_zipf(made->zipf[i], sums, i + 1);
    }
    free(sums);
}

static void free_material(material *made)
{
    free(made->keys);
    free(made->values);
    for (size_t i = 0; i < THREADS; i++)
        free(made->zipf[i]);
}

/* ---- All of it -------------------------------------------------------------------- */

static void run_throughput(const material *with, size_t round)
{
    static const struct {
        const char *name;
        void (*run)(const material *with, size_t round);
    } parts[] = {{"puts", run_puts},
                 {"hot", run_hot},
                 {"memory", run_get_memory},
                 {"below", run_get_below},
                 {"zipf", run_zipf}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (bench_is_wanted(with->given, parts[i].name))
            parts[i].run(with, round);
}

int main(int argc, char **argv)
{
    const bench_arguments defaults = {
        .n = 2000000, .rounds = 7, .seconds = 30, .mib = 64, .graph = "writeback.svg"};
    const bench_arguments given = bench_parse(
        argc, argv, defaults,
        "usage: writeback [-n KEYS] [-r ROUNDS] [-m MEMORY, in MiB] "
        "[-t SECONDS of each measurement of latency] [-g FILE.svg] [-d DIRECTORY] "
        "[-o puts|hot|memory|below|zipf|open|apart|saturated]");
    const bool is_open = bench_is_wanted(&given, "open");
    const bool is_apart = bench_is_wanted(&given, "apart");
    const bool is_saturated = bench_is_wanted(&given, "saturated");
    material with;
    double rate = 0;

    make_material(&with, &given);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (is_open || is_apart) {
        rate = find_rate(&with);
        print_floor(&with, rate / 2);
    }
    for (size_t round = 0; round < given.rounds; round++) {
        fprintf(stderr, "round %zu of %zu\n", round + 1, given.rounds);
        run_throughput(&with, round);
        if (is_open)
            run_open_loop(&with, round, rate / 2, false);
        if (is_apart)
            run_open_loop(&with, round, rate / 2, true);
        if (is_saturated)
            run_saturated(&with, round);
    }
    printf(
        "%zu keys, %zu MiB for write-back, medians of %zu rounds; how many times as fast "
        "as raw\n\n",
        given.n, given.mib, given.rounds);
    print_rows();
    putchar('\n');
    print_distribution("open loop", open_loop);
    print_distribution("apart", apart);
    print_distribution("saturated", saturated);
    if (is_open || is_apart || is_saturated)
        draw(given.graph);
    free_material(&with);
    return EXIT_SUCCESS;
}
