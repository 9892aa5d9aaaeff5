/*
 * What the files of Stem's own commands and of those that walk share: words read, and
 * arguments that become stored bytes.
 *
 * A function that takes a request answers as stem_request_key does: STEM_EINVAL after
 * having replied with an error.
 */
#ifndef STEM_NET_COMMAND_OWN_H
#define STEM_NET_COMMAND_OWN_H

#include "bounds.h"
#include "command_value.h"

/* The answer of a command to what such a function has answered. */
static inline int stem_answered(int code)
{
    return code == STEM_EINVAL ? STEM_OK : code;
}

/* Replies with an error. */
static inline int stem_refuse(stem_request *request, const char *text)
{
    stem_reply_error(request->reply, text);
    return STEM_EINVAL;
}

static inline int stem_refuse_syntax(stem_request *request)
{
    return stem_refuse(request, "ERR syntax error");
}

/* Decimal digits without more of them than needed, at most 2^63 - 1. */
static inline bool stem_read_number(stem_slice sent, uint64_t *x)
{
    uint64_t read = 0;

    if (sent.len == 0 || sent.len > 19 || (sent.data[0] == '0' && sent.len > 1))
        return false;
    for (size_t i = 0; i < sent.len; i++) {
        if (sent.data[i] < '0' || sent.data[i] > '9')
            return false;
        read = 10 * read + (uint64_t)(sent.data[i] - '0');
    }
    *x = read;
    return read <= INT64_MAX;
}

/* Adds replies that were gathered aside, behind the head of their array. */
static inline void stem_reply_add(stem_reply *reply, const stem_reply *others)
{
    stem_buffer_add(&reply->bytes, others->bytes.data, others->bytes.len);
    reply->bytes.failed |= others->bytes.failed;
}

/* The canonical bytes of a value that was sent packed, or as JSON: the word's own, or in memory
 * of the execution's. */
int stem_request_packed(stem_request *request, size_t arg, stem_slice *bytes);
int stem_request_json(stem_request *request, size_t arg, stem_slice *bytes);
/* Stores what one of these has given for that word. */
int stem_request_store(stem_request *request, stem_slice key, stem_slice bytes,
                       size_t arg);

/* Whether the request may name records of sessions: who shares the database and is attached, in
 * raw keys. To all others they are no keys, whatever they ask. */
static inline bool stem_may_name_records(const stem_request *request)
{
    const stem_caller *peer = request->peer;

    return peer && peer->may_serve && peer->session && request->has_raw_keys &&
           request->scope.len == 0;
}

/* As stem_request_key, but for the key of a record, which is borrowed. */
int stem_request_key_or_record(stem_request *request, size_t arg, stem_slice *stored);

/* The range between two words: its start and its end. */
int stem_request_bounds(stem_request *request, size_t arg, stem_bounds *bounds);

/* A pattern for names in lower case, whatever case it was sent in (command_describe.c). free()
 * releases it. */
struct stem_pattern;
int stem_request_name_pattern(stem_request *request, size_t arg,
                              struct stem_pattern **pattern);

/* Whether a STEM.COMMIT of these words has expectations, which tell what is there. */
bool stem_commit_expects(const stem_slice *args, size_t n_args);

#endif
