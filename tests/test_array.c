/*
 * The numeric array format, byte by byte, and what is refused in it.
 */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "failing_malloc.h"
#include "support.h"
#include "value.h"

static const struct {
    const char *name;
    int number;
    size_t size;
} dtypes[] = {{"bool", 1, 1}, {"i8", 2, 1},   {"u8", 3, 1},    {"i16", 4, 2},
              {"u16", 5, 2},  {"i32", 6, 4},  {"u32", 7, 4},   {"i64", 8, 8},
              {"u64", 9, 8},  {"f16", 10, 2}, {"bf16", 11, 2}, {"f32", 12, 4},
              {"f64", 13, 8}, {"c64", 14, 8}, {"c128", 15, 16}};

START_TEST(element_types_have_the_numbers_of_the_format)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        ck_assert_str_eq(stem_dtype_name(dtypes[i].number), dtypes[i].name);
        ck_assert_int_eq(stem_dtype_named(dtypes[i].name), dtypes[i].number);
        ck_assert_uint_eq(stem_dtype_size(dtypes[i].number), dtypes[i].size);
    }
    for (int number = -1; number <= 300; number++) {
        if (number >= 1 && number <= 15)
            continue;
        ck_assert_str_eq(stem_dtype_name(number), "unknown");
        ck_assert_uint_eq(stem_dtype_size(number), 0);
    }
    ck_assert_int_eq(stem_dtype_named("f128"), STEM_ANY);
    ck_assert_int_eq(stem_dtype_named(""), STEM_ANY);
    ck_assert_int_eq(stem_dtype_named(NULL), STEM_ANY);
}
END_TEST

static unsigned char *encode(stem_value value, size_t *len)
{
    unsigned char *bytes = stem_encode(&value, len);

    ck_assert_msg(bytes != NULL, "%s", stem_errmsg());
    return bytes;
}

START_TEST(one_dimension_has_a_header_of_16_bytes)
{
    const float data[2] = {1, 2};
    const unsigned char expected[] = {0xC9, 0, 0, 0, 18, 78, 12,   1,    2, 0, 0, 0,
                                      0,    0, 0, 0, 0,  0,  0x80, 0x3F, 0, 0, 0, 0x40};
    size_t len;
    unsigned char *bytes = encode(stem_array1(STEM_F32, data, 2), &len);

    ck_assert_uint_eq(len, sizeof expected);
    ck_assert_mem_eq(bytes, expected, len);
    stem_free(bytes);
}
END_TEST

START_TEST(two_dimensions_are_padded_to_32_bytes)
{
    const uint8_t data[6] = {1, 2, 3, 4, 5, 6};
    const uint64_t shape[2] = {2, 3};
    const unsigned char expected[] = {0xC9, 0, 0, 0, 32, 78, 3, 2, 2, 0, 0, 0, 0,
                                      0,    0, 0, 3, 0,  0,  0, 0, 0, 0, 0, 0, 0,
                                      0,    0, 0, 0, 0,  0,  1, 2, 3, 4, 5, 6};
    size_t len;
    unsigned char *bytes = encode(stem_array(STEM_U8, data, 2, shape), &len);

    ck_assert_uint_eq(len, sizeof expected);
    ck_assert_mem_eq(bytes, expected, len);
    stem_free(bytes);
}
END_TEST

START_TEST(data_begins_at_a_multiple_of_16_for_every_ndim)
{
    const uint64_t magic = 0x1122334455667788;
    uint64_t shape[STEM_NDIM_MAX];
    size_t len;
    unsigned char *bytes;
    stem_value read;

    for (int i = 0; i < STEM_NDIM_MAX; i++)
        shape[i] = 1;
    bytes = encode(stem_array(STEM_U64, &magic, _i, shape), &len);
    ck_assert_uint_eq((len - 8) % 16, 0);
    ck_assert_mem_eq(bytes + len - 8, &magic, 8);
    assert_ok(stem_decode(bytes, len, &read));
    ck_assert_ptr_null(read.owned);
    ck_assert_int_eq(read.as.array.ndim, _i);
    ck_assert_mem_eq(read.as.array.shape, shape, 8 * (size_t)_i);
    ck_assert_uint_eq(read.as.array.count, 1);
    ck_assert_ptr_eq(read.as.array.data, bytes + len - 8);
    ck_assert_uint_eq((uintptr_t)read.as.array.data % 16, 0);
    stem_free(bytes);
}
END_TEST

