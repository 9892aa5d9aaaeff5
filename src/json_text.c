/*
 * JSON text, token by token; see json_text.h.
 */
#include "json_text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "json.h"
#include "utf8.h"

/* A number has to lie in the window as a whole. NUMBER_MAX: one of more digits is of no use
 * to anything, and is refused. */
enum { WINDOW = 128 * 1024, NUMBER_MAX = 65536 };

/* ---- The text and the places in it ------------------------------------------------- */

void stem_json_text_start(stem_json_text *text, const char *data, size_t len)
{
    *text = (stem_json_text){
        .next = data, .end = data + len, .start = data, .line = 1, .is_at_end = true};
    if (len >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) {
        text->next += 3;
        text->line_start = 3;
    }
}

int stem_json_text_open(stem_json_text *text, stem_json_source source, void *context)
{
    char *window = malloc(WINDOW);

    if (!window)
        return stem_fail(STEM_ENOMEM, "no memory to read JSON text");
    stem_json_text_start(text, window, 0);
    text->window = window;
    text->source = source;
    text->context = context;
    text->is_at_end = false;
    while (text->end - text->next < 3 && stem_json_text_more(text))
        continue;
    if (text->end - text->next >= 3 && memcmp(text->next, "\xEF\xBB\xBF", 3) == 0) {
        text->next += 3;
        text->line_start = 3;
    }
    return STEM_OK;
}

void stem_json_text_close(stem_json_text *text)
{
    free(text->window);
    text->window = NULL;
}

static uint64_t offset_of(const stem_json_text *text, const char *p)
{
    return text->start_offset + (uint64_t)(p - text->start);
}

static stem_json_place place_of(const stem_json_text *text, const char *p)
{
    return (stem_json_place){text->line, offset_of(text, p) - text->line_start + 1};
}

stem_json_place stem_json_text_place(const stem_json_text *text)
{
    return place_of(text, text->next);
}

int stem_json_fail_at(const stem_json_place *place, const char *format, ...)
{
    char reason[512];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    return stem_fail(STEM_EINVAL, "line %llu, column %llu: %s",
                     (unsigned long long)place->line, (unsigned long long)place->column,
                     reason);
}

int stem_json_unexpected(stem_json_text *text, const char *expected)
{
    const stem_json_place place = stem_json_text_place(text);
    int byte = stem_json_peek(text);

    if (text->code != STEM_OK)
        return text->code;
    if (byte < 0)
        return stem_json_fail_at(&place, "the text ends, and %s is expected", expected);
    if (byte > ' ' && byte < 0x7F)
        return stem_json_fail_at(&place, "'%c', and %s is expected", byte, expected);
    return stem_json_fail_at(&place, "byte 0x%02X%s, and %s is expected", (unsigned)byte,
                             byte == 0 ? " (NUL)" : "", expected);
}

bool stem_json_text_more(stem_json_text *text)
{
    size_t left = (size_t)(text->end - text->next);
    ptrdiff_t n;

    if (text->is_at_end || left == WINDOW)
        return false;
    text->start_offset = offset_of(text, text->next);
    memmove(text->window, text->next, left);
    text->start = text->next = text->window;
    text->end = text->window + left;
    n = text->source(text->context, text->window + left, WINDOW - left);
    if (n < 0)
        text->code = stem_fail((int)n, "the source of the text failed");
    text->is_at_end = n <= 0;
    text->end += n > 0 ? n : 0;
    return n > 0;
}

/* Whether at least `n` bytes are at hand, after getting them. */
static bool has(stem_json_text *text, size_t n)
{
    while ((size_t)(text->end - text->next) < n) {
        if (!stem_json_text_more(text))
            return false;
    }
    return true;
}

/* ---- Blanks, marks, words ----------------------------------------------------------- */

int stem_json_skip_blanks(stem_json_text *text)
{
    for (;;) {
        int byte = stem_json_peek(text);

        if (byte != ' ' && byte != '\n' && byte != '\r' && byte != '\t')
            return byte;
        text->next++;
        if (byte == '\n') {
            text->line++;
            text->line_start = offset_of(text, text->next);
        }
    }
}

int stem_json_skip_byte(stem_json_text *text, int byte, const char *expected)
{
    if (stem_json_skip_blanks(text) != byte)
        return stem_json_unexpected(text, expected);
    text->next++;
    return STEM_OK;
}

