/*
 * A connection's bytes in and out.
 *
 * Requests are served where they lie in the input; while a group refers to them nothing is
 * read, so they stay there. Nothing is read either while too much of the output waits: a peer
 * that does not read its replies is not served.
 */
#include "connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "../engine/descriptor.h"
#include "../error.h"

enum {
    INPUT_FIRST = 16 << 10,   /* bytes; also what is kept of a buffer */
    INPUT_UNKNOWN = 64 << 10, /* of a request before the login */
    MOST_ARGS = 1 << 20,
    MOST_ARGS_SHARING = 1 << 30,
    ARGS_UNKNOWN = 16,
    OUTPUT_ENOUGH = 1 << 20, /* waiting: no more requests are served */
    OUTPUT_KEPT = 64 << 10,
    AT_ONCE = 1024, /* requests, before others have their turn */
    FEW_CONNECTIONS = 256
};

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
    connection->since_ms = connection->active_ms = connection->stalled_ms =
        server->now_ms;
    connection->output.version = 2;
    connection->output_safe = SIZE_MAX;
    connection->output.bytes.limit = server->options.max_output_bytes + OUTPUT_ENOUGH;
    memcpy(connection->peer, peer, strnlen(peer, STEM_PEER_TEXT - 1));
    DL_APPEND(server->connections, connection);
    server->n_connections++;
    server->metrics.connections++;
    if (!begin(connection, has_tls))
        stem_connection_close(connection);
}

static void leave_ready(stem_connection *connection)
{
    if (!connection->is_listed_ready)
        return;
    connection->is_listed_ready = false;
    DL_DELETE2(connection->server->ready, connection, prev_ready, next_ready);
}

/* Frees it, unless somebody will come back to it: a group, a task of another thread. */
static void free_if_unused(stem_connection *connection)
{
    stem_server *server = connection->server;

    if (connection->group || connection->task || connection->login)
        return;
    stem_connection_forget(connection);
    leave_ready(connection);
    DL_DELETE(server->connections, connection);
    server->input_bytes -= connection->input_capacity;
    server->n_revoked -= connection->is_revoked;
    stem_resp_parser_free(&connection->parser);
    free(connection->input);
    free(connection->output.bytes.data);
    free(connection);
}

