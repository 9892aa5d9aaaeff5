/*
 * What every engine promises (src/engine.h) of iterators, ranges and snapshots, and of looking
 * after what is stored; at each location of engine_support.c.
 */
#include "engine_support.h"

#include <stdio.h>
#include <stdlib.h>

/* Keys in their order. */
static const stem_slice keys[] = {{"\0", 1},      {"\0a", 2},  {"\x01", 1},  {"a", 1},
                                  {"a\0", 2},     {"a\0b", 3}, {"a\x01", 2}, {"ab", 2},
                                  {"b", 1},       {"c", 1},    {"\xfe", 1},  {"\xff", 1},
                                  {"\xff\xff", 2}};
enum { N_KEYS = sizeof keys / sizeof *keys };

/* Ends of ranges and targets of seeks: the keys, and what lies between and outside them. */
static const stem_slice marks[] = {
    {"", 0},          {"\0", 1},   {"\0\0", 2}, {"\0a", 2},    {"\x01", 1},
    {"A", 1},         {"a", 1},    {"a\0", 2},  {"a\0a", 3},   {"a\x01", 2},
    {"aa", 2},        {"ab", 2},   {"b", 1},    {"bb", 2},     {"c", 1},
    {"d", 1},         {"\xfe", 1}, {"\xff", 1}, {"\xff\0", 2}, {"\xff\xff", 2},
    {"\xff\xff\0", 3}};
enum { N_MARKS = sizeof marks / sizeof *marks };

