/*
 * Puts at their own pace, and at a given one; see latency.h.
 */
#include "latency.h"

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

enum { KEYS = 4000000 };

static const uint64_t second_ns = UINT64_C(1000000000);

/* A number that looks random, from its place in the sequence. */
static uint64_t mix(uint64_t number)
{
    number *= UINT64_C(0x9E3779B97F4A7C15);
    return number ^ number >> 29;
}

static void put_number(rival *to, uint64_t number)
{
    rival_text key, value;

    rival_text_of(mix(number) % KEYS, key);
    rival_text_of(number, value);
    rival_put(to, key, value);
}

/* ---- Where threads run ------------------------------------------------------------ */

static void allow(pid_t thread, const cpu_set_t *processors)
{
    if (sched_setaffinity(thread, sizeof *processors, processors) != 0)
        bench_die("cannot place thread %d", (int)thread);
}

/* Allows each thread of the process but this one these processors. */
static void allow_others(const cpu_set_t *processors)
{
    DIR *threads = opendir("/proc/self/task");

    if (!threads)
        bench_die("cannot read /proc/self/task");
    for (struct dirent *each; (each = readdir(threads));) {
        const pid_t thread = (pid_t)strtol(each->d_name, NULL, 10);

        if (thread > 0 && thread != gettid())
            allow(thread, processors);
    }
    closedir(threads);
}

static cpu_set_t all_processors(void)
{
    cpu_set_t all;

    CPU_ZERO(&all);
    for (long i = sysconf(_SC_NPROCESSORS_ONLN) - 1; i >= 0; i--)
        CPU_SET((size_t)i, &all);
    return all;
}

void latency_set_apart(void)
{
    const size_t last = (size_t)sysconf(_SC_NPROCESSORS_ONLN) - 1;
    cpu_set_t mine, others = all_processors();

    if (last == 0)
        bench_die("one processor alone cannot be shared out");
    CPU_ZERO(&mine);
    CPU_SET(last, &mine);
    CPU_CLR(last, &others);
    allow(gettid(), &mine);
    allow_others(&others);
}

void latency_set_free(void)
{
    const cpu_set_t all = all_processors();

    allow(gettid(), &all);
    allow_others(&all);
}

/* ---- Puts ------------------------------------------------------------------------- */

double latency_saturate(rival *to, size_t seconds, histogram *taken)
{
    const uint64_t start = bench_wall(), end = start + seconds * second_ns;
    uint64_t before = start, number = 0;

    while (before < end) {
        put_number(to, number++);
        const uint64_t now = bench_wall();
        histogram_add(taken, now - before);
        before = now;
    }
    return (double)number * 1e9 / (double)(before - start);
}

void latency_open_loop(rival *to, double per_second, size_t seconds, histogram *taken)
{
    const uint64_t start = bench_wall();
    const uint64_t all = (uint64_t)(per_second * (double)seconds);
    uint64_t now = start;

    for (uint64_t number = 0; number < all; number++) {
        const uint64_t due = start + (uint64_t)((double)number * 1e9 / per_second);

        while (now < due)
            now = bench_wall();
        if (to)
            put_number(to, number);
        now = bench_wall();
        histogram_add(taken, now - due);
    }
}
