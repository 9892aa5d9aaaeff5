/*
 * The write-back engine, shared by its own files only: writeback.c (opening, looking after),
 * writeback_read.c, writeback_commit.c, writeback_through.c (commits that are not gathered),
 * writeback_rounds.c (the thread that hands everything to the engine below), writeback_end.c (the
 * end of the process), writeback_cache.c (values kept for reading), writeback_iter.c (iterators
 * and snapshots).
 *
 * What is newest of a key is in the active table, else in the frozen one, else below, of which
 * the cache holds copies. What is below is always the state after some commit.
 *
 * Order of locks: through_lock, round_lock, commit_lock, the shards' in rising order, pin_lock
 * and state_lock.
 */
#ifndef STEM_ENGINE_WRITEBACK_ENGINE_H
#define STEM_ENGINE_WRITEBACK_ENGINE_H

#include "../clock.h"
#include "../error.h"
#include "gate.h"
#include "writeback_map.h"
#include "writeback_table.h"

enum { WRITEBACK_KEY_SLOTS = 4096, WRITEBACK_STAMPS = 128 };

typedef struct wb_shard {
    _Alignas(STEM_CACHE_LINE) pthread_mutex_t lock;
    uint64_t hits, misses;
    wb_map cached;
    wb_cached *oldest;
    size_t n_hidden; /* of all stamps */
    struct {
        uint32_t
            changes; /* that made values which a reader may be about to keep old ones */
        /* Keys that hash there of a commit that goes straight through: what is cached of them
         * is not to be read, for what is below may be newer. */
        uint32_t n_hidden;
    } stamps[WRITEBACK_STAMPS];
} wb_shard;

/* A moment that is kept: a number, with all that is needed to read the state after it. */
typedef struct stem_engine_snapshot {
    atomic_size_t users;
    uint64_t number;
    wb_table *tables[2]; /* the newer first; NULL when there was nothing in it */
    stem_engine_snapshot *below;
    struct stem_engine_snapshot *prev, *next; /* rising; under pin_lock */
} wb_pin;

typedef struct writeback_engine {
    stem_engine base;
    stem_engine *below;
    size_t budget;
    uint64_t interval_ns;
    uint64_t seed;
    /* Sets of four tags, the last first, of keys that were not in memory; the mask is one
     * less than how many. Tags may get lost between threads, which costs a read. */
    atomic_uint_least64_t *missed;
    size_t missed_mask;

    /* Held by a commit on its way straight through, which is the only one then. */
    pthread_mutex_t through_lock;
    /* Set under both locks: nothing enters the memory until it is false again. */
    atomic_bool is_through;

    /* One commit at a time; held while a table is frozen or a moment pinned, too. Nobody waits
     * for the disk with it, but who re-reads what an expectation is about. */
    pthread_mutex_t commit_lock;
    atomic_uint_least64_t committed; /* the number of the last commit */
    /* The last commit on a key that hashes there; for who may commit now. */
    uint64_t key_slots[WRITEBACK_KEY_SLOTS];

    /* Changed with commit_lock, the frozen one by who has round_lock. A reader has the lock
     * of the shard that it reads and takes the active one first: then what the frozen one
     * was before is no loss, and a table is not freed before every shard's lock has been
     * free once. */
    _Atomic(wb_table *) active, frozen;
    wb_extent extent; /* of the last frozen one; under round_lock */
    wb_pool pool;
    wb_shard *shards;
    pthread_mutex_t *locks[WRITEBACK_SHARDS]; /* the shards' */

    atomic_uint_least64_t gathering_since_ns; /* the first commit in the active one */
    atomic_size_t active_bytes, frozen_bytes, cached_bytes;
    atomic_size_t kept_bytes; /* of tables that only pins hold */
    atomic_size_t next_evicted;

    pthread_mutex_t pin_lock;
    wb_pin *newest_pin_entry;
    atomic_uint_least64_t newest_pin; /* the largest number pinned, or 0 */

    pthread_mutex_t round_lock;        /* held while something is written below */
    atomic_uint_least64_t handed_over; /* the commit whose state is below */

    /* Under state_lock: what the thread and those who wait for it tell each other. */
    pthread_mutex_t state_lock;
    pthread_cond_t wake, changed;
    pthread_t thread;
    bool is_requested, is_stopping;
    atomic_uint n_emptying;     /* commits that have the memory emptied before them */
    uint64_t started, finished; /* attempts at a round */
    uint64_t failed;            /* the last attempt that failed */
    unsigned failures;          /* one after the other, up to now */
    stem_failure cause;         /* of the last one */
    uint64_t rounds, waits, longest_wait_ns;
    uint64_t next_free_ns;    /* when a paced writer may go on */
    uint64_t last_attempt_ns; /* when it ended */
    atomic_bool is_discarded; /* what is in memory is given up */
    atomic_bool is_half_told;

    struct writeback_engine *next_open; /* of writeback_end.c */
} writeback_engine;

