/*
 * A disk that fails on demand and a power cut, for programs that are linked with
 * -export-dynamic: their open, openat, write, fallocate, fsync, fdatasync, unlinkat,
 * readdir and pthread_create are those of failing_io.c, for the libraries as well.
 */
#ifndef STEM_TESTS_FAILING_IO_H
#define STEM_TESTS_FAILING_IO_H

#include <stdatomic.h>

/* The errno of each call from now on, 0 to let it work. */
typedef struct failing_io {
    atomic_int
        sync; /* fsync and fdatasync; as in Linux, what failed is never written later */
    atomic_int write;  /* to files with numbers, LevelDB's, after half of the bytes */
    atomic_int create; /* open with O_CREAT */
    atomic_int table;  /* open with O_CREAT of a table, after `tables_left` that work */
    atomic_int remove; /* unlinkat, after `removals_left` that work */
    atomic_int list;   /* readdir, after `entries_left` that work */
    atomic_int thread; /* pthread_create, after `threads_left` that work */
    atomic_int interruptions; /* no errno: so many calls of fallocate fail with EINTR */
    atomic_int
        syncs_failing; /* no errno: so many syncs fail, and then no more; 0 for all */
    atomic_int removals_left, tables_left, entries_left, threads_left;
    atomic_int
        write_delay; /* no errno: microseconds that write to a file takes at least */
    atomic_int
        sync_delay; /* no errno: microseconds that fsync and fdatasync take at least */
} failing_io;
extern failing_io io_fails;

/* How often fsync and fdatasync have been called. */
int syncs_so_far(void);

/* Stops all writing in this process for good, and takes from the files that LevelDB
 * made what was not made durable: bytes not synced, and names in a directory not
 * synced since. */
void cut_power(void);

#endif
