/*
 * Logs and MANIFESTs that are damaged or cut short: an earlier state, as after a crash,
 * or an error that names the file, and never a state with a hole in it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "damage.h"
#include "process.h"
#include "stem.h"
#include "support.h"

/* In a child that is killed: the last log is not yet a table. */
static void put_in_order(void *path, int n, const stem_options *options)
{
    stem_db *db;

    must_ok(stem_open(&db, path, options));
    for (int i = 0; i < n; i++) {
        char name[32], value[256] = "";

        snprintf(name, sizeof name, "%04d", i);
        must_ok(stem_put(db, name, stem_bin(value, (size_t)(i * 37 % 256))));
    }
    raise(SIGKILL);
}

static void put_into_one_log(void *path)
{
    put_in_order(path, 1000, NULL);
}

static void put_into_many_logs(void *path)
{
    put_in_order(
        path, 2500,
        &(const stem_options){.write_buffer_bytes = 64 << 10, .no_compression = true});
}

/* Asserts that just the first of the keys are there; how many. */
static int count_first(const char *path)
{
    int n = 0;
    stem_db *db;

    assert_ok(stem_open(&db, path, NULL));
    stem_iter *iter = stem_iter_open(db, NULL);
    while (stem_iter_next(iter)) {
        ck_assert_int_eq(atoi(stem_iter_key(iter)), n);
        ck_assert_uint_eq(stem_iter_value(iter)->as.bin.len, (size_t)(n * 37 % 256));
        n++;
    }
    assert_ok(stem_iter_close(iter));
    assert_ok(stem_close(db));
    return n;
}

START_TEST(a_log_cut_short_is_an_earlier_state)
{
    const char *whole = path_in(temp_dir(), "d"), *path = path_in(temp_dir(), "copy");
    char logs[MAX_NAMES][NAME_ROOM];
    int last = 0;

    assert_child_killed(start_child(put_into_one_log, (void *)whole), SIGKILL);
    ck_assert_int_eq(list_names(whole, ".log", logs), 1);
    const long size = file_size(path_in(whole, logs[0]));
    ck_assert_int_gt(size, 3 * 32768);
    for (long cut = 0; cut <= size; cut += size / 60) {
        copy_directory(whole, path);
        shorten_file(path_in(path, logs[0]), cut);
        int n = count_first(path);
        ck_assert_int_ge(n, last);
        last = n;
    }
    copy_directory(whole, path);
    ck_assert_int_eq(count_first(path), 1000);
}
END_TEST

START_TEST(a_manifest_cut_short_loses_nothing_or_is_an_error_that_names_it)
{
    const char *whole = path_in(temp_dir(), "d"), *path = path_in(temp_dir(), "copy");
    char manifests[MAX_NAMES][NAME_ROOM];
    int opened = 0, refused = 0;

    assert_child_killed(start_child(put_into_many_logs, (void *)whole), SIGKILL);
    ck_assert_int_eq(list_names(whole, "MANIFEST", manifests), 1);
    const long size = file_size(path_in(whole, manifests[0]));
    for (long cut = 0; cut <= size; cut++) {
        stem_db *db;

        copy_directory(whole, path);
        shorten_file(path_in(path, manifests[0]), cut);
        int code = stem_open(&db, path, NULL);
        if (code == STEM_OK) {
            assert_ok(stem_close(db));
            expect(count_first(path) == 2500);
            opened++;
        } else {
            assert_names(code, manifests[0]);
            refused++;
        }
    }
    expect(opened >= 1 && refused >= size / 2);
}
END_TEST

START_TEST(a_manifest_with_a_bit_flipped_loses_nothing_or_is_an_error_that_names_it)
{
    const char *whole = path_in(temp_dir(), "d"), *path = path_in(temp_dir(), "copy");
    char manifests[MAX_NAMES][NAME_ROOM];
    int refused = 0;

    assert_child_killed(start_child(put_into_many_logs, (void *)whole), SIGKILL);
    ck_assert_int_eq(list_names(whole, "MANIFEST", manifests), 1);
    const long size = file_size(path_in(whole, manifests[0]));
    for (long at = 0; at < size; at += size / 1000 + 1) {
        stem_db *db;

        copy_directory(whole, path);
        flip_bit(path_in(path, manifests[0]), at, (int)(at % 8));
        int code = stem_open(&db, path, NULL);
        if (code == STEM_OK) {
            assert_ok(stem_close(db));
            expect(count_first(path) == 2500);
        } else {
            expect(code == STEM_ECORRUPT);
            assert_names(code, manifests[0]);
            refused++;
        }
    }
    expect(refused > 0);
}
END_TEST

START_TEST(a_damaged_log_is_an_error_that_names_it_or_an_earlier_state)
{
    const char *whole = path_in(temp_dir(), "d"), *path = path_in(temp_dir(), "copy");
    char logs[MAX_NAMES][NAME_ROOM];
    int noticed = 0;

    srand(1);
    assert_child_killed(start_child(put_into_one_log, (void *)whole), SIGKILL);
    ck_assert_int_eq(list_names(whole, ".log", logs), 1);
    const long size = file_size(path_in(whole, logs[0]));
    for (int trial = 0; trial < 60; trial++) {
        stem_db *db;

        copy_directory(whole, path);
        damage_file(path_in(path, logs[0]), rand() % size, 1);
        int code = stem_open(&db, path, NULL);
        if (code == STEM_OK) {
            assert_ok(stem_close(db));
            count_first(path);
        } else {
            assert_names(code, logs[0]);
            noticed++;
        }
    }
    ck_assert_int_gt(noticed, 40);
}
END_TEST

START_TEST(a_log_with_a_hole_is_an_error_that_names_it_and_opens_unverified)
{
    enum { BLOCK = 32768, PAGE = 4096 };
    const char *whole = path_in(temp_dir(), "d"), *path = path_in(temp_dir(), "copy");
    char logs[MAX_NAMES][NAME_ROOM];
    stem_db *db;

    assert_child_killed(start_child(put_into_one_log, (void *)whole), SIGKILL);
    ck_assert_int_eq(list_names(whole, ".log", logs), 1);
    /* In a block, where LevelDB sees nothing but that a record has no start, and at its end. */
    for (long hole = BLOCK - PAGE; hole <= BLOCK + PAGE; hole += PAGE) {
        copy_directory(whole, path);
        empty_part(path_in(path, logs[0]), hole, PAGE);
        assert_names(stem_open(&db, path, NULL), logs[0]);
        assert_ok(stem_open(&db, path, STEM_OPTIONS(.no_verify = true)));
        assert_ok(stem_has(db, "0000"));
        assert_ok(stem_has(db, "0999"));
        assert_ok(stem_close(db));
        assert_ok(stem_open(&db, path, NULL));
        assert_ok(stem_close(db));
    }
}
END_TEST

int main(void)
{
    /* Hundreds of databases are opened, and nothing here depends on a disk. */
    if (access("/dev/shm", R_OK | W_OK | X_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);

    Suite *suite = suite_create("cut_short");
    TCase *logs = add_case(suite, "logs", 60);

    tcase_add_test(logs, a_log_cut_short_is_an_earlier_state);
    tcase_add_test(logs, a_damaged_log_is_an_error_that_names_it_or_an_earlier_state);
    tcase_add_test(logs,
                   a_log_with_a_hole_is_an_error_that_names_it_and_opens_unverified);
    tcase_add_test(
        logs, a_manifest_with_a_bit_flipped_loses_nothing_or_is_an_error_that_names_it);
    tcase_add_test(logs, a_manifest_cut_short_loses_nothing_or_is_an_error_that_names_it);
    return run_suite(suite);
}
