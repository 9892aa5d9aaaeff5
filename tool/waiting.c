/*
 * A line for a person while a location does not answer: a server that starts again is waited for,
 * and so is one whose address has a typing error.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

enum { SILENT_SECONDS = 1 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static bool has_thread, is_over;
static const char *awaited; /* the location */

static void *tell_later(void *argument)
{
    struct timespec until;
    int cause = 0;

    (void)argument;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SILENT_SECONDS;
    pthread_mutex_lock(&lock);
    while (!is_over && cause != ETIMEDOUT)
        cause = pthread_cond_timedwait(&changed, &lock, &until);
    if (!is_over)
        complain("%s is not open yet; waiting", awaited);
    pthread_mutex_unlock(&lock);
    return NULL;
}

void begin_waiting(const char *location)
{
    is_over = false;
    awaited = location;
    has_thread =
        isatty(STDERR_FILENO) && pthread_create(&thread, NULL, tell_later, NULL) == 0;
}

void end_waiting(void)
{
    if (!has_thread)
        return;
    pthread_mutex_lock(&lock);
    is_over = true;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
}
