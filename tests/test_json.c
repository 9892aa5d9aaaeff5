/*
 * Values as JSON: every value comes back from its text, whatever the locale, and through
 * a database.
 */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_support.h"
#include "stem.h"
#include "support.h"

/* ---- Scalars ---------------------------------------------------------------------- */

START_TEST(scalars_are_json_values)
{
    assert_json(stem_nil(), "null");
    assert_json(stem_bool(true), "true");
    assert_json(stem_bool(false), "false");
    assert_json(stem_int(0), "0");
    assert_json(stem_int(-42), "-42");
    assert_json(stem_int(INT64_MAX), "9223372036854775807");
    assert_json(stem_int(INT64_MIN), "-9223372036854775808");
    assert_json(stem_uint(UINT64_C(1) << 63), "9223372036854775808");
    assert_json(stem_uint(UINT64_MAX), "18446744073709551615");
    assert_json(stem_str("caf\xC3\xA9 \"x\"\\\n\x01/"),
                "\"caf\xC3\xA9 \\\"x\\\"\\\\\\n\\u0001/\"");
    assert_json(stem_strn("", 0), "\"\"");
    assert_json(stem_strn(NULL, 0), "\"\"");
    assert_json(stem_strn("a\0b", 3), "\"a\\u0000b\"");
    assert_json(stem_str("\xF0\x9F\x8C\xB1"), "\"\xF0\x9F\x8C\xB1\"");
}
END_TEST

START_TEST(any_value_may_stand_at_the_top_with_blanks_around)
{
    assert_read(" \t\r\n7 \n", "7");
    assert_read("\"x\"", "\"x\"");
    assert_read("[]", "[]");
    assert_read("-0", "0");
    assert_read("\"\\u00e9\\ud83c\\udf31\"", "\"\xC3\xA9\xF0\x9F\x8C\xB1\"");
    assert_read("{\"$uint\": \"5\"}", "5");
    assert_read("{\"$str\": \"aGk=\"}", "\"hi\"");
}
END_TEST

START_TEST(floats_stay_floats_and_keep_their_bits)
{
    assert_json(stem_float(0.0), "0.0");
    assert_json(stem_float(-0.0), "-0.0");
    assert_json(stem_float(1.0), "1.0");
    assert_json(stem_float(0.1), "0.1");
    assert_json(stem_float(1.0 / 3), "0.3333333333333333");
    assert_json(stem_float(0.1 + 0.2), "0.30000000000000004");
    assert_json(stem_float(-1e6), "-1000000.0");
    assert_json(stem_float(1e300), "1e+300");
    assert_json(stem_float(DBL_MAX), NULL);
    assert_json(stem_float(DBL_MIN), NULL);
    assert_json(stem_float(DBL_TRUE_MIN), NULL);
    assert_json(stem_float(9007199254740993.0), NULL);
    for (int i = 0; i < 20000; i++)
        assert_json(stem_float(double_of(random_bits())), NULL);
}
END_TEST

START_TEST(floats_that_are_no_numbers_have_a_form)
{
    assert_json(stem_float(double_of(0x7FF8000000000000)), "{\"$float\": \"NaN\"}");
    assert_json(stem_float(INFINITY), "{\"$float\": \"Infinity\"}");
    assert_json(stem_float(-INFINITY), "{\"$float\": \"-Infinity\"}");
    assert_json(stem_float(double_of(0xFFF8000000000000)),
                "{\"$float\": \"0xfff8000000000000\"}");
    assert_json(stem_float(double_of(0x7FF0000000000001)),
                "{\"$float\": \"0x7ff0000000000001\"}");
    assert_read("{\"$float\": \"0x7FF800000000ABCD\"}",
                "{\"$float\": \"0x7ff800000000abcd\"}");
    assert_refused("{\"$float\": 1.5}", "\"$float\" is not");
    assert_refused("{\"$float\": \"nan\"}", "\"$float\" is not");
    assert_refused("{\"$float\": \"1.5\"}", "\"$float\" is not");
    assert_refused("{\"$float\": \"0x7ff0000000000000\"}", "\"$float\" is not");
    assert_refused("{\"$float\": \"0x3ff0000000000000\"}", "\"$float\" is not");
    assert_refused("{\"$float\": \"0x7ff800000000000g\"}", "\"$float\" is not");
    assert_refused("{\"$float\": \"7ff80000000000001\"}", "\"$float\" is not");
    assert_refused("{\"$float\": \"0x7e00\"}", "\"$float\" is not");
}
END_TEST

