/*
 * Walking lists and maps, of sound bytes and of bytes that nobody vouches for.
 */
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "failing_malloc.h"
#include "support.h"
#include "value.h"

static msgpack_sbuffer packed;
static msgpack_packer packer;

static void setup(void)
{
    msgpack_sbuffer_init(&packed);
    msgpack_packer_init(&packer, &packed, msgpack_sbuffer_write);
}

static void teardown(void)
{
    msgpack_sbuffer_destroy(&packed);
}

/* The value that has been packed, read from where it lies. */
static stem_value decoded(void)
{
    stem_value value;

    assert_ok(stem_decode(packed.data, packed.size, &value));
    return value;
}

START_TEST(a_list_is_walked_in_order)
{
    stem_cursor cursor;
    stem_value list;
    stem_value value;
    int64_t n = 0;

    msgpack_pack_array(&packer, 1000);
    for (int i = 0; i < 1000; i++)
        msgpack_pack_int(&packer, i);
    list = decoded();
    ck_assert_uint_eq(list.as.packed.count, 1000);
    assert_ok(stem_cursor_init(&cursor, &list));
    while (stem_cursor_next(&cursor, NULL, &value)) {
        ck_assert_int_eq(value.type, STEM_INT);
        ck_assert_int_eq(value.as.integer, n++);
    }
    ck_assert_int_eq(n, 1000);
    ck_assert_int_eq(cursor.code, STEM_OK);
    ck_assert(!stem_cursor_next(&cursor, NULL, &value));
}
END_TEST

START_TEST(a_map_gives_keys_of_any_type_with_their_values)
{
    stem_cursor cursor;
    stem_value map;
    stem_value key;
    stem_value value;

    msgpack_pack_map(&packer, 2);
    msgpack_pack_str_with_body(&packer, "a", 1);
    msgpack_pack_true(&packer);
    msgpack_pack_int(&packer, 7);
    msgpack_pack_nil(&packer);
    map = decoded();
    assert_ok(stem_cursor_init(&cursor, &map));
    ck_assert(stem_cursor_next(&cursor, &key, &value));
    ck_assert_int_eq(key.type, STEM_STR);
    ck_assert_int_eq(value.type, STEM_BOOL);
    ck_assert(stem_cursor_next(&cursor, &key, &value));
    ck_assert_int_eq(key.as.integer, 7);
    ck_assert_int_eq(value.type, STEM_NIL);
    ck_assert(!stem_cursor_next(&cursor, &key, &value));
    ck_assert_int_eq(cursor.code, STEM_OK);
    assert_ok(stem_cursor_init(&cursor, &map));
    ck_assert(stem_cursor_next(&cursor, NULL, &value));
    ck_assert(stem_cursor_next(&cursor, NULL, &value));
    ck_assert(!stem_cursor_next(&cursor, NULL, &value));
}
END_TEST

START_TEST(a_list_leaves_the_key_alone)
{
    const stem_value list = stem_packed("\x91\1", 2);
    stem_cursor cursor;
    stem_value key = stem_int(5);
    stem_value value;

    assert_ok(stem_cursor_init(&cursor, &list));
    ck_assert(stem_cursor_next(&cursor, &key, &value));
    ck_assert_int_eq(key.as.integer, 5);
}
END_TEST

START_TEST(empty_containers_end_at_once)
{
    stem_value containers[] = {stem_packed("\x90", 1), stem_packed("\x80", 1),
                               stem_packed("\xDD\0\0\0\0", 5)};
    stem_cursor cursor;
    stem_value value;

    for (size_t i = 0; i < sizeof containers / sizeof *containers; i++) {
        assert_ok(stem_cursor_init(&cursor, &containers[i]));
        ck_assert(!stem_cursor_next(&cursor, NULL, &value));
        ck_assert_int_eq(cursor.code, STEM_OK);
    }
}
END_TEST

/* The sum of all integers below, keys included. */
static int64_t sum(const stem_value *container)
{
    stem_cursor cursor;
    stem_value values[2];
    int64_t total = 0;

    assert_ok(stem_cursor_init(&cursor, container));
    values[0] = stem_nil();
    while (stem_cursor_next(&cursor, &values[0], &values[1])) {
        for (int i = 0; i < 2; i++) {
            if (values[i].type == STEM_INT)
                total += values[i].as.integer;
            else if (values[i].type == STEM_LIST || values[i].type == STEM_MAP)
                total += sum(&values[i]);
        }
    }
    ck_assert_int_eq(cursor.code, STEM_OK);
    return total;
}

