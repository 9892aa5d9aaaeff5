/*
 * Whether LevelDB's files are whole: see leveldb_files.h, and LevelDB's own page on its
 * table format.
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

#include "crc32c.h"
#include "descriptor.h"

enum {
    BLOCK_TRAILER = 5, /* the type, four bytes of checksum */
    MAX_BLOCK_TYPE = 2,
    FOOTER = 48
};

static const unsigned char table_magic[8] = {0x57, 0xfb, 0x80, 0x8b,
                                             0x24, 0x75, 0x47, 0xdb};

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
static size_t block_size(const stem_crc32c *table, const unsigned char *bytes,
                         size_t left)
{
    uint32_t crc = STEM_CRC32C_START;

    for (size_t i = 0; i + BLOCK_TRAILER <= left; i++) {
        crc = stem_crc32c_add_byte(table, crc, bytes[i]);
        if (bytes[i] <= MAX_BLOCK_TYPE && stem_crc32c_is(bytes + i + 1, crc))
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
    block meta = {0}, index = {0};
    stem_crc32c table;

    if (size < FOOTER)
        return false;
    stem_crc32c_init(&table);
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

enum stem_table_state stem_leveldb_look_at_table(int directory, const char *name)
{
    const unsigned char *bytes;
    size_t size;

    if (!map_file(directory, name, &bytes, &size))
        return errno == ENOENT                      ? STEM_TABLE_MISSING
               : errno == ENODEV || errno == EISDIR ? STEM_TABLE_DAMAGED
                                                    : STEM_TABLE_UNREADABLE;
    bool is_whole = are_blocks_whole(bytes, size);
    unmap_file(bytes, size);
    return is_whole ? STEM_TABLE_WHOLE : STEM_TABLE_DAMAGED;
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
