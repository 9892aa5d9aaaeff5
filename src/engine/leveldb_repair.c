/*
 * The LevelDB engine: durability, and writing again after a failed write.
 *
 * After a write to its log fails, LevelDB goes on behind the torn record, and everything
 * written there is lost at the next recovery. After a table cannot be written it refuses
 * all writes until it is reopened. So a failed write is followed by a new log before
 * anything else is written, and where that does not help, by closing and opening LevelDB
 * again.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "../clock.h"
#include "../error.h"
#include "directory_trial.h"
#include "leveldb_engine.h"
#include "leveldb_log.h"
#include "leveldb_manifest.h"

/* What LevelDB writes besides the table when it turns a log into one: a new log, a
 * MANIFEST. */
enum { ROOM_TO_SPARE = 256 << 10 };

void stem_leveldb_renew_log(leveldb_engine *engine)
{
    static const char nobodys_key[1] = {0};

    leveldb_compact_range(engine->db, nobodys_key, sizeof nobodys_key, nobodys_key,
                          sizeof nobodys_key);
}

/* What LevelDB says to a write of nothing: NULL when it is accepted. */
static char *write_nothing(leveldb_engine *engine)
{
    char *message = NULL;
    leveldb_writebatch_t *nothing = leveldb_writebatch_create();

    leveldb_write(engine->db, engine->write_options, nothing, &message);
    leveldb_writebatch_destroy(nothing);
    return message;
}

/* Whether there is a newer log. A listing may miss one that is made while another goes,
 * so no is only believed after several. */
static bool has_newer_log(const leveldb_engine *engine, uint64_t old_log)
{
    enum { LISTINGS = 20 };
    stem_directory_usage usage;

    for (int i = 0; i < LISTINGS; i++)
        if (stem_directory_measure(engine->dir, &usage) == STEM_OK &&
            usage.newest_log > old_log)
            return true;
    return false;
}

/* Whether LevelDB has taken a new log and accepts writes: compacting reports neither. The
 * message of a refusal in `*message`, NULL when it has only stayed with the old log. */
static bool has_renewed(leveldb_engine *engine, uint64_t old_log, char **message)
{
    *message = NULL;
    if (!has_newer_log(engine, old_log))
        return false;
    *message = write_nothing(engine);
    return *message == NULL;
}

/* Closes the gate, and says how many iterators and snapshots are open. Those of a moment, as of
 * commits that judge, are let finish: there are no more of these once who commits waits for
 * write_lock. */
static size_t close_gate(leveldb_engine *engine)
{
    enum { LOOKS = 50 };
    const struct timespec moment = {.tv_nsec = 1000000};

    for (int i = 1;; i++) {
        stem_gate_close(&engine->gate);
        const size_t readers = atomic_load(&engine->open_readers);
        if (readers == 0 || i == LOOKS)
            return readers;
        stem_gate_open(&engine->gate);
        nanosleep(&moment, NULL);
    }
}

static int reopen(leveldb_engine *engine)
{
    int code = STEM_OK;

    const size_t readers = close_gate(engine);
    if (readers > 0) {
        code = stem_fail(STEM_EIO,
                         "LevelDB refuses writes after a failed one; it is reopened once "
                         "the %zu iterators and snapshots open on it are closed",
                         readers);
    } else {
        if (engine->db)
            leveldb_close(engine->db);
        engine->db = NULL;
        code = stem_leveldb_cut_manifest(engine->dir);
        if (code == STEM_OK)
            code = stem_leveldb_start(engine);
    }
    stem_gate_open(&engine->gate);
    return code;
}

/* What the logs hold, for the sum of their entries. */
typedef struct log_sum {
    const stem_directory *dir;
    uint64_t entries;
} log_sum;

static bool add_entries(void *context, int directory, const char *log)
{
    log_sum *sum = context;
    stem_log_look look;

    (void)directory;
    if (stem_leveldb_look_at_log(sum->dir, log, STEM_LOG_OF_ENTRIES, 0, &look) == STEM_OK)
        sum->entries += look.entries;
    return false;
}

