/*
 * Countries by code: a look at one name of each, without reading the others.
 */
#include <stdio.h>

#include "iso.h"

int countries_answer(stem_db *db)
{
    stem_iter *it = stem_children(db, NULL);
    int found = 0;

    printf("Which countries go by a common name?\n");
    while (stem_iter_next(it)) {
        const char *code = stem_iter_key(it);
        stem_db *country = stem_sub(db, code);
        char *common = NULL, *name = NULL;

        if (stem_get_str(country, "common_name", &common, NULL) == STEM_OK &&
            stem_get_str(country, "name", &name, NULL) == STEM_OK) {
            printf("    %s  %s (%s)\n", code, common, name);
            found++;
        }
        stem_free(common);
        stem_free(name);
        stem_close(country);
    }
    printf("    %d in all\n", found);
    return stem_iter_close(it);
}
