/*
 * Values to JSON text. Lists and maps are walked where they lie, so that a large value never
 * becomes a tree of small ones. Numeric arrays and the one-member forms stay on one line,
 * indented or not.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "error.h"
#include "json.h"
#include "utf8.h"

enum { INDENT = 2, NANOSECONDS_MAX = 999999999 };

struct writer {
    stem_buffer *out;
    bool is_pretty;
    bool is_plain; /* names that begin with '$' as they are, and no forms */
    int code;      /* STEM_OK, or the first failure */
};

static void write_value(struct writer *w, const stem_value *value, int depth);

static void add(struct writer *w, const char *text)
{
    stem_buffer_add_text(w->out, text);
}

/* Begins a line of its own, or for one line the blank after a comma. */
static void begin_item(struct writer *w, bool is_first, int depth)
{
    if (!is_first)
        add(w, w->is_pretty ? "," : ", ");
    if (w->is_pretty) {
        add(w, "\n");
        for (int i = 0; i < depth * INDENT; i++)
            add(w, " ");
    }
}

static void end_items(struct writer *w, bool is_empty, int depth)
{
    if (w->is_pretty && !is_empty)
        begin_item(w, true, depth);
}

/* The length of the UTF-8 that the bytes begin with. */
static size_t utf8_len(const char *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t at = 0;

    while (at < len) {
        size_t n = p[at] < 0x80 ? 1 : stem_utf8_sequence(p + at, len - at);

        if (n == 0)
            break;
        at += n;
    }
    return at;
}

static bool is_utf8(const stem_string *text)
{
    return utf8_len(text->data, text->len) == text->len;
}

static void write_escape(struct writer *w, unsigned char c)
{
    static const char named[] = "\"\\\b\f\n\r\t";
    static const char names[] = "\"\\bfnrt";
    const char *name = c ? strchr(named, c) : NULL;
    char text[8];

    if (name)
        snprintf(text, sizeof text, "\\%c", names[name - named]);
    else
        snprintf(text, sizeof text, "\\u%04X", c);
    add(w, text);
}

/* Writes what stands between the quotes of a string that is UTF-8. */
static void write_characters(struct writer *w, const stem_string *text)
{
    const unsigned char *p = (const unsigned char *)text->data;
    size_t begin = 0;

    for (size_t i = 0; i < text->len; i++) {
        if (p[i] >= ' ' && p[i] != '"' && p[i] != '\\')
            continue;
        stem_buffer_add(w->out, p + begin, i - begin);
        write_escape(w, p[i]);
        begin = i + 1;
    }
    if (text->len > begin)
        stem_buffer_add(w->out, p + begin, text->len - begin);
}

/* Notes that plain JSON cannot say the value; what is written then is of no use. */
static void refuse_form(struct writer *w, const char *what)
{
    if (w->is_plain && w->code == STEM_OK)
        w->code = stem_fail(STEM_ETYPE, "plain JSON has no %s", what);
}

static void write_base64(struct writer *w, const void *data, size_t len)
{
    size_t text_len = stem_base64_len(len);
    char *text;

    add(w, "\"");
    if ((text = stem_buffer_room(w->out, text_len)))
        stem_base64_encode(data, len, text);
    add(w, "\"");
}

static void write_str(struct writer *w, const stem_string *str)
{
    if (is_utf8(str)) {
        add(w, "\"");
        write_characters(w, str);
        add(w, "\"");
        return;
    }
    refuse_form(w, "strings that are not UTF-8");
    add(w, "{\"$str\": ");
    write_base64(w, str->data, str->len);
    add(w, "}");
}

static void write_float(struct writer *w, double x)
{
    if (isfinite(x)) {
        stem_json_write_real(x, w->out);
        return;
    }
    refuse_form(w, "floats that are infinite or not a number");
    add(w, "{\"$float\": ");
    stem_json_write_float(&x, STEM_F64, w->out);
    add(w, "}");
}

