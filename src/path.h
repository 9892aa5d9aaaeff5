/*
 * Paths as they are stored: components joined by one NUL byte. No I/O, no handles.
 */
#ifndef STEM_PATH_H
#define STEM_PATH_H

#include "stem.h"

/* The length of a component, or 0 after stem_fail(STEM_EINVAL) when it is NULL, empty
 * or over the limit. */
size_t stem_component_len(const char *name);

/* The text form of `len` stored bytes, with or without a NUL at their end; owned. */
char *stem_path_text(const char *stored, size_t len);

#endif
