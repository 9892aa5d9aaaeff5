/*
 * Two databases whose engines fail on purpose: see world.h.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

/* ---- The databases ---------------------------------------------------------------- */

enum { LARGE_ENTRIES = 7, LARGE_BYTES = 400 << 10, TOKEN_BYTES = 10 };

static void fill_place(stem_db *root)
{
    static const double numbers[] = {1, 2, 3};
    stem_db *place = stem_sub(root, "place");
    stem_db *below = stem_sub(root, "place", "below");

    assert_ok(stem_put(place, "array", stem_vec(numbers, 3)));
    assert_ok(stem_put(place, "bin", stem_bin("bytes", 5)));
    assert_ok(stem_put(place, "bool", stem_bool(true)));
    assert_ok(stem_put(place, "float", 2.5));
    assert_ok(stem_put(place, "int", 41));
    assert_ok(stem_put(place, "list", stem_packed("\x92\x01\x02", 3)));
    assert_ok(stem_put(place, "str", "text"));
    assert_ok(stem_put(place, "time", stem_time(5, 6)));
    assert_ok(stem_put(below, "x", 1));
    assert_ok(stem_put(below, "y", 2));
    stem_close(below);
    stem_close(place);
}

static void fill_queue(stem_db *root)
{
    stem_db *queue = stem_sub(root, "queue");
    stem_db *second = stem_sub(root, "queue", "second");

    assert_ok(stem_put(queue, "first", 10));
    assert_ok(stem_put(queue, "second", "twenty"));
    assert_ok(stem_put(second, "deeper", 25));
    assert_ok(stem_put(queue, "third", 30));
    stem_close(second);
    stem_close(queue);
}

/* Each value is one of its kind. */
static void fill_large(stem_db *root, size_t len)
{
    static char bytes[LARGE_BYTES];
    stem_db *large = stem_sub(root, "large");

    for (int i = 0; i < LARGE_ENTRIES; i++) {
        char key[16];

        snprintf(key, sizeof key, "entry %d", i);
        memset(bytes, 'a' + i, len);
        assert_ok(stem_put(large, key, stem_bin(bytes, len)));
    }
    stem_close(large);
}

void world_restore(world *w)
{
    assert_ok(stem_clear(w->real, NULL));
    assert_ok(stem_clear(w->other_real, NULL));
    fill_place(w->real);
    fill_queue(w->real);
    fill_large(w->real, w->is_large ? LARGE_BYTES : TOKEN_BYTES);
    assert_ok(stem_put(w->other_real, "other", 1));
}

void world_open(world *w, bool is_large)
{
    const stem_options none = {0};
    const stem_options plain = {.no_compression = true}; /* it takes most of the time */

    w->is_large = is_large;
    engine_fail_at(0, STEM_OK);
    assert_ok(stem_open(&w->real, "mem:", &plain));
    assert_ok(stem_open(&w->other_real, "mem:", &plain));
    world_restore(w);
    w->db = failing_engine_over(&w->engine, w->real, &none);
    w->other = failing_engine_over(&w->other_engine, w->other_real, &none);
    w->place = stem_sub(w->db, "place");
    w->queue = stem_sub(w->db, "queue");
    w->large = stem_sub(w->db, "large");
    w->free_place = stem_sub(w->db, "free");
    w->other_place = stem_sub(w->other, "free");
    w->frozen = stem_snapshot(w->place);
}

void world_close(world *w)
{
    stem_close(w->frozen);
    stem_close(w->other_place);
    stem_close(w->free_place);
    stem_close(w->large);
    stem_close(w->queue);
    stem_close(w->place);
    stem_close(w->other);
    stem_close(w->db);
    assert_ok(stem_close(w->other_real));
    assert_ok(stem_close(w->real));
}

size_t world_in_use(const world *w)
{
    return w->engine.open + w->other_engine.open + w->engine.base.users +
           w->other_engine.base.users;
}

/* ---- What they hold --------------------------------------------------------------- */

static void append(contents_of_world *all, const void *data, size_t len)
{
    all->bytes = realloc(all->bytes, all->len + sizeof len + len);
    if (!all->bytes)
        abort();
    memcpy(all->bytes + all->len, &len, sizeof len);
    if (len > 0)
        memcpy(all->bytes + all->len + sizeof len, data, len);
    all->len += sizeof len + len;
}

/* Keys and values in turn, each behind its length; an empty key ends a database. */
static void append_all(contents_of_world *all, const stem_db *db)
{
    static const stem_engine_range everything;
    const stem_engine_ops *ops = db->engine->ops;
    stem_engine_iter *iter;
    stem_slice key, value;
    int code;

    assert_ok(ops->iter_open(db->engine, NULL, &everything, false, &iter));
    while ((code = ops->iter_next(iter, &key, &value)) == STEM_OK) {
        append(all, key.data, key.len);
        append(all, value.data, value.len);
    }
    ops->iter_close(iter);
    assert_code(code, STEM_NOTFOUND);
    append(all, NULL, 0);
}

contents_of_world world_contents(const world *w)
{
    contents_of_world all = {0};

    append_all(&all, w->real);
    append_all(&all, w->other_real);
    return all;
}

bool world_holds(const world *w, contents_of_world expected)
{
    contents_of_world now = world_contents(w);
    bool is_same =
        now.len == expected.len && memcmp(now.bytes, expected.bytes, now.len) == 0;

    free(now.bytes);
    return is_same;
}

bool world_has_all_values(const world *w, contents_of_world before)
{
    contents_of_world now = world_contents(w);
    bool has_all = true;

    for (size_t at = 0; at < before.len;) {
        size_t key_len, value_len;

        memcpy(&key_len, before.bytes + at, sizeof key_len);
        at += sizeof key_len + key_len;
        if (key_len == 0)
            continue;
        memcpy(&value_len, before.bytes + at, sizeof value_len);
        has_all &= memmem(now.bytes, now.len, before.bytes + at,
                          sizeof value_len + value_len) != NULL;
        at += sizeof value_len + value_len;
    }
    free(now.bytes);
    return has_all;
}
