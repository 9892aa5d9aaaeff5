/*
 * JSON documents as the entries of a database, read piece by piece: which entries, whatever
 * the pieces are; what is refused, and where.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_support.h"
#include "random.h"
#include "stem.h"
#include "support.h"

/* ---- Sources ------------------------------------------------------------------------ */

typedef struct pieces {
    const char *text;
    size_t len, at;
    size_t most; /* bytes of a piece */
    int fails;   /* the code at the end, or STEM_OK */
} pieces;

static ptrdiff_t read_piece(void *context, void *buffer, size_t size)
{
    pieces *from = context;
    size_t n = from->len - from->at;

    n = n < from->most ? n : from->most;
    n = n < size ? n : size;
    if (n == 0)
        return from->fails;
    memcpy(buffer, from->text + from->at, n);
    from->at += n;
    return (ptrdiff_t)n;
}

/* All entries as lines "path = JSON", and the error behind them; owned. */
static char *entries_of(const char *text, size_t most, const char *const *names, size_t n,
                        int flags)
{
    pieces from = {.text = text, .len = strlen(text), .most = most};
    stem_json_reader *reader = stem_json_open(read_piece, &from, names, n, flags);
    char *lines;
    size_t len;
    FILE *out = open_memstream(&lines, &len);

    ck_assert_msg(reader != NULL, "%s", stem_errmsg());
    while (stem_json_next(reader)) {
        size_t n_path;
        const char *const *path = stem_json_path(reader, &n_path);
        char *path_text = stem_path_format(path, n_path);
        char *json = stem_json_format(stem_json_value(reader), flags & STEM_JSON_PLAIN);

        ck_assert_ptr_nonnull(path_text);
        ck_assert_ptr_nonnull(json);
        fprintf(out, "%s = %s\n", path_text, json);
        stem_free(path_text);
        stem_free(json);
    }
    ck_assert(!stem_json_next(reader));
    if (stem_json_close(reader) != STEM_OK)
        fprintf(out, "%s", stem_errmsg());
    fclose(out);
    return lines;
}

static const char *const at_p[] = {"p"};

/* The entries of a document at the path p, in pieces of every size. */
static void assert_entries(const char *text, int flags, const char *expected)
{
    size_t len = strlen(text);

    for (size_t most = 1; most <= len + 1; most += most < 20 ? 1 : len / 3) {
        char *lines = entries_of(text, most, at_p, 1, flags);

        ck_assert_str_eq(lines, expected);
        free(lines);
    }
}

static void assert_all_refused(const char *text, int flags, const char *words)
{
    size_t len = strlen(text);

    for (size_t most = 1; most <= len + 1; most += most < 20 ? 1 : len / 3 + 1) {
        char *lines = entries_of(text, most, at_p, 1, flags);

        ck_assert_msg(strstr(lines, "json read: line ") != NULL, "%s", lines);
        ck_assert_msg(strstr(lines, words) != NULL, "\"%s\" does not say \"%s\"", lines,
                      words);
        free(lines);
    }
}

/* ---- Which entries ------------------------------------------------------------------ */

START_TEST(objects_are_walked_and_all_else_is_a_value)
{
    assert_entries("7", 0, "p = 7\n");
    assert_entries("[1, {\"a\": {}}]", 0, "p = [1, {\"a\": {}}]\n");
    assert_entries("{}", 0, "p = {}\n");
    assert_entries("{\"a\": 1, \"b\": {\"c\": [2], \"d\": {\"e\": null}}, \"f\": {}}", 0,
                   "p/a = 1\np/b/c = [2]\np/b/d/e = null\np/f = {}\n");
    assert_entries(" {\"a/b\" : {\"\\u00e9\\ud83c\\udf31\":\"\\u0000\xC3\xA9\"} } ", 0,
                   "p/a\\/b/\xC3\xA9\xF0\x9F\x8C\xB1 = \"\\u0000\xC3\xA9\"\n");
    assert_entries("\xEF\xBB\xBF{\"a\": -0.5e1}", 0, "p/a = -5.0\n");
    assert_entries("{\"a\": {\"b\": {\"c\": 1}}, \"d\": {\"e\": {}}}", STEM_JSON_FLAT,
                   "p/a = {\"b\": {\"c\": 1}}\np/d = {\"e\": {}}\n");
}
END_TEST

