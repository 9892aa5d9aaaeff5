/*
 * The threads that check passwords, and the logins that wait for them: each peer has a queue of
 * its own, and the peers that have one are in a list, from which they are served by turns.
 */
#include "login.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>

#include "../clock.h"
#include "../error.h"
#include "table.h"

typedef struct stem_waiting_login waiting;

/* A login that waits. */
struct stem_waiting_login {
    UT_hash_handle hh;
    waiting *prev,
        *next; /* in the queue of its peer; in a list of those that are granted */
    uint64_t ticket;
    stem_access *access;
    stem_peer *peer;
    stem_login_done *done;
    void *argument;
    bool is_under_way;
    bool is_cancelled; /* while under way */
    size_t user_len;
    size_t password_len;
    char *password;
    char bytes[]; /* the user's name, and the password */
};

struct stem_login {
    stem_login_options options;
    pthread_t threads[STEM_LOGIN_MAX_THREADS];
    unsigned n_threads;

    /* Of all that follows; never held while hashing or calling back. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_stopping;
    stem_peers peers;
    stem_peer *turns;   /* the peers that have a queue; the first is served next */
    waiting *by_ticket; /* all that wait or are under way, in the order that they came */
    uint64_t last_ticket;
};

/* ---- One login -------------------------------------------------------------------- */

static size_t shorter(size_t len, size_t most)
{
    return len < most ? len : most;
}

static waiting *copy_request(const stem_login_request *request)
{
    const size_t user_len = shorter(request->user.len, STEM_USER_NAME_MAX + 1);
    const size_t password_len = shorter(request->password.len, STEM_PASSWORD_MAX + 1);
    waiting *login = calloc(1, sizeof *login + user_len + password_len);

    if (!login)
        return NULL;
    login->access = stem_access_retain(request->access);
    login->done = request->done;
    login->argument = request->argument;
    login->user_len = user_len;
    login->password_len = password_len;
    login->password = login->bytes + user_len;
    if (user_len > 0)
        memcpy(login->bytes, request->user.data, user_len);
    if (password_len > 0)
        memcpy(login->password, request->password.data, password_len);
    return login;
}

static void free_login(waiting *login)
{
    sodium_memzero(login->password, login->password_len);
    stem_access_release(login->access);
    free(login);
}

/* Has it wait; false when there is no memory. The lock is held, here and below. */
static bool enqueue(stem_login *pool, waiting *login, stem_peer *peer)
{
    login->ticket = ++pool->last_ticket;
    HASH_ADD(hh, pool->by_ticket, ticket, sizeof login->ticket, login);
    if (!login->hh.tbl)
        return false;
    login->peer = peer;
    peer->n_waiting++;
    if (!peer->queue)
        DL_APPEND(pool->turns, peer);
    DL_APPEND(peer->queue, login);
    return true;
}

static void leave_queue(stem_login *pool, waiting *login)
{
    stem_peer *peer = login->peer;

    DL_DELETE(peer->queue, login);
    if (!peer->queue)
        DL_DELETE(pool->turns, peer);
}

/* It has an outcome, or is cancelled, and is in no queue. */
static void forget(stem_login *pool, waiting *login)
{
    HASH_DEL(pool->by_ticket, login);
    login->peer->n_waiting--;
}

static enum stem_login_outcome check(const waiting *login, const stem_user **user)
{
    const stem_slice name = {login->bytes, login->user_len};
    const stem_user *found = stem_access_find(login->access, name);
    const bool is_right = stem_access_verify(found, login->password, login->password_len);
    const bool is_known = is_right || errno != ENOMEM;

    if (!is_known)
        return STEM_LOGIN_FAILED;
    if (!is_right)
        return STEM_LOGIN_REFUSED;
    *user = found;
    return STEM_LOGIN_GRANTED;
}

/* How long a comparison takes tells nothing of a password but its length. */
static bool is_same(const waiting *a, const waiting *b)
{
    return a->access == b->access && a->user_len == b->user_len &&
           a->password_len == b->password_len &&
           memcmp(a->bytes, b->bytes, a->user_len) == 0 &&
           sodium_memcmp(a->password, b->password, a->password_len) == 0;
}

/* ---- The threads ------------------------------------------------------------------ */

/* The peer whose turn it is: one that owes for failures comes behind those that do not. There
 * is one, and the lock is held, here and below. */
static stem_peer *next_peer(const stem_login *pool)
{
    const uint64_t now = stem_clock();
    stem_peer *peer = pool->turns;

    while (peer && stem_peer_owes(peer, now))
        peer = peer->next;
    return peer ? peer : pool->turns;
}

/* The login whose turn it is, NULL for none; its peer's next comes when all others have had
 * theirs. */
static waiting *next_login(stem_login *pool)
{
    stem_peer *peer = next_peer(pool);

    if (!peer)
        return NULL;
    waiting *login = peer->queue;
    assert(login); /* a peer has turns while it has a queue */
    leave_queue(pool, login);
    if (peer->queue) {
        DL_DELETE(pool->turns, peer);
        DL_APPEND(pool->turns, peer);
    }
    return login;
}

/* Moves to the list those that are granted with a login, as they wait with its user and
 * password. */
static void take_same(stem_login *pool, const waiting *granted, waiting **list)
{
    const uint64_t now = stem_clock();
    waiting *each, *next;

    HASH_ITER(hh, pool->by_ticket, each, next)
    {
        if (each->is_under_way || stem_peer_is_over(&pool->peers, each->peer, now) ||
            !is_same(each, granted))
            continue;
        leave_queue(pool, each);
        forget(pool, each);
        DL_APPEND(*list, each);
    }
}

