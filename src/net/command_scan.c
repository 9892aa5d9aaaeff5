/*
 * SCAN: a stretch of the walk over all keys below the scope, as many as were asked for or
 * as fit a millisecond. Between two calls nothing is kept but the last key, under a
 * cursor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "../clock.h"
#include "../error.h"
#include "../value.h"
#include "command_match.h"
#include "command_rows.h"
#include "cursors.h"

enum { DEFAULT_COUNT = 10, BYTES_MAX = 1 << 20, STEPS_PER_LOOK = 32 };
#define SCAN_TIME STEM_MILLISECOND

typedef struct own_scan {
    stem_request *request;
    uint64_t before; /* the cursor that was sent */
    uint64_t count;  /* keys to look at */
    stem_pattern *pattern;
    bool has_type;
    stem_slice type;    /* keys of it alone */
    size_t value_bytes; /* read for that */
    stem_bounds bounds;

    stem_buffer position; /* the last key that was looked at, below the scope */
    bool has_more;
    stem_buffer text;
    stem_reply found;
    uint64_t n;
} own_scan;

/* Whether a word is that name, which is lower case, in whatever case, as Redis has it. */
static bool is_word(stem_slice word, const char *name)
{
    return word.len == strlen(name) && strncasecmp(word.data, name, word.len) == 0;
}

static int read_scan_option(own_scan *scan, size_t arg)
{
    stem_request *request = scan->request;
    const stem_slice option = request->args[arg];

    if (arg + 1 == request->n_args)
        return stem_refuse_syntax(request);
    const stem_slice value = request->args[arg + 1];
    if (stem_word_is(option, "MATCH")) {
        free(scan->pattern);
        scan->pattern = NULL;
        return stem_request_pattern(request, arg + 1, &scan->pattern);
    }
    if (stem_word_is(option, "TYPE")) {
        scan->has_type = true;
        scan->type = value;
        return STEM_OK;
    }
    if (!stem_word_is(option, "COUNT"))
        return stem_refuse_syntax(request);
    if (!stem_read_number(value, &scan->count))
        return stem_refuse(request, "ERR value is not an integer or out of range");
    return scan->count > 0 ? STEM_OK : stem_refuse_syntax(request);
}

static int read_scan(own_scan *scan)
{
    stem_request *request = scan->request;
    const stem_caller *peer = request->peer;
    int code = STEM_OK;

    if (!stem_read_number(request->args[1], &scan->before))
        return stem_refuse(request, "ERR invalid cursor");
    for (size_t i = 2; i < request->n_args && code == STEM_OK; i += 2)
        code = read_scan_option(scan, i);
    if (code != STEM_OK || scan->before == 0)
        return code;
    if (stem_cursors_find(peer->cursors, peer->user, request->scope, scan->before,
                          &scan->position) != STEM_OK)
        return stem_refuse(request, "ERR invalid cursor");
    return STEM_OK;
}

/* What the pattern may match, behind the position. */
static int bound_scan(own_scan *scan)
{
    const stem_slice scope = scan->request->scope;
    const size_t len = scope.len + scan->position.len;
    stem_engine_range *range = &scan->bounds.range;

    int code = stem_match_bounds(scan->request, scan->pattern, &scan->bounds);
    if (code != STEM_OK || scan->before == 0)
        return code;
    if (scan->position.failed)
        return stem_fail(STEM_ENOMEM, "no memory for a cursor");
    char *start = stem_execution_room(scan->request->on, len + 1);
    if (!start)
        return STEM_ENOMEM;
    if (scope.len > 0)
        memcpy(start, scope.data, scope.len);
    memcpy(start + scope.len, scan->position.data, scan->position.len);
    start[len] = '\0';
    if (stem_slice_compare((stem_slice){start, len + 1}, range->start) > 0)
        range->start = (stem_slice){start, len + 1};
    scan->bounds.is_empty |=
        range->end.len > 0 && stem_slice_compare(range->start, range->end) >= 0;
    return STEM_OK;
}

/* Adds a key, unless TYPE asks for others. */
static int add_key(own_scan *scan, stem_slice key, stem_slice value)
{
    int type = 0;

    if (scan->has_type) {
        const int code = stem_value_peek_type(value.data, value.len, &type);

        if (code != STEM_OK)
            return code;
        if (!is_word(scan->type, stem_type_text(type)))
            return STEM_OK;
    }
    return stem_match_add(scan->request, scan->pattern, key, &scan->text, &scan->found,
                          &scan->n);
}

static int walk_scan(own_scan *scan, stem_engine_iter *iter)
{
    const uint64_t ends_at = stem_clock() + SCAN_TIME;
    const size_t scope_len = scan->request->scope.len;
    stem_slice key, value = {0};

    for (uint64_t steps = 0;; steps++) {
        int code =
            iter->engine->ops->iter_next(iter, &key, scan->has_type ? &value : NULL);

        if (code != STEM_OK)
            return code == STEM_NOTFOUND ? STEM_OK : code;
        if (steps > 0 && (steps >= scan->count || scan->found.bytes.len > BYTES_MAX ||
                          scan->value_bytes > BYTES_MAX ||
                          (steps % STEPS_PER_LOOK == 0 && stem_clock() >= ends_at))) {
            scan->has_more = true;
            return STEM_OK;
        }
        scan->value_bytes += value.len;
        key = (stem_slice){key.data + scope_len, key.len - scope_len};
        code = add_key(scan, key, value);
        if (code != STEM_OK)
            return code;
        scan->position.len = 0;
        stem_buffer_add(&scan->position, key.data, key.len);
    }
}

static int reply_scan(own_scan *scan)
{
    stem_request *request = scan->request;
    const stem_caller *peer = request->peer;
    uint64_t next = 0;
    char text[24];

    if (scan->has_more) {
        const stem_slice position = {scan->position.data, scan->position.len};

        if (scan->position.failed)
            return stem_fail(STEM_ENOMEM, "no memory for a cursor");
        int code = stem_cursors_keep(peer->cursors, peer->user, request->scope, position,
                                     scan->before, &next);
        if (code != STEM_OK)
            return code;
    }
    snprintf(text, sizeof text, "%llu", (unsigned long long)next);
    stem_reply_array(request->reply, 2);
    stem_reply_text(request->reply, text);
    stem_reply_array(request->reply, scan->n);
    stem_reply_add(request->reply, &scan->found);
    return STEM_OK;
}

static int run_whole_scan(own_scan *scan)
{
    stem_engine *engine = scan->request->peer->engine;
    stem_engine_iter *iter;

    int code = read_scan(scan);
    if (code == STEM_OK)
        code = bound_scan(scan);
    if (code == STEM_OK && !scan->bounds.is_empty) {
        code = engine->ops->iter_open(engine, NULL, &scan->bounds.range, false, &iter);
        if (code == STEM_OK) {
            code = walk_scan(scan, iter);
            engine->ops->iter_close(iter);
        }
    }
    return code == STEM_OK ? reply_scan(scan) : code;
}

int stem_run_scan(stem_request *request)
{
    own_scan scan = {.request = request,
                     .count = DEFAULT_COUNT,
                     .found.version = request->reply->version,
                     .found.bytes.limit = request->reply->bytes.limit};

    int code = run_whole_scan(&scan);
    free(scan.pattern);
    free(scan.position.data);
    free(scan.text.data);
    free(scan.found.bytes.data);
    return stem_answered(code);
}
