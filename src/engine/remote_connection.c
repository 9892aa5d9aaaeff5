/*
 * One connection to a server; see remote_connection.h.
 */
#include "remote_connection.h"

#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "descriptor.h"

enum { RECEIVE_BYTES = 65536, RESTED_NS = 5000000, LOGIN_BYTES = 4096 };

struct stem_remote_connection {
    stem_remote_socket socket;
    stem_remote_reader *reader;
    uint64_t used_ns;
    char received[RECEIVE_BYTES];
};

/* ---- One request and its reply ---------------------------------------------------- */

/* The parts of a request between and around its long words. */
static stem_slice *cut(const stem_remote_request *request, size_t *n)
{
    stem_slice *parts = malloc((2 * request->n_long + 1) * sizeof *parts);
    const stem_buffer *bytes = &request->bytes;
    size_t from = 0;

    *n = 0;
    if (!parts)
        return NULL;
    for (size_t i = 0; i < request->n_long; i++) {
        const struct stem_remote_long_word *each = &request->long_words[i];

        parts[(*n)++] = (stem_slice){bytes->data + from, each->at - from};
        parts[(*n)++] = each->word;
        from = each->at;
    }
    parts[(*n)++] = (stem_slice){bytes->data + from, bytes->len - from};
    return parts;
}

static int send_request(stem_remote_connection *connection,
                        const stem_remote_request *request, stem_remote_clock *clock,
                        bool *was_sent)
{
    const stem_slice whole = {request->bytes.data, request->bytes.len};
    size_t n;

    if (request->bytes.failed)
        return stem_fail(STEM_ENOMEM, "no memory for a request");
    if (request->n_long == 0)
        return stem_remote_socket_send(&connection->socket, &whole, 1, clock, was_sent);
    stem_slice *parts = cut(request, &n);
    if (!parts)
        return stem_fail(STEM_ENOMEM, "no memory for a request");
    int code = stem_remote_socket_send(&connection->socket, parts, n, clock, was_sent);
    free(parts);
    return code;
}

static int receive_reply(stem_remote_connection *connection, stem_remote_clock *clock,
                         stem_remote_reply *reply)
{
    int code = STEM_NOTFOUND;

    while (code == STEM_NOTFOUND) {
        size_t got = 0;

        code = stem_remote_socket_receive(&connection->socket, connection->received,
                                          RECEIVE_BYTES, clock, &got);
        if (code == STEM_OK)
            code = stem_remote_reader_feed(connection->reader, connection->received, got,
                                           reply);
    }
    return code;
}

/* Whether a server that has hung up on what was to be sent has said why. */
static bool hears_why(stem_remote_connection *connection, stem_remote_clock *clock,
                      stem_remote_reply *reply)
{
    return receive_reply(connection, clock, reply) == STEM_OK &&
           stem_remote_reply_is(reply, STEM_REPLY_ERROR);
}

int stem_remote_exchange(stem_remote_connection *connection,
                         const stem_remote_request *request, stem_remote_clock *clock,
                         stem_remote_reply *reply, bool *was_sent)
{
    *was_sent = false;
    stem_remote_reply_reset(reply);
    int code = send_request(connection, request, clock, was_sent);
    if (code == STEM_OK)
        code = receive_reply(connection, clock, reply);
    else if (code == STEM_REMOTE_BROKEN && !*was_sent &&
             hears_why(connection, clock, reply))
        code = STEM_OK;
    connection->used_ns = clock->started_ns;
    return code;
}

int stem_remote_connection_descriptor(const stem_remote_connection *connection)
{
    return connection->socket.fd;
}

bool stem_remote_connection_is_fresh(stem_remote_connection *connection, uint64_t now)
{
    return now - connection->used_ns < RESTED_NS ||
           stem_remote_socket_is_quiet(&connection->socket);
}

/* ---- Errors of the server's ------------------------------------------------------- */

static const struct {
    const char *word;
    int code;
} refusals[] = {
    {"NOAUTH", STEM_EACCES},    {"WRONGPASS", STEM_EACCES}, {"NOPERM", STEM_EACCES},
    {"GONE", STEM_EGONE},       {"INVALID", STEM_EINVAL},   {"IOERROR", STEM_EIO},
    {"NOMEM", STEM_ENOMEM},     {"CORRUPT", STEM_ECORRUPT}, {"READONLY", STEM_EREADONLY},
    {"UNKNOWN", STEM_EUNKNOWN}, {"NOTSUP", STEM_ENOTSUP},   {"BUSY", STEM_EIO}};

/* The text of an error, cut where it is long, without what could upset a terminal. */
static void copy_legible(char *to, size_t size, stem_slice text)
{
    size_t n = 0;

    for (; n < text.len && n < size - 1; n++) {
        const unsigned char c = (unsigned char)text.data[n];

        to[n] = (char)(c < ' ' || c > '~' ? '?' : c);
    }
    to[n] = '\0';
}

