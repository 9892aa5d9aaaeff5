/*
 * The names of one object, to find one that is there twice.
 */
#ifndef STEM_JSON_NAMES_H
#define STEM_JSON_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The names lie as MessagePack strings in a block of the caller's, which may move: here are
 * their offsets. Zeroed it is empty. */
enum { STEM_JSON_FEW_NAMES = 8 };
typedef struct stem_json_names {
    size_t count, room;
    uint32_t few[STEM_JSON_FEW_NAMES]; /* until there are more */
    uint32_t *many;
    bool is_unordered; /* a name does not come behind the one before it */
} stem_json_names;

/* Adds the name at the offset; false when there is no memory. */
bool stem_json_names_add(stem_json_names *names, const unsigned char *block,
                         uint32_t offset);
/* Whether a name is there twice, and the offset of one such. Sorts the offsets. */
bool stem_json_names_repeat(stem_json_names *names, const unsigned char *block,
                            uint32_t *offset);
void stem_json_names_free(stem_json_names *names);

/* The text of a MessagePack string. */
const char *stem_json_name_text(const unsigned char *name, size_t *len);

#endif
