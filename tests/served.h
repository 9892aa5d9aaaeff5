/*
 * A served database and clients of it, for tests; the clients are hiredis's.
 */
#ifndef STEM_TESTS_SERVED_H
#define STEM_TESTS_SERVED_H

#include <hiredis/hiredis.h>

#include "stem.h"
#include "support.h"

/* Serves at a Unix socket of the test's own; the options' `listen` is filled in. */
stem_server *serve(stem_db *db, const stem_server_options *options);
/* Where the last one listens: "unix:...", and the path alone. */
const char *served_at(void);
const char *socket_path(void);

/* A connection to it. */
redisContext *dial(void);

/* Asks, printf-like as redisCommand has it; the answer as one line: "+OK", "7", "\"text\"",
 * "nil", "[1 nil]", "-ERR ...", and "gone" when the connection has ended. Lives until the next
 * call. */
const char *ask(redisContext *client, const char *format, ...);
/* The next answer to what was appended. */
const char *next_answer(redisContext *client);

#define assert_answer(expected, ...) ck_assert_str_eq(ask(__VA_ARGS__), (expected))

/* A connection of this user's, whose password is "secret" (users.h). */
redisContext *dial_as(const char *name);

#endif
