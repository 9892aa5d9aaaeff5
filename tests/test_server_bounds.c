/*
 * What one client can make a server hold: answers and requests have limits, whatever is asked
 * for, and what is given up is given back.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db.h"
#include "raw_client.h"
#include "served.h"

enum { MIB = 1 << 20 };

static stem_db *db;
static stem_server *server;

static void open_served(void)
{
    assert_ok(stem_open(&db, "mem:", NULL));
    server =
        serve(db, STEM_SERVER_OPTIONS(.max_request_bytes = MIB, .max_input_bytes = MIB,
                                      .max_output_bytes = MIB));
}

static void close_served(void)
{
    assert_ok(stem_server_close(server));
    assert_ok(stem_close(db));
}

static void put_zeros(const char *key, size_t len)
{
    char *zeros = calloc(1, len);

    assert_ok(stem_put(db, key, stem_bin(zeros, len)));
    free(zeros);
}

static raw_client connect_raw(void)
{
    raw_client client;

    raw_open(&client, served_at());
    return client;
}

static void expect_reply(stem_slice reply, const char *expected)
{
    ck_assert_uint_eq(reply.len, strlen(expected));
    ck_assert_mem_eq(reply.data, expected, reply.len);
}

/* A figure of INFO's. */
static long figure(const char *name)
{
    raw_client client = connect_raw();
    char text[8192], line[64];

    const stem_slice info = raw_ask(&client, "INFO");
    snprintf(text, sizeof text, "%.*s", (int)info.len, info.data);
    snprintf(line, sizeof line, "\n%s:", name);
    const char *at = strstr(text, line);
    ck_assert_msg(at, "no %s in %s", name, text);
    raw_close(&client);
    return strtol(at + strlen(line), NULL, 10);
}

/* ---- Answers ---------------------------------------------------------------------- */

enum { LARGE = 8 * MIB, TIMES = 48 };

/* Most memory of this process so far. */
static long peak_kib(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long kib = -1;

    ck_assert_ptr_nonnull(status);
    while (kib < 0 && fgets(line, sizeof line, status))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    fclose(status);
    ck_assert_int_ge(kib, 0);
    return kib;
}

static void assert_bounded(long before)
{
    if (!HAS_SANITIZER)
        ck_assert_int_lt(peak_kib() - before, TIMES / 2 * (LARGE >> 10));
}

/* A request of some words and the same key many times. */
static void send_many(raw_client *client, const char *command, const char *second)
{
    stem_slice words[TIMES + 2] = {{command, strlen(command)}};
    stem_buffer request = {0};
    size_t n = 1;

    if (second)
        words[n++] = (stem_slice){second, strlen(second)};
    for (int i = 0; i < TIMES; i++)
        words[n++] = (stem_slice){"large", 5};
    raw_add(&request, words, n);
    raw_send(client, &request);
    free(request.data);
}

static const char too_large[] = "-NOMEM the answer is too large\r\n";
static const struct {
    const char *command, *second, *reply;
} readings[] = {
    {"EXISTS", NULL, ":48\r\n"},
    {"DEL", NULL, ":1\r\n"},
    {"MGET", NULL, too_large},
    {"STEM.READ", "0", too_large},
};
enum { N_READINGS = sizeof readings / sizeof *readings };

START_TEST(a_small_request_for_much_is_answered_in_bounded_memory)
{
    put_zeros("large", LARGE);
    raw_client client = connect_raw();
    const long before = peak_kib();

    send_many(&client, readings[_i].command, readings[_i].second);
    expect_reply(raw_reply(&client), readings[_i].reply);
    assert_bounded(before);
    raw_close(&client);
}
END_TEST

START_TEST(a_small_request_for_much_of_a_snapshot_is_answered_in_bounded_memory)
{
    char id[33];

    put_zeros("large", LARGE);
    raw_client client = connect_raw();
    const long before = peak_kib();
    const stem_slice reply = raw_ask(&client, "STEM.SNAPSHOT");
    ck_assert_uint_eq(reply.len, strlen("$32\r\n") + 32 + 2);
    snprintf(id, sizeof id, "%.32s", reply.data + strlen("$32\r\n"));
    send_many(&client, "STEM.READ", id);
    expect_reply(raw_reply(&client), too_large);
    assert_bounded(before);
    raw_close(&client);
}
END_TEST

/* ---- Requests --------------------------------------------------------------------- */

static const char full[] = "-BUSY too many bytes of requests are under way";

