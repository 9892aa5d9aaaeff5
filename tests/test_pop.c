/*
 * Taking the first or the last entries: in order, each once, and never one that is not the
 * first when it is taken.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"

static stem_db *root, *db;
static stem_entry *entries;
static size_t count;

static void open_place(void)
{
    root = new_database();
    db = stem_sub(root, "queue");
}

static void close_place(void)
{
    assert_ok(stem_close(db));
    assert_ok(stem_close(root));
}

typedef int pop_fn(stem_db *, const stem_range *, size_t, stem_entry **, size_t *);

/* Takes some and compares their text with what is expected: "a=1 b/c=2". */
static void assert_taken(pop_fn *pop, stem_db *from, size_t n, const char *expected)
{
    char text[500] = "";
    size_t len = 0;

    assert_ok(pop(from, NULL, n, &entries, &count));
    for (size_t i = 0; i < count; i++) {
        char *path = stem_path_format(entries[i].names, entries[i].n_names);

        ck_assert_int_eq(entries[i].value.type, STEM_INT);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s=%lld", i ? " " : "",
                                path, (long long)entries[i].value.as.integer);
        stem_free(path);
    }
    stem_entries_free(entries, count);
    ck_assert_str_eq(text, expected);
}

static void put_letters(const char *letters)
{
    for (const char *each = letters; *each; each++)
        assert_ok(stem_put(db, ((char[]){*each, '\0'}), (int)(each - letters)));
}

START_TEST(the_first_come_in_order_and_are_gone)
{
    put_letters("abcde");
    assert_taken(stem_pop_first, db, 1, "a=0");
    assert_taken(stem_pop_first, db, 2, "b=1 c=2");
    assert_contents(db, "d=3 e=4");
}
END_TEST

START_TEST(the_last_come_last_first_and_are_gone)
{
    put_letters("abcde");
    assert_taken(stem_pop_last, db, 1, "e=4");
    assert_taken(stem_pop_last, db, 2, "d=3 c=2");
    assert_contents(db, "a=0 b=1");
}
END_TEST

START_TEST(fewer_than_asked_for_are_all)
{
    put_letters("abc");
    assert_taken(stem_pop_first, db, 4, "a=0 b=1 c=2");
    put_letters("abc");
    assert_taken(stem_pop_last, db, SIZE_MAX, "c=2 b=1 a=0");
    put_letters("abc");
    assert_taken(stem_pop_first, db, 3, "a=0 b=1 c=2");
    assert_contents(db, "");
}
END_TEST

START_TEST(nothing_there_is_not_found)
{
    assert_ok(stem_put(root, "queue", 1));
    assert_ok(stem_put(root, "other", 1));
    entries = (stem_entry *)&count;
    count = 42;
    assert_code(stem_pop_first(db, NULL, 1, &entries, &count), STEM_NOTFOUND);
    assert_code(stem_pop_last(db, NULL, 5, &entries, &count), STEM_NOTFOUND);
    ck_assert_ptr_eq(entries, &count);
    ck_assert_uint_eq(count, 42);
    assert_contents(root, "other=1 queue=1");
}
END_TEST

START_TEST(paths_are_those_below_the_handle)
{
    stem_db *deep = stem_sub(db, "b", "x/y", "z");

    assert_ok(stem_put(db, "a", 1));
    assert_ok(stem_put(db, "b", 2));
    assert_ok(stem_put(deep, "k", 3));
    assert_ok(stem_put(db, "c", 4));
    assert_ok(stem_pop_first(db, NULL, 3, &entries, &count));
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(entries[0].n_names, 1);
    ck_assert_uint_eq(entries[2].n_names, 4);
    ck_assert_str_eq(entries[2].names[0], "b");
    ck_assert_str_eq(entries[2].names[1], "x/y");
    ck_assert_str_eq(entries[2].names[2], "z");
    ck_assert_str_eq(entries[2].names[3], "k");
    stem_entries_free(entries, count);

    assert_ok(stem_put(deep, "k", 3));
    assert_taken(stem_pop_last, db, 2, "c=4 b/x\\/y/z/k=3");
    assert_ok(stem_put(deep, "k", 3));
    assert_taken(stem_pop_first, deep, 2, "k=3");
    assert_ok(stem_close(deep));
}
END_TEST

