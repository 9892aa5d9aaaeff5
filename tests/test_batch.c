/*
 * Batches: writes and expectations over several handles, applied all or nothing.
 */
#include <stdio.h>
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

/* ---- Writes ----------------------------------------------------------------------- */

START_TEST(a_batch_changes_nothing_until_it_is_committed)
{
    assert_ok(stem_put(left, "old", 1));
    assert_ok(stem_batch_put(batch, left, "new", 2));
    assert_ok(stem_batch_put(batch, right, "new", "text"));
    assert_ok(stem_batch_put(batch, db, "new", 2.5));
    assert_ok(stem_batch_del(batch, left, "old"));
    assert_ok(stem_batch_del(batch, right, "never there"));
    assert_contents(db, "left/old=1");
    assert_ok(stem_batch_commit(batch, false));
    assert_contents(db, "left/new=2 new=2.5f right/deep/new=text");
}
END_TEST

START_TEST(values_of_every_type_are_put)
{
    const float floats[] = {1, 2, 3};
    const unsigned char list[] = {0x92, 1, 2};
    stem_value values[] = {stem_nil(),           stem_bool(true),
                           stem_int(INT64_MIN),  stem_uint(UINT64_MAX),
                           stem_float(0.5),      stem_strn("a\0b", 3),
                           stem_bin("bin", 3),   stem_time(-1, 5),
                           stem_vec(floats, 3),  stem_packed(list, sizeof list),
                           stem_ext(7, "ext", 3)};
    enum { N = sizeof values / sizeof *values };

    for (size_t i = 0; i < N; i++)
        assert_ok(stem_batch_put(batch, left, stem_type_name(values[i].type), values[i]));
    assert_ok(stem_batch_commit(batch, false));
    for (size_t i = 0; i < N; i++) {
        stem_value stored;
        size_t expected_len, len;

        assert_ok(stem_get(left, stem_type_name(values[i].type), &stored));
        void *expected = stem_encode(&values[i], &expected_len);
        void *found = stem_encode(&stored, &len);
        ck_assert_uint_eq(len, expected_len);
        ck_assert_mem_eq(found, expected, len);
        stem_free(found);
        stem_free(expected);
        stem_value_free(&stored);
    }
}
END_TEST

START_TEST(what_is_added_is_copied)
{
    char key[] = "key", text[] = "text", prefix[] = "pre";
    const stem_range range = {.prefix = prefix};

    assert_ok(stem_put(db, "expected", "text"));
    assert_ok(stem_batch_expect(batch, db, "expected", text));
    assert_ok(stem_batch_expect_empty(batch, db, &range));
    assert_ok(stem_batch_put(batch, db, key, text));
    memcpy(key, "xxx", 3);
    memcpy(text, "xxxx", 4);
    memcpy(prefix, "exp", 3);
    assert_ok(stem_batch_commit(batch, false));
    assert_contents(db, "expected=text key=text");
}
END_TEST

START_TEST(a_later_write_of_the_same_key_wins)
{
    stem_db *again = stem_sub(db, "left");

    assert_ok(stem_batch_put(batch, left, "a", 1));
    assert_ok(stem_batch_put(batch, again, "a", 2));
    assert_ok(stem_batch_put(batch, left, "b", 1));
    assert_ok(stem_batch_del(batch, again, "b"));
    assert_ok(stem_batch_del(batch, left, "c"));
    assert_ok(stem_batch_put(batch, again, "c", 3));
    assert_ok(stem_batch_commit(batch, false));
    assert_contents(db, "left/a=2 left/c=3");
    assert_ok(stem_close(again));
}
END_TEST

START_TEST(an_empty_batch_is_committed_and_changes_nothing)
{
    assert_ok(stem_put(db, "a", 1));
    assert_ok(stem_batch_commit(batch, false));
    assert_ok(stem_batch_commit(batch, true));
    assert_contents(db, "a=1");
    ck_assert_uint_eq(stem_batch_failed(batch), SIZE_MAX);
}
END_TEST

