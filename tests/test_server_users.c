/*
 * Users of a served database: who gets in, what each sees and may do, and what happens to them
 * when the users file changes.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "place.h"
#include "process.h"
#include "served.h"
#include "users.h"

static stem_db *db;
static stem_server *server;
static const char *users;

static const char all_users[] = "ada " HASH_OF_SECRET " * all\n"
                                "web " HASH_OF_SECRET " apps/web read,write\n"
                                "reader " HASH_OF_SECRET " * read\n"
                                "blind " HASH_OF_SECRET " * write\n"
                                "default " HASH_OF_SECRET " guests read\n";

static void write_users(const char *text)
{
    write_file(users, text);
    ck_assert_int_eq(chmod(users, 0600), 0);
}

static void open_served(void)
{
    db = new_database();
    users = path_in(temp_dir(), "users");
    write_users(all_users);
    server = serve(db, STEM_SERVER_OPTIONS(.users = users));
}

static void close_served(void)
{
    assert_ok(stem_server_close(server));
    assert_ok(stem_close(db));
}

/* ---- Logging in ------------------------------------------------------------------- */

START_TEST(nothing_is_served_before_the_login)
{
    static const char *const commands[] = {
        "GET a",     "SET a 1",  "PING",    "INFO",          "KEYS *",
        "MULTI",     "NONSENSE", "DBSIZE",  "STEM.SNAPSHOT", "CLIENT ID",
        "SELECT 0",  "EXEC",     "WATCH a", "FLUSHDB",       "STEM.ATTACH 1 0 NEW",
        "STEM.SYNC", "COMMAND"};
    redisContext *client = dial();

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        assert_answer("-NOAUTH Authentication required.", client, commands[i]);
    ck_assert_int_eq(strncmp(ask(client, "HELLO 2"), "-NOAUTH", 7), 0);
    redisFree(client);
    assert_contents(db, "");
}
END_TEST

START_TEST(the_right_password_opens_and_no_other_does)
{
    redisContext *client = dial();
    const char *refusal =
        "-WRONGPASS invalid username-password pair or user is disabled.";

    assert_answer(refusal, client, "AUTH ada wrong");
    assert_answer(refusal, client, "AUTH nobody secret");
    assert_answer(refusal, client, "HELLO 2 AUTH ada Secret");
    assert_answer("-NOAUTH Authentication required.", client, "GET a");
    assert_answer("+OK", client, "AUTH ada secret");
    assert_answer("+OK", client, "SET a 1");
    redisFree(client);
    client = dial();
    ck_assert_ptr_nonnull(strstr(ask(client, "HELLO 2 AUTH web secret"), "\"server\""));
    assert_answer("nil", client, "GET a");
    redisFree(client);
    client = dial();
    assert_answer("+OK", client, "AUTH secret");
    assert_answer("nil", client, "GET a");
    redisFree(client);
}
END_TEST

START_TEST(requests_behind_a_login_wait_for_it)
{
    redisContext *client = dial();

    redisAppendCommand(client, "AUTH ada secret");
    redisAppendCommand(client, "SET a 1");
    redisAppendCommand(client, "GET a");
    ck_assert_str_eq(next_answer(client), "+OK");
    ck_assert_str_eq(next_answer(client), "+OK");
    ck_assert_str_eq(next_answer(client), "\"1\"");
    redisFree(client);
}
END_TEST

START_TEST(others_are_served_while_passwords_are_checked)
{
    redisContext *served = dial_as("ada"), *waiting[4];
    int done = 0;

    for (int i = 0; i < 4; i++) {
        waiting[i] = dial();
        redisAppendCommand(waiting[i], "AUTH ada secret");
        redisBufferWrite(waiting[i], &done);
    }
    for (int i = 0; i < 100; i++)
        assert_answer("+PONG", served, "PING");
    for (int i = 0; i < 4; i++) {
        ck_assert_str_eq(next_answer(waiting[i]), "+OK");
        redisFree(waiting[i]);
    }
    redisFree(served);
}
END_TEST

START_TEST(who_fails_too_often_is_refused_unchecked)
{
    int busy = 0;

    assert_ok(stem_server_close(server));
    server = serve(db, STEM_SERVER_OPTIONS(.users = users, .max_failed_logins = 1));
    redisContext *client = dial();
    for (int i = 0; i < 20; i++)
        busy += strncmp(ask(client, "AUTH ada wrong%d", i), "-BUSY", 5) == 0;
    ck_assert_int_gt(busy, 0);
    redisFree(client);
}
END_TEST

