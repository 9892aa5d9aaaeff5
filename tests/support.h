/*
 * What every test program shares: running a suite, and directories that go away.
 */
#ifndef STEM_TESTS_SUPPORT_H
#define STEM_TESTS_SUPPORT_H

#include <check.h>
#include <stdbool.h>

/* Whether the build is a sanitizer's, which is slower and keeps what has been freed for a while. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

/* Runs the suite and returns main's exit status. Each test runs in its own process. */
int run_suite(Suite *suite);

/* A new test case of that name in the suite, with a time limit in seconds. */
TCase *add_case(Suite *suite, const char *name, double seconds);

/* The path of a new empty directory under $TMPDIR or /tmp, removed with all it holds
 * when this process exits; the text lives until then. */
const char *temp_dir(void);

/* `dir`/`name` in a buffer that lives until the process exits. */
const char *path_in(const char *dir, const char *name);

/* Removes a file, or a directory and all below it; nothing when it is not there. */
void remove_tree(const char *path);

/* Asserts STEM_OK, and shows stem_errmsg() when it is not. */
#define assert_ok(expression)                                                            \
    do {                                                                                 \
        int code_ = (expression);                                                        \
        ck_assert_msg(code_ == 0, "%s answered %s: %s", #expression,                     \
                      stem_strerror(code_), stem_errmsg());                              \
    } while (0)

/* Asserts a code, and shows both names when it is another. */
#define assert_code(expression, expected)                                                \
    do {                                                                                 \
        int code_ = (expression);                                                        \
        ck_assert_msg(code_ == (expected), "%s answered %s, not %s: %s", #expression,    \
                      stem_strerror(code_), stem_strerror(expected), stem_errmsg());     \
    } while (0)

#endif