START_TEST(a_committed_batch_keeps_its_content)
{
    assert_ok(stem_batch_put(batch, left, "a", 1));
    assert_ok(stem_batch_commit(batch, false));
    assert_ok(stem_put(left, "a", 5));
    assert_ok(stem_batch_commit(batch, false));
    assert_contents(db, "left/a=1");

    assert_ok(stem_del(left, "a"));
    assert_ok(stem_batch_put(batch, right, "b", 2));
    assert_ok(stem_batch_commit(batch, false));
    assert_contents(db, "left/a=1 right/deep/b=2");
    ck_assert_uint_eq(stem_batch_count(batch), 2);
}
END_TEST

START_TEST(a_reset_batch_is_empty_and_usable)
{
    char *large = calloc(1, 300000);

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2000; i++)
            assert_ok(stem_batch_put(batch, left, "many", i));
        assert_ok(stem_batch_put(batch, left, "large", stem_bin(large, 300000)));
        assert_ok(stem_batch_expect_absent(batch, left, "many"));
        stem_batch_reset(batch);
        ck_assert_uint_eq(stem_batch_count(batch), 0);
        ck_assert_uint_eq(stem_batch_bytes(batch), 0);
        assert_ok(stem_put(left, "many", "x"));
        assert_ok(stem_batch_commit(batch, false));
        assert_contents(left, "many=x");

        assert_ok(stem_batch_put(batch, left, "many", round));
        assert_ok(stem_batch_commit(batch, false));
        ck_assert_int_eq(stem_get_int_or(left, "many", -1), round);
    }
    free(large);
}
END_TEST

START_TEST(count_and_bytes_are_of_writes_alone)
{
    ck_assert_uint_eq(stem_batch_count(batch), 0);
    ck_assert_uint_eq(stem_batch_bytes(batch), 0);
    assert_ok(stem_batch_expect_absent(batch, left, "a"));
    assert_ok(stem_batch_expect(batch, left, "a", 1));
    assert_ok(stem_batch_expect_empty(batch, left, NULL));
    ck_assert_uint_eq(stem_batch_count(batch), 0);
    ck_assert_uint_eq(stem_batch_bytes(batch), 0);

    assert_ok(stem_batch_put(batch, left, "abc", 1)); /* "left", NUL, "abc"; 0x01 */
    ck_assert_uint_eq(stem_batch_count(batch), 1);
    ck_assert_uint_eq(stem_batch_bytes(batch), 5 + 3 + 1);
    assert_ok(stem_batch_del(batch, db, "abcd"));
    assert_ok(stem_batch_put(batch, db, "abcd", "xyz")); /* 0xA3, "xyz" */
    ck_assert_uint_eq(stem_batch_count(batch), 3);
    ck_assert_uint_eq(stem_batch_bytes(batch), 9 + 4 + 4 + 4);
    ck_assert_uint_eq(stem_batch_count(NULL), 0);
    ck_assert_uint_eq(stem_batch_bytes(NULL), 0);
}
END_TEST

START_TEST(a_large_batch_is_one_commit)
{
    enum { N = 50000, LARGE = 20 << 20 };
    char *large = calloc(1, LARGE), key[32];
    uint64_t count;

    assert_ok(stem_batch_put(batch, db, "large", stem_bin(large, LARGE)));
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_ok(stem_batch_put(batch, i % 2 ? left : right, key, i));
    }
    ck_assert_uint_eq(stem_batch_count(batch), N + 1);
    assert_ok(stem_batch_expect_absent(batch, left, "1"));
    assert_ok(stem_put(left, "1", 0));
    assert_code(stem_batch_commit(batch, false), STEM_CONFLICT);
    assert_contents(db, "left/1=0");

    assert_ok(stem_del(left, "1"));
    assert_ok(stem_batch_commit(batch, true));
    assert_ok(stem_count(db, NULL, &count));
    ck_assert_uint_eq(count, N + 1);
    ck_assert_int_eq(stem_get_int_or(left, "49999", -1), 49999);
    ck_assert_int_eq(stem_get_int_or(right, "49998", -1), 49998);
    free(large);
}
END_TEST

