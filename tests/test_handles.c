/*
 * Handles: what derives from one, what each may see and do, how they compose, and that they
 * close in any order. test_open.c has the ways to open one; test_threads.c the threads.
 */
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stem.h"

static const char *location;

static stem_db *open_new(void)
{
    stem_db *db;

    location = path_in(temp_dir(), "db");
    assert_ok(stem_open(&db, location, NULL));
    return db;
}

static void assert_int(stem_db *db, const char *key, int64_t expected)
{
    int64_t value = -1;

    assert_ok(stem_get_int(db, key, &value));
    ck_assert_int_eq(value, expected);
}

static void assert_path(stem_db *db, const char *expected)
{
    char *text = stem_path(db);

    ck_assert_str_eq(text, expected);
    stem_free(text);
}

/* Asserts that the handle refuses every kind of write, and says where. */
static void assert_read_only(stem_db *db)
{
    assert_code(stem_put(db, "k", 1), STEM_EREADONLY);
    assert_code(stem_del(db, "k"), STEM_EREADONLY);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "k"));
    assert_code(stem_compact(db), STEM_EREADONLY);
}

static char *long_name(size_t len)
{
    char *name = calloc(len + 1, 1);

    memset(name, 'n', len);
    return name;
}

static void assert_refused(stem_db *made, int code)
{
    ck_assert_ptr_null(made);
    assert_code(stem_errcode(), code);
    ck_assert_str_ne(stem_errmsg(), "");
}

/* ---- Deriving --------------------------------------------------------------------- */

START_TEST(a_sub_database_is_the_place_under_its_names_however_it_is_reached)
{
    const char *const names[] = {"users", "42", "mail"};
    stem_db *db = open_new();
    stem_db *at_once = stem_sub(db, "users", "42", "mail");
    stem_db *by_list = stem_sub_path(db, names, 3);
    stem_db *first = stem_sub(db, "users"), *second = stem_sub(first, "42");
    stem_db *by_steps = stem_sub(second, "mail");

    assert_ok(stem_put(at_once, "k", 7));
    assert_int(by_list, "k", 7);
    assert_int(by_steps, "k", 7);
    assert_path(by_steps, "users/42/mail");
    assert_path(db, "");
    assert_code(stem_has(second, "k"), STEM_NOTFOUND);
    assert_code(stem_has(second, "mail"), STEM_NOTFOUND);
    assert_ok(stem_close(first));
    assert_ok(stem_close(second));
    assert_ok(stem_close(at_once));
    assert_ok(stem_close(db));
    assert_int(by_steps, "k", 7);
    assert_ok(stem_close(by_steps));
    assert_ok(stem_close(by_list));
}
END_TEST

START_TEST(no_names_give_the_same_place_again)
{
    stem_db *db = open_new();
    stem_db *sub = stem_sub(db, "s");
    stem_db *same_root = stem_sub_path(db, NULL, 0), *same = stem_sub_path(sub, NULL, 0);

    assert_ok(stem_put(same, "k", 1));
    assert_ok(stem_put(same_root, "k", 2));
    assert_int(sub, "k", 1);
    assert_int(db, "k", 2);
    assert_path(same, "s");
    stem_close(same);
    stem_close(same_root);
    stem_close(sub);
    stem_close(db);
}
END_TEST

START_TEST(sub_database_cannot_see_its_sibling_or_its_parent)
{
    stem_db *db = open_new();
    stem_db *a = stem_sub(db, "a"), *ab = stem_sub(db, "ab"), *b = stem_sub(a, "b");
    uint64_t count;

    assert_ok(stem_put(db, "a", 1));
    assert_ok(stem_put(a, "b", 2));
    assert_ok(stem_put(b, "c", 3));
    assert_ok(stem_put(ab, "c", 4));
    assert_int(db, "a", 1);
    assert_int(a, "b", 2);
    assert_code(stem_has(a, "a"), STEM_NOTFOUND);
    assert_code(stem_has(db, "b"), STEM_NOTFOUND);
    assert_ok(stem_del(a, "b"));
    assert_int(b, "c", 3);
    assert_ok(stem_count(ab, NULL, &count));
    ck_assert_uint_eq(count, 1);
    assert_ok(stem_count(a, NULL, &count));
    ck_assert_uint_eq(count, 1);
    stem_close(b);
    stem_close(ab);
    stem_close(a);
    stem_close(db);
}
END_TEST

