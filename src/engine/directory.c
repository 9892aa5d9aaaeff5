/*
 * The directory of a LevelDB database as Stem guards it (docs/format.md, "The
 * directory").
 *
 * LevelDB itself deletes files it takes for its own, starts afresh when CURRENT is
 * missing and rewrites files of a database it is then refused. So the marker is written
 * before LevelDB is first called and read before it is ever called: no marker, no touch.
 */
#include "directory.h"

#include <dirent.h>
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
#include "directory_names.h"
#include "directory_trial.h"

static const char marker_magic[] = "Stem database, format ";
static const char marker_text[] = "Stem database, format 1\n";

enum { FORMAT = 1, OLDEST_NUMBERED_MANIFEST = 1 };

/* The lock of who shares the database; who does not has all of the file. */
enum { SHARED_BYTES = 1, STAY_BYTES = 1 };

/* ---- Opening and looking ---------------------------------------------------------- */

static void make_link(stem_directory *dir)
{
    struct stat status;

    snprintf(dir->link, sizeof dir->link, "/proc/self/fd/%d", dir->fd);
    if (stat(dir->link, &status) != 0 || status.st_dev != dir->device ||
        status.st_ino != dir->inode)
        *dir->link = '\0';
}

/* Opens it and finds out who it is; what it took is left to the caller. */
static int open_directory(const char *path, bool make, stem_directory *dir)
{
    struct stat status;

    dir->fd = stem_descriptor_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (dir->fd < 0) {
        int cause = errno;

        if (cause == ENOENT && !make)
            return STEM_NOTFOUND;
        if (cause == ENOENT && lstat(path, &status) != 0)
            return STEM_EGONE; /* or it would be a link that leads nowhere */
        return stem_fail(cause == ENOMEM ? STEM_ENOMEM : STEM_EIO,
                         "cannot open the directory %s: %s", path, strerror(cause));
    }
    dir->path = realpath(path, NULL);
    if (!dir->path && errno == ENOENT)
        return STEM_EGONE;
    if (!dir->path || fstat(dir->fd, &status) != 0) {
        int code = errno == ENOMEM ? STEM_ENOMEM : STEM_EIO;

        return stem_fail(code, "cannot resolve the directory %s: %s", path,
                         strerror(errno));
    }
    dir->device = status.st_dev;
    dir->inode = status.st_ino;
    make_link(dir);
    return STEM_OK;
}

int stem_directory_open(const char *path, bool make, stem_directory *dir, bool *made)
{
    *dir = (stem_directory){.fd = -1, .lock_fd = -1, .stay_fd = -1};
    *made = make && mkdir(path, 0777) == 0;
    if (make && !*made && errno != EEXIST)
        return stem_fail(STEM_EIO, "cannot make the directory %s: %s", path,
                         strerror(errno));

    int code = open_directory(path, make, dir);
    if (code != STEM_OK) {
        stem_directory_close(dir);
        if (*made)
            rmdir(path);
    }
    return code;
}

/* Not by the close alone: a child forked this moment may not have closed its copy of the
 * descriptor yet, and would keep the lock for as long. */
static void release(int fd)
{
    struct flock whole = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

    fcntl(fd, F_OFD_SETLK, &whole);
    stem_descriptor_close(fd);
}

void stem_directory_unlock(stem_directory *dir)
{
    if (dir->lock_fd >= 0)
        release(dir->lock_fd);
    dir->lock_fd = -1;
}

void stem_directory_close(stem_directory *dir)
{
    stem_directory_unlock(dir);
    if (dir->stay_fd >= 0)
        release(dir->stay_fd);
    if (dir->fd >= 0)
        stem_descriptor_close(dir->fd);
    free(dir->path);
    *dir = (stem_directory){.fd = -1, .lock_fd = -1, .stay_fd = -1};
}

/* The number of the format that a marker tells, or -1 when it is none. */
static long long marked_format(const char *text)
{
    const char *number = text + sizeof marker_magic - 1;

    if (strncmp(text, marker_magic, sizeof marker_magic - 1) != 0 || *number < '0' ||
        *number > '9')
        return -1;
    return strtoll(number, NULL, 10);
}

/* Reads the marker: STEM_OK when it is this format's, STEM_NOTFOUND when there is none or
 * one cut short (the text so far is ours), STEM_EFORMAT otherwise. */
