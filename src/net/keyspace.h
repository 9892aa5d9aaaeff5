/*
 * The keys of a range as a whole: one of them by chance, and about how many there are. Both
 * look at a few places alone, for a millisecond or two.
 */
#ifndef STEM_NET_KEYSPACE_H
#define STEM_NET_KEYSPACE_H

#include "../buffer.h"
#include "../engine.h"

struct stem_connection;

/* Whether a key of the range counts; the context is the caller's. */
typedef bool stem_keyspace_filter(const void *context, stem_slice key);

/* Puts a key that counts into the buffer: STEM_NOTFOUND when none was met. Among few keys each
 * is as likely as any other. Among many, one byte of the key after the other is chosen among
 * those from the least to the greatest that there is at its place, and a few steps follow: keys
 * in sparse parts come more often than those in dense ones. `filter` may be NULL. */
int stem_keyspace_random(stem_engine *engine, const stem_engine_range *range,
                         stem_keyspace_filter *filter, const void *context,
                         stem_buffer *key);

/* The number of keys: exact where there are few, else from the size of some and of all. */
int stem_keyspace_estimate(stem_engine *engine, const stem_engine_range *range,
                           uint64_t *n, bool *is_exact);

/* The same below the scope of a connection; an estimate is kept for a second. */
int stem_keyspace_count(struct stem_connection *connection, uint64_t *n);

#endif
