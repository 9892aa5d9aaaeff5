/*
 * Values in memory: making them, naming their types, releasing them, and converting
 * between kinds where nothing is lost.
 */
#include "value.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "error.h"
#include "msgpack_bytes.h"

/* 2^63 and 2^64, the first doubles above every int64_t and uint64_t. */
static const double INT64_END = 9223372036854775808.0;
static const double UINT64_END = 18446744073709551616.0;

const char *stem_type_name(int type)
{
    static const char *const names[] = {"nil", "bool", "int",   "uint", "float", "str",
                                        "bin", "time", "array", "list", "map",   "ext"};

    return type >= STEM_NIL && type <= STEM_EXT ? names[type] : "unknown";
}

void stem_free(void *buffer)
{
    free(buffer);
}

void stem_value_free(stem_value *value)
{
    if (!value)
        return;
    free(value->owned);
    *value = (stem_value){.type = STEM_NIL};
}

stem_value stem_nil(void)
{
    return (stem_value){.type = STEM_NIL};
}

stem_value stem_bool(bool x)
{
    return (stem_value){.type = STEM_BOOL, .as.boolean = x};
}

stem_value stem_int(int64_t x)
{
    return (stem_value){.type = STEM_INT, .as.integer = x};
}

stem_value stem_uint(uint64_t x)
{
    if (x <= INT64_MAX)
        return stem_int((int64_t)x);
    return (stem_value){.type = STEM_UINT, .as.unsigned_ = x};
}

stem_value stem_float(double x)
{
    return (stem_value){.type = STEM_FLOAT, .as.real = x};
}

stem_value stem_str(const char *x)
{
    /* A length that is not zero lets the NULL be refused when it is put. */
    return stem_strn(x, x ? strlen(x) : 1);
}

stem_value stem_strn(const char *x, size_t len)
{
    return (stem_value){.type = STEM_STR, .as.str = {x, len}};
}

stem_value stem_bin(const void *data, size_t len)
{
    return (stem_value){.type = STEM_BIN, .as.bin = {data, len}};
}

stem_value stem_time(int64_t seconds, uint32_t nanoseconds)
{
    return (stem_value){.type = STEM_TIME, .as.time = {seconds, nanoseconds}};
}

stem_value stem_array(int dtype, const void *data, int ndim, const uint64_t *shape)
{
    stem_value value = {.type = STEM_ARRAY};
    stem_array_view *array = &value.as.array;

    array->dtype = dtype;
    array->data = data;
    array->shape = shape;
    /* No shape and one dimension are what stem_array1 makes. */
    array->ndim = !shape && ndim == 1 ? 0 : ndim;
    /* A product that overflows is refused when it is put. */
    if (shape && ndim >= 1 && ndim <= STEM_NDIM_MAX)
        stem_shape_count(shape, ndim, &array->count);
    return value;
}

stem_value stem_array1(int dtype, const void *data, uint64_t n)
{
    return (stem_value){
        .type = STEM_ARRAY,
        .as.array = {.data = data, .count = n, .dtype = dtype, .ndim = 1}};
}

/* An unaligned array cannot be lent: it stays packed. */
static bool is_usable(const stem_value *value)
{
    return value->type != STEM_ARRAY || stem_array_is_aligned(&value->as.array);
}

stem_value stem_packed(const void *data, size_t len)
{
    stem_value value = {.type = STEM_LIST, .as.packed = {data, len, 0}};
    stem_tokens tokens;
    stem_value head;

    /* What turns out malformed stays a list, and is refused when it is put. */
    if (!data)
        return value;
    stem_tokens_start(&tokens, data, (const unsigned char *)data + len);
    if (stem_tokens_next(&tokens, &head))
        return value;
    if (head.type == STEM_LIST || head.type == STEM_MAP) {
        value.type = head.type;
        value.as.packed.count = head.as.packed.count;
    } else if (tokens.next == tokens.end && is_usable(&head)) {
        value = head;
    }
    return value;
}

stem_value stem_ext(int code, const void *data, size_t len)
{
    return (stem_value){.type = STEM_EXT, .as.ext = {data, len, code}};
}

stem_value stem_value_itself(stem_value value)
{
    return value;
}

