/*
 * Many logins of a served database at once: all get in, in turns, and logins that fail delay no
 * others.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "buffer.h"
#include "clock.h"
#include "place.h"
#include "process.h"
#include "served.h"
#include "users.h"

enum { N_USERS = 30 };

static stem_db *db;
static stem_server *server;
static const char *users;

/* ada, and u0 to u29: each is checked for itself. */
static void write_users(void)
{
    stem_buffer text = {0};
    char line[256];

    stem_buffer_add_text(&text, "ada " HASH_OF_SECRET " * all\n");
    for (int i = 0; i < N_USERS; i++) {
        snprintf(line, sizeof line, "u%d " HASH_OF_SECRET " * read,write\n", i);
        stem_buffer_add_text(&text, line);
    }
    stem_buffer_add(&text, "", 1);
    users = path_in(temp_dir(), "users");
    write_file(users, text.data);
    ck_assert_int_eq(chmod(users, 0600), 0);
    free(text.data);
}

static void open_served_within(size_t login_seconds)
{
    char unix_address[256];
    const char *listen[] = {unix_address, "tcp://127.0.0.1:0", NULL};

    snprintf(unix_address, sizeof unix_address, "unix:%s", path_in(temp_dir(), "socket"));
    server = serve(db, STEM_SERVER_OPTIONS(.users = users, .listen = listen,
                                           .login_seconds = login_seconds));
}

static void open_served(void)
{
    signal(SIGPIPE, SIG_IGN); /* hiredis would let it through */
    db = new_database();
    write_users();
    open_served_within(0);
}

static void close_served(void)
{
    assert_ok(stem_server_close(server));
    assert_ok(stem_close(db));
}

static redisContext *dial_unix(void)
{
    redisContext *client =
        redisConnectUnix(stem_server_address(server, 0) + strlen("unix:"));

    ck_assert_msg(client && client->err == 0, "cannot connect");
    return client;
}

