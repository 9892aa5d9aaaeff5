/*
 * The memory of write-back's tables: arenas whose parts are only freed together, made of
 * chunks that go through a pool from one table to the next, so that neither those who commit
 * nor the thread that writes has to meet in the allocator.
 */
#ifndef STEM_ENGINE_WRITEBACK_ARENA_H
#define STEM_ENGINE_WRITEBACK_ARENA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

typedef struct wb_chunk wb_chunk;

/* Chunks that nobody uses, at most so many. Every function may be called from any thread. */
typedef struct wb_pool {
    pthread_mutex_t lock;
    wb_chunk *chunks;
    atomic_size_t n; /* changed under the lock */
    size_t most;
} wb_pool;

void stem_wb_pool_init(wb_pool *pool);
void stem_wb_pool_free(wb_pool *pool);
/* The memory of what is in it. */
size_t stem_wb_pool_bytes(const wb_pool *pool);
/* Keeps no more than that from now on. */
void stem_wb_pool_limit(wb_pool *pool, size_t most);

/* Zero but for the pool, to begin with. Whoever uses it sees to it that nobody else does. */
typedef struct wb_arena {
    wb_pool *pool;
    wb_chunk *chunks;
    char *next;
    size_t left, total; /* bytes: in the newest chunk; in all of them */
    size_t n_pooled;    /* chunks that are of the pool's size */
} wb_arena;

/* `size` bytes, aligned to 8, or NULL. */
void *stem_wb_arena_take(wb_arena *arena, size_t size);
void stem_wb_arena_free(wb_arena *arena);

#endif
