/*
 * Encoded bytes to values: borrowed from where they lie, or taken over with their buffer.
 */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "error.h"
#include "msgpack_bytes.h"
#include "value.h"

static int corrupt(size_t offset, const char *problem)
{
    return stem_fail(STEM_ECORRUPT, "damaged value: at byte %zu %s", offset, problem);
}

/* Reads the value at `p` and where it ends, having looked at all that is in it; when
 * `is_whole`, that is where the bytes end. On failure `out` is as it was. */
static int read_value(const unsigned char *p, const unsigned char *end, bool is_whole,
                      stem_value *out, const unsigned char **value_end)
{
    stem_tokens tokens;
    stem_value value;
    stem_value inner;
    const char *problem;

    stem_tokens_start(&tokens, p, end);
    problem = stem_tokens_next(&tokens, &value);
    while (!problem && !tokens.is_done)
        problem = stem_tokens_next(&tokens, &inner);
    if (!problem && is_whole && tokens.next != end)
        problem = "the value has ended, and more follows";
    if (problem)
        return corrupt((size_t)(tokens.next - p), problem);
    if (value.type == STEM_LIST || value.type == STEM_MAP)
        value.as.packed.len = (size_t)(tokens.next - p);
    *out = value;
    *value_end = tokens.next;
    return STEM_OK;
}

static inline bool is_unaligned_array(const stem_value *value)
{
    return value->type == STEM_ARRAY && !stem_array_is_aligned(&value->as.array);
}

int stem_value_decode(const void *data, size_t len, stem_value *out, bool *needs_copy)
{
    const unsigned char *end = (const unsigned char *)data + len;
    int code;

    *needs_copy = false;
    if (stem_read_common(data, len, out))
        return STEM_OK;
    code = read_value(data, end, true, out, &end);
    if (code == STEM_OK)
        *needs_copy = is_unaligned_array(out);
    return code;
}

/* Moves an unaligned array into a block of the value's own. */
static int own_array(stem_value *value)
{
    void *block = malloc(stem_array_block_size(&value->as.array));

    if (!block)
        return stem_fail(STEM_ENOMEM, "no memory to align an array of %zu bytes",
                         stem_array_block_size(&value->as.array));
    stem_array_move(&value->as.array, block);
    value->owned = block;
    return STEM_OK;
}

int stem_value_read(const unsigned char *p, const unsigned char *end, bool is_whole,
                    stem_value *out, const unsigned char **value_end)
{
    stem_value value;
    int code = read_value(p, end, is_whole, &value, value_end);

    if (code == STEM_OK && is_unaligned_array(&value))
        code = own_array(&value);
    if (code == STEM_OK)
        *out = value;
    return code;
}

int stem_decode(const void *data, size_t len, stem_value *out)
{
    const unsigned char *end;

    if (!data || !out)
        return stem_fail(STEM_EINVAL, "decode: %s is NULL", data ? "out" : "data");
    end = (const unsigned char *)data + len;
    return stem_value_read(data, end, true, out, &end);
}

/* Lets the value own the malloc'ed buffer that it was read from, if anything in it points
 * there, and frees it otherwise. */
static int take_buffer(stem_value *value, char *buffer)
{
    int code = STEM_OK;

    switch (value->type) {
    case STEM_STR:
        /* The head made room for the NUL. */
        memmove(buffer, value->as.str.data, value->as.str.len);
        buffer[value->as.str.len] = '\0';
        value->as.str.data = buffer;
        value->owned = buffer;
        break;
    case STEM_ARRAY:
        if (stem_array_is_aligned(&value->as.array)) {
            value->owned = buffer;
            break;
        }
        code = own_array(value);
        free(buffer);
        break;
    case STEM_BIN:
    case STEM_EXT:
    case STEM_LIST:
    case STEM_MAP:
        value->owned = buffer;
        break;
    default:
        free(buffer);
        break;
    }
    return code;
}

int stem_value_adopt(char *buffer, size_t len, stem_value *out)
{
    const unsigned char *bytes = (unsigned char *)buffer, *end = bytes + len;
    stem_value value;
    int code;

    /* Straight into the result: after these nothing can fail, because malloc aligns. */
    if (stem_read_common(bytes, len, out) || stem_read_plain_array(bytes, len, out))
        return take_buffer(out, buffer);
    code = read_value(bytes, end, true, &value, &end);
    if (code != STEM_OK) {
        free(buffer);
        return code;
    }
    code = take_buffer(&value, buffer);
    if (code == STEM_OK)
        *out = value;
    return code;
}

int stem_value_copy(const void *data, size_t len, stem_value *out)
{
    char *copy = malloc(len + 1);

    if (!copy)
        return stem_fail(STEM_ENOMEM, "no memory for a value of %zu bytes", len);
    memcpy(copy, data, len);
    return stem_value_adopt(copy, len, out);
}

int stem_value_peek_type(const void *data, size_t len, int *type)
{
    const unsigned char *p = data;
    unsigned char head = len > 0 ? p[0] : 0xC1;
    bool is_ext = (head >= 0xC7 && head <= 0xC9) || (head >= 0xD4 && head <= 0xD8);
    size_t code_at = head == 0xC7 ? 2 : head == 0xC8 ? 3 : head == 0xC9 ? 5 : 1;

    if (head == 0xC1)
        return corrupt(0, len > 0 ? "a byte that begins no value" : "a value is missing");
    if ((is_ext && len <= code_at) || (head == 0xCF && len == 1))
        return corrupt(0, "a value is cut short");
    if (is_ext) {
        int code = (signed char)p[code_at];

        *type = code == STEM_TIME_EXT_CODE    ? STEM_TIME
                : code == STEM_ARRAY_EXT_CODE ? STEM_ARRAY
                                              : STEM_EXT;
    } else if (head == 0xCF) {
        *type = p[1] > 0x7F ? STEM_UINT : STEM_INT;
    } else if (head <= 0x7F || head >= 0xE0 || (head >= 0xCC && head <= 0xD3)) {
        *type = STEM_INT;
    } else if ((head & 0xE0) == 0x80 || (head >= 0xDC && head <= 0xDF)) {
        *type = head <= 0x8F || head >= 0xDE ? STEM_MAP : STEM_LIST;
    } else if (head <= 0xBF || head >= 0xD9) {
        *type = STEM_STR;
    } else if (head >= 0xCA) {
        *type = STEM_FLOAT;
    } else if (head >= 0xC4) {
        *type = STEM_BIN;
    } else {
        *type = head >= 0xC2 ? STEM_BOOL : STEM_NIL;
    }
    return STEM_OK;
}
