/*
 * Puts at their own pace, and at a given one; see latency.h.
 */
#include "latency.h"

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
        put_number(to, number);
        now = bench_wall();
        histogram_add(taken, now - due);
    }
}
