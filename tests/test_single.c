/*
 * Putting, reading and removing single keys: every C type in, keys that come and go, and what
 * failures say. test_stored.c has strings, bytes, arrays and sizes, test_conversions.c what
 * typed reads convert, test_allocations.c what it costs.
 */
#include "support.h"

#include <complex.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "stem.h"

static stem_db *db;

static void open_db(void)
{
    assert_ok(stem_open(&db, path_in(temp_dir(), "db"), NULL));
}

static void close_db(void)
{
    assert_ok(stem_close(db));
}

static void assert_text(const char *part)
{
    ck_assert_msg(strstr(stem_errmsg(), part), "no \"%s\" in: %s", part, stem_errmsg());
}

/* ---- From C types ----------------------------------------------------------------- */

/* Puts x, and expects to read an INT of the same value. */
#define assert_integer(x, expected)                                                      \
    do {                                                                                 \
        int type_;                                                                       \
        int64_t read_ = 77;                                                              \
        assert_ok(stem_put(db, "n", (x)));                                               \
        assert_ok(stem_type(db, "n", &type_));                                           \
        ck_assert_int_eq(type_, STEM_INT);                                               \
        assert_ok(stem_get_int(db, "n", &read_));                                        \
        ck_assert_int_eq(read_, (expected));                                             \
    } while (0)

#define assert_integer_type(T, least, most)                                              \
    do {                                                                                 \
        T low_ = (least), high_ = (most);                                                \
        const T constant_ = (most);                                                      \
        assert_integer(low_, (int64_t)(least));                                          \
        assert_integer(high_, (int64_t)(most));                                          \
        assert_integer(constant_, (int64_t)(most));                                      \
    } while (0)

START_TEST(every_c_integer_becomes_an_int)
{
    open_db();
    assert_integer_type(char, CHAR_MIN, CHAR_MAX);
    assert_integer_type(signed char, SCHAR_MIN, SCHAR_MAX);
    assert_integer_type(unsigned char, 0, UCHAR_MAX);
    assert_integer_type(short, SHRT_MIN, SHRT_MAX);
    assert_integer_type(unsigned short, 0, USHRT_MAX);
    assert_integer_type(int, INT_MIN, INT_MAX);
    assert_integer_type(unsigned, 0, UINT_MAX);
    assert_integer_type(long, LONG_MIN, LONG_MAX);
    assert_integer_type(unsigned long, 0, LONG_MAX);
    assert_integer_type(long long, LLONG_MIN, LLONG_MAX);
    assert_integer_type(unsigned long long, 0, LLONG_MAX);
    assert_integer(STEM_EXT_CODE_MAX, 63);
    assert_integer(1 == 1, 1);
    assert_integer(sizeof(int), 4);
    assert_integer('a', 97);
    close_db();
}
END_TEST

START_TEST(an_unsigned_above_int64_becomes_a_uint)
{
    const unsigned long long numbers[] = {(unsigned long long)INT64_MAX + 1, ULLONG_MAX};

    open_db();
    for (int i = 0; i < 2; i++) {
        uint64_t read;
        int type;

        assert_ok(stem_put(db, "n", numbers[i]));
        assert_ok(stem_type(db, "n", &type));
        ck_assert_int_eq(type, STEM_UINT);
        assert_ok(stem_get_uint(db, "n", &read));
        ck_assert_uint_eq(read, numbers[i]);
        assert_ok(stem_put(db, "n", (unsigned long)numbers[i]));
        assert_ok(stem_get_uint(db, "n", &read));
        ck_assert_uint_eq(read, numbers[i]);
    }
    close_db();
}
END_TEST

