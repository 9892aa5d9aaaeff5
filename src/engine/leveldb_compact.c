/*
 * The LevelDB engine: compacting what somebody asks for.
 *
 * LevelDB 1.23 crashes when it cannot turn a full memtable into a table while it compacts a
 * range for a caller: the failure wakes the caller, which takes back what the compaction goes on
 * to use. So a compaction begins with an empty memtable, and LevelDB is given no reason to
 * switch to another before it is over: commits are counted against this one, and those that
 * come when it may be full wait, as does whoever mends. A long range is compacted in pieces, so
 * that nobody waits long.
 */
#include "../error.h"
#include "leveldb_engine.h"
#include "leveldb_tables.h"

/* Bytes of tables that begin in one piece. */
enum { PIECE_BYTES = 8 << 20 };

void stem_leveldb_await_compaction(leveldb_engine *engine)
{
    pthread_mutex_lock(&engine->compact_lock);
    engine->memtable_left = SIZE_MAX;
    pthread_mutex_unlock(&engine->compact_lock);
}

/* More than LevelDB takes for a write: to key and value it adds 18 bytes, a node of at most 104,
 * and 8 to align it; and it leaves less than a fourth of each block of memory unused. */
static size_t memtable_bytes(const stem_write *write)
{
    enum { WRITE_OVERHEAD = 140 };
    const size_t bytes =
        write->key.len + (write->is_delete ? 0 : write->value.len) + WRITE_OVERHEAD;

    return bytes + bytes / 2;
}

void stem_leveldb_take_memtable(leveldb_engine *engine, const stem_commit *commit)
{
    size_t *left = &engine->memtable_left;

    if (*left == 0)
        stem_leveldb_await_compaction(engine);
    /* LevelDB looks before each batch alone whether the memtable is full. */
    for (size_t i = 0; i < commit->n_writes && *left != SIZE_MAX; i++) {
        const size_t taken = memtable_bytes(&commit->writes[i]);

        *left = *left > taken ? *left - taken : 0;
    }
}

/* Empties the memtable, and keeps it and `db` in use: compact_lock is held and the gate passed
 * when it has worked. */
static int begin_piece(leveldb_engine *engine, stem_gate_slot **slot)
{
    enum { EMPTY_MEMTABLE = 16 << 10 }; /* what it takes, and more than its last block */

    pthread_mutex_lock(&engine->write_lock);
    stem_leveldb_await_compaction(engine);
    int code = engine->must_repair ? stem_leveldb_repair(engine)
                                   : stem_leveldb_empty_memtable(engine);
    if (code == STEM_OK) {
        pthread_mutex_lock(&engine->compact_lock);
        engine->memtable_left = engine->write_buffer_bytes - EMPTY_MEMTABLE;
        *slot = stem_gate_enter(&engine->gate);
    }
    pthread_mutex_unlock(&engine->write_lock);
    return code;
}

/* An empty end is no bound in the contract; LevelDB wants a NULL there. */
static int compact_piece(leveldb_engine *engine, stem_slice start, stem_slice end)
{
    stem_gate_slot *slot;

    int code = begin_piece(engine, &slot);
    if (code != STEM_OK)
        return code;
    leveldb_compact_range(engine->db, start.data, start.len, end.len ? end.data : NULL,
                          end.len);
    stem_gate_leave(slot);
    pthread_mutex_unlock(&engine->compact_lock);
    return STEM_OK;
}

static bool is_before_end(stem_slice key, const stem_engine_range *range)
{
    return range->end.len == 0 || stem_slice_compare(key, range->end) < 0;
}

/* Whatever the tables' keys are, the pieces lie side by side and make up the range. */
static int compact_pieces(leveldb_engine *engine, const stem_engine_range *range,
                          const leveldb_tables *tables)
{
    stem_slice start = range->start;
    uint64_t bytes = 0;
    int code = STEM_OK;

    for (size_t i = 0; i < tables->n && code == STEM_OK; i++) {
        const leveldb_table *each = &tables->tables[i];

        if (!is_before_end(each->smallest, range))
            break;
        if (bytes >= PIECE_BYTES && stem_slice_compare(each->smallest, start) > 0) {
            code = compact_piece(engine, start, each->smallest);
            start = each->smallest;
            bytes = 0;
        }
        if (stem_slice_compare(each->largest, start) >= 0)
            bytes += each->bytes;
    }
    return code == STEM_OK ? compact_piece(engine, start, range->end) : code;
}

static int list_tables(leveldb_engine *engine, leveldb_tables *tables)
{
    stem_gate_slot *slot;

    int code = stem_leveldb_enter(engine, &slot);
    if (code != STEM_OK)
        return code;
    if (!stem_leveldb_list_tables(engine->db, tables))
        code = stem_fail(STEM_ENOMEM, "no memory to list the tables");
    stem_gate_leave(slot);
    return code;
}

/* What LevelDB could not compact it has not told. */
static int check_compaction(leveldb_engine *engine)
{
    pthread_mutex_lock(&engine->write_lock);
    stem_leveldb_await_compaction(engine);
    int code =
        engine->must_repair ? stem_leveldb_repair(engine) : stem_leveldb_check(engine);
    pthread_mutex_unlock(&engine->write_lock);
    return code;
}

int stem_leveldb_compact(stem_engine *base, const stem_engine_range *range)
{
    leveldb_engine *engine = leveldb_of(base);
    leveldb_tables tables;

    int code = list_tables(engine, &tables);
    if (code != STEM_OK)
        return code;
    code = compact_pieces(engine, range, &tables);
    stem_leveldb_free_tables(&tables);
    return code == STEM_OK ? check_compaction(engine) : code;
}
