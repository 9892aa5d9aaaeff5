/*
 * Floats of all widths as JSON numbers, both ways and bit by bit. One description of its
 * bits serves each type: a value is exactly a double, and is read back by rounding the
 * double once. Not-a-number never passes through arithmetic, which could change its
 * payload.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

struct float_layout {
    int size; /* bytes */
    int exponent_bits;
    int mantissa_bits;
    int min_exponent; /* of the smallest normal number */
    int digits;       /* with fewer no number of many digits reads back the same */
};

static const struct float_layout f16 = {2, 5, 10, -14, 3};
static const struct float_layout bf16 = {2, 8, 7, -126, 2};
static const struct float_layout f32 = {4, 8, 23, -126, 6};
static const struct float_layout f64 = {8, 11, 52, -1022, 15};

enum { MAX_DIGITS = 17, NUMBER_TEXT_MAX = 40 };

static const struct float_layout *layout_of(int dtype)
{
    return dtype == STEM_F16    ? &f16
           : dtype == STEM_BF16 ? &bf16
           : dtype == STEM_F32  ? &f32
                                : &f64;
}

static uint64_t mantissa_of(uint64_t bits, const struct float_layout *layout)
{
    return bits & ((UINT64_C(1) << layout->mantissa_bits) - 1);
}

static int exponent_field(uint64_t bits, const struct float_layout *layout)
{
    return (int)(bits >> layout->mantissa_bits & ((1U << layout->exponent_bits) - 1));
}

static bool is_negative(uint64_t bits, const struct float_layout *layout)
{
    return bits >> (layout->size * 8 - 1) != 0;
}

static bool is_special(uint64_t bits, const struct float_layout *layout)
{
    return exponent_field(bits, layout) == (1 << layout->exponent_bits) - 1;
}

/* Infinity, without a sign; with the top bit of the mantissa it is the usual NaN. */
static uint64_t infinity_bits(const struct float_layout *layout)
{
    return ((UINT64_C(1) << layout->exponent_bits) - 1) << layout->mantissa_bits;
}

static uint64_t nan_bits(const struct float_layout *layout)
{
    return infinity_bits(layout) | UINT64_C(1) << (layout->mantissa_bits - 1);
}

static uint64_t sign_bit(const struct float_layout *layout)
{
    return UINT64_C(1) << (layout->size * 8 - 1);
}

/* The number that bits stand for, which are neither infinite nor NaN. */
static double widen(uint64_t bits, const struct float_layout *layout)
{
    int field = exponent_field(bits, layout);
    uint64_t mantissa = mantissa_of(bits, layout);
    int exponent = layout->min_exponent - layout->mantissa_bits;
    double x;

    if (field > 0) {
        mantissa |= UINT64_C(1) << layout->mantissa_bits;
        exponent += field - 1;
    }
    x = ldexp((double)mantissa, exponent);
    return is_negative(bits, layout) ? -x : x;
}

/* The bits nearest to a number, of two as near the even ones; infinity when it is beyond
 * the last, as a rounded text of the last one is. */
static uint64_t narrow(double x, const struct float_layout *layout)
{
    uint64_t sign = signbit(x) ? sign_bit(layout) : 0;
    int exponent;
    int unit; /* the exponent of the mantissa's last bit */
    double scaled;
    double rest;
    uint64_t mantissa;
    uint64_t bits;

    if (isinf(x))
        return sign | infinity_bits(layout);
    frexp(x, &exponent);
    if (x == 0.0 || exponent - 1 < layout->min_exponent)
        exponent = layout->min_exponent + 1;
    unit = exponent - 1 - layout->mantissa_bits;
    scaled = ldexp(signbit(x) ? -x : x, -unit);
    mantissa = (uint64_t)scaled;
    rest = scaled - (double)mantissa;
    if (rest > 0.5 || (rest == 0.5 && mantissa % 2 == 1))
        mantissa++;
    /* The mantissa's own leading bit, or its carry, counts into the exponent field. */
    bits = ((uint64_t)(exponent - 1 - layout->min_exponent) << layout->mantissa_bits) +
           mantissa;
    return sign | (bits > infinity_bits(layout) ? infinity_bits(layout) : bits);
}

