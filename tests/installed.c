/*
 * The program that `make installcheck` compiles against the installed library.
 */
#include <stdio.h>
#include <string.h>

#include <stem.h>

int main(void)
{
    stem_db *db;
    int64_t n = 0;

    if (strcmp(stem_version(), STEM_INSTALLED_VERSION) != 0 ||
        stem_open(&db, "mem:", NULL) || stem_put(db, "n", 7) ||
        stem_get_int(db, "n", &n) || stem_close(db)) {
        fprintf(stderr, "Stem %s: %s\n", stem_version(), stem_errmsg());
        return 1;
    }
    return n == 7 ? 0 : 1;
}
