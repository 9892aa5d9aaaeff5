/*
 * Served databases through the public calls, with a small server: threads, broken connections,
 * a server that forgets, and fork. What is committed is committed once.
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"
#include "small_server.h"
#include "stem.h"
#include "support.h"
#include "wire_peer.h"

enum { SLOTS = 3, N_THREADS = 6, N_INCREMENTS = 200 };

static stem_db *open_served(void)
{
    stem_db *db;

    assert_ok(stem_open(&db, start_small_server(SLOTS), NULL));
    return db;
}

static void close_served(stem_db *db)
{
    assert_ok(stem_close(db));
    stop_small_server();
}

static void put_numbers(stem_db *db, int n)
{
    for (int i = 0; i < n; i++) {
        char key[16];

        snprintf(key, sizeof key, "%05d", i);
        assert_ok(stem_put(db, key, i));
    }
}

static void assert_counts(stem_iter *iter, int from, int to, int step)
{
    for (int i = from; i != to; i += step) {
        int64_t n;

        ck_assert_msg(stem_iter_next(iter), "%d: %s", i, stem_errmsg());
        assert_ok(stem_as_int(stem_iter_value(iter), &n));
        ck_assert_int_eq(n, i);
    }
}

START_TEST(typed_values_and_sub_databases_are_as_in_a_directory)
{
    stem_db *db = open_served();
    stem_db *user = stem_sub(db, "users", "42");
    const float numbers[] = {1, 2, 3};
    char *text;
    stem_value array;

    assert_ok(stem_put(user, "name", "Ada"));
    assert_ok(stem_put_value(user, "vector", stem_vec(numbers, 3)));
    assert_ok(stem_get_str(user, "name", &text, NULL));
    ck_assert_str_eq(text, "Ada");
    stem_free(text);
    assert_ok(stem_get_array(user, "vector", STEM_F32, &array));
    ck_assert_mem_eq(array.as.array.data, numbers, sizeof numbers);
    stem_value_free(&array);
    assert_code(stem_get_str(db, "name", &text, NULL), STEM_NOTFOUND);
    assert_code(stem_insert(user, "name", "Bob"), STEM_EXISTS);
    assert_ok(stem_del(user, "name"));
    assert_code(stem_has(user, "name"), STEM_NOTFOUND);
    assert_ok(stem_close(user));
    close_served(db);
}
END_TEST

/* Longer than what one message of the socket takes. */
START_TEST(a_large_value_and_a_large_commit_go_and_come_whole)
{
    enum { LARGE = 20 << 20 };
    stem_db *db = open_served();
    char *bytes = malloc(LARGE);
    void *read;
    size_t len;

    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (char)(i * 2654435761U >> 24);
    assert_ok(stem_put_value(db, "large", stem_bin(bytes, LARGE)));
    assert_ok(stem_get_bin(db, "large", &read, &len));
    ck_assert_uint_eq(len, LARGE);
    ck_assert(memcmp(read, bytes, LARGE) == 0);
    stem_free(read);
    free(bytes);
    close_served(db);
}
END_TEST

/* ---- Broken connections ----------------------------------------------------------- */

static void *increment(void *db)
{
    for (int i = 0; i < N_INCREMENTS; i++) {
        int64_t now;

        assert_ok(stem_incr(db, "shared", 1, 0, &now));
    }
    return NULL;
}

