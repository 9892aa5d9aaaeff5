/*
 * Atomic operations on one key, one thread at a time: what each does with a key that holds
 * nothing, the right thing, or something else, and what is refused.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"

static stem_db *root, *db;

static void open_place(void)
{
    root = new_database();
    db = stem_sub(root, "place");
}

static void close_place(void)
{
    assert_ok(stem_close(db));
    assert_ok(stem_close(root));
}

static void assert_same_value(stem_value a, stem_value b)
{
    size_t a_len, b_len;
    void *a_bytes = stem_encode(&a, &a_len), *b_bytes = stem_encode(&b, &b_len);

    ck_assert_uint_eq(a_len, b_len);
    ck_assert_mem_eq(a_bytes, b_bytes, a_len);
    stem_free(a_bytes);
    stem_free(b_bytes);
}

static void assert_key_holds(const char *key, stem_value expected)
{
    stem_value value;

    assert_ok(stem_get(db, key, &value));
    assert_same_value(value, expected);
    stem_value_free(&value);
}

/* One value of each type. */
enum { N_TYPES = STEM_EXT + 1 };
static stem_value sample(int type)
{
    static const double numbers[] = {1.5, -2, 3};
    static const unsigned char list[] = {0x92, 1, 2}, map[] = {0x81, 0xa1, 'k', 1};
    const stem_value samples[N_TYPES] = {
        [STEM_NIL] = stem_nil(),
        [STEM_BOOL] = stem_bool(true),
        [STEM_INT] = stem_int(-7),
        [STEM_UINT] = stem_uint(UINT64_MAX),
        [STEM_FLOAT] = stem_float(0.5),
        [STEM_STR] = stem_strn("a\0b", 3),
        [STEM_BIN] = stem_bin("bytes", 5),
        [STEM_TIME] = stem_time(12, 34),
        [STEM_ARRAY] = stem_vec(numbers, 3),
        [STEM_LIST] = stem_packed(list, sizeof list),
        [STEM_MAP] = stem_packed(map, sizeof map),
        [STEM_EXT] = stem_ext(5, "ext", 3),
    };

    return samples[type];
}

/* ---- Insert, replace, get or put -------------------------------------------------- */

START_TEST(insert_stores_only_where_nothing_is)
{
    for (int type = 0; type < N_TYPES; type++) {
        const char *key = stem_type_name(type);

        assert_ok(stem_insert(db, key, sample(type)));
        assert_key_holds(key, sample(type));
        assert_code(stem_insert(db, key, "another"), STEM_EXISTS);
        assert_key_holds(key, sample(type));
    }
    assert_ok(stem_del(db, "int"));
    assert_ok(stem_insert(db, "int", 8));
    assert_key_holds("int", stem_int(8));
}
END_TEST

START_TEST(insert_looks_at_the_key_and_not_below_it)
{
    assert_ok(stem_put(db, "key", 1));
    assert_ok(stem_insert(root, "place", 2));
    assert_contents(root, "place=2 place/key=1");
}
END_TEST

START_TEST(replace_stores_only_where_something_is)
{
    assert_code(stem_replace(db, "key", 1), STEM_NOTFOUND);
    assert_contents(db, "");
    for (int type = 0; type < N_TYPES; type++) {
        assert_ok(stem_put(db, "key", sample(type)));
        assert_ok(stem_replace(db, "key", sample((type + 1) % N_TYPES)));
        assert_key_holds("key", sample((type + 1) % N_TYPES));
    }
    assert_code(stem_replace(root, "place", 1), STEM_NOTFOUND);
}
END_TEST

START_TEST(get_or_put_gives_what_the_key_then_holds)
{
    stem_value now;

    for (int type = 0; type < N_TYPES; type++) {
        const char *key = stem_type_name(type);

        assert_ok(stem_get_or_put(db, key, sample(type), &now));
        assert_same_value(now, sample(type));
        stem_value_free(&now);
        assert_ok(stem_get_or_put(db, key, "another", &now));
        assert_same_value(now, sample(type));
        stem_value_free(&now);
        assert_key_holds(key, sample(type));
    }
}
END_TEST

START_TEST(get_or_put_gives_nothing_where_nobody_asks)
{
    assert_ok(stem_get_or_put(db, "key", 1, NULL));
    assert_ok(stem_get_or_put(db, "key", 2, NULL));
    assert_contents(db, "key=1");
}
END_TEST

