/*
 * Disks that fail, in writing and in making durable, and power cuts: a commit is never
 * lost that was answered to be safe, and no failure is forgotten by the next call.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "failing_io.h"
#include "process.h"
#include "stem.h"
#include "support.h"

static const stem_options small_buffer = {.write_buffer_bytes = 64 << 10};

enum { KEYS = 20000 };

/* What was promised, kept where a dead child leaves it. */
typedef struct ledger {
    const char *path;
    int seed;
    int n_keys;
    enum { UNTRIED, PUT, SAFE, FAILED } keys[KEYS];
} ledger;

static ledger *make_ledger(void)
{
    ledger *made = mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(made, MAP_FAILED);
    made->path = path_in(temp_dir(), "d");
    return made;
}

static int put_key(stem_db *db, int number)
{
    char key[32], value[200];

    snprintf(key, sizeof key, "key %d", number);
    memset(value, number, sizeof value);
    return stem_put(db, key, stem_strn(value, (size_t)(20 + number % 180)));
}

static void put_next(ledger *book, stem_db *db)
{
    int code = put_key(db, book->n_keys);

    must(book->n_keys < KEYS);
    book->keys[book->n_keys++] = code == STEM_OK ? PUT : FAILED;
    must(code == STEM_OK || code == STEM_EIO);
}

/* All that was put before is safe now. */
static void note_sync(ledger *book)
{
    for (int i = 0; i < book->n_keys; i++)
        if (book->keys[i] == PUT)
            book->keys[i] = SAFE;
}

static void check_promises(void *argument)
{
    ledger *book = argument;
    stem_db *db;

    must_ok(stem_open(&db, book->path, NULL));
    for (int i = 0; i < book->n_keys; i++) {
        char key[32], *value;
        size_t len;

        snprintf(key, sizeof key, "key %d", i);
        int code = stem_get_str(db, key, &value, &len);
        if (book->keys[i] == SAFE)
            must(code == STEM_OK);
        if (book->keys[i] == FAILED)
            must(code == STEM_NOTFOUND);
        if (code == STEM_OK) {
            must(len == (size_t)(20 + i % 180) && value[len - 1] == (char)i);
            stem_free(value);
        }
    }
    must_ok(stem_close(db));
}

/* ---- Power cuts ------------------------------------------------------------------- */

static void put_and_lose_power(void *argument)
{
    ledger *book = argument;
    stem_options options = small_buffer;
    stem_db *db, *synced;

    srand((unsigned)book->seed);
    must_ok(stem_open(&db, book->path, &options));
    options.sync = true;
    must_ok(stem_open(&synced, book->path, &options));
    for (int round = 0; round < 5; round++) {
        /* Often over a switch of logs: one holds about 400. */
        for (int n = rand() % 1500; n >= 0; n--)
            put_next(book, db);
        if (rand() % 2 == 0)
            must_ok(stem_sync(db));
        else
            put_next(book, synced);
        note_sync(book);
        if (rand() % 4 == 0)
            must_ok(stem_compact(db));
    }
    for (int n = rand() % 1500; n >= 0; n--)
        put_next(book, db);
    cut_power();
    raise(SIGKILL);
}

START_TEST(what_was_synced_survives_a_power_cut_with_all_before_it)
{
    ledger *book = make_ledger();

    book->seed = _i;
    assert_child_killed(start_child(put_and_lose_power, book), SIGKILL);
    assert_child_ends_well(start_child(check_promises, book));
}
END_TEST

/* ---- Syncs that fail -------------------------------------------------------------- */

static void must_say(const char *part)
{
    must(strstr(stem_errmsg(), part));
}

