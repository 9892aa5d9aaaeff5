/*
 * The directory that processes share: what lies in it meanwhile and afterwards, what may lie
 * there already, and by what names it is found.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "process.h"
#include "sharer.h"

static void start_three(void)
{
    start_sharers(D);
}

static const char *socket_path(void)
{
    return path_in(shared_place, "stem.sock");
}

START_TEST(the_socket_is_for_its_owner_alone_and_goes_with_the_last)
{
    struct stat status;

    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, B, open_shared, 0);
    ck_assert_int_eq(lstat(socket_path(), &status), 0);
    ck_assert(S_ISSOCK(status.st_mode));
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    expect(STEM_OK, A, close_it, 0);
    expect(STEM_OK, B, put_value, .key = "a", .value = 1);
    ck_assert_int_eq(lstat(socket_path(), &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    expect(STEM_OK, B, close_it, 0);
    ck_assert(!is_there(socket_path()));
}
END_TEST

static void become_nobody(step *given)
{
    enum { NOBODY = 65534 };

    given->code = setgid(NOBODY) == 0 && setuid(NOBODY) == 0 ? STEM_OK : STEM_EACCES;
}

/* Connects and asks; `value` is the length of the answer, or less than 1. */
static void ask_at_socket(step *given)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static const char request[] = "PING\r\n";
    char answer[64];

    snprintf(address.sun_path, sizeof address.sun_path, "%s", given->key);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    must(fd >= 0);
    given->value = -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
        given->value = recv(fd, answer, sizeof answer, 0);
    }
    close(fd);
}

/* Only root can be somebody else. */
START_TEST(somebody_else_is_not_answered_even_if_the_modes_let_him_in)
{
    const char *dir = temp_dir(), *place = path_in(dir, "db");
    const char *path = path_in(place, "stem.sock");

    if (geteuid() != 0)
        return;
    shared_place = place;
    start_sharer(A);
    start_sharer(B);
    expect(STEM_OK, A, open_shared, 0);
    ck_assert_int_gt(expect(STEM_OK, B, ask_at_socket, .key = path).value, 0);
    ck_assert_int_eq(chmod(dir, 0777), 0);
    ck_assert_int_eq(chmod(place, 0777), 0);
    ck_assert_int_eq(chmod(path, 0777), 0);
    expect(STEM_OK, B, become_nobody, 0);
    ck_assert_int_le(expect(STEM_OK, B, ask_at_socket, .key = path).value, 0);
    expect(STEM_EACCES, B, open_shared, 0);
    ck_assert_int_eq(chmod(path_in(place, "stem.lock"), 0666), 0);
    expect(STEM_EACCES, B, open_shared, 0);
}
END_TEST

START_TEST(a_socket_left_behind_is_no_obstacle)
{
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, A, put_value, .key = "a", .value = 1);
    kill_sharer(A);
    ck_assert(is_there(socket_path()));
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_OK, C, open_shared, 0);
    expect_value(C, "a", 1);
    expect(STEM_OK, B, close_it, 0);
    expect(STEM_OK, C, close_it, 0);
    ck_assert(!is_there(socket_path()));
}
END_TEST

START_TEST(a_file_in_place_of_the_socket_is_no_obstacle)
{
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, A, close_it, 0);
    write_file(socket_path(), "garbage");
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_OK, B, put_value, .key = "a", .value = 1);
    expect_value(A, "a", 1);
}
END_TEST

START_TEST(a_killed_owner_leaves_what_opens_without_sharing)
{
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, A, put_value, .key = "a", .value = 1);
    kill_sharer(A);
    expect(STEM_OK, B, open_as_given, 0);
    expect_value(B, "a", 1);
}
END_TEST

START_TEST(a_path_of_any_length_is_shared)
{
    enum { DEPTH = 8, NAME = 60 };
    const char *dir = temp_dir();
    char name[NAME + 1] = "";

    memset(name, 'd', NAME);
    for (int i = 0; i < DEPTH; i++) {
        dir = path_in(dir, name);
        ck_assert_int_eq(mkdir(dir, 0777), 0);
    }
    shared_place = path_in(dir, "db");
    for (int who = A; who <= B; who++) {
        start_sharer(who);
        expect(STEM_OK, who, open_shared, 0);
    }
    expect(STEM_OK, B, put_value, .key = "a", .value = 1);
    expect_value(A, "a", 1);
    kill_sharer(A);
    expect_value(B, "a", 1);
}
END_TEST