START_TEST(every_element_type_round_trips)
{
    unsigned char data[3 * 16];
    const uint64_t shape[2] = {3, 1};
    size_t len;
    unsigned char *bytes;
    stem_value read;

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7);
    bytes = encode(stem_array(dtypes[_i].number, data, 2, shape), &len);
    assert_ok(stem_decode(bytes, len, &read));
    ck_assert_int_eq(read.type, STEM_ARRAY);
    ck_assert_int_eq(read.as.array.dtype, dtypes[_i].number);
    ck_assert_uint_eq(read.as.array.count, 3);
    ck_assert_mem_eq(read.as.array.data, data, 3 * dtypes[_i].size);
    stem_free(bytes);
}
END_TEST

START_TEST(an_extent_of_zero_is_an_empty_array)
{
    /* The other extents may be anything: their product is never needed. */
    const uint64_t shape[3] = {UINT64_MAX, UINT64_MAX, 0};
    size_t len;
    unsigned char *bytes = encode(stem_array(STEM_C128, NULL, 3, shape), &len);
    stem_value read;

    ck_assert_uint_eq(len, 32);
    assert_ok(stem_decode(bytes, len, &read));
    ck_assert_uint_eq(read.as.array.count, 0);
    ck_assert_mem_eq(read.as.array.shape, shape, sizeof shape);
    stem_free(bytes);
    bytes = encode(stem_array1(STEM_F64, NULL, 0), &len);
    ck_assert_uint_eq(len, 16);
    assert_ok(stem_decode(bytes, len, &read));
    ck_assert_uint_eq(read.as.array.count, 0);
    stem_free(bytes);
}
END_TEST

START_TEST(what_cannot_be_stored_is_refused)
{
    const double data[4] = {0};
    const uint64_t shape[STEM_NDIM_MAX + 1] = {1, 1};
    const uint64_t overflowing[2] = {UINT64_C(1) << 32, UINT64_C(1) << 32};
    const uint64_t nearly[2] = {UINT64_C(1) << 31, UINT64_C(1) << 31};
    stem_value lying = stem_array(STEM_F64, data, 2, shape);
    const struct {
        stem_value value;
        const char *cause;
    } cases[] = {
        {stem_array(STEM_F64, data, 0, shape), "dimensions"},
        {stem_array(STEM_F64, data, -1, shape), "dimensions"},
        {stem_array(STEM_F64, data, 33, shape), "dimensions"},
        {stem_array(STEM_F64, data, 1, NULL), "shape is NULL"},
        {stem_array(STEM_F64, data, 2, NULL), "shape is NULL"},
        {stem_array(STEM_ANY, data, 1, shape), "element type"},
        {stem_array(16, data, 1, shape), "element type"},
        {stem_array(-3, data, 1, shape), "element type"},
        {stem_array(STEM_F64, NULL, 1, shape), "data is NULL"},
        {stem_array1(STEM_F64, NULL, 4), "data is NULL"},
        {stem_array(STEM_F64, data, 2, overflowing), "1073741824"},
        {stem_array(STEM_F64, data, 2, nearly), "1073741824"},
        {stem_array1(STEM_F64, data, UINT64_MAX), "1073741824"},
        {stem_array1(STEM_U8, data, STEM_VALUE_MAX - 15), "1073741824"},
    };
    size_t len = 99;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_ptr_null(stem_encode(&cases[i].value, &len));
        ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
        ck_assert_msg(strstr(stem_errmsg(), cases[i].cause) != NULL, "%zu: %s", i,
                      stem_errmsg());
    }
    lying.as.array.count = 3;
    ck_assert_ptr_null(stem_encode(&lying, &len));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_uint_eq(len, 99);
}
END_TEST

START_TEST(the_largest_array_is_of_the_largest_value)
{
    const char data = 0;
    stem_value largest = stem_array1(STEM_U8, &data, STEM_VALUE_MAX - 16);

    ck_assert_uint_eq(stem_value_encoded_size(&largest), STEM_VALUE_MAX);
}
END_TEST

/* A valid array of two i16 in the shape {2, 1}, to be damaged. */
static unsigned char *valid(size_t *len)
{
    static const int16_t data[2] = {1, 2};
    static const uint64_t shape[2] = {2, 1};

    return encode(stem_array(STEM_I16, data, 2, shape), len);
}

