/*
 * A server: what its rooms share. One thread at a time runs the loop: it reads requests, runs
 * commands and sends replies (connection.c, dispatch.c). Writes gather in a group, which is
 * committed as one (group.c) before the loop goes round again (loop.c). When a command or a commit
 * takes long, another thread takes the loop over, and other clients do not notice (turn.h).
 *
 * Everything here belongs to the thread that has the loop, but for what is said to have a lock.
 */
#ifndef STEM_NET_SERVER_H
#define STEM_NET_SERVER_H

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>

#include "../spin.h"
#include "access.h"
#include "command.h"
#include "failures.h"

typedef struct stem_connection stem_connection;
typedef struct stem_group stem_group;
typedef struct stem_socket_place stem_socket_place;
typedef struct stem_scrape stem_scrape;

/* Something to be done in the loop, whoever asked for it. */
typedef struct stem_post {
    struct stem_post *next;
    void (*run)(struct stem_post *post); /* frees it, where that is due */
} stem_post;

typedef struct stem_listener {
    char *address;            /* as stem_server_address gives it */
    stem_socket_place *place; /* of a Unix socket; NULL for TCP */
    int fd;
    bool has_tls, is_for_metrics;
    struct event *ready;
    stem_server *server;
} stem_listener;

/* What has happened since the start; for INFO and Prometheus. */
typedef struct stem_metrics {
    uint64_t commands, connections, refused_connections, evicted_connections;
    uint64_t failed_logins, denied;
    uint64_t commits, commit_conflicts, commit_failures, handovers;
    uint64_t bytes_in, bytes_out;
} stem_metrics;

/* The number of keys below a scope, as it was a moment ago (keyspace.c). */
typedef struct stem_key_count {
    bool is_known;
    stem_buffer scope;
    uint64_t at_ms, n;
} stem_key_count;

/* What the thread that has the loop is about to do, and may take long; see turn.h. */
typedef struct stem_turn {
    uint64_t number;
    stem_connection *of;    /* whose request it is; NULL for a commit */
    stem_group *group;      /* the forming one, when the request joins it, or NULL */
    stem_execution *reader; /* of the thread */
} stem_turn;

enum { STEM_TURN_THREADS = 4, STEM_GROUPS = 2 };

typedef struct stem_turn_thread {
    stem_server *server;
    pthread_t thread;
    stem_execution *reader;
} stem_turn_thread;

typedef struct stem_turns {
    bool (*run_loop)(stem_server *server);
    stem_turn_thread threads[STEM_TURN_THREADS];
    size_t n_threads;
    atomic_uint_fast64_t turn;
    atomic_bool is_parked;   /* the thread that keeps the time waits without a limit */
    atomic_size_t n_waiting; /* threads that could take the loop over */
    atomic_size_t
        n_coming_back; /* of those: they have begun something, and go on with it */
    stem_turn current; /* of the thread that has the loop, as is the next */
    size_t n_away;     /* threads that have lost it in a turn */

    pthread_mutex_t lock;
    /* For the thread that keeps the time, and for the others that wait. */
    pthread_cond_t changed, vacant;
    bool is_stopping, has_keeper;
    bool is_offered; /* the loop, to those that come back */
} stem_turns;

/* What a server of a shared database is besides: open to this user's processes alone, and
 * without the limits that are for strangers. */
typedef struct stem_sharing {
    const stem_options *settings; /* in effect; copied */
} stem_sharing;

struct stem_server {
    stem_engine *engine;      /* lent */
    unsigned fork_generation; /* of the process whose it is */
    bool is_sharing;
    stem_options settings; /* then */
    stem_db *handle;       /* which keeps it open; serve.c's own */
    stem_slice scope;      /* what is served, as stored bytes; owned */
    stem_server_options
        options; /* completed; of the texts only `users` outlives opening */

    struct event_base *base;
    struct event *tick, *posted;
    stem_listener *listeners; /* one for metrics is the last */
    size_t n_listeners;
    bool is_paused, is_draining, is_read_only, has_waiting;
    uint64_t drain_until_ms;
    void *tls;           /* an SSL_CTX */
    stem_access *access; /* NULL without users */
    pthread_mutex_t reload_lock;
    struct stem_reload *reload; /* to be over when nobody whom it has closed is left */
    size_t n_revoked;           /* connections that are closed by one and not freed yet */
    struct stem_login *login;   /* NULL without users */
    struct stem_workers *workers;
    struct stem_cursors *cursors;
    struct stem_snapshots *snapshots;
    struct stem_sessions *sessions;
    stem_scrape
        *scrapes; /* of the port for metrics; the first is the first to be closed */
    size_t n_scrapes;

