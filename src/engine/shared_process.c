/*
 * The shared engine: starting a process that can be the owner. A process made by fork() from one
 * that has used LevelDB cannot (leveldb-facts: its background thread does not exist), and when
 * nobody else is left it has the installed `stem` do that. What is started is nobody's child, and
 * ends when the database is not used any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../error.h"
#include "config.h"
#include "shared_engine.h"
#include "store.h"

extern char **environ;

enum { SETTINGS_MAX = 16, SETTING_SIZE = 64, FIXED_ARGUMENTS = 6 };

typedef struct arguments {
    const char *words[FIXED_ARGUMENTS + 2 * SETTINGS_MAX + 1];
    char settings[SETTINGS_MAX][SETTING_SIZE];
} arguments;

/* The installed program, or the one that the environment names. */
static const char *program(void)
{
    const char *named = secure_getenv("STEM_SERVE");

    return named ? named : STEM_BINDIR "/stem";
}

static void make_arguments(const shared_engine *engine, arguments *made)
{
    const char *const fixed[FIXED_ARGUMENTS] = {program(),      "serve",    "--shared",
                                                "--while-used", "--detach", NULL};
    size_t n = 0, used = 0;
    const char *name;
    uint64_t value;

    while (fixed[n]) {
        made->words[n] = fixed[n];
        n++;
    }
    for (size_t i = 0; (name = stem_store_setting(&engine->settings, i, &value)); i++) {
        if (value == 0 || used == SETTINGS_MAX)
            continue;
        snprintf(made->settings[used], SETTING_SIZE, "%s=%llu", name,
                 (unsigned long long)value);
        made->words[n++] = "--set";
        made->words[n++] = made->settings[used++];
    }
    made->words[n++] = engine->dir->path;
    made->words[n] = NULL;
}

/* Without terminal, standard streams and blocked signals. */
static int spawn(const arguments *given, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    int cause = posix_spawn_file_actions_init(&actions);
    if (cause != 0)
        return cause;
    cause = posix_spawnattr_init(&attributes);
    if (cause == 0) {
        for (int fd = 0; fd <= STDERR_FILENO && cause == 0; fd++)
            cause =
                posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID |
                                                  POSIX_SPAWN_SETSIGMASK |
                                                  POSIX_SPAWN_SETSIGDEF);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        if (cause == 0)
            cause = posix_spawn(pid, given->words[0], &actions, &attributes,
                                (char *const *)given->words, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return cause;
}

/* What was started has started another and ends at once. */
static int wait_for(pid_t pid)
{
    int status = 0;
    pid_t ended;

    do
        ended = waitpid(pid, &status, 0);
    while (ended < 0 && errno == EINTR);
    return ended == pid && !(WIFEXITED(status) && WEXITSTATUS(status) == 0) ? status : 0;
}

int stem_shared_start_process(const shared_engine *engine)
{
    static const char why[] =
        "nobody else has it open, and a process made by fork() cannot";
    arguments given;
    pid_t pid;

    make_arguments(engine, &given);
    const int cause = spawn(&given, &pid);
    if (cause != 0)
        return stem_fail(STEM_EFORK, "%s; starting %s failed: %s", why, given.words[0],
                         strerror(cause));
    if (wait_for(pid) != 0)
        return stem_fail(STEM_EFORK, "%s; %s could not be started", why, given.words[0]);
    return STEM_OK;
}