/* The shortest of the usual precisions that reads back as the same bits. */
static void format_number(double x, uint64_t bits, const struct float_layout *layout,
                          char text[NUMBER_TEXT_MAX])
{
    for (int digits = layout->digits; digits <= MAX_DIGITS; digits++) {
        snprintf(text, NUMBER_TEXT_MAX, "%.*g", digits, x);
        if (narrow(strtod(text, NULL), layout) == bits)
            return;
    }
}

/* The text of what JSON has no number for. */
static void format_special(uint64_t bits, const struct float_layout *layout,
                           char text[NUMBER_TEXT_MAX])
{
    if (bits == nan_bits(layout))
        strcpy(text, "NaN");
    else if (mantissa_of(bits, layout) == 0)
        strcpy(text, is_negative(bits, layout) ? "-Infinity" : "Infinity");
    else
        snprintf(text, NUMBER_TEXT_MAX, "0x%0*" PRIx64, layout->size * 2, bits);
}

/* "0x" and all the hexadecimal digits of a NaN. */
static bool parse_nan(const char *text, size_t len, const struct float_layout *layout,
                      uint64_t *out)
{
    uint64_t bits = 0;

    if (len != 2 + (size_t)layout->size * 2 || text[0] != '0' || text[1] != 'x')
        return false;
    for (size_t i = 2; i < len; i++) {
        char c = text[i];

        if (c >= '0' && c <= '9')
            bits = bits << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            bits = bits << 4 | (uint64_t)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            bits = bits << 4 | (uint64_t)(c - 'A' + 10);
        else
            return false;
    }
    *out = bits;
    return is_special(bits, layout) && mantissa_of(bits, layout) != 0;
}

static bool is_text(const char *text, size_t len, const char *expected)
{
    return len == strlen(expected) && memcmp(text, expected, len) == 0;
}

static bool parse_special(const char *text, size_t len, const struct float_layout *layout,
                          uint64_t *bits)
{
    if (is_text(text, len, "NaN"))
        *bits = nan_bits(layout);
    else if (is_text(text, len, "Infinity"))
        *bits = infinity_bits(layout);
    else if (is_text(text, len, "-Infinity"))
        *bits = infinity_bits(layout) | sign_bit(layout);
    else
        return parse_nan(text, len, layout, bits);
    return true;
}

void stem_json_write_real(double x, stem_buffer *out)
{
    char text[NUMBER_TEXT_MAX];
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    format_number(x, bits, &f64, text);
    stem_buffer_add_text(out, text);
    /* Or it would be read as an integer. */
    if (!strpbrk(text, ".e"))
        stem_buffer_add_text(out, ".0");
}

void stem_json_write_float(const void *data, int dtype, stem_buffer *out)
{
    static const double exact_integers = 9007199254740992.0; /* 2^53 */
    const struct float_layout *layout = layout_of(dtype);
    char text[NUMBER_TEXT_MAX];
    uint64_t bits = 0;
    double x;

    memcpy(&bits, data, (size_t)layout->size);
    if (is_special(bits, layout)) {
        format_special(bits, layout, text);
        stem_buffer_add_text(out, "\"");
        stem_buffer_add_text(out, text);
        stem_buffer_add_text(out, "\"");
        return;
    }
    x = widen(bits, layout);
    if (bits == sign_bit(layout))
        strcpy(text, "-0.0");
    else if (x >= -exact_integers && x <= exact_integers && x == (double)(int64_t)x)
        snprintf(text, sizeof text, "%" PRId64, (int64_t)x);
    else
        format_number(x, bits, layout, text);
    stem_buffer_add_text(out, text);
}

bool stem_json_read_float(const stem_value *value, int dtype, void *data)
{
    const struct float_layout *layout = layout_of(dtype);
    uint64_t bits;
    double x;

    if (value->type == STEM_STR) {
        if (!parse_special(value->as.str.data, value->as.str.len, layout, &bits))
            return false;
    } else {
        if (value->type == STEM_INT)
            x = (double)value->as.integer;
        else if (value->type == STEM_UINT)
            x = (double)value->as.unsigned_;
        else if (value->type == STEM_FLOAT)
            x = value->as.real;
        else
            return false;
        bits = narrow(x, layout);
        if (is_special(bits, layout))
            return false;
    }
    memcpy(data, &bits, (size_t)layout->size);
    return true;
}
