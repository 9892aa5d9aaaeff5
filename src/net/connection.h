/*
 * One connection: its bytes in and out, the user at the other end, and what it waits for.
 */
#ifndef STEM_NET_CONNECTION_H
#define STEM_NET_CONNECTION_H

#include "../engine/id.h"
#include "server.h"

enum { STEM_PEER_TEXT = 64 };

/* A command that waits for EXEC. */
typedef struct stem_queued {
    const stem_command *command;
    stem_slice *args; /* with their bytes behind them, in one block */
    size_t n_args;
    /* The reply of one that is served and not run, made when EXEC comes; owned. */
    char *reply;
    size_t reply_len;
} stem_queued;

/* What WATCH has seen. */
typedef struct stem_watched {
    stem_slice key;
    stem_slice value; /* `data` is NULL when there was none */
} stem_watched;

/* The bytes are those of the structs, too. */
typedef struct stem_transaction {
    bool is_open;   /* after MULTI */
    bool is_failed; /* a command could not be queued: EXEC gives up */
    stem_queued *queued;
    size_t n_queued, queued_capacity, queued_bytes;
    size_t n_served;       /* of those queued: about the connection or the server */
    stem_watched *watched; /* each key with its value in one block */
    size_t n_watched, watched_capacity, watched_bytes;
} stem_transaction;

/* CLIENT REPLY. */
enum stem_reply_mode {
    STEM_REPLY_ON,
    STEM_REPLY_OFF,
    STEM_REPLY_SKIPS_NEXT, /* the request that comes next gets no reply */
    STEM_REPLY_SKIPS       /* nor does the one that is being served */
};

struct stem_connection {
    stem_connection *prev, *next;             /* of all */
    stem_connection *prev_ready, *next_ready; /* of those that may go on */
    stem_connection *next_in_group;
    stem_server *server;
    uint64_t id, since_ms, active_ms, turn_ready;
    uint64_t login_waited_ms; /* that its logins have waited for their turns */
    int fd;
    bool tls_wants_write;
    void *tls; /* an SSL, or NULL */
    struct event *readable, *writable;
    char peer[STEM_PEER_TEXT];

    char *input;
    size_t input_len, input_used, input_capacity;
    size_t input_wanted; /* bytes of the next request that there must be to read on */
    stem_resp_parser parser;
    stem_reply output;
    size_t output_sent, output_safe; /* what is behind the second is not to be sent yet */
    size_t output_counted; /* of its memory and its job's, in the server's output_bytes */
    size_t output_taken;   /* sent since paced_ms */
    uint64_t stalled_ms,
        paced_ms; /* when the peer last took something, and a good piece */

    stem_access *access; /* of the user, counted; NULL without users */
    const stem_user *user;
    char *name;                       /* by CLIENT SETNAME */
    char *library, *library_version;  /* by CLIENT SETINFO */
    const stem_command *last_command; /* for CLIENT LIST; NULL before the first */
    enum stem_reply_mode reply_mode;
    bool is_output_short; /* the server's limit is nearer than the connection's */
    bool has_muted; /* what the output holds from `muted_from` on is not to be sent */
    size_t muted_from;
    char *scope; /* stored bytes */
    size_t scope_len;
    unsigned rights;
    bool is_authenticated, has_raw_keys, has_session;
    stem_id session; /* with `slot`, when it has one */
    unsigned slot;
    char holder[sizeof(uint64_t)]; /* of snapshots, as long as it has none */
    stem_caller caller;

    stem_transaction transaction;
    stem_job *job;
    struct stem_task *task;        /* on a worker's thread */
    struct stem_login_wait *login; /* on one of the logins' */

    /* A thread that has lost the loop serves it: nothing of what a command touches may be looked
     * at, `group` and `job` among it. */
    bool is_away;
    bool is_starved; /* its request waits for a turn; among the server's `starved` */
    int broken;      /* what the parser has said of the input, when it is no request */
    bool is_listed_ready;
    bool is_blocked;    /* the socket takes no more for now */
    bool is_unread;     /* its readable event is off */
    bool is_input_over; /* the peer sends no more, and may still read */
    bool waits_for_group;
    stem_group *group; /* that it has a command in */
    bool is_held;      /* the request that was read waits for the group */
    bool is_ending;    /* closed when everything is sent */
    bool is_dead;      /* closed; freed when nothing refers to it any more */
    bool is_revoked;   /* by a reload that changed its user */
};

