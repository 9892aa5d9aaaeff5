/*
 * Checking the options of an engine.
 */
#ifndef STEM_ENGINE_OPTION_H
#define STEM_ENGINE_OPTION_H

#include "../error.h"

/* STEM_EINVAL, with the name, when the value is neither 0 nor in the range. */
static inline int stem_check_size(const char *name, uint64_t value, uint64_t least,
                                  uint64_t most)
{
    if (value == 0 || (value >= least && value <= most))
        return STEM_OK;
    return stem_fail(STEM_EINVAL, "option %s is %llu, not 0 or from %llu to %llu", name,
                     (unsigned long long)value, (unsigned long long)least,
                     (unsigned long long)most);
}

#endif
