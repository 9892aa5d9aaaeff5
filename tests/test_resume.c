/*
 * Walks whose state is gone on the way: those that resume give what others would have given,
 * whatever they walk, wherever that happens, and whatever is written meanwhile. An engine that
 * answers STEM_EGONE stands for a server that knows nothing of the walk any more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failing_engine.h"
#include "model.h"
#include "place.h"
#include "random.h"
#include "support.h"

/* Names around the bytes that end a name in stored keys. */
static const char *const names[] = {"\x01", "\x01\x01", "a",    "a\x01", "a\x01\x01",
                                    "a!",   "ab",       "m",    "m\x01", "z",
                                    "\xff", "\xff\xff", "\x02", "aa",    "b"};
enum { N_NAMES = sizeof names / sizeof *names, DEEPEST = 3, PATH_SIZE = 16 };

/* The database, and a handle on it whose engine can fail. */
static stem_db *real, *db;
static failing_engine engine;
static model *data;
static unsigned long long seed;

static void start(void)
{
    seed = random_start();
    data = model_new();
    real = new_database();
    db = failing_engine_over(&engine, real, STEM_OPTIONS(.sync = false));
    ck_assert_ptr_nonnull(db);
}

static void end(void)
{
    engine_at_failure(NULL);
    ck_assert_uint_eq(engine.open, 0);
    assert_ok(stem_close(db));
    assert_ok(stem_close(real));
    model_free(data);
}

/* A path of up to DEEPEST names, as names and in stored form, which is as long as it says. */
static size_t random_path(const char *path_names[DEEPEST], size_t *n,
                          char path[PATH_SIZE])
{
    char *stored_end = path;

    *n = 1 + random_below(DEEPEST);
    for (size_t i = 0; i < *n; i++) {
        path_names[i] = names[random_below(N_NAMES)];
        stored_end = stpcpy(stored_end, path_names[i]) + 1;
    }
    return (size_t)(stored_end - path) - 1;
}

/* Puts a number behind the back of the engine that fails; with 0 deletes. */
static void put_path(const char *const *path_names, size_t n, int number)
{
    stem_db *place = stem_sub_path(real, path_names, n - 1);

    ck_assert_ptr_nonnull(place);
    if (number != 0)
        assert_ok(stem_put(place, path_names[n - 1], number));
    else
        assert_ok(stem_del(place, path_names[n - 1]));
    assert_ok(stem_close(place));
}

/* What stays as it is: positive numbers, in the model as well. */
static void fill(int entries)
{
    for (int i = 1; i <= entries; i++) {
        const char *path_names[DEEPEST];
        char path[PATH_SIZE];
        size_t n, len = random_path(path_names, &n, path);

        put_path(path_names, n, i);
        model_put_int(data, path, len, i);
    }
}

static void put_letters(const char *letters)
{
    for (const char *letter = letters; *letter; letter++) {
        const char name[] = {*letter, '\0'};

        assert_ok(stem_put(real, name, *letter));
    }
}

static stem_range random_range(void)
{
    stem_range range = {.reverse = random_below(2),
                        .keys_only = random_below(2),
                        .shallow = random_below(2),
                        .resume = true,
                        .limit = random_below(4) == 0 ? 1 + random_below(20) : 0};
    const char **const fields[] = {&range.gt, &range.gte, &range.lt, &range.lte,
                                   &range.prefix};

    for (size_t i = 0; i < 5; i++)
        if (random_below(4) == 0)
            *fields[i] = names[random_below(N_NAMES)];
    return range;
}

static stem_iter *open_walk(stem_db *at, const stem_range *range, bool children)
{
    stem_iter *iter = children ? stem_children(at, range) : stem_iter_open(at, range);

    ck_assert_ptr_nonnull(iter);
    return iter;
}

/* ---- As if nothing had happened --------------------------------------------------- */

static unsigned long times_gone;

/* Lets the state be gone at one of the next calls, perhaps; and then perhaps the next. */
static void plan_to_be_gone(void)
{
    if (random_below(2))
        engine_fail_times(1 + random_below(4), 1 + random_below(3), STEM_EGONE);
}

static void end_plan(void)
{
    times_gone += engine_failed_call() != NULL;
    engine_fail_at(0, STEM_OK);
}

