/*
 * STEM.COMMIT: all or nothing, judged before anything is written, and with a number
 * exactly once.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "own_support.h"

#include <stdio.h>
#include <stdlib.h>

static stem_sessions *sessions;
static stem_id session;
static char connection;

static void begin(void)
{
    open_caller();
    scope = (stem_slice){0};
    has_raw_keys = false;
    assert_ok(stem_sessions_open(engine, NULL, &sessions));
}

static void end(void)
{
    stem_sessions_close(sessions);
    close_caller();
}

static void attach(unsigned slot)
{
    assert_ok(
        stem_sessions_create(sessions, (stem_slice){0}, slot, &connection, &session));
    peer.sessions = sessions;
    peer.session = &session;
    peer.slot = slot;
}

/* ---- Expectations and writes ------------------------------------------------------ */

START_TEST(a_commit_writes_all_that_it_says)
{
    put(engine, slice("old"), slice("\x01"));
    assert_reply("OK", "STEM.COMMIT", "0", "-", "PUT", "a/b", "\x02", "put", "c", "\x03",
                 "DEL", "old");
    assert_holds(engine, NULL, (stem_slice){"a\0b", 3}, slice("\x02"));
    assert_holds(engine, NULL, slice("c"), slice("\x03"));
    assert_absent(engine, NULL, slice("old"));
    assert_reply("OK", "STEM.COMMIT", "0", "-");
}
END_TEST

/* Its bytes are not those that were sent: they are encoded anew. */
START_TEST(lists_as_large_as_a_commit_are_stored)
{
    enum { MOST = 1 << 20, LEN = MOST / 2 - 100, HEAD = 6 };
    const size_t most = engine->max_commit_bytes;
    unsigned char *list = calloc(1, HEAD + LEN);
    const stem_slice packed = {(char *)list, HEAD + LEN};
    const stem_slice two[] = {slice("STEM.COMMIT"), slice("0"), slice("-"),
                              slice("PUT"),         slice("a"), packed,
                              slice("PUT"),         slice("b"), packed};
    const stem_slice one[] = {slice("STEM.PUT"), slice("c"), packed};

    list[0] = 0x91; /* of one */
    list[1] = 0xC6; /* and that is bytes */
    list[3] = LEN >> 16;
    list[4] = LEN >> 8 & 0xFF;
    list[5] = LEN & 0xFF;
    engine->max_commit_bytes = MOST;
    ck_assert_str_eq(ask_words(two, 9), "OK");
    ck_assert_str_eq(ask_words(one, 3), "OK");
    engine->max_commit_bytes = most;
    assert_holds(engine, NULL, slice("a"), packed);
    assert_holds(engine, NULL, slice("b"), packed);
    assert_holds(engine, NULL, slice("c"), packed);
    free(list);
}
END_TEST

START_TEST(the_later_of_two_writes_of_a_key_wins)
{
    assert_reply("OK", "STEM.COMMIT", "0", "-", "PUT", "a", "\x01", "DEL", "a", "PUT",
                 "a", "\x02", "PUT", "b", "\x01", "DEL", "b");
    assert_holds(engine, NULL, slice("a"), slice("\x02"));
    assert_absent(engine, NULL, slice("b"));
}
END_TEST

/* "a" holds 1. */
static const struct {
    const char *words[3], *reply;
} expectations[] = {
    {{"ABSENT", "b"}, "OK"},
    {{"ABSENT", "a"}, "!CONFLICT 1"},
    {{"EQUAL", "a", "\x01"}, "OK"},
    {{"EQUAL", "a", "\x02"}, "!CONFLICT 1"},
    {{"EQUAL", "a", "\x01\x01"}, "!CONFLICT 1"},
    {{"EQUAL", "a", ""}, "!CONFLICT 1"},
    {{"EQUAL", "b", ""}, "!CONFLICT 1"},
    {{"EMPTY", "b", ""}, "OK"},
    {{"EMPTY", "", "a"}, "OK"},
    {{"EMPTY", "b", "a"}, "OK"},
    {{"EMPTY", "a", "b"}, "!CONFLICT 1"},
    {{"EMPTY", "", ""}, "!CONFLICT 1"},
};
enum { N_EXPECTATIONS = sizeof expectations / sizeof *expectations };

