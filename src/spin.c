/*
 * Adaptive spinning; see spin.h.
 */
#include "spin.h"

#include <sched.h>

#include "clock.h"

/* A wait is short up to `window`: what a processor that was asleep needs to wake the other end
 * and to be woken by it. Others have had the processor when to yield takes longer than `taken`;
 * then it is theirs for `rest`. */
static const uint64_t window_ns = 100 * 1000, taken_ns = 20 * 1000,
                      rest_ns = 10 * 1000 * 1000;

static void yield(stem_spin *spin, uint64_t now)
{
    sched_yield();
    const uint64_t after = stem_clock();
    if (after - now > taken_ns)
        spin->asleep_till_ns = after + rest_ns;
}

bool stem_spin_again(stem_spin *spin)
{
    const uint64_t now = stem_clock();
    const bool has_begun = spin->since_ns != 0;

    if (!has_begun)
        spin->since_ns = now;
    if (!spin->is_close || now - spin->since_ns > window_ns || now < spin->asleep_till_ns)
        return false;
    if (has_begun)
        yield(spin, now);
    return true;
}

void stem_spin_end(stem_spin *spin)
{
    if (spin->since_ns == 0)
        return;
    spin->is_close = stem_clock() - spin->since_ns <= window_ns;
    spin->since_ns = 0;
}
