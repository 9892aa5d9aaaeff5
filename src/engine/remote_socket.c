/*
 * Byte streams to servers; see remote_socket.h.
 */
#include "remote_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "../error.h"
#include "descriptor.h"

static int broken(int cause)
{
    stem_failure_set(STEM_EIO, "%s", strerror(cause));
    return STEM_REMOTE_BROKEN;
}

/* The same of a connection that was not made. */
static int not_connected(int cause)
{
    const int code = broken(cause);

    return cause == ECONNREFUSED ? STEM_REMOTE_AWAY : code;
}

int stem_remote_wait(int fd, short events, const stem_remote_clock *clock)
{
    struct pollfd one = {.fd = fd, .events = events};

    for (;;) {
        const int left = stem_remote_clock_left(clock);
        const int n = left > 0 ? poll(&one, 1, left) : 0;

        if (n > 0)
            return STEM_OK;
        if (n < 0 && errno != EINTR)
            return broken(errno);
        if (left == 0) {
            stem_failure_set(STEM_EIO, "no answer within %zu ms", clock->limit_ms);
            return STEM_REMOTE_LATE;
        }
    }
}

/* ---- Connecting ------------------------------------------------------------------- */

/* Waits until a connection that is under way is there, or has failed. */
static int finish_connecting(int fd, const stem_remote_clock *clock)
{
    int cause = 0;
    socklen_t size = sizeof cause;

    int code = stem_remote_wait(fd, POLLOUT, clock);
    if (code != STEM_OK)
        return code;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &cause, &size) != 0)
        cause = errno;
    return cause == 0 ? STEM_OK : not_connected(cause);
}

/* Connects, within the time limit; a full backlog of a Unix socket is waited for. */
static int connect_to(int fd, const struct sockaddr *address, socklen_t size,
                      const stem_remote_clock *clock)
{
    while (connect(fd, address, size) != 0) {
        if (errno == EINPROGRESS || errno == EINTR)
            return finish_connecting(fd, clock);
        if (errno == EACCES)
            return stem_fail(STEM_EACCES, "%s", strerror(errno));
        if (errno != EAGAIN)
            return not_connected(errno);
        if (stem_remote_clock_left(clock) == 0) {
            stem_failure_set(STEM_EIO, "not accepted within %zu ms", clock->limit_ms);
            return STEM_REMOTE_LATE;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return STEM_OK;
}

static int new_socket(int domain)
{
    return stem_descriptor_socket(domain, SOCK_STREAM | SOCK_NONBLOCK);
}

static int open_unix_at(const char *path, const stem_remote_clock *clock, int *opened)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = new_socket(AF_UNIX);

    if (fd < 0)
        return broken(errno);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int code = connect_to(fd, (const struct sockaddr *)&address,
                          (socklen_t)sizeof address, clock);
    if (code == STEM_OK)
        *opened = fd;
    else
        stem_descriptor_close(fd);
    return code;
}

/* An address holds paths of 107 bytes: a longer one is reached through a descriptor. */
static int open_unix_path(const char *path, const stem_remote_clock *clock, int *opened)
{
    struct sockaddr_un address;

    if (strlen(path) < sizeof address.sun_path)
        return open_unix_at(path, clock, opened);
    const int file = stem_descriptor_open(AT_FDCWD, path, O_PATH, 0);
    if (file < 0)
        return broken(errno);
    char through[sizeof address.sun_path];
    snprintf(through, sizeof through, "/proc/self/fd/%d", file);
    int code = open_unix_at(through, clock, opened);
    stem_descriptor_close(file);
    return code;
}

/* Whether a server may make its socket there: the directory exists. */
static bool may_appear(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    struct stat status;
    const bool is_there =
        directory && stat(directory, &status) == 0 && S_ISDIR(status.st_mode);

    free(directory);
    return is_there;
}

/* A connection is refused, too, by a file that is no socket, which never becomes one. */
static int open_unix(const char *path, const stem_remote_clock *clock, int *opened)
{
    struct stat status;

    int code = open_unix_path(path, clock, opened);
    if (code != STEM_REMOTE_AWAY && code != STEM_REMOTE_BROKEN)
        return code;
    if (stat(path, &status) == 0)
        return S_ISSOCK(status.st_mode) ? code : STEM_REMOTE_BROKEN;
    return errno == ENOENT && may_appear(path) ? STEM_REMOTE_AWAY : STEM_REMOTE_BROKEN;
}

static bool is_loopback(const struct sockaddr *address)
{
    enum { LOOPBACK_NET = 127 };

    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, address, sizeof v4);
        return ntohl(v4.sin_addr.s_addr) >> 24 == LOOPBACK_NET;
    }
    if (address->sa_family != AF_INET6)
        return false;
    struct sockaddr_in6 v6;
    memcpy(&v6, address, sizeof v6);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) &&
            v6.sin6_addr.s6_addr[12] == LOOPBACK_NET);
}

