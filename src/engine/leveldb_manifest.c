/*
 * Whether LevelDB's MANIFEST has lost its end.
 *
 * LevelDB takes a MANIFEST cut short for the work of a crash. It would then replay the
 * newest log onto an older state, between which writes are missing, and delete the tables
 * that hold them. But the last record to name a log was written when that log was there,
 * and no log is removed before a later one is named: so where the named log is missing,
 * the MANIFEST is not whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../error.h"
#include "descriptor.h"
#include "leveldb_files.h"

/* ---- Records of edits ------------------------------------------------------------- */

typedef struct span {
    const unsigned char *at, *end;
    bool is_broken;
} span;

static uint64_t take_number(span *edit)
{
    uint64_t number = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (edit->at == edit->end)
            break;
        unsigned char byte = *edit->at++;
        number |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return number;
    }
    edit->is_broken = true;
    return 0;
}

static void skip_numbers(span *edit, int n)
{
    while (n-- > 0)
        take_number(edit);
}

static void skip_strings(span *edit, int n)
{
    while (n-- > 0) {
        uint64_t len = take_number(edit);

        if (len > (uint64_t)(edit->end - edit->at))
            edit->is_broken = true;
        else
            edit->at += len;
    }
}

/* Reads an edit of LevelDB's version_edit.cc, for the number of its log. */
static void read_edit(span edit, uint64_t *log_number)
{
    enum {
        COMPARATOR = 1,
        LOG_NUMBER = 2,
        NEXT_FILE = 3,
        LAST_SEQUENCE = 4,
        COMPACT_POINTER = 5,
        DELETED_FILE = 6,
        NEW_FILE = 7,
        PREVIOUS_LOG = 9
    };

    while (edit.at < edit.end && !edit.is_broken)
        switch (take_number(&edit)) {
        case COMPARATOR:
            skip_strings(&edit, 1);
            break;
        case LOG_NUMBER: {
            uint64_t number = take_number(&edit);

            if (!edit.is_broken)
                *log_number = number;
            break;
        }
        case NEXT_FILE:
        case LAST_SEQUENCE:
        case PREVIOUS_LOG:
            skip_numbers(&edit, 1);
            break;
        case COMPACT_POINTER:
            skip_numbers(&edit, 1);
            skip_strings(&edit, 1);
            break;
        case DELETED_FILE:
            skip_numbers(&edit, 2);
            break;
        case NEW_FILE:
            skip_numbers(&edit, 3);
            skip_strings(&edit, 2);
            break;
        default:
            return;
        }
}

/* Joins the fragments of records in place, of LevelDB's log format, and reads each. What
 * is damaged ends the reading: LevelDB finds it too, and tells. */
static uint64_t last_log_number(unsigned char *bytes, size_t size)
{
    enum { BLOCK = 32768, HEADER = 7, FULL = 1, FIRST = 2, MIDDLE = 3, LAST = 4 };
    uint64_t number = 0;
    unsigned char *record = bytes, *record_end = bytes;

    for (size_t at = 0; at + HEADER <= size;) {
        const unsigned char *header = bytes + at;
        const size_t left = BLOCK - at % BLOCK;
        const size_t len = (size_t)header[4] | (size_t)header[5] << 8;

        if (left < HEADER) {
            at += left;
            continue;
        }
        if (HEADER + len > left || HEADER + len > size - at || header[6] < FULL ||
            header[6] > LAST)
            break;
        const int type = header[6];
        if (type == FULL || type == FIRST)
            record = record_end = bytes + at;
        memmove(record_end, header + HEADER, len);
        record_end += len;
        if (type == FULL || type == LAST)
            read_edit((span){.at = record, .end = record_end}, &number);
        at += HEADER + len;
    }
    return number;
}

/* ---- The file --------------------------------------------------------------------- */

/* Gets the whole file into memory; NULL where it is not there, which LevelDB tells. */
static int read_file(const stem_directory *dir, const char *name, unsigned char **bytes,
                     size_t *size)
{
    struct stat status;
    int fd = stem_descriptor_open(dir->fd, name, O_RDONLY, 0);
    ssize_t got = 1;

    *bytes = NULL;
    *size = 0;
    if (fd < 0 && errno == ENOENT)
        return STEM_OK;
    if (fd >= 0 && fstat(fd, &status) == 0)
        *bytes = malloc((size_t)status.st_size + 1);
    while (*bytes && got > 0 && *size < (size_t)status.st_size) {
        got = read(fd, *bytes + *size, (size_t)status.st_size - *size);
        if (got > 0)
            *size += (size_t)got;
    }
    int cause = errno;
    if (fd >= 0)
        stem_descriptor_close(fd);
    if (*bytes && got >= 0)
        return STEM_OK;
    free(*bytes);
    return stem_fail(cause == ENOMEM ? STEM_ENOMEM : STEM_EIO, "cannot read %s/%s: %s",
                     dir->path, name, strerror(cause));
}

static bool has_log(const stem_directory *dir, uint64_t number, char name[32])
{
    snprintf(name, 32, "%06llu.log", (unsigned long long)number);
    return faccessat(dir->fd, name, F_OK, 0) == 0;
}

int stem_leveldb_check_manifest(const stem_directory *dir)
{
    char manifest[STEM_MANIFEST_ROOM], log[32];
    unsigned char *bytes;
    size_t size;

    if (!stem_leveldb_current_is_whole(dir->fd, manifest))
        return STEM_OK; /* LevelDB tells */
    int code = read_file(dir, manifest, &bytes, &size);
    if (code != STEM_OK || !bytes)
        return code;
    uint64_t number = last_log_number(bytes, size);
    free(bytes);
    if (number == 0 || has_log(dir, number, log))
        return STEM_OK;
    return stem_fail(STEM_ECORRUPT,
                     "%s/%s is damaged, or %s is missing that it names: writes are lost; "
                     "restore both from a backup",
                     dir->path, manifest, log);
}

/* ---- After a write that failed ---------------------------------------------------- */

static int cut_file(const stem_directory *dir, const char *name, size_t size)
{
    const int fd = stem_descriptor_open(dir->fd, name, O_WRONLY, 0);
    const bool is_cut = fd >= 0 && ftruncate(fd, (off_t)size) == 0;
    const int cause = errno;

    if (fd >= 0)
        stem_descriptor_close(fd);
    return is_cut ? STEM_OK
                  : stem_fail(STEM_EIO, "cannot cut %s/%s after a failed write: %s",
                              dir->path, name, strerror(cause));
}

/* When a table from the memtable could be written and its record in the MANIFEST only in part,
 * LevelDB ends the compaction that was under way, and its record goes behind the torn one. No
 * file is removed after such a failure, so the state before is all there. */
int stem_leveldb_cut_manifest(const stem_directory *dir)
{
    char manifest[STEM_MANIFEST_ROOM], log[32];
    unsigned char *bytes;
    size_t size;

    if (!stem_leveldb_current_is_whole(dir->fd, manifest))
        return STEM_OK;
    int code = read_file(dir, manifest, &bytes, &size);
    if (code != STEM_OK || !bytes)
        return code;
    const size_t whole = stem_leveldb_whole_records(bytes, size);
    if (whole > 0 && whole < size && has_log(dir, last_log_number(bytes, whole), log))
        code = cut_file(dir, manifest, whole);
    free(bytes);
    return code;
}
