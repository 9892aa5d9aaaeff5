/*
 * A server for others in a process that shares its directory, beside an owner in another
 * process: its clients' sessions lie with the owner, and go on whoever dies. And what of them
 * the owner lets be named, and by whom.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"
#include "served.h"
#include "sharer.h"

static char address[512];

static void start_three(void)
{
    snprintf(address, sizeof address, "unix:%s", path_in(temp_dir(), "public"));
    start_sharers(D);
}

/* ---- Steps ------------------------------------------------------------------------ */

static stem_server *server;

static void serve_all(step *given)
{
    const char *listen[] = {given->text, NULL};

    given->code =
        stem_server_open(&server, shared_db, STEM_SERVER_OPTIONS(.listen = listen));
}

static void stop_serving(step *given)
{
    given->code = stem_server_close(server);
}

/* So often, and what it comes to. */
static void incr_often(step *given)
{
    for (int64_t i = 0; i < given->more && given->code == STEM_OK; i++)
        given->code = stem_incr(shared_db, given->key, 1, 0, &given->value);
}

static void open_and_serve(int who)
{
    expect(STEM_OK, who, open_shared, 0);
    expect(STEM_OK, who, serve_all, .text = address);
}

static void restart(int who)
{
    kill_sharer(who);
    start_sharer(who);
    open_and_serve(who);
}

/* ---- Clients ---------------------------------------------------------------------- */

START_TEST(stem_is_served_by_who_is_not_the_owner)
{
    expect(STEM_OK, A, open_shared, 0);
    open_and_serve(B);
    expect(STEM_OK, C, open_as_given, .place = address);
    expect(STEM_OK, C, put_value, .key = "a", .value = 7);
    expect_value(A, "a", 7);
    ck_assert_int_eq(expect(STEM_OK, C, incr_value, .key = "a").value, 8);
    expect_value(C, "a", 8);
    ck_assert_int_eq(expect(STEM_OK, C, count_all, 0).value, 1);
    ck_assert_int_eq(expect(STEM_OK, A, count_all, 0).value, 1);
    expect(STEM_OK, C, close_it, 0);
    expect(STEM_OK, B, stop_serving, 0);
    expect(STEM_OK, B, close_it, 0);
}
END_TEST

START_TEST(clients_of_a_server_that_is_killed_go_on_with_the_next)
{
    enum { INCREMENTS = 1500, KILLS = 3 };

    expect(STEM_OK, A, open_shared, 0);
    open_and_serve(B);
    expect(STEM_OK, C, open_as_given, .place = address);
    begin_in(C, incr_often, (step){.key = "n", .more = INCREMENTS});
    for (int i = 0; i < KILLS; i++) {
        pause_ms(30);
        restart(B);
    }
    ck_assert_int_eq(expect_end(STEM_OK, C).value, INCREMENTS);
    expect_value(A, "n", INCREMENTS);
}
END_TEST

START_TEST(clients_of_a_server_go_on_when_the_owner_is_killed)
{
    enum { INCREMENTS = 1000 };

    expect(STEM_OK, A, open_shared, 0);
    open_and_serve(B);
    expect(STEM_OK, C, open_as_given, .place = address);
    begin_in(C, incr_often, (step){.key = "n", .more = INCREMENTS});
    pause_ms(30);
    kill_sharer(A);
    ck_assert_int_eq(expect_end(STEM_OK, C).value, INCREMENTS);
    ck_assert_int_eq(owner_pid(), sharer_pid(B));
    expect_value(B, "n", INCREMENTS);
    expect(STEM_OK, C, close_it, 0);
}
END_TEST

/* ---- A commit that is repeated ---------------------------------------------------- */

static redisContext *connect_to(const char *path)
{
    redisContext *client = redisConnectUnix(path);

    ck_assert_ptr_nonnull(client);
    ck_assert_msg(client->err == 0, "cannot connect to %s: %s", path, client->errstr);
    return client;
}

