/*
 * The contract between the database and a store. An engine keeps byte strings under byte
 * strings, in memcmp order; it knows nothing of paths, types or handles, and includes
 * nothing from the layers above it.
 *
 * Every function answers with a stem_code and says the cause with stem_fail (error.h);
 * outputs are set on STEM_OK alone. All functions of an engine may be called from any
 * thread; those of an iterator from one at a time.
 */
#ifndef STEM_ENGINE_H
#define STEM_ENGINE_H

#include <stdatomic.h>
#include <string.h>

#include "stem.h"

typedef struct stem_slice {
    const char *data;
    size_t len;
} stem_slice;

/* Less than, equal to or greater than 0, in the order of the keys. */
static inline int stem_slice_compare(stem_slice a, stem_slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, len) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

typedef struct stem_engine stem_engine;
typedef struct stem_engine_snapshot stem_engine_snapshot;
typedef struct stem_engine_iter stem_engine_iter;
typedef struct stem_place_id stem_place_id; /* engine/place_id.h */

/* What a read found. */
typedef struct stem_read {
    char *
        data; /* malloc'ed, owned by the caller, aligned for any type; NULL when absent */
    size_t len;
    /* When it is not 0 and a later expectation carries it for the same key, the engine
     * may know without reading that the key is still as it was read. */
    uint64_t stamp;
} stem_read;

typedef struct stem_write {
    stem_slice key;
    stem_slice value;
    bool is_delete;
} stem_write;

enum stem_expectation_kind {
    STEM_EXPECT_ABSENT, /* no such key */
    STEM_EXPECT_EQUAL,  /* the key holds exactly these bytes */
    STEM_EXPECT_EMPTY   /* no key in [key, value); an empty `value` is no upper bound */
};

typedef struct stem_expectation {
    enum stem_expectation_kind kind;
    stem_slice key;
    stem_slice value;
    uint64_t stamp; /* of the read it rests on, or 0 */
} stem_expectation;

/* Writes in order, applied all or nothing if every expectation holds; the later of two
 * writes of one key wins. */
typedef struct stem_commit {
    const stem_write *writes;
    size_t n_writes;
    const stem_expectation *expectations;
    size_t n_expectations;
    bool sync; /* answer once it survives the machine's death */
    /* Answer once it survives the process's death, also by an engine that has `flush`. */
    bool through;
} stem_commit;

/* The byte range [start, end); an empty `end` is no upper bound. */
typedef struct stem_engine_range {
    stem_slice start;
    stem_slice end;
} stem_engine_range;

enum { STEM_SHORT_VALUE = 256 };

typedef struct stem_engine_ops {
    const char *name;

    /* Reads `n` keys, all from one state: the snapshot's, or with NULL the newest.
     * Absent keys are no failure. On failure `reads` holds nothing to free. */
    int (*read)(stem_engine *engine, const stem_engine_snapshot *snapshot,
                const stem_slice *keys, size_t n, stem_read *reads);
    /* The same for the first of them, of which there is one at least: as many as hold about
     * `most` bytes together, or no more than a few where that is not known before. How many
     * were read is in `*n_read`. */
    int (*read_some)(stem_engine *engine, const stem_engine_snapshot *snapshot,
                     const stem_slice *keys, size_t n, size_t most, stem_read *reads,
                     size_t *n_read);

    /* As `read` from the newest state, for who asks whether a key is there, or what its value is
     * like: of a value longer than STEM_SHORT_VALUE bytes `data` may hold the first
     * STEM_SHORT_VALUE ones alone, where the read has a stamp; `len` is that of all. As little is
     * read for it as the store can. NULL where that is the whole value. */
    int (*read_heads)(stem_engine *engine, const stem_slice *keys, size_t n,
                      stem_read *reads);

    /* Applies a commit: once it has answered STEM_OK every later read sees it, and it
     * survives the process's death; of an engine that has `flush`, after that, unless it is
     * `through`. STEM_CONFLICT leaves everything as it was, with the index of an expectation that failed in `*failed`.
     * So does a failure, now and for ever, but for STEM_EUNKNOWN: it is not known whether it
     * was applied, or has become durable. */
    int (*commit)(stem_engine *engine, const stem_commit *commit, size_t *failed);

    /* An iterator over the range as it is now, or in the snapshot, before its first
     * entry; `reverse` goes from the end to the start. The range is copied. */
    int (*iter_open)(stem_engine *engine, const stem_engine_snapshot *snapshot,
                     const stem_engine_range *range, bool reverse,
                     stem_engine_iter **iter);
    /* The next entry, borrowed until the next call on the iterator; `value` may be NULL. A
     * NUL lies behind the key, and behind a value of at most STEM_SHORT_VALUE bytes, so
     * that they can be lent as C strings. STEM_NOTFOUND at the end. After a failure every
     * call fails alike. */
    int (*iter_next)(stem_engine_iter *iter, stem_slice *key, stem_slice *value);
    /* Lets the next step arrive at the first entry at or after `key`, in reverse at or
     * before it, and within the range in either case; an empty key goes back to the start
     * of the walk. */
    int (*iter_seek)(stem_engine_iter *iter, stem_slice key);
    void (*iter_close)(stem_engine_iter *iter);

    int (*snapshot_open)(stem_engine *engine, stem_engine_snapshot **snapshot);
    void (*snapshot_close)(stem_engine *engine, stem_engine_snapshot *snapshot);

    /* Everything committed before the call, by whoever, survives the process's death
     * afterwards; NULL where every commit does. */
    int (*flush)(stem_engine *engine);
    /* Lets `close` give up what no flush could hand over, instead of failing; NULL where
     * there is nothing to give up. */
    void (*discard)(stem_engine *engine);
    /* Everything committed before the call survives the machine's death afterwards. */
    int (*sync)(stem_engine *engine);
    int (*compact)(stem_engine *engine, const stem_engine_range *range);
    int (*estimate)(stem_engine *engine, const stem_engine_range *range,
                    stem_size_info *size);
    int (*stats)(stem_engine *engine, stem_statistics *stats);

    /* Which store this is, and which place in it the keys are below, for who has two engines
     * that may lead to one. It may be another after each call, where the store is of another
     * process. */
    int (*identify)(stem_engine *engine, stem_place_id *id);

    /* Lets a forked child go on with what it inherited: what is open answers STEM_EGONE, and
     * nothing of the parent's is touched. NULL where a child cannot. */
    int (*adopt)(stem_engine *engine);

    /* Closes and frees it; nothing is open on it any more. On failure it stays open. */
    int (*close)(stem_engine *engine);
} stem_engine_ops;

