/*
 * Whether LevelDB's files are whole: see leveldb_files.h, and LevelDB's own pages on its
 * table and log formats.
 *
 * A table's blocks say their lengths in its index alone, which may be damaged or
 * compressed. But they lie one behind the other, each with a type and a checksum behind
 * it, so the end of one is where the checksum of all since its start agrees; by chance it
 * does so once in 2^32 bytes.
 */
#include "leveldb_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptor.h"

enum {
    BLOCK_TRAILER = 5, /* the type, four bytes of checksum */
    MAX_BLOCK_TYPE = 2,
    FOOTER = 48,
    LOG_BLOCK = 32768,
    LOG_HEADER = 7, /* four bytes of checksum, two of length, the type */
    MAX_RECORD_TYPE = 4
};

static const unsigned char table_magic[8] = {0x57, 0xfb, 0x80, 0x8b,
                                             0x24, 0x75, 0x47, 0xdb};

/* ---- CRC-32C ---------------------------------------------------------------------- */

typedef struct crc_table {
    uint32_t of[256];
} crc_table;

static crc_table make_crc_table(void)
{
    crc_table table;

    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;

        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82F63B78) : 0);
        table.of[byte] = crc;
    }
    return table;
}

static uint32_t add_byte(const crc_table *table, uint32_t crc, unsigned char byte)
{
    return crc >> 8 ^ table->of[(crc ^ byte) & 0xFF];
}

static uint32_t read_u32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

/* Whether the stored four bytes, which LevelDB masks, are this running checksum's. */
static bool is_checksum(const unsigned char *stored, uint32_t crc)
{
    crc = ~crc;
    return read_u32(stored) == (crc >> 15 | crc << 17) + UINT32_C(0xA282EAD8);
}

/* ---- Files ------------------------------------------------------------------------ */

/* Maps the whole file; false when it cannot be read. An empty one is NULL. */
static bool map_file(int directory, const char *name, const unsigned char **bytes,
                     size_t *size)
{
    struct stat status;
    int fd = stem_descriptor_open(directory, name, O_RDONLY, 0);
    void *mapped = NULL;

    if (fd < 0)
        return false;
    bool is_read = fstat(fd, &status) == 0 && status.st_size >= 0;
    if (is_read && status.st_size > 0) {
        mapped = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        is_read = mapped != MAP_FAILED;
    }
    stem_descriptor_close(fd);
    if (is_read) {
        *bytes = mapped;
        *size = (size_t)status.st_size;
    }
    return is_read;
}

static void unmap_file(const unsigned char *bytes, size_t size)
{
    if (bytes)
        munmap((void *)bytes, size);
}

/* The bytes of the block at the start, with its trailer, or 0 when no checksum agrees. */
static size_t block_size(const crc_table *table, const unsigned char *bytes, size_t left)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i + BLOCK_TRAILER <= left; i++) {
        crc = add_byte(table, crc, bytes[i]);
        if (bytes[i] <= MAX_BLOCK_TYPE && is_checksum(bytes + i + 1, crc))
            return i + BLOCK_TRAILER;
    }
    return 0;
}

/* Reads a number of LevelDB's variable length and steps over it. */
static uint64_t read_varint(const unsigned char **at, const unsigned char *end)
{
    uint64_t number = 0;

    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        unsigned char byte = *(*at)++;

        number |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            break;
    }
    return number;
}

typedef struct block {
    size_t start, size; /* without its trailer */
} block;

/* Whether the footer tells the last two blocks, of metadata and the index. */
static bool is_footer_whole(const unsigned char *footer, const block *meta,
                            const block *index)
{
    const unsigned char *at = footer, *end = footer + FOOTER - sizeof table_magic;

    return memcmp(end, table_magic, sizeof table_magic) == 0 &&
           read_varint(&at, end) == meta->start && read_varint(&at, end) == meta->size &&
           read_varint(&at, end) == index->start && read_varint(&at, end) == index->size;
}

static bool are_blocks_whole(const unsigned char *bytes, size_t size)
{
    const crc_table table = make_crc_table();
    block meta = {0}, index = {0};

    if (size < FOOTER)
        return false;
    for (size_t at = 0, end = size - FOOTER; at < end;) {
        size_t step = block_size(&table, bytes + at, end - at);

        if (step == 0)
            return false;
        meta = index;
        index = (block){at, step - BLOCK_TRAILER};
        at += step;
    }
    return is_footer_whole(bytes + size - FOOTER, &meta, &index);
}

bool stem_leveldb_table_is_whole(int directory, const char *name)
{
    const unsigned char *bytes;
    size_t size;

    if (!map_file(directory, name, &bytes, &size))
        return true;
    bool is_whole = are_blocks_whole(bytes, size);
    unmap_file(bytes, size);
    return is_whole;
}

/* Whether a record, or a fragment of one, of `len` bytes behind its header is of a type that there
 * is, and its checksum agrees. */
static bool is_record_whole(const crc_table *table, const unsigned char *record,
                            size_t len)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = LOG_HEADER - 1; i < LOG_HEADER + len; i++)
        crc = add_byte(table, crc, record[i]);
    return record[6] <= MAX_RECORD_TYPE && is_checksum(record, crc);
}

