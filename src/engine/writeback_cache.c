/*
 * The write-back engine: values that are the same below, kept for reading. One is admitted when
 * its key is missed, a second time where a quarter of the memory or less is left, or was read
 * twice while it was dirty, and dropped by second chance when the memory is needed.
 *
 * What is here is in no table. A commit into memory forgets the keys that it writes, one that
 * goes straight through hides them until it is below, and brings them up to date then; both
 * change their stamps. A reader that goes below takes the stamp before, and has to find it
 * unchanged to leave here what it has read.
 */
#include <stdlib.h>

#include <utlist.h>

#include "writeback_engine.h"

/* Of a place in the map, and of the allocator's. */
enum { CACHED_OVERHEAD = 40 };

static size_t size_of(size_t key_len, size_t value_len)
{
    return sizeof(wb_cached) + key_len + value_len + CACHED_OVERHEAD;
}

static size_t cached_size(const wb_cached *cached)
{
    return size_of(cached->key_len, cached->room);
}

static wb_shard *shard_of(writeback_engine *engine, uint64_t hash)
{
    return &engine->shards[wb_shard_of(hash)];
}

static size_t stamp_of(uint64_t hash)
{
    return hash >> 32 & (WRITEBACK_STAMPS - 1);
}

wb_cached *stem_wb_cached(writeback_engine *engine, stem_slice key, uint64_t hash)
{
    return stem_wb_map_find(&shard_of(engine, hash)->cached, key, hash);
}

bool stem_wb_note_miss(writeback_engine *engine, uint64_t hash)
{
    enum { TAG_BITS = 16, SET_BITS = 64 };
    atomic_uint_least64_t *set = &engine->missed[hash >> 24 & engine->missed_mask];
    const uint64_t tags = atomic_load_explicit(set, memory_order_relaxed);
    const uint16_t tag = (uint16_t)(hash | 1);

    for (unsigned shift = 0; shift < SET_BITS; shift += TAG_BITS)
        if ((uint16_t)(tags >> shift) == tag)
            return true;
    atomic_store_explicit(set, tags << TAG_BITS | tag, memory_order_relaxed);
    return false;
}

uint32_t stem_wb_stamp(const writeback_engine *engine, uint64_t hash)
{
    return engine->shards[wb_shard_of(hash)].stamps[stamp_of(hash)].changes;
}

bool stem_wb_is_hidden(const writeback_engine *engine, uint64_t hash)
{
    const wb_shard *shard = &engine->shards[wb_shard_of(hash)];

    return shard->n_hidden > 0 && shard->stamps[stamp_of(hash)].n_hidden > 0;
}

static void drop(writeback_engine *engine, wb_shard *shard, wb_cached *cached)
{
    stem_wb_map_remove(&shard->cached, cached);
    DL_DELETE(shard->oldest, cached);
    atomic_fetch_sub(&engine->cached_bytes, cached_size(cached));
    free(cached);
}

static void set_value(wb_cached *cached, stem_slice value)
{
    cached->len = (uint32_t)value.len;
    if (value.len > 0)
        memcpy(cached->bytes + cached->key_len, value.data, value.len);
}

/* Keeps a copy; without memory it does not. */
static void keep(writeback_engine *engine, stem_slice key, uint64_t hash,
                 stem_slice value)
{
    wb_shard *shard = shard_of(engine, hash);
    wb_cached *made = malloc(sizeof *made + key.len + value.len);

    if (!made)
        return;
    *made = (wb_cached){
        .hash = hash, .key_len = (uint32_t)key.len, .room = (uint32_t)value.len};
    if (key.len > 0)
        memcpy(made->bytes, key.data, key.len);
    set_value(made, value);
    if (!stem_wb_map_add(&shard->cached, made)) {
        free(made);
        return;
    }
    DL_APPEND(shard->oldest, made);
    atomic_fetch_add(&engine->cached_bytes, cached_size(made));
}

/* What is in memory, with what is kept to be used again. */
static size_t used_bytes(const writeback_engine *engine)
{
    return wb_dirty_bytes(engine) + atomic_load(&engine->cached_bytes) +
           stem_wb_pool_bytes(&engine->pool);
}

/* Not one that would drive out many others. */
bool stem_wb_is_keepable(const writeback_engine *engine, size_t len)
{
    return len <= engine->budget / 16 &&
           wb_dirty_bytes(engine) < engine->budget - engine->budget / 4;
}

bool stem_wb_has_spare(const writeback_engine *engine)
{
    return used_bytes(engine) < engine->budget - engine->budget / 4;
}

static bool is_worth_keeping(const writeback_engine *engine, stem_slice key,
                             stem_slice value)
{
    return stem_wb_is_keepable(engine, value.len) &&
           used_bytes(engine) + size_of(key.len, value.len) <= engine->budget;
}

void stem_wb_admit(writeback_engine *engine, stem_slice key, uint64_t hash,
                   stem_slice value, uint32_t stamp)
{
    if (stem_wb_stamp(engine, hash) == stamp && is_worth_keeping(engine, key, value) &&
        !stem_wb_cached(engine, key, hash))
        keep(engine, key, hash, value);
}

bool stem_wb_forget(writeback_engine *engine, stem_slice key, uint64_t hash)
{
    wb_shard *shard = shard_of(engine, hash);
    wb_cached *old = stem_wb_cached(engine, key, hash);

    shard->stamps[stamp_of(hash)].changes++;
    if (old)
        drop(engine, shard, old);
    return old != NULL;
}

