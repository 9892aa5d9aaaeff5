/*
 * LMDB, read from a second process; see lmdb_side.h. The writer is a child, which has the
 * database open until the reader, this process, closes the pipe to it.
 */
#include "lmdb_side.h"

#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "keeper.h"
#include "load.h"

struct lmdb_side {
    char *dir;
    pid_t writer;
    int to_writer;
    MDB_env *env;
    MDB_dbi dbi;
    size_t n, value_len;
    char copy[LOAD_VALUE_MAX]; /* of the value last read */
};

static void must(int code)
{
    if (code != 0)
        bench_die("LMDB: %s", mdb_strerror(code));
}

static MDB_env *open_env(const char *dir, unsigned flags)
{
    MDB_env *env;

    must(mdb_env_create(&env));
    must(mdb_env_set_mapsize(env, (size_t)1 << 32));
    must(mdb_env_open(env, dir, flags, 0600));
    return env;
}

/* ---- The writer ------------------------------------------------------------------- */

static MDB_env *write_all(const lmdb_side *side)
{
    MDB_env *env = open_env(side->dir, MDB_NOSYNC);
    MDB_txn *txn;
    MDB_dbi dbi;
    load_key text;
    MDB_val key = {LOAD_KEY_LEN, text};
    MDB_val value = {side->value_len, (char *)load_value(side->value_len)};

    must(mdb_txn_begin(env, NULL, 0, &txn));
    must(mdb_dbi_open(txn, NULL, 0, &dbi));
    for (size_t i = 0; i < side->n; i++) {
        load_key_of(i, text);
        must(mdb_put(txn, dbi, &key, &value, 0));
    }
    must(mdb_txn_commit(txn));
    return env;
}

/* Says with a byte that all is written, and waits for the end of the pipe from the
 * reader. */
static _Noreturn void be_writer(const lmdb_side *side, int from_reader, int to_reader)
{
    MDB_env *env = write_all(side);
    char byte = 0;

    if (write(to_reader, &byte, 1) == 1)
        while (read(from_reader, &byte, 1) > 0)
            continue;
    mdb_env_close(env);
    _exit(EXIT_SUCCESS);
}

static void start_writer(lmdb_side *side)
{
    int to_writer[2], to_reader[2];
    char byte;

    if (pipe(to_writer) != 0 || pipe(to_reader) != 0 || (side->writer = fork()) < 0)
        bench_die("no process can be started");
    if (side->writer == 0) {
        close(to_writer[1]);
        close(to_reader[0]);
        be_writer(side, to_writer[0], to_reader[1]);
    }
    close(to_writer[0]);
    close(to_reader[1]);
    side->to_writer = to_writer[1];
    if (read(to_reader[0], &byte, 1) != 1)
        bench_die("the process that writes an LMDB has failed");
    close(to_reader[0]);
}

/* ---- The reader ------------------------------------------------------------------- */

bool lmdb_side_is_there(void)
{
    return true;
}

lmdb_side *lmdb_side_open(size_t n, size_t value_len)
{
    lmdb_side *side = bench_alloc(1, sizeof *side);
    MDB_txn *txn;

    side->dir = bench_directory(keeper_directory());
    side->n = n;
    side->value_len = value_len;
    start_writer(side);
    side->env = open_env(side->dir, MDB_RDONLY);
    must(mdb_txn_begin(side->env, NULL, MDB_RDONLY, &txn));
    must(mdb_dbi_open(txn, NULL, 0, &side->dbi));
    must(mdb_txn_commit(txn)); /* which keeps the handle */
    return side;
}

void lmdb_side_close(lmdb_side *side)
{
    mdb_env_close(side->env);
    close(side->to_writer);
    waitpid(side->writer, NULL, 0);
    bench_remove(side->dir);
    free(side);
}

static void read_some(lmdb_side *side, MDB_txn *txn, size_t at_once, uint64_t *seed)
{
    load_key text;
    MDB_val key = {LOAD_KEY_LEN, text}, value;

    for (size_t i = 0; i < at_once; i++) {
        load_key_of(load_draw(seed, side->n), text);
        must(mdb_get(txn, side->dbi, &key, &value));
        if (value.mv_size != side->value_len)
            bench_die("LMDB gives another value than was put");
        memcpy(side->copy, value.mv_data, value.mv_size);
    }
}

double lmdb_side_run(lmdb_side *side, size_t at_once, size_t seconds)
{
    const uint64_t start = bench_wall(), ns = seconds * UINT64_C(1000000000);
    uint64_t seed = 1, taken;
    size_t n = 0;
    MDB_txn *txn;

    must(mdb_txn_begin(side->env, NULL, MDB_RDONLY, &txn));
    do {
        mdb_txn_reset(txn);
        must(mdb_txn_renew(txn));
        read_some(side, txn, at_once, &seed);
        n += at_once;
        taken = bench_wall() - start;
    } while (taken < ns);
    mdb_txn_abort(txn);
    return (double)n * 1e9 / (double)taken;
}
