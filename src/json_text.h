/*
 * JSON text, token by token: of a text in memory, or of one that a callback gives piece by
 * piece. Knows the grammar of RFC 8259, UTF-8, and where in the text it is; nothing of
 * Stem's values but their numbers. Strings go straight to where the caller wants them.
 */
#ifndef STEM_JSON_TEXT_H
#define STEM_JSON_TEXT_H

#include "buffer.h"
#include "stem.h"

/* Counted from 1; columns in characters. */
typedef struct stem_json_place {
    uint64_t line;
    uint64_t column;
} stem_json_place;

/* The unread bytes at hand are those from `next` to `end`. The column of a byte is its
 * distance from `line_start`, which moves on by one for each byte that continues a
 * character. Both are counted from the first byte of the text. */
typedef struct stem_json_text {
    const char *next, *end;
    const char *start;     /* of what is at hand, read or not */
    uint64_t start_offset; /* of that byte in the text */
    uint64_t line, line_start;
    char *window; /* what the source fills, NULL for a text in memory */
    stem_json_source source;
    void *context;
    bool is_at_end;  /* nothing follows what is at hand */
    bool is_skimmed; /* only looked at: halves of surrogate pairs are well-formed */
    int code;        /* STEM_OK, or the failure of the source */
} stem_json_text;

/* A text in memory, which is borrowed. */
void stem_json_text_start(stem_json_text *text, const char *data, size_t len);
/* A text that the source gives. */
int stem_json_text_open(stem_json_text *text, stem_json_source source, void *context);
void stem_json_text_close(stem_json_text *text);

/* Where the next byte stands. */
stem_json_place stem_json_text_place(const stem_json_text *text);

/* Fails with STEM_EINVAL and a place. */
int stem_json_fail_at(const stem_json_place *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Says that something else was expected here: STEM_EINVAL, or the failure of the source. */
int stem_json_unexpected(stem_json_text *text, const char *expected);

/* Gets more of the text behind what is unread; false at its end. */
bool stem_json_text_more(stem_json_text *text);

/* The next byte, or -1 at the end. */
static inline int stem_json_peek(stem_json_text *text)
{
    return text->next < text->end || stem_json_text_more(text)
               ? (unsigned char)*text->next
               : -1;
}

/* The next byte that is no blank, or -1 at the end. */
int stem_json_skip_blanks(stem_json_text *text);
/* Skips blanks, and the byte that has to follow; `expected` says what it is. */
int stem_json_skip_byte(stem_json_text *text, int byte, const char *expected);
/* Reads "true", "false" or "null". */
int stem_json_skip_word(stem_json_text *text, const char *word);
/* Reads a string, whose opening quote is next, to the end of `out`. */
int stem_json_read_string(stem_json_text *text, stem_buffer *out);
/* Reads a number as INT, UINT or FLOAT; what none of them holds is an error, unless `out`
 * is NULL. */
int stem_json_read_number(stem_json_text *text, stem_value *out);
/* Skips a value of any depth, of which no more is asked than that it is well-formed. */
int stem_json_skip_value(stem_json_text *text);

#endif
