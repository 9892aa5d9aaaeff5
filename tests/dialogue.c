/*
 * Requests with the answers that are due; see dialogue.h.
 */
#include "dialogue.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "support.h"

const size_t sizes[N_SIZES] = {
    0,          1,         2,     100,     1000,    4095,
    16383,      16384,     65536, 70000, /* the last one that is small */
    300000,     MIB - 100, MIB,   MIB + 1, 1500000, MAX_OUTPUT - 100, /* fits a reply */
    MAX_OUTPUT, 3 * MIB};
char *bytes[N_SIZES];
const char too_large[] = "-NOMEM the answer is too large\r\n";

void put_values(stem_db *db)
{
    char key[32];

    for (int i = 0; i < N_SIZES; i++) {
        bytes[i] = malloc(sizes[i] + 1);
        for (size_t at = 0; at < sizes[i]; at++)
            bytes[i][at] = (char)('a' + random_below(26));
        snprintf(key, sizeof key, "v%02d", i);
        assert_ok(stem_put_value(db, key, stem_bin(bytes[i], sizes[i])));
    }
}

void free_values(void)
{
    for (int i = 0; i < N_SIZES; i++)
        free(bytes[i]);
}

void add_text(stem_buffer *out, const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    stem_buffer_add_text(out, text);
}

void add_bulk(stem_buffer *out, const char *data, size_t len)
{
    add_text(out, "$%zu\r\n", len);
    stem_buffer_add(out, data, len);
    stem_buffer_add_text(out, "\r\n");
}

/* Where the answer to the command that was added goes. */
static stem_buffer *due_of(script *to)
{
    if (!to->is_queued)
        return &to->due;
    stem_buffer_add_text(&to->due, "+QUEUED\r\n");
    to->n_queued++;
    return &to->of_exec;
}

static size_t some_size(bool is_small)
{
    return random_below(is_small || random_below(4) > 0 ? N_SMALL : N_SIZES);
}

static void add_get(script *to, bool is_small)
{
    const size_t i = some_size(is_small);

    add_text(&to->requests, "*2\r\n$3\r\nGET\r\n$3\r\nv%02zu\r\n", i);
    if (i < N_FITTING || to->is_queued)
        add_bulk(due_of(to), bytes[i], sizes[i]);
    else
        stem_buffer_add_text(due_of(to), too_large);
}

static void add_mget(script *to, bool is_small)
{
    const uint32_t n = 1 + random_below(20);
    stem_buffer answer = {0};

    add_text(&to->requests, "*%u\r\n$4\r\nMGET\r\n", n + 1);
    add_text(&answer, "*%u\r\n", n);
    for (uint32_t i = 0; i < n; i++) {
        const size_t k = some_size(is_small);

        add_text(&to->requests, "$3\r\nv%02zu\r\n", k);
        add_bulk(&answer, bytes[k], sizes[k]);
    }
    if (answer.len <= MAX_OUTPUT || to->is_queued)
        stem_buffer_add(due_of(to), answer.data, answer.len);
    else
        stem_buffer_add_text(due_of(to), too_large);
    free(answer.data);
}

static void add_echo(script *to, bool is_small)
{
    const size_t i = random_below(N_SMALL);

    (void)is_small;
    add_text(&to->requests, "*2\r\n$4\r\nECHO\r\n");
    add_bulk(&to->requests, bytes[i], sizes[i]);
    add_bulk(due_of(to), bytes[i], sizes[i]);
}

static void add_set(script *to, bool is_small)
{
    const bool gets = random_below(2) == 0;

    (void)is_small;
    add_text(&to->requests, "*%d\r\n$3\r\nSET\r\n$4\r\nown%d\r\n", gets ? 4 : 3,
             to->client);
    if (gets) /* an answer that a group holds back */
        add_bulk(due_of(to), to->own, to->own_len);
    else
        stem_buffer_add_text(due_of(to), "+OK\r\n");
    to->own_len = random_below(2) ? random_below(20) : random_below(sizeof to->own);
    memset(to->own, 'A' + (int)random_below(26), to->own_len);
    add_bulk(&to->requests, to->own, to->own_len);
    if (gets)
        add_text(&to->requests, "$3\r\nGET\r\n");
}

