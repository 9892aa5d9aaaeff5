/*
 * The write-back engine: the thread that hands everything gathered in memory to the engine
 * below, a round at a time. A round is one commit, so that what is below is always the state
 * after some commit; one that fails is tried again until it works, later each time.
 */
#include <endian.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "writeback_engine.h"

/* ---- A round ---------------------------------------------------------------------- */

/* Freezes the active table when there is anything in it; commit_lock is held. */
static void freeze(writeback_engine *engine, wb_table **fresh)
{
    if (engine->active->last == 0)
        return;
    engine->frozen = engine->active;
    engine->active = *fresh;
    *fresh = NULL;
    for (size_t i = 0; i < WRITEBACK_SHARDS; i++) {
        pthread_mutex_lock(engine->locks[i]);
        engine->seen[i].active = engine->active;
        engine->seen[i].frozen = engine->frozen;
        pthread_mutex_unlock(engine->locks[i]);
    }
    atomic_store(&engine->frozen_bytes, atomic_load(&engine->active_bytes));
    atomic_store(&engine->active_bytes, 0);
    atomic_store(&engine->is_half_told, false);
}

/* A key to sort: eight bytes of it, which decide unless they are equal, and the rest. The last
 * key comes first: LevelDB's skip list finds the place of a key that is less than all others
 * with one comparison for each level, and that of a key that is greater with several. */
typedef struct sorted {
    uint64_t head;
    const wb_entry *entry;
} sorted;

static int compare_sorted(const void *a, const void *b)
{
    const sorted *x = a, *y = b;

    if (x->head != y->head)
        return x->head > y->head ? -1 : 1;
    return stem_slice_compare(wb_entry_key(y->entry), wb_entry_key(x->entry));
}

static size_t shared_bytes(stem_slice a, stem_slice b, size_t most)
{
    const char *x = a.data, *y = b.data;
    size_t n = 0;

    if (most > a.len)
        most = a.len;
    if (most > b.len)
        most = b.len;
    while (n < most && x[n] == y[n])
        n++;
    return n;
}

/* The bytes from there on, as a number in whose order they are; zeros where they end. */
static uint64_t head_of(stem_slice key, size_t from)
{
    const size_t left = key.len - from;
    uint64_t head = 0;

    memcpy(&head, (const char *)key.data + from, left < sizeof head ? left : sizeof head);
    return be64toh(head);
}

/* Lists the entries that have a value, from the last key to the first. The heads begin behind what
 * all keys begin with, which with one sub-database is a lot. */
static size_t sort_entries(const wb_table *table, sorted *order)
{
    size_t n = 0, shared = SIZE_MAX;

    for (size_t i = 0; i < WRITEBACK_SHARDS; i++)
        for (wb_entry *each = table->shards[i].entries; each; each = each->hh.next)
            if (each->newest) {
                order[n++].entry = each;
                shared = shared_bytes(wb_entry_key(order[0].entry), wb_entry_key(each),
                                      shared);
            }
    for (size_t i = 0; i < n; i++)
        order[i].head = head_of(wb_entry_key(order[i].entry), shared);
    qsort(order, n, sizeof *order, compare_sorted);
    return n;
}

/* The writes that bring the engine below to the frozen state, sorted, in memory to free(). The table does not change any more, so no lock is needed. Entries are
 * fetched some steps ahead, since each lies somewhere else. */
static stem_write *list_writes(const wb_table *table, size_t *n)
{
    enum { AHEAD = 8 };
    const size_t most = atomic_load(&table->n_entries) + 1;
    sorted *order = malloc(most * sizeof *order);
    stem_write *writes = order ? malloc(most * sizeof *writes) : NULL;

    if (!writes) {
        free(order);
        stem_fail(STEM_ENOMEM, "no memory to write %zu keys", most);
        return NULL;
    }
    *n = sort_entries(table, order);
    for (size_t i = 0; i < *n; i++) {
        const wb_version *newest = order[i].entry->newest;

        if (i + 2 * AHEAD < *n) {
            __builtin_prefetch(&order[i + 2 * AHEAD].entry->newest);
            __builtin_prefetch(order[i + AHEAD].entry->newest);
        }
        writes[i] = (stem_write){wb_entry_key(order[i].entry),
                                 {newest->bytes, newest->len},
                                 newest->is_delete};
    }
    free(order);
    return writes;
}

