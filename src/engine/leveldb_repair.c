/*
 * The LevelDB engine: durability, and writing again after a failed write.
 *
 * After a write to its log fails, LevelDB goes on behind the torn record, and everything
 * written there is lost at the next recovery. After a table cannot be written it refuses all
 * writes until it is reopened. So a failed write is followed by a new log before anything else
 * is written, and where that does not help, by closing and opening LevelDB again.
 */
#include <errno.h>
#include <string.h>

#include "../error.h"
#include "leveldb_engine.h"

/* What LevelDB writes besides the table when it turns a log into one: a new log, a MANIFEST. */
enum { ROOM_TO_SPARE = 256 << 10 };

void stem_leveldb_renew_log(leveldb_engine *engine)
{
    static const char nobodys_key[1] = {0};

    leveldb_compact_range(engine->db, nobodys_key, sizeof nobodys_key, nobodys_key,
                          sizeof nobodys_key);
}

/* Whether LevelDB took a new log and accepts writes: compacting reports neither. */
static bool has_renewed(leveldb_engine *engine, uint64_t old_log)
{
    stem_directory_usage usage;
    char *message = NULL;

    if (stem_directory_measure(engine->dir, &usage) != STEM_OK ||
        usage.newest_log <= old_log)
        return false;
    leveldb_writebatch_t *nothing = leveldb_writebatch_create();
    leveldb_write(engine->db, engine->write_options, nothing, &message);
    leveldb_writebatch_destroy(nothing);
    bool is_accepted = message == NULL;
    leveldb_free(message);
    return is_accepted;
}

static int reopen(leveldb_engine *engine)
{
    int code = STEM_OK;

    pthread_rwlock_wrlock(&engine->gate);
    size_t readers = atomic_load(&engine->open_readers);
    if (engine->db && readers > 0) {
        code = stem_fail(STEM_EIO,
                         "LevelDB refuses writes after a failed one; it is reopened once "
                         "the %zu iterators and snapshots open on it are closed",
                         readers);
    } else {
        if (engine->db)
            leveldb_close(engine->db);
        engine->db = NULL;
        code = stem_leveldb_start(engine);
    }
    pthread_rwlock_unlock(&engine->gate);
    return code;
}

int stem_leveldb_repair(leveldb_engine *engine)
{
    stem_directory_usage usage;

    int code = stem_directory_measure(engine->dir, &usage);
    if (code != STEM_OK)
        return code;
    /* Without room for the table that the log becomes, trying would turn a log that cannot
     * be written into a database that cannot be. */
    uint64_t needed = usage.log_bytes + ROOM_TO_SPARE;
    uint64_t room = stem_directory_room(engine->dir);
    if (room < needed)
        return stem_fail(
            STEM_EIO,
            "no room to write after a failed write: %s has %llu bytes free and "
            "needs %llu",
            engine->dir->path, (unsigned long long)room, (unsigned long long)needed);

    bool is_whole = false;
    if (engine->db) {
        stem_leveldb_renew_log(engine);
        is_whole = has_renewed(engine, usage.newest_log);
    }
    if (!is_whole)
        code = reopen(engine);
    if (code == STEM_OK) {
        engine->must_repair = false;
        atomic_fetch_add(&engine->repairs, 1);
    }
    return code;
}

/* Logs and names; sync_lock is held. */
static int sync_files(leveldb_engine *engine)
{
    int code = stem_directory_sync_logs(engine->dir);

    return code == STEM_OK ? stem_directory_sync_names(engine->dir) : code;
}

/* After a failed sync the kernel has dropped what it could not write and reports no error the
 * next time; only the memtable still has it, and turning that into a table saves it. */
static int save_memtable(leveldb_engine *engine)
{
    pthread_mutex_lock(&engine->write_lock);
    engine->must_repair = true;
    int code = stem_leveldb_repair(engine);
    pthread_mutex_unlock(&engine->write_lock);
    return code;
}

/* One sync serves everybody whose commit was written before it began. LevelDB's own synced
 * write would not do: it leaves out older logs, and the names of new ones. */
int stem_leveldb_sync(stem_engine *base)
{
    leveldb_engine *engine = leveldb_of(base);
    const uint64_t mine = atomic_load(&engine->commits);
    int code = STEM_OK;

    pthread_mutex_lock(&engine->sync_lock);
    if (engine->synced < mine) {
        const uint64_t written = atomic_load(&engine->commits);

        code = sync_files(engine);
        if (code != STEM_OK && save_memtable(engine) == STEM_OK)
            code = sync_files(engine);
        if (code == STEM_OK)
            engine->synced = written;
    }
    pthread_mutex_unlock(&engine->sync_lock);
    return code;
}
