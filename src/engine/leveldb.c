/*
 * The LevelDB engine: opening, reading, looking after.
 */
#include "leveldb.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "directory_trial.h"
#include "leveldb_engine.h"
#include "leveldb_recovery.h"
#include "option.h"

/* A path has at most 65,536 bytes; Stem's own records need a little more. LevelDB keeps
 * lengths in 32 bits and silently truncates what does not fit. */
enum { MAX_KEY_BYTES = 1 << 17 };
static const size_t max_commit_bytes = (size_t)1 << 31;

/* ---- Reading ---------------------------------------------------------------------- */

int stem_leveldb_read_one(leveldb_engine *engine, const leveldb_readoptions_t *options,
                          stem_slice key, stem_read *read)
{
    char *message = NULL;

    read->data =
        leveldb_get(engine->db, options, key.data, key.len, &read->len, &message);
    return message ? stem_leveldb_fail_near(engine, message, key) : STEM_OK;
}

/* Reads keys until they hold `most` bytes; with `heads_as_of`, which is a commit's number, the
 * heads of their values. */
static int read_each(leveldb_engine *engine, const leveldb_readoptions_t *options,
                     uint64_t heads_as_of, const stem_slice *keys, size_t n, size_t most,
                     stem_read *reads, size_t *n_read)
{
    int code = STEM_OK;
    size_t done = 0, bytes = 0;

    while (done < n && (done == 0 || bytes < most) && code == STEM_OK) {
        code = heads_as_of > 0
                   ? stem_leveldb_read_head(engine, options, keys[done], heads_as_of,
                                            &reads[done])
                   : stem_leveldb_read_one(engine, options, keys[done], &reads[done]);
        if (code == STEM_OK)
            bytes += reads[done++].len;
    }
    *n_read = done;
    if (code != STEM_OK)
        while (done-- > 0)
            leveldb_free(reads[done].data);
    return code;
}

/* Several keys from the newest state are read through a snapshot of LevelDB's. */
static int read_together(leveldb_engine *engine, uint64_t heads_as_of,
                         const stem_slice *keys, size_t n, size_t most, stem_read *reads,
                         size_t *n_read)
{
    const leveldb_snapshot_t *frozen = leveldb_create_snapshot(engine->db);
    leveldb_readoptions_t *options = leveldb_readoptions_create();

    leveldb_readoptions_set_verify_checksums(options, engine->verify);
    leveldb_readoptions_set_snapshot(options, frozen);
    int code = read_each(engine, options, heads_as_of, keys, n, most, reads, n_read);
    leveldb_readoptions_destroy(options);
    leveldb_release_snapshot(engine->db, frozen);
    return code;
}

static int leveldb_read_some(stem_engine *base, const stem_engine_snapshot *snapshot,
                             const stem_slice *keys, size_t n, size_t most,
                             stem_read *reads, size_t *n_read)
{
    stem_gate_slot *slot;
    leveldb_engine *engine = leveldb_of(base);
    const leveldb_readoptions_t *options = stem_leveldb_read_options(engine, snapshot);
    /* Before the read, which then sees that commit, and perhaps more. */
    const uint64_t stamp =
        snapshot ? 0 : atomic_load_explicit(&engine->commits, memory_order_acquire);

    int code = stem_leveldb_enter(engine, &slot);
    if (code != STEM_OK)
        return code;
    *n_read = n;
    if (n == 1)
        code = stem_leveldb_read_one(engine, options, *keys, reads);
    else if (snapshot)
        code = read_each(engine, options, 0, keys, n, most, reads, n_read);
    else
        code = read_together(engine, 0, keys, n, most, reads, n_read);
    stem_gate_leave(slot);
    for (size_t i = 0; code == STEM_OK && i < *n_read; i++)
        reads[i].stamp = stamp;
    return code;
}

