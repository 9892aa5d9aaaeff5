/*
 * A key by chance, and the number of keys; see keyspace.h.
 */
#include "keyspace.h"

#include <assert.h>
#include <stdlib.h>

#include "../clock.h"
#include "../error.h"
#include "bounds.h"
#include "turn.h"

enum { STEPS_PER_LOOK = 16 };
#define LOOK_TIME STEM_MILLISECOND

/* ---- Chance ------------------------------------------------------------------------- */

/* Numbers that differ from call to call; nothing rests on that they cannot be guessed. */
typedef struct dice {
    uint64_t state;
} dice;

static int make_dice(dice *made)
{
    const int code = stem_random(&made->state, sizeof made->state);

    made->state |= 1;
    return code;
}

/* From 0 on and below n. */
static uint64_t roll(dice *with, uint64_t n)
{
    assert(n > 0);
    with->state ^= with->state << 13;
    with->state ^= with->state >> 7;
    with->state ^= with->state << 17;
    return (with->state >> 11) % n;
}

/* ---- One key ------------------------------------------------------------------------ */

/* A search for a key by chance. */
typedef struct search {
    stem_engine_iter *forward, *backward;
    stem_keyspace_filter *filter;
    const void *context;
    dice with;
    uint64_t ends_at;
    stem_buffer low, high; /* the least and the greatest key of those still in question */
    stem_buffer *found;
} search;

static stem_slice slice_of(const stem_buffer *buffer)
{
    return (stem_slice){buffer->data, buffer->len};
}

static int copy(stem_buffer *to, stem_slice key)
{
    to->len = 0;
    stem_buffer_add(to, key.data, key.len);
    return to->failed ? stem_fail(STEM_ENOMEM, "no memory for a key") : STEM_OK;
}

static int next(stem_engine_iter *iter, stem_slice *key)
{
    return iter->engine->ops->iter_next(iter, key, NULL);
}

static int seek(stem_engine_iter *iter, stem_slice key)
{
    return iter->engine->ops->iter_seek(iter, key);
}

static bool counts(const search *of, stem_slice key)
{
    return !of->filter || of->filter(of->context, key);
}

/* Each of the first keys with the same chance; `*is_all` when there are no more. */
static int choose_among_first(search *of, bool *is_all)
{
    enum { FEW = 64 };
    uint64_t n = 0;
    stem_slice key;
    int code = STEM_OK;

    *is_all = false;
    for (size_t steps = 0; steps < FEW; steps++) {
        code = next(of->forward, &key);
        if (code == STEM_NOTFOUND) {
            *is_all = true;
            return n > 0 ? STEM_OK : STEM_NOTFOUND;
        }
        if (code == STEM_OK && counts(of, key) && roll(&of->with, ++n) == 0)
            code = copy(of->found, key);
        if (code != STEM_OK)
            return code;
    }
    return n > 0 ? STEM_OK : STEM_NOTFOUND;
}

static size_t common_len(stem_slice a, stem_slice b)
{
    size_t len = 0;

    while (len < a.len && len < b.len && a.data[len] == b.data[len])
        len++;
    return len;
}

/* The greatest key that begins with the first `len` bytes of `low`, in place of `high`. */
static int lower_high(search *of, size_t len)
{
    stem_slice behind = {of->low.data, len}, key;

    if ((unsigned char)of->low.data[len - 1] == 0xFF)
        return STEM_OK; /* what is greatest already begins so, or bounds it loosely */
    of->low.data[len - 1]++;
    int code = seek(of->backward, behind);
    if (code == STEM_OK)
        code = next(of->backward, &key);
    if (code == STEM_OK && stem_slice_compare(key, behind) >= 0)
        code = next(of->backward, &key);
    of->low.data[len - 1]--;
    return code == STEM_OK ? copy(&of->high, key) : code;
}

/* Chooses the first byte in which those in question differ; `*is_done` when one is left, or none:
 * what is written between the openings of the two iterators is seen by one of them alone, and
 * then the least key of the one may lie behind the greatest of the other. */
