/*
 * The keeper; see keeper.h. It knows that the benchmark has ended by the pipe from it,
 * which the kernel closes.
 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

/* There is one keeper, as there is one benchmark in a process. */
static struct keeper {
    pid_t process;
    int pipe;
    char *directory;
} keeper;

/* Whether it ends within three seconds. */
static bool is_ended_by(pid_t process, int signal)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

    kill(process, signal);
    for (int i = 0; i < 150; i++) {
        if (kill(process, 0) != 0 && errno == ESRCH)
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

static _Noreturn void keep(int pipe, char *directory)
{
    pid_t watched = 0, told;
    ssize_t n;

    setsid(); /* what is typed to end the benchmark is not for the keeper */
    while ((n = read(pipe, &told, sizeof told)) != 0)
        if (n == (ssize_t)sizeof told)
            watched = told;
    if (watched > 0 && !is_ended_by(watched, SIGTERM))
        is_ended_by(watched, SIGKILL);
    bench_remove(directory);
    _exit(EXIT_SUCCESS);
}

void keeper_start(const char *parent)
{
    int ends[2];

    keeper.directory = bench_directory(parent);
    if (pipe2(ends, O_CLOEXEC) != 0 || (keeper.process = fork()) < 0)
        bench_die("no process can be started");
    if (keeper.process == 0) {
        close(ends[1]);
        keep(ends[0], keeper.directory);
    }
    close(ends[0]);
    keeper.pipe = ends[1];
}

const char *keeper_directory(void)
{
    return keeper.directory;
}

void keeper_watch(pid_t process)
{
    if (write(keeper.pipe, &process, sizeof process) != (ssize_t)sizeof process)
        bench_die("the keeper is gone");
}

void keeper_finish(void)
{
    close(keeper.pipe);
    waitpid(keeper.process, NULL, 0);
    free(keeper.directory);
}
