/*
 * The memory of write-back's tables; see writeback_arena.h.
 */
#include "writeback_arena.h"

#include <stdbool.h>
#include <stdlib.h>

struct wb_chunk {
    wb_chunk *older;
    bool is_pooled;
    max_align_t bytes[];
};

enum { CHUNK_LEAST = 1 << 10, CHUNK_MOST = 64 << 10, ALIGNMENT = 8 };

/* ---- The pool --------------------------------------------------------------------- */

void stem_wb_pool_init(wb_pool *pool)
{
    pthread_mutex_init(&pool->lock, NULL);
    pool->chunks = NULL;
    atomic_init(&pool->n, 0);
    pool->most = 0;
}

static void free_chunks(wb_chunk *chunks)
{
    while (chunks) {
        wb_chunk *older = chunks->older;

        free(chunks);
        chunks = older;
    }
}

void stem_wb_pool_free(wb_pool *pool)
{
    free_chunks(pool->chunks);
    pthread_mutex_destroy(&pool->lock);
}

size_t stem_wb_pool_bytes(const wb_pool *pool)
{
    return atomic_load_explicit(&pool->n, memory_order_relaxed) *
           (sizeof(wb_chunk) + CHUNK_MOST);
}

void stem_wb_pool_limit(wb_pool *pool, size_t most)
{
    wb_chunk *surplus = NULL;

    pthread_mutex_lock(&pool->lock);
    pool->most = most;
    while (pool->n > most) {
        wb_chunk *chunk = pool->chunks;

        pool->chunks = chunk->older;
        pool->n--;
        chunk->older = surplus;
        surplus = chunk;
    }
    pthread_mutex_unlock(&pool->lock);
    free_chunks(surplus);
}

static wb_chunk *take_pooled(wb_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    wb_chunk *chunk = pool->chunks;
    if (chunk) {
        pool->chunks = chunk->older;
        pool->n--;
    }
    pthread_mutex_unlock(&pool->lock);
    return chunk;
}

/* Whether the pool has taken it. */
static bool give_back(wb_pool *pool, wb_chunk *chunk)
{
    pthread_mutex_lock(&pool->lock);
    const bool is_wanted = chunk->is_pooled && pool->n < pool->most;
    if (is_wanted) {
        chunk->older = pool->chunks;
        pool->chunks = chunk;
        pool->n++;
    }
    pthread_mutex_unlock(&pool->lock);
    return is_wanted;
}

/* ---- Arenas ----------------------------------------------------------------------- */

static wb_chunk *make_chunk(wb_arena *arena, size_t room)
{
    wb_chunk *chunk = room == CHUNK_MOST ? take_pooled(arena->pool) : NULL;

    if (!chunk)
        chunk = malloc(sizeof *chunk + room);
    if (!chunk)
        return NULL;
    chunk->is_pooled = room == CHUNK_MOST;
    chunk->older = arena->chunks;
    arena->chunks = chunk;
    arena->n_pooled += chunk->is_pooled;
    arena->total += sizeof *chunk + room;
    return chunk;
}

/* Chunks grow with the arena, so that what is left over in the newest one stays a small
 * part. */
void *stem_wb_arena_take(wb_arena *arena, size_t size)
{
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (size > arena->left) {
        size_t room = CHUNK_LEAST;

        while (room < CHUNK_MOST && room < arena->total / 4)
            room *= 2;
        const bool is_own = size > room / 2;
        wb_chunk *chunk = make_chunk(arena, is_own ? size : room);

        if (!chunk)
            return NULL;
        if (is_own)
            return chunk->bytes;
        arena->next = (char *)chunk->bytes;
        arena->left = room;
    }
    void *taken = arena->next;
    arena->next += size;
    arena->left -= size;
    return taken;
}

void stem_wb_arena_free(wb_arena *arena)
{
    while (arena->chunks) {
        wb_chunk *chunk = arena->chunks;

        arena->chunks = chunk->older;
        if (!give_back(arena->pool, chunk))
            free(chunk);
    }
}
