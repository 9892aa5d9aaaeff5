/*
 * Bytes over a socket, with TLS or without. Nothing here waits, and nothing raises SIGPIPE.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../error.h"
#include "connection.h"

static ssize_t answer_of_socket(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR
               ? STEM_TRANSPORT_AGAIN
               : STEM_TRANSPORT_ENDED;
}

static ssize_t read_plain(int fd, char *buffer, size_t size)
{
    const ssize_t n = recv(fd, buffer, size, 0);

    return n == 0 ? STEM_TRANSPORT_LAST : answer_of_socket(n);
}

static ssize_t write_plain(int fd, const char *data, size_t len)
{
    return answer_of_socket(send(fd, data, len, MSG_NOSIGNAL));
}

#ifdef HAVE_OPENSSL

#include <openssl/err.h>
#include <openssl/ssl.h>

static int socket_of(BIO *bio)
{
    const stem_connection *connection = BIO_get_data(bio);

    return connection->fd;
}

/* OpenSSL's own write() would raise SIGPIPE; these are its read and write instead. */
static int bio_write(BIO *bio, const char *data, int len)
{
    const ssize_t n = write_plain(socket_of(bio), data, (size_t)len);

    BIO_clear_retry_flags(bio);
    if (n == STEM_TRANSPORT_AGAIN)
        BIO_set_retry_write(bio);
    return n < 0 ? -1 : (int)n;
}

static int bio_read(BIO *bio, char *buffer, int size)
{
    const ssize_t n = read_plain(socket_of(bio), buffer, (size_t)size);

    BIO_clear_retry_flags(bio);
    if (n == STEM_TRANSPORT_AGAIN)
        BIO_set_retry_read(bio);
    return n == STEM_TRANSPORT_LAST ? 0 : n < 0 ? -1 : (int)n;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

typedef struct tls_of_server {
    SSL_CTX *context;
    BIO_METHOD *method;
    bool wants_passphrase; /* a file does */
} tls_of_server;

/* Nobody can be asked: OpenSSL's own would ask at the terminal, and wait. */
static int refuse_passphrase(char *buffer, int size, int is_writing, void *tls)
{
    (void)buffer;
    (void)size;
    (void)is_writing;
    ((tls_of_server *)tls)->wants_passphrase = true;
    return -1;
}

static int fail_tls(const tls_of_server *tls, const char *what, const char *file)
{
    char text[256] = "it has a passphrase, for which nobody can be asked";

    if (!tls->wants_passphrase)
        ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    return stem_fail(STEM_EINVAL, "cannot use the %s %s: %s", what, file, text);
}

static int load_files(tls_of_server *tls, const stem_server_options *options)
{
    SSL_CTX *context = tls->context;

    SSL_CTX_set_default_passwd_cb(context, refuse_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(context, tls);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    if (SSL_CTX_use_certificate_chain_file(context, options->tls_certificate) != 1)
        return fail_tls(tls, "certificate", options->tls_certificate);
    if (SSL_CTX_use_PrivateKey_file(context, options->tls_key, SSL_FILETYPE_PEM) != 1)
        return fail_tls(tls, "key", options->tls_key);
    if (SSL_CTX_check_private_key(context) != 1)
        return fail_tls(tls, "key, which is not the certificate's,", options->tls_key);
    return STEM_OK;
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *method =
        BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "socket");

    if (!method)
        return NULL;
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_ctrl(method, bio_control);
    return method;
}

int stem_transport_prepare(stem_server *server)
{
    if (!server->options.tls_certificate)
        return STEM_OK;
    tls_of_server *tls = calloc(1, sizeof *tls);
    if (!tls)
        return stem_fail(STEM_ENOMEM, "no memory for TLS");
    server->tls = tls;
    tls->method = make_method();
    tls->context = SSL_CTX_new(TLS_server_method());
    if (!tls->method || !tls->context)
        return stem_fail(STEM_ENOMEM, "no memory for TLS");
    return load_files(tls, &server->options);
}

void stem_transport_forget(stem_server *server)
{
    tls_of_server *tls = server->tls;

    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    BIO_meth_free(tls->method);
    free(tls);
}

bool stem_transport_open(stem_connection *connection)
{
    const tls_of_server *tls = connection->server->tls;
    BIO *bio = BIO_new(tls->method);
    SSL *ssl = SSL_new(tls->context);

    if (!bio || !ssl) {
        BIO_free(bio);
        SSL_free(ssl);
        return false;
    }
    BIO_set_data(bio, connection);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    connection->tls = ssl;
    return true;
}

void stem_transport_close(stem_connection *connection)
{
    if (!connection->tls)
        return;
    SSL_shutdown(connection->tls);
    ERR_clear_error();
    SSL_free(connection->tls);
    connection->tls = NULL;
}

static ssize_t answer_of_tls(stem_connection *connection, int n)
{
    if (n > 0) {
        connection->tls_wants_write = false;
        return n;
    }
    const int cause = SSL_get_error(connection->tls, n);
    ERR_clear_error();
    connection->tls_wants_write = cause == SSL_ERROR_WANT_WRITE;
    if (cause == SSL_ERROR_ZERO_RETURN)
        return STEM_TRANSPORT_LAST;
    return cause == SSL_ERROR_WANT_READ || cause == SSL_ERROR_WANT_WRITE
               ? STEM_TRANSPORT_AGAIN
               : STEM_TRANSPORT_ENDED;
}

static int at_most_int(size_t n)
{
    return n < INT_MAX ? (int)n : INT_MAX;
}

ssize_t stem_transport_read(stem_connection *connection, char *buffer, size_t size)
{
    if (!connection->tls)
        return read_plain(connection->fd, buffer, size);
    return answer_of_tls(connection,
                         SSL_read(connection->tls, buffer, at_most_int(size)));
}

ssize_t stem_transport_write(stem_connection *connection, const char *data, size_t len)
{
    if (!connection->tls)
        return write_plain(connection->fd, data, len);
    return answer_of_tls(connection, SSL_write(connection->tls, data, at_most_int(len)));
}

bool stem_transport_has_more(const stem_connection *connection)
{
    return connection->tls && SSL_pending(connection->tls) > 0;
}

#else

int stem_transport_prepare(stem_server *server)
{
    if (server->options.tls_certificate)
        return stem_fail(STEM_ENOTSUP,
                         "this build has no TLS: it was made without OpenSSL");
    return STEM_OK;
}

void stem_transport_forget(stem_server *server)
{
    (void)server;
}

bool stem_transport_open(stem_connection *connection)
{
    (void)connection;
    return false;
}

void stem_transport_close(stem_connection *connection)
{
    (void)connection;
}

ssize_t stem_transport_read(stem_connection *connection, char *buffer, size_t size)
{
    return read_plain(connection->fd, buffer, size);
}

ssize_t stem_transport_write(stem_connection *connection, const char *data, size_t len)
{
    return write_plain(connection->fd, data, len);
}

bool stem_transport_has_more(const stem_connection *connection)
{
    (void)connection;
    return false;
}

#endif