/* The records of one block of `len` bytes, which is the last when it is shorter than
 * others. From `zeros` on there is nothing else in the file. */
static bool is_log_block_whole(const crc_table *table, const unsigned char *bytes,
                               size_t len, const unsigned char *zeros)
{
    for (size_t at = 0; len - at >= LOG_HEADER;) {
        const unsigned char *record = bytes + at;
        size_t size = LOG_HEADER + ((size_t)record[4] | (size_t)record[5] << 8);

        if (size == LOG_HEADER && record[6] == 0)
            return record >= zeros; /* room made in advance, and no hole */
        if (size > len - at)
            return len < LOG_BLOCK; /* cut short */
        if (!is_record_whole(table, record, size - LOG_HEADER))
            return false;
        at += size;
    }
    return true;
}

static bool are_records_whole(const unsigned char *bytes, size_t size)
{
    const crc_table table = make_crc_table();
    size_t filled = size;

    while (filled > 0 && bytes[filled - 1] == 0)
        filled--;
    for (size_t at = 0; at < size; at += LOG_BLOCK)
        if (!is_log_block_whole(&table, bytes + at,
                                size - at < LOG_BLOCK ? size - at : LOG_BLOCK,
                                bytes + filled))
            return false;
    return true;
}

bool stem_leveldb_log_is_whole(int directory, const char *name)
{
    const unsigned char *bytes;
    size_t size;

    if (!map_file(directory, name, &bytes, &size))
        return true;
    bool is_whole = are_records_whole(bytes, size);
    unmap_file(bytes, size);
    return is_whole;
}

/* A fragment of a record in a log, and where the next begins. */
typedef struct fragment {
    const unsigned char *bytes; /* with the header */
    size_t len;                 /* without it */
    int type;
    size_t end;
} fragment;

enum { FULL = 1, FIRST = 2, LAST = 4 };

/* The fragment at `at`, or behind what fills the block up there; false when there is none that
 * is whole in length. */
static bool next_fragment(const unsigned char *bytes, size_t size, size_t at,
                          fragment *found)
{
    size_t left = LOG_BLOCK - at % LOG_BLOCK;

    if (left < LOG_HEADER) {
        at += left;
        left = LOG_BLOCK;
    }
    if (at + LOG_HEADER > size)
        return false;
    const unsigned char *header = bytes + at;
    const size_t len = (size_t)header[4] | (size_t)header[5] << 8;
    if (header[6] == 0 || LOG_HEADER + len > left || LOG_HEADER + len > size - at)
        return false;
    *found = (fragment){header, len, header[6], at + LOG_HEADER + len};
    return true;
}

/* Adds up what the batches of a log say at their starts, behind the number of the first entry: a
 * start may lie in two fragments of its record. */
static uint64_t sum_of_counts(const unsigned char *bytes, size_t size)
{
    enum { COUNT_AT = 8, BATCH_HEADER = 12 };
    unsigned char start[BATCH_HEADER];
    size_t known = BATCH_HEADER;
    uint64_t sum = 0;
    fragment each = {0};

    while (next_fragment(bytes, size, each.end, &each)) {
        if (each.type == FULL || each.type == FIRST)
            known = 0;
        const size_t taken =
            each.len < BATCH_HEADER - known ? each.len : BATCH_HEADER - known;
        memcpy(start + known, each.bytes + LOG_HEADER, taken);
        known += taken;
        if (taken > 0 && known == BATCH_HEADER)
            sum += read_u32(start + COUNT_AT);
    }
    return sum;
}

size_t stem_leveldb_whole_records(const unsigned char *bytes, size_t size)
{
    const crc_table table = make_crc_table();
    fragment each = {0};
    size_t whole = 0;

    while (next_fragment(bytes, size, each.end, &each) &&
           is_record_whole(&table, each.bytes, each.len))
        if (each.type == FULL || each.type == LAST)
            whole = each.end;
    return whole;
}

uint64_t stem_leveldb_log_entries(int directory, const char *name)
{
    const unsigned char *bytes;
    size_t size;

    if (!map_file(directory, name, &bytes, &size))
        return 0;
    const uint64_t entries = sum_of_counts(bytes, size);
    unmap_file(bytes, size);
    return entries;
}

bool stem_leveldb_current_is_whole(int directory, char manifest[STEM_MANIFEST_ROOM])
{
    static const char prefix[] = "MANIFEST-";
    int fd = stem_descriptor_open(directory, "CURRENT", O_RDONLY, 0);

    if (fd < 0)
        return errno != ENOENT;
    ssize_t len = read(fd, manifest, STEM_MANIFEST_ROOM - 1);
    stem_descriptor_close(fd);
    if (len < (ssize_t)sizeof prefix || manifest[len - 1] != '\n')
        return false;
    manifest[len - 1] = '\0';
    const char *digits = manifest + sizeof prefix - 1;
    return strncmp(manifest, prefix, sizeof prefix - 1) == 0 && *digits &&
           strspn(digits, "0123456789") == strlen(digits) &&
           strlen(manifest) == (size_t)len - 1 &&
           faccessat(directory, manifest, F_OK, 0) == 0;
}
