/*
 * What a client of Redis 7 would get: sequences of requests, written down and generated, whose
 * replies a model of Redis says byte for byte.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"
#include "random.h"
#include "raw_client.h"
#include "served.h"

static stem_db *db;
static stem_server *server;

static void open_served(void)
{
    db = new_database();
    server = serve(db, NULL);
}

static void close_served(void)
{
    assert_ok(stem_server_close(server));
    assert_ok(stem_close(db));
}

/* ---- Sequences written down --------------------------------------------------------- */

#define ARITY(name) "-ERR wrong number of arguments for '" name "' command\r\n"
#define SYNTAX "-ERR syntax error\r\n"
#define NO_INTEGER "-ERR value is not an integer or out of range\r\n"
#define ABORTED "-EXECABORT Transaction discarded because of previous errors.\r\n"

/* Lines of words, and what Redis 7 answers to all of them together. */
static const struct {
    const char *requests, *replies;
} sequences[] = {
    {"MULTI\nMULTI\nSET a 1\nEXEC",
     "+OK\r\n-ERR MULTI calls can not be nested\r\n+QUEUED\r\n*1\r\n+OK\r\n"},
    {"MULTI\nWATCH a\nSET a 1\nEXEC",
     "+OK\r\n-ERR WATCH inside MULTI is not allowed\r\n+QUEUED\r\n*1\r\n+OK\r\n"},
    {"MULTI\nSET a 1\nDISCARD x\nEXEC", "+OK\r\n+QUEUED\r\n" ARITY("discard") ABORTED},
    {"MULTI\nUNWATCH\nSET a 1\nEXEC",
     "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n"},
    {"MULTI\nSELECT 0\nSET a 1\nEXEC",
     "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n"},
    {"MULTI\nSET a 1\nEXEC x\nSET b 1",
     "+OK\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: wrong number of "
     "arguments for 'exec' command\r\n+OK\r\n"},
    {"EXEC x",
     "-EXECABORT Transaction discarded because of: wrong number of arguments for "
     "'exec' command\r\n"},
    {"EXEC\nDISCARD", "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n"},
    {"MULTI\nNONSENSE\nEXEC",
     "+OK\r\n-ERR unknown command 'NONSENSE', with args beginning with: \r\n" ABORTED},
    {"MULTI\nPING\nCLIENT GETNAME\nCLIENT SETNAME me\nCLIENT GETNAME\nEXEC",
     "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n+PONG\r\n$-1\r\n+OK\r\n"
     "$2\r\nme\r\n"},
    {"MULTI\nINFO cluster\nOBJECT REFCOUNT none\nEXEC",
     "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$30\r\n# "
     "Cluster\r\ncluster_enabled:0\r\n\r\n$-1\r\n"},
    {"SET w 1\nWATCH w\nSET w 2\nMULTI\nUNWATCH\nEXEC\nGET w",
     "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n$1\r\n2\r\n"},
    {"SET w 1\nWATCH w\nSET w 2\nUNWATCH\nMULTI\nEXEC",
     "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n*0\r\n"},
    {"MULTI\nSET r 1\nRESET\nEXEC\nGET r",
     "+OK\r\n+QUEUED\r\n+RESET\r\n-ERR EXEC without MULTI\r\n$-1\r\n"},
    {"CLIENT SETNAME me\nRESET\nCLIENT GETNAME", "+OK\r\n+RESET\r\n$-1\r\n"},
    {"SELECT 0\nSELECT x\nSELECT 99\nSELECT 9999999999\nSELECT",
     "+OK\r\n" NO_INTEGER "-ERR DB index is out of range\r\n" NO_INTEGER ARITY("select")},
    {"FOO a b\nfoo", "-ERR unknown command 'FOO', with args beginning with: 'a' 'b' \r\n"
                     "-ERR unknown command 'foo', with args beginning with: \r\n"},
    {"CLIENT foo\nCLIENT\nCOMMAND foo\nCONFIG foo\nMEMORY foo\nOBJECT foo",
     "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n" ARITY(
         "client") "-ERR unknown subcommand 'foo'. Try COMMAND HELP.\r\n"
                   "-ERR unknown subcommand 'foo'. Try CONFIG HELP.\r\n"
                   "-ERR unknown subcommand 'foo'. Try MEMORY HELP.\r\n"
                   "-ERR unknown subcommand 'foo'. Try OBJECT HELP.\r\n"},
    {"CLIENT REPLY\nCLIENT REPLY x\nCLIENT NO-EVICT x\nCLIENT NO-TOUCH on\nCLIENT LIST x "
     "y\n"
     "CLIENT LIST TYPE x\nCLIENT LIST ID a\nCLIENT LIST TYPE pubsub\nCLIENT LIST ID 1",
     ARITY("client|reply") SYNTAX SYNTAX
     "+OK\r\n" SYNTAX
     "-ERR Unknown client type 'x'\r\n-ERR Invalid client ID\r\n$0\r\n\r\n$0\r\n\r\n"},
    {"CLIENT SETINFO LIB-NAME x\nCLIENT SETINFO lib-ver 1\nCLIENT SETINFO x y",
     "+OK\r\n+OK\r\n-ERR Unrecognized option 'x'\r\n"},
    {"COMMAND GETKEYS GET a\nCOMMAND GETKEYS MSET a 1 b 2\nCOMMAND GETKEYS RENAME a b\n"
     "COMMAND GETKEYS OBJECT ENCODING a\nCOMMAND GETKEYS PING x\nCOMMAND GETKEYS GET a "
     "b\n"
     "COMMAND GETKEYS none x",
     "*1\r\n$1\r\na\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*1\r\n$"
     "1\r\n"
     "a\r\n-ERR The command has no key arguments\r\n-ERR Invalid number of arguments "
     "specified for command\r\n-ERR Invalid command specified\r\n"},
    {"COMMAND LIST FILTERBY PATTERN GETDE*\nCOMMAND LIST FILTERBY MODULE x\nCOMMAND LIST "
     "x",
     "*1\r\n$6\r\ngetdel\r\n*0\r\n" SYNTAX},
    {"COMMAND INFO none\nCOMMAND DOCS none", "*1\r\n$-1\r\n*0\r\n"},
    {"CONFIG GET\nCONFIG GET none\nCONFIG GET maxmemory MAXMEMORY",
     ARITY("config|get") "*0\r\n*2\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n"},
    {"INFO none", "$0\r\n\r\n"},
    {"SET o 1\nOBJECT ENCODING o\nOBJECT REFCOUNT o\nOBJECT ENCODING none\nOBJECT FREQ "
     "none\n"
     "OBJECT IDLETIME none\nSET o x\nOBJECT ENCODING o",
     "+OK\r\n$3\r\nint\r\n:1\r\n$-1\r\n$-1\r\n$-1\r\n+OK\r\n$6\r\nembstr\r\n"},
    {"MEMORY USAGE none\nMEMORY USAGE a SAMPLES x\nMEMORY USAGE a SAMPLES -1\n"
     "MEMORY USAGE a x 1\nMEMORY USAGE",
     "$-1\r\n" NO_INTEGER SYNTAX SYNTAX ARITY("memory|usage")},
    {"SET t 1\nTOUCH t t none\nTOUCH", "+OK\r\n:2\r\n" ARITY("touch")},
    {"SET s 1\nSCAN 0 TYPE\nSCAN 0 TYPE list\nSCAN 0 COUNT 1000 MATCH s TYPE STRING",
     "+OK\r\n" SYNTAX "*2\r\n$1\r\n0\r\n*0\r\n*2\r\n$1\r\n0\r\n*1\r\n$1\r\ns\r\n"},
    {"SETRANGE e 5 x\nGET e\nSETRANGE e 0 long-text\nGETRANGE e -4 -1\nSETRANGE none -1 "
     "x\n"
     "SETRANGE e x y\nGETRANGE e 0 x\nSETRANGE e 100000000000 x",
     ":6\r\n$6\r\n\0\0\0\0\0x\r\n:9\r\n$4\r\ntext\r\n-ERR offset is out of "
     "range\r\n" NO_INTEGER NO_INTEGER
     "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"},
    {"TIME x\nRANDOMKEY x\nRESET x\nFLUSHALL x\nFLUSHDB x",
     ARITY("time") ARITY("randomkey") ARITY("reset") SYNTAX SYNTAX},
    {"SET f 1\nFLUSHALL ASYNC\nGET f\nSET f 1\nFLUSHALL\nRANDOMKEY\nINFO keyspace",
     "+OK\r\n+OK\r\n$-1\r\n+OK\r\n+OK\r\n$-1\r\n$12\r\n# Keyspace\r\n\r\n"},
};

