/*
 * Many keys at once: reads of one state in the caller's order, and writes that are one
 * commit each.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"

static stem_db *root, *db;

static void open_place(void)
{
    root = new_database();
    db = stem_sub(root, "place");
}

static void close_place(void)
{
    assert_ok(stem_close(db));
    assert_ok(stem_close(root));
}

/* ---- Reading ---------------------------------------------------------------------- */

START_TEST(values_come_in_the_order_of_the_keys)
{
    const char *const keys[] = {"c", "absent", "a", "b", "a", "deep"};
    enum { N = sizeof keys / sizeof *keys };
    const int expected[N] = {STEM_OK, STEM_NOTFOUND, STEM_OK,
                             STEM_OK, STEM_OK,       STEM_NOTFOUND};
    const float floats[] = {1, 2};
    stem_db *deep = stem_sub(db, "deep");
    stem_value values[N];
    int codes[N];
    bool has[N];

    assert_ok(stem_put(db, "a", "text"));
    assert_ok(stem_put(db, "b", 7));
    assert_ok(stem_put(db, "c", stem_vec(floats, 2)));
    assert_ok(stem_put(deep, "absent", 1));
    assert_ok(stem_get_many(db, keys, N, values, codes));
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(codes[i], expected[i]);
    ck_assert_int_eq(values[0].type, STEM_ARRAY);
    ck_assert(((const float *)values[0].as.array.data)[1] == 2);
    ck_assert_int_eq(values[1].type, STEM_NIL);
    ck_assert_str_eq(values[2].as.str.data, "text");
    ck_assert_int_eq(values[3].as.integer, 7);
    ck_assert_str_eq(values[4].as.str.data, "text");
    ck_assert_ptr_ne(values[4].as.str.data, values[2].as.str.data);
    ck_assert_int_eq(values[5].type, STEM_NIL);
    for (int i = 0; i < N; i++)
        stem_value_free(&values[i]);

    assert_ok(stem_has_many(db, keys, N, has));
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(has[i], expected[i] == STEM_OK);
    assert_ok(stem_close(deep));
}
END_TEST

START_TEST(a_stored_nil_is_not_missing)
{
    const char *const keys[] = {"nil", "absent"};
    stem_value values[2];
    int codes[2];

    assert_ok(stem_put(db, "nil", stem_nil()));
    assert_ok(stem_get_many(db, keys, 2, values, codes));
    ck_assert_int_eq(codes[0], STEM_OK);
    ck_assert_int_eq(codes[1], STEM_NOTFOUND);
}
END_TEST

START_TEST(no_keys_are_nothing_to_do)
{
    assert_ok(stem_get_many(db, NULL, 0, NULL, NULL));
    assert_ok(stem_has_many(db, NULL, 0, NULL));
    assert_ok(stem_put_many(db, NULL, NULL, 0));
    assert_ok(stem_del_many(db, NULL, 0));
}
END_TEST

START_TEST(one_key_is_read_like_any)
{
    const char *const keys[] = {"a"};
    stem_value value;
    int code;

    assert_ok(stem_get_many(db, keys, 1, &value, &code));
    ck_assert_int_eq(code, STEM_NOTFOUND);
    assert_ok(stem_put(db, "a", 3));
    assert_ok(stem_get_many(db, keys, 1, &value, &code));
    ck_assert_int_eq(code, STEM_OK);
    ck_assert_int_eq(value.as.integer, 3);
}
END_TEST

START_TEST(long_keys_and_deep_places_are_read)
{
    enum { N = 300, DEPTH = 12 };
    const char *names[DEPTH], *keys[N];
    stem_value *values = malloc(N * sizeof *values);
    int codes[N];
    bool has[N];

    for (int i = 0; i < DEPTH; i++)
        names[i] = longest_name;
    stem_db *deep = stem_sub_path(db, names, DEPTH);
    for (int i = 0; i < N; i++) {
        keys[i] = longest_name + 13 * i;
        values[i] = stem_int(i);
    }
    assert_ok(stem_put_many(deep, keys, values, N));
    assert_ok(stem_get_many(deep, keys, N, values, codes));
    assert_ok(stem_has_many(deep, keys, N, has));
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(codes[i], STEM_OK);
        ck_assert_int_eq(values[i].as.integer, i);
        ck_assert(has[i]);
    }
    free(values);
    assert_ok(stem_close(deep));
}
END_TEST

