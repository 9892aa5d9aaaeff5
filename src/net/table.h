/*
 * uthash as the tables of the server use it: an entry that there is no memory for is not
 * added, and `hh.tbl` stays NULL.
 */
#ifndef STEM_NET_TABLE_H
#define STEM_NET_TABLE_H

#include <string.h>

#define HASH_NONFATAL_OOM 1
/* Keys may be empty, and their bytes then nowhere. */
#define HASH_KEYCMP(a, b, n) ((n) > 0 ? memcmp((a), (b), (n)) : 0)
#include <uthash.h>
#include <utlist.h>

#endif
