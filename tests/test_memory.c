/*
 * mem: a new database each time, in a place that nobody else reads and that goes with the
 * last handle or, when its process is killed, with the next database made there.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"
#include "stem.h"
#include "support.h"

/* The directory of the memory database that `pid` has open, by its lock. */
static void find_directory(pid_t pid, char found[PATH_MAX])
{
    static const char lock[] = "/stem.lock";
    char name[64];
    struct dirent *entry;

    snprintf(name, sizeof name, "/proc/%ld/fd", (long)pid);
    DIR *listing = opendir(name);
    ck_assert_ptr_nonnull(listing);
    *found = '\0';
    while ((entry = readdir(listing)) != NULL) {
        char target[PATH_MAX] = "";
        ssize_t len =
            readlinkat(dirfd(listing), entry->d_name, target, sizeof target - 1);

        if (len > (ssize_t)sizeof lock &&
            strcmp(target + len - (sizeof lock - 1), lock) == 0)
            snprintf(found, PATH_MAX, "%.*s", (int)(len - (ssize_t)(sizeof lock - 1)),
                     target);
    }
    closedir(listing);
    ck_assert_msg(*found, "no lock is open in process %ld", (long)pid);
}

static bool exists(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

START_TEST(two_opens_are_two_databases)
{
    stem_db *one, *other;

    assert_ok(stem_open(&one, "mem:", NULL));
    assert_ok(stem_open(&other, "mem:", NULL));
    assert_ok(stem_put(one, "key", 1));
    assert_code(stem_has(other, "key"), STEM_NOTFOUND);
    assert_ok(stem_close(one));
    assert_code(stem_has(other, "key"), STEM_NOTFOUND);
    assert_ok(stem_put(other, "key", 2));
    assert_ok(stem_has(other, "key"));
    assert_ok(stem_close(other));
}
END_TEST

START_TEST(it_is_gone_with_its_last_handle_and_private_before)
{
    char path[PATH_MAX];
    struct stat status;
    stem_db *db, *sub;

    assert_ok(stem_open(&db, "mem:", NULL));
    find_directory(getpid(), path);
    sub = stem_sub(db, "sub");
    assert_ok(stem_close(db));
    assert_ok(stem_put(sub, "key", 1));
    ck_assert(exists(path));
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 077, 0);
    assert_ok(stem_close(sub));
    ck_assert(!exists(path));
}
END_TEST

START_TEST(what_a_killed_process_left_goes_with_the_next_open)
{
    char abandoned[PATH_MAX], live[PATH_MAX];
    other_process dead, living;
    stem_db *db;

    ck_assert_int_eq(hold_elsewhere("mem:", &dead), STEM_OK);
    ck_assert_int_eq(hold_elsewhere("mem:", &living), STEM_OK);
    find_directory(dead.pid, abandoned);
    find_directory(living.pid, live);
    kill_other(&dead);
    assert_ok(stem_open(&db, "mem:", NULL));
    ck_assert(!exists(abandoned));
    ck_assert(exists(live));
    ck_assert(exists(path_in(live, "CURRENT")));
    assert_ok(stem_close(db));
    let_go(&living);
    ck_assert(!exists(live));
}
END_TEST

START_TEST(opening_beside_a_live_one_leaves_the_last_failure_alone)
{
    other_process living;
    stem_db *db;
    int64_t n;

    ck_assert_int_eq(hold_elsewhere("mem:", &living), STEM_OK);
    assert_code(stem_get_int(NULL, "key", &n), STEM_EINVAL);
    char *text = strdup(stem_errmsg());
    assert_ok(stem_open(&db, "mem:", NULL));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_str_eq(stem_errmsg(), text);
    assert_ok(stem_close(db));
    free(text);
    let_go(&living);
}
END_TEST

/* Takes the lock of the user's directory, as a process that is stopped half way has it. */
static int lock_home(void)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[PATH_MAX];
    stem_db *db;

    assert_ok(stem_open(&db, "mem:", NULL));
    find_directory(getpid(), path);
    assert_ok(stem_close(db));
    strcpy(strrchr(path, '/'), "/lock");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_OFD_SETLKW, &whole), 0);
    return fd;
}

static void *open_memory(void *argument)
{
    assert_ok(stem_open(argument, "mem:", NULL));
    return NULL;
}

static void do_nothing(void *argument)
{
    (void)argument;
}

