/*
 * Serving a database: the public calls, over net/server.h.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "db.h"
#include "error.h"

#ifdef HAVE_LIBEVENT

#include <stdio.h>
#include <stdlib.h>

#include "net/server.h"

static int check(stem_server **server, const stem_db *db)
{
    const int code = stem_db_check(db, "serve");

    if (code != STEM_OK)
        return code;
    if (!server)
        return stem_fail_at(stem_fail(STEM_EINVAL, "the output is NULL"), "serve", NULL);
    if (db->frozen)
        return stem_fail_at(stem_fail(STEM_EINVAL, "a snapshot cannot be served"),
                            "serve", NULL);
    return STEM_OK;
}

int stem_server_open(stem_server **server, stem_db *db,
                     const stem_server_options *options)
{
    static const stem_server_options defaults;

    int code = check(server, db);
    if (code != STEM_OK)
        return code;
    stem_db *held = stem_dup(db);
    if (!held)
        return stem_errcode();
    const stem_slice scope = {held->prefix, held->prefix_len};
    stem_server *opened;
    code = stem_net_server_open(held->engine, scope, held->is_read_only,
                                options ? options : &defaults, NULL, &opened);
    if (code != STEM_OK) {
        stem_db_release(held);
        return stem_fail_at(code, "serve", NULL);
    }
    opened->handle = held;
    *server = opened;
    return STEM_OK;
}

const char *stem_server_address(const stem_server *server, size_t i)
{
    return server ? stem_net_server_address(server, i) : NULL;
}

const char *stem_server_metrics_address(const stem_server *server)
{
    return server ? stem_net_server_metrics_address(server) : NULL;
}

/* A child has neither the server's threads nor its descriptors, and its locks may be held. */
static int check_own(const stem_server *server, const char *operation)
{
    return server->fork_generation == stem_fork_generation
               ? STEM_OK
               : stem_fail(STEM_EFORK,
                           "%s: the server was opened before fork(); it stays the "
                           "parent's",
                           operation);
}

uint64_t stem_server_failures(stem_server *server, char **message)
{
    stem_failure last = {.code = STEM_OK};

    if (message)
        *message = NULL;
    if (!server)
        return 0;
    const uint64_t n = stem_net_server_failures(server, &last);
    if (message && n > 0)
        *message = strdup(last.text);
    return n;
}

int stem_server_reload(stem_server *server)
{
    if (!server)
        return stem_fail(STEM_EINVAL, "reload: the server is NULL");
    int code = check_own(server, "reload");
    if (code != STEM_OK)
        return code;
    code = stem_net_server_reload(server);
    return code == STEM_OK ? code : stem_fail_at(code, "reload", NULL);
}

int stem_server_close(stem_server *server)
{
    if (!server)
        return STEM_OK;
    int code = check_own(server, "close the server");
    if (code != STEM_OK)
        return code;
    stem_db *held = server->handle;
    stem_net_server_close(server);
    code = stem_close(held);
    if (code != STEM_OK) { /* what it could not write goes to the next that opens it */
        stem_failure cause;

        stem_failure_save(&cause);
        stem_db_release(held);
        stem_failure_restore(&cause);
    }
    return code;
}

/* ---- Sharing a directory ---------------------------------------------------------- */

/* For processes that are trusted: no limits but those of the machine. */
static int host_open(stem_engine *engine, const char *socket,
                     const stem_options *settings, void **opened)
{
    enum { DAY = 86400 };
    const size_t gib = (size_t)1 << 30;
    const stem_sharing sharing = {settings};
    stem_server_options options = {.max_clients = 1000000,
                                   .max_request_bytes = 4 * gib,
                                   .max_input_bytes = 64 * gib,
                                   .max_output_bytes = 64 * gib,
                                   .max_total_output_bytes = 64 * gib,
                                   .idle_seconds = (size_t)365 * DAY,
                                   .max_sessions = 2048,
                                   .max_snapshots = 10000};
    char *address;
    stem_server *server;

    if (asprintf(&address, "unix:%s", socket) < 0)
        return stem_fail(STEM_ENOMEM, "no memory for a server");
    options.listen = (const char *const[]){address, NULL};
    const int code = stem_net_server_open(engine, (stem_slice){"", 0}, false, &options,
                                          &sharing, &server);
    free(address);
    if (code == STEM_OK)
        *opened = server;
    return code;
}

static void host_close(void *server)
{
    stem_net_server_linger(server);
    stem_net_server_close(server);
}

static size_t host_clients(void *server)
{
    return stem_net_server_clients(server);
}

static const stem_engine_host host = {
    .open = host_open, .close = host_close, .clients = host_clients};

const stem_engine_host *const stem_serve_host = &host;

#else

const stem_engine_host *const stem_serve_host = NULL;

static int refuse(void)
{
    return stem_fail(STEM_ENOTSUP, "serve: this build was made without libevent");
}

int stem_server_open(stem_server **server, stem_db *db,
                     const stem_server_options *options)
{
    (void)server;
    (void)db;
    (void)options;
    return refuse();
}

const char *stem_server_address(const stem_server *server, size_t i)
{
    (void)server;
    (void)i;
    return NULL;
}

const char *stem_server_metrics_address(const stem_server *server)
{
    (void)server;
    return NULL;
}

uint64_t stem_server_failures(stem_server *server, char **message)
{
    (void)server;
    if (message)
        *message = NULL;
    return 0;
}

int stem_server_reload(stem_server *server)
{
    (void)server;
    return refuse();
}

int stem_server_close(stem_server *server)
{
    return server ? refuse() : STEM_OK;
}

#endif
