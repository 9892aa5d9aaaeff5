/*
 * Bytes to a server and back; see stream.h.
 */
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "config.h"

#ifdef HAVE_OPENSSL
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

/* ---- The socket ------------------------------------------------------------------- */

static int connect_unix(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof at.sun_path)
        abort();
    strcpy(at.sun_path, path);
    if (connect(fd, (const struct sockaddr *)&at, sizeof at) == 0)
        return fd;
    close(fd);
    return -1;
}

static int connect_tcp(const char *host_and_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    const char *colon = strrchr(host_and_port, ':');
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char host[64];

    snprintf(host, sizeof host, "%.*s", (int)(colon - host_and_port), host_and_port);
    at.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, host, &at.sin_addr) == 1 &&
        connect(fd, (const struct sockaddr *)&at, sizeof at) == 0)
        return fd;
    close(fd);
    return -1;
}

#ifdef HAVE_OPENSSL

static bool begin_tls(stream *on)
{
    on->context = SSL_CTX_new(TLS_client_method());
    on->tls = SSL_new(on->context);
    SSL_set_mode(on->tls,
                 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_fd(on->tls, on->fd);
    return SSL_connect(on->tls) == 1;
}

static void end_tls(stream *on)
{
    SSL_free(on->tls);
    SSL_CTX_free(on->context);
}

/* The bytes of a call, 0 where it has to be called again. */
static size_t outcome_of_tls(stream *on, int n)
{
    if (n > 0)
        return (size_t)n;
    const int cause = SSL_get_error(on->tls, n);
    ERR_clear_error();
    on->has_ended |= cause != SSL_ERROR_WANT_READ && cause != SSL_ERROR_WANT_WRITE;
    return 0;
}

static int at_most_a_mib(size_t len)
{
    return len < 1 << 20 ? (int)len : 1 << 20;
}

static size_t send_tls(stream *to, const char *data, size_t len)
{
    return outcome_of_tls(to, SSL_write(to->tls, data, at_most_a_mib(len)));
}

static size_t receive_tls(stream *from, char *data, size_t len)
{
    return outcome_of_tls(from, SSL_read(from->tls, data, at_most_a_mib(len)));
}

static void end_sending_tls(stream *to)
{
    SSL_shutdown(to->tls);
}

static bool has_read_ahead(const stream *on)
{
    return on->tls && SSL_pending(on->tls) > 0;
}

#else

static bool begin_tls(stream *on)
{
    (void)on;
    return false;
}

static void end_tls(stream *on)
{
    (void)on;
}

static size_t send_tls(stream *to, const char *data, size_t len)
{
    (void)to;
    (void)data;
    return len;
}

static size_t receive_tls(stream *from, char *data, size_t len)
{
    (void)from;
    (void)data;
    return len;
}

static void end_sending_tls(stream *to)
{
    (void)to;
}

static bool has_read_ahead(const stream *on)
{
    (void)on;
    return false;
}

#endif

bool stream_open(stream *opened, const char *address, bool has_tls)
{
    static const char local[] = "unix:", tcp[] = "tcp://";

    *opened = (stream){0};
    opened->fd = strncmp(address, local, strlen(local)) == 0
                     ? connect_unix(address + strlen(local))
                     : connect_tcp(address + strlen(tcp));
    return opened->fd >= 0 && (!has_tls || begin_tls(opened)) &&
           fcntl(opened->fd, F_SETFL, O_NONBLOCK) == 0;
}

void stream_close(stream *closed)
{
    if (closed->tls)
        end_tls(closed);
    close(closed->fd);
}

static size_t outcome(stream *on, ssize_t n, bool has_ended)
{
    on->has_ended |= has_ended || (n < 0 && errno != EAGAIN && errno != EINTR);
    return n > 0 ? (size_t)n : 0;
}

size_t stream_send(stream *to, const char *data, size_t len)
{
    if (to->tls)
        return send_tls(to, data, len);
    return outcome(to, send(to->fd, data, len, MSG_NOSIGNAL), false);
}

size_t stream_receive(stream *from, char *data, size_t len)
{
    if (from->tls)
        return receive_tls(from, data, len);
    const ssize_t n = recv(from->fd, data, len, 0);
    return outcome(from, n, n == 0);
}

void stream_end_sending(stream *to)
{
    if (to->tls)
        end_sending_tls(to);
    else
        shutdown(to->fd, SHUT_WR);
}

void stream_wait(stream *on, bool wants_input, bool wants_output, int milliseconds)
{
    struct pollfd polled = {
        .fd = on->fd,
        .events = (short)((wants_input ? POLLIN : 0) | (wants_output ? POLLOUT : 0))};

    if (!wants_input || !has_read_ahead(on))
        poll(&polled, 1, milliseconds);
}

/* ---- An exchange ------------------------------------------------------------------ */

enum { BYTEWISE = 3000, CHUNK = 1 << 16, LITTLE = 7000, PATIENCE_S = 60 };

typedef struct exchange {
    stream *with;
    const stem_buffer *requests, *due;
    enum stream_pace pace;
    size_t sent, received, pause_at;
} exchange;

static bool has_sent_all(const exchange *of)
{
    return of->sent == of->requests->len;
}

static void sleep_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};

    nanosleep(&time, NULL);
}

