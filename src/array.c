/*
 * Numeric arrays as bytes: a MessagePack ext object in its ext32 form, the element type,
 * the shape, and data that begins at a multiple of 16 counted from the object's first
 * byte (docs/format.md).
 */
#include "array.h"

#include <string.h>

#include "error.h"

/* Bytes before the payload: the ext32 head, four of length, the type code. */
enum { EXT32_HEAD = 0xC9, EXT32_LEN = 6, FIXED_LEN = 2, DATA_ALIGN = 16 };

static const struct {
    const char *name;
    unsigned char size;
    unsigned char align;
} dtypes[] = {
    [STEM_B8] = {"bool", 1, 1},    [STEM_I8] = {"i8", 1, 1},
    [STEM_U8] = {"u8", 1, 1},      [STEM_I16] = {"i16", 2, 2},
    [STEM_U16] = {"u16", 2, 2},    [STEM_I32] = {"i32", 4, 4},
    [STEM_U32] = {"u32", 4, 4},    [STEM_I64] = {"i64", 8, 8},
    [STEM_U64] = {"u64", 8, 8},    [STEM_F16] = {"f16", 2, 2},
    [STEM_BF16] = {"bf16", 2, 2},  [STEM_F32] = {"f32", 4, 4},
    [STEM_F64] = {"f64", 8, 8},    [STEM_C64] = {"c64", 8, 4},
    [STEM_C128] = {"c128", 16, 8},
};

static bool is_dtype(int dtype)
{
    return dtype >= STEM_B8 && dtype <= STEM_C128;
}

const char *stem_dtype_name(int dtype)
{
    return is_dtype(dtype) ? dtypes[dtype].name : "unknown";
}

int stem_dtype_named(const char *name)
{
    for (int dtype = STEM_B8; name && dtype <= STEM_C128; dtype++) {
        if (strcmp(name, dtypes[dtype].name) == 0)
            return dtype;
    }
    return STEM_ANY;
}

size_t stem_dtype_size(int dtype)
{
    return is_dtype(dtype) ? dtypes[dtype].size : 0;
}

bool stem_shape_count(const void *shape, int ndim, uint64_t *count)
{
    uint64_t product = 1;
    bool overflows = false;

    for (int i = 0; i < ndim; i++) {
        uint64_t extent;

        memcpy(&extent, (const char *)shape + (size_t)i * sizeof extent, sizeof extent);
        if (extent == 0) {
            *count = 0;
            return true;
        }
        overflows |= __builtin_mul_overflow(product, extent, &product);
    }
    *count = product;
    return !overflows;
}

static size_t round_up(size_t n)
{
    return (n + DATA_ALIGN - 1) & ~(size_t)(DATA_ALIGN - 1);
}

size_t stem_array_header_size(int ndim)
{
    return round_up(EXT32_LEN + FIXED_LEN + 8 * (size_t)ndim);
}

static size_t data_len(const stem_array_view *array)
{
    return (size_t)array->count * dtypes[array->dtype].size;
}

static const void *shape_of(const stem_array_view *array)
{
    return array->shape ? (const void *)array->shape : &array->count;
}

size_t stem_array_encoded_size(const stem_array_view *array)
{
    uint64_t count;
    size_t header;

    if (!is_dtype(array->dtype)) {
        stem_fail(STEM_EINVAL, "array: %d is no element type", array->dtype);
        return 0;
    }
    if (!array->shape && array->ndim != 1) {
        stem_fail(STEM_EINVAL, "array: the shape is NULL");
        return 0;
    }
    if (array->ndim < 1 || array->ndim > STEM_NDIM_MAX) {
        stem_fail(STEM_EINVAL, "array: %d dimensions, not 1 to %d", array->ndim,
                  STEM_NDIM_MAX);
        return 0;
    }
    header = stem_array_header_size(array->ndim);
    if (!stem_shape_count(shape_of(array), array->ndim, &count) ||
        count > (STEM_VALUE_MAX - header) / dtypes[array->dtype].size) {
        stem_fail(STEM_EINVAL, "array: takes more than the %d bytes a value may have",
                  STEM_VALUE_MAX);
        return 0;
    }
    if (count != array->count) {
        stem_fail(STEM_EINVAL, "array: %llu elements, but its shape has %llu",
                  (unsigned long long)array->count, (unsigned long long)count);
        return 0;
    }
    if (!array->data && count > 0) {
        stem_fail(STEM_EINVAL, "array: the data is NULL");
        return 0;
    }
    return header + data_len(array);
}

void stem_array_encode_header(const stem_array_view *array, unsigned char *out)
{
    size_t header = stem_array_header_size(array->ndim);
    size_t shape_len = 8 * (size_t)array->ndim;
    size_t payload = header - EXT32_LEN + data_len(array);

    out[0] = EXT32_HEAD;
    out[1] = (unsigned char)(payload >> 24);
    out[2] = (unsigned char)(payload >> 16);
    out[3] = (unsigned char)(payload >> 8);
    out[4] = (unsigned char)payload;
    out[5] = STEM_ARRAY_EXT_CODE;
    out[STEM_ARRAY_DTYPE_AT] = (unsigned char)array->dtype;
    out[7] = (unsigned char)array->ndim;
    out += EXT32_LEN + FIXED_LEN;
    memcpy(out, shape_of(array), shape_len);
    memset(out + shape_len, 0, header - EXT32_LEN - FIXED_LEN - shape_len);
}

void stem_array_encode(const stem_array_view *array, unsigned char *out)
{
    size_t len = data_len(array);

    stem_array_encode_header(array, out);
    if (len > 0)
        memcpy(out + stem_array_header_size(array->ndim), array->data, len);
}

const char *stem_array_decode(const unsigned char *payload, size_t len,
                              stem_array_view *array)
{
    size_t header;
    size_t data_size;
    uint64_t count;
    int dtype;
    int ndim;

    if (len < FIXED_LEN)
        return "an array is cut short";
    dtype = payload[0];
    ndim = payload[1];
    if (!is_dtype(dtype))
        return "an array has an unknown element type";
    if (ndim < 1 || ndim > STEM_NDIM_MAX)
        return "an array does not have 1 to 32 dimensions";
    header = stem_array_header_size(ndim) - EXT32_LEN;
    if (len < header)
        return "an array is cut short";
    if (!stem_shape_count(payload + FIXED_LEN, ndim, &count) ||
        __builtin_mul_overflow(count, dtypes[dtype].size, &data_size) ||
        data_size != len - header)
        return "an array has another size than its shape";
    for (size_t i = FIXED_LEN + 8 * (size_t)ndim; i < header; i++) {
        if (payload[i] != 0)
            return "an array's padding is not zero";
    }
    array->dtype = dtype;
    array->ndim = ndim;
    array->shape = (const uint64_t *)(const void *)(payload + FIXED_LEN);
    array->data = payload + header;
    array->count = count;
    return NULL;
}

bool stem_array_is_aligned(const stem_array_view *array)
{
    return (uintptr_t)array->shape % _Alignof(uint64_t) == 0 &&
           (uintptr_t)array->data % dtypes[array->dtype].align == 0;
}

size_t stem_array_block_size(const stem_array_view *array)
{
    return round_up(8 * (size_t)array->ndim) + data_len(array);
}

void stem_array_move(stem_array_view *array, void *block)
{
    size_t shape_len = 8 * (size_t)array->ndim;
    size_t len = data_len(array);
    char *data = (char *)block + round_up(shape_len);

    memcpy(block, array->shape, shape_len);
    if (len > 0)
        memcpy(data, array->data, len);
    array->shape = block;
    array->data = data;
}
