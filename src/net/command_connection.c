/*
 * The commands that are about the connection itself: who it is, what it has queued or watches,
 * its session and its snapshots; and what a server says about itself.
 */
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "command_own.h"
#include "connection.h"
#include "sessions.h"
#include "snapshots.h"
#include "worker.h"

static void reply_ok(stem_connection *connection)
{
    stem_reply_status(&connection->output, "OK");
}

/* ---- PING, ECHO: like any other, so that they can be queued ------------------------- */

static int run_ping(stem_request *request)
{
    if (request->n_args > 2)
        stem_reply_error(request->reply,
                         "ERR wrong number of arguments for 'ping' command");
    else if (request->n_args == 2)
        stem_reply_bulk(request->reply, request->args[1].data, request->args[1].len);
    else
        stem_reply_status(request->reply, "PONG");
    return STEM_OK;
}

static int run_echo(stem_request *request)
{
    stem_reply_bulk(request->reply, request->args[1].data, request->args[1].len);
    return STEM_OK;
}

/* ---- Who it is -------------------------------------------------------------------- */

static void serve_auth(stem_connection *connection, const stem_slice *args, size_t n)
{
    static const stem_slice default_user = {"default", 7};

    if (n > 3)
        stem_reply_error(&connection->output, "ERR syntax error");
    else if (!connection->server->access)
        stem_reply_error(&connection->output,
                         "ERR AUTH called without any users configured for this server");
    else
        stem_connection_login(connection, n == 3 ? args[1] : default_user, args[n - 1],
                              NULL, 0);
}

void stem_connection_greet(stem_connection *connection)
{
    stem_reply *reply = &connection->output;

    stem_reply_map(reply, 7);
    stem_reply_text(reply, "server");
    stem_reply_text(reply, "stem");
    stem_reply_text(reply, "version");
    stem_reply_text(reply, stem_version());
    stem_reply_text(reply, "proto");
    stem_reply_integer(reply, reply->version);
    stem_reply_text(reply, "id");
    stem_reply_integer(reply, (int64_t)connection->id);
    stem_reply_text(reply, "mode");
    stem_reply_text(reply, "standalone");
    stem_reply_text(reply, "role");
    stem_reply_text(reply, "master");
    stem_reply_text(reply, "modules");
    stem_reply_array(reply, 0);
}

/* Visible bytes alone, as Redis has it: a name is shown in lists. */
static bool is_name(stem_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] < '!' || name.data[i] > '~')
            return false;
    return name.len <= 128;
}

/* Replies with an error when it is none. */
static bool set_name(stem_connection *connection, stem_slice name)
{
    char *copy = is_name(name) ? malloc(name.len + 1) : NULL;

    if (!copy) {
        stem_reply_error(&connection->output,
                         "ERR Client names cannot contain spaces, newlines or special "
                         "characters.");
        return false;
    }
    memcpy(copy, name.data, name.len);
    copy[name.len] = '\0';
    free(connection->name);
    connection->name = copy;
    return true;
}

/* What HELLO asks for. */
typedef struct hello {
    int version;
    const stem_slice *user, *password, *name, *scope;
} hello;

static bool read_hello(stem_connection *connection, const stem_slice *args, size_t n,
                       hello *asked)
{
    stem_reply *reply = &connection->output;

    *asked = (hello){.version = reply->version};
    if (n > 1) {
        if (args[1].len != 1 || (*args[1].data != '2' && *args[1].data != '3')) {
            stem_reply_error(reply, "NOPROTO unsupported protocol version");
            return false;
        }
        asked->version = *args[1].data - '0';
    }
    for (size_t i = 2; i < n;) {
        if (stem_word_is(args[i], "AUTH") && i + 2 < n) {
            asked->user = &args[i + 1];
            asked->password = &args[i + 2];
            i += 3;
        } else if (stem_word_is(args[i], "SETNAME") && i + 1 < n) {
            asked->name = &args[i + 1];
            i += 2;
        } else if (stem_word_is(args[i], "SCOPE") && i + 1 < n) {
            asked->scope = &args[i + 1];
            i += 2;
        } else {
            stem_reply_error(reply, "ERR Syntax error in HELLO");
            return false;
        }
    }
    return true;
}

static void serve_hello(stem_connection *connection, const stem_slice *args, size_t n)
{
    stem_reply *reply = &connection->output;
    hello asked;

    if (!read_hello(connection, args, n, &asked) ||
        (asked.name && !set_name(connection, *asked.name)))
        return;
    if (asked.user && connection->server->access) {
        stem_connection_login(connection, *asked.user, *asked.password, asked.scope,
                              asked.version);
        return;
    }
    if (asked.user) {
        stem_reply_error(reply,
                         "ERR AUTH called without any users configured for this server");
        return;
    }
    if (!connection->is_authenticated) {
        stem_reply_error(reply,
                         "NOAUTH HELLO must be called with the client already "
                         "authenticated, otherwise the HELLO <proto> AUTH <user> <pass> "
                         "option can be used to authenticate the client");
        return;
    }
    if (asked.scope && stem_connection_narrow(connection, asked.scope) != STEM_OK) {
        stem_reply_error(reply, "INVALID the scope is no canonical path");
        return;
    }
    reply->version = asked.version;
    stem_connection_greet(connection);
}

