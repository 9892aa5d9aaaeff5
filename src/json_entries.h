/*
 * A JSON document that is read entry by entry: json_reader.c opens and closes it,
 * json_entries.c walks through it.
 */
#ifndef STEM_JSON_ENTRIES_H
#define STEM_JSON_ENTRIES_H

#include <locale.h>

#include "json_names.h"
#include "json_read.h"

/* An object that is being walked. */
typedef struct stem_json_level {
    stem_json_place place;
    stem_buffer block; /* its names */
    stem_json_names names;
    bool is_full; /* further names are not remembered */
} stem_json_level;

struct stem_json_reader {
    stem_json_text text;
    stem_json_values values; /* into `bytes` */
    stem_buffer bytes;
    stem_value value; /* of the entry */
    bool is_flat, is_started, is_ended;
    bool has_member; /* the path's last name is the entry's, and not a level's */
    int code;
    locale_t locale; /* C, in which numbers are read */
    char *path;      /* the names, each ended by a NUL */
    size_t path_len;
    const char **names;
    size_t n_names, names_room;
    size_t n_given; /* names that the caller gave */
    stem_json_level *levels;
    size_t n_levels, levels_room;
    size_t remembered; /* bytes of names */
};

/* Makes the path longer by a name: STEM_EINVAL when it is too long then. */
int stem_json_push_name(stem_json_reader *reader, const char *name, size_t len);
/* Steps to the next entry, if there is one. */
int stem_json_step(stem_json_reader *reader, bool *is_entry);

#endif
