/*
 * The LevelDB engine: the first bytes of large values.
 *
 * LevelDB cannot tell whether there is a key, or how long its value is, without reading all of the
 * block that the value lies in: 60 MB for one of 60 MB. So the last large values that were
 * written or read are remembered by their first bytes and their length. Nothing has to forget
 * them: what is remembered holds as long as no later commit is noted for its key, and a commit is
 * noted before it is written.
 */
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "leveldb_engine.h"

enum { LARGE_BYTES = 64 << 10, HEADS = 256, KEY_MOST = 1024 };

/* The value of a key as of a commit; `commit` is 0 when there is none. */
struct leveldb_head {
    uint64_t commit;
    size_t key_len, len;
    char value[STEM_SHORT_VALUE];
    char key[KEY_MOST];
};

static leveldb_head *head_of(leveldb_engine *engine, stem_slice key)
{
    return &engine->heads[stem_leveldb_slot_of(key) % HEADS];
}

/* Remembers what the key holds as of a commit, unless something newer is known. */
static void note_head(leveldb_engine *engine, stem_slice key, stem_slice value,
                      uint64_t commit)
{
    if (value.len < LARGE_BYTES || key.len > KEY_MOST)
        return;
    pthread_mutex_lock(&engine->heads_lock);
    if (!engine->heads)
        engine->heads = calloc(HEADS, sizeof *engine->heads);
    leveldb_head *head = engine->heads ? head_of(engine, key) : NULL;
    if (head && head->commit <= commit) {
        head->commit = commit;
        head->key_len = key.len;
        head->len = value.len;
        memcpy(head->key, key.data, key.len);
        memcpy(head->value, value.data, sizeof head->value);
        atomic_store(&engine->has_heads, true);
    }
    pthread_mutex_unlock(&engine->heads_lock);
}

void stem_leveldb_note_heads(leveldb_engine *engine, const stem_commit *commit,
                             uint64_t number)
{
    enum { FEW_WRITES = 16 };
    const stem_write *writes = commit->writes;

    for (size_t i = 0; commit->n_writes <= FEW_WRITES && i < commit->n_writes; i++) {
        bool is_last = !writes[i].is_delete && writes[i].value.len >= LARGE_BYTES;

        for (size_t later = i + 1; is_last && later < commit->n_writes; later++)
            is_last = stem_slice_compare(writes[i].key, writes[later].key) != 0;
        if (is_last)
            note_head(engine, writes[i].key, writes[i].value, number);
    }
}

/* Whether the entry is what the key holds now, and held already as of that commit. */
static bool holds(const leveldb_engine *engine, const leveldb_head *head, stem_slice key,
                  uint64_t as_of)
{
    return head->commit > 0 && head->commit <= as_of && head->key_len == key.len &&
           memcmp(head->key, key.data, key.len) == 0 &&
           stem_leveldb_last_commit_on(engine, key) <= head->commit;
}

/* STEM_NOTFOUND when it is not known. */
static int find_head(leveldb_engine *engine, stem_slice key, uint64_t as_of,
                     stem_read *read)
{
    int code = STEM_NOTFOUND;

    if (!atomic_load_explicit(&engine->has_heads, memory_order_acquire))
        return STEM_NOTFOUND;
    pthread_mutex_lock(&engine->heads_lock);
    const leveldb_head *head = head_of(engine, key);
    if (holds(engine, head, key, as_of)) {
        *read = (stem_read){.data = malloc(sizeof head->value), .len = head->len};
        code = read->data ? STEM_OK : stem_fail(STEM_ENOMEM, "no memory for a value");
        if (read->data)
            memcpy(read->data, head->value, sizeof head->value);
    }
    pthread_mutex_unlock(&engine->heads_lock);
    return code;
}

int stem_leveldb_read_head(leveldb_engine *engine, const leveldb_readoptions_t *options,
                           stem_slice key, uint64_t as_of, stem_read *read)
{
    int code = find_head(engine, key, as_of, read);

    if (code != STEM_NOTFOUND)
        return code;
    code = stem_leveldb_read_one(engine, options, key, read);
    if (code != STEM_OK || !read->data || read->len <= STEM_SHORT_VALUE)
        return code;
    note_head(engine, key, (stem_slice){read->data, read->len}, as_of);
    char *shorter = realloc(read->data, STEM_SHORT_VALUE);
    if (shorter)
        read->data = shorter;
    return STEM_OK;
}

void stem_leveldb_forget_heads(leveldb_engine *engine)
{
    free(engine->heads);
    pthread_mutex_destroy(&engine->heads_lock);
}
