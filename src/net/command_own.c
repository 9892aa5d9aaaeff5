/*
 * Stem's own commands (docs/wire.md): typed values, many keys of one state, snapshots,
 * and looking after the database. STEM.COMMIT has a file of its own, and so have
 * STEM.RANGE and STEM.CHILDREN.
 */
#include "command_own.h"

#include <stdlib.h>

#include "../engine/place_id.h"
#include "../engine/store.h"
#include "../error.h"
#include "../value.h"
#include "command_rows.h"
#include "command_value.h"
#include "sessions.h"
#include "snapshots.h"

/* ---- Values ----------------------------------------------------------------------- */

/* Kinds whose bytes are canonical when they are as many as the canonical ones: each
 * longer form of the head has a length of its own. */
static bool tells_by_length(int type)
{
    return type == STEM_STR || type == STEM_BIN || type == STEM_ARRAY || type == STEM_EXT;
}

static int encode(stem_request *request, const stem_value *value, size_t size,
                  stem_slice *bytes)
{
    unsigned char *room = stem_execution_room(request->on, size);

    if (!room)
        return STEM_ENOMEM;
    stem_value_encode(value, room);
    *bytes = (stem_slice){(char *)room, size};
    return STEM_OK;
}

int stem_request_packed(stem_request *request, size_t arg, stem_slice *bytes)
{
    const stem_slice sent = request->args[arg];
    /* An array's view may be unaligned, which encoding does not mind. */
    bool needs_copy;
    stem_value value;
    size_t size = 0;

    if (stem_value_decode(sent.data, sent.len, &value, &needs_copy) == STEM_OK)
        size = stem_value_encoded_size(&value);
    if (size == 0)
        return stem_refuse(request, "ERR value is not a MessagePack object to be stored");
    if (size == sent.len && tells_by_length(value.type)) {
        *bytes = sent;
        return STEM_OK;
    }
    return encode(request, &value, size, bytes);
}

int stem_request_json(stem_request *request, size_t arg, stem_slice *bytes)
{
    const stem_slice sent = request->args[arg];
    stem_value value;

    int code = stem_json_parse(sent.data, sent.len, &value);
    if (code == STEM_ENOTSUP)
        return stem_refuse(request, "ERR this server has no JSON");
    if (code == STEM_EINVAL)
        return stem_refuse(request, "ERR value is not JSON to be stored");
    if (code != STEM_OK)
        return code;
    size_t size = stem_value_encoded_size(&value);
    code = size > 0 ? encode(request, &value, size, bytes)
                    : stem_refuse(request, "ERR value is not JSON to be stored");
    stem_value_free(&value);
    return code;
}

int stem_request_store(stem_request *request, stem_slice key, stem_slice bytes,
                       size_t arg)
{
    return bytes.data == request->args[arg].data
               ? stem_execution_put(request->on, key, bytes)
               : stem_execution_put_own(request->on, key, bytes);
}

static int reply_json(stem_request *request, stem_slice stored)
{
    stem_value value;
    int code = stem_decode(stored.data, stored.len, &value);

    if (code != STEM_OK)
        return code;
    char *text = stem_json_format(&value, 0);
    code = text ? STEM_OK : stem_errcode();
    stem_value_free(&value);
    if (text)
        stem_reply_text(request->reply, text);
    free(text);
    if (code == STEM_ENOTSUP)
        return stem_refuse(request, "ERR this server has no JSON");
    return code;
}

static void reply_value(stem_reply *reply, const char *data, size_t len)
{
    if (data)
        stem_reply_bulk(reply, data, len);
    else
        stem_reply_null(reply);
}

int stem_run_own_get(stem_request *request)
{
    const bool is_json = request->n_args == 3;
    stem_slice key, value;

    if (request->n_args > 3 || (is_json && !stem_word_is(request->args[2], "JSON")))
        return stem_answered(stem_refuse_syntax(request));
    int code = stem_request_key(request, 1, &key);
    if (code != STEM_OK)
        return stem_answered(code);
    code = stem_execution_read(request->on, &key, 1, &value);
    if (code != STEM_OK)
        return code;
    if (is_json && value.data)
        return stem_answered(reply_json(request, value));
    reply_value(request->reply, value.data, value.len);
    return STEM_OK;
}

