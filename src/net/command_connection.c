/*
 * The commands about the connection itself: whether it is there, whose it is, its end. Those of
 * transactions, sessions and CLIENT have files of their own.
 */
#include <string.h>

#include "../error.h"
#include "command_own.h"
#include "command_rows.h"
#include "connection.h"

/* ---- PING, ECHO: like any other, so that they can be queued ------------------------- */

int stem_run_ping(stem_request *request)
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

int stem_run_echo(stem_request *request)
{
    stem_reply_bulk(request->reply, request->args[1].data, request->args[1].len);
    return STEM_OK;
}

/* ---- Who it is -------------------------------------------------------------------- */

void stem_serve_auth(stem_connection *connection, const stem_slice *args, size_t n)
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

void stem_serve_hello(stem_connection *connection, const stem_slice *args, size_t n)
{
    stem_reply *reply = &connection->output;
    hello asked;

    if (!read_hello(connection, args, n, &asked) ||
        (asked.name && !stem_connection_set_name(connection, *asked.name)))
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

void stem_serve_select(stem_connection *connection, const stem_slice *args, size_t n_args)
{
    stem_reply *reply = &connection->output;
    int64_t database;

    (void)n_args;
    if (!stem_text_is_int(args[1], &database) || database < INT32_MIN ||
        database > INT32_MAX)
        stem_reply_error(reply, stem_no_integer);
    else if (database != 0)
        stem_reply_error(reply, "ERR DB index is out of range");
    else
        stem_reply_status(reply, "OK");
}

/* ---- Ending, beginning again --------------------------------------------------------- */

void stem_serve_quit(stem_connection *connection, const stem_slice *args, size_t n_args)
{
    (void)args;
    (void)n_args;
    stem_reply_status(&connection->output, "OK");
    stem_connection_end(connection);
}

void stem_serve_reset(stem_connection *connection, const stem_slice *args, size_t n_args)
{
    (void)args;
    (void)n_args;
    stem_connection_reset(connection);
    stem_reply_status(&connection->output, "RESET");
}
