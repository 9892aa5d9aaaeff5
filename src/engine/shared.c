/*
 * The shared engine: opening, closing, and going on in a child.
 */
#include "shared.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../error.h"
#include "descriptor.h"
#include "directory_names.h"
#include "shared_engine.h"
#include "store.h"

/* ---- Making and freeing ----------------------------------------------------------- */

static void name_socket(shared_engine *engine)
{
    snprintf(engine->socket, sizeof engine->socket, "/proc/self/fd/%d/%s",
             engine->dir->fd, STEM_SOCKET_NAME);
}

/* What a process has of its own, in a child anew. */
static int begin(shared_engine *engine)
{
    pthread_condattr_t attributes;

    atomic_store(&engine->current, NULL);
    engine->session = (shared_backend){.engine = NULL};
    engine->store = (shared_backend){.is_store = true};
    engine->server = NULL;
    engine->has_watcher = engine->is_closing = engine->is_asked_again = false;
    engine->failure.code = STEM_OK;
    engine->starter = (shared_starter){.complaints = -1};
    engine->wake = stem_descriptor_event();
    if (engine->wake < 0)
        return stem_fail(STEM_EIO, "cannot make an eventfd: %s", strerror(errno));
    if (pthread_condattr_init(&attributes) != 0) {
        stem_descriptor_close(engine->wake);
        return stem_fail(STEM_ENOMEM, "no memory for a database");
    }
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&engine->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&engine->lock, NULL);
    name_socket(engine);
    return STEM_OK;
}

/* Ends what stem_shared_enter and stem_shared_watch have begun. On failure the store stays. */
static int end(shared_engine *engine)
{
    stem_shared_unwatch(engine);
    if (engine->server)
        engine->host->close(engine->server);
    engine->server = NULL;
    if (engine->store.engine) {
        const int code = engine->store.engine->ops->close(engine->store.engine);

        if (code != STEM_OK)
            return code;
    }
    if (atomic_load(&engine->current) == &engine->session)
        stem_shared_give(&engine->session);
    pthread_mutex_destroy(&engine->lock);
    pthread_cond_destroy(&engine->changed);
    stem_descriptor_close(engine->wake);
    stem_shared_forget_process(engine);
    return STEM_OK;
}

static void take_limits(shared_engine *engine)
{
    shared_backend *backend = stem_shared_take(engine);

    engine->base.max_key_bytes = backend->engine->max_key_bytes;
    engine->base.max_value_bytes = backend->engine->max_value_bytes;
    engine->base.max_commit_bytes = backend->engine->max_commit_bytes;
    engine->base.max_commit_items = backend->engine->max_commit_items;
    stem_shared_give(backend);
}

/* ---- Opening and closing ---------------------------------------------------------- */

/* The owner's thread for that is started only when there is an owner to wait for. */
static int join_or_own(shared_engine *engine, const stem_options *wanted, bool *is_new)
{
    int code = stem_shared_enter(engine, wanted, is_new);

    if (code != STEM_OK)
        return code;
    if (wanted->must_be_new && !*is_new)
        return STEM_EXISTS;
    take_limits(engine);
    code = stem_store_check_same(wanted, &engine->settings, "shared between processes");
    if (code == STEM_OK && atomic_load(&engine->current) == &engine->session)
        code = stem_shared_watch(engine);
    return code;
}

static void free_engine(shared_engine *engine)
{
    free(engine->path);
    free(engine);
}

/* Nothing of it is opened yet. */
static shared_engine *new_engine(const stem_shared_place *place)
{
    shared_engine *engine = calloc(1, sizeof *engine);
    const stem_options *wanted = &place->options;

    if (!engine || !(engine->path = strdup(place->dir->path))) {
        free(engine);
        stem_fail(STEM_ENOMEM, "no memory for a database");
        return NULL;
    }
    engine->base.ops = &stem_shared_ops;
    engine->base.fork_generation = stem_fork_generation;
    engine->dir = place->dir;
    engine->device = place->dir->device;
    engine->inode = place->dir->inode;
    engine->host = place->host;
    engine->settings = stem_store_complete_options(wanted);
    engine->timeout_ms =
        wanted->timeout_ms != 0 ? wanted->timeout_ms : STEM_REMOTE_TIMEOUT_MS;
    engine->may_own = stem_store_may_open();
    return engine;
}

