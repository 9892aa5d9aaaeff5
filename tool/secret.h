/*
 * Reading a password: a line that is never shown, and never stays in memory longer than
 * need be.
 */
#ifndef STEM_TOOL_SECRET_H
#define STEM_TOOL_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "net/access.h"

/* To be wiped by whoever is done with it. */
typedef struct secret {
    char bytes[STEM_PASSWORD_MAX + 1]; /* one more than a password may have */
    size_t len;
} secret;

/* Reads one line of a file, NULL for standard input, without its end. Of a terminal the
 * line is asked for twice, with the words of `prompt`, and not shown. False after saying
 * why, and for one that is empty or too long. */
bool secret_read(const char *file, const char *prompt, secret *line);
void secret_wipe(secret *line);

#endif