START_TEST(integers_of_64_bits_are_numbers_and_larger_ones_are_refused)
{
    assert_same("9223372036854775808");
    assert_same("[-9223372036854775808, 9223372036854775807, 18446744073709551615]");
    assert_refused("18446744073709551616",
                   "line 1, column 1: an integer above 18446744073709551615");
    assert_refused("[1, 99999999999999999999999]", "line 1, column 5: an integer above");
    assert_refused("-9223372036854775809", "an integer below -9223372036854775808");
    assert_refused("-18446744073709551616", "an integer below");
    assert_refused("1e999", "line 1, column 1: a number too large for a float");
    assert_refused("-1e999", "a number too large");
    assert_read("1e-999", "0.0");
}
END_TEST

START_TEST(the_form_of_large_integers_is_still_read)
{
    assert_read("{\"$uint\": \"18446744073709551615\"}", "18446744073709551615");
    assert_refused("{\"$uint\": 5}", "\"$uint\" is not");
    assert_refused("{\"$uint\": \"\"}", "\"$uint\" is not");
    assert_refused("{\"$uint\": \"-1\"}", "\"$uint\" is not");
    assert_refused("{\"$uint\": \"007\"}", "\"$uint\" is not");
    assert_refused("{\"$uint\": \"18446744073709551616\"}", "\"$uint\" is not");
    assert_refused("{\"$uint\": \"99999999999999999999999\"}", "\"$uint\" is not");
}
END_TEST

START_TEST(a_byte_order_mark_is_skipped)
{
    assert_read("\xEF\xBB\xBF{\"a\": 1}", "{\"a\": 1}");
    assert_read("\xEF\xBB\xBF 7", "7");
    assert_refused("\xEF\xBB\xBF", "line 1, column 1: the text ends");
    assert_refused("\xEF\xBB\xBF[x]", "line 1, column 2: 'x'");
    assert_refused("\xEF\xBB[]", "line 1, column 1: byte 0xEF");
    assert_refused("[\xEF\xBB\xBF]", "line 1, column 2: byte 0xEF");
}
END_TEST

START_TEST(strings_that_are_not_utf8_have_a_form)
{
    assert_json(stem_str("\xFF"), "{\"$str\": \"/w==\"}");
    assert_json(stem_str("a\xC3"), "{\"$str\": \"YcM=\"}");
    assert_json(stem_str("\xED\xA0\x80"), "{\"$str\": \"7aCA\"}");
    assert_json(stem_str("\xC0\xAF"), NULL);
    assert_json(stem_str("\xF4\x90\x80\x80"), NULL);
    assert_refused("{\"$str\": 1}", "\"$str\" is not bytes in base64");
    assert_refused("{\"$str\": \"/w\"}", "\"$str\" is not bytes in base64");
}
END_TEST

/* ---- Lists and maps --------------------------------------------------------------- */

START_TEST(lists_and_maps_keep_their_order)
{
    assert_same("[1, \"two\", null, [true, []], {}]");
    assert_same("{\"z\": 1, \"a\": {\"y\": [2.5, -0.0], \"\": {\"$bin\": \"AQ==\"}}, "
                "\"\xC3\xA9\": false}");
}
END_TEST

START_TEST(names_that_begin_with_a_dollar_are_doubled)
{
    static const char *const names[] = {"$", "$$", "$bin", "$$x", "a$", "$\"\xC3\xA9"};
    static const char *const texts[] = {"{\"$$\": 1}",    "{\"$$$\": 1}",
                                        "{\"$$bin\": 1}", "{\"$$$x\": 1}",
                                        "{\"a$\": 1}",    "{\"$$\\\"\xC3\xA9\": 1}"};
    msgpack_sbuffer buffer;
    msgpack_packer packer;

    for (size_t i = 0; i < 6; i++) {
        msgpack_sbuffer_init(&buffer);
        msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
        msgpack_pack_map(&packer, 1);
        msgpack_pack_str_with_body(&packer, names[i], strlen(names[i]));
        msgpack_pack_int(&packer, 1);
        assert_json(stem_packed(buffer.data, buffer.size), texts[i]);
        msgpack_sbuffer_destroy(&buffer);
    }
    assert_same("{\"$$a\": 1, \"$$b\": 2, \"c\": 3}");
}
END_TEST

