/*
 * What a pattern matches, by trying every way: for short ones alone, and in no way like
 * src/net/pattern.c.
 */
#ifndef STEM_TESTS_PATTERN_ORACLE_H
#define STEM_TESTS_PATTERN_ORACLE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the set behind a `[` has the byte; `*p` moves from behind the `[` to where the
 * set ends. */
static inline bool oracle_set_has(const unsigned char **p, const unsigned char *end,
                                  unsigned char byte)
{
    bool is_negated = false, is_found = false;

    if (*p != end && **p == '^') {
        is_negated = true;
        ++*p;
    }
    for (;;) {
        const unsigned char *at = *p;
        const size_t left = (size_t)(end - at);

        if (left == 0)
            break;
        if (at[0] == '\\' && left > 1) {
            is_found = is_found || at[1] == byte;
            *p += 2;
        } else if (at[0] == ']') {
            *p += 1;
            break;
        } else if (left > 2 && at[1] == '-') {
            is_found = is_found || (at[0] <= byte && byte <= at[2]) ||
                       (at[2] <= byte && byte <= at[0]);
            *p += 3;
        } else {
            is_found = is_found || at[0] == byte;
            *p += 1;
        }
    }
    return is_found != is_negated;
}

static inline bool oracle_goes_on(const unsigned char *p, const unsigned char *p_end,
                                  const unsigned char *t, const unsigned char *t_end)
{
    if (p == p_end)
        return t == t_end;
    if (*p == '*')
        return oracle_goes_on(p + 1, p_end, t, t_end) ||
               (t != t_end && oracle_goes_on(p, p_end, t + 1, t_end));
    if (t == t_end)
        return false;
    if (*p == '[') {
        p++;
        return oracle_set_has(&p, p_end, *t) && oracle_goes_on(p, p_end, t + 1, t_end);
    }
    if (*p == '?')
        return oracle_goes_on(p + 1, p_end, t + 1, t_end);
    if (*p == '\\' && p + 1 != p_end)
        p++;
    return *p == *t && oracle_goes_on(p + 1, p_end, t + 1, t_end);
}

/* A text of no bytes is matched by the pattern of none alone. */
static inline bool oracle_matches(const char *pattern, size_t pattern_len,
                                  const char *text, size_t text_len)
{
    const unsigned char *p = (const unsigned char *)pattern;
    const unsigned char *t = (const unsigned char *)text;

    if (text_len == 0)
        return pattern_len == 0;
    return oracle_goes_on(p, p + pattern_len, t, t + text_len);
}

#endif