START_TEST(the_longest_paths_are_put_and_no_longer_ones)
{
    enum { DEPTH = 15, ROOM = STEM_PATH_MAX - DEPTH * (STEM_COMPONENT_MAX + 1) };
    const char *names[DEPTH], *longest = longest_name + STEM_COMPONENT_MAX - ROOM;

    for (int i = 0; i < DEPTH; i++)
        names[i] = longest_name;
    stem_db *deep = stem_sub_path(db, names, DEPTH);
    ck_assert_ptr_nonnull(deep);
    assert_failure(stem_batch_put(batch, deep, longest - 1, 1), STEM_EINVAL);
    assert_ok(stem_batch_put(batch, deep, longest, 1));
    assert_ok(stem_batch_commit(batch, false));
    ck_assert_int_eq(stem_get_int_or(deep, longest, 0), 1);
    assert_ok(stem_close(deep));
}
END_TEST

/* ---- What is refused -------------------------------------------------------------- */

/* Tries every addition through the handle, and sees the batch as it was. */
static void assert_every_addition_fails(stem_db *handle, int code)
{
    size_t count = stem_batch_count(batch), bytes = stem_batch_bytes(batch);

    assert_failure(stem_batch_put(batch, handle, "k", 1), code);
    assert_failure(stem_batch_del(batch, handle, "k"), code);
    assert_failure(stem_batch_expect_absent(batch, handle, "k"), code);
    assert_failure(stem_batch_expect(batch, handle, "k", 1), code);
    assert_failure(stem_batch_expect_empty(batch, handle, NULL), code);
    ck_assert_uint_eq(stem_batch_count(batch), count);
    ck_assert_uint_eq(stem_batch_bytes(batch), bytes);
}

START_TEST(a_handle_of_another_database_is_refused)
{
    stem_db *other;

    assert_ok(stem_open(&other, path_in(temp_dir(), "other"), NULL));
    assert_ok(stem_batch_put(batch, left, "a", 1));
    assert_every_addition_fails(other, STEM_EINVAL);
    assert_ok(stem_batch_commit(batch, false));
    assert_contents(db, "left/a=1");
    assert_contents(other, "");
    assert_ok(stem_close(other));
}
END_TEST

START_TEST(a_handle_opened_apart_on_the_same_database_is_taken)
{
    stem_db *again;

    if (!last_location())
        return; /* a database in memory is opened once */
    assert_ok(stem_open(&again, last_location(), NULL));
    assert_ok(stem_batch_put(batch, again, "a", 1));
    assert_ok(stem_batch_commit(batch, false));
    assert_contents(db, "a=1");
    assert_ok(stem_close(again));
}
END_TEST

START_TEST(a_handle_that_only_reads_is_refused)
{
    stem_db *reader = stem_read_only(left), *frozen = stem_snapshot(left);
    stem_db *below = stem_sub(frozen, "below");

    assert_ok(stem_batch_put(batch, left, "a", 1));
    assert_every_addition_fails(reader, STEM_EREADONLY);
    assert_every_addition_fails(frozen, STEM_EREADONLY);
    assert_every_addition_fails(below, STEM_EREADONLY);
    assert_ok(stem_batch_commit(batch, false));
    assert_contents(db, "left/a=1");
    assert_ok(stem_close(below));
    assert_ok(stem_close(frozen));
    assert_ok(stem_close(reader));
}
END_TEST

