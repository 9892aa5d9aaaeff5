/*
 * What an execution promises (src/net/execution.h), over each engine.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine_support.h"
#include "failing_malloc.h"
#include "net/execution.h"
#include "random.h"

static stem_engine *engine;
static stem_execution *execution;

static void begin(int location)
{
    engine = open_engine(location);
    execution = stem_execution_new(engine);
    ck_assert_ptr_nonnull(execution);
}

static void end(void)
{
    stem_execution_free(execution);
    close_engine(engine);
}

static void execution_put(const char *key, const char *value)
{
    assert_ok(stem_execution_put(execution, slice(key), slice(value)));
}

static void execution_delete(const char *key)
{
    assert_ok(stem_execution_delete(execution, slice(key)));
}

/* NULL for an absent key. */
static void assert_reads(const char *key, const char *expected)
{
    const stem_slice name = slice(key);
    stem_slice value;

    assert_ok(stem_execution_read(execution, &name, 1, &value));
    if (!expected) {
        ck_assert_ptr_null(value.data);
        return;
    }
    ck_assert_ptr_nonnull(value.data);
    ck_assert_uint_eq(value.len, strlen(expected));
    ck_assert_mem_eq(value.data, expected, value.len);
}

static bool is_empty(const char *start, const char *range_end)
{
    bool empty;

    assert_ok(stem_execution_is_empty(execution, slice(start), slice(range_end), &empty));
    return empty;
}

static int commit_execution(void)
{
    int code = stem_execution_commit(execution, false);

    stem_execution_reset(execution);
    return code;
}

/* ---- Reading and writing ---------------------------------------------------------- */

START_TEST(writes_are_read_by_what_follows_and_by_nobody_else_before_the_commit)
{
    begin(_i);
    put(engine, slice("old"), slice("1"));
    execution_put("new", "2");
    execution_put("old", "3");
    assert_reads("new", "2");
    assert_reads("old", "3");
    assert_absent(engine, NULL, slice("new"));
    assert_holds(engine, NULL, slice("old"), slice("1"));
    execution_delete("old");
    assert_reads("old", NULL);

    assert_ok(commit_execution());
    assert_holds(engine, NULL, slice("new"), slice("2"));
    assert_absent(engine, NULL, slice("old"));
    end();
}
END_TEST

START_TEST(keys_and_values_may_hold_any_bytes_and_none)
{
    const stem_slice keys[] = {{"a\0b", 3}, {"a", 1}, {"\xff\0", 2}, {"a\0", 2}};

    begin(_i);
    for (size_t i = 0; i < 4; i++)
        assert_ok(stem_execution_put(execution, keys[i], (stem_slice){"\0\xff", i % 3}));
    for (size_t i = 0; i < 4; i++) {
        stem_slice value;

        assert_ok(stem_execution_read(execution, &keys[i], 1, &value));
        ck_assert_ptr_nonnull(value.data);
        ck_assert_uint_eq(value.len, i % 3);
    }
    assert_ok(commit_execution());
    for (size_t i = 0; i < 4; i++)
        assert_holds(engine, NULL, keys[i], (stem_slice){"\0\xff", i % 3});
    end();
}
END_TEST

START_TEST(of_two_writes_of_a_key_the_later_alone_is_committed)
{
    begin(_i);
    execution_put("a", "first");
    execution_put("b", "1");
    execution_put("a", "22");
    ck_assert_uint_eq(stem_execution_writes(execution), 2);
    ck_assert_uint_eq(stem_execution_bytes(execution), 1 + 2 + 1 + 1);
    execution_delete("a");
    ck_assert_uint_eq(stem_execution_writes(execution), 2);
    ck_assert_uint_eq(stem_execution_bytes(execution), 1 + 1 + 1);
    execution_put("a", "333");
    ck_assert_uint_eq(stem_execution_bytes(execution), 1 + 3 + 1 + 1);
    assert_ok(commit_execution());
    assert_holds(engine, NULL, slice("a"), slice("333"));
    assert_holds(engine, NULL, slice("b"), slice("1"));
    end();
}
END_TEST