void stem_connection_close(stem_connection *connection)
{
    stem_server *server = connection->server;

    if (!connection->is_dead) {
        connection->is_dead = true;
        atomic_store(&connection->caller.is_gone, true);
        if (connection->job)
            connection->job->free(connection->job);
        connection->job = NULL;
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
    connection->turn_ready = connection->server->turns;
    if (connection->is_listed_ready)
        return;
    connection->is_listed_ready = true;
    DL_APPEND2(connection->server->ready, connection, prev_ready, next_ready);
}

/* ---- Output ----------------------------------------------------------------------- */

static size_t output_waiting(const stem_connection *connection)
{
    return connection->output.bytes.len - connection->output_sent;
}

/* What has been sent makes room, once all of it is. */
static void empty_output(stem_connection *connection)
{
    stem_buffer *bytes = &connection->output.bytes;

    if (connection->group || connection->output_sent < bytes->len)
        return;
    bytes->len = connection->output_sent = 0;
    if (bytes->capacity > OUTPUT_KEPT) {
        free(bytes->data);
        *bytes = (stem_buffer){.limit = bytes->limit};
    }
}

/* Sends what may be sent; false when the connection is at its end. */
static bool send_output(stem_connection *connection)
{
    const stem_buffer *bytes = &connection->output.bytes;
    const size_t safe =
        bytes->len < connection->output_safe ? bytes->len : connection->output_safe;
    ssize_t n = 0;

    while (connection->output_sent < safe && n >= 0) {
        n = stem_transport_write(connection, bytes->data + connection->output_sent,
                                 safe - connection->output_sent);
        if (n > 0) {
            connection->output_sent += (size_t)n;
            connection->server->metrics.bytes_out += (uint64_t)n;
            connection->stalled_ms = connection->server->now_ms;
        }
    }
    if (n == STEM_TRANSPORT_ENDED)
        return false;
    const bool is_blocked = connection->output_sent < safe || connection->tls_wants_write;
    if (is_blocked != connection->is_blocked) {
        connection->is_blocked = is_blocked;
        if (is_blocked ? event_add(connection->writable, NULL)
                       : event_del(connection->writable))
            return false;
    }
    empty_output(connection);
    return true;
}

static bool has_failed_output(const stem_connection *connection)
{
    return connection->output.bytes.failed ||
           output_waiting(connection) > connection->server->options.max_output_bytes;
}

/* ---- Input ------------------------------------------------------------------------ */

static bool is_input_borrowed(const stem_connection *connection)
{
    return connection->group || connection->is_held;
}

/* Moves what is left of the input to its start, or lets go of what is not needed. */
static void tidy_input(stem_connection *connection)
{
    stem_server *server = connection->server;
    const size_t left = connection->input_len - connection->input_used;

    if (is_input_borrowed(connection) || connection->input_used == 0)
        return;
    if (left > 0)
        memmove(connection->input, connection->input + connection->input_used, left);
    connection->input_len = left;
    connection->input_used = 0;
    if (left == 0 && (connection->input_capacity > INPUT_FIRST ||
                      server->n_connections > FEW_CONNECTIONS)) {
        free(connection->input);
        connection->input = NULL;
        server->input_bytes -= connection->input_capacity;
        connection->input_capacity = 0;
    }
}

const char stem_input_is_full[] = "BUSY too many bytes of requests are under way";

bool stem_connection_may_hold(const stem_connection *connection, size_t bytes)
{
    const stem_server *server = connection->server;

    return server->input_bytes + bytes <= server->options.max_input_bytes;
}

/* Makes room for what the parser wants, but no more than about as much as has come already:
 * what is only claimed takes no memory. */
static bool make_input_room(stem_connection *connection)
{
    stem_server *server = connection->server;
    const size_t earned = 2 * connection->input_len + INPUT_FIRST;
    size_t wanted = connection->input_wanted < earned ? connection->input_wanted : earned;

    if (wanted < connection->input_len + 1)
        wanted = connection->input_len + 1;
    if (wanted <= connection->input_capacity)
        return true;
    size_t capacity =
        connection->input_capacity > 0 ? connection->input_capacity : INPUT_FIRST;
    while (capacity < wanted)
        capacity *= 2;
    if (capacity > INPUT_FIRST &&
        !stem_connection_may_hold(connection, capacity - connection->input_capacity))
        return false;
    char *input = realloc(connection->input, capacity);
    if (!input)
        return false;
    server->input_bytes += capacity - connection->input_capacity;
    connection->input = input;
    connection->input_capacity = capacity;
    return true;
}

/* Reads what has arrived; false when the connection is at its end. */
static bool read_input(stem_connection *connection)
{
    tidy_input(connection);
    if (!make_input_room(connection)) {
        stem_reply_error(&connection->output, stem_input_is_full);
        stem_connection_end(connection);
        return true;
    }
    const ssize_t n =
        stem_transport_read(connection, connection->input + connection->input_len,
                            connection->input_capacity - connection->input_len);
    if (n == STEM_TRANSPORT_ENDED)
        return false;
    if (n > 0) {
        connection->input_len += (size_t)n;
        connection->server->metrics.bytes_in += (uint64_t)n;
        connection->active_ms = connection->server->now_ms;
    }
    return true;
}

/* ---- Serving ---------------------------------------------------------------------- */

bool stem_connection_is_waiting(const stem_connection *connection)
{
    return connection->task || connection->login || connection->waits_for_group ||
           connection->is_ending || output_waiting(connection) > OUTPUT_ENOUGH;
}

void stem_connection_allow(stem_connection *connection)
{
    const stem_server *server = connection->server;

    connection->parser.limits =
        (stem_resp_limits){server->is_sharing ? MOST_ARGS_SHARING : MOST_ARGS,
                           server->options.max_request_bytes};
}

/* Reads the next request of the input; false when there is none. */
static bool read_request(stem_connection *connection)
{
    const size_t left = connection->input_len - connection->input_used;

    if (left == 0 || left < connection->input_wanted)
        return false;
    const int state = stem_resp_parse(&connection->parser,
                                      connection->input + connection->input_used, left);
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
    if (connection->group) /* its answer comes behind theirs */
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
    if (connection->job) {
        stem_connection_step(connection);
        if (connection->job)
            stem_connection_make_ready(connection);
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

/* Whether nothing more will come of it. */
static bool is_over(const stem_connection *connection)
{
    return connection->is_ending && output_waiting(connection) == 0 &&
           !connection->group && !connection->task && !connection->login;
}

static bool is_at_rest(const stem_connection *connection)
{
    return !connection->group && !connection->is_held && !connection->job &&
           !connection->task && !connection->login && !connection->waits_for_group;
}

static bool can_read(const stem_connection *connection)
{
    return !is_input_borrowed(connection) && !stem_connection_is_waiting(connection) &&
           !connection->job;
}

/* What TLS has taken from the socket already, which will not become readable for it. */
static void read_ahead(stem_connection *connection)
{
    if (!stem_transport_has_more(connection) || !can_read(connection))
        return;
    if (read_input(connection))
        stem_connection_make_ready(connection);
    else
        stem_connection_close(connection);
}

/* Whether it has a command in a group that does not form any more. */
static bool is_committing(const stem_connection *connection)
{
    return connection->group && connection->group != connection->server->forming;
}

void stem_connection_advance(stem_connection *connection)
{
    stem_server *server = connection->server;

    leave_ready(connection);
    if (connection->is_dead) {
        stem_connection_close(connection);
        return;
    }
    if (is_committing(
            connection)) { /* who commits has its output: stem_group_finish is next */
        if (connection->is_blocked)
            event_del(connection->writable);
        connection->is_blocked = false;
        return;
    }
    if (!connection->group)
        connection->waits_for_group = false;
    int n = 0;
    while (n < AT_ONCE && !stem_connection_is_waiting(connection) &&
           serve_next(connection))
        n++;
    if (n == AT_ONCE)
        stem_connection_make_ready(connection);
    if (server->is_draining && is_at_rest(connection) && n < AT_ONCE &&
        output_waiting(connection) <= OUTPUT_ENOUGH)
        stem_connection_end(connection);
    if (!send_output(connection) || has_failed_output(connection) ||
        is_over(connection)) {
        stem_connection_close(connection);
        return;
    }
    tidy_input(connection);
    if (connection->is_unread && can_read(connection)) {
        connection->is_unread = false;
        if (event_add(connection->readable, NULL) != 0) {
            stem_connection_close(connection);
            return;
        }
    }
    read_ahead(connection);
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    stem_connection *connection = argument;

    (void)fd;
    (void)what;
    stem_spin_end(&connection->server->spin);
    if (!can_read(connection)) {
        connection->is_unread = true;
        event_del(connection->readable);
        return;
    }
    if (read_input(connection))
        stem_connection_advance(connection);
    else
        stem_connection_close(connection);
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
    stem_connection *connection = argument;

    (void)fd;
    (void)what;
    /* TLS may have to write before it can read. */
    if (connection->tls_wants_write && can_read(connection) && !read_input(connection))
        stem_connection_close(connection);
    else
        stem_connection_advance(connection);
}
