/*
 * Requests out of bytes: as Redis reads them, in whatever pieces they come, and within
 * the limits. What is handed to the parser ends where its memory ends, for a sanitizer to
 * see.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "failing_malloc.h"
#include "net/resp.h"
#include "random.h"
#include "support.h"

static const stem_resp_limits roomy = {1024 * 1024, 512 * 1024 * 1024};

static stem_resp_parser parser;
static char *lent;

static void begin(void)
{
    stem_resp_parser_init(&parser, &roomy);
}

static void end(void)
{
    stem_resp_parser_free(&parser);
    free(lent);
    lent = NULL;
}

static void begin_with(size_t max_args, size_t max_bytes)
{
    const stem_resp_limits limits = {max_args, max_bytes};

    end();
    stem_resp_parser_init(&parser, &limits);
}

/* Parses bytes in memory of just that size, which is new at each call. */
static int parse(const void *data, size_t len)
{
    char *bytes = malloc(len);

    if (len > 0)
        memcpy(bytes, data, len);
    free(lent);
    lent = bytes;
    return stem_resp_parse(&parser, bytes, len);
}

static int parse_text(const char *text)
{
    return parse(text, strlen(text));
}

/* The words of the request, each in brackets. */
static const char *words(void)
{
    static char text[1024];
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < parser.n_args; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "[%.*s]",
                                (int)parser.args[i].len, parser.args[i].data);
    return text;
}

static void assert_request(const char *text, const char *expected)
{
    ck_assert_int_eq(parse_text(text), STEM_RESP_READY);
    ck_assert_str_eq(words(), expected);
    ck_assert_uint_eq(parser.used, strlen(text));
}

static void assert_broken(const void *data, size_t len, const char *problem)
{
    ck_assert_int_eq(parse(data, len), STEM_RESP_BROKEN);
    ck_assert_pstr_eq(parser.problem, problem);
}

/* ---- Arrays of bulk strings ------------------------------------------------------- */

START_TEST(an_array_of_bulk_strings_is_a_request)
{
    assert_request("*1\r\n$4\r\nPING\r\n", "[PING]");
    assert_request("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$11\r\nhello world\r\n",
                   "[SET][k][hello world]");
    assert_request("*2\r\n$0\r\n\r\n$0\r\n\r\n", "[][]");
}
END_TEST

START_TEST(a_bulk_string_may_hold_any_byte)
{
    char bytes[300] = "*1\r\n$256\r\n";
    size_t head = strlen(bytes);

    for (size_t i = 0; i < 256; i++)
        bytes[head + i] = (char)i;
    memcpy(bytes + head + 256, "\r\n", 2);
    ck_assert_int_eq(parse(bytes, head + 258), STEM_RESP_READY);
    ck_assert_uint_eq(parser.n_args, 1);
    ck_assert_uint_eq(parser.args[0].len, 256);
    ck_assert_mem_eq(parser.args[0].data, bytes + head, 256);
    assert_request("*1\r\n$4\r\n\r\n\r\n\r\n", "[\r\n\r\n]");
}
END_TEST

START_TEST(an_array_of_no_words_is_a_request_of_none)
{
    assert_request("*0\r\n", "");
    assert_request("*-1\r\n", "");
    assert_request("*-9223372036854775808\r\n", "");
}
END_TEST

START_TEST(requests_follow_one_another)
{
    const char *text =
        "*1\r\n$4\r\nPING\r\nECHO a\r\n*0\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    const char *const expected[] = {"[PING]", "[ECHO][a]", "", "[GET][k]"};

    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(parse_text(text), STEM_RESP_READY);
        ck_assert_str_eq(words(), expected[i]);
        text += parser.used;
    }
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(a_request_may_come_byte_by_byte_and_move)
{
    static const char text[] = "*3\r\n$3\r\nSET\r\n$12\r\nkey with \r\n-\r\n$0\r\n\r\n";

    for (size_t len = 0; len < sizeof text - 1; len++)
        ck_assert_int_eq(parse(text, len), STEM_RESP_MORE);
    ck_assert_int_eq(parse(text, sizeof text - 1), STEM_RESP_READY);
    ck_assert_str_eq(words(), "[SET][key with \r\n-][]");
}
END_TEST

