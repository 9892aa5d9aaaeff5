/*
 * Who may have a database, and what its owner leaves alone: one engine in a process by
 * whatever name, one process at a time, and nothing lost when the directory is renamed or
 * removed meanwhile.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"
#include "stem.h"
#include "support.h"

enum { MANY = 3000 };

static uint64_t count_handles(stem_db *db)
{
    stem_statistics stats;

    assert_ok(stem_stats(db, &stats));
    return stats.handles;
}

static void put_many(stem_db *db)
{
    char key[16], value[200];

    memset(value, 'v', sizeof value);
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_ok(stem_put(db, key, stem_strn(value, sizeof value)));
    }
}

static void assert_many(stem_db *db)
{
    uint64_t n;

    assert_ok(stem_count(db, NULL, &n));
    ck_assert_uint_eq(n, MANY);
}

/* Small, so that logs become tables all the time. */
static const stem_options small_buffer = {.write_buffer_bytes = 64 << 10};

/* ---- One process ------------------------------------------------------------------ */

START_TEST(every_name_of_a_directory_gives_the_same_engine)
{
    const char *dir = temp_dir();
    static const char *const names[] = {"d",    "./d",    ".//d/",    "../x/d",
                                        "link", "link/.", "leveldb:d"};
    enum { NAMES = sizeof names / sizeof *names };
    stem_db *handles[NAMES];

    ck_assert_int_eq(mkdir(path_in(dir, "x"), 0777), 0);
    ck_assert_int_eq(chdir(path_in(dir, "x")), 0);
    ck_assert_int_eq(symlink("d", "link"), 0);
    for (int i = 0; i < NAMES; i++) {
        assert_ok(stem_open(&handles[i], names[i], NULL));
        ck_assert_uint_eq(count_handles(handles[0]), (uint64_t)i + 1);
        assert_ok(stem_put(handles[i], names[i], i));
    }
    for (int i = 0; i < NAMES; i++)
        assert_ok(stem_has(handles[0], names[i]));
    for (int i = 0; i < NAMES; i++)
        assert_ok(stem_close(handles[i]));
    ck_assert_int_eq(open_elsewhere(path_in(dir, "x/d"), NULL, 0), STEM_OK);
}
END_TEST

START_TEST(a_later_open_must_agree_on_the_options_of_the_first)
{
    const char *path = path_in(temp_dir(), "d");
    stem_db *db, *again;

    assert_ok(stem_open(&db, path, STEM_OPTIONS(.cache_bytes = 1 << 20)));
    assert_ok(stem_open(&again, path, STEM_OPTIONS(.cache_bytes = 1 << 20)));
    assert_ok(stem_close(again));
    assert_ok(stem_open(&again, path, STEM_OPTIONS(.read_only = true)));
    assert_code(stem_put(again, "key", 1), STEM_EREADONLY);
    assert_ok(stem_put(db, "key", 1));
    assert_ok(stem_close(again));
    assert_code(stem_open(&again, path, STEM_OPTIONS(.cache_bytes = 2 << 20)),
                STEM_EINVAL);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "cache_bytes"));
    assert_code(stem_open(&again, path, STEM_OPTIONS(.must_be_new = true)), STEM_EXISTS);
    ck_assert_uint_eq(count_handles(db), 1);
    assert_ok(stem_close(db));
}
END_TEST

static void *open_and_count(void *argument)
{
    stem_db *db = NULL;

    return stem_open(&db, argument, NULL) == STEM_OK ? db : NULL;
}

START_TEST(threads_that_open_at_once_share_one_engine)
{
    const char *dir = temp_dir();
    char *names[] = {"d", "./d", "link", "d/."};
    enum { THREADS = sizeof names / sizeof *names };

    ck_assert_int_eq(chdir(dir), 0);
    ck_assert_int_eq(symlink("d", "link"), 0);
    ck_assert_int_eq(mkdir("d", 0777), 0);
    for (int round = 0; round < 20; round++) {
        pthread_t threads[THREADS];
        void *opened[THREADS];

        for (int i = 0; i < THREADS; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_count, names[i]),
                             0);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], &opened[i]);
            ck_assert_ptr_nonnull(opened[i]);
        }
        ck_assert_uint_eq(count_handles(opened[0]), THREADS);
        for (int i = 0; i < THREADS; i++)
            assert_ok(stem_close(opened[i]));
    }
}
END_TEST

