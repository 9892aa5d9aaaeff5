/*
 * Where a server listens: its descriptors, its sockets' names, and its port for metrics, also
 * when something fails on the way.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "place.h"
#include "raw_client.h"
#include "served.h"

/* How often a number was closed that nothing had open. */
static atomic_int closed_in_vain;

int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_close(int fd)
{
    const int answer = __real_close(fd);

    if (answer != 0 && errno == EBADF)
        closed_in_vain++;
    return answer;
}

static stem_db *db;

static void open_database(void)
{
    db = new_database();
}

static void close_database(void)
{
    assert_ok(stem_close(db));
}

/* ---- Descriptors ------------------------------------------------------------------ */

START_TEST(what_could_not_listen_is_closed_once)
{
    /* Nobody makes a socket there. */
    const char *listen[] = {"unix:/proc/socket", NULL};
    stem_server *server;

    assert_failure(stem_server_open(&server, db, STEM_SERVER_OPTIONS(.listen = listen)),
                   STEM_EIO);
    ck_assert_int_eq(closed_in_vain, 0);
}
END_TEST

/* Whether one more connection to the address is served, and not turned away; kept open. */
static bool is_served_at(const char *path, redisContext **client)
{
    *client = redisConnectUnix(path);
    ck_assert_int_eq((*client)->err, 0);
    return strcmp(ask(*client, "PING"), "+PONG") == 0;
}

START_TEST(servers_of_one_process_share_its_descriptors)
{
    enum { DESCRIPTORS = 80, ALLOWED = DESCRIPTORS / 2 };
    struct rlimit limit, low;
    stem_server *servers[2];
    redisContext *clients[ALLOWED + 1];
    char paths[2][512];
    int n = 0;

    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &limit);
    low = (struct rlimit){.rlim_cur = DESCRIPTORS, .rlim_max = limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (int i = 0; i < 2; i++) {
        servers[i] = serve(db, NULL);
        snprintf(paths[i], sizeof paths[i], "%s", socket_path());
    }
    /* The clients are of this process as well. */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (n <= ALLOWED && is_served_at(paths[n % 2], &clients[n]))
        n++;
    ck_assert_int_eq(n, ALLOWED);
    for (int i = 0; i <= ALLOWED; i++)
        redisFree(clients[i]);
    for (int i = 0; i < 2; i++)
        assert_ok(stem_server_close(servers[i]));
}
END_TEST

/* ---- Places ----------------------------------------------------------------------- */

START_TEST(a_socket_that_has_taken_anothers_place_stays)
{
    stem_server *first = serve(db, NULL), *second;
    const char *listen[] = {served_at(), NULL};

    ck_assert_int_eq(unlink(socket_path()), 0);
    assert_ok(stem_server_open(&second, db, STEM_SERVER_OPTIONS(.listen = listen)));
    assert_ok(stem_server_close(first));
    redisContext *client = dial();
    assert_answer("+PONG", client, "PING");
    redisFree(client);
    assert_ok(stem_server_close(second));
    ck_assert_int_ne(access(socket_path(), F_OK), 0);
}
END_TEST

START_TEST(a_socket_is_removed_where_it_was_made)
{
    const char *dir = temp_dir(), *listen[] = {"unix:here", NULL};
    stem_server *server;

    ck_assert_int_eq(chdir(dir), 0);
    assert_ok(stem_server_open(&server, db, STEM_SERVER_OPTIONS(.listen = listen)));
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(access(path_in(dir, "here"), F_OK), 0);
    assert_ok(stem_server_close(server));
    ck_assert_int_ne(access(path_in(dir, "here"), F_OK), 0);
}
END_TEST

typedef struct rival {
    pthread_barrier_t *start;
    const char *const *listen;
    stem_server *server;
    int code;
} rival;

static void *open_at_once(void *argument)
{
    rival *this = argument;

    pthread_barrier_wait(this->start);
    this->code =
        stem_server_open(&this->server, db, STEM_SERVER_OPTIONS(.listen = this->listen));
    return NULL;
}

