/*
 * What the tests of JSON share.
 */
#include "json_support.h"

#include <string.h>

#include "random.h"
#include "support.h"

stem_value parse(const char *text)
{
    stem_value value;

    assert_ok(stem_json_parse(text, strlen(text), &value));
    return value;
}

char *format(const stem_value *value)
{
    char *text = stem_json_format(value, 0);

    ck_assert_msg(text != NULL, "%s", stem_errmsg());
    return text;
}

void assert_json(stem_value value, const char *expected)
{
    char *text = format(&value);
    stem_value back;
    void *bytes;
    void *bytes_back;
    size_t len;
    size_t len_back;

    if (expected)
        ck_assert_str_eq(text, expected);
    back = parse(text);
    ck_assert_str_eq(stem_type_name(back.type), stem_type_name(value.type));
    bytes = stem_encode(&value, &len);
    bytes_back = stem_encode(&back, &len_back);
    ck_assert_msg(bytes && bytes_back, "%s: %s", text, stem_errmsg());
    ck_assert_msg(len == len_back && memcmp(bytes, bytes_back, len) == 0,
                  "%s: read back as another value", text);
    stem_free(bytes);
    stem_free(bytes_back);
    stem_value_free(&back);
    stem_free(text);
}

void assert_read(const char *text, const char *expected)
{
    stem_value value = parse(text);
    char *written = format(&value);

    ck_assert_str_eq(written, expected);
    stem_free(written);
    stem_value_free(&value);
}

void assert_same(const char *text)
{
    assert_read(text, text);
}

void assert_refused(const char *text, const char *words)
{
    stem_value value = stem_int(77);
    int code = stem_json_parse(text, strlen(text), &value);

    ck_assert_msg(code == STEM_EINVAL, "%s answered %s: %s", text, stem_strerror(code),
                  stem_errmsg());
    ck_assert_msg(strstr(stem_errmsg(), words) != NULL, "%s: \"%s\" does not say \"%s\"",
                  text, stem_errmsg(), words);
    ck_assert_int_eq(value.type, STEM_INT);
    ck_assert_int_eq(value.as.integer, 77);
}

uint64_t random_bits(void)
{
    uint64_t bits = random_below(1U << 31);

    bits = bits << 31 ^ random_below(1U << 31);
    return bits << 31 ^ random_below(1U << 31);
}

double double_of(uint64_t bits)
{
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}
