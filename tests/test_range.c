/*
 * Ranges in every call that takes one: what an empty bound means, what a pop takes and leaves,
 * where a seek outside of a range arrives, and how the end of a walk is told from a failure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"
#include "random.h"

static stem_db *root, *db;

/* What a place holds before a case: names that begin alike, and what lies below one. */
static void fill(void)
{
    stem_db *below = stem_sub(db, "b");

    assert_ok(stem_put(db, "a", 1));
    assert_ok(stem_put(db, "b", 2));
    assert_ok(stem_put(below, "x", 3));
    assert_ok(stem_put(db, "b\x01", 4));
    assert_ok(stem_put(db, "c", 5));
    assert_ok(stem_put(db, "cc", 6));
    assert_ok(stem_put(db, "\xff", 7));
    assert_ok(stem_close(below));
}

static const char everything[] = "a=1 b=2 b/x=3 b\\x01=4 c=5 cc=6 \\xFF=7";

static void open_place(void)
{
    root = new_database();
    db = stem_sub(root, "place");
    assert_ok(stem_put(root, "place", 1));
    assert_ok(stem_put(root, "place\x01", 2));
    fill();
}

static void close_place(void)
{
    assert_ok(stem_close(db));
    assert_ok(stem_close(root));
}

/* ---- Text of what a walk and a pop give ------------------------------------------- */

typedef struct text {
    char bytes[500];
    size_t len;
} text;

static void add(text *to, const char *const *path_names, size_t n,
                const stem_value *value)
{
    char *path = stem_path_format(path_names, n);

    ck_assert_int_eq(value->type, STEM_INT);
    to->len +=
        (size_t)snprintf(to->bytes + to->len, sizeof to->bytes - to->len, "%s%s=%lld",
                         to->len > 0 ? " " : "", path, (long long)value->as.integer);
    stem_free(path);
}

static const char *walked(stem_iter *iter, text *to)
{
    *to = (text){.len = 0};
    while (stem_iter_next(iter)) {
        size_t n;
        const char *const *path_names = stem_iter_path(iter, &n);

        add(to, path_names, n, stem_iter_value(iter));
    }
    assert_ok(stem_iter_code(iter));
    return to->bytes;
}

static const char *walk(const stem_range *range, text *to)
{
    stem_iter *iter = stem_iter_open(db, range);

    walked(iter, to);
    assert_ok(stem_iter_close(iter));
    return to->bytes;
}

typedef int pop_fn(stem_db *, const stem_range *, size_t, stem_entry **, size_t *);

static int popped(pop_fn *pop, const stem_range *range, size_t n, text *to)
{
    stem_entry *entries = NULL;
    size_t count = 0;

    *to = (text){.len = 0};
    const int code = pop(db, range, n, &entries, &count);
    for (size_t i = 0; i < count; i++)
        add(to, entries[i].names, entries[i].n_names, &entries[i].value);
    stem_entries_free(entries, count);
    return code;
}

/* ---- Empty bounds ----------------------------------------------------------------- */

static const stem_range empty_bounds[] = {
    {.gt = ""},  {.gte = ""},    {.lt = ""},
    {.lte = ""}, {.prefix = ""}, {.gt = "", .gte = "", .lt = "", .lte = "", .prefix = ""},
};
enum { N_EMPTY = sizeof empty_bounds / sizeof *empty_bounds };

START_TEST(an_empty_bound_is_none)
{
    const stem_range *range = &empty_bounds[_i];
    stem_batch *batch = stem_batch_new(root);
    stem_iter *children = stem_children(db, range);
    uint64_t n;
    text seen;

    ck_assert_str_eq(walk(range, &seen), everything);
    for (n = 0; stem_iter_next(children); n++)
        ;
    assert_ok(stem_iter_close(children));
    ck_assert_uint_eq(n, 6);
    assert_ok(stem_count(db, range, &n));
    ck_assert_uint_eq(n, 7);
    assert_ok(stem_batch_expect_empty(batch, db, range));
    assert_code(stem_batch_commit(batch, false), STEM_CONFLICT);
    assert_ok(popped(stem_pop_last, range, 1, &seen));
    ck_assert_str_eq(seen.bytes, "\\xFF=7");
    assert_ok(stem_clear(db, range));
    assert_ok(stem_batch_commit(batch, false));
    stem_batch_free(batch);
    assert_contents(root, "place=1 place\\x01=2");
}
END_TEST

/* A bound that is given still holds beside one that is empty. */
START_TEST(an_empty_bound_leaves_the_others)
{
    text seen;

    ck_assert_str_eq(walk(STEM_RANGE(.gt = "", .gte = "c", .lt = ""), &seen),
                     "c=5 cc=6 \\xFF=7");
    ck_assert_str_eq(walk(STEM_RANGE(.lte = "a", .prefix = ""), &seen), "a=1");
    ck_assert_str_eq(walk(STEM_RANGE(.lt = "", .prefix = "c", .reverse = true), &seen),
                     "cc=6 c=5");
}
END_TEST