/* At least what the logs need as tables. An entry has there, beside what it has in a log, 11
 * bytes at most and its bits in the bloom filter. A block has 62 for itself and for its offset
 * in the filter; and the index has, for each, a key that is no longer than one in it. */
static uint64_t table_bytes(leveldb_engine *engine, uint64_t log_bytes)
{
    enum { LEAST_BLOCK = 1 << 10, BLOCK_OVERHEAD = 64, ENTRY_OVERHEAD = 11 };
    const uint64_t bits = (uint64_t)engine->bloom_bits;
    log_sum sum = {.dir = engine->dir};

    stem_directory_visit_logs(engine->dir, add_entries, &sum);
    const uint64_t data = log_bytes + sum.entries * ENTRY_OVERHEAD;
    return data + data / LEAST_BLOCK * BLOCK_OVERHEAD + sum.entries * bits / 8 +
           log_bytes;
}

/* Whether LevelDB could be opened, tried on links to its files. */
static bool can_open(leveldb_engine *engine)
{
    stem_directory trial;
    char *message = NULL;

    if (stem_directory_open_trial(engine->dir, &trial) != STEM_OK)
        return false;
    leveldb_t *db = leveldb_open(engine->options, stem_directory_name(&trial), &message);
    const bool is_open = message == NULL;
    if (is_open)
        leveldb_close(db);
    leveldb_free(message);
    stem_directory_close_trial(engine->dir, &trial);
    return is_open;
}

/* Whether a trial may come out otherwise than the last one, which has failed. */
static bool is_worth_trying(const leveldb_engine *engine, uint64_t room)
{
    enum { MORE_ROOM = 64 << 10 };

    return engine->failed_trial_ns == 0 ||
           room >= engine->failed_trial_room + MORE_ROOM ||
           stem_clock() >= engine->failed_trial_ns + STEM_SECOND;
}

/* STEM_OK when LevelDB can be written to again, or closed and opened. Where there is not the
 * room that it needs at most it may need less, as what compresses well does: that is tried. A
 * database that is closed has nothing to lose by trying in earnest. */
static int find_room(leveldb_engine *engine, uint64_t most)
{
    enum { LEAST = 16 << 10 };
    stem_failure cause;

    int code = stem_directory_probe(engine->dir, most);
    if (code == STEM_OK)
        return STEM_OK;
    stem_failure_save(&cause);
    code = stem_directory_probe(engine->dir, LEAST);
    if (code != STEM_OK)
        return code;
    const uint64_t room = stem_directory_room(engine->dir);
    bool is_found = false;
    if (is_worth_trying(engine, room)) {
        engine->failed_trial_room = room;
        engine->failed_trial_ns = stem_clock();
        is_found = !engine->db || can_open(engine);
    }
    stem_failure_restore(&cause);
    return is_found ? STEM_OK : cause.code;
}

static int repair(leveldb_engine *engine)
{
    stem_directory_usage usage;
    char *message;

    int code = stem_directory_measure(engine->dir, &usage);
    if (code != STEM_OK)
        return code;
    /* Without room for the table that the log becomes, trying would turn a log that
     * cannot be written into a database that cannot be; and without what opening needs,
     * closing would end reading too. */
    code = find_room(engine, table_bytes(engine, usage.log_bytes) + ROOM_TO_SPARE);
    if (code != STEM_OK)
        return code;

    bool is_whole = false;
    if (engine->db) {
        stem_leveldb_renew_log(engine);
        is_whole = has_renewed(engine, usage.newest_log, &message);
        leveldb_free(message);
    }
    if (!is_whole)
        code = reopen(engine);
    if (code == STEM_OK) {
        engine->must_repair = false;
        engine->failed_trial_ns = 0;
        atomic_fetch_add(&engine->repairs, 1);
    }
    return code;
}

int stem_leveldb_repair(leveldb_engine *engine)
{
    stem_failure last;

    stem_leveldb_await_compaction(engine);
    stem_failure_save(&last);
    int code = repair(engine);
    if (code == STEM_OK)
        stem_failure_restore(&last);
    return code;
}

static int refuse_writes(leveldb_engine *engine, char *message)
{
    engine->must_repair = true;
    return stem_leveldb_fail(engine, message);
}

