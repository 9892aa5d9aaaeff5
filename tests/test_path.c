/*
 * Paths as text, both ways, and the limits of what a path may be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "failing_malloc.h"
#include "path.h"
#include "random.h"
#include "support.h"

static void assert_text(const char *name, const char *expected)
{
    char *text = stem_path_format(&name, 1);

    ck_assert_msg(text != NULL, "%s", stem_errmsg());
    ck_assert_str_eq(text, expected);
    stem_free(text);
}

static void assert_round_trip(const char *const *names, size_t n)
{
    char *text = stem_path_format(names, n);
    char **parsed;
    size_t parsed_n = 12345;

    ck_assert_msg(text != NULL, "%s", stem_errmsg());
    parsed = stem_path_parse(text, &parsed_n);
    ck_assert_msg(parsed != NULL, "%s: %s", text, stem_errmsg());
    ck_assert_uint_eq(parsed_n, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_str_eq(parsed[i], names[i]);
    stem_free(parsed);
    stem_free(text);
}

START_TEST(components_are_joined_by_slashes)
{
    char *text = stem_path_format((const char *[]){"users", "42", "name"}, 3);

    ck_assert_str_eq(text, "users/42/name");
    stem_free(text);
    text = stem_path_format(NULL, 0);
    ck_assert_str_eq(text, "");
    stem_free(text);
}
END_TEST

START_TEST(what_would_not_survive_is_escaped)
{
    assert_text("a/b", "a\\/b");
    assert_text("a\\b", "a\\\\b");
    assert_text("\x01\n\x1F", "\\x01\\x0A\\x1F");
    assert_text("\x7F", "\\x7F");
    assert_text(" ~\"'$", " ~\"'$");
    assert_text("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8C\xB1",
                "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8C\xB1");
    /* C1 controls, and the first character after them. */
    assert_text("\xC2\x80\xC2\x9F\xC2\xA0", "\\xC2\\x80\\xC2\\x9F\xC2\xA0");
}
END_TEST

