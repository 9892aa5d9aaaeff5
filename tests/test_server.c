/*
 * A served database: what clients see of it and of each other, how it begins and ends, and
 * what it bears.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "place.h"
#include "process.h"
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

/* ---- One client ------------------------------------------------------------------- */

START_TEST(what_a_client_sets_the_application_reads)
{
    redisContext *client = dial();
    int64_t n;
    char *text;

    assert_answer("+OK", client, "SET users/42/logins 7");
    assert_answer("+OK", client, "SET users/42/name %s", "Ada");
    stem_db *user = stem_sub(db, "users", "42");
    assert_ok(stem_get_int(user, "logins", &n));
    assert_ok(stem_get_str(user, "name", &text, NULL));
    ck_assert_int_eq(n, 7);
    ck_assert_str_eq(text, "Ada");
    stem_free(text);
    stem_close(user);
    redisFree(client);
}
END_TEST

START_TEST(what_the_application_puts_a_client_gets)
{
    redisContext *client = dial();

    assert_ok(stem_put(db, "n", 41));
    assert_answer("\"41\"", client, "GET n");
    assert_answer("42", client, "INCR n");
    assert_answer("nil", client, "GET absent");
    redisFree(client);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
    enum { N = 10000 };
    redisContext *client = dial();
    char expected[32];

    for (int i = 0; i < N; i++) {
        redisAppendCommand(client, "SET key:%d %d", i % 10, i);
        redisAppendCommand(client, "GET key:%d", i % 10);
        redisAppendCommand(client, "PING");
        redisAppendCommand(client, "INCR n");
    }
    for (int i = 0; i < N; i++) {
        ck_assert_str_eq(next_answer(client), "+OK");
        snprintf(expected, sizeof expected, "\"%d\"", i);
        ck_assert_str_eq(next_answer(client), expected);
        ck_assert_str_eq(next_answer(client), "+PONG");
        snprintf(expected, sizeof expected, "%d", i + 1);
        ck_assert_str_eq(next_answer(client), expected);
    }
    redisFree(client);
}
END_TEST

START_TEST(an_error_between_writes_has_its_place)
{
    redisContext *client = dial();

    redisAppendCommand(client, "SET a 1");
    redisAppendCommand(client, "NONSENSE");
    redisAppendCommand(client, "GET");
    redisAppendCommand(client, "CLIENT GETNAME");
    redisAppendCommand(client, "INCR a");
    ck_assert_str_eq(next_answer(client), "+OK");
    ck_assert_str_eq(next_answer(client),
                     "-ERR unknown command 'NONSENSE', with args beginning with: ");
    ck_assert_str_eq(next_answer(client),
                     "-ERR wrong number of arguments for 'get' command");
    ck_assert_str_eq(next_answer(client), "nil");
    ck_assert_str_eq(next_answer(client), "2");
    redisFree(client);
}
END_TEST

START_TEST(a_large_value_goes_both_ways)
{
    enum { LEN = 20 << 20 };
    redisContext *client = dial();
    char *value = malloc(LEN);

    for (size_t i = 0; i < LEN; i++)
        value[i] = (char)(i * 7 + i / 251);
    assert_answer("+OK", client, "SET large %b", value, (size_t)LEN);
    redisReply *reply = redisCommand(client, "GET large");
    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_eq(reply->len, LEN);
    ck_assert_mem_eq(reply->str, value, LEN);
    freeReplyObject(reply);
    free(value);
    redisFree(client);
}
END_TEST

START_TEST(what_no_request_carries_a_client_refuses_before_it_is_sent)
{
    const size_t most = 1 << 20;
    stem_db *client;

    assert_ok(stem_server_close(server));
    server = serve(db, STEM_SERVER_OPTIONS(.max_request_bytes = most));
    assert_ok(stem_open(&client, served_at(), NULL));
    char *bytes = calloc(1, most);
    assert_failure(stem_put_value(client, "a", stem_bin(bytes, most)), STEM_EINVAL);
    assert_ok(stem_put_value(client, "b", stem_bin(bytes, most - 2048)));
    assert_contents(db, "b=<bin>");
    free(bytes);
    assert_ok(stem_close(client));
}
END_TEST

