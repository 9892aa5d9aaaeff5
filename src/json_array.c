/*
 * Numeric arrays as JSON, both ways: the element type by name, the shape, and the
 * elements in one flat list. Every bit of every element comes back.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "error.h"
#include "json.h"
#include "json_names.h"
#include "json_read.h"
#include "value.h"

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
    else
        snprintf(text, sizeof text, "%" PRIu64, bits);
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

/* ---- Elements ----------------------------------------------------------------------- */

static bool read_integer(const stem_value *value, int dtype, unsigned char *out)
{
    size_t size = stem_dtype_size(dtype);
    unsigned unused = 64 - 8 * (unsigned)size;
    uint64_t bits;

    if (value->type == STEM_INT) {
        int64_t x = value->as.integer;

        bits = (uint64_t)x;
        if (is_signed(dtype) ? (int64_t)(bits << unused) >> unused != x
                             : x < 0 || bits << unused >> unused != bits)
            return false;
    } else if (dtype == STEM_B8 && value->type == STEM_BOOL) {
        bits = value->as.boolean;
    } else if (dtype == STEM_U64 && value->type == STEM_UINT) {
        bits = value->as.unsigned_;
    } else if (dtype != STEM_U64 || value->type != STEM_STR ||
               !stem_json_read_uint(value->as.str.data, value->as.str.len, &bits)) {
        return false;
    }
    memcpy(out, &bits, size);
    return true;
}

/* The real and the imaginary part. */
static bool read_parts(const stem_value *value, int part, unsigned char *out)
{
    stem_cursor cursor;
    stem_value real;
    stem_value imaginary;

    return value->type == STEM_LIST && value->as.packed.count == 2 &&
           stem_cursor_init(&cursor, value) == STEM_OK &&
           stem_cursor_next(&cursor, NULL, &real) &&
           stem_cursor_next(&cursor, NULL, &imaginary) &&
           stem_json_read_float(&real, part, out) &&
           stem_json_read_float(&imaginary, part, out + stem_dtype_size(part));
}

static bool read_element(const stem_value *value, int dtype, unsigned char *out)
{
    int part = part_of(dtype);

    if (is_float(dtype))
        return stem_json_read_float(value, dtype, out);
    if (part == STEM_ANY)
        return read_integer(value, dtype, out);
    return read_parts(value, part, out);
}

/* ---- The object --------------------------------------------------------------------- */

enum { TYPE = 1, SHAPE = 2, DATA = 4, ALL = TYPE | SHAPE | DATA, ELEMENT_MAX = 16 };

/* An array while it is read. When type and shape come before the data, as Stem writes them,
 * the elements go to where they belong one by one; otherwise the data waits as a list. */
typedef struct array_reader {
    stem_json_values *values;
    stem_json_place place;
    size_t start;    /* of the array in `out`, and of the list that waits */
    unsigned seen;   /* of the members */
    bool is_waiting; /* the data, as a list */
    int dtype, ndim;
    uint64_t shape[STEM_NDIM_MAX];
    uint64_t count; /* elements read */
} array_reader;

static int not_an_array(const array_reader *r)
{
    return stem_json_fail_at(&r->place, "\"$array\" is not an object of \"type\", "
                                        "\"shape\" and \"data\"");
}

static int convert(array_reader *r, const stem_value *value, unsigned char *element)
{
    r->count++;
    if (read_element(value, r->dtype, element))
        return STEM_OK;
    return stem_json_fail_at(&r->place,
                             "\"$array\": element %" PRIu64 " of the data is no %s",
                             r->count, stem_dtype_name(r->dtype));
}

static int add_element(array_reader *r, const stem_value *value)
{
    unsigned char element[ELEMENT_MAX];
    int code = convert(r, value, element);

    if (code != STEM_OK)
        return code;
    if (r->values->out->len > STEM_VALUE_MAX)
        return stem_json_fail_at(&r->place, "\"$array\": more than %d bytes",
                                 STEM_VALUE_MAX);
    stem_buffer_add(r->values->out, element, stem_dtype_size(r->dtype));
    return r->values->out->failed ? stem_json_no_memory() : STEM_OK;
}

/* Reads an element behind those that are there, and puts it in its form. */
static int read_next(stem_json_values *values, void *context, int depth)
{
    array_reader *r = context;
    size_t end = values->out->len;
    int byte = stem_json_skip_blanks(values->text);
    stem_value value;
    int code;

    (void)depth;
    code = byte == '-' || (byte >= '0' && byte <= '9')
               ? stem_json_read_number(values->text, &value)
               : stem_json_read_content(values, end, &value);
    values->out->len = end;
    return code == STEM_OK ? add_element(r, &value) : code;
}

static int read_type(array_reader *r, const stem_value *type)
{
    const stem_string *name = &type->as.str;
    char text[8] = "";

    if (type->type != STEM_STR)
        return not_an_array(r);
    if (name->len < sizeof text)
        memcpy(text, name->data, name->len);
    /* A name with a NUL in it is none, whatever it begins with. */
    if (strlen(text) == name->len)
        r->dtype = stem_dtype_named(text);
    if (r->dtype == STEM_ANY)
        return stem_json_fail_at(&r->place, "\"$array\": \"%.*s\" is no element type",
                                 (int)(name->len < 40 ? name->len : 40), name->data);
    return STEM_OK;
}

