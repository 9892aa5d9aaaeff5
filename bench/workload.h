/*
 * What is written and read: entries with random names of 8 to 40 bytes whose values are, in
 * turn, an integer and a short string; and arrays of 1,000 f64, of two kinds. The same at
 * every run.
 */
#ifndef STEM_BENCH_WORKLOAD_H
#define STEM_BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARRAY_ELEMENTS = 1000, LEVELS_MAX = 10 };

/* One entry, as what Stem takes, and as the bytes that are stored. */
typedef struct entry {
    const char *name;
    const char *text; /* a string, ended by NUL; NULL for an integer */
    int64_t integer;
    const char *stored;  /* the key: the place's prefix and the name */
    const char *encoded; /* the value in MessagePack */
    uint32_t stored_len;
    uint32_t encoded_len;
    uint32_t text_len;
} entry;

typedef struct workload {
    size_t n;
    entry *entries;

    /* The place that holds them, as names and as the stored bytes before each key. */
    size_t levels;
    const char *level_names[LEVELS_MAX];
    char prefix[128];
    size_t prefix_len;

    bool has_dense_arrays;

    uint64_t integer_sum, text_bytes, stored_bytes; /* of all, for checks */
    char *blocks[4];                                /* to free */
} workload;

/* `levels` levels deep. */
workload *workload_make(size_t n, size_t levels);
void workload_free(workload *load);

/* Fills the array of that number: with a temperature in quarters of a degree, which Snappy
 * compresses, or with doubles of which every bit is used, which it cannot. LevelDB keeps
 * compressed blocks in its cache; others it reads and checks anew each time. The first and
 * the last element are the array's number. */
void workload_array(const workload *load, size_t number, double elements[ARRAY_ELEMENTS]);

#endif
