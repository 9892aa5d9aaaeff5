/*
 * Replies of a server; see remote_reply.h.
 *
 * hiredis would make an object of each element. What it calls instead adds an item, in the
 * order of arrival, and takes memory only for what has really arrived.
 */
#include "remote_reply.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"

enum {
    LINE_MAX_BYTES = 65536,            /* of a status, an error, or a length */
    BULK_MAX = STEM_VALUE_MAX + 65536, /* what waits to become a string */
    ALIGNMENT = 16,                    /* of packed strings that may be arrays */
    KEPT_BYTES = 4 << 20,
    READER_KEEPS = 1 << 20
};

struct stem_remote_reader {
    redisReader *redis;
};

/* ---- Replies ---------------------------------------------------------------------- */

static void free_owned(stem_remote_reply *reply)
{
    if (!reply->is_packed)
        for (size_t i = 0; i < reply->n; i++)
            if (reply->items[i].kind == STEM_REPLY_STRING)
                free(reply->items[i].as.owned);
    reply->n = 0;
}

void stem_remote_reply_free(stem_remote_reply *reply)
{
    free_owned(reply);
    free(reply->items);
    free(reply->texts.data);
    *reply = (stem_remote_reply){.is_packed = reply->is_packed};
}

void stem_remote_reply_reset(stem_remote_reply *reply)
{
    if (reply->failed || reply->texts.failed || reply->texts.capacity > KEPT_BYTES ||
        reply->capacity * sizeof *reply->items > KEPT_BYTES) {
        stem_remote_reply_free(reply);
        return;
    }
    free_owned(reply);
    reply->texts.len = 0;
    reply->is_array = false;
}

static bool is_owned(const stem_remote_reply *reply, const stem_remote_item *item)
{
    return item->kind == STEM_REPLY_STRING && !reply->is_packed;
}

stem_slice stem_remote_reply_text(const stem_remote_reply *reply, size_t i)
{
    const stem_remote_item *item = &reply->items[i];

    return (stem_slice){is_owned(reply, item) ? item->as.owned
                                              : reply->texts.data + item->as.offset,
                        item->len};
}

bool stem_remote_reply_is(const stem_remote_reply *reply, enum stem_remote_kind kind)
{
    return !reply->is_array && reply->n == 1 && reply->items[0].kind == kind;
}

bool stem_remote_reply_is_error(const stem_remote_reply *reply, const char *word)
{
    const size_t len = strlen(word);

    if (!stem_remote_reply_is(reply, STEM_REPLY_ERROR))
        return false;
    const stem_slice text = stem_remote_reply_text(reply, 0);
    return text.len >= len && memcmp(text.data, word, len) == 0 &&
           (text.len == len || text.data[len] == ' ');
}

/* ---- What hiredis calls ----------------------------------------------------------- */

/* Room for an item; NULL for what lies deeper than an array's elements, and when there is no
 * memory. */
static stem_remote_item *add_item(const redisReadTask *task, stem_remote_reply *reply)
{
    if (reply->failed || (task->parent && task->parent->parent))
        return NULL;
    if (reply->n == reply->capacity) {
        const size_t capacity = reply->capacity > 0 ? 2 * reply->capacity : 8;
        stem_remote_item *larger = realloc(reply->items, capacity * sizeof *larger);

        if (!larger) {
            reply->failed = true;
            return NULL;
        }
        reply->items = larger;
        reply->capacity = capacity;
    }
    stem_remote_item *item = &reply->items[reply->n++];
    *item = (stem_remote_item){.kind = STEM_REPLY_NULL};
    return item;
}

/* What stands for an object with hiredis, which takes NULL for no memory. */
static void *object(stem_remote_reply *reply)
{
    return reply->failed ? NULL : reply;
}

/* Copies a text behind the others, a NUL behind it; what may be an array lies aligned. */
static bool add_text(stem_remote_reply *reply, const char *data, size_t len,
                     stem_remote_item *item)
{
    stem_buffer *texts = &reply->texts;
    const size_t gap =
        len > STEM_SHORT_VALUE ? (ALIGNMENT - texts->len % ALIGNMENT) % ALIGNMENT : 0;
    char *room = stem_buffer_room(texts, gap + len + 1);

    if (!room)
        return false;
    memcpy(room + gap, data, len);
    room[gap + len] = '\0';
    item->as.offset = texts->len - len - 1;
    return true;
}

