/*
 * Failures of the database; see failures.h.
 */
#include "failures.h"

void stem_failures_init(stem_failures *failures)
{
    *failures = (stem_failures){.n = 0};
    pthread_mutex_init(&failures->lock, NULL);
}

void stem_failures_destroy(stem_failures *failures)
{
    pthread_mutex_destroy(&failures->lock);
}

void stem_failures_note(stem_failures *failures)
{
    pthread_mutex_lock(&failures->lock);
    failures->n++;
    stem_failure_save(&failures->last);
    pthread_mutex_unlock(&failures->lock);
}

uint64_t stem_failures_read(stem_failures *failures, stem_failure *last)
{
    pthread_mutex_lock(&failures->lock);
    const uint64_t n = failures->n;
    if (last)
        *last = failures->last;
    pthread_mutex_unlock(&failures->lock);
    return n;
}
