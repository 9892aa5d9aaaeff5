/*
 * A client that sees bytes; see raw_client.h.
 */
#include "raw_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "support.h"

static int connect_unix(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_uint_lt(strlen(path), sizeof at.sun_path);
    strcpy(at.sun_path, path);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static int connect_tcp(const char *host_and_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    const char *colon = strrchr(host_and_port, ':');
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char host[64];

    snprintf(host, sizeof host, "%.*s", (int)(colon - host_and_port), host_and_port);
    at.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    ck_assert_int_eq(inet_pton(AF_INET, host, &at.sin_addr), 1);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

void raw_open(raw_client *client, const char *address)
{
    static const char local[] = "unix:", tcp[] = "tcp://";
    const struct timeval patience = {.tv_sec = 60};

    *client = (raw_client){0};
    client->fd = strncmp(address, local, strlen(local)) == 0
                     ? connect_unix(address + strlen(local))
                     : connect_tcp(address + strlen(tcp));
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

void raw_close(raw_client *client)
{
    close(client->fd);
    free(client->input.data);
    *client = (raw_client){.fd = -1};
}

/* ---- Requests --------------------------------------------------------------------- */

static void add_head(stem_buffer *out, char sign, size_t n)
{
    char text[32];

    snprintf(text, sizeof text, "%c%zu\r\n", sign, n);
    stem_buffer_add_text(out, text);
}

void raw_add(stem_buffer *out, const stem_slice *words, size_t n)
{
    add_head(out, '*', n);
    for (size_t i = 0; i < n; i++) {
        add_head(out, '$', words[i].len);
        stem_buffer_add(out, words[i].data, words[i].len);
        stem_buffer_add_text(out, "\r\n");
    }
}

void raw_send(raw_client *client, const stem_buffer *requests)
{
    ck_assert(!requests->failed);
    for (size_t sent = 0; sent < requests->len;) {
        const ssize_t n =
            send(client->fd, requests->data + sent, requests->len - sent, MSG_NOSIGNAL);

        if (n <= 0) /* the reply that does not come says so */
            return;
        sent += (size_t)n;
    }
}

stem_slice raw_ask(raw_client *client, const char *words)
{
    enum { MOST = 16 };
    stem_slice each[MOST];
    stem_buffer request = {0};
    size_t n = 0;

    for (const char *at = words; *at; n++) {
        const size_t len = strcspn(at, " ");

        ck_assert_uint_lt(n, MOST);
        each[n] = (stem_slice){at, len};
        at += len + (at[len] == ' ');
    }
    raw_add(&request, each, n);
    raw_send(client, &request);
    free(request.data);
    return raw_reply(client);
}

/* ---- Replies ---------------------------------------------------------------------- */

/* Where the reply at `at` ends; NULL when it is not all there. */
static const char *end_of(const char *at, const char *end)
{
    const char *line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;

    if (!line)
        return NULL;
    const char sign = *at;
    long n = strtol(at + 1, NULL, 10);
    at = line + 1;
    if (sign == '$' || sign == '=')
        return n < 0 ? at : n + 2 > end - at ? NULL : at + n + 2;
    if (sign == '%')
        n *= 2;
    else if (sign != '*' && sign != '~') {
        ck_assert_msg(strchr("+-:_,#(", sign), "a reply begins with %d", sign);
        return at;
    }
    for (; n > 0 && at; n--)
        at = end_of(at, end);
    return at;
}

/* False when the connection has ended. */
static bool read_more(raw_client *client)
{
    enum { STEP = 64 << 10 };
    char *room = stem_buffer_room(&client->input, STEP);

    ck_assert_ptr_nonnull(room);
    const ssize_t n = recv(client->fd, room, STEP, 0);
    ck_assert_msg(n >= 0 || errno == ECONNRESET, "no reply: %s", strerror(errno));
    client->input.len -= STEP - (size_t)(n > 0 ? n : 0);
    return n > 0;
}

stem_slice raw_reply(raw_client *client)
{
    const char *end;

    client->input.len -= client->used;
    if (client->input.len > 0)
        memmove(client->input.data, client->input.data + client->used, client->input.len);
    client->used = 0;
    while (!(end = end_of(client->input.data, client->input.data + client->input.len)))
        if (!read_more(client))
            return (stem_slice){"", 0};
    client->used = (size_t)(end - client->input.data);
    return (stem_slice){client->input.data, client->used};
}

stem_slice raw_rest(raw_client *client)
{
    while (read_more(client))
        ;
    return (stem_slice){client->input.data, client->input.len};
}