START_TEST(each_expectation_holds_or_fails_and_then_nothing_is_written)
{
    put(engine, slice("a"), slice("\x01"));
    for (size_t i = 0; i < N_EXPECTATIONS; i++)
        for (int writes = 0; writes < 2; writes++) {
            const char *const *words = expectations[i].words;
            const char *text = words[2] ? words[2] : writes ? "PUT" : NULL;
            const char *reply;

            if (words[2])
                reply = ask("STEM.COMMIT", "0", "-", "ABSENT", "none", words[0], words[1],
                            text, writes ? "PUT" : NULL, "x", "\x01", NULL);
            else
                reply = ask("STEM.COMMIT", "0", "-", "ABSENT", "none", words[0], words[1],
                            text, "x", "\x01", NULL);
            ck_assert_msg(strcmp(reply, expectations[i].reply) == 0, "case %zu: %s", i,
                          reply);
            if (writes && strcmp(reply, "OK") == 0)
                del(engine, slice("x"));
            assert_absent(engine, NULL, slice("x"));
        }
}
END_TEST

START_TEST(expectations_are_judged_before_the_writes_beside_them)
{
    assert_reply("OK", "STEM.COMMIT", "0", "-", "PUT", "a", "\x01", "ABSENT", "a",
                 "EMPTY", "", "");
    assert_reply("!CONFLICT 1", "STEM.COMMIT", "0", "-", "DEL", "a", "EQUAL", "a", "\x01",
                 "ABSENT", "a");
    assert_holds(engine, NULL, slice("a"), slice("\x01"));
}
END_TEST

START_TEST(what_is_expected_is_compared_byte_by_byte)
{
    /* Stored by a program that does not write the shortest form. */
    put(engine, slice("a"), slice("\xD0\x05"));
    assert_reply("!CONFLICT 0", "STEM.COMMIT", "0", "-", "EQUAL", "a", "\x05", "DEL",
                 "a");
    assert_reply("OK", "STEM.COMMIT", "0", "-", "EQUAL", "a", "\xD0\x05", "DEL", "a");
}
END_TEST

START_TEST(a_commit_that_makes_no_sense_writes_nothing)
{
    const char *wrong[][5] = {
        {"x", "-", "PUT", "a", "\x01"},
        {"-1", "-", "PUT", "a", "\x01"},
        {"00", "-", "PUT", "a", "\x01"},
        {"9223372036854775808", "-", "PUT", "a", "\x01"},
        {"0", "", "PUT", "a", "\x01"},
        {"0", "ASYNC", "PUT", "a", "\x01"},
        {"0", "-", "PUT", "a"},
        {"0", "-", "PUT", "a", "\xC1"},
        {"0", "-", "PUT", "a//b", "\x01"},
        {"0", "-", "GET", "a"},
        {"0", "-", "EMPTY", "a"},
        {"0", "-", "EMPTY", "a", "//"},
        {"0", "-", "ABSENT", "", "\x01"},
        {"1", "-", "PUT", "a", "\x01"},
    };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *reply = ask("STEM.COMMIT", wrong[i][0], wrong[i][1], wrong[i][2],
                                wrong[i][3], wrong[i][4], NULL);

        ck_assert_msg(strncmp(reply, "!ERR", 4) == 0, "case %zu: %s", i, reply);
    }
    assert_reply_begins("!ERR", "STEM.COMMIT", "0", "-", "PUT", "a", "\x01", "PUT", "b",
                        "\xC1");
    assert_absent(engine, NULL, slice("a"));
}
END_TEST

START_TEST(sync_is_passed_on)
{
    assert_reply("OK", "STEM.COMMIT", "0", "sync", "PUT", "a", "\x01");
    ck_assert(wants_sync);
    assert_reply("OK", "STEM.COMMIT", "0", "-", "PUT", "a", "\x01");
    ck_assert(!wants_sync);
    assert_reply("!CONFLICT 0", "STEM.COMMIT", "0", "SYNC", "ABSENT", "a", "DEL", "a");
    ck_assert(!wants_sync);
}
END_TEST