static void write_time(struct writer *w, const stem_timestamp *time)
{
    char calendar[STEM_TIME_TEXT_MAX];
    char text[80];

    refuse_form(w, "times");
    if (stem_time_format(time, calendar))
        snprintf(text, sizeof text, "{\"$time\": \"%s\"}", calendar);
    else
        snprintf(text, sizeof text, "{\"$time\": [%" PRId64 ", %" PRIu32 "]}",
                 time->seconds, time->nanoseconds);
    add(w, text);
}

static void write_ext(struct writer *w, const stem_ext_view *ext)
{
    char text[48];

    refuse_form(w, "values of type ext");
    snprintf(text, sizeof text, "{\"$ext\": {\"code\": %d, \"data\": ", ext->code);
    add(w, text);
    write_base64(w, ext->data, ext->len);
    add(w, "}}");
}

/* Steps a walk, and notes why it stopped early. */
static bool next(struct writer *w, stem_cursor *cursor, stem_value *key,
                 stem_value *value)
{
    if (w->code == STEM_OK && !w->out->failed && stem_cursor_next(cursor, key, value))
        return true;
    if (w->code == STEM_OK)
        w->code = cursor->code;
    return false;
}

static void start(struct writer *w, stem_cursor *cursor, const stem_value *container)
{
    int code = stem_cursor_init(cursor, container);

    if (w->code == STEM_OK)
        w->code = code;
}

static void write_list(struct writer *w, const stem_value *list, int depth)
{
    stem_cursor cursor;
    stem_value element;
    bool is_first = true;

    add(w, "[");
    start(w, &cursor, list);
    while (next(w, &cursor, NULL, &element)) {
        begin_item(w, is_first, depth + 1);
        write_value(w, &element, depth + 1);
        stem_value_free(&element);
        is_first = false;
    }
    end_items(w, is_first, depth);
    add(w, "]");
}

/* A map that JSON cannot take as an object: a list of its pairs. */
static void write_pairs(struct writer *w, const stem_value *map, int depth)
{
    stem_cursor cursor;
    stem_value key;
    stem_value value;
    bool is_first = true;

    refuse_form(w, "maps with other keys than names");
    add(w, "{\"$map\": [");
    start(w, &cursor, map);
    while (next(w, &cursor, &key, &value)) {
        begin_item(w, is_first, depth + 1);
        add(w, "[");
        write_value(w, &key, depth + 1);
        add(w, ", ");
        write_value(w, &value, depth + 1);
        add(w, "]");
        stem_value_free(&key);
        stem_value_free(&value);
        is_first = false;
    }
    end_items(w, is_first, depth);
    add(w, "]}");
}

/* Whether the key can be a member's name: a name with a NUL in it is not read. */
static bool is_name(const stem_value *key)
{
    return key->type == STEM_STR &&
           (key->as.str.len == 0 || !memchr(key->as.str.data, '\0', key->as.str.len)) &&
           is_utf8(&key->as.str);
}

