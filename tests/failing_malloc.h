/*
 * Running out of memory on purpose, for programs linked with
 * -Wl,--wrap=malloc and its kin to the rooms of the library.
 */
#ifndef STEM_TESTS_FAILING_MALLOC_H
#define STEM_TESTS_FAILING_MALLOC_H

#include <stdbool.h>

/* While it is true every malloc, calloc, realloc and aligned_alloc of the program and the
 * rooms is NULL. */
extern bool malloc_fails;
/* How many succeed all the same before the first is NULL. */
extern unsigned long mallocs_granted;
/* Whether the first that is NULL is the only one. */
extern bool malloc_recovers;
/* How many have been NULL. */
extern unsigned long mallocs_refused;

#define out_of_memory(statement)                                                         \
    do {                                                                                 \
        malloc_fails = true;                                                             \
        statement;                                                                       \
        malloc_fails = false;                                                            \
    } while (0)

#endif
