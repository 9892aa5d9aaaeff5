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

/* Running out of memory is reported, not fatal. */
#define HASH_NONFATAL_OOM 1
#define HASH_KEYCMP(a, b, n) ((n) > 0 ? memcmp((a), (b), (n)) : 0)
#include <uthash.h>
/* Shorter chains than uthash's 10, for every entry of one is a miss of the processor's cache. */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 6U

enum { WRITEBACK_SHARDS = 32, WRITEBACK_INDEX_LEVELS = 12 };

/* The value, or the absence, that a commit gave a key. A NUL lies behind the bytes. */
typedef struct wb_version {
    uint64_t number; /* of the commit */
    struct wb_version *older;
    size_t len, room;
    bool is_delete;
    char bytes[];
} wb_version;

/* A key, with a NUL behind it, and its versions, newest first: none while a commit that ran
 * out of memory has left it so. */
typedef struct wb_entry {
    UT_hash_handle hh;
    wb_version *newest;
    struct wb_entry *next_unindexed;
    unsigned char shard;
    unsigned char reads; /* counted up to 2 */
    char key[];
} wb_entry;

static inline stem_slice wb_entry_key(const wb_entry *entry)
{
    return (stem_slice){entry->key, entry->hh.keylen};
}

/* Memory that is only ever freed together. */
typedef struct wb_chunk wb_chunk;
typedef struct wb_arena {
    wb_chunk *chunks;
    char *next;
    size_t left, total; /* in the newest chunk; in all of them */
} wb_arena;

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
        wb_arena arena;
    } shards[WRITEBACK_SHARDS]; /* each under the lock of its shard */

    pthread_mutex_t index_lock;
    atomic_size_t n_indexed;
    wb_arena index_arena; /* under index_lock, as every change of the nodes */
    uint64_t random;
    _Atomic(wb_node *) first[WRITEBACK_INDEX_LEVELS];
} wb_table;

/* `buckets` is what a table before it has come to, in each shard, or 0. */
wb_table *stem_wb_table_new(unsigned buckets);
/* The most that a shard has come to; no lock is needed where the table does not change. */
unsigned stem_wb_table_buckets(const wb_table *table);
/* One user less; the last frees it. Returns the bytes that this gave back. */
size_t stem_wb_table_release(wb_table *table);

static inline size_t wb_shard_of(uint64_t hash)
{
    return (size_t)(hash >> 59);
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
