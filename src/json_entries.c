/*
 * The walk through a JSON document. Objects are walked, not read: the text is never in memory,
 * nor is an object that becomes a sub-database. What is open of them is a stack of levels, as
 * deep as a path may be long.
 */
#include "json_entries.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

/* NAMES_REMEMBERED: bytes, in all open objects. VALUE_KEPT: of a buffer that serves for the
 * next value too. */
enum { NAMES_REMEMBERED = 16 << 20, VALUE_KEPT = 1 << 20 };

/* Where the text is: before a value, or behind one in an object, or behind that of an entry.
 * Objects are entered in a loop, since they may nest deeper than the stack is. */
typedef enum position { AT_VALUE, AT_MEMBER, AT_ENTRY } position;

/* ---- The path ----------------------------------------------------------------------- */

int stem_json_push_name(stem_json_reader *reader, const char *name, size_t len)
{
    if (len > STEM_COMPONENT_MAX)
        return stem_fail(STEM_EINVAL, "a name longer than %d bytes", STEM_COMPONENT_MAX);
    if (reader->path_len + len > STEM_PATH_MAX)
        return stem_fail(STEM_EINVAL, "a path longer than %d bytes", STEM_PATH_MAX);
    if (reader->n_names == reader->names_room) {
        size_t room = 2 * reader->names_room + 16;
        const char **names = realloc(reader->names, room * sizeof *names);

        if (!names)
            return stem_json_no_memory();
        reader->names = names;
        reader->names_room = room;
    }
    memcpy(reader->path + reader->path_len, name, len);
    reader->names[reader->n_names++] = reader->path + reader->path_len;
    reader->path_len += len;
    reader->path[reader->path_len++] = '\0';
    return STEM_OK;
}

static void pop_name(stem_json_reader *reader)
{
    reader->path_len = (size_t)(reader->names[--reader->n_names] - reader->path);
}

/* Pushes the name of a member, which stands at `place`. */
static int push_member(stem_json_reader *reader, const stem_json_place *place,
                       const char *name, size_t len)
{
    int code = stem_json_push_name(reader, name, len);

    return code == STEM_EINVAL ? stem_json_fail_at(place, "%s", stem_errmsg()) : code;
}

/* ---- Levels ------------------------------------------------------------------------- */

static stem_json_level *innermost(stem_json_reader *reader)
{
    return &reader->levels[reader->n_levels - 1];
}

static int push_level(stem_json_reader *reader, const stem_json_place *place)
{
    if (reader->n_levels == reader->levels_room) {
        size_t room = 2 * reader->levels_room + 8;
        stem_json_level *levels = realloc(reader->levels, room * sizeof *levels);

        if (!levels)
            return stem_json_no_memory();
        memset(levels + reader->levels_room, 0,
               (room - reader->levels_room) * sizeof *levels);
        reader->levels = levels;
        reader->levels_room = room;
    }
    reader->n_levels++;
    innermost(reader)->place = *place;
    return STEM_OK;
}

/* The level's memory stays for the next one at its depth, but for that of many names. */
static void pop_level(stem_json_reader *reader)
{
    stem_json_level *each = innermost(reader);

    reader->remembered -= each->block.len + each->names.count * sizeof(uint32_t);
    stem_json_names_free(&each->names);
    if (each->block.capacity > STEM_COMPONENT_MAX) {
        free(each->block.data);
        each->block = (stem_buffer){0};
    }
    each->block.len = 0;
    each->is_full = false;
    reader->n_levels--;
}

/* Closes the innermost object, whose '}' has been read. */
static int close_object(stem_json_reader *reader)
{
    stem_json_level *each = innermost(reader);
    const unsigned char *block = (const unsigned char *)each->block.data;
    uint32_t offset;

    if (stem_json_names_repeat(&each->names, block, &offset)) {
        size_t len;
        const char *name = stem_json_name_text(block + offset, &len);

        return stem_json_fail_at(&each->place, "the name \"%.*s\" is twice in the object",
                                 (int)(len < 64 ? len : 64), name);
    }
    pop_level(reader);
    if (reader->n_levels > 0)
        pop_name(reader);
    return STEM_OK;
}

/* Reads a name behind those of the innermost object, and gives its offset there. */
static int read_name(stem_json_reader *reader, size_t *offset, stem_json_name_kind *kind)
{
    stem_json_level *each = innermost(reader);
    stem_json_values names = {
        .text = &reader->text, .out = &each->block, .is_plain = reader->values.is_plain};

    *offset = each->block.len;
    return stem_json_read_name(&names, kind);
}

