/*
 * Arrays at hand: an ARRAY as it is, and the map that Python's msgpack-numpy writes.
 */
#include <complex.h>
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

static void pack_text(const char *text, bool as_bin)
{
    if (as_bin)
        msgpack_pack_bin_with_body(&packer, text, strlen(text));
    else
        msgpack_pack_str_with_body(&packer, text, strlen(text));
}

/* An ndarray as msgpack-numpy packs it; Python's older wire form has texts as str. */
typedef struct ndarray {
    const char *type;
    const int64_t *shape;
    size_t ndim;
    const void *data;
    size_t len;
    const char *kind;
    bool not_nd;
    bool as_str;
    bool reversed;
} ndarray;

static void pack_member(const ndarray *array, int member)
{
    bool as_bin = !array->as_str;

    switch (member) {
    case 0:
        pack_text("nd", as_bin);
        if (array->not_nd)
            msgpack_pack_false(&packer);
        else
            msgpack_pack_true(&packer);
        break;
    case 1:
        pack_text("type", as_bin);
        pack_text(array->type, false);
        break;
    case 2:
        pack_text("kind", as_bin);
        pack_text(array->kind ? array->kind : "", as_bin);
        break;
    case 3:
        pack_text("shape", as_bin);
        msgpack_pack_array(&packer, array->ndim);
        for (size_t i = 0; i < array->ndim; i++)
            msgpack_pack_int64(&packer, array->shape[i]);
        break;
    default:
        pack_text("data", as_bin);
        if (array->as_str)
            msgpack_pack_str_with_body(&packer, array->data, array->len);
        else
            msgpack_pack_bin_with_body(&packer, array->data, array->len);
        break;
    }
}

/* The map, which lies in `packed` until the next call. */
static stem_value pack(ndarray array)
{
    msgpack_sbuffer_clear(&packed);
    msgpack_pack_map(&packer, 5);
    for (int i = 0; i < 5; i++)
        pack_member(&array, array.reversed ? 4 - i : i);
    return stem_packed(packed.data, packed.size);
}

static const int64_t shape_6[] = {6};
static const int64_t shape_2_3[] = {2, 3};

START_TEST(an_ndarray_is_read_and_copied)
{
    const float data[6] = {1, 2, 3, 4, 5, 6};
    const uint64_t shape[2] = {2, 3};
    stem_value map = pack((ndarray){.type = "<f4",
                                    .shape = shape_2_3,
                                    .ndim = 2,
                                    .data = data,
                                    .len = sizeof data,
                                    .as_str = _i & 1,
                                    .reversed = _i & 2});
    stem_value array;

    assert_ok(stem_as_array(&map, STEM_F32, &array));
    ck_assert_int_eq(array.type, STEM_ARRAY);
    ck_assert_int_eq(array.as.array.dtype, STEM_F32);
    ck_assert_int_eq(array.as.array.ndim, 2);
    ck_assert_uint_eq(array.as.array.count, 6);
    ck_assert_mem_eq(array.as.array.shape, shape, sizeof shape);
    ck_assert_mem_eq(array.as.array.data, data, sizeof data);
    ck_assert_ptr_nonnull(array.owned);
    ck_assert_uint_eq((uintptr_t)array.as.array.data % 16, 0);
    stem_value_free(&array);
}
END_TEST

static const struct {
    const char *type;
    int dtype;
} types[] = {{"|b1", STEM_B8},  {"|i1", STEM_I8},   {"|u1", STEM_U8},  {"<i2", STEM_I16},
             {"<u2", STEM_U16}, {"<i4", STEM_I32},  {"<u4", STEM_U32}, {"<i8", STEM_I64},
             {"<u8", STEM_U64}, {"<f2", STEM_F16},  {"<f4", STEM_F32}, {"<f8", STEM_F64},
             {"<c8", STEM_C64}, {"<c16", STEM_C128}};

