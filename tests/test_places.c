/*
 * Copying and moving between handles that were opened each by itself, and may lead to one
 * database all the same: clients of a server, and who has the database that is served.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"

static stem_db *db;
static stem_server *server;

/* Where it is served, by a Unix socket and by TCP. */
static char location[512], host[128];

static void start_serving(stem_db *served)
{
    const char *listen[] = {location, "tcp://127.0.0.1:0", NULL};

    snprintf(location, sizeof location, "unix:%s", path_in(temp_dir(), "socket"));
    assert_ok(stem_server_open(&server, served,
                               STEM_SERVER_OPTIONS(.listen = listen, .insecure = true)));
    snprintf(host, sizeof host, "%s", stem_server_address(server, 1) + strlen("tcp://"));
}

static void open_served(void)
{
    assert_ok(stem_open(&db, "mem:", NULL));
    assert_ok(stem_put(db, "k", 1));
    start_serving(db);
}

static void close_served(void)
{
    assert_ok(stem_server_close(server));
    assert_ok(stem_close(db));
}

static stem_db *open_client(void)
{
    stem_db *client;

    assert_ok(stem_open(&client, location, NULL));
    return client;
}

static stem_db *open_in_scope(const char *scope)
{
    char where[256];
    stem_db *client;

    snprintf(where, sizeof where, "stem://%s/%s", host, scope);
    assert_ok(stem_open(&client, where, NULL));
    return client;
}

/* What each of two such handles to the whole must refuse of the other, and what not. */
static void check_one_place(stem_db *from, stem_db *to)
{
    stem_db *a = stem_sub(from, "a"), *same = stem_sub(to, "a"),
            *within = stem_sub(to, "a", "b"), *apart = stem_sub(to, "c");

    assert_ok(stem_put(a, "x", 2));
    assert_failure(stem_move(from, "k", to, "k"), STEM_EINVAL);
    assert_failure(stem_copy(from, "k", to, "k"), STEM_EINVAL);
    assert_failure(stem_move(from, NULL, to, NULL), STEM_EINVAL);
    assert_failure(stem_move(a, NULL, same, NULL), STEM_EINVAL);
    assert_failure(stem_copy(a, NULL, same, NULL), STEM_EINVAL);
    assert_failure(stem_move(a, NULL, within, NULL), STEM_EINVAL);
    assert_failure(stem_move(within, NULL, a, NULL), STEM_EINVAL);
    assert_failure(stem_move(a, "x", same, "x"), STEM_EINVAL);
    assert_contents(db, "a/x=2 k=1");
    assert_ok(stem_move(a, "x", same, "y"));
    assert_ok(stem_move(a, NULL, apart, NULL));
    assert_contents(db, "c/y=2 k=1");
    assert_ok(stem_clear(apart, NULL));
    assert_ok(stem_close(a));
    assert_ok(stem_close(same));
    assert_ok(stem_close(within));
    assert_ok(stem_close(apart));
}

START_TEST(two_clients_of_a_server_are_in_one_place)
{
    stem_db *one = open_client(), *other = open_client();

    check_one_place(one, other);
    assert_ok(stem_close(one));
    assert_ok(stem_close(other));
}
END_TEST

START_TEST(a_client_and_who_serves_are_in_one_place)
{
    stem_db *client = open_client();

    check_one_place(db, client);
    check_one_place(client, db);
    assert_ok(stem_close(client));
}
END_TEST

START_TEST(a_snapshot_is_in_the_place_that_it_is_of)
{
    stem_db *client = open_client(), *frozen = stem_snapshot(client);

    assert_failure(stem_copy(frozen, NULL, db, NULL), STEM_EINVAL);
    assert_failure(stem_copy(frozen, "k", db, "k"), STEM_EINVAL);
    assert_ok(stem_copy(frozen, "k", db, "l"));
    assert_contents(db, "k=1 l=1");
    assert_ok(stem_close(frozen));
    assert_ok(stem_close(client));
}
END_TEST

START_TEST(equal_scopes_are_compared_and_others_refused)
{
    stem_db *one = open_in_scope("in"), *other = open_in_scope("in"),
            *within = open_in_scope("in/deep"), *apart = open_in_scope("out");
    stem_db *others[] = {within, apart, db};

    assert_ok(stem_put(one, "x", 2));
    assert_failure(stem_move(one, "x", other, "x"), STEM_EINVAL);
    assert_failure(stem_move(one, NULL, other, NULL), STEM_EINVAL);
    assert_ok(stem_move(one, "x", other, "y"));
    for (int i = 0; i < 3; i++) {
        assert_failure(stem_move(one, "y", others[i], "y"), STEM_EINVAL);
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "different scopes"));
        assert_failure(stem_move(one, NULL, others[i], NULL), STEM_EINVAL);
        assert_failure(stem_move(others[i], NULL, one, NULL), STEM_EINVAL);
        assert_failure(stem_copy(one, "y", others[i], "z"), STEM_EINVAL);
        assert_failure(stem_copy(one, NULL, others[i], NULL), STEM_EINVAL);
    }
    assert_contents(db, "in/y=2 k=1");
    assert_ok(stem_close(one));
    assert_ok(stem_close(other));
    assert_ok(stem_close(within));
    assert_ok(stem_close(apart));
}
END_TEST

START_TEST(another_database_is_another_place)
{
    stem_db *client = open_client(), *other;

    assert_ok(stem_open(&other, "mem:", NULL));
    assert_ok(stem_copy(client, NULL, other, NULL));
    assert_contents(other, "k=1");
    assert_ok(stem_move(client, "k", other, "k"));
    assert_ok(stem_move(other, NULL, client, NULL));
    assert_contents(other, "");
    assert_contents(db, "k=1");
    assert_ok(stem_close(other));
    assert_ok(stem_close(client));
}
END_TEST

