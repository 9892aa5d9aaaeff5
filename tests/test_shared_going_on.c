/*
 * What goes on, and what ends, when the owner of a shared directory closes it, is killed or
 * stopped, or when nobody can take over from it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"
#include "sharer.h"

/* Several answers of a served walk. */
enum { ENTRIES = 20000, SHORT_MS = 500 };

/* A owns it; B and C have it open too. */
static void start_and_open(void)
{
    start_sharers(D);
    for (int who = A; who <= C; who++)
        expect(STEM_OK, who, open_shared, 0);
}

static void start_with_entries(void)
{
    start_and_open();
    expect(STEM_OK, A, fill, .value = ENTRIES);
}

/* ---- Snapshots and iterators ------------------------------------------------------ */

START_TEST(a_snapshot_ends_with_the_owner)
{
    expect(STEM_OK, B, take_snapshot, 0);
    expect(STEM_OK, C, take_snapshot, 0);
    ck_assert_int_eq(expect(STEM_OK, B, get_frozen, .key = "000007").value, 7);
    kill_sharer(A);
    expect(STEM_OK, B, put_value, .key = "000007", .value = 8);
    expect(STEM_EGONE, B, get_frozen, .key = "000007");
    expect(STEM_EGONE, C, get_frozen, .key = "000007");
    expect(STEM_OK, B, close_snapshot, 0);
    expect(STEM_OK, B, take_snapshot, 0);
    expect(STEM_OK, C, put_value, .key = "000007", .value = 9);
    ck_assert_int_eq(expect(STEM_OK, B, get_frozen, .key = "000007").value, 8);
}
END_TEST

static void clear_all(step *given)
{
    given->code = stem_clear(shared_db, NULL);
}

START_TEST(an_iterator_past_what_it_has_fetched_ends_with_the_owner)
{
    expect(STEM_OK, B, open_walk, 0);
    expect(STEM_OK, B, walk, .value = 1);
    kill_sharer(A);
    expect(STEM_OK, C, clear_all, 0);
    const step end = expect(STEM_EGONE, B, walk, .value = TO_THE_END);
    ck_assert_int_lt(end.value, ENTRIES);
}
END_TEST

/* B has opened it, and perhaps sent it somewhere, before the owner dies. */
START_TEST(an_iterator_that_has_given_nothing_goes_on)
{
    expect(STEM_OK, B, open_walk, 0);
    if (_i)
        expect(STEM_OK, B, seek_first, 0);
    kill_sharer(A);
    if (!_i)
        expect(STEM_OK, B, seek_first, 0);
    ck_assert_int_eq(expect(STEM_OK, B, walk, .value = TO_THE_END).value, ENTRIES);
}
END_TEST

START_TEST(an_iterator_that_resumes_goes_on)
{
    expect(STEM_OK, B, open_resuming_walk, 0);
    expect(STEM_OK, B, walk, .value = 1);
    kill_sharer(A);
    expect(STEM_OK, B, walk, .value = ENTRIES / 2);
    if (owner_pid() == sharer_pid(C))
        kill_sharer(C);
    ck_assert_int_eq(expect(STEM_OK, B, walk, .value = TO_THE_END).value, ENTRIES);
}
END_TEST

/* The code of what the owner does meanwhile is that of its close. */
START_TEST(an_owner_that_closes_lets_iterators_finish)
{
    expect(STEM_OK, B, open_walk, 0);
    expect(STEM_OK, B, walk, .value = 1);
    begin_in(A, close_it, (step){0});
    ck_assert_int_eq(expect(STEM_OK, B, walk, .value = TO_THE_END).value, ENTRIES);
    expect_end(STEM_OK, A);
    expect_value(B, "000001", 1);
}
END_TEST

/* ---- Long operations -------------------------------------------------------------- */

static stem_db *sub(const char *name)
{
    stem_db *place = stem_sub(shared_db, name);

    must(place != NULL);
    return place;
}

/* Everything into a sub-database of that name: from one, or away from one. */
static void copy_to(step *given)
{
    stem_db *from = sub(given->text), *to = sub(given->key);

    given->code = stem_copy(from, NULL, to, NULL);
    stem_close(from);
    stem_close(to);
}

static void move_to(step *given)
{
    stem_db *from = sub(given->text), *to = sub(given->key);

    given->code = stem_move(from, NULL, to, NULL);
    stem_close(from);
    stem_close(to);
}

