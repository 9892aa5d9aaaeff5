/*
 * The LevelDB engine: committing.
 *
 * Commits are numbered, and each leaves its number with the hashes of the keys that it writes.
 * So an expectation is judged before the write lock is taken, where a read from the disk holds
 * nobody up, and under it only if its key may have been written meanwhile: it holds at the
 * moment of the write, and a plain put pays one store for it.
 */
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "expectation.h"
#include "leveldb_engine.h"
#include "leveldb_order.h"

/* STEM_OK when the range holds no key, STEM_CONFLICT when it does. The first such expectation
 * opens the iterator, which serves those that are judged with it. */
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

/* STEM_OK when it holds, STEM_CONFLICT when not. */
static int judge(leveldb_engine *engine, const stem_expectation *expectation,
                 stem_engine_iter **iter)
{
    return expectation->kind == STEM_EXPECT_EMPTY
               ? judge_empty(engine, expectation, iter)
               : stem_judge_key(&engine->base, expectation);
}

/* Mixes eight bytes at a time. Keys that meet in a slot only make an expectation be judged
 * twice, so no defence against chosen keys is needed. */
size_t stem_leveldb_slot_of(stem_slice key)
{
    const uint64_t factor = UINT64_C(0x9E3779B97F4A7C15);
    const size_t word_size = sizeof(uint64_t);
    const char *bytes = key.data;
    uint64_t hash = key.len, word = 0;
    size_t left = key.len;

    for (; left > word_size; bytes += word_size, left -= word_size) {
        memcpy(&word, bytes, word_size);
        hash = (hash ^ word) * factor;
        hash ^= hash >> 32;
    }
    if (key.len >= word_size)
        memcpy(&word, bytes + left - word_size, word_size);
    else
        for (word = 0; left > 0; left--)
            word = word << 8 | (unsigned char)bytes[left - 1];
    return (hash ^ word) * factor >> 32 & (KEY_SLOTS - 1);
}

uint64_t stem_leveldb_last_commit_on(const leveldb_engine *engine, stem_slice key)
{
    const uint64_t last = atomic_load_explicit(
        &engine->key_slots[stem_leveldb_slot_of(key)], memory_order_relaxed);
    const uint64_t last_large =
        atomic_load_explicit(&engine->last_large, memory_order_relaxed);

    return last > last_large ? last : last_large;
}

static void note_put(leveldb_engine *engine, const stem_slice *key, uint64_t number)
{
    recent_put *put = &engine->recent[engine->puts_noted++ % RECENT_PUTS];

    put->commit = number;
    put->len = SIZE_MAX;
    if (key && key->len <= sizeof put->key) {
        put->len = key->len;
        memcpy(put->key, key->data, key->len);
    }
}

/* Notes the number of a commit for the keys that it is about to write, or for all keys when they
 * are many; write_lock is held. Whatever is known of their values is void from here on, before
 * anyone can read the new ones (leveldb_heads.c). */
static void note_commit(leveldb_engine *engine, const stem_commit *commit,
                        uint64_t number)
{
    enum { MANY_WRITES = KEY_SLOTS / 8, MANY_PUTS = RECENT_PUTS / 4 };

    if (commit->n_writes > MANY_PUTS)
        note_put(engine, NULL, number);
    if (commit->n_writes > MANY_WRITES) {
        atomic_store_explicit(&engine->last_large, number, memory_order_relaxed);
        return;
    }
    for (size_t i = 0; i < commit->n_writes; i++) {
        const stem_write *write = &commit->writes[i];

        atomic_store_explicit(&engine->key_slots[stem_leveldb_slot_of(write->key)],
                              number, memory_order_relaxed);
        if (commit->n_writes <= MANY_PUTS && !write->is_delete)
            note_put(engine, &write->key, number);
    }
}

/* Whether a key may have come into the range since that commit. Deletions bring none, so that
 * those who empty a place from its ends do not make each other look again; write_lock is
 * held. */
static bool may_be_filled(const leveldb_engine *engine,
                          const stem_expectation *expectation, uint64_t since)
{
    const stem_slice start = expectation->key, end = expectation->value;
    const size_t kept =
        engine->puts_noted < RECENT_PUTS ? engine->puts_noted : RECENT_PUTS;

    for (size_t back = 1; back <= kept; back++) {
        const recent_put *put =
            &engine->recent[(engine->puts_noted - back) % RECENT_PUTS];
        const stem_slice key = {put->key, put->len};

        if (put->commit <= since)
            return false;
        if (put->len == SIZE_MAX || (stem_slice_compare(key, start) >= 0 &&
                                     (end.len == 0 || stem_slice_compare(key, end) < 0)))
            return true;
    }
    return kept == RECENT_PUTS; /* older ones are not known */
}

