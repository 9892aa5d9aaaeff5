/*
 * Who is at the other end, as far as failed logins count against somebody, and how many
 * there were lately. No clock and no locks: whoever asks brings the time, and holds a
 * lock.
 */
#ifndef STEM_NET_PEER_H
#define STEM_NET_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STEM_PEER_SIZE = 64 }; /* of a peer's text, with its NUL */

/* The text that stands for the peer of a connected socket: "uid 1000" of a Unix socket,
 * an IPv4 address, or the network of 64 bits that an IPv6 address is in, any address of
 * which its owner can take ("2001:db8:0:1::/64"; one that is of this host or link alone
 * is itself). Without the port. STEM_EIO when the socket has no peer any more. */
int stem_peer_of(int fd, char text[STEM_PEER_SIZE]);

typedef struct stem_peer {
    char text[STEM_PEER_SIZE];
    size_t waiting;         /* logins that it waits for; kept by the caller */
    uint64_t owes_until_ns; /* every failure pushes it on by its share of a second */
} stem_peer;

/* A fixed number of peers. */
typedef struct stem_peers {
    stem_peer *table;
    size_t n;
    uint64_t failure_ns; /* what one failure pushes on by */
} stem_peers;

/* STEM_ENOMEM. */
int stem_peers_init(stem_peers *peers, size_t n, unsigned failures_per_second);
void stem_peers_free(stem_peers *peers);

/* The peer of that text (cut at what fits), which takes the place of the one whose last
 * failure is the longest ago, if need be. It stays while it waits; NULL when all do. */
stem_peer *stem_peers_at(stem_peers *peers, const char *text);

/* Whether it has used up what it may fail: so many at once, and then one every share of a
 * second. */
bool stem_peer_is_over(const stem_peers *peers, const stem_peer *peer, uint64_t now_ns);
void stem_peer_failed(const stem_peers *peers, stem_peer *peer, uint64_t now_ns);

#endif
