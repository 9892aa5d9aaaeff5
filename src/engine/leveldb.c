/*
 * The LevelDB engine: opening, reading, committing, looking after.
 *
 * A commit locks the stripes of its keys, judges its expectations, writes, and lets go; a
 * plain put is the same with nothing to judge. So an expectation holds at the moment of its
 * write, and writers of different keys meet only in LevelDB's own queue.
 */
#include "leveldb.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "leveldb_engine.h"

/* A path has at most 65,536 bytes; Stem's own records need a little more. LevelDB keeps
 * lengths in 32 bits and silently truncates what does not fit. */
enum { MAX_KEY_BYTES = 1 << 17 };
static const size_t max_commit_bytes = (size_t)1 << 31;

/* ---- Failing ---------------------------------------------------------------------- */

int stem_leveldb_fail(char *message)
{
    int code =
        strncmp(message, "Corruption", 10) == 0 || strstr(message, "does not exist")
            ? STEM_ECORRUPT
            : STEM_EIO;

    stem_fail(code, "LevelDB: %s", message);
    leveldb_free(message);
    return code;
}

/* ---- Reading ---------------------------------------------------------------------- */

/* Mixes eight bytes at a time with a 64 × 64 → 128 bit product, as wyhash does; keys that
 * meet in a stripe only wait for each other, so no defence against chosen keys is needed. */
static unsigned stripe_of(stem_slice key)
{
    const uint64_t factor = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t hash = key.len * factor;
    const char *bytes = key.data;
    size_t left = key.len;

    while (left > 0) {
        uint64_t word = 0;
        size_t step = left < sizeof word ? left : sizeof word;

        if (step == sizeof word)
            memcpy(&word, bytes, sizeof word);
        else
            for (size_t i = 0; i < step; i++)
                word = word << 8 | (unsigned char)bytes[i];
        hash = (hash ^ word) * factor;
        hash ^= hash >> 32;
        bytes += step;
        left -= step;
    }
    return (unsigned)(hash % STRIPES);
}

int stem_leveldb_fail_closed(const leveldb_engine *engine)
{
    return stem_fail(
        STEM_EIO,
        "%s could not be reopened after a failed write; the next write tries "
        "again",
        engine->dir->path);
}

/* Reads one key; the gate is held. */
static int read_one(leveldb_engine *engine, const leveldb_readoptions_t *options,
                    stem_slice key, stem_read *read)
{
    char *message = NULL;

    read->stamp = atomic_load_explicit(&engine->stripes[stripe_of(key)].version,
                                       memory_order_acquire);
    read->data =
        leveldb_get(engine->db, options, key.data, key.len, &read->len, &message);
    return message ? stem_leveldb_fail(message) : STEM_OK;
}

/* Several keys from the newest state are read through a snapshot of LevelDB's. */
static int read_many(leveldb_engine *engine, const stem_slice *keys, size_t n,
                     stem_read *reads)
{
    const leveldb_snapshot_t *frozen = leveldb_create_snapshot(engine->db);
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    int code = STEM_OK;
    size_t done;

    leveldb_readoptions_set_verify_checksums(options, engine->verify);
    leveldb_readoptions_set_snapshot(options, frozen);
    for (done = 0; done < n && code == STEM_OK; done++) {
        code = read_one(engine, options, keys[done], &reads[done]);
        /* The stamp is newer than the snapshot may be: it would vouch for too much. */
        reads[done].stamp = 0;
    }
    if (code != STEM_OK)
        while (done-- > 0)
            leveldb_free(reads[done].data);
    leveldb_readoptions_destroy(options);
    leveldb_release_snapshot(engine->db, frozen);
    return code;
}

