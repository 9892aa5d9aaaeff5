/*
 * Keys between the wire and the store (src/net/key.c): one text for each path, nothing outside
 * the scope, and limits on what is stored.
 */
#include <stdlib.h>

#include "command_support.h"

enum { REFUSED, TAKEN };

/* Stores a value by way of the key's text, and answers whether that was taken. */
static int set(stem_slice key)
{
    const stem_slice reply =
        answer_to((stem_slice[]){text_slice("SET"), key, text_slice("1")}, 3);

    if (strcmp(reply.data, OK) == 0)
        return TAKEN;
    ck_assert_str_eq(reply.data, BAD_KEY);
    return REFUSED;
}

static bool holds(stem_slice stored)
{
    stem_read read;

    assert_ok(engine->ops->read(engine, NULL, &stored, 1, &read));
    free(read.data);
    return read.data != NULL;
}

static const struct {
    const char *text;
    size_t len; /* of what is stored */
    const char *stored;
} canonical[] = {
    {"a", 1, "a"},
    {"a/b", 3, "a\0b"},
    {"a/b/c d", 7, "a\0b\0c d"},
    {"key:000000000001", 16, "key:000000000001"},
    {"a\\/b", 3, "a/b"},
    {"a\\\\b", 3, "a\\b"},
    {"\\x01/\\x7F", 3, "\x01\0\x7F"},
    {"\\x0A", 1, "\n"},
    {"caf\xc3\xa9/\xe2\x82\xac", 9, "caf\xc3\xa9\0\xe2\x82\xac"},
    {"\\xFF", 1, "\xff"},
    {"\\xC3/\\xA9", 3, "\xc3\0\xa9"},
    {"\\xC2\\x80", 2, "\xc2\x80"},
    {"\xc2\xa0", 2, "\xc2\xa0"},
    {"\\xED\\xA0\\x80", 3, "\xed\xa0\x80"},
};

START_TEST(a_canonical_text_is_stored_as_its_path_and_written_as_it_was)
{
    for (size_t i = 0; i < sizeof canonical / sizeof *canonical; i++) {
        const stem_slice stored = {canonical[i].stored, canonical[i].len};
        stem_buffer text = {0};

        ck_assert_int_eq(set(text_slice(canonical[i].text)), TAKEN);
        ck_assert_msg(holds(stored), "%s", canonical[i].text);
        stem_key_text(stored, &text);
        stem_buffer_add(&text, "", 1);
        ck_assert(!text.failed);
        ck_assert_str_eq(text.data, canonical[i].text);
        free(text.data);
    }
}
END_TEST

START_TEST(texts_are_added_one_behind_the_other)
{
    stem_buffer text = {0};

    stem_key_text((stem_slice){"a\0b", 3}, &text);
    stem_key_text((stem_slice){"\xff", 1}, &text);
    stem_key_text((stem_slice){"", 0}, &text);
    stem_key_text((stem_slice){"c", 1}, &text);
    stem_buffer_add(&text, "", 1);
    ck_assert_str_eq(text.data, "a/b\\xFFc");
    free(text.data);
}
END_TEST

