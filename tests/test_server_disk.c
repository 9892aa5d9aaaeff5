/*
 * A served database on a disk that stalls or fails: who waits for it, and who does not.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "failing_io.h"
#include "served.h"

static stem_db *db;
static stem_server *server;

static void open_served(void)
{
    assert_ok(stem_open(&db, path_in(temp_dir(), "db"), NULL));
    server = serve(db, NULL);
}

static void open_served_with_memory(void)
{
    assert_ok(stem_open(&db, path_in(temp_dir(), "db"),
                        STEM_OPTIONS(.writeback_bytes = 16 << 20)));
    server = serve(db, NULL);
}

static void close_served(void)
{
    assert_ok(stem_server_close(server));
    assert_ok(stem_close(db));
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

START_TEST(a_disk_that_stalls_holds_up_no_reader)
{
    redisContext *writer = dial(), *reader = dial(), *second = dial();

    assert_answer("+OK", writer, "SET a 1");
    io_fails.write_delay = 1000000;
    redisAppendCommand(writer, "SET a 2");
    int done = 0;
    redisBufferWrite(writer, &done);
    usleep(100000);
    redisAppendCommand(second, "SET b 1");
    redisBufferWrite(second, &done);
    const double began = seconds_now();
    for (int i = 0; i < 1000; i++)
        assert_answer("\"1\"", reader, "GET a");
    ck_assert(seconds_now() - began < 0.7);
    io_fails.write_delay = 0;
    ck_assert_str_eq(next_answer(writer), "+OK");
    ck_assert_str_eq(next_answer(second), "+OK");
    assert_answer("\"2\"", reader, "GET a");
    redisFree(writer);
    redisFree(reader);
    redisFree(second);
}
END_TEST

/* To a client of the server's own user. */
static void assert_names_cause(const char *answer)
{
    static const char beginning[] =
        "-IOERROR the database could not be read or written: ";

    ck_assert_msg(strncmp(answer, beginning, strlen(beginning)) == 0, "%s", answer);
    ck_assert_msg(strstr(answer, strerror(ENOSPC)) != NULL, "%s", answer);
}

START_TEST(writes_are_refused_with_the_cause_while_the_disk_fails)
{
    redisContext *client = dial();

    assert_answer("+OK", client, "SET a 1");
    io_fails.write = ENOSPC;
    for (int i = 0; i < 20; i++) {
        redisAppendCommand(client, "SET a 2");
        redisAppendCommand(client, "SETNX b 1");
        redisAppendCommand(client, "SETNX b 2");
        redisAppendCommand(client, "GET a");
    }
    for (int i = 0; i < 20; i++) {
        assert_names_cause(next_answer(client));
        assert_names_cause(next_answer(client));
        assert_names_cause(next_answer(client));
        ck_assert_str_eq(next_answer(client), "\"1\"");
    }
    io_fails.write = 0;
    assert_answer("+OK", client, "SET a 3");
    assert_answer("\"3\"", client, "GET a");
    assert_answer("1", client, "DBSIZE");
    redisFree(client);
}
END_TEST

/* Packed, as STEM.COMMIT has values. */
static const char *const packed = "\x01";

START_TEST(failures_are_counted_with_the_cause_of_the_last)
{
    redisContext *client = dial();
    char *message;

    ck_assert_uint_eq(stem_server_failures(server, &message), 0);
    ck_assert_ptr_null(message);
    assert_answer("+OK", client, "SET a 1");
    io_fails.write = ENOSPC;
    for (int i = 0; i < 3; i++)
        assert_names_cause(ask(client, "SET a 2"));
    io_fails.write = 0;
    ask(client, "NONSENSE"); /* is no failure of the database's */
    ck_assert_uint_eq(stem_server_failures(server, NULL), 3);
    ck_assert_uint_eq(stem_server_failures(server, &message), 3);
    ck_assert_ptr_nonnull(strstr(message, strerror(ENOSPC)));
    stem_free(message);
    ck_assert_uint_eq(stem_server_failures(NULL, &message), 0);
    redisFree(client);
}
END_TEST

