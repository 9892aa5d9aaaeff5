/*
 * What the files of the shared engine share: shared.c (opening, closing, forking), shared_calls.c
 * (what the contract asks for), shared_owner.c (becoming the owner, and the thread that waits for
 * that), shared_process.c (starting a process that can be the owner).
 *
 * Calls go to a backend: to a session with the owner, or to the store. A process changes from
 * the first to the second when it takes over, and never back. Calls on their way in the session
 * end there, by way of this process's own socket: so a commit is looked up before it is
 * repeated. What was opened in the session keeps it; the owner that has taken over does not
 * know it any more, and answers STEM_EGONE.
 */
#ifndef STEM_ENGINE_SHARED_ENGINE_H
#define STEM_ENGINE_SHARED_ENGINE_H

#include <pthread.h>

#include "remote.h"
#include "remote_clock.h"
#include "shared.h"

typedef struct shared_backend {
    /* Of a session: calls, iterators and snapshots, and one for being the current one. The store
     * is not counted: it stays until the end. */
    atomic_size_t users;
    stem_engine *engine;
    bool is_store;
} shared_backend;

/* A process that starts another, for that to be the owner, and ends when that has come to
 * something or failed. */
typedef struct shared_starter {
    pid_t pid;         /* 0 when there is none at work */
    int complaints;    /* a file in memory, of what it says; or -1 */
    uint64_t ended_ns; /* when the last was seen to have ended well; 0 for never */
    bool is_unsure;    /* of that: somebody else has taken its status */
} shared_starter;

typedef struct shared_engine {
    stem_engine base;
    stem_directory *dir;    /* lent, or `own_dir` */
    stem_directory own_dir; /* a child's: what was lent is the parent's */
    char *path;             /* for a child to find the directory again */
    dev_t device;
    ino_t inode;
    const stem_engine_host *host;
    stem_options settings; /* in effect, or asked for as long as nobody has told */
    size_t timeout_ms;
    bool may_own;    /* a child never becomes the owner in place */
    char socket[64]; /* by way of `dir`, so that it stays in this very directory */

    atomic_uint_least64_t newest_log; /* for stem_directory_check */

    _Atomic(shared_backend *) current; /* NULL before there is one */
    shared_backend session, store;
    void *server; /* of the owner */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    pthread_t watcher;
    bool has_watcher, is_closing;
    int wake;             /* an eventfd that interrupts the watcher */
    stem_failure failure; /* why nobody answers; the code is STEM_OK when somebody may */
    uint64_t failed_ns;
    bool is_asked_again; /* a call wants it tried once more */

    shared_starter starter; /* of the thread that looks for the owner */

    /* Of a child's first calls, under a lock of shared.c's: */
    unsigned adopting_in;  /* the generation of forks in which a thread adopts it; or 0 */
    unsigned n_adoptions;  /* that have ended */
    stem_failure adoption; /* why the last of them has failed; or STEM_OK */
} shared_engine;

static inline shared_engine *shared_of(stem_engine *base)
{
    return (shared_engine *)base;
}

/* ---- shared_calls.c ------------------------------------------------------------------- */

extern const stem_engine_ops stem_shared_ops;

/* The current backend, until it is given back. */
shared_backend *stem_shared_take(shared_engine *engine);
void stem_shared_give(shared_backend *backend);

/* ---- shared.c ------------------------------------------------------------------------- */

int stem_shared_close(stem_engine *base);
/* Lets handles that a child has inherited be used in it. */
int stem_shared_adopt(stem_engine *base);

/* ---- shared_owner.c ------------------------------------------------------------------- */

/* Becomes the owner, where there is none and this process may, or opens a session with who it
 * is, within the time limit. */
int stem_shared_enter(shared_engine *engine, const stem_options *conditions,
                      bool *is_new);
/* Starts the thread that waits for the owner's end. */
int stem_shared_watch(shared_engine *engine);
void stem_shared_unwatch(shared_engine *engine);

/* ---- shared_process.c ----------------------------------------------------------------- */

/* Begins to start `stem serve` on the directory, which ends when nobody uses it any more. */
int stem_shared_start_process(shared_engine *engine);
/* What has become of that, without waiting for it: STEM_NOTFOUND as long as nothing has;
 * STEM_OK when it is done, or nothing was begun; STEM_EFORK, once, when it has failed. */
int stem_shared_check_process(shared_engine *engine);
/* Nobody asks any more. A starter that is still at work is left to itself. */
void stem_shared_forget_process(shared_engine *engine);
/* STEM_EFORK: it has ended without anybody having the directory. */
int stem_shared_fail_to_start(shared_engine *engine);

#endif
