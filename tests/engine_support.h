/*
 * What the tests of the engine contract share: the locations they run at, and small names for
 * the calls of src/engine.h.
 */
#ifndef STEM_TESTS_ENGINE_SUPPORT_H
#define STEM_TESTS_ENGINE_SUPPORT_H

#include <string.h>

#include "engine.h"
#include "support.h"

/* How many locations there are: each test runs once at each. */
extern const int n_engine_locations;

/* The engine at a location, with nothing in it. */
stem_engine *open_engine(int location);
void close_engine(stem_engine *engine);

#define add_engine_test(tcase, test)                                                     \
    tcase_add_loop_test((tcase), (test), 0, n_engine_locations)

/* The same at those that need no other process or thread: for tests in which all memory runs
 * out. They come first. */
extern const int n_local_engine_locations;
#define add_local_engine_test(tcase, test)                                               \
    tcase_add_loop_test((tcase), (test), 0, n_local_engine_locations)

static inline stem_slice slice(const char *text)
{
    return (stem_slice){text, strlen(text)};
}

/* The index of the expectation that the last conflict of this thread named. */
extern _Thread_local size_t last_failed;
int commit(stem_engine *engine, const stem_write *writes, size_t n_writes,
           const stem_expectation *expectations, size_t n_expectations);

void put(stem_engine *engine, stem_slice key, stem_slice value);
void del(stem_engine *engine, stem_slice key);

void assert_bytes(const stem_read *read, stem_slice expected);
void assert_holds(stem_engine *engine, const stem_engine_snapshot *snapshot,
                  stem_slice key, stem_slice expected);
void assert_absent(stem_engine *engine, const stem_engine_snapshot *snapshot,
                   stem_slice key);

#endif
