/*
 * The peers of connections, and their failed logins.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../error.h"

static const uint64_t second_ns = UINT64_C(1000000000);

/* ---- Who it is -------------------------------------------------------------------- */

static void uid_text(uid_t uid, char text[STEM_PEER_SIZE])
{
    snprintf(text, STEM_PEER_SIZE, "uid %lu", (unsigned long)uid);
}

bool stem_peer_is_own_user(const char *text)
{
    char own[STEM_PEER_SIZE];

    uid_text(geteuid(), own);
    return strcmp(text, own) == 0;
}

static bool local_text(int fd, char text[STEM_PEER_SIZE])
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    uid_text(peer.uid, text);
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

enum { FEW_PEERS = 64 };

void stem_peers_init(stem_peers *peers, unsigned failures_per_second)
{
    *peers =
        (stem_peers){.n_swept = FEW_PEERS, .failure_ns = second_ns / failures_per_second};
}

static void remove_peer(stem_peers *peers, stem_peer *peer)
{
    HASH_DEL(peers->by_text, peer);
    free(peer);
}

void stem_peers_free(stem_peers *peers)
{
    while (peers->by_text)
        remove_peer(peers, peers->by_text);
}

/* Removes those that are as good as unknown, once there are twice as many as were left the last
 * time: a constant cost for each that is added. */
static void sweep(stem_peers *peers, uint64_t now_ns)
{
    stem_peer *each, *next;

    if (HASH_COUNT(peers->by_text) < peers->n_swept)
        return;
    HASH_ITER(hh, peers->by_text, each, next)
    {
        if (each->n_waiting == 0 && !stem_peer_owes(each, now_ns))
            remove_peer(peers, each);
    }
    const size_t n_left = HASH_COUNT(peers->by_text);
    peers->n_swept = n_left > FEW_PEERS / 2 ? 2 * n_left : FEW_PEERS;
}

static stem_peer *add_peer(stem_peers *peers, const char *text, size_t len)
{
    stem_peer *added = calloc(1, sizeof *added);

    if (!added)
        return NULL;
    memcpy(added->text, text, len);
    HASH_ADD(hh, peers->by_text, text, len, added);
    if (added->hh.tbl)
        return added;
    free(added);
    return NULL;
}

stem_peer *stem_peers_at(stem_peers *peers, const char *text, uint64_t now_ns)
{
    const size_t len = strnlen(text, STEM_PEER_SIZE - 1);
    stem_peer *found;

    HASH_FIND(hh, peers->by_text, text, len, found);
    if (found)
        return found;
    sweep(peers, now_ns);
    return add_peer(peers, text, len);
}

bool stem_peer_owes(const stem_peer *peer, uint64_t now_ns)
{
    return peer->owes_until_ns > now_ns;
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
