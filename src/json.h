/*
 * What the rooms of JSON share: json.c is the door, json_write.c makes text of values,
 * json_read.c values of text; json_array.c, json_float.c, json_time.c and base64.c know
 * both ways of one kind each; json_place.c finds the line of a complaint. No I/O; json.c
 * keeps numbers in the C locale.
 */
#ifndef STEM_JSON_H
#define STEM_JSON_H

#include "buffer.h"
#include "stem.h"

/* Characters for `len` bytes. */
size_t stem_base64_len(size_t len);
/* Writes exactly those characters, and no NUL. */
void stem_base64_encode(const void *data, size_t len, char *out);
/* Reads the one canonical form: padded, no blanks, spare bits zero. `out` has room for
 * `len` / 4 * 3 bytes; false when it is anything else. */
bool stem_base64_decode(const char *text, size_t len, unsigned char *out,
                        size_t *out_len);

enum { STEM_TIME_TEXT_MAX = 40 };
/* RFC 3339 in UTC, the shortest fraction; false for years before 0 and after 9999. */
bool stem_time_format(const stem_timestamp *time, char out[STEM_TIME_TEXT_MAX]);
/* RFC 3339 with at most nine digits of fraction; any offset. */
bool stem_time_parse(const char *text, size_t len, stem_timestamp *time);

/* Appends the value as JSON. */
int stem_json_write(const stem_value *value, int flags, stem_buffer *out);
/* Appends the one canonical MessagePack object that the text stands for. */
int stem_json_read(const char *text, size_t len, stem_buffer *out);

/* Appends the object that a numeric array becomes, on one line. */
void stem_json_write_array(const stem_array_view *array, stem_buffer *out);
/* Appends a finite number that is read back as a real, with the same bits. */
void stem_json_write_real(double x, stem_buffer *out);
/* Appends an element of type f16, bf16, f32 or f64: a number, or a string for what JSON
 * has no number for. */
void stem_json_write_float(const void *data, int dtype, stem_buffer *out);

/* Counted from 1; columns in characters. */
typedef struct stem_place {
    size_t line;
    size_t column;
} stem_place;
/* The place of a value in a well-formed text: the indices of the elements and members
 * that lead to it, the innermost first. */
void stem_json_place(const char *text, size_t len, const size_t *steps, size_t n_steps,
                     stem_place *place);

struct json_t;
/* Appends the array that the content of a "$array" stands for, in encoded form. */
int stem_json_read_array(const struct json_t *content, stem_buffer *out);
/* Reads what stem_json_write_float writes, other numbers rounded to the nearest; false
 * when it is anything else or too large. */
bool stem_json_read_float(const struct json_t *json, int dtype, void *data);
/* Reads the decimal digits of a uint64_t; false when it is anything else. */
bool stem_json_read_uint(const char *text, size_t len, uint64_t *x);

#endif
