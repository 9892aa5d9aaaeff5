/*
 * Where a server listens, and what is refused without `insecure`; accepting.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../engine/descriptor.h"
#include "../error.h"
#include "connection.h"
#include "peer.h"

enum { ADDRESS_MAX = 128 };

/* ---- TCP -------------------------------------------------------------------------- */

/* Checked here, for the system takes 99999 for 34463. */
static bool is_port(const char *text)
{
    const size_t len = strlen(text);

    return len > 0 && len <= 5 && strspn(text, "0123456789") == len &&
           atoi(text) <= 65535;
}

/* "host:port", "[::1]:port" in two owned parts. */
static int split_host(const char *text, char **host, char **port)
{
    const char *colon = strrchr(text, ':');
    const size_t len = colon ? (size_t)(colon - text) : 0;
    const bool is_bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';

    if (len == 0 || !colon[1])
        return stem_fail(STEM_EINVAL, "%s is not of the form host:port", text);
    if (!is_port(colon + 1))
        return stem_fail(STEM_EINVAL,
                         "cannot listen at %s: '%s' is no port from 0 to 65535", text,
                         colon + 1);
    *host = is_bracketed ? strndup(text + 1, len - 2) : strndup(text, len);
    *port = strdup(colon + 1);
    return *host && *port ? STEM_OK : stem_fail(STEM_ENOMEM, "no memory to listen");
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)
                         ->sin_addr.s_addr) >>
                   24 ==
               127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(
               &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

static int bind_tcp(const struct addrinfo *to, const char *text, int *listening)
{
    const int one = 1;
    const int fd = stem_descriptor_socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK);

    if (fd < 0)
        return stem_fail(STEM_EIO, "cannot make a socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, to->ai_addr, to->ai_addrlen) != 0 ||
        listen(fd, STEM_LISTEN_BACKLOG) != 0) {
        const int cause = errno;

        stem_descriptor_close(fd);
        return stem_fail(STEM_EIO, "cannot listen at %s: %s", text, strerror(cause));
    }
    *listening = fd;
    return STEM_OK;
}

/* The address a socket has got, with its port; owned. */
static char *address_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char host[64], port[16], *text = malloc(ADDRESS_MAX);

    if (!text || getsockname(fd, (struct sockaddr *)&address, &len) != 0 ||
        getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        free(text);
        return NULL;
    }
    snprintf(text, ADDRESS_MAX, strchr(host, ':') ? "tcp://[%s]:%s" : "tcp://%s:%s", host,
             port);
    return text;
}

/* A listening socket at "host:port", and the address it has got in `*address`, owned. */
static int listen_tcp(const char *host_port, bool may_be_public, int *fd, char **address)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char *host = NULL, *port = NULL;

    *fd = -1;
    int code = split_host(host_port, &host, &port);
    if (code == STEM_OK) {
        const int cause = getaddrinfo(host, port, &hints, &found);
        if (cause != 0)
            code = stem_fail(STEM_EIO, "cannot listen at %s: %s", host_port,
                             gai_strerror(cause));
    }
    if (code == STEM_OK && !may_be_public && !is_loopback(found->ai_addr))
        code = stem_fail(STEM_EINVAL,
                         "%s can be reached from other machines, without TLS: give a "
                         "certificate and a key, or say `insecure`",
                         host_port);
    if (code == STEM_OK)
        code = bind_tcp(found, host_port, fd);
    if (code == STEM_OK) {
        *address = address_of(*fd);
        if (!*address) {
            stem_descriptor_close(*fd);
            *fd = -1;
            code = stem_fail(STEM_ENOMEM, "no memory to listen at %s", host_port);
        }
    }
    if (found)
        freeaddrinfo(found);
    free(host);
    free(port);
    return code;
}

/* ---- Accepting -------------------------------------------------------------------- */

/* Whether who was just accepted is one too many, of this server's or of all of the process's. */
static bool is_full(const stem_server *server)
{
    return server->n_connections >= server->most_connections ||
           stem_descriptors_accepted() > server->most_descriptors;
}

