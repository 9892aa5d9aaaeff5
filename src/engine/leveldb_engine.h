/*
 * The LevelDB engine, shared by its own files only: leveldb.c (opening, reading, looking
 * after), leveldb_commit.c, leveldb_compact.c, leveldb_iter.c (iterators and snapshots),
 * leveldb_repair.c (durability, and writing again after a failed write), leveldb_damage.c
 * (LevelDB's messages).
 *
 * Order of locks: write_lock, then compact_lock, then the gate; sync_lock by itself.
 */
#ifndef STEM_ENGINE_LEVELDB_ENGINE_H
#define STEM_ENGINE_LEVELDB_ENGINE_H

#include <leveldb/c.h>
#include <pthread.h>

#include "../engine.h"
#include "directory.h"
#include "gate.h"
#include "place_id.h"

enum { KEY_SLOTS = 1024, RECENT_PUTS = 32, RECENT_KEY = 96 };

/* A key that was put, for expectations of empty ranges. */
typedef struct recent_put {
    uint64_t commit;
    size_t len; /* SIZE_MAX stands for any key */
    char key[RECENT_KEY];
} recent_put;

typedef struct leveldb_head leveldb_head; /* leveldb_heads.c */

typedef struct leveldb_engine {
    stem_engine base;
    /* What every read looks at stands first, in as few cache lines as it fits in. */
    leveldb_t *db; /* NULL when reopening failed; changed under write_lock and the gate */
    leveldb_readoptions_t *read_options;
    /* The number of the last commit; the first is 2. It grows under write_lock, once what
     * was written can be read: who reads LevelDB after it sees that commit. */
    atomic_uint_least64_t commits;

    const stem_directory *dir; /* borrowed */
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_writeoptions_t *write_options;

    /* Readers use `db` inside it; closed while `db` is replaced. */
    stem_gate gate;
    bool verify;
    int bloom_bits;                      /* a key, 0 for no filter */
    bool is_new;                         /* to be made: never again once it was opened */
    atomic_uint_least64_t damaged_table; /* number of the last one found, or 0 */

    atomic_size_t open_readers; /* iterators and snapshots, which cannot outlive `db` */

    /* One write at a time: when one fails, the next must not go behind its torn
     * record. */
    pthread_mutex_t write_lock;
    bool must_repair; /* the newest log may be torn; under write_lock */
    /* When LevelDB could last not be opened in a trial, 0 for never since it was mended, and
     * the room that there was; under write_lock. */
    uint64_t failed_trial_ns, failed_trial_room;
    leveldb_writebatch_t *single; /* what a commit of one write uses again; the same */
    _Atomic(leveldb_writebatch_t *) spare; /* for a commit of several writes, or NULL */
    atomic_uint_least64_t repairs;

    /* The last commit that wrote a key which hashes there; under write_lock. */
    atomic_uint_least64_t key_slots[KEY_SLOTS];
    recent_put recent[RECENT_PUTS]; /* the last ones; the same */
    size_t puts_noted; /* ever; the next goes to this modulo RECENT_PUTS; the same */
    atomic_uint_least64_t
        last_large; /* that wrote too many keys to note each; the same */

    /* Held while LevelDB compacts what somebody asked for, and taken with write_lock: see
     * leveldb_compact.c. */
    pthread_mutex_t compact_lock;
    /* Bytes that go into the memtable meanwhile before LevelDB could need another; SIZE_MAX
     * when nobody counts; under write_lock. */
    size_t memtable_left;
    size_t write_buffer_bytes;

    atomic_uint_least64_t newest_log; /* as of the last sync, for stem_directory_check */
    pthread_mutex_t sync_lock;
    pthread_cond_t sync_ended;
    bool is_syncing; /* a thread is, without the lock; under it, as `synced` is */
    bool
        must_save; /* a sync has failed, and what it was about is in the memtable alone; of
                        who is syncing */
    uint64_t synced; /* the number of the commit up to which all is durable */

    pthread_mutex_t heads_lock;
    atomic_bool has_heads; /* any at all */
    leveldb_head *heads;   /* under heads_lock; NULL before the first */

    pthread_mutex_t id_lock;
    bool has_id; /* made when it is first asked for; under id_lock */
    stem_place_id id;
} leveldb_engine;

static inline leveldb_engine *leveldb_of(stem_engine *engine)
{
    return (leveldb_engine *)engine;
}

/* leveldb_damage.c. Turns LevelDB's message into a failure and frees it, naming the file
 * that is damaged. The gate or write_lock must be held, or an iterator open, or nobody
 * else be here yet. */