START_TEST(what_was_read_stays_as_it_was)
{
    begin(_i);
    put(engine, slice("a"), slice("1"));
    assert_reads("a", "1");
    assert_reads("b", NULL);
    put(engine, slice("a"), slice("2"));
    put(engine, slice("b"), slice("2"));
    assert_reads("a", "1");
    assert_reads("b", NULL);
    stem_execution_reset(execution);
    assert_reads("a", "2");
    assert_reads("b", "2");
    end();
}
END_TEST

START_TEST(many_are_read_at_once_in_the_order_asked_for)
{
    enum { N = 40 };
    char names[N][8];
    stem_slice keys[N + 2], values[N + 2];

    begin(_i);
    for (size_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "%zu", i);
        keys[i] = slice(names[i]);
        if (i % 3 == 0)
            put(engine, keys[i], keys[i]);
    }
    keys[N] = keys[3];
    keys[N + 1] = keys[1];
    execution_put("1", "own");
    assert_reads("6", "6");
    assert_ok(stem_execution_read(execution, keys, N + 2, values));
    for (size_t i = 0; i < N; i++) {
        const stem_slice expected = i == 1       ? slice("own")
                                    : i % 3 == 0 ? keys[i]
                                                 : (stem_slice){NULL, 0};
        ck_assert_int_eq(stem_slice_compare(values[i], expected), 0);
        ck_assert(!values[i].data == !expected.data);
    }
    ck_assert_int_eq(stem_slice_compare(values[N], keys[3]), 0);
    ck_assert_int_eq(stem_slice_compare(values[N + 1], slice("own")), 0);
    end();
}
END_TEST

START_TEST(only_what_may_be_there_is_deleted)
{
    begin(_i);
    assert_reads("absent", NULL);
    execution_delete("absent");
    ck_assert_uint_eq(stem_execution_writes(execution), 0);
    execution_delete("unknown");
    execution_delete("unknown");
    ck_assert_uint_eq(stem_execution_writes(execution), 1);
    end();
}
END_TEST

START_TEST(a_reset_forgets_everything_however_much_it_was)
{
    enum { LARGE = 3 << 20, MANY = 20000 };
    char *large = calloc(1, LARGE), name[16];

    begin(_i);
    for (int round = 0; round < 3; round++) {
        assert_ok(
            stem_execution_put(execution, slice("large"), (stem_slice){large, LARGE}));
        for (int i = 0; i < MANY; i++) {
            snprintf(name, sizeof name, "%d", i);
            execution_put(name, "v");
        }
        ck_assert_uint_eq(stem_execution_writes(execution), MANY + 1);
        assert_reads("19999", "v");
        stem_execution_reset(execution);
        ck_assert_uint_eq(stem_execution_writes(execution), 0);
        ck_assert_uint_eq(stem_execution_bytes(execution), 0);
        assert_reads("19999", NULL);
        assert_ok(commit_execution());
    }
    assert_absent(engine, NULL, slice("0"));
    free(large);
    end();
}
END_TEST

START_TEST(room_is_the_callers_until_the_reset)
{
    char *pieces[200];

    begin(_i);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 200; i++) {
            pieces[i] = stem_execution_room(execution, i * i);
            ck_assert_ptr_nonnull(pieces[i]);
            ck_assert_uint_eq((uintptr_t)pieces[i] % 8, 0);
            memset(pieces[i], (int)i, i * i);
        }
        for (size_t i = 0; i < 200; i++)
            for (size_t j = 0; j < i * i; j += 97)
                ck_assert_int_eq((unsigned char)pieces[i][j], (int)i);
        ck_assert_ptr_null(stem_execution_room(execution, SIZE_MAX));
        ck_assert_ptr_null(stem_execution_room(execution, SIZE_MAX - 100));
        ck_assert_int_eq(stem_errcode(), STEM_ENOMEM);
        stem_execution_reset(execution);
    }
    end();
}
END_TEST

START_TEST(the_versions_of_one_value_cannot_take_all_memory)
{
    enum { LIMIT = 1 << 20, SIZE = 1 << 16 };
    static char value[SIZE];
    int code = STEM_OK, puts = 0;

    begin(_i);
    const size_t most = engine->max_commit_bytes;
    engine->max_commit_bytes = LIMIT;
    stem_execution_free(execution);
    execution = stem_execution_new(engine);
    for (; code == STEM_OK && puts < 1000; puts++)
        code = stem_execution_put(execution, slice("k"), (stem_slice){value, SIZE});
    assert_code(code, STEM_ENOMEM);
    ck_assert_int_ge(puts, LIMIT / SIZE / 2);
    stem_execution_reset(execution);
    execution_put("k", "1");
    assert_ok(commit_execution());
    engine->max_commit_bytes = most;
    end();
}
END_TEST

