/*
 * A server's end of the wire, for tests: requests read from a socket, replies written to it.
 */
#ifndef STEM_TESTS_WIRE_PEER_H
#define STEM_TESTS_WIRE_PEER_H

#include <stdbool.h>
#include <stdio.h>

#include "engine.h"

/* A listening Unix socket at the path. */
int listen_at(const char *path);

/* A stream to read from, of the descriptor, which it closes. Its lock is not waited for by who
 * flushes all streams: exit, and fork in the tests. */
FILE *open_peer(int fd);

/* One request. The words are owned, each with a NUL behind it. */
typedef struct wire_request {
    stem_slice *words;
    size_t n;
} wire_request;

/* False at the end of the stream. */
bool read_request(FILE *from, wire_request *request);
void free_request(wire_request *request);
bool is_word(const wire_request *request, size_t i, const char *word);

/* All the bytes, unless the peer is gone. */
void write_bytes(int fd, const void *data, size_t len);

#endif
