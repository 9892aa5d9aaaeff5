/*
 * Values as Redis's commands see them; see command_value.h.
 */
#include "command_value.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../c_locale.h"
#include "../error.h"
#include "../utf8.h"
#include "../value.h"

const char stem_wrong_type[] =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
const char stem_no_integer[] = "ERR value is not an integer or out of range";
const char stem_syntax_error[] = "ERR syntax error";

/* ---- Numbers as text -------------------------------------------------------------- */

static size_t write_digits(uint64_t x, char *out)
{
    char reversed[20];
    size_t n = 0;

    do {
        reversed[n++] = (char)('0' + x % 10);
        x /= 10;
    } while (x > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    return n;
}

static size_t write_int(int64_t x, char *out)
{
    if (x >= 0)
        return write_digits((uint64_t)x, out);
    *out = '-';
    return 1 + write_digits(-(uint64_t)x, out + 1);
}

/* The fewest digits that read back as x, which is finite and greater than 0, and the place of
 * the point behind the first. Whatever stands for the point in this locale is passed over. */
static size_t shortest_digits(double x, char digits[DBL_DECIMAL_DIG + 1], int *exponent)
{
    /* Of a normal number fewer are those of 15 without the zeros at the end. */
    const int fewest = isnormal(x) ? DBL_DIG : 1;
    char text[STEM_NUMBER_TEXT];
    size_t n = 0;

    for (int precision = fewest; precision <= DBL_DECIMAL_DIG; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, x);
        if (strtod(text, NULL) == x)
            break;
    }
    const char *e = strchr(text, 'e');
    for (const char *p = text; p < e; p++) {
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
    }
    while (n > 1 && digits[n - 1] == '0')
        n--;
    *exponent = (int)strtol(e + 1, NULL, 10);
    return n;
}

/* Positional as long as that takes no more than six zeros before the digits and 21 places
 * before the point, else with an exponent. */
static size_t write_positive(double x, char *out)
{
    enum { LEAST_EXPONENT = -7, MOST_EXPONENT = 20 };
    char digits[DBL_DECIMAL_DIG + 1];
    char *p = out;
    int exponent;
    const int n = (int)shortest_digits(x, digits, &exponent);

    if (exponent < LEAST_EXPONENT || exponent > MOST_EXPONENT) {
        *p++ = digits[0];
        if (n > 1)
            *p++ = '.';
        memcpy(p, digits + 1, (size_t)n - 1);
        p += n - 1;
        p += sprintf(p, "e%+d", exponent);
        return (size_t)(p - out);
    }
    if (exponent < 0) {
        *p++ = '0';
        *p++ = '.';
        for (int i = exponent + 1; i < 0; i++)
            *p++ = '0';
    }
    for (int i = 0; i < n || i <= exponent; i++) {
        if (exponent >= 0 && i == exponent + 1)
            *p++ = '.';
        *p++ = '0';
        if (i < n)
            p[-1] = digits[i];
    }
    return (size_t)(p - out);
}

/* The shortest text that reads back the same. */
static size_t write_real(double x, char *out)
{
    size_t sign = 0;

    if (isnan(x))
        return (size_t)sprintf(out, "nan");
    if (signbit(x)) {
        out[sign++] = '-';
        x = -x;
    }
    if (isinf(x))
        return sign + (size_t)sprintf(out + sign, "inf");
    if (x == 0.0)
        out[sign++] = '0';
    else
        sign += write_positive(x, out + sign);
    return sign;
}

bool stem_text_is_int(stem_slice text, int64_t *x)
{
    enum { DIGITS_MOST = 19 };
    const bool is_negative = text.len > 0 && text.data[0] == '-';
    const size_t first = is_negative;
    const size_t n = text.len - first;
    uint64_t sum = 0;

    if (n == 0 || n > DIGITS_MOST)
        return false;
    if (text.data[first] == '0') {
        *x = 0;
        return text.len == 1;
    }
    for (size_t i = first; i < text.len; i++) {
        const unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';

        if (digit > 9)
            return false;
        sum = sum * 10 + digit;
    }
    if (sum > (uint64_t)INT64_MAX + is_negative)
        return false;
    *x = is_negative ? (int64_t)-sum : (int64_t)sum;
    return true;
}