START_TEST(what_was_read_counts_as_memory_and_cannot_take_all_of_it)
{
    enum { LIMIT = 1 << 20, SIZE = 1 << 18, N = 16 };
    static char value[SIZE];
    char names[N][8];
    stem_slice keys[N], values[N];

    begin(_i);
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        keys[i] = slice(names[i]);
        put(engine, keys[i], (stem_slice){value, SIZE});
    }
    const size_t most = engine->max_commit_bytes;
    engine->max_commit_bytes = LIMIT;
    stem_execution_reset(execution);
    assert_ok(stem_execution_read(execution, keys, 2, values));
    ck_assert_uint_ge(stem_execution_memory(execution), 2 * SIZE);
    int code = STEM_OK;
    for (int i = 2; i < N && code == STEM_OK; i++)
        code = stem_execution_read(execution, &keys[i], 1, values);
    assert_code(code, STEM_ENOMEM);
    assert_code(stem_execution_read(execution, keys, N, values), STEM_ENOMEM);
    /* What comes then has a limit of its own. */
    stem_execution_begin(execution);
    assert_ok(stem_execution_read(execution, &keys[N - 1], 1, values));
    ck_assert_uint_eq(values->len, SIZE);
    stem_execution_reset(execution);
    ck_assert_uint_lt(stem_execution_memory(execution), 2 * SIZE);
    engine->max_commit_bytes = most;
    end();
}
END_TEST

START_TEST(each_who_shares_an_execution_may_write_as_much_as_one_commit_holds)
{
    enum { LIMIT = 1 << 20 };
    static char value[LIMIT - 1];
    static const char *const keys[] = {"a", "b", "c", "d"};

    begin(_i);
    const size_t most = engine->max_commit_bytes;
    engine->max_commit_bytes = LIMIT;
    stem_execution_reset(execution);
    for (int i = 0; i < 4; i++) {
        stem_execution_begin(execution);
        ck_assert_uint_eq(stem_execution_own_bytes(execution), 0);
        assert_ok(stem_execution_put(execution, slice(keys[i]),
                                     (stem_slice){value, sizeof value}));
        ck_assert_uint_eq(stem_execution_own_bytes(execution), 1 + sizeof value);
    }
    ck_assert_uint_eq(stem_execution_bytes(execution), 4 * (1 + sizeof value));
    engine->max_commit_bytes = most;
    end();
}
END_TEST

START_TEST(a_value_of_the_executions_own_is_not_copied)
{
    enum { SIZE = 3 << 20 };

    begin(_i);
    char *value = stem_execution_room(execution, SIZE);
    memset(value, 'x', SIZE);
    const size_t before = stem_execution_memory(execution);
    assert_ok(stem_execution_put_own(execution, slice("k"), (stem_slice){value, SIZE}));
    ck_assert_uint_lt(stem_execution_memory(execution), before + SIZE);
    assert_ok(stem_execution_commit(execution, false));
    assert_holds(engine, NULL, slice("k"), (stem_slice){value, SIZE});
    stem_execution_reset(execution);
    end();
}
END_TEST

/* ---- Whether keys are there ------------------------------------------------------- */

enum { LARGE = 100 << 10, MANY_LARGE = 40 };
static char large_value[LARGE], large_names[MANY_LARGE][8];

/* Every other key is there. */
static void put_large(stem_slice keys[MANY_LARGE])
{
    for (int i = 0; i < MANY_LARGE; i++) {
        snprintf(large_names[i], sizeof large_names[i], "%02d", i);
        keys[i] = slice(large_names[i]);
        if (i % 2 == 0)
            put(engine, keys[i], (stem_slice){large_value, LARGE});
    }
}

