/*
 * Subdivisions by country: names are counted one level down, at one or two seeks each,
 * and what lies below them is never read.
 */
#include <stdio.h>
#include <string.h>

#include "iso.h"

enum { BEST = 5 };

typedef struct place {
    char country[8];
    uint64_t subdivisions;
} place;

static int count_children(stem_db *db, uint64_t *count)
{
    stem_iter *it = stem_children(db, STEM_RANGE(.keys_only = true));

    *count = 0;
    while (stem_iter_next(it))
        ++*count;
    return stem_iter_close(it);
}

/* Puts a place where it belongs among the best, which are sorted, most first. */
static void rank(place best[BEST], const char *country, uint64_t subdivisions)
{
    int at = BEST;

    while (at > 0 && subdivisions > best[at - 1].subdivisions)
        at--;
    if (at == BEST)
        return;
    memmove(&best[at + 1], &best[at], (size_t)(BEST - 1 - at) * sizeof best[0]);
    snprintf(best[at].country, sizeof best[at].country, "%s", country);
    best[at].subdivisions = subdivisions;
}

int subdivisions_answer(stem_db *db)
{
    place best[BEST] = {0};
    stem_iter *it = stem_children(db, NULL);
    int code = STEM_OK;

    printf("Which countries have the most subdivisions?\n");
    while (code == STEM_OK && stem_iter_next(it)) {
        stem_db *country = stem_sub(db, stem_iter_key(it));
        uint64_t subdivisions;

        code = count_children(country, &subdivisions);
        if (code == STEM_OK)
            rank(best, stem_iter_key(it), subdivisions);
        stem_close(country);
    }
    for (int i = 0; i < BEST && best[i].subdivisions > 0; i++)
        printf("    %s  %llu\n", best[i].country,
               (unsigned long long)best[i].subdivisions);

    int closed = stem_iter_close(it);
    return code != STEM_OK ? code : closed;
}
