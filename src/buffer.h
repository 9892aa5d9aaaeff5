/*
 * Bytes that grow, for whoever writes text or a protocol piece by piece.
 */
#ifndef STEM_BUFFER_H
#define STEM_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/* Once memory has failed `failed` is set, and nothing is added any more: a writer may go on
 * and ask at its end. Zeroed it is empty; `data` is to free(). */
typedef struct stem_buffer {
    char *data;
    size_t len;
    size_t capacity;
    size_t limit; /* of bytes; what would be over it fails alike. 0 for none */
    bool failed;
} stem_buffer;

/* Adds `len` bytes for the caller to fill; NULL once memory has failed. */
void *stem_buffer_room(stem_buffer *buffer, size_t len);
void stem_buffer_add(stem_buffer *buffer, const void *data, size_t len);
void stem_buffer_add_text(stem_buffer *buffer, const char *text);
/* As printf has it; what is longer than STEM_BUFFER_PRINT_MAX is cut. */
enum { STEM_BUFFER_PRINT_MAX = 511 };
void stem_buffer_print(stem_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
