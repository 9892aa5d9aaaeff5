/*
 * Which engine serves a location, and who shares it.
 *
 * A directory is one engine in a process, whatever name it is opened by: the registry
 * goes by device and inode, and each entry holds a descriptor that keeps its inode from
 * being used again. The lock below is held over fork(), so that the registry is whole in
 * the child. LevelDB is opened and closed outside it.
 *
 * A served database is not in the registry: each open has an engine, and a session with the
 * server, of its own.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../engine.h"
#include "../error.h"
#include "config.h"
#include "descriptor.h"
#include "directory_claim.h"
#include "memory.h"
#include "remote.h"
#include "store.h"
#include "writeback.h"
#ifdef HAVE_HIREDIS
#include "remote_location.h"
#include "shared.h"
#endif

typedef struct entry {
    struct entry *next;
    stem_directory dir;  /* lent to the engine */
    stem_engine *engine; /* NULL until it is open */
    bool is_closing;
    bool is_orphaned;             /* its one user is nobody: the next takes its place */
    bool is_private;              /* the directory goes with the engine */
    stem_options options;         /* those of the first open, in effect */
    const stem_engine_host *host; /* for one that is shared */
} entry;

/* One registry serves the process, as one process-wide lock table serves the kernel: two
 * engines on one directory would destroy it. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t registry_changed = PTHREAD_COND_INITIALIZER;
static entry *registry;

unsigned stem_fork_generation;

/* ---- Forking ---------------------------------------------------------------------- */

static void before_fork(void)
{
    pthread_mutex_lock(&registry_lock);
    stem_descriptors_before_fork();
}

static void after_fork_in_parent(void)
{
    stem_descriptors_after_fork();
    pthread_mutex_unlock(&registry_lock);
}

/* Entries and engines are left as they are: their locks may be held by threads that do
 * not exist here. */
