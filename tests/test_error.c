/*
 * The last failure of a thread: codes, texts and how long places are shortened.
 */
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "error.h"
#include "support.h"

static void *fresh_thread(void *is_clean)
{
    *(bool *)is_clean = stem_errcode() == STEM_OK && strcmp(stem_errmsg(), "") == 0;
    stem_fail(STEM_EIO, "of the other thread");
    return NULL;
}

START_TEST(each_thread_has_its_own_last_failure)
{
    pthread_t thread;
    bool is_clean = false;

    stem_fail(STEM_ERANGE, "of this thread");
    ck_assert_int_eq(pthread_create(&thread, NULL, fresh_thread, &is_clean), 0);
    pthread_join(thread, NULL);
    ck_assert(is_clean);
    ck_assert_int_eq(stem_errcode(), STEM_ERANGE);
    ck_assert_str_eq(stem_errmsg(), "of this thread");
}
END_TEST

START_TEST(a_failure_sets_code_and_text_and_returns_the_code)
{
    ck_assert_int_eq(stem_fail(STEM_EINVAL, "%d of %s", 3, "them"), STEM_EINVAL);
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_str_eq(stem_errmsg(), "3 of them");
}
END_TEST

START_TEST(an_argument_may_point_into_the_last_text)
{
    stem_fail(STEM_EIO, "disk full");
    stem_fail(STEM_EIO, "write failed: %s (%s)", stem_errmsg(), stem_errmsg() + 5);
    ck_assert_str_eq(stem_errmsg(), "write failed: disk full (full)");
}
END_TEST

START_TEST(a_long_text_is_cut)
{
    char text[5000];

    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    stem_fail(STEM_EIO, "%s", text);
    ck_assert_uint_eq(strlen(stem_errmsg()), 1023);
    stem_fail_at(STEM_EIO, "get", "a");
    ck_assert_uint_eq(strlen(stem_errmsg()), 1023);
    ck_assert_int_eq(strncmp(stem_errmsg(), "get a: xxx", 10), 0);
}
END_TEST

START_TEST(a_text_that_cannot_be_formatted_is_empty)
{
    stem_fail(STEM_EIO, "before");
    stem_fail(STEM_EINVAL, "%lc", (wint_t)0x7FFFFFFF);
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_str_eq(stem_errmsg(), "");
}
END_TEST

START_TEST(operation_and_place_go_before_the_cause)
{
    stem_fail(STEM_EIO, "disk full");
    ck_assert_int_eq(stem_fail_at(STEM_EUNKNOWN, "put", "users/42"), STEM_EUNKNOWN);
    ck_assert_str_eq(stem_errmsg(), "put users/42: disk full");
    ck_assert_int_eq(stem_errcode(), STEM_EUNKNOWN);
}
END_TEST

START_TEST(no_place_is_left_out)
{
    stem_fail(STEM_EIO, "disk full");
    stem_fail_at(STEM_EIO, "sync", "");
    ck_assert_str_eq(stem_errmsg(), "sync: disk full");
    stem_fail_at(STEM_EIO, "close", NULL);
    ck_assert_str_eq(stem_errmsg(), "close: sync: disk full");
}
END_TEST

/* The place in the text of a failure at `units` times `unit`. */
static const char *place_of(const char *unit, size_t units)
{
    static char place[4096];
    static char shown[1024];
    const char *start;
    size_t len;

    place[0] = '\0';
    for (size_t i = 0; i < units; i++)
        memcpy(place + i * strlen(unit), unit, strlen(unit) + 1);
    stem_fail(STEM_EIO, "why");
    stem_fail_at(STEM_EIO, "put", place);
    start = stem_errmsg() + strlen("put ");
    len = strlen(start) - strlen(": why");
    ck_assert_str_eq(start + len, ": why");
    snprintf(shown, sizeof shown, "%.*s", (int)len, start);
    return shown;
}

START_TEST(a_place_of_200_bytes_is_shown_whole)
{
    ck_assert_uint_eq(strlen(place_of("x", 200)), 200);
    ck_assert_ptr_null(strstr(place_of("x", 200), "..."));
}
END_TEST

