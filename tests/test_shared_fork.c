/*
 * Forked children of processes that share a directory: they go on with the handles that they
 * inherited, as clients that never own the directory themselves, and touch nothing of their
 * parent's.
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "sharer.h"

enum { ENTRIES = 20000, CHILD = D, GRANDCHILD, THIRD };

/* A program in place of `stem serve`, and another directory, of which all know the name. */
static const char *program, *other_place;

/* A owns it, B has it open. */
static void start_two(void)
{
    const char *build = getenv("STEM_BUILD");

    program = path_in(temp_dir(), "program");
    other_place = path_in(temp_dir(), "other");
    setenv("STEM_SERVE", path_in(build ? build : ".", "stem"), 1);
    start_sharers(C);
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_OK, A, put_value, .key = "a", .value = 1);
}

/* ---- Of a parent that lives ------------------------------------------------------- */

START_TEST(a_child_goes_on_with_what_it_inherited)
{
    fork_sharer(_i, CHILD);
    expect_value(CHILD, "a", 1);
    expect(STEM_OK, CHILD, put_value, .key = "a", .value = 2);
    expect_value(A, "a", 2);
    expect_value(B, "a", 2);
    expect(STEM_OK, _i, put_value, .key = "a", .value = 3);
    expect_value(CHILD, "a", 3);
    fork_sharer(CHILD, GRANDCHILD);
    expect(STEM_OK, GRANDCHILD, put_value, .key = "a", .value = 4);
    expect_value(CHILD, "a", 4);
    expect_value(_i, "a", 4);
    ck_assert_int_eq(owner_pid(), sharer_pid(A));
}
END_TEST

static void count_own_descriptors(step *given)
{
    given->value = count_descriptors(shared_place, true);
}

START_TEST(a_child_holds_nothing_that_is_its_parents)
{
    ck_assert_int_gt(do_in(_i, count_own_descriptors, (step){0}).value, 0);
    fork_sharer(_i, CHILD);
    ck_assert_int_eq(do_in(CHILD, count_own_descriptors, (step){0}).value, 0);
}
END_TEST

static void close_all(int who)
{
    expect(STEM_OK, who, close_it, 0);
    end_sharer(who);
}

START_TEST(what_a_child_closes_stays_open_in_its_parent)
{
    fork_sharer(_i, CHILD);
    fork_sharer(_i, THIRD);
    expect_value(THIRD, "a", 1);
    close_all(THIRD);
    close_all(CHILD); /* without having used it */
    expect_value(_i, "a", 1);
    expect(STEM_OK, _i, put_value, .key = "a", .value = 2);
    expect_value(!_i, "a", 2);
}
END_TEST

START_TEST(what_a_parent_closes_stays_open_in_its_child)
{
    fork_sharer(_i, CHILD);
    expect_value(CHILD, "a", 1);
    expect(STEM_OK, _i, close_it, 0);
    expect(STEM_OK, CHILD, put_value, .key = "a", .value = 2);
    expect_value(!_i, "a", 2);
    ck_assert_int_eq(owner_pid(), sharer_pid(!_i));
}
END_TEST

START_TEST(inherited_snapshots_and_iterators_end_in_the_child_alone)
{
    expect(STEM_OK, A, fill, .value = ENTRIES);
    expect(STEM_OK, _i, take_snapshot, 0);
    expect(STEM_OK, _i, open_walk, 0);
    expect(STEM_OK, _i, walk, .value = 1);
    fork_sharer(_i, CHILD);
    expect(STEM_EGONE, CHILD, get_frozen, .key = "000007");
    expect(STEM_EGONE, CHILD, walk, .value = TO_THE_END);
    expect(STEM_OK, CHILD, close_snapshot, 0);
    expect_value(CHILD, "000007", 7);
    ck_assert_int_eq(expect(STEM_OK, _i, get_frozen, .key = "000007").value, 7);
    ck_assert_int_eq(expect(STEM_OK, _i, walk, .value = TO_THE_END).value, ENTRIES);
}
END_TEST

