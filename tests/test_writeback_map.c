/*
 * The map that write-back finds its kept values in: whatever was added and not removed is found,
 * and nothing else, also where hashes meet.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/writeback_map.h"
#include "random.h"
#include "support.h"

enum { KEYS = 400, STEPS = 100000 };

static wb_cached *make_item(int number, uint64_t hash)
{
    char name[16];
    const int len = snprintf(name, sizeof name, "%d", number);
    wb_cached *made = calloc(1, sizeof *made + sizeof name);

    ck_assert_ptr_nonnull(made);
    made->hash = hash;
    made->key_len = (uint32_t)len;
    memcpy(made->bytes, name, (size_t)len);
    return made;
}

static stem_slice key_of(const wb_cached *item)
{
    return (stem_slice){item->bytes, item->key_len};
}

/* With so few hashes, some of them at the end of the places, that rows grow long and go round. */
START_TEST(what_was_added_and_not_removed_is_found)
{
    const uint64_t hashes = (uint64_t)_i;
    wb_cached *items[KEYS];
    bool is_there[KEYS] = {false};
    wb_map map = {NULL, 0, 0};

    random_start();
    for (int i = 0; i < KEYS; i++)
        items[i] = make_item(i, UINT64_MAX - (uint64_t)i % hashes);
    for (int step = 0; step < STEPS; step++) {
        const uint32_t at = random_below(KEYS), seen = random_below(KEYS);

        if (is_there[at])
            stem_wb_map_remove(&map, items[at]);
        else
            ck_assert(stem_wb_map_add(&map, items[at]));
        is_there[at] = !is_there[at];
        ck_assert_ptr_eq(stem_wb_map_find(&map, key_of(items[seen]), items[seen]->hash),
                         is_there[seen] ? items[seen] : NULL);
    }
    for (int i = 0; i < KEYS; i++)
        ck_assert_ptr_eq(stem_wb_map_find(&map, key_of(items[i]), items[i]->hash),
                         is_there[i] ? items[i] : NULL);
    for (int i = 0; i < KEYS; i++)
        free(items[i]);
    stem_wb_map_free(&map);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("write-back, map");
    TCase *tcase = add_case(suite, "map", 60);

    tcase_add_loop_test(tcase, what_was_added_and_not_removed_is_found, 1, 2);
    tcase_add_loop_test(tcase, what_was_added_and_not_removed_is_found, 13, 14);
    tcase_add_loop_test(tcase, what_was_added_and_not_removed_is_found, KEYS, KEYS + 1);
    return run_suite(suite);
}
