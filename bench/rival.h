/*
 * The two sides of the benchmark of write-back: Stem with write-back, through its public API,
 * and LevelDB's C API with LevelDB's own defaults, one of which is that checksums are not
 * verified: where it is not said otherwise Stem leaves that out, too, and has its own defaults
 * for the rest. Keys have 16 bytes and values are strings of 16 bytes; both sides store the
 * same bytes.
 */
#ifndef STEM_BENCH_RIVAL_H
#define STEM_BENCH_RIVAL_H

#include "bench.h"
#include "side.h"

enum { RIVAL_STEM, RIVAL_RAW, RIVALS, RIVAL_LEN = 16 };

typedef char rival_text[RIVAL_LEN + 1];

/* One open database, of one of the sides. */
typedef struct rival {
    int which;
    enum rival_settings { RIVAL_UNVERIFIED, RIVAL_OWN_DEFAULTS, RIVAL_AS_RAW } settings;
    char *path;
    stem_db *stem;
    plain_leveldb raw;
} rival;

extern const char *const rival_names[RIVALS];

/* A fresh database, with so much memory for write-back; the other side takes no notice. */
void rival_open(rival *opened, int which, const char *dir, size_t writeback_bytes);
/* The same files once more. LevelDB takes no notice of the settings. */
void rival_reopen(rival *opened, size_t writeback_bytes, enum rival_settings settings);
/* Closes it and removes the files. */
void rival_close(rival *opened);

void rival_put(rival *to, const rival_text key, const rival_text value);
/* Reads the value, which must be there. */
void rival_get(rival *from, const rival_text key);
/* What was put survives the process afterwards; with LevelDB it always does. */
void rival_flush(rival *flushed);
void rival_compact(rival *compacted);

/* The text of a number, the same for the same, and in no order. */
void rival_text_of(uint64_t number, rival_text text);

#endif