static int leveldb_engine_read(stem_engine *base, const stem_engine_snapshot *snapshot,
                               const stem_slice *keys, size_t n, stem_read *reads)
{
    leveldb_engine *engine = leveldb_of(base);
    const leveldb_readoptions_t *options = stem_leveldb_read_options(engine, snapshot);
    int code = STEM_OK;

    pthread_rwlock_rdlock(&engine->gate);
    if (!engine->db) {
        code = stem_leveldb_fail_closed(engine);
    } else if (n > 1 && !snapshot) {
        code = read_many(engine, keys, n, reads);
    } else {
        size_t done;

        for (done = 0; done < n && code == STEM_OK; done++) {
            code = read_one(engine, options, keys[done], &reads[done]);
            if (snapshot)
                reads[done].stamp = 0;
        }
        if (code != STEM_OK)
            while (done-- > 0)
                leveldb_free(reads[done].data);
    }
    pthread_rwlock_unlock(&engine->gate);
    return code;
}

/* ---- Committing ------------------------------------------------------------------- */

static bool same_bytes(stem_slice a, const char *data, size_t len)
{
    return a.len == len && (len == 0 || memcmp(a.data, data, len) == 0);
}

/* STEM_OK when the range holds no key, STEM_CONFLICT when it does. All stripes are locked, so
 * one iterator, opened by the first such expectation, serves a whole commit. */
static int judge_empty(leveldb_engine *engine, const stem_expectation *expectation,
                       stem_engine_iter **iter)
{
    static const stem_engine_range everything;
    const stem_slice end = expectation->value;
    stem_slice key;

    int code = STEM_OK;
    if (!*iter)
        code = stem_leveldb_iter_open(&engine->base, NULL, &everything, false, iter);
    if (code == STEM_OK)
        code = stem_leveldb_iter_seek(*iter, expectation->key);
    if (code == STEM_OK)
        code = stem_leveldb_iter_next(*iter, &key, NULL);
    if (code == STEM_NOTFOUND)
        return STEM_OK;
    if (code != STEM_OK)
        return code;
    return end.len > 0 && stem_slice_compare(key, end) >= 0 ? STEM_OK : STEM_CONFLICT;
}

/* STEM_OK when it holds, STEM_CONFLICT when not. The stripe of its key is locked. */
static int judge(leveldb_engine *engine, const stem_expectation *expectation,
                 stem_engine_iter **iter)
{
    const stem_slice key = expectation->key;
    stem_read read;

    if (expectation->kind == STEM_EXPECT_EMPTY)
        return judge_empty(engine, expectation, iter);
    if (expectation->stamp != 0 &&
        expectation->stamp ==
            atomic_load_explicit(&engine->stripes[stripe_of(key)].version,
                                 memory_order_relaxed))
        return STEM_OK;

    int code = leveldb_engine_read(&engine->base, NULL, &key, 1, &read);
    if (code != STEM_OK)
        return code;
    bool holds = expectation->kind == STEM_EXPECT_ABSENT
                     ? !read.data
                     : read.data && same_bytes(expectation->value, read.data, read.len);
    leveldb_free(read.data);
    return holds ? STEM_OK : STEM_CONFLICT;
}

static int judge_all(leveldb_engine *engine, const stem_commit *commit, size_t *failed)
{
    stem_engine_iter *iter = NULL;
    int code = STEM_OK;

    for (size_t i = 0; i < commit->n_expectations && code == STEM_OK; i++) {
        code = judge(engine, &commit->expectations[i], &iter);
        if (code == STEM_CONFLICT)
            *failed = i;
    }
    if (iter)
        stem_leveldb_iter_close(iter);
    return code;
}

/* Hands the writes to LevelDB; write_lock is held. NULL, or LevelDB's message. */
static char *write_to_log(leveldb_engine *engine, const stem_commit *commit)
{
    const stem_write *write = commit->writes;
    char *message = NULL;

    if (commit->n_writes == 1) {
        if (write->is_delete)
            leveldb_delete(engine->db, engine->write_options, write->key.data,
                           write->key.len, &message);
        else
            leveldb_put(engine->db, engine->write_options, write->key.data,
                        write->key.len, write->value.data, write->value.len, &message);
        return message;
    }

    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    for (size_t i = 0; i < commit->n_writes; i++, write++) {
        if (write->is_delete)
            leveldb_writebatch_delete(batch, write->key.data, write->key.len);
        else
            leveldb_writebatch_put(batch, write->key.data, write->key.len,
                                   write->value.data, write->value.len);
    }
    leveldb_write(engine->db, engine->write_options, batch, &message);
    leveldb_writebatch_destroy(batch);
    return message;
}

