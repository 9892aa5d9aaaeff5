/*
 * JSON text to the bytes of a value. jansson reads the text into a tree, the tree is
 * written as canonical MessagePack. On a failure the way back up notes where it was, so
 * that the message can name line and column.
 */
#include <inttypes.h>
#include <jansson.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "error.h"
#include "json.h"
#include "value.h"

/* A level of a value is at most three of JSON: {"$map": [[key, value]]}. */
enum { MAX_STEPS = 3 * (STEM_DEPTH_MAX + 1), TIME_EXT_CODE = -1 };

struct reader {
    stem_buffer *out;
    msgpack_packer packer; /* into `out` */
    size_t n_steps;
    size_t steps[MAX_STEPS]; /* to the place of a failure, the innermost first */
};

static int read_value(struct reader *r, json_t *json, int depth);

static int pack_into(void *out, const char *data, size_t len)
{
    stem_buffer_add(out, data, len);
    return 0;
}

/* Passes a code on, and on a failure notes the index at which it happened. */
static int at(struct reader *r, size_t index, int code)
{
    if (code != STEM_OK && r->n_steps < MAX_STEPS)
        r->steps[r->n_steps++] = index;
    return code;
}

static int add_value(struct reader *r, stem_value value)
{
    size_t size = stem_value_encoded_size(&value);
    unsigned char *room;

    if (size == 0)
        return stem_errcode();
    if ((room = stem_buffer_room(r->out, size)))
        stem_value_encode(&value, room);
    return STEM_OK;
}

static int check_depth(int depth)
{
    if (depth < STEM_DEPTH_MAX)
        return STEM_OK;
    return stem_fail(STEM_EINVAL, "nested deeper than %d levels", STEM_DEPTH_MAX);
}

static int malformed(const char *form, const char *wanted)
{
    return stem_fail(STEM_EINVAL, "\"%s\" is not %s", form, wanted);
}

/* The bytes that a string of base64 stands for, owned; NULL after stem_fail. */
static unsigned char *read_base64(json_t *json, const char *form, size_t *len)
{
    unsigned char *data;

    if (!json_is_string(json)) {
        malformed(form, "bytes in base64");
        return NULL;
    }
    data = malloc(json_string_length(json) + 1);
    if (!data) {
        stem_fail(STEM_ENOMEM, "no memory for the bytes of \"%s\"", form);
        return NULL;
    }
    if (stem_base64_decode(json_string_value(json), json_string_length(json), data, len))
        return data;
    free(data);
    malformed(form, "bytes in base64");
    return NULL;
}

static int read_bin(struct reader *r, json_t *content, int depth)
{
    size_t len;
    unsigned char *data = read_base64(content, "$bin", &len);
    int code = data ? add_value(r, stem_bin(data, len)) : stem_errcode();

    (void)depth;
    free(data);
    return code;
}

static int read_str(struct reader *r, json_t *content, int depth)
{
    size_t len;
    unsigned char *data = read_base64(content, "$str", &len);
    int code = data ? add_value(r, stem_strn((char *)data, len)) : stem_errcode();

    (void)depth;
    free(data);
    return code;
}

static int read_uint(struct reader *r, json_t *content, int depth)
{
    uint64_t x;

    (void)depth;
    if (!json_is_string(content) ||
        !stem_json_read_uint(json_string_value(content), json_string_length(content), &x))
        return malformed("$uint", "a string of digits up to 18446744073709551615");
    return add_value(r, stem_uint(x));
}

static int read_float(struct reader *r, json_t *content, int depth)
{
    double x;

    (void)depth;
    if (!json_is_string(content) || !stem_json_read_float(content, STEM_F64, &x))
        return malformed("$float", "\"NaN\", \"Infinity\", \"-Infinity\" or the bits of "
                                   "a NaN as \"0x7ff8000000000001\"");
    return add_value(r, stem_float(x));
}

