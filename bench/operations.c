/*
 * What the operations cost over LevelDB's C API: a batch against a write batch of the same
 * bytes, a counter against a get and a put under a mutex, puts from two threads against the
 * same from two threads; and many keys at once against one after the other. See compare.h.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "compare.h"

enum { STEM, RAW, SIDES, SLICES = 10, THREADS = 2 };
enum { BATCH = 1000, COUNTERS = 1000, INCREMENTS = 500000, MANY = 100 };

static const side *const sides[SIDES] = {&side_stem, &side_raw};

enum { BATCHES, INCR, TOGETHER, GET_MANY, ROWS };

static comparison rows[ROWS] = {
    [BATCHES] = {.what = "a batch of 1,000 puts",
                 .names = {"stem", "raw"},
                 .targets = {0, 1.05}},
    [INCR] = {.what = "stem_incr", .names = {"stem", "get, put"}, .targets = {0, 1.15}},
    [TOGETHER] = {.what = "put from two threads at once",
                  .names = {"stem", "raw"},
                  .targets = {0, 1 / 0.95}},
    [GET_MANY] = {.what = "stem_get_many of 100 keys",
                  .names = {"stem", "100 gets"},
                  .targets = {0, 1.00}},
};

static void check(int code, const char *operation)
{
    if (code != STEM_OK)
        bench_die("%s answered %s: %s", operation, stem_strerror(code), stem_errmsg());
}

/* Both sides' databases, opened by hand: what these kinds of work need is not a side's. */
typedef struct pair {
    const workload *load;
    char *stem_path, *raw_path;
    stem_db *db, *place;
    stem_batch *batch;
    plain_leveldb raw;
    leveldb_writebatch_t *raw_batch;
    pthread_mutex_t mutex;
} pair;

static void open_pair(pair *opened, const char *dir, const workload *load)
{
    opened->load = load;
    opened->stem_path = bench_directory(dir);
    opened->raw_path = bench_directory(dir);
    check(stem_open(&opened->db, opened->stem_path, &side_options), "open");
    opened->place = stem_sub_path(opened->db, load->level_names, load->levels);
    opened->batch = stem_batch_new(opened->db);
    if (!opened->place || !opened->batch)
        check(stem_errcode(), "open");
    plain_open(&opened->raw, opened->raw_path, &side_options);
    opened->raw_batch = leveldb_writebatch_create();
    pthread_mutex_init(&opened->mutex, NULL);
}

static void close_pair(pair *opened)
{
    stem_batch_free(opened->batch);
    check(stem_close(opened->place), "close");
    check(stem_close(opened->db), "close");
    leveldb_writebatch_destroy(opened->raw_batch);
    plain_close(&opened->raw);
    pthread_mutex_destroy(&opened->mutex);
    bench_remove(opened->stem_path);
    bench_remove(opened->raw_path);
}

/* ---- Batches ---------------------------------------------------------------------- */

static void commit_stem(pair *given, size_t first)
{
    for (size_t i = first; i < first + BATCH; i++) {
        const entry *each = &given->load->entries[i];

        if (each->text)
            check(stem_batch_put(given->batch, given->place, each->name, each->text),
                  "batch put");
        else
            check(stem_batch_put(given->batch, given->place, each->name, each->integer),
                  "batch put");
    }
    check(stem_batch_commit(given->batch, false), "batch commit");
    stem_batch_reset(given->batch);
}

static void commit_raw(pair *given, size_t first)
{
    char *message = NULL;

    for (size_t i = first; i < first + BATCH; i++) {
        const entry *each = &given->load->entries[i];

        leveldb_writebatch_put(given->raw_batch, each->stored, each->stored_len,
                               each->encoded, each->encoded_len);
    }
    leveldb_write(given->raw.db, given->raw.write_options, given->raw_batch, &message);
    plain_check("write", message);
    leveldb_writebatch_clear(given->raw_batch);
}

static void commit_slice(void *context, int i, size_t slice, size_t slices)
{
    pair *given = context;
    const size_t batches = given->load->n / BATCH;

    for (size_t at = batches * slice / slices; at < batches * (slice + 1) / slices;
         at++) {
        if (i == STEM)
            commit_stem(given, at * BATCH);
        else
            commit_raw(given, at * BATCH);
    }
}

static void run_batches(const bench_arguments *given, const workload *load, size_t round)
{
    pair work;

    open_pair(&work, given->dir, load);
    compare(&rows[BATCHES], round, SIDES, commit_slice, &work, SLICES, load->n / BATCH);
    close_pair(&work);
}

/* ---- Counters --------------------------------------------------------------------- */

/* A counter as Stem stores it while it is above 32 bits: 0xCF (uint 64), big-endian. */
enum { COUNTER_HEAD = 0xCF, COUNTER_LEN = 9 };
static const int64_t counter_start = (int64_t)1 << 40;

static void write_counter(uint64_t number, char bytes[COUNTER_LEN])
{
    bytes[0] = (char)COUNTER_HEAD;
    number = __builtin_bswap64(number);
    memcpy(bytes + 1, &number, sizeof number);
}

static void incr_raw(pair *given, const entry *each)
{
    char bytes[COUNTER_LEN], *message = NULL;
    uint64_t number = (uint64_t)counter_start;
    size_t len;

    pthread_mutex_lock(&given->mutex);
    char *found = leveldb_get(given->raw.db, given->raw.read_options, each->stored,
                              each->stored_len, &len, &message);
    plain_check("get", message);
    if (found) {
        memcpy(&number, found + 1, sizeof number);
        number = __builtin_bswap64(number);
        leveldb_free(found);
    }
    write_counter(number + 1, bytes);
    leveldb_put(given->raw.db, given->raw.write_options, each->stored, each->stored_len,
                bytes, sizeof bytes, &message);
    plain_check("put", message);
    pthread_mutex_unlock(&given->mutex);
}