static void change_directory(step *given)
{
    must(chdir(given->key) == 0);
}

START_TEST(every_name_of_the_directory_leads_to_the_same)
{
    const char *dir = temp_dir(), *link = path_in(dir, "link");

    shared_place = path_in(dir, "db");
    ck_assert_int_eq(symlink(shared_place, link), 0);
    for (int who = A; who <= C; who++)
        start_sharer(who);
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, B, open_shared, .place = link);
    expect(STEM_OK, C, change_directory, .key = dir);
    expect(STEM_OK, C, open_shared, .place = "./db");
    expect(STEM_OK, C, change_directory, .key = "/");
    expect(STEM_OK, C, put_value, .key = "a", .value = 1);
    expect_value(B, "a", 1);
    kill_sharer(A);
    expect_value(C, "a", 1);
    expect_value(B, "a", 1);
    kill_sharer(owner_pid() == sharer_pid(B) ? B : C);
    expect_value(sharer_pid(B) ? B : C, "a", 1);
}
END_TEST

START_TEST(what_is_shared_is_not_destroyed)
{
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_ELOCKED, A, destroy, 0);
    expect(STEM_ELOCKED, B, destroy, 0);
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_ELOCKED, B, destroy, 0);
    expect(STEM_OK, A, close_it, 0);
    expect(STEM_ELOCKED, A, destroy, 0);
    expect(STEM_ELOCKED, B, destroy, 0);
    expect(STEM_OK, B, put_value, .key = "a", .value = 1);
    expect(STEM_OK, B, close_it, 0);
    expect(STEM_OK, B, destroy, 0);
    ck_assert(!is_there(shared_place));
}
END_TEST

/* Stopped, those that are left cannot take over yet. */
START_TEST(between_two_owners_nobody_gets_it_for_himself)
{
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, A, put_value, .key = "a", .value = 1);
    expect(STEM_OK, B, open_shared, 0);
    signal_sharer(B, SIGSTOP);
    kill_sharer(A);
    expect(STEM_ELOCKED, C, destroy, 0);
    expect(STEM_ELOCKED, C, open_as_given, 0);
    signal_sharer(B, SIGCONT);
    expect_value(B, "a", 1);
    expect(STEM_OK, B, close_it, 0);
    expect(STEM_OK, C, open_as_given, 0);
}
END_TEST

START_TEST(what_a_killed_owner_left_is_destroyed_as_a_whole)
{
    expect(STEM_OK, A, open_shared, 0);
    kill_sharer(A);
    expect(STEM_OK, B, destroy, 0);
    ck_assert(!is_there(shared_place));
}
END_TEST

/* ---- Waiting in one process --------------------------------------------------------- */

static void *open_meanwhile(void *opened)
{
    return (void *)(intptr_t)stem_open(opened, shared_place,
                                       STEM_OPTIONS(.shared = true));
}

/* Holds the lock of an owner, who does not answer, while this process opens the database twice
 * and something else often. */
static void open_slowly(step *given)
{
    enum { BOTH = 2, TIMES = 10000, MOMENT_MS = 50 };
    struct flock owners = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    pthread_t threads[BOTH];
    const char *empty = temp_dir();
    stem_db *opened[BOTH], *none;
    void *code;

    const int lock = open(path_in(shared_place, "stem.lock"), O_RDWR | O_CLOEXEC);
    must(lock >= 0 && fcntl(lock, F_OFD_SETLK, &owners) == 0);
    for (int i = 0; i < BOTH; i++) {
        must(pthread_create(&threads[i], NULL, open_meanwhile, &opened[i]) == 0);
        pause_ms(MOMENT_MS);
    }
    for (int i = 0; i < TIMES; i++)
        must_be(stem_open(&none, empty, STEM_OPTIONS(.shared = true, .must_exist = true)),
                STEM_NOTFOUND);
    close(lock);
    for (int i = 0; i < BOTH; i++) {
        must(pthread_join(threads[i], &code) == 0);
        must_ok((int)(intptr_t)code);
        must_ok(stem_close(opened[i]));
    }
    given->code = STEM_OK;
}