static int leveldb_read_heads(stem_engine *base, const stem_slice *keys, size_t n,
                              stem_read *reads)
{
    stem_gate_slot *slot;
    leveldb_engine *engine = leveldb_of(base);
    /* Before the read, and not 0 (leveldb_engine.h). */
    const uint64_t stamp = atomic_load_explicit(&engine->commits, memory_order_acquire);
    size_t n_read;

    int code = stem_leveldb_enter(engine, &slot);
    if (code != STEM_OK)
        return code;
    if (n == 1)
        code = stem_leveldb_read_head(engine, engine->read_options, *keys, stamp, reads);
    else
        code = read_together(engine, stamp, keys, n, SIZE_MAX, reads, &n_read);
    stem_gate_leave(slot);
    for (size_t i = 0; code == STEM_OK && i < n; i++)
        reads[i].stamp = stamp;
    return code;
}

int stem_leveldb_read(stem_engine *base, const stem_engine_snapshot *snapshot,
                      const stem_slice *keys, size_t n, stem_read *reads)
{
    size_t n_read;

    return leveldb_read_some(base, snapshot, keys, n, SIZE_MAX, reads, &n_read);
}

/* ---- Looking after ---------------------------------------------------------------- */

static int leveldb_engine_estimate(stem_engine *base, const stem_engine_range *range,
                                   stem_size_info *size)
{
    stem_gate_slot *slot;
    static const char beyond[] = "\xff\xff\xff\xff\xff\xff\xff\xff";
    leveldb_engine *engine = leveldb_of(base);
    stem_slice end =
        range->end.len ? range->end : (stem_slice){beyond, sizeof beyond - 1};
    stem_directory_usage usage;

    int code = stem_directory_measure(engine->dir, &usage);
    if (code != STEM_OK)
        return code;
    code = stem_leveldb_enter(engine, &slot);
    if (code != STEM_OK)
        return code;
    *size = (stem_size_info){.log_bytes = usage.log_bytes};
    leveldb_approximate_sizes(engine->db, 1, &range->start.data, &range->start.len,
                              &end.data, &end.len, &size->table_bytes);
    stem_gate_leave(slot);
    return STEM_OK;
}

static int leveldb_engine_stats(stem_engine *base, stem_statistics *stats)
{
    stem_gate_slot *slot;
    leveldb_engine *engine = leveldb_of(base);
    stem_directory_usage usage;

    int code = stem_directory_measure(engine->dir, &usage);
    if (code != STEM_OK)
        return code;
    *stats = (stem_statistics){
        .table_files = usage.table_files,
        .table_bytes = usage.table_bytes,
        .log_files = usage.log_files,
        .log_bytes = usage.log_bytes,
        .repairs = atomic_load(&engine->repairs),
    };
    slot = stem_gate_enter(&engine->gate);
    if (engine->db) {
        char *text =
            leveldb_property_value(engine->db, "leveldb.approximate-memory-usage");

        if (text)
            stats->memory_bytes = strtoull(text, NULL, 10);
        leveldb_free(text);
    }
    stem_gate_leave(slot);
    return STEM_OK;
}

static int leveldb_engine_identify(stem_engine *base, stem_place_id *id)
{
    leveldb_engine *engine = leveldb_of(base);
    int code = STEM_OK;

    pthread_mutex_lock(&engine->id_lock);
    if (!engine->has_id)
        code = stem_place_id_make(&engine->id);
    engine->has_id |= code == STEM_OK;
    if (code == STEM_OK)
        *id = engine->id;
    pthread_mutex_unlock(&engine->id_lock);
    return code;
}

/* ---- Opening and closing ---------------------------------------------------------- */

enum {
    DEFAULT_BLOOM_BITS = 10,
    DEFAULT_OPEN_FILES = 1000,
    DEFAULT_CACHE_BYTES = 32 << 20,
    DEFAULT_WRITE_BUFFER_BYTES = 4 << 20,
    DEFAULT_BLOCK_BYTES = 4 << 10
};

static int check_number(const char *name, int value, int least, int most)
{
    if (value == 0 || (value >= least && value <= most))
        return STEM_OK;
    return stem_fail(STEM_EINVAL, "option %s is %d, not 0 or from %d to %d", name, value,
                     least, most);
}

