/*
 * Every failure path: each call to the engine and each allocation made to fail in turn, under
 * every operation. The data stays as it was, nothing leaks (which the sanitizers see), and the
 * failure says what failed, where and why.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "every_operation.h"
#include "failing_malloc.h"
#include "place.h"
#include "support.h"

static void open_for(const operation *op, world *w)
{
    world_open(w, strcmp(op->place, "large") == 0);
}

/* ---- What holds after a failure --------------------------------------------------- */

static void assert_says(const operation *op, const char *cause)
{
    const char *text = stem_errmsg();

    ck_assert_msg(strstr(text, op->name) && strstr(text, op->place) &&
                      strstr(text, cause),
                  "the message is \"%s\": no \"%s\", \"%s\" or \"%s\" in it", text,
                  op->name, op->place, cause);
}

/* After a failure of an operation that is many commits nothing is lost, and run again it
 * finishes; after one of the others nothing has happened. */
static void assert_unharmed(const operation *op, world *w, contents_of_world before,
                            contents_of_world done)
{
    if (op->commits == ONE_COMMIT) {
        ck_assert_msg(world_holds(w, before), "%s changed the data and failed", op->name);
        return;
    }
    if (op->commits == TRANSFERS)
        ck_assert_msg(world_has_all_values(w, before), "%s lost a value", op->name);
    if (!world_holds(w, before)) {
        int code = op->run(w);

        if (code != STEM_NOTFOUND) /* a move of one key was done but for the answer */
            assert_ok(code);
        ck_assert_msg(world_holds(w, done), "%s, run again, did not finish", op->name);
        world_restore(w);
    }
}

/* What the databases hold after the operation, which has nothing in its way. */
static contents_of_world contents_when_done(const operation *op, world *w)
{
    assert_ok(op->run(w));
    contents_of_world done = world_contents(w);
    world_restore(w);
    return done;
}

/* Which call or allocation to fail after this one: the next, and beyond STEM_TEST_FAILURES of
 * them, where what fails goes on in a loop, ever fewer. */
static unsigned long after(unsigned long number)
{
    enum { PART = 4 };

    return number < number_from("STEM_TEST_FAILURES", ULONG_MAX)
               ? number + 1
               : number + 1 + number / PART;
}

/* ---- Calls to the engine ---------------------------------------------------------- */

static void fail_each_call(const operation *op, int code)
{
    world w;

    open_for(op, &w);
    const contents_of_world before = world_contents(&w);
    const contents_of_world done = contents_when_done(op, &w);
    const size_t in_use = world_in_use(&w);
    int failures = 0;

    for (unsigned long call = 1;; call = after(call)) {
        engine_fail_at(call, code);
        int answer = op->run(&w);
        const char *failed = engine_failed_call();
        engine_fail_at(0, STEM_OK);
        ck_assert_uint_eq(world_in_use(&w), in_use);
        if (!failed) {
            assert_ok(answer);
            ck_assert(world_holds(&w, done));
            break;
        }
        ck_assert_msg(answer == code, "%s: %s %lu failed with %s, and the answer was %s",
                      op->name, failed, call, stem_strerror(code), stem_strerror(answer));
        ck_assert_int_eq(stem_errcode(), code);
        assert_says(op, injected_cause);
        assert_unharmed(op, &w, before, done);
        failures++;
    }
    bool needs_no_engine =
        op->run == operations[0].run; /* the first few derive handles */
    ck_assert(failures > 0 || needs_no_engine || strcmp(op->name, "dup") == 0 ||
              strcmp(op->name, "read_only") == 0 || strcmp(op->name, "path") == 0);
    free(before.bytes);
    free(done.bytes);
    world_close(&w);
}

START_TEST(a_failing_engine_is_reported_and_changes_nothing)
{
    const int codes[] = {STEM_EIO, STEM_ECORRUPT, STEM_ENOMEM};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        fail_each_call(&operations[_i], codes[i]);
}
END_TEST

START_TEST(a_conflict_is_answered_or_tried_again)
{
    const operation *op = &operations[_i];
    world w;

    open_for(op, &w);
    const contents_of_world before = world_contents(&w);
    const contents_of_world done = contents_when_done(op, &w);
    engine_fail_at(1, STEM_CONFLICT);
    int answer = op->run(&w);
    bool has_expectations = engine_failed_call() != NULL;
    engine_fail_at(0, STEM_OK);
    assert_code(answer, has_expectations ? op->on_conflict : STEM_OK);
    ck_assert(world_holds(&w, answer == STEM_OK ? done : before));
    free(before.bytes);
    free(done.bytes);
    world_close(&w);
}
END_TEST

