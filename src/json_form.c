/*
 * The forms of values that JSON has none for: objects of one member whose name begins with
 * '$'. The content is read as a value of its own to where the form's value goes, and is then
 * replaced by it; bytes are decoded from base64 in place.
 */
#include <inttypes.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "error.h"
#include "json.h"
#include "json_names.h"
#include "json_read.h"
#include "msgpack_bytes.h"
#include "value.h"

enum { NAME_SHOWN = 64 };

static int malformed(const stem_json_place *place, const char *form, const char *wanted)
{
    return stem_json_fail_at(place, "\"%s\" is not %s", form, wanted);
}

/* ---- Bytes -------------------------------------------------------------------------- */

/* The bytes that a string stands for, decoded where it lies. */
static bool decode(const stem_value *text, stem_bytes *bytes)
{
    if (text->type != STEM_STR)
        return false;
    unsigned char *data = (unsigned char *)text->as.str.data;
    bytes->data = data;
    return stem_base64_decode(text->as.str.data, text->as.str.len, data, &bytes->len);
}

static int make_bin(const stem_json_place *place, const stem_value *content,
                    stem_value *value)
{
    stem_bytes bytes;

    if (!decode(content, &bytes))
        return malformed(place, "$bin", "bytes in base64");
    *value = stem_bin(bytes.data, bytes.len);
    return STEM_OK;
}

static int make_str(const stem_json_place *place, const stem_value *content,
                    stem_value *value)
{
    stem_bytes bytes;

    if (!decode(content, &bytes))
        return malformed(place, "$str", "bytes in base64");
    *value = stem_strn(bytes.data, bytes.len);
    return STEM_OK;
}

static bool is_name(const stem_value *key, const char *name)
{
    return key->as.str.len == strlen(name) &&
           memcmp(key->as.str.data, name, key->as.str.len) == 0;
}

/* The two members of an ext, in either order. */
static bool find_ext(const stem_value *content, stem_value *code, stem_value *data)
{
    stem_cursor cursor;
    stem_value key;
    stem_value value;

    if (content->type != STEM_MAP || content->as.packed.count != 2)
        return false;
    stem_cursor_init(&cursor, content);
    while (stem_cursor_next(&cursor, &key, &value)) {
        if (is_name(&key, "code") && value.type == STEM_INT)
            *code = value;
        else if (is_name(&key, "data"))
            *data = value;
        else
            return false;
    }
    return true;
}

static int refuse_code(const stem_json_place *place, int64_t code)
{
    return stem_json_fail_at(place, "\"$ext\": %" PRId64 " is no code of an application",
                             code);
}

static int make_ext(const stem_json_place *place, const stem_value *content,
                    stem_value *value)
{
    stem_value code = {0};
    stem_value data = {0};
    stem_bytes bytes;

    if (!find_ext(content, &code, &data))
        return malformed(place, "$ext", "an object of \"code\" and \"data\"");
    if (code.as.integer < INT8_MIN || code.as.integer > INT8_MAX ||
        code.as.integer == STEM_ARRAY_EXT_CODE || code.as.integer == STEM_TIME_EXT_CODE)
        return refuse_code(place, code.as.integer);
    if (!decode(&data, &bytes))
        return malformed(place, "$ext", "bytes in base64");
    *value = stem_ext((int)code.as.integer, bytes.data, bytes.len);
    return STEM_OK;
}

/* ---- Scalars ------------------------------------------------------------------------ */

static int make_uint(const stem_json_place *place, const stem_value *content,
                     stem_value *value)
{
    uint64_t x;

    if (content->type != STEM_STR ||
        !stem_json_read_uint(content->as.str.data, content->as.str.len, &x))
        return malformed(place, "$uint", "a string of digits up to 18446744073709551615");
    *value = stem_uint(x);
    return STEM_OK;
}

static int make_float(const stem_json_place *place, const stem_value *content,
                      stem_value *value)
{
    double x;

    if (content->type != STEM_STR || !stem_json_read_float(content, STEM_F64, &x))
        return malformed(place, "$float",
                         "\"NaN\", \"Infinity\", \"-Infinity\" or the bits of a NaN as "
                         "\"0x7ff8000000000001\"");
    *value = stem_float(x);
    return STEM_OK;
}

