/*
 * Snapshots and cursors that a server keeps from one request to the next: each for its
 * holder alone, a limited number, and not for ever.
 */
#include "engine_support.h"

#include <stdlib.h>

#include "clock.h"
#include "net/cursors.h"
#include "net/snapshots.h"

static stem_engine *engine;
static stem_snapshots *snapshots;
static stem_cursors *cursors;

static const stem_slice ada = {"ada", 3}, bob = {"bob", 3}, nobody = {NULL, 0};

static void set_up(void)
{
    const stem_snapshots_options options = {.limit = 3, .idle_seconds = 10};
    const stem_options plain = {0};

    assert_ok(stem_engine_acquire("mem:", &plain, NULL, &engine));
    snapshots = stem_snapshots_new(engine, &options);
    cursors = stem_cursors_new(3);
    ck_assert_ptr_nonnull(snapshots);
    ck_assert_ptr_nonnull(cursors);
}

static void tear_down(void)
{
    stem_snapshots_free(snapshots);
    stem_cursors_free(cursors);
    close_engine(engine);
}

/* ---- Names ------------------------------------------------------------------------ */

START_TEST(an_id_is_read_as_it_was_written_and_no_other_way)
{
    stem_id id, read;
    char text[STEM_ID_DIGITS];

    assert_ok(stem_id_make(&id));
    stem_id_format(&id, text);
    ck_assert(stem_id_parse((stem_slice){text, sizeof text}, &read));
    ck_assert_mem_eq(&id, &read, sizeof id);
    ck_assert(!stem_id_parse((stem_slice){text, sizeof text - 1}, &read));
    for (int i = 0; i < 256; i++) {
        bool is_digit = (i >= '0' && i <= '9') || (i >= 'a' && i <= 'f');

        text[5] = (char)i;
        ck_assert(stem_id_parse((stem_slice){text, sizeof text}, &read) == is_digit);
    }
}
END_TEST

START_TEST(no_two_ids_are_the_same)
{
    stem_id a, b;

    assert_ok(stem_id_make(&a));
    assert_ok(stem_id_make(&b));
    ck_assert_mem_ne(&a, &b, sizeof a);
}
END_TEST

/* ---- Snapshots -------------------------------------------------------------------- */

static stem_id open_for(stem_slice holder)
{
    stem_id id;

    assert_ok(stem_snapshots_open(snapshots, holder, &id));
    return id;
}

static bool can_take(stem_slice holder, const stem_id *id)
{
    stem_held_snapshot *held = stem_snapshots_take(snapshots, holder, id);

    if (held)
        stem_snapshots_give_back(snapshots, held);
    return held;
}

START_TEST(a_snapshot_shows_what_was_there_when_it_was_opened)
{
    put(engine, slice("a"), slice("1"));
    stem_id id = open_for(ada);
    put(engine, slice("a"), slice("2"));
    stem_held_snapshot *held = stem_snapshots_take(snapshots, ada, &id);
    ck_assert_ptr_nonnull(held);
    assert_holds(engine, stem_held_snapshot_of(held), slice("a"), slice("1"));
    stem_snapshots_give_back(snapshots, held);
}
END_TEST

START_TEST(a_snapshot_is_its_holders_alone)
{
    stem_id id = open_for(ada), own = open_for(nobody);

    ck_assert(!can_take(bob, &id));
    ck_assert(!can_take(nobody, &id));
    ck_assert(!can_take(slice("ad"), &id));
    ck_assert(!can_take(ada, &own));
    stem_snapshots_drop(snapshots, bob, &id);
    stem_snapshots_drop_all(snapshots, bob);
    ck_assert(can_take(ada, &id));
    ck_assert(can_take(nobody, &own));
}
END_TEST

START_TEST(a_holder_has_a_limited_number)
{
    stem_id ids[3], id;

    for (int i = 0; i < 3; i++)
        ids[i] = open_for(ada);
    assert_code(stem_snapshots_open(snapshots, ada, &id), STEM_ERANGE);
    open_for(bob);
    ck_assert_uint_eq(stem_snapshots_count(snapshots), 4);
    stem_snapshots_drop(snapshots, ada, &ids[1]);
    ids[1] = open_for(ada);
    for (int i = 0; i < 3; i++)
        ck_assert(can_take(ada, &ids[i]));
}
END_TEST

START_TEST(what_is_dropped_is_gone)
{
    stem_id first = open_for(ada), second = open_for(ada), others = open_for(bob);

    stem_snapshots_drop(snapshots, ada, &first);
    stem_snapshots_drop(snapshots, ada, &first);
    ck_assert(!can_take(ada, &first));
    ck_assert(can_take(ada, &second));
    open_for(ada);
    stem_snapshots_drop_all(snapshots, ada);
    stem_snapshots_drop_all(snapshots, ada);
    ck_assert(!can_take(ada, &second));
    ck_assert(can_take(bob, &others));
    ck_assert_uint_eq(stem_snapshots_count(snapshots), 1);
}
END_TEST

START_TEST(one_that_is_idle_for_too_long_expires)
{
    stem_id id = open_for(ada);
    const uint64_t now = stem_clock();

    stem_snapshots_expire(snapshots, now + 9 * STEM_SECOND);
    ck_assert(can_take(ada, &id));
    stem_snapshots_expire(snapshots, now + 11 * STEM_SECOND);
    ck_assert(!can_take(ada, &id));
    ck_assert_uint_eq(stem_snapshots_count(snapshots), 0);
}
END_TEST

START_TEST(use_keeps_a_snapshot_from_expiring)
{
    stem_id used = open_for(ada), unused = open_for(ada);
    const uint64_t opened = stem_clock();

    while (stem_clock() == opened)
        continue;
    ck_assert(can_take(ada, &used));
    stem_snapshots_expire(snapshots, opened + 10 * STEM_SECOND);
    ck_assert(can_take(ada, &used));
    ck_assert(!can_take(ada, &unused));
}
END_TEST

