/*
 * The commands that walk over all that lies below the scope: KEYS, DBSIZE and FLUSHDB,
 * and STEM.ESTIMATE where it must count. They go in steps so that others are served in
 * between. They look at the engine itself. SCAN has a file of its own.
 */
#include <stdlib.h>

#include "../clock.h"
#include "../error.h"
#include "command_match.h"
#include "command_rows.h"

#define STEP_TIME STEM_MILLISECOND
enum { KEYS_BYTES_MAX = 256 << 20, STEPS_PER_LOOK = 32 };

/* ---- A walk ----------------------------------------------------------------------- */

/* One of the three that go in steps. */
typedef struct walk_job {
    stem_job base;
    stem_engine *engine;
    stem_engine_iter *iter; /* NULL: there is nothing to walk */
    size_t scope_len;
    stem_request as; /* what says which keys are shown, and how; no more of it is there */
    uint64_t n;      /* keys found */
    uint64_t n_bytes; /* of them and their values; STEM.ESTIMATE alone reads values */
    bool reads_values;

    /* KEYS. */
    stem_pattern *pattern;
    stem_buffer text; /* of a key */
    stem_reply found;

    /* FLUSHDB: keys that are about to go, one behind the other. */
    stem_buffer keys;
    stem_write *writes; /* FLUSH_KEYS */
    size_t n_writes;
} walk_job;

static walk_job *walk_of(stem_job *job)
{
    return (walk_job *)job;
}

static void free_walk(stem_job *base)
{
    walk_job *job = walk_of(base);

    if (job->iter)
        job->engine->ops->iter_close(job->iter);
    free(job->pattern);
    free(job->text.data);
    free(job->found.bytes.data);
    free(job->keys.data);
    free(job->writes);
    free(job);
}

typedef int step_fn(stem_job *job, stem_reply *reply, bool *is_done);

/* Begins a walk over a range. */
static int start_walk_over(stem_request *request, stem_engine *engine,
                           const stem_bounds *bounds, step_fn *step, stem_job **started)
{
    walk_job *job = calloc(1, sizeof *job);

    *started = NULL;
    if (!job)
        return stem_fail(STEM_ENOMEM, "no memory for a walk");
    job->base = (stem_job){.step = step, .free = free_walk};
    job->engine = engine;
    job->scope_len = request->scope.len;
    job->as.has_literal_keys = request->has_literal_keys;
    job->found.version = request->reply->version;
    job->found.bytes.limit = request->reply->bytes.limit;
    if (!bounds->is_empty) {
        int code =
            engine->ops->iter_open(engine, NULL, &bounds->range, false, &job->iter);

        if (code != STEM_OK) {
            free_walk(&job->base);
            return code;
        }
    }
    *started = &job->base;
    return STEM_OK;
}

/* Over all that a pattern may match, or everything with NULL. */
static int start_walk(stem_request *request, stem_engine *engine,
                      const stem_pattern *pattern, step_fn *step, stem_job **started)
{
    stem_bounds bounds;

    *started = NULL;
    int code = stem_match_bounds(request, pattern, &bounds);
    if (code != STEM_OK)
        return code;
    return start_walk_over(request, engine, &bounds, step, started);
}

typedef int visit_fn(walk_job *job, stem_slice key, bool *is_enough);

/* Visits keys until the step's time is over, or `visit` says that it is enough:
 * STEM_NOTFOUND behind the last key. */
static int walk(walk_job *job, visit_fn *visit)
{
    const uint64_t ends_at = stem_clock() + STEP_TIME;
    bool is_enough = false;
    stem_slice key, value = {0};
    int code;

    if (!job->iter)
        return STEM_NOTFOUND;
    for (unsigned steps = 1; !is_enough; steps++) {
        code = job->engine->ops->iter_next(job->iter, &key,
                                           job->reads_values ? &value : NULL);
        if (code == STEM_OK)
            code = visit(job, key, &is_enough);
        if (code != STEM_OK)
            return code;
        job->n_bytes += value.len;
        if (steps % STEPS_PER_LOOK == 0 && stem_clock() >= ends_at)
            break;
    }
    return STEM_OK;
}

static stem_slice below(const walk_job *job, stem_slice key)
{
    return (stem_slice){key.data + job->scope_len, key.len - job->scope_len};
}

/* ---- KEYS ------------------------------------------------------------------------- */

static int visit_match(walk_job *job, stem_slice key, bool *is_enough)
{
    *is_enough = job->found.bytes.len > KEYS_BYTES_MAX;
    return stem_match_add(&job->as, job->pattern, below(job, key), &job->text,
                          &job->found, &job->n);
}

static int step_keys(stem_job *base, stem_reply *reply, bool *is_done)
{
    walk_job *job = walk_of(base);

    int code = walk(job, visit_match);
    base->held_bytes = job->found.bytes.capacity;
    if (job->found.bytes.len > KEYS_BYTES_MAX) {
        stem_reply_error(reply, "ERR too many keys; use SCAN");
        *is_done = true;
        return STEM_OK;
    }
    reply->bytes.failed |= job->found.bytes.failed;
    if (code != STEM_NOTFOUND)
        return code;
    stem_reply_array(reply, job->n);
    stem_reply_add(reply, &job->found);
    *is_done = true;
    return STEM_OK;
}

int stem_start_keys(stem_request *request, stem_engine *engine, stem_job **started)
{
    stem_pattern *pattern;

    *started = NULL;
    int code = stem_request_pattern(request, 1, &pattern);
    if (code != STEM_OK)
        return stem_answered(code);
    code = start_walk(request, engine, pattern, step_keys, started);
    if (*started)
        walk_of(*started)->pattern = pattern;
    else
        free(pattern);
    return code;
}

