/*
 * What a server says of itself and of its clients: INFO, CONFIG GET, CLIENT LIST, RANDOMKEY and the
 * number of keys, and to whom.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "place.h"
#include "process.h"
#include "raw_client.h"
#include "served.h"
#include "users.h"

static stem_db *db;
static stem_server *server;

static void open_served(void)
{
    db = new_database();
    server = serve(db, NULL);
}

static void open_with_users(void)
{
    const char *users = path_in(temp_dir(), "users");

    db = new_database();
    write_file(users, "ada " HASH_OF_SECRET " * all\n"
                      "web " HASH_OF_SECRET " apps/web read,write\n"
                      "blind " HASH_OF_SECRET " apps/web write\n"
                      "on\\x20call " HASH_OF_SECRET " apps read\n");
    ck_assert_int_eq(chmod(users, 0600), 0);
    server = serve(db, STEM_SERVER_OPTIONS(.users = users));
}

static void close_served(void)
{
    assert_ok(stem_server_close(server));
    assert_ok(stem_close(db));
}

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;

    for (; (text = strstr(text, part)); text++)
        n++;
    return n;
}

static void put_many(int n)
{
    stem_batch *batch = stem_batch_new(db);
    char key[32];

    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof key, "user:%07d", i);
        assert_ok(stem_batch_put_value(batch, db, key, stem_str("some value or other")));
        if (i % 1000 == 999 || i == n - 1) {
            assert_ok(stem_batch_commit(batch, false));
            stem_batch_reset(batch);
        }
    }
    stem_batch_free(batch);
}

/* ---- INFO --------------------------------------------------------------------------- */

START_TEST(info_has_the_sections_that_are_named)
{
    static const char *const sections[] = {"Server",      "Clients", "Memory",
                                           "Persistence", "Stats",   "Replication",
                                           "CPU",         "Cluster", "Keyspace"};
    enum { N = sizeof sections / sizeof *sections };
    redisContext *client = dial();
    char head[32];

    for (int i = 0; i < N; i++) {
        const char *text = ask(client, "INFO %s", sections[i]);

        snprintf(head, sizeof head, "# %s\r\n", sections[i]);
        ck_assert_msg(has(text, head) && count(text, "# ") == 1, "%s", text);
    }
    ck_assert_uint_eq(count(ask(client, "INFO"), "# "), N);
    ck_assert_uint_eq(count(ask(client, "INFO everything"), "# "), N);
    ck_assert_uint_eq(count(ask(client, "INFO all"), "# "), N);
    ck_assert_uint_eq(count(ask(client, "INFO default none"), "# "), N);
    ck_assert_uint_eq(count(ask(client, "INFO memory none CLIENTS memory"), "# "), 2);
    assert_answer("\"\"", client, "INFO none");
    redisFree(client);
}
END_TEST

/* What redis-cli --stat, exporters and client libraries look for. */
START_TEST(info_has_what_clients_and_exporters_read)
{
    static const char *const names[] = {"redis_version:7.",
                                        "redis_mode:standalone",
                                        "uptime_in_seconds:",
                                        "process_id:",
                                        "connected_clients:1",
                                        "blocked_clients:0",
                                        "maxclients:",
                                        "used_memory:",
                                        "used_memory_human:",
                                        "used_memory_rss:",
                                        "used_memory_peak:",
                                        "maxmemory:0",
                                        "maxmemory_policy:noeviction",
                                        "loading:0",
                                        "rdb_bgsave_in_progress:0",
                                        "aof_enabled:0",
                                        "total_connections_received:1",
                                        "total_commands_processed:",
                                        "total_net_input_bytes:",
                                        "total_net_output_bytes:",
                                        "evicted_keys:0",
                                        "expired_keys:0",
                                        "role:master",
                                        "connected_slaves:0",
                                        "used_cpu_sys:",
                                        "used_cpu_user:",
                                        "cluster_enabled:0",
                                        "db0:keys=2,expires=0,avg_ttl=0"};
    redisContext *client = dial();

    assert_answer("+OK", client, "MSET a 1 b 2");
    const char *text = ask(client, "INFO");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char line[64];

        snprintf(line, sizeof line, "\n%s", names[i]);
        ck_assert_msg(has(text, line), "no %s in %s", names[i], text);
    }
    redisFree(client);
}
END_TEST

