/*
 * A disk that fails on demand and a power cut: see failing_io.h.
 */
#include "failing_io.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

failing_io io_fails;

/* What is durable of a file that was made here. */
typedef struct made_file {
    dev_t device;
    ino_t inode;
    off_t durable;       /* bytes */
    bool is_named;       /* its directory was synced after it was made */
    bool has_lost_bytes; /* a sync failed: nothing after `durable` becomes so any more */
    char path[512];
} made_file;

enum { MAX_FILES = 4096 };
static made_file files[MAX_FILES];
static int n_files;
static atomic_int n_syncs;
static bool is_cut;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (!found)
        abort();
    return found;
}

/* Takes the lock, unless the power is cut: then it never returns. */
static void enter(void)
{
    pthread_mutex_lock(&lock);
    while (is_cut) {
        pthread_mutex_unlock(&lock);
        pause();
        pthread_mutex_lock(&lock);
    }
}

static made_file *find(const struct stat *status)
{
    for (int i = n_files - 1; i >= 0; i--)
        if (files[i].device == status->st_dev && files[i].inode == status->st_ino)
            return &files[i];
    return NULL;
}

/* Whether the last name is of LevelDB's numbered files, whatever the directory is
 * called. */
static bool has_number(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;

    return (*name >= '0' && *name <= '9') || strncmp(name, "MANIFEST-", 9) == 0;
}

/* The errno that making a file is to fail with, or 0. */
static int failure_to_make(const char *path)
{
    const char *dot = strrchr(path, '.');

    if (io_fails.create != 0)
        return io_fails.create;
    if (io_fails.table == 0 || !dot || strcmp(dot, ".ldb") != 0)
        return 0;
    if (io_fails.tables_left == 0)
        return io_fails.table;
    io_fails.tables_left--;
    return 0;
}

static void remember(int fd, const char *path)
{
    struct stat status;
    char link[64];

    if (fstat(fd, &status) != 0 || n_files == MAX_FILES)
        abort();
    made_file *file = find(&status);
    if (!file)
        file = &files[n_files++];
    *file = (made_file){.device = status.st_dev, .inode = status.st_ino};
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, file->path, sizeof file->path - 1) < 0)
        snprintf(file->path, sizeof file->path, "%s", path);
}

/* Opens to write what LevelDB would make. */
static int make(int directory, const char *path, int flags, mode_t mode)
{
    static int (*real)(int, const char *, int, ...);
    int fd = -1;

    if (!real)
        *(void **)&real = next("openat");
    if (!(flags & O_CREAT) || !has_number(path))
        return real(directory, path, flags, mode);
    enter();
    const int failure = failure_to_make(path);
    if (failure != 0)
        errno = failure;
    else
        fd = real(directory, path, flags, mode);
    if (fd >= 0)
        remember(fd, path);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE_OF(flags)                                                                   \
    mode_t mode = 0;                                                                     \
    if (flags & O_CREAT) {                                                               \
        va_list arguments;                                                               \
        va_start(arguments, flags);                                                      \
        mode = (mode_t)va_arg(arguments, int);                                           \
        va_end(arguments);                                                               \
    }

EXPORT int open(const char *path, int flags, ...)
{
    MODE_OF(flags)
    return make(AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int directory, const char *path, int flags, ...)
{
    MODE_OF(flags)
    return make(directory, path, flags, mode);
}

EXPORT ssize_t write(int fd, const void *bytes, size_t size)
{
    static ssize_t (*real)(int, const void *, size_t);
    struct stat status;
    ssize_t written;

    if (!real)
        *(void **)&real = next("write");
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return real(fd, bytes, size);
    if (io_fails.write_delay != 0)
        usleep((useconds_t)io_fails.write_delay);
    enter();
    if (io_fails.write != 0 && find(&status)) {
        written = size > 1 ? real(fd, bytes, size / 2) : 0;
        written = -1;
        errno = io_fails.write;
    } else {
        written = real(fd, bytes, size);
    }
    pthread_mutex_unlock(&lock);
    return written;
}

EXPORT int fallocate(int fd, int mode, off_t offset, off_t size)
{
    static int (*real)(int, int, off_t, off_t);

    if (!real)
        *(void **)&real = next("fallocate");
    if (io_fails.interruptions > 0) {
        io_fails.interruptions--;
        errno = EINTR;
        return -1;
    }
    return real(fd, mode, offset, size);
}

static int sync_file(int fd, int (*real)(int))
{
    struct stat status;
    int answer = -1;

    if (fstat(fd, &status) != 0)
        return -1;
    if (io_fails.sync_delay != 0)
        usleep((useconds_t)io_fails.sync_delay);
    enter();
    n_syncs++;
    made_file *file = find(&status);
    if (io_fails.sync != 0) {
        errno = io_fails.sync;
        if (file)
            file->has_lost_bytes = true;
        if (io_fails.syncs_failing > 0 && --io_fails.syncs_failing == 0)
            io_fails.sync = 0;
    } else {
        answer = real(fd);
        if (file && !file->has_lost_bytes)
            file->durable = status.st_size;
        for (int i = 0; i < n_files && S_ISDIR(status.st_mode); i++)
            if (files[i].device == status.st_dev)
                files[i].is_named = true;
    }
    pthread_mutex_unlock(&lock);
    return answer;
}

EXPORT int fsync(int fd)
{
    static int (*real)(int);

    if (!real)
        *(void **)&real = next("fsync");
    return sync_file(fd, real);
}

EXPORT int fdatasync(int fd)
{
    static int (*real)(int);

    if (!real)
        *(void **)&real = next("fdatasync");
    return sync_file(fd, real);
}

EXPORT int unlinkat(int directory, const char *path, int flags)
{
    static int (*real)(int, const char *, int);

    if (!real)
        *(void **)&real = next("unlinkat");
    if (io_fails.remove != 0 && io_fails.removals_left-- <= 0) {
        errno = io_fails.remove;
        return -1;
    }
    return real(directory, path, flags);
}

EXPORT struct dirent *readdir(DIR *listing)
{
    static struct dirent *(*real)(DIR *);

    if (!real)
        *(void **)&real = next("readdir");
    if (io_fails.list != 0 && io_fails.entries_left-- <= 0) {
        errno = io_fails.list;
        return NULL;
    }
    return real(listing);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    if (!real)
        *(void **)&real = next("pthread_create");
    if (io_fails.thread != 0 && io_fails.threads_left-- <= 0)
        return io_fails.thread;
    return real(thread, attributes, start, argument);
}

int syncs_so_far(void)
{
    return n_syncs;
}

void cut_power(void)
{
    enter();
    is_cut = true;
    for (int i = 0; i < n_files; i++) {
        struct stat status;

        if (stat(files[i].path, &status) != 0 || status.st_ino != files[i].inode)
            continue;
        if (!files[i].is_named)
            unlink(files[i].path);
        else if (status.st_size > files[i].durable &&
                 truncate(files[i].path, files[i].durable) != 0)
            abort();
    }
    pthread_mutex_unlock(&lock);
}
