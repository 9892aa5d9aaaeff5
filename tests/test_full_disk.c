/*
 * Disks that are full for a while, tables that cannot be written, descriptors that run
 * out: what was answered is kept, what failed never appears, reading goes on, and writing
 * does as soon as it can.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"
#include "stem.h"
#include "support.h"

enum { KEYS = 30000, COUNTERS = 20 };

/* What was answered, kept where a killed child leaves it. */
typedef struct ledger {
    const char *dir, *path;
    int disk_bytes, value_bytes;
    stem_options options;
    enum { UNTRIED, ACKNOWLEDGED, FAILED, UNKNOWN } keys[KEYS];
    int n_keys;
    int64_t counters[COUNTERS]; /* last acknowledged, or -1 */
    bool counter_is_unknown[COUNTERS];
} ledger;

static ledger *make_ledger(void)
{
    ledger *made = mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(made, MAP_FAILED);
    for (int i = 0; i < COUNTERS; i++)
        made->counters[i] = -1;
    made->dir = temp_dir();
    made->path = path_in(made->dir, "d");
    return made;
}

/* Values that do not compress, so that tables need room. */
static stem_value value_of(const ledger *book, int number, unsigned char *bytes)
{
    uint64_t state = (uint64_t)number * 2 + 1;
    int len = book->value_bytes + number % 97;

    for (int i = 0; i < len; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        bytes[i] = (unsigned char)(state >> 56);
    }
    return stem_bin(bytes, (size_t)len);
}

/* Tries the next key and one of the counters; true when both were written. */
static bool put_next(ledger *book, stem_db *db)
{
    unsigned char bytes[8192];
    char key[32];
    const int number = book->n_keys++, counter = number % COUNTERS;

    must(number < KEYS);
    snprintf(key, sizeof key, "key %d", number);
    int code = stem_put(db, key, value_of(book, number, bytes));
    book->keys[number] = code == STEM_OK         ? ACKNOWLEDGED
                         : code == STEM_EUNKNOWN ? UNKNOWN
                                                 : FAILED;
    must(code == STEM_OK || code == STEM_EIO || code == STEM_EUNKNOWN);
    must(code == STEM_OK || strstr(stem_errmsg(), key));

    snprintf(key, sizeof key, "counter %d", counter);
    int second = stem_put(db, key, number);
    if (second == STEM_OK)
        book->counters[counter] = number;
    book->counter_is_unknown[counter] = second == STEM_EUNKNOWN;
    return code == STEM_OK && second == STEM_OK;
}

static void must_hold(const ledger *book, stem_db *db, int number)
{
    unsigned char bytes[8192];
    stem_value wanted = value_of(book, number, bytes);
    char key[32];
    void *data;
    size_t len;

    snprintf(key, sizeof key, "key %d", number);
    if (book->keys[number] == FAILED) {
        must_be(stem_has(db, key), STEM_NOTFOUND);
    } else if (book->keys[number] == ACKNOWLEDGED) {
        must_ok(stem_get_bin(db, key, &data, &len));
        must(len == wanted.as.bin.len && memcmp(data, wanted.as.bin.data, len) == 0);
        stem_free(data);
    }
}

/* Everything as it was answered. */
static void must_hold_all(const ledger *book, stem_db *db)
{
    for (int i = 0; i < book->n_keys; i++)
        must_hold(book, db, i);
    for (int i = 0; i < COUNTERS; i++) {
        char key[32];
        int64_t n = -1;

        snprintf(key, sizeof key, "counter %d", i);
        int code = stem_get_int(db, key, &n);
        must(code == (n < 0 ? STEM_NOTFOUND : STEM_OK));
        must(n == book->counters[i] || book->counter_is_unknown[i]);
    }
}

/* ---- The disk --------------------------------------------------------------------- */

static const char *mounted;
static pid_t mounter;

/* Before temp_dir removes its directories, which it cannot while one is mounted on. */
static void unmount_disk(void)
{
    if (getpid() == mounter)
        umount2(mounted, MNT_DETACH);
}