/* Whether what the expectation is about may have been written since it was read, or since
 * commit `judged`; write_lock is held. */
static bool must_judge_again(const leveldb_engine *engine,
                             const stem_expectation *expectation, uint64_t judged)
{
    if (expectation->kind == STEM_EXPECT_EMPTY)
        return may_be_filled(engine, expectation, judged);
    return stem_leveldb_last_commit_on(engine, expectation->key) >
           (stem_rests_on_read(expectation) ? expectation->stamp : judged);
}

/* With `judged` 0, judges what nobody has read yet. Otherwise write_lock is held, and what may
 * have been written since it was read, or since commit `judged`, is judged again. */
static int judge_all(leveldb_engine *engine, const stem_commit *commit, uint64_t judged,
                     size_t *failed)
{
    stem_engine_iter *iter = NULL;
    int code = STEM_OK;

    for (size_t i = 0; i < commit->n_expectations && code == STEM_OK; i++) {
        const stem_expectation *each = &commit->expectations[i];
        if (judged == 0 ? !stem_rests_on_read(each)
                        : must_judge_again(engine, each, judged))
            code = judge(engine, each, &iter);
        if (code == STEM_CONFLICT)
            *failed = i;
    }
    if (iter)
        stem_leveldb_iter_close(iter);
    return code;
}

static char *write_to_log(leveldb_engine *engine, leveldb_writebatch_t *batch)
{
    char *message = NULL;

    leveldb_write(engine->db, engine->write_options, batch, &message);
    return message;
}

/* Writes, mending LevelDB and writing once more when this fails: what a full disk or a lack of
 * descriptors broke may be whole again by now. */
static int write_mending(leveldb_engine *engine, leveldb_writebatch_t *batch)
{
    char *message = write_to_log(engine, batch);

    if (!message)
        return STEM_OK;
    engine->must_repair = true;
    if (stem_leveldb_repair(engine) == STEM_OK) {
        leveldb_free(message);
        message = write_to_log(engine, batch);
        engine->must_repair = message != NULL;
    }
    return message ? stem_leveldb_fail(engine, message) : STEM_OK;
}

/* Writes the commit under the next number, which a failure uses up as well; write_lock is
 * held. */
static int write_commit(leveldb_engine *engine, const stem_commit *commit,
                        leveldb_writebatch_t *batch)
{
    const uint64_t number =
        atomic_load_explicit(&engine->commits, memory_order_relaxed) + 1;

    if (engine->memtable_left != SIZE_MAX)
        stem_leveldb_take_memtable(engine, commit);
    note_commit(engine, commit, number);
    int code = write_mending(engine, batch);
    if (code == STEM_OK)
        stem_leveldb_note_heads(engine, commit, number);
    atomic_store_explicit(&engine->commits, number, memory_order_release);
    return code;
}

static int refuse_write(const leveldb_engine *engine, const stem_write *write)
{
    if (write->key.len > engine->base.max_key_bytes)
        return stem_fail(STEM_EINVAL, "a key of %zu bytes is over LevelDB's limit of %zu",
                         write->key.len, engine->base.max_key_bytes);
    if (write->value.len > engine->base.max_value_bytes)
        return stem_fail(STEM_EINVAL,
                         "a value of %zu bytes is over LevelDB's limit of %zu",
                         write->value.len, engine->base.max_value_bytes);
    return stem_fail(STEM_EINVAL, "a commit of more than %zu bytes",
                     engine->base.max_commit_bytes);
}

/* Adds a write to the batch, unless it is over a limit, and its bytes to the sum. */
static int add_write(const leveldb_engine *engine, leveldb_writebatch_t *batch,
                     const stem_write *write, size_t *bytes)
{
    const size_t value_len = write->is_delete ? 0 : write->value.len;

    *bytes += write->key.len + value_len;
    if (write->key.len > engine->base.max_key_bytes ||
        value_len > engine->base.max_value_bytes ||
        *bytes > engine->base.max_commit_bytes)
        return refuse_write(engine, write);
    if (write->is_delete)
        leveldb_writebatch_delete(batch, write->key.data, write->key.len);
    else
        leveldb_writebatch_put(batch, write->key.data, write->key.len, write->value.data,
                               write->value.len);
    return STEM_OK;
}

/* Adds them in order, fetching keys and values some steps ahead, since each lies somewhere
 * else. */
