/*
 * Numeric arrays as JSON, both ways: the element type by name, the shape, and the
 * elements in one flat list. Every bit of every element comes back.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "error.h"
#include "json.h"

enum { NUMBER_TEXT_MAX = 40 };

static bool is_float(int dtype)
{
    return dtype >= STEM_F16 && dtype <= STEM_F64;
}

/* The type of the two parts of a complex element; STEM_ANY for other elements. */
static int part_of(int dtype)
{
    return dtype == STEM_C64 ? STEM_F32 : dtype == STEM_C128 ? STEM_F64 : STEM_ANY;
}

static bool is_signed(int dtype)
{
    return dtype == STEM_I8 || dtype == STEM_I16 || dtype == STEM_I32 ||
           dtype == STEM_I64;
}

/* Elements that are neither floats nor complex. */
static void write_integer(const unsigned char *data, int dtype, stem_buffer *out)
{
    size_t size = stem_dtype_size(dtype);
    unsigned unused = 64 - 8 * (unsigned)size;
    uint64_t bits = 0;
    char text[NUMBER_TEXT_MAX];

    memcpy(&bits, data, size);
    if (dtype == STEM_B8 && bits <= 1)
        snprintf(text, sizeof text, "%s", bits == 1 ? "true" : "false");
    else if (is_signed(dtype))
        snprintf(text, sizeof text, "%" PRId64, (int64_t)(bits << unused) >> unused);
    else if (bits <= INT64_MAX)
        snprintf(text, sizeof text, "%" PRIu64, bits);
    else
        snprintf(text, sizeof text, "\"%" PRIu64 "\"", bits);
    stem_buffer_add_text(out, text);
}

static void write_element(const unsigned char *data, int dtype, stem_buffer *out)
{
    int part = part_of(dtype);

    if (is_float(dtype)) {
        stem_json_write_float(data, dtype, out);
    } else if (part == STEM_ANY) {
        write_integer(data, dtype, out);
    } else {
        stem_buffer_add_text(out, "[");
        stem_json_write_float(data, part, out);
        stem_buffer_add_text(out, ", ");
        stem_json_write_float(data + stem_dtype_size(part), part, out);
        stem_buffer_add_text(out, "]");
    }
}

void stem_json_write_array(const stem_array_view *array, stem_buffer *out)
{
    size_t size = stem_dtype_size(array->dtype);
    char text[NUMBER_TEXT_MAX];

    stem_buffer_add_text(out, "{\"$array\": {\"type\": \"");
    stem_buffer_add_text(out, stem_dtype_name(array->dtype));
    stem_buffer_add_text(out, "\", \"shape\": [");
    for (int i = 0; i < array->ndim; i++) {
        snprintf(text, sizeof text, "%s%" PRIu64, i > 0 ? ", " : "",
                 array->shape ? array->shape[i] : array->count);
        stem_buffer_add_text(out, text);
    }
    stem_buffer_add_text(out, "], \"data\": [");
    for (uint64_t i = 0; i < array->count && !out->failed; i++) {
        if (i > 0)
            stem_buffer_add_text(out, ", ");
        write_element((const unsigned char *)array->data + i * size, array->dtype, out);
    }
    stem_buffer_add_text(out, "]}}");
}

bool stem_json_read_uint(const char *text, size_t len, uint64_t *out)
{
    uint64_t x = 0;

    if (len == 0 || (text[0] == '0' && len > 1))
        return false;
    for (size_t i = 0; i < len; i++) {
        uint64_t digit;

        if (text[i] < '0' || text[i] > '9')
            return false;
        digit = (uint64_t)(text[i] - '0');
        if (x > (UINT64_MAX - digit) / 10)
            return false;
        x = x * 10 + digit;
    }
    *out = x;
    return true;
}

static bool read_integer(const json_t *json, int dtype, unsigned char *out)
{
    size_t size = stem_dtype_size(dtype);
    unsigned unused = 64 - 8 * (unsigned)size;
    uint64_t bits;

    if (json_is_integer(json)) {
        int64_t x = json_integer_value(json);

        bits = (uint64_t)x;
        if (is_signed(dtype) ? (int64_t)(bits << unused) >> unused != x
                             : x < 0 || bits << unused >> unused != bits)
            return false;
    } else if (dtype == STEM_B8 && json_is_boolean(json)) {
        bits = json_is_true(json);
    } else if (dtype != STEM_U64 || !json_is_string(json) ||
               !stem_json_read_uint(json_string_value(json), json_string_length(json),
                                    &bits)) {
        return false;
    }
    memcpy(out, &bits, size);
    return true;
}

