/*
 * Requests of every kind with the answers that are due, generated, for tests of the server.
 */
#ifndef STEM_TESTS_DIALOGUE_H
#define STEM_TESTS_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"
#include "stem.h"

/* The server's max_output_bytes. */
enum { KIB = 1 << 10, MIB = 1 << 20, MAX_OUTPUT = 2 * MIB };

/* What the keys v00, v01, ... hold: some that are small, some that fit an answer, and others. */
enum { N_SIZES = 18, N_SMALL = 10, N_FITTING = 16 };
extern const size_t sizes[N_SIZES];
extern char *bytes[N_SIZES];
void put_values(stem_db *db);
void free_values(void);

/* What is answered instead where an answer is too large. */
extern const char too_large[];

/* A client's own keys, and what it is owed. */
typedef struct script {
    int client;
    long long counter;
    char own[16 * KIB];
    size_t own_len;
    stem_buffer requests, due;
    bool is_queued;      /* within MULTI */
    stem_buffer of_exec; /* what EXEC is to answer, without its head */
    int n_queued;
} script;

/* Some requests in a random order, and all that is due for them. The keys own0, own1, ... hold
 * strings, and `contended` one of four bytes. */
void write_script(script *to, int depth);
void free_script(script *of);

/* printf into a buffer; at most 255 bytes. */
void add_text(stem_buffer *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void add_bulk(stem_buffer *out, const char *data, size_t len);

#endif
