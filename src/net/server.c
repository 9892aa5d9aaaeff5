/*
 * A server as a whole: opening all that it consists of, its tick, and its end.
 */
#include "server.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "../clock.h"
#include "../engine/descriptor.h"
#include "../error.h"
#include "connection.h"
#include "cursors.h"
#include "login.h"
#include "sessions.h"
#include "snapshots.h"
#include "turn.h"
#include "worker.h"

enum { SLOTS = 16, DRAIN_MS = 5000, TICK_MS = 250 };

/* ---- Options ---------------------------------------------------------------------- */

static int check_reserved(const stem_server_options *options)
{
    for (size_t i = 0; i < sizeof options->reserved / sizeof *options->reserved; i++)
        if (options->reserved[i] != 0)
            return stem_fail(STEM_EINVAL, "a reserved word of the options is not zero");
    if (!options->tls_certificate != !options->tls_key)
        return stem_fail(STEM_EINVAL, "a certificate needs its key, and a key its "
                                      "certificate");
    return STEM_OK;
}

/* A limit in its bounds, or its default for 0. */
static int complete(const char *name, size_t *value, size_t least, size_t most,
                    size_t fallback)
{
    if (*value == 0)
        *value = fallback;
    if (*value >= least && *value <= most)
        return STEM_OK;
    return stem_fail(STEM_EINVAL, "option %s is %zu, not 0 or from %zu to %zu", name,
                     *value, least, most);
}

static int complete_options(stem_server_options *o)
{
    const size_t mib = 1 << 20, gib = 1 << 30, day = 86400;
    const struct {
        const char *name;
        size_t *value, least, most, fallback;
    } limits[] = {
        {"max_clients", &o->max_clients, 1, 1000000, 10000},
        {"max_request_bytes", &o->max_request_bytes, 4096, 8 * gib, 64 * mib},
        {"max_input_bytes", &o->max_input_bytes, mib, 1024 * gib, gib},
        {"max_output_bytes", &o->max_output_bytes, mib, 1024 * gib, 256 * mib},
        {"max_total_output_bytes", &o->max_total_output_bytes, mib, 1024 * gib, gib},
        {"idle_seconds", &o->idle_seconds, 1, 365 * day, 3600},
        {"login_seconds", &o->login_seconds, 1, day, 10},
        {"max_failed_logins", &o->max_failed_logins, 1, 1000, 5},
        {"max_sessions", &o->max_sessions, 1, 1000000, 1024},
        {"max_snapshots", &o->max_snapshots, 1, 10000, 64},
        {"snapshot_seconds", &o->snapshot_seconds, 1, day, 300},
    };
    int code = check_reserved(o);

    for (size_t i = 0; i < sizeof limits / sizeof *limits && code == STEM_OK; i++)
        code = complete(limits[i].name, limits[i].value, limits[i].least, limits[i].most,
                        limits[i].fallback);
    return code;
}

/* ---- The tick --------------------------------------------------------------------- */

static bool is_overdue(const stem_server *server, const stem_connection *connection)
{
    const stem_server_options *options = &server->options;
    const uint64_t now = server->now_ms;

    if (connection->login) /* how long that takes is not the client's doing */
        return false;
    if (!connection->is_authenticated)
        return now - connection->since_ms >
               options->login_seconds * 1000 + connection->login_waited_ms;
    return !connection->is_away && !connection->job && !connection->task &&
           now - connection->active_ms > options->idle_seconds * 1000;
}

static void close_overdue(stem_server *server)
{
    stem_connection *each = server->connections;
    const bool is_over = server->is_draining && server->now_ms >= server->drain_until_ms;

    while (each) {
        stem_connection *next = each->next;
        const bool is_evicted = !each->is_dead && stem_output_is_overdue(each);

        server->metrics.evicted_connections += is_evicted;
        if (is_evicted || (!each->is_dead && (is_over || is_overdue(server, each))))
            stem_connection_close(each);
        each = next;
    }
}

static void on_tick(evutil_socket_t fd, short what, void *argument)
{
    stem_server *server = argument;

    (void)fd;
    (void)what;
    server->now_ms = stem_clock() / STEM_MILLISECOND;
    stem_snapshots_expire(server->snapshots, stem_clock());
    stem_listeners_pause(server, false);
    close_overdue(server);
    stem_metrics_expire(server);
}

/* ---- Reloading -------------------------------------------------------------------- */

struct stem_reload {
    stem_post post;
    stem_server *server;
    stem_access *access; /* the new one */
    sem_t is_over;
};

