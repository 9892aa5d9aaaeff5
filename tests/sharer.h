/*
 * Processes that share a database, each told by the test what to do, a step at a time. The
 * test's own process never uses Stem, so that what it starts inherits nothing; what a sharer
 * forks inherits all that the sharer has.
 */
#ifndef STEM_TESTS_SHARER_H
#define STEM_TESTS_SHARER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "stem.h"
#include "support.h"

enum { A, B, C, D, SHARERS = 24 };

/* What is to be done, with the answer. Texts given are literals, or older than the sharer. */
typedef struct step {
    const char *place; /* NULL: shared_place */
    stem_options options;
    const char *key, *text;
    int64_t value, more;
    int code;
    char why[512]; /* stem_errmsg() after a failure */
} step;
typedef void step_fn(step *);

/* The directory that is shared: set before a sharer is started. */
extern const char *shared_place;
/* Of each process: what it has opened. */
extern stem_db *shared_db;

/* Starts sharers from A on in a new place. */
void start_sharers(int n);
void start_sharer(int who);
/* Has one fork another, which has inherited what that one had. */
void fork_sharer(int from, int who);
/* Lets it return from its main function, whatever it has open. */
void end_sharer(int who);
void kill_sharer(int who);
void signal_sharer(int who, int signal);
pid_t sharer_pid(int who);

/* Has it do the step, and returns that with the answer. */
step do_in(int who, step_fn *what, step given);
/* The same in two halves; between them it is at work. */
void begin_in(int who, step_fn *what, step given);
step finish_in(int who);

/* Asserts the code of the answer. The rest are members of the step. */
#define expect(code, who, what, ...)                                                     \
    expect_code(__FILE__, __LINE__, code, #what, do_in(who, what, (step){__VA_ARGS__}))
#define expect_end(code, who)                                                            \
    expect_code(__FILE__, __LINE__, code, "what was begun", finish_in(who))
step expect_code(const char *file, int line, int code, const char *what, step done);
/* Asserts that the text of the failure has that part. */
void expect_why(const step *done, const char *part);

/* What it has under the key. */
#define expect_value(who, name, expected)                                                \
    ck_assert_int_eq(expect(STEM_OK, who, get_value, .key = (name)).value, expected)

/* The process whose number stem.lock tells; 0 when there is none. */
pid_t owner_pid(void);

bool is_there(const char *path);
/* Whether the test's process still runs: for steps that wait for it. */
bool is_tested(void);

/* ---- Steps ------------------------------------------------------------------------ */

/* Opens shared, with the other options given; and as they are given. */
step_fn open_shared, open_as_given;
step_fn close_it;
step_fn put_value, get_value, incr_value;
/* The number of entries; -1 in `value` and the cause where it fails. */
step_fn count_all;
/* Puts `value` entries "000000" and so on, each its number. */
step_fn fill;
/* Removes the database at the place. */
step_fn destroy;

/* A snapshot, and what it has under the key. */
step_fn take_snapshot, get_frozen, close_snapshot;
/* An iterator over what `fill` has put, which may resume; a seek to the first of it; and so many
 * steps of it, which have to arrive at one entry after the other. `value` then tells how far it
 * is; at the end it is closed, and `code` is the answer of that. */
step_fn open_walk, open_resuming_walk, seek_first, walk;
enum { TO_THE_END = 1 << 30 };

#endif
