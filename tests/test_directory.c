/*
 * The directory of a database: who may claim it, and what that leaves to others. Each
 * stem_directory stands for a process: the locks are of open files, not of processes.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/directory_claim.h"
#include "support.h"

static const stem_options any;
static const char *place;

static stem_directory open_directory(void)
{
    stem_directory dir;
    bool made;

    if (!place)
        place = path_in(temp_dir(), "db");
    assert_ok(stem_directory_open(place, true, &dir, &made));
    return dir;
}

static bool is_there(const char *name)
{
    return access(path_in(place, name), F_OK) == 0;
}

/* Puts there what LevelDB would have made. */
static void make_file(const char *name)
{
    FILE *file = fopen(path_in(place, name), "w");

    ck_assert_ptr_nonnull(file);
    fclose(file);
}

/* ---- Creating --------------------------------------------------------------------- */

START_TEST(whoever_gave_up_the_lock_removes_nothing_of_the_next)
{
    stem_directory first = open_directory(), next = open_directory();
    bool is_new;

    assert_ok(stem_directory_claim(&first, &any, STEM_CLAIM_SHARING, &is_new));
    ck_assert(is_new);
    assert_ok(stem_directory_clear(&first));
    stem_directory_unlock(&first);
    assert_ok(stem_directory_claim(&next, &any, STEM_CLAIM_SHARING, &is_new));
    make_file("CURRENT");
    stem_directory_unclaim(&first, true, true);
    ck_assert(is_there("STEM"));
    ck_assert(is_there("CURRENT"));
    ck_assert(is_there("stem.lock"));
    stem_directory_close(&next);
}
END_TEST

START_TEST(a_failed_creation_leaves_nothing)
{
    stem_directory dir = open_directory();
    bool is_new;

    assert_ok(stem_directory_claim(&dir, &any, STEM_CLAIM_ALONE, &is_new));
    make_file("CURRENT");
    make_file("000003.log");
    stem_directory_unclaim(&dir, true, is_new);
    ck_assert_int_ne(access(place, F_OK), 0);
}
END_TEST

/* ---- Staying ---------------------------------------------------------------------- */

START_TEST(who_stays_by_a_lock_that_is_removed_stays_by_the_next)
{
    stem_directory first = open_directory(), next = open_directory();
    stem_directory alone = open_directory();
    bool is_new;

    assert_code(stem_directory_stay(&next), STEM_NOTFOUND);
    assert_ok(stem_directory_claim(&first, &any, STEM_CLAIM_SHARING, &is_new));
    assert_ok(stem_directory_stay(&next));
    stem_directory_unclaim(&first, false, is_new);
    assert_code(stem_directory_stay(&next), STEM_NOTFOUND);
    first = open_directory();
    assert_ok(stem_directory_claim(&first, &any, STEM_CLAIM_SHARING, &is_new));
    assert_ok(stem_directory_stay(&next));
    stem_directory_close(&first);
    assert_code(stem_directory_lock(&alone, false, STEM_CLAIM_ALONE), STEM_ELOCKED);
    stem_directory_close(&next);
    assert_ok(stem_directory_lock(&alone, false, STEM_CLAIM_ALONE));
    stem_directory_close(&alone);
}
END_TEST

/* ---- Looking ---------------------------------------------------------------------- */

START_TEST(damage_is_no_lock_to_those_who_share_it)
{
    stem_directory first = open_directory(), next = open_directory();
    bool is_new;

    assert_ok(stem_directory_claim(&first, &any, STEM_CLAIM_SHARING, &is_new));
    make_file("000003.log");
    assert_ok(stem_directory_stay(&next));
    assert_code(stem_directory_look(&next, STEM_CLAIM_SHARING), STEM_ELOCKED);
    stem_directory_close(&first);
    assert_code(stem_directory_look(&next, STEM_CLAIM_SHARING), STEM_ECORRUPT);
    assert_code(stem_directory_look(&next, STEM_CLAIM_ALONE), STEM_ELOCKED);
    stem_directory_close(&next);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("directory");
    TCase *creating = add_case(suite, "creating", 10);
    TCase *staying = add_case(suite, "staying", 10);
    TCase *looking = add_case(suite, "looking", 10);

    tcase_add_test(creating, whoever_gave_up_the_lock_removes_nothing_of_the_next);
    tcase_add_test(creating, a_failed_creation_leaves_nothing);

    tcase_add_test(staying, who_stays_by_a_lock_that_is_removed_stays_by_the_next);
    tcase_add_test(looking, damage_is_no_lock_to_those_who_share_it);
    return run_suite(suite);
}
