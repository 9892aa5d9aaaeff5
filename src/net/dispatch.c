/*
 * One request: whether it may be served, and where it runs. A write joins the group that
 * forms, and so does a read of a connection that has written in it; other reads run at once.
 * What takes long goes on in steps, and what waits for the disk runs on another thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "failures.h"
#include "turn.h"
#include "worker.h"

/* ---- Answers ---------------------------------------------------------------------- */

/* The error, with the cause where the client may know it: this thread's last failure. */
static void reply_cause(stem_reply *reply, const char *text)
{
    char with_cause[128 + STEM_ERROR_TEXT_SIZE];

    if (reply->failures)
        stem_failures_note(reply->failures);
    if (reply->tells_causes) {
        snprintf(with_cause, sizeof with_cause, "%s: %s", text, stem_errmsg());
        text = with_cause;
    }
    stem_reply_error(reply, text);
}

void stem_reply_failure(stem_reply *reply, int code)
{
    static const struct {
        int code;
        const char *text;
    } texts[] = {
        {STEM_EIO, "IOERROR the database could not be read or written"},
        {STEM_ENOMEM, "NOMEM not enough memory"},
        {STEM_ECORRUPT, "CORRUPT stored bytes are damaged"},
        {STEM_EUNKNOWN, "UNKNOWN not known to be applied and durable"},
        {STEM_EREADONLY, "READONLY the database is open for reading only"},
        {STEM_EGONE, "GONE snapshot"},
        {STEM_EINVAL, "INVALID an argument is out of bounds"},
        {STEM_CONFLICT, "BUSY others write the same all the time, try again"},
    };

    const char *text = "ERR failed";

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].code == code)
            text = texts[i].text;
    if (code == STEM_EIO || code == STEM_ECORRUPT || code == STEM_EUNKNOWN)
        reply_cause(reply, text);
    else
        stem_reply_error(reply, text);
}

/* ---- May it? ---------------------------------------------------------------------- */

static bool has_rights(const stem_connection *connection, const stem_command *command,
                       const stem_slice *args, size_t n_args)
{
    const unsigned wanted = stem_command_wants(command, args, n_args);

    return (connection->rights & wanted) == wanted;
}

/* A wrong number of words; for EXEC that is the end of the transaction. */
static void refuse_arity(stem_connection *connection, const stem_command *command)
{
    if (!(command->flags & STEM_COMMAND_EXECUTES)) {
        stem_reply_arity(&connection->output, command);
        return;
    }
    stem_connection_forget_transaction(connection);
    stem_reply_error(&connection->output,
                     "EXECABORT Transaction discarded because of: wrong number of "
                     "arguments for 'exec' command");
}

/* Replies why the request is refused; false when it is not. Where there is no command, `parent`
 * has no such subcommand, or is NULL. */
static bool refuse(stem_connection *connection, const stem_command *command,
                   const stem_command *parent, const stem_slice *args, size_t n_args)
{
    stem_reply *reply = &connection->output;
    stem_server *server = connection->server;

    if (!connection->is_authenticated &&
        (!command || !(command->flags & STEM_COMMAND_NO_AUTH)))
        stem_reply_error(reply, "NOAUTH Authentication required.");
    else if (!command)
        stem_reply_unknown(reply, args, n_args, parent);
    else if (!stem_command_fits(command, n_args))
        refuse_arity(connection, command);
    else if (connection->is_authenticated &&
             !has_rights(connection, command, args, n_args)) {
        server->metrics.denied++;
        stem_reply_about(reply, "NOPERM this user has no permissions to run the ",
                         command, " command");
    } else if (server->is_read_only && (command->flags & STEM_COMMAND_WRITES))
        stem_reply_failure(reply, STEM_EREADONLY);
    else
        return false;
    connection->transaction.is_failed = true;
    return true;
}

/* ---- Running ---------------------------------------------------------------------- */

stem_request stem_connection_request(stem_connection *connection, const stem_slice *args,
                                     size_t n_args, stem_execution *on, stem_reply *reply)
{
    return (stem_request){.args = args,
                          .n_args = n_args,
                          .scope = {connection->scope, connection->scope_len},
                          .has_raw_keys = connection->has_raw_keys,
                          .has_literal_keys = connection->server->options.literal_keys,
                          .on = on,
                          .reply = reply,
                          .peer = &connection->caller};
}

int stem_connection_run(stem_connection *connection, const stem_command *command,
                        const stem_slice *args, size_t n_args, stem_execution *on,
                        bool *wants_sync)
{
    stem_reply *reply = &connection->output;
    const size_t start = reply->bytes.len;
    const stem_execution_mark mark = stem_execution_note(on);
    stem_request request = stem_connection_request(connection, args, n_args, on, reply);

    int code = command->run(&request);
    *wants_sync |= request.wants_sync;
    if (code == STEM_OK && reply->bytes.failed)
        code = STEM_ENOMEM; /* what cannot be answered is not done */
    if (code != STEM_OK) {
        stem_execution_take_back(on, mark);
        stem_output_fail(connection, start, code);
    }
    return code;
}

