/*
 * Walking in order: every range option both ways, alone and combined, and seeking, on the
 * root, on nested places and on snapshots, against a model that looks at every entry.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "random.h"

/* Names around the bytes that mark ends of ranges, all in use on every level. */
static const char *const names[] = {"a",     "a\x01",    "a\x01\x01", "a!",
                                    "a\xff", "ab",       "b",         "m",
                                    "\x01",  "\x01\x01", "\xff",      "\xff\xff"};
enum { N_NAMES = sizeof names / sizeof *names };

/* Bounds: the names, and some that are before, between and behind them. */
static const char *const bounds[] = {
    "a",     "a\x01", "a\x01\x01", "a!",           "a\xff",    "ab", "b",
    "m",     "\x01",  "\x01\x01",  "\xff",         "\xff\xff", "A",  "aa",
    "a\x02", "\x02",  "\xfe",      "\xff\xff\xff", "z"};
enum { N_BOUNDS = sizeof bounds / sizeof *bounds };

typedef struct place {
    stem_db *db;
    const char *prefix;
    size_t prefix_len;
} place;

enum { N_PLACES = 7 };
static place places[N_PLACES];
static model *data;
static unsigned long long seed;

static const char *random_name(void)
{
    return names[random_below(N_NAMES)];
}

/* Puts a path of up to three names into the model and below the handle. */
static void put_random(stem_db *db)
{
    char path[64], *end = path;
    const char *path_names[3];
    size_t n = 1 + random_below(3);
    int64_t value = (int64_t)random_below(1000000);

    for (size_t i = 0; i < n; i++) {
        path_names[i] = random_name();
        end = stpcpy(end, path_names[i]) + 1;
    }
    model_put_int(data, path, (size_t)(end - path) - 1, value);
    stem_db *below = stem_sub_path(db, path_names, n - 1);
    ck_assert_ptr_nonnull(below);
    assert_ok(stem_put(below, path_names[n - 1], value));
    assert_ok(stem_close(below));
}

static place place_of(stem_db *db, const char *prefix, size_t prefix_len)
{
    ck_assert_ptr_nonnull(db);
    return (place){db, prefix, prefix_len};
}

#define PLACE(db, prefix) place_of((db), (prefix), sizeof(prefix) - 1)

static void fill(void)
{
    stem_db *root, *frozen;

    seed = random_start();
    data = model_new();
    assert_ok(stem_open(&root, path_in(temp_dir(), "db"), NULL));
    for (int i = 0; i < 500; i++)
        put_random(root);
    frozen = stem_snapshot(root);
    places[0] = PLACE(root, "");
    places[1] = PLACE(stem_sub(root, "a"), "a\0");
    places[2] = PLACE(stem_sub(root, "a\x01"), "a\x01\0");
    places[3] = PLACE(stem_sub(root, "\xff"), "\xff\0");
    places[4] = PLACE(stem_sub(root, "a", "\xff\xff"), "a\0\xff\xff\0");
    places[5] = PLACE(stem_sub(frozen, "a!"), "a!\0");
    places[6] = PLACE(stem_sub(root, "nothing here"), "nothing here\0");
    assert_ok(stem_close(frozen));
}

static void empty(void)
{
    for (int i = 0; i < N_PLACES; i++)
        assert_ok(stem_close(places[i].db));
    model_free(data);
}

static void compare(const place *at, const stem_range *range, bool children)
{
    const char *problem =
        model_compare(data, at->prefix, at->prefix_len, at->db, range, children);

    ck_assert_msg(!problem,
                  "%s differs: place %d, gt %s gte %s lt %s lte %s prefix %s "
                  "reverse %d keys_only %d shallow %d limit %d children %d "
                  "(STEM_TEST_SEED=%llu)",
                  problem, (int)(at - places), range->gt, range->gte, range->lt,
                  range->lte, range->prefix, range->reverse, range->keys_only,
                  range->shallow, (int)range->limit, children, seed);
}

/* A range with one bound, the `option`-th. */
static stem_range one_bound(int option, const char *bound)
{
    stem_range range = {0};
    const char **const fields[] = {&range.gt, &range.gte, &range.lt, &range.lte,
                                   &range.prefix};

    if (option < 5)
        *fields[option] = bound;
    return range;
}