/* Many small writes take more words, and more around them, than their bytes tell. */
START_TEST(a_commit_of_too_many_writes_for_a_request_is_refused_before_it_is_sent)
{
    enum { MANY = 1 << 19, SOME = 40000 };
    const size_t least_request = 1 << 20;
    stem_db *client;
    char name[16];

    assert_ok(stem_server_close(server));
    server =
        serve(db, STEM_SERVER_OPTIONS(.max_request_bytes = _i == 0 ? 0 : least_request));
    assert_ok(stem_open(&client, served_at(), NULL));
    stem_batch *batch = stem_batch_new(client);
    for (int i = 0; i < (_i == 0 ? MANY : SOME); i++) {
        snprintf(name, sizeof name, "k%d", i);
        assert_ok(stem_batch_put(batch, client, name, 1));
    }
    assert_failure(stem_batch_commit(batch, false), STEM_EINVAL);
    assert_contents(db, "");
    assert_ok(stem_put(client, "a", 1));
    stem_batch_free(batch);
    assert_ok(stem_close(client));
}
END_TEST

START_TEST(hello_tells_who_serves_and_changes_the_version)
{
    redisContext *client = dial();

    ck_assert_ptr_nonnull(strstr(ask(client, "HELLO 2"), "\"proto\" 2"));
    assert_answer("-NOPROTO unsupported protocol version", client, "HELLO 4");
    assert_answer("+OK", client, "CLIENT SETNAME tester");
    assert_answer("\"tester\"", client, "CLIENT GETNAME");
    assert_answer("+OK", client, "SELECT 0");
    assert_answer("-ERR DB index is out of range", client, "SELECT 1");
    ck_assert_ptr_nonnull(strstr(ask(client, "INFO"), "connected_clients:1"));
    redisFree(client);
}
END_TEST

START_TEST(a_scope_in_hello_narrows_and_is_not_left_again)
{
    redisContext *client = dial();

    assert_ok(stem_put(db, "outside", 1));
    ck_assert_ptr_nonnull(strstr(ask(client, "HELLO 2 SCOPE a/b"), "\"server\""));
    assert_answer("+OK", client, "SET key 5");
    assert_answer("nil", client, "GET outside");
    assert_answer("1", client, "DBSIZE");
    assert_contents(db, "a/b/key=5 outside=1");
    assert_answer("-INVALID the scope is no canonical path", client, "HELLO 2 SCOPE /a");
    assert_answer("-INVALID the scope is no canonical path", client,
                  "HELLO 2 SCOPE \\x41");
    ck_assert_ptr_nonnull(strstr(ask(client, "HELLO 2 SCOPE c"), "\"server\""));
    assert_answer("nil", client, "GET key");
    ck_assert_ptr_nonnull(
        strstr(ask(client, "HELLO 2 SCOPE %b", "", (size_t)0), "\"server\""));
    assert_answer("0", client, "DBSIZE");
    redisFree(client);
}
END_TEST

/* ---- Transactions ----------------------------------------------------------------- */

START_TEST(a_transaction_is_applied_as_one)
{
    redisContext *client = dial(), *other = dial();

    assert_answer("+OK", client, "MULTI");
    assert_answer("+QUEUED", client, "SET a 1");
    assert_answer("+QUEUED", client, "INCR a");
    assert_answer("+QUEUED", client, "GET a");
    assert_answer("nil", other, "GET a");
    assert_answer("[+OK 2 \"2\"]", client, "EXEC");
    assert_answer("\"2\"", other, "GET a");
    assert_answer("-ERR EXEC without MULTI", client, "EXEC");
    redisFree(client);
    redisFree(other);
}
END_TEST

START_TEST(an_error_in_a_transaction_is_its_own_commands)
{
    redisContext *client = dial();

    assert_answer("+OK", client, "SET s text");
    assert_answer("+OK", client, "MULTI");
    assert_answer("+QUEUED", client, "INCR s");
    assert_answer("+QUEUED", client, "SET b 1");
    assert_answer("[-ERR value is not an integer or out of range +OK]", client, "EXEC");
    assert_answer("+OK", client, "MULTI");
    assert_answer("-ERR unknown command 'NONSENSE', with args beginning with: 'a' ",
                  client, "NONSENSE a");
    assert_answer("-EXECABORT Transaction discarded because of previous errors.", client,
                  "EXEC");
    assert_answer("+OK", client, "MULTI");
    assert_answer("+QUEUED", client, "SET b 2");
    assert_answer("+OK", client, "DISCARD");
    assert_answer("\"1\"", client, "GET b");
    redisFree(client);
}
END_TEST

