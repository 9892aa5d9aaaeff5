/*
 * Real engines with failures put in: of the calls made to all of them together, one or several
 * in a row answer with a chosen code instead of doing their work.
 */
#ifndef STEM_TESTS_FAILING_ENGINE_H
#define STEM_TESTS_FAILING_ENGINE_H

#include "db.h"

/* The text that every failure put in gives as its cause. */
extern const char injected_cause[];

/* From now on the call of that number, counted from 1, answers with the code; 0 is none.
 * STEM_CONFLICT waits for a commit that has expectations, and STEM_EUNKNOWN for a commit,
 * which it applies: it counts those alone. */
void engine_fail_at(unsigned long call, int code);
/* The same, and so do the calls after it, so many in all. */
void engine_fail_times(unsigned long call, unsigned long times, int code);
/* What happens from now on at each failure, before it is answered; NULL is nothing. */
void engine_at_failure(void (*act)(void));
/* The last call that failed since then, or NULL. */
const char *engine_failed_call(void);

typedef struct failing_engine {
    stem_engine base;
    stem_engine *inner;
    size_t open; /* iterators and snapshots */
} failing_engine;

/* Wraps the engine behind a root handle, which must stay open, and gives a root handle over
 * the wrapper. */
stem_db *failing_engine_over(failing_engine *engine, stem_db *real,
                             const stem_options *options);

#endif
