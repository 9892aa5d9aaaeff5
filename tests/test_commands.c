/*
 * The data commands, each through the table and an execution of its own. Replies are those that
 * Redis 7.0 gives to the same requests, but for the differences that docs/wire.md lists.
 */
#include <stdio.h>
#include <stdlib.h>

#include "command_support.h"

/* One value of every type that GET cannot read. */
static void store_other_types(void)
{
    static const float floats[] = {1, 2};

    store("nil", stem_nil());
    store("time", stem_time(1, 2));
    store("ext", stem_ext(3, "x", 1));
    store("list", stem_packed("\x91\x01", 2));
    store("map", stem_packed("\x80", 1));
    store("array", stem_vec(floats, 2));
}
static const char *const other_types[] = {"nil", "time", "ext", "list", "map", "array"};
enum { N_OTHER_TYPES = sizeof other_types / sizeof *other_types };

static void assert_type(const char *key, int type)
{
    ck_assert_int_eq(stored_type(key), type);
}

/* ---- The table -------------------------------------------------------------------- */

START_TEST(commands_are_found_in_any_case_and_nothing_else_is)
{
    static const char *const none[] = {"", "G", "GETX", "GE", "GET ", "\307ET", "G\x05T"};
    size_t n = 0;

    for (const stem_command *each; (each = stem_command_at(n)); n++) {
        char lower[32];

        const stem_slice name = text_slice(each->name);
        const stem_command *parent;

        ck_assert_ptr_eq(stem_command_find(name), each);
        if (strchr(each->name, '|')) /* it is named in two words */
            ck_assert_ptr_null(stem_command_of(&name, 1, &parent));
        else
            ck_assert_ptr_eq(stem_command_of(&name, 1, &parent), each);
        snprintf(lower, sizeof lower, "%s", each->name);
        for (char *p = lower; *p; p += 1 + (p > lower))
            *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        ck_assert_ptr_eq(stem_command_find(text_slice(lower)), each);
    }
    ck_assert_uint_ge(n, 22);
    ck_assert_ptr_null(stem_command_at(n + 1));
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        ck_assert_ptr_null(stem_command_find(text_slice(none[i])));
    ck_assert_ptr_null(stem_command_find((stem_slice){"GET\0", 4}));
    ck_assert_ptr_null(stem_command_find((stem_slice){"GE\0", 3}));
}
END_TEST

START_TEST(a_wrong_number_of_words_is_refused_by_the_commands_name)
{
    assert_answer("-ERR wrong number of arguments for 'get' command\r\n", "GeT");
    assert_answer("-ERR wrong number of arguments for 'get' command\r\n", "GET", "a",
                  "b");
    assert_answer("-ERR wrong number of arguments for 'set' command\r\n", "SET", "a");
    assert_answer("-ERR wrong number of arguments for 'incrbyfloat' command\r\n",
                  "INCRBYFLOAT", "a");
    assert_answer("-ERR wrong number of arguments for 'mset' command\r\n", "MSET", "a",
                  "1", "b");
    assert_answer("-ERR wrong number of arguments for 'msetnx' command\r\n", "msetnx",
                  "a", "1", "b");
    assert_answer("-ERR wrong number of arguments for 'copy' command\r\n", "COPY", "a");
    assert_answer("-ERR wrong number of arguments for 'del' command\r\n", "DEL");
}
END_TEST

static unsigned wants(const char *const *words, size_t n)
{
    stem_slice slices[8];

    for (size_t i = 0; i < n; i++)
        slices[i] = text_slice(words[i]);
    return stem_command_wants(stem_command_find(slices[0]), slices, n);
}

START_TEST(what_tells_a_value_wants_the_right_to_read)
{
    enum { R = STEM_COMMAND_READS, W = STEM_COMMAND_WRITES };

    ck_assert_uint_eq(wants((const char *[]){"GET", "a"}, 2), R);
    ck_assert_uint_eq(wants((const char *[]){"SET", "a", "GET"}, 3), W);
    ck_assert_uint_eq(wants((const char *[]){"SET", "a", "1", "NX"}, 4), W);
    ck_assert_uint_eq(wants((const char *[]){"SET", "a", "1", "nx", "get"}, 5), R | W);
    ck_assert_uint_eq(wants((const char *[]){"GETDEL", "a"}, 2), R | W);
    ck_assert_uint_eq(wants((const char *[]){"INCR", "a"}, 2), R | W);
    ck_assert_uint_eq(wants((const char *[]){"APPEND", "a", ""}, 3), R | W);
    ck_assert_uint_eq(wants((const char *[]){"DEL", "a"}, 2), W);
}
END_TEST

