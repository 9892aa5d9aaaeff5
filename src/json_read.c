/*
 * JSON text to the bytes of a value, in one pass: canonical MessagePack is written while the
 * text is read, and a value is in memory once.
 *
 * A container's head says how many elements follow, in the shortest form. It is written one
 * byte wide, and is made wider when the sixteenth element comes. What lies behind it by then
 * is moved, if that is little; otherwise the head waits for the end, where all that wait are
 * made wider in one go. No byte is moved more often than containers of little nest.
 */
#include "json_read.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "json.h"
#include "json_names.h"
#include "value.h"

enum { LITTLE = 64 * 1024, FIX_COUNT = 16, SHORT_COUNT = 65536 };

int stem_json_no_memory(void)
{
    return stem_fail(STEM_ENOMEM, "no memory for the value");
}

void stem_json_values_free(stem_json_values *values)
{
    free(values->heads);
    values->heads = NULL;
    values->n_heads = values->heads_room = 0;
}

int stem_json_add_value(stem_json_values *values, const stem_value *value)
{
    size_t size = stem_value_encoded_size(value);
    unsigned char *room;

    if (size == 0)
        return stem_errcode();
    room = stem_buffer_room(values->out, size);
    if (!room)
        return stem_json_no_memory();
    stem_value_encode(value, room);
    return STEM_OK;
}

/* ---- Heads of containers ------------------------------------------------------------ */

static size_t head_width(uint32_t count)
{
    return count < FIX_COUNT ? 1 : count < SHORT_COUNT ? 3 : 5;
}

static void write_head(unsigned char *out, uint32_t count, bool is_map)
{
    switch (head_width(count)) {
    case 1:
        out[0] = (unsigned char)((is_map ? 0x80 : 0x90) | count);
        break;
    case 3:
        out[0] = is_map ? 0xDE : 0xDC;
        out[1] = (unsigned char)(count >> 8);
        out[2] = (unsigned char)count;
        break;
    default:
        out[0] = is_map ? 0xDF : 0xDD;
        out[1] = (unsigned char)(count >> 24);
        out[2] = (unsigned char)(count >> 16);
        out[3] = (unsigned char)(count >> 8);
        out[4] = (unsigned char)count;
        break;
    }
}

int stem_json_check_depth(int depth, const stem_json_place *place)
{
    if (depth < STEM_DEPTH_MAX)
        return STEM_OK;
    return stem_json_fail_at(place, "nested deeper than %d levels", STEM_DEPTH_MAX);
}

int stem_json_begin(stem_json_values *values, bool is_map, stem_json_head *head)
{
    *head = (stem_json_head){.at = values->out->len, .width = 1, .is_map = is_map};
    return stem_buffer_room(values->out, 1) ? STEM_OK : stem_json_no_memory();
}

/* Gets the head that many bytes more, or leaves that to stem_json_finish. */
static int widen(stem_buffer *out, stem_json_head *head, size_t more)
{
    size_t content = out->len - head->at - head->width;
    char *start;

    if (content > LITTLE)
        return STEM_OK;
    if (!stem_buffer_room(out, more))
        return stem_json_no_memory();
    start = out->data + head->at + head->width;
    memmove(start + more, start, content);
    head->width = (unsigned char)(head->width + more);
    return STEM_OK;
}

int stem_json_count(stem_json_values *values, stem_json_head *head)
{
    size_t width = head_width(++head->count);

    if (values->out->len > STEM_VALUE_MAX) {
        const stem_json_place place = stem_json_text_place(values->text);

        return stem_json_fail_at(&place, "a value of more than %d bytes", STEM_VALUE_MAX);
    }
    return width == head_width(head->count - 1) || width == head->width
               ? STEM_OK
               : widen(values->out, head, width - head->width);
}

int stem_json_end(stem_json_values *values, const stem_json_head *head)
{
    if (head->width == head_width(head->count)) {
        write_head((unsigned char *)values->out->data + head->at, head->count,
                   head->is_map);
        return STEM_OK;
    }
    if (values->n_heads == values->heads_room) {
        size_t room = 2 * values->heads_room + 16;
        stem_json_head *heads = realloc(values->heads, room * sizeof *heads);

        if (!heads)
            return stem_json_no_memory();
        values->heads = heads;
        values->heads_room = room;
    }
    values->heads[values->n_heads++] = *head;
    return STEM_OK;
}

static int compare_heads(const void *left, const void *right)
{
    const stem_json_head *a = left;
    const stem_json_head *b = right;

    return (a->at > b->at) - (a->at < b->at);
}