static int read_marker(const stem_directory *dir)
{
    char text[64];
    int fd = stem_descriptor_open(dir->fd, STEM_MARKER_NAME, O_RDONLY | O_NONBLOCK, 0);

    if (fd < 0)
        return errno == ENOENT ? STEM_NOTFOUND
                               : stem_directory_fail(dir, "open", STEM_MARKER_NAME);
    ssize_t len = read(fd, text, sizeof text - 1);
    stem_descriptor_close(fd);
    if (len < 0 && errno != EISDIR)
        return stem_directory_fail(dir, "read", STEM_MARKER_NAME);
    size_t size = len < 0 ? 0 : (size_t)len;
    text[size] = '\0';

    if (size == sizeof marker_text - 1 && memcmp(text, marker_text, size) == 0)
        return STEM_OK;
    if (len >= 0 && size < sizeof marker_text - 1 && memcmp(text, marker_text, size) == 0)
        return STEM_NOTFOUND;
    if (marked_format(text) > FORMAT)
        return stem_fail(
            STEM_EFORMAT,
            "%s was made by a newer Stem (format %lld; this library reads %d)", dir->path,
            marked_format(text), FORMAT);
    return stem_fail(STEM_EFORMAT, "%s/%s is not the marker of a Stem database",
                     dir->path, STEM_MARKER_NAME);
}

int stem_directory_inspect(const stem_directory *dir)
{
    int marker = read_marker(dir);
    bool has_current = false, has_data = false;
    char stranger[256] = "";
    const char *name;

    if (marker < 0)
        return marker;
    DIR *listing = stem_directory_list(dir);
    if (!listing)
        return stem_errcode();
    while ((name = stem_directory_next(listing)) != NULL) {
        uint64_t number;
        enum stem_file_kind kind = stem_file_classify(name, &number);

        has_current |= kind == CURRENT;
        /* LevelDB's creation writes MANIFEST-000001, then CURRENT, then its first log. */
        has_data |= kind == LOG || kind == TABLE ||
                    (kind == MANIFEST && number != OLDEST_NUMBERED_MANIFEST);
        if (kind != OURS && !*stranger)
            snprintf(stranger, sizeof stranger, "%s", name);
    }
    int cause = errno;
    stem_listing_close(listing);
    errno = cause;
    if (cause != 0)
        return stem_directory_fail(dir, "list", "");

    if (marker == STEM_NOTFOUND) {
        if (!*stranger)
            return STEM_NOTFOUND;
        return stem_fail(
            STEM_EFORMAT,
            "%s is not a Stem database: it holds %s and no whole %s marker; give an "
            "empty or a missing directory",
            dir->path, stranger, STEM_MARKER_NAME);
    }
    if (has_current)
        return STEM_OK;
    if (!has_data || stem_directory_is_being_removed(dir))
        return STEM_NOTFOUND;
    return stem_fail(
        STEM_ECORRUPT,
        "%s/CURRENT is missing while the database has data; restore it from a "
        "backup: opening would lose everything",
        dir->path);
}

bool stem_directory_is_being_removed(const stem_directory *dir)
{
    return faccessat(dir->fd, STEM_REMOVAL_NAME, F_OK, 0) == 0;
}

bool stem_directory_has_current(const stem_directory *dir)
{
    return faccessat(dir->fd, "CURRENT", F_OK, 0) == 0;
}

bool stem_directory_has_ours(const stem_directory *dir)
{
    return faccessat(dir->fd, STEM_MARKER_NAME, F_OK, 0) == 0 ||
           faccessat(dir->fd, STEM_LOCK_NAME, F_OK, 0) == 0;
}

/* ---- Locking and marking ---------------------------------------------------------- */

static int fail_locked(const stem_directory *dir, int fd)
{
    char text[32];
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    long pid = 0;

    if (len > 0) {
        text[len] = '\0';
        pid = strtol(text, NULL, 10);
    }
    if (pid == (long)getpid())
        return stem_fail(
            STEM_ELOCKED,
            "%s is open in this very process, by another copy of the library; "
            "link one shared libstem, or hand its handle over",
            dir->path);
    if (pid <= 0)
        return stem_fail(STEM_ELOCKED,
                         "%s is in use by another process; close it there, or wait until "
                         "it ends (processes that all open it with .shared use it "
                         "together)",
                         dir->path);
    return stem_fail(STEM_ELOCKED,
                     "%s is in use by process %ld; close it there, or wait until it ends "
                     "(processes that all open it with .shared use it together)",
                     dir->path, pid);
}

/* Whether a file or a directory that is open has no name any more. */
static bool is_unlinked(int fd)
{
    struct stat status;

    return fstat(fd, &status) != 0 || status.st_nlink == 0;
}

bool stem_directory_is_removed(const stem_directory *dir)
{
    return is_unlinked(dir->fd);
}

