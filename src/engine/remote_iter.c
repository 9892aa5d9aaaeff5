/*
 * Iterators over a served database, and snapshots.
 *
 * An iterator reads from a snapshot on the server, its own unless one is given, in chunks that
 * grow while it is walked. Where the next chunk begins follows from the last key, so a
 * connection that breaks costs nothing. Nothing that the server sends is believed: keys that
 * are out of order or out of the range would lead astray who strips their prefix.
 */
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "remote_engine.h"

enum {
    FIRST_CHUNK = 16 << 10,
    SEEK_CHUNK =
        2 << 10, /* after a seek beyond what was fetched: there may be more of them */
    LARGEST_CHUNK = 1 << 20
};

typedef struct remote_iter {
    stem_engine_iter base;
    stem_engine_snapshot *snapshot; /* one user of it */
    bool is_reverse;
    stem_slice start, end; /* of the range; point into `bounds` */

    /* The chunk: `n` entries in the order of the walk, `given` of them given. */
    stem_remote_reply chunk;
    size_t n, given;
    bool has_values;
    bool has_more; /* behind the chunk; when it is false the range ends with it */
    size_t wanted; /* bytes of the next */

    /* Where the next chunk begins: a bound of the walk's own instead of the range's. */
    bool has_target;
    char *target; /* owned; the first byte string that may come, or that may not */
    size_t target_len, target_room;

    stem_failure failure; /* the first, or STEM_OK */
    char bounds[];
} remote_iter;

/* ---- Snapshots -------------------------------------------------------------------- */

int stem_remote_snapshot_open(stem_engine *base, stem_engine_snapshot **opened)
{
    remote_engine *engine = remote_of(base);
    stem_remote_request request = {.n_long = 0};
    stem_remote_reply reply = {.is_packed = true};
    stem_engine_snapshot *snapshot = malloc(sizeof *snapshot);

    if (!snapshot)
        return stem_fail(STEM_ENOMEM, "no memory for a snapshot");
    stem_remote_request_begin(&request, 1);
    stem_remote_request_text(&request, "STEM.SNAPSHOT");
    int code = stem_remote_call(engine, &request, STEM_REMOTE_READING, &reply);
    if (code == STEM_OK &&
        (!stem_remote_reply_is(&reply, STEM_REPLY_STRING) ||
         !stem_remote_copy_id(snapshot->id, stem_remote_reply_text(&reply, 0))))
        code = stem_remote_misunderstood(engine);
    stem_remote_reply_free(&reply);
    if (code != STEM_OK) {
        free(snapshot);
        return code;
    }
    atomic_init(&snapshot->users, 1);
    *opened = snapshot;
    return STEM_OK;
}

/* What cannot be released is released by the server, with the session or by its age. */
void stem_remote_snapshot_close(stem_engine *base, stem_engine_snapshot *snapshot)
{
    stem_remote_request request = {.n_long = 0};
    stem_remote_reply reply = {.is_packed = true};
    stem_failure before;

    if (atomic_fetch_sub(&snapshot->users, 1) > 1)
        return;
    stem_failure_save(&before);
    stem_remote_request_begin(&request, 2);
    stem_remote_request_text(&request, "STEM.RELEASE");
    stem_remote_request_text(&request, snapshot->id);
    stem_remote_call(remote_of(base), &request, STEM_REMOTE_FAREWELL, &reply);
    stem_remote_reply_free(&reply);
    stem_failure_restore(&before);
    free(snapshot);
}

/* ---- Opening and closing ---------------------------------------------------------- */

int stem_remote_iter_open(stem_engine *base, const stem_engine_snapshot *snapshot,
                          const stem_engine_range *range, bool reverse,
                          stem_engine_iter **opened)
{
    remote_iter *iter = calloc(1, sizeof *iter + range->start.len + range->end.len + 1);
    int code = STEM_OK;

    if (!iter)
        return stem_fail(STEM_ENOMEM, "no memory for an iterator");
    iter->base.engine = base;
    iter->is_reverse = reverse;
    iter->start = (stem_slice){iter->bounds, range->start.len};
    iter->end = (stem_slice){iter->bounds + range->start.len, range->end.len};
    if (range->start.len > 0)
        memcpy(iter->bounds, range->start.data, range->start.len);
    if (range->end.len > 0)
        memcpy(iter->bounds + range->start.len, range->end.data, range->end.len);
    iter->chunk.is_packed = true;
    iter->has_more = true;
    iter->wanted = FIRST_CHUNK;
    if (snapshot) {
        iter->snapshot = (stem_engine_snapshot *)snapshot;
        atomic_fetch_add(&iter->snapshot->users, 1);
    } else {
        code = stem_remote_snapshot_open(base, &iter->snapshot);
    }
    if (code != STEM_OK) {
        free(iter);
        return code;
    }
    *opened = &iter->base;
    return STEM_OK;
}