START_TEST(maps_that_are_no_objects_are_pairs)
{
    /* Other keys than strings, the same key twice, a NUL and bad UTF-8 in a key. */
    static const char mixed[] = "\x83\x01\xA1\x61\xC0\x91\x02\xA1\x62\x80";
    static const char twice[] = "\x83\xA1\x61\x01\xA1\x62\x02\xA1\x61\x03";
    static const char nul[] = "\x81\xA2\x61\x00\x01";
    static const char bad[] = "\x82\xA1\x61\x01\xA1\xFF\x02";

    assert_json(stem_packed(mixed, sizeof mixed - 1),
                "{\"$map\": [[1, \"a\"], [null, [2]], [\"b\", {}]]}");
    assert_json(stem_packed(twice, sizeof twice - 1),
                "{\"$map\": [[\"a\", 1], [\"b\", 2], [\"a\", 3]]}");
    assert_json(stem_packed(nul, sizeof nul - 1), "{\"$map\": [[\"a\\u0000\", 1]]}");
    assert_json(stem_packed(bad, sizeof bad - 1),
                "{\"$map\": [[\"a\", 1], [{\"$str\": \"/w==\"}, 2]]}");
    assert_read("{\"$map\": []}", "{}");
    assert_read("{\"$map\": [[\"a\", 1]]}", "{\"a\": 1}");
    assert_refused("{\"$map\": 1}", "\"$map\" is not a list of [key, value] pairs");
    assert_refused("{\"$map\": [1]}", "\"$map\" is not a list of [key, value] pairs");
    assert_refused("{\"$map\": [[1, 2, 3]]}", "\"$map\" is not");
    assert_refused("{\"$map\": {\"a\": 1}}", "\"$map\" is not");
}
END_TEST

START_TEST(arrays_inside_containers_come_back)
{
    assert_same(
        "[{\"$array\": {\"type\": \"f64\", \"shape\": [2], \"data\": [1, 0.5]}}, 7]");
    assert_same("{\"x\": {\"$array\": {\"type\": \"i16\", \"shape\": [2, 1], "
                "\"data\": [1, -1]}}}");
    assert_same("{\"$map\": [[{\"$array\": {\"type\": \"u8\", \"shape\": [1], "
                "\"data\": [1]}}, 2]]}");
}
END_TEST

START_TEST(indented_text_has_one_member_a_line)
{
    stem_value value = parse("{\"a\": 1, \"list\": [1, []], \"empty\": {}, \"array\": "
                             "{\"$array\": {\"type\": \"u8\", \"shape\": [2], \"data\": "
                             "[1, 2]}}, \"pairs\": {\"$map\": [[1, [2]]]}}");
    char *text = stem_json_format(&value, STEM_JSON_PRETTY);

    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text, "{\n"
                           "  \"a\": 1,\n"
                           "  \"list\": [\n"
                           "    1,\n"
                           "    []\n"
                           "  ],\n"
                           "  \"empty\": {},\n"
                           "  \"array\": {\"$array\": {\"type\": \"u8\", \"shape\": [2], "
                           "\"data\": [1, 2]}},\n"
                           "  \"pairs\": {\"$map\": [\n"
                           "    [1, [\n"
                           "      2\n"
                           "    ]]\n"
                           "  ]}\n"
                           "}");
    stem_free(text);
    stem_value_free(&value);
}
END_TEST

/* Packs a random value, `depth` levels deep at most. */
static void pack_random(msgpack_packer *packer, int depth)
{
    static const unsigned char array[] = {0xC7, 12, 78, 3, 1, 2, 0, 0,
                                          0,    0,  0,  0, 0, 1, 2};
    uint64_t bits = random_bits();
    size_t n = bits >> 8 & 3;
    unsigned char bytes[8];

    memcpy(bytes, &bits, sizeof bytes);
    switch (bits % (depth > 0 ? 12 : 9)) {
    case 0:
        msgpack_pack_nil(packer);
        break;
    case 1:
        msgpack_pack_true(packer);
        break;
    case 2:
        msgpack_pack_int64(packer, (int64_t)bits >> (bits >> 58));
        break;
    case 3:
        msgpack_pack_uint64(packer, bits);
        break;
    case 4:
        msgpack_pack_double(packer, double_of(bits));
        break;
    case 5:
        msgpack_pack_str_with_body(packer, bytes, n);
        break;
    case 6:
        msgpack_pack_bin_with_body(packer, bytes, n);
        break;
    case 7:
        msgpack_pack_ext_with_body(packer, bytes, n, (int8_t)(bits >> 40 & 63));
        break;
    case 8:
        /* In the short form, as another writer might have it. */
        packer->callback(packer->data, (const char *)array, sizeof array);
        break;
    case 9:
    case 10:
        msgpack_pack_map(packer, n);
        for (size_t i = 0; i < n; i++) {
            if (bits & 0x10000)
                msgpack_pack_str_with_body(packer, bits & 0x20000 ? "$ab" : "cde", i);
            else
                pack_random(packer, depth - 1);
            pack_random(packer, depth - 1);
        }
        break;
    default:
        msgpack_pack_array(packer, n);
        for (size_t i = 0; i < n; i++)
            pack_random(packer, depth - 1);
        break;
    }
}

