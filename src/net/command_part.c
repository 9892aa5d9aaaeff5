/*
 * GETRANGE and SETRANGE: parts of a text.
 */
#include <stdlib.h>

#include "../buffer.h"
#include "../error.h"
#include "command_rows.h"
#include "command_value.h"

/* The part of a text of `len` bytes from `start` to `end`, both counted from its end where they
 * are negative. */
static stem_slice part_of(stem_slice text, int64_t start, int64_t end)
{
    const int64_t len = (int64_t)text.len;

    if (start < 0 && end < 0 && start > end)
        return (stem_slice){"", 0};
    if (start < 0)
        start = start < -len ? 0 : start + len;
    if (end < 0)
        end = end < -len ? 0 : end + len;
    if (end >= len)
        end = len - 1;
    if (start > end || len == 0)
        return (stem_slice){"", 0};
    return (stem_slice){text.data + start, (size_t)(end - start) + 1};
}

int stem_run_getrange(stem_request *request)
{
    int64_t start, end;
    stem_slice key;
    stem_text text;
    int code;

    if (!stem_text_is_int(request->args[2], &start) ||
        !stem_text_is_int(request->args[3], &end)) {
        stem_reply_error(request->reply, stem_no_integer);
        return STEM_OK;
    }
    if (!stem_request_has_text(request, &key, &text, &code))
        return code;
    if (text.kind == STEM_TEXT_OTHER) {
        stem_reply_error(request->reply, stem_wrong_type);
        return STEM_OK;
    }
    const stem_slice part = part_of(text.bytes, start, end);
    stem_reply_bulk(request->reply, part.data, part.len);
    return STEM_OK;
}

/* The text with the word in it from `offset` on, NULs before it where it was shorter; stored as
 * SET would. */
static int put_over(stem_request *request, stem_slice key, stem_slice before,
                    size_t offset, stem_slice word, bool *is_put)
{
    const size_t end = offset + word.len, len = before.len > end ? before.len : end;
    size_t bytes = stem_execution_own_bytes(request->on);
    stem_buffer text = {0};

    *is_put = stem_request_admits(request, key, stem_text_encoded_most(len), &bytes);
    if (!*is_put)
        return STEM_OK;
    char *room = stem_buffer_room(&text, len);
    if (!room)
        return stem_fail(STEM_ENOMEM, "no memory for a text of %zu bytes", len);
    if (before.len > 0)
        memcpy(room, before.data, before.len);
    if (offset > before.len)
        memset(room + before.len, 0, offset - before.len);
    memcpy(room + offset, word.data, word.len);
    const stem_value value = stem_value_of_text((stem_slice){room, len});
    const int code = stem_request_put(request, key, &value);
    free(text.data);
    return code;
}

/* What SET could carry; replies when it is not. */
static bool is_within_bounds(stem_request *request, int64_t offset, size_t len)
{
    const uint64_t most = request->peer ? request->peer->max_text_bytes : STEM_VALUE_MAX;

    if ((uint64_t)offset + len <= most)
        return true;
    stem_reply_error(request->reply,
                     "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

int stem_run_setrange(stem_request *request)
{
    const stem_slice word = request->args[3];
    int64_t offset;
    stem_slice key;
    stem_text before;
    bool is_put = true;
    int code;

    if (!stem_text_is_int(request->args[2], &offset)) {
        stem_reply_error(request->reply, stem_no_integer);
        return STEM_OK;
    }
    if (offset < 0) {
        stem_reply_error(request->reply, "ERR offset is out of range");
        return STEM_OK;
    }
    if (!stem_request_has_text(request, &key, &before, &code))
        return code;
    if (before.kind == STEM_TEXT_OTHER) {
        stem_reply_error(request->reply, stem_wrong_type);
        return STEM_OK;
    }
    size_t len = before.bytes.len;
    if (word.len > 0 && !is_within_bounds(request, offset, word.len))
        return STEM_OK;
    if (word.len > 0) {
        const size_t end = (size_t)offset + word.len;

        len = end > len ? end : len;
        code = put_over(request, key, before.bytes, (size_t)offset, word, &is_put);
    }
    if (code == STEM_OK && is_put)
        stem_reply_integer(request->reply, (int64_t)len);
    return code;
}
