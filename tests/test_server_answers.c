/*
 * Each request gets exactly one answer, in order: over every transport, at every depth, for
 * answers of every size, with writes among reads, and however slowly the client receives.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "dialogue.h"
#include "random.h"
#include "stem.h"
#include "stream.h"
#include "support.h"

#ifdef HAVE_OPENSSL
#include "certificate.h"
#endif

static stem_db *db;
static stem_server *clear, *secure;
static size_t max_input; /* 0: as usual */

/* ---- The server ------------------------------------------------------------------- */

enum transport { UNIX, TCP, TLS };
static const char *const names[] = {"Unix", "TCP", "TLS"};
#ifdef HAVE_OPENSSL
enum { N_TRANSPORTS = TLS + 1 };
#else
enum { N_TRANSPORTS = TCP + 1 };
#endif

static const char *address_of(enum transport transport)
{
    return transport == TLS ? stem_server_address(secure, 0)
                            : stem_server_address(clear, (size_t)transport);
}

static void open_secure(void)
{
#ifdef HAVE_OPENSSL
    static const char *const listen[] = {"tcp://127.0.0.1:0", NULL};
    const char *certificate = path_in(temp_dir(), "certificate.pem");
    const char *key = path_in(temp_dir(), "key.pem");

    write_certificate("DNS:localhost", certificate, key);
    assert_ok(
        stem_server_open(&secure, db,
                         STEM_SERVER_OPTIONS(.listen = listen, .insecure = true,
                                             .tls_certificate = certificate,
                                             .tls_key = key, .max_input_bytes = max_input,
                                             .max_output_bytes = MAX_OUTPUT)));
#endif
}

static void open_all(void)
{
    const char *listen[] = {NULL, "tcp://127.0.0.1:0", NULL};
    static char local[512];

    snprintf(local, sizeof local, "unix:%s", path_in(temp_dir(), "s"));
    listen[0] = local;
    random_start();
    assert_ok(stem_open(&db, "mem:", NULL));
    assert_ok(stem_server_open(&clear, db,
                               STEM_SERVER_OPTIONS(.listen = listen, .insecure = true,
                                                   .max_input_bytes = max_input,
                                                   .max_output_bytes = MAX_OUTPUT)));
    open_secure();
    put_values(db);
}

static void open_small(void)
{
    max_input = 2 * MIB;
    open_all();
}

static void close_all(void)
{
    assert_ok(stem_server_close(clear));
    assert_ok(stem_server_close(secure));
    assert_ok(stem_close(db));
    free_values();
}

/* ---- Generated exchanges ------------------------------------------------------------ */

static const int depths[] = {1, 2, 5, 40, 300, 1000};
enum { N_DEPTHS = sizeof depths / sizeof *depths };

/* One client's exchanges, each deeper than the one before. */
typedef struct client {
    pthread_t thread;
    script script;
    enum transport transport;
    enum stream_pace pace;
    uint64_t seed;
    const char *problem;
    char text[512];
} client;

/* What a half-closed connection is for is one exchange. */
static const char *exchange_all(client *of)
{
    const char *problem = NULL;
    stream with = {.fd = -1};

    for (int i = 0; i < N_DEPTHS && !problem; i++) {
        if (with.fd < 0 &&
            !stream_open(&with, address_of(of->transport), of->transport == TLS))
            return "it could not connect";
        write_script(&of->script, depths[i]);
        problem = stream_exchange(&with, &of->script.requests, &of->script.due, of->pace);
        if (of->pace == PACE_HALF_CLOSE) {
            stream_close(&with);
            with.fd = -1;
        }
    }
    if (with.fd >= 0)
        stream_close(&with);
    return problem;
}

static void *run_client(void *argument)
{
    client *of = argument;

    random_state = of->seed;
    const char *problem = exchange_all(of);
    if (problem)
        snprintf(of->text, sizeof of->text, "%s, seed %llu: %s", names[of->transport],
                 (unsigned long long)of->seed, problem);
    of->problem = problem ? of->text : NULL;
    free_script(&of->script);
    return NULL;
}