START_TEST(every_byte_may_stand_in_a_name_and_means_nothing)
{
    stem_db *db = open_new();

    for (int byte = 1; byte < 256; byte++) {
        const char name[] = {(char)byte, 0}, inside[] = {'x', (char)byte, 'y', 0};
        const char *const names[] = {name, inside};
        stem_db *sub = stem_sub_path(db, names, 2);
        char *text = stem_path_format(names, 2);

        assert_ok(stem_put(db, name, byte));
        assert_ok(stem_put(sub, name, 1000 + byte));
        assert_path(sub, text);
        stem_free(text);
        assert_ok(stem_close(sub));
    }
    for (int byte = 1; byte < 256; byte++) {
        const char name[] = {(char)byte, 0}, inside[] = {'x', (char)byte, 'y', 0};
        stem_db *sub = stem_sub(db, name, inside);
        uint64_t count;

        assert_int(db, name, byte);
        assert_int(sub, name, 1000 + byte);
        assert_ok(stem_count(sub, NULL, &count));
        ck_assert_uint_eq(count, 1);
        assert_ok(stem_close(sub));
    }
    stem_close(db);
}
END_TEST

START_TEST(bad_names_are_refused)
{
    char *longest = long_name(STEM_COMPONENT_MAX);
    char *too_long = long_name(STEM_COMPONENT_MAX + 1);
    stem_db *db = open_new();
    stem_db *sub = stem_sub(db, "s", longest);
    int64_t out = 5;

    ck_assert_ptr_nonnull(sub);
    assert_ok(stem_put(sub, longest, 1));
    assert_int(sub, longest, 1);
    const char *const refused[] = {"", NULL, too_long};
    for (int i = 0; i < 3; i++) {
        assert_refused(stem_sub(sub, "fine", refused[i]), STEM_EINVAL);
        assert_refused(stem_sub(sub, refused[i], "fine"), STEM_EINVAL);
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "sub s/nnnn"));
        assert_code(stem_put(sub, refused[i], 1), STEM_EINVAL);
        assert_code(stem_del(sub, refused[i]), STEM_EINVAL);
        assert_code(stem_has(sub, refused[i]), STEM_EINVAL);
        assert_code(stem_get_int(sub, refused[i], &out), STEM_EINVAL);
    }
    ck_assert_int_eq(out, 5);
    assert_refused(stem_sub_path(db, NULL, 1), STEM_EINVAL);
    assert_refused(stem_sub_path(NULL, NULL, 0), STEM_EINVAL);
    assert_refused(stem_read_only(NULL), STEM_EINVAL);
    assert_refused(stem_snapshot(NULL), STEM_EINVAL);
    assert_refused(stem_dup(NULL), STEM_EINVAL);
    ck_assert_ptr_null(stem_path(NULL));
    assert_code(stem_errcode(), STEM_EINVAL);
    assert_ok(stem_close(NULL));
    stem_close(sub);
    stem_close(db);
    free(longest);
    free(too_long);
}
END_TEST

START_TEST(a_path_may_have_exactly_its_limit_and_no_byte_more)
{
    /* 16 names of 4,095 bytes with their separators are one byte short of the limit. */
    char *name = long_name(STEM_COMPONENT_MAX - 1);
    const char *names[17];
    stem_db *db = open_new(), *deep, *deepest, *nearly;

    for (int i = 0; i < 17; i++)
        names[i] = name;
    deep = stem_sub_path(db, names, 15);
    ck_assert_ptr_nonnull(deep);
    assert_ok(stem_put(deep, name, 1));
    assert_int(deep, name, 1);
    char *longest = long_name(STEM_COMPONENT_MAX);
    assert_ok(stem_put(deep, longest, 2)); /* 15 × 4,096 + 4,096 */
    assert_int(deep, longest, 2);
    nearly = stem_sub_path(deep, (const char *const[]){name + 2}, 1);
    assert_ok(stem_put(nearly, "ab", 3));
    assert_code(stem_put(nearly, "abc", 3), STEM_EINVAL);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "65536"));
    deepest = stem_sub(nearly, "ab");
    ck_assert_ptr_nonnull(deepest);
    assert_code(stem_put(deepest, "x", 1), STEM_EINVAL);
    assert_refused(stem_sub(nearly, "abc"), STEM_EINVAL);
    assert_refused(stem_sub_path(db, names, 17), STEM_EINVAL);
    uint64_t count;
    assert_ok(stem_count(db, NULL, &count));
    ck_assert_uint_eq(count, 3);
    stem_close(deepest);
    stem_close(nearly);
    stem_close(deep);
    stem_close(db);
    free(longest);
    free(name);
}
END_TEST