static inline writeback_engine *writeback_of(stem_engine *engine)
{
    return (writeback_engine *)engine;
}

static inline size_t wb_dirty_bytes(const writeback_engine *engine)
{
    return atomic_load_explicit(&engine->active_bytes, memory_order_relaxed) +
           atomic_load_explicit(&engine->frozen_bytes, memory_order_relaxed);
}

/* Whether so many bytes fit beside what is not written yet. */
static inline bool wb_has_room(const writeback_engine *engine, size_t bytes)
{
    return wb_dirty_bytes(engine) + bytes <= engine->budget;
}

/* writeback.c */
uint64_t stem_wb_hash(const writeback_engine *engine, stem_slice key);
/* Locks and unlocks the shards in the mask. */
void stem_wb_lock(writeback_engine *engine, uint64_t mask);
void stem_wb_unlock(writeback_engine *engine, uint64_t mask);

/* writeback_read.c */
/* Reads keys, for the contract and for judging expectations. */
int stem_wb_read(stem_engine *base, const stem_engine_snapshot *snapshot,
                 const stem_slice *keys, size_t n, stem_read *reads);
int stem_wb_read_some(stem_engine *base, const stem_engine_snapshot *snapshot,
                      const stem_slice *keys, size_t n, size_t most, stem_read *reads,
                      size_t *n_read);
int stem_wb_read_heads(stem_engine *base, const stem_slice *keys, size_t n,
                       stem_read *reads);
/* Gives a reader its own copy of a value. */
int stem_wb_copy_out(stem_read *read, const char *bytes, size_t len);

/* writeback_commit.c */
int stem_wb_commit(stem_engine *base, const stem_commit *commit, size_t *failed);
/* With `judged` 0, judges what nobody has read yet. Otherwise nobody else may commit now, and
 * what may have been written since it was read, or since commit `judged`, is judged again. */
int stem_wb_judge(writeback_engine *engine, const stem_commit *commit, uint64_t judged,
                  bool has_commit_lock, size_t *failed);
/* Of a key's hash, in key_slots. */
static inline uint64_t *wb_slot_of(writeback_engine *engine, uint64_t hash)
{
    return &engine->key_slots[hash >> 20 & (WRITEBACK_KEY_SLOTS - 1)];
}
/* Makes what was written survive the machine's death, or says that this is not known. */
int stem_wb_make_durable(stem_engine *engine);

/* writeback_through.c. Commits below, behind everything that was gathered, and answers then. */
int stem_wb_commit_through(writeback_engine *engine, const stem_commit *commit,
                           size_t *failed);

/* writeback_cache.c */
/* Room to remember, for each place in memory, about one key that was missed. */
int stem_wb_make_cache(writeback_engine *engine);
void stem_wb_free_cache(writeback_engine *engine);
/* Fetches what stem_wb_note_miss will need. */
static inline void wb_prefetch_missed(const writeback_engine *engine, uint64_t hash)
{
    __builtin_prefetch(&engine->missed[hash >> 24 & engine->missed_mask], 1);
}
/* Whether the key was missed lately, which this miss is noted as. */
bool stem_wb_note_miss(writeback_engine *engine, uint64_t hash);
/* Fetches where the key will be looked for. */
void stem_wb_prefetch(writeback_engine *engine, uint64_t hash);
/* A commit that goes straight through is about to change the key: it is read below alone from
 * now on. */
