/*
 * The files in a database's directory: what they are, how large, and whether they are
 * durable.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../error.h"
#include "descriptor.h"
#include "directory.h"
#include "directory_names.h"

/* ---- Names ------------------------------------------------------------------------ */

enum stem_file_kind stem_file_classify(const char *name, uint64_t *number)
{
    char *end;

    *number = 0;
    if (strcmp(name, STEM_MARKER_NAME) == 0 || strcmp(name, STEM_LOCK_NAME) == 0 ||
        strcmp(name, STEM_REMOVAL_NAME) == 0 || strcmp(name, STEM_SOCKET_NAME) == 0 ||
        strcmp(name, STEM_SOCKET_NAME ".new") == 0)
        return OURS;
    if (strcmp(name, "CURRENT") == 0)
        return CURRENT;
    if (strcmp(name, "LOCK") == 0 || strcmp(name, "LOG") == 0 ||
        strcmp(name, "LOG.old") == 0)
        return PASSING;

    const char *digits = strncmp(name, "MANIFEST-", 9) == 0 ? name + 9 : name;
    if (*digits < '0' || *digits > '9')
        return FOREIGN;
    errno = 0;
    *number = strtoull(digits, &end, 10);
    if (errno != 0)
        return FOREIGN;
    if (digits != name)
        return *end == '\0' ? MANIFEST : FOREIGN;
    if (strcmp(end, ".log") == 0)
        return LOG;
    if (strcmp(end, ".ldb") == 0 || strcmp(end, ".sst") == 0)
        return TABLE;
    return strcmp(end, ".dbtmp") == 0 ? PASSING : FOREIGN;
}

int stem_directory_fail(const stem_directory *dir, const char *what, const char *name)
{
    int cause = errno;

    return stem_fail(cause == ENOMEM ? STEM_ENOMEM : STEM_EIO, "cannot %s %s%s%s: %s",
                     what, dir->path, *name ? "/" : "", name, strerror(cause));
}

DIR *stem_directory_list(const stem_directory *dir)
{
    DIR *listing = stem_listing_open(dir->fd);

    if (!listing)
        stem_directory_fail(dir, "list", "");
    return listing;
}

