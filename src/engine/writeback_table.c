/*
 * The tables that write-back gathers commits in: memory, entries, versions, and the order of
 * the keys, a skip list that only grows, so that it is walked without a lock.
 */
#include "writeback_table.h"

#include <stdlib.h>

#include "../error.h"

/* ---- Tables ----------------------------------------------------------------------- */

wb_table *stem_wb_table_new(wb_pool *pool, const wb_extent *expected)
{
    wb_table *table = calloc(1, sizeof *table);

    if (!table) {
        stem_fail(STEM_ENOMEM, "no memory for a table of write-back");
        return NULL;
    }
    atomic_init(&table->users, 1);
    pthread_mutex_init(&table->index_lock, NULL);
    table->expected_buckets = expected->buckets;
    table->index_arena.pool = pool;
    for (size_t i = 0; i < WRITEBACK_SHARDS; i++)
        table->shards[i].arena.pool = pool;
    table->random = UINT64_C(0x9E3779B97F4A7C15);
    return table;
}

size_t stem_wb_table_release(wb_table *table)
{
    const size_t bytes = atomic_load(&table->bytes);

    if (atomic_fetch_sub(&table->users, 1) > 1)
        return 0;
    for (size_t i = 0; i < WRITEBACK_SHARDS; i++) {
        HASH_CLEAR(hh, table->shards[i].entries);
        stem_wb_arena_free(&table->shards[i].arena);
    }
    stem_wb_arena_free(&table->index_arena);
    pthread_mutex_destroy(&table->index_lock);
    free(table);
    return bytes;
}

wb_extent stem_wb_table_extent(const wb_table *table)
{
    wb_extent extent = {0};

    for (size_t i = 0; i < WRITEBACK_SHARDS; i++) {
        const wb_entry *entries = table->shards[i].entries;

        if (entries && entries->hh.tbl->num_buckets > extent.buckets)
            extent.buckets = entries->hh.tbl->num_buckets;
        extent.chunks += table->shards[i].arena.n_pooled;
    }
    return extent;
}

/* A node of the order, and what a round needs to write an entry below. */
enum { ENTRY_OVERHEAD = 24 + sizeof(stem_write) };

static void add_bytes(wb_table *table, size_t bytes)
{
    atomic_store_explicit(
        &table->bytes, atomic_load_explicit(&table->bytes, memory_order_relaxed) + bytes,
        memory_order_relaxed);
}

static void *take(wb_table *table, size_t shard, size_t size)
{
    wb_arena *arena = &table->shards[shard].arena;
    const size_t before = arena->total;
    void *taken = stem_wb_arena_take(arena, size);

    add_bytes(table, arena->total - before);
    return taken;
}

/* Makes the buckets of a shard, in which there is one entry, as many as the table expects, so
 * that no commit has to move thousands of entries later. Without memory they stay fewer. */
static void make_buckets(wb_table *table, wb_entry *only)
{
    UT_hash_table *made = only->hh.tbl;
    unsigned before = 0;

    while (made->num_buckets < table->expected_buckets && made->num_buckets != before) {
        bool is_out_of_memory = false;

        before = made->num_buckets;
        HASH_EXPAND_BUCKETS(hh, made, is_out_of_memory);
        if (is_out_of_memory)
            break;
    }
}

static size_t bucket_bytes(const wb_entry *head)
{
    return head ? head->hh.tbl->num_buckets * sizeof(UT_hash_bucket) : 0;
}

wb_entry *stem_wb_table_add(wb_table *table, stem_slice key, uint64_t hash)
{
    const size_t shard = wb_shard_of(hash);
    wb_entry **head = &table->shards[shard].entries;
    wb_entry *entry = wb_table_find(table, key, hash);

    if (entry)
        return entry;
    const size_t buckets_before = bucket_bytes(*head);
    entry = take(table, shard, sizeof *entry + key.len + 1);
    if (!entry)
        return NULL;
    memset(entry, 0, sizeof *entry);
    entry->shard = (unsigned char)shard;
    if (key.len > 0)
        memcpy(entry->key, key.data, key.len);
    entry->key[key.len] = '\0';
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, *head, entry->key, (unsigned)key.len, (unsigned)hash,
                                entry);
    if (!entry->hh.tbl)
        return NULL;
    if (buckets_before == 0)
        make_buckets(table, entry);
    entry->next_unindexed = table->shards[shard].unindexed;
    table->shards[shard].unindexed = entry;
    add_bytes(table, ENTRY_OVERHEAD + bucket_bytes(*head) - buckets_before);
    atomic_fetch_add_explicit(&table->n_entries, 1, memory_order_relaxed);
    return entry;
}

