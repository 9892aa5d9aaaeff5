/*
 * The write-back engine: snapshots and iterators.
 *
 * A moment is pinned by its commit's number, the tables that are in memory then, and a snapshot
 * of the engine below: whether a round that runs meanwhile is in that snapshot does not
 * matter, because the frozen table says the same. Later commits leave the versions that a
 * pinned moment sees where they are. An iterator merges the tables with what is below.
 */
#include <stdlib.h>

#include "writeback_engine.h"

/* ---- Pinned moments --------------------------------------------------------------- */

static void release_table(writeback_engine *engine, wb_table *table)
{
    if (table)
        atomic_fetch_sub(&engine->kept_bytes, stem_wb_table_release(table));
}

/* The table with a user more, or NULL when there is nothing in it. */
static wb_table *retain_table(wb_table *table)
{
    if (!table || table->last == 0)
        return NULL;
    atomic_fetch_add(&table->users, 1);
    return table;
}

static void enlist(writeback_engine *engine, wb_pin *pin)
{
    pthread_mutex_lock(&engine->pin_lock);
    pin->prev = engine->newest_pin_entry;
    pin->next = NULL;
    if (pin->prev)
        pin->prev->next = pin;
    engine->newest_pin_entry = pin;
    atomic_store(&engine->newest_pin, pin->number);
    pthread_mutex_unlock(&engine->pin_lock);
}

static void delist(writeback_engine *engine, wb_pin *pin)
{
    pthread_mutex_lock(&engine->pin_lock);
    if (pin->prev)
        pin->prev->next = pin->next;
    if (pin->next)
        pin->next->prev = pin->prev;
    else
        engine->newest_pin_entry = pin->prev;
    atomic_store(&engine->newest_pin,
                 engine->newest_pin_entry ? engine->newest_pin_entry->number : 0);
    pthread_mutex_unlock(&engine->pin_lock);
}

int stem_wb_pin(writeback_engine *engine, bool has_commit_lock, wb_pin **made)
{
    wb_pin *pin = calloc(1, sizeof *pin);

    if (!pin)
        return stem_fail(STEM_ENOMEM, "no memory for a snapshot");
    atomic_init(&pin->users, 1);
    if (!has_commit_lock)
        pthread_mutex_lock(&engine->commit_lock);
    int code = engine->below->ops->snapshot_open(engine->below, &pin->below);
    if (code == STEM_OK) {
        pin->number = atomic_load(&engine->committed);
        pin->tables[0] = retain_table(atomic_load(&engine->active));
        pin->tables[1] = retain_table(atomic_load(&engine->frozen));
        enlist(engine, pin);
    }
    if (!has_commit_lock)
        pthread_mutex_unlock(&engine->commit_lock);
    if (code != STEM_OK) {
        free(pin);
        return code;
    }
    *made = pin;
    return STEM_OK;
}

void stem_wb_unpin(writeback_engine *engine, wb_pin *pin)
{
    if (atomic_fetch_sub(&pin->users, 1) > 1)
        return;
    delist(engine, pin);
    engine->below->ops->snapshot_close(engine->below, pin->below);
    release_table(engine, pin->tables[0]);
    release_table(engine, pin->tables[1]);
    free(pin);
}

int stem_wb_snapshot_open(stem_engine *base, stem_engine_snapshot **snapshot)
{
    return stem_wb_pin(writeback_of(base), false, snapshot);
}

void stem_wb_snapshot_close(stem_engine *base, stem_engine_snapshot *snapshot)
{
    stem_wb_unpin(writeback_of(base), snapshot);
}

/* What a key was at a moment, as far as the table knows, or NULL. It stays as it is. */
static const wb_version *find_version(writeback_engine *engine, const wb_pin *pin,
                                      const wb_table *table, stem_slice key,
                                      uint64_t hash)
{
    pthread_mutex_t *lock = engine->locks[wb_shard_of(hash)];

    pthread_mutex_lock(lock);
    const wb_entry *entry = wb_table_find(table, key, hash);
    const wb_version *version = entry ? wb_visible(entry, pin->number) : NULL;
    pthread_mutex_unlock(lock);
    return version;
}

