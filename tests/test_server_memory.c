/*
 * Answers that wait have a limit for the whole server: what would go over it is refused in its
 * place, clients that receive are served whatever others leave lying, and those that do not are
 * closed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "failing_malloc.h"
#include "raw_client.h"
#include "served.h"
#include "stream.h"

enum { MIB = 1 << 20, TOTAL = 8 * MIB, KEPT = 64 << 10, CLIENTS = 10 };

static stem_db *db;
static stem_server *server;
static char *value; /* of "large", a MiB */
static stream clients[CLIENTS];

static void open_served(void)
{
    assert_ok(stem_open(&db, "mem:", NULL));
    server = serve(db, STEM_SERVER_OPTIONS(.max_output_bytes = 4 * MIB,
                                           .max_total_output_bytes = TOTAL));
    value = malloc(MIB);
    memset(value, 'v', MIB);
    assert_ok(stem_put_value(db, "large", stem_bin(value, MIB)));
    for (int i = 0; i < CLIENTS; i++)
        ck_assert(stream_open(&clients[i], served_at(), false));
}

static void close_served(void)
{
    for (int i = 0; i < CLIENTS; i++)
        stream_close(&clients[i]);
    assert_ok(stem_server_close(server));
    assert_ok(stem_close(db));
    free(value);
}

/* A figure of INFO's, which is answered whatever others leave lying. */
static size_t figure(const char *name)
{
    raw_client client;
    char text[8192], line[64];

    raw_open(&client, served_at());
    const stem_slice info = raw_ask(&client, "INFO");
    snprintf(text, sizeof text, "%.*s", (int)info.len, info.data);
    snprintf(line, sizeof line, "\n%s:", name);
    const char *at = strstr(text, line);
    ck_assert_msg(at, "no %s in %s", name, text);
    raw_close(&client);
    return strtoul(at + strlen(line), NULL, 10);
}

static void sleep_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

static void send_to_all(const char *requests)
{
    for (int i = 0; i < CLIENTS; i++)
        ck_assert_uint_eq(stream_send(&clients[i], requests, strlen(requests)),
                          strlen(requests));
}

/* ---- What one client is answered --------------------------------------------------- */

typedef struct answers {
    size_t whole, refused;
    bool is_right; /* nothing else came, or a part at a connection's end */
} answers;

static const char busy[] = "-BUSY too many bytes of answers wait, try again\r\n";

/* Reads the same answer, or the error, again and again. */
static answers count_answers(const stem_buffer *received, const stem_buffer *answer)
{
    answers seen = {.is_right = true};
    size_t at = 0;

    while (seen.is_right && at < received->len) {
        const size_t left = received->len - at;

        if (left >= answer->len &&
            memcmp(received->data + at, answer->data, answer->len) == 0) {
            seen.whole++;
            at += answer->len;
        } else if (left >= strlen(busy) &&
                   memcmp(received->data + at, busy, strlen(busy)) == 0) {
            seen.refused++;
            at += strlen(busy);
        } else {
            seen.is_right = false;
        }
    }
    return seen;
}

/* Receives until `n` answers have come, each the same or the error. */
static answers receive_answers(stream *from, size_t n, const stem_buffer *answer)
{
    stem_buffer received = {0};
    answers seen = {.is_right = true};

    for (int quiet = 0;
         quiet < 100 && !from->has_ended && seen.whole + seen.refused < n;) {
        char *room = stem_buffer_room(&received, MIB);

        stream_wait(from, true, false, 100);
        const size_t got = stream_receive(from, room, MIB);
        received.len -= MIB - got;
        quiet = got > 0 ? 0 : quiet + 1;
        seen = count_answers(&received, answer);
    }
    free(received.data);
    return seen;
}

static void add_answer(stem_buffer *to, int n)
{
    char head[32];

    snprintf(head, sizeof head, "*%d\r\n", n);
    stem_buffer_add_text(to, head);
    for (int i = 0; i < n; i++) {
        snprintf(head, sizeof head, "$%d\r\n", (int)MIB);
        stem_buffer_add_text(to, head);
        stem_buffer_add(to, value, MIB);
        stem_buffer_add_text(to, "\r\n");
    }
}

/* ----------------------------------------------------------------------------------- */