START_TEST(a_member_without_a_name_is_the_value_of_its_object)
{
    assert_entries("{\"\": 5}", 0, "p = {\"\": 5}\n");
    assert_entries("{\"\": 5, \"a\": 1}", 0, "p = 5\np/a = 1\n");
    assert_entries("{\"a\": 1, \"\": 5}", 0, "p/a = 1\np = 5\n");
    assert_entries("{\"a\": {\"\": {\"\": {\"x\": 1}}}}", 0,
                   "p/a = {\"\": {\"\": {\"x\": 1}}}\n");
    assert_entries("{\"a\": {\"\": {\"x\": 1}, \"b\": 2}, \"c\": 3}", 0,
                   "p/a = {\"x\": 1}\np/a/b = 2\np/c = 3\n");
    assert_entries("{\"a\": {\"\": 1}, \"b\": {\"\": 2}}", STEM_JSON_FLAT,
                   "p/a = {\"\": 1}\np/b = {\"\": 2}\n");
}
END_TEST

START_TEST(forms_are_values)
{
    assert_entries("{\"$uint\": \"5\"}", 0, "p = 5\n");
    assert_entries("{\"a\": {\"$bin\": \"AQ==\"}, \"b\": {\"$map\": [[\"x\", 1]]}}", 0,
                   "p/a = {\"$bin\": \"AQ==\"}\np/b = {\"x\": 1}\n");
    assert_entries(
        "{\"a\": {\"$array\": {\"type\": \"f64\", \"shape\": [2], \"data\": [1, 0.5]}}, "
        "\"b\": {\"\": {\"$array\": {\"type\": \"f64\", \"shape\": [1], \"data\": [2]}}, "
        "\"c\": 1}}",
        0,
        "p/a = {\"$array\": {\"type\": \"f64\", \"shape\": [2], \"data\": [1, 0.5]}}\n"
        "p/b = {\"$array\": {\"type\": \"f64\", \"shape\": [1], \"data\": [2]}}\n"
        "p/b/c = 1\n");
    assert_entries("{\"$$a\": {\"$$b\": 1}}", 0, "p/$a/$b = 1\n");
}
END_TEST

START_TEST(plain_documents_have_no_forms)
{
    assert_entries(
        "{\"$schema\": \"x\", \"$defs\": {\"$ref\": {\"$id\": []}}, \"$$\": 1}",
        STEM_JSON_PLAIN, "p/$schema = \"x\"\np/$defs/$ref/$id = []\np/$$ = 1\n");
    assert_entries("{\"a\": {\"$oid\": \"5f\"}, \"b\": {\"$bin\": 1, \"c\": 2}}",
                   STEM_JSON_PLAIN | STEM_JSON_FLAT,
                   "p/a = {\"$oid\": \"5f\"}\np/b = {\"$bin\": 1, \"c\": 2}\n");
}
END_TEST

