/*
 * What the files of the engine of served databases share.
 *
 * An engine is one session with its server. The session has slots; each has at most one
 * connection, made when it is needed and kept, and one call at a time. A commit carries the
 * number of its slot's last commit plus one, so that repeating it over another connection
 * applies it once. Iterators and snapshots are known to the session, not to a connection.
 */
#ifndef STEM_ENGINE_REMOTE_ENGINE_H
#define STEM_ENGINE_REMOTE_ENGINE_H

#include <pthread.h>

#include "remote.h"
#include "remote_connection.h"

enum { STEM_REMOTE_ID_MAX = 64 };

typedef struct remote_slot {
    uint64_t index;
    stem_remote_connection *connection; /* NULL until it is needed */
    uint64_t session; /* the one that the connection is attached to; 0 for none */
    uint64_t number;  /* of the last commit */
} remote_slot;

typedef struct remote_engine {
    stem_engine base;
    stem_remote_peer peer;
    size_t timeout_ms;
    unsigned longest_pause_ms; /* between attempts */
    stem_remote_outlook outlook;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t slot_freed;
    remote_slot *slots;
    size_t n_slots;
    size_t max_request_bytes, max_words; /* of one request; set once, with the slots */
    remote_slot **free_slots; /* the one used last is taken next: it is connected */
    size_t n_free;

    pthread_mutex_t session_lock; /* of what follows; held while one is made */
    uint64_t session;             /* counts those made: 0 before the first */
    char session_id[STEM_REMOTE_ID_MAX +
                    1]; /* "" once the server has told that it is gone */
} remote_engine;

/* The words of a commit: so many at first, and so many at most for each of its items. */
enum { STEM_REMOTE_COMMIT_WORDS = 3, STEM_REMOTE_ITEM_WORDS = 3 };

static inline size_t stem_remote_items_in(size_t words)
{
    return words > STEM_REMOTE_COMMIT_WORDS
               ? (words - STEM_REMOTE_COMMIT_WORDS) / STEM_REMOTE_ITEM_WORDS
               : 0;
}

static inline remote_engine *remote_of(stem_engine *base)
{
    return (remote_engine *)base;
}

/* ---- remote_session.c: slots, connections, and calls over them ------------------------ */

/* Connects the first slot and makes the session: fills limits and slots. */
int stem_remote_session_start(remote_engine *engine);
/* Ends it, as far as the server can be reached at once, and frees slots and connections. */
void stem_remote_session_end(remote_engine *engine);

enum stem_remote_call_kind {
    STEM_REMOTE_READING, /* can be repeated */
    STEM_REMOTE_COMMIT,  /* can be repeated in its slot's session alone */
    STEM_REMOTE_FAREWELL /* not worth repeating, or more than a moment */
};

/* A slot for one call, given back with stem_remote_give; waits for one. */
int stem_remote_take(remote_engine *engine, stem_remote_clock *clock, remote_slot **slot);
void stem_remote_give(remote_engine *engine, remote_slot *slot);

/* Sends the request and receives the reply, over as many connections as it takes while the
 * clock runs. STEM_OK when the reply is no error; STEM_CONFLICT when it is that one. */
int stem_remote_run(remote_engine *engine, remote_slot *slot,
                    const stem_remote_request *request, enum stem_remote_call_kind kind,
                    stem_remote_clock *clock, stem_remote_reply *reply);

/* The same in whichever slot is free, within the engine's time limit, but for a commit. The
 * request is freed. */
int stem_remote_call(remote_engine *engine, stem_remote_request *request,
                     enum stem_remote_call_kind kind, stem_remote_reply *reply);

/* STEM_EIO: the reply is none to what was asked. */
int stem_remote_misunderstood(const remote_engine *engine);

/* ---- remote_iter.c -------------------------------------------------------------------- */

/* Known to the server until the handle and the iterators on it are closed. */
struct stem_engine_snapshot {
    atomic_size_t users;
    char id[STEM_REMOTE_ID_MAX + 1];
};

/* Copies an id that the server has made; false when it is none. */
bool stem_remote_copy_id(char to[STEM_REMOTE_ID_MAX + 1], stem_slice id);

int stem_remote_snapshot_open(stem_engine *base, stem_engine_snapshot **opened);
void stem_remote_snapshot_close(stem_engine *base, stem_engine_snapshot *snapshot);
int stem_remote_iter_open(stem_engine *base, const stem_engine_snapshot *snapshot,
                          const stem_engine_range *range, bool reverse,
                          stem_engine_iter **opened);
int stem_remote_iter_next(stem_engine_iter *base, stem_slice *key, stem_slice *value);
int stem_remote_iter_seek(stem_engine_iter *base, stem_slice key);
void stem_remote_iter_close(stem_engine_iter *base);

#endif
