/*
 * A server in a process of its own; see tool_server.h.
 */
#include "tool_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char location[512];
static const char *database;
static pid_t server;

void place_tool_server(const char *directory)
{
    database = path_in(directory, "db");
    snprintf(location, sizeof location, "unix:%s", path_in(directory, "socket"));
}

const char *tool_socket(void)
{
    return location + strlen("unix:");
}

const char *tool_location(void)
{
    return location;
}

pid_t tool_server(void)
{
    return server;
}

void start_tool_server(void)
{
    const char *build = getenv("STEM_BUILD");
    char tool[512];

    snprintf(tool, sizeof tool, "%s/stem", build ? build : ".");
    fflush(NULL);
    server = fork();
    ck_assert_int_ge(server, 0);
    if (server > 0)
        return;
    if (!freopen("/dev/null", "w", stdout))
        _exit(127);
    execl(tool, tool, "serve", database, "--listen", location, (char *)NULL);
    _exit(127);
}

void kill_tool_server(int signal_number)
{
    int status;

    ck_assert_int_eq(kill(server, signal_number), 0);
    ck_assert_int_eq(waitpid(server, &status, 0), server);
    ck_assert_int_eq(WIFEXITED(status) ? WEXITSTATUS(status) : 0, 0);
}

long tool_server_resident(void)
{
    char path[64], line[256];
    long kib = -1;

    snprintf(path, sizeof path, "/proc/%ld/status", (long)server);
    FILE *status = fopen(path, "r");
    ck_assert_ptr_nonnull(status);
    while (kib < 0 && fgets(line, sizeof line, status))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    fclose(status);
    ck_assert_int_ge(kib, 0);
    return kib;
}

stem_db *open_tool_server(void)
{
    enum { TRIES = 1000, PAUSE_US = 10000 };
    stem_db *db = NULL;

    for (int i = 0; i < TRIES && stem_open(&db, location, NULL) != STEM_OK; i++)
        usleep(PAUSE_US);
    ck_assert_msg(db, "%s", stem_errmsg());
    return db;
}