START_TEST(a_longer_place_keeps_both_ends)
{
    char place[301];
    const char *shown;

    for (int i = 0; i < 300; i++)
        place[i] = (char)('a' + i % 26);
    place[300] = '\0';
    stem_fail(STEM_EIO, "why");
    stem_fail_at(STEM_EIO, "put", place);
    shown = stem_errmsg() + strlen("put ");
    ck_assert_int_eq(strncmp(shown, place, 98), 0);
    ck_assert_int_eq(strncmp(shown + 98, "...", 3), 0);
    ck_assert_int_eq(strncmp(shown + 101, place + 202, 98), 0);
    ck_assert_str_eq(shown + 199, ": why");
}
END_TEST

static const char *const units[] = {"\\x01",    "\\/",          "\\\\",
                                    "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x8C\xB1"};

START_TEST(a_long_place_is_cut_between_characters)
{
    const char *unit = units[_i];
    size_t len = strlen(unit);
    const char *shown = place_of(unit, 400 / len + 1);
    const char *dots = strstr(shown, "...");
    size_t head;
    size_t tail;

    ck_assert_ptr_nonnull(dots);
    head = (size_t)(dots - shown);
    tail = strlen(dots + 3);
    ck_assert_uint_eq(head % len, 0);
    ck_assert_uint_eq(tail % len, 0);
    ck_assert_uint_gt(head, 90);
    ck_assert_uint_gt(tail, 90);
    ck_assert_uint_le(head + 3 + tail, 199);
    ck_assert_int_eq(strncmp(shown, unit, len), 0);
    ck_assert_int_eq(strncmp(dots + 3, unit, len), 0);
}
END_TEST

/* ---- Any bytes ---------------------------------------------------------------------- */

/* One line of UTF-8, told by another reader than the library's. */
static void assert_line(const char *text)
{
    wchar_t wide;
    mbstate_t state;
    size_t len;

    memset(&state, 0, sizeof state);
    for (; *text; text += len) {
        len = mbrtowc(&wide, text, strlen(text), &state);
        if (len == (size_t)-1 || len == (size_t)-2)
            ck_abort_msg("not UTF-8: %s", text);
        if (wide < 0x20 || (wide >= 0x7F && wide <= 0x9F) || wide == 0x2028 ||
            wide == 0x2029)
            ck_abort_msg("U+%04lX", (unsigned long)wide);
    }
}

START_TEST(a_text_of_any_bytes_is_one_line_of_utf_8)
{
    static const char *const pieces[] = {"a",
                                         "\n",
                                         "\r\n",
                                         "\x7F",
                                         "\xC3\xA9",
                                         "\xE2\x82\xAC",
                                         "\xC3",
                                         "\xA9",
                                         "\xF0\x9F\x8C\xB1",
                                         "\xF0\x9F",
                                         "\xFF",
                                         "\xC2\x85",
                                         "\xED\xA0\x80",
                                         "\xC0\x80",
                                         "\xE2\x80\xA8",
                                         "long words "};
    enum { PIECES = sizeof pieces / sizeof *pieces };

    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    srand(5);
    for (int trial = 0; trial < 2000; trial++) {
        char place[1500] = "", cause[3000] = "";

        for (int n = rand() % 60; n > 0; n--)
            strcat(place, pieces[rand() % PIECES]);
        for (int n = rand() % (trial % 2 == 0 ? 20 : 200); n > 0; n--)
            strcat(cause, pieces[rand() % PIECES]);
        stem_fail(STEM_EIO, "cannot open %s: %s", place, cause);
        assert_line(stem_errmsg());
        stem_fail_at(STEM_EIO, "open", place);
        assert_line(stem_errmsg());
    }
}
END_TEST

START_TEST(bytes_that_are_no_text_are_escaped_and_the_rest_is_as_it_was)
{
    stem_fail(STEM_EIO, "no r\xC3\xA9pertoire \n\xE9t\xC3\xA9 \\x01");
    ck_assert_str_eq(stem_errmsg(), "no r\xC3\xA9pertoire \\x0A\\xE9t\xC3\xA9 \\x01");
}
END_TEST

