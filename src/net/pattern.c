/*
 * Patterns, matched by following all ways to match at once, one bit for each: bit i says
 * that the bytes so far are matched by all that stands before the pattern's i-th place.
 * Places take one byte each; a star is none, but lets the bit of the place behind it stay
 * where it is. So a byte of text is one shift, one mask and one mask of stars for each 64
 * places.
 */
#include "pattern.h"

#include <stdlib.h>

#include "error.h"

enum { N_BYTES = 256, MOST_WORDS = STEM_PATTERN_MAX / 64 + 1 };

/* `bits` holds, in `n_words` words each: for every byte the places that take it, and the
 * places that have a star before them. Behind them is the prefix. */
struct stem_pattern {
    size_t n_words;
    size_t n_places;   /* the bit of this number is set when all of it is matched */
    size_t prefix_len; /* the first places, each of one byte and without a star */
    bool is_empty;
    bool has_last_star;
    uint64_t bits[];
};

typedef struct byte_set {
    bool has[N_BYTES];
} byte_set;

static uint64_t *takers(stem_pattern *pattern, size_t byte)
{
    return pattern->bits + byte * pattern->n_words;
}

static uint64_t *stars(stem_pattern *pattern)
{
    return pattern->bits + N_BYTES * pattern->n_words;
}

static char *prefix(stem_pattern *pattern)
{
    return (char *)(pattern->bits + (N_BYTES + 1) * pattern->n_words);
}

static void set_bit(uint64_t *words, size_t bit)
{
    words[bit / 64] |= UINT64_C(1) << bit % 64;
}

static bool has_bit(const uint64_t *words, size_t bit)
{
    return words[bit / 64] >> bit % 64 & 1;
}

/* ---- Making ----------------------------------------------------------------------- */

/* Either end may be the greater. */
static void add_range(byte_set *set, unsigned char a, unsigned char b)
{
    for (size_t byte = a < b ? a : b; byte <= (a < b ? b : a); byte++)
        set->has[byte] = true;
}

/* Reads the set whose `[` is before `at`, and returns where it ends: behind its `]`, or
 * at the pattern's end. As Redis has it, a `]` ends even an empty one, `\` guards any
 * byte but the far end of a range, and that end may be a `]`. Bytes are ordered as
 * numbers from 0 on, where Redis goes by the machine's char. */
static const char *read_set(const char *at, const char *end, byte_set *set)
{
    const bool is_negated = at < end && *at == '^';

    *set = (byte_set){{false}};
    at += is_negated;
    while (at < end && *at != ']') {
        if (*at == '\\' && end - at >= 2) {
            set->has[(unsigned char)at[1]] = true;
            at += 2;
        } else if (end - at >= 3 && at[1] == '-') {
            add_range(set, (unsigned char)at[0], (unsigned char)at[2]);
            at += 3;
        } else {
            set->has[(unsigned char)*at++] = true;
        }
    }
    for (size_t byte = 0; byte < N_BYTES; byte++)
        set->has[byte] ^= is_negated;
    return at < end ? at + 1 : end;
}

static void add_byte(stem_pattern *pattern, char byte)
{
    if (pattern->prefix_len == pattern->n_places && !pattern->has_last_star)
        prefix(pattern)[pattern->prefix_len++] = byte;
    set_bit(takers(pattern, (unsigned char)byte), pattern->n_places++);
    pattern->has_last_star = false;
}

static void add_set(stem_pattern *pattern, const byte_set *set)
{
    for (size_t byte = 0; byte < N_BYTES; byte++)
        if (set->has[byte])
            set_bit(takers(pattern, byte), pattern->n_places);
    pattern->n_places++;
    pattern->has_last_star = false;
}

static void compile(stem_pattern *pattern, const char *at, const char *end)
{
    byte_set set;

    while (at < end) {
        switch (*at) {
        case '*':
            set_bit(stars(pattern), pattern->n_places);
            pattern->has_last_star = true;
            at++;
            break;
        case '?':
            memset(set.has, true, sizeof set.has);
            add_set(pattern, &set);
            at++;
            break;
        case '[':
            at = read_set(at + 1, end, &set);
            add_set(pattern, &set);
            break;
        case '\\':
            at += end - at >= 2;
            add_byte(pattern, *at++);
            break;
        default:
            add_byte(pattern, *at++);
        }
    }
}

stem_pattern *stem_pattern_make(stem_slice text)
{
    const size_t n_words = text.len / 64 + 1;
    stem_pattern *pattern;

    if (text.len > STEM_PATTERN_MAX) {
        stem_fail(STEM_EINVAL, "a pattern has at most %d bytes", (int)STEM_PATTERN_MAX);
        return NULL;
    }
    pattern = calloc(1, sizeof *pattern + (N_BYTES + 1) * n_words * sizeof(uint64_t) +
                            text.len);
    if (!pattern) {
        stem_fail(STEM_ENOMEM, "no memory for a pattern of %zu bytes", text.len);
        return NULL;
    }
    pattern->n_words = n_words;
    pattern->is_empty = text.len == 0;
    if (text.len > 0)
        compile(pattern, text.data, text.data + text.len);
    return pattern;
}

/* ---- Matching --------------------------------------------------------------------- */

/* With fewer than 64 places. `text` goes on behind the prefix. */
static bool match_short(const stem_pattern *pattern, stem_slice text)
{
    const uint64_t staying = pattern->bits[N_BYTES];
    const uint64_t all = UINT64_C(1) << pattern->n_places;
    const uint64_t rest_is_any = pattern->has_last_star ? all : 0;
    uint64_t state = UINT64_C(1) << pattern->prefix_len;

    for (size_t i = 0; i < text.len && state && !(state & rest_is_any); i++)
        state =
            (state & pattern->bits[(unsigned char)text.data[i]]) << 1 | (state & staying);
    return state & all;
}

/* One byte; whether any way is left. */
static bool step(uint64_t *state, const uint64_t *taking, const uint64_t *staying,
                 size_t n_words)
{
    uint64_t carry = 0;
    uint64_t any = 0;

    for (size_t i = 0; i < n_words; i++) {
        const uint64_t moving = state[i] & taking[i];

        state[i] = moving << 1 | carry | (state[i] & staying[i]);
        carry = moving >> 63;
        any |= state[i];
    }
    return any != 0;
}

static bool match_long(const stem_pattern *pattern, stem_slice text)
{
    const size_t n_words = pattern->n_words;
    const uint64_t *staying = pattern->bits + N_BYTES * n_words;
    uint64_t state[MOST_WORDS] = {0};

    set_bit(state, pattern->prefix_len);
    for (size_t i = 0; i < text.len; i++) {
        if (pattern->has_last_star && has_bit(state, pattern->n_places))
            return true;
        if (!step(state, pattern->bits + (unsigned char)text.data[i] * n_words, staying,
                  n_words))
            return false;
    }
    return has_bit(state, pattern->n_places);
}

bool stem_pattern_matches(const stem_pattern *pattern, stem_slice text)
{
    const stem_slice start = stem_pattern_prefix(pattern);

    /* Redis does not let a star match a text of no bytes. */
    if (text.len == 0)
        return pattern->is_empty;
    if (text.len < start.len || memcmp(text.data, start.data, start.len) != 0)
        return false;
    text = (stem_slice){text.data + start.len, text.len - start.len};
    return pattern->n_words == 1 ? match_short(pattern, text) : match_long(pattern, text);
}

stem_slice stem_pattern_prefix(const stem_pattern *pattern)
{
    return (stem_slice){(const char *)(pattern->bits + (N_BYTES + 1) * pattern->n_words),
                        pattern->prefix_len};
}
