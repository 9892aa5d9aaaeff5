/*
 * A listening Unix socket, and its place: the name in a directory at which it is found. The
 * directory stays open as long as the socket, so that it is removed where it was made, and only
 * as long as the name is still its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../clock.h"
#include "../engine/descriptor.h"
#include "../engine/directory_names.h"
#include "../error.h"
#include "server.h"

struct stem_socket_place {
    int directory;
    dev_t device; /* of the name, which no other file gets before the socket is closed */
    ino_t inode;
    char name[];
};

/* The address of a name in the directory, by way of which a path of any length can be bound
 * and connected to; false when the name is too long. */
static bool make_address(const stem_socket_place *place, const char *name,
                         struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    const int len = snprintf(address->sun_path, sizeof address->sun_path,
                             "/proc/self/fd/%d/%s", place->directory, name);
    return len > 0 && (size_t)len < sizeof address->sun_path;
}

static void close_place(stem_socket_place *place)
{
    stem_descriptor_close(place->directory);
    free(place);
}

static int check_name(const stem_socket_place *place, const char *path)
{
    struct sockaddr_un address;

    if (*place->name && make_address(place, place->name, &address))
        return STEM_OK;
    return stem_fail(STEM_EINVAL, "cannot listen at %s: its last name is %s", path,
                     *place->name ? "too long" : "empty");
}

static int open_place(const char *path, stem_socket_place **opened)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    stem_socket_place *place = calloc(1, sizeof *place + strlen(name) + 1);

    if (!directory || !place) {
        free(directory);
        free(place);
        return stem_fail(STEM_ENOMEM, "no memory to listen at %s", path);
    }
    memcpy(place->name, name, strlen(name) + 1);
    place->directory =
        stem_descriptor_open(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0);
    free(directory);
    if (place->directory < 0) {
        free(place);
        return stem_fail(STEM_EIO, "cannot listen at %s: %s", path, strerror(errno));
    }
    const int code = check_name(place, path);
    if (code == STEM_OK)
        *opened = place;
    else
        close_place(place);
    return code;
}

/* ---- Taking it -------------------------------------------------------------------- */

/* Servers that begin at one place at once take turns, from looking whether it is free until
 * they are there, by a lock on the directory. Strangers who may read the directory can hold that
 * for ever, so it is waited for much longer than a server has it, and no longer: without it
 * nothing goes wrong but what two servers in the same moment do to each other. */
static void lock_directory(const stem_socket_place *place)
{
    enum { TRIES = 1000 };
    const struct timespec moment = {.tv_nsec = (long)STEM_MILLISECOND};

    for (int i = 0; i < TRIES; i++) {
        if (flock(place->directory, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
            return;
        nanosleep(&moment, NULL);
    }
}

static void unlock_directory(const stem_socket_place *place)
{
    flock(place->directory, LOCK_UN);
}

/* STEM_OK when nothing is in the way but a socket at which nobody listens any more. */
static int check_free(const stem_socket_place *place, const char *path)
{
    struct sockaddr_un address;
    struct stat status;
    const int fd = stem_descriptor_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK);

    if (fd < 0)
        return stem_fail(STEM_EIO, "cannot make a socket: %s", strerror(errno));
    make_address(place, place->name, &address);
    const bool is_there =
        connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ||
        errno == EAGAIN;
    stem_descriptor_close(fd);
    if (is_there)
        return stem_fail(STEM_ELOCKED, "another process listens at %s", path);
    if (fstatat(place->directory, place->name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        !S_ISSOCK(status.st_mode))
        return stem_fail(STEM_EIO,
                         "cannot listen at %s: there is a file that is no socket", path);
    return STEM_OK;
}

/* Listens under another name first, so that whoever finds the socket is answered. */
static int bind_place(stem_socket_place *place, const char *path, const char *name,
                      int fd)
{
    struct sockaddr_un address;
    struct stat status;

    unlinkat(place->directory, name, 0);
    if (!make_address(place, name, &address) || fchmod(fd, 0600) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, STEM_LISTEN_BACKLOG) != 0 ||
        fstatat(place->directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        renameat(place->directory, name, place->directory, place->name) != 0) {
        const int cause = errno;

        unlinkat(place->directory, name, 0);
        return stem_fail(STEM_EIO, "cannot listen at %s: %s", path, strerror(cause));
    }
    place->device = status.st_dev;
    place->inode = status.st_ino;
    return STEM_OK;
}

static int take_free_place(stem_socket_place *place, const char *path, int fd)
{
    char name[32];

    snprintf(name, sizeof name, ".stem.%ld.%d", (long)getpid(), fd);
    lock_directory(place);
    int code = check_free(place, path);
    if (code == STEM_OK)
        code = bind_place(place, path, name, fd);
    unlock_directory(place);
    return code;
}

int stem_listen_unix(const char *path, bool is_sharing, int *listening,
                     stem_socket_place **taken)
{
    stem_socket_place *place;

    int code = open_place(path, &place);
    if (code != STEM_OK)
        return code;
    const int fd = stem_descriptor_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK);
    if (fd < 0)
        code = stem_fail(STEM_EIO, "cannot make a socket: %s", strerror(errno));
    else if (is_sharing)
        code = bind_place(place, path, STEM_SOCKET_NAME ".new", fd);
    else
        code = take_free_place(place, path, fd);
    if (code == STEM_OK) {
        *listening = fd;
        *taken = place;
        return STEM_OK;
    }
    if (fd >= 0)
        stem_descriptor_close(fd);
    close_place(place);
    return code;
}

/* ---- Leaving it ------------------------------------------------------------------- */

/* No server takes the name between the look and the removal: at the socket there is still
 * listened. */
void stem_socket_place_leave(stem_socket_place *place)
{
    struct stat status;

    if (!place)
        return;
    if (fstatat(place->directory, place->name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        status.st_dev == place->device && status.st_ino == place->inode)
        unlinkat(place->directory, place->name, 0);
    close_place(place);
}
