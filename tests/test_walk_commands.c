/*
 * KEYS, SCAN, DBSIZE and FLUSHDB, at this level: what they find.
 */
#include "own_support.h"

#include <stdio.h>
#include <stdlib.h>

static void put_text(const char *stored, size_t len)
{
    put(engine, (stem_slice){stored, len}, slice("\x01"));
}

static void put_some(void)
{
    put_text("a", 1);
    put_text("a\0b", 3);
    put_text("a\0bc", 4);
    put_text("a/b", 3);
    put_text("aa", 2);
    put_text("b\0\xFF", 3);
    put_text("\0session\0x", 10);
}

static void put_many(int n)
{
    char key[16];

    for (int i = 0; i < n; i++) {
        int len = snprintf(key, sizeof key, "k%c%06d", 0, i);

        put_text(key, (size_t)len);
    }
}

static void begin(void)
{
    open_caller();
    scope = (stem_slice){0};
    has_raw_keys = false;
}

/* ---- KEYS and DBSIZE -------------------------------------------------------------- */

static const struct {
    const char *pattern, *reply;
} patterns[] = {
    {"*", "[\"a\" \"a/b\" \"a/bc\" \"a\\/b\" \"aa\" \"b/\\xFF\"]"},
    {"a", "[\"a\"]"},
    {"a*", "[\"a\" \"a/b\" \"a/bc\" \"a\\/b\" \"aa\"]"},
    {"a/*", "[\"a/b\" \"a/bc\"]"},
    {"a/b", "[\"a/b\"]"},
    {"a?b", "[\"a/b\"]"},
    {"a[a/]*", "[\"a/b\" \"a/bc\" \"aa\"]"},
    {"a\\\\/b", "[\"a\\/b\"]"},
    {"a\\\\*", "[\"a\\/b\"]"},
    {"*xFF", "[\"b/\\xFF\"]"},
    {"b/\\\\x*", "[\"b/\\xFF\"]"},
    {"b/\xFF", "[]"},
    {"", "[]"},
    {"/*", "[]"},
    {"//", "[]"},
    {"z*", "[]"},
    {"\\0*", "[]"},
};

START_TEST(keys_gives_the_texts_that_match)
{
    put_some();
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        const char *reply = ask("KEYS", patterns[i].pattern, NULL);

        ck_assert_msg(strcmp(reply, patterns[i].reply) == 0, "%s: %s",
                      patterns[i].pattern, reply);
    }
}
END_TEST

START_TEST(a_pattern_that_is_too_long_is_refused)
{
    static char pattern[2000];

    memset(pattern, '*', sizeof pattern - 1);
    assert_reply("!ERR pattern is too long", "KEYS", pattern);
    assert_reply("!ERR pattern is too long", "SCAN", "0", "MATCH", pattern);
}
END_TEST

START_TEST(keys_and_dbsize_see_the_scope_alone)
{
    put_some();
    assert_reply("6", "DBSIZE");
    scope = (stem_slice){"a\0", 2};
    assert_reply("2", "DBSIZE");
    assert_reply("[\"b\" \"bc\"]", "KEYS", "*");
    assert_reply("[\"bc\"]", "KEYS", "bc*");
    scope = (stem_slice){"b\0\xFF\0", 4};
    assert_reply("0", "DBSIZE");
    assert_reply("[]", "KEYS", "*");
}
END_TEST

START_TEST(a_long_walk_goes_in_steps)
{
    put_many(40000);
    assert_reply("40000", "DBSIZE");
    ck_assert_uint_gt(steps_taken, 1);
    assert_reply_begins("[\"k/000000\" \"k/000001\" ", "KEYS", "*");
    ck_assert_uint_gt(steps_taken, 1);
}
END_TEST

static int n_between;

static void write_between(void)
{
    char key[16];

    snprintf(key, sizeof key, "z%d", n_between++);
    put_text(key, strlen(key));
}

START_TEST(what_is_written_during_a_walk_is_not_in_it)
{
    put_many(40000);
    between_steps = write_between;
    assert_reply("40000", "DBSIZE");
    ck_assert_int_gt(n_between, 0);
}
END_TEST

/* ---- FLUSHDB ---------------------------------------------------------------------- */

START_TEST(flushdb_takes_what_is_below_the_scope_and_nothing_else)
{
    put_some();
    scope = (stem_slice){"a\0", 2};
    assert_reply("OK", "FLUSHDB");
    assert_reply("0", "DBSIZE");
    scope = (stem_slice){0};
    assert_reply("[\"a\" \"a\\/b\" \"aa\" \"b/\\xFF\"]", "KEYS", "*");
    assert_reply("OK", "FLUSHDB", "async");
    assert_reply("0", "DBSIZE");
    assert_holds(engine, NULL, (stem_slice){"\0session\0x", 10}, slice("\x01"));
    assert_reply("OK", "FLUSHDB", "SYNC");
    assert_reply("!ERR syntax error", "FLUSHDB", "NOW");
    assert_reply("!ERR syntax error", "FLUSHDB", "SYNC", "SYNC");
}
END_TEST

START_TEST(flushdb_takes_more_than_fits_in_one_commit)
{
    put_many(5000);
    assert_reply("OK", "FLUSHDB");
    assert_reply("0", "DBSIZE");
}
END_TEST

/* ---- SCAN ------------------------------------------------------------------------- */

/* The cursor in a reply of SCAN, and how many keys follow it. */
static const char *read_scan(const char *reply, int *n)
{
    static char cursor[24];
    const char *end = strchr(reply + 2, '"');

    ck_assert_msg(strncmp(reply, "[\"", 2) == 0, "%s", reply);
    memcpy(cursor, reply + 2, (size_t)(end - reply - 2));
    cursor[end - reply - 2] = '\0';
    *n = 0;
    for (const char *at = strchr(end, '['); *at; at++)
        *n += *at == '"';
    *n /= 2;
    return cursor;
}

