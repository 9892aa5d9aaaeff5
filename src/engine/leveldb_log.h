/*
 * What a log or a MANIFEST of LevelDB holds, without LevelDB: records in blocks of 32 KiB, each
 * in one or more fragments that begin with a checksum, a length and a type (LevelDB's page on
 * its log format).
 *
 * LevelDB takes a length that leads out of the file for the end of a write that a crash cut
 * short, and drops what follows without an error. Here what follows is looked at.
 */
#ifndef STEM_ENGINE_LEVELDB_LOG_H
#define STEM_ENGINE_LEVELDB_LOG_H

#include "directory.h"

enum stem_log_state {
    STEM_LOG_WHOLE, /* records up to the end */
    STEM_LOG_CUT,   /* the last record lacks its end, and nothing else is wrong */
    STEM_LOG_TORN,  /* behind the last whole record are bytes that are none */
    STEM_LOG_HOLED  /* a whole record follows behind such bytes */
};

/* What the records are. Those of a log begin with a sequence number and a number of entries. */
enum stem_log_kind { STEM_LOG_OF_ENTRIES, STEM_LOG_OF_EDITS };

typedef struct stem_log_look {
    enum stem_log_state state;
    uint64_t whole;  /* bytes up to the end of the last record before any damage */
    uint64_t damage; /* the offset of the first bytes that are no record, or the size */
    uint64_t behind; /* the offset of a whole record behind those; of a holed log */
    /* Of a log's records before the damage: */
    uint64_t entries;                       /* puts and deletes */
    uint64_t first_sequence, next_sequence; /* 0 when there is no record */
} stem_log_look;

/* Reads all of the file. `least_sequence` is what the first record of a log has at least,
 * as far as that is known, or 0. STEM_NOTFOUND when there is no such file. */
int stem_leveldb_look_at_log(const stem_directory *dir, const char *name,
                             enum stem_log_kind kind, uint64_t least_sequence,
                             stem_log_look *look);

/* Takes everything from `size` on off the file. */
int stem_leveldb_cut_log(const stem_directory *dir, const char *name, uint64_t size);

#endif