static redisContext *connect_to_server(void)
{
    return connect_to(address + strlen("unix:"));
}

/* Of a slot of a session, as it was answered. */
static void attach(redisContext *client, const char *session, char id[33])
{
    const char *answer = ask(client, "STEM.ATTACH 1 0 %s", session);

    ck_assert_msg(sscanf(answer, "[\"%32[0-9a-f]\"", id) == 1, "it answered %s", answer);
}

START_TEST(a_session_outlives_the_server_and_so_do_its_numbers)
{
    char id[33], again[33];

    expect(STEM_OK, A, open_shared, 0);
    open_and_serve(B);
    redisContext *client = connect_to_server();
    attach(client, "NEW", id);
    assert_answer("+OK", client, "STEM.COMMIT 1 - PUT a \x01");
    redisFree(client);
    restart(B);
    expect(STEM_OK, A, put_value, .key = "a", .value = 7);
    client = connect_to_server();
    attach(client, id, again);
    ck_assert_str_eq(id, again);
    assert_answer("+OK", client, "STEM.COMMIT 1 - PUT a \x01"); /* which it was */
    expect_value(A, "a", 7);
    assert_answer("+OK", client, "STEM.COMMIT 2 - PUT a \x02");
    expect_value(A, "a", 2);
    assert_answer("+OK", client, "STEM.DETACH");
    redisFree(client);
}
END_TEST

/* ---- Records ---------------------------------------------------------------------- */

enum { SESSION_KEY = 25, SLOT_KEY = 24 };
static const char session_key[] = "\0session\0abcdefghijklmnop";
static const char slot_key[] = "\0slot\0abcdefghijklmnop\0\3";
static const char record[] = "\x93\xA0\x10\x07";

static redisContext *connect_to_owner(void)
{
    return connect_to(path_in(shared_place, "stem.sock"));
}

static void expect_error(const char *answer)
{
    ck_assert_msg(*answer == '-', "it answered %s", answer);
}

/* Reads and commits of the two records. */
static void expect_no_records(redisContext *client)
{
    char *const keys[] = {(char *)session_key, (char *)slot_key};
    const size_t lens[] = {SESSION_KEY, SLOT_KEY};

    for (int i = 0; i < 2; i++) {
        expect_error(ask(client, "STEM.READ 0 %b", keys[i], lens[i]));
        expect_error(ask(client, "STEM.COMMIT 0 - PUT %b %s", keys[i], lens[i], record));
        expect_error(ask(client, "STEM.COMMIT 0 - DEL %b", keys[i], lens[i]));
        expect_error(ask(client, "STEM.COMMIT 0 - ABSENT %b", keys[i], lens[i]));
        expect_error(ask(client, "STEM.COMMIT 0 - EQUAL %b x", keys[i], lens[i]));
    }
}

#define ALL_SESSIONS "\0session\0", (size_t)9, "\0session\1", (size_t)9

START_TEST(who_is_attached_to_the_owner_may_name_records_of_sessions)
{
    char id[33];

    expect(STEM_OK, A, open_shared, 0);
    redisContext *client = connect_to_owner();
    expect_no_records(client); /* not attached */
    attach(client, "NEW", id);
    assert_answer("+OK", client, "STEM.COMMIT 0 - ABSENT %b PUT %b %s PUT %b \x05",
                  session_key, (size_t)SESSION_KEY, session_key, (size_t)SESSION_KEY,
                  record, slot_key, (size_t)SLOT_KEY);
    assert_answer("[\"\x05\"]", client, "STEM.READ 0 %b", slot_key, (size_t)SLOT_KEY);
    assert_answer("+OK", client, "STEM.COMMIT 0 - EQUAL %b \x05 DEL %b", slot_key,
                  (size_t)SLOT_KEY, slot_key, (size_t)SLOT_KEY);
    assert_answer("[nil]", client, "STEM.READ 0 %b", slot_key, (size_t)SLOT_KEY);
    redisReply *reply =
        redisCommand(client, "STEM.RANGE 0 %b %b FORWARD 0 100000 KEYS", ALL_SESSIONS);
    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_eq(reply->elements, 1 + 2); /* and the client's own */
    freeReplyObject(reply);
    redisFree(client);
}
END_TEST

