/*
 * Byte ranges below a scope; see bounds.h. That they do not reach outside is by
 * construction: every end begins with the scope, but for the scope's own end, which is
 * its last byte, a NUL, grown by one.
 */
#include "bounds.h"

static char *add(char *at, stem_slice bytes)
{
    if (bytes.len > 0)
        memcpy(at, bytes.data, bytes.len);
    return at + bytes.len;
}

/* Cuts an end down to where the scope ends; with no scope, to no end at all. */
static stem_slice scope_end(char *end, stem_slice scope)
{
    if (scope.len > 0)
        end[scope.len - 1] = 1;
    return (stem_slice){end, scope.len};
}

static void finish(stem_bounds *bounds, stem_slice start, stem_slice end)
{
    if (start.len == 0 || start.data[0] == '\0')
        start = (stem_slice){"\x01", 1};
    bounds->range = (stem_engine_range){start, end};
    bounds->is_empty = end.len > 0 && stem_slice_compare(start, end) >= 0;
}

void stem_bounds_make(stem_bounds *bounds, char *memory, stem_slice scope,
                      stem_slice start, stem_slice end)
{
    char *second = add(add(memory, scope), start);
    const stem_slice from = {memory, scope.len + start.len};

    add(add(second, scope), end);
    finish(bounds, from,
           end.len > 0 ? (stem_slice){second, scope.len + end.len}
                       : scope_end(second, scope));
}

void stem_bounds_of_prefix(stem_bounds *bounds, char *memory, stem_slice scope,
                           stem_slice prefix)
{
    char *second = add(add(memory, scope), prefix);
    size_t len = scope.len + prefix.len;

    add(add(second, scope), prefix);
    /* The first key after all that begin so: the last byte that can grow grows. */
    while (len > scope.len && second[len - 1] == '\xff')
        len--;
    if (len > scope.len)
        second[len - 1]++;
    finish(bounds, (stem_slice){memory, scope.len + prefix.len},
           len > scope.len ? (stem_slice){second, len} : scope_end(second, scope));
}