START_TEST(whether_large_values_are_there_takes_no_memory)
{
    bool is_there[MANY_LARGE];
    stem_slice keys[MANY_LARGE];

    begin(_i);
    put_large(keys);
    for (int only_reads = 0; only_reads < 2; only_reads++) {
        if (only_reads)
            stem_execution_only_reads(execution);
        assert_ok(stem_execution_has(execution, keys, MANY_LARGE, is_there));
        for (int i = 0; i < MANY_LARGE; i++)
            ck_assert_int_eq(is_there[i], i % 2 == 0);
        ck_assert_uint_lt(stem_execution_memory(execution), 2 * LARGE);
        if (!only_reads)
            ck_assert(!is_empty("00", "01"));
        stem_execution_reset(execution);
    }
    end();
}
END_TEST

START_TEST(a_key_that_was_there_has_to_stay_and_one_that_was_not_to_stay_away)
{
    bool is_there[MANY_LARGE];
    stem_slice keys[MANY_LARGE];

    begin(_i);
    put_large(keys);
    assert_ok(stem_execution_has(execution, keys, MANY_LARGE, is_there));
    execution_delete("00");
    assert_reads("00", NULL);
    execution_put("01", "1");
    assert_ok(commit_execution());
    assert_absent(engine, NULL, keys[0]);

    assert_ok(stem_execution_has(execution, &keys[2], 1, is_there));
    execution_put("x", "1");
    del(engine, keys[2]);
    assert_code(commit_execution(), STEM_CONFLICT);
    assert_ok(stem_execution_has(execution, &keys[3], 1, is_there));
    execution_put("x", "1");
    put(engine, keys[3], slice("1"));
    assert_code(commit_execution(), STEM_CONFLICT);
    assert_absent(engine, NULL, slice("x"));
    end();
}
END_TEST

START_TEST(a_value_is_read_though_only_its_presence_was_known)
{
    bool is_there;
    const stem_slice key = slice("k");
    stem_slice value;

    begin(_i);
    put(engine, key, (stem_slice){large_value, LARGE});
    for (int changes = 0; changes < 2; changes++) {
        assert_ok(stem_execution_has(execution, &key, 1, &is_there));
        ck_assert(is_there);
        if (changes)
            put(engine, key, slice("1"));
        assert_ok(stem_execution_read(execution, &key, 1, &value));
        ck_assert_uint_eq(value.len, changes ? 1 : LARGE);
        const stem_execution_mark mark = stem_execution_note(execution);
        execution_delete("k");
        stem_execution_take_back(execution, mark);
        assert_ok(stem_execution_has(execution, &key, 1, &is_there));
        ck_assert(is_there);
        execution_put("k", "2");
        execution_put("l", "2");
        assert_code(commit_execution(), changes ? STEM_CONFLICT : STEM_OK);
        put(engine, key, (stem_slice){large_value, LARGE});
    }
    end();
}
END_TEST

/* ---- One after the other ---------------------------------------------------------- */

enum { PORTIONS = 3, PORTION = 3 << 20 };

/* Notes how long values are, and puts others in the place of those that come. */
typedef struct visits {
    size_t lens[2 * PORTIONS];
    int n, most;
    bool interferes;
} visits;

static int visit(void *context, stem_slice value)
{
    visits *seen = context;

    seen->lens[seen->n++] = value.data ? value.len : 0;
    if (seen->interferes)
        for (int i = 0; i < PORTIONS; i++)
            put(engine, slice(large_names[i]), slice("1"));
    return seen->n == seen->most ? STEM_CONFLICT : STEM_OK;
}

static void put_portions(stem_slice keys[2 * PORTIONS])
{
    char *value = calloc(1, PORTION);

    for (int i = 0; i < 2 * PORTIONS; i++) {
        snprintf(large_names[i], sizeof large_names[i], "%02d", i);
        keys[i] = slice(large_names[i]);
        if (i < PORTIONS)
            put(engine, keys[i], (stem_slice){value, PORTION});
    }
    free(value);
}

