/*
 * Two databases, filled always alike, and handles that reach them through engines that fail
 * on purpose.
 */
#ifndef STEM_TESTS_WORLD_H
#define STEM_TESTS_WORLD_H

#include <stdbool.h>

#include "failing_engine.h"

typedef struct world {
    bool is_large;
    stem_db *real, *other_real;
    failing_engine engine, other_engine;
    stem_db *db, *other;
    stem_db *place; /* "place": a value of each type, and two more under "below" */
    stem_db *queue; /* "queue": four entries */
    stem_db *large; /* "large": more than one commit of a whole place takes */
    stem_db *free_place, *other_place; /* nothing lies there, in either database */
    stem_db *frozen;                   /* `place`, frozen */
} world;

/* `is_large`: what lies in `large` takes several commits to copy. */
void world_open(world *w, bool is_large);
void world_close(world *w);
/* Puts everything back to how world_open left it. */
void world_restore(world *w);
/* Iterators and snapshots open, and handles on the failing engines. */
size_t world_in_use(const world *w);

/* All that both databases hold, as bytes; to free(). */
typedef struct contents_of_world {
    char *bytes;
    size_t len;
} contents_of_world;

contents_of_world world_contents(const world *w);
bool world_holds(const world *w, contents_of_world expected);
/* Whether each value of `before` is still in one of the databases. */
bool world_has_all_values(const world *w, contents_of_world before);

#endif