static void assert_damaged(const unsigned char *bytes, size_t len, const char *cause)
{
    stem_value read = stem_int(5);

    assert_code(stem_decode(bytes, len, &read), STEM_ECORRUPT);
    ck_assert_msg(strstr(stem_errmsg(), cause) != NULL, "%s", stem_errmsg());
    ck_assert_int_eq(read.type, STEM_INT);
}

static const struct {
    size_t at;
    unsigned char byte;
    const char *cause;
} damages[] = {{6, 0, "element type"}, {6, 16, "element type"}, {6, 255, "element type"},
               {7, 0, "dimensions"},   {7, 33, "dimensions"},   {7, 255, "dimensions"},
               {7, 1, "size"},         {7, 3, "size"},          {7, 4, "cut short"},
               {8, 3, "size"},         {8, 1, "size"},          {8, 0, "size"},
               {15, 0x80, "size"},     {23, 0x80, "size"},      {6, STEM_F32, "size"},
               {6, STEM_U8, "size"},   {24, 1, "padding"},      {31, 1, "padding"},
               {27, 0x80, "padding"}};

START_TEST(a_damaged_header_is_corrupt)
{
    size_t len;
    unsigned char *bytes = valid(&len);

    bytes[damages[_i].at] = damages[_i].byte;
    assert_damaged(bytes, len, damages[_i].cause);
    stem_free(bytes);
}
END_TEST

START_TEST(a_shape_whose_product_wraps_is_corrupt)
{
    size_t len;
    unsigned char *bytes = valid(&len);
    const uint64_t wraps_to_two[2] = {(UINT64_C(1) << 63) + 1, 2};

    memcpy(bytes + 8, wraps_to_two, sizeof wraps_to_two);
    assert_damaged(bytes, len, "size");
    stem_free(bytes);
}
END_TEST

START_TEST(every_shorter_payload_is_corrupt)
{
    size_t len;
    unsigned char *bytes = valid(&len);

    for (size_t payload = 0; payload < len - 6; payload++) {
        unsigned char *shorter = malloc(6 + payload);

        memcpy(shorter, bytes, 6 + payload);
        shorter[4] = (unsigned char)payload;
        assert_damaged(shorter, 6 + payload, "array");
        free(shorter);
    }
    stem_free(bytes);
}
END_TEST

/* The payload of `bytes` as an ext of the form `head`. */
static unsigned char *in_form(unsigned char head, const unsigned char *bytes, size_t len,
                              size_t *form_len)
{
    size_t payload = len - 6;
    unsigned char *form = malloc(len);
    size_t at = 0;

    form[at++] = head;
    if (head == 0xC8)
        form[at++] = (unsigned char)(payload >> 8);
    if (head == 0xC7 || head == 0xC8)
        form[at++] = (unsigned char)payload;
    form[at++] = STEM_ARRAY_EXT_CODE;
    memcpy(form + at, bytes + 6, payload);
    *form_len = at + payload;
    return form;
}

START_TEST(other_ext_forms_are_read_and_copied)
{
    static const unsigned char heads[] = {0xC7, 0xC8};
    const int16_t data[2] = {1, 2};
    size_t len;
    size_t form_len;
    unsigned char *bytes = valid(&len);
    unsigned char *form = in_form(heads[_i], bytes, len, &form_len);
    stem_value read;
    bool needs_copy = false;

    assert_ok(stem_decode(form, form_len, &read));
    ck_assert_ptr_nonnull(read.owned);
    ck_assert(stem_array_is_aligned(&read.as.array));
    ck_assert_mem_eq(read.as.array.data, data, sizeof data);
    ck_assert_uint_eq(read.as.array.shape[0], 2);
    stem_value_free(&read);
    assert_ok(stem_value_decode(form, form_len, &read, &needs_copy));
    ck_assert(needs_copy);
    assert_ok(stem_value_adopt((char *)form, form_len, &read));
    ck_assert_ptr_nonnull(read.owned);
    ck_assert_mem_eq(read.as.array.data, data, sizeof data);
    stem_value_free(&read);
    stem_free(bytes);
}
END_TEST

