/*
 * JSON that is refused, with its place in the text, values that cannot be written, and
 * memory that fails.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failing_malloc.h"
#include "json_support.h"
#include "stem.h"
#include "support.h"

/* ---- What is refused -------------------------------------------------------------- */

START_TEST(malformed_text_is_refused_with_its_place)
{
    assert_refused("", "line 1, column 1: the text ends, and a value is expected");
    assert_refused("[1,\n 2",
                   "line 2, column 3: the text ends, and ',' or ']' is expected");
    assert_refused("{\"a\" 1}", "line 1, column 6: '1', and ':' is expected");
    assert_refused("[1] x", "line 1, column 5: 'x', and the end of the text is expected");
    assert_refused("[1,\n{\"a\": 1,\n\"a\": 2}]",
                   "line 2, column 1: the name \"a\" is twice in the object");
    assert_refused("\"\xFF\"", "line 1, column 2: byte 0xFF is not UTF-8");
    assert_refused("\"\xC3\xA9\xED\xA0\x80\"",
                   "line 1, column 3: byte 0xED is not UTF-8");
    assert_refused("\"\xE6\x97", "byte 0xE6 is not UTF-8");
    assert_refused("{\"a\\u0000b\": 1}", "line 1, column 2: a NUL (\\u0000) in a name");
    assert_refused("\"\\ud800\"", "line 1, column 2: \\uD800, half of a surrogate pair");
    assert_refused("\"\\udc00\"", "\\uDC00, half of a surrogate pair");
    assert_refused("\"\\ud800\\u0041\"", "\\uD800, half of a surrogate pair");
    assert_refused("\"\\ud800\\ud800\"", "half of a surrogate pair");
    assert_refused("\"\\u00g0\"",
                   "line 1, column 2: \\u, and not four hexadecimal digits");
    assert_refused("\"\\u00\"", "not four hexadecimal digits");
    assert_refused("\"\\x\"", "line 1, column 2: an unknown escape");
    assert_refused("\"\\", "an unknown escape");
    assert_refused("\"abc", "line 1, column 5: the text ends, and the end of a string");
    assert_refused("nul", "line 1, column 1: 'n', and a value is expected");
    assert_refused("NaN", "'N', and a value is expected");
    assert_refused("[truE]", "line 1, column 2: 't', and a value");
    assert_refused("01", "line 1, column 1: \"01\" is no number of JSON");
    assert_refused("[1,]", "line 1, column 4: ']', and a value is expected");
    assert_refused("{\"a\": 1,}", "line 1, column 9: '}', and a name is expected");
    assert_refused("{1: 2}", "line 1, column 2: '1', and a name is expected");
    assert_refused("'a'", "line 1, column 1: ''', and a value is expected");
    assert_refused("\"a\nb\"", "line 1, column 3: byte 0x0A in a string");
    assert_refused("[1}", "line 1, column 3: '}', and ',' or ']' is expected");
}
END_TEST

START_TEST(malformed_numbers_are_refused)
{
    static const char *const bad[] = {"-",   "01",    "-01", "1.",  ".5",    "1.e5",
                                      "1e",  "1e+",   "+1",  "1-2", "1.2.3", "--1",
                                      "0x1", "1e5.5", "-.5", "00",  "1E-",   "1e1e1"};
    char *digits = malloc(70001);

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refused(bad[i], "line 1, column ");
    ck_assert_ptr_nonnull(digits);
    memset(digits, '1', 70000);
    digits[70000] = '\0';
    assert_refused(digits, "a number of more than 65536 characters");
    digits[65000] = '\0';
    assert_refused(digits, "an integer above");
    digits[1] = '.';
    assert_read(digits, "1.1111111111111112");
    free(digits);
}
END_TEST

/* An object of `n` members whose names come in some order, one of them twice when asked. */
static char *object_of(size_t n, size_t factor, bool repeats)
{
    char *text = malloc(n * 24 + 64);
    char *end = text;

    ck_assert_ptr_nonnull(text);
    *end++ = '{';
    for (size_t i = 0; i < n; i++)
        end += sprintf(end, "%s\"n%zu\": %zu", i > 0 ? ", " : "", i * factor % n, i % 7);
    if (repeats)
        end += sprintf(end, ", \"n%zu\": 1", n / 2);
    strcpy(end, "}");
    return text;
}

