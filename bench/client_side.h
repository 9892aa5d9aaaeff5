/*
 * What one client does for so many seconds: reads many at once, and commits. Each returns
 * how many values or commits a second. Keys and values are those of load.h.
 */
#ifndef STEM_BENCH_CLIENT_SIDE_H
#define STEM_BENCH_CLIENT_SIDE_H

#include <stdbool.h>

#include "served_by.h"

enum { CLIENT_SIDE_MANY = 100 };

/* What is read: of keys from 0 to n - 1, which are all there, values of that length. */
typedef struct client_side_keys {
    size_t n, value_len;
} client_side_keys;

/* stem_get_many of CLIENT_SIDE_MANY through the server's location, and hiredis's MGET. */
double client_side_get_many(served_by *server, const client_side_keys *of,
                            size_t seconds);
double client_side_mget(served_by *server, const client_side_keys *of, size_t seconds);

/* stem_get, one at a time. */
double client_side_get(served_by *server, const client_side_keys *of, size_t seconds);

/* stem_put, one at a time. */
double client_side_put(served_by *server, const client_side_keys *of, size_t seconds);
/* The request that stem_put makes, sent by hiredis in a session: under numbers that
 * ascend, so that the server records them, or under the number 0. */
double client_side_commit(served_by *server, const client_side_keys *of, size_t seconds,
                          bool is_recorded);

#endif
