/*
 * INFO by section; see info.h. Redis's names where clients and exporters look for them, and
 * the figures of metrics.c.
 */
#include "info.h"

#include <inttypes.h>
#include <stdarg.h>
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

static void add_line(const writing *to, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add_line(const writing *to, const char *format, ...)
{
    char line[256];
    va_list arguments;

    va_start(arguments, format);
    const int len = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (len > 0)
        stem_buffer_add(to->out, line,
                        (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
    stem_buffer_add_text(to->out, "\r\n");
}

/* ---- The sections ------------------------------------------------------------------- */

static void write_server(const writing *to)
{
    const uint64_t uptime = (to->server->now_ms - to->server->started_ms) / 1000;
    struct utsname host;

    add_line(to, "redis_version:7.0.0");
    add_line(to, "redis_mode:standalone");
    add_line(to, "stem_version:%s", stem_version());
    add_line(to, "uptime_in_seconds:%" PRIu64, uptime);
    add_line(to, "uptime_in_days:%" PRIu64, uptime / 86400);
    if (!to->is_admin)
        return;
    if (uname(&host) == 0)
        add_line(to, "os:%.64s %.64s %.64s", host.sysname, host.release, host.machine);
    add_line(to, "arch_bits:%zu", 8 * sizeof(void *));
    add_line(to, "multiplexing_api:%s", event_base_get_method(to->server->base));
    add_line(to, "process_id:%ld", (long)getpid());
}

static void write_clients(const writing *to)
{
    if (to->is_admin)
        add_line(to, "blocked_clients:0");
}

static void add_bytes(const writing *to, const char *name, uint64_t bytes)
{
    static const char units[] = "BKMGT";
    double scaled = (double)bytes;
    size_t unit = 0;

    for (; scaled >= 1024 && units[unit + 1]; unit++)
        scaled /= 1024;
    add_line(to, "%s:%" PRIu64, name, bytes);
    add_line(to, unit == 0 ? "%s_human:%.0f%c" : "%s_human:%.2f%c", name, scaled,
             units[unit]);
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

    add_line(to, "maxmemory:0");
    add_line(to, "maxmemory_human:0B");
    add_line(to, "maxmemory_policy:noeviction");
    if (!to->is_admin)
        return;
    add_bytes(to, "used_memory", to->figures.used_bytes);
    add_bytes(to, "used_memory_rss", resident_bytes());
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        add_bytes(to, "used_memory_peak", (uint64_t)usage.ru_maxrss << 10);
}

static void write_persistence(const writing *to)
{
    add_line(to, "loading:0");
    if (!to->is_admin)
        return;
    add_line(to, "rdb_bgsave_in_progress:0");
    add_line(to, "rdb_last_bgsave_status:ok");
    add_line(to, "aof_enabled:0");
    add_line(to, "aof_rewrite_in_progress:0");
    add_line(to, "aof_last_write_status:ok");
}

static void write_stats(const writing *to)
{
    if (!to->is_admin)
        return;
    add_line(to, "expired_keys:0");
    add_line(to, "evicted_keys:0");
    add_line(to, "pubsub_channels:0");
    add_line(to, "pubsub_patterns:0");
}

static void write_replication(const writing *to)
{
    add_line(to, "role:master");
    add_line(to, "connected_slaves:0");
}

static void write_cpu(const writing *to)
{
    struct rusage usage;

    if (!to->is_admin || getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    add_line(to, "used_cpu_sys:%lld.%06ld", (long long)usage.ru_stime.tv_sec,
             (long)usage.ru_stime.tv_usec);
    add_line(to, "used_cpu_user:%lld.%06ld", (long long)usage.ru_utime.tv_sec,
             (long)usage.ru_utime.tv_usec);
}

static void write_cluster(const writing *to)
{
    add_line(to, "cluster_enabled:0");
}

/* Redis has no line for a database that is empty. */
static void write_keyspace(const writing *to)
{
    uint64_t n = 0;

    if (!(to->connection->rights & STEM_MAY_READ))
        return;
    if (stem_keyspace_count(to->connection, &n) == STEM_OK && n > 0)
        add_line(to, "db0:keys=%" PRIu64 ",expires=0,avg_ttl=0", n);
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
            add_line(to, "%s:%" PRIu64, each->name, each->value);
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
        add_line(&to, "# %s", sections_known[i].name);
        sections_known[i].write(&to);
        if (to.is_admin)
            add_figures(&to, sections_known[i].name);
    }
}
