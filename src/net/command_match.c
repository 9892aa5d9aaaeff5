/*
 * Matching keys for KEYS and SCAN; see command_match.h.
 */
#include "command_match.h"

#include "../error.h"

int stem_request_pattern(stem_request *request, size_t arg, stem_pattern **pattern)
{
    *pattern = stem_pattern_make(request->args[arg]);
    if (*pattern)
        return STEM_OK;
    if (stem_errcode() == STEM_EINVAL)
        return stem_refuse(request, "ERR pattern is too long");
    return STEM_ENOMEM;
}

/* What every match of the pattern begins with, as stored bytes. Up to the first byte
 * that is written otherwise in text than it is stored, which takes a backslash, the
 * two differ in what separates components alone; where keys are literal, in nothing. */
static int stored_prefix(const stem_pattern *pattern, stem_request *request,
                         stem_slice *prefix)
{
    const stem_slice text = pattern ? stem_pattern_prefix(pattern) : (stem_slice){0};

    *prefix = (stem_slice){0};
    if (request->has_literal_keys) {
        *prefix = text;
        return STEM_OK;
    }
    if (text.len == 0 || memchr(text.data, '\\', text.len))
        return STEM_OK;
    char *stored = stem_execution_room(request->on, text.len);
    if (!stored)
        return STEM_ENOMEM;
    for (size_t i = 0; i < text.len; i++)
        stored[i] = (char)(text.data[i] == '/' ? '\0' : text.data[i]);
    *prefix = (stem_slice){stored, text.len};
    return STEM_OK;
}

int stem_match_bounds(stem_request *request, const stem_pattern *pattern,
                      stem_bounds *bounds)
{
    stem_slice prefix;

    int code = stored_prefix(pattern, request, &prefix);
    if (code != STEM_OK)
        return code;
    char *room = stem_execution_room(
        request->on, stem_bounds_room(request->scope, prefix, prefix) + 1);
    if (!room)
        return STEM_ENOMEM;
    stem_bounds_of_prefix(bounds, room, request->scope, prefix);
    return STEM_OK;
}

int stem_match_add(const stem_request *request, const stem_pattern *pattern,
                   stem_slice key, stem_buffer *text, stem_reply *found, uint64_t *n)
{
    if (!stem_request_shows(request, key))
        return STEM_OK;
    text->len = 0;
    stem_request_key_text(request, key, text);
    if (text->failed)
        return stem_fail(STEM_ENOMEM, "no memory for the text of a key");
    if (pattern && !stem_pattern_matches(pattern, (stem_slice){text->data, text->len}))
        return STEM_OK;
    stem_reply_bulk(found, text->data, text->len);
    ++*n;
    return found->bytes.failed ? stem_fail(STEM_ENOMEM, "no memory for keys") : STEM_OK;
}
