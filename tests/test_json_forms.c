/*
 * The JSON forms of bytes, application values, moments and numeric arrays: exact both
 * ways, and nothing else is taken for them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "json_support.h"
#include "stem.h"
#include "support.h"

/* ---- Bytes ------------------------------------------------------------------------ */

START_TEST(bytes_are_base64)
{
    unsigned char data[80];

    assert_json(stem_bin("hello", 5), "{\"$bin\": \"aGVsbG8=\"}");
    assert_json(stem_bin(NULL, 0), "{\"$bin\": \"\"}");
    for (size_t len = 0; len <= sizeof data; len++) {
        for (size_t i = 0; i < len; i++)
            data[i] = (unsigned char)random_bits();
        assert_json(stem_bin(data, len), NULL);
    }
    assert_json(stem_bin("\xFB\xFF\xBF", 3), "{\"$bin\": \"+/+/\"}");
    assert_refused("{\"$bin\": null}", "\"$bin\" is not");
    assert_refused("{\"$bin\": \"aGVsbG8\"}", "\"$bin\" is not");
    assert_refused("{\"$bin\": \"aGVsbG9=\"}", "\"$bin\" is not");
    assert_refused("{\"$bin\": \"aB==\"}", "\"$bin\" is not");
    assert_refused("{\"$bin\": \"a===\"}", "\"$bin\" is not");
    assert_refused("{\"$bin\": \"====\"}", "\"$bin\" is not");
    assert_refused("{\"$bin\": \"aG==aGVs\"}", "\"$bin\" is not");
    assert_refused("{\"$bin\": \"aG Vs\"}", "\"$bin\" is not");
    assert_refused("{\"$bin\": \"aG-_\"}", "\"$bin\" is not");
}
END_TEST

START_TEST(application_values_keep_code_and_bytes)
{
    char *text;
    stem_value value;

    assert_json(stem_ext(5, "hello", 5),
                "{\"$ext\": {\"code\": 5, \"data\": \"aGVsbG8=\"}}");
    assert_json(stem_ext(0, NULL, 0), "{\"$ext\": {\"code\": 0, \"data\": \"\"}}");
    assert_json(stem_ext(63, "0123456789abcdef", 16), NULL);
    /* Codes that others wrote can be read, and so they can be here. */
    assert_same("{\"$ext\": {\"code\": -128, \"data\": \"aGVsbG8=\"}}");
    value = parse("[{\"$ext\": {\"data\": \"\", \"code\": 127}}]");
    text = format(&value);
    ck_assert_str_eq(text, "[{\"$ext\": {\"code\": 127, \"data\": \"\"}}]");
    stem_free(text);
    stem_value_free(&value);
    assert_refused("{\"$ext\": 5}", "\"$ext\" is not");
    assert_refused("{\"$ext\": {\"code\": 5}}", "\"$ext\" is not");
    assert_refused("{\"$ext\": {\"code\": 5, \"bytes\": \"\"}}", "\"$ext\" is not");
    assert_refused("{\"$ext\": {\"code\": 5.0, \"data\": \"\"}}", "\"$ext\" is not");
    assert_refused("{\"$ext\": {\"code\": 5, \"data\": \"\", \"x\": 1}}",
                   "\"$ext\" is not");
    assert_refused("{\"$ext\": {\"code\": 5, \"data\": \"!\"}}", "\"$ext\" is not");
    assert_refused("{\"$ext\": {\"code\": 128, \"data\": \"\"}}", "128 is no code");
    assert_refused("{\"$ext\": {\"code\": -129, \"data\": \"\"}}", "-129 is no code");
    assert_refused("{\"$ext\": {\"code\": 78, \"data\": \"\"}}", "78 is no code");
    assert_refused("{\"$ext\": {\"code\": -1, \"data\": \"\"}}", "-1 is no code");
}
END_TEST

/* ---- Moments ---------------------------------------------------------------------- */

