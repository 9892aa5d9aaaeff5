/*
 * The sides of a comparison: Stem, the raw C API of LevelDB, and what a careful user would
 * glue together from that and msgpack-c. Each does the same work in its own words, and ends
 * the program when it finds anything but what was written.
 */
#ifndef STEM_BENCH_SIDE_H
#define STEM_BENCH_SIDE_H

#include <leveldb/c.h>

#include "stem.h"
#include "workload.h"

/* One side's open database. */
typedef struct side_db side_db;

typedef struct side {
    const char *name;

    /* Makes a database in the directory, for the workload's place, with all of the whole
     * database's options given, so that every side has the same. */
    side_db *(*open)(const char *path, const stem_options *options, const workload *load);
    void (*close)(side_db *db);

    /* Entries `first` up to `end`, in order. */
    void (*put)(side_db *db, size_t first, size_t end);
    void (*get)(side_db *db, size_t first, size_t end);
    /* All of the entries, in the order of their keys. */
    void (*walk)(side_db *db);

    /* `n` arrays, under the names of the first `n` entries. */
    void (*put_arrays)(side_db *db, size_t n);
    void (*get_arrays)(side_db *db, size_t n);
} side;

extern const side side_stem, side_raw, side_glued;

/* Stem's defaults, spelled out. */
extern const stem_options side_options;

/* What the raw and the glued side have in common: LevelDB, opened by hand. */
typedef struct plain_leveldb {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_readoptions_t *read_options;
    leveldb_writeoptions_t *write_options;
} plain_leveldb;

void plain_open(plain_leveldb *plain, const char *path, const stem_options *options);
void plain_close(plain_leveldb *plain);
/* Ends the program if LevelDB left a message. */
void plain_check(const char *operation, const char *message);

#endif
