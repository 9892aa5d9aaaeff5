/*
 * Snapshots that are kept from one request to the next, under random names. Each has a
 * holder (a session, a connection), who holds a limited number and alone can use it, and
 * goes when it has not been used for a while.
 *
 * All of it may be called from any thread.
 */
#ifndef STEM_NET_SNAPSHOTS_H
#define STEM_NET_SNAPSHOTS_H

#include "../engine/id.h"

/* Zero is every default. */
typedef struct stem_snapshots_options {
    size_t limit;          /* of each holder; 64 */
    unsigned idle_seconds; /* 300 */
} stem_snapshots_options;

typedef struct stem_snapshots stem_snapshots;

/* NULL when there is no memory. */
stem_snapshots *stem_snapshots_new(stem_engine *engine,
                                   const stem_snapshots_options *options);
/* Closes them all; none is in use. NULL is nothing. */
void stem_snapshots_free(stem_snapshots *snapshots);

/* A snapshot of this moment. STEM_ERANGE when the holder has as many as it may. */
int stem_snapshots_open(stem_snapshots *snapshots, stem_slice holder, stem_id *id);

/* One in use: it stays open until it is given back, whatever becomes of its name. */
typedef struct stem_held_snapshot stem_held_snapshot;
/* NULL when the holder has none of that name (any more). */
stem_held_snapshot *stem_snapshots_take(stem_snapshots *snapshots, stem_slice holder,
                                        const stem_id *id);
const stem_engine_snapshot *stem_held_snapshot_of(const stem_held_snapshot *held);
void stem_snapshots_give_back(stem_snapshots *snapshots, stem_held_snapshot *held);

/* Lets go of one, or of all that a holder has; nothing when there is none. */
void stem_snapshots_drop(stem_snapshots *snapshots, stem_slice holder, const stem_id *id);
void stem_snapshots_drop_all(stem_snapshots *snapshots, stem_slice holder);
/* Lets go of those that are idle for too long at this time of stem_clock (clock.h). */
void stem_snapshots_expire(stem_snapshots *snapshots, uint64_t now);

/* When one that is there was last opened or used, by stem_clock; 0 when there is none. */
uint64_t stem_snapshots_last_use(stem_snapshots *snapshots);
/* How many have a name. */
size_t stem_snapshots_count(stem_snapshots *snapshots);

#endif