    stem_connection *connections; /* in the order in which they came */
    stem_connection *ready;       /* may go on, without anything more having arrived */
    stem_connection *starved;     /* may once a turn is free */
    size_t n_ready;
    atomic_size_t n_connections;               /* those that are open */
    size_t most_connections, most_descriptors; /* the second of all servers together */
    size_t input_bytes, output_bytes;          /* memory of those of all connections */
    uint64_t now_ms;
    uint64_t started_ms;
    stem_metrics metrics;
    stem_failures failures;
    stem_key_count key_count;

    stem_execution *reader; /* of the thread that has the loop */
    /* Two groups. One that is away with a thread is none of these. */
    stem_group *forming, *unused;
    /* They do not form any more, and are to be committed next, in this order. */
    stem_group *gathered[STEM_GROUPS];
    size_t n_gathered;
    uint64_t n_iterations;
    stem_spin spin; /* of waiting for the next request */
    size_t n_tasks; /* on other threads */
    stem_turns turns;

    pthread_mutex_t post_lock;
    stem_post *posts, **posts_end;
    int post_fd; /* an eventfd */
};

/* ---- loop.c ------------------------------------------------------------------------- */

int stem_loop_prepare(stem_server *server);
void stem_loop_forget(stem_server *server);
/* Threads, which end when the server is draining and nothing is left to do. */
int stem_loop_start(stem_server *server);
/* The next two from any thread. */
void stem_loop_wake(stem_server *server);
void stem_server_post(stem_server *server, stem_post *post);

/* ---- listener.c --------------------------------------------------------------------- */

enum { STEM_LISTEN_BACKLOG = 511 };

/* Refuses what the options do not allow, and listens. */
int stem_listeners_open(stem_server *server);
/* Stops listening; their addresses stay until they are freed. */
void stem_listeners_close(stem_server *server);
void stem_listeners_free(stem_server *server);
/* Stops accepting, or goes on where nothing keeps it from that. */
void stem_listeners_pause(stem_server *server, bool is_paused);

/* ---- listener_unix.c ---------------------------------------------------------------- */

/* A socket that listens at the path, of mode 0600, and its place. STEM_ELOCKED when somebody
 * listens there already, unless it is `is_sharing`: whoever shares a database has the lock on
 * that, and what is in the way is nobody's any more. */
int stem_listen_unix(const char *path, bool is_sharing, int *fd,
                     stem_socket_place **place);
/* Removes the socket, where it still is at its place, before it is closed; NULL is nothing. */
void stem_socket_place_leave(stem_socket_place *place);

/* ---- group.c: writes that are committed as one -------------------------------------- */

stem_group *stem_group_new(stem_server *server);
void stem_group_free(stem_group *group);
bool stem_group_is_empty(const stem_group *group);
bool stem_group_is_full(const stem_group *group);
/* Whether a member has asked for durability. */
bool stem_group_is_slow(const stem_group *group);
/* Adds a command of the connection, whose words stay where they are until the group is done,
 * and runs it; false, with nothing done, when there is no memory. */
bool stem_group_add(stem_group *group, stem_connection *from, const stem_command *command,
                    const stem_slice *args, size_t n_args);
/* The same for all that was queued since MULTI. */
bool stem_group_add_transaction(stem_group *group, stem_connection *from);
/* Writes it. From either thread; the replies of its connections are this group's until
 * stem_group_finish. */
void stem_group_commit(stem_group *group);
/* Lets its connections go on, and empties it. */
void stem_group_finish(stem_group *group);

/* ---- server.c ----------------------------------------------------------------------- */

/* Serves what lies below `scope`, stored bytes, in an engine that outlives the server.
 * `sharing` is NULL for an ordinary one. */
int stem_net_server_open(stem_engine *engine, stem_slice scope, bool is_read_only,
                         const stem_server_options *options, const stem_sharing *sharing,
                         stem_server **server);
/* Connections that are open; from any thread. */
size_t stem_net_server_clients(const stem_server *server);
/* Waits, for a while, as long as snapshots are in use. */
void stem_net_server_linger(stem_server *server);
/* From any thread but those of the server. */
int stem_net_server_reload(stem_server *server);
/* In the loop: tells who waits for a reload when it is over. */
void stem_server_finish_reload(stem_server *server);
void stem_net_server_close(stem_server *server);
/* How many requests the database has failed, and why the last. From any thread. */
uint64_t stem_net_server_failures(stem_server *server, stem_failure *last);
const char *stem_net_server_address(const stem_server *server, size_t i);
const char *stem_net_server_metrics_address(const stem_server *server);

/* ---- metrics_http.c ----------------------------------------------------------------- */

/* Takes over an accepted socket, to be asked for the text. */
void stem_metrics_accept(stem_server *server, int fd);
/* Closes those that have taken too long; and all. */
void stem_metrics_expire(stem_server *server);
void stem_metrics_close(stem_server *server);

#endif