START_TEST(answers_of_all_clients_together_are_bounded_and_each_request_gets_one)
{
    stem_buffer answer = {0};
    size_t whole = 0, refused = 0;

    add_answer(&answer, 3);
    send_to_all("MGET large large large\r\n");
    sleep_ms(300);
    /* Requests that take long are answered beside each other, and may each go over it. */
    ck_assert_uint_le(figure("output_bytes"), 3 * TOTAL);
    ck_assert_uint_ge(figure("output_bytes"), TOTAL / 2);
    for (int i = 0; i < CLIENTS; i++) {
        const answers seen = receive_answers(&clients[i], 1, &answer);

        ck_assert(seen.is_right);
        ck_assert_uint_eq(seen.whole + seen.refused, 1);
        whole += seen.whole;
        refused += seen.refused;
    }
    ck_assert_uint_ge(whole, 2);
    ck_assert_uint_ge(refused, 1);
    ck_assert_uint_lt(figure("output_bytes"), MIB);
    free(answer.data);
}
END_TEST

START_TEST(clients_that_receive_nothing_are_closed_where_memory_is_short)
{
    enum { SLOW_MS = 5000, TICKS_MS = 1500 };
    raw_client other;

    send_to_all("MGET large large large\r\n");
    sleep_ms(300);
    raw_open(&other, served_at());
    const stem_slice reply = raw_ask(&other, "PING"); /* meanwhile */
    ck_assert_uint_eq(reply.len, strlen("+PONG\r\n"));
    sleep_ms(SLOW_MS + TICKS_MS);
    ck_assert_uint_ge(figure("evicted_clients"), 1);
    ck_assert_uint_le(figure("output_bytes"), TOTAL / 4 * 3);
    raw_close(&other);
}
END_TEST

START_TEST(pipelines_that_are_received_are_answered_though_memory_is_short)
{
    enum { DEPTH = 12 };
    char requests[DEPTH * 32] = "";
    stem_buffer answer = {0};

    add_answer(&answer, 1);
    for (int i = 0; i < DEPTH; i++)
        strcat(requests, "MGET large\r\n");
    send_to_all(requests);
    for (int i = 0; i < CLIENTS; i++) {
        const answers seen = receive_answers(&clients[i], DEPTH, &answer);

        ck_assert(seen.is_right);
        ck_assert_uint_eq(seen.whole + seen.refused, DEPTH);
    }
    free(answer.data);
}
END_TEST

/* One that takes only a little of what waits holds memory no longer than one that takes nothing. */
START_TEST(clients_that_receive_a_few_bytes_are_closed_where_memory_is_short)
{
    char bytes[16];

    send_to_all("MGET large large large\r\n");
    for (int i = 0; i < 70; i++) {
        sleep_ms(100);
        for (int k = 0; k < CLIENTS; k++)
            stream_receive(&clients[k], bytes, sizeof bytes);
    }
    ck_assert_uint_ge(figure("evicted_clients"), 1);
    ck_assert_uint_le(figure("output_bytes"), TOTAL / 4 * 3);
}
END_TEST

START_TEST(memory_of_answers_is_given_back_as_they_are_received)
{
    stem_buffer requests = {0}, due = {0};
    stream with;

    for (int i = 0; i < 200; i++) {
        stem_buffer_add_text(&requests, "MGET large\r\nPING\r\n");
        add_answer(&due, 1);
        stem_buffer_add_text(&due, "+PONG\r\n");
    }
    ck_assert(stream_open(&with, served_at(), false));
    const char *problem = stream_exchange(&with, &requests, &due, PACE_SLOW);
    ck_assert_msg(!problem, "%s", problem);
    ck_assert_uint_le(figure("output_bytes"), 2 * KEPT);
    stream_close(&with);
    free(requests.data);
    free(due.data);
}
END_TEST

/* ---- No memory at all --------------------------------------------------------------- */

static const char *const requests[] = {
    "MGET large\r\n", "PING\r\n",    "SET a x GET\r\n", "MULTI\r\n",
    "MGET large\r\n", "SET a x\r\n", "EXEC\r\n",        "STEM.SYNC\r\n",
    "KEYS *\r\n",     "GET a\r\n",   "ECHO end\r\n"};