static long keys_of_info(redisContext *client)
{
    const char *at = strstr(ask(client, "INFO keyspace"), "db0:keys=");

    return at ? strtol(at + strlen("db0:keys="), NULL, 10) : 0;
}

START_TEST(the_number_of_few_keys_is_exact_and_of_many_about_right)
{
    enum { MANY = 150000 };
    redisContext *client = dial();

    for (int i = 1; i <= 3; i++) {
        ask(client, "SET k%d 1", i);
        ck_assert_int_eq(keys_of_info(client), i);
    }
    put_many(MANY);
    const long in_tables_and_logs = keys_of_info(client);
    ck_assert_msg(in_tables_and_logs > MANY / 3 && in_tables_and_logs < MANY * 3, "%ld",
                  in_tables_and_logs);
    assert_ok(stem_compact(db));
    sleep(2); /* an estimate is kept for a second */
    const long in_tables = keys_of_info(client);
    ck_assert_msg(in_tables > MANY / 2 && in_tables < MANY * 2, "%ld", in_tables);
    redisFree(client);
}
END_TEST

START_TEST(info_tells_users_nothing_of_others)
{
    redisContext *ada = dial_as("ada"), *web = dial_as("web"), *blind = dial_as("blind");

    assert_answer("+OK", ada, "MSET a 1 b 2 apps/web/x 1");
    const char *text = ask(web, "INFO");
    ck_assert(has(text, "redis_version:") && has(text, "loading:0") &&
              has(text, "role:master") && has(text, "maxmemory_policy:noeviction"));
    ck_assert(has(text, "db0:keys=1,"));
    ck_assert(!has(text, "connected_clients") && !has(text, "used_memory") &&
              !has(text, "total_") && !has(text, "process_id") && !has(text, "used_cpu"));
    ck_assert(!has(ask(blind, "INFO"), "db0:"));
    ck_assert(has(ask(ada, "INFO"), "db0:keys=3,"));
    ck_assert(has(ask(ada, "INFO"), "connected_clients:3"));
    redisFree(blind);
    redisFree(web);
    redisFree(ada);
}
END_TEST

/* ---- CONFIG ------------------------------------------------------------------------- */

START_TEST(config_is_for_administrators_and_has_no_secrets)
{
    redisContext *ada = dial_as("ada"), *web = dial_as("web");

    ck_assert(has(ask(web, "CONFIG GET *"), "-NOPERM"));
    const char *text = ask(ada, "CONFIG GET *");
    ck_assert(has(text, "\"maxmemory-policy\" \"noeviction\""));
    ck_assert(has(text, "\"save\" \"\"") && has(text, "\"appendonly\" \"no\""));
    ck_assert(!has(text, "argon2") && !has(text, "/") && !has(text, "users"));
    assert_answer("[\"databases\" \"1\" \"maxclients\" \"10000\"]", ada,
                  "CONFIG GET MAXCLIENTS data* maxc*");
    assert_answer("[\"stem-max-output-bytes\" \"268435456\" "
                  "\"stem-max-total-output-bytes\" \"1073741824\"]",
                  ada, "CONFIG GET stem-max-*output-bytes");
    redisFree(web);
    redisFree(ada);
}
END_TEST

/* ---- CLIENT LIST, RESET ------------------------------------------------------------- */

START_TEST(a_user_sees_its_own_connections_and_an_administrator_all)
{
    redisContext *ada = dial_as("ada"), *web = dial_as("web"), *more = dial_as("web");
    redisContext *other = dial_as("on call"), *stranger = dial();

    assert_answer("+OK", other, "CLIENT SETNAME secret-name");
    const char *text = ask(web, "CLIENT LIST");
    ck_assert_uint_eq(count(text, "\n"), 2);
    ck_assert_uint_eq(count(text, " user=web "), 2);
    ck_assert(!has(text, "secret-name"));
    text = ask(ada, "CLIENT LIST");
    ck_assert_uint_eq(count(text, "\n"), 5);
    ck_assert(has(text, " name=secret-name ") && has(text, " user=on\\x20call "));
    const long long id = strtoll(ask(other, "CLIENT ID"), NULL, 10);
    ck_assert_uint_eq(count(ask(ada, "CLIENT LIST ID 1 %lld", id), "\n"), 1);
    assert_answer("\"\"", web, "CLIENT LIST ID 1 %lld", id);
    ck_assert_uint_eq(count(ask(web, "CLIENT LIST TYPE normal"), "\n"), 2);
    ck_assert(has(ask(stranger, "CLIENT LIST"), "-NOAUTH"));
    redisFree(stranger);
    redisFree(other);
    redisFree(more);
    redisFree(web);
    redisFree(ada);
}
END_TEST

