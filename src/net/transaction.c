/*
 * What a connection keeps between MULTI and EXEC, and what it watches.
 */
#include <stdlib.h>
#include <string.h>

#include "connection.h"

void stem_transaction_reset(stem_transaction *transaction)
{
    for (size_t i = 0; i < transaction->n_queued; i++)
        free(transaction->queued[i].args);
    for (size_t i = 0; i < transaction->n_watched; i++)
        free((char *)transaction->watched[i].key.data);
    free(transaction->queued);
    free(transaction->watched);
    *transaction = (stem_transaction){0};
}

/* The words and their bytes in one block. */
static stem_slice *copy_args(const stem_slice *args, size_t n_args, size_t *bytes)
{
    *bytes = n_args * sizeof *args;
    for (size_t i = 0; i < n_args; i++)
        *bytes += args[i].len;
    stem_slice *copy = malloc(*bytes);
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
    size_t bytes;
    void *queued = transaction->queued;

    if (!grow(&queued, sizeof *transaction->queued, transaction->n_queued,
              &transaction->queued_capacity))
        return false;
    transaction->queued = queued;
    stem_slice *copy = copy_args(args, n_args, &bytes);
    if (!copy)
        return false;
    transaction->queued[transaction->n_queued++] = (stem_queued){command, copy, n_args};
    transaction->queued_bytes += bytes;
    return true;
}

bool stem_transaction_watch(stem_transaction *transaction, stem_slice key,
                            stem_slice value)
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
    transaction->watched_bytes += key.len + value.len;
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
