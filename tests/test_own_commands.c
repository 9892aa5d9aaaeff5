/*
 * Stem's own commands but for STEM.COMMIT: values, many keys, ranges, children,
 * snapshots, and what looks after the database.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "own_support.h"

#include <stdio.h>
#include <stdlib.h>

#include "clock.h"

/* ---- Values ----------------------------------------------------------------------- */

START_TEST(a_packed_value_is_given_back_as_it_was_put)
{
    assert_reply("OK", "STEM.PUT", "a/b", "\xA3one");
    assert_reply("\"\\A3one\"", "STEM.GET", "a/b");
    assert_reply("nil", "STEM.GET", "a");
    assert_holds(engine, NULL, (stem_slice){"a\0b", 3}, slice("\xA3one"));
}
END_TEST

static const struct {
    stem_slice sent, stored;
} forms[] = {
    {{"\x05", 1}, {"\x05", 1}},
    {{"\xD0\x05", 2}, {"\x05", 1}},
    {{"\xD1\x01\x2C", 3}, {"\xCD\x01\x2C", 3}},
    {{"\xCF\0\0\0\0\0\0\0\x01", 9}, {"\x01", 1}},
    {{"\xCA\x3F\x80\0\0", 5}, {"\xCB\x3F\xF0\0\0\0\0\0\0", 9}},
    {{"\xD9\x01x", 3}, {"\xA1x", 2}},
    {{"\xDB\0\0\0\x01x", 6}, {"\xA1x", 2}},
    {{"\xC5\0\x01x", 4}, {"\xC4\x01x", 3}},
    {{"\xC7\x01\x05x", 4}, {"\xD4\x05x", 3}},
    {{"\xDC\0\x02\xD0\x05\xA1x", 7}, {"\x92\x05\xA1x", 4}},
    {{"\xDE\0\x01\xA1k\xD9\x01x", 8}, {"\x81\xA1k\xA1x", 5}},
    /* A float that grows by as much as an integer shrinks. */
    {{"\x92\xCA\x3F\x80\0\0\xCE\0\0\0\x05", 11},
     {"\x92\xCB\x3F\xF0\0\0\0\0\0\0\x05", 11}},
    {{"\xC7\x0C\xFF\0\0\0\0\0\0\0\0\0\0\0\x05", 15}, {"\xD6\xFF\0\0\0\x05", 6}},
};
enum { N_FORMS = sizeof forms / sizeof *forms };

START_TEST(a_value_is_stored_in_canonical_form)
{
    for (size_t i = 0; i < N_FORMS; i++) {
        const stem_slice words[] = {slice("STEM.PUT"), slice("k"), forms[i].sent};

        ck_assert_str_eq(ask_words(words, 3), "OK");
        assert_holds(engine, NULL, slice("k"), forms[i].stored);
    }
}
END_TEST

START_TEST(an_array_is_stored_with_its_32_bit_head_wherever_it_lay)
{
    /* One u8 in ext 8 form, at an odd address. */
    static const char sent[] = "?\xC7\x0B\x4E\x03\x01\x01\0\0\0\0\0\0\0\x07";
    static const char stored[] = "\xC9\0\0\0\x0B\x4E\x03\x01\x01\0\0\0\0\0\0\0\x07";
    const stem_slice words[] = {slice("STEM.PUT"), slice("k"), {sent + 1, 14}};

    ck_assert_str_eq(ask_words(words, 3), "OK");
    assert_holds(engine, NULL, slice("k"), (stem_slice){stored, 17});
}
END_TEST

START_TEST(what_is_no_value_is_refused)
{
    static const stem_slice wrong[] = {{"", 0},
                                       {"\x92\x01", 2},
                                       {"\x01\x02", 2},
                                       {"\xC1", 1},
                                       {"\xA5"
                                        "abc",
                                        4},
                                       {"\xD4\x40x", 3},
                                       {"\xDD\xFF\xFF\xFF\xFF", 5},
                                       {"\xD4\xFEx", 3}};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const stem_slice words[] = {slice("STEM.PUT"), slice("k"), wrong[i]};

        ck_assert_str_eq(ask_words(words, 3),
                         "!ERR value is not a MessagePack object to be stored");
    }
    assert_absent(engine, NULL, slice("k"));
}
END_TEST

