/*
 * A database in memory, slow and plain, for the real one to be compared with.
 */
#include "model.h"

#include <stdlib.h>
#include <string.h>

/* ---- Values ----------------------------------------------------------------------- */

/* More than the stack buffer of any operation, with a NUL inside and with none. */
static char long_text[5000];

static stem_string string_numbered(int64_t number)
{
    switch (number) {
    case 0:
        return (stem_string){"", 0};
    case 1:
        return (stem_string){"a", 1};
    case 2:
        return (stem_string){"a\0b", 3};
    case 3:
        return (stem_string){"0", 1};
    default:
        memset(long_text, 'x', sizeof long_text);
        return (stem_string){long_text, sizeof long_text};
    }
}

stem_value model_value_stored(model_value value)
{
    double real;
    stem_string text;

    switch (value.type) {
    case STEM_NIL:
        return stem_nil();
    case STEM_INT:
        return stem_int(value.bits);
    case STEM_UINT:
        return stem_uint((uint64_t)value.bits);
    case STEM_FLOAT:
        memcpy(&real, &value.bits, sizeof real);
        return stem_float(real);
    default:
        text = string_numbered(value.bits);
        return stem_strn(text.data, text.len);
    }
}

bool model_value_is(model_value value, const stem_value *read)
{
    const stem_value stored = model_value_stored(value);

    if (read->type != value.type)
        return false;
    if (read->type == STEM_STR)
        return read->as.str.len == stored.as.str.len &&
               memcmp(read->as.str.data, stored.as.str.data, stored.as.str.len) == 0;
    return memcmp(&read->as.integer, &stored.as.integer, sizeof stored.as.integer) == 0;
}

/* ---- Entries ---------------------------------------------------------------------- */

static void *get_memory(void *old, size_t size)
{
    void *memory = realloc(old, size > 0 ? size : 1);

    if (!memory)
        abort();
    return memory;
}

static char *copy_path(const char *path, size_t len)
{
    char *copy = get_memory(NULL, len + 1);

    memcpy(copy, path, len);
    copy[len] = '\0';
    return copy;
}

model *model_new(void)
{
    model *m = get_memory(NULL, sizeof *m);

    *m = (model){0};
    return m;
}

model *model_copy(const model *from)
{
    model *m = model_new();

    m->n = m->room = from->n;
    m->entries = get_memory(NULL, m->room * sizeof *m->entries);
    for (size_t i = 0; i < m->n; i++) {
        m->entries[i] = from->entries[i];
        m->entries[i].path = copy_path(from->entries[i].path, from->entries[i].len);
    }
    return m;
}

void model_free(model *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->entries[i].path);
    free(m->entries);
    free(m);
}

