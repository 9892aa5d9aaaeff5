/*
 * Values in a few words: what `tree` and `ls -l` say of them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

enum { MAX_COLUMNS = 48 };

/* "f32[2×3]". */
static char *array_text(const stem_array_view *array)
{
    const char *times = locale_is_utf8() ? "\xC3\x97" : "x";
    char *text = format_text("%s[", stem_dtype_name(array->dtype));

    for (int i = 0; i < array->ndim; i++) {
        char *longer =
            format_text("%s%s%" PRIu64, text, i > 0 ? times : "", array->shape[i]);

        free(text);
        text = longer;
    }
    char *closed = format_text("%s]", text);
    free(text);
    return closed;
}

char *type_text(const stem_value *value)
{
    switch (value->type) {
    case STEM_ARRAY:
        return array_text(&value->as.array);
    case STEM_LIST:
    case STEM_MAP:
        return format_text("%s[%" PRIu32 "]", stem_type_name(value->type),
                           value->as.packed.count);
    case STEM_EXT:
        return format_text("ext %d", value->as.ext.code);
    default:
        return format_text("%s", stem_type_name(value->type));
    }
}

bool payload_size(const stem_value *value, uint64_t *bytes)
{
    switch (value->type) {
    case STEM_STR:
        *bytes = value->as.str.len;
        return true;
    case STEM_BIN:
        *bytes = value->as.bin.len;
        return true;
    case STEM_EXT:
        *bytes = value->as.ext.len;
        return true;
    case STEM_ARRAY:
        *bytes = value->as.array.count * stem_dtype_size(value->as.array.dtype);
        return true;
    case STEM_LIST:
    case STEM_MAP:
        *bytes = value->as.packed.len;
        return true;
    default:
        return false;
    }
}

/* The JSON of a scalar without the object around it: {"$float": "NaN"} is NaN. */
static char *scalar_text(const stem_value *value)
{
    char *json = need_memory(stem_json_format(value, 0));
    const char *start = json;
    size_t len = strlen(json);
    char *text;

    if (json[0] == '{' && strchr(json, ':')) {
        start = strchr(json, ':') + 2;
        len = strlen(start) - 1;
    }
    if (start[0] == '"') {
        start++;
        len -= 2;
    }
    text = safe_text(start, len, MAX_COLUMNS, 0);
    stem_free(json);
    return text;
}

char *short_text(const stem_value *value)
{
    char size[32];
    uint64_t bytes = 0;
    char *text;
    char *shown;

    switch (value->type) {
    case STEM_NIL:
        return format_text("%s", "");
    case STEM_STR:
        shown = safe_text(value->as.str.data, value->as.str.len, MAX_COLUMNS, '"');
        if (columns_of(shown) <= MAX_COLUMNS + 2)
            return shown;
        text = format_text("%s (%s)", shown, size_text(value->as.str.len, size));
        free(shown);
        return text;
    case STEM_BOOL:
        return format_text("%s", value->as.boolean ? "true" : "false");
    case STEM_INT:
        return format_text("%" PRId64, value->as.integer);
    case STEM_UINT:
        return format_text("%" PRIu64, value->as.unsigned_);
    case STEM_FLOAT:
    case STEM_TIME:
        return scalar_text(value);
    default:
        payload_size(value, &bytes);
        return format_text("%s", size_text(bytes, size));
    }
}