START_TEST(a_name_that_is_twice_is_found_in_objects_of_every_size)
{
    /* Prime but for 1, so that all multiples of a factor differ. */
    static const size_t sizes[] = {1, 2, 3, 7, 11, 17, 101, 1009, 70001};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t factor = 1; factor < 14; factor += 12) {
            char *text = object_of(sizes[i], factor, false);
            stem_value value = parse(text);

            ck_assert_uint_eq(value.as.packed.count, sizes[i]);
            stem_value_free(&value);
            free(text);
            text = object_of(sizes[i], factor, true);
            assert_refused(text, "is twice in the object");
            free(text);
        }
    }
    assert_refused("{\"a\": 1, \"\\u0061\": 2}", "the name \"a\" is twice");
    assert_refused("{\"$$a\": 1, \"b\": 2, \"\\u0024$a\": 2}", "is twice");
    assert_same("{\"a\": {\"a\": {\"a\": 1}}, \"b\": [{\"a\": 1}, {\"a\": 1}]}");
}
END_TEST

START_TEST(a_nul_byte_in_the_text_is_refused)
{
    stem_value value;

    assert_code(stem_json_parse("1\0", 2, &value), STEM_EINVAL);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "line 1, column 2: byte 0x00"));
    assert_code(stem_json_parse("[1\0,2]", 6, &value), STEM_EINVAL);
    assert_code(stem_json_parse("\"a\0\"", 4, &value), STEM_EINVAL);
    assert_code(stem_json_parse("\"\\\0\"", 4, &value), STEM_EINVAL);
}
END_TEST

START_TEST(unknown_forms_are_refused_with_their_place)
{
    assert_refused("{\"$foo\": 1}", "line 1, column 1: \"$foo\" is no form of a value");
    assert_refused("{\"$\": 1}", "\"$\" is no form");
    assert_refused("{\"a\": 1, \"$bin\": \"\"}",
                   "line 1, column 18: \"$bin\" stands among");
    assert_refused("{\"$id\": 1, \"b\": 2}", "line 1, column 1: \"$id\" is no form");
    assert_refused("{\"$bin\": \"\", \"$str\": \"\"}",
                   "column 10: \"$bin\" stands among");
    assert_refused("[100,\n  {\"x\\\"\xC3\xA9]\" : [ \"}\", {\"$time\":\n\t5}]}]",
                   "line 3, column 2: \"$time\"");
    assert_refused("{\"a\": {\"b\": [true, -1.5e3, \"]\", {}, []]}, \"c\" : {\"$x\": 1}}",
                   "column 49: \"$x\"");
    assert_refused("{\"$map\": [[1, 2], [3, {\"$x\": 1}]]}", "column 23: \"$x\"");
    assert_refused("{\"$map\": [[1, 2], [{\"$x\": 1}, 3]]}", "column 20: \"$x\"");
    assert_refused("{\"$map\": [[1, 2], 3]}", "column 19: \"$map\"");
    assert_refused("{\"$uint\": \"x\"}", "line 1, column 11: \"$uint\"");
}
END_TEST

static char *nested(const char *open, const char *inside, const char *close, int depth)
{
    size_t size = (strlen(open) + strlen(close)) * (size_t)depth + strlen(inside) + 1;
    char *text = malloc(size);
    char *end = text;

    ck_assert_ptr_nonnull(text);
    for (int i = 0; i < depth; i++)
        end = stpcpy(end, open);
    end = stpcpy(end, inside);
    for (int i = 0; i < depth; i++)
        end = stpcpy(end, close);
    return text;
}

START_TEST(nesting_is_limited)
{
    static const struct {
        const char *open, *inside, *close;
    } kinds[] = {
        {"[", "1", "]"},
        {"{\"a\": ", "1", "}"},
        {"[", "", "]"},
        {"{\"$map\": [[1, ", "2", "]]}"},
        {"{\"$map\": [[", "1", ", 2]]}"},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char *text = nested(kinds[i].open, kinds[i].inside, kinds[i].close, 128);

        assert_same(text);
        free(text);
        text = nested(kinds[i].open, kinds[i].inside, kinds[i].close, 129);
        assert_refused(text, "nested deeper than 128 levels");
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "line 1, column "));
        free(text);
        text = nested(kinds[i].open, kinds[i].inside, kinds[i].close, 100000);
        assert_refused(text, "nested deeper than 128 levels");
        free(text);
    }
}
END_TEST

