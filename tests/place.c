/*
 * Databases for the tests of operations, and what lies in them as one line of text.
 */
#include "place.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static const char *location;

static stem_options options_from_environment(void)
{
    return (stem_options){.writeback_bytes = number_from(WRITEBACK_BYTES, 0),
                          .writeback_ms = number_from(WRITEBACK_MS, 0)};
}

/* A served one, of which the test has a client. Server and database end with the process. */
static stem_db *new_served_database(void)
{
    static stem_server *server;
    static stem_db *served;
    const char *address = path_in(temp_dir(), "socket"), *listen[] = {NULL, NULL};
    const stem_options options = options_from_environment();
    char where[512];
    stem_db *db;

    location = NULL;
    snprintf(where, sizeof where, "unix:%s", address);
    listen[0] = where;
    assert_ok(stem_open(&served, path_in(temp_dir(), "db"), &options));
    assert_ok(stem_server_open(&server, served, STEM_SERVER_OPTIONS(.listen = listen)));
    assert_ok(stem_open(&db, where, NULL));
    return db;
}

/* Has the files of a shared database until the test's process ends. */
static void own_shared(const char *directory, const stem_options *options, int ready)
{
    stem_db *db;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int code = stem_open(&db, directory, options);
    if (code != STEM_OK)
        fprintf(stderr, "%s\n", stem_errmsg());
    if (code != STEM_OK || write(ready, "", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

/* A shared one, whose owner is another process. */
static stem_db *new_shared_database(void)
{
    const char *directory = path_in(temp_dir(), "db");
    stem_options options = options_from_environment();
    int ready[2];
    char byte;
    stem_db *db;

    location = NULL;
    options.shared = true;
    ck_assert_int_eq(pipe(ready), 0);
    const pid_t owner = fork();
    ck_assert_int_ge(owner, 0);
    if (owner == 0)
        own_shared(directory, &options, ready[1]);
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    assert_ok(stem_open(&db, directory, &options));
    return db;
}

stem_db *new_database(void)
{
    stem_db *db;

    if (getenv(SERVED))
        return new_served_database();
    if (getenv(SHARED))
        return new_shared_database();
    location = getenv(IN_MEMORY) ? NULL : path_in(temp_dir(), "db");
    const stem_options options = options_from_environment();
    assert_ok(stem_open(&db, location ? location : "mem:", &options));
    return db;
}

const char *last_location(void)
{
    return location;
}

/* ---- Contents --------------------------------------------------------------------- */

static void print_value(FILE *out, const stem_value *value)
{
    if (value->type == STEM_INT)
        fprintf(out, "%lld", (long long)value->as.integer);
    else if (value->type == STEM_FLOAT)
        fprintf(out, "%gf", value->as.real);
    else if (value->type == STEM_STR && value->as.str.len <= 40)
        fprintf(out, "%s", value->as.str.data);
    else
        fprintf(out, "<%s>", stem_type_name(value->type));
}

const char *contents(stem_db *db)
{
    static char *text;
    size_t size;

    free(text);
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    stem_iter *iter = stem_iter_open(db, NULL);
    const char *separator = "";
    while (stem_iter_next(iter)) {
        size_t n;
        const char *const *names = stem_iter_path(iter, &n);
        char *path = stem_path_format(names, n);

        fprintf(out, "%s%s=", separator, path);
        print_value(out, stem_iter_value(iter));
        separator = " ";
        stem_free(path);
    }
    fclose(out);
    assert_ok(stem_iter_close(iter));
    return text;
}

/* ---- Names ------------------------------------------------------------------------ */

static char name_bytes[STEM_COMPONENT_MAX + 2];
const char *const too_long_name = name_bytes, *const longest_name = name_bytes + 1;

__attribute__((constructor)) static void make_names(void)
{
    memset(name_bytes, 'n', STEM_COMPONENT_MAX + 1);
}

/* ---- Syncs ------------------------------------------------------------------------ */

static atomic_uint syncs;

unsigned files_synced(void)
{
    return atomic_load(&syncs);
}

/* In place of the C library's, for LevelDB and Stem alike. */
STEM_API int fsync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fsync, fd);
}

STEM_API int fdatasync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

unsigned long number_from(const char *variable, unsigned long fallback)
{
    const char *text = getenv(variable);

    return text && *text ? strtoul(text, NULL, 0) : fallback;
}