START_TEST(an_inherited_iterator_that_resumes_goes_on_in_both)
{
    expect(STEM_OK, A, fill, .value = ENTRIES);
    expect(STEM_OK, _i, open_resuming_walk, 0);
    expect(STEM_OK, _i, walk, .value = 10);
    fork_sharer(_i, CHILD);
    ck_assert_int_eq(expect(STEM_OK, CHILD, walk, .value = TO_THE_END).value, ENTRIES);
    ck_assert_int_eq(expect(STEM_OK, _i, walk, .value = TO_THE_END).value, ENTRIES);
}
END_TEST

static stem_batch *batch;

static void prepare_batch(step *given)
{
    batch = stem_batch_new(shared_db);
    must_ok(stem_batch_expect(batch, shared_db, "a", 1));
    given->code = stem_batch_put(batch, shared_db, "a", 2);
}

static void commit_batch(step *given)
{
    given->code = stem_batch_commit(batch, false);
    stem_batch_free(batch);
}

START_TEST(an_inherited_batch_is_the_childs_own)
{
    expect(STEM_OK, _i, prepare_batch, 0);
    fork_sharer(_i, CHILD);
    expect(STEM_OK, CHILD, commit_batch, 0);
    expect_value(!_i, "a", 2);
    expect(STEM_CONFLICT, _i, commit_batch, 0);
}
END_TEST

static stem_db *second;

static void open_anew(step *given)
{
    given->code = stem_open(&second, shared_place, STEM_OPTIONS(.shared = true));
}

static void put_anew(step *given)
{
    given->code = stem_put(second, given->key, given->value);
}

START_TEST(a_child_may_open_the_directory_itself)
{
    fork_sharer(_i, CHILD);
    expect(STEM_OK, CHILD, open_anew, 0);
    expect(STEM_OK, CHILD, put_anew, .key = "a", .value = 2);
    expect_value(CHILD, "a", 2);
    expect(STEM_OK, CHILD, close_it, 0);
    expect(STEM_OK, CHILD, put_anew, .key = "a", .value = 3);
    expect_value(_i, "a", 3);
}
END_TEST

static stem_db *other_db;
static pthread_t waiting;

static void open_other(step *given)
{
    given->code = stem_open(&other_db, other_place, STEM_OPTIONS(.shared = true));
}

static void *wait_for_value(void *unused)
{
    int64_t value;

    must_ok(stem_get_int(shared_db, "a", &value));
    return unused;
}

/* While a thread waits for the owner of the one, uses the other. */
static void use_other_meanwhile(step *given)
{
    must(pthread_create(&waiting, NULL, wait_for_value, NULL) == 0);
    pause_ms(20); /* it is at it by then, or this proves nothing */
    given->code = stem_put(other_db, "b", given->value);
}

static void await_value(step *given)
{
    (void)given;
    pthread_join(waiting, NULL);
}

START_TEST(a_database_whose_owner_is_stopped_holds_up_no_other)
{
    start_sharer(C);
    expect(STEM_OK, C, open_other, 0);
    expect(STEM_OK, B, open_other, 0);
    fork_sharer(B, CHILD);
    signal_sharer(A, SIGSTOP);
    expect(STEM_OK, CHILD, use_other_meanwhile, .value = 1);
    signal_sharer(A, SIGCONT);
    expect(STEM_OK, CHILD, await_value, 0);
}
END_TEST

/* ---- In the middle of calls ------------------------------------------------------- */

enum { THREADS = 3 };
static pthread_t threads[THREADS];
static atomic_bool is_over;

static atomic_long n_increments;

static void *increment(void *unused)
{
    while (!atomic_load(&is_over)) {
        must_ok(stem_incr(shared_db, "n", 1, 0, NULL));
        atomic_fetch_add(&n_increments, 1);
        usleep(100); /* leaves the children a chance to find the value as they read it */
    }
    return unused;
}