START_TEST(values_are_shown_one_after_the_other_from_one_state)
{
    visits seen = {.interferes = true}, frozen = {.interferes = true}, few = {.most = 2};
    stem_engine_snapshot *snapshot;
    stem_slice keys[2 * PORTIONS];

    begin(_i);
    put_portions(keys);
    assert_ok(engine->ops->snapshot_open(engine, &snapshot));
    stem_execution_only_reads(execution);
    assert_code(
        stem_execution_read_each(execution, NULL, keys, 2 * PORTIONS, visit, &few),
        STEM_CONFLICT);
    ck_assert_int_eq(few.n, 2);
    assert_ok(
        stem_execution_read_each(execution, NULL, keys, 2 * PORTIONS, visit, &seen));
    stem_execution_reset(execution);
    assert_ok(stem_execution_read_each(execution, snapshot, keys, 2 * PORTIONS, visit,
                                       &frozen));
    ck_assert_int_eq(seen.n, 2 * PORTIONS);
    ck_assert_int_eq(frozen.n, 2 * PORTIONS);
    for (int i = 0; i < 2 * PORTIONS; i++) {
        ck_assert_uint_eq(seen.lens[i], i < PORTIONS ? PORTION : 0);
        ck_assert_uint_eq(frozen.lens[i], seen.lens[i]);
    }
    ck_assert_uint_lt(stem_execution_memory(execution), PORTION);
    engine->ops->snapshot_close(engine, snapshot);
    end();
}
END_TEST

START_TEST(values_among_writes_are_shown_as_they_were_written)
{
    visits seen = {.n = 0};
    stem_slice keys[2 * PORTIONS];

    begin(_i);
    put_portions(keys);
    execution_put("00", "22");
    execution_put("05", "333");
    execution_delete("02");
    assert_ok(
        stem_execution_read_each(execution, NULL, keys, 2 * PORTIONS, visit, &seen));
    ck_assert_uint_eq(seen.lens[0], 2);
    ck_assert_uint_eq(seen.lens[1], PORTION);
    ck_assert_uint_eq(seen.lens[2], 0);
    ck_assert_uint_eq(seen.lens[5], 3);
    put(engine, keys[1], slice("1"));
    assert_code(commit_execution(), STEM_CONFLICT);
    end();
}
END_TEST

/* ---- Expectations ----------------------------------------------------------------- */

START_TEST(a_write_that_read_nothing_expects_nothing)
{
    begin(_i);
    execution_put("a", "1");
    execution_delete("b");
    put(engine, slice("a"), slice("2"));
    put(engine, slice("b"), slice("2"));
    assert_ok(commit_execution());
    assert_holds(engine, NULL, slice("a"), slice("1"));
    assert_absent(engine, NULL, slice("b"));
    end();
}
END_TEST

START_TEST(a_commit_conflicts_once_what_it_read_is_different)
{
    begin(_i);
    for (int what = 0; what < 3; what++) {
        put(engine, slice("read"), slice("1"));
        del(engine, slice("absent"));
        assert_reads("read", "1");
        assert_reads("absent", NULL);
        execution_put("written", "1");
        if (what == 0)
            put(engine, slice("read"), slice("2"));
        else if (what == 1)
            del(engine, slice("read"));
        else
            put(engine, slice("absent"), slice(""));
        assert_code(commit_execution(), STEM_CONFLICT);
        assert_absent(engine, NULL, slice("written"));
    }
    end();
}
END_TEST

START_TEST(what_is_again_as_it_was_read_is_no_conflict)
{
    begin(_i);
    put(engine, slice("a"), slice("1"));
    assert_reads("a", "1");
    assert_reads("b", NULL);
    execution_put("a", "10");
    put(engine, slice("a"), slice("2"));
    put(engine, slice("a"), slice("1"));
    put(engine, slice("b"), slice("1"));
    del(engine, slice("b"));
    put(engine, slice("c"), slice("1"));
    assert_ok(commit_execution());
    assert_holds(engine, NULL, slice("a"), slice("10"));
    end();
}
END_TEST

START_TEST(reads_alone_conflict_unless_they_were_of_one_moment)
{
    begin(_i);
    const stem_slice keys[] = {slice("a"), slice("b")};
    stem_slice values[2];

    assert_ok(stem_execution_read(execution, keys, 2, values));
    put(engine, slice("a"), slice("1"));
    assert_ok(commit_execution());

    assert_reads("a", "1");
    put(engine, slice("a"), slice("2"));
    put(engine, slice("b"), slice("2"));
    assert_reads("b", "2");
    assert_code(commit_execution(), STEM_CONFLICT);

    assert_reads("a", "2");
    assert_reads("b", "2");
    assert_ok(commit_execution());
    end();
}
END_TEST

