/*
 * Literal keys: a key of Redis's commands is one component, byte for byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"
#include "random.h"
#include "served.h"

static stem_db *db;
static stem_server *server;

static void open_served(void)
{
    db = new_database();
    server = serve(db, STEM_SERVER_OPTIONS(.literal_keys = true));
}

static void close_served(void)
{
    assert_ok(stem_server_close(server));
    assert_ok(stem_close(db));
}

static const char *const odd_keys[] = {
    "a/b",  "a//b", "/",     "//",    "/a",     "a/", "http://x/", "aGk/Ly8vPz8=",
    "\\",   "a\\",  "a\\/b", "\\x41", "\\xZZ",  "..", ".",         "\xff\xfe",
    "\x01", "a b",  "\r\n",  "{x}",   "STEM.x", "*",  "?",         "[a]",
};
enum { N_ODD = sizeof odd_keys / sizeof *odd_keys };

START_TEST(any_bytes_but_nul_are_a_key)
{
    redisContext *client = dial();
    char value[16], expected[24];

    for (int i = 0; i < N_ODD; i++) {
        snprintf(value, sizeof value, "value %d", i);
        assert_answer("+OK", client, "SET %s %s", odd_keys[i], value);
    }
    for (int i = 0; i < N_ODD; i++) {
        char *text;

        snprintf(expected, sizeof expected, "\"value %d\"", i);
        assert_answer(expected, client, "GET %s", odd_keys[i]);
        assert_ok(stem_get_str(db, odd_keys[i], &text, NULL)); /* one component */
        ck_assert_int_eq(memcmp(text, expected + 1, strlen(text)), 0);
        stem_free(text);
    }
    snprintf(expected, sizeof expected, "%d", N_ODD);
    assert_answer(expected, client, "DBSIZE");
    redisFree(client);
}
END_TEST

/* Every byte, and every two of those that mean something in paths. */
START_TEST(generated_keys_come_back_from_scan_as_they_were)
{
    static const char bytes[] = "/\\.ax0F\x01\x7f\x80\xff *?[]-^";
    enum { N = 400, LONGEST = 12 };
    redisContext *client = dial();
    char text[LONGEST];
    size_t n = 0;

    random_start();
    for (int i = 0; i < N; i++) {
        const size_t len = 1 + random_below(LONGEST);

        for (size_t at = 0; at < len; at++)
            text[at] = bytes[random_below(sizeof bytes - 1)];
        redisReply *reply = redisCommand(client, "SETNX %b %b", text, len, text, len);
        ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
        n += (size_t)reply->integer;
        freeReplyObject(reply);
    }
    redisReply *all = redisCommand(client, "KEYS *");
    ck_assert_uint_eq(all->elements, n);
    for (size_t i = 0; i < all->elements; i++) {
        const redisReply *each = all->element[i];
        redisReply *value = redisCommand(client, "GETDEL %b", each->str, each->len);

        ck_assert_uint_eq(value->len, each->len);
        ck_assert_mem_eq(value->str, each->str, each->len);
        freeReplyObject(value);
    }
    freeReplyObject(all);
    assert_answer("0", client, "DBSIZE");
    redisFree(client);
}
END_TEST

START_TEST(patterns_match_the_bytes_of_keys)
{
    redisContext *client = dial();

    assert_answer("+OK", client, "MSET http://x/ 1 http://y/ 2 a\\b 3 https 4");
    assert_answer("[\"http://x/\" \"http://y/\"]", client, "KEYS http://*");
    assert_answer("[\"http://x/\"]", client, "KEYS *x/");
    assert_answer("[\"a\\b\"]", client, "KEYS a\\\\*");
    assert_answer("[\"0\" [\"http://x/\" \"http://y/\"]]", client,
                  "SCAN 0 MATCH http://? COUNT 100 MATCH http:*/");
    assert_answer("[\"0\" [\"https\"]]", client, "SCAN 0 MATCH *s TYPE string");
    redisFree(client);
}
END_TEST

START_TEST(what_no_component_can_be_is_refused)
{
    redisContext *client = dial();
    char *longest = calloc(1, STEM_COMPONENT_MAX + 2);

    memset(longest, 'x', STEM_COMPONENT_MAX);
    assert_answer("+OK", client, "SET %s 1", longest);
    assert_answer("\"1\"", client, "GET %s", longest);
    longest[STEM_COMPONENT_MAX] = 'x';
    assert_answer("-ERR invalid key: too long", client, "SET %s 1", longest);
    assert_answer("-ERR invalid key: empty", client, "SET %b 1", "", (size_t)0);
    assert_answer("-ERR invalid key: it has a NUL byte", client, "GET %b", "a\0b",
                  (size_t)3);
    assert_answer("-ERR invalid key: it has a NUL byte", client, "WATCH %b", "\0",
                  (size_t)1);
    free(longest);
    redisFree(client);
}
END_TEST

