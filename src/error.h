/*
 * This thread's last failure: a code and a text. Rooms below the handles say the cause,
 * the handles add the operation and the place.
 */
#ifndef STEM_ERROR_H
#define STEM_ERROR_H

#include "stem.h"

/* Sets the code and, printf-like, the text. Long texts are cut. */
void stem_failure_set(int code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same, and is the code, which it evaluates twice: a macro, so that compilers and
 * analyzers see that what fails is not STEM_OK. */
#define stem_fail(code, ...)                                                             \
    (stem_failure_set((code), __VA_ARGS__), stem_failure_code(code))
static inline int stem_failure_code(int code)
{
    return code;
}

/* Puts "operation place: " before the text of the last failure and makes `code` its code.
 * `place` is a path in text form, shortened in the middle when long; NULL or "" leaves
 * it out. */
void stem_failure_locate(int code, const char *operation, const char *place);
/* The same, and returns the code. */
static inline int stem_fail_at(int code, const char *operation, const char *place)
{
    stem_failure_locate(code, operation, place);
    return code;
}

enum { STEM_ERROR_TEXT_SIZE = 1024 };
typedef struct stem_failure {
    int code;
    char text[STEM_ERROR_TEXT_SIZE];
} stem_failure;

/* This thread's last failure, and putting it back: for what fails on the way and succeeds in
 * the end, because success leaves the last failure alone. */
void stem_failure_save(stem_failure *saved);
void stem_failure_restore(const stem_failure *saved);

/* Sets the code alone, for the `_or` reads. */
void stem_errcode_set(int code);

#endif