/* Writes, mending LevelDB first when an earlier write failed, and once more when this one
 * does: what a full disk or a lack of descriptors broke may be whole again by now. */
static int write_commit(leveldb_engine *engine, const stem_commit *commit)
{
    char *message = NULL;
    int code = STEM_OK;

    pthread_mutex_lock(&engine->write_lock);
    if (engine->must_repair)
        code = stem_leveldb_repair(engine);
    if (code == STEM_OK) {
        message = write_to_log(engine, commit);
        if (message) {
            engine->must_repair = true;
            if (stem_leveldb_repair(engine) == STEM_OK) {
                leveldb_free(message);
                message = write_to_log(engine, commit);
                engine->must_repair = message != NULL;
            }
        }
        code = message ? stem_leveldb_fail(message) : STEM_OK;
    }
    if (code == STEM_OK)
        atomic_fetch_add_explicit(&engine->writes, 1, memory_order_release);
    pthread_mutex_unlock(&engine->write_lock);
    return code;
}

static int check_limits(const leveldb_engine *engine, const stem_commit *commit)
{
    size_t sum = 0;

    for (size_t i = 0; i < commit->n_writes; i++) {
        const stem_write *write = &commit->writes[i];

        if (write->key.len > engine->base.max_key_bytes)
            return stem_fail(STEM_EINVAL,
                             "a key of %zu bytes is over LevelDB's limit of %zu",
                             write->key.len, engine->base.max_key_bytes);
        if (!write->is_delete && write->value.len > engine->base.max_value_bytes)
            return stem_fail(STEM_EINVAL,
                             "a value of %zu bytes is over LevelDB's limit of %zu",
                             write->value.len, engine->base.max_value_bytes);
        sum += write->key.len + (write->is_delete ? 0 : write->value.len);
        if (sum > engine->base.max_commit_bytes)
            return stem_fail(STEM_EINVAL, "a commit of more than %zu bytes",
                             engine->base.max_commit_bytes);
    }
    return STEM_OK;
}

/* A bit for each stripe that the commit touches. */
static uint64_t stripes_of(const stem_commit *commit)
{
    uint64_t mask = 0;

    for (size_t i = 0; i < commit->n_writes; i++)
        mask |= UINT64_C(1) << stripe_of(commit->writes[i].key);
    for (size_t i = 0; i < commit->n_expectations; i++) {
        const stem_expectation *expectation = &commit->expectations[i];

        if (expectation->kind == STEM_EXPECT_EMPTY)
            return UINT64_MAX;
        mask |= UINT64_C(1) << stripe_of(expectation->key);
    }
    return mask;
}

static int leveldb_engine_commit(stem_engine *base, const stem_commit *commit,
                                 size_t *failed)
{
    leveldb_engine *engine = leveldb_of(base);
    int code = check_limits(engine, commit);

    if (code != STEM_OK)
        return code;

    const uint64_t mask = stripes_of(commit);
    for (uint64_t left = mask; left != 0; left &= left - 1)
        pthread_mutex_lock(&engine->stripes[__builtin_ctzll(left)].lock);
    code = judge_all(engine, commit, failed);
    if (code == STEM_OK && commit->n_writes > 0)
        code = write_commit(engine, commit);
    for (uint64_t left = mask; left != 0; left &= left - 1) {
        stripe *held = &engine->stripes[__builtin_ctzll(left)];

        atomic_fetch_add_explicit(&held->version, 1, memory_order_release);
        pthread_mutex_unlock(&held->lock);
    }

    if (code == STEM_OK && commit->sync && stem_leveldb_sync(base) != STEM_OK)
        code = stem_fail(STEM_EUNKNOWN, "written, but not known to be durable: %s",
                         stem_errmsg());
    return code;
}

/* ---- Looking after ---------------------------------------------------------------- */

/* An empty end is no bound in the contract; LevelDB wants a NULL there. */
static int leveldb_engine_compact(stem_engine *base, const stem_engine_range *range)
{
    leveldb_engine *engine = leveldb_of(base);
    int code = STEM_OK;

    pthread_rwlock_rdlock(&engine->gate);
    if (engine->db)
        leveldb_compact_range(engine->db, range->start.data, range->start.len,
                              range->end.len ? range->end.data : NULL, range->end.len);
    else
        code = stem_leveldb_fail_closed(engine);
    pthread_rwlock_unlock(&engine->gate);
    return code;
}

