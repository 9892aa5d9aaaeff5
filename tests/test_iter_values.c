/*
 * What iterators hand out: values of every type where they lie, the kinds of children, and
 * damage, which is never stepped over; and how long it all lives.
 */
#include "support.h"

#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stem.h"

static const char *location;

static stem_db *open_new(void)
{
    stem_db *db;

    location = path_in(temp_dir(), "db");
    assert_ok(stem_open(&db, location, NULL));
    return db;
}

/* The name of one byte, until the next call. */
static const char *byte_name(int byte)
{
    static char name[2];

    name[0] = (char)byte;
    return name;
}

/* Puts bytes behind Stem's back, while the database is closed. */
static void put_raw(const char *key, size_t key_len, const void *data, size_t len)
{
    leveldb_options_t *options = leveldb_options_create();
    leveldb_writeoptions_t *write_options = leveldb_writeoptions_create();
    char *message = NULL;
    leveldb_t *raw = leveldb_open(options, location, &message);

    ck_assert_ptr_null(message);
    leveldb_put(raw, write_options, key, key_len, data, len, &message);
    ck_assert_ptr_null(message);
    leveldb_close(raw);
    leveldb_writeoptions_destroy(write_options);
    leveldb_options_destroy(options);
}

/* ---- Values ----------------------------------------------------------------------- */

static void assert_same_value(const stem_value *a, const stem_value *b)
{
    size_t a_len, b_len;
    void *a_bytes = stem_encode(a, &a_len), *b_bytes = stem_encode(b, &b_len);

    ck_assert_ptr_nonnull(a_bytes);
    ck_assert_ptr_nonnull(b_bytes);
    ck_assert_int_eq(a->type, b->type);
    ck_assert_uint_eq(a_len, b_len);
    ck_assert_mem_eq(a_bytes, b_bytes, a_len);
    stem_free(a_bytes);
    stem_free(b_bytes);
}

/* One value of every type, and the extremes of some; the packed bytes are static. */
static size_t every_value(stem_value values[40])
{
    static const double reals[] = {1.5, -0.0, 1e300};
    static const uint64_t shape[] = {1, 3}, no_shape[] = {2, 0};
    static char long_text[5000];
    const stem_value all[] = {
        stem_nil(),
        stem_bool(true),
        stem_bool(false),
        stem_int(0),
        stem_int(INT64_MIN),
        stem_int(INT64_MAX),
        stem_uint(UINT64_MAX),
        stem_float(0.1),
        stem_float(-0.0),
        stem_str(""),
        stem_str("x"),
        stem_strn("a\0b", 3),
        stem_strn(long_text, sizeof long_text),
        stem_bin(NULL, 0),
        stem_bin("\0\1\2", 3),
        stem_bin(long_text, sizeof long_text),
        stem_time(-1, 999999999),
        stem_time(INT64_MAX, 0),
        stem_array(STEM_F64, reals, 2, shape),
        stem_array(STEM_C64, NULL, 2, no_shape),
        stem_array1(STEM_I8, "abc", 3),
        stem_packed("\x93\x01\xa1x\xc0", 5),
        stem_packed("\x81\xa1k\x90", 4),
        stem_packed("\x90", 1),
        stem_ext(0, "", 0),
        stem_ext(63, "payload", 7),
    };
    size_t n = sizeof all / sizeof *all;

    memset(long_text, 't', sizeof long_text);
    memcpy(values, all, sizeof all);
    return n;
}

static void put_all(stem_db *db, const stem_value *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char key[8];

        snprintf(key, sizeof key, "k%02zu", i);
        assert_ok(stem_put_value(db, key, values[i]));
    }
}