START_TEST(json_goes_in_and_comes_out)
{
#ifdef HAVE_JSON
    assert_reply("OK", "STEM.PUTJSON", "k", "{\"a\": [1, 2.5]}");
    assert_reply("\"\\81\\A1a\\92\\01\\CB@\\04\\00\\00\\00\\00\\00\\00\"", "STEM.GET",
                 "k");
    assert_reply("\"{\"a\": [1, 2.5]}\"", "STEM.GET", "k", "json");
    assert_reply("!ERR value is not JSON to be stored", "STEM.PUTJSON", "k", "{");
    assert_reply("nil", "STEM.GET", "none", "JSON");
#else
    assert_reply("!ERR this server has no JSON", "STEM.PUTJSON", "k", "1");
#endif
    assert_reply("!ERR syntax error", "STEM.GET", "k", "XML");
    assert_reply("!ERR syntax error", "STEM.GET", "k", "JSON", "JSON");
}
END_TEST

START_TEST(many_keys_are_read_in_the_order_asked_for)
{
    put(engine, slice("a"), slice("\x01"));
    put(engine, slice("b"), slice("\x02"));
    assert_reply("[\"\\02\" nil \"\\01\" \"\\02\"]", "STEM.READ", "0", "b", "x", "a",
                 "b");
    assert_reply_begins("!ERR", "STEM.READ", "0", "b", "a//b");
    assert_reply("!GONE snapshot", "STEM.READ", "1", "b");
}
END_TEST

START_TEST(after_attaching_keys_are_as_they_are_stored)
{
    const stem_slice read[] = {slice("STEM.GET"), {"a\0b", 3}};
    static const stem_slice wrong[] = {{"", 0},    {"\0", 1},     {"\0a", 2},
                                       {"a\0", 2}, {"a\0\0b", 4}, {"\0session\0x", 10}};

    has_raw_keys = true;
    scope = (stem_slice){"in\0", 3};
    put(engine, (stem_slice){"in\0a\0b", 6}, slice("\x01"));
    put(engine, (stem_slice){"in\0a/b", 6}, slice("\x02"));
    ck_assert_str_eq(ask_words(read, 2), "\"\\01\"");
    assert_reply("\"\\02\"", "STEM.GET", "a/b");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const stem_slice words[] = {slice("STEM.GET"), wrong[i]};

        ck_assert_int_eq(ask_words(words, 2)[0], '!');
    }
}
END_TEST

/* ---- Snapshots -------------------------------------------------------------------- */

START_TEST(a_snapshot_is_read_until_it_is_released)
{
    put(engine, slice("a"), slice("\x01"));
    ask("STEM.SNAPSHOT", NULL);
    const char *id = last_id();
    put(engine, slice("a"), slice("\x02"));
    assert_reply("[\"\\01\" nil]", "STEM.READ", id, "a", "b");
    assert_reply("[0 \"a\" \"\\01\"]", "STEM.RANGE", id, "", "", "FORWARD", "0", "100");
    assert_reply("[\"\\02\"]", "STEM.READ", "0", "a");
    assert_reply("OK", "STEM.RELEASE", id);
    assert_reply("OK", "STEM.RELEASE", id);
    assert_reply("OK", "STEM.RELEASE", "nonsense");
    assert_reply("!GONE snapshot", "STEM.READ", id, "a");
    assert_reply("!GONE snapshot", "STEM.RANGE", id, "", "", "FORWARD", "0", "100");
}
END_TEST

START_TEST(a_snapshot_is_nobody_elses)
{
    ask("STEM.SNAPSHOT", NULL);
    const char *id = last_id();

    peer.holder = slice("another connection");
    assert_reply("!GONE snapshot", "STEM.READ", id, "a");
    assert_reply("OK", "STEM.RELEASE", id);
    peer.holder = slice("a connection");
    assert_reply("[nil]", "STEM.READ", id, "a");
}
END_TEST