static void clear_place(step *given)
{
    stem_db *place = sub(given->key);

    given->code = stem_clear(place, NULL);
    stem_close(place);
}

static void count_place(step *given)
{
    stem_db *place = sub(given->key);
    uint64_t n = 0;

    given->code = stem_count(place, NULL, &n);
    given->value = (int64_t)n;
    stem_close(place);
}

static void fill_place(step *given)
{
    stem_db *all = shared_db;

    shared_db = sub(given->key);
    fill(given);
    stem_close(shared_db);
    shared_db = all;
}

/* The number of children of the place, each of which is named by its number. */
static void count_children(step *given)
{
    stem_db *place = sub(given->key);
    stem_iter *children = stem_children(place, NULL);
    char name[32];

    for (given->value = 0; stem_iter_next(children); given->value++) {
        snprintf(name, sizeof name, "%06lld", (long long)given->value);
        must(strcmp(stem_iter_key(children), name) == 0);
    }
    given->code = stem_iter_close(children);
    stem_close(place);
}

#define expect_count(who, name, expected)                                                \
    ck_assert_int_eq(expect(STEM_OK, who, count_place, .key = (name)).value, expected)

/* Has B begin it, kills the owner meanwhile, and returns B's answer. */
static step do_while_killing(step_fn *what, step given, long after_ms)
{
    begin_in(B, what, given);
    pause_ms(after_ms);
    kill_sharer(A);
    return finish_in(B);
}

static void start_with_a_place(void)
{
    start_and_open();
    expect(STEM_OK, A, fill_place, .key = "from", .value = ENTRIES);
}

/* Each kills at some moment: later ones may find it done, which is right as well. */
enum { MOMENTS = 4 };

START_TEST(a_count_goes_on)
{
    const step done = do_while_killing(count_place, (step){.key = "from"}, _i);

    ck_assert_int_eq(done.value, ENTRIES);
    expect_code(__FILE__, __LINE__, STEM_OK, "count", done);
}
END_TEST

START_TEST(a_listing_of_children_goes_on)
{
    const step done = do_while_killing(count_children, (step){.key = "from"}, 5L * _i);

    expect_code(__FILE__, __LINE__, STEM_OK, "children", done);
    ck_assert_int_eq(done.value, ENTRIES);
}
END_TEST

START_TEST(a_clear_goes_on)
{
    const step done = do_while_killing(clear_place, (step){.key = "from"}, 10L * _i);

    expect_code(__FILE__, __LINE__, STEM_OK, "clear", done);
    expect_count(C, "from", 0);
}
END_TEST

START_TEST(a_copy_goes_on)
{
    const step done =
        do_while_killing(copy_to, (step){.text = "from", .key = "to"}, 10L * _i);

    expect_code(__FILE__, __LINE__, STEM_OK, "copy", done);
    expect_count(C, "to", ENTRIES);
    expect_count(C, "from", ENTRIES);
}
END_TEST

START_TEST(a_move_goes_on)
{
    const step done =
        do_while_killing(move_to, (step){.text = "from", .key = "to"}, 10L * _i);

    expect_code(__FILE__, __LINE__, STEM_OK, "move", done);
    expect_count(C, "to", ENTRIES);
    expect_count(C, "from", 0);
}
END_TEST

static void increment_often(step *given)
{
    const int64_t times = given->value;

    for (int64_t i = 0; i < times; i++)
        must_ok(stem_incr(shared_db, "n", 1, 0, &given->value));
}

START_TEST(an_owner_that_closes_loses_no_call)
{
    enum { TIMES = 1500 };

    begin_in(B, increment_often, (step){.value = TIMES});
    begin_in(C, increment_often, (step){.value = TIMES});
    pause_ms(5);
    expect(STEM_OK, A, close_it, 0);
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, A, increment_often, .value = TIMES);
    expect_end(STEM_OK, B);
    expect_end(STEM_OK, C);
    expect_value(A, "n", 3 * TIMES);
}
END_TEST

