/*
 * Users files: what a line means, which files and lines are refused, and whose password
 * it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "failing_malloc.h"
#include "net/access.h"
#include "random.h"
#include "support.h"
#include "users.h"

#define HASH HASH_OF_SECRET

static const char *write_users(const char *text, size_t len)
{
    const char *path = path_in(temp_dir(), "users");
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
    close(fd);
    return path;
}

static stem_access *load(const char *text)
{
    stem_access *access = NULL;

    assert_ok(stem_access_load(write_users(text, strlen(text)), &access));
    return access;
}

static const stem_user *find(const stem_access *access, const char *name)
{
    return stem_access_find(access, (stem_slice){name, strlen(name)});
}

static void assert_user(const stem_access *access, size_t i, const char *name,
                        const char *scope, unsigned rights)
{
    const stem_user *user = &access->users[i];

    ck_assert_str_eq(user->name, name);
    ck_assert_str_eq(user->scope, scope);
    ck_assert_str_eq(user->hash, HASH);
    ck_assert_uint_eq(user->rights, rights);
    ck_assert_ptr_eq(find(access, name), user);
}

/* ---- Lines ------------------------------------------------------------------------ */

START_TEST(each_line_is_a_user_and_comments_and_blank_lines_are_none)
{
    stem_access *access = load("# people\n"
                               "\n"
                               "ada " HASH " * read,write,admin\n"
                               " \t \n"
                               "\t #" HASH "\n"
                               "  web\t\t" HASH "  apps/web \tread \t\n"
                               "nobody " HASH " x none\n"
                               "last " HASH " a/b all");

    ck_assert_uint_eq(access->n_users, 4);
    assert_user(access, 0, "ada", "", 7);
    assert_user(access, 1, "web", "apps/web", STEM_MAY_READ);
    assert_user(access, 2, "nobody", "x", 0);
    assert_user(access, 3, "last", "a/b", 7);
    ck_assert_ptr_null(find(access, "ad"));
    ck_assert_ptr_null(find(access, "adaa"));
    ck_assert_ptr_null(find(access, ""));
    stem_access_release(access);
}
END_TEST

START_TEST(names_and_scopes_are_read_in_the_text_form_of_paths)
{
    stem_access *access = load("on\\x20call " HASH " a\\x20b/c\\/d read\n"
                               "\\x23\\/\\\\\\x0A " HASH " \\x2A read\n"
                               "* " HASH " *b/\\x41 write,read\n"
                               "\xC3\xA4 " HASH " \\xc3\\xa4\\xff admin\n");

    assert_user(access, 0, "on call", "a b/c\\/d", STEM_MAY_READ);
    assert_user(access, 1, "#/\\\n", "*", STEM_MAY_READ);
    assert_user(access, 2, "*", "*b/A", STEM_MAY_READ | STEM_MAY_WRITE);
    assert_user(access, 3, "\xC3\xA4", "\xC3\xA4\\xFF", STEM_MAY_ADMIN);
    stem_access_release(access);
}
END_TEST

START_TEST(an_empty_file_has_no_users)
{
    stem_access *access = load("");

    ck_assert_uint_eq(access->n_users, 0);
    ck_assert_ptr_null(find(access, "ada"));
    stem_access_release(access);
}
END_TEST