START_TEST(a_large_word_says_how_much_is_wanted)
{
    static const char head[] = "*2\r\n$3\r\nSET\r\n$100000000\r\n";

    ck_assert_int_eq(parse_text(head), STEM_RESP_MORE);
    ck_assert_uint_eq(parser.wanted, strlen(head) + 100000000 + 2);
}
END_TEST

START_TEST(more_is_wanted_byte_by_byte_where_the_next_may_be_wrong)
{
    ck_assert_int_eq(parse("", 0), STEM_RESP_MORE);
    ck_assert_uint_eq(parser.wanted, 1);
    ck_assert_int_eq(parse_text("*"), STEM_RESP_MORE);
    ck_assert_uint_eq(parser.wanted, 2);
    ck_assert_int_eq(parse_text("*2\r\n$3\r\nSET\r\n"), STEM_RESP_MORE);
    ck_assert_uint_eq(parser.wanted, 14);
    ck_assert_int_eq(parse_text("*2\r\n$3\r\nSET\r\n$1"), STEM_RESP_MORE);
    ck_assert_uint_eq(parser.wanted, 16);
}
END_TEST

/* ---- A line of words -------------------------------------------------------------- */

static const struct {
    const char *line, *words;
} lines[] = {
    {"\r\n", ""},
    {"\n", ""},
    {"   \r\n", ""},
    {"PING\r\n", "[PING]"},
    {"PING\n", "[PING]"},
    {"  SET \t k  v \r\n", "[SET][k][v]"},
    {"a\rb\r\n", "[a][b]"},
    {"a\vb\v c\n", "[a\vb\v][c]"},
    {"SET k \"a b\"\n", "[SET][k][a b]"},
    {"SET k 'a b'\n", "[SET][k][a b]"},
    {"\"\" ''\n", "[][]"},
    {"\"\\x41\\x0a\\xfF\"\n", "[A\n\xFF]"},
    {"\"\\n\\r\\t\\b\\a\"\n", "[\n\r\t\b\a]"},
    {"\"\\\"\\\\\\q\"\n", "[\"\\q]"},
    {"\"\\x4g\\x\"\n", "[x4gx]"},
    {"'it\\'s \\n \"x\"'\n", "[it's \\n \"x\"]"},
    {"a\\n b\\x41\n", "[a\\n][b\\x41]"},
    {"foo\"bar\" x'y'\n", "[foobar][xy]"},
    {"\"a\"\v'b'\n", "[a][b]"},
    {"+OK\n", "[+OK]"},
    {"$5\r\n", "[$5]"},
    /* Not HTTP, whatever it looks like. */
    {"SET k HTTP/1.1\n", "[SET][k][HTTP/1.1]"},
    {"GET POST\n", "[GET][POST]"},
    {"GET HTTP\n", "[GET][HTTP]"},
    {"GETS / HTTP/1.1\n", "[GETS][/][HTTP/1.1]"},
    {"POSTS a\n", "[POSTS][a]"},
    {"Host x\n", "[Host][x]"},
};

START_TEST(a_line_is_a_request_of_its_words)
{
    assert_request(lines[_i].line, lines[_i].words);
}
END_TEST

START_TEST(a_line_may_come_byte_by_byte)
{
    static const char line[] = "SET 'a key' \"\\x41 b\"\r\n";

    for (size_t len = 0; len < sizeof line - 1; len++)
        ck_assert_int_eq(parse(line, len), STEM_RESP_MORE);
    assert_request(line, "[SET][a key][A b]");
}
END_TEST

START_TEST(a_nul_in_a_line_is_a_byte_as_any_other)
{
    ck_assert_int_eq(parse("a\0b \0\n", 6), STEM_RESP_READY);
    ck_assert_uint_eq(parser.n_args, 2);
    ck_assert_uint_eq(parser.args[0].len, 3);
    ck_assert_mem_eq(parser.args[0].data, "a\0b", 3);
    ck_assert_uint_eq(parser.args[1].len, 1);
}
END_TEST

