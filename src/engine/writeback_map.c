/*
 * Where the cache finds what it keeps; see writeback_map.h. At most five places in eight are
 * taken. What is removed leaves no mark: those behind move up.
 */
#include "writeback_map.h"

#include <stdlib.h>

enum { PLACES_LEAST = 64 };

static bool is_of(const wb_cached *cached, stem_slice key)
{
    return cached->key_len == key.len &&
           (key.len == 0 || memcmp(cached->bytes, key.data, key.len) == 0);
}

wb_cached *stem_wb_map_find(const wb_map *map, stem_slice key, uint64_t hash)
{
    if (map->n == 0)
        return NULL;
    for (size_t i = hash & map->mask; map->places[i].cached; i = (i + 1) & map->mask)
        if (map->places[i].hash == hash && is_of(map->places[i].cached, key))
            return map->places[i].cached;
    return NULL;
}

static void place(wb_map *map, uint64_t hash, wb_cached *cached)
{
    size_t i = hash & map->mask;

    while (map->places[i].cached)
        i = (i + 1) & map->mask;
    map->places[i] = (wb_place){hash, cached};
}

static bool grow(wb_map *map)
{
    const size_t before = map->places ? map->mask + 1 : 0;
    const size_t after = before > 0 ? 2 * before : PLACES_LEAST;
    wb_place *old = map->places, *places = calloc(after, sizeof *places);

    if (!places)
        return false;
    map->places = places;
    map->mask = after - 1;
    for (size_t i = 0; i < before; i++)
        if (old[i].cached)
            place(map, old[i].hash, old[i].cached);
    free(old);
    return true;
}

bool stem_wb_map_add(wb_map *map, wb_cached *added)
{
    const size_t most = map->places ? (map->mask + 1) / 8 * 5 : 0;

    if (map->n >= most && !grow(map))
        return false;
    place(map, added->hash, added);
    map->n++;
    return true;
}

void stem_wb_map_remove(wb_map *map, const wb_cached *removed)
{
    wb_place *places = map->places;
    size_t empty = removed->hash & map->mask;

    while (places[empty].cached != removed)
        empty = (empty + 1) & map->mask;
    /* One behind moves up, unless it would come to lie before where it is looked for first. */
    for (size_t i = (empty + 1) & map->mask; places[i].cached; i = (i + 1) & map->mask)
        if (((i - places[i].hash) & map->mask) >= ((i - empty) & map->mask)) {
            places[empty] = places[i];
            empty = i;
        }
    places[empty] = (wb_place){0, NULL};
    map->n--;
}

void stem_wb_map_free(wb_map *map)
{
    free(map->places);
    *map = (wb_map){NULL, 0, 0};
}
