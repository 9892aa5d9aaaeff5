/*
 * The list of the engines' own file descriptors: see descriptor.h.
 *
 * A descriptor is opened and entered, or closed and struck off, under one lock that
 * fork() takes as well, so that the list is right in the child whatever other threads
 * were doing.
 */
#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* One list serves the process, as fork() copies all of a process's descriptors. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static int *list;
static size_t n_open, list_room;

/* Makes room for one more; list_lock is held. */
static bool make_room(void)
{
    if (n_open < list_room)
        return true;
    size_t room = list_room ? 2 * list_room : 16;
    int *larger = realloc(list, room * sizeof *larger);
    if (!larger) {
        errno = ENOMEM;
        return false;
    }
    list = larger;
    list_room = room;
    return true;
}

/* Strikes it off; list_lock is held. */
static void strike(int fd)
{
    size_t i = 0;

    while (list[i] != fd)
        i++;
    list[i] = list[--n_open];
}

int stem_descriptor_open(int directory, const char *name, int flags, mode_t mode)
{
    int fd = -1;

    pthread_mutex_lock(&list_lock);
    if (make_room())
        fd = openat(directory, name, flags | O_CLOEXEC, mode);
    if (fd >= 0)
        list[n_open++] = fd;
    pthread_mutex_unlock(&list_lock);
    return fd;
}

int stem_descriptor_socket(int domain, int type)
{
    int fd = -1;

    pthread_mutex_lock(&list_lock);
    if (make_room())
        fd = socket(domain, type | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        list[n_open++] = fd;
    pthread_mutex_unlock(&list_lock);
    return fd;
}

void stem_descriptor_close(int fd)
{
    int cause = errno;

    pthread_mutex_lock(&list_lock);
    strike(fd);
    close(fd);
    pthread_mutex_unlock(&list_lock);
    errno = cause;
}

DIR *stem_listing_open(int directory)
{
    int fd = stem_descriptor_open(directory, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !listing)
        stem_descriptor_close(fd);
    return listing;
}

void stem_listing_close(DIR *listing)
{
    int cause = errno;

    pthread_mutex_lock(&list_lock);
    strike(dirfd(listing));
    closedir(listing);
    pthread_mutex_unlock(&list_lock);
    errno = cause;
}

void stem_descriptors_before_fork(void)
{
    pthread_mutex_lock(&list_lock);
}

void stem_descriptors_after_fork(void)
{
    pthread_mutex_unlock(&list_lock);
}

void stem_descriptors_in_child(void)
{
    while (n_open > 0)
        close(list[--n_open]);
    list_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}