START_TEST(what_is_queued_counts_as_requests_under_way_until_it_is_run_or_dropped)
{
    enum { LEN = 200000, MANY = 20 };
    char *value = calloc(1, LEN);
    redisContext *client = dial();
    int queued = 0;

    assert_answer("+PONG", client, "PING");
    for (int round = 0; round < 3; round++) {
        const long before = figure("input_bytes");

        assert_answer("+OK", client, "MULTI");
        assert_answer("+QUEUED", client, "SET a %b", value, (size_t)LEN);
        ck_assert_int_ge(figure("input_bytes"), LEN);
        if (round == 0)
            assert_answer("[+OK]", client, "EXEC");
        else
            assert_answer("+OK", client, "DISCARD");
        ck_assert_int_le(figure("input_bytes"), before);
    }
    assert_answer("+OK", client, "MULTI");
    while (queued < MANY &&
           strcmp(ask(client, "SET b %b", value, (size_t)LEN), "+QUEUED") == 0)
        queued++;
    ck_assert_int_gt(queued, 0);
    ck_assert_int_lt(queued, MIB / LEN);
    assert_answer(full, client, "SET b %b", value, (size_t)LEN);
    assert_answer("-EXECABORT Transaction discarded because of previous errors.", client,
                  "EXEC");
    assert_answer("nil", client, "GET b");
    assert_answer("+OK", client, "SET b %b", value, (size_t)LEN);
    redisFree(client);
    free(value);
}
END_TEST

START_TEST(a_watch_that_is_refused_leaves_nothing_watched)
{
    static const char too_much[] = "-NOMEM too much is watched";
    redisContext *client = dial();

    put_zeros("large", 2 * MIB);
    put_zeros("some", MIB / 2);
    assert_ok(stem_put(db, "n", 1));
    assert_answer("+PONG", client, "PING");
    const long before = figure("input_bytes");
    assert_answer("+OK", client, "WATCH n");
    assert_answer(full, client, "WATCH large");
    ck_assert_int_lt(figure("input_bytes"), before + 100);
    assert_answer(full, client, "WATCH some large");
    ck_assert_int_lt(figure("input_bytes"), before + 100);
    assert_answer("+OK", client, "WATCH some");
    ck_assert_int_gt(figure("input_bytes"), before + MIB / 2);
    assert_answer("+OK", client, "UNWATCH");
    ck_assert_int_eq(figure("input_bytes"), before);

    assert_ok(stem_server_close(server));
    redisFree(client);
    server = serve(db, STEM_SERVER_OPTIONS(.max_request_bytes = MIB));
    client = dial();
    assert_answer("+OK", client, "WATCH n");
    assert_answer(too_much, client, "WATCH large");
    assert_answer(too_much, client, "WATCH some some");
    assert_answer("+OK", client, "WATCH some");
    /* What was watched before is watched still, and nothing else. */
    put_zeros("large", 1);
    assert_answer("+OK", client, "MULTI");
    assert_answer("[]", client, "EXEC");
    assert_answer("+OK", client, "WATCH n");
    assert_answer(too_much, client, "WATCH some some");
    assert_ok(stem_put(db, "n", 2));
    assert_answer("+OK", client, "MULTI");
    assert_answer("nil", client, "EXEC");
    redisFree(client);
}
END_TEST

/* ---- Groups ----------------------------------------------------------------------- */

START_TEST(after_a_line_of_words_writes_are_gathered_as_before)
{
    enum { WRITES = 200 };
    static const stem_slice set[] = {{"SET", 3}, {"a", 1}, {"1", 1}};
    raw_client client = connect_raw();
    stem_buffer requests = {0};

    stem_buffer_add_text(&requests, "SET a 'line of words'\r\n");
    raw_send(&client, &requests);
    expect_reply(raw_reply(&client), "+OK\r\n");
    const long before = figure("commits");
    requests.len = 0;
    for (int i = 0; i < WRITES; i++)
        raw_add(&requests, set, 3);
    raw_send(&client, &requests);
    for (int i = 0; i < WRITES; i++)
        expect_reply(raw_reply(&client), "+OK\r\n");
    ck_assert_int_lt(figure("commits") - before, WRITES / 4);
    free(requests.data);
    raw_close(&client);
}
END_TEST

/* An engine whose first two commits wait, and whose third fails, whereupon another client writes between
 * two reads. */
static struct {
    const stem_engine_ops *real;
    stem_engine_ops ops;
    pthread_mutex_t gate; /* what the first two commits wait for */
    atomic_int commits;
    atomic_bool interferes;
} fragile = {.gate = PTHREAD_MUTEX_INITIALIZER};

