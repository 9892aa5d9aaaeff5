/*
 * Short random runs of operations by a few callers on the same few keys, recorded so that
 * they can be searched for an order that explains them. A run's plan comes from its seed; how
 * the callers meet does not. They are threads, or processes that share the run's memory.
 */
#ifndef STEM_TESTS_HISTORIES_H
#define STEM_TESTS_HISTORIES_H

#include <stdatomic.h>

#include "linearizable.h"
#include "stem.h"

enum { MAX_CALLERS = 4, MAX_EACH = 6, MAX_RECORDED = MAX_CALLERS * MAX_EACH + N_SLOTS };

/* What a caller is to do; where `follows`, what is expected is what it saw there last. */
typedef struct plan {
    operation op;
    unsigned pause;
    bool follows;
} plan;

typedef struct history {
    plan plans[MAX_CALLERS][MAX_EACH];
    size_t n_each[MAX_CALLERS];
    model_state start;
    plan looks[N_SLOTS]; /* at what is left */
    atomic_ullong moment;
} history;

/* The places that the keys lie in, of this process; `root` is borrowed. */
void history_open(stem_db *root);
void history_close(void);

/* What is there at the start, and what each is to do. */
void history_plan(history *run, uint64_t seed);
/* Each of these calls the database, and ends the process when it fails. */
void history_make_start(const history *run);
void history_perform(history *run, size_t caller);
void history_look(history *run);

/* Gathers what has been called; returns how many operations. */
size_t history_collect(const history *run, operation recorded[MAX_RECORDED]);
/* Whether any two of them met. */
bool history_is_concurrent(const operation *recorded, size_t n);

#endif