static int open_address(const struct addrinfo *address, const stem_remote_clock *clock,
                        int *opened)
{
    const int yes = 1, probe_after_s = 60;
    const int fd = new_socket(address->ai_family);

    if (fd < 0)
        return broken(errno);
    /* Speed, and word of a peer that has vanished: neither is a reason to fail. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &probe_after_s, sizeof probe_after_s);
    int code = connect_to(fd, address->ai_addr, address->ai_addrlen, clock);
    if (code == STEM_OK)
        *opened = fd;
    else
        stem_descriptor_close(fd);
    return code;
}

/* One address after the other, each with a fair share of the time that is left. */
static int open_first(const struct addrinfo *addresses, bool only_loopback,
                      const stem_remote_clock *clock, int *opened)
{
    int code = STEM_REMOTE_BROKEN, n = 0;

    stem_failure_set(STEM_EIO, "the host has no address");
    for (const struct addrinfo *each = addresses; each; each = each->ai_next) {
        if (only_loopback && !is_loopback(each->ai_addr))
            return stem_fail(STEM_EINVAL,
                             "a password is not sent in the clear to another machine: "
                             "use stems://");
        n++;
    }
    for (const struct addrinfo *each = addresses; each && code != STEM_OK;
         each = each->ai_next, n--) {
        const int share = stem_remote_clock_left(clock) / n;
        const stem_remote_clock part =
            stem_remote_clock_start(share > 0 ? (size_t)share : 1);

        code = open_address(each, &part, opened);
    }
    return code;
}

/* The resolver keeps time limits of its own. */
static int open_tcp(const stem_remote_location *location, bool only_loopback,
                    const stem_remote_clock *clock, int *opened)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses;

    const int cause = getaddrinfo(location->host, location->port, &hints, &addresses);
    if (cause != 0) {
        stem_failure_set(STEM_EIO, "%s",
                         cause == EAI_SYSTEM ? strerror(errno) : gai_strerror(cause));
        return STEM_REMOTE_REFUSED;
    }
    int code = open_first(addresses, only_loopback, clock, opened);
    freeaddrinfo(addresses);
    return code;
}

int stem_remote_socket_open(const stem_remote_location *location, stem_remote_tls *tls,
                            bool only_loopback, stem_remote_clock *clock,
                            stem_remote_socket *opened)
{
    stem_remote_socket made = {.fd = -1};
    int code;

    if (location->scheme == STEM_REMOTE_UNIX)
        code = open_unix(location->path, clock, &made.fd);
    else
        code = open_tcp(location, only_loopback && location->scheme == STEM_REMOTE_TCP,
                        clock, &made.fd);
    if (code == STEM_OK && location->scheme == STEM_REMOTE_TLS) {
        code = stem_remote_tls_connect(tls, location->host, clock, &made);
        if (code != STEM_OK)
            stem_descriptor_close(made.fd);
    }
    if (code == STEM_OK)
        *opened = made;
    return code;
}

void stem_remote_socket_close(stem_remote_socket *socket)
{
    if (socket->stream)
        stem_remote_tls_close(socket);
    stem_descriptor_close(socket->fd);
}

/* ---- Sending and receiving -------------------------------------------------------- */

/* Up to MANY parts in one call, the first without its first `skipped` bytes; the bytes that
 * went, or -1. */
static ssize_t send_some(int fd, const stem_slice *parts, size_t n, size_t skipped)
{
    enum { MANY = 64 };
    struct iovec pieces[MANY];
    struct msghdr message = {.msg_iov = pieces};
    ssize_t sent;

    for (size_t i = 0; i < n && i < MANY; i++) {
        const size_t from = i == 0 ? skipped : 0;

        pieces[i].iov_base = (char *)parts[i].data + from;
        pieces[i].iov_len = parts[i].len - from;
        message.msg_iovlen++;
    }
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

static int send_plain(int fd, const stem_slice *parts, size_t n, stem_remote_clock *clock,
                      bool *was_sent)
{
    size_t skipped = 0;

    for (;;) {
        while (n > 0 && skipped >= parts->len) {
            skipped -= parts->len;
            parts++;
            n--;
        }
        if (n == 0)
            return STEM_OK;
        const ssize_t sent = send_some(fd, parts, n, skipped);
        if (sent >= 0) {
            *was_sent |= sent > 0;
            skipped += (size_t)sent;
            stem_remote_clock_moved(clock, (size_t)sent);
            continue;
        }
        int code = errno == EAGAIN ? stem_remote_wait(fd, POLLOUT, clock) : broken(errno);
        if (code != STEM_OK)
            return code;
    }
}

int stem_remote_socket_send(stem_remote_socket *socket, const stem_slice *parts, size_t n,
                            stem_remote_clock *clock, bool *was_sent)
{
    int code = STEM_OK;

    *was_sent = false;
    if (!socket->stream)
        return send_plain(socket->fd, parts, n, clock, was_sent);
    for (size_t i = 0; i < n && code == STEM_OK; i++)
        code = stem_remote_tls_send(socket, parts[i], clock, was_sent);
    return code;
}

int stem_remote_socket_receive(stem_remote_socket *socket, char *room, size_t size,
                               stem_remote_clock *clock, size_t *got)
{
    if (socket->stream)
        return stem_remote_tls_receive(socket, room, size, clock, got);
    for (;;) {
        int code = stem_spin_again(&socket->spin)
                       ? STEM_OK
                       : stem_remote_wait(socket->fd, POLLIN, clock);
        if (code != STEM_OK)
            return code;
        const ssize_t n = recv(socket->fd, room, size, 0);
        if (n > 0) {
            stem_spin_end(&socket->spin);
            *got = (size_t)n;
            stem_remote_clock_moved(clock, *got);
            return STEM_OK;
        }
        if (n == 0) {
            stem_failure_set(STEM_EIO, "the server closed the connection");
            return STEM_REMOTE_BROKEN;
        }
        if (errno != EAGAIN && errno != EINTR)
            return broken(errno);
    }
}

bool stem_remote_socket_is_quiet(stem_remote_socket *socket)
{
    char byte;

    if (recv(socket->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0)
        return errno == EAGAIN || errno == EINTR;
    /* Bytes may be TLS's own, and nothing for us. */
    return socket->stream && stem_remote_tls_is_quiet(socket);
}
