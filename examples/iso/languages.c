/*
 * Languages by code: one walk over everything below the handle, and one over the codes
 * that begin alike.
 */
#include <stdio.h>
#include <string.h>

#include "iso.h"

static int count_types(stem_db *db)
{
    stem_iter *it = stem_iter_open(db, NULL);
    unsigned living = 0, extinct = 0, others = 0;

    while (stem_iter_next(it)) {
        if (strcmp(stem_iter_key(it), "type") != 0)
            continue;
        const stem_value *value = stem_iter_value(it);
        bool is_letter = value->type == STEM_STR && value->as.str.len == 1;
        char letter = is_letter ? value->as.str.data[0] : '?';

        living += letter == 'L';
        extinct += letter == 'E';
        others += letter != 'L' && letter != 'E';
    }
    printf("    %u living, %u extinct, %u others\n", living, extinct, others);
    return stem_iter_close(it);
}

static int list_codes(stem_db *db, const char *prefix)
{
    stem_iter *it = stem_children(db, STEM_RANGE(.prefix = prefix));

    while (stem_iter_next(it)) {
        stem_db *language = stem_sub(db, stem_iter_key(it));
        char *name = NULL;

        if (stem_get_str(language, "name", &name, NULL) == STEM_OK)
            printf("    %s  %s\n", stem_iter_key(it), name);
        stem_free(name);
        stem_close(language);
    }
    return stem_iter_close(it);
}

int languages_answer(stem_db *db)
{
    int code;

    printf("How many languages are living, and which codes begin with \"zu\"?\n");
    code = count_types(db);
    return code == STEM_OK ? list_codes(db, "zu") : code;
}
