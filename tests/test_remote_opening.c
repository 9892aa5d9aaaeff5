/*
 * Opening a served database while its server is not there: a server that starts within the time
 * limit is waited for, and what cannot become a server is an error at once.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "place.h"
#include "process.h"
#include "stem.h"
#include "support.h"

/* ---- Where nothing listens -------------------------------------------------------- */

static const char *in_new_directory(const char *name)
{
    static char text[512];

    snprintf(text, sizeof text, "unix:%s", path_in(temp_dir(), name));
    return text;
}

static const char *missing_socket(void)
{
    return in_new_directory("socket");
}

/* As a server leaves it that was killed. */
static const char *abandoned_socket(void)
{
    const char *location = in_new_directory("socket");
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    ck_assert_uint_lt(strlen(location), sizeof at.sun_path);
    strcpy(at.sun_path, location + strlen("unix:"));
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    close(fd);
    return location;
}

/* Longer than an address of a socket may be. */
static const char *socket_of_a_long_path(void)
{
    static char text[512];
    const char *directory =
        path_in(temp_dir(), "ddddddddddddddddddddddddddddddddddddddddddddddddddddd"
                            "ddddddddddddddddddddddddddddddddddddddddddddddddddd");

    ck_assert_int_eq(mkdir(directory, 0700), 0);
    snprintf(text, sizeof text, "unix:%s/socket", directory);
    return text;
}

/* A port that is free, at least for now. */
static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static const char *free_port_as(const char *scheme)
{
    static char text[64];

    snprintf(text, sizeof text, "%s://127.0.0.1:%d", scheme, free_port());
    return text;
}

static const char *closed_port(void)
{
    return free_port_as("stem");
}

static const char *closed_port_for_tls(void)
{
    return free_port_as("stems");
}

typedef const char *location_maker(void);

static location_maker *const absent[] = {missing_socket, abandoned_socket, closed_port,
                                         socket_of_a_long_path, closed_port_for_tls};

enum { N_ABSENT = sizeof absent / sizeof *absent, N_SERVABLE = 3 };

/* ---- A server that starts again --------------------------------------------------- */

typedef struct late_server {
    pthread_t thread;
    const char *location;
    stem_db *db;
    stem_server *server;
} late_server;

static void *serve_late(void *argument)
{
    late_server *late = argument;
    char tcp[64];
    const char *listen[] = {late->location, NULL};

    if (strncmp(late->location, "stem://", 7) == 0) {
        snprintf(tcp, sizeof tcp, "tcp://%s", late->location + strlen("stem://"));
        listen[0] = tcp;
    }
    usleep(300000);
    assert_ok(stem_server_open(&late->server, late->db,
                               STEM_SERVER_OPTIONS(.listen = listen, .insecure = true)));
    return NULL;
}

START_TEST(opening_waits_for_a_server_that_starts)
{
    late_server late = {.location = absent[_i](), .db = new_database()};
    stem_db *db;

    stem_errmsg(); /* of this thread: nothing is left there by attempts */
    assert_ok(stem_put(late.db, "a", 7));
    pthread_create(&late.thread, NULL, serve_late, &late);
    assert_ok(stem_open(&db, late.location, STEM_OPTIONS(.timeout_ms = 20000)));
    ck_assert_str_eq(stem_errmsg(), "");
    ck_assert_int_eq(stem_get_int_or(db, "a", 0), 7);
    pthread_join(late.thread, NULL);
    assert_ok(stem_close(db));
    assert_ok(stem_server_close(late.server));
    assert_ok(stem_close(late.db));
}
END_TEST

START_TEST(opening_waits_no_longer_than_its_time_limit)
{
    enum { LIMIT_MS = 300 };
    const char *location = absent[_i]();
    const uint64_t before = stem_clock();
    stem_db *db;

    assert_code(stem_open(&db, location, STEM_OPTIONS(.timeout_ms = LIMIT_MS)), STEM_EIO);
    const uint64_t took_ms = (stem_clock() - before) / STEM_MILLISECOND;
    ck_assert_uint_ge(took_ms,
                      LIMIT_MS / 2); /* the pause before the last attempt may be long */
    ck_assert_uint_lt(took_ms, 10 * LIMIT_MS);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "cannot connect to "));
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), location));
}
END_TEST

/* ---- What is an error at once ----------------------------------------------------- */

static const char *socket_below_no_directory(void)
{
    return in_new_directory("none/socket");
}

static const char *file_that_is_no_socket(void)
{
    const char *location = in_new_directory("file");

    write_file(location + strlen("unix:"), "text");
    return location;
}

static const char *directory_as_socket(void)
{
    return in_new_directory("");
}

static const char *unknown_host(void)
{
    return "stem://no-such-host.invalid";
}

static const char *unknown_host_for_tls(void)
{
    return "stems://no-such-host.invalid";
}

static location_maker *const hopeless[] = {socket_below_no_directory,
                                           file_that_is_no_socket, directory_as_socket,
                                           unknown_host, unknown_host_for_tls};

START_TEST(what_cannot_become_a_server_is_an_error_at_once)
{
    enum { LIMIT_MS = 3600000 };
    const char *location = hopeless[_i]();
    const uint64_t before = stem_clock();
    stem_db *db;

    assert_code(stem_open(&db, location, STEM_OPTIONS(.timeout_ms = LIMIT_MS)), STEM_EIO);
    ck_assert_uint_lt(stem_clock() - before,
                      15 * STEM_SECOND); /* a resolver's own limit */
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), location));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("remote opening");
    TCase *waits = add_case(suite, "waits", 60), *fails = add_case(suite, "fails", 60);

    tcase_add_loop_test(waits, opening_waits_for_a_server_that_starts, 0, N_SERVABLE);
    tcase_add_loop_test(waits, opening_waits_no_longer_than_its_time_limit, 0, N_ABSENT);
    tcase_add_loop_test(fails, what_cannot_become_a_server_is_an_error_at_once, 0,
                        sizeof hopeless / sizeof *hopeless);
    return run_suite(suite);
}