/* From an address of the loopback network: each is a peer for itself. */
static redisContext *dial_from(const char *address)
{
    const char *port = strrchr(stem_server_address(server, 1), ':') + 1;
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_port = htons((uint16_t)atoi(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(inet_pton(AF_INET, address, &from.sin_addr), 1);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&from, sizeof from), 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    redisContext *client = redisConnectFd(fd);
    ck_assert_ptr_nonnull(client);
    return client;
}

static void send_all(redisContext *client)
{
    int done = 0;

    while (!done)
        ck_assert_int_eq(redisBufferWrite(client, &done), REDIS_OK);
}

/* ---- All get in ------------------------------------------------------------------- */

/* By AUTH and by HELLO, with requests behind that wait for it; over a Unix socket, or TCP. */
START_TEST(all_connections_of_a_user_log_in_at_once)
{
    enum { MANY = 100 };
    redisContext *clients[MANY];

    for (int i = 0; i < MANY; i++) {
        clients[i] = _i == 0 ? dial_unix() : dial_from("127.0.0.1");
        redisAppendCommand(clients[i],
                           i % 2 ? "AUTH ada secret" : "HELLO 2 AUTH ada secret");
        redisAppendCommand(clients[i], "SET k%d %d", i, i);
        redisAppendCommand(clients[i], "GET k%d", i);
        redisAppendCommand(clients[i], "PING");
        send_all(clients[i]);
    }
    for (int i = 0; i < MANY; i++) {
        char expected[16];

        snprintf(expected, sizeof expected, "\"%d\"", i);
        const char *answer = next_answer(clients[i]);
        ck_assert_msg(*answer == (i % 2 ? '+' : '['), "%s", answer);
        ck_assert_str_eq(next_answer(clients[i]), "+OK");
        ck_assert_str_eq(next_answer(clients[i]), expected);
        ck_assert_str_eq(next_answer(clients[i]), "+PONG");
        redisFree(clients[i]);
    }
}
END_TEST

/* The last waits for longer than a connection has to log in. */
START_TEST(a_login_that_waits_its_turn_is_not_too_late)
{
    redisContext *clients[N_USERS];

    assert_ok(stem_server_close(server));
    open_served_within(1);
    for (int i = 0; i < N_USERS; i++) {
        clients[i] = dial_unix();
        redisAppendCommand(clients[i], "AUTH u%d secret", i);
        redisAppendCommand(clients[i], "GET k");
        send_all(clients[i]);
    }
    for (int i = 0; i < N_USERS; i++) {
        ck_assert_str_eq(next_answer(clients[i]), "+OK");
        ck_assert_str_eq(next_answer(clients[i]), "nil");
        redisFree(clients[i]);
    }
}
END_TEST

START_TEST(wrong_passwords_among_right_ones_are_refused_alone)
{
    enum { MANY = 40, WRONG = 4 };
    redisContext *clients[MANY];

    for (int i = 0; i < MANY; i++) {
        clients[i] = dial_unix();
        redisAppendCommand(clients[i], "AUTH ada %s",
                           i % (MANY / WRONG) == 3 ? "wrong" : "secret");
        redisAppendCommand(clients[i], "PING");
        send_all(clients[i]);
    }
    for (int i = 0; i < MANY; i++) {
        const bool is_wrong = i % (MANY / WRONG) == 3;

        ck_assert_int_eq(strncmp(next_answer(clients[i]), is_wrong ? "-WRONGPASS" : "+OK",
                                 is_wrong ? 10 : 3),
                         0);
        ck_assert_str_eq(next_answer(clients[i]),
                         is_wrong ? "-NOAUTH Authentication required." : "+PONG");
        redisFree(clients[i]);
    }
}
END_TEST

/* ---- Those that fail -------------------------------------------------------------- */

START_TEST(of_many_wrong_passwords_at_once_few_are_checked)
{
    enum { MANY = 100, ALLOWED = 5 };
    redisContext *clients[MANY];
    int n_checked = 0, n_refused = 0;

    const uint64_t before = stem_clock();
    for (int i = 0; i < MANY; i++) {
        clients[i] = dial_unix();
        redisAppendCommand(clients[i], "AUTH ada wrong%d", i);
        send_all(clients[i]);
    }
    for (int i = 0; i < MANY; i++) {
        const char *answer = next_answer(clients[i]);

        n_checked += strncmp(answer, "-WRONGPASS", 10) == 0;
        n_refused += strncmp(answer, "-BUSY too many failed logins", 28) == 0;
        redisFree(clients[i]);
    }
    const uint64_t seconds = (stem_clock() - before) / STEM_SECOND;
    ck_assert_int_eq(n_checked + n_refused, MANY);
    ck_assert_int_ge(n_checked, ALLOWED);
    ck_assert_int_le(n_checked, (int)(ALLOWED * (seconds + 2)));
}
END_TEST

START_TEST(wrong_passwords_from_many_addresses_keep_no_right_one_out)
{
    enum { ADDRESSES = 20, EACH = 10, RIGHT = 10 };
    redisContext *flood[ADDRESSES * EACH], *right[RIGHT];
    char address[32];

    for (int i = 0; i < ADDRESSES * EACH; i++) {
        snprintf(address, sizeof address, "127.0.1.%d", 1 + i % ADDRESSES);
        flood[i] = dial_from(address);
        for (int k = 0; k < 20; k++)
            redisAppendCommand(flood[i], "AUTH ada wrong%d-%d", i, k);
        send_all(flood[i]);
    }
    for (int i = 0; i < RIGHT; i++) {
        right[i] = dial_from("127.0.0.1");
        redisAppendCommand(right[i], "AUTH u%d secret", i);
        send_all(right[i]);
    }
    for (int i = 0; i < RIGHT; i++) {
        ck_assert_str_eq(next_answer(right[i]), "+OK");
        redisFree(right[i]);
    }
    for (int i = 0; i < ADDRESSES * EACH; i++)
        redisFree(flood[i]);
}
END_TEST

/* ---- Those that leave ------------------------------------------------------------- */

static uint64_t log_in_once(const char *name)
{
    const uint64_t before = stem_clock();
    redisContext *client = dial_unix();

    assert_answer("+OK", client, "AUTH %s secret", name);
    redisFree(client);
    return stem_clock() - before;
}

START_TEST(clients_that_hang_up_while_they_wait_hold_up_nobody)
{
    redisContext *clients[N_USERS];

    const uint64_t one = log_in_once("ada");
    for (int i = 0; i < N_USERS; i++) {
        clients[i] = dial_unix();
        redisAppendCommand(clients[i], "AUTH u%d secret", i);
        send_all(clients[i]);
    }
    for (int i = 0; i < N_USERS; i++)
        redisFree(clients[i]);
    ck_assert_uint_lt(log_in_once("ada"), N_USERS / 2 * one);
}
END_TEST

/* One that has only ended its half, with requests behind its login, is answered. */
START_TEST(requests_behind_a_login_are_answered_to_a_client_that_sends_no_more)
{
    redisContext *first = dial_unix(), *client = dial_unix();

    redisAppendCommand(first, "AUTH u0 secret");
    send_all(first);
    redisAppendCommand(client, "AUTH ada secret");
    redisAppendCommand(client, "SET a 1");
    redisAppendCommand(client, "GET a");
    send_all(client);
    ck_assert_int_eq(shutdown(client->fd, SHUT_WR), 0);
    ck_assert_str_eq(next_answer(first), "+OK");
    ck_assert_str_eq(next_answer(client), "+OK");
    ck_assert_str_eq(next_answer(client), "+OK");
    ck_assert_str_eq(next_answer(client), "\"1\"");
    ck_assert_str_eq(next_answer(client), "gone");
    redisFree(first);
    redisFree(client);
}
END_TEST

START_TEST(a_server_ends_while_logins_wait)
{
    redisContext *clients[N_USERS];

    for (int i = 0; i < N_USERS; i++) {
        clients[i] = dial_unix();
        redisAppendCommand(clients[i], "AUTH u%d secret", i);
        send_all(clients[i]);
    }
    assert_ok(stem_server_close(server));
    for (int i = 0; i < N_USERS; i++) {
        const char *answer = next_answer(clients[i]);

        ck_assert_msg(strcmp(answer, "+OK") == 0 || strcmp(answer, "gone") == 0, "%s",
                      answer);
        redisFree(clients[i]);
    }
    open_served_within(0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server logins");
    TCase *all = add_case(suite, "all get in", 60), *fail = add_case(suite, "fail", 60),
          *leave = add_case(suite, "leave", 60);

    tcase_add_checked_fixture(all, open_served, close_served);
    tcase_add_loop_test(all, all_connections_of_a_user_log_in_at_once, 0, 2);
    tcase_add_test(all, a_login_that_waits_its_turn_is_not_too_late);
    tcase_add_test(all, wrong_passwords_among_right_ones_are_refused_alone);

    tcase_add_checked_fixture(fail, open_served, close_served);
    tcase_add_test(fail, of_many_wrong_passwords_at_once_few_are_checked);
    tcase_add_test(fail, wrong_passwords_from_many_addresses_keep_no_right_one_out);

    tcase_add_checked_fixture(leave, open_served, close_served);
    tcase_add_test(leave, clients_that_hang_up_while_they_wait_hold_up_nobody);
    tcase_add_test(leave,
                   requests_behind_a_login_are_answered_to_a_client_that_sends_no_more);
    tcase_add_test(leave, a_server_ends_while_logins_wait);
    return run_suite(suite);
}
