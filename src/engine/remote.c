/*
 * The engine of served databases: what the contract of engine.h asks for, as requests. Keys
 * and values go as they are stored; the server judges expectations, and knows which commits it
 * has applied.
 */
#include "remote.h"

#include <stdlib.h>

#include "../error.h"
#include "option.h"
#include "place_id.h"
#include "remote_engine.h"
#include "store.h"

enum {
    LONGEST_TIMEOUT_MS = 3600000,
    LONGEST_PAUSE_MS = 100, /* between attempts to reach a server */
    TAKEOVER_PAUSE_MS = 8,  /* the same, of one that another replaces at once */
    COMPACTION_MS = 3600000 /* at least: it answers when all is done */
};

/* ---- Reading ---------------------------------------------------------------------- */

/* Whether the reply is a string or null for each of `n` keys. */
static bool is_read(const stem_remote_reply *reply, size_t n)
{
    bool is_right = reply->is_array && reply->n == n;

    for (size_t i = 0; i < n && is_right; i++)
        is_right = reply->items[i].kind == STEM_REPLY_STRING ||
                   reply->items[i].kind == STEM_REPLY_NULL;
    return is_right;
}

static int remote_read(stem_engine *base, const stem_engine_snapshot *snapshot,
                       const stem_slice *keys, size_t n, stem_read *reads)
{
    remote_engine *engine = remote_of(base);
    stem_remote_request request = {.n_long = 0};
    stem_remote_reply reply = {.is_packed = false};

    if (n == 0)
        return STEM_OK;
    stem_remote_request_begin(&request, 2 + n);
    stem_remote_request_text(&request, "STEM.READ");
    stem_remote_request_text(&request, snapshot ? snapshot->id : "0");
    for (size_t i = 0; i < n; i++)
        stem_remote_request_word(&request, keys[i]);
    int code = stem_remote_call(engine, &request, STEM_REMOTE_READING, &reply);
    if (code == STEM_OK && !is_read(&reply, n))
        code = stem_remote_misunderstood(engine);
    for (size_t i = 0; i < n && code == STEM_OK; i++) {
        stem_remote_item *item = &reply.items[i];

        reads[i] = (stem_read){.data = NULL};
        if (item->kind == STEM_REPLY_STRING) {
            reads[i] = (stem_read){.data = item->as.owned, .len = item->len};
            item->kind = STEM_REPLY_NULL; /* it is the caller's now */
        }
    }
    stem_remote_reply_free(&reply);
    return code;
}

/* The server sends all that it is asked for. */
static int remote_read_some(stem_engine *base, const stem_engine_snapshot *snapshot,
                            const stem_slice *keys, size_t n, size_t most,
                            stem_read *reads, size_t *n_read)
{
    enum { A_FEW = 64 };

    (void)most;
    *n_read = n < A_FEW ? n : A_FEW;
    return remote_read(base, snapshot, keys, *n_read, reads);
}

/* ---- Committing ------------------------------------------------------------------- */

/* What is over a limit is not sent. */
static int check_limits(const stem_engine *base, const stem_commit *commit)
{
    size_t bytes = 0;

    for (size_t i = 0; i < commit->n_writes; i++) {
        const stem_write *write = &commit->writes[i];
        const size_t value_len = write->is_delete ? 0 : write->value.len;

        if (write->key.len > base->max_key_bytes)
            return stem_fail(STEM_EINVAL,
                             "a key of %zu bytes is over the server's limit "
                             "of %zu",
                             write->key.len, base->max_key_bytes);
        if (value_len > base->max_value_bytes)
            return stem_fail(STEM_EINVAL,
                             "a value of %zu bytes is over the server's limit "
                             "of %zu",
                             value_len, base->max_value_bytes);
        bytes += write->key.len + value_len;
        if (bytes > base->max_commit_bytes)
            return stem_fail(STEM_EINVAL, "a commit of more than %zu bytes",
                             base->max_commit_bytes);
    }
    return STEM_OK;
}