START_TEST(a_connection_that_leaves_during_its_login_is_forgotten)
{
    for (int i = 0; i < 3; i++) {
        redisContext *client = dial();
        int done = 0;

        redisAppendCommand(client, "AUTH ada secret");
        redisBufferWrite(client, &done);
        redisFree(client);
    }
    redisFree(dial_as("ada"));
}
END_TEST

START_TEST(who_does_not_log_in_is_closed)
{
    char byte;

    assert_ok(stem_server_close(server));
    server = serve(db, STEM_SERVER_OPTIONS(.users = users, .login_seconds = 1));
    redisContext *client = dial();
    ck_assert_int_eq(recv(client->fd, &byte, 1, 0), 0);
    redisFree(client);
}
END_TEST

START_TEST(before_the_login_requests_are_small)
{
    redisContext *client = dial();
    static char large[100000];

    memset(large, 'x', sizeof large - 1);
    ck_assert_int_eq(strncmp(ask(client, "AUTH ada %s", large), "-ERR Protocol", 13), 0);
    redisFree(client);
}
END_TEST

/* ---- What each sees and may do ---------------------------------------------------- */

START_TEST(a_user_sees_what_is_below_his_scope)
{
    redisContext *ada = dial_as("ada"), *web = dial_as("web");

    assert_answer("+OK", ada, "SET apps/web/a 1");
    assert_answer("+OK", ada, "SET apps/webmail/a 2");
    assert_answer("+OK", ada, "SET secret 3");
    assert_answer("\"1\"", web, "GET a");
    assert_answer("[\"a\"]", web, "KEYS *");
    assert_answer("1", web, "DBSIZE");
    assert_answer("+OK", web, "FLUSHDB");
    assert_answer("nil", web, "GET secret");
    assert_contents(db, "apps/webmail/a=2 secret=3");
    ck_assert_ptr_nonnull(strstr(ask(web, "HELLO 2 SCOPE deeper"), "\"server\""));
    assert_answer("+OK", web, "SET b 4");
    assert_contents(db, "apps/web/deeper/b=4 apps/webmail/a=2 secret=3");
    redisFree(ada);
    redisFree(web);
}
END_TEST

START_TEST(rights_are_asked_for_each_command)
{
    static const char *const asking[] = {"GET a",
                                         "SET a 1 GET",
                                         "STEM.COMMIT 0 - EQUAL a x",
                                         "STEM.COMMIT 0 - ABSENT a",
                                         "STEM.COMMIT 0 - PUT c x EMPTY a z",
                                         "WATCH a"};
    redisContext *reader = dial_as("reader"), *web = dial_as("web"),
                 *ada = dial_as("ada");

    assert_answer("+OK", ada, "SET a 1");
    assert_answer("\"1\"", reader, "GET a");
    assert_answer("-NOPERM this user has no permissions to run the 'set' command", reader,
                  "SET a 2");
    assert_answer("-NOPERM this user has no permissions to run the 'flushdb' command",
                  reader, "FLUSHDB");
    assert_answer("+OK", reader, "MULTI");
    ck_assert_int_eq(strncmp(ask(reader, "INCR a"), "-NOPERM", 7), 0);
    ck_assert_int_eq(strncmp(ask(reader, "EXEC"), "-EXECABORT", 10), 0);
    ck_assert_int_eq(strncmp(ask(web, "STEM.STATS"), "-NOPERM", 7), 0);
    redisContext *blind = dial_as("blind");
    assert_answer("+OK", blind, "STEM.COMMIT 0 - PUT b %s", "\x02");
    for (size_t i = 0; i < sizeof asking / sizeof *asking; i++)
        ck_assert_int_eq(strncmp(ask(blind, asking[i]), "-NOPERM", 7), 0);
    assert_answer("1", blind, "DEL b");
    redisFree(blind);
    ck_assert_ptr_null(strstr(ask(web, "INFO"), "connected_clients"));
    ck_assert_ptr_nonnull(strstr(ask(ada, "INFO"), "connected_clients:3"));
    assert_contents(db, "a=1");
    redisFree(reader);
    redisFree(web);
    redisFree(ada);
}
END_TEST