wb_version *stem_wb_table_version(wb_table *table, uint64_t hash, size_t len)
{
    enum { ALIGNMENT = _Alignof(wb_version) };
    const size_t needed = offsetof(wb_version, bytes) + len + 1;
    const size_t size = (needed + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    wb_version *version = take(table, wb_shard_of(hash), size);

    if (version)
        version->room = (uint32_t)(size - offsetof(wb_version, bytes) - 1);
    return version;
}

/* ---- Order ------------------------------------------------------------------------ */

static _Atomic(wb_node *) *link_of(wb_table *table, wb_node *node, size_t level)
{
    return node ? &node->next[level] : &table->first[level];
}

/* The last node before a key, NULL being before the first; and, when asked for, the one on
 * each level. */
static wb_node *find_before(wb_table *table, stem_slice key,
                            wb_node *before[WRITEBACK_INDEX_LEVELS])
{
    wb_node *node = NULL;

    for (size_t level = WRITEBACK_INDEX_LEVELS; level-- > 0;) {
        wb_node *next;

        while ((next = atomic_load_explicit(link_of(table, node, level),
                                            memory_order_acquire)) &&
               stem_slice_compare(wb_entry_key(next->entry), key) < 0)
            node = next;
        if (before)
            before[level] = node;
    }
    return node;
}

static wb_node *find_last(wb_table *table)
{
    wb_node *node = NULL;

    for (size_t level = WRITEBACK_INDEX_LEVELS; level-- > 0;) {
        wb_node *next;

        while ((next = atomic_load_explicit(link_of(table, node, level),
                                            memory_order_acquire)))
            node = next;
    }
    return node;
}

wb_node *stem_wb_index_at(wb_table *table, stem_slice key)
{
    wb_node *before = find_before(table, key, NULL);

    return atomic_load_explicit(link_of(table, before, 0), memory_order_acquire);
}

wb_node *stem_wb_index_before(wb_table *table, stem_slice key)
{
    return key.len > 0 ? find_before(table, key, NULL) : find_last(table);
}

/* One level in four times fewer nodes than the one below. */
static size_t random_levels(wb_table *table)
{
    size_t levels = 1;

    table->random ^= table->random << 13;
    table->random ^= table->random >> 7;
    table->random ^= table->random << 17;
    for (uint64_t bits = table->random >> 20;
         levels < WRITEBACK_INDEX_LEVELS && (bits & 3) == 0; bits >>= 2)
        levels++;
    return levels;
}

static bool index_entry(wb_table *table, wb_entry *entry)
{
    wb_node *before[WRITEBACK_INDEX_LEVELS];
    const size_t levels = random_levels(table);
    wb_node *node = stem_wb_arena_take(&table->index_arena,
                                       sizeof *node + levels * sizeof node->next[0]);

    if (!node)
        return false;
    node->entry = entry;
    find_before(table, wb_entry_key(entry), before);
    for (size_t level = 0; level < levels; level++)
        atomic_init(&node->next[level],
                    atomic_load_explicit(link_of(table, before[level], level),
                                         memory_order_relaxed));
    for (size_t level = 0; level < levels; level++)
        atomic_store_explicit(link_of(table, before[level], level), node,
                              memory_order_release);
    return true;
}

/* Indexes a list that was taken off a shard, and puts back what no memory was left for. */
static int index_list(wb_table *table, size_t shard, wb_entry *list,
                      pthread_mutex_t *lock)
{
    size_t n = 0;

    while (list && index_entry(table, list)) {
        list = list->next_unindexed;
        n++;
    }
    atomic_fetch_add(&table->n_indexed, n);
    if (!list)
        return STEM_OK;

    wb_entry *last = list;
    while (last->next_unindexed)
        last = last->next_unindexed;
    pthread_mutex_lock(lock);
    last->next_unindexed = table->shards[shard].unindexed;
    table->shards[shard].unindexed = list;
    pthread_mutex_unlock(lock);
    return stem_fail(STEM_ENOMEM, "no memory for the order of the keys in memory");
}

int stem_wb_table_index(wb_table *table, pthread_mutex_t *const locks[WRITEBACK_SHARDS])
{
    int code = STEM_OK;

    /* In this order: what is indexed never runs ahead of what was there. */
    const size_t n_indexed = atomic_load(&table->n_indexed);
    if (n_indexed == atomic_load(&table->n_entries))
        return STEM_OK;
    pthread_mutex_lock(&table->index_lock);
    for (size_t i = 0; i < WRITEBACK_SHARDS && code == STEM_OK; i++) {
        pthread_mutex_lock(locks[i]);
        wb_entry *list = table->shards[i].unindexed;
        table->shards[i].unindexed = NULL;
        pthread_mutex_unlock(locks[i]);
        code = index_list(table, i, list, locks[i]);
    }
    pthread_mutex_unlock(&table->index_lock);
    return code;
}