static const struct {
    const char *word;
    bool has_value;
} expectation_words[] = {[STEM_EXPECT_ABSENT] = {"ABSENT", false},
                         [STEM_EXPECT_EQUAL] = {"EQUAL", true},
                         [STEM_EXPECT_EMPTY] = {"EMPTY", true}};

static size_t count_words(const stem_commit *commit)
{
    size_t n = STEM_REMOTE_COMMIT_WORDS;

    for (size_t i = 0; i < commit->n_expectations; i++)
        n += expectation_words[commit->expectations[i].kind].has_value ? 3 : 2;
    for (size_t i = 0; i < commit->n_writes; i++)
        n += commit->writes[i].is_delete ? 2 : 3;
    return n;
}

/* A word as it is sent: "$3\r\nPUT\r\n". */
static size_t sent_len(size_t len)
{
    size_t digits = 1;

    for (size_t rest = len; rest >= 10; rest /= 10)
        digits++;
    return 1 + digits + 2 + len + 2;
}

/* What the commit's writes and expectations take in a request. */
static size_t measure_request(const stem_commit *commit)
{
    size_t bytes = 0;

    for (size_t i = 0; i < commit->n_expectations; i++) {
        const stem_expectation *each = &commit->expectations[i];

        bytes += sent_len(strlen(expectation_words[each->kind].word)) +
                 sent_len(each->key.len);
        if (expectation_words[each->kind].has_value)
            bytes += sent_len(each->value.len);
    }
    for (size_t i = 0; i < commit->n_writes; i++) {
        const stem_write *each = &commit->writes[i];

        bytes += sent_len(3) + sent_len(each->key.len);
        if (!each->is_delete)
            bytes += sent_len(each->value.len);
    }
    return bytes;
}

static int check_request(const remote_engine *engine, const stem_commit *commit)
{
    enum { AROUND = 128 }; /* what comes before the first of them */
    const size_t words = count_words(commit), bytes = AROUND + measure_request(commit);

    if (words > engine->max_words)
        return stem_fail(
            STEM_EINVAL,
            "a commit of %zu writes and %zu expectations is over the server's "
            "limit of %zu words in a request",
            commit->n_writes, commit->n_expectations, engine->max_words);
    if (bytes > engine->max_request_bytes)
        return stem_fail(STEM_EINVAL,
                         "a commit that takes %zu bytes to be sent is over the server's "
                         "limit of %zu in a request",
                         bytes, engine->max_request_bytes);
    return STEM_OK;
}

static void write_commit(const stem_commit *commit, uint64_t number,
                         stem_remote_request *request)
{
    stem_remote_request_begin(request, count_words(commit));
    stem_remote_request_text(request, "STEM.COMMIT");
    stem_remote_request_number(request, number);
    stem_remote_request_text(request, commit->sync ? "SYNC" : "-");
    for (size_t i = 0; i < commit->n_expectations; i++) {
        const stem_expectation *each = &commit->expectations[i];

        stem_remote_request_text(request, expectation_words[each->kind].word);
        stem_remote_request_word(request, each->key);
        if (expectation_words[each->kind].has_value)
            stem_remote_request_word(request, each->value);
    }
    for (size_t i = 0; i < commit->n_writes; i++) {
        const stem_write *each = &commit->writes[i];

        stem_remote_request_text(request, each->is_delete ? "DEL" : "PUT");
        stem_remote_request_word(request, each->key);
        if (!each->is_delete)
            stem_remote_request_word(request, each->value);
    }
}

/* The index in "CONFLICT n". */
static int read_conflict(const remote_engine *engine, const stem_commit *commit,
                         const stem_remote_reply *reply, size_t *failed)
{
    const stem_slice text = stem_remote_reply_text(reply, 0);
    const size_t word = sizeof "CONFLICT" - 1;
    char *end;

    if (text.len <= word + 1 || text.data[word + 1] < '0' || text.data[word + 1] > '9')
        return stem_remote_misunderstood(engine);
    const unsigned long long index = strtoull(text.data + word, &end, 10);
    if (index >= commit->n_expectations)
        return stem_remote_misunderstood(engine);
    *failed = (size_t)index;
    return STEM_CONFLICT;
}