START_TEST(bools_floats_strings_and_values_become_what_they_are)
{
    const bool yes = true;
    char text[] = "text";
    const char *constant = "constant";
    const struct {
        stem_value value;
        int type;
    } cases[] = {{STEM_VALUE(yes), STEM_BOOL},
                 {STEM_VALUE((bool)0), STEM_BOOL},
                 {STEM_VALUE(0.5f), STEM_FLOAT},
                 {STEM_VALUE(0.1), STEM_FLOAT},
                 {STEM_VALUE(text), STEM_STR},
                 {STEM_VALUE(constant), STEM_STR},
                 {STEM_VALUE("literal"), STEM_STR},
                 {STEM_VALUE(stem_nil()), STEM_NIL},
                 {STEM_VALUE(stem_time(1, 2)), STEM_TIME}};
    char *read;
    bool is_yes;
    double real;

    open_db();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int type;

        assert_ok(stem_put(db, "x", cases[i].value));
        assert_ok(stem_type(db, "x", &type));
        ck_assert_int_eq(type, cases[i].type);
    }
    assert_ok(stem_put(db, "x", yes));
    assert_ok(stem_get_bool(db, "x", &is_yes));
    ck_assert(is_yes);
    assert_ok(stem_put(db, "x", 0.1f));
    assert_ok(stem_get_float(db, "x", &real));
    ck_assert(real == (double)0.1f);
    assert_ok(stem_put(db, "x", text));
    assert_ok(stem_get_str(db, "x", &read, NULL));
    ck_assert_str_eq(read, "text");
    stem_free(read);
    close_db();
}
END_TEST

#define assert_vector(T, number)                                                         \
    do {                                                                                 \
        T data_[] = {(T)0, (T)1, (T)1};                                                  \
        const T *constant_ = data_;                                                      \
        stem_value read_;                                                                \
        assert_ok(stem_put(db, "a", stem_vec(data_, 3)));                                \
        assert_ok(stem_put(db, "a", stem_vec(constant_, 3)));                            \
        assert_ok(stem_get_array(db, "a", (number), &read_));                            \
        ck_assert_int_eq(read_.as.array.ndim, 1);                                        \
        ck_assert_uint_eq(read_.as.array.count, 3);                                      \
        ck_assert_uint_eq(stem_dtype_size(number), sizeof(T));                           \
        ck_assert_mem_eq(read_.as.array.data, data_, sizeof data_);                      \
        stem_value_free(&read_);                                                         \
    } while (0)

START_TEST(vectors_of_every_c_element_type_come_back)
{
    open_db();
    assert_vector(bool, STEM_B8);
    assert_vector(signed char, STEM_I8);
    assert_vector(unsigned char, STEM_U8);
    assert_vector(short, STEM_I16);
    assert_vector(unsigned short, STEM_U16);
    assert_vector(int, STEM_I32);
    assert_vector(unsigned, STEM_U32);
    assert_vector(long, STEM_I64);
    assert_vector(unsigned long, STEM_U64);
    assert_vector(long long, STEM_I64);
    assert_vector(unsigned long long, STEM_U64);
    assert_vector(float, STEM_F32);
    assert_vector(double, STEM_F64);
    assert_vector(float complex, STEM_C64);
    assert_vector(double complex, STEM_C128);
    close_db();
}
END_TEST

static int n_evaluated;

static int count_evaluation(void)
{
    return ++n_evaluated;
}

START_TEST(put_evaluates_each_argument_once)
{
    stem_db *handles[2];
    const char *keys[] = {"a", "b"};
    int i = 0, j = 0;

    open_db();
    handles[0] = handles[1] = db;
    assert_ok(stem_put(handles[i++], keys[j++], count_evaluation()));
    ck_assert_int_eq(i, 1);
    ck_assert_int_eq(j, 1);
    ck_assert_int_eq(n_evaluated, 1);
    close_db();
}
END_TEST

/* ---- Keys that come and go -------------------------------------------------------- */

