/*
 * Whatever a command does to the engine, other clients are served meanwhile.
 *
 * The engine stops within a call until the test lets it go on: within the first call of a command,
 * the second, and so on until the command makes no more. So nothing here depends on how long
 * anything takes; but for the last case, which is about work outside of the engine.
 */
#include "config.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "db.h"
#include "place.h"
#include "process.h"
#include "served.h"
#include "users.h"

#ifdef HAVE_SODIUM
enum { HAS_USERS = 1 };
#else
enum { HAS_USERS = 0 };
#endif

static stem_db *db;
static stem_server *server;

/* ---- An engine that stops --------------------------------------------------------- */

static const stem_engine_ops *whole;
static stem_engine_ops stopping;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned calls_left; /* until one stops; 0 for never */
static bool stops_all;      /* every one from now on */
static unsigned n_stopped;  /* that have not gone on yet */
static atomic_bool is_slow; /* each takes some milliseconds, or none */

static void take_time(void)
{
    static atomic_uint calls;
    static const unsigned char milliseconds[] = {0, 3, 0, 0, 7, 2, 0, 5, 1, 0, 4};

    poll(NULL, 0, milliseconds[calls++ % sizeof milliseconds]);
}

static void come_by(void)
{
    if (is_slow)
        take_time();
    pthread_mutex_lock(&lock);
    if (stops_all || (calls_left > 0 && --calls_left == 0)) {
        n_stopped++;
        pthread_cond_broadcast(&changed);
        while (n_stopped > 0)
            pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

static void stop_at(unsigned call)
{
    pthread_mutex_lock(&lock);
    calls_left = call;
    pthread_mutex_unlock(&lock);
}

static void set_stops_all(bool stops)
{
    pthread_mutex_lock(&lock);
    stops_all = stops;
    pthread_mutex_unlock(&lock);
}

static unsigned stopped(void)
{
    pthread_mutex_lock(&lock);
    const unsigned n = n_stopped;
    pthread_mutex_unlock(&lock);
    return n;
}

static void let_calls_go(void)
{
    pthread_mutex_lock(&lock);
    calls_left = n_stopped = 0;
    stops_all = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static atomic_size_t bytes_read; /* of whole values */

static int count_bytes(int code, const stem_read *reads, size_t n)
{
    for (size_t i = 0; i < n && code == STEM_OK; i++)
        bytes_read += reads[i].len;
    return code;
}

static int read_all(stem_engine *engine, const stem_engine_snapshot *snapshot,
                    const stem_slice *keys, size_t n, stem_read *reads)
{
    come_by();
    return count_bytes(whole->read(engine, snapshot, keys, n, reads), reads, n);
}

static int read_some(stem_engine *engine, const stem_engine_snapshot *snapshot,
                     const stem_slice *keys, size_t n, size_t most, stem_read *reads,
                     size_t *n_read)
{
    come_by();
    const int code = whole->read_some(engine, snapshot, keys, n, most, reads, n_read);
    return count_bytes(code, reads, code == STEM_OK ? *n_read : 0);
}

static int read_heads(stem_engine *engine, const stem_slice *keys, size_t n,
                      stem_read *reads)
{
    come_by();
    return whole->read_heads(engine, keys, n, reads);
}

static int commit(stem_engine *engine, const stem_commit *commit, size_t *failed)
{
    come_by();
    return whole->commit(engine, commit, failed);
}

enum { KEYS_REPLACED = 100 };
static atomic_bool replaces; /* b0 to b99 by a, before the next walk from the end */

static void replace_keys(stem_engine *engine)
{
    static char names[KEYS_REPLACED][8];
    stem_write writes[KEYS_REPLACED + 1] = {
        {.key = {"a", 1}, .value = {"\x01", 1}},
    };
    const stem_commit commit = {.writes = writes, .n_writes = KEYS_REPLACED + 1};
    size_t failed;

    for (int i = 0; i < KEYS_REPLACED; i++) {
        const int len = snprintf(names[i], sizeof names[i], "b%d", i);

        writes[i + 1] = (stem_write){.key = {names[i], (size_t)len}, .is_delete = true};
    }
    ck_assert_int_eq(whole->commit(engine, &commit, &failed), STEM_OK);
}

static int iter_open(stem_engine *engine, const stem_engine_snapshot *snapshot,
                     const stem_engine_range *range, bool reverse,
                     stem_engine_iter **iter)
{
    if (reverse && atomic_exchange(&replaces, false))
        replace_keys(engine);
    come_by();
    return whole->iter_open(engine, snapshot, range, reverse, iter);
}

static int iter_next(stem_engine_iter *iter, stem_slice *key, stem_slice *value)
{
    come_by();
    return whole->iter_next(iter, key, value);
}

static int iter_seek(stem_engine_iter *iter, stem_slice key)
{
    come_by();
    return whole->iter_seek(iter, key);
}

static int snapshot_open(stem_engine *engine, stem_engine_snapshot **snapshot)
{
    come_by();
    return whole->snapshot_open(engine, snapshot);
}

static int estimate(stem_engine *engine, const stem_engine_range *range,
                    stem_size_info *size)
{
    come_by();
    return whole->estimate(engine, range, size);
}

static int stats(stem_engine *engine, stem_statistics *stats)
{
    come_by();
    return whole->stats(engine, stats);
}

static void open_served(void)
{
    db = new_database();
    whole = db->engine->ops;
    stopping = *whole;
    stopping.read = read_all;
    stopping.read_some = read_some;
    if (whole->read_heads)
        stopping.read_heads = read_heads;
    stopping.commit = commit;
    stopping.iter_open = iter_open;
    stopping.iter_next = iter_next;
    stopping.iter_seek = iter_seek;
    stopping.snapshot_open = snapshot_open;
    stopping.estimate = estimate;
    stopping.stats = stats;
    db->engine->ops = &stopping;
    server = serve(db, NULL);
}

static void close_served(void)
{
    let_calls_go();
    assert_ok(stem_server_close(server));
    assert_ok(stem_close(db));
}

/* ---- Requests --------------------------------------------------------------------- */

enum { NOT_IN_MULTI = 1, ANSWER_VARIES = 2 };

static const struct request {
    const char *text;
    unsigned flags;
} requests[] = {
    {"GET text", 0},
    {"STRLEN text", 0},
    {"MGET text number none", 0},
    {"EXISTS text none number", 0},
    {"TYPE text", 0},
    {"TYPE none", 0},
    {"SET text other", 0},
    {"SET none new", 0},
    {"SET text other GET", 0},
    {"SET text other NX", 0},
    {"GETSET text other", 0},
    {"SETNX text other", 0},
    {"SETNX none new", 0},
    {"GETDEL text", 0},
    {"MSET text 1 none 2", 0},
    {"MSETNX none 1 new 2", 0},
    {"APPEND text more", 0},
    {"INCR number", 0},
    {"INCR text", 0},
    {"DECRBY number 3", 0},
    {"INCRBYFLOAT number 0.5", 0},
    {"DEL text number none", 0},
    {"UNLINK text", 0},
    {"RENAME text none", 0},
    {"RENAMENX text number", 0},
    {"COPY text none", 0},
    {"KEYS *", NOT_IN_MULTI},
    {"DBSIZE", NOT_IN_MULTI},
    {"SCAN 0 COUNT 100", NOT_IN_MULTI},
    {"FLUSHDB", NOT_IN_MULTI},
    {"WATCH text none", NOT_IN_MULTI},
    {"STEM.GET text", 0},
    {"STEM.PUT text \x01", 0},
    {"STEM.READ 0 text number", 0},
    {"STEM.COMMIT 0 - PUT none \x01 DEL text", NOT_IN_MULTI},
    {"STEM.COMMIT 0 SYNC PUT none \x01", NOT_IN_MULTI},
    {"STEM.COMMIT 0 - EMPTY x y ABSENT none EQUAL number \x07 DEL text", NOT_IN_MULTI},
    {"STEM.RANGE 0 a z FORWARD 10 1000", NOT_IN_MULTI},
    {"STEM.RANGE 0 a z REVERSE 10 1000 KEYS", NOT_IN_MULTI},
    {"STEM.CHILDREN", NOT_IN_MULTI},
    {"STEM.SNAPSHOT", NOT_IN_MULTI | ANSWER_VARIES},
    {"STEM.ESTIMATE a z", NOT_IN_MULTI | ANSWER_VARIES},
    {"STEM.STATS", NOT_IN_MULTI | ANSWER_VARIES},
};
enum { N_REQUESTS = sizeof requests / sizeof *requests };

/* What a client sends at once: requests, ended by NULL. */
enum { MOST_SENT = 4 };
typedef struct script {
    const char *sent[MOST_SENT + 1];
} script;

enum form { ALONE, IN_MULTI, AMONG_OTHERS, N_FORMS };

/* False when the request has no such form. */
static bool make_script(const struct request *of, enum form form, script *made)
{
    static const script alone = {{NULL}}, multi = {{"MULTI", NULL, "EXEC"}},
                        others = {{"SET other 1", NULL, "GET other", "APPEND other 2"}};

    *made = form == ALONE ? alone : form == IN_MULTI ? multi : others;
    made->sent[form == ALONE ? 0 : 1] = of->text;
    return form != IN_MULTI || !(of->flags & NOT_IN_MULTI);
}

/* The answer to what comes behind every script. */
#define THE_END "the-end"

static void send_script(redisContext *client, const script *sent)
{
    int done = 0;

    for (size_t i = 0; sent->sent[i]; i++)
        redisAppendCommand(client, sent->sent[i]);
    redisAppendCommand(client, "ECHO " THE_END);
    while (!done)
        ck_assert_int_eq(redisBufferWrite(client, &done), REDIS_OK);
}

enum { MOST_ANSWERS = 4096 };

static void read_answers(redisContext *client, const script *sent,
                         char answers[MOST_ANSWERS])
{
    size_t len = 0;

    answers[0] = '\0';
    for (size_t i = 0; sent->sent[i]; i++)
        len += (size_t)snprintf(answers + len, MOST_ANSWERS - len, "%s\n",
                                next_answer(client));
    ck_assert_str_eq(next_answer(client), "\"" THE_END "\"");
}

static void fill(redisContext *client)
{
    assert_answer("+OK", client, "FLUSHDB");
    assert_answer("+OK", client, "MSET text hello number 7 d/1 a d/2 b");
}

/* A client whose answers come, if they come at all. */
static redisContext *dial_patiently(void)
{
    const struct timeval longest = {.tv_sec = 20};
    redisContext *client = dial();

    redisSetTimeout(client, longest);
    return client;
}

/* Whether every answer has come. */
static bool is_answered(redisContext *client)
{
    char input[MOST_ANSWERS];
    struct pollfd readable = {.fd = client->fd, .events = POLLIN};

    if (poll(&readable, 1, 1) < 1)
        return false;
    const ssize_t n = recv(client->fd, input, sizeof input, MSG_PEEK);

    ck_assert_int_gt(n, 0);
    if (memmem(input, (size_t)n, THE_END, strlen(THE_END)))
        return true;
    poll(NULL, 0, 1); /* some have, and lie there */
    return false;
}

/* Whether its connection is closed by the server. */
static bool is_gone(redisContext *client)
{
    char byte;

    return recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Whether the engine has stopped (true), or the client has its answers. */
static bool await_stop(redisContext *client)
{
    while (stopped() == 0)
        if (is_answered(client) && stopped() == 0)
            return false;
    return true;
}

/* ---- Each request, stopped in each of its calls ----------------------------------- */

START_TEST(request_stopped_anywhere_lets_others_go_on)
{
    const struct request *of = &requests[_i / N_FORMS];
    redisContext *client = dial_patiently(), *other = dial_patiently();
    char expected[MOST_ANSWERS], answers[MOST_ANSWERS];
    bool is_stopped = true;
    unsigned call = 0;
    script sent;

    if (!make_script(of, (enum form)(_i % N_FORMS), &sent))
        is_stopped = false;
    fill(client);
    send_script(client, &sent);
    read_answers(client, &sent, expected);
    while (is_stopped) {
        fill(other);
        stop_at(++call);
        send_script(client, &sent);
        is_stopped = await_stop(client);
        assert_answer("+PONG", other, "PING");
        let_calls_go();
        read_answers(client, &sent, answers);
        if (!(of->flags & ANSWER_VARIES))
            ck_assert_str_eq(answers, expected);
        assert_answer("+OK", client, "UNWATCH");
    }
    ck_assert_uint_ne(call, 1); /* each has something to ask the engine */
    redisFree(client);
    redisFree(other);
}
END_TEST

/* Once the threads that serve clients which have gone are back. */
static void await_no_snapshots(redisContext *client)
{
    enum { PATIENCE_MS = 10000 };
    int waited = 0;

    while (!strstr(ask(client, "INFO clients"), "snapshots:0")) {
        ck_assert_int_lt(waited++, PATIENCE_MS);
        poll(NULL, 0, 1);
    }
}

START_TEST(client_that_hangs_up_in_a_stopped_request_leaves_nothing)
{
    const struct request *of = &requests[_i / N_FORMS];
    redisContext *other = dial_patiently();
    bool is_stopped = true;
    script sent;

    if (!make_script(of, (enum form)(_i % N_FORMS), &sent))
        is_stopped = false;
    for (unsigned call = 1; is_stopped; call++) {
        redisContext *client = dial_patiently();

        fill(other);
        stop_at(call);
        send_script(client, &sent);
        is_stopped = await_stop(client);
        redisFree(client);
        assert_answer("+PONG", other, "PING");
        let_calls_go();
        ck_assert_str_ne(ask(other, "DBSIZE"), "gone");
    }
    await_no_snapshots(other);
    redisFree(other);
}
END_TEST

static void *reload(void *argument)
{
    (void)argument;
    assert_ok(stem_server_reload(server));
    return NULL;
}

static void write_users(const char *path, const char *text)
{
    write_file(path, text);
    ck_assert_int_eq(chmod(path, 0600), 0);
}

/* The reload closes its connection while its thread is away, and waits for that. */
START_TEST(client_whose_user_is_removed_in_a_stopped_request_leaves_nothing)
{
    static const char both[] = "ada " HASH_OF_SECRET " * all\n"
                               "web " HASH_OF_SECRET " * all\n",
                      one[] = "ada " HASH_OF_SECRET " * all\n";
    static const char *const closed[] = {"STEM.SNAPSHOT", "GET text", "SET text x",
                                         "WATCH text", "KEYS *"};
    const char *path = path_in(temp_dir(), "users");
    const script sent = {{closed[_i]}};

    if (!HAS_USERS)
        return;
    assert_ok(stem_server_close(server));
    write_users(path, both);
    server = serve(db, STEM_SERVER_OPTIONS(.users = path));
    redisContext *ada = dial_as("ada"), *web = dial_as("web");
    pthread_t reloading;

    fill(ada);
    stop_at(1);
    send_script(web, &sent);
    ck_assert(await_stop(web));
    write_users(path, one);
    pthread_create(&reloading, NULL, reload, NULL);
    while (!is_gone(web))
        assert_answer("+PONG", ada, "PING");
    let_calls_go();
    pthread_join(reloading, NULL);
    await_no_snapshots(ada);
    redisFree(ada);
    redisFree(web);
}
END_TEST

/* What it has queued is its own thread's as long as that is away. */
START_TEST(client_that_is_stopped_in_exec_is_listed_without_its_transaction)
{
    static const script sent = {{"MULTI", "SET text other", "GET text", "EXEC"}};
    redisContext *other = dial_patiently(),
                 *client = dial_patiently(); /* the last listed */
    char answers[MOST_ANSWERS];

    fill(other);
    assert_answer("+OK", client, "CLIENT SETNAME stopped");
    stop_at(1);
    send_script(client, &sent);
    ck_assert(await_stop(client));
    const char *list = ask(other, "CLIENT LIST");
    const char *line = strstr(list, "name=stopped");
    ck_assert_ptr_nonnull(line);
    ck_assert_ptr_nonnull(strstr(line, " flags=N "));
    ck_assert_ptr_nonnull(strstr(line, " multi=-1 "));
    let_calls_go();
    read_answers(client, &sent, answers);
    redisFree(client);
    redisFree(other);
}
END_TEST

/* RANDOMKEY looks from both ends, and each end sees what there was when it was opened. That has a
 * millisecond, so it is tried more than once. */
START_TEST(random_key_among_keys_that_are_replaced_meanwhile_is_one_of_them)
{
    enum { ATTEMPTS = 20 };
    redisContext *client = dial_patiently();

    for (int tries = 0; tries < ATTEMPTS; tries++) {
        assert_answer("+OK", client, "FLUSHDB");
        for (int i = 0; i < KEYS_REPLACED; i++)
            assert_answer("+OK", client, "SET b%d x", i);
        replaces = true;
        const char *key = ask(client, "RANDOMKEY");
        ck_assert_msg(key[1] == 'a' || key[1] == 'b', "RANDOMKEY: %s", key);
        ck_assert(!replaces);
    }
    redisFree(client);
}
END_TEST

/* ---- Many at once ----------------------------------------------------------------- */

static void await_stopped(unsigned n)
{
    pthread_mutex_lock(&lock);
    while (n_stopped < n)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

START_TEST(more_requests_than_threads_wait_and_others_go_on)
{
    enum { CLIENTS = 16, AWAY = 3 }; /* the server has four threads for turns */
    static const char *const sent[] = {"GET text", "SET text x", "KEYS *", "DEL number"};
    redisContext *clients[CLIENTS], *other = dial_patiently();
    const script each[] = {{{sent[0]}}, {{sent[1]}}, {{sent[2]}}, {{sent[3]}}};
    char answers[MOST_ANSWERS];

    fill(other);
    set_stops_all(true);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = dial_patiently();
        send_script(clients[i], &each[i % 4]);
    }
    await_stopped(AWAY - 1); /* writes may be together in one of them */
    for (int i = 0; i < 100; i++)
        assert_answer("+PONG", other, "PING");
    let_calls_go();
    for (int i = 0; i < CLIENTS; i++) {
        read_answers(clients[i], &each[i % 4], answers);
        ck_assert_msg(*answers != '-' && *answers != 'g', "%s answered %s", sent[i % 4],
                      answers);
        redisFree(clients[i]);
    }
    redisFree(other);
}
END_TEST

/* ---- Requests of many clients, each of which may lose its thread the loop ----------- */

typedef struct counting {
    int number;
    pthread_t thread;
} counting;

/* Asks for the number behind `format`'s, with the client's own key, and wants this answer. */
static void want(redisContext *client, const char *format, int number,
                 const char *expected)
{
    redisReply *reply = redisCommand(client, format, number);
    char text[64] = "nothing";

    ck_assert_ptr_nonnull(reply);
    if (reply->type == REDIS_REPLY_INTEGER)
        snprintf(text, sizeof text, "%lld", reply->integer);
    else if (reply->str)
        snprintf(text, sizeof text, "%s", reply->str);
    ck_assert_msg(strcmp(text, expected) == 0, "%s of client %d is %s, not %s", format,
                  number, text, expected);
    freeReplyObject(reply);
}

static void *count_up(void *argument)
{
    enum { ROUNDS = 25 };
    const counting *self = argument;
    redisContext *client = dial_patiently();
    char now[16];

    for (int i = 1; i <= ROUNDS; i++) {
        snprintf(now, sizeof now, "%d", i);
        want(client, "INCR count-%d", self->number, now);
        want(client, "GET count-%d", self->number, now);
        want(client, "SET text-%d hello", self->number, "OK");
        want(client, "APPEND text-%d !", self->number, "6");
        want(client, "MULTI", 0, "OK");
        want(client, "STRLEN text-%d", self->number, "QUEUED");
        want(client, "EXEC", 0, "nothing");
        want(client, "EXISTS text-%d", self->number, "1");
    }
    redisFree(client);
    return NULL;
}

START_TEST(many_slow_requests_are_each_answered)
{
    enum { CLIENTS = 12 };
    counting clients[CLIENTS];

    is_slow = true;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].number = i;
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, count_up, &clients[i]),
                         0);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i].thread, NULL);
    is_slow = false;
}
END_TEST

