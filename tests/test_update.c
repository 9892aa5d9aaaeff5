/*
 * Updates: what a callback may decide, and what it may do meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include "place.h"

static stem_db *root, *db;

static void open_place(void)
{
    root = new_database();
    db = stem_sub(root, "place");
}

static void close_place(void)
{
    assert_ok(stem_close(db));
    assert_ok(stem_close(root));
}

/* What the callback below sees and does. */
typedef struct script {
    int calls;
    int action;
    stem_value next; /* what it asks to store */

    bool was_present;
    int64_t seen; /* the integer it saw last */

    /* Meanwhile, in the first `meddlings` calls: write this under the key. */
    int meddlings;
    stem_db *meddling_with;
    const char *key;
} script;

static int follow(void *context, const stem_value *current, stem_value *next)
{
    script *plan = context;

    ck_assert_int_eq(next->type, STEM_NIL);
    plan->calls++;
    plan->was_present = current != NULL;
    plan->seen = current && current->type == STEM_INT ? current->as.integer : -1;
    if (plan->calls <= plan->meddlings)
        assert_ok(stem_put(plan->meddling_with, plan->key, 100 + plan->calls));
    *next = plan->next;
    return plan->action;
}

START_TEST(put_stores_the_next_value_over_any)
{
    script plan = {.action = STEM_UPDATE_PUT, .next = stem_str("first")};

    assert_ok(stem_update(db, "key", follow, &plan));
    ck_assert(!plan.was_present);
    assert_contents(db, "key=first");

    assert_ok(stem_put(db, "key", 7));
    plan.next = stem_float(2.5);
    assert_ok(stem_update(db, "key", follow, &plan));
    ck_assert(plan.was_present);
    ck_assert_int_eq(plan.seen, 7);
    ck_assert_int_eq(plan.calls, 2);
    assert_contents(db, "key=2.5f");
}
END_TEST

START_TEST(put_without_a_next_value_stores_nil)
{
    script plan = {.action = STEM_UPDATE_PUT};

    assert_ok(stem_update(db, "key", follow, &plan));
    assert_contents(db, "key=<nil>");
}
END_TEST

START_TEST(keep_leaves_the_key_as_it_is)
{
    script plan = {.action = STEM_UPDATE_KEEP, .next = stem_int(9)};

    assert_ok(stem_update(db, "key", follow, &plan));
    assert_contents(db, "");
    assert_ok(stem_put(db, "key", 7));
    assert_ok(stem_update(db, "key", follow, &plan));
    assert_contents(db, "key=7");
}
END_TEST

START_TEST(delete_removes_the_key_and_nothing_below_it)
{
    script plan = {.action = STEM_UPDATE_DELETE, .next = stem_int(9)};

    assert_ok(stem_update(root, "place", follow, &plan));
    assert_ok(stem_put(root, "place", 1));
    assert_ok(stem_put(db, "key", 7));
    assert_ok(stem_update(root, "place", follow, &plan));
    assert_contents(root, "place/key=7");
}
END_TEST

START_TEST(a_negative_result_is_the_answer)
{
    script plan = {.action = STEM_ENOTSUP, .next = stem_int(9)};

    assert_ok(stem_put(db, "key", 7));
    assert_failure(stem_update(db, "key", follow, &plan), STEM_ENOTSUP);
    ck_assert_int_eq(plan.calls, 1);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "place/key"));
    plan.action = -12345;
    assert_failure(stem_update(db, "key", follow, &plan), -12345);
    assert_contents(db, "key=7");
}
END_TEST

START_TEST(a_result_that_is_no_action_is_refused)
{
    const int nonsense[] = {STEM_UPDATE_DELETE + 1, 99, INT32_MAX};
    script plan = {.next = stem_int(9)};

    assert_ok(stem_put(db, "key", 7));
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        plan.action = nonsense[i];
        assert_failure(stem_update(db, "key", follow, &plan), STEM_EINVAL);
    }
    assert_contents(db, "key=7");
}
END_TEST

START_TEST(a_next_value_that_cannot_be_stored_is_refused)
{
    script plan = {.action = STEM_UPDATE_PUT, .next = stem_packed("\xc1", 1)};

    assert_ok(stem_put(db, "key", 7));
    assert_failure(stem_update(db, "key", follow, &plan), STEM_EINVAL);
    plan.next = (stem_value){.type = 99};
    assert_failure(stem_update(db, "key", follow, &plan), STEM_EINVAL);
    assert_contents(db, "key=7");
}
END_TEST

START_TEST(it_starts_again_when_the_key_changed_meanwhile)
{
    const int actions[] = {STEM_UPDATE_PUT, STEM_UPDATE_DELETE};

    for (int i = 0; i < 2; i++) {
        script plan = {.action = actions[i],
                       .next = stem_str("done"),
                       .meddlings = 3,
                       .meddling_with = db,
                       .key = "key"};

        assert_ok(stem_put(db, "key", 1));
        assert_ok(stem_update(db, "key", follow, &plan));
        ck_assert_int_eq(plan.calls, 4);
        ck_assert_int_eq(plan.seen, 103);
        assert_contents(db, actions[i] == STEM_UPDATE_PUT ? "key=done" : "");
    }
}
END_TEST

START_TEST(it_starts_again_when_an_absent_key_appeared)
{
    script plan = {.action = STEM_UPDATE_PUT,
                   .next = stem_str("done"),
                   .meddlings = 1,
                   .meddling_with = db,
                   .key = "key"};

    assert_ok(stem_update(db, "key", follow, &plan));
    ck_assert_int_eq(plan.calls, 2);
    ck_assert_int_eq(plan.seen, 101);
    assert_contents(db, "key=done");
}
END_TEST