static stem_range random_range(void)
{
    stem_range range = {.reverse = random_below(2),
                        .keys_only = random_below(2),
                        .shallow = random_below(2),
                        .limit = random_below(3) == 0 ? random_below(20) : 0};
    const char **const fields[] = {&range.gt, &range.gte, &range.lt, &range.lte,
                                   &range.prefix};

    for (size_t i = 0; i < 5; i++)
        if (random_below(3) == 0)
            *fields[i] = bounds[random_below(N_BOUNDS)];
    return range;
}

/* ---- Ranges ----------------------------------------------------------------------- */

static void compare_each_option(bool children)
{
    fill();
    for (int at = 0; at < N_PLACES; at++)
        for (int option = 0; option < 6; option++)
            for (int bound = 0; bound < N_BOUNDS; bound++)
                for (int flags = 0; flags < 8; flags++) {
                    stem_range range = one_bound(option, bounds[bound]);

                    range.reverse = flags & 1;
                    range.keys_only = flags & 2;
                    range.shallow = flags & 4 && !children;
                    compare(&places[at], &range, children);
                }
    empty();
}

START_TEST(each_option_gives_what_the_model_gives)
{
    compare_each_option(false);
}
END_TEST

START_TEST(each_option_gives_the_children_that_the_model_gives)
{
    compare_each_option(true);
}
END_TEST

START_TEST(combined_options_give_what_the_model_gives)
{
    fill();
    for (int i = 0; i < 20000; i++) {
        stem_range range = random_range();

        compare(&places[random_below(N_PLACES)], &range, i % 2);
    }
    empty();
}
END_TEST

START_TEST(a_limit_ends_the_walk_and_more_than_there_is_does_not_matter)
{
    fill();
    model_walk all = model_expect(data, "", 0, NULL, false);
    const uint64_t limits[] = {1, 2, all.n - 1, all.n, all.n + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        stem_range range = {.limit = limits[i]};
        uint64_t count, expected = limits[i] < all.n ? limits[i] : all.n;

        compare(&places[0], &range, false);
        range.reverse = true;
        compare(&places[0], &range, false);
        assert_ok(stem_count(places[0].db, &range, &count));
        ck_assert_uint_eq(count, expected);
    }
    free(all.steps);
    empty();
}
END_TEST

START_TEST(count_is_the_number_of_entries_in_the_range)
{
    fill();
    for (int i = 0; i < 2000; i++) {
        const place *at = &places[random_below(N_PLACES)];
        stem_range range = random_range();
        model_walk walk = model_expect(data, at->prefix, at->prefix_len, &range, false);
        uint64_t count = 0;

        assert_ok(stem_count(at->db, &range, &count));
        ck_assert_uint_eq(count, range.limit != 0 && walk.n > range.limit ? range.limit
                                                                          : walk.n);
        free(walk.steps);
    }
    empty();
}
END_TEST

START_TEST(a_snapshot_and_an_open_iterator_stay_as_they_were)
{
    fill();
    stem_db *frozen = stem_snapshot(places[0].db);
    stem_iter *iter = stem_iter_open(places[0].db, NULL);
    model_walk before = model_expect(data, "", 0, NULL, false);

    for (size_t i = 0; i < before.n; i++) {
        stem_db *below = stem_dup(places[0].db);

        ck_assert(stem_iter_next(iter));
        ck_assert_ptr_null(model_differs(iter, &before.steps[i], false));
        /* Behind, at and before the iterator: it must not matter. */
        size_t n;
        const char *const *path = stem_iter_path(iter, &n);
        for (size_t at = 0; at + 1 < n; at++) {
            stem_db *next = stem_sub(below, path[at]);
            stem_close(below);
            below = next;
        }
        assert_ok(i % 2 ? stem_del(below, path[n - 1])
                        : stem_put(below, path[n - 1], "replaced"));
        assert_ok(stem_put(below, names[i % N_NAMES], -1));
        assert_ok(stem_close(below));
    }
    ck_assert(!stem_iter_next(iter));
    assert_ok(stem_iter_close(iter));
    assert_ok(stem_compact(places[0].db));
    ck_assert_ptr_null(model_compare(data, "", 0, frozen, NULL, false));
    ck_assert_ptr_null(model_compare(data, "", 0, frozen, NULL, true));
    assert_ok(stem_close(frozen));
    free(before.steps);
    empty();
}
END_TEST