START_TEST(what_get_or_put_gives_is_owned)
{
    char text[] = "text";
    const float numbers[] = {1, 2, 3};
    stem_value now;

    assert_ok(stem_get_or_put(db, "text", text, &now));
    memset(text, 'x', 4);
    assert_ok(stem_put(db, "text", "changed"));
    ck_assert_str_eq(now.as.str.data, "text");
    stem_value_free(&now);

    assert_ok(stem_get_or_put(db, "array", stem_vec(numbers, 3), &now));
    ck_assert_int_eq(now.type, STEM_ARRAY);
    ck_assert_ptr_ne(now.as.array.data, numbers);
    ck_assert_uint_eq((uintptr_t)now.as.array.data % sizeof(float), 0);
    ck_assert(((const float *)now.as.array.data)[2] == 3);
    stem_value_free(&now);
}
END_TEST

/* ---- Compare and set -------------------------------------------------------------- */

START_TEST(cas_stores_only_over_exactly_what_was_expected)
{
    for (int type = 0; type < N_TYPES; type++) {
        assert_ok(stem_put(db, "key", sample(type)));
        for (int other = 0; other < N_TYPES; other++) {
            if (other == type)
                continue;
            assert_code(stem_cas(db, "key", sample(other), "new"), STEM_CONFLICT);
            assert_key_holds("key", sample(type));
        }
        assert_ok(stem_cas(db, "key", sample(type), "new"));
        assert_key_holds("key", stem_str("new"));
    }
}
END_TEST

START_TEST(cas_compares_stored_forms)
{
    assert_ok(stem_put(db, "key", 1));
    assert_code(stem_cas(db, "key", 1.0, 2), STEM_CONFLICT);
    assert_code(stem_cas(db, "key", stem_bool(true), 2), STEM_CONFLICT);
    assert_ok(stem_cas(db, "key", 1u, 2.0));
    assert_code(stem_cas(db, "key", 2, 3), STEM_CONFLICT);
    assert_ok(stem_cas(db, "key", 2.0, stem_float(NAN)));
    assert_ok(stem_cas(db, "key", stem_float(NAN), 0.0));
    assert_code(stem_cas(db, "key", -0.0, 3), STEM_CONFLICT);
    assert_ok(stem_cas(db, "key", 0.0, 0.0));
    assert_contents(db, "key=0f");
}
END_TEST

START_TEST(cas_of_an_absent_key_is_a_conflict)
{
    assert_code(stem_cas(db, "key", stem_nil(), 1), STEM_CONFLICT);
    assert_ok(stem_put(root, "key", 1));
    assert_code(stem_cas(db, "key", 1, 2), STEM_CONFLICT);
    assert_contents(root, "key=1");
}
END_TEST

START_TEST(large_values_are_compared_to_the_last_byte)
{
    enum { SIZE = 3 << 20 };
    char *a = calloc(1, SIZE), *b = calloc(1, SIZE);

    b[SIZE - 1] = 1;
    assert_ok(stem_put(db, "key", stem_bin(a, SIZE)));
    assert_code(stem_cas(db, "key", stem_bin(b, SIZE), 1), STEM_CONFLICT);
    assert_ok(stem_cas(db, "key", stem_bin(a, SIZE), stem_bin(b, SIZE)));
    assert_key_holds("key", stem_bin(b, SIZE));
    free(a);
    free(b);
}
END_TEST

/* ---- Counters --------------------------------------------------------------------- */

START_TEST(incr_adds_to_an_integer_or_to_the_initial_one)
{
    int64_t now;

    assert_ok(stem_incr(db, "n", 5, 100, &now));
    ck_assert_int_eq(now, 105);
    assert_ok(stem_incr(db, "n", -7, 100, &now));
    ck_assert_int_eq(now, 98);
    assert_ok(stem_incr(db, "n", 0, 100, &now));
    ck_assert_int_eq(now, 98);
    assert_ok(stem_incr(db, "n", 1, 100, NULL));
    assert_ok(stem_incr(db, "zero", 0, 0, NULL));
    assert_contents(db, "n=99 zero=0");
}
END_TEST

