/*
 * An execution: reading, through the overlay, which remembers what the engine has answered.
 */
#include "../error.h"
#include "execution_overlay.h"

enum { FEW = 8 };

/* ---- Reading ---------------------------------------------------------------------- */

/* Reads keys from one state of the engine's; the execution owns what was read. */
static int read_engine(stem_execution *execution, const stem_slice *keys, size_t n,
                       stem_read *reads)
{
    stem_engine *engine = execution->engine;

    int code = overlay_reserve(&execution->buffers, &execution->buffers_room,
                               execution->n_buffers, n, sizeof *execution->buffers);
    if (code == STEM_OK)
        code = engine->ops->read(engine, NULL, keys, n, reads);
    if (code != STEM_OK)
        return code;
    execution->n_states++;
    for (size_t i = 0; i < n; i++) {
        if (reads[i].data)
            execution->buffers[execution->n_buffers++] = reads[i].data;
        else
            reads[i].len = 0;
    }
    return STEM_OK;
}

/* Looks at the engine alone, and leaves nothing in the overlay. */
static int read_only(stem_execution *execution, const stem_slice *keys, size_t n,
                     stem_slice *values)
{
    stem_read few[FEW];
    stem_read *reads = few;

    if (n > FEW)
        reads = stem_execution_room(execution, n * sizeof *reads);
    if (!reads)
        return STEM_ENOMEM;
    int code = read_engine(execution, keys, n, reads);
    for (size_t i = 0; i < n && code == STEM_OK; i++)
        values[i] = (stem_slice){reads[i].data, reads[i].len};
    return code;
}

/* Reads what is wanted, and expects it to stay so. The keys are those of entries. */
static int read_wanted(stem_execution *execution, const stem_slice *keys, size_t n,
                       stem_read *reads)
{
    int code =
        overlay_reserve(&execution->expectations, &execution->expectations_room,
                        execution->n_expectations, n, sizeof *execution->expectations);

    if (code == STEM_OK)
        code = read_engine(execution, keys, n, reads);
    for (size_t i = 0; i < n && code == STEM_OK; i++) {
        execution->expectations[execution->n_expectations++] = (stem_expectation){
            .kind = reads[i].data ? STEM_EXPECT_EQUAL : STEM_EXPECT_ABSENT,
            .key = keys[i],
            .value = {reads[i].data, reads[i].len},
            .stamp = reads[i].stamp,
        };
        overlay_entry_of(keys[i].data)->expected = execution->n_expectations;
    }
    return code;
}

static int read_through(stem_execution *execution, const stem_slice *keys, size_t n,
                        overlay_entry **entries, stem_slice *wanted, stem_read *reads)
{
    size_t n_wanted = 0;
    int code = STEM_OK;

    for (size_t i = 0; i < n && code == STEM_OK; i++) {
        entries[i] = stem_overlay_entry(execution, keys[i]);
        if (!entries[i]) {
            code = STEM_ENOMEM;
        } else if (!overlay_is_known(entries[i]) && !entries[i]->is_wanted) {
            entries[i]->is_wanted = true;
            wanted[n_wanted++] = (stem_slice){entries[i]->key, keys[i].len};
        }
    }
    if (code == STEM_OK && n_wanted > 0)
        code = read_wanted(execution, wanted, n_wanted, reads);
    for (size_t i = 0; i < n_wanted; i++)
        overlay_entry_of(wanted[i].data)->is_wanted = false;
    return code;
}

int stem_execution_read(stem_execution *execution, const stem_slice *keys, size_t n,
                        stem_slice *values)
{
    overlay_entry *few_entries[FEW], **entries = few_entries;
    stem_slice few_wanted[FEW], *wanted = few_wanted;
    stem_read few_reads[FEW], *reads = few_reads;

    if (execution->only_reads)
        return read_only(execution, keys, n, values);
    if (n > FEW) {
        entries = stem_execution_room(execution, n * sizeof *entries);
        wanted = stem_execution_room(execution, n * sizeof *wanted);
        reads = stem_execution_room(execution, n * sizeof *reads);
    }
    if (!entries || !wanted || !reads)
        return STEM_ENOMEM;
    int code = read_through(execution, keys, n, entries, wanted, reads);
    for (size_t i = 0; i < n && code == STEM_OK; i++)
        values[i] = overlay_value(execution, entries[i]);
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
            overlay_value(execution, each).data)
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
    stem_slice gap = start, key, value;
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
        code = stem_execution_read(execution, &key, 1, &value);
        if (code == STEM_OK && value.data) {
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
