/*
 * Replies as bytes; see resp.h. Each is reserved in one piece, so that one for which
 * there is no memory leaves none of itself behind.
 */
#include "resp.h"

#include <stdint.h>

/* "$9223372036854775807\r\n", written from its end. */
enum { HEAD_SIZE = 24 };

typedef struct reply_head {
    char room[HEAD_SIZE];
    size_t start;
} reply_head;

static void write_head(reply_head *out, char type, uint64_t x, bool is_negative)
{
    size_t start = HEAD_SIZE;

    out->room[--start] = '\n';
    out->room[--start] = '\r';
    do
        out->room[--start] = (char)('0' + x % 10);
    while ((x /= 10) > 0);
    if (is_negative)
        out->room[--start] = '-';
    out->room[--start] = type;
    out->start = start;
}

/* The head and `len` bytes behind it for the caller to fill; NULL without memory. */
static char *add_head(stem_reply *reply, char type, uint64_t x, bool is_negative,
                      size_t len)
{
    reply_head head;
    size_t head_len;
    char *room;

    write_head(&head, type, x, is_negative);
    head_len = HEAD_SIZE - head.start;
    room = stem_buffer_room(&reply->bytes, head_len + len);
    if (!room)
        return NULL;
    memcpy(room, head.room + head.start, head_len);
    return room + head_len;
}

/* A string behind its length, of which `mark` is a part. */
static void add_string(stem_reply *reply, char type, const char *mark, const void *data,
                       size_t len)
{
    const size_t mark_len = strlen(mark);
    char *room = add_head(reply, type, mark_len + len, false, mark_len + len + 2);

    if (!room)
        return;
    memcpy(room, mark, mark_len);
    room += mark_len;
    if (len > 0)
        memcpy(room, data, len);
    room[len] = '\r';
    room[len + 1] = '\n';
}

/* The type, a text and the line's end; where the text begins, NULL without memory. */
static char *add_line(stem_reply *reply, char type, const char *text)
{
    const size_t len = strlen(text);
    char *room = stem_buffer_room(&reply->bytes, len + 3);

    if (!room)
        return NULL;
    room[0] = type;
    memcpy(room + 1, text, len);
    room[len + 1] = '\r';
    room[len + 2] = '\n';
    return room + 1;
}

void stem_reply_status(stem_reply *reply, const char *text)
{
    add_line(reply, '+', text);
}

void stem_reply_error(stem_reply *reply, const char *text)
{
    char *line = add_line(reply, '-', text);

    for (size_t i = 0; line && text[i] != '\0'; i++)
        if (line[i] == '\r' || line[i] == '\n')
            line[i] = ' ';
}

void stem_reply_integer(stem_reply *reply, int64_t x)
{
    add_head(reply, ':', x < 0 ? 0 - (uint64_t)x : (uint64_t)x, x < 0, 0);
}

void stem_reply_bulk(stem_reply *reply, const void *data, size_t len)
{
    add_string(reply, '$', "", data, len);
}

void stem_reply_text(stem_reply *reply, const char *text)
{
    add_string(reply, '$', "", text, strlen(text));
}

void stem_reply_verbatim(stem_reply *reply, const char *text, size_t len)
{
    if (reply->version < 3)
        add_string(reply, '$', "", text, len);
    else
        add_string(reply, '=', "txt:", text, len);
}

void stem_reply_null(stem_reply *reply)
{
    stem_buffer_add_text(&reply->bytes, reply->version < 3 ? "$-1\r\n" : "_\r\n");
}

void stem_reply_null_array(stem_reply *reply)
{
    stem_buffer_add_text(&reply->bytes, reply->version < 3 ? "*-1\r\n" : "_\r\n");
}

void stem_reply_array(stem_reply *reply, size_t n)
{
    add_head(reply, '*', n, false, 0);
}

void stem_reply_set(stem_reply *reply, size_t n)
{
    add_head(reply, reply->version < 3 ? '*' : '~', n, false, 0);
}

void stem_reply_map(stem_reply *reply, size_t n_pairs)
{
    if (reply->version < 3)
        add_head(reply, '*', 2 * (uint64_t)n_pairs, false, 0);
    else
        add_head(reply, '%', n_pairs, false, 0);
}