static void mount_disk(const ledger *book)
{
    char size[32];

    snprintf(size, sizeof size, "size=%d", book->disk_bytes);
    ck_assert(enter_private_mounts());
    ck_assert_int_eq(mount("tmpfs", book->dir, "tmpfs", 0, size), 0);
    mounted = book->dir;
    mounter = getpid();
    atexit(unmount_disk);
}

/* Fills the disk but for so many bytes. */
static void fill_disk(const ledger *book, long but)
{
    static const char zeros[4096];
    int fd = open(path_in(book->dir, "filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

    must(fd >= 0 && lseek(fd, 0, SEEK_END) >= 0);
    while (write(fd, zeros, sizeof zeros) > 0)
        ;
    long size = (long)lseek(fd, 0, SEEK_END);
    must(ftruncate(fd, size > but ? size - but : 0) == 0);
    close(fd);
}

static void empty_disk(const ledger *book)
{
    must(unlink(path_in(book->dir, "filler")) == 0);
}

static bool can_mount(void)
{
    fflush(NULL);
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(enter_private_mounts() && mount("tmpfs", "/tmp", "tmpfs", 0, NULL) == 0
                  ? 0
                  : 1);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* ---- Full, and free again --------------------------------------------------------- */

/* One round: the disk fills up while keys are put, and is emptied. */
static void survive_full_disk(ledger *book, stem_db *db, stem_db *synced, long room)
{
    int failures = 0;

    fill_disk(book, room);
    for (int i = 0; i < 10000 && failures < 20; i++) {
        failures += !put_next(book, i % 3 == 0 ? synced : db);
        must_hold(book, db, book->n_keys * 7 / 11);
    }
    must(failures > 0);
    empty_disk(book);
    for (int i = 0; i < 15; i++)
        must(put_next(book, i % 2 == 0 ? synced : db));
}

static void fill_and_die(void *argument)
{
    static const long rooms[] = {0, 4096, 20000, 70000, 150000, 300000, 1000, 600000};
    ledger *book = argument;
    stem_options options = book->options;
    stem_db *db, *synced;

    must_ok(stem_open(&db, book->path, &options));
    options.sync = true;
    must_ok(stem_open(&synced, book->path, &options));
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
        survive_full_disk(book, db, synced, rooms[i]);
    must_hold_all(book, db);
    must_ok(stem_flush(db));
    raise(SIGKILL);
}

static void check_again(void *argument)
{
    ledger *book = argument;
    stem_db *db;

    must_ok(stem_open(&db, book->path, NULL));
    must_hold_all(book, db);
    must_ok(stem_close(db));
}

static const struct {
    int disk_bytes, value_bytes;
    size_t write_buffer_bytes, writeback_bytes;
} disks[] = {
    {6 << 20, 300, 64 << 10, 0},        {6 << 20, 3000, 64 << 10, 0},
    {6 << 20, 30, 100 << 10, 0},        {24 << 20, 5000, 0, 0},
    {6 << 20, 1000, 1 << 20, 0},        {12 << 20, 300, 64 << 10, 1 << 20},
    {12 << 20, 3000, 1 << 20, 2 << 20},
};
enum { DISKS = sizeof disks / sizeof *disks, DISKS_WITHOUT_WRITEBACK = 5 };

static ledger *make_ledger_for_disk(int i)
{
    ledger *book = make_ledger();

    book->disk_bytes = disks[i].disk_bytes;
    book->value_bytes = disks[i].value_bytes;
    book->options.write_buffer_bytes = disks[i].write_buffer_bytes;
    book->options.writeback_bytes = disks[i].writeback_bytes;
    mount_disk(book);
    return book;
}

START_TEST(what_was_answered_on_a_full_disk_is_kept_and_what_failed_is_not)
{
    ledger *book = make_ledger_for_disk(_i);

    assert_child_killed(start_child(fill_and_die, book), SIGKILL);
    assert_child_ends_well(start_child(check_again, book));
}
END_TEST

static void die_on_full_disk(void *argument)
{
    ledger *book = argument;
    int failures = 0;
    stem_db *db;

    must_ok(stem_open(&db, book->path, &book->options));
    fill_disk(book, 100000);
    while (failures < 5)
        failures += !put_next(book, db);
    raise(SIGKILL);
}

/* Opening may need room; what is there must wait for it unharmed. */
static void open_on_full_disk(void *argument)
{
    ledger *book = argument;

    for (long room = 0; room < 60; room += 3) {
        stem_db *db;

        fill_disk(book, room * 4096);
        int code = stem_open(&db, book->path, NULL);
        must(code == STEM_OK || code == STEM_EIO);
        if (code == STEM_OK) {
            must_hold_all(book, db);
            must_ok(stem_close(db));
        } else {
            must(strstr(stem_errmsg(), "No space left"));
        }
    }
    empty_disk(book);
}

START_TEST(a_database_waits_unharmed_for_room_to_be_opened)
{
    ledger *book = make_ledger_for_disk(_i);

    assert_child_killed(start_child(die_on_full_disk, book), SIGKILL);
    for (int i = 0; i < 3; i++)
        assert_child_ends_well(start_child(open_on_full_disk, book));
    assert_child_ends_well(start_child(check_again, book));
}
END_TEST

static void create_on_full_disk(void *argument)
{
    ledger *book = argument;
    int made = 0, refused = 0;

    for (long room = 0; room < 40; room++) {
        stem_db *db;

        fill_disk(book, room * 4096);
        int code = stem_open(&db, book->path, NULL);
        if (code == STEM_OK) {
            made++;
            must_ok(stem_close(db));
            must_ok(stem_destroy(book->path));
        } else {
            refused++;
            must(code == STEM_EIO && strstr(stem_errmsg(), "No space left"));
        }
        must(access(book->path, F_OK) != 0);
        must(mkdir(book->path, 0777) == 0);
        if (stem_open(&db, book->path, NULL) == STEM_OK)
            stem_close(db), stem_destroy(book->path);
        else
            must(rmdir(book->path) == 0);
        empty_disk(book);
    }
    must(made > 0 && refused > 0);
}

START_TEST(a_database_that_finds_no_room_is_not_half_made)
{
    assert_child_ends_well(start_child(create_on_full_disk, make_ledger_for_disk(0)));
}
END_TEST

/* A table of the smallest entries is several times as large as the log that it is made of. */
static void read_beside_small_entries(void *argument)
{
    enum { BATCHES = 20, WRITES = 10000, KINDS = 26 };
    static const unsigned char large[20000] = {1};
    const ledger *book = argument;
    int64_t last = -1;
    stem_db *db;

    must_ok(stem_open(&db, book->path, &book->options));
    for (int i = 0; i < BATCHES; i++) {
        stem_batch *batch = stem_batch_new(db);

        for (int j = 0; j < WRITES; j++) {
            const char key[] = {(char)('a' + j % KINDS), '\0'};

            must_ok(stem_batch_put(batch, db, key, i));
        }
        must_ok(stem_batch_commit(batch, false));
        stem_batch_free(batch);
    }
    fill_disk(book, 0);
    must_be(stem_put(db, "large", stem_bin(large, sizeof large)), STEM_EIO);
    for (long room = 512; room < 6 << 10; room += 512) {
        empty_disk(book);
        fill_disk(book, room << 10);
        int code = stem_put(db, "b", room);
        must(code == STEM_OK || code == STEM_EIO);
        must_ok(stem_get_int(db, "a", &last));
        must(last == BATCHES - 1);
    }
    empty_disk(book);
    must_ok(stem_put(db, "a", 1));
    must_ok(stem_close(db));
}

START_TEST(reading_goes_on_where_a_table_would_find_no_room)
{
    ledger *book = make_ledger();

    book->disk_bytes = 16 << 20;
    book->options.write_buffer_bytes = 64 << 20;
    book->options.no_compression = true;
    mount_disk(book);
    assert_child_ends_well(start_child(read_beside_small_entries, book));
}
END_TEST

/* Values that compress to next to nothing, of which tables need little room. */
static int put_same(stem_db *db, int number)
{
    char key[32], value[1000];

    snprintf(key, sizeof key, "%d", number);
    memset(value, 'a', sizeof value);
    return stem_put(db, key, stem_bin(value, sizeof value));
}

static void put_same_until_refused(stem_db *db, int *number)
{
    int code;

    while ((code = put_same(db, (*number)++)) == STEM_OK)
        must(*number < 20000);
    must(code == STEM_EIO);
}

/* On a disk that is full and then has room again, of every size: a put works where it does after
 * closing and opening. */
static void use_room_again(void *argument)
{
    ledger *book = argument;
    int number = 0, worked = 0;
    stem_db *db;

    must_ok(stem_open(&db, book->path, &book->options));
    for (int i = 0; i < 1000; i++)
        must_ok(put_same(db, number++));
    for (long room = 0; room <= 1 << 20; room = room == 0 ? 8192 : room * 2) {
        fill_disk(book, 0);
        put_same_until_refused(db, &number);
        fill_disk(book, room);
        const int code = stem_put(db, "y", (int)room);
        worked += code == STEM_OK;
        bool is_open = code == STEM_OK || stem_close_discard(db) != STEM_OK;
        if (!is_open) {
            is_open = stem_open(&db, book->path, &book->options) == STEM_OK;
            must(!is_open || put_same(db, number) != STEM_OK);
        }
        empty_disk(book);
        if (!is_open)
            must_ok(stem_open(&db, book->path, &book->options));
        must_ok(stem_put(db, "z", (int)room));
    }
    /* What a write-back flush that failed has left in the log may want more room. */
    must(worked >= (book->options.writeback_bytes > 0 ? 2 : 4));
    must_ok(stem_close(db));
}

static const size_t memories[] = {0, 1 << 20};

START_TEST(a_disk_with_room_again_is_written_to_as_a_reopen_would)
{
    ledger *book = make_ledger();

    book->disk_bytes = 4 << 20;
    book->options.writeback_bytes = memories[_i];
    mount_disk(book);
    assert_child_ends_well(start_child(use_room_again, book));
}
END_TEST

/* The links of a trial that was killed go, and what they keep with them. */
START_TEST(a_trial_that_died_is_cleared_away)
{
    const char *path = path_in(temp_dir(), "d");
    char trial[4096];
    stem_db *db;

    for (int i = 0; i < 2; i++) {
        assert_ok(stem_open(&db, path, NULL));
        assert_ok(stem_put(db, "key", 1));
        assert_ok(stem_close(db));
        snprintf(trial, sizeof trial, "%s/000001.dbtmp", path);
        ck_assert_int_eq(mkdir(trial, 0777), 0);
        write_file(path_in(trial, "000005.ldb"), "a table");
        if (i == 0) {
            assert_ok(stem_open(&db, path, NULL));
            assert_ok(stem_has(db, "key"));
            assert_ok(stem_close(db));
        } else {
            assert_ok(stem_destroy(path));
        }
        ck_assert_int_ne(access(trial, F_OK), 0);
    }
}
END_TEST

/* ---- Tables that cannot be written ------------------------------------------------ */

enum { BLOCKED = 400 };

/* LevelDB cannot make a file where a directory is: so no table of a number to come. */
static void block_tables(const char *path, bool block)
{
    for (int i = 0; i < BLOCKED; i++) {
        char name[4096];

        snprintf(name, sizeof name, "%s/%06d.ldb", path, i);
        if (block)
            mkdir(name, 0777);
        else
            rmdir(name);
    }
}

/* Puts until LevelDB refuses. */
static void put_until_refused(ledger *book, stem_db *db)
{
    int i = 0;

    block_tables(book->path, true);
    while (put_next(book, db))
        must(i++ < 5000);
    must(!put_next(book, db));
}

static ledger *make_small_ledger(void)
{
    ledger *book = make_ledger();

    book->value_bytes = 100;
    book->options.write_buffer_bytes = 64 << 10;
    return book;
}

START_TEST(writing_goes_on_after_tables_could_not_be_written)
{
    ledger *book = make_small_ledger();
    stem_statistics stats;
    stem_db *db;

    assert_ok(stem_open(&db, book->path, &book->options));
    for (int i = 0; i < 3; i++) {
        put_until_refused(book, db);
        block_tables(book->path, false);
        if (i == 1) /* a read finds it mended as well */
            must_hold_all(book, db);
        ck_assert(put_next(book, db));
        must_hold_all(book, db);
    }
    assert_ok(stem_stats(db, &stats));
    ck_assert_uint_ge(stats.repairs, 3);
    assert_ok(stem_close(db));
    check_again(book);
}
END_TEST

/* Appends to the MANIFEST what LevelDB leaves there when it writes on behind a record of which
 * the disk took a part: half of one, and a whole one. */
static void tear_manifest(const char *path)
{
    enum { HALF = 20, MOST = 4096 };
    char name[64], bytes[MOST];

    FILE *current = fopen(path_in(path, "CURRENT"), "r");
    ck_assert(current && fgets(name, sizeof name, current));
    fclose(current);
    name[strcspn(name, "\n")] = '\0';
    FILE *manifest = fopen(path_in(path, name), "r+");
    ck_assert_ptr_nonnull(manifest);
    const size_t len = fread(bytes, 1, sizeof bytes, manifest);
    ck_assert_uint_gt(len, HALF);
    ck_assert_int_eq(fseek(manifest, 0, SEEK_END), 0);
    ck_assert_uint_eq(fwrite(bytes, 1, HALF, manifest), HALF);
    ck_assert_uint_eq(fwrite(bytes, 1, len, manifest), len);
    ck_assert_int_eq(fclose(manifest), 0);
}

START_TEST(what_a_failed_write_has_left_in_the_manifest_is_no_end)
{
    ledger *book = make_small_ledger();
    stem_db *db;

    assert_ok(stem_open(&db, book->path, &book->options));
    put_until_refused(book, db);
    block_tables(book->path, false);
    tear_manifest(book->path);
    ck_assert(put_next(book, db));
    must_hold_all(book, db);
    assert_ok(stem_close(db));
    check_again(book);
}
END_TEST

START_TEST(a_snapshot_and_an_iterator_put_mending_off_and_nothing_else)
{
    ledger *book = make_small_ledger();
    stem_db *db, *snapshot;

    assert_ok(stem_open(&db, book->path, &book->options));
    for (int i = 0; i < 20; i++)
        ck_assert(put_next(book, db));
    ck_assert_ptr_nonnull(snapshot = stem_snapshot(db));
    stem_iter *iter = stem_iter_open(db, NULL);
    ck_assert(stem_iter_next(iter));
    put_until_refused(book, db);
    block_tables(book->path, false);

    for (int i = 0; i < 3; i++) {
        assert_code(stem_put(db, "more", 1), STEM_EIO);
        ck_assert_msg(strstr(stem_errmsg(), "iterators and snapshots"), "%s",
                      stem_errmsg());
        ck_assert(stem_iter_next(iter));
        assert_ok(stem_has(snapshot, "key 0"));
        must_hold_all(book, db);
    }
    while (stem_iter_next(iter))
        ;
    assert_ok(stem_iter_close(iter));
    assert_code(stem_put(db, "more", 1), STEM_EIO);
    assert_ok(stem_close(snapshot));
    assert_code(stem_has(db, "more"), STEM_NOTFOUND);
    ck_assert(put_next(book, db));
    must_hold_all(book, db);
    assert_ok(stem_close(db));
    check_again(book);
}
END_TEST

static void *close_in_a_moment(void *iter)
{
    pause_ms(25);
    assert_ok(stem_iter_close(iter));
    return NULL;
}

/* A thread that is late may hold up one of the attempts. */
START_TEST(an_iterator_of_a_moment_does_not_put_mending_off)
{
    enum { ATTEMPTS = 3 };
    ledger *book = make_small_ledger();
    int mended = 0;
    stem_db *db;

    assert_ok(stem_open(&db, book->path, &book->options));
    for (int i = 0; i < ATTEMPTS; i++) {
        pthread_t thread;

        stem_iter *iter = stem_iter_open(db, NULL);
        put_until_refused(book, db);
        block_tables(book->path, false);
        ck_assert_int_eq(pthread_create(&thread, NULL, close_in_a_moment, iter), 0);
        mended += put_next(book, db);
        pthread_join(thread, NULL);
        ck_assert(put_next(book, db));
    }
    ck_assert_int_gt(mended, 0);
    must_hold_all(book, db);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(mending_leaves_the_last_failure_alone)
{
    ledger *book = make_small_ledger();
    stem_db *db;
    int64_t n;

    assert_ok(stem_open(&db, book->path, &book->options));
    put_until_refused(book, db);
    block_tables(book->path, false);
    assert_code(stem_get_int(NULL, "key", &n), STEM_EINVAL);
    assert_ok(stem_put(db, "more", 1));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    assert_ok(stem_close(db));
}
END_TEST

/* ---- No descriptors --------------------------------------------------------------- */

static void limit_descriptors(rlim_t most)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = most;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

enum { HOARD = 64 };

/* Takes every descriptor that the limit allows but `left`. */
static void hoard(int taken[HOARD], int *n, int left)
{
    int fd;

    while (*n < HOARD && (fd = dup(STDIN_FILENO)) >= 0)
        taken[(*n)++] = fd;
    while (left-- > 0 && *n > 0)
        close(taken[--*n]);
}

START_TEST(a_moment_without_descriptors_passes)
{
    ledger *book = make_small_ledger();
    int failures = 0;
    struct rlimit before;
    stem_db *db;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_ok(stem_open(&db, book->path, &book->options));
    for (int i = 0; i < 600; i++)
        ck_assert(put_next(book, db));
    /* So many are left: some are enough for a log and not for a table, or for closing
     * LevelDB and not for opening it again. */
    for (int left = 0; left < 14; left++) {
        int taken[HOARD], n = 0, refused = 0;

        limit_descriptors(HOARD);
        for (int i = 0; i < (left == 0 ? 8000 : 1200) && refused < 4; i++) {
            if (left == 0 || i % 10 == 0)
                hoard(taken, &n, left);
            refused += !put_next(book, db);
            must_hold(book, db, book->n_keys * 7 / 11);
        }
        failures += refused;
        while (n > 0)
            close(taken[--n]);
        limit_descriptors(before.rlim_cur);
        for (int i = 0; i < 10; i++)
            ck_assert_msg(put_next(book, db), "after %d left: %s", left, stem_errmsg());
    }
    ck_assert_int_gt(failures, 0);
    must_hold_all(book, db);
    assert_ok(stem_close(db));
    check_again(book);
}
END_TEST

int main(void)
{
    const bool has_disks = can_mount();
    Suite *suite = suite_create("full_disk");
    TCase *disk = tcase_create("disk");
    TCase *tables = add_case(suite, "tables", 30);
    TCase *descriptors = add_case(suite, "descriptors", 30);

    tcase_set_timeout(disk, 60);
    tcase_add_loop_test(
        disk, what_was_answered_on_a_full_disk_is_kept_and_what_failed_is_not, 0, DISKS);
    tcase_add_loop_test(disk, a_database_waits_unharmed_for_room_to_be_opened, 0,
                        DISKS_WITHOUT_WRITEBACK);
    tcase_add_test(disk, reading_goes_on_where_a_table_would_find_no_room);
    tcase_add_loop_test(disk, a_disk_with_room_again_is_written_to_as_a_reopen_would, 0,
                        (int)(sizeof memories / sizeof *memories));
    tcase_add_test(disk, a_database_that_finds_no_room_is_not_half_made);
    if (has_disks)
        suite_add_tcase(suite, disk);
    tcase_add_test(tables, a_trial_that_died_is_cleared_away);
    tcase_add_test(tables, writing_goes_on_after_tables_could_not_be_written);
    tcase_add_test(tables, what_a_failed_write_has_left_in_the_manifest_is_no_end);
    tcase_add_test(tables, a_snapshot_and_an_iterator_put_mending_off_and_nothing_else);
    tcase_add_test(tables, an_iterator_of_a_moment_does_not_put_mending_off);
    tcase_add_test(tables, mending_leaves_the_last_failure_alone);
    tcase_add_test(descriptors, a_moment_without_descriptors_passes);

    int status = run_suite(suite);
    if (has_disks || status != EXIT_SUCCESS)
        return status;
    printf(
        "skipped: a full disk needs mounts of its own, as root or in a user namespace\n");
    return 77;
}