START_TEST(snapshots_are_limited_in_number)
{
    for (int i = 0; i < 64; i++)
        ask("STEM.SNAPSHOT", NULL);
    last_id();
    assert_reply("!ERR too many snapshots are open", "STEM.SNAPSHOT");
}
END_TEST

/* ---- Ranges ----------------------------------------------------------------------- */

static void put_letters(void)
{
    put(engine, slice("\x01"), slice("\x01"));
    put(engine, (stem_slice){"\0session\0x", 10}, slice("\x01"));
    put(engine, slice("a"), slice("\x01"));
    put(engine, (stem_slice){"a\0x", 3}, slice("\x02"));
    put(engine, (stem_slice){"a\0y\0z", 5}, slice("\x03"));
    put(engine, slice("b"), slice("\x04"));
    put(engine, (stem_slice){"c/d\0e", 5}, slice("\x05"));
}

START_TEST(a_range_goes_either_way_between_its_ends)
{
    put_letters();
    assert_reply("[0 \"\\x01\" \"a\" \"a/x\" \"a/y/z\" \"b\" \"c\\/d/e\"]", "STEM.RANGE",
                 "0", "", "", "FORWARD", "0", "1000", "KEYS");
    assert_reply("[0 \"a/x\" \"\\02\" \"a/y/z\" \"\\03\"]", "STEM.RANGE", "0", "a/x", "b",
                 "forward", "0", "1000");
    assert_reply("[0 \"a/x\" \"a\"]", "STEM.RANGE", "0", "a", "a/y", "REVERSE", "0",
                 "1000", "KEYS");
    assert_reply("[0]", "STEM.RANGE", "0", "b", "a", "FORWARD", "0", "1000");
    assert_reply("[0]", "STEM.RANGE", "0", "b", "a", "REVERSE", "0", "1000");
    assert_reply("[0]", "STEM.RANGE", "0", "b", "b", "FORWARD", "0", "1000");
}
END_TEST

START_TEST(a_range_says_whether_there_is_more)
{
    put_letters();
    assert_reply("[1 \"\\x01\" \"a\"]", "STEM.RANGE", "0", "", "", "FORWARD", "2", "1000",
                 "KEYS");
    assert_reply("[0 \"a\" \"a/x\"]", "STEM.RANGE", "0", "a", "a/y", "FORWARD", "2",
                 "1000", "KEYS");
    assert_reply("[1 \"b\"]", "STEM.RANGE", "0", "b", "", "FORWARD", "0", "0", "KEYS");
    assert_reply("[1 \"a\" \"a/x\"]", "STEM.RANGE", "0", "a", "", "FORWARD", "0", "4",
                 "KEYS");
    assert_reply("[1 \"a\" \"\\01\"]", "STEM.RANGE", "0", "a", "", "FORWARD", "0", "4");
}
END_TEST

START_TEST(a_range_goes_on_behind_its_last_key)
{
    stem_slice words[] = {slice("STEM.RANGE"), slice("0"), slice(""),     slice(""),
                          slice("FORWARD"),    slice("2"), slice("1000"), slice("KEYS")};

    put_letters();
    has_raw_keys = true;
    words[2] = (stem_slice){"a\0", 2};
    ck_assert_str_eq(ask_words(words, 8), "[1 \"a\\00x\" \"a\\00y\\00z\"]");
    words[2] = (stem_slice){"a\0y\0z\0", 6};
    ck_assert_str_eq(ask_words(words, 8), "[0 \"b\" \"c/d\\00e\"]");
}
END_TEST