/* ---- Pops ------------------------------------------------------------------------- */

static const char *any_bound(void)
{
    static const char *const bounds[] = {NULL, NULL, NULL,    "",     "!", "a", "aa",
                                         "b",  "c",  "b\x01", "\xff", "x", "cc"};

    return bounds[random_below(sizeof bounds / sizeof *bounds)];
}

/* What the range spans, walked from the end that is popped, is what a pop takes. */
static void pop_some(bool is_last)
{
    stem_range range = {.gt = any_bound(),
                        .gte = any_bound(),
                        .lt = any_bound(),
                        .lte = any_bound(),
                        .prefix = random_below(3) == 0 ? any_bound() : NULL,
                        .reverse = is_last,
                        .limit = 1 + random_below(8)};
    const size_t n = (size_t)range.limit;
    text expected, taken, left, before;

    walk(&range, &expected);
    if (random_below(2))
        range.limit = 0;
    range.reverse = random_below(2); /* says nothing to a pop */
    range.keys_only = random_below(2);
    walk(NULL, &before);
    const int code = popped(is_last ? stem_pop_last : stem_pop_first, &range,
                            range.limit ? SIZE_MAX : n, &taken);
    assert_code(code, expected.len > 0 ? STEM_OK : STEM_NOTFOUND);
    ck_assert_str_eq(taken.bytes, expected.bytes);
    ck_assert_uint_eq(walk(NULL, &left) ? left.len : 0, taken.len == before.len ? 0
                                                        : taken.len == 0
                                                            ? before.len
                                                            : before.len - taken.len - 1);
}

START_TEST(a_pop_takes_what_a_walk_over_its_range_gives_first)
{
    random_start();
    for (unsigned long i = number_from("STEM_TEST_RUNS", 1000); i > 0; i--) {
        pop_some(i & 1);
        if (random_below(3) == 0)
            fill();
    }
    ck_assert_int_eq(stem_has(root, "place"), STEM_OK);
    ck_assert_int_eq(stem_has(root, "place\x01"), STEM_OK);
}
END_TEST

START_TEST(none_asked_for_is_none_taken)
{
    pop_fn *const ends[] = {stem_pop_first, stem_pop_last};

    for (int i = 0; i < 4; i++) {
        stem_entry *entries = (stem_entry *)&entries;
        size_t count = 42;

        assert_ok(
            ends[i & 1](db, i & 2 ? STEM_RANGE(.gt = "zz") : NULL, 0, &entries, &count));
        ck_assert_ptr_null(entries);
        ck_assert_uint_eq(count, 0);
        stem_entries_free(entries, count);
    }
    assert_contents(db, everything);
}
END_TEST

START_TEST(a_range_that_holds_nothing_is_not_found)
{
    text taken;

    assert_code(popped(stem_pop_first, STEM_RANGE(.gt = "c", .lt = "c"), 1, &taken),
                STEM_NOTFOUND);
    assert_code(popped(stem_pop_last, STEM_RANGE(.gte = "x", .lt = "b"), 9, &taken),
                STEM_NOTFOUND);
    assert_code(popped(stem_pop_last, STEM_RANGE(.prefix = "zz"), 9, &taken),
                STEM_NOTFOUND);
    assert_contents(db, everything);
}
END_TEST

START_TEST(a_range_that_cannot_be_is_refused_by_a_pop)
{
    const stem_range bad[] = {
        {.shallow = true}, {.reserved[0] = 1}, {.gte = too_long_name}};
    text taken;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_failure(popped(stem_pop_first, &bad[i], 1, &taken), STEM_EINVAL);
        assert_failure(popped(stem_pop_last, &bad[i], 0, &taken), STEM_EINVAL);
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "pop last place: "));
    }
    assert_contents(db, everything);
}
END_TEST

/* ---- Seeks ------------------------------------------------------------------------ */

static const struct {
    const char *target, *forward, *reverse;
} seeks[] = {
    /* Outside of [b, c] at either side, at its ends, in a gap, and inside. */
    {"a", "b=2 b/x=3 b\\x01=4 c=5", ""},    {"!", "b=2 b/x=3 b\\x01=4 c=5", ""},
    {"b", "b=2 b/x=3 b\\x01=4 c=5", "b=2"}, {"bb", "c=5", "b\\x01=4 b/x=3 b=2"},
    {"c", "c=5", "c=5 b\\x01=4 b/x=3 b=2"}, {"cc", "", "c=5 b\\x01=4 b/x=3 b=2"},
    {"\xff", "", "c=5 b\\x01=4 b/x=3 b=2"},
};
enum { N_SEEKS = sizeof seeks / sizeof *seeks };

