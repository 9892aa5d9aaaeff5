/*
 * What the tests of commands share: requests run one by one on an engine in memory, each
 * committed, and their replies as bytes.
 */
#ifndef STEM_TESTS_COMMAND_SUPPORT_H
#define STEM_TESTS_COMMAND_SUPPORT_H

#include "net/command.h"
#include "support.h"

/* A fixture. */
void open_commands(void);
void close_commands(void);

/* Both the fixture's; a test may set limits of the engine. */
extern stem_engine *engine;
extern stem_execution *execution;

/* Of the requests that follow; at first none, false and 2. */
extern stem_slice request_scope;
extern bool has_raw_keys;
extern int protocol_version;

static inline stem_slice text_slice(const char *text)
{
    return (stem_slice){text, strlen(text)};
}

/* The reply to a request, ended by a NUL; lives until the next. A request that gets an error
 * has written nothing. */
stem_slice answer_to(const stem_slice *words, size_t n);
/* The same, as text, of words that are C strings. */
const char *answer_to_texts(const char *const *words, size_t n);
#define answer(...)                                                                      \
    answer_to_texts((const char *const[]){__VA_ARGS__},                                  \
                    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
#define assert_answer(expected, ...) ck_assert_str_eq(answer(__VA_ARGS__), (expected))

/* The type of what the engine holds under a stored key that is a C string, -1 for nothing. */
int stored_type(const char *key);
void store(const char *key, stem_value value);

#define WRONG_TYPE                                                                       \
    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
#define NO_INTEGER "-ERR value is not an integer or out of range\r\n"
#define NO_FLOAT "-ERR value is not a valid float\r\n"
#define SYNTAX_ERROR "-ERR syntax error\r\n"
#define BAD_KEY "-ERR invalid key: not a canonical path\r\n"
#define LONG_KEY "-ERR invalid key: too long\r\n"
#define NOTHING "$-1\r\n"
#define OK "+OK\r\n"

#endif
