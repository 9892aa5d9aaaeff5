/*
 * What KEYS and SCAN share: the stored keys that a pattern may match, and those that do.
 * Private to them.
 */
#ifndef STEM_NET_COMMAND_MATCH_H
#define STEM_NET_COMMAND_MATCH_H

#include "command_own.h"
#include "pattern.h"

/* The pattern in a word; free() releases it. */
int stem_request_pattern(stem_request *request, size_t arg, stem_pattern **pattern);

/* The range of all below the scope that a pattern may match; everything with NULL. */
int stem_match_bounds(stem_request *request, const stem_pattern *pattern,
                      stem_bounds *bounds);

/* Adds a key, given below the scope, to the replies as the request would name it, and counts it
 * when it shows such keys and the pattern, if there is one, matches. `text` is the caller's, for
 * use again. */
int stem_match_add(const stem_request *request, const stem_pattern *pattern,
                   stem_slice key, stem_buffer *text, stem_reply *found, uint64_t *n);

#endif
