/*
 * Other processes, for tests that need one: children that do a part of the test, and a
 * program of its own (this one, run again) that opens what this process has open.
 */
#ifndef STEM_TESTS_PROCESS_H
#define STEM_TESTS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Forks; `body` runs in the child, which ends with status 0 when it returns. */
pid_t start_child(void (*body)(void *), void *argument);
/* Waits, and asserts that the child ended with status 0. */
void assert_child_ends_well(pid_t child);
/* Waits, and asserts that the child was killed by that signal. */
void assert_child_killed(pid_t child, int signal);

/* In a child, where Check's assertions would end the wrong process: says what does not
 * hold and ends the child with status 1. */
#define must(claim) ((claim) ? (void)0 : must_fail(__FILE__, __LINE__, #claim))
#define must_be(expression, code)                                                        \
    must_answer(__FILE__, __LINE__, #expression, (expression), (code))
#define must_ok(expression) must_be(expression, STEM_OK)
_Noreturn void must_fail(const char *file, int line, const char *claim);
void must_answer(const char *file, int line, const char *expression, int answer,
                 int expected);

/* What main() begins with: serves `in_other_process` when this run is that process. */
void be_other_process(int argc, char **argv);

/* An executed process that has the database open until it is let go. */
typedef struct other_process {
    pid_t pid;
    int input, output;
} other_process;

/* Opens the location in another program; its answer, and its text in `text`. */
int open_elsewhere(const char *location, char *text, size_t size);
int destroy_elsewhere(const char *location, char *text, size_t size);
/* The same, and keeps it open, holding what it could open. */
int hold_elsewhere(const char *location, other_process *other);
void let_go(other_process *other);
void kill_other(other_process *other);

/* Names, kinds, modes, sizes, times of change and contents of all below a directory, as
 * text to compare; owned: free(). */
char *directory_state(const char *path);

/* How many descriptors of this process lead to files at or below the directory; without
 * LevelDB's own when `only_stem`. */
int count_descriptors(const char *directory, bool only_stem);

/* Gives this process mounts of its own, which end with it. False when the system lets
 * neither root nor a user namespace do so. */
bool enter_private_mounts(void);

void write_file(const char *path, const char *text);

/* Whether a process is there and has not ended. */
bool is_alive(pid_t process);
void pause_ms(long ms);

#endif
