/*
 * Opening: what is made, what is refused, and that a refusal leaves everything as it was.
 */
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"
#include "stem.h"
#include "support.h"

static const char marker[] = "Stem database, format 1\n";

/* In a child, so that this process may still fork others that open. */
static void put_key(void *path)
{
    stem_db *db;

    must_ok(stem_open(&db, path, NULL));
    must_ok(stem_put(db, "key", "value"));
    must_ok(stem_close(db));
}

/* A database with one key in it, in a new directory. */
static const char *make_database(void)
{
    const char *path = path_in(temp_dir(), "d");

    assert_child_ends_well(start_child(put_key, (void *)path));
    return path;
}

static void assert_has_key(const char *path)
{
    stem_db *db;

    assert_ok(stem_open(&db, path, NULL));
    assert_ok(stem_has(db, "key"));
    assert_ok(stem_close(db));
}

/* Asserts that opening and destroying are refused, naming `part`, and change nothing. */
static void assert_refused(const char *path, int code, const char *part)
{
    char *before = directory_state(path);
    stem_db *db = NULL;

    assert_code(stem_open(&db, path, NULL), code);
    ck_assert_msg(strstr(stem_errmsg(), part), "no '%s' in: %s", part, stem_errmsg());
    ck_assert_ptr_null(db);
    assert_code(stem_open(&db, path, STEM_OPTIONS(.must_exist = true)), code);
    assert_code(stem_open(&db, path, STEM_OPTIONS(.read_only = true)), code);
    assert_code(stem_open(&db, path, STEM_OPTIONS(.must_be_new = true)), code);
    char *after = directory_state(path);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
}

static void assert_destroy_refused(const char *path, int code)
{
    char *before = directory_state(path);

    assert_code(stem_destroy(path), code);
    char *after = directory_state(path);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
}

/* Asserts that it cannot be opened, that the text has `part`, and that `path` is not
 * made. */
static void assert_not_made(const char *path, const char *part)
{
    struct stat status;
    stem_db *db;

    assert_code(stem_open(&db, path, NULL), STEM_EIO);
    ck_assert_msg(strstr(stem_errmsg(), part), "no '%s' in: %s", part, stem_errmsg());
    ck_assert_msg(strstr(stem_errmsg(), path), "no path in: %s", stem_errmsg());
    ck_assert_int_ne(stat(path, &status), 0);
}

/* ---- Not Stem's ------------------------------------------------------------------- */

START_TEST(a_foreign_leveldb_is_refused_as_it_was)
{
    const char *path = path_in(temp_dir(), "foreign");
    leveldb_options_t *options = leveldb_options_create();
    leveldb_writeoptions_t *write = leveldb_writeoptions_create();
    char *message = NULL;

    leveldb_options_set_create_if_missing(options, 1);
    leveldb_t *foreign = leveldb_open(options, path, &message);
    ck_assert_ptr_null(message);
    leveldb_put(foreign, write, "a", 1, "b", 1, &message);
    ck_assert_ptr_null(message);
    leveldb_close(foreign);
    leveldb_writeoptions_destroy(write);
    leveldb_options_destroy(options);

    assert_refused(path, STEM_EFORMAT, "not a Stem database");
    assert_destroy_refused(path, STEM_EFORMAT);
}
END_TEST

START_TEST(a_directory_of_other_peoples_files_is_refused_as_it_was)
{
    static const char *const names[] = {
        "2024.log", "a.sst", "000005.ldb",      "CURRENT", "LOG",
        "LOCK",     "notes", "MANIFEST-000001", "1.dbtmp"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *dir = temp_dir();

        write_file(path_in(dir, names[i]), "mine\n");
        assert_refused(dir, STEM_EFORMAT, names[i]);
        assert_destroy_refused(dir, STEM_EFORMAT);
    }
}
END_TEST

START_TEST(other_peoples_files_are_refused_beside_a_lock_or_a_marker_cut_short)
{
    const char *dir = temp_dir();

    write_file(path_in(dir, "stem.lock"), "");
    write_file(path_in(dir, "STEM"), "Stem data");
    write_file(path_in(dir, "000005.ldb"), "a table");
    assert_refused(dir, STEM_EFORMAT, "000005.ldb");
    assert_destroy_refused(dir, STEM_EFORMAT);
}
END_TEST

