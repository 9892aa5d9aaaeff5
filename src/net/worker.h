/*
 * A thread for what waits: commands that sync or compact. One at a time, in order.
 */
#ifndef STEM_NET_WORKER_H
#define STEM_NET_WORKER_H

#include "server.h"

typedef struct stem_task {
    stem_post post;
    struct stem_task *next;
    stem_server *server;
    void (*run)(struct stem_task *task);    /* on the worker's thread */
    void (*finish)(struct stem_task *task); /* in the loop, afterwards; frees it */
} stem_task;

int stem_worker_start(stem_server *server);
/* What is under way is finished first. */
void stem_worker_stop(stem_server *server);
void stem_worker_add(stem_server *server, stem_task *task);

#endif
