/*
 * Names that nobody guesses, for sessions, snapshots and stores: 128 random bits.
 */
#ifndef STEM_ENGINE_ID_H
#define STEM_ENGINE_ID_H

#include "../engine.h"

enum { STEM_ID_BYTES = 16, STEM_ID_DIGITS = 2 * STEM_ID_BYTES };

typedef struct stem_id {
    unsigned char bytes[STEM_ID_BYTES];
} stem_id;

/* Fills `len` bytes, at most 256, from the system's generator. STEM_EIO. */
int stem_random(void *bytes, size_t len);

int stem_id_make(stem_id *id);
static inline bool stem_id_equal(const stem_id *a, const stem_id *b)
{
    return memcmp(a->bytes, b->bytes, STEM_ID_BYTES) == 0;
}
/* As lower-case hexadecimal digits, without a NUL. */
void stem_id_format(const stem_id *id, char text[STEM_ID_DIGITS]);
/* False for anything but what stem_id_format writes. */
bool stem_id_parse(stem_slice text, stem_id *id);

#endif