START_TEST(without_a_path_the_document_is_an_object_of_names)
{
    static const struct {
        const char *text, *lines;
    } documents[] = {
        {"{}", ""},
        {"{\"a\": {\"b\": 1}}", "a/b = 1\n"},
        {"[1]", "json read: line 1, column 1: a value at the top"},
        {"{\"$bin\": \"\"}", "json read: line 1, column 1: a value at the top"},
        /* What is wrong with it elsewhere too is said first. */
        {"{\"$schema\": \"\"}", "json read: line 1, column 1: \"$schema\" is no form"},
        {"{\"$bin\": 1}", "json read: line 1, column 10: \"$bin\" is not bytes"},
        {"name: Ada", "json read: line 1, column 1: 'n', and a value is expected"},
        {"\x1F\x8B", "json read: line 1, column 1: byte 0x1F, and a value is expected"},
        {"[1, 2",
         "json read: line 1, column 6: the text ends, and ',' or ']' is expected"},
        {"{\"\": 5}", "json read: line 1, column 6: a value at the top"},
        {"{\"a\": 1, \"\": 5}",
         "a = 1\njson read: line 1, column 14: a value at the top"},
        {"", "json read: line 1, column 1: the text ends"},
    };

    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        char *lines = entries_of(documents[i].text, 3, NULL, 0, 0);

        ck_assert_msg(strncmp(lines, documents[i].lines, strlen(documents[i].lines)) == 0,
                      "%s", lines);
        free(lines);
    }
}
END_TEST

/* Appends a random value to the text, objects among them. */
static void add_random(FILE *text, int depth)
{
    static const char *const scalars[] = {"1",
                                          "-0.25",
                                          "true",
                                          "\"\\u00e9x\xC3\xA9\\n\"",
                                          "null",
                                          "18446744073709551615",
                                          "[]",
                                          "{}",
                                          "{\"$bin\": \"AQID\"}",
                                          "\"\""};
    unsigned n = (unsigned)random_below(4);

    switch (random_below(depth > 0 ? 4 : 1)) {
    case 0:
        fputs(scalars[random_below(sizeof scalars / sizeof *scalars)], text);
        break;
    case 1:
        fputs("[\n", text);
        for (unsigned i = 0; i < n; i++) {
            fputs(i > 0 ? ", " : "", text);
            add_random(text, depth - 1);
        }
        fputs("]", text);
        break;
    default:
        fputs("{", text);
        for (unsigned i = 0; i < n; i++) {
            fprintf(text, "%s\"%s%u\": ", i > 0 ? "," : "",
                    random_below(2) ? "n\xC3\xA9" : "", i);
            add_random(text, depth - 1);
        }
        fputs("}", text);
        break;
    }
}

/* The value at a path inside a map, or NIL with `found` false. */
static stem_value find(stem_value map, const char *const *path, size_t n, bool *found)
{
    stem_cursor cursor;
    stem_value key;
    stem_value value;

    *found = true;
    if (n == 0)
        return map;
    stem_cursor_init(&cursor, &map);
    while (stem_cursor_next(&cursor, &key, &value)) {
        if (key.as.str.len == strlen(path[0]) &&
            memcmp(key.as.str.data, path[0], key.as.str.len) == 0)
            return find(value, path + 1, n - 1, found);
    }
    *found = false;
    return stem_nil();
}

START_TEST(the_entries_of_random_documents_are_what_they_hold)
{
    for (int i = 0; i < 3000; i++) {
        pieces from = {.most = 1 + random_below(200)};
        stem_value whole;
        stem_json_reader *reader;
        char *text;
        FILE *out = open_memstream(&text, &from.len);

        add_random(out, 5);
        fclose(out);
        from.text = text;
        whole = parse(text);
        reader = stem_json_open(read_piece, &from, at_p, 1, 0);
        while (stem_json_next(reader)) {
            size_t n;
            const char *const *path = stem_json_path(reader, &n);
            bool found;
            stem_value expected = find(whole, path + 1, n - 1, &found);
            char *left = format(&expected);
            char *right = format(stem_json_value(reader));

            ck_assert(found);
            ck_assert_str_eq(left, right);
            stem_free(left);
            stem_free(right);
        }
        assert_ok(stem_json_close(reader));
        stem_value_free(&whole);
        free(text);
    }
}
END_TEST

/* ---- What is refused ---------------------------------------------------------------- */