/* Why stem.lock could not be opened, to make it or as it is; errno says. */
static int fail_to_open_lock(const stem_directory *dir, enum stem_directory_claim claim)
{
    if (stem_directory_is_removed(dir))
        return STEM_EGONE;
    if (claim == STEM_CLAIM_SHARING && errno == EACCES)
        return stem_fail(STEM_EACCES,
                         "cannot open %s/%s: %s; only processes of one user share it",
                         dir->path, STEM_LOCK_NAME, strerror(errno));
    return stem_directory_fail(dir, "open", STEM_LOCK_NAME);
}

int stem_directory_lock(stem_directory *dir, bool make, enum stem_directory_claim claim)
{
    struct flock range = {.l_type = F_WRLCK,
                          .l_whence = SEEK_SET,
                          .l_len = claim == STEM_CLAIM_SHARING ? SHARED_BYTES : 0};
    int fd = stem_descriptor_open(dir->fd, STEM_LOCK_NAME,
                                  O_RDWR | O_NOFOLLOW | (make ? O_CREAT : 0), 0666);

    if (fd < 0) {
        if (errno == ENOENT && !make)
            return STEM_NOTFOUND;
        return fail_to_open_lock(dir, claim);
    }
    /* The lock belongs to this open file: neither another open in this process nor a
     * close of one can take it or drop it, as they could with LevelDB's own. */
    if (fcntl(fd, F_OFD_SETLK, &range) != 0) {
        int code = errno == EAGAIN || errno == EACCES
                       ? fail_locked(dir, fd)
                       : stem_directory_fail(dir, "lock", STEM_LOCK_NAME);
        stem_descriptor_close(fd);
        return code;
    }
    dir->lock_fd = fd;
    if (is_unlinked(fd)) {
        stem_directory_unlock(dir);
        return STEM_EGONE;
    }
    return STEM_OK;
}

enum stem_directory_claim stem_directory_claimed(const stem_directory *dir)
{
    struct flock held = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = SHARED_BYTES};
    const int fd = stem_descriptor_open(dir->fd, STEM_LOCK_NAME, O_RDWR | O_NOFOLLOW, 0);
    enum stem_directory_claim claim = STEM_CLAIM_NONE;

    if (fd < 0)
        return claim;
    if (fcntl(fd, F_OFD_GETLK, &held) == 0 && held.l_type != F_UNLCK)
        claim = held.l_len == SHARED_BYTES ? STEM_CLAIM_SHARING : STEM_CLAIM_ALONE;
    stem_descriptor_close(fd);
    return claim;
}

/* A descriptor of stem.lock as it is, STEM_NOTFOUND when there is none. */
static int open_lock(const stem_directory *dir, int *fd)
{
    *fd = stem_descriptor_open(dir->fd, STEM_LOCK_NAME, O_RDWR | O_NOFOLLOW, 0);
    if (*fd >= 0)
        return STEM_OK;
    return errno == ENOENT ? STEM_NOTFOUND
                           : stem_directory_fail(dir, "open", STEM_LOCK_NAME);
}

static int stay_by(const stem_directory *dir, int fd)
{
    struct flock behind = {.l_type = F_RDLCK,
                           .l_whence = SEEK_SET,
                           .l_start = SHARED_BYTES,
                           .l_len = STAY_BYTES};

    if (fcntl(fd, F_OFD_SETLK, &behind) != 0)
        return errno == EAGAIN || errno == EACCES
                   ? fail_locked(dir, fd)
                   : stem_directory_fail(dir, "lock", STEM_LOCK_NAME);
    return is_unlinked(fd) ? STEM_NOTFOUND : STEM_OK;
}

/* Who fails to create a database removes the file, whoever stays by it already. */
int stem_directory_stay(stem_directory *dir)
{
    int fd;

    if (dir->stay_fd >= 0) {
        if (!is_unlinked(dir->stay_fd))
            return STEM_OK;
        release(dir->stay_fd);
        dir->stay_fd = -1;
    }
    int code = open_lock(dir, &fd);
    if (code != STEM_OK)
        return code;
    code = stay_by(dir, fd);
    if (code == STEM_OK)
        dir->stay_fd = fd;
    else
        release(fd);
    return code;
}

int stem_directory_fail_locked(const stem_directory *dir)
{
    int fd;

    const int opened = open_lock(dir, &fd);
    if (opened != STEM_OK)
        return opened;
    const int code = fail_locked(dir, fd);
    stem_descriptor_close(fd);
    return code;
}

void stem_directory_sign(const stem_directory *dir)
{
    char pid[32];
    int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());

    /* On a full disk others are told no process. */
    if (ftruncate(dir->lock_fd, 0) != 0 ||
        pwrite(dir->lock_fd, pid, (size_t)len, 0) != len)
        errno = 0;
}