START_TEST(the_opened_database_is_a_place_like_any)
{
    assert_ok(stem_put(db, "a", 1));
    assert_ok(stem_put(root, "\x01", 2));
    assert_ok(stem_put(root, "\xff", 3));
    assert_taken(stem_pop_last, root, 1, "\\xFF=3");
    assert_taken(stem_pop_first, root, 5, "\\x01=2 queue/a=1");
    assert_code(stem_pop_last(root, NULL, 1, &entries, &count), STEM_NOTFOUND);
}
END_TEST

START_TEST(names_that_begin_alike_do_not_mix)
{
    stem_db *longer = stem_sub(root, "queue\x01"), *shorter = stem_sub(root, "queu");

    assert_ok(stem_put(longer, "a", 1));
    assert_ok(stem_put(shorter, "z", 2));
    assert_ok(stem_put(db, "m", 3));
    assert_taken(stem_pop_first, db, 9, "m=3");
    assert_ok(stem_put(db, "m", 3));
    assert_taken(stem_pop_last, db, 9, "m=3");
    assert_contents(root, "queu/z=2 queue\\x01/a=1");
    assert_ok(stem_close(shorter));
    assert_ok(stem_close(longer));
}
END_TEST

START_TEST(values_of_every_size_and_type_are_owned)
{
    enum { LARGE = 2 << 20 };
    const double numbers[] = {1, 2, 3};
    char *large = calloc(1, LARGE);

    assert_ok(stem_put(db, "array", stem_vec(numbers, 3)));
    assert_ok(stem_put(db, "large", stem_bin(large, LARGE)));
    assert_ok(stem_put(db, "nil", stem_nil()));
    assert_ok(stem_put(db, "str", ""));
    assert_ok(stem_pop_first(db, NULL, 9, &entries, &count));
    ck_assert_uint_eq(count, 4);
    ck_assert_uint_eq((uintptr_t)entries[0].value.as.array.data % sizeof(double), 0);
    ck_assert(((const double *)entries[0].value.as.array.data)[2] == 3);
    ck_assert_uint_eq(entries[1].value.as.bin.len, LARGE);
    ck_assert_mem_eq(entries[1].value.as.bin.data, large, LARGE);
    ck_assert_int_eq(entries[2].value.type, STEM_NIL);
    ck_assert_str_eq(entries[3].value.as.str.data, "");
    assert_ok(stem_close(db));
    db = stem_sub(root, "queue");
    stem_entries_free(entries, count);
    free(large);
}
END_TEST

START_TEST(thousands_are_taken_in_one_commit)
{
    enum { N = 5000 };
    char key[8];

    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "%05d", i);
        assert_ok(stem_put(db, key, i));
    }
    assert_ok(stem_pop_last(db, NULL, N - 1, &entries, &count));
    ck_assert_uint_eq(count, N - 1);
    for (int i = 0; i < N - 1; i++)
        ck_assert_int_eq(entries[i].value.as.integer, N - 1 - i);
    stem_entries_free(entries, count);
    assert_contents(db, "00000=0");
}
END_TEST

START_TEST(bad_calls_take_nothing)
{
    stem_db *reader = stem_read_only(db), *frozen = stem_snapshot(db);

    put_letters("ab");
    assert_failure(stem_pop_first(NULL, NULL, 1, &entries, &count), STEM_EINVAL);
    assert_failure(stem_pop_first(reader, NULL, 0, &entries, &count), STEM_EREADONLY);
    assert_failure(stem_pop_first(db, NULL, 1, NULL, &count), STEM_EINVAL);
    assert_failure(stem_pop_first(db, NULL, 1, &entries, NULL), STEM_EINVAL);
    assert_failure(stem_pop_first(reader, NULL, 1, &entries, &count), STEM_EREADONLY);
    assert_failure(stem_pop_last(NULL, NULL, 1, &entries, &count), STEM_EINVAL);
    assert_failure(stem_pop_last(db, NULL, 0, NULL, &count), STEM_EINVAL);
    assert_failure(stem_pop_last(db, NULL, 1, NULL, &count), STEM_EINVAL);
    assert_failure(stem_pop_last(db, NULL, 1, &entries, NULL), STEM_EINVAL);
    assert_failure(stem_pop_last(frozen, NULL, 1, &entries, &count), STEM_EREADONLY);
    assert_contents(db, "a=0 b=1");
    stem_entries_free(NULL, 3);
    assert_ok(stem_close(frozen));
    assert_ok(stem_close(reader));
}
END_TEST