void stem_remote_iter_close(stem_engine_iter *base)
{
    remote_iter *iter = (remote_iter *)base;

    stem_remote_snapshot_close(base->engine, iter->snapshot);
    stem_remote_reply_free(&iter->chunk);
    free(iter->target);
    free(iter);
}

/* ---- Fetching --------------------------------------------------------------------- */

static int keep_failure(remote_iter *iter, int code)
{
    stem_failure_save(&iter->failure);
    iter->failure.code = code;
    iter->n = iter->given = 0;
    return code;
}

/* The byte string that comes right behind a key, or with `is_behind` false the key itself, as
 * the bound at which the next chunk begins. No key is longer than the longest: a bound that is,
 * by more than a byte, parts them at that byte as it does as a whole, and is not too long to be
 * sent. */
static int set_target(remote_iter *iter, stem_slice key, bool is_behind)
{
    const size_t longest = iter->base.engine->max_key_bytes + 1;

    if (key.len + 1 > iter->target_room) {
        const size_t room = 2 * (key.len + 1);
        char *larger = malloc(room);

        if (!larger)
            return stem_fail(STEM_ENOMEM, "no memory for a key of %zu bytes", key.len);
        free(iter->target);
        iter->target = larger;
        iter->target_room = room;
    }
    if (key.len > 0)
        memcpy(iter->target, key.data, key.len);
    iter->target[key.len] = '\0';
    iter->target_len = key.len + (is_behind ? 1 : 0);
    if (iter->target_len > longest)
        iter->target_len = longest;
    iter->has_target = true;
    return STEM_OK;
}

/* The part of the range that has not been walked; `*is_empty` when it has no room for a key. */
static stem_engine_range rest_of_range(const remote_iter *iter, bool *is_empty)
{
    stem_engine_range rest = {iter->start, iter->end};
    const stem_slice target = {iter->target, iter->target_len};

    *is_empty = false;
    if (iter->has_target && !iter->is_reverse &&
        stem_slice_compare(target, rest.start) > 0)
        rest.start = target;
    if (iter->has_target && iter->is_reverse &&
        (rest.end.len == 0 || stem_slice_compare(target, rest.end) < 0)) {
        rest.end = target;
        *is_empty = target.len == 0; /* an empty end would be no bound at all */
    }
    *is_empty |= rest.end.len > 0 && stem_slice_compare(rest.start, rest.end) >= 0;
    return rest;
}

static size_t entry_items(const remote_iter *iter)
{
    return iter->has_values ? 2 : 1;
}

/* The key of the chunk's entry; behind the first item, which tells whether there is more. */
static stem_slice key_at(const remote_iter *iter, size_t i)
{
    return stem_remote_reply_text(&iter->chunk, 1 + i * entry_items(iter));
}

static bool is_in_order(const remote_iter *iter, stem_slice earlier, stem_slice later)
{
    const int order = stem_slice_compare(earlier, later);

    return iter->is_reverse ? order > 0 : order < 0;
}

static bool is_within(const stem_engine_range *range, stem_slice key)
{
    return stem_slice_compare(key, range->start) >= 0 &&
           (range->end.len == 0 || stem_slice_compare(key, range->end) < 0);
}

/* Checks the form of a chunk, and that its keys are in order and in the range. */
static bool is_chunk(const remote_iter *iter, const stem_engine_range *asked)
{
    const stem_remote_reply *chunk = &iter->chunk;

    if (!chunk->is_array || chunk->n == 0 || (chunk->n - 1) % entry_items(iter) != 0 ||
        chunk->items[0].kind != STEM_REPLY_INTEGER)
        return false;
    for (size_t i = 1; i < chunk->n; i++)
        if (chunk->items[i].kind != STEM_REPLY_STRING)
            return false;
    const size_t n = (chunk->n - 1) / entry_items(iter);
    if (n == 0)
        return chunk->items[0].as.integer == 0; /* or it would be asked for ever */
    for (size_t i = 0; i + 1 < n; i++)
        if (!is_in_order(iter, key_at(iter, i), key_at(iter, i + 1)))
            return false;
    return is_within(asked, key_at(iter, 0)) && is_within(asked, key_at(iter, n - 1));
}

