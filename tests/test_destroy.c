/*
 * Destroying: all that is the database's goes, and nothing else does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"
#include "stem.h"
#include "support.h"

/* A database with tables, a log and an old info log, in a new directory. */
static const char *make_database(void)
{
    const char *path = path_in(temp_dir(), "d");

    for (int i = 0; i < 3; i++) {
        stem_db *db;

        assert_ok(stem_open(&db, path, NULL));
        assert_ok(stem_put(db, "key", i));
        assert_ok(stem_close(db));
    }
    return path;
}

static bool exists(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

static void assert_text_has(const char *part)
{
    ck_assert_msg(strstr(stem_errmsg(), part), "no '%s' in: %s", part, stem_errmsg());
}

START_TEST(a_database_goes_with_its_directory)
{
    const char *path = make_database();
    stem_db *db;

    assert_ok(stem_destroy(path));
    ck_assert(!exists(path));
    assert_code(stem_destroy(path), STEM_NOTFOUND);
    assert_ok(stem_open(&db, path, STEM_OPTIONS(.must_be_new = true)));
    assert_code(stem_has(db, "key"), STEM_NOTFOUND);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(files_of_others_are_kept_and_named)
{
    static const char *const names[] = {
        "a.sst",        "log",           "MANIFEST-",
        "MANIFEST-5.x", "000005.ldb.gz", "STEM.old",
        "current",      "LOG.1",         "99999999999999999999.log",
        "-5.log",       ".hidden",       "x.log"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *path = make_database();
        const char *theirs = path_in(path, names[i]);

        write_file(theirs, "mine\n");
        assert_code(stem_destroy(path), STEM_EXISTS);
        assert_text_has(names[i]);
        ck_assert(exists(theirs));
        ck_assert_int_eq(remove(theirs), 0);
        ck_assert_msg(rmdir(path) == 0, "more than %s was left", names[i]);
    }
}
END_TEST

START_TEST(a_directory_with_a_name_of_leveldbs_is_kept)
{
    const char *path = make_database();

    ck_assert_int_eq(mkdir(path_in(path, "000099.ldb"), 0777), 0);
    assert_code(stem_destroy(path), STEM_EXISTS);
    assert_text_has("000099.ldb");
    ck_assert_int_eq(rmdir(path_in(path, "000099.ldb")), 0);
    ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

START_TEST(a_link_is_followed_to_the_database_and_what_it_links_to_is_not)
{
    const char *path = make_database();
    const char *dir = temp_dir();

    write_file(path_in(dir, "file"), "mine\n");
    ck_assert_int_eq(symlink(path_in(dir, "file"), path_in(path, "000077.log")), 0);
    ck_assert_int_eq(symlink(path, path_in(dir, "link")), 0);
    assert_ok(stem_destroy(path_in(dir, "link")));
    ck_assert(!exists(path));
    ck_assert(exists(path_in(dir, "file")));
}
END_TEST

START_TEST(an_open_database_is_not_destroyed)
{
    const char *path = make_database();
    char text[1024];
    stem_db *db, *sub;

    assert_ok(stem_open(&db, path, NULL));
    sub = stem_sub(db, "sub");
    assert_ok(stem_close(db));
    assert_code(stem_destroy(path), STEM_ELOCKED);
    assert_text_has("close its handles");
    ck_assert_int_eq(destroy_elsewhere(path, text, sizeof text), STEM_ELOCKED);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    ck_assert_msg(strstr(text, pid), "no %s in: %s", pid, text);

    assert_ok(stem_put(sub, "key", 2));
    assert_ok(stem_close(sub));
    assert_ok(stem_destroy(path));
}
END_TEST

START_TEST(a_database_open_elsewhere_is_not_destroyed)
{
    const char *path = make_database();
    other_process other;

    ck_assert_int_eq(hold_elsewhere(path, &other), STEM_OK);
    char *before = directory_state(path);
    assert_code(stem_destroy(path), STEM_ELOCKED);
    char *after = directory_state(path);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    let_go(&other);
    assert_ok(stem_destroy(path));
}
END_TEST

/* What a removal has removed by the time it dies, in its order. */
enum step {
    NOTHING,
    CURRENT_GONE,
    SOME_GONE,
    ALL_BUT_OURS,
    OURS_LEFT,
    MARKER_GONE,
    LOCK_GONE
};

static void remove_up_to(const char *path, enum step step)
{
    static const char *const names[] = {"LOG.old", "LOG", "LOCK"};
    char command[512];

    if (step >= CURRENT_GONE)
        ck_assert_int_eq(rename(path_in(path, "CURRENT"), path_in(path, "stem.removal")),
                         0);
    if (step >= SOME_GONE)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            ck_assert_int_eq(remove(path_in(path, names[i])), 0);
    snprintf(command, sizeof command, "cd %s && rm -f *.log *.ldb MANIFEST-*", path);
    if (step >= ALL_BUT_OURS)
        ck_assert_int_eq(system(command), 0);
    if (step >= OURS_LEFT)
        ck_assert_int_eq(remove(path_in(path, "stem.removal")), 0);
    if (step >= MARKER_GONE)
        ck_assert_int_eq(remove(path_in(path, "STEM")), 0);
    if (step >= LOCK_GONE)
        ck_assert_int_eq(remove(path_in(path, "stem.lock")), 0);
}

START_TEST(a_removal_that_died_can_be_run_again)
{
    const char *path = make_database();

    remove_up_to(path, (enum step)_i);
    assert_ok(stem_destroy(path));
    ck_assert(!exists(path));
}
END_TEST

/* Neither damage, which the missing CURRENT would be, nor an earlier state. */
START_TEST(a_database_whose_removal_died_is_no_more)
{
    const char *path = make_database();
    stem_db *db;

    remove_up_to(path, (enum step)_i);
    assert_code(stem_open(&db, path, STEM_OPTIONS(.must_exist = true)), STEM_NOTFOUND);
    assert_code(stem_open(&db, path, STEM_OPTIONS(.read_only = true)), STEM_NOTFOUND);
    for (int i = 0; i < 2; i++) {
        assert_ok(stem_open(&db, path, STEM_OPTIONS(.must_be_new = i == 0)));
        assert_code(stem_has(db, "key"), STEM_NOTFOUND);
        assert_code(stem_has(db, "new"), i == 0 ? STEM_NOTFOUND : STEM_OK);
        assert_ok(stem_put(db, "new", 1));
        assert_ok(stem_close(db));
    }
    ck_assert(!exists(path_in(path, "stem.removal")));
}
END_TEST

START_TEST(an_empty_directory_is_no_database_and_stays)
{
    const char *dir = temp_dir();

    assert_code(stem_destroy(dir), STEM_NOTFOUND);
    ck_assert(exists(dir));
}
END_TEST

int main(int argc, char **argv)
{
    be_other_process(argc, argv);

    Suite *suite = suite_create("destroy");
    TCase *destroy = add_case(suite, "destroy", 20);

    tcase_add_test(destroy, a_database_goes_with_its_directory);
    tcase_add_test(destroy, files_of_others_are_kept_and_named);
    tcase_add_test(destroy, a_directory_with_a_name_of_leveldbs_is_kept);
    tcase_add_test(destroy,
                   a_link_is_followed_to_the_database_and_what_it_links_to_is_not);
    tcase_add_test(destroy, an_open_database_is_not_destroyed);
    tcase_add_test(destroy, a_database_open_elsewhere_is_not_destroyed);
    tcase_add_loop_test(destroy, a_removal_that_died_can_be_run_again, NOTHING,
                        LOCK_GONE);
    tcase_add_loop_test(destroy, a_database_whose_removal_died_is_no_more, CURRENT_GONE,
                        LOCK_GONE + 1);
    tcase_add_test(destroy, an_empty_directory_is_no_database_and_stays);
    return run_suite(suite);
}
