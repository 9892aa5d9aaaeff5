/*
 * No handle sees or changes an entry outside its own: random operations through random
 * handles, each compared with a model. The names are prefixes of each other, hold every
 * byte but NUL, and are up to the limit.
 *
 * STEM_TEST_SEED brings a failure back, STEM_TEST_OPERATIONS makes a longer run.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "random.h"

enum {
    N_PLACES = 48,
    N_FROZEN = 6, /* places from there on are snapshots */
    DEEP = N_FROZEN,
    DEPTH_MAX = 4,
    OPERATIONS = 130000,
    LOOK_AT_ALL_EVERY = 5000
};

/* A handle, and what it should see. */
typedef struct place {
    stem_db *db;
    char *prefix; /* each name with a NUL behind it */
    size_t prefix_len;
    const char *const *names; /* that the random operations give it as keys */
    model *frozen;            /* of a snapshot: what it saw */
    int depth;
    bool is_read_only;
} place;

static place places[N_PLACES];
static model *live;
static unsigned long long seed;
static size_t operation;

#define check_that(holds, ...)                                                           \
    do {                                                                                 \
        if (!(holds))                                                                    \
            fail_with(__LINE__, __VA_ARGS__);                                            \
    } while (0)

static void fail_with(int line, const place *at, const char *key, const char *what)
{
    char *text = stem_path(at->db);

    ck_abort_msg("line %d: %s, key %.80s below %.300s (STEM_TEST_SEED=%llu, operation "
                 "%zu; %s)",
                 line, what, key ? key : "-", text, seed, operation, stem_errmsg());
}

/* ---- Names ------------------------------------------------------------------------ */

static char longest[STEM_COMPONENT_MAX + 1], longest_too[STEM_COMPONENT_MAX + 1],
    nearly_longest[STEM_COMPONENT_MAX], deep_name[4001], every_byte[256];
static char single_bytes[255][2];

static const char *const alike[] = {
    "a",   "ab",    "abc",       "a\x01", "a\x01\x01", "a\x01z", "a!",       "a/", "a/b",
    "a\\", "a\xff", "a\xff\xff", "\x01",  "\x01\x01",  "\xff",   "\xff\xff", "/",  "\\",
};
enum { N_ALIKE = sizeof alike / sizeof *alike };

static void make_names(void)
{
    memset(longest, 'x', STEM_COMPONENT_MAX);
    memcpy(longest_too, longest, sizeof longest);
    longest_too[STEM_COMPONENT_MAX - 1] = 'y';
    memset(nearly_longest, 'x', STEM_COMPONENT_MAX - 1);
    memset(deep_name, 'd', sizeof deep_name - 1);
    for (int i = 1; i < 256; i++)
        every_byte[i - 1] = single_bytes[i - 1][0] = (char)i;
}

static const char *random_name(void)
{
    const char *const rare[] = {longest, longest_too, nearly_longest, every_byte};
    size_t lot = random_below(100);

    if (lot < 75)
        return alike[random_below(N_ALIKE)];
    return lot < 97 ? single_bytes[random_below(255)] : rare[random_below(4)];
}

/* ---- Places ----------------------------------------------------------------------- */

static const model *view_of(const place *at)
{
    return at->frozen ? at->frozen : live;
}

/* The stored path of a key, in a buffer of this function's; the length, or 0 when it is
 * over the limit. */
static size_t stored_path(const place *at, const char *key, char **path)
{
    static char buffer[STEM_PATH_MAX + STEM_COMPONENT_MAX + 2];
    size_t len = strlen(key);

    memcpy(buffer, at->prefix, at->prefix_len);
    memcpy(buffer + at->prefix_len, key, len);
    *path = buffer;
    len += at->prefix_len;
    return len <= STEM_PATH_MAX ? len : 0;
}

static void leave(place *at)
{
    assert_ok(stem_close(at->db));
    free(at->prefix);
    if (at->frozen)
        model_free(at->frozen);
    *at = (place){0};
}

