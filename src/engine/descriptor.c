/*
 * The list of the library's own file descriptors: see descriptor.h.
 *
 * A descriptor is opened and entered, or closed and struck off, under one lock that
 * fork() takes as well, so that the list is right in the child whatever other threads
 * were doing.
 */
#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum listed { NOT_LISTED, OPENED, ACCEPTED };

/* One list serves the process, as fork() copies all of a process's descriptors, and as they
 * have one limit: by number, whether it is one of these. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char *list; /* enum listed */
static size_t n_numbers;
static atomic_size_t n_accepted;

/* Sets what a number is; list_lock is held. */
static void mark(size_t number, enum listed as)
{
    n_accepted += as == ACCEPTED;
    n_accepted -= list[number] == ACCEPTED;
    list[number] = (unsigned char)as;
}

/* Enters an open descriptor, or closes it when there is no memory to; list_lock is held. */
static int enter_as(enum listed as, int fd)
{
    const size_t number = (size_t)fd;

    if (fd < 0)
        return fd;
    if (number >= n_numbers) {
        size_t room = n_numbers ? n_numbers : 64;
        while (room <= number)
            room *= 2;
        unsigned char *larger = realloc(list, room);
        if (!larger) {
            close(fd);
            errno = ENOMEM;
            return -1;
        }
        memset(larger + n_numbers, NOT_LISTED, room - n_numbers);
        list = larger;
        n_numbers = room;
    }
    mark(number, as);
    return fd;
}

static int enter(int fd)
{
    return enter_as(OPENED, fd);
}

int stem_descriptor_open(int directory, const char *name, int flags, mode_t mode)
{
    pthread_mutex_lock(&list_lock);
    const int fd = enter(openat(directory, name, flags | O_CLOEXEC, mode));
    pthread_mutex_unlock(&list_lock);
    return fd;
}

int stem_descriptor_socket(int domain, int type)
{
    pthread_mutex_lock(&list_lock);
    const int fd = enter(socket(domain, type | SOCK_CLOEXEC, 0));
    pthread_mutex_unlock(&list_lock);
    return fd;
}

int stem_descriptor_accept(int listening, int flags)
{
    pthread_mutex_lock(&list_lock);
    const int fd =
        enter_as(ACCEPTED, accept4(listening, NULL, NULL, flags | SOCK_CLOEXEC));
    pthread_mutex_unlock(&list_lock);
    return fd;
}

size_t stem_descriptors_accepted(void)
{
    return n_accepted;
}

bool stem_descriptor_has_own_user(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           peer.uid == geteuid();
}

int stem_descriptor_event(void)
{
    pthread_mutex_lock(&list_lock);
    const int fd = enter(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    pthread_mutex_unlock(&list_lock);
    return fd;
}

int stem_descriptor_memory(void)
{
    pthread_mutex_lock(&list_lock);
    const int fd = enter(memfd_create("stem", MFD_CLOEXEC));
    pthread_mutex_unlock(&list_lock);
    return fd;
}

bool stem_descriptors_are_left(size_t n)
{
    enum { MOST = 16 };
    int fds[MOST];
    size_t opened = 0;

    while (opened < n && opened < MOST && (fds[opened] = stem_descriptor_event()) >= 0)
        opened++;
    const bool are_left = opened == n;
    while (opened > 0)
        stem_descriptor_close(fds[--opened]);
    return are_left;
}

void stem_descriptor_close(int fd)
{
    int cause = errno;

    pthread_mutex_lock(&list_lock);
    mark((size_t)fd, NOT_LISTED);
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
    mark((size_t)dirfd(listing), NOT_LISTED);
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
    for (size_t number = 0; number < n_numbers; number++)
        if (list[number] != NOT_LISTED)
            close((int)number);
    if (n_numbers > 0)
        memset(list, NOT_LISTED, n_numbers);
    n_accepted = 0;
    list_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}
