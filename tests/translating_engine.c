/*
 * Any bytes as paths and MessagePack; see translating_engine.h.
 *
 * A key begins with a 'k', so that none is empty. Bytes 0 and 1 are written 1 1 and 1 2, so
 * that there is no NUL, and after every so many bytes a NUL begins another component: all of
 * it where the key that is smaller has the smaller byte, or its end. A value is a BIN.
 */
#include "translating_engine.h"

#include <stdlib.h>

#include "buffer.h"
#include "support.h"

enum { COMPONENT = STEM_COMPONENT_MAX, BIN8 = 0xC4, BIN16 = 0xC5, BIN32 = 0xC6 };

typedef struct translating_engine {
    stem_engine base;
    stem_engine *inner;
} translating_engine;

static stem_engine *inner_of(stem_engine *base)
{
    return ((translating_engine *)base)->inner;
}

/* ---- Keys ------------------------------------------------------------------------- */

static void add_byte(stem_buffer *out, size_t start, char byte)
{
    if ((out->len - start) % (COMPONENT + 1) == COMPONENT)
        stem_buffer_add(out, "", 1);
    stem_buffer_add(out, &byte, 1);
}

static void encode_key(stem_buffer *out, stem_slice key)
{
    const size_t start = out->len;

    add_byte(out, start, 'k');
    for (size_t i = 0; i < key.len; i++) {
        const char byte = key.data[i];

        if (byte == 0 || byte == 1)
            add_byte(out, start, 1);
        add_byte(out, start, (char)(byte == 0 || byte == 1 ? byte + 1 : byte));
    }
}

static void decode_key(stem_slice encoded, stem_buffer *out)
{
    bool is_escaped = false;

    ck_assert(encoded.len > 0 && *encoded.data == 'k');
    for (size_t i = 1; i < encoded.len; i++) {
        const char byte = (char)(encoded.data[i] - is_escaped);

        if (i % (COMPONENT + 1) == COMPONENT)
            continue;
        is_escaped = !is_escaped && byte == 1;
        if (!is_escaped)
            stem_buffer_add(out, &byte, 1);
    }
}

/* ---- Values ----------------------------------------------------------------------- */

static void encode_value(stem_buffer *out, stem_slice value)
{
    const size_t len = value.len;
    const unsigned char longest[] = {BIN32, (unsigned char)(len >> 24),
                                     (unsigned char)(len >> 16),
                                     (unsigned char)(len >> 8), (unsigned char)len};
    const unsigned char shorter[] = {BIN16, longest[3], longest[4]};
    const unsigned char shortest[] = {BIN8, longest[4]};

    if (len <= UINT8_MAX)
        stem_buffer_add(out, shortest, sizeof shortest);
    else if (len <= UINT16_MAX)
        stem_buffer_add(out, shorter, sizeof shorter);
    else
        stem_buffer_add(out, longest, sizeof longest);
    stem_buffer_add(out, value.data, len);
}

static stem_slice decode_value(stem_slice encoded)
{
    const unsigned char form = (unsigned char)*encoded.data;
    const size_t head = form == BIN8 ? 2 : form == BIN16 ? 3 : 5;

    ck_assert(form == BIN8 || form == BIN16 || form == BIN32);
    ck_assert_uint_ge(encoded.len, head);
    return (stem_slice){encoded.data + head, encoded.len - head};
}

/* ---- Several, in one piece of memory ---------------------------------------------- */

typedef struct encoded {
    stem_buffer bytes;
    stem_slice *slices; /* with offsets for data until they are complete */
    size_t n;
} encoded;

static encoded encoded_for(size_t n)
{
    encoded all = {.slices = calloc(n + 1, sizeof *all.slices)};

    ck_assert_ptr_nonnull(all.slices);
    return all;
}

static void add(encoded *all, stem_slice from, void (*encode)(stem_buffer *, stem_slice))
{
    const size_t start = all->bytes.len;

    encode(&all->bytes, from);
    ck_assert(!all->bytes.failed);
    all->slices[all->n++].len = all->bytes.len - start;
}

/* An end of a range, or a target: an empty one means something of its own. */
static void add_bound(encoded *all, stem_slice bound)
{
    if (bound.len > 0)
        add(all, bound, encode_key);
    else
        all->slices[all->n++] = (stem_slice){0};
}

static void complete(encoded *all)
{
    size_t at = 0;

    for (size_t i = 0; i < all->n; i++) {
        all->slices[i].data = all->slices[i].len > 0 ? all->bytes.data + at : NULL;
        at += all->slices[i].len;
    }
}

static void free_encoded(encoded *all)
{
    free(all->bytes.data);
    free(all->slices);
}

static encoded encode_range(const stem_engine_range *range)
{
    encoded both = encoded_for(2);

    add_bound(&both, range->start);
    add_bound(&both, range->end);
    complete(&both);
    return both;
}

