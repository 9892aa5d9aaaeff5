/*
 * What a batch expects: keys that are absent or hold a value, ranges that are empty; and what
 * is told when it is not so.
 */
#include <stdlib.h>
#include <string.h>

#include "place.h"

static stem_db *db, *left, *right;
static stem_batch *batch;

static void open_places(void)
{
    db = new_database();
    left = stem_sub(db, "left");
    right = stem_sub(db, "right", "deep");
    batch = stem_batch_new(db);
    ck_assert_ptr_nonnull(batch);
}

static void close_places(void)
{
    stem_batch_free(batch);
    assert_ok(stem_close(right));
    assert_ok(stem_close(left));
    assert_ok(stem_close(db));
}

START_TEST(an_expected_absence_holds_or_refuses_the_batch)
{
    assert_ok(stem_put(left, "a", 1));
    assert_ok(stem_batch_expect_absent(batch, left, "b"));
    assert_ok(stem_batch_expect_absent(batch, right, "a"));
    assert_ok(stem_batch_put(batch, left, "b", 2));
    assert_ok(stem_batch_commit(batch, false));
    assert_contents(db, "left/a=1 left/b=2");
    assert_code(stem_batch_commit(batch, false), STEM_CONFLICT);
    assert_contents(db, "left/a=1 left/b=2");
}
END_TEST

START_TEST(a_value_below_a_key_does_not_make_it_present)
{
    stem_db *below = stem_sub(left, "a");

    assert_ok(stem_put(below, "x", 1));
    assert_ok(stem_batch_expect_absent(batch, left, "a"));
    assert_ok(stem_batch_commit(batch, false));
    assert_ok(stem_close(below));
}
END_TEST

START_TEST(an_expected_value_is_compared_as_it_is_stored)
{
    const unsigned char padded[] = {0xd9, 1, 'x'}; /* "x" in a longer form than needed */
    const struct {
        stem_value stored, expected;
        int code;
    } cases[] = {
        {stem_int(1), stem_int(1), STEM_OK},
        {stem_int(1), stem_uint(1), STEM_OK},
        {stem_int(1), stem_float(1), STEM_CONFLICT},
        {stem_int(1), stem_bool(true), STEM_CONFLICT},
        {stem_int(1), stem_int(2), STEM_CONFLICT},
        {stem_float(0.0), stem_float(-0.0), STEM_CONFLICT},
        {stem_str("x"), stem_packed(padded, sizeof padded), STEM_OK},
        {stem_str("x"), stem_bin("x", 1), STEM_CONFLICT},
        {stem_str("x"), stem_str("xy"), STEM_CONFLICT},
        {stem_nil(), stem_nil(), STEM_OK},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        stem_batch_reset(batch);
        assert_ok(stem_put(left, "a", cases[i].stored));
        assert_ok(stem_batch_expect(batch, left, "a", cases[i].expected));
        int code = stem_batch_commit(batch, false);
        ck_assert_msg(code == cases[i].code, "case %zu: %s", i, stem_strerror(code));
    }
    stem_batch_reset(batch);
    assert_ok(stem_batch_expect(batch, left, "absent", stem_nil()));
    assert_code(stem_batch_commit(batch, false), STEM_CONFLICT);
}
END_TEST

static void assert_emptiness(stem_db *place, const stem_range *range, bool is_empty)
{
    stem_batch_reset(batch);
    assert_ok(stem_batch_expect_empty(batch, place, range));
    assert_code(stem_batch_commit(batch, false), is_empty ? STEM_OK : STEM_CONFLICT);
}

START_TEST(an_expected_empty_range_takes_bounds_and_prefix)
{
    stem_db *empty = stem_sub(left, "z");

    assert_emptiness(db, NULL, true);
    assert_ok(stem_put(left, "bb", 1));
    assert_emptiness(db, NULL, false);
    assert_emptiness(left, NULL, false);
    assert_emptiness(right, NULL, true);
    assert_emptiness(empty, NULL, true);
    assert_emptiness(left, STEM_RANGE(.gte = "bb"), false);
    assert_emptiness(left, STEM_RANGE(.gt = "bb"), true);
    assert_emptiness(left, STEM_RANGE(.lte = "bb"), false);
    assert_emptiness(left, STEM_RANGE(.lt = "bb"), true);
    assert_emptiness(left, STEM_RANGE(.gt = "a", .lt = "c"), false);
    assert_emptiness(left, STEM_RANGE(.gt = "c", .lt = "a"), true);
    assert_emptiness(left, STEM_RANGE(.prefix = "b"), false);
    assert_emptiness(left, STEM_RANGE(.prefix = "bbb"), true);
    assert_emptiness(left, STEM_RANGE(.prefix = "c"), true);
    assert_emptiness(db, STEM_RANGE(.prefix = "left"), false);
    assert_emptiness(db, STEM_RANGE(.gt = "left"), false);
    assert_emptiness(db, STEM_RANGE(.lte = "left"), true);
    assert_ok(stem_close(empty));
}
END_TEST

