/*
 * The shared engine: who the owner is.
 *
 * Whoever gets the lock is. It opens the store, then serves, under a temporary name that is
 * renamed to the socket's: so nobody finds a socket whose owner does not answer yet. Those who
 * do not get the lock connect, and trust the connection only once it has answered. When it ends
 * they begin anew.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "../error.h"
#include "directory_claim.h"
#include "remote_connection.h"
#include "shared_engine.h"
#include "store.h"

/* What a look for the owner finds, beside the codes of stem.h: there is none yet, or another
 * process is it, which may have to be waited for. They stay in this file. */
enum { NOBODY = -2000, SOMEBODY = -2001 };

enum {
    PING_MS = 500,
    LONGEST_PAUSE_MS = 8,
    FAILED_PAUSE_MS = 100,
    TRANSIENT_MS = 100,   /* for which a lock is held that is only looked with */
    OTHERS_MS = 500,      /* for which a failure is kept back: another may not fail */
    RECONSIDER_MS = 1000, /* a failure is the answer for as long */
    UNCLAIMED_MS = 30,    /* then none of those who may will become the owner */
    STARTED_MS = 1000,    /* for which one that was started may take to end */
    START_AGAIN_MS = 1000 /* another process, where the last was at work and is not */
};

static uint64_t milliseconds(uint64_t n)
{
    return n * 1000000;
}

static void pause_ms(unsigned n)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)milliseconds(n)}, NULL);
}

/* ---- The owner -------------------------------------------------------------------- */

static int serve(shared_engine *engine)
{
    return engine->host->open(engine->store.engine, engine->socket, &engine->settings,
                              &engine->server);
}

/* What fails leaves no lock behind, and no new database. */
static int own(shared_engine *engine, const stem_options *conditions, bool *is_new)
{
    stem_directory *dir = engine->dir;
    stem_failure cause;

    int code = stem_directory_claim(dir, conditions, STEM_CLAIM_SHARING, is_new);
    if (code == STEM_OK)
        code = stem_store_open(dir, &engine->settings, &engine->store.engine);
    if (code == STEM_OK) {
        code = serve(engine);
        if (code != STEM_OK) {
            stem_failure_save(&cause);
            engine->store.engine->ops->close(engine->store.engine);
            stem_failure_restore(&cause);
            engine->store.engine = NULL;
        }
    }
    if (code == STEM_OK) {
        atomic_store_explicit(&engine->current, &engine->store, memory_order_release);
        return STEM_OK;
    }
    if (*is_new)
        stem_directory_clear(dir);
    *is_new = false; /* without the lock, what is there may be another's */
    stem_directory_unlock(dir);
    return code;
}

/* ---- Finding it ------------------------------------------------------------------- */

/* One search for the owner, by who opens the database or by who has lost it. */
typedef struct search {
    shared_engine *engine;
    const stem_options *conditions;
    bool is_new;
    uint64_t unclaimed_since, refused_since, failing_since; /* 0 when it is not so */
    unsigned pause; /* ms, before the next attempt */
} search;

static void pause_search(search *what)
{
    pause_ms(what->pause);
    if (what->pause < LONGEST_PAUSE_MS)
        what->pause *= 2;
}

/* Nobody has the lock, and this process may not have it. Gives those who may a moment, and
 * then starts one. */
static int have_owner_started(search *what)
{
    shared_engine *engine = what->engine;
    const uint64_t now = stem_clock();

    if (what->conditions->must_be_new) /* what another makes would not be */
        return stem_store_check_process();
    int code = stem_shared_check_process(engine);
    if (code != STEM_OK)
        return code == STEM_NOTFOUND ? NOBODY : code;
    if (what->unclaimed_since == 0)
        what->unclaimed_since = now;
    const uint64_t ended = engine->starter.ended_ns;
    if (now - what->unclaimed_since < milliseconds(UNCLAIMED_MS) ||
        (ended != 0 && now - ended < milliseconds(START_AGAIN_MS)))
        return NOBODY;
    if (ended != 0 && engine->starter.is_unsure)
        return stem_shared_fail_to_start(engine);
    code = stem_shared_start_process(engine);
    return code == STEM_OK ? NOBODY : code;
}

