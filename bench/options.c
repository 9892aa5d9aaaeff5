/*
 * What each option of a database costs and gives, so that docs/options.md can say why its
 * default is what it is. One option at a time differs from the defaults; every setting has
 * its own fresh database in every round, and the median over the rounds is printed.
 *
 * Values are texts of about 100 bytes that compress as words do. "cold" is a read after the
 * files have left the kernel's cache.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "stem.h"
#include "workload.h"

enum { TEXT_MAX = 160, COLD_GETS = 5000, HOT_KEYS = 2000, SYNCED_PUTS = 500 };

/* ---- Settings --------------------------------------------------------------------- */

enum measure {
    PUT,
    PUT_IN_ORDER,
    GET_HOT,
    GET_ANY,
    GET_ABSENT,
    GET_COLD,
    WALK,
    REOPEN,
    DISK,
    MEASURES
};

static const char *const titles[MEASURES] = {
    [PUT] = "put",         [PUT_IN_ORDER] = "in order", [GET_HOT] = "get hot",
    [GET_ANY] = "get any", [GET_ABSENT] = "absent",     [GET_COLD] = "cold",
    [WALK] = "walk",       [REOPEN] = "open",           [DISK] = "disk",
};

typedef struct setting {
    const char *option, *text;
    stem_options options;
} setting;

static const setting settings[] = {
    {"defaults", "", {0}},
    {"cache_bytes", "8 MiB", {.cache_bytes = 8 << 20}},
    {"cache_bytes", "32 MiB", {.cache_bytes = 32 << 20}},
    {"cache_bytes", "64 MiB", {.cache_bytes = 64 << 20}},
    {"cache_bytes", "256 MiB", {.cache_bytes = 256 << 20}},
    {"bloom_bits", "none", {.no_bloom = true}},
    {"bloom_bits", "6", {.bloom_bits = 6}},
    {"bloom_bits", "10", {.bloom_bits = 10}},
    {"bloom_bits", "16", {.bloom_bits = 16}},
    {"block_bytes", "2 KiB", {.block_bytes = 2 << 10}},
    {"block_bytes", "4 KiB", {.block_bytes = 4 << 10}},
    {"block_bytes", "8 KiB", {.block_bytes = 8 << 10}},
    {"block_bytes", "16 KiB", {.block_bytes = 16 << 10}},
    {"write_buffer_bytes", "1 MiB", {.write_buffer_bytes = 1 << 20}},
    {"write_buffer_bytes", "4 MiB", {.write_buffer_bytes = 4 << 20}},
    {"write_buffer_bytes", "16 MiB", {.write_buffer_bytes = 16 << 20}},
    {"write_buffer_bytes", "64 MiB", {.write_buffer_bytes = 64 << 20}},
    {"no_compression", "", {.no_compression = true}},
    {"no_verify", "", {.no_verify = true}},
    {"max_open_files", "74", {.max_open_files = 74}},
    {"max_open_files", "1000", {.max_open_files = 1000}},
    {"max_open_files", "10000", {.max_open_files = 10000}},
};
enum { SETTINGS = sizeof settings / sizeof *settings };

/* What was measured of one setting. */
typedef struct result {
    bench_samples samples[MEASURES];
} result;

static result results[SETTINGS];

/* ---- What is stored --------------------------------------------------------------- */