/* Steps and seeks at random through one walk, as the model does. */
static void wander(stem_db *at, const char *prefix, const stem_range *range,
                   bool children)
{
    const size_t prefix_len = *prefix ? strlen(prefix) + 1 : 0;
    model_walk walk = model_expect(data, prefix, prefix_len, range, children);
    stem_iter *iter = open_walk(at, range, children);
    const size_t steps = walk.n + 5;
    size_t next = 0;
    uint64_t given = 0;

    for (size_t i = 0; i < steps; i++) {
        plan_to_be_gone();
        if (random_below(8) == 0) {
            const char *path_names[DEEPEST];
            char path[PATH_SIZE];
            size_t n, len = random_path(path_names, &n, path);

            if (children) {
                n = 1;
                len = strlen(path_names[0]);
            }
            assert_ok(stem_iter_seek(iter, path_names, n));
            ck_assert_ptr_null(stem_iter_key(iter));
            next = model_seek(&walk, range->reverse, path, len);
        }
        const bool is_due = next < walk.n && (range->limit == 0 || given < range->limit);
        ck_assert_msg(stem_iter_next(iter) == is_due,
                      "step %zu: %s (STEM_TEST_SEED=%llu)", i,
                      is_due ? "nothing" : "something", seed);
        end_plan();
        if (!is_due)
            continue;
        const char *problem = model_differs(iter, &walk.steps[next], range->keys_only);
        ck_assert_msg(!problem, "step %zu: %s differs (STEM_TEST_SEED=%llu)", i, problem,
                      seed);
        given++;
        next++;
    }
    ck_assert_uint_eq(engine.open, 1);
    assert_ok(stem_iter_close(iter));
    free(walk.steps);
}

START_TEST(a_walk_that_resumes_gives_what_the_model_gives)
{
    stem_db *below = stem_sub(db, "a"), *other = stem_sub(db, "m\x01");

    fill(400);
    times_gone = 0;
    for (int i = 0; i < 150; i++) {
        const stem_range range = random_range();

        wander(db, "", &range, _i);
        wander(below, "a", &range, _i);
        wander(other, "m\x01", &range, _i);
    }
    ck_assert_uint_gt(times_gone, 400);
    assert_ok(stem_close(below));
    assert_ok(stem_close(other));
}
END_TEST

/* ---- What changes meanwhile ------------------------------------------------------- */

/* Puts and deletes negative numbers at paths that are not in the model. */
static void change_something(void)
{
    for (int i = 0; i < 20; i++) {
        const char *path_names[DEEPEST];
        char path[PATH_SIZE];
        size_t n, len = random_path(path_names, &n, path);

        if (!model_get(data, path, len))
            put_path(path_names, n, random_below(2) ? -1 : 0);
    }
}

/* The stored path that the iterator stands on. */
static size_t path_of(stem_iter *iter, char path[PATH_SIZE])
{
    size_t n;
    char *stored_end = path;
    const char *const *path_names = stem_iter_path(iter, &n);

    ck_assert_ptr_nonnull(path_names);
    for (size_t i = 0; i < n; i++)
        stored_end = stpcpy(stored_end, path_names[i]) + 1;
    return (size_t)(stored_end - path) - 1;
}

/* What is there all the time comes once, with its value; in between may come what is not. */
static void walk_what_changes(const stem_range *range, bool children)
{
    model_walk due = model_expect(data, "", 0, range, children);
    stem_iter *iter = open_walk(db, range, children);
    char path[PATH_SIZE], last[PATH_SIZE];
    size_t met = 0, last_len = 0;

    for (plan_to_be_gone(); stem_iter_next(iter); plan_to_be_gone()) {
        end_plan();
        const size_t len = path_of(iter, path);
        const int order = compare_paths(last, last_len, path, len);

        ck_assert_msg(last_len == 0 || (range->reverse ? order > 0 : order < 0),
                      "out of order (STEM_TEST_SEED=%llu)", seed);
        memcpy(last, path, len);
        last_len = len;
        const model_step *step = met < due.n ? &due.steps[met] : NULL;
        const stem_value *value = stem_iter_value(iter);
        if (step && compare_paths(step->path, step->len, path, len) == 0) {
            met++;
            ck_assert_int_eq(stem_iter_kind(iter) & step->kind, step->kind);
            if (value && (step->kind & STEM_HAS_VALUE))
                ck_assert(model_value_is(step->value, value));
        } else if (value) {
            ck_assert_int_eq(value->as.integer, -1);
        }
    }
    end_plan();
    assert_ok(stem_iter_close(iter));
    ck_assert_msg(met == due.n, "%zu of %zu were met (STEM_TEST_SEED=%llu)", met, due.n,
                  seed);
    free(due.steps);
}