START_TEST(errors_name_the_same_place_however_the_text_comes)
{
    assert_all_refused("{\"a\": 1,\n \"b\":}", 0,
                       "line 2, column 6: '}', and a value is expected");
    assert_all_refused("{\"a\": \"\xC3\xA9\xC3\xA9\", \"b\": x}", 0,
                       "line 1, column 18: 'x'");
    assert_all_refused("{\"a\": {\"b\": 1, \"b\": 2}}", 0,
                       "line 1, column 7: the name \"b\" is twice in the object");
    assert_all_refused("{\"a\": 1, \"b\": 2, \"a\": {\"c\": 3}}", 0,
                       "the name \"a\" is twice");
    assert_all_refused("{\"a\": {\"\": 1, \"\": 2}}", 0, "the name \"\" is twice");
    assert_all_refused("{\"a\": {\"b\\u0000\": 1}}", 0, "line 1, column 8: a NUL");
    assert_all_refused("{\"zz\": 1, \"a\": {\"b\": {\"$foo\": 1}}}", 0,
                       "line 1, column 22: \"$foo\" is no form");
    assert_all_refused("{\"a\": 1, \"$bin\": \"\"}", 0, "\"$bin\" stands among");
    assert_all_refused("{\"a\": {\"$ext\": {\"code\": 100, \"data\": \"\"}}}", 0,
                       "100 is no code of an application");
    assert_all_refused("{\"a\": 1} {", 0,
                       "line 1, column 10: '{', and the end of the text");
    assert_all_refused("{\"a\": 18446744073709551616}", 0, "an integer above");
    assert_all_refused("{\"a\": \"\xC3(\"}", 0,
                       "line 1, column 8: byte 0xC3 is not UTF-8");
    assert_all_refused("{\"a\": \"\\ud83c\\u0041\"}", 0, "half of a surrogate pair");
    assert_all_refused("{\"a\": {\"b\": ", 0, "the text ends");
    assert_all_refused("", 0, "the text ends, and a value is expected");
}
END_TEST

/* `n` objects in each other, with names of that length, around a text. */
static char *nested_objects(size_t n, size_t name_len, const char *inside)
{
    char *text = malloc(n * (name_len + 5) + strlen(inside) + n + 1);
    char *end = text;

    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < n; i++) {
        end = stpcpy(end, "{\"");
        memset(end, 'n', name_len);
        end = stpcpy(end + name_len, "\":");
    }
    end = stpcpy(end, inside);
    memset(end, '}', n);
    end[n] = '\0';
    return text;
}

/* Whether the only entry of such a document is one, with a path of that many names. */
static int read_nested(size_t n, size_t name_len, const char *inside)
{
    char *text = nested_objects(n, name_len, inside);
    pieces from = {.text = text, .len = strlen(text), .most = 4096};
    stem_json_reader *reader = stem_json_open(read_piece, &from, NULL, 0, 0);
    size_t n_path;

    ck_assert_ptr_nonnull(reader);
    if (stem_json_next(reader)) {
        stem_json_path(reader, &n_path);
        ck_assert_uint_eq(n_path, n);
    }
    free(text);
    return stem_json_close(reader);
}

START_TEST(depth_is_bounded_by_paths_and_not_by_values)
{
    char lists[2 * (STEM_DEPTH_MAX + 1) + 2];

    assert_ok(read_nested(10000, 1, "1"));
    assert_ok(read_nested(32768, 1, "1"));
    assert_code(read_nested(32769, 1, "1"), STEM_EINVAL);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "a path longer than 65536 bytes"));
    assert_ok(read_nested(15, 4096, "1"));
    assert_code(read_nested(17, 4096, "1"), STEM_EINVAL);
    assert_code(read_nested(1, 4097, "1"), STEM_EINVAL);
    ck_assert_str_eq(stem_errmsg(),
                     "json read: line 1, column 2: a name longer than 4096 bytes");
    for (int depth = STEM_DEPTH_MAX; depth <= STEM_DEPTH_MAX + 1; depth++) {
        memset(lists, '[', (size_t)depth);
        memset(lists + depth, ']', (size_t)depth);
        lists[2 * depth] = '\0';
        assert_code(read_nested(1000, 2, lists),
                    depth == STEM_DEPTH_MAX ? STEM_OK : STEM_EINVAL);
    }
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "nested deeper than 128 levels"));
}
END_TEST

