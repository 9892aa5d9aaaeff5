/*
 * Copying and moving keys and whole places, within one database and into another. Each test
 * runs both ways: `target` is a place of the same database, and then of another.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"

static stem_db *root, *other, *source, *target;

static void open_places(void)
{
    root = new_database();
    assert_ok(stem_open(&other, path_in(temp_dir(), "other"), NULL));
    source = stem_sub(root, "source");
    target = NULL;
}

/* In the same database, or in another one. */
static void choose_target(int is_other)
{
    target = stem_sub(is_other ? other : root, "target");
}

static void close_places(void)
{
    assert_ok(stem_close(target));
    assert_ok(stem_close(source));
    assert_ok(stem_close(other));
    assert_ok(stem_close(root));
}

static void fill_source(void)
{
    stem_db *deep = stem_sub(source, "b", "deep");

    assert_ok(stem_put(source, "a", 1));
    assert_ok(stem_put(source, "b", "two"));
    assert_ok(stem_put(deep, "c", 3.5));
    assert_ok(stem_put(root, "source", "own"));
    assert_ok(stem_close(deep));
}

typedef int transfer(stem_db *, const char *, stem_db *, const char *);
static transfer *const transfers[] = {stem_copy, stem_move};

/* ---- One key ---------------------------------------------------------------------- */

START_TEST(a_copied_key_has_the_value_in_both_places)
{
    choose_target(_i);
    fill_source();
    assert_ok(stem_put(target, "new", "replaced"));
    assert_ok(stem_put(target, "kept", 9));
    assert_ok(stem_copy(source, "b", target, "new"));
    assert_contents(target, "kept=9 new=two");
    assert_contents(source, "a=1 b=two b/deep/c=3.5f");
}
END_TEST

START_TEST(a_moved_key_has_the_value_in_the_new_place_alone)
{
    choose_target(_i);
    fill_source();
    assert_ok(stem_put(target, "new", "replaced"));
    assert_ok(stem_move(source, "b", target, "new"));
    assert_contents(target, "new=two");
    assert_contents(source, "a=1 b/deep/c=3.5f");
    assert_code(stem_move(source, "b", target, "new"), STEM_NOTFOUND);
    assert_contents(target, "new=two");
}
END_TEST

START_TEST(every_value_arrives_as_it_was)
{
    enum { LARGE = 3 << 20 };
    const double numbers[] = {1, 2, 3};
    char *large = malloc(LARGE);
    stem_value value;

    choose_target(_i);
    for (int i = 0; i < LARGE; i++)
        large[i] = (char)(i * 7);
    assert_ok(stem_put(source, "array", stem_vec(numbers, 3)));
    assert_ok(stem_put(source, "large", stem_bin(large, LARGE)));
    for (int i = 0; i < 2; i++) {
        assert_ok(transfers[i](source, "array", target, "array"));
        assert_ok(transfers[i](source, "large", target, "large"));
        assert_ok(stem_get_array(target, "array", STEM_F64, &value));
        ck_assert_mem_eq(value.as.array.data, numbers, sizeof numbers);
        stem_value_free(&value);
        assert_ok(stem_get(target, "large", &value));
        ck_assert_uint_eq(value.as.bin.len, LARGE);
        ck_assert_mem_eq(value.as.bin.data, large, LARGE);
        stem_value_free(&value);
    }
    free(large);
}
END_TEST

START_TEST(an_absent_key_is_not_found_and_the_target_stays)
{
    choose_target(_i);
    assert_ok(stem_put(target, "k", 1));
    for (int i = 0; i < 2; i++)
        assert_code(transfers[i](source, "absent", target, "k"), STEM_NOTFOUND);
    fill_source();
    assert_code(stem_move(source, "deep", target, "k"), STEM_NOTFOUND);
    assert_contents(target, "k=1");
}
END_TEST

