/*
 * An execution: reading, through the overlay, which remembers what the engine has answered.
 */
#include <stdlib.h>

#include "../error.h"
#include "execution_overlay.h"

enum { FEW = 8, HEADS_AT_ONCE = 4096 };

/* ---- Reading ---------------------------------------------------------------------- */

/* The execution owns what was read. There is room for it. */
static stem_slice keep(stem_execution *execution, const stem_read *read)
{
    if (!read->data)
        return (stem_slice){NULL, 0};
    execution->buffers[execution->n_buffers++] = read->data;
    execution->read_bytes += read->len;
    return (stem_slice){read->data, read->len};
}

static int reserve_buffers(stem_execution *execution, size_t n)
{
    return overlay_reserve(&execution->buffers, &execution->buffers_room,
                           execution->n_buffers, n, sizeof *execution->buffers);
}

/* Looks at the engine alone, and leaves nothing in the overlay. */
static int read_only(stem_execution *execution, const stem_slice *keys, size_t n,
                     stem_slice *values)
{
    stem_engine *engine = execution->engine;
    stem_read few[FEW];
    stem_read *reads = few;

    if (n > FEW)
        reads = stem_execution_room(execution, n * sizeof *reads);
    if (!reads)
        return STEM_ENOMEM;
    int code = reserve_buffers(execution, n);
    if (code == STEM_OK)
        code = engine->ops->read(engine, NULL, keys, n, reads);
    for (size_t i = 0; i < n && code == STEM_OK; i++)
        values[i] = keep(execution, &reads[i]);
    return code;
}

/* Keeps the head of a value in memory of the execution's. */
static const stem_look *keep_head(stem_execution *execution, const stem_read *read)
{
    stem_look *kept = stem_execution_room(execution, sizeof *kept + STEM_SHORT_VALUE);

    if (!kept)
        return NULL;
    char *head = (char *)(kept + 1);
    memcpy(head, read->data, STEM_SHORT_VALUE);
    *kept = (stem_look){true, read->len, {head, STEM_SHORT_VALUE}};
    return kept;
}

/* Expects that a key stays as it was read. With `heads_only` a value that is not short is dropped
 * but for its head, where the engine knows by the stamp whether it is the same: should it be in
 * doubt, that is a conflict. The read is the execution's in any case. */
static int expect(stem_execution *execution, stem_slice key, const stem_read *read,
                  bool heads_only)
{
    const bool is_there = read->data != NULL;
    const bool is_dropped =
        heads_only && is_there && read->stamp != 0 && read->len > STEM_SHORT_VALUE;
    overlay_entry *of = overlay_entry_of(key.data);
    const stem_look *dropped = is_dropped ? keep_head(execution, read) : NULL;
    stem_slice value = {NULL, 0};

    if (is_dropped)
        free(read->data);
    else
        value = keep(execution, read);
    if (is_dropped && !dropped)
        return STEM_ENOMEM;
    execution->expectations[execution->n_expectations++] = (stem_expectation){
        .kind = is_there ? STEM_EXPECT_EQUAL : STEM_EXPECT_ABSENT,
        .key = key,
        .value = value,
        .stamp = read->stamp,
    };
    of->expected = execution->n_expectations;
    of->dropped = dropped;
    return STEM_OK;
}

/* Reads the heads of the first of the keys, or their values where the engine can no less. */
static int read_heads(stem_engine *engine, const stem_slice *keys, size_t n,
                      stem_read *reads, size_t *n_read)
{
    if (!engine->ops->read_heads)
        return engine->ops->read_some(engine, NULL, keys, n, STEM_PORTION_BYTES, reads,
                                      n_read);
    *n_read = n < HEADS_AT_ONCE ? n : HEADS_AT_ONCE;
    return engine->ops->read_heads(engine, keys, *n_read, reads);
}

/* Reads the first of the keys from one state of the engine's, and expects them to stay so. */
static int read_first(stem_execution *execution, const stem_slice *keys, size_t n,
                      bool heads_only, stem_read *reads, size_t *n_read)
{
    stem_engine *engine = execution->engine;

    if (execution->read_bytes >= execution->most_read)
        return stem_fail(STEM_ENOMEM, "too much was read for one commit: %zu bytes",
                         execution->read_bytes);
    const size_t most = execution->most_read - execution->read_bytes;
    int code = heads_only
                   ? read_heads(engine, keys, n, reads, n_read)
                   : engine->ops->read_some(engine, NULL, keys, n, most, reads, n_read);
    if (code != STEM_OK)
        return code;
    execution->n_states++;
    for (size_t i = 0; i < *n_read; i++) {
        const int expected = expect(execution, keys[i], &reads[i], heads_only);

        code = code == STEM_OK ? expected : code;
    }
    return code;
}