static int write_below(writeback_engine *engine)
{
    stem_commit commit = {0};
    size_t failed;
    stem_write *writes = list_writes(engine->frozen, &commit.n_writes);

    if (!writes)
        return STEM_ENOMEM;
    engine->buckets = stem_wb_table_buckets(engine->frozen);
    commit.writes = writes;
    int code = engine->below->ops->commit(engine->below, &commit, &failed);
    free(writes);
    return code == STEM_EUNKNOWN ? STEM_OK : code;
}

/* Brings the cache up to date with what is below now. */
static void renew_cache(writeback_engine *engine)
{
    enum { AT_ONCE = 64 };

    for (size_t i = 0; i < WRITEBACK_SHARDS; i++) {
        wb_entry *each = engine->frozen->shards[i].entries;

        while (each) {
            pthread_mutex_lock(engine->locks[i]);
            for (int n = 0; n < AT_ONCE && each; n++, each = each->hh.next)
                stem_wb_replace(engine, each, stem_wb_hash(engine, wb_entry_key(each)));
            pthread_mutex_unlock(engine->locks[i]);
        }
    }
}

/* Lets go of the frozen table, which is below. */
static void retire(writeback_engine *engine, bool has_commit_lock)
{
    wb_table *table = engine->frozen;

    renew_cache(engine);
    if (!has_commit_lock)
        pthread_mutex_lock(&engine->commit_lock);
    engine->frozen = NULL;
    for (size_t i = 0; i < WRITEBACK_SHARDS; i++) {
        pthread_mutex_lock(engine->locks[i]);
        engine->seen[i].frozen = NULL;
        pthread_mutex_unlock(engine->locks[i]);
    }
    atomic_store(&engine->handed_over, table->last);
    atomic_store(&engine->frozen_bytes, 0);
    atomic_fetch_add(&engine->kept_bytes, atomic_load(&table->bytes));
    if (!has_commit_lock)
        pthread_mutex_unlock(&engine->commit_lock);
    atomic_fetch_sub(&engine->kept_bytes, stem_wb_table_release(table));
    stem_wb_make_room(engine, 0);
}

/* Notes how it went, for those who wait. */
static void note_round(writeback_engine *engine, int code, size_t bytes, uint64_t took)
{
    pthread_mutex_lock(&engine->state_lock);
    if (code == STEM_OK) {
        engine->rounds++;
        engine->failures = 0;
        engine->ns_per_kib = took / (bytes / 1024 + 1);
    } else {
        engine->failures++;
        stem_failure_save(&engine->cause);
    }
    pthread_cond_broadcast(&engine->changed);
    pthread_mutex_unlock(&engine->state_lock);
}

int stem_wb_round(writeback_engine *engine, bool has_commit_lock)
{
    const uint64_t began = stem_wb_now();
    int code = STEM_OK;

    if (atomic_load(&engine->is_discarded))
        return STEM_OK;
    if (!engine->frozen) {
        wb_table *fresh = stem_wb_table_new(engine->buckets);

        if (!fresh) {
            note_round(engine, STEM_ENOMEM, 0, 0);
            return STEM_ENOMEM;
        }
        if (!has_commit_lock)
            pthread_mutex_lock(&engine->commit_lock);
        freeze(engine, &fresh);
        if (!has_commit_lock)
            pthread_mutex_unlock(&engine->commit_lock);
        if (fresh)
            stem_wb_table_release(fresh);
    }
    if (!engine->frozen)
        return STEM_OK;
    const size_t bytes = atomic_load(&engine->frozen_bytes);
    code = write_below(engine);
    if (code == STEM_OK)
        retire(engine, has_commit_lock);
    note_round(engine, code, bytes, stem_wb_now() - began);
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
    const bool is_retry = engine->frozen != NULL;
    int code = stem_wb_round(engine, false);
    if (code == STEM_OK && is_retry)
        code = stem_wb_round(engine, false);
    pthread_mutex_unlock(&engine->round_lock);
    return code;
}