static int check_arguments(const stem_value *value, const void *out)
{
    if (value && out)
        return STEM_OK;
    return stem_fail(STEM_EINVAL, "%s is NULL", value ? "the output" : "the value");
}

static int wrong_type(const stem_value *value, const char *wanted)
{
    return stem_fail(STEM_ETYPE, "the value is of type %s, not %s",
                     stem_type_name(value->type), wanted);
}

static int float_out_of_range(double x, const char *wanted)
{
    return stem_fail(STEM_ERANGE, "the float %.17g is not %s", x, wanted);
}

/* The integer a double stands for exactly; -0.0 stands for none. */
static bool is_integral(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    if (bits == UINT64_C(1) << 63)
        return false;
    return x >= -INT64_END && x < UINT64_END &&
           (x < 0 ? (double)(int64_t)x == x : (double)(uint64_t)x == x);
}

int stem_as_int(const stem_value *value, int64_t *out)
{
    int code = check_arguments(value, out);

    if (code != STEM_OK)
        return code;
    switch (value->type) {
    case STEM_INT:
        *out = value->as.integer;
        return STEM_OK;
    case STEM_UINT:
        if (value->as.unsigned_ > INT64_MAX)
            return stem_fail(STEM_ERANGE, "the integer %llu does not fit int64_t",
                             (unsigned long long)value->as.unsigned_);
        *out = (int64_t)value->as.unsigned_;
        return STEM_OK;
    case STEM_FLOAT:
        if (!is_integral(value->as.real) || value->as.real >= INT64_END)
            return float_out_of_range(value->as.real, "an int64_t");
        *out = (int64_t)value->as.real;
        return STEM_OK;
    default:
        return wrong_type(value, "an integer");
    }
}

int stem_as_uint(const stem_value *value, uint64_t *out)
{
    int code = check_arguments(value, out);

    if (code != STEM_OK)
        return code;
    switch (value->type) {
    case STEM_INT:
        if (value->as.integer < 0)
            return stem_fail(STEM_ERANGE, "the integer %lld does not fit uint64_t",
                             (long long)value->as.integer);
        *out = (uint64_t)value->as.integer;
        return STEM_OK;
    case STEM_UINT:
        *out = value->as.unsigned_;
        return STEM_OK;
    case STEM_FLOAT:
        if (!is_integral(value->as.real) || value->as.real < 0)
            return float_out_of_range(value->as.real, "a uint64_t");
        *out = (uint64_t)value->as.real;
        return STEM_OK;
    default:
        return wrong_type(value, "an integer");
    }
}

int stem_as_float(const stem_value *value, double *out)
{
    int code = check_arguments(value, out);
    double x;

    if (code != STEM_OK)
        return code;
    switch (value->type) {
    case STEM_FLOAT:
        *out = value->as.real;
        return STEM_OK;
    case STEM_INT:
        x = (double)value->as.integer;
        /* Rounding may have led to 2^63, which no int64_t holds. */
        if (x >= INT64_END || (int64_t)x != value->as.integer)
            return stem_fail(STEM_ERANGE, "the integer %lld is no double exactly",
                             (long long)value->as.integer);
        *out = x;
        return STEM_OK;
    case STEM_UINT:
        x = (double)value->as.unsigned_;
        if (x >= UINT64_END || (uint64_t)x != value->as.unsigned_)
            return stem_fail(STEM_ERANGE, "the integer %llu is no double exactly",
                             (unsigned long long)value->as.unsigned_);
        *out = x;
        return STEM_OK;
    default:
        return wrong_type(value, "a number");
    }
}

int stem_as_bool(const stem_value *value, bool *out)
{
    int code = check_arguments(value, out);

    if (code != STEM_OK)
        return code;
    switch (value->type) {
    case STEM_BOOL:
        *out = value->as.boolean;
        return STEM_OK;
    case STEM_INT:
        if (value->as.integer != 0 && value->as.integer != 1)
            return stem_fail(STEM_ERANGE, "the integer %lld is neither 0 nor 1",
                             (long long)value->as.integer);
        *out = value->as.integer == 1;
        return STEM_OK;
    case STEM_UINT:
        return stem_fail(STEM_ERANGE, "the integer %llu is neither 0 nor 1",
                         (unsigned long long)value->as.unsigned_);
    default:
        return wrong_type(value, "a bool");
    }
}
