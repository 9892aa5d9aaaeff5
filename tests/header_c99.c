/*
 * stem.h in C99, where there is no stem_put and every function is called by its name.
 */
#include <stem.h>

int main(void)
{
    const float floats[] = {0.5F, 1.5F};
    stem_value array = stem_array1(STEM_F32, floats, 2), read;
    stem_db *db = NULL, *sub = NULL;
    stem_iter *it;
    int64_t n = 0;
    int entries = 0, is_right;

    is_right = stem_open(&db, "mem:", STEM_OPTIONS(.cache_bytes = 1 << 20)) == STEM_OK &&
               (sub = stem_sub(db, "a", "b")) != NULL &&
               stem_put_value(sub, "n", stem_int(7)) == STEM_OK &&
               stem_put_value(sub, "array", array) == STEM_OK &&
               stem_get_int(sub, "n", &n) == STEM_OK && n == 7 &&
               stem_get_array(sub, "array", STEM_F32, &read) == STEM_OK;
    if (is_right)
        stem_value_free(&read);

    it = stem_iter_open(db, STEM_RANGE(.prefix = "a", .keys_only = true));
    while (stem_iter_next(it))
        entries++;
    is_right = is_right && stem_iter_close(it) == STEM_OK && entries == 2;

    stem_close(sub);
    stem_close(db);
    return is_right ? 0 : 1;
}