/* ---- Values ----------------------------------------------------------------------- */

START_TEST(a_text_is_stored_by_what_it_is_and_read_back_as_it_was)
{
    static const struct {
        const char *text;
        size_t len;
        int type;
    } cases[] = {
        {"0", 1, STEM_INT},
        {"-5", 2, STEM_INT},
        {"9223372036854775807", 19, STEM_INT},
        {"-9223372036854775808", 20, STEM_INT},
        {"9223372036854775808", 19, STEM_STR},
        {"-9223372036854775809", 20, STEM_STR},
        {"99999999999999999999", 20, STEM_STR},
        {"", 0, STEM_STR},
        {"-", 1, STEM_STR},
        {"-0", 2, STEM_STR},
        {"00", 2, STEM_STR},
        {"007", 3, STEM_STR},
        {"+5", 2, STEM_STR},
        {" 5", 2, STEM_STR},
        {"5 ", 2, STEM_STR},
        {"1.5", 3, STEM_STR},
        {"12345678901234567x", 18, STEM_STR},
        {"5\0", 2, STEM_STR},
        {"a\0b\r\n", 5, STEM_STR},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8c\xb1", 14, STEM_STR},
        {"\xff", 1, STEM_BIN},
        {"caf\xc3", 4, STEM_BIN},
        {"\xed\xa0\x80", 3, STEM_BIN},
        {"\xc0\x80", 2, STEM_BIN},
        {"\xf4\x90\x80\x80", 4, STEM_BIN},
        {"12345678\x80", 9, STEM_BIN},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const stem_slice set[] = {
            text_slice("SET"), text_slice("k"), {cases[i].text, cases[i].len}};
        char expected[64];

        ck_assert_str_eq(answer_to(set, 3).data, OK);
        assert_type("k", cases[i].type);
        int len = snprintf(expected, sizeof expected, "$%zu\r\n", cases[i].len);
        memcpy(expected + len, cases[i].text, cases[i].len);
        memcpy(expected + len + cases[i].len, "\r\n", 3);
        const stem_slice got = answer_to((stem_slice[]){text_slice("GET"), set[1]}, 2);
        ck_assert_uint_eq(got.len, (size_t)len + cases[i].len + 2);
        ck_assert_mem_eq(got.data, expected, got.len);
        snprintf(expected, sizeof expected, ":%zu\r\n", cases[i].len);
        assert_answer(expected, "STRLEN", "k");
    }
}
END_TEST

START_TEST(long_texts_come_back_as_well)
{
    enum { LEN = 300000 };
    char *text = malloc(LEN);

    for (int last = 'x'; last <= 0xFF; last += 0xFF - 'x') {
        memset(text, 'x', LEN);
        text[LEN - 1] = (char)last;
        ck_assert_str_eq(
            answer_to((stem_slice[]){text_slice("SET"), text_slice("k"), {text, LEN}}, 3)
                .data,
            OK);
        assert_type("k", last == 'x' ? STEM_STR : STEM_BIN);
        const stem_slice got =
            answer_to((stem_slice[]){text_slice("GET"), text_slice("k")}, 2);
        ck_assert_uint_eq(got.len, LEN + sizeof "$300000\r\n\r\n" - 1);
        ck_assert_mem_eq(got.data + sizeof "$300000\r\n" - 1, text, LEN);
    }
    free(text);
}
END_TEST