START_TEST(two_copies_of_the_library_do_not_share_a_directory)
{
    const char *path = path_in(temp_dir(), "d");
    int (*opens[2])(const char *, char *, size_t);
    int (*closes[2])(void);
    char text[1024];
    stem_db *db;

    for (int i = 0; i < 2; i++) {
        char name[4096];

        snprintf(name, sizeof name, "%s/tests/.libs/static_plugin_%d.so",
                 getenv("STEM_BUILD") ? getenv("STEM_BUILD") : ".", i + 1);
        void *plugin = dlopen(name, RTLD_NOW | RTLD_LOCAL);
        ck_assert_msg(plugin != NULL, "%s", dlerror());
        *(void **)&opens[i] = dlsym(plugin, "plugin_open");
        *(void **)&closes[i] = dlsym(plugin, "plugin_close");
    }
    ck_assert_int_eq(opens[0](path, text, sizeof text), STEM_OK);
    char *before = directory_state(path);
    ck_assert_int_eq(opens[1](path, text, sizeof text), STEM_ELOCKED);
    ck_assert_msg(strstr(text, "another copy of the library"), "%s", text);
    assert_code(stem_open(&db, path, NULL), STEM_ELOCKED);
    ck_assert_int_eq(open_elsewhere(path, NULL, 0), STEM_ELOCKED);
    char *after = directory_state(path);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);

    ck_assert_int_eq(closes[0](), STEM_OK);
    ck_assert_int_eq(opens[1](path, text, sizeof text), STEM_OK);
    ck_assert_int_eq(opens[0](path, text, sizeof text), STEM_ELOCKED);
    ck_assert_int_eq(closes[1](), STEM_OK);
    assert_ok(stem_open(&db, path, NULL));
    assert_ok(stem_close(db));
}
END_TEST

/* ---- Two processes ---------------------------------------------------------------- */

START_TEST(a_second_process_is_told_who_has_it_and_touches_nothing)
{
    const char *path = path_in(temp_dir(), "d");
    char text[1024], pid[32];
    stem_db *db;

    assert_ok(stem_open(&db, path, NULL));
    put_many(db);
    char *before = directory_state(path);
    ck_assert_int_eq(open_elsewhere(path, text, sizeof text), STEM_ELOCKED);
    snprintf(pid, sizeof pid, "process %ld;", (long)getpid());
    ck_assert_msg(strstr(text, pid), "no %s in: %s", pid, text);
    char *after = directory_state(path);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    assert_many(db);
    assert_ok(stem_close(db));
    ck_assert_int_eq(open_elsewhere(path, NULL, 0), STEM_OK);
}
END_TEST

START_TEST(the_lock_is_kept_whatever_is_opened_refused_and_closed_meanwhile)
{
    const char *path = path_in(temp_dir(), "d");
    stem_db *db, *again;

    assert_ok(stem_open(&db, path, NULL));
    for (int i = 0; i < 3; i++) {
        assert_ok(stem_open(&again, path, NULL));
        assert_ok(stem_close(again));
        assert_code(stem_open(&again, path, STEM_OPTIONS(.must_be_new = true)),
                    STEM_EXISTS);
        assert_code(stem_open(&again, path, STEM_OPTIONS(.block_bytes = 1 << 20)),
                    STEM_EINVAL);
        assert_code(stem_destroy(path), STEM_ELOCKED);
        /* What drops LevelDB's own lock. */
        close(open(path_in(path, "LOCK"), O_RDWR));
        close(open(path_in(path, "stem.lock"), O_RDWR));
        ck_assert_int_eq(open_elsewhere(path, NULL, 0), STEM_ELOCKED);
    }
    assert_ok(stem_close(db));
    ck_assert_int_eq(open_elsewhere(path, NULL, 0), STEM_OK);
}
END_TEST

START_TEST(a_killed_owner_leaves_no_lock)
{
    const char *path = path_in(temp_dir(), "d");
    other_process other;
    stem_db *db;

    ck_assert_int_eq(hold_elsewhere(path, &other), STEM_OK);
    assert_code(stem_open(&db, path, NULL), STEM_ELOCKED);
    kill_other(&other);
    assert_ok(stem_open(&db, path, NULL));
    assert_ok(stem_close(db));
}
END_TEST

/* ---- The directory, renamed and removed ------------------------------------------- */