static void check(int code, const char *operation)
{
    if (code != STEM_OK)
        bench_die("%s: %s: %s", operation, stem_strerror(code), stem_errmsg());
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void make_text(size_t number, char text[TEXT_MAX])
{
    static const char *const words[] = {
        "river",  "stone", "morning", "a",   "the",     "of",    "green", "window",
        "letter", "house", "and",     "sea", "quietly", "under", "north", "winter"};
    uint64_t state = number * 2654435761u + 88172645463325252u;
    size_t len = 0;

    while (len < 90) {
        const char *word = words[next_random(&state) % 16];

        len += (size_t)snprintf(text + len, TEXT_MAX - len, "%s ", word);
    }
    snprintf(text + len, TEXT_MAX - len, "%zu", number);
}

static stem_db *open_in(const char *path, const stem_options *options)
{
    stem_db *db;

    check(stem_open(&db, path, options), "open");
    return db;
}

/* ---- Measuring -------------------------------------------------------------------- */

static void put(stem_db *db, const workload *load, bool in_order, size_t n)
{
    char name[32], text[TEXT_MAX];

    for (size_t i = 0; i < n; i++) {
        make_text(i, text);
        if (in_order)
            snprintf(name, sizeof name, "%016zu", i);
        check(stem_put(db, in_order ? name : load->entries[i].name, text), "put");
    }
}

/* Reads `n` entries, drawn from the first `among`; `suffix` makes names that are absent. */
static void get(stem_db *db, const workload *load, size_t among, size_t n,
                const char *suffix)
{
    uint64_t state = 88172645463325252u;
    char name[64];

    for (size_t i = 0; i < n; i++) {
        const entry *each = &load->entries[next_random(&state) % among];
        char *text = NULL;

        snprintf(name, sizeof name, "%s%s", each->name, suffix);
        int code = stem_get_str(db, name, &text, NULL);
        if (code != (*suffix ? STEM_NOTFOUND : STEM_OK))
            bench_die("get: %s: %s", stem_strerror(code), stem_errmsg());
        stem_free(text);
    }
}

static void walk(stem_db *db)
{
    stem_iter *iter = stem_iter_open(db, NULL);
    uint64_t bytes = 0;

    while (stem_iter_next(iter))
        bytes += stem_iter_value(iter)->as.str.len;
    check(stem_iter_close(iter), "iterate");
    if (bytes == 0)
        bench_die("the walk met nothing");
}

/* Lets the files of a closed database leave the kernel's cache. */
static void cool(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *each;

    if (!dir)
        bench_die("%s cannot be read", path);
    while ((each = readdir(dir))) {
        int file = openat(dirfd(dir), each->d_name, O_RDONLY);

        if (file < 0)
            continue;
        fdatasync(file);
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        close(file);
    }
    closedir(dir);
}

static void add(result *measured, enum measure what, bench_time start, size_t n)
{
    bench_add(&measured->samples[what], (double)bench_since(start).wall / (double)n);
}

static void measure_reads(result *measured, stem_db *db, const workload *load)
{
    const size_t n = load->n, hot = n < HOT_KEYS ? n : HOT_KEYS;

    get(db, load, hot, hot * 4, "");
    bench_time start = bench_now();
    get(db, load, hot, n / 4, "");
    add(measured, GET_HOT, start, n / 4);
    start = bench_now();
    get(db, load, n, n / 4, "");
    add(measured, GET_ANY, start, n / 4);
    start = bench_now();
    get(db, load, n, n / 4, "?");
    add(measured, GET_ABSENT, start, n / 4);
    start = bench_now();
    walk(db);
    add(measured, WALK, start, n);
}

static void measure_one(result *measured, const stem_options *options,
                        const workload *load, const char *parent)
{
    char *path = bench_directory(parent);
    stem_db *db = open_in(path, options);

    bench_time start = bench_now();
    put(db, load, true, load->n);
    add(measured, PUT_IN_ORDER, start, load->n);
    bench_settle();
    check(stem_close(db), "close");
    check(stem_destroy(path), "destroy");

    db = open_in(path, options);
    start = bench_now();
    put(db, load, false, load->n);
    add(measured, PUT, start, load->n);
    bench_settle();
    measure_reads(measured, db, load);
    bench_add(&measured->samples[DISK], (double)bench_disk_bytes(path, "") / 1048576);
    check(stem_close(db), "close");

    cool(path);
    start = bench_now();
    db = open_in(path, options);
    add(measured, REOPEN, start, 1000000); /* milliseconds */
    bench_settle();
    start = bench_now();
    get(db, load, load->n, COLD_GETS, "");
    add(measured, GET_COLD, start, COLD_GETS);
    check(stem_close(db), "close");
    bench_remove(path);
}

/* Synced puts are too slow for the table, and depend on the disk alone. */
static void measure_sync(const char *parent, const workload *load)
{
    char *path = bench_directory(parent);

    for (int sync = 0; sync < 2; sync++) {
        stem_db *db = open_in(path, &(stem_options){.sync = sync});
        bench_time start = bench_now();

        put(db, load, true, SYNCED_PUTS);
        printf("%-19s %8.1f us a put\n", sync ? "sync" : "not sync",
               (double)bench_since(start).wall / SYNCED_PUTS / 1000);
        check(stem_close(db), "close");
        check(stem_destroy(path), "destroy");
    }
}

int main(int argc, char **argv)
{
    const bench_arguments given =
        bench_parse(argc, argv, (bench_arguments){.n = 300000, .rounds = 5},
                    "usage: options [-n KEYS] [-r ROUNDS] [-d DIRECTORY] [-o OPTION]");
    workload *load = workload_make(given.n, 1);

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t round = 0; round < given.rounds; round++) {
        fprintf(stderr, "round %zu of %zu\n", round + 1, given.rounds);
        for (size_t i = 0; i < SETTINGS; i++)
            if (bench_is_wanted(&given, settings[i].option))
                measure_one(&results[i], &settings[i].options, load, given.dir);
    }
    printf("%zu keys, medians of %zu rounds; nanoseconds, open in milliseconds, disk in "
           "MiB\n%-27s",
           given.n, given.rounds, "");
    for (int i = 0; i < MEASURES; i++)
        printf(" %8s", titles[i]);
    putchar('\n');
    for (size_t i = 0; i < SETTINGS; i++) {
        if (results[i].samples[PUT].n == 0)
            continue;
        printf("%-19s %-7s", settings[i].option, settings[i].text);
        for (int what = 0; what < MEASURES; what++)
            printf(" %8.*f", what == REOPEN || what == DISK,
                   bench_median(&results[i].samples[what]));
        putchar('\n');
    }
    if (bench_is_wanted(&given, "sync"))
        measure_sync(given.dir, load);
    workload_free(load);
    return EXIT_SUCCESS;
}
