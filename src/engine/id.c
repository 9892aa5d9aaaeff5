/*
 * Random names; see id.h.
 */
#include "id.h"

#include <errno.h>
#include <sys/random.h>

#include "../error.h"

static const char digits[] = "0123456789abcdef";

int stem_random(void *bytes, size_t len)
{
    ssize_t got;

    do
        got = getrandom(bytes, len, 0);
    while (got < 0 && errno == EINTR);
    /* Up to 256 bytes come whole. */
    if (got != (ssize_t)len)
        return stem_fail(STEM_EIO, "the system gives no random bytes: %s",
                         strerror(errno));
    return STEM_OK;
}

int stem_id_make(stem_id *id)
{
    return stem_random(id->bytes, sizeof id->bytes);
}

void stem_id_format(const stem_id *id, char text[STEM_ID_DIGITS])
{
    for (size_t i = 0; i < STEM_ID_BYTES; i++) {
        text[2 * i] = digits[id->bytes[i] >> 4];
        text[2 * i + 1] = digits[id->bytes[i] & 15];
    }
}

bool stem_id_parse(stem_slice text, stem_id *id)
{
    if (text.len != STEM_ID_DIGITS)
        return false;
    for (size_t i = 0; i < STEM_ID_DIGITS; i++) {
        const char *digit = memchr(digits, text.data[i], sizeof digits - 1);
        unsigned char *byte = &id->bytes[i / 2];

        if (!digit)
            return false;
        *byte = (unsigned char)((i % 2 ? *byte << 4 : 0) | (digit - digits));
    }
    return true;
}