START_TEST(a_relative_path_is_right_after_chdir)
{
    const char *dir = temp_dir();
    stem_db *db;

    ck_assert_int_eq(chdir(dir), 0);
    assert_ok(stem_open(&db, "d", &small_buffer));
    ck_assert_int_eq(chdir("/"), 0);
    put_many(db);
    assert_ok(stem_compact(db));
    assert_ok(stem_close(db));
    assert_ok(stem_open(&db, path_in(dir, "d"), NULL));
    assert_many(db);
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_renamed_database_goes_on_beside_a_new_one_in_its_place)
{
    const char *dir = temp_dir();
    const char *path = path_in(dir, "d"), *moved = path_in(dir, "moved");
    stem_db *old, *new;

    assert_ok(stem_open(&old, path, &small_buffer));
    assert_ok(stem_put(old, "old", 1));
    ck_assert_int_eq(rename(path, moved), 0);
    assert_ok(stem_open(
        &new, path, STEM_OPTIONS(.must_be_new = true, .write_buffer_bytes = 64 << 10)));
    put_many(new);
    put_many(old);
    assert_ok(stem_compact(old));
    assert_ok(stem_compact(new));
    assert_many(new);
    assert_ok(stem_has(old, "old"));
    ck_assert_int_eq(open_elsewhere(moved, NULL, 0), STEM_ELOCKED);
    ck_assert_int_eq(open_elsewhere(path, NULL, 0), STEM_ELOCKED);
    assert_ok(stem_close(old));
    assert_ok(stem_close(new));
}
END_TEST

/* Every call on what was removed answers; what the codes are is up to what LevelDB still
 * has. */
static void use_what_is_left(stem_db *db)
{
    uint64_t n;
    stem_size_info size;
    stem_statistics stats;

    for (int i = 0; i < MANY; i++) {
        char key[16];

        snprintf(key, sizeof key, "%d", i);
        int code = stem_put(db, key, "another value, of a certain length");
        ck_assert(code == STEM_OK || code == STEM_EIO || code == STEM_ECORRUPT);
    }
    stem_count(db, NULL, &n);
    stem_size(db, &size);
    stem_stats(db, &stats);
    stem_compact(db);
    stem_sync(db);
    stem_db *snapshot = stem_snapshot(db);
    stem_close(snapshot);
}

START_TEST(a_database_removed_while_open_answers_and_its_place_is_free_at_once)
{
    const char *dir = temp_dir();
    const char *path = path_in(dir, "d");
    stem_db *old, *new;

    for (int round = 0; round < 3; round++) {
        assert_ok(stem_open(&old, path, &small_buffer));
        put_many(old);
        do /* LevelDB may make a table meanwhile */
            remove_tree(path);
        while (access(path, F_OK) == 0);
        if (round == 1)
            use_what_is_left(old);

        assert_ok(stem_open(&new, path, STEM_OPTIONS(.must_be_new = true)));
        ck_assert_uint_eq(count_handles(new), 1);
        assert_code(stem_has(new, "1"), STEM_NOTFOUND);
        put_many(new);
        use_what_is_left(old);
        stem_close(old);
        assert_ok(stem_compact(new));
        assert_many(new);
        assert_ok(stem_close(new));
        assert_ok(stem_open(&new, path, STEM_OPTIONS(.must_exist = true)));
        assert_many(new);
        assert_ok(stem_close(new));
        assert_ok(stem_destroy(path));
    }
}
END_TEST

START_TEST(a_lost_current_is_not_taken_for_a_new_database_by_mending)
{
    const char *path = path_in(temp_dir(), "d");
    stem_db *db;

    assert_ok(stem_open(&db, path, &small_buffer));
    put_many(db);
    assert_ok(stem_compact(db));
    ck_assert_int_eq(rename(path_in(path, "CURRENT"), path_in(path, "kept")), 0);
    /* No table can be made: numbers of files to come are directories. */
    for (int i = 0; i < 400; i++) {
        char name[32];

        snprintf(name, sizeof name, "%06d.ldb", i);
        mkdir(path_in(path, name), 0777);
    }
    int code = STEM_OK;
    for (int i = 0; i < 2 * MANY && code == STEM_OK; i++)
        code = stem_put(db, "key", stem_bin(path, 10));
    if (code == STEM_OK)
        code = stem_compact(db);
    for (int i = 0; i < 20; i++)
        code = stem_put(db, "key", i);
    ck_assert_int_lt(code, 0);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "CURRENT"));
    ck_assert_int_eq(rename(path_in(path, "kept"), path_in(path, "CURRENT")), 0);
    for (int i = 0; i < 400; i++) {
        char name[32];

        snprintf(name, sizeof name, "%06d.ldb", i);
        rmdir(path_in(path, name));
    }
    assert_ok(stem_put(db, "key", 1));
    assert_ok(stem_del(db, "key"));
    assert_many(db);
    assert_ok(stem_close(db));
}
END_TEST