START_TEST(numbers_of_other_writers_are_read_as_text)
{
    static const struct {
        double x;
        const char *text;
    } floats[] = {
        {0.1, "0.1"},
        {-0.0, "-0"},
        {0.30000000000000004, "0.30000000000000004"},
        {3, "3"},
        {-2.5, "-2.5"},
        {1e20, "100000000000000000000"},
        {1e21, "1e+21"},
        {1.5e300, "1.5e+300"},
        {123456789.125, "123456789.125"},
        {0.000001, "0.000001"},
        {0.0000001, "0.0000001"},
        {0.00000001, "1e-8"},
        {5e-324, "5e-324"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {1.0 / 0.0, "inf"},
        {-1.0 / 0.0, "-inf"},
    };
    char expected[64];

    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        store("f", stem_float(floats[i].x));
        snprintf(expected, sizeof expected, "$%zu\r\n%s\r\n", strlen(floats[i].text),
                 floats[i].text);
        assert_answer(expected, "GET", "f");
        ck_assert(strtod(floats[i].text, NULL) == floats[i].x);
    }
    store("f", stem_float(__builtin_nan("")));
    assert_answer("$3\r\nnan\r\n", "GET", "f");
    store("u", stem_uint(UINT64_MAX));
    assert_answer("$20\r\n18446744073709551615\r\n", "GET", "u");
    assert_answer(":20\r\n", "STRLEN", "u");
    store("b", stem_bool(true));
    assert_answer("$1\r\n1\r\n", "GET", "b");
    store("b", stem_bool(false));
    assert_answer("$1\r\n0\r\n", "GET", "b");
}
END_TEST

START_TEST(other_kinds_are_the_wrong_type_and_stay_as_they_are)
{
    store_other_types();
    for (int i = 0; i < N_OTHER_TYPES; i++) {
        const char *key = other_types[i];

        const int type = stored_type(key);
        assert_answer(WRONG_TYPE, "GET", key);
        assert_answer(WRONG_TYPE, "STRLEN", key);
        assert_answer(WRONG_TYPE, "GETSET", key, "x");
        assert_answer(WRONG_TYPE, "GETDEL", key);
        assert_answer(WRONG_TYPE, "SET", key, "x", "GET");
        assert_answer(WRONG_TYPE, "SET", key, "x", "NX", "GET");
        assert_answer(WRONG_TYPE, "APPEND", key, "x");
        assert_answer(WRONG_TYPE, "APPEND", key, "");
        assert_answer(WRONG_TYPE, "INCR", key);
        assert_answer(WRONG_TYPE, "INCRBY", key, "2");
        assert_answer(WRONG_TYPE, "DECR", key);
        assert_answer(WRONG_TYPE, "DECRBY", key, "2");
        assert_answer(WRONG_TYPE, "INCRBYFLOAT", key, "2");
        assert_answer("*1\r\n$-1\r\n", "MGET", key);
        assert_answer(":0\r\n", "SETNX", key, "x");
        assert_type(key, type);
        assert_answer(OK, "SET", key, "x");
        assert_answer("$1\r\nx\r\n", "GET", key);
    }
}
END_TEST

START_TEST(null_has_the_form_of_the_protocols_version)
{
    protocol_version = 3;
    assert_answer("_\r\n", "GET", "none");
    assert_answer("*2\r\n_\r\n_\r\n", "MGET", "none", "none");
    assert_answer("_\r\n", "SET", "none", "x", "XX");
}
END_TEST

/* ---- Strings ---------------------------------------------------------------------- */

START_TEST(set_heeds_nx_xx_and_get)
{
    assert_answer(NOTHING, "SET", "a", "1", "XX");
    assert_answer(NOTHING, "GET", "a");
    assert_answer(OK, "SET", "a", "1", "nx");
    assert_answer(NOTHING, "SET", "a", "2", "NX");
    assert_answer(OK, "SET", "a", "3", "xx");
    assert_answer("$1\r\n3\r\n", "SET", "a", "4", "GET");
    assert_answer("$1\r\n4\r\n", "SET", "a", "5", "NX", "GET");
    assert_answer("$1\r\n4\r\n", "SET", "a", "6", "GET", "XX");
    assert_answer("$1\r\n6\r\n", "GET", "a");
    assert_answer(NOTHING, "SET", "b", "1", "GET", "XX");
    assert_answer(NOTHING, "GET", "b");
    assert_answer(NOTHING, "SET", "b", "1", "GET", "NX");
    assert_answer("$1\r\n1\r\n", "GET", "b");
    assert_answer(OK, "SET", "b", "2", "KEEPTTL");
    assert_answer("$1\r\n2\r\n", "GET", "b");
}
END_TEST

