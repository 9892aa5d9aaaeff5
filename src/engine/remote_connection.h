/*
 * One connection to a server: requests written, sent, and answered one at a time, and the
 * login that comes first.
 */
#ifndef STEM_ENGINE_REMOTE_CONNECTION_H
#define STEM_ENGINE_REMOTE_CONNECTION_H

#include "remote_reply.h"
#include "remote_socket.h"

/* ---- Requests --------------------------------------------------------------------- */

/* A request as it is sent. Long words are borrowed until it has been answered. */
typedef struct stem_remote_request {
    stem_buffer bytes; /* all but the long words */
    struct stem_remote_long_word {
        size_t at; /* in `bytes`, where it goes */
        stem_slice word;
    } * long_words;
    size_t n_long, long_room;
} stem_remote_request;

/* A request of so many words, which follow. A failure to allocate shows when it is sent. */
void stem_remote_request_begin(stem_remote_request *request, size_t n_words);
void stem_remote_request_word(stem_remote_request *request, stem_slice word);
void stem_remote_request_text(stem_remote_request *request, const char *word);
void stem_remote_request_number(stem_remote_request *request, uint64_t word);
void stem_remote_request_free(stem_remote_request *request);

/* ---- Connections ------------------------------------------------------------------ */

/* The server that is asked, and the user that asks. */
typedef struct stem_remote_peer {
    stem_remote_location location;
    char *password; /* of location.user; NULL without one */
    stem_remote_tls *tls;
    bool is_own_user; /* no other user may answer there: STEM_EACCES */
} stem_remote_peer;

/* Fills it; STEM_EINVAL for what the location and the options cannot be together. */
int stem_remote_peer_make(const char *location, const stem_options *options,
                          stem_remote_peer *peer);
/* The peer at a Unix socket, who must be a process of this user; `shown` is for people. */
int stem_remote_peer_at(const char *socket, const char *shown, stem_remote_peer *peer);
void stem_remote_peer_free(stem_remote_peer *peer);

typedef struct stem_remote_connection stem_remote_connection;

/* Connects and logs in. A code that stem_remote_is_broken when that is worth another attempt. */
int stem_remote_connection_open(const stem_remote_peer *peer, stem_remote_clock *clock,
                                stem_remote_connection **opened);
void stem_remote_connection_close(stem_remote_connection *connection); /* NULL: nothing */

/* Sends the request and receives the reply, which may be an error of the server's; one that it
 * has said before it hung up, too, when nothing could be sent. After any failure the connection
 * is of no more use; `*was_sent` tells whether anything of the request may have gone out. */
int stem_remote_exchange(stem_remote_connection *connection,
                         const stem_remote_request *request, stem_remote_clock *clock,
                         stem_remote_reply *reply, bool *was_sent);

/* For poll(). */
int stem_remote_connection_descriptor(const stem_remote_connection *connection);
/* Whether the connection, not used for a while, has neither ended nor anything to say. */
bool stem_remote_connection_is_fresh(stem_remote_connection *connection, uint64_t now);

/* The code and text of a reply that is an error, or not one that was to be expected. */
int stem_remote_refusal(const stem_remote_peer *peer, const stem_remote_reply *reply);
/* Whether it is an error that says that the server is at a limit: it may do later. */
bool stem_remote_is_busy(const stem_remote_reply *reply);

#endif
