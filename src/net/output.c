/*
 * A connection's answers, from the commands to the socket.
 *
 * Commands add to the buffer's end. What lies before `output_sent` has been sent; what lies behind
 * `output_safe` is a group's, which may still change it. Bytes move only while no group refers
 * to them. An answer that would be over a limit is replaced by an error where it begins, so that
 * what is sent is always one whole answer a request, in order; where that cannot be had, the
 * buffer stays failed and the connection is closed.
 */
#include <stdlib.h>
#include <string.h>

#include "connection.h"

enum {
    OUTPUT_ENOUGH = 1 << 20, /* waiting: no more requests are served */
    OUTPUT_KEPT = 64 << 10, /* of a buffer; also what one may have whatever others hold */
    BYTES_AT_ONCE = 1 << 20, /* sent, before others go on */
    MOVED_AT_ONCE = 4 << 20, /* within a buffer: about a millisecond */
    FEW_CONNECTIONS = 256,
    STALLED_MS = 60000,
    SLOW_MS = 5000 /* for OUTPUT_KEPT bytes, where memory is short */
};

void stem_output_open(stem_connection *connection)
{
    connection->output.version = 2;
    connection->output.failures = &connection->server->failures;
    connection->output_safe = SIZE_MAX;
    connection->stalled_ms = connection->paced_ms = connection->server->now_ms;
    stem_output_begin(connection);
}

void stem_output_free(stem_connection *connection)
{
    connection->server->output_bytes -= connection->output_counted;
    free(connection->output.bytes.data);
}

size_t stem_output_waiting(const stem_connection *connection)
{
    return connection->output.bytes.len - connection->output_sent;
}

/* ---- Limits ----------------------------------------------------------------------- */

bool stem_output_is_short(const stem_server *server)
{
    return server->output_bytes > server->options.max_total_output_bytes / 4 * 3;
}

bool stem_output_is_full(const stem_connection *connection)
{
    const size_t waiting = stem_output_waiting(connection);

    return waiting > OUTPUT_ENOUGH ||
           (waiting > 0 && stem_output_is_short(connection->server));
}

/* What the connection's memory may grow to before the server's limit is reached. */
static size_t share_of_server(const stem_connection *connection)
{
    const stem_server *server = connection->server;
    const size_t others = server->output_bytes - connection->output_counted;
    const size_t total = server->options.max_total_output_bytes;

    return others < total && total - others > OUTPUT_KEPT ? total - others : OUTPUT_KEPT;
}

void stem_output_begin(stem_connection *connection)
{
    const size_t own =
        connection->output.bytes.len + connection->server->options.max_output_bytes;
    const size_t share = share_of_server(connection);

    connection->is_output_short = share < own;
    connection->output.bytes.limit = share < own ? share : own;
}

/* Errors have no limit: each is smaller than what it stands for, or nearly so. */
void stem_output_replace(stem_connection *connection, size_t start, size_t len, int code)
{
    stem_buffer *bytes = &connection->output.bytes;
    stem_reply error = {.version = connection->output.version,
                        .failures = connection->output.failures,
                        .tells_causes = connection->output.tells_causes};
    const size_t behind = bytes->len - start - len, limit = bytes->limit;

    if (!bytes->failed)
        stem_reply_failure(&error, code);
    else if (connection->is_output_short)
        stem_reply_error(&error, "BUSY too many bytes of answers wait, try again");
    else
        stem_reply_error(&error, "NOMEM the answer is too large");
    bytes->failed = error.bytes.failed;
    bytes->limit = 0;
    if (stem_buffer_room(bytes, error.bytes.len)) {
        memmove(bytes->data + start + error.bytes.len, bytes->data + start + len, behind);
        memcpy(bytes->data + start, error.bytes.data, error.bytes.len);
        bytes->len = start + error.bytes.len + behind;
    }
    bytes->limit = limit;
    free(error.bytes.data);
}

void stem_output_fail(stem_connection *connection, size_t start, int code)
{
    stem_output_replace(connection, start, connection->output.bytes.len - start, code);
}

