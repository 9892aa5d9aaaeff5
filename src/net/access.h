/*
 * Who may connect to a server, and what they may do there: the users file (docs/server.md,
 * "Users"). One line a user: name, hash of the password, scope, rights. Passwords are hashed
 * with argon2id (libsodium), and never kept, printed or said in an error.
 */
#ifndef STEM_NET_ACCESS_H
#define STEM_NET_ACCESS_H

#include <stdatomic.h>

#include "../engine.h"

enum stem_right { STEM_MAY_READ = 1, STEM_MAY_WRITE = 2, STEM_MAY_ADMIN = 4 };

enum { STEM_USER_NAME_MAX = 128, STEM_PASSWORD_MAX = 1024 };

typedef struct stem_user {
    char *name;
    char *hash;      /* in libsodium's own text form, "$argon2id$..." */
    char *scope;     /* a path in text form, "" for the whole database */
    unsigned rights; /* enum stem_right */
} stem_user;

/* A users file as it was when it was read. Never changes; counted, so that a reload leaves
 * those who still look at the old one alone. */
typedef struct stem_access {
    atomic_size_t users_of_it;
    stem_user *users; /* in the file's order */
    size_t n_users;
} stem_access;

/* Reads a users file. Fails as a whole, naming file and line, for anything that is no such
 * line, a name that is there twice (STEM_ECORRUPT), or a file that others than this user or
 * root may write (STEM_EINVAL). STEM_NOTFOUND, with a text, when there is no file. Of a build
 * without libsodium all that can fail is STEM_ENOTSUP. */
int stem_access_load(const char *path, stem_access **access);
stem_access *stem_access_retain(stem_access *access);
void stem_access_release(stem_access *access); /* NULL is nothing */

/* NULL when there is none of that name. */
const stem_user *stem_access_find(const stem_access *access, stem_slice name);

/* Whether it is the user's password. With `user` NULL false, at the same cost: who asks cannot
 * tell a wrong password from an unknown name. Takes some 50 ms and 64 MiB; false with errno
 * ENOMEM where those are not to be had, 0 otherwise. */
bool stem_access_verify(const stem_user *user, const char *password, size_t len);

/* Whether both lines say the same of one user, hash included: where not, those who are
 * connected as that user are to be let go. */
bool stem_user_equal(const stem_user *a, const stem_user *b);

/* Adds the user's line or replaces it, atomically, in a file made with mode 0600 when there is
 * none; lines of others, blank lines and comments stay as they are. A NULL scope and rights of
 * 0 keep what the line had (for a new one: the whole database, and read). STEM_EINVAL names what
 * cannot be a name, scope or password. */
int stem_access_set(const char *path, const char *name, const char *password,
                    size_t password_len, const char *scope, unsigned rights);
/* STEM_NOTFOUND when there is no such line. */
int stem_access_remove(const char *path, const char *name);

/* Rights as the file writes them, "read,write,admin" in that order, "none" for 0; reads also
 * "all". Static; 0 and false for what is none. */
const char *stem_rights_text(unsigned rights);
bool stem_rights_parse(const char *text, size_t len, unsigned *rights);

#endif
