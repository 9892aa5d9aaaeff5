/*
 * Clearing a place: exactly what the range takes in goes, and nothing else.
 */
#include <stdio.h>
#include <stdlib.h>

#include "place.h"

static stem_db *root, *db, *deep;

static void open_place(void)
{
    root = new_database();
    db = stem_sub(root, "place");
    deep = stem_sub(db, "c", "deep");
}

static void close_place(void)
{
    assert_ok(stem_close(deep));
    assert_ok(stem_close(db));
    assert_ok(stem_close(root));
}

static void fill(void)
{
    const char *const names[] = {"a", "b", "c", "d", "e"};

    for (int i = 0; i < 5; i++)
        assert_ok(stem_put(db, names[i], i));
    assert_ok(stem_put(deep, "x", 10));
    assert_ok(stem_put(deep, "y", 11));
}

START_TEST(everything_below_goes_and_nothing_besides)
{
    stem_db *alike = stem_sub(root, "place\x01");

    fill();
    assert_ok(stem_put(root, "place", "own"));
    assert_ok(stem_put(root, "plac", 1));
    assert_ok(stem_put(alike, "a", 2));
    assert_ok(stem_clear(db, NULL));
    assert_contents(root, "plac=1 place=own place\\x01/a=2");
    assert_ok(stem_close(alike));
}
END_TEST

static const struct {
    stem_range range;
    const char *left;
} ranges[] = {
    {{0}, ""},
    {{.gt = "b"}, "a=0 b=1"},
    {{.gte = "b"}, "a=0"},
    {{.lt = "c"}, "c=2 c/deep/x=10 c/deep/y=11 d=3 e=4"},
    {{.lte = "c"}, "c/deep/x=10 c/deep/y=11 d=3 e=4"},
    {{.gt = "c", .lt = "d"}, "a=0 b=1 c=2 d=3 e=4"},
    {{.gt = "e"}, "a=0 b=1 c=2 c/deep/x=10 c/deep/y=11 d=3 e=4"},
    {{.gt = "d", .lt = "b"}, "a=0 b=1 c=2 c/deep/x=10 c/deep/y=11 d=3 e=4"},
    {{.prefix = "c"}, "a=0 b=1 d=3 e=4"},
    {{.limit = 2}, "c=2 c/deep/x=10 c/deep/y=11 d=3 e=4"},
    {{.limit = 4}, "c/deep/y=11 d=3 e=4"},
    {{.limit = 2, .reverse = true}, "a=0 b=1 c=2 c/deep/x=10 c/deep/y=11"},
    {{.limit = 3, .reverse = true}, "a=0 b=1 c=2 c/deep/x=10"},
    {{.limit = 100, .reverse = true}, ""},
    {{.shallow = true}, "c/deep/x=10 c/deep/y=11"},
    {{.shallow = true, .limit = 1, .gt = "b"}, "a=0 b=1 c/deep/x=10 c/deep/y=11 d=3 e=4"},
    {{.shallow = true, .reverse = true, .limit = 3}, "a=0 b=1 c/deep/x=10 c/deep/y=11"},
    {{.keys_only = true, .gte = "d"}, "a=0 b=1 c=2 c/deep/x=10 c/deep/y=11"},
};

START_TEST(a_range_says_what_goes)
{
    fill();
    assert_ok(stem_clear(db, &ranges[_i].range));
    assert_contents(db, ranges[_i].left);
}
END_TEST

START_TEST(an_empty_place_is_cleared)
{
    assert_ok(stem_clear(db, NULL));
    assert_ok(stem_clear(root, NULL));
    assert_contents(root, "");
}
END_TEST

START_TEST(a_cleared_database_is_still_one)
{
    if (!last_location())
        return; /* a database in memory is opened once */
    fill();
    assert_ok(stem_clear(root, NULL));
    assert_contents(root, "");
    close_place();
    assert_ok(stem_open(&root, last_location(), STEM_OPTIONS(.must_exist = true)));
    assert_contents(root, "");
    db = stem_sub(root, "place");
    deep = stem_sub(db, "c", "deep");
}
END_TEST

START_TEST(more_than_one_commit_holds_goes)
{
    enum { N = 4500, LARGE = 300 << 10 };
    char *large = calloc(1, LARGE), key[16];
    uint64_t count;

    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "%06d", i);
        assert_ok(stem_put(db, key, i));
    }
    for (int i = 0; i < 8; i++) {
        snprintf(key, sizeof key, "%06d", i * 100);
        assert_ok(stem_put(deep, key, stem_bin(large, LARGE)));
    }
    assert_ok(stem_clear(db, STEM_RANGE(.gte = "000100", .lt = "004400")));
    assert_ok(stem_count(db, NULL, &count));
    ck_assert_uint_eq(count, 200 + 8);
    assert_ok(stem_clear(db, NULL));
    assert_contents(root, "");
    free(large);
}
END_TEST

START_TEST(bad_calls_clear_nothing)
{
    stem_db *reader = stem_read_only(db), *frozen = stem_snapshot(db);

    assert_ok(stem_put(db, "a", 1));
    assert_failure(stem_clear(NULL, NULL), STEM_EINVAL);
    assert_failure(stem_clear(reader, NULL), STEM_EREADONLY);
    assert_failure(stem_clear(frozen, NULL), STEM_EREADONLY);
    assert_failure(stem_clear(db, STEM_RANGE(.gt = too_long_name)), STEM_EINVAL);
    assert_failure(stem_clear(db, STEM_RANGE(.lte = too_long_name)), STEM_EINVAL);
    assert_failure(stem_clear(db, STEM_RANGE(.reserved = {0, 1})), STEM_EINVAL);
    assert_contents(root, "place/a=1");
    assert_ok(stem_close(frozen));
    assert_ok(stem_close(reader));
}
END_TEST

START_TEST(a_snapshot_taken_before_still_has_it)
{
    fill();
    stem_db *frozen = stem_snapshot(db);
    assert_ok(stem_clear(db, STEM_RANGE(.lt = "e")));
    assert_contents(db, "e=4");
    assert_contents(frozen, "a=0 b=1 c=2 c/deep/x=10 c/deep/y=11 d=3 e=4");
    assert_ok(stem_close(frozen));
}
END_TEST

START_TEST(a_synced_handle_syncs_it)
{
    stem_db *durable;

    if (!last_location())
        return; /* a database in memory is opened once */
    fill();
    assert_ok(stem_open(&durable, last_location(), STEM_OPTIONS(.sync = true)));
    unsigned before = files_synced();
    assert_ok(stem_clear(durable, NULL));
    ck_assert_uint_gt(files_synced(), before);
    assert_ok(stem_close(durable));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clear");
    TCase *clear = add_case(suite, "clear", 60);

    tcase_add_checked_fixture(clear, open_place, close_place);
    tcase_add_test(clear, everything_below_goes_and_nothing_besides);
    tcase_add_loop_test(clear, a_range_says_what_goes, 0, sizeof ranges / sizeof *ranges);
    tcase_add_test(clear, an_empty_place_is_cleared);
    tcase_add_test(clear, a_cleared_database_is_still_one);
    tcase_add_test(clear, more_than_one_commit_holds_goes);
    tcase_add_test(clear, bad_calls_clear_nothing);
    tcase_add_test(clear, a_snapshot_taken_before_still_has_it);
    tcase_add_test(clear, a_synced_handle_syncs_it);
    return run_suite(suite);
}
