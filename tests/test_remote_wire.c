/*
 * The engine of served databases against a server that does what a script says: what is sent,
 * and every kind of broken, late, short and wrong reply.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine_support.h"
#include "error.h"
#include "scripted_server.h"

#define ID "0123456789abcdef0123456789abcdef"
#define SNAPSHOT_ID "fedcba9876543210fedcba9876543210"
#define ATTACHED "*5\r\n$32\r\n" ID "\r\n:4\r\n:65536\r\n:1073741824\r\n:1073741824\r\n"
#define ATTACHES                                                                         \
    {                                                                                    \
        "STEM.ATTACH 1 0 NEW", ATTACHED, KEEP, 0                                         \
    }
#define ATTACHES_AGAIN                                                                   \
    {                                                                                    \
        "STEM.ATTACH 1 0 " ID, ATTACHED, KEEP, 0                                         \
    }
#define OK "+OK\r\n"

enum { SHORT_MS = 150 };

static stem_engine *open_at(const char *location, size_t timeout_ms)
{
    const stem_options options = {.timeout_ms = timeout_ms};
    stem_engine *engine;

    assert_ok(stem_engine_acquire(location, &options, NULL, &engine));
    return engine;
}

static void close_all(stem_engine *engine)
{
    assert_ok(stem_engine_release(engine));
    finish_script();
}

static void assert_text(const char *part)
{
    ck_assert_msg(strstr(stem_errmsg(), part), "no \"%s\" in: %s", part, stem_errmsg());
}

static int read_a(stem_engine *engine)
{
    const stem_slice key = slice("a");
    stem_read read;

    int code = engine->ops->read(engine, NULL, &key, 1, &read);
    if (code == STEM_OK)
        free(read.data);
    return code;
}

static int put_a(stem_engine *engine)
{
    const stem_write write = {slice("a"), slice("1"), false};

    return commit(engine, &write, 1, NULL, 0);
}

/* ---- Reading ---------------------------------------------------------------------- */

START_TEST(values_arrive_whole_or_in_pieces_and_null_is_absent)
{
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {"STEM.READ 0 a b c",
                                        "*3\r\n$3\r\nx\0\n\r\n$-1\r\n$0\r\n\r\n",
                                        _i ? IN_PIECES : KEEP, 24}),
                0);
    const stem_slice keys[] = {slice("a"), slice("b"), slice("c")};
    stem_read reads[3];

    assert_ok(engine->ops->read(engine, NULL, keys, 3, reads));
    assert_bytes(&reads[0], (stem_slice){"x\0\n", 3});
    ck_assert_ptr_null(reads[1].data);
    assert_bytes(&reads[2], slice(""));
    free(reads[0].data);
    free(reads[2].data);
    close_all(engine);
}
END_TEST

static const struct {
    const char *reply;
    const char *text;
} wrong_replies[] = {
    {"hello\r\n", "is no reply"},
    {"\r\n", "is no reply"},
    {"*1\r\n$-2\r\n", "is no reply"},
    {"*-2\r\n", "is no reply"},
    {"$99999999999999999999999\r\n", "is no reply"},
    {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "is no reply"},
    {"*1\r\n$1\r\nab\r\n", "more than was asked"},
    {"*1\r\n$1\r\na\r\n*1\r\n$1\r\na\r\n", "more than was asked"},
    {"+OK\r\n", "none to what was asked"},
    {":1\r\n", "none to what was asked"},
    {"$1\r\na\r\n", "none to what was asked"},
    {"*-1\r\n", "none to what was asked"},
    {"*0\r\n", "none to what was asked"},
    {"*2\r\n$1\r\na\r\n$1\r\na\r\n", "none to what was asked"},
    {"*1\r\n:1\r\n", "none to what was asked"},
    {"*1\r\n*1\r\n$1\r\na\r\n", "none to what was asked"},
    {"*1\r\n-ERR within\r\n", "none to what was asked"},
    {"-ERR un\x1bheard of\r\n", "answered: ERR un?heard of"},
    {"-CONFLICT 0\r\n", "answered: CONFLICT 0"},
    {"-\r\n", "answered: "},
};