START_TEST(every_element_type_is_known)
{
    char data[6 * 16] = "some bytes, no matter which";
    stem_value map = pack((ndarray){.type = types[_i].type,
                                    .shape = shape_6,
                                    .ndim = 1,
                                    .data = data,
                                    .len = 6 * stem_dtype_size(types[_i].dtype)});
    stem_value array;

    assert_ok(stem_as_array(&map, STEM_ANY, &array));
    ck_assert_int_eq(array.as.array.dtype, types[_i].dtype);
    ck_assert_mem_eq(array.as.array.data, data, 6 * stem_dtype_size(types[_i].dtype));
    stem_value_free(&array);
}
END_TEST

START_TEST(big_endian_numbers_are_turned_round)
{
    const unsigned char halves[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const unsigned char complex_one_two[16] = {0x3F, 0xF0, 0, 0, 0, 0, 0, 0,
                                               0x40, 0,    0, 0, 0, 0, 0, 0};
    stem_value map = pack(
        (ndarray){.type = ">u2", .shape = shape_6, .ndim = 1, .data = halves, .len = 12});
    stem_value array;

    assert_ok(stem_as_array(&map, STEM_U16, &array));
    ck_assert_uint_eq(((const uint16_t *)array.as.array.data)[0], 0x0102);
    ck_assert_uint_eq(((const uint16_t *)array.as.array.data)[5], 0x0B0C);
    stem_value_free(&array);
    map = pack((ndarray){.type = ">c16",
                         .shape = (int64_t[]){1},
                         .ndim = 1,
                         .data = complex_one_two,
                         .len = 16});
    assert_ok(stem_as_array(&map, STEM_C128, &array));
    ck_assert(creal(*(const double _Complex *)array.as.array.data) == 1.0);
    ck_assert(cimag(*(const double _Complex *)array.as.array.data) == 2.0);
    stem_value_free(&array);
    map = pack((ndarray){
        .type = ">u1", .shape = shape_6, .ndim = 1, .data = "abcdef", .len = 6});
    assert_ok(stem_as_array(&map, STEM_U8, &array));
    ck_assert_mem_eq(array.as.array.data, "abcdef", 6);
    stem_value_free(&array);
}
END_TEST

START_TEST(an_empty_ndarray_is_an_empty_array)
{
    stem_value map = pack((ndarray){
        .type = "<f8", .shape = (int64_t[]){3, 0}, .ndim = 2, .data = "", .len = 0});
    stem_value array;

    assert_ok(stem_as_array(&map, STEM_F64, &array));
    ck_assert_uint_eq(array.as.array.count, 0);
    ck_assert_uint_eq(array.as.array.shape[0], 3);
    stem_value_free(&array);
}
END_TEST

static void assert_refused(stem_value map, int code)
{
    stem_value array = stem_int(5);

    assert_code(stem_as_array(&map, STEM_ANY, &array), code);
    ck_assert_int_eq(array.type, STEM_INT);
}

START_TEST(data_that_does_not_fit_the_shape_is_corrupt)
{
    const int64_t wraps[] = {INT64_C(1) << 62, 8};
    ndarray array = {
        .type = "<i2", .shape = shape_6, .ndim = 1, .data = "0123456789abcd"};

    for (array.len = 0; array.len <= 14; array.len++) {
        if (array.len != 12)
            assert_refused(pack(array), STEM_ECORRUPT);
    }
    array.len = 0;
    array.shape = wraps;
    array.ndim = 2;
    assert_refused(pack(array), STEM_ECORRUPT);
}
END_TEST

START_TEST(element_types_that_stem_does_not_have_are_etype)
{
    static const char *const unknown[] = {"<U4", "|S5", "|O",  "<M8[ns]", "<m8", "|V8",
                                          "f4",  "",    "<f",  "<f16",    "|f4", "<f4 ",
                                          "?f4", "<b2", "<c4", "<x4"};

    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        assert_refused(pack((ndarray){.type = unknown[i],
                                      .shape = shape_6,
                                      .ndim = 1,
                                      .data = "012345678901234567890123",
                                      .len = 24}),
                       STEM_ETYPE);
    }
}
END_TEST

