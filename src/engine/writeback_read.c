/*
 * The write-back engine: reading what is newest.
 *
 * Several keys are read from one state: at one moment where all are in memory. Otherwise those
 * that are not are read below, and that was the state then, if nobody has written any of the keys
 * meanwhile; if somebody has, a moment is pinned. Where they hold too much, the first of them
 * alone are read: whatever cuts them short, those behind are given back.
 */
#include <stdlib.h>

#include "writeback_engine.h"

int stem_wb_copy_out(stem_read *read, const char *bytes, size_t len)
{
    read->data = malloc(len > 0 ? len : 1);
    if (!read->data)
        return stem_fail(STEM_ENOMEM, "no memory for a value of %zu bytes", len);
    memcpy(read->data, bytes, len);
    read->len = len;
    return STEM_OK;
}

/* The same, of a value of which the reader may want the head alone. */
static int copy_out(stem_read *read, const char *bytes, size_t len, bool head_only)
{
    const bool is_cut = head_only && len > STEM_SHORT_VALUE;
    const int code = stem_wb_copy_out(read, bytes, is_cut ? STEM_SHORT_VALUE : len);

    read->len = len;
    return code;
}

/* Looks for a key in memory, the lock of its shard being held: STEM_NOTFOUND when only the
 * engine below knows. Counts how that went. */
static int read_memory(writeback_engine *engine, stem_slice key, uint64_t hash,
                       bool head_only, stem_read *read)
{
    wb_shard *shard = &engine->shards[wb_shard_of(hash)];
    wb_table *tables[2];

    *read = (stem_read){0};
    tables[0] = atomic_load_explicit(&engine->active, memory_order_acquire);
    tables[1] = atomic_load_explicit(&engine->frozen, memory_order_acquire);
    for (size_t t = 0; t < 2; t++) {
        wb_entry *entry = tables[t] ? wb_table_find(tables[t], key, hash) : NULL;

        if (entry && entry->newest) {
            shard->hits++;
            wb_table_heat(tables[t], entry, 1);
            return entry->newest->is_delete ? STEM_OK
                                            : copy_out(read, entry->newest->bytes,
                                                       entry->newest->len, head_only);
        }
    }
    wb_cached *cached =
        stem_wb_is_hidden(engine, hash) ? NULL : stem_wb_cached(engine, key, hash);
    if (!cached) {
        shard->misses++;
        return STEM_NOTFOUND;
    }
    shard->hits++;
    cached->is_referenced = true;
    return copy_out(read, cached->bytes + cached->key_len, cached->len, head_only);
}

static int read_below(stem_engine *below, const stem_slice *keys, size_t n, size_t most,
                      bool heads_only, stem_read *reads, size_t *n_read)
{
    if (!heads_only || !below->ops->read_heads)
        return below->ops->read_some(below, NULL, keys, n, most, reads, n_read);
    *n_read = n;
    return below->ops->read_heads(below, keys, n, reads);
}

/* A value was read below, which is worth keeping if there is memory to spare, or if its key was
 * missed lately. */
static void offer(writeback_engine *engine, stem_slice key, uint64_t hash,
                  const stem_read *read, uint32_t stamp)
{
    enum { ADMITTED_BYTES = 256 };
    pthread_mutex_t *lock = engine->locks[wb_shard_of(hash)];

    if (!read->data || !stem_wb_is_keepable(engine, read->len))
        return;
    if (!stem_wb_note_miss(engine, hash) && !stem_wb_has_spare(engine))
        return;
    stem_wb_make_room(engine, key.len + read->len + ADMITTED_BYTES);
    pthread_mutex_lock(lock);
    stem_wb_admit(engine, key, hash, (stem_slice){read->data, read->len}, stamp);
    pthread_mutex_unlock(lock);
}

/* Whether what was read is the whole value. */
static bool is_whole(const stem_read *read, bool head_only)
{
    return !head_only || read->len <= STEM_SHORT_VALUE;
}