START_TEST(the_ends_of_each_range_of_utf8_stand_for_themselves)
{
    static const char *const names[] = {
        "\xC2\xA0",         "\xDF\xBF",         "\xE0\xA0\x80",    "\xE0\xBF\xBF",
        "\xED\x80\x80",     "\xED\x9F\xBF",     "\xEE\x80\x80",    "\xEF\xBF\xBF",
        "\xF0\x90\x80\x80", "\xF1\x80\x80\x80", "\xF4\x8F\xBF\xBF"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_text(names[i], names[i]);
}
END_TEST

START_TEST(bytes_that_are_not_utf8_are_escaped_one_by_one)
{
    assert_text("\x80", "\\x80");
    assert_text("\xC0\xAF", "\\xC0\\xAF");
    assert_text("\xC1\xBF", "\\xC1\\xBF");
    assert_text("\xC3", "\\xC3");
    assert_text("\xC3x", "\\xC3x");
    assert_text("\xE0\x9F\xBF", "\\xE0\\x9F\\xBF");
    assert_text("\xED\xA0\x80", "\\xED\\xA0\\x80");
    assert_text("\xE2\x82", "\\xE2\\x82");
    assert_text("\xE2\x82x", "\\xE2\\x82x");
    assert_text("\xF0\x8F\xBF\xBF", "\\xF0\\x8F\\xBF\\xBF");
    assert_text("\xF4\x90\x80\x80", "\\xF4\\x90\\x80\\x80");
    assert_text("\xF5\x80\x80\x80", "\\xF5\\x80\\x80\\x80");
    assert_text("\xF0\x9F\x8C", "\\xF0\\x9F\\x8C");
    assert_text("\xFE\xFF", "\\xFE\\xFF");
}
END_TEST

START_TEST(every_byte_round_trips)
{
    char name[4] = "a?b";
    char all[256];
    const char *names[3] = {name, "/", all};

    for (int byte = 1; byte <= 255; byte++) {
        name[1] = (char)byte;
        all[byte - 1] = (char)byte;
        all[byte] = '\0';
        assert_round_trip(names, 3);
    }
}
END_TEST

START_TEST(every_pair_of_bytes_round_trips)
{
    char name[3] = "";
    const char *names[1] = {name};

    for (int first = 1; first <= 255; first++) {
        for (int second = 1; second <= 255; second++) {
            name[0] = (char)first;
            name[1] = (char)second;
            assert_round_trip(names, 1);
        }
    }
}
END_TEST

START_TEST(random_paths_round_trip)
{
    static const char pieces[] =
        "/\\x\x01\x7F\xC2\x80\x9F\xA0\xE0\xED\xEF\xBF\xF0\xF4\xFF"
        "abc019";
    char buffers[5][40];
    const char *names[5];

    for (int round = 0; round < 50000; round++) {
        size_t n = random_below(6);

        for (size_t i = 0; i < n; i++) {
            unsigned len = 1 + random_below(39);

            for (unsigned k = 0; k < len; k++)
                buffers[i][k] = pieces[random_below(sizeof pieces - 1)];
            buffers[i][len] = '\0';
            names[i] = buffers[i];
        }
        assert_round_trip(names, n);
    }
}
END_TEST

START_TEST(what_is_read_is_written_back_alike)
{
    static const char pieces[] = "//\\\\xX0017afAFg\xC3\xA9\x80 .";

    for (int round = 0; round < 50000; round++) {
        char text[20];
        unsigned len = random_below(sizeof text);
        size_t n = 777;
        char **names;

        for (unsigned k = 0; k < len; k++)
            text[k] = pieces[random_below(sizeof pieces - 1)];
        text[len] = '\0';
        names = stem_path_parse(text, &n);
        if (names)
            assert_round_trip((const char *const *)names, n);
        else
            ck_assert_uint_eq(n, 777);
        stem_free(names);
    }
}
END_TEST

START_TEST(text_escapes_are_read_in_either_case)
{
    size_t n;
    char **names = stem_path_parse("\\xaB\\xFf\\/\\\\/\x01", &n);

    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(names[0], "\xAB\xFF/\\");
    ck_assert_str_eq(names[1], "\x01");
    stem_free(names);
}
END_TEST

START_TEST(the_empty_text_has_no_names)
{
    size_t n = 5;
    char **names = stem_path_parse("", &n);

    ck_assert_ptr_nonnull(names);
    ck_assert_uint_eq(n, 0);
    stem_free(names);
}
END_TEST

static const struct {
    const char *text;
    const char *cause;
} bad_texts[] = {
    {"/", "empty name at byte 0"},      {"/a", "empty name at byte 0"},
    {"a/", "empty name at byte 2"},     {"a//b", "empty name at byte 2"},
    {"a\\", "bad escape at byte 1"},    {"a\\x", "bad escape at byte 1"},
    {"a\\x4", "bad escape at byte 1"},  {"b/\\x00", "bad escape at byte 2"},
    {"a\\xG0", "bad escape at byte 1"}, {"a\\x0G", "bad escape at byte 1"},
    {"a\\x-1", "bad escape at byte 1"}, {"a\\x`0", "bad escape at byte 1"},
    {"\\n", "bad escape at byte 0"},    {"a\\x4/b", "bad escape at byte 1"},
    {"a\\X41", "bad escape at byte 1"},
};

START_TEST(malformed_text_is_refused_with_its_place)
{
    size_t n = 5;

    ck_assert_ptr_null(stem_path_parse(bad_texts[_i].text, &n));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), bad_texts[_i].cause));
    ck_assert_uint_eq(n, 5);
}
END_TEST

START_TEST(null_arguments_are_refused)
{
    const char *names[] = {"a", NULL};
    size_t n;

    ck_assert_ptr_null(stem_path_parse(NULL, &n));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_ptr_null(stem_path_parse("a", NULL));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_ptr_null(stem_path_format(NULL, 1));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_ptr_null(stem_path_format(names, 2));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_ptr_null(stem_path_format((const char *[]){"a", ""}, 2));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
}
END_TEST

START_TEST(a_component_has_at_most_4096_bytes)
{
    char name[STEM_COMPONENT_MAX + 2];
    char *text;
    size_t n;

    memset(name, '\x01', sizeof name);
    name[STEM_COMPONENT_MAX] = '\0';
    assert_round_trip((const char *[]){name}, 1);
    ck_assert_uint_eq(stem_component_len(name), STEM_COMPONENT_MAX);
    name[STEM_COMPONENT_MAX] = 'x';
    name[STEM_COMPONENT_MAX + 1] = '\0';
    ck_assert_uint_eq(stem_component_len(name), 0);
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_ptr_null(stem_path_format((const char *[]){name}, 1));
    text = malloc(4 * sizeof name);
    for (size_t i = 0; i <= STEM_COMPONENT_MAX; i++)
        memcpy(text + 4 * i, "\\x01", 5);
    ck_assert_ptr_null(stem_path_parse(text, &n));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "4096"));
    free(text);
}
END_TEST

