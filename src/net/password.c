/*
 * Hashing passwords, and checking them. The latter is by the parts of a hash: libsodium's
 * call for it as a whole cannot tell a lack of memory from a wrong password.
 */
#include "password.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "access.h"

enum {
    OPERATIONS = 2,
    MEMORY_BYTES = 64 << 20,
    HASH_BYTES = 32,
    HEAD_LEN = sizeof STEM_HASH_HEAD - 1,
    SALT_LEN = 22, /* in base64 */
    TEXT_LEN = HEAD_LEN + SALT_LEN + 1 + 43
};

typedef struct hash_parts {
    unsigned char salt[crypto_pwhash_SALTBYTES];
    unsigned char hash[HASH_BYTES];
} hash_parts;

static bool read_base64(const char *text, size_t len, unsigned char *bytes, size_t n)
{
    size_t used;

    return sodium_base642bin(bytes, n, text, len, NULL, &used, NULL,
                             sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0 &&
           used == n;
}

static bool read_hash(const char *text, hash_parts *out)
{
    const char *salt = text + HEAD_LEN;
    const char *hash = salt + SALT_LEN + 1;

    return strlen(text) == TEXT_LEN && memcmp(text, STEM_HASH_HEAD, HEAD_LEN) == 0 &&
           read_base64(salt, SALT_LEN, out->salt, sizeof out->salt) && hash[-1] == '$' &&
           read_base64(hash, strlen(hash), out->hash, sizeof out->hash);
}

bool stem_password_is_hash(const char *text)
{
    hash_parts parts;

    return read_hash(text, &parts);
}

static int check_password(size_t len)
{
    if (len == 0)
        return stem_fail(STEM_EINVAL, "a password is empty");
    if (len > STEM_PASSWORD_MAX)
        return stem_fail(STEM_EINVAL, "a password is longer than %d bytes",
                         STEM_PASSWORD_MAX);
    return STEM_OK;
}

int stem_password_hash(const char *password, size_t len, char **hash)
{
    char *text;
    int code = check_password(len);

    if (code != STEM_OK)
        return code;
    if (sodium_init() < 0)
        return stem_fail(STEM_EIO, "libsodium cannot start");
    text = malloc(crypto_pwhash_STRBYTES);
    if (!text || crypto_pwhash_str(text, password, len, OPERATIONS, MEMORY_BYTES) != 0) {
        free(text);
        return stem_fail(STEM_ENOMEM, "no memory to hash a password");
    }
    *hash = text;
    return STEM_OK;
}

int stem_password_check(const char *hash, const char *password, size_t len)
{
    unsigned char made[HASH_BYTES];
    hash_parts parts;
    bool is_it;

    if (len == 0 || len > STEM_PASSWORD_MAX || !read_hash(hash, &parts))
        return STEM_NOTFOUND;
    if (sodium_init() < 0 ||
        crypto_pwhash(made, sizeof made, password, len, parts.salt, OPERATIONS,
                      MEMORY_BYTES, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return stem_fail(STEM_ENOMEM, "no memory to check a password");
    is_it = sodium_memcmp(made, parts.hash, sizeof made) == 0;
    sodium_memzero(made, sizeof made);
    return is_it ? STEM_OK : STEM_NOTFOUND;
}