START_TEST(many_names_of_one_byte_make_a_deep_place)
{
    enum { DEPTH = 10000 };
    const char **names = calloc(DEPTH, sizeof *names);
    stem_db *db = open_new();
    stem_db *deep;
    size_t n;

    for (int i = 0; i < DEPTH; i++)
        names[i] = i % 2 ? "a" : "b";
    deep = stem_sub_path(db, names, DEPTH);
    assert_ok(stem_put(deep, "k", 1));
    stem_iter *iter = stem_iter_open(db, NULL);
    ck_assert(stem_iter_next(iter));
    const char *const *path = stem_iter_path(iter, &n);
    ck_assert_uint_eq(n, DEPTH + 1);
    for (int i = 0; i < DEPTH; i++)
        ck_assert_str_eq(path[i], names[i]);
    ck_assert_str_eq(path[DEPTH], "k");
    assert_ok(stem_iter_close(iter));
    stem_close(deep);
    stem_close(db);
    free(names);
}
END_TEST

/* ---- Kinds of handles ------------------------------------------------------------- */

START_TEST(a_read_only_handle_reads_what_others_write)
{
    stem_db *db = open_new();
    stem_db *reader = stem_read_only(db), *sub = stem_sub(reader, "s");
    stem_db *copy = stem_dup(sub), *writer = stem_sub(db, "s");

    assert_ok(stem_put(writer, "n", 1));
    assert_int(sub, "n", 1);
    assert_ok(stem_put(writer, "n", 2));
    assert_int(copy, "n", 2);
    assert_read_only(reader);
    assert_read_only(sub);
    assert_read_only(copy);
    assert_code(stem_has(db, "k"), STEM_NOTFOUND);
    assert_ok(stem_sync(reader));
    stem_close(copy);
    stem_close(writer);
    stem_close(sub);
    stem_close(reader);
    stem_close(db);
}
END_TEST

START_TEST(a_snapshot_stays_as_it_was)
{
    stem_db *db = open_new();
    uint64_t count;

    assert_ok(stem_put(db, "kept", 1));
    assert_ok(stem_put(db, "removed", 2));
    stem_db *frozen = stem_snapshot(db), *again = stem_snapshot(frozen);
    assert_ok(stem_put(db, "kept", 10));
    assert_ok(stem_del(db, "removed"));
    assert_ok(stem_put(db, "added", 3));
    assert_ok(stem_compact(db));
    stem_db *later = stem_snapshot(db);
    stem_db *const old[] = {frozen, again};
    for (int i = 0; i < 2; i++) {
        assert_int(old[i], "kept", 1);
        assert_int(old[i], "removed", 2);
        assert_code(stem_has(old[i], "added"), STEM_NOTFOUND);
        assert_ok(stem_count(old[i], NULL, &count));
        ck_assert_uint_eq(count, 2);
        assert_read_only(old[i]);
    }
    assert_int(later, "kept", 10);
    assert_code(stem_has(later, "removed"), STEM_NOTFOUND);
    stem_close(frozen);
    assert_int(again, "kept", 1);
    stem_close(again);
    stem_close(later);
    stem_close(db);
}
END_TEST

