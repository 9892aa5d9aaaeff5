/*
 * Patterns: what they match, where their matches begin, and that no pattern takes long.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "failing_malloc.h"
#include "net/pattern.h"
#include "pattern_oracle.h"
#include "random.h"
#include "support.h"

static stem_slice slice(const char *text)
{
    return (stem_slice){text, strlen(text)};
}

static stem_pattern *make(stem_slice text)
{
    stem_pattern *pattern = stem_pattern_make(text);

    ck_assert_msg(pattern != NULL, "%s", stem_errmsg());
    return pattern;
}

static bool matches(stem_slice pattern_text, stem_slice text)
{
    stem_pattern *pattern = make(pattern_text);
    bool is_match = stem_pattern_matches(pattern, text);

    free(pattern);
    return is_match;
}

static const struct {
    const char *pattern, *text;
    bool is_match;
} cases[] = {
    {"abc", "abc", true},
    {"abc", "abcd", false},
    {"abc", "ab", false},
    {"abc", "ABC", false},
    {"*", "anything", true},
    {"a*", "a", true},
    {"a*", "b", false},
    {"a**", "a", true},
    {"*c", "abc", true},
    {"*c", "abcd", false},
    {"a*c", "ac", true},
    {"a*c", "abbbc", true},
    {"*b*", "abc", true},
    {"*aab", "aaaaab", true},
    {"a*b*c", "a1b2c3c", true},
    {"a*b*c", "a1c2b3", false},
    {"?", "a", true},
    {"?", "ab", false},
    {"a?c", "abc", true},
    {"?*", "a", true},
    {"*?", "abc", true},
    {"??*", "a", false},
    /* No bytes are matched by no pattern alone. */
    {"", "", true},
    {"", "a", false},
    {"*", "", false},
    {"**", "", false},
    {"?", "", false},
    /* Sets. */
    {"h[ae]llo", "hello", true},
    {"h[ae]llo", "hillo", false},
    {"[a-c]", "b", true},
    {"[a-c]", "d", false},
    {"[c-a]", "b", true},
    {"[^a-c]", "d", true},
    {"[^a-c]", "b", false},
    {"[a-cx-z]", "y", true},
    {"[a^]", "^", true},
    {"[*?]", "?", true},
    {"[*?]", "x", false},
    {"[\x80-\xFF]", "\xC3", true},
    {"[a-\xFF]", "\xC3", true},
    {"[a-\xFF]", "A", false},
    /* One that is empty takes nothing, its opposite anything. */
    {"[]", "]", false},
    {"[]x]", "x", false},
    {"[^]", "x", true},
    {"[^]x", "^x", true},
    /* One that does not end ends with the pattern. */
    {"[", "[", false},
    {"[^", "x", true},
    {"[ab", "b", true},
    {"[ab", "[ab", false},
    {"[a-", "-", true},
    {"x[a-c", "xb", true},
    /* Escapes within one; the far end of a range knows none. */
    {"[\\]]", "]", true},
    {"[\\]a]", "a", true},
    {"[\\^]", "^", true},
    {"[a\\-z]", "-", true},
    {"[a\\-z]", "m", false},
    {"[\\", "\\", true},
    {"[a\\", "\\", true},
    {"[Z-\\]", "[", true},
    {"[+--]", ",", true},
    {"[a-]x", "]x", false},
    {"[a-]x]", "x", true},
    {"[a-]x]", "^", true},
    {"[a-]", "^", true},
    /* Escapes without. */
    {"a\\*c", "a*c", true},
    {"a\\*c", "abc", false},
    {"\\a", "a", true},
    {"\\\\", "\\", true},
    {"\\", "\\", true},
    {"a\\", "a\\", true},
    {"*\\", "a\\", true},
    {"\\[a]", "[a]", true},
    {"]", "]", true},
    {"-", "-", true},
};

START_TEST(a_pattern_matches_what_redis_says)
{
    ck_assert_int_eq(matches(slice(cases[_i].pattern), slice(cases[_i].text)),
                     cases[_i].is_match);
}
END_TEST

START_TEST(the_oracle_says_the_same)
{
    ck_assert_int_eq(oracle_matches(cases[_i].pattern, strlen(cases[_i].pattern),
                                    cases[_i].text, strlen(cases[_i].text)),
                     cases[_i].is_match);
}
END_TEST

START_TEST(bytes_of_every_value_match_themselves)
{
    for (int byte = 0; byte < 256; byte++)
        for (int other = 0; other < 256; other++) {
            const char pattern[] = {'\\', (char)byte};
            const char text = (char)other;

            ck_assert_int_eq(matches((stem_slice){pattern, 2}, (stem_slice){&text, 1}),
                             byte == other);
        }
}
END_TEST

/* ---- Against the oracle ----------------------------------------------------------- */

static size_t random_text(char *out, size_t most, const char *pieces, size_t n_pieces)
{
    size_t len = random_below((uint32_t)most + 1);

    for (size_t i = 0; i < len; i++)
        out[i] = pieces[random_below((uint32_t)n_pieces)];
    return len;
}

