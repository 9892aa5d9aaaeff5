/*
 * Private directories on memory-backed storage, for `mem:`.
 *
 * Each user has one directory, closed to others, with one directory a database in it. A
 * database that is not locked has lost its process; while a new one is being made, or old
 * ones are removed, the user's own lock is held, so that nothing half made is taken for
 * abandoned.
 */
#include "memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../error.h"
#include "descriptor.h"

static const char *const candidates[] = {"/dev/shm", "/run/shm", "/tmp"};
enum { TMPFS = 0x01021994, RAMFS = (int)0x858458F6, PATH_ROOM = 256 };

static const char *find_storage(void)
{
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        struct statfs storage;

        if (statfs(candidates[i], &storage) == 0 &&
            ((int)storage.f_type == TMPFS || (int)storage.f_type == RAMFS) &&
            access(candidates[i], W_OK | X_OK) == 0)
            return candidates[i];
    }
    return NULL;
}

/* Opens, and makes, the user's own directory, which must be the user's and nobody
 * else's. */
static int open_home(char *path, size_t size, int *home)
{
    const char *storage = find_storage();
    struct stat status;

    if (!storage)
        return stem_fail(STEM_ENOTSUP, "no memory-backed storage: none of /dev/shm, "
                                       "/run/shm and /tmp is a writable tmpfs");
    snprintf(path, size, "%s/stem-%lu", storage, (unsigned long)geteuid());
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return stem_fail(STEM_EIO, "cannot make %s: %s", path, strerror(errno));
    int fd = stem_descriptor_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd < 0)
        return stem_fail(STEM_EIO, "cannot open %s: %s", path, strerror(errno));
    if (fstat(fd, &status) != 0 || status.st_uid != geteuid() ||
        (status.st_mode & 077) != 0) {
        stem_descriptor_close(fd);
        return stem_fail(STEM_EIO, "%s is not this user's alone; remove it", path);
    }
    *home = fd;
    return STEM_OK;
}

/* Waits for the user's lock, which goes with the descriptor. */
static int lock_home(const char *path, int home, int *lock)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = stem_descriptor_open(home, "lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    int answer = -1;

    if (fd >= 0)
        do
            answer = fcntl(fd, F_OFD_SETLKW, &whole);
        while (answer != 0 && errno == EINTR);
    if (answer != 0) {
        int code = stem_fail(STEM_EIO, "cannot lock %s: %s", path, strerror(errno));
        if (fd >= 0)
            stem_descriptor_close(fd);
        return code;
    }
    *lock = fd;
    return STEM_OK;
}

/* Removes the databases that nobody has locked. What cannot be removed is left for the
 * next time: it is nobody's failure here. */
static void remove_abandoned(const char *path, int home)
{
    DIR *listing = stem_listing_open(home);
    struct dirent *entry;
    stem_failure last;

    if (!listing)
        return;
    stem_failure_save(&last);
    while ((entry = readdir(listing)) != NULL) {
        char name[PATH_ROOM * 2];
        stem_directory dir;
        bool made;

        if (strncmp(entry->d_name, "mem-", 4) != 0)
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (stem_directory_open(name, false, &dir, &made) != STEM_OK)
            continue;
        if (stem_directory_lock(&dir, true, STEM_CLAIM_ALONE) == STEM_OK)
            stem_directory_remove(&dir);
        stem_directory_close(&dir);
    }
    stem_listing_close(listing);
    stem_failure_restore(&last);
}

/* Makes one directory under the user's, whose lock is held. */
static int make_directory(const char *home_path, stem_directory *dir)
{
    char path[PATH_ROOM];
    bool made;

    snprintf(path, sizeof path, "%s/mem-XXXXXX", home_path);
    if (!mkdtemp(path))
        return stem_fail(STEM_EIO, "cannot make %s: %s", path, strerror(errno));
    int code = stem_directory_open(path, false, dir, &made);
    if (code != STEM_OK) {
        rmdir(path);
        return code == STEM_NOTFOUND || code == STEM_EGONE
                   ? stem_fail(STEM_EIO, "%s was removed", path)
                   : code;
    }
    code = stem_directory_lock(dir, true, STEM_CLAIM_ALONE);
    if (code == STEM_OK) {
        stem_directory_sign(dir);
        code = stem_directory_mark(dir);
    }
    if (code != STEM_OK) {
        stem_directory_remove(dir);
        stem_directory_close(dir);
    }
    return code;
}

int stem_memory_directory(stem_directory *dir)
{
    char path[PATH_ROOM / 2];
    int home = -1, lock = -1;

    int code = open_home(path, sizeof path, &home);
    if (code != STEM_OK)
        return code;
    code = lock_home(path, home, &lock);
    if (code == STEM_OK) {
        remove_abandoned(path, home);
        code = make_directory(path, dir);
        stem_descriptor_close(lock);
    }
    stem_descriptor_close(home);
    return code;
}
