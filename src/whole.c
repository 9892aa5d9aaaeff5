/*
 * Clearing, copying and moving: single keys in one commit, whole places in many.
 *
 * Whole places go in chunks of bounded size. A copy writes what the source held when it began.
 * A move copies, makes that durable, and only then removes from the source each entry that the
 * destination has; an entry that changed meanwhile is moved by itself, as it is by then.
 */
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "error.h"

enum {
    CHUNK_BYTES = 1 << 20,
    CHUNK_ENTRIES = 1000,
    ITEM_BYTES = 64 /* more than an engine sends around the key and value of a write */
};

/* ---- Chunks ----------------------------------------------------------------------- */

/* Whether so much more makes neither too large a chunk nor more than the engine takes. What
 * does not fit in an empty one goes by itself, as a put of it does. */
static bool fits(const stem_batch *batch, const stem_engine *engine, size_t bytes,
                 size_t n_items)
{
    const size_t items = stem_batch_items(batch) + n_items;
    const size_t room =
        engine->max_commit_bytes < CHUNK_BYTES ? engine->max_commit_bytes : CHUNK_BYTES;

    return stem_batch_count(batch) < CHUNK_ENTRIES && items <= engine->max_commit_items &&
           stem_batch_held(batch) + bytes + items * ITEM_BYTES <= room;
}

static int flush(stem_batch *batch, bool sync)
{
    int code = stem_batch_count(batch) > 0 ? stem_batch_commit(batch, sync) : STEM_OK;

    stem_batch_reset(batch);
    return code;
}

/* A stored key moved from below one handle to below another, in a buffer that grows. */
typedef struct moved_key {
    char *bytes;
    size_t room;
} moved_key;

static int move_key(const stem_db *to, stem_slice below, moved_key *buffer,
                    stem_slice *key)
{
    size_t len = to->prefix_len + below.len;

    if (len > STEM_PATH_MAX)
        return stem_fail(STEM_EINVAL,
                         "a path would be %zu bytes at the destination, over the limit "
                         "of %d",
                         len, STEM_PATH_MAX);
    if (len > buffer->room || !buffer->bytes) {
        char *larger = realloc(buffer->bytes, 2 * len);

        if (!larger)
            return stem_fail(STEM_ENOMEM, "no memory for a key of %zu bytes", len);
        buffer->bytes = larger;
        buffer->room = 2 * len;
    }
    memcpy(buffer->bytes, to->prefix, to->prefix_len);
    memcpy(buffer->bytes + to->prefix_len, below.data, below.len);
    *key = (stem_slice){buffer->bytes, len};
    return STEM_OK;
}

static stem_slice below(const stem_db *db, stem_slice key)
{
    return (stem_slice){key.data + db->prefix_len, key.len - db->prefix_len};
}

/* ---- Clearing --------------------------------------------------------------------- */

static int check_writable(const stem_db *db)
{
    return db->is_read_only ? stem_fail(STEM_EREADONLY, "the handle only reads")
                            : STEM_OK;
}

static int clear(stem_db *db, stem_iter *iter, stem_batch *batch)
{
    moved_key buffer = {0};
    int code = STEM_OK;

    while (code == STEM_OK && stem_iter_next(iter)) {
        stem_slice key;

        code = move_key(db, stem_iter_below(iter), &buffer, &key);
        if (code == STEM_OK && !fits(batch, db->engine, key.len, 1))
            code = flush(batch, db->sync);
        if (code == STEM_OK)
            code = stem_batch_add_stored(batch, key, NULL);
    }
    free(buffer.bytes);
    return code == STEM_OK ? flush(batch, db->sync) : code;
}

static int clear_range(stem_db *db, const stem_range *keys)
{
    stem_iter *iter = stem_iter_open_for(db, keys, "clear");

    if (!iter)
        return stem_errcode();
    stem_batch *batch = stem_batch_new(db);
    int code = batch ? clear(db, iter, batch) : stem_errcode();
    stem_batch_free(batch);
    int walked = stem_iter_close(iter);
    if (walked != STEM_OK)
        return walked;
    return code == STEM_OK ? STEM_OK : stem_db_fail(db, code, "clear", NULL);
}

