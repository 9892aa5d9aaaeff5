/*
 * The LevelDB engine: what its messages mean, and which file is damaged.
 *
 * LevelDB says that a checksum is wrong, and not of what. So when it finds damage the
 * files are looked at again: the tables that may hold the key first, then those before
 * and behind it. A file is named only if its own checksums prove the damage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "leveldb_engine.h"
#include "leveldb_files.h"
#include "leveldb_tables.h"

enum { NAME_ROOM = STEM_MANIFEST_ROOM, MESSAGE_ROOM = 640 };

/* ---- Looking at the files --------------------------------------------------------- */

/* Whether the table is damaged; its name in `name`. */
static bool is_damaged(const leveldb_engine *engine, uint64_t number,
                       char name[NAME_ROOM])
{
    snprintf(name, NAME_ROOM, "%06llu.ldb", (unsigned long long)number);
    if (!stem_leveldb_table_is_whole(engine->dir->fd, name))
        return true;
    snprintf(name, NAME_ROOM, "%06llu.sst", (unsigned long long)number);
    return !stem_leveldb_table_is_whole(engine->dir->fd, name);
}

static bool may_hold(const leveldb_table *candidate, stem_slice key)
{
    return stem_slice_compare(candidate->smallest, key) <= 0 &&
           stem_slice_compare(key, candidate->largest) <= 0;
}

/* Finds a damaged table, looking from the key outwards. */
static bool find_among(const leveldb_engine *engine, const leveldb_tables *tables,
                       stem_slice key, char name[NAME_ROOM])
{
    const leveldb_table *each = tables->tables;
    const size_t n = tables->n;
    size_t before = 0;

    for (size_t i = 0; i < n; i++)
        if (may_hold(&each[i], key) && is_damaged(engine, each[i].number, name))
            return true;
    while (before < n && stem_slice_compare(each[before].smallest, key) <= 0)
        before++;
    for (size_t after = before; before > 0 || after < n;) {
        if (before > 0 && is_damaged(engine, each[--before].number, name))
            return true;
        if (after < n && is_damaged(engine, each[after++].number, name))
            return true;
    }
    return false;
}

static bool find_table(leveldb_engine *engine, stem_slice key, char name[NAME_ROOM])
{
    /* Writes go on failing for a table that a compaction found damaged, whatever the
     * key. */
    uint64_t known = atomic_load(&engine->damaged_table);
    leveldb_tables tables;

    if (!key.data && known != 0 && is_damaged(engine, known, name))
        return true;
    if (!stem_leveldb_list_tables(engine->db, &tables))
        return false;
    bool is_found = find_among(engine, &tables, key, name);
    if (is_found)
        atomic_store(&engine->damaged_table, strtoull(name, NULL, 10));
    stem_leveldb_free_tables(&tables);
    return is_found;
}

/* What keeps a database from being opened, whose logs have been looked at before: CURRENT, or
 * the MANIFEST where LevelDB says no name. */
static bool find_unopened(const leveldb_engine *engine, bool is_unnamed,
                          char name[NAME_ROOM])
{
    if (!stem_leveldb_current_is_whole(engine->dir->fd, name)) {
        snprintf(name, NAME_ROOM, "CURRENT");
        return true;
    }
    return is_unnamed;
}

/* ---- Failing ---------------------------------------------------------------------- */

/* The message, with the directory's path for the link that LevelDB was given. */
static void tell(const leveldb_engine *engine, const char *message,
                 char told[MESSAGE_ROOM])
{
    const char *link = engine->dir->link;
    const char *found = *link ? strstr(message, link) : NULL;

    if (found)
        snprintf(told, MESSAGE_ROOM, "%.*s%s%s", (int)(found - message), message,
                 engine->dir->path, found + strlen(link));
    else
        snprintf(told, MESSAGE_ROOM, "%s", message);
}

int stem_leveldb_fail_near(leveldb_engine *engine, char *message, stem_slice key)
{
    char told[MESSAGE_ROOM], name[NAME_ROOM];
    const bool is_corrupt = strncmp(message, "Corruption", 10) == 0;
    bool is_found = false;

    tell(engine, message, told);
    leveldb_free(message);
    const bool is_unnamed = is_corrupt && !strstr(told, engine->dir->path);
    if (engine->db)
        is_found = is_unnamed && find_table(engine, key, name);
    else if (!engine->is_new)
        is_found = find_unopened(engine, is_unnamed, name);
    if (is_found)
        return stem_fail(STEM_ECORRUPT, "%s/%s is damaged or missing; LevelDB: %s",
                         engine->dir->path, name, told);
    return stem_fail(is_corrupt ? STEM_ECORRUPT : STEM_EIO, "LevelDB, in %s: %s",
                     engine->dir->path, told);
}

int stem_leveldb_fail(leveldb_engine *engine, char *message)
{
    return stem_leveldb_fail_near(engine, message, (stem_slice){NULL, 0});
}
