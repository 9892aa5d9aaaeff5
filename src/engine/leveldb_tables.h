/*
 * The tables that a LevelDB has, as it tells them to people.
 */
#ifndef STEM_ENGINE_LEVELDB_TABLES_H
#define STEM_ENGINE_LEVELDB_TABLES_H

#include <leveldb/c.h>

#include "../engine.h"

typedef struct leveldb_table {
    uint64_t number, bytes;
    /* LevelDB does not escape the backslash of its own escapes, so a key that has one may be
     * wrong here. */
    stem_slice smallest, largest;
} leveldb_table;

typedef struct leveldb_tables {
    leveldb_table *tables; /* in order of their smallest keys */
    size_t n;
    char *text; /* where the keys lie */
} leveldb_tables;

/* Lists the tables of the newest version, to be freed; false without memory, and then without
 * anything to free. */
bool stem_leveldb_list_tables(leveldb_t *db, leveldb_tables *tables);
void stem_leveldb_free_tables(leveldb_tables *tables);

#endif