START_TEST(threads_share_the_slots_and_every_increment_counts_once)
{
    stem_db *db = open_served();
    pthread_t threads[N_THREADS];
    int64_t n;

    break_connections(_i ? 20 : 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_create(&threads[i], NULL, increment, db);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    break_connections(0);
    assert_ok(stem_get_int(db, "shared", &n));
    ck_assert_int_eq(n, N_THREADS * N_INCREMENTS);
    ck_assert_uint_eq(small_server_commits(), N_THREADS * N_INCREMENTS);
    if (_i == 0)
        ck_assert_uint_le(small_server_connections(), SLOTS);
    else
        ck_assert_uint_gt(small_server_connections(), SLOTS);
    close_served(db);
}
END_TEST

START_TEST(an_iterator_outlives_its_connections)
{
    enum { N = 3000 };
    stem_db *db = open_served();

    put_numbers(db, N);
    stem_iter *iter = stem_iter_open(db, &(stem_range){.reverse = _i});
    ck_assert_ptr_nonnull(iter);
    assert_ok(stem_put(db, "00000", -1)); /* which it does not see */
    assert_ok(stem_put(db, "00000x", -1));
    break_connections(3);
    assert_counts(iter, _i ? N - 1 : 0, _i ? -1 : N, _i ? -1 : 1);
    ck_assert(!stem_iter_next(iter));
    break_connections(0);
    assert_ok(stem_iter_close(iter));
    close_served(db);
}
END_TEST

START_TEST(what_another_server_does_not_know_is_gone_and_never_mixed)
{
    enum { N = 3000 };
    stem_db *db = open_served();
    int given = 0;
    int64_t n;

    put_numbers(db, N);
    stem_iter *iter = stem_iter_open(db, NULL);
    stem_db *frozen = stem_snapshot(db);
    ck_assert_ptr_nonnull(frozen);
    assert_counts(iter, 0, 1, 1);
    forget_sessions();
    while (stem_iter_next(iter))
        given++;
    ck_assert_int_lt(given, N - 1);
    assert_code(stem_iter_code(iter), STEM_EGONE);
    assert_code(stem_iter_close(iter), STEM_EGONE);
    assert_code(stem_get_int(frozen, "00000", &n), STEM_EGONE);
    assert_ok(stem_put(db, "00000", 7)); /* in a session of its own */
    assert_ok(stem_get_int(db, "00000", &n));
    ck_assert_int_eq(n, 7);
    assert_ok(stem_close(frozen));
    close_served(db);
}
END_TEST

/* ---- Resuming --------------------------------------------------------------------- */

enum { MANY = 2000, LONG = 200 };

static void put_long_ones(stem_db *db)
{
    char text[LONG + 1], key[16];
    stem_batch *batch = stem_batch_new(db);

    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "%0*d", LONG, i);
        snprintf(key, sizeof key, "%05d", i);
        assert_ok(stem_batch_put(batch, db, key, text));
    }
    assert_ok(stem_batch_commit(batch, false));
    stem_batch_free(batch);
}

static void assert_next_is(stem_iter *iter, int number)
{
    ck_assert_msg(stem_iter_next(iter), "%d: %s", number, stem_errmsg());
    ck_assert_int_eq(atoi(stem_iter_key(iter)), number);
    ck_assert_int_eq(atoi(stem_iter_value(iter)->as.str.data), number);
}

/* What was given last is deleted before it is forgotten, too. */
START_TEST(a_walk_that_resumes_goes_on_with_a_server_that_forgets)
{
    stem_db *db = open_served();
    char last[16] = "";

    put_long_ones(db);
    stem_iter *iter = stem_iter_open(db, STEM_RANGE(.resume = true, .reverse = _i,
                                                    .prefix = "0", .limit = MANY - 100));
    for (int i = 0; i < MANY - 100; i++) {
        if (i % 20 == 1) {
            assert_ok(stem_del(db, last));
            forget_sessions();
        }
        assert_next_is(iter, _i ? MANY - 1 - i : i);
        strcpy(last, stem_iter_key(iter));
    }
    ck_assert(!stem_iter_next(iter));
    assert_ok(stem_iter_close(iter));
    close_served(db);
}
END_TEST

START_TEST(a_walk_that_resumes_is_where_it_was_sent)
{
    stem_db *db = open_served();
    stem_iter *iter;

    put_long_ones(db);
    iter = stem_iter_open(db, STEM_RANGE(.resume = true, .reverse = _i));
    for (int i = 0; i < 40; i++) {
        const int number = 1 + i * 7919 % (MANY - 2);
        char key[16];
        const char *path[] = {key};

        snprintf(key, sizeof key, "%05d", number);
        if (i % 2)
            forget_sessions();
        assert_ok(stem_iter_seek(iter, path, 1));
        if (i % 3)
            forget_sessions();
        assert_next_is(iter, number);
        assert_next_is(iter, _i ? number - 1 : number + 1);
    }
    assert_ok(stem_iter_close(iter));
    close_served(db);
}
END_TEST

