/*
 * Taking the first or the last entries of a range: a queue or a stack.
 *
 * What was found is taken out in one commit that expects each entry to hold what was read and
 * nothing to lie before, between or, when fewer were found than asked for, behind them.
 */
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "error.h"
#include "path.h"
#include "value.h"

/* One entry as it is stored. */
typedef struct found {
    char *bytes; /* owned; holds the key, a NUL and the value */
    stem_slice key, value;
} found;

struct haul {
    found *items;
    size_t n, room;
    stem_span span;
    bool is_reverse;
};

static void free_items(struct haul *haul)
{
    for (size_t i = 0; i < haul->n; i++)
        free(haul->items[i].bytes);
    haul->n = 0;
}

static int add_item(struct haul *haul, stem_slice key, stem_slice value)
{
    if (haul->n == haul->room) {
        size_t room = haul->room ? 2 * haul->room : 8;
        found *larger = realloc(haul->items, room * sizeof *larger);

        if (!larger)
            return stem_fail(STEM_ENOMEM, "no memory for %zu entries", room);
        haul->items = larger;
        haul->room = room;
    }
    /* The NUL behind the key is for the successor that an empty range begins with. */
    found *item = &haul->items[haul->n];
    item->bytes = malloc(key.len + 1 + value.len);
    if (!item->bytes)
        return stem_fail(STEM_ENOMEM, "no memory for an entry of %zu bytes",
                         key.len + value.len);
    item->key = (stem_slice){item->bytes, key.len};
    item->value = (stem_slice){item->bytes + key.len + 1, value.len};
    memcpy(item->bytes, key.data, key.len);
    item->bytes[key.len] = '\0';
    if (value.len > 0)
        memcpy(item->bytes + key.len + 1, value.data, value.len);
    haul->n++;
    return STEM_OK;
}

static int find_once(const stem_db *db, size_t n, struct haul *haul)
{
    const stem_engine_ops *ops = db->engine->ops;
    stem_engine_iter *iter;

    free_items(haul);
    int code =
        ops->iter_open(db->engine, NULL, &haul->span.range, haul->is_reverse, &iter);
    if (code != STEM_OK)
        return code;
    while (haul->n < n && code == STEM_OK) {
        stem_slice key, value;

        code = ops->iter_next(iter, &key, &value);
        if (code == STEM_OK)
            code = add_item(haul, key, value);
    }
    ops->iter_close(iter);
    return code == STEM_NOTFOUND ? STEM_OK : code;
}

/* Finds up to `n` entries from the end it takes from; once more when a server is another by
 * now, which knows nothing of the walk. */
static int find(const stem_db *db, size_t n, struct haul *haul)
{
    int code, n_gone = 0;

    do
        code = find_once(db, n, haul);
    while (code == STEM_EGONE && ++n_gone < STEM_STATES_MAX);
    return code;
}

static stem_slice successor(const found *item)
{
    return (stem_slice){item->key.data, item->key.len + 1};
}

/* Fills the expectations: every item, and the gaps from the near end of the range over the
 * items to, when there was nothing more, the far end. */
static size_t expect(const struct haul *haul, bool is_all, stem_expectation *expectations)
{
    const stem_engine_range *range = &haul->span.range;
    size_t n = 0;

    for (size_t i = 0; i < haul->n; i++) {
        const found *item = &haul->items[i];
        const found *before = i > 0 ? &haul->items[i - 1] : NULL;
        stem_expectation gap = {.kind = STEM_EXPECT_EMPTY};

        if (haul->is_reverse) {
            gap.key = successor(item);
            gap.value = before ? before->key : range->end;
        } else {
            gap.key = before ? successor(before) : range->start;
            gap.value = item->key;
        }
        expectations[n++] = gap;
        expectations[n++] = (stem_expectation){
            .kind = STEM_EXPECT_EQUAL, .key = item->key, .value = item->value};
    }
    if (is_all) {
        const found *last = &haul->items[haul->n - 1];
        stem_expectation rest = {.kind = STEM_EXPECT_EMPTY};

        rest.key = haul->is_reverse ? range->start : successor(last);
        rest.value = haul->is_reverse ? last->key : range->end;
        expectations[n++] = rest;
    }
    return n;
}

static int take(const stem_db *db, const struct haul *haul, bool is_all)
{
    stem_expectation *expectations = malloc((2 * haul->n + 1) * sizeof *expectations);
    stem_write *writes = malloc(haul->n * sizeof *writes);
    size_t failed;
    int code;

    if (expectations && writes) {
        for (size_t i = 0; i < haul->n; i++)
            writes[i] = (stem_write){.key = haul->items[i].key, .is_delete = true};
        const stem_commit commit = {.writes = writes,
                                    .n_writes = haul->n,
                                    .expectations = expectations,
                                    .n_expectations = expect(haul, is_all, expectations),
                                    .sync = db->sync};
        code = db->engine->ops->commit(db->engine, &commit, &failed);
    } else {
        code = stem_fail(STEM_ENOMEM, "no memory to take %zu entries", haul->n);
    }
    free(expectations);
    free(writes);
    return code;
}

