/*
 * What a server says of itself and its clock: INFO, CONFIG GET, TIME.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "command_own.h"
#include "command_rows.h"
#include "connection.h"
#include "info.h"
#include "pattern.h"

int stem_run_time(stem_request *request)
{
    enum { NS_IN_US = 1000 };
    struct timespec now;
    char text[24];

    clock_gettime(CLOCK_REALTIME, &now);
    stem_reply_array(request->reply, 2);
    snprintf(text, sizeof text, "%lld", (long long)now.tv_sec);
    stem_reply_text(request->reply, text);
    snprintf(text, sizeof text, "%ld", now.tv_nsec / NS_IN_US);
    stem_reply_text(request->reply, text);
    return STEM_OK;
}

/* ---- INFO ------------------------------------------------------------------------- */

void stem_serve_info(stem_connection *connection, const stem_slice *args, size_t n_args)
{
    unsigned sections = n_args == 1 ? STEM_INFO_EVERYTHING : 0;
    stem_buffer text = {0};

    if (n_args - 1 > STEM_FEW_WORDS) {
        stem_reply_error(&connection->output, "ERR too many sections");
        return;
    }
    for (size_t i = 1; i < n_args; i++)
        sections |= stem_info_section(args[i]);
    stem_info_write(connection, sections, &text);
    if (text.failed)
        stem_reply_failure(&connection->output, STEM_ENOMEM);
    else
        stem_reply_verbatim(&connection->output, text.len > 0 ? text.data : "", text.len);
    free(text.data);
}

/* ---- CONFIG GET ------------------------------------------------------------------- */

/* A parameter under Redis's name. There are those that clients and tools ask for, and the
 * limits of the server; no path, address or password among them. */
typedef struct parameter {
    const char *name, *text; /* or, where that is NULL, `number` */
    uint64_t number;
} parameter;

enum { MOST_PARAMETERS = 24 };

static size_t list_parameters(const stem_server *server,
                              parameter parameters[MOST_PARAMETERS])
{
    const stem_server_options *options = &server->options;
    const parameter all[] = {
        {"appendonly", "no", 0},
        {"client-query-buffer-limit", NULL, options->max_request_bytes},
        {"databases", NULL, 1},
        {"maxclients", NULL, server->most_connections},
        {"maxmemory", NULL, 0},
        {"maxmemory-policy", "noeviction", 0},
        {"notify-keyspace-events", "", 0},
        {"proto-max-bulk-len", NULL, options->max_request_bytes},
        {"save", "", 0},
        {"stem-idle-seconds", NULL, options->idle_seconds},
        {"stem-login-seconds", NULL, options->login_seconds},
        {"stem-max-failed-logins", NULL, options->max_failed_logins},
        {"stem-max-input-bytes", NULL, options->max_input_bytes},
        {"stem-max-output-bytes", NULL, options->max_output_bytes},
        {"stem-max-sessions", NULL, options->max_sessions},
        {"stem-max-snapshots", NULL, options->max_snapshots},
        {"stem-max-total-output-bytes", NULL, options->max_total_output_bytes},
        {"stem-snapshot-seconds", NULL, options->snapshot_seconds},
        {"timeout", NULL, options->idle_seconds},
    };
    const size_t n = sizeof all / sizeof *all;

    _Static_assert(sizeof all / sizeof *all <= MOST_PARAMETERS, "room for all");
    memcpy(parameters, all, sizeof all);
    return n;
}

/* Notes which parameters a pattern matches. */
static int match_parameters(stem_request *request, size_t arg,
                            const parameter *parameters, size_t n, bool *is_wanted)
{
    stem_pattern *pattern = NULL;

    int code = stem_request_name_pattern(request, arg, &pattern);
    for (size_t i = 0; i < n && code == STEM_OK; i++) {
        const stem_slice name = {parameters[i].name, strlen(parameters[i].name)};

        is_wanted[i] |= stem_pattern_matches(pattern, name);
    }
    free(pattern);
    return code;
}

static void reply_parameters(stem_reply *reply, const parameter *parameters, size_t n,
                             const bool *is_wanted)
{
    size_t n_wanted = 0;
    char number[24];

    for (size_t i = 0; i < n; i++)
        n_wanted += is_wanted[i];
    stem_reply_map(reply, n_wanted);
    for (size_t i = 0; i < n; i++) {
        const parameter *each = &parameters[i];

        if (!is_wanted[i])
            continue;
        snprintf(number, sizeof number, "%llu", (unsigned long long)each->number);
        stem_reply_text(reply, each->name);
        stem_reply_text(reply, each->text ? each->text : number);
    }
}

void stem_serve_config_get(stem_connection *connection, const stem_slice *args,
                           size_t n_args)
{
    parameter parameters[MOST_PARAMETERS];
    bool is_wanted[MOST_PARAMETERS] = {false};
    const size_t n = list_parameters(connection->server, parameters);
    stem_reply *reply = &connection->output;
    stem_request request = stem_connection_request(connection, args, n_args, NULL, reply);
    int code = STEM_OK;

    if (n_args - 2 > STEM_FEW_WORDS)
        code = stem_refuse(&request, "ERR too many patterns");
    for (size_t i = 2; i < n_args && code == STEM_OK; i++)
        code = match_parameters(&request, i, parameters, n, is_wanted);
    if (code == STEM_OK)
        reply_parameters(reply, parameters, n, is_wanted);
    else if (code != STEM_EINVAL)
        stem_reply_failure(reply, code);
}
