/*
 * The LevelDB engine: iterators and snapshots.
 *
 * LevelDB's iterator steps over a damaged block and hands out older values of keys; its status
 * tells already at each such step, so it is asked every time.
 */
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "leveldb_engine.h"

struct stem_engine_snapshot {
    const leveldb_snapshot_t *frozen;
    leveldb_readoptions_t *options;
};

const leveldb_readoptions_t *
stem_leveldb_read_options(const leveldb_engine *engine,
                          const stem_engine_snapshot *snapshot)
{
    return snapshot ? snapshot->options : engine->read_options;
}

int stem_leveldb_snapshot_open(stem_engine *base, stem_engine_snapshot **opened)
{
    leveldb_engine *engine = leveldb_of(base);
    stem_engine_snapshot *snapshot = malloc(sizeof *snapshot);
    int code = STEM_OK;

    if (!snapshot)
        return stem_fail(STEM_ENOMEM, "no memory for a snapshot");
    pthread_rwlock_rdlock(&engine->gate);
    if (engine->db) {
        snapshot->frozen = leveldb_create_snapshot(engine->db);
        atomic_fetch_add(&engine->open_readers, 1);
    } else {
        code = stem_leveldb_fail_closed(engine);
    }
    pthread_rwlock_unlock(&engine->gate);
    if (code != STEM_OK) {
        free(snapshot);
        return code;
    }
    snapshot->options = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(snapshot->options, engine->verify);
    leveldb_readoptions_set_snapshot(snapshot->options, snapshot->frozen);
    *opened = snapshot;
    return STEM_OK;
}

void stem_leveldb_snapshot_close(stem_engine *base, stem_engine_snapshot *snapshot)
{
    leveldb_engine *engine = leveldb_of(base);

    leveldb_release_snapshot(engine->db, snapshot->frozen);
    atomic_fetch_sub(&engine->open_readers, 1);
    leveldb_readoptions_destroy(snapshot->options);
    free(snapshot);
}

/* ---- Iterators -------------------------------------------------------------------- */

enum position { AT_START, ON_ENTRY, AT_TARGET, AT_END };

typedef struct leveldb_engine_iter {
    stem_engine_iter base;
    leveldb_iterator_t *entries;
    int code;               /* the first failure */
    enum position position; /* AT_TARGET: a seek placed it on what the next step gives */
    bool is_reverse;
    stem_slice start, end; /* point into `bounds` */
    char bounds[];
} leveldb_engine_iter;

int stem_leveldb_iter_open(stem_engine *base, const stem_engine_snapshot *snapshot,
                           const stem_engine_range *range, bool reverse,
                           stem_engine_iter **opened)
{
    leveldb_engine *engine = leveldb_of(base);
    const size_t size = range->start.len + range->end.len;
    leveldb_engine_iter *iter = malloc(sizeof *iter + size);

    if (!iter)
        return stem_fail(STEM_ENOMEM, "no memory for an iterator");
    *iter = (leveldb_engine_iter){.base.engine = base, .is_reverse = reverse};
    iter->start = (stem_slice){iter->bounds, range->start.len};
    iter->end = (stem_slice){iter->bounds + range->start.len, range->end.len};
    if (range->start.len > 0)
        memcpy(iter->bounds, range->start.data, range->start.len);
    if (range->end.len > 0)
        memcpy(iter->bounds + range->start.len, range->end.data, range->end.len);

    pthread_rwlock_rdlock(&engine->gate);
    if (engine->db) {
        iter->entries = leveldb_create_iterator(
            engine->db, stem_leveldb_read_options(engine, snapshot));
        atomic_fetch_add(&engine->open_readers, 1);
    } else {
        iter->code = stem_leveldb_fail_closed(engine);
    }
    pthread_rwlock_unlock(&engine->gate);
    if (iter->code != STEM_OK) {
        int code = iter->code;
        free(iter);
        return code;
    }
    *opened = &iter->base;
    return STEM_OK;
}