START_TEST(the_depth_of_an_own_value_is_that_of_a_value)
{
    char lists[2 * STEM_DEPTH_MAX + 1] = "";
    char text[400];

    memset(lists, '[', STEM_DEPTH_MAX);
    memset(lists + STEM_DEPTH_MAX, ']', STEM_DEPTH_MAX);
    snprintf(text, sizeof text, "{\"a\": {\"\": %s, \"b\": 1}}", lists);
    char *lines = entries_of(text, 100, NULL, 0, 0);
    ck_assert_ptr_nonnull(strstr(lines, "a/b = 1\n"));
    free(lines);
    snprintf(text, sizeof text, "{\"a\": {\"\": %s}}", lists);
    lines = entries_of(text, 100, NULL, 0, 0);
    ck_assert_str_eq(lines, "json read: line 1, column 7: nested deeper than 128 levels");
    free(lines);
}
END_TEST

START_TEST(a_source_that_fails_is_told)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "{\"a",
                                        "{\"a\": ",
                                        "{\"a\": 1",
                                        "{\"a\": tr",
                                        "{\"a\": \"\xC3",
                                        "{\"a\": \"\\u00",
                                        "{\"a\": {\"$bin\": \"",
                                        "{\"a\": [1,"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        pieces from = {
            .text = texts[i], .len = strlen(texts[i]), .most = 3, .fails = STEM_EIO};
        stem_json_reader *reader = stem_json_open(read_piece, &from, at_p, 1, 0);

        while (stem_json_next(reader))
            ;
        ck_assert_str_eq(stem_errmsg(), "json read: the source of the text failed");
        assert_code(stem_json_close(reader), STEM_EIO);
    }
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    static const char *const empty[] = {""};
    static const char *const null[] = {NULL};
    pieces from = {.text = "1", .len = 1, .most = 1};
    size_t n;

    ck_assert_ptr_null(stem_json_open(NULL, NULL, NULL, 0, 0));
    ck_assert_ptr_null(stem_json_open(read_piece, &from, NULL, 1, 0));
    ck_assert_ptr_null(stem_json_open(read_piece, &from, empty, 1, 0));
    ck_assert_ptr_null(stem_json_open(read_piece, &from, null, 1, 0));
    ck_assert_ptr_null(stem_json_open(read_piece, &from, NULL, 0, STEM_JSON_PRETTY));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert(!stem_json_next(NULL));
    ck_assert_ptr_null(stem_json_path(NULL, &n));
    ck_assert_ptr_null(stem_json_value(NULL));
    assert_ok(stem_json_close(NULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_entries");
    TCase *entries = add_case(suite, "entries", 60);
    TCase *refusals = add_case(suite, "refusals", 60);

    tcase_add_test(entries, objects_are_walked_and_all_else_is_a_value);
    tcase_add_test(entries, a_member_without_a_name_is_the_value_of_its_object);
    tcase_add_test(entries, forms_are_values);
    tcase_add_test(entries, plain_documents_have_no_forms);
    tcase_add_test(entries, without_a_path_the_document_is_an_object_of_names);
    tcase_add_test(entries, the_entries_of_random_documents_are_what_they_hold);
    tcase_add_test(refusals, errors_name_the_same_place_however_the_text_comes);
    tcase_add_test(refusals, depth_is_bounded_by_paths_and_not_by_values);
    tcase_add_test(refusals, the_depth_of_an_own_value_is_that_of_a_value);
    tcase_add_test(refusals, a_source_that_fails_is_told);
    tcase_add_test(refusals, wrong_arguments_are_refused);
    return run_suite(suite);
}