START_TEST(other_shapes_are_etype)
{
    int64_t ones[STEM_NDIM_MAX + 1];
    ndarray array = {.type = "|u1", .shape = ones, .data = "x", .len = 1};
    stem_value value;
    stem_value map;

    for (int i = 0; i <= STEM_NDIM_MAX; i++)
        ones[i] = 1;
    array.ndim = 0;
    assert_refused(pack(array), STEM_ETYPE);
    array.ndim = STEM_NDIM_MAX + 1;
    assert_refused(pack(array), STEM_ETYPE);
    array.ndim = STEM_NDIM_MAX;
    map = pack(array);
    assert_ok(stem_as_array(&map, STEM_U8, &value));
    ck_assert_int_eq(value.as.array.ndim, STEM_NDIM_MAX);
    stem_value_free(&value);
    ones[3] = -1;
    assert_refused(pack(array), STEM_ETYPE);
}
END_TEST

START_TEST(numpy_scalars_and_structures_are_etype)
{
    ndarray array = {
        .type = "|u1", .shape = shape_6, .ndim = 1, .data = "abcdef", .len = 6};

    array.not_nd = true;
    assert_refused(pack(array), STEM_ETYPE);
    array.not_nd = false;
    array.kind = "V";
    assert_refused(pack(array), STEM_ETYPE);
}
END_TEST

START_TEST(other_maps_are_etype)
{
    const char *const maps[] = {
        "\x80",
        "\x81\xA2nd\xC3",
        "\x85\1\2\3\4\5\6\7\x08\x09\x0A",
        "\x85\xA2nd\xC3\xA2nd\xC3\xA2nd\xC3\xA2nd\xC3\xA2nd\xC3",
        "\x85\xA2nd\xC3\xA4type\xA3|u1\xA4kind\xA0\xA5shape\x91\1\xA4"
        "dato\xA1x",
        "\x85\xA2nd\1\xA4type\xA3|u1\xA4kind\xA0\xA5shape\x91\1\xA4"
        "data\xA1x",
        "\x85\xA2nd\xC3\xA4type\5\xA4kind\xA0\xA5shape\x91\1\xA4"
        "data\xA1x",
        "\x85\xA2nd\xC3\xA4type\xA3|u1\xA4kind\xC2\xA5shape\x91\1\xA4"
        "data\xA1x",
        "\x85\xA2nd\xC3\xA4type\xA3|u1\xA4kind\xA0\xA5shape\1\xA4"
        "data\xA1x",
        "\x85\xA2nd\xC3\xA4type\xA3|u1\xA4kind\xA0\xA5shape\x91\xA1z\xA4"
        "data\xA1x",
        "\x85\xA2nd\xC3\xA4type\xA3|u1\xA4kind\xA0\xA5shape\x91\1\xA4"
        "data\x91\1",
    };

    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        assert_refused(stem_packed(maps[i], strlen(maps[i])), STEM_ETYPE);
}
END_TEST

/* An array that no buffer aligns, 13 bytes long. */
#define ARRAY "\xC7\x0B\x4E\3\1\1\0\0\0\0\0\0\0\7"

START_TEST(maps_with_arrays_inside_are_etype_and_released)
{
    static const char as_value[] =
        "\x85\xA2nd\xC3\xA4type\xA3|u1\xA4kind\xA0\xA5shape\x91"
        "\1\xA4"
        "data" ARRAY;
    static const char as_key[] = "\x85" ARRAY "\1\1\2\3\4\5\6\7\x08";
    static const char as_extent[] =
        "\x85\xA2nd\xC3\xA4type\xA3|u1\xA4kind\xA0\xA5shape\x91" ARRAY "\xA4"
        "data\xA1x";

    assert_refused(stem_packed(as_value, sizeof as_value - 1), STEM_ETYPE);
    assert_refused(stem_packed(as_key, sizeof as_key - 1), STEM_ETYPE);
    assert_refused(stem_packed(as_extent, sizeof as_extent - 1), STEM_ETYPE);
}
END_TEST