START_TEST(a_key_is_there_from_its_put_to_its_removal)
{
    int64_t n = 5;
    int type = -5;
    stem_value value = {.type = 99};

    open_db();
    stem_db *below = stem_sub(db, "k");
    assert_code(stem_has(db, "k"), STEM_NOTFOUND);
    assert_ok(stem_del(db, "k"));
    assert_ok(stem_put(db, "k", 1));
    assert_ok(stem_put(below, "k", 2));
    assert_ok(stem_has(db, "k"));
    assert_ok(stem_put(db, "k", "replaced"));
    assert_ok(stem_type(db, "k", &type));
    ck_assert_int_eq(type, STEM_STR);
    assert_ok(stem_del(db, "k"));
    type = -5;
    assert_code(stem_has(db, "k"), STEM_NOTFOUND);
    assert_code(stem_get(db, "k", &value), STEM_NOTFOUND);
    assert_code(stem_get_int(db, "k", &n), STEM_NOTFOUND);
    assert_code(stem_type(db, "k", &type), STEM_NOTFOUND);
    ck_assert_int_eq(value.type, 99);
    ck_assert_int_eq(n, 5);
    ck_assert_int_eq(type, -5);
    assert_ok(stem_get_int(below, "k", &n));
    ck_assert_int_eq(n, 2);
    assert_ok(stem_close(below));
    close_db();
}
END_TEST

/* The fallback is copied, so that what comes back is always the caller's. */
START_TEST(a_string_or_its_fallback_is_owned)
{
    open_db();
    assert_ok(stem_put(db, "host", "example.org"));
    assert_ok(stem_put(db, "empty", ""));
    assert_ok(stem_put(db, "number", 7));
    assert_ok(stem_put(db, "nul", stem_strn("a\0b", 3)));
    const struct {
        const char *key, *fallback, *expected;
        int code;
    } reads[] = {
        {"host", "localhost", "example.org", STEM_OK},
        {"host", NULL, "example.org", STEM_OK},
        {"empty", "localhost", "", STEM_OK},
        {"none", "localhost", "localhost", STEM_NOTFOUND},
        {"none", "", "", STEM_NOTFOUND},
        {"none", NULL, NULL, STEM_NOTFOUND},
        {"number", "localhost", "localhost", STEM_ETYPE},
        {"nul", "localhost", "localhost", STEM_ERANGE},
        {"", NULL, NULL, STEM_EINVAL},
    };

    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        char *text = stem_get_str_or(db, reads[i].key, reads[i].fallback);

        assert_code(stem_errcode(), reads[i].code);
        if (reads[i].expected)
            ck_assert_str_eq(text, reads[i].expected);
        else
            ck_assert_ptr_null(text);
        ck_assert(!text || text != reads[i].fallback);
        stem_free(text);
    }
    close_db();
}
END_TEST

START_TEST(success_and_answers_leave_the_last_failure_alone)
{
    int64_t n;

    open_db();
    assert_code(stem_errcode(), STEM_OK);
    ck_assert_str_eq(stem_errmsg(), "");
    assert_ok(stem_put(db, "k", 1));
    assert_code(stem_get_int(db, "missing", &n), STEM_NOTFOUND);
    assert_code(stem_errcode(), STEM_OK);
    ck_assert_str_eq(stem_errmsg(), "");
    assert_code(stem_put(db, "", 1), STEM_EINVAL);
    char *before = strdup(stem_errmsg());
    assert_ok(stem_get_int(db, "k", &n));
    assert_code(stem_has(db, "missing"), STEM_NOTFOUND);
    assert_code(stem_errcode(), STEM_EINVAL);
    ck_assert_str_eq(stem_errmsg(), before);
    free(before);
    close_db();
}
END_TEST

