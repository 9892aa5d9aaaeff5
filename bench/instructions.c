/*
 * One kind of work by one side, for callgrind to count: instructions.sh runs it. Everything
 * but the work itself happens outside `measured`, and the database has been closed and opened
 * again before anything is read, so that reads find their entries in a table, in the cache.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "side.h"

/* Few enough for one write buffer: nothing is compacted while instructions are counted. */
enum { ENTRIES = 10000, ARRAYS = 200 };

typedef void work(const side *which, side_db *db);

static void put(const side *which, side_db *db)
{
    which->put(db, 0, ENTRIES);
}

static void get(const side *which, side_db *db)
{
    which->get(db, 0, ENTRIES);
}

static void walk(const side *which, side_db *db)
{
    which->walk(db);
}

static void put_arrays(const side *which, side_db *db)
{
    which->put_arrays(db, ARRAYS);
}

static void get_arrays(const side *which, side_db *db)
{
    which->get_arrays(db, ARRAYS);
}

static const struct {
    const char *name;
    work *
        prepare; /* in a database that is opened again for what follows; NULL is nothing */
    work *warm;  /* fills the cache; NULL is nothing */
    work *measured;
    size_t operations, levels;
} kinds[] = {
    {"put", NULL, NULL, put, ENTRIES, 1},
    {"get", put, get, get, ENTRIES, 1},
    {"array", put_arrays, get_arrays, get_arrays, ARRAYS, 1},
    {"walk", put, walk, walk, ENTRIES, 1},
    {"deep", NULL, NULL, put, ENTRIES, LEVELS_MAX},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static volatile bool is_measured;

/* The function whose instructions callgrind counts, by this name. That it does something after
 * the call keeps the compiler from jumping out of it instead of calling. */
__attribute__((noinline, visibility("default"))) void
measured(work *do_work, const side *which, side_db *db);

void measured(work *do_work, const side *which, side_db *db)
{
    do_work(which, db);
    is_measured = true;
}

/* SIDE:KIND, such as stem:put. */
static bool parse_work(const char *text, const side **which, size_t *kind)
{
    static const side *const sides[] = {&side_stem, &side_raw, &side_glued};
    const char *colon = strchr(text, ':');

    *which = NULL;
    if (!colon)
        return false;
    const size_t len = (size_t)(colon - text);
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        if (strlen(sides[i]->name) == len && strncmp(sides[i]->name, text, len) == 0)
            *which = sides[i];
    for (*kind = 0; *which && *kind < KINDS; ++*kind)
        if (strcmp(kinds[*kind].name, colon + 1) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    const side *which;
    size_t kind;

    if (argc != 3 || !parse_work(argv[1], &which, &kind))
        bench_die("usage: instructions stem|raw|glued:put|get|array|walk|deep DIRECTORY");

    workload *load = workload_make(ENTRIES, kinds[kind].levels);
    char *path = bench_directory(argv[2]);
    side_db *db = which->open(path, &side_options, load);

    if (kinds[kind].prepare) {
        kinds[kind].prepare(which, db);
        which->close(db);
        db = which->open(path, &side_options, load);
    }
    if (kinds[kind].warm)
        kinds[kind].warm(which, db);
    measured(kinds[kind].measured, which, db);
    which->close(db);
    bench_remove(path);
    workload_free(load);
    printf("operations %zu\n", kinds[kind].operations);
    return EXIT_SUCCESS;
}
