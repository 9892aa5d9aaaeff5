/*
 * TLS in front of a server; see tls_front.h. Each connection has a thread that carries bytes
 * both ways.
 */
#include "tls_front.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support.h"
#include "wire_peer.h"

enum { PEERS_MAX = 256, A_YEAR_S = 31536000, CHUNK = 16384 };

static struct {
    SSL_CTX *context;
    const char *certificate, *backend;
    int listener;
    pthread_t acceptor, peers[PEERS_MAX];
    size_t n_peers;
    int fds[PEERS_MAX];
} front;

/* ---- The certificate -------------------------------------------------------------- */

static EVP_PKEY *make_key(void)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    EVP_PKEY *key = NULL;

    ck_assert_int_eq(EVP_PKEY_keygen_init(context), 1);
    ck_assert_int_eq(
        EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1), 1);
    ck_assert_int_eq(EVP_PKEY_keygen(context, &key), 1);
    EVP_PKEY_CTX_free(context);
    return key;
}

static void add_extension(X509 *certificate, int nid, const char *text)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, text);
    ck_assert_ptr_nonnull(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *make_certificate(EVP_PKEY *key, const char *names)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);

    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), A_YEAR_S);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)"Stem test", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, NID_subject_alt_name, names);
    ck_assert_int_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    return certificate;
}

static void make_context(const char *names)
{
    EVP_PKEY *key = make_key();
    X509 *certificate = make_certificate(key, names);
    FILE *file;

    front.certificate = path_in(temp_dir(), "certificate");
    file = fopen(front.certificate, "w");
    ck_assert_int_eq(PEM_write_X509(file, certificate), 1);
    fclose(file);
    front.context = SSL_CTX_new(TLS_server_method());
    ck_assert_int_eq(SSL_CTX_use_certificate(front.context, certificate), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(front.context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
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