static void send_some(exchange *of)
{
    size_t len = of->requests->len - of->sent;

    if (of->pace == PACE_BYTEWISE && of->sent < BYTEWISE)
        len = 1;
    of->sent += stream_send(of->with, of->requests->data + of->sent, len);
    if (has_sent_all(of) && of->pace == PACE_HALF_CLOSE)
        stream_end_sending(of->with);
}

/* False when something else than what is due has come. */
static bool receive_some(exchange *of)
{
    char chunk[CHUNK];
    const size_t most = of->pace == PACE_SLOW ? LITTLE : sizeof chunk;
    const size_t n = stream_receive(of->with, chunk, most);
    const bool is_due = n <= of->due->len - of->received &&
                        (n == 0 || memcmp(of->due->data + of->received, chunk, n) == 0);

    of->received += n;
    if (of->pace == PACE_SLOW && n > 0 && of->received % 16 == 0)
        sleep_ms(1);
    if (of->pace == PACE_PAUSES && of->received >= of->pause_at) {
        of->pause_at += of->due->len / 4 + 1;
        sleep_ms(60);
    }
    return is_due;
}

/* Whether it has come to its end: that of the connection, where the client has closed its own. */
static bool is_over(const exchange *of)
{
    return of->with->has_ended || (of->pace != PACE_HALF_CLOSE && has_sent_all(of) &&
                                   of->received == of->due->len);
}

static const char *complaint(const exchange *of, const char *what)
{
    static _Thread_local char text[256];

    snprintf(text, sizeof text, "%s: pace %d, sent %zu of %zu, received %zu of %zu", what,
             (int)of->pace, of->sent, of->requests->len, of->received, of->due->len);
    return text;
}

const char *stream_exchange(stream *with, const stem_buffer *requests,
                            const stem_buffer *due, enum stream_pace pace)
{
    exchange of = {with, requests, due, pace, 0, 0, 0};
    const time_t start = time(NULL);

    while (!is_over(&of)) {
        if (time(NULL) - start > PATIENCE_S)
            return complaint(&of, "it stopped");
        const bool wants_input = pace != PACE_SEND_ALL || has_sent_all(&of);

        stream_wait(with, wants_input, !has_sent_all(&of), 100);
        if (!has_sent_all(&of))
            send_some(&of);
        if (wants_input && !receive_some(&of))
            return complaint(&of, "something else was received");
    }
    return of.received == due->len ? NULL : complaint(&of, "the connection ended");
}