int stem_clear(stem_db *db, const stem_range *range)
{
    stem_range keys = range ? *range : (stem_range){0};

    int code = stem_db_check(db, "clear");
    if (code != STEM_OK)
        return code;
    code = check_writable(db);
    if (code != STEM_OK)
        return stem_db_fail(db, code, "clear", NULL);
    keys.keys_only = true;
    keys.resume = true; /* a server that is another by now knows nothing of the walk */
    return clear_range(db, &keys);
}

/* ---- One key ---------------------------------------------------------------------- */

static int commit_to(const stem_db *db, const stem_write *writes, size_t n,
                     const stem_expectation *expectation, bool sync)
{
    const stem_commit commit = {.writes = writes,
                                .n_writes = n,
                                .expectations = expectation,
                                .n_expectations = expectation ? 1 : 0,
                                .sync = sync};
    size_t failed;

    return db->engine->ops->commit(db->engine, &commit, &failed);
}

/* One attempt; STEM_CONFLICT when the source changed meanwhile. */
static int transfer_once(const stem_db *from, stem_slice source, const stem_db *to,
                         stem_slice target, bool is_move)
{
    stem_read read;

    int code =
        from->engine->ops->read(from->engine, stem_db_snapshot(from), &source, 1, &read);
    if (code != STEM_OK)
        return code;
    if (!read.data)
        return STEM_NOTFOUND;
    const stem_write writes[] = {{.key = target, .value = {read.data, read.len}},
                                 {.key = source, .is_delete = true}};
    const stem_expectation unchanged = {.kind = STEM_EXPECT_EQUAL,
                                        .key = source,
                                        .value = {read.data, read.len},
                                        .stamp = read.stamp};

    if (from->engine == to->engine) {
        code = commit_to(to, writes, is_move ? 2 : 1, from->frozen ? NULL : &unchanged,
                         to->sync || (is_move && from->sync));
    } else {
        code = commit_to(to, writes, 1, NULL, to->sync || is_move);
        if (code == STEM_OK && is_move)
            code = commit_to(from, writes + 1, 1, &unchanged, from->sync);
    }
    free(read.data);
    return code;
}

static int check_differ(const stem_db *from, stem_slice source, const stem_db *to,
                        stem_slice target)
{
    bool is_one_place;

    int code = stem_db_compare_keys(from, to, &is_one_place);
    if (code == STEM_OK && is_one_place && stem_slice_compare(source, target) == 0)
        code = stem_fail(STEM_EINVAL, "the key and its destination are the same");
    return code;
}

static int transfer_key(const stem_db *from, const char *from_key, const stem_db *to,
                        const char *to_key, bool is_move)
{
    stem_key source, target;

    int code = stem_key_make(from, from_key, &source);
    if (code != STEM_OK)
        return code;
    code = stem_key_make(to, to_key, &target);
    if (code == STEM_OK) {
        code = check_differ(from, source.stored, to, target.stored);
        if (code == STEM_OK)
            do
                code = transfer_once(from, source.stored, to, target.stored, is_move);
            while (code == STEM_CONFLICT);
        stem_key_free(&target);
    }
    stem_key_free(&source);
    return code;
}

/* ---- A whole place ---------------------------------------------------------------- */

/* What a copy or a move of a whole place works with. */
struct transfer {
    stem_db *from, *to;
    stem_span source;
    stem_batch *arriving; /* puts below `to` */
    stem_batch *leaving;  /* expectations and deletions below `from` */
    moved_key buffer;
    bool is_state_gone; /* that was walked, at the end of the last walk */
    unsigned n_gone;    /* such ends since anything left the source */
};

typedef int visit_fn(struct transfer *transfer, stem_slice key, stem_slice value);

/* Visits every entry of the source as it is now, or as it is frozen in `from`. */
static int visit_source(struct transfer *transfer, const stem_db *from, visit_fn *visit)
{
    const stem_engine_ops *ops = from->engine->ops;
    stem_engine_iter *iter;
    stem_slice key, value;
    int visited = STEM_OK;

    int code = ops->iter_open(from->engine, stem_db_snapshot(from),
                              &transfer->source.range, false, &iter);
    if (code == STEM_OK) {
        while (visited == STEM_OK &&
               (code = ops->iter_next(iter, &key, &value)) == STEM_OK)
            visited = visit(transfer, key, value);
        ops->iter_close(iter);
    }
    transfer->is_state_gone = code == STEM_EGONE;
    if (visited != STEM_OK)
        return visited;
    return code == STEM_NOTFOUND ? STEM_OK : code;
}