/* Somebody has the lock for himself. For a moment that may be somebody who only looks. */
static int refuse_lock(search *what)
{
    const uint64_t now = stem_clock();

    if (what->refused_since == 0)
        what->refused_since = now;
    if (now - what->refused_since < milliseconds(TRANSIENT_MS))
        return NOBODY;
    const int code = stem_directory_fail_locked(what->engine->dir);
    return code == STEM_NOTFOUND ? NOBODY : code;
}

/* Somebody shares it. From here on nobody gets it for himself, also while one owner follows
 * the other; somebody may just have, or have removed what he could not make. */
static int stay(shared_engine *engine)
{
    const int code = stem_directory_stay(engine->dir);

    return code == STEM_OK                                 ? SOMEBODY
           : code == STEM_ELOCKED || code == STEM_NOTFOUND ? NOBODY
                                                           : code;
}

/* STEM_OK when this process is the owner now; SOMEBODY; NOBODY; or a failure. */
static int look_for_owner(search *what)
{
    shared_engine *engine = what->engine;
    int code = engine->may_own ? own(engine, what->conditions, &what->is_new)
                               : stem_directory_expect(engine->dir, what->conditions,
                                                       STEM_CLAIM_SHARING);

    if (code != STEM_ELOCKED && (engine->may_own || code != STEM_OK))
        return code;
    const enum stem_directory_claim claim = stem_directory_claimed(engine->dir);
    if (claim != STEM_CLAIM_NONE) {
        what->unclaimed_since = 0;
        engine->starter.is_unsure = false;
    }
    if (claim != STEM_CLAIM_ALONE)
        what->refused_since = 0;
    if (claim == STEM_CLAIM_SHARING)
        return stay(engine);
    if (claim == STEM_CLAIM_ALONE)
        return refuse_lock(what);
    return engine->may_own ? NOBODY : have_owner_started(what);
}

/* ---- Failures --------------------------------------------------------------------- */

static void set_failure(shared_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    stem_failure_save(&engine->failure);
    engine->failed_ns = stem_clock();
    pthread_mutex_unlock(&engine->lock);
}

static void clear_failure(shared_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->failure.code = STEM_OK;
    pthread_mutex_unlock(&engine->lock);
}

/* What a call that nobody answers is told: to wait, or why not. A call that comes some time
 * after a failure has it tried once more. As long as nobody watches, which is while the
 * database is opened, there is nothing to wait for. */
static int tell_outlook(void *context)
{
    shared_engine *engine = context;

    if (!engine->has_watcher)
        return STEM_EIO;
    pthread_mutex_lock(&engine->lock);
    int code = engine->failure.code;
    if (code != STEM_OK &&
        stem_clock() - engine->failed_ns >= milliseconds(RECONSIDER_MS)) {
        engine->failure.code = code = STEM_OK;
        engine->is_asked_again = true;
        pthread_cond_broadcast(&engine->changed);
    }
    if (code != STEM_OK)
        stem_failure_restore(&engine->failure);
    pthread_mutex_unlock(&engine->lock);
    return code;
}

/* ---- Opening ---------------------------------------------------------------------- */

