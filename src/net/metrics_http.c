/*
 * The port for Prometheus: HTTP/1.1, of which as little as it takes. One request a connection,
 * GET or HEAD of /metrics; a few connections at a time, each for a few seconds. A connection
 * that comes when there are that many takes the place of the one that has made no progress for
 * longest: idle connections keep no scrape out.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include "../engine/descriptor.h"
#include "connection.h"
#include "metrics.h"

enum { MOST_SCRAPES = 8, MOST_MS = 10000, HEAD_SIZE = 8192 };

struct stem_scrape {
    stem_scrape *prev, *next;
    stem_server *server;
    int fd;
    uint64_t since_ms;
    struct event *readable, *writable;
    char head[HEAD_SIZE]; /* of the request; then whatever else is sent, for nothing */
    size_t len;
    stem_buffer answer;
    size_t sent;
    bool is_answered, has_ended; /* the second: of what the peer sends */
};

static void close_scrape(stem_scrape *scrape)
{
    stem_server *server = scrape->server;

    DL_DELETE(server->scrapes, scrape);
    server->n_scrapes--;
    if (scrape->readable)
        event_free(scrape->readable);
    if (scrape->writable)
        event_free(scrape->writable);
    stem_descriptor_close(scrape->fd);
    free(scrape->answer.data);
    free(scrape);
    stem_listeners_pause(server, false);
}

/* ---- The answer ------------------------------------------------------------------- */

static bool is_word(stem_slice word, const char *text)
{
    return word.len == strlen(text) && memcmp(word.data, text, word.len) == 0;
}

/* The next word of the request line, up to a blank, which the line goes on behind. */
static stem_slice take_word(stem_slice *line)
{
    const char *blank = memchr(line->data, ' ', line->len);
    const size_t len = blank ? (size_t)(blank - line->data) : line->len;
    const stem_slice word = {line->data, len};
    const size_t taken = blank ? len + 1 : len;

    *line = (stem_slice){line->data + taken, line->len - taken};
    return word;
}

/* The status, with the header that it may want, and whether a body is to follow. */
static const char *judge(stem_slice line, bool *has_body)
{
    const stem_slice method = take_word(&line);
    stem_slice target = take_word(&line);
    const char *query = memchr(target.data, '?', target.len);

    *has_body = !is_word(method, "HEAD");
    if (line.len < 7 || memcmp(line.data, "HTTP/1.", 7) != 0)
        return "400 Bad Request";
    if (query)
        target.len = (size_t)(query - target.data);
    if (!is_word(method, "GET") && !is_word(method, "HEAD"))
        return "405 Method Not Allowed\r\nAllow: GET, HEAD";
    return is_word(target, "/metrics") ? "200 OK" : "404 Not Found";
}

static void write_answer(stem_scrape *scrape)
{
    const char *end = memchr(scrape->head, '\n', scrape->len);
    const stem_slice line = {scrape->head, (size_t)(end - scrape->head)};
    stem_buffer body = {0};
    char head[256];
    bool has_body;

    const char *status = judge(line, &has_body);
    if (*status == '2')
        stem_metrics_text(scrape->server, &body);
    const int len = snprintf(head, sizeof head,
                             "HTTP/1.1 %s\r\n"
                             "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                             "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                             status, body.len);
    stem_buffer_add(&scrape->answer, head, (size_t)len);
    if (has_body)
        stem_buffer_add(&scrape->answer, body.data, body.len);
    scrape->answer.failed |= body.failed;
    free(body.data);
}

/* The last to be closed for another connection. Bytes of a request are no progress before they
 * are all there: one that sends a byte now and then is as idle as one that sends none. */
static void note_progress(stem_scrape *scrape)
{
    DL_DELETE(scrape->server->scrapes, scrape);
    DL_APPEND(scrape->server->scrapes, scrape);
}

/* Sends what the socket takes; false when the connection is of no more use. What is sent ends
 * the stream, and then the peer closes it: with bytes of its own unread, closing it here could
 * cost the answer. */
static bool send_answer(stem_scrape *scrape)
{
    const stem_buffer *answer = &scrape->answer;

    while (scrape->sent < answer->len) {
        const ssize_t n = send(scrape->fd, answer->data + scrape->sent,
                               answer->len - scrape->sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN && event_add(scrape->writable, NULL) == 0;
        scrape->sent += (size_t)n;
        note_progress(scrape);
    }
    return shutdown(scrape->fd, SHUT_WR) == 0 && !scrape->has_ended;
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    if (!send_answer(argument))
        close_scrape(argument);
}

/* ---- The request ------------------------------------------------------------------ */

/* Whether the empty line behind the headers has come. */
static bool has_whole_head(const stem_scrape *scrape)
{
    return memmem(scrape->head, scrape->len, "\n\r\n", 3) ||
           memmem(scrape->head, scrape->len, "\n\n", 2);
}

/* Answers once all has come that there must be; false when the connection is of no more use. */
static bool take_request(stem_scrape *scrape)
{
    if (scrape->is_answered)
        return true;
    if (!has_whole_head(scrape))
        return scrape->len < HEAD_SIZE;
    scrape->is_answered = true;
    write_answer(scrape);
    return !scrape->answer.failed && send_answer(scrape);
}

/* Takes what has come; false as above. */
static bool receive(stem_scrape *scrape)
{
    if (scrape->is_answered)
        scrape->len = 0;
    const ssize_t n =
        recv(scrape->fd, scrape->head + scrape->len, HEAD_SIZE - scrape->len, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0) {
        scrape->has_ended = true;
        event_del(scrape->readable);
        return scrape->sent < scrape->answer.len;
    }
    scrape->len += (size_t)n;
    return take_request(scrape);
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    if (!receive(argument))
        close_scrape(argument);
}

/* ---- From outside ----------------------------------------------------------------- */

static bool make_events(stem_scrape *scrape)
{
    struct event_base *base = scrape->server->base;

    scrape->readable =
        event_new(base, scrape->fd, EV_READ | EV_PERSIST, on_readable, scrape);
    scrape->writable = event_new(base, scrape->fd, EV_WRITE, on_writable, scrape);
    return scrape->readable && scrape->writable && event_add(scrape->readable, NULL) == 0;
}

void stem_metrics_accept(stem_server *server, int fd)
{
    stem_scrape *scrape = calloc(1, sizeof *scrape);

    if (!scrape) {
        stem_descriptor_close(fd);
        return;
    }
    if (server->n_scrapes == MOST_SCRAPES)
        close_scrape(server->scrapes);
    scrape->server = server;
    scrape->fd = fd;
    scrape->since_ms = server->now_ms;
    DL_APPEND(server->scrapes, scrape);
    server->n_scrapes++;
    /* What has been sent already is answered before more connections are accepted, which may
     * take its place. */
    if (!make_events(scrape) || !receive(scrape))
        close_scrape(scrape);
}

void stem_metrics_expire(stem_server *server)
{
    stem_scrape *each, *next;

    DL_FOREACH_SAFE(server->scrapes, each, next)
    {
        if (server->now_ms - each->since_ms > MOST_MS)
            close_scrape(each);
    }
}

void stem_metrics_close(stem_server *server)
{
    while (server->scrapes)
        close_scrape(server->scrapes);
}