static void add_line(stem_buffer *out, const char *line, size_t len)
{
    stem_slice words[16];
    size_t n = 0;

    for (size_t at = 0; at < len; n++) {
        size_t end = at;

        while (end < len && line[end] != ' ')
            end++;
        words[n] = (stem_slice){line + at, end - at};
        at = end + (end < len);
    }
    raw_add(out, words, n);
}

/* What comes back for as long as replies are due, which end in that to this request. */
static stem_buffer exchange(raw_client *client, stem_buffer *requests)
{
    static const char end[] = "$7\r\nthe-end\r\n";
    stem_buffer found = {0};

    add_line(requests, "ECHO the-end", 12);
    raw_send(client, requests);
    for (;;) {
        const stem_slice reply = raw_reply(client);

        if (reply.len == 0 ||
            (reply.len == strlen(end) && memcmp(reply.data, end, reply.len) == 0))
            return found;
        stem_buffer_add(&found, reply.data, reply.len);
    }
}

/* The replies are C strings but for the one that has NULs: their length is that of what came,
 * where it is no more. */
START_TEST(a_sequence_is_answered_as_redis_does)
{
    const char *at = sequences[_i].requests, *expected = sequences[_i].replies;
    stem_buffer requests = {0};
    raw_client client;

    raw_open(&client, served_at());
    while (*at) {
        const size_t len = strcspn(at, "\n");

        add_line(&requests, at, len);
        at += len + (at[len] == '\n');
    }
    stem_buffer found = exchange(&client, &requests);
    const bool has_nul = found.data && memchr(found.data, '\0', found.len);
    ck_assert_msg((has_nul || strlen(expected) == found.len) &&
                      memcmp(found.data, expected, found.len) == 0,
                  "%s\nanswered %.*s\nnot %s", sequences[_i].requests, (int)found.len,
                  found.data, expected);
    free(found.data);
    free(requests.data);
    raw_close(&client);
}
END_TEST