static int put(stem_request *request, int (*read)(stem_request *, size_t, stem_slice *))
{
    stem_slice key, value;

    int code = stem_request_key(request, 1, &key);
    if (code == STEM_OK)
        code = read(request, 2, &value);
    if (code != STEM_OK)
        return stem_answered(code);
    size_t bytes = stem_execution_own_bytes(request->on);
    if (!stem_request_admits(request, key, value.len, &bytes))
        return STEM_OK;
    code = stem_request_store(request, key, value, 2);
    if (code == STEM_OK)
        stem_reply_status(request->reply, "OK");
    return code;
}

int stem_run_own_put(stem_request *request)
{
    return put(request, stem_request_packed);
}

int stem_run_own_putjson(stem_request *request)
{
    return put(request, stem_request_json);
}

/* ---- Records of sessions ---------------------------------------------------------- */

int stem_request_key_or_record(stem_request *request, size_t arg, stem_slice *stored)
{
    const stem_slice sent = request->args[arg];

    if (!stem_may_name_records(request) || !stem_is_session_record(sent))
        return stem_request_key(request, arg, stored);
    *stored = sent;
    return STEM_OK;
}

/* ---- Many keys -------------------------------------------------------------------- */

/* Adds one value of STEM.READ. */
static int add_value(void *context, stem_slice value)
{
    stem_request *request = context;

    reply_value(request->reply, value.data, value.len);
    return stem_request_goes_on(request);
}

static int read_at(stem_request *request, const stem_engine_snapshot *snapshot,
                   const stem_slice *keys, size_t n)
{
    stem_reply_array(request->reply, n);
    return stem_execution_read_each(request->on, snapshot, keys, n, add_value, request);
}

static int read_snapshot(stem_request *request, const stem_slice *keys, size_t n)
{
    const stem_caller *peer = request->peer;
    stem_held_snapshot *held = NULL;
    stem_id id;

    if (stem_id_parse(request->args[1], &id))
        held = stem_snapshots_take(peer->snapshots, peer->holder, &id);
    if (!held)
        return stem_answered(stem_refuse(request, "GONE snapshot"));
    int code = read_at(request, stem_held_snapshot_of(held), keys, n);
    stem_snapshots_give_back(peer->snapshots, held);
    return code;
}

int stem_run_own_read(stem_request *request)
{
    const size_t n = request->n_args - 2;
    stem_slice *keys = stem_execution_room(request->on, n * sizeof *keys);

    if (!keys)
        return STEM_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        int code = stem_request_key_or_record(request, 2 + i, &keys[i]);

        if (code != STEM_OK)
            return stem_answered(code);
    }
    return stem_word_is(request->args[1], "0") ? read_at(request, NULL, keys, n)
                                               : read_snapshot(request, keys, n);
}

/* ---- Snapshots -------------------------------------------------------------------- */

/* Whether the session that would hold a snapshot has ended, and let go of all that it had. */
static bool has_no_holder(const stem_caller *peer)
{
    return peer->session && stem_sessions_slots(peer->sessions, peer->session) == 0;
}

static void reply_id(stem_reply *reply, const stem_id *id)
{
    char text[STEM_ID_DIGITS];

    stem_id_format(id, text);
    stem_reply_bulk(reply, text, sizeof text);
}

int stem_run_own_snapshot(stem_request *request)
{
    const stem_caller *peer = request->peer;
    stem_id id;

    int code = stem_snapshots_open(peer->snapshots, peer->holder, &id);
    if (code == STEM_ERANGE)
        return stem_answered(stem_refuse(request, "ERR too many snapshots are open"));
    if (code != STEM_OK)
        return code;
    /* Not before it is held: a session that ends from now on takes it along. */
    if (has_no_holder(peer)) {
        stem_snapshots_drop(peer->snapshots, peer->holder, &id);
        return stem_answered(stem_refuse(request, "NOSESSION the session has ended"));
    }
    reply_id(request->reply, &id);
    if (request->reply->bytes.failed) {
        stem_snapshots_drop(peer->snapshots, peer->holder, &id);
        return stem_fail(STEM_ENOMEM, "no memory for a reply");
    }
    return STEM_OK;
}

int stem_run_own_release(stem_request *request)
{
    const stem_caller *peer = request->peer;
    stem_id id;

    if (stem_id_parse(request->args[1], &id))
        stem_snapshots_drop(peer->snapshots, peer->holder, &id);
    stem_reply_status(request->reply, "OK");
    return STEM_OK;
}