static int read_newest(writeback_engine *engine, stem_slice key, bool head_only,
                       stem_read *read)
{
    const uint64_t hash = stem_wb_hash(engine, key);
    pthread_mutex_t *lock = engine->locks[wb_shard_of(hash)];

    wb_prefetch_missed(engine, hash);
    pthread_mutex_lock(lock);
    int code = read_memory(engine, key, hash, head_only, read);
    const uint32_t stamp = stem_wb_stamp(engine, hash);
    pthread_mutex_unlock(lock);
    if (code != STEM_NOTFOUND)
        return code;

    size_t n_read;
    code = read_below(engine->below, &key, 1, SIZE_MAX, head_only, read, &n_read);
    if (code == STEM_OK && is_whole(read, head_only))
        offer(engine, key, hash, read, stamp);
    return code;
}

/* ---- Several keys ----------------------------------------------------------------- */

/* A key that is read with others. */
typedef struct sought {
    uint64_t hash;
    uint32_t stamp;
    bool is_missing;
} sought;

/* Keys that are read together, until they hold `most` bytes: `n` is how many are. */
typedef struct several {
    const stem_slice *keys;
    size_t n, most;
    bool heads_only;
    stem_read *reads;
} several;

static void free_reads(stem_read *reads, size_t n)
{
    while (n-- > 0)
        free(reads[n].data);
}

/* Has all of it on its way at once. */
static void prefetch_all(const writeback_engine *engine, const sought *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        __builtin_prefetch(
            wb_map_start(&engine->shards[wb_shard_of(all[i].hash)].cached, all[i].hash));
    for (size_t i = 0; i < n; i++)
        stem_wb_prefetch_value(engine, all[i].hash);
}

/* Reads what is in memory at one moment, and how many keys are not. */
static int read_all_in_memory(writeback_engine *engine, several *of, sought *all,
                              size_t *n_missing)
{
    uint64_t mask = 0;
    size_t done = 0, bytes = 0;
    int code = STEM_OK;

    *n_missing = 0;
    for (size_t i = 0; i < of->n; i++) {
        all[i].hash = stem_wb_hash(engine, of->keys[i]);
        mask |= UINT64_C(1) << wb_shard_of(all[i].hash);
    }
    stem_wb_lock(engine, mask);
    prefetch_all(engine, all, of->n);
    for (; done < of->n && (done == 0 || bytes < of->most) && code == STEM_OK; done++) {
        code = read_memory(engine, of->keys[done], all[done].hash, of->heads_only,
                           &of->reads[done]);
        bytes += of->reads[done].len;
        all[done].stamp = stem_wb_stamp(engine, all[done].hash);
        all[done].is_missing = code == STEM_NOTFOUND;
        if (all[done].is_missing) {
            ++*n_missing;
            code = STEM_OK;
        }
    }
    stem_wb_unlock(engine, mask);
    of->n = done;
    if (code != STEM_OK)
        free_reads(of->reads, done);
    return code;
}

/* Whether nobody has written any of the keys since they were looked for. */
static bool is_unchanged(writeback_engine *engine, const sought *all, size_t n)
{
    uint64_t mask = 0;
    bool is_same = true;

    for (size_t i = 0; i < n; i++)
        mask |= UINT64_C(1) << wb_shard_of(all[i].hash);
    stem_wb_lock(engine, mask);
    for (size_t i = 0; i < n && is_same; i++)
        is_same = stem_wb_stamp(engine, all[i].hash) == all[i].stamp;
    stem_wb_unlock(engine, mask);
    return is_same;
}

/* Leaves those alone that come before the first of which nothing was read below. */
static void cut_short(several *of, const sought *all, size_t n_read)
{
    size_t n = 0, found = 0;

    while (n < of->n && (!all[n].is_missing || found++ < n_read))
        n++;
    free_reads(of->reads + n, of->n - n);
    of->n = n;
}

/* Reads below what is not in memory, all from one state. */
static int read_missing(writeback_engine *engine, several *of, const sought *all,
                        size_t n_missing)
{
    stem_engine *below = engine->below;
    stem_slice *missing = malloc(n_missing * (sizeof *missing + sizeof(stem_read)));
    size_t found = 0, n_read;

    if (!missing)
        return stem_fail(STEM_ENOMEM, "no memory to read %zu keys", n_missing);
    stem_read *read = (stem_read *)(missing + n_missing);
    for (size_t i = 0; i < of->n; i++)
        if (all[i].is_missing)
            missing[found++] = of->keys[i];
    int code =
        read_below(below, missing, n_missing, of->most, of->heads_only, read, &n_read);
    if (code == STEM_OK) {
        cut_short(of, all, n_read);
        for (size_t i = of->n; i-- > 0;)
            if (all[i].is_missing)
                of->reads[i] = read[--n_read];
    }
    free(missing);
    return code;
}

