/*
 * Databases for the tests of operations, and what lies in them as one line of text.
 */
#ifndef STEM_TESTS_PLACE_H
#define STEM_TESTS_PLACE_H

#include "stem.h"
#include "support.h"

/* Environment variables that give every new database write-back. */
#define WRITEBACK_BYTES "STEM_TEST_WRITEBACK_BYTES"
#define WRITEBACK_MS "STEM_TEST_WRITEBACK_MS"

/* Another that has them in memory, "mem:". */
#define IN_MEMORY "STEM_TEST_IN_MEMORY"

/* Another that has the test open them as a client of a server. */
#define SERVED "STEM_TEST_SERVED"

/* Another that has another process own them, which the test's shares. */
#define SHARED "STEM_TEST_SHARED"

/* A new database in a directory of its own, in memory, served, or shared. */
stem_db *new_database(void);
/* Where the last one lies, or NULL when it cannot be opened there alone. */
const char *last_location(void);

/* Everything below the handle, in order: "a=1 b/c=2.5f d=text e=<array>". Integers are bare,
 * floats end in an f, strings are themselves up to 40 bytes, others are named by their
 * type. The text is borrowed until the next call. */
const char *contents(stem_db *db);

#define assert_contents(db, expected) ck_assert_str_eq(contents(db), expected)

/* Asserts a failure of that code, which has a text. */
#define assert_failure(expression, expected)                                             \
    do {                                                                                 \
        assert_code(expression, expected);                                               \
        ck_assert_int_eq(stem_errcode(), expected);                                      \
        ck_assert_str_ne(stem_errmsg(), "");                                             \
    } while (0)

/* A name that is one byte too long, and the longest that is not. */
extern const char *const too_long_name, *const longest_name;

/* How many files were synced by this process so far. */
unsigned files_synced(void);

/* The number in an environment variable, or the fallback. */
unsigned long number_from(const char *variable, unsigned long fallback);

#endif