static int read_shape(array_reader *r, const stem_value *shape)
{
    stem_cursor cursor;
    stem_value extent;

    if (shape->type != STEM_LIST || shape->as.packed.count < 1 ||
        shape->as.packed.count > STEM_NDIM_MAX)
        return stem_json_fail_at(&r->place,
                                 "\"$array\": \"shape\" is not a list of 1 to %d extents",
                                 STEM_NDIM_MAX);
    stem_cursor_init(&cursor, shape);
    for (r->ndim = 0; stem_cursor_next(&cursor, NULL, &extent); r->ndim++) {
        if (extent.type == STEM_FLOAT ||
            stem_as_uint(&extent, &r->shape[r->ndim]) != STEM_OK)
            return stem_json_fail_at(
                &r->place, "\"$array\": extent %d of the shape is no count", r->ndim + 1);
    }
    return STEM_OK;
}

static int read_data(array_reader *r)
{
    stem_buffer *out = r->values->out;
    stem_value list;
    int code;

    if (stem_json_peek(r->values->text) != '[')
        return not_an_array(r);
    if ((r->seen & (TYPE | SHAPE)) == (TYPE | SHAPE)) {
        if (!stem_buffer_room(out, stem_array_header_size(r->ndim)))
            return stem_json_no_memory();
        return stem_json_read_elements(r->values, read_next, r, 0);
    }
    code = stem_json_read_content(r->values, out->len, &list);
    r->is_waiting = true;
    return code;
}

/* Makes the array of the list that waits, and puts it in the list's place. */
static int convert_list(array_reader *r)
{
    stem_buffer *out = r->values->out;
    const size_t end = out->len;
    const size_t header = stem_array_header_size(r->ndim);
    const size_t size = stem_dtype_size(r->dtype);
    stem_value list;
    stem_value element;
    stem_cursor cursor;
    bool needs_copy;
    unsigned char *next;

    int code =
        stem_value_decode(out->data + r->start, end - r->start, &list, &needs_copy);
    if (code != STEM_OK)
        return code;
    next = stem_buffer_room(out, header + list.as.packed.count * size);
    if (!next)
        return stem_json_no_memory();
    /* The list has moved with the buffer. */
    stem_value_decode(out->data + r->start, end - r->start, &list, &needs_copy);
    stem_cursor_init(&cursor, &list);
    for (next += header; stem_cursor_next(&cursor, NULL, &element); next += size) {
        code = convert(r, &element, next);
        if (code != STEM_OK)
            return code;
    }
    memmove(out->data + r->start, out->data + end, out->len - end);
    out->len -= end - r->start;
    return STEM_OK;
}

/* Checks that the elements fit the shape, and writes what stands before them. */
static int finish(array_reader *r)
{
    stem_array_view array = {.dtype = r->dtype, .ndim = r->ndim, .shape = r->shape};
    stem_buffer *out = r->values->out;
    int code = r->is_waiting ? convert_list(r) : STEM_OK;

    if (code != STEM_OK)
        return code;
    if (!stem_shape_count(r->shape, r->ndim, &array.count) || array.count != r->count)
        return stem_json_fail_at(
            &r->place, "\"$array\": %" PRIu64 " elements of data do not fit the shape",
            r->count);
    if (out->len - r->start > STEM_VALUE_MAX)
        return stem_json_fail_at(&r->place, "\"$array\": more than %d bytes",
                                 STEM_VALUE_MAX);
    stem_array_encode_header(&array, (unsigned char *)out->data + r->start);
    return STEM_OK;
}

/* Reads a member of the array's object that is not the data. */
static int read_description(array_reader *r, unsigned member)
{
    stem_buffer *out = r->values->out;
    size_t end = out->len;
    stem_value content;
    int code = stem_json_read_content(r->values, end, &content);

    if (code == STEM_OK)
        code = member == TYPE ? read_type(r, &content) : read_shape(r, &content);
    out->len = end;
    return code;
}

static unsigned member_named(const char *name, size_t len)
{
    if (len == 4 && memcmp(name, "type", 4) == 0)
        return TYPE;
    if (len == 5 && memcmp(name, "shape", 5) == 0)
        return SHAPE;
    return len == 4 && memcmp(name, "data", 4) == 0 ? DATA : 0;
}

static int read_member(array_reader *r)
{
    stem_buffer *out = r->values->out;
    size_t end = out->len;
    stem_json_name_kind kind;
    unsigned member;
    size_t len;
    const char *name;

    int code = stem_json_read_name(r->values, &kind);
    if (code != STEM_OK)
        return code;
    name = stem_json_name_text((const unsigned char *)out->data + end, &len);
    member = member_named(name, len);
    out->len = end;
    if (member == 0 || (r->seen & member) != 0)
        return not_an_array(r);
    code = stem_json_skip_byte(r->values->text, ':', "':'");
    if (code != STEM_OK)
        return code;
    stem_json_skip_blanks(r->values->text);
    code = member == DATA ? read_data(r) : read_description(r, member);
    r->seen |= member;
    return code;
}

int stem_json_read_array(stem_json_values *values, const stem_json_place *place)
{
    array_reader r = {.values = values, .place = *place, .start = values->out->len};

    if (stem_json_peek(values->text) != '{')
        return not_an_array(&r);
    values->text->next++;
    for (;;) {
        int byte = stem_json_skip_blanks(values->text);
        int code;

        if (byte == '}')
            break;
        code =
            r.seen > 0 ? stem_json_skip_byte(values->text, ',', "',' or '}'") : STEM_OK;
        if (code == STEM_OK)
            code = read_member(&r);
        if (code != STEM_OK)
            return code;
    }
    values->text->next++;
    return r.seen == ALL ? finish(&r) : not_an_array(&r);
}