START_TEST(scan_gives_every_key_once)
{
    const char *cursor = "0";
    int n, total = 0, calls = 0;

    put_many(1000);
    do {
        const char *reply = ask("SCAN", cursor, "COUNT", "30", NULL);

        cursor = read_scan(reply, &n);
        ck_assert_int_le(n, 30);
        total += n;
        calls++;
    } while (strcmp(cursor, "0") != 0);
    ck_assert_int_eq(total, 1000);
    ck_assert_int_ge(calls, 1000 / 30);
}
END_TEST

START_TEST(scan_gives_ten_unless_told_otherwise)
{
    int n;

    put_many(11);
    ck_assert_str_ne(read_scan(ask("SCAN", "0", NULL), &n), "0");
    ck_assert_int_eq(n, 10);
    ck_assert_str_eq(read_scan(ask("SCAN", "0", "COUNT", "11", NULL), &n), "0");
    ck_assert_int_eq(n, 11);
}
END_TEST

START_TEST(scan_looks_where_its_pattern_may_match_alone)
{
    int n;

    put_some();
    put_many(1000);
    assert_reply("[\"0\" [\"a/b\" \"a/bc\"]]", "SCAN", "0", "MATCH", "a/*", "COUNT", "2");
    assert_reply("[\"0\" []]", "SCAN", "0", "MATCH", "z*");
    assert_reply("[\"0\" [\"aa\"]]", "SCAN", "0", "match", "x", "MATCH", "aa");
    /* A page without a match is no end. */
    ck_assert_str_ne(read_scan(ask("SCAN", "0", "MATCH", "*7", "COUNT", "5", NULL), &n),
                     "0");
    ck_assert_int_eq(n, 0);
}
END_TEST

START_TEST(a_cursor_may_be_used_again_until_the_walk_has_gone_on)
{
    char first[24], second[24], page[512];
    int n;

    put_many(40);
    strcpy(first, read_scan(ask("SCAN", "0", NULL), &n));
    strcpy(page, ask("SCAN", first, NULL));
    strcpy(second, read_scan(page, &n));
    ck_assert_str_eq(strrchr(ask("SCAN", first, NULL), '['), strrchr(page, '['));
    ask("SCAN", second, NULL);
    assert_reply("!ERR invalid cursor", "SCAN", first);
}
END_TEST

START_TEST(a_cursor_is_for_its_user_and_scope)
{
    char cursor[24];
    int n;

    put_many(40);
    scope = (stem_slice){"k\0", 2};
    strcpy(cursor, read_scan(ask("SCAN", "0", NULL), &n));
    scope = (stem_slice){0};
    assert_reply("!ERR invalid cursor", "SCAN", cursor);
    scope = (stem_slice){"k\0", 2};
    peer.user = slice("another");
    assert_reply("!ERR invalid cursor", "SCAN", cursor);
    peer.user = (stem_slice){0};
    assert_reply_begins("[", "SCAN", cursor);
}
END_TEST

START_TEST(a_scan_that_makes_no_sense_is_refused)
{
    assert_reply("!ERR invalid cursor", "SCAN", "1");
    assert_reply("!ERR invalid cursor", "SCAN", "x");
    assert_reply("!ERR invalid cursor", "SCAN", "18446744073709551615");
    assert_reply("!ERR syntax error", "SCAN", "0", "MATCH");
    assert_reply("!ERR syntax error", "SCAN", "0", "COUNT", "0");
    assert_reply("!ERR value is not an integer or out of range", "SCAN", "0", "COUNT",
                 "x");
    assert_reply("!ERR syntax error", "SCAN", "0", "TYPE");
}
END_TEST

START_TEST(one_call_of_scan_is_bounded)
{
    int n;

    put_many(40000);
    ck_assert_str_ne(read_scan(ask("SCAN", "0", "COUNT", "100000000", NULL), &n), "0");
    ck_assert_int_lt(n, 40000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("walk commands");
    TCase *tcase = add_case(suite, "keys", 30);

    tcase_add_checked_fixture(tcase, begin, close_caller);
    tcase_add_test(tcase, keys_gives_the_texts_that_match);
    tcase_add_test(tcase, a_pattern_that_is_too_long_is_refused);
    tcase_add_test(tcase, keys_and_dbsize_see_the_scope_alone);
    tcase_add_test(tcase, a_long_walk_goes_in_steps);
    tcase_add_test(tcase, what_is_written_during_a_walk_is_not_in_it);

    tcase = add_case(suite, "flushdb", 30);
    tcase_add_checked_fixture(tcase, begin, close_caller);
    tcase_add_test(tcase, flushdb_takes_what_is_below_the_scope_and_nothing_else);
    tcase_add_test(tcase, flushdb_takes_more_than_fits_in_one_commit);

    tcase = add_case(suite, "scan", 30);
    tcase_add_checked_fixture(tcase, begin, close_caller);
    tcase_add_test(tcase, scan_gives_every_key_once);
    tcase_add_test(tcase, scan_gives_ten_unless_told_otherwise);
    tcase_add_test(tcase, scan_looks_where_its_pattern_may_match_alone);
    tcase_add_test(tcase, a_cursor_may_be_used_again_until_the_walk_has_gone_on);
    tcase_add_test(tcase, a_cursor_is_for_its_user_and_scope);
    tcase_add_test(tcase, a_scan_that_makes_no_sense_is_refused);
    tcase_add_test(tcase, one_call_of_scan_is_bounded);
    return run_suite(suite);
}