static place *random_place(void)
{
    return &places[random_below(N_PLACES)];
}

/* A place below another one, or the same one when `n` is 0. */
static place derive(const place *from, const char *const *names, size_t n)
{
    place made = {.prefix_len = from->prefix_len,
                  .depth = from->depth + (int)n,
                  .is_read_only = from->is_read_only};

    made.db = n > 0 ? stem_sub_path(from->db, names, n) : stem_dup(from->db);
    check_that(made.db != NULL, from, NULL, "no handle was derived");
    for (size_t i = 0; i < n; i++)
        made.prefix_len += strlen(names[i]) + 1;
    made.prefix = malloc(made.prefix_len + 1);
    memcpy(made.prefix, from->prefix, from->prefix_len);
    char *end = made.prefix + from->prefix_len;
    for (size_t i = 0; i < n; i++)
        end = stpcpy(end, names[i]) + 1;
    if (from->frozen)
        made.frozen = model_copy(from->frozen);
    return made;
}

/* Turns one place into a sub-database of another, whose own handle is closed first as
 * often as not. The first place stays the root. */
static void move_place(void)
{
    place *to = &places[DEEP + 1 + random_below(N_PLACES - DEEP - 1)];
    place *from = random_below(3) == 0 ? random_place() : &places[0];
    const char *const names[] = {random_name(), random_name(), random_name()};
    uint32_t room = from->depth < DEPTH_MAX ? (uint32_t)(DEPTH_MAX - from->depth) : 0;
    place made;

    if (from == to || from == &places[DEEP] || from->frozen)
        from = &places[0], room = 3;
    made = derive(from, names, room > 0 ? random_below((room < 3 ? room : 3) + 1) : 0);
    if (random_below(8) == 0) {
        stem_db *reader = stem_read_only(made.db);

        assert_ok(stem_close(made.db));
        made.db = reader;
        made.is_read_only = true;
    }
    leave(to);
    *to = made;
}

/* Turns a place into a snapshot, or into a sub-database of one. */
static void freeze_place(void)
{
    place *to = &places[1 + random_below(N_FROZEN - 1)];
    place *from = random_place();
    const char *names[] = {random_name()};
    place made;

    if (from == to || from == &places[DEEP])
        from = &places[0];
    if (from->frozen) {
        made = derive(from, names, from->depth < DEPTH_MAX);
    } else {
        made = derive(from, NULL, 0);
        stem_db *frozen = stem_snapshot(made.db);

        check_that(frozen != NULL, from, NULL, "no snapshot");
        assert_ok(stem_close(made.db));
        made.db = frozen;
        made.frozen = model_copy(live);
    }
    made.is_read_only = true;
    leave(to);
    *to = made;
}

static void open_places(const char *location)
{
    const char *names[] = {longest, longest, longest, longest,  longest, longest,
                           longest, longest, longest, longest,  longest, longest,
                           longest, longest, longest, deep_name};

    assert_ok(stem_open(&places[0].db, location,
                        STEM_OPTIONS(.write_buffer_bytes = 256 << 10)));
    places[0].prefix = calloc(1, 1);
    for (int i = 1; i < N_PLACES; i++)
        places[i] = derive(&places[0], NULL, 0);
    leave(&places[DEEP]);
    places[DEEP] = derive(&places[0], names, 16);
    for (int i = 0; i < 4 * N_PLACES; i++)
        move_place();
}

/* ---- Operations ------------------------------------------------------------------- */

static void put_or_del(bool is_put)
{
    place *at = random_place();
    const char *key = random_name();
    char *path;
    size_t len = stored_path(at, key, &path);
    int64_t value = (int64_t)operation;
    int code = is_put ? stem_put(at->db, key, value) : stem_del(at->db, key);
    int expected = at->is_read_only ? STEM_EREADONLY : len > 0 ? STEM_OK : STEM_EINVAL;

    check_that(code == expected, at, key, is_put ? "put" : "del");
    if (code == STEM_OK && is_put)
        model_put_int(live, path, len, value);
    else if (code == STEM_OK)
        model_del(live, path, len);
}

