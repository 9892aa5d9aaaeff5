/*
 * How long things took: counts in buckets that are at most 1.6 % wide, from 1 ns to hours.
 */
#ifndef STEM_BENCH_HISTOGRAM_H
#define STEM_BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_BITS = 6,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS
};

typedef struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t n, longest; /* nanoseconds */
} histogram;

void histogram_add(histogram *to, uint64_t ns);
/* What that part of all stayed at or below, in nanoseconds: 0.5 is the median; 0 if empty. */
uint64_t histogram_quantile(const histogram *of, double part);

#endif
