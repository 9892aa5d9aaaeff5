/*
 * Changing users files: what is written, what stays, and that nothing else is ever there
 * to be read.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "failing_malloc.h"
#include "net/access.h"
#include "process.h"
#include "support.h"
#include "users.h"

#define HASH HASH_OF_SECRET

static const char *dir, *path;

static void make_place(void)
{
    dir = temp_dir();
    path = path_in(dir, "users");
}

static void write_users(const char *text)
{
    write_file(path, text);
    ck_assert_int_eq(chmod(path, 0600), 0);
}

/* The bytes of the file, borrowed until the next call. */
static const char *content(void)
{
    static char text[65536];
    FILE *file = fopen(path, "rb");

    ck_assert_ptr_nonnull(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    text[len] = '\0';
    fclose(file);
    return text;
}

static stem_access *load(void)
{
    stem_access *access = NULL;

    assert_ok(stem_access_load(path, &access));
    return access;
}

static const stem_user *find(const stem_access *access, const char *name)
{
    const stem_user *user = stem_access_find(access, (stem_slice){name, strlen(name)});

    ck_assert_msg(user != NULL, "no %s in %s", name, content());
    return user;
}

static mode_t mode_of(const char *file)
{
    struct stat status;

    ck_assert_int_eq(stat(file, &status), 0);
    return status.st_mode & 07777;
}

static void assert_nothing_beside(void)
{
    DIR *listing = opendir(dir);
    struct dirent *entry;

    while ((entry = readdir(listing)) != NULL)
        ck_assert_msg(entry->d_name[0] == '.' || strcmp(entry->d_name, "users") == 0,
                      "%s was left behind", entry->d_name);
    closedir(listing);
}

static int set(const char *name, const char *password, const char *scope, unsigned rights)
{
    return stem_access_set(path, name, password, strlen(password), scope, rights);
}

/* ---- What is written -------------------------------------------------------------- */

START_TEST(a_new_file_is_its_owner_s_alone)
{
    umask(0);
    assert_ok(set("ada", "secret", NULL, 0));

    ck_assert_uint_eq(mode_of(path), 0600);
    ck_assert_int_eq(strncmp(content(), "ada $argon2id$v=19$m=65536,t=2,p=1$", 35), 0);
    ck_assert_str_eq(strrchr(content(), '$') + 44, " * read\n");
    stem_access *access = load();
    ck_assert(stem_access_verify(find(access, "ada"), "secret", 6));
    stem_access_release(access);
    assert_nothing_beside();
}
END_TEST

START_TEST(a_change_leaves_other_lines_as_they_are)
{
    char expected[1024];

    write_users("# users\r\n\n\tada  " HASH "   a/b all \nweb " HASH " * read\n\n"
                "x " HASH " * write #no");
    assert_code(set("web", "new", NULL, 0), STEM_ECORRUPT);
    write_users("# users\r\n\n\tada  " HASH "   a/b all \nweb " HASH " * read\n\n"
                "x " HASH " * write");
    assert_ok(set("web", "new", "apps/web", STEM_MAY_WRITE));

    stem_access *access = load();
    snprintf(expected, sizeof expected,
             "# users\r\n\n\tada  " HASH "   a/b all \nweb %s apps/web write\n\n"
             "x " HASH " * write\n",
             find(access, "web")->hash);
    ck_assert_str_eq(content(), expected);
    ck_assert(stem_access_verify(find(access, "web"), "new", 3));
    ck_assert(stem_access_verify(find(access, "ada"), "secret", 6));
    stem_access_release(access);
}
END_TEST

START_TEST(a_scope_and_rights_that_are_not_given_stay)
{
    write_users("ada " HASH " a/b write,admin\n");
    assert_ok(set("ada", "new", NULL, 0));

    stem_access *access = load();
    ck_assert_str_eq(find(access, "ada")->scope, "a/b");
    ck_assert_uint_eq(find(access, "ada")->rights, STEM_MAY_WRITE | STEM_MAY_ADMIN);
    stem_access_release(access);

    assert_ok(set("ada", "new", "", STEM_MAY_READ));
    access = load();
    ck_assert_str_eq(find(access, "ada")->scope, "");
    ck_assert_uint_eq(find(access, "ada")->rights, STEM_MAY_READ);
    stem_access_release(access);
}
END_TEST

START_TEST(any_name_and_any_scope_can_be_written)
{
    static const char *const names[] = {
        "on call", "#1", "*", "a/b\\c", " ", "\t\n\x7F\xFF", "\xC3\xA4 x", "\\x20",
    };
    static const char *const scopes[] = {
        "a b", "\\x23", "*", "a/b\\/c", " / ", "\\x09/\\x0A", "*/#", "#",
    };
    enum { N = sizeof names / sizeof *names };

    for (size_t i = 0; i < N; i++)
        assert_ok(set(names[i], "p", scopes[i], STEM_MAY_READ));

    stem_access *access = load();
    ck_assert_uint_eq(access->n_users, N);
    for (size_t i = 0; i < N; i++) {
        /* The canonical form of the second is another than what was given. */
        ck_assert_str_eq(find(access, names[i])->scope, i == 1 ? "#" : scopes[i]);
        assert_ok(stem_access_remove(path, names[i]));
    }
    ck_assert_str_eq(content(), "");
    stem_access_release(access);
}
END_TEST

START_TEST(a_removed_user_s_line_is_gone_and_no_other)
{
    write_users("# x\na " HASH " * read\nb " HASH " * read\nc " HASH " * read");
    assert_ok(stem_access_remove(path, "b"));
    ck_assert_str_eq(content(), "# x\na " HASH " * read\nc " HASH " * read\n");

    assert_code(stem_access_remove(path, "b"), STEM_NOTFOUND);
    assert_code(stem_access_remove(path, "x"), STEM_NOTFOUND);
    ck_assert_str_eq(content(), "# x\na " HASH " * read\nc " HASH " * read\n");
    assert_nothing_beside();
}
END_TEST

START_TEST(what_cannot_be_is_refused_and_changes_nothing)
{
    char long_name[STEM_USER_NAME_MAX + 2] = {0};
    char long_password[STEM_PASSWORD_MAX + 2] = {0};

    memset(long_name, 'x', sizeof long_name - 1);
    memset(long_password, 'x', sizeof long_password - 1);
    assert_code(set("", "p", NULL, 0), STEM_EINVAL);
    assert_code(set(long_name, "p", NULL, 0), STEM_EINVAL);
    assert_code(set("a", "", NULL, 0), STEM_EINVAL);
    assert_code(set("a", long_password, NULL, 0), STEM_EINVAL);
    assert_code(set("a", "p", "a//b", 0), STEM_EINVAL);
    assert_code(set("a", "p", "/", 0), STEM_EINVAL);
    assert_code(set("a", "p", NULL, 8), STEM_EINVAL);
    assert_code(stem_access_remove(path, ""), STEM_EINVAL);
    ck_assert_int_ne(access(path, F_OK), 0);

    assert_ok(stem_access_set(path, "a", long_password, STEM_PASSWORD_MAX, NULL, 0));
}
END_TEST

/* ---- The file --------------------------------------------------------------------- */

START_TEST(mode_owner_and_symbolic_link_are_kept)
{
    const char *link_path = path_in(dir, "link");
    struct stat status;

    write_users("a " HASH " * read\nb " HASH " * read\n");
    ck_assert_int_eq(chmod(path, 0640), 0);
    ck_assert_int_eq(chown(path, (uid_t)-1, geteuid() == 0 ? 54321 : getegid()), 0);
    ck_assert_int_eq(symlink("users", link_path), 0);
    assert_ok(stem_access_remove(link_path, "a"));

    ck_assert_str_eq(content(), "b " HASH " * read\n");
    ck_assert_uint_eq(mode_of(path), 0640);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_gid, geteuid() == 0 ? 54321 : getegid());
    ck_assert_int_eq(lstat(link_path, &status), 0);
    ck_assert(S_ISLNK(status.st_mode));
}
END_TEST