START_TEST(moments_are_rfc_3339)
{
    assert_json(stem_time(0, 0), "{\"$time\": \"1970-01-01T00:00:00Z\"}");
    assert_json(stem_time(1769860800, 500000000),
                "{\"$time\": \"2026-01-31T12:00:00.5Z\"}");
    assert_json(stem_time(-1, 999999999),
                "{\"$time\": \"1969-12-31T23:59:59.999999999Z\"}");
    assert_json(stem_time(951782400, 1),
                "{\"$time\": \"2000-02-29T00:00:00.000000001Z\"}");
    assert_json(stem_time(-62167219200, 0), "{\"$time\": \"0000-01-01T00:00:00Z\"}");
    assert_json(stem_time(253402300799, 999999999),
                "{\"$time\": \"9999-12-31T23:59:59.999999999Z\"}");
    assert_json(stem_time(-62167219201, 5), "{\"$time\": [-62167219201, 5]}");
    assert_json(stem_time(253402300800, 0), "{\"$time\": [253402300800, 0]}");
    assert_json(stem_time(INT64_MIN, 0), "{\"$time\": [-9223372036854775808, 0]}");
    assert_json(stem_time(INT64_MAX, 999999999),
                "{\"$time\": [9223372036854775807, 999999999]}");
    assert_read("{\"$time\": [0, 0]}", "{\"$time\": \"1970-01-01T00:00:00Z\"}");
}
END_TEST

START_TEST(moments_agree_with_the_c_library_on_every_day)
{
    char text[STEM_TIME_TEXT_MAX];

    for (int64_t day = -719528; day < 2932897; day += 1) {
        stem_timestamp time = {day * 86400 + day % 86400 * (day > 0), 0};
        stem_timestamp back;
        time_t seconds = (time_t)time.seconds;
        struct tm tm;
        char expected[80];

        gmtime_r(&seconds, &tm);
        snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02dZ",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                 tm.tm_sec);
        if (!stem_time_format(&time, text) || strcmp(text, expected) != 0)
            ck_abort_msg("%lld: %s, not %s", (long long)time.seconds, text, expected);
        if (!stem_time_parse(text, strlen(text), &back) || back.seconds != time.seconds)
            ck_abort_msg("%s: read back as %lld", text, (long long)back.seconds);
    }
}
END_TEST

START_TEST(moments_are_read_with_offsets)
{
    assert_read("{\"$time\": \"2026-01-31T13:00:00+01:00\"}",
                "{\"$time\": \"2026-01-31T12:00:00Z\"}");
    assert_read("{\"$time\": \"2025-12-31T19:30:00.25-04:30\"}",
                "{\"$time\": \"2026-01-01T00:00:00.25Z\"}");
    assert_read("{\"$time\": \"2026-01-31T12:00:00.500000000Z\"}",
                "{\"$time\": \"2026-01-31T12:00:00.5Z\"}");
}
END_TEST

START_TEST(malformed_moments_are_refused)
{
    static const char *const bad[] = {
        "\"\"",
        "\"2026-01-31\"",
        "\"2026-01-31T12:00:00\"",
        "\"2026-01-31T12:00:00z\"",
        "\"2026-01-31 12:00:00Z\"",
        "\"2026-00-31T12:00:00Z\"",
        "\"2026-13-31T12:00:00Z\"",
        "\"2026-02-29T12:00:00Z\"",
        "\"1900-02-29T12:00:00Z\"",
        "\"2026-04-31T12:00:00Z\"",
        "\"2026-01-00T12:00:00Z\"",
        "\"2026-01-31T24:00:00Z\"",
        "\"2026-01-31T12:60:00Z\"",
        "\"2026-01-31T12:00:60Z\"",
        "\"2026-01-31T12:00:00.Z\"",
        "\"2026-01-31T12:00:00.0000000001Z\"",
        "\"2026-01-31T12:00:00+0100\"",
        "\"2026-01-31T12:00:00+24:00\"",
        "\"2026-01-31T12:00:00+01:60\"",
        "\"2026-01-31T12:00:00*01:00\"",
        "\"2026-01-31T12:00:00Zulu!!\"",
        "\"20x6-01-31T12:00:00Z\"",
        "5",
        "[5]",
        "[5, 0, 0]",
        "[5, 1000000000]",
        "[5, -1]",
        "[5.0, 0]",
        "[5, null]",
    };
    char text[80];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "{\"$time\": %s}", bad[i]);
        assert_refused(text, "\"$time\" is not a moment");
    }
}
END_TEST