START_TEST(a_wrong_reply_is_a_failure_that_says_so)
{
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {NULL, wrong_replies[_i].reply, KEEP, 0}), 0);

    assert_code(read_a(engine), STEM_EIO);
    assert_text(wrong_replies[_i].text);
    assert_text("unix:");
    close_all(engine);
}
END_TEST

static const struct {
    const char *reply;
    int code;
} refusals[] = {
    {"-NOAUTH log in\r\n", STEM_EACCES},
    {"-WRONGPASS no\r\n", STEM_EACCES},
    {"-NOPERM you may not\r\n", STEM_EACCES},
    {"-GONE snapshot\r\n", STEM_EGONE},
    {"-INVALID key\r\n", STEM_EINVAL},
    {"-IOERROR disk\r\n", STEM_EIO},
    {"-NOMEM\r\n", STEM_ENOMEM},
    {"-CORRUPT table\r\n", STEM_ECORRUPT},
    {"-READONLY\r\n", STEM_EREADONLY},
    {"-UNKNOWN durable\r\n", STEM_EUNKNOWN},
    {"-ERR else\r\n", STEM_EIO},
    {"-INVALIDATED is another word\r\n", STEM_EIO},
};

START_TEST(an_error_of_the_servers_has_its_code_for_reads_and_commits)
{
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {NULL, refusals[_i].reply, KEEP, 0},
                             {NULL, refusals[_i].reply, KEEP, 0},
                             {NULL, "*1\r\n$-1\r\n", KEEP, 0}),
                0);

    assert_code(read_a(engine), refusals[_i].code);
    assert_code(put_a(engine), refusals[_i].code);
    assert_text("answered: ");
    assert_ok(read_a(engine)); /* over the same connection */
    close_all(engine);
}
END_TEST

START_TEST(a_server_that_is_busy_is_asked_again_for_a_while)
{
    static const script_step busy = {NULL, "-BUSY later\r\n", KEEP, 0};
    stem_engine *engine = open_at(
        START_SCRIPT(ATTACHES, busy, busy, {"STEM.COMMIT 1 - PUT a 1", OK, KEEP, 0}, busy,
                     busy, busy, busy, busy, busy, busy, busy, busy),
        0);

    assert_ok(put_a(engine));
    assert_code(read_a(engine), STEM_EIO);
    assert_text("answered: BUSY later");
    close_all(engine);
}
END_TEST

START_TEST(a_server_that_turns_connections_away_is_asked_again)
{
    static const script_step full = {NULL, "-ERR max number of clients reached\r\n",
                                     HANG_UP, 0};
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {"STEM.READ 0 a", NULL, HANG_UP, 0}, full, full,
                             ATTACHES_AGAIN, {"STEM.READ 0 a", "*1\r\n$-1\r\n", KEEP, 0}),
                0);

    assert_ok(read_a(engine));
    close_all(engine);
}
END_TEST

START_TEST(a_reply_cut_short_is_asked_for_again_over_a_new_connection)
{
    static const char *const cut[] = {NULL,
                                      "*",
                                      "*1\r\n",
                                      "*1\r\n$5\r\nab",
                                      "*2147483647\r\n$1\r\na\r\n",
                                      "$1073741824\r\nabc"};
    stem_engine *engine = open_at(
        START_SCRIPT(ATTACHES, {"STEM.READ 0 a", cut[_i], HANG_UP, 0}, ATTACHES_AGAIN,
                     {"STEM.READ 0 a", cut[_i], HANG_UP, 0}, ATTACHES_AGAIN,
                     {"STEM.READ 0 a", "*1\r\n$2\r\nok\r\n", KEEP, 0}),
        0);
    const stem_slice key = slice("a");
    stem_read read;

    stem_fail(STEM_ERANGE, "before");
    assert_ok(engine->ops->read(engine, NULL, &key, 1, &read));
    assert_bytes(&read, slice("ok"));
    ck_assert_str_eq(stem_errmsg(), "before");
    free(read.data);
    close_all(engine);
}
END_TEST

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) +
           (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

START_TEST(a_reply_that_is_late_or_stops_halfway_is_waited_for_so_long)
{
    static const char *const begun[] = {NULL, "*1\r\n$5\r\nab"};
    struct timespec start;
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {NULL, begun[_i], SILENT, 0}, ATTACHES_AGAIN,
                             {NULL, "*1\r\n$-1\r\n", KEEP, 0}),
                SHORT_MS);

    clock_gettime(CLOCK_MONOTONIC, &start);
    assert_code(read_a(engine), STEM_EIO);
    ck_assert_double_lt(seconds_since(&start), 2.0);
    ck_assert_double_ge(seconds_since(&start), SHORT_MS / 1e3);
    assert_text("no answer within 150 ms");
    assert_ok(read_a(engine)); /* what comes late is not taken for this answer */
    close_all(engine);
}
END_TEST