START_TEST(a_newer_format_is_refused_as_it_was)
{
    const char *path = make_database();

    write_file(path_in(path, "STEM"), "Stem database, format 2\n");
    assert_refused(path, STEM_EFORMAT, "newer");
    assert_destroy_refused(path, STEM_EFORMAT);
    write_file(path_in(path, "STEM"),
               "Stem database, format 4096, and more to say of it, "
               "in a line longer than any that is known here\n");
    assert_refused(path, STEM_EFORMAT, "4096");
    assert_destroy_refused(path, STEM_EFORMAT);
}
END_TEST

START_TEST(a_marker_that_says_something_else_is_refused_as_it_was)
{
    static const char *const texts[] = {"garbage",
                                        "Stem database, format one\n",
                                        "Stem database, format 1\n\n",
                                        "Stem database, format 1 \n",
                                        "Stem database, format -1\n",
                                        "stem"};
    const char *path = make_database();

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_file(path_in(path, "STEM"), texts[i]);
        assert_refused(path, STEM_EFORMAT, "not the marker");
        assert_destroy_refused(path, STEM_EFORMAT);
    }
    ck_assert_int_eq(remove(path_in(path, "STEM")), 0);
    ck_assert_int_eq(mkdir(path_in(path, "STEM"), 0777), 0);
    assert_refused(path, STEM_EFORMAT, "not the marker");
    assert_destroy_refused(path, STEM_EFORMAT);
}
END_TEST

START_TEST(a_missing_current_is_damage_and_never_a_fresh_start)
{
    const char *path = make_database();
    char saved[64] = "";

    assert_has_key(path); /* now it is in a table */
    FILE *current = fopen(path_in(path, "CURRENT"), "r");
    ck_assert_ptr_nonnull(fgets(saved, sizeof saved, current));
    fclose(current);
    ck_assert_int_eq(remove(path_in(path, "CURRENT")), 0);

    assert_refused(path, STEM_ECORRUPT, "CURRENT");
    write_file(path_in(path, "CURRENT"), saved);
    assert_has_key(path);
}
END_TEST

static const char *const currents[] = {
    "",
    "\n",
    "MANIFEST-000001",
    "MANIFEST-999999\n",
    "MANIFES\x14-000002\n",
    "a\nb\nc\n",
    "../../nothing\n",
    ".\n",
    "LOG\n",
};

START_TEST(a_current_that_leads_nowhere_is_damage_that_is_named)
{
    const char *path = make_database();
    stem_db *db;

    write_file(path_in(path, "CURRENT"), currents[_i]);
    assert_code(stem_open(&db, path, NULL), STEM_ECORRUPT);
    ck_assert_msg(strstr(stem_errmsg(), path_in(path, "CURRENT")), "%s", stem_errmsg());
}
END_TEST

/* ---- Creation --------------------------------------------------------------------- */

/* What creating writes, in this order; the text of each may be cut short as well. */
static const struct {
    const char *name, *text;
} creation[] = {
    {"stem.lock", "1234567\n"},
    {"STEM", marker},
    {"LOCK", ""},
    {"LOG", "1970/01/01 Creating DB\n"},
    {"MANIFEST-000001", "\1\2\3\4\5\6\7\1\2\3\4\5\6\7"},
    {"000001.dbtmp", "MANIFEST-000001\n"},
};

START_TEST(a_creation_that_died_starts_again)
{
    /* `_i` files are there, the last of them whole, cut in two, and empty. */
    for (size_t part = 0; part <= 2; part++) {
        const char *path = path_in(temp_dir(), "d");
        stem_db *db;

        ck_assert_int_eq(mkdir(path, 0777), 0);
        for (int i = 0; i < _i; i++) {
            char text[64];
            size_t len = strlen(creation[i].text);

            snprintf(text, sizeof text, "%.*s", (int)(i == _i - 1 ? len * part / 2 : len),
                     creation[i].text);
            write_file(path_in(path, creation[i].name), text);
        }
        assert_code(stem_open(&db, path, STEM_OPTIONS(.must_exist = true)),
                    STEM_NOTFOUND);
        assert_ok(stem_open(&db, path, STEM_OPTIONS(.must_be_new = true)));
        assert_ok(stem_put(db, "key", 1));
        assert_ok(stem_close(db));
        assert_has_key(path);
    }
}
END_TEST

START_TEST(a_new_database_holds_the_marker_and_is_no_new_one_twice)
{
    const char *path = make_database();
    char text[64] = "";
    stem_db *db;

    FILE *file = fopen(path_in(path, "STEM"), "r");
    ck_assert_uint_eq(fread(text, 1, sizeof text - 1, file), sizeof marker - 1);
    fclose(file);
    ck_assert_str_eq(text, marker);

    char *before = directory_state(path);
    assert_code(stem_open(&db, path, STEM_OPTIONS(.must_be_new = true)), STEM_EXISTS);
    char *after = directory_state(path);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
}
END_TEST

