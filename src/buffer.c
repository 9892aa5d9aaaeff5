/*
 * Bytes that grow; see buffer.h.
 */
#include "buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 128 };

void *stem_buffer_room(stem_buffer *buffer, size_t len)
{
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : FIRST_CAPACITY;
    char *room;

    if (buffer->failed || len > SIZE_MAX / 2 - buffer->len ||
        (buffer->limit > 0 && buffer->len + len > buffer->limit)) {
        buffer->failed = true;
        return NULL;
    }
    while (capacity - buffer->len < len)
        capacity *= 2;
    if (buffer->limit > 0 && capacity > buffer->limit)
        capacity = buffer->limit > buffer->capacity ? buffer->limit : buffer->capacity;
    if (!buffer->data || capacity != buffer->capacity) {
        char *data = realloc(buffer->data, capacity);

        if (!data) {
            buffer->failed = true;
            return NULL;
        }
        buffer->data = data;
        buffer->capacity = capacity;
    }
    room = buffer->data + buffer->len;
    buffer->len += len;
    return room;
}

void stem_buffer_add(stem_buffer *buffer, const void *data, size_t len)
{
    void *room = stem_buffer_room(buffer, len);

    if (room && len > 0)
        memcpy(room, data, len);
}

void stem_buffer_add_text(stem_buffer *buffer, const char *text)
{
    stem_buffer_add(buffer, text, strlen(text));
}

void stem_buffer_print(stem_buffer *buffer, const char *format, ...)
{
    char text[STEM_BUFFER_PRINT_MAX + 1];
    va_list arguments;

    va_start(arguments, format);
    const int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (len > 0)
        stem_buffer_add(buffer, text,
                        len < (int)sizeof text ? (size_t)len : sizeof text - 1);
}
