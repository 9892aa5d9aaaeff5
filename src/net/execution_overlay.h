/*
 * The overlay of an execution, shared by its own files only: execution.c (the overlay, writing,
 * committing), execution_read.c (reading, looking for any key in a range), execution_each.c
 * (reading many keys a portion at a time).
 *
 * Two invariants: what an entry was read as is an expectation of the commit, and what it is to
 * become is the last write of it in the log, from which a write is taken back by going back.
 */
#ifndef STEM_NET_EXECUTION_OVERLAY_H
#define STEM_NET_EXECUTION_OVERLAY_H

#include "arena.h"
#include "execution.h"

/* Running out of memory is reported, not fatal. */
#define HASH_NONFATAL_OOM 1
#define HASH_KEYCMP(a, b, n) ((n) > 0 ? memcmp((a), (b), (n)) : 0)
#include <uthash.h>

/* What is known of a key: both numbers count from 1, and are 0 for none. */
typedef struct overlay_entry {
    UT_hash_handle hh;
    size_t written;  /* the last write of it, in the log */
    size_t expected; /* the expectation that says what the engine has */
    bool is_wanted;  /* while it is being read */
    /* Of what is expected the engine's stamp was kept, and not the value but its head; NULL where
     * the value was. */
    const stem_look *dropped;
    char key[];
} overlay_entry;

struct stem_execution {
    stem_engine *engine;
    uint64_t seed;
    bool only_reads, insists;
    stem_arena arena;
    size_t begun_bytes;     /* `pending_bytes` where what is counted by itself began */
    overlay_entry *entries; /* the head of a uthash table */

    /* The log: each write, and the one of the same key before it, counted from 1. */
    stem_write *writes;
    size_t *previous;
    size_t n_writes, writes_room, previous_room;
    size_t n_pending, pending_bytes; /* of those that no later one replaces */

    stem_expectation *expectations;
    size_t n_expectations, expectations_room;
    size_t n_states; /* of the engine's that were looked at */

    char **buffers; /* malloc'ed by the engine */
    size_t n_buffers, buffers_room;
    size_t read_bytes, most_read; /* in them, and how many may be */
};

/* Bytes that a portion of many values holds, about. */
#define STEM_PORTION_BYTES ((size_t)4 << 20)

/* The entry of a key, made when there is none, or NULL without memory. */
overlay_entry *stem_overlay_entry(stem_execution *execution, stem_slice key);

static inline overlay_entry *overlay_entry_of(const char *key)
{
    return (overlay_entry *)(key - offsetof(overlay_entry, key));
}

/* Whether it is known if there is such a key. */
static inline bool overlay_is_known(const overlay_entry *entry)
{
    return entry->written > 0 || entry->expected > 0;
}

/* Whether it is known what it holds. */
static inline bool overlay_has_value(const overlay_entry *entry)
{
    return entry->written > 0 || (entry->expected > 0 && !entry->dropped);
}

/* Whether there is the key of a known entry after all that was written. */
static inline bool overlay_is_there(const stem_execution *execution,
                                    const overlay_entry *entry)
{
    return entry->written > 0
               ? !execution->writes[entry->written - 1].is_delete
               : execution->expectations[entry->expected - 1].kind == STEM_EXPECT_EQUAL;
}

/* What the key of an entry holds whose value is known; `data` is NULL for nothing. */
static inline stem_slice overlay_value(const stem_execution *execution,
                                       const overlay_entry *entry)
{
    const stem_write *last =
        entry->written ? &execution->writes[entry->written - 1] : NULL;

    if (last)
        return last->is_delete ? (stem_slice){NULL, 0} : last->value;
    return execution->expectations[entry->expected - 1].value;
}

/* Makes the array at `*array`, of `*room` items, so large that `n` more fit behind the first
 * `used`. */
int stem_overlay_grow(void *array, size_t *room, size_t used, size_t n, size_t item);
static inline int overlay_reserve(void *array, size_t *room, size_t used, size_t n,
                                  size_t item)
{
    return *room - used >= n ? STEM_OK : stem_overlay_grow(array, room, used, n, item);
}

#endif