START_TEST(a_server_that_is_gone_is_tried_again_until_time_is_up)
{
    struct timespec start;
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {NULL, NULL, HANG_UP, 0}), SHORT_MS);

    clock_gettime(CLOCK_MONOTONIC, &start);
    assert_code(read_a(engine), STEM_EIO);
    ck_assert_double_lt(seconds_since(&start), 2.0);
    close_all(engine);
}
END_TEST

START_TEST(a_line_without_end_is_given_up)
{
    enum { LINE = 200000 };
    char *line = malloc(LINE + 1);

    memset(line, 'x', LINE);
    line[0] = '-';
    line[LINE] = '\0';
    stem_engine *engine = open_at(START_SCRIPT(ATTACHES, {NULL, line, KEEP, 0}), 0);
    assert_code(read_a(engine), STEM_EIO);
    assert_text("longer than any");
    close_all(engine);
    free(line);
}
END_TEST

/* ---- Committing ------------------------------------------------------------------- */

START_TEST(a_commit_goes_as_one_request_expectations_first)
{
    const stem_write writes[] = {{slice("a"), slice("1"), false},
                                 {slice("b"), {0}, true}};
    const stem_expectation expectations[] = {
        {STEM_EXPECT_ABSENT, slice("a"), {0}, 0},
        {STEM_EXPECT_EQUAL, slice("b"), slice("2"), 7},
        {STEM_EXPECT_EMPTY, slice("c"), slice("d"), 0}};
    stem_engine *engine = open_at(
        START_SCRIPT(
            ATTACHES,
            {"STEM.COMMIT 1 - ABSENT a EQUAL b 2 EMPTY c d PUT a 1 DEL b", OK, KEEP, 0},
            {"STEM.COMMIT 2 SYNC PUT a 1", OK, KEEP, 0}),
        0);
    const stem_commit synced = {.writes = writes, .n_writes = 1, .sync = true};

    assert_ok(commit(engine, writes, 2, expectations, 3));
    assert_ok(engine->ops->commit(engine, &synced, NULL));
    close_all(engine);
}
END_TEST

START_TEST(a_conflict_names_an_expectation_or_is_no_answer)
{
    static const struct {
        const char *reply;
        int code;
    } answers[] = {{"-CONFLICT 1\r\n", STEM_CONFLICT},
                   {"-CONFLICT 2\r\n", STEM_EIO},
                   {"-CONFLICT -1\r\n", STEM_EIO},
                   {"-CONFLICT\r\n", STEM_EIO},
                   {"-CONFLICT x\r\n", STEM_EIO}};
    const stem_write write = {slice("a"), slice("1"), false};
    const stem_expectation expectations[] = {{STEM_EXPECT_ABSENT, slice("a"), {0}, 0},
                                             {STEM_EXPECT_ABSENT, slice("b"), {0}, 0}};
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {NULL, answers[_i].reply, KEEP, 0}), 0);

    assert_code(commit(engine, &write, 1, expectations, 2), answers[_i].code);
    if (answers[_i].code == STEM_CONFLICT)
        ck_assert_uint_eq(last_failed, 1);
    close_all(engine);
}
END_TEST

START_TEST(a_commit_without_an_answer_is_repeated_under_its_number)
{
    stem_engine *engine = open_at(
        START_SCRIPT(ATTACHES, {"STEM.COMMIT 1 - PUT a 1", NULL, HANG_UP, 0},
                     ATTACHES_AGAIN, {"STEM.COMMIT 1 - PUT a 1", "+O", HANG_UP, 0},
                     ATTACHES_AGAIN, {"STEM.COMMIT 1 - PUT a 1", OK, KEEP, 0},
                     {"STEM.COMMIT 2 - PUT a 1", OK, KEEP, 0}),
        0);

    assert_ok(put_a(engine));
    assert_ok(put_a(engine));
    close_all(engine);
}
END_TEST

