/*
 * What a location means: which texts name a directory, which an engine, and what those are told
 * that name neither.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "place.h"

static char working_directory[4096];

static void enter_new_directory(void)
{
    ck_assert_ptr_nonnull(getcwd(working_directory, sizeof working_directory));
    ck_assert_int_eq(chdir(temp_dir()), 0);
}

static void leave_directory(void)
{
    ck_assert_int_eq(chdir(working_directory), 0);
}

static int files_here(void)
{
    DIR *here = opendir(".");
    int n = -2; /* "." and ".." */

    while (readdir(here))
        n++;
    closedir(here);
    return n;
}

static bool is_directory(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static void assert_says(const char *part)
{
    ck_assert_msg(strstr(stem_errmsg(), part) != NULL, "no '%s' in: %s", part,
                  stem_errmsg());
}

/* ---- Unknown schemes -------------------------------------------------------------- */

static const char *const unknown[] = {
    "rocksdb:x",
    ":memory:",
    "sqlite:./x",
    "C:",
    "C:\\db",
    "a:b",
    "10:30",
    "file:///tmp/x",
    "redis://h",
    "stem:x",
    "STEM://h",
    "LEVELDB:x",
    "postgres://h",
    "postgresql://h/d",
    ":",
    "a b:c",
    "\xc3\xa4:x",
    "Mem:",
    "rocksdb:a/b",
    "x::",
    "stem:/h",
};
enum { N_UNKNOWN = sizeof unknown / sizeof *unknown };

static const stem_options ways[] = {
    {.sync = false},     {.must_exist = true},         {.must_be_new = true},
    {.read_only = true}, {.writeback_bytes = 1 << 20}, {.shared = true},
};

START_TEST(an_unknown_scheme_is_not_supported_and_the_known_ones_are_named)
{
    const char *location = unknown[_i];
    stem_db *db = NULL;

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        assert_failure(stem_open(&db, location, &ways[i]), STEM_ENOTSUP);
        ck_assert_ptr_null(db);
        assert_says("a directory");
        assert_says("leveldb:");
        assert_says("mem:");
        assert_says(location);
#ifdef HAVE_HIREDIS
        assert_says("unix:");
        assert_says("stem://");
        assert_says("stems://");
#endif
    }
    assert_failure(stem_destroy(location), STEM_ENOTSUP);
    assert_says("leveldb:");
    ck_assert_int_eq(files_here(), 0);
}
END_TEST

/* The text alone decides, whatever lies in the working directory. */
START_TEST(a_directory_of_that_name_is_written_with_a_dot_and_a_slash)
{
    const char *location = unknown[_i];
    char path[100];
    stem_db *db;

    if (strchr(location, '/'))
        return;
    snprintf(path, sizeof path, "./%s", location);
    assert_ok(stem_open(&db, path, NULL));
    assert_ok(stem_put(db, "a", 1));
    assert_ok(stem_close(db));
    ck_assert(is_directory(location));
    assert_failure(stem_open(&db, location, NULL), STEM_ENOTSUP);
    assert_failure(stem_destroy(location), STEM_ENOTSUP);
    assert_ok(stem_open(&db, path, STEM_OPTIONS(.must_exist = true)));
    assert_contents(db, "a=1");
    assert_ok(stem_close(db));
    assert_ok(stem_destroy(path));
    ck_assert_int_eq(files_here(), 0);
}
END_TEST

START_TEST(a_password_in_what_is_not_understood_stays_unsaid)
{
    static const char *const with_secrets[] = {
        "mysql://root:secret@h/x", "secret:secret@h",       "redis://:secret@h:1",
        "http://h/secret@secret@", "postgres://u:secret@h", "rocksdb:secret@x"};
    stem_db *db;

    for (size_t i = 0; i < sizeof with_secrets / sizeof *with_secrets; i++) {
        assert_failure(stem_open(&db, with_secrets[i], NULL), STEM_ENOTSUP);
        ck_assert_msg(!strstr(stem_errmsg(), "secret@"), "%s", stem_errmsg());
    }
}
END_TEST

/* ---- Directories ------------------------------------------------------------------ */