/* Names that are values, sub-databases, and both. */
START_TEST(children_go_on_with_a_server_that_forgets)
{
    enum { NAMES = 120 };
    stem_db *db = open_served();
    char name[16];

    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%05d", i);
        stem_db *sub = stem_sub(db, name);
        if (i % 2 == 0)
            put_numbers(sub, 30);
        if (i % 3 == 0 || i % 2 != 0)
            assert_ok(stem_put(db, name, i));
        assert_ok(stem_close(sub));
    }
    stem_iter *iter = stem_children(db, STEM_RANGE(.reverse = _i));
    for (int i = 0; i < NAMES; i++) {
        const int number = _i ? NAMES - 1 - i : i;
        const int value = number % 3 == 0 || number % 2 != 0 ? STEM_HAS_VALUE : 0;

        forget_sessions();
        ck_assert_msg(stem_iter_next(iter), "%d: %s", number, stem_errmsg());
        ck_assert_int_eq(atoi(stem_iter_key(iter)), number);
        ck_assert_int_eq(stem_iter_kind(iter),
                         value | (number % 2 == 0 ? STEM_HAS_CHILDREN : 0));
    }
    ck_assert(!stem_iter_next(iter));
    assert_ok(stem_iter_close(iter));
    close_served(db);
}
END_TEST

/* ---- Seeking ---------------------------------------------------------------------- */

START_TEST(children_and_seeks_step_over_what_lies_below)
{
    stem_db *db = open_served();
    static const char *const names[] = {"a", "b", "c"};
    int found = 0;

    for (int i = 0; i < 3; i++) {
        stem_db *sub = stem_sub(db, names[i]);

        put_numbers(sub, 400);
        assert_ok(stem_close(sub));
    }
    stem_iter *children = stem_children(db, &(stem_range){.reverse = _i});
    for (; stem_iter_next(children); found++)
        ck_assert_str_eq(stem_iter_key(children), names[_i ? 2 - found : found]);
    ck_assert_int_eq(found, 3);
    assert_ok(stem_iter_close(children));

    stem_iter *iter = stem_iter_open(db, &(stem_range){.reverse = _i});
    for (int i = 0; i < 50; i++) {
        const char *path[] = {names[i % 3], "00123"};
        int64_t n;

        assert_ok(stem_iter_seek(iter, path, 2));
        ck_assert(stem_iter_next(iter));
        assert_ok(stem_as_int(stem_iter_value(iter), &n));
        ck_assert_int_eq(n, 123);
    }
    assert_ok(stem_iter_close(iter));
    close_served(db);
}
END_TEST

/* ---- The process ------------------------------------------------------------------ */

static int count_sockets(void)
{
    DIR *listing = opendir("/proc/self/fd");
    struct dirent *each;
    int n = 0;

    while ((each = readdir(listing))) {
        struct stat status;

        n += fstatat(dirfd(listing), each->d_name, &status, 0) == 0 &&
             S_ISSOCK(status.st_mode);
    }
    closedir(listing);
    return n;
}

static int sockets_of_server;

static void use_inherited(void *db)
{
    int64_t n;

    must(count_sockets() == sockets_of_server);
    must_be(stem_put(db, "a", 1), STEM_EFORK);
    must_be(stem_get_int(db, "a", &n), STEM_EFORK);
    must_ok(stem_close(db));
    _exit(
        0); /* the server's streams, locked by threads that are not here, are not flushed */
}

START_TEST(a_forked_child_keeps_neither_handle_nor_descriptor)
{
    const char *location = start_small_server(SLOTS);
    stem_db *db;
    int64_t n;

    assert_ok(stem_open(&db, location, NULL));
    assert_ok(stem_put(db, "a", 5));
    sockets_of_server = count_sockets() - 1; /* the client's end goes */
    assert_child_ends_well(start_child(use_inherited, db));
    assert_ok(stem_get_int(db, "a", &n));
    ck_assert_int_eq(n, 5);
    close_served(db);
}
END_TEST