static bool read_element(const json_t *json, int dtype, unsigned char *out)
{
    int part = part_of(dtype);

    if (is_float(dtype))
        return stem_json_read_float(json, dtype, out);
    if (part == STEM_ANY)
        return read_integer(json, dtype, out);
    return json_array_size(json) == 2 &&
           stem_json_read_float(json_array_get(json, 0), part, out) &&
           stem_json_read_float(json_array_get(json, 1), part,
                                out + stem_dtype_size(part));
}

/* Reads the shape into `shape`, and its number of dimensions. */
static int read_shape(const json_t *json, uint64_t shape[STEM_NDIM_MAX], int *ndim)
{
    size_t n = json_array_size(json);

    if (!json_is_array(json) || n < 1 || n > STEM_NDIM_MAX)
        return stem_fail(STEM_EINVAL,
                         "\"$array\": \"shape\" is not a list of 1 to %d extents",
                         STEM_NDIM_MAX);
    for (size_t i = 0; i < n; i++) {
        const json_t *extent = json_array_get(json, i);

        if (!json_is_integer(extent) || json_integer_value(extent) < 0)
            return stem_fail(STEM_EINVAL,
                             "\"$array\": extent %zu of the shape is no count", i + 1);
        shape[i] = (uint64_t)json_integer_value(extent);
    }
    *ndim = (int)n;
    return STEM_OK;
}

/* Appends the array in encoded form, its elements read from `list` into `data`. */
static int add_array(stem_array_view *array, const json_t *list, unsigned char *data,
                     stem_buffer *out)
{
    size_t element = stem_dtype_size(array->dtype);
    size_t size;
    unsigned char *room;

    for (size_t i = 0; i < array->count; i++) {
        if (!read_element(json_array_get(list, i), array->dtype, data + i * element))
            return stem_fail(STEM_EINVAL, "\"$array\": element %zu of the data is no %s",
                             i + 1, stem_dtype_name(array->dtype));
    }
    array->data = data;
    if ((size = stem_array_encoded_size(array)) == 0)
        return STEM_EINVAL;
    if (!(room = stem_buffer_room(out, size)))
        return STEM_ENOMEM;
    stem_array_encode(array, room);
    return STEM_OK;
}

int stem_json_read_array(const json_t *content, stem_buffer *out)
{
    const json_t *type = json_object_get(content, "type");
    const json_t *list = json_object_get(content, "data");
    uint64_t shape[STEM_NDIM_MAX];
    stem_array_view array = {.shape = shape};
    unsigned char *data;
    int code;

    if (json_object_size(content) != 3 || !json_is_string(type) || !json_is_array(list))
        return stem_fail(STEM_EINVAL,
                         "\"$array\" is not an object of \"type\", \"shape\" "
                         "and \"data\"");
    /* A name with a NUL in it is none, whatever it begins with. */
    if (strlen(json_string_value(type)) == json_string_length(type))
        array.dtype = stem_dtype_named(json_string_value(type));
    if (array.dtype == STEM_ANY)
        return stem_fail(STEM_EINVAL, "\"$array\": \"%s\" is no element type",
                         json_string_value(type));
    code = read_shape(json_object_get(content, "shape"), shape, &array.ndim);
    if (code != STEM_OK)
        return code;
    if (!stem_shape_count(shape, array.ndim, &array.count) ||
        array.count != json_array_size(list))
        return stem_fail(STEM_EINVAL,
                         "\"$array\": %zu elements of data do not fit the "
                         "shape",
                         json_array_size(list));
    if (array.count > STEM_VALUE_MAX / stem_dtype_size(array.dtype))
        return stem_fail(STEM_EINVAL, "\"$array\": more than %d bytes", STEM_VALUE_MAX);
    /* One byte more: an array may be empty. */
    data = malloc((size_t)array.count * stem_dtype_size(array.dtype) + 1);
    if (!data)
        return stem_fail(STEM_ENOMEM, "no memory for an array of %" PRIu64 " elements",
                         array.count);
    code = add_array(&array, list, data, out);
    free(data);
    return code;
}