START_TEST(what_is_there_all_the_time_comes_once_whatever_changes)
{
    fill(60);
    engine_at_failure(change_something);
    times_gone = 0;
    for (int i = 0; i < 150; i++) {
        stem_range range = random_range();

        range.limit = 0;
        walk_what_changes(&range, _i);
    }
    ck_assert_uint_gt(times_gone, 100);
}
END_TEST

static void delete_m(void)
{
    assert_ok(stem_del(real, "m"));
}

START_TEST(a_walk_goes_on_from_a_key_that_is_deleted_once_given)
{
    const bool is_reverse = _i & 1, children = _i & 2;
    const stem_range range = {.resume = true, .reverse = is_reverse};

    put_letters("gmt");
    engine_at_failure(delete_m);
    stem_iter *iter = open_walk(db, &range, children);
    ck_assert(stem_iter_next(iter) && stem_iter_next(iter));
    ck_assert_str_eq(stem_iter_key(iter), "m");
    engine_fail_at(1, STEM_EGONE);
    ck_assert(stem_iter_next(iter));
    ck_assert_str_eq(stem_iter_key(iter), is_reverse ? "g" : "t");
    engine_fail_at(1, STEM_EGONE);
    ck_assert(!stem_iter_next(iter));
    assert_ok(stem_iter_close(iter));
}
END_TEST

static bool is_place; /* whether n is a sub-database, or a value */

static void make_n(void)
{
    stem_db *n = stem_sub(real, "n");

    assert_ok(stem_clear(n, NULL));
    assert_ok(stem_del(real, "n"));
    assert_ok(is_place ? stem_put(n, "below", 2) : stem_put(real, "n", 1));
    assert_ok(stem_close(n));
}

static void make_the_other_n(void)
{
    is_place = !is_place;
    make_n();
}

/* At whichever call of the step its state is gone. */
START_TEST(what_is_said_of_a_name_is_true_of_one_state)
{
    bool was_gone = true;

    put_letters("a");
    assert_ok(stem_put(real, "n\x01", 1));
    engine_at_failure(make_the_other_n);
    for (unsigned long call = 1; was_gone; call++) {
        is_place = _i & 2;
        make_n();
        stem_iter *iter = open_walk(db, STEM_RANGE(.reverse = _i & 1), true);
        ck_assert(stem_iter_next(iter));
        engine_fail_at(call, STEM_EGONE);
        ck_assert(stem_iter_next(iter));
        was_gone = engine_failed_call() != NULL;
        engine_fail_at(0, STEM_OK);
        ck_assert_str_eq(stem_iter_key(iter), "n");
        ck_assert_int_eq(stem_iter_kind(iter),
                         is_place ? STEM_HAS_CHILDREN : STEM_HAS_VALUE);
        ck_assert(!stem_iter_value(iter) == is_place);
        assert_ok(stem_iter_close(iter));
        ck_assert(was_gone || call > 1);
    }
}
END_TEST

/* ---- Walks that have given nothing yet --------------------------------------------- */

/* Puts numbers and deletes some, in the model as well. */
static void change_data(void)
{
    const char *path_names[DEEPEST];
    char path[PATH_SIZE];
    size_t n, len;

    for (uint32_t i = random_below(4); i > 0; i--) {
        len = random_path(path_names, &n, path);
        put_path(path_names, n, 0);
        model_del(data, path, len);
    }
    fill((int)random_below(4));
}

/* A few entries, so that what is new or gone is often the first. */
static void start_small(void)
{
    assert_ok(stem_clear(real, NULL));
    model_free(data);
    data = model_new();
    fill((int)random_below(12));
}

static void seek_somewhere(stem_iter *iter, const char **sought, char path[PATH_SIZE],
                           size_t *len)
{
    size_t n;

    *len = random_path(sought, &n, path);
    assert_ok(stem_iter_seek(iter, sought, n));
}

