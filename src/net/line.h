/*
 * A request on one line, as it is typed: words, with quotes as redis-cli has them.
 */
#ifndef STEM_NET_LINE_H
#define STEM_NET_LINE_H

#include "../engine.h"

const char *stem_line_skip_blanks(const char *at, const char *end);

/* Writes the word at `at`, without its quotes, at `*out`, which is moved on: no more
 * bytes than the word has. Where it ends; NULL when a quote is not closed, or is closed
 * within the word. */
const char *stem_line_read_word(const char *at, const char *end, char **out);

/* Whether the line begins an HTTP request, "POST / HTTP/1.1" or the like, as a page in a
 * browser may be made to send it to any port, or is its `Host:` line. No command of these
 * names has such a last word. */
bool stem_line_is_http(stem_slice line);

#endif