/* ---- The whole place -------------------------------------------------------------- */

static int bound(stem_request *request, size_t arg, stem_slice *below)
{
    /* One byte more than the longest key is what comes behind it. */
    const size_t most = STEM_PATH_MAX + 1;
    stem_slice stored;

    *below = request->args[arg];
    if (below->len > most)
        return stem_refuse(request, "ERR bound is too long");
    if (below->len == 0 || request->has_raw_keys)
        return STEM_OK;
    int code = stem_request_key(request, arg, &stored);
    if (code == STEM_OK)
        *below = (stem_slice){stored.data + request->scope.len,
                              stored.len - request->scope.len};
    return code;
}

int stem_request_bounds(stem_request *request, size_t arg, stem_bounds *bounds)
{
    stem_slice start, end;

    int code = bound(request, arg, &start);
    if (code == STEM_OK)
        code = bound(request, arg + 1, &end);
    if (code != STEM_OK)
        return code;
    char *room = stem_execution_room(request->on,
                                     stem_bounds_room(request->scope, start, end) + 1);
    if (!room)
        return STEM_ENOMEM;
    stem_bounds_make(bounds, room, request->scope, start, end);
    return STEM_OK;
}

/* OK, when the engine says so. */
static int confirm(stem_request *request, int code)
{
    if (code == STEM_OK)
        stem_reply_status(request->reply, "OK");
    return code;
}

int stem_run_own_flush(stem_request *request)
{
    stem_engine *engine = request->peer->engine;

    return confirm(request, engine->ops->flush ? engine->ops->flush(engine) : STEM_OK);
}

int stem_run_own_sync(stem_request *request)
{
    stem_engine *engine = request->peer->engine;

    return confirm(request, engine->ops->sync(engine));
}

int stem_run_own_compact(stem_request *request)
{
    stem_engine *engine = request->peer->engine;
    stem_bounds bounds;

    int code = stem_request_bounds(request, 1, &bounds);
    if (code != STEM_OK)
        return stem_answered(code);
    return confirm(
        request, bounds.is_empty ? STEM_OK : engine->ops->compact(engine, &bounds.range));
}

int stem_run_own_stats(stem_request *request)
{
    stem_engine *engine = request->peer->engine;
    stem_statistics stats = {0};

    int code = engine->ops->stats(engine, &stats);
    if (code != STEM_OK)
        return code;
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {{"memory_bytes", stats.memory_bytes},
               {"table_files", stats.table_files},
               {"table_bytes", stats.table_bytes},
               {"log_files", stats.log_files},
               {"log_bytes", stats.log_bytes},
               {"repairs", stats.repairs},
               {"handles", stats.handles},
               {"dirty_bytes", stats.dirty_bytes},
               {"cached_bytes", stats.cached_bytes},
               {"kept_bytes", stats.kept_bytes},
               {"hits", stats.hits},
               {"misses", stats.misses},
               {"rounds", stats.rounds},
               {"waits", stats.waits},
               {"longest_wait_ns", stats.longest_wait_ns}};
    const size_t n = sizeof all / sizeof *all;

    stem_reply_array(request->reply, 2 * n);
    for (size_t i = 0; i < n; i++) {
        stem_reply_text(request->reply, all[i].name);
        stem_reply_integer(request->reply, (int64_t)all[i].value);
    }
    return STEM_OK;
}

int stem_run_own_settings(stem_request *request)
{
    const stem_options *settings = request->peer->settings;
    const char *name;
    uint64_t value;
    size_t n = 0;

    if (!settings)
        return stem_answered(
            stem_refuse(request, "ERR the database is not shared by its location"));
    while (stem_store_setting(settings, n, &value))
        n++;
    stem_reply_array(request->reply, 2 * n);
    for (size_t i = 0; (name = stem_store_setting(settings, i, &value)); i++) {
        stem_reply_text(request->reply, name);
        stem_reply_integer(request->reply, (int64_t)value);
    }
    return STEM_OK;
}

int stem_run_own_place(stem_request *request)
{
    stem_engine *engine = request->peer->engine;
    stem_place_id id;

    int code = engine->ops->identify(engine, &id);
    if (code != STEM_OK)
        return code;
    stem_place_id_narrow(&id, request->scope);
    stem_reply_array(request->reply, 2);
    reply_id(request->reply, &id.store);
    reply_id(request->reply, &id.place);
    return STEM_OK;
}
