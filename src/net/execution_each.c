/*
 * An execution: reading many keys one after the other, so that no more than a portion of what
 * they hold is in memory at a time.
 */
#include <stdlib.h>

#include "execution_overlay.h"

/* Who is shown what was read, and which keys. */
typedef struct reading {
    stem_engine *engine;
    const stem_slice *keys;
    size_t n;
    stem_read *reads; /* room for as many */
    stem_execution_visitor *visit;
    void *context;
} reading;

static void free_reads(stem_read *reads, size_t n)
{
    while (n-- > 0)
        free(reads[n].data);
}

static int show(const reading *of, size_t n_read)
{
    int code = STEM_OK;

    for (size_t i = 0; i < n_read && code == STEM_OK; i++) {
        const stem_read *each = &of->reads[i];

        code =
            of->visit(of->context, (stem_slice){each->data, each->data ? each->len : 0});
    }
    free_reads(of->reads, n_read);
    return code;
}

/* Portion after portion. */
static int read_snapshot(const reading *of, const stem_engine_snapshot *snapshot)
{
    size_t done = 0, n_read;
    int code = STEM_OK;

    while (done < of->n && code == STEM_OK) {
        code = of->engine->ops->read_some(of->engine, snapshot, of->keys + done,
                                          of->n - done, STEM_PORTION_BYTES, of->reads,
                                          &n_read);
        if (code == STEM_OK)
            code = show(of, n_read);
        if (code == STEM_OK)
            done += n_read;
    }
    return code;
}

/* Most reads are no more than one portion, and need no snapshot. */
static int read_newest(const reading *of)
{
    stem_engine *engine = of->engine;
    stem_engine_snapshot *snapshot;
    size_t n_read;

    int code = engine->ops->read_some(engine, NULL, of->keys, of->n, STEM_PORTION_BYTES,
                                      of->reads, &n_read);
    if (code != STEM_OK)
        return code;
    if (n_read == of->n)
        return show(of, n_read);
    free_reads(of->reads, n_read);
    code = engine->ops->snapshot_open(engine, &snapshot);
    if (code != STEM_OK)
        return code;
    code = read_snapshot(of, snapshot);
    engine->ops->snapshot_close(engine, snapshot);
    return code;
}

/* Through the overlay, where all of it stays. */
static int read_overlay(stem_execution *execution, const stem_slice *keys, size_t n,
                        stem_execution_visitor *visit, void *context)
{
    enum { AT_ONCE = 32 };
    stem_slice values[AT_ONCE];
    int code = STEM_OK;

    for (size_t done = 0; done < n && code == STEM_OK; done += AT_ONCE) {
        const size_t some = n - done < AT_ONCE ? n - done : AT_ONCE;

        code = stem_execution_read(execution, keys + done, some, values);
        for (size_t i = 0; i < some && code == STEM_OK; i++)
            code = visit(context, values[i]);
    }
    return code;
}

int stem_execution_read_each(stem_execution *execution,
                             const stem_engine_snapshot *snapshot, const stem_slice *keys,
                             size_t n, stem_execution_visitor *visit, void *context)
{
    reading of = {.engine = execution->engine,
                  .keys = keys,
                  .n = n,
                  .visit = visit,
                  .context = context};

    if (!snapshot && !execution->only_reads)
        return read_overlay(execution, keys, n, visit, context);
    of.reads = stem_execution_room(execution, n * sizeof *of.reads);
    if (!of.reads)
        return STEM_ENOMEM;
    return snapshot ? read_snapshot(&of, snapshot) : read_newest(&of);
}