START_TEST(a_commit_whose_session_is_gone_meanwhile_is_not_known)
{
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {"STEM.COMMIT 1 - PUT a 1", NULL, HANG_UP, 0},
                             {"STEM.ATTACH 1 0 " ID, "-NOSESSION\r\n", KEEP, 0},
                             {"STEM.ATTACH 1 0 " ID, "-NOSESSION\r\n", KEEP, 0}, ATTACHES,
                             {"STEM.COMMIT 2 - PUT a 1", OK, KEEP, 0}),
                0);

    assert_code(put_a(engine), STEM_EUNKNOWN);
    assert_text("whether it was applied is not known");
    assert_ok(put_a(engine));
    close_all(engine);
}
END_TEST

START_TEST(a_repeated_commit_answered_nosession_is_not_known)
{
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {"STEM.COMMIT 1 - PUT a 1", NULL, HANG_UP, 0},
                             ATTACHES_AGAIN,
                             {"STEM.COMMIT 1 - PUT a 1", "-NOSESSION\r\n", KEEP, 0}),
                0);

    assert_code(put_a(engine), STEM_EUNKNOWN);
    close_all(engine);
}
END_TEST

START_TEST(a_first_commit_answered_nosession_goes_on_in_a_new_session)
{
    stem_engine *engine = open_at(
        START_SCRIPT(ATTACHES, {"STEM.COMMIT 1 - PUT a 1", "-NOSESSION\r\n", KEEP, 0},
                     ATTACHES, {"STEM.COMMIT 1 - PUT a 1", OK, KEEP, 0},
                     {"STEM.COMMIT 2 - PUT a 1", OK, KEEP, 0}),
        0);

    assert_ok(put_a(engine));
    assert_ok(put_a(engine));
    close_all(engine);
}
END_TEST

/* Nobody waits for a session for as long as a compaction may take. */
START_TEST(a_compaction_waits_for_a_new_session_no_longer_than_other_calls)
{
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {NULL, "-NOSESSION\r\n", HANG_UP, 0},
                             {"STEM.ATTACH 1 0 NEW", NULL, SILENT, 0}),
                SHORT_MS);
    const stem_engine_range all = {.start = {NULL, 0}};

    assert_code(engine->ops->compact(engine, &all), STEM_EIO);
    close_all(engine);
}
END_TEST

START_TEST(a_server_that_ends_every_session_is_not_asked_for_ever)
{
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {NULL, "-NOSESSION\r\n", KEEP, 0}, ATTACHES,
                             {NULL, "-NOSESSION\r\n", KEEP, 0}, ATTACHES,
                             {NULL, "-NOSESSION\r\n", KEEP, 0}, ATTACHES,
                             {NULL, "-NOSESSION\r\n", KEEP, 0}),
                0);

    assert_code(put_a(engine), STEM_EIO);
    assert_text("ends every session");
    close_all(engine);
}
END_TEST

START_TEST(an_unanswered_commit_is_not_known_when_time_is_up)
{
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {NULL, NULL, SILENT, 0}), SHORT_MS);

    assert_code(put_a(engine), STEM_EUNKNOWN);
    assert_text("no answer within 150 ms");
    close_all(engine);
}
END_TEST

START_TEST(an_answer_that_is_none_leaves_a_commit_unknown)
{
    static const char *const answers[] = {"what\r\n", ":1\r\n", "$-1\r\n", "*0\r\n",
                                          "+OK\r\n+OK\r\n"};
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {NULL, answers[_i], KEEP, 0}), 0);

    assert_code(put_a(engine), STEM_EUNKNOWN);
    close_all(engine);
}
END_TEST

START_TEST(a_repeated_commit_that_is_refused_may_have_been_applied)
{
    static const struct {
        const char *reply;
        int code;
    } answers[] = {{"-IOERROR disk\r\n", STEM_EUNKNOWN},
                   {"-NOPERM\r\n", STEM_EUNKNOWN},
                   {"-CONFLICT 0\r\n", STEM_CONFLICT}};
    const stem_write write = {slice("a"), slice("1"), false};
    const stem_expectation expectation = {STEM_EXPECT_ABSENT, slice("a"), {0}, 0};
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {NULL, NULL, HANG_UP, 0}, ATTACHES_AGAIN,
                             {NULL, answers[_i].reply, KEEP, 0}),
                0);

    assert_code(commit(engine, &write, 1, &expectation, 1), answers[_i].code);
    close_all(engine);
}
END_TEST