static int compare(stem_slice a, stem_slice b)
{
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool is_within(const stem_engine_range *range, stem_slice key)
{
    return compare(key, range->start) >= 0 &&
           (range->end.len == 0 || compare(key, range->end) < 0);
}

/* The index of the key that a walk comes to first, from `from` on in its direction. */
static int next_within(const stem_engine_range *range, bool reverse, int from)
{
    while (from >= 0 && from < N_KEYS && !is_within(range, keys[from]))
        from += reverse ? -1 : 1;
    return from;
}

static int seek_within(const stem_engine_range *range, bool reverse, stem_slice target)
{
    int i = reverse ? N_KEYS - 1 : 0;

    while (i >= 0 && i < N_KEYS &&
           (reverse ? compare(keys[i], target) > 0 : compare(keys[i], target) < 0))
        i += reverse ? -1 : 1;
    return next_within(range, reverse, i);
}

static stem_engine *open_filled(int location)
{
    stem_engine *engine = open_engine(location);

    for (size_t i = 0; i < N_KEYS; i++)
        put(engine, keys[i], keys[N_KEYS - 1 - i]);
    return engine;
}

static stem_engine_iter *open_iter(stem_engine *engine,
                                   const stem_engine_snapshot *snapshot,
                                   const stem_engine_range *range, bool reverse)
{
    stem_engine_iter *iter;

    assert_ok(engine->ops->iter_open(engine, snapshot, range, reverse, &iter));
    ck_assert_ptr_eq(iter->engine, engine);
    return iter;
}

/* Steps once and expects a key, by its index, or the end. Returns the index after it. */
static int step(stem_engine_iter *iter, bool reverse, int expected)
{
    stem_slice key = {NULL, 0}, value;
    int code = iter->engine->ops->iter_next(iter, &key, &value);

    if (expected < 0 || expected >= N_KEYS) {
        assert_code(code, STEM_NOTFOUND);
        ck_assert_ptr_null(key.data);
        return expected;
    }
    assert_ok(code);
    ck_assert_int_eq(key.data[key.len], 0);
    ck_assert_int_eq(value.data[value.len], 0); /* all are short */
    ck_assert_int_eq(compare(key, keys[expected]), 0);
    ck_assert_int_eq(compare(value, keys[N_KEYS - 1 - expected]), 0);
    return expected + (reverse ? -1 : 1);
}

/* Expects all that is left of the range, and twice the end. */
static void walk(stem_engine_iter *iter, const stem_engine_range *range, bool reverse,
                 int from)
{
    do {
        from = next_within(range, reverse, from);
        from = step(iter, reverse, from);
    } while (from >= 0 && from < N_KEYS);
    step(iter, reverse, from);
    step(iter, reverse, from);
}

/* ---- Ranges ----------------------------------------------------------------------- */

START_TEST(a_range_is_walked_from_either_end)
{
    stem_engine *engine = open_filled(_i);

    for (int start = 0; start < N_MARKS; start++)
        for (int end = 0; end < N_MARKS; end++)
            for (int reverse = 0; reverse < 2; reverse++) {
                const stem_engine_range range = {marks[start], marks[end]};
                stem_engine_iter *iter = open_iter(engine, NULL, &range, reverse);

                walk(iter, &range, reverse, reverse ? N_KEYS - 1 : 0);
                engine->ops->iter_close(iter);
            }
    close_engine(engine);
}
END_TEST

START_TEST(an_empty_store_has_nothing_to_walk)
{
    stem_engine *engine = open_engine(_i);
    const stem_engine_range everything = {{NULL, 0}, {NULL, 0}};
    stem_slice key;

    for (int reverse = 0; reverse < 2; reverse++) {
        stem_engine_iter *iter = open_iter(engine, NULL, &everything, reverse);

        assert_code(engine->ops->iter_next(iter, &key, NULL), STEM_NOTFOUND);
        assert_ok(engine->ops->iter_seek(iter, slice("a")));
        assert_code(engine->ops->iter_next(iter, &key, NULL), STEM_NOTFOUND);
        assert_ok(engine->ops->iter_seek(iter, slice("")));
        assert_code(engine->ops->iter_next(iter, &key, NULL), STEM_NOTFOUND);
        engine->ops->iter_close(iter);
    }
    close_engine(engine);
}
END_TEST

START_TEST(the_range_and_the_target_are_copied)
{
    stem_engine *engine = open_filled(_i);
    char start[] = "a", end[] = "c", target[] = "ab";
    const stem_engine_range lent = {{start, 1}, {end, 1}};
    const stem_engine_range range = {{"a", 1}, {"c", 1}};
    stem_engine_iter *iter = open_iter(engine, NULL, &lent, false);

    start[0] = end[0] = 'z';
    walk(iter, &range, false, 0);
    assert_ok(engine->ops->iter_seek(iter, slice(target)));
    target[0] = 'z';
    walk(iter, &range, false, seek_within(&range, false, slice("ab")));
    engine->ops->iter_close(iter);
    close_engine(engine);
}
END_TEST

/* ---- Seeking ---------------------------------------------------------------------- */

START_TEST(a_seek_arrives_within_the_range_wherever_it_aims)
{
    stem_engine *engine = open_filled(_i);

    for (int start = 0; start < N_MARKS; start += 2)
        for (int end = 0; end < N_MARKS; end++)
            for (int reverse = 0; reverse < 2; reverse++) {
                const stem_engine_range range = {marks[start], marks[end]};
                stem_engine_iter *iter = open_iter(engine, NULL, &range, reverse);

                for (int to = 1; to < N_MARKS; to++) {
                    assert_ok(engine->ops->iter_seek(iter, marks[to]));
                    walk(iter, &range, reverse, seek_within(&range, reverse, marks[to]));
                }
                engine->ops->iter_close(iter);
            }
    close_engine(engine);
}
END_TEST

START_TEST(an_empty_target_goes_back_to_where_the_walk_begins)
{
    stem_engine *engine = open_filled(_i);
    const stem_engine_range range = {{"a", 1}, {"c", 1}};

    for (int reverse = 0; reverse < 2; reverse++) {
        stem_engine_iter *iter = open_iter(engine, NULL, &range, reverse);
        int first = reverse ? N_KEYS - 1 : 0;

        for (int steps = 0; steps < 9; steps++) {
            stem_slice key;

            for (int i = 0; i < steps; i++)
                engine->ops->iter_next(iter, &key, NULL);
            assert_ok(engine->ops->iter_seek(iter, (stem_slice){NULL, 0}));
            walk(iter, &range, reverse, first);
            assert_ok(engine->ops->iter_seek(iter, slice("")));
        }
        engine->ops->iter_close(iter);
    }
    close_engine(engine);
}
END_TEST

START_TEST(a_seek_goes_back_and_forth)
{
    stem_engine *engine = open_filled(_i);
    const stem_engine_range everything = {{"", 0}, {"", 0}};

    for (int reverse = 0; reverse < 2; reverse++) {
        stem_engine_iter *iter = open_iter(engine, NULL, &everything, reverse);

        for (int i = 0; i < 200; i++) {
            stem_slice target = marks[1 + i * 7 % (N_MARKS - 1)];
            int next = seek_within(&everything, reverse, target);

            assert_ok(engine->ops->iter_seek(iter, target));
            for (int steps = 0; steps < i % 4; steps++)
                next = step(iter, reverse, next);
        }
        engine->ops->iter_close(iter);
    }
    close_engine(engine);
}
END_TEST

/* ---- One moment ------------------------------------------------------------------- */

/* Changes, removes and adds all over the place. */
static void change_everything(stem_engine *engine)
{
    for (size_t i = 0; i < N_KEYS; i += 2)
        del(engine, keys[i]);
    for (size_t i = 1; i < N_KEYS; i += 2)
        put(engine, keys[i], slice("changed"));
    put(engine, slice("aaa"), slice("new"));
    put(engine, slice("zzz"), slice("new"));
}

START_TEST(an_iterator_sees_what_was_there_when_it_was_opened)
{
    stem_engine *engine = open_filled(_i);
    const stem_engine_range everything = {{"", 0}, {"", 0}};
    stem_engine_iter *iters[2];

    for (int reverse = 0; reverse < 2; reverse++)
        iters[reverse] = open_iter(engine, NULL, &everything, reverse);
    change_everything(engine);
    for (int reverse = 0; reverse < 2; reverse++) {
        walk(iters[reverse], &everything, reverse, reverse ? N_KEYS - 1 : 0);
        assert_ok(engine->ops->compact(engine, &everything));
        assert_ok(engine->ops->iter_seek(iters[reverse], slice("ab")));
        walk(iters[reverse], &everything, reverse,
             seek_within(&everything, reverse, slice("ab")));
        engine->ops->iter_close(iters[reverse]);
    }
    close_engine(engine);
}
END_TEST

START_TEST(a_snapshot_holds_one_state_for_reads_and_iterators)
{
    stem_engine *engine = open_filled(_i);
    const stem_engine_range everything = {{"", 0}, {"", 0}};
    stem_engine_snapshot *before, *after;
    stem_read reads[N_KEYS];

    assert_ok(engine->ops->snapshot_open(engine, &before));
    change_everything(engine);
    assert_ok(engine->ops->snapshot_open(engine, &after));
    del(engine, slice("aaa"));
    assert_ok(engine->ops->compact(engine, &everything));
    for (int reverse = 0; reverse < 2; reverse++) {
        stem_engine_iter *iter = open_iter(engine, before, &everything, reverse);

        walk(iter, &everything, reverse, reverse ? N_KEYS - 1 : 0);
        engine->ops->iter_close(iter);
    }
    assert_ok(engine->ops->read(engine, before, keys, N_KEYS, reads));
    for (size_t i = 0; i < N_KEYS; i++) {
        assert_bytes(&reads[i], keys[N_KEYS - 1 - i]);
        free(reads[i].data);
    }
    assert_absent(engine, before, slice("aaa"));
    assert_holds(engine, after, slice("aaa"), slice("new"));
    assert_absent(engine, after, keys[0]);
    assert_absent(engine, NULL, slice("aaa"));
    engine->ops->snapshot_close(engine, before);
    assert_holds(engine, after, keys[1], slice("changed"));
    engine->ops->snapshot_close(engine, after);
    close_engine(engine);
}
END_TEST

START_TEST(an_iterator_over_a_snapshot_outlives_it)
{
    stem_engine *engine = open_filled(_i);
    const stem_engine_range everything = {{"", 0}, {"", 0}};
    stem_engine_snapshot *snapshot;

    assert_ok(engine->ops->snapshot_open(engine, &snapshot));
    stem_engine_iter *iter = open_iter(engine, snapshot, &everything, false);
    engine->ops->snapshot_close(engine, snapshot);
    change_everything(engine);
    assert_ok(engine->ops->compact(engine, &everything));
    walk(iter, &everything, false, 0);
    engine->ops->iter_close(iter);
    close_engine(engine);
}
END_TEST

/* ---- Looking after ---------------------------------------------------------------- */

START_TEST(compacting_changes_nothing_that_is_read)
{
    stem_engine *engine = open_filled(_i);
    const stem_engine_range everything = {{"", 0}, {"", 0}};
    const stem_engine_range ranges[] = {
        everything, {{"a", 1}, {"b", 1}}, {{"b", 1}, {"a", 1}}, {{"q", 1}, {"", 0}}};

    for (int i = 0; i < 4; i++) {
        assert_ok(engine->ops->compact(engine, &ranges[i]));
        stem_engine_iter *iter = open_iter(engine, NULL, &everything, false);
        walk(iter, &everything, false, 0);
        engine->ops->iter_close(iter);
    }
    close_engine(engine);
}
END_TEST

START_TEST(an_estimate_follows_what_is_in_the_range)
{
    stem_engine *engine = open_engine(_i);
    const stem_engine_range everything = {{"", 0}, {"", 0}}, full = {{"f", 1}, {"g", 1}};
    const stem_engine_range bare = {{"x", 1}, {"", 0}};
    stem_size_info all, part, none;
    stem_statistics stats = {0};
    char *noise = malloc(100000);

    for (int i = 0; i < 100000; i++)
        noise[i] = (char)rand();
    for (int i = 0; i < 20; i++) {
        char key[16];

        snprintf(key, sizeof key, "f%d", i);
        put(engine, slice(key), (stem_slice){noise, 100000});
    }
    assert_ok(engine->ops->compact(engine, &everything));
    assert_ok(engine->ops->estimate(engine, &everything, &all));
    assert_ok(engine->ops->estimate(engine, &full, &part));
    assert_ok(engine->ops->estimate(engine, &bare, &none));
    ck_assert_uint_gt(all.table_bytes, 1000000);
    ck_assert_uint_ge(all.table_bytes, part.table_bytes);
    ck_assert_uint_gt(part.table_bytes, 1000000);
    ck_assert_uint_lt(none.table_bytes, 200000);
    assert_ok(engine->ops->stats(engine, &stats));
    ck_assert_uint_eq(stats.repairs, 0);
    free(noise);
    close_engine(engine);
}
END_TEST

START_TEST(an_engine_has_a_name_and_users_that_keep_it_open)
{
    stem_engine *engine = open_engine(_i);

    ck_assert_str_ne(engine->ops->name, "");
    ck_assert(!stem_engine_is_inherited(engine));
    stem_engine_retain(engine);
    close_engine(engine);
    put(engine, slice("a"), slice("1"));
    assert_holds(engine, NULL, slice("a"), slice("1"));
    close_engine(engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine_order");
    TCase *ranges = add_case(suite, "ranges", 60);
    TCase *seeking = add_case(suite, "seeking", 60);
    TCase *moments = add_case(suite, "moments", 60);
    TCase *care = add_case(suite, "looking after", 60);

    add_engine_test(ranges, a_range_is_walked_from_either_end);
    add_engine_test(ranges, an_empty_store_has_nothing_to_walk);
    add_engine_test(ranges, the_range_and_the_target_are_copied);
    add_engine_test(seeking, a_seek_arrives_within_the_range_wherever_it_aims);
    add_engine_test(seeking, an_empty_target_goes_back_to_where_the_walk_begins);
    add_engine_test(seeking, a_seek_goes_back_and_forth);
    add_engine_test(moments, an_iterator_sees_what_was_there_when_it_was_opened);
    add_engine_test(moments, a_snapshot_holds_one_state_for_reads_and_iterators);
    add_engine_test(moments, an_iterator_over_a_snapshot_outlives_it);
    add_engine_test(care, compacting_changes_nothing_that_is_read);
    add_engine_test(care, an_estimate_follows_what_is_in_the_range);
    add_engine_test(care, an_engine_has_a_name_and_users_that_keep_it_open);
    return run_suite(suite);
}
