/*
 * Load on a server that speaks RESP over a Unix socket, the same for each: as
 * redis-benchmark makes it, clients write so many requests at once, each for a random
 * key, and read all answers before they write the next. Keys are "key:" and 12 digits. An
 * answer other than the one that has to come ends the benchmark.
 */
#ifndef STEM_BENCH_LOAD_H
#define STEM_BENCH_LOAD_H

#include <stddef.h>
#include <stdint.h>

enum { LOAD_KEY_LEN = 16, LOAD_VALUE_MAX = 1024 };

typedef char load_key[LOAD_KEY_LEN + 1];

typedef struct load {
    const char *socket;
    size_t clients, depth; /* requests that each client writes at once */
    size_t n;              /* keys that there are */
    size_t value_len;      /* at most LOAD_VALUE_MAX */
} load;

enum load_kind {
    LOAD_SET,
    LOAD_GET, /* of keys that are all there */
    /* STEM.COMMIT of one put, each client in its own slot of one session, under the
     * number 0, or under numbers that ascend, which wants a depth of 1. Values of 32
     * to 255 bytes. */
    LOAD_COMMIT,
    LOAD_NUMBERED_COMMIT
};

/* Requests answered in a second, over so many seconds. */
double load_run(const load *on, enum load_kind kind, size_t seconds);
/* Sets every key once. */
void load_fill(const load *on);

void load_key_of(size_t number, load_key key);
/* The value of every key: `len` bytes and a NUL, static. */
const char *load_value(size_t len);

/* A number below n, the next of the sequence that `state` stands for. */
size_t load_draw(uint64_t *state, size_t n);

#endif