static void fail_to_sync(void *argument)
{
    ledger *book = argument;
    stem_db *db, *synced;

    must_ok(stem_open(&db, book->path, NULL));
    must_ok(stem_open(&synced, book->path, STEM_OPTIONS(.sync = true)));
    for (int i = 0; i < 20; i++)
        put_next(book, db);
    must_ok(stem_sync(db));
    note_sync(book);
    for (int i = 0; i < 20; i++)
        put_next(book, db);

    io_fails.sync = EIO;
    if (book->seed == 0) {
        must_be(stem_sync(db), STEM_EIO);
    } else {
        must_be(put_key(synced, book->n_keys), STEM_EUNKNOWN);
        book->keys[book->n_keys++] = PUT;
        must_say("durable");
        must_say("key 40");
    }
    must_say("Input/output error");
    must_be(stem_sync(db), STEM_EIO);
    must_be(stem_has(db, "key 39"), STEM_OK);
    for (int i = 0; i < 3; i++)
        put_next(book, db); /* whether it can be written or not */
    must_be(stem_sync(db), STEM_EIO);

    io_fails.sync = 0;
    must_ok(stem_sync(db));
    note_sync(book);
    must_ok(put_key(synced, book->n_keys));
    book->keys[book->n_keys++] = SAFE;
    cut_power();
    raise(SIGKILL);
}

START_TEST(a_failed_sync_is_made_good_by_the_next_that_succeeds)
{
    ledger *book = make_ledger();

    book->seed = _i;
    assert_child_killed(start_child(fail_to_sync, book), SIGKILL);
    assert_child_ends_well(start_child(check_promises, book));
}
END_TEST

START_TEST(a_sync_that_is_made_good_at_once_leaves_the_last_failure_alone)
{
    stem_db *db;
    int64_t n;

    assert_ok(stem_open(&db, path_in(temp_dir(), "d"), NULL));
    assert_ok(stem_put(db, "key", 1));
    assert_code(stem_get_int(NULL, "key", &n), STEM_EINVAL);
    io_fails.syncs_failing = 1;
    io_fails.sync = EIO;
    assert_ok(stem_sync(db));
    ck_assert_int_eq(io_fails.sync, 0);
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    assert_ok(stem_close(db));
}
END_TEST

/* ---- Writes that fail ------------------------------------------------------------- */

static void fail_to_write(void *argument)
{
    static const int causes[] = {ENOSPC, EIO, EDQUOT};
    ledger *book = argument;
    stem_db *db;

    srand((unsigned)book->seed);
    must_ok(stem_open(&db, book->path, &small_buffer));
    for (int round = 0; round < 12; round++) {
        atomic_int *fails = book->seed % 2 == 0 ? &io_fails.write : &io_fails.create;
        int failed = 0;

        for (int n = rand() % 500; n >= 0; n--)
            put_next(book, db);
        *fails = causes[round % 3];
        for (int n = rand() % 800; n >= 0; n--) {
            put_next(book, db);
            failed += book->keys[book->n_keys - 1] == FAILED;
            must_ok(stem_has(db, "key 0"));
        }
        *fails = 0;
        for (int n = 0; n < 3; n++) {
            put_next(book, db);
            must(book->keys[book->n_keys - 1] == PUT);
        }
        must(fails != &io_fails.write || failed > 0);
    }
    must_ok(stem_sync(db));
    note_sync(book);
    raise(SIGKILL);
}

START_TEST(writes_that_fail_lose_nothing_that_was_answered)
{
    ledger *book = make_ledger();

    book->seed = _i;
    assert_child_killed(start_child(fail_to_write, book), SIGKILL);
    assert_child_ends_well(start_child(check_promises, book));
}
END_TEST

START_TEST(signals_do_not_keep_writing_from_going_on)
{
    stem_db *db;

    assert_ok(stem_open(&db, path_in(temp_dir(), "d"), NULL));
    io_fails.write = ENOSPC;
    assert_code(stem_put(db, "key", 1), STEM_EIO);
    io_fails.write = 0;
    io_fails.interruptions = 3;
    assert_ok(stem_put(db, "key", 1));
    ck_assert_int_eq(io_fails.interruptions, 0);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_compaction_that_fails_is_told)
{
    const char *path = path_in(temp_dir(), "d");
    stem_db *db;

    assert_ok(stem_open(&db, path, NULL));
    assert_ok(stem_put(db, "key", 1));
    io_fails.create = EROFS;
    assert_code(stem_compact(db), STEM_EIO);
    ck_assert_msg(strstr(stem_errmsg(), "Read-only file system"), "%s", stem_errmsg());
    assert_ok(stem_has(db, "key"));
    io_fails.create = 0;
    assert_ok(stem_compact(db));
    assert_ok(stem_has(db, "key"));
    assert_ok(stem_close(db));
}
END_TEST

