/*
 * The version of the library that was linked, which may not be the one of the header that
 * a program was compiled with.
 */
#include "stem.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

static const char version[] =
    TEXT(STEM_VERSION_MAJOR) "." TEXT(STEM_VERSION_MINOR) "." TEXT(STEM_VERSION_PATCH);

const char *stem_version(void)
{
    return version;
}
