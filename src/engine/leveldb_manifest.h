/*
 * Whether LevelDB's MANIFEST is whole, looked at while LevelDB is closed.
 */
#ifndef STEM_ENGINE_LEVELDB_MANIFEST_H
#define STEM_ENGINE_LEVELDB_MANIFEST_H

#include "directory.h"

/* What a MANIFEST says of logs. */
typedef struct stem_manifest_logs {
    uint64_t oldest; /* logs with a lower number hold nothing any more; 0 when unknown */
    uint64_t least_sequence; /* what the first record of the oldest has at least */
    /* The last one when the oldest was named; those that follow are in the logs. */
    uint64_t named_sequence;
} stem_manifest_logs;

/* STEM_ECORRUPT, naming it, for a MANIFEST that is damaged, has lost its end, or the log that
 * it names last. */
int stem_leveldb_check_manifest(const stem_directory *dir, stem_manifest_logs *logs);

/* Cuts off what stands behind the last record before any damage in a MANIFEST after a write to
 * it has failed. Nothing when that is no earlier state all of which is still there: then
 * LevelDB tells. */
int stem_leveldb_cut_manifest(const stem_directory *dir);

#endif