START_TEST(what_cannot_be_a_value_is_not_written)
{
    static const uint64_t shape[] = {2};
    char deep[STEM_DEPTH_MAX + 2];

    memset(deep, 0x91, sizeof deep - 1);
    deep[sizeof deep - 1] = 1;
    stem_value bad[] = {
        stem_str(NULL),
        stem_bin(NULL, 3),
        stem_ext(5, NULL, 3),
        stem_time(0, 1000000000),
        stem_array(STEM_F32, NULL, 1, shape),
        stem_array(77, "", 1, shape),
        {.type = 12},
        {.type = -1},
        stem_packed(NULL, 5),
        stem_packed("\x92\x01", 2),
        stem_packed("\x91\xC1", 2),
        stem_packed(deep, sizeof deep),
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(stem_json_format(&bad[i], 0) == NULL, "value %zu", i);
        ck_assert_msg(strstr(stem_errmsg(), "json format: ") == stem_errmsg(),
                      "value %zu: %s", i, stem_errmsg());
    }
    ck_assert_ptr_null(stem_json_format(NULL, 0));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    bad[0] = stem_int(1);
    ck_assert_ptr_null(stem_json_format(&bad[0], STEM_JSON_FLAT));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
}
END_TEST

START_TEST(null_arguments_are_refused)
{
    stem_value value;

    assert_code(stem_json_parse(NULL, 0, &value), STEM_EINVAL);
    assert_code(stem_json_parse("1", 1, NULL), STEM_EINVAL);
}
END_TEST

START_TEST(failed_memory_is_told_and_does_no_harm)
{
    static const char text[] =
        "[{\"a\": 1, \"$$b\": [true, 0.5, \"x\"], \"c\": {\"$bin\": \"AQ==\"}},"
        "{\"$map\": [[1, {\"$str\": \"/w==\"}]]}, {\"$time\": [1, 2]},"
        "{\"$ext\": {\"code\": 1, \"data\": \"AQID\"}}, {\"1\": 1, \"2\": 2, \"3\": 3,"
        "\"4\": 4, \"5\": 5, \"6\": 6, \"7\": 7, \"8\": 8, \"9\": 9},"
        "{\"$array\": {\"type\": \"u8\", \"shape\": [2], \"data\": [1, 2]}},"
        "{\"$array\": {\"data\": [1, 2], \"type\": \"u8\", \"shape\": [2]}},"
        "0.00000000000000000000000000000000000000000000000000000000000000000000001]";
    stem_value value = parse(text);
    char *json = NULL;
    int code = STEM_ENOMEM;

    for (unsigned long n = 0; code != STEM_OK; n++) {
        stem_value again = stem_int(77);

        mallocs_granted = n;
        out_of_memory(code = stem_json_parse(text, sizeof text - 1, &again));
        if (code != STEM_OK) {
            ck_assert_int_eq(code, STEM_ENOMEM);
            ck_assert_int_eq(again.as.integer, 77);
        }
        stem_value_free(&again);
        ck_assert_uint_lt(n, 1000);
    }
    for (unsigned long n = 0; !json; n++) {
        mallocs_granted = n;
        out_of_memory(json = stem_json_format(&value, 0));
        if (!json)
            ck_assert_int_eq(stem_errcode(), STEM_ENOMEM);
        ck_assert_uint_lt(n, 1000);
    }
    mallocs_granted = 0;
    stem_free(json);
    stem_value_free(&value);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_refusals");
    TCase *refusals = add_case(suite, "refusals", 60);

    tcase_add_test(refusals, malformed_text_is_refused_with_its_place);
    tcase_add_test(refusals, malformed_numbers_are_refused);
    tcase_add_test(refusals, a_name_that_is_twice_is_found_in_objects_of_every_size);
    tcase_add_test(refusals, a_nul_byte_in_the_text_is_refused);
    tcase_add_test(refusals, unknown_forms_are_refused_with_their_place);
    tcase_add_test(refusals, nesting_is_limited);
    tcase_add_test(refusals, what_cannot_be_a_value_is_not_written);
    tcase_add_test(refusals, null_arguments_are_refused);
    tcase_add_test(refusals, failed_memory_is_told_and_does_no_harm);
    return run_suite(suite);
}