/* Reads what is wanted. The keys are those of entries. */
static int read_wanted(stem_execution *execution, const stem_slice *keys, size_t n,
                       bool heads_only, stem_read *reads)
{
    size_t done = 0, n_read;
    int code =
        overlay_reserve(&execution->expectations, &execution->expectations_room,
                        execution->n_expectations, n, sizeof *execution->expectations);

    if (code == STEM_OK)
        code = reserve_buffers(execution, n);
    while (done < n && code == STEM_OK) {
        code = read_first(execution, keys + done, n - done, heads_only, reads, &n_read);
        if (code == STEM_OK)
            done += n_read;
    }
    return code;
}

/* Makes all keys known, with their values or without. */
static int read_through(stem_execution *execution, const stem_slice *keys, size_t n,
                        bool heads_only, overlay_entry **entries)
{
    stem_slice few_wanted[FEW], *wanted = few_wanted;
    stem_read few_reads[FEW], *reads = few_reads;
    size_t n_wanted = 0;
    int code = STEM_OK;

    if (n > FEW) {
        wanted = stem_execution_room(execution, n * sizeof *wanted);
        reads = stem_execution_room(execution, n * sizeof *reads);
    }
    if (!wanted || !reads)
        return STEM_ENOMEM;
    for (size_t i = 0; i < n && code == STEM_OK; i++) {
        overlay_entry *of = stem_overlay_entry(execution, keys[i]);

        entries[i] = of;
        if (!of) {
            code = STEM_ENOMEM;
        } else if (!of->is_wanted &&
                   !(heads_only ? overlay_is_known(of) : overlay_has_value(of))) {
            of->is_wanted = true;
            wanted[n_wanted++] = (stem_slice){of->key, keys[i].len};
        }
    }
    if (code == STEM_OK && n_wanted > 0)
        code = read_wanted(execution, wanted, n_wanted, heads_only, reads);
    for (size_t i = 0; i < n_wanted; i++)
        overlay_entry_of(wanted[i].data)->is_wanted = false;
    return code;
}

/* Room for the entries of `n` keys, which may be in `few`. */
static overlay_entry **entries_room(stem_execution *execution, size_t n,
                                    overlay_entry **few)
{
    return n > FEW ? stem_execution_room(execution, n * sizeof *few) : few;
}

int stem_execution_read(stem_execution *execution, const stem_slice *keys, size_t n,
                        stem_slice *values)
{
    overlay_entry *few[FEW];

    if (execution->only_reads)
        return read_only(execution, keys, n, values);
    overlay_entry **entries = entries_room(execution, n, few);
    if (!entries)
        return STEM_ENOMEM;
    int code = read_through(execution, keys, n, false, entries);
    for (size_t i = 0; i < n && code == STEM_OK; i++)
        values[i] = overlay_value(execution, entries[i]);
    return code;
}

/* ---- Whether keys are there ------------------------------------------------------- */

static int note_presence(void *context, stem_slice value)
{
    bool **is_there = context;

    *(*is_there)++ = value.data != NULL;
    return STEM_OK;
}

/* Looks at the engine alone. */
static int has_now(stem_execution *execution, const stem_slice *keys, size_t n,
                   bool *is_there)
{
    stem_engine *engine = execution->engine;
    stem_read *reads = stem_execution_room(execution, n * sizeof *reads);

    if (!reads)
        return STEM_ENOMEM;
    const int code = engine->ops->read_heads(engine, keys, n, reads);
    for (size_t i = 0; i < n && code == STEM_OK; i++) {
        is_there[i] = reads[i].data != NULL;
        free(reads[i].data);
    }
    return code;
}

int stem_execution_has(stem_execution *execution, const stem_slice *keys, size_t n,
                       bool *is_there)
{
    overlay_entry *few[FEW];

    if (execution->only_reads && execution->engine->ops->read_heads && n <= HEADS_AT_ONCE)
        return has_now(execution, keys, n, is_there);
    if (execution->only_reads)
        return stem_execution_read_each(execution, NULL, keys, n, note_presence,
                                        &is_there);
    overlay_entry **entries = entries_room(execution, n, few);
    if (!entries)
        return STEM_ENOMEM;
    int code = read_through(execution, keys, n, true, entries);
    for (size_t i = 0; i < n && code == STEM_OK; i++)
        is_there[i] = overlay_is_there(execution, entries[i]);
    return code;
}

/* Copies bytes into the execution, with a NUL behind them. */
static char *copy_bytes(stem_execution *execution, stem_slice bytes)
{
    char *copy = stem_execution_room(execution, bytes.len + 1);

    if (!copy)
        return NULL;
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    copy[bytes.len] = '\0';
    return copy;
}

/* ---- What a value is like ---------------------------------------------------------- */

