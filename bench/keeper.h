/*
 * A process beside the benchmark that outlives it, however it ends: it then ends the
 * server that still runs, and removes the directory in which all files were made.
 */
#ifndef STEM_BENCH_KEEPER_H
#define STEM_BENCH_KEEPER_H

#include <sys/types.h>

/* Makes a directory in `parent`, and starts the keeper: before any thread is started or
 * anything printed. */
void keeper_start(const char *parent);
/* The directory that will be removed; borrowed. */
const char *keeper_directory(void);
/* The one process to be ended from now on; 0 for none. */
void keeper_watch(pid_t process);
/* Ends the keeper, once the directory is removed. */
void keeper_finish(void);

#endif
