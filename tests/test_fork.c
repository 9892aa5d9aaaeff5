/*
 * fork(): what a child inherits is the parent's. Every call on it is refused, nothing is
 * touched, nothing keeps the parent's database locked, and nobody waits for ever.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"
#include "stem.h"
#include "support.h"

typedef struct inherited {
    const char *path;
    stem_db *db, *sub, *snapshot;
    stem_iter *iter, *children;
} inherited;

static inherited open_all(void)
{
    inherited all = {.path = path_in(temp_dir(), "d")};

    assert_ok(stem_open(&all.db, all.path, NULL));
    assert_ok(stem_put(all.db, "a", 1));
    assert_ok(stem_put(all.db, "b", "two"));
    ck_assert_ptr_nonnull(all.sub = stem_sub(all.db, "sub", "below"));
    assert_ok(stem_put(all.sub, "c", 3));
    ck_assert_ptr_nonnull(all.snapshot = stem_snapshot(all.db));
    ck_assert_ptr_nonnull(all.iter = stem_iter_open(all.snapshot, NULL));
    ck_assert(stem_iter_next(all.iter));
    ck_assert_ptr_nonnull(all.children = stem_children(all.db, NULL));
    return all;
}

static void close_all(inherited *all)
{
    stem_iter_close(all->iter);
    stem_iter_close(all->children);
    stem_close(all->snapshot);
    stem_close(all->sub);
    stem_close(all->db);
}

/* ---- What a child may do ---------------------------------------------------------- */

#define must_refuse(expression) must_be((expression), STEM_EFORK)
#define must_be_null(expression)                                                         \
    do {                                                                                 \
        must((expression) == NULL);                                                      \
        must(stem_errcode() == STEM_EFORK);                                              \
    } while (0)

static void read_refused(stem_db *db)
{
    stem_value value;
    int64_t n;
    uint64_t u;
    double f;
    bool b;
    char *text;
    void *bytes;
    size_t len;
    stem_timestamp time;
    int type;

    must_refuse(stem_has(db, "a"));
    must_refuse(stem_get(db, "a", &value));
    must_refuse(stem_type(db, "a", &type));
    must_refuse(stem_get_int(db, "a", &n));
    must_refuse(stem_get_uint(db, "a", &u));
    must_refuse(stem_get_float(db, "a", &f));
    must_refuse(stem_get_bool(db, "a", &b));
    must_refuse(stem_get_time(db, "a", &time));
    must_refuse(stem_get_str(db, "b", &text, NULL));
    must_refuse(stem_get_bin(db, "b", &bytes, &len));
    must_refuse(stem_get_array(db, "b", STEM_ANY, &value));
    must(stem_get_int_or(db, "a", 7) == 7 && stem_errcode() == STEM_EFORK);
    must(stem_get_uint_or(db, "a", 7) == 7 && stem_errcode() == STEM_EFORK);
    must(stem_get_float_or(db, "a", 7) == 7.0 && stem_errcode() == STEM_EFORK);
    must(stem_get_bool_or(db, "a", true) && stem_errcode() == STEM_EFORK);
    must_refuse(stem_get_json(db, "a", 0, &text));
    must(strstr(stem_errmsg(), "fork"));
}

static void use_refused(stem_db *db)
{
    uint64_t n;
    stem_size_info size;
    stem_statistics stats;

    must_refuse(stem_put(db, "a", 2));
    must_refuse(stem_put_json(db, "a", "2"));
    must_refuse(stem_del(db, "a"));
    must_be_null(stem_sub(db, "x"));
    must_be_null(stem_read_only(db));
    must_be_null(stem_snapshot(db));
    must_be_null(stem_dup(db));
    must_be_null(stem_path(db));
    must_be_null(stem_iter_open(db, NULL));
    must_be_null(stem_children(db, NULL));
    must_refuse(stem_iter_close(NULL));
    must_refuse(stem_count(db, NULL, &n));
    must_refuse(stem_size(db, &size));
    must_refuse(stem_compact(db));
    must_refuse(stem_sync(db));
    must_refuse(stem_stats(db, &stats));
}

static void step_refused(stem_iter *iter)
{
    must_refuse(stem_iter_seek(iter, (const char *const[]){"a"}, 1));
    must(!stem_iter_next(iter) && stem_errcode() == STEM_EFORK);
    must(!stem_iter_next(iter));
    must(stem_iter_key(iter) == NULL);
    must(stem_iter_value(iter) == NULL);
    must_refuse(stem_iter_close(iter));
}

static void use_inherited(void *argument)
{
    inherited *all = argument;
    stem_db *db;

    must(count_descriptors(all->path, true) == 0);
    read_refused(all->db);
    read_refused(all->sub);
    read_refused(all->snapshot);
    use_refused(all->db);
    use_refused(all->sub);
    use_refused(all->snapshot);
    step_refused(all->iter);
    step_refused(all->children);
    must_ok(stem_close(all->sub));
    must_ok(stem_close(all->snapshot));
    must_ok(stem_close(all->db));

    must_refuse(stem_open(&db, all->path, NULL));
    must(strstr(stem_errmsg(), "exec"));
    must_refuse(stem_open(&db, "mem:", NULL));
    must_be(stem_destroy(all->path), STEM_ELOCKED);
}