static void write_request(const remote_iter *iter, const stem_engine_range *range,
                          stem_remote_request *request)
{
    stem_remote_request_begin(request, iter->has_values ? 7 : 8);
    stem_remote_request_text(request, "STEM.RANGE");
    stem_remote_request_text(request, iter->snapshot->id);
    stem_remote_request_word(request, range->start);
    stem_remote_request_word(request, range->end);
    stem_remote_request_text(request, iter->is_reverse ? "REVERSE" : "FORWARD");
    stem_remote_request_text(request, "0");
    stem_remote_request_number(request, iter->wanted);
    if (!iter->has_values)
        stem_remote_request_text(request, "KEYS");
}

/* Fetches the next chunk, empty at the end of the range. */
static int fetch(remote_iter *iter, bool with_values)
{
    remote_engine *engine = remote_of(iter->base.engine);
    stem_remote_request request = {.n_long = 0};
    bool is_empty;

    const stem_engine_range rest = rest_of_range(iter, &is_empty);
    iter->n = iter->given = 0;
    iter->has_values = with_values;
    if (is_empty) {
        iter->has_more = false;
        return STEM_OK;
    }
    write_request(iter, &rest, &request);
    int code = stem_remote_call(engine, &request, STEM_REMOTE_READING, &iter->chunk);
    if (code == STEM_OK && !is_chunk(iter, &rest))
        code = stem_remote_misunderstood(engine);
    if (code != STEM_OK)
        return keep_failure(iter, code);
    iter->n = (iter->chunk.n - 1) / entry_items(iter);
    iter->has_more = iter->chunk.items[0].as.integer != 0;
    if (iter->wanted < LARGEST_CHUNK)
        iter->wanted *= 2;
    return STEM_OK;
}

/* ---- Walking ---------------------------------------------------------------------- */

/* Lets the next chunk begin behind the last entry given, if any of this chunk was. */
static int go_on(remote_iter *iter)
{
    if (iter->given == 0)
        return STEM_OK;
    int code = set_target(iter, key_at(iter, iter->given - 1), !iter->is_reverse);
    return code == STEM_OK ? code : keep_failure(iter, code);
}

int stem_remote_iter_next(stem_engine_iter *base, stem_slice *key, stem_slice *value)
{
    remote_iter *iter = (remote_iter *)base;

    if (iter->failure.code != STEM_OK) {
        stem_failure_restore(&iter->failure);
        return iter->failure.code;
    }
    const bool lacks_values = value && !iter->has_values && iter->given < iter->n;
    if (iter->given == iter->n || lacks_values) {
        if (!iter->has_more && !lacks_values)
            return STEM_NOTFOUND;
        int code = go_on(iter);
        if (code == STEM_OK)
            code = fetch(iter, value != NULL);
        if (code != STEM_OK)
            return code;
        if (iter->n == 0)
            return STEM_NOTFOUND;
    }
    const size_t i = iter->given++;
    *key = key_at(iter, i);
    if (value)
        *value = stem_remote_reply_text(&iter->chunk, 2 + i * 2);
    return STEM_OK;
}

/* The first entry of the chunk at or behind the key, in the order of the walk. */
static size_t find(const remote_iter *iter, stem_slice key)
{
    size_t low = 0, high = iter->n;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (is_in_order(iter, key_at(iter, middle), key))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int stem_remote_iter_seek(stem_engine_iter *base, stem_slice key)
{
    remote_iter *iter = (remote_iter *)base;

    if (iter->failure.code != STEM_OK) {
        stem_failure_restore(&iter->failure);
        return iter->failure.code;
    }
    const bool is_start = key.len == 0;
    if (!is_start && iter->n > 0 && !is_in_order(iter, key, key_at(iter, 0)) &&
        (!iter->has_more || !is_in_order(iter, key_at(iter, iter->n - 1), key))) {
        iter->given = find(iter, key);
        return STEM_OK;
    }
    /* Before the chunk goes: the key may lie in it. */
    int code = is_start ? STEM_OK : set_target(iter, key, iter->is_reverse);
    if (code != STEM_OK)
        return keep_failure(iter, code);
    iter->has_target = !is_start;
    iter->n = iter->given = 0;
    iter->has_more = true;
    iter->wanted = is_start ? FIRST_CHUNK : SEEK_CHUNK;
    return STEM_OK;
}
