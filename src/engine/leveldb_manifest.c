/*
 * Whether LevelDB's MANIFEST is whole, and which logs it leaves to be read; see
 * leveldb_manifest.h.
 *
 * LevelDB takes a MANIFEST cut short for the work of a crash. It would then replay the
 * newest log onto an older state, between which writes are missing, and delete the tables
 * that hold them. But the last record to name a log was written when that log was there,
 * and no log is removed before a later one is named: so where the named log is missing,
 * the MANIFEST is not whole.
 */
#include "leveldb_manifest.h"

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
#include "directory_names.h"
#include "leveldb_files.h"
#include "leveldb_log.h"

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

/* What an edit says of logs. */
typedef struct edit_logs {
    bool has_number;
    uint64_t number;        /* of the oldest log that is still of use */
    uint64_t last_sequence; /* when it was written */
} edit_logs;

/* Reads an edit of LevelDB's version_edit.cc. */
static edit_logs read_edit(span edit)
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
    edit_logs found = {.has_number = false};

    while (edit.at < edit.end && !edit.is_broken)
        switch (take_number(&edit)) {
        case COMPARATOR:
            skip_strings(&edit, 1);
            break;
        case LOG_NUMBER:
            found.number = take_number(&edit);
            found.has_number = !edit.is_broken;
            break;
        case LAST_SEQUENCE:
            found.last_sequence = take_number(&edit);
            break;
        case NEXT_FILE:
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
            return found;
        }
    return found;
}

/* The log that is named last was begun after the one before it was named first; or, where
 * there is none, by the open that wrote the MANIFEST, before anything was written to it. */
static void note_edit(stem_manifest_logs *logs, const edit_logs *edit)
{
    if (!edit->has_number || edit->number == logs->oldest)
        return;
    logs->least_sequence = logs->oldest == 0 ? edit->last_sequence : logs->named_sequence;
    logs->named_sequence = edit->last_sequence;
    logs->oldest = edit->number;
}

/* Joins the fragments of records in place, of LevelDB's log format, and reads each; all of
 * them are whole. */
static stem_manifest_logs read_edits(unsigned char *bytes, size_t size)
{
    enum { BLOCK = 32768, HEADER = 7, FULL = 1, FIRST = 2, LAST = 4 };
    stem_manifest_logs logs = {.oldest = 0};
    unsigned char *record = bytes, *record_end = bytes;

    for (size_t at = 0; at + HEADER <= size;) {
        const unsigned char *header = bytes + at;
        const size_t left = BLOCK - at % BLOCK;
        const size_t len = (size_t)header[4] | (size_t)header[5] << 8;

        if (left < HEADER) {
            at += left;
            continue;
        }
        if (HEADER + len > size - at)
            break;
        const int type = header[6];
        if (type == FULL || type == FIRST)
            record = record_end = bytes + at;
        memmove(record_end, header + HEADER, len);
        record_end += len;
        if (type == FULL || type == LAST) {
            const edit_logs edit = read_edit((span){.at = record, .end = record_end});

            note_edit(&logs, &edit);
        }
        at += HEADER + len;
    }
    return logs;
}

/* ---- The file --------------------------------------------------------------------- */

/* Gets the first bytes of the file into memory. */
static int read_start(const stem_directory *dir, const char *name, unsigned char *bytes,
                      size_t size)
{
    const int fd = stem_descriptor_open(dir->fd, name, O_RDONLY, 0);
    ssize_t got = fd < 0 ? -1 : 1;
    size_t len = 0;

    while (len < size && (got > 0 || (got < 0 && fd >= 0 && errno == EINTR))) {
        got = read(fd, bytes + len, size - len);
        len += got > 0 ? (size_t)got : 0;
    }
    const int code = len == size ? STEM_OK : stem_directory_fail(dir, "read", name);
    if (fd >= 0)
        stem_descriptor_close(fd);
    return code;
}