START_TEST(one_after_the_other_takes_over)
{
    expect(STEM_OK, A, increment_often, .value = 1);
    kill_sharer(A);
    expect(STEM_OK, B, increment_often, .value = 1);
    expect(STEM_OK, C, increment_often, .value = 1);
    const int next = owner_pid() == sharer_pid(B) ? B : C, last = next == B ? C : B;
    ck_assert_int_eq(owner_pid(), sharer_pid(next));
    kill_sharer(next);
    expect(STEM_OK, last, increment_often, .value = 1);
    ck_assert_int_eq(owner_pid(), sharer_pid(last));
    expect_value(last, "n", 4);
}
END_TEST

START_TEST(killed_clients_are_nobodys_trouble)
{
    expect(STEM_OK, B, put_value, .key = "a", .value = 1);
    begin_in(C, increment_often, (step){.value = 1 << 20});
    kill_sharer(B);
    kill_sharer(C);
    expect_value(A, "a", 1);
    start_sharer(B);
    expect(STEM_OK, B, open_shared, 0);
    expect_value(B, "a", 1);
}
END_TEST

/* ---- Stopped ---------------------------------------------------------------------- */

START_TEST(a_stopped_owner_is_waited_for_up_to_the_time_limit)
{
    expect(STEM_OK, A, put_value, .key = "a", .value = 1);
    expect(STEM_OK, C, close_it, 0);
    expect(STEM_OK, B, close_it, 0);
    expect(STEM_OK, B, open_shared, .options.timeout_ms = SHORT_MS);
    expect_value(B, "a", 1);
    signal_sharer(A, SIGSTOP);
    expect(STEM_EUNKNOWN, B, put_value, .key = "b", .value = 2);
    expect(STEM_EIO, B, get_value, .key = "a");
    expect(STEM_EIO, C, open_shared, .options.timeout_ms = SHORT_MS);
    signal_sharer(A, SIGCONT);
    expect_value(B, "a", 1);
    expect(STEM_OK, B, put_value, .key = "c", .value = 3);
    expect_value(A, "c", 3);
    expect(STEM_OK, C, open_shared, 0);
    expect_value(C, "a", 1);
}
END_TEST

START_TEST(a_call_that_waited_for_a_stopped_owner_is_applied_once)
{
    signal_sharer(A, SIGSTOP);
    begin_in(B, increment_often, (step){.value = 1});
    begin_in(C, increment_often, (step){.value = 1});
    pause_ms(100);
    signal_sharer(A, SIGCONT);
    expect_end(STEM_OK, B);
    expect_end(STEM_OK, C);
    expect_value(A, "n", 2);
}
END_TEST

START_TEST(a_stopped_client_holds_nobody_up)
{
    signal_sharer(B, SIGSTOP);
    expect(STEM_OK, C, put_value, .key = "a", .value = 1);
    kill_sharer(A);
    expect_value(C, "a", 1);
    expect(STEM_OK, C, put_value, .key = "a", .value = 2);
    signal_sharer(B, SIGCONT);
    expect_value(B, "a", 2);
}
END_TEST

/* ---- Nobody can take over --------------------------------------------------------- */

START_TEST(a_recovery_that_fails_says_why_until_it_is_mended)
{
    const char *current = path_in(shared_place, "CURRENT"),
               *aside = path_in(shared_place, "CURRENT.aside");
    step failed;

    expect(STEM_OK, A, put_value, .key = "a", .value = 1);
    ck_assert_int_eq(rename(current, aside), 0);
    write_file(current, "MANIFEST-999999\n");
    kill_sharer(A);
    failed = expect(STEM_ECORRUPT, B, get_value, .key = "a");
    expect_why(&failed, "MANIFEST-999999");
    failed = expect(STEM_ECORRUPT, B, put_value, .key = "a", .value = 2);
    failed = expect(STEM_ECORRUPT, C, get_value, .key = "a");
    expect_why(&failed, "MANIFEST-999999");
    start_sharer(A);
    expect(STEM_ECORRUPT, A, open_shared, 0);
    ck_assert_int_eq(rename(aside, current), 0);
    expect(STEM_OK, A, open_shared, 0);
    expect_value(A, "a", 1);
    for (int who = B; who <= C; who++) {
        while (do_in(who, get_value, (step){.key = "a"}).code == STEM_ECORRUPT)
            pause_ms(10); /* a failure is the answer for a moment */
        expect_value(who, "a", 1);
    }
}
END_TEST

