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

#include "table.h"

enum { STEM_PEER_SIZE = 64 }; /* of a peer's text, with its NUL */

/* The text that stands for the peer of a connected socket: "uid 1000" of a Unix socket,
 * an IPv4 address, or the network of 64 bits that an IPv6 address is in, any address of
 * which its owner can take ("2001:db8:0:1::/64"; one that is of this host or link alone
 * is itself). Without the port. STEM_EIO when the socket has no peer any more. */
int stem_peer_of(int fd, char text[STEM_PEER_SIZE]);

/* Whether that text is of a process of this user's. */
bool stem_peer_is_own_user(const char *text);

typedef struct stem_peer {
    UT_hash_handle hh;
    char text[STEM_PEER_SIZE];
    uint64_t owes_until_ns; /* every failure pushes it on by its share of a second */

    /* Of login.c: */
    size_t n_waiting; /* logins of it, those under way included; it is kept as long */
    struct stem_waiting_login *queue; /* those whose turn has not come, in order */
    struct stem_peer *prev, *next;    /* of the peers that have a queue */
} stem_peer;

/* The peers that have a login waiting or owe something. Any other is as good as unknown, and
 * is removed when there are many. So there are few more of them than connections. */
typedef struct stem_peers {
    stem_peer *by_text;
    size_t n_swept;      /* removed from when there are so many */
    uint64_t failure_ns; /* what one failure pushes on by */
} stem_peers;

void stem_peers_init(stem_peers *peers, unsigned failures_per_second);
void stem_peers_free(stem_peers *peers);

/* The peer of that text (cut at what fits), new or known. It stays while it has logins that
 * wait, and until the next call. NULL when there is no memory for it. */
stem_peer *stem_peers_at(stem_peers *peers, const char *text, uint64_t now_ns);

/* Whether it has failed lately. */
bool stem_peer_owes(const stem_peer *peer, uint64_t now_ns);
/* Whether it has used up what it may fail: so many at once, and then one every share of a
 * second. */
bool stem_peer_is_over(const stem_peers *peers, const stem_peer *peer, uint64_t now_ns);
void stem_peer_failed(const stem_peers *peers, stem_peer *peer, uint64_t now_ns);

#endif