START_TEST(random_values_come_back)
{
    for (int i = 0; i < 20000; i++) {
        msgpack_sbuffer buffer;
        msgpack_packer packer;
        stem_value value;

        msgpack_sbuffer_init(&buffer);
        msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
        pack_random(&packer, 6);
        assert_ok(stem_decode(buffer.data, buffer.size, &value));
        assert_json(value, NULL);
        stem_value_free(&value);
        msgpack_sbuffer_destroy(&buffer);
    }
}
END_TEST

/* A list or an object of `n` small members that lies `depth` deep, each level with 20 more
 * members behind it. */
static char *make_nested(bool is_object, size_t n, int depth)
{
    size_t room = n * 20 + (size_t)depth * 400 + 64;
    char *text = malloc(room);
    char *end = text;

    ck_assert_ptr_nonnull(text);
    for (int i = 0; i < depth; i++)
        end = stpcpy(end, is_object ? "{\"in\": " : "[");
    *end++ = is_object ? '{' : '[';
    for (size_t i = 0; i < n; i++)
        end += is_object ? sprintf(end, "%s\"k%zu\": 1", i > 0 ? ", " : "", i)
                         : sprintf(end, "%s%zu", i > 0 ? ", " : "", i);
    *end++ = is_object ? '}' : ']';
    for (int i = 0; i < depth; i++) {
        for (int k = 0; k < 20; k++)
            end += sprintf(end, is_object ? ", \"m%d\": 0" : ", %d", k);
        *end++ = is_object ? '}' : ']';
    }
    *end = '\0';
    return text;
}

START_TEST(containers_of_every_size_are_canonical_at_every_depth)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 5000, 65535, 65536, 70000};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int depth = 0; depth <= 121; depth = 3 * depth + 1) {
            for (int is_object = 0; is_object < 2; is_object++) {
                char *text = make_nested(is_object, sizes[i], depth);
                stem_value value = parse(text);
                size_t len;
                void *canonical = stem_encode(&value, &len);

                ck_assert_ptr_nonnull(canonical);
                ck_assert_uint_eq(len, value.as.packed.len);
                ck_assert_mem_eq(canonical, value.as.packed.data, len);
                assert_json(value, text);
                stem_free(canonical);
                stem_value_free(&value);
                free(text);
            }
        }
    }
}
END_TEST

START_TEST(packed_scalars_are_written_as_what_they_are)
{
    assert_read("7", "7");
    stem_value seven = stem_packed("\x07", 1);
    char *text = format(&seven);
    ck_assert_str_eq(text, "7");
    stem_free(text);
}
END_TEST

/* ---- The locale ------------------------------------------------------------------- */

/* Makes a locale with a comma for its decimal point and sets it; false when this system
 * cannot. */
static bool set_comma_locale(void)
{
    const char *dir = temp_dir();
    char command[600];

    snprintf(command, sizeof command,
             "localedef -c -i de_DE -f UTF-8 '%s/de_DE.UTF-8' >'%s/log' 2>&1", dir, dir);
    if (setlocale(LC_ALL, "de_DE.UTF-8"))
        return true;
    if (system(command) < 0)
        return false;
    setenv("LOCPATH", dir, 1);
    return setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
}

START_TEST(the_locale_changes_nothing)
{
    static const float floats[] = {0.5F, 1e-10F};
    char text[20];

    if (!set_comma_locale()) {
        fprintf(stderr, "the_locale_changes_nothing: no locale with a decimal comma\n");
        return;
    }
    snprintf(text, sizeof text, "%.1f", 0.5);
    ck_assert_str_eq(text, "0,5");
    assert_json(stem_float(-1234.5), "-1234.5");
    assert_json(stem_float(1.0), "1.0");
    assert_json(
        stem_array1(STEM_F32, floats, 2),
        "{\"$array\": {\"type\": \"f32\", \"shape\": [2], \"data\": [0.5, 1e-10]}}");
    /* And is as it was. */
    snprintf(text, sizeof text, "%.1f", 0.5);
    ck_assert_str_eq(text, "0,5");
}
END_TEST