START_TEST(without_the_directory_nobody_goes_on_or_reads_another)
{
    expect(STEM_OK, A, put_value, .key = "a", .value = 1);
    remove_tree(shared_place);
    kill_sharer(A);
    ck_assert_int_lt(do_in(B, get_value, (step){.key = "a"}).code, 0);
    start_sharer(A);
    expect(STEM_OK, A, open_shared, .options.must_be_new = true);
    expect(STEM_OK, A, put_value, .key = "a", .value = 2);
    ck_assert_int_lt(do_in(B, get_value, (step){.key = "a"}).code, 0);
    ck_assert_int_lt(do_in(C, put_value, (step){.key = "a"}).code, 0);
    expect_value(A, "a", 2);
    do_in(B, close_it, (step){0});
    expect(STEM_OK, B, open_shared, 0);
    expect_value(B, "a", 2);
}
END_TEST

/* Several look at the same time, and each by way of the lock. */
START_TEST(what_nobody_can_recover_is_told_to_those_who_have_it_and_to_newcomers)
{
    const char *current = path_in(shared_place, "CURRENT"),
               *aside = path_in(temp_dir(), "CURRENT");

    expect(STEM_OK, A, put_value, .key = "a", .value = 1);
    ck_assert_int_eq(rename(current, aside), 0);
    kill_sharer(A);
    start_sharer(A);
    for (int who = B; who <= C; who++)
        expect(STEM_ECORRUPT, who, get_value, .key = "a");
    expect(STEM_ECORRUPT, A, open_shared, 0);
    ck_assert_int_eq(rename(aside, current), 0);
    expect(STEM_OK, A, open_shared, 0);
    expect_value(A, "a", 1);
}
END_TEST

START_TEST(a_renamed_directory_stays_shared)
{
    const char *elsewhere = path_in(temp_dir(), "elsewhere");

    expect(STEM_OK, A, put_value, .key = "a", .value = 1);
    ck_assert_int_eq(rename(shared_place, elsewhere), 0);
    expect_value(B, "a", 1);
    kill_sharer(A);
    expect_value(B, "a", 1);
    expect(STEM_OK, C, put_value, .key = "a", .value = 2);
    expect_value(B, "a", 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shared, going on");
    TCase *walks = add_case(suite, "walks", 60), *places = add_case(suite, "places", 120);
    TCase *calls = add_case(suite, "calls", 120), *never = add_case(suite, "never", 60);

    tcase_add_checked_fixture(walks, start_with_entries, NULL);
    tcase_add_test(walks, a_snapshot_ends_with_the_owner);
    tcase_add_test(walks, an_iterator_past_what_it_has_fetched_ends_with_the_owner);
    tcase_add_loop_test(walks, an_iterator_that_has_given_nothing_goes_on, 0, 2);
    tcase_add_test(walks, an_iterator_that_resumes_goes_on);
    tcase_add_test(walks, an_owner_that_closes_lets_iterators_finish);

    tcase_add_checked_fixture(places, start_with_a_place, NULL);
    tcase_add_loop_test(places, a_count_goes_on, 0, MOMENTS);
    tcase_add_loop_test(places, a_listing_of_children_goes_on, 0, MOMENTS);
    tcase_add_loop_test(places, a_clear_goes_on, 0, MOMENTS);
    tcase_add_loop_test(places, a_copy_goes_on, 0, MOMENTS);
    tcase_add_loop_test(places, a_move_goes_on, 0, MOMENTS);

    tcase_add_checked_fixture(calls, start_and_open, NULL);
    tcase_add_test(calls, an_owner_that_closes_loses_no_call);
    tcase_add_test(calls, one_after_the_other_takes_over);
    tcase_add_test(calls, killed_clients_are_nobodys_trouble);
    tcase_add_test(calls, a_stopped_owner_is_waited_for_up_to_the_time_limit);
    tcase_add_test(calls, a_call_that_waited_for_a_stopped_owner_is_applied_once);
    tcase_add_test(calls, a_stopped_client_holds_nobody_up);

    tcase_add_checked_fixture(never, start_and_open, NULL);
    tcase_add_test(never, a_recovery_that_fails_says_why_until_it_is_mended);
    tcase_add_test(never,
                   what_nobody_can_recover_is_told_to_those_who_have_it_and_to_newcomers);
    tcase_add_test(never, without_the_directory_nobody_goes_on_or_reads_another);
    tcase_add_test(never, a_renamed_directory_stays_shared);
    return run_suite(suite);
}