static atomic_bool is_contending;

static void *contend(void *unused)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    while (atomic_load(&is_contending)) {
        stem_put(db, "contended", "left");
        nanosleep(&pause, NULL);
        stem_put(db, "contended", "shut");
    }
    return unused;
}

static void run_all(client *clients, size_t n)
{
    assert_ok(stem_put(db, "own0", ""));
    assert_ok(stem_put(db, "own1", ""));
    for (size_t i = 0; i < n; i++) {
        clients[i].script.client = (int)i;
        clients[i].seed = random_state + 1000 * i;
    }
    for (size_t i = 0; i < n; i++)
        pthread_create(&clients[i].thread, NULL, run_client, &clients[i]);
    for (size_t i = 0; i < n; i++)
        pthread_join(clients[i].thread, NULL);
}

/* Two clients at once, of two paces, with a third that writes what groups have read. */
START_TEST(each_request_gets_one_answer_in_order)
{
    const enum transport transport = (enum transport)(_i / N_PACES);
    client clients[2] = {
        {.transport = transport, .pace = (enum stream_pace)(_i % N_PACES)},
        {.transport = transport, .pace = PACE_EAGER}};
    pthread_t contender;

    assert_ok(stem_put(db, "contended", "left"));
    atomic_store(&is_contending, true);
    pthread_create(&contender, NULL, contend, NULL);
    run_all(clients, 2);
    atomic_store(&is_contending, false);
    pthread_join(contender, NULL);
    for (size_t i = 0; i < 2; i++)
        ck_assert_msg(!clients[i].problem, "%s", clients[i].problem);
}
END_TEST

/* ---- Single cases ------------------------------------------------------------------- */

static void exchange(enum transport transport, const stem_buffer *requests,
                     const stem_buffer *due, enum stream_pace pace)
{
    stream with;

    ck_assert(stream_open(&with, address_of(transport), transport == TLS));
    const char *problem = stream_exchange(&with, requests, due, pace);
    ck_assert_msg(!problem, "%s: %s", names[transport], problem);
    stream_close(&with);
}

/* More than the sockets between them hold, either way. */
START_TEST(a_client_may_send_all_before_it_receives)
{
    enum { REQUESTS = 30000 };
    stem_buffer requests = {0}, due = {0};

    for (int i = 0; i < REQUESTS; i++) {
        add_text(&requests, "*2\r\n$4\r\nECHO\r\n");
        add_bulk(&requests, bytes[4], sizes[4]);
        add_bulk(&due, bytes[4], sizes[4]);
    }
    exchange((enum transport)_i, &requests, &due, PACE_SEND_ALL);
    free(requests.data);
    free(due.data);
}
END_TEST

static const struct {
    const char *before, *request, *after, *due_after;
} refused[] = {
    {"", "GET v17\r\n", "STRLEN v17\r\n", ":3145728\r\n"},
    {"", "MGET v12 v13\r\n", "GET v01\r\n", NULL},
    {"", "STEM.READ 0 v12 v13\r\n", "GET v01\r\n", NULL},
    {"", "SET v17 x GET\r\n", "STRLEN v17\r\n", ":3145728\r\n"},
    {"", "GETDEL v17\r\n", "STRLEN v17\r\n", ":3145728\r\n"},
    {"MULTI\r\nINCR n\r\nGET v17\r\nINCR n\r\n", "EXEC\r\n", "EXISTS n\r\n", ":0\r\n"},
    {"MULTI\r\nSET n 1\r\nGET v12\r\nGET v12\r\n", "EXEC\r\n", "EXISTS n\r\n", ":0\r\n"},
};
enum { N_REFUSED = sizeof refused / sizeof *refused };

