/*
 * The write-back engine: the thread that hands everything gathered in memory to the engine
 * below, a round at a time. A round is one commit, so that what is below is always the state
 * after some commit; one that fails is tried again until it works, later each time.
 */
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "writeback_engine.h"

/* ---- A round ---------------------------------------------------------------------- */

/* Freezes the active table when there is anything in it; commit_lock is held. */
static void freeze(writeback_engine *engine, wb_table **fresh)
{
    wb_table *active = atomic_load(&engine->active);

    if (active->last == 0)
        return;
    atomic_store(&engine->frozen, active);
    atomic_store(&engine->active, *fresh);
    *fresh = NULL;
    atomic_store(&engine->frozen_bytes, atomic_load(&engine->active_bytes));
    atomic_store(&engine->active_bytes, 0);
    atomic_store(&engine->is_half_told, false);
}

/* The writes that bring the engine below to the frozen state, in memory to free(). The table
 * does not change any more, so no lock is needed. */
static stem_write *list_writes(const wb_table *table, size_t *n)
{
    const size_t most = atomic_load(&table->n_entries) + 1;
    stem_write *writes = malloc(most * sizeof *writes);

    *n = 0;
    if (!writes) {
        stem_fail(STEM_ENOMEM, "no memory to write %zu keys", most);
        return NULL;
    }
    for (size_t i = 0; i < WRITEBACK_SHARDS; i++)
        for (wb_entry *each = table->shards[i].entries; each; each = each->hh.next)
            if (each->newest)
                writes[(*n)++] = (stem_write){wb_entry_key(each),
                                              {each->newest->bytes, each->newest->len},
                                              each->newest->is_delete};
    return writes;
}

static int write_below(writeback_engine *engine, const wb_table *table)
{
    stem_commit commit = {0};
    size_t failed;
    stem_write *writes = list_writes(table, &commit.n_writes);

    if (!writes)
        return STEM_ENOMEM;
    commit.writes = writes;
    int code = engine->below->ops->commit(engine->below, &commit, &failed);
    free(writes);
    return code == STEM_EUNKNOWN ? STEM_OK : code;
}

/* Keeps the values of a table that are read a lot, which is below now. Who has commit_lock or
 * reads waits for a few of them at most. */
static void keep_hot(writeback_engine *engine, wb_table *table)
{
    enum { AT_ONCE = 16, PART_AT_ONCE = 64 };

    for (size_t i = 0; i < WRITEBACK_SHARDS; i++)
        for (bool is_done = false; !is_done;) {
            stem_wb_make_room(engine, engine->budget / PART_AT_ONCE);
            pthread_mutex_lock(engine->locks[i]);
            wb_entry *each = table->shards[i].hot;
            for (int n = 0; n < AT_ONCE && each; n++, each = each->next_hot)
                stem_wb_keep(engine, each);
            table->shards[i].hot = each;
            is_done = !each;
            pthread_mutex_unlock(engine->locks[i]);
        }
}

/* Lets go of the frozen table, which is below. */
static void retire(writeback_engine *engine, wb_table *table)
{
    keep_hot(engine, table);
    pthread_mutex_lock(&engine->commit_lock);
    atomic_store(&engine->frozen, NULL);
    atomic_store(&engine->handed_over, table->last);
    atomic_store(&engine->frozen_bytes, 0);
    atomic_fetch_add(&engine->kept_bytes, atomic_load(&table->bytes));
    pthread_mutex_unlock(&engine->commit_lock);
    for (size_t i = 0; i < WRITEBACK_SHARDS; i++) { /* until who may read it has gone */
        pthread_mutex_lock(engine->locks[i]);
        pthread_mutex_unlock(engine->locks[i]);
    }
    stem_wb_pool_limit(&engine->pool, engine->extent.chunks);
    atomic_fetch_sub(&engine->kept_bytes, stem_wb_table_release(table));
    stem_wb_make_room(engine, 0);
}

/* Notes how it went, for those who wait. */
static void note_round(writeback_engine *engine, int code)
{
    pthread_mutex_lock(&engine->state_lock);
    if (code == STEM_OK) {
        engine->rounds++;
        engine->failures = 0;
    } else {
        engine->failures++;
        stem_failure_save(&engine->cause);
    }
    pthread_cond_broadcast(&engine->changed);
    pthread_mutex_unlock(&engine->state_lock);
}

