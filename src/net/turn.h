/*
 * Turns: which of a server's threads has the loop.
 *
 * A hand-over between threads costs more than most commands and commits do, so the thread that
 * has the loop runs them itself; and how long one takes is not known before: LevelDB steps over a
 * million removed entries, reads a value of 60 MB, waits for a disk or a compaction within one
 * call. So what may take long lies between stem_turn_begin and stem_turn_end, and the other
 * threads keep the time: one that waits takes the loop over from a thread that is between the two
 * for longer than a millisecond, and others are served meanwhile. When the slow thread arrives at
 * the end, it waits until it has the loop again and goes on where it was: to its callers it is a
 * call after which connections may have been closed, and groups committed.
 *
 * Where every thread is away nothing that may take long begins, and the loop goes on with what
 * does not.
 */
#ifndef STEM_NET_TURN_H
#define STEM_NET_TURN_H

#include "connection.h"

int stem_turns_prepare(stem_server *server);
void stem_turns_forget(stem_server *server);
/* Starts threads, each of which calls `run_loop` whenever it has got the loop: that answers
 * true when the server is at its end, and false after stem_turn_yield. */
int stem_turns_start(stem_server *server, bool (*run_loop)(stem_server *server));
void stem_turns_join(stem_server *server);

/* Whether there is a thread that could take the loop over. Without one no request is begun that
 * takes a turn; what a request does in several may find none later on, and then others wait until
 * a thread comes back. */
bool stem_turn_is_free(const stem_server *server);
/* Between the two calls the thread touches nothing of the server's but what the turn names; of
 * the connection what commands touch: its job, transaction, output and request. With `is_slow` it
 * is known to take long. */
stem_turn stem_turn_begin(stem_server *server, stem_connection *of, stem_group *group,
                          bool is_slow);
/* The thread has the loop, again or still. The connection may be dead by now, and the group not
 * the forming one any more: then it is among the server's `gathered`. */
void stem_turn_end(stem_server *server, const stem_turn *turn);

/* In the loop, when nothing is being done: whether a thread that was away wants it back, and now
 * has it. */
bool stem_turn_yield(stem_server *server);

#endif
