/*
 * Memory for what goes together: taken piece by piece, given back at once, and kept, up to a
 * moderate amount, for the next time. Belongs to one thread at a time.
 */
#ifndef STEM_NET_ARENA_H
#define STEM_NET_ARENA_H

#include <stddef.h>

typedef struct stem_chunk stem_chunk;

enum { STEM_ARENA_KEPT = 1 << 20 };

/* Zero but for `most`, to begin with. */
typedef struct stem_arena {
    size_t most;        /* bytes that may be taken */
    stem_chunk *chunks; /* the one that pieces share first, then all others */
    size_t left;        /* bytes of it, at its end */
    size_t taken;       /* bytes of all chunks */
} stem_arena;

/* Aligned to 8; NULL, after stem_fail, when there is no memory or too much was taken. */
void *stem_arena_take(stem_arena *arena, size_t bytes);
void stem_arena_reset(stem_arena *arena);
void stem_arena_free(stem_arena *arena);

#endif