START_TEST(a_key_moves_within_its_place_and_below_itself)
{
    stem_db *below = stem_sub(source, "a");

    fill_source();
    assert_ok(stem_move(source, "a", source, "z"));
    assert_contents(source, "b=two b/deep/c=3.5f z=1");
    assert_ok(stem_move(source, "z", below, "a"));
    assert_ok(stem_copy(below, "a", source, "a"));
    assert_contents(source, "a=1 a/a=1 b=two b/deep/c=3.5f");
    for (int i = 0; i < 2; i++)
        assert_failure(transfers[i](source, "a", source, "a"), STEM_EINVAL);
    assert_contents(source, "a=1 a/a=1 b=two b/deep/c=3.5f");
    assert_ok(stem_close(below));
}
END_TEST

START_TEST(bad_keys_and_handles_change_nothing)
{
    const char *const bad[] = {"", too_long_name};

    choose_target(_i);
    fill_source();
    for (int i = 0; i < 2; i++) {
        stem_db *reader = stem_read_only(target);

        for (int k = 0; k < 2; k++) {
            assert_failure(transfers[i](source, bad[k], target, "k"), STEM_EINVAL);
            assert_failure(transfers[i](source, "a", target, bad[k]), STEM_EINVAL);
        }
        assert_failure(transfers[i](source, "a", target, NULL), STEM_EINVAL);
        assert_failure(transfers[i](source, NULL, target, "a"), STEM_EINVAL);
        assert_failure(transfers[i](NULL, "a", target, "a"), STEM_EINVAL);
        assert_failure(transfers[i](source, "a", NULL, "a"), STEM_EINVAL);
        assert_failure(transfers[i](NULL, NULL, target, NULL), STEM_EINVAL);
        assert_failure(transfers[i](source, NULL, NULL, NULL), STEM_EINVAL);
        assert_failure(transfers[i](source, "a", reader, "a"), STEM_EREADONLY);
        assert_failure(transfers[i](source, NULL, reader, NULL), STEM_EREADONLY);
        assert_ok(stem_close(reader));
    }
    assert_contents(target, "");
    assert_contents(source, "a=1 b=two b/deep/c=3.5f");
}
END_TEST

START_TEST(what_only_reads_is_copied_from_but_not_moved)
{
    stem_db *reader, *frozen;

    choose_target(_i);
    fill_source();
    reader = stem_read_only(source);
    frozen = stem_snapshot(source);
    assert_ok(stem_put(source, "a", 100));
    assert_ok(stem_put(source, "later", 100));
    assert_failure(stem_move(reader, "a", target, "a"), STEM_EREADONLY);
    assert_failure(stem_move(frozen, "a", target, "a"), STEM_EREADONLY);
    assert_failure(stem_move(reader, NULL, target, NULL), STEM_EREADONLY);
    assert_failure(stem_move(frozen, NULL, target, NULL), STEM_EREADONLY);
    assert_contents(target, "");
    assert_ok(stem_copy(frozen, "a", target, "a"));
    assert_code(stem_copy(frozen, "later", target, "later"), STEM_NOTFOUND);
    assert_contents(target, "a=1");
    assert_ok(stem_copy(reader, "a", target, "a"));
    assert_contents(target, "a=100");
    assert_ok(stem_copy(frozen, NULL, target, NULL));
    assert_contents(target, "a=1 b=two b/deep/c=3.5f");
    assert_ok(stem_copy(reader, NULL, target, NULL));
    assert_contents(target, "a=100 b=two b/deep/c=3.5f later=100");
    assert_ok(stem_close(frozen));
    assert_ok(stem_close(reader));
}
END_TEST

/* ---- A whole place ---------------------------------------------------------------- */

START_TEST(a_copied_place_is_in_both)
{
    choose_target(_i);
    fill_source();
    assert_ok(stem_put(target, "b", "replaced"));
    assert_ok(stem_put(target, "kept", 9));
    assert_ok(stem_copy(source, NULL, target, NULL));
    assert_contents(target, "a=1 b=two b/deep/c=3.5f kept=9");
    assert_contents(source, "a=1 b=two b/deep/c=3.5f");
    ck_assert_int_eq(stem_has(_i ? other : root, "target"), STEM_NOTFOUND);
    ck_assert_int_eq(stem_has(root, "source"), STEM_OK);
}
END_TEST