START_TEST(of_servers_that_begin_at_one_place_at_once_one_gets_it)
{
    enum { RIVALS = 4, TIMES = 30 };
    char address[512];
    const char *listen[] = {address, NULL};
    pthread_t threads[RIVALS];
    rival rivals[RIVALS];
    pthread_barrier_t start;

    snprintf(address, sizeof address, "unix:%s", path_in(temp_dir(), "socket"));
    pthread_barrier_init(&start, NULL, RIVALS);
    for (int time = 0; time < TIMES; time++) {
        int n_open = 0, n_refused = 0;

        for (int i = 0; i < RIVALS; i++) {
            rivals[i] = (rival){.start = &start, .listen = listen};
            pthread_create(&threads[i], NULL, open_at_once, &rivals[i]);
        }
        for (int i = 0; i < RIVALS; i++) {
            pthread_join(threads[i], NULL);
            n_open += rivals[i].code == STEM_OK;
            n_refused += rivals[i].code == STEM_ELOCKED;
        }
        for (int i = 0; i < RIVALS; i++)
            if (rivals[i].code == STEM_OK)
                assert_ok(stem_server_close(rivals[i].server));
        ck_assert_int_eq(n_open, 1);
        ck_assert_int_eq(n_refused, RIVALS - 1);
    }
    pthread_barrier_destroy(&start);
}
END_TEST

START_TEST(a_lock_that_a_stranger_keeps_is_not_waited_for_for_ever)
{
    const char *place = temp_dir(), *listen[] = {"unix:here", NULL};
    const int dir = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    stem_server *server;

    ck_assert_int_eq(flock(dir, LOCK_EX), 0);
    ck_assert_int_eq(chdir(place), 0);
    assert_ok(stem_server_open(&server, db, STEM_SERVER_OPTIONS(.listen = listen)));
    assert_ok(stem_server_close(server));
    close(dir);
}
END_TEST

/* ---- Metrics ---------------------------------------------------------------------- */

static stem_server *serve_metrics(void)
{
    return serve(db, STEM_SERVER_OPTIONS(.metrics = "127.0.0.1:0"));
}

/* Sends the text to the server's port for metrics, in pieces with a pause between where there is
 * a '|', and asserts how the answer begins and what is in it. */
static void assert_scrape(const stem_server *server, const char *request,
                          const char *beginning, const char *part)
{
    stem_buffer piece = {0};
    raw_client client;

    raw_open(&client, stem_server_metrics_address(server));
    for (const char *from = request; *from;) {
        const size_t len = strcspn(from, "|");

        piece.len = 0;
        stem_buffer_add(&piece, from, len);
        raw_send(&client, &piece);
        from += from[len] ? len + 1 : len;
        if (*from)
            usleep(20000);
    }
    const stem_slice text = raw_rest(&client);
    ck_assert_uint_gt(text.len, strlen(beginning));
    ck_assert_mem_eq(text.data, beginning, strlen(beginning));
    ck_assert_ptr_nonnull(memmem(text.data, text.len, part, strlen(part)));
    raw_close(&client);
    free(piece.data);
}

START_TEST(metrics_are_served_and_nothing_else)
{
    static const struct {
        const char *request, *beginning, *part;
    } cases[] = {
        {"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n",
         "\nstem_connected_clients 0\n"},
        {"GET /metrics?a=b HTTP/1.0\n\n", "HTTP/1.1 200 OK\r\n",
         "# TYPE stem_commits_total counter\n"},
        {"GE|T /metrics HTTP/1.1\r\nHost: a\r|\n\r|\n", "HTTP/1.1 200 OK\r\n",
         "\nstem_uptime_seconds "},
        {"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n",
         "Connection: close\r\n\r\n"},
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ", "Content-Length: 0\r\n"},
        {"GET /metricsandmore HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ", "\r\n\r\n"},
        {"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 405 ",
         "Allow: GET, HEAD\r\n"},
        {"nonsense\r\n\r\n", "HTTP/1.1 400 ", "\r\n\r\n"},
        {"GET /metrics\r\n\r\n", "HTTP/1.1 400 ", "\r\n\r\n"},
    };
    stem_server *server = serve_metrics();

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_scrape(server, cases[i].request, cases[i].beginning, cases[i].part);
    ck_assert_ptr_null(stem_server_address(server, 1));
    assert_ok(stem_server_close(server));
}
END_TEST

