/*
 * What reads values out of JSON text: json_read.c JSON's own, json_form.c the forms of one
 * member that begins with '$', json_array.c numeric arrays.
 */
#ifndef STEM_JSON_READ_H
#define STEM_JSON_READ_H

#include "buffer.h"
#include "json_text.h"

/* A container whose head has yet to become wider, once nothing is added to `out` any more. */
typedef struct stem_json_head {
    size_t at;
    uint32_t count;
    unsigned char width; /* as it lies there */
    bool is_map;
} stem_json_head;

/* Reads canonical MessagePack to the end of `out`. Zeroed but for the first three members it
 * is ready. */
typedef struct stem_json_values {
    stem_json_text *text;
    stem_buffer *out;
    bool is_plain;  /* names that begin with '$' are names like any other */
    bool is_stored; /* what can be read and not put is refused */
    stem_json_head *heads;
    size_t n_heads, heads_room;
} stem_json_values;

void stem_json_values_free(stem_json_values *values);

/* Reads a value and all that is in it. */
int stem_json_read_value(stem_json_values *values);
/* The same for one inside `depth` others; stem_json_finish is due when the outermost is
 * complete. */
int stem_json_read_inside(stem_json_values *values, int depth);
/* Makes what lies behind `start` canonical: one value, or several. */
int stem_json_finish(stem_json_values *values, size_t start);

/* Reads a value in which '$' has no meaning to the end of `out`, which is `start`, and
 * decodes it: for the content of forms. What it gives lies in `out`. */
int stem_json_read_content(stem_json_values *values, size_t start, stem_value *content);

/* Lists and maps while they are read: a head, what is in it, counted before it comes, and
 * the end. */
int stem_json_check_depth(int depth, const stem_json_place *place);
int stem_json_begin(stem_json_values *values, bool is_map, stem_json_head *head);
int stem_json_count(stem_json_values *values, stem_json_head *head);
int stem_json_end(stem_json_values *values, const stem_json_head *head);

/* Reads a list, whose '[' is next, calling `read` for each element. */
typedef int stem_json_element(stem_json_values *values, void *context, int depth);
int stem_json_read_elements(stem_json_values *values, stem_json_element *read,
                            void *context, int depth);

/* Appends a scalar or an array. */
int stem_json_add_value(stem_json_values *values, const stem_value *value);

typedef enum stem_json_name_kind { STEM_JSON_NAME, STEM_JSON_FORM } stem_json_name_kind;
/* Reads a name to the end of `out`, as a MessagePack string without the '$' that escapes
 * another. One that begins with a single '$' is the name of a form. */
int stem_json_read_name(stem_json_values *values, stem_json_name_kind *kind);

/* Reads the content of a form, and the end of its object, which began at `place`. Its name
 * lies one byte behind `start`, where the value goes; the colon is next. */
int stem_json_read_form(stem_json_values *values, size_t start,
                        const stem_json_place *place, int depth);
/* Refuses a name that begins with a single '$' beside others. */
int stem_json_refuse_form(const stem_json_place *place, const char *name, size_t len);
/* Reads the content of a "$array", which is next and stands at `place`. */
int stem_json_read_array(stem_json_values *values, const stem_json_place *place);

int stem_json_no_memory(void);

#endif