static void after_fork_in_child(void)
{
    stem_descriptors_in_child();
#ifdef HAVE_HIREDIS
    stem_shared_after_fork();
#endif
    stem_writeback_after_fork();
    registry = NULL;
    stem_fork_generation++;
    registry_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    registry_changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* ---- The registry, under its lock ------------------------------------------------- */

static entry *find(const stem_directory *dir)
{
    entry *each = registry;

    while (each && (each->dir.device != dir->device || each->dir.inode != dir->inode))
        each = each->next;
    return each;
}

static void forget(entry *gone)
{
    entry **link = &registry;

    while (*link != gone)
        link = &(*link)->next;
    *link = gone->next;
    free(gone);
    pthread_cond_broadcast(&registry_changed);
}

/* One user more, unless the last one is about to close it. */
static bool retain_if_used(stem_engine *engine)
{
    size_t users = atomic_load(&engine->users);

    while (users != 0)
        if (atomic_compare_exchange_weak(&engine->users, &users, users + 1))
            return true;
    return false;
}

/* Whether a later open agrees with the first, whose options are in effect. */
static int check_joins(const stem_options *wanted, const stem_options *open)
{
    if (wanted->shared && !open->shared)
        return stem_fail(STEM_EINVAL,
                         "option shared is 1, but the database is open in this "
                         "process with 0");
    return stem_store_check_same(wanted, open, "open in this process");
}

/* ---- A LevelDB in a directory ----------------------------------------------------- */

/* What a look for the engine of a directory finds, beside the codes of stem.h: it is being
 * opened or closed. It stays in this file. */
enum { IN_MOTION = -2000 };

/* Joins the engine that this process has on the directory, or says STEM_NOTFOUND, or
 * IN_MOTION. */
static int join(const stem_directory *dir, const stem_options *options,
                stem_engine **engine)
{
    entry *known = find(dir);

    if (!known)
        return STEM_NOTFOUND;
    if (!known->engine || known->is_closing)
        return IN_MOTION;
    int code = options->must_be_new ? STEM_EXISTS : check_joins(options, &known->options);
    if (code != STEM_OK)
        return atomic_load(&known->engine->users) > 0 ? code : IN_MOTION;
    if (!known->is_orphaned && !retain_if_used(known->engine))
        return IN_MOTION;
    known->is_orphaned = false;
    *engine = known->engine;
    return STEM_OK;
}

/* The store of an entry whose directory is claimed. */
static int open_store(entry *added, bool *is_new, stem_engine **opened)
{
    (void)is_new; /* who has claimed it knows */
    added->options = stem_store_complete_options(&added->options);
    return stem_store_open(&added->dir, &added->options, opened);
}

/* Enters a directory in the registry and opens what it has, outside the lock. Without
 * STEM_OK the directory stays the caller's. */
static int open_entered(const entry *wanted, stem_directory *dir,
                        int (*open)(entry *, bool *, stem_engine **), bool *is_new,
                        stem_engine **engine)
{
    entry *added = malloc(sizeof *added);

    if (!added)
        return stem_fail(STEM_ENOMEM, "no memory for a database");
    *added = *wanted;
    added->next = registry;
    added->dir = *dir;
    registry = added;

    pthread_mutex_unlock(&registry_lock);
    stem_engine *opened = NULL;
    int code = open(added, is_new, &opened);
    pthread_mutex_lock(&registry_lock);
    if (code != STEM_OK) {
        *dir = added->dir;
        forget(added);
        return code;
    }
    atomic_store(&opened->users, 1);
    added->engine = opened;
    pthread_cond_broadcast(&registry_changed);
    *engine = opened;
    return STEM_OK;
}

#ifdef HAVE_HIREDIS
static int open_with_others(entry *added, bool *is_new, stem_engine **opened)
{
    stem_shared_place place = {&added->dir, added->host, added->options};

    const int code = stem_shared_open(&place, is_new, opened);
    added->options = place.options;
    return code;
}

/* The same, shared with other processes. */
static int open_shared(stem_directory *dir, const stem_options *options,
                       const stem_engine_host *host, bool *is_new, stem_engine **engine)
{
    const entry wanted = {.options = *options, .host = host};

    return open_entered(&wanted, dir, open_with_others, is_new, engine);
}
#else
static int open_shared(stem_directory *dir, const stem_options *options,
                       const stem_engine_host *host, bool *is_new, stem_engine **engine)
{
    (void)dir;
    (void)options;
    (void)host;
    (void)is_new;
    (void)engine;
    return STEM_ENOTSUP; /* check_sharing has said so */
}
#endif

/* The database of a directory for this process alone. */
static int open_alone(stem_directory *dir, const stem_options *options, bool *is_new,
                      stem_engine **engine)
{
    const entry wanted = {.options = *options};

    int code = stem_store_check_process();
    if (code == STEM_OK)
        code = stem_directory_claim(dir, options, STEM_CLAIM_ALONE, is_new);
    if (code == STEM_OK)
        code = open_entered(&wanted, dir, open_store, is_new, engine);
    return code;
}

/* One attempt; STEM_EGONE when what it saw changed meanwhile, and IN_MOTION after something in
 * the registry has. */
static int try_acquire_directory(const char *path, const stem_options *options,
                                 const stem_engine_host *host, stem_engine **engine)
{
    stem_directory dir;
    bool made, is_new = false;

    int code = stem_directory_open(path, stem_may_create(options), &dir, &made);
    if (code != STEM_OK)
        return code;
    code = join(&dir, options, engine);
    if (code != STEM_NOTFOUND) {
        stem_directory_close(&dir);
        if (code == IN_MOTION)
            pthread_cond_wait(&registry_changed, &registry_lock);
        return code;
    }
    code = options->shared ? open_shared(&dir, options, host, &is_new, engine)
                           : open_alone(&dir, options, &is_new, engine);
    if (code != STEM_OK)
        stem_directory_unclaim(&dir, made, is_new);
    return code;
}

static int acquire_directory(const char *path, const stem_options *options,
                             const stem_engine_host *host, stem_engine **engine)
{
    enum { ATTEMPTS = 1000 };
    int code, n_gone = 0;

    pthread_mutex_lock(&registry_lock);
    do {
        code = try_acquire_directory(path, options, host, engine);
        n_gone += code == STEM_EGONE;
    } while (code == IN_MOTION || (code == STEM_EGONE && n_gone < ATTEMPTS));
    pthread_mutex_unlock(&registry_lock);
    if (code == STEM_EGONE)
        code = stem_fail(STEM_EIO, "the directory %s has been removed", path);
    return code;
}

/* The directory is made outside the lock, for other processes of the user may be waited for. */
static int acquire_memory(const stem_options *options, stem_engine **engine)
{
    const entry wanted = {.options = *options, .is_private = true};
    stem_directory dir;
    bool is_new;

    if (!stem_may_create(options))
        return STEM_NOTFOUND; /* a new one is never there before */
    int code = stem_store_check_process();
    if (code == STEM_OK)
        code = stem_memory_directory(&dir);
    if (code != STEM_OK)
        return code;
    pthread_mutex_lock(&registry_lock);
    code = open_entered(&wanted, &dir, open_store, &is_new, engine);
    pthread_mutex_unlock(&registry_lock);
    if (code != STEM_OK) {
        stem_directory_remove(&dir);
        stem_directory_close(&dir);
    }
    return code;
}

/* ---- Locations -------------------------------------------------------------------- */

static const char leveldb_scheme[] = "leveldb:", memory_scheme[] = "mem:";

/* Bytes of the scheme that a location begins with, its ':' included, or 0: as with hosts of
 * scp, a ':' before any '/' ends one, whatever there is in the working directory. */
static size_t scheme_len(const char *location)
{
    const size_t len = location ? strcspn(location, ":/") : 0;

    return location && location[len] == ':' ? len + 1 : 0;
}

static bool has_scheme(const char *location, const char *scheme)
{
    return location && strncmp(location, scheme, strlen(scheme)) == 0;
}

static bool is_memory(const char *location)
{
    return has_scheme(location, memory_scheme);
}

/* The directory that a location names, or NULL. */
static const char *directory_in(const char *location)
{
    if (has_scheme(location, leveldb_scheme))
        return location + strlen(leveldb_scheme);
    return scheme_len(location) == 0 ? location : NULL;
}

/* What a location of this build may begin with. */
#ifdef HAVE_HIREDIS
#define KNOWN_LOCATIONS "leveldb:, mem:, unix:, stem:// or stems://"
#else
#define KNOWN_LOCATIONS "leveldb: or mem: in this build"
#endif

static int fail_unknown(void)
{
    return stem_fail(STEM_ENOTSUP,
                     "no engine has that name; a location is a directory, or begins "
                     "with " KNOWN_LOCATIONS
                     " (a directory with a ':' in its first name is written ./NAME)");
}

/* Whether a location that no server has names an engine, and what the engine has. */
static int check_location(const char *location)
{
    const char *directory = directory_in(location);

    if (!location || !*location)
        return stem_fail(STEM_EINVAL, "the location is %s", location ? "empty" : "NULL");
    if (is_memory(location))
        return location[strlen(memory_scheme)]
                   ? stem_fail(STEM_EINVAL, "nothing follows %s", memory_scheme)
                   : STEM_OK;
    if (!directory)
        return fail_unknown();
    return *directory ? STEM_OK
                      : stem_fail(STEM_EINVAL, "no directory follows %s", leveldb_scheme);
}

/* ---- Databases that a server has ---------------------------------------------------- */

#ifdef HAVE_HIREDIS
static bool is_served(const char *location)
{
    return stem_remote_is_location(location);
}
#else
static bool is_served(const char *location)
{
    (void)location;
    return false;
}

int stem_remote_open(const char *location, const stem_options *options,
                     stem_engine **engine)
{
    (void)location;
    (void)options;
    (void)engine;
    return stem_fail(STEM_ENOTSUP, "this build has no engine for served databases");
}
#endif

/* Where a password may begin in a location, or NULL: of what a server has behind the user's
 * name, and anywhere in what is not understood. */
static const char *possible_password(const char *location)
{
    if (directory_in(location))
        return NULL;
    const char *rest = location + scheme_len(location);
    const char *colon = strchr(rest, ':');
    if (!is_served(location))
        return rest;
    return colon ? colon + 1 : NULL;
}

void stem_location_show(const char *location, char *out, size_t size)
{
    if (!location)
        location = "";
    const char *password = possible_password(location);
    const char *at = password ? strrchr(password, '@') : NULL;

    if (at)
        snprintf(out, size, "%.*s***%s", (int)(password - location), location, at);
    else
        snprintf(out, size, "%s", location);
}

/* An option of those whom a server asks who they are. */
static int check_no_client_options(const stem_options *options)
{
    const char *name = options->password                         ? "password"
                       : options->password_file                  ? "password_file"
                       : options->ca_file                        ? "ca_file"
                       : options->timeout_ms && !options->shared ? "timeout_ms"
                                                                 : NULL;

    return name ? stem_fail(STEM_EINVAL, "option %s is for a served database", name)
                : STEM_OK;
}

/* Whether this build, and this location, can be shared. */
static int check_sharing(const char *location, const stem_options *options,
                         const stem_engine_host *host)
{
    if (is_memory(location))
        return stem_fail(STEM_EINVAL, "option shared is for a directory");
#ifdef HAVE_HIREDIS
    if (host)
        return stem_remote_check_timeout(options->timeout_ms);
#else
    (void)options;
    (void)host;
#endif
    return stem_fail(STEM_ENOTSUP,
                     "this build cannot share a directory: it was made without libevent "
                     "or without hiredis");
}

/* ---- Acquiring and releasing -------------------------------------------------------- */

int stem_engine_acquire(const char *location, const stem_options *options,
                        const stem_engine_host *host, stem_engine **engine)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (is_served(location)) {
        pthread_once(&once, watch_forks);
        return stem_remote_open(location, options, engine);
    }
    int code = check_location(location);
    if (code == STEM_OK)
        code = check_no_client_options(options);
    if (code == STEM_OK)
        code = stem_store_check_options(options);
    if (code == STEM_OK && options->shared)
        code = check_sharing(location, options, host);
    if (code != STEM_OK)
        return code;
    pthread_once(&once, watch_forks);
    return is_memory(location)
               ? acquire_memory(options, engine)
               : acquire_directory(directory_in(location), options, host, engine);
}