enum { N_REQUESTS = sizeof requests / sizeof *requests };

static void add_due(stem_buffer due[N_REQUESTS])
{
    static const char *const texts[N_REQUESTS] = {"",
                                                  "+PONG\r\n",
                                                  "$1\r\nx\r\n",
                                                  "+OK\r\n",
                                                  "+QUEUED\r\n",
                                                  "+QUEUED\r\n",
                                                  "*2\r\n",
                                                  "+OK\r\n",
                                                  "*2\r\n$1\r\na\r\n$5\r\nlarge\r\n",
                                                  "$1\r\nx\r\n",
                                                  "$3\r\nend\r\n"};

    for (int i = 0; i < N_REQUESTS; i++)
        stem_buffer_add_text(&due[i], texts[i]);
    add_answer(&due[0], 1);
    add_answer(&due[6], 1);
    stem_buffer_add_text(&due[6], "+OK\r\n");
}

/* What is received from the first answer on that is neither what is due nor an error of its own;
 * a part of one is allowed where the connection has ended. NULL when there is none. */
static const char *first_wrong(const char *at, const char *end, const stem_buffer *due)
{
    for (int i = 0; i < N_REQUESTS && at < end; i++) {
        const size_t left = (size_t)(end - at);
        const size_t least = left < due[i].len ? left : due[i].len;
        const char *line = memchr(at, '\n', left);

        if (memcmp(at, due[i].data, least) == 0)
            at += least;
        else if (*at == '-' && line)
            at = line + 1;
        else
            return at;
    }
    return at == end ? NULL : at;
}

/* One allocation of the process fails, the n-th from when the requests are sent. */
static void exchange_without_memory(unsigned long granted, const stem_buffer *all,
                                    const stem_buffer *due)
{
    enum { MOST = 3 * MIB };
    static char received[MOST];
    size_t len = 0;
    stream with;

    ck_assert(stream_open(&with, served_at(), false));
    mallocs_granted = granted;
    malloc_recovers = true;
    malloc_fails = true;
    stream_send(&with, all->data, all->len);
    for (int quiet = 0; quiet < 50 && !with.has_ended;) {
        stream_wait(&with, true, false, 100);
        const size_t n = stream_receive(&with, received + len, MOST - len);
        len += n;
        quiet = n > 0 ? 0 : quiet + 1;
        if (len >= 9 && memcmp(received + len - 9, "$3\r\nend\r\n", 9) == 0)
            break;
        if (len > 0 && received[len - 1] == '\n' && quiet > 3)
            break; /* the last of them was an error */
    }
    malloc_fails = false;
    const char *wrong = first_wrong(received, received + len, due);
    ck_assert_msg(!wrong, "after %lu: %.*s", granted,
                  (int)(wrong ? received + len - wrong : 0) % 200, wrong ? wrong : "");
    stream_close(&with);
}

START_TEST(without_memory_a_request_gets_its_answer_or_an_error_or_the_connection_ends)
{
    stem_buffer all = {0}, due[N_REQUESTS] = {{0}};

    assert_ok(stem_put(db, "a", "x"));
    for (int i = 0; i < N_REQUESTS; i++)
        stem_buffer_add_text(&all, requests[i]);
    add_due(due);
    for (unsigned long granted = 0; granted < 60; granted++)
        exchange_without_memory(granted, &all, due);
    for (int i = 0; i < N_REQUESTS; i++)
        free(due[i].data);
    free(all.data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server memory");
    TCase *tests = add_case(suite, "answers", 60);

    tcase_add_checked_fixture(tests, open_served, close_served);
    tcase_add_test(tests,
                   answers_of_all_clients_together_are_bounded_and_each_request_gets_one);
    tcase_add_test(tests, clients_that_receive_nothing_are_closed_where_memory_is_short);
    tcase_add_test(tests,
                   clients_that_receive_a_few_bytes_are_closed_where_memory_is_short);
    tcase_add_test(tests,
                   pipelines_that_are_received_are_answered_though_memory_is_short);
    tcase_add_test(tests, memory_of_answers_is_given_back_as_they_are_received);
    tcase_add_test(
        tests,
        without_memory_a_request_gets_its_answer_or_an_error_or_the_connection_ends);
    return run_suite(suite);
}
