/*
 * A file of any size that is read twice, piece by piece, as a stem_json_source.
 */
#ifndef STEM_TOOL_FEED_H
#define STEM_TOOL_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct feed {
    const char *name;   /* for messages */
    const char *doing;  /* "reading", for the line on a terminal */
    const char *failed; /* "cannot read", or NULL, and why: an errno */
    int error;
    int descriptor;
    int copy;    /* what was read, of what can be read only once; or -1 */
    off_t start; /* where the first reading began */
    bool is_again;
    uint64_t n_read, size; /* bytes; a size of 0 is not known */
    bool is_watched, is_line_shown;
    uint64_t started, shown; /* milliseconds */
} feed;

/* Opens a file, or with "-" standard input: DONE, or FAILED after saying why. feed_close is
 * due in either case. */
int feed_open(feed *from, const char *file, const char *doing);
/* Begins anew. */
int feed_again(feed *from, const char *doing);
/* A stem_json_source, whose context is the feed. */
ptrdiff_t feed_read(void *context, void *buffer, size_t size);
/* Takes the line off the terminal; due before anything else is said. */
void feed_clear_line(feed *from);
void feed_close(feed *from);

#endif