/* At each place where a text can be cut. */
START_TEST(a_text_is_cut_between_characters)
{
    char text[2000];

    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    for (int before = 1000; before < 1030; before++)
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            memset(text, 'x', (size_t)before);
            snprintf(text + before, sizeof text - (size_t)before, "%s%s", units[i],
                     units[i]);
            stem_fail(STEM_EIO, "%s", text);
            assert_line(stem_errmsg());
            if (strncmp(stem_errmsg(), text, strlen(stem_errmsg())) != 0 ||
                strlen(stem_errmsg()) <= 995)
                ck_abort_msg("%s", stem_errmsg());
        }
}
END_TEST

START_TEST(the_code_can_be_set_alone)
{
    stem_fail(STEM_EIO, "disk full");
    stem_errcode_set(STEM_NOTFOUND);
    ck_assert_int_eq(stem_errcode(), STEM_NOTFOUND);
    ck_assert_str_eq(stem_errmsg(), "disk full");
}
END_TEST

START_TEST(every_code_has_its_name)
{
    static const struct {
        int code;
        const char *name;
    } codes[] = {{STEM_OK, "STEM_OK"},
                 {STEM_NOTFOUND, "STEM_NOTFOUND"},
                 {STEM_EXISTS, "STEM_EXISTS"},
                 {STEM_CONFLICT, "STEM_CONFLICT"},
                 {STEM_EINVAL, "STEM_EINVAL"},
                 {STEM_ETYPE, "STEM_ETYPE"},
                 {STEM_ERANGE, "STEM_ERANGE"},
                 {STEM_ENOMEM, "STEM_ENOMEM"},
                 {STEM_EIO, "STEM_EIO"},
                 {STEM_ECORRUPT, "STEM_ECORRUPT"},
                 {STEM_ELOCKED, "STEM_ELOCKED"},
                 {STEM_EREADONLY, "STEM_EREADONLY"},
                 {STEM_EFORMAT, "STEM_EFORMAT"},
                 {STEM_ENOTSUP, "STEM_ENOTSUP"},
                 {STEM_EFORK, "STEM_EFORK"},
                 {STEM_EGONE, "STEM_EGONE"},
                 {STEM_EUNKNOWN, "STEM_EUNKNOWN"},
                 {STEM_EACCES, "STEM_EACCES"}};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        ck_assert_str_eq(stem_strerror(codes[i].code), codes[i].name);
    ck_assert_str_eq(stem_strerror(4), "unknown code");
    ck_assert_str_eq(stem_strerror(-15), "unknown code");
}
END_TEST

START_TEST(the_version_is_the_header_s)
{
    char expected[32];

    snprintf(expected, sizeof expected, "%d.%d.%d", STEM_VERSION_MAJOR,
             STEM_VERSION_MINOR, STEM_VERSION_PATCH);
    ck_assert_str_eq(stem_version(), expected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("error");
    TCase *tcase = add_case(suite, "last failure", 10);

    tcase_add_test(tcase, each_thread_has_its_own_last_failure);
    tcase_add_test(tcase, a_failure_sets_code_and_text_and_returns_the_code);
    tcase_add_test(tcase, an_argument_may_point_into_the_last_text);
    tcase_add_test(tcase, a_long_text_is_cut);
    tcase_add_test(tcase, a_text_that_cannot_be_formatted_is_empty);
    tcase_add_test(tcase, the_code_can_be_set_alone);
    tcase_add_test(tcase, a_text_of_any_bytes_is_one_line_of_utf_8);
    tcase_add_test(tcase, bytes_that_are_no_text_are_escaped_and_the_rest_is_as_it_was);
    tcase_add_test(tcase, a_text_is_cut_between_characters);
    tcase = add_case(suite, "places", 10);
    tcase_add_test(tcase, operation_and_place_go_before_the_cause);
    tcase_add_test(tcase, no_place_is_left_out);
    tcase_add_test(tcase, a_place_of_200_bytes_is_shown_whole);
    tcase_add_test(tcase, a_longer_place_keeps_both_ends);
    tcase_add_loop_test(tcase, a_long_place_is_cut_between_characters, 0,
                        sizeof units / sizeof *units);
    tcase = add_case(suite, "names", 10);
    tcase_add_test(tcase, every_code_has_its_name);
    tcase_add_test(tcase, the_version_is_the_header_s);
    return run_suite(suite);
}