START_TEST(a_synced_commit_holds_up_no_reader)
{
    redisContext *writer = dial(), *reader = dial();
    int done = 0;

    assert_answer("+OK", writer, "SET a 1");
    io_fails.sync_delay = 1000000;
    redisAppendCommand(writer, "STEM.COMMIT 0 SYNC PUT b %s", packed);
    redisBufferWrite(writer, &done);
    const double began = seconds_now();
    for (int i = 0; i < 1000; i++)
        assert_answer("\"1\"", reader, "GET a");
    ck_assert(seconds_now() - began < 0.7);
    io_fails.sync_delay = 0;
    ck_assert_str_eq(next_answer(writer), "+OK");
    assert_answer("\"1\"", reader, "GET b");
    redisFree(writer);
    redisFree(reader);
}
END_TEST

START_TEST(what_follows_a_slow_commit_is_answered_when_it_is_written_itself)
{
    enum { BETWEEN = 2600, DELAY_US = 300000 };
    redisContext *client = dial();

    io_fails.sync_delay = DELAY_US;
    const double began = seconds_now();
    redisAppendCommand(client, "STEM.COMMIT 0 SYNC PUT a %s", packed);
    for (int i = 0; i < BETWEEN; i++)
        redisAppendCommand(client, "PING");
    redisAppendCommand(client, "STEM.COMMIT 0 SYNC PUT b %s", packed);
    ck_assert_str_eq(next_answer(client), "+OK");
    for (int i = 0; i < BETWEEN; i++)
        ck_assert_str_eq(next_answer(client), "+PONG");
    ck_assert_str_eq(next_answer(client), "+OK");
    ck_assert(seconds_now() - began >= 2 * DELAY_US / 1e6);
    io_fails.sync_delay = 0;
    redisFree(client);
}
END_TEST

START_TEST(expectations_and_flushdb_beside_a_stalled_disk_hold_up_no_reader)
{
    redisContext *writer = dial(), *asking = dial(), *flushing = dial(), *reader = dial();
    int done = 0;

    assert_answer("+OK", writer, "SET a 1");
    io_fails.write_delay = 1000000;
    redisAppendCommand(writer, "SET b 2");
    redisBufferWrite(writer, &done);
    usleep(100000);
    redisAppendCommand(asking, "STEM.COMMIT 0 - EQUAL a %s", packed);
    redisBufferWrite(asking, &done);
    redisAppendCommand(flushing, "FLUSHDB");
    redisBufferWrite(flushing, &done);
    const double began = seconds_now();
    for (int i = 0; i < 1000; i++)
        ask(reader, "GET a");
    ck_assert(seconds_now() - began < 0.7);
    io_fails.write_delay = 0;
    ck_assert_str_eq(next_answer(writer), "+OK");
    ck_assert_str_eq(next_answer(flushing), "+OK");
    const char *answer = next_answer(asking);
    ck_assert(strcmp(answer, "+OK") == 0 || strcmp(answer, "-CONFLICT 0") == 0);
    redisFree(writer);
    redisFree(asking);
    redisFree(flushing);
    redisFree(reader);
}
END_TEST

/* The slot's number, and what it expects, may be in a commit that is still being written. */
START_TEST(a_commit_repeated_while_it_is_written_is_answered_ok)
{
    redisContext *other = dial(), *client = dial(), *again = dial();
    char session[64];
    int done = 0;

    assert_answer("+OK", other, "SET lock 1");
    snprintf(session, sizeof session, "%s", ask(client, "STEM.ATTACH 1 0 NEW") + 2);
    session[32] = '\0';
    io_fails.write_delay = 500000;
    redisAppendCommand(other, "SET x 1");
    redisBufferWrite(other, &done);
    usleep(100000); /* those that follow form one group, and wait together */
    redisAppendCommand(other, "DEL lock");
    redisBufferWrite(other, &done);
    redisAppendCommand(client, "STEM.COMMIT 1 - ABSENT lock PUT lock %s", packed);
    redisBufferWrite(client, &done);
    usleep(600000);
    redisAppendCommand(again, "STEM.ATTACH 1 0 %s", session);
    redisAppendCommand(again, "STEM.COMMIT 1 - ABSENT lock PUT lock %s", packed);
    redisBufferWrite(again, &done);
    next_answer(again);
    ck_assert_str_eq(next_answer(again), "+OK");
    io_fails.write_delay = 0;
    assert_answer("\"1\"", again, "GET lock");
    redisFree(other);
    redisFree(client);
    redisFree(again);
}
END_TEST

