/*
 * The write-back engine: commits that are not gathered, because they are to survive the process
 * or would fill the memory. One at a time goes to the engine below, once all is there that was
 * committed before, and what is cached of its keys is brought up to date.
 *
 * The engine below makes the commit visible, at one moment. Nobody may meet some of it there and
 * an older value in the cache: so its keys are hidden in the cache before, and revealed after.
 * Readers never wait for it, and go on opening snapshots and iterators: the tables are empty
 * meanwhile, and what is below is the whole state.
 *
 * They go one by one because an expectation is judged against those before, and lose nothing by
 * it: the LevelDB engine lets one write into the log at a time, lest one go behind another that
 * failed.
 */
#include <stdlib.h>

#include "writeback_engine.h"

/* Whether nothing is gathered; under commit_lock, or where nothing may enter. */
static bool is_empty(writeback_engine *engine)
{
    return !atomic_load(&engine->frozen) && atomic_load(&engine->active)->last == 0;
}

static void set_through(writeback_engine *engine)
{
    pthread_mutex_lock(&engine->commit_lock);
    atomic_store_explicit(&engine->is_through, true, memory_order_relaxed);
    pthread_mutex_unlock(&engine->commit_lock);
}

/* Writes all that was gathered, others going on while most of it is written. The thread, which
 * would take the lock again at once, stays away. */
static int empty_memory(writeback_engine *engine)
{
    atomic_fetch_add(&engine->n_emptying, 1);
    pthread_mutex_lock(&engine->round_lock);
    int code = stem_wb_round(engine);
    set_through(engine);
    while (code == STEM_OK && !is_empty(engine))
        code = stem_wb_round(engine);
    pthread_mutex_unlock(&engine->round_lock);
    atomic_fetch_sub(&engine->n_emptying, 1);
    stem_wb_wake(engine);
    return code;
}

static void let_others_go_on(writeback_engine *engine)
{
    atomic_store_explicit(&engine->is_through, false, memory_order_release);
    pthread_mutex_unlock(&engine->through_lock);
}

/* From when it has answered STEM_OK nothing is in memory but what is below, and stays so until
 * the others may go on. */
static int hold_others_up(writeback_engine *engine)
{
    int code = STEM_OK;

    pthread_mutex_lock(&engine->through_lock);
    pthread_mutex_lock(&engine->commit_lock);
    const bool is_ready = is_empty(engine);
    if (is_ready)
        atomic_store_explicit(&engine->is_through, true, memory_order_relaxed);
    pthread_mutex_unlock(&engine->commit_lock);
    if (!is_ready)
        code = empty_memory(engine);
    if (code != STEM_OK)
        let_others_go_on(engine);
    return code;
}

/* Commits below. The expectations, which are judged, are none of the engine's below. */
static int write_below(writeback_engine *engine, const stem_commit *commit,
                       const uint64_t *hashes)
{
    const uint64_t number = atomic_load(&engine->committed) + 1;
    const stem_commit bare = {.writes = commit->writes, .n_writes = commit->n_writes};
    stem_engine *below = engine->below;
    size_t failed;

    for (size_t i = 0; i < commit->n_writes; i++)
        stem_wb_hide(engine, hashes[i]);
    int code = below->ops->commit(below, &bare, &failed);
    for (size_t i = 0; i < commit->n_writes; i++) {
        stem_wb_reveal(engine, &commit->writes[i], hashes[i], code);
        *wb_slot_of(engine, hashes[i]) = number;
    }
    /* A number that a failure uses up has others judge what they have judged once more. */
    atomic_store_explicit(&engine->handed_over, number, memory_order_relaxed);
    atomic_store_explicit(&engine->committed, number, memory_order_release);
    return code;
}

static int commit_hashed(writeback_engine *engine, const stem_commit *commit,
                         const uint64_t *hashes, size_t *failed)
{
    const uint64_t judged =
        atomic_load_explicit(&engine->committed, memory_order_acquire);

    int code = stem_wb_judge(engine, commit, 0, false, failed);
    if (code == STEM_OK)
        code = hold_others_up(engine);
    if (code != STEM_OK)
        return code;
    code = stem_wb_judge(engine, commit, judged, false, failed);
    if (code == STEM_OK)
        code = write_below(engine, commit, hashes);
    let_others_go_on(engine);
    return code;
}

int stem_wb_commit_through(writeback_engine *engine, const stem_commit *commit,
                           size_t *failed)
{
    enum { FEW = 16 };
    uint64_t few[FEW], *hashes = few;

    if (commit->n_writes > FEW)
        hashes = malloc(commit->n_writes * sizeof *hashes);
    if (!hashes)
        return stem_fail(STEM_ENOMEM, "no memory for a commit of %zu writes",
                         commit->n_writes);
    for (size_t i = 0; i < commit->n_writes; i++)
        hashes[i] = stem_wb_hash(engine, commit->writes[i].key);
    for (size_t i = 0; i < commit->n_writes; i++)
        stem_wb_prefetch(engine, hashes[i]);
    int code = commit_hashed(engine, commit, hashes, failed);
    if (hashes != few)
        free(hashes);
    stem_wb_make_room(engine, 0);
    if (code == STEM_OK && commit->sync)
        code = stem_wb_make_durable(engine->below);
    return code;
}
