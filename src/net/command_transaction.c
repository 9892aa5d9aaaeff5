/*
 * MULTI, DISCARD, WATCH and UNWATCH; EXEC itself is run by a group (group.c).
 */
#include "../error.h"
#include "command_own.h"
#include "command_rows.h"
#include "connection.h"

void stem_serve_multi(stem_connection *connection, const stem_slice *args, size_t n_args)
{
    stem_transaction *transaction = &connection->transaction;

    (void)args;
    (void)n_args;
    if (transaction->is_open) {
        stem_reply_error(&connection->output, "ERR MULTI calls can not be nested");
        return;
    }
    transaction->is_open = true;
    transaction->is_failed = false;
    stem_reply_status(&connection->output, "OK");
}

void stem_serve_discard(stem_connection *connection, const stem_slice *args,
                        size_t n_args)
{
    (void)args;
    (void)n_args;
    if (!connection->transaction.is_open) {
        stem_reply_error(&connection->output, "ERR DISCARD without MULTI");
        return;
    }
    stem_connection_forget_transaction(connection);
    stem_reply_status(&connection->output, "OK");
}

/* Between MULTI and EXEC it comes too late to change anything, as in Redis: EXEC has looked at
 * what is watched by then. */
void stem_serve_unwatch(stem_connection *connection, const stem_slice *args,
                        size_t n_args)
{
    (void)args;
    (void)n_args;
    if (!connection->transaction.is_open)
        stem_connection_unwatch(connection, 0);
    stem_reply_status(&connection->output, "OK");
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

void stem_serve_watch(stem_connection *connection, const stem_slice *args, size_t n)
{
    stem_execution *reader = connection->server->reader;
    const size_t n_before = connection->transaction.n_watched;
    stem_reply *reply = &connection->output;
    stem_request request = stem_connection_request(connection, args, n, reader, reply);
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
        stem_reply_status(reply, "OK");
        return;
    }
    stem_connection_unwatch(connection, n_before);
    if (code != STEM_EINVAL)
        stem_reply_failure(reply, code);
}