/* Each of these derives from a handle at the place "s" in one way after another. */
static stem_db *compose(stem_db *db, const char *steps)
{
    stem_db *at = stem_dup(db);

    for (; *steps; steps++) {
        stem_db *next = *steps == 's'   ? stem_sub(at, "s")
                        : *steps == 'r' ? stem_read_only(at)
                        : *steps == 'f' ? stem_snapshot(at)
                                        : stem_dup(at);

        ck_assert_ptr_nonnull(next);
        assert_ok(stem_close(at));
        at = next;
    }
    return at;
}

START_TEST(handles_compose_in_every_order)
{
    static const char *const ways[] = {"s",   "sr",  "rs",   "sf",   "fs",   "srf", "sfr",
                                       "rsf", "rfs", "fsr",  "frs",  "sd",   "ds",  "fds",
                                       "dfs", "sfd", "drfs", "sfff", "srrr", "fsfr"};
    enum { N = sizeof ways / sizeof *ways };
    stem_db *db = open_new(), *place = stem_sub(db, "s"), *made[N];

    assert_ok(stem_put(place, "n", 1));
    for (int i = 0; i < N; i++)
        made[i] = compose(db, ways[i]);
    assert_ok(stem_put(place, "n", 2));
    for (int i = 0; i < N; i++) {
        bool is_frozen = strchr(ways[i], 'f');
        bool is_read_only = is_frozen || strchr(ways[i], 'r');

        assert_path(made[i], "s");
        assert_int(made[i], "n", is_frozen ? 1 : 2);
        if (is_read_only)
            assert_read_only(made[i]);
        else
            assert_ok(stem_put(made[i], "other", i));
        assert_ok(stem_close(made[i]));
    }
    stem_close(place);
    stem_close(db);
}
END_TEST

START_TEST(statistics_count_handles_and_iterators)
{
    stem_db *db = open_new(), *sub = stem_sub(db, "s"), *frozen = stem_snapshot(sub);
    stem_iter *iter = stem_iter_open(frozen, NULL);
    stem_statistics stats;

    assert_ok(stem_put(db, "k", 1));
    assert_ok(stem_stats(sub, &stats));
    ck_assert_uint_eq(stats.handles, 4);
    ck_assert_uint_ge(stats.log_files, 1);
    ck_assert_uint_gt(stats.log_bytes, 0);
    ck_assert_uint_gt(stats.memory_bytes, 0);
    ck_assert_uint_eq(stats.repairs, 0);
    assert_ok(stem_iter_close(iter));
    assert_ok(stem_close(frozen));
    assert_ok(stem_close(sub));
    assert_ok(stem_compact(db));
    assert_ok(stem_stats(db, &stats));
    ck_assert_uint_eq(stats.handles, 1);
    ck_assert_uint_ge(stats.table_files, 1);
    ck_assert_uint_gt(stats.table_bytes, 0);
    for (size_t i = 0; i < sizeof stats.reserved / sizeof *stats.reserved; i++)
        ck_assert_uint_eq(stats.reserved[i], 0);
    assert_code(stem_stats(db, NULL), STEM_EINVAL);
    assert_code(stem_stats(NULL, &stats), STEM_EINVAL);
    assert_code(stem_size(db, NULL), STEM_EINVAL);
    assert_code(stem_size(NULL, NULL), STEM_EINVAL);
    assert_code(stem_sync(NULL), STEM_EINVAL);
    assert_code(stem_compact(NULL), STEM_EINVAL);
    stem_close(db);
}
END_TEST

/* ---- Closing ---------------------------------------------------------------------- */

enum { DB, SUB, FROZEN, FROZEN_SUB, WALK, N_THINGS };

typedef struct things {
    stem_db *handles[WALK];
    stem_iter *iter;
} things;

static things open_things(void)
{
    things all;

    all.handles[DB] = open_new();
    all.handles[SUB] = stem_sub(all.handles[DB], "s");
    assert_ok(stem_put(all.handles[SUB], "n", 1));
    assert_ok(stem_put(all.handles[SUB], "o", 2));
    all.handles[FROZEN] = stem_snapshot(all.handles[DB]);
    all.handles[FROZEN_SUB] = stem_sub(all.handles[FROZEN], "s");
    all.iter = stem_iter_open(all.handles[FROZEN_SUB], NULL);
    ck_assert(stem_iter_next(all.iter));
    return all;
}