START_TEST(a_file_that_would_be_refused_is_left_alone)
{
    static const char damaged[] = "a " HASH " * read\nb\n";
    static const char twice[] = "a " HASH " * read\na " HASH " * write\n";

    write_users(damaged);
    assert_code(stem_access_remove(path, "a"), STEM_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "line 2"));
    ck_assert_str_eq(content(), damaged);
    write_users(twice);
    assert_code(stem_access_remove(path, "a"), STEM_ECORRUPT);
    ck_assert_str_eq(content(), twice);
    ck_assert_int_eq(chmod(path, 0606), 0);
    assert_code(stem_access_remove(path, "a"), STEM_EINVAL);
    assert_nothing_beside();
}
END_TEST

START_TEST(there_must_be_a_file_and_a_directory)
{
    assert_code(stem_access_remove(path, "a"), STEM_NOTFOUND);
    assert_nothing_beside();
    path = path_in(dir, "none/users");
    assert_code(set("a", "p", NULL, 0), STEM_EIO);
    assert_code(stem_access_remove(path, "a"), STEM_EIO);
}
END_TEST

START_TEST(what_a_crash_has_left_behind_is_used_again)
{
    write_users("a " HASH " * read\nb " HASH " * read\n");
    write_file(path_in(dir, "users.new"),
               "something longer than what is going to be written " HASH HASH HASH HASH);
    assert_ok(stem_access_remove(path, "a"));
    ck_assert_str_eq(content(), "b " HASH " * read\n");
    assert_nothing_beside();
}
END_TEST