static int choose_byte(search *of, bool *is_done)
{
    const size_t len = common_len(slice_of(&of->low), slice_of(&of->high));
    stem_slice key;

    *is_done = len == of->high.len;
    if (*is_done)
        return STEM_OK;
    const int most = (unsigned char)of->high.data[len];
    const int least = len == of->low.len ? -1 : (unsigned char)of->low.data[len];
    *is_done = most < least;
    if (*is_done)
        return STEM_OK;
    const int byte = least + (int)roll(&of->with, (uint64_t)(most - least) + 1);
    *is_done = byte < 0; /* the least, which is shorter */
    if (*is_done)
        return STEM_OK;
    of->high.data[len] = (char)byte;
    int code = seek(of->forward, (stem_slice){of->high.data, len + 1});
    of->high.data[len] = (char)most;
    if (code == STEM_OK)
        code = next(of->forward, &key);
    if (code == STEM_OK)
        code = copy(&of->low, key);
    return code == STEM_OK && byte < most ? lower_high(of, len + 1) : code;
}

/* Goes on from the least of those in question by a few keys, to one that counts. */
static int step_on(search *of)
{
    enum { STEPS = 16 };
    const uint64_t wanted = roll(&of->with, STEPS);
    stem_slice key;

    int code = seek(of->forward, slice_of(&of->low));
    for (uint64_t steps = 0; code == STEM_OK; steps++) {
        code = next(of->forward, &key);
        if (code != STEM_OK || (steps >= wanted && counts(of, key)) ||
            (steps % STEPS_PER_LOOK == 0 && stem_clock() >= of->ends_at))
            break;
    }
    if (code == STEM_OK && counts(of, key))
        return copy(of->found, key);
    return code == STEM_NOTFOUND ? STEM_OK : code; /* one of the first was found before */
}

static int search_among_many(search *of)
{
    bool is_done = false;
    stem_slice key;

    int code = seek(of->forward, (stem_slice){NULL, 0});
    if (code == STEM_OK)
        code = next(of->forward, &key);
    if (code == STEM_OK)
        code = copy(&of->low, key);
    if (code == STEM_OK)
        code = next(of->backward, &key);
    if (code == STEM_OK)
        code = copy(&of->high, key);
    while (code == STEM_OK && !is_done && stem_clock() < of->ends_at)
        code = choose_byte(of, &is_done);
    if (code == STEM_NOTFOUND) /* others have removed what was there */
        return STEM_OK;
    return code == STEM_OK ? step_on(of) : code;
}

static int run_search(search *of)
{
    bool is_all;

    int code = make_dice(&of->with);
    if (code != STEM_OK)
        return code;
    code = choose_among_first(of, &is_all);
    if (is_all || (code != STEM_OK && code != STEM_NOTFOUND))
        return code;
    code = search_among_many(of);
    return code == STEM_OK && of->found->len == 0 ? STEM_NOTFOUND : code;
}

int stem_keyspace_random(stem_engine *engine, const stem_engine_range *range,
                         stem_keyspace_filter *filter, const void *context,
                         stem_buffer *key)
{
    search of = {.filter = filter,
                 .context = context,
                 .ends_at = stem_clock() + LOOK_TIME,
                 .found = key};

    key->len = 0;
    int code = engine->ops->iter_open(engine, NULL, range, false, &of.forward);
    if (code != STEM_OK)
        return code;
    code = engine->ops->iter_open(engine, NULL, range, true, &of.backward);
    if (code == STEM_OK) {
        code = run_search(&of);
        engine->ops->iter_close(of.backward);
    }
    engine->ops->iter_close(of.forward);
    free(of.low.data);
    free(of.high.data);
    return code;
}

/* ---- How many ----------------------------------------------------------------------- */

/* What a look at the first keys has found. */
typedef struct look {
    uint64_t n, bytes;
    bool is_all;
    stem_buffer last;
} look;