START_TEST(a_value_of_every_type_comes_back_in_both_directions)
{
    stem_value values[40];
    size_t n = every_value(values);
    stem_db *db = open_new();

    put_all(db, values, n);
    for (int compacted = 0; compacted < 2; compacted++) {
        for (int reverse = 0; reverse < 2; reverse++) {
            stem_iter *iter = stem_iter_open(db, STEM_RANGE(.reverse = reverse));

            for (size_t i = 0; i < n; i++) {
                size_t at = reverse ? n - 1 - i : i;

                ck_assert(stem_iter_next(iter));
                assert_same_value(stem_iter_value(iter), &values[at]);
            }
            ck_assert(!stem_iter_next(iter));
            assert_ok(stem_iter_close(iter));
        }
        assert_ok(stem_compact(db));
    }
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_string_ends_with_a_nul_in_walks_and_among_children)
{
    stem_db *db = open_new();
    char text[300];

    memset(text, 's', sizeof text);
    for (size_t len = 0; len < sizeof text; len++) {
        char key[8];

        snprintf(key, sizeof key, "%zu", len);
        assert_ok(stem_put(db, key, stem_strn(text, len)));
    }
    for (int mode = 0; mode < 4; mode++) {
        const stem_range *range = STEM_RANGE(.reverse = mode & 1);
        stem_iter *iter = mode & 2 ? stem_children(db, range) : stem_iter_open(db, range);

        while (stem_iter_next(iter)) {
            const stem_value *value = stem_iter_value(iter);

            ck_assert_int_eq(value->type, STEM_STR);
            ck_assert_uint_eq(value->as.str.len, strtoull(stem_iter_key(iter), NULL, 10));
            ck_assert_uint_eq(strlen(value->as.str.data), value->as.str.len);
        }
        assert_ok(stem_iter_close(iter));
    }
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(array_data_is_aligned_wherever_the_entry_lies)
{
    const int dtypes[] = {STEM_C128, STEM_F64, STEM_I16, STEM_F32};
    double data[34];
    stem_db *db = open_new();

    for (int i = 0; i < 34; i++)
        data[i] = i;
    /* Keys and values of every length push the arrays to every offset in their block. */
    for (int i = 0; i < 200; i++) {
        char key[64];

        snprintf(key, sizeof key, "%03d%.*s", i, i % 17, "................");
        assert_ok(
            stem_put(db, key, stem_array1(dtypes[i % 4], data, (uint64_t)(i % 17))));
    }
    for (int mode = 0; mode < 8; mode++) {
        const stem_range *range = STEM_RANGE(.reverse = mode & 1);
        stem_iter *iter = mode & 2 ? stem_children(db, range) : stem_iter_open(db, range);

        while (stem_iter_next(iter)) {
            const stem_array_view *array = &stem_iter_value(iter)->as.array;
            int i = atoi(stem_iter_key(iter));
            size_t size = stem_dtype_size(array->dtype);

            ck_assert_int_eq(array->dtype, dtypes[i % 4]);
            ck_assert_uint_eq(array->count, (uint64_t)(i % 17));
            ck_assert_uint_eq((uintptr_t)array->data % (size < 8 ? size : 8), 0);
            ck_assert_uint_eq((uintptr_t)array->shape % 8, 0);
            ck_assert_uint_eq(array->shape[0], array->count);
            ck_assert_mem_eq(array->data, data, array->count * size);
        }
        assert_ok(stem_iter_close(iter));
        if (mode == 3)
            assert_ok(stem_compact(db));
    }
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(an_array_in_another_ext_form_is_copied_and_aligned)
{
    /* ext8: the header is shorter than Stem's own, so the data lies elsewhere. */
    unsigned char stored[3 + 26 + 16] = {0xC7, 26 + 16, 78, STEM_F64, 1, 2};
    const double data[] = {0.5, 7.0};
    stem_db *db = open_new();
    stem_value value;

    memcpy(stored + 3 + 10, data, sizeof data);
    assert_ok(stem_close(db));
    put_raw("a", 1, stored, 3 + 10 + 16);
    stored[1] = 10 + 16;
    put_raw("b", 1, stored, 3 + 10 + 16);
    assert_ok(stem_open(&db, location, NULL));
    assert_code(stem_get_array(db, "a", STEM_F64, &value), STEM_ECORRUPT);
    assert_ok(stem_del(db, "a"));
    assert_ok(stem_get_array(db, "b", STEM_F64, &value));
    ck_assert_mem_eq(value.as.array.data, data, sizeof data);
    stem_value_free(&value);
    for (int i = 0; i < 2; i++) {
        stem_iter *iter = i ? stem_children(db, NULL) : stem_iter_open(db, NULL);

        ck_assert(stem_iter_next(iter));
        ck_assert_uint_eq((uintptr_t)stem_iter_value(iter)->as.array.data % 8, 0);
        ck_assert_mem_eq(stem_iter_value(iter)->as.array.data, data, sizeof data);
        ck_assert(!stem_iter_next(iter));
        assert_ok(stem_iter_close(iter));
    }
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(
    without_values_there_is_no_value_and_nothing_before_the_first_or_after_the_last)
{
    stem_db *db = open_new();
    size_t n = 9;

    assert_ok(stem_put(db, "k", 1));
    stem_iter *iter = stem_iter_open(db, STEM_RANGE(.keys_only = true));
    for (int i = 0; i < 3; i++) {
        bool is_there = i == 1;

        if (i > 0)
            ck_assert(stem_iter_next(iter) == is_there);
        ck_assert(!stem_iter_key(iter) == !is_there);
        ck_assert(!stem_iter_path(iter, &n) == !is_there);
        ck_assert_ptr_null(stem_iter_value(iter));
        ck_assert_int_eq(stem_iter_kind(iter), is_there ? STEM_HAS_VALUE : 0);
    }
    ck_assert_uint_eq(n, 1);
    ck_assert(!stem_iter_next(iter));
    assert_ok(stem_iter_close(iter));
    assert_ok(stem_close(db));
}
END_TEST

/* ---- Damage, and what is not the application's ------------------------------------ */

START_TEST(a_damaged_value_ends_the_walk_and_names_the_place)
{
    stem_db *db = open_new(), *sub;
    uint64_t count;
    int type;

    sub = stem_sub(db, "s");
    for (int i = 0; i < 5; i++)
        assert_ok(stem_put(sub, byte_name('a' + i), i));
    stem_close(sub);
    stem_close(db);
    put_raw("s\0c", 3, "\x93\x01", 2);
    assert_ok(stem_open(&db, location, NULL));
    sub = stem_sub(db, "s");
    for (int mode = 0; mode < 4; mode++) {
        const stem_range *range = STEM_RANGE(.reverse = mode & 1);
        stem_iter *iter =
            mode & 2 ? stem_children(sub, range) : stem_iter_open(sub, range);
        int steps = 0;

        while (stem_iter_next(iter))
            steps++;
        ck_assert_int_eq(steps, 2);
        ck_assert(!stem_iter_next(iter));
        ck_assert_ptr_null(stem_iter_key(iter));
        ck_assert_ptr_null(stem_iter_value(iter));
        assert_code(stem_iter_seek(iter, NULL, 0), STEM_ECORRUPT);
        ck_assert(!stem_iter_next(iter));
        assert_code(stem_errcode(), STEM_ECORRUPT);
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "s/c"));
        assert_code(stem_iter_close(iter), STEM_ECORRUPT);
    }
    /* Keys are not in doubt. */
    assert_ok(stem_count(sub, NULL, &count));
    ck_assert_uint_eq(count, 5);
    assert_ok(stem_has(sub, "c"));
    assert_ok(stem_type(sub, "c", &type));
    ck_assert_int_eq(type, STEM_LIST);
    stem_close(sub);
    stem_close(db);
}
END_TEST

START_TEST(records_of_stems_own_are_shown_to_nobody)
{
    stem_db *db = open_new();
    uint64_t count = 9;

    assert_ok(stem_close(db));
    put_raw("\0stem", 5, "\x01", 1);
    put_raw("\0", 1, "\x01", 1);
    assert_ok(stem_open(&db, location, NULL));
    assert_ok(stem_count(db, NULL, &count));
    ck_assert_uint_eq(count, 0);
    assert_ok(stem_put(db, "\x01", 1));
    for (int mode = 0; mode < 4; mode++) {
        const stem_range *range = STEM_RANGE(.reverse = mode & 1);
        stem_iter *iter = mode & 2 ? stem_children(db, range) : stem_iter_open(db, range);

        ck_assert(stem_iter_next(iter));
        ck_assert_str_eq(stem_iter_key(iter), "\x01");
        ck_assert(!stem_iter_next(iter));
        assert_ok(stem_iter_close(iter));
    }
    assert_ok(stem_close(db));
}
END_TEST

/* ---- Children --------------------------------------------------------------------- */

START_TEST(each_name_is_given_once_with_what_is_there)
{
    static const struct {
        const char *name;
        int kind;
    } expected[] = {{"a", STEM_HAS_VALUE},
                    {"a\x01", STEM_HAS_VALUE | STEM_HAS_CHILDREN},
                    {"a\x01\x01", STEM_HAS_CHILDREN},
                    {"a!", STEM_HAS_CHILDREN},
                    {"ab", STEM_HAS_VALUE},
                    {"b", STEM_HAS_VALUE | STEM_HAS_CHILDREN},
                    {"\xff", STEM_HAS_VALUE | STEM_HAS_CHILDREN},
                    {"\xff\xff", STEM_HAS_CHILDREN}};
    enum { N = sizeof expected / sizeof *expected };
    stem_db *db = open_new();
    stem_db *place = stem_sub(db, "place");

    for (int i = 0; i < N; i++) {
        stem_db *child = stem_sub(place, expected[i].name);

        if (expected[i].kind & STEM_HAS_VALUE)
            assert_ok(stem_put(place, expected[i].name, i));
        for (int j = 0; j < 40 && expected[i].kind & STEM_HAS_CHILDREN; j++)
            assert_ok(stem_put(child, byte_name(j + 1), -1));
        assert_ok(stem_close(child));
    }
    for (int mode = 0; mode < 4; mode++) {
        bool reverse = mode & 1, keys_only = mode & 2;
        stem_iter *iter =
            stem_children(place, STEM_RANGE(.reverse = reverse, .keys_only = keys_only));

        for (int step = 0; step < N; step++) {
            int i = reverse ? N - 1 - step : step;
            const stem_value *value;

            ck_assert(stem_iter_next(iter));
            ck_assert_str_eq(stem_iter_key(iter), expected[i].name);
            ck_assert_int_eq(stem_iter_kind(iter), expected[i].kind);
            value = stem_iter_value(iter);
            if (keys_only || !(expected[i].kind & STEM_HAS_VALUE))
                ck_assert_ptr_null(value);
            else
                ck_assert_int_eq(value->as.integer, i);
        }
        ck_assert(!stem_iter_next(iter));
        assert_ok(stem_iter_close(iter));
    }
    assert_ok(stem_close(place));
    assert_ok(stem_close(db));
}
END_TEST

/* ---- Lifetimes -------------------------------------------------------------------- */

START_TEST(an_iterator_outlives_the_handles_and_closes_the_engine)
{
    stem_db *db = open_new(), *sub, *frozen;
    stem_iter *iter;

    sub = stem_sub(db, "s");
    for (int i = 0; i < 100; i++)
        assert_ok(stem_put(sub, byte_name(i + 1), i));
    frozen = stem_snapshot(sub);
    iter = stem_iter_open(frozen, NULL);
    ck_assert(stem_iter_next(iter));
    assert_ok(stem_close(db));
    assert_ok(stem_close(frozen));
    assert_ok(stem_put(sub, "new", 1));
    assert_ok(stem_close(sub));
    for (int i = 1; i < 100; i++) {
        ck_assert(stem_iter_next(iter));
        ck_assert_int_eq(stem_iter_value(iter)->as.integer, i);
    }
    assert_ok(stem_iter_seek(iter, NULL, 0));
    ck_assert(stem_iter_next(iter));
    assert_code(stem_destroy(location), STEM_ELOCKED);
    assert_ok(stem_iter_close(iter));
    assert_ok(stem_destroy(location));
}
END_TEST

START_TEST(size_tells_tables_from_logs_and_compaction_brings_space_back)
{
    char text[1000];
    stem_size_info size = {0}, part = {0}, none = {0};
    stem_db *db = open_new();
    stem_db *half = stem_sub(db, "half"), *nothing = stem_sub(db, "nothing");

    for (size_t i = 0; i < 2000; i++) {
        char key[16];

        for (size_t j = 0; j < sizeof text; j++)
            text[j] = (char)(i * 2654435761u >> (j % 24));
        snprintf(key, sizeof key, "%zu", i);
        assert_ok(stem_put(i % 2 ? half : db, key, stem_bin(text, sizeof text)));
    }
    assert_ok(stem_size(db, &size));
    ck_assert_uint_gt(size.log_bytes + size.table_bytes, 2000000);
    assert_ok(stem_compact(db));
    assert_ok(stem_size(db, &size));
    assert_ok(stem_size(half, &part));
    assert_ok(stem_size(nothing, &none));
    ck_assert_uint_gt(size.table_bytes, 0);
    ck_assert_uint_gt(part.table_bytes, size.table_bytes / 3);
    ck_assert_uint_lt(part.table_bytes, size.table_bytes * 2 / 3);
    ck_assert_uint_lt(none.table_bytes, 10000);

    stem_iter *iter = stem_iter_open(half, STEM_RANGE(.keys_only = true));
    while (stem_iter_next(iter))
        assert_ok(stem_del(half, stem_iter_key(iter)));
    assert_ok(stem_iter_close(iter));
    assert_ok(stem_compact(half));
    assert_ok(stem_size(half, &part));
    ck_assert_uint_lt(part.table_bytes, 20000);
    stem_close(nothing);
    stem_close(half);
    stem_close(db);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("iter_values");
    TCase *values = add_case(suite, "values", 60);
    TCase *damage = add_case(suite, "damage", 60);
    TCase *lives = add_case(suite, "lives", 60);

    tcase_add_test(values, a_value_of_every_type_comes_back_in_both_directions);
    tcase_add_test(values, a_string_ends_with_a_nul_in_walks_and_among_children);
    tcase_add_test(values, array_data_is_aligned_wherever_the_entry_lies);
    tcase_add_test(values, an_array_in_another_ext_form_is_copied_and_aligned);
    tcase_add_test(
        values,
        without_values_there_is_no_value_and_nothing_before_the_first_or_after_the_last);
    tcase_add_test(values, each_name_is_given_once_with_what_is_there);
    tcase_add_test(damage, a_damaged_value_ends_the_walk_and_names_the_place);
    tcase_add_test(damage, records_of_stems_own_are_shown_to_nobody);
    tcase_add_test(lives, an_iterator_outlives_the_handles_and_closes_the_engine);
    tcase_add_test(lives, size_tells_tables_from_logs_and_compaction_brings_space_back);
    return run_suite(suite);
}