/* Until its first answer a walk may find another state, and is then one of that state alone. */
static void walk_afresh(const stem_range *range)
{
    const char *sought[DEEPEST];
    char path[PATH_SIZE];
    size_t len = 0;
    stem_iter *iter = open_walk(db, range, false);

    plan_to_be_gone();
    for (uint32_t seeks = random_below(3); seeks > 0; seeks--)
        seek_somewhere(iter, sought, path, &len);
    if (random_below(6) == 0) {
        assert_ok(stem_iter_seek(iter, NULL, 0));
        len = 0;
    }
    bool has_entry = stem_iter_next(iter);
    end_plan();
    model_walk walk = model_expect(data, "", 0, range, false);
    size_t next = len > 0 ? model_seek(&walk, range->reverse, path, len) : 0;
    for (uint64_t left = range->limit ? range->limit : UINT64_MAX; left > 0; left--) {
        ck_assert_msg(has_entry == (next < walk.n), "STEM_TEST_SEED=%llu", seed);
        if (!has_entry)
            break;
        const char *problem = model_differs(iter, &walk.steps[next++], range->keys_only);
        ck_assert_msg(!problem, "%s differs (STEM_TEST_SEED=%llu)", problem, seed);
        has_entry = stem_iter_next(iter);
    }
    assert_ok(stem_iter_code(iter));
    assert_ok(stem_iter_close(iter));
    ck_assert_uint_eq(engine.open, 0);
    free(walk.steps);
}

START_TEST(a_walk_that_has_given_nothing_is_of_the_state_it_finds)
{
    engine_at_failure(change_data);
    times_gone = 0;
    for (int i = 0; i < 2000; i++) {
        stem_range range = random_range();

        start_small();
        range.resume = false;
        walk_afresh(&range);
    }
    ck_assert_uint_gt(times_gone, 500);
}
END_TEST

START_TEST(a_walk_that_came_to_its_end_finds_no_other_state)
{
    stem_iter *iter = open_walk(db, NULL, false);

    ck_assert(!stem_iter_next(iter));
    engine_fail_at(1, STEM_EGONE);
    assert_failure(stem_iter_seek(iter, names, 1), STEM_EGONE);
    engine_fail_at(0, STEM_OK);
    assert_code(stem_iter_close(iter), STEM_OK); /* the walk itself had ended */
}
END_TEST

START_TEST(another_failure_of_a_first_step_is_returned)
{
    put_letters("a");
    stem_iter *iter = open_walk(db, NULL, false);

    assert_ok(stem_iter_code(iter));
    engine_fail_at(1, STEM_EIO);
    ck_assert(!stem_iter_next(iter));
    engine_fail_at(0, STEM_OK);
    assert_code(stem_iter_code(iter), STEM_EIO);
    ck_assert(!stem_iter_next(iter));
    assert_failure(stem_get(db, "none/", NULL),
                   STEM_EINVAL); /* another failure meanwhile */
    assert_code(stem_iter_code(iter), STEM_EIO);
    assert_code(stem_iter_close(iter), STEM_EIO);
}
END_TEST

START_TEST(a_first_step_that_finds_another_state_leaves_the_last_failure_alone)
{
    put_letters("a");
    assert_failure(stem_put(real, "", 1), STEM_EINVAL);
    stem_iter *iter = open_walk(db, NULL, false);

    engine_fail_at(1, STEM_EGONE);
    ck_assert(stem_iter_next(iter));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    assert_ok(stem_iter_code(iter));
    assert_ok(stem_iter_close(iter));
}
END_TEST

/* ---- Limits ----------------------------------------------------------------------- */

static void assert_gone_after_one(stem_db *at, const stem_range *range, bool children)
{
    stem_iter *iter = open_walk(at, range, children);

    ck_assert(stem_iter_next(iter));
    ck_assert_str_eq(stem_iter_key(iter), "a");
    engine_fail_at(1, STEM_EGONE);
    ck_assert(!stem_iter_next(iter));
    ck_assert(!stem_iter_next(iter));
    ck_assert_ptr_null(stem_iter_key(iter));
    assert_code(stem_iter_code(iter), STEM_EGONE);
    assert_failure(stem_iter_seek(iter, names, 1), STEM_EGONE);
    assert_code(stem_iter_close(iter), STEM_EGONE);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), injected_cause));
}

START_TEST(who_does_not_resume_is_told_that_the_state_is_gone)
{
    put_letters("abc");
    assert_gone_after_one(db, NULL, false);
    assert_gone_after_one(db, STEM_RANGE(.keys_only = true), false);
}
END_TEST

START_TEST(a_snapshot_that_is_gone_is_not_another_one)
{
    put_letters("abc");
    stem_db *frozen = stem_snapshot(db);
    stem_db *copy = stem_dup(frozen);
    assert_gone_after_one(frozen, STEM_RANGE(.resume = true), false);
    assert_gone_after_one(copy, STEM_RANGE(.resume = true), true);
    assert_gone_after_one(copy, NULL, true);
    assert_ok(stem_close(copy));
    assert_ok(stem_close(frozen));
}
END_TEST