START_TEST(a_line_of_a_client_has_the_fields_of_redis)
{
    static const char *const fields[] = {
        "id=",      " addr=",  " laddr=",      " fd=",        " name=me ",
        " age=",    " idle=",  " flags=N ",    " db=0 ",      " sub=0 ",
        " psub=0 ", " ssub=0", " multi=-1 ",   " qbuf=",      " qbuf-free=",
        " omem=",   " resp=2", " tot-mem=",    " events=r ",  " cmd=client|info ",
        " redir=",  " user=",  " lib-name=me", " lib-ver=2.1"};
    redisContext *client = dial();

    ask(client, "CLIENT SETNAME me");
    ask(client, "CLIENT SETINFO LIB-NAME me");
    ask(client, "CLIENT SETINFO LIB-VER 2.1");
    const char *text = ask(client, "CLIENT INFO");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        ck_assert_msg(has(text, fields[i]), "no %s in %s", fields[i], text);
    redisFree(client);
}
END_TEST

START_TEST(reset_logs_out_and_drops_what_was_begun)
{
    redisContext *web = dial_as("web");

    assert_answer("+OK", web, "CLIENT SETNAME me");
    assert_answer("+OK", web, "MULTI");
    assert_answer("+QUEUED", web, "SET a 1");
    assert_answer("+RESET", web, "RESET");
    assert_answer("-NOAUTH Authentication required.", web, "GET a");
    assert_answer("-NOAUTH Authentication required.", web, "EXEC");
    assert_answer("+RESET", web, "RESET");
    assert_answer("+OK", web, "AUTH ada secret");
    assert_answer("nil", web, "CLIENT GETNAME");
    assert_answer("nil", web, "GET a");
    assert_answer("0", web, "DBSIZE");
    redisFree(web);
}
END_TEST

START_TEST(reset_does_not_leave_a_scope_that_hello_narrowed)
{
    redisContext *client = dial();

    assert_answer("+OK", client, "MSET a 1 in/b 2");
    ask(client, "HELLO 2 SCOPE in");
    assert_answer("+RESET", client, "RESET");
    assert_answer("[\"b\"]", client, "KEYS *");
    redisFree(client);
}
END_TEST

/* ---- Between MULTI and EXEC --------------------------------------------------------- */

START_TEST(what_is_served_in_a_transaction_is_bounded)
{
    enum { MOST = 256 };
    redisContext *client = dial();

    assert_answer("+OK", client, "MULTI");
    for (int i = 0; i < MOST; i++)
        assert_answer("+QUEUED", client, "INFO cluster");
    ck_assert(has(ask(client, "CLIENT ID"), "-ERR too many commands about the server"));
    ck_assert(has(ask(client, "EXEC"), "-EXECABORT"));
    redisFree(client);
}
END_TEST

START_TEST(what_cannot_be_part_of_a_transaction_is_refused)
{
    static const char *const lines[] = {"CLIENT REPLY ON", "CLIENT LIST", "FLUSHALL",
                                        "RANDOMKEY",       "SCAN 0",      "HELLO 2",
                                        "AUTH x"};
    redisContext *client = dial();

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_answer("+OK", client, "MULTI");
        ck_assert_msg(has(ask(client, lines[i]), "is not allowed in a transaction"), "%s",
                      lines[i]);
        ck_assert(has(ask(client, "EXEC"), "-EXECABORT"));
    }
    redisFree(client);
}
END_TEST

/* ---- RANDOMKEY ---------------------------------------------------------------------- */

START_TEST(each_of_few_keys_comes_and_none_of_outside)
{
    enum { FEW = 40, TRIES = 2000 };
    redisContext *ada = dial_as("ada"), *web = dial_as("web");
    int seen[FEW] = {0};

    assert_answer("nil", web, "RANDOMKEY");
    assert_answer("+OK", ada, "MSET a 1 apps/a 1 apps/wea 1 apps/webb 1 z 1");
    assert_answer("nil", web, "RANDOMKEY");
    for (int i = 0; i < FEW; i++)
        ask(web, "SET key/%d 1", i);
    for (int i = 0; i < TRIES; i++) {
        const char *text = ask(web, "RANDOMKEY");

        ck_assert_msg(strncmp(text, "\"key/", 5) == 0, "%s", text);
        seen[strtol(text + 5, NULL, 10)]++;
    }
    for (int i = 0; i < FEW; i++) /* 50 are due */
        ck_assert_msg(seen[i] >= 12 && seen[i] <= 150, "key %d: %d", i, seen[i]);
    redisFree(web);
    redisFree(ada);
}
END_TEST