START_TEST(an_unknown_command_is_named_escaped_and_cut)
{
    static const char hostile[] = "A\r\n+OK\r\n\0\x1b[31m\xff";
    static char longest[1000];
    const stem_slice words[] = {{hostile, sizeof hostile - 1}, {"b\n", 2}};
    stem_slice many[200];
    stem_buffer request = {0};
    raw_client client;

    raw_open(&client, served_at());
    raw_add(&request, words, 2);
    raw_send(&client, &request);
    stem_slice reply = raw_reply(&client);
    static const char expected[] =
        "-ERR unknown command 'A\\x0D\\x0A+OK\\x0D\\x0A\\x00\\x1B[31m\\xFF', with args "
        "beginning with: 'b\\x0A' \r\n";
    ck_assert_msg(reply.len == strlen(expected) &&
                      memcmp(reply.data, expected, reply.len) == 0,
                  "%.*s", (int)reply.len, reply.data);
    memset(longest, 'x', sizeof longest);
    for (int i = 0; i < 200; i++)
        many[i] = (stem_slice){longest, sizeof longest};
    request.len = 0;
    raw_add(&request, many, 200);
    raw_send(&client, &request);
    reply = raw_reply(&client);
    ck_assert_uint_lt(reply.len, 400);
    ck_assert_uint_gt(reply.len, 256);
    free(request.data);
    raw_close(&client);
}
END_TEST