/* ---- DBSIZE ----------------------------------------------------------------------- */

static int visit_count(walk_job *job, stem_slice key, bool *is_enough)
{
    (void)is_enough;
    job->n += stem_request_shows(&job->as, below(job, key));
    job->n_bytes += key.len - job->scope_len;
    return STEM_OK;
}

static int step_dbsize(stem_job *base, stem_reply *reply, bool *is_done)
{
    walk_job *job = walk_of(base);

    int code = walk(job, visit_count);
    if (code != STEM_NOTFOUND)
        return code;
    stem_reply_integer(reply, (int64_t)job->n);
    *is_done = true;
    return STEM_OK;
}

int stem_start_dbsize(stem_request *request, stem_engine *engine, stem_job **started)
{
    return start_walk(request, engine, NULL, step_dbsize, started);
}

/* ---- STEM.ESTIMATE ---------------------------------------------------------------- */

static void reply_sizes(stem_reply *reply, uint64_t table_bytes, uint64_t log_bytes)
{
    stem_reply_array(reply, 2);
    stem_reply_integer(reply, (int64_t)table_bytes);
    stem_reply_integer(reply, (int64_t)log_bytes);
}

static int step_estimate(stem_job *base, stem_reply *reply, bool *is_done)
{
    walk_job *job = walk_of(base);

    int code = walk(job, visit_count);
    if (code != STEM_NOTFOUND)
        return code;
    reply_sizes(reply, job->n_bytes, 0);
    *is_done = true;
    return STEM_OK;
}

/* What the engine knows of sizes counts whole blocks, in which the neighbours' entries
 * lie too, and logs are everybody's: within a scope it is for admins, and for others
 * bytes are counted. */
int stem_start_estimate(stem_request *request, stem_engine *engine, stem_job **started)
{
    stem_size_info size = {0};
    stem_bounds bounds;

    *started = NULL;
    int code = stem_request_bounds(request, 1, &bounds);
    if (code != STEM_OK)
        return stem_answered(code);
    if (request->scope.len > 0 && !request->peer->can_admin) {
        code = start_walk_over(request, engine, &bounds, step_estimate, started);
        if (code == STEM_OK)
            walk_of(*started)->reads_values = true;
        return code;
    }
    if (!bounds.is_empty)
        code = engine->ops->estimate(engine, &bounds.range, &size);
    if (code == STEM_OK)
        reply_sizes(request->reply, size.table_bytes,
                    request->scope.len > 0 ? 0 : size.log_bytes);
    return code;
}

/* ---- FLUSHDB ---------------------------------------------------------------------- */

/* Of one commit. */
enum { FLUSH_KEYS = 1000, FLUSH_BYTES = 256 << 10 };

static int visit_flush(walk_job *job, stem_slice key, bool *is_enough)
{
    if (!stem_request_shows(&job->as, below(job, key)))
        return STEM_OK;
    stem_buffer_add(&job->keys, key.data, key.len);
    if (job->keys.failed)
        return stem_fail(STEM_ENOMEM, "no memory for keys");
    job->writes[job->n_writes++] = (stem_write){.key.len = key.len, .is_delete = true};
    *is_enough = job->n_writes == FLUSH_KEYS || job->keys.len >= FLUSH_BYTES;
    return STEM_OK;
}

/* Deletes what was gathered. */
static int delete_gathered(walk_job *job)
{
    const stem_commit commit = {
        .writes = job->writes, .n_writes = job->n_writes, .through = true};
    const char *at = job->keys.data;
    size_t failed;

    if (job->n_writes == 0)
        return STEM_OK;
    for (size_t i = 0; i < job->n_writes; i++) {
        job->writes[i].key.data = at;
        at += job->writes[i].key.len;
    }
    int code = job->engine->ops->commit(job->engine, &commit, &failed);
    job->n_writes = 0;
    job->keys.len = 0;
    return code;
}

static int step_flushdb(stem_job *base, stem_reply *reply, bool *is_done)
{
    walk_job *job = walk_of(base);

    int walked = walk(job, visit_flush);
    if (walked != STEM_OK && walked != STEM_NOTFOUND)
        return walked;
    int code = delete_gathered(job);
    if (code == STEM_OK && walked == STEM_NOTFOUND) {
        stem_reply_status(reply, "OK");
        *is_done = true;
    }
    return code;
}

static int start_flushdb(stem_request *request, stem_engine *engine, stem_job **started)
{
    *started = NULL;
    if (request->n_args > 2 ||
        (request->n_args == 2 && !stem_word_is(request->args[1], "ASYNC") &&
         !stem_word_is(request->args[1], "SYNC")))
        return stem_answered(stem_refuse_syntax(request));
    int code = start_walk(request, engine, NULL, step_flushdb, started);
    if (code != STEM_OK)
        return code;
    walk_job *job = walk_of(*started);
    job->writes = malloc(FLUSH_KEYS * sizeof *job->writes);
    if (!job->writes) {
        free_walk(*started);
        *started = NULL;
        return stem_fail(STEM_ENOMEM, "no memory for a walk");
    }
    return STEM_OK;
}

/* Waits for the disk, and so is run where nobody else waits for it. What is left when there is
 * nobody to be answered stays. */
int stem_run_flushdb(stem_request *request)
{
    const stem_caller *peer = request->peer;
    bool is_done = false;
    stem_job *job;

    int code = start_flushdb(request, peer->engine, &job);
    if (code != STEM_OK || !job)
        return code;
    while (code == STEM_OK && !is_done)
        code = atomic_load(&peer->is_gone)
                   ? stem_fail(STEM_EGONE, "nobody waits for it any more")
                   : step_flushdb(job, request->reply, &is_done);
    job->free(job);
    return code;
}