static void add_incr(script *to, bool is_small)
{
    (void)is_small;
    add_text(&to->requests, "*2\r\n$4\r\nINCR\r\n$2\r\nn%d\r\n", to->client);
    add_text(due_of(to), ":%lld\r\n", ++to->counter);
}

/* Another writes it all the time: a group that has read it runs again. */
static void add_contended(script *to, bool is_small)
{
    (void)is_small;
    add_text(&to->requests, "*2\r\n$6\r\nSTRLEN\r\n$9\r\ncontended\r\n");
    add_text(due_of(to), ":4\r\n");
}

static void add_keys(script *to, bool is_small)
{
    (void)is_small;
    if (to->is_queued)
        return;
    add_text(&to->requests, "KEYS v0*\r\n*2\r\n$4\r\nKEYS\r\n$2\r\nv*\r\n");
    add_text(&to->due, "*10\r\n");
    for (int i = 0; i < 10; i++)
        add_text(&to->due, "$3\r\nv%02d\r\n", i);
    add_text(&to->due, "*%d\r\n", (int)N_SIZES);
    for (int i = 0; i < N_SIZES; i++)
        add_text(&to->due, "$3\r\nv%02d\r\n", i);
}

static void add_sync(script *to, bool is_small)
{
    (void)is_small;
    if (to->is_queued)
        return;
    add_text(&to->requests, "STEM.SYNC\r\n");
    add_text(&to->due, "+OK\r\n");
}

static void add_mistake(script *to, bool is_small)
{
    (void)is_small;
    if (to->is_queued)
        return;
    add_text(&to->requests, "*1\r\n$3\r\nGET\r\n");
    add_text(&to->due, "-ERR wrong number of arguments for 'get' command\r\n");
}

static void add_blank(script *to, bool is_small)
{
    (void)is_small;
    add_text(&to->requests, "\r\nPING\r\n");
    add_text(due_of(to), "+PONG\r\n");
}

typedef void add_fn(script *to, bool is_small);
static void add_exec(script *to, bool is_small);

static add_fn *const kinds[] = {add_get,  add_get,   add_get,       add_mget,   add_echo,
                                add_set,  add_set,   add_incr,      add_keys,   add_sync,
                                add_exec, add_blank, add_contended, add_mistake};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* All of it or, where that is too large an answer, nothing. */
static void add_exec(script *to, bool is_small)
{
    const script before = *to;

    if (to->is_queued)
        return;
    add_text(&to->requests, "MULTI\r\n");
    add_text(&to->due, "+OK\r\n");
    to->is_queued = true;
    to->n_queued = 0;
    to->of_exec.len = 0;
    for (uint32_t n = random_below(6); n > 0; n--)
        kinds[random_below(N_KINDS)](to, is_small);
    to->is_queued = false;
    add_text(&to->requests, "EXEC\r\n");
    char head[16];
    const int len = snprintf(head, sizeof head, "*%d\r\n", to->n_queued);
    if ((size_t)len + to->of_exec.len <= MAX_OUTPUT) {
        stem_buffer_add(&to->due, head, (size_t)len);
        stem_buffer_add(&to->due, to->of_exec.data, to->of_exec.len);
    } else {
        stem_buffer_add_text(&to->due, too_large);
        to->counter = before.counter;
        to->own_len = before.own_len;
        memcpy(to->own, before.own, before.own_len);
    }
}

void write_script(script *to, int depth)
{
    enum { ENOUGH = 6 * MIB };

    to->requests.len = to->due.len = 0;
    for (int i = 0; i < depth; i++)
        kinds[random_below(N_KINDS)](to, to->due.len > ENOUGH);
}

void free_script(script *of)
{
    free(of->requests.data);
    free(of->due.data);
    free(of->of_exec.data);
}