START_TEST(set_refuses_expiry_and_what_it_does_not_know)
{
    static const char no_expiry[] =
        "-ERR expiry is not supported: Stem's keys do not expire\r\n";

    assert_answer(no_expiry, "SET", "a", "1", "EX", "10");
    assert_answer(no_expiry, "SET", "a", "1", "px", "10");
    assert_answer(no_expiry, "SET", "a", "1", "NX", "EXAT", "10");
    assert_answer(no_expiry, "SET", "a", "1", "PXAT", "10", "GET");
    assert_answer(SYNTAX_ERROR, "SET", "a", "1", "EX");
    assert_answer(SYNTAX_ERROR, "SET", "a", "1", "EX", "1", "PX", "1");
    assert_answer(SYNTAX_ERROR, "SET", "a", "1", "EX", "1", "KEEPTTL");
    assert_answer(SYNTAX_ERROR, "SET", "a", "1", "KEEPTTL", "PXAT", "1");
    assert_answer(SYNTAX_ERROR, "SET", "a", "1", "NX", "XX");
    assert_answer(SYNTAX_ERROR, "SET", "a", "1", "XX", "NX");
    assert_answer(SYNTAX_ERROR, "SET", "a", "1", "FOO");
    assert_answer(SYNTAX_ERROR, "SET", "a", "1", "");
    assert_answer(NOTHING, "GET", "a");
}
END_TEST

START_TEST(setnx_getset_and_getdel_tell_what_was_there)
{
    assert_answer(":1\r\n", "SETNX", "a", "1");
    assert_answer(":0\r\n", "SETNX", "a", "2");
    assert_answer("$1\r\n1\r\n", "GETSET", "a", "3");
    assert_answer("$1\r\n3\r\n", "GETDEL", "a");
    assert_answer(NOTHING, "GETDEL", "a");
    assert_answer(NOTHING, "GETSET", "a", "4");
    assert_answer("$1\r\n4\r\n", "GET", "a");
}
END_TEST

START_TEST(many_are_set_and_read_at_once)
{
    assert_answer(OK, "MSET", "a", "1", "b", "2", "a", "3");
    assert_answer("*4\r\n$1\r\n3\r\n$-1\r\n$1\r\n2\r\n$1\r\n3\r\n", "MGET", "a", "none",
                  "b", "a");
    assert_answer(":0\r\n", "MSETNX", "new", "1", "a", "1");
    assert_answer(NOTHING, "GET", "new");
    assert_answer(":1\r\n", "MSETNX", "new", "1", "newer", "2", "new", "3");
    assert_answer("*2\r\n$1\r\n3\r\n$1\r\n2\r\n", "MGET", "new", "newer");
}
END_TEST

START_TEST(nothing_is_set_when_one_key_of_many_is_bad)
{
    assert_answer(BAD_KEY, "MSET", "a", "1", "b/", "2");
    assert_answer(BAD_KEY, "MSETNX", "a", "1", "", "2");
    assert_answer(BAD_KEY, "MGET", "a", "//");
    assert_answer(BAD_KEY, "DEL", "a", "/");
    assert_answer(NOTHING, "GET", "a");
}
END_TEST

START_TEST(append_keeps_the_rules_of_set)
{
    assert_answer(":1\r\n", "APPEND", "a", "1");
    assert_type("a", STEM_INT);
    assert_answer(":2\r\n", "APPEND", "a", "2");
    assert_type("a", STEM_INT);
    assert_answer(":13\r\n", "INCR", "a");
    assert_answer(":4\r\n", "APPEND", "a", ".5");
    assert_type("a", STEM_STR);
    assert_answer(":4\r\n", "APPEND", "a", "");
    assert_answer(":5\r\n", "APPEND", "a", "\xc3");
    assert_type("a", STEM_BIN);
    assert_answer(":6\r\n", "APPEND", "a", "\xa9");
    assert_type("a", STEM_STR);
    assert_answer("$6\r\n13.5\xc3\xa9\r\n", "GET", "a");
    assert_answer(":0\r\n", "APPEND", "empty", "");
    assert_answer("$0\r\n\r\n", "GET", "empty");
}
END_TEST

/* ---- Counters --------------------------------------------------------------------- */

START_TEST(integers_are_counted_up_and_down)
{
    assert_answer(":1\r\n", "INCR", "n");
    assert_answer(":11\r\n", "INCRBY", "n", "10");
    assert_answer(":10\r\n", "DECR", "n");
    assert_answer(":-90\r\n", "DECRBY", "n", "100");
    assert_answer(":-95\r\n", "INCRBY", "n", "-5");
    assert_type("n", STEM_INT);
    assert_answer("$3\r\n-95\r\n", "GET", "n");
    store("u", stem_uint((uint64_t)INT64_MAX + 1));
    assert_answer(":9223372036854775807\r\n", "DECR", "u");
}
END_TEST

