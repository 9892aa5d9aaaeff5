/*
 * Threads for what waits, each for tasks of one kind, one at a time and in order: so nobody's
 * session waits for who syncs, and no sync for who compacts.
 */
#ifndef STEM_NET_WORKER_H
#define STEM_NET_WORKER_H

#include "server.h"

enum stem_worker {
    STEM_WORKER_SESSIONS, /* records of sessions: a commit each */
    STEM_WORKER_SYNCS,
    STEM_WORKER_SWEEPS, /* over all that there is: compactions, FLUSHDB */
    STEM_WORKERS
};

typedef struct stem_task {
    stem_post post;
    struct stem_task *next;
    stem_server *server;
    void (*run)(struct stem_task *task);    /* on the worker's thread */
    void (*finish)(struct stem_task *task); /* in the loop, afterwards; frees it */
} stem_task;

int stem_workers_start(stem_server *server);
/* What is under way is finished first. */
void stem_workers_stop(stem_server *server);
void stem_worker_add(stem_server *server, enum stem_worker which, stem_task *task);

#endif
