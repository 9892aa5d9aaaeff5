/*
 * How long it takes until a process that shares a directory is answered again, after the owner
 * was killed: from the signal to the first answered read, and to the first answered commit.
 */
#ifndef STEM_BENCH_TAKEOVER_H
#define STEM_BENCH_TAKEOVER_H

#include "bench.h"

/* Kills owners of a database of that many keys, with logs of different lengths to be
 * recovered. */
void takeover_run(const bench_arguments *given, size_t value_len);
/* Prints what has been measured, if anything. */
void takeover_print(void);

#endif