static int remote_commit(stem_engine *base, const stem_commit *commit, size_t *failed)
{
    remote_engine *engine = remote_of(base);
    stem_remote_clock clock = stem_remote_clock_start(engine->timeout_ms);
    stem_remote_request request = {.n_long = 0};
    stem_remote_reply reply = {.is_packed = true};
    remote_slot *slot;

    if (commit->n_writes + commit->n_expectations == 0)
        return STEM_OK;
    int code = check_limits(base, commit);
    if (code == STEM_OK)
        code = check_request(engine, commit);
    if (code == STEM_OK)
        code = stem_remote_take(engine, &clock, &slot);
    if (code != STEM_OK)
        return code;
    write_commit(commit, ++slot->number, &request);
    code = stem_remote_run(engine, slot, &request, STEM_REMOTE_COMMIT, &clock, &reply);
    stem_remote_give(engine, slot);
    if (code == STEM_CONFLICT)
        code = read_conflict(engine, commit, &reply, failed);
    else if (code == STEM_OK && !stem_remote_reply_is(&reply, STEM_REPLY_STATUS))
        code = stem_fail(STEM_EUNKNOWN,
                         "whether it was applied is not known: %s gave an "
                         "answer that is none to a commit",
                         engine->peer.location.text);
    stem_remote_request_free(&request);
    stem_remote_reply_free(&reply);
    return code;
}

/* ---- The whole -------------------------------------------------------------------- */

/* Has the server make durable, as far as the command says, what was committed before. */
static int secure(remote_engine *engine, const char *command)
{
    stem_remote_request request = {.n_long = 0};
    stem_remote_reply reply = {.is_packed = true};

    stem_remote_request_begin(&request, 1);
    stem_remote_request_text(&request, command);
    int code = stem_remote_call(engine, &request, STEM_REMOTE_READING, &reply);
    if (code == STEM_OK && !stem_remote_reply_is(&reply, STEM_REPLY_STATUS))
        code = stem_remote_misunderstood(engine);
    stem_remote_reply_free(&reply);
    return code;
}

/* A session's own commits need no flush; those of the process that serves may. */
static int remote_flush(stem_engine *base)
{
    return secure(remote_of(base), "STEM.FLUSH");
}

static int remote_sync(stem_engine *base)
{
    return secure(remote_of(base), "STEM.SYNC");
}

static void write_range(const char *command, const stem_engine_range *range,
                        stem_remote_request *request)
{
    stem_remote_request_begin(request, 3);
    stem_remote_request_text(request, command);
    stem_remote_request_word(request, range->start);
    stem_remote_request_word(request, range->end);
}

static int remote_compact(stem_engine *base, const stem_engine_range *range)
{
    remote_engine *engine = remote_of(base);
    stem_remote_clock clock = stem_remote_clock_start(
        engine->timeout_ms > COMPACTION_MS ? engine->timeout_ms : COMPACTION_MS);
    stem_remote_request request = {.n_long = 0};
    stem_remote_reply reply = {.is_packed = true};
    remote_slot *slot;

    int code = stem_remote_take(engine, &clock, &slot);
    if (code != STEM_OK)
        return code;
    write_range("STEM.COMPACT", range, &request);
    code = stem_remote_run(engine, slot, &request, STEM_REMOTE_READING, &clock, &reply);
    stem_remote_give(engine, slot);
    if (code == STEM_OK && !stem_remote_reply_is(&reply, STEM_REPLY_STATUS))
        code = stem_remote_misunderstood(engine);
    stem_remote_request_free(&request);
    stem_remote_reply_free(&reply);
    return code;
}

static int remote_estimate(stem_engine *base, const stem_engine_range *range,
                           stem_size_info *size)
{
    remote_engine *engine = remote_of(base);
    stem_remote_request request = {.n_long = 0};
    stem_remote_reply reply = {.is_packed = true};

    write_range("STEM.ESTIMATE", range, &request);
    int code = stem_remote_call(engine, &request, STEM_REMOTE_READING, &reply);
    if (code == STEM_OK &&
        (!reply.is_array || reply.n < 2 || reply.items[0].kind != STEM_REPLY_INTEGER ||
         reply.items[1].kind != STEM_REPLY_INTEGER))
        code = stem_remote_misunderstood(engine);
    if (code == STEM_OK)
        *size = (stem_size_info){.table_bytes = (uint64_t)reply.items[0].as.integer,
                                 .log_bytes = (uint64_t)reply.items[1].as.integer};
    stem_remote_reply_free(&reply);
    return code;
}