/* LevelDB would clip what is out of range in silence. */
int stem_leveldb_check_options(const stem_options *options)
{
    int code = check_number("bloom_bits", options->bloom_bits, 1, 64);

    if (code == STEM_OK && options->no_bloom && options->bloom_bits != 0)
        code =
            stem_fail(STEM_EINVAL, "options no_bloom and bloom_bits exclude each other");
    if (code == STEM_OK)
        code = check_number("max_open_files", options->max_open_files, 74, 50000);
    if (code == STEM_OK)
        code = stem_check_size("cache_bytes", options->cache_bytes, 64 << 10,
                               UINT64_C(1) << 40);
    if (code == STEM_OK)
        code = stem_check_size("write_buffer_bytes", options->write_buffer_bytes,
                               64 << 10, 1 << 30);
    if (code == STEM_OK)
        code = stem_check_size("block_bytes", options->block_bytes, 1 << 10, 4 << 20);
    return code;
}

stem_options stem_leveldb_effective_options(const stem_options *options)
{
    stem_options made = *options;

    if (made.bloom_bits == 0 && !made.no_bloom)
        made.bloom_bits = DEFAULT_BLOOM_BITS;
    if (made.max_open_files == 0)
        made.max_open_files = DEFAULT_OPEN_FILES;
    if (made.cache_bytes == 0)
        made.cache_bytes = DEFAULT_CACHE_BYTES;
    if (made.write_buffer_bytes == 0)
        made.write_buffer_bytes = DEFAULT_WRITE_BUFFER_BYTES;
    if (made.block_bytes == 0)
        made.block_bytes = DEFAULT_BLOCK_BYTES;
    return made;
}

static void make_options(leveldb_engine *engine, const stem_options *options)
{
    leveldb_options_t *made = leveldb_options_create();

    engine->options = made;
    engine->verify = !options->no_verify;
    engine->cache = leveldb_cache_create_lru(options->cache_bytes);
    leveldb_options_set_cache(made, engine->cache);
    if (!options->no_bloom) {
        engine->bloom_bits = options->bloom_bits;
        engine->filter = leveldb_filterpolicy_create_bloom(options->bloom_bits);
        leveldb_options_set_filter_policy(made, engine->filter);
    }
    leveldb_options_set_paranoid_checks(made, engine->verify);
    leveldb_options_set_compression(made, options->no_compression
                                              ? leveldb_no_compression
                                              : leveldb_snappy_compression);
    leveldb_options_set_max_open_files(made, options->max_open_files);
    leveldb_options_set_write_buffer_size(made, options->write_buffer_bytes);
    leveldb_options_set_block_size(made, options->block_bytes);
    engine->read_options = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(engine->read_options, engine->verify);
    engine->write_options = leveldb_writeoptions_create();
}

static void *do_nothing(void *argument)
{
    return argument;
}

/* Where LevelDB cannot start its thread a C++ exception ends the process: so it is tried
 * first. */
static int check_threads(void)
{
    pthread_t thread;
    int cause = pthread_create(&thread, NULL, do_nothing, NULL);

    if (cause != 0)
        return stem_fail(STEM_EIO, "cannot start a thread: %s", strerror(cause));
    pthread_join(thread, NULL);
    return STEM_OK;
}

/* Opens `db`; the first time it makes LevelDB start its thread. */
static int start(leveldb_engine *engine, bool is_first)
{
    char *message = NULL;

    int code = is_first ? check_threads() : STEM_OK;
    if (code == STEM_OK && !engine->is_new)
        code = stem_leveldb_check_recovery(engine->dir, engine->verify);
    if (code != STEM_OK)
        return code;
    stem_directory_clear_trial(engine->dir);
    leveldb_options_set_create_if_missing(engine->options, engine->is_new);
    engine->db =
        leveldb_open(engine->options, stem_directory_name(engine->dir), &message);
    if (message)
        return stem_leveldb_fail(engine, message);
    engine->is_new = false;
    if (is_first)
        stem_leveldb_renew_log(engine);
    return STEM_OK;
}