START_TEST(a_synced_handle_syncs_what_is_taken)
{
    stem_db *durable;

    if (!last_location())
        return; /* a database in memory is opened once */
    put_letters("ab");
    assert_ok(stem_open(&durable, last_location(), STEM_OPTIONS(.sync = true)));
    unsigned before = files_synced();
    assert_taken(stem_pop_first, durable, 1, "queue/a=0");
    ck_assert_uint_gt(files_synced(), before);
    assert_ok(stem_close(durable));
}
END_TEST

/* ---- While others insert ---------------------------------------------------------- */

enum { N_INSERTS = 3000 };
static atomic_int newest; /* the number inserted last; each goes before all older ones */
static bool at_the_end;

/* Later numbers go to the front, or to the end. */
static const char *key_of(int number, char key[8])
{
    snprintf(key, 8, "%05d", at_the_end ? number : N_INSERTS - number);
    return key;
}

static void *insert_before_all(void *unused)
{
    char key[8];

    (void)unused;
    for (int number = 1; number <= N_INSERTS; number++) {
        assert_ok(stem_insert(db, key_of(number, key), number));
        atomic_store(&newest, number);
    }
    return NULL;
}

/* Of all below the handle, and of a range with entries before it and behind. */
START_TEST(what_is_taken_is_first_even_while_others_insert_before_it)
{
    static bool is_taken[N_INSERTS + 1];
    const bool has_range = _i & 2;
    const stem_range digits = {.gte = "0", .lt = ":"};
    pthread_t inserter;
    int n_taken = 0;

    at_the_end = _i & 1;
    if (has_range) {
        assert_ok(stem_put(db, "!", 0));
        assert_ok(stem_put(db, "~", 0));
    }
    ck_assert_int_eq(pthread_create(&inserter, NULL, insert_before_all, NULL), 0);
    while (n_taken < N_INSERTS) {
        size_t wanted = 1 + (size_t)n_taken % 3;
        int before = atomic_load(&newest);
        int code = (at_the_end ? stem_pop_last : stem_pop_first)(
            db, has_range ? &digits : NULL, wanted, &entries, &count);

        if (code == STEM_NOTFOUND) {
            ck_assert_msg(before == 0 || is_taken[before], "%d was there", before);
            continue;
        }
        assert_ok(code);
        ck_assert_uint_le(count, wanted);
        for (size_t i = 0; i < count; i++) {
            int number = (int)entries[i].value.as.integer;

            ck_assert_msg(!is_taken[number], "%d was taken twice", number);
            if (i == 0 && before > 0 && !is_taken[before])
                ck_assert_int_ge(number, before);
            if (i > 0)
                ck_assert_int_lt(number, (int)entries[i - 1].value.as.integer);
            is_taken[number] = true;
            n_taken++;
        }
        stem_entries_free(entries, count);
    }
    pthread_join(inserter, NULL);
    assert_contents(db, has_range ? "!=0 ~=0" : "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pop");
    TCase *pop = add_case(suite, "pop", 120);

    tcase_add_checked_fixture(pop, open_place, close_place);
    tcase_add_test(pop, the_first_come_in_order_and_are_gone);
    tcase_add_test(pop, the_last_come_last_first_and_are_gone);
    tcase_add_test(pop, fewer_than_asked_for_are_all);
    tcase_add_test(pop, nothing_there_is_not_found);
    tcase_add_test(pop, paths_are_those_below_the_handle);
    tcase_add_test(pop, the_opened_database_is_a_place_like_any);
    tcase_add_test(pop, names_that_begin_alike_do_not_mix);
    tcase_add_test(pop, values_of_every_size_and_type_are_owned);
    tcase_add_test(pop, thousands_are_taken_in_one_commit);
    tcase_add_test(pop, bad_calls_take_nothing);
    tcase_add_test(pop, a_synced_handle_syncs_what_is_taken);
    tcase_add_loop_test(pop, what_is_taken_is_first_even_while_others_insert_before_it, 0,
                        2);
    return run_suite(suite);
}