void stem_wb_hide(writeback_engine *engine, uint64_t hash);
/* What is cached of it may be read again, and is what is below, where the commit was answered with
 * `code`. */
void stem_wb_reveal(writeback_engine *engine, const stem_write *write, uint64_t hash,
                    int code);
/* In the next the shard's lock is held. */
wb_cached *stem_wb_cached(writeback_engine *engine, stem_slice key, uint64_t hash);
/* Fetches what that will find, where it is to be looked for being here already. */
void stem_wb_prefetch_value(const writeback_engine *engine, uint64_t hash);
/* What a key that is about to be read below is admitted with. */
uint32_t stem_wb_stamp(const writeback_engine *engine, uint64_t hash);
/* Whether what is cached of the key is not to be read now. */
bool stem_wb_is_hidden(const writeback_engine *engine, uint64_t hash);
/* Keeps what was read below, unless the stamp is old. */
void stem_wb_admit(writeback_engine *engine, stem_slice key, uint64_t hash,
                   stem_slice value, uint32_t stamp);
/* The key gets another value now: forgets what is cached of it, and says whether it was. */
bool stem_wb_forget(writeback_engine *engine, stem_slice key, uint64_t hash);
/* Keeps what a round has written below of an entry, unless there is something newer. */
void stem_wb_keep(writeback_engine *engine, const wb_entry *entry);
/* Whether a value of that size may be kept at all. */
bool stem_wb_is_keepable(const writeback_engine *engine, size_t len);
/* Whether there is so much memory left that values may be kept which nobody may read again. */
bool stem_wb_has_spare(const writeback_engine *engine);
/* Drops values until what is in memory fits the budget with `wanted` bytes more. */
void stem_wb_make_room(writeback_engine *engine, size_t wanted);

/* writeback_rounds.c */
int stem_wb_start_thread(writeback_engine *engine);
void stem_wb_stop_thread(writeback_engine *engine);
/* Hands everything committed before the call to the engine below. */
int stem_wb_flush(stem_engine *base);
/* The same until `deadline`, UINT64_MAX for none. */
int stem_wb_flush_by(stem_engine *base, uint64_t deadline);
/* Drops it instead. */
void stem_wb_discard(stem_engine *base);
/* Writes what is in memory below, nothing or everything; round_lock is held. */
int stem_wb_round(writeback_engine *engine);
/* Wakes the thread: it has something to do. */
void stem_wb_wake(writeback_engine *engine);
/* Holds a writer of so many bytes up while memory is short; fails when it stays so. */
int stem_wb_pace(writeback_engine *engine, size_t bytes);

/* writeback_end.c. From when it is open, and until it is freed. */
void stem_wb_note_open(writeback_engine *engine);
void stem_wb_note_closed(writeback_engine *engine);

/* writeback_iter.c */
int stem_wb_pin(writeback_engine *engine, bool has_commit_lock, wb_pin **pin);
void stem_wb_unpin(writeback_engine *engine, wb_pin *pin);
int stem_wb_read_pinned(writeback_engine *engine, const wb_pin *pin, stem_slice key,
                        stem_read *read);
int stem_wb_iter_open(stem_engine *base, const stem_engine_snapshot *snapshot,
                      const stem_engine_range *range, bool reverse,
                      stem_engine_iter **iter);
/* The same as it is now, for who has commit_lock. */
int stem_wb_iter_open_locked(writeback_engine *engine, const stem_engine_range *range,
                             stem_engine_iter **iter);
int stem_wb_iter_next(stem_engine_iter *iter, stem_slice *key, stem_slice *value);
int stem_wb_iter_seek(stem_engine_iter *iter, stem_slice key);
void stem_wb_iter_close(stem_engine_iter *iter);
int stem_wb_snapshot_open(stem_engine *base, stem_engine_snapshot **snapshot);
void stem_wb_snapshot_close(stem_engine *base, stem_engine_snapshot *snapshot);

#endif