/* Says no, as Redis does, and hangs up; a peer that speaks TLS is just left. */
static void turn_away(stem_server *server, int fd, bool has_tls)
{
    static const char text[] = "-ERR max number of clients reached\r\n";

    server->metrics.refused_connections++;
    if (!has_tls && send(fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        errno = 0; /* it will see the end of the connection */
    stem_descriptor_close(fd);
}

static void tune(int fd)
{
    const int one = 1, idle_seconds = 60, interval = 20, times = 3;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
}

static void welcome(stem_listener *listener, int fd)
{
    char peer[STEM_PEER_SIZE];

    if (stem_peer_of(fd, peer) != STEM_OK ||
        (listener->server->is_sharing && !stem_descriptor_has_own_user(fd))) {
        stem_descriptor_close(fd);
        return;
    }
    if (!listener->place)
        tune(fd);
    stem_connection_open(listener->server, fd, listener->has_tls, peer);
}

static void on_ready(evutil_socket_t listening, short what, void *argument)
{
    enum { AT_ONCE = 64 };
    stem_listener *listener = argument;
    stem_server *server = listener->server;

    (void)what;
    for (int i = 0; i < AT_ONCE; i++) {
        const int fd = stem_descriptor_accept(listening, SOCK_NONBLOCK);

        if (fd < 0) {
            /* Out of descriptors: the tick, or who leaves, opens again. */
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                stem_listeners_pause(server, true);
            return;
        }
        if (listener->is_for_metrics)
            stem_metrics_accept(server, fd);
        else if (is_full(server))
            turn_away(server, fd, listener->has_tls);
        else
            welcome(listener, fd);
    }
}

/* What cannot be listened at again now is tried the next time. */
void stem_listeners_pause(stem_server *server, bool is_paused)
{
    bool do_all_listen = true;

    if (server->is_draining || (!is_paused && !server->is_paused))
        return;
    for (size_t i = 0; i < server->n_listeners; i++) {
        if (is_paused)
            event_del(server->listeners[i].ready);
        else if (event_add(server->listeners[i].ready, NULL) != 0)
            do_all_listen = false;
    }
    server->is_paused = is_paused || !do_all_listen;
}

/* ---- Opening and closing ---------------------------------------------------------- */

static int open_unix(stem_listener *listener, const char *path)
{
    int code = stem_listen_unix(path, listener->server->is_sharing, &listener->fd,
                                &listener->place);

    if (code != STEM_OK)
        return code;
    const size_t size = strlen(path) + sizeof "unix:";
    listener->address = malloc(size);
    if (!listener->address)
        return stem_fail(STEM_ENOMEM, "no memory to listen at %s", path);
    snprintf(listener->address, size, "unix:%s", path);
    return STEM_OK;
}

static int open_tcp(stem_listener *listener, const char *host_port)
{
    const stem_server *server = listener->server;
    const bool is_insecure = server->options.insecure;

    listener->has_tls = server->options.tls_certificate != NULL;
    if (!server->options.users && !is_insecure)
        return stem_fail(STEM_EINVAL,
                         "tcp://%s without users would let any process in: give a users "
                         "file, or say `insecure`",
                         host_port);
    return listen_tcp(host_port, listener->has_tls || is_insecure, &listener->fd,
                      &listener->address);
}

static int open_at(stem_listener *listener, const char *where)
{
    const stem_server *server = listener->server;

    if (listener->is_for_metrics)
        return listen_tcp(where, server->options.insecure, &listener->fd,
                          &listener->address);
    if (strncmp(where, "unix:", 5) == 0)
        return open_unix(listener, where + 5);
    if (strncmp(where, "tcp://", 6) == 0)
        return open_tcp(listener, where + 6);
    return stem_fail(STEM_EINVAL,
                     "cannot listen at %s: give unix:/path or tcp://host:port", where);
}

/* One more. */
static int open_listener(stem_server *server, const char *where, bool is_for_metrics)
{
    stem_listener *listener = &server->listeners[server->n_listeners++];

    *listener =
        (stem_listener){.server = server, .fd = -1, .is_for_metrics = is_for_metrics};
    const int code = open_at(listener, where);
    if (code != STEM_OK)
        return code;
    listener->ready =
        event_new(server->base, listener->fd, EV_READ | EV_PERSIST, on_ready, listener);
    if (!listener->ready || event_add(listener->ready, NULL) != 0)
        return stem_fail(STEM_ENOMEM, "no memory to listen at %s", where);
    return STEM_OK;
}

/* How many of the process's descriptors may be connections': LevelDB needs some, and the
 * application. */
static size_t descriptors_to_accept(void)
{
    enum { KEPT = 1100, AT_LEAST = 16 };
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    const size_t all = (size_t)limit.rlim_cur;
    const size_t left = all > 2 * KEPT ? all - KEPT : all / 2;
    return left > AT_LEAST ? left : AT_LEAST;
}

int stem_listeners_open(stem_server *server)
{
    const char *const *listen = server->options.listen,
                      *metrics = server->options.metrics;
    const size_t most = descriptors_to_accept();
    size_t n = 0;
    int code = STEM_OK;

    server->most_descriptors = most;
    server->most_connections =
        server->options.max_clients < most ? server->options.max_clients : most;
    while (listen && listen[n])
        n++;
    if (n == 0)
        return stem_fail(STEM_EINVAL, "nowhere to listen at");
    server->listeners = calloc(n + 1, sizeof *server->listeners);
    if (!server->listeners)
        return stem_fail(STEM_ENOMEM, "no memory to listen");
    for (size_t i = 0; i < n && code == STEM_OK; i++)
        code = open_listener(server, listen[i], false);
    if (metrics && code == STEM_OK)
        code = open_listener(server, metrics, true);
    return code;
}

void stem_listeners_close(stem_server *server)
{
    for (size_t i = 0; i < server->n_listeners; i++) {
        stem_listener *each = &server->listeners[i];

        if (each->ready)
            event_free(each->ready);
        each->ready = NULL;
        stem_socket_place_leave(each->place);
        each->place = NULL;
        if (each->fd >= 0)
            stem_descriptor_close(each->fd);
        each->fd = -1;
    }
}

void stem_listeners_free(stem_server *server)
{
    stem_listeners_close(server);
    for (size_t i = 0; i < server->n_listeners; i++)
        free(server->listeners[i].address);
    free(server->listeners);
}
