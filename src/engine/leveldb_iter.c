/*
 * The LevelDB engine: iterators and snapshots.
 *
 * LevelDB's iterator steps over a damaged block and hands out older values of keys; its status
 * tells already at each such step. Asking costs a quarter of a step, so a walk reads entries
 * ahead, more of them the longer it goes on, and asks once for all before the first is given.
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
    stem_gate_slot *slot;
    leveldb_engine *engine = leveldb_of(base);
    stem_engine_snapshot *snapshot = malloc(sizeof *snapshot);

    if (!snapshot)
        return stem_fail(STEM_ENOMEM, "no memory for a snapshot");
    int code = stem_leveldb_enter(engine, &slot);
    if (code != STEM_OK) {
        free(snapshot);
        return code;
    }
    snapshot->frozen = leveldb_create_snapshot(engine->db);
    atomic_fetch_add(&engine->open_readers, 1);
    stem_gate_leave(slot);
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

/* Where LevelDB's iterator stands: not placed yet, on an entry that was taken, on one that a
 * seek arrived at, or behind the last. */
enum position { AT_START, ON_ENTRY, AT_TARGET, AT_END };

enum { AHEAD_MAX = 32, AHEAD_BYTES = 4096 };

typedef struct entry {
    stem_slice key, value;
} entry;

typedef struct leveldb_engine_iter {
    stem_engine_iter base;
    leveldb_iterator_t *entries;
    int code; /* the first failure */
    enum position position;
    bool is_reverse;
    stem_slice start, end; /* point into `bytes` */

    /* Entries read ahead, of which `given` have been given, and how many to read the next
     * time. A value that is not short lies in LevelDB's iterator, and is the last. */
    size_t n_ahead, given, wanted;
    entry ahead[AHEAD_MAX];
    char *copies; /* of keys and short values; in `bytes` unless one needs more */
    size_t copies_room;
    char bytes[];
} leveldb_engine_iter;

int stem_leveldb_iter_open(stem_engine *base, const stem_engine_snapshot *snapshot,
                           const stem_engine_range *range, bool reverse,
                           stem_engine_iter **opened)
{
    stem_gate_slot *slot;
    leveldb_engine *engine = leveldb_of(base);
    const size_t size = range->start.len + range->end.len;
    leveldb_engine_iter *iter = malloc(sizeof *iter + size + AHEAD_BYTES);

    if (!iter)
        return stem_fail(STEM_ENOMEM, "no memory for an iterator");
    *iter =
        (leveldb_engine_iter){.base.engine = base, .is_reverse = reverse, .wanted = 1};
    iter->start = (stem_slice){iter->bytes, range->start.len};
    iter->end = (stem_slice){iter->bytes + range->start.len, range->end.len};
    iter->copies = iter->bytes + size;
    iter->copies_room = AHEAD_BYTES;
    if (range->start.len > 0)
        memcpy(iter->bytes, range->start.data, range->start.len);
    if (range->end.len > 0)
        memcpy(iter->bytes + range->start.len, range->end.data, range->end.len);

    int code = stem_leveldb_enter(engine, &slot);
    if (code != STEM_OK) {
        free(iter);
        return code;
    }
    iter->entries =
        leveldb_create_iterator(engine->db, stem_leveldb_read_options(engine, snapshot));
    atomic_fetch_add(&engine->open_readers, 1);
    stem_gate_leave(slot);
    *opened = &iter->base;
    return STEM_OK;
}

void stem_leveldb_iter_close(stem_engine_iter *base)
{
    leveldb_engine_iter *iter = (leveldb_engine_iter *)base;

    leveldb_iter_destroy(iter->entries);
    atomic_fetch_sub(&leveldb_of(base->engine)->open_readers, 1);
    if (iter->copies_room > AHEAD_BYTES)
        free(iter->copies);
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
    iter->n_ahead = iter->given = 0;
    iter->wanted = 1;
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

/* Lets LevelDB step to the next entry, if there is one; what it hides, its status tells. */
static bool step(leveldb_engine_iter *iter)
{
    if (iter->position == ON_ENTRY) {
        if (iter->is_reverse)
            leveldb_iter_prev(iter->entries);
        else
            leveldb_iter_next(iter->entries);
    } else if (iter->position == AT_END ||
               (iter->position == AT_START && go_to_start(iter) != STEM_OK)) {
        return false;
    }
    iter->position = is_valid(iter) ? ON_ENTRY : AT_END;
    return iter->position == ON_ENTRY;
}

static bool is_beyond(const leveldb_engine_iter *iter, stem_slice key)
{
    return iter->is_reverse
               ? stem_slice_compare(key, iter->start) < 0
               : iter->end.len > 0 && stem_slice_compare(key, iter->end) >= 0;
}

static char *copy_bytes(char *to, stem_slice *bytes)
{
    memcpy(to, bytes->data, bytes->len);
    to[bytes->len] = '\0';
    bytes->data = to;
    return to + bytes->len + 1;
}

/* Room for `size` bytes in `copies`, which holds nothing yet. */
static bool make_room(leveldb_engine_iter *iter, size_t size)
{
    char *larger = malloc(size);

    if (!larger) {
        iter->code = stem_fail(STEM_ENOMEM, "no memory for a key of %zu bytes", size);
        return false;
    }
    if (iter->copies_room > AHEAD_BYTES)
        free(iter->copies);
    iter->copies = larger;
    iter->copies_room = size;
    return true;
}

/* Reads the next entries, none at the end, and then has LevelDB's word for all of them. */
static int read_ahead(leveldb_engine_iter *iter)
{
    size_t used = 0, n = 0;
    bool is_short = true;

    iter->n_ahead = iter->given = 0;
    while (is_short && n < iter->wanted && step(iter)) {
        entry *next = &iter->ahead[n];

        next->key.data = leveldb_iter_key(iter->entries, &next->key.len);
        next->value.data = leveldb_iter_value(iter->entries, &next->value.len);
        if (is_beyond(iter, next->key)) {
            iter->position = AT_END;
            break;
        }
        is_short = next->value.len <= STEM_SHORT_VALUE;
        size_t size = next->key.len + 1 + (is_short ? next->value.len + 1 : 0);
        if (size > iter->copies_room - used && (n > 0 || !make_room(iter, size))) {
            iter->position = AT_TARGET; /* it is taken the next time */
            break;
        }
        char *end = copy_bytes(iter->copies + used, &next->key);
        if (is_short)
            copy_bytes(end, &next->value);
        used += size;
        n++;
    }
    if (iter->code != STEM_OK || check_status(iter) != STEM_OK)
        return iter->code;
    iter->n_ahead = n;
    if (iter->wanted < AHEAD_MAX)
        iter->wanted *= 2;
    return STEM_OK;
}

int stem_leveldb_iter_next(stem_engine_iter *base, stem_slice *key, stem_slice *value)
{
    leveldb_engine_iter *iter = (leveldb_engine_iter *)base;

    if (iter->given == iter->n_ahead) {
        if (iter->code != STEM_OK || read_ahead(iter) != STEM_OK)
            return iter->code;
        if (iter->n_ahead == 0)
            return STEM_NOTFOUND;
    }
    const entry *next = &iter->ahead[iter->given++];
    *key = next->key;
    if (value)
        *value = next->value;
    return STEM_OK;
}