START_TEST(what_lies_in_sub_databases_is_not_seen_and_stays)
{
    redisContext *client = dial();
    stem_db *sub = stem_sub(db, "sub", "deep");

    for (int i = 0; i < 100; i++) {
        char key[16];

        snprintf(key, sizeof key, "%d", i);
        assert_ok(stem_put(sub, key, 1));
    }
    assert_answer("+OK", client, "MSET a 1 sub 2 z 3");
    assert_answer("[\"a\" \"sub\" \"z\"]", client, "KEYS *");
    assert_answer("3", client, "DBSIZE");
    for (int i = 0; i < 50; i++) {
        const char *key = ask(client, "RANDOMKEY");

        ck_assert_msg(strlen(key) <= strlen("\"sub\""), "%s", key);
    }
    assert_answer("nil", client, "GET sub/deep/1");
    assert_answer("+OK", client, "FLUSHDB");
    assert_answer("0", client, "DBSIZE");
    ck_assert(stem_has(sub, "0") == STEM_OK && stem_has(sub, "99") == STEM_OK);
    stem_close(sub);
    redisFree(client);
}
END_TEST

/* Stem's own commands have paths, in which the key is one component. */
START_TEST(stems_own_commands_name_the_same_entries_as_paths)
{
    redisContext *client = dial();

    assert_answer("+OK", client, "SET a/b 7");
    assert_answer("\"7\"", client, "STEM.GET a\\/b JSON");
    assert_answer("nil", client, "STEM.GET a/b JSON");
    assert_answer("+OK", client, "STEM.PUTJSON a/b 8");
    assert_answer("\"7\"", client, "GET a/b");
    assert_answer("+OK", client, "STEM.PUTJSON http:\\/\\/x 9");
    assert_answer("\"9\"", client, "GET http://x");

    stem_db *remote;
    int64_t n;

    assert_ok(stem_open(&remote, served_at(), NULL));
    assert_ok(stem_get_int(remote, "a/b", &n));
    ck_assert_int_eq(n, 7);
    assert_ok(stem_put(remote, "c//d", 1));
    assert_answer("\"1\"", client, "GET c//d");
    assert_ok(stem_close(remote));
    redisFree(client);
}
END_TEST

START_TEST(transactions_and_watches_have_literal_keys_too)
{
    redisContext *client = dial(), *other = dial();

    assert_answer("+OK", client, "WATCH a//b");
    assert_answer("+OK", client, "MULTI");
    assert_answer("+QUEUED", client, "INCR a//b");
    assert_answer("+QUEUED", client, "GETRANGE a//b 0 -1");
    assert_answer("[1 \"1\"]", client, "EXEC");
    assert_answer("+OK", client, "WATCH a//b");
    assert_answer("2", other, "INCR a//b");
    assert_answer("+OK", client, "MULTI");
    assert_answer("+QUEUED", client, "INCR a//b");
    assert_answer("nil", client, "EXEC");
    redisFree(other);
    redisFree(client);
}
END_TEST

START_TEST(a_scope_is_a_path)
{
    redisContext *client = dial(), *within = dial();

    ask(within, "HELLO 2 SCOPE cache/pages");
    assert_answer("+OK", within, "SET http://x/ 1");
    assert_answer("[\"http://x/\"]", within, "KEYS *");
    assert_answer("[]", client, "KEYS *");
    assert_answer("\"1\"", client, "STEM.GET cache/pages/http:\\/\\/x\\/ JSON");
    assert_answer("-INVALID the scope is no canonical path", client,
                  "HELLO 2 SCOPE cache//");
    redisFree(within);
    redisFree(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server literal");
    TCase *literal = add_case(suite, "literal keys", 60);

    tcase_add_checked_fixture(literal, open_served, close_served);
    tcase_add_test(literal, any_bytes_but_nul_are_a_key);
    tcase_add_test(literal, generated_keys_come_back_from_scan_as_they_were);
    tcase_add_test(literal, patterns_match_the_bytes_of_keys);
    tcase_add_test(literal, what_no_component_can_be_is_refused);
    tcase_add_test(literal, what_lies_in_sub_databases_is_not_seen_and_stays);
    tcase_add_test(literal, stems_own_commands_name_the_same_entries_as_paths);
    tcase_add_test(literal, transactions_and_watches_have_literal_keys_too);
    tcase_add_test(literal, a_scope_is_a_path);
    return run_suite(suite);
}
