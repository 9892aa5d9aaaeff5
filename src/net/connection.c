/*
 * A connection: its requests, and what has it go on.
 *
 * Everything that may let a connection go on ends in stem_connection_settle, or has it advanced in
 * the same iteration of the loop, which ends there, too: input that came, a socket that takes
 * more, a group, a task or a login that is finished. What is left then is waited for, or has the
 * next iteration (is_settled).
 */
#include "connection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "../clock.h"
#include "../engine/descriptor.h"
#include "../error.h"

enum {
    INPUT_UNKNOWN = 64 << 10, /* bytes of a request before the login */
    MOST_ARGS = 1 << 20,
    MOST_ARGS_SHARING = 1 << 30,
    ARGS_UNKNOWN = 16,
    REQUESTS_AT_ONCE = 1024 /* of a connection, before others go on */
};

/* How long one iteration of the loop serves requests, about, and each connection at least. */
static const uint64_t iteration_ns = 4 * STEM_MILLISECOND,
                      at_least_ns = STEM_MILLISECOND / 10;

/* ---- Opening and closing ---------------------------------------------------------- */

static void on_readable(evutil_socket_t fd, short what, void *argument);
static void on_writable(evutil_socket_t fd, short what, void *argument);

static bool make_events(stem_connection *connection)
{
    struct event_base *base = connection->server->base;
    const evutil_socket_t fd = connection->fd;

    connection->readable =
        event_new(base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    connection->writable =
        event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, connection);
    return connection->readable && connection->writable &&
           event_add(connection->readable, NULL) == 0;
}

static bool begin(stem_connection *connection, bool has_tls)
{
    stem_server *server = connection->server;
    const stem_resp_limits limits = {ARGS_UNKNOWN, INPUT_UNKNOWN};

    stem_resp_parser_init(&connection->parser, &limits);
    /* Random, since one that counts would tell how many others there are. */
    if (stem_random(&connection->id, sizeof connection->id) != STEM_OK)
        return false;
    connection->id >>= 1;
    if (has_tls && !stem_transport_open(connection))
        return false;
    if (!make_events(connection))
        return false;
    return server->access || stem_connection_be(connection, NULL, NULL) == STEM_OK;
}

void stem_connection_open(stem_server *server, int fd, bool has_tls, const char *peer)
{
    stem_connection *connection = calloc(1, sizeof *connection);

    if (!connection) {
        stem_descriptor_close(fd);
        return;
    }
    connection->server = server;
    connection->fd = fd;
    connection->since_ms = connection->active_ms = server->now_ms;
    stem_output_open(connection);
    memcpy(connection->peer, peer, strnlen(peer, STEM_PEER_TEXT - 1));
    DL_APPEND(server->connections, connection);
    server->n_connections++;
    server->metrics.connections++;
    if (!begin(connection, has_tls))
        stem_connection_close(connection);
}

static void leave_ready(stem_connection *connection)
{
    stem_server *server = connection->server;

    if (connection->is_listed_ready) {
        DL_DELETE2(server->ready, connection, prev_ready, next_ready);
        server->n_ready--;
    } else if (connection->is_starved) {
        DL_DELETE2(server->starved, connection, prev_ready, next_ready);
    }
    connection->is_listed_ready = connection->is_starved = false;
}

/* Frees it, unless a group, a task or a thread that is away comes back to it. */
static void free_if_unused(stem_connection *connection)
{
    stem_server *server = connection->server;

    if (connection->is_away || connection->group || connection->task || connection->login)
        return;
    if (connection->job)
        connection->job->free(connection->job);
    connection->job = NULL;
    stem_connection_forget(connection);
    leave_ready(connection);
    DL_DELETE(server->connections, connection);
    server->n_revoked -= connection->is_revoked;
    stem_resp_parser_free(&connection->parser);
    stem_input_free(connection);
    stem_output_free(connection);
    free(connection);
}

void stem_connection_close(stem_connection *connection)
{
    stem_server *server = connection->server;

    if (!connection->is_dead) {
        connection->is_dead = true;
        atomic_store(&connection->caller.is_gone, true);
        stem_connection_abandon_login(connection);
        stem_connection_leave(connection);
        if (connection->readable)
            event_free(connection->readable);
        if (connection->writable)
            event_free(connection->writable);
        stem_transport_close(connection);
        stem_descriptor_close(connection->fd);
        server->n_connections--;
        stem_listeners_pause(server, false);
    }
    free_if_unused(connection);
}

void stem_connection_end(stem_connection *connection)
{
    connection->is_ending = true;
}

void stem_connection_make_ready(stem_connection *connection)
{
    stem_server *server = connection->server;

    if (connection->is_listed_ready || connection->is_starved)
        return;
    connection->turn_ready = server->n_iterations;
    connection->is_listed_ready = true;
    server->n_ready++;
    DL_APPEND2(server->ready, connection, prev_ready, next_ready);
}

