/*
 * The shared engine: what the contract asks for, as calls on the current backend.
 */
#include <stdlib.h>

#include "../error.h"
#include "shared_engine.h"

struct stem_engine_snapshot {
    shared_backend *backend; /* one user of it */
    unsigned fork_generation;
    stem_engine_snapshot *inner;
};

typedef struct shared_iter {
    stem_engine_iter base;
    shared_backend *backend; /* one user of it */
    unsigned fork_generation;
    stem_engine_iter *inner;
    const stem_engine_ops *ops; /* the backend's */
} shared_iter;

/* ---- Backends --------------------------------------------------------------------- */

shared_backend *stem_shared_take(shared_engine *engine)
{
    for (;;) {
        shared_backend *backend =
            atomic_load_explicit(&engine->current, memory_order_acquire);

        if (backend->is_store)
            return backend;
        /* The last user of a session closes it, when there is another backend. */
        size_t users = atomic_load(&backend->users);
        while (users != 0)
            if (atomic_compare_exchange_weak(&backend->users, &users, users + 1))
                return backend;
    }
}

void stem_shared_give(shared_backend *backend)
{
    if (!backend->is_store && atomic_fetch_sub(&backend->users, 1) == 1)
        backend->engine->ops->close(backend->engine);
}

static int fail_inherited(const char *what)
{
    return stem_fail(STEM_EGONE, "the %s was opened before fork(); it stays the parent's",
                     what);
}

/* The backend for a call, a snapshot's own if it has one. */
static int take_for(stem_engine *base, const stem_engine_snapshot *snapshot,
                    shared_backend **backend)
{
    if (snapshot && snapshot->fork_generation != stem_fork_generation)
        return fail_inherited("snapshot");
    *backend = snapshot ? snapshot->backend : stem_shared_take(shared_of(base));
    if (snapshot && !snapshot->backend->is_store)
        atomic_fetch_add(&snapshot->backend->users, 1);
    return STEM_OK;
}

static const stem_engine_snapshot *inner_of(const stem_engine_snapshot *snapshot)
{
    return snapshot ? snapshot->inner : NULL;
}

/* ---- Reading and committing ------------------------------------------------------- */

static int shared_read(stem_engine *base, const stem_engine_snapshot *snapshot,
                       const stem_slice *keys, size_t n, stem_read *reads)
{
    shared_backend *backend;

    int code = take_for(base, snapshot, &backend);
    if (code != STEM_OK)
        return code;
    code =
        backend->engine->ops->read(backend->engine, inner_of(snapshot), keys, n, reads);
    stem_shared_give(backend);
    return code;
}

static int shared_read_some(stem_engine *base, const stem_engine_snapshot *snapshot,
                            const stem_slice *keys, size_t n, size_t most,
                            stem_read *reads, size_t *n_read)
{
    shared_backend *backend;

    int code = take_for(base, snapshot, &backend);
    if (code != STEM_OK)
        return code;
    code = backend->engine->ops->read_some(backend->engine, inner_of(snapshot), keys, n,
                                           most, reads, n_read);
    stem_shared_give(backend);
    return code;
}

/* What is answered to one process is seen by the others, and so never lost with this one. */
static int shared_commit(stem_engine *base, const stem_commit *commit, size_t *failed)
{
    shared_engine *engine = shared_of(base);
    stem_commit through = *commit;

    /* Whichever process is the owner, and whatever it would say of its sync. */
    int code =
        commit->sync ? stem_directory_check(engine->dir, &engine->newest_log) : STEM_OK;
    if (code != STEM_OK)
        return code;
    shared_backend *backend = stem_shared_take(engine);
    through.through = true;
    code = backend->engine->ops->commit(backend->engine, &through, failed);
    stem_shared_give(backend);
    return code;
}

/* ---- Iterators and snapshots ------------------------------------------------------ */

static int shared_iter_open(stem_engine *base, const stem_engine_snapshot *snapshot,
                            const stem_engine_range *range, bool reverse,
                            stem_engine_iter **opened)
{
    shared_iter *iter = calloc(1, sizeof *iter);

    if (!iter)
        return stem_fail(STEM_ENOMEM, "no memory for an iterator");
    int code = take_for(base, snapshot, &iter->backend);
    if (code == STEM_OK) {
        stem_engine *engine = iter->backend->engine;

        iter->base.engine = base;
        iter->fork_generation = stem_fork_generation;
        iter->ops = engine->ops;
        code = iter->ops->iter_open(engine, inner_of(snapshot), range, reverse,
                                    &iter->inner);
        if (code != STEM_OK)
            stem_shared_give(iter->backend);
    }
    if (code == STEM_OK)
        *opened = &iter->base;
    else
        free(iter);
    return code;
}

