/*
 * Other processes, and what can be seen of this one: see process.h.
 */
#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stem.h"
#include "support.h"

/* ---- Children --------------------------------------------------------------------- */

/* There in a build that counts executed lines, which only a proper exit keeps. */
void __gcov_exit(void) __attribute__((weak));

/* Ends a child without what the parent has registered for its own exit. */
static _Noreturn void end_child(void)
{
    if (__gcov_exit)
        exit(0);
    _exit(0);
}

pid_t start_child(void (*body)(void *), void *argument)
{
    fflush(NULL);
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child > 0)
        return child;
    body(argument);
    end_child();
}

void assert_child_ends_well(pid_t child)
{
    int status;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "the child ended with wait status %#x", (unsigned)status);
}

void assert_child_killed(pid_t child, int signal)
{
    int status;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == signal,
                  "the child ended with wait status %#x", (unsigned)status);
}

bool is_alive(pid_t process)
{
    char path[64], state = 'X';

    snprintf(path, sizeof path, "/proc/%ld/stat", (long)process);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    const int n = fscanf(file, "%*d (%*[^)]) %c", &state);
    fclose(file);
    return n == 1 && state != 'Z' && state != 'X';
}

void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000},
              NULL);
}

_Noreturn void must_fail(const char *file, int line, const char *claim)
{
    fprintf(stderr, "%s:%d: in a child: does not hold: %s (last failure: %s)\n", file,
            line, claim, stem_errmsg());
    _exit(1);
}

void must_answer(const char *file, int line, const char *expression, int answer,
                 int expected)
{
    if (answer == expected)
        return;
    fprintf(stderr, "%s:%d: in a child: %s answered %s, not %s: %s\n", file, line,
            expression, stem_strerror(answer), stem_strerror(expected), stem_errmsg());
    _exit(1);
}

/* ---- Another program -------------------------------------------------------------- */

static const char marker[] = "--other-process";

void be_other_process(int argc, char **argv)
{
    char byte;
    stem_db *db = NULL;

    if (argc != 4 || strcmp(argv[1], marker) != 0)
        return;
    int code = strcmp(argv[2], "destroy") == 0 ? stem_destroy(argv[3])
                                               : stem_open(&db, argv[3], NULL);
    printf("%d %s\n", code, code == STEM_OK ? "" : stem_errmsg());
    fflush(stdout);
    if (read(STDIN_FILENO, &byte, 1) < 0)
        exit(1);
    stem_close(db);
    exit(0);
}

/* Starts this program again and reads its answer. */
static int ask(const char *what, const char *location, other_process *other, char *text,
               size_t size)
{
    char answer[2048];
    int input[2], output[2];
    size_t len = 0;
    ssize_t got;

    ck_assert_int_eq(pipe2(input, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(output, O_CLOEXEC), 0);
    fflush(NULL);
    other->pid = fork();
    ck_assert_int_ge(other->pid, 0);
    if (other->pid == 0) {
        dup2(input[0], STDIN_FILENO);
        dup2(output[1], STDOUT_FILENO);
        execl("/proc/self/exe", "other", marker, what, location, (char *)NULL);
        _exit(127);
    }
    close(input[0]);
    close(output[1]);
    other->input = input[1];
    other->output = output[0];
    while (len < sizeof answer - 1 &&
           (got = read(output[0], answer + len, sizeof answer - 1 - len)) > 0) {
        len += (size_t)got;
        if (answer[len - 1] == '\n')
            break;
    }
    ck_assert_msg(len > 0, "the other process said nothing");
    answer[len - 1] = '\0';
    if (text)
        snprintf(text, size, "%s", strchr(answer, ' ') + 1);
    return atoi(answer);
}

void let_go(other_process *other)
{
    close(other->input);
    close(other->output);
    assert_child_ends_well(other->pid);
}

void kill_other(other_process *other)
{
    kill(other->pid, SIGKILL);
    close(other->input);
    close(other->output);
    assert_child_killed(other->pid, SIGKILL);
}

int open_elsewhere(const char *location, char *text, size_t size)
{
    other_process other;
    int code = ask("open", location, &other, text, size);

    let_go(&other);
    return code;
}

int destroy_elsewhere(const char *location, char *text, size_t size)
{
    other_process other;
    int code = ask("destroy", location, &other, text, size);

    let_go(&other);
    return code;
}

int hold_elsewhere(const char *location, other_process *other)
{
    return ask("open", location, other, NULL, 0);
}

/* ---- Files and descriptors -------------------------------------------------------- */

void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static uint64_t hash_file(const char *path)
{
    unsigned char bytes[4096];
    uint64_t hash = UINT64_C(14695981039346656037);
    FILE *file = fopen(path, "r");
    size_t got;

    ck_assert_ptr_nonnull(file);
    while ((got = fread(bytes, 1, sizeof bytes, file)) > 0)
        for (size_t i = 0; i < got; i++)
            hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    fclose(file);
    return hash;
}

static void describe(const char *path, FILE *out)
{
    struct dirent **entries;
    struct stat status;

    ck_assert_int_eq(lstat(path, &status), 0);
    fprintf(out, "%s mode %o size %lld changed %lld.%09ld", path, status.st_mode,
            S_ISDIR(status.st_mode) ? 0 : (long long)status.st_size,
            (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    if (S_ISREG(status.st_mode))
        fprintf(out, " hash %016llx", (unsigned long long)hash_file(path));
    fputc('\n', out);
    if (!S_ISDIR(status.st_mode))
        return;
    int n = scandir(path, &entries, NULL, alphasort);
    ck_assert_int_ge(n, 0);
    for (int i = 0; i < n; i++) {
        char below[4096];

        snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name);
        if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0)
            describe(below, out);
        free(entries[i]);
    }
    free(entries);
}

char *directory_state(const char *path)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(out);
    describe(path, out);
    fclose(out);
    return text;
}

/* What LevelDB keeps open: all but the directory itself and stem.lock. */
static bool is_leveldbs(const char *name)
{
    return *name == '/' && strcmp(name, "/stem.lock") != 0;
}

int count_descriptors(const char *directory, bool only_stem)
{
    DIR *listing = opendir("/proc/self/fd");
    size_t len = strlen(directory);
    struct dirent *entry;
    int n = 0;

    if (!listing)
        return -1;
    while ((entry = readdir(listing)) != NULL) {
        char target[4096];
        ssize_t got =
            readlinkat(dirfd(listing), entry->d_name, target, sizeof target - 1);

        if (got < (ssize_t)len)
            continue;
        target[got] = '\0';
        if (strncmp(target, directory, len) == 0 &&
            (target[len] == '\0' || target[len] == '/') &&
            !(only_stem && is_leveldbs(target + len)))
            n++;
    }
    closedir(listing);
    return n;
}

/* ---- Mounts ----------------------------------------------------------------------- */

static void write_map(const char *path, const char *format, unsigned id)
{
    FILE *map = fopen(path, "w");

    if (!map)
        return;
    fprintf(map, format, id);
    fclose(map);
}

bool enter_private_mounts(void)
{
    unsigned user = geteuid(), group = getegid();

    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            return false;
        write_map("/proc/self/setgroups", "deny", 0);
        write_map("/proc/self/uid_map", "0 %u 1", user);
        write_map("/proc/self/gid_map", "0 %u 1", group);
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}