/* ---- Seeking ---------------------------------------------------------------------- */

/* The stored path of `n` names. */
static size_t join(const char *const *path_names, size_t n, char *path)
{
    char *end = path;

    for (size_t i = 0; i < n; i++)
        end = stpcpy(end, path_names[i]) + 1;
    return n > 0 ? (size_t)(end - path) - 1 : 0;
}

/* Steps and seeks at random through one walk, as the model does. */
static void wander(const place *at, const stem_range *range, bool children)
{
    stem_iter *iter =
        children ? stem_children(at->db, range) : stem_iter_open(at->db, range);
    model_walk walk = model_expect(data, at->prefix, at->prefix_len, range, children);
    uint64_t given = 0;
    size_t next = 0;

    ck_assert_ptr_nonnull(iter);
    for (int i = 0; i < 40; i++) {
        const char *path_names[] = {bounds[random_below(N_BOUNDS)],
                                    bounds[random_below(N_BOUNDS)],
                                    bounds[random_below(N_BOUNDS)]};
        size_t n = random_below(children ? 2 : 4);
        char path[64];

        if (random_below(3) == 0) {
            size_t len = join(path_names, n, path);

            assert_ok(stem_iter_seek(iter, path_names, n));
            ck_assert_ptr_null(stem_iter_key(iter));
            next = n > 0 ? model_seek(&walk, range->reverse, path, len) : 0;
        }
        bool is_due = next < walk.n && (range->limit == 0 || given < range->limit);
        ck_assert_msg(stem_iter_next(iter) == is_due, "step %d: %s (STEM_TEST_SEED=%llu)",
                      i, is_due ? "nothing" : "something", seed);
        if (!is_due) {
            ck_assert_ptr_null(stem_iter_key(iter));
            continue;
        }
        const char *problem = model_differs(iter, &walk.steps[next], range->keys_only);
        ck_assert_msg(!problem, "step %d: %s differs (STEM_TEST_SEED=%llu)", i, problem,
                      seed);
        given++;
        next++;
    }
    assert_ok(stem_iter_close(iter));
    free(walk.steps);
}

START_TEST(a_seek_arrives_where_the_model_arrives)
{
    fill();
    for (int i = 0; i < 10000; i++) {
        stem_range range = random_below(4) == 0 ? (stem_range){0} : random_range();

        range.reverse = i & 1;
        if (range.limit != 0)
            range.limit += 10;
        wander(&places[random_below(N_PLACES)], &range, i & 2);
    }
    empty();
}
END_TEST

START_TEST(a_refused_seek_leaves_the_iterator_where_it_was)
{
    char too_long[STEM_COMPONENT_MAX + 2];
    const char *const refused[] = {"", NULL, too_long};
    const char *const two[] = {"a", "b"};

    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    fill();
    stem_iter *iter = stem_iter_open(places[0].db, NULL);
    model_walk walk = model_expect(data, "", 0, NULL, false);
    ck_assert(stem_iter_next(iter));
    for (int i = 0; i < 3; i++) {
        assert_code(stem_iter_seek(iter, &refused[i], 1), STEM_EINVAL);
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "seek"));
        ck_assert_ptr_null(model_differs(iter, &walk.steps[0], false));
    }
    assert_code(stem_iter_seek(iter, NULL, 1), STEM_EINVAL);
    ck_assert(stem_iter_next(iter));
    ck_assert_ptr_null(model_differs(iter, &walk.steps[1], false));
    assert_ok(stem_iter_close(iter));
    free(walk.steps);

    stem_iter *children = stem_children(places[0].db, NULL);
    ck_assert(stem_iter_next(children));
    assert_code(stem_iter_seek(children, two, 2), STEM_EINVAL);
    ck_assert_str_eq(stem_iter_key(children), "\x01");
    assert_ok(stem_iter_close(children));
    empty();
}
END_TEST

