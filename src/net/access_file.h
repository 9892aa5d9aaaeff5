/*
 * The users file as bytes, lines and users: what reading it (access.c) and changing it
 * (access_edit.c) share. docs/server.md, "Users", has the format.
 */
#ifndef STEM_NET_ACCESS_FILE_H
#define STEM_NET_ACCESS_FILE_H

#include <sys/stat.h>

#include "../buffer.h"
#include "access.h"

enum { STEM_USERS_FILE_MAX = 16 << 20 };

/* What all that is done to the file says of a failure: "cannot open users: ...", from
 * errno. STEM_EIO. */
int stem_users_fail(const char *what, const char *path);
/* A copy of a text, owned; NULL after stem_fail. */
char *stem_users_copy(const char *data, size_t len);

/* Adds the bytes of a file that is fit to say who may log in: a regular one that nobody
 * but its owner may write, who is this user or root. STEM_NOTFOUND, with a text, for
 * none. */
int stem_users_read(const char *path, stem_buffer *bytes, struct stat *status);

/* A walk over lines, which lie in the bytes that it began with. */
typedef struct stem_users_walk {
    stem_slice left;
    stem_slice line; /* without its end */
    size_t number;   /* of the line, from 1 on */
} stem_users_walk;

bool stem_users_next(stem_users_walk *walk);

/* The user that the line is about, to be cleared afterwards; STEM_NOTFOUND, in silence,
 * for a blank line or a comment. A failure names file and line. */
int stem_users_parse(const stem_users_walk *walk, const char *path, stem_user *user);
/* Adds the user's line, with its end. */
void stem_users_format(const stem_user *user, stem_buffer *out);

/* What a user is made of, as it must be; outputs are owned. STEM_EINVAL says what is
 * wrong. */
int stem_user_check_name(const char *name);
int stem_user_scope(const char *text, char **scope); /* in canonical form */

/* Frees what the user consists of and empties it. */
void stem_user_clear(stem_user *user);

#endif