START_TEST(bad_names_are_refused_and_leave_the_batch)
{
    const char *const bad[] = {NULL, "", too_long_name};

    assert_ok(stem_batch_put(batch, left, "a", 1));
    assert_ok(stem_batch_expect_absent(batch, left, "a"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const stem_range range = {.gt = bad[i]};

        assert_failure(stem_batch_put(batch, left, bad[i], 1), STEM_EINVAL);
        assert_failure(stem_batch_del(batch, left, bad[i]), STEM_EINVAL);
        assert_failure(stem_batch_expect_absent(batch, left, bad[i]), STEM_EINVAL);
        assert_failure(stem_batch_expect(batch, left, bad[i], 1), STEM_EINVAL);
        if (bad[i] && *bad[i]) /* these are no bound */
            assert_failure(stem_batch_expect_empty(batch, left, &range), STEM_EINVAL);
    }
    ck_assert_uint_eq(stem_batch_count(batch), 1);
    assert_ok(stem_batch_commit(batch, false));
    assert_contents(db, "left/a=1");
    assert_code(stem_batch_commit(batch, false), STEM_CONFLICT);
    ck_assert_uint_eq(stem_batch_failed(batch), 0);
}
END_TEST

START_TEST(bad_values_and_ranges_are_refused_and_leave_the_batch)
{
    static const uint64_t shape[33];
    const stem_value bad[] = {stem_strn(NULL, 3),
                              stem_str(NULL),
                              stem_time(0, 1000000000),
                              stem_array(99, "x", 1, shape),
                              stem_array(STEM_U8, NULL, 33, shape),
                              stem_packed("\xc1", 1),
                              stem_ext(64, "x", 1),
                              stem_bin("x", (size_t)STEM_VALUE_MAX + 1),
                              {.type = 99}};
    const stem_range reserved = {.reserved = {1}}, shallow = {.shallow = true};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int code = stem_batch_put(batch, left, "a", bad[i]);

        ck_assert_msg(code < 0, "value %zu was put", i);
        assert_code(stem_batch_expect(batch, left, "a", bad[i]), code);
    }
    assert_failure(stem_batch_expect_empty(batch, left, &reserved), STEM_EINVAL);
    assert_failure(stem_batch_expect_empty(batch, left, &shallow), STEM_EINVAL);
    ck_assert_uint_eq(stem_batch_count(batch), 0);
    ck_assert_uint_eq(stem_batch_bytes(batch), 0);
    assert_ok(stem_batch_put(batch, left, "b", 1));
    assert_ok(stem_batch_commit(batch, false));
    assert_contents(db, "left/b=1");
}
END_TEST

START_TEST(null_batches_and_handles_are_refused)
{
    ck_assert_ptr_null(stem_batch_new(NULL));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    assert_every_addition_fails(NULL, STEM_EINVAL);
    assert_failure(stem_batch_put(NULL, db, "a", 1), STEM_EINVAL);
    assert_failure(stem_batch_del(NULL, db, "a"), STEM_EINVAL);
    assert_failure(stem_batch_expect_absent(NULL, db, "a"), STEM_EINVAL);
    assert_failure(stem_batch_expect(NULL, db, "a", 1), STEM_EINVAL);
    assert_failure(stem_batch_expect_empty(NULL, db, NULL), STEM_EINVAL);
    assert_failure(stem_batch_commit(NULL, false), STEM_EINVAL);
    ck_assert_uint_eq(stem_batch_failed(NULL), SIZE_MAX);
    stem_batch_reset(NULL);
    stem_batch_free(NULL);
}
END_TEST

START_TEST(a_failure_names_the_place)
{
    assert_failure(stem_batch_put(batch, right, "x/y", stem_str(NULL)), STEM_EINVAL);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "right/deep/x\\/y"));
}
END_TEST

/* ---- Lifetime and durability ------------------------------------------------------ */

START_TEST(a_batch_outlives_all_handles)
{
    stem_db *own, *below;
    const char *location = path_in(temp_dir(), "own");

    assert_ok(stem_open(&own, location, NULL));
    below = stem_sub(own, "below");
    stem_batch *alone = stem_batch_new(below);
    assert_ok(stem_batch_put(alone, own, "a", 1));
    assert_ok(stem_batch_put(alone, below, "b", 2));
    assert_ok(stem_close(own));
    assert_ok(stem_close(below));
    assert_code(stem_destroy(location), STEM_ELOCKED);
    assert_ok(stem_batch_commit(alone, false));
    stem_batch_free(alone);

    assert_ok(stem_open(&own, location, STEM_OPTIONS(.must_exist = true)));
    assert_contents(own, "a=1 below/b=2");
    assert_ok(stem_close(own));
}
END_TEST

