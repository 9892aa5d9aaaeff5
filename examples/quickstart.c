/*
 * The first program of README.md: a value, a sub-database, an array, and a walk over all
 * of it. Run it twice: the count of logins goes on.
 */
#include <inttypes.h>
#include <stdio.h>

#include <stem.h>

static int greet(stem_db *user)
{
    const float embedding[] = {0.25F, -1.5F, 3.0F};
    int64_t logins = stem_get_int_or(user, "logins", 0) + 1;
    char *name;
    int code;

    if ((code = stem_put(user, "name", "Ada")) != STEM_OK ||
        (code = stem_put(user, "logins", logins)) != STEM_OK ||
        (code = stem_put(user, "embedding", stem_vec(embedding, 3))) != STEM_OK ||
        (code = stem_get_str(user, "name", &name, NULL)) != STEM_OK)
        return code;
    printf("Hello %s, this is login %" PRId64 ".\n", name, logins);
    stem_free(name);
    return STEM_OK;
}

static int list(stem_db *db)
{
    stem_iter *it = stem_iter_open(db, NULL);

    while (stem_iter_next(it)) {
        size_t n;
        const char *const *names = stem_iter_path(it, &n);

        for (size_t i = 0; names && i < n; i++)
            printf("%s%s", i > 0 ? " > " : "", names[i]);
        printf(": %s\n", stem_type_name(stem_iter_value(it)->type));
    }
    return stem_iter_close(it);
}

int main(void)
{
    stem_db *db = NULL, *user = NULL;
    int code = stem_open(&db, "./quickstart.db", NULL);

    if (code == STEM_OK) {
        user = stem_sub(db, "users", "42");
        code = greet(user);
    }
    if (code == STEM_OK)
        code = list(db);
    if (code != STEM_OK)
        fprintf(stderr, "quickstart: %s\n", stem_errmsg());
    stem_close(user);
    stem_close(db);
    return code == STEM_OK ? 0 : 1;
}