int stem_wb_read_pinned(writeback_engine *engine, const wb_pin *pin, stem_slice key,
                        stem_read *read)
{
    const uint64_t hash = stem_wb_hash(engine, key);
    const wb_version *version = NULL;

    for (size_t i = 0; i < 2 && !version; i++)
        if (pin->tables[i])
            version = find_version(engine, pin, pin->tables[i], key, hash);
    if (!version)
        return engine->below->ops->read(engine->below, pin->below, &key, 1, read);
    *read = (stem_read){0};
    if (version->is_delete)
        return STEM_OK;
    return stem_wb_copy_out(read, version->bytes, version->len);
}

/* ---- Iterators -------------------------------------------------------------------- */

enum head_state { UNREAD, READY, ENDED };

/* The next entry of a source. */
typedef struct head {
    enum head_state state;
    bool is_delete;
    stem_slice key, value;
} head;

enum { BELOW = 2, N_SOURCES };

typedef struct writeback_iter {
    stem_engine_iter base;
    wb_pin *pin;
    bool is_reverse;
    int code;              /* the first failure */
    stem_slice start, end; /* point into `bytes` */
    wb_node *nodes[BELOW]; /* the next of each table */
    stem_engine_iter *below;
    head heads[N_SOURCES]; /* the newer source first */
    char bytes[];
} writeback_iter;

static wb_node *first_node(const writeback_iter *iter, wb_table *table)
{
    return iter->is_reverse ? stem_wb_index_before(table, iter->end)
                            : stem_wb_index_at(table, iter->start);
}

/* The first node at or after a key; in reverse at or before it. */
static wb_node *node_at(const writeback_iter *iter, wb_table *table, stem_slice key)
{
    wb_node *node = stem_wb_index_at(table, key);

    if (!iter->is_reverse ||
        (node && stem_slice_compare(wb_entry_key(node->entry), key) == 0))
        return node;
    return stem_wb_index_before(table, key);
}

/* Goes back to the start with an empty key. */
static void place(writeback_iter *iter, stem_slice key)
{
    for (size_t i = 0; i < N_SOURCES; i++)
        iter->heads[i].state = UNREAD;
    for (size_t i = 0; i < BELOW; i++) {
        wb_table *table = iter->pin->tables[i];

        if (!table)
            iter->heads[i].state = ENDED;
        else
            iter->nodes[i] =
                key.len > 0 ? node_at(iter, table, key) : first_node(iter, table);
    }
}

static int open_on(writeback_engine *engine, wb_pin *pin, const stem_engine_range *range,
                   bool reverse, stem_engine_iter **opened)
{
    stem_engine *below = engine->below;
    const size_t size = range->start.len + range->end.len;
    writeback_iter *iter = malloc(sizeof *iter + size);
    int code = STEM_OK;

    if (!iter)
        return stem_fail(STEM_ENOMEM, "no memory for an iterator");
    *iter =
        (writeback_iter){.base.engine = &engine->base, .pin = pin, .is_reverse = reverse};
    iter->start = (stem_slice){iter->bytes, range->start.len};
    iter->end = (stem_slice){iter->bytes + range->start.len, range->end.len};
    if (range->start.len > 0)
        memcpy(iter->bytes, range->start.data, range->start.len);
    if (range->end.len > 0)
        memcpy(iter->bytes + range->start.len, range->end.data, range->end.len);
    for (size_t i = 0; i < BELOW && code == STEM_OK; i++)
        if (pin->tables[i])
            code = stem_wb_table_index(pin->tables[i], engine->locks);
    if (code == STEM_OK)
        code = below->ops->iter_open(below, pin->below, range, reverse, &iter->below);
    if (code != STEM_OK) {
        free(iter);
        return code;
    }
    place(iter, (stem_slice){0});
    *opened = &iter->base;
    return STEM_OK;
}

static int open_now(writeback_engine *engine, bool has_commit_lock,
                    const stem_engine_range *range, bool reverse,
                    stem_engine_iter **opened)
{
    wb_pin *pin;

    int code = stem_wb_pin(engine, has_commit_lock, &pin);
    if (code != STEM_OK)
        return code;
    code = open_on(engine, pin, range, reverse, opened);
    if (code != STEM_OK)
        stem_wb_unpin(engine, pin);
    return code;
}

int stem_wb_iter_open(stem_engine *base, const stem_engine_snapshot *snapshot,
                      const stem_engine_range *range, bool reverse,
                      stem_engine_iter **opened)
{
    writeback_engine *engine = writeback_of(base);
    wb_pin *pin = (wb_pin *)snapshot;

    if (!snapshot)
        return open_now(engine, false, range, reverse, opened);
    atomic_fetch_add(&pin->users, 1);
    int code = open_on(engine, pin, range, reverse, opened);
    if (code != STEM_OK)
        stem_wb_unpin(engine, pin);
    return code;
}

