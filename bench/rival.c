/*
 * Stem with write-back, and LevelDB as it comes; see rival.h.
 */
#include "rival.h"

#include <string.h>

const char *const rival_names[RIVALS] = {"stem", "raw"};

/* LevelDB's own: what leveldb_options_create makes. */
static const stem_options raw_defaults = {
    .no_bloom = true,
    .no_verify = true,
    .max_open_files = 1000,
    .cache_bytes = 8 << 20,
    .write_buffer_bytes = 4 << 20,
    .block_bytes = 4 << 10,
};

/* A string of 16 bytes in MessagePack: the head, and the bytes. */
enum { STORED_HEAD = 0xA0 | RIVAL_LEN, STORED_LEN = 1 + RIVAL_LEN };

static void check(int code, const char *operation)
{
    if (code != STEM_OK)
        bench_die("%s answered %s: %s", operation, stem_strerror(code), stem_errmsg());
}

static void open_files(rival *opened, size_t writeback_bytes)
{
    stem_options options = {0};

    if (opened->settings == RIVAL_AS_RAW)
        options = raw_defaults;
    options.no_verify = opened->settings != RIVAL_OWN_DEFAULTS;
    options.writeback_bytes = writeback_bytes;
    if (opened->which == RIVAL_STEM)
        check(stem_open(&opened->stem, opened->path, &options), "open");
    else
        plain_open(&opened->raw, opened->path, &raw_defaults);
}

static void close_files(rival *opened)
{
    if (opened->which == RIVAL_STEM)
        check(stem_close(opened->stem), "close");
    else
        plain_close(&opened->raw);
}

void rival_open(rival *opened, int which, const char *dir, size_t writeback_bytes)
{
    *opened = (rival){.which = which, .path = bench_directory(dir)};
    open_files(opened, writeback_bytes);
}

void rival_reopen(rival *opened, size_t writeback_bytes, enum rival_settings settings)
{
    close_files(opened);
    opened->settings = settings;
    open_files(opened, writeback_bytes);
}

void rival_close(rival *opened)
{
    close_files(opened);
    bench_remove(opened->path);
}

void rival_put(rival *to, const rival_text key, const rival_text value)
{
    char stored[STORED_LEN], *message = NULL;

    if (to->which == RIVAL_STEM) {
        check(stem_put(to->stem, key, value), "put");
        return;
    }
    stored[0] = (char)STORED_HEAD;
    memcpy(stored + 1, value, RIVAL_LEN);
    leveldb_put(to->raw.db, to->raw.write_options, key, RIVAL_LEN, stored, sizeof stored,
                &message);
    plain_check("put", message);
}

void rival_get(rival *from, const rival_text key)
{
    char *message = NULL;
    size_t len;

    if (from->which == RIVAL_STEM) {
        stem_value value;

        check(stem_get(from->stem, key, &value), "get");
        if (value.as.str.len != RIVAL_LEN)
            bench_die("get found something else");
        stem_value_free(&value);
        return;
    }
    char *stored =
        leveldb_get(from->raw.db, from->raw.read_options, key, RIVAL_LEN, &len, &message);
    plain_check("get", message);
    if (!stored || len != STORED_LEN)
        bench_die("get found something else");
    leveldb_free(stored);
}

void rival_flush(rival *flushed)
{
    if (flushed->which == RIVAL_STEM)
        check(stem_flush(flushed->stem), "flush");
}

void rival_compact(rival *compacted)
{
    if (compacted->which == RIVAL_STEM)
        check(stem_compact(compacted->stem), "compact");
    else
        leveldb_compact_range(compacted->raw.db, NULL, 0, NULL, 0);
}

/* A permutation of 64 bits (splitmix64, by S. Vigna), in hexadecimal. */
void rival_text_of(uint64_t number, rival_text text)
{
    static const char digits[] = "0123456789abcdef";

    number += UINT64_C(0x9E3779B97F4A7C15);
    number = (number ^ number >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    number = (number ^ number >> 27) * UINT64_C(0x94D049BB133111EB);
    number ^= number >> 31;
    for (size_t i = 0; i < RIVAL_LEN; i++, number >>= 4)
        text[i] = digits[number & 15];
    text[RIVAL_LEN] = '\0';
}
