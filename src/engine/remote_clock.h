/*
 * The time limit of one call on a served database. It is counted from the call's beginning,
 * and anew for every MiB that moves: what is large and arrives is waited for, what trickles
 * is not. What moved in an attempt that has failed does not count.
 */
#ifndef STEM_ENGINE_REMOTE_CLOCK_H
#define STEM_ENGINE_REMOTE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "../clock.h"

enum { STEM_REMOTE_STRETCH = 1 << 20 };

typedef struct stem_remote_clock {
    uint64_t started_ns, deadline_ns;
    size_t limit_ms;
    size_t moved; /* since the deadline was set */
} stem_remote_clock;

static inline stem_remote_clock stem_remote_clock_start(size_t limit_ms)
{
    const uint64_t now = stem_clock();

    return (stem_remote_clock){now, now + (uint64_t)limit_ms * 1000000, limit_ms, 0};
}

static inline void stem_remote_clock_moved(stem_remote_clock *clock, size_t bytes)
{
    clock->moved += bytes;
    if (clock->moved >= STEM_REMOTE_STRETCH) {
        clock->moved = 0;
        clock->deadline_ns = stem_clock() + (uint64_t)clock->limit_ms * 1000000;
    }
}

/* Milliseconds that are left, rounded up; 0 when time is up. */
static inline int stem_remote_clock_left(const stem_remote_clock *clock)
{
    const uint64_t now = stem_clock();

    return now >= clock->deadline_ns
               ? 0
               : (int)((clock->deadline_ns - now + 999999) / 1000000);
}

#endif
