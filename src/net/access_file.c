/*
 * The users file: its bytes, which must be safe from others, and its lines, both ways.
 * What is said of a damaged line never holds anything of the line: hashes are there.
 */
#include "access_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "../error.h"
#include "../path.h"
#include "password.h"

enum { NAME, HASH, SCOPE, RIGHTS, N_FIELDS };

static const char whole_database[] = "*";

/* ---- The file --------------------------------------------------------------------- */

static int check_file(const char *path, const struct stat *status)
{
    if (!S_ISREG(status->st_mode))
        return stem_fail(STEM_EINVAL, "%s is no regular file", path);
    if (status->st_uid != geteuid() && status->st_uid != 0)
        return stem_fail(STEM_EINVAL, "%s belongs to neither this user nor root", path);
    if ((status->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return stem_fail(STEM_EINVAL, "%s can be written by others (chmod go-w)", path);
    if (status->st_size > STEM_USERS_FILE_MAX)
        return stem_fail(STEM_EINVAL, "%s is larger than %d bytes", path,
                         STEM_USERS_FILE_MAX);
    return STEM_OK;
}

int stem_users_fail(const char *what, const char *path)
{
    return stem_fail(STEM_EIO, "cannot %s %s: %s", what, path, strerror(errno));
}

/* Whatever is written to the file meanwhile, it is at most a byte more than allowed. */
static int read_all(int fd, const char *path, stem_buffer *bytes)
{
    enum { PART = 65536 };
    size_t len = bytes->len;

    for (;;) {
        char *room = stem_buffer_room(bytes, PART);
        ssize_t n;

        if (!room)
            return stem_fail(STEM_ENOMEM, "no memory to read %s", path);
        do
            n = read(fd, room, PART);
        while (n < 0 && errno == EINTR);
        bytes->len = len += n > 0 ? (size_t)n : 0;
        if (n < 0)
            return stem_users_fail("read", path);
        if (n == 0)
            return STEM_OK;
        if (len > STEM_USERS_FILE_MAX)
            return stem_fail(STEM_EINVAL, "%s is larger than %d bytes", path,
                             STEM_USERS_FILE_MAX);
    }
}

int stem_users_read(const char *path, stem_buffer *bytes, struct stat *status)
{
    /* Not to wait for whoever writes a pipe of that name. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int code;

    if (fd < 0 && errno == ENOENT)
        return stem_fail(STEM_NOTFOUND, "there is no file %s", path);
    if (fd < 0)
        return stem_users_fail("open", path);
    if (fstat(fd, status) != 0)
        code = stem_users_fail("look at", path);
    else
        code = check_file(path, status);
    if (code == STEM_OK)
        code = read_all(fd, path, bytes);
    close(fd);
    return code;
}

bool stem_users_next(stem_users_walk *walk)
{
    const char *end;

    if (walk->left.len == 0)
        return false;
    end = memchr(walk->left.data, '\n', walk->left.len);
    walk->line.data = walk->left.data;
    walk->line.len = end ? (size_t)(end - walk->left.data) : walk->left.len;
    walk->left.data += walk->line.len + (end != NULL);
    walk->left.len -= walk->line.len + (end != NULL);
    walk->number++;
    return true;
}

/* ---- A line's fields -------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The fields of a line; N_FIELDS + 1 when there are more than there may be. */
static size_t split(stem_slice line, stem_slice fields[N_FIELDS])
{
    const char *p = line.data;
    const char *end = p + line.len;

    for (size_t n = 0;; n++) {
        const char *start;

        while (p < end && is_blank(*p))
            p++;
        if (p == end)
            return n;
        if (n == N_FIELDS)
            return n + 1;
        start = p;
        while (p < end && !is_blank(*p))
            p++;
        fields[n] = (stem_slice){start, (size_t)(p - start)};
    }
}

char *stem_users_copy(const char *data, size_t len)
{
    char *text = malloc(len + 1);

    if (!text) {
        stem_fail(STEM_ENOMEM, "no memory for a line of users");
        return NULL;
    }
    memcpy(text, data, len);
    text[len] = '\0';
    return text;
}

int stem_user_check_name(const char *name)
{
    const size_t len = name ? strnlen(name, STEM_USER_NAME_MAX + 1) : 0;

    if (len == 0)
        return stem_fail(STEM_EINVAL, "a user's name is empty");
    if (len > STEM_USER_NAME_MAX)
        return stem_fail(STEM_EINVAL, "a user's name is longer than %d bytes",
                         STEM_USER_NAME_MAX);
    return STEM_OK;
}

int stem_user_scope(const char *text, char **scope)
{
    size_t n;
    char **names = stem_path_parse(text, &n);

    if (!names)
        return stem_fail(stem_errcode(), "a user's scope: %s", stem_errmsg());
    *scope = stem_path_format((const char *const *)names, n);
    free(names);
    return *scope ? STEM_OK : stem_errcode();
}

static int parse_name(const char *text, char **name)
{
    size_t n;
    char **names = stem_path_parse(text, &n);
    int code;

    if (!names)
        return stem_fail(stem_errcode(), "a user's name: %s", stem_errmsg());
    if (n != 1) {
        code = stem_fail(STEM_EINVAL, "a user's name: '/' is written \\/ in it");
    } else if ((code = stem_user_check_name(names[0])) == STEM_OK) {
        *name = stem_users_copy(names[0], strlen(names[0]));
        code = *name ? STEM_OK : STEM_ENOMEM;
    }
    free(names);
    return code;
}

static int parse_hash(const char *text, char **hash)
{
    if (!stem_password_is_hash(text))
        return stem_fail(STEM_EINVAL, "its hash is none that begins with %s",
                         STEM_HASH_HEAD);
    *hash = stem_users_copy(text, strlen(text));
    return *hash ? STEM_OK : STEM_ENOMEM;
}

static int parse_rights(const char *text, unsigned *rights)
{
    if (!stem_rights_parse(text, strlen(text), rights))
        return stem_fail(STEM_EINVAL, "its rights are not some of read,write,admin");
    return STEM_OK;
}

static int parse_field(int field, const char *text, stem_user *user)
{
    switch (field) {
    case NAME:
        return parse_name(text, &user->name);
    case HASH:
        return parse_hash(text, &user->hash);
    case SCOPE:
        return stem_user_scope(strcmp(text, whole_database) == 0 ? "" : text,
                               &user->scope);
    default:
        return parse_rights(text, &user->rights);
    }
}

static int parse_line(stem_slice line, stem_user *user)
{
    stem_slice fields[N_FIELDS];
    const size_t n = split(line, fields);
    int code = STEM_OK;

    if (n == 0 || fields[0].data[0] == '#')
        return STEM_NOTFOUND;
    if (memchr(line.data, '\0', line.len))
        return stem_fail(STEM_EINVAL, "a NUL");
    if (n != N_FIELDS)
        return stem_fail(STEM_EINVAL,
                         "not four fields: name, hash, scope and rights of a user");
    for (int i = 0; i < N_FIELDS && code == STEM_OK; i++) {
        char *text = stem_users_copy(fields[i].data, fields[i].len);

        code = text ? parse_field(i, text, user) : STEM_ENOMEM;
        free(text);
    }
    return code;
}

int stem_users_parse(const stem_users_walk *walk, const char *path, stem_user *user)
{
    int code;

    memset(user, 0, sizeof *user);
    code = parse_line(walk->line, user);
    if (code >= STEM_OK)
        return code;
    stem_user_clear(user);
    return stem_fail(code == STEM_EINVAL ? STEM_ECORRUPT : code, "%s, line %zu: %s", path,
                     walk->number, stem_errmsg());
}

/* Adds a path's text as a field: a blank in it, and what has a meaning of its own at the
 * start of a field, in the form that any byte can be written in. */
static void add_field(stem_buffer *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == ' ')
            stem_buffer_add_text(out, "\\x20");
        else if (p == text && *p == '#')
            stem_buffer_add_text(out, "\\x23");
        else if (p == text && *p == '*')
            stem_buffer_add_text(out, "\\x2A");
        else
            stem_buffer_add(out, p, 1);
    }
}

void stem_users_format(const stem_user *user, stem_buffer *out)
{
    const char *const name = user->name;
    char *text = stem_path_format(&name, 1);

    if (!text) {
        out->failed = true;
        return;
    }
    add_field(out, text);
    free(text);
    stem_buffer_add_text(out, " ");
    stem_buffer_add_text(out, user->hash);
    stem_buffer_add_text(out, " ");
    if (*user->scope)
        add_field(out, user->scope);
    else
        stem_buffer_add_text(out, whole_database);
    stem_buffer_add_text(out, " ");
    stem_buffer_add_text(out, stem_rights_text(user->rights));
    stem_buffer_add_text(out, "\n");
}

void stem_user_clear(stem_user *user)
{
    free(user->name);
    free(user->hash);
    free(user->scope);
    memset(user, 0, sizeof *user);
}