START_TEST(what_is_over_the_servers_limits_is_not_sent)
{
    stem_engine *engine = open_at(
        START_SCRIPT({NULL, "*5\r\n$2\r\nid\r\n:1\r\n:4\r\n:6\r\n:8\r\n", KEEP, 0},
                     {"STEM.COMMIT 1 - PUT 1234 1234", OK, KEEP, 0}),
        0);
    const stem_write over[][2] = {
        {{slice("12345"), slice(""), false}},
        {{slice("1"), slice("1234567"), false}},
        {{slice("1234"), slice("1234"), false}, {slice("1"), {0}, true}}};

    assert_code(commit(engine, over[0], 1, NULL, 0), STEM_EINVAL);
    assert_code(commit(engine, over[1], 1, NULL, 0), STEM_EINVAL);
    assert_code(commit(engine, over[2], 2, NULL, 0), STEM_EINVAL);
    assert_ok(commit(engine, over[2], 1, NULL, 0));
    close_all(engine);
}
END_TEST

/* ---- Attaching -------------------------------------------------------------------- */

START_TEST(a_wrong_answer_to_attaching_refuses_the_open)
{
    static const struct {
        const char *reply;
        int code;
    } answers[] = {
        {"-ERR unknown command\r\n", STEM_EIO},
        {"-NOAUTH\r\n", STEM_EACCES},
        {"-BUSY\r\n", STEM_EIO},
        {"-NOSESSION\r\n", STEM_EIO},
        {"+OK\r\n", STEM_EIO},
        {"*0\r\n", STEM_EIO},
        {"*5\r\n$0\r\n\r\n:4\r\n:9\r\n:9\r\n:9\r\n", STEM_EIO},
        {"*5\r\n$3\r\na b\r\n:4\r\n:9\r\n:9\r\n:9\r\n", STEM_EIO},
        {"*5\r\n$1\r\na\r\n:0\r\n:9\r\n:9\r\n:9\r\n", STEM_EIO},
        {"*5\r\n$1\r\na\r\n:4\r\n:-9\r\n:9\r\n:9\r\n", STEM_EIO},
        {"*5\r\n$1\r\na\r\n:4\r\n:9\r\n:9\r\n$1\r\n9\r\n", STEM_EIO},
        {"*4\r\n$1\r\na\r\n:4\r\n:9\r\n:9\r\n", STEM_EIO},
    };
    const char *location = START_SCRIPT({NULL, answers[_i].reply, KEEP, 0});
    const stem_options options = {.timeout_ms = 0};
    stem_engine *engine;

    assert_code(stem_engine_acquire(location, &options, NULL, &engine), answers[_i].code);
    assert_text("unix:");
    finish_script();
}
END_TEST

START_TEST(must_be_new_is_answered_once_the_server_has)
{
    const char *location = START_SCRIPT(ATTACHES);
    const stem_options options = {.must_be_new = true};
    stem_engine *engine;

    assert_code(stem_engine_acquire(location, &options, NULL, &engine), STEM_EXISTS);
    finish_script();
}
END_TEST

START_TEST(closing_detaches)
{
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {"STEM.DETACH", OK, KEEP, 0}), 0);

    close_all(engine);
}
END_TEST

START_TEST(closing_waits_but_a_moment_for_a_mute_server)
{
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, {"STEM.DETACH", NULL, SILENT, 0}), SHORT_MS);

    close_all(engine);
}
END_TEST

/* ---- Snapshots and iterators ------------------------------------------------------ */

#define FREEZES                                                                          \
    {                                                                                    \
        "STEM.SNAPSHOT", "$32\r\n" SNAPSHOT_ID "\r\n", KEEP, 0                           \
    }
#define RELEASES                                                                         \
    {                                                                                    \
        "STEM.RELEASE " SNAPSHOT_ID, OK, KEEP, 0                                         \
    }