START_TEST(incr_reaches_both_ends_and_no_further)
{
    const struct {
        int64_t before, delta;
        bool fits;
    } cases[] = {
        {INT64_MAX - 1, 1, true},      {INT64_MAX, 1, false},
        {INT64_MAX, INT64_MAX, false}, {INT64_MAX, INT64_MIN, true},
        {INT64_MIN + 1, -1, true},     {INT64_MIN, -1, false},
        {INT64_MIN, INT64_MIN, false}, {INT64_MIN, INT64_MAX, true},
        {0, INT64_MIN, true},          {-1, INT64_MIN, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t before = cases[i].before, delta = cases[i].delta;

        for (int is_initial = 0; is_initial < 2; is_initial++) {
            int64_t now = 42;

            assert_ok(stem_del(db, "n"));
            if (!is_initial)
                assert_ok(stem_put(db, "n", before));
            int code = stem_incr(db, "n", delta, before, &now);
            if (cases[i].fits) {
                ck_assert_int_eq(code, STEM_OK);
                ck_assert_int_eq(now, before + delta);
                assert_key_holds("n", stem_int(now));
                continue;
            }
            assert_failure(code, STEM_ERANGE);
            ck_assert_int_eq(now, 42);
            if (is_initial)
                assert_contents(db, "");
            else
                assert_key_holds("n", stem_int(before));
        }
    }
}
END_TEST

START_TEST(incr_of_an_integer_above_int64_fits_when_its_sum_does)
{
    const uint64_t above = (uint64_t)INT64_MAX + 1;
    int64_t now = 42;

    assert_ok(stem_put(db, "n", above));
    assert_failure(stem_incr(db, "n", 0, 0, &now), STEM_ERANGE);
    assert_failure(stem_incr(db, "n", 1, 0, &now), STEM_ERANGE);
    ck_assert_int_eq(now, 42);
    assert_key_holds("n", stem_uint(above));
    assert_ok(stem_incr(db, "n", -1, 0, &now));
    ck_assert_int_eq(now, INT64_MAX);

    assert_ok(stem_put(db, "n", UINT64_MAX));
    assert_failure(stem_incr(db, "n", INT64_MIN + 1, 0, &now), STEM_ERANGE);
    assert_failure(stem_incr(db, "n", INT64_MAX, 0, &now), STEM_ERANGE);
    assert_key_holds("n", stem_uint(UINT64_MAX));
    assert_ok(stem_incr(db, "n", INT64_MIN, 0, &now));
    ck_assert_int_eq(now, INT64_MAX);
}
END_TEST

START_TEST(incr_of_another_type_changes_nothing)
{
    int64_t now = 42;

    for (int type = 0; type < N_TYPES; type++) {
        if (type == STEM_INT || type == STEM_UINT)
            continue;
        assert_ok(stem_put(db, "n", sample(type)));
        assert_failure(stem_incr(db, "n", 1, 0, &now), STEM_ETYPE);
        assert_key_holds("n", sample(type));
    }
    assert_ok(stem_put(db, "n", 3.0));
    assert_failure(stem_incr(db, "n", 1, 0, &now), STEM_ETYPE);
    ck_assert_int_eq(now, 42);
}
END_TEST

START_TEST(incr_float_adds_to_a_number_and_stores_a_float)
{
    double now;

    assert_ok(stem_incr_float(db, "absent", 0.5, 1.25, &now));
    ck_assert(now == 1.75);
    assert_ok(stem_incr_float(db, "absent", -2, 100, NULL));
    assert_key_holds("absent", stem_float(-0.25));
    assert_ok(stem_put(db, "int", 3));
    assert_ok(stem_incr_float(db, "int", 0, 100, &now));
    ck_assert(now == 3);
    assert_key_holds("int", stem_float(3));
    assert_ok(stem_put(db, "uint", (uint64_t)1 << 63));
    assert_ok(stem_incr_float(db, "uint", 0, 0, &now));
    assert_key_holds("uint", stem_float(9223372036854775808.0));
}
END_TEST

START_TEST(incr_float_refuses_what_is_not_exact_finite_or_a_number)
{
    const struct {
        stem_value before;
        double delta;
        int code;
    } cases[] = {
        {stem_int((INT64_C(1) << 53) + 1), 0, STEM_ERANGE},
        {stem_uint(UINT64_MAX), 0, STEM_ERANGE},
        {stem_float(1), NAN, STEM_ERANGE},
        {stem_float(1), INFINITY, STEM_ERANGE},
        {stem_float(1), -INFINITY, STEM_ERANGE},
        {stem_float(INFINITY), 1, STEM_ERANGE},
        {stem_float(NAN), 1, STEM_ERANGE},
        {stem_float(1.7e308), 1.7e308, STEM_ERANGE},
        {stem_float(-1.7e308), -1.7e308, STEM_ERANGE},
        {stem_bool(true), 1, STEM_ETYPE},
        {stem_str("1"), 1, STEM_ETYPE},
        {stem_nil(), 1, STEM_ETYPE},
        {sample(STEM_ARRAY), 1, STEM_ETYPE},
        {sample(STEM_TIME), 1, STEM_ETYPE},
    };
    double now = 42;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(stem_put(db, "x", cases[i].before));
        assert_failure(stem_incr_float(db, "x", cases[i].delta, 0, &now), cases[i].code);
        assert_key_holds("x", cases[i].before);
    }
    assert_failure(stem_incr_float(db, "absent", 1, INFINITY, &now), STEM_ERANGE);
    assert_failure(stem_incr_float(db, "absent", NAN, 1, &now), STEM_ERANGE);
    assert_code(stem_has(db, "absent"), STEM_NOTFOUND);
    ck_assert(now == 42);
}
END_TEST

