/*
 * Where the cache finds what it keeps: places in a row, one after the other from where the hash
 * says until one is empty. A look-up of a key that is there touches one line of the processor's
 * cache here most often, and then what is kept.
 */
#ifndef STEM_ENGINE_WRITEBACK_MAP_H
#define STEM_ENGINE_WRITEBACK_MAP_H

#include "../engine.h"

/* A value that is the same below, kept for reading. */
typedef struct wb_cached {
    struct wb_cached *prev, *next; /* in the order in which they are looked at */
    uint64_t hash;
    uint32_t key_len, len,
        room; /* of the value: bytes that there are, and that could be */
    bool is_referenced;
    char bytes[]; /* of the key, then of the value */
} wb_cached;

typedef struct wb_place {
    uint64_t hash;
    wb_cached *cached; /* NULL where it is empty */
} wb_place;

/* Zero to begin with. Whoever uses it sees to it that nobody else does. */
typedef struct wb_map {
    wb_place *places;
    size_t mask; /* one less than how many */
    size_t n;
} wb_map;

/* Where to begin to look for it. */
static inline const wb_place *wb_map_start(const wb_map *map, uint64_t hash)
{
    return map->places ? &map->places[hash & map->mask] : NULL;
}

/* What is kept of a key, or NULL. */
wb_cached *stem_wb_map_find(const wb_map *map, stem_slice key, uint64_t hash);
/* Adds what is not there yet, under its hash; false without memory. */
bool stem_wb_map_add(wb_map *map, wb_cached *added);
/* Removes what is there. */
void stem_wb_map_remove(wb_map *map, const wb_cached *removed);
void stem_wb_map_free(wb_map *map);

#endif
