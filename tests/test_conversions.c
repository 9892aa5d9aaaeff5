/*
 * What a typed read converts, value by value: the table of stem_as_* in the header, through
 * stem_get_* and the `_or` forms.
 */
#include "support.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stem.h"

enum { OK = STEM_OK, TYPE = STEM_ETYPE, RANGE = STEM_ERANGE };

#define TWO_53 9007199254740992.0
#define TWO_63 9223372036854775808.0
#define TWO_64 18446744073709551616.0

/* What each read answers, and what it gives when it answers OK. */
typedef struct conversion {
    stem_value value;
    int int_code, uint_code, float_code, bool_code;
    int64_t as_int;
    uint64_t as_uint;
    double as_float;
    bool as_bool;
} conversion;

enum { N_CONVERSIONS = 48 };
static conversion table[N_CONVERSIONS];
static size_t n_rows;

static void add(stem_value value, int int_code, int uint_code, int float_code,
                int bool_code)
{
    conversion *row = &table[n_rows++];

    ck_assert_uint_le(n_rows, N_CONVERSIONS);
    *row = (conversion){.value = value,
                        .int_code = int_code,
                        .uint_code = uint_code,
                        .float_code = float_code,
                        .bool_code = bool_code};
    if (value.type == STEM_INT) {
        row->as_int = value.as.integer;
        row->as_uint = (uint64_t)value.as.integer;
        row->as_float = (double)value.as.integer;
        row->as_bool = value.as.integer == 1;
    } else if (value.type == STEM_UINT) {
        row->as_uint = value.as.unsigned_;
        row->as_float = (double)value.as.unsigned_;
    } else if (value.type == STEM_FLOAT) {
        row->as_float = value.as.real;
        if (int_code == OK)
            row->as_int = (int64_t)value.as.real;
        if (uint_code == OK)
            row->as_uint = (uint64_t)value.as.real;
    } else if (value.type == STEM_BOOL) {
        row->as_bool = value.as.boolean;
    }
}

static void fill_table(void)
{
    add(stem_int(0), OK, OK, OK, OK);
    add(stem_int(1), OK, OK, OK, OK);
    add(stem_int(2), OK, OK, OK, RANGE);
    add(stem_int(-1), OK, RANGE, OK, RANGE);
    add(stem_int((int64_t)TWO_53), OK, OK, OK, RANGE);
    add(stem_int((int64_t)TWO_53 + 1), OK, OK, RANGE, RANGE);
    add(stem_int(-(int64_t)TWO_53 - 1), OK, RANGE, RANGE, RANGE);
    add(stem_int((int64_t)TWO_53 + 2), OK, OK, OK, RANGE);
    add(stem_int(INT64_MAX), OK, OK, RANGE, RANGE);
    add(stem_int(INT64_MAX - 1023), OK, OK, OK, RANGE);
    add(stem_int(INT64_MIN), OK, RANGE, OK, RANGE);
    add(stem_uint((uint64_t)INT64_MAX + 1), RANGE, OK, OK, RANGE);
    add(stem_uint(UINT64_MAX), RANGE, OK, RANGE, RANGE);
    add(stem_uint(UINT64_MAX - 2047), RANGE, OK, OK, RANGE);
    add(stem_float(0.0), OK, OK, OK, TYPE);
    add(stem_float(-0.0), RANGE, RANGE, OK, TYPE);
    add(stem_float(1.0), OK, OK, OK, TYPE);
    add(stem_float(-1.0), OK, RANGE, OK, TYPE);
    add(stem_float(0.5), RANGE, RANGE, OK, TYPE);
    add(stem_float(-0.5), RANGE, RANGE, OK, TYPE);
    add(stem_float(TWO_53 - 0.5), OK, OK, OK, TYPE); /* rounds to 2^53 */
    add(stem_float(TWO_63), RANGE, OK, OK, TYPE);
    add(stem_float(-TWO_63), OK, RANGE, OK, TYPE);
    add(stem_float(nextafter(TWO_63, 0)), OK, OK, OK, TYPE);
    add(stem_float(nextafter(-TWO_63, -INFINITY)), RANGE, RANGE, OK, TYPE);
    add(stem_float(TWO_64), RANGE, RANGE, OK, TYPE);
    add(stem_float(nextafter(TWO_64, 0)), RANGE, OK, OK, TYPE);
    add(stem_float(DBL_MAX), RANGE, RANGE, OK, TYPE);
    add(stem_float(-DBL_MAX), RANGE, RANGE, OK, TYPE);
    add(stem_float(DBL_TRUE_MIN), RANGE, RANGE, OK, TYPE);
    add(stem_float(INFINITY), RANGE, RANGE, OK, TYPE);
    add(stem_float(-INFINITY), RANGE, RANGE, OK, TYPE);
    add(stem_float(NAN), RANGE, RANGE, OK, TYPE);
    add(stem_bool(false), TYPE, TYPE, TYPE, OK);
    add(stem_bool(true), TYPE, TYPE, TYPE, OK);
    add(stem_nil(), TYPE, TYPE, TYPE, TYPE);
    add(stem_str("1"), TYPE, TYPE, TYPE, TYPE);
    add(stem_bin("1", 1), TYPE, TYPE, TYPE, TYPE);
    add(stem_time(1, 0), TYPE, TYPE, TYPE, TYPE);
    add(stem_array1(STEM_I8, "1", 1), TYPE, TYPE, TYPE, TYPE);
    add(stem_packed("\x91\x01", 2), TYPE, TYPE, TYPE, TYPE);
    add(stem_packed("\x81\x01\x01", 3), TYPE, TYPE, TYPE, TYPE);
    add(stem_ext(1, "1", 1), TYPE, TYPE, TYPE, TYPE);
}