void stem_connection_starve(stem_connection *connection)
{
    leave_ready(connection);
    connection->is_starved = true;
    DL_APPEND2(connection->server->starved, connection, prev_ready, next_ready);
}

void stem_connections_resume(stem_server *server)
{
    while (server->starved) {
        stem_connection *first = server->starved;

        leave_ready(first);
        stem_connection_make_ready(first);
    }
}

/* ---- What there is to do ----------------------------------------------------------- */

/* Whether there is something to serve, if nothing keeps it from that. */
static bool has_work(const stem_connection *connection)
{
    return connection->job || connection->is_held || connection->broken ||
           stem_input_has_more(connection);
}

/* Whether something keeps it from taking the next request. Each of these has it advanced when
 * it is over. */
static bool is_waiting(const stem_connection *connection)
{
    return connection->is_away || connection->is_starved || connection->task ||
           connection->login || connection->waits_for_group || connection->is_ending ||
           connection->output.bytes.failed || stem_output_is_full(connection);
}

/* Reads what has arrived; false when the connection is at its end. */
static bool read_input(stem_connection *connection)
{
    switch (stem_input_read(connection)) {
    case STEM_INPUT_READ:
        return true;
    case STEM_INPUT_FULL: /* no error can stand where an answer is due before it */
        if (is_waiting(connection) || has_work(connection))
            return false;
        stem_reply_error(&connection->output, stem_input_is_full);
        stem_connection_end(connection);
        return true;
    default:
        return false;
    }
}

/* ---- Serving ---------------------------------------------------------------------- */

void stem_connection_allow(stem_connection *connection)
{
    const stem_server *server = connection->server;

    connection->parser.limits =
        (stem_resp_limits){server->is_sharing ? MOST_ARGS_SHARING : MOST_ARGS,
                           server->options.max_request_bytes};
}

void stem_connection_disallow(stem_connection *connection)
{
    connection->parser.limits = (stem_resp_limits){ARGS_UNKNOWN, INPUT_UNKNOWN};
}

/* Reads the next request of the input; false when there is none. */
static bool read_request(stem_connection *connection)
{
    if (!stem_input_has_more(connection))
        return false;
    const int state =
        stem_resp_parse(&connection->parser, connection->input + connection->input_used,
                        stem_input_left(connection));
    connection->input_wanted = state == STEM_RESP_MORE ? connection->parser.wanted : 0;
    if (state == STEM_RESP_READY)
        return true;
    if (state == STEM_RESP_MORE)
        return false;
    connection->broken = state;
    return false;
}

/* Nothing that follows can be understood. */
static void end_broken(stem_connection *connection)
{
    connection->waits_for_group =
        connection->group != NULL; /* its answer comes behind theirs */
    if (connection->group)
        return;
    if (connection->broken != STEM_RESP_BROKEN)
        stem_reply_failure(&connection->output, connection->broken);
    else if (connection->parser.problem) {
        char text[128];

        snprintf(text, sizeof text, "ERR %s", connection->parser.problem);
        stem_reply_error(&connection->output, text);
    }
    stem_connection_end(connection);
}

/* Serves one request, or a step of a long one; false when there is nothing to go on with. */
static bool serve_next(stem_connection *connection)
{
    stem_output_begin(connection);
    if (connection->job) {
        stem_connection_step(connection);
        return !connection->job;
    }
    if (!connection->broken && !connection->is_held && !read_request(connection) &&
        !connection->broken)
        return false;
    if (connection->broken) {
        end_broken(connection);
        return false;
    }
    const size_t used = connection->parser.used;
    connection->is_held = !stem_connection_serve(connection);
    if (connection->is_held)
        return false;
    connection->input_used += used;
    stem_resp_parser_trim(&connection->parser);
    return true;
}

/* Whether it has a command in a group that does not form any more. */
static bool is_committing(const stem_connection *connection)
{
    return connection->group && connection->group != connection->server->forming;
}

static bool can_go_on(const stem_connection *connection)
{
    return has_work(connection) && !is_waiting(connection) &&
           !is_committing(connection) && !connection->is_dead;
}

/* How long its requests may be served in this iteration. */
static uint64_t share_ns(const stem_server *server)
{
    const uint64_t share = iteration_ns / (server->n_ready + 1);

    return share > at_least_ns ? share : at_least_ns;
}

static void serve_requests(stem_connection *connection)
{
    enum { REQUESTS_PER_LOOK = 4 };
    const uint64_t ends_at = stem_clock() + share_ns(connection->server);
    int n = 0;

    while (n < REQUESTS_AT_ONCE && can_go_on(connection) && serve_next(connection))
        if (++n % REQUESTS_PER_LOOK == 0 && stem_clock() >= ends_at)
            break;
    stem_output_count(connection);
}