int stem_wb_round(writeback_engine *engine)
{
    int code = STEM_OK;

    if (atomic_load(&engine->is_discarded))
        return STEM_OK;
    if (!atomic_load(&engine->frozen)) {
        wb_table *fresh = stem_wb_table_new(&engine->pool, &engine->extent);

        if (!fresh) {
            note_round(engine, STEM_ENOMEM);
            return STEM_ENOMEM;
        }
        pthread_mutex_lock(&engine->commit_lock);
        freeze(engine, &fresh);
        pthread_mutex_unlock(&engine->commit_lock);
        if (fresh)
            stem_wb_table_release(fresh);
    }
    wb_table *table = atomic_load(&engine->frozen);
    if (!table)
        return STEM_OK;
    engine->extent = stem_wb_table_extent(table);
    code = write_below(engine, table);
    if (code == STEM_OK)
        retire(engine, table);
    note_round(engine, code);
    return code;
}

/* ---- The thread ------------------------------------------------------------------- */

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / UINT64_C(1000000000)),
                             .tv_nsec = (long)(ns % UINT64_C(1000000000))};
}

/* How long to wait after so many failures: 10 ms, and twice as long each time. */
static uint64_t backoff_ns(unsigned failures)
{
    enum { MOST_DOUBLINGS = 8 };
    const unsigned doublings =
        failures - 1 < MOST_DOUBLINGS ? failures - 1 : MOST_DOUBLINGS;

    return UINT64_C(10000000) << doublings;
}

/* What is frozen after a failure, and then what has been gathered since. */
static int attempt(writeback_engine *engine)
{
    pthread_mutex_lock(&engine->round_lock);
    const bool is_retry = atomic_load(&engine->frozen) != NULL;
    int code = stem_wb_round(engine);
    if (code == STEM_OK && is_retry)
        code = stem_wb_round(engine);
    pthread_mutex_unlock(&engine->round_lock);
    return code;
}

/* Whether a round has something to do, be it to give back what a commit took that ran out of
 * memory. */
static bool is_dirty(const writeback_engine *engine)
{
    return wb_dirty_bytes(engine) > 0 && !atomic_load(&engine->is_discarded);
}

/* When to write what is gathered; state_lock is held. */
static uint64_t due_at(const writeback_engine *engine)
{
    if (engine->failures > 0)
        return engine->last_attempt_ns + backoff_ns(engine->failures);
    if (atomic_load(&engine->active_bytes) >= engine->budget / 2)
        return 0;
    return atomic_load(&engine->gathering_since_ns) + engine->interval_ns;
}

/* Waits until there is something to do; state_lock is held. */
static void wait_for_work(writeback_engine *engine)
{
    while (!engine->is_stopping &&
           (!engine->is_requested || atomic_load(&engine->n_emptying) > 0)) {
        if (!is_dirty(engine) || atomic_load(&engine->n_emptying) > 0) {
            pthread_cond_wait(&engine->wake, &engine->state_lock);
            continue;
        }
        const uint64_t due = due_at(engine);
        const struct timespec until = to_timespec(due);
        if (stem_clock() >= due)
            return;
        pthread_cond_timedwait(&engine->wake, &engine->state_lock, &until);
    }
}

static void *run(void *argument)
{
    writeback_engine *engine = argument;

    pthread_mutex_lock(&engine->state_lock);
    for (;;) {
        wait_for_work(engine);
        if (engine->is_stopping)
            break;
        engine->is_requested = false;
        const uint64_t number = ++engine->started;
        pthread_mutex_unlock(&engine->state_lock);
        int code = attempt(engine);
        pthread_mutex_lock(&engine->state_lock);
        engine->finished = number;
        engine->last_attempt_ns = stem_clock();
        if (code != STEM_OK)
            engine->failed = number;
        pthread_cond_broadcast(&engine->changed);
    }
    pthread_mutex_unlock(&engine->state_lock);
    return NULL;
}

int stem_wb_start_thread(writeback_engine *engine)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int cause = pthread_create(&engine->thread, NULL, run, engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (cause != 0)
        return stem_fail(STEM_EIO, "cannot start a thread: %s", strerror(cause));
    return STEM_OK;
}

void stem_wb_stop_thread(writeback_engine *engine)
{
    pthread_mutex_lock(&engine->state_lock);
    engine->is_stopping = true;
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->state_lock);
    pthread_join(engine->thread, NULL);
}

void stem_wb_wake(writeback_engine *engine)
{
    pthread_mutex_lock(&engine->state_lock);
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->state_lock);
}

/* ---- Waiting for it --------------------------------------------------------------- */

/* Passes the cause of the last failure on to this thread; state_lock is held. */
static int fail_alike(writeback_engine *engine)
{
    stem_failure_restore(&engine->cause);
    return engine->cause.code;
}

static void request_round(writeback_engine *engine)
{
    if (engine->finished == engine->started) {
        engine->is_requested = true;
        pthread_cond_signal(&engine->wake);
    }
}

/* Waits for news of a round, asking for one where none is under way; state_lock is held. */
static void wait_for_news(writeback_engine *engine)
{
    request_round(engine);
    pthread_cond_wait(&engine->changed, &engine->state_lock);
}

