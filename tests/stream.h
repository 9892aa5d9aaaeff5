/*
 * A client's bytes to a server and back, over TCP, a Unix socket or TLS, without ever waiting for
 * one direction alone.
 */
#ifndef STEM_TESTS_STREAM_H
#define STEM_TESTS_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"

typedef struct stream {
    int fd;
    void *context, *tls; /* an SSL_CTX and an SSL; NULL in the clear */
    bool has_ended;      /* the server sends no more */
} stream;

/* Connects to "unix:/path" or "tcp://address:port"; false when that fails. */
bool stream_open(stream *opened, const char *address, bool has_tls);
void stream_close(stream *closed);
/* What could be sent or received at once, 0 when nothing. */
size_t stream_send(stream *to, const char *data, size_t len);
size_t stream_receive(stream *from, char *data, size_t len);
/* Says that nothing more will be sent. */
void stream_end_sending(stream *to);
/* Waits until some can be received or sent, as far as that is wanted. */
void stream_wait(stream *on, bool wants_input, bool wants_output, int milliseconds);

/* ---- An exchange ------------------------------------------------------------------ */

/* How a client sends and receives. */
enum stream_pace {
    PACE_EAGER,
    PACE_SLOW,      /* receives little at a time */
    PACE_PAUSES,    /* receives nothing for a while, again and again */
    PACE_SEND_ALL,  /* receives nothing before all is sent */
    PACE_BYTEWISE,  /* sends byte after byte, at first */
    PACE_HALF_CLOSE /* says at once that nothing more will be sent */
};
enum { N_PACES = PACE_HALF_CLOSE + 1 };

/* Sends the requests, and compares what is received with what is due. NULL, or what went wrong;
 * the text belongs to the calling thread. */
const char *stream_exchange(stream *with, const stem_buffer *requests,
                            const stem_buffer *due, enum stream_pace pace);

#endif