static int leveldb_engine_estimate(stem_engine *base, const stem_engine_range *range,
                                   stem_size_info *size)
{
    static const char beyond[] = "\xff\xff\xff\xff\xff\xff\xff\xff";
    leveldb_engine *engine = leveldb_of(base);
    stem_slice end =
        range->end.len ? range->end : (stem_slice){beyond, sizeof beyond - 1};
    stem_directory_usage usage;

    int code = stem_directory_measure(engine->dir, &usage);
    if (code != STEM_OK)
        return code;
    pthread_rwlock_rdlock(&engine->gate);
    if (engine->db) {
        *size = (stem_size_info){.log_bytes = usage.log_bytes};
        leveldb_approximate_sizes(engine->db, 1, &range->start.data, &range->start.len,
                                  &end.data, &end.len, &size->table_bytes);
    } else {
        code = stem_leveldb_fail_closed(engine);
    }
    pthread_rwlock_unlock(&engine->gate);
    return code;
}

static int leveldb_engine_stats(stem_engine *base, stem_statistics *stats)
{
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
    pthread_rwlock_rdlock(&engine->gate);
    if (engine->db) {
        char *text =
            leveldb_property_value(engine->db, "leveldb.approximate-memory-usage");

        if (text)
            stats->memory_bytes = strtoull(text, NULL, 10);
        leveldb_free(text);
    }
    pthread_rwlock_unlock(&engine->gate);
    return STEM_OK;
}

/* ---- Opening and closing ---------------------------------------------------------- */

enum {
    DEFAULT_BLOOM_BITS = 10,
    DEFAULT_OPEN_FILES = 1000,
    DEFAULT_CACHE_BYTES = 32 << 20,
    DEFAULT_WRITE_BUFFER_BYTES = 4 << 20,
    DEFAULT_BLOCK_BYTES = 4 << 10
};

static int check_option(const char *name, uint64_t value, uint64_t least, uint64_t most)
{
    if (value == 0 || (value >= least && value <= most))
        return STEM_OK;
    return stem_fail(STEM_EINVAL, "option %s is %llu, not 0 or from %llu to %llu", name,
                     (unsigned long long)value, (unsigned long long)least,
                     (unsigned long long)most);
}

/* LevelDB would clip what is out of range in silence. */
int stem_leveldb_check_options(const stem_options *options)
{
    int code = check_option("bloom_bits", (uint64_t)options->bloom_bits, 1, 64);

    if (code == STEM_OK && options->no_bloom && options->bloom_bits != 0)
        code =
            stem_fail(STEM_EINVAL, "options no_bloom and bloom_bits exclude each other");
    if (code == STEM_OK)
        code =
            check_option("max_open_files", (uint64_t)options->max_open_files, 74, 50000);
    if (code == STEM_OK)
        code = check_option("cache_bytes", options->cache_bytes, 64 << 10,
                            UINT64_C(1) << 40);
    if (code == STEM_OK)
        code = check_option("write_buffer_bytes", options->write_buffer_bytes, 64 << 10,
                            1 << 30);
    if (code == STEM_OK)
        code = check_option("block_bytes", options->block_bytes, 1 << 10, 4 << 20);
    return code;
}

