/*
 * The write-back engine: judging expectations, and committing into memory.
 *
 * Expectations are judged before commit_lock is taken, where a read from below holds nobody up,
 * and under it only if their key may have been written meanwhile.
 */
#include <stdlib.h>

#include "expectation.h"
#include "writeback_engine.h"

/* ---- Expectations ----------------------------------------------------------------- */

static int judge_empty(writeback_engine *engine, const stem_expectation *expectation,
                       bool has_commit_lock)
{
    const stem_engine_range range = {expectation->key, expectation->value};
    stem_engine_iter *iter;
    stem_slice key;

    int code = has_commit_lock
                   ? stem_wb_iter_open_locked(engine, &range, &iter)
                   : stem_wb_iter_open(&engine->base, NULL, &range, false, &iter);
    if (code != STEM_OK)
        return code;
    code = stem_wb_iter_next(iter, &key, NULL);
    stem_wb_iter_close(iter);
    if (code == STEM_NOTFOUND)
        return STEM_OK;
    return code == STEM_OK ? STEM_CONFLICT : code;
}

/* STEM_OK when it holds, STEM_CONFLICT when not. */
static int judge(writeback_engine *engine, const stem_expectation *expectation,
                 bool has_commit_lock)
{
    return expectation->kind == STEM_EXPECT_EMPTY
               ? judge_empty(engine, expectation, has_commit_lock)
               : stem_judge_key(&engine->base, expectation);
}

/* The last commit that may have touched what the expectation is about; nobody else may commit
 * now. */
static uint64_t last_commit_on(writeback_engine *engine,
                               const stem_expectation *expectation)
{
    if (expectation->kind == STEM_EXPECT_EMPTY)
        return atomic_load_explicit(&engine->committed, memory_order_relaxed);
    return *wb_slot_of(engine, stem_wb_hash(engine, expectation->key));
}

int stem_wb_judge(writeback_engine *engine, const stem_commit *commit, uint64_t judged,
                  bool has_commit_lock, size_t *failed)
{
    int code = STEM_OK;

    for (size_t i = 0; i < commit->n_expectations && code == STEM_OK; i++) {
        const stem_expectation *each = &commit->expectations[i];
        const uint64_t known = stem_rests_on_read(each) ? each->stamp : judged;

        if (judged == 0 ? !stem_rests_on_read(each)
                        : last_commit_on(engine, each) > known)
            code = judge(engine, each, has_commit_lock);
        if (code == STEM_CONFLICT)
            *failed = i;
    }
    return code;
}

/* ---- Into memory ------------------------------------------------------------------ */

/* What a write needs, found and made before anything can be seen of its commit. */
typedef struct planned {
    uint64_t hash;
    wb_entry *entry;
    wb_version *version; /* NULL when the newest is overwritten where it lies */
} planned;

static size_t value_len(const stem_write *write)
{
    return write->is_delete ? 0 : write->value.len;
}

/* Finds or makes the entries and versions; the shards are locked. What is made before memory
 * runs out stays, and is nothing to anybody. */
static int plan(writeback_engine *engine, const stem_commit *commit, planned *plans)
{
    const uint64_t pinned = atomic_load(&engine->newest_pin);
    wb_table *active = atomic_load(&engine->active);

    for (size_t i = 0; i < commit->n_writes; i++) {
        const stem_write *write = &commit->writes[i];
        const size_t len = value_len(write);

        plans[i].version = NULL;
        plans[i].entry = stem_wb_table_add(active, write->key, plans[i].hash);
        if (!plans[i].entry)
            return stem_fail(STEM_ENOMEM, "no memory for a key of %zu bytes",
                             write->key.len);
        if (stem_wb_forget(engine, write->key, plans[i].hash))
            wb_table_heat(active, plans[i].entry, WRITEBACK_HOT);
        const wb_version *newest = plans[i].entry->newest;
        if (newest && newest->number > pinned && newest->room >= len)
            continue;
        plans[i].version = stem_wb_table_version(active, plans[i].hash, len);
        if (!plans[i].version)
            return stem_fail(STEM_ENOMEM, "no memory for a value of %zu bytes", len);
    }
    return STEM_OK;
}