START_TEST(a_range_stays_within_the_scope)
{
    static const stem_slice ends[] = {{"", 0},          {"\0", 1}, {"\0\0\0", 3},
                                      {"\x01", 1},      {"a", 1},  {"\xFF\xFF\xFF", 3},
                                      {"\0session", 8}, {"..", 2}};
    enum { N = sizeof ends / sizeof *ends };

    put_letters();
    has_raw_keys = true;
    for (int scoped = 0; scoped < 2; scoped++) {
        scope = (stem_slice){"a\0", scoped ? 2 : 0};
        for (size_t i = 0; i < N * N * 2; i++) {
            const stem_slice words[] = {slice("STEM.RANGE"),
                                        slice("0"),
                                        ends[i % N],
                                        ends[i / N % N],
                                        slice(i % 2 ? "FORWARD" : "REVERSE"),
                                        slice("0"),
                                        slice("1000")};
            const char *reply = ask_words(words, 7);

            ck_assert_int_eq(reply[0], '[');
            ck_assert_ptr_null(strstr(reply, "session"));
            if (scoped)
                ck_assert(strcmp(reply, "[0]") == 0 || strstr(reply, "\\02") ||
                          strstr(reply, "\\03"));
            if (scoped)
                ck_assert(!strstr(reply, "\"\\01\"") && !strstr(reply, "\\04"));
        }
    }
}
END_TEST

START_TEST(a_range_that_makes_no_sense_is_refused)
{
    static char long_bound[STEM_PATH_MAX + 3];
    const char *wrong[][6] = {{"0", "", "", "SIDEWAYS", "0", "1"},
                              {"0", "", "", "FORWARD", "-1", "1"},
                              {"0", "", "", "FORWARD", "x", "1"},
                              {"0", "", "", "FORWARD", "0", ""},
                              {"0", "", "", "FORWARD", "0", "99999999999999999999"},
                              {"0", "/", "", "FORWARD", "0", "1"},
                              {"0", "", "a//b", "FORWARD", "0", "1"},
                              {"0", long_bound, "", "FORWARD", "0", "1"}};

    memset(long_bound, 'x', sizeof long_bound - 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_reply_begins("!ERR", "STEM.RANGE", wrong[i][0], wrong[i][1], wrong[i][2],
                            wrong[i][3], wrong[i][4], wrong[i][5]);
    assert_reply("!ERR syntax error", "STEM.RANGE", "0", "", "", "FORWARD", "0", "1",
                 "VALUES");
    assert_reply("!ERR syntax error", "STEM.RANGE", "0", "", "", "FORWARD", "0", "1",
                 "KEYS", "KEYS");
}
END_TEST

START_TEST(one_call_of_a_range_is_bounded)
{
    char key[16];

    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "%05d", i);
        put(engine, slice(key), slice("\x01"));
    }
    const uint64_t before = stem_clock();
    assert_reply_begins("[1 \"00000\" ", "STEM.RANGE", "0", "", "", "FORWARD", "0",
                        "9000000000", "KEYS");
    ck_assert_uint_lt(stem_clock() - before, STEM_SECOND);
}
END_TEST

/* ---- Children --------------------------------------------------------------------- */

START_TEST(children_are_the_names_one_level_down)
{
    put_letters();
    assert_reply("[\"\\x01\" 1 \"a\" 3 \"b\" 1 \"c\\/d\" 2]", "STEM.CHILDREN");
    assert_reply("[\"x\" 1 \"y\" 2]", "STEM.CHILDREN", "a");
    assert_reply("[]", "STEM.CHILDREN", "b");
    assert_reply("[\"e\" 1]", "STEM.CHILDREN", "c\\/d");
    scope = (stem_slice){"a\0", 2};
    assert_reply("[\"x\" 1 \"y\" 2]", "STEM.CHILDREN", "");
    assert_reply("[\"z\" 1]", "STEM.CHILDREN", "y");
}
END_TEST