/* Takes over an accepted socket. */
void stem_connection_open(stem_server *server, int fd, bool has_tls, const char *peer);
/* Ends it now, and frees it as soon as nothing refers to it. */
void stem_connection_close(stem_connection *connection);
/* Sends what may be sent, and goes on reading requests if nothing keeps it from that. Turns are
 * begun: not within a callback of libevent's. */
void stem_connection_advance(stem_connection *connection);
/* Sends what may be sent, and has it advanced if there is more to do. */
void stem_connection_settle(stem_connection *connection);
/* Has it advanced in this iteration of the loop, or in the next one where it is of those that are
 * being advanced. */
void stem_connection_make_ready(stem_connection *connection);
/* The request that was read waits for a turn. */
void stem_connection_starve(stem_connection *connection);
/* Whether it is with another thread, or in a group that is not to be touched: what a command
 * touches may not be looked at. That has it settled when it is over. */
bool stem_connection_is_elsewhere(const stem_connection *connection);
/* Those that have waited may go on. */
void stem_connections_resume(stem_server *server);
/* What is sent so far is the last of it. */
void stem_connection_end(stem_connection *connection);

/* Requests may be as large as the options say: it has logged in. */
void stem_connection_allow(stem_connection *connection);
/* Requests are to be small, as before the login. */
void stem_connection_disallow(stem_connection *connection);

/* ---- input.c: requests, from the socket to where they are served --------------------- */

enum stem_input_outcome {
    STEM_INPUT_READ, /* what there was, maybe nothing */
    STEM_INPUT_FULL, /* there is no room to read to */
    STEM_INPUT_ENDED /* the connection is broken */
};

void stem_input_free(stem_connection *connection);
/* Reads once. */
enum stem_input_outcome stem_input_read(stem_connection *connection);
/* Bytes of it that are not served yet. */
size_t stem_input_left(const stem_connection *connection);
/* Whether there may be a request in it that was not looked at. */
bool stem_input_has_more(const stem_connection *connection);
/* Whether words in it are referred to, so that it must stay where it is. */
bool stem_input_is_borrowed(const stem_connection *connection);
/* Gives back the room of what was served, unless it is borrowed. */
void stem_input_tidy(stem_connection *connection);
/* Whether more may be read while what was read cannot be served. */
bool stem_input_may_read_ahead(const stem_connection *connection);

/* Whether so many bytes more of requests may be under way; the error to reply where not. */
bool stem_connection_may_hold(const stem_connection *connection, size_t bytes);
extern const char stem_input_is_full[];

/* ---- output.c: answers, from the commands to the socket ------------------------------ */

void stem_output_open(stem_connection *connection);
void stem_output_free(stem_connection *connection);
/* Bytes that are not sent yet. */
size_t stem_output_waiting(const stem_connection *connection);
/* Whether so much of it waits that nothing more is served before some of it is sent. */
bool stem_output_is_full(const stem_connection *connection);
/* Before an answer: as much may be added as the connection and the server may hold. */
void stem_output_begin(stem_connection *connection);
/* Puts an error in the place of `len` bytes at `start`, one whole answer: that of `code`, or when
 * an answer could not be added whole, that it is too large. Where there is no memory even for
 * that, the buffer has failed, and the connection is to be closed. */
void stem_output_replace(stem_connection *connection, size_t start, size_t len, int code);
/* The same in the place of all that was added since `start`. */
void stem_output_fail(stem_connection *connection, size_t start, int code);
/* Counts what its memory has grown by. */
void stem_output_count(stem_connection *connection);
/* Gives back the room of what has been sent, unless a group refers to it. */
void stem_output_tidy(stem_connection *connection);
/* Sends what may be sent; false when the connection is at its end. */
bool stem_output_send(stem_connection *connection);
/* Has no event when the socket takes more. */
void stem_output_pause(stem_connection *connection);
/* Whether the peer takes its answers too slowly to be kept waiting for. */
bool stem_output_is_overdue(const stem_connection *connection);
/* Whether answers of all connections take so much memory that none may wait for long. */
bool stem_output_is_short(const stem_server *server);

/* ---- identity.c: who it is, and what comes with that -------------------------------- */

/* Makes it that user's, below `scope` within the user's own: NULL for neither. STEM_EINVAL for
 * a scope that is no path. What belonged to who it was before is dropped. */
int stem_connection_be(stem_connection *connection, const stem_user *user,
                       const stem_slice *scope);
/* As it was before it had logged in or said anything; without users its scope stays. */
void stem_connection_reset(stem_connection *connection);
/* The same user, and of what it sees only what is below `scope`. */
int stem_connection_narrow(stem_connection *connection, const stem_slice *scope);
/* Drops the transaction, cursors, snapshots and session of who it is. */
void stem_connection_leave(stem_connection *connection);
/* Frees what is left of it. */
void stem_connection_forget(stem_connection *connection);
/* Starts a login on another thread; its outcome is the reply. `hello` is the version that HELLO
 * asks for, or 0. */