int stem_json_skip_word(stem_json_text *text, const char *word)
{
    size_t len = strlen(word);

    if (!has(text, len) || memcmp(text->next, word, len) != 0)
        return stem_json_unexpected(text, "a value");
    text->next += len;
    return STEM_OK;
}

/* ---- Strings ------------------------------------------------------------------------ */

/* The value of four hexadecimal digits, or -1. */
static int32_t read_hex(const char *digits)
{
    int32_t x = 0;

    for (int i = 0; i < 4; i++) {
        char c = digits[i];

        if (c >= '0' && c <= '9')
            x = x << 4 | (c - '0');
        else if (c >= 'a' && c <= 'f')
            x = x << 4 | (c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            x = x << 4 | (c - 'A' + 10);
        else
            return -1;
    }
    return x;
}

static bool is_low_surrogate(int32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

static void add_character(stem_buffer *out, int32_t c)
{
    char bytes[4];
    size_t n = 0;

    if (c < 0x80) {
        bytes[n++] = (char)c;
    } else if (c < 0x800) {
        bytes[n++] = (char)(0xC0 | c >> 6);
    } else if (c < 0x10000) {
        bytes[n++] = (char)(0xE0 | c >> 12);
        bytes[n++] = (char)(0x80 | (c >> 6 & 0x3F));
    } else {
        bytes[n++] = (char)(0xF0 | c >> 18);
        bytes[n++] = (char)(0x80 | (c >> 12 & 0x3F));
        bytes[n++] = (char)(0x80 | (c >> 6 & 0x3F));
    }
    if (c >= 0x80)
        bytes[n++] = (char)(0x80 | (c & 0x3F));
    stem_buffer_add(out, bytes, n);
}

/* Reads \uXXXX, or the two of a character above U+FFFF. */
static int read_unicode_escape(stem_json_text *text, stem_buffer *out)
{
    const stem_json_place place = stem_json_text_place(text);
    int32_t unit = has(text, 6) ? read_hex(text->next + 2) : -1;

    if (text->code != STEM_OK)
        return text->code;
    if (unit < 0)
        return stem_json_fail_at(&place, "\\u, and not four hexadecimal digits");
    text->next += 6;
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        int32_t low = -1;

        if (has(text, 6) && text->next[0] == '\\' && text->next[1] == 'u')
            low = read_hex(text->next + 2);
        if (text->code != STEM_OK)
            return text->code;
        if (is_low_surrogate(low)) {
            text->next += 6;
            add_character(out, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
            return STEM_OK;
        }
    }
    if (unit >= 0xD800 && unit <= 0xDFFF && !text->is_skimmed)
        return stem_json_fail_at(&place, "\\u%04X, half of a surrogate pair",
                                 (unsigned)unit);
    add_character(out, unit);
    return STEM_OK;
}

/* Reads an escape, whose backslash is next. */
static int read_escape(stem_json_text *text, stem_buffer *out)
{
    static const char names[] = "\"\\/bfnrt";
    static const char bytes[] = "\"\\/\b\f\n\r\t";
    const char *name;
    stem_json_place place;

    if (has(text, 2)) {
        if (text->next[1] == 'u')
            return read_unicode_escape(text, out);
        name = text->next[1] ? strchr(names, text->next[1]) : NULL;
        if (name) {
            stem_buffer_add(out, &bytes[name - names], 1);
            text->next += 2;
            return STEM_OK;
        }
    }
    place = stem_json_text_place(text);
    return text->code != STEM_OK ? text->code
                                 : stem_json_fail_at(&place, "an unknown escape");
}

/* Adds the bytes that stand for themselves; what ends them is next, or the end of what is
 * at hand. */
static void read_plain(stem_json_text *text, stem_buffer *out)
{
    const unsigned char *p = (const unsigned char *)text->next;
    const unsigned char *end = (const unsigned char *)text->end;

    for (;;) {
        size_t len;

        while (p < end && *p >= ' ' && *p < 0x80 && *p != '"' && *p != '\\')
            p++;
        if (p == end || *p < 0x80)
            break;
        len = stem_utf8_sequence(p, (size_t)(end - p));
        if (len == 0)
            break;
        p += len;
        text->line_start += len - 1;
    }
    stem_buffer_add(out, text->next, (size_t)((const char *)p - text->next));
    text->next = (const char *)p;
}

/* What to do about a byte that read_plain has stopped at and that ends no string. */
static int read_special(stem_json_text *text, stem_buffer *out)
{
    const unsigned char *p = (const unsigned char *)text->next;
    const stem_json_place place = stem_json_text_place(text);

    if (*p == '\\')
        return read_escape(text, out);
    if (*p < ' ')
        return stem_json_fail_at(&place,
                                 "byte 0x%02X in a string, which has to be escaped", *p);
    /* A character may lie across two pieces of the text. */
    has(text, 4);
    if (text->code != STEM_OK)
        return text->code;
    p = (const unsigned char *)text->next;
    if (stem_utf8_sequence(p, (size_t)(text->end - text->next)) == 0)
        return stem_json_fail_at(&place, "byte 0x%02X is not UTF-8", *p);
    return STEM_OK;
}

int stem_json_read_string(stem_json_text *text, stem_buffer *out)
{
    const stem_json_place place = stem_json_text_place(text);
    const size_t start = out->len;

    text->next++;
    for (;;) {
        int code;

        read_plain(text, out);
        if (out->failed)
            return stem_fail(STEM_ENOMEM, "no memory for a string");
        /* Base64 is a third longer than its bytes. */
        if (out->len - start > 2 * (size_t)STEM_VALUE_MAX)
            return stem_json_fail_at(&place, "a string of more than %d bytes",
                                     STEM_VALUE_MAX);
        if (text->next == text->end) {
            if (!stem_json_text_more(text))
                return stem_json_unexpected(text, "the end of a string");
            continue;
        }
        if (*text->next == '"')
            break;
        code = read_special(text, out);
        if (code != STEM_OK)
            return code;
    }
    text->next++;
    return STEM_OK;
}

/* ---- Numbers ------------------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_in_number(char c)
{
    return is_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && is_digit(*p))
        p++;
    return p;
}

/* Whether RFC 8259 knows the number, and whether it is an integer. */
static bool check_number(const char *p, const char *end, bool *is_integer)
{
    const char *digits;

    p += *p == '-';
    digits = p;
    p = skip_digits(p, end);
    if (p == digits || (*digits == '0' && p - digits > 1))
        return false;
    *is_integer = p == end;
    if (p < end && *p == '.') {
        digits = ++p;
        p = skip_digits(p, end);
        if (p == digits)
            return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        digits = p;
        p = skip_digits(p, end);
        if (p == digits)
            return false;
    }
    return p == end;
}

static int make_integer(const char *p, size_t len, const stem_json_place *place,
                        stem_value *out)
{
    bool is_negative = *p == '-';
    uint64_t x;

    if (!stem_json_read_uint(p + is_negative, len - is_negative, &x) ||
        (is_negative && x > (uint64_t)INT64_MAX + 1))
        return stem_json_fail_at(place, "an integer %s",
                                 is_negative ? "below -9223372036854775808"
                                             : "above 18446744073709551615");
    *out = is_negative ? stem_int((int64_t)-x) : stem_uint(x);
    return STEM_OK;
}

static int make_float(const char *p, size_t len, const stem_json_place *place,
                      stem_value *out)
{
    char few[64];
    char *digits = len < sizeof few ? few : malloc(len + 1);
    double x;

    if (!digits)
        return stem_fail(STEM_ENOMEM, "no memory for a number");
    memcpy(digits, p, len);
    digits[len] = '\0';
    x = strtod(digits, NULL);
    if (digits != few)
        free(digits);
    if (isinf(x))
        return stem_json_fail_at(place, "a number too large for a float of 64 bits");
    *out = stem_float(x);
    return STEM_OK;
}

int stem_json_read_number(stem_json_text *text, stem_value *out)
{
    const stem_json_place place = stem_json_text_place(text);
    size_t len = 0;
    bool is_integer;
    const char *p;

    while (len <= NUMBER_MAX && has(text, len + 1) && is_in_number(text->next[len]))
        len++;
    if (text->code != STEM_OK)
        return text->code;
    if (len > NUMBER_MAX)
        return stem_json_fail_at(&place, "a number of more than %d characters",
                                 NUMBER_MAX);
    p = text->next;
    text->next += len;
    if (!check_number(p, text->next, &is_integer))
        return stem_json_fail_at(&place, "\"%.*s\" is no number of JSON",
                                 (int)(len < 40 ? len : 40), p);
    if (!out)
        return STEM_OK;
    return is_integer ? make_integer(p, len, &place, out)
                      : make_float(p, len, &place, out);
}