static bool is_unchanged(const stem_connection *connection)
{
    const stem_user *before = connection->user;
    const stem_user *now =
        before ? stem_access_find(connection->server->access,
                                  (stem_slice){before->name, strlen(before->name)})
               : NULL;

    return !before || (now && stem_user_equal(before, now));
}

/* One that is closed already may have something under way as well. */
static void revoke(stem_connection *connection)
{
    if (!connection->is_revoked)
        connection->server->n_revoked++;
    connection->is_revoked = true;
    stem_connection_close(connection);
}

static void run_reload(stem_post *post)
{
    struct stem_reload *what = (struct stem_reload *)post;
    stem_server *server = what->server;
    stem_connection *each = server->connections;

    stem_access_release(server->access);
    server->access = what->access;
    while (each) {
        stem_connection *next = each->next;

        if (!is_unchanged(each))
            revoke(each);
        each = next;
    }
    server->reload = what;
}

void stem_server_finish_reload(stem_server *server)
{
    struct stem_reload *what = server->reload;

    if (!what || server->n_revoked > 0)
        return;
    server->reload = NULL;
    sem_post(&what->is_over);
}

static int reload(stem_server *server)
{
    struct stem_reload what = {.post = {.run = run_reload}, .server = server};

    const int code = stem_access_load(server->options.users, &what.access);
    if (code != STEM_OK)
        return code;
    sem_init(&what.is_over, 0, 0);
    stem_server_post(server, &what.post);
    while (sem_wait(&what.is_over) != 0) /* a signal came */
        continue;
    sem_destroy(&what.is_over);
    return STEM_OK;
}

int stem_net_server_reload(stem_server *server)
{
    if (!server->options.users)
        return STEM_OK;
    pthread_mutex_lock(&server->reload_lock);
    const int code = reload(server);
    pthread_mutex_unlock(&server->reload_lock);
    return code;
}

/* ---- Opening ---------------------------------------------------------------------- */

/* Where libevent finds none for the pipe that every base has for signals, it prints and ends
 * the program, whatever the configuration; where it finds none for epoll, it prints. So it is
 * not called then. A descriptor that another thread takes in between could still bring that
 * about. */
static int check_descriptors(void)
{
    enum { NEEDED_AND_SPARE = 3 + 3 };

    if (stem_descriptors_are_left(NEEDED_AND_SPARE))
        return STEM_OK;
    return stem_fail(STEM_EIO, "cannot open what a server needs: %s", strerror(errno));
}

