/*
 * LMDB, read from a process other than the one that has written it and still has it open.
 * The keys and values are those of load.h.
 */
#ifndef STEM_BENCH_LMDB_SIDE_H
#define STEM_BENCH_LMDB_SIDE_H

#include <stdbool.h>
#include <stddef.h>

/* False in a build without LMDB, in which nothing below may be called. */
bool lmdb_side_is_there(void);

typedef struct lmdb_side lmdb_side;

/* Has another process write n values, and opens what it wrote, in the keeper's
 * directory. */
lmdb_side *lmdb_side_open(size_t n, size_t value_len);
void lmdb_side_close(lmdb_side *side);

/* Reads random values, `at_once` of them in each transaction, and copies each out;
 * returns how many a second, over so many seconds. */
double lmdb_side_run(lmdb_side *side, size_t at_once, size_t seconds);

#endif
