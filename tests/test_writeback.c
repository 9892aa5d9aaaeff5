/*
 * What write-back alone does: answering from memory, writing in rounds, keeping to its budget,
 * and dropping nothing while the disk fails.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "place.h"

enum { BUDGET = 1 << 20, NEVER_MS = 60000 };

static stem_db *open_at(const char *path, size_t bytes, size_t ms)
{
    stem_db *db;

    assert_ok(
        stem_open(&db, path, STEM_OPTIONS(.writeback_bytes = bytes, .writeback_ms = ms)));
    return db;
}

/* Memory for everything, and no round unless asked for. */
static stem_db *open_lazy(const char *path)
{
    return open_at(path, 64 << 20, NEVER_MS);
}

static stem_statistics stats_of(stem_db *db)
{
    stem_statistics stats;

    assert_ok(stem_stats(db, &stats));
    return stats;
}

static void assert_int(stem_db *db, const char *key, int64_t expected)
{
    int64_t value;

    assert_ok(stem_get_int(db, key, &value));
    ck_assert_int_eq(value, expected);
}

static void nap(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000},
              NULL);
}

/* ---- Rounds ----------------------------------------------------------------------- */

START_TEST(a_commit_is_seen_at_once_and_is_dirty_until_a_flush)
{
    const char *path = path_in(temp_dir(), "db");
    stem_db *db = open_lazy(path), *other;

    assert_ok(stem_put(db, "k", 1));
    assert_ok(stem_open(&other, path, NULL));
    assert_int(other, "k", 1);
    ck_assert_uint_gt(stats_of(db).dirty_bytes, 0);
    ck_assert_uint_eq(stats_of(db).rounds, 0);
    assert_ok(stem_flush(other));
    ck_assert_uint_eq(stats_of(db).dirty_bytes, 0);
    ck_assert_uint_eq(stats_of(db).rounds, 1);
    assert_int(db, "k", 1);
    assert_ok(stem_flush(db));
    ck_assert_uint_eq(stats_of(db).rounds, 1);
    assert_ok(stem_del(db, "k"));
    assert_code(stem_has(db, "k"), STEM_NOTFOUND);
    assert_ok(stem_close(other));
    assert_ok(stem_close(db));
    assert_ok(stem_open(&db, path, NULL));
    assert_code(stem_has(db, "k"), STEM_NOTFOUND);
    assert_ok(stem_flush(db));
    assert_ok(stem_close(db));
    assert_code(stem_flush(NULL), STEM_EINVAL);
}
END_TEST