static bool own_text(const char *data, size_t len, stem_remote_item *item)
{
    item->as.owned = malloc(len + 1);
    if (!item->as.owned)
        return false;
    memcpy(item->as.owned, data, len);
    item->as.owned[len] = '\0';
    return true;
}

static void *create_string(const redisReadTask *task, char *data, size_t len)
{
    stem_remote_reply *reply = task->privdata;
    stem_remote_item *item = add_item(task, reply);

    if (!item)
        return object(reply);
    item->kind = task->type == REDIS_REPLY_STATUS  ? STEM_REPLY_STATUS
                 : task->type == REDIS_REPLY_ERROR ? STEM_REPLY_ERROR
                                                   : STEM_REPLY_STRING;
    item->len = len;
    if (!(is_owned(reply, item) ? own_text(data, len, item)
                                : add_text(reply, data, len, item))) {
        reply->failed = true;
        reply->n--;
    }
    return object(reply);
}

#if HIREDIS_MAJOR >= 1
typedef size_t array_length;
#else
typedef int array_length;
#endif

static void *create_array(const redisReadTask *task, array_length n)
{
    stem_remote_reply *reply = task->privdata;

    (void)n;
    if (!task->parent) {
        reply->is_array = true;
        return object(reply);
    }
    stem_remote_item *item = add_item(task, reply);
    if (item)
        item->kind = STEM_REPLY_ARRAY;
    return object(reply);
}

static void *create_integer(const redisReadTask *task, long long x)
{
    stem_remote_reply *reply = task->privdata;
    stem_remote_item *item = add_item(task, reply);

    if (item) {
        item->kind = STEM_REPLY_INTEGER;
        item->as.integer = x;
    }
    return object(reply);
}

static void *create_null(const redisReadTask *task)
{
    stem_remote_reply *reply = task->privdata;

    add_item(task, reply);
    return object(reply);
}

/* The reply belongs to who receives it. */
static void free_object(void *nothing)
{
    (void)nothing;
}

/* Only hiredis's type keeps it from being const. */
static redisReplyObjectFunctions functions = {.createString = create_string,
                                              .createArray = create_array,
                                              .createInteger = create_integer,
                                              .createNil = create_null,
                                              .freeObject = free_object};

/* ---- Reading ---------------------------------------------------------------------- */

stem_remote_reader *stem_remote_reader_new(void)
{
    stem_remote_reader *reader = malloc(sizeof *reader);

    if (!reader)
        return NULL;
    reader->redis = redisReaderCreateWithFunctions(&functions);
    if (!reader->redis) {
        free(reader);
        return NULL;
    }
    reader->redis->maxbuf = READER_KEEPS;
    return reader;
}

void stem_remote_reader_free(stem_remote_reader *reader)
{
    if (!reader)
        return;
    redisReaderFree(reader->redis);
    free(reader);
}

static int no_memory(void)
{
    return stem_fail(STEM_ENOMEM, "no memory for the server's reply");
}

/* hiredis would gather whatever a length claims, and a line without end. */
static int check_unread(const redisReader *redis)
{
    const size_t unread = redis->len - redis->pos;
    const size_t line = unread < LINE_MAX_BYTES ? unread : LINE_MAX_BYTES;
    const bool is_line = unread > 0 && !memchr(redis->buf + redis->pos, '\n',
                                               line); /* or a string's head */

    return unread <= (is_line ? LINE_MAX_BYTES : BULK_MAX)
               ? STEM_NOTFOUND
               : stem_fail(STEM_EIO, "a reply that is longer than any can be");
}

int stem_remote_reader_feed(stem_remote_reader *reader, const char *data, size_t len,
                            stem_remote_reply *reply)
{
    redisReader *redis = reader->redis;
    void *complete = NULL;

    redis->privdata = reply;
    if (redisReaderFeed(redis, data, len) != REDIS_OK)
        return no_memory();
    const int answer = redisReaderGetReply(redis, &complete);
    if (reply->failed || redis->err == REDIS_ERR_OOM)
        return no_memory();
    if (answer != REDIS_OK)
        return stem_fail(STEM_EIO, "what the server sent is no reply: %s", redis->errstr);
    if (!complete)
        return check_unread(redis);
    if (redis->len > redis->pos)
        return stem_fail(STEM_EIO, "the server sent more than was asked for");
    return STEM_OK;
}