START_TEST(children_go_on_after_a_name)
{
    put_letters();
    put(engine, slice("a\x01"), slice("\x06"));
    assert_reply("[\"\\x01\" 1 \"a\" 3]", "STEM.CHILDREN", "LIMIT", "2");
    assert_reply("[\"a\\x01\" 1 \"b\" 1]", "STEM.CHILDREN", "", "AFTER", "a", "LIMIT",
                 "2");
    assert_reply("[\"c\\/d\" 2]", "STEM.CHILDREN", "after", "b");
    assert_reply("[]", "STEM.CHILDREN", "AFTER", "c\\/d");
    assert_reply("[\"y\" 2]", "STEM.CHILDREN", "a", "AFTER", "x");
    assert_reply("!ERR a name is one component", "STEM.CHILDREN", "AFTER", "a/x");
    assert_reply("!ERR syntax error", "STEM.CHILDREN", "LIMIT", "x");
    assert_reply("!ERR syntax error", "STEM.CHILDREN", "a", "BEFORE", "x");
    assert_reply_begins("!ERR", "STEM.CHILDREN", "a//");
    assert_reply("[]", "STEM.CHILDREN", "LIMIT");
}
END_TEST

START_TEST(however_much_lies_below_a_child_it_is_one_step)
{
    char key[32];

    for (int i = 0; i < 20000; i++) {
        int len = snprintf(key, sizeof key, "%c%c%05d", 'a' + i / 10000, 0, i);
        put(engine, (stem_slice){key, (size_t)len}, slice("\x01"));
    }
    assert_reply("[\"a\" 2 \"b\" 2]", "STEM.CHILDREN");
    ck_assert_uint_eq(steps_taken, 1);
}
END_TEST

/* ---- Looking after ---------------------------------------------------------------- */

START_TEST(flush_sync_and_compact_say_ok)
{
    put_letters();
    assert_reply("OK", "STEM.FLUSH");
    assert_reply("OK", "STEM.SYNC");
    assert_reply("OK", "STEM.COMPACT", "", "");
    assert_reply("OK", "STEM.COMPACT", "b", "a");
    assert_reply_begins("!ERR", "STEM.COMPACT", "//", "");
    assert_reply("\"\\01\"", "STEM.GET", "a");
}
END_TEST

START_TEST(within_a_scope_its_own_bytes_alone_are_told_of)
{
    static char value[100000];

    value[0] = '\xC6';
    value[2] = '\x01';
    value[3] = '\x86';
    value[4] = '\x9B';
    put(engine, slice("a"), (stem_slice){value, sizeof value});
    assert_reply_begins("[0 1", "STEM.ESTIMATE", "", "");
    put(engine, (stem_slice){"a\0bc", 4}, slice("\xA3one"));
    put(engine, (stem_slice){"a\0d", 3}, slice("\x01"));
    scope = (stem_slice){"a\0", 2};
    assert_reply("[8 0]", "STEM.ESTIMATE", "", "");
    assert_reply("[2 0]", "STEM.ESTIMATE", "c", "");
    assert_reply("[0 0]", "STEM.ESTIMATE", "b", "a");
    peer.can_admin = true;
    assert_reply("[0 0]", "STEM.ESTIMATE", "", "");
}
END_TEST

START_TEST(stats_are_names_and_numbers)
{
    assert_reply_begins("[\"memory_bytes\" ", "STEM.STATS");
    ck_assert(stem_command_find(slice("STEM.STATS"))->flags & STEM_COMMAND_ADMIN);
}
END_TEST

START_TEST(a_place_is_that_of_the_scope_and_the_store_that_of_all)
{
    enum { IDS = 2 * STEM_ID_DIGITS + 7, SECOND = STEM_ID_DIGITS + 4 };
    char whole[IDS + 1], within[IDS + 1];

    snprintf(whole, sizeof whole, "%s", ask("STEM.PLACE", NULL));
    assert_reply(whole, "STEM.PLACE");
    ck_assert_uint_eq(strlen(whole), IDS);
    scope = (stem_slice){"a\0", 2};
    snprintf(within, sizeof within, "%s", ask("STEM.PLACE", NULL));
    assert_reply(within, "STEM.PLACE");
    ck_assert_mem_eq(within, whole, SECOND);
    ck_assert_str_ne(within + SECOND, whole + SECOND);
    scope = (stem_slice){"b\0", 2};
    ck_assert_str_ne(ask("STEM.PLACE", NULL) + SECOND, within + SECOND);
}
END_TEST

static bool is_own(const stem_command *command)
{
    return strncmp(command->name, "STEM.", strlen("STEM.")) == 0;
}