/* ---- Numeric arrays --------------------------------------------------------------- */

START_TEST(arrays_have_type_shape_and_flat_data)
{
    static const float floats[] = {1, 2.5F, 0.1F, -0.0F, 16777216, 3e38F};
    static const unsigned char bools[] = {0, 1, 2, 255};
    static const uint64_t wide[] = {0, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};
    static const int8_t small[] = {-128, -1, 0, 127};
    static const double complex_parts[] = {1, -0.5, NAN, INFINITY};
    static const uint64_t shape[] = {2, 3};
    static const uint64_t empty[] = {3, 0, 2};

    assert_json(stem_array(STEM_F32, floats, 2, shape),
                "{\"$array\": {\"type\": \"f32\", \"shape\": [2, 3], "
                "\"data\": [1, 2.5, 0.1, -0.0, 16777216, 3e+38]}}");
    assert_json(stem_array1(STEM_B8, bools, 4),
                "{\"$array\": {\"type\": \"bool\", \"shape\": [4], "
                "\"data\": [false, true, 2, 255]}}");
    assert_json(stem_array1(STEM_U64, wide, 4),
                "{\"$array\": {\"type\": \"u64\", \"shape\": [4], \"data\": [0, "
                "9223372036854775807, 9223372036854775808, 18446744073709551615]}}");
    assert_read("{\"$array\": {\"type\": \"u64\", \"shape\": [2], "
                "\"data\": [\"7\", \"18446744073709551615\"]}}",
                "{\"$array\": {\"type\": \"u64\", \"shape\": [2], "
                "\"data\": [7, 18446744073709551615]}}");
    assert_json(stem_array1(STEM_I8, small, 4),
                "{\"$array\": {\"type\": \"i8\", \"shape\": [4], "
                "\"data\": [-128, -1, 0, 127]}}");
    assert_json(stem_array1(STEM_C128, complex_parts, 2),
                "{\"$array\": {\"type\": \"c128\", \"shape\": [2], "
                "\"data\": [[1, -0.5], [\"NaN\", \"Infinity\"]]}}");
    assert_json(stem_array(STEM_I16, NULL, 3, empty),
                "{\"$array\": {\"type\": \"i16\", \"shape\": [3, 0, 2], \"data\": []}}");
}
END_TEST

START_TEST(every_element_type_keeps_every_bit)
{
    enum { COUNT = 4096 };
    uint64_t *data = malloc(COUNT * 16);

    ck_assert_ptr_nonnull(data);
    for (int dtype = STEM_B8; dtype <= STEM_C128; dtype++) {
        for (size_t i = 0; i < (size_t)COUNT * 2; i++)
            data[i] = random_bits();
        assert_json(stem_array1(dtype, data, COUNT), NULL);
    }
    free(data);
}
END_TEST

START_TEST(every_half_float_comes_back)
{
    uint16_t *all = malloc(65536 * sizeof *all);

    ck_assert_ptr_nonnull(all);
    for (size_t i = 0; i < 65536; i++)
        all[i] = (uint16_t)i;
    assert_json(stem_array1(STEM_F16, all, 65536), NULL);
    assert_json(stem_array1(STEM_BF16, all, 65536), NULL);
    free(all);
}
END_TEST