static int shared_iter_next(stem_engine_iter *base, stem_slice *key, stem_slice *value)
{
    const shared_iter *iter = (const shared_iter *)base;

    return iter->fork_generation == stem_fork_generation
               ? iter->ops->iter_next(iter->inner, key, value)
               : fail_inherited("iterator");
}

static int shared_iter_seek(stem_engine_iter *base, stem_slice key)
{
    const shared_iter *iter = (const shared_iter *)base;

    return iter->fork_generation == stem_fork_generation
               ? iter->ops->iter_seek(iter->inner, key)
               : fail_inherited("iterator");
}

/* What was the parent's is left as it is. */
static void shared_iter_close(stem_engine_iter *base)
{
    shared_iter *iter = (shared_iter *)base;

    if (iter->fork_generation == stem_fork_generation) {
        iter->ops->iter_close(iter->inner);
        stem_shared_give(iter->backend);
    }
    free(iter);
}

static int shared_snapshot_open(stem_engine *base, stem_engine_snapshot **opened)
{
    stem_engine_snapshot *snapshot = calloc(1, sizeof *snapshot);

    if (!snapshot)
        return stem_fail(STEM_ENOMEM, "no memory for a snapshot");
    shared_backend *backend = stem_shared_take(shared_of(base));
    int code = backend->engine->ops->snapshot_open(backend->engine, &snapshot->inner);
    if (code != STEM_OK) {
        stem_shared_give(backend);
        free(snapshot);
        return code;
    }
    snapshot->backend = backend;
    snapshot->fork_generation = stem_fork_generation;
    *opened = snapshot;
    return STEM_OK;
}

static void shared_snapshot_close(stem_engine *base, stem_engine_snapshot *snapshot)
{
    shared_backend *backend = snapshot->backend;

    (void)base;
    if (snapshot->fork_generation == stem_fork_generation) {
        backend->engine->ops->snapshot_close(backend->engine, snapshot->inner);
        stem_shared_give(backend);
    }
    free(snapshot);
}

/* ---- The whole -------------------------------------------------------------------- */

static int shared_sync(stem_engine *base)
{
    shared_engine *engine = shared_of(base);

    int code = stem_directory_check(engine->dir, &engine->newest_log);
    if (code != STEM_OK)
        return code;
    shared_backend *backend = stem_shared_take(engine);
    code = backend->engine->ops->sync(backend->engine);
    stem_shared_give(backend);
    return code;
}

static int shared_compact(stem_engine *base, const stem_engine_range *range)
{
    shared_backend *backend = stem_shared_take(shared_of(base));
    int code = backend->engine->ops->compact(backend->engine, range);

    stem_shared_give(backend);
    return code;
}

static int shared_estimate(stem_engine *base, const stem_engine_range *range,
                           stem_size_info *size)
{
    shared_backend *backend = stem_shared_take(shared_of(base));
    int code = backend->engine->ops->estimate(backend->engine, range, size);

    stem_shared_give(backend);
    return code;
}

static int shared_stats(stem_engine *base, stem_statistics *stats)
{
    shared_engine *engine = shared_of(base);
    shared_backend *backend = stem_shared_take(engine);

    int code = backend->engine->ops->stats(backend->engine, stats);
    if (code == STEM_OK && backend->is_store) {
        stats->is_owner = 1;
        stats->clients = engine->host->clients(engine->server);
    }
    stem_shared_give(backend);
    return code;
}

static int shared_identify(stem_engine *base, stem_place_id *id)
{
    shared_backend *backend = stem_shared_take(shared_of(base));
    int code = backend->engine->ops->identify(backend->engine, id);

    stem_shared_give(backend);
    return code;
}

const stem_engine_ops stem_shared_ops = {
    .name = "shared",
    .read = shared_read,
    .read_some = shared_read_some,
    .commit = shared_commit,
    .iter_open = shared_iter_open,
    .iter_next = shared_iter_next,
    .iter_seek = shared_iter_seek,
    .iter_close = shared_iter_close,
    .snapshot_open = shared_snapshot_open,
    .snapshot_close = shared_snapshot_close,
    .sync = shared_sync,
    .compact = shared_compact,
    .estimate = shared_estimate,
    .stats = shared_stats,
    .identify = shared_identify,
    .adopt = stem_shared_adopt,
    .close = stem_shared_close,
};
