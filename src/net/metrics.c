/*
 * The figures of a server, and Prometheus' text of them; see metrics.h.
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "sessions.h"
#include "snapshots.h"

void stem_metrics_list(const stem_server *server, stem_figures *figures)
{
    const stem_metrics *m = &server->metrics;
    stem_statistics stats = {0};
    size_t n = 0;

    server->engine->ops->stats(server->engine, &stats);
#define FIGURE(section, name, is_counter, help, value)                                   \
    figures->all[n++] = (stem_figure){section, name, help, is_counter, value}
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
    figures->n = n;
    figures->used_bytes = server->input_bytes + server->output_bytes +
                          stats.memory_bytes + stats.dirty_bytes + stats.cached_bytes +
                          stats.kept_bytes;
}

static uint64_t uptime(const stem_server *server)
{
    return (server->now_ms - server->started_ms) / 1000;
}

void stem_metrics_text(const stem_server *server, stem_buffer *out)
{
    stem_figures figures;

    stem_metrics_list(server, &figures);
    stem_buffer_print(out,
                      "# HELP stem_uptime_seconds Seconds since the server began.\n"
                      "# TYPE stem_uptime_seconds gauge\nstem_uptime_seconds %" PRIu64
                      "\n",
                      uptime(server));
    for (size_t i = 0; i < figures.n; i++) {
        const stem_figure *each = &figures.all[i];
        const char *end = each->is_counter ? "_total" : "";
        const char *name = each->name;

        if (strncmp(name, "total_", 6) == 0)
            name += 6;
        stem_buffer_print(
            out, "# HELP stem_%s%s %s\n# TYPE stem_%s%s %s\nstem_%s%s %" PRIu64 "\n",
            name, end, each->help, name, end, each->is_counter ? "counter" : "gauge",
            name, end, each->value);
    }
}
