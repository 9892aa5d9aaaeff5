/*
 * Killed at a random moment while it writes with write-back: what is there afterwards is
 * exactly the state after some commit, at least the last that was acknowledged by a flush, a
 * sync or a commit with sync. The disk may have been full for a while meanwhile.
 * STEM_TEST_KILLS says how often.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "place.h"
#include "process.h"
#include "random.h"

enum { BUDGET = 1 << 20, LARGE_EVERY = 997, LARGE_BYTES = BUDGET + 5000 };

/* What the writer has been told, kept where a killed child leaves it. */
typedef struct ledger {
    const char *path;
    stem_options options;
    uint64_t seed;
    atomic_bool is_writing;
    _Atomic int64_t issued, acknowledged;
} ledger;

/* Commit i sets number i under names of several circles: the last i of each place stays, or
 * nothing where i is a multiple of 3. Their sizes keep several keys of several tables busy. */
static const int64_t circles[] = {1, 7, 11, 501};
enum { CIRCLES = sizeof circles / sizeof *circles };

static const char *name_of(int circle, int64_t i, char name[32])
{
    snprintf(name, 32, "%d/%03" PRId64, circle, i % circles[circle]);
    return name;
}

static bool is_deletion(int circle, int64_t i)
{
    return circle == 2 && i % 3 == 0;
}

/* Large enough now and then to go straight through. */
static size_t size_of(int circle, int64_t i)
{
    if (circle != CIRCLES - 1)
        return sizeof i;
    return i % LARGE_EVERY == 0 ? LARGE_BYTES : sizeof i + (size_t)(i * 37 % 3000);
}

static int commit_number(stem_db *db, int64_t i, char *bytes, bool sync)
{
    stem_batch *batch = stem_batch_new(db);
    char name[32];

    for (int circle = 0; circle < CIRCLES; circle++) {
        memcpy(bytes, &i, sizeof i);
        if (is_deletion(circle, i))
            must_ok(stem_batch_del(batch, db, name_of(circle, i, name)));
        else
            must_ok(stem_batch_put_value(batch, db, name_of(circle, i, name),
                                         stem_bin(bytes, size_of(circle, i))));
    }
    int code = stem_batch_commit(batch, sync);
    stem_batch_free(batch);
    return code;
}

/* From now on no file may grow, or all may again. */
static void break_disk(bool is_broken)
{
    struct rlimit limit;

    must(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = is_broken ? 0 : limit.rlim_max;
    must(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* The number in the first circle, which has one place: that of the last commit. */
static int64_t last_commit(stem_db *db)
{
    stem_value value = {0};
    char name[32];
    int64_t i = 0;

    int code = stem_get(db, name_of(0, 0, name), &value);
    must(code == STEM_OK || code == STEM_NOTFOUND);
    if (code == STEM_OK)
        memcpy(&i, value.as.bin.data, sizeof i);
    stem_value_free(&value);
    return i;
}

static void write_until_killed(void *argument)
{
    static char bytes[LARGE_BYTES];
    ledger *book = argument;
    stem_db *db;

    random_state = book->seed;
    signal(SIGXFSZ, SIG_IGN);
    must_ok(stem_open(&db, book->path, &book->options));
    int64_t i = last_commit(db) + 1;
    atomic_store(&book->is_writing, true);
    for (bool is_broken = false;;) {
        const uint32_t way = random_below(200);

        if (way == 3 || (is_broken && way < 20)) {
            is_broken = !is_broken;
            break_disk(is_broken);
        }
        atomic_store(&book->issued, i);
        int code = commit_number(db, i, bytes, way == 0);
        if (code != STEM_OK && code != STEM_EUNKNOWN) {
            must(code == STEM_EIO); /* refused, as long as no round has worked again */
            continue;
        }
        if (code == STEM_OK && way == 1)
            code = stem_flush(db);
        if (code == STEM_OK && way == 2)
            code = stem_sync(db);
        must(code == STEM_OK || is_broken);
        if (code == STEM_OK && way <= 2)
            atomic_store(&book->acknowledged, i);
        i++;
    }
}

static void check_place(stem_db *db, int circle, int64_t i)
{
    stem_value value = {0};
    char name[32];
    int code = stem_get(db, name_of(circle, i, name), &value);

    if (is_deletion(circle, i)) {
        must(code == STEM_NOTFOUND);
        return;
    }
    must_ok(code);
    must(value.as.bin.len == size_of(circle, i));
    must(memcmp(value.as.bin.data, &i, sizeof i) == 0);
    stem_value_free(&value);
}

static void check_state(void *argument)
{
    ledger *book = argument;
    stem_db *db;
    uint64_t n, expected = 0;

    must_ok(stem_open(&db, book->path, NULL));
    const int64_t last = last_commit(db);
    must(last >= atomic_load(&book->acknowledged));
    must(last <= atomic_load(&book->issued));
    for (int circle = 0; circle < CIRCLES; circle++)
        for (int64_t i = last; i > 0 && i > last - circles[circle]; i--) {
            check_place(db, circle, i);
            expected += !is_deletion(circle, i);
        }
    must_ok(stem_count(db, NULL, &n));
    must(n == expected);
    must_ok(stem_close(db));
    atomic_store(&book->acknowledged, last);
}

static void nap_us(long us)
{
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000},
              NULL);
}

START_TEST(what_a_killed_writer_leaves_is_the_state_after_some_commit)
{
    const unsigned long runs = number_from("STEM_TEST_KILLS", 500);
    ledger *book = mmap(NULL, sizeof *book, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(book, MAP_FAILED);
    book->path = path_in(temp_dir(), "db");
    random_start();
    for (unsigned long run = 0; run < runs; run++) {
        book->options =
            (stem_options){.writeback_bytes = (size_t)BUDGET << random_below(4),
                           .writeback_ms = 1 + random_below(20),
                           .write_buffer_bytes = 64 << 10};
        book->seed = run;
        atomic_store(&book->is_writing, false);
        pid_t writer = start_child(write_until_killed, book);
        while (!atomic_load(&book->is_writing))
            nap_us(500);
        nap_us((long)random_below(60000));
        ck_assert_int_eq(kill(writer, SIGKILL), 0);
        assert_child_killed(writer, SIGKILL);
        assert_child_ends_well(start_child(check_state, book));
    }
    printf("%lu kills, %" PRId64 " commits\n", runs, atomic_load(&book->acknowledged));
    ck_assert_int_gt(atomic_load(&book->acknowledged), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("write-back, killed");
    TCase *tcase = add_case(suite, "killed", 600);

    tcase_add_test(tcase, what_a_killed_writer_leaves_is_the_state_after_some_commit);
    return run_suite(suite);
}
