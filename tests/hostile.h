/*
 * Requests of who wants out of a scope: every command that a server knows, with keys, bounds,
 * patterns, cursors and ids that were made up, guessed, or seen elsewhere. None of the words
 * holds what a test hides as a secret.
 */
#ifndef STEM_TESTS_HOSTILE_H
#define STEM_TESTS_HOSTILE_H

#include <stdbool.h>

#include "buffer.h"
#include "engine.h"

/* Names that sort next to the scopes "in" and "in/deep", look like them, or lie in them, as
 * stored bytes. */
extern const stem_slice hostile_neighbours[];
extern const size_t n_hostile_neighbours;

/* What a client may know of a value outside: it sees values like it, and guesses. As it is
 * stored, and as text. */
#define GUESSED_VALUE "\xA6secret"
#define GUESSED_TEXT "secret"

/* What stands in a word's place until it is known in which database the request is made. */
enum hostile_role {
    HOSTILE_WORD, /* the word itself */
    HOSTILE_CURSOR,
    HOSTILE_SNAPSHOT,
    HOSTILE_SESSION,
    HOSTILE_FOREIGN_CURSOR,
    HOSTILE_FOREIGN_SNAPSHOT,
    HOSTILE_FOREIGN_SESSION,
    HOSTILE_ROLES
};

enum { HOSTILE_WORDS = 24 };

/* Zeroed at first; hostile_free releases it. The first word is the command, in upper case. */
typedef struct hostile_request {
    size_t n;
    struct {
        size_t at, len;
        enum hostile_role role;
    } words[HOSTILE_WORDS];
    stem_buffer bytes;
} hostile_request;

/* Where the random choices begin, of the calling thread: they are no others than this says. */
void hostile_start(uint64_t seed);
/* Makes one of that command, in which the number of words is never wrong, instead of what it
 * was; the command is one that hostile_knows. */
void hostile_make(hostile_request *request, const char *command);
/* One of any command; those that cost much or end much are rare. */
void hostile_make_any(hostile_request *request);
void hostile_free(hostile_request *request);

/* Lives until the request is changed; of another role than HOSTILE_WORD it is empty. */
stem_slice hostile_word(const hostile_request *request, size_t i);
bool hostile_is(const hostile_request *request, const char *command);
/* Leaves words out, says them twice or exchanges them, so that it may be no request at all. */
void hostile_mangle(hostile_request *request);

/* Whether there are requests of the command, which is in upper case. */
bool hostile_knows(const char *command);

#endif
