/*
 * Changing a users file: a new one is written beside it, as FILE.new, and takes its name
 * once it is on the disk. FILE.new is locked meanwhile, so that of two who change the
 * file the second sees what the first has made of it; one that a crash has left behind is
 * used again.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "../error.h"
#include "access_file.h"
#include "password.h"

typedef struct users_edit {
    char *path; /* of the file itself, where a symbolic link leads to it */
    char *new_path;
    int new_fd;       /* locked; -1 before */
    int directory_fd; /* -1 before */
    bool is_first;
    struct stat old; /* when it is not the first */
    stem_buffer before, after;
} users_edit;

/* ---- The lock --------------------------------------------------------------------- */

static char *copy_text(const char *text)
{
    return stem_users_copy(text, strlen(text));
}

static char *new_path_of(const char *path)
{
    static const char ending[] = ".new";
    const size_t len = strlen(path);
    char *both = malloc(len + sizeof ending);

    if (!both) {
        stem_fail(STEM_ENOMEM, "no memory for a path");
        return NULL;
    }
    memcpy(both, path, len);
    memcpy(both + len, ending, sizeof ending);
    return both;
}

/* Another who has changed the file meanwhile has given FILE.new its name. */
static bool is_still_at(int fd, const char *path)
{
    struct stat here, there;

    return fstat(fd, &here) == 0 && lstat(path, &there) == 0 &&
           here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* What somebody else has put there may be open to him, or be another file of ours. */
static int check_new(const users_edit *edit)
{
    struct stat status;

    if (fstat(edit->new_fd, &status) != 0)
        return stem_users_fail("look at", edit->new_path);
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || status.st_nlink != 1)
        return stem_fail(STEM_EIO, "%s is in the way", edit->new_path);
    return STEM_OK;
}

static int lock(users_edit *edit)
{
    const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

    for (;;) {
        edit->new_fd = open(edit->new_path, flags, S_IRUSR | S_IWUSR);
        if (edit->new_fd < 0)
            return stem_users_fail("make", edit->new_path);
        while (flock(edit->new_fd, LOCK_EX) != 0)
            if (errno != EINTR)
                return stem_users_fail("lock", edit->new_path);
        if (is_still_at(edit->new_fd, edit->new_path))
            return check_new(edit);
        close(edit->new_fd);
    }
}

static int open_directory(users_edit *edit)
{
    char *copy = copy_text(edit->path);
    int code = STEM_OK;

    if (!copy)
        return STEM_ENOMEM;
    edit->directory_fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (edit->directory_fd < 0)
        code = stem_users_fail("open the directory of", edit->path);
    free(copy);
    return code;
}

static int begin(users_edit *edit, const char *path)
{
    char *found = realpath(path, NULL);
    int code;

    if (!found && errno != ENOENT)
        return stem_users_fail("find", path);
    edit->path = copy_text(found ? found : path);
    free(found);
    edit->new_path = edit->path ? new_path_of(edit->path) : NULL;
    if (!edit->new_path)
        return STEM_ENOMEM;
    code = open_directory(edit);
    if (code == STEM_OK)
        code = lock(edit);
    if (code != STEM_OK)
        return code;
    code = stem_users_read(edit->path, &edit->before, &edit->old);
    edit->is_first = code == STEM_NOTFOUND;
    return edit->is_first ? STEM_OK : code;
}

/* ---- The new file ----------------------------------------------------------------- */