START_TEST(a_snapshot_that_is_gone_is_said_to_be)
{
    stem_engine *engine = open_at(
        START_SCRIPT(ATTACHES, FREEZES,
                     {"STEM.READ " SNAPSHOT_ID " a", "-GONE snapshot\r\n", KEEP, 0},
                     RELEASES),
        0);
    const stem_slice key = slice("a");
    stem_engine_snapshot *snapshot;
    stem_read read;

    assert_ok(engine->ops->snapshot_open(engine, &snapshot));
    assert_code(engine->ops->read(engine, snapshot, &key, 1, &read), STEM_EGONE);
    engine->ops->snapshot_close(engine, snapshot);
    close_all(engine);
}
END_TEST

static const stem_engine_range b_to_f = {{"b", 1}, {"f", 1}};

#define ASKS_FOR(start, end, direction, bytes)                                           \
    "STEM.RANGE " SNAPSHOT_ID " " start " " end " " direction " 0 " bytes

static void assert_next(stem_engine_iter *iter, const char *key, const char *value)
{
    const stem_engine_ops *ops = iter->engine->ops;
    stem_slice found, held;

    assert_ok(ops->iter_next(iter, &found, &held));
    ck_assert_str_eq(found.data, key);
    ck_assert_str_eq(held.data, value);
}

START_TEST(an_iterator_fetches_ahead_and_survives_its_connection)
{
    stem_engine *engine = open_at(
        START_SCRIPT(ATTACHES, FREEZES,
                     {ASKS_FOR("b", "f", "FORWARD", "16384"),
                      "*5\r\n:1\r\n$1\r\nb\r\n$1\r\n1\r\n$1\r\nc\r\n$1\r\n2\r\n", HANG_UP,
                      0},
                     ATTACHES_AGAIN,
                     {NULL, "*3\r\n:0\r\n$1\r\nd\r\n$1\r\n3\r\n", KEEP, 0}, RELEASES),
        0);
    stem_engine_iter *iter;
    stem_slice key, value;

    assert_ok(engine->ops->iter_open(engine, NULL, &b_to_f, false, &iter));
    assert_next(iter, "b", "1");
    assert_next(iter, "c", "2");
    assert_next(iter, "d", "3");
    assert_code(engine->ops->iter_next(iter, &key, &value), STEM_NOTFOUND);
    assert_code(engine->ops->iter_next(iter, &key, &value), STEM_NOTFOUND);
    assert_ok(engine->ops->iter_seek(iter, slice("d"))); /* within what is there */
    assert_next(iter, "d", "3");
    engine->ops->iter_close(iter);
    close_all(engine);
}
END_TEST

START_TEST(an_iterator_in_reverse_seeks_and_goes_on_below_the_last_key)
{
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, FREEZES,
                             {ASKS_FOR("b", "f", "REVERSE", "16384"),
                              "*5\r\n:1\r\n$1\r\ne\r\n$1\r\n1\r\n$1\r\nd\r\n$1\r\n2\r\n",
                              KEEP, 0},
                             {ASKS_FOR("b", "d", "REVERSE", "32768"),
                              "*3\r\n:0\r\n$1\r\nb\r\n$1\r\n3\r\n", KEEP, 0},
                             RELEASES),
                0);
    stem_engine_iter *iter;
    stem_slice key, value;

    assert_ok(engine->ops->iter_open(engine, NULL, &b_to_f, true, &iter));
    assert_next(iter, "e", "1");
    assert_ok(engine->ops->iter_seek(iter, slice("dd")));
    assert_next(iter, "d", "2");
    assert_next(iter, "b", "3");
    assert_code(engine->ops->iter_next(iter, &key, &value), STEM_NOTFOUND);
    engine->ops->iter_close(iter);
    close_all(engine);
}
END_TEST

