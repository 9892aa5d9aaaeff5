/*
 * Passwords and their hashes: argon2id of libsodium, which makes guessing dear. All
 * hashes are made alike, so that checking one takes as long as checking any other.
 */
#ifndef STEM_NET_PASSWORD_H
#define STEM_NET_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

/* What every hash begins with. These are the costs of libsodium's interactive setting,
 * written out so that another version of it changes nothing. */
#define STEM_HASH_HEAD "$argon2id$v=19$m=65536,t=2,p=1$"

/* Whether the text is a hash: the head, a salt of 16 bytes and a hash of 32, in base64.
 * */
bool stem_password_is_hash(const char *text);

/* A hash of the password, with a salt of its own; owned. STEM_EINVAL for a password that
 * is empty or too long, STEM_ENOMEM. */
int stem_password_hash(const char *password, size_t len, char **hash);

/* STEM_OK when the hash is of that password, STEM_NOTFOUND when it is of another or is
 * none, STEM_ENOMEM. */
int stem_password_check(const char *hash, const char *password, size_t len);

#endif
