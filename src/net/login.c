/*
 * The threads that check passwords, and the logins that wait for them, in one list: those
 * under way at its front, behind them the others in the order that they came.
 */
#include "login.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>

#include <utlist.h>

#include "../clock.h"
#include "../error.h"

/* A login that waits. */
typedef struct waiting {
    struct waiting *prev, *next;
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
} waiting;

struct stem_login {
    stem_login_options options;
    pthread_t threads[STEM_LOGIN_MAX_THREADS];
    unsigned n_threads;

    /* Of all that follows; never held while hashing or calling back. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_stopping;
    stem_peers peers;
    waiting *list;
    size_t n_waiting;
    uint64_t last_ticket;
};

/* ---- One login -------------------------------------------------------------------- */

static waiting *copy_request(const stem_login_request *request)
{
    const size_t user_len = request->user.len;
    const size_t password_len = request->password.len;
    waiting *login = calloc(1, sizeof *login + user_len + password_len);

    if (!login) {
        stem_fail(STEM_ENOMEM, "no memory for a login");
        return NULL;
    }
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

/* Takes it off the list; the lock is held. */
static void take_out(stem_login *pool, waiting *login)
{
    DL_DELETE(pool->list, login);
    pool->n_waiting--;
    login->peer->waiting--;
}

static enum stem_login_outcome check(waiting *login, const stem_user **user)
{
    const stem_slice name = {login->bytes, login->user_len};
    const stem_user *found = stem_access_find(login->access, name);
    const bool is_right = stem_access_verify(found, login->password, login->password_len);
    const bool is_known = is_right || errno != ENOMEM;

    sodium_memzero(login->password, login->password_len);
    if (!is_known)
        return STEM_LOGIN_FAILED;
    if (!is_right)
        return STEM_LOGIN_REFUSED;
    *user = found;
    return STEM_LOGIN_GRANTED;
}

/* ---- The threads ------------------------------------------------------------------ */

/* The first that nobody works on, NULL for none; the lock is held. */
static waiting *next_login(const stem_login *pool)
{
    waiting *login = pool->list;

    while (login && login->is_under_way)
        login = login->next;
    return login;
}

/* Finds the outcome of one, and tells it. The lock is held before and after. */
static void serve(stem_login *pool, waiting *login)
{
    enum stem_login_outcome outcome = STEM_LOGIN_TOO_MANY;
    const stem_user *user = NULL;

    login->is_under_way = true;
    /* Those before it may have failed since it came. */
    if (!stem_peer_is_over(&pool->peers, login->peer, stem_clock())) {
        pthread_mutex_unlock(&pool->lock);
        outcome = check(login, &user);
        pthread_mutex_lock(&pool->lock);
    }
    if (outcome == STEM_LOGIN_REFUSED)
        stem_peer_failed(&pool->peers, login->peer, stem_clock());
    take_out(pool, login);
    const bool is_cancelled = login->is_cancelled;
    pthread_mutex_unlock(&pool->lock);
    if (!is_cancelled)
        login->done(login->argument, outcome, user);
    free_login(login);
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
    enum { PEERS = 1024, WAITING = 64, WAITING_OF_PEER = 4, FAILURES = 5 };
    stem_login_options *own = &pool->options;

    *own = *options;
    if (own->threads == 0)
        own->threads = 1;
    if (own->threads > STEM_LOGIN_MAX_THREADS)
        return stem_fail(STEM_EINVAL, "logins have at most %d threads, not %u",
                         STEM_LOGIN_MAX_THREADS, own->threads);
    if (own->failures_per_second == 0)
        own->failures_per_second = FAILURES;
    if (own->max_waiting == 0)
        own->max_waiting = WAITING;
    if (own->max_waiting_of_peer == 0)
        own->max_waiting_of_peer = WAITING_OF_PEER;
    if (own->max_peers == 0)
        own->max_peers = PEERS;
    /* Each that waits has a place there. */
    if (own->max_peers < own->max_waiting)
        own->max_peers = own->max_waiting;
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
        code = stem_peers_init(&pool->peers, pool->options.max_peers,
                               pool->options.failures_per_second);
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
    DL_FOREACH_SAFE(login->list, each, next)
    {
        each->done(each->argument, STEM_LOGIN_STOPPED, NULL);
        free_login(each);
    }
    stem_peers_free(&login->peers);
    pthread_cond_destroy(&login->changed);
    pthread_mutex_destroy(&login->lock);
    free(login);
}

/* Whether one more of that peer may wait; the lock is held. */
static enum stem_login_outcome admit(stem_login *pool, const char *text, stem_peer **peer)
{
    *peer = stem_peers_at(&pool->peers, text);
    if (*peer && stem_peer_is_over(&pool->peers, *peer, stem_clock()))
        return STEM_LOGIN_TOO_MANY;
    if (!*peer || (*peer)->waiting >= pool->options.max_waiting_of_peer ||
        pool->n_waiting >= pool->options.max_waiting || pool->is_stopping)
        return STEM_LOGIN_BUSY;
    return STEM_LOGIN_WAITS;
}

enum stem_login_outcome
stem_login_start(stem_login *login, const stem_login_request *request, uint64_t *ticket)
{
    enum stem_login_outcome outcome;
    stem_peer *peer;
    waiting *made;

    pthread_mutex_lock(&login->lock);
    outcome = admit(login, request->peer, &peer);
    made = outcome == STEM_LOGIN_WAITS ? copy_request(request) : NULL;
    if (made) {
        made->peer = peer;
        made->ticket = *ticket = ++login->last_ticket;
        peer->waiting++;
        login->n_waiting++;
        DL_APPEND(login->list, made);
        pthread_cond_signal(&login->changed);
    } else if (outcome == STEM_LOGIN_WAITS) {
        outcome = STEM_LOGIN_FAILED;
    }
    pthread_mutex_unlock(&login->lock);
    return outcome;
}

bool stem_login_cancel(stem_login *login, uint64_t ticket)
{
    waiting *found;
    waiting *ours = NULL;
    bool is_in_time = false;

    pthread_mutex_lock(&login->lock);
    DL_SEARCH_SCALAR(login->list, found, ticket, ticket);
    if (found && found->is_under_way) {
        is_in_time = !found->is_cancelled;
        found->is_cancelled = true;
    } else if (found) {
        is_in_time = true;
        take_out(login, found);
        ours = found;
    }
    pthread_mutex_unlock(&login->lock);
    if (ours)
        free_login(ours);
    return is_in_time;
}