START_TEST(ten_thousand_keys_are_written_read_and_deleted)
{
    enum { N = 10000 };
    char(*names)[8] = malloc(N * sizeof *names);
    const char **keys = malloc(N * sizeof *keys);
    stem_value *values = malloc(N * sizeof *values);
    int *codes = malloc(N * sizeof *codes);

    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "%d", i * 7919 % N);
        keys[i] = names[i];
        values[i] = stem_strn(names[i], strlen(names[i]));
    }
    assert_ok(stem_put_many(db, keys, values, N));
    assert_ok(stem_get_many(db, keys, N, values, codes));
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(codes[i], STEM_OK);
        ck_assert_str_eq(values[i].as.str.data, names[i]);
        stem_value_free(&values[i]);
    }
    assert_ok(stem_del_many(db, keys, N));
    assert_contents(db, "");
    free(codes);
    free(values);
    free(keys);
    free(names);
}
END_TEST

START_TEST(frozen_handles_read_their_own_moment)
{
    const char *const keys[] = {"a", "b"};
    stem_value values[2];
    int codes[2];
    bool has[2];

    assert_ok(stem_put(db, "a", 1));
    stem_db *frozen = stem_snapshot(db), *reader = stem_read_only(db);
    assert_ok(stem_put(db, "a", 2));
    assert_ok(stem_put(db, "b", 2));
    assert_ok(stem_get_many(frozen, keys, 2, values, codes));
    ck_assert_int_eq(values[0].as.integer, 1);
    ck_assert_int_eq(codes[1], STEM_NOTFOUND);
    assert_ok(stem_has_many(frozen, keys, 2, has));
    ck_assert(has[0] && !has[1]);
    assert_ok(stem_get_many(reader, keys, 2, values, codes));
    ck_assert_int_eq(values[0].as.integer, 2);
    ck_assert_int_eq(codes[1], STEM_OK);
    assert_ok(stem_close(reader));
    assert_ok(stem_close(frozen));
}
END_TEST

START_TEST(bad_reads_leave_nothing_to_release)
{
    const char *const bad[] = {NULL, "", too_long_name};
    stem_value values[3];
    int codes[3] = {42, 42, 42};
    bool has[3];

    assert_ok(stem_put(db, "a", "text"));
    for (int i = 0; i < 3; i++) {
        const char *const keys[] = {"a", bad[i], "a"};

        for (int k = 0; k < 3; k++)
            values[k] = stem_int(42);
        assert_failure(stem_get_many(db, keys, 3, values, codes), STEM_EINVAL);
        assert_failure(stem_has_many(db, keys, 3, has), STEM_EINVAL);
        for (int k = 0; k < 3; k++)
            ck_assert_ptr_null(values[k].owned);
    }
    const char *const keys[] = {"a"};
    assert_failure(stem_get_many(NULL, keys, 1, values, codes), STEM_EINVAL);
    assert_failure(stem_get_many(db, NULL, 1, values, codes), STEM_EINVAL);
    assert_failure(stem_get_many(db, keys, 1, NULL, codes), STEM_EINVAL);
    assert_failure(stem_get_many(db, keys, 1, values, NULL), STEM_EINVAL);
    assert_failure(stem_has_many(NULL, keys, 1, has), STEM_EINVAL);
    assert_failure(stem_has_many(db, NULL, 1, has), STEM_EINVAL);
    assert_failure(stem_has_many(db, keys, 1, NULL), STEM_EINVAL);
    ck_assert_int_eq(codes[0], 42);
}
END_TEST

/* ---- Writing ---------------------------------------------------------------------- */

START_TEST(the_later_of_two_puts_of_a_key_wins)
{
    const char *const keys[] = {"a", "b", "a"};
    const stem_value values[] = {stem_int(1), stem_str("x"), stem_float(2)};

    assert_ok(stem_put(db, "b", "replaced"));
    assert_ok(stem_put_many(db, keys, values, 3));
    assert_contents(root, "place/a=2f place/b=x");
}
END_TEST

START_TEST(deleting_takes_absent_keys_and_leaves_what_is_below)
{
    const char *const keys[] = {"a", "absent", "place", "a"};

    assert_ok(stem_put(root, "a", 1));
    assert_ok(stem_put(root, "b", 2));
    assert_ok(stem_put(root, "place", 3));
    assert_ok(stem_put(db, "a", 4));
    assert_ok(stem_del_many(root, keys, 4));
    assert_contents(root, "b=2 place/a=4");
}
END_TEST

