/*
 * Requests out of bytes; see resp.h. A word counts as read once all of it is there; until
 * then its header, a few bytes, is read again. What is answered, but for MORE, follows
 * from the bytes alone, and not from the pieces in which they came: whatever is refused
 * of some bytes is refused alike of those and more. So bytes over the limits are never
 * looked at.
 */
#include "resp.h"

#include <stdint.h>
#include <stdlib.h>

#include "error.h"
#include "line.h"

enum {
    LONGEST_LINE = 64 * 1024, /* without its end */
    LEAST_WORD = 6,           /* "$0\r\n\r\n" */
    FIRST_ARGS = 8,
    /* What is kept from one request to the next. */
    KEPT_ARGS = 1024,
    KEPT_BYTES = 4096
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int broken(stem_resp_parser *parser, const char *problem)
{
    parser->problem = problem;
    return STEM_RESP_BROKEN;
}

static int more(stem_resp_parser *parser, size_t wanted)
{
    parser->wanted = wanted;
    return STEM_RESP_MORE;
}

static int ready(stem_resp_parser *parser, size_t n_args, size_t used)
{
    parser->n_args = n_args;
    parser->used = used;
    parser->n_read = 0;
    parser->n_expected = 0;
    parser->position = 0;
    parser->scanned = 0;
    return STEM_RESP_READY;
}

/* ---- Memory ----------------------------------------------------------------------- */

void stem_resp_parser_init(stem_resp_parser *parser, const stem_resp_limits *limits)
{
    *parser = (stem_resp_parser){.limits = *limits};
    /* Sums of what passes the limits do not overflow. */
    parser->limits.max_args = smaller(limits->max_args, SIZE_MAX / 64);
    parser->limits.max_bytes = smaller(limits->max_bytes, SIZE_MAX / 4);
}

static void free_args(stem_resp_parser *parser)
{
    free(parser->args);
    free(parser->offsets);
    parser->args = NULL;
    parser->offsets = NULL;
    parser->n_args = parser->args_capacity = 0;
}

static void free_unquoted(stem_resp_parser *parser)
{
    free(parser->unquoted.data);
    parser->unquoted = (stem_buffer){0};
}

void stem_resp_parser_free(stem_resp_parser *parser)
{
    free_args(parser);
    free_unquoted(parser);
}

void stem_resp_parser_trim(stem_resp_parser *parser)
{
    if (parser->args_capacity > KEPT_ARGS)
        free_args(parser);
}

/* Grows with the words that have arrived, whatever number of them was claimed. */
static bool grow_args(stem_resp_parser *parser)
{
    size_t capacity = parser->args_capacity > 0 ? 2 * parser->args_capacity : FIRST_ARGS;
    stem_slice *args = realloc(parser->args, capacity * sizeof *args);
    size_t *offsets;

    if (!args)
        return false;
    parser->args = args;
    offsets = realloc(parser->offsets, capacity * sizeof *offsets);
    if (!offsets)
        return false;
    parser->offsets = offsets;
    parser->args_capacity = capacity;
    return true;
}

static int no_memory(const stem_resp_parser *parser)
{
    return stem_fail(STEM_ENOMEM, "no memory for a request of more than %zu words",
                     parser->args_capacity);
}

/* ---- Arrays of bulk strings ------------------------------------------------------- */

static inline bool is_digit(char byte)
{
    return (unsigned char)(byte - '0') <= 9;
}

static const char *read_long_number(const char *at, const char *end, int64_t *number)
{
    enum { MOST_DIGITS = 19 };
    const bool is_negative = at < end && *at == '-';
    const char *first = at + is_negative;
    uint64_t x = 0;

    for (at = first; at < end && is_digit(*at); at++) {
        if (at - first == MOST_DIGITS)
            return NULL;
        x = x * 10 + (uint64_t)(*at - '0');
    }
    if (at == first || end - at < 2 || at[0] != '\r' || at[1] != '\n')
        return NULL;
    if (*first == '0' && (is_negative || at - first > 1))
        return NULL;
    if (x > (uint64_t)INT64_MAX + is_negative)
        return NULL;
    *number = is_negative ? -1 : (int64_t)x;
    return at + 2;
}

/* Reads a number, as Redis writes them (no `+`, no zeros before it), and the line's end
 * behind it. Where that ends; NULL when something else is there, or not all of it is. A
 * number below zero is told as -1. */
static inline const char *read_number(const char *at, const char *end, int64_t *number)
{
    /* Most have one digit. */
    if (end - at >= 3 && is_digit(at[0]) && at[1] == '\r' && at[2] == '\n') {
        *number = at[0] - '0';
        return at + 3;
    }
    return read_long_number(at, end, number);
}

/* What follows from the line at the parser's position, where read_number found none. */
static int refuse_line(stem_resp_parser *parser, const char *data, size_t len,
                       const char *invalid, const char *too_big)
{
    const bool is_full = len >= parser->limits.max_bytes;
    const char *line = data + parser->position;
    const char *end = data + smaller(len, parser->limits.max_bytes);
    const size_t there = smaller((size_t)(end - line), LONGEST_LINE + 1);
    const char *cr = memchr(line + parser->scanned, '\r', there - parser->scanned);

    if (cr && end - cr > 1)
        return broken(parser, invalid);
    if (is_full || (!cr && there > LONGEST_LINE))
        return broken(parser, too_big);
    parser->scanned = cr ? (size_t)(cr - line) : there;
    return more(parser, len + 1);
}

/* The first line, "*3". */
static int read_count(stem_resp_parser *parser, const char *data, size_t len)
{
    static const char invalid[] = "Protocol error: invalid multibulk length";
    const size_t end = smaller(len, parser->limits.max_bytes);
    int64_t n;
    const char *behind = end > 0 ? read_number(data + 1, data + end, &n) : NULL;
    size_t position;

    if (!behind)
        return refuse_line(parser, data, len, invalid,
                           "Protocol error: too big mbulk count string");
    position = (size_t)(behind - data);
    if (n <= 0)
        return ready(parser, 0, position);
    if ((uint64_t)n > parser->limits.max_args ||
        (size_t)n * LEAST_WORD > parser->limits.max_bytes - position)
        return broken(parser, invalid);
    parser->n_expected = (size_t)n;
    parser->position = position;
    parser->scanned = 0;
    return STEM_RESP_READY;
}

#define GOT(byte) "Protocol error: expected '$', got '" byte "'"

static const char *not_a_bulk_string(char byte)
{
    /* Texts outlive the parser, so there is one of each. */
    static const char *const printable[] = {
        GOT(" "), GOT("!"), GOT("\""), GOT("#"), GOT("$"),  GOT("%"), GOT("&"), GOT("'"),
        GOT("("), GOT(")"), GOT("*"),  GOT("+"), GOT(","),  GOT("-"), GOT("."), GOT("/"),
        GOT("0"), GOT("1"), GOT("2"),  GOT("3"), GOT("4"),  GOT("5"), GOT("6"), GOT("7"),
        GOT("8"), GOT("9"), GOT(":"),  GOT(";"), GOT("<"),  GOT("="), GOT(">"), GOT("?"),
        GOT("@"), GOT("A"), GOT("B"),  GOT("C"), GOT("D"),  GOT("E"), GOT("F"), GOT("G"),
        GOT("H"), GOT("I"), GOT("J"),  GOT("K"), GOT("L"),  GOT("M"), GOT("N"), GOT("O"),
        GOT("P"), GOT("Q"), GOT("R"),  GOT("S"), GOT("T"),  GOT("U"), GOT("V"), GOT("W"),
        GOT("X"), GOT("Y"), GOT("Z"),  GOT("["), GOT("\\"), GOT("]"), GOT("^"), GOT("_"),
        GOT("`"), GOT("a"), GOT("b"),  GOT("c"), GOT("d"),  GOT("e"), GOT("f"), GOT("g"),
        GOT("h"), GOT("i"), GOT("j"),  GOT("k"), GOT("l"),  GOT("m"), GOT("n"), GOT("o"),
        GOT("p"), GOT("q"), GOT("r"),  GOT("s"), GOT("t"),  GOT("u"), GOT("v"), GOT("w"),
        GOT("x"), GOT("y"), GOT("z"),  GOT("{"), GOT("|"),  GOT("}"), GOT("~")};

    return byte >= ' ' && byte <= '~' ? printable[byte - ' ']
                                      : "Protocol error: expected '$'";
}

static const char invalid_bulk[] = "Protocol error: invalid bulk length";

static int refuse_word(stem_resp_parser *parser, const char *data, size_t len)
{
    if (len > parser->position && data[parser->position] != '$')
        return broken(parser, not_a_bulk_string(data[parser->position]));
    return refuse_line(parser, data, len, invalid_bulk,
                       "Protocol error: too big bulk count string");
}

static int words_are_ready(stem_resp_parser *parser, const char *data, size_t used)
{
    const size_t n = parser->n_expected;

    for (size_t i = 0; i < n; i++)
        parser->args[i].data = data + parser->offsets[i];
    return ready(parser, n, used);
}

/* Reads on from the parser's position, where a word begins. It may claim what is left of
 * the limit when the least that the others take is set aside: so there is always room for
 * them, and none is waited for that could not be read. */
static int read_words(stem_resp_parser *parser, const char *data, size_t len)
{
    const size_t n_expected = parser->n_expected;
    const char *end = data + smaller(len, parser->limits.max_bytes);
    const char *at = data + parser->position;

    for (size_t i = parser->n_read; i < n_expected; i++) {
        const size_t others = LEAST_WORD * (n_expected - i - 1) + 2;
        int64_t n;
        const char *word = at < end && *at == '$' ? read_number(at + 1, end, &n) : NULL;

        if (!word)
            return refuse_word(parser, data, len);
        const size_t room = parser->limits.max_bytes - (size_t)(word - data);
        if (n < 0 || (uint64_t)n + others > room)
            return broken(parser, invalid_bulk);
        if (n + 2 > end - word)
            return more(parser, (size_t)(word - data) + (size_t)n + 2);
        if (word[n] != '\r' || word[n + 1] != '\n')
            return broken(parser, invalid_bulk);
        if (i == parser->args_capacity && !grow_args(parser))
            return no_memory(parser);
        parser->offsets[i] = (size_t)(word - data);
        parser->args[i].len = (size_t)n;
        at = word + n + 2;
        parser->n_read = i + 1;
        parser->position = (size_t)(at - data);
        parser->scanned = 0;
    }
    return words_are_ready(parser, data, (size_t)(at - data));
}

/* ---- A line of words -------------------------------------------------------------- */

/* All words are written anew: without their quotes they are not longer than the line. */
static int split_line(stem_resp_parser *parser, stem_slice line, size_t used)
{
    const char *at = line.data;
    const char *end = line.data + line.len;
    size_t n = 0;
    char *out;

    parser->unquoted.len = 0;
    parser->unquoted.failed = false;
    out = stem_buffer_room(&parser->unquoted, line.len);
    if (!out)
        return no_memory(parser);
    for (;;) {
        at = stem_line_skip_blanks(at, end);
        if (at == end)
            return ready(parser, n, used);
        if (n == parser->limits.max_args)
            return broken(parser, "Protocol error: too big inline request");
        if (n == parser->args_capacity && !grow_args(parser))
            return no_memory(parser);
        parser->args[n].data = out;
        at = stem_line_read_word(at, end, &out);
        if (!at)
            return broken(parser, "Protocol error: unbalanced quotes in request");
        parser->args[n].len = (size_t)(out - parser->args[n].data);
        n++;
    }
}

static int read_line(stem_resp_parser *parser, const char *data, size_t len)
{
    const bool is_full = len >= parser->limits.max_bytes;
    const size_t there =
        smaller(smaller(len, parser->limits.max_bytes), LONGEST_LINE + 1);
    const char *lf = memchr(data + parser->scanned, '\n', there - parser->scanned);
    stem_slice line = {data, 0};

    if (!lf) {
        if (is_full || there > LONGEST_LINE)
            return broken(parser, "Protocol error: too big inline request");
        parser->scanned = there;
        return more(parser, len + 1);
    }
    line.len = (size_t)(lf - data);
    if (line.len > 0 && lf[-1] == '\r')
        line.len--;
    if (stem_line_is_http(line))
        return broken(parser, NULL);
    return split_line(parser, line, (size_t)(lf - data) + 1);
}

/* ----------------------------------------------------------------------------------- */

int stem_resp_parse(stem_resp_parser *parser, const char *data, size_t len)
{
    if (len == 0)
        return more(parser, 1);
    if (parser->n_read == 0 && parser->unquoted.capacity > KEPT_BYTES)
        free_unquoted(parser);
    if (data[0] != '*')
        return read_line(parser, data, len);
    parser->unquoted.len = 0;
    if (parser->n_expected == 0) {
        int state = read_count(parser, data, len);

        if (state != STEM_RESP_READY || parser->n_expected == 0)
            return state;
    }
    return read_words(parser, data, len);
}