static void *close_server(void *argument)
{
    (void)argument;
    assert_ok(stem_server_close(server));
    return NULL;
}

START_TEST(server_that_ends_answers_what_has_stopped)
{
    const struct timespec moment = {.tv_nsec = 50000000};
    redisContext *client = dial_patiently();
    const script sent = {{"GET text"}};
    pthread_t closing;

    fill(client);
    stop_at(1);
    send_script(client, &sent);
    ck_assert(await_stop(client));
    pthread_create(&closing, NULL, close_server, NULL);
    nanosleep(&moment, NULL);
    let_calls_go();
    ck_assert_str_eq(next_answer(client), "\"hello\"");
    ck_assert_str_eq(next_answer(client), "\"" THE_END "\"");
    pthread_join(closing, NULL);
    redisFree(client);
    server = serve(db, NULL);
}
END_TEST

/* ---- What is told of a value without reading it ------------------------------------ */

/* Asks alone, or in a transaction of its own behind a write of another key. */
static const char *ask_in(redisContext *client, bool in_multi, const char *request)
{
    static char answer[256];

    if (!in_multi)
        return ask(client, request);
    assert_answer("+OK", client, "MULTI");
    assert_answer("+QUEUED", client, "SET other x");
    assert_answer("+QUEUED", client, request);
    const char *both = ask(client, "EXEC");
    ck_assert_msg(strncmp(both, "[+OK ", 5) == 0, "%s", both);
    snprintf(answer, sizeof answer, "%.*s", (int)strlen(both) - 6, both + 5);
    return answer;
}