void stem_connection_login(stem_connection *connection, stem_slice name,
                           stem_slice password, const stem_slice *scope, int hello);
/* Cancels it; where that is too late, its outcome will find the connection dead. */
void stem_connection_abandon_login(stem_connection *connection);
/* The reply to HELLO. */
void stem_connection_greet(stem_connection *connection);

/* ---- dispatch.c: one request ---------------------------------------------------------- */

/* Serves the request that the parser has read. False when it has to be served again later, and
 * nothing was done. */
bool stem_connection_serve(stem_connection *connection);
/* A step of its job, where a turn is free. */
void stem_connection_step(stem_connection *connection);
/* Runs one command on an execution, in the name of the connection. Takes back whatever a failure
 * leaves, and then answers with its code. */
int stem_connection_run(stem_connection *connection, const stem_command *command,
                        const stem_slice *args, size_t n_args, stem_execution *on,
                        bool *wants_sync);
/* A request of the connection. */
stem_request stem_connection_request(stem_connection *connection, const stem_slice *args,
                                     size_t n_args, stem_execution *on,
                                     stem_reply *reply);
/* "-IOERROR ..." for a failure of the engine's. */
void stem_reply_failure(stem_reply *reply, int code);

/* ---- transaction.c ------------------------------------------------------------------ */

void stem_transaction_reset(stem_transaction *transaction);
/* Copies a command behind the others; false when there is no memory. */
bool stem_transaction_queue(stem_transaction *transaction, const stem_command *command,
                            const stem_slice *args, size_t n_args);
/* How many bytes a transaction may watch, by its own limit and by that of all requests. */
typedef struct stem_watch_room {
    size_t own, of_all;
} stem_watch_room;
/* Notes what a key holds now, an absent one with `data` NULL. The error to reply, or NULL. */
const char *stem_transaction_watch(stem_transaction *transaction, stem_slice key,
                                   stem_slice value, const stem_watch_room *room);
/* Forgets what is watched but for the first. */
void stem_transaction_unwatch(stem_transaction *transaction, size_t n_kept);
/* Whether all that is watched is as it was. */
int stem_transaction_judge(const stem_transaction *transaction, stem_execution *on,
                           bool *is_unchanged);

/* The same for the transaction of a connection, whose bytes are among those of all requests under
 * way: the error to reply, or NULL. */
const char *stem_connection_queue(stem_connection *connection,
                                  const stem_command *command, const stem_slice *args,
                                  size_t n_args);
stem_watch_room stem_connection_watch_room(const stem_connection *connection);
/* Forgets what is watched. */
void stem_connection_unwatch(stem_connection *connection);
/* Forgets all of it. */
void stem_connection_forget_transaction(stem_connection *connection);

/* Serves what is queued of the commands about the connection and the server: their replies wait
 * for the others'. False, having replied, when there is no memory for them. */
bool stem_connection_serve_queued(stem_connection *connection);

/* ---- command_client.c --------------------------------------------------------------- */

/* Names it; false, having replied, for what is no name. */
bool stem_connection_set_name(stem_connection *connection, stem_slice name);

/* ---- mute.c: replies that are not sent (CLIENT REPLY) ------------------------------- */

/* Before a request is served; false when it is to wait for the group. */
bool stem_connection_begin_muted(stem_connection *connection);
/* Behind it. */
void stem_connection_end_muted(stem_connection *connection, bool is_served);
/* Drops the replies that are not to be sent, once all of them are there. */
void stem_connection_drop_muted(stem_connection *connection);

/* ---- transport.c: bytes, with TLS or without ---------------------------------------- */

enum {
    STEM_TRANSPORT_AGAIN = -1,
    STEM_TRANSPORT_ENDED = -2,
    STEM_TRANSPORT_LAST = -3 /* of a read: the peer has sent all, and may still read */
};

int stem_transport_prepare(stem_server *server); /* certificate and key */
void stem_transport_forget(stem_server *server);
bool stem_transport_open(stem_connection *connection);
void stem_transport_close(stem_connection *connection);
ssize_t stem_transport_read(stem_connection *connection, char *buffer, size_t size);
/* Whether bytes have been read from the socket that stem_transport_read has not given out. */
bool stem_transport_has_more(const stem_connection *connection);
ssize_t stem_transport_write(stem_connection *connection, const char *data, size_t len);

#endif
