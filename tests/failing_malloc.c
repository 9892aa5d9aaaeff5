/*
 * Running out of memory on purpose: see failing_malloc.h.
 */
#include "failing_malloc.h"

#include <errno.h>
#include <stddef.h>

bool malloc_fails, malloc_recovers;
unsigned long mallocs_granted, mallocs_refused;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static bool fails_now(void)
{
    if (!malloc_fails)
        return false;
    if (mallocs_granted > 0) {
        mallocs_granted--;
        return false;
    }
    mallocs_refused++;
    errno = ENOMEM;
    malloc_fails = !malloc_recovers;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return fails_now() ? NULL : __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails_now() ? NULL : __real_aligned_alloc(alignment, size);
}
