/*
 * CLIENT REPLY OFF and SKIP: replies are made as always, and dropped when all that are due are
 * there, so that none is missing or left over when replies are turned on again.
 */
#include "connection.h"

/* Whether a reply is still to be added, or to be made again. */
static bool is_awaited(const stem_connection *connection)
{
    return connection->group || connection->task || connection->login || connection->job;
}

void stem_connection_drop_muted(stem_connection *connection)
{
    if (!connection->has_muted || is_awaited(connection) ||
        connection->reply_mode == STEM_REPLY_SKIPS_NEXT)
        return;
    connection->output.bytes.len = connection->muted_from;
    connection->has_muted = false;
    if (connection->reply_mode == STEM_REPLY_SKIPS)
        connection->reply_mode = STEM_REPLY_ON;
}

bool stem_connection_begin_muted(stem_connection *connection)
{
    stem_connection_drop_muted(connection);
    if (connection->reply_mode == STEM_REPLY_ON)
        return true;
    if (connection->reply_mode == STEM_REPLY_SKIPS_NEXT) {
        if (connection->group) { /* the replies before it are to be sent */
            connection->waits_for_group = true;
            return false;
        }
        connection->reply_mode = STEM_REPLY_SKIPS;
    }
    if (!connection->has_muted)
        connection->muted_from = connection->output.bytes.len;
    connection->has_muted = true;
    return true;
}

void stem_connection_end_muted(stem_connection *connection, bool is_served)
{
    if (connection->reply_mode == STEM_REPLY_SKIPS) {
        if (!is_served) {
            connection->reply_mode = STEM_REPLY_SKIPS_NEXT;
            connection->has_muted = false;
            return;
        }
        if (connection->group) /* the replies behind it are to be sent */
            connection->waits_for_group = true;
    }
    stem_connection_drop_muted(connection);
}
