/*
 * Reading a password, from a terminal that does not show it or from a file. Whatever
 * signal ends or stops the program meanwhile, the terminal is as it was before: signals
 * arrive only while there is nothing to read, and are raised again once the terminal is
 * restored.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "secret.h"
#include "tool.h"

static const int handled[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
enum { N_HANDLED = sizeof handled / sizeof *handled };

/* All that a signal's handler may leave behind. */
static volatile sig_atomic_t caught;

static void note_signal(int signal)
{
    caught = signal;
}

void secret_wipe(secret *line)
{
    explicit_bzero(line, sizeof *line);
}

/* Reads to the end of a line, or one byte more than a password may have. A signal that is
 * let through with `mask` ends it. -1 with errno set. */
static int read_line(int fd, const sigset_t *mask, secret *line)
{
    line->len = 0;
    while (line->len < sizeof line->bytes) {
        struct pollfd input = {.fd = fd, .events = POLLIN};
        char *next = line->bytes + line->len;
        ssize_t n;

        if (ppoll(&input, 1, NULL, mask) < 0 || (n = read(fd, next, 1)) < 0) {
            if (errno == EINTR && !caught)
                continue;
            return -1;
        }
        if (n == 0 || *next == '\n')
            return 0;
        line->len++;
    }
    return 0;
}

/* ---- A terminal ------------------------------------------------------------------- */

typedef struct terminal {
    struct termios shown;
    sigset_t mask;
    struct sigaction actions[N_HANDLED];
} terminal;

static bool hide(terminal *before)
{
    const struct sigaction action = {.sa_handler = note_signal};
    struct termios hidden;
    sigset_t blocked;

    if (tcgetattr(STDIN_FILENO, &before->shown) != 0)
        return false;
    sigemptyset(&blocked);
    for (size_t i = 0; i < N_HANDLED; i++)
        sigaddset(&blocked, handled[i]);
    sigprocmask(SIG_BLOCK, &blocked, &before->mask);
    for (size_t i = 0; i < N_HANDLED; i++)
        sigaction(handled[i], &action, &before->actions[i]);
    hidden = before->shown;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    /* What was typed before the question was seen is no answer to it. */
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    return true;
}

static void show(const terminal *before)
{
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before->shown);
    for (size_t i = 0; i < N_HANDLED; i++)
        sigaction(handled[i], &before->actions[i], NULL);
    sigprocmask(SIG_SETMASK, &before->mask, NULL);
}

/* Asks until there is an answer: who stops the program and goes on with it is asked anew. */
static int ask_hidden(const char *prompt, secret *line)
{
    for (;;) {
        terminal before;
        int status;
        int cause;

        caught = 0;
        if (!hide(&before))
            return -1;
        fprintf(stderr, "stem: %s: ", prompt);
        status = read_line(STDIN_FILENO, &before.mask, line);
        cause = errno;
        fputc('\n', stderr);
        show(&before);
        if (!caught) {
            errno = cause;
            return status;
        }
        secret_wipe(line);
        raise(caught);
    }
}

static int ask_twice(const char *prompt, secret *line)
{
    secret again;
    char *repeat;
    int status = ask_hidden(prompt, line);

    if (status != 0 || line->len == 0 || line->len > STEM_PASSWORD_MAX)
        return status;
    repeat = format_text("%s, once more", prompt);
    status = ask_hidden(repeat, &again);
    free(repeat);
    if (status == 0 &&
        (again.len != line->len || memcmp(again.bytes, line->bytes, line->len) != 0)) {
        complain("the two passwords differ");
        line->len = 0;
        status = 1;
    }
    secret_wipe(&again);
    return status;
}

/* ---- Anything --------------------------------------------------------------------- */

static int read_file(const char *file, secret *line)
{
    sigset_t mask;
    const int fd = file ? open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;
    int status;
    int cause;

    if (fd < 0)
        return -1;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    status = read_line(fd, &mask, line);
    cause = errno;
    if (file)
        close(fd);
    errno = cause;
    return status;
}

bool secret_read(const char *file, const char *prompt, secret *line)
{
    const bool is_asked = !file && isatty(STDIN_FILENO);
    const int status = is_asked ? ask_twice(prompt, line) : read_file(file, line);

    if (status == 0 && line->len > 0 && line->len <= STEM_PASSWORD_MAX)
        return true;
    if (status < 0)
        complain("cannot read a password from %s: %s", file ? file : "standard input",
                 strerror(errno));
    else if (status == 0)
        complain(line->len == 0 ? "the password is empty"
                                : "the password is longer than %d bytes",
                 STEM_PASSWORD_MAX);
    secret_wipe(line);
    return false;
}
