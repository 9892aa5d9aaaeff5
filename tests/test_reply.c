/*
 * Replies as bytes, in both versions of the protocol.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failing_malloc.h"
#include "net/resp.h"
#include "support.h"

static stem_reply reply;

static void begin(void)
{
    reply = (stem_reply){.version = 2};
}

static void end(void)
{
    free(reply.bytes.data);
}

/* Asserts what was added since the last time. */
static void assert_bytes(const void *expected, size_t len)
{
    ck_assert(!reply.bytes.failed);
    ck_assert_uint_eq(reply.bytes.len, len);
    ck_assert_mem_eq(reply.bytes.data, expected, len);
    reply.bytes.len = 0;
}

static void assert_text(const char *expected)
{
    assert_bytes(expected, strlen(expected));
}

START_TEST(a_status_is_a_line)
{
    stem_reply_status(&reply, "OK");
    assert_text("+OK\r\n");
    stem_reply_status(&reply, "");
    assert_text("+\r\n");
}
END_TEST

START_TEST(an_error_stays_on_its_line)
{
    stem_reply_error(&reply, "ERR no such key");
    assert_text("-ERR no such key\r\n");
    stem_reply_error(&reply, "ERR a\r\n+OK\nb\r");
    assert_text("-ERR a  +OK b \r\n");
}
END_TEST

static const struct {
    int64_t x;
    const char *text;
} integers[] = {
    {0, ":0\r\n"},
    {7, ":7\r\n"},
    {-1, ":-1\r\n"},
    {10, ":10\r\n"},
    {-1234567890, ":-1234567890\r\n"},
    {INT64_MAX, ":9223372036854775807\r\n"},
    {INT64_MIN, ":-9223372036854775808\r\n"},
};

START_TEST(an_integer_is_written_in_full)
{
    stem_reply_integer(&reply, integers[_i].x);
    assert_text(integers[_i].text);
}
END_TEST

START_TEST(a_bulk_string_may_hold_any_byte)
{
    stem_reply_bulk(&reply, "a\0\r\n", 4);
    assert_bytes("$4\r\na\0\r\n\r\n", 10);
    stem_reply_bulk(&reply, NULL, 0);
    assert_text("$0\r\n\r\n");
    stem_reply_text(&reply, "hello world");
    assert_text("$11\r\nhello world\r\n");
}
END_TEST

START_TEST(a_large_bulk_string_is_added_whole)
{
    enum { LEN = 1 << 20 };
    char *large = malloc(LEN);

    memset(large, 'x', LEN);
    stem_reply_bulk(&reply, large, LEN);
    ck_assert_uint_eq(reply.bytes.len, 10 + LEN + 2);
    ck_assert_mem_eq(reply.bytes.data, "$1048576\r\n", 10);
    ck_assert_mem_eq(reply.bytes.data + 10, large, LEN);
    ck_assert_mem_eq(reply.bytes.data + 10 + LEN, "\r\n", 2);
    free(large);
}
END_TEST

START_TEST(version_2_has_no_form_of_its_own_for_some)
{
    stem_reply_null(&reply);
    assert_text("$-1\r\n");
    stem_reply_null_array(&reply);
    assert_text("*-1\r\n");
    stem_reply_map(&reply, 3);
    assert_text("*6\r\n");
    stem_reply_verbatim(&reply, "text", 4);
    assert_text("$4\r\ntext\r\n");
    stem_reply_array(&reply, 3);
    assert_text("*3\r\n");
    stem_reply_array(&reply, 0);
    assert_text("*0\r\n");
}
END_TEST

START_TEST(version_3_has_a_form_for_all)
{
    reply.version = 3;
    stem_reply_null(&reply);
    assert_text("_\r\n");
    stem_reply_null_array(&reply);
    assert_text("_\r\n");
    stem_reply_map(&reply, 3);
    assert_text("%3\r\n");
    stem_reply_verbatim(&reply, "text", 4);
    assert_text("=8\r\ntxt:text\r\n");
    stem_reply_verbatim(&reply, NULL, 0);
    assert_text("=4\r\ntxt:\r\n");
    stem_reply_array(&reply, 12345);
    assert_text("*12345\r\n");
}
END_TEST

START_TEST(replies_are_added_one_behind_the_other)
{
    stem_reply_array(&reply, 2);
    stem_reply_integer(&reply, 1);
    stem_reply_null(&reply);
    assert_text("*2\r\n:1\r\n$-1\r\n");
}
END_TEST

static void add(int kind)
{
    switch (kind) {
    case 0:
        stem_reply_status(&reply, "a status");
        break;
    case 1:
        stem_reply_error(&reply, "an\nerror");
        break;
    case 2:
        stem_reply_integer(&reply, 12345678);
        break;
    case 3:
        stem_reply_bulk(&reply, "bytes", 5);
        break;
    case 4:
        stem_reply_verbatim(&reply, "text", 4);
        break;
    case 5:
        stem_reply_null(&reply);
        break;
    case 6:
        stem_reply_null_array(&reply);
        break;
    default:
        stem_reply_array(&reply, 1);
    }
}

/* Nothing is added after it either, so that no reply begins within another. */
START_TEST(nothing_is_added_once_memory_has_failed)
{
    size_t len;

    while (reply.bytes.capacity == 0 || reply.bytes.capacity - reply.bytes.len > 3)
        stem_buffer_add(&reply.bytes, "x", 1);
    len = reply.bytes.len;
    out_of_memory(add(_i));
    ck_assert(reply.bytes.failed);
    for (int kind = 0; kind < 8; kind++)
        add(kind);
    ck_assert_uint_eq(reply.bytes.len, len);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reply");
    TCase *tcase = add_case(suite, "forms", 20);

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_status_is_a_line);
    tcase_add_test(tcase, an_error_stays_on_its_line);
    tcase_add_loop_test(tcase, an_integer_is_written_in_full, 0,
                        sizeof integers / sizeof *integers);
    tcase_add_test(tcase, a_bulk_string_may_hold_any_byte);
    tcase_add_test(tcase, a_large_bulk_string_is_added_whole);
    tcase_add_test(tcase, version_2_has_no_form_of_its_own_for_some);
    tcase_add_test(tcase, version_3_has_a_form_for_all);
    tcase_add_test(tcase, replies_are_added_one_behind_the_other);
    tcase = add_case(suite, "memory", 20);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, nothing_is_added_once_memory_has_failed, 0, 8);
    return run_suite(suite);
}