void stem_leveldb_iter_close(stem_engine_iter *base)
{
    leveldb_engine_iter *iter = (leveldb_engine_iter *)base;

    leveldb_iter_destroy(iter->entries);
    atomic_fetch_sub(&leveldb_of(base->engine)->open_readers, 1);
    free(iter);
}

static bool is_valid(const leveldb_engine_iter *iter)
{
    return leveldb_iter_valid(iter->entries) != 0;
}

/* STEM_OK, or LevelDB's status of this moment, kept. */
static int check_status(leveldb_engine_iter *iter)
{
    char *message = NULL;

    leveldb_iter_get_error(iter->entries, &message);
    if (message) {
        stem_slice about = {0};

        if (is_valid(iter))
            about.data = leveldb_iter_key(iter->entries, &about.len);
        iter->code =
            stem_leveldb_fail_near(leveldb_of(iter->base.engine), message, about);
    }
    return iter->code;
}

/* To the last entry before `limit`, an empty limit being the end of everything. */
static int seek_before(leveldb_engine_iter *iter, stem_slice limit)
{
    if (limit.len == 0) {
        leveldb_iter_seek_to_last(iter->entries);
        return STEM_OK;
    }
    leveldb_iter_seek(iter->entries, limit.data, limit.len);
    if (is_valid(iter)) {
        leveldb_iter_prev(iter->entries);
        return STEM_OK;
    }
    /* Nothing at or after it: or a damage that hides what there is. */
    if (check_status(iter) != STEM_OK)
        return iter->code;
    leveldb_iter_seek_to_last(iter->entries);
    return STEM_OK;
}

static int go_to_start(leveldb_engine_iter *iter)
{
    if (iter->is_reverse)
        return seek_before(iter, iter->end);
    leveldb_iter_seek(iter->entries, iter->start.data, iter->start.len);
    return STEM_OK;
}

int stem_leveldb_iter_seek(stem_engine_iter *base, stem_slice key)
{
    leveldb_engine_iter *iter = (leveldb_engine_iter *)base;

    if (iter->code != STEM_OK)
        return iter->code;
    iter->position = AT_TARGET;
    if (key.len == 0 ||
        (iter->is_reverse ? iter->end.len > 0 && stem_slice_compare(key, iter->end) >= 0
                          : stem_slice_compare(key, iter->start) <= 0)) {
        iter->position = AT_START;
        return STEM_OK;
    }
    leveldb_iter_seek(iter->entries, key.data, key.len);
    if (!iter->is_reverse)
        return STEM_OK;

    stem_slice found = {0};
    if (is_valid(iter))
        found.data = leveldb_iter_key(iter->entries, &found.len);
    return found.data && stem_slice_compare(found, key) == 0 ? STEM_OK
                                                             : seek_before(iter, key);
}

int stem_leveldb_iter_next(stem_engine_iter *base, stem_slice *key, stem_slice *value)
{
    leveldb_engine_iter *iter = (leveldb_engine_iter *)base;

    if (iter->code != STEM_OK)
        return iter->code;
    switch (iter->position) {
    case AT_END:
        return STEM_NOTFOUND;
    case AT_START:
        if (go_to_start(iter) != STEM_OK)
            return iter->code;
        break;
    case ON_ENTRY:
        if (iter->is_reverse)
            leveldb_iter_prev(iter->entries);
        else
            leveldb_iter_next(iter->entries);
        break;
    case AT_TARGET:
        break;
    }
    iter->position = AT_END;
    if (check_status(iter) != STEM_OK)
        return iter->code;
    if (!is_valid(iter))
        return STEM_NOTFOUND;
    key->data = leveldb_iter_key(iter->entries, &key->len);
    if (iter->is_reverse ? stem_slice_compare(*key, iter->start) < 0
                         : iter->end.len > 0 && stem_slice_compare(*key, iter->end) >= 0)
        return STEM_NOTFOUND;
    if (value)
        value->data = leveldb_iter_value(iter->entries, &value->len);
    iter->position = ON_ENTRY;
    return STEM_OK;
}