const char *stem_directory_next(DIR *listing)
{
    struct dirent *entry;

    do {
        errno = 0;
        entry = readdir(listing);
    } while (entry &&
             (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry ? entry->d_name : NULL;
}

/* ---- Measuring and syncing -------------------------------------------------------- */

int stem_directory_measure(const stem_directory *dir, stem_directory_usage *usage)
{
    stem_directory_usage sum = {0};
    DIR *listing = stem_directory_list(dir);
    const char *name;

    if (!listing)
        return stem_errcode();
    while ((name = stem_directory_next(listing)) != NULL) {
        uint64_t number;
        enum stem_file_kind kind = stem_file_classify(name, &number);
        struct stat status;

        if (kind != LOG && kind != TABLE)
            continue;
        if (fstatat(dir->fd, name, &status, 0) != 0)
            continue; /* gone since: LevelDB removes files at any time */
        if (kind == LOG) {
            sum.log_files++;
            sum.log_bytes += (uint64_t)status.st_size;
            if (number > sum.newest_log)
                sum.newest_log = number;
        } else {
            sum.table_files++;
            sum.table_bytes += (uint64_t)status.st_size;
        }
    }
    int cause = errno;
    stem_listing_close(listing);
    errno = cause;
    if (cause != 0)
        return stem_directory_fail(dir, "list", "");
    *usage = sum;
    return STEM_OK;
}

static bool is_log_there(const stem_directory *dir, uint64_t number)
{
    char name[32];

    snprintf(name, sizeof name, "%06llu.log", (unsigned long long)number);
    return faccessat(dir->fd, name, F_OK, 0) == 0;
}

/* Finds the newest log, which is the one noted before or has a higher number. A listing may miss
 * one that is made while another goes, so none is only believed after several. */
static int find_log(const stem_directory *dir, atomic_uint_least64_t *newest)
{
    enum { LISTINGS = 20 };
    const uint64_t before = atomic_load(newest);
    stem_directory_usage usage;

    for (int i = 0; i < LISTINGS; i++) {
        const int code = stem_directory_measure(dir, &usage);

        if (code != STEM_OK)
            return code;
        if (usage.newest_log != 0 && usage.newest_log >= before) {
            atomic_store(newest, usage.newest_log);
            return STEM_OK;
        }
    }
    return stem_fail(STEM_EGONE, "the log of the database in %s has been removed",
                     dir->path);
}

int stem_directory_check(const stem_directory *dir, atomic_uint_least64_t *newest_log)
{
    const uint64_t newest = atomic_load_explicit(newest_log, memory_order_relaxed);

    if (stem_directory_is_removed(dir))
        return stem_fail(STEM_EGONE, "the directory %s has been removed", dir->path);
    if (!stem_directory_has_current(dir))
        return stem_fail(STEM_EGONE, "%s/CURRENT has been removed", dir->path);
    return newest != 0 && is_log_there(dir, newest) ? STEM_OK : find_log(dir, newest_log);
}

static int sync_file(const stem_directory *dir, const char *name)
{
    int fd = stem_descriptor_open(dir->fd, name, O_RDONLY, 0);

    if (fd < 0)
        return errno == ENOENT ? STEM_OK : stem_directory_fail(dir, "open", name);
    int code = fdatasync(fd) == 0 ? STEM_OK : stem_directory_fail(dir, "sync", name);
    stem_descriptor_close(fd);
    return code;
}

int stem_directory_sync_logs(const stem_directory *dir)
{
    int code = STEM_OK, cause = 0;
    DIR *listing = stem_directory_list(dir);

    if (!listing)
        return stem_errcode();
    while (code == STEM_OK) {
        uint64_t number;
        const char *name = stem_directory_next(listing);

        if (!name) {
            cause = errno;
            break;
        }
        if (stem_file_classify(name, &number) == LOG)
            code = sync_file(dir, name);
    }
    stem_listing_close(listing);
    errno = cause;
    return cause != 0 ? stem_directory_fail(dir, "list", "") : code;
}

bool stem_directory_visit_logs(const stem_directory *dir, stem_log_visitor *visit,
                               void *context)
{
    bool is_over = false;
    uint64_t number;
    const char *name;
    DIR *listing = stem_directory_list(dir);

    if (!listing)
        return false;
    while (!is_over && (name = stem_directory_next(listing)) != NULL)
        is_over =
            stem_file_classify(name, &number) == LOG && visit(context, dir->fd, name);
    stem_listing_close(listing);
    return is_over;
}

/* ---- Asking whether writing works ------------------------------------------------- */

/* As many as LevelDB has open at once, at most, while it opens a database. With fewer it
 * might open, and then find none to open a table for a reader. */
enum { DESCRIPTORS_NEEDED = 8 };

/* Whether the file can grow to so many bytes. File systems that cannot reserve room are
 * asked how much they have. */
static bool has_room(int fd, uint64_t bytes)
{
    struct statvfs space;
    int answer;

    do
        answer = fallocate(fd, 0, 0, (off_t)bytes);
    while (answer != 0 && errno == EINTR);
    if (answer == 0)
        return true;
    if (errno != EOPNOTSUPP)
        return false;
    if (fstatvfs(fd, &space) != 0)
        return false;
    errno = ENOSPC;
    return (uint64_t)space.f_bavail * space.f_frsize >= bytes;
}

uint64_t stem_directory_room(const stem_directory *dir)
{
    struct statvfs space;

    return fstatvfs(dir->fd, &space) == 0 ? (uint64_t)space.f_bavail * space.f_frsize : 0;
}

int stem_directory_probe(const stem_directory *dir, uint64_t bytes)
{
    /* A name that LevelDB itself takes for one of its temporary files. */
    static const char name[] = "000000.dbtmp";

    int code = STEM_OK;
    if (!stem_descriptors_are_left(DESCRIPTORS_NEEDED))
        return stem_directory_fail(dir, "open", "");
    int fd = stem_descriptor_open(dir->fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0)
        return stem_directory_fail(dir, "make", name);
    if (!has_room(fd, bytes))
        code = stem_fail(STEM_EIO, "no room for %llu bytes in %s: %s",
                         (unsigned long long)bytes, dir->path, strerror(errno));
    else if (write(fd, name, sizeof name) != (ssize_t)sizeof name || fsync(fd) != 0)
        code = stem_directory_fail(dir, "write", name);
    stem_descriptor_close(fd);
    unlinkat(dir->fd, name, 0);
    return code;
}