/* What is none of those, and whoever does not ask as a server does. */
START_TEST(nothing_else_that_is_hidden_is_named_at_the_owner)
{
    static const struct {
        const char *bytes;
        size_t len;
    } hidden[] = {{"\0session\0abcdefghijklmno", SESSION_KEY - 1},
                  {"\0session\0abcdefghijklmnopq", SESSION_KEY + 1},
                  {"\0slot\0abcdefghijklmnop\0", SLOT_KEY - 1},
                  {"\0session", 8},
                  {"\0other", 6},
                  {"", 0}};
    static const char *const others[] = {"STEM.GET %b", "STEM.PUT %b x",
                                         "STEM.PUTJSON %b 1", "STEM.CHILDREN %b",
                                         "GET %b"};
    char id[33];

    expect(STEM_OK, A, open_shared, 0);
    redisContext *client = connect_to_owner();
    attach(client, "NEW", id);
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        expect_error(ask(client, "STEM.READ 0 %b", hidden[i].bytes, hidden[i].len));
        expect_error(
            ask(client, "STEM.COMMIT 0 - PUT %b x", hidden[i].bytes, hidden[i].len));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        expect_error(ask(client, others[i], session_key, (size_t)SESSION_KEY));
    assert_answer("[0]", client, "STEM.RANGE 0 %b %b FORWARD 0 100000", "\0session",
                  (size_t)8, "\0session\1", (size_t)9);
    assert_answer("[0]", client, "STEM.RANGE 0 %b %b FORWARD 0 100000", "\0", (size_t)1,
                  "\1", (size_t)1);
    assert_answer("[]", client, "KEYS *");
    assert_answer("0", client, "DBSIZE");
    assert_answer("+OK", client, "FLUSHDB");
    assert_answer("+OK", client, "STEM.COMMIT 1 - PUT a \x01"); /* it is still there */
    ck_assert_int_eq(*ask(client, "HELLO 2 SCOPE in"), '[');
    attach(client, "NEW", id);
    expect_no_records(client);
    redisFree(client);
}
END_TEST

/* Of the owner's process or of another's. */
START_TEST(a_server_for_others_lets_nobody_name_records)
{
    char id[33];

    if (_i == B)
        expect(STEM_OK, A, open_shared, 0);
    open_and_serve(_i);
    redisContext *client = connect_to_server();
    attach(client, "NEW", id);
    expect_no_records(client);
    assert_answer("[0]", client, "STEM.RANGE 0 %b %b FORWARD 0 100000", ALL_SESSIONS);
    redisFree(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shared server");
    TCase *clients = add_case(suite, "clients", 120);
    TCase *records = add_case(suite, "records", 60);

    tcase_add_checked_fixture(clients, start_three, NULL);
    tcase_add_test(clients, stem_is_served_by_who_is_not_the_owner);
    tcase_add_test(clients, clients_of_a_server_that_is_killed_go_on_with_the_next);
    tcase_add_test(clients, clients_of_a_server_go_on_when_the_owner_is_killed);
    tcase_add_test(clients, a_session_outlives_the_server_and_so_do_its_numbers);

    tcase_add_checked_fixture(records, start_three, NULL);
    tcase_add_test(records, who_is_attached_to_the_owner_may_name_records_of_sessions);
    tcase_add_test(records, nothing_else_that_is_hidden_is_named_at_the_owner);
    tcase_add_loop_test(records, a_server_for_others_lets_nobody_name_records, A, B + 1);
    return run_suite(suite);
}
