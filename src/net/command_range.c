/*
 * STEM.RANGE, a stretch of an ordered walk in one call, and STEM.CHILDREN, the names one
 * level down in one seek each. Both look at the engine itself.
 */
#include <stdlib.h>

#include "../clock.h"
#include "../error.h"
#include "command_own.h"
#include "command_rows.h"
#include "sessions.h"
#include "snapshots.h"

/* ---- STEM.RANGE ------------------------------------------------------------------- */

/* What one call may take: bytes, entries, and time, looked at now and then. */
enum { BYTES_MAX = 8 << 20, STEPS_MAX = 4096, STEPS_PER_LOOK = 16 };
#define RANGE_TIME (2 * STEM_MILLISECOND)

typedef struct own_range {
    stem_request *request;
    stem_bounds bounds;
    bool is_reverse, keys_only;
    uint64_t limit, bytes;

    uint64_t ends_at;
    uint64_t n, n_bytes; /* of entries found */
    bool has_more;
    stem_reply found;
} own_range;

static int read_bounds(own_range *range)
{
    stem_request *request = range->request;
    const stem_engine_range asked = {request->args[2], request->args[3]};

    if (!stem_may_name_records(request) || !stem_is_range_of_sessions(&asked))
        return stem_request_bounds(request, 2, &range->bounds);
    range->bounds.range = asked;
    range->bounds.is_empty = stem_slice_compare(asked.start, asked.end) >= 0;
    return STEM_OK;
}

static int read_range(own_range *range)
{
    stem_request *request = range->request;
    const stem_slice *args = request->args;

    range->is_reverse = stem_word_is(args[4], "REVERSE");
    range->keys_only = request->n_args == 8;
    if ((!range->is_reverse && !stem_word_is(args[4], "FORWARD")) ||
        request->n_args > 8 || (range->keys_only && !stem_word_is(args[7], "KEYS")))
        return stem_refuse_syntax(request);
    if (!stem_read_number(args[5], &range->limit) ||
        !stem_read_number(args[6], &range->bytes))
        return stem_refuse(request, "ERR value is not an integer or out of range");
    if (range->limit == 0 || range->limit > STEPS_MAX)
        range->limit = STEPS_MAX;
    if (range->bytes > BYTES_MAX)
        range->bytes = BYTES_MAX;
    return read_bounds(range);
}

/* Whether the entry is for another call. The first never is. */
static bool is_full(const own_range *range, size_t size)
{
    return range->n > 0 &&
           (range->n == range->limit || range->n_bytes + size > range->bytes ||
            (range->n % STEPS_PER_LOOK == 0 && stem_clock() >= range->ends_at));
}

static void add_key(own_range *range, stem_slice below, stem_buffer *text)
{
    if (range->request->has_raw_keys) {
        stem_reply_bulk(&range->found, below.data, below.len);
        return;
    }
    text->len = 0;
    stem_key_text(below, text);
    stem_reply_bulk(&range->found, text->data, text->len);
    range->found.bytes.failed |= text->failed;
}

static int walk(own_range *range, stem_engine_iter *iter)
{
    const stem_engine_ops *ops = iter->engine->ops;
    const size_t scope_len = range->request->scope.len;
    stem_slice key, value = {0};
    stem_buffer text = {0};
    int code;

    while ((code = ops->iter_next(iter, &key, range->keys_only ? NULL : &value)) ==
           STEM_OK) {
        if (is_full(range, key.len + value.len)) {
            range->has_more = true;
            break;
        }
        add_key(range, (stem_slice){key.data + scope_len, key.len - scope_len}, &text);
        if (!range->keys_only)
            stem_reply_bulk(&range->found, value.data, value.len);
        range->n++;
        range->n_bytes += key.len + value.len;
    }
    free(text.data);
    return code == STEM_NOTFOUND ? STEM_OK : code;
}

static int walk_at(own_range *range, const stem_engine_snapshot *snapshot)
{
    stem_engine *engine = range->request->peer->engine;
    stem_engine_iter *iter;

    if (range->bounds.is_empty)
        return STEM_OK;
    int code = engine->ops->iter_open(engine, snapshot, &range->bounds.range,
                                      range->is_reverse, &iter);
    if (code != STEM_OK)
        return code;
    code = walk(range, iter);
    engine->ops->iter_close(iter);
    return code;
}

/* Walks in the snapshot that the request names, or now. */
static int walk_snapshot(own_range *range)
{
    stem_request *request = range->request;
    const stem_caller *peer = request->peer;
    stem_held_snapshot *held = NULL;
    stem_id id;

    if (stem_word_is(request->args[1], "0"))
        return walk_at(range, NULL);
    if (stem_id_parse(request->args[1], &id))
        held = stem_snapshots_take(peer->snapshots, peer->holder, &id);
    if (!held)
        return stem_refuse(request, "GONE snapshot");
    int code = walk_at(range, stem_held_snapshot_of(held));
    stem_snapshots_give_back(peer->snapshots, held);
    return code;
}