/* The engine's entry, or NULL for a served database, whose engine nobody shares;
 * registry_lock is held. */
static entry *entry_of(const stem_engine *engine)
{
    entry *each = registry;

    while (each && each->engine != engine)
        each = each->next;
    return each;
}

/* Waits for those who were users until a moment ago, and still close what they had open. */
static void await_leaving(const stem_engine *engine)
{
    const struct timespec moment = {.tv_nsec = 100000};

    while (atomic_load(&engine->leaving) > 0)
        nanosleep(&moment, NULL);
}

/* Closes an engine that nobody uses any more, after what its last user has open on it: that
 * goes once all is handed over, after which closing does not fail. */
static int close_engine(stem_engine *engine, const stem_engine_leave *leave)
{
    int code = STEM_OK;

    await_leaving(engine);
    if (engine->ops->discard && leave->is_discarding)
        engine->ops->discard(engine);
    else if (engine->ops->discard && leave->let_go)
        code = engine->ops->flush(engine);
    if (code != STEM_OK)
        return code;
    if (leave->let_go)
        leave->let_go(leave->held, engine);
    return engine->ops->close(engine);
}

/* The last user leaves. */
static int release_last(stem_engine *engine, const stem_engine_leave *leave)
{
    pthread_mutex_lock(&registry_lock);
    entry *mine = entry_of(engine);
    if (mine)
        mine->is_closing = true;
    pthread_mutex_unlock(&registry_lock);
    int code = close_engine(engine, leave);
    if (!mine)
        return code;
    pthread_mutex_lock(&registry_lock);
    if (code == STEM_OK) {
        if (mine->is_private)
            stem_directory_remove(&mine->dir);
        stem_directory_close(&mine->dir);
        forget(mine);
    } else {
        atomic_store(&engine->users, 1);
        mine->is_closing = false;
        pthread_cond_broadcast(&registry_changed);
    }
    pthread_mutex_unlock(&registry_lock);
    return code;
}