static int compare_names(const void *left, const void *right)
{
    const stem_string *a = left;
    const stem_string *b = right;
    size_t shorter = a->len < b->len ? a->len : b->len;
    int order = shorter > 0 ? memcmp(a->data, b->data, shorter) : 0;

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* Whether the map can be an object: all its keys are names, and no two the same. */
static bool is_object(struct writer *w, const stem_value *map)
{
    size_t room = (size_t)map->as.packed.count + 1;
    stem_string *names = malloc(room * sizeof *names);
    stem_cursor cursor;
    stem_value key;
    stem_value value;
    size_t n = 0;
    bool fits = names != NULL;

    if (!names)
        w->out->failed = true;
    start(w, &cursor, map);
    while (fits && next(w, &cursor, &key, &value)) {
        if ((fits = is_name(&key)))
            names[n++] = key.as.str;
        stem_value_free(&key);
        stem_value_free(&value);
    }
    if (fits && n > 1) {
        qsort(names, n, sizeof *names, compare_names);
        for (size_t i = 1; fits && i < n; i++)
            fits = compare_names(&names[i - 1], &names[i]) != 0;
    }
    free(names);
    return fits;
}

/* A member's name: one '$' more when it begins with one. */
static void write_name(struct writer *w, const stem_string *name)
{
    bool is_doubled = !w->is_plain && name->len > 0 && name->data[0] == '$';

    add(w, is_doubled ? "\"$" : "\"");
    write_characters(w, name);
    add(w, "\": ");
}

static void write_object(struct writer *w, const stem_value *map, int depth)
{
    stem_cursor cursor;
    stem_value key;
    stem_value value;
    bool is_first = true;

    add(w, "{");
    start(w, &cursor, map);
    while (next(w, &cursor, &key, &value)) {
        begin_item(w, is_first, depth + 1);
        write_name(w, &key.as.str);
        write_value(w, &value, depth + 1);
        stem_value_free(&value);
        is_first = false;
    }
    end_items(w, is_first, depth);
    add(w, "}");
}

static void write_value(struct writer *w, const stem_value *value, int depth)
{
    char text[64];

    switch (value->type) {
    case STEM_NIL:
        add(w, "null");
        break;
    case STEM_BOOL:
        add(w, value->as.boolean ? "true" : "false");
        break;
    case STEM_INT:
        snprintf(text, sizeof text, "%" PRId64, value->as.integer);
        add(w, text);
        break;
    case STEM_UINT:
        snprintf(text, sizeof text, "%" PRIu64, value->as.unsigned_);
        add(w, text);
        break;
    case STEM_FLOAT:
        write_float(w, value->as.real);
        break;
    case STEM_STR:
        write_str(w, &value->as.str);
        break;
    case STEM_BIN:
        refuse_form(w, "bytes");
        add(w, "{\"$bin\": ");
        write_base64(w, value->as.bin.data, value->as.bin.len);
        add(w, "}");
        break;
    case STEM_TIME:
        write_time(w, &value->as.time);
        break;
    case STEM_ARRAY:
        refuse_form(w, "numeric arrays");
        stem_json_write_array(&value->as.array, w->out);
        break;
    case STEM_LIST:
        write_list(w, value, depth);
        break;
    case STEM_MAP:
        if (is_object(w, value))
            write_object(w, value, depth);
        else
            write_pairs(w, value, depth);
        break;
    default: /* STEM_EXT; check has refused all others */
        write_ext(w, &value->as.ext);
        break;
    }
}

/* Refuses what a caller can build and nothing can hold. */
static int check(const stem_value *value)
{
    bool is_null = false;

    switch (value->type) {
    case STEM_STR:
        is_null = !value->as.str.data && value->as.str.len > 0;
        break;
    case STEM_BIN:
        is_null = !value->as.bin.data && value->as.bin.len > 0;
        break;
    case STEM_EXT:
        is_null = !value->as.ext.data && value->as.ext.len > 0;
        break;
    case STEM_TIME:
        if (value->as.time.nanoseconds > NANOSECONDS_MAX)
            return stem_fail(STEM_EINVAL, "time: %" PRIu32 " nanoseconds",
                             value->as.time.nanoseconds);
        break;
    case STEM_ARRAY:
        return stem_array_encoded_size(&value->as.array) == 0 ? STEM_EINVAL : STEM_OK;
    default:
        if (value->type < STEM_NIL || value->type > STEM_EXT)
            return stem_fail(STEM_EINVAL, "%d is no type of a value", value->type);
        break;
    }
    return is_null ? stem_fail(STEM_EINVAL, "%s: NULL with a length",
                               stem_type_name(value->type))
                   : STEM_OK;
}

int stem_json_write(const stem_value *value, int flags, stem_buffer *out)
{
    struct writer w = {.out = out,
                       .is_pretty = (flags & STEM_JSON_PRETTY) != 0,
                       .is_plain = (flags & STEM_JSON_PLAIN) != 0};
    stem_value inside = {0};
    int code = check(value);

    /* Packed bytes are a caller's own: decoding looks at all of them, and at how deep
     * they go, before anything below recurses into them. */
    if (code == STEM_OK && (value->type == STEM_LIST || value->type == STEM_MAP)) {
        code = stem_decode(value->as.packed.data, value->as.packed.len, &inside);
        value = &inside;
    }
    if (code != STEM_OK)
        return code;
    write_value(&w, value, 0);
    stem_value_free(&inside);
    if (out->failed)
        return stem_fail(STEM_ENOMEM, "no memory for the JSON text");
    return w.code;
}
