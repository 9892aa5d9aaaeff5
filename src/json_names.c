/*
 * The names of one object; see json_names.h. They are compared when the object is complete:
 * sorted, unless they are in order already, as in what Stem exports. No text can make that
 * slow, as one could a hash table.
 */
#include "json_names.h"

#include <stdlib.h>
#include <string.h>

const char *stem_json_name_text(const unsigned char *name, size_t *len)
{
    size_t head = name[0] < 0xD9 ? 1 : name[0] == 0xD9 ? 2 : name[0] == 0xDA ? 3 : 5;

    *len = head == 1 ? name[0] & 0x1F : 0;
    for (size_t i = 1; i < head; i++)
        *len = *len << 8 | name[i];
    return (const char *)name + head;
}

static int compare(const unsigned char *block, uint32_t left, uint32_t right)
{
    size_t left_len;
    size_t right_len;
    const char *a = stem_json_name_text(block + left, &left_len);
    const char *b = stem_json_name_text(block + right, &right_len);
    int order = memcmp(a, b, left_len < right_len ? left_len : right_len);

    return order != 0 ? order : (left_len > right_len) - (left_len < right_len);
}

static uint32_t *offsets_of(stem_json_names *names)
{
    return names->many ? names->many : names->few;
}

/* Room for one offset more. */
static bool grow(stem_json_names *names)
{
    size_t room = names->many ? 2 * names->room : (size_t)2 * STEM_JSON_FEW_NAMES;
    uint32_t *many;

    if (names->count < (names->many ? names->room : STEM_JSON_FEW_NAMES))
        return true;
    many = realloc(names->many, room * sizeof *many);
    if (!many)
        return false;
    if (!names->many)
        memcpy(many, names->few, sizeof names->few);
    names->many = many;
    names->room = room;
    return true;
}

bool stem_json_names_add(stem_json_names *names, const unsigned char *block,
                         uint32_t offset)
{
    uint32_t *offsets;

    if (!grow(names))
        return false;
    offsets = offsets_of(names);
    if (names->count > 0 && compare(block, offsets[names->count - 1], offset) >= 0)
        names->is_unordered = true;
    offsets[names->count++] = offset;
    return true;
}

/* Lets the offset at `i` sink to where none below it is greater. */
static void sink(const unsigned char *block, uint32_t *offsets, size_t i, size_t count)
{
    for (;;) {
        size_t child = 2 * i + 1;
        uint32_t offset = offsets[i];

        if (child >= count)
            return;
        if (child + 1 < count && compare(block, offsets[child], offsets[child + 1]) < 0)
            child++;
        if (compare(block, offset, offsets[child]) >= 0)
            return;
        offsets[i] = offsets[child];
        offsets[child] = offset;
        i = child;
    }
}

/* Heapsort: in place, and never slow. */
static void sort(const unsigned char *block, uint32_t *offsets, size_t count)
{
    for (size_t i = count / 2; i > 0; i--)
        sink(block, offsets, i - 1, count);
    for (size_t n = count; n > 1; n--) {
        uint32_t greatest = offsets[0];

        offsets[0] = offsets[n - 1];
        offsets[n - 1] = greatest;
        sink(block, offsets, 0, n - 1);
    }
}

bool stem_json_names_repeat(stem_json_names *names, const unsigned char *block,
                            uint32_t *offset)
{
    uint32_t *offsets = offsets_of(names);

    if (!names->is_unordered)
        return false;
    sort(block, offsets, names->count);
    for (size_t i = 1; i < names->count; i++) {
        if (compare(block, offsets[i - 1], offsets[i]) == 0) {
            *offset = offsets[i];
            return true;
        }
    }
    return false;
}

void stem_json_names_free(stem_json_names *names)
{
    free(names->many);
    *names = (stem_json_names){0};
}