/* ---- Compactions ------------------------------------------------------------------ */

enum { LARGE = 50000, LARGE_KEYS = 24 };

static int put_large(stem_db *db, int number)
{
    static char value[LARGE];
    char key[32];

    snprintf(key, sizeof key, "key %02d", number);
    return stem_put(db, key, stem_strn(value, sizeof value));
}

typedef struct compaction {
    stem_db *db;
    int code;
    atomic_bool is_over;
} compaction;

static void *compact(void *argument)
{
    compaction *work = argument;

    work->code = stem_compact(work->db);
    work->is_over = true;
    return NULL;
}

/* Two tables on one another in LevelDB, and the newest memtable to be written first. */
static stem_db *open_with_two_levels(const char *path)
{
    const stem_options options = {.write_buffer_bytes = 64 << 10, .no_compression = true};
    stem_db *db;

    assert_ok(stem_open(&db, path, &options));
    for (int generation = 0; generation < 2; generation++) {
        assert_ok(stem_compact(db));
        for (int i = 0; i < LARGE_KEYS; i++)
            assert_ok(put_large(db, i));
    }
    return db;
}

/* LevelDB 1.23 crashes when a memtable cannot become a table while it compacts for a caller. */
START_TEST(a_table_that_cannot_be_written_during_a_compaction_is_survived)
{
    const char *path = path_in(temp_dir(), "d");
    stem_db *db = open_with_two_levels(path);
    compaction work = {.db = db};
    int answers[6];
    pthread_t thread;

    /* The memtable that there is, and what the compaction writes. */
    io_fails.tables_left = 2;
    io_fails.table = ENOSPC;
    io_fails.write_delay = 3000;
    ck_assert_int_eq(pthread_create(&thread, NULL, compact, &work), 0);
    while (io_fails.tables_left > 0 && !work.is_over)
        usleep(500);
    for (int i = 0; i < 6; i++) {
        answers[i] = put_large(db, LARGE_KEYS + i);
        ck_assert(answers[i] == STEM_OK || answers[i] == STEM_EIO);
    }
    ck_assert_int_eq(answers[0], STEM_OK);
    pthread_join(thread, NULL);
    ck_assert(work.code == STEM_OK || work.code == STEM_EIO);
    io_fails.write_delay = 0;
    io_fails.table = 0;
    assert_ok(put_large(db, 0));
    assert_ok(stem_compact(db));
    assert_ok(stem_close(db));

    assert_ok(stem_open(&db, path, NULL));
    for (int i = 0; i < 6; i++) {
        char key[32];

        snprintf(key, sizeof key, "key %02d", LARGE_KEYS + i);
        assert_code(stem_has(db, key), answers[i] == STEM_OK ? STEM_OK : STEM_NOTFOUND);
    }
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_failed_creation_can_be_tried_again)
{
    const char *path = path_in(temp_dir(), "d");
    stem_db *db;

    for (int i = 0; i < 3; i++) {
        atomic_int *fails = i == 0   ? &io_fails.write
                            : i == 1 ? &io_fails.create
                                     : &io_fails.sync;

        *fails = EIO;
        assert_code(stem_open(&db, path, NULL), STEM_EIO);
        *fails = 0;
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    assert_ok(stem_open(&db, path, STEM_OPTIONS(.must_be_new = true)));
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_removal_that_cannot_list_all_files_is_told_and_done_again)
{
    const char *path = path_in(temp_dir(), "d");

    for (int listed = 0;; listed++) {
        stem_db *db;

        assert_ok(stem_open(&db, path, NULL));
        assert_ok(stem_put(db, "key", 1));
        assert_ok(stem_close(db));
        io_fails.list = EIO;
        io_fails.entries_left = listed;
        const int code = stem_destroy(path);
        io_fails.list = 0;
        if (code == STEM_OK)
            break;
        assert_code(code, STEM_EIO);
        assert_ok(stem_destroy(path));
    }
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_removal_that_fails_midway_never_leaves_an_earlier_state)
{
    const char *path = path_in(temp_dir(), "d");

    for (int removed = 0;; removed++) {
        stem_db *db;

        for (int i = 0; i < 3; i++) {
            assert_ok(stem_open(&db, path, NULL));
            assert_ok(stem_put(db, "key", i));
            assert_ok(stem_close(db));
        }
        io_fails.remove = EIO;
        io_fails.removals_left = removed;
        int code = stem_destroy(path);
        io_fails.remove = 0;
        if (code == STEM_OK)
            break;
        ck_assert_int_eq(code, STEM_EIO);
        code = stem_open(&db, path, STEM_OPTIONS(.must_exist = true));
        ck_assert_msg(code == STEM_ECORRUPT || code == STEM_NOTFOUND || removed == 0,
                      "after %d removals: %d", removed, code);
        if (code == STEM_OK)
            assert_ok(stem_close(db));
        assert_ok(stem_destroy(path));
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_system_without_threads_is_told_and_nothing_aborts)
{
    const char *path = path_in(temp_dir(), "d");
    stem_db *db;

    io_fails.thread = EAGAIN;
    assert_code(stem_open(&db, path, NULL), STEM_EIO);
    ck_assert_msg(strstr(stem_errmsg(), "thread"), "%s", stem_errmsg());
    ck_assert_int_ne(access(path, F_OK), 0);
    io_fails.thread = 0;
    assert_ok(stem_open(&db, path, NULL));
    /* The one thread there is serves all that comes. */
    io_fails.thread = EAGAIN;
    assert_ok(stem_put(db, "key", 1));
    assert_ok(stem_compact(db));
    assert_ok(stem_close(db));
    assert_ok(stem_open(&db, path, NULL));
    assert_ok(stem_compact(db));
    assert_ok(stem_close(db));
}
END_TEST

/* LevelDB's thread is started by the first open of a process: those of each open after that may
 * fail, the first of them or a later one. */
START_TEST(an_open_that_lacks_a_thread_is_told_and_can_be_tried_again)
{
    static const stem_options kinds[] = {{.writeback_bytes = 1 << 20},
                                         {.shared = true},
                                         {.shared = true, .writeback_bytes = 1 << 20}};
    const char *path = path_in(temp_dir(), "d"), *other = path_in(temp_dir(), "other");
    int refused = 0;
    stem_db *db;

    assert_ok(stem_open(&db, other, NULL));
    assert_ok(stem_close(db));
    for (int left = 0; left < 20; left++) {
        io_fails.threads_left = left;
        io_fails.thread = EAGAIN;
        const int code = stem_open(&db, path, &kinds[_i]);
        io_fails.thread = 0;
        if (code == STEM_ENOTSUP)
            return; /* a build that cannot share */
        if (code != STEM_OK) {
            assert_code(code, STEM_EIO);
            ck_assert_msg(strstr(stem_errmsg(), "thread"), "%s", stem_errmsg());
            refused++;
            assert_ok(stem_open(&db, path, &kinds[_i]));
        }
        assert_ok(stem_put(db, "key", left));
        assert_ok(stem_close(db));
    }
    ck_assert(refused > 0);
}
END_TEST

/* ---- Sharing ---------------------------------------------------------------------- */

enum { SYNCERS = 4, SYNCS_EACH = 50 };

static void *put_synced(void *db)
{
    for (int i = 0; i < SYNCS_EACH; i++)
        if (put_key(db, i) != STEM_OK)
            return db;
    return NULL;
}

START_TEST(threads_share_syncs)
{
    pthread_t threads[SYNCERS];
    stem_db *db;

    assert_ok(stem_open(&db, path_in(temp_dir(), "d"), STEM_OPTIONS(.sync = true)));
    int before = syncs_so_far();
    assert_ok(put_key(db, 0));
    int alone = syncs_so_far() - before;
    io_fails.sync_delay =
        3000; /* long enough for all to meet, however busy the machine */
    before = syncs_so_far();
    for (int i = 0; i < SYNCERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, put_synced, db), 0);
    for (int i = 0; i < SYNCERS; i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    int together = syncs_so_far() - before;
    ck_assert_msg(together < alone * SYNCERS * SYNCS_EACH * 3 / 4,
                  "%d syncs for %d commits, %d for one alone", together,
                  SYNCERS * SYNCS_EACH, alone);

    before = syncs_so_far();
    assert_ok(stem_sync(db));
    ck_assert_int_eq(syncs_so_far(), before); /* nothing is new since */
    assert_ok(stem_close(db));
}
END_TEST

/* ---- The end of the process --------------------------------------------------------- */

typedef enum broken_disk { REFUSING, HANGING } broken_disk;
static broken_disk broken;

static void end_with_a_broken_disk(void *path)
{
    stem_db *db;

    must_ok(stem_open(&db, path,
                      STEM_OPTIONS(.writeback_bytes = 1 << 20, .writeback_ms = 60000)));
    must_ok(stem_put(db, "key", 1));
    if (broken == REFUSING)
        io_fails.write = ENOSPC;
    else
        io_fails.write_delay = 60 * 1000 * 1000;
    exit(0);
}

START_TEST(a_process_ends_in_time_with_a_disk_that_fails)
{
    const char *path = path_in(temp_dir(), "d");
    struct timespec began, ended;

    broken = (broken_disk)_i;
    clock_gettime(CLOCK_MONOTONIC, &began);
    assert_child_ends_well(start_child(end_with_a_broken_disk, (void *)path));
    clock_gettime(CLOCK_MONOTONIC, &ended);
    ck_assert_int_lt(ended.tv_sec - began.tv_sec, broken == REFUSING ? 8 : 25);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("failing_io");
    TCase *power = add_case(suite, "power", 30);
    TCase *syncs = add_case(suite, "syncs", 30);
    TCase *writes = add_case(suite, "writes", 30);

    tcase_add_loop_test(power, what_was_synced_survives_a_power_cut_with_all_before_it, 0,
                        12);
    tcase_add_loop_test(syncs, a_failed_sync_is_made_good_by_the_next_that_succeeds, 0,
                        2);
    tcase_add_test(syncs, a_sync_that_is_made_good_at_once_leaves_the_last_failure_alone);
    tcase_add_test(syncs, threads_share_syncs);
    tcase_add_loop_test(writes, writes_that_fail_lose_nothing_that_was_answered, 0, 8);
    tcase_add_test(writes, signals_do_not_keep_writing_from_going_on);
    tcase_add_test(writes, a_compaction_that_fails_is_told);
    tcase_add_test(writes,
                   a_table_that_cannot_be_written_during_a_compaction_is_survived);
    tcase_add_test(writes, a_failed_creation_can_be_tried_again);
    tcase_add_test(writes, a_removal_that_cannot_list_all_files_is_told_and_done_again);
    tcase_add_test(writes, a_removal_that_fails_midway_never_leaves_an_earlier_state);
    tcase_add_test(writes, a_system_without_threads_is_told_and_nothing_aborts);
    tcase_add_loop_test(writes,
                        an_open_that_lacks_a_thread_is_told_and_can_be_tried_again, 0, 3);
    TCase *end = add_case(suite, "end", 60);
    tcase_add_loop_test(end, a_process_ends_in_time_with_a_disk_that_fails, 0, 2);
    return run_suite(suite);
}