START_TEST(every_call_on_what_is_inherited_is_refused_and_nothing_is_touched)
{
    inherited all = open_all();
    char *before = directory_state(all.path);
    int64_t n;

    assert_child_ends_well(start_child(use_inherited, &all));
    char *after = directory_state(all.path);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);

    ck_assert_int_eq(count_descriptors(all.path, true), 2);
    ck_assert(stem_iter_next(all.iter));
    ck_assert_str_eq(stem_iter_key(all.iter), "b");
    ck_assert(stem_iter_next(all.children));
    assert_ok(stem_put(all.db, "a", 4));
    assert_ok(stem_get_int(all.db, "a", &n));
    ck_assert_int_eq(n, 4);
    assert_ok(stem_get_int(all.snapshot, "a", &n));
    ck_assert_int_eq(n, 1);
    assert_ok(stem_sync(all.sub));
    ck_assert_int_eq(open_elsewhere(all.path, NULL, 0), STEM_ELOCKED);
    close_all(&all);
    ck_assert_int_eq(open_elsewhere(all.path, NULL, 0), STEM_OK);
}
END_TEST

static void fork_once_more(void *argument)
{
    assert_child_ends_well(start_child(use_inherited, argument));
    use_inherited(argument);
}

START_TEST(a_childs_child_is_refused_as_well)
{
    inherited all = open_all();

    assert_child_ends_well(start_child(fork_once_more, &all));
    assert_ok(stem_put(all.db, "a", 5));
    close_all(&all);
}
END_TEST

static void open_refused(void *path)
{
    stem_db *db;

    must_refuse(stem_open(&db, path, NULL));
}

START_TEST(a_child_of_one_that_has_closed_all_cannot_open_either)
{
    inherited all = open_all();

    close_all(&all);
    assert_child_ends_well(start_child(open_refused, (void *)all.path));
}
END_TEST

static void open_and_put(void *path)
{
    stem_db *db;

    must_ok(stem_open(&db, path, NULL));
    must_ok(stem_put(db, "child", 1));
    must_ok(stem_compact(db));
    must_ok(stem_close(db));
}

START_TEST(a_child_forked_before_the_first_use_works)
{
    const char *dir = temp_dir();
    stem_db *db;

    ck_assert_int_lt(stem_open(&db, path_in(dir, "no/d"), NULL), 0);
    assert_child_ends_well(start_child(open_and_put, (void *)path_in(dir, "d")));
    assert_ok(stem_open(&db, path_in(dir, "d"), NULL));
    assert_ok(stem_has(db, "child"));
    assert_ok(stem_close(db));
}
END_TEST

/* ---- Outliving the parent --------------------------------------------------------- */

typedef struct heirs {
    const char *path;
    int tell[2], ready[2];
} heirs;

/* Opens, leaves a child behind that waits, and dies. */
static void die_before_child(void *argument)
{
    heirs *both = argument;
    stem_db *db, *memory;
    char byte;

    must_ok(stem_open(&db, both->path, NULL));
    must_ok(stem_open(&memory, "mem:", NULL));
    must_ok(stem_put(db, "a", 1));
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        close(both->tell[1]);
        must(write(both->ready[1], "", 1) == 1);
        must(read(both->tell[0], &byte, 1) == 0);
        _exit(0);
    }
    must(read(both->ready[0], &byte, 1) == 1);
    raise(SIGKILL);
}

START_TEST(a_child_that_outlives_its_parent_keeps_no_lock)
{
    heirs both = {.path = path_in(temp_dir(), "d")};
    stem_db *db;

    ck_assert_int_eq(pipe(both.tell), 0);
    ck_assert_int_eq(pipe(both.ready), 0);
    assert_child_killed(start_child(die_before_child, &both), SIGKILL);
    assert_ok(stem_open(&db, both.path, NULL));
    assert_ok(stem_has(db, "a"));
    assert_ok(stem_close(db));
    close(both.tell[1]); /* and the child ends */
}
END_TEST

/* ---- While other threads are inside calls ----------------------------------------- */

/* AddressSanitizer's allocator does not: a child that is forked while another thread is
 * in malloc may wait for ever in its own. */
#if defined(__SANITIZE_ADDRESS__)
static const bool malloc_survives_fork = false;
#else
static const bool malloc_survives_fork = true;
#endif

typedef struct busy {
    const char *path;
    stem_db *db;
    atomic_bool is_over;
} busy;

static void *sync_all_the_time(void *argument)
{
    busy *shared = argument;

    while (!shared->is_over)
        if (stem_put(shared->db, "key", 1) != STEM_OK || stem_sync(shared->db) != STEM_OK)
            abort();
    return NULL;
}

