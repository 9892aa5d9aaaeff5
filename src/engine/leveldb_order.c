/*
 * Sorting the writes of a commit; see leveldb_order.h. First by eight bytes of each key, those
 * behind what all keys begin with, in passes over one byte of them at a time; then those keys by
 * all their bytes whose eight are equal.
 */
#include "leveldb_order.h"

#include <endian.h>
#include <stdlib.h>

enum { RADIX_BYTES = sizeof(uint64_t), RADIX = 256 };

static size_t shared_bytes(stem_slice a, stem_slice b, size_t most)
{
    const char *x = a.data, *y = b.data;
    size_t n = 0;

    if (most > a.len)
        most = a.len;
    if (most > b.len)
        most = b.len;
    while (n < most && x[n] == y[n])
        n++;
    return n;
}

/* The bytes from there on as a number in whose order they are, zeros where they end. */
static uint64_t number_at(stem_slice key, size_t from)
{
    const size_t left = key.len - from;
    uint64_t bytes = 0;

    memcpy(&bytes, (const char *)key.data + from,
           left < RADIX_BYTES ? left : RADIX_BYTES);
    return be64toh(bytes);
}

static void rank_writes(const stem_commit *commit, ordered_write *order)
{
    const stem_write *writes = commit->writes;
    size_t shared = SIZE_MAX;

    for (size_t i = 0; i < commit->n_writes && shared > 0; i++)
        shared = shared_bytes(writes[0].key, writes[i].key, shared);
    for (size_t i = 0; i < commit->n_writes; i++)
        order[i] = (ordered_write){~number_at(writes[i].key, shared), &writes[i]};
}

/* One pass: by the byte that is so far to the left, into `to`. */
static void distribute(const ordered_write *from, ordered_write *to, size_t n,
                       unsigned shift, const uint32_t counts[RADIX])
{
    size_t next[RADIX], sum = 0;

    for (size_t digit = 0; digit < RADIX; digit++) {
        next[digit] = sum;
        sum += counts[digit];
    }
    for (size_t i = 0; i < n; i++)
        to[next[from[i].rank >> shift & (RADIX - 1)]++] = from[i];
}

/* Sorts by rank, between the two halves of the room; bytes that are equal in all are passed
 * over. */
static ordered_write *sort_by_rank(ordered_write *order, size_t n)
{
    uint32_t counts[RADIX_BYTES][RADIX] = {{0}};
    ordered_write *from = order, *to = order + n;

    for (size_t i = 0; i < n; i++)
        for (unsigned byte = 0; byte < RADIX_BYTES; byte++)
            counts[byte][order[i].rank >> 8 * byte & (RADIX - 1)]++;
    for (unsigned byte = 0; byte < RADIX_BYTES; byte++) {
        if (counts[byte][order->rank >> 8 * byte & (RADIX - 1)] == n)
            continue;
        distribute(from, to, n, 8 * byte, counts[byte]);
        ordered_write *sorted = to;
        to = from;
        from = sorted;
    }
    return from;
}

static int compare_keys(const void *a, const void *b)
{
    const ordered_write *x = a, *y = b;
    const int order = stem_slice_compare(y->write->key, x->write->key);

    return order != 0 ? order : (x->write > y->write) - (x->write < y->write);
}

const ordered_write *stem_leveldb_order(const stem_commit *commit, ordered_write *order)
{
    const size_t n = commit->n_writes;

    if (n == 0)
        return order;
    rank_writes(commit, order);
    ordered_write *sorted = sort_by_rank(order, n);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && sorted[end].rank == sorted[i].rank; end++)
            ;
        if (end - i > 1)
            qsort(sorted + i, end - i, sizeof *sorted, compare_keys);
    }
    return sorted;
}