START_TEST(a_watched_key_that_changes_gives_the_transaction_up)
{
    redisContext *client = dial();

    assert_answer("+OK", client, "WATCH a b");
    assert_ok(stem_put(db, "a", 1));
    assert_answer("+OK", client, "MULTI");
    assert_answer("+QUEUED", client, "SET c 1");
    assert_answer("nil", client, "EXEC");
    assert_answer("nil", client, "GET c");
    assert_answer("+OK", client, "WATCH a");
    assert_answer("+OK", client, "MULTI");
    assert_answer("+QUEUED", client, "INCR a");
    assert_answer("[2]", client, "EXEC");
    assert_answer("+OK", client, "WATCH a");
    assert_ok(stem_put(db, "a", 7));
    assert_answer("+OK", client, "UNWATCH");
    assert_answer("+OK", client, "MULTI");
    assert_answer("+QUEUED", client, "INCR a");
    assert_answer("[8]", client, "EXEC");
    redisFree(client);
}
END_TEST

/* ---- Many at once ----------------------------------------------------------------- */

enum { THREADS = 8, EACH = 2000 };

static void *increment(void *unused)
{
    redisContext *client = dial();

    (void)unused;
    for (int i = 0; i < EACH; i++)
        redisAppendCommand(client, "INCR shared");
    for (int i = 0; i < EACH; i++)
        must(*next_answer(client) != '-');
    redisFree(client);
    return NULL;
}

START_TEST(increments_of_clients_and_of_the_application_are_all_counted)
{
    pthread_t threads[4];
    int64_t n;

    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, increment, NULL);
    for (int i = 0; i < EACH; i++)
        assert_ok(stem_incr(db, "shared", 1, 0, NULL));
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_ok(stem_get_int(db, "shared", &n));
    ck_assert_int_eq(n, 5 * EACH);
}
END_TEST

/* ---- What it bears ---------------------------------------------------------------- */