bool stem_text_is_real(stem_slice text, long double *x)
{
    enum { TEXT_MOST = 5 << 10 };
    char copy[TEXT_MOST];
    char *end;
    locale_t c;

    if (text.len == 0 || text.len >= sizeof copy || strchr(" \t\n\v\f\r", text.data[0]))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    const locale_t before = stem_c_locale_enter(&c);
    if (!c)
        return false;
    errno = 0;
    *x = strtold(copy, &end);
    const bool is_out_of_range = errno == ERANGE && (isinf(*x) || *x == 0);
    stem_c_locale_leave(before, c);
    return end == copy + text.len && !is_out_of_range && !isnan(*x);
}

/* ---- Values as text --------------------------------------------------------------- */

/* The head of an array tells enough, and nothing else here needs to be aligned. */
int stem_text_make(stem_slice stored, stem_text *text)
{
    stem_value value;
    bool needs_copy;

    text->kind = STEM_TEXT_ABSENT;
    text->bytes = (stem_slice){NULL, 0};
    if (!stored.data)
        return STEM_OK;
    int code = stem_value_decode(stored.data, stored.len, &value, &needs_copy);
    if (code != STEM_OK)
        return code;
    text->kind = STEM_TEXT_READ;
    text->type = value.type;
    text->bytes.data = text->number;
    switch (value.type) {
    case STEM_STR:
        text->bytes = (stem_slice){value.as.str.data, value.as.str.len};
        break;
    case STEM_BIN:
        text->bytes = (stem_slice){value.as.bin.data, value.as.bin.len};
        break;
    case STEM_INT:
        text->bytes.len = write_int(value.as.integer, text->number);
        break;
    case STEM_UINT:
        text->bytes.len = write_digits(value.as.unsigned_, text->number);
        break;
    case STEM_FLOAT:
        text->bytes.len = write_real(value.as.real, text->number);
        break;
    case STEM_BOOL:
        text->bytes.len = write_digits(value.as.boolean, text->number);
        break;
    default:
        text->kind = STEM_TEXT_OTHER;
        text->bytes.data = NULL;
        break;
    }
    return STEM_OK;
}

/* The length that the head of a long text says: MessagePack's str or bin, with a length of one,
 * two or four bytes; false for another than is behind the head. */
static bool read_long_len(const stem_look *look, size_t *len)
{
    const unsigned char *p = (const unsigned char *)look->head.data;
    const size_t n_bytes = *p == 0xD9 || *p == 0xC4   ? 1
                           : *p == 0xDA || *p == 0xC5 ? 2
                                                      : 4;

    *len = 0;
    for (size_t i = 1; i <= n_bytes; i++)
        *len = *len << 8 | p[i];
    return *len == look->len - 1 - n_bytes;
}

int stem_text_len(const stem_look *look, enum stem_text_kind *kind, size_t *len)
{
    int type, code;

    if (look->len <= look->head.len) { /* all of it is here */
        stem_text text;

        code = stem_text_make(look->head, &text);
        if (code == STEM_OK) {
            *kind = text.kind;
            *len = text.bytes.len;
        }
        return code;
    }
    code = stem_value_peek_type(look->head.data, look->head.len, &type);
    if (code != STEM_OK)
        return code;
    *kind = type == STEM_STR || type == STEM_BIN ? STEM_TEXT_READ : STEM_TEXT_OTHER;
    if (*kind == STEM_TEXT_READ && !read_long_len(look, len))
        return stem_fail(STEM_ECORRUPT, "a text of another length than it says");
    return STEM_OK;
}

int stem_text_of_key(stem_request *request, stem_slice key, stem_text *text)
{
    stem_slice stored;

    int code = stem_execution_read(request->on, &key, 1, &stored);
    return code == STEM_OK ? stem_text_make(stored, text) : code;
}

void stem_reply_value(stem_reply *reply, const stem_text *text)
{
    if (text->kind == STEM_TEXT_READ)
        stem_reply_bulk(reply, text->bytes.data, text->bytes.len);
    else if (text->kind == STEM_TEXT_ABSENT)
        stem_reply_null(reply);
    else
        stem_reply_error(reply, stem_wrong_type);
}