START_TEST(what_is_told_of_a_value_is_right_and_does_not_read_it)
{
    static const size_t lengths[] = {1, 31, 250, 256, 257, 300, 65535, 65536, 3 << 20};
    const bool is_binary = _i & 1, in_multi = _i & 2, is_old = _i & 4;
    redisContext *client = dial_patiently();
    char *value = malloc(3 << 20), text[64];

    assert_answer("+OK", client, "SET other x");
    memset(value, is_binary ? '\xff' : 'v', 3 << 20);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        assert_answer("+OK", client, "SET k %b", value, lengths[i]);
        if (is_old) /* known by having been read, and not by having been written */
            for (int other = 0; other < 20; other++)
                assert_answer("+OK", client, "MSET a 1 b 2 c 3 d 4 e 5");
        ck_assert_str_eq(ask_in(client, in_multi, "EXISTS k k"), "2");
        bytes_read = 0;
        snprintf(text, sizeof text, "%zu", lengths[i]);
        ck_assert_str_eq(ask_in(client, in_multi, "STRLEN k"), text);
        ck_assert_str_eq(ask_in(client, in_multi, "TYPE k"), "+string");
        ck_assert_str_eq(ask_in(client, in_multi, "EXISTS k none"), "1");
        ck_assert_str_eq(ask_in(client, in_multi, "SETNX k x"), "0");
        ck_assert_str_eq(ask_in(client, in_multi, "SET k x NX"), "nil");
        ck_assert_str_eq(ask_in(client, in_multi, "RENAMENX k other"), "0");
        ck_assert_str_eq(ask_in(client, in_multi, "COPY k other"), "0");
        ck_assert_str_eq(ask_in(client, in_multi, "INCR k"),
                         "-ERR value is not an integer or out of range");
        ck_assert_str_eq(ask_in(client, in_multi, "STRLEN k"), text);
        ck_assert_str_eq(ask_in(client, in_multi, "DEL k"), "1");
        ck_assert_str_eq(ask_in(client, in_multi, "STRLEN k"), "0");
        ck_assert_str_eq(ask_in(client, in_multi, "TYPE k"), "+none");
        ck_assert_uint_eq(bytes_read, 0);
    }
    free(value);
    redisFree(client);
}
END_TEST

