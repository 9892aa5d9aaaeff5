/*
 * The write-back engine: commits go into memory and are answered, and one thread hands them to
 * the engine below, many as one. Here: opening, looking after.
 */
#include "writeback.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "option.h"
#include "writeback_engine.h"

/* ---- Small things ----------------------------------------------------------------- */

/* Eight bytes at a time, from a seed that nobody outside knows. */
uint64_t stem_wb_hash(const writeback_engine *engine, stem_slice key)
{
    const uint64_t factor = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t hash = engine->seed ^ key.len * factor, word;
    const char *bytes = key.data;
    size_t left = key.len;

    for (; left >= sizeof word; bytes += sizeof word, left -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        hash = (hash ^ word) * factor;
        hash ^= hash >> 32;
    }
    if (left > 0) {
        word = 0;
        memcpy(&word, bytes, left);
        hash = (hash ^ word) * factor;
        hash ^= hash >> 32;
    }
    hash *= UINT64_C(0xD6E8FEB86659FD93);
    return hash ^ hash >> 32;
}

void stem_wb_lock(writeback_engine *engine, uint64_t mask)
{
    for (; mask != 0; mask &= mask - 1)
        pthread_mutex_lock(engine->locks[__builtin_ctzll(mask)]);
}

void stem_wb_unlock(writeback_engine *engine, uint64_t mask)
{
    for (; mask != 0; mask &= mask - 1)
        pthread_mutex_unlock(engine->locks[__builtin_ctzll(mask)]);
}

/* ---- Looking after ---------------------------------------------------------------- */

static int writeback_sync(stem_engine *base)
{
    stem_engine *below = writeback_of(base)->below;
    int code = stem_wb_flush(base);

    return code == STEM_OK ? below->ops->sync(below) : code;
}

static int writeback_compact(stem_engine *base, const stem_engine_range *range)
{
    stem_engine *below = writeback_of(base)->below;
    int code = stem_wb_flush(base);

    return code == STEM_OK ? below->ops->compact(below, range) : code;
}

static int writeback_estimate(stem_engine *base, const stem_engine_range *range,
                              stem_size_info *size)
{
    stem_engine *below = writeback_of(base)->below;

    return below->ops->estimate(below, range, size);
}

static int writeback_stats(stem_engine *base, stem_statistics *stats)
{
    writeback_engine *engine = writeback_of(base);
    int code = engine->below->ops->stats(engine->below, stats);

    if (code != STEM_OK)
        return code;
    stats->dirty_bytes = wb_dirty_bytes(engine);
    stats->cached_bytes = atomic_load(&engine->cached_bytes);
    stats->kept_bytes = atomic_load(&engine->kept_bytes);
    for (size_t i = 0; i < WRITEBACK_SHARDS; i++) {
        wb_shard *shard = &engine->shards[i];

        pthread_mutex_lock(&shard->lock);
        stats->hits += shard->hits;
        stats->misses += shard->misses;
        pthread_mutex_unlock(&shard->lock);
    }
    pthread_mutex_lock(&engine->state_lock);
    stats->rounds = engine->rounds;
    stats->waits = engine->waits;
    stats->longest_wait_ns = engine->longest_wait_ns;
    pthread_mutex_unlock(&engine->state_lock);
    return STEM_OK;
}

static int writeback_identify(stem_engine *base, stem_place_id *id)
{
    stem_engine *below = writeback_of(base)->below;

    return below->ops->identify(below, id);
}

/* ---- Opening and closing ---------------------------------------------------------- */

enum { LEAST_BYTES = 1 << 20, MOST_BYTES = 1 << 30, MOST_MS = 60000, DEFAULT_MS = 50 };

int stem_writeback_check_options(const stem_options *options)
{
    int code = stem_check_size("writeback_bytes", options->writeback_bytes, LEAST_BYTES,
                               MOST_BYTES);

    if (code == STEM_OK)
        code = stem_check_size("writeback_ms", options->writeback_ms, 1, MOST_MS);
    if (code == STEM_OK && options->writeback_ms != 0 && options->writeback_bytes == 0)
        code = stem_fail(STEM_EINVAL, "option writeback_ms without writeback_bytes");
    return code;
}

void stem_writeback_complete_options(stem_options *options)
{
    if (options->writeback_bytes != 0 && options->writeback_ms == 0)
        options->writeback_ms = DEFAULT_MS;
}

static void free_engine(writeback_engine *engine)
{
    if (engine->shards) {
        stem_wb_free_cache(engine);
        for (size_t i = 0; i < WRITEBACK_SHARDS; i++)
            pthread_mutex_destroy(&engine->shards[i].lock);
        free(engine->shards);
    }
    if (atomic_load(&engine->active))
        stem_wb_table_release(atomic_load(&engine->active));
    if (atomic_load(&engine->frozen))
        stem_wb_table_release(atomic_load(&engine->frozen));
    stem_wb_pool_free(&engine->pool);
    pthread_cond_destroy(&engine->wake);
    pthread_cond_destroy(&engine->changed);
    pthread_mutex_destroy(&engine->state_lock);
    pthread_mutex_destroy(&engine->round_lock);
    pthread_mutex_destroy(&engine->pin_lock);
    pthread_mutex_destroy(&engine->commit_lock);
    pthread_mutex_destroy(&engine->through_lock);
    free(engine);
}

