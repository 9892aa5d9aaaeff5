/*
 * Who runs the loop, and who commits.
 *
 * A hand-over between threads costs more than most commits do, so the thread that has the loop
 * commits its group itself. The spare thread keeps the time: a commit that takes longer than
 * `patience` (a disk that stalls, LevelDB waiting for a compaction), or that is known to, loses
 * its thread the loop. The spare goes on serving readers and gathers the next group, and the
 * thread that was slow commits that too if it is there by then; afterwards it is the spare.
 *
 * `turn` is the number of the commit times four, plus its state. Only a compare-and-exchange
 * from INLINE decides whether the loop is kept or lost.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../clock.h"
#include "../engine/descriptor.h"
#include "../error.h"
#include "connection.h"

enum { IDLE = 0, INLINE = 1, TAKEN = 2, STATES = 4 };

static const uint64_t patience_ns = STEM_MILLISECOND, parking_ns = 50 * STEM_MILLISECOND;

/* ---- What other threads ask for --------------------------------------------------- */

static void wake_loop(stem_server *server)
{
    const uint64_t one = 1;

    while (write(server->post_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

void stem_server_post(stem_server *server, stem_post *post)
{
    post->next = NULL;
    pthread_mutex_lock(&server->post_lock);
    const bool is_first = !server->posts;
    *server->posts_end = post;
    server->posts_end = &post->next;
    pthread_mutex_unlock(&server->post_lock);
    if (is_first)
        wake_loop(server);
}

static void run_posts(stem_server *server)
{
    pthread_mutex_lock(&server->post_lock);
    stem_post *each = server->posts;
    server->posts = NULL;
    server->posts_end = &server->posts;
    pthread_mutex_unlock(&server->post_lock);
    while (each) {
        stem_post *next = each->next;

        each->run(each);
        each = next;
    }
}

static void on_posted(evutil_socket_t fd, short what, void *argument)
{
    stem_server *server = argument;
    uint64_t count;

    (void)what;
    stem_spin_end(&server->spin);
    if (read(fd, &count, sizeof count) > 0)
        run_posts(server);
}

/* ---- Committing ------------------------------------------------------------------- */

static bool is_idle(const stem_roles *roles)
{
    return atomic_load(&roles->turn) % STATES == IDLE;
}

/* Lets a committed group's connections go on; it is the next to form. */
static void finish(stem_server *server, stem_group *group)
{
    if (server->forming)
        server->unused = group;
    else
        server->forming = group;
    stem_group_finish(group);
}

/* Finishes what the other thread has committed. */
static void finish_done(stem_server *server)
{
    stem_roles *roles = &server->roles;

    pthread_mutex_lock(&roles->lock);
    stem_group *done = roles->done;
    roles->done = NULL;
    if (done) /* the spare, which nothing has changed for, sleeps on */
        pthread_cond_broadcast(&roles->changed);
    pthread_mutex_unlock(&roles->lock);
    if (done)
        finish(server, done);
}

/* Hands over what this thread, without the loop, has committed, and commits what the loop has
 * left meanwhile, until that is nothing. */
static void commit_what_is_left(stem_server *server, stem_group *group)
{
    stem_roles *roles = &server->roles;

    pthread_mutex_lock(&roles->lock);
    while (group) {
        while (roles->done)
            pthread_cond_wait(&roles->changed, &roles->lock);
        roles->done = group;
        wake_loop(server);
        group = roles->left;
        roles->left = NULL;
        if (!group)
            break;
        pthread_mutex_unlock(&roles->lock);
        stem_group_commit(group);
        pthread_mutex_lock(&roles->lock);
    }
    atomic_fetch_and(&roles->turn, ~(uint_fast64_t)(STATES - 1));
    pthread_mutex_unlock(&roles->lock);
}

/* Has the spare thread keep the time; one that is known to be slow it takes the loop from at
 * once. */
static uint64_t begin_turn(stem_server *server, bool is_slow)
{
    stem_roles *roles = &server->roles;
    const uint64_t turn = (atomic_load(&roles->turn) / STATES + 1) * STATES + INLINE;

    atomic_store(&roles->began_ns, is_slow ? 0 : stem_clock());
    atomic_store(&roles->turn, turn);
    if (is_slow || atomic_load(&roles->is_parked)) {
        pthread_mutex_lock(&roles->lock);
        atomic_store(&roles->is_parked, false);
        pthread_cond_broadcast(&roles->changed);
        pthread_mutex_unlock(&roles->lock);
    }
    return turn;
}

/* Commits the group, and says whether this thread has kept the loop. When it has not, others
 * have the group by now. */
static bool commit_here(stem_server *server, stem_group *group)
{
    uint_fast64_t turn = begin_turn(server, stem_group_is_slow(group));

    stem_group_commit(group);
    if (atomic_compare_exchange_strong(&server->roles.turn, &turn,
                                       turn - INLINE + IDLE)) {
        finish(server, group);
        return true;
    }
    commit_what_is_left(server, group);
    return false;
}

/* Leaves the group to the thread that is committing; false when none is. */
static bool leave_to_other(stem_server *server, stem_group *group)
{
    stem_roles *roles = &server->roles;

    if (is_idle(roles))
        return false;
    pthread_mutex_lock(&roles->lock);
    const bool is_left = !is_idle(roles);
    if (is_left)
        roles->left = group;
    pthread_mutex_unlock(&roles->lock);
    return is_left;
}

static bool has_gathered(const stem_server *server)
{
    return server->forming && !stem_group_is_empty(server->forming);
}

/* Commits what was gathered; false when this thread has lost the loop over it. What those gather
 * who go on then is for the next turn, so that nobody waits for all that one has sent. */
static bool commit_forming(stem_server *server)
{
    stem_group *group = server->forming;

    if (!has_gathered(server))
        return true;
    server->forming = server->unused;
    server->unused = NULL;
    return leave_to_other(server, group) || commit_here(server, group);
}

/* ---- The loop --------------------------------------------------------------------- */

/* Those that are ready now; who becomes ready meanwhile has the next turn. */
static void advance_ready(stem_server *server)
{
    const uint64_t turn = ++server->turns;

    while (server->ready && server->ready->turn_ready < turn)
        stem_connection_advance(server->ready);
}

static bool is_finished(const stem_server *server)
{
    return server->is_draining && !server->connections && server->n_tasks == 0 &&
           is_idle(&server->roles);
}

/* Runs the loop until the server ends (true) or the other thread has taken it (false). */
static bool run_loop(stem_server *server)
{
    if (!server->forming) {
        server->forming = server->unused;
        server->unused = NULL;
    }
    while (!is_finished(server)) {
        const bool is_awake =
            server->ready || has_gathered(server) || stem_spin_again(&server->spin);

        stem_server_finish_reload(server);
        event_base_loop(server->base, EVLOOP_ONCE | (is_awake ? EVLOOP_NONBLOCK : 0));
        finish_done(server);
        advance_ready(server);
        if (!commit_forming(server))
            return false;
    }
    return true;
}

/* ---- The threads ------------------------------------------------------------------ */

static void wait_until(stem_roles *roles, uint64_t ns)
{
    const struct timespec until = {.tv_sec = (time_t)(ns / STEM_SECOND),
                                   .tv_nsec = (long)(ns % STEM_SECOND)};

    pthread_cond_timedwait(&roles->changed, &roles->lock, &until);
}

/* Sleeps until somebody commits; roles->lock is held. Either this sees the turn that has begun,
 * or who began it sees that this is parked. */
static void park(stem_roles *roles)
{
    atomic_store(&roles->is_parked, true);
    while (atomic_load(&roles->is_parked) && is_idle(roles) && !roles->is_stopping)
        pthread_cond_wait(&roles->changed, &roles->lock);
    atomic_store(&roles->is_parked, false);
}

/* Keeps the time; true when this thread has the loop, false when the server ends. */
static bool wait_for_loop(stem_roles *roles)
{
    uint64_t idle_since = stem_clock();
    bool has_loop = false;

    pthread_mutex_lock(&roles->lock);
    while (!has_loop && !roles->is_stopping) {
        uint_fast64_t turn = atomic_load(&roles->turn);
        const uint64_t now = stem_clock();

        if (turn % STATES == INLINE) {
            const uint64_t due = atomic_load(&roles->began_ns) + patience_ns;

            idle_since = now;
            if (due > now)
                wait_until(roles, due);
            else
                has_loop = atomic_compare_exchange_strong(&roles->turn, &turn,
                                                          turn + TAKEN - INLINE);
        } else if (now - idle_since > parking_ns) {
            park(roles);
            idle_since = stem_clock();
        } else {
            wait_until(roles, now + patience_ns);
        }
    }
    pthread_mutex_unlock(&roles->lock);
    return has_loop;
}

static void end_loop(stem_roles *roles)
{
    pthread_mutex_lock(&roles->lock);
    roles->is_stopping = true;
    pthread_cond_broadcast(&roles->changed);
    pthread_mutex_unlock(&roles->lock);
}

static void *begin_with_loop(void *argument)
{
    stem_server *server = argument;

    do {
        if (run_loop(server))
            end_loop(&server->roles);
    } while (wait_for_loop(&server->roles));
    return NULL;
}

static void *begin_spare(void *argument)
{
    stem_server *server = argument;

    return wait_for_loop(&server->roles) ? begin_with_loop(argument) : NULL;
}

int stem_loop_prepare(stem_server *server)
{
    stem_roles *roles = &server->roles;
    pthread_condattr_t attributes;

    pthread_mutex_init(&roles->lock, NULL);
    pthread_mutex_init(&server->post_lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&roles->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    server->posts_end = &server->posts;
    server->post_fd = stem_descriptor_event();
    if (server->post_fd < 0)
        return stem_fail(STEM_EIO, "cannot make an eventfd: %s", strerror(errno));
    server->posted =
        event_new(server->base, server->post_fd, EV_READ | EV_PERSIST, on_posted, server);
    if (!server->posted || event_add(server->posted, NULL) != 0)
        return stem_fail(STEM_ENOMEM, "no memory for a server");
    return STEM_OK;
}

/* What is posted by now has nobody to run it but this. */
void stem_loop_forget(stem_server *server)
{
    run_posts(server);
    stem_server_finish_reload(server);
    if (server->posted)
        event_free(server->posted);
    if (server->post_fd >= 0)
        stem_descriptor_close(server->post_fd);
    pthread_cond_destroy(&server->roles.changed);
    pthread_mutex_destroy(&server->roles.lock);
    pthread_mutex_destroy(&server->post_lock);
}

int stem_loop_start(stem_server *server)
{
    static void *(*const begin[])(void *) = {begin_spare, begin_with_loop};
    stem_roles *roles = &server->roles;
    sigset_t all, before;
    int cause = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; i < 2 && cause == 0; i++) {
        cause = pthread_create(&roles->threads[i], NULL, begin[i], server);
        roles->n_threads += cause == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (cause == 0)
        return STEM_OK;
    end_loop(roles);
    stem_loop_join(server);
    return stem_fail(STEM_EIO, "cannot start a thread: %s", strerror(cause));
}

void stem_loop_join(stem_server *server)
{
    for (; server->roles.n_threads > 0; server->roles.n_threads--)
        pthread_join(server->roles.threads[server->roles.n_threads - 1], NULL);
}