int stem_directory_look(stem_directory *dir, enum stem_directory_claim claim)
{
    int found = stem_directory_inspect(dir);

    if (found >= 0 || stem_directory_lock(dir, false, claim) == STEM_ELOCKED)
        return found < 0 ? STEM_ELOCKED : found;
    int again = stem_directory_is_removed(dir) ? STEM_EGONE : stem_directory_inspect(dir);
    stem_directory_unlock(dir);
    return again == found ? found : STEM_EGONE;
}

int stem_directory_sync_names(const stem_directory *dir)
{
    return fsync(dir->fd) == 0 ? STEM_OK : stem_directory_fail(dir, "sync", "");
}

int stem_directory_mark(const stem_directory *dir)
{
    const size_t size = sizeof marker_text - 1;
    int fd = stem_descriptor_open(dir->fd, STEM_MARKER_NAME, O_WRONLY | O_CREAT | O_TRUNC,
                                  0666);
    int parent;

    if (fd < 0)
        return stem_directory_fail(dir, "make", STEM_MARKER_NAME);
    errno = ENOSPC; /* for a short write, which sets none */
    if (write(fd, marker_text, size) != (ssize_t)size || fsync(fd) != 0) {
        int code = stem_directory_fail(dir, "write", STEM_MARKER_NAME);
        stem_descriptor_close(fd);
        unlinkat(dir->fd, STEM_MARKER_NAME, 0);
        return code;
    }
    stem_descriptor_close(fd);
    /* The directory's own name lies in its parent, which may be one we cannot read. */
    parent = stem_descriptor_open(dir->fd, "..", O_RDONLY | O_DIRECTORY, 0);
    if (parent >= 0) {
        fsync(parent);
        stem_descriptor_close(parent);
    }
    return stem_directory_sync_names(dir);
}

/* ---- Removing --------------------------------------------------------------------- */

static int remove_file(const stem_directory *dir, const char *name)
{
    /* A directory is nobody's file of LevelDB's, whatever its name. */
    if (unlinkat(dir->fd, name, 0) == 0 || errno == ENOENT || errno == EISDIR)
        return STEM_OK;
    return stem_directory_fail(dir, "remove", name);
}

/* Removes LevelDB's files, whatever their order, and leaves what is Stem's or foreign. */
static int remove_files(const stem_directory *dir)
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
        const enum stem_file_kind kind = stem_file_classify(name, &number);
        if (kind != FOREIGN && kind != OURS)
            code = remove_file(dir, name);
    }
    stem_listing_close(listing);
    errno = cause;
    return cause != 0 ? stem_directory_fail(dir, "list", "") : code;
}

/* A name in another's place takes no room on a full disk. From here on the database is no more,
 * whatever becomes of its removal. */
static int begin_removal(const stem_directory *dir)
{
    if (renameat(dir->fd, "CURRENT", dir->fd, STEM_REMOVAL_NAME) == 0 || errno == ENOENT)
        return STEM_OK;
    /* Where it cannot be renamed, it can perhaps be removed. */
    return remove_file(dir, "CURRENT");
}

int stem_directory_finish_removal(const stem_directory *dir)
{
    stem_directory_clear_trial(dir);
    const int code = remove_files(dir);
    return code == STEM_OK ? remove_file(dir, STEM_REMOVAL_NAME) : code;
}

int stem_directory_clear(const stem_directory *dir)
{
    int code = begin_removal(dir);

    if (code == STEM_OK)
        code = stem_directory_finish_removal(dir);
    if (code == STEM_OK)
        code = remove_file(dir, STEM_SOCKET_NAME);
    if (code == STEM_OK)
        code = remove_file(dir, STEM_SOCKET_NAME ".new");
    if (code == STEM_OK)
        code = remove_file(dir, STEM_MARKER_NAME);
    return code == STEM_OK ? remove_file(dir, STEM_LOCK_NAME) : code;
}

int stem_directory_remove(const stem_directory *dir)
{
    char stranger[256] = "";
    const char *name;

    int code = stem_directory_clear(dir);
    if (code != STEM_OK)
        return code;
    if (rmdir(dir->path) == 0)
        return STEM_OK;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return stem_directory_fail(dir, "remove", "");

    DIR *listing = stem_directory_list(dir);
    if (!listing)
        return stem_errcode();
    if ((name = stem_directory_next(listing)) != NULL)
        snprintf(stranger, sizeof stranger, "%s", name);
    stem_listing_close(listing);
    return stem_fail(STEM_EXISTS, "the database is removed, but %s is kept: it holds %s",
                     dir->path, stranger);
}