static int write_all(const users_edit *edit)
{
    const char *data = edit->after.data;
    size_t left = edit->after.len;

    if (ftruncate(edit->new_fd, 0) != 0)
        return stem_users_fail("write", edit->new_path);
    while (left > 0) {
        const ssize_t n = write(edit->new_fd, data, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return stem_users_fail("write", edit->new_path);
        data += n;
        left -= (size_t)n;
    }
    return STEM_OK;
}

/* The new file is whose the old one was, and as open to others. */
static int keep_mode(const users_edit *edit)
{
    const mode_t mode =
        edit->is_first ? S_IRUSR | S_IWUSR : edit->old.st_mode & (mode_t)~S_IFMT;
    struct stat made;

    if (fstat(edit->new_fd, &made) != 0)
        return stem_users_fail("look at", edit->new_path);
    if (!edit->is_first &&
        (edit->old.st_uid != made.st_uid || edit->old.st_gid != made.st_gid) &&
        fchown(edit->new_fd, edit->old.st_uid, edit->old.st_gid) != 0)
        return stem_users_fail("keep the owner of", edit->path);
    if (fchmod(edit->new_fd, mode) != 0)
        return stem_users_fail("keep the mode of", edit->path);
    return STEM_OK;
}

static int replace(users_edit *edit)
{
    int code;

    if (edit->after.failed)
        return stem_fail(STEM_ENOMEM, "no memory for a file of users");
    code = write_all(edit);
    if (code == STEM_OK)
        code = keep_mode(edit);
    if (code == STEM_OK && fsync(edit->new_fd) != 0)
        code = stem_users_fail("sync", edit->new_path);
    if (code == STEM_OK && rename(edit->new_path, edit->path) != 0)
        code = stem_users_fail("replace", edit->path);
    if (code != STEM_OK)
        return code;
    free(edit->new_path);
    edit->new_path = NULL;
    if (fsync(edit->directory_fd) != 0)
        return stem_fail(STEM_EUNKNOWN, "%s is changed, maybe not on the disk yet: %s",
                         edit->path, strerror(errno));
    return STEM_OK;
}

/* Whoever waits for the lock finds FILE.new gone and makes another. One that is in the
 * way is left alone. */
static void end(users_edit *edit)
{
    if (edit->new_fd >= 0) {
        if (edit->new_path && is_still_at(edit->new_fd, edit->new_path) &&
            check_new(edit) == STEM_OK)
            unlink(edit->new_path);
        close(edit->new_fd);
    }
    if (edit->directory_fd >= 0)
        close(edit->directory_fd);
    free(edit->path);
    free(edit->new_path);
    free(edit->before.data);
    free(edit->after.data);
}

/* ---- Lines ------------------------------------------------------------------------ */

static void add_line(stem_buffer *out, stem_slice line)
{
    stem_buffer_add(out, line.data, line.len);
    stem_buffer_add_text(out, "\n");
}

/* Puts the user's line in the place of the old one; what is not to change is taken from
 * there. */
static void change_line(stem_buffer *out, stem_user *user, stem_user *old)
{
    if (!user->scope) {
        user->scope = old->scope;
        old->scope = NULL;
    }
    if (user->rights == 0)
        user->rights = old->rights;
    stem_users_format(user, out);
}

/* Copies all lines but the one of that name, which is changed, or with `changed` NULL
 * left out. STEM_NOTFOUND when there is no such line. */
static int copy_lines(users_edit *edit, const char *name, stem_user *changed)
{
    stem_users_walk walk = {.left = {edit->before.data, edit->before.len}};
    bool is_found = false;

    while (stem_users_next(&walk)) {
        stem_user user;
        int code = stem_users_parse(&walk, edit->path, &user);
        const bool is_it = code == STEM_OK && strcmp(user.name, name) == 0;

        if (is_it && is_found)
            code = stem_fail(STEM_ECORRUPT, "%s, line %zu: this user has a line above",
                             edit->path, walk.number);
        else if (code == STEM_NOTFOUND || (code == STEM_OK && !is_it))
            add_line(&edit->after, walk.line);
        else if (code == STEM_OK && changed)
            change_line(&edit->after, changed, &user);
        is_found = is_found || is_it;
        stem_user_clear(&user);
        if (code < STEM_OK)
            return code;
    }
    return is_found ? STEM_OK : STEM_NOTFOUND;
}

static int add_new(users_edit *edit, stem_user *user)
{
    if (!user->scope && !(user->scope = copy_text("")))
        return STEM_ENOMEM;
    if (user->rights == 0)
        user->rights = STEM_MAY_READ;
    stem_users_format(user, &edit->after);
    return STEM_OK;
}

/* The user as he is to be; where the scope is NULL and the rights are 0 what he had
 * stays. */
static int make_user(stem_user *user, const char *name, const char *password,
                     size_t password_len, const char *scope, unsigned rights)
{
    int code = stem_user_check_name(name);

    if (code == STEM_OK && rights > (STEM_MAY_READ | STEM_MAY_WRITE | STEM_MAY_ADMIN))
        code = stem_fail(STEM_EINVAL, "rights %u are none", rights);
    if (code == STEM_OK && scope)
        code = stem_user_scope(scope, &user->scope);
    if (code == STEM_OK)
        code = stem_password_hash(password, password_len, &user->hash);
    if (code == STEM_OK && !(user->name = copy_text(name)))
        code = STEM_ENOMEM;
    user->rights = rights;
    return code;
}

int stem_access_set(const char *path, const char *name, const char *password,
                    size_t password_len, const char *scope, unsigned rights)
{
    users_edit edit = {.new_fd = -1, .directory_fd = -1};
    stem_user user = {0};
    int code = make_user(&user, name, password, password_len, scope, rights);

    if (code == STEM_OK)
        code = begin(&edit, path);
    if (code == STEM_OK)
        code = copy_lines(&edit, name, &user);
    if (code == STEM_NOTFOUND)
        code = add_new(&edit, &user);
    if (code == STEM_OK)
        code = replace(&edit);
    end(&edit);
    stem_user_clear(&user);
    return code;
}

int stem_access_remove(const char *path, const char *name)
{
    users_edit edit = {.new_fd = -1, .directory_fd = -1};
    int code = stem_user_check_name(name);

    if (code == STEM_OK)
        code = begin(&edit, path);
    if (code == STEM_OK)
        code = copy_lines(&edit, name, NULL);
    if (code == STEM_OK)
        code = replace(&edit);
    end(&edit);
    return code;
}
