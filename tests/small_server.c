/*
 * A small server; see small_server.h. One lock makes all of it one request at a time.
 */
#include "small_server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"
#include "engine/place_id.h"
#include "support.h"
#include "wire_peer.h"

enum { SLOTS_MAX = 16, PEERS_MAX = 4096, SNAPSHOTS_MAX = 64, ID_LEN = 32 };

static struct {
    pthread_mutex_t lock;
    stem_engine *engine;
    int listener;
    pthread_t acceptor;
    size_t slots, commits;
    atomic_size_t connections;
    unsigned one_in, seed;

    unsigned session; /* there is one at a time; 0 for none */
    long numbers[SLOTS_MAX];
    int attached[SLOTS_MAX]; /* the peer's descriptor, or -1 */

    unsigned last_snapshot;
    struct {
        unsigned id; /* 0 when free */
        stem_engine_snapshot *snapshot;
    } snapshots[SNAPSHOTS_MAX];

    pthread_t peers[PEERS_MAX];
    int peer_fds[PEERS_MAX];
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A connection: its session and slot. */
typedef struct peer {
    int fd;
    unsigned session;
    size_t slot;
} peer;

/* ---- Replies ---------------------------------------------------------------------- */

static void add_head(stem_buffer *out, char sign, long number)
{
    char text[32];

    snprintf(text, sizeof text, "%c%ld\r\n", sign, number);
    stem_buffer_add_text(out, text);
}

static void add_bulk(stem_buffer *out, const char *data, size_t len)
{
    add_head(out, '$', (long)len);
    stem_buffer_add(out, data, len);
    stem_buffer_add_text(out, "\r\n");
}

static void add_id(stem_buffer *out, unsigned id)
{
    char text[ID_LEN + 1];

    snprintf(text, sizeof text, "%032x", id);
    add_bulk(out, text, ID_LEN);
}

static void add_code(stem_buffer *out, int code)
{
    if (code == STEM_OK) {
        stem_buffer_add_text(out, "+OK\r\n");
    } else {
        char text[1200];

        snprintf(text, sizeof text, "-%s %s\r\n",
                 code == STEM_EINVAL ? "INVALID" : "IOERROR", stem_errmsg());
        stem_buffer_add_text(out, text);
    }
}

/* ---- Commands --------------------------------------------------------------------- */

static bool find_snapshot(const wire_request *request, stem_engine_snapshot **snapshot)
{
    const unsigned long id = strtoul(request->words[1].data, NULL, 16);

    *snapshot = NULL;
    for (size_t i = 0; i < SNAPSHOTS_MAX && id > 0; i++)
        if (server.snapshots[i].id == id)
            *snapshot = server.snapshots[i].snapshot;
    return id == 0 || *snapshot;
}

static void do_attach(const wire_request *request, peer *of, stem_buffer *out)
{
    const size_t slot = strtoul(request->words[2].data, NULL, 10);
    const unsigned long id = strtoul(request->words[3].data, NULL, 16);

    if (is_word(request, 3, "NEW")) {
        server.session++;
        for (size_t i = 0; i < SLOTS_MAX; i++) {
            server.numbers[i] = 0;
            server.attached[i] = -1;
        }
    } else if (id != server.session) {
        stem_buffer_add_text(out, "-NOSESSION\r\n");
        return;
    }
    if (server.attached[slot] >= 0 && server.attached[slot] != of->fd)
        shutdown(server.attached[slot], SHUT_RDWR);
    server.attached[slot] = of->fd;
    of->session = server.session;
    of->slot = slot;
    add_head(out, '*', 5);
    add_id(out, server.session);
    add_head(out, ':', (long)server.slots);
    add_head(out, ':', (long)server.engine->max_key_bytes);
    add_head(out, ':', (long)server.engine->max_value_bytes);
    add_head(out, ':', (long)server.engine->max_commit_bytes);
}

static void do_read(const wire_request *request, stem_buffer *out)
{
    const size_t n = request->n - 2;
    stem_read *reads = calloc(n, sizeof *reads);
    stem_engine_snapshot *snapshot;

    if (!find_snapshot(request, &snapshot)) {
        stem_buffer_add_text(out, "-GONE snapshot\r\n");
    } else {
        assert_ok(server.engine->ops->read(server.engine, snapshot, request->words + 2, n,
                                           reads));
        add_head(out, '*', (long)n);
        for (size_t i = 0; i < n; i++) {
            if (reads[i].data)
                add_bulk(out, reads[i].data, reads[i].len);
            else
                stem_buffer_add_text(out, "$-1\r\n");
            free(reads[i].data);
        }
    }
    free(reads);
}

static void collect(const wire_request *request, stem_commit *commit, stem_write *writes,
                    stem_expectation *expectations)
{
    for (size_t i = 3; i < request->n;) {
        const stem_slice *words = request->words + i;

        if (is_word(request, i, "PUT")) {
            writes[commit->n_writes++] = (stem_write){words[1], words[2], false};
            i += 3;
        } else if (is_word(request, i, "DEL")) {
            writes[commit->n_writes++] = (stem_write){words[1], {NULL, 0}, true};
            i += 2;
        } else if (is_word(request, i, "ABSENT")) {
            expectations[commit->n_expectations++] =
                (stem_expectation){STEM_EXPECT_ABSENT, words[1], {NULL, 0}, 0};
            i += 2;
        } else {
            expectations[commit->n_expectations++] = (stem_expectation){
                is_word(request, i, "EQUAL") ? STEM_EXPECT_EQUAL : STEM_EXPECT_EMPTY,
                words[1], words[2], 0};
            i += 3;
        }
    }
}

static void do_commit(const wire_request *request, const peer *of, stem_buffer *out)
{
    const long number = strtol(request->words[1].data, NULL, 10);
    stem_write *writes = calloc(request->n, sizeof *writes);
    stem_expectation *expectations = calloc(request->n, sizeof *expectations);
    stem_commit commit = {.writes = writes,
                          .expectations = expectations,
                          .sync = is_word(request, 2, "SYNC")};
    size_t failed;

    collect(request, &commit, writes, expectations);
    if (of->session == 0 || of->session != server.session) {
        stem_buffer_add_text(out, "-NOSESSION\r\n");
    } else if (number < server.numbers[of->slot]) {
        stem_buffer_add_text(out, "-ERR number\r\n");
    } else if (number == server.numbers[of->slot]) {
        stem_buffer_add_text(out, "+OK\r\n");
    } else {
        int code = server.engine->ops->commit(server.engine, &commit, &failed);
        if (code == STEM_CONFLICT) {
            char text[64];

            snprintf(text, sizeof text, "-CONFLICT %zu\r\n", failed);
            stem_buffer_add_text(out, text);
        } else {
            add_code(out, code);
            server.numbers[of->slot] =
                code == STEM_OK ? number : server.numbers[of->slot];
            server.commits += code == STEM_OK;
        }
    }
    free(writes);
    free(expectations);
}

static void do_range(const wire_request *request, stem_buffer *out)
{
    const stem_engine_range range = {request->words[2], request->words[3]};
    const size_t bytes = strtoul(request->words[6].data, NULL, 10);
    const bool keys_only = request->n > 7;
    const stem_engine_ops *ops = server.engine->ops;
    stem_buffer entries = {.len = 0};
    stem_engine_snapshot *snapshot;
    stem_engine_iter *iter;
    stem_slice key, value;
    long n = 0;
    int code = STEM_OK;

    if (!find_snapshot(request, &snapshot)) {
        stem_buffer_add_text(out, "-GONE snapshot\r\n");
        return;
    }
    assert_ok(ops->iter_open(server.engine, snapshot, &range,
                             is_word(request, 4, "REVERSE"), &iter));
    while (entries.len < bytes &&
           (code = ops->iter_next(iter, &key, &value)) == STEM_OK) {
        add_bulk(&entries, key.data, key.len);
        n++;
        if (!keys_only) {
            add_bulk(&entries, value.data, value.len);
            n++;
        }
    }
    ops->iter_close(iter);
    add_head(out, '*', n + 1);
    add_head(out, ':', code == STEM_OK);
    stem_buffer_add(out, entries.data, entries.len);
    free(entries.data);
}

static void do_snapshot(stem_buffer *out)
{
    size_t i = 0;

    while (i < SNAPSHOTS_MAX && server.snapshots[i].id != 0)
        i++;
    if (i == SNAPSHOTS_MAX) {
        stem_buffer_add_text(out, "-BUSY snapshots\r\n");
        return;
    }
    assert_ok(
        server.engine->ops->snapshot_open(server.engine, &server.snapshots[i].snapshot));
    server.snapshots[i].id = ++server.last_snapshot;
    add_id(out, server.last_snapshot);
}

static void release(size_t i)
{
    if (server.snapshots[i].id != 0)
        server.engine->ops->snapshot_close(server.engine, server.snapshots[i].snapshot);
    server.snapshots[i].id = 0;
}

static void do_release(const wire_request *request, stem_buffer *out)
{
    const unsigned long id = strtoul(request->words[1].data, NULL, 16);

    for (size_t i = 0; i < SNAPSHOTS_MAX; i++)
        if (server.snapshots[i].id == id)
            release(i);
    add_code(out, STEM_OK);
}

static void do_place(stem_buffer *out)
{
    stem_place_id id;
    char text[STEM_ID_DIGITS];

    assert_ok(server.engine->ops->identify(server.engine, &id));
    add_head(out, '*', 2);
    stem_id_format(&id.store, text);
    add_bulk(out, text, sizeof text);
    stem_id_format(&id.place, text);
    add_bulk(out, text, sizeof text);
}

static void do_whole(const wire_request *request, stem_buffer *out)
{
    const stem_engine_ops *ops = server.engine->ops;
    const stem_engine_range range = {request->n > 1 ? request->words[1] : (stem_slice){0},
                                     request->n > 2 ? request->words[2]
                                                    : (stem_slice){0}};
    stem_size_info size = {0};
    stem_statistics stats = {0};

    if (is_word(request, 0, "STEM.SYNC")) {
        add_code(out, ops->sync(server.engine));
    } else if (is_word(request, 0, "STEM.FLUSH")) {
        add_code(out, STEM_OK); /* every commit of its engine survives the process */
    } else if (is_word(request, 0, "STEM.COMPACT")) {
        add_code(out, ops->compact(server.engine, &range));
    } else if (is_word(request, 0, "STEM.ESTIMATE")) {
        assert_ok(ops->estimate(server.engine, &range, &size));
        add_head(out, '*', 2);
        add_head(out, ':', (long)size.table_bytes);
        add_head(out, ':', (long)size.log_bytes);
    } else {
        assert_ok(ops->stats(server.engine, &stats));
        add_head(out, '*', 2);
        add_bulk(out, "table_files", 11);
        add_head(out, ':', (long)stats.table_files);
    }
}

static void carry_out(const wire_request *request, peer *of, stem_buffer *out)
{
    if (is_word(request, 0, "STEM.ATTACH"))
        do_attach(request, of, out);
    else if (is_word(request, 0, "STEM.READ"))
        do_read(request, out);
    else if (is_word(request, 0, "STEM.COMMIT"))
        do_commit(request, of, out);
    else if (is_word(request, 0, "STEM.RANGE"))
        do_range(request, out);
    else if (is_word(request, 0, "STEM.SNAPSHOT"))
        do_snapshot(out);
    else if (is_word(request, 0, "STEM.PLACE"))
        do_place(out);
    else if (is_word(request, 0, "STEM.RELEASE"))
        do_release(request, out);
    else if (is_word(request, 0, "STEM.DETACH"))
        add_code(out, STEM_OK);
    else
        do_whole(request, out);
}

/* ---- Connections ------------------------------------------------------------------ */

/* Whether this is where the connection breaks. */
static bool is_broken_here(void)
{
    return server.one_in > 0 && (unsigned)rand_r(&server.seed) % server.one_in == 0;
}

/* False when the connection is to be broken. A peer whose slot another has taken is not
 * served any more. */
static bool serve_request(const wire_request *request, peer *of, stem_buffer *out)
{
    pthread_mutex_lock(&server.lock);
    bool goes_on =
        !is_broken_here() && (of->session == 0 || of->session != server.session ||
                              server.attached[of->slot] == of->fd);
    if (goes_on) {
        carry_out(request, of, out);
        goes_on = !is_broken_here();
    }
    pthread_mutex_unlock(&server.lock);
    return goes_on;
}

static void *serve_peer(void *argument)
{
    peer of = {.fd = *(int *)argument};
    FILE *from = open_peer(dup(of.fd));
    wire_request request;
    bool goes_on = true;

    while (goes_on && read_request(from, &request)) {
        stem_buffer out = {.len = 0};

        goes_on = serve_request(&request, &of, &out);
        if (goes_on)
            write_bytes(of.fd, out.data, out.len);
        free(out.data);
        free_request(&request);
    }
    fclose(from);
    pthread_mutex_lock(&server.lock);
    if (of.session == server.session && server.attached[of.slot] == of.fd)
        server.attached[of.slot] = -1;
    *(int *)argument = -1;
    close(of.fd);
    pthread_mutex_unlock(&server.lock);
    return NULL;
}

static void *accept_all(void *nothing)
{
    int fd;

    while ((fd = accept(server.listener, NULL, NULL)) >= 0) {
        const size_t i = server.connections++;

        if (i == PEERS_MAX)
            abort();
        server.peer_fds[i] = fd;
        pthread_create(&server.peers[i], NULL, serve_peer, &server.peer_fds[i]);
    }
    return nothing;
}

/* ---- From outside ----------------------------------------------------------------- */

const char *start_small_server(size_t slots)
{
    static const stem_options defaults;
    static char location[512];
    const char *path = path_in(temp_dir(), "s");

    assert_ok(stem_engine_acquire("mem:", &defaults, NULL, &server.engine));
    server.slots = slots;
    server.listener = listen_at(path);
    pthread_create(&server.acceptor, NULL, accept_all, NULL);
    snprintf(location, sizeof location, "unix:%s", path);
    return location;
}

size_t small_server_commits(void)
{
    pthread_mutex_lock(&server.lock);
    const size_t n = server.commits;
    pthread_mutex_unlock(&server.lock);
    return n;
}

size_t small_server_connections(void)
{
    return server.connections;
}

void break_connections(unsigned one_in)
{
    pthread_mutex_lock(&server.lock);
    server.one_in = one_in;
    pthread_mutex_unlock(&server.lock);
}

void forget_sessions(void)
{
    pthread_mutex_lock(&server.lock);
    server.session += 1000;
    for (size_t i = 0; i < SNAPSHOTS_MAX; i++)
        release(i);
    pthread_mutex_unlock(&server.lock);
}

void stop_small_server(void)
{
    shutdown(server.listener, SHUT_RDWR);
    pthread_join(server.acceptor, NULL);
    close(server.listener);
    for (size_t i = 0; i < server.connections; i++) {
        pthread_mutex_lock(&server.lock);
        if (server.peer_fds[i] >= 0)
            shutdown(server.peer_fds[i], SHUT_RDWR);
        pthread_mutex_unlock(&server.lock);
        pthread_join(server.peers[i], NULL);
    }
    for (size_t i = 0; i < SNAPSHOTS_MAX; i++)
        release(i);
    assert_ok(stem_engine_release(server.engine));
    server.connections = server.commits = 0;
    server.session = 0;
}