/* Fields of a line, in each of which one thing is wrong. */
static const char *const damaged[] = {
    "ada",
    "ada " HASH,
    "ada " HASH " *",
    "ada " HASH " * read more",
    "ada " HASH " * read,write admin",
    "a/b " HASH " * read",
    "/ " HASH " * read",
    "a\\x00b " HASH " * read",
    "a\\ b " HASH " * read",
    "\\q " HASH " * read",
    "ada  * read",
    "ada plain * read",
    "ada $argon2id$ * read",
    "ada " HASH "- * read",
    "ada $argon2id$v=19$m=65536,t=2,p=1$c29tZSBzYWx0IGhlcmUuLg$jZg6SxN * read",
    "ada $argon2i$v=19$m=65536,t=2,p=1$c29tZSBzYWx0IGhlcmUuLg$"
    "jZg6SxNHWGhdNY9NnSX85Hv8juEW8ioWfpViZtX/1PU * read",
    "ada $argon2id$v=19$m=65536,t=3,p=1$c29tZSBzYWx0IGhlcmUuLg$"
    "jZg6SxNHWGhdNY9NnSX85Hv8juEW8ioWfpViZtX/1PU * read",
    "ada $argon2id$v=19$m=4096,t=2,p=1$c29tZSBzYWx0IGhlcmUuLg$"
    "jZg6SxNHWGhdNY9NnSX85Hv8juEW8ioWfpViZtX/1PU * read",
    "ada $argon2id$v=19$m=65536,t=2,p=4$c29tZSBzYWx0IGhlcmUuLg$"
    "jZg6SxNHWGhdNY9NnSX85Hv8juEW8ioWfpViZtX/1PU * read",
    "ada $argon2id$v=19$m=65536,t=2,p=1$c29tZSBzYWx0IGhlcmUuLh$"
    "jZg6SxNHWGhdNY9NnSX85Hv8juEW8ioWfpViZtX/1PU * read",
    "ada $argon2id$v=19$m=65536,t=2,p=1$c29tZSBzYWx0IGhlcmUuLgA"
    "jZg6SxNHWGhdNY9NnSX85Hv8juEW8ioWfpViZtX/1PU * read",
    "ada " HASH "A * read",
    "ada " HASH " /a read",
    "ada " HASH " a// read",
    "ada " HASH " a/ read",
    "ada " HASH " a\\x00 read",
    "ada " HASH " \\ read",
    "ada " HASH " * reads",
    "ada " HASH " * read,",
    "ada " HASH " * ,read",
    "ada " HASH " * read,read",
    "ada " HASH " * all,read",
    "ada " HASH " * none,read",
    "ada " HASH " * Read",
    "ada " HASH " * read\r",
};

static void assert_refused(const char *text, size_t len, int expected, const char *line)
{
    stem_access *access = NULL;
    const char *path = write_users(text, len);

    assert_code(stem_access_load(path, &access), expected);
    ck_assert_ptr_null(access);
    ck_assert_int_eq(stem_errcode(), expected);
    ck_assert_msg(strstr(stem_errmsg(), path) && strstr(stem_errmsg(), line), "%s",
                  stem_errmsg());
    ck_assert_msg(!strstr(stem_errmsg(), "jZg6") && !strstr(stem_errmsg(), "plain"), "%s",
                  stem_errmsg());
}

START_TEST(a_damaged_line_is_refused_by_its_number_and_not_shown)
{
    char text[4096];
    int len = snprintf(text, sizeof text, "# users\nfirst " HASH " * read\n\n%s\n",
                       damaged[_i]);

    assert_refused(text, (size_t)len, STEM_ECORRUPT, "line 4: ");
}
END_TEST

START_TEST(a_line_with_a_nul_is_refused)
{
    static const char text[] = "ada " HASH " * read\0\n";

    assert_refused(text, sizeof text - 1, STEM_ECORRUPT, "line 1: ");
}
END_TEST

START_TEST(a_name_may_have_128_bytes_and_be_there_once)
{
    char name[STEM_USER_NAME_MAX + 2] = {0};
    char text[1024];
    stem_access *access;

    memset(name, 'x', STEM_USER_NAME_MAX);
    snprintf(text, sizeof text, "%s " HASH " * read\n", name);
    access = load(text);
    assert_user(access, 0, name, "", STEM_MAY_READ);
    stem_access_release(access);

    name[STEM_USER_NAME_MAX] = 'x';
    snprintf(text, sizeof text, "%s " HASH " * read\n", name);
    assert_refused(text, strlen(text), STEM_ECORRUPT, "line 1: ");

    snprintf(text, sizeof text,
             "b " HASH " * read\na " HASH " * read\n\nc " HASH " * read\n\\x61 " HASH
             " * read\n");
    assert_refused(text, strlen(text), STEM_ECORRUPT, "line 5: ");
}
END_TEST

/* Any byte, or more likely one that means something. */
static char random_byte(void)
{
    static const char telling[] = " \t\n\\/x2*,$#";

    if (random_below(2))
        return (char)random_below(256);
    return telling[random_below(sizeof telling - 1)];
}

START_TEST(no_bytes_do_harm)
{
    static const char model[] = "ada " HASH " a\\x20b/c read,write\nweb " HASH " * all\n";
    const char *path = path_in(temp_dir(), "users");
    char text[sizeof model];

    for (int round = 0; round < 3000; round++) {
        stem_access *access = NULL;
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        memcpy(text, model, sizeof model);
        for (int changes = 0; changes < 3; changes++)
            text[random_below(sizeof model - 1)] = random_byte();
        ck_assert_int_ge(write(fd, text, random_below(sizeof model)), 0);
        close(fd);
        if (stem_access_load(path, &access) != STEM_OK)
            ck_assert_ptr_null(access);
        stem_access_release(access);
    }
}
END_TEST

/* ---- Files ------------------------------------------------------------------------ */