/* ---- Pop -------------------------------------------------------------------------- */

START_TEST(pop_gives_what_the_key_held_and_removes_it)
{
    stem_value value;

    for (int type = 0; type < N_TYPES; type++) {
        assert_ok(stem_put(db, "key", sample(type)));
        assert_ok(stem_pop(db, "key", &value));
        assert_same_value(value, sample(type));
        stem_value_free(&value);
        assert_code(stem_pop(db, "key", &value), STEM_NOTFOUND);
    }
    assert_contents(db, "");
}
END_TEST

START_TEST(pop_leaves_what_lies_below_the_key)
{
    stem_value value;

    assert_ok(stem_put(root, "place", "own"));
    assert_ok(stem_put(db, "key", 1));
    assert_ok(stem_pop(root, "place", &value));
    ck_assert_str_eq(value.as.str.data, "own");
    stem_value_free(&value);
    assert_contents(root, "place/key=1");
    assert_code(stem_pop(root, "place", &value), STEM_NOTFOUND);
}
END_TEST

/* ---- What is refused -------------------------------------------------------------- */

static int keep(void *context, const stem_value *current, stem_value *next)
{
    (void)context;
    (void)current;
    (void)next;
    return STEM_UPDATE_KEEP;
}

enum { N_CALLS = 8 };

/* The operations by number, each of which would change a key that holds the integer 1. */
static int call(int number, stem_db *handle, const char *key)
{
    stem_value value;
    int code = 0;

    switch (number) {
    case 0:
        return stem_insert(handle, key, 2);
    case 1:
        return stem_replace(handle, key, 2);
    case 2:
        code = stem_get_or_put(handle, key, 2, &value);
        break;
    case 3:
        return stem_cas(handle, key, 1, 2);
    case 4:
        return stem_incr(handle, key, 1, 0, NULL);
    case 5:
        return stem_incr_float(handle, key, 1, 0, NULL);
    case 6:
        code = stem_pop(handle, key, &value);
        break;
    default:
        return stem_update(handle, key, keep, NULL);
    }
    if (code == STEM_OK)
        stem_value_free(&value);
    return code;
}

START_TEST(bad_handles_and_names_are_refused_by_all)
{
    stem_db *reader = stem_read_only(db), *frozen = stem_snapshot(db);

    assert_ok(stem_put(db, "key", 1));
    for (int i = 0; i < N_CALLS; i++) {
        assert_failure(call(i, NULL, "key"), STEM_EINVAL);
        assert_failure(call(i, db, NULL), STEM_EINVAL);
        assert_failure(call(i, db, ""), STEM_EINVAL);
        assert_failure(call(i, db, too_long_name), STEM_EINVAL);
        assert_failure(call(i, reader, "key"), STEM_EREADONLY);
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "place/key"));
        assert_failure(call(i, frozen, "key"), STEM_EREADONLY);
    }
    assert_contents(db, "key=1");
    assert_ok(stem_close(reader));
    assert_ok(stem_close(frozen));
}
END_TEST

