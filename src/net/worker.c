/*
 * The threads for what waits; see worker.h.
 */
#include "worker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"

typedef struct worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    stem_task *first, **end;
    bool is_stopping;
} worker;

struct stem_workers {
    worker all[STEM_WORKERS];
    size_t n_started;
};

static void finish(stem_post *post)
{
    stem_task *task = (stem_task *)post;

    task->server->n_tasks--;
    task->finish(task);
}

static stem_task *wait_for_task(worker *of)
{
    pthread_mutex_lock(&of->lock);
    while (!of->first && !of->is_stopping)
        pthread_cond_wait(&of->changed, &of->lock);
    stem_task *task = of->first;
    if (task) {
        of->first = task->next;
        if (!of->first)
            of->end = &of->first;
    }
    pthread_mutex_unlock(&of->lock);
    return task;
}

static void *work(void *argument)
{
    worker *self = argument;

    for (stem_task *task; (task = wait_for_task(self));) {
        task->run(task);
        stem_server_post(task->server, &task->post);
    }
    return NULL;
}

static int start(worker *made)
{
    made->end = &made->first;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    const int cause = pthread_create(&made->thread, NULL, work, made);
    if (cause == 0)
        return STEM_OK;
    pthread_cond_destroy(&made->changed);
    pthread_mutex_destroy(&made->lock);
    return stem_fail(STEM_EIO, "cannot start a thread: %s", strerror(cause));
}

static void stop(worker *of)
{
    pthread_mutex_lock(&of->lock);
    of->is_stopping = true;
    pthread_cond_signal(&of->changed);
    pthread_mutex_unlock(&of->lock);
    pthread_join(of->thread, NULL);
    pthread_cond_destroy(&of->changed);
    pthread_mutex_destroy(&of->lock);
}

int stem_workers_start(stem_server *server)
{
    struct stem_workers *workers = calloc(1, sizeof *workers);
    sigset_t all, before;
    int code = STEM_OK;

    if (!workers)
        return stem_fail(STEM_ENOMEM, "no memory for a server");
    server->workers = workers;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (workers->n_started < STEM_WORKERS && code == STEM_OK) {
        code = start(&workers->all[workers->n_started]);
        workers->n_started += code == STEM_OK;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

void stem_workers_stop(stem_server *server)
{
    struct stem_workers *workers = server->workers;

    if (!workers)
        return;
    while (workers->n_started > 0)
        stop(&workers->all[--workers->n_started]);
    free(workers);
    server->workers = NULL;
}

void stem_worker_add(stem_server *server, enum stem_worker which, stem_task *task)
{
    worker *to = &server->workers->all[which];

    server->n_tasks++;
    task->server = server;
    task->next = NULL;
    task->post = (stem_post){.run = finish};
    pthread_mutex_lock(&to->lock);
    *to->end = task;
    to->end = &task->next;
    pthread_cond_signal(&to->changed);
    pthread_mutex_unlock(&to->lock);
}