static stem_look look_of(stem_slice value)
{
    const size_t len = value.len < STEM_SHORT_VALUE ? value.len : STEM_SHORT_VALUE;

    return (stem_look){value.data != NULL, value.len, {value.data, len}};
}

/* Looks at the engine alone. */
static int look_now(stem_execution *execution, stem_slice key, stem_look *look)
{
    stem_read read;
    size_t n_read;

    int code = reserve_buffers(execution, 1);
    if (code == STEM_OK)
        code = read_heads(execution->engine, &key, 1, &read, &n_read);
    if (code != STEM_OK)
        return code;
    *look = look_of((stem_slice){read.data, read.data ? read.len : 0});
    read.len = look->head.len;
    keep(execution, &read);
    return STEM_OK;
}

int stem_execution_look(stem_execution *execution, stem_slice key, stem_look *look)
{
    overlay_entry *of;

    if (execution->only_reads)
        return look_now(execution, key, look);
    const int code = read_through(execution, &key, 1, true, &of);
    if (code != STEM_OK)
        return code;
    *look = of->written == 0 && of->dropped ? *of->dropped
                                            : look_of(overlay_value(execution, of));
    return STEM_OK;
}

/* ---- Whether a range is empty ----------------------------------------------------- */

static bool is_within(stem_slice key, stem_slice start, stem_slice end)
{
    return stem_slice_compare(key, start) >= 0 &&
           (end.len == 0 || stem_slice_compare(key, end) < 0);
}

/* Whether the overlay knows of a key there. */
static bool overlay_has_key(const stem_execution *execution, stem_slice start,
                            stem_slice end)
{
    for (const overlay_entry *each = execution->entries; each; each = each->hh.next) {
        const stem_slice key = {each->key, each->hh.keylen};

        if (overlay_is_known(each) && is_within(key, start, end) &&
            overlay_is_there(execution, each))
            return true;
    }
    return false;
}

/* Expects that the engine has no key in [start, end), which are the execution's own bytes. */
static int expect_empty(stem_execution *execution, stem_slice start, stem_slice end)
{
    if (end.len > 0 && stem_slice_compare(start, end) >= 0)
        return STEM_OK;
    int code =
        overlay_reserve(&execution->expectations, &execution->expectations_room,
                        execution->n_expectations, 1, sizeof *execution->expectations);
    if (code == STEM_OK)
        execution->expectations[execution->n_expectations++] =
            (stem_expectation){.kind = STEM_EXPECT_EMPTY, .key = start, .value = end};
    return code;
}

/* Walks what the engine has in the range, up to a key that is still there in the end. Those
 * that the overlay has deleted may be there or not when the commit is judged; between them,
 * before the first and behind the last there must be nothing then, as there is now. */
static int walk_range(stem_execution *execution, stem_engine_iter *iter, stem_slice start,
                      stem_slice end, bool *is_empty)
{
    const stem_engine_ops *ops = execution->engine->ops;
    stem_slice gap = start, key;
    bool is_there;
    int code;

    *is_empty = true;
    while ((code = ops->iter_next(iter, &key, NULL)) == STEM_OK) {
        if (execution->only_reads) {
            *is_empty = false;
            return STEM_OK;
        }
        /* Expected to be as it is read here, where the overlay does not know it: should it
         * have gone since the iterator was opened, it has to stay away. */
        const char *copy = copy_bytes(execution, key);
        if (!copy)
            return STEM_ENOMEM;
        key.data = copy;
        code = stem_execution_has(execution, &key, 1, &is_there);
        if (code == STEM_OK && is_there) {
            *is_empty = false;
            return STEM_OK;
        }
        if (code == STEM_OK)
            code = expect_empty(execution, gap, key);
        if (code != STEM_OK)
            return code;
        gap = (stem_slice){copy, key.len + 1}; /* the next that could be */
    }
    if (code != STEM_NOTFOUND)
        return code;
    return execution->only_reads ? STEM_OK : expect_empty(execution, gap, end);
}

int stem_execution_is_empty(stem_execution *execution, stem_slice start, stem_slice end,
                            bool *is_empty)
{
    stem_engine *engine = execution->engine;
    stem_engine_iter *iter;

    if (overlay_has_key(execution, start, end)) {
        *is_empty = false;
        return STEM_OK;
    }
    start.data = copy_bytes(execution, start);
    end.data = copy_bytes(execution, end);
    if (!start.data || !end.data)
        return STEM_ENOMEM;
    const stem_engine_range range = {start, end};
    int code = engine->ops->iter_open(engine, NULL, &range, false, &iter);
    if (code != STEM_OK)
        return code;
    execution->n_states++;
    code = walk_range(execution, iter, start, end, is_empty);
    engine->ops->iter_close(iter);
    return code;
}