/* ---- What the process's owner may rely on ----------------------------------------- */

START_TEST(all_descriptors_are_closed_on_exec)
{
    const char *path = path_in(temp_dir(), "d");
    char of_memory[32];
    stem_db *db, *memory;
    struct dirent *entry;

    snprintf(of_memory, sizeof of_memory, "/stem-%lu/", (unsigned long)geteuid());
    assert_ok(stem_open(&db, path, &small_buffer));
    assert_ok(stem_open(&memory, "mem:", NULL));
    put_many(db);
    put_many(memory);
    DIR *listing = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(listing);
    while ((entry = readdir(listing)) != NULL) {
        char target[4096] = "";

        if (readlinkat(dirfd(listing), entry->d_name, target, sizeof target - 1) <= 0 ||
            (!strstr(target, path) && !strstr(target, of_memory)))
            continue;
        ck_assert_msg(fcntl(atoi(entry->d_name), F_GETFD) & FD_CLOEXEC, "%s stays open",
                      target);
    }
    closedir(listing);
    assert_ok(stem_close(db));
    assert_ok(stem_close(memory));
}
END_TEST

START_TEST(threads_of_the_library_take_no_signals)
{
    const char *path = path_in(temp_dir(), "d");
    struct dirent *entry;
    int threads = 0;
    sigset_t none, after;
    stem_db *db;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    assert_ok(stem_open(&db, path, &small_buffer));
    put_many(db);
    assert_ok(stem_compact(db));
    sigprocmask(SIG_SETMASK, NULL, &after);
    ck_assert_int_eq(sigisemptyset(&after), 1);

    DIR *listing = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(listing);
    while ((entry = readdir(listing)) != NULL) {
        char name[64], line[256];
        uint64_t blocked = 0;

        if (atoi(entry->d_name) == 0 || atoi(entry->d_name) == getpid())
            continue;
        snprintf(name, sizeof name, "/proc/self/task/%.20s/status", entry->d_name);
        FILE *status = fopen(name, "r");
        ck_assert_ptr_nonnull(status);
        while (fgets(line, sizeof line, status))
            sscanf(line, "SigBlk: %" SCNx64, &blocked);
        fclose(status);
        threads++;
        for (int number = 1; number < 32; number++)
            if (number != SIGKILL && number != SIGSTOP)
                ck_assert_msg(blocked >> (number - 1) & 1, "signal %d is not blocked",
                              number);
    }
    closedir(listing);
    ck_assert_int_ge(threads, 1);
    assert_ok(stem_close(db));
}
END_TEST

int main(int argc, char **argv)
{
    be_other_process(argc, argv);

    Suite *suite = suite_create("sharing");
    TCase *process = add_case(suite, "one_process", 20);
    TCase *processes = add_case(suite, "two_processes", 20);
    TCase *directory = add_case(suite, "directory", 20);
    TCase *owner = add_case(suite, "owner", 20);

    tcase_add_test(process, every_name_of_a_directory_gives_the_same_engine);
    tcase_add_test(process, a_later_open_must_agree_on_the_options_of_the_first);
    tcase_add_test(process, threads_that_open_at_once_share_one_engine);
    tcase_add_test(process, two_copies_of_the_library_do_not_share_a_directory);
    tcase_add_test(processes, a_second_process_is_told_who_has_it_and_touches_nothing);
    tcase_add_test(processes,
                   the_lock_is_kept_whatever_is_opened_refused_and_closed_meanwhile);
    tcase_add_test(processes, a_killed_owner_leaves_no_lock);
    tcase_add_test(directory, a_relative_path_is_right_after_chdir);
    tcase_add_test(directory, a_renamed_database_goes_on_beside_a_new_one_in_its_place);
    tcase_add_test(directory,
                   a_database_removed_while_open_answers_and_its_place_is_free_at_once);
    tcase_add_test(directory, a_lost_current_is_not_taken_for_a_new_database_by_mending);
    tcase_add_test(owner, all_descriptors_are_closed_on_exec);
    tcase_add_test(owner, threads_of_the_library_take_no_signals);
    return run_suite(suite);
}