/* From the last head to the first, so that each byte is moved once. */
int stem_json_finish(stem_json_values *values, size_t start)
{
    stem_buffer *out = values->out;
    size_t end = out->len;
    size_t more = 0;
    size_t first = values->n_heads;

    while (first > 0 && values->heads[first - 1].at >= start) {
        first--;
        more += head_width(values->heads[first].count) - values->heads[first].width;
    }
    if (more > 0) {
        if (!stem_buffer_room(out, more))
            return stem_json_no_memory();
        qsort(values->heads + first, values->n_heads - first, sizeof *values->heads,
              compare_heads);
    }
    while (values->n_heads > first) {
        const stem_json_head *head = &values->heads[--values->n_heads];
        size_t content = head->at + head->width;

        memmove(out->data + content + more, out->data + content, end - content);
        more -= head_width(head->count) - head->width;
        write_head((unsigned char *)out->data + head->at + more, head->count,
                   head->is_map);
        end = head->at;
    }
    if (out->len - start > STEM_VALUE_MAX)
        return stem_fail(STEM_EINVAL, "a value of %zu bytes, and it may have %d",
                         out->len - start, STEM_VALUE_MAX);
    return STEM_OK;
}

/* ---- Strings and names -------------------------------------------------------------- */

static size_t str_head_width(size_t len)
{
    return len <= 31 ? 1 : len <= UINT8_MAX ? 2 : len <= UINT16_MAX ? 3 : 5;
}

/* Puts the head in front of a string's bytes, which begin one byte behind `start`. */
static int add_str_head(stem_buffer *out, size_t start)
{
    size_t len = out->len - start - 1;
    size_t width = str_head_width(len);
    unsigned char *head;

    if (width > 1) {
        if (!stem_buffer_room(out, width - 1))
            return stem_json_no_memory();
        memmove(out->data + start + width, out->data + start + 1, len);
    }
    head = (unsigned char *)out->data + start;
    if (width == 1) {
        head[0] = (unsigned char)(0xA0 | len);
        return STEM_OK;
    }
    head[0] = width == 2 ? 0xD9 : width == 3 ? 0xDA : 0xDB;
    for (size_t i = 1; i < width; i++)
        head[i] = (unsigned char)(len >> 8 * (width - 1 - i));
    return STEM_OK;
}

static int read_str(stem_json_values *values)
{
    stem_buffer *out = values->out;
    size_t start = out->len;
    int code;

    if (!stem_buffer_room(out, 1))
        return stem_json_no_memory();
    code = stem_json_read_string(values->text, out);
    return code == STEM_OK ? add_str_head(out, start) : code;
}

int stem_json_read_name(stem_json_values *values, stem_json_name_kind *kind)
{
    stem_buffer *out = values->out;
    size_t start = out->len;
    stem_json_place place;
    const char *name;
    size_t len;
    int code;

    if (stem_json_skip_blanks(values->text) != '"')
        return stem_json_unexpected(values->text, "a name");
    place = stem_json_text_place(values->text);
    if (!stem_buffer_room(out, 1))
        return stem_json_no_memory();
    code = stem_json_read_string(values->text, out);
    if (code != STEM_OK)
        return code;
    name = out->data + start + 1;
    len = out->len - start - 1;
    if (memchr(name, '\0', len))
        return stem_json_fail_at(&place, "a NUL (\\u0000) in a name");
    *kind = STEM_JSON_NAME;
    if (!values->is_plain && len > 0 && name[0] == '$') {
        if (len == 1 || name[1] != '$') {
            *kind = STEM_JSON_FORM;
        } else {
            memmove(out->data + start + 1, name + 1, len - 1);
            out->len--;
        }
    }
    return add_str_head(out, start);
}

/* ---- Lists and objects -------------------------------------------------------------- */

/* Skips the blanks and the mark behind an element or a member: true when it was the last. */
static int skip_separator(stem_json_text *text, char close, bool *is_last)
{
    int byte = stem_json_skip_blanks(text);

    if (byte != ',' && byte != close)
        return stem_json_unexpected(text, close == '}' ? "',' or '}'" : "',' or ']'");
    text->next++;
    *is_last = byte == close;
    return STEM_OK;
}

int stem_json_read_elements(stem_json_values *values, stem_json_element *read,
                            void *context, int depth)
{
    stem_json_text *text = values->text;
    bool is_last = false;

    text->next++;
    if (stem_json_skip_blanks(text) == ']') {
        text->next++;
        return STEM_OK;
    }
    while (!is_last) {
        int code = read(values, context, depth);

        if (code == STEM_OK)
            code = skip_separator(text, ']', &is_last);
        if (code != STEM_OK)
            return code;
    }
    return STEM_OK;
}

static int read_element(stem_json_values *values, void *head, int depth)
{
    int code = stem_json_count(values, head);

    return code == STEM_OK ? stem_json_read_inside(values, depth) : code;
}

static int read_list(stem_json_values *values, int depth)
{
    const stem_json_place place = stem_json_text_place(values->text);
    stem_json_head head;
    int code = stem_json_check_depth(depth, &place);

    if (code == STEM_OK)
        code = stem_json_begin(values, false, &head);
    if (code == STEM_OK)
        code = stem_json_read_elements(values, read_element, &head, depth + 1);
    return code == STEM_OK ? stem_json_end(values, &head) : code;
}

/* Remembers the name that begins at `at`, in a map that is being read. */
static int add_name(stem_json_values *values, const stem_json_head *head, size_t at,
                    stem_json_names *names)
{
    /* From behind the head, which may move them all. */
    size_t start = head->at + head->width;
    const unsigned char *block = (const unsigned char *)values->out->data + start;

    if (at - start > UINT32_MAX ||
        !stem_json_names_add(names, block, (uint32_t)(at - start)))
        return stem_json_no_memory();
    return STEM_OK;
}

