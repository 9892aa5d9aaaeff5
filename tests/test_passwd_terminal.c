/*
 * `stem passwd` on a terminal: what is typed is not shown, and the terminal is left as it
 * was, whatever ends or stops the program.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "net/access.h"
#include "support.h"

static const char *path;
static int person, terminal; /* the two ends */
static pid_t shell;
static char shown[4096]; /* all that the terminal showed */
static size_t shown_len;

static bool is_echoing(void)
{
    struct termios settings;

    ck_assert_int_eq(tcgetattr(terminal, &settings), 0);
    return (settings.c_lflag & ECHO) != 0;
}

/* ---- The shell, which lets the program go on when it is stopped ------------------- */

enum { ENDED_BY_SIGNAL = 64, WAS_STOPPED = 32, HAD_NO_ECHO = 16 };

static void run_stem(void)
{
    char program[4096];

    snprintf(program, sizeof program, "%s/stem", getenv("STEM_BUILD"));
    setpgid(0, 0);
    signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(STDIN_FILENO, getpid());
    signal(SIGTTOU, SIG_DFL);
    execl(program, "stem", "passwd", path, "ada", (char *)NULL);
    _exit(15);
}

/* Its exit status says how the program ended, in the terms above. */
static _Noreturn void be_shell(void)
{
    struct termios settings;
    int seen = 0, status;
    pid_t stem;

    setsid();
    ioctl(terminal, TIOCSCTTY, 0);
    dup2(terminal, STDIN_FILENO);
    dup2(terminal, STDOUT_FILENO);
    dup2(terminal, STDERR_FILENO);
    stem = fork();
    if (stem == 0)
        run_stem();
    while (waitpid(stem, &status, WUNTRACED) == stem && WIFSTOPPED(status)) {
        seen |= WAS_STOPPED;
        if (tcgetattr(terminal, &settings) == 0 && !(settings.c_lflag & ECHO))
            seen |= HAD_NO_ECHO;
        kill(stem, SIGCONT);
    }
    _exit(seen | (WIFSIGNALED(status) ? ENDED_BY_SIGNAL | WTERMSIG(status)
                                      : WEXITSTATUS(status)));
}

/* ---- The person ------------------------------------------------------------------- */

static void start(void)
{
    path = path_in(temp_dir(), "users");
    person = posix_openpt(O_RDWR | O_NOCTTY);
    ck_assert_int_ge(person, 0);
    ck_assert_int_eq(grantpt(person), 0);
    ck_assert_int_eq(unlockpt(person), 0);
    terminal = open(ptsname(person), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(terminal, 0);
    shown_len = 0;
    shell = fork();
    if (shell == 0)
        be_shell();
}

static void look(int timeout_ms)
{
    struct pollfd news = {.fd = person, .events = POLLIN};

    if (poll(&news, 1, timeout_ms) == 1) {
        ssize_t n = read(person, shown + shown_len, sizeof shown - 1 - shown_len);

        shown_len += n > 0 ? (size_t)n : 0;
    }
    shown[shown_len] = '\0';
}

/* Waits until the terminal shows those words, `times` times in all. */
static void see(const char *words, int times)
{
    for (int tries = 0; tries < 1000; tries++) {
        int found = 0;

        look(10);
        for (const char *p = shown; (p = strstr(p, words)) != NULL; p++)
            found++;
        if (found == times)
            return;
    }
    ck_abort_msg("no '%s' in '%s'", words, shown);
}

static void type(const char *text)
{
    ck_assert(!is_echoing());
    ck_assert_int_eq(write(person, text, strlen(text)), (ssize_t)strlen(text));
}

static int end(void)
{
    int status;

    ck_assert_int_eq(waitpid(shell, &status, 0), shell);
    look(0);
    ck_assert(is_echoing());
    close(person);
    close(terminal);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool is_password(const char *password)
{
    stem_access *users;

    assert_ok(stem_access_load(path, &users));
    bool is_it = stem_access_verify(&users->users[0], password, strlen(password));
    stem_access_release(users);
    return is_it;
}

START_TEST(a_password_is_asked_for_twice_and_never_shown)
{
    start();
    see("password for ada: ", 1);
    type("secret\n");
    see("once more: ", 1);
    type("secret\n");
    see("added ada", 1);

    ck_assert_int_eq(end(), 0);
    ck_assert_ptr_null(strstr(shown, "secret"));
    ck_assert(is_password("secret"));
}
END_TEST

START_TEST(two_that_differ_are_refused)
{
    start();
    see("password for ada: ", 1);
    type("secret\n");
    see("once more: ", 1);
    type("Secret\n");
    see("differ", 1);

    ck_assert_int_eq(end(), 3);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(an_empty_one_is_refused_at_once)
{
    start();
    see("password for ada: ", 1);
    type("\n");
    see("empty", 1);

    ck_assert_int_eq(end(), 3);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(an_interrupt_ends_it_and_restores_the_terminal)
{
    start();
    see("password for ada: ", 1);
    type("sec\003");

    ck_assert_int_eq(end(), ENDED_BY_SIGNAL | SIGINT);
    ck_assert_ptr_null(strstr(shown, "sec"));
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_stop_restores_the_terminal_and_what_follows_is_asked_again)
{
    start();
    see("password for ada: ", 1);
    type("wrong\032");
    see("password for ada: ", 2);
    type("secret\n");
    see("once more: ", 1);
    type("secret\n");
    see("added ada", 1);

    ck_assert_int_eq(end(), WAS_STOPPED);
    ck_assert(is_password("secret"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("passwd_terminal");
    TCase *tcase = add_case(suite, "terminal", 60);

    tcase_add_test(tcase, a_password_is_asked_for_twice_and_never_shown);
    tcase_add_test(tcase, two_that_differ_are_refused);
    tcase_add_test(tcase, an_empty_one_is_refused_at_once);
    tcase_add_test(tcase, an_interrupt_ends_it_and_restores_the_terminal);
    tcase_add_test(tcase, a_stop_restores_the_terminal_and_what_follows_is_asked_again);
    return run_suite(suite);
}