static const struct {
    const char *reply;
    int code;
} wrong_chunks[] = {
    {"-GONE snapshot\r\n", STEM_EGONE},
    {"*0\r\n", STEM_EIO},
    {"*1\r\n:1\r\n", STEM_EIO},
    {"*2\r\n:0\r\n$1\r\nc\r\n", STEM_EIO},
    {"*3\r\n$1\r\n0\r\n$1\r\nc\r\n$1\r\n1\r\n", STEM_EIO},
    {"*3\r\n:0\r\n$1\r\nc\r\n$-1\r\n", STEM_EIO},
    {"*3\r\n:0\r\n$1\r\nf\r\n$1\r\n1\r\n", STEM_EIO},
    {"*3\r\n:0\r\n$1\r\na\r\n$1\r\n1\r\n", STEM_EIO},
    {"*3\r\n:0\r\n$0\r\n\r\n$1\r\n1\r\n", STEM_EIO},
    {"*5\r\n:0\r\n$1\r\nd\r\n$1\r\n1\r\n$1\r\nc\r\n$1\r\n1\r\n", STEM_EIO},
    {"*5\r\n:0\r\n$1\r\nd\r\n$1\r\n1\r\n$1\r\nd\r\n$1\r\n1\r\n", STEM_EIO},
};

START_TEST(a_wrong_chunk_ends_the_walk_with_the_same_failure_ever_after)
{
    stem_engine *engine =
        open_at(START_SCRIPT(ATTACHES, FREEZES, {NULL, wrong_chunks[_i].reply, KEEP, 0},
                             RELEASES),
                0);
    stem_engine_iter *iter;
    stem_slice key, value;

    assert_ok(engine->ops->iter_open(engine, NULL, &b_to_f, false, &iter));
    for (int i = 0; i < 3; i++) {
        stem_fail(STEM_ERANGE, "before");
        assert_code(engine->ops->iter_next(iter, &key, &value), wrong_chunks[_i].code);
        assert_text("unix:");
        assert_code(engine->ops->iter_seek(iter, slice("c")), wrong_chunks[_i].code);
    }
    engine->ops->iter_close(iter);
    close_all(engine);
}
END_TEST

START_TEST(keys_alone_are_fetched_until_a_value_is_asked_for)
{
    stem_engine *engine = open_at(
        START_SCRIPT(ATTACHES, FREEZES,
                     {ASKS_FOR("b", "f", "FORWARD", "16384 KEYS"),
                      "*3\r\n:0\r\n$1\r\nc\r\n$1\r\nd\r\n", KEEP, 0},
                     {NULL, "*3\r\n:0\r\n$1\r\nd\r\n$1\r\n3\r\n", KEEP, 0}, RELEASES),
        0);
    stem_engine_iter *iter;
    stem_slice key;

    assert_ok(engine->ops->iter_open(engine, NULL, &b_to_f, false, &iter));
    assert_ok(engine->ops->iter_next(iter, &key, NULL));
    ck_assert_str_eq(key.data, "c");
    assert_next(iter, "d", "3");
    engine->ops->iter_close(iter);
    close_all(engine);
}
END_TEST

START_TEST(an_id_that_is_none_is_no_snapshot)
{
    static const char *const ids[] = {"$0\r\n\r\n", "$3\r\na b\r\n", ":1\r\n", "$-1\r\n"};
    stem_engine *engine = open_at(START_SCRIPT(ATTACHES, {NULL, ids[_i], KEEP, 0}), 0);
    stem_engine_snapshot *snapshot;

    assert_code(engine->ops->snapshot_open(engine, &snapshot), STEM_EIO);
    close_all(engine);
}
END_TEST

/* ---- The whole -------------------------------------------------------------------- */

START_TEST(sync_compact_estimate_and_stats_ask_and_understand)
{
    stem_engine *engine = open_at(
        START_SCRIPT(
            ATTACHES, {"STEM.SYNC", OK, KEEP, 0}, {"STEM.COMPACT b f", OK, KEEP, 0},
            {"STEM.ESTIMATE b f", "*2\r\n:12\r\n:34\r\n", KEEP, 0},
            {"STEM.STATS",
             "*6\r\n$4\r\nhits\r\n:5\r\n$3\r\nnew\r\n:6\r\n$9\r\nlog_files\r\n:7\r\n",
             KEEP, 0},
            {NULL, ":1\r\n", KEEP, 0}, {NULL, "*1\r\n:1\r\n", KEEP, 0},
            {NULL, "+OK\r\n", KEEP, 0}),
        0);
    stem_size_info size = {0};
    stem_statistics stats = {0};

    assert_ok(engine->ops->sync(engine));
    assert_ok(engine->ops->compact(engine, &b_to_f));
    assert_ok(engine->ops->estimate(engine, &b_to_f, &size));
    ck_assert_uint_eq(size.table_bytes, 12);
    ck_assert_uint_eq(size.log_bytes, 34);
    assert_ok(engine->ops->stats(engine, &stats));
    ck_assert_uint_eq(stats.hits, 5);
    ck_assert_uint_eq(stats.log_files, 7);
    assert_code(engine->ops->sync(engine), STEM_EIO);
    assert_code(engine->ops->estimate(engine, &b_to_f, &size), STEM_EIO);
    assert_code(engine->ops->stats(engine, &stats), STEM_EIO);
    close_all(engine);
}
END_TEST