#ifdef HAVE_JSON
START_TEST(a_commit_takes_json_too)
{
    assert_reply("OK", "STEM.COMMIT", "0", "-", "PUTJSON", "a", "[1]");
    assert_holds(engine, NULL, slice("a"), slice("\x91\x01"));
    assert_reply_begins("!ERR", "STEM.COMMIT", "0", "-", "PUTJSON", "a", "[");
}
END_TEST
#endif

/* ---- Exactly once ----------------------------------------------------------------- */

START_TEST(a_commit_that_is_repeated_is_applied_once)
{
    attach(1);
    for (int i = 0; i < 3; i++) {
        /* The second time the key is there; the answer is that of the first. */
        assert_reply("OK", "STEM.COMMIT", "1", "-", "ABSENT", "a", "PUT", "a", "\x01");
        assert_reply("\"\\01\"", "STEM.GET", "a");
    }
    del(engine, slice("a"));
    assert_reply("OK", "STEM.COMMIT", "1", "-", "ABSENT", "a", "PUT", "a", "\x01");
    assert_absent(engine, NULL, slice("a"));
    assert_reply("OK", "STEM.COMMIT", "2", "-", "ABSENT", "a", "PUT", "a", "\x01");
    assert_reply("\"\\01\"", "STEM.GET", "a");
}
END_TEST

START_TEST(the_number_is_stored_with_the_commit)
{
    char key[STEM_SLOT_KEY_LEN];

    attach(3);
    stem_slot_key(&session, 3, key);
    assert_reply("OK", "STEM.COMMIT", "300", "-", "PUT", "a", "\x01");
    assert_holds(engine, NULL, (stem_slice){key, sizeof key}, slice("\xCD\x01\x2C"));
    /* Also by one that writes nothing else, and not by one that failed. */
    assert_reply("OK", "STEM.COMMIT", "301", "-", "EQUAL", "a", "\x01");
    assert_holds(engine, NULL, (stem_slice){key, sizeof key}, slice("\xCD\x01\x2D"));
    assert_reply("!CONFLICT 0", "STEM.COMMIT", "302", "-", "ABSENT", "a");
    assert_holds(engine, NULL, (stem_slice){key, sizeof key}, slice("\xCD\x01\x2D"));
    assert_reply("OK", "STEM.COMMIT", "302", "-", "EQUAL", "a", "\x01");
}
END_TEST

START_TEST(a_number_that_is_behind_is_an_error)
{
    attach(0);
    assert_reply("OK", "STEM.COMMIT", "5", "-", "PUT", "a", "\x01");
    assert_reply_begins("!ERR number", "STEM.COMMIT", "4", "-", "PUT", "a", "\x02");
    assert_reply("\"\\01\"", "STEM.GET", "a");
    assert_reply("OK", "STEM.COMMIT", "9223372036854775807", "-", "PUT", "a", "\x02");
    assert_reply("OK", "STEM.COMMIT", "9223372036854775807", "-", "PUT", "a", "\x03");
    assert_reply("\"\\02\"", "STEM.GET", "a");
}
END_TEST

START_TEST(slots_count_apart)
{
    attach(0);
    assert_reply("OK", "STEM.COMMIT", "5", "-", "PUT", "a", "\x01");
    peer.slot = 1;
    assert_reply("OK", "STEM.COMMIT", "5", "-", "PUT", "a", "\x02");
    assert_reply("\"\\02\"", "STEM.GET", "a");
    assert_reply("OK", "STEM.COMMIT", "0", "-", "PUT", "a", "\x03");
    peer.slot = 0;
    assert_reply("OK", "STEM.COMMIT", "5", "-", "PUT", "a", "\x04");
    assert_reply("\"\\03\"", "STEM.GET", "a");
}
END_TEST

START_TEST(a_number_outlives_the_server)
{
    attach(0);
    assert_reply("OK", "STEM.COMMIT", "1", "-", "PUT", "a", "\x01");
    stem_sessions_close(sessions);
    assert_ok(stem_sessions_open(engine, NULL, &sessions));
    peer.sessions = sessions;
    assert_reply("OK", "STEM.COMMIT", "1", "-", "PUT", "a", "\x02");
    assert_reply("\"\\01\"", "STEM.GET", "a");
}
END_TEST