/* What every engine begins with. The limits are the store's own. */
struct stem_engine {
    const stem_engine_ops *ops;
    size_t max_key_bytes;
    size_t max_value_bytes;
    size_t max_commit_bytes;     /* keys and values of one commit together */
    size_t max_commit_items;     /* writes and expectations of one commit together */
    atomic_uint fork_generation; /* of the process that opened or adopted it */
    bool is_served;        /* by another server, who alone has Stem's own records there */
    atomic_size_t users;   /* kept by location.c: handles, iterators, snapshots */
    atomic_size_t leaving; /* the same: users no more, who are about to let go */
};

/* What the layer above gives a process that shares a database by its location: a server. */
typedef struct stem_engine_host {
    /* Serves the engine at a Unix socket, whose path may go through /proc/self/fd, to processes
     * of this user alone. `settings` are what it tells them to be in effect; copied. */
    int (*open)(stem_engine *engine, const char *socket, const stem_options *settings,
                void **server);
    /* Lets those who walk finish, for a while, answers what has arrived, removes the socket. */
    void (*close)(void *server);
    /* Connections to it. */
    size_t (*clients)(void *server);
} stem_engine_host;

/* What every iterator begins with. */
struct stem_engine_iter {
    stem_engine *engine;
};

/* ---- engine/location.c: which engine serves a location, and who shares it --------- */

/* The engine for a location, opened or joined, with one user more. `host` is for one that is
 * shared; NULL in a build that has no server. */
int stem_engine_acquire(const char *location, const stem_options *options,
                        const stem_engine_host *host, stem_engine **engine);
/* One user more, on an engine that has one. */
static inline void stem_engine_retain(stem_engine *engine)
{
    atomic_fetch_add_explicit(&engine->users, 1, memory_order_relaxed);
}
/* One user less; the last closes it. When that fails the engine stays, with that user. */
int stem_engine_release(stem_engine *engine);

/* How somebody leaves who is more than a user. */
typedef struct stem_engine_leave {
    bool is_discarding; /* the last gives up what cannot be handed over */
    /* Closes what the user has open on the engine, once nothing can fail any more; NULL where
     * there is nothing. */
    void (*let_go)(void *held, stem_engine *engine);
    void *held;
} stem_engine_leave;
int stem_engine_release_as(stem_engine *engine, const stem_engine_leave *leave);

/* Lets go of an engine after its last release has failed, for who cannot keep it: it stays
 * open, and the next who acquires the location takes it over. */
void stem_engine_orphan(stem_engine *engine);
/* Removes what is at a location; see stem_destroy. */
int stem_engine_destroy(const char *location);
/* The location for a text that people read: cut where it is long, and without a password that
 * may have got into it. NULL is "". */
void stem_location_show(const char *location, char *out, size_t size);

/* Counts the forks between the first process and this one. */
extern unsigned stem_fork_generation;

static inline bool stem_engine_is_inherited(const stem_engine *engine)
{
    return engine->fork_generation != stem_fork_generation;
}

#endif