START_TEST(any_other_text_is_refused)
{
    static const stem_slice texts[] = {
        {"", 0},           {"/", 1},         {"/a", 2},        {"a/", 2},
        {"a//b", 4},       {"a\0b", 3},      {"a\0", 2},       {"\0", 1},
        {"a\n", 2},        {"a\x7f", 2},     {"\x1f", 1},      {"\xff", 1},
        {"a\xc3", 2},      {"\xc0\x80", 2},  {"\xc2\x80", 2},  {"\xed\xa0\x80", 3},
        {"\\x00", 4},      {"\\x41", 4},     {"\\x0a", 4},     {"\\xfF", 4},
        {"\\x1", 3},       {"\\x", 2},       {"\\", 1},        {"a\\", 2},
        {"\\a", 2},        {"\\n", 2},       {"\\x2F", 4},     {"\\x5C", 4},
        {"\\xC3\\xA9", 8}, {"\\xC3\xA9", 5}, {"\xC3\\xA9", 5}, {"a/\\x00/b", 8},
        {"\\X0A", 4},      {"\\/\\", 3},     {"a\\//", 4},     {"\\x 1", 4},
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_msg(set(texts[i]) == REFUSED, "text %zu was taken", i);
}
END_TEST

/* Every text of three of these pieces either is what its path's text is, or is refused. */
START_TEST(a_path_has_one_text_alone)
{
    static const char *const pieces[] = {"a",     "/",     "\\",    "\\/",      "\\\\",
                                         "\\x0A", "\\xC3", "\\xA9", "\xc3",     "\xa9",
                                         "\\x41", "x",     "\n",    "\xc2\x80", ""};
    enum { N = sizeof pieces / sizeof *pieces };

    for (size_t i = 0; i < (size_t)N * N * N; i++) {
        char text[16] = "";
        size_t n;

        strcat(text, pieces[i % N]);
        strcat(text, pieces[i / N % N]);
        strcat(text, pieces[i / N / N]);
        char **names = stem_path_parse(text, &n);
        char *formatted = names ? stem_path_format((const char *const *)names, n) : NULL;
        const bool is_canonical = formatted && n > 0 && strcmp(formatted, text) == 0;
        ck_assert_msg(set(text_slice(text)) == (is_canonical ? TAKEN : REFUSED), "%s",
                      text);
        stem_free(names);
        stem_free(formatted);
    }
}
END_TEST

START_TEST(keys_are_below_the_scope)
{
    request_scope = (stem_slice){"users\0"
                                 "42\0",
                                 9};
    ck_assert_int_eq(set(text_slice("name")), TAKEN);
    ck_assert(holds((stem_slice){"users\0"
                                 "42\0name",
                                 13}));
    ck_assert_int_eq(set(text_slice("../x")), TAKEN);
    ck_assert(holds((stem_slice){"users\0"
                                 "42\0..\0x",
                                 13}));
    assert_answer("$1\r\n1\r\n", "GET", "name");
    request_scope = (stem_slice){"users\0", 6};
    assert_answer(NOTHING, "GET", "name");
    assert_answer("$1\r\n1\r\n", "GET", "42/name");
}
END_TEST

static char *text_of(char c, size_t len)
{
    char *text = malloc(len + 1);

    memset(text, c, len);
    text[len] = '\0';
    return text;
}

START_TEST(a_component_and_a_path_have_their_limits)
{
    char *text = text_of('a', STEM_PATH_MAX + 1);

    text[STEM_COMPONENT_MAX] = '\0';
    assert_answer(OK, "SET", text, "1");
    text[STEM_COMPONENT_MAX] = 'a';
    text[STEM_COMPONENT_MAX + 1] = '\0';
    assert_answer(LONG_KEY, "SET", text, "1");

    text[STEM_COMPONENT_MAX + 1] = 'a';
    for (size_t i = STEM_COMPONENT_MAX; i < STEM_PATH_MAX; i += STEM_COMPONENT_MAX)
        text[i] = '/';
    assert_answer(LONG_KEY, "SET", text, "1");
    text[STEM_PATH_MAX] = '\0';
    assert_answer(OK, "SET", text, "1");
    assert_answer("$1\r\n1\r\n", "GET", text);

    request_scope = (stem_slice){"s\0", 2};
    assert_answer(LONG_KEY, "SET", text, "1");
    text[STEM_PATH_MAX - 2] = '\0';
    assert_answer(OK, "SET", text, "1");
    free(text);

    text = text_of('a', (size_t)5 * STEM_PATH_MAX);
    assert_answer(LONG_KEY, "GET", text);
    free(text);
}
END_TEST

START_TEST(an_escaped_component_is_as_long_as_what_it_stands_for)
{
    char *text = malloc((size_t)4 * STEM_COMPONENT_MAX + 5);

    for (size_t i = 0; i <= STEM_COMPONENT_MAX; i++)
        memcpy(text + 4 * i, "\\xFF", 5);
    assert_answer(LONG_KEY, "SET", text, "1");
    text[4 * STEM_COMPONENT_MAX] = '\0';
    assert_answer(OK, "SET", text, "1");
    free(text);
}
END_TEST

/* ---- Raw keys --------------------------------------------------------------------- */

static int raw_key(stem_slice key, stem_slice *stored)
{
    const stem_slice words[] = {text_slice("stem.get"), key};
    stem_reply reply = {.version = 2};
    stem_request request = {.args = words,
                            .n_args = 2,
                            .scope = request_scope,
                            .has_raw_keys = true,
                            .on = execution,
                            .reply = &reply};

    stem_execution_reset(execution);
    int code = stem_request_key(&request, 1, stored);
    ck_assert_int_eq(code == STEM_OK, reply.bytes.len == 0);
    free(reply.bytes.data);
    return code;
}

START_TEST(raw_keys_are_paths_as_they_are_stored)
{
    char *text = text_of('a', STEM_PATH_MAX + 1);
    stem_slice stored;

    request_scope = (stem_slice){"s\0", 2};
    assert_ok(raw_key((stem_slice){"a/\\\xff\0b", 6}, &stored));
    ck_assert_uint_eq(stored.len, 8);
    ck_assert_mem_eq(stored.data, "s\0a/\\\xff\0b", 8);
    assert_code(raw_key((stem_slice){"", 0}, &stored), STEM_EINVAL);
    assert_code(raw_key((stem_slice){"\0", 1}, &stored), STEM_EINVAL);
    assert_code(raw_key((stem_slice){"\0a", 2}, &stored), STEM_EINVAL);
    assert_code(raw_key((stem_slice){"a\0", 2}, &stored), STEM_EINVAL);
    assert_code(raw_key((stem_slice){"a\0\0b", 4}, &stored), STEM_EINVAL);

    assert_ok(raw_key((stem_slice){text, STEM_COMPONENT_MAX}, &stored));
    assert_code(raw_key((stem_slice){text, STEM_COMPONENT_MAX + 1}, &stored),
                STEM_EINVAL);
    for (size_t i = STEM_COMPONENT_MAX; i < STEM_PATH_MAX; i += STEM_COMPONENT_MAX)
        text[i] = '\0';
    assert_ok(raw_key((stem_slice){text, STEM_PATH_MAX - 2}, &stored));
    assert_code(raw_key((stem_slice){text, STEM_PATH_MAX - 1}, &stored), STEM_EINVAL);
    free(text);
}
END_TEST

START_TEST(rediss_own_commands_have_text_in_any_case)
{
    has_raw_keys = true;
    assert_answer(OK, "SET", "a/b", "1");
    ck_assert(holds((stem_slice){"a\0b", 3}));
    ck_assert_int_eq(set((stem_slice){"a\0b", 3}), REFUSED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command keys");
    TCase *tcase = add_case(suite, "text", 60);

    tcase_add_checked_fixture(tcase, open_commands, close_commands);
    tcase_add_test(tcase, a_canonical_text_is_stored_as_its_path_and_written_as_it_was);
    tcase_add_test(tcase, texts_are_added_one_behind_the_other);
    tcase_add_test(tcase, any_other_text_is_refused);
    tcase_add_test(tcase, a_path_has_one_text_alone);
    tcase_add_test(tcase, keys_are_below_the_scope);
    tcase_add_test(tcase, a_component_and_a_path_have_their_limits);
    tcase_add_test(tcase, an_escaped_component_is_as_long_as_what_it_stands_for);

    tcase = add_case(suite, "raw", 60);
    tcase_add_checked_fixture(tcase, open_commands, close_commands);
    tcase_add_test(tcase, raw_keys_are_paths_as_they_are_stored);
    tcase_add_test(tcase, rediss_own_commands_have_text_in_any_case);
    return run_suite(suite);
}