static void incr_slice(void *context, int i, size_t slice, size_t slices)
{
    pair *given = context;

    (void)slice;
    for (size_t at = 0; at < INCREMENTS / slices; at++) {
        const entry *each = &given->load->entries[at % COUNTERS];
        int64_t now;

        if (i == STEM)
            check(stem_incr(given->place, each->name, 1, counter_start, &now), "incr");
        else
            incr_raw(given, each);
    }
}

/* Both have counted as far, and store the same bytes. */
static void check_counters(pair *given)
{
    const int64_t times = INCREMENTS / COUNTERS;
    char expected[COUNTER_LEN], *message = NULL;

    write_counter((uint64_t)(counter_start + times), expected);
    for (size_t i = 0; i < COUNTERS; i++) {
        const entry *each = &given->load->entries[i];
        int64_t now;
        size_t len;
        char *bytes = leveldb_get(given->raw.db, given->raw.read_options, each->stored,
                                  each->stored_len, &len, &message);

        plain_check("get", message);
        check(stem_get_int(given->place, each->name, &now), "get");
        if (now != counter_start + times || !bytes || len != sizeof expected ||
            memcmp(bytes, expected, len) != 0)
            bench_die("a counter has another value than the number of its increments");
        leveldb_free(bytes);
    }
}

static void run_incr(const bench_arguments *given, const workload *load, size_t round)
{
    pair work;

    open_pair(&work, given->dir, load);
    compare(&rows[INCR], round, SIDES, incr_slice, &work, SLICES, INCREMENTS);
    check_counters(&work);
    close_pair(&work);
}

/* ---- Two threads ------------------------------------------------------------------ */

typedef struct part {
    const side *kind;
    side_db *db;
    size_t first, end;
} part;

static void *put_part(void *argument)
{
    part *mine = argument;

    mine->kind->put(mine->db, mine->first, mine->end);
    return NULL;
}

static void put_together(void *context, int side_number, size_t slice, size_t slices)
{
    const compare_databases *databases = context;
    pthread_t threads[THREADS];
    part parts[THREADS];

    /* Slices are numbered, and hold as many entries for each thread. */
    for (size_t i = 0; i < THREADS; i++) {
        size_t number = slice * THREADS + i, all = slices * THREADS;

        parts[i] = (part){.kind = databases->kinds[side_number],
                          .db = databases->dbs[side_number],
                          .first = databases->n * number / all,
                          .end = databases->n * (number + 1) / all};
        if (pthread_create(&threads[i], NULL, put_part, &parts[i]) != 0)
            bench_die("no thread can be started");
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void run_together(const bench_arguments *given, const workload *load, size_t round)
{
    compare_databases work;

    compare_open(&work, sides, SIDES, given->dir, load);
    compare(&rows[TOGETHER], round, SIDES, put_together, &work, SLICES, load->n);
    compare_close(&work);
}

/* ---- Many at once ----------------------------------------------------------------- */

/* Either way the hundred values are there together in the end. */
static void get_hundred(pair *given, const char *const *names, bool at_once)
{
    stem_value values[MANY];
    int codes[MANY];

    if (at_once)
        check(stem_get_many(given->place, names, MANY, values, codes), "get many");
    else
        for (size_t i = 0; i < MANY; i++)
            codes[i] = stem_get(given->place, names[i], &values[i]);
    for (size_t i = 0; i < MANY; i++) {
        check(codes[i], "get");
        stem_value_free(&values[i]);
    }
}

static void get_slice(void *context, int i, size_t slice, size_t slices)
{
    pair *given = context;
    const size_t hundreds = given->load->n / MANY;

    for (size_t at = hundreds * slice / slices; at < hundreds * (slice + 1) / slices;
         at++) {
        const char *names[MANY];

        for (size_t k = 0; k < MANY; k++)
            names[k] = given->load->entries[at * MANY + k].name;
        get_hundred(given, names, i == STEM);
    }
}

static void run_get_many(const bench_arguments *given, const workload *load, size_t round)
{
    pair work;

    open_pair(&work, given->dir, load);
    for (size_t first = 0; first + BATCH <= load->n; first += BATCH)
        commit_stem(&work, first);
    compare(&rows[GET_MANY], round, SIDES, get_slice, &work, SLICES, load->n / MANY);
    close_pair(&work);
}

/* ---- All of it -------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    const bench_arguments defaults = {.n = 500000, .rounds = 11};
    const bench_arguments given =
        bench_parse(argc, argv, defaults,
                    "usage: operations [-n KEYS, in thousands of whole batches] "
                    "[-r ROUNDS] [-d DIRECTORY] [-o batch|incr|together|many]");
    static const struct {
        const char *name;
        void (*run)(const bench_arguments *given, const workload *load, size_t round);
    } parts[] = {{"batch", run_batches},
                 {"incr", run_incr},
                 {"together", run_together},
                 {"many", run_get_many}};

    if (given.n % BATCH != 0)
        bench_die("%zu keys are no whole batches of %d", given.n, BATCH);
    workload *load = workload_make(given.n, 1);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t round = 0; round < given.rounds; round++) {
        fprintf(stderr, "round %zu of %zu\n", round + 1, given.rounds);
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            if (bench_is_wanted(&given, parts[i].name))
                parts[i].run(&given, load, round);
    }
    printf("%zu keys, medians of %zu rounds; Stem's time over the other side's\n\n",
           given.n, given.rounds);
    compare_print(rows, ROWS);
    workload_free(load);
    return EXIT_SUCCESS;
}