void stem_output_count(stem_connection *connection)
{
    const size_t now = connection->output.bytes.capacity +
                       (connection->job ? connection->job->held_bytes : 0);

    connection->server->output_bytes += now - connection->output_counted;
    connection->output_counted = now;
}

bool stem_output_is_overdue(const stem_connection *connection)
{
    const stem_server *server = connection->server;

    return connection->is_blocked &&
           (server->now_ms - connection->stalled_ms > STALLED_MS ||
            (stem_output_is_short(server) &&
             server->now_ms - connection->paced_ms > SLOW_MS));
}

/* ---- Room ------------------------------------------------------------------------- */

static void empty(stem_connection *connection)
{
    stem_buffer *bytes = &connection->output.bytes;

    bytes->len = connection->output_sent = connection->muted_from = 0;
    if (bytes->capacity > OUTPUT_KEPT ||
        connection->server->n_connections > FEW_CONNECTIONS) {
        free(bytes->data);
        bytes->data = NULL;
        bytes->capacity = 0;
    }
}

/* Moves what waits to the start, and gives back what is behind it. So that no byte is moved more
 * often than once for one that is sent, at least as many have been sent. */
static void compact(stem_connection *connection)
{
    stem_buffer *bytes = &connection->output.bytes;

    bytes->len -= connection->output_sent;
    if (connection->has_muted)
        connection->muted_from -= connection->output_sent;
    memmove(bytes->data, bytes->data + connection->output_sent, bytes->len);
    connection->output_sent = 0;
    char *smaller = realloc(bytes->data, bytes->len);
    if (!smaller)
        return;
    bytes->data = smaller;
    bytes->capacity = bytes->len;
}

void stem_output_tidy(stem_connection *connection)
{
    const size_t waiting = stem_output_waiting(connection);

    if (connection->group)
        return;
    if (waiting == 0)
        empty(connection);
    else if (connection->output_sent > OUTPUT_KEPT &&
             connection->output_sent >= waiting && waiting <= MOVED_AT_ONCE)
        compact(connection);
    stem_output_count(connection);
}

/* ---- Sending ---------------------------------------------------------------------- */

static void note_sent(stem_connection *connection, size_t n)
{
    const uint64_t now = connection->server->now_ms;

    connection->output_sent += n;
    connection->output_taken += n;
    connection->server->metrics.bytes_out += n;
    connection->stalled_ms = now;
    if (connection->output_taken < OUTPUT_KEPT)
        return;
    connection->output_taken = 0;
    connection->paced_ms = now;
}

/* From now on time counts against the peer, or does not any more. */
static bool set_blocked(stem_connection *connection, bool is_blocked)
{
    if (is_blocked == connection->is_blocked)
        return true;
    connection->is_blocked = is_blocked;
    if (!is_blocked)
        return event_del(connection->writable) == 0;
    connection->output_taken = 0;
    connection->stalled_ms = connection->paced_ms = connection->server->now_ms;
    return event_add(connection->writable, NULL) == 0;
}

void stem_output_pause(stem_connection *connection)
{
    set_blocked(connection, false);
}

bool stem_output_send(stem_connection *connection)
{
    const stem_buffer *bytes = &connection->output.bytes;
    const size_t safe =
        bytes->len < connection->output_safe ? bytes->len : connection->output_safe;
    const size_t left = safe - connection->output_sent;
    const size_t end =
        connection->output_sent + (left < BYTES_AT_ONCE ? left : BYTES_AT_ONCE);
    ssize_t n = 0;

    if (bytes->failed)
        return false;
    while (connection->output_sent < end && n >= 0) {
        n = stem_transport_write(connection, bytes->data + connection->output_sent,
                                 end - connection->output_sent);
        if (n > 0)
            note_sent(connection, (size_t)n);
    }
    if (n < 0 && n != STEM_TRANSPORT_AGAIN)
        return false;
    return set_blocked(connection,
                       connection->output_sent < safe || connection->tls_wants_write);
}
