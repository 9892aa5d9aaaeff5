/*
 * Patterns as KEYS and SCAN have them: `*`, `?`, `[a-c]`, `[^x]`, and `\` before a byte that
 * stands for itself. Bytes, not characters.
 */
#ifndef STEM_NET_PATTERN_H
#define STEM_NET_PATTERN_H

#include "../engine.h"

enum { STEM_PATTERN_MAX = 1024 };

/* Made ready once, and matched with many texts. */
typedef struct stem_pattern stem_pattern;

/* NULL after stem_fail: STEM_EINVAL for one longer than STEM_PATTERN_MAX bytes, STEM_ENOMEM.
 * free() releases it. */
stem_pattern *stem_pattern_make(stem_slice text);

/* Whether the pattern is all of the text, as Redis's stringmatchlen has it. Takes time in
 * proportion to the text, whatever the pattern: at most one step for each 64 bytes of the
 * pattern and each byte of the text. */
bool stem_pattern_matches(const stem_pattern *pattern, stem_slice text);

/* The bytes that every match begins with, borrowed from the pattern: where a walk can start
 * and end. */
stem_slice stem_pattern_prefix(const stem_pattern *pattern);

#endif