START_TEST(what_is_no_integer_is_not_counted)
{
    static const char *const words[] = {
        "", "x", "1.5", "+1", "01", "-0", " 1", "1 ", "9223372036854775808"};
    static const char overflow[] = "-ERR increment or decrement would overflow\r\n";

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        assert_answer(NO_INTEGER, "INCRBY", "n", words[i]);
        assert_answer(NO_INTEGER, "DECRBY", "n", words[i]);
        assert_answer(OK, "SET", "text", words[i]);
        assert_answer(NO_INTEGER, "INCR", "text");
    }
    assert_answer(NOTHING, "GET", "n");
    store("n", stem_bool(true));
    assert_answer(NO_INTEGER, "INCR", "n");
    store("n", stem_float(2));
    assert_answer(NO_INTEGER, "INCR", "n");
    store("n", stem_str("5"));
    assert_answer(NO_INTEGER, "INCR", "n");
    assert_answer(OK, "SET", "n", "9223372036854775807");
    assert_answer(overflow, "INCR", "n");
    assert_answer("$19\r\n9223372036854775807\r\n", "GET", "n");
    assert_answer(":-1\r\n", "INCRBY", "n", "-9223372036854775808");
    assert_answer("-ERR decrement would overflow\r\n", "DECRBY", "n",
                  "-9223372036854775808");
    assert_answer(":-9223372036854775808\r\n", "DECRBY", "n", "9223372036854775807");
    assert_answer(overflow, "DECR", "n");
}
END_TEST

START_TEST(floats_are_added_in_decimal)
{
    for (int i = 1; i <= 9; i++) {
        char expected[32];

        snprintf(expected, sizeof expected, "$3\r\n0.%d\r\n", i);
        assert_answer(expected, "INCRBYFLOAT", "f", "0.1");
        assert_type("f", STEM_FLOAT);
        assert_answer(expected, "GET", "f");
    }
    assert_answer("$1\r\n1\r\n", "INCRBYFLOAT", "f", "0.1");
    assert_type("f", STEM_INT);
    assert_answer(":2\r\n", "INCR", "f");
    assert_answer(OK, "SET", "f", "10.50");
    assert_answer("$4\r\n10.6\r\n", "INCRBYFLOAT", "f", "1e-1");
    assert_answer(OK, "SET", "f", "5.0e3");
    assert_answer("$4\r\n5200\r\n", "INCRBYFLOAT", "f", "2.0e2");
    assert_answer("$1\r\n0\r\n", "INCRBYFLOAT", "f", "-5200");
    assert_answer("$19\r\n9223372036854775807\r\n", "INCRBYFLOAT", "f",
                  "9223372036854775807");
    assert_type("f", STEM_INT);
    assert_answer("$19\r\n9223372036854776000\r\n", "INCRBYFLOAT", "f", "1");
    assert_type("f", STEM_FLOAT);
}
END_TEST

START_TEST(what_is_no_float_is_not_added)
{
    static const char *const words[] = {"",    "x",  " 1", "1 ",     "1,5",
                                        "nan", "1e", "0x", "1e5000", "1e-5000"};
    static const char no_number[] = "-ERR increment would produce NaN or Infinity\r\n";

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        assert_answer(NO_FLOAT, "INCRBYFLOAT", "f", words[i]);
        assert_answer(OK, "SET", "text", words[i]);
        assert_answer(NO_FLOAT, "INCRBYFLOAT", "text", "1");
    }
    ck_assert_str_eq(
        answer_to((stem_slice[]){text_slice("INCRBYFLOAT"), text_slice("f"), {"1\0", 2}},
                  3)
            .data,
        NO_FLOAT);
    assert_answer(no_number, "INCRBYFLOAT", "f", "inf");
    assert_answer(no_number, "INCRBYFLOAT", "f", "-infinity");
    assert_answer(NOTHING, "GET", "f");
    store("f", stem_bool(true));
    assert_answer(NO_FLOAT, "INCRBYFLOAT", "f", "1");
    store("f", stem_float(1.7e308));
    assert_answer(no_number, "INCRBYFLOAT", "f", "1.7e308");
}
END_TEST

/* ---- Keys ------------------------------------------------------------------------- */