/* ---- What the caller gets --------------------------------------------------------- */

/* The names of a path below the handle, in one block behind their pointers. */
static const char *const *make_names(const char *path, size_t len, size_t *n)
{
    size_t count = 1;

    for (size_t i = 0; i < len; i++)
        count += path[i] == '\0';
    const char **names = malloc(count * sizeof *names + len + 1);
    if (!names) {
        stem_fail(STEM_ENOMEM, "no memory for %zu names", count);
        return NULL;
    }
    char *name = (char *)(names + count);
    memcpy(name, path, len);
    name[len] = '\0';
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1)
        names[i] = name;
    *n = count;
    return names;
}

void stem_entries_free(stem_entry *entries, size_t count)
{
    if (!entries)
        return;
    for (size_t i = 0; i < count; i++) {
        free((void *)entries[i].names);
        stem_value_free(&entries[i].value);
    }
    free(entries);
}

/* A failure names the entry, so that it can be looked at, or removed. */
static int copy_value(const stem_db *db, const found *item, stem_value *value)
{
    int code = stem_value_copy(item->value.data, item->value.len, value);

    if (code == STEM_OK)
        return STEM_OK;
    char *below =
        stem_path_text(item->key.data + db->prefix_len, item->key.len - db->prefix_len);
    if (below)
        stem_failure_locate(code, "entry", below);
    free(below);
    return code;
}

/* Makes the result before anything is taken out, so that nothing taken out can be lost. */
static int make_entries(const stem_db *db, const struct haul *haul, stem_entry **made)
{
    stem_entry *entries = calloc(haul->n, sizeof *entries);
    int code = STEM_OK;

    if (!entries)
        return stem_fail(STEM_ENOMEM, "no memory for %zu entries", haul->n);
    for (size_t i = 0; i < haul->n && code == STEM_OK; i++) {
        const found *item = &haul->items[i];

        entries[i].names =
            make_names(item->key.data + db->prefix_len, item->key.len - db->prefix_len,
                       &entries[i].n_names);
        code = entries[i].names ? copy_value(db, item, &entries[i].value) : STEM_ENOMEM;
    }
    if (code != STEM_OK) {
        stem_entries_free(entries, haul->n);
        return code;
    }
    *made = entries;
    return STEM_OK;
}

static int pop_once(const stem_db *db, size_t n, struct haul *haul, stem_entry **entries)
{
    stem_entry *made;

    int code = find(db, n, haul);
    if (code != STEM_OK)
        return code;
    if (haul->n == 0)
        return STEM_NOTFOUND;
    code = make_entries(db, haul, &made);
    if (code != STEM_OK)
        return code;
    code = take(db, haul, haul->n < n);
    if (stem_is_applied(code))
        *entries = made;
    else
        stem_entries_free(made, haul->n);
    return code;
}

/* As many as are asked for, or as the range allows. */
static size_t at_most(size_t n, const stem_range *range)
{
    return range && range->limit != 0 && range->limit < n ? (size_t)range->limit : n;
}

static int check_request(const stem_db *db, const stem_range *range,
                         stem_entry *const *entries, const size_t *count)
{
    if (db->is_read_only)
        return stem_fail(STEM_EREADONLY, "the handle only reads");
    if (!entries || !count)
        return stem_fail(STEM_EINVAL, "the place for the entries is NULL");
    if (range && range->shallow)
        return stem_fail(STEM_EINVAL, "a pop takes what lies below its names along");
    return STEM_OK;
}

/* Takes up to `n` entries out of the span; as long as others change what was found, again. */
static int pop_span(const stem_db *db, size_t n, struct haul *haul, stem_entry **entries,
                    size_t *count)
{
    int code;

    if (n == 0) {
        *entries = NULL;
        *count = 0;
        return STEM_OK;
    }
    do
        code = pop_once(db, n, haul, entries);
    while (code == STEM_CONFLICT);
    if (stem_is_applied(code))
        *count = haul->n;
    return code;
}

static int pop_range(stem_db *db, const stem_range *range, size_t n, bool is_reverse,
                     stem_entry **entries, size_t *count)
{
    const char *operation = is_reverse ? "pop last" : "pop first";
    struct haul haul = {.is_reverse = is_reverse};

    int code = stem_db_check(db, operation);
    if (code != STEM_OK)
        return code;
    code = check_request(db, range, entries, count);
    if (code == STEM_OK)
        code = stem_span_make(db, range, false, &haul.span);
    if (code == STEM_OK)
        code = pop_span(db, at_most(n, range), &haul, entries, count);
    free_items(&haul);
    free(haul.items);
    free(haul.span.buffer);
    return code < 0 ? stem_db_fail(db, code, operation, NULL) : code;
}

int stem_pop_first(stem_db *db, const stem_range *range, size_t n, stem_entry **entries,
                   size_t *count)
{
    return pop_range(db, range, n, false, entries, count);
}

int stem_pop_last(stem_db *db, const stem_range *range, size_t n, stem_entry **entries,
                  size_t *count)
{
    return pop_range(db, range, n, true, entries, count);
}