static int raw_connection(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strncpy(address.sun_path, socket_path(), sizeof address.sun_path - 1);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* All that the server sends before it hangs up. */
static void assert_hangs_up(int fd, const char *expected)
{
    char text[512];
    size_t len = 0;
    ssize_t n;

    while ((n = recv(fd, text + len, sizeof text - 1 - len, 0)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    ck_assert_str_eq(text, expected);
    close(fd);
}

START_TEST(garbage_ends_its_connection_alone)
{
    static const struct {
        const char *bytes, *answer;
    } cases[] = {
        {"*1000000000000\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
        {"*1\r\n:4\r\n", NULL},
        {"*1\r\n$99999999999999999999\r\n",
         "-ERR Protocol error: invalid bulk length\r\n"},
        {"*2\r\n$3\r\nGET\r\n$99999999999\r\n",
         "-ERR Protocol error: invalid bulk length\r\n"},
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", ""},
        {"POST / HTTP/1.1\r\n", ""},
        {"PING \"unbalanced\r\n",
         "-ERR Protocol error: unbalanced quotes in request\r\n"},
    };
    redisContext *client = dial();

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int fd = raw_connection();
        const size_t len = strlen(cases[i].bytes);

        ck_assert_int_eq(send(fd, cases[i].bytes, len, MSG_NOSIGNAL), (ssize_t)len);
        if (cases[i].answer)
            assert_hangs_up(fd, cases[i].answer);
        else
            close(fd);
        assert_answer("+PONG", client, "PING");
    }
    redisFree(client);
}
END_TEST

START_TEST(a_client_that_does_not_read_is_not_served_on)
{
    enum { LEN = 1 << 20, N = 2000 };
    const int fd = raw_connection();
    redisContext *client = dial();
    char *value = calloc(1, LEN);
    struct rusage before, after;

    assert_answer("+OK", client, "SET large %b", value, (size_t)LEN);
    getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < N; i++)
        if (send(fd, "GET large\r\n", 11, MSG_NOSIGNAL | MSG_DONTWAIT) != 11)
            break;
    for (int i = 0; i < 200; i++)
        assert_answer("+PONG", client, "PING");
    getrusage(RUSAGE_SELF, &after);
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 64 << 10); /* KiB */
    close(fd);
    free(value);
    redisFree(client);
}
END_TEST

START_TEST(a_server_that_closes_finishes_what_it_has_accepted)
{
    enum { N = 5000 };
    redisContext *client = dial();
    int done = 0, answered = 0;

    for (int i = 0; i < N; i++)
        redisAppendCommand(client, "INCR n");
    while (!done)
        redisBufferWrite(client, &done);
    redisContext *other = dial();
    assert_answer("+PONG", other, "PING");
    redisFree(other);
    assert_ok(stem_server_close(server));
    server = NULL;
    while (strcmp(next_answer(client), "gone") != 0)
        answered++;
    int64_t n;
    assert_ok(stem_get_int(db, "n", &n));
    ck_assert_int_eq(n, answered);
    ck_assert_int_gt(answered, 0);
    ck_assert_int_ne(access(socket_path(), F_OK), 0);
    redisFree(client);
}
END_TEST

START_TEST(the_last_client_too_many_is_turned_away)
{
    redisContext *clients[3];

    assert_ok(stem_server_close(server));
    server = serve(db, STEM_SERVER_OPTIONS(.max_clients = 3));
    for (int i = 0; i < 3; i++) {
        clients[i] = dial();
        assert_answer("+PONG", clients[i], "PING");
    }
    assert_hangs_up(raw_connection(), "-ERR max number of clients reached\r\n");
    redisFree(clients[0]);
    for (int tries = 0; tries < 100; tries++) {
        redisContext *another = dial();
        const bool is_served = strcmp(ask(another, "PING"), "+PONG") == 0;

        redisFree(another);
        if (is_served)
            break;
        ck_assert_int_lt(tries, 99);
        usleep(10000);
    }
    redisFree(clients[1]);
    redisFree(clients[2]);
}
END_TEST

START_TEST(a_silent_connection_is_closed)
{
    assert_ok(stem_server_close(server));
    server = serve(db, STEM_SERVER_OPTIONS(.idle_seconds = 1));
    redisContext *client = dial();

    assert_answer("+PONG", client, "PING");
    sleep(2);
    char byte;
    ck_assert_int_eq(recv(client->fd, &byte, 1, 0), 0);
    redisFree(client);
}
END_TEST

/* ---- Listening -------------------------------------------------------------------- */

START_TEST(a_socket_is_for_its_owner_alone_and_replaced_when_nobody_listens)
{
    struct stat status;
    const char *listen[] = {served_at(), NULL};
    stem_server *another = NULL;

    ck_assert_int_eq(stat(socket_path(), &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    assert_failure(stem_server_open(&another, db, STEM_SERVER_OPTIONS(.listen = listen)),
                   STEM_ELOCKED);
    assert_ok(stem_server_close(server));
    /* What a killed server leaves. */
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, socket_path(), sizeof address.sun_path - 1);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    server = serve(db, NULL);
    redisContext *client = dial();
    assert_answer("+PONG", client, "PING");
    redisFree(client);
}
END_TEST

START_TEST(addresses_that_cannot_be_are_refused)
{
    static const struct {
        const char *where;
        int code;
    } cases[] = {
        {"nowhere", STEM_EINVAL},
        {"unix:", STEM_EINVAL},
        {"unix:/no/such/directory/socket", STEM_EIO},
        {"unix:/etc/passwd", STEM_EIO},
        {"tcp://", STEM_EINVAL},
        {"tcp://127.0.0.1", STEM_EINVAL},
        {"tcp://127.0.0.1:0", STEM_EINVAL}, /* without users */
        {"tcp://0.0.0.0:0", STEM_EINVAL},   /* nor TLS */
        {"tcp://no.such.host.invalid:1", STEM_EINVAL},
    };
    stem_server *another;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *listen[] = {cases[i].where, NULL};

        assert_failure(
            stem_server_open(&another, db, STEM_SERVER_OPTIONS(.listen = listen)),
            cases[i].code);
    }
    assert_failure(stem_server_open(&another, db, NULL), STEM_EINVAL);
    assert_failure(stem_server_open(&another, NULL, NULL), STEM_EINVAL);
}
END_TEST

START_TEST(a_port_that_is_none_is_no_other_port)
{
    static const char *const ports[] = {"65536", "99999", "4295032831", "-1",
                                        "+80",   " 80",   "redis",      "0x50"};
    const char *any[] = {"tcp://127.0.0.1:0", NULL};

    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        char tcp[64];
        const char *listen[] = {tcp, NULL};
        const stem_server_options options[] = {
            {.listen = listen, .insecure = true},
            {.listen = any, .insecure = true, .metrics = tcp + strlen("tcp://")},
        };

        snprintf(tcp, sizeof tcp, "tcp://127.0.0.1:%s", ports[i]);
        for (size_t k = 0; k < sizeof options / sizeof *options; k++) {
            stem_server *another;

            assert_failure(stem_server_open(&another, db, &options[k]), STEM_EINVAL);
            ck_assert_ptr_nonnull(strstr(stem_errmsg(), "is no port from 0 to 65535"));
        }
    }
}
END_TEST