START_TEST(bad_writes_change_nothing)
{
    const char *const bad_keys[] = {"a", "", "c"}, *const keys[] = {"a", "b", "c"};
    const stem_value values[] = {stem_int(1), stem_int(2), stem_int(3)},
                     bad_values[] = {stem_int(1), stem_packed("\xc1", 1), stem_int(3)};
    stem_db *reader = stem_read_only(db), *frozen = stem_snapshot(db);

    assert_ok(stem_put(db, "a", "old"));
    assert_failure(stem_put_many(db, bad_keys, values, 3), STEM_EINVAL);
    assert_failure(stem_put_many(db, keys, bad_values, 3), STEM_EINVAL);
    assert_failure(stem_put_many(reader, keys, values, 3), STEM_EREADONLY);
    assert_failure(stem_put_many(frozen, keys, values, 3), STEM_EREADONLY);
    assert_failure(stem_put_many(NULL, keys, values, 3), STEM_EINVAL);
    assert_failure(stem_put_many(db, NULL, values, 3), STEM_EINVAL);
    assert_failure(stem_put_many(db, keys, NULL, 3), STEM_EINVAL);
    assert_failure(stem_del_many(db, bad_keys, 3), STEM_EINVAL);
    assert_failure(stem_del_many(reader, keys, 3), STEM_EREADONLY);
    assert_failure(stem_del_many(frozen, keys, 3), STEM_EREADONLY);
    assert_failure(stem_del_many(NULL, keys, 3), STEM_EINVAL);
    assert_failure(stem_del_many(db, NULL, 3), STEM_EINVAL);
    assert_contents(db, "a=old");
    assert_ok(stem_close(frozen));
    assert_ok(stem_close(reader));
}
END_TEST

START_TEST(a_synced_handle_syncs_them)
{
    const char *const keys[] = {"a", "b"};
    const stem_value values[] = {stem_int(1), stem_int(2)};
    stem_db *durable;

    if (!last_location())
        return; /* a database in memory is opened once */
    assert_ok(stem_open(&durable, last_location(), STEM_OPTIONS(.sync = true)));
    unsigned before = files_synced();
    assert_ok(stem_put_many(durable, keys, values, 2));
    unsigned between = files_synced();
    ck_assert_uint_gt(between, before);
    assert_ok(stem_del_many(durable, keys, 2));
    ck_assert_uint_gt(files_synced(), between);
    assert_ok(stem_close(durable));
}
END_TEST

/* ---- All or nothing --------------------------------------------------------------- */

enum { N_KEYS = 20, N_ROUNDS = 1500 };
static const char *const twenty[N_KEYS] = {"a", "b", "c", "d", "e", "f", "g",
                                           "h", "i", "j", "k", "l", "m", "n",
                                           "o", "p", "q", "r", "s", "t"};
static atomic_bool is_over;

static void *write_rounds(void *unused)
{
    stem_value values[N_KEYS];

    (void)unused;
    for (int round = 0; round < N_ROUNDS; round++) {
        for (int i = 0; i < N_KEYS; i++)
            values[i] = stem_int(round);
        assert_ok(stem_put_many(db, twenty, values, N_KEYS));
        if (round % 3 == 2)
            assert_ok(stem_del_many(db, twenty, N_KEYS));
    }
    atomic_store(&is_over, true);
    return NULL;
}

START_TEST(reads_see_each_commit_whole_or_not_at_all)
{
    stem_value values[N_KEYS];
    int codes[N_KEYS];
    bool has[N_KEYS];
    pthread_t writer;
    int64_t newest = -1;

    ck_assert_int_eq(pthread_create(&writer, NULL, write_rounds, NULL), 0);
    while (!atomic_load(&is_over)) {
        assert_ok(stem_get_many(db, twenty, N_KEYS, values, codes));
        for (int i = 1; i < N_KEYS; i++) {
            ck_assert_int_eq(codes[i], codes[0]);
            ck_assert_int_eq(values[i].as.integer, values[0].as.integer);
        }
        if (codes[0] == STEM_OK) {
            ck_assert_int_ge(values[0].as.integer, newest);
            newest = values[0].as.integer;
        }
        assert_ok(stem_has_many(db, twenty, N_KEYS, has));
        for (int i = 1; i < N_KEYS; i++)
            ck_assert_int_eq(has[i], has[0]);
    }
    pthread_join(writer, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("many");
    TCase *reading = add_case(suite, "reading", 60);
    TCase *writing = add_case(suite, "writing", 60);

    tcase_add_checked_fixture(reading, open_place, close_place);
    tcase_add_test(reading, values_come_in_the_order_of_the_keys);
    tcase_add_test(reading, a_stored_nil_is_not_missing);
    tcase_add_test(reading, no_keys_are_nothing_to_do);
    tcase_add_test(reading, one_key_is_read_like_any);
    tcase_add_test(reading, long_keys_and_deep_places_are_read);
    tcase_add_test(reading, ten_thousand_keys_are_written_read_and_deleted);
    tcase_add_test(reading, frozen_handles_read_their_own_moment);
    tcase_add_test(reading, bad_reads_leave_nothing_to_release);

    tcase_add_checked_fixture(writing, open_place, close_place);
    tcase_add_test(writing, the_later_of_two_puts_of_a_key_wins);
    tcase_add_test(writing, deleting_takes_absent_keys_and_leaves_what_is_below);
    tcase_add_test(writing, bad_writes_change_nothing);
    tcase_add_test(writing, a_synced_handle_syncs_them);
    tcase_add_test(writing, reads_see_each_commit_whole_or_not_at_all);
    return run_suite(suite);
}
