/*
 * UTF-8 (RFC 3629): what is well-formed.
 */
#ifndef STEM_UTF8_H
#define STEM_UTF8_H

#include <stdbool.h>
#include <stddef.h>

static inline bool stem_utf8_is_continuation(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* The length of the well-formed sequence of more than one byte that `p` begins with, which is
 * one byte long at least; or 0. */
static inline size_t stem_utf8_sequence(const unsigned char *p, size_t left)
{
    /* The second byte's range keeps out overlong forms, surrogates and what lies above
     * U+10FFFF. */
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    size_t len;

    if (p[0] >= 0xC2 && p[0] <= 0xDF) {
        len = 2;
    } else if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        len = 3;
        if (p[0] == 0xE0)
            low = 0xA0;
        if (p[0] == 0xED)
            high = 0x9F;
    } else if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        len = 4;
        if (p[0] == 0xF0)
            low = 0x90;
        if (p[0] == 0xF4)
            high = 0x8F;
    } else {
        return 0;
    }
    if (left < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if (!stem_utf8_is_continuation(p[i]))
            return 0;
    }
    return len;
}

#endif
