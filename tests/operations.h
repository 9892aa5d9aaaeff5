/*
 * Shared by the random operations of test_operations_model: handles with what each should
 * see, the names and values that they are given, and what a mismatch is told with.
 */
#ifndef STEM_TESTS_OPERATIONS_H
#define STEM_TESTS_OPERATIONS_H

#include "model.h"

enum { DEPTH_MAX = 3, PATH_ROOM = 32 };

/* A handle; its prefix is each of its names with a NUL behind it. */
typedef struct site {
    stem_db *db;
    model *frozen; /* of a snapshot: what it saw */
    char prefix[PATH_ROOM];
    size_t prefix_len;
    int depth;
    bool is_read_only;
} site;

/* What a key held before an operation. */
typedef struct holding {
    bool is_there;
    model_value value; /* when it is */
} holding;

/* ---- Run and failure ---- */

/* Begins with an empty database there, and handles all over it. */
void operations_start(const char *location, unsigned long long seed);
/* Closes every handle, opens the database again and compares everything. */
void operations_reopen(void);
void operations_stop(void);

/* Names the operation about to be done, and counts it. */
void operations_next(const char *name);

/* The database as it should be now. */
extern model *live;

/* Ends the test; `key` may be NULL. */
_Noreturn void mismatch(const site *at, const char *key, const char *what,
                        const char *expected, const char *found);
void check_code(const site *at, const char *key, const char *what, int found,
                int expected);
void check_number(const site *at, const char *key, const char *what, long long found,
                  long long expected);
void check_value(const site *at, const char *key, const char *what,
                 const stem_value *found, model_value expected);
/* Compares a walk over the handle, or over its children. */
void check_walk(const site *at, const stem_range *range, bool children);

/* ---- Chance ---- */

uint32_t below(uint32_t n);
const char *any_name(void);
model_value any_value(void);
/* Narrow or wide, both ways, with a limit or none; some bounds are empty, and so none. */
stem_range any_range(void);
site *any_site(void);
/* Turns one handle into another: below, the same again, read-only, or a snapshot. */
void replace_site(void);

/* ---- The model through a handle ---- */

const model *view_of(const site *at);
holding held(const site *at, const char *key);
void set_held(const site *at, const char *key, model_value value);
void drop_held(const site *at, const char *key);
/* Removes the first `limit` entries of a walk over the live model. */
void drop_steps(const site *at, const model_walk *walk, size_t limit);
/* What a write answers: `code`, unless the handle only reads. */
int if_writable(const site *at, int code);

/* ---- Operations on keys (operations_keys.c) ---- */

typedef struct named_operation {
    const char *name;
    void (*run)(void);
    uint32_t weight;
} named_operation;

extern const named_operation key_operations[];
extern const size_t n_key_operations;

#endif