static void send_text(const raw_client *client, const char *text)
{
    ck_assert_int_eq(send(client->fd, text, strlen(text), MSG_NOSIGNAL),
                     (ssize_t)strlen(text));
}

enum { MOST_SCRAPES = 8 };

START_TEST(silent_metrics_connections_take_few_descriptors)
{
    enum { SILENT = 50 };
    stem_server *server = serve_metrics();
    raw_client silent[SILENT];
    redisContext *client = dial();

    for (int i = 0; i < SILENT; i++)
        raw_open(&silent[i], stem_server_metrics_address(server));
    for (int i = 0; i < SILENT - MOST_SCRAPES; i++)
        ck_assert_uint_eq(raw_rest(&silent[i]).len, 0);
    assert_answer("+PONG", client, "PING");
    for (int i = 0; i < SILENT; i++)
        raw_close(&silent[i]);
    redisFree(client);
    assert_ok(stem_server_close(server));
}
END_TEST

/* What a connection of the metrics port may do that takes a place and does not give it back. */
static const char *const dawdling[] = {
    "",                                     /* idle */
    "G",                                    /* a request that never becomes whole */
    "GET /metrics HTTP/1.1\r\nHost: a\r\n", /* the same, all but its end */
    "GET /metrics HTTP/1.1\r\n\r\n",        /* the answer is not read */
    "GET /metrics HTTP/1.1\r\n\r\nmore",    /* neither by one that sends on */
    "POST / HTTP/1.1\r\n\r\n",
};

enum { N_DAWDLING = sizeof dawdling / sizeof *dawdling };

/* Each kind alone, and all of them by turns, before and between scrapes. */
START_TEST(dawdling_metrics_connections_keep_no_scrape_out)
{
    enum { MOST = 3 * MOST_SCRAPES, DRIPS = 3 };
    stem_server *server = serve_metrics();
    raw_client clients[MOST];

    for (int n = MOST_SCRAPES; n <= MOST; n += MOST_SCRAPES) {
        for (int i = 0; i < n; i++) {
            const int kind = _i < N_DAWDLING ? _i : i % N_DAWDLING;

            raw_open(&clients[i], stem_server_metrics_address(server));
            send_text(&clients[i], dawdling[kind]);
        }
        for (int drip = 0; drip < DRIPS; drip++) {
            /* A byte now and then makes none of them less idle. */
            for (int i = 0; i < n; i++)
                send(clients[i].fd, "x", 1, MSG_NOSIGNAL);
            assert_scrape(server, "GET /metr|ics HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n",
                          "\nstem_uptime_seconds ");
        }
        for (int i = 0; i < n; i++)
            raw_close(&clients[i]);
    }
    assert_ok(stem_server_close(server));
}
END_TEST

START_TEST(scrapes_beside_a_flood_of_idle_connections_are_answered)
{
    enum { TIMES = 200, AT_ONCE = 64 };
    static const char request[] = "GET /metrics HTTP/1.1\r\n\r\n";
    stem_server *server = serve_metrics();
    raw_client idle[AT_ONCE], scrape;

    for (int time = 0; time < TIMES; time++) {
        raw_open(&scrape, stem_server_metrics_address(server));
        send_text(&scrape, request);
        for (int i = 0; i < AT_ONCE; i++)
            raw_open(&idle[i], stem_server_metrics_address(server));
        const stem_slice text = raw_rest(&scrape);
        ck_assert_uint_gt(text.len, sizeof "HTTP/1.1 200 OK");
        ck_assert_mem_eq(text.data, "HTTP/1.1 200 OK", sizeof "HTTP/1.1 200 OK" - 1);
        raw_close(&scrape);
        for (int i = 0; i < AT_ONCE; i++)
            raw_close(&idle[i]);
    }
    assert_ok(stem_server_close(server));
}
END_TEST