START_TEST(a_sync_that_fails_is_told_to_who_asked_for_it)
{
    redisContext *client = dial();

    io_fails.sync = EIO;
    redisAppendCommand(client, "SET a 1");
    redisAppendCommand(client, "STEM.COMMIT 0 SYNC PUT b %s", packed);
    redisAppendCommand(client, "SET c 1");
    ck_assert_str_eq(next_answer(client), "+OK");
    ck_assert_int_eq(strncmp(next_answer(client),
                             "-UNKNOWN not known to be applied and durable: ", 46),
                     0);
    ck_assert_str_eq(next_answer(client), "+OK");
    io_fails.sync = 0;
    assert_answer("[\"1\" \"1\" \"1\"]", client, "MGET a b c");
    redisFree(client);
}
END_TEST

/* A session that could not be stored when it was made is stored by its first commit. */
START_TEST(a_full_disk_lets_clients_in_to_read_and_they_write_when_there_is_room)
{
    redisContext *client = dial(), *again = dial();
    char session[64];
    int64_t n;

    assert_answer("+OK", client, "SET a 1");
    io_fails.write = ENOSPC;
    stem_db *remote;
    assert_ok(stem_open(&remote, served_at(), NULL));
    ck_assert_int_eq(stem_get_int_or(remote, "a", 0), 1);
    ck_assert_int_eq(stem_put(remote, "b", 2), STEM_EIO);
    snprintf(session, sizeof session, "%s", ask(client, "STEM.ATTACH 1 0 NEW") + 2);
    session[32] = '\0';
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(
            strncmp(ask(client, "STEM.COMMIT 1 - PUT c %s", packed), "-IOERROR", 8), 0);
    io_fails.write = 0;
    assert_ok(stem_incr(remote, "a", 1, 0, &n));
    ck_assert_int_eq(n, 2);
    assert_answer("+OK", client, "STEM.COMMIT 1 - ABSENT c PUT c %s", packed);
    assert_answer("+OK", client, "STEM.COMMIT 1 - ABSENT c PUT c %s", packed);
    ck_assert_int_eq(*ask(again, "STEM.ATTACH 1 0 %s", session), '[');
    assert_answer("+OK", again, "STEM.COMMIT 1 - ABSENT c PUT c %s", packed);
    assert_answer("-CONFLICT 0", again, "STEM.COMMIT 2 - ABSENT c PUT c %s", packed);
    assert_ok(stem_close(remote));
    redisFree(client);
    redisFree(again);
}
END_TEST

static void add_tests(TCase *stalls, TCase *fails)
{
    tcase_add_test(stalls, a_disk_that_stalls_holds_up_no_reader);
    tcase_add_test(stalls, a_synced_commit_holds_up_no_reader);
    tcase_add_test(stalls,
                   expectations_and_flushdb_beside_a_stalled_disk_hold_up_no_reader);
    tcase_add_test(stalls,
                   what_follows_a_slow_commit_is_answered_when_it_is_written_itself);
    tcase_add_test(stalls, a_commit_repeated_while_it_is_written_is_answered_ok);
    tcase_add_test(fails, writes_are_refused_with_the_cause_while_the_disk_fails);
    tcase_add_test(fails,
                   a_full_disk_lets_clients_in_to_read_and_they_write_when_there_is_room);
    tcase_add_test(fails, failures_are_counted_with_the_cause_of_the_last);
    tcase_add_test(fails, a_sync_that_fails_is_told_to_who_asked_for_it);
}

int main(void)
{
    Suite *suite = suite_create("server disk");
    TCase *stalls = add_case(suite, "stalls", 60), *fails = add_case(suite, "fails", 60);
    TCase *stalls_behind = add_case(suite, "stalls behind memory", 60);
    TCase *fails_behind = add_case(suite, "fails behind memory", 60);

    tcase_add_checked_fixture(stalls, open_served, close_served);
    tcase_add_checked_fixture(fails, open_served, close_served);
    add_tests(stalls, fails);
    tcase_add_checked_fixture(stalls_behind, open_served_with_memory, close_served);
    tcase_add_checked_fixture(fails_behind, open_served_with_memory, close_served);
    add_tests(stalls_behind, fails_behind);
    return run_suite(suite);
}