/* Remembers the name that was read last, unless there are too many. */
static int remember_name(stem_json_reader *reader, size_t offset)
{
    stem_json_level *each = innermost(reader);
    size_t more = each->block.len - offset + sizeof(uint32_t);

    if (each->is_full || reader->remembered + more > NAMES_REMEMBERED) {
        each->is_full = true;
        each->block.len = offset;
        return STEM_OK;
    }
    reader->remembered += more;
    return stem_json_names_add(&each->names, (const unsigned char *)each->block.data,
                               (uint32_t)offset)
               ? STEM_OK
               : stem_json_no_memory();
}

/* ---- Entries ------------------------------------------------------------------------ */

/* Makes the entry's value of the bytes behind `start`. */
static int take_value(stem_json_reader *reader, size_t start)
{
    const stem_buffer *bytes = &reader->bytes;
    int code = stem_json_finish(&reader->values, start);

    if (code == STEM_OK)
        code = stem_decode(bytes->data + start, bytes->len - start, &reader->value);
    if (code != STEM_ECORRUPT)
        return code;
    /* Only what a member "" was read into can be too deep. */
    return stem_json_fail_at(&innermost(reader)->place, "nested deeper than %d levels",
                             STEM_DEPTH_MAX);
}

static int read_value(stem_json_reader *reader)
{
    int code = stem_json_read_inside(&reader->values, 0);

    return code == STEM_OK ? take_value(reader, 0) : code;
}

static int refuse_own_value(const stem_json_place *place)
{
    return stem_json_fail_at(
        place, "a value at the top, and a database has none of its own: give "
               "a PATH");
}

/* Reads the value of a member "" behind the bytes of a map with nothing else: the entry is
 * that map when the object ends here, or else the value. */
static int read_own_value(stem_json_reader *reader, bool is_first)
{
    static const char map[] = "\x81\xA0";
    const size_t head = sizeof map - 1;
    const stem_json_place place = stem_json_text_place(&reader->text);
    int code;

    if (reader->n_names == 0)
        return refuse_own_value(&place);
    if (!is_first)
        return read_value(reader);
    stem_buffer_add(&reader->bytes, map, head);
    code = stem_json_read_inside(&reader->values, 0);
    if (code != STEM_OK)
        return code;
    if (stem_json_skip_blanks(&reader->text) != '}')
        return take_value(reader, head);
    code = take_value(reader, 0);
    if (code != STEM_OK)
        return code;
    reader->text.next++;
    pop_level(reader);
    reader->has_member = reader->n_levels > 0;
    return STEM_OK;
}

/* Reads a member from the colon on, whose name lies at `offset`. */
static int read_member(stem_json_reader *reader, size_t offset,
                       const stem_json_place *place, bool is_first, position *now)
{
    const stem_json_level *each = innermost(reader);
    size_t len;
    const char *name =
        stem_json_name_text((const unsigned char *)each->block.data + offset, &len);
    bool is_own = len == 0;
    int code = is_own ? STEM_OK : push_member(reader, place, name, len);

    if (code == STEM_OK)
        code = remember_name(reader, offset);
    if (code == STEM_OK)
        code = stem_json_skip_byte(&reader->text, ':', "':'");
    if (code != STEM_OK)
        return code;
    stem_json_skip_blanks(&reader->text);
    reader->has_member = !is_own;
    *now = is_own ? AT_ENTRY : AT_VALUE;
    return is_own ? read_own_value(reader, is_first) : STEM_OK;
}

/* Reads the form whose name is the first in the innermost object, which is a value then. */
static int read_form(stem_json_reader *reader, size_t offset)
{
    stem_json_level *each = innermost(reader);
    const stem_json_place place = each->place;
    stem_buffer *bytes = &reader->bytes;
    int code;

    if (!stem_buffer_room(bytes, 1))
        return stem_json_no_memory();
    stem_buffer_add(bytes, each->block.data + offset, each->block.len - offset);
    if (bytes->failed)
        return stem_json_no_memory();
    each->block.len = offset;
    pop_level(reader);
    reader->has_member = reader->n_levels > 0;
    code = stem_json_read_form(&reader->values, 0, &place, 0);
    return code == STEM_OK ? take_value(reader, 0) : code;
}