START_TEST(a_directory_may_have_colons_behind_a_slash_or_its_scheme)
{
    static const struct {
        const char *location, *path;
    } directories[] = {
        {"./a:b", "a:b"},
        {"leveldb:a:b", "a:b"},
        {"leveldb::", ":"},
        {"leveldb:./a:b:c", "a:b:c"},
        {"leveldb:mem:", "mem:"},
        {"./mem:", "mem:"},
        {"plain", "plain"},
        {"./.:", ".:"},
        {"leveldb:leveldb:", "leveldb:"},
    };

    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        stem_db *db, *same;

        assert_ok(stem_open(&db, directories[i].location, NULL));
        ck_assert(is_directory(directories[i].path));
        char absolute[9000], here[4096];
        ck_assert_ptr_nonnull(getcwd(here, sizeof here));
        snprintf(absolute, sizeof absolute, "%s/%s", here, directories[i].path);
        assert_ok(stem_open(&same, absolute, STEM_OPTIONS(.must_exist = true)));
        assert_ok(stem_put(db, "a", 1));
        assert_contents(same, "a=1");
        assert_ok(stem_close(same));
        assert_ok(stem_close(db));
        assert_ok(stem_destroy(directories[i].location));
        ck_assert_int_eq(files_here(), 0);
    }
}
END_TEST

START_TEST(what_can_never_be_a_location_is_invalid)
{
    static const char *const invalid[] = {
        NULL, "", "leveldb:", "mem:x", "mem://", "mem:/"};
    stem_db *db;

    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        assert_failure(stem_open(&db, invalid[i], NULL), STEM_EINVAL);
        assert_failure(stem_destroy(invalid[i]), STEM_EINVAL);
    }
    assert_failure(stem_destroy("mem:"), STEM_EINVAL);
    assert_says("last handle");
    ck_assert_int_eq(files_here(), 0);
}
END_TEST

/* ---- What an answer is about ------------------------------------------------------ */

static void assert_answer(const char *location, const stem_options *options, int code,
                          const char *why)
{
    stem_db *db = NULL;

    assert_code(stem_open(&db, location, options), code);
    ck_assert_ptr_null(db);
    assert_code(stem_errcode(), code);
    assert_says(location);
    assert_says(why);
}

START_TEST(an_answer_of_an_open_says_what_it_is_about)
{
    stem_db *db;

    assert_answer("./none", STEM_OPTIONS(.must_exist = true), STEM_NOTFOUND,
                  "must_exist");
    assert_answer("./none", STEM_OPTIONS(.read_only = true), STEM_NOTFOUND, "read_only");
    assert_answer("mem:", STEM_OPTIONS(.must_exist = true), STEM_NOTFOUND, "must_exist");
    assert_ok(stem_open(&db, "./d", NULL));
    assert_answer("./d", STEM_OPTIONS(.must_be_new = true), STEM_EXISTS, "must_be_new");
    assert_ok(stem_close(db));
    assert_answer("leveldb:./d", STEM_OPTIONS(.must_be_new = true), STEM_EXISTS,
                  "must_be_new");
    assert_code(stem_destroy("./none"), STEM_NOTFOUND);
    assert_code(stem_errcode(), STEM_NOTFOUND);
    assert_says("destroy ./none: ");
}
END_TEST

#if defined HAVE_LIBEVENT && defined HAVE_HIREDIS
START_TEST(an_answer_about_a_served_or_shared_one_says_so_too)
{
    stem_db *db;
    stem_server *server;

    assert_answer("./none", STEM_OPTIONS(.shared = true, .must_exist = true),
                  STEM_NOTFOUND, "must_exist");
    assert_ok(stem_open(&db, "./d", STEM_OPTIONS(.shared = true)));
    assert_answer("./d", STEM_OPTIONS(.shared = true, .must_be_new = true), STEM_EXISTS,
                  "must_be_new");
    const char *const listen[] = {"unix:./s", NULL};
    assert_ok(stem_server_open(&server, db, STEM_SERVER_OPTIONS(.listen = listen)));
    assert_answer("unix:./s", STEM_OPTIONS(.must_be_new = true), STEM_EXISTS,
                  "must_be_new");
    assert_ok(stem_server_close(server));
    assert_ok(stem_close(db));
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("location");
    TCase *location = add_case(suite, "location", 60);

    tcase_add_checked_fixture(location, enter_new_directory, leave_directory);
    tcase_add_loop_test(location,
                        an_unknown_scheme_is_not_supported_and_the_known_ones_are_named,
                        0, N_UNKNOWN);
    tcase_add_loop_test(location,
                        a_directory_of_that_name_is_written_with_a_dot_and_a_slash, 0,
                        N_UNKNOWN);
    tcase_add_test(location, a_password_in_what_is_not_understood_stays_unsaid);
    tcase_add_test(location, a_directory_may_have_colons_behind_a_slash_or_its_scheme);
    tcase_add_test(location, what_can_never_be_a_location_is_invalid);
    tcase_add_test(location, an_answer_of_an_open_says_what_it_is_about);
#if defined HAVE_LIBEVENT && defined HAVE_HIREDIS
    tcase_add_test(location, an_answer_about_a_served_or_shared_one_says_so_too);
#endif
    return run_suite(suite);
}
