/*
 * Running out of memory on purpose: see failing_malloc.h.
 */
#include "failing_malloc.h"

#include <stddef.h>

bool malloc_fails;

void *__real_malloc(size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *block, size_t size);

void *__wrap_malloc(size_t size)
{
    return malloc_fails ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return malloc_fails ? NULL : __real_realloc(block, size);
}