START_TEST(a_round_comes_by_itself_after_the_interval)
{
    stem_db *db = open_at(path_in(temp_dir(), "db"), BUDGET, 1);

    for (int i = 0; i < 10; i++) {
        assert_ok(stem_put(db, "k", i));
        while (stats_of(db).dirty_bytes > 0)
            nap(1);
        assert_int(db, "k", i);
    }
    ck_assert_uint_ge(stats_of(db).rounds, 10);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(many_writes_of_one_key_reach_the_disk_once)
{
    stem_db *db = open_lazy(path_in(temp_dir(), "db"));

    for (int i = 0; i < 100000; i++)
        assert_ok(stem_put(db, "hot", i));
    assert_ok(stem_flush(db));
    ck_assert_uint_lt(stats_of(db).log_bytes, 1000);
    ck_assert_uint_eq(stats_of(db).rounds, 1);
    assert_int(db, "hot", 99999);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_synced_commit_takes_everything_before_it_to_the_disk)
{
    const char *path = path_in(temp_dir(), "db");
    stem_db *db = open_lazy(path), *synced;

    assert_ok(stem_open(&synced, path, STEM_OPTIONS(.sync = true)));
    unsigned before = files_synced();
    assert_ok(stem_put(db, "a", 1));
    ck_assert_uint_eq(files_synced(), before);
    assert_ok(stem_put(synced, "b", 2));
    ck_assert_uint_gt(files_synced(), before);
    ck_assert_uint_eq(stats_of(db).dirty_bytes, 0);
    before = files_synced();
    assert_ok(stem_put(db, "c", 3));
    assert_ok(stem_sync(db));
    ck_assert_uint_gt(files_synced(), before);
    ck_assert_uint_eq(stats_of(db).dirty_bytes, 0);
    assert_ok(stem_close(synced));
    assert_ok(stem_close(db));
}
END_TEST

/* ---- The budget ------------------------------------------------------------------- */

START_TEST(what_is_in_memory_stays_within_the_budget)
{
    stem_db *db = open_at(path_in(temp_dir(), "db"), BUDGET, NEVER_MS);
    char *text = calloc(1, 20001), key[16];

    for (int i = 0; i < 2000; i++) {
        stem_value value = {0};

        memset(text, 'a' + i % 26, 20000);
        snprintf(key, sizeof key, "%d", i);
        assert_ok(stem_put_value(db, key, stem_strn(text, (size_t)(i * 7 % 20000))));
        snprintf(key, sizeof key, "%d", i / 2);
        assert_ok(stem_get(db, key, &value));
        ck_assert_uint_eq(value.as.str.len, (unsigned)(i / 2 * 7 % 20000));
        stem_value_free(&value);
        stem_statistics now = stats_of(db);
        /* One value may have come while the other was being made room for. */
        ck_assert_uint_le(now.dirty_bytes + now.cached_bytes, BUDGET + 40000);
    }
    ck_assert_uint_gt(stats_of(db).rounds, 10);
    free(text);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_commit_larger_than_the_memory_goes_straight_through)
{
    const char *path = path_in(temp_dir(), "db");
    stem_db *db = open_at(path, BUDGET, NEVER_MS);
    char *large = calloc(1, 3 * BUDGET);
    stem_value value = {0};

    assert_ok(stem_put(db, "before", 1));
    assert_ok(stem_put(db, "large", "small"));
    assert_ok(stem_flush(db));
    for (int i = 0; i < 3; i++) {
        assert_ok(stem_get(db, "large", &value)); /* now it is kept for reading */
        stem_value_free(&value);
    }
    assert_ok(stem_put(db, "before", 2));
    assert_code(stem_insert_value(db, "large", stem_bin(large, 3 * BUDGET)), STEM_EXISTS);
    assert_ok(stem_put_value(db, "large", stem_bin(large, 3 * BUDGET)));
    ck_assert_uint_eq(stats_of(db).dirty_bytes, 0);
    assert_ok(stem_get(db, "large", &value));
    ck_assert_uint_eq(value.as.bin.len, 3 * BUDGET);
    stem_value_free(&value);
    assert_ok(stem_put(db, "large", 3));
    assert_contents(db, "before=2 large=3");
    free(large);
    assert_ok(stem_close(db));
    db = open_lazy(path);
    assert_contents(db, "before=2 large=3");
    assert_ok(stem_close(db));
}
END_TEST

/* Writes until it is told to stop. */
typedef struct writer {
    stem_db *db;
    atomic_bool is_done;
} writer;

static void *write_on(void *argument)
{
    writer *mine = argument;
    char key[16];

    for (int i = 0; !atomic_load(&mine->is_done); i++) {
        snprintf(key, sizeof key, "%d", i % 50000);
        assert_ok(stem_put(mine->db, key, i));
    }
    return NULL;
}

START_TEST(large_commits_get_through_while_others_write_all_the_time)
{
    writer other = {.db = open_at(path_in(temp_dir(), "db"), 2 * BUDGET, 1)};
    char *large = calloc(1, 3 * BUDGET);
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, write_on, &other), 0);
    for (size_t bytes = BUDGET / 4; bytes <= 3 * BUDGET; bytes += BUDGET / 4)
        assert_ok(stem_put_value(other.db, "large", stem_bin(large, bytes)));
    atomic_store(&other.is_done, true);
    pthread_join(thread, NULL);
    free(large);
    assert_ok(stem_close(other.db));
}
END_TEST