int stem_leveldb_check(leveldb_engine *engine)
{
    char *message = write_nothing(engine);

    return message ? refuse_writes(engine, message) : STEM_OK;
}

int stem_leveldb_empty_memtable(leveldb_engine *engine)
{
    stem_directory_usage before;
    char *message;

    int code = stem_directory_measure(engine->dir, &before);
    if (code != STEM_OK)
        return code;
    stem_leveldb_renew_log(engine);
    if (has_renewed(engine, before.newest_log, &message))
        return STEM_OK;
    if (message)
        return refuse_writes(engine, message);
    engine->must_repair = true;
    code = stem_directory_probe(engine->dir, ROOM_TO_SPARE);
    return code == STEM_OK ? stem_fail(STEM_EIO, "LevelDB began no new log") : code;
}

int stem_leveldb_enter_closed(leveldb_engine *engine, stem_gate_slot **slot)
{
    stem_gate_leave(*slot);

    /* Who holds it is mending already, or is this thread, judging an expectation. */
    if (pthread_mutex_trylock(&engine->write_lock) == 0) {
        if (!engine->db)
            stem_leveldb_repair(engine);
        pthread_mutex_unlock(&engine->write_lock);
    }
    *slot = stem_gate_enter(&engine->gate);
    if (engine->db)
        return STEM_OK;
    stem_gate_leave(*slot);
    return stem_fail(STEM_EIO,
                     "%s could not be opened again after a failed write; every use of "
                     "it tries to",
                     engine->dir->path);
}

/* Logs and names; `is_syncing` is this thread's. */
static int sync_files(leveldb_engine *engine)
{
    int code = stem_directory_sync_logs(engine->dir);

    return code == STEM_OK ? stem_directory_sync_names(engine->dir) : code;
}

/* After a failed sync the kernel has dropped what it could not write and reports no
 * error the next time; only the memtable still has it, and turning that into a table
 * saves it. */
static int save_memtable(leveldb_engine *engine)
{
    pthread_mutex_lock(&engine->write_lock);
    engine->must_repair = true;
    int code = stem_leveldb_repair(engine);
    pthread_mutex_unlock(&engine->write_lock);
    return code;
}

/* Logs and names, once more if that fails and the memtable can be saved; `is_syncing` is this
 * thread's. */
static int sync_saving(leveldb_engine *engine)
{
    for (int attempt = 0;; attempt++) {
        if (engine->must_save) {
            int code = save_memtable(engine);
            if (code != STEM_OK)
                return code;
            engine->must_save = false;
        }
        int code = sync_files(engine);
        if (code == STEM_OK)
            return STEM_OK;
        engine->must_save = true;
        if (attempt > 0)
            return code;
    }
}

/* Makes durable what is written by now, with sync_lock released meanwhile. */
static int sync_as_leader(leveldb_engine *engine)
{
    const uint64_t written = atomic_load(&engine->commits);
    stem_failure last;

    engine->is_syncing = true;
    pthread_mutex_unlock(&engine->sync_lock);
    stem_failure_save(&last);
    const int code = sync_saving(engine);
    if (code == STEM_OK)
        stem_failure_restore(&last);
    pthread_mutex_lock(&engine->sync_lock);
    engine->is_syncing = false;
    if (code == STEM_OK)
        engine->synced = written;
    pthread_cond_broadcast(&engine->sync_ended);
    return code;
}

/* One sync serves everybody whose commit was written before it began; they all go on when it
 * ends, and do not wait for the next. LevelDB's own synced write would not do: it leaves out older
 * logs, and the names of new ones. */
int stem_leveldb_sync(stem_engine *base)
{
    leveldb_engine *engine = leveldb_of(base);
    const uint64_t mine = atomic_load(&engine->commits);

    int code = stem_directory_check(engine->dir, &engine->newest_log);
    if (code != STEM_OK)
        return code;
    pthread_mutex_lock(&engine->sync_lock);
    while (engine->synced < mine && code == STEM_OK)
        if (engine->is_syncing)
            pthread_cond_wait(&engine->sync_ended, &engine->sync_lock);
        else
            code = sync_as_leader(engine);
    pthread_mutex_unlock(&engine->sync_lock);
    return code;
}
