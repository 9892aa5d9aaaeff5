/*
 * The time that passes, in nanoseconds; of no calendar.
 */
#ifndef STEM_CLOCK_H
#define STEM_CLOCK_H

#include <stdint.h>
#include <time.h>

#define STEM_SECOND UINT64_C(1000000000)
#define STEM_MILLISECOND UINT64_C(1000000)

static inline uint64_t stem_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * STEM_SECOND + (uint64_t)now.tv_nsec;
}

#endif
