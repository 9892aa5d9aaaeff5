/*
 * What the rooms of JSON share. json.c is the door; json_write.c makes text of values;
 * json_text.c reads text, json_read.c and json_form.c values out of it, json_entries.c the
 * entries of a document, which json_reader.c opens; json_array.c, json_float.c, json_time.c
 * and base64.c know both ways of one kind each.
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
/* Appends the object that a numeric array becomes, on one line. */
void stem_json_write_array(const stem_array_view *array, stem_buffer *out);
/* Appends a finite number that is read back as a real, with the same bits. */
void stem_json_write_real(double x, stem_buffer *out);
/* Appends an element of type f16, bf16, f32 or f64: a number, or a string for what JSON
 * has no number for. */
void stem_json_write_float(const void *data, int dtype, stem_buffer *out);

/* Reads what stem_json_write_float writes, other numbers rounded to the nearest; false
 * when it is anything else or too large. */
bool stem_json_read_float(const stem_value *value, int dtype, void *data);
/* Reads the decimal digits of a uint64_t; false when it is anything else. */
bool stem_json_read_uint(const char *text, size_t len, uint64_t *x);

#endif
