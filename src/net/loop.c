/*
 * The loop: what has arrived is read, connections go on, and what they have written is committed.
 *
 * Callbacks of libevent's only read and note which connections may go on, since a turn must not
 * begin within one: the thread that takes the loop over goes through libevent itself.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../engine/descriptor.h"
#include "../error.h"
#include "turn.h"

/* ---- What other threads ask for --------------------------------------------------- */

void stem_loop_wake(stem_server *server)
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
        stem_loop_wake(server);
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

/* Commits the group, and lets its connections go on; it is the next to form. */
static void commit(stem_server *server, stem_group *group)
{
    const stem_turn turn = stem_turn_begin(server, NULL, NULL, stem_group_is_slow(group));

    stem_group_commit(group);
    stem_turn_end(server, &turn);
    if (server->forming)
        server->unused = group;
    else
        server->forming = group;
    stem_group_finish(group);
}

static stem_group *take_first_gathered(stem_server *server)
{
    stem_group *first = server->gathered[0];

    server->n_gathered--;
    memmove(server->gathered, server->gathered + 1,
            server->n_gathered * sizeof *server->gathered);
    return first;
}

/* The group that is to be committed now, or NULL. */
static stem_group *take_gathered(stem_server *server)
{
    if (!stem_turn_is_free(server))
        return NULL;
    if (server->n_gathered > 0)
        return take_first_gathered(server);
    stem_group *group = server->forming;
    if (!group || stem_group_is_empty(group))
        return NULL;
    server->forming = server->unused;
    server->unused = NULL;
    return group;
}

/* What connections that go on then gather is for the next time, so that no client waits for all that
 * another has sent. */
static void commit_gathered(stem_server *server)
{
    stem_group *group = take_gathered(server);

    if (group)
        commit(server, group);
}

static bool has_gathered(const stem_server *server)
{
    return stem_turn_is_free(server) &&
           (server->n_gathered > 0 ||
            (server->forming && !stem_group_is_empty(server->forming)));
}

/* ---- The loop --------------------------------------------------------------------- */

/* Those that are ready now; connections that become ready meanwhile go on the next time. */
static void advance_ready(stem_server *server)
{
    const uint64_t now = ++server->n_iterations;

    while (server->ready && server->ready->turn_ready < now)
        stem_connection_advance(server->ready);
}

static bool is_finished(const stem_server *server)
{
    return server->is_draining && !server->connections && server->n_tasks == 0 &&
           server->turns.n_away == 0;
}

/* Runs the loop until the server ends (true), or a thread that was away has it (false). */
static bool run_loop(stem_server *server)
{
    while (!is_finished(server)) {
        if (stem_turn_yield(server))
            return false;
        const bool is_awake =
            server->ready || has_gathered(server) || stem_spin_again(&server->spin);

        stem_server_finish_reload(server);
        event_base_loop(server->base, EVLOOP_ONCE | (is_awake ? EVLOOP_NONBLOCK : 0));
        advance_ready(server);
        commit_gathered(server);
    }
    return true;
}

/* ---- Beginning and ending --------------------------------------------------------- */

int stem_loop_prepare(stem_server *server)
{
    pthread_mutex_init(&server->post_lock, NULL);
    server->posts_end = &server->posts;
    const int code = stem_turns_prepare(server);
    if (code != STEM_OK)
        return code;
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
    stem_turns_forget(server);
    pthread_mutex_destroy(&server->post_lock);
}

int stem_loop_start(stem_server *server)
{
    return stem_turns_start(server, run_loop);
}