/* Closes what is below, from where on no round uses it: one may still be under way, or come, for
 * nothing but what a commit took that ran out of memory. */
static int close_below(writeback_engine *engine)
{
    pthread_mutex_lock(&engine->round_lock);
    int code = engine->below->ops->close(engine->below);
    if (code == STEM_OK)
        atomic_store(&engine->is_discarded, true);
    pthread_mutex_unlock(&engine->round_lock);
    return code;
}

/* The thread goes last, because what fails to close must stay usable. */
static int writeback_close(stem_engine *base)
{
    writeback_engine *engine = writeback_of(base);
    int code = stem_wb_flush(base);

    if (code == STEM_OK)
        code = close_below(engine);
    if (code != STEM_OK) {
        atomic_store(&engine->is_discarded, false);
        return code;
    }
    stem_wb_stop_thread(engine);
    stem_wb_note_closed(engine);
    free_engine(engine);
    return STEM_OK;
}

static const stem_engine_ops writeback_ops = {
    .name = "writeback",
    .read = stem_wb_read,
    .read_some = stem_wb_read_some,
    .read_heads = stem_wb_read_heads,
    .commit = stem_wb_commit,
    .iter_open = stem_wb_iter_open,
    .iter_next = stem_wb_iter_next,
    .iter_seek = stem_wb_iter_seek,
    .iter_close = stem_wb_iter_close,
    .snapshot_open = stem_wb_snapshot_open,
    .snapshot_close = stem_wb_snapshot_close,
    .flush = stem_wb_flush,
    .discard = stem_wb_discard,
    .sync = writeback_sync,
    .compact = writeback_compact,
    .estimate = writeback_estimate,
    .stats = writeback_stats,
    .identify = writeback_identify,
    .close = writeback_close,
};

static void init_locks(writeback_engine *engine)
{
    pthread_condattr_t monotonic;

    pthread_mutex_init(&engine->through_lock, NULL);
    pthread_mutex_init(&engine->commit_lock, NULL);
    pthread_mutex_init(&engine->pin_lock, NULL);
    pthread_mutex_init(&engine->round_lock, NULL);
    pthread_mutex_init(&engine->state_lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&engine->wake, &monotonic);
    pthread_cond_init(&engine->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static int make_shards(writeback_engine *engine)
{
    wb_table *first = stem_wb_table_new(&engine->pool, &engine->extent);

    if (!first)
        return STEM_ENOMEM;
    atomic_init(&engine->active, first);
    engine->shards =
        aligned_alloc(STEM_CACHE_LINE, WRITEBACK_SHARDS * sizeof *engine->shards);
    if (!engine->shards)
        return stem_fail(STEM_ENOMEM, "no memory for write-back");
    memset(engine->shards, 0, WRITEBACK_SHARDS * sizeof *engine->shards);
    for (size_t i = 0; i < WRITEBACK_SHARDS; i++) {
        pthread_mutex_init(&engine->shards[i].lock, NULL);
        engine->locks[i] = &engine->shards[i].lock;
    }
    return stem_wb_make_cache(engine);
}

int stem_writeback_open(stem_engine *below, const stem_options *options,
                        stem_engine **opened)
{
    writeback_engine *engine = calloc(1, sizeof *engine);

    if (!engine)
        return stem_fail(STEM_ENOMEM, "no memory for write-back");
    engine->base.ops = &writeback_ops;
    engine->base.max_key_bytes = below->max_key_bytes;
    engine->base.max_value_bytes = below->max_value_bytes;
    engine->base.max_commit_bytes = below->max_commit_bytes;
    engine->base.max_commit_items = below->max_commit_items;
    engine->base.fork_generation = below->fork_generation;
    engine->below = below;
    engine->budget = options->writeback_bytes;
    if (engine->budget > below->max_commit_bytes)
        engine->budget = below->max_commit_bytes;
    engine->interval_ns = options->writeback_ms * UINT64_C(1000000);
    atomic_init(&engine->committed, 1);
    atomic_init(&engine->handed_over, 1);
    if (getrandom(&engine->seed, sizeof engine->seed, GRND_NONBLOCK) < 0)
        engine->seed = stem_clock();
    init_locks(engine);
    stem_wb_pool_init(&engine->pool);

    int code = make_shards(engine);
    if (code == STEM_OK)
        code = stem_wb_start_thread(engine);
    if (code != STEM_OK) {
        free_engine(engine);
        return code;
    }
    stem_wb_note_open(engine);
    *opened = &engine->base;
    return STEM_OK;
}
