/*
 * JSON that is refused, with its place in the text, values that cannot be written, and
 * memory that fails.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "failing_malloc.h"
#include "json_support.h"
#include "stem.h"
#include "support.h"

/* ---- What is refused -------------------------------------------------------------- */

START_TEST(malformed_text_is_refused_with_its_place)
{
    assert_refused("", "line 1, column 0");
    assert_refused("[1,\n 2", "line 2, column 2: ']' expected");
    assert_refused("{\"a\" 1}", "line 1, column 6: ':' expected");
    assert_refused("[1] x", "line 1, column 5: end of file expected");
    assert_refused("{\"a\": 1,\n\"a\": 2}", "line 2, column 3: duplicate object key");
    assert_refused("\"\xFF\"", "unable to decode byte 0xff");
    assert_refused("\"\xED\xA0\x80\"", "unable to decode byte 0xed");
    assert_refused("{\"a\\u0000b\": 1}", "NUL byte in object key");
    assert_refused("\"\\ud800\"", "invalid Unicode");
    assert_refused("nul", "invalid token");
    assert_refused("NaN", "invalid token");
    assert_refused("01", "line 1");
    assert_refused("[1,]", "unexpected token");
    assert_refused("'a'", "invalid token");
    assert_refused("\"a\nb\"", "unexpected newline");
}
END_TEST

START_TEST(a_nul_byte_in_the_text_is_refused)
{
    stem_value value;

    assert_code(stem_json_parse("1\0", 2, &value), STEM_EINVAL);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "byte 1 of the JSON text is NUL"));
    assert_code(stem_json_parse("[1\0,2]", 6, &value), STEM_EINVAL);
}
END_TEST

START_TEST(unknown_forms_are_refused_with_their_place)
{
    assert_refused("{\"$foo\": 1}", "line 1, column 1: \"$foo\" is no form of a value");
    assert_refused("{\"$\": 1}", "\"$\" is no form");
    assert_refused("{\"a\": 1, \"$bin\": \"\"}",
                   "line 1, column 18: \"$bin\" stands among");
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
        assert_refused(text, "maximum parsing depth");
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
    ck_assert_ptr_null(stem_json_format(&bad[0], 2));
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

void *__wrap_malloc(size_t size);

START_TEST(failed_memory_is_told_and_does_no_harm)
{
    /* No token is longer than 15 bytes: jansson does not check that its buffer grows. */
    static const char text[] =
        "[{\"a\": 1, \"$$b\": [true, 0.5, \"x\"], \"c\": {\"$bin\": \"AQ==\"}},"
        "{\"$map\": [[1, {\"$str\": \"/w==\"}]]}, {\"$time\": [1, 2]},"
        "{\"$ext\": {\"code\": 1, \"data\": \"AQID\"}},"
        "{\"$array\": {\"type\": \"u8\", \"shape\": [2], \"data\": [1, 2]}}]";
    stem_value value = parse(text);
    char *json = NULL;
    int code = STEM_ENOMEM;

    json_set_alloc_funcs(__wrap_malloc, free);
    for (unsigned long n = 0; code != STEM_OK; n++) {
        stem_value again = stem_int(77);

        mallocs_granted = n;
        out_of_memory(code = stem_json_parse(text, sizeof text - 1, &again));
        /* jansson calls a string it has no memory for a wrong token. */
        if (code != STEM_OK) {
            ck_assert_msg(code == STEM_ENOMEM || strstr(stem_errmsg(), "near"), "%s",
                          stem_errmsg());
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

START_TEST(a_text_too_large_for_memory_is_told)
{
    stem_value value;
    int code;

    out_of_memory(code = stem_json_parse("12", 2, &value));
    ck_assert_int_eq(code, STEM_ENOMEM);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "2 bytes of JSON text"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_refusals");
    TCase *refusals = add_case(suite, "refusals", 60);

    tcase_add_test(refusals, malformed_text_is_refused_with_its_place);
    tcase_add_test(refusals, a_nul_byte_in_the_text_is_refused);
    tcase_add_test(refusals, unknown_forms_are_refused_with_their_place);
    tcase_add_test(refusals, nesting_is_limited);
    tcase_add_test(refusals, what_cannot_be_a_value_is_not_written);
    tcase_add_test(refusals, null_arguments_are_refused);
    tcase_add_test(refusals, failed_memory_is_told_and_does_no_harm);
    tcase_add_test(refusals, a_text_too_large_for_memory_is_told);
    return run_suite(suite);
}
