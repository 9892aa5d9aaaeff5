/*
 * SCAN's cursors: a random number for the place that a walk has come to. A number is good
 * for the user that got it, in the same scope, and as often as it is shown, until the
 * walk has gone on from the one after it or the user holds too many.
 *
 * All of it may be called from any thread.
 */
#ifndef STEM_NET_CURSORS_H
#define STEM_NET_CURSORS_H

#include "../buffer.h"
#include "../engine.h"

enum { STEM_CURSORS_LIMIT = 1024 };

typedef struct stem_cursors stem_cursors;

/* Each user holds at most `limit` cursors, 0 being STEM_CURSORS_LIMIT. NULL when there
 * is no memory. */
stem_cursors *stem_cursors_new(size_t limit);
void stem_cursors_free(stem_cursors *cursors); /* NULL is nothing */

/* A cursor for a position, from 1 to 2^63 - 1. `before` is the one that the walk came
 * from, or 0. The user's oldest goes when there are too many. */
int stem_cursors_keep(stem_cursors *cursors, stem_slice user, stem_slice scope,
                      stem_slice position, uint64_t before, uint64_t *id);

/* Adds a cursor's position to the buffer, and forgets the one that its walk had come
 * from. STEM_NOTFOUND when there is none of that number for this user and scope. */
int stem_cursors_find(stem_cursors *cursors, stem_slice user, stem_slice scope,
                      uint64_t id, stem_buffer *position);

#endif