static void serve_client(stem_connection *connection, const stem_slice *args, size_t n)
{
    stem_reply *reply = &connection->output;

    if (stem_word_is(args[1], "ID") && n == 2) {
        stem_reply_integer(reply, (int64_t)connection->id);
    } else if (stem_word_is(args[1], "GETNAME") && n == 2) {
        if (connection->name && *connection->name)
            stem_reply_text(reply, connection->name);
        else
            stem_reply_null(reply);
    } else if (stem_word_is(args[1], "SETNAME") && n == 3) {
        if (set_name(connection, args[2]))
            reply_ok(connection);
    } else {
        stem_reply_error(reply, "ERR unknown subcommand or wrong number of arguments");
    }
}

static void serve_select(stem_connection *connection, const stem_slice *args)
{
    if (args[1].len == 1 && *args[1].data == '0')
        reply_ok(connection);
    else
        stem_reply_error(&connection->output, "ERR DB index is out of range");
}

/* ---- What the server says of itself ------------------------------------------------- */

static void serve_info(stem_connection *connection)
{
    stem_buffer text = {0};

    stem_metrics_info(connection->server, connection->rights & STEM_MAY_ADMIN, &text);
    if (text.failed)
        stem_reply_failure(&connection->output, STEM_ENOMEM);
    else
        stem_reply_verbatim(&connection->output, text.data, text.len);
    free(text.data);
}

static void describe(stem_reply *reply, const stem_command *command)
{
    char name[STEM_COMMAND_NAME_MAX + 1];
    const size_t len = stem_command_lower(command, name);

    stem_reply_array(reply, 6);
    stem_reply_bulk(reply, name, len);
    stem_reply_integer(reply, command->arity);
    stem_reply_array(reply, 1);
    stem_reply_status(reply, command->flags & STEM_COMMAND_WRITES ? "write" : "readonly");
    stem_reply_integer(reply, command->first_key);
    stem_reply_integer(reply, command->last_key);
    stem_reply_integer(reply, command->key_step);
}

static void describe_named(stem_reply *reply, const stem_slice *names, size_t n)
{
    stem_reply_array(reply, n);
    for (size_t i = 0; i < n; i++) {
        const stem_command *command = stem_command_find(names[i]);

        if (command)
            describe(reply, command);
        else
            stem_reply_null_array(reply);
    }
}

static void serve_command(stem_connection *connection, const stem_slice *args, size_t n)
{
    stem_reply *reply = &connection->output;
    size_t all = 0;

    while (stem_command_at(all))
        all++;
    if (n > 1 && stem_word_is(args[1], "COUNT")) {
        stem_reply_integer(reply, (int64_t)all);
    } else if (n > 1 && stem_word_is(args[1], "DOCS")) {
        stem_reply_map(reply, 0);
    } else if (n > 2 && stem_word_is(args[1], "INFO")) {
        describe_named(reply, args + 2, n - 2);
    } else if (n > 1 && !stem_word_is(args[1], "INFO")) {
        stem_reply_error(reply, "ERR unknown subcommand or wrong number of arguments");
    } else {
        stem_reply_array(reply, all);
        for (size_t i = 0; i < all; i++)
            describe(reply, stem_command_at(i));
    }
}

/* ---- Transactions ----------------------------------------------------------------- */

static void serve_multi(stem_connection *connection)
{
    stem_transaction *transaction = &connection->transaction;

    if (transaction->is_open) {
        stem_reply_error(&connection->output, "ERR MULTI calls can not be nested");
        transaction->is_failed = true;
        return;
    }
    transaction->is_open = true;
    transaction->is_failed = false;
    reply_ok(connection);
}

static void serve_discard(stem_connection *connection)
{
    if (!connection->transaction.is_open) {
        stem_reply_error(&connection->output, "ERR DISCARD without MULTI");
        return;
    }
    stem_connection_forget_transaction(connection);
    reply_ok(connection);
}

/* What one key holds now is what EXEC will look for. STEM_EINVAL after having replied. */
static int watch(stem_connection *connection, stem_request *request, size_t arg)
{
    stem_slice key, value;

    int code = stem_request_key(request, arg, &key);
    if (code == STEM_OK)
        code = stem_execution_read(request->on, &key, 1, &value);
    if (code != STEM_OK)
        return code;
    const char *error = stem_connection_watch(connection, key, value);
    return error ? stem_refuse(request, error) : STEM_OK;
}

