/*
 * Arrays at hand: an ARRAY as it is, or the map that Python's msgpack-numpy writes for an
 * ndarray: {nd: true, type: "<f4", kind: "", shape: [2, 3], data: bytes}, its keys and
 * texts as str or as bin.
 */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "error.h"
#include "value.h"

static bool bytes_of(const stem_value *value, stem_bytes *bytes)
{
    if (value->type == STEM_BIN) {
        *bytes = value->as.bin;
        return true;
    }
    if (value->type == STEM_STR) {
        *bytes = (stem_bytes){value->as.str.data, value->as.str.len};
        return true;
    }
    return false;
}

static bool equals(stem_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

static int not_an_array(const stem_value *value)
{
    return stem_fail(STEM_ETYPE, "the value is of type %s, not an array",
                     stem_type_name(value->type));
}

enum member { ND, TYPE, KIND, SHAPE, DATA, N_MEMBERS };

static enum member member_named(const stem_value *key)
{
    static const char *const names[N_MEMBERS] = {"nd", "type", "kind", "shape", "data"};
    enum member member = ND;
    stem_bytes name;

    if (!bytes_of(key, &name))
        return N_MEMBERS;
    while (member < N_MEMBERS && !equals(name, names[member]))
        member++;
    return member;
}

/* Finds the five members, in any order; STEM_ETYPE when the map has others. */
static int find_members(const stem_value *map, stem_value members[N_MEMBERS])
{
    bool is_found[N_MEMBERS] = {false};
    stem_cursor cursor;
    stem_value key;
    stem_value value;

    if (map->type != STEM_MAP || map->as.packed.count != N_MEMBERS)
        return not_an_array(map);
    stem_cursor_init(&cursor, map);
    while (stem_cursor_next(&cursor, &key, &value)) {
        enum member member = member_named(&key);

        if (member == N_MEMBERS || is_found[member] || value.type == STEM_ARRAY) {
            stem_value_free(&key);
            stem_value_free(&value);
            return not_an_array(map);
        }
        is_found[member] = true;
        members[member] = value;
    }
    return cursor.code;
}

/* The element type of a NumPy type such as "<f4", and whether its bytes are to be
 * swapped; STEM_ANY for what Stem has none for. */
static int numpy_dtype(stem_bytes type, bool *is_swapped)
{
    static const struct {
        char name[4];
        int dtype;
    } dtypes[] = {{"b1", STEM_B8},  {"i1", STEM_I8},   {"u1", STEM_U8},  {"i2", STEM_I16},
                  {"u2", STEM_U16}, {"i4", STEM_I32},  {"u4", STEM_U32}, {"i8", STEM_I64},
                  {"u8", STEM_U64}, {"f2", STEM_F16},  {"f4", STEM_F32}, {"f8", STEM_F64},
                  {"c8", STEM_C64}, {"c16", STEM_C128}};
    const char *text = type.data;

    if (type.len < 3)
        return STEM_ANY;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (!equals((stem_bytes){text + 1, type.len - 1}, dtypes[i].name))
            continue;
        *is_swapped = text[0] == '>';
        if (text[0] == '<' || text[0] == '>' || text[0] == '=' ||
            (text[0] == '|' && stem_dtype_size(dtypes[i].dtype) == 1))
            return dtypes[i].dtype;
    }
    return STEM_ANY;
}

/* Reads the shape's extents; false unless they are 1 to 32 integers that are not
 * negative. */
static bool read_shape(const stem_value *list, uint64_t shape[STEM_NDIM_MAX], int *ndim)
{
    stem_cursor cursor;
    stem_value extent;
    int n = 0;

    if (list->type != STEM_LIST || list->as.packed.count < 1 ||
        list->as.packed.count > STEM_NDIM_MAX ||
        stem_cursor_init(&cursor, list) != STEM_OK)
        return false;
    while (stem_cursor_next(&cursor, NULL, &extent)) {
        if (extent.type == STEM_INT && extent.as.integer >= 0) {
            shape[n++] = (uint64_t)extent.as.integer;
        } else {
            stem_value_free(&extent);
            return false;
        }
    }
    *ndim = n;
    return cursor.code == STEM_OK;
}