START_TEST(a_key_named_twice_is_removed_once_and_counted_twice)
{
    assert_answer(OK, "MSET", "a", "1", "b", "2", "a/below", "3");
    assert_answer(":3\r\n", "EXISTS", "a", "a", "b", "none");
    assert_answer(":2\r\n", "DEL", "a", "none", "b", "a");
    assert_answer(":0\r\n", "EXISTS", "a", "b");
    assert_answer(":1\r\n", "EXISTS", "a/below");
    assert_answer(":1\r\n", "UNLINK", "a/below");
    assert_answer(":0\r\n", "UNLINK", "a/below");
}
END_TEST

START_TEST(type_names_what_redis_has_none_for)
{
    char expected[32];

    store_other_types();
    for (int i = 0; i < N_OTHER_TYPES; i++) {
        snprintf(expected, sizeof expected, "+stem.%s\r\n", other_types[i]);
        assert_answer(expected, "TYPE", other_types[i]);
        assert_answer(":1\r\n", "EXISTS", other_types[i]);
        assert_answer(":1\r\n", "DEL", other_types[i]);
        assert_answer("+none\r\n", "TYPE", other_types[i]);
    }
    store("k", stem_int(1));
    assert_answer("+string\r\n", "TYPE", "k");
    store("k", stem_uint(UINT64_MAX));
    assert_answer("+string\r\n", "TYPE", "k");
    store("k", stem_float(1.5));
    assert_answer("+string\r\n", "TYPE", "k");
    store("k", stem_bool(true));
    assert_answer("+string\r\n", "TYPE", "k");
    store("k", stem_bin("\xff", 1));
    assert_answer("+string\r\n", "TYPE", "k");
}
END_TEST

START_TEST(a_renamed_key_takes_its_value_along_and_nothing_below_it)
{
    static const char no_key[] = "-ERR no such key\r\n";

    store_other_types();
    assert_answer(OK, "MSET", "list/below", "1", "b", "2");
    assert_answer(OK, "RENAME", "list", "b");
    assert_type("b", STEM_LIST);
    assert_answer("+none\r\n", "TYPE", "list");
    assert_answer("$1\r\n1\r\n", "GET", "list/below");
    assert_answer(OK, "RENAME", "b", "b");
    assert_type("b", STEM_LIST);
    assert_answer(no_key, "RENAME", "none", "b");
    assert_answer(no_key, "RENAME", "none", "none");
    assert_answer(":0\r\n", "RENAMENX", "b", "map");
    assert_answer(":0\r\n", "RENAMENX", "b", "b");
    assert_answer(":1\r\n", "RENAMENX", "b", "c");
    assert_type("c", STEM_LIST);
    assert_answer(no_key, "RENAMENX", "b", "d");
}
END_TEST

START_TEST(a_copy_replaces_only_when_told_to)
{
    static const char same[] = "-ERR source and destination objects are the same\r\n";
    static const char index[] = "-ERR DB index is out of range\r\n";

    store_other_types();
    assert_answer(":1\r\n", "COPY", "list", "a");
    assert_type("a", STEM_LIST);
    assert_type("list", STEM_LIST);
    assert_answer(":0\r\n", "COPY", "map", "a");
    assert_type("a", STEM_LIST);
    assert_answer(":1\r\n", "COPY", "map", "a", "replace");
    assert_type("a", STEM_MAP);
    assert_answer(":1\r\n", "COPY", "map", "b", "DB", "0", "REPLACE");
    assert_answer(":0\r\n", "COPY", "none", "b", "REPLACE");
    assert_answer(":0\r\n", "COPY", "none", "c");
    assert_answer(same, "COPY", "a", "a");
    assert_answer(same, "COPY", "none", "none", "REPLACE");
    assert_answer(index, "COPY", "a", "b", "DB", "1");
    assert_answer(index, "COPY", "a", "b", "DB", "-1");
    assert_answer(NO_INTEGER, "COPY", "a", "b", "DB", "x");
    assert_answer("-ERR value is out of range, value must between -2147483648 and "
                  "2147483647\r\n",
                  "COPY", "a", "b", "DB", "99999999999");
    assert_answer(SYNTAX_ERROR, "COPY", "a", "b", "DB");
    assert_answer(SYNTAX_ERROR, "COPY", "a", "b", "FOO");
}
END_TEST

/* ---- Limits ----------------------------------------------------------------------- */

