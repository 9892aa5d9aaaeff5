/*
 * RESP, the wire protocol of Redis (https://redis.io/docs/reference/protocol-spec): requests,
 * out of bytes as they arrive. Bytes alone: no sockets, and no notion of what a command does.
 * Nothing that arrives makes it read past its bytes, or take memory that the limits do not
 * allow.
 */
#ifndef STEM_NET_RESP_H
#define STEM_NET_RESP_H

#include "../buffer.h"
#include "../engine.h"

typedef struct stem_resp_limits {
    size_t max_args;  /* words of one request */
    size_t max_bytes; /* of one request, all of it counted */
} stem_resp_limits;

enum stem_resp_state {
    STEM_RESP_MORE,  /* the request is not complete yet */
    STEM_RESP_READY, /* `args` are one request */
    STEM_RESP_BROKEN /* these bytes are no request, nor is what follows them */
};

/* Reads one request after the other. What was read of a request that is not complete yet is
 * not read again when more of it has arrived. */
typedef struct stem_resp_parser {
    stem_resp_limits limits;

    /* READY: the words, which lie in the bytes that were read or in the parser, until the next
     * call. A request of no words (an empty line) is READY with none. */
    stem_slice *args;
    size_t n_args;
    size_t used; /* READY: the bytes that the request takes */

    /* MORE: no need to call again with fewer bytes than these. */
    size_t wanted;

    /* BROKEN: why, as Redis says it ("Protocol error: invalid bulk length"); NULL when the
     * peer speaks HTTP and gets no answer. Static. */
    const char *problem;

    /* The parser's own. */
    size_t args_capacity;
    size_t *offsets; /* of what was read of a request that is not complete */
    size_t n_read, n_expected, position;
    size_t scanned;       /* so many bytes from there on end no line */
    stem_buffer unquoted; /* words of a request on one line; of another it is empty */
} stem_resp_parser;

void stem_resp_parser_init(stem_resp_parser *parser, const stem_resp_limits *limits);
void stem_resp_parser_free(stem_resp_parser *parser);
/* Gives back what a request of many words took, which has been served: `args` are gone. Words that
 * lie in the parser stay. */
void stem_resp_parser_trim(stem_resp_parser *parser);

/* Reads on in `data`, which begins with the first byte of a request: between calls that
 * answer MORE it may move and grow, and nothing else. Arrays of bulk strings are requests, and
 * so is a line of words, with quotes as redis-cli has them (at most 64 KiB). STEM_ENOMEM,
 * negative, when there is no memory. */
int stem_resp_parse(stem_resp_parser *parser, const char *data, size_t len);

/* ---- Replies ---------------------------------------------------------------------- */

/* Replies as bytes, in version 2 or 3 of the protocol. What version 2 has no form for takes
 * the one that Redis uses there. */
typedef struct stem_reply {
    stem_buffer bytes;
    int version; /* 2 or 3 */
    struct stem_failures
        *failures;     /* where failures of the database are noted, or NULL */
    bool tells_causes; /* of them, which may name files */
} stem_reply;

/* "+OK"; the text has no line breaks. */
void stem_reply_status(stem_reply *reply, const char *text);
/* "-ERR no such key": the code and what is said, which must not be what the peer sent. */
void stem_reply_error(stem_reply *reply, const char *text);
void stem_reply_integer(stem_reply *reply, int64_t x);
void stem_reply_bulk(stem_reply *reply, const void *data, size_t len);
void stem_reply_text(stem_reply *reply, const char *text);
/* A text to read; in version 2 a bulk string. */
void stem_reply_verbatim(stem_reply *reply, const char *text, size_t len);
void stem_reply_null(stem_reply *reply);
/* What EXEC answers when it was given up; version 2 has a form of its own for it. */
void stem_reply_null_array(stem_reply *reply);
/* What follows are so many replies; of a map, twice as many. */
void stem_reply_array(stem_reply *reply, size_t n);
void stem_reply_set(stem_reply *reply, size_t n);
void stem_reply_map(stem_reply *reply, size_t n_pairs);

#endif
