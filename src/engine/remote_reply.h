/*
 * Replies of a server, out of bytes as they arrive: hiredis reads them, and they are laid out
 * here so that a value lies in one buffer of its own, or all of them in one. Nothing of what a
 * reply means.
 */
#ifndef STEM_ENGINE_REMOTE_REPLY_H
#define STEM_ENGINE_REMOTE_REPLY_H

#include "../buffer.h"
#include "../engine.h"

enum stem_remote_kind {
    STEM_REPLY_NULL,
    STEM_REPLY_STATUS,
    STEM_REPLY_ERROR,
    STEM_REPLY_INTEGER,
    STEM_REPLY_STRING,
    STEM_REPLY_ARRAY
};

typedef struct stem_remote_item {
    enum stem_remote_kind kind;
    size_t
        len; /* of a text; of an array within an array, whose elements are dropped: 0 */
    union {
        int64_t integer;
        char *owned;   /* a string, malloc'ed, a NUL behind it; unless it is packed */
        size_t offset; /* of any other text, in `texts`, a NUL behind it */
    } as;
} stem_remote_item;

/* A reply: one item, or the elements of an array. */
typedef struct stem_remote_reply {
    bool is_packed; /* set before it is received: strings go to `texts` too */
    bool is_array;
    bool failed; /* memory has run out */
    stem_remote_item *items;
    size_t n, capacity;
    stem_buffer texts;
} stem_remote_reply;

void stem_remote_reply_free(stem_remote_reply *reply);
/* Empty again, with a moderate amount of memory kept. */
void stem_remote_reply_reset(stem_remote_reply *reply);

/* The text of item `i`, which has one, borrowed. */
stem_slice stem_remote_reply_text(const stem_remote_reply *reply, size_t i);
/* Whether the reply is one item of that kind. */
bool stem_remote_reply_is(const stem_remote_reply *reply, enum stem_remote_kind kind);
/* Whether the reply is an error that begins with that word. */
bool stem_remote_reply_is_error(const stem_remote_reply *reply, const char *word);

/* ---- Reading ---------------------------------------------------------------------- */

typedef struct stem_remote_reader stem_remote_reader;

/* NULL when there is no memory. */
stem_remote_reader *stem_remote_reader_new(void);
void stem_remote_reader_free(stem_remote_reader *reader); /* NULL is nothing */

/* Reads on with bytes that have arrived: STEM_OK when the reply is complete, STEM_NOTFOUND
 * when more must arrive, and after failures, which end the reader's use: STEM_EIO for what is
 * no reply, one behind the reply that was not asked for, or one that is longer than any;
 * STEM_ENOMEM. `reply` is the same until it is complete. */
int stem_remote_reader_feed(stem_remote_reader *reader, const char *data, size_t len,
                            stem_remote_reply *reply);

#endif