START_TEST(a_batch_made_through_a_reader_takes_handles_that_write)
{
    stem_db *reader = stem_read_only(db);
    stem_batch *other = stem_batch_new(reader);

    ck_assert_ptr_nonnull(other);
    assert_ok(stem_batch_put(other, left, "a", 1));
    assert_ok(stem_batch_commit(other, false));
    assert_contents(db, "left/a=1");
    stem_batch_free(other);
    assert_ok(stem_close(reader));
}
END_TEST

START_TEST(a_commit_is_synced_when_asked_for)
{
    stem_db *durable, *below;

    if (!last_location())
        return; /* a database in memory is opened once */
    assert_ok(stem_open(&durable, last_location(), STEM_OPTIONS(.sync = true)));
    below = stem_sub(durable, "left");

    assert_ok(stem_batch_put(batch, left, "a", 1));
    unsigned before = files_synced();
    assert_ok(stem_batch_commit(batch, false));
    ck_assert_uint_eq(files_synced(), before);
    assert_ok(stem_batch_commit(batch, true));
    ck_assert_uint_gt(files_synced(), before);

    stem_batch_reset(batch);
    assert_ok(stem_batch_put(batch, left, "a", 2));
    assert_ok(stem_batch_del(batch, below, "b"));
    before = files_synced();
    assert_ok(stem_batch_commit(batch, false));
    ck_assert_uint_gt(files_synced(), before);

    stem_batch_reset(batch);
    assert_ok(stem_batch_put(batch, left, "a", 3));
    before = files_synced();
    assert_ok(stem_batch_commit(batch, false));
    ck_assert_uint_eq(files_synced(), before);
    assert_ok(stem_close(below));
    assert_ok(stem_close(durable));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batch");
    TCase *writes = add_case(suite, "writes", 60);
    TCase *refused = add_case(suite, "refused", 60);
    TCase *lifetime = add_case(suite, "lifetime", 60);

    tcase_add_checked_fixture(writes, open_places, close_places);
    tcase_add_test(writes, a_batch_changes_nothing_until_it_is_committed);
    tcase_add_test(writes, values_of_every_type_are_put);
    tcase_add_test(writes, what_is_added_is_copied);
    tcase_add_test(writes, a_later_write_of_the_same_key_wins);
    tcase_add_test(writes, an_empty_batch_is_committed_and_changes_nothing);
    tcase_add_test(writes, a_committed_batch_keeps_its_content);
    tcase_add_test(writes, a_reset_batch_is_empty_and_usable);
    tcase_add_test(writes, count_and_bytes_are_of_writes_alone);
    tcase_add_test(writes, a_large_batch_is_one_commit);
    tcase_add_test(writes, the_longest_paths_are_put_and_no_longer_ones);

    tcase_add_checked_fixture(refused, open_places, close_places);
    tcase_add_test(refused, a_handle_of_another_database_is_refused);
    tcase_add_test(refused, a_handle_opened_apart_on_the_same_database_is_taken);
    tcase_add_test(refused, a_handle_that_only_reads_is_refused);
    tcase_add_test(refused, bad_names_are_refused_and_leave_the_batch);
    tcase_add_test(refused, bad_values_and_ranges_are_refused_and_leave_the_batch);
    tcase_add_test(refused, null_batches_and_handles_are_refused);
    tcase_add_test(refused, a_failure_names_the_place);

    tcase_add_checked_fixture(lifetime, open_places, close_places);
    tcase_add_test(lifetime, a_batch_outlives_all_handles);
    tcase_add_test(lifetime, a_batch_made_through_a_reader_takes_handles_that_write);
    tcase_add_test(lifetime, a_commit_is_synced_when_asked_for);
    return run_suite(suite);
}