START_TEST(random_patterns_match_what_trying_every_way_finds)
{
    enum { PATTERNS = 200000, TEXTS = 16 };
    static const char of_pattern[] = "aabbcd***??[[]]^--\\\xFF";
    static const char of_text[] = "aaabbbccd]^-\\[*\xFF";
    char pattern_text[12], text[12];
    size_t n_matches = 0;

    for (int i = 0; i < PATTERNS; i++) {
        size_t len = random_text(pattern_text, sizeof pattern_text, of_pattern,
                                 sizeof of_pattern - 1);
        stem_pattern *pattern = make((stem_slice){pattern_text, len});

        for (int k = 0; k < TEXTS; k++) {
            size_t text_len = random_text(text, sizeof text, of_text, sizeof of_text - 1);
            bool expected = oracle_matches(pattern_text, len, text, text_len);

            ck_assert_msg(
                stem_pattern_matches(pattern, (stem_slice){text, text_len}) == expected,
                "'%.*s' and '%.*s'", (int)len, pattern_text, (int)text_len, text);
            n_matches += expected;
        }
        free(pattern);
    }
    ck_assert_uint_gt(n_matches, PATTERNS / 10);
}
END_TEST

/* Behind so many bytes and question marks that places lie in another word of 64. */
START_TEST(long_patterns_match_as_short_ones_do)
{
    static const char of_pattern[] = "ab*?[]^-", of_text[] = "aabb]";
    char pattern_text[STEM_PATTERN_MAX], text[STEM_PATTERN_MAX];

    for (int i = 0; i < 100000; i++) {
        size_t before = random_below(200);
        size_t len = random_text(pattern_text + before, 10, of_pattern, 8);
        size_t text_len = random_text(text + before, 10, of_text, 5);
        size_t n_literal = random_below((uint32_t)before + 1);
        bool expected = oracle_goes_on((const unsigned char *)pattern_text + before,
                                       (const unsigned char *)pattern_text + before + len,
                                       (const unsigned char *)text + before,
                                       (const unsigned char *)text + before + text_len);

        memset(text, 'x', before);
        memset(pattern_text, '?', before);
        memset(pattern_text, 'x', n_literal);
        ck_assert_msg(matches((stem_slice){pattern_text, before + len},
                              (stem_slice){text, before + text_len}) ==
                          (before + text_len > 0 ? expected : before + len == 0),
                      "%zu before '%.*s' and '%.*s'", before, (int)len,
                      pattern_text + before, (int)text_len, text + before);
    }
}
END_TEST

/* ---- Prefixes --------------------------------------------------------------------- */

static void assert_prefix(const char *pattern_text, const char *expected)
{
    stem_pattern *pattern = make(slice(pattern_text));
    stem_slice prefix = stem_pattern_prefix(pattern);

    ck_assert_uint_eq(prefix.len, strlen(expected));
    ck_assert_mem_eq(prefix.data, expected, prefix.len);
    free(pattern);
}

START_TEST(the_prefix_ends_at_the_first_place_that_varies)
{
    assert_prefix("user:*", "user:");
    assert_prefix("user", "user");
    assert_prefix("a\\*b?c", "a*b");
    assert_prefix("ab[c]d", "ab");
    assert_prefix("a*bcd", "a");
    assert_prefix("*abc", "");
    assert_prefix("?abc", "");
    assert_prefix("", "");
    assert_prefix("a\\", "a\\");
}
END_TEST

/* ---- Limits ----------------------------------------------------------------------- */

START_TEST(a_pattern_has_at_most_1024_bytes)
{
    char text[STEM_PATTERN_MAX + 1];

    memset(text, 'x', sizeof text);
    ck_assert(matches((stem_slice){text, STEM_PATTERN_MAX},
                      (stem_slice){text, STEM_PATTERN_MAX}));
    ck_assert(!matches((stem_slice){text, STEM_PATTERN_MAX},
                       (stem_slice){text, STEM_PATTERN_MAX + 1}));
    ck_assert_ptr_null(stem_pattern_make((stem_slice){text, STEM_PATTERN_MAX + 1}));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
}
END_TEST

/* Tried one by one the ways would outlast the sun. */
START_TEST(no_pattern_takes_long)
{
    enum { LEN = 1 << 20 };
    char text[STEM_PATTERN_MAX];
    char *as = malloc(LEN);
    stem_pattern *pattern;

    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "*a", 2);
    text[sizeof text - 1] = 'b';
    memset(as, 'a', LEN);
    pattern = make((stem_slice){text, sizeof text});
    ck_assert(!stem_pattern_matches(pattern, (stem_slice){as, LEN}));
    as[LEN - 1] = 'b';
    ck_assert(stem_pattern_matches(pattern, (stem_slice){as, LEN}));
    free(pattern);
    free(as);
}
END_TEST

START_TEST(no_memory_is_told)
{
    stem_pattern *pattern;

    out_of_memory(pattern = stem_pattern_make(slice("a*")));
    ck_assert_ptr_null(pattern);
    ck_assert_int_eq(stem_errcode(), STEM_ENOMEM);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pattern");
    TCase *tcase = add_case(suite, "matches", 20);

    tcase_add_loop_test(tcase, a_pattern_matches_what_redis_says, 0,
                        sizeof cases / sizeof *cases);
    tcase_add_loop_test(tcase, the_oracle_says_the_same, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tcase, bytes_of_every_value_match_themselves);
    tcase = add_case(suite, "random", 120);
    tcase_add_test(tcase, random_patterns_match_what_trying_every_way_finds);
    tcase_add_test(tcase, long_patterns_match_as_short_ones_do);
    tcase = add_case(suite, "prefix", 20);
    tcase_add_test(tcase, the_prefix_ends_at_the_first_place_that_varies);
    tcase = add_case(suite, "limits", 20);
    tcase_add_test(tcase, a_pattern_has_at_most_1024_bytes);
    tcase_add_test(tcase, no_pattern_takes_long);
    tcase_add_test(tcase, no_memory_is_told);
    return run_suite(suite);
}