static stem_db *db;

static void open_filled(void)
{
    fill_table();
    assert_ok(stem_open(&db, "mem:", NULL));
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Asserts what one read of a row answered and gave. */
static void assert_read(size_t row, const char *read, int code, int expected,
                        bool is_value_right)
{
    ck_assert_msg(code == expected, "row %zu as %s: %s, not %s", row, read,
                  stem_strerror(code), stem_strerror(expected));
    ck_assert_msg(is_value_right, "row %zu as %s: the value", row, read);
    if (code == OK)
        return;
    assert_code(stem_errcode(), expected);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "get k: "));
}

START_TEST(a_typed_read_converts_where_nothing_is_lost_and_else_changes_nothing)
{
    open_filled();
    for (size_t i = 0; i < n_rows; i++) {
        const conversion *row = &table[i];
        int64_t n = -77;
        uint64_t u = 77;
        double x = -7.75;
        bool yes = !row->as_bool;
        int code;

        assert_ok(stem_put(db, "k", row->value));
        code = stem_get_int(db, "k", &n);
        assert_read(i, "int", code, row->int_code, n == (code == OK ? row->as_int : -77));
        code = stem_get_uint(db, "k", &u);
        assert_read(i, "uint", code, row->uint_code,
                    u == (code == OK ? row->as_uint : 77));
        code = stem_get_float(db, "k", &x);
        assert_read(i, "float", code, row->float_code,
                    same_bits(x, code == OK ? row->as_float : -7.75));
        code = stem_get_bool(db, "k", &yes);
        assert_read(i, "bool", code, row->bool_code,
                    yes == (code == OK ? row->as_bool : !row->as_bool));
    }
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_fallback_stands_in_for_every_answer_but_ok_and_the_code_tells)
{
    open_filled();
    for (size_t i = 0; i < n_rows; i++) {
        const conversion *row = &table[i];

        assert_ok(stem_put(db, "k", row->value));
        ck_assert_int_eq(stem_get_int_or(db, "k", -77),
                         row->int_code == OK ? row->as_int : -77);
        assert_code(stem_errcode(), row->int_code);
        ck_assert_uint_eq(stem_get_uint_or(db, "k", 77),
                          row->uint_code == OK ? row->as_uint : 77);
        assert_code(stem_errcode(), row->uint_code);
        ck_assert(same_bits(stem_get_float_or(db, "k", -7.75),
                            row->float_code == OK ? row->as_float : -7.75));
        assert_code(stem_errcode(), row->float_code);
        ck_assert(stem_get_bool_or(db, "k", !row->as_bool) ==
                  (row->bool_code == OK ? row->as_bool : !row->as_bool));
        assert_code(stem_errcode(), row->bool_code);
    }
    ck_assert_int_eq(stem_get_int_or(db, "missing", 5), 5);
    assert_code(stem_errcode(), STEM_NOTFOUND);
    ck_assert_uint_eq(stem_get_uint_or(db, "missing", 6), 6);
    ck_assert(same_bits(stem_get_float_or(db, "missing", NAN), NAN));
    ck_assert(stem_get_bool_or(db, "missing", true));
    assert_code(stem_errcode(), STEM_NOTFOUND);
    ck_assert_int_eq(stem_get_int_or(db, "", 8), 8);
    assert_code(stem_errcode(), STEM_EINVAL);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_nan_keeps_its_bits)
{
    const uint64_t patterns[] = {0x7FF8000000000001, 0xFFF8DEADBEEF0001,
                                 0x7FF0000000000001};

    assert_ok(stem_open(&db, "mem:", NULL));
    for (int i = 0; i < 3; i++) {
        double put, got = 0;

        memcpy(&put, &patterns[i], sizeof put);
        assert_ok(stem_put(db, "k", put));
        assert_ok(stem_get_float(db, "k", &got));
        ck_assert(same_bits(put, got));
    }
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_time_is_read_from_a_time_alone)
{
    const stem_timestamp times[] = {
        {0, 0},           {-1, 999999999}, {1, 1},
        {4294967295, 0},  {4294967296, 0}, {17179869183, 1},
        {17179869184, 1}, {INT64_MIN, 0},  {INT64_MAX, 999999999}};
    stem_timestamp read = {7, 7};

    open_filled();
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        assert_ok(stem_put(db, "k", stem_time(times[i].seconds, times[i].nanoseconds)));
        assert_ok(stem_get_time(db, "k", &read));
        ck_assert_int_eq(read.seconds, times[i].seconds);
        ck_assert_uint_eq(read.nanoseconds, times[i].nanoseconds);
    }
    read = (stem_timestamp){7, 7};
    for (size_t i = 0; i < n_rows; i++) {
        if (table[i].value.type == STEM_TIME)
            continue;
        assert_ok(stem_put(db, "k", table[i].value));
        assert_code(stem_get_time(db, "k", &read), STEM_ETYPE);
    }
    assert_code(stem_get_time(db, "missing", &read), STEM_NOTFOUND);
    ck_assert_int_eq(read.seconds, 7);
    ck_assert_uint_eq(read.nanoseconds, 7);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(an_array_is_read_from_what_numpy_writes_too)
{
    /* msgpack-numpy's map of a '<f8' array of 2 elements, with names as strings. */
    static const char packed[] =
        "\x85\xa2nd\xc3\xa4type\xa3<f8\xa4kind\xa0\xa5shape\x91\x02"
        "\xa4"
        "data\xc4\x10"
        "\0\0\0\0\0\0\xe0?\0\0\0\0\0\0\xf0?";
    stem_value map, array;

    assert_ok(stem_open(&db, "mem:", NULL));
    assert_ok(stem_put(db, "k", stem_packed(packed, sizeof packed - 1)));
    assert_ok(stem_get(db, "k", &map));
    ck_assert_int_eq(map.type, STEM_MAP);
    stem_value_free(&map);
    assert_ok(stem_get_array(db, "k", STEM_F64, &array));
    ck_assert_uint_eq(array.as.array.count, 2);
    ck_assert_uint_eq((uintptr_t)array.as.array.data % 8, 0);
    ck_assert(((const double *)array.as.array.data)[0] == 0.5);
    ck_assert(((const double *)array.as.array.data)[1] == 1.0);
    stem_value_free(&array);
    assert_code(stem_get_array(db, "k", STEM_F32, &array), STEM_ETYPE);
    assert_ok(stem_close(db));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conversions");
    TCase *tcase = add_case(suite, "conversions", 30);

    tcase_add_test(tcase,
                   a_typed_read_converts_where_nothing_is_lost_and_else_changes_nothing);
    tcase_add_test(tcase,
                   a_fallback_stands_in_for_every_answer_but_ok_and_the_code_tells);
    tcase_add_test(tcase, a_nan_keeps_its_bits);
    tcase_add_test(tcase, a_time_is_read_from_a_time_alone);
    tcase_add_test(tcase, an_array_is_read_from_what_numpy_writes_too);
    return run_suite(suite);
}