START_TEST(half_floats_are_numbers_or_bits)
{
    static const uint16_t f16[] = {0x3C00, 0x0001, 0x2E66, 0x7BFF, 0x7C00,
                                   0xFC00, 0x7E00, 0x7E01, 0x8000};
    static const uint16_t bf16[] = {0x3F80, 0x3DCD, 0x7F80, 0x7FC0, 0xFFC0};

    assert_json(
        stem_array1(STEM_F16, f16, 9),
        "{\"$array\": {\"type\": \"f16\", \"shape\": [9], \"data\": [1, 5.96e-08, "
        "0.1, 65504, \"Infinity\", \"-Infinity\", \"NaN\", \"0x7e01\", -0.0]}}");
    assert_json(stem_array1(STEM_BF16, bf16, 5),
                "{\"$array\": {\"type\": \"bf16\", \"shape\": [5], \"data\": [1, 0.1, "
                "\"Infinity\", \"NaN\", \"0xffc0\"]}}");
}
END_TEST

/* The bits of the first element that a text stands for. */
static uint64_t element_bits(const char *dtype, const char *number)
{
    char text[200];
    uint64_t bits = 0;
    stem_value value;

    snprintf(text, sizeof text,
             "{\"$array\": {\"type\": \"%s\", \"shape\": [1], \"data\": [%s]}}", dtype,
             number);
    value = parse(text);
    memcpy(&bits, value.as.array.data, stem_dtype_size(value.as.array.dtype));
    stem_value_free(&value);
    return bits;
}

START_TEST(numbers_are_rounded_to_the_nearest_element)
{
    /* 1 + 2^-11 lies between two f16: the even one. A little more: the upper one. */
    ck_assert_uint_eq(element_bits("f16", "1.00048828125"), 0x3C00);
    ck_assert_uint_eq(element_bits("f16", "1.00048828126"), 0x3C01);
    ck_assert_uint_eq(element_bits("f16", "1.00146484375"), 0x3C02);
    ck_assert_uint_eq(element_bits("f16", "-1.99999"), 0xC000);
    ck_assert_uint_eq(element_bits("f16", "2.98e-8"), 0x0000);
    ck_assert_uint_eq(element_bits("f16", "2.99e-8"), 0x0001);
    ck_assert_uint_eq(element_bits("f16", "6.1e-5"), 0x03FF);
    ck_assert_uint_eq(element_bits("f16", "6.1035e-5"), 0x0400);
    ck_assert_uint_eq(element_bits("f16", "65519.9"), 0x7BFF);
    ck_assert_uint_eq(element_bits("f16", "5e-324"), 0x0000);
    ck_assert_uint_eq(element_bits("f32", "0.1"), 0x3DCCCCCD);
    ck_assert_uint_eq(element_bits("f32", "16777217"), 0x4B800000);
    ck_assert_uint_eq(element_bits("bf16", "3"), 0x4040);
    ck_assert_uint_eq(element_bits("f64", "7"), 0x401C000000000000);
    ck_assert_uint_eq(element_bits("u64", "\"7\""), 7);
    ck_assert_uint_eq(element_bits("bool", "1"), 1);
    for (int i = 0; i < 20000; i++) {
        uint32_t bits = (uint32_t)random_bits();
        float x;
        char text[40];

        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x))
            continue;
        /* Between x and its neighbour: as the processor rounds. */
        double between = (double)x * (1 + 1e-8 * (double)(i % 7));
        snprintf(text, sizeof text, "%.17g", between);
        x = (float)between;
        memcpy(&bits, &x, sizeof x);
        if (isfinite(x))
            ck_assert_uint_eq(element_bits("f32", text), bits);
    }
}
END_TEST