static int read_time(struct reader *r, json_t *content, int depth)
{
    const json_t *seconds = json_array_get(content, 0);
    const json_t *nanoseconds = json_array_get(content, 1);
    stem_timestamp time;

    (void)depth;
    if (json_is_string(content) &&
        stem_time_parse(json_string_value(content), json_string_length(content), &time))
        return add_value(r, stem_time(time.seconds, time.nanoseconds));
    if (json_array_size(content) != 2 || !json_is_integer(seconds) ||
        !json_is_integer(nanoseconds) || json_integer_value(nanoseconds) < 0 ||
        json_integer_value(nanoseconds) > 999999999)
        return malformed("$time", "a moment as \"2026-01-31T12:00:00.5Z\" or [seconds, "
                                  "nanoseconds]");
    return add_value(r, stem_time(json_integer_value(seconds),
                                  (uint32_t)json_integer_value(nanoseconds)));
}

static int read_ext(struct reader *r, json_t *content, int depth)
{
    const json_t *code = json_object_get(content, "code");
    json_t *text = json_object_get(content, "data");
    json_int_t number = json_integer_value(code);
    unsigned char *data;
    size_t len;

    (void)depth;
    if (json_object_size(content) != 2 || !json_is_integer(code) || !text)
        return malformed("$ext", "an object of \"code\" and \"data\"");
    if (number < INT8_MIN || number > INT8_MAX || number == STEM_ARRAY_EXT_CODE ||
        number == TIME_EXT_CODE)
        return stem_fail(STEM_EINVAL,
                         "\"$ext\": %" PRId64 " is no code of an application",
                         (int64_t)number);
    data = read_base64(text, "$ext", &len);
    if (!data)
        return stem_errcode();
    /* Not through add_value, which refuses the codes that can only be read. */
    if (len <= UINT32_MAX) {
        msgpack_pack_ext(&r->packer, len, (int8_t)number);
        msgpack_pack_ext_body(&r->packer, data, len);
    }
    free(data);
    return len <= UINT32_MAX ? STEM_OK : malformed("$ext", "less than 4 GiB");
}

static int read_array(struct reader *r, json_t *content, int depth)
{
    (void)depth;
    return stem_json_read_array(content, r->out);
}

static int begin_container(struct reader *r, size_t n, int depth, bool is_map)
{
    int code = check_depth(depth);

    if (code != STEM_OK)
        return code;
    if (n > UINT32_MAX)
        return stem_fail(STEM_EINVAL, "more than %" PRIu32 " members", UINT32_MAX);
    if (is_map)
        msgpack_pack_map(&r->packer, n);
    else
        msgpack_pack_array(&r->packer, n);
    return STEM_OK;
}

static int read_pairs(struct reader *r, json_t *content, int depth)
{
    size_t n = json_array_size(content);
    int code;

    if (!json_is_array(content))
        return malformed("$map", "a list of [key, value] pairs");
    code = begin_container(r, n, depth, true);
    for (size_t i = 0; code == STEM_OK && i < n; i++) {
        json_t *pair = json_array_get(content, i);

        if (json_array_size(pair) != 2)
            code = malformed("$map", "a list of [key, value] pairs");
        for (size_t k = 0; code == STEM_OK && k < 2; k++)
            code = at(r, k, read_value(r, json_array_get(pair, k), depth + 1));
        at(r, i, code);
    }
    return code;
}

static const struct form {
    const char *name;
    int (*read)(struct reader *r, json_t *content, int depth);
} forms[] = {
    {"$array", read_array}, {"$bin", read_bin},   {"$ext", read_ext},
    {"$float", read_float}, {"$map", read_pairs}, {"$str", read_str},
    {"$time", read_time},   {"$uint", read_uint},
};

static int read_form(struct reader *r, const char *name, json_t *content, int depth)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (strcmp(name, forms[i].name) == 0)
            return at(r, 0, forms[i].read(r, content, depth));
    }
    return stem_fail(STEM_EINVAL,
                     "\"%.64s\" is no form of a value; a member of that name is written "
                     "\"$%.64s\"",
                     name, name);
}

static bool is_form_name(const char *name)
{
    return name[0] == '$' && name[1] != '$';
}

