/*
 * Memory for what goes together; see arena.h.
 */
#include "arena.h"

#include <stdint.h>
#include <stdlib.h>

#include "../error.h"

enum { CHUNK_LEAST = 4 << 10 };

struct stem_chunk {
    stem_chunk *older;
    size_t size; /* of the bytes */
    max_align_t bytes[];
};

static stem_chunk *make_chunk(stem_arena *arena, size_t size)
{
    stem_chunk *made = NULL;

    if (size <= arena->most && arena->taken <= arena->most - size)
        made = malloc(sizeof *made + size);
    if (!made) {
        stem_fail(STEM_ENOMEM, "no memory: %zu bytes more than %zu", size, arena->taken);
        return NULL;
    }
    made->size = size;
    arena->taken += size;
    return made;
}

/* A piece that is large has a chunk of its own, behind the one that others share. Those grow,
 * so that before long one is enough, and is kept from one reset to the next. */
static void *take_from_new_chunk(stem_arena *arena, size_t bytes)
{
    size_t size = arena->chunks ? arena->chunks->size : CHUNK_LEAST / 2;
    size = size < STEM_ARENA_KEPT / 2 ? 2 * size : STEM_ARENA_KEPT;
    const bool is_own = bytes > size / 4;
    stem_chunk *made = make_chunk(arena, is_own ? bytes : size);

    if (!made)
        return NULL;
    /* Without a first one it is that, and full. */
    stem_chunk **place = is_own && arena->chunks ? &arena->chunks->older : &arena->chunks;
    made->older = *place;
    *place = made;
    if (!is_own)
        arena->left = size - bytes;
    return made->bytes;
}

void *stem_arena_take(stem_arena *arena, size_t bytes)
{
    enum { ALIGNMENT = 8 };

    /* What is so large that this would wrap is refused as what it is. */
    if (bytes == 0)
        bytes = ALIGNMENT;
    else if (bytes < SIZE_MAX - ALIGNMENT)
        bytes = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (bytes > arena->left)
        return take_from_new_chunk(arena, bytes);
    char *end = (char *)arena->chunks->bytes + arena->chunks->size;
    void *taken = end - arena->left;
    arena->left -= bytes;
    return taken;
}

static void free_chunks(stem_chunk *chunk)
{
    while (chunk) {
        stem_chunk *older = chunk->older;

        free(chunk);
        chunk = older;
    }
}

/* Keeps the first chunk, unless it is too large. */
void stem_arena_reset(stem_arena *arena)
{
    stem_chunk *first = arena->chunks;

    if (first && first->size > STEM_ARENA_KEPT) {
        stem_arena_free(arena);
    } else if (first) {
        free_chunks(first->older);
        first->older = NULL;
        arena->left = arena->taken = first->size;
    }
}

void stem_arena_free(stem_arena *arena)
{
    free_chunks(arena->chunks);
    *arena = (stem_arena){.most = arena->most};
}
