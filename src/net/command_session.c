/*
 * STEM.ATTACH and STEM.DETACH: the session of a connection.
 */
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "command_own.h"
#include "command_rows.h"
#include "connection.h"
#include "sessions.h"
#include "worker.h"

/* Making or ending a session, which waits for the disk. */
typedef struct session_task {
    stem_task task;
    stem_connection *connection;
    bool is_new;
    stem_id id;
    unsigned slot;
    char *user; /* owned: who the connection was */
    size_t user_len;
    int code;
    stem_failure cause; /* of a code that is none of the others */
} session_task;

static void run_session_task(stem_task *task)
{
    session_task *what = (session_task *)task;
    stem_sessions *sessions = what->connection->server->sessions;
    const stem_slice user = {what->user, what->user_len};

    if (!what->is_new)
        what->code = stem_sessions_end(sessions, &what->id);
    else if (atomic_load(&what->connection->caller.is_gone))
        what->code = STEM_EGONE;
    else
        what->code =
            stem_sessions_create(sessions, user, what->slot, what->connection, &what->id);
    if (what->code < 0)
        stem_failure_save(&what->cause);
}

/* Of what is sent; stored it has the scope before it. */
static size_t longest_key(const stem_connection *connection)
{
    const size_t most = connection->server->engine->max_key_bytes;

    return (most < STEM_PATH_MAX ? most : STEM_PATH_MAX) - connection->scope_len;
}

/* What the engine takes, as far as one request can carry it. */
static int64_t carried(const stem_connection *connection, size_t most)
{
    enum { WORDS_AROUND = 1024 };
    const size_t room = connection->server->options.max_request_bytes - WORDS_AROUND;

    return (int64_t)(most < room ? most : room);
}

static void attached(stem_connection *connection, const stem_id *id, unsigned slot)
{
    stem_server *server = connection->server;
    const stem_engine *engine = server->engine;
    stem_reply *reply = &connection->output;
    char text[STEM_ID_DIGITS];

    connection->session = *id;
    connection->slot = slot;
    connection->has_session = connection->has_raw_keys = true;
    connection->caller.session = &connection->session;
    connection->caller.slot = slot;
    connection->caller.holder =
        (stem_slice){(const char *)connection->session.bytes, STEM_ID_BYTES};
    stem_id_format(id, text);
    stem_reply_array(reply, 7);
    stem_reply_bulk(reply, text, sizeof text);
    stem_reply_integer(reply, stem_sessions_slots(server->sessions, id));
    stem_reply_integer(reply, (int64_t)longest_key(connection));
    stem_reply_integer(reply, carried(connection, engine->max_value_bytes));
    stem_reply_integer(reply, carried(connection, engine->max_commit_bytes));
    stem_reply_integer(reply, (int64_t)connection->parser.limits.max_bytes);
    stem_reply_integer(reply, (int64_t)connection->parser.limits.max_args);
}

static void reply_session_failure(stem_connection *connection, int code)
{
    if (code == STEM_EINVAL)
        stem_reply_error(&connection->output, "INVALID there is no such slot");
    else
        stem_reply_failure(&connection->output, code);
}

static void finish_session_task(stem_task *task)
{
    session_task *what = (session_task *)task;
    stem_connection *connection = what->connection;
    stem_sessions *sessions = connection->server->sessions;

    connection->task = NULL;
    if (!what->is_new && !connection->is_dead)
        stem_connection_leave(connection);
    if (connection->is_dead) {
        if (what->is_new && what->code == STEM_OK)
            stem_sessions_leave(sessions, &what->id, what->slot, connection);
    } else if (what->code != STEM_OK) {
        stem_failure_restore(&what->cause);
        reply_session_failure(connection, what->code);
    } else if (what->is_new) {
        attached(connection, &what->id, what->slot);
    } else {
        stem_reply_status(&connection->output, "OK");
    }
    free(what->user);
    free(what);
    stem_connection_make_ready(connection);
}

static void start_session_task(stem_connection *connection, bool is_new, unsigned slot)
{
    const stem_slice user = connection->caller.user;
    session_task *what = calloc(1, sizeof *what);

    if (what)
        what->user = malloc(user.len + 1);
    if (!what || !what->user) {
        free(what);
        stem_reply_failure(&connection->output, STEM_ENOMEM);
        return;
    }
    what->task = (stem_task){.run = run_session_task, .finish = finish_session_task};
    what->connection = connection;
    what->is_new = is_new;
    what->id = connection->session;
    what->slot = slot;
    memcpy(what->user, user.len > 0 ? user.data : "", user.len);
    what->user_len = user.len;
    connection->task = &what->task;
    stem_worker_add(connection->server, STEM_WORKER_SESSIONS, &what->task);
}

static void attach_again(stem_connection *connection, stem_slice text, unsigned slot)
{
    stem_server *server = connection->server;
    void *old = NULL;
    stem_id id;

    int code = stem_id_parse(text, &id)
                   ? stem_sessions_attach(server->sessions, &id, connection->caller.user,
                                          slot, connection, &old)
                   : STEM_NOTFOUND;
    if (code == STEM_NOTFOUND) {
        stem_reply_error(&connection->output, "NOSESSION");
        return;
    }
    if (code != STEM_OK) {
        reply_session_failure(connection, code);
        return;
    }
    attached(connection, &id, slot);
    /* What the old one has under way is decided in its turn; the record of the slot tells. */
    if (old && old != connection)
        stem_connection_close(old);
}

void stem_serve_attach(stem_connection *connection, const stem_slice *args, size_t n_args)
{
    uint64_t slot;

    (void)n_args;
    if (args[1].len != 1 || *args[1].data != '1') {
        stem_reply_error(&connection->output, "ERR unsupported version");
        return;
    }
    if (!stem_read_number(args[2], &slot) || slot > STEM_SESSION_SLOTS_MAX) {
        stem_reply_error(&connection->output, "INVALID there is no such slot");
        return;
    }
    if (connection->server->engine->is_served) {
        stem_reply_error(&connection->output,
                         "NOTSUP the database is another server's: connect to that one");
        return;
    }
    stem_connection_leave(connection);
    if (stem_word_is(args[3], "NEW"))
        start_session_task(connection, true, (unsigned)slot);
    else
        attach_again(connection, args[3], (unsigned)slot);
}

void stem_serve_detach(stem_connection *connection, const stem_slice *args, size_t n_args)
{
    (void)args;
    (void)n_args;
    if (!connection->has_session) {
        stem_reply_error(&connection->output, "NOSESSION");
        return;
    }
    start_session_task(connection, false, connection->slot);
}
