/*
 * RANDOMKEY.
 */
#include <stdlib.h>

#include "../error.h"
#include "command_match.h"
#include "command_rows.h"
#include "keyspace.h"

static int reply_key(stem_request *request, const stem_buffer *key)
{
    const size_t scope_len = request->scope.len;
    const stem_slice below = {key->data + scope_len, key->len - scope_len};
    stem_buffer text = {0};

    stem_request_key_text(request, below, &text);
    if (!text.failed)
        stem_reply_bulk(request->reply, text.data, text.len);
    free(text.data);
    return text.failed ? stem_fail(STEM_ENOMEM, "no memory for a key") : STEM_OK;
}

static bool is_shown(const void *context, stem_slice key)
{
    const stem_request *request = context;

    return stem_request_shows(request, (stem_slice){key.data + request->scope.len,
                                                    key.len - request->scope.len});
}

int stem_run_randomkey(stem_request *request)
{
    stem_buffer key = {0};
    stem_bounds bounds;

    int code = stem_match_bounds(request, NULL, &bounds);
    if (code != STEM_OK)
        return code;
    code = stem_keyspace_random(request->peer->engine, &bounds.range, is_shown, request,
                                &key);
    if (code == STEM_NOTFOUND) {
        stem_reply_null(request->reply);
        code = STEM_OK;
    } else if (code == STEM_OK) {
        code = reply_key(request, &key);
    }
    free(key.data);
    return code;
}