START_TEST(a_path_has_at_most_65536_stored_bytes)
{
    /* 16 names with their 15 separators, the last one of just the length that is left. */
    char longest[STEM_COMPONENT_MAX + 1];
    char last[STEM_COMPONENT_MAX + 1];
    const char *names[17];
    char *text;
    size_t n;

    memset(longest, 'x', STEM_COMPONENT_MAX);
    longest[STEM_COMPONENT_MAX] = '\0';
    memset(last, 'y', STEM_COMPONENT_MAX - 15);
    last[STEM_COMPONENT_MAX - 15] = '\0';
    for (int i = 0; i < 15; i++)
        names[i] = longest;
    names[15] = last;
    names[16] = "z";
    assert_round_trip(names, 16);
    ck_assert_ptr_null(stem_path_format(names, 17));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    text = stem_path_format(names, 16);
    text = realloc(text, STEM_PATH_MAX + 2);
    text[STEM_PATH_MAX] = 'y';
    text[STEM_PATH_MAX + 1] = '\0';
    ck_assert_ptr_null(stem_path_parse(text, &n));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "65536"));
    free(text);
}
END_TEST

START_TEST(many_short_names_are_a_path)
{
    enum { N = STEM_PATH_MAX / 2 };
    static const char *names[N + 1];

    for (size_t i = 0; i <= N; i++)
        names[i] = "a";
    assert_round_trip(names, N);
    ck_assert_ptr_null(stem_path_format(names, N + 1));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
}
END_TEST

START_TEST(names_that_cannot_be_components_are_refused)
{
    ck_assert_uint_eq(stem_component_len("name"), 4);
    ck_assert_uint_eq(stem_component_len(NULL), 0);
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_uint_eq(stem_component_len(""), 0);
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
}
END_TEST

static void assert_stored_text(const char *stored, size_t len, const char *expected)
{
    char *text = stem_path_text(stored, len);

    ck_assert_str_eq(text, expected);
    stem_free(text);
}

START_TEST(stored_paths_have_the_same_text)
{
    assert_stored_text("users\00042\0na/me", 14, "users/42/na\\/me");
    assert_stored_text("users\00042\0", 9, "users/42");
    assert_stored_text("\xC3\0\xA9", 3, "\\xC3/\\xA9");
    assert_stored_text("", 0, "");
    assert_stored_text(NULL, 0, "");
}
END_TEST

START_TEST(no_memory_is_told)
{
    const char *names[] = {"a", "b"};
    char **parsed;
    char *text;
    size_t n = 9;

    out_of_memory(text = stem_path_format(names, 2));
    ck_assert_ptr_null(text);
    ck_assert_int_eq(stem_errcode(), STEM_ENOMEM);
    stem_errcode_set(STEM_OK);
    out_of_memory(parsed = stem_path_parse("a/b", &n));
    ck_assert_ptr_null(parsed);
    ck_assert_int_eq(stem_errcode(), STEM_ENOMEM);
    stem_errcode_set(STEM_OK);
    out_of_memory(text = stem_path_text("a", 1));
    ck_assert_ptr_null(text);
    ck_assert_int_eq(stem_errcode(), STEM_ENOMEM);
    ck_assert_uint_eq(n, 9);
    text = stem_path_format(names, 2);
    ck_assert_str_eq(text, "a/b");
    stem_free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("path");
    TCase *tcase = add_case(suite, "text form", 120);

    tcase_add_test(tcase, components_are_joined_by_slashes);
    tcase_add_test(tcase, what_would_not_survive_is_escaped);
    tcase_add_test(tcase, the_ends_of_each_range_of_utf8_stand_for_themselves);
    tcase_add_test(tcase, bytes_that_are_not_utf8_are_escaped_one_by_one);
    tcase_add_test(tcase, stored_paths_have_the_same_text);
    tcase = add_case(suite, "round trips", 120);
    tcase_add_test(tcase, every_byte_round_trips);
    tcase_add_test(tcase, every_pair_of_bytes_round_trips);
    tcase_add_test(tcase, random_paths_round_trip);
    tcase_add_test(tcase, what_is_read_is_written_back_alike);
    tcase = add_case(suite, "reading", 20);
    tcase_add_test(tcase, text_escapes_are_read_in_either_case);
    tcase_add_test(tcase, the_empty_text_has_no_names);
    tcase_add_loop_test(tcase, malformed_text_is_refused_with_its_place, 0,
                        sizeof bad_texts / sizeof *bad_texts);
    tcase = add_case(suite, "limits", 20);
    tcase_add_test(tcase, null_arguments_are_refused);
    tcase_add_test(tcase, a_component_has_at_most_4096_bytes);
    tcase_add_test(tcase, a_path_has_at_most_65536_stored_bytes);
    tcase_add_test(tcase, many_short_names_are_a_path);
    tcase_add_test(tcase, names_that_cannot_be_components_are_refused);
    tcase_add_test(tcase, no_memory_is_told);
    return run_suite(suite);
}
