/*
 * Commands as a server runs them, without one: a request in words, its reply as text.
 */
#ifndef STEM_TESTS_OWN_SUPPORT_H
#define STEM_TESTS_OWN_SUPPORT_H

#include "engine_support.h"
#include "net/command.h"
#include "net/cursors.h"
#include "net/sessions.h"
#include "net/snapshots.h"

/* Who asks, changed by the tests as they need it. */
extern stem_engine *engine;
extern stem_caller peer;
extern stem_slice scope;
extern bool has_raw_keys;
/* What the last command asked for. */
extern bool wants_sync;
/* How many steps the last command took, if it was one that goes in steps. */
extern unsigned steps_taken;
/* Called, when they are not NULL, between two steps of a command, and before what it has
 * written is committed. */
extern void (*between_steps)(void), (*before_commit)(void);

/* For checked fixtures: an engine in memory, nobody's scope, no session. */
void open_caller(void);
void close_caller(void);

/* Runs one command, and adds its reply. */
int run_words(const stem_slice *words, size_t n, stem_reply *reply);
/* Runs one command on an execution of its own, until its commit is no conflict, and
 * gives its reply: OK, !ERR for an error, 7, "text" with \HH for what is no ASCII to
 * read, nil, and [1 "a"] for an array; STEM_EIO and the like when it fails. Borrowed
 * until the next one. */
const char *ask_words(const stem_slice *words, size_t n);
/* The same for words that are C strings, the last followed by NULL. */
const char *ask(const char *first, ...) __attribute__((sentinel));

#define assert_reply(expected, ...) ck_assert_str_eq(ask(__VA_ARGS__, NULL), expected)
/* That the reply begins so. */
#define assert_reply_begins(expected, ...)                                               \
    do {                                                                                 \
        const char *reply_ = ask(__VA_ARGS__, NULL);                                     \
        ck_assert_msg(strncmp(reply_, (expected), strlen(expected)) == 0,                \
                      "the reply is %s, not %s...", reply_, (expected));                 \
    } while (0)

/* The id in the last reply, as text; lives until the process ends. */
const char *last_id(void);

#endif