START_TEST(tcp_works_when_insecurity_is_spelt_out)
{
    const char *listen[] = {"tcp://127.0.0.1:0", NULL};
    stem_server *another;
    int port = 0;

    assert_ok(stem_server_open(&another, db,
                               STEM_SERVER_OPTIONS(.listen = listen, .insecure = true)));
    ck_assert_int_eq(sscanf(stem_server_address(another, 0), "tcp://127.0.0.1:%d", &port),
                     1);
    ck_assert_int_gt(port, 0);
    redisContext *client = redisConnect("127.0.0.1", port);
    assert_answer("+OK", client, "SET a 1");
    redisFree(client);
    assert_ok(stem_server_close(another));
    assert_contents(db, "a=1");
}
END_TEST

START_TEST(a_sub_database_is_served_as_if_it_were_all)
{
    stem_db *sub = stem_sub(db, "inner");

    assert_ok(stem_put(db, "secret", 1));
    assert_ok(stem_server_close(server));
    server = serve(sub, NULL);
    stem_close(sub);
    redisContext *client = dial();
    assert_answer("+OK", client, "SET a 1");
    assert_answer("nil", client, "GET secret");
    assert_answer("[\"a\"]", client, "KEYS *");
    assert_contents(db, "inner/a=1 secret=1");
    redisFree(client);
}
END_TEST

START_TEST(a_handle_that_only_reads_serves_no_writes)
{
    stem_db *only = stem_read_only(db);

    assert_ok(stem_put(db, "a", 1));
    assert_ok(stem_server_close(server));
    server = serve(only, NULL);
    stem_close(only);
    redisContext *client = dial();
    assert_answer("\"1\"", client, "GET a");
    assert_answer("-READONLY the database is open for reading only", client, "SET a 2");
    redisFree(client);
}
END_TEST

START_TEST(what_a_client_has_read_and_flushed_is_written)
{
    stem_statistics stats;
    stem_db *client;
    int64_t n;

    assert_ok(stem_open(&db, path_in(temp_dir(), "lazy"),
                        STEM_OPTIONS(.writeback_bytes = 1 << 20, .writeback_ms = 60000)));
    server = serve(db, NULL);
    assert_ok(stem_open(&client, served_at(), NULL));
    assert_ok(stem_put(db, "k", 1));
    assert_ok(stem_get_int(client, "k", &n));
    assert_ok(stem_stats(db, &stats));
    ck_assert_uint_gt(stats.dirty_bytes, 0);
    assert_ok(stem_flush(client));
    assert_ok(stem_stats(db, &stats));
    ck_assert_uint_eq(stats.dirty_bytes, 0);
    assert_ok(stem_close(client));
    close_served();
}
END_TEST

START_TEST(a_client_closes_whether_or_not_there_is_a_server)
{
    stem_db *client, *frozen;

    open_served();
    assert_ok(stem_open(&client, served_at(), STEM_OPTIONS(.timeout_ms = 500)));
    frozen = stem_snapshot(client);
    assert_ok(stem_close(client));
    assert_ok(stem_server_close(server));
    assert_failure(stem_flush(frozen), STEM_EIO);
    assert_ok(stem_close(frozen));
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_child_closes_its_copies_of_the_servers_sockets)
{
    const pid_t child = fork();

    if (child == 0) {
        for (;;)
            pause();
    }
    assert_ok(stem_server_close(server));
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, socket_path(), sizeof address.sun_path - 1);
    ck_assert_int_ne(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    kill(child, SIGKILL);
    assert_child_killed(child, SIGKILL);
    server = serve(db, NULL);
}
END_TEST