/* What has another name, a newer server's, is left out. */
static void take_statistic(stem_slice name, uint64_t x, void *to)
{
    stem_statistics *stats = to;
    const struct {
        const char *name;
        uint64_t *to;
    } known[] = {
        {"memory_bytes", &stats->memory_bytes},
        {"table_files", &stats->table_files},
        {"table_bytes", &stats->table_bytes},
        {"log_files", &stats->log_files},
        {"log_bytes", &stats->log_bytes},
        {"repairs", &stats->repairs},
        {"dirty_bytes", &stats->dirty_bytes},
        {"cached_bytes", &stats->cached_bytes},
        {"kept_bytes", &stats->kept_bytes},
        {"hits", &stats->hits},
        {"misses", &stats->misses},
        {"rounds", &stats->rounds},
        {"waits", &stats->waits},
        {"longest_wait_ns", &stats->longest_wait_ns},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].name) == name.len &&
            memcmp(known[i].name, name.data, name.len) == 0)
            *known[i].to = x;
}

/* Asks for names and numbers by turns, of which each pair is taken. */
static int ask_pairs(remote_engine *engine, const char *command,
                     void (*take)(stem_slice name, uint64_t x, void *to), void *to)
{
    stem_remote_request request = {.n_long = 0};
    stem_remote_reply reply = {.is_packed = true};

    stem_remote_request_begin(&request, 1);
    stem_remote_request_text(&request, command);
    int code = stem_remote_call(engine, &request, STEM_REMOTE_READING, &reply);
    if (code == STEM_OK && !reply.is_array)
        code = stem_remote_misunderstood(engine);
    for (size_t i = 0; code == STEM_OK && i + 1 < reply.n; i += 2)
        if (reply.items[i].kind == STEM_REPLY_STRING &&
            reply.items[i + 1].kind == STEM_REPLY_INTEGER)
            take(stem_remote_reply_text(&reply, i),
                 (uint64_t)reply.items[i + 1].as.integer, to);
    stem_remote_reply_free(&reply);
    return code;
}

static int remote_stats(stem_engine *base, stem_statistics *stats)
{
    stem_statistics told = {0};

    int code = ask_pairs(remote_of(base), "STEM.STATS", take_statistic, &told);
    if (code == STEM_OK)
        *stats = told;
    return code;
}

static void take_setting(stem_slice name, uint64_t x, void *to)
{
    stem_store_set(to, name, x);
}

int stem_remote_ask_settings(stem_engine *base, stem_options *options)
{
    return ask_pairs(remote_of(base), "STEM.SETTINGS", take_setting, options);
}

static bool read_id(const stem_remote_reply *reply, size_t i, stem_id *id)
{
    return reply->items[i].kind == STEM_REPLY_STRING &&
           stem_id_parse(stem_remote_reply_text(reply, i), id);
}

static int remote_identify(stem_engine *base, stem_place_id *id)
{
    remote_engine *engine = remote_of(base);
    stem_remote_request request = {.n_long = 0};
    stem_remote_reply reply = {.is_packed = true};
    stem_place_id told;

    stem_remote_request_begin(&request, 1);
    stem_remote_request_text(&request, "STEM.PLACE");
    int code = stem_remote_call(engine, &request, STEM_REMOTE_READING, &reply);
    if (code == STEM_OK &&
        (!reply.is_array || reply.n < 2 || !read_id(&reply, 0, &told.store) ||
         !read_id(&reply, 1, &told.place)))
        code = stem_remote_misunderstood(engine);
    if (code == STEM_OK)
        *id = told;
    stem_remote_reply_free(&reply);
    return code;
}

/* ---- Opening and closing ---------------------------------------------------------- */