START_TEST(a_failure_names_the_operation_the_path_and_the_cause)
{
    int64_t n;

    open_db();
    stem_db *deep = stem_sub(db, "users", "a/b", "\x01");
    stem_db *reader = stem_read_only(deep);
    assert_ok(stem_put(deep, "name", "Ada"));
    assert_code(stem_get_int(deep, "name", &n), STEM_ETYPE);
    assert_text("get users/a\\/b/\\x01/name: ");
    assert_text("str");
    assert_code(stem_put(reader, "name", 1), STEM_EREADONLY);
    assert_text("put users/a\\/b/\\x01/name: ");
    assert_code(stem_del(reader, "name"), STEM_EREADONLY);
    assert_text("del users/a\\/b/\\x01/name: ");
    assert_code(stem_put(deep, "", 1), STEM_EINVAL);
    assert_text("put users/a\\/b/\\x01: ");
    assert_text("empty");
    assert_code(stem_put(deep, NULL, 1), STEM_EINVAL);
    assert_text("NULL");
    assert_code(stem_put(deep, "k", stem_time(0, 1000000000)), STEM_EINVAL);
    assert_text("nanoseconds");
    assert_ok(stem_close(reader));
    assert_ok(stem_close(deep));
    close_db();
}
END_TEST

START_TEST(a_null_handle_or_output_is_refused)
{
    stem_value value;
    size_t len;
    char *text;
    void *data;

    open_db();
    assert_ok(stem_put(db, "k", 1));
    assert_code(stem_put(NULL, "k", 1), STEM_EINVAL);
    assert_text("put");
    assert_code(stem_del(NULL, "k"), STEM_EINVAL);
    assert_code(stem_has(NULL, "k"), STEM_EINVAL);
    assert_code(stem_get(NULL, "k", &value), STEM_EINVAL);
    assert_code(stem_get(db, NULL, &value), STEM_EINVAL);
    assert_code(stem_get(db, "k", NULL), STEM_EINVAL);
    assert_code(stem_type(db, "k", NULL), STEM_EINVAL);
    assert_code(stem_get_int(db, "k", NULL), STEM_EINVAL);
    assert_code(stem_get_uint(db, "k", NULL), STEM_EINVAL);
    assert_code(stem_get_float(db, "k", NULL), STEM_EINVAL);
    assert_code(stem_get_bool(db, "k", NULL), STEM_EINVAL);
    assert_code(stem_get_time(db, "k", NULL), STEM_EINVAL);
    assert_code(stem_get_str(db, "k", NULL, &len), STEM_EINVAL);
    assert_code(stem_get_str(NULL, "k", &text, &len), STEM_EINVAL);
    assert_code(stem_get_bin(db, "k", NULL, &len), STEM_EINVAL);
    assert_code(stem_get_bin(db, "k", &data, NULL), STEM_EINVAL);
    assert_code(stem_get_array(db, "k", STEM_ANY, NULL), STEM_EINVAL);
    ck_assert_int_eq(stem_get_int_or(NULL, "k", 4), 4);
    assert_code(stem_errcode(), STEM_EINVAL);
    text = stem_get_str_or(NULL, "k", "fallback");
    assert_code(stem_errcode(), STEM_EINVAL);
    ck_assert_str_eq(text, "fallback");
    stem_free(text);
    close_db();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("single");
    TCase *types = add_case(suite, "C types", 30);
    TCase *keys = add_case(suite, "keys", 30);

    tcase_add_test(types, every_c_integer_becomes_an_int);
    tcase_add_test(types, an_unsigned_above_int64_becomes_a_uint);
    tcase_add_test(types, bools_floats_strings_and_values_become_what_they_are);
    tcase_add_test(types, vectors_of_every_c_element_type_come_back);
    tcase_add_test(types, put_evaluates_each_argument_once);
    tcase_add_test(keys, a_string_or_its_fallback_is_owned);
    tcase_add_test(keys, a_key_is_there_from_its_put_to_its_removal);
    tcase_add_test(keys, success_and_answers_leave_the_last_failure_alone);
    tcase_add_test(keys, a_failure_names_the_operation_the_path_and_the_cause);
    tcase_add_test(keys, a_null_handle_or_output_is_refused);
    return run_suite(suite);
}