START_TEST(one_in_use_outlives_its_name)
{
    put(engine, slice("a"), slice("1"));
    stem_id id = open_for(ada), other = open_for(ada);
    stem_held_snapshot *first = stem_snapshots_take(snapshots, ada, &id);
    stem_held_snapshot *second = stem_snapshots_take(snapshots, ada, &id);

    put(engine, slice("a"), slice("2"));
    stem_snapshots_expire(snapshots, stem_clock() + 60 * STEM_SECOND);
    ck_assert(!can_take(ada, &other));
    ck_assert(can_take(ada, &id));
    stem_snapshots_drop_all(snapshots, ada);
    ck_assert(!can_take(ada, &id));
    stem_snapshots_give_back(snapshots, first);
    assert_holds(engine, stem_held_snapshot_of(second), slice("a"), slice("1"));
    stem_snapshots_give_back(snapshots, second);
}
END_TEST

/* ---- Cursors ---------------------------------------------------------------------- */

static uint64_t keep(stem_slice user, const char *scope, const char *position,
                     uint64_t before)
{
    uint64_t id;

    assert_ok(
        stem_cursors_keep(cursors, user, slice(scope), slice(position), before, &id));
    ck_assert_uint_gt(id, 0);
    ck_assert_uint_le(id, INT64_MAX);
    return id;
}

/* The cursor's position, or NULL. */
static const char *found(stem_slice user, const char *scope, uint64_t id)
{
    static char text[64];
    stem_buffer position = {0};

    int code = stem_cursors_find(cursors, user, slice(scope), id, &position);
    ck_assert(code == STEM_OK || code == STEM_NOTFOUND);
    if (position.len > 0)
        memcpy(text, position.data, position.len);
    text[position.len] = '\0';
    free(position.data);
    return code == STEM_OK ? text : NULL;
}

START_TEST(a_cursor_is_good_for_its_user_and_scope_alone)
{
    uint64_t id = keep(ada, "s", "here", 0), own = keep(nobody, "", "there", 0);

    ck_assert_str_eq(found(ada, "s", id), "here");
    ck_assert_str_eq(found(nobody, "", own), "there");
    ck_assert_ptr_null(found(bob, "s", id));
    ck_assert_ptr_null(found(nobody, "s", id));
    ck_assert_ptr_null(found(ada, "", id));
    ck_assert_ptr_null(found(ada, "sh", id));
    ck_assert_ptr_null(found(ada, "s", id ^ 1));
    ck_assert_ptr_null(found(ada, "s", 0));
    ck_assert_str_eq(found(ada, "s", id), "here");
}
END_TEST

START_TEST(a_user_holds_a_limited_number_and_the_oldest_goes)
{
    uint64_t ids[3], others = keep(bob, "", "b", 0);

    for (int i = 0; i < 3; i++)
        ids[i] = keep(ada, i == 2 ? "another" : "", "a", 0);
    keep(ada, "", "new", 0);
    ck_assert_ptr_null(found(ada, "", ids[0]));
    ck_assert_ptr_nonnull(found(ada, "", ids[1]));
    ck_assert_ptr_nonnull(found(ada, "another", ids[2]));
    ck_assert_ptr_nonnull(found(bob, "", others));
}
END_TEST

START_TEST(a_cursor_lasts_until_its_walk_goes_on_from_the_next)
{
    uint64_t first = keep(ada, "", "1", 0), bystander = keep(ada, "", "x", 0);
    uint64_t second = keep(ada, "", "2", first);

    ck_assert_str_eq(found(ada, "", first), "1");
    ck_assert_str_eq(found(ada, "", second), "2");
    ck_assert_ptr_null(found(ada, "", first));
    ck_assert_str_eq(found(ada, "", second), "2");
    /* So a walk of any length holds two at most, and pushes nobody out. */
    for (int i = 0; i < 10; i++) {
        uint64_t next = keep(ada, "", "more", second);

        ck_assert_str_eq(found(ada, "", next), "more");
        second = next;
    }
    ck_assert_str_eq(found(ada, "", bystander), "x");
}
END_TEST

START_TEST(nobody_takes_away_what_is_another_users)
{
    uint64_t id = keep(ada, "", "mine", 0), thief = keep(bob, "", "his", id);

    ck_assert_str_eq(found(bob, "", thief), "his");
    ck_assert_str_eq(found(ada, "", id), "mine");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshots");
    TCase *tcase = add_case(suite, "snapshots", 20);

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, an_id_is_read_as_it_was_written_and_no_other_way);
    tcase_add_test(tcase, no_two_ids_are_the_same);
    tcase_add_test(tcase, a_snapshot_shows_what_was_there_when_it_was_opened);
    tcase_add_test(tcase, a_snapshot_is_its_holders_alone);
    tcase_add_test(tcase, a_holder_has_a_limited_number);
    tcase_add_test(tcase, what_is_dropped_is_gone);
    tcase_add_test(tcase, one_that_is_idle_for_too_long_expires);
    tcase_add_test(tcase, use_keeps_a_snapshot_from_expiring);
    tcase_add_test(tcase, one_in_use_outlives_its_name);

    tcase = add_case(suite, "cursors", 20);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_cursor_is_good_for_its_user_and_scope_alone);
    tcase_add_test(tcase, a_user_holds_a_limited_number_and_the_oldest_goes);
    tcase_add_test(tcase, a_cursor_lasts_until_its_walk_goes_on_from_the_next);
    tcase_add_test(tcase, nobody_takes_away_what_is_another_users);
    return run_suite(suite);
}