/* Reads from memory and below; STEM_EGONE when somebody has written meanwhile. */
static int read_mixed(writeback_engine *engine, several *of, sought *all)
{
    size_t n_missing;

    int code = read_all_in_memory(engine, of, all, &n_missing);
    if (code != STEM_OK || n_missing == 0)
        return code;
    code = read_missing(engine, of, all, n_missing);
    if (code == STEM_OK && !is_unchanged(engine, all, of->n))
        code = STEM_EGONE;
    if (code != STEM_OK)
        free_reads(of->reads, of->n);
    for (size_t i = 0; i < of->n && code == STEM_OK; i++)
        if (all[i].is_missing && is_whole(&of->reads[i], of->heads_only))
            offer(engine, of->keys[i], all[i].hash, &of->reads[i], all[i].stamp);
    return code;
}

static int read_each_pinned(writeback_engine *engine, const wb_pin *pin, several *of)
{
    size_t done = 0, bytes = 0;
    int code = STEM_OK;

    while (done < of->n && (done == 0 || bytes < of->most) && code == STEM_OK) {
        code = stem_wb_read_pinned(engine, pin, of->keys[done], &of->reads[done]);
        if (code == STEM_OK)
            bytes += of->reads[done++].len;
    }
    of->n = done;
    if (code != STEM_OK)
        free_reads(of->reads, done);
    return code;
}

static int read_several(writeback_engine *engine, several *of)
{
    enum { FEW = 128 };
    const several asked = *of;
    sought few[FEW], *all = few;
    wb_pin *pin;

    if (of->n > FEW)
        all = malloc(of->n * sizeof *all);
    if (!all)
        return stem_fail(STEM_ENOMEM, "no memory to read %zu keys", of->n);
    int code = read_mixed(engine, of, all);
    if (all != few)
        free(all);
    if (code != STEM_EGONE)
        return code;
    *of = asked;
    code = stem_wb_pin(engine, false, &pin);
    if (code != STEM_OK)
        return code;
    code = read_each_pinned(engine, pin, of);
    stem_wb_unpin(engine, pin);
    return code;
}

int stem_wb_read_some(stem_engine *base, const stem_engine_snapshot *snapshot,
                      const stem_slice *keys, size_t n, size_t most, stem_read *reads,
                      size_t *n_read)
{
    writeback_engine *engine = writeback_of(base);
    /* Before the read, which then sees that commit, and perhaps more. */
    const uint64_t stamp =
        snapshot ? 0 : atomic_load_explicit(&engine->committed, memory_order_acquire);
    several of = {.keys = keys, .n = n, .most = most, .reads = reads};
    int code;

    if (snapshot)
        code = read_each_pinned(engine, snapshot, &of);
    else if (n == 1)
        code = read_newest(engine, *keys, false, reads);
    else
        code = read_several(engine, &of);
    for (size_t i = 0; i < of.n && code == STEM_OK; i++)
        reads[i].stamp = stamp;
    *n_read = of.n;
    return code;
}

int stem_wb_read_heads(stem_engine *base, const stem_slice *keys, size_t n,
                       stem_read *reads)
{
    writeback_engine *engine = writeback_of(base);
    const uint64_t stamp = atomic_load_explicit(&engine->committed, memory_order_acquire);
    several of = {
        .keys = keys, .n = n, .most = SIZE_MAX, .heads_only = true, .reads = reads};

    int code =
        n == 1 ? read_newest(engine, *keys, true, reads) : read_several(engine, &of);
    for (size_t i = 0; i < n && code == STEM_OK; i++)
        reads[i].stamp = stamp;
    return code;
}

int stem_wb_read(stem_engine *base, const stem_engine_snapshot *snapshot,
                 const stem_slice *keys, size_t n, stem_read *reads)
{
    size_t n_read;

    return stem_wb_read_some(base, snapshot, keys, n, SIZE_MAX, reads, &n_read);
}
