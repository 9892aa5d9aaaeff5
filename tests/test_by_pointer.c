/*
 * Values by pointer: each constructor and each call that stores does what its namesake does, for
 * callers that cannot pass a struct with a union in it.
 */
#include <stdio.h>
#include <string.h>

#include "place.h"

static stem_db *db;

static void open_place(void)
{
    db = new_database();
}

static void close_place(void)
{
    assert_ok(stem_close(db));
}

/* Asserts that both are stored as the same bytes. */
static void assert_same(const stem_value *by_pointer, stem_value by_value)
{
    size_t n, m;
    void *a = stem_encode(by_pointer, &n), *b = stem_encode(&by_value, &m);

    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_nonnull(b);
    ck_assert_uint_eq(n, m);
    ck_assert_mem_eq(a, b, n);
    stem_free(a);
    stem_free(b);
}

START_TEST(every_constructor_makes_what_its_namesake_makes)
{
    const float floats[] = {1, 2, 3, 4, 5, 6};
    const uint64_t shape[] = {2, 3};
    stem_value v;

    assert_ok(stem_set_nil(&v));
    assert_same(&v, stem_nil());
    for (int x = 0; x < 3; x++) {
        assert_ok(stem_set_bool(&v, x));
        assert_same(&v, stem_bool(x != 0));
    }
    assert_ok(stem_set_int(&v, INT64_MIN));
    assert_same(&v, stem_int(INT64_MIN));
    assert_ok(stem_set_uint(&v, UINT64_MAX));
    assert_same(&v, stem_uint(UINT64_MAX));
    assert_ok(stem_set_float(&v, -0.0));
    assert_same(&v, stem_float(-0.0));
    assert_ok(stem_set_str(&v, "text"));
    assert_same(&v, stem_str("text"));
    assert_ok(stem_set_strn(&v, "a\0b", 3));
    assert_same(&v, stem_strn("a\0b", 3));
    assert_ok(stem_set_bin(&v, "\xff\0", 2));
    assert_same(&v, stem_bin("\xff\0", 2));
    assert_ok(stem_set_time(&v, -1, 999999999));
    assert_same(&v, stem_time(-1, 999999999));
    assert_ok(stem_set_array(&v, STEM_F32, floats, 2, shape));
    assert_same(&v, stem_array(STEM_F32, floats, 2, shape));
    assert_ok(stem_set_vec(&v, STEM_F32, floats, 6));
    assert_same(&v, stem_vec(floats, 6));
    assert_ok(stem_set_packed(&v, "\x91\x01", 2));
    assert_same(&v, stem_packed("\x91\x01", 2));
    assert_ok(stem_set_ext(&v, 63, "data", 4));
    assert_same(&v, stem_ext(63, "data", 4));
}
END_TEST

START_TEST(every_call_that_stores_does_what_its_namesake_does)
{
    stem_value seven, eight, now;
    stem_batch *batch = stem_batch_new(db);

    assert_ok(stem_set_int(&seven, 7));
    assert_ok(stem_set_int(&eight, 8));
    assert_ok(stem_put_ref(db, "put", &seven));
    assert_code(stem_replace_ref(db, "replaced", &seven), STEM_NOTFOUND);
    assert_ok(stem_insert_ref(db, "replaced", &seven));
    assert_code(stem_insert_ref(db, "replaced", &eight), STEM_EXISTS);
    assert_ok(stem_replace_ref(db, "replaced", &eight));
    assert_ok(stem_get_or_put_ref(db, "put", &eight, &now));
    ck_assert_int_eq(now.as.integer, 7);
    assert_ok(stem_get_or_put_ref(db, "new", &eight, NULL));
    assert_code(stem_cas_ref(db, "put", &eight, &seven), STEM_CONFLICT);
    assert_ok(stem_cas_ref(db, "put", &seven, &eight));
    assert_contents(db, "new=8 put=8 replaced=8");

    assert_ok(stem_batch_expect_ref(batch, db, "put", &eight));
    assert_ok(stem_batch_put_ref(batch, db, "put", &seven));
    assert_ok(stem_batch_commit(batch, false));
    assert_code(stem_batch_commit(batch, false), STEM_CONFLICT);
    stem_batch_free(batch);
    assert_contents(db, "new=8 put=7 replaced=8");
}
END_TEST

START_TEST(what_is_null_is_refused_and_named)
{
    stem_value value = stem_int(1);
    stem_batch *batch = stem_batch_new(db);

    assert_failure(stem_set_nil(NULL), STEM_EINVAL);
    assert_failure(stem_set_str(NULL, "x"), STEM_EINVAL);
    assert_failure(stem_put_ref(db, "k", NULL), STEM_EINVAL);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "put: the value is NULL"));
    assert_failure(stem_insert_ref(db, "k", NULL), STEM_EINVAL);
    assert_failure(stem_replace_ref(db, "k", NULL), STEM_EINVAL);
    assert_failure(stem_get_or_put_ref(db, "k", NULL, NULL), STEM_EINVAL);
    assert_failure(stem_cas_ref(db, "k", NULL, &value), STEM_EINVAL);
    assert_failure(stem_cas_ref(db, "k", &value, NULL), STEM_EINVAL);
    assert_failure(stem_batch_put_ref(batch, db, "k", NULL), STEM_EINVAL);
    assert_failure(stem_batch_expect_ref(batch, db, "k", NULL), STEM_EINVAL);
    assert_failure(stem_put_ref(NULL, "k", &value), STEM_EINVAL);
    assert_failure(stem_put_ref(db, "", &value), STEM_EINVAL);
    assert_ok(stem_set_str(&value, NULL)); /* as with stem_str, refused when it is put */
    assert_failure(stem_put_ref(db, "k", &value), STEM_EINVAL);
    ck_assert_uint_eq(stem_batch_count(batch), 0);
    stem_batch_free(batch);
    assert_contents(db, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("by pointer");
    TCase *values = add_case(suite, "values", 60);

    tcase_add_checked_fixture(values, open_place, close_place);
    tcase_add_test(values, every_constructor_makes_what_its_namesake_makes);
    tcase_add_test(values, every_call_that_stores_does_what_its_namesake_does);
    tcase_add_test(values, what_is_null_is_refused_and_named);
    return run_suite(suite);
}
