/*
 * A build without libsodium: users are said to be missing, and no file is touched.
 */
#include <unistd.h>

#include "net/login.h"
#include "support.h"

START_TEST(every_call_answers_that_there_are_no_users)
{
    const char *path = path_in(temp_dir(), "users");
    stem_access *list = NULL;
    stem_login *login = NULL;

    assert_code(stem_access_load(path, &list), STEM_ENOTSUP);
    ck_assert_ptr_null(list);
    assert_code(stem_access_set(path, "ada", "p", 1, NULL, 0), STEM_ENOTSUP);
    assert_code(stem_access_remove(path, "ada"), STEM_ENOTSUP);
    ck_assert_int_ne(access(path, F_OK), 0);
    assert_code(stem_login_open(NULL, &login), STEM_ENOTSUP);
    ck_assert_ptr_null(login);
    ck_assert_int_eq(stem_errcode(), STEM_ENOTSUP);
    ck_assert(!stem_access_verify(NULL, "p", 1));
    stem_access_release(NULL);
    stem_login_close(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("access_absent");

    tcase_add_test(add_case(suite, "absent", 60),
                   every_call_answers_that_there_are_no_users);
    return run_suite(suite);
}