static bool is_dirty(const writeback_engine *engine)
{
    return atomic_load(&engine->committed) != atomic_load(&engine->handed_over) &&
           !atomic_load(&engine->is_discarded);
}

/* Waits until there is something to do; state_lock is held. */
static void wait_for_work(writeback_engine *engine)
{
    uint64_t due = 0;

    while (!engine->is_requested && !engine->is_stopping) {
        if (!is_dirty(engine)) {
            due = 0;
            pthread_cond_wait(&engine->wake, &engine->state_lock);
            continue;
        }
        if (engine->failures == 0 &&
            atomic_load(&engine->active_bytes) >= engine->budget / 2)
            return;
        if (due == 0)
            due = stem_wb_now() + (engine->failures > 0 ? backoff_ns(engine->failures)
                                                        : engine->interval_ns);
        const struct timespec until = to_timespec(due);
        if (stem_wb_now() >= due)
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

int stem_wb_flush(stem_engine *base)
{
    writeback_engine *engine = writeback_of(base);
    const uint64_t target = atomic_load(&engine->committed);
    int code = STEM_OK;

    if (atomic_load(&engine->is_discarded))
        return STEM_OK;
    pthread_mutex_lock(&engine->state_lock);
    const uint64_t first = engine->started + 1;
    while (atomic_load(&engine->handed_over) < target && engine->failed < first) {
        if (engine->finished == engine->started) {
            engine->is_requested = true;
            pthread_cond_signal(&engine->wake);
        }
        pthread_cond_wait(&engine->changed, &engine->state_lock);
    }
    if (atomic_load(&engine->handed_over) < target)
        code = fail_alike(engine);
    pthread_mutex_unlock(&engine->state_lock);
    return code;
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
    const uint64_t took = stem_wb_now() - began;

    engine->waits++;
    if (took > engine->longest_wait_ns)
        engine->longest_wait_ns = took;
}

/* Waits until a round has made room, or has failed; state_lock is held. */
static int wait_for_room(writeback_engine *engine, size_t bytes)
{
    const uint64_t began = stem_wb_now();
    const uint64_t first = engine->started + 1;

    while (wb_dirty_bytes(engine) > 0 &&
           wb_dirty_bytes(engine) + bytes > engine->budget) {
        if (engine->failures > 0 || engine->failed >= first)
            return fail_alike(engine);
        if (engine->finished == engine->started) {
            engine->is_requested = true;
            pthread_cond_signal(&engine->wake);
        }
        pthread_cond_wait(&engine->changed, &engine->state_lock);
    }
    note_wait(engine, began);
    return STEM_OK;
}

/* Lets writers through, all together, at the speed of the last round when half of what is left
 * is full, and at half of that when nearly all is. */
static void slow_down(writeback_engine *engine, size_t bytes, size_t over)
{
    enum { WORTH_WAITING_NS = 100000, MOST_NS = 20000000 };
    const uint64_t now = stem_wb_now(), quarter = engine->budget / 4;
    const uint64_t full = engine->ns_per_kib * bytes / 1024;
    uint64_t turn = engine->next_free_ns > now ? engine->next_free_ns : now;

    engine->next_free_ns = turn + full * 2 * over / (quarter > 0 ? quarter : 1);
    if (turn - now < WORTH_WAITING_NS)
        return;
    if (turn - now > MOST_NS)
        engine->next_free_ns = turn = now + MOST_NS;
    const struct timespec until = to_timespec(turn);
    pthread_mutex_unlock(&engine->state_lock);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    pthread_mutex_lock(&engine->state_lock);
    note_wait(engine, now);
}

int stem_wb_pace(writeback_engine *engine, size_t bytes)
{
    const size_t soft = engine->budget - engine->budget / 4;
    const size_t wanted = wb_dirty_bytes(engine) + bytes;
    int code = STEM_OK;

    if (wanted <= soft)
        return STEM_OK;
    pthread_mutex_lock(&engine->state_lock);
    if (wanted > engine->budget)
        code = wait_for_room(engine, bytes);
    else
        slow_down(engine, bytes, wanted - soft);
    pthread_mutex_unlock(&engine->state_lock);
    return code;
}