static void start_threads(step *given)
{
    (void)given;
    for (int i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, increment, NULL) == 0);
    while (atomic_load(&n_increments) < THREADS)
        usleep(100);
}

static void end_threads(step *given)
{
    atomic_store(&is_over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    given->value = atomic_load(&n_increments);
}

static void increment_often(step *given)
{
    for (int64_t i = 0; i < given->value; i++)
        must_ok(stem_incr(shared_db, "n", 1, 0, NULL));
}

START_TEST(a_child_forked_in_the_middle_of_calls_goes_on)
{
    enum { TIMES = 50, CHILDREN = 8 };

    expect(STEM_OK, _i, start_threads, 0);
    for (int who = CHILD; who < CHILD + CHILDREN; who++)
        fork_sharer(_i, who);
    for (int who = CHILD; who < CHILD + CHILDREN; who++)
        begin_in(who, increment_often, (step){.value = TIMES});
    for (int who = CHILD; who < CHILD + CHILDREN; who++) {
        expect_end(STEM_OK, who);
        close_all(who);
    }
    const int64_t n = expect(STEM_OK, _i, end_threads, 0).value;
    expect_value(!_i, "n", n + TIMES * CHILDREN);
}
END_TEST

/* ---- Of a parent that is gone ----------------------------------------------------- */

START_TEST(a_child_outlives_its_parent)
{
    fork_sharer(A, CHILD);
    fork_sharer(CHILD, GRANDCHILD);
    kill_sharer(A);
    expect_value(CHILD, "a", 1);
    expect(STEM_OK, GRANDCHILD, put_value, .key = "a", .value = 2);
    expect_value(B, "a", 2);
    ck_assert_int_eq(owner_pid(), sharer_pid(B));
}
END_TEST

/* Until nobody has it any more. */
static void expect_let_go(int who)
{
    while (do_in(who, open_as_given, (step){0}).code == STEM_ELOCKED)
        pause_ms(10);
    expect_value(who, "a", 1);
}

START_TEST(children_left_alone_have_a_clean_process_own_it)
{
    fork_sharer(A, CHILD);
    fork_sharer(A, THIRD);
    fork_sharer(CHILD, GRANDCHILD);
    kill_sharer(B);
    kill_sharer(A);
    for (int who = CHILD; who <= THIRD; who++)
        begin_in(who, increment_often, (step){.value = 20});
    for (int who = CHILD; who <= THIRD; who++)
        expect_end(STEM_OK, who);
    expect_value(GRANDCHILD, "n", 3 * 20);
    const pid_t owner = owner_pid();
    ck_assert(is_alive(owner));
    for (int who = CHILD; who <= THIRD; who++)
        ck_assert_int_ne(sharer_pid(who), owner);

    /* It serves newcomers too, and ends with the last. */
    start_sharer(B);
    expect(STEM_OK, B, open_shared, 0);
    for (int who = CHILD; who <= THIRD; who++)
        close_all(who);
    expect_value(B, "a", 1);
    expect(STEM_OK, B, close_it, 0);
    expect_let_go(B);
    while (is_alive(owner))
        pause_ms(10);
}
END_TEST

START_TEST(a_child_that_would_have_to_make_a_database_itself_is_told_so)
{
    expect(STEM_OK, B, close_it, 0);
    expect(STEM_OK, A, close_it, 0);
    expect(STEM_OK, A, destroy, 0);
    fork_sharer(A, CHILD);
    expect(STEM_EFORK, CHILD, open_shared, .options.must_be_new = true);
    ck_assert(!is_there(shared_place));
    expect(STEM_OK, CHILD, open_shared, 0);
    expect(STEM_EXISTS, CHILD, open_shared, .options.must_be_new = true);
}
END_TEST

static int kept[2]; /* a pipe */

/* As an application opens one that lets what it executes have it. `value` tells which it is. */
static void open_pipe(step *given)
{
    struct stat status;

    must(pipe(kept) == 0 && fstat(kept[1], &status) == 0);
    given->value = (int64_t)status.st_ino;
}

static bool has_open(pid_t process, ino_t file)
{
    const struct dirent *each;
    struct stat status;
    char name[64];
    bool has = false;

    snprintf(name, sizeof name, "/proc/%ld/fd", (long)process);
    DIR *listing = opendir(name);
    ck_assert_ptr_nonnull(listing);
    while ((each = readdir(listing)) != NULL)
        has |= fstatat(dirfd(listing), each->d_name, &status, 0) == 0 &&
               status.st_ino == file && S_ISFIFO(status.st_mode);
    closedir(listing);
    return has;
}

START_TEST(a_clean_process_keeps_nothing_open_of_who_had_it_started)
{
    const ino_t file = (ino_t)expect(STEM_OK, A, open_pipe, 0).value;

    fork_sharer(A, CHILD);
    kill_sharer(B);
    kill_sharer(A);
    expect_value(CHILD, "a", 1);
    ck_assert(has_open(sharer_pid(CHILD), file));
    ck_assert(!has_open(owner_pid(), file));
    expect(STEM_OK, CHILD, close_it, 0);
}
END_TEST

START_TEST(what_a_killed_clean_process_served_goes_on_by_another)
{
    fork_sharer(A, CHILD);
    kill_sharer(B);
    kill_sharer(A);
    expect_value(CHILD, "a", 1);
    const pid_t owner = owner_pid();
    ck_assert_int_eq(kill(owner, SIGKILL), 0);
    expect_value(CHILD, "a", 1);
    ck_assert_int_ne(owner_pid(), owner);
    expect(STEM_OK, CHILD, close_it, 0);
    start_sharer(B);
    expect_let_go(B);
}
END_TEST

static void serve_by(step *given)
{
    setenv("STEM_SERVE", given->key, 1);
}

START_TEST(children_left_alone_are_told_when_no_process_can_be_started)
{
    fork_sharer(A, CHILD);
    expect(STEM_OK, CHILD, serve_by, .key = "/missing/program");
    kill_sharer(B);
    kill_sharer(A);
    const step failed = do_in(CHILD, get_value, (step){.key = "a"});
    ck_assert_int_lt(failed.code, 0);
    expect_why(&failed, "/missing/program");
    start_sharer(B);
    expect(STEM_OK, B, open_shared, 0);
    expect_value(CHILD, "a", 1);
}
END_TEST

/* Leaves CHILD alone, with that for a program. */
static void leave_alone_with(const char *script)
{
    write_file(program, script);
    ck_assert_int_eq(chmod(program, 0700), 0);
    fork_sharer(A, CHILD);
    expect(STEM_OK, CHILD, serve_by, .key = program);
    kill_sharer(B);
    kill_sharer(A);
}

static void ignore_children(step *given)
{
    (void)given;
    must(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
}

static const struct {
    const char *script, *why;
} failing_programs[] = {
    {"#!/bin/sh\necho not today >&2\nexit 3\n", "not today"},
    {"#!/bin/sh\nexit 3\n", "does not say why"},
};

START_TEST(children_whose_status_is_thrown_away_are_told_too)
{
    leave_alone_with(failing_programs[_i].script);
    expect(STEM_OK, CHILD, ignore_children, 0);
    const step failed = expect(STEM_EFORK, CHILD, get_value, .key = "a");
    expect_why(&failed, failing_programs[_i].why);
}
END_TEST

enum { WAITING = 16, LIMIT_MS = 500 };

static void *get_late(void *unused)
{
    int64_t value;

    must_be(stem_get_int(shared_db, "a", &value), STEM_EIO);
    return unused;
}

/* `value` is how many milliseconds that took. */
static void get_by_threads(step *given)
{
    pthread_t all[WAITING];
    struct timespec begun, ended;

    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (int i = 0; i < WAITING; i++)
        must(pthread_create(&all[i], NULL, get_late, NULL) == 0);
    for (int i = 0; i < WAITING; i++)
        pthread_join(all[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    given->value =
        (ended.tv_sec - begun.tv_sec) * 1000 + (ended.tv_nsec - begun.tv_nsec) / 1000000;
}

START_TEST(a_program_that_does_not_end_is_waited_for_up_to_one_time_limit)
{
    expect(STEM_OK, A, close_it, 0);
    expect(STEM_OK, A, open_shared, .options.timeout_ms = LIMIT_MS);
    leave_alone_with("#!/bin/sh\nwhile kill -0 $PPID; do sleep 0.1; done\n");
    const step done = do_in(CHILD, get_by_threads, (step){0});
    ck_assert_int_ge(done.value, LIMIT_MS);
    ck_assert_int_lt(done.value, WAITING / 2 * LIMIT_MS);
    expect(STEM_OK, CHILD, close_it, 0);
}
END_TEST

START_TEST(children_left_alone_are_told_when_nobody_can_recover_it)
{
    const char *current = path_in(shared_place, "CURRENT"),
               *aside = path_in(shared_place, "CURRENT.aside");

    fork_sharer(A, CHILD);
    ck_assert_int_eq(rename(current, aside), 0);
    write_file(current, "MANIFEST-999999\n");
    kill_sharer(B);
    kill_sharer(A);
    const step failed = do_in(CHILD, get_value, (step){.key = "a"});
    ck_assert_int_lt(failed.code, 0);
    expect_why(&failed, "MANIFEST-999999");
    ck_assert_int_eq(rename(aside, current), 0);
    while (do_in(CHILD, get_value, (step){.key = "a"}).code != STEM_OK)
        pause_ms(10); /* a failure is the answer for a moment */
    expect_value(CHILD, "a", 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shared, forked");
    TCase *alive = add_case(suite, "alive", 60), *gone = add_case(suite, "gone", 120);

    tcase_add_checked_fixture(alive, start_two, NULL);
    tcase_add_loop_test(alive, a_child_goes_on_with_what_it_inherited, A, C);
    tcase_add_loop_test(alive, a_child_holds_nothing_that_is_its_parents, A, C);
    tcase_add_loop_test(alive, what_a_child_closes_stays_open_in_its_parent, A, C);
    tcase_add_loop_test(alive, what_a_parent_closes_stays_open_in_its_child, A, C);
    tcase_add_loop_test(alive, inherited_snapshots_and_iterators_end_in_the_child_alone,
                        A, C);
    tcase_add_loop_test(alive, an_inherited_iterator_that_resumes_goes_on_in_both, A, C);
    tcase_add_loop_test(alive, an_inherited_batch_is_the_childs_own, A, C);
    tcase_add_loop_test(alive, a_child_may_open_the_directory_itself, A, C);
    tcase_add_test(alive, a_database_whose_owner_is_stopped_holds_up_no_other);
    tcase_add_loop_test(alive, a_child_forked_in_the_middle_of_calls_goes_on, A, C);

    tcase_add_checked_fixture(gone, start_two, NULL);
    tcase_add_test(gone, a_child_outlives_its_parent);
    tcase_add_test(gone, children_left_alone_have_a_clean_process_own_it);
    tcase_add_test(gone, a_child_that_would_have_to_make_a_database_itself_is_told_so);
    tcase_add_test(gone, a_clean_process_keeps_nothing_open_of_who_had_it_started);
    tcase_add_test(gone, what_a_killed_clean_process_served_goes_on_by_another);
    tcase_add_test(gone, children_left_alone_are_told_when_no_process_can_be_started);
    tcase_add_loop_test(gone, children_whose_status_is_thrown_away_are_told_too, 0,
                        sizeof failing_programs / sizeof *failing_programs);
    tcase_add_test(gone, a_program_that_does_not_end_is_waited_for_up_to_one_time_limit);
    tcase_add_test(gone, children_left_alone_are_told_when_nobody_can_recover_it);
    return run_suite(suite);
}