int stem_run_range(stem_request *request)
{
    own_range range = {.request = request,
                       .found.version = request->reply->version,
                       .found.bytes.limit = request->reply->bytes.limit};

    int code = read_range(&range);
    if (code != STEM_OK)
        return stem_answered(code);
    range.ends_at = stem_clock() + RANGE_TIME;
    code = walk_snapshot(&range);
    if (code == STEM_OK) {
        const size_t each = range.keys_only ? 1 : 2;

        stem_reply_array(request->reply, 1 + each * range.n);
        stem_reply_integer(request->reply, range.has_more);
        stem_reply_add(request->reply, &range.found);
    }
    free(range.found.bytes.data);
    return stem_answered(code);
}

/* ---- STEM.CHILDREN ---------------------------------------------------------------- */

enum { CHILDREN_BYTES_MAX = 256 << 20 };
#define STEP_TIME STEM_MILLISECOND

typedef struct children_job {
    stem_job base;
    stem_engine_iter *iter; /* NULL: there is nothing to walk */
    bool is_raw;
    uint64_t limit; /* 0 for none */
    stem_reply found;
    uint64_t n;

    stem_buffer name; /* where the walk is, and a byte more */
    size_t name_len;
    stem_buffer text;
    bool has_ahead; /* looked at already; the engine's */
    stem_slice ahead;
    size_t prefix_len;
    char prefix[];
} children_job;

static children_job *children_of(stem_job *job)
{
    return (children_job *)job;
}

static void free_children(stem_job *base)
{
    children_job *job = children_of(base);

    if (job->iter)
        job->iter->engine->ops->iter_close(job->iter);
    free(job->found.bytes.data);
    free(job->name.data);
    free(job->text.data);
    free(job);
}

/* The next key below the prefix. */
static int next_key(children_job *job, stem_slice *key)
{
    if (job->has_ahead) {
        job->has_ahead = false;
        *key = job->ahead;
        return STEM_OK;
    }
    int code = job->iter->engine->ops->iter_next(job->iter, key, NULL);
    if (code == STEM_OK) {
        key->data += job->prefix_len;
        key->len -= job->prefix_len;
    }
    return code;
}

/* Keeps the key's first component, with the prefix before it and a 1 behind: that is
 * the first key after all that lies below. */
static int keep_name(children_job *job, stem_slice key)
{
    const char *nul = memchr(key.data, '\0', key.len);

    job->name_len = nul ? (size_t)(nul - key.data) : key.len;
    job->name.len = 0;
    stem_buffer_add(&job->name, job->prefix, job->prefix_len);
    stem_buffer_add(&job->name, key.data, job->name_len);
    stem_buffer_add(&job->name, "\x01", 1);
    return job->name.failed ? stem_fail(STEM_ENOMEM, "no memory for a name") : STEM_OK;
}

static bool is_below_name(const children_job *job, stem_slice key)
{
    return key.len > job->name_len && key.data[job->name_len] == '\0' &&
           memcmp(key.data, job->name.data + job->prefix_len, job->name_len) == 0;
}

/* Steps to the next name: its value comes first, and then what lies below it. */
static int next_child(children_job *job, int *kind)
{
    stem_slice key;

    int code = next_key(job, &key);
    if (code == STEM_OK)
        code = keep_name(job, key);
    if (code != STEM_OK)
        return code;
    *kind = key.len > job->name_len ? STEM_HAS_CHILDREN : STEM_HAS_VALUE;
    if (*kind == STEM_HAS_VALUE) {
        code = next_key(job, &job->ahead);
        job->has_ahead = code == STEM_OK;
        if (code == STEM_OK && is_below_name(job, job->ahead))
            *kind |= STEM_HAS_CHILDREN;
        if (code == STEM_NOTFOUND)
            return STEM_OK;
    }
    if (code == STEM_OK && (*kind & STEM_HAS_CHILDREN)) {
        job->has_ahead = false;
        code = job->iter->engine->ops->iter_seek(
            job->iter, (stem_slice){job->name.data, job->name.len});
    }
    return code;
}

static void add_child(children_job *job, int kind)
{
    const stem_slice name = {job->name.data + job->prefix_len, job->name_len};

    if (job->is_raw) {
        stem_reply_bulk(&job->found, name.data, name.len);
    } else {
        job->text.len = 0;
        stem_key_text(name, &job->text);
        stem_reply_bulk(&job->found, job->text.data, job->text.len);
        job->found.bytes.failed |= job->text.failed;
    }
    stem_reply_integer(&job->found, kind);
    job->n++;
}