/* ---- What is no request ----------------------------------------------------------- */

static const struct {
    const char *bytes, *problem;
} refusals[] = {
    {"*x\r\n", "Protocol error: invalid multibulk length"},
    {"*\r\n", "Protocol error: invalid multibulk length"},
    {"*-\r\n", "Protocol error: invalid multibulk length"},
    {"*-0\r\n", "Protocol error: invalid multibulk length"},
    {"*01\r\n", "Protocol error: invalid multibulk length"},
    {"*+1\r\n", "Protocol error: invalid multibulk length"},
    {"* 1\r\n", "Protocol error: invalid multibulk length"},
    {"*1 \r\n", "Protocol error: invalid multibulk length"},
    {"*1\rx", "Protocol error: invalid multibulk length"},
    {"*1\nx\r\n", "Protocol error: invalid multibulk length"},
    {"*3000000000\r\n", "Protocol error: invalid multibulk length"},
    {"*9223372036854775808\r\n", "Protocol error: invalid multibulk length"},
    {"*18446744073709551617\r\n", "Protocol error: invalid multibulk length"},
    {"*-9223372036854775809\r\n", "Protocol error: invalid multibulk length"},
    {"*1\r\nfoo\r\n", "Protocol error: expected '$', got 'f'"},
    {"*1\r\n*1\r\n", "Protocol error: expected '$', got '*'"},
    {"*1\r\n ", "Protocol error: expected '$', got ' '"},
    {"*1\r\n\\", "Protocol error: expected '$', got '\\'"},
    {"*1\r\n~", "Protocol error: expected '$', got '~'"},
    {"*1\r\n\r\n", "Protocol error: expected '$'"},
    {"*1\r\n\x7F", "Protocol error: expected '$'"},
    {"*1\r\n\xC3\xA9", "Protocol error: expected '$'"},
    {"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "Protocol error: expected '$', got 'f'"},
    {"*1\r\n$-1\r\n", "Protocol error: invalid bulk length"},
    {"*1\r\n$-10\r\n", "Protocol error: invalid bulk length"},
    {"*1\r\n$blabla\r\n", "Protocol error: invalid bulk length"},
    {"*1\r\n$\r\n", "Protocol error: invalid bulk length"},
    {"*1\r\n$00\r\n", "Protocol error: invalid bulk length"},
    {"*1\r\n$2000000000\r\n", "Protocol error: invalid bulk length"},
    {"*1\r\n$9223372036854775807\r\n", "Protocol error: invalid bulk length"},
    {"*1\r\n$3\r\nabcde", "Protocol error: invalid bulk length"},
    {"*1\r\n$3\r\nabc\rx", "Protocol error: invalid bulk length"},
    {"SET \"k\n", "Protocol error: unbalanced quotes in request"},
    {"SET 'k\n", "Protocol error: unbalanced quotes in request"},
    {"SET \"k\\\"\n", "Protocol error: unbalanced quotes in request"},
    {"SET \"k\\\n", "Protocol error: unbalanced quotes in request"},
    {"SET \"\"\"k\"\"\" v\n", "Protocol error: unbalanced quotes in request"},
    {"SET 'k'x\n", "Protocol error: unbalanced quotes in request"},
    /* HTTP gets no answer. */
    {"POST / HTTP/1.1\r\n", NULL},
    {"post x\r\n", NULL},
    {" POST\n", NULL},
    {"GET / HTTP/1.1\r\n", NULL},
    {"get / http/1.0\n", NULL},
    {"GET /it's HTTP/1.1\r\n", NULL},
    {"DELETE /k HTTP/1.1\r\n", NULL},
    {"OPTIONS * HTTP/1.1 \r\n", NULL},
    {"PRI * HTTP/2.0\r\n", NULL},
    {"Host: localhost\r\n", NULL},
    {"host:localhost\r\n", NULL},
};

START_TEST(what_is_no_request_is_refused_with_its_reason)
{
    assert_broken(refusals[_i].bytes, strlen(refusals[_i].bytes), refusals[_i].problem);
}
END_TEST

START_TEST(what_is_no_request_is_refused_alike_byte_by_byte)
{
    const char *bytes = refusals[_i].bytes;
    int state = STEM_RESP_MORE;

    for (size_t len = 1; state == STEM_RESP_MORE && len <= strlen(bytes); len++)
        state = parse(bytes, len);
    ck_assert_int_eq(state, STEM_RESP_BROKEN);
    ck_assert_pstr_eq(parser.problem, refusals[_i].problem);
}
END_TEST

/* ---- Limits ----------------------------------------------------------------------- */

enum { LINE = 64 * 1024 };

/* Whether so many bytes of a kind, behind a start, are waited for or refused. */
static void assert_long_line(const char *start, char byte, const char *problem)
{
    size_t at = strlen(start);
    size_t line =
        at > 0 ? at - 1 : 0; /* where the line begins that the last byte is in */
    char *bytes = malloc(at + LINE + 3);

    memcpy(bytes, start, at);
    memset(bytes + at, byte, LINE + 2);
    ck_assert_int_eq(parse(bytes, line + LINE), STEM_RESP_MORE);
    assert_broken(bytes, line + LINE + 1, problem);
    end();
    begin();
    assert_broken(bytes, line + LINE + 1, problem);
    memcpy(bytes + line + LINE + 1, "\r\n", 2);
    end();
    begin();
    assert_broken(bytes, line + LINE + 3, problem);
    free(bytes);
}

START_TEST(a_line_has_at_most_64_kib)
{
    assert_long_line("", 'a', "Protocol error: too big inline request");
    assert_long_line("*", '1', "Protocol error: too big mbulk count string");
    assert_long_line("*1\r\n$", '1', "Protocol error: too big bulk count string");
}
END_TEST

START_TEST(a_line_of_64_kib_is_read)
{
    char *bytes = malloc(LINE + 1);

    memset(bytes, 'a', LINE);
    bytes[LINE] = '\n';
    ck_assert_int_eq(parse(bytes, LINE), STEM_RESP_MORE);
    ck_assert_int_eq(parse(bytes, LINE + 1), STEM_RESP_READY);
    ck_assert_uint_eq(parser.n_args, 1);
    ck_assert_uint_eq(parser.args[0].len, LINE);
    free(bytes);
}
END_TEST

START_TEST(a_request_has_no_more_words_than_allowed)
{
    begin_with(3, 1000);
    ck_assert_int_eq(parse_text("*3\r\n"), STEM_RESP_MORE);
    begin_with(3, 1000);
    assert_broken("*4\r\n", 4, "Protocol error: invalid multibulk length");
    begin_with(3, 1000);
    assert_request("a b c\n", "[a][b][c]");
    assert_broken("a b c d\n", 8, "Protocol error: too big inline request");
}
END_TEST

START_TEST(a_request_of_just_the_bytes_allowed_is_read)
{
    static const char text[] = "*2\r\n$3\r\nabc\r\n$2\r\nde\r\n";

    begin_with(10, sizeof text - 1);
    assert_request(text, "[abc][de]");
    begin_with(10, 5);
    assert_request("a bc\n", "[a][bc]");
}
END_TEST

/* As soon as a header has claimed them: with the least that the other words take. */
START_TEST(bytes_over_the_limit_are_not_waited_for)
{
    static const char text[] = "*2\r\n$3\r\nabc\r\n$2\r\nde\r\n";

    begin_with(10, sizeof text - 2);
    assert_broken(text, 17, "Protocol error: invalid bulk length");
    begin_with(10, sizeof text - 4);
    assert_broken(text, 8, "Protocol error: invalid bulk length");
    begin_with(10, 15);
    assert_broken(text, 4, "Protocol error: invalid multibulk length");
    begin_with(10, 8);
    assert_broken("*111111111", 8, "Protocol error: too big mbulk count string");
    begin_with(10, 10);
    assert_broken("*1\r\n$11111", 10, "Protocol error: too big bulk count string");
    begin_with(10, 4);
    assert_broken("abcd\n", 4, "Protocol error: too big inline request");
    begin_with(10, 4);
    assert_broken("abcd\n", 5, "Protocol error: too big inline request");
}
END_TEST

START_TEST(claims_beyond_every_limit_do_not_overflow)
{
    begin_with(SIZE_MAX, SIZE_MAX);
    assert_broken("*9223372036854775807\r\n", 22,
                  "Protocol error: invalid multibulk length");
    begin_with(SIZE_MAX, SIZE_MAX);
    assert_broken("*2\r\n$9223372036854775807\r\n", 26,
                  "Protocol error: invalid bulk length");
}
END_TEST

/* ---- Memory ----------------------------------------------------------------------- */

START_TEST(what_is_claimed_takes_no_memory)
{
    ck_assert_int_eq(parse_text("*1000000\r\n$1\r\na\r\n$100000000\r\n"), STEM_RESP_MORE);
    ck_assert_uint_le(parser.args_capacity, 16);
    ck_assert_ptr_null(parser.unquoted.data);
}
END_TEST

START_TEST(memory_of_a_large_request_is_given_back)
{
    enum { N = 100000 };
    char *bytes = malloc(20 + N * 6);
    size_t len = (size_t)sprintf(bytes, "*%d\r\n", N);

    for (size_t i = 0; i < N; i++, len += 6)
        memcpy(bytes + len, "$0\r\n\r\n", 6);
    ck_assert_int_eq(parse(bytes, len / 2), STEM_RESP_MORE);
    ck_assert_int_eq(parse(bytes, len), STEM_RESP_READY);
    ck_assert_uint_eq(parser.n_args, N);
    stem_resp_parser_trim(&parser);
    ck_assert_uint_le(parser.args_capacity, 1024);
    assert_request("*1\r\n$4\r\nPING\r\n", "[PING]");
    memset(bytes, 'a', LINE);
    bytes[LINE] = '\n';
    ck_assert_int_eq(parse(bytes, LINE + 1), STEM_RESP_READY);
    assert_request("*1\r\n$4\r\nPING\r\n", "[PING]");
    ck_assert_uint_le(parser.unquoted.capacity, 4096);
    free(bytes);
}
END_TEST

/* Each allocation fails once; afterwards the same bytes are read. */
static void assert_told(const char *text, const char *expected, unsigned long n)
{
    char *bytes = strdup(text);
    int state;

    for (unsigned long granted = 0; granted < n; granted++) {
        begin_with(100, 1000);
        mallocs_granted = granted;
        out_of_memory(state = stem_resp_parse(&parser, bytes, strlen(bytes)));
        ck_assert_int_eq(state, STEM_ENOMEM);
        ck_assert_int_eq(stem_errcode(), STEM_ENOMEM);
        ck_assert_int_eq(stem_resp_parse(&parser, bytes, strlen(bytes)), STEM_RESP_READY);
        ck_assert_str_eq(words(), expected);
    }
    free(bytes);
}

START_TEST(no_memory_is_told_and_may_be_overcome)
{
    const char *ten = "*10\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n"
                      "$1\r\n5\r\n$1\r\n6\r\n$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n";

    assert_told(ten, "[0][1][2][3][4][5][6][7][8][9]", 4);
    assert_told("0 1 '2' 3 4 5 6 7 8 9\n", "[0][1][2][3][4][5][6][7][8][9]", 5);
}
END_TEST

/* ---- Pieces ----------------------------------------------------------------------- */

/* Requests and what is nearly one, of pieces that fit one another now and then. */
static size_t random_requests(char *out, size_t size)
{
    static const char *const pieces[] = {"*1\r\n",
                                         "*2\r\n",
                                         "*3\r\n",
                                         "*0\r\n",
                                         "$0\r\n\r\n",
                                         "$1\r\na\r\n",
                                         "\r\n",
                                         "$3\r\nabc\r\n",
                                         "$2\r\n\r\n\r\n",
                                         "PING\n",
                                         "a 'b' \"c\\x20\"\r\n",
                                         "$9\r\n",
                                         "$1\r\n",
                                         "x",
                                         "*",
                                         "\"",
                                         "7",
                                         "POST"};
    size_t len = 0;

    for (uint32_t n = random_below(12); n > 0; n--) {
        bool is_good = random_below(20) > 0;
        const char *piece = pieces[random_below(is_good ? 9 : 18)];

        if (len + strlen(piece) > size)
            break;
        memcpy(out + len, piece, strlen(piece));
        len += strlen(piece);
    }
    return len;
}

/* What was read of some bytes, as text. */
static size_t read_in_pieces(const char *bytes, size_t len, uint32_t most, char *story,
                             size_t size)
{
    size_t at = 0, there = 0, told = 0;
    int state = STEM_RESP_READY;

    end();
    begin();
    while (there < len && state != STEM_RESP_BROKEN) {
        there += 1 + random_below(most);
        there = there < len ? there : len;
        while (at < there && (state = parse(bytes + at, there - at)) == STEM_RESP_READY) {
            told += (size_t)snprintf(story + told, size - told, "%zu %s\n", parser.used,
                                     words());
            at += parser.used;
        }
    }
    if (state == STEM_RESP_BROKEN)
        told += (size_t)snprintf(story + told, size - told, "%s\n",
                                 parser.problem ? parser.problem : "HTTP");
    return told;
}

START_TEST(what_is_read_does_not_depend_on_the_pieces)
{
    char bytes[200], whole[4096], pieces[4096];

    for (int i = 0; i < 100000; i++) {
        size_t len = random_requests(bytes, sizeof bytes);

        read_in_pieces(bytes, len, 1 << 30, memset(whole, 0, 1), sizeof whole);
        read_in_pieces(bytes, len, 1 + random_below(9), memset(pieces, 0, 1),
                       sizeof pieces);
        ck_assert_str_eq(pieces, whole);
    }
}
END_TEST

int main(void)
{
    enum { N_REFUSALS = sizeof refusals / sizeof *refusals };
    Suite *suite = suite_create("resp");
    TCase *tcase = add_case(suite, "arrays", 20);

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, an_array_of_bulk_strings_is_a_request);
    tcase_add_test(tcase, a_bulk_string_may_hold_any_byte);
    tcase_add_test(tcase, an_array_of_no_words_is_a_request_of_none);
    tcase_add_test(tcase, requests_follow_one_another);
    tcase_add_test(tcase, a_request_may_come_byte_by_byte_and_move);
    tcase_add_test(tcase, a_large_word_says_how_much_is_wanted);
    tcase_add_test(tcase, more_is_wanted_byte_by_byte_where_the_next_may_be_wrong);
    tcase = add_case(suite, "lines", 20);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, a_line_is_a_request_of_its_words, 0,
                        sizeof lines / sizeof *lines);
    tcase_add_test(tcase, a_line_may_come_byte_by_byte);
    tcase_add_test(tcase, a_nul_in_a_line_is_a_byte_as_any_other);
    tcase = add_case(suite, "refusals", 20);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, what_is_no_request_is_refused_with_its_reason, 0,
                        N_REFUSALS);
    tcase_add_loop_test(tcase, what_is_no_request_is_refused_alike_byte_by_byte, 0,
                        N_REFUSALS);
    tcase = add_case(suite, "limits", 20);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_line_has_at_most_64_kib);
    tcase_add_test(tcase, a_line_of_64_kib_is_read);
    tcase_add_test(tcase, a_request_has_no_more_words_than_allowed);
    tcase_add_test(tcase, a_request_of_just_the_bytes_allowed_is_read);
    tcase_add_test(tcase, bytes_over_the_limit_are_not_waited_for);
    tcase_add_test(tcase, claims_beyond_every_limit_do_not_overflow);
    tcase = add_case(suite, "memory", 20);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, what_is_claimed_takes_no_memory);
    tcase_add_test(tcase, memory_of_a_large_request_is_given_back);
    tcase_add_test(tcase, no_memory_is_told_and_may_be_overcome);
    tcase = add_case(suite, "pieces", 120);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, what_is_read_does_not_depend_on_the_pieces);
    return run_suite(suite);
}
