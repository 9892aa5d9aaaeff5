/*
 * Users in a build without libsodium: there are none. What would make or read some says
 * so, and what needs some is never called.
 */
#include <errno.h>

#include "../error.h"
#include "access.h"
#include "login.h"

static int fail_absent(void)
{
    return stem_fail(STEM_ENOTSUP, "this build has no users: it is without libsodium");
}

int stem_access_load(const char *path, stem_access **access)
{
    (void)path;
    (void)access;
    return fail_absent();
}

stem_access *stem_access_retain(stem_access *access)
{
    return access;
}

void stem_access_release(stem_access *access)
{
    (void)access;
}

const stem_user *stem_access_find(const stem_access *access, stem_slice name)
{
    (void)access;
    (void)name;
    return NULL;
}

bool stem_access_verify(const stem_user *user, const char *password, size_t len)
{
    (void)user;
    (void)password;
    (void)len;
    errno = 0;
    return false;
}

bool stem_user_equal(const stem_user *a, const stem_user *b)
{
    return a == b;
}

int stem_access_set(const char *path, const char *name, const char *password,
                    size_t password_len, const char *scope, unsigned rights)
{
    (void)path;
    (void)name;
    (void)password;
    (void)password_len;
    (void)scope;
    (void)rights;
    return fail_absent();
}

int stem_access_remove(const char *path, const char *name)
{
    (void)path;
    (void)name;
    return fail_absent();
}

int stem_login_open(const stem_login_options *options, stem_login **login)
{
    (void)options;
    (void)login;
    return fail_absent();
}

void stem_login_close(stem_login *login)
{
    (void)login;
}

enum stem_login_outcome
stem_login_start(stem_login *login, const stem_login_request *request, uint64_t *ticket)
{
    (void)login;
    (void)request;
    (void)ticket;
    fail_absent();
    return STEM_LOGIN_FAILED;
}

bool stem_login_cancel(stem_login *login, uint64_t ticket)
{
    (void)login;
    (void)ticket;
    return false;
}