/* ---- Text as values --------------------------------------------------------------- */

/* The length of the ASCII that the bytes begin with, or a little less. */
static size_t ascii_len(const unsigned char *p, size_t len)
{
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    uint64_t word;
    size_t i = 0;

    for (; len - i >= sizeof word; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        if (word & high_bits)
            return i;
    }
    while (i < len && p[i] < 0x80)
        i++;
    return i;
}

static bool is_utf8(stem_slice text)
{
    const unsigned char *p = (const unsigned char *)text.data;
    const unsigned char *end = p + text.len;

    for (;;) {
        p += ascii_len(p, (size_t)(end - p));
        if (p == end)
            return true;
        const size_t len = *p < 0x80 ? 1 : stem_utf8_sequence(p, (size_t)(end - p));
        if (len == 0)
            return false;
        p += len;
    }
}

stem_value stem_value_of_text(stem_slice text)
{
    int64_t integer;

    if (stem_text_is_int(text, &integer))
        return stem_int(integer);
    if (text.len == 0)
        return stem_strn("", 0);
    return is_utf8(text) ? stem_strn(text.data, text.len) : stem_bin(text.data, text.len);
}

bool stem_request_admits(stem_request *request, stem_slice key, size_t value_len,
                         size_t *bytes)
{
    const stem_engine *engine = stem_execution_engine(request->on);

    *bytes += key.len + value_len;
    if (value_len > engine->max_value_bytes || value_len > STEM_VALUE_MAX) {
        stem_reply_error(request->reply, "ERR value is too large");
        return false;
    }
    if (*bytes > engine->max_commit_bytes) {
        stem_reply_error(request->reply, "ERR too much for one commit");
        return false;
    }
    return true;
}

int stem_request_put(stem_request *request, stem_slice key, const stem_value *value)
{
    unsigned char small[STEM_SMALL_ENCODED];
    size_t len = stem_value_encode_small(value, small);
    char *room;

    if (len > 0)
        return stem_execution_put(request->on, key, (stem_slice){(char *)small, len});
    len = stem_value_encoded_size(value);
    if (len == 0)
        return stem_errcode();
    int code = stem_execution_put_room(request->on, key, len, &room);
    if (code == STEM_OK)
        stem_value_encode(value, (unsigned char *)room);
    return code;
}

/* ---- Words of a request ----------------------------------------------------------- */

bool stem_request_has_key(stem_request *request, size_t arg, stem_slice *key, int *code)
{
    *code = stem_request_key(request, arg, key);
    if (*code == STEM_OK)
        return true;
    if (*code == STEM_EINVAL)
        *code = STEM_OK; /* there is a reply */
    return false;
}

bool stem_request_has_keys(stem_request *request, size_t first, size_t step,
                           stem_slice **keys, size_t *n, int *code)
{
    *n = (request->n_args - first + step - 1) / step;
    *keys = stem_execution_room(request->on, *n * sizeof **keys);
    if (!*keys) {
        *code = STEM_ENOMEM;
        return false;
    }
    for (size_t i = 0; i < *n; i++) {
        if (!stem_request_has_key(request, first + i * step, &(*keys)[i], code))
            return false;
    }
    return true;
}

int stem_request_has(stem_request *request, const stem_slice *keys, size_t n,
                     bool **is_there)
{
    *is_there = stem_execution_room(request->on, n * sizeof **is_there);
    return *is_there ? stem_execution_has(request->on, keys, n, *is_there) : STEM_ENOMEM;
}

int stem_request_goes_on(const stem_request *request)
{
    if (request->reply->bytes.failed)
        return stem_fail(STEM_ENOMEM, "no memory for a reply");
    return STEM_OK;
}

bool stem_request_has_text(stem_request *request, stem_slice *key, stem_text *text,
                           int *code)
{
    if (!stem_request_has_key(request, 1, key, code))
        return false;
    *code = stem_text_of_key(request, *key, text);
    return *code == STEM_OK;
}