/* Reads [seconds, nanoseconds]. */
static bool read_pair(const stem_value *content, stem_timestamp *time)
{
    stem_value seconds = {0};
    stem_value nanoseconds = {0};
    stem_cursor cursor;

    if (content->type != STEM_LIST || content->as.packed.count != 2)
        return false;
    stem_cursor_init(&cursor, content);
    stem_cursor_next(&cursor, NULL, &seconds);
    stem_cursor_next(&cursor, NULL, &nanoseconds);
    if (seconds.type != STEM_INT || nanoseconds.type != STEM_INT ||
        nanoseconds.as.integer < 0 || nanoseconds.as.integer > STEM_NANOSECONDS_MAX)
        return false;
    time->seconds = seconds.as.integer;
    time->nanoseconds = (uint32_t)nanoseconds.as.integer;
    return true;
}

static int make_time(const stem_json_place *place, const stem_value *content,
                     stem_value *value)
{
    stem_timestamp time;

    if (content->type == STEM_STR
            ? !stem_time_parse(content->as.str.data, content->as.str.len, &time)
            : !read_pair(content, &time))
        return malformed(place, "$time",
                         "a moment as \"2026-01-31T12:00:00.5Z\" or [seconds, "
                         "nanoseconds]");
    *value = stem_time(time.seconds, time.nanoseconds);
    return STEM_OK;
}

/* ---- Putting the value where its content lies --------------------------------------- */

static int pack_into(void *out, const char *data, size_t len)
{
    stem_buffer_add(out, data, len);
    return 0;
}

/* The head of a value with bytes of its own, which are `*bytes`; false for one without. */
static bool pack_head(const stem_value *value, stem_buffer *head, stem_bytes *bytes)
{
    msgpack_packer packer;

    msgpack_packer_init(&packer, head, pack_into);
    switch (value->type) {
    case STEM_STR:
        *bytes = (stem_bytes){value->as.str.data, value->as.str.len};
        msgpack_pack_str(&packer, bytes->len);
        return true;
    case STEM_BIN:
        *bytes = value->as.bin;
        msgpack_pack_bin(&packer, bytes->len);
        return true;
    case STEM_EXT:
        *bytes = (stem_bytes){value->as.ext.data, value->as.ext.len};
        msgpack_pack_ext(&packer, bytes->len, (int8_t)value->as.ext.code);
        return true;
    default:
        return false;
    }
}

/* Replaces what lies behind `start` by the value, whose bytes may lie there. */
static int replace(stem_json_values *values, size_t start, const stem_value *value)
{
    stem_buffer *out = values->out;
    stem_buffer head = {0};
    stem_bytes bytes;
    size_t at;
    size_t end;

    if (!pack_head(value, &head, &bytes)) {
        out->len = start;
        return stem_json_add_value(values, value);
    }
    at = (size_t)((const char *)bytes.data - out->data);
    end = start + head.len + bytes.len;
    if (head.failed || (end > out->len && !stem_buffer_room(out, end - out->len))) {
        free(head.data);
        return stem_json_no_memory();
    }
    memmove(out->data + start + head.len, out->data + at, bytes.len);
    memcpy(out->data + start, head.data, head.len);
    free(head.data);
    out->len = end;
    return STEM_OK;
}

/* ---- Maps that are no objects ------------------------------------------------------- */

typedef struct pairs {
    stem_json_head head;
    unsigned n; /* values of the pair that has begun */
} pairs;

static int malformed_pairs(const stem_json_place *place)
{
    return malformed(place, "$map", "a list of [key, value] pairs");
}

static int read_key_or_value(stem_json_values *values, void *context, int depth)
{
    pairs *map = context;
    const stem_json_place place = stem_json_text_place(values->text);

    if (++map->n > 2)
        return malformed_pairs(&place);
    return stem_json_read_inside(values, depth);
}

