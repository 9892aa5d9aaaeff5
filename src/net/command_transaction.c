/*
 * MULTI, DISCARD, WATCH and UNWATCH; EXEC itself is run by a group (group.c).
 */
#include "../error.h"
#include "command_own.h"
#include "command_rows.h"
#include "turn.h"

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
        stem_connection_unwatch(connection);
    stem_reply_status(&connection->output, "OK");
}

/* What one key holds now is what EXEC will look for. STEM_EINVAL after having replied. */
static int watch(stem_transaction *transaction, stem_request *request, size_t arg,
                 const stem_watch_room *room)
{
    stem_slice key, value;

    int code = stem_request_key(request, arg, &key);
    if (code == STEM_OK)
        code = stem_execution_read(request->on, &key, 1, &value);
    if (code != STEM_OK)
        return code;
    const char *error = stem_transaction_watch(transaction, key, value, room);
    return error ? stem_refuse(request, error) : STEM_OK;
}

/* All of the words, or none, having replied. */
static void watch_all(stem_transaction *transaction, stem_request *request,
                      const stem_watch_room *room)
{
    const size_t n_before = transaction->n_watched;
    int code = STEM_OK;

    for (size_t i = 1; i < request->n_args && code == STEM_OK; i++) {
        stem_execution_only_reads(request->on);
        code = watch(transaction, request, i, room);
        stem_execution_reset(request->on);
    }
    if (code == STEM_OK) {
        stem_reply_status(request->reply, "OK");
        return;
    }
    stem_transaction_unwatch(transaction, n_before);
    if (code != STEM_EINVAL)
        stem_reply_failure(request->reply, code);
}

void stem_serve_watch(stem_connection *connection, const stem_slice *args, size_t n)
{
    stem_server *server = connection->server;
    stem_transaction *transaction = &connection->transaction;
    const size_t before = transaction->watched_bytes;
    const stem_watch_room room = stem_connection_watch_room(connection);
    stem_request request =
        stem_connection_request(connection, args, n, server->reader, &connection->output);

    if (transaction->is_open) {
        stem_reply_error(&connection->output, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    const stem_turn turn = stem_turn_begin(server, connection, NULL, false);
    watch_all(transaction, &request, &room);
    stem_turn_end(server, &turn);
    server->input_bytes += transaction->watched_bytes - before;
}
