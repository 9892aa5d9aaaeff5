/*
 * A connection's requests, from the socket to where they are served.
 *
 * They are served where they lie; while a group refers to them nothing is read, so they stay there.
 * While what was read cannot be served more is read ahead, as many bytes as one request may have,
 * since a peer may send all it has before it receives anything.
 */
#include <stdlib.h>
#include <string.h>

#include "connection.h"

enum {
    INPUT_FIRST = 16 << 10,  /* bytes; also what is kept of a buffer */
    BYTES_AT_ONCE = 1 << 20, /* before others go on */
    FEW_CONNECTIONS = 256
};

const char stem_input_is_full[] = "BUSY too many bytes of requests are under way";

size_t stem_input_left(const stem_connection *connection)
{
    return connection->input_len - connection->input_used;
}

bool stem_input_has_more(const stem_connection *connection)
{
    const size_t left = stem_input_left(connection);

    return left > 0 && left >= connection->input_wanted;
}

bool stem_input_is_borrowed(const stem_connection *connection)
{
    return connection->is_away || connection->group || connection->is_held;
}

void stem_input_free(stem_connection *connection)
{
    connection->server->input_bytes -= connection->input_capacity;
    free(connection->input);
    connection->input = NULL;
    connection->input_capacity = 0;
}

void stem_input_tidy(stem_connection *connection)
{
    const size_t left = stem_input_left(connection);

    /* What is read ahead is moved seldom enough that each byte is about once. */
    if (stem_input_is_borrowed(connection) || connection->input_used == 0 ||
        connection->input_used < left)
        return;
    if (left > 0)
        memmove(connection->input, connection->input + connection->input_used, left);
    connection->input_len = left;
    connection->input_used = 0;
    if (left == 0 && (connection->input_capacity > INPUT_FIRST ||
                      connection->server->n_connections > FEW_CONNECTIONS))
        stem_input_free(connection);
}

/* ---- Room ------------------------------------------------------------------------- */

bool stem_connection_may_hold(const stem_connection *connection, size_t bytes)
{
    const stem_server *server = connection->server;

    return server->input_bytes + bytes <= server->options.max_input_bytes;
}

/* For what the parser wants, but for no more than about as much as has come already: what is only
 * claimed takes no memory. */
static size_t wanted_capacity(const stem_connection *connection)
{
    const size_t earned = 2 * stem_input_left(connection) + INPUT_FIRST;
    const size_t wanted =
        connection->input_wanted < earned ? connection->input_wanted : earned;
    const size_t least = stem_input_left(connection) + 1;
    const size_t end = connection->input_used + (wanted > least ? wanted : least);
    size_t capacity =
        connection->input_capacity > 0 ? connection->input_capacity : INPUT_FIRST;

    while (capacity < end)
        capacity *= 2;
    return capacity;
}

static bool make_room(stem_connection *connection)
{
    const size_t capacity = wanted_capacity(connection);
    const size_t more = capacity - connection->input_capacity;

    if (more == 0)
        return true;
    if (capacity > INPUT_FIRST && !stem_connection_may_hold(connection, more))
        return false;
    char *input = realloc(connection->input, capacity);
    if (!input)
        return false;
    connection->server->input_bytes += more;
    connection->input = input;
    connection->input_capacity = capacity;
    return true;
}

/* Half of what all requests may take is left to those that are served at once. */
bool stem_input_may_read_ahead(const stem_connection *connection)
{
    const stem_server *server = connection->server;
    const size_t more = wanted_capacity(connection) - connection->input_capacity;

    return stem_input_left(connection) < connection->parser.limits.max_bytes &&
           (more == 0 ||
            server->input_bytes + more <= server->options.max_input_bytes / 2);
}

/* ----------------------------------------------------------------------------------- */

enum stem_input_outcome stem_input_read(stem_connection *connection)
{
    stem_input_tidy(connection);
    if (!make_room(connection))
        return STEM_INPUT_FULL;
    const size_t room = connection->input_capacity - connection->input_len;
    const ssize_t n =
        stem_transport_read(connection, connection->input + connection->input_len,
                            room < BYTES_AT_ONCE ? room : BYTES_AT_ONCE);
    if (n == STEM_TRANSPORT_ENDED)
        return STEM_INPUT_ENDED;
    connection->is_input_over = n == STEM_TRANSPORT_LAST;
    if (n > 0) {
        connection->input_len += (size_t)n;
        connection->server->metrics.bytes_in += (uint64_t)n;
        connection->active_ms = connection->server->now_ms;
    }
    return STEM_INPUT_READ;
}
