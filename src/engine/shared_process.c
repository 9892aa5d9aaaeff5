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
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../error.h"
#include "config.h"
#include "descriptor.h"
#include "shared_engine.h"
#include "store.h"

extern char **environ;

enum { SETTINGS_MAX = 16, SETTING_SIZE = 64, FIXED_ARGUMENTS = 6, COMPLAINT_SIZE = 512 };

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

/* Without terminal and blocked signals, and with no standard stream but what it complains to. */
static int spawn(const arguments *given, int complaints, pid_t *pid)
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
        for (int fd = 0; fd < STDERR_FILENO && cause == 0; fd++)
            cause =
                posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
        if (cause == 0)
            cause = posix_spawn_file_actions_adddup2(&actions, complaints, STDERR_FILENO);
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

/* What the last had to say, as part of one line; "" when that is nothing. */
static const char *read_complaints(const shared_starter *starter, char *text, size_t size)
{
    const ssize_t len = pread(starter->complaints, text, size - 1, 0);

    text[len > 0 ? len : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static const char why[] = "nobody else has it open, and a process made by fork() cannot";

int stem_shared_start_process(shared_engine *engine)
{
    shared_starter *starter = &engine->starter;
    arguments given;

    stem_shared_forget_process(engine);
    starter->complaints = stem_descriptor_memory();
    if (starter->complaints < 0)
        return stem_fail(STEM_EIO, "cannot make a file in memory: %s", strerror(errno));
    make_arguments(engine, &given);
    const int cause = spawn(&given, starter->complaints, &starter->pid);
    if (cause == 0)
        return STEM_OK;
    starter->pid = 0;
    return stem_fail(STEM_EFORK, "%s; starting %s failed: %s", why, given.words[0],
                     strerror(cause));
}

int stem_shared_fail_to_start(shared_engine *engine)
{
    char text[COMPLAINT_SIZE];
    const char *said = read_complaints(&engine->starter, text, sizeof text);

    engine->starter.ended_ns = 0;
    return stem_fail(STEM_EFORK, "%s; %s could not be started: %s", why, program(),
                     *said ? said : "it does not say why");
}

int stem_shared_check_process(shared_engine *engine)
{
    shared_starter *starter = &engine->starter;
    char text[COMPLAINT_SIZE];
    int status = 0;

    if (starter->pid == 0)
        return STEM_OK;
    const pid_t ended = waitpid(starter->pid, &status, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR))
        return STEM_NOTFOUND;
    /* The application may take the status of every child, or have it thrown away. */
    starter->is_unsure = ended != starter->pid;
    starter->pid = 0;
    starter->ended_ns = stem_clock();
    const bool has_failed = starter->is_unsure
                                ? *read_complaints(starter, text, sizeof text) != '\0'
                                : !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    return has_failed ? stem_shared_fail_to_start(engine) : STEM_OK;
}

void stem_shared_forget_process(shared_engine *engine)
{
    shared_starter *starter = &engine->starter;

    if (starter->pid != 0)
        waitpid(starter->pid, NULL, WNOHANG);
    if (starter->complaints >= 0)
        stem_descriptor_close(starter->complaints);
    *starter = (shared_starter){.complaints = -1};
}