/* ---- Work outside of the engine --------------------------------------------------- */

enum { LARGE = 30 << 20 };

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* One client's requests, and how long they take. */
typedef struct asking {
    const char *format;
    const char *value;
    double seconds;
    pthread_mutex_t lock;
    bool is_over;
} asking;

static bool is_over(asking *of)
{
    pthread_mutex_lock(&of->lock);
    const bool over = of->is_over;
    pthread_mutex_unlock(&of->lock);
    return over;
}

static void *ask_large(void *argument)
{
    asking *of = argument;
    redisContext *client = dial();
    const double start = seconds_now();
    redisReply *reply = redisCommand(client, of->format, of->value, (size_t)LARGE);

    of->seconds = seconds_now() - start;
    ck_assert_ptr_nonnull(reply);
    ck_assert_int_ne(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
    redisFree(client);
    pthread_mutex_lock(&of->lock);
    of->is_over = true;
    pthread_mutex_unlock(&of->lock);
    return NULL;
}

/* The longest that another client waits meanwhile, over how long it takes. */
static double longest_share(redisContext *other, const char *format, const char *value)
{
    asking of = {.format = format, .value = value, .lock = PTHREAD_MUTEX_INITIALIZER};
    double longest = 0;
    pthread_t thread;

    pthread_create(&thread, NULL, ask_large, &of);
    while (!is_over(&of)) {
        const double start = seconds_now();

        assert_answer("+PONG", other, "PING");
        if (seconds_now() - start > longest)
            longest = seconds_now() - start;
    }
    pthread_join(thread, NULL);
    return longest / of.seconds;
}

/* Where a request would keep others waiting, one waits for most of the time that it takes, every
 * time; on a busy machine it may wait for as long now and then. */
START_TEST(large_values_keep_nobody_waiting)
{
    static const char *const formats[] = {
        "SET a %b", "SET a %b NX", "APPEND a %b", "MSET a %b b x", "STEM.PUTJSON j %b",
    };
    enum { ATTEMPTS = 10 };
    const double most = 0.4;
    redisContext *other = dial_patiently();
    char *value = malloc(LARGE);

    ck_assert_ptr_nonnull(value);
    memset(value, 'v', LARGE);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        double least = 1;

        if (strstr(formats[i], "JSON"))
            value[0] = value[LARGE - 1] = '"';
        for (int tries = 0; tries < ATTEMPTS && least > most; tries++) {
            const double share = longest_share(other, formats[i], value);

            least = share < least ? share : least;
            ck_assert_str_ne(ask(other, "DEL a b j"), "gone");
        }
        ck_assert_msg(least <= most, "%s keeps others waiting for %.2f of its time",
                      formats[i], least);
    }
    free(value);
    redisFree(other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server turns");
    TCase *stops = add_case(suite, "stops", 60), *large = add_case(suite, "large", 300);

    tcase_add_checked_fixture(stops, open_served, close_served);
    tcase_add_loop_test(stops, request_stopped_anywhere_lets_others_go_on, 0,
                        N_REQUESTS * N_FORMS);
    tcase_add_loop_test(stops, client_that_hangs_up_in_a_stopped_request_leaves_nothing,
                        0, N_REQUESTS * N_FORMS);
    tcase_add_test(stops,
                   client_that_is_stopped_in_exec_is_listed_without_its_transaction);
    tcase_add_test(stops,
                   random_key_among_keys_that_are_replaced_meanwhile_is_one_of_them);
    tcase_add_test(stops, more_requests_than_threads_wait_and_others_go_on);
    tcase_add_loop_test(
        stops, client_whose_user_is_removed_in_a_stopped_request_leaves_nothing, 0, 5);
    tcase_add_test(stops, many_slow_requests_are_each_answered);
    tcase_add_test(stops, server_that_ends_answers_what_has_stopped);
    tcase_add_loop_test(stops, what_is_told_of_a_value_is_right_and_does_not_read_it, 0,
                        8);
    tcase_add_checked_fixture(large, open_served, close_served);
    tcase_add_test(large, large_values_keep_nobody_waiting);
    return run_suite(suite);
}
