/*
 * Adaptive spinning: to look again for a moment instead of going to sleep. Where a request is
 * answered within microseconds, sleeping and being woken takes most of the time, above all where
 * the processor itself falls asleep. So who waits stays awake as long as what is waited for has
 * come close behind the last; once it has not, or others want the processor, he sleeps at once.
 */
#ifndef STEM_SPIN_H
#define STEM_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/* One place where is waited; zero at first. For one thread at a time. */
typedef struct stem_spin {
    uint64_t since_ns;       /* of the wait that has begun; 0 for none */
    uint64_t asleep_till_ns; /* others have wanted the processor */
    bool is_close;           /* the last wait was a short one */
} stem_spin;

/* Whether to look again instead of going to sleep. From the second time in a wait on it lets
 * others have the processor first. */
bool stem_spin_again(stem_spin *spin);
/* What was waited for has come; nothing when nobody waits. */
void stem_spin_end(stem_spin *spin);

#endif