/* Whether to walk the source again: a server that is another by now knows nothing of the state
 * that was walked. Any other STEM_EGONE stays, and so does this one, when it comes too often. */
static bool walks_again(struct transfer *transfer, int code)
{
    return code == STEM_EGONE && transfer->is_state_gone &&
           ++transfer->n_gone < STEM_STATES_MAX;
}

static int check_length(struct transfer *transfer, stem_slice key, stem_slice value)
{
    (void)value;
    return move_key(transfer->to, below(transfer->from, key), &transfer->buffer, &key);
}

static int copy_entry(struct transfer *transfer, stem_slice key, stem_slice value)
{
    stem_batch *arriving = transfer->arriving;
    const stem_db *to = transfer->to;
    stem_slice moved;

    int code = move_key(to, below(transfer->from, key), &transfer->buffer, &moved);
    if (code == STEM_OK && !fits(arriving, to->engine, moved.len + value.len, 1))
        code = flush(arriving, to->sync);
    return code == STEM_OK ? stem_batch_add_stored(arriving, moved, &value) : code;
}

static int copy_all_once(struct transfer *transfer)
{
    stem_db *frozen = stem_snapshot(transfer->from);
    int code = STEM_OK;

    transfer->is_state_gone = false;
    if (!frozen)
        return stem_errcode();
    if (transfer->to->prefix_len > transfer->from->prefix_len)
        code = visit_source(transfer, frozen, check_length);
    if (code == STEM_OK)
        code = visit_source(transfer, frozen, copy_entry);
    stem_close(frozen);
    return code == STEM_OK ? flush(transfer->arriving, transfer->to->sync) : code;
}

/* Looks for paths that would be too long, and copies, what is there at one moment, or at
 * another. */
static int copy_all(struct transfer *transfer)
{
    int code;

    do {
        stem_batch_reset(transfer->arriving);
        code = copy_all_once(transfer);
    } while (!transfer->from->frozen && walks_again(transfer, code));
    return code;
}

/* Moves an entry as it is by now, however often it changes; nothing when it is gone. */
static int move_changed(struct transfer *transfer, stem_slice key)
{
    stem_slice moved;

    int code =
        move_key(transfer->to, below(transfer->from, key), &transfer->buffer, &moved);
    if (code == STEM_OK)
        do
            code = transfer_once(transfer->from, key, transfer->to, moved, true);
        while (code == STEM_CONFLICT);
    return code == STEM_NOTFOUND ? STEM_OK : code;
}

/* Removes what is gathered entry by entry. A chunk in which one has changed cannot go as a
 * whole, and beside a busy writer no chunk might ever go. */
static int remove_one_by_one(struct transfer *transfer)
{
    int code = STEM_OK;

    for (size_t i = 0; i < stem_batch_count(transfer->leaving) && code == STEM_OK; i++) {
        const stem_write *write;
        const stem_expectation *expectation;

        stem_batch_at(transfer->leaving, i, &write, &expectation);
        code = commit_to(transfer->from, write, 1, expectation, transfer->from->sync);
        if (code == STEM_CONFLICT)
            code = move_changed(transfer, write->key);
    }
    return code;
}

/* Lets the source go of what is gathered; what the destination lacked arrives first. */
static int remove_gathered(struct transfer *transfer)
{
    int code = flush(transfer->arriving, true);

    if (code == STEM_OK && stem_batch_count(transfer->leaving) > 0)
        code = stem_batch_commit(transfer->leaving, transfer->from->sync);
    if (code == STEM_CONFLICT)
        code = remove_one_by_one(transfer);
    stem_batch_reset(transfer->leaving);
    transfer->n_gone = 0;
    return code;
}

/* Lets go of what is gathered when this entry does not fit beside it. */
static int make_room(struct transfer *transfer, stem_slice key, stem_slice value)
{
    const stem_db *from = transfer->from, *to = transfer->to;
    const size_t moved_len = to->prefix_len + below(from, key).len;

    return fits(transfer->leaving, from->engine, 2 * key.len + value.len, 2) &&
                   fits(transfer->arriving, to->engine, moved_len + value.len, 1)
               ? STEM_OK
               : remove_gathered(transfer);
}