/* Makes a write visible. A version is kept for the moments pinned that may need it. */
static void perform(const stem_write *write, const planned *plan, uint64_t number,
                    uint64_t pinned)
{
    wb_entry *entry = plan->entry;
    wb_version *newest = entry->newest, *version = plan->version;
    const size_t len = value_len(write);

    if (version) {
        version->older = newest && newest->number > pinned ? newest->older : newest;
        if (pinned == 0)
            version->older = NULL;
    } else {
        version = newest;
    }
    version->number = number;
    version->is_delete = write->is_delete;
    version->len = (uint32_t)len;
    if (len > 0)
        memcpy(version->bytes, write->value.data, len);
    version->bytes[len] = '\0';
    entry->newest = version;
}

/* Enters the writes; commit_lock is held. */
static int enter(writeback_engine *engine, const stem_commit *commit, planned *plans)
{
    const uint64_t number = atomic_load(&engine->committed) + 1;
    const uint64_t pinned = atomic_load(&engine->newest_pin);
    wb_table *active = atomic_load(&engine->active);
    uint64_t mask = 0;

    for (size_t i = 0; i < commit->n_writes; i++)
        mask |= UINT64_C(1) << wb_shard_of(plans[i].hash);
    stem_wb_lock(engine, mask);
    int code = plan(engine, commit, plans);
    for (size_t i = 0; i < commit->n_writes && code == STEM_OK; i++) {
        perform(&commit->writes[i], &plans[i], number, pinned);
        *wb_slot_of(engine, plans[i].hash) = number;
    }
    if (code == STEM_OK) {
        active->last = number;
        atomic_store_explicit(&engine->committed, number, memory_order_release);
    }
    /* What ran out of memory has left something that a round must be able to give back. */
    if (code != STEM_OK && active->last == 0 && atomic_load(&active->bytes) > 0)
        active->last = number - 1;
    stem_wb_unlock(engine, mask);
    atomic_store_explicit(&engine->active_bytes, atomic_load(&active->bytes),
                          memory_order_relaxed);
    return code;
}

/* What a commit takes in memory, about. */
static size_t cost_of(const stem_commit *commit)
{
    enum { WRITE_OVERHEAD = sizeof(wb_entry) + sizeof(wb_version) + 104 };
    size_t cost = 0;

    for (size_t i = 0; i < commit->n_writes; i++)
        cost +=
            commit->writes[i].key.len + value_len(&commit->writes[i]) + WRITE_OVERHEAD;
    return cost;
}

/* Waits for a commit that goes straight through, when there is one, by taking its place; says
 * whether it has. */
static bool lock_commits(writeback_engine *engine)
{
    pthread_mutex_lock(&engine->commit_lock);
    if (!atomic_load(&engine->is_through))
        return false;
    pthread_mutex_unlock(&engine->commit_lock);
    pthread_mutex_lock(&engine->through_lock);
    pthread_mutex_lock(&engine->commit_lock);
    return true;
}

static void unlock_commits(writeback_engine *engine, bool has_through_lock)
{
    pthread_mutex_unlock(&engine->commit_lock);
    if (has_through_lock)
        pthread_mutex_unlock(&engine->through_lock);
}

/* Judges what may have changed, and enters, at one moment; STEM_EGONE when others have taken
 * the room meanwhile. */
static int commit_locked(writeback_engine *engine, const stem_commit *commit,
                         planned *plans, size_t cost, uint64_t judged, size_t *failed)
{
    bool was_empty, is_half;

    const bool has_through_lock = lock_commits(engine);
    for (size_t i = 0; i < commit->n_writes; i++)
        wb_table_prefetch(atomic_load(&engine->active), plans[i].hash);
    int code = stem_wb_judge(engine, commit, judged, true, failed);
    if (code == STEM_OK && commit->n_writes > 0 && !wb_has_room(engine, cost))
        code = STEM_EGONE;
    was_empty = atomic_load(&engine->active)->last == 0;
    if (was_empty)
        atomic_store(&engine->gathering_since_ns, stem_clock());
    if (code == STEM_OK && commit->n_writes > 0)
        code = enter(engine, commit, plans);
    was_empty &= atomic_load(&engine->active)->last != 0;
    is_half = atomic_load(&engine->active_bytes) >= engine->budget / 2 &&
              !atomic_exchange(&engine->is_half_told, true);
    unlock_commits(engine, has_through_lock);
    if (was_empty || is_half)
        stem_wb_wake(engine);
    return code;
}

