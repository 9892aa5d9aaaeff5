/*
 * TLS in front of a server; see tls_front.h. Each connection has a thread that carries bytes
 * both ways.
 */
#include "tls_front.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "certificate.h"
#include "support.h"
#include "wire_peer.h"

enum { PEERS_MAX = 256, CHUNK = 16384 };

static struct {
    SSL_CTX *context;
    const char *certificate, *backend;
    int listener;
    pthread_t acceptor, peers[PEERS_MAX];
    size_t n_peers;
    int fds[PEERS_MAX];
} front;

static void make_context(const char *names)
{
    const char *key = path_in(temp_dir(), "key");

    front.certificate = path_in(temp_dir(), "certificate");
    write_certificate(names, front.certificate, key);
    front.context = SSL_CTX_new(TLS_server_method());
    ck_assert_int_eq(
        SSL_CTX_use_certificate_file(front.context, front.certificate, SSL_FILETYPE_PEM),
        1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(front.context, key, SSL_FILETYPE_PEM),
                     1);
}

/* ---- Carrying --------------------------------------------------------------------- */

static int connect_backend(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s",
             front.backend + strlen("unix:"));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        abort();
    return fd;
}

/* One chunk from the side that has one; false at the end of either. */
static bool carry(SSL *ssl, int backend)
{
    struct pollfd sides[] = {{.fd = SSL_get_fd(ssl), .events = POLLIN},
                             {.fd = backend, .events = POLLIN}};
    char chunk[CHUNK];

    if (SSL_pending(ssl) == 0)
        poll(sides, 2, -1);
    if (SSL_pending(ssl) > 0 || sides[0].revents) {
        const int n = SSL_read(ssl, chunk, sizeof chunk);

        if (n <= 0)
            return false;
        write_bytes(backend, chunk, (size_t)n);
    }
    if (sides[1].revents) {
        const ssize_t n = recv(backend, chunk, sizeof chunk, 0);

        return n > 0 && SSL_write(ssl, chunk, (int)n) == n;
    }
    return true;
}

static void *serve_peer(void *argument)
{
    const int fd = *(const int *)argument;
    SSL *ssl = SSL_new(front.context);

    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        const int backend = connect_backend();

        while (carry(ssl, backend))
            ;
        close(backend);
    }
    shutdown(fd, SHUT_RDWR);
    SSL_free(ssl);
    return NULL;
}

static void *accept_all(void *nothing)
{
    int fd;

    while ((fd = accept(front.listener, NULL, NULL)) >= 0) {
        const size_t i = front.n_peers++;

        if (i == PEERS_MAX)
            abort();
        front.fds[i] = fd;
        pthread_create(&front.peers[i], NULL, serve_peer, &front.fds[i]);
    }
    return nothing;
}

int start_tls_front(const char *backend, const char *names)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    /* OpenSSL's own way to the socket, in the threads here, raises it. */
    signal(SIGPIPE, SIG_IGN);
    front.backend = backend;
    make_context(names);
    front.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(front.listener, (const struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(front.listener, 16), 0);
    ck_assert_int_eq(getsockname(front.listener, (struct sockaddr *)&address, &size), 0);
    pthread_create(&front.acceptor, NULL, accept_all, NULL);
    return ntohs(address.sin_port);
}

const char *tls_front_certificate(void)
{
    return front.certificate;
}

void stop_tls_front(void)
{
    shutdown(front.listener, SHUT_RDWR);
    pthread_join(front.acceptor, NULL);
    close(front.listener);
    for (size_t i = 0; i < front.n_peers; i++) {
        shutdown(front.fds[i], SHUT_RDWR);
        pthread_join(front.peers[i], NULL);
        close(front.fds[i]);
    }
    front.n_peers = 0;
    SSL_CTX_free(front.context);
}