/* ---- Sequences generated ------------------------------------------------------------ */

enum { N_KEYS = 4, TEXT_MOST = 8192, N_REQUESTS = 120, N_ROUNDS = 150 };

typedef struct held {
    bool is_there;
    size_t len;
    char text[TEXT_MOST];
} held;

/* One request that the model can run: the words, and which it is. */
typedef struct step {
    enum {
        SET,
        GET,
        APPEND,
        STRLEN,
        GETRANGE,
        SUBSTR,
        SETRANGE,
        DEL,
        TOUCH,
        REFCOUNT,
        SELECT,
        FAR_SELECT,
        UNWATCH,
        ECHOES,
        ARITY_ERROR, /* from here on not queued */
        UNKNOWN,
        MULTI,
        EXEC,
        DISCARD,
        RESET,
        N_STEPS
    } kind;
    int key, other;
    long start, end;
    const char *text;
} step;

/* Redis, as far as these go. */
static struct {
    held keys[N_KEYS];
    bool is_open, is_failed;
    step queued[N_REQUESTS];
    size_t n_queued;
    enum reply_mode { REPLY_ON, REPLY_OFF, REPLY_SKIP } mode;
} model;

static void expect(stem_buffer *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void expect(stem_buffer *out, const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    stem_buffer_add_text(out, text);
}

static void expect_bulk(stem_buffer *out, const char *data, size_t len)
{
    expect(out, "$%zu\r\n", len);
    stem_buffer_add(out, data, len);
    stem_buffer_add_text(out, "\r\n");
}

static void expect_part(stem_buffer *out, const held *key, long start, long end)
{
    const long len = key->is_there ? (long)key->len : 0;

    if (start < 0 && end < 0 && start > end) {
        expect_bulk(out, "", 0);
        return;
    }
    start = start < 0 ? start + len : start;
    end = end < 0 ? end + len : end;
    start = start < 0 ? 0 : start;
    end = end < 0 ? 0 : end;
    end = end >= len ? len - 1 : end;
    if (start > end || len == 0)
        expect_bulk(out, "", 0);
    else
        expect_bulk(out, key->text + start, (size_t)(end - start) + 1);
}

static void overwrite(held *key, size_t offset, const char *text)
{
    const size_t len = strlen(text), end = offset + len;

    if (!key->is_there)
        key->len = 0;
    if (end > key->len) {
        if (offset > key->len)
            memset(key->text + key->len, 0, offset - key->len);
        key->len = end;
    }
    memcpy(key->text + offset, text, len);
    key->is_there = true;
}

static void run_step(stem_buffer *out, const step *what)
{
    held *key = &model.keys[what->key];

    switch (what->kind) {
    case SET:
        key->is_there = false;
        overwrite(key, 0, what->text);
        expect(out, "+OK\r\n");
        break;
    case GET:
        if (key->is_there)
            expect_bulk(out, key->text, key->len);
        else
            expect(out, "$-1\r\n");
        break;
    case APPEND:
        overwrite(key, key->is_there ? key->len : 0, what->text);
        expect(out, ":%zu\r\n", key->len);
        break;
    case STRLEN:
        expect(out, ":%zu\r\n", key->is_there ? key->len : 0);
        break;
    case GETRANGE:
    case SUBSTR:
        expect_part(out, key, what->start, what->end);
        break;
    case SETRANGE:
        if (what->start < 0) {
            expect(out, "-ERR offset is out of range\r\n");
            break;
        }
        if (*what->text)
            overwrite(key, (size_t)what->start, what->text);
        expect(out, ":%zu\r\n", key->is_there ? key->len : 0);
        break;
    case DEL:
        expect(out, ":%d\r\n",
               key->is_there +
                   (what->key != what->other && model.keys[what->other].is_there));
        key->is_there = model.keys[what->other].is_there = false;
        break;
    case TOUCH:
        expect(out, ":%d\r\n", key->is_there + model.keys[what->other].is_there);
        break;
    case REFCOUNT:
        expect(out, key->is_there ? ":1\r\n" : "$-1\r\n");
        break;
    case FAR_SELECT:
        expect(out, "-ERR DB index is out of range\r\n");
        break;
    case ECHOES:
        expect_bulk(out, what->text, strlen(what->text));
        break;
    default:
        expect(out, "+OK\r\n");
        break;
    }
}

static void execute(stem_buffer *out)
{
    if (!model.is_open) {
        expect(out, "-ERR EXEC without MULTI\r\n");
    } else if (model.is_failed) {
        expect(out, ABORTED);
    } else {
        expect(out, "*%zu\r\n", model.n_queued);
        for (size_t i = 0; i < model.n_queued; i++)
            run_step(out, &model.queued[i]);
    }
    model.is_open = false;
}

static void take_step(stem_buffer *out, const step *what)
{
    switch (what->kind) {
    case ARITY_ERROR:
        expect(out, ARITY("get"));
        model.is_failed |= model.is_open;
        break;
    case UNKNOWN:
        expect(out, "-ERR unknown command 'NONE', with args beginning with: \r\n");
        model.is_failed |= model.is_open;
        break;
    case MULTI:
        expect(out, model.is_open ? "-ERR MULTI calls can not be nested\r\n" : "+OK\r\n");
        if (!model.is_open) {
            model.is_failed = false;
            model.n_queued = 0;
        }
        model.is_open = true;
        break;
    case EXEC:
        execute(out);
        break;
    case DISCARD:
        expect(out, model.is_open ? "+OK\r\n" : "-ERR DISCARD without MULTI\r\n");
        model.is_open = false;
        break;
    case RESET:
        expect(out, "+RESET\r\n");
        model.is_open = false;
        break;
    default:
        if (!model.is_open) {
            run_step(out, what);
            break;
        }
        expect(out, "+QUEUED\r\n");
        model.queued[model.n_queued++] = *what;
        break;
    }
}

/* The words of a step: a letter is its key, its other key, its start, end or text. */
static void add_step(stem_buffer *requests, const step *what)
{
    static const char *const shapes[N_STEPS] = {
        [SET] = "SET k t",
        [GET] = "GET k",
        [APPEND] = "APPEND k t",
        [STRLEN] = "STRLEN k",
        [GETRANGE] = "GETRANGE k s e",
        [SUBSTR] = "SUBSTR k s e",
        [SETRANGE] = "SETRANGE k s t",
        [DEL] = "DEL k o",
        [TOUCH] = "TOUCH k o",
        [REFCOUNT] = "OBJECT REFCOUNT k",
        [SELECT] = "SELECT 0",
        [FAR_SELECT] = "SELECT 99",
        [UNWATCH] = "UNWATCH",
        [ECHOES] = "ECHO t",
        [ARITY_ERROR] = "GET",
        [UNKNOWN] = "NONE",
        [MULTI] = "MULTI",
        [EXEC] = "EXEC",
        [DISCARD] = "DISCARD",
        [RESET] = "RESET",
    };
    stem_buffer line = {0};

    for (const char *at = shapes[what->kind]; *at; at++) {
        if (*at == 'k' || *at == 'o')
            expect(&line, "%c", 'A' + (*at == 'k' ? what->key : what->other));
        else if (*at == 's' || *at == 'e')
            expect(&line, "%ld", *at == 's' ? what->start : what->end);
        else if (*at == 't')
            stem_buffer_add_text(&line, what->text);
        else
            stem_buffer_add(&line, at, 1);
    }
    add_line(requests, line.data, line.len);
    free(line.data);
}

static step any_step(void)
{
    static const char *const texts[] = {"1", "-20", "text", "9223372036854775807"};
    step drawn = {.kind = random_below(N_STEPS),
                  .key = (int)random_below(N_KEYS),
                  .other = (int)random_below(N_KEYS),
                  .start = (long)random_below(60) - 20,
                  .end = (long)random_below(60) - 20,
                  .text = texts[random_below(4)]};

    if (model.keys[drawn.key].len > TEXT_MOST / 2 && drawn.kind == APPEND)
        drawn.kind = SET;
    return drawn;
}

/* CLIENT REPLY; whether it was drawn. Redis would queue it in a transaction, Stem does not. */
static bool add_reply_mode(stem_buffer *requests, stem_buffer *expected)
{
    static const char *const lines[] = {"CLIENT REPLY ON", "CLIENT REPLY OFF",
                                        "CLIENT REPLY SKIP"};
    const uint32_t drawn = random_below(20);

    if (model.is_open || drawn > 2)
        return false;
    add_line(requests, lines[drawn], strlen(lines[drawn]));
    if (drawn == REPLY_ON)
        expect(expected, "+OK\r\n");
    if (drawn != REPLY_SKIP || model.mode != REPLY_OFF)
        model.mode = (enum reply_mode)drawn;
    return true;
}

static void add_any(stem_buffer *requests, stem_buffer *expected)
{
    const size_t before = expected->len;

    if (add_reply_mode(requests, expected))
        return;
    const step what = any_step();
    add_step(requests, &what);
    take_step(expected, &what);
    if (what.kind == RESET && model.mode == REPLY_OFF)
        model.mode = REPLY_ON;
    else if (model.mode != REPLY_ON)
        expected->len = before;
    if (model.mode == REPLY_SKIP)
        model.mode = REPLY_ON;
}

START_TEST(generated_sequences_are_answered_as_redis_does)
{
    const uint64_t seed = random_start();
    raw_client client;

    raw_open(&client, served_at());
    for (int round = 0; round < N_ROUNDS; round++) {
        stem_buffer requests = {0}, expected = {0};
        const int n = 1 + (int)random_below(N_REQUESTS - 1);

        for (int i = 0; i < n; i++)
            add_any(&requests, &expected);
        add_line(&requests, "RESET", 5);
        if (model.mode != REPLY_SKIP)
            expect(&expected, "+RESET\r\n");
        model.is_open = false;
        model.mode = REPLY_ON;
        stem_buffer found = exchange(&client, &requests);
        ck_assert_msg(found.len == expected.len &&
                          memcmp(found.data, expected.data, found.len) == 0,
                      "seed %llu, round %d: to\n%.*s\ncame\n%.*s\nnot\n%.*s",
                      (unsigned long long)seed, round, (int)requests.len, requests.data,
                      (int)found.len, found.data, (int)expected.len, expected.data);
        free(found.data);
        free(expected.data);
        free(requests.data);
    }
    raw_close(&client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server as redis");
    TCase *written = add_case(suite, "written down", 30);
    TCase *generated = add_case(suite, "generated", 120);

    tcase_add_checked_fixture(written, open_served, close_served);
    tcase_add_loop_test(written, a_sequence_is_answered_as_redis_does, 0,
                        sizeof sequences / sizeof *sequences);
    tcase_add_test(written, an_unknown_command_is_named_escaped_and_cut);
    tcase_add_checked_fixture(generated, open_served, close_served);
    tcase_add_test(generated, generated_sequences_are_answered_as_redis_does);
    return run_suite(suite);
}