START_TEST(must_exist_and_read_only_make_nothing)
{
    const char *dir = temp_dir();
    stem_db *db;
    char *before = directory_state(dir);

    assert_code(stem_open(&db, path_in(dir, "no"), STEM_OPTIONS(.must_exist = true)),
                STEM_NOTFOUND);
    assert_code(stem_open(&db, path_in(dir, "no"), STEM_OPTIONS(.read_only = true)),
                STEM_NOTFOUND);
    assert_code(stem_open(&db, dir, STEM_OPTIONS(.must_exist = true)), STEM_NOTFOUND);
    assert_code(stem_open(&db, dir, STEM_OPTIONS(.read_only = true)), STEM_NOTFOUND);
    assert_code(stem_destroy(path_in(dir, "no")), STEM_NOTFOUND);
    assert_code(stem_destroy(dir), STEM_NOTFOUND);
    char *after = directory_state(dir);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
}
END_TEST

START_TEST(missing_parents_and_files_in_the_way_are_told)
{
    const char *dir = temp_dir();
    stem_db *db;

    assert_not_made(path_in(dir, "no/such/d"), "No such file or directory");
    ck_assert_int_ne(access(path_in(dir, "no"), F_OK), 0);

    write_file(path_in(dir, "file"), "mine\n");
    char *before = directory_state(dir);
    assert_code(stem_open(&db, path_in(dir, "file"), NULL), STEM_EIO);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "Not a directory"));
    assert_code(stem_destroy(path_in(dir, "file")), STEM_EIO);
    assert_not_made(path_in(dir, "file/d"), "Not a directory");
    char *after = directory_state(dir);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
}
END_TEST

START_TEST(a_dangling_link_is_told_and_not_followed_into_being)
{
    const char *dir = temp_dir();

    ck_assert_int_eq(symlink("nowhere", path_in(dir, "link")), 0);
    assert_not_made(path_in(dir, "link"), "No such file");
    ck_assert_int_ne(access(path_in(dir, "nowhere"), F_OK), 0);
}
END_TEST

START_TEST(bad_locations_and_options_are_told)
{
    const char *path = path_in(temp_dir(), "d");
    static const stem_options bad[] = {
        {.bloom_bits = 65},        {.bloom_bits = -1},
        {.max_open_files = 10},    {.cache_bytes = 1},
        {.write_buffer_bytes = 1}, {.block_bytes = 10},
        {.reserved[5] = 1},        {.block_bytes = 1 << 30},
        {.max_open_files = 50001}, {.no_bloom = true, .bloom_bits = 8},
    };
    stem_db *db;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_code(stem_open(&db, path, &bad[i]), STEM_EINVAL);
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "option"));
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    assert_code(stem_open(&db, NULL, NULL), STEM_EINVAL);
    assert_code(stem_open(NULL, path, NULL), STEM_EINVAL);
    assert_code(stem_open(&db, "", NULL), STEM_EINVAL);
    assert_code(stem_open(&db, "leveldb:", NULL), STEM_EINVAL);
    assert_code(stem_open(&db, "postgres://nobody", NULL), STEM_ENOTSUP);
    assert_code(stem_open(&db, "mem:", STEM_OPTIONS(.must_exist = true)), STEM_NOTFOUND);
    assert_code(stem_destroy(NULL), STEM_EINVAL);
    assert_code(stem_destroy(""), STEM_EINVAL);
    assert_code(stem_destroy("mem:"), STEM_EINVAL);
    assert_code(stem_destroy("postgresql://nobody"), STEM_ENOTSUP);
}
END_TEST

/* ---- Permissions ------------------------------------------------------------------ */

enum { NOBODY = 65534 };