START_TEST(a_seek_finds_a_path_of_the_greatest_length)
{
    char name[STEM_COMPONENT_MAX], last[17];
    const char *path[17];
    stem_db *db;

    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (int i = 0; i < 15; i++)
        path[i] = name;
    /* 15 names of 4,096 bytes with their NUL, and the rest. */
    path[15] = name + 16;
    memset(last, 'l', sizeof last - 1);
    last[sizeof last - 1] = '\0';
    path[16] = last;
    assert_ok(stem_open(&db, path_in(temp_dir(), "db"), NULL));
    stem_db *deep = stem_sub_path(db, path, 16);
    assert_ok(stem_put(deep, last, 1));
    for (int reverse = 0; reverse < 2; reverse++) {
        stem_iter *iter = stem_iter_open(db, STEM_RANGE(.reverse = reverse));

        assert_ok(stem_iter_seek(iter, path, 17));
        ck_assert(stem_iter_next(iter));
        ck_assert_str_eq(stem_iter_key(iter), last);
        assert_ok(stem_iter_close(iter));
    }
    assert_ok(stem_close(deep));
    assert_ok(stem_close(db));
}
END_TEST

/* ---- Refusals --------------------------------------------------------------------- */

START_TEST(a_bad_range_is_refused_and_named)
{
    char too_long[STEM_COMPONENT_MAX + 2];
    uint64_t count = 7;

    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    fill();
    for (int option = 0; option < 5; option++) {
        stem_range range = one_bound(option, too_long);

        ck_assert_ptr_null(stem_iter_open(places[1].db, &range));
        assert_code(stem_errcode(), STEM_EINVAL);
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "iterate a: "));
        ck_assert_ptr_null(stem_children(places[1].db, &range));
        assert_code(stem_errcode(), STEM_EINVAL);
        assert_code(stem_count(places[1].db, &range, &count), STEM_EINVAL);
        stem_range longest = one_bound(option, too_long + 1);
        compare(&places[1], &longest, false);
    }
    for (size_t i = 0; i < 6; i++) {
        stem_range range = {0};

        range.reserved[i] = 1;
        ck_assert_ptr_null(stem_iter_open(places[0].db, &range));
        assert_code(stem_errcode(), STEM_EINVAL);
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "reserved"));
    }
    ck_assert_uint_eq(count, 7);
    empty();
}
END_TEST

START_TEST(a_null_handle_or_iterator_is_no_crash)
{
    size_t n = 5;
    uint64_t count;

    ck_assert_ptr_null(stem_iter_open(NULL, NULL));
    assert_code(stem_errcode(), STEM_EINVAL);
    ck_assert_ptr_null(stem_children(NULL, NULL));
    assert_code(stem_errcode(), STEM_EINVAL);
    ck_assert(!stem_iter_next(NULL));
    assert_code(stem_iter_close(NULL), STEM_EINVAL);
    assert_code(stem_iter_seek(NULL, names, 1), STEM_EINVAL);
    ck_assert_ptr_null(stem_iter_key(NULL));
    ck_assert_ptr_null(stem_iter_value(NULL));
    ck_assert_ptr_null(stem_iter_path(NULL, &n));
    ck_assert_int_eq(stem_iter_kind(NULL), 0);
    ck_assert_uint_eq(n, 5);
    assert_code(stem_count(NULL, NULL, &count), STEM_EINVAL);
    fill();
    assert_code(stem_count(places[0].db, NULL, NULL), STEM_EINVAL);
    empty();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("iter");
    TCase *ranges = add_case(suite, "ranges", 120);
    TCase *seeking = add_case(suite, "seeking", 120);
    TCase *refusals = add_case(suite, "refusals", 30);

    tcase_add_test(ranges, each_option_gives_what_the_model_gives);
    tcase_add_test(ranges, each_option_gives_the_children_that_the_model_gives);
    tcase_add_test(ranges, combined_options_give_what_the_model_gives);
    tcase_add_test(ranges, a_limit_ends_the_walk_and_more_than_there_is_does_not_matter);
    tcase_add_test(ranges, count_is_the_number_of_entries_in_the_range);
    tcase_add_test(ranges, a_snapshot_and_an_open_iterator_stay_as_they_were);
    tcase_add_test(seeking, a_seek_arrives_where_the_model_arrives);
    tcase_add_test(seeking, a_refused_seek_leaves_the_iterator_where_it_was);
    tcase_add_test(seeking, a_seek_finds_a_path_of_the_greatest_length);
    tcase_add_test(refusals, a_bad_range_is_refused_and_named);
    tcase_add_test(refusals, a_null_handle_or_iterator_is_no_crash);
    return run_suite(suite);
}