static void get_or_has(bool is_get)
{
    place *at = random_place();
    const char *key = random_name();
    char *path;
    size_t len = stored_path(at, key, &path);
    const model_entry *entry = len > 0 ? model_get(view_of(at), path, len) : NULL;
    int expected = len == 0 ? STEM_EINVAL : entry ? STEM_OK : STEM_NOTFOUND;
    int64_t value = -1;

    if (is_get) {
        check_that(stem_get_int(at->db, key, &value) == expected, at, key, "get");
        check_that(value == (entry ? entry->value.bits : -1), at, key, "the value");
    } else {
        check_that(stem_has(at->db, key) == expected, at, key, "has");
    }
}

/* Any range, most often a narrow one. */
static stem_range random_range(void)
{
    stem_range range = {
        .reverse = random_below(2),
        .keys_only = random_below(4) == 0,
        .shallow = random_below(4) == 0,
    };

    switch (random_below(6)) {
    case 0:
        range.gt = random_name();
        break;
    case 1:
        range.gte = random_name();
        range.lt = random_name();
        break;
    case 2:
        range.lte = random_name();
        break;
    case 3:
        range.prefix = random_name();
        break;
    default:
        break;
    }
    if (random_below(8) != 0)
        range.limit = 1 + random_below(20);
    return range;
}

static void walk(bool children)
{
    place *at = random_place();
    stem_range range = random_range();
    const char *problem;

    range.shallow &= !children;
    problem =
        model_compare(view_of(at), at->prefix, at->prefix_len, at->db, &range, children);
    check_that(!problem, at, NULL, problem);
}

static void count(void)
{
    place *at = random_place();
    stem_range range = random_range();
    uint64_t found;

    model_walk expected =
        model_expect(view_of(at), at->prefix, at->prefix_len, &range, false);
    check_that(stem_count(at->db, &range, &found) == STEM_OK, at, NULL, "count fails");
    if (range.limit != 0 && expected.n > range.limit)
        expected.n = range.limit;
    check_that(found == expected.n, at, NULL, "the count");
    free(expected.steps);
}

static void look_at_everything(void)
{
    for (int i = 0; i < N_PLACES; i++) {
        const place *at = &places[i];
        const char *problem =
            model_compare(view_of(at), at->prefix, at->prefix_len, at->db, NULL, false);

        check_that(!problem, at, NULL, problem);
    }
}

static void operate(void)
{
    size_t lot = random_below(1000);

    if (lot < 380)
        put_or_del(true);
    else if (lot < 600)
        put_or_del(false);
    else if (lot < 740)
        get_or_has(true);
    else if (lot < 800)
        get_or_has(false);
    else if (lot < 870)
        walk(false);
    else if (lot < 940)
        walk(true);
    else if (lot < 975)
        count();
    else if (lot < 996)
        move_place();
    else
        freeze_place();
}

START_TEST(no_handle_sees_or_changes_an_entry_outside_its_own)
{
    const char *text = getenv("STEM_TEST_OPERATIONS");
    size_t operations = text && *text ? strtoull(text, NULL, 0) : OPERATIONS;

    seed = random_start();
    make_names();
    live = model_new();
    open_places(path_in(temp_dir(), "db"));
    for (operation = 1; operation <= operations; operation++) {
        operate();
        if (operation % LOOK_AT_ALL_EVERY == 0)
            look_at_everything();
    }
    look_at_everything();
    for (int i = 0; i < N_PLACES; i++)
        leave(&places[i]);
    model_free(live);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("isolation");
    TCase *tcase = add_case(suite, "random", 600);

    tcase_add_test(tcase, no_handle_sees_or_changes_an_entry_outside_its_own);
    return run_suite(suite);
}