void stem_wb_prefetch_value(const writeback_engine *engine, uint64_t hash)
{
    const wb_place *start = wb_map_start(&engine->shards[wb_shard_of(hash)].cached, hash);

    if (!start || start->hash != hash)
        return;
    const char *cached = (const char *)start->cached;
    for (size_t i = 0; i < 3; i++)
        __builtin_prefetch(cached + i * STEM_CACHE_LINE, 1);
}

void stem_wb_prefetch(writeback_engine *engine, uint64_t hash)
{
    wb_shard *shard = shard_of(engine, hash);

    __builtin_prefetch(&shard->stamps[stamp_of(hash)], 1);
    pthread_mutex_lock(&shard->lock);
    __builtin_prefetch(wb_map_start(&shard->cached, hash));
    pthread_mutex_unlock(&shard->lock);
}

/* What is admitted meanwhile is renewed as all else. The change is for those who have read what is
 * cached, and go on below. */
void stem_wb_hide(writeback_engine *engine, uint64_t hash)
{
    wb_shard *shard = shard_of(engine, hash);

    pthread_mutex_lock(&shard->lock);
    stem_wb_prefetch_value(engine, hash);
    shard->n_hidden++;
    shard->stamps[stamp_of(hash)].n_hidden++;
    shard->stamps[stamp_of(hash)].changes++;
    pthread_mutex_unlock(&shard->lock);
}

/* Where it lies, unless that is too small, or would waste much. */
static void renew(writeback_engine *engine, wb_cached *cached, uint64_t hash,
                  stem_slice key, stem_slice value)
{
    const bool fits = value.len <= cached->room && value.len >= cached->room / 2;

    if (fits) {
        set_value(cached, value);
        return;
    }
    drop(engine, shard_of(engine, hash), cached);
    if (is_worth_keeping(engine, key, value))
        keep(engine, key, hash, value);
}

void stem_wb_reveal(writeback_engine *engine, const stem_write *write, uint64_t hash,
                    int code)
{
    wb_shard *shard = shard_of(engine, hash);

    pthread_mutex_lock(&shard->lock);
    shard->n_hidden--;
    shard->stamps[stamp_of(hash)].n_hidden--;
    shard->stamps[stamp_of(hash)].changes++;
    wb_cached *cached = code == STEM_OK || code == STEM_EUNKNOWN
                            ? stem_wb_cached(engine, write->key, hash)
                            : NULL;
    if (cached && code == STEM_OK && !write->is_delete)
        renew(engine, cached, hash, write->key, write->value);
    else if (cached)
        drop(engine, shard, cached);
    pthread_mutex_unlock(&shard->lock);
}

void stem_wb_keep(writeback_engine *engine, const wb_entry *entry)
{
    const stem_slice key = wb_entry_key(entry);
    const wb_version *newest = entry->newest;
    const uint64_t hash = stem_wb_hash(engine, key);
    wb_entry *newer = wb_table_find(atomic_load(&engine->active), key, hash);

    if (newer) {
        wb_table_heat(atomic_load(&engine->active), newer, WRITEBACK_HOT);
    } else if (newest && !newest->is_delete) {
        const stem_slice value = {newest->bytes, newest->len};

        if (is_worth_keeping(engine, key, value))
            keep(engine, key, hash, value);
    }
}

/* Drops the first value of the shard that was not read since it was looked at last. */
static void evict_one(writeback_engine *engine, wb_shard *shard)
{
    wb_cached *oldest = shard->oldest;

    while (oldest->is_referenced) {
        oldest->is_referenced = false;
        DL_DELETE(shard->oldest, oldest);
        DL_APPEND(shard->oldest, oldest);
        oldest = shard->oldest;
    }
    drop(engine, shard, oldest);
}

void stem_wb_make_room(writeback_engine *engine, size_t wanted)
{
    while (atomic_load(&engine->cached_bytes) > 0 &&
           used_bytes(engine) + wanted > engine->budget) {
        wb_shard *shard =
            &engine
                 ->shards[atomic_fetch_add(&engine->next_evicted, 1) % WRITEBACK_SHARDS];

        pthread_mutex_lock(&shard->lock);
        if (shard->oldest)
            evict_one(engine, shard);
        pthread_mutex_unlock(&shard->lock);
    }
}

int stem_wb_make_cache(writeback_engine *engine)
{
    enum { BYTES_A_SET = 1024, SETS_LEAST = 256 };
    size_t sets = SETS_LEAST;

    while (sets * 2 <= engine->budget / BYTES_A_SET)
        sets *= 2;
    engine->missed_mask = sets - 1;
    engine->missed = calloc(sets, sizeof *engine->missed);
    if (!engine->missed)
        return stem_fail(STEM_ENOMEM, "no memory for write-back");
    return STEM_OK;
}

void stem_wb_free_cache(writeback_engine *engine)
{
    for (size_t i = 0; i < WRITEBACK_SHARDS; i++)
        while (engine->shards[i].oldest)
            drop(engine, &engine->shards[i], engine->shards[i].oldest);
    for (size_t i = 0; i < WRITEBACK_SHARDS; i++)
        stem_wb_map_free(&engine->shards[i].cached);
    free(engine->missed);
}
