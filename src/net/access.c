/*
 * Who may connect, out of a users file, and whether a password is theirs. What a file
 * says is read once and never changes; a reload is another stem_access.
 */
#include "access.h"

#include <errno.h>
#include <stdlib.h>

#include "../error.h"
#include "access_file.h"
#include "password.h"

/* ---- Reading a file --------------------------------------------------------------- */

static int add_user(stem_access *access, size_t *capacity, const stem_user *user)
{
    if (access->n_users == *capacity) {
        const size_t larger = *capacity > 0 ? 2 * *capacity : 16;
        stem_user *users = realloc(access->users, larger * sizeof *users);

        if (!users)
            return stem_fail(STEM_ENOMEM, "no memory for %zu users", larger);
        access->users = users;
        *capacity = larger;
    }
    access->users[access->n_users++] = *user;
    return STEM_OK;
}

static int read_users(stem_access *access, const char *path, const stem_buffer *bytes)
{
    stem_users_walk walk = {.left = {bytes->data, bytes->len}};
    size_t capacity = 0;

    while (stem_users_next(&walk)) {
        stem_user user;
        int code = stem_users_parse(&walk, path, &user);

        if (code == STEM_NOTFOUND)
            continue;
        if (code == STEM_OK && (code = add_user(access, &capacity, &user)) != STEM_OK)
            stem_user_clear(&user);
        if (code != STEM_OK)
            return code;
    }
    return STEM_OK;
}

/* By name, and users of one name in the file's order. */
static int compare_users(const void *a, const void *b)
{
    const stem_user *const *left = a;
    const stem_user *const *right = b;
    const int order = strcmp((*left)->name, (*right)->name);

    return order != 0 ? order : (*left > *right) - (*left < *right);
}

/* The line that the n-th user, from 0 on, was read from. */
static size_t line_of(const stem_buffer *bytes, const char *path, size_t n)
{
    stem_users_walk walk = {.left = {bytes->data, bytes->len}};

    while (stem_users_next(&walk)) {
        stem_user user;
        const int code = stem_users_parse(&walk, path, &user);

        stem_user_clear(&user);
        if (code == STEM_OK && n-- == 0)
            break;
    }
    return walk.number;
}

static int check_names(const stem_access *access, const char *path,
                       const stem_buffer *bytes)
{
    const size_t n = access->n_users;
    const stem_user **sorted = malloc((n + 1) * sizeof *sorted);
    int code = STEM_OK;

    if (!sorted)
        return stem_fail(STEM_ENOMEM, "no memory for %zu users", n);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &access->users[i];
    qsort(sorted, n, sizeof *sorted, compare_users);
    for (size_t i = 1; i < n && code == STEM_OK; i++) {
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0) {
            const size_t later = (size_t)(sorted[i] - access->users);

            code = stem_fail(STEM_ECORRUPT, "%s, line %zu: this user has a line above",
                             path, line_of(bytes, path, later));
        }
    }
    free(sorted);
    return code;
}

int stem_access_load(const char *path, stem_access **access)
{
    stem_access *made = calloc(1, sizeof *made);
    stem_buffer bytes = {0};
    struct stat status;
    int code;

    if (!made)
        return stem_fail(STEM_ENOMEM, "no memory for users");
    atomic_init(&made->users_of_it, 1);
    code = stem_users_read(path, &bytes, &status);
    if (code == STEM_OK)
        code = read_users(made, path, &bytes);
    if (code == STEM_OK)
        code = check_names(made, path, &bytes);
    free(bytes.data);
    if (code == STEM_OK)
        *access = made;
    else
        stem_access_release(made);
    return code;
}

stem_access *stem_access_retain(stem_access *access)
{
    atomic_fetch_add_explicit(&access->users_of_it, 1, memory_order_relaxed);
    return access;
}

void stem_access_release(stem_access *access)
{
    if (!access || atomic_fetch_sub(&access->users_of_it, 1) > 1)
        return;
    for (size_t i = 0; i < access->n_users; i++)
        stem_user_clear(&access->users[i]);
    free(access->users);
    free(access);
}

/* ---- Asking it -------------------------------------------------------------------- */

const stem_user *stem_access_find(const stem_access *access, stem_slice name)
{
    for (size_t i = 0; i < access->n_users; i++) {
        const char *each = access->users[i].name;

        if (strlen(each) == name.len && memcmp(each, name.data, name.len) == 0)
            return &access->users[i];
    }
    return NULL;
}

bool stem_access_verify(const stem_user *user, const char *password, size_t len)
{
    /* That it may be somebody's changes nothing. */
    static const char nobody[] =
        STEM_HASH_HEAD "c3RlbSBrbm93cyBub25lIQ$"
                       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const int code = stem_password_check(user ? user->hash : nobody, password, len);

    errno = code == STEM_ENOMEM ? ENOMEM : 0;
    return code == STEM_OK && user;
}

bool stem_user_equal(const stem_user *a, const stem_user *b)
{
    return a->rights == b->rights && strcmp(a->name, b->name) == 0 &&
           strcmp(a->hash, b->hash) == 0 && strcmp(a->scope, b->scope) == 0;
}