START_TEST(a_large_value_does_not_drive_out_the_others)
{
    stem_db *db = open_at(path_in(temp_dir(), "db"), BUDGET, NEVER_MS);
    char *large = calloc(1, BUDGET / 4), key[16];
    stem_value value = {0};

    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_ok(stem_put(db, key, i));
        assert_int(db, key, i);
        assert_int(db, key, i);
    }
    assert_ok(stem_put_value(db, "large", stem_bin(large, BUDGET / 4)));
    assert_ok(stem_flush(db));
    const uint64_t cached = stats_of(db).cached_bytes;
    ck_assert_uint_gt(cached, 0);
    for (int i = 0; i < 4; i++) {
        assert_ok(stem_get(db, "large", &value));
        stem_value_free(&value);
    }
    ck_assert_uint_eq(stats_of(db).cached_bytes, cached);
    free(large);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_value_that_is_missed_is_kept)
{
    const char *path = path_in(temp_dir(), "db");
    stem_db *db = open_lazy(path);

    assert_ok(stem_put(db, "k", 1));
    assert_ok(stem_close(db));
    db = open_lazy(path);
    assert_int(db, "k", 1);
    ck_assert_uint_gt(stats_of(db).cached_bytes, 0);
    ck_assert_uint_eq(stats_of(db).misses, 1);
    ck_assert_uint_eq(stats_of(db).hits, 0);
    assert_int(db, "k", 1);
    ck_assert_uint_eq(stats_of(db).hits, 1);
    for (int i = 2; i < 5; i++) {
        assert_ok(stem_put(db, "k", i));
        assert_int(db, "k", i);
        assert_ok(stem_flush(db));
        assert_int(db, "k", i);
    }
    ck_assert_uint_eq(stats_of(db).misses, 1);
    assert_ok(stem_del(db, "k"));
    assert_ok(stem_flush(db));
    assert_code(stem_has(db, "k"), STEM_NOTFOUND);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(where_memory_is_short_a_value_is_kept_when_it_is_missed_again)
{
    enum { OTHERS = 200, OTHER_BYTES = 8000 };
    static char bytes[OTHER_BYTES];
    const char *path = path_in(temp_dir(), "db");
    stem_db *db = open_at(path, BUDGET, NEVER_MS);
    stem_value value = {0};
    char key[16];

    assert_ok(stem_put(db, "k", 1));
    for (int i = 0; i < OTHERS; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_ok(stem_put_value(db, key, stem_bin(bytes, OTHER_BYTES)));
    }
    assert_ok(stem_close(db));
    db = open_at(path, BUDGET, NEVER_MS);
    for (int i = 0; i < OTHERS; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_ok(stem_get(db, key, &value));
        stem_value_free(&value);
    }
    ck_assert_uint_gt(stats_of(db).cached_bytes, BUDGET / 2);
    ck_assert_uint_lt(stats_of(db).cached_bytes, BUDGET - BUDGET / 8);
    for (int i = 0; i < 2; i++) {
        assert_int(db, "k", 1);
        ck_assert_uint_eq(stats_of(db).hits, 0);
    }
    assert_int(db, "k", 1);
    ck_assert_uint_eq(stats_of(db).hits, 1);
    assert_ok(stem_close(db));
}
END_TEST

/* ---- Snapshots -------------------------------------------------------------------- */

START_TEST(a_snapshot_stays_whatever_is_written_and_flushed)
{
    stem_db *db = open_lazy(path_in(temp_dir(), "db")), *frozen[4];
    const char *const states[] = {"", "a=1 b=1", "a=2 b=1 c=2", "b=3 c=2"};

    frozen[0] = stem_snapshot(db);
    assert_ok(stem_put(db, "a", 1));
    assert_ok(stem_put(db, "b", 1));
    frozen[1] = stem_snapshot(db);
    assert_ok(stem_put(db, "a", 2));
    assert_ok(stem_put(db, "c", 2));
    frozen[2] = stem_snapshot(db);
    assert_ok(stem_flush(db));
    assert_ok(stem_del(db, "a"));
    assert_ok(stem_put(db, "b", 3));
    frozen[3] = stem_snapshot(db);
    ck_assert_uint_gt(stats_of(db).kept_bytes, 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            assert_contents(frozen[i], states[i]);
        assert_int(frozen[1], "a", 1);
        assert_code(stem_has(frozen[3], "a"), STEM_NOTFOUND);
        assert_ok(stem_put(db, "b", 100 + round));
        assert_ok(stem_put(db, "z", round));
        assert_ok(stem_flush(db));
    }
    for (int i = 0; i < 4; i++)
        assert_ok(stem_close(frozen[i]));
    ck_assert_uint_eq(stats_of(db).kept_bytes, 0);
    assert_contents(db, "b=102 c=2 z=2");
    assert_ok(stem_close(db));
}
END_TEST

/* ---- Options ---------------------------------------------------------------------- */

START_TEST(options_that_cannot_be_are_refused)
{
    const char *path = path_in(temp_dir(), "db");
    const stem_options wrong[] = {{.writeback_ms = 50},
                                  {.writeback_bytes = BUDGET - 1},
                                  {.writeback_bytes = (1 << 30) + 1},
                                  {.writeback_bytes = BUDGET, .writeback_ms = 60001}};
    stem_db *db, *other;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_failure(stem_open(&db, path, &wrong[i]), STEM_EINVAL);
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "writeback"));
    }
    assert_ok(stem_open(&db, path, STEM_OPTIONS(.writeback_bytes = BUDGET)));
    assert_ok(stem_open(&other, path, NULL));
    assert_ok(stem_close(other));
    other = open_at(path, BUDGET, 50); /* the default, named */
    assert_ok(stem_close(other));
    assert_failure(stem_open(&other, path, STEM_OPTIONS(.writeback_bytes = 2 * BUDGET)),
                   STEM_EINVAL);
    assert_ok(stem_close(db));
    assert_ok(stem_open(&db, path, NULL));
    assert_failure(stem_open(&other, path, STEM_OPTIONS(.writeback_bytes = BUDGET)),
                   STEM_EINVAL);
    assert_ok(stem_close(db));
    assert_ok(stem_close_discard(NULL));
}
END_TEST

