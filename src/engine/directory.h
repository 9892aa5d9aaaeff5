/*
 * The directory of a LevelDB database as Stem guards it: the marker that says whose it
 * is, the lock that says who has it, and which of its files belong to LevelDB. Nothing
 * here calls LevelDB, and nothing is touched in a directory that is not Stem's.
 */
#ifndef STEM_ENGINE_DIRECTORY_H
#define STEM_ENGINE_DIRECTORY_H

#include <stdatomic.h>
#include <sys/types.h>

#include "stem.h"

typedef struct stem_directory {
    int fd;      /* of the directory; keeps its inode number from being used again */
    int lock_fd; /* of stem.lock, holding the lock, or -1 */
    int stay_fd; /* of stem.lock, held with others, or -1 */
    dev_t device;
    ino_t inode;
    char *path; /* absolute; what people are told */
    /* What LevelDB is given: by way of `fd`, so that it stays in this very directory when
     * the path is renamed, or removed and made again. The path where /proc does not
     * serve. */
    char link[32];
} stem_directory;

/* The name for LevelDB: the link, or else the path. */
static inline const char *stem_directory_name(const stem_directory *dir)
{
    return *dir->link ? dir->link : dir->path;
}

/* Opens the directory, first making it (not its parents) when `make` is set and it is
 * missing; `*made` tells. STEM_NOTFOUND when it is missing and `make` is not set;
 * STEM_EGONE when it was removed meanwhile. */
int stem_directory_open(const char *path, bool make, stem_directory *dir, bool *made);

/* Closes the descriptors, and with them the lock; frees the path. */
void stem_directory_close(stem_directory *dir);

/* What lies in the directory: STEM_OK for a database, STEM_NOTFOUND for a directory that
 * is empty or holds no more than a creation, or a removal, cut short, STEM_EFORMAT for anything else and
 * for a newer format, STEM_ECORRUPT for a database whose CURRENT is gone. */
int stem_directory_inspect(const stem_directory *dir);

/* For whom a process has the database: for itself, or for all that share it by location. The
 * locks differ in how much of the file they cover, so that each tells which it is. Those that
 * share it without having it stay (stem_directory_stay). */
enum stem_directory_claim { STEM_CLAIM_NONE, STEM_CLAIM_ALONE, STEM_CLAIM_SHARING };

/* Takes stem.lock, making the file if `make` is set: else STEM_NOTFOUND when it is
 * missing. STEM_ELOCKED when somebody has it; STEM_EGONE when the directory was removed
 * meanwhile; STEM_EACCES when it is to be shared and another user has made it. */
int stem_directory_lock(stem_directory *dir, bool make, enum stem_directory_claim claim);
/* How somebody else has the lock at this moment. */
enum stem_directory_claim stem_directory_claimed(const stem_directory *dir);
/* Takes a part of stem.lock that any number of processes may have, and that keeps out who wants
 * the database for himself or removed, until the directory is closed. Nothing if it has it.
 * STEM_ELOCKED when somebody has it for himself; STEM_NOTFOUND when the file is gone, and
 * whoever had it with it. */
int stem_directory_stay(stem_directory *dir);
/* STEM_ELOCKED, saying who has the lock; STEM_NOTFOUND when the file is gone. */
int stem_directory_fail_locked(const stem_directory *dir);
void stem_directory_unlock(stem_directory *dir);
/* Writes this process's number into stem.lock, for others to be told. */
void stem_directory_sign(const stem_directory *dir);

/* As stem_directory_inspect, without the lock, and sure of its failures: they are looked
 * at again under the lock, since what is refused may be half of what somebody else is
 * doing. That is STEM_ELOCKED, or STEM_EGONE when it is over by then. `claim` is for whom it
 * is looked at: who shares the database is not in the way of others that do. Changes nothing. */
int stem_directory_look(stem_directory *dir, enum stem_directory_claim claim);

/* Writes the marker and makes it durable. The lock must be held. */
int stem_directory_mark(const stem_directory *dir);

/* Whether LevelDB has something to open. */
bool stem_directory_has_current(const stem_directory *dir);
/* Whether its removal has begun; and finishes that, but for the marker and the lock, which must
 * be held. */
bool stem_directory_is_being_removed(const stem_directory *dir);
int stem_directory_finish_removal(const stem_directory *dir);
/* Whether one of Stem's own two files is there. */
bool stem_directory_has_ours(const stem_directory *dir);

typedef struct stem_directory_usage {
    uint64_t newest_log; /* number of the newest log, 0 when there is none */
    uint64_t log_files, log_bytes;
    uint64_t table_files, table_bytes;
} stem_directory_usage;
int stem_directory_measure(const stem_directory *dir, stem_directory_usage *usage);

/* Whether the directory has no name any more. */
bool stem_directory_is_removed(const stem_directory *dir);
/* STEM_EGONE when the directory of an open database was removed, or CURRENT, or the newest log,
 * without which nothing written survives. `*newest_log` is the number of that, 0 at first. */
int stem_directory_check(const stem_directory *dir, atomic_uint_least64_t *newest_log);

/* Calls `visit` with the name of each log, until it answers true; says whether it has. */
typedef bool stem_log_visitor(void *context, int directory, const char *name);
bool stem_directory_visit_logs(const stem_directory *dir, stem_log_visitor *visit,
                               void *context);

/* Makes every log durable. A log that vanishes meanwhile has become a table, which
 * LevelDB made durable before it removed the log. */
int stem_directory_sync_logs(const stem_directory *dir);
/* Makes the names in the directory durable. */
int stem_directory_sync_names(const stem_directory *dir);

/* Whether LevelDB would find what it needs to be opened and to write so many bytes: room,
 * descriptors, and a file system that takes files and makes them durable. */
int stem_directory_probe(const stem_directory *dir, uint64_t bytes);

/* Bytes that are free on the file system; 0 when it does not say. */
uint64_t stem_directory_room(const stem_directory *dir);

/* Removes LevelDB's files and Stem's. CURRENT is renamed first and the marker goes last, so that
 * a removal cut short is one, and never opens as an earlier state. The lock must be held. */
int stem_directory_clear(const stem_directory *dir);
/* The same, and then the directory. STEM_EXISTS, with the text set, when files of others
 * keep it. */
int stem_directory_remove(const stem_directory *dir);

#endif
