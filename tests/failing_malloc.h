/*
 * Running out of memory on purpose, for programs linked with
 * -Wl,--wrap=malloc,--wrap=realloc to the rooms of the library.
 */
#ifndef STEM_TESTS_FAILING_MALLOC_H
#define STEM_TESTS_FAILING_MALLOC_H

#include <stdbool.h>

/* While it is true every malloc and realloc of the program and the rooms is NULL, those
 * of Check's assertions as well. */
extern bool malloc_fails;
/* How many succeed all the same before the first is NULL. */
extern unsigned long mallocs_granted;

#define out_of_memory(statement)                                                         \
    do {                                                                                 \
        malloc_fails = true;                                                             \
        statement;                                                                       \
        malloc_fails = false;                                                            \
    } while (0)

#endif