static void free_engine(remote_engine *engine)
{
    stem_remote_session_end(engine);
    stem_remote_peer_free(&engine->peer);
    pthread_cond_destroy(&engine->slot_freed);
    pthread_mutex_destroy(&engine->lock);
    pthread_mutex_destroy(&engine->session_lock);
    free(engine);
}

static int remote_close(stem_engine *base)
{
    free_engine(remote_of(base));
    return STEM_OK;
}

static const stem_engine_ops remote_ops = {
    .name = "remote",
    .read = remote_read,
    .read_some = remote_read_some,
    .commit = remote_commit,
    .iter_open = stem_remote_iter_open,
    .iter_next = stem_remote_iter_next,
    .iter_seek = stem_remote_iter_seek,
    .iter_close = stem_remote_iter_close,
    .snapshot_open = stem_remote_snapshot_open,
    .snapshot_close = stem_remote_snapshot_close,
    .flush = remote_flush,
    .sync = remote_sync,
    .compact = remote_compact,
    .estimate = remote_estimate,
    .stats = remote_stats,
    .identify = remote_identify,
    .close = remote_close,
};

int stem_remote_check_timeout(size_t timeout_ms)
{
    return stem_check_size("timeout_ms", timeout_ms, 1, LONGEST_TIMEOUT_MS);
}

static int check_options(const stem_options *options)
{
    uint64_t value = options->shared;
    const char *name = "shared";

    for (size_t i = 0; value == 0 && name; i++)
        name = stem_store_setting(options, i, &value);
    if (name)
        return stem_fail(STEM_EINVAL,
                         "option %s is for a directory or mem:; a server has its own",
                         name);
    return stem_remote_check_timeout(options->timeout_ms);
}

static bool make_locks(remote_engine *engine)
{
    pthread_condattr_t attributes;

    if (pthread_condattr_init(&attributes) != 0)
        return false;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    const bool is_made = pthread_cond_init(&engine->slot_freed, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&engine->lock, NULL);
    pthread_mutex_init(&engine->session_lock, NULL);
    return is_made;
}

void stem_remote_set_timeout(stem_engine *engine, size_t timeout_ms)
{
    remote_of(engine)->timeout_ms = timeout_ms;
}

/* An engine that has yet to be told its peer. */
static remote_engine *new_engine(size_t timeout_ms)
{
    remote_engine *engine = calloc(1, sizeof *engine);

    if (!engine || !make_locks(engine)) {
        free(engine);
        stem_fail(STEM_ENOMEM, "no memory for a connection");
        return NULL;
    }
    engine->base.ops = &remote_ops;
    engine->base.fork_generation = stem_fork_generation;
    atomic_init(&engine->base.users, 1);
    engine->timeout_ms = timeout_ms != 0 ? timeout_ms : STEM_REMOTE_TIMEOUT_MS;
    engine->longest_pause_ms = LONGEST_PAUSE_MS;
    return engine;
}

int stem_remote_open(const char *location, const stem_options *options,
                     stem_engine **opened)
{
    int code = check_options(options);
    if (code != STEM_OK)
        return code;
    remote_engine *engine = new_engine(options->timeout_ms);
    if (!engine)
        return STEM_ENOMEM;
    engine->base.is_served = true;
    code = stem_remote_peer_make(location, options, &engine->peer);
    if (code == STEM_OK)
        code = stem_remote_session_start(engine);
    if (code == STEM_OK && options->must_be_new)
        code = STEM_EXISTS;
    if (code == STEM_OK)
        *opened = &engine->base;
    else
        free_engine(engine);
    return code;
}

int stem_remote_open_shared(const char *socket, const char *shown, size_t timeout_ms,
                            stem_remote_outlook outlook, stem_engine **opened)
{
    remote_engine *engine = new_engine(timeout_ms);

    if (!engine)
        return STEM_ENOMEM;
    engine->longest_pause_ms = TAKEOVER_PAUSE_MS;
    engine->outlook = outlook;
    int code = stem_remote_peer_at(socket, shown, &engine->peer);
    if (code == STEM_OK)
        code = stem_remote_session_start(engine);
    if (code == STEM_OK)
        *opened = &engine->base;
    else
        free_engine(engine);
    return code;
}
