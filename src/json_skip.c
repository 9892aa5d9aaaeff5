/*
 * JSON values that are only looked at: whether they are well-formed, whatever their depth.
 */
#include <stdlib.h>

#include "error.h"
#include "json_text.h"

/* Skips a scalar; strings go through `scratch`. */
static int skip_scalar(stem_json_text *text, int byte, stem_buffer *scratch)
{
    switch (byte) {
    case '"':
        scratch->len = 0;
        return stem_json_read_string(text, scratch);
    case 't':
        return stem_json_skip_word(text, "true");
    case 'f':
        return stem_json_skip_word(text, "false");
    case 'n':
        return stem_json_skip_word(text, "null");
    default:
        if (byte != '-' && (byte < '0' || byte > '9'))
            return stem_json_unexpected(text, "a value");
        return stem_json_read_number(text, NULL);
    }
}

/* Skips a member's name and the colon. */
static int skip_name(stem_json_text *text, stem_buffer *scratch)
{
    int code;

    if (stem_json_skip_blanks(text) != '"')
        return stem_json_unexpected(text, "a name");
    code = skip_scalar(text, '"', scratch);
    return code == STEM_OK ? stem_json_skip_byte(text, ':', "':'") : code;
}

/* Skips the marks that open containers, which go onto the stack, and the first scalar. */
static int skip_start(stem_json_text *text, stem_buffer *open, stem_buffer *scratch)
{
    for (;;) {
        int byte = stem_json_skip_blanks(text);
        char close = byte == '{' ? '}' : ']';
        int code;

        if (byte != '{' && byte != '[')
            return skip_scalar(text, byte, scratch);
        text->next++;
        stem_buffer_add(open, &close, 1);
        if (open->failed)
            return stem_fail(STEM_ENOMEM, "no memory to read JSON text");
        if (stem_json_skip_blanks(text) == close)
            return STEM_OK;
        if (close == '}' && (code = skip_name(text, scratch)) != STEM_OK)
            return code;
    }
}

/* Skips what follows a value, up to where the next one begins. */
static int skip_ends(stem_json_text *text, stem_buffer *open, stem_buffer *scratch)
{
    while (open->len > 0) {
        char close = open->data[open->len - 1];
        int byte = stem_json_skip_blanks(text);

        if (byte == ',') {
            text->next++;
            return close == '}' ? skip_name(text, scratch) : STEM_OK;
        }
        if (byte != close)
            return stem_json_unexpected(text, close == '}' ? "',' or '}'" : "',' or ']'");
        text->next++;
        open->len--;
    }
    return STEM_OK;
}

int stem_json_skip_value(stem_json_text *text)
{
    stem_buffer open = {0};
    stem_buffer scratch = {0};
    int code;

    do {
        code = skip_start(text, &open, &scratch);
        if (code == STEM_OK)
            code = skip_ends(text, &open, &scratch);
    } while (code == STEM_OK && open.len > 0);
    free(open.data);
    free(scratch.data);
    return code;
}