START_TEST(becoming_somebody_else_leaves_everything_behind)
{
    redisContext *client = dial_as("ada");
    char snapshot[64];

    assert_answer("+OK", client, "SET a 1");
    snprintf(snapshot, sizeof snapshot, "%s", ask(client, "STEM.SNAPSHOT"));
    snapshot[strlen(snapshot) - 1] = '\0';
    assert_answer("+OK", client, "WATCH a");
    assert_answer("+OK", client, "AUTH reader secret");
    assert_answer("-GONE snapshot", client, "STEM.READ %s a", snapshot + 1);
    assert_answer("-ERR EXEC without MULTI", client, "EXEC");
    redisFree(client);
}
END_TEST

/* ---- Reloading -------------------------------------------------------------------- */

START_TEST(a_reload_closes_those_whose_line_has_changed)
{
    redisContext *ada = dial_as("ada"), *web = dial_as("web"),
                 *reader = dial_as("reader");

    write_users("ada " HASH_OF_SECRET " * all\n"
                "web " HASH_OF_SECRET " apps/web read\n"
                "new " HASH_OF_SECRET " * read\n");
    assert_ok(stem_server_reload(server));
    redisFree(dial_as("new"));
    assert_answer("+PONG", ada, "PING");
    assert_answer("gone", web, "PING");
    assert_answer("gone", reader, "PING");
    redisFree(ada);
    redisFree(web);
    redisFree(reader);
}
END_TEST

START_TEST(nothing_of_theirs_is_applied_after_a_reload)
{
    enum { TIMES = 4, COMMANDS = 10000 };
    static const char *const rights[] = {"all", "read,write"};
    stem_db *place = stem_sub(db, "apps", "web");

    assert_ok(stem_put(place, "n", 0));
    for (int time = 0; time < TIMES; time++) {
        redisContext *web = dial_as("web");
        char line[256];
        int64_t then, later;
        int done = 0;

        for (int i = 0; i < COMMANDS; i++)
            redisAppendCommand(web, "INCR n");
        while (!done)
            redisBufferWrite(web, &done);
        snprintf(line, sizeof line, "web " HASH_OF_SECRET " apps/web %s\n",
                 rights[time % 2]);
        write_users(line);
        assert_ok(stem_server_reload(server));
        assert_ok(stem_get_int(place, "n", &then));
        while (strcmp(next_answer(web), "gone") != 0)
            continue;
        assert_ok(stem_get_int(place, "n", &later));
        ck_assert_int_eq(later, then);
        redisFree(web);
    }
    stem_close(place);
}
END_TEST

START_TEST(a_damaged_file_changes_nothing)
{
    redisContext *ada = dial_as("ada");

    write_users("ada nonsense\n");
    assert_failure(stem_server_reload(server), STEM_ECORRUPT);
    assert_answer("+PONG", ada, "PING");
    redisFree(dial_as("web"));
    redisFree(ada);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server users");
    TCase *login = add_case(suite, "login", 60), *rights = add_case(suite, "rights", 60),
          *reload = add_case(suite, "reload", 60);

    tcase_add_checked_fixture(login, open_served, close_served);
    tcase_add_test(login, nothing_is_served_before_the_login);
    tcase_add_test(login, the_right_password_opens_and_no_other_does);
    tcase_add_test(login, requests_behind_a_login_wait_for_it);
    tcase_add_test(login, others_are_served_while_passwords_are_checked);
    tcase_add_test(login, who_fails_too_often_is_refused_unchecked);
    tcase_add_test(login, a_connection_that_leaves_during_its_login_is_forgotten);
    tcase_add_test(login, who_does_not_log_in_is_closed);
    tcase_add_test(login, before_the_login_requests_are_small);

    tcase_add_checked_fixture(rights, open_served, close_served);
    tcase_add_test(rights, a_user_sees_what_is_below_his_scope);
    tcase_add_test(rights, rights_are_asked_for_each_command);
    tcase_add_test(rights, becoming_somebody_else_leaves_everything_behind);

    tcase_add_checked_fixture(reload, open_served, close_served);
    tcase_add_test(reload, a_reload_closes_those_whose_line_has_changed);
    tcase_add_test(reload, nothing_of_theirs_is_applied_after_a_reload);
    tcase_add_test(reload, a_damaged_file_changes_nothing);
    return run_suite(suite);
}
