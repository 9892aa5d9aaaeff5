/*
 * MessagePack bytes token by token: what decoding, the encoding of packed bytes and the
 * cursor share. A token is a scalar with its payload, or the head of a container. No
 * recursion, no allocation, never a read past the end.
 */
#ifndef STEM_MSGPACK_BYTES_H
#define STEM_MSGPACK_BYTES_H

#include "stem.h"

enum { STEM_TIME_EXT_CODE = -1, STEM_NANOSECONDS_MAX = 999999999 };

/* A walk over the tokens of one object, the heads of containers before what is in them.
 * `left` counts the values still to come in each open container. */
typedef struct stem_tokens {
    const unsigned char *next, *end;
    int depth;
    bool is_done; /* the object is complete, and `next` is where it ends */
    uint64_t left[STEM_DEPTH_MAX];
} stem_tokens;

static inline void stem_tokens_start(stem_tokens *tokens, const unsigned char *start,
                                     const unsigned char *end)
{
    tokens->next = start;
    tokens->end = end;
    tokens->depth = 0;
    tokens->is_done = false;
}

/* Steps to the next token: NULL with the token filled, or why there is none, `next` then
 * being where it should have begun. Views point into the bytes, those of an array perhaps
 * unaligned; those of a container begin at its head, with a length of 0. */
const char *stem_tokens_next(stem_tokens *tokens, stem_value *token);

/* Fills `out` if the bytes are one whole value of the kinds that are read most, scalars
 * and short strings: the short way past the walk. */
bool stem_read_common(const unsigned char *p, size_t len, stem_value *out);
/* The same for an array as Stem writes it, which may turn out not to be aligned. */
bool stem_read_plain_array(const unsigned char *p, size_t len, stem_value *out);

/* Reads the value at `p`, which borrows from there, and where it ends; when `is_whole` it
 * must end at `end`. An array that is not aligned is copied into a block of the value's
 * own. */
int stem_value_read(const unsigned char *p, const unsigned char *end, bool is_whole,
                    stem_value *out, const unsigned char **value_end);

#endif