int stem_leveldb_start(leveldb_engine *engine)
{
    /* One background thread serves all of LevelDB in a process; it starts with the first
     * compaction, and would otherwise take the signal mask of whoever causes that. */
    static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
    static atomic_bool is_started;
    sigset_t all, before;
    int code;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (atomic_load(&is_started)) {
        code = start(engine, false);
    } else {
        pthread_mutex_lock(&start_lock);
        code = start(engine, !atomic_load(&is_started));
        if (code == STEM_OK)
            atomic_store(&is_started, true);
        pthread_mutex_unlock(&start_lock);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

static void free_engine(leveldb_engine *engine)
{
    if (engine->db)
        leveldb_close(engine->db);
    leveldb_options_destroy(engine->options);
    leveldb_readoptions_destroy(engine->read_options);
    leveldb_writeoptions_destroy(engine->write_options);
    if (engine->filter)
        leveldb_filterpolicy_destroy(engine->filter);
    leveldb_cache_destroy(engine->cache);
    leveldb_writebatch_destroy(engine->single);
    leveldb_writebatch_t *spare = atomic_load(&engine->spare);
    if (spare)
        leveldb_writebatch_destroy(spare);
    stem_leveldb_forget_heads(engine);
    pthread_mutex_destroy(&engine->id_lock);
    pthread_cond_destroy(&engine->sync_ended);
    pthread_mutex_destroy(&engine->sync_lock);
    pthread_mutex_destroy(&engine->compact_lock);
    pthread_mutex_destroy(&engine->write_lock);
    pthread_mutex_destroy(&engine->gate.closing);
    free(engine);
}

static int leveldb_engine_close(stem_engine *base)
{
    free_engine(leveldb_of(base));
    return STEM_OK;
}

static const stem_engine_ops leveldb_ops = {
    .name = "leveldb",
    .read = stem_leveldb_read,
    .read_some = leveldb_read_some,
    .read_heads = leveldb_read_heads,
    .commit = stem_leveldb_commit,
    .iter_open = stem_leveldb_iter_open,
    .iter_next = stem_leveldb_iter_next,
    .iter_seek = stem_leveldb_iter_seek,
    .iter_close = stem_leveldb_iter_close,
    .snapshot_open = stem_leveldb_snapshot_open,
    .snapshot_close = stem_leveldb_snapshot_close,
    .sync = stem_leveldb_sync,
    .compact = stem_leveldb_compact,
    .estimate = leveldb_engine_estimate,
    .stats = leveldb_engine_stats,
    .identify = leveldb_engine_identify,
    .close = leveldb_engine_close,
};

int stem_leveldb_open(const stem_directory *dir, const stem_options *options,
                      stem_engine **opened)
{
    leveldb_engine *engine = aligned_alloc(STEM_CACHE_LINE, sizeof *engine);

    if (!engine)
        return stem_fail(STEM_ENOMEM, "no memory for a database");
    memset(engine, 0, sizeof *engine);
    engine->base.ops = &leveldb_ops;
    engine->base.max_key_bytes = MAX_KEY_BYTES;
    engine->base.max_value_bytes = STEM_VALUE_MAX;
    engine->base.max_commit_bytes = max_commit_bytes;
    engine->base.max_commit_items = SIZE_MAX;
    engine->dir = dir;
    engine->is_new = !stem_directory_has_current(dir);
    pthread_mutex_init(&engine->gate.closing, NULL);
    pthread_mutex_init(&engine->write_lock, NULL);
    pthread_mutex_init(&engine->compact_lock, NULL);
    pthread_mutex_init(&engine->sync_lock, NULL);
    pthread_cond_init(&engine->sync_ended, NULL);
    pthread_mutex_init(&engine->id_lock, NULL);
    pthread_mutex_init(&engine->heads_lock, NULL);
    engine->memtable_left = SIZE_MAX;
    engine->write_buffer_bytes = options->write_buffer_bytes;
    atomic_init(&engine->commits, 1);
    engine->single = leveldb_writebatch_create();
    make_options(engine, options);

    int code = stem_leveldb_start(engine);
    if (code != STEM_OK) {
        free_engine(engine);
        return code;
    }
    *opened = &engine->base;
    return STEM_OK;
}
