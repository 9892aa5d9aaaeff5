/*
 * A server that does what a script says: expects requests, and answers given bytes, in pieces,
 * not at all, or hangs up.
 */
#ifndef STEM_TESTS_SCRIPTED_SERVER_H
#define STEM_TESTS_SCRIPTED_SERVER_H

#include <stddef.h>

enum script_then {
    KEEP,      /* the connection, for the next step */
    HANG_UP,   /* close it: the next step is of another */
    IN_PIECES, /* the answer, a byte at a time */
    SILENT     /* until the client closes it */
};

typedef struct script_step {
    const char *request; /* its words, blanks between them; NULL for whatever comes */
    const char *reply;   /* NULL for none */
    enum script_then then;
    size_t reply_len; /* when it holds a NUL */
} script_step;

/* Starts it and is its location, "unix:...". One script at a time. The steps outlive it. */
const char *start_script(const script_step *steps, size_t n);
#define START_SCRIPT(...)                                                                \
    start_script((const script_step[]){__VA_ARGS__},                                     \
                 sizeof((const script_step[]){__VA_ARGS__}) / sizeof(script_step))

/* Ends it, and asserts that every step was reached, and each request as expected. */
void finish_script(void);

#endif
