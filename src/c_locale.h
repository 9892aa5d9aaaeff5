/*
 * Numbers are read and written in the C locale, into which a thread puts itself, and itself
 * alone, for as long as it takes.
 */
#ifndef STEM_C_LOCALE_H
#define STEM_C_LOCALE_H

#include <locale.h>

/* Returns the locale to go back to; `*c` is 0 when there is no memory for one. */
static inline locale_t stem_c_locale_enter(locale_t *c)
{
    *c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return *c ? uselocale(*c) : (locale_t)0;
}

static inline void stem_c_locale_leave(locale_t before, locale_t c)
{
    if (!c)
        return;
    uselocale(before);
    freelocale(c);
}

#endif
