/*
 * Handles all over one database, beside a model of what each should see; chance; and
 * what a mismatch is told with.
 */
#include "operations.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "support.h"

enum { N_SITES = 24, TEXT_ROOM = 3000 };

model *live;
static site sites[N_SITES];
static const char *location;
static unsigned long long seed;
static size_t operation;
static const char *operation_name;

/* ---- Chance ----------------------------------------------------------------------- */

uint32_t below(uint32_t n)
{
    return random_below(n);
}

const char *any_name(void)
{
    static const char *const names[] = {"a",  "ab",   "a\x01", "a\xff",
                                        "a/", "\x01", "\xff",  "/"};

    return names[below(sizeof names / sizeof *names)];
}

static model_value any_float(void)
{
    const double numbers[] = {0.0,      -0.0,     0.5, 1.0,
                              -DBL_MAX, INFINITY, NAN, 9007199254740992.0};
    model_value value = {STEM_FLOAT, 0};

    memcpy(&value.bits, &numbers[below(sizeof numbers / sizeof *numbers)],
           sizeof value.bits);
    return value;
}

model_value any_value(void)
{
    static const int64_t extremes[] = {
        INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1, 9007199254740993,
    };
    static const uint64_t large[] = {(uint64_t)1 << 63, ((uint64_t)1 << 63) + 1,
                                     UINT64_MAX};

    switch (below(10)) {
    case 0:
        return (model_value){STEM_INT, extremes[below(5)]};
    case 1:
        return (model_value){STEM_UINT, (int64_t)large[below(3)]};
    case 2:
    case 3:
        return any_float();
    case 4:
        return (model_value){STEM_STR, below(MODEL_STRINGS)};
    default:
        return (model_value){STEM_INT, (int64_t)below(7) - 3};
    }
}

static const char *any_bound(void)
{
    return below(8) == 0 ? "" : any_name();
}

stem_range any_range(void)
{
    stem_range range = {.reverse = below(2)};

    switch (below(6)) {
    case 0:
        range.gt = any_bound();
        break;
    case 1:
        range.gte = any_bound();
        range.lt = any_bound();
        break;
    case 2:
        range.lte = any_bound();
        break;
    case 3:
        range.prefix = any_bound();
        break;
    case 4:
        range.gt = any_bound();
        range.lte = any_bound();
        range.prefix = any_bound();
        break;
    default:
        break;
    }
    if (below(2) == 0)
        range.limit = 1 + below(5);
    return range;
}

/* ---- Mismatches ------------------------------------------------------------------- */

/* Appends bytes that may be anything, as long as there is room. */
static void append(char *text, const char *bytes, size_t len)
{
    size_t end = strlen(text);

    for (size_t i = 0; i < len && end + 8 < TEXT_ROOM; i++)
        end += (size_t)sprintf(text + end,
                               bytes[i] > ' ' && bytes[i] <= '~' ? "%c" : "\\x%02x",
                               (unsigned char)bytes[i]);
}

static void append_value(char *text, const stem_value *value)
{
    char number[40];

    switch (value->type) {
    case STEM_STR:
        append(text, "\"", 1);
        append(text, value->as.str.data, value->as.str.len < 8 ? value->as.str.len : 8);
        snprintf(number, sizeof number, "\"(%zu)", value->as.str.len);
        break;
    case STEM_FLOAT:
        snprintf(number, sizeof number, "%af", value->as.real);
        break;
    case STEM_UINT:
        snprintf(number, sizeof number, "%lluu", (unsigned long long)value->as.unsigned_);
        break;
    case STEM_INT:
        snprintf(number, sizeof number, "%lld", (long long)value->as.integer);
        break;
    default:
        snprintf(number, sizeof number, "<%s>", stem_type_name(value->type));
    }
    append(text, number, strlen(number));
}

void mismatch(const site *at, const char *key, const char *what, const char *expected,
              const char *found)
{
    static char key_text[TEXT_ROOM];
    char *path = stem_path(at->db);

    append(key_text, key ? key : "", key ? strlen(key) : 0);
    ck_abort_msg("STEM_TEST_SEED=%llu, operation %zu, %s: %s, key '%s' below '%s'%s: "
                 "expected %s, found %s (last error: %s)",
                 seed, operation, operation_name, what, key_text, path,
                 at->frozen         ? " (a snapshot)"
                 : at->is_read_only ? " (read-only)"
                                    : "",
                 expected, found, stem_errmsg());
    abort();
}

void check_code(const site *at, const char *key, const char *what, int found,
                int expected)
{
    if (found != expected)
        mismatch(at, key, what, stem_strerror(expected), stem_strerror(found));
}

void check_number(const site *at, const char *key, const char *what, long long found,
                  long long expected)
{
    char texts[2][24];

    if (found == expected)
        return;
    snprintf(texts[0], sizeof texts[0], "%lld", expected);
    snprintf(texts[1], sizeof texts[1], "%lld", found);
    mismatch(at, key, what, texts[0], texts[1]);
}

void check_value(const site *at, const char *key, const char *what,
                 const stem_value *found, model_value expected)
{
    static char texts[2][TEXT_ROOM];
    const stem_value stored = model_value_stored(expected);

    if (model_value_is(expected, found))
        return;
    append_value(texts[0], &stored);
    append_value(texts[1], found);
    mismatch(at, key, what, texts[0], texts[1]);
}

static void list_expected(const model_walk *walk, char *text)
{
    for (size_t i = 0; i < walk->n; i++) {
        const stem_value value = model_value_stored(walk->steps[i].value);

        append(text, walk->steps[i].path, walk->steps[i].len);
        append(text, "=", 1);
        if (walk->steps[i].kind & STEM_HAS_VALUE)
            append_value(text, &value);
        append(text, ",", 1);
    }
}

