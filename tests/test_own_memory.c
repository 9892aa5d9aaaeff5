/*
 * Memory that runs out at every allocation of Stem's own commands and of what a server
 * keeps: each then fails as a whole, and works when it is asked again.
 */
#include "own_support.h"

#include <stdlib.h>

#include "failing_malloc.h"

static stem_sessions *sessions;
static stem_id session;
static char connection;

static void begin(void)
{
    open_caller();
    assert_ok(stem_sessions_open(engine, NULL, &sessions));
    assert_ok(stem_sessions_create(sessions, slice("ada"), 0, &connection, &session));
    peer.sessions = sessions;
    peer.session = &session;
    peer.user = slice("ada");
    for (int c = 'a'; c < 'z'; c++)
        put(engine, (stem_slice){(char[]){(char)c, '\0', 'x'}, 3}, slice("\xA3one"));
}

static void end(void)
{
    stem_sessions_close(sessions);
    close_caller();
}

static const char *const requests[][10] = {
    {"STEM.GET", "a/x"},
    {"STEM.PUT", "new", "\x92\xD0\x05\x01"},
    {"STEM.READ", "0", "a/x", "none"},
    {"STEM.COMMIT", "1", "-", "PUT", "k", "\x01", "EQUAL", "a/x", "\xA3one"},
    {"STEM.COMMIT", "0", "-", "ABSENT", "none", "EMPTY", "z", ""},
    {"STEM.RANGE", "0", "", "", "FORWARD", "0", "10000"},
    {"STEM.CHILDREN", "", "AFTER", "b"},
    {"STEM.SNAPSHOT"},
    {"STEM.ESTIMATE", "a", "b"},
    {"KEYS", "[a-c]*"},
    {"SCAN", "0", "MATCH", "*x", "COUNT", "5"},
    {"DBSIZE"},
    {"FLUSHDB"},
};
enum { N_REQUESTS = sizeof requests / sizeof *requests };

START_TEST(a_command_without_memory_fails_whole)
{
    stem_slice words[10];
    size_t n = 0;
    int code = STEM_ENOMEM;

    scope = (stem_slice){0};
    for (; n < 10 && requests[_i][n]; n++)
        words[n] = slice(requests[_i][n]);
    for (unsigned long granted = 0; code != STEM_OK; granted++) {
        stem_reply reply = {.version = 2};

        ck_assert_uint_lt(granted, 2000);
        mallocs_granted = granted;
        out_of_memory(code = run_words(words, n, &reply));
        ck_assert_msg(code == STEM_OK || code == STEM_ENOMEM, "%s: %s", requests[_i][0],
                      stem_strerror(code));
        if (code == STEM_OK)
            ck_assert_int_ne(reply.bytes.data[0], '-');
        free(reply.bytes.data);
    }
    ck_assert_uint_eq(stem_snapshots_count(peer.snapshots),
                      strcmp(requests[_i][0], "STEM.SNAPSHOT") == 0);
}
END_TEST

START_TEST(a_session_without_memory_is_not_made)
{
    stem_id id;
    int code = STEM_ENOMEM;

    for (unsigned long granted = 0; code != STEM_OK; granted++) {
        ck_assert_uint_eq(stem_sessions_count(sessions), 1);
        mallocs_granted = granted;
        out_of_memory(
            code = stem_sessions_create(sessions, slice("bob"), 0, &connection, &id));
        ck_assert(code == STEM_OK || code == STEM_ENOMEM);
    }
    ck_assert_uint_eq(stem_sessions_slots(sessions, &id), 16);
    code = STEM_ENOMEM;
    for (unsigned long granted = 0; code != STEM_OK; granted++) {
        ck_assert_uint_eq(stem_sessions_slots(sessions, &id), 16);
        mallocs_granted = granted;
        out_of_memory(code = stem_sessions_end(sessions, &id));
        ck_assert(code == STEM_OK || code == STEM_ENOMEM);
    }
    ck_assert_uint_eq(stem_sessions_count(sessions), 1);
}
END_TEST

START_TEST(sessions_without_memory_are_not_opened)
{
    stem_sessions *opened;
    int code = STEM_ENOMEM;

    for (unsigned long granted = 0; code != STEM_OK; granted++) {
        mallocs_granted = granted;
        out_of_memory(code = stem_sessions_open(engine, NULL, &opened));
        ck_assert(code == STEM_OK || code == STEM_ENOMEM);
    }
    ck_assert_uint_eq(stem_sessions_count(opened), 1);
    stem_sessions_close(opened);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("own memory");
    TCase *tcase = add_case(suite, "memory", 60);

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, a_command_without_memory_fails_whole, 0, N_REQUESTS);
    tcase_add_test(tcase, a_session_without_memory_is_not_made);
    tcase_add_test(tcase, sessions_without_memory_are_not_opened);
    return run_suite(suite);
}
