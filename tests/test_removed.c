/*
 * Directories and logs that are removed while the database is open: what would not survive is
 * never answered to be safe.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "damage.h"
#include "process.h"
#include "stem.h"
#include "support.h"

/* ---- What happens ------------------------------------------------------------------ */

typedef enum removal { DIRECTORY, REPLACED, CONTENTS, LOGS, CURRENT, N_REMOVALS } removal;

static void remove_names(const char *path, const char *part)
{
    char names[MAX_NAMES][NAME_ROOM];
    const int n = list_names(path, part, names);

    for (int i = 0; i < n; i++)
        remove(path_in(path, names[i]));
}

static void apply(removal what, const char *path)
{
    switch (what) {
    case DIRECTORY:
    case REPLACED:
        remove_tree(path);
        if (what == REPLACED)
            ck_assert_int_eq(mkdir(path, 0777), 0);
        return;
    case CONTENTS:
        remove_names(path, "");
        return;
    case LOGS:
        remove_names(path, ".log");
        return;
    default:
        remove_names(path, "CURRENT");
    }
}

static const stem_options variants[] = {{.sync = true},
                                        {.sync = true, .shared = true},
                                        {.sync = true, .writeback_bytes = 1 << 20}};
enum { N_VARIANTS = sizeof variants / sizeof *variants };

static int commit_synced(stem_db *db, const char *key)
{
    stem_batch *batch = stem_batch_new(db);

    assert_ok(stem_batch_put(batch, db, key, 1));
    const int code = stem_batch_commit(batch, true);
    stem_batch_free(batch);
    return code;
}

/* With write-back the commit is in memory before it is made safe. */
static void expect_gone(int code, const stem_options *options)
{
    if (options->writeback_bytes == 0 || code != STEM_EUNKNOWN)
        assert_code(code, STEM_EGONE);
    ck_assert_msg(strstr(stem_errmsg(), "has been removed"), "%s", stem_errmsg());
}

/* ---- In the process that has it ---------------------------------------------------- */

START_TEST(what_was_removed_is_told_by_the_next_sync_or_synced_commit)
{
    const stem_options *options = &variants[_i % N_VARIANTS];
    const removal what = (removal)(_i / N_VARIANTS);
    const char *path = path_in(temp_dir(), "d");
    stem_db *db;

    assert_ok(stem_open(&db, path, options));
    assert_ok(stem_put(db, "before", 1));
    assert_ok(stem_sync(db));
    apply(what, path);
    assert_code(stem_sync(db), STEM_EGONE);
    expect_gone(stem_put(db, "put", 1), options);
    expect_gone(commit_synced(db, "commit"), options);
    expect_gone(stem_sync(db), options);
    if (options->writeback_bytes == 0) {
        assert_code(stem_has(db, "put"), STEM_NOTFOUND);
        assert_code(stem_has(db, "commit"), STEM_NOTFOUND);
    }
    stem_close_discard(db);
}
END_TEST

START_TEST(a_removed_log_is_told_without_a_sync_before)
{
    const char *path = path_in(temp_dir(), "d");
    stem_db *db;

    assert_ok(stem_open(&db, path, NULL));
    assert_ok(stem_put(db, "before", 1));
    apply(LOGS, path);
    assert_code(commit_synced(db, "commit"), STEM_EGONE);
    assert_code(stem_has(db, "commit"), STEM_NOTFOUND);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_directory_that_is_renamed_is_the_same)
{
    const stem_options *options = &variants[_i];
    const char *path = path_in(temp_dir(), "d"), *other = path_in(temp_dir(), "other");
    stem_db *db;

    assert_ok(stem_open(&db, path, options));
    assert_ok(stem_put(db, "before", 1));
    ck_assert_int_eq(rename(path, other), 0);
    assert_ok(stem_put(db, "after", 1));
    assert_ok(commit_synced(db, "commit"));
    assert_ok(stem_sync(db));
    assert_ok(stem_close(db));
    assert_ok(stem_open(&db, other, NULL));
    assert_ok(stem_has(db, "after"));
    assert_ok(stem_close(db));
}
END_TEST

/* Logs come and go as memtables fill up: none of that is a removal. */
START_TEST(logs_that_become_tables_are_not_missed)
{
    const char *path = path_in(temp_dir(), "d");
    char value[4000];
    stem_db *db;

    memset(value, 'x', sizeof value);
    assert_ok(stem_open(&db, path, STEM_OPTIONS(.write_buffer_bytes = 64 << 10)));
    for (int i = 0; i < 600; i++) {
        char name[32];

        snprintf(name, sizeof name, "%d", i);
        assert_ok(stem_put(db, name, stem_bin(value, sizeof value)));
        if (i % 3 == 0)
            assert_ok(stem_sync(db));
        if (i % 100 == 0)
            assert_ok(stem_compact(db));
    }
    assert_ok(stem_close(db));
}
END_TEST

/* ---- In another process that shares it ----------------------------------------------- */

static void await(const char *path)
{
    for (int i = 0; i < 2000 && access(path, F_OK) != 0; i++)
        pause_ms(5);
    must(access(path, F_OK) == 0);
}

static void join_and_sync(void *argument)
{
    const char *dir = argument;
    stem_db *db;

    await(path_in(dir, "is open"));
    must_ok(stem_open(&db, path_in(dir, "d"), STEM_OPTIONS(.shared = true)));
    must_ok(stem_put(db, "child", 1));
    write_file(path_in(dir, "has joined"), "");
    await(path_in(dir, "is removed"));
    must_be(stem_sync(db), STEM_EGONE);
    must(strstr(stem_errmsg(), "has been removed"));
    must_be(commit_synced(db, "commit"), STEM_EGONE);
    must_be(stem_has(db, "commit"), STEM_NOTFOUND);
    _exit(0); /* the owner is gone by the time that this ends, or not */
}

START_TEST(what_was_removed_is_told_to_those_that_share_it)
{
    const char *dir = temp_dir(), *path = path_in(dir, "d");
    pid_t child = start_child(join_and_sync, (void *)dir);
    stem_db *db;

    assert_ok(stem_open(&db, path, STEM_OPTIONS(.shared = true)));
    write_file(path_in(dir, "is open"), "");
    await(path_in(dir, "has joined"));
    apply((removal)_i, path);
    write_file(path_in(dir, "is removed"), "");
    assert_child_ends_well(child);
    stem_close_discard(db);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("removed");
    TCase *alone = add_case(suite, "alone", 60);
    TCase *shared = add_case(suite, "shared", 60);

    tcase_add_loop_test(alone, what_was_removed_is_told_by_the_next_sync_or_synced_commit,
                        0, N_REMOVALS * N_VARIANTS);
    tcase_add_test(alone, a_removed_log_is_told_without_a_sync_before);
    tcase_add_loop_test(alone, a_directory_that_is_renamed_is_the_same, 0, N_VARIANTS);
    tcase_add_test(alone, logs_that_become_tables_are_not_missed);
    tcase_add_loop_test(shared, what_was_removed_is_told_to_those_that_share_it, 0,
                        N_REMOVALS);
    return run_suite(suite);
}