static void list_found(stem_iter *iter, char *text)
{
    while (stem_iter_next(iter)) {
        size_t n;
        const char *const *names = stem_iter_path(iter, &n);

        for (size_t i = 0; i < n; i++)
            append(text, names[i], strlen(names[i]) + (i + 1 < n));
        append(text, "=", 1);
        if (stem_iter_value(iter))
            append_value(text, stem_iter_value(iter));
        append(text, ",", 1);
    }
    stem_iter_close(iter);
}

void check_walk(const site *at, const stem_range *range, bool children)
{
    static char texts[2][TEXT_ROOM];
    const char *problem =
        model_compare(view_of(at), at->prefix, at->prefix_len, at->db, range, children);

    if (!problem)
        return;
    model_walk walk =
        model_expect(view_of(at), at->prefix, at->prefix_len, range, children);
    if (range && range->limit != 0 && walk.n > range->limit)
        walk.n = range->limit;
    list_expected(&walk, texts[0]);
    list_found(children ? stem_children(at->db, range) : stem_iter_open(at->db, range),
               texts[1]);
    mismatch(at, NULL, problem, texts[0], texts[1]);
}

/* ---- The model through a handle --------------------------------------------------- */

const model *view_of(const site *at)
{
    return at->frozen ? at->frozen : live;
}

/* The stored path of a key; borrowed until the next call. */
static const char *path_of(const site *at, const char *key, size_t *len)
{
    static char path[2 * PATH_ROOM];

    memcpy(path, at->prefix, at->prefix_len);
    strcpy(path + at->prefix_len, key);
    *len = at->prefix_len + strlen(key);
    return path;
}

holding held(const site *at, const char *key)
{
    size_t len;
    const char *path = path_of(at, key, &len);
    const model_entry *entry = model_get(view_of(at), path, len);

    return entry ? (holding){true, entry->value} : (holding){false, {STEM_NIL, 0}};
}

void set_held(const site *at, const char *key, model_value value)
{
    size_t len;
    const char *path = path_of(at, key, &len);

    model_put(live, path, len, value);
}

void drop_held(const site *at, const char *key)
{
    size_t len;
    const char *path = path_of(at, key, &len);

    model_del(live, path, len);
}

void drop_steps(const site *at, const model_walk *walk, size_t limit)
{
    for (size_t i = 0; i < walk->n && i < limit; i++)
        model_del(live, walk->steps[i].path - at->prefix_len,
                  walk->steps[i].len + at->prefix_len);
}

int if_writable(const site *at, int code)
{
    return at->is_read_only ? STEM_EREADONLY : code;
}

/* ---- Handles ---------------------------------------------------------------------- */

site *any_site(void)
{
    return &sites[below(N_SITES)];
}

static void leave(site *at)
{
    assert_ok(stem_close(at->db));
    if (at->frozen)
        model_free(at->frozen);
    *at = (site){0};
}

/* A handle below another, by up to as many names as there is depth left. */
static site derive(const site *from)
{
    site made = *from;
    const char *const names[] = {any_name(), any_name(), any_name()};
    size_t n = below((uint32_t)(DEPTH_MAX - from->depth) + 1);

    for (size_t i = 0; i < n; i++) {
        strcpy(made.prefix + made.prefix_len, names[i]);
        made.prefix_len += strlen(names[i]) + 1;
    }
    made.depth += (int)n;
    made.db = n > 0 ? stem_sub_path(from->db, names, n) : stem_dup(from->db);
    made.frozen = from->frozen ? model_copy(from->frozen) : NULL;
    if (!made.db)
        mismatch(from, names[0], "a handle below", "one", "none");
    return made;
}

/* Puts another handle on the same place into its stead. */
static void exchange(site *at, stem_db *db)
{
    if (!db)
        mismatch(at, NULL, "another handle", "one", "none");
    assert_ok(stem_close(at->db));
    at->db = db;
    at->is_read_only = true;
}

void replace_site(void)
{
    site *to = &sites[1 + below(N_SITES - 1)];
    site made = derive(below(2) == 0 ? any_site() : &sites[0]);
    uint32_t kind = below(16);

    if (kind == 0) {
        exchange(&made, stem_read_only(made.db));
    } else if (kind < 3 && !made.frozen) {
        exchange(&made, stem_snapshot(made.db));
        made.frozen = model_copy(live);
    }
    leave(to);
    *to = made;
}

/* ---- Run -------------------------------------------------------------------------- */

static void open_sites(void)
{
    assert_ok(stem_open(&sites[0].db, location, NULL));
    check_walk(&sites[0], NULL, false);
    for (int i = 1; i < N_SITES; i++)
        sites[i] = derive(&sites[0]);
}

static void leave_sites(void)
{
    for (int i = 0; i < N_SITES; i++)
        leave(&sites[i]);
}

static void check_sites(void)
{
    for (int i = 0; i < N_SITES; i++)
        check_walk(&sites[i], NULL, false);
}

void operations_start(const char *where, unsigned long long from_seed)
{
    location = where;
    seed = random_state = from_seed;
    operation = 0;
    operation_name = "open";
    live = model_new();
    open_sites();
}

void operations_next(const char *name)
{
    operation++;
    operation_name = name;
}

void operations_reopen(void)
{
    operation_name = "everything before closing";
    check_sites();
    leave_sites();
    operation_name = "everything after reopening";
    open_sites();
    check_sites();
}

void operations_stop(void)
{
    leave_sites();
    model_free(live);
}
