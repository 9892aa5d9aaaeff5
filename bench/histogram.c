/*
 * Buckets as HdrHistogram has them: numbers below 64 have one each, and every power of two
 * from there has 64 of the same width. See histogram.h.
 */
#include "histogram.h"

static size_t bucket_of(uint64_t ns)
{
    if (ns >> HISTOGRAM_BITS == 0)
        return (size_t)ns;
    const int shift = 63 - __builtin_clzll(ns) - HISTOGRAM_BITS;

    return ((size_t)shift << HISTOGRAM_BITS) + (size_t)(ns >> shift);
}

/* The largest number in the bucket. */
static uint64_t most_in(size_t bucket)
{
    const size_t power = bucket >> HISTOGRAM_BITS;

    if (power == 0)
        return bucket;
    const uint64_t head = (bucket & ((1 << HISTOGRAM_BITS) - 1)) + (1 << HISTOGRAM_BITS);

    return ((head + 1) << (power - 1)) - 1;
}

void histogram_add(histogram *to, uint64_t ns)
{
    to->counts[bucket_of(ns)]++;
    to->n++;
    if (ns > to->longest)
        to->longest = ns;
}

uint64_t histogram_quantile(const histogram *of, double part)
{
    uint64_t wanted = (uint64_t)(part * (double)of->n), seen = 0;

    if (wanted >= of->n)
        return of->longest;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += of->counts[i];
        if (seen > wanted)
            return most_in(i) < of->longest ? most_in(i) : of->longest;
    }
    return of->longest;
}