START_TEST(malformed_arrays_are_refused)
{
    static const struct {
        const char *content;
        const char *words;
    } bad[] = {
        {"5", "not an object of"},
        {"{}", "not an object of"},
        {"{\"type\": \"u8\", \"shape\": [0]}", "not an object of"},
        {"{\"type\": \"u8\", \"shape\": [0], \"data\": [], \"x\": 1}",
         "not an object of"},
        {"{\"type\": 3, \"shape\": [0], \"data\": []}", "not an object of"},
        {"{\"type\": \"u8\", \"shape\": [0], \"data\": 5}", "not an object of"},
        {"{\"type\": \"u8\", \"extents\": [0], \"data\": []}", "not an object of"},
        {"{\"type\": \"u8\", \"type\": \"u8\", \"shape\": [0], \"data\": []}",
         "not an object of"},
        {"{\"data\": [1, 2], \"type\": \"u8\", \"shape\": [1]}", "2 elements of data"},
        {"{\"data\": [1, 256], \"type\": \"u8\", \"shape\": [2]}", "element 2"},
        {"{\"shape\": [1], \"data\": [[1, null]], \"type\": \"c64\"}", "no c64"},
        {"{\"type\": \"u9\", \"shape\": [0], \"data\": []}", "\"u9\" is no element type"},
        {"{\"type\": \"u8\\u0000\", \"shape\": [0], \"data\": []}", "no element type"},
        {"{\"type\": \"u8\", \"shape\": [], \"data\": [1]}", "\"shape\" is not"},
        {"{\"type\": \"u8\", \"shape\": 1, \"data\": [1]}", "\"shape\" is not"},
        {"{\"type\": \"u8\", \"shape\": [1.0], \"data\": [1]}", "extent 1"},
        {"{\"type\": \"u8\", \"shape\": [1, -1], \"data\": [1]}", "extent 2"},
        {"{\"type\": \"u8\", \"shape\": [2], \"data\": [1]}", "1 elements of data"},
        {"{\"type\": \"u8\", \"shape\": [4294967296, 4294967296], \"data\": []}",
         "0 elements of data"},
        {"{\"type\": \"u8\", \"shape\": [3], \"data\": [1, 256, 3]}", "element 2"},
        {"{\"type\": \"u8\", \"shape\": [1], \"data\": [-1]}", "element 1"},
        {"{\"type\": \"i8\", \"shape\": [1], \"data\": [128]}", "element 1"},
        {"{\"type\": \"i64\", \"shape\": [1], \"data\": [1.0]}", "element 1"},
        {"{\"type\": \"i32\", \"shape\": [1], \"data\": [true]}", "element 1"},
        {"{\"type\": \"i64\", \"shape\": [1], \"data\": [\"1\"]}", "element 1"},
        {"{\"type\": \"u64\", \"shape\": [1], \"data\": [\"x\"]}", "element 1"},
        {"{\"type\": \"f16\", \"shape\": [1], \"data\": [65520]}", "no f16"},
        {"{\"type\": \"f32\", \"shape\": [1], \"data\": [1e39]}", "no f32"},
        {"{\"type\": \"f32\", \"shape\": [1], \"data\": [null]}", "no f32"},
        {"{\"type\": \"f32\", \"shape\": [1], \"data\": [\"1\"]}", "no f32"},
        {"{\"type\": \"f32\", \"shape\": [1], \"data\": [\"0x7e01\"]}", "no f32"},
        {"{\"type\": \"c64\", \"shape\": [1], \"data\": [1]}", "no c64"},
        {"{\"type\": \"c64\", \"shape\": [1], \"data\": [[1]]}", "no c64"},
        {"{\"type\": \"c64\", \"shape\": [1], \"data\": [[null, 1]]}", "no c64"},
        {"{\"type\": \"c64\", \"shape\": [1], \"data\": [[1, null]]}", "no c64"},
    };
    char text[400];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "{\"$array\": %s}", bad[i].content);
        assert_refused(text, bad[i].words);
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "line 1, column 12: \"$array\""));
    }
}
END_TEST

