/*
 * The numeric array format: MessagePack ext type 78 with an element type, a shape and
 * aligned data (docs/format.md). No I/O, no allocation.
 */
#ifndef STEM_ARRAY_H
#define STEM_ARRAY_H

#include "stem.h"

/* STEM_ARRAY_DTYPE_AT: where the element type is, in the form that Stem writes. */
enum {
    STEM_ARRAY_EXT_CODE = 78,
    STEM_ARRAY_DTYPE_AT = 6,
    STEM_ARRAY_HEADER_MAX = 8 + 8 * STEM_NDIM_MAX + 15
};

/* Bytes of the whole ext object, or 0 after stem_fail when the array cannot be stored. */
size_t stem_array_encoded_size(const stem_array_view *array);
/* Writes exactly those bytes. */
void stem_array_encode(const stem_array_view *array, unsigned char *out);
/* The bytes before the data, and writing them alone. */
size_t stem_array_header_size(int ndim);
void stem_array_encode_header(const stem_array_view *array, unsigned char *out);

/* Reads the payload of an ext 78 (what follows the type code) into a view that points
 * into it, aligned or not: NULL, or what is wrong with it. */
const char *stem_array_decode(const unsigned char *payload, size_t len,
                              stem_array_view *array);

/* Whether the shape and the data can be used where they lie. */
bool stem_array_is_aligned(const stem_array_view *array);

/* The bytes of an aligned block for both the shape and the data of an array. */
size_t stem_array_block_size(const stem_array_view *array);
/* Copies them into such a block and lets the view point there. */
void stem_array_move(stem_array_view *array, void *block);

/* The product of `ndim` extents in `*count`; false when it overflows. Any extent of zero
 * makes it zero, whatever the others are. `shape` need not be aligned. */
bool stem_shape_count(const void *shape, int ndim, uint64_t *count);

#endif
