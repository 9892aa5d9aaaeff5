/*
 * Histories of operations by several callers, and whether some order of them, one after
 * the other, explains all their answers: one in which an operation comes before another
 * that was called after its answer. What each operation does by itself is the model's
 * to say.
 */
#ifndef STEM_TESTS_LINEARIZABLE_H
#define STEM_TESTS_LINEARIZABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The keys, in their order in the database, and ABSENT for one that holds nothing. The
 * first N_LEVEL lie on one level. */
enum { N_SLOTS = 3, N_LEVEL = 2 };
#define ABSENT INT64_MIN

typedef struct model_state {
    int64_t values[N_SLOTS];
} model_state;
#define NOTHING ((model_state){{ABSENT, ABSENT, ABSENT}})

typedef enum operation_kind {
    OP_GET,        /* slot */
    OP_PUT,        /* slot, value */
    OP_DEL,        /* slot */
    OP_INSERT,     /* slot, value */
    OP_REPLACE,    /* slot, value */
    OP_CAS,        /* slot, expected, value */
    OP_INCR,       /* slot, value added to what is there or to nought */
    OP_POP,        /* slot */
    OP_POP_FIRST,  /* value: how many */
    OP_GET_OR_PUT, /* slot, value */
    OP_UPDATE,     /* slot, expected, value: see model_update */
    OP_BATCH,      /* puts value in slot and other if slot holds expected, or nothing */
    OP_FILL,       /* puts value in slot and other if all slots hold nothing */
    OP_GET_MANY,   /* all slots of the level */
    OP_COPY,       /* slot to other */
    OP_MOVE,       /* slot to other */
    N_KINDS
} operation_kind;

/* In place of the moment of an answer: there was none, since the caller died. What was called
 * took effect at any moment after that, or not at all. */
#define NEVER UINT64_MAX

/* A call with its answer: the code, and what it gave of each slot, ABSENT for nothing. */
typedef struct operation {
    operation_kind kind;
    unsigned thread;
    size_t slot, other;
    int64_t expected, value;
    uint64_t called, answered; /* moments on one clock, all different */
    int code;
    int64_t seen[N_SLOTS];
} operation;

/* The update that OP_UPDATE makes: the value where nothing was, nothing where `expected`
 * was, else the sum of the value and what was there. */
int64_t model_update(const operation *op, int64_t current);

enum { MAX_OPERATIONS = 32 };

bool is_linearizable(const operation *ops, size_t n, const model_state *start);

/* One line for each operation, in the order of their calls. */
void print_history(FILE *out, const operation *ops, size_t n, const model_state *start);

#endif