static void open_as_nobody(void *directory)
{
    const char *dir = directory;
    stem_db *db;

    if (geteuid() == 0)
        must(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    must_be(stem_open(&db, path_in(dir, "new"), NULL), STEM_EIO);
    must(strstr(stem_errmsg(), "Permission denied"));
    must(strstr(stem_errmsg(), "new"));
    must_be(stem_open(&db, path_in(dir, "d"), NULL), STEM_EIO);
    must(strstr(stem_errmsg(), "Permission denied"));
    must_be(stem_open(&db, path_in(dir, "closed/d"), NULL), STEM_EIO);
    must_be(stem_open(&db, path_in(dir, "closed"), NULL), STEM_EIO);
    must_be(stem_destroy(path_in(dir, "d")), STEM_EIO);
    must_be(stem_destroy(path_in(dir, "closed")), STEM_EIO);
}

START_TEST(no_permission_is_told_and_changes_nothing)
{
    const char *dir = temp_dir();
    const char *closed = path_in(dir, "closed");
    const char *path = make_database();

    ck_assert_int_eq(rename(path, path_in(dir, "d")), 0);
    ck_assert_int_eq(mkdir(closed, 0000), 0);
    ck_assert_int_eq(chmod(path_in(dir, "d"), 0555), 0);
    ck_assert_int_eq(chmod(path_in(dir, "d/stem.lock"), 0444), 0);
    ck_assert_int_eq(chmod(dir, 0555), 0);
    if (geteuid() != 0)
        ck_assert_int_eq(chmod(path_in(dir, "d/STEM"), 0444), 0);
    assert_child_ends_well(start_child(open_as_nobody, (void *)dir));
    ck_assert_int_eq(chmod(dir, 0755), 0);
    ck_assert_int_eq(chmod(path_in(dir, "d"), 0755), 0);
    ck_assert_int_eq(chmod(path_in(dir, "d/stem.lock"), 0644), 0);
    ck_assert_int_eq(chmod(closed, 0755), 0);
    ck_assert_int_ne(access(path_in(dir, "new"), F_OK), 0);
    assert_has_key(path_in(dir, "d"));
}
END_TEST

static void open_on_read_only_system(void *argument)
{
    const char *dir = argument;
    const char *path = path_in(dir, "d");
    stem_db *db;

    if (!enter_private_mounts() || mount("tmpfs", dir, "tmpfs", 0, "size=8m") != 0)
        return;
    must(mkdir(path, 0777) == 0);
    write_file(path_in(path, "STEM"), marker);
    write_file(path_in(path, "CURRENT"), "MANIFEST-000001\n");
    must(mount("tmpfs", dir, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL) == 0);
    must_be(stem_open(&db, path_in(dir, "new"), NULL), STEM_EIO);
    must(strstr(stem_errmsg(), "Read-only file system"));
    must_be(stem_open(&db, path, NULL), STEM_EIO);
    must(strstr(stem_errmsg(), "Read-only file system"));
    must_be(stem_destroy(path), STEM_EIO);
}

START_TEST(a_read_only_file_system_is_told)
{
    assert_child_ends_well(start_child(open_on_read_only_system, (void *)temp_dir()));
}
END_TEST

int main(int argc, char **argv)
{
    be_other_process(argc, argv);

    Suite *suite = suite_create("open");
    TCase *foreign = add_case(suite, "not_stems", 20);
    TCase *creation_case = add_case(suite, "creation", 20);
    TCase *permission = add_case(suite, "permission", 20);

    tcase_add_test(foreign, a_foreign_leveldb_is_refused_as_it_was);
    tcase_add_test(foreign, a_directory_of_other_peoples_files_is_refused_as_it_was);
    tcase_add_test(foreign,
                   other_peoples_files_are_refused_beside_a_lock_or_a_marker_cut_short);
    tcase_add_test(foreign, a_newer_format_is_refused_as_it_was);
    tcase_add_test(foreign, a_marker_that_says_something_else_is_refused_as_it_was);
    tcase_add_test(foreign, a_missing_current_is_damage_and_never_a_fresh_start);
    tcase_add_loop_test(foreign, a_current_that_leads_nowhere_is_damage_that_is_named, 0,
                        (int)(sizeof currents / sizeof *currents));
    tcase_add_loop_test(creation_case, a_creation_that_died_starts_again, 0,
                        (int)(sizeof creation / sizeof *creation) + 1);
    tcase_add_test(creation_case,
                   a_new_database_holds_the_marker_and_is_no_new_one_twice);
    tcase_add_test(creation_case, must_exist_and_read_only_make_nothing);
    tcase_add_test(creation_case, missing_parents_and_files_in_the_way_are_told);
    tcase_add_test(creation_case, a_dangling_link_is_told_and_not_followed_into_being);
    tcase_add_test(creation_case, bad_locations_and_options_are_told);
    tcase_add_test(permission, no_permission_is_told_and_changes_nothing);
    tcase_add_test(permission, a_read_only_file_system_is_told);
    return run_suite(suite);
}