static void *walk_all_the_time(void *argument)
{
    busy *shared = argument;
    stem_statistics stats;

    while (!shared->is_over) {
        stem_iter *iter = stem_iter_open(shared->db, NULL);

        while (stem_iter_next(iter))
            ;
        if (stem_iter_close(iter) != STEM_OK || stem_stats(shared->db, &stats) != STEM_OK)
            abort();
    }
    return NULL;
}

static void *open_all_the_time(void *argument)
{
    busy *shared = argument;
    char path[4096];

    snprintf(path, sizeof path, "%s/e", shared->path);
    while (!shared->is_over) {
        stem_db *db, *memory;

        if (stem_open(&db, path, NULL) != STEM_OK || stem_put(db, "key", 1) != STEM_OK ||
            stem_open(&memory, "mem:", NULL) != STEM_OK)
            abort();
        stem_close(db);
        stem_close(memory);
        if (stem_destroy(path) != STEM_OK)
            abort();
    }
    return NULL;
}

/* Descriptors that can only be Stem's: on its lock, on the directory, and on logs to
 * read. */
static int count_stems_own(const char *path)
{
    DIR *listing = opendir("/proc/self/fd");
    struct dirent *entry;
    int n = 0;

    while ((entry = readdir(listing)) != NULL) {
        char target[4096] = "";
        const char *end;

        if (readlinkat(dirfd(listing), entry->d_name, target, sizeof target - 1) <= 0 ||
            strncmp(target, path, strlen(path)) != 0)
            continue;
        end = target + strlen(target);
        if (strcmp(target, path) == 0 || strcmp(end - 9, "stem.lock") == 0 ||
            (strcmp(end - 4, ".log") == 0 &&
             (fcntl(atoi(entry->d_name), F_GETFL) & O_ACCMODE) == O_RDONLY))
            n++;
    }
    closedir(listing);
    return n;
}

static void use_briefly(void *argument)
{
    busy *shared = argument;
    stem_db *db;

    must(count_stems_own(path_in(shared->path, "d")) == 0);
    must_refuse(stem_sync(shared->db));
    must_refuse(stem_put(shared->db, "key", 1));
    must_refuse(stem_open(&db, path_in(shared->path, "f"), NULL));
    must_ok(stem_close(shared->db));
}

static void fork_while(void *(*work)(void *), int forks)
{
    busy shared = {.path = temp_dir()};
    pthread_t threads[2];

    assert_ok(stem_open(&shared.db, path_in(shared.path, "d"), NULL));
    for (int i = 0; i < 100; i++) {
        char key[8];

        snprintf(key, sizeof key, "%d", i);
        assert_ok(stem_put(shared.db, key, i));
    }
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, i == 0 ? work : walk_all_the_time, &shared),
            0);
    for (int i = 0; i < forks; i++)
        assert_child_ends_well(start_child(use_briefly, &shared));
    shared.is_over = true;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_ok(stem_put(shared.db, "key", 2));
    assert_ok(stem_close(shared.db));
}

START_TEST(forking_while_threads_sync_and_walk_leaves_nothing_open)
{
    fork_while(sync_all_the_time, 60);
}
END_TEST

START_TEST(forking_while_threads_open_and_destroy_hangs_nobody)
{
    /* Often enough for a lock to be let go while a child has a copy of its descriptor. */
    fork_while(open_all_the_time, 400);
}
END_TEST

START_TEST(programs_are_started_as_ever)
{
    inherited all = open_all();
    char *const arguments[] = {"true", NULL};
    char *const nothing[] = {NULL};
    pid_t child;
    int status;

    ck_assert_int_eq(system("exit 3") >> 8, 3);
    ck_assert_int_eq(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, nothing), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    assert_ok(stem_put(all.db, "a", 6));
    ck_assert(stem_iter_next(all.iter));
    close_all(&all);
}
END_TEST

int main(int argc, char **argv)
{
    be_other_process(argc, argv);

    Suite *suite = suite_create("fork");
    TCase *child = add_case(suite, "child", 20);
    TCase *threads = add_case(suite, "threads", 60);

    tcase_add_test(child,
                   every_call_on_what_is_inherited_is_refused_and_nothing_is_touched);
    tcase_add_test(child, a_childs_child_is_refused_as_well);
    tcase_add_test(child, a_child_of_one_that_has_closed_all_cannot_open_either);
    tcase_add_test(child, a_child_forked_before_the_first_use_works);
    tcase_add_test(child, a_child_that_outlives_its_parent_keeps_no_lock);
    tcase_add_test(child, programs_are_started_as_ever);
    if (malloc_survives_fork) {
        tcase_add_test(threads, forking_while_threads_sync_and_walk_leaves_nothing_open);
        tcase_add_test(threads, forking_while_threads_open_and_destroy_hangs_nobody);
    }
    return run_suite(suite);
}