static int add_ordered(const leveldb_engine *engine, leveldb_writebatch_t *batch,
                       const ordered_write *order, size_t n, size_t *bytes)
{
    enum { AHEAD = 8 };
    int code = STEM_OK;

    for (size_t i = 0; i < n && code == STEM_OK; i++) {
        if (i + 2 * AHEAD < n)
            __builtin_prefetch(order[i + 2 * AHEAD].write);
        if (i + AHEAD < n) {
            __builtin_prefetch(order[i + AHEAD].write->key.data);
            __builtin_prefetch(order[i + AHEAD].write->value.data);
        }
        code = add_write(engine, batch, order[i].write, bytes);
    }
    return code;
}

/* Adds the writes to the batch, those before the first that is over a limit, and sums up the
 * bytes of keys and values. Many are sorted first, if there is memory to do it. */
static int fill_batch(const leveldb_engine *engine, leveldb_writebatch_t *batch,
                      const stem_commit *commit, size_t *bytes)
{
    enum { MANY = 256 };
    const size_t n = commit->n_writes;
    ordered_write *room = n >= MANY ? malloc(2 * n * sizeof *room) : NULL;
    int code = STEM_OK;

    *bytes = 0;
    if (room)
        code = add_ordered(engine, batch, stem_leveldb_order(commit, room), n, bytes);
    else
        for (size_t i = 0; i < n && code == STEM_OK; i++)
            code = add_write(engine, batch, &commit->writes[i], bytes);
    free(room);
    return code;
}

/* LevelDB's own put makes and frees a batch, which costs more than all that Stem adds: one
 * small write has a batch that is kept. */
static bool is_small(const stem_commit *commit)
{
    enum { SMALL_BYTES = 64 << 10 };

    return commit->n_writes == 1 && commit->writes->key.len <= SMALL_BYTES &&
           (commit->writes->is_delete || commit->writes->value.len <= SMALL_BYTES);
}

/* Judges what may have changed, and writes, at one moment. */
static int commit_locked(leveldb_engine *engine, const stem_commit *commit,
                         leveldb_writebatch_t *batch, uint64_t judged, size_t *failed)
{
    int code = STEM_OK;
    size_t bytes;

    pthread_mutex_lock(&engine->write_lock);
    if (engine->must_repair)
        code = stem_leveldb_repair(engine);
    if (code == STEM_OK)
        code = judge_all(engine, commit, judged, failed);
    if (code == STEM_OK && commit->n_writes > 0) {
        if (!batch) {
            batch = engine->single;
            leveldb_writebatch_clear(batch);
            code = fill_batch(engine, batch, commit, &bytes);
        }
        if (code == STEM_OK)
            code = write_commit(engine, commit, batch);
    }
    pthread_mutex_unlock(&engine->write_lock);
    return code;
}

/* An empty batch for this commit alone, with the memory of one before it where that is at
 * hand. */
static leveldb_writebatch_t *take_batch(leveldb_engine *engine)
{
    leveldb_writebatch_t *spare = atomic_exchange(&engine->spare, NULL);

    return spare ? spare : leveldb_writebatch_create();
}

static void give_back_batch(leveldb_engine *engine, leveldb_writebatch_t *batch,
                            size_t bytes)
{
    enum { KEPT_BYTES = 1 << 20 };

    if (bytes <= KEPT_BYTES) {
        leveldb_writebatch_clear(batch);
        batch = atomic_exchange(&engine->spare, batch);
    }
    if (batch)
        leveldb_writebatch_destroy(batch);
}

int stem_leveldb_commit(stem_engine *base, const stem_commit *commit, size_t *failed)
{
    leveldb_engine *engine = leveldb_of(base);
    const uint64_t judged = atomic_load_explicit(&engine->commits, memory_order_acquire);
    leveldb_writebatch_t *batch = NULL;
    size_t bytes = 0;

    /* Before it is written: then nothing has been applied. */
    int code =
        commit->sync ? stem_directory_check(engine->dir, &engine->newest_log) : STEM_OK;
    if (code != STEM_OK)
        return code;
    if (!is_small(commit)) {
        batch = take_batch(engine);
        code = fill_batch(engine, batch, commit, &bytes);
    }
    if (code == STEM_OK)
        code = judge_all(engine, commit, 0, failed);
    if (code == STEM_OK)
        code = commit_locked(engine, commit, batch, judged, failed);
    if (batch)
        give_back_batch(engine, batch, bytes);

    if (code == STEM_OK && commit->sync && stem_leveldb_sync(base) != STEM_OK)
        code = stem_fail(STEM_EUNKNOWN, "written, but not known to be durable: %s",
                         stem_errmsg());
    return code;
}