/* ---- Through a database ----------------------------------------------------------- */

START_TEST(databases_take_and_give_json)
{
    static const char text[] = "{\"a\": [1, 18446744073709551615]}";
    stem_db *db;
    stem_db *sub;
    stem_value value;
    char *json = NULL;
    int64_t n;

    assert_ok(stem_open(&db, "mem:", NULL));
    sub = stem_sub(db, "users", "42");
    assert_ok(stem_put_json(sub, "doc", text));
    assert_ok(stem_get_json(sub, "doc", 0, &json));
    ck_assert_str_eq(json, text);
    stem_free(json);
    assert_ok(stem_put_json(sub, "n", " 7 "));
    assert_ok(stem_get_int(sub, "n", &n));
    ck_assert_int_eq(n, 7);
    assert_ok(stem_get(sub, "doc", &value));
    ck_assert_int_eq(value.type, STEM_MAP);
    stem_value_free(&value);
    assert_ok(stem_get_json(sub, "doc", STEM_JSON_PRETTY, &json));
    ck_assert_ptr_nonnull(strstr(json, "\n  \"a\": [\n"));
    stem_free(json);
    stem_close(sub);
    stem_close(db);
}
END_TEST

START_TEST(databases_say_where_json_failed)
{
    stem_db *db;
    stem_db *sub;
    char *json = NULL;

    assert_ok(stem_open(&db, "mem:", NULL));
    sub = stem_sub(db, "users", "42");
    assert_ok(stem_put(sub, "doc", 7));
    assert_code(stem_put_json(sub, "doc", "[1,"), STEM_EINVAL);
    ck_assert_str_eq(stem_errmsg(), "put json users/42/doc: line 1, column 4: the text "
                                    "ends, and a value is expected");
    assert_code(stem_put_json(sub, "doc", NULL), STEM_EINVAL);
    assert_code(stem_put_json(sub, "", "1"), STEM_EINVAL);
    assert_code(stem_put_json(NULL, "doc", "1"), STEM_EINVAL);
    assert_code(stem_get_json(sub, "none", 0, &json), STEM_NOTFOUND);
    assert_code(stem_get_json(sub, "doc", 0, NULL), STEM_EINVAL);
    assert_code(stem_get_json(NULL, "doc", 0, &json), STEM_EINVAL);
    assert_code(stem_get_json(sub, "doc", 64, &json), STEM_EINVAL);
    ck_assert_str_eq(stem_errmsg(), "get json users/42/doc: unknown flags");
    ck_assert_ptr_null(json);
    ck_assert_int_eq(stem_get_int_or(sub, "doc", 0), 7);
    stem_close(sub);
    stem_close(db);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *scalars = add_case(suite, "scalars", 60);
    TCase *containers = add_case(suite, "containers", 60);
    TCase *surroundings = add_case(suite, "surroundings", 60);

    tcase_add_test(scalars, scalars_are_json_values);
    tcase_add_test(scalars, any_value_may_stand_at_the_top_with_blanks_around);
    tcase_add_test(scalars, floats_stay_floats_and_keep_their_bits);
    tcase_add_test(scalars, floats_that_are_no_numbers_have_a_form);
    tcase_add_test(scalars, integers_of_64_bits_are_numbers_and_larger_ones_are_refused);
    tcase_add_test(scalars, the_form_of_large_integers_is_still_read);
    tcase_add_test(scalars, a_byte_order_mark_is_skipped);
    tcase_add_test(scalars, strings_that_are_not_utf8_have_a_form);
    tcase_add_test(containers, lists_and_maps_keep_their_order);
    tcase_add_test(containers, names_that_begin_with_a_dollar_are_doubled);
    tcase_add_test(containers, maps_that_are_no_objects_are_pairs);
    tcase_add_test(containers, arrays_inside_containers_come_back);
    tcase_add_test(containers, indented_text_has_one_member_a_line);
    tcase_add_test(containers, random_values_come_back);
    tcase_add_test(containers, containers_of_every_size_are_canonical_at_every_depth);
    tcase_add_test(containers, packed_scalars_are_written_as_what_they_are);
    tcase_add_test(surroundings, the_locale_changes_nothing);
    tcase_add_test(surroundings, databases_take_and_give_json);
    tcase_add_test(surroundings, databases_say_where_json_failed);
    return run_suite(suite);
}
