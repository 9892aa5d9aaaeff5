/*
 * INFO by section; see info.h. Redis's names where clients and exporters look for them, and
 * the figures of metrics.c.
 */
#include "info.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "command_value.h"
#include "keyspace.h"
#include "metrics.h"

/* What the writers of sections share. */
typedef struct writing {
    stem_connection *connection;
    const stem_server *server;
    bool is_admin;
    stem_figures figures; /* for an administrator */
    stem_buffer *out;
} writing;

/* ---- The sections ------------------------------------------------------------------- */

static void write_server(const writing *to)
{
    const uint64_t uptime = (to->server->now_ms - to->server->started_ms) / 1000;
    struct utsname host;

    stem_buffer_print(to->out, "redis_version:7.0.0\r\n");
    stem_buffer_print(to->out, "redis_mode:standalone\r\n");
    stem_buffer_print(to->out, "stem_version:%s\r\n", stem_version());
    stem_buffer_print(to->out, "uptime_in_seconds:%" PRIu64 "\r\n", uptime);
    stem_buffer_print(to->out, "uptime_in_days:%" PRIu64 "\r\n", uptime / 86400);
    if (!to->is_admin)
        return;
    if (uname(&host) == 0)
        stem_buffer_print(to->out, "os:%.64s %.64s %.64s\r\n", host.sysname, host.release,
                          host.machine);
    stem_buffer_print(to->out, "arch_bits:%zu\r\n", 8 * sizeof(void *));
    stem_buffer_print(to->out, "multiplexing_api:%s\r\n",
                      event_base_get_method(to->server->base));
    stem_buffer_print(to->out, "process_id:%ld\r\n", (long)getpid());
}

static void write_clients(const writing *to)
{
    if (to->is_admin)
        stem_buffer_print(to->out, "blocked_clients:0\r\n");
}

static void add_bytes(const writing *to, const char *name, uint64_t bytes)
{
    static const char units[] = "BKMGT";
    double scaled = (double)bytes;
    size_t unit = 0;

    for (; scaled >= 1024 && units[unit + 1]; unit++)
        scaled /= 1024;
    stem_buffer_print(to->out, "%s:%" PRIu64 "\r\n", name, bytes);
    stem_buffer_print(to->out, unit == 0 ? "%s_human:%.0f%c\r\n" : "%s_human:%.2f%c\r\n",
                      name, scaled, units[unit]);
}

/* What is resident, in bytes; 0 where it is not known. */
static uint64_t resident_bytes(void)
{
    unsigned long size, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "re");

    if (!statm)
        return 0;
    if (fscanf(statm, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    fclose(statm);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void write_memory(const writing *to)
{
    struct rusage usage;

    stem_buffer_print(to->out, "maxmemory:0\r\n");
    stem_buffer_print(to->out, "maxmemory_human:0B\r\n");
    stem_buffer_print(to->out, "maxmemory_policy:noeviction\r\n");
    if (!to->is_admin)
        return;
    add_bytes(to, "used_memory", to->figures.used_bytes);
    add_bytes(to, "used_memory_rss", resident_bytes());
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        add_bytes(to, "used_memory_peak", (uint64_t)usage.ru_maxrss << 10);
}

static void write_persistence(const writing *to)
{
    stem_buffer_print(to->out, "loading:0\r\n");
    if (!to->is_admin)
        return;
    stem_buffer_print(to->out, "rdb_bgsave_in_progress:0\r\n");
    stem_buffer_print(to->out, "rdb_last_bgsave_status:ok\r\n");
    stem_buffer_print(to->out, "aof_enabled:0\r\n");
    stem_buffer_print(to->out, "aof_rewrite_in_progress:0\r\n");
    stem_buffer_print(to->out, "aof_last_write_status:ok\r\n");
}

static void write_stats(const writing *to)
{
    if (!to->is_admin)
        return;
    stem_buffer_print(to->out, "expired_keys:0\r\n");
    stem_buffer_print(to->out, "evicted_keys:0\r\n");
    stem_buffer_print(to->out, "pubsub_channels:0\r\n");
    stem_buffer_print(to->out, "pubsub_patterns:0\r\n");
}

static void write_replication(const writing *to)
{
    stem_buffer_print(to->out, "role:master\r\n");
    stem_buffer_print(to->out, "connected_slaves:0\r\n");
}

static void write_cpu(const writing *to)
{
    struct rusage usage;

    if (!to->is_admin || getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    stem_buffer_print(to->out, "used_cpu_sys:%lld.%06ld\r\n",
                      (long long)usage.ru_stime.tv_sec, (long)usage.ru_stime.tv_usec);
    stem_buffer_print(to->out, "used_cpu_user:%lld.%06ld\r\n",
                      (long long)usage.ru_utime.tv_sec, (long)usage.ru_utime.tv_usec);
}

static void write_cluster(const writing *to)
{
    stem_buffer_print(to->out, "cluster_enabled:0\r\n");
}

/* Redis has no line for a database that is empty. */
static void write_keyspace(const writing *to)
{
    uint64_t n = 0;

    if (!(to->connection->rights & STEM_MAY_READ))
        return;
    if (stem_keyspace_count(to->connection, &n) == STEM_OK && n > 0)
        stem_buffer_print(to->out, "db0:keys=%" PRIu64 ",expires=0,avg_ttl=0\r\n", n);
}

static const struct {
    const char *name, *upper;
    void (*write)(const writing *to);
} sections_known[] = {
    {"Server", "SERVER", write_server},
    {"Clients", "CLIENTS", write_clients},
    {"Memory", "MEMORY", write_memory},
    {"Persistence", "PERSISTENCE", write_persistence},
    {"Stats", "STATS", write_stats},
    {"Replication", "REPLICATION", write_replication},
    {"CPU", "CPU", write_cpu},
    {"Cluster", "CLUSTER", write_cluster},
    {"Keyspace", "KEYSPACE", write_keyspace},
};

enum { N_SECTIONS = sizeof sections_known / sizeof *sections_known };
_Static_assert(STEM_INFO_EVERYTHING == (1 << N_SECTIONS) - 1, "a bit for each section");

/* ---- All of it -------------------------------------------------------------------- */

unsigned stem_info_section(stem_slice word)
{
    for (size_t i = 0; i < N_SECTIONS; i++)
        if (stem_word_is(word, sections_known[i].upper))
            return 1U << i;
    return stem_word_is(word, "DEFAULT") || stem_word_is(word, "ALL") ||
                   stem_word_is(word, "EVERYTHING")
               ? STEM_INFO_EVERYTHING
               : 0;
}

/* The figures of a section that metrics.c has. */
static void add_figures(const writing *to, const char *section)
{
    for (size_t i = 0; i < to->figures.n; i++) {
        const stem_figure *each = &to->figures.all[i];

        if (strcmp(each->section, section) == 0)
            stem_buffer_print(to->out, "%s:%" PRIu64 "\r\n", each->name, each->value);
    }
}

void stem_info_write(stem_connection *connection, unsigned sections, stem_buffer *out)
{
    writing to = {.connection = connection,
                  .server = connection->server,
                  .is_admin = connection->caller.can_admin,
                  .out = out};

    if (to.is_admin)
        stem_metrics_list(to.server, &to.figures);
    for (size_t i = 0; i < N_SECTIONS; i++) {
        if (!(sections & (1U << i)))
            continue;
        if (out->len > 0)
            stem_buffer_add_text(out, "\r\n");
        stem_buffer_print(out, "# %s\r\n", sections_known[i].name);
        sections_known[i].write(&to);
        if (to.is_admin)
            add_figures(&to, sections_known[i].name);
    }
}