START_TEST(every_shape_that_can_be_stored_comes_back)
{
    static const uint64_t extents[] = {0,
                                       1,
                                       2,
                                       3,
                                       UINT64_C(1) << 31,
                                       UINT64_C(1) << 32,
                                       INT64_MAX,
                                       UINT64_C(1) << 63,
                                       UINT64_MAX};
    enum { N = sizeof extents / sizeof *extents, N_SMALL = 3, ELEMENTS_MAX = 16 };
    static const unsigned char data[ELEMENTS_MAX * 16];
    stem_db *db;
    int n_stored = 0;

    assert_ok(stem_open(&db, "mem:", NULL));
    for (int i = 0; i < 20000; i++) {
        uint64_t shape[4];
        int ndim = 1 + (int)(random_bits() % 4);
        int dtype = STEM_B8 + (int)(random_bits() % STEM_C128);
        char *text = NULL;

        for (int k = 0; k < ndim; k++)
            shape[k] = extents[random_bits() % (i % 2 ? N : N_SMALL)];
        stem_value array = stem_array(dtype, data, ndim, shape);
        /* One that has elements and not those of `data` must not be read. */
        if (array.as.array.count > ELEMENTS_MAX ||
            stem_put_value(db, "a", array) != STEM_OK)
            continue;
        n_stored++;
        assert_ok(stem_get_json(db, "a", 0, &text));
        assert_json(array, text);
        assert_ok(stem_put_json(db, "b", text));
        stem_free(text);
    }
    ck_assert_int_gt(n_stored, 5000);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(members_of_an_array_come_in_any_order)
{
    static const char *const arrays[][3] = {
        {"f32", "[2, 2]", "[1, -0.0, \"NaN\", 0.5]"},
        {"u64", "[2]", "[18446744073709551615, 0]"},
        {"bool", "[3]", "[true, false, 2]"},
        {"c64", "[1]", "[[1, \"-Infinity\"]]"},
        {"i8", "[0, 9]", "[]"},
    };
    static const char *const orders[] = {"012", "021", "102", "120", "201", "210"};

    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        char members[3][80];
        char expected[300];
        char text[300];

        snprintf(members[0], sizeof *members, "\"type\": \"%s\"", arrays[i][0]);
        snprintf(members[1], sizeof *members, "\"shape\": %s", arrays[i][1]);
        snprintf(members[2], sizeof *members, "\"data\": %s", arrays[i][2]);
        snprintf(expected, sizeof expected, "[7, {\"$array\": {%s, %s, %s}}]", members[0],
                 members[1], members[2]);
        for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
            snprintf(text, sizeof text, "[7, {\"$array\": {%s, %s, %s}}]",
                     members[orders[k][0] - '0'], members[orders[k][1] - '0'],
                     members[orders[k][2] - '0']);
            assert_read(text, expected);
        }
    }
}
END_TEST

START_TEST(arrays_of_too_many_dimensions_are_refused)
{
    char text[400] = "{\"$array\": {\"type\": \"u8\", \"data\": [1], \"shape\": [1";
    char *end = text + strlen(text);

    for (int i = 1; i < STEM_NDIM_MAX; i++)
        end += sprintf(end, ", 1");
    strcpy(end, "]}}");
    stem_value value = parse(text);
    ck_assert_int_eq(value.as.array.ndim, STEM_NDIM_MAX);
    stem_value_free(&value);
    strcpy(end, ", 1]}}");
    assert_refused(text, "1 to 32 extents");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_forms");
    TCase *bytes = add_case(suite, "bytes", 60);
    TCase *moments = add_case(suite, "moments", 60);
    TCase *arrays = add_case(suite, "arrays", 60);

    tcase_add_test(bytes, bytes_are_base64);
    tcase_add_test(bytes, application_values_keep_code_and_bytes);
    tcase_add_test(moments, moments_are_rfc_3339);
    tcase_add_test(moments, moments_agree_with_the_c_library_on_every_day);
    tcase_add_test(moments, moments_are_read_with_offsets);
    tcase_add_test(moments, malformed_moments_are_refused);
    tcase_add_test(arrays, arrays_have_type_shape_and_flat_data);
    tcase_add_test(arrays, every_element_type_keeps_every_bit);
    tcase_add_test(arrays, every_half_float_comes_back);
    tcase_add_test(arrays, half_floats_are_numbers_or_bits);
    tcase_add_test(arrays, numbers_are_rounded_to_the_nearest_element);
    tcase_add_test(arrays, malformed_arrays_are_refused);
    tcase_add_test(arrays, every_shape_that_can_be_stored_comes_back);
    tcase_add_test(arrays, members_of_an_array_come_in_any_order);
    tcase_add_test(arrays, arrays_of_too_many_dimensions_are_refused);
    return run_suite(suite);
}