static void make_options(leveldb_engine *engine, const stem_options *options)
{
    leveldb_options_t *made = leveldb_options_create();
    size_t cache_bytes =
        options->cache_bytes ? options->cache_bytes : DEFAULT_CACHE_BYTES;

    engine->options = made;
    engine->verify = !options->no_verify;
    engine->cache = leveldb_cache_create_lru(cache_bytes);
    leveldb_options_set_cache(made, engine->cache);
    if (!options->no_bloom) {
        engine->filter = leveldb_filterpolicy_create_bloom(
            options->bloom_bits ? options->bloom_bits : DEFAULT_BLOOM_BITS);
        leveldb_options_set_filter_policy(made, engine->filter);
    }
    leveldb_options_set_paranoid_checks(made, engine->verify);
    leveldb_options_set_compression(made, options->no_compression
                                              ? leveldb_no_compression
                                              : leveldb_snappy_compression);
    leveldb_options_set_max_open_files(
        made, options->max_open_files ? options->max_open_files : DEFAULT_OPEN_FILES);
    leveldb_options_set_write_buffer_size(made, options->write_buffer_bytes
                                                    ? options->write_buffer_bytes
                                                    : DEFAULT_WRITE_BUFFER_BYTES);
    leveldb_options_set_block_size(made, options->block_bytes ? options->block_bytes
                                                              : DEFAULT_BLOCK_BYTES);
    engine->read_options = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(engine->read_options, engine->verify);
    engine->write_options = leveldb_writeoptions_create();
}

int stem_leveldb_start(leveldb_engine *engine)
{
    /* One background thread serves all of LevelDB in a process; it starts with the first
     * compaction, and would otherwise take the signal mask of whoever causes that. */
    static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
    static bool is_started;
    char *message = NULL;
    sigset_t all, before;

    leveldb_options_set_create_if_missing(engine->options,
                                          !stem_directory_has_current(engine->dir));
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    engine->db = leveldb_open(engine->options, engine->dir->path, &message);
    pthread_mutex_lock(&start_lock);
    if (engine->db && !is_started) {
        stem_leveldb_renew_log(engine);
        is_started = true;
    }
    pthread_mutex_unlock(&start_lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return message ? stem_leveldb_fail(message) : STEM_OK;
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
    for (int i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&engine->stripes[i].lock);
    pthread_mutex_destroy(&engine->sync_lock);
    pthread_mutex_destroy(&engine->write_lock);
    pthread_rwlock_destroy(&engine->gate);
    free(engine);
}

static int leveldb_engine_close(stem_engine *base)
{
    free_engine(leveldb_of(base));
    return STEM_OK;
}

static const stem_engine_ops leveldb_ops = {
    .name = "leveldb",
    .read = leveldb_engine_read,
    .commit = leveldb_engine_commit,
    .iter_open = stem_leveldb_iter_open,
    .iter_next = stem_leveldb_iter_next,
    .iter_seek = stem_leveldb_iter_seek,
    .iter_close = stem_leveldb_iter_close,
    .snapshot_open = stem_leveldb_snapshot_open,
    .snapshot_close = stem_leveldb_snapshot_close,
    .sync = stem_leveldb_sync,
    .compact = leveldb_engine_compact,
    .estimate = leveldb_engine_estimate,
    .stats = leveldb_engine_stats,
    .close = leveldb_engine_close,
};

int stem_leveldb_open(const stem_directory *dir, const stem_options *options,
                      stem_engine **opened)
{
    leveldb_engine *engine = aligned_alloc(CACHE_LINE, sizeof *engine);
    pthread_rwlockattr_t fair;

    if (!engine)
        return stem_fail(STEM_ENOMEM, "no memory for a database");
    memset(engine, 0, sizeof *engine);
    engine->base.ops = &leveldb_ops;
    engine->base.max_key_bytes = MAX_KEY_BYTES;
    engine->base.max_value_bytes = STEM_VALUE_MAX;
    engine->base.max_commit_bytes = max_commit_bytes;
    engine->dir = dir;
    /* Readers come without a pause; a writer that waits must get in between them. */
    pthread_rwlockattr_init(&fair);
    pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&engine->gate, &fair);
    pthread_rwlockattr_destroy(&fair);
    pthread_mutex_init(&engine->write_lock, NULL);
    pthread_mutex_init(&engine->sync_lock, NULL);
    atomic_init(&engine->writes, 1);
    for (int i = 0; i < STRIPES; i++) {
        pthread_mutex_init(&engine->stripes[i].lock, NULL);
        atomic_init(&engine->stripes[i].version, 1);
    }
    make_options(engine, options);

    int code = stem_leveldb_start(engine);
    if (code != STEM_OK) {
        free_engine(engine);
        return code;
    }
    *opened = &engine->base;
    return STEM_OK;
}