/* Once for each element of the table. */
#define add_table_test(tcase, test, table)                                               \
    tcase_add_loop_test((tcase), (test), 0, (int)(sizeof(table) / sizeof *(table)))

int main(void)
{
    Suite *suite = suite_create("remote wire");
    TCase *reading = add_case(suite, "reading", 20);
    TCase *committing = add_case(suite, "committing", 20);
    TCase *attaching = add_case(suite, "attaching", 20);
    TCase *walking = add_case(suite, "walking", 20);

    tcase_add_loop_test(reading, values_arrive_whole_or_in_pieces_and_null_is_absent, 0,
                        2);
    add_table_test(reading, a_wrong_reply_is_a_failure_that_says_so, wrong_replies);
    add_table_test(reading, an_error_of_the_servers_has_its_code_for_reads_and_commits,
                   refusals);
    tcase_add_test(reading, a_server_that_is_busy_is_asked_again_for_a_while);
    tcase_add_test(reading, a_server_that_turns_connections_away_is_asked_again);
    tcase_add_loop_test(reading,
                        a_reply_cut_short_is_asked_for_again_over_a_new_connection, 0, 6);
    tcase_add_loop_test(
        reading, a_reply_that_is_late_or_stops_halfway_is_waited_for_so_long, 0, 2);
    tcase_add_test(reading, a_server_that_is_gone_is_tried_again_until_time_is_up);
    tcase_add_test(reading, a_line_without_end_is_given_up);
    tcase_add_test(committing, a_commit_goes_as_one_request_expectations_first);
    tcase_add_loop_test(committing, a_conflict_names_an_expectation_or_is_no_answer, 0,
                        5);
    tcase_add_test(committing, a_commit_without_an_answer_is_repeated_under_its_number);
    tcase_add_test(committing, a_commit_whose_session_is_gone_meanwhile_is_not_known);
    tcase_add_test(committing, a_repeated_commit_answered_nosession_is_not_known);
    tcase_add_test(committing,
                   a_first_commit_answered_nosession_goes_on_in_a_new_session);
    tcase_add_test(committing, a_server_that_ends_every_session_is_not_asked_for_ever);
    tcase_add_test(committing,
                   a_compaction_waits_for_a_new_session_no_longer_than_other_calls);
    tcase_add_test(committing, an_unanswered_commit_is_not_known_when_time_is_up);
    tcase_add_loop_test(committing, an_answer_that_is_none_leaves_a_commit_unknown, 0, 5);
    tcase_add_loop_test(committing,
                        a_repeated_commit_that_is_refused_may_have_been_applied, 0, 3);
    tcase_add_test(committing, what_is_over_the_servers_limits_is_not_sent);
    tcase_add_loop_test(attaching, a_wrong_answer_to_attaching_refuses_the_open, 0, 12);
    tcase_add_test(attaching, must_be_new_is_answered_once_the_server_has);
    tcase_add_test(attaching, closing_detaches);
    tcase_add_test(attaching, closing_waits_but_a_moment_for_a_mute_server);
    tcase_add_test(walking, a_snapshot_that_is_gone_is_said_to_be);
    tcase_add_test(walking, an_iterator_fetches_ahead_and_survives_its_connection);
    tcase_add_test(walking, an_iterator_in_reverse_seeks_and_goes_on_below_the_last_key);
    add_table_test(walking, a_wrong_chunk_ends_the_walk_with_the_same_failure_ever_after,
                   wrong_chunks);
    tcase_add_test(walking, keys_alone_are_fetched_until_a_value_is_asked_for);
    tcase_add_loop_test(walking, an_id_that_is_none_is_no_snapshot, 0, 4);
    tcase_add_test(walking, sync_compact_estimate_and_stats_ask_and_understand);
    return run_suite(suite);
}