static void run_at_once(stem_connection *connection, const stem_command *command,
                        const stem_slice *args, size_t n_args)
{
    stem_server *server = connection->server;
    stem_execution *reader = server->reader;
    bool wants_sync = false;

    if (command->flags & STEM_COMMAND_QUICK) {
        stem_connection_run(connection, command, args, n_args, reader, &wants_sync);
        stem_execution_reset(reader);
        return;
    }
    const stem_turn turn = stem_turn_begin(server, connection, NULL, false);
    stem_execution_only_reads(reader);
    stem_connection_run(connection, command, args, n_args, reader, &wants_sync);
    stem_execution_reset(reader);
    stem_turn_end(server, &turn);
}

/* Joins the group; false when there is none with room. */
static bool run_in_group(stem_connection *connection, const stem_command *command,
                         const stem_slice *args, size_t n_args)
{
    stem_server *server = connection->server;
    stem_group *group = server->forming;

    if (!group || stem_group_is_full(group)) {
        connection->waits_for_group = server->has_waiting = true;
        return false;
    }
    const stem_turn turn = stem_turn_begin(server, connection, group, false);
    const bool is_added = command
                              ? stem_group_add(group, connection, command, args, n_args)
                              : stem_group_add_transaction(group, connection);
    stem_turn_end(server, &turn);
    if (!is_added && !connection->group) {
        stem_reply_failure(&connection->output, STEM_ENOMEM);
        if (!command)
            stem_connection_forget_transaction(connection);
        return true;
    }
    /* An answer that is none of the group's comes behind those that are; and words that do not lie
     * in the input go with the next request that is read. */
    if (!is_added || connection->parser.unquoted.len > 0)
        connection->waits_for_group = true;
    return is_added;
}

static void start_job(stem_connection *connection, const stem_command *command,
                      const stem_slice *args, size_t n_args)
{
    stem_server *server = connection->server;
    stem_reply *reply = &connection->output;
    const size_t start = reply->bytes.len;
    stem_execution *reader = server->reader;
    stem_request request =
        stem_connection_request(connection, args, n_args, reader, reply);
    const stem_turn turn = stem_turn_begin(server, connection, NULL, false);

    stem_execution_only_reads(reader);
    const int code = command->start(&request, server->engine, &connection->job);
    stem_execution_reset(reader);
    if (code != STEM_OK || reply->bytes.failed)
        stem_output_fail(connection, start, code);
    stem_turn_end(server, &turn);
}

void stem_connection_step(stem_connection *connection)
{
    stem_server *server = connection->server;
    stem_reply *reply = &connection->output;
    const size_t start = reply->bytes.len;
    bool is_done = false;

    if (!stem_turn_is_free(server)) {
        stem_connection_starve(connection);
        return;
    }
    const stem_turn turn = stem_turn_begin(server, connection, NULL, false);
    const int code = connection->job->step(connection->job, reply, &is_done);
    if (code != STEM_OK || reply->bytes.failed)
        stem_output_fail(connection, start, code);
    if (is_done || code != STEM_OK) {
        connection->job->free(connection->job);
        connection->job = NULL;
    }
    stem_turn_end(server, &turn);
}

/* ---- On another thread ------------------------------------------------------------ */

/* A command that waits for the disk. Its words and its reply are its own. */
typedef struct blocking {
    stem_task task;
    stem_connection *from;
    const stem_command *command;
    stem_transaction words; /* one command, as a transaction queues it */
    stem_execution *on;
    stem_reply reply;
} blocking;

static void run_blocking(stem_task *task)
{
    blocking *what = (blocking *)task;
    const stem_queued *queued = &what->words.queued[0];
    stem_request request = stem_connection_request(
        what->from, queued->args, queued->n_args, what->on, &what->reply);

    if (atomic_load(&what->from->caller.is_gone))
        return;
    const int code = what->command->run(&request);
    if (code != STEM_OK) {
        what->reply.bytes.len = 0;
        stem_reply_failure(&what->reply, code);
    }
}

static void free_blocking(blocking *what)
{
    stem_transaction_reset(&what->words);
    stem_execution_free(what->on);
    free(what->reply.bytes.data);
    free(what);
}

static void finish_blocking(stem_task *task)
{
    blocking *what = (blocking *)task;
    stem_connection *from = what->from;

    from->task = NULL;
    if (what->reply.bytes.failed)
        from->output.bytes.failed = true;
    else
        stem_buffer_add(&from->output.bytes, what->reply.bytes.data,
                        what->reply.bytes.len);
    free_blocking(what);
    stem_connection_make_ready(from);
}

