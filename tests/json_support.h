/*
 * What the tests of JSON share: asserting that a value and its text stand for each other,
 * and that a text is refused.
 */
#ifndef STEM_TESTS_JSON_SUPPORT_H
#define STEM_TESTS_JSON_SUPPORT_H

#include <stdint.h>

#include "stem.h"

/* The value of a text, the text of a value; both must succeed. */
stem_value parse(const char *text);
char *format(const stem_value *value);

/* Asserts that the value becomes the text (NULL: any), and the text the value, byte for
 * byte as it is stored. */
void assert_json(stem_value value, const char *expected);

/* Asserts that a text is read, and written like this. */
void assert_read(const char *text, const char *expected);
void assert_same(const char *text);

/* Asserts that a text is refused with STEM_EINVAL, these words in the message, and the
 * output as it was. */
void assert_refused(const char *text, const char *words);

/* The same bits in every run. */
uint64_t random_bits(void);
double double_of(uint64_t bits);

#endif