START_TEST(who_waits_for_another_opening_waits_whatever_else_is_opened)
{
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, A, close_it, 0);
    expect(STEM_OK, A, open_slowly, 0);
}
END_TEST

/* ---- Served on ---------------------------------------------------------------------- */

/* Serves what it shares, and moves it as a client of its own to where it is. */
static void move_onto_itself(step *given)
{
    char location[512];
    const char *listen[] = {location, NULL};
    stem_server *server;
    stem_db *client;

    snprintf(location, sizeof location, "unix:%s", path_in(temp_dir(), "socket"));
    must_ok(stem_server_open(&server, shared_db, STEM_SERVER_OPTIONS(.listen = listen)));
    must_ok(stem_open(&client, location, NULL));
    must_be(stem_move(client, given->key, shared_db, given->key), STEM_EINVAL);
    must_be(stem_move(shared_db, NULL, client, NULL), STEM_EINVAL);
    must_ok(stem_close(client));
    given->code = stem_server_close(server);
}

START_TEST(who_shares_and_a_client_of_his_are_in_one_place)
{
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_OK, A, put_value, .key = "a", .value = 1);
    for (int who = A; who <= B; who++)
        expect(STEM_OK, who, move_onto_itself, .key = "a");
    kill_sharer(A);
    expect(STEM_OK, B, move_onto_itself, .key = "a");
    expect_value(B, "a", 1);
}
END_TEST

/* ---- Removed ------------------------------------------------------------------------ */

static void pop_one(step *given)
{
    stem_entry *entries;
    size_t n;

    given->code = stem_pop_first(shared_db, NULL, 1, &entries, &n);
}

/* Copies or moves: all of another database there, or all that is there to it. */
static void transfer_there(step *given)
{
    int (*transfer)(stem_db *, const char *, stem_db *, const char *) =
        given->value ? stem_move : stem_copy;
    stem_db *memory;

    must_ok(stem_open(&memory, "mem:", NULL));
    must_ok(stem_put(memory, "a", 1));
    given->code = given->more ? transfer(memory, NULL, shared_db, NULL)
                              : transfer(shared_db, NULL, memory, NULL);
    must_ok(stem_has(memory, "a"));
    must_ok(stem_close(memory));
}

static void clear_it(step *given)
{
    given->code = stem_clear(shared_db, NULL);
}

START_TEST(every_call_ends_once_the_directory_is_removed)
{
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_OK, A, put_value, .key = "a", .value = 1);
    remove_tree(shared_place);
    kill_sharer(A);
    expect(STEM_EGONE, B, count_all, 0);
    expect(STEM_EGONE, B, pop_one, 0);
    expect(STEM_EGONE, B, clear_it, 0);
    for (int i = 0; i < 4; i++)
        expect(STEM_EGONE, B, transfer_there, .value = i % 2, .more = i / 2);
    expect(STEM_OK, B, close_it, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shared directory");
    TCase *directory = add_case(suite, "directory", 60);
    TCase *places = add_case(suite, "places", 60);

    tcase_add_checked_fixture(directory, start_three, NULL);
    tcase_add_test(directory, the_socket_is_for_its_owner_alone_and_goes_with_the_last);
    tcase_add_test(directory, a_socket_left_behind_is_no_obstacle);
    tcase_add_test(directory, a_file_in_place_of_the_socket_is_no_obstacle);
    tcase_add_test(directory, a_killed_owner_leaves_what_opens_without_sharing);
    tcase_add_test(directory, what_is_shared_is_not_destroyed);
    tcase_add_test(directory, between_two_owners_nobody_gets_it_for_himself);
    tcase_add_test(directory, what_a_killed_owner_left_is_destroyed_as_a_whole);
    tcase_add_test(directory,
                   who_waits_for_another_opening_waits_whatever_else_is_opened);
    tcase_add_test(directory, every_call_ends_once_the_directory_is_removed);
    tcase_add_test(directory, who_shares_and_a_client_of_his_are_in_one_place);

    tcase_add_test(places, somebody_else_is_not_answered_even_if_the_modes_let_him_in);
    tcase_add_test(places, a_path_of_any_length_is_shared);
    tcase_add_test(places, every_name_of_the_directory_leads_to_the_same);
    return run_suite(suite);
}