static int read_pair_of_map(stem_json_values *values, void *context, int depth)
{
    pairs *map = context;
    bool is_list = stem_json_skip_blanks(values->text) == '[';
    const stem_json_place place = stem_json_text_place(values->text);
    int code = is_list ? stem_json_count(values, &map->head) : malformed_pairs(&place);

    map->n = 0;
    if (code == STEM_OK)
        code = stem_json_read_elements(values, read_key_or_value, map, depth);
    return code == STEM_OK && map->n != 2 ? malformed_pairs(&place) : code;
}

static int read_map(stem_json_values *values, const stem_json_place *place, int depth)
{
    pairs map = {.n = 0};
    int code = stem_json_check_depth(depth, place);

    if (code != STEM_OK)
        return code;
    if (stem_json_peek(values->text) != '[')
        return malformed_pairs(place);
    code = stem_json_begin(values, true, &map.head);
    if (code == STEM_OK)
        code = stem_json_read_elements(values, read_pair_of_map, &map, depth + 1);
    return code == STEM_OK ? stem_json_end(values, &map.head) : code;
}

/* ---- All forms ---------------------------------------------------------------------- */

static const struct form {
    const char *name;
    int (*make)(const stem_json_place *place, const stem_value *content,
                stem_value *value);
} forms[] = {
    {"$bin", make_bin}, {"$ext", make_ext},   {"$float", make_float},
    {"$str", make_str}, {"$time", make_time}, {"$uint", make_uint},
};

static int read_simple(stem_json_values *values, const struct form *form, size_t start,
                       const stem_json_place *place)
{
    stem_value content;
    stem_value value;
    int code = stem_json_read_content(values, start, &content);

    if (code == STEM_OK)
        code = form->make(place, &content, &value);
    if (code == STEM_OK && values->is_stored && value.type == STEM_EXT &&
        (value.as.ext.code < 0 || value.as.ext.code > STEM_EXT_CODE_MAX))
        code = refuse_code(place, value.as.ext.code);
    return code == STEM_OK ? replace(values, start, &value) : code;
}

static int read_content(stem_json_values *values, const char *name, size_t start,
                        const stem_json_place *object, int depth)
{
    const stem_json_place place = stem_json_text_place(values->text);

    if (strcmp(name, "$array") == 0)
        return stem_json_read_array(values, &place);
    if (strcmp(name, "$map") == 0)
        return read_map(values, &place, depth);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (strcmp(name, forms[i].name) == 0)
            return read_simple(values, &forms[i], start, &place);
    }
    return stem_json_fail_at(object,
                             "\"%s\" is no form of a value; a member of that name is "
                             "written \"$%s\", or is read as it is with --plain or "
                             "STEM_JSON_PLAIN",
                             name, name);
}

int stem_json_refuse_form(const stem_json_place *place, const char *name, size_t len)
{
    int shown = (int)(len < NAME_SHOWN ? len : NAME_SHOWN);

    return stem_json_fail_at(place,
                             "\"%.*s\" stands among other members; a member of that name "
                             "is written \"$%.*s\", or is read as it is with --plain or "
                             "STEM_JSON_PLAIN",
                             shown, name, shown, name);
}

int stem_json_read_form(stem_json_values *values, size_t start,
                        const stem_json_place *place, int depth)
{
    stem_buffer *out = values->out;
    char name[NAME_SHOWN + 1];
    size_t len;
    const char *text =
        stem_json_name_text((const unsigned char *)out->data + start + 1, &len);
    stem_json_place content;
    int code;

    len = len < NAME_SHOWN ? len : NAME_SHOWN;
    memcpy(name, text, len);
    name[len] = '\0';
    out->len = start;
    code = stem_json_skip_byte(values->text, ':', "':'");
    if (code != STEM_OK)
        return code;
    stem_json_skip_blanks(values->text);
    content = stem_json_text_place(values->text);
    code = read_content(values, name, start, place, depth);
    if (code != STEM_OK)
        return code;
    if (stem_json_skip_blanks(values->text) == ',')
        return stem_json_refuse_form(&content, name, len);
    return stem_json_skip_byte(values->text, '}', "'}'");
}