static int commit_in_memory(writeback_engine *engine, const stem_commit *commit,
                            size_t cost, size_t *failed)
{
    enum { FEW = 8 };
    planned few[FEW], *plans = few;
    int code;

    if (commit->n_writes > FEW) {
        plans = malloc(commit->n_writes * sizeof *plans);
        if (!plans)
            return stem_fail(STEM_ENOMEM, "no memory for a commit of %zu writes",
                             commit->n_writes);
    }
    for (size_t i = 0; i < commit->n_writes; i++)
        plans[i].hash = stem_wb_hash(engine, commit->writes[i].key);
    do {
        code = commit->n_writes > 0 ? stem_wb_pace(engine, cost) : STEM_OK;
        const uint64_t judged =
            atomic_load_explicit(&engine->committed, memory_order_acquire);
        if (code == STEM_OK)
            code = stem_wb_judge(engine, commit, 0, false, failed);
        if (code == STEM_OK)
            code = commit_locked(engine, commit, plans, cost, judged, failed);
    } while (code == STEM_EGONE);
    if (plans != few)
        free(plans);
    stem_wb_make_room(engine, 0);
    return code;
}

/* ---- Committing ------------------------------------------------------------------- */

static int check_limits(const writeback_engine *engine, const stem_commit *commit)
{
    const stem_engine *base = &engine->base;
    size_t bytes = 0;

    for (size_t i = 0; i < commit->n_writes; i++) {
        const size_t key = commit->writes[i].key.len;
        const size_t value = value_len(&commit->writes[i]);

        bytes += key + value;
        if (key > base->max_key_bytes)
            return stem_fail(STEM_EINVAL, "a key of %zu bytes is over the limit of %zu",
                             key, base->max_key_bytes);
        if (value > base->max_value_bytes)
            return stem_fail(STEM_EINVAL, "a value of %zu bytes is over the limit of %zu",
                             value, base->max_value_bytes);
        if (bytes > base->max_commit_bytes)
            return stem_fail(STEM_EINVAL, "a commit of more than %zu bytes",
                             base->max_commit_bytes);
    }
    return STEM_OK;
}

int stem_wb_make_durable(stem_engine *engine)
{
    if (engine->ops->sync(engine) == STEM_OK)
        return STEM_OK;
    return stem_fail(STEM_EUNKNOWN, "written, but not known to be durable: %s",
                     stem_errmsg());
}

static bool is_failing(writeback_engine *engine)
{
    pthread_mutex_lock(&engine->state_lock);
    bool failing = engine->failures > 0;
    pthread_mutex_unlock(&engine->state_lock);
    return failing;
}

/* While the engine below fails, what has to be durable is refused before it is seen. */
static int commit_synced(writeback_engine *engine, const stem_commit *commit, size_t cost,
                         size_t *failed)
{
    stem_engine *base = &engine->base;
    int code = is_failing(engine) ? stem_wb_flush(base) : STEM_OK;

    if (code == STEM_OK)
        code = commit_in_memory(engine, commit, cost, failed);
    return code == STEM_OK ? stem_wb_make_durable(base) : code;
}

int stem_wb_commit(stem_engine *base, const stem_commit *commit, size_t *failed)
{
    writeback_engine *engine = writeback_of(base);
    const size_t cost = cost_of(commit);

    int code = check_limits(engine, commit);
    if (code != STEM_OK)
        return code;
    if (commit->n_writes > 0 && (commit->through || cost > engine->budget / 2))
        return stem_wb_commit_through(engine, commit, failed);
    if (commit->sync)
        return commit_synced(engine, commit, cost, failed);
    return commit_in_memory(engine, commit, cost, failed);
}