/* What it would have written is not: the client cannot tell otherwise. */
START_TEST(an_answer_that_is_too_large_is_an_error_in_its_place)
{
    stem_buffer requests = {0}, due = {0};
    stream with;

    for (int times = 0; times < 20; times++) {
        add_text(&requests, "PING\r\nINCR other\r\n%s%s%s", refused[_i].before,
                 refused[_i].request, refused[_i].after);
        add_text(&due, "+PONG\r\n:%d\r\n", times + 1);
        for (const char *at = refused[_i].before; (at = strchr(at, '\n')); at++)
            stem_buffer_add_text(
                &due, at == strchr(refused[_i].before, '\n') ? "+OK\r\n" : "+QUEUED\r\n");
        stem_buffer_add_text(&due, too_large);
        if (refused[_i].due_after)
            stem_buffer_add_text(&due, refused[_i].due_after);
        else
            add_bulk(&due, bytes[1], sizes[1]);
    }
    ck_assert(stream_open(&with, address_of(UNIX), false));
    const char *problem = stream_exchange(&with, &requests, &due, PACE_EAGER);
    ck_assert_msg(!problem, "%s: %s", refused[_i].request, problem);
    stream_close(&with);
    free(requests.data);
    free(due.data);
}
END_TEST

START_TEST(quit_behind_a_pipeline_ends_the_connection_behind_its_answers)
{
    stem_buffer requests = {0}, due = {0};

    for (int i = 0; i < 500; i++) {
        add_text(&requests, "GET v09\r\nINCR n\r\n");
        add_bulk(&due, bytes[9], sizes[9]);
        add_text(&due, ":%d\r\n", i + 1);
    }
    add_text(&requests, "QUIT\r\nGET v01\r\n");
    add_text(&due, "+OK\r\n");
    stream with;
    ck_assert(stream_open(&with, address_of((enum transport)_i), _i == TLS));
    const char *problem = stream_exchange(&with, &requests, &due, PACE_SEND_ALL);
    ck_assert_msg(!problem, "%s: %s", names[_i], problem);
    for (int i = 0; i < 100 && !with.has_ended; i++) {
        char more;

        stream_wait(&with, true, false, 100);
        ck_assert_uint_eq(stream_receive(&with, &more, 1), 0);
    }
    ck_assert(with.has_ended);
    stream_close(&with);
    free(requests.data);
    free(due.data);
}
END_TEST

/* In the middle of answers, of a request, and of a transaction. */
START_TEST(a_client_that_goes_while_answers_are_due_does_no_harm)
{
    static const char *const endings[] = {"", "*2\r\n$3\r\nGE", "MULTI\r\nINCR n\r\n",
                                          "KEYS *\r\n", "STEM.SYNC\r\n"};
    stem_buffer requests = {0}, due = {0};

    for (int i = 0; i < 25; i++) {
        stream with;

        requests.len = 0;
        for (int n = 0; n < 100; n++)
            add_text(&requests, "GET v11\r\nSET n %d\r\n", n);
        stem_buffer_add_text(&requests, endings[i % 5]);
        ck_assert(stream_open(&with, address_of((enum transport)_i), _i == TLS));
        stream_send(&with, requests.data, requests.len);
        if (i % 2 == 1)
            stream_wait(&with, true, false, 1000);
        stream_close(&with);
    }
    requests.len = 0;
    add_text(&requests, "DEL n\r\nPING\r\n");
    add_text(&due, ":1\r\n+PONG\r\n");
    exchange((enum transport)_i, &requests, &due, PACE_EAGER);
    free(requests.data);
    free(due.data);
}
END_TEST