START_TEST(one_that_waits_to_be_made_holds_up_no_other_database)
{
    const int lock = lock_home();
    stem_db *memory, *db;
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, open_memory, &memory), 0);
    pause_ms(50);
    assert_ok(stem_open(&db, path_in(temp_dir(), "db"), NULL));
    assert_child_ends_well(start_child(do_nothing, NULL));
    assert_ok(stem_close(db));
    close(lock);
    pthread_join(thread, NULL);
    assert_ok(stem_put(memory, "key", 1));
    assert_ok(stem_close(memory));
}
END_TEST

/* ---- Storage that is missing or somebody else's ----------------------------------- */

static void must_say(const char *part)
{
    must(strstr(stem_errmsg(), part));
}

/* Covers what is at the place, if anything; false when this process may not. */
static bool cover(const char *place, const char *kind, const char *options)
{
    return access(place, F_OK) != 0 || mount(kind, place, kind, 0, options) == 0;
}

static void open_without_storage(void *unused)
{
    stem_db *db;

    (void)unused;
    if (!enter_private_mounts() || !cover("/dev/shm", "proc", NULL) ||
        !cover("/run/shm", "proc", NULL) || !cover("/tmp", "proc", NULL))
        return;
    must_be(stem_open(&db, "mem:", NULL), STEM_ENOTSUP);
    must_say("memory-backed");
}

static void open_in_others_storage(void *unused)
{
    char home[64];
    stem_db *db;

    (void)unused;
    if (!enter_private_mounts() || !cover("/dev/shm", "tmpfs", "size=1m"))
        return;
    snprintf(home, sizeof home, "/dev/shm/stem-%lu", (unsigned long)geteuid());

    must(mkdir(home, 0755) == 0);
    must_be(stem_open(&db, "mem:", NULL), STEM_EIO);
    must_say("not this user's alone");
    must(rmdir(home) == 0);

    must(symlink("/dev", home) == 0);
    must_be(stem_open(&db, "mem:", NULL), STEM_EIO);
    must_say(home);
    must(unlink(home) == 0);

    write_file(home, "mine\n");
    must_be(stem_open(&db, "mem:", NULL), STEM_EIO);
    must_say(home);
    must(unlink(home) == 0);

    must(mkdir(home, 0700) == 0);
    must(mkdir(path_in(home, "lock"), 0700) == 0);
    must_be(stem_open(&db, "mem:", NULL), STEM_EIO);
    must_say("lock");
}

/* So small that a database does not fit. */
static void open_in_little_storage(void *unused)
{
    char home[64];
    stem_db *db;

    (void)unused;
    if (!enter_private_mounts())
        return;
    snprintf(home, sizeof home, "/dev/shm/stem-%lu", (unsigned long)geteuid());
    for (int files = 2; files < 12; files++) {
        char options[64];
        DIR *listing;
        struct dirent *entry;

        snprintf(options, sizeof options, "size=1m,nr_inodes=%d", files);
        if (!cover("/dev/shm", "tmpfs", options))
            return;
        if (stem_open(&db, "mem:", NULL) == STEM_OK)
            stem_close(db);
        else
            must(stem_errcode() == STEM_EIO);
        listing = opendir(home);
        while (listing && (entry = readdir(listing)) != NULL)
            must(strncmp(entry->d_name, "mem-", 4) != 0);
        if (listing)
            closedir(listing);
    }
}

START_TEST(storage_that_is_missing_or_anothers_or_too_small_is_told)
{
    void (*const cases[])(void *) = {open_without_storage, open_in_others_storage,
                                     open_in_little_storage};

    assert_child_ends_well(start_child(cases[_i], NULL));
}
END_TEST

int main(int argc, char **argv)
{
    be_other_process(argc, argv);

    Suite *suite = suite_create("memory");
    TCase *memory = add_case(suite, "memory", 20);

    tcase_add_test(memory, two_opens_are_two_databases);
    tcase_add_test(memory, it_is_gone_with_its_last_handle_and_private_before);
    tcase_add_test(memory, what_a_killed_process_left_goes_with_the_next_open);
    tcase_add_test(memory, opening_beside_a_live_one_leaves_the_last_failure_alone);
    tcase_add_test(memory, one_that_waits_to_be_made_holds_up_no_other_database);
    tcase_add_loop_test(memory, storage_that_is_missing_or_anothers_or_too_small_is_told,
                        0, 3);
    return run_suite(suite);
}
