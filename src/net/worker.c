/*
 * The thread for what waits; see worker.h.
 */
#include "worker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"

struct stem_worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    stem_task *first, **end;
    bool is_stopping;
};

static void finish(stem_post *post)
{
    stem_task *task = (stem_task *)post;

    task->server->n_tasks--;
    task->finish(task);
}

static stem_task *wait_for_task(struct stem_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    while (!worker->first && !worker->is_stopping)
        pthread_cond_wait(&worker->changed, &worker->lock);
    stem_task *task = worker->first;
    if (task) {
        worker->first = task->next;
        if (!worker->first)
            worker->end = &worker->first;
    }
    pthread_mutex_unlock(&worker->lock);
    return task;
}

static void *work(void *argument)
{
    struct stem_worker *worker = argument;

    for (stem_task *task; (task = wait_for_task(worker));) {
        task->run(task);
        stem_server_post(task->server, &task->post);
    }
    return NULL;
}

int stem_worker_start(stem_server *server)
{
    struct stem_worker *worker = calloc(1, sizeof *worker);
    sigset_t all, before;

    if (!worker)
        return stem_fail(STEM_ENOMEM, "no memory for a server");
    worker->end = &worker->first;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->changed, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int cause = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (cause != 0) {
        free(worker);
        return stem_fail(STEM_EIO, "cannot start a thread: %s", strerror(cause));
    }
    server->worker = worker;
    return STEM_OK;
}

void stem_worker_stop(stem_server *server)
{
    struct stem_worker *worker = server->worker;

    if (!worker)
        return;
    pthread_mutex_lock(&worker->lock);
    worker->is_stopping = true;
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
    server->worker = NULL;
}

void stem_worker_add(stem_server *server, stem_task *task)
{
    struct stem_worker *worker = server->worker;

    server->n_tasks++;
    task->server = server;
    task->next = NULL;
    task->post = (stem_post){.run = finish};
    pthread_mutex_lock(&worker->lock);
    *worker->end = task;
    worker->end = &task->next;
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}