/* Ends it whatever becomes of it, after a failure, which stays this thread's last. */
static void give_up(shared_engine *engine)
{
    stem_failure cause;

    stem_failure_save(&cause);
    if (end(engine) != STEM_OK) /* nothing has been written that could not be */
        atomic_store(&engine->current, NULL);
    stem_failure_restore(&cause);
}

int stem_shared_open(stem_shared_place *place, bool *is_new, stem_engine **opened)
{
    const stem_options wanted = place->options;

    *is_new = false;
    shared_engine *engine = new_engine(place);
    if (!engine)
        return STEM_ENOMEM;
    int code = begin(engine);
    if (code == STEM_OK) {
        code = join_or_own(engine, &wanted, is_new);
        if (code != STEM_OK)
            give_up(engine);
    }
    if (code != STEM_OK) {
        free_engine(engine);
        return code;
    }
    place->options = engine->settings;
    *opened = &engine->base;
    return STEM_OK;
}

int stem_shared_close(stem_engine *base)
{
    shared_engine *engine = shared_of(base);

    int code = end(engine);
    if (code != STEM_OK)
        return code;
    if (engine->dir == &engine->own_dir)
        stem_directory_close(&engine->own_dir);
    free_engine(engine);
    return STEM_OK;
}

/* ---- Forking ---------------------------------------------------------------------- */

/* Several threads of a child may come with an inherited handle at once. One adopts the engine,
 * without the lock, which is of all engines: what they wait for differs. */
static pthread_mutex_t adopting = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t adopted = PTHREAD_COND_INITIALIZER;

void stem_shared_after_fork(void)
{
    adopting = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    adopted = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
}

/* The directory again, by its path: the descriptor was the parent's. */
static int reopen_directory(shared_engine *engine)
{
    stem_directory *dir = &engine->own_dir;
    bool made;

    int code = stem_directory_open(engine->path, false, dir, &made);
    if (code == STEM_OK &&
        (dir->device != engine->device || dir->inode != engine->inode)) {
        stem_directory_close(dir);
        code = STEM_NOTFOUND;
    }
    engine->dir = dir;
    return code == STEM_NOTFOUND || code == STEM_EGONE
               ? stem_fail(STEM_EGONE,
                           "the directory %s has been removed, or another has its name",
                           engine->path)
               : code;
}

/* What was the parent's is forgotten: its threads do not exist here, and its locks may be
 * held. */
static int adopt(shared_engine *engine)
{
    const stem_options conditions = {.must_exist = true};
    bool is_new;

    engine->may_own = false;
    atomic_store(&engine->base.leaving, 0);
    int code = reopen_directory(engine);
    if (code != STEM_OK)
        return code;
    code = begin(engine);
    if (code == STEM_OK) {
        code = stem_shared_enter(engine, &conditions, &is_new);
        if (code == STEM_OK)
            code = stem_shared_watch(engine);
        if (code != STEM_OK)
            give_up(engine);
    }
    if (code != STEM_OK) /* the next call tries again */
        stem_directory_close(&engine->own_dir);
    else
        engine->base.fork_generation =
            stem_fork_generation; /* at last: others may use it */
    return code;
}

/* Adopts it for all threads that come meanwhile. The lock is held, but not all the time. */
static int adopt_for_all(shared_engine *engine)
{
    engine->adopting_in = stem_fork_generation;
    pthread_mutex_unlock(&adopting);
    const int code = adopt(engine);
    pthread_mutex_lock(&adopting);
    if (code != STEM_OK)
        stem_failure_save(&engine->adoption);
    engine->adoption.code = code;
    engine->adopting_in = 0;
    engine->n_adoptions++;
    pthread_cond_broadcast(&adopted);
    return code;
}

/* Another thread is at it, and its answer is this one's too: trying again would take each of
 * them a time limit more than the one before. */
static int await_adoption(const shared_engine *engine)
{
    const unsigned before = engine->n_adoptions;

    while (engine->n_adoptions == before)
        pthread_cond_wait(&adopted, &adopting);
    if (engine->adoption.code != STEM_OK)
        stem_failure_restore(&engine->adoption);
    return engine->adoption.code;
}

int stem_shared_adopt(stem_engine *base)
{
    shared_engine *engine = shared_of(base);
    int code = STEM_OK;

    pthread_mutex_lock(&adopting);
    if (stem_engine_is_inherited(base))
        code = engine->adopting_in == stem_fork_generation ? await_adoption(engine)
                                                           : adopt_for_all(engine);
    pthread_mutex_unlock(&adopting);
    return code;
}