/* STEM_OK, with what the owner has in effect; NOBODY when nobody has answered. */
static int open_session(shared_engine *engine, const stem_remote_clock *clock)
{
    const int left = stem_remote_clock_left(clock);
    const stem_remote_outlook outlook = {tell_outlook, engine};

    int code = stem_remote_open_shared(engine->socket, engine->dir->path,
                                       left > 0 ? (size_t)left : 1, outlook,
                                       &engine->session.engine);
    if (code == STEM_OK) {
        code = stem_remote_ask_settings(engine->session.engine, &engine->settings);
        if (code != STEM_OK)
            engine->session.engine->ops->close(engine->session.engine);
    }
    if (code != STEM_OK)
        return code == STEM_EIO ? NOBODY : code;
    stem_remote_set_timeout(engine->session.engine, engine->timeout_ms);
    atomic_store(&engine->session.users, 1);
    atomic_store_explicit(&engine->current, &engine->session, memory_order_release);
    return STEM_OK;
}

int stem_shared_enter(shared_engine *engine, const stem_options *conditions, bool *is_new)
{
    stem_remote_clock clock = stem_remote_clock_start(engine->timeout_ms);
    search what = {.engine = engine, .conditions = conditions, .pause = 1};
    stem_failure before;
    int code;

    stem_failure_save(&before);
    stem_failure_set(STEM_EIO, "nobody has it open yet"); /* as long as nothing else is */
    for (;;) {
        code = look_for_owner(&what);
        if (code == SOMEBODY && conditions->must_be_new)
            code = STEM_EXISTS;
        if (code == SOMEBODY)
            code = open_session(engine, &clock);
        if (code != NOBODY || stem_remote_clock_left(&clock) == 0)
            break;
        pause_search(&what);
    }
    *is_new = what.is_new;
    if (code == NOBODY)
        code = stem_fail(STEM_EIO,
                         "who shares the database could not be joined within %zu ms: %s",
                         engine->timeout_ms, stem_errmsg());
    else if (code >= 0)
        stem_failure_restore(&before);
    return code;
}

/* ---- Waiting for its end ------------------------------------------------------------ */

static bool is_closing(shared_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    const bool is = engine->is_closing;
    pthread_mutex_unlock(&engine->lock);
    return is;
}

static int ping(stem_remote_connection *connection, stem_remote_clock *clock)
{
    stem_remote_request request = {.n_long = 0};
    stem_remote_reply reply = {.is_packed = true};
    bool was_sent;

    stem_remote_request_begin(&request, 1);
    stem_remote_request_text(&request, "PING");
    int code = stem_remote_exchange(connection, &request, clock, &reply, &was_sent);
    if (code == STEM_OK && !stem_remote_reply_is(&reply, STEM_REPLY_STATUS))
        code = STEM_EIO;
    stem_remote_request_free(&request);
    stem_remote_reply_free(&reply);
    return code;
}

/* A connection to an owner that has answered over it, or NULL. */
static stem_remote_connection *connect_to_owner(shared_engine *engine)
{
    stem_remote_clock clock = stem_remote_clock_start(PING_MS);
    stem_remote_connection *connection;
    stem_remote_peer peer;

    if (stem_remote_peer_at(engine->socket, engine->dir->path, &peer) != STEM_OK)
        return NULL;
    int code = stem_remote_connection_open(&peer, &clock, &connection);
    stem_remote_peer_free(&peer);
    if (code != STEM_OK)
        return NULL;
    if (ping(connection, &clock) == STEM_OK)
        return connection;
    stem_remote_connection_close(connection);
    return NULL;
}

/* Waits until the connection ends, or the engine is to be closed. */
static void wait_for_end(shared_engine *engine, const stem_remote_connection *connection)
{
    struct pollfd ends[] = {
        {.fd = stem_remote_connection_descriptor(connection), .events = POLLIN},
        {.fd = engine->wake, .events = POLLIN}};

    while (poll(ends, 2, -1) < 0 && errno == EINTR)
        continue;
}

/* ---- Taking over ------------------------------------------------------------------ */

/* Whether another process has the lock, which it may get some time after this one has failed:
 * at its limit of descriptors, for one. Each of several that fail has it for a moment, so the
 * time is counted from the first failure in a search. */