/* What its first `whole` bytes say. */
static int read_whole(const stem_directory *dir, const char *name, uint64_t whole,
                      stem_manifest_logs *logs)
{
    unsigned char *bytes = malloc((size_t)whole + 1);

    if (!bytes)
        return stem_fail(STEM_ENOMEM, "no memory to read %s/%s", dir->path, name);
    const int code = read_start(dir, name, bytes, (size_t)whole);
    if (code == STEM_OK)
        *logs = read_edits(bytes, (size_t)whole);
    free(bytes);
    return code;
}

static bool has_log(const stem_directory *dir, uint64_t number, char name[32])
{
    snprintf(name, 32, "%06llu.log", (unsigned long long)number);
    return faccessat(dir->fd, name, F_OK, 0) == 0;
}

static int fail_damaged(const stem_directory *dir, const char *name, uint64_t at)
{
    return stem_fail(STEM_ECORRUPT,
                     "%s/%s is damaged at byte %llu; restore the directory from a backup",
                     dir->path, name, (unsigned long long)at);
}

/* Looks at the MANIFEST that CURRENT names: STEM_NOTFOUND where LevelDB tells what is wrong
 * with that. */
static int look(const stem_directory *dir, char name[STEM_MANIFEST_ROOM],
                stem_log_look *found, stem_manifest_logs *logs)
{
    struct stat status;

    *logs = (stem_manifest_logs){.oldest = 0};
    if (!stem_leveldb_current_is_whole(dir->fd, name))
        return STEM_NOTFOUND;
    if (fstatat(dir->fd, name, &status, 0) == 0 && !S_ISREG(status.st_mode)) {
        *found = (stem_log_look){.state = STEM_LOG_TORN};
        return STEM_OK;
    }
    const int code = stem_leveldb_look_at_log(dir, name, STEM_LOG_OF_EDITS, 0, found);
    return code == STEM_OK && found->whole > 0 ? read_whole(dir, name, found->whole, logs)
                                               : code;
}

/* A record that a crash has left half-written is cut off where the state before is all there,
 * for LevelDB to open that. */
int stem_leveldb_check_manifest(const stem_directory *dir, stem_manifest_logs *logs)
{
    char manifest[STEM_MANIFEST_ROOM], log[32];
    stem_log_look found;

    int code = look(dir, manifest, &found, logs);
    if (code != STEM_OK)
        return code == STEM_NOTFOUND ? STEM_OK : code;
    if (found.state == STEM_LOG_HOLED || found.whole == 0)
        return fail_damaged(dir, manifest, found.damage);
    if (logs->oldest == 0)
        return found.state == STEM_LOG_TORN ? fail_damaged(dir, manifest, found.damage)
                                            : STEM_OK;
    if (!has_log(dir, logs->oldest, log))
        return stem_fail(
            STEM_ECORRUPT,
            "%s/%s is damaged, or %s is missing that it names: writes are lost; "
            "restore both from a backup",
            dir->path, manifest, log);
    return found.state == STEM_LOG_TORN ? stem_leveldb_cut_log(dir, manifest, found.whole)
                                        : STEM_OK;
}

/* ---- After a write that failed ---------------------------------------------------- */

/* When a table from the memtable could be written and its record in the MANIFEST only in part,
 * LevelDB ends the compaction that was under way, and its record goes behind the torn one. No
 * file is removed after such a failure, so the state before is all there. */
int stem_leveldb_cut_manifest(const stem_directory *dir)
{
    char manifest[STEM_MANIFEST_ROOM], log[32];
    stem_manifest_logs logs;
    stem_log_look found;

    const int code = look(dir, manifest, &found, &logs);
    if (code != STEM_OK)
        return code == STEM_NOTFOUND ? STEM_OK : code;
    return found.state != STEM_LOG_WHOLE && has_log(dir, logs.oldest, log)
               ? stem_leveldb_cut_log(dir, manifest, found.whole)
               : STEM_OK;
}
