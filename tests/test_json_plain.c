/*
 * Plain JSON, in which a '$' means nothing; and what is JSON at all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_support.h"
#include "stem.h"
#include "support.h"

static void assert_plain(const char *text)
{
    stem_value value;
    char *written;

    assert_ok(stem_json_parse_flags(text, strlen(text), STEM_JSON_PLAIN, &value));
    written = stem_json_format(&value, STEM_JSON_PLAIN);
    ck_assert_msg(written != NULL, "%s", stem_errmsg());
    ck_assert_str_eq(written, text);
    stem_free(written);
    /* And from there to JSON that has forms, and back. */
    written = format(&value);
    stem_value_free(&value);
    value = parse(written);
    stem_free(written);
    written = stem_json_format(&value, STEM_JSON_PLAIN);
    ck_assert_str_eq(written, text);
    stem_free(written);
    stem_value_free(&value);
}

START_TEST(plain_json_takes_and_writes_names_as_they_are)
{
    static const char *const names[] = {
        "$",    "$$",    "$$$",  "$bin",    "$uint",       "$ref", "$array",
        "$map", "$time", "$str", "$schema", "$\"\xC3\xA9", "a$",   ""};
    char text[200];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const stem_value name = stem_str(names[i]);
        char *json = format(&name);

        snprintf(text, sizeof text, "{%s: 1}", json);
        assert_plain(text);
        snprintf(text, sizeof text, "[{%s: {\"x\": \"AQI=\"}, \"other\": {%s: \"5\"}}]",
                 json, json);
        assert_plain(text);
        stem_free(json);
    }
    assert_plain("{\"$id\": 1, \"$ref\": {\"$oid\": \"5f5a3c\"}, \"b\": 2}");
    assert_plain("[18446744073709551615, -1, 1.5, null, true, \"\"]");
}
END_TEST

START_TEST(plain_json_refuses_what_it_has_no_value_for)
{
    static const char *const texts[] = {
        "{\"$bin\": \"AQ==\"}",
        "{\"$str\": \"/w==\"}",
        "{\"$float\": \"NaN\"}",
        "{\"$float\": \"-Infinity\"}",
        "{\"$time\": [1, 2]}",
        "{\"$ext\": {\"code\": 1, \"data\": \"\"}}",
        "{\"$map\": [[1, 2]]}",
        "{\"$array\": {\"type\": \"u8\", \"shape\": [1], \"data\": [1]}}",
    };
    char text[200];

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        snprintf(text, sizeof text, "[{\"a\": %s}]", texts[i]);
        stem_value value = parse(text);

        ck_assert_ptr_null(stem_json_format(&value, STEM_JSON_PLAIN));
        ck_assert_int_eq(stem_errcode(), STEM_ETYPE);
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "json format: plain JSON has no"));
        stem_value_free(&value);
    }
}
END_TEST

START_TEST(a_text_is_valid_whether_it_can_be_a_value_or_not)
{
    static const char *const valid[] = {
        "1",
        " [] ",
        "\xEF\xBB\xBF{}",
        "99999999999999999999999",
        "1e999",
        "{\"a\": 1, \"a\": 2}",
        "{\"$foo\": [1, {\"$bin\": 5, \"x\": [[], {}]}]}",
        "{\"a\\u0000\": null}",
        "\"\\uD800\"",
        "[\"\\udc00\\ud83d\\n\"]",
    };
    static const char *const invalid[] = {
        "",       "x",      "[1,]",      "{\"a\"}",    "{\"a\": 1,}", "[1 2]", "nul",
        "01",     "1.",     "+1",        ".5",         "1e",          "\"a",   "\"\\x\"",
        "[1]]",   "{1: 2}", "\"\xFF\"",  "\"\\ud80\"", "[1}",         "NaN",   "-",
        "--1",    "1 2",    "\"a\nb\"",  "[[[[",       "{\"a\": [",   "'a'",   "// x\n1",
        "[1,,2]", "{,}",    "truefalse",
    };
    char *deep = malloc(2000000);

    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++)
        ck_assert_msg(stem_json_valid(valid[i], strlen(valid[i])), "%s", valid[i]);
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        ck_assert_msg(!stem_json_valid(invalid[i], strlen(invalid[i])), "%s", invalid[i]);
    ck_assert_ptr_nonnull(deep);
    memset(deep, '[', 1000000);
    memset(deep + 1000000, ']', 1000000);
    ck_assert(stem_json_valid(deep, 2000000));
    ck_assert(!stem_json_valid(deep, 1999999));
    ck_assert(!stem_json_valid(NULL, 0));
    free(deep);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_plain");
    TCase *plain = add_case(suite, "plain", 60);

    tcase_add_test(plain, plain_json_takes_and_writes_names_as_they_are);
    tcase_add_test(plain, plain_json_refuses_what_it_has_no_value_for);
    tcase_add_test(plain, a_text_is_valid_whether_it_can_be_a_value_or_not);
    return run_suite(suite);
}