START_TEST(a_commit_of_a_session_that_is_gone_is_not_applied)
{
    attach(0);
    assert_reply("OK", "STEM.COMMIT", "1", "-", "PUT", "a", "\x01");
    assert_ok(stem_sessions_end(sessions, &session));
    assert_reply_begins("!NOSESSION", "STEM.COMMIT", "1", "-", "PUT", "a", "\x02");
    assert_reply_begins("!NOSESSION", "STEM.COMMIT", "2", "-", "PUT", "a", "\x02");
    assert_reply("\"\\01\"", "STEM.GET", "a");
    assert_reply("OK", "STEM.COMMIT", "0", "-", "PUT", "a", "\x03");
}
END_TEST

static void end_session(void)
{
    before_commit = NULL;
    assert_ok(stem_sessions_end(sessions, &session));
}

START_TEST(a_session_that_ends_before_its_commit_is_written_has_ended)
{
    attach(0);
    before_commit = end_session;
    assert_reply_begins("!NOSESSION", "STEM.COMMIT", "1", "-", "PUT", "a", "\x01");
    assert_absent(engine, NULL, slice("a"));
}
END_TEST

static void apply_elsewhere(void)
{
    before_commit = NULL;
    assert_reply("OK", "STEM.COMMIT", "1", "-", "PUT", "a", "\x01");
}

START_TEST(a_commit_that_is_under_way_twice_is_applied_once)
{
    attach(0);
    before_commit = apply_elsewhere;
    assert_reply("OK", "STEM.COMMIT", "1", "-", "PUT", "a", "\x02");
    assert_reply("\"\\01\"", "STEM.GET", "a");
}
END_TEST

START_TEST(a_repeated_commit_is_synced_when_it_says_so)
{
    attach(0);
    assert_reply("OK", "STEM.COMMIT", "1", "SYNC", "PUT", "a", "\x01");
    assert_reply("OK", "STEM.COMMIT", "1", "SYNC", "PUT", "a", "\x02");
    ck_assert(wants_sync);
    assert_reply("\"\\01\"", "STEM.GET", "a");
}
END_TEST

START_TEST(a_record_of_a_slot_that_is_none_is_a_failure)
{
    const stem_slice damaged[] = {slice("\xA1x"), slice("\xFF"), {"\0", 1}, {"", 0}};
    char key[STEM_SLOT_KEY_LEN];

    attach(0);
    stem_slot_key(&session, 0, key);
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        put(engine, (stem_slice){key, sizeof key}, damaged[i]);
        assert_reply("STEM_ECORRUPT", "STEM.COMMIT", "1", "-", "PUT", "a", "\x01");
    }
    assert_absent(engine, NULL, slice("a"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("own commit");
    TCase *tcase = add_case(suite, "all or nothing", 20);

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_commit_writes_all_that_it_says);
    tcase_add_test(tcase, lists_as_large_as_a_commit_are_stored);
    tcase_add_test(tcase, the_later_of_two_writes_of_a_key_wins);
    tcase_add_test(tcase, each_expectation_holds_or_fails_and_then_nothing_is_written);
    tcase_add_test(tcase, expectations_are_judged_before_the_writes_beside_them);
    tcase_add_test(tcase, what_is_expected_is_compared_byte_by_byte);
    tcase_add_test(tcase, a_commit_that_makes_no_sense_writes_nothing);
    tcase_add_test(tcase, sync_is_passed_on);
#ifdef HAVE_JSON
    tcase_add_test(tcase, a_commit_takes_json_too);
#endif

    tcase = add_case(suite, "exactly once", 20);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_commit_that_is_repeated_is_applied_once);
    tcase_add_test(tcase, the_number_is_stored_with_the_commit);
    tcase_add_test(tcase, a_number_that_is_behind_is_an_error);
    tcase_add_test(tcase, slots_count_apart);
    tcase_add_test(tcase, a_number_outlives_the_server);
    tcase_add_test(tcase, a_commit_of_a_session_that_is_gone_is_not_applied);
    tcase_add_test(tcase, a_session_that_ends_before_its_commit_is_written_has_ended);
    tcase_add_test(tcase, a_commit_that_is_under_way_twice_is_applied_once);
    tcase_add_test(tcase, a_repeated_commit_is_synced_when_it_says_so);
    tcase_add_test(tcase, a_record_of_a_slot_that_is_none_is_a_failure);
    return run_suite(suite);
}
