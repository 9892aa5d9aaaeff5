/*
 * Bytes as requests: fed whole, one by one, and in random pieces, they must be the same
 * requests, refused at the same place for the same reason. What is lent to the parser
 * ends where the memory ends, so that a sanitizer sees it read further.
 */
#include <stdlib.h>
#include <string.h>

#include "net/resp.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* The fuzzer is led by the parser and not by this file, at nearly twice the speed. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))),                   \
                             apply_to = function)
#endif

/* The program ends where a promise is broken, and the fuzzer keeps the input. */
static void require(int holds)
{
    if (!holds)
        abort();
}

/* What was read, as bytes to be compared. Kept from run to run, for its memory. */
typedef struct history {
    stem_buffer requests;
    const char *problem;
    bool is_broken;
} history;

static void add_number(history *out, size_t n)
{
    stem_buffer_add(&out->requests, &n, sizeof n);
}

static void check_request(const stem_resp_parser *parser, const char *data, size_t len)
{
    const char *unquoted = parser->unquoted.data;

    require(parser->used > 0 && parser->used <= len);
    require(parser->used <= parser->limits.max_bytes);
    require(parser->n_args <= parser->limits.max_args);
    for (size_t i = 0; i < parser->n_args; i++) {
        const stem_slice arg = parser->args[i];

        if (data[0] == '*')
            require(arg.data > data && arg.data + arg.len + 2 <= data + parser->used);
        else
            require(arg.data >= unquoted &&
                    arg.data + arg.len <= unquoted + parser->unquoted.len);
    }
}

static void note(history *out, const stem_resp_parser *parser, int state)
{
    if (state == STEM_RESP_BROKEN) {
        out->is_broken = true;
        out->problem = parser->problem;
        return;
    }
    add_number(out, parser->used);
    add_number(out, parser->n_args);
    for (size_t i = 0; i < parser->n_args; i++) {
        add_number(out, parser->args[i].len);
        stem_buffer_add(&out->requests, parser->args[i].data, parser->args[i].len);
    }
}

/* Memory follows what has arrived: a word takes six bytes in an array, two in a line. */
static void check_memory(const stem_resp_parser *parser, size_t len)
{
    require(parser->args_capacity <= 8 + len);
    require(parser->unquoted.capacity <= 128 + 2 * len);
}

/* Parses `len` bytes in memory of that size. The bytes of `from` are lent at the end of
 * `room`, which has been made for `room_len` of them. */
static int parse(stem_resp_parser *parser, char *room, size_t room_len,
                 const unsigned char *from, size_t len)
{
    const size_t wanted = parser->wanted;
    char *lent = room + room_len - len;
    int state;

    memcpy(lent, from, len);
    state = stem_resp_parse(parser, lent, len);
    require(state == STEM_RESP_MORE || state == STEM_RESP_READY ||
            state == STEM_RESP_BROKEN);
    if (state == STEM_RESP_MORE) {
        require(parser->wanted > len);
        require(parser->wanted <= parser->limits.max_bytes);
    } else {
        require(len >= wanted);
    }
    if (state == STEM_RESP_READY)
        check_request(parser, lent, len);
    return state;
}

static void start(stem_resp_parser *parser, const stem_resp_limits *limits, history *out)
{
    stem_resp_parser_init(parser, limits);
    out->requests.len = 0;
    out->is_broken = false;
    out->problem = NULL;
}

/* At each call there is all that is left. */
static void feed_whole(const unsigned char *data, size_t size,
                       const stem_resp_limits *limits, history *out)
{
    stem_resp_parser parser;
    char *room = malloc(size);
    int state = STEM_RESP_READY;

    require(room != NULL);
    start(&parser, limits, out);
    for (size_t at = 0; at < size && state == STEM_RESP_READY; at += parser.used) {
        parser.wanted = 0;
        state = parse(&parser, room, size, data + at, size - at);
        if (state != STEM_RESP_MORE)
            note(out, &parser, state);
        check_memory(&parser, size);
    }
    stem_resp_parser_free(&parser);
    free(room);
}

/* One byte more at each call, or up to `most` of them, and at another place. */
static void feed_pieces(const unsigned char *data, size_t size, unsigned seed,
                        unsigned most, const stem_resp_limits *limits, history *out)
{
    stem_resp_parser parser;
    char *room = malloc(size);
    size_t begin = 0;
    size_t end = 0;

    require(room != NULL);
    start(&parser, limits, out);
    parser.wanted = 0;
    while (end < size && !out->is_broken) {
        int state = STEM_RESP_READY;

        seed = seed * 1103515245 + 12345;
        end += 1 + (seed >> 16) % most;
        end = end < size ? end : size;
        while (begin < end && state == STEM_RESP_READY) {
            state = parse(&parser, room, size, data + begin, end - begin);
            if (state == STEM_RESP_MORE)
                break;
            note(out, &parser, state);
            begin += parser.used;
            parser.wanted = 0;
        }
        check_memory(&parser, size);
    }
    stem_resp_parser_free(&parser);
    free(room);
}

static void require_same(const history *a, const history *b)
{
    require(!a->requests.failed && !b->requests.failed);
    require(a->is_broken == b->is_broken && a->problem == b->problem);
    require(a->requests.len == b->requests.len);
    require(a->requests.len == 0 ||
            memcmp(a->requests.data, b->requests.data, a->requests.len) == 0);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const stem_resp_limits limits[] = {
        {1024 * 1024, 512 * 1024 * 1024}, {4, 1024}, {1024, 40}, {1024 * 1024, 200}};
    static history whole, pieces; /* of one thread, as a fuzzer is */
    unsigned seed = 0;

    if (size < 1)
        return 0;
    const stem_resp_limits *chosen = &limits[data[0] % 4];
    data++;
    size--;
    for (size_t i = 0; i < size; i++)
        seed = seed * 31 + data[i];
    feed_whole(data, size, chosen, &whole);
    feed_pieces(data, size, seed, 1, chosen, &pieces);
    require_same(&whole, &pieces);
    feed_pieces(data, size, seed, 16, chosen, &pieces);
    require_same(&whole, &pieces);
    feed_pieces(data, size, seed, (unsigned)size, chosen, &pieces);
    require_same(&whole, &pieces);
    return 0;
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
