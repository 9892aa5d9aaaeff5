/*
 * In place of lmdb_side.c in a build without LMDB.
 */
#include "bench.h"
#include "lmdb_side.h"

bool lmdb_side_is_there(void)
{
    return false;
}

lmdb_side *lmdb_side_open(size_t n, size_t value_len)
{
    (void)n;
    (void)value_len;
    bench_die("this build has no LMDB");
}

void lmdb_side_close(lmdb_side *side)
{
    (void)side;
}

double lmdb_side_run(lmdb_side *side, size_t at_once, size_t seconds)
{
    (void)side;
    (void)at_once;
    (void)seconds;
    return 0;
}
