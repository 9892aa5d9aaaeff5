/*
 * Sessions over the wire: what a connection has before, in and after one, and what several
 * servers over one database know of each other's.
 */
#include <stdio.h>
#include <string.h>

#include "place.h"
#include "served.h"

static stem_db *db;
static stem_server *server;

static void open_served(void)
{
    db = new_database();
    server = serve(db, NULL);
}

static void close_served(void)
{
    assert_ok(stem_server_close(server));
    assert_ok(stem_close(db));
}

/* Attaches the client to a slot of a session, or of a new one; the session's id lives until
 * the process ends. */
static const char *attach(redisContext *client, int slot, const char *session)
{
    enum { DIGITS = 32, MOST = 64 };
    static char ids[MOST][DIGITS + 1];
    static int n;
    char *id = ids[n++ % MOST];
    const char *answer = ask(client, "STEM.ATTACH 1 %d %s", slot, session);

    ck_assert_msg(*answer == '[', "STEM.ATTACH answered %s", answer);
    memcpy(id, answer + strlen("[\""), DIGITS);
    return id;
}

#define NEW "NEW"

/* A figure that the server gives of itself. */
static int figure(redisContext *client, const char *name)
{
    const char *at = strstr(ask(client, "INFO"), name);
    int value;

    ck_assert_ptr_nonnull(at);
    ck_assert_int_eq(sscanf(at + strlen(name), ":%d", &value), 1);
    return value;
}

/* ---- The end of a session --------------------------------------------------------- */

START_TEST(who_has_detached_is_as_before_attaching)
{
    redisContext *client = dial();

    attach(client, 0, NEW);
    assert_answer("+OK", client, "STEM.COMMIT 1 - PUT a/b \x01");
    assert_contents(db, "a\\/b=1"); /* keys are raw */
    assert_answer("+OK", client, "STEM.DETACH");
    assert_answer("-NOSESSION", client, "STEM.DETACH");
    assert_answer("-ERR number without a session: STEM.ATTACH first", client,
                  "STEM.COMMIT 1 - PUT a \x01");
    assert_answer("+OK", client, "STEM.COMMIT 0 - PUT a/b \x02");
    assert_contents(db, "a/b=2 a\\/b=1");
    redisFree(client);
}
END_TEST

START_TEST(what_is_held_between_sessions_is_limited)
{
    enum { LIMIT = 4, ROUNDS = 3 };

    assert_ok(stem_server_close(server));
    server = serve(db, STEM_SERVER_OPTIONS(.max_snapshots = LIMIT));
    redisContext *client = dial();
    for (int round = 0; round < ROUNDS; round++) {
        attach(client, 0, NEW);
        assert_answer("+OK", client, "STEM.DETACH");
        for (int i = 0; i < LIMIT; i++)
            ck_assert_int_eq(*ask(client, "STEM.SNAPSHOT"), '"');
        assert_answer("-ERR too many snapshots are open", client, "STEM.SNAPSHOT");
        ck_assert_int_eq(figure(client, "snapshots"), LIMIT);
    }
    ck_assert_int_eq(figure(client, "sessions"), 0);
    redisFree(client);
}
END_TEST

START_TEST(a_session_that_has_ended_holds_no_snapshot)
{
    redisContext *client = dial(), *other = dial();
    const char *session = attach(client, 0, NEW);

    attach(other, 1, session);
    ck_assert_int_eq(*ask(other, "STEM.SNAPSHOT"), '"');
    assert_answer("+OK", client, "STEM.DETACH");
    ck_assert_int_eq(figure(other, "snapshots"), 0);
    assert_answer("-NOSESSION the session has ended", other, "STEM.SNAPSHOT");
    ck_assert_int_eq(figure(other, "snapshots"), 0);
    attach(other, 0, NEW);
    ck_assert_int_eq(*ask(other, "STEM.SNAPSHOT"), '"');
    redisFree(client);
    redisFree(other);
}
END_TEST

/* ---- Servers over one database ---------------------------------------------------- */

START_TEST(a_session_goes_on_at_another_server)
{
    stem_server *first = server;
    redisContext *client = dial();
    server = serve(db, NULL);
    redisContext *other = dial();
    const char *session = attach(client, 0, NEW);

    assert_answer("+OK", client, "STEM.COMMIT 1 - PUT a \x01");
    attach(other, 0, session);
    assert_ok(stem_put(db, "a", 7));
    assert_answer("+OK", other, "STEM.COMMIT 1 - PUT a \x01"); /* which it was */
    assert_contents(db, "a=7");
    assert_answer("+OK", other, "STEM.COMMIT 2 - PUT a \x02");
    assert_contents(db, "a=2");
    assert_answer("-ERR number is smaller than the last of its slot", client,
                  "STEM.COMMIT 1 - PUT a \x01");
    redisFree(client);
    redisFree(other);
    assert_ok(stem_server_close(first));
}
END_TEST

START_TEST(a_session_that_another_server_has_ended_is_gone)
{
    stem_server *first = server;
    redisContext *client = dial();
    server = serve(db, NULL);
    redisContext *other = dial();
    const char *session = attach(client, 0, NEW);

    attach(other, 1, session);
    assert_answer("+OK", other, "STEM.DETACH");
    assert_answer("-NOSESSION the session has ended", client,
                  "STEM.COMMIT 1 - PUT a \x01");
    assert_answer("-NOSESSION", client, "STEM.ATTACH 1 0 %s", session);
    assert_contents(db, "");
    redisFree(client);
    redisFree(other);
    assert_ok(stem_server_close(first));
}
END_TEST

START_TEST(a_server_of_what_another_serves_has_no_sessions)
{
    stem_server *first = server;
    stem_db *remote, *client;
    const char *end = "connect to that one";

    assert_ok(stem_open(&remote, served_at(), NULL));
    server = serve(remote, NULL);
    assert_failure(stem_open(&client, served_at(), NULL), STEM_ENOTSUP);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), end));
    redisContext *other = dial();
    ck_assert_ptr_nonnull(strstr(ask(other, "STEM.ATTACH 1 0 NEW"), end));
    assert_answer("+OK", other, "SET a 1");
    assert_answer("2", other, "INCR a");
    assert_answer("+OK", other, "STEM.COMMIT 0 - PUT b \x01");
    assert_answer("[\"a\" \"b\"]", other, "KEYS *");
    ck_assert_int_eq(*ask(other, "STEM.SNAPSHOT"), '"');
    assert_answer("+OK", other, "STEM.SYNC");
    assert_contents(db, "a=2 b=1");
    redisFree(other);
    assert_ok(stem_server_close(server));
    assert_ok(stem_close(remote));
    server = first;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server sessions");
    TCase *servers = add_case(suite, "servers", 60);
    TCase *end = add_case(suite, "end", 60);

    tcase_add_checked_fixture(end, open_served, close_served);
    tcase_add_test(end, who_has_detached_is_as_before_attaching);
    tcase_add_test(end, what_is_held_between_sessions_is_limited);
    tcase_add_test(end, a_session_that_has_ended_holds_no_snapshot);

    tcase_add_checked_fixture(servers, open_served, close_served);
    tcase_add_test(servers, a_session_goes_on_at_another_server);
    tcase_add_test(servers, a_session_that_another_server_has_ended_is_gone);
    tcase_add_test(servers, a_server_of_what_another_serves_has_no_sessions);
    return run_suite(suite);
}
