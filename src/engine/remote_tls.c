/*
 * TLS over a socket, with OpenSSL; see remote_socket.h. The server's certificate must be
 * signed by an authority that is trusted, and name the host of the location.
 *
 * OpenSSL's own socket layer raises SIGPIPE: the small one here does not.
 */
#include "remote_socket.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "config.h"

#ifdef HAVE_OPENSSL

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

struct stem_remote_tls {
    SSL_CTX *context;
    BIO_METHOD *method;
};

/* The reason of OpenSSL's first error, or the fallback. */
static const char *reason(const char *fallback)
{
    const unsigned long error = ERR_peek_error();
    const char *text = error != 0 ? ERR_reason_error_string(error) : NULL;

    return text ? text : fallback;
}

/* ---- OpenSSL's way to the socket -------------------------------------------------- */

static int fd_of(BIO *bio)
{
    const stem_remote_socket *socket = BIO_get_data(bio);

    return socket->fd;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    BIO_clear_retry_flags(bio);
    const ssize_t n = send(fd_of(bio), data, (size_t)len, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)n;
}

static int bio_read(BIO *bio, char *data, int len)
{
    BIO_clear_retry_flags(bio);
    const ssize_t n = recv(fd_of(bio), data, (size_t)len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    return (int)n;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *method =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stem socket");

    if (method) {
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_ctrl(method, bio_control);
    }
    return method;
}

/* ---- What is trusted -------------------------------------------------------------- */

static int trust(SSL_CTX *context, const char *ca_file)
{
    const bool is_done = ca_file
                             ? SSL_CTX_load_verify_locations(context, ca_file, NULL) == 1
                             : SSL_CTX_set_default_verify_paths(context) == 1;

    if (is_done)
        return STEM_OK;
    return ca_file ? stem_fail(STEM_EIO, "cannot read certificates in ca_file %s: %s",
                               ca_file, reason("there are none"))
                   : stem_fail(STEM_EIO, "cannot read the system's certificates: %s",
                               reason("there are none"));
}

int stem_remote_tls_new(const char *ca_file, stem_remote_tls **made)
{
    stem_remote_tls *tls = calloc(1, sizeof *tls);
    int code = STEM_OK;

    ERR_clear_error();
    if (tls) {
        tls->context = SSL_CTX_new(TLS_client_method());
        tls->method = make_method();
    }
    if (!tls || !tls->context || !tls->method)
        code = stem_fail(STEM_ENOMEM, "no memory for TLS");
    else
        code = trust(tls->context, ca_file);
    if (code != STEM_OK) {
        stem_remote_tls_free(tls);
        return code;
    }
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(tls->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    *made = tls;
    return STEM_OK;
}

void stem_remote_tls_free(stem_remote_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    BIO_meth_free(tls->method);
    free(tls);
}

/* ---- One stream ------------------------------------------------------------------- */

/* Whether the call is to be made again, STEM_OK, after it has waited for what OpenSSL
 * wants. */
static int wait_again(const stem_remote_socket *socket, int result,
                      const stem_remote_clock *clock)
{
    SSL *ssl = socket->stream;

    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return stem_remote_wait(socket->fd, POLLIN, clock);
    case SSL_ERROR_WANT_WRITE:
        return stem_remote_wait(socket->fd, POLLOUT, clock);
    case SSL_ERROR_SYSCALL:
        stem_failure_set(
            STEM_EIO, "%s",
            reason(errno != 0 ? strerror(errno) : "the server closed the connection"));
        return STEM_REMOTE_BROKEN;
    default:
        stem_failure_set(STEM_EIO, "%s", reason("the server closed the connection"));
        return STEM_REMOTE_BROKEN;
    }
}

/* A certificate that is not trusted will not be the next time: no other attempt. */
static int judge_handshake(SSL *ssl, int code)
{
    const long verdict = SSL_get_verify_result(ssl);

    if (code != STEM_REMOTE_BROKEN || verdict == X509_V_OK)
        return code;
    return stem_fail(STEM_EIO, "the server's certificate is refused: %s",
                     X509_verify_cert_error_string(verdict));
}

static bool expect_host(SSL *ssl, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    const bool is_address =
        inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;

    return is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1
                      : SSL_set1_host(ssl, host) == 1 &&
                            SSL_set_tlsext_host_name(ssl, host) == 1;
}

/* The stream over the socket, whose address the BIO keeps only while it is connecting: see
 * point_at. */
static SSL *new_stream(stem_remote_tls *tls, const char *host, stem_remote_socket *socket)
{
    SSL *ssl = SSL_new(tls->context);
    BIO *bio = ssl ? BIO_new(tls->method) : NULL;

    if (!bio || !expect_host(ssl, host)) {
        BIO_free(bio);
        SSL_free(ssl);
        return NULL;
    }
    BIO_set_data(bio, socket);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return ssl;
}

/* The socket's struct may have moved since the last call. */
static SSL *point_at(stem_remote_socket *socket)
{
    SSL *ssl = socket->stream;

    BIO_set_data(SSL_get_rbio(ssl), socket);
    ERR_clear_error();
    errno = 0;
    return ssl;
}

int stem_remote_tls_connect(stem_remote_tls *tls, const char *host,
                            stem_remote_clock *clock, stem_remote_socket *socket)
{
    int code = STEM_OK, result = 0;

    ERR_clear_error();
    SSL *ssl = new_stream(tls, host, socket);
    if (!ssl)
        return stem_fail(STEM_ENOMEM, "no memory for TLS");
    socket->stream = ssl;
    while (code == STEM_OK && result != 1) {
        point_at(socket);
        result = SSL_connect(ssl);
        if (result != 1)
            code = wait_again(socket, result, clock);
    }
    if (code != STEM_OK) {
        code = judge_handshake(ssl, code);
        SSL_free(ssl);
        socket->stream = NULL;
    }
    return code;
}

/* Says goodbye without waiting. */
void stem_remote_tls_close(stem_remote_socket *socket)
{
    SSL *ssl = point_at(socket);

    SSL_shutdown(ssl);
    SSL_free(ssl);
    ERR_clear_error();
    socket->stream = NULL;
}

int stem_remote_tls_send(stem_remote_socket *socket, stem_slice part,
                         stem_remote_clock *clock, bool *was_sent)
{
    size_t done = 0;
    int code = STEM_OK;

    while (done < part.len && code == STEM_OK) {
        const size_t left = part.len - done;
        SSL *ssl = point_at(socket);
        const int n =
            SSL_write(ssl, part.data + done, left < INT_MAX ? (int)left : INT_MAX);

        /* A record may have gone in part. */
        *was_sent = true;
        if (n <= 0) {
            code = wait_again(socket, n, clock);
            continue;
        }
        done += (size_t)n;
        stem_remote_clock_moved(clock, (size_t)n);
    }
    return code;
}

int stem_remote_tls_receive(stem_remote_socket *socket, char *room, size_t size,
                            stem_remote_clock *clock, size_t *got)
{
    for (;;) {
        SSL *ssl = point_at(socket);
        const int n = SSL_read(ssl, room, size < INT_MAX ? (int)size : INT_MAX);

        if (n > 0) {
            *got = (size_t)n;
            stem_remote_clock_moved(clock, *got);
            return STEM_OK;
        }
        int code = wait_again(socket, n, clock);
        if (code != STEM_OK)
            return code;
    }
}

bool stem_remote_tls_is_quiet(stem_remote_socket *socket)
{
    char byte;
    SSL *ssl = point_at(socket);
    const int n = SSL_peek(ssl, &byte, 1);

    return n <= 0 && SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ;
}

#else

static int refuse(void)
{
    return stem_fail(STEM_ENOTSUP,
                     "this build has no TLS: Stem was built without OpenSSL");
}

int stem_remote_tls_new(const char *ca_file, stem_remote_tls **tls)
{
    (void)ca_file;
    (void)tls;
    return refuse();
}

void stem_remote_tls_free(stem_remote_tls *tls)
{
    (void)tls;
}

/* Without stem_remote_tls_new none of these is reached. */
int stem_remote_tls_connect(stem_remote_tls *tls, const char *host,
                            stem_remote_clock *clock, stem_remote_socket *socket)
{
    (void)tls;
    (void)host;
    (void)clock;
    (void)socket;
    return refuse();
}

void stem_remote_tls_close(stem_remote_socket *socket)
{
    (void)socket;
}

int stem_remote_tls_send(stem_remote_socket *socket, stem_slice part,
                         stem_remote_clock *clock, bool *was_sent)
{
    (void)socket;
    (void)part;
    (void)clock;
    (void)was_sent;
    return refuse();
}

int stem_remote_tls_receive(stem_remote_socket *socket, char *room, size_t size,
                            stem_remote_clock *clock, size_t *got)
{
    (void)socket;
    (void)room;
    (void)size;
    (void)clock;
    (void)got;
    return refuse();
}

bool stem_remote_tls_is_quiet(stem_remote_socket *socket)
{
    (void)socket;
    return true;
}

#endif
