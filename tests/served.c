/*
 * A served database and clients of it; see served.h.
 */
#include "served.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char address[512];

stem_server *serve(stem_db *db, const stem_server_options *options)
{
    const char *listen[] = {address, NULL};
    stem_server_options wanted = {0};
    stem_server *server;

    if (options)
        wanted = *options;
    if (!wanted.listen)
        wanted.listen = listen;
    snprintf(address, sizeof address, "unix:%s", path_in(temp_dir(), "socket"));
    assert_ok(stem_server_open(&server, db, &wanted));
    return server;
}

const char *served_at(void)
{
    return address;
}

const char *socket_path(void)
{
    return address + strlen("unix:");
}

redisContext *dial(void)
{
    signal(SIGPIPE, SIG_IGN); /* hiredis would let it through */
    redisContext *client = redisConnectUnix(socket_path());

    ck_assert_ptr_nonnull(client);
    ck_assert_msg(client->err == 0, "cannot connect to %s: %s", socket_path(),
                  client->errstr);
    return client;
}

static void print(FILE *out, const redisReply *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_STATUS:
        fprintf(out, "+%s", reply->str);
        break;
    case REDIS_REPLY_ERROR:
        fprintf(out, "-%s", reply->str);
        break;
    case REDIS_REPLY_INTEGER:
        fprintf(out, "%lld", reply->integer);
        break;
    case REDIS_REPLY_STRING:
        fprintf(out, "\"%.*s\"", (int)reply->len, reply->str);
        break;
    case REDIS_REPLY_ARRAY:
        fputc('[', out);
        for (size_t i = 0; i < reply->elements; i++) {
            if (i > 0)
                fputc(' ', out);
            print(out, reply->element[i]);
        }
        fputc(']', out);
        break;
    default:
        fputs("nil", out);
        break;
    }
}

static const char *text_of(redisReply *reply)
{
    enum { SIZE = 64 << 10 };
    static _Thread_local char text[SIZE];

    if (!reply)
        return "gone";
    FILE *out = fmemopen(text, sizeof text, "w");
    if (!out)
        abort();
    print(out, reply);
    fclose(out);
    freeReplyObject(reply);
    return text;
}

const char *ask(redisContext *client, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    redisReply *reply = redisvCommand(client, format, arguments);
    va_end(arguments);
    return text_of(reply);
}

const char *next_answer(redisContext *client)
{
    void *reply = NULL;

    return text_of(redisGetReply(client, &reply) == REDIS_OK ? reply : NULL);
}

redisContext *dial_as(const char *name)
{
    redisContext *client = dial();

    assert_answer("+OK", client, "AUTH %s secret", name);
    return client;
}