static void run_on_worker(stem_connection *connection, const stem_command *command,
                          const stem_slice *args, size_t n_args)
{
    blocking *what = calloc(1, sizeof *what);

    if (what) {
        what->task = (stem_task){.run = run_blocking, .finish = finish_blocking};
        what->from = connection;
        what->command = command;
        what->reply.version = connection->output.version;
        what->reply.failures = connection->output.failures;
        what->reply.tells_causes = connection->output.tells_causes;
        what->reply.bytes.limit = connection->output.bytes.limit;
        what->on = stem_execution_new(connection->server->engine);
    }
    if (!what || !what->on ||
        !stem_transaction_queue(&what->words, command, args, n_args)) {
        if (what)
            free_blocking(what);
        stem_reply_failure(&connection->output, STEM_ENOMEM);
        return;
    }
    connection->task = &what->task;
    stem_worker_add(connection->server,
                    command->flags & STEM_COMMAND_SWEEPS ? STEM_WORKER_SWEEPS
                                                         : STEM_WORKER_SYNCS,
                    &what->task);
}

/* ---- The request ------------------------------------------------------------------ */

static void queue(stem_connection *connection, const stem_command *command,
                  const stem_slice *args, size_t n_args)
{
    stem_reply *reply = &connection->output;

    if ((!command->run && !command->serve) ||
        (command->flags &
         (STEM_COMMAND_NO_MULTI | STEM_COMMAND_BLOCKS | STEM_COMMAND_LANDED))) {
        stem_reply_about(reply, "ERR ", command, " is not allowed in a transaction");
        connection->transaction.is_failed = true;
        return;
    }
    const char *error = stem_connection_queue(connection, command, args, n_args);
    if (error) {
        stem_reply_error(reply, error);
        connection->transaction.is_failed = true;
    } else {
        stem_reply_status(reply, "QUEUED");
    }
}

/* EXEC: whether there is a transaction that can run. */
static bool can_execute(stem_connection *connection)
{
    const stem_transaction *transaction = &connection->transaction;

    if (!transaction->is_open)
        stem_reply_error(&connection->output, "ERR EXEC without MULTI");
    else if (transaction->is_failed)
        stem_reply_error(&connection->output,
                         "EXECABORT Transaction discarded because of previous errors.");
    else if (stem_connection_serve_queued(connection))
        return true;
    stem_connection_forget_transaction(connection);
    return false;
}

static void serve_here(stem_connection *connection, const stem_command *command,
                       const stem_slice *args, size_t n_args)
{
    const size_t start = connection->output.bytes.len;

    command->serve(connection, args, n_args);
    if (connection->output.bytes.failed)
        stem_output_fail(connection, start, STEM_ENOMEM);
}

/* Serves what may be served; false when it has to wait for a group. */
static bool serve(stem_connection *connection, const stem_command *command,
                  const stem_slice *args, size_t n_args)
{
    if (command->flags & STEM_COMMAND_EXECUTES)
        return !can_execute(connection) || run_in_group(connection, NULL, NULL, 0);
    if (connection->transaction.is_open && !(command->flags & STEM_COMMAND_AT_ONCE))
        queue(connection, command, args, n_args);
    else if (command->serve)
        serve_here(connection, command, args, n_args);
    else if (command->flags & STEM_COMMAND_BLOCKS)
        run_on_worker(connection, command, args, n_args);
    else if (command->start)
        start_job(connection, command, args, n_args);
    else if ((command->flags & STEM_COMMAND_WRITES) || connection->group)
        return run_in_group(connection, command, args, n_args);
    else
        run_at_once(connection, command, args, n_args);
    return true;
}

/* Whether it may join a group that its connection is in already. */
static bool is_for_group(const stem_connection *connection, const stem_command *command,
                         const stem_slice *args, size_t n_args)
{
    return command && command->run &&
           !(command->flags & (STEM_COMMAND_BLOCKS | STEM_COMMAND_LANDED)) &&
           stem_command_fits(command, n_args) && !connection->transaction.is_open &&
           has_rights(connection, command, args, n_args) &&
           !(connection->server->is_read_only && (command->flags & STEM_COMMAND_WRITES));
}

/* Whether serving it begins a turn. */
static bool takes_turn(const stem_connection *connection, const stem_command *command)
{
    return command && (!(command->flags & STEM_COMMAND_QUICK) || connection->group ||
                       connection->transaction.is_open);
}

bool stem_connection_serve(stem_connection *connection)
{
    const stem_slice *args = connection->parser.args;
    const size_t n_args = connection->parser.n_args;
    const stem_command *parent;

    if (n_args == 0)
        return true;
    const stem_command *command = stem_command_of(args, n_args, &parent);
    if (connection->group && !is_for_group(connection, command, args, n_args)) {
        connection->waits_for_group = true;
        return false;
    }
    if (takes_turn(connection, command) && !stem_turn_is_free(connection->server)) {
        stem_connection_starve(connection);
        return false;
    }
    if (!stem_connection_begin_muted(connection))
        return false;
    connection->server->metrics.commands++;
    connection->last_command = command;
    const bool is_served = refuse(connection, command, parent, args, n_args) ||
                           serve(connection, command, args, n_args);
    stem_connection_end_muted(connection, is_served);
    return is_served;
}