int compare_paths(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* The index of the first entry at or after the path. */
static size_t find(const model *m, const char *path, size_t len)
{
    size_t low = 0, high = m->n;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const model_entry *entry = &m->entries[middle];

        if (compare_paths(entry->path, entry->len, path, len) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const model_entry *model_get(const model *m, const char *path, size_t len)
{
    size_t i = find(m, path, len);
    const model_entry *entry = &m->entries[i];

    return i < m->n && compare_paths(entry->path, entry->len, path, len) == 0 ? entry
                                                                              : NULL;
}

void model_put(model *m, const char *path, size_t len, model_value value)
{
    size_t i = find(m, path, len);

    if (!model_get(m, path, len)) {
        if (m->n == m->room) {
            m->room = 2 * m->room + 16;
            m->entries = get_memory(m->entries, m->room * sizeof *m->entries);
        }
        memmove(&m->entries[i + 1], &m->entries[i], (m->n - i) * sizeof *m->entries);
        m->entries[i] = (model_entry){.path = copy_path(path, len), .len = len};
        m->n++;
    }
    m->entries[i].value = value;
}

void model_put_int(model *m, const char *path, size_t len, int64_t value)
{
    model_put(m, path, len, (model_value){STEM_INT, value});
}

void model_del(model *m, const char *path, size_t len)
{
    size_t i = find(m, path, len);

    if (!model_get(m, path, len))
        return;
    free(m->entries[i].path);
    m->n--;
    memmove(&m->entries[i], &m->entries[i + 1], (m->n - i) * sizeof *m->entries);
}

/* ---- Walks ------------------------------------------------------------------------ */

static size_t first_name_len(const char *path, size_t len)
{
    const char *nul = memchr(path, '\0', len);

    return nul ? (size_t)(nul - path) : len;
}

static int compare_name(const char *path, size_t len, const char *name)
{
    return compare_paths(path, len, name, strlen(name));
}

static bool is_given(const char *bound)
{
    return bound && *bound;
}

/* Whether the range takes in a path, or the name of a child. */
static bool is_in_range(const stem_range *range, const char *path, size_t len)
{
    if (is_given(range->gt) && compare_name(path, len, range->gt) <= 0)
        return false;
    if (is_given(range->gte) && compare_name(path, len, range->gte) < 0)
        return false;
    if (is_given(range->lt) && compare_name(path, len, range->lt) >= 0)
        return false;
    if (is_given(range->lte) && compare_name(path, len, range->lte) > 0)
        return false;
    return !range->prefix || strncmp(path, range->prefix, strlen(range->prefix)) == 0;
}

static void reverse_steps(model_walk *walk)
{
    for (size_t i = 0; i < walk->n / 2; i++) {
        model_step step = walk->steps[i];

        walk->steps[i] = walk->steps[walk->n - 1 - i];
        walk->steps[walk->n - 1 - i] = step;
    }
}

model_walk model_expect(const model *m, const char *prefix, size_t prefix_len,
                        const stem_range *range, bool children)
{
    static const stem_range everything;
    size_t i = find(m, prefix, prefix_len);
    model_walk walk = {get_memory(NULL, (m->n - i) * sizeof *walk.steps), 0};

    if (!range)
        range = &everything;
    for (; i < m->n; i++) {
        const model_entry *entry = &m->entries[i];
        const char *path = entry->path + prefix_len;
        model_step *last = walk.n > 0 ? &walk.steps[walk.n - 1] : NULL;

        if (entry->len < prefix_len || memcmp(entry->path, prefix, prefix_len) != 0)
            break;
        size_t len = entry->len - prefix_len;
        size_t name_len = first_name_len(path, len);
        int kind = !children || name_len == len ? STEM_HAS_VALUE : STEM_HAS_CHILDREN;
        if (children)
            len = name_len;
        if (!is_in_range(range, path, len) || (range->shallow && name_len != len))
            continue;
        if (children && last && compare_paths(last->path, last->len, path, len) == 0)
            last->kind |= kind;
        else
            walk.steps[walk.n++] = (model_step){path, len, entry->value, kind};
    }
    if (range->reverse)
        reverse_steps(&walk);
    return walk;
}

size_t model_seek(const model_walk *walk, bool reverse, const char *path, size_t len)
{
    size_t i;

    for (i = 0; i < walk->n; i++) {
        int order = compare_paths(walk->steps[i].path, walk->steps[i].len, path, len);

        if (reverse ? order <= 0 : order >= 0)
            break;
    }
    return i;
}

/* ---- Comparing -------------------------------------------------------------------- */

/* A child's path is its name, and behind that there is a NUL in any case. */
static bool has_path(stem_iter *iter, const model_step *step)
{
    size_t n, at = 0;
    const char *const *names = stem_iter_path(iter, &n);

    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(names[i]);

        if (at + len > step->len || memcmp(step->path + at, names[i], len + 1) != 0)
            return false;
        at += len + 1;
    }
    return at == step->len + 1 && strcmp(stem_iter_key(iter), names[n - 1]) == 0;
}

const char *model_differs(stem_iter *iter, const model_step *step, bool keys_only)
{
    const stem_value *value = stem_iter_value(iter);
    bool is_value_due = !keys_only && (step->kind & STEM_HAS_VALUE);

    if (!has_path(iter, step))
        return "the path";
    if (stem_iter_kind(iter) != step->kind)
        return "the kind";
    if (!is_value_due)
        return value ? "a value that should not be there" : NULL;
    if (!value || !model_value_is(step->value, value))
        return "the value";
    return NULL;
}

const char *model_compare(const model *m, const char *prefix, size_t prefix_len,
                          stem_db *db, const stem_range *range, bool children)
{
    model_walk walk = model_expect(m, prefix, prefix_len, range, children);
    stem_iter *iter = children ? stem_children(db, range) : stem_iter_open(db, range);
    const char *problem = NULL;

    if (range && range->limit != 0 && walk.n > range->limit)
        walk.n = range->limit;
    if (!iter)
        problem = "it does not open";
    for (size_t i = 0; i < walk.n && !problem; i++)
        problem = !stem_iter_next(iter)
                      ? "it ends too early"
                      : model_differs(iter, &walk.steps[i], range && range->keys_only);
    if (!problem && stem_iter_next(iter))
        problem = "it goes on beyond the end";
    if (!problem && (stem_iter_key(iter) || stem_iter_value(iter)))
        problem = "it has an entry after its end";
    if (stem_iter_close(iter) != STEM_OK && !problem)
        problem = stem_errmsg();
    free(walk.steps);
    return problem;
}
