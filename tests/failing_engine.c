/*
 * Real engines with failures put in: see failing_engine.h.
 */
#include "failing_engine.h"

#include <stdlib.h>

#include "error.h"

const char injected_cause[] = "a failure put in by a test";

static struct {
    unsigned long left;  /* calls until the one that fails; 0 is none */
    unsigned long times; /* that are to fail, with that one */
    int code;
    const char *failed_call;
} plan;

static void (*at_failure)(void);

void engine_fail_times(unsigned long call, unsigned long times, int code)
{
    plan.left = call;
    plan.times = times;
    plan.code = code;
    plan.failed_call = NULL;
}

void engine_fail_at(unsigned long call, int code)
{
    engine_fail_times(call, 1, code);
}

void engine_at_failure(void (*act)(void))
{
    at_failure = act;
}

const char *engine_failed_call(void)
{
    return plan.failed_call;
}

/* Whether the planned failure has come. */
static bool is_now(const char *call)
{
    if (plan.left == 0 || --plan.left > 0)
        return false;
    plan.failed_call = call;
    if (--plan.times > 0)
        plan.left = 1;
    return true;
}

/* STEM_OK, or the failure that takes the place of this call. */
static int enter(const char *call)
{
    const int code = plan.code;

    if (code == STEM_CONFLICT || code == STEM_EUNKNOWN || !is_now(call))
        return STEM_OK;
    if (at_failure)
        at_failure();
    return stem_fail(code, "%s", injected_cause);
}

static failing_engine *failing_of(stem_engine *base)
{
    return (failing_engine *)base;
}

/* ---- Reading and committing ------------------------------------------------------- */

static int failing_read(stem_engine *base, const stem_engine_snapshot *snapshot,
                        const stem_slice *keys, size_t n, stem_read *reads)
{
    stem_engine *inner = failing_of(base)->inner;
    int code = enter("read");

    return code == STEM_OK ? inner->ops->read(inner, snapshot, keys, n, reads) : code;
}

static int failing_read_some(stem_engine *base, const stem_engine_snapshot *snapshot,
                             const stem_slice *keys, size_t n, size_t most,
                             stem_read *reads, size_t *n_read)
{
    stem_engine *inner = failing_of(base)->inner;
    int code = enter("read_some");

    return code == STEM_OK
               ? inner->ops->read_some(inner, snapshot, keys, n, most, reads, n_read)
               : code;
}

static int failing_commit(stem_engine *base, const stem_commit *commit, size_t *failed)
{
    stem_engine *inner = failing_of(base)->inner;
    int code = enter("commit");

    if (code != STEM_OK)
        return code;
    if (plan.code == STEM_CONFLICT && commit->n_expectations > 0 && is_now("commit")) {
        *failed = 0;
        return STEM_CONFLICT;
    }
    code = inner->ops->commit(inner, commit, failed);
    if (code == STEM_OK && plan.code == STEM_EUNKNOWN && is_now("commit"))
        return stem_fail(STEM_EUNKNOWN, "%s", injected_cause);
    return code;
}

/* ---- Iterators and snapshots ------------------------------------------------------ */

typedef struct failing_iter {
    stem_engine_iter base;
    stem_engine_iter *inner;
    int code; /* the first failure */
} failing_iter;

static int failing_iter_open(stem_engine *base, const stem_engine_snapshot *snapshot,
                             const stem_engine_range *range, bool reverse,
                             stem_engine_iter **opened)
{
    failing_engine *engine = failing_of(base);
    stem_engine *inner = engine->inner;
    int code = enter("iter_open");

    if (code != STEM_OK)
        return code;
    failing_iter *iter = malloc(sizeof *iter);
    if (!iter)
        return stem_fail(STEM_ENOMEM, "no memory for an iterator");
    *iter = (failing_iter){.base.engine = base};
    code = inner->ops->iter_open(inner, snapshot, range, reverse, &iter->inner);
    if (code != STEM_OK) {
        free(iter);
        return code;
    }
    engine->open++;
    *opened = &iter->base;
    return STEM_OK;
}