/* How many descriptors of this process lead to an eventfd. */
static int count_events(void)
{
    DIR *listing = opendir("/proc/self/fd");
    struct dirent *entry;
    char target[64];
    int n = 0;

    while ((entry = readdir(listing)) != NULL) {
        const ssize_t len =
            readlinkat(dirfd(listing), entry->d_name, target, sizeof target - 1);

        target[len > 0 ? len : 0] = '\0';
        n += strcmp(target, "anon_inode:[eventfd]") == 0;
    }
    closedir(listing);
    return n;
}

static void use_inherited(void *unused)
{
    (void)unused;
    must_be(stem_server_reload(server), STEM_EFORK);
    must_be(stem_server_close(server), STEM_EFORK);
    must_ok(stem_server_close(NULL));
    must(count_events() == 0);
}

START_TEST(to_a_child_the_server_is_the_parents)
{
    redisContext *client = dial();

    assert_answer("+PONG", client, "PING");
    assert_child_ends_well(start_child(use_inherited, NULL));
    assert_answer("+OK", client, "SET a 1");
    redisFree(client);
}
END_TEST

static void close_what_is_left(void)
{
    if (server)
        close_served();
    else
        assert_ok(stem_close(db));
}

int main(void)
{
    Suite *suite = suite_create("server");

    TCase *one_client = add_case(suite, "one client", 60);
    TCase *transactions = add_case(suite, "transactions", 60);
    TCase *many = add_case(suite, "many", 60);
    TCase *beginning_and_end = add_case(suite, "beginning and end", 60);
    TCase *clients = add_case(suite, "clients with Stem", 60);

    tcase_add_checked_fixture(one_client, open_served, close_what_is_left);
    tcase_add_test(one_client, what_a_client_sets_the_application_reads);
    tcase_add_test(one_client, what_the_application_puts_a_client_gets);
    tcase_add_test(one_client, pipelined_requests_are_answered_in_order);
    tcase_add_test(one_client, an_error_between_writes_has_its_place);
    tcase_add_test(one_client, a_large_value_goes_both_ways);
    tcase_add_test(one_client,
                   what_no_request_carries_a_client_refuses_before_it_is_sent);
    tcase_add_loop_test(
        one_client,
        a_commit_of_too_many_writes_for_a_request_is_refused_before_it_is_sent, 0, 2);
    tcase_add_test(one_client, hello_tells_who_serves_and_changes_the_version);
    tcase_add_test(one_client, a_scope_in_hello_narrows_and_is_not_left_again);

    tcase_add_checked_fixture(transactions, open_served, close_what_is_left);
    tcase_add_test(transactions, a_transaction_is_applied_as_one);
    tcase_add_test(transactions, an_error_in_a_transaction_is_its_own_commands);
    tcase_add_test(transactions, a_watched_key_that_changes_gives_the_transaction_up);

    tcase_add_checked_fixture(many, open_served, close_what_is_left);
    tcase_add_test(many, increments_of_clients_and_of_the_application_are_all_counted);
    tcase_add_test(many, a_client_that_does_not_read_is_not_served_on);
    tcase_add_test(many, the_last_client_too_many_is_turned_away);
    tcase_add_test(many, a_silent_connection_is_closed);
    tcase_add_test(many, garbage_ends_its_connection_alone);

    tcase_add_checked_fixture(beginning_and_end, open_served, close_what_is_left);
    tcase_add_test(beginning_and_end, a_server_that_closes_finishes_what_it_has_accepted);
    tcase_add_test(beginning_and_end,
                   a_socket_is_for_its_owner_alone_and_replaced_when_nobody_listens);
    tcase_add_test(beginning_and_end, addresses_that_cannot_be_are_refused);
    tcase_add_test(beginning_and_end, a_port_that_is_none_is_no_other_port);
    tcase_add_test(beginning_and_end, tcp_works_when_insecurity_is_spelt_out);
    tcase_add_test(beginning_and_end, a_sub_database_is_served_as_if_it_were_all);
    tcase_add_test(beginning_and_end, a_handle_that_only_reads_serves_no_writes);
    tcase_add_test(clients, what_a_client_has_read_and_flushed_is_written);
    tcase_add_test(clients, a_client_closes_whether_or_not_there_is_a_server);
    tcase_add_test(beginning_and_end, a_child_closes_its_copies_of_the_servers_sockets);
    tcase_add_test(beginning_and_end, to_a_child_the_server_is_the_parents);
    return run_suite(suite);
}