START_TEST(containers_inside_are_values_of_their_own)
{
    const stem_value value =
        stem_packed("\x94\1\x92\2\x91\3\x82\4\5\x81\6\7\x90\x08", 14);

    ck_assert_int_eq(sum(&value), 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8);
}
END_TEST

START_TEST(all_128_levels_can_be_walked)
{
    stem_cursor cursor;
    stem_value value;
    int levels = 0;

    for (int i = 0; i < STEM_DEPTH_MAX; i++)
        msgpack_pack_array(&packer, 1);
    msgpack_pack_int(&packer, 5);
    for (value = decoded(); value.type == STEM_LIST; levels++) {
        assert_ok(stem_cursor_init(&cursor, &value));
        ck_assert(stem_cursor_next(&cursor, NULL, &value));
        ck_assert(!stem_cursor_next(&cursor, NULL, &value));
    }
    ck_assert_int_eq(levels, STEM_DEPTH_MAX);
    ck_assert_int_eq(value.as.integer, 5);
}
END_TEST

/* A map of one pair whose key and value are arrays of three u8. */
static const char arrays[] = "\x81\xC7\x0D\x4E\3\1\3\0\0\0\0\0\0\0\1\2\3"
                             "\xC7\x0D\x4E\3\1\3\0\0\0\0\0\0\0\4\5\6";

START_TEST(arrays_inside_are_copied_when_unaligned)
{
    unsigned char *room = aligned_alloc(16, 64);
    stem_cursor cursor;
    stem_value key;
    stem_value value;

    for (size_t shift = 0; shift < 16; shift++) {
        stem_value map;

        memcpy(room + shift, arrays, sizeof arrays);
        map = stem_packed(room + shift, sizeof arrays - 1);
        assert_ok(stem_cursor_init(&cursor, &map));
        ck_assert(stem_cursor_next(&cursor, &key, &value));
        ck_assert_mem_eq(key.as.array.data, "\1\2\3", 3);
        ck_assert_mem_eq(value.as.array.data, "\4\5\6", 3);
        ck_assert_uint_eq(value.as.array.shape[0], 3);
        ck_assert_uint_eq((uintptr_t)key.as.array.shape % 8, 0);
        ck_assert_uint_eq((uintptr_t)value.as.array.shape % 8, 0);
        stem_value_free(&key);
        stem_value_free(&value);
        /* A key nobody asks for is released by the cursor. */
        assert_ok(stem_cursor_init(&cursor, &map));
        ck_assert(stem_cursor_next(&cursor, NULL, &value));
        stem_value_free(&value);
        ck_assert(!stem_cursor_next(&cursor, NULL, &value));
        ck_assert_int_eq(cursor.code, STEM_OK);
    }
    free(room);
}
END_TEST

START_TEST(no_memory_for_an_array_ends_the_walk)
{
    unsigned char *room = aligned_alloc(16, 64);
    stem_cursor cursor;
    stem_value map;
    stem_value value = stem_int(5);
    bool is_there;

    memcpy(room, arrays, sizeof arrays);
    map = stem_packed(room, sizeof arrays - 1);
    assert_ok(stem_cursor_init(&cursor, &map));
    out_of_memory(is_there = stem_cursor_next(&cursor, NULL, &value));
    ck_assert(!is_there);
    ck_assert_int_eq(cursor.code, STEM_ENOMEM);
    ck_assert_int_eq(value.type, STEM_INT);
    ck_assert(!stem_cursor_next(&cursor, NULL, &value));
    ck_assert_int_eq(cursor.code, STEM_ENOMEM);
    free(room);
}
END_TEST

START_TEST(a_value_that_holds_none_is_etype)
{
    stem_value values[] = {stem_nil(),       stem_int(1),         stem_str("x"),
                           stem_bin("x", 1), stem_ext(1, "x", 1), {.type = 99}};
    stem_cursor cursor;
    stem_value value = stem_int(5);

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        assert_code(stem_cursor_init(&cursor, &values[i]), STEM_ETYPE);
        /* Walked all the same, it is empty. */
        ck_assert(!stem_cursor_next(&cursor, NULL, &value));
        ck_assert_int_eq(cursor.code, STEM_ETYPE);
        ck_assert_int_eq(value.type, STEM_INT);
    }
}
END_TEST

