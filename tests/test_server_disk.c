/*
 * A served database on a disk that stalls or fails: who waits for it, and who does not.
 */
#include <errno.h>
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
        ck_assert_str_eq(next_answer(client),
                         "-IOERROR the database could not be read or written");
        ck_assert_str_eq(next_answer(client),
                         "-IOERROR the database could not be read or written");
        ck_assert_str_eq(next_answer(client),
                         "-IOERROR the database could not be read or written");
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

START_TEST(a_sync_that_fails_is_told_to_who_asked_for_it)
{
    redisContext *client = dial();

    io_fails.sync = EIO;
    redisAppendCommand(client, "SET a 1");
    redisAppendCommand(client, "STEM.COMMIT 0 SYNC PUT b %s", packed);
    redisAppendCommand(client, "SET c 1");
    ck_assert_str_eq(next_answer(client), "+OK");
    ck_assert_str_eq(next_answer(client),
                     "-UNKNOWN written, but not known to be durable");
    ck_assert_str_eq(next_answer(client), "+OK");
    io_fails.sync = 0;
    assert_answer("[\"1\" \"1\" \"1\"]", client, "MGET a b c");
    redisFree(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server disk");
    TCase *stalls = add_case(suite, "stalls", 60), *fails = add_case(suite, "fails", 60);

    tcase_add_checked_fixture(stalls, open_served, close_served);
    tcase_add_test(stalls, a_disk_that_stalls_holds_up_no_reader);
    tcase_add_test(stalls, a_synced_commit_holds_up_no_reader);

    tcase_add_checked_fixture(fails, open_served, close_served);
    tcase_add_test(fails, writes_are_refused_with_the_cause_while_the_disk_fails);
    tcase_add_test(fails, a_sync_that_fails_is_told_to_who_asked_for_it);
    return run_suite(suite);
}