static int look_at_first(stem_engine *engine, const stem_engine_range *range, look *at)
{
    const uint64_t ends_at = stem_clock() + LOOK_TIME;
    stem_engine_iter *iter;
    stem_slice key = {0}, value;

    int code = engine->ops->iter_open(engine, NULL, range, false, &iter);
    if (code != STEM_OK)
        return code;
    do {
        code = engine->ops->iter_next(iter, &key, &value);
        if (code != STEM_OK)
            break;
        at->n++;
        at->bytes += key.len + value.len;
    } while (at->n % STEPS_PER_LOOK != 0 || stem_clock() < ends_at);
    at->is_all = code == STEM_NOTFOUND;
    if (code == STEM_OK)
        code = copy(&at->last, key);
    engine->ops->iter_close(iter);
    return at->is_all ? STEM_OK : code;
}

/* From what the first keys take in tables and what all do; where they are in too few blocks to
 * tell, a table is taken for as large as what is in it. What the logs hold is added unless it is
 * little: it may be new, or take the place of what tables have. */
static int extrapolate(stem_engine *engine, const stem_engine_range *range,
                       const look *first, uint64_t *n)
{
    enum { SOME_BLOCKS = 8 << 10, LITTLE = 8, AROUND_ENTRY = 8 };
    const stem_engine_range seen = {range->start, slice_of(&first->last)};
    const double mean = (double)first->bytes / (double)first->n;
    stem_size_info all = {0}, part = {0};

    int code = engine->ops->estimate(engine, range, &all);
    if (code == STEM_OK)
        code = engine->ops->estimate(engine, &seen, &part);
    if (code != STEM_OK)
        return code;
    const double in_tables =
        part.table_bytes >= SOME_BLOCKS
            ? (double)first->n * (double)all.table_bytes / (double)part.table_bytes
            : (double)all.table_bytes / mean;
    const double in_logs = (double)all.log_bytes / (mean + AROUND_ENTRY);
    const double estimate = in_tables + (in_logs > in_tables / LITTLE ? in_logs : 0);
    *n = estimate > (double)first->n ? (uint64_t)estimate : first->n;
    return STEM_OK;
}

int stem_keyspace_estimate(stem_engine *engine, const stem_engine_range *range,
                           uint64_t *n, bool *is_exact)
{
    look first = {0};

    int code = look_at_first(engine, range, &first);
    *is_exact = first.is_all;
    if (code == STEM_OK && first.is_all)
        *n = first.n;
    else if (code == STEM_OK)
        code = extrapolate(engine, range, &first, n);
    free(first.last.data);
    return code;
}

int stem_keyspace_count(stem_connection *connection, uint64_t *n)
{
    enum { KEPT_MS = 1000 };
    stem_server *server = connection->server;
    const stem_slice scope = {connection->scope, connection->scope_len}, none = {0};
    stem_key_count *kept = &server->key_count;
    stem_bounds bounds;
    bool is_exact;

    if (kept->is_known && server->now_ms - kept->at_ms < KEPT_MS &&
        stem_slice_compare(slice_of(&kept->scope), scope) == 0) {
        *n = kept->n;
        return STEM_OK;
    }
    char *room = malloc(stem_bounds_room(scope, none, none) + 1);
    if (!room)
        return stem_fail(STEM_ENOMEM, "no memory for a range");
    stem_bounds_of_prefix(&bounds, room, scope, none);
    const stem_turn turn = stem_turn_begin(server, connection, NULL, false);
    int code = stem_keyspace_estimate(server->engine, &bounds.range, n, &is_exact);
    stem_turn_end(server, &turn);
    free(room);
    if (code == STEM_OK)
        code = copy(&kept->scope, scope);
    kept->is_known = code == STEM_OK && !is_exact;
    if (!kept->is_known)
        return code;
    kept->at_ms = server->now_ms;
    kept->n = *n;
    return STEM_OK;
}