int stem_leveldb_fail(leveldb_engine *engine, char *message);
/* The same, of a read at or about the key. */
int stem_leveldb_fail_near(leveldb_engine *engine, char *message, stem_slice key);

/* Before and after every use of `db` by a reader: goes through the gate. While `db` is
 * NULL entering tries to open it again, and fails if that does. leveldb_repair.c */
int stem_leveldb_enter_closed(leveldb_engine *engine, stem_gate_slot **slot);
static inline int stem_leveldb_enter(leveldb_engine *engine, stem_gate_slot **slot)
{
    *slot = stem_gate_enter(&engine->gate);
    return engine->db ? STEM_OK : stem_leveldb_enter_closed(engine, slot);
}

/* Opens `db` with signals blocked, for the thread that LevelDB may start. */
int stem_leveldb_start(leveldb_engine *engine);

/* Reads keys, for the contract and for judging expectations. */
int stem_leveldb_read(stem_engine *engine, const stem_engine_snapshot *snapshot,
                      const stem_slice *keys, size_t n, stem_read *reads);

/* Reads one key; the gate is held. */
int stem_leveldb_read_one(leveldb_engine *engine, const leveldb_readoptions_t *options,
                          stem_slice key, stem_read *read);

/* leveldb_heads.c */
/* Remembers the first bytes of large values that commit `number` has written; write_lock is
 * held. */
void stem_leveldb_note_heads(leveldb_engine *engine, const stem_commit *commit,
                             uint64_t number);
/* As stem_leveldb_read_one, but of a value longer than STEM_SHORT_VALUE bytes only the first.
 * The options are those of a state no older than after commit `as_of`. */
int stem_leveldb_read_head(leveldb_engine *engine, const leveldb_readoptions_t *options,
                           stem_slice key, uint64_t as_of, stem_read *read);
void stem_leveldb_forget_heads(leveldb_engine *engine);

/* leveldb_commit.c */
/* Where a key is noted. */
size_t stem_leveldb_slot_of(stem_slice key);
/* The last commit that may have touched the key, or be about to. */
uint64_t stem_leveldb_last_commit_on(const leveldb_engine *engine, stem_slice key);
int stem_leveldb_commit(stem_engine *engine, const stem_commit *commit, size_t *failed);

/* leveldb_compact.c */
int stem_leveldb_compact(stem_engine *engine, const stem_engine_range *range);
/* In the next two write_lock must be held. Waits for LevelDB to finish what it compacts, before
 * it is given another memtable. */
void stem_leveldb_await_compaction(leveldb_engine *engine);
/* Counts what a commit takes of a memtable that is not to be exceeded, waiting when none is
 * left. */
void stem_leveldb_take_memtable(leveldb_engine *engine, const stem_commit *commit);

/* leveldb_repair.c; write_lock must be held. Makes LevelDB take writes again after one
 * failed: renews the log, or reopens the database. */
int stem_leveldb_repair(leveldb_engine *engine);
/* Whether LevelDB accepts writes: a compaction tells its failure in no other way. */
int stem_leveldb_check(leveldb_engine *engine);
/* Lets LevelDB begin a new log and waits until the old one has become a table: compacts
 * the range of one key that nobody has, which does this first. Nobody else may write, or LevelDB
 * might join the two and stay with the old log. */
void stem_leveldb_renew_log(leveldb_engine *engine);
/* The same, and says whether it has worked: then the memtable is empty. */
int stem_leveldb_empty_memtable(leveldb_engine *engine);
/* Makes everything written so far durable. */
int stem_leveldb_sync(stem_engine *engine);

/* leveldb_iter.c */
int stem_leveldb_iter_open(stem_engine *engine, const stem_engine_snapshot *snapshot,
                           const stem_engine_range *range, bool reverse,
                           stem_engine_iter **iter);
int stem_leveldb_iter_next(stem_engine_iter *iter, stem_slice *key, stem_slice *value);
int stem_leveldb_iter_seek(stem_engine_iter *iter, stem_slice key);
void stem_leveldb_iter_close(stem_engine_iter *iter);
int stem_leveldb_snapshot_open(stem_engine *engine, stem_engine_snapshot **snapshot);
void stem_leveldb_snapshot_close(stem_engine *engine, stem_engine_snapshot *snapshot);
/* The options to read with, from a snapshot or, with NULL, from the newest state. */
const leveldb_readoptions_t *
stem_leveldb_read_options(const leveldb_engine *engine,
                          const stem_engine_snapshot *snapshot);

#endif