START_TEST(what_is_too_large_is_refused_before_anything_is_written)
{
    static const char too_large[] = "-ERR value is too large\r\n";
    static const char too_much[] = "-ERR too much for one commit\r\n";
    char text[101];
    const size_t most_value = engine->max_value_bytes;
    const size_t most_commit = engine->max_commit_bytes;

    memset(text, 'x', 100);
    text[100] = '\0';
    engine->max_value_bytes = 104;
    assert_answer(too_large, "SET", "a", text);
    assert_answer(too_large, "SET", "a", text, "NX", "GET");
    assert_answer(too_large, "SETNX", "a", text);
    assert_answer(too_large, "GETSET", "a", text);
    assert_answer(too_large, "MSET", "a", "1", "b", text);
    assert_answer(too_large, "MSETNX", "a", "1", "b", text);
    text[50] = '\0';
    assert_answer(OK, "SET", "a", text);
    assert_answer(too_large, "APPEND", "a", text);
    engine->max_value_bytes = most_value;
    store("b", stem_str("0123456789012345678901234567890123456789"));
    stem_execution_free(execution);
    execution = stem_execution_new(engine);
    engine->max_commit_bytes = 40;
    assert_answer(too_much, "MSET", "c", "12345678901", "d", "123456789012345678");
    assert_answer(too_much, "RENAME", "b", "c");
    assert_answer(too_much, "COPY", "b", "c");
    engine->max_commit_bytes = 1;
    assert_answer(too_much, "INCR", "c");
    assert_answer(too_much, "INCRBYFLOAT", "c", "1");
    assert_answer(":0\r\n", "EXISTS", "c", "d");
    engine->max_commit_bytes = most_commit;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commands");
    TCase *tcase = add_case(suite, "table", 60);

    tcase_add_checked_fixture(tcase, open_commands, close_commands);
    tcase_add_test(tcase, commands_are_found_in_any_case_and_nothing_else_is);
    tcase_add_test(tcase, a_wrong_number_of_words_is_refused_by_the_commands_name);
    tcase_add_test(tcase, what_tells_a_value_wants_the_right_to_read);

    tcase = add_case(suite, "values", 60);
    tcase_add_checked_fixture(tcase, open_commands, close_commands);
    tcase_add_test(tcase, a_text_is_stored_by_what_it_is_and_read_back_as_it_was);
    tcase_add_test(tcase, long_texts_come_back_as_well);
    tcase_add_test(tcase, numbers_of_other_writers_are_read_as_text);
    tcase_add_test(tcase, other_kinds_are_the_wrong_type_and_stay_as_they_are);
    tcase_add_test(tcase, null_has_the_form_of_the_protocols_version);

    tcase = add_case(suite, "strings", 60);
    tcase_add_checked_fixture(tcase, open_commands, close_commands);
    tcase_add_test(tcase, set_heeds_nx_xx_and_get);
    tcase_add_test(tcase, set_refuses_expiry_and_what_it_does_not_know);
    tcase_add_test(tcase, setnx_getset_and_getdel_tell_what_was_there);
    tcase_add_test(tcase, many_are_set_and_read_at_once);
    tcase_add_test(tcase, nothing_is_set_when_one_key_of_many_is_bad);
    tcase_add_test(tcase, append_keeps_the_rules_of_set);

    tcase = add_case(suite, "counters", 60);
    tcase_add_checked_fixture(tcase, open_commands, close_commands);
    tcase_add_test(tcase, integers_are_counted_up_and_down);
    tcase_add_test(tcase, what_is_no_integer_is_not_counted);
    tcase_add_test(tcase, floats_are_added_in_decimal);
    tcase_add_test(tcase, what_is_no_float_is_not_added);

    tcase = add_case(suite, "keys", 60);
    tcase_add_checked_fixture(tcase, open_commands, close_commands);
    tcase_add_test(tcase, a_key_named_twice_is_removed_once_and_counted_twice);
    tcase_add_test(tcase, type_names_what_redis_has_none_for);
    tcase_add_test(tcase, a_renamed_key_takes_its_value_along_and_nothing_below_it);
    tcase_add_test(tcase, a_copy_replaces_only_when_told_to);

    tcase = add_case(suite, "limits", 60);
    tcase_add_checked_fixture(tcase, open_commands, close_commands);
    tcase_add_test(tcase, what_is_too_large_is_refused_before_anything_is_written);
    return run_suite(suite);
}
