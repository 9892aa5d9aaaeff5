/*
 * The tables that write-back gathers commits in. A table is hashed, in shards that the engine
 * has one lock each for, and only grows: it is written to while it is the active one, frozen
 * while a round writes it to the engine below, and freed with the last user. An order of its
 * keys is made only when somebody walks it.
 */
#ifndef STEM_ENGINE_WRITEBACK_TABLE_H
#define STEM_ENGINE_WRITEBACK_TABLE_H

#include <pthread.h>

#include "../engine.h"
#include "writeback_arena.h"

/* Running out of memory is reported, not fatal. */
#define HASH_NONFATAL_OOM 1
#define HASH_KEYCMP(a, b, n) ((n) > 0 ? memcmp((a), (b), (n)) : 0)
#include <uthash.h>
/* Shorter chains than uthash's 10, for every entry of one is a miss of the processor's cache. */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 6U

enum { WRITEBACK_SHARDS = 32, WRITEBACK_INDEX_LEVELS = 12, WRITEBACK_HOT = 2 };

/* The value, or the absence, that a commit gave a key. A NUL lies behind the bytes. */
typedef struct wb_version {
    uint64_t number; /* of the commit */
    struct wb_version *older;
    uint32_t len, room; /* bytes that there are, and that could be */
    bool is_delete;
    char bytes[];
} wb_version;

/* A key, with a NUL behind it, and its versions, newest first: none while a commit that ran
 * out of memory has left it so. */
typedef struct wb_entry {
    UT_hash_handle hh;
    wb_version *newest;
    struct wb_entry *next_unindexed, *next_hot;
    unsigned char shard;
    unsigned char reads; /* counted up to WRITEBACK_HOT */
    char key[];
} wb_entry;

static inline stem_slice wb_entry_key(const wb_entry *entry)
{
    return (stem_slice){entry->key, entry->hh.keylen};
}

/* A node of a skip list; what it points to is published in order. */
typedef struct wb_node {
    wb_entry *entry;
    _Atomic(struct wb_node *) next[];
} wb_node;

typedef struct wb_table {
    atomic_size_t users;
    atomic_size_t bytes;     /* of chunks and hash tables; grows under commit_lock */
    atomic_size_t n_entries; /* the same */
    uint64_t last;           /* the number of the last commit in it, or 0; the same */
    unsigned expected_buckets;
    struct {
        wb_entry *entries; /* the head of a uthash table */
        wb_entry *unindexed;
        wb_entry *hot; /* entries read so often that their values are worth keeping */
        wb_arena arena;
    } shards[WRITEBACK_SHARDS]; /* each under the lock of its shard */

    pthread_mutex_t index_lock;
    atomic_size_t n_indexed;
    wb_arena index_arena; /* under index_lock, as every change of the nodes */
    uint64_t random;
    _Atomic(wb_node *) first[WRITEBACK_INDEX_LEVELS];
} wb_table;

/* What a table has come to, which the next one will probably, too. */
typedef struct wb_extent {
    unsigned buckets; /* of the largest shard */
    size_t chunks;    /* that the pool can take */
} wb_extent;

/* The pool is borrowed; `expected` may be zero. */
wb_table *stem_wb_table_new(wb_pool *pool, const wb_extent *expected);
/* No lock is needed where the table does not change. */
wb_extent stem_wb_table_extent(const wb_table *table);
/* One user less; the last frees it. Returns the bytes that this gave back. */
size_t stem_wb_table_release(wb_table *table);

static inline size_t wb_shard_of(uint64_t hash)
{
    return (size_t)(hash >> 59);
}

/* Fetches where the entry of a key will be looked for; nobody adds to the table meanwhile. */
static inline void wb_table_prefetch(const wb_table *table, uint64_t hash)
{
    const wb_entry *entries = table->shards[wb_shard_of(hash)].entries;

    if (entries)
        __builtin_prefetch(&entries->hh.tbl->buckets[(unsigned)hash &
                                                     (entries->hh.tbl->num_buckets - 1)]);
}

/* The entry of a key, or NULL; the shard's lock is held. */
static inline wb_entry *wb_table_find(const wb_table *table, stem_slice key,
                                      uint64_t hash)
{
    wb_entry *found;

    HASH_FIND_BYHASHVALUE(hh, table->shards[wb_shard_of(hash)].entries, key.data,
                          (unsigned)key.len, (unsigned)hash, found);
    return found;
}

/* The entry of a key, made when there is none, or NULL without memory. */
wb_entry *stem_wb_table_add(wb_table *table, stem_slice key, uint64_t hash);
/* A version with room for so many bytes in the shard of that hash, or NULL. */
wb_version *stem_wb_table_version(wb_table *table, uint64_t hash, size_t len);

/* Notes that the entry was read; the shard's lock is held. */
static inline void wb_table_heat(wb_table *table, wb_entry *entry, unsigned char reads)
{
    if (entry->reads >= WRITEBACK_HOT)
        return;
    entry->reads = (unsigned char)(entry->reads + reads);
    if (entry->reads < WRITEBACK_HOT)
        return;
    entry->next_hot = table->shards[entry->shard].hot;
    table->shards[entry->shard].hot = entry;
}

/* The version that is visible at a commit, or NULL; the shard's lock is held. */
static inline wb_version *wb_visible(const wb_entry *entry, uint64_t number)
{
    wb_version *version = entry->newest;

    while (version && version->number > number)
        version = version->older;
    return version;
}

/* Brings the order up to date with all that is in the table. `locks` are the shards'. */
int stem_wb_table_index(wb_table *table, pthread_mutex_t *const locks[WRITEBACK_SHARDS]);
/* The first node at or after a key, the last before it (with an empty key: of all), and the
 * neighbours; NULL when there is none. */
wb_node *stem_wb_index_at(wb_table *table, stem_slice key);
wb_node *stem_wb_index_before(wb_table *table, stem_slice key);
static inline wb_node *wb_node_next(wb_node *node)
{
    return atomic_load_explicit(&node->next[0], memory_order_acquire);
}

#endif
