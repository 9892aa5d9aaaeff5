/*
 * A server of Stem's own commands over an engine at "mem:", for tests of who asks it: small,
 * slow, and without users. It can be told to break connections, around commits too.
 */
#ifndef STEM_TESTS_SMALL_SERVER_H
#define STEM_TESTS_SMALL_SERVER_H

#include <stddef.h>

/* Starts one, with so many slots to a session, and is its location. One at a time. */
const char *start_small_server(size_t slots);
/* What it has committed, and connections taken since it was started. */
size_t small_server_commits(void), small_server_connections(void);
/* From now on one in so many requests breaks its connection, before or after it was carried
 * out; 0 for none. */
void break_connections(unsigned one_in);
/* Forgets sessions and snapshots, as another server over the same database would have. */
void forget_sessions(void);
void stop_small_server(void);

#endif