static bool is_replaced_by_another(search *what)
{
    shared_engine *engine = what->engine;

    if (what->failing_since == 0)
        what->failing_since = stem_clock();
    while (stem_clock() - what->failing_since < milliseconds(OTHERS_MS) &&
           !is_closing(engine)) {
        if (stem_directory_claimed(engine->dir) == STEM_CLAIM_SHARING)
            return true;
        pause_ms(LONGEST_PAUSE_MS);
    }
    return false;
}

/* After a failure: until a call asks again, somebody else is the owner, or the lock that was in
 * the way is free. */
static void wait_after_failure(shared_engine *engine, int code)
{
    bool is_over = false;

    set_failure(engine);
    while (!is_over) {
        const uint64_t until = stem_clock() + milliseconds(FAILED_PAUSE_MS);
        const struct timespec at = {(time_t)(until / 1000000000),
                                    (long)(until % 1000000000)};

        pthread_mutex_lock(&engine->lock);
        if (!engine->is_asked_again && !engine->is_closing)
            pthread_cond_timedwait(&engine->changed, &engine->lock, &at);
        is_over = engine->is_asked_again || engine->is_closing;
        engine->is_asked_again = false;
        pthread_mutex_unlock(&engine->lock);
        const enum stem_directory_claim claim = stem_directory_claimed(engine->dir);
        is_over |= claim == STEM_CLAIM_SHARING ||
                   (code == STEM_ELOCKED && claim == STEM_CLAIM_NONE);
    }
    clear_failure(engine);
}

/* Ends when this process is the owner or is to leave (true), or when another has the lock and
 * may answer (false). */
static bool replace_owner(search *what)
{
    shared_engine *engine = what->engine;

    while (!is_closing(engine)) {
        const int code = look_for_owner(what);

        if (code == STEM_OK && engine->may_own) {
            stem_shared_give(&engine->session); /* which was the current one */
            return true;
        }
        if (code == SOMEBODY)
            return false;
        if (code == STEM_NOTFOUND || code == STEM_EGONE)
            stem_fail(STEM_EGONE, "%s has been removed", engine->dir->path);
        if (code == NOBODY)
            pause_search(what);
        else if (!is_replaced_by_another(what))
            wait_after_failure(engine, code);
    }
    return true;
}

/* What it was to start is at work: it has no more to do, and becomes nobody's zombie. */
static void see_starter_end(shared_engine *engine)
{
    const uint64_t until = stem_clock() + milliseconds(STARTED_MS);

    while (stem_shared_check_process(engine) == STEM_NOTFOUND && !is_closing(engine) &&
           stem_clock() < until)
        pause_ms(1);
    stem_shared_forget_process(engine);
}

static void *watch(void *argument)
{
    static const stem_options conditions = {.must_exist = true};
    shared_engine *engine = argument;
    search what = {.engine = engine, .conditions = &conditions, .pause = 1};

    for (;;) {
        stem_remote_connection *connection = connect_to_owner(engine);

        if (connection) {
            what = (search){.engine = engine, .conditions = &conditions, .pause = 1};
            see_starter_end(engine);
            wait_for_end(engine, connection);
            stem_remote_connection_close(connection);
        } else {
            pause_search(&what);
        }
        if (replace_owner(&what))
            return NULL;
    }
}

int stem_shared_watch(shared_engine *engine)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int cause = pthread_create(&engine->watcher, NULL, watch, engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    engine->has_watcher = cause == 0;
    return cause == 0 ? STEM_OK
                      : stem_fail(STEM_EIO, "cannot start a thread: %s", strerror(cause));
}

void stem_shared_unwatch(shared_engine *engine)
{
    const uint64_t one = 1;

    if (!engine->has_watcher)
        return;
    pthread_mutex_lock(&engine->lock);
    engine->is_closing = true;
    pthread_cond_broadcast(&engine->changed);
    pthread_mutex_unlock(&engine->lock);
    while (write(engine->wake, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    pthread_join(engine->watcher, NULL);
    engine->has_watcher = false;
}
