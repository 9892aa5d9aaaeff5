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
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include "place.h"
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

int main(void)
{
    Suite *suite = suite_create("listening");
    TCase *descriptors = add_case(suite, "descriptors", 20);
    TCase *places = add_case(suite, "places", 20);

    tcase_add_checked_fixture(descriptors, open_database, close_database);
    tcase_add_test(descriptors, what_could_not_listen_is_closed_once);
    tcase_add_test(descriptors, servers_of_one_process_share_its_descriptors);

    tcase_add_checked_fixture(places, open_database, close_database);
    tcase_add_test(places, a_socket_that_has_taken_anothers_place_stays);
    tcase_add_test(places, a_socket_is_removed_where_it_was_made);
    tcase_add_test(places, of_servers_that_begin_at_one_place_at_once_one_gets_it);
    tcase_add_test(places, a_lock_that_a_stranger_keeps_is_not_waited_for_for_ever);
    return run_suite(suite);
}