static int step_children(stem_job *base, stem_reply *reply, bool *is_done)
{
    const uint64_t ends_at = stem_clock() + STEP_TIME;
    children_job *job = children_of(base);
    int code = job->iter ? STEM_OK : STEM_NOTFOUND, kind;

    while (code == STEM_OK && (job->limit == 0 || job->n < job->limit)) {
        code = next_child(job, &kind);
        if (code == STEM_OK)
            add_child(job, kind);
        base->held_bytes = job->found.bytes.capacity;
        if (job->found.bytes.failed) {
            reply->bytes.failed = true;
            return STEM_ENOMEM;
        }
        if (job->found.bytes.len > CHILDREN_BYTES_MAX) {
            stem_reply_error(reply, "ERR too many names; use LIMIT and AFTER");
            *is_done = true;
            return STEM_OK;
        }
        if (code == STEM_OK && stem_clock() >= ends_at)
            return STEM_OK;
    }
    if (code != STEM_OK && code != STEM_NOTFOUND)
        return code;
    stem_reply_array(reply, 2 * job->n);
    stem_reply_add(reply, &job->found);
    *is_done = true;
    return STEM_OK;
}

/* What was asked for, as stored bytes. */
typedef struct children_question {
    stem_slice prefix; /* of the place, with the NUL behind it */
    stem_slice after;  /* a name, or empty */
    uint64_t limit;
} children_question;

/* The place that a path names: the scope when it is empty. */
static int read_place(stem_request *request, size_t arg, stem_slice *prefix)
{
    stem_slice key;

    *prefix = request->scope;
    if (request->args[arg].len == 0)
        return STEM_OK;
    int code = stem_request_key(request, arg, &key);
    if (code != STEM_OK)
        return code;
    char *room = stem_execution_room(request->on, key.len + 1);
    if (!room)
        return STEM_ENOMEM;
    memcpy(room, key.data, key.len);
    room[key.len] = '\0';
    *prefix = (stem_slice){room, key.len + 1};
    return STEM_OK;
}

static int read_name(stem_request *request, size_t arg, stem_slice *name)
{
    stem_slice key;

    int code = stem_request_key(request, arg, &key);
    if (code != STEM_OK)
        return code;
    *name = (stem_slice){key.data + request->scope.len, key.len - request->scope.len};
    if (memchr(name->data, '\0', name->len))
        return stem_refuse(request, "ERR a name is one component");
    return STEM_OK;
}

/* Options come in pairs: the path is there when the words behind the command are odd. */
static int read_question(stem_request *request, children_question *asked)
{
    const bool has_path = request->n_args % 2 == 0;
    int code = STEM_OK;

    *asked = (children_question){.prefix = request->scope};
    if (has_path)
        code = read_place(request, 1, &asked->prefix);
    for (size_t i = 1 + has_path; i < request->n_args && code == STEM_OK; i += 2) {
        if (stem_word_is(request->args[i], "AFTER"))
            code = read_name(request, i + 1, &asked->after);
        else if (!stem_word_is(request->args[i], "LIMIT") ||
                 !stem_read_number(request->args[i + 1], &asked->limit))
            code = stem_refuse_syntax(request);
    }
    return code;
}

static int open_children(children_job *job, stem_request *request, stem_engine *engine,
                         const children_question *asked)
{
    const stem_slice prefix = {job->prefix, job->prefix_len};
    stem_slice start = {0};
    stem_bounds bounds;

    if (asked->after.len > 0) {
        if (keep_name(job, asked->after) != STEM_OK)
            return STEM_ENOMEM;
        start = (stem_slice){job->name.data + prefix.len, job->name.len - prefix.len};
    }
    char *room = stem_execution_room(
        request->on, stem_bounds_room(prefix, start, (stem_slice){0}) + 1);
    if (!room)
        return STEM_ENOMEM;
    stem_bounds_make(&bounds, room, prefix, start, (stem_slice){0});
    if (bounds.is_empty)
        return STEM_OK;
    return engine->ops->iter_open(engine, NULL, &bounds.range, false, &job->iter);
}

int stem_start_children(stem_request *request, stem_engine *engine, stem_job **started)
{
    children_question asked;

    *started = NULL;
    int code = read_question(request, &asked);
    if (code != STEM_OK)
        return stem_answered(code);
    children_job *job = calloc(1, sizeof *job + asked.prefix.len);
    if (!job)
        return stem_fail(STEM_ENOMEM, "no memory for a walk");
    job->base = (stem_job){.step = step_children, .free = free_children};
    job->is_raw = request->has_raw_keys;
    job->limit = asked.limit;
    job->found.version = request->reply->version;
    job->found.bytes.limit = request->reply->bytes.limit;
    job->prefix_len = asked.prefix.len;
    if (asked.prefix.len > 0)
        memcpy(job->prefix, asked.prefix.data, asked.prefix.len);
    code = open_children(job, request, engine, &asked);
    if (code != STEM_OK) {
        free_children(&job->base);
        return code;
    }
    *started = &job->base;
    return STEM_OK;
}
