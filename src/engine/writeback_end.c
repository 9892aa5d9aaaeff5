/*
 * The write-back engine: the end of the process. What was gathered is written when the process
 * ends by exit(), or by a return from main(), without having closed its databases.
 */
#include <stdlib.h>
#include <unistd.h>

#include "writeback.h"
#include "writeback_engine.h"

/* How long the end of a process may take for it: a disk that takes longer is broken. */
enum { END_SECONDS = 10 };

/* The engines that are open, as the process has one end. In a child there are none of the
 * parent's, and a child that was made without telling the library has another number. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static writeback_engine *list;
static atomic_int list_owner;

void stem_wb_note_open(writeback_engine *engine)
{
    pthread_mutex_lock(&list_lock);
    engine->next_open = list;
    list = engine;
    atomic_store(&list_owner, getpid());
    pthread_mutex_unlock(&list_lock);
}

void stem_wb_note_closed(writeback_engine *engine)
{
    writeback_engine **link = &list;

    pthread_mutex_lock(&list_lock);
    while (*link && *link != engine)
        link = &(*link)->next_open;
    if (*link)
        *link = engine->next_open;
    pthread_mutex_unlock(&list_lock);
}

void stem_writeback_after_fork(void)
{
    list_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    list = NULL;
}

/* As a destructor it runs after what the program has given to atexit(), which may still write.
 * The engines stay open: other threads may be at work on them. */
__attribute__((destructor)) static void write_at_end(void)
{
    const uint64_t deadline = stem_clock() + END_SECONDS * STEM_SECOND;
    struct timespec until;

    if (atomic_load(&list_owner) != getpid())
        return;
    /* A thread that closes one has the lock for a moment. Not pthread_mutex_clocklock, of which
     * ThreadSanitizer knows nothing. */
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += END_SECONDS;
    if (pthread_mutex_timedlock(&list_lock, &until) != 0)
        return;
    for (writeback_engine *each = list; each; each = each->next_open)
        stem_wb_flush_by(&each->base, deadline);
    pthread_mutex_unlock(&list_lock);
}
