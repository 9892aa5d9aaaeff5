/*
 * Base64 as RFC 4648 has it (section 4), both ways. Reading takes the canonical form
 * alone, so that bytes and text stand for each other one to one.
 */
#include <stdint.h>

#include "json.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t stem_base64_len(size_t len)
{
    return (len + 2) / 3 * 4;
}

void stem_base64_encode(const void *data, size_t len, char *out)
{
    const unsigned char *p = data;

    for (; len > 0; out += 4) {
        size_t n = len < 3 ? len : 3;
        uint32_t bits = 0;

        for (size_t i = 0; i < 3; i++)
            bits = bits << 8 | (i < n ? p[i] : 0U);
        out[0] = digits[bits >> 18];
        out[1] = digits[bits >> 12 & 63];
        out[2] = n > 1 ? digits[bits >> 6 & 63] : '=';
        out[3] = n > 2 ? digits[bits & 63] : '=';
        p += n;
        len -= n;
    }
}

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

bool stem_base64_decode(const char *text, size_t len, unsigned char *out, size_t *out_len)
{
    unsigned char *start = out;
    size_t padding = 0;

    if (len % 4 != 0)
        return false;
    while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < len; i += 4) {
        size_t n = i + 4 == len ? 4 - padding : 4;
        uint32_t bits = 0;

        for (size_t k = 0; k < 4; k++) {
            int value = k < n ? digit_value(text[i + k]) : 0;

            if (value < 0)
                return false;
            bits = bits << 6 | (uint32_t)value;
        }
        /* What is cut off must be zero, or two texts would stand for the same bytes. */
        if ((n == 3 && (bits & 0xFF) != 0) || (n == 2 && (bits & 0xFFFF) != 0))
            return false;
        for (size_t k = 0; k + 1 < n; k++)
            *out++ = (unsigned char)(bits >> (16 - 8 * k));
    }
    *out_len = (size_t)(out - start);
    return true;
}