int stem_remote_refusal(const stem_remote_peer *peer, const stem_remote_reply *reply)
{
    enum { TEXT_SIZE = 512 };
    char text[TEXT_SIZE];
    int code = STEM_EIO;

    if (!stem_remote_reply_is(reply, STEM_REPLY_ERROR))
        return stem_fail(STEM_EIO, "%s gave an answer that is none to what was asked",
                         peer->location.text);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (stem_remote_reply_is_error(reply, refusals[i].word))
            code = refusals[i].code;
    copy_legible(text, sizeof text, stem_remote_reply_text(reply, 0));
    return stem_fail(code, "%s answered: %s", peer->location.text, text);
}

bool stem_remote_is_busy(const stem_remote_reply *reply)
{
    static const char full[] = "ERR max number of clients reached"; /* Redis's words */

    if (stem_remote_reply_is_error(reply, "BUSY"))
        return true;
    if (!stem_remote_reply_is_error(reply, "ERR"))
        return false;
    const stem_slice text = stem_remote_reply_text(reply, 0);
    return text.len == sizeof full - 1 && memcmp(text.data, full, text.len) == 0;
}

/* ---- Connecting and logging in ---------------------------------------------------- */

static void write_login(const stem_remote_peer *peer, stem_remote_request *request)
{
    const stem_remote_location *location = &peer->location;
    const size_t user_words = location->user ? 3 : 0,
                 scope_words = location->scope ? 2 : 0;

    /* Room at once, so that no copy of the password stays behind when it grows. */
    if (stem_buffer_room(&request->bytes, LOGIN_BYTES))
        request->bytes.len = 0;
    stem_remote_request_begin(request, 2 + user_words + scope_words);
    stem_remote_request_text(request, "HELLO");
    stem_remote_request_text(request, "2");
    if (location->user) {
        stem_remote_request_text(request, "AUTH");
        stem_remote_request_text(request, location->user);
        stem_remote_request_text(request, peer->password);
    }
    if (location->scope) {
        stem_remote_request_text(request, "SCOPE");
        stem_remote_request_text(request, location->scope);
    }
}

static int log_in(const stem_remote_peer *peer, stem_remote_connection *connection,
                  stem_remote_clock *clock)
{
    stem_remote_request request = {.n_long = 0};
    stem_remote_reply reply = {.is_packed = true};
    bool was_sent;

    if (!peer->location.user && !peer->location.scope)
        return STEM_OK;
    write_login(peer, &request);
    int code = stem_remote_exchange(connection, &request, clock, &reply, &was_sent);
    if (request.bytes.data)
        explicit_bzero(request.bytes.data, request.bytes.capacity);
    if (code == STEM_OK && !reply.is_array) {
        code = stem_remote_refusal(peer, &reply);
        if (stem_remote_is_busy(&reply))
            code = STEM_REMOTE_REFUSED;
    }
    stem_remote_request_free(&request);
    stem_remote_reply_free(&reply);
    return code;
}

static int open_socket(const stem_remote_peer *peer, stem_remote_clock *clock,
                       stem_remote_socket *opened)
{
    int code = stem_remote_socket_open(&peer->location, peer->tls, peer->password != NULL,
                                       clock, opened);

    if (code != STEM_OK || !peer->is_own_user || stem_descriptor_has_own_user(opened->fd))
        return code;
    stem_remote_socket_close(opened);
    return stem_fail(STEM_EACCES, "it is another user's");
}

int stem_remote_connection_open(const stem_remote_peer *peer, stem_remote_clock *clock,
                                stem_remote_connection **opened)
{
    stem_remote_connection *made = malloc(sizeof *made);

    if (!made)
        return stem_fail(STEM_ENOMEM, "no memory for a connection");
    made->used_ns = 0;
    made->reader = stem_remote_reader_new();
    int code = made->reader ? open_socket(peer, clock, &made->socket)
                            : stem_fail(STEM_ENOMEM, "no memory for a connection");
    if (code != STEM_OK) {
        stem_failure_set(stem_errcode(), "cannot connect to %s: %s", peer->location.text,
                         stem_errmsg());
        stem_remote_reader_free(made->reader);
        free(made);
        return code;
    }
    code = log_in(peer, made, clock);
    if (code == STEM_OK)
        *opened = made;
    else
        stem_remote_connection_close(made);
    return code;
}

void stem_remote_connection_close(stem_remote_connection *connection)
{
    if (!connection)
        return;
    stem_remote_socket_close(&connection->socket);
    stem_remote_reader_free(connection->reader);
    free(connection);
}
