/*
 * A plug-in that brings its own static copy of the library, as test_sharing.c loads two.
 */
#include <stdio.h>

#include "stem.h"

static stem_db *held;

STEM_API int plugin_open(const char *location, char *text, size_t size);
STEM_API int plugin_close(void);

int plugin_open(const char *location, char *text, size_t size)
{
    int code = stem_open(&held, location, NULL);

    snprintf(text, size, "%s", stem_errmsg());
    return code;
}

int plugin_close(void)
{
    int code = stem_close(held);

    held = NULL;
    return code;
}
