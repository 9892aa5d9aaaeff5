/*
 * Values in memory: what the constructors make, names, release, and the conversions that
 * lose nothing.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "support.h"
#include "value.h"

#define TWO_63 9223372036854775808.0
#define TWO_64 18446744073709551616.0

START_TEST(types_have_names)
{
    static const char *const names[] = {"nil", "bool", "int",   "uint", "float", "str",
                                        "bin", "time", "array", "list", "map",   "ext"};

    for (int type = STEM_NIL; type <= STEM_EXT; type++)
        ck_assert_str_eq(stem_type_name(type), names[type]);
    ck_assert_str_eq(stem_type_name(-1), "unknown");
    ck_assert_str_eq(stem_type_name(STEM_EXT + 1), "unknown");
}
END_TEST

START_TEST(constructors_borrow_what_they_are_given)
{
    const char text[] = "text";
    const uint64_t shape[2] = {2, 2};
    stem_value value = stem_str(text);

    ck_assert_int_eq(value.type, STEM_STR);
    ck_assert_ptr_eq(value.as.str.data, text);
    ck_assert_uint_eq(value.as.str.len, 4);
    ck_assert_ptr_null(value.owned);
    value = stem_strn(text, 2);
    ck_assert_uint_eq(value.as.str.len, 2);
    value = stem_bin(text, 5);
    ck_assert_int_eq(value.type, STEM_BIN);
    ck_assert_ptr_eq(value.as.bin.data, text);
    value = stem_ext(7, text, 3);
    ck_assert_int_eq(value.type, STEM_EXT);
    ck_assert_int_eq(value.as.ext.code, 7);
    ck_assert_uint_eq(value.as.ext.len, 3);
    value = stem_array(STEM_U8, text, 2, shape);
    ck_assert_int_eq(value.type, STEM_ARRAY);
    ck_assert_ptr_eq(value.as.array.shape, shape);
    ck_assert_uint_eq(value.as.array.count, 4);
    value = stem_array1(STEM_U8, text, 4);
    ck_assert_int_eq(value.as.array.ndim, 1);
    ck_assert_uint_eq(value.as.array.count, 4);
}
END_TEST

START_TEST(scalars_hold_themselves)
{
    ck_assert_int_eq(stem_nil().type, STEM_NIL);
    ck_assert(stem_bool(true).as.boolean);
    ck_assert_int_eq(stem_bool(false).type, STEM_BOOL);
    ck_assert_int_eq(stem_int(INT64_MIN).as.integer, INT64_MIN);
    ck_assert_int_eq(stem_uint(INT64_MAX).type, STEM_INT);
    ck_assert_int_eq(stem_uint(INT64_MAX).as.integer, INT64_MAX);
    ck_assert_int_eq(stem_uint((uint64_t)INT64_MAX + 1).type, STEM_UINT);
    ck_assert_uint_eq(stem_uint(UINT64_MAX).as.unsigned_, UINT64_MAX);
    ck_assert(stem_float(0.5).as.real == 0.5);
    ck_assert_int_eq(stem_time(-5, 6).as.time.seconds, -5);
    ck_assert_uint_eq(stem_time(-5, 6).as.time.nanoseconds, 6);
    ck_assert_int_eq(stem_value_itself(stem_int(9)).as.integer, 9);
}
END_TEST

START_TEST(packed_bytes_take_the_type_of_what_they_hold)
{
    const struct {
        const char *bytes;
        size_t len;
        int type;
        uint32_t count;
    } cases[] = {{"\x93\1\2\3", 4, STEM_LIST, 3}, {"\x82\1\2\3\4", 5, STEM_MAP, 2},
                 {"\xDC\0\1\5", 4, STEM_LIST, 1}, {"\xDE\0\1\5\5", 5, STEM_MAP, 1},
                 {"\5", 1, STEM_INT, 0},          {"\xA1z", 2, STEM_STR, 0},
                 {"\xC0", 1, STEM_NIL, 0},        {"\xD6\xFF\0\0\0\1", 6, STEM_TIME, 0}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        stem_value value = stem_packed(cases[i].bytes, cases[i].len);

        ck_assert_int_eq(value.type, cases[i].type);
        if (cases[i].count > 0) {
            ck_assert_uint_eq(value.as.packed.count, cases[i].count);
            ck_assert_ptr_eq(value.as.packed.data, cases[i].bytes);
            ck_assert_uint_eq(value.as.packed.len, cases[i].len);
        }
    }
    ck_assert_int_eq(stem_errcode(), STEM_OK);
}
END_TEST

static const char *const malformed[] = {"\xC1", "\5\5", "\xA5z", "\xC7\2NXX", ""};

START_TEST(malformed_packed_bytes_fail_only_when_they_are_put)
{
    stem_value value;
    size_t len;

    stem_errcode_set(STEM_OK);
    value = stem_packed(malformed[_i], strlen(malformed[_i]));
    ck_assert_int_eq(stem_errcode(), STEM_OK);
    ck_assert_ptr_null(stem_encode(&value, &len));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_int_eq(strncmp(stem_errmsg(), "packed: at byte ", 16), 0);
}
END_TEST

START_TEST(free_makes_nil_and_frees_what_is_owned)
{
    stem_value value = {.type = STEM_STR, .owned = malloc(10)};

    value.as.str = (stem_string){value.owned, 3};
    stem_value_free(&value);
    ck_assert_int_eq(value.type, STEM_NIL);
    ck_assert_ptr_null(value.owned);
    stem_value_free(&value);
    value = stem_str("borrowed");
    stem_value_free(&value);
    ck_assert_int_eq(value.type, STEM_NIL);
    stem_value_free(NULL);
    stem_free(NULL);
}
END_TEST

START_TEST(a_zeroed_value_is_nil)
{
    stem_value value = {0};
    size_t len;
    char *bytes = stem_encode(&value, &len);

    ck_assert_uint_eq(len, 1);
    ck_assert_mem_eq(bytes, "\xC0", 1);
    stem_free(bytes);
}
END_TEST

START_TEST(int_is_read_where_nothing_is_lost)
{
    const struct {
        stem_value value;
        int code;
        int64_t expected;
    } cases[] = {
        {stem_int(0), STEM_OK, 0},
        {stem_int(INT64_MIN), STEM_OK, INT64_MIN},
        {stem_int(INT64_MAX), STEM_OK, INT64_MAX},
        {stem_uint((uint64_t)INT64_MAX + 1), STEM_ERANGE, 0},
        {stem_uint(UINT64_MAX), STEM_ERANGE, 0},
        {{.type = STEM_UINT, .as.unsigned_ = 5}, STEM_OK, 5},
        {stem_float(0.0), STEM_OK, 0},
        {stem_float(-0.0), STEM_ERANGE, 0},
        {stem_float(-3.0), STEM_OK, -3},
        {stem_float(0.5), STEM_ERANGE, 0},
        {stem_float(-1.5), STEM_ERANGE, 0},
        {stem_float(TWO_63), STEM_ERANGE, 0},
        {stem_float(nextafter(TWO_63, 0)), STEM_OK, INT64_MAX - 1023},
        {stem_float(-TWO_63), STEM_OK, INT64_MIN},
        {stem_float(nextafter(-TWO_63, -INFINITY)), STEM_ERANGE, 0},
        {stem_float(NAN), STEM_ERANGE, 0},
        {stem_float(INFINITY), STEM_ERANGE, 0},
        {stem_float(-INFINITY), STEM_ERANGE, 0},
        {stem_float(DBL_MAX), STEM_ERANGE, 0},
        {stem_float(DBL_TRUE_MIN), STEM_ERANGE, 0},
        {stem_nil(), STEM_ETYPE, 0},
        {stem_bool(true), STEM_ETYPE, 0},
        {stem_str("1"), STEM_ETYPE, 0},
        {stem_bin("1", 1), STEM_ETYPE, 0},
        {stem_time(1, 0), STEM_ETYPE, 0},
        {stem_ext(1, "1", 1), STEM_ETYPE, 0},
        {stem_array1(STEM_U8, "1", 1), STEM_ETYPE, 0},
        {stem_packed("\x91\1", 2), STEM_ETYPE, 0},
        {stem_packed("\x81\1\1", 3), STEM_ETYPE, 0},
        {{.type = 99}, STEM_ETYPE, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t out = 777;

        assert_code(stem_as_int(&cases[i].value, &out), cases[i].code);
        ck_assert_int_eq(out, cases[i].code == STEM_OK ? cases[i].expected : 777);
    }
}
END_TEST

START_TEST(uint_is_read_where_nothing_is_lost)
{
    const struct {
        stem_value value;
        int code;
        uint64_t expected;
    } cases[] = {
        {stem_int(0), STEM_OK, 0},
        {stem_int(-1), STEM_ERANGE, 0},
        {stem_int(INT64_MIN), STEM_ERANGE, 0},
        {stem_int(INT64_MAX), STEM_OK, INT64_MAX},
        {stem_uint(UINT64_MAX), STEM_OK, UINT64_MAX},
        {stem_float(0.0), STEM_OK, 0},
        {stem_float(-0.0), STEM_ERANGE, 0},
        {stem_float(-1.0), STEM_ERANGE, 0},
        {stem_float(2.5), STEM_ERANGE, 0},
        {stem_float(TWO_63), STEM_OK, UINT64_C(1) << 63},
        {stem_float(nextafter(TWO_64, 0)), STEM_OK, UINT64_MAX - 2047},
        {stem_float(TWO_64), STEM_ERANGE, 0},
        {stem_float(NAN), STEM_ERANGE, 0},
        {stem_float(INFINITY), STEM_ERANGE, 0},
        {stem_float(-INFINITY), STEM_ERANGE, 0},
        {stem_str("1"), STEM_ETYPE, 0},
        {stem_bool(true), STEM_ETYPE, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t out = 777;

        assert_code(stem_as_uint(&cases[i].value, &out), cases[i].code);
        ck_assert_uint_eq(out, cases[i].code == STEM_OK ? cases[i].expected : 777);
    }
}
END_TEST

START_TEST(float_is_read_where_it_is_exact)
{
    const int64_t two_53 = INT64_C(1) << 53;
    const struct {
        stem_value value;
        int code;
        double expected;
    } cases[] = {
        {stem_float(0.1), STEM_OK, 0.1},
        {stem_float(-INFINITY), STEM_OK, -INFINITY},
        {stem_int(0), STEM_OK, 0},
        {stem_int(-7), STEM_OK, -7},
        {stem_int(two_53), STEM_OK, 9007199254740992.0},
        {stem_int(two_53 + 1), STEM_ERANGE, 0},
        {stem_int(two_53 + 2), STEM_OK, 9007199254740994.0},
        {stem_int(-two_53 - 1), STEM_ERANGE, 0},
        {stem_int(INT64_MIN), STEM_OK, -TWO_63},
        {stem_int(INT64_MIN + 1), STEM_ERANGE, 0},
        {stem_int(INT64_MAX), STEM_ERANGE, 0},
        {stem_uint(UINT64_C(1) << 63), STEM_OK, TWO_63},
        {stem_uint(UINT64_MAX), STEM_ERANGE, 0},
        {stem_uint(UINT64_MAX - 2047), STEM_OK, 18446744073709549568.0},
        {stem_uint(UINT64_MAX - 2046), STEM_ERANGE, 0},
        {stem_bool(true), STEM_ETYPE, 0},
        {stem_str("1"), STEM_ETYPE, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double out = 777;

        assert_code(stem_as_float(&cases[i].value, &out), cases[i].code);
        ck_assert(out == (cases[i].code == STEM_OK ? cases[i].expected : 777));
    }
}
END_TEST

START_TEST(bool_is_read_from_bool_and_from_0_and_1)
{
    const struct {
        stem_value value;
        int code;
        bool expected;
    } cases[] = {
        {stem_bool(false), STEM_OK, false},
        {stem_bool(true), STEM_OK, true},
        {stem_int(0), STEM_OK, false},
        {stem_int(1), STEM_OK, true},
        {stem_int(2), STEM_ERANGE, false},
        {stem_int(-1), STEM_ERANGE, false},
        {stem_uint(UINT64_MAX), STEM_ERANGE, false},
        {stem_float(1.0), STEM_ETYPE, false},
        {stem_nil(), STEM_ETYPE, false},
        {stem_str("true"), STEM_ETYPE, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool out = !cases[i].expected;

        assert_code(stem_as_bool(&cases[i].value, &out), cases[i].code);
        if (cases[i].code == STEM_OK)
            ck_assert_int_eq(out, cases[i].expected);
        else
            ck_assert(out);
    }
}
END_TEST

START_TEST(failures_say_what_was_found_and_what_was_wanted)
{
    stem_value value = stem_str("x");
    int64_t integer;
    uint64_t natural;

    stem_as_int(&value, &integer);
    ck_assert_str_eq(stem_errmsg(), "the value is of type str, not an integer");
    value = stem_int(-5);
    stem_as_uint(&value, &natural);
    ck_assert_str_eq(stem_errmsg(), "the integer -5 does not fit uint64_t");
    value = stem_float(1.25);
    stem_as_int(&value, &integer);
    ck_assert_str_eq(stem_errmsg(), "the float 1.25 is not an int64_t");
}
END_TEST

START_TEST(null_arguments_are_refused)
{
    const stem_value value = stem_int(1);
    int64_t integer;
    uint64_t natural;
    double real;
    bool boolean;
    stem_value array;

    assert_code(stem_as_int(NULL, &integer), STEM_EINVAL);
    assert_code(stem_as_int(&value, NULL), STEM_EINVAL);
    assert_code(stem_as_uint(NULL, &natural), STEM_EINVAL);
    assert_code(stem_as_uint(&value, NULL), STEM_EINVAL);
    assert_code(stem_as_float(NULL, &real), STEM_EINVAL);
    assert_code(stem_as_float(&value, NULL), STEM_EINVAL);
    assert_code(stem_as_bool(NULL, &boolean), STEM_EINVAL);
    assert_code(stem_as_bool(&value, NULL), STEM_EINVAL);
    assert_code(stem_as_array(NULL, STEM_ANY, &array), STEM_EINVAL);
    assert_code(stem_as_array(&value, STEM_ANY, NULL), STEM_EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("value");
    TCase *tcase = add_case(suite, "making and releasing", 10);

    tcase_add_test(tcase, types_have_names);
    tcase_add_test(tcase, constructors_borrow_what_they_are_given);
    tcase_add_test(tcase, scalars_hold_themselves);
    tcase_add_test(tcase, packed_bytes_take_the_type_of_what_they_hold);
    tcase_add_loop_test(tcase, malformed_packed_bytes_fail_only_when_they_are_put, 0,
                        sizeof malformed / sizeof *malformed);
    tcase_add_test(tcase, free_makes_nil_and_frees_what_is_owned);
    tcase_add_test(tcase, a_zeroed_value_is_nil);
    tcase = add_case(suite, "conversions", 10);
    tcase_add_test(tcase, int_is_read_where_nothing_is_lost);
    tcase_add_test(tcase, uint_is_read_where_nothing_is_lost);
    tcase_add_test(tcase, float_is_read_where_it_is_exact);
    tcase_add_test(tcase, bool_is_read_from_bool_and_from_0_and_1);
    tcase_add_test(tcase, failures_say_what_was_found_and_what_was_wanted);
    tcase_add_test(tcase, null_arguments_are_refused);
    return run_suite(suite);
}
