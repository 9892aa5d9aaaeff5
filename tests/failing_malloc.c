/*
 * Running out of memory on purpose: see failing_malloc.h.
 */
#include "failing_malloc.h"

#include <stddef.h>

bool malloc_fails;
unsigned long mallocs_granted;

void *__real_malloc(size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *block, size_t size);

static bool fails_now(void)
{
    if (!malloc_fails || mallocs_granted == 0)
        return malloc_fails;
    mallocs_granted--;
    return false;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return fails_now() ? NULL : __real_realloc(block, size);
}
