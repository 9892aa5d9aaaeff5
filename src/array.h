/*
 * The numeric array format: MessagePack ext type 78 with an element type, a shape and
 * aligned data (docs/format.md). No I/O, no allocation.
 */
#ifndef STEM_ARRAY_H
#define STEM_ARRAY_H

#include "stem.h"

enum { STEM_ARRAY_EXT_CODE = 78, STEM_ARRAY_HEADER_MAX = 8 + 8 * STEM_NDIM_MAX + 15 };

/* Bytes of the whole ext object, or 0 after stem_fail when the array cannot be stored. */
size_t stem_array_encoded_size(const stem_array_view *array);
/* Writes exactly those bytes. */
void stem_array_encode(const stem_array_view *array, unsigned char *out);

/* Reads the payload of an ext 78 (what follows the type code) into a view that points
 * into it, aligned or not. STEM_ECORRUPT for what is malformed. */
int stem_array_decode(const unsigned char *payload, size_t len, stem_array_view *array);

/* Whether the shape and the data can be used where they lie. */
bool stem_array_is_aligned(const stem_array_view *array);

#endif