static void assert_file_refused(const char *path, int expected)
{
    stem_access *access = NULL;

    assert_code(stem_access_load(path, &access), expected);
    ck_assert_ptr_null(access);
    ck_assert_msg(strstr(stem_errmsg(), path) != NULL, "%s", stem_errmsg());
}

START_TEST(a_file_that_others_may_write_is_refused)
{
    static const mode_t open_modes[] = {0620, 0602, 0666};
    static const mode_t shut_modes[] = {0600, 0400, 0644, 0640};
    const char *path = write_users("ada " HASH " * read\n", strlen(HASH) + 12);
    stem_access *access;

    for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
        ck_assert_int_eq(chmod(path, open_modes[i]), 0);
        assert_file_refused(path, STEM_EINVAL);
    }
    for (size_t i = 0; i < sizeof shut_modes / sizeof *shut_modes; i++) {
        ck_assert_int_eq(chmod(path, shut_modes[i]), 0);
        assert_ok(stem_access_load(path, &access));
        stem_access_release(access);
    }
}
END_TEST

START_TEST(a_file_of_somebody_else_is_refused)
{
    const char *path = write_users("", 0);

    if (chown(path, 12345, (gid_t)-1) != 0)
        return; /* only root can give a file away */
    assert_file_refused(path, STEM_EINVAL);
}
END_TEST

START_TEST(what_is_no_file_is_refused_without_waiting)
{
    const char *dir = temp_dir();
    const char *fifo = path_in(dir, "fifo");
    const char *link_path = path_in(dir, "link");
    const char *target = write_users("ada " HASH " * read\n", strlen(HASH) + 12);
    stem_access *access;

    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    assert_file_refused(fifo, STEM_EINVAL);
    assert_file_refused(dir, STEM_EINVAL);
    assert_file_refused(path_in(dir, "none"), STEM_NOTFOUND);
    assert_file_refused(path_in(target, "below"), STEM_EIO);

    ck_assert_int_eq(symlink(target, link_path), 0);
    assert_ok(stem_access_load(link_path, &access));
    ck_assert_uint_eq(access->n_users, 1);
    stem_access_release(access);
}
END_TEST

START_TEST(a_file_of_more_than_16_mib_is_refused)
{
    const char *path = write_users("#", 1);

    ck_assert_int_eq(truncate(path, (16 << 20) + 1), 0);
    assert_file_refused(path, STEM_EINVAL);
}
END_TEST

START_TEST(running_out_of_memory_anywhere_is_said_and_leaks_nothing)
{
    char text[40 * 200];
    size_t len = 0;
    stem_access *access = NULL;
    int code = STEM_ENOMEM;

    for (int i = 0; i < 20; i++)
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "user%d " HASH " a/b read\n", i);
    const char *path = write_users(text, len);
    for (unsigned long granted = 0; code != STEM_OK; granted++) {
        mallocs_granted = granted;
        out_of_memory(code = stem_access_load(path, &access));
        if (code != STEM_OK) {
            ck_assert_int_eq(code, STEM_ENOMEM);
            ck_assert_ptr_null(access);
        }
        ck_assert_uint_lt(granted, 500);
    }
    ck_assert_uint_eq(access->n_users, 20);
    stem_access_release(access);
}
END_TEST

/* ---- Who it is -------------------------------------------------------------------- */

START_TEST(the_password_of_a_user_is_told_from_every_other)
{
    stem_access *access = load("ada " HASH " * read\n");
    const stem_user *ada = find(access, "ada");
    char too_long[STEM_PASSWORD_MAX + 1] = "secret";

    ck_assert(stem_access_verify(ada, "secret", 6));
    ck_assert_int_eq(errno, 0);
    ck_assert(!stem_access_verify(ada, "secret ", 7));
    ck_assert_int_eq(errno, 0);
    ck_assert(!stem_access_verify(ada, "secre", 5));
    ck_assert(!stem_access_verify(ada, "", 0));
    ck_assert(!stem_access_verify(ada, too_long, sizeof too_long));
    ck_assert(!stem_access_verify(NULL, "secret", 6));
    stem_access_release(access);
}
END_TEST

START_TEST(a_password_that_there_is_no_memory_to_check_is_told_from_a_wrong_one)
{
    stem_access *access = load("ada " HASH " * read\n");

    leave_no_memory_for_a_hash();
    ck_assert(!stem_access_verify(find(access, "ada"), "secret", 6));
    ck_assert_int_eq(errno, ENOMEM);
    stem_access_release(access);
}
END_TEST