/* ---- Reading ---------------------------------------------------------------------- */

static bool can_read(const stem_connection *connection)
{
    if (stem_input_is_borrowed(connection) || connection->is_ending ||
        connection->is_input_over || connection->broken)
        return false;
    return (!has_work(connection) && !is_waiting(connection)) ||
           stem_input_may_read_ahead(connection);
}

/* Has an event when more can be read. */
static bool watch_input(stem_connection *connection)
{
    if (!connection->is_unread || !can_read(connection))
        return true;
    connection->is_unread = false;
    return event_add(connection->readable, NULL) == 0;
}

/* Reads what TLS has taken from the socket already, which will not become readable for it. */
static bool read_rest(stem_connection *connection)
{
    while (can_read(connection) && stem_transport_has_more(connection))
        if (!read_input(connection))
            return false;
    return true;
}

/* ---- Going on --------------------------------------------------------------------- */

static bool is_at_rest(const stem_connection *connection)
{
    return !connection->group && !connection->task && !connection->login &&
           !connection->waits_for_group && !has_work(connection);
}

/* Whether nothing more will come of it. */
static bool is_over(const stem_connection *connection)
{
    return connection->is_ending && stem_output_waiting(connection) == 0 &&
           !connection->group && !connection->task && !connection->login;
}

/* Whether the error that it ends with came too late to be sent. */
static bool has_last_words(const stem_connection *connection)
{
    return connection->is_ending && !connection->is_blocked && !connection->group &&
           !connection->task && !connection->login;
}

/* Whether what it waits for will have it advanced. */
static bool is_settled(const stem_connection *connection)
{
    if (connection->is_listed_ready || connection->is_starved || connection->group ||
        connection->task || connection->login || connection->waits_for_group)
        return true;
    if (can_go_on(connection))
        return false;
    return stem_output_waiting(connection) > 0 ? connection->is_blocked
                                               : !connection->is_unread;
}

bool stem_connection_is_elsewhere(const stem_connection *connection)
{
    return connection->is_away || is_committing(connection);
}

/* Sends and reads what it can; false when the connection is at its end. */
static bool go_on(stem_connection *connection)
{
    const stem_server *server = connection->server;

    if ((server->is_draining || connection->is_input_over) && is_at_rest(connection))
        stem_connection_end(connection);
    stem_connection_drop_muted(connection);
    if (!stem_output_send(connection) || is_over(connection))
        return false;
    stem_output_tidy(connection);
    stem_input_tidy(connection);
    return read_rest(connection) && watch_input(connection);
}

void stem_connection_settle(stem_connection *connection)
{
    if (!connection->is_dead && stem_connection_is_elsewhere(connection)) {
        stem_output_pause(connection);
        return;
    }
    if (!connection->group)
        connection->waits_for_group = false;
    if (connection->is_dead || !go_on(connection)) {
        stem_connection_close(connection);
        return;
    }
    if (can_go_on(connection) || has_last_words(connection))
        stem_connection_make_ready(connection);
    assert(is_settled(connection));
}

void stem_connection_advance(stem_connection *connection)
{
    leave_ready(connection);
    if (!connection->is_dead && !stem_connection_is_elsewhere(connection)) {
        if (!connection->group)
            connection->waits_for_group = false;
        stem_output_tidy(connection);
        serve_requests(connection);
    }
    stem_connection_settle(connection);
}

/* Whether the client has ended the stream with nothing behind the login that it waits for. Of
 * one that has sent more, and then ended its half, the requests are answered. */
static bool has_hung_up(const stem_connection *connection)
{
    char byte;

    return connection->login && connection->input_used == connection->input_len &&
           recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    stem_connection *connection = argument;

    (void)fd;
    (void)what;
    stem_spin_end(&connection->server->spin);
    if (has_hung_up(connection)) {
        stem_connection_close(connection);
        return;
    }
    if (!can_read(connection)) {
        connection->is_unread = true;
        event_del(connection->readable);
        return;
    }
    if (read_input(connection))
        stem_connection_make_ready(connection);
    else
        stem_connection_close(connection);
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
    stem_connection *connection = argument;

    (void)fd;
    (void)what;
    /* TLS may have to write before it can read. */
    const bool is_for_reading = connection->tls_wants_write &&
                                !stem_connection_is_elsewhere(connection) &&
                                stem_output_waiting(connection) == 0;
    if (is_for_reading && !can_read(connection))
        stem_output_pause(connection); /* what keeps it from that has it advanced */
    else if (!is_for_reading || read_input(connection))
        stem_connection_settle(connection);
    else
        stem_connection_close(connection);
}
