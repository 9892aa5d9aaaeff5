/*
 * What the database could not do for clients: how often, and why the last time. Any thread may
 * call these.
 */
#ifndef STEM_NET_FAILURES_H
#define STEM_NET_FAILURES_H

#include <pthread.h>

#include "../error.h"

typedef struct stem_failures {
    pthread_mutex_t lock; /* of what follows */
    uint64_t n;
    stem_failure last;
} stem_failures;

void stem_failures_init(stem_failures *failures);
void stem_failures_destroy(stem_failures *failures);

/* One more, with this thread's last failure as its cause. */
void stem_failures_note(stem_failures *failures);
/* How many there were, and why the last; `last` may be NULL. */
uint64_t stem_failures_read(stem_failures *failures, stem_failure *last);

#endif
