/*
 * Byte ranges below a scope. Whatever ends somebody asks for, what comes out lies within
 * the scope and holds none of Stem's own records, whose keys begin with NUL.
 */
#ifndef STEM_NET_BOUNDS_H
#define STEM_NET_BOUNDS_H

#include "../engine.h"

typedef struct stem_bounds {
    stem_engine_range range; /* in the memory that was given */
    bool is_empty;           /* the ends have crossed: there is nothing to look at */
} stem_bounds;

/* The memory that bounds made of these take. */
static inline size_t stem_bounds_room(stem_slice scope, stem_slice start, stem_slice end)
{
    return 2 * scope.len + start.len + end.len;
}

/* From `start` on and before `end`, both below the scope (which ends in a NUL, or is
 * empty); an empty one is the scope's own. */
void stem_bounds_make(stem_bounds *bounds, char *memory, stem_slice scope,
                      stem_slice start, stem_slice end);
/* All that begins with `prefix` below the scope; the memory is that of two such ends. */
void stem_bounds_of_prefix(stem_bounds *bounds, char *memory, stem_slice scope,
                           stem_slice prefix);

#endif