/* A commit that was applied, and perhaps is not durable, is neither a success nor undone. */
START_TEST(an_unknown_outcome_is_passed_on)
{
    const operation *op = &operations[_i];
    world w;

    open_for(op, &w);
    const contents_of_world before = world_contents(&w);
    for (unsigned long commit = 1;; commit++) {
        engine_fail_at(commit, STEM_EUNKNOWN);
        int answer = op->run(&w);
        bool was_unknown = engine_failed_call() != NULL;
        engine_fail_at(0, STEM_OK);
        if (!was_unknown) {
            assert_ok(answer);
            break;
        }
        assert_code(answer, STEM_EUNKNOWN);
        assert_says(op, injected_cause);
        if (op->commits == TRANSFERS)
            ck_assert(world_has_all_values(&w, before));
        world_restore(&w);
    }
    free(before.bytes);
    world_close(&w);
}
END_TEST

/* ---- Allocations ------------------------------------------------------------------ */

/* Lets the allocation of that number and, unless memory comes back, all after it fail. Says
 * whether one did. */
static bool run_without_memory(const operation *op, world *w, unsigned long allocation,
                               bool recovers, int *answer)
{
    mallocs_refused = 0;
    mallocs_granted = allocation - 1;
    malloc_recovers = recovers;
    malloc_fails = true;
    *answer = op->run(w);
    malloc_fails = false;
    return mallocs_refused > 0;
}

static void fail_each_allocation(const operation *op, bool recovers)
{
    world w;
    int answer;

    open_for(op, &w);
    const contents_of_world before = world_contents(&w);
    const contents_of_world done = contents_when_done(op, &w);
    const size_t in_use = world_in_use(&w);

    for (unsigned long allocation = 1;
         run_without_memory(op, &w, allocation, recovers, &answer);
         allocation = after(allocation)) {
        ck_assert_uint_eq(world_in_use(&w), in_use);
        if (answer == STEM_OK) {
            ck_assert(world_holds(&w, done));
            world_restore(&w);
            continue;
        }
        ck_assert_msg(answer == STEM_ENOMEM, "%s: allocation %lu failed: %s", op->name,
                      allocation, stem_strerror(answer));
        ck_assert_int_eq(stem_errcode(), STEM_ENOMEM);
        ck_assert_msg(strstr(stem_errmsg(), op->name) && strstr(stem_errmsg(), "memory"),
                      "allocation %lu: the message is \"%s\"", allocation, stem_errmsg());
        assert_unharmed(op, &w, before, done);
    }
    assert_ok(answer);
    ck_assert(world_holds(&w, done));
    free(before.bytes);
    free(done.bytes);
    world_close(&w);
}

START_TEST(running_out_of_memory_is_reported_and_changes_nothing)
{
    fail_each_allocation(&operations[_i], false);
}
END_TEST

START_TEST(running_out_of_memory_for_a_moment_is_reported_and_changes_nothing)
{
    fail_each_allocation(&operations[_i], true);
}
END_TEST

/* ---- Opening ---------------------------------------------------------------------- */

/* Opens with every allocation failing in turn, until it succeeds. */
static void open_without_memory(const char *location, const char *must_stay_absent)
{
    for (unsigned long allocation = 1;; allocation++) {
        stem_db *db = NULL;

        mallocs_refused = 0;
        mallocs_granted = allocation - 1;
        malloc_recovers = false;
        malloc_fails = true;
        int code = stem_open(&db, location, NULL);
        malloc_fails = false;
        if (code == STEM_OK) {
            ck_assert_uint_eq(mallocs_refused, 0);
            assert_ok(stem_close(db));
            return;
        }
        assert_code(code, STEM_ENOMEM);
        ck_assert_ptr_null(db);
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "open"));
        if (must_stay_absent)
            ck_assert_int_ne(access(must_stay_absent, F_OK), 0);
    }
}

START_TEST(a_database_opens_or_leaves_nothing_behind_when_memory_runs_out)
{
    const char *path = path_in(temp_dir(), "db");
    int64_t number;
    stem_db *db;

    open_without_memory(path, path);
    assert_ok(stem_open(&db, path, NULL));
    assert_ok(stem_put(db, "kept", 7));
    assert_ok(stem_close(db));
    open_without_memory(path, NULL);
    assert_ok(stem_open(&db, path, NULL));
    assert_ok(stem_get_int(db, "kept", &number));
    ck_assert_int_eq(number, 7);
    assert_ok(stem_close(db));
    open_without_memory("mem:", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("failures");
    const double seconds = 120;
    TCase *calls = add_case(suite, "calls to the engine", seconds);
    TCase *allocations = add_case(suite, "allocations", seconds);

    tcase_add_loop_test(calls, a_failing_engine_is_reported_and_changes_nothing, 0,
                        n_operations);
    tcase_add_loop_test(calls, a_conflict_is_answered_or_tried_again, 0, n_operations);
    tcase_add_loop_test(calls, an_unknown_outcome_is_passed_on, 0, n_operations);
    tcase_add_loop_test(allocations,
                        running_out_of_memory_is_reported_and_changes_nothing, 0,
                        n_operations);
    tcase_add_loop_test(
        allocations, running_out_of_memory_for_a_moment_is_reported_and_changes_nothing,
        0, n_operations);
    tcase_add_test(allocations,
                   a_database_opens_or_leaves_nothing_behind_when_memory_runs_out);
    return run_suite(suite);
}