START_TEST(a_moved_place_is_in_the_new_one_alone)
{
    choose_target(_i);
    fill_source();
    assert_ok(stem_put(target, "b", "replaced"));
    assert_ok(stem_put(target, "kept", 9));
    assert_ok(stem_move(source, NULL, target, NULL));
    assert_contents(target, "a=1 b=two b/deep/c=3.5f kept=9");
    assert_contents(source, "");
    ck_assert_int_eq(stem_has(root, "source"), STEM_OK);
}
END_TEST

START_TEST(an_empty_place_is_copied_and_moved)
{
    choose_target(_i);
    assert_ok(stem_put(target, "kept", 9));
    for (int i = 0; i < 2; i++)
        assert_ok(transfers[i](source, NULL, target, NULL));
    assert_contents(target, "kept=9");
}
END_TEST

START_TEST(a_finished_move_may_be_run_again)
{
    choose_target(_i);
    fill_source();
    assert_ok(stem_move(source, NULL, target, NULL));
    assert_ok(stem_move(source, NULL, target, NULL));
    assert_contents(target, "a=1 b=two b/deep/c=3.5f");
}
END_TEST

START_TEST(places_within_one_another_are_refused)
{
    stem_db *deep = stem_sub(source, "b", "deep"), *again = stem_dup(source);
    stem_db *apart = stem_dup(root);

    fill_source();
    if (last_location()) { /* a database in memory is opened once */
        stem_close(apart);
        assert_ok(stem_open(&apart, last_location(), NULL));
    }
    stem_db *const pairs[][2] = {{source, source}, {source, again}, {source, deep},
                                 {deep, source},   {root, source},  {source, root},
                                 {root, root},     {root, apart},   {apart, deep}};

    for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++)
        for (int i = 0; i < 2; i++) {
            int code = transfers[i](pairs[p][0], NULL, pairs[p][1], NULL);

            ck_assert_msg(code == STEM_EINVAL, "pair %zu: %s", p, stem_strerror(code));
        }
    assert_contents(root, "source=own source/a=1 source/b=two source/b/deep/c=3.5f");
    assert_ok(stem_close(apart));
    assert_ok(stem_close(again));
    assert_ok(stem_close(deep));
}
END_TEST

START_TEST(places_whose_names_begin_alike_are_apart)
{
    const char *const names[] = {"sourc", "source\x01", "sourcesource"};

    fill_source();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        stem_db *alike = stem_sub(root, names[i]);

        assert_ok(stem_copy(source, NULL, alike, NULL));
        assert_contents(alike, "a=1 b=two b/deep/c=3.5f");
        assert_contents(source, "a=1 b=two b/deep/c=3.5f");
        assert_ok(stem_move(alike, NULL, source, NULL));
        assert_contents(alike, "");
        assert_ok(stem_close(alike));
    }
    assert_contents(root, "source=own source/a=1 source/b=two source/b/deep/c=3.5f");
}
END_TEST

START_TEST(a_whole_database_goes_into_another_and_below_a_place_of_it)
{
    stem_db *below = stem_sub(other, "below");

    fill_source();
    assert_ok(stem_copy(root, NULL, below, NULL));
    assert_ok(stem_move(root, NULL, other, NULL));
    assert_contents(root, "");
    assert_contents(other, "below/source=own below/source/a=1 below/source/b=two "
                           "below/source/b/deep/c=3.5f source=own source/a=1 "
                           "source/b=two source/b/deep/c=3.5f");
    assert_ok(stem_close(below));
}
END_TEST

/* A handle so deep below another that a component of `room` bytes just fits. */
static stem_db *deep_place(stem_db *db, size_t above, size_t room)
{
    enum { STEP = 4000 };
    const char *names[STEM_PATH_MAX / STEP + 1];
    size_t left = STEM_PATH_MAX - room - above, n = 0;

    for (; left > STEP + 1; left -= STEP + 1)
        names[n++] = longest_name + STEM_COMPONENT_MAX - STEP;
    names[n++] = longest_name + STEM_COMPONENT_MAX - (left - 1);
    return stem_sub_path(db, names, n);
}