START_TEST(only_bounds_and_prefix_of_an_empty_range_matter)
{
    assert_ok(stem_put(left, "a", 1));
    assert_emptiness(left, STEM_RANGE(.keys_only = true), false);
    assert_emptiness(left, STEM_RANGE(.reverse = true, .limit = 1), false);
    assert_emptiness(left, STEM_RANGE(.reverse = true, .limit = 1, .gt = "a"), true);
}
END_TEST

START_TEST(a_failed_expectation_is_told_by_its_index)
{
    assert_ok(stem_put(left, "a", 1));
    ck_assert_uint_eq(stem_batch_failed(batch), SIZE_MAX);
    assert_ok(stem_batch_put(batch, left, "x", 1));
    assert_ok(stem_batch_expect_absent(batch, left, "b"));
    assert_ok(stem_batch_expect(batch, left, "a", 1));
    assert_ok(stem_batch_del(batch, left, "y"));
    assert_ok(stem_batch_expect_empty(batch, right, NULL));
    assert_ok(stem_batch_expect_absent(batch, left, "c"));

    assert_ok(stem_put(left, "b", 0));
    assert_code(stem_batch_commit(batch, false), STEM_CONFLICT);
    ck_assert_uint_eq(stem_batch_failed(batch), 0);
    assert_ok(stem_del(left, "b"));

    assert_ok(stem_put(left, "a", 2));
    assert_code(stem_batch_commit(batch, false), STEM_CONFLICT);
    ck_assert_uint_eq(stem_batch_failed(batch), 1);
    assert_ok(stem_put(left, "a", 1));

    assert_ok(stem_put(right, "r", 2));
    assert_code(stem_batch_commit(batch, false), STEM_CONFLICT);
    ck_assert_uint_eq(stem_batch_failed(batch), 2);
    assert_ok(stem_del(right, "r"));

    assert_ok(stem_put(left, "c", 2));
    assert_code(stem_batch_commit(batch, false), STEM_CONFLICT);
    ck_assert_uint_eq(stem_batch_failed(batch), 3);
    assert_contents(db, "left/a=1 left/c=2");
    assert_ok(stem_del(left, "c"));

    assert_ok(stem_batch_commit(batch, false));
    ck_assert_uint_eq(stem_batch_failed(batch), SIZE_MAX);
    assert_contents(db, "left/a=1 left/x=1");

    assert_ok(stem_put(left, "a", 2));
    assert_code(stem_batch_commit(batch, false), STEM_CONFLICT);
    stem_batch_reset(batch);
    ck_assert_uint_eq(stem_batch_failed(batch), SIZE_MAX);
    assert_ok(stem_batch_commit(batch, false));
}
END_TEST

START_TEST(a_conflict_sets_no_error)
{
    assert_ok(stem_put(left, "a", 1));
    assert_failure(stem_put(left, "", 1), STEM_EINVAL);
    char *before = strdup(stem_errmsg());
    assert_ok(stem_batch_expect_absent(batch, left, "a"));
    assert_code(stem_batch_commit(batch, false), STEM_CONFLICT);
    ck_assert_str_eq(stem_errmsg(), before);
    free(before);
}
END_TEST

START_TEST(expectations_are_judged_before_the_batch_writes)
{
    assert_ok(stem_batch_put(batch, left, "a", 1));
    assert_ok(stem_batch_expect_absent(batch, left, "a"));
    assert_ok(stem_batch_expect_empty(batch, left, NULL));
    assert_ok(stem_batch_commit(batch, false));
    assert_contents(db, "left/a=1");

    stem_batch_reset(batch);
    assert_ok(stem_batch_put(batch, left, "a", 2));
    assert_ok(stem_batch_expect(batch, left, "a", 2));
    assert_code(stem_batch_commit(batch, false), STEM_CONFLICT);
    assert_contents(db, "left/a=1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batch expectations");
    TCase *expectations = add_case(suite, "expectations", 60);

    tcase_add_checked_fixture(expectations, open_places, close_places);
    tcase_add_test(expectations, an_expected_absence_holds_or_refuses_the_batch);
    tcase_add_test(expectations, a_value_below_a_key_does_not_make_it_present);
    tcase_add_test(expectations, an_expected_value_is_compared_as_it_is_stored);
    tcase_add_test(expectations, an_expected_empty_range_takes_bounds_and_prefix);
    tcase_add_test(expectations, only_bounds_and_prefix_of_an_empty_range_matter);
    tcase_add_test(expectations, a_failed_expectation_is_told_by_its_index);
    tcase_add_test(expectations, a_conflict_sets_no_error);
    tcase_add_test(expectations, expectations_are_judged_before_the_batch_writes);
    return run_suite(suite);
}