/* Tells the outcome of the logins in a list, and frees them. The lock is not held. */
static void tell(waiting *list, enum stem_login_outcome outcome, const stem_user *user)
{
    waiting *each, *next;

    DL_FOREACH_SAFE(list, each, next)
    {
        if (!each->is_cancelled)
            each->done(each->argument, outcome, user);
        free_login(each);
    }
}

/* Finds the outcome of one, and tells it. The lock is held before and after. */
static void serve(stem_login *pool, waiting *login)
{
    enum stem_login_outcome outcome = STEM_LOGIN_TOO_MANY;
    const stem_user *user = NULL;
    waiting *decided = NULL;

    login->is_under_way = true;
    /* Those before it may have failed since it came. */
    if (!stem_peer_is_over(&pool->peers, login->peer, stem_clock())) {
        pthread_mutex_unlock(&pool->lock);
        outcome = check(login, &user);
        pthread_mutex_lock(&pool->lock);
    }
    if (outcome == STEM_LOGIN_REFUSED)
        stem_peer_failed(&pool->peers, login->peer, stem_clock());
    forget(pool, login);
    DL_APPEND(decided, login);
    if (outcome == STEM_LOGIN_GRANTED)
        take_same(pool, login, &decided);
    pthread_mutex_unlock(&pool->lock);
    tell(decided, outcome, user);
    pthread_mutex_lock(&pool->lock);
}

static void *run(void *argument)
{
    stem_login *pool = argument;

    pthread_mutex_lock(&pool->lock);
    while (!pool->is_stopping) {
        waiting *login = next_login(pool);

        if (login)
            serve(pool, login);
        else
            pthread_cond_wait(&pool->changed, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static int start_threads(stem_login *pool)
{
    sigset_t all, before;
    int cause = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (cause == 0 && pool->n_threads < pool->options.threads) {
        cause = pthread_create(&pool->threads[pool->n_threads], NULL, run, pool);
        pool->n_threads += cause == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (cause != 0)
        return stem_fail(STEM_EIO, "cannot start a thread: %s", strerror(cause));
    return STEM_OK;
}

/* ---- The pool --------------------------------------------------------------------- */

static int set_options(stem_login *pool, const stem_login_options *options)
{
    enum { FAILURES = 5 };
    stem_login_options *own = &pool->options;

    *own = *options;
    if (own->threads == 0)
        own->threads = 1;
    if (own->threads > STEM_LOGIN_MAX_THREADS)
        return stem_fail(STEM_EINVAL, "logins have at most %d threads, not %u",
                         STEM_LOGIN_MAX_THREADS, own->threads);
    if (own->failures_per_second == 0)
        own->failures_per_second = FAILURES;
    stem_peers_init(&pool->peers, own->failures_per_second);
    return STEM_OK;
}

int stem_login_open(const stem_login_options *options, stem_login **login)
{
    static const stem_login_options defaults;
    stem_login *pool = calloc(1, sizeof *pool);
    int code;

    if (!pool)
        return stem_fail(STEM_ENOMEM, "no memory for logins");
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    code = set_options(pool, options ? options : &defaults);
    if (code == STEM_OK)
        code = start_threads(pool);
    if (code == STEM_OK)
        *login = pool;
    else
        stem_login_close(pool);
    return code;
}

void stem_login_close(stem_login *login)
{
    waiting *each, *next;

    if (!login)
        return;
    pthread_mutex_lock(&login->lock);
    login->is_stopping = true;
    pthread_cond_broadcast(&login->changed);
    pthread_mutex_unlock(&login->lock);
    for (unsigned i = 0; i < login->n_threads; i++)
        pthread_join(login->threads[i], NULL);
    HASH_ITER(hh, login->by_ticket, each, next)
    {
        forget(login, each);
        each->done(each->argument, STEM_LOGIN_STOPPED, NULL);
        free_login(each);
    }
    stem_peers_free(&login->peers);
    pthread_cond_destroy(&login->changed);
    pthread_mutex_destroy(&login->lock);
    free(login);
}

/* The lock is held. */
static enum stem_login_outcome start(stem_login *pool, const stem_login_request *request,
                                     uint64_t *ticket)
{
    const uint64_t now = stem_clock();

    if (pool->is_stopping)
        return STEM_LOGIN_STOPPED;
    stem_peer *peer = stem_peers_at(&pool->peers, request->peer, now);
    if (peer && stem_peer_is_over(&pool->peers, peer, now))
        return STEM_LOGIN_TOO_MANY;
    waiting *made = peer ? copy_request(request) : NULL;
    if (!made || !enqueue(pool, made, peer)) {
        if (made)
            free_login(made);
        stem_fail(STEM_ENOMEM, "no memory for a login");
        return STEM_LOGIN_FAILED;
    }
    *ticket = made->ticket;
    pthread_cond_signal(&pool->changed);
    return STEM_LOGIN_WAITS;
}

enum stem_login_outcome
stem_login_start(stem_login *login, const stem_login_request *request, uint64_t *ticket)
{
    pthread_mutex_lock(&login->lock);
    const enum stem_login_outcome outcome = start(login, request, ticket);
    pthread_mutex_unlock(&login->lock);
    return outcome;
}

bool stem_login_cancel(stem_login *login, uint64_t ticket)
{
    waiting *found;
    waiting *ours = NULL;
    bool is_in_time = false;

    pthread_mutex_lock(&login->lock);
    HASH_FIND(hh, login->by_ticket, &ticket, sizeof ticket, found);
    if (found && found->is_under_way) {
        is_in_time = !found->is_cancelled;
        found->is_cancelled = true;
    } else if (found) {
        is_in_time = true;
        leave_queue(login, found);
        forget(login, found);
        ours = found;
    }
    pthread_mutex_unlock(&login->lock);
    if (ours)
        free_login(ours);
    return is_in_time;
}