START_TEST(a_path_too_long_at_the_target_is_refused_before_anything_is_copied)
{
    stem_db *deep;

    deep = deep_place(_i ? other : root, 0, 10);
    ck_assert_ptr_nonnull(deep);
    for (int i = 0; i < 2500; i++)
        assert_ok(stem_put(
            source, ((char[]){'a', (char)(1 + i % 100), (char)(1 + i / 100), '\0'}), i));
    assert_ok(stem_put(source, "fits them!", 1));
    assert_ok(stem_put(source, "z one more!", 2));
    for (int i = 0; i < 2; i++) {
        assert_failure(transfers[i](source, NULL, deep, NULL), STEM_EINVAL);
        assert_failure(transfers[i](source, "z one more!", deep, "z one more!"),
                       STEM_EINVAL);
        assert_contents(deep, "");
    }
    assert_ok(stem_del(source, "z one more!"));
    assert_ok(stem_move(source, NULL, deep, NULL));
    ck_assert_int_eq(stem_get_int_or(deep, "fits them!", 0), 1);
    assert_contents(source, "");
    assert_ok(stem_close(deep));
}
END_TEST

START_TEST(the_longest_paths_come_back_up)
{
    stem_db *deep = deep_place(source, strlen("source") + 1, 10);
    uint64_t count;

    choose_target(_i);
    assert_ok(stem_put(deep, "fits them!", 1));
    assert_ok(stem_move(source, NULL, target, NULL));
    assert_ok(stem_count(target, NULL, &count));
    ck_assert_uint_eq(count, 1);
    assert_ok(stem_move(target, NULL, source, NULL));
    ck_assert_int_eq(stem_get_int_or(deep, "fits them!", 0), 1);
    assert_ok(stem_close(deep));
}
END_TEST

START_TEST(a_move_syncs_and_a_copy_does_when_asked_for)
{
    choose_target(_i);
    for (int is_whole = 0; is_whole < 2; is_whole++) {
        const char *key = is_whole ? NULL : "a";

        fill_source();
        unsigned before = files_synced();
        assert_ok(stem_copy(source, key, target, key));
        ck_assert_uint_eq(files_synced(), before);
        if (is_whole || _i) {
            assert_ok(stem_move(source, key, target, key));
            ck_assert_uint_gt(files_synced(), before);
        }
    }
}
END_TEST

START_TEST(a_failure_names_the_place)
{
    choose_target(_i);
    assert_failure(stem_move(source, "x/y", target, ""), STEM_EINVAL);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "source/x\\/y"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("whole");
    TCase *keys = add_case(suite, "keys", 60);
    TCase *places = add_case(suite, "places", 60);

    tcase_add_checked_fixture(keys, open_places, close_places);
    tcase_add_loop_test(keys, a_copied_key_has_the_value_in_both_places, 0, 2);
    tcase_add_loop_test(keys, a_moved_key_has_the_value_in_the_new_place_alone, 0, 2);
    tcase_add_loop_test(keys, every_value_arrives_as_it_was, 0, 2);
    tcase_add_loop_test(keys, an_absent_key_is_not_found_and_the_target_stays, 0, 2);
    tcase_add_test(keys, a_key_moves_within_its_place_and_below_itself);
    tcase_add_loop_test(keys, bad_keys_and_handles_change_nothing, 0, 2);
    tcase_add_loop_test(keys, what_only_reads_is_copied_from_but_not_moved, 0, 2);

    tcase_add_checked_fixture(places, open_places, close_places);
    tcase_add_loop_test(places, a_copied_place_is_in_both, 0, 2);
    tcase_add_loop_test(places, a_moved_place_is_in_the_new_one_alone, 0, 2);
    tcase_add_loop_test(places, an_empty_place_is_copied_and_moved, 0, 2);
    tcase_add_loop_test(places, a_finished_move_may_be_run_again, 0, 2);
    tcase_add_test(places, places_within_one_another_are_refused);
    tcase_add_test(places, places_whose_names_begin_alike_are_apart);
    tcase_add_test(places, a_whole_database_goes_into_another_and_below_a_place_of_it);
    tcase_add_loop_test(
        places, a_path_too_long_at_the_target_is_refused_before_anything_is_copied, 0, 2);
    tcase_add_loop_test(places, the_longest_paths_come_back_up, 0, 2);
    tcase_add_loop_test(places, a_move_syncs_and_a_copy_does_when_asked_for, 0, 2);
    tcase_add_loop_test(places, a_failure_names_the_place, 0, 2);
    return run_suite(suite);
}