enum { STATES_MAX = 32 };

/* The first call of the step, and then the opening of each further state. */
START_TEST(a_walk_gives_up_when_state_after_state_is_gone)
{
    put_letters("ab");
    for (unsigned is_too_often = 0; is_too_often < 2; is_too_often++) {
        stem_iter *iter = open_walk(db, STEM_RANGE(.resume = true), _i);

        ck_assert(stem_iter_next(iter));
        engine_fail_times(1, STATES_MAX + is_too_often, STEM_EGONE);
        ck_assert(stem_iter_next(iter) == !is_too_often);
        engine_fail_at(0, STEM_OK);
        ck_assert(!stem_iter_next(iter));
        assert_code(stem_iter_close(iter), is_too_often ? STEM_EGONE : STEM_OK);
    }
}
END_TEST

/* At every step the state is gone as often as a step allows. */
START_TEST(a_walk_does_not_give_up_while_it_gets_on)
{
    stem_iter *iter;

    put_letters("abcdef");
    iter = open_walk(db, STEM_RANGE(.resume = true), _i);
    for (int i = 0; i < 6; i++) {
        engine_fail_times(1, STATES_MAX, STEM_EGONE);
        ck_assert(stem_iter_next(iter));
        ck_assert_int_eq(stem_iter_key(iter)[0], 'a' + i);
        engine_fail_times(1, STATES_MAX, STEM_EGONE);
        assert_ok(stem_iter_seek(iter, (const char *[]){stem_iter_key(iter)}, 1));
        engine_fail_at(0, STEM_OK);
        ck_assert(stem_iter_next(iter));
        ck_assert_int_eq(stem_iter_key(iter)[0], 'a' + i);
    }
    ck_assert(!stem_iter_next(iter));
    assert_ok(stem_iter_close(iter));
}
END_TEST

static int gone_at_seeks;

/* One more state for each sub-database that the one step leaves. */
static void be_gone_at_the_next_seek(void)
{
    enum { CALLS_TO_THE_NEXT = 4 }; /* open, seek, next: the seek after them */

    if (++gone_at_seeks < 3 * STATES_MAX)
        engine_fail_at(CALLS_TO_THE_NEXT, STEM_EGONE);
}

START_TEST(a_walk_of_one_level_gets_on_with_every_name_it_leaves)
{
    enum { PLACES = 4 * STATES_MAX };

    for (int i = 0; i < PLACES; i++) {
        char name[8];
        snprintf(name, sizeof name, "%03d", i);
        stem_db *place = stem_sub(real, name);
        assert_ok(stem_put(place, "below", i));
        assert_ok(stem_close(place));
    }
    put_letters("Az");
    assert_ok(stem_put(real, "!", '!'));
    const stem_range range = {.shallow = true, .resume = true, .reverse = _i};
    stem_iter *iter = open_walk(db, &range, false);
    if (_i)
        assert_ok(stem_iter_seek(iter, (const char *[]){"999"}, 1));
    else
        ck_assert(stem_iter_next(iter));
    gone_at_seeks = 0;
    engine_at_failure(be_gone_at_the_next_seek);
    engine_fail_at(2, STEM_EGONE);
    ck_assert(stem_iter_next(iter));
    ck_assert_int_gt(gone_at_seeks, 2 * STATES_MAX);
    engine_at_failure(NULL);
    engine_fail_at(0, STEM_OK);
    ck_assert_str_eq(stem_iter_key(iter), _i ? "!" : "A");
    assert_ok(stem_iter_close(iter));
}
END_TEST

static void fail_after_that(void)
{
    engine_at_failure(NULL);
    engine_fail_at(1, STEM_EIO);
}

START_TEST(another_failure_of_a_walk_that_resumes_is_returned)
{
    put_letters("ab");
    stem_iter *iter = open_walk(db, STEM_RANGE(.resume = true), _i);
    ck_assert(stem_iter_next(iter));
    engine_at_failure(fail_after_that);
    engine_fail_at(1, STEM_EGONE);
    ck_assert(!stem_iter_next(iter));
    ck_assert_int_eq(stem_errcode(), STEM_EIO);
    ck_assert_ptr_null(stem_iter_key(iter));
    assert_code(stem_iter_close(iter), STEM_EIO);
}
END_TEST