/* ---- Reading and committing ------------------------------------------------------- */

static void decode_reads(stem_read *reads, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!reads[i].data)
            continue;
        const stem_slice value = decode_value((stem_slice){reads[i].data, reads[i].len});

        memmove(reads[i].data, value.data, value.len);
        reads[i].len = value.len;
    }
}

static encoded encoded_keys(const stem_slice *keys, size_t n)
{
    encoded all = encoded_for(n);

    for (size_t i = 0; i < n; i++)
        add(&all, keys[i], encode_key);
    complete(&all);
    return all;
}

static int translating_read(stem_engine *base, const stem_engine_snapshot *snapshot,
                            const stem_slice *keys, size_t n, stem_read *reads)
{
    stem_engine *inner = inner_of(base);
    encoded all = encoded_keys(keys, n);

    const int code = inner->ops->read(inner, snapshot, all.slices, n, reads);
    free_encoded(&all);
    if (code == STEM_OK)
        decode_reads(reads, n);
    return code;
}

static int translating_read_some(stem_engine *base, const stem_engine_snapshot *snapshot,
                                 const stem_slice *keys, size_t n, size_t most,
                                 stem_read *reads, size_t *n_read)
{
    stem_engine *inner = inner_of(base);
    encoded all = encoded_keys(keys, n);

    const int code =
        inner->ops->read_some(inner, snapshot, all.slices, n, most, reads, n_read);
    free_encoded(&all);
    if (code == STEM_OK)
        decode_reads(reads, *n_read);
    return code;
}

static int translating_commit(stem_engine *base, const stem_commit *commit,
                              size_t *failed)
{
    stem_engine *inner = inner_of(base);
    const size_t n = commit->n_writes, n_expected = commit->n_expectations;
    encoded all = encoded_for(2 * (n + n_expected));
    stem_write *writes = calloc(n + 1, sizeof *writes);
    stem_expectation *expected = calloc(n_expected + 1, sizeof *expected);

    ck_assert(writes && expected);
    for (size_t i = 0; i < n; i++) {
        add(&all, commit->writes[i].key, encode_key);
        add(&all, commit->writes[i].value, encode_value);
    }
    for (size_t i = 0; i < n_expected; i++) {
        const stem_expectation *each = &commit->expectations[i];
        const bool is_range = each->kind == STEM_EXPECT_EMPTY;

        if (is_range)
            add_bound(&all, each->key);
        else
            add(&all, each->key, encode_key);
        if (is_range)
            add_bound(&all, each->value);
        else
            add(&all, each->value, encode_value);
    }
    complete(&all);
    for (size_t i = 0; i < n; i++)
        writes[i] = (stem_write){all.slices[2 * i], all.slices[2 * i + 1],
                                 commit->writes[i].is_delete};
    for (size_t i = 0; i < n_expected; i++)
        expected[i] = (stem_expectation){
            commit->expectations[i].kind, all.slices[2 * (n + i)],
            all.slices[2 * (n + i) + 1], commit->expectations[i].stamp};
    stem_commit translated = *commit;
    translated.writes = writes;
    translated.expectations = expected;
    const int code = inner->ops->commit(inner, &translated, failed);
    free_encoded(&all);
    free(writes);
    free(expected);
    return code;
}

/* ---- Iterators and snapshots ------------------------------------------------------ */

typedef struct translating_iter {
    stem_engine_iter base;
    stem_engine_iter *inner;
    stem_buffer key, value;
} translating_iter;

static int translating_iter_open(stem_engine *base, const stem_engine_snapshot *snapshot,
                                 const stem_engine_range *range, bool reverse,
                                 stem_engine_iter **opened)
{
    stem_engine *inner = inner_of(base);
    translating_iter *iter = calloc(1, sizeof *iter);
    encoded both = encode_range(range);
    const stem_engine_range translated = {both.slices[0], both.slices[1]};

    ck_assert_ptr_nonnull(iter);
    iter->base.engine = base;
    const int code =
        inner->ops->iter_open(inner, snapshot, &translated, reverse, &iter->inner);
    free_encoded(&both);
    if (code == STEM_OK)
        *opened = &iter->base;
    else
        free(iter);
    return code;
}

