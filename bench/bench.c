/*
 * What every benchmark shares; see bench.h.
 */
#include "bench.h"

#include <dirent.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void bench_die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

void *bench_alloc(size_t n, size_t size)
{
    void *block = calloc(n > 0 ? n : 1, size);

    if (!block)
        bench_die("no memory for %zu times %zu bytes", n, size);
    return block;
}

/* A number of at least one, or 0. */
static size_t parse_count(const char *text)
{
    char *end;
    unsigned long long count = strtoull(text, &end, 10);

    return *end == '\0' && *text != '-' ? (size_t)count : 0;
}

bench_arguments bench_parse(int argc, char **argv, bench_arguments defaults,
                            const char *usage)
{
    bench_arguments given = defaults;
    int option;

    given.dir = getenv("TMPDIR");
    if (!given.dir || !*given.dir)
        given.dir = "/tmp";
    while ((option = getopt(argc, argv, "n:r:d:o:t:m:g:p:a:A:")) != -1) {
        if (option == 'n')
            given.n = parse_count(optarg);
        else if (option == 'r')
            given.rounds = parse_count(optarg);
        else if (option == 'd')
            given.dir = optarg;
        else if (option == 'o')
            given.only = optarg;
        else if (option == 't' && defaults.seconds > 0)
            given.seconds = parse_count(optarg);
        else if (option == 'm' && defaults.mib > 0)
            given.mib = parse_count(optarg);
        else if (option == 'g' && defaults.graph)
            given.graph = optarg;
        else if (option == 'p' && defaults.program)
            given.program = optarg;
        else if (option == 'a' && defaults.stem_arguments)
            given.stem_arguments = optarg;
        else if (option == 'A' && defaults.redis_arguments)
            given.redis_arguments = optarg;
        else
            bench_die("%s", usage);
    }
    if (optind != argc || given.n == 0 || given.rounds == 0 ||
        given.rounds > BENCH_ROUNDS_MAX || (defaults.seconds > 0 && given.seconds == 0) ||
        (defaults.mib > 0 && given.mib == 0))
        bench_die("%s", usage);
    return given;
}

bool bench_is_wanted(const bench_arguments *given, const char *part)
{
    return !given->only || strcmp(given->only, part) == 0;
}

/* ---- Clocks and medians ----------------------------------------------------------- */

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t bench_wall(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

bench_time bench_now(void)
{
    return (bench_time){bench_wall(), read_clock(CLOCK_THREAD_CPUTIME_ID)};
}

bench_time bench_since(bench_time start)
{
    bench_time now = bench_now();

    return (bench_time){now.wall - start.wall, now.cpu - start.cpu};
}

void bench_add(bench_samples *samples, double value)
{
    if (samples->n < BENCH_ROUNDS_MAX)
        samples->values[samples->n++] = value;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_median(bench_samples *samples)
{
    size_t n = samples->n;

    qsort(samples->values, n, sizeof *samples->values, compare_doubles);
    if (n == 0)
        return 0;
    return (samples->values[(n - 1) / 2] + samples->values[n / 2]) / 2;
}

double bench_least(const bench_samples *samples)
{
    return samples->n > 0 ? samples->values[0] : 0;
}

double bench_most(const bench_samples *samples)
{
    return samples->n > 0 ? samples->values[samples->n - 1] : 0;
}

/* ---- Directories ------------------------------------------------------------------ */

char *bench_directory(const char *parent)
{
    static const char name[] = "/stem-bench-XXXXXX";
    char *path = bench_alloc(strlen(parent) + sizeof name, 1);

    strcpy(path, parent);
    strcat(path, name);
    if (!mkdtemp(path))
        bench_die("no directory can be made in %s", parent);
    return path;
}

/* Calls `visit` for each file that lies in the directory itself. */
static void each_file(const char *path, void (*visit)(int dir, const char *name, void *),
                      void *context)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    if (!dir)
        bench_die("%s cannot be read", path);
    while ((entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            visit(dirfd(dir), entry->d_name, context);
    closedir(dir);
}

static int remove_entry(const char *path, const struct stat *found, int kind,
                        struct FTW *place)
{
    (void)found;
    (void)kind;
    (void)place;
    return remove(path);
}

void bench_remove(char *path)
{
    enum { DESCRIPTORS = 16 };

    if (nftw(path, remove_entry, DESCRIPTORS, FTW_DEPTH | FTW_PHYS) != 0)
        bench_die("%s cannot be removed", path);
    free(path);
}

typedef struct disk_sum {
    const char *suffix;
    uint64_t bytes;
} disk_sum;

static void add_file(int dir, const char *name, void *context)
{
    disk_sum *sum = context;
    size_t len = strlen(name), suffix_len = strlen(sum->suffix);
    struct stat found;

    if (len >= suffix_len && strcmp(name + len - suffix_len, sum->suffix) == 0 &&
        fstatat(dir, name, &found, 0) == 0)
        sum->bytes += (uint64_t)found.st_size;
}

uint64_t bench_disk_bytes(const char *path, const char *suffix)
{
    disk_sum sum = {.suffix = suffix};

    each_file(path, add_file, &sum);
    return sum.bytes;
}

/* ---- Rest ------------------------------------------------------------------------- */

/* LevelDB does not say whether it is compacting; its thread's use of the processor does. */
void bench_settle(void)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    enum { QUIET_PAUSES = 5, QUIET_NANOSECONDS = 200 * 1000 };
    int quiet = 0;

    while (quiet < QUIET_PAUSES) {
        uint64_t before = read_clock(CLOCK_PROCESS_CPUTIME_ID);

        nanosleep(&pause, NULL);
        uint64_t used = read_clock(CLOCK_PROCESS_CPUTIME_ID) - before;
        quiet = used < QUIET_NANOSECONDS ? quiet + 1 : 0;
    }
}