START_TEST(what_is_in_the_way_is_not_written_to)
{
    const char *in_the_way = path_in(dir, "users.new"), *other = path_in(dir, "other");

    write_users("a " HASH " * read\n");
    write_file(other, "other");
    ck_assert_int_eq(link(other, in_the_way), 0);
    assert_code(stem_access_remove(path, "a"), STEM_EIO);
    ck_assert_int_eq(unlink(in_the_way), 0);
    ck_assert_int_eq(symlink("other", in_the_way), 0);
    assert_code(stem_access_remove(path, "a"), STEM_EIO);
    ck_assert_int_eq(unlink(in_the_way), 0);
    ck_assert_int_eq(mkfifo(in_the_way, 0600), 0);
    assert_code(stem_access_remove(path, "a"), STEM_EIO);
    ck_assert_int_eq(access(in_the_way, F_OK), 0);
    ck_assert_int_eq(unlink(in_the_way), 0);
    if (geteuid() == 0) {
        write_file(in_the_way, "his");
        ck_assert_int_eq(chown(in_the_way, 12345, 12345), 0);
        assert_code(stem_access_remove(path, "a"), STEM_EIO);
        ck_assert_int_eq(unlink(in_the_way), 0);
    }

    ck_assert_str_eq(content(), "a " HASH " * read\n");
    path = other;
    ck_assert_str_eq(content(), "other");
}
END_TEST

START_TEST(a_disk_without_room_leaves_the_file_as_it_was)
{
    const struct rlimit none = {8, RLIM_INFINITY};

    write_users("a " HASH " * read\nb " HASH " * read\n");
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_code(stem_access_remove(path, "a"), STEM_EIO);
    ck_assert_str_eq(content(), "a " HASH " * read\nb " HASH " * read\n");
    assert_nothing_beside();
}
END_TEST