/* But for the one that tells random ids alone. */
START_TEST(each_own_command_wants_a_right)
{
    const unsigned rights = STEM_COMMAND_READS | STEM_COMMAND_WRITES | STEM_COMMAND_ADMIN;
    const stem_command *place = stem_command_find(slice("STEM.PLACE"));

    for (const stem_command *each = stem_commands; each->name; each++)
        ck_assert_msg(!is_own(each) || each->serve || each->flags & rights ||
                          each == place,
                      "%s", each->name);
}
END_TEST

START_TEST(each_command_is_run_in_one_way)
{
    const unsigned none = STEM_COMMAND_PARENT | STEM_COMMAND_EXECUTES;

    for (const stem_command *each = stem_commands; each->name; each++) {
        const int ways = !!each->run + !!each->start + !!each->serve;

        ck_assert_msg(ways == 1 || (ways == 0 && each->flags & none), "%s", each->name);
        ck_assert_ptr_nonnull(each->summary);
        ck_assert_uint_le(strlen(each->name), STEM_COMMAND_NAME_MAX);
        /* What looks past the execution would not see a transaction's own writes. */
        if (each->start || each->flags & STEM_COMMAND_LANDED)
            ck_assert_msg(each->flags & STEM_COMMAND_NO_MULTI, "%s", each->name);
    }
}
END_TEST

static void begin(void)
{
    open_caller();
    has_raw_keys = false;
    scope = (stem_slice){0};
}

int main(void)
{
    Suite *suite = suite_create("own commands");
    TCase *tcase = add_case(suite, "values", 20);

    tcase_add_checked_fixture(tcase, begin, close_caller);
    tcase_add_test(tcase, a_packed_value_is_given_back_as_it_was_put);
    tcase_add_test(tcase, a_value_is_stored_in_canonical_form);
    tcase_add_test(tcase, an_array_is_stored_with_its_32_bit_head_wherever_it_lay);
    tcase_add_test(tcase, what_is_no_value_is_refused);
    tcase_add_test(tcase, json_goes_in_and_comes_out);
    tcase_add_test(tcase, many_keys_are_read_in_the_order_asked_for);
    tcase_add_test(tcase, after_attaching_keys_are_as_they_are_stored);

    tcase = add_case(suite, "snapshots", 20);
    tcase_add_checked_fixture(tcase, begin, close_caller);
    tcase_add_test(tcase, a_snapshot_is_read_until_it_is_released);
    tcase_add_test(tcase, a_snapshot_is_nobody_elses);
    tcase_add_test(tcase, snapshots_are_limited_in_number);

    tcase = add_case(suite, "order", 30);
    tcase_add_checked_fixture(tcase, begin, close_caller);
    tcase_add_test(tcase, a_range_goes_either_way_between_its_ends);
    tcase_add_test(tcase, a_range_says_whether_there_is_more);
    tcase_add_test(tcase, a_range_goes_on_behind_its_last_key);
    tcase_add_test(tcase, a_range_stays_within_the_scope);
    tcase_add_test(tcase, a_range_that_makes_no_sense_is_refused);
    tcase_add_test(tcase, one_call_of_a_range_is_bounded);
    tcase_add_test(tcase, children_are_the_names_one_level_down);
    tcase_add_test(tcase, children_go_on_after_a_name);
    tcase_add_test(tcase, however_much_lies_below_a_child_it_is_one_step);

    tcase = add_case(suite, "looking after", 20);
    tcase_add_checked_fixture(tcase, begin, close_caller);
    tcase_add_test(tcase, flush_sync_and_compact_say_ok);
    tcase_add_test(tcase, within_a_scope_its_own_bytes_alone_are_told_of);
    tcase_add_test(tcase, stats_are_names_and_numbers);
    tcase_add_test(tcase, a_place_is_that_of_the_scope_and_the_store_that_of_all);
    tcase_add_test(tcase, each_own_command_wants_a_right);
    tcase_add_test(tcase, each_command_is_run_in_one_way);
    return run_suite(suite);
}