static int open_base(stem_server *server)
{
    const struct timeval period = {.tv_usec = TICK_MS * 1000};

    const int code = check_descriptors();
    if (code != STEM_OK)
        return code;
    struct event_config *config = event_config_new();
    /* One thread at a time has the base, and passes it on under a lock of the server's. */
    if (config && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
        server->base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    if (server->base)
        server->tick = event_new(server->base, -1, EV_PERSIST, on_tick, server);
    if (!server->tick || event_add(server->tick, &period) != 0)
        return stem_fail(STEM_ENOMEM, "no memory for a server");
    return STEM_OK;
}

/* Of a session that has ended. */
static void drop_snapshots(void *context, const stem_id *id)
{
    stem_server *server = context;

    stem_snapshots_drop_all(server->snapshots,
                            (stem_slice){(const char *)id->bytes, STEM_ID_BYTES});
}

static int open_stores(stem_server *server)
{
    const stem_server_options *options = &server->options;
    const stem_snapshots_options snapshots = {.limit = options->max_snapshots,
                                              .idle_seconds =
                                                  (unsigned)options->snapshot_seconds};
    const stem_sessions_options sessions = {.limit = options->max_sessions,
                                            .slots = SLOTS,
                                            .ended = drop_snapshots,
                                            .context = server};

    server->cursors = stem_cursors_new(0);
    server->snapshots = stem_snapshots_new(server->engine, &snapshots);
    server->forming = stem_group_new(server);
    server->unused = stem_group_new(server);
    if (!server->cursors || !server->snapshots || !server->forming || !server->unused)
        return stem_fail(STEM_ENOMEM, "no memory for a server");
    return stem_sessions_open(server->engine, &sessions, &server->sessions);
}

static int open_logins(stem_server *server)
{
    const stem_login_options options = {.failures_per_second =
                                            (unsigned)server->options.max_failed_logins};

    if (!server->options.users)
        return STEM_OK;
    const int code = stem_access_load(server->options.users, &server->access);
    return code == STEM_OK ? stem_login_open(&options, &server->login) : code;
}

static int open_all(stem_server *server)
{
    int code = complete_options(&server->options);

    if (code == STEM_OK)
        code = open_base(server);
    if (code == STEM_OK)
        code = stem_loop_prepare(server);
    if (code == STEM_OK)
        code = stem_transport_prepare(server);
    if (code == STEM_OK)
        code = open_stores(server);
    if (code == STEM_OK)
        code = open_logins(server);
    if (code == STEM_OK)
        code = stem_listeners_open(server);
    if (code == STEM_OK)
        code = stem_workers_start(server);
    return code == STEM_OK ? stem_loop_start(server) : code;
}

/* Everything but connections, of which there are none. */
static void free_all(stem_server *server)
{
    stem_workers_stop(server);
    stem_login_close(server->login);
    if (server->posts_end)
        stem_loop_forget(server);
    stem_metrics_close(server);
    stem_listeners_free(server);
    stem_group_free(server->forming);
    stem_group_free(server->unused);
    stem_sessions_close(server->sessions);
    stem_snapshots_free(server->snapshots);
    stem_cursors_free(server->cursors);
    stem_access_release(server->access);
    stem_transport_forget(server);
    if (server->tick)
        event_free(server->tick);
    if (server->base)
        event_base_free(server->base);
    pthread_mutex_destroy(&server->reload_lock);
    stem_failures_destroy(&server->failures);
    free((char *)server->options.users);
    free(server->key_count.scope.data);
    free((char *)server->scope.data);
    free(server);
}

int stem_net_server_open(stem_engine *engine, stem_slice scope, bool is_read_only,
                         const stem_server_options *options, const stem_sharing *sharing,
                         stem_server **opened)
{
    stem_server *server = calloc(1, sizeof *server);
    char *copy = malloc(scope.len + 1);

    if (!server || !copy) {
        free(server);
        free(copy);
        return stem_fail(STEM_ENOMEM, "no memory for a server");
    }
    memcpy(copy, scope.len > 0 ? scope.data : "", scope.len);
    server->engine = engine;
    server->fork_generation = stem_fork_generation;
    server->scope.data = copy;
    server->scope.len = scope.len;
    server->is_read_only = is_read_only;
    server->is_sharing = sharing != NULL;
    if (sharing)
        server->settings = *sharing->settings;
    server->options = *options;
    server->options.users = options->users ? strdup(options->users) : NULL;
    server->post_fd = -1;
    pthread_mutex_init(&server->reload_lock, NULL);
    stem_failures_init(&server->failures);
    server->now_ms = server->started_ms = stem_clock() / STEM_MILLISECOND;
    int code = options->users && !server->options.users
                   ? stem_fail(STEM_ENOMEM, "no memory for a server")
                   : open_all(server);
    if (code != STEM_OK) {
        free_all(server);
        return code;
    }
    *opened = server;
    return STEM_OK;
}

const char *stem_net_server_address(const stem_server *server, size_t i)
{
    return i < server->n_listeners && !server->listeners[i].is_for_metrics
               ? server->listeners[i].address
               : NULL;
}

const char *stem_net_server_metrics_address(const stem_server *server)
{
    const stem_listener *last = &server->listeners[server->n_listeners - 1];

    return last->is_for_metrics ? last->address : NULL;
}

uint64_t stem_net_server_failures(stem_server *server, stem_failure *last)
{
    return stem_failures_read(&server->failures, last);
}

size_t stem_net_server_clients(const stem_server *server)
{
    return atomic_load(&server->n_connections);
}

void stem_net_server_linger(stem_server *server)
{
    const uint64_t longest = 5 * STEM_SECOND, idle = 200 * STEM_MILLISECOND;
    const struct timespec moment = {.tv_nsec = 5 * (long)STEM_MILLISECOND};
    const uint64_t start = stem_clock();

    for (uint64_t now = start; now - start < longest; now = stem_clock()) {
        const uint64_t used = stem_snapshots_last_use(server->snapshots);

        if (used == 0 || (used < now && now - used > idle))
            return;
        nanosleep(&moment, NULL);
    }
}

/* ---- Closing ---------------------------------------------------------------------- */

typedef struct draining {
    stem_post post;
    stem_server *server;
} draining;

static void run_drain(stem_post *post)
{
    stem_server *server = ((draining *)post)->server;

    server->is_draining = true;
    server->drain_until_ms = stem_clock() / STEM_MILLISECOND + DRAIN_MS;
    stem_listeners_close(server);
    stem_metrics_close(server);
    for (stem_connection *each = server->connections; each; each = each->next)
        stem_connection_make_ready(each);
}

void stem_net_server_close(stem_server *server)
{
    draining what = {.post = {.run = run_drain}, .server = server};

    stem_server_post(server, &what.post);
    stem_turns_join(server);
    free_all(server);
}
