/*
 * What a server says of itself: INFO, and Prometheus' text, from one list.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "sessions.h"
#include "snapshots.h"

/* One figure, of which the name is Prometheus' own, "stem_" before it; INFO has it without. */
typedef struct figure {
    const char *section, *name, *help;
    bool is_counter;
    uint64_t value;
} figure;

enum { MOST_FIGURES = 40 };

static size_t list_figures(const stem_server *server, figure figures[MOST_FIGURES])
{
    const stem_metrics *m = &server->metrics;
    stem_statistics stats = {0};
    size_t n = 0;

    server->engine->ops->stats(server->engine, &stats);
#define FIGURE(section, name, is_counter, help, value)                                   \
    figures[n++] = (figure){section, name, help, is_counter, value}
    FIGURE("Clients", "connected_clients", false, "Connections that are open.",
           server->n_connections);
    FIGURE("Clients", "maxclients", false, "Connections there may be.",
           server->most_connections);
    FIGURE("Clients", "sessions", false, "Sessions that are kept.",
           stem_sessions_count(server->sessions));
    FIGURE("Clients", "snapshots", false, "Snapshots that are open.",
           stem_snapshots_count(server->snapshots));
    FIGURE("Memory", "input_bytes", false, "Memory of requests under way.",
           server->input_bytes);
    FIGURE("Memory", "output_bytes", false, "Memory of answers that wait.",
           server->output_bytes);
    FIGURE("Memory", "engine_bytes", false, "Write buffers and block cache in use.",
           stats.memory_bytes);
    FIGURE("Memory", "writeback_dirty_bytes", false, "Commits that are not written yet.",
           stats.dirty_bytes);
    FIGURE("Memory", "writeback_cached_bytes", false, "Values kept to be read again.",
           stats.cached_bytes);
    FIGURE("Stats", "total_connections_received", true, "Connections accepted.",
           m->connections);
    FIGURE("Stats", "rejected_connections", true, "Connections turned away.",
           m->refused_connections);
    FIGURE("Stats", "evicted_clients", true,
           "Connections closed as they received their answers too slowly.",
           m->evicted_connections);
    FIGURE("Stats", "total_commands_processed", true, "Commands served.", m->commands);
    FIGURE("Stats", "total_net_input_bytes", true, "Bytes received.", m->bytes_in);
    FIGURE("Stats", "total_net_output_bytes", true, "Bytes sent.", m->bytes_out);
    FIGURE("Stats", "failed_logins", true, "Logins refused.", m->failed_logins);
    FIGURE("Stats", "denied_commands", true, "Commands refused for lack of rights.",
           m->denied);
    FIGURE("Stats", "commits", true, "Groups of writes committed.", m->commits);
    FIGURE("Stats", "commit_conflicts", true, "Groups run again after a conflict.",
           m->commit_conflicts);
    FIGURE("Stats", "commit_failures", true, "Groups that could not be written.",
           m->commit_failures);
    FIGURE("Persistence", "table_files", false, "Table files.", stats.table_files);
    FIGURE("Persistence", "table_bytes", false, "Bytes in tables.", stats.table_bytes);
    FIGURE("Persistence", "log_files", false, "Log files.", stats.log_files);
    FIGURE("Persistence", "log_bytes", false, "Bytes in logs.", stats.log_bytes);
    FIGURE("Persistence", "repairs", true, "Times that writing was mended.",
           stats.repairs);
#undef FIGURE
    return n;
}

static void add_line(stem_buffer *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add_line(stem_buffer *out, const char *format, ...)
{
    char line[512];
    va_list arguments;

    va_start(arguments, format);
    const int len = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (len > 0)
        stem_buffer_add(out, line,
                        (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
}

static uint64_t uptime(const stem_server *server)
{
    return (server->now_ms - server->started_ms) / 1000;
}

void stem_metrics_info(const stem_server *server, bool is_admin, stem_buffer *out)
{
    figure figures[MOST_FIGURES];
    const char *section = "";

    add_line(out,
             "# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n"
             "stem_version:%s\r\nuptime_in_seconds:%" PRIu64 "\r\n",
             stem_version(), uptime(server));
    if (!is_admin) /* the rest tells of others */
        return;
    const size_t n = list_figures(server, figures);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(section, figures[i].section) != 0)
            add_line(out, "\r\n# %s\r\n", figures[i].section);
        section = figures[i].section;
        add_line(out, "%s:%" PRIu64 "\r\n", figures[i].name, figures[i].value);
    }
}

void stem_metrics_text(const stem_server *server, stem_buffer *out)
{
    figure figures[MOST_FIGURES];
    const size_t n = list_figures(server, figures);

    add_line(out,
             "# HELP stem_uptime_seconds Seconds since the server began.\n"
             "# TYPE stem_uptime_seconds gauge\nstem_uptime_seconds %" PRIu64 "\n",
             uptime(server));
    for (size_t i = 0; i < n; i++) {
        const figure *each = &figures[i];
        const char *end = each->is_counter ? "_total" : "";
        const char *name = each->name;

        if (strncmp(name, "total_", 6) == 0)
            name += 6;
        add_line(out, "# HELP stem_%s%s %s\n# TYPE stem_%s%s %s\nstem_%s%s %" PRIu64 "\n",
                 name, end, each->help, name, end, each->is_counter ? "counter" : "gauge",
                 name, end, each->value);
    }
}