START_TEST(bad_values_are_refused_and_change_nothing)
{
    const stem_value bad = stem_packed("\xc1", 1);
    stem_value now = stem_int(42);

    assert_ok(stem_put(db, "key", 1));
    assert_failure(stem_insert(db, "absent", bad), STEM_EINVAL);
    assert_failure(stem_insert(db, "key", bad), STEM_EINVAL);
    assert_failure(stem_replace(db, "key", bad), STEM_EINVAL);
    assert_failure(stem_replace(db, "absent", bad), STEM_EINVAL);
    assert_failure(stem_get_or_put(db, "absent", bad, &now), STEM_EINVAL);
    assert_failure(stem_get_or_put(db, "key", bad, &now), STEM_EINVAL);
    assert_failure(stem_cas(db, "key", bad, 1), STEM_EINVAL);
    assert_failure(stem_cas(db, "key", 1, bad), STEM_EINVAL);
    assert_failure(stem_pop(db, "key", NULL), STEM_EINVAL);
    assert_failure(stem_update(db, "key", NULL, NULL), STEM_EINVAL);
    ck_assert_int_eq(now.as.integer, 42);
    assert_contents(db, "key=1");
}
END_TEST

START_TEST(answers_set_no_error)
{
    stem_value value;

    assert_failure(stem_put(db, "", 1), STEM_EINVAL);
    char *before = strdup(stem_errmsg());
    assert_ok(stem_put(db, "key", 1));
    assert_code(stem_insert(db, "key", 1), STEM_EXISTS);
    assert_code(stem_replace(db, "absent", 1), STEM_NOTFOUND);
    assert_code(stem_cas(db, "key", 2, 3), STEM_CONFLICT);
    assert_code(stem_pop(db, "absent", &value), STEM_NOTFOUND);
    ck_assert_str_eq(stem_errmsg(), before);
    free(before);
}
END_TEST

START_TEST(a_synced_handle_syncs_what_each_of_them_writes)
{
    stem_db *durable;

    if (!last_location())
        return; /* a database in memory is opened once */
    assert_ok(stem_open(&durable, last_location(), STEM_OPTIONS(.sync = true)));
    for (int i = 0; i < N_CALLS - 1; i++) {
        const char *key = i == 0 || i == 2 ? "absent" : "key";

        assert_ok(stem_del(durable, "absent"));
        assert_ok(stem_put(durable, "key", 1));
        unsigned before = files_synced();
        assert_ok(call(i, durable, key));
        ck_assert_uint_gt(files_synced(), before);
    }
    assert_ok(stem_close(durable));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("atomic");
    TCase *conditional = add_case(suite, "conditional", 60);
    TCase *counters = add_case(suite, "counters", 60);
    TCase *others = add_case(suite, "others", 60);

    tcase_add_checked_fixture(conditional, open_place, close_place);
    tcase_add_test(conditional, insert_stores_only_where_nothing_is);
    tcase_add_test(conditional, insert_looks_at_the_key_and_not_below_it);
    tcase_add_test(conditional, replace_stores_only_where_something_is);
    tcase_add_test(conditional, get_or_put_gives_what_the_key_then_holds);
    tcase_add_test(conditional, get_or_put_gives_nothing_where_nobody_asks);
    tcase_add_test(conditional, what_get_or_put_gives_is_owned);
    tcase_add_test(conditional, cas_stores_only_over_exactly_what_was_expected);
    tcase_add_test(conditional, cas_compares_stored_forms);
    tcase_add_test(conditional, cas_of_an_absent_key_is_a_conflict);
    tcase_add_test(conditional, large_values_are_compared_to_the_last_byte);

    tcase_add_checked_fixture(counters, open_place, close_place);
    tcase_add_test(counters, incr_adds_to_an_integer_or_to_the_initial_one);
    tcase_add_test(counters, incr_reaches_both_ends_and_no_further);
    tcase_add_test(counters, incr_of_an_integer_above_int64_fits_when_its_sum_does);
    tcase_add_test(counters, incr_of_another_type_changes_nothing);
    tcase_add_test(counters, incr_float_adds_to_a_number_and_stores_a_float);
    tcase_add_test(counters, incr_float_refuses_what_is_not_exact_finite_or_a_number);

    tcase_add_checked_fixture(others, open_place, close_place);
    tcase_add_test(others, pop_gives_what_the_key_held_and_removes_it);
    tcase_add_test(others, pop_leaves_what_lies_below_the_key);
    tcase_add_test(others, bad_handles_and_names_are_refused_by_all);
    tcase_add_test(others, bad_values_are_refused_and_change_nothing);
    tcase_add_test(others, answers_set_no_error);
    tcase_add_test(others, a_synced_handle_syncs_what_each_of_them_writes);
    return run_suite(suite);
}
