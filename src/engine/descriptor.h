/*
 * The file descriptors that the library opens itself. All of them are
 * close-on-exec and on one list, so that a forked child can close its copies: none of
 * them outlives the parent. Those that libevent opens for a server's loop are on no list; a
 * child's copies of them keep nothing of the parent's open.
 */
#ifndef STEM_ENGINE_DESCRIPTOR_H
#define STEM_ENGINE_DESCRIPTOR_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* As openat() and close(), but for the list. */
int stem_descriptor_open(int directory, const char *name, int flags, mode_t mode);
void stem_descriptor_close(int fd);
/* As socket() and accept4(), but for the list. */
int stem_descriptor_socket(int domain, int type);
int stem_descriptor_accept(int listening, int flags);
/* How many of those that were accepted are open, in the whole process. */
size_t stem_descriptors_accepted(void);
/* Whether the process may have so many more, up to 16, at this moment; false with errno set. */
bool stem_descriptors_are_left(size_t n);
/* Whether the process at the other end of a Unix socket is of this user. */
bool stem_descriptor_has_own_user(int fd);
/* As eventfd(), nonblocking. */
int stem_descriptor_event(void);
/* An empty file in memory. */
int stem_descriptor_memory(void);

/* A listing of the directory with an offset of its own, NULL with errno set on
 * failure. */
DIR *stem_listing_open(int directory);
void stem_listing_close(DIR *listing);

/* Around fork(), after every other lock of the library's is taken. */
void stem_descriptors_before_fork(void);
void stem_descriptors_after_fork(void);
/* In the child instead: closes all. */
void stem_descriptors_in_child(void);

#endif
