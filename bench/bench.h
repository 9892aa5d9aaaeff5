/*
 * What every benchmark shares: its command line, clocks, medians, directories that go away,
 * and waiting until LevelDB has nothing left to do in the background.
 */
#ifndef STEM_BENCH_H
#define STEM_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BENCH_ROUNDS_MAX = 99 };

typedef struct bench_arguments {
    size_t n;         /* -n: keys */
    size_t rounds;    /* -r: rounds, of which medians are taken */
    const char *dir;  /* -d: where databases are made: $TMPDIR or /tmp */
    const char *only; /* -o: the one part to run, or NULL for all */

    /* Where the defaults have them: */
    size_t seconds;      /* -t: of what is measured for a while */
    size_t mib;          /* -m: memory, in MiB */
    const char *graph;   /* -g: the SVG to write */
    const char *program; /* -p: the tool `stem` */
    const char *stem_arguments, *redis_arguments; /* -a, -A: more of them for servers */
} bench_arguments;

/* Reads the command line; prints `usage` and exits on a bad one. `defaults` holds what is
 * taken where an option is not given. */
bench_arguments bench_parse(int argc, char **argv, bench_arguments defaults,
                            const char *usage);

/* Whether that part is to run. */
bool bench_is_wanted(const bench_arguments *given, const char *part);

/* Prints a message, printf-like, and exits: a benchmark that went wrong has no figures. */
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Zeroed memory, never NULL. */
void *bench_alloc(size_t n, size_t size);

/* A moment, on the wall clock and in this thread's processor time. */
typedef struct bench_time {
    uint64_t wall, cpu; /* nanoseconds */
} bench_time;

bench_time bench_now(void);
/* The wall clock alone, which is quicker. */
uint64_t bench_wall(void);
/* What has passed since. */
bench_time bench_since(bench_time start);

/* Some measured figures, of which the one in the middle counts. */
typedef struct bench_samples {
    double values[BENCH_ROUNDS_MAX];
    size_t n;
} bench_samples;

void bench_add(bench_samples *samples, double value);
/* Sorts them. */
double bench_median(bench_samples *samples);
/* Of sorted ones. */
double bench_least(const bench_samples *samples);
double bench_most(const bench_samples *samples);

/* The path of a new empty directory in `parent`; bench_remove removes it with all that is in
 * it, and frees that. */
char *bench_directory(const char *parent);
void bench_remove(char *path);
/* The bytes of the files in a directory whose names end so; "" is all. */
uint64_t bench_disk_bytes(const char *path, const char *suffix);

/* Waits until the other threads of this process have come to rest. */
void bench_settle(void);

#endif
