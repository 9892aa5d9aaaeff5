/*
 * The servers that are compared; see served_by.h.
 */
#include "served_by.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "keeper.h"

enum { ARGUMENTS_MAX = 64, PATIENCE_S = 10, REST_S = 120, PAUSE_MS = 20 };

static void pause_shortly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
}

static bool is_past(uint64_t start, unsigned seconds)
{
    return bench_wall() - start > seconds * UINT64_C(1000000000);
}

/* ---- Processes -------------------------------------------------------------------- */

/* The words of a command, ended by a NULL. They are borrowed. */
typedef struct command {
    char *words[ARGUMENTS_MAX + 1];
    size_t n;
} command;

static void add_word(command *to, const char *word)
{
    if (to->n == ARGUMENTS_MAX)
        bench_die("too many arguments for a server");
    to->words[to->n++] = (char *)word;
}

/* Adds the words of a text between blanks, and returns what they are borrowed from. */
static char *add_words(command *to, const char *text)
{
    char *copy = bench_alloc(strlen(text) + 1, 1), *rest;

    strcpy(copy, text);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        add_word(to, word);
    return copy;
}

/* Starts a program, what it prints thrown away if so wished; returns 0 or errno. */
static int start(pid_t *process, const command *of, bool is_silent)
{
    posix_spawn_file_actions_t actions;

    posix_spawn_file_actions_init(&actions);
    if (is_silent)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY,
                                         0);
    const int cause =
        posix_spawnp(process, of->words[0], &actions, NULL, of->words, environ);
    posix_spawn_file_actions_destroy(&actions);
    return cause;
}

bool served_by_redis_is_there(void)
{
    const command version = {.words = {"redis-server", "--version"}, .n = 2};
    pid_t process;
    int status = 0;

    fflush(stdout);
    return start(&process, &version, false) == 0 &&
           waitpid(process, &status, 0) == process && status == 0;
}

/* ---- Starting --------------------------------------------------------------------- */

static void start_process(served_by *started, const bench_arguments *given)
{
    command of = {.n = 0};
    char database[160];
    char *more;

    if (started->which != SERVED_BY_REDIS) {
        snprintf(database, sizeof database, "%s/db", started->dir);
        add_word(&of, given->program);
        add_word(&of, "serve");
        add_word(&of, database);
        add_word(&of, "--listen");
        add_word(&of, started->address);
        if (started->which == SERVED_BY_SHARING)
            add_word(&of, "--shared");
        more = add_words(&of, given->stem_arguments);
    } else {
        static const char *const fixed[] = {
            "redis-server", "--port", "0", "--appendonly", "yes", "--appendfsync",
            "everysec",     "--save", "",  "--dir"};

        for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
            add_word(&of, fixed[i]);
        add_word(&of, started->dir);
        add_word(&of, "--unixsocket");
        add_word(&of, started->socket);
        more = add_words(&of, given->redis_arguments);
    }
    const int cause = start(&started->process, &of, true);
    if (cause != 0)
        bench_die("%s cannot be started: %s", of.words[0], strerror(cause));
    keeper_watch(started->process);
    free(more);
}

/* Whether it takes a connection and answers in it. */
static bool is_answering(served_by *server)
{
    redisReply *reply = NULL;

    server->client = redisConnectUnix(server->socket);
    if (server->client && server->client->err == 0)
        reply = redisCommand(server->client, "PING");
    const bool is_right = reply && reply->type == REDIS_REPLY_STATUS;
    if (reply)
        freeReplyObject(reply);
    if (!is_right && server->client) {
        redisFree(server->client);
        server->client = NULL;
    }
    return is_right;
}

/* Starts it, and waits until it answers. */
static void start_answering(served_by *started, const bench_arguments *given)
{
    static const char *const names[SERVERS] = {"stem serve", "stem serve --shared",
                                               "redis-server"};
    const char *name = names[started->which];

    start_process(started, given);
    const uint64_t begun = bench_wall();
    while (!is_answering(started)) {
        if (waitpid(started->process, NULL, WNOHANG) != 0)
            bench_die("%s has ended at once", name);
        if (is_past(begun, PATIENCE_S))
            bench_die("%s does not answer", name);
        pause_shortly();
    }
}

void served_by_start(served_by *started, int which, const bench_arguments *given)
{
    memset(started, 0, sizeof *started);
    started->which = which;
    started->dir = bench_directory(keeper_directory());
    const int len =
        snprintf(started->socket, sizeof started->socket, "%s/socket", started->dir);
    if (len >= (int)sizeof started->socket)
        bench_die("%s is too long for a socket: give a shorter -d", started->dir);
    snprintf(started->address, sizeof started->address, "unix:%s", started->socket);
    if (which == SERVED_BY_SHARING)
        snprintf(started->location, sizeof started->location, "%s/db", started->dir);
    else
        snprintf(started->location, sizeof started->location, "%s", started->address);
    start_answering(started, given);
}

void served_by_kill(served_by *killed)
{
    kill(killed->process, SIGKILL);
}

void served_by_start_again(served_by *killed, const bench_arguments *given)
{
    redisFree(killed->client);
    waitpid(killed->process, NULL, 0);
    start_answering(killed, given);
}

/* ---- Asking and ending ------------------------------------------------------------ */

redisReply *served_by_ask(served_by *server, int n, const char **words,
                          const size_t *lengths)
{
    redisReply *reply = redisCommandArgv(server->client, n, words, lengths);

    if (!reply)
        bench_die("no answer to %s: %s", words[0], server->client->errstr);
    if (reply->type == REDIS_REPLY_ERROR)
        bench_die("%s is answered %s", words[0], reply->str);
    return reply;
}

/* Redis writes its log anew in a child, whose work its own clock does not show. */
static bool is_rewriting(served_by *server)
{
    const char *words[] = {"INFO", "persistence"};

    if (server->which != SERVED_BY_REDIS)
        return false;
    redisReply *reply = served_by_ask(server, 2, words, NULL);
    const bool is = strstr(reply->str, "aof_rewrite_in_progress:1") ||
                    strstr(reply->str, "aof_rewrite_scheduled:1");
    freeReplyObject(reply);
    return is;
}

static uint64_t processor_time(const served_by *server)
{
    struct timespec used;
    clockid_t clock;

    if (clock_getcpuclockid(server->process, &clock) != 0 ||
        clock_gettime(clock, &used) != 0)
        bench_die("a server has ended");
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

void served_by_settle(served_by *server)
{
    enum { QUIET_PAUSES = 10, QUIET_NANOSECONDS = 500 * 1000 };
    const uint64_t begun = bench_wall();
    int quiet = 0;

    while (quiet < QUIET_PAUSES && !is_past(begun, REST_S)) {
        const uint64_t before = processor_time(server);

        pause_shortly();
        const uint64_t used = processor_time(server) - before;
        quiet = used < QUIET_NANOSECONDS ? quiet + 1 : 0;
        if (quiet == QUIET_PAUSES && is_rewriting(server))
            quiet = 0;
    }
}

void served_by_stop(served_by *stopped)
{
    const uint64_t begun = bench_wall();

    redisFree(stopped->client);
    kill(stopped->process, SIGTERM);
    while (waitpid(stopped->process, NULL, WNOHANG) == 0) {
        if (is_past(begun, PATIENCE_S))
            kill(stopped->process, SIGKILL);
        pause_shortly();
    }
    keeper_watch(0);
    bench_remove(stopped->dir);
}