static int read_object(struct reader *r, json_t *object, int depth)
{
    const char *name;
    json_t *member;
    size_t i = 0;
    int code;

    name = json_object_iter_key(json_object_iter(object));
    if (json_object_size(object) == 1 && is_form_name(name))
        return read_form(r, name, json_object_get(object, name), depth);
    code = begin_container(r, json_object_size(object), depth, true);
    if (code != STEM_OK)
        return code;
    json_object_foreach(object, name, member)
    {
        if (is_form_name(name))
            return at(r, i,
                      stem_fail(STEM_EINVAL,
                                "\"%.64s\" stands among other members; a member of that "
                                "name is written \"$%.64s\"",
                                name, name));
        code = add_value(r, stem_str(name[0] == '$' ? name + 1 : name));
        if (code == STEM_OK)
            code = read_value(r, member, depth + 1);
        if (code != STEM_OK)
            return at(r, i, code);
        i++;
    }
    return STEM_OK;
}

static int read_list(struct reader *r, json_t *list, int depth)
{
    size_t n = json_array_size(list);
    int code = begin_container(r, n, depth, false);

    for (size_t i = 0; code == STEM_OK && i < n; i++)
        code = at(r, i, read_value(r, json_array_get(list, i), depth + 1));
    return code;
}

static int read_value(struct reader *r, json_t *json, int depth)
{
    if (r->out->failed)
        return stem_fail(STEM_ENOMEM, "no memory for the value");
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return read_object(r, json, depth);
    case JSON_ARRAY:
        return read_list(r, json, depth);
    case JSON_STRING:
        return add_value(r, stem_strn(json_string_value(json), json_string_length(json)));
    case JSON_INTEGER:
        return add_value(r, stem_int(json_integer_value(json)));
    case JSON_REAL:
        return add_value(r, stem_float(json_real_value(json)));
    case JSON_TRUE:
    case JSON_FALSE:
        return add_value(r, stem_bool(json_is_true(json)));
    default: /* JSON_NULL */
        return add_value(r, stem_nil());
    }
}

/* jansson's complaint as Stem's. */
static int refuse_text(const json_error_t *error)
{
    bool is_big_integer = strncmp(error->text, "too big integer", 15) == 0;

    /* It leaves no text when memory fails. */
    if (!error->text[0])
        return stem_fail(STEM_ENOMEM, "no memory to read the JSON text");
    return stem_fail(STEM_EINVAL, "line %d, column %d: %s%s", error->line, error->column,
                     error->text,
                     is_big_integer ? "; above 9223372036854775807 write {\"$uint\": "
                                      "\"18446744073709551615\"}"
                                    : "");
}

/* The tree of a text, or NULL after stem_fail. */
static json_t *load_tree(const char *text, size_t len)
{
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES;
    json_error_t error = {.line = 0};
    const char *nul = memchr(text, '\0', len);
    json_t *tree;
    /* Volatile: a compiler may leave out an allocation that nothing uses. */
    void *volatile room;

    /* Behind a number or a word jansson steps over a NUL as if it were not there. */
    if (nul) {
        stem_fail(STEM_EINVAL, "byte %zu of the JSON text is NUL", (size_t)(nul - text));
        return NULL;
    }
    /* jansson does not notice when the buffer of a long token cannot grow, and reads past
     * it. It takes three times the text at most, so that much must be there. */
    room = len < SIZE_MAX / 4 ? malloc(3 * len + 64) : NULL;
    if (!room) {
        stem_fail(STEM_ENOMEM, "no memory to read %zu bytes of JSON text", len);
        return NULL;
    }
    free(room);
    tree = json_loadb(text, len, flags, &error);
    if (!tree)
        refuse_text(&error);
    return tree;
}

int stem_json_read(const char *text, size_t len, stem_buffer *out)
{
    struct reader r = {.out = out};
    json_t *tree = load_tree(text, len);
    int code;

    if (!tree)
        return stem_errcode();
    msgpack_packer_init(&r.packer, out, pack_into);
    code = read_value(&r, tree, 0);
    json_decref(tree);
    if (out->failed)
        return stem_fail(STEM_ENOMEM, "no memory for the value");
    if (code != STEM_OK && code != STEM_ENOMEM) {
        char operation[64];
        stem_place place;

        stem_json_place(text, len, r.steps, r.n_steps, &place);
        snprintf(operation, sizeof operation, "line %zu, column %zu", place.line,
                 place.column);
        stem_fail_at(code, operation, NULL);
    }
    return code;
}
