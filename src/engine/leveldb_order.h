/*
 * The order in which the writes of a commit are handed to LevelDB: from the last key to the
 * first. LevelDB enters them into a skip list one by one. Neighbours meet what is in the
 * processor's cache already, and a key that is less than all others before it takes one
 * comparison on each level of the list, where one that is greater takes several.
 */
#ifndef STEM_ENGINE_LEVELDB_ORDER_H
#define STEM_ENGINE_LEVELDB_ORDER_H

#include "../engine.h"

/* A write, and eight bytes of its key as a number, complemented: the last key has the
 * smallest. */
typedef struct ordered_write {
    uint64_t rank;
    const stem_write *write;
} ordered_write;

/* Sorts the writes into `order`, which has room for twice as many; writes of one key stay in
 * their order. Returns where the sorted ones begin. */
const ordered_write *stem_leveldb_order(const stem_commit *commit, ordered_write *order);

#endif