/* Reverses the bytes of each number; a complex element is two. */
static void swap_numbers(unsigned char *data, size_t len, int dtype)
{
    size_t width = stem_dtype_size(dtype);

    if (dtype == STEM_C64 || dtype == STEM_C128)
        width /= 2;
    for (size_t at = 0; at + width <= len; at += width) {
        for (size_t i = 0; i < width / 2; i++) {
            unsigned char byte = data[at + i];

            data[at + i] = data[at + width - 1 - i];
            data[at + width - 1 - i] = byte;
        }
    }
}

static int check_dtype(int found, int wanted)
{
    if (wanted == STEM_ANY || wanted == found)
        return STEM_OK;
    return stem_fail(STEM_ETYPE, "the array's elements are %s, not %s",
                     stem_dtype_name(found), stem_dtype_name(wanted));
}

/* What the map says of the array, with the bytes of its data still NumPy's. */
static int read_map(const stem_value *map, uint64_t shape[STEM_NDIM_MAX],
                    stem_array_view *array, bool *is_swapped)
{
    stem_value members[N_MEMBERS];
    stem_bytes kind;
    stem_bytes type;
    stem_bytes data;
    int code = find_members(map, members);
    size_t size;

    if (code != STEM_OK)
        return code;
    if (members[ND].type != STEM_BOOL || !members[ND].as.boolean ||
        !bytes_of(&members[KIND], &kind) || kind.len != 0 ||
        !bytes_of(&members[TYPE], &type) || !bytes_of(&members[DATA], &data))
        return not_an_array(map);
    array->dtype = numpy_dtype(type, is_swapped);
    if (array->dtype == STEM_ANY)
        return stem_fail(STEM_ETYPE,
                         "a NumPy array of elements that Stem has no type for");
    if (!read_shape(&members[SHAPE], shape, &array->ndim))
        return stem_fail(STEM_ETYPE, "a NumPy array without 1 to %d dimensions",
                         STEM_NDIM_MAX);
    size = stem_dtype_size(array->dtype);
    if (!stem_shape_count(shape, array->ndim, &array->count) || data.len % size != 0 ||
        array->count != data.len / size)
        return stem_fail(STEM_ECORRUPT,
                         "a NumPy array whose %zu bytes of data do not fit its shape",
                         data.len);
    array->data = data.data;
    array->shape = shape;
    return STEM_OK;
}

static int copy_from_map(const stem_value *map, int dtype, stem_value *out)
{
    uint64_t shape[STEM_NDIM_MAX];
    stem_array_view array;
    bool is_swapped = false;
    int code = read_map(map, shape, &array, &is_swapped);
    size_t size;
    void *block;

    if (code == STEM_OK)
        code = check_dtype(array.dtype, dtype);
    if (code != STEM_OK)
        return code;
    size = stem_array_block_size(&array);
    block = malloc(size);
    if (!block)
        return stem_fail(STEM_ENOMEM, "no memory for an array of %zu bytes", size);
    stem_array_move(&array, block);
    if (is_swapped)
        swap_numbers((unsigned char *)array.data,
                     (size_t)array.count * stem_dtype_size(array.dtype), array.dtype);
    *out = (stem_value){.type = STEM_ARRAY, .as.array = array, .owned = block};
    return STEM_OK;
}

int stem_as_array(const stem_value *value, int dtype, stem_value *out)
{
    int code;

    if (!value || !out)
        return stem_fail(STEM_EINVAL, "%s is NULL", value ? "the output" : "the value");
    if (dtype != STEM_ANY && stem_dtype_size(dtype) == 0)
        return stem_fail(STEM_EINVAL, "%d is no element type", dtype);
    if (value->type != STEM_ARRAY)
        return copy_from_map(value, dtype, out);
    code = check_dtype(value->as.array.dtype, dtype);
    if (code != STEM_OK)
        return code;
    *out = *value;
    out->owned = NULL;
    if (!out->as.array.shape)
        out->as.array.shape = &value->as.array.count;
    return STEM_OK;
}
