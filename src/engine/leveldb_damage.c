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
#include "directory_names.h"
#include "leveldb_engine.h"
#include "leveldb_files.h"
#include "leveldb_tables.h"

enum { NAME_ROOM = STEM_MANIFEST_ROOM, MESSAGE_ROOM = 640 };

/* ---- Looking at the files --------------------------------------------------------- */

/* What has become of the table; its name in `name`. */
static enum stem_table_state look_at(const leveldb_engine *engine, uint64_t number,
                                     char name[NAME_ROOM])
{
    char old_name[NAME_ROOM]; /* of LevelDB's first versions */

    snprintf(name, NAME_ROOM, "%06llu.ldb", (unsigned long long)number);
    enum stem_table_state state = stem_leveldb_look_at_table(engine->dir->fd, name);
    if (state != STEM_TABLE_MISSING)
        return state;
    snprintf(old_name, sizeof old_name, "%06llu.sst", (unsigned long long)number);
    state = stem_leveldb_look_at_table(engine->dir->fd, old_name);
    if (state != STEM_TABLE_MISSING)
        snprintf(name, NAME_ROOM, "%s", old_name);
    return state;
}

static bool is_damaged(const leveldb_engine *engine, uint64_t number,
                       char name[NAME_ROOM])
{
    return look_at(engine, number, name) == STEM_TABLE_DAMAGED;
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

/* The number of the table that LevelDB says it could not read or write, or 0. */
static uint64_t named_table(const leveldb_engine *engine, const char *told)
{
    const char *path = strstr(told, engine->dir->path);
    const char *name = path ? path + strlen(engine->dir->path) : NULL;
    const size_t len = name && *name == '/' ? strspn(name + 1, "0123456789.ldbst") : 0;
    char copy[NAME_ROOM];
    uint64_t number;

    if (len == 0 || len >= sizeof copy)
        return 0;
    snprintf(copy, sizeof copy, "%.*s", (int)len, name + 1);
    return stem_file_classify(copy, &number) == TABLE ? number : 0;
}

static bool is_listed(const leveldb_engine *engine, uint64_t number)
{
    leveldb_tables tables;
    bool is_found = false;

    if (!stem_leveldb_list_tables(engine->db, &tables))
        return false;
    for (size_t i = 0; i < tables.n && !is_found; i++)
        is_found = tables.tables[i].number == number;
    stem_leveldb_free_tables(&tables);
    return is_found;
}

/* Whether what LevelDB names is a table of the database, and damaged or missing. It is looked
 * at first: one that is missing because it was of no use any more is not listed after that. */
static bool is_named_damaged(const leveldb_engine *engine, const char *told,
                             char name[NAME_ROOM])
{
    const uint64_t number = named_table(engine, told);
    const enum stem_table_state state =
        number == 0 ? STEM_TABLE_WHOLE : look_at(engine, number, name);

    return (state == STEM_TABLE_DAMAGED || state == STEM_TABLE_MISSING) &&
           is_listed(engine, number);
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
        is_found = is_unnamed ? find_table(engine, key, name)
                              : is_named_damaged(engine, told, name);
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