START_TEST(damaged_heads_are_corrupt)
{
    stem_value values[] = {stem_packed("", 0),
                           stem_packed("\x95\1", 2),
                           stem_packed("\xC1", 1),
                           stem_packed("\xDC\0", 2),
                           {.type = STEM_MAP, .as.packed = {"\5", 1, 1}}};
    stem_cursor cursor;
    stem_value value;

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        assert_code(stem_cursor_init(&cursor, &values[i]), STEM_ECORRUPT);
        ck_assert(!stem_cursor_next(&cursor, NULL, &value));
        ck_assert_int_eq(cursor.code, STEM_ECORRUPT);
    }
}
END_TEST

static const struct {
    const char *bytes;
    size_t len;
    int sound; /* steps before the damage */
} damaged[] = {
    {"\x92\1\xA5z", 4, 1},
    {"\x92\1\xC1", 3, 1},
    {"\x91\x91\x91", 3, 0},
    {"\x91\1\2", 3, 1},
    {"\x82\1\2\3", 4, 0},
    {"\x81\1\xA5z", 4, 0},
    {"\x82\1\2\3\xD4", 5, 1},
    {"\x92\x91\1\xD4\xFFx", 6, 1},
    {"\x81\xC7\x0D\x4E\3\1\3\0\0\0\0\0\0\0\1\2\3\xC1", 18, 0},
};

START_TEST(damage_inside_ends_the_walk)
{
    char *bytes = malloc(damaged[_i].len);
    stem_value container;
    stem_cursor cursor;
    stem_value key;
    stem_value value;
    int steps = 0;

    memcpy(bytes, damaged[_i].bytes, damaged[_i].len);
    container = stem_packed(bytes, damaged[_i].len);
    if (stem_cursor_init(&cursor, &container) == STEM_OK) {
        while (stem_cursor_next(&cursor, &key, &value))
            steps++;
    }
    ck_assert_int_eq(steps, damaged[_i].sound);
    ck_assert_int_eq(cursor.code, STEM_ECORRUPT);
    ck_assert_int_eq(stem_errcode(), STEM_ECORRUPT);
    ck_assert(!stem_cursor_next(&cursor, &key, &value));
    free(bytes);
}
END_TEST

START_TEST(null_arguments_are_refused)
{
    const stem_value list = stem_packed("\x91\1", 2);
    stem_cursor cursor;
    stem_value value;

    assert_code(stem_cursor_init(NULL, &list), STEM_EINVAL);
    assert_code(stem_cursor_init(&cursor, NULL), STEM_EINVAL);
    ck_assert(!stem_cursor_next(&cursor, NULL, &value));
    ck_assert_int_eq(cursor.code, STEM_EINVAL);
    ck_assert(!stem_cursor_next(NULL, NULL, &value));
    assert_ok(stem_cursor_init(&cursor, &list));
    ck_assert(!stem_cursor_next(&cursor, NULL, NULL));
    ck_assert_int_eq(cursor.code, STEM_EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cursor");
    TCase *tcase = add_case(suite, "walking", 20);

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_list_is_walked_in_order);
    tcase_add_test(tcase, a_map_gives_keys_of_any_type_with_their_values);
    tcase_add_test(tcase, a_list_leaves_the_key_alone);
    tcase_add_test(tcase, empty_containers_end_at_once);
    tcase_add_test(tcase, containers_inside_are_values_of_their_own);
    tcase_add_test(tcase, all_128_levels_can_be_walked);
    tcase = add_case(suite, "arrays", 20);
    tcase_add_test(tcase, arrays_inside_are_copied_when_unaligned);
    tcase_add_test(tcase, no_memory_for_an_array_ends_the_walk);
    tcase = add_case(suite, "refusals", 20);
    tcase_add_test(tcase, a_value_that_holds_none_is_etype);
    tcase_add_test(tcase, damaged_heads_are_corrupt);
    tcase_add_loop_test(tcase, damage_inside_ends_the_walk, 0,
                        sizeof damaged / sizeof *damaged);
    tcase_add_test(tcase, null_arguments_are_refused);
    return run_suite(suite);
}
