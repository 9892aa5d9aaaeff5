/*
 * The peers of connections, and their failed logins. The table is short and of one size,
 * and is searched from end to end: a login costs a thousand times as much.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../error.h"

static const uint64_t second_ns = UINT64_C(1000000000);

/* ---- Who it is -------------------------------------------------------------------- */

static bool local_text(int fd, char text[STEM_PEER_SIZE])
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    snprintf(text, STEM_PEER_SIZE, "uid %lu", (unsigned long)peer.uid);
    return true;
}

static void ipv6_text(const struct in6_addr *address, char text[STEM_PEER_SIZE])
{
    enum { NETWORK_BYTES = 8 };
    struct in6_addr network = *address;

    if (IN6_IS_ADDR_V4MAPPED(address)) {
        inet_ntop(AF_INET, &address->s6_addr[12], text, STEM_PEER_SIZE);
    } else if (IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_LINKLOCAL(address)) {
        inet_ntop(AF_INET6, address, text, STEM_PEER_SIZE);
    } else {
        memset(network.s6_addr + NETWORK_BYTES, 0, sizeof network - NETWORK_BYTES);
        inet_ntop(AF_INET6, &network, text, STEM_PEER_SIZE);
        strcat(text, "/64"); /* an address has at most 46 bytes */
    }
}

int stem_peer_of(int fd, char text[STEM_PEER_SIZE])
{
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        struct sockaddr_storage room;
    } address;
    socklen_t len = sizeof address;

    if (getpeername(fd, &address.any, &len) != 0)
        return stem_fail(STEM_EIO, "a connection has no peer: %s", strerror(errno));
    if (address.any.sa_family == AF_INET)
        inet_ntop(AF_INET, &address.ipv4.sin_addr, text, STEM_PEER_SIZE);
    else if (address.any.sa_family == AF_INET6)
        ipv6_text(&address.ipv6.sin6_addr, text);
    else if (address.any.sa_family != AF_UNIX || !local_text(fd, text))
        return stem_fail(STEM_EIO, "the peer of a connection is unknown");
    return STEM_OK;
}

/* ---- How often it has failed ------------------------------------------------------ */

int stem_peers_init(stem_peers *peers, size_t n, unsigned failures_per_second)
{
    peers->table = calloc(n, sizeof *peers->table);
    if (!peers->table)
        return stem_fail(STEM_ENOMEM, "no memory for %zu peers", n);
    peers->n = n;
    peers->failure_ns = second_ns / failures_per_second;
    return STEM_OK;
}

void stem_peers_free(stem_peers *peers)
{
    free(peers->table);
    peers->table = NULL;
}

stem_peer *stem_peers_at(stem_peers *peers, const char *text)
{
    stem_peer *oldest = NULL;

    for (size_t i = 0; i < peers->n; i++) {
        stem_peer *each = &peers->table[i];

        if (strncmp(each->text, text, STEM_PEER_SIZE - 1) == 0)
            return each;
        if (each->waiting == 0 &&
            (!oldest || each->owes_until_ns < oldest->owes_until_ns))
            oldest = each;
    }
    if (!oldest)
        return NULL;
    oldest->owes_until_ns = 0;
    snprintf(oldest->text, sizeof oldest->text, "%s", text);
    return oldest;
}

bool stem_peer_is_over(const stem_peers *peers, const stem_peer *peer, uint64_t now_ns)
{
    return peer->owes_until_ns > now_ns &&
           peer->owes_until_ns - now_ns + peers->failure_ns > second_ns;
}

void stem_peer_failed(const stem_peers *peers, stem_peer *peer, uint64_t now_ns)
{
    if (peer->owes_until_ns < now_ns)
        peer->owes_until_ns = now_ns;
    peer->owes_until_ns += peers->failure_ns;
}
