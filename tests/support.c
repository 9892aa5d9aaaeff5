/*
 * What every test program shares: running a suite, and directories that go away.
 */
#include "support.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DIRS = 256 };
static char *dirs[MAX_DIRS];
static int n_dirs;
static pid_t owner;

int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

TCase *add_case(Suite *suite, const char *name, double seconds)
{
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, seconds);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static int remove_entry(const char *path, const struct stat *info, int kind,
                        struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

void remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_dirs(void)
{
    if (getpid() != owner)
        return;
    for (int i = 0; i < n_dirs; i++)
        remove_tree(dirs[i]);
}

const char *temp_dir(void)
{
    const char *base = getenv("TMPDIR");
    char path[4096];

    if (owner != getpid()) {
        owner = getpid();
        n_dirs = 0;
        atexit(remove_dirs);
    }
    snprintf(path, sizeof path, "%s/stem-test-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(path) || n_dirs == MAX_DIRS)
        abort();
    return dirs[n_dirs++] = strdup(path);
}

/* Kept in a list, so that they do not count as leaked. */
typedef struct kept_path {
    struct kept_path *next;
    char text[];
} kept_path;
static kept_path *paths;

const char *path_in(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    kept_path *path = malloc(sizeof *path + size);

    if (!path)
        abort();
    snprintf(path->text, size, "%s/%s", dir, name);
    path->next = paths;
    paths = path;
    return path->text;
}
