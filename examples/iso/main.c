/*
 * Opens the database of scripts/demo and gives each module the one branch that it is
 * about: to read only, and as it was at one moment, whatever is written meanwhile.
 *
 *     iso LOCATION
 */
#include <stdio.h>

#include "iso.h"

typedef struct module {
    const char *branch;
    int (*answer)(stem_db *db);
} module;

static const module modules[] = {
    {"countries", countries_answer},
    {"subdivisions", subdivisions_answer},
    {"languages", languages_answer},
};

int main(int argc, char **argv)
{
    stem_db *db, *frozen;
    int code;

    if (argc != 2) {
        fprintf(stderr, "usage: iso LOCATION\n");
        return 2;
    }
    code = stem_open(&db, argv[1], STEM_OPTIONS(.read_only = true));
    if (code != STEM_OK) {
        fprintf(stderr, "iso: %s\n",
                code == STEM_NOTFOUND ? "no database there" : stem_errmsg());
        return 1;
    }
    frozen = stem_snapshot(db);
    for (size_t i = 0; code == STEM_OK && i < sizeof modules / sizeof modules[0]; i++) {
        stem_db *branch = stem_sub(frozen, modules[i].branch);

        code = modules[i].answer(branch);
        stem_close(branch);
    }
    if (code != STEM_OK)
        fprintf(stderr, "iso: %s\n", stem_errmsg());
    stem_close(frozen);
    stem_close(db);
    return code == STEM_OK ? 0 : 1;
}
