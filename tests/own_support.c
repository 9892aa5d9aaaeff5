/*
 * Commands without a server; see own_support.h.
 */
#include "own_support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

stem_engine *engine;
stem_caller peer;
stem_slice scope;
bool has_raw_keys;
bool wants_sync;
unsigned steps_taken;
void (*between_steps)(void), (*before_commit)(void);

static stem_buffer rendered;

void open_caller(void)
{
    const stem_options options = {0};

    assert_ok(stem_engine_acquire("mem:", &options, NULL, &engine));
    peer = (stem_caller){.engine = engine,
                         .cursors = stem_cursors_new(0),
                         .snapshots = stem_snapshots_new(engine, NULL),
                         .holder = slice("a connection"),
                         .max_text_bytes = STEM_VALUE_MAX};
    ck_assert_ptr_nonnull(peer.cursors);
    ck_assert_ptr_nonnull(peer.snapshots);
}

void close_caller(void)
{
    stem_cursors_free(peer.cursors);
    stem_snapshots_free(peer.snapshots);
    free(rendered.data);
    rendered = (stem_buffer){0};
    close_engine(engine);
}

/* ---- Replies as text -------------------------------------------------------------- */

static void render_bulk(const char *data, size_t len)
{
    stem_buffer_add_text(&rendered, "\"");
    for (size_t i = 0; i < len; i++) {
        const unsigned char byte = (unsigned char)data[i];
        char text[4] = {data[i], '\0'};

        if (byte < 0x20 || byte >= 0x7F)
            snprintf(text, sizeof text, "\\%02X", (unsigned)byte);
        stem_buffer_add_text(&rendered, text);
    }
    stem_buffer_add_text(&rendered, "\"");
}

/* Renders the reply at `at`, and gives where the next begins. */
static const char *render(const char *at, const char *end)
{
    const char *line = memchr(at, '\r', (size_t)(end - at));
    const char kind = *at++;
    const long n = strtol(at, NULL, 10);

    ck_assert_ptr_nonnull(line);
    if (kind == '-')
        stem_buffer_add_text(&rendered, "!");
    if (kind == '+' || kind == '-' || kind == ':')
        stem_buffer_add(&rendered, at, (size_t)(line - at));
    line += 2;
    if ((kind == '$' || kind == '*') && n < 0) {
        stem_buffer_add_text(&rendered, "nil");
    } else if (kind == '$') {
        ck_assert_int_le(n + 2, end - line);
        render_bulk(line, (size_t)n);
        line += n + 2;
    } else if (kind == '*') {
        stem_buffer_add_text(&rendered, "[");
        for (long i = 0; i < n; i++) {
            if (i > 0)
                stem_buffer_add_text(&rendered, " ");
            line = render(line, end);
        }
        stem_buffer_add_text(&rendered, "]");
    } else {
        ck_assert_msg(strchr("+-:", kind), "a reply begins with %d", kind);
    }
    return line;
}

/* ---- Running ---------------------------------------------------------------------- */

static int run_steps(const stem_command *command, stem_request *request)
{
    stem_job *job;
    bool is_done = false;

    int code = command->start(request, engine, &job);
    if (code != STEM_OK || !job)
        return code;
    /* What was sent does not outlive the start. */
    stem_execution_reset(request->on);
    while (code == STEM_OK && !is_done) {
        code = job->step(job, request->reply, &is_done);
        steps_taken++;
        if (between_steps && !is_done)
            between_steps();
    }
    job->free(job);
    return code;
}

static int run_once(const stem_command *command, stem_request *request)
{
    stem_execution_reset(request->on);
    request->reply->bytes.len = 0;
    request->wants_sync = false;
    steps_taken = 0;
    int code = command->run ? command->run(request) : run_steps(command, request);
    if (code == STEM_OK && before_commit)
        before_commit();
    if (code == STEM_OK && command->run)
        code = stem_execution_commit(request->on, request->wants_sync);
    return code;
}

int run_words(const stem_slice *words, size_t n, stem_reply *reply)
{
    const stem_command *parent;
    const stem_command *command = stem_command_of(words, n, &parent);
    stem_request request = {.args = words,
                            .n_args = n,
                            .scope = scope,
                            .has_raw_keys = has_raw_keys,
                            .on = stem_execution_new(engine),
                            .reply = reply,
                            .peer = &peer};
    int code;

    /* Check's assertions want memory, and this may be run without. */
    if (!command || !stem_command_fits(command, n))
        ck_abort_msg("%.*s is no such command", (int)words[0].len, words[0].data);
    if (!request.on)
        return STEM_ENOMEM;
    do
        code = run_once(command, &request);
    while (code == STEM_CONFLICT);
    wants_sync = request.wants_sync;
    stem_execution_free(request.on);
    return code == STEM_OK && reply->bytes.failed ? STEM_ENOMEM : code;
}

const char *ask_words(const stem_slice *words, size_t n)
{
    stem_reply reply = {.version = 2};

    int code = run_words(words, n, &reply);
    rendered.len = 0;
    if (code == STEM_OK) {
        ck_assert_uint_gt(reply.bytes.len, 0);
        const char *end = reply.bytes.data + reply.bytes.len;
        ck_assert_ptr_eq(render(reply.bytes.data, end), end);
    } else {
        stem_buffer_add_text(&rendered, stem_strerror(code));
    }
    stem_buffer_add(&rendered, "", 1);
    free(reply.bytes.data);
    return rendered.data;
}

const char *ask(const char *first, ...)
{
    stem_slice words[64];
    size_t n = 0;
    va_list more;

    va_start(more, first);
    for (const char *word = first; word; word = va_arg(more, const char *)) {
        ck_assert_uint_lt(n, 64);
        words[n++] = slice(word);
    }
    va_end(more);
    return ask_words(words, n);
}

const char *last_id(void)
{
    static char ids[64][STEM_ID_DIGITS + 1];
    static int n;
    char *id = ids[n++ % 64];

    ck_assert_uint_eq(strlen(rendered.data), STEM_ID_DIGITS + 2);
    memcpy(id, rendered.data + 1, STEM_ID_DIGITS);
    return id;
}
