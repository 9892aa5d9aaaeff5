/*
 * What a connection keeps between MULTI and EXEC, and what it watches.
 */
#include <stdlib.h>
#include <string.h>

#include "turn.h"

void stem_transaction_unwatch(stem_transaction *transaction, size_t n_kept)
{
    while (transaction->n_watched > n_kept) {
        const stem_watched *last = &transaction->watched[--transaction->n_watched];

        transaction->watched_bytes -= sizeof *last + last->key.len + last->value.len;
        free((char *)last->key.data);
    }
}

void stem_transaction_reset(stem_transaction *transaction)
{
    for (size_t i = 0; i < transaction->n_queued; i++) {
        free(transaction->queued[i].args);
        free(transaction->queued[i].reply);
    }
    stem_transaction_unwatch(transaction, 0);
    free(transaction->queued);
    free(transaction->watched);
    *transaction = (stem_transaction){0};
}

/* What a command takes when it is queued. */
static size_t queued_size(const stem_slice *args, size_t n_args)
{
    size_t bytes = sizeof(stem_queued) + n_args * sizeof *args;

    for (size_t i = 0; i < n_args; i++)
        bytes += args[i].len;
    return bytes;
}

/* The words and their bytes in one block. */
static stem_slice *copy_args(const stem_slice *args, size_t n_args)
{
    stem_slice *copy = malloc(queued_size(args, n_args));
    if (!copy)
        return NULL;
    char *end = (char *)(copy + n_args);
    for (size_t i = 0; i < n_args; i++) {
        memcpy(end, args[i].data, args[i].len);
        copy[i] = (stem_slice){end, args[i].len};
        end += args[i].len;
    }
    return copy;
}

static bool grow(void **items, size_t size, size_t n, size_t *capacity)
{
    if (n < *capacity)
        return true;
    const size_t wanted = *capacity > 0 ? 2 * *capacity : 8;
    void *more = realloc(*items, wanted * size);
    if (!more)
        return false;
    *items = more;
    *capacity = wanted;
    return true;
}

bool stem_transaction_queue(stem_transaction *transaction, const stem_command *command,
                            const stem_slice *args, size_t n_args)
{
    void *queued = transaction->queued;

    if (!grow(&queued, sizeof *transaction->queued, transaction->n_queued,
              &transaction->queued_capacity))
        return false;
    transaction->queued = queued;
    stem_slice *copy = copy_args(args, n_args);
    if (!copy)
        return false;
    transaction->queued[transaction->n_queued++] =
        (stem_queued){.command = command, .args = copy, .n_args = n_args};
    transaction->queued_bytes += queued_size(args, n_args);
    return true;
}

static bool add_watched(stem_transaction *transaction, stem_slice key, stem_slice value)
{
    void *watched = transaction->watched;

    if (!grow(&watched, sizeof *transaction->watched, transaction->n_watched,
              &transaction->watched_capacity))
        return false;
    transaction->watched = watched;
    char *copy = malloc(key.len + value.len + 1);
    if (!copy)
        return false;
    memcpy(copy, key.data, key.len);
    if (value.data)
        memcpy(copy + key.len, value.data, value.len);
    stem_watched *added = &transaction->watched[transaction->n_watched++];
    added->key.data = copy;
    added->key.len = key.len;
    added->value.data = value.data ? copy + key.len : NULL;
    added->value.len = value.len;
    transaction->watched_bytes += sizeof *added + key.len + value.len;
    return true;
}

int stem_transaction_judge(const stem_transaction *transaction, stem_execution *on,
                           bool *is_unchanged)
{
    int code = STEM_OK;

    *is_unchanged = true;
    for (size_t i = 0; i < transaction->n_watched && code == STEM_OK; i++) {
        const stem_watched *each = &transaction->watched[i];
        stem_slice now;

        code = stem_execution_read(on, &each->key, 1, &now);
        if (code == STEM_OK && (!now.data != !each->value.data ||
                                (now.data && stem_slice_compare(now, each->value) != 0)))
            *is_unchanged = false;
    }
    return code;
}

/* ---- A connection's own ----------------------------------------------------------- */

const char *stem_connection_queue(stem_connection *connection,
                                  const stem_command *command, const stem_slice *args,
                                  size_t n_args)
{
    enum { MOST_SERVED = 256 };
    static const char too_large[] = "NOMEM the transaction is too large";
    const size_t bytes = queued_size(args, n_args);
    stem_transaction *transaction = &connection->transaction;
    stem_server *server = connection->server;

    if (command->serve && transaction->n_served++ == MOST_SERVED)
        return "ERR too many commands about the server in one transaction";
    if (!stem_connection_may_hold(connection, bytes))
        return stem_input_is_full;
    /* One request fits, however large it is. */
    if (transaction->queued_bytes > server->options.max_request_bytes)
        return too_large;
    server->input_bytes += bytes;
    const stem_turn turn = stem_turn_begin(server, connection, NULL, false);
    const bool is_queued = stem_transaction_queue(transaction, command, args, n_args);
    stem_turn_end(server, &turn);
    if (is_queued)
        return NULL;
    server->input_bytes -= bytes;
    return too_large;
}

/* Moves what was added to the output behind `start` to a queued command. */
static bool keep_reply(stem_connection *connection, stem_queued *queued, size_t start)
{
    stem_buffer *output = &connection->output.bytes;
    const size_t len = output->len - start;

    if (output->failed || !stem_connection_may_hold(connection, len))
        return false;
    queued->reply = malloc(len + 1);
    if (!queued->reply)
        return false;
    memcpy(queued->reply, output->data + start, len);
    queued->reply_len = len;
    output->len = start;
    connection->transaction.queued_bytes += len;
    connection->server->input_bytes += len;
    return true;
}

bool stem_connection_serve_queued(stem_connection *connection)
{
    stem_transaction *transaction = &connection->transaction;
    const size_t start = connection->output.bytes.len;

    for (size_t i = 0; transaction->n_served > 0 && i < transaction->n_queued; i++) {
        stem_queued *each = &transaction->queued[i];

        if (!each->command->serve || each->reply)
            continue;
        each->command->serve(connection, each->args, each->n_args);
        if (!keep_reply(connection, each, start)) {
            stem_output_fail(connection, start, STEM_ENOMEM);
            return false;
        }
    }
    return true;
}

stem_watch_room stem_connection_watch_room(const stem_connection *connection)
{
    const stem_server *server = connection->server;
    const size_t used = server->input_bytes, all = server->options.max_input_bytes;

    return (stem_watch_room){.own = server->options.max_request_bytes,
                             .of_all = connection->transaction.watched_bytes +
                                       (all > used ? all - used : 0)};
}

const char *stem_transaction_watch(stem_transaction *transaction, stem_slice key,
                                   stem_slice value, const stem_watch_room *room)
{
    const size_t bytes =
        transaction->watched_bytes + sizeof(stem_watched) + key.len + value.len;

    if (bytes > room->of_all)
        return stem_input_is_full;
    if (bytes > room->own || !add_watched(transaction, key, value))
        return "NOMEM too much is watched";
    return NULL;
}

void stem_connection_unwatch(stem_connection *connection)
{
    stem_transaction *transaction = &connection->transaction;
    const size_t before = transaction->watched_bytes;

    stem_transaction_unwatch(transaction, 0);
    connection->server->input_bytes -= before - transaction->watched_bytes;
}

void stem_connection_forget_transaction(stem_connection *connection)
{
    stem_transaction *transaction = &connection->transaction;

    connection->server->input_bytes -=
        transaction->queued_bytes + transaction->watched_bytes;
    stem_transaction_reset(transaction);
}
