/*
 * A client of the wire that hands out the bytes of each reply as they came, in version 2 or 3.
 */
#ifndef STEM_TESTS_RAW_CLIENT_H
#define STEM_TESTS_RAW_CLIENT_H

#include "buffer.h"
#include "engine.h"

typedef struct raw_client {
    int fd;
    stem_buffer input;
    size_t used; /* of the input */
} raw_client;

/* Connects to "unix:/path" or "tcp://address:port", with an address in numbers. */
void raw_open(raw_client *client, const char *address);
void raw_close(raw_client *client);

/* Adds a request to those that are to be sent. */
void raw_add(stem_buffer *out, const stem_slice *words, size_t n);
void raw_send(raw_client *client, const stem_buffer *requests);
/* The next reply, borrowed until the next call; empty when the connection has ended. */
stem_slice raw_reply(raw_client *client);

/* Sends words that are C strings, separated by single blanks, and waits for the reply, as
 * above. */
stem_slice raw_ask(raw_client *client, const char *words);

/* All that comes until the connection ends, the same way. */
stem_slice raw_rest(raw_client *client);

#endif