START_TEST(a_damaged_map_is_corrupt)
{
    assert_refused(stem_packed("\x85\xA2nd\xC3\xA4type\xA3|u1\xC1xxxxxx", 19),
                   STEM_ECORRUPT);
}
END_TEST

START_TEST(an_array_is_lent_as_it_is)
{
    const double data[4] = {1, 2, 3, 4};
    const uint64_t shape[2] = {2, 2};
    stem_value value = stem_array(STEM_F64, data, 2, shape);
    stem_value array;

    value.owned = malloc(1);
    assert_ok(stem_as_array(&value, STEM_ANY, &array));
    ck_assert_ptr_null(array.owned);
    ck_assert_ptr_eq(array.as.array.data, data);
    ck_assert_ptr_eq(array.as.array.shape, shape);
    assert_ok(stem_as_array(&value, STEM_F64, &array));
    assert_code(stem_as_array(&value, STEM_F32, &array), STEM_ETYPE);
    ck_assert_str_eq(stem_errmsg(), "the array's elements are f64, not f32");
    stem_value_free(&value);
    value = stem_array1(STEM_F64, data, 4);
    assert_ok(stem_as_array(&value, STEM_F64, &array));
    ck_assert_uint_eq(array.as.array.shape[0], 4);
}
END_TEST

START_TEST(other_types_are_etype)
{
    const stem_value list = stem_packed("\x91\1", 2);
    const stem_value integer = stem_int(1);
    stem_value array;

    assert_code(stem_as_array(&list, STEM_ANY, &array), STEM_ETYPE);
    assert_code(stem_as_array(&integer, STEM_ANY, &array), STEM_ETYPE);
    ck_assert_str_eq(stem_errmsg(), "the value is of type int, not an array");
    assert_code(stem_as_array(&integer, 16, &array), STEM_EINVAL);
    assert_code(stem_as_array(&integer, -1, &array), STEM_EINVAL);
}
END_TEST

START_TEST(another_element_type_is_etype)
{
    stem_value map = pack((ndarray){
        .type = "|u1", .shape = shape_6, .ndim = 1, .data = "abcdef", .len = 6});
    stem_value array;

    assert_code(stem_as_array(&map, STEM_I8, &array), STEM_ETYPE);
}
END_TEST

START_TEST(no_memory_is_told)
{
    stem_value map = pack((ndarray){
        .type = "|u1", .shape = shape_6, .ndim = 1, .data = "abcdef", .len = 6});
    stem_value array;
    int code;

    out_of_memory(code = stem_as_array(&map, STEM_ANY, &array));
    assert_code(code, STEM_ENOMEM);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("numpy");
    TCase *tcase = add_case(suite, "maps", 20);

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, an_ndarray_is_read_and_copied, 0, 4);
    tcase_add_loop_test(tcase, every_element_type_is_known, 0,
                        sizeof types / sizeof *types);
    tcase_add_test(tcase, big_endian_numbers_are_turned_round);
    tcase_add_test(tcase, an_empty_ndarray_is_an_empty_array);
    tcase_add_test(tcase, data_that_does_not_fit_the_shape_is_corrupt);
    tcase_add_test(tcase, element_types_that_stem_does_not_have_are_etype);
    tcase_add_test(tcase, other_shapes_are_etype);
    tcase_add_test(tcase, numpy_scalars_and_structures_are_etype);
    tcase_add_test(tcase, other_maps_are_etype);
    tcase_add_test(tcase, maps_with_arrays_inside_are_etype_and_released);
    tcase_add_test(tcase, a_damaged_map_is_corrupt);
    tcase_add_test(tcase, another_element_type_is_etype);
    tcase_add_test(tcase, no_memory_is_told);
    tcase = add_case(suite, "arrays", 20);
    tcase_add_test(tcase, an_array_is_lent_as_it_is);
    tcase_add_test(tcase, other_types_are_etype);
    return run_suite(suite);
}