/* Gathers one entry for removal, and for another copy when the destination has not got it. */
static int gather_entry(struct transfer *transfer, stem_slice key, stem_slice value)
{
    stem_engine *engine = transfer->to->engine;
    stem_read there;
    stem_slice moved;

    int code = make_room(transfer, key, value);
    if (code == STEM_OK)
        code =
            move_key(transfer->to, below(transfer->from, key), &transfer->buffer, &moved);
    if (code == STEM_OK)
        code = engine->ops->read(engine, NULL, &moved, 1, &there);
    if (code != STEM_OK)
        return code;
    bool has_arrived = there.data && there.len == value.len &&
                       (value.len == 0 || memcmp(there.data, value.data, value.len) == 0);
    free(there.data);
    if (!has_arrived)
        code = stem_batch_add_stored(transfer->arriving, moved, &value);
    if (code == STEM_OK)
        code = stem_batch_expect_stored(transfer->leaving, key, value);
    if (code == STEM_OK)
        code = stem_batch_add_stored(transfer->leaving, key, NULL);
    return code;
}

static int remove_all(struct transfer *transfer)
{
    int code;

    do {
        stem_batch_reset(transfer->arriving);
        stem_batch_reset(transfer->leaving);
        code = visit_source(transfer, transfer->from, gather_entry);
    } while (walks_again(transfer, code));
    return code == STEM_OK ? remove_gathered(transfer) : code;
}

/* Refuses when one handle's place lies within the other's; each contains itself. */
static int check_apart(const stem_db *a, const stem_db *b)
{
    const size_t len = a->prefix_len < b->prefix_len ? a->prefix_len : b->prefix_len;
    bool is_one_place;

    int code = stem_db_compare_keys(a, b, &is_one_place);
    if (code == STEM_OK && is_one_place && memcmp(a->prefix, b->prefix, len) == 0)
        code = stem_fail(STEM_EINVAL, "one place lies within the other");
    return code;
}

static int transfer_all(stem_db *from, stem_db *to, bool is_move)
{
    struct transfer transfer = {.from = from, .to = to};

    int code = check_apart(from, to);
    if (code == STEM_OK)
        code = stem_span_make(from, NULL, false, &transfer.source);
    if (code != STEM_OK)
        return code;
    transfer.arriving = stem_batch_new(to);
    transfer.leaving = transfer.arriving ? stem_batch_new(from) : NULL;
    code = transfer.leaving ? copy_all(&transfer) : stem_errcode();
    if (code == STEM_OK && is_move) {
        code = to->engine->ops->sync(to->engine);
        if (code == STEM_OK)
            code = remove_all(&transfer);
    }
    stem_batch_free(transfer.arriving);
    stem_batch_free(transfer.leaving);
    free(transfer.buffer.bytes);
    free(transfer.source.buffer);
    return code;
}

/* ---- Either ----------------------------------------------------------------------- */

static int transfer(stem_db *from, const char *from_key, stem_db *to, const char *to_key,
                    bool is_move)
{
    const char *operation = is_move ? "move" : "copy";

    int code = stem_db_check(from, operation);
    if (code == STEM_OK)
        code = stem_db_check(to, operation);
    if (code != STEM_OK)
        return code;
    code = check_writable(to);
    if (code == STEM_OK && is_move)
        code = check_writable(from);
    if (code == STEM_OK) {
        if (!from_key != !to_key)
            code = stem_fail(STEM_EINVAL, "one key is given and the other is NULL");
        else if (from_key)
            code = transfer_key(from, from_key, to, to_key, is_move);
        else
            code = transfer_all(from, to, is_move);
    }
    return code < 0 ? stem_db_fail(from, code, operation, from_key) : code;
}

int stem_copy(stem_db *from, const char *from_key, stem_db *to, const char *to_key)
{
    return transfer(from, from_key, to, to_key, false);
}

int stem_move(stem_db *from, const char *from_key, stem_db *to, const char *to_key)
{
    return transfer(from, from_key, to, to_key, true);
}
