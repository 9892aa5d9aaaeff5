/*
 * What a server bears: ten thousand connections, clients that do not read, and a disk that is
 * full; it stays up, in bounded memory, serves the others, and loses nothing that it answered.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"
#include "random.h"
#include "tool_server.h"

enum { MANY = 10000, ALLOWED_KIB = 300 << 10 };

static void start(void)
{
    place_tool_server(temp_dir());
    start_tool_server();
    stem_close(open_tool_server());
}

static void stop(void)
{
    kill_tool_server(SIGTERM);
}

static int connect_raw(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    ck_assert_int_ge(fd, 0);
    strncpy(address.sun_path, tool_socket(), sizeof address.sun_path - 1);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_text(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void expect_text(int fd, const char *text)
{
    char got[64] = "";

    ck_assert_int_eq(recv(fd, got, strlen(text), MSG_WAITALL), (ssize_t)strlen(text));
    ck_assert_str_eq(got, text);
}

START_TEST(ten_thousand_connections_are_served)
{
    struct rlimit limit;
    int *fds = calloc(MANY, sizeof *fds), n = MANY;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    /* Where there may not be as many: as many as leave both some of their own. */
    if (limit.rlim_max < MANY + 2000)
        n = (int)limit.rlim_max / 2 - 100;
    ck_assert_int_gt(n, 100);
    for (int i = 0; i < n; i++) {
        fds[i] = connect_raw();
        if (i % 1000 == 0) {
            send_text(fds[i], "PING\r\n");
            expect_text(fds[i], "+PONG\r\n");
        }
    }
    for (int i = 0; i < n; i++)
        send_text(fds[i], "SET a 1\r\nGET a\r\n");
    for (int i = 0; i < n; i++)
        expect_text(fds[i], "+OK\r\n$1\r\n1\r\n");
    ck_assert_int_lt(tool_server_resident(), ALLOWED_KIB);
    for (int i = 0; i < n; i++)
        close(fds[i]);
    free(fds);
    stem_db *db = open_tool_server();
    assert_ok(stem_put(db, "b", 2));
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_client_that_stops_reading_a_large_scan_harms_nobody)
{
    enum { VALUES = 64, LEN = 1 << 20, SCANS = 160 };
    stem_db *db = open_tool_server();
    char *value = calloc(1, LEN), name[16];
    const int fd = connect_raw();
    int64_t n = 0;

    for (int i = 0; i < VALUES; i++) {
        snprintf(name, sizeof name, "%03d", i);
        assert_ok(stem_put(db, name, stem_bin(value, LEN)));
    }
    free(value);
    /* More than 1 GiB in all, of which nothing is read. */
    for (int i = 0; i < SCANS; i++)
        send_text(fd, "STEM.RANGE 0 \"\" \"\" FORWARD 0 8388608\r\n");
    for (int i = 0; i < 500; i++)
        assert_ok(stem_incr(db, "n", 1, 0, &n));
    ck_assert_int_eq(n, 500);
    ck_assert_int_lt(tool_server_resident(), ALLOWED_KIB);
    close(fd);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_connection_that_says_half_a_request_harms_nobody)
{
    enum { HALVES = 200 };
    int fds[HALVES];
    stem_db *db = open_tool_server();

    for (int i = 0; i < HALVES; i++) {
        fds[i] = connect_raw();
        send_text(fds[i],
                  i % 2 ? "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$60000000\r\nx" : "*2\r\n$3");
    }
    assert_ok(stem_put(db, "b", 2));
    /* What is claimed takes no memory before it has come. */
    ck_assert_int_lt(tool_server_resident(), ALLOWED_KIB);
    for (int i = 0; i < HALVES; i++)
        close(fds[i]);
    assert_ok(stem_close(db));
}
END_TEST

/* ---- A full disk ------------------------------------------------------------------ */

START_TEST(nothing_answered_is_lost_on_a_full_disk_and_then_killed)
{
    enum { KEYS = 4000, LEN = 4000 };
    static char answered[KEYS];
    const char *disk = temp_dir();
    char value[LEN], name[16];
    int n_answered = 0, n_refused = 0;

    ck_assert(enter_private_mounts());
    ck_assert_int_eq(mount("tmpfs", disk, "tmpfs", 0, "size=6m"), 0);
    place_tool_server(disk);
    start_tool_server();
    stem_db *db = open_tool_server();
    for (int i = 0; i < KEYS && n_refused < 50; i++) {
        for (size_t j = 0; j < sizeof value; j++)
            value[j] = (char)random_below(256);
        snprintf(name, sizeof name, "%d", i);
        const int code = stem_put(db, name, stem_bin(value, sizeof value));
        answered[i] = code == STEM_OK;
        n_answered += code == STEM_OK;
        n_refused += code != STEM_OK;
    }
    ck_assert_int_gt(n_answered, 100);
    ck_assert_int_ge(n_refused, 50);
    assert_ok(stem_has(db, "0"));
    kill_tool_server(SIGKILL);
    ck_assert_int_eq(mount("tmpfs", disk, "tmpfs", MS_REMOUNT, "size=64m"), 0);
    start_tool_server();
    for (int i = 0; i < KEYS; i++) {
        snprintf(name, sizeof name, "%d", i);
        if (answered[i])
            assert_ok(stem_has(db, name));
    }
    assert_ok(stem_put(db, "room again", 1));
    assert_ok(stem_close(db));
    kill_tool_server(SIGTERM);
    umount2(disk, MNT_DETACH);
}
END_TEST

static bool can_mount(void)
{
    int status;

    fflush(NULL);
    const pid_t child = fork();
    if (child == 0)
        _exit(enter_private_mounts() && mount("tmpfs", "/tmp", "tmpfs", 0, NULL) == 0
                  ? 0
                  : 1);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int main(void)
{
    Suite *suite = suite_create("server load");
    TCase *load = add_case(suite, "load", 120);

    tcase_add_checked_fixture(load, start, stop);
    tcase_add_test(load, ten_thousand_connections_are_served);
    tcase_add_test(load, a_client_that_stops_reading_a_large_scan_harms_nobody);
    tcase_add_test(load, a_connection_that_says_half_a_request_harms_nobody);
    if (can_mount()) {
        TCase *disk = add_case(suite, "disk", 120);

        tcase_add_test(disk, nothing_answered_is_lost_on_a_full_disk_and_then_killed);
    }
    return run_suite(suite);
}