static int check_names(const stem_json_values *values, const stem_json_head *head,
                       const stem_json_place *place, stem_json_names *names)
{
    const unsigned char *block =
        (const unsigned char *)values->out->data + head->at + head->width;
    uint32_t offset;
    size_t len;
    const char *name;

    if (!stem_json_names_repeat(names, block, &offset))
        return STEM_OK;
    name = stem_json_name_text(block + offset, &len);
    return stem_json_fail_at(place, "the name \"%.*s\" is twice in the object",
                             (int)(len < 64 ? len : 64), name);
}

/* Reads a member, whose name begins at `at`, from the colon on. */
static int read_member(stem_json_values *values, size_t at, stem_json_name_kind kind,
                       int depth)
{
    stem_json_place place;
    size_t len;
    const char *name;
    int code = stem_json_skip_byte(values->text, ':', "':'");

    if (code != STEM_OK)
        return code;
    stem_json_skip_blanks(values->text);
    if (kind == STEM_JSON_NAME)
        return stem_json_read_inside(values, depth);
    place = stem_json_text_place(values->text);
    name = stem_json_name_text((const unsigned char *)values->out->data + at, &len);
    return stem_json_refuse_form(&place, name, len);
}

/* Reads members from the first one on, whose name has been read. */
static int read_members(stem_json_values *values, stem_json_head *head,
                        stem_json_names *names, int depth)
{
    size_t at = head->at + head->width;
    stem_json_name_kind kind = STEM_JSON_NAME;
    bool is_last;

    head->count = 1;
    for (;;) {
        int code = add_name(values, head, at, names);

        if (code == STEM_OK)
            code = read_member(values, at, kind, depth);
        if (code == STEM_OK)
            code = skip_separator(values->text, '}', &is_last);
        if (code != STEM_OK || is_last)
            return code;
        code = stem_json_count(values, head);
        at = values->out->len;
        if (code == STEM_OK)
            code = stem_json_read_name(values, &kind);
        if (code != STEM_OK)
            return code;
    }
}

/* Reads an object from its first name on, which has been read behind the head's byte. */
static int read_map(stem_json_values *values, stem_json_head *head,
                    const stem_json_place *place, int depth)
{
    stem_json_names names = {0};
    int code = stem_json_check_depth(depth, place);

    if (code == STEM_OK)
        code = read_members(values, head, &names, depth + 1);
    if (code == STEM_OK)
        code = check_names(values, head, place, &names);
    stem_json_names_free(&names);
    return code == STEM_OK ? stem_json_end(values, head) : code;
}

static int read_object(stem_json_values *values, int depth)
{
    const stem_json_place place = stem_json_text_place(values->text);
    stem_json_name_kind kind;
    stem_json_head head;
    int code = stem_json_begin(values, true, &head);

    if (code != STEM_OK)
        return code;
    values->text->next++;
    if (stem_json_skip_blanks(values->text) == '}') {
        values->text->next++;
        code = stem_json_check_depth(depth, &place);
        return code == STEM_OK ? stem_json_end(values, &head) : code;
    }
    code = stem_json_read_name(values, &kind);
    if (code != STEM_OK)
        return code;
    return kind == STEM_JSON_FORM ? stem_json_read_form(values, head.at, &place, depth)
                                  : read_map(values, &head, &place, depth);
}

static int read_word(stem_json_values *values, const char *word, stem_value value)
{
    int code = stem_json_skip_word(values->text, word);

    return code == STEM_OK ? stem_json_add_value(values, &value) : code;
}

static int read_number(stem_json_values *values)
{
    stem_value number;
    int code = stem_json_read_number(values->text, &number);

    return code == STEM_OK ? stem_json_add_value(values, &number) : code;
}

int stem_json_read_inside(stem_json_values *values, int depth)
{
    int byte = stem_json_skip_blanks(values->text);

    switch (byte) {
    case '{':
        return read_object(values, depth);
    case '[':
        return read_list(values, depth);
    case '"':
        return read_str(values);
    case 't':
        return read_word(values, "true", stem_bool(true));
    case 'f':
        return read_word(values, "false", stem_bool(false));
    case 'n':
        return read_word(values, "null", stem_nil());
    default:
        if (byte != '-' && (byte < '0' || byte > '9'))
            return stem_json_unexpected(values->text, "a value");
        return read_number(values);
    }
}

int stem_json_read_value(stem_json_values *values)
{
    size_t start = values->out->len;
    int code = stem_json_read_inside(values, 0);

    return code == STEM_OK ? stem_json_finish(values, start) : code;
}

int stem_json_read_content(stem_json_values *values, size_t start, stem_value *content)
{
    const bool is_plain = values->is_plain;
    bool needs_copy;
    int code;

    values->is_plain = true;
    code = stem_json_read_value(values);
    values->is_plain = is_plain;
    if (code != STEM_OK)
        return code;
    return stem_value_decode(values->out->data + start, values->out->len - start, content,
                             &needs_copy);
}