/* The same, until `deadline`, which says whether it has passed. */
static bool wait_for_news_until(writeback_engine *engine, uint64_t deadline)
{
    const struct timespec until = to_timespec(deadline);

    request_round(engine);
    return pthread_cond_timedwait(&engine->changed, &engine->state_lock, &until) != 0;
}

int stem_wb_flush_by(stem_engine *base, uint64_t deadline)
{
    writeback_engine *engine = writeback_of(base);
    const uint64_t target = atomic_load(&engine->committed);
    bool is_late = false;
    int code = STEM_OK;

    if (atomic_load(&engine->is_discarded))
        return STEM_OK;
    pthread_mutex_lock(&engine->state_lock);
    const uint64_t first = engine->started + 1;
    while (atomic_load(&engine->handed_over) < target && engine->failed < first &&
           !is_late) {
        if (deadline == UINT64_MAX)
            wait_for_news(engine);
        else
            is_late = wait_for_news_until(engine, deadline);
    }
    if (atomic_load(&engine->handed_over) < target)
        code =
            is_late ? stem_fail(STEM_EIO, "the disk takes too long") : fail_alike(engine);
    pthread_mutex_unlock(&engine->state_lock);
    return code;
}

int stem_wb_flush(stem_engine *base)
{
    return stem_wb_flush_by(base, UINT64_MAX);
}

void stem_wb_discard(stem_engine *base)
{
    writeback_engine *engine = writeback_of(base);

    pthread_mutex_lock(&engine->round_lock); /* a round that runs is let finish */
    atomic_store(&engine->is_discarded, true);
    pthread_mutex_unlock(&engine->round_lock);
}

static void note_wait(writeback_engine *engine, uint64_t began)
{
    const uint64_t took = stem_clock() - began;

    engine->waits++;
    if (took > engine->longest_wait_ns)
        engine->longest_wait_ns = took;
}

/* Waits until a round has made room, or one that was begun after this has failed: what was in the
 * way of those before may be over; state_lock is held. */
static int wait_for_room(writeback_engine *engine, size_t bytes)
{
    const uint64_t began = stem_clock();
    const uint64_t first = engine->started + 1;

    while (!wb_has_room(engine, bytes)) {
        if (engine->failed >= first)
            return fail_alike(engine);
        wait_for_news(engine);
    }
    note_wait(engine, began);
    return STEM_OK;
}

/* How long to hold up a writer of so many bytes when of the half that is not for a round `over`
 * bytes are taken: next to nothing first, and twice as long with every fourteenth part, so that
 * whatever the engine below can take is where it settles; at the end 0.7 us a byte, at which
 * what is left lasts for seconds. */
static uint64_t delay_of(const writeback_engine *engine, size_t bytes, size_t over)
{
    enum { DOUBLINGS = 14, FINE = 256, BYTES_A_NS = 24 };
    const uint64_t position =
        (uint64_t)over * DOUBLINGS * FINE / (engine->budget - engine->budget / 2);
    const uint64_t factor = (FINE + position % FINE) << position / FINE;

    return bytes * factor / (FINE * BYTES_A_NS);
}

/* Lets writers through, all together, one after the other's delay. Waits that are too short to
 * sleep for add up, and none is much longer than the disk would take for the writer. */
static void slow_down(writeback_engine *engine, size_t bytes, size_t over)
{
    enum { WORTH_WAITING_NS = 30000, MOST_NS = 500000, MOST_NS_A_BYTE = 20 };
    const uint64_t now = stem_clock();
    const uint64_t most = now + MOST_NS + (uint64_t)bytes * MOST_NS_A_BYTE;
    uint64_t turn = engine->next_free_ns > now ? engine->next_free_ns : now;

    turn += delay_of(engine, bytes, over);
    if (turn > most)
        turn = most;
    engine->next_free_ns = turn;
    if (turn - now < WORTH_WAITING_NS)
        return;
    const struct timespec until = to_timespec(turn);
    pthread_mutex_unlock(&engine->state_lock);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    pthread_mutex_lock(&engine->state_lock);
    note_wait(engine, now);
}

int stem_wb_pace(writeback_engine *engine, size_t bytes)
{
    const size_t soft = engine->budget / 2;
    const size_t dirty = wb_dirty_bytes(engine);
    int code = STEM_OK;

    if (dirty <= soft)
        return STEM_OK;
    pthread_mutex_lock(&engine->state_lock);
    if (!wb_has_room(engine, bytes))
        code = wait_for_room(engine, bytes);
    else
        slow_down(engine, bytes, dirty - soft);
    pthread_mutex_unlock(&engine->state_lock);
    return code;
}