/* Check would take it for a crash. */
START_TEST(a_connection_that_the_server_has_closed_raises_no_signal)
{
    stem_db *db = open_served();

    signal(SIGPIPE, SIG_DFL);
    for (int i = 0; i < 20; i++) {
        break_connections(1);
        break_connections(i % 2 ? 2 : 3);
        assert_ok(stem_put(db, "a", i));
    }
    break_connections(0);
    close_served(db);
}
END_TEST

START_TEST(a_socket_of_a_long_path_is_reached)
{
    enum { DEEP = 150 };
    const char *location = start_small_server(SLOTS);
    char name[DEEP + 1], longer[512];
    stem_db *db;

    memset(name, 'd', DEEP);
    name[DEEP] = '\0';
    const char *dir = path_in(temp_dir(), name);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    const char *path = path_in(dir, "s");
    ck_assert_int_eq(rename(location + strlen("unix:"), path), 0);
    snprintf(longer, sizeof longer, "unix:%s", path);
    assert_ok(stem_open(&db, longer, NULL));
    assert_ok(stem_put(db, "a", 1));
    close_served(db);
}
END_TEST

/* ---- Given up --------------------------------------------------------------------- */

/* Attaches whoever comes, and hangs up once the next request is there, as a server does to
 * which it is too large. */
static void *hang_up_on_requests(void *listener)
{
    static const char attached[] = "*5\r\n$32\r\n0123456789abcdef0123456789abcdef\r\n"
                                   ":1\r\n:65536\r\n:1073741824\r\n:1073741824\r\n";
    int fd;

    while ((fd = accept(*(const int *)listener, NULL, NULL)) >= 0) {
        FILE *from = open_peer(fd);
        wire_request request;

        if (read_request(from, &request)) {
            free_request(&request);
            write_bytes(fd, attached, strlen(attached));
            if (read_request(from, &request))
                free_request(&request);
        }
        fclose(from);
    }
    return NULL;
}

/* That much of it moves each time is no reason to try for ever. */
START_TEST(what_a_server_always_hangs_up_on_is_given_up)
{
    const char *path = path_in(temp_dir(), "s");
    const size_t size = 3 << 20;
    char *bytes = calloc(1, size), location[512];
    int listener = listen_at(path);
    pthread_t thread;
    stem_db *db;

    pthread_create(&thread, NULL, hang_up_on_requests, &listener);
    snprintf(location, sizeof location, "unix:%s", path);
    assert_ok(stem_open(&db, location, STEM_OPTIONS(.timeout_ms = 200)));
    assert_code(stem_put_value(db, "a", stem_bin(bytes, size)), STEM_EUNKNOWN);
    assert_ok(stem_close(db));
    shutdown(listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(listener);
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("remote");
    TCase *calls = add_case(suite, "calls", 60);
    TCase *broken = add_case(suite, "broken", 60);
    TCase *process = add_case(suite, "process", 60);

    tcase_add_test(calls, typed_values_and_sub_databases_are_as_in_a_directory);
    tcase_add_test(calls, a_large_value_and_a_large_commit_go_and_come_whole);
    tcase_add_loop_test(calls, children_and_seeks_step_over_what_lies_below, 0, 2);
    tcase_add_loop_test(broken, threads_share_the_slots_and_every_increment_counts_once,
                        0, 2);
    tcase_add_loop_test(broken, an_iterator_outlives_its_connections, 0, 2);
    tcase_add_test(broken, what_another_server_does_not_know_is_gone_and_never_mixed);
    tcase_add_test(broken, what_a_server_always_hangs_up_on_is_given_up);
    tcase_add_loop_test(broken, a_walk_that_resumes_goes_on_with_a_server_that_forgets, 0,
                        2);
    tcase_add_loop_test(broken, a_walk_that_resumes_is_where_it_was_sent, 0, 2);
    tcase_add_loop_test(broken, children_go_on_with_a_server_that_forgets, 0, 2);
    tcase_add_test(process, a_forked_child_keeps_neither_handle_nor_descriptor);
    tcase_add_test(process, a_connection_that_the_server_has_closed_raises_no_signal);
    tcase_add_test(process, a_socket_of_a_long_path_is_reached);
    return run_suite(suite);
}
