/*
 * Values as MessagePack bytes, both ways. Decoding trusts nothing: it never reads past
 * the buffer, and allocates only for an array that must be moved to be aligned.
 */
#ifndef STEM_VALUE_H
#define STEM_VALUE_H

#include "stem.h"

/* The bytes of the canonical encoding, or 0 after stem_fail for what cannot be stored. */
size_t stem_value_encoded_size(const stem_value *value);
/* Writes exactly that many bytes of a value that stem_value_encoded_size accepted. */
void stem_value_encode(const stem_value *value, unsigned char *out);

/* The bytes of a list or a map that are canonical as they lie there, so that they need not be
 * encoded; else NULL. `size` is what stem_value_encoded_size said. */
const void *stem_value_encoded(const stem_value *value, size_t size);

/* Encodes an integer or a short string, what most values are, in one go; the bytes written, or
 * 0 for everything else, with nothing written. */
enum { STEM_SMALL_ENCODED = 2 + 255 };
size_t stem_value_encode_small(const stem_value *value,
                               unsigned char out[STEM_SMALL_ENCODED]);

/* Reads one value that borrows from `data`. Where an array's shape or data is not aligned
 * there, `*needs_copy` is set instead of copying, and the view is not to be used. */
int stem_value_decode(const void *data, size_t len, stem_value *out, bool *needs_copy);

/* Reads the value in a malloc'ed buffer and takes the buffer over: into the value,
 * which owns it (strings are moved to its start and ended with a NUL), or to free()
 * when nothing points into it, and on failure. */
int stem_value_adopt(char *buffer, size_t len, stem_value *out);

/* Reads the value in a copy of the bytes, which it owns. */
int stem_value_copy(const void *data, size_t len, stem_value *out);

/* The type of the value in `data`, or a failure, from a look at its head alone. */
int stem_value_peek_type(const void *data, size_t len, int *type);

#endif