/* The ten of each digit at two places: all come, and none all the time. */
START_TEST(keys_of_all_parts_of_many_come)
{
    enum { MANY = 100000, TRIES = 2000 };
    int by_first[10] = {0}, by_last[10] = {0};
    redisContext *client = dial();

    put_many(MANY);
    for (int i = 0; i < TRIES; i++) {
        const char *text = ask(client, "RANDOMKEY");

        ck_assert_uint_eq(strlen(text), strlen("\"user:0000000\""));
        by_first[text[8] - '0']++;
        by_last[text[12] - '0']++;
    }
    for (int i = 0; i < 10; i++) { /* 200 are due */
        ck_assert_msg(by_first[i] > 60 && by_first[i] < 600, "first %d: %d", i,
                      by_first[i]);
        ck_assert_msg(by_last[i] > 60 && by_last[i] < 600, "last %d: %d", i, by_last[i]);
    }
    redisFree(client);
}
END_TEST

/* ---- Versions of the protocol -------------------------------------------------------- */

static bool begins(stem_slice reply, const char *head)
{
    return reply.len >= strlen(head) && memcmp(reply.data, head, strlen(head)) == 0;
}

START_TEST(version_3_has_maps_sets_and_texts)
{
    raw_client client;

    raw_open(&client, served_at());
    ck_assert(begins(raw_ask(&client, "INFO server"), "$"));
    ck_assert(begins(raw_ask(&client, "CONFIG GET maxmemory"), "*2\r\n"));
    raw_ask(&client, "HELLO 3");
    ck_assert(begins(raw_ask(&client, "INFO server"), "="));
    ck_assert(begins(raw_ask(&client, "CLIENT LIST"), "="));
    ck_assert(begins(raw_ask(&client, "CLIENT GETNAME"), "_\r\n"));
    ck_assert(begins(raw_ask(&client, "RANDOMKEY"), "_\r\n"));
    ck_assert(begins(raw_ask(&client, "CONFIG GET maxmemory"), "%1\r\n"));
    ck_assert(begins(raw_ask(&client, "COMMAND DOCS get"), "%1\r\n$3\r\nget\r\n%2\r\n"));
    ck_assert(begins(raw_ask(&client, "COMMAND INFO get none"),
                     "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n~1\r\n+readonly\r\n"));
    ck_assert(begins(raw_ask(&client, "TIME"), "*2\r\n$10\r\n"));
    raw_close(&client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server describes");
    TCase *alone = add_case(suite, "without users", 120);
    TCase *users = add_case(suite, "with users", 60);

    tcase_add_checked_fixture(alone, open_served, close_served);
    tcase_add_test(alone, info_has_the_sections_that_are_named);
    tcase_add_test(alone, info_has_what_clients_and_exporters_read);
    tcase_add_test(alone, the_number_of_few_keys_is_exact_and_of_many_about_right);
    tcase_add_test(alone, a_line_of_a_client_has_the_fields_of_redis);
    tcase_add_test(alone, reset_does_not_leave_a_scope_that_hello_narrowed);
    tcase_add_test(alone, what_is_served_in_a_transaction_is_bounded);
    tcase_add_test(alone, what_cannot_be_part_of_a_transaction_is_refused);
    tcase_add_test(alone, keys_of_all_parts_of_many_come);
    tcase_add_test(alone, version_3_has_maps_sets_and_texts);
    tcase_add_checked_fixture(users, open_with_users, close_served);
    tcase_add_test(users, info_tells_users_nothing_of_others);
    tcase_add_test(users, config_is_for_administrators_and_has_no_secrets);
    tcase_add_test(users, a_user_sees_its_own_connections_and_an_administrator_all);
    tcase_add_test(users, reset_logs_out_and_drops_what_was_begun);
    tcase_add_test(users, each_of_few_keys_comes_and_none_of_outside);
    return run_suite(suite);
}