static void close_thing(things *all, int which)
{
    if (which == WALK) {
        assert_ok(stem_iter_close(all->iter));
        all->iter = NULL;
    } else {
        assert_ok(stem_close(all->handles[which]));
        all->handles[which] = NULL;
    }
}

static void use_things(things *all)
{
    if (all->handles[DB])
        assert_ok(stem_put(all->handles[DB], "k", 1));
    if (all->handles[SUB])
        assert_int(all->handles[SUB], "n", 1);
    if (all->handles[FROZEN])
        assert_code(stem_has(all->handles[FROZEN], "k"), STEM_NOTFOUND);
    if (all->handles[FROZEN_SUB])
        assert_int(all->handles[FROZEN_SUB], "n", 1);
    if (all->iter) {
        ck_assert_str_eq(stem_iter_key(all->iter), "n");
        assert_ok(stem_iter_seek(all->iter, NULL, 0));
        ck_assert(stem_iter_next(all->iter));
    }
}

/* The `number`-th order of so many things. */
static void make_order(int number, int order[N_THINGS])
{
    int left[N_THINGS], n = N_THINGS;

    for (int i = 0; i < N_THINGS; i++)
        left[i] = i;
    for (int i = 0; i < N_THINGS; i++, n--) {
        int pick = number % n;

        number /= n;
        order[i] = left[pick];
        left[pick] = left[n - 1];
    }
}

START_TEST(handles_close_in_every_order_and_the_last_closes_the_engine)
{
    for (int number = 0; number < 120; number++) {
        things all = open_things();
        int order[N_THINGS];

        make_order(number, order);
        for (int i = 0; i < N_THINGS; i++) {
            use_things(&all);
            assert_code(stem_destroy(location), STEM_ELOCKED);
            close_thing(&all, order[i]);
        }
        assert_ok(stem_destroy(location));
    }
}
END_TEST

typedef struct closing {
    things *all;
    int which;
    pthread_barrier_t *start;
} closing;

static void *close_in_thread(void *argument)
{
    const closing *mine = argument;

    pthread_barrier_wait(mine->start);
    close_thing(mine->all, mine->which);
    return NULL;
}

START_TEST(handles_close_from_several_threads_at_once)
{
    for (int round = 0; round < 50; round++) {
        things all = open_things();
        pthread_barrier_t start;
        pthread_t threads[N_THINGS];
        closing each[N_THINGS];

        pthread_barrier_init(&start, NULL, N_THINGS);
        for (int i = 0; i < N_THINGS; i++) {
            each[i] = (closing){&all, i, &start};
            pthread_create(&threads[i], NULL, close_in_thread, &each[i]);
        }
        for (int i = 0; i < N_THINGS; i++)
            pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&start);
        assert_ok(stem_destroy(location));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handles");
    TCase *deriving = add_case(suite, "deriving", 30);
    TCase *kinds = add_case(suite, "kinds", 30);
    TCase *closes = add_case(suite, "closing", 60);

    tcase_add_test(deriving,
                   a_sub_database_is_the_place_under_its_names_however_it_is_reached);
    tcase_add_test(deriving, no_names_give_the_same_place_again);
    tcase_add_test(deriving, sub_database_cannot_see_its_sibling_or_its_parent);
    tcase_add_test(deriving, every_byte_may_stand_in_a_name_and_means_nothing);
    tcase_add_test(deriving, bad_names_are_refused);
    tcase_add_test(deriving, a_path_may_have_exactly_its_limit_and_no_byte_more);
    tcase_add_test(deriving, many_names_of_one_byte_make_a_deep_place);
    tcase_add_test(kinds, a_read_only_handle_reads_what_others_write);
    tcase_add_test(kinds, a_snapshot_stays_as_it_was);
    tcase_add_test(kinds, handles_compose_in_every_order);
    tcase_add_test(kinds, statistics_count_handles_and_iterators);
    tcase_add_test(closes, handles_close_in_every_order_and_the_last_closes_the_engine);
    tcase_add_test(closes, handles_close_from_several_threads_at_once);
    return run_suite(suite);
}