START_TEST(a_walk_that_resumes_leaves_the_last_failure_alone)
{
    char before[256];

    put_letters("ab");
    assert_failure(stem_put(db, "", 1), STEM_EINVAL);
    strcpy(before, stem_errmsg());
    stem_iter *iter = open_walk(db, STEM_RANGE(.resume = true), _i);
    engine_fail_at(1, STEM_EGONE);
    ck_assert(stem_iter_next(iter));
    engine_fail_at(1, STEM_EGONE);
    assert_ok(stem_iter_seek(iter, (const char *[]){"b"}, 1));
    ck_assert(stem_iter_next(iter));
    engine_fail_at(1, STEM_EGONE);
    ck_assert(!stem_iter_next(iter));
    ck_assert_ptr_nonnull(engine_failed_call());
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_str_eq(stem_errmsg(), before);
    assert_ok(stem_iter_close(iter));
}
END_TEST

START_TEST(a_clear_that_goes_on_takes_no_more_than_its_limit)
{
    enum { N = 3000, LIMIT = 1500, GONE = 1300 }; /* after one commit of the clear's */
    uint64_t n;

    for (int i = 0; i < N; i++) {
        char name[8];

        snprintf(name, sizeof name, "%05d", i);
        assert_ok(stem_put(real, name, i));
    }
    engine_fail_at(GONE, STEM_EGONE);
    assert_ok(stem_clear(db, STEM_RANGE(.limit = LIMIT)));
    ck_assert_str_eq(engine_failed_call(), "iter_next");
    assert_ok(stem_count(real, NULL, &n));
    ck_assert_uint_eq(n, N - LIMIT);
    assert_code(stem_has(real, "01499"), STEM_NOTFOUND);
    assert_ok(stem_has(real, "01500"));
}
END_TEST

static void clear_behind_back(void)
{
    assert_ok(stem_clear(real, STEM_RANGE(.lt = "d")));
}

START_TEST(a_count_is_of_one_state_though_it_may_resume)
{
    uint64_t n;

    put_letters("abcdef");
    engine_at_failure(clear_behind_back);
    engine_fail_at(6, STEM_EGONE);
    assert_ok(stem_count(db, STEM_RANGE(.resume = true), &n));
    ck_assert_ptr_nonnull(engine_failed_call());
    ck_assert_uint_eq(n, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resume");
    TCase *walks = add_case(suite, "walks", 300);
    TCase *limits = add_case(suite, "limits", 60);

    tcase_add_checked_fixture(walks, start, end);
    tcase_add_loop_test(walks, a_walk_that_resumes_gives_what_the_model_gives, 0, 2);
    tcase_add_loop_test(walks, what_is_there_all_the_time_comes_once_whatever_changes, 0,
                        2);
    tcase_add_loop_test(walks, a_walk_goes_on_from_a_key_that_is_deleted_once_given, 0,
                        4);
    tcase_add_loop_test(walks, what_is_said_of_a_name_is_true_of_one_state, 0, 4);
    tcase_add_test(walks, a_walk_that_has_given_nothing_is_of_the_state_it_finds);
    tcase_add_test(walks, a_walk_that_came_to_its_end_finds_no_other_state);
    tcase_add_test(walks, another_failure_of_a_first_step_is_returned);
    tcase_add_test(walks,
                   a_first_step_that_finds_another_state_leaves_the_last_failure_alone);
    tcase_add_checked_fixture(limits, start, end);
    tcase_add_test(limits, who_does_not_resume_is_told_that_the_state_is_gone);
    tcase_add_test(limits, a_snapshot_that_is_gone_is_not_another_one);
    tcase_add_loop_test(limits, a_walk_gives_up_when_state_after_state_is_gone, 0, 2);
    tcase_add_loop_test(limits, a_walk_does_not_give_up_while_it_gets_on, 0, 2);
    tcase_add_loop_test(limits, a_walk_of_one_level_gets_on_with_every_name_it_leaves, 0,
                        2);
    tcase_add_loop_test(limits, another_failure_of_a_walk_that_resumes_is_returned, 0, 2);
    tcase_add_loop_test(limits, a_walk_that_resumes_leaves_the_last_failure_alone, 0, 2);
    tcase_add_test(limits, a_clear_that_goes_on_takes_no_more_than_its_limit);
    tcase_add_test(limits, a_count_is_of_one_state_though_it_may_resume);
    return run_suite(suite);
}