static void serve_watch(stem_connection *connection, const stem_slice *args, size_t n)
{
    stem_execution *reader = connection->server->reader;
    const size_t n_before = connection->transaction.n_watched;
    stem_reply *reply = &connection->output;
    stem_request request = {.args = args,
                            .n_args = n,
                            .scope = {connection->scope, connection->scope_len},
                            .on = reader,
                            .reply = reply};
    int code = STEM_OK;

    if (connection->transaction.is_open) {
        stem_reply_error(reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    for (size_t i = 1; i < n && code == STEM_OK; i++) {
        stem_execution_only_reads(reader);
        code = watch(connection, &request, i);
        stem_execution_reset(reader);
    }
    if (code == STEM_OK) {
        reply_ok(connection);
        return;
    }
    stem_connection_unwatch(connection, n_before);
    if (code != STEM_EINVAL)
        stem_reply_failure(reply, code);
}

/* ---- Sessions and snapshots ------------------------------------------------------- */

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
        reply_session_failure(connection, what->code);
    } else if (what->is_new) {
        attached(connection, &what->id, what->slot);
    } else {
        reply_ok(connection);
    }
    free(what->user);
    free(what);
    stem_connection_advance(connection);
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

static void serve_attach(stem_connection *connection, const stem_slice *args)
{
    uint64_t slot;

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

static void serve_detach(stem_connection *connection)
{
    if (!connection->has_session) {
        stem_reply_error(&connection->output, "NOSESSION");
        return;
    }
    start_session_task(connection, false, connection->slot);
}

/* ---- Which it is ------------------------------------------------------------------ */

enum {
    OWN = STEM_COMMAND_CONNECTION,
    EARLY = STEM_COMMAND_CONNECTION | STEM_COMMAND_NO_AUTH,
    READING = STEM_COMMAND_CONNECTION | STEM_COMMAND_READS
};

const stem_command stem_connection_commands[] = {
    {.name = "AUTH", .arity = -2, .flags = EARLY},
    {.name = "CLIENT", .arity = -2, .flags = OWN},
    {.name = "COMMAND", .arity = -1, .flags = OWN},
    {.name = "DISCARD", .arity = 1, .flags = OWN},
    {.name = "ECHO", .arity = 2, .run = run_echo},
    {.name = "EXEC", .arity = 1, .flags = OWN},
    {.name = "HELLO", .arity = -1, .flags = EARLY},
    {.name = "INFO", .arity = -1, .flags = OWN},
    {.name = "MULTI", .arity = 1, .flags = OWN},
    {.name = "PING", .arity = -1, .run = run_ping},
    {.name = "QUIT", .arity = -1, .flags = EARLY},
    {.name = "SELECT", .arity = 2, .flags = OWN},
    {.name = "STEM.ATTACH", .arity = 4, .flags = OWN},
    {.name = "STEM.DETACH", .arity = 1, .flags = OWN},
    {.name = "UNWATCH", .arity = 1, .flags = OWN},
    {.name = "WATCH",
     .arity = -2,
     .flags = READING,
     .first_key = 1,
     .last_key = -1,
     .key_step = 1},
    {.name = NULL},
};

/* What may come between MULTI and EXEC, and is not queued. */
static bool is_of_transaction(const char *name)
{
    static const char *const names[] = {"DISCARD", "MULTI", "QUIT", "WATCH"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

void stem_connection_command(stem_connection *connection, const stem_command *command,
                             const stem_slice *args, size_t n)
{
    const char *name = command->name;

    if (connection->transaction.is_open && !is_of_transaction(name)) {
        stem_reply_error(&connection->output,
                         "ERR this command is not allowed in a transaction");
        connection->transaction.is_failed = true;
    } else if (strcmp(name, "AUTH") == 0) {
        serve_auth(connection, args, n);
    } else if (strcmp(name, "CLIENT") == 0) {
        serve_client(connection, args, n);
    } else if (strcmp(name, "COMMAND") == 0) {
        serve_command(connection, args, n);
    } else if (strcmp(name, "DISCARD") == 0) {
        serve_discard(connection);
    } else if (strcmp(name, "HELLO") == 0) {
        serve_hello(connection, args, n);
    } else if (strcmp(name, "INFO") == 0) {
        serve_info(connection);
    } else if (strcmp(name, "MULTI") == 0) {
        serve_multi(connection);
    } else if (strcmp(name, "QUIT") == 0) {
        reply_ok(connection);
        stem_connection_end(connection);
    } else if (strcmp(name, "SELECT") == 0) {
        serve_select(connection, args);
    } else if (strcmp(name, "STEM.ATTACH") == 0) {
        serve_attach(connection, args);
    } else if (strcmp(name, "STEM.DETACH") == 0) {
        serve_detach(connection);
    } else if (strcmp(name, "UNWATCH") == 0) {
        stem_connection_forget_transaction(connection);
        reply_ok(connection);
    } else {
        serve_watch(connection, args, n);
    }
}