/* The server takes no more of it, so that the error may not arrive. */
START_TEST(a_request_that_finds_no_room_ends_its_own_connection)
{
    enum { LARGE = 4 * MIB };
    static const char busy[] = "-BUSY too many bytes of requests are under way\r\n";
    char received[sizeof busy] = "", *zeros = calloc(1, LARGE);
    stem_buffer request = {0}, ping = {0}, pong = {0};
    size_t len = 0;
    stream with;

    stem_buffer_add_text(&request, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n");
    add_bulk(&request, zeros, LARGE);
    ck_assert(stream_open(&with, address_of((enum transport)_i), _i == TLS));
    for (size_t sent = 0; sent < request.len && !with.has_ended;) {
        stream_wait(&with, true, true, 100);
        /* The first little for itself: buffers do not end where TLS's records do. */
        sent +=
            stream_send(&with, request.data + sent, sent == 0 ? 100 : request.len - sent);
        len += stream_receive(&with, received + len, sizeof received - 1 - len);
    }
    for (int i = 0; i < 100 && !with.has_ended; i++) {
        stream_wait(&with, true, false, 100);
        len += stream_receive(&with, received + len, sizeof received - len);
    }
    ck_assert(with.has_ended);
    ck_assert_uint_le(len, strlen(busy));
    ck_assert_int_eq(memcmp(received, busy, len), 0);
    stem_buffer_add_text(&ping, "PING\r\n");
    stem_buffer_add_text(&pong, "+PONG\r\n");
    exchange((enum transport)_i, &ping, &pong, PACE_EAGER);
    stream_close(&with);
    free(request.data);
    free(ping.data);
    free(pong.data);
    free(zeros);
}
END_TEST

static void *close_clear(void *unused)
{
    assert_ok(stem_server_close(clear));
    clear = NULL;
    return unused;
}

/* Answers to what it has taken, and nothing behind them. */
START_TEST(a_server_that_ends_answers_in_order_until_it_does)
{
    enum { REQUESTS = 400 };
    stem_buffer requests = {0}, due = {0}, received = {0};
    pthread_t closer;
    stream with;

    for (int i = 0; i < REQUESTS; i++) {
        add_text(&requests, "GET v10\r\nINCR n\r\n");
        add_bulk(&due, bytes[10], sizes[10]);
        add_text(&due, ":%d\r\n", i + 1);
    }
    ck_assert(stream_open(&with, address_of(UNIX), false));
    ck_assert_uint_eq(stream_send(&with, requests.data, requests.len), requests.len);
    stream_wait(&with, true, false, 10000);
    pthread_create(&closer, NULL, close_clear, NULL);
    while (!with.has_ended) {
        char *room = stem_buffer_room(&received, 65536);

        stream_wait(&with, true, false, 1000);
        received.len -= 65536 - stream_receive(&with, room, 65536);
    }
    pthread_join(closer, NULL);
    ck_assert_uint_eq(received.len, due.len);
    ck_assert_int_eq(memcmp(received.data, due.data, due.len), 0);
    stream_close(&with);
    free(requests.data);
    free(due.data);
    free(received.data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server_answers");
    TCase *generated = tcase_create("generated"), *single = tcase_create("single"),
          *small = tcase_create("small");

    tcase_add_checked_fixture(generated, open_all, close_all);
    tcase_set_timeout(generated, 180);
    tcase_add_loop_test(generated, each_request_gets_one_answer_in_order, 0,
                        N_TRANSPORTS * N_PACES);
    suite_add_tcase(suite, generated);
    tcase_add_checked_fixture(single, open_all, close_all);
    tcase_set_timeout(single, 180);
    tcase_add_loop_test(single, a_client_may_send_all_before_it_receives, 0,
                        N_TRANSPORTS);
    tcase_add_loop_test(single, an_answer_that_is_too_large_is_an_error_in_its_place, 0,
                        N_REFUSED);
    tcase_add_loop_test(single,
                        quit_behind_a_pipeline_ends_the_connection_behind_its_answers, 0,
                        N_TRANSPORTS);
    tcase_add_loop_test(single, a_client_that_goes_while_answers_are_due_does_no_harm, 0,
                        N_TRANSPORTS);
    tcase_add_test(single, a_server_that_ends_answers_in_order_until_it_does);
    suite_add_tcase(suite, single);
    tcase_add_checked_fixture(small, open_small, close_all);
    tcase_set_timeout(small, 60);
    tcase_add_loop_test(small, a_request_that_finds_no_room_ends_its_own_connection, 0,
                        N_TRANSPORTS);
    suite_add_tcase(suite, small);
    return run_suite(suite);
}