START_TEST(the_smallest_payload_fits_a_fixed_ext)
{
    /* Ten bytes are the smallest payload, and an empty array. Fixed exts have 16. */
    static const unsigned char fixed[18] = {
        0xD8, 78, STEM_U8, 1, 6, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c', 'd', 'e', 'f'};
    stem_value read;

    assert_ok(stem_decode(fixed, sizeof fixed, &read));
    ck_assert_uint_eq(read.as.array.count, 6);
    ck_assert_mem_eq(read.as.array.data, "abcdef", 6);
    stem_value_free(&read);
}
END_TEST

START_TEST(an_unaligned_buffer_is_copied_from)
{
    size_t len;
    unsigned char *bytes = valid(&len);
    unsigned char *shifted = malloc(len + 16);
    stem_value read;

    for (size_t shift = 0; shift < 16; shift++) {
        memcpy(shifted + shift, bytes, len);
        assert_ok(stem_decode(shifted + shift, len, &read));
        ck_assert(stem_array_is_aligned(&read.as.array));
        ck_assert_int_eq(read.owned != NULL, shift % 8 != 0);
        ck_assert_int_eq(((const int16_t *)read.as.array.data)[1], 2);
        stem_value_free(&read);
    }
    free(shifted);
    stem_free(bytes);
}
END_TEST

START_TEST(an_empty_unaligned_array_is_copied_from)
{
    static const unsigned char empty[] = {0xC7, 10, 78, STEM_F64, 1, 0, 0,
                                          0,    0,  0,  0,        0, 0};
    stem_value read;

    assert_ok(stem_decode(empty, sizeof empty, &read));
    ck_assert_uint_eq(read.as.array.count, 0);
    ck_assert_uint_eq(read.as.array.shape[0], 0);
    stem_value_free(&read);
}
END_TEST

START_TEST(no_memory_for_a_copy_is_told)
{
    size_t len;
    size_t form_len;
    unsigned char *bytes = valid(&len);
    unsigned char *form = in_form(0xC7, bytes, len, &form_len);
    stem_value read = stem_int(5);
    int code;

    out_of_memory(code = stem_decode(form, form_len, &read));
    assert_code(code, STEM_ENOMEM);
    out_of_memory(code = stem_value_adopt((char *)form, form_len, &read));
    assert_code(code, STEM_ENOMEM);
    ck_assert_int_eq(read.type, STEM_INT);
    stem_free(bytes);
}
END_TEST

START_TEST(bools_other_than_0_and_1_are_carried)
{
    const unsigned char data[3] = {0, 1, 255};
    size_t len;
    unsigned char *bytes = encode(stem_array1(STEM_B8, data, 3), &len);
    stem_value read;

    assert_ok(stem_decode(bytes, len, &read));
    ck_assert_mem_eq(read.as.array.data, data, 3);
    stem_free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("array");
    TCase *tcase = add_case(suite, "format", 20);

    tcase_add_test(tcase, element_types_have_the_numbers_of_the_format);
    tcase_add_test(tcase, one_dimension_has_a_header_of_16_bytes);
    tcase_add_test(tcase, two_dimensions_are_padded_to_32_bytes);
    tcase_add_loop_test(tcase, data_begins_at_a_multiple_of_16_for_every_ndim, 1,
                        STEM_NDIM_MAX + 1);
    tcase_add_loop_test(tcase, every_element_type_round_trips, 0,
                        sizeof dtypes / sizeof *dtypes);
    tcase_add_test(tcase, an_extent_of_zero_is_an_empty_array);
    tcase_add_test(tcase, bools_other_than_0_and_1_are_carried);
    tcase = add_case(suite, "putting", 20);
    tcase_add_test(tcase, what_cannot_be_stored_is_refused);
    tcase_add_test(tcase, the_largest_array_is_of_the_largest_value);
    tcase = add_case(suite, "damage", 20);
    tcase_add_loop_test(tcase, a_damaged_header_is_corrupt, 0,
                        sizeof damages / sizeof *damages);
    tcase_add_test(tcase, a_shape_whose_product_wraps_is_corrupt);
    tcase_add_test(tcase, every_shorter_payload_is_corrupt);
    tcase = add_case(suite, "alignment", 20);
    tcase_add_loop_test(tcase, other_ext_forms_are_read_and_copied, 0, 2);
    tcase_add_test(tcase, the_smallest_payload_fits_a_fixed_ext);
    tcase_add_test(tcase, an_unaligned_buffer_is_copied_from);
    tcase_add_test(tcase, an_empty_unaligned_array_is_copied_from);
    tcase_add_test(tcase, no_memory_for_a_copy_is_told);
    return run_suite(suite);
}
