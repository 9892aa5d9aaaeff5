/*
 * The servers that are compared: each a process of its own with a fresh database, started
 * and ended by the benchmark, one at a time.
 */
#ifndef STEM_BENCH_SERVED_BY_H
#define STEM_BENCH_SERVED_BY_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/types.h>

#include "bench.h"

/* SERVED_BY_SHARING is Stem's with its directory shared as well, and opened so. */
enum { SERVED_BY_STEM, SERVED_BY_SHARING, SERVED_BY_REDIS, SERVERS };

/* One that runs. */
typedef struct served_by {
    int which;
    char *dir;
    char socket[108], address[128]; /* its path, and where it listens */
    char location[160];             /* as stem_open takes it */
    pid_t process;
    redisContext *client;
} served_by;

/* Whether there is a redis-server; prints its version. */
bool served_by_redis_is_there(void);

/* Starts one in the keeper's directory, and waits until it answers. */
void served_by_start(served_by *started, int which, const bench_arguments *given);
/* Waits until it has nothing left to do in the background, for two minutes at most. */
void served_by_settle(served_by *server);
/* Ends it and removes its files. */
void served_by_stop(served_by *stopped);

/* Kills it, without waiting; and another one on the same files after that. */
void served_by_kill(served_by *killed);
void served_by_start_again(served_by *killed, const bench_arguments *given);

/* Asks, and returns the answer, owned: freeReplyObject. An error ends the benchmark. */
redisReply *served_by_ask(served_by *server, int n, const char **words,
                          const size_t *lengths);

#endif
