/*
 * The stored bytes that a range spans: bounds on names turned into bounds on stored keys.
 *
 * Below a prefix P the keys lie in [ P, P with its last NUL made 1 ), and below the root in
 * [ 1, end ), since keys that begin with NUL are Stem's own. The successor of a key is the
 * key with a NUL behind it.
 */
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "error.h"
#include "path.h"

/* One end under construction. */
typedef struct bound {
    char *bytes;
    size_t len;
} bound;

/* What stands behind the name of a bound. */
enum suffix { NOTHING = -1, NUL = 0, ONE = 1 };

static int compare(const bound *a, const bound *b)
{
    size_t len = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->bytes, b->bytes, len);

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* Makes `made` prefix, name and suffix in the buffer it has; STEM_EINVAL for no name. */
static int make_bound(const stem_db *db, const char *name, enum suffix suffix,
                      bound *made)
{
    size_t len = stem_component_len(name);

    if (len == 0)
        return STEM_EINVAL;
    memcpy(made->bytes, db->prefix, db->prefix_len);
    memcpy(made->bytes + db->prefix_len, name, len);
    made->len = db->prefix_len + len;
    if (suffix != NOTHING)
        made->bytes[made->len++] = (char)suffix;
    return STEM_OK;
}

/* The first key after all that begin with these bytes: the last byte that can grow grows.
 * False when none below the handle's prefix can. */
static bool step_over(const stem_db *db, bound *bytes)
{
    while (bytes->len > db->prefix_len && bytes->bytes[bytes->len - 1] == '\xff')
        bytes->len--;
    if (bytes->len == db->prefix_len)
        return false;
    bytes->bytes[bytes->len - 1]++;
    return true;
}

/* Exchanges the buffers when `other` is the tighter start, or end. An end of no bytes is no
 * end. */
static void tighten(bound *kept, bound *other, bool is_start)
{
    bool is_tighter =
        is_start ? compare(other, kept) > 0 : kept->len == 0 || compare(other, kept) < 0;

    if (is_tighter) {
        bound swapped = *kept;
        *kept = *other;
        *other = swapped;
    }
}

/* An empty text is no bound, as NULL is: what a program passes on that has none. */
static bool is_given(const char *name)
{
    return name && *name;
}

/* Narrows the two ends by what the range says. `other` is room for one bound more. */
static int narrow(const stem_db *db, const stem_range *range, bool by_name, bound *start,
                  bound *end, bound *other)
{
    const struct {
        const char *name;
        enum suffix suffix;
        bool is_start;
    } given[] = {
        {range->gte, NOTHING, true},
        {range->gt, by_name ? ONE : NUL, true},
        {range->prefix, NOTHING, true},
        {range->lt, NOTHING, false},
        {range->lte, by_name ? ONE : NUL, false},
    };

    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        if (!is_given(given[i].name))
            continue;
        int code = make_bound(db, given[i].name, given[i].suffix, other);
        if (code != STEM_OK)
            return code;
        tighten(given[i].is_start ? start : end, other, given[i].is_start);
    }
    if (is_given(range->prefix) &&
        make_bound(db, range->prefix, NOTHING, other) == STEM_OK && step_over(db, other))
        tighten(end, other, false);
    return STEM_OK;
}

static int check_range(const stem_range *range)
{
    for (size_t i = 0; i < sizeof range->reserved / sizeof *range->reserved; i++)
        if (range->reserved[i] != 0)
            return stem_fail(STEM_EINVAL,
                             "stem_range.reserved[%zu] is not zero: the range was not "
                             "initialised, or is a newer library's",
                             i);
    return STEM_OK;
}

int stem_span_make(const stem_db *db, const stem_range *range, bool by_name,
                   stem_span *span)
{
    static const stem_range everything;
    const size_t room = db->prefix_len + STEM_COMPONENT_MAX + 1;

    if (!range)
        range = &everything;
    int code = check_range(range);
    if (code != STEM_OK)
        return code;
    char *buffer = malloc(3 * room);
    if (!buffer)
        return stem_fail(STEM_ENOMEM, "no memory for a range");

    bound start = {buffer, db->prefix_len}, end = {buffer + room, db->prefix_len};
    bound other = {buffer + 2 * room, 0};
    memcpy(start.bytes, db->prefix, db->prefix_len);
    memcpy(end.bytes, db->prefix, db->prefix_len);
    if (db->prefix_len == 0)
        start.bytes[start.len++] = 1;
    else
        end.bytes[end.len - 1] = 1;
    code = narrow(db, range, by_name, &start, &end, &other);
    if (code != STEM_OK) {
        free(buffer);
        return code;
    }
    *span = (stem_span){.range = {{start.bytes, start.len}, {end.bytes, end.len}},
                        .buffer = buffer};
    return STEM_OK;
}