START_TEST(only_reading_follows_the_engine_expects_nothing_and_does_not_write)
{
    enum { N = 20 };
    stem_slice keys[N], values[N];

    begin(_i);
    stem_execution_only_reads(execution);
    assert_reads("a", NULL);
    put(engine, slice("a"), slice("1"));
    assert_reads("a", "1");
    ck_assert(!is_empty("a", "b"));
    ck_assert(is_empty("b", "c"));
    for (size_t i = 0; i < N; i++)
        keys[i] = slice(i % 2 ? "a" : "b");
    assert_ok(stem_execution_read(execution, keys, N, values));
    for (size_t i = 0; i < N; i++)
        ck_assert(!values[i].data == !(i % 2));
    assert_code(stem_execution_put(execution, slice("a"), slice("2")), STEM_EREADONLY);
    assert_code(stem_execution_delete(execution, slice("a")), STEM_EREADONLY);
    put(engine, slice("a"), slice("3"));
    put(engine, slice("b"), slice("3"));
    assert_ok(commit_execution());

    execution_put("a", "4");
    assert_ok(commit_execution());
    assert_holds(engine, NULL, slice("a"), slice("4"));
    end();
}
END_TEST

/* ---- Empty ranges ----------------------------------------------------------------- */

START_TEST(a_range_is_empty_when_neither_engine_nor_overlay_has_a_key_there)
{
    begin(_i);
    put(engine, slice("a"), slice(""));
    put(engine, slice("m1"), slice("1"));
    put(engine, slice("m2"), slice("1"));
    ck_assert(is_empty("m3", "z"));
    ck_assert(is_empty("m3", ""));
    ck_assert(is_empty("b", "m1"));
    ck_assert(!is_empty("b", "m10"));
    ck_assert(!is_empty("", "b"));
    execution_put("n", "1");
    ck_assert(!is_empty("m3", "z"));
    ck_assert(!is_empty("m3", ""));
    ck_assert(is_empty("o", ""));
    execution_delete("n");
    ck_assert(is_empty("m3", "z"));
    execution_delete("m2");
    ck_assert(is_empty("m2", "z"));
    ck_assert(!is_empty("m", "z"));
    execution_delete("m1");
    ck_assert(is_empty("m", "z"));
    ck_assert(!is_empty("", ""));
    ck_assert(is_empty("m1", "m1"));
    end();
}
END_TEST

START_TEST(a_range_found_empty_has_to_stay_so)
{
    static const struct {
        const char *put;
        int code;
    } meanwhile[] = {
        {"l", STEM_OK},  {"m", STEM_CONFLICT},  {"m1", STEM_OK}, {"m10", STEM_CONFLICT},
        {"m2", STEM_OK}, {"m3", STEM_CONFLICT}, {"n", STEM_OK},
    };

    begin(_i);
    for (size_t i = 0; i < sizeof meanwhile / sizeof *meanwhile; i++) {
        put(engine, slice("m1"), slice("1"));
        put(engine, slice("m2"), slice("1"));
        execution_delete("m1");
        execution_delete("m2");
        ck_assert(is_empty("m", "n"));
        put(engine, slice(meanwhile[i].put), slice("x"));
        ck_assert_msg(commit_execution() == meanwhile[i].code, "with %s",
                      meanwhile[i].put);
        del(engine, slice(meanwhile[i].put));
    }
    end();
}
END_TEST

START_TEST(a_key_that_made_a_range_not_empty_has_to_stay)
{
    begin(_i);
    put(engine, slice("m"), slice("1"));
    ck_assert(!is_empty("a", ""));
    execution_put("z", "1");
    put(engine, slice("n"), slice("1"));
    assert_ok(commit_execution());

    ck_assert(!is_empty("a", "n"));
    execution_put("z", "2");
    del(engine, slice("m"));
    assert_code(commit_execution(), STEM_CONFLICT);
    end();
}
END_TEST

START_TEST(a_range_that_is_not_what_was_read_before_is_a_conflict)
{
    begin(_i);
    assert_reads("m", NULL);
    put(engine, slice("m"), slice("1"));
    is_empty("a", "z");
    execution_put("zz", "1");
    assert_code(commit_execution(), STEM_CONFLICT);
    end();
}
END_TEST

/* ---- Taking back ------------------------------------------------------------------ */

