/*
 * Which store an engine leads to, and to which place in it.
 *
 * A store has its ids from who has it open, as long as it is open: nobody else has it open
 * meanwhile, so whoever gets to the same store gets the same ids, by whatever way. They are kept
 * nowhere, and a copy of a directory is a store of its own.
 */
#ifndef STEM_ENGINE_PLACE_ID_H
#define STEM_ENGINE_PLACE_ID_H

#include "id.h"

struct stem_place_id {
    stem_id store;
    /* The same for all who see the same part of the store. One who sees a part alone does not
     * learn the place of the whole, and so cannot try out which part that is. */
    stem_id place;
};

/* Ids for a store, as a whole. STEM_EIO. */
int stem_place_id_make(stem_place_id *id);

/* Makes it that of what lies below `scope`, stored bytes, in the place that it was of: a keyed
 * hash (SipHash-2-4 of 128 bits), whose key is the id of that place. An empty scope changes
 * nothing. */
void stem_place_id_narrow(stem_place_id *id, stem_slice scope);

#endif