static void assert_seek(stem_iter *iter, const char *target, const char *expected)
{
    text seen;

    assert_ok(stem_iter_seek(iter, &target, 1));
    ck_assert_str_eq(walked(iter, &seen), expected);
    assert_ok(stem_iter_code(iter));
}

/* Before the first step, in the middle and at the end, whichever way the walk goes. */
START_TEST(a_seek_outside_of_the_range_stops_at_its_bound)
{
    const bool resumes = _i & 1;
    const stem_range ranges[] = {{.gte = "b", .lte = "c", .resume = resumes},
                                 {.gt = "aa", .lt = "cb", .resume = resumes}};

    for (size_t i = 0; i < 2 * N_SEEKS; i++) {
        stem_range range = ranges[i % 2];
        stem_iter *forward = stem_iter_open(db, &range);
        range.reverse = true;
        stem_iter *reverse = stem_iter_open(db, &range);

        for (size_t j = 0; j < N_SEEKS; j++) {
            assert_seek(forward, seeks[(i + j) % N_SEEKS].target,
                        seeks[(i + j) % N_SEEKS].forward);
            assert_seek(reverse, seeks[(i + j) % N_SEEKS].target,
                        seeks[(i + j) % N_SEEKS].reverse);
        }
        assert_ok(stem_iter_close(forward));
        assert_ok(stem_iter_close(reverse));
    }
}
END_TEST

START_TEST(a_seek_among_names_stops_at_the_bound_too)
{
    stem_iter *forward = stem_children(db, STEM_RANGE(.gte = "b", .lte = "c"));
    stem_iter *reverse =
        stem_children(db, STEM_RANGE(.gte = "b", .lte = "c", .reverse = true));

    assert_seek(forward, "a", "b=2 b\\x01=4 c=5");
    assert_seek(reverse, "a", "");
    assert_seek(forward, "cc", "");
    assert_seek(reverse, "cc", "c=5 b\\x01=4 b=2");
    assert_ok(stem_iter_close(forward));
    assert_ok(stem_iter_close(reverse));
}
END_TEST

/* ---- The end of a walk ------------------------------------------------------------ */

START_TEST(the_end_of_a_walk_is_no_failure)
{
    stem_iter *iter = stem_iter_open(db, STEM_RANGE(.gte = "c"));
    stem_iter *empty = stem_iter_open(db, STEM_RANGE(.gte = "c", .lt = "c"));
    stem_iter *limited = stem_children(db, STEM_RANGE(.limit = 1));
    const char *none = "";

    assert_failure(stem_put(db, "", 1), STEM_EINVAL); /* another failure of the thread */
    assert_ok(stem_iter_code(iter));
    while (stem_iter_next(iter))
        assert_ok(stem_iter_code(iter));
    assert_ok(stem_iter_code(iter));
    ck_assert(!stem_iter_next(empty) && !stem_iter_next(empty));
    assert_ok(stem_iter_code(empty));
    ck_assert(stem_iter_next(limited) && !stem_iter_next(limited));
    assert_ok(stem_iter_code(limited));
    assert_failure(stem_iter_seek(iter, &none, 1), STEM_EINVAL); /* no end of the walk */
    assert_ok(stem_iter_code(iter));
    assert_ok(stem_iter_close(iter));
    assert_ok(stem_iter_close(empty));
    assert_ok(stem_iter_close(limited));
}
END_TEST

START_TEST(a_walk_that_could_not_be_opened_says_why)
{
    stem_iter *iter = stem_iter_open(db, STEM_RANGE(.reserved[3] = 1));

    ck_assert_ptr_null(iter);
    ck_assert(!stem_iter_next(iter));
    assert_code(stem_iter_code(iter), STEM_EINVAL);
    assert_code(stem_iter_close(iter), STEM_EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("range");
    TCase *range = add_case(suite, "range", 120);

    tcase_add_checked_fixture(range, open_place, close_place);
    tcase_add_loop_test(range, an_empty_bound_is_none, 0, N_EMPTY);
    tcase_add_test(range, an_empty_bound_leaves_the_others);
    tcase_add_test(range, a_pop_takes_what_a_walk_over_its_range_gives_first);
    tcase_add_test(range, none_asked_for_is_none_taken);
    tcase_add_test(range, a_range_that_holds_nothing_is_not_found);
    tcase_add_test(range, a_range_that_cannot_be_is_refused_by_a_pop);
    tcase_add_loop_test(range, a_seek_outside_of_the_range_stops_at_its_bound, 0, 2);
    tcase_add_test(range, a_seek_among_names_stops_at_the_bound_too);
    tcase_add_test(range, the_end_of_a_walk_is_no_failure);
    tcase_add_test(range, a_walk_that_could_not_be_opened_says_why);
    return run_suite(suite);
}
