/*
 * A build without JSON: every call of JSON says so, and changes nothing.
 */
#include "stem.h"
#include "support.h"

static ptrdiff_t read_nothing(void *context, void *buffer, size_t size)
{
    (void)context;
    (void)buffer;
    (void)size;
    return 0;
}

START_TEST(every_call_answers_that_there_is_no_json)
{
    stem_value value = stem_int(7), parsed = stem_int(1);
    char *text = NULL;
    stem_db *db;

    assert_ok(stem_open(&db, "mem:", NULL));
    assert_ok(stem_put(db, "here", 7));

    ck_assert_ptr_null(stem_json_format(&value, 0));
    ck_assert_int_eq(stem_errcode(), STEM_ENOTSUP);
    assert_code(stem_json_parse("7", 1, &parsed), STEM_ENOTSUP);
    ck_assert_int_eq(parsed.as.integer, 1);
    assert_code(stem_put_json(db, "new", "7"), STEM_ENOTSUP);
    assert_code(stem_has(db, "new"), STEM_NOTFOUND);
    assert_code(stem_get_json(db, "here", 0, &text), STEM_ENOTSUP);
    ck_assert_ptr_null(text);

    assert_code(stem_json_parse_flags("7", 1, STEM_JSON_PLAIN, &parsed), STEM_ENOTSUP);
    ck_assert_int_eq(parsed.as.integer, 1);
    ck_assert(!stem_json_valid("7", 1));
    ck_assert_ptr_null(stem_json_open(read_nothing, NULL, NULL, 0, 0));
    ck_assert_int_eq(stem_errcode(), STEM_ENOTSUP);
    ck_assert(!stem_json_next(NULL));
    assert_ok(stem_json_close(NULL));

    assert_ok(stem_close(db));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_absent");

    tcase_add_test(add_case(suite, "absent", 60),
                   every_call_answers_that_there_is_no_json);
    return run_suite(suite);
}