static double cpu_seconds(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* Leaves this process so many numbers for descriptors. */
static void leave_descriptors(int n)
{
    const int next = dup(STDIN_FILENO);
    struct rlimit limit;

    close(next);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = (rlim_t)(next + n);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void assert_empty(const char *path)
{
    struct stat status;

    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, 0);
}

START_TEST(without_descriptors_a_port_waits_in_silence)
{
    const char *said = path_in(temp_dir(), "said");
    stem_server *server = serve_metrics();
    const char *addresses[] = {stem_server_metrics_address(server), served_at()};
    stem_buffer request = {0};
    struct rlimit limit;
    raw_client client;

    stem_buffer_add_text(&request,
                         _i == 0 ? "GET /metrics HTTP/1.1\r\n\r\n" : "QUIT\r\n");
    getrlimit(RLIMIT_NOFILE, &limit);
    ck_assert_ptr_nonnull(freopen(said, "w", stderr));
    leave_descriptors(1); /* the client's */
    raw_open(&client, addresses[_i]);
    const double before = cpu_seconds();
    usleep(400000);
    ck_assert(cpu_seconds() - before < 0.1);
    setrlimit(RLIMIT_NOFILE, &limit);
    raw_send(&client, &request);
    ck_assert_uint_gt(raw_rest(&client).len, 0);
    raw_close(&client);
    free(request.data);
    assert_ok(stem_server_close(server));
    assert_empty(said);
}
END_TEST

START_TEST(a_server_that_finds_no_descriptors_says_so_alone)
{
    const char *said = path_in(temp_dir(), "said");
    const char *listen[] = {"tcp://127.0.0.1:0", NULL};
    stem_server *server;
    struct rlimit limit;
    int code = STEM_EIO;

    getrlimit(RLIMIT_NOFILE, &limit);
    ck_assert_ptr_nonnull(freopen(said, "w", stderr));
    for (int n = 0; code != STEM_OK; n++) {
        ck_assert_int_lt(n, 64);
        leave_descriptors(n);
        code = stem_server_open(&server, db,
                                STEM_SERVER_OPTIONS(.listen = listen, .insecure = true));
        if (code != STEM_OK)
            ck_assert_int_eq(code, STEM_EIO);
    }
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_ok(stem_server_close(server));
    assert_empty(said);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listening");
    TCase *descriptors = add_case(suite, "descriptors", 20);
    TCase *places = add_case(suite, "places", 20);
    TCase *metrics = add_case(suite, "metrics", 20);

    tcase_add_checked_fixture(descriptors, open_database, close_database);
    tcase_add_test(descriptors, what_could_not_listen_is_closed_once);
    tcase_add_test(descriptors, servers_of_one_process_share_its_descriptors);

    tcase_add_checked_fixture(places, open_database, close_database);
    tcase_add_test(places, a_socket_that_has_taken_anothers_place_stays);
    tcase_add_test(places, a_socket_is_removed_where_it_was_made);
    tcase_add_test(places, of_servers_that_begin_at_one_place_at_once_one_gets_it);
    tcase_add_test(places, a_lock_that_a_stranger_keeps_is_not_waited_for_for_ever);

    tcase_add_checked_fixture(metrics, open_database, close_database);
    tcase_add_test(metrics, metrics_are_served_and_nothing_else);
    tcase_add_test(metrics, silent_metrics_connections_take_few_descriptors);
    tcase_add_loop_test(metrics, dawdling_metrics_connections_keep_no_scrape_out, 0,
                        N_DAWDLING + 1);
    tcase_add_test(metrics, scrapes_beside_a_flood_of_idle_connections_are_answered);
    tcase_add_loop_test(metrics, without_descriptors_a_port_waits_in_silence, 0, 2);
    tcase_add_test(metrics, a_server_that_finds_no_descriptors_says_so_alone);
    return run_suite(suite);
}