static int wait_and_fail(stem_engine *engine, const stem_commit *commit, size_t *failed)
{
    enum { WAITS, WAITS_TOO, FAILS };
    const int number = commit->n_writes > 0 ? atomic_fetch_add(&fragile.commits, 1) : -1;

    if (number == WAITS || number == WAITS_TOO) {
        pthread_mutex_lock(&fragile.gate);
        pthread_mutex_unlock(&fragile.gate);
    }
    fragile.interferes = number == FAILS;
    return number == FAILS ? STEM_EIO : fragile.real->commit(engine, commit, failed);
}

static void interfere(stem_engine *engine)
{
    const stem_slice two = {"\x02", 1};
    const stem_write writes[] = {{{"a", 1}, two, false}, {{"b", 1}, two, false}};
    const stem_commit commit = {.writes = writes, .n_writes = 2};
    size_t failed;

    assert_ok(fragile.real->commit(engine, &commit, &failed));
}

static int read_and_interfere(stem_engine *engine, const stem_engine_snapshot *snapshot,
                              const stem_slice *keys, size_t n, size_t most,
                              stem_read *reads, size_t *n_read)
{
    const int code =
        fragile.real->read_some(engine, snapshot, keys, n, most, reads, n_read);

    if (atomic_exchange(&fragile.interferes, false))
        interfere(engine);
    return code;
}

/* Sends them, and waits until they have been read; INFO is counted, too. */
static void send_together(redisContext *client, const char *const *requests, int n)
{
    const long before = figure("total_commands_processed");
    int done = 0;

    for (int i = 0; i < n; i++)
        redisAppendCommand(client, requests[i]);
    while (!done)
        ck_assert_int_eq(redisBufferWrite(client, &done), REDIS_OK);
    for (int asked = 1; figure("total_commands_processed") < before + asked + n; asked++)
        usleep(1000);
}

START_TEST(a_transaction_that_reads_sees_one_state_when_the_writes_beside_it_fail)
{
    static const char *const reading[] = {"MULTI", "GET a", "GET b", "EXEC"};
    static const char *const writing[] = {"SET c 1"};

    assert_ok(stem_put(db, "a", 1));
    assert_ok(stem_put(db, "b", 1));
    assert_ok(stem_server_close(server));
    fragile.real = db->engine->ops;
    fragile.ops = *fragile.real;
    fragile.ops.commit = wait_and_fail;
    fragile.ops.read_some = read_and_interfere;
    db->engine->ops = &fragile.ops;
    server = serve(db, NULL);
    redisContext *first = dial(), *second = dial(), *reader = dial(), *writer = dial();

    pthread_mutex_lock(&fragile.gate);
    /* What comes while two commits wait is one group. */
    send_together(first, writing, 1);
    send_together(second, writing, 1);
    send_together(reader, reading, 4);
    send_together(writer, writing, 1);
    pthread_mutex_unlock(&fragile.gate);
    ck_assert_str_eq(next_answer(first), "+OK");
    ck_assert_str_eq(next_answer(second), "+OK");
    ck_assert_str_eq(next_answer(reader), "+OK");
    ck_assert_str_eq(next_answer(reader), "+QUEUED");
    ck_assert_str_eq(next_answer(reader), "+QUEUED");
    ck_assert_str_eq(next_answer(reader), "[\"2\" \"2\"]");
    ck_assert_int_eq(strncmp(next_answer(writer), "-IOERROR ", 9), 0);
    redisFree(first);
    redisFree(second);
    redisFree(reader);
    redisFree(writer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server bounds");
    TCase *answers = add_case(suite, "answers", 60);
    TCase *requests = add_case(suite, "requests", 60);
    TCase *groups = add_case(suite, "groups", 60);

    tcase_add_checked_fixture(answers, open_served, close_served);
    tcase_add_loop_test(answers, a_small_request_for_much_is_answered_in_bounded_memory,
                        0, N_READINGS);
    tcase_add_test(answers,
                   a_small_request_for_much_of_a_snapshot_is_answered_in_bounded_memory);
    tcase_add_checked_fixture(requests, open_served, close_served);
    tcase_add_test(
        requests, what_is_queued_counts_as_requests_under_way_until_it_is_run_or_dropped);
    tcase_add_test(requests, a_watch_that_is_refused_leaves_nothing_watched);
    tcase_add_checked_fixture(groups, open_served, close_served);
    tcase_add_test(groups, after_a_line_of_words_writes_are_gathered_as_before);
    tcase_add_test(
        groups, a_transaction_that_reads_sees_one_state_when_the_writes_beside_it_fail);
    return run_suite(suite);
}