START_TEST(another_key_written_meanwhile_is_no_conflict)
{
    script plan = {.action = STEM_UPDATE_PUT,
                   .next = stem_str("done"),
                   .meddlings = 1,
                   .meddling_with = root,
                   .key = "place"};

    assert_ok(stem_put(db, "key", 1));
    assert_ok(stem_update(db, "key", follow, &plan));
    ck_assert_int_eq(plan.calls, 1);
    assert_contents(root, "place=101 place/key=done");
}
END_TEST

/* Reads in every way while it decides. */
static int sum_up(void *context, const stem_value *current, stem_value *next)
{
    stem_db *place = context;
    int64_t sum = 0;
    uint64_t count;
    stem_value again;
    stem_iter *iter = stem_iter_open(place, NULL);

    while (stem_iter_next(iter))
        sum += stem_iter_value(iter)->as.integer;
    assert_ok(stem_iter_close(iter));
    assert_ok(stem_count(place, NULL, &count));
    ck_assert_uint_eq(count, 3);
    assert_ok(stem_get(place, "b", &again));
    ck_assert_int_eq(again.as.integer, current->as.integer);
    stem_value_free(&again);
    *next = stem_int(sum);
    return STEM_UPDATE_PUT;
}

START_TEST(a_callback_may_read_the_database)
{
    assert_ok(stem_put(db, "a", 1));
    assert_ok(stem_put(db, "b", 2));
    assert_ok(stem_put(db, "c", 3));
    assert_ok(stem_update(db, "b", sum_up, db));
    assert_contents(db, "a=1 b=6 c=3");
}
END_TEST

static int update_inside(void *context, const stem_value *current, stem_value *next)
{
    script inner = {.action = STEM_UPDATE_PUT, .next = stem_int(50)};

    if (!current || current->as.integer != 50)
        assert_ok(stem_update(context, "key", follow, &inner));
    *next = stem_int(current ? current->as.integer + 1 : 0);
    return STEM_UPDATE_PUT;
}

START_TEST(a_callback_may_update_the_same_key)
{
    assert_ok(stem_put(db, "key", 1));
    assert_ok(stem_update(db, "key", update_inside, db));
    assert_contents(db, "key=51");
}
END_TEST

/* Stores the current value again with one byte or element less, out of the current one. */
static int shorten(void *context, const stem_value *current, stem_value *next)
{
    (void)context;
    *next = *current;
    if (current->type == STEM_STR) {
        ck_assert_uint_eq(strlen(current->as.str.data), current->as.str.len);
        next->as.str.len--;
    } else {
        ck_assert_uint_eq((uintptr_t)current->as.array.data % sizeof(double), 0);
        *next = stem_array1(STEM_F64, current->as.array.data, 2);
    }
    next->owned = NULL;
    return STEM_UPDATE_PUT;
}

START_TEST(the_next_value_may_borrow_from_the_current_one)
{
    const double numbers[] = {1, 2, 3};
    char large[5000];
    stem_value value;

    memset(large, 'x', sizeof large);
    assert_ok(stem_put(db, "str", stem_strn(large, sizeof large)));
    assert_ok(stem_update(db, "str", shorten, NULL));
    assert_ok(stem_get(db, "str", &value));
    ck_assert_uint_eq(value.as.str.len, sizeof large - 1);
    stem_value_free(&value);

    assert_ok(stem_put(db, "array", stem_vec(numbers, 3)));
    assert_ok(stem_update(db, "array", shorten, NULL));
    assert_ok(stem_get_array(db, "array", STEM_F64, &value));
    ck_assert_uint_eq(value.as.array.count, 2);
    ck_assert(((const double *)value.as.array.data)[1] == 2);
    stem_value_free(&value);
}
END_TEST

static int fail_with_a_reason(void *context, const stem_value *current, stem_value *next)
{
    int64_t number;

    (void)current;
    (void)next;
    return stem_get_int(context, "text", &number);
}

START_TEST(a_failure_of_stem_inside_the_callback_can_be_passed_on)
{
    assert_ok(stem_put(db, "text", "x"));
    assert_failure(stem_update(db, "key", fail_with_a_reason, db), STEM_ETYPE);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "update"));
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "text"));
    assert_contents(db, "text=x");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("update");
    TCase *update = add_case(suite, "update", 60);

    tcase_add_checked_fixture(update, open_place, close_place);
    tcase_add_test(update, put_stores_the_next_value_over_any);
    tcase_add_test(update, put_without_a_next_value_stores_nil);
    tcase_add_test(update, keep_leaves_the_key_as_it_is);
    tcase_add_test(update, delete_removes_the_key_and_nothing_below_it);
    tcase_add_test(update, a_negative_result_is_the_answer);
    tcase_add_test(update, a_result_that_is_no_action_is_refused);
    tcase_add_test(update, a_next_value_that_cannot_be_stored_is_refused);
    tcase_add_test(update, it_starts_again_when_the_key_changed_meanwhile);
    tcase_add_test(update, it_starts_again_when_an_absent_key_appeared);
    tcase_add_test(update, another_key_written_meanwhile_is_no_conflict);
    tcase_add_test(update, a_callback_may_read_the_database);
    tcase_add_test(update, a_callback_may_update_the_same_key);
    tcase_add_test(update, the_next_value_may_borrow_from_the_current_one);
    tcase_add_test(update, a_failure_of_stem_inside_the_callback_can_be_passed_on);
    return run_suite(suite);
}
