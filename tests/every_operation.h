/*
 * Every public operation, each as one call on the same two databases, for tests that let it
 * fail in every way.
 */
#ifndef STEM_TESTS_EVERY_OPERATION_H
#define STEM_TESTS_EVERY_OPERATION_H

#include "world.h"

enum commits { ONE_COMMIT, CLEARS, TRANSFERS };

typedef struct operation {
    const char *name;     /* as stem_errmsg() gives it, or "" where it gives several */
    const char *place;    /* the path that stem_errmsg() names, or "" */
    int (*run)(world *w); /* releases all it got; answers with its code */
    enum commits commits; /* but for ONE_COMMIT a failure may leave it half done */
    int on_conflict;      /* the answer when its first expectation fails once */
} operation;

extern const operation operations[];
extern const int n_operations;

#endif