/* ---- A disk that fails ------------------------------------------------------------ */

/* From now on no file may grow, or all may again. */
static void break_disk(bool is_broken)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = is_broken ? 0 : limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(nothing_accepted_is_dropped_while_the_disk_fails)
{
    const char *path = path_in(temp_dir(), "db");
    stem_db *db = open_at(path, BUDGET, 1), *synced;
    static char text[10001];
    char key[16];
    int accepted = 0, code = STEM_OK;

    memset(text, 'x', sizeof text - 1);
    assert_ok(stem_open(&synced, path, STEM_OPTIONS(.sync = true)));
    assert_ok(stem_put(db, "old", 1));
    assert_ok(stem_flush(db));
    break_disk(true);
    assert_ok(stem_put(db, "old", 2));
    assert_failure(stem_flush(db), STEM_EIO);
    assert_failure(stem_sync(db), STEM_EIO);
    assert_failure(stem_put(synced, "synced", 1), STEM_EIO);
    assert_code(stem_has(db, "synced"), STEM_NOTFOUND);
    while (code == STEM_OK && accepted < 1000) {
        snprintf(key, sizeof key, "%d", accepted);
        code = stem_put(db, key, text);
        accepted += code == STEM_OK;
    }
    assert_code(code, STEM_EIO);
    ck_assert_int_gt(accepted, 20);
    assert_code(stem_has(db, key), STEM_NOTFOUND);
    char *large = calloc(1, 2 * BUDGET);
    assert_failure(stem_put_value(db, "large", stem_bin(large, 2 * BUDGET)), STEM_EIO);
    assert_code(stem_has(db, "large"), STEM_NOTFOUND);
    free(large);
    assert_int(db, "old", 2);
    assert_ok(stem_close(synced));
    assert_failure(stem_close(db), STEM_EIO);
    assert_int(db, "old", 2);

    break_disk(false);
    assert_ok(stem_flush(db));
    assert_ok(stem_put(db, "new", 3));
    assert_ok(stem_close(db));
    assert_ok(stem_open(&db, path, NULL));
    assert_int(db, "old", 2);
    assert_int(db, "new", 3);
    for (int i = 0; i < accepted; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_ok(stem_has(db, key));
    }
    uint64_t n;
    assert_ok(stem_count(db, NULL, &n));
    ck_assert_uint_eq(n, (unsigned)accepted + 2);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(what_failed_is_written_by_itself_once_the_disk_works)
{
    stem_db *db = open_at(path_in(temp_dir(), "db"), BUDGET, 1);

    break_disk(true);
    assert_ok(stem_put(db, "k", 1));
    assert_failure(stem_flush(db), STEM_EIO);
    nap(100);
    ck_assert_uint_gt(stats_of(db).dirty_bytes, 0);
    assert_ok(stem_put(db, "k", 2));
    break_disk(false);
    while (stats_of(db).dirty_bytes > 0)
        nap(5);
    assert_int(db, "k", 2);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_close_that_discards_loses_what_was_not_flushed_and_no_more)
{
    const char *path = path_in(temp_dir(), "db");
    stem_db *db = open_lazy(path), *other;

    assert_ok(stem_put(db, "a", 1));
    assert_ok(stem_flush(db));
    assert_ok(stem_put(db, "a", 2));
    assert_ok(stem_put(db, "b", 2));
    assert_ok(stem_open(&other, path, NULL));
    assert_ok(stem_close_discard(other)); /* not the last */
    assert_int(db, "a", 2);
    break_disk(true);
    assert_failure(stem_close(db), STEM_EIO);
    break_disk(false);
    assert_ok(stem_close_discard(db));
    assert_ok(stem_open(&db, path, NULL));
    assert_contents(db, "a=1");
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_snapshot_that_cannot_be_closed_stays_one)
{
    stem_db *db = open_lazy(path_in(temp_dir(), "db"));

    assert_ok(stem_put(db, "a", 1));
    stem_db *frozen = stem_snapshot(db);
    assert_ok(stem_put(db, "a", 2));
    assert_ok(stem_close(db));
    break_disk(true);
    assert_failure(stem_close(frozen), STEM_EIO);
    assert_contents(frozen, "a=1");
    break_disk(false);
    assert_ok(stem_close(frozen));
}
END_TEST

static pthread_barrier_t both;

static void *close_beside(void *argument)
{
    pthread_barrier_wait(&both);
    return stem_close(argument) == STEM_OK ? NULL : argument;
}

/* One of them is the last, and cannot be closed; which it is is open. */
START_TEST(of_two_that_close_at_once_the_one_that_stays_is_as_it_was)
{
    const char *path = path_in(temp_dir(), "db");
    enum { ROUNDS = 30 };
    pthread_t thread;
    void *left;

    pthread_barrier_init(&both, NULL, 2);
    for (int i = 0; i < ROUNDS; i++) {
        stem_db *db = open_lazy(path);

        assert_ok(stem_put(db, "a", 1));
        stem_db *frozen = stem_snapshot(db);
        assert_ok(stem_put(db, "a", 2));
        break_disk(true);
        pthread_create(&thread, NULL, close_beside, frozen);
        void *mine = close_beside(db);
        pthread_join(thread, &left);
        ck_assert(!mine != !left);
        assert_contents(mine ? mine : left, mine ? "a=2" : "a=1");
        break_disk(false);
        db =
            open_lazy(path); /* LevelDB may have to be opened again, without a snapshot */
        assert_ok(stem_close(mine ? mine : left));
        assert_contents(db, "a=2");
        assert_ok(stem_close(db));
    }
    pthread_barrier_destroy(&both);
}
END_TEST

START_TEST(a_snapshot_goes_with_the_iterator_or_batch_that_cannot_close_it)
{
    const char *path = path_in(temp_dir(), "db");
    const bool is_batch = _i;
    stem_db *db = open_lazy(path);

    assert_ok(stem_put(db, "a", 1));
    stem_db *frozen = stem_snapshot(db);
    stem_iter *iter = is_batch ? NULL : stem_iter_open(frozen, NULL);
    stem_batch *batch = is_batch ? stem_batch_new(frozen) : NULL;
    assert_ok(stem_put(db, "a", 2));
    assert_ok(stem_close(frozen));
    assert_ok(stem_close(db));
    break_disk(true);
    assert_ok(stem_iter_close(iter));
    stem_batch_free(batch);
    break_disk(false);
    db = open_lazy(path);
    assert_ok(stem_flush(db));
    ck_assert_uint_eq(stats_of(db).kept_bytes, 0);
    assert_contents(db, "a=2");
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_memory_database_that_cannot_be_closed_by_an_iterator_goes)
{
    stem_db *db;

    assert_ok(stem_open(&db, "mem:", STEM_OPTIONS(.writeback_bytes = BUDGET)));
    assert_ok(stem_put(db, "a", 1));
    stem_iter *iter = stem_iter_open(db, NULL);
    assert_ok(stem_put(db, "a", 2));
    assert_ok(stem_close(db));
    break_disk(true);
    ck_assert(stem_iter_next(iter));
    assert_ok(stem_iter_close(iter));
    break_disk(false);
}
END_TEST

START_TEST(an_engine_that_an_iterator_cannot_close_goes_to_the_next_open)
{
    const char *path = path_in(temp_dir(), "db");
    stem_db *db = open_lazy(path);

    assert_ok(stem_put(db, "a", 1));
    stem_iter *iter = stem_iter_open(db, NULL);
    assert_ok(stem_close(db));
    break_disk(true);
    ck_assert(stem_iter_next(iter));
    assert_ok(stem_iter_close(iter));
    for (int i = 0; i < 2; i++) {
        assert_failure(stem_open(&db, path, STEM_OPTIONS(.writeback_bytes = BUDGET)),
                       STEM_EINVAL);
        db = open_lazy(path);
        assert_int(db, "a", 1);
        ck_assert_uint_eq(stats_of(db).handles, 1);
        assert_failure(stem_close(db), STEM_EIO);
        stem_batch *batch = stem_batch_new(db);
        assert_ok(stem_close(db));
        stem_batch_free(batch);
    }
    break_disk(false);
    db = open_lazy(path);
    assert_ok(stem_close(db));
    assert_ok(stem_open(&db, path, NULL));
    assert_contents(db, "a=1");
    assert_ok(stem_close(db));
}
END_TEST

/* ---- Many at once ----------------------------------------------------------------- */

enum { THREADS = 100, TIMES = 100 };

static void *count_and_write(void *argument)
{
    stem_db *db = argument;
    unsigned seed = (unsigned)(uintptr_t)&db;
    char text[2001] = "";

    memset(text, 'v', sizeof text - 1);
    for (int i = 0; i < TIMES; i++) {
        char key[16];
        int64_t now;
        stem_value value = {0};

        assert_ok(stem_incr(db, "counter", 1, 0, &now));
        snprintf(key, sizeof key, "k%d", rand_r(&seed) % 1000);
        assert_ok(stem_put(db, key, text));
        snprintf(key, sizeof key, "k%d", rand_r(&seed) % 1000);
        if (stem_get(db, key, &value) == STEM_OK)
            stem_value_free(&value);
        if (i % 50 == 0) {
            uint64_t n;

            assert_ok(stem_count(db, NULL, &n));
            assert_ok(stem_flush(db));
        }
    }
    return NULL;
}

START_TEST(a_hundred_threads_share_a_memory_that_is_too_small)
{
    stem_db *db = open_at(path_in(temp_dir(), "db"), BUDGET, 1);
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_and_write, db), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int(db, "counter", THREADS * TIMES);
    ck_assert_uint_gt(stats_of(db).rounds, 1);
    assert_ok(stem_close(db));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("write-back");
    TCase *rounds = add_case(suite, "rounds", 60);
    TCase *budget = add_case(suite, "budget", 60);
    TCase *others = add_case(suite, "snapshots and options", 60);
    TCase *failing = add_case(suite, "a disk that fails", 60);
    TCase *at_once = add_case(suite, "at once", 120);

    tcase_add_test(rounds, a_commit_is_seen_at_once_and_is_dirty_until_a_flush);
    tcase_add_test(rounds, a_round_comes_by_itself_after_the_interval);
    tcase_add_test(rounds, many_writes_of_one_key_reach_the_disk_once);
    tcase_add_test(rounds, a_synced_commit_takes_everything_before_it_to_the_disk);
    tcase_add_test(budget, what_is_in_memory_stays_within_the_budget);
    tcase_add_test(budget, a_commit_larger_than_the_memory_goes_straight_through);
    tcase_add_test(budget, large_commits_get_through_while_others_write_all_the_time);
    tcase_add_test(budget, a_large_value_does_not_drive_out_the_others);
    tcase_add_test(budget, a_value_that_is_missed_is_kept);
    tcase_add_test(budget, where_memory_is_short_a_value_is_kept_when_it_is_missed_again);
    tcase_add_test(others, a_snapshot_stays_whatever_is_written_and_flushed);
    tcase_add_test(others, options_that_cannot_be_are_refused);
    tcase_add_test(failing, nothing_accepted_is_dropped_while_the_disk_fails);
    tcase_add_test(failing, what_failed_is_written_by_itself_once_the_disk_works);
    tcase_add_test(failing, a_close_that_discards_loses_what_was_not_flushed_and_no_more);
    tcase_add_test(failing, a_snapshot_that_cannot_be_closed_stays_one);
    tcase_add_test(failing, of_two_that_close_at_once_the_one_that_stays_is_as_it_was);
    tcase_add_loop_test(
        failing, a_snapshot_goes_with_the_iterator_or_batch_that_cannot_close_it, 0, 2);
    tcase_add_test(failing, a_memory_database_that_cannot_be_closed_by_an_iterator_goes);
    tcase_add_test(failing,
                   an_engine_that_an_iterator_cannot_close_goes_to_the_next_open);
    tcase_add_test(at_once, a_hundred_threads_share_a_memory_that_is_too_small);
    return run_suite(suite);
}