START_TEST(writes_since_a_mark_are_taken_back)
{
    begin(_i);
    put(engine, slice("a"), slice("0"));
    execution_put("a", "1");
    execution_put("b", "22");
    const stem_execution_mark mark = stem_execution_note(execution);
    const size_t bytes = stem_execution_bytes(execution);
    execution_delete("a");
    execution_put("b", "3");
    execution_put("b", "33");
    execution_put("c", "3");
    stem_execution_take_back(execution, mark);
    ck_assert_uint_eq(stem_execution_writes(execution), 2);
    ck_assert_uint_eq(stem_execution_bytes(execution), bytes);
    assert_reads("a", "1");
    assert_reads("b", "22");
    assert_reads("c", NULL);
    assert_ok(commit_execution());
    assert_holds(engine, NULL, slice("a"), slice("1"));
    assert_holds(engine, NULL, slice("b"), slice("22"));
    assert_absent(engine, NULL, slice("c"));
    end();
}
END_TEST

START_TEST(what_was_read_since_a_mark_stays_expected)
{
    begin(_i);
    execution_put("a", "1");
    const stem_execution_mark mark = stem_execution_note(execution);
    assert_reads("b", NULL);
    execution_put("b", "1");
    stem_execution_take_back(execution, mark);
    put(engine, slice("b"), slice("2"));
    assert_code(commit_execution(), STEM_CONFLICT);
    end();
}
END_TEST

enum { MODEL_KEYS = 12, MODEL_MARKS = 6 };

/* What each key holds: 0 for nothing. */
typedef struct state {
    int values[MODEL_KEYS];
} state;

static void assert_state(const state *expected)
{
    char name[16], value[16];

    for (int k = 0; k < MODEL_KEYS; k++) {
        snprintf(name, sizeof name, "k%d", k);
        snprintf(value, sizeof value, "%d", expected->values[k]);
        assert_reads(name, expected->values[k] ? value : NULL);
    }
}

/* Writes at random, and goes back to marks that nest, as a model does. */
static void run_model(state *now)
{
    stem_execution_mark marks[MODEL_MARKS];
    state at_mark[MODEL_MARKS];
    int n_marks = 0;
    char name[16], value[16];

    for (int step = 0; step < 60; step++) {
        const int k = (int)random_below(MODEL_KEYS), v = 1 + (int)random_below(99);
        const uint32_t dice = random_below(10);

        snprintf(name, sizeof name, "k%d", k);
        snprintf(value, sizeof value, "%d", v);
        if (dice < 5) {
            execution_put(name, value);
            now->values[k] = v;
        } else if (dice < 7) {
            execution_delete(name);
            now->values[k] = 0;
        } else if (dice == 7) {
            assert_state(now);
        } else if (dice == 8 && n_marks < MODEL_MARKS) {
            at_mark[n_marks] = *now;
            marks[n_marks++] = stem_execution_note(execution);
        } else if (n_marks > 0) {
            stem_execution_take_back(execution, marks[--n_marks]);
            *now = at_mark[n_marks];
        }
    }
}

START_TEST(random_writes_and_marks_leave_what_a_model_says)
{
    state now = {{0}};

    begin(_i);
    random_start();
    for (int round = 0; round < 60; round++) {
        run_model(&now);
        assert_ok(commit_execution());
        assert_state(&now);
        stem_execution_reset(execution);
    }
    end();
}
END_TEST

/* ---- Out of memory ---------------------------------------------------------------- */

/* Every kind of call once; the first code that is not STEM_OK. */
static int do_everything(void)
{
    enum { N = 20 };
    static char large[9000];
    stem_slice keys[N], values[N];
    char names[N][8];
    bool empty;
    int code = STEM_OK;

    for (size_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "%zu", i);
        keys[i] = slice(names[i]);
    }
    for (size_t i = 0; i < N && code == STEM_OK; i++)
        code = stem_execution_put(execution, keys[i], (stem_slice){large, i * 400});
    if (code == STEM_OK)
        code = stem_execution_delete(execution, slice("unknown"));
    if (code == STEM_OK)
        code = stem_execution_read(execution, keys, N, values);
    for (size_t i = 0; i < N && code == STEM_OK; i++) {
        names[i][0] = (char)('a' + i);
        code = stem_execution_read(execution, &keys[i], 1, values);
    }
    if (code == STEM_OK)
        code = stem_execution_is_empty(execution, slice("x"), slice("y"), &empty);
    return code;
}