static int translating_iter_next(stem_engine_iter *base, stem_slice *key,
                                 stem_slice *value)
{
    translating_iter *iter = (translating_iter *)base;
    stem_slice found, bytes = {"", 0};

    const int code =
        iter->inner->engine->ops->iter_next(iter->inner, &found, value ? &bytes : NULL);
    if (code != STEM_OK)
        return code;
    ck_assert_int_eq(found.data[found.len], 0);
    iter->key.len = iter->value.len = 0;
    decode_key(found, &iter->key);
    stem_buffer_add(&iter->key, "", 1);
    *key = (stem_slice){iter->key.data, iter->key.len - 1};
    if (value) {
        ck_assert(bytes.len > STEM_SHORT_VALUE || bytes.data[bytes.len] == 0);
        const stem_slice decoded = decode_value(bytes);
        stem_buffer_add(&iter->value, decoded.data, decoded.len);
        stem_buffer_add(&iter->value, "", 1);
        *value = (stem_slice){iter->value.data, decoded.len};
    }
    ck_assert(!iter->key.failed && !iter->value.failed);
    return STEM_OK;
}

static int translating_iter_seek(stem_engine_iter *base, stem_slice key)
{
    translating_iter *iter = (translating_iter *)base;
    encoded target = encoded_for(1);

    add_bound(&target, key);
    complete(&target);
    const int code = iter->inner->engine->ops->iter_seek(iter->inner, target.slices[0]);
    free_encoded(&target);
    return code;
}

static void translating_iter_close(stem_engine_iter *base)
{
    translating_iter *iter = (translating_iter *)base;

    iter->inner->engine->ops->iter_close(iter->inner);
    free(iter->key.data);
    free(iter->value.data);
    free(iter);
}

static int translating_snapshot_open(stem_engine *base, stem_engine_snapshot **snapshot)
{
    stem_engine *inner = inner_of(base);

    return inner->ops->snapshot_open(inner, snapshot);
}

static void translating_snapshot_close(stem_engine *base, stem_engine_snapshot *snapshot)
{
    stem_engine *inner = inner_of(base);

    inner->ops->snapshot_close(inner, snapshot);
}

/* ---- Looking after ---------------------------------------------------------------- */

static int translating_flush(stem_engine *base)
{
    stem_engine *inner = inner_of(base);

    return inner->ops->flush(inner);
}

static int translating_sync(stem_engine *base)
{
    stem_engine *inner = inner_of(base);

    return inner->ops->sync(inner);
}

static int translating_compact(stem_engine *base, const stem_engine_range *range)
{
    stem_engine *inner = inner_of(base);
    encoded both = encode_range(range);
    const stem_engine_range translated = {both.slices[0], both.slices[1]};

    const int code = inner->ops->compact(inner, &translated);
    free_encoded(&both);
    return code;
}

static int translating_estimate(stem_engine *base, const stem_engine_range *range,
                                stem_size_info *size)
{
    stem_engine *inner = inner_of(base);
    encoded both = encode_range(range);
    const stem_engine_range translated = {both.slices[0], both.slices[1]};

    const int code = inner->ops->estimate(inner, &translated, size);
    free_encoded(&both);
    return code;
}

static int translating_stats(stem_engine *base, stem_statistics *stats)
{
    stem_engine *inner = inner_of(base);

    return inner->ops->stats(inner, stats);
}

static int translating_identify(stem_engine *base, stem_place_id *id)
{
    stem_engine *inner = inner_of(base);

    return inner->ops->identify(inner, id);
}

static int translating_close(stem_engine *base)
{
    const int code = stem_engine_release(inner_of(base));

    if (code == STEM_OK)
        free(base);
    return code;
}

static const stem_engine_ops translating_ops = {
    .name = "translating",
    .read = translating_read,
    .read_some = translating_read_some,
    .commit = translating_commit,
    .iter_open = translating_iter_open,
    .iter_next = translating_iter_next,
    .iter_seek = translating_iter_seek,
    .iter_close = translating_iter_close,
    .snapshot_open = translating_snapshot_open,
    .snapshot_close = translating_snapshot_close,
    .flush = translating_flush,
    .sync = translating_sync,
    .compact = translating_compact,
    .estimate = translating_estimate,
    .stats = translating_stats,
    .identify = translating_identify,
    .close = translating_close,
};

stem_engine *translating_engine_over(stem_engine *inner)
{
    enum { KEY_OVERHEAD = 64, VALUE_OVERHEAD = 5 };
    translating_engine *engine = calloc(1, sizeof *engine);

    ck_assert_ptr_nonnull(engine);
    ck_assert(inner->ops->flush && !inner->ops->discard);
    engine->base =
        (stem_engine){.ops = &translating_ops,
                      .max_key_bytes = inner->max_key_bytes / 2 - KEY_OVERHEAD,
                      .max_value_bytes = inner->max_value_bytes - VALUE_OVERHEAD,
                      .max_commit_bytes = inner->max_commit_bytes / 2,
                      .max_commit_items = inner->max_commit_items,
                      .fork_generation = inner->fork_generation};
    atomic_init(&engine->base.users, 1);
    engine->inner = inner;
    return &engine->base;
}

stem_engine *translated_engine(stem_engine *engine)
{
    return engine->ops == &translating_ops ? inner_of(engine) : engine;
}