/* Who has something open closes it as a user no more: another may be the last by then, and
 * closes the engine after that. */
int stem_engine_release_as(stem_engine *engine, const stem_engine_leave *leave)
{
    if (leave->let_go)
        atomic_fetch_add(&engine->leaving, 1);
    const bool is_last =
        atomic_fetch_sub(&engine->users, 1) == 1 && !stem_engine_is_inherited(engine);
    if (!is_last && leave->let_go)
        leave->let_go(leave->held, engine);
    if (leave->let_go)
        atomic_fetch_sub(&engine->leaving, 1);
    return is_last ? release_last(engine, leave) : STEM_OK;
}

int stem_engine_release(stem_engine *engine)
{
    return stem_engine_release_as(engine, &(stem_engine_leave){.let_go = NULL});
}

void stem_engine_orphan(stem_engine *engine)
{
    pthread_mutex_lock(&registry_lock);
    entry *mine = entry_of(engine);
    /* Nobody could ask for it again. */
    const bool is_nameless = !mine || mine->is_private;
    if (!is_nameless && atomic_fetch_sub(&engine->users, 1) == 1) {
        atomic_store(&engine->users, 1);
        mine->is_orphaned = true;
    }
    pthread_mutex_unlock(&registry_lock);
    if (is_nameless)
        stem_engine_release_as(engine, &(stem_engine_leave){.is_discarding = true});
}

/* Removes a database, and what is left of one whose creation or removal died. */
static int destroy_directory(stem_directory *dir)
{
    if (find(dir))
        return stem_fail(STEM_ELOCKED,
                         "%s is open in this process; close its handles first",
                         dir->path);
    int code = stem_directory_look(dir, STEM_CLAIM_ALONE);
    if (code == STEM_OK || code == STEM_ECORRUPT ||
        (code == STEM_NOTFOUND && stem_directory_has_ours(dir)))
        code = stem_directory_lock(dir, true, STEM_CLAIM_ALONE);
    return code == STEM_OK ? stem_directory_remove(dir) : code;
}

int stem_engine_destroy(const char *location)
{
    stem_directory dir;
    bool made;

    if (is_served(location))
        return stem_fail(STEM_EINVAL, "a served database is removed where it is served");
    int code = check_location(location);
    if (code == STEM_OK && is_memory(location))
        code = stem_fail(STEM_EINVAL, "mem: databases end with their last handle");
    if (code != STEM_OK)
        return code;
    pthread_mutex_lock(&registry_lock);
    code = stem_directory_open(directory_in(location), false, &dir, &made);
    if (code == STEM_OK) {
        code = destroy_directory(&dir);
        stem_directory_close(&dir);
    }
    pthread_mutex_unlock(&registry_lock);
    return code == STEM_EGONE ? STEM_NOTFOUND : code;
}