START_TEST(whatever_memory_runs_out_in_can_be_done_again)
{
    int refused = 0;

    begin(_i);
    for (unsigned long granted = 0;; granted++) {
        int code;

        stem_execution_free(execution);
        execution = stem_execution_new(engine);
        mallocs_refused = 0;
        mallocs_granted = granted;
        malloc_recovers = true;
        out_of_memory(code = do_everything());
        mallocs_granted = 0;
        if (mallocs_refused == 0)
            break;
        if (code != STEM_OK) {
            assert_code(code, STEM_ENOMEM);
            refused++;
        }
        assert_ok(do_everything());
        ck_assert_uint_eq(stem_execution_writes(execution), 21);
        ck_assert_int_lt((int)granted, 10000);
    }
    ck_assert_int_gt(refused, 5);
    malloc_recovers = false;
    stem_execution *none;
    out_of_memory(none = stem_execution_new(engine));
    ck_assert_ptr_null(none);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("execution");
    TCase *tcase = add_case(suite, "reading and writing", 60);

    add_engine_test(tcase,
                    writes_are_read_by_what_follows_and_by_nobody_else_before_the_commit);
    add_engine_test(tcase, keys_and_values_may_hold_any_bytes_and_none);
    add_engine_test(tcase, of_two_writes_of_a_key_the_later_alone_is_committed);
    add_engine_test(tcase, what_was_read_stays_as_it_was);
    add_engine_test(tcase, many_are_read_at_once_in_the_order_asked_for);
    add_engine_test(tcase, only_what_may_be_there_is_deleted);
    add_engine_test(tcase, a_reset_forgets_everything_however_much_it_was);
    add_engine_test(tcase, room_is_the_callers_until_the_reset);
    add_engine_test(tcase, the_versions_of_one_value_cannot_take_all_memory);
    add_engine_test(tcase, what_was_read_counts_as_memory_and_cannot_take_all_of_it);
    add_engine_test(tcase,
                    each_who_shares_an_execution_may_write_as_much_as_one_commit_holds);
    add_engine_test(tcase, a_value_of_the_executions_own_is_not_copied);

    tcase = add_case(suite, "presence", 60);
    add_local_engine_test(tcase, whether_large_values_are_there_takes_no_memory);
    add_engine_test(tcase,
                    a_key_that_was_there_has_to_stay_and_one_that_was_not_to_stay_away);
    add_local_engine_test(tcase, a_value_is_read_though_only_its_presence_was_known);

    tcase = add_case(suite, "one after the other", 60);
    add_engine_test(tcase, values_are_shown_one_after_the_other_from_one_state);
    add_engine_test(tcase, values_among_writes_are_shown_as_they_were_written);

    tcase = add_case(suite, "expectations", 60);
    add_engine_test(tcase, a_write_that_read_nothing_expects_nothing);
    add_engine_test(tcase, a_commit_conflicts_once_what_it_read_is_different);
    add_engine_test(tcase, what_is_again_as_it_was_read_is_no_conflict);
    add_engine_test(tcase, reads_alone_conflict_unless_they_were_of_one_moment);
    add_engine_test(tcase,
                    only_reading_follows_the_engine_expects_nothing_and_does_not_write);

    tcase = add_case(suite, "empty ranges", 60);
    add_engine_test(tcase,
                    a_range_is_empty_when_neither_engine_nor_overlay_has_a_key_there);
    add_engine_test(tcase, a_range_found_empty_has_to_stay_so);
    add_engine_test(tcase, a_key_that_made_a_range_not_empty_has_to_stay);
    add_engine_test(tcase, a_range_that_is_not_what_was_read_before_is_a_conflict);

    tcase = add_case(suite, "taking back", 60);
    add_engine_test(tcase, writes_since_a_mark_are_taken_back);
    add_engine_test(tcase, what_was_read_since_a_mark_stays_expected);
    add_engine_test(tcase, random_writes_and_marks_leave_what_a_model_says);

    tcase = add_case(suite, "out of memory", 60);
    add_local_engine_test(tcase, whatever_memory_runs_out_in_can_be_done_again);
    return run_suite(suite);
}