int stem_wb_iter_open_locked(writeback_engine *engine, const stem_engine_range *range,
                             stem_engine_iter **opened)
{
    return open_now(engine, true, range, false, opened);
}

void stem_wb_iter_close(stem_engine_iter *base)
{
    writeback_iter *iter = (writeback_iter *)base;
    writeback_engine *engine = writeback_of(base->engine);

    engine->below->ops->iter_close(iter->below);
    stem_wb_unpin(engine, iter->pin);
    free(iter);
}

int stem_wb_iter_seek(stem_engine_iter *base, stem_slice key)
{
    writeback_iter *iter = (writeback_iter *)base;

    if (iter->code != STEM_OK)
        return iter->code;
    const bool is_outside =
        iter->is_reverse ? iter->end.len > 0 && stem_slice_compare(key, iter->end) >= 0
                         : stem_slice_compare(key, iter->start) <= 0;
    if (is_outside)
        key = (stem_slice){0};
    iter->code = iter->below->engine->ops->iter_seek(iter->below, key);
    if (iter->code == STEM_OK)
        place(iter, key);
    return iter->code;
}

static bool is_beyond(const writeback_iter *iter, stem_slice key)
{
    return iter->is_reverse
               ? stem_slice_compare(key, iter->start) < 0
               : iter->end.len > 0 && stem_slice_compare(key, iter->end) >= 0;
}

/* Reads the next entry of a table that its moment sees. */
static void read_table(writeback_iter *iter, size_t source)
{
    const writeback_engine *engine = writeback_of(iter->base.engine);
    wb_table *table = iter->pin->tables[source];
    head *next = &iter->heads[source];
    wb_node *node = iter->nodes[source];

    next->state = ENDED;
    while (node && next->state == ENDED) {
        const wb_entry *entry = node->entry;
        pthread_mutex_t *lock = engine->locks[entry->shard];

        next->key = wb_entry_key(entry);
        if (is_beyond(iter, next->key))
            break;
        pthread_mutex_lock(lock);
        const wb_version *version = wb_visible(entry, iter->pin->number);
        pthread_mutex_unlock(lock);
        if (version) {
            next->state = READY;
            next->is_delete = version->is_delete;
            next->value = (stem_slice){version->bytes, version->len};
        }
        node = iter->is_reverse
                   ? (next->key.len > 0 ? stem_wb_index_before(table, next->key) : NULL)
                   : wb_node_next(node);
    }
    iter->nodes[source] = node;
}

static int read_heads(writeback_iter *iter)
{
    head *below = &iter->heads[BELOW];

    for (size_t i = 0; i < BELOW; i++)
        if (iter->heads[i].state == UNREAD)
            read_table(iter, i);
    if (below->state != UNREAD)
        return STEM_OK;
    int code =
        iter->below->engine->ops->iter_next(iter->below, &below->key, &below->value);
    below->state = code == STEM_OK ? READY : ENDED;
    if (code < 0)
        iter->code = code;
    return iter->code;
}

/* The source of the next entry, the newer of equals; the others pass over theirs. Or NULL. */
static const head *choose(writeback_iter *iter)
{
    head *best = NULL;

    for (size_t i = 0; i < N_SOURCES; i++) {
        head *each = &iter->heads[i];

        if (each->state != READY)
            continue;
        int order = best ? stem_slice_compare(each->key, best->key) : -1;
        if (best && iter->is_reverse)
            order = -order;
        if (order == 0) {
            each->state = UNREAD;
        } else if (order < 0) {
            best = each;
        }
    }
    if (best)
        best->state = UNREAD;
    return best;
}

int stem_wb_iter_next(stem_engine_iter *base, stem_slice *key, stem_slice *value)
{
    writeback_iter *iter = (writeback_iter *)base;
    const head *next;

    if (iter->code != STEM_OK)
        return iter->code;
    do {
        if (read_heads(iter) != STEM_OK)
            return iter->code;
        next = choose(iter);
        if (!next)
            return STEM_NOTFOUND;
    } while (next->is_delete);
    *key = next->key;
    if (value)
        *value = next->value;
    return STEM_OK;
}