START_TEST(running_out_of_memory_anywhere_leaves_the_file_as_it_was)
{
    static const char before[] = "a " HASH " * read\nb " HASH " x/y read\n";
    int code = STEM_ENOMEM;

    write_users(before);
    for (unsigned long granted = 0; code != STEM_OK; granted++) {
        mallocs_granted = granted;
        out_of_memory(code = stem_access_remove(path, "a"));
        if (code != STEM_OK) {
            ck_assert_int_eq(code, STEM_ENOMEM);
            ck_assert_str_eq(content(), before);
        }
        ck_assert_uint_lt(granted, 200);
        assert_nothing_beside();
    }
    ck_assert_str_eq(content(), "b " HASH " x/y read\n");

    code = STEM_ENOMEM;
    for (unsigned long granted = 0; code != STEM_OK; granted++) {
        mallocs_granted = granted;
        out_of_memory(code = set("c", "p", "x/y", 1));
        if (code != STEM_OK) {
            ck_assert_int_eq(code, STEM_ENOMEM);
            ck_assert_str_eq(content(), "b " HASH " x/y read\n");
        }
        ck_assert_uint_lt(granted, 200);
    }
    assert_nothing_beside();
}
END_TEST

/* ---- Several at once -------------------------------------------------------------- */

enum { N_WRITERS = 4, N_USERS = 3 };

static void add_users(void *argument)
{
    char name[16];

    for (int i = 0; i < N_USERS; i++) {
        snprintf(name, sizeof name, "%d-%d", *(int *)argument, i);
        must_ok(set(name, "p", NULL, 0));
    }
}

START_TEST(of_writers_at_once_none_undoes_what_another_did)
{
    static int numbers[N_WRITERS];
    pid_t children[N_WRITERS];

    for (int i = 0; i < N_WRITERS; i++) {
        numbers[i] = i;
        children[i] = start_child(add_users, &numbers[i]);
    }
    /* Who reads meanwhile sees all of a file, or none before the first. */
    for (int i = 0; i < 2000; i++) {
        stem_access *access = NULL;
        int code = stem_access_load(path, &access);

        ck_assert_msg(code == STEM_OK || code == STEM_NOTFOUND, "%s", stem_errmsg());
        stem_access_release(access);
    }
    for (int i = 0; i < N_WRITERS; i++)
        assert_child_ends_well(children[i]);

    stem_access *access = load();
    ck_assert_uint_eq(access->n_users, N_WRITERS * N_USERS);
    stem_access_release(access);
    assert_nothing_beside();
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("access_edit");
    TCase *lines = add_case(suite, "lines", 60);
    TCase *files = add_case(suite, "files", 60);

    be_other_process(argc, argv);
    tcase_add_checked_fixture(lines, make_place, NULL);
    tcase_add_test(lines, a_new_file_is_its_owner_s_alone);
    tcase_add_test(lines, a_change_leaves_other_lines_as_they_are);
    tcase_add_test(lines, a_scope_and_rights_that_are_not_given_stay);
    tcase_add_test(lines, any_name_and_any_scope_can_be_written);
    tcase_add_test(lines, a_removed_user_s_line_is_gone_and_no_other);
    tcase_add_test(lines, what_cannot_be_is_refused_and_changes_nothing);

    tcase_add_checked_fixture(files, make_place, NULL);
    tcase_add_test(files, mode_owner_and_symbolic_link_are_kept);
    tcase_add_test(files, a_file_that_would_be_refused_is_left_alone);
    tcase_add_test(files, there_must_be_a_file_and_a_directory);
    tcase_add_test(files, what_a_crash_has_left_behind_is_used_again);
    tcase_add_test(files, what_is_in_the_way_is_not_written_to);
    tcase_add_test(files, a_disk_without_room_leaves_the_file_as_it_was);
    tcase_add_test(files, running_out_of_memory_anywhere_leaves_the_file_as_it_was);
    tcase_add_test(files, of_writers_at_once_none_undoes_what_another_did);
    return run_suite(suite);
}