static int failing_iter_next(stem_engine_iter *base, stem_slice *key, stem_slice *value)
{
    failing_iter *iter = (failing_iter *)base;

    if (iter->code == STEM_OK)
        iter->code = enter("iter_next");
    if (iter->code != STEM_OK)
        return iter->code;
    return iter->inner->engine->ops->iter_next(iter->inner, key, value);
}

static int failing_iter_seek(stem_engine_iter *base, stem_slice key)
{
    failing_iter *iter = (failing_iter *)base;

    if (iter->code == STEM_OK)
        iter->code = enter("iter_seek");
    if (iter->code != STEM_OK)
        return iter->code;
    return iter->inner->engine->ops->iter_seek(iter->inner, key);
}

static void failing_iter_close(stem_engine_iter *base)
{
    failing_iter *iter = (failing_iter *)base;

    iter->inner->engine->ops->iter_close(iter->inner);
    failing_of(base->engine)->open--;
    free(iter);
}

static int failing_snapshot_open(stem_engine *base, stem_engine_snapshot **snapshot)
{
    failing_engine *engine = failing_of(base);
    int code = enter("snapshot_open");

    if (code == STEM_OK)
        code = engine->inner->ops->snapshot_open(engine->inner, snapshot);
    if (code == STEM_OK)
        engine->open++;
    return code;
}

static void failing_snapshot_close(stem_engine *base, stem_engine_snapshot *snapshot)
{
    failing_engine *engine = failing_of(base);

    engine->inner->ops->snapshot_close(engine->inner, snapshot);
    engine->open--;
}

/* ---- Looking after ---------------------------------------------------------------- */

static int failing_sync(stem_engine *base)
{
    stem_engine *inner = failing_of(base)->inner;
    int code = enter("sync");

    return code == STEM_OK ? inner->ops->sync(inner) : code;
}

static int failing_compact(stem_engine *base, const stem_engine_range *range)
{
    stem_engine *inner = failing_of(base)->inner;
    int code = enter("compact");

    return code == STEM_OK ? inner->ops->compact(inner, range) : code;
}

static int failing_estimate(stem_engine *base, const stem_engine_range *range,
                            stem_size_info *size)
{
    stem_engine *inner = failing_of(base)->inner;
    int code = enter("estimate");

    return code == STEM_OK ? inner->ops->estimate(inner, range, size) : code;
}

static int failing_stats(stem_engine *base, stem_statistics *stats)
{
    stem_engine *inner = failing_of(base)->inner;
    int code = enter("stats");

    return code == STEM_OK ? inner->ops->stats(inner, stats) : code;
}

static int failing_identify(stem_engine *base, stem_place_id *id)
{
    stem_engine *inner = failing_of(base)->inner;
    int code = enter("identify");

    return code == STEM_OK ? inner->ops->identify(inner, id) : code;
}

/* There is no close: the engine behind is closed through its own handle. */
static const stem_engine_ops failing_ops = {
    .name = "failing",
    .read = failing_read,
    .read_some = failing_read_some,
    .commit = failing_commit,
    .iter_open = failing_iter_open,
    .iter_next = failing_iter_next,
    .iter_seek = failing_iter_seek,
    .iter_close = failing_iter_close,
    .snapshot_open = failing_snapshot_open,
    .snapshot_close = failing_snapshot_close,
    .sync = failing_sync,
    .compact = failing_compact,
    .estimate = failing_estimate,
    .stats = failing_stats,
    .identify = failing_identify,
};

stem_db *failing_engine_over(failing_engine *engine, stem_db *real,
                             const stem_options *options)
{
    stem_engine *inner = real->engine;

    *engine = (failing_engine){.base = {.ops = &failing_ops,
                                        .max_key_bytes = inner->max_key_bytes,
                                        .max_value_bytes = inner->max_value_bytes,
                                        .max_commit_bytes = inner->max_commit_bytes,
                                        .max_commit_items = inner->max_commit_items,
                                        .fork_generation = inner->fork_generation},
                               .inner = inner};
    /* One user for the handle, and one that stays, so that nobody closes the wrapper. */
    atomic_init(&engine->base.users, 2);
    return stem_db_over(&engine->base, options);
}