/* An object without members: a value, but for a whole document without a place. */
static int read_empty(stem_json_reader *reader, position *now)
{
    static const char empty_map[] = "\x80";

    *now = reader->n_names > 0 ? AT_ENTRY : AT_MEMBER;
    stem_buffer_add(&reader->bytes, empty_map, 1);
    if (reader->bytes.failed)
        return stem_json_no_memory();
    return take_value(reader, 0);
}

/* Reads an object up to its first entry, or to the value of its first member. */
static int read_object(stem_json_reader *reader, position *now)
{
    const stem_json_place place = stem_json_text_place(&reader->text);
    stem_json_place name_place;
    stem_json_name_kind kind;
    size_t offset;
    int code;

    reader->text.next++;
    if (stem_json_skip_blanks(&reader->text) == '}') {
        reader->text.next++;
        return read_empty(reader, now);
    }
    name_place = stem_json_text_place(&reader->text);
    code = push_level(reader, &place);
    if (code == STEM_OK)
        code = read_name(reader, &offset, &kind);
    if (code != STEM_OK)
        return code;
    if (kind == STEM_JSON_NAME)
        return read_member(reader, offset, &name_place, true, now);
    *now = AT_ENTRY;
    code = read_form(reader, offset);
    return code == STEM_OK && reader->n_names == 0 ? refuse_own_value(&place) : code;
}

/* Refuses a document that is no object, or no JSON at all. */
static int refuse_top(stem_json_reader *reader)
{
    const stem_json_place place = stem_json_text_place(&reader->text);
    int code = stem_json_skip_value(&reader->text);

    return code == STEM_OK ? refuse_own_value(&place) : code;
}

/* Reads a value, or enters an object that is a sub-database. */
static int read_thing(stem_json_reader *reader, position *now)
{
    bool is_walked = !reader->is_flat || reader->n_names == reader->n_given;

    if (stem_json_skip_blanks(&reader->text) == '{' && is_walked)
        return read_object(reader, now);
    *now = AT_ENTRY;
    return reader->n_names > 0 ? read_value(reader) : refuse_top(reader);
}

/* Reads what follows a member of the innermost object: its end, or a member up to its value. */
static int read_next_member(stem_json_reader *reader, position *now)
{
    stem_json_name_kind kind;
    stem_json_place place;
    size_t offset;
    int byte = stem_json_skip_blanks(&reader->text);
    int code;

    if (byte != ',' && byte != '}')
        return stem_json_unexpected(&reader->text, "',' or '}'");
    reader->text.next++;
    *now = AT_MEMBER;
    if (byte == '}')
        return close_object(reader);
    stem_json_skip_blanks(&reader->text);
    place = stem_json_text_place(&reader->text);
    code = read_name(reader, &offset, &kind);
    if (code != STEM_OK)
        return code;
    if (kind == STEM_JSON_FORM) {
        size_t len;
        const char *name = stem_json_name_text(
            (const unsigned char *)innermost(reader)->block.data + offset, &len);

        return stem_json_refuse_form(&place, name, len);
    }
    return read_member(reader, offset, &place, false, now);
}

/* Lets go of the entry before, and of what of its path is not of the next one's. */
static void leave_entry(stem_json_reader *reader)
{
    stem_value_free(&reader->value);
    reader->bytes.len = 0;
    if (reader->bytes.capacity > VALUE_KEPT) {
        free(reader->bytes.data);
        reader->bytes = (stem_buffer){0};
    }
    if (reader->has_member)
        pop_name(reader);
    reader->has_member = false;
}

int stem_json_step(stem_json_reader *reader, bool *is_entry)
{
    position now = reader->is_started ? AT_MEMBER : AT_VALUE;
    int code = STEM_OK;

    leave_entry(reader);
    reader->is_started = true;
    while (code == STEM_OK &&
           (now == AT_VALUE || (now == AT_MEMBER && reader->n_levels > 0)))
        code =
            now == AT_VALUE ? read_thing(reader, &now) : read_next_member(reader, &now);
    *is_entry = now == AT_ENTRY;
    if (code == STEM_OK && !*is_entry && stem_json_skip_blanks(&reader->text) >= 0)
        code = stem_json_unexpected(&reader->text, "the end of the text");
    return code == STEM_OK ? reader->text.code : code;
}