START_TEST(a_shared_directory_and_a_client_of_who_serves_it_are_in_one_place)
{
    stem_db *client;

    assert_ok(
        stem_open(&db, path_in(temp_dir(), "shared"), STEM_OPTIONS(.shared = true)));
    assert_ok(stem_put(db, "k", 1));
    start_serving(db);
    client = open_client();
    check_one_place(db, client);
    check_one_place(client, db);
    assert_ok(stem_close(client));
    close_served();
}
END_TEST

/* A copy made by hand is a database of its own. */
START_TEST(a_copy_of_a_directory_is_another_place)
{
    const char *original = path_in(temp_dir(), "db"), *copy = path_in(temp_dir(), "copy");
    char command[1200];
    stem_db *client;

    assert_ok(stem_open(&db, original, NULL));
    assert_ok(stem_put(db, "k", 1));
    assert_ok(stem_close(db));
    snprintf(command, sizeof command, "cp -r %s %s", original, copy);
    ck_assert_int_eq(system(command), 0); /* NOLINT(cert-env33-c): the test's own paths */
    assert_ok(stem_open(&db, copy, NULL));
    assert_ok(stem_open(&client, original, NULL));
    assert_ok(stem_put(client, "k", 2));
    assert_ok(stem_move(client, "k", db, "k"));
    assert_contents(db, "k=2");
    assert_contents(client, "");
    assert_ok(stem_close(client));
    assert_ok(stem_close(db));
}
END_TEST

/* ---- Small requests --------------------------------------------------------------- */

static stem_db *other, *client;

/* Serves as before, with requests as small as may be, or of a mebibyte, for which there are
 * entries that take some, and in the second case one that takes all of a request. */
static void open_small(int is_smallest)
{
    enum { MIB = 1 << 20, SMALLEST = 4096, AROUND = 1200 };
    const size_t most = is_smallest ? SMALLEST : MIB, n_long = most / 4, n = 40;
    const char *listen[] = {location, NULL};
    char *text = calloc(1, most), name[16];

    snprintf(location, sizeof location, "unix:%s", path_in(temp_dir(), "socket"));
    assert_ok(stem_open(&db, "mem:", NULL));
    assert_ok(stem_open(&other, "mem:", NULL));
    assert_ok(stem_server_open(
        &server, db, STEM_SERVER_OPTIONS(.listen = listen, .max_request_bytes = most)));
    client = open_client();
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%03zu", i);
        assert_ok(stem_put(other, name, stem_bin(text, i % 8 == 0 ? n_long : i)));
    }
    assert_ok(stem_put(client, "whole", stem_bin(text, most - AROUND)));
    assert_ok(stem_move(client, "whole", other, "009, the whole"));
    free(text);
}

static void close_small(void)
{
    assert_ok(stem_close(client));
    assert_ok(stem_close(other));
    close_served();
}

static void assert_count(stem_db *in, uint64_t expected)
{
    uint64_t n;

    assert_ok(stem_count(in, NULL, &n));
    ck_assert_uint_eq(n, expected);
}

START_TEST(whole_places_go_in_requests_that_the_server_takes)
{
    enum { ALL = 41 };

    open_small(_i);
    stem_db *in = stem_sub(client, "in");
    assert_ok(stem_copy(other, NULL, in, NULL));
    assert_count(client, ALL);
    assert_ok(stem_move(other, NULL, client, NULL));
    assert_count(other, 0);
    assert_count(client, 2 * ALL);
    assert_ok(stem_clear(in, NULL));
    assert_count(client, ALL);
    assert_ok(stem_move(client, NULL, other, NULL));
    assert_count(client, 0);
    assert_count(other, ALL);
    assert_ok(stem_close(in));
    close_small();
}
END_TEST

START_TEST(many_are_cleared_and_moved_in_the_smallest_requests)
{
    enum { MANY = 3000 };
    stem_batch *batch;
    char name[16];

    open_small(true);
    assert_ok(stem_clear(other, NULL));
    batch = stem_batch_new(db);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "%06d", i);
        assert_ok(stem_batch_put(batch, db, name, i));
    }
    assert_ok(stem_batch_commit(batch, false));
    assert_ok(stem_copy(client, NULL, other, NULL));
    assert_ok(stem_clear(client, NULL));
    assert_count(client, 0);
    assert_ok(stem_move(other, NULL, client, NULL));
    assert_count(client, MANY);
    stem_batch_free(batch);
    close_small();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("places");

    TCase *served = add_case(suite, "served", 30);
    tcase_add_checked_fixture(served, open_served, close_served);
    tcase_add_test(served, two_clients_of_a_server_are_in_one_place);
    tcase_add_test(served, a_client_and_who_serves_are_in_one_place);
    tcase_add_test(served, a_snapshot_is_in_the_place_that_it_is_of);
    tcase_add_test(served, equal_scopes_are_compared_and_others_refused);
    tcase_add_test(served, another_database_is_another_place);

    TCase *small = add_case(suite, "small requests", 30);
    tcase_add_loop_test(small, whole_places_go_in_requests_that_the_server_takes, 0, 2);
    tcase_add_test(small, many_are_cleared_and_moved_in_the_smallest_requests);

    TCase *directories = add_case(suite, "directories", 30);
    tcase_add_test(directories,
                   a_shared_directory_and_a_client_of_who_serves_it_are_in_one_place);
    tcase_add_test(directories, a_copy_of_a_directory_is_another_place);
    return run_suite(suite);
}