static double seconds_to_verify(const stem_user *user)
{
    struct timespec before, after;
    double least = 1e9;

    for (int i = 0; i < 3; i++) {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
        ck_assert(!stem_access_verify(user, "wrong", 5));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
        double took = (double)(after.tv_sec - before.tv_sec) +
                      (double)(after.tv_nsec - before.tv_nsec) / 1e9;
        least = took < least ? took : least;
    }
    return least;
}

START_TEST(an_unknown_user_costs_what_a_wrong_password_costs)
{
    stem_access *access = load("ada " HASH " * read\n");
    double known = seconds_to_verify(find(access, "ada"));
    double unknown = seconds_to_verify(NULL);

    ck_assert_msg(known < 1.5 * unknown && unknown < 1.5 * known, "%f and %f s", known,
                  unknown);
    stem_access_release(access);
}
END_TEST

START_TEST(users_are_equal_when_all_of_their_lines_is)
{
    static char name[] = "ada", hash[] = "h", scope[] = "a", other[] = "other";
    const stem_user user = {name, hash, scope, 1};

    ck_assert(stem_user_equal(&user, &(stem_user){name, hash, scope, 1}));
    ck_assert(!stem_user_equal(&user, &(stem_user){other, hash, scope, 1}));
    ck_assert(!stem_user_equal(&user, &(stem_user){name, other, scope, 1}));
    ck_assert(!stem_user_equal(&user, &(stem_user){name, hash, other, 1}));
    ck_assert(!stem_user_equal(&user, &(stem_user){name, hash, scope, 3}));
}
END_TEST

START_TEST(a_list_lives_as_long_as_somebody_counts_on_it)
{
    stem_access *access = load("ada " HASH " * read\n");

    ck_assert_ptr_eq(stem_access_retain(access), access);
    stem_access_release(access);
    ck_assert_ptr_nonnull(find(access, "ada"));
    stem_access_release(access);
    stem_access_release(NULL);
}
END_TEST

START_TEST(rights_are_written_in_one_way_and_read_back)
{
    unsigned rights;

    for (unsigned i = 0; i <= 7; i++) {
        const char *text = stem_rights_text(i);

        ck_assert(stem_rights_parse(text, strlen(text), &rights));
        ck_assert_uint_eq(rights, i);
    }
    ck_assert_str_eq(stem_rights_text(7), "read,write,admin");
    ck_assert_str_eq(stem_rights_text(0), "none");
    ck_assert(stem_rights_parse("admin,read", 10, &rights));
    ck_assert_uint_eq(rights, STEM_MAY_ADMIN | STEM_MAY_READ);
    ck_assert(stem_rights_parse("all", 3, &rights));
    ck_assert_uint_eq(rights, 7);
    ck_assert(!stem_rights_parse("", 0, &rights));
    ck_assert(!stem_rights_parse("read,none", 9, &rights));
    ck_assert_uint_eq(rights, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("access");
    TCase *lines = add_case(suite, "lines", 60);
    TCase *files = add_case(suite, "files", 60);
    TCase *users = add_case(suite, "users", 60);

    tcase_add_test(lines, each_line_is_a_user_and_comments_and_blank_lines_are_none);
    tcase_add_test(lines, names_and_scopes_are_read_in_the_text_form_of_paths);
    tcase_add_test(lines, an_empty_file_has_no_users);
    tcase_add_loop_test(lines, a_damaged_line_is_refused_by_its_number_and_not_shown, 0,
                        sizeof damaged / sizeof *damaged);
    tcase_add_test(lines, a_line_with_a_nul_is_refused);
    tcase_add_test(lines, a_name_may_have_128_bytes_and_be_there_once);
    tcase_add_test(lines, no_bytes_do_harm);

    tcase_add_test(files, a_file_that_others_may_write_is_refused);
    tcase_add_test(files, a_file_of_somebody_else_is_refused);
    tcase_add_test(files, what_is_no_file_is_refused_without_waiting);
    tcase_add_test(files, a_file_of_more_than_16_mib_is_refused);
    tcase_add_test(files, running_out_of_memory_anywhere_is_said_and_leaks_nothing);

    tcase_add_test(users, the_password_of_a_user_is_told_from_every_other);
    tcase_add_test(users,
                   a_password_that_there_is_no_memory_to_check_is_told_from_a_wrong_one);
    tcase_add_test(users, an_unknown_user_costs_what_a_wrong_password_costs);
    tcase_add_test(users, users_are_equal_when_all_of_their_lines_is);
    tcase_add_test(users, a_list_lives_as_long_as_somebody_counts_on_it);
    tcase_add_test(users, rights_are_written_in_one_way_and_read_back);
    return run_suite(suite);
}
