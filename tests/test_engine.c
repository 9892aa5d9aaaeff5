/*
 * What every engine promises (src/engine.h), at each of the locations below; an engine joins
 * by adding one. A location may be used by several tests one after another: each begins by
 * removing what is there. test_engine_order.c has iterators, ranges and snapshots.
 */
#include "engine_support.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "translating_engine.h"

/* ---- Reading ---------------------------------------------------------------------- */

START_TEST(a_key_reads_as_it_was_written_whatever_its_bytes)
{
    stem_engine *engine = open_engine(_i);
    char bytes[256];

    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    const stem_slice keys[] = {slice("a"),  {"\0", 1},    {"a\0b", 3},
                               {"\xff", 1}, {bytes, 256}, {bytes + 1, 255}};
    for (size_t i = 0; i < 6; i++)
        put(engine, keys[i], (stem_slice){bytes, i * 40});
    for (size_t i = 0; i < 6; i++)
        assert_holds(engine, NULL, keys[i], (stem_slice){bytes, i * 40});
    put(engine, keys[0], slice("another"));
    assert_holds(engine, NULL, keys[0], slice("another"));
    close_engine(engine);
}
END_TEST

START_TEST(an_absent_key_is_no_failure_and_an_empty_value_is_not_absent)
{
    stem_engine *engine = open_engine(_i);

    put(engine, slice("empty"), slice(""));
    assert_absent(engine, NULL, slice("missing"));
    assert_absent(engine, NULL, slice("empt"));
    assert_absent(engine, NULL, slice("empty1"));
    assert_holds(engine, NULL, slice("empty"), slice(""));
    del(engine, slice("empty"));
    assert_absent(engine, NULL, slice("empty"));
    close_engine(engine);
}
END_TEST

START_TEST(many_keys_are_read_in_the_order_asked_for_each_to_be_freed)
{
    stem_engine *engine = open_engine(_i);
    const stem_slice keys[] = {slice("b"), slice("none"), slice("a"), slice("b")};
    stem_read reads[4];

    put(engine, slice("a"), slice("1"));
    put(engine, slice("b"), slice("22"));
    assert_ok(engine->ops->read(engine, NULL, keys, 0, reads));
    assert_ok(engine->ops->read(engine, NULL, keys, 4, reads));
    assert_bytes(&reads[0], slice("22"));
    ck_assert_ptr_null(reads[1].data);
    assert_bytes(&reads[2], slice("1"));
    assert_bytes(&reads[3], slice("22"));
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq((uintptr_t)reads[i].data % 16, 0);
        free(reads[i].data);
    }
    close_engine(engine);
}
END_TEST

/* Half of them were written lately, and every third is not there. */
START_TEST(of_many_keys_those_that_hold_so_much_are_read_first)
{
    enum { MANY = 200, LEN = 1000, MOST = 10 * LEN };
    static char names[MANY][8], value[LEN];
    stem_engine *engine = open_engine(_i);
    stem_engine_snapshot *snapshot;
    stem_slice keys[MANY];
    stem_read reads[MANY];

    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        keys[i] = slice(names[i]);
        if (i % 3 > 0 && i % 2 > 0)
            put(engine, keys[i], (stem_slice){value, LEN});
    }
    if (engine->ops->flush)
        assert_ok(engine->ops->flush(engine));
    for (int i = 0; i < MANY; i += 2)
        if (i % 3 > 0)
            put(engine, keys[i], (stem_slice){value, LEN});
    assert_ok(engine->ops->snapshot_open(engine, &snapshot));
    for (int frozen = 0; frozen < 2; frozen++)
        for (size_t done = 0, n_read = 0; done < MANY; done += n_read) {
            assert_ok(engine->ops->read_some(engine, frozen ? snapshot : NULL,
                                             keys + done, MANY - done, MOST, reads,
                                             &n_read));
            ck_assert_uint_ge(n_read, 1);
            ck_assert_uint_le(n_read, MANY / 2);
            for (size_t i = 0; i < n_read; i++) {
                ck_assert_int_eq((done + i) % 3 > 0, !!reads[i].data);
                if (reads[i].data)
                    assert_bytes(&reads[i], (stem_slice){value, LEN});
                free(reads[i].data);
            }
        }
    engine->ops->snapshot_close(engine, snapshot);
    close_engine(engine);
}
END_TEST

/* So many that a read of them takes longer than a commit. */
enum { N_ALIKE = 64, N_COMMITS = 2000 };

static const stem_slice *alike_keys(void)
{
    static char names[N_ALIKE][8];
    static stem_slice keys[N_ALIKE];

    for (unsigned i = 0; i < N_ALIKE; i++) {
        names[i][0] = 'k';
        names[i][1] = (char)('0' + i);
        keys[i] = slice(names[i]);
    }
    return keys;
}

typedef struct alike {
    stem_engine *engine;
    const stem_slice *keys; /* which always hold the same */
} alike;

static void *write_alike(void *argument)
{
    const alike *at = argument;

    for (int n = 0; n < N_COMMITS; n++) {
        stem_write writes[N_ALIKE];
        char text[16];

        snprintf(text, sizeof text, "%d", n);
        for (size_t i = 0; i < N_ALIKE; i++)
            writes[i] = (stem_write){at->keys[i], slice(text), false};
        assert_ok(commit(at->engine, writes, N_ALIKE, NULL, 0));
    }
    return NULL;
}

START_TEST(many_keys_are_read_from_one_state)
{
    alike at = {open_engine(_i), alike_keys()};
    pthread_t writer;
    int last = -1;

    pthread_create(&writer, NULL, write_alike, &at);
    while (last < N_COMMITS - 1) {
        stem_read reads[N_ALIKE];
        char text[16] = "";

        assert_ok(at.engine->ops->read(at.engine, NULL, at.keys, N_ALIKE, reads));
        for (size_t i = 0; i < N_ALIKE; i++) {
            ck_assert(!reads[i].data == !reads[0].data);
            if (reads[i].data)
                assert_bytes(&reads[i], (stem_slice){reads[0].data, reads[0].len});
        }
        if (reads[0].data) {
            memcpy(text, reads[0].data, reads[0].len);
            ck_assert_int_ge(atoi(text), last);
            last = atoi(text);
        }
        for (size_t i = 0; i < N_ALIKE; i++)
            free(reads[i].data);
    }
    pthread_join(writer, NULL);
    close_engine(at.engine);
}
END_TEST

/* ---- Committing ------------------------------------------------------------------- */

START_TEST(the_later_of_two_writes_of_one_key_wins)
{
    stem_engine *engine = open_engine(_i);
    const stem_write writes[] = {
        {slice("a"), slice("1"), false}, {slice("a"), slice("2"), false},
        {slice("b"), slice("1"), false}, {slice("b"), slice(""), true},
        {slice("c"), slice(""), true},   {slice("c"), slice("3"), false}};

    put(engine, slice("c"), slice("old"));
    assert_ok(commit(engine, writes, 6, NULL, 0));
    assert_holds(engine, NULL, slice("a"), slice("2"));
    assert_absent(engine, NULL, slice("b"));
    assert_holds(engine, NULL, slice("c"), slice("3"));
    close_engine(engine);
}
END_TEST

START_TEST(a_commit_of_nothing_and_a_delete_of_nothing_are_fine)
{
    stem_engine *engine = open_engine(_i);
    const stem_expectation absent = {.kind = STEM_EXPECT_ABSENT, .key = slice("a")};

    assert_ok(commit(engine, NULL, 0, NULL, 0));
    assert_ok(commit(engine, NULL, 0, &absent, 1));
    del(engine, slice("a"));
    put(engine, slice("a"), slice("1"));
    assert_code(commit(engine, NULL, 0, &absent, 1), STEM_CONFLICT);
    close_engine(engine);
}
END_TEST

START_TEST(a_large_commit_is_applied_whole)
{
    enum { N = 5000 };
    stem_engine *engine = open_engine(_i);
    stem_write *writes = calloc(N, sizeof *writes);
    static char keys[N][16];

    for (int i = 0; i < N; i++) {
        snprintf(keys[i], sizeof keys[i], "%d", i);
        writes[i] = (stem_write){slice(keys[i]), slice(keys[i]), false};
    }
    assert_ok(commit(engine, writes, N, NULL, 0));
    for (int i = 0; i < N; i += 7)
        assert_holds(engine, NULL, slice(keys[i]), slice(keys[i]));
    for (int i = 0; i < N; i++)
        writes[i].is_delete = true;
    assert_ok(commit(engine, writes, N, NULL, 0));
    assert_absent(engine, NULL, slice(keys[0]));
    assert_absent(engine, NULL, slice(keys[N - 1]));
    free(writes);
    close_engine(engine);
}
END_TEST

START_TEST(a_synced_commit_is_like_any_other)
{
    stem_engine *engine = open_engine(_i);
    const stem_write write = {slice("a"), slice("1"), false};
    const stem_commit synced = {.writes = &write, .n_writes = 1, .sync = true};
    size_t failed;

    assert_ok(engine->ops->commit(engine, &synced, &failed));
    assert_holds(engine, NULL, slice("a"), slice("1"));
    assert_ok(engine->ops->sync(engine));
    assert_ok(engine->ops->sync(engine));
    close_engine(engine);
}
END_TEST

/* ---- Expectations ----------------------------------------------------------------- */

/* "a" and "c" are there in each of these cases. */
static const struct {
    stem_expectation expectation;
    int answer;
} cases[] = {
    {{STEM_EXPECT_ABSENT, {"b", 1}, {NULL, 0}, 0}, STEM_OK},
    {{STEM_EXPECT_ABSENT, {"aa", 2}, {NULL, 0}, 0}, STEM_OK},
    {{STEM_EXPECT_ABSENT, {"a", 1}, {NULL, 0}, 0}, STEM_CONFLICT},
    {{STEM_EXPECT_ABSENT, {"empty", 5}, {NULL, 0}, 0}, STEM_CONFLICT},
    {{STEM_EXPECT_EQUAL, {"a", 1}, {"one", 3}, 0}, STEM_OK},
    {{STEM_EXPECT_EQUAL, {"empty", 5}, {"", 0}, 0}, STEM_OK},
    {{STEM_EXPECT_EQUAL, {"a", 1}, {"on", 2}, 0}, STEM_CONFLICT},
    {{STEM_EXPECT_EQUAL, {"a", 1}, {"one\0", 4}, 0}, STEM_CONFLICT},
    {{STEM_EXPECT_EQUAL, {"a", 1}, {"onE", 3}, 0}, STEM_CONFLICT},
    {{STEM_EXPECT_EQUAL, {"a", 1}, {"", 0}, 0}, STEM_CONFLICT},
    {{STEM_EXPECT_EQUAL, {"b", 1}, {"", 0}, 0}, STEM_CONFLICT},
    {{STEM_EXPECT_EQUAL, {"b", 1}, {"one", 3}, 0}, STEM_CONFLICT},
    {{STEM_EXPECT_EMPTY, {"a\0", 2}, {"c", 1}, 0}, STEM_OK},
    {{STEM_EXPECT_EMPTY, {"A", 1}, {"a", 1}, 0}, STEM_OK},
    {{STEM_EXPECT_EMPTY, {"f", 1}, {"", 0}, 0}, STEM_OK},
    {{STEM_EXPECT_EMPTY, {"c", 1}, {"b", 1}, 0}, STEM_OK},
    {{STEM_EXPECT_EMPTY, {"c", 1}, {"c", 1}, 0}, STEM_OK},
    {{STEM_EXPECT_EMPTY, {"", 0}, {"a", 1}, 0}, STEM_OK},
    {{STEM_EXPECT_EMPTY, {"a", 1}, {"a\0", 2}, 0}, STEM_CONFLICT},
    {{STEM_EXPECT_EMPTY, {"b", 1}, {"d", 1}, 0}, STEM_CONFLICT},
    {{STEM_EXPECT_EMPTY, {"c", 1}, {"", 0}, 0}, STEM_CONFLICT},
    {{STEM_EXPECT_EMPTY, {"", 0}, {"", 0}, 0}, STEM_CONFLICT},
};
enum { N_CASES = sizeof cases / sizeof *cases };

START_TEST(each_expectation_holds_or_fails_and_a_conflict_changes_nothing)
{
    stem_engine *engine = open_engine(_i);

    put(engine, slice("a"), slice("one"));
    put(engine, slice("c"), slice("three"));
    put(engine, slice("empty"), slice(""));
    for (size_t i = 0; i < N_CASES; i++) {
        const stem_write writes[] = {{slice("a"), slice("changed"), false},
                                     {slice("c"), slice(""), true},
                                     {slice("new"), slice("x"), false}};
        const stem_expectation *expectation = &cases[i].expectation;

        int code = commit(engine, writes, 3, expectation, 1);
        ck_assert_msg(code == cases[i].answer, "case %zu: %s", i, stem_strerror(code));
        if (code == STEM_OK) {
            assert_holds(engine, NULL, slice("a"), slice("changed"));
            assert_absent(engine, NULL, slice("c"));
            assert_holds(engine, NULL, slice("new"), slice("x"));
            put(engine, slice("a"), slice("one"));
            put(engine, slice("c"), slice("three"));
            del(engine, slice("new"));
        } else {
            ck_assert_uint_eq(last_failed, 0);
            assert_holds(engine, NULL, slice("a"), slice("one"));
            assert_holds(engine, NULL, slice("c"), slice("three"));
            assert_absent(engine, NULL, slice("new"));
        }
    }
    close_engine(engine);
}
END_TEST

START_TEST(failed_is_the_index_of_an_expectation_that_failed)
{
    stem_engine *engine = open_engine(_i);
    const stem_write write = {slice("new"), slice("x"), false};

    put(engine, slice("a"), slice("one"));
    put(engine, slice("c"), slice("three"));
    put(engine, slice("empty"), slice(""));
    for (size_t wrong = 0; wrong < N_CASES; wrong++) {
        stem_expectation all[5];

        if (cases[wrong].answer == STEM_OK)
            continue;
        for (size_t at = 0; at < 5; at++) {
            for (size_t i = 0; i < 5; i++)
                all[i] = cases[i % 2].expectation;
            all[at] = cases[wrong].expectation;
            assert_code(commit(engine, &write, 1, all, 5), STEM_CONFLICT);
            ck_assert_uint_eq(last_failed, at);
        }
    }
    assert_absent(engine, NULL, slice("new"));
    close_engine(engine);
}
END_TEST

START_TEST(expectations_are_judged_before_the_writes_beside_them)
{
    stem_engine *engine = open_engine(_i);
    const stem_write write = {slice("a"), slice("1"), false};
    const stem_expectation absent = {.kind = STEM_EXPECT_ABSENT, .key = slice("a")};

    assert_ok(commit(engine, &write, 1, &absent, 1));
    assert_code(commit(engine, &write, 1, &absent, 1), STEM_CONFLICT);
    close_engine(engine);
}
END_TEST

/* Reads one key with its stamp and makes the expectation that it is still so. */
static stem_expectation expect_same(stem_engine *engine, stem_slice key, char *text)
{
    stem_expectation same = {.kind = STEM_EXPECT_ABSENT, .key = key};
    stem_read read;

    assert_ok(engine->ops->read(engine, NULL, &key, 1, &read));
    same.stamp = read.stamp;
    if (read.data) {
        same.kind = STEM_EXPECT_EQUAL;
        memcpy(text, read.data, read.len);
        same.value = (stem_slice){text, read.len};
    }
    free(read.data);
    return same;
}

START_TEST(a_fresh_stamp_vouches_for_the_key_and_a_stale_one_for_nothing)
{
    stem_engine *engine = open_engine(_i);
    const stem_write write = {slice("other"), slice("x"), false};
    char text[16];

    /* Present, then changed, removed, and put back. */
    put(engine, slice("k"), slice("1"));
    stem_expectation same = expect_same(engine, slice("k"), text);
    assert_ok(commit(engine, &write, 1, &same, 1));
    same = expect_same(engine, slice("k"), text);
    put(engine, slice("k"), slice("2"));
    assert_code(commit(engine, &write, 1, &same, 1), STEM_CONFLICT);
    same = expect_same(engine, slice("k"), text);
    del(engine, slice("k"));
    assert_code(commit(engine, &write, 1, &same, 1), STEM_CONFLICT);
    /* Absent, then there. */
    same = expect_same(engine, slice("k"), text);
    assert_ok(commit(engine, &write, 1, &same, 1));
    same = expect_same(engine, slice("k"), text);
    put(engine, slice("k"), slice("3"));
    assert_code(commit(engine, &write, 1, &same, 1), STEM_CONFLICT);
    /* A stale stamp, but the key is as it was: it is the bytes that count. */
    same = expect_same(engine, slice("k"), text);
    put(engine, slice("k"), slice("4"));
    put(engine, slice("k"), slice("3"));
    assert_ok(commit(engine, &write, 1, &same, 1));
    close_engine(engine);
}
END_TEST

START_TEST(a_stamp_is_stale_after_every_kind_of_commit)
{
    stem_engine *engine = open_engine(_i);
    const stem_write change[] = {{slice("x"), slice("1"), false},
                                 {slice("k"), slice("2"), false},
                                 {slice("y"), slice("1"), false}};
    const stem_write probe = {slice("probe"), slice("1"), false};
    const stem_expectation absent = {.kind = STEM_EXPECT_ABSENT, .key = slice("z")};
    const stem_expectation empty = {STEM_EXPECT_EMPTY, slice("z"), {NULL, 0}, 0};
    char text[16];

    for (int way = 0; way < 5; way++) {
        put(engine, slice("k"), slice("1"));
        stem_expectation same = expect_same(engine, slice("k"), text);
        const stem_commit by[] = {
            {.writes = change, .n_writes = 3},
            {.writes = &change[1], .n_writes = 1, .sync = true},
            {change, 3, &absent, 1, false, false},
            {change, 3, &empty, 1, false, false},
            {change, 3, &empty, 1, false, true},
        };
        assert_ok(engine->ops->commit(engine, &by[way], &last_failed));
        assert_code(commit(engine, &probe, 1, &same, 1), STEM_CONFLICT);
    }
    close_engine(engine);
}
END_TEST

START_TEST(reads_of_a_snapshot_or_of_many_keys_carry_no_stamp_that_lies)
{
    stem_engine *engine = open_engine(_i);
    const stem_slice keys[] = {slice("k"), slice("l")};
    const stem_write write = {slice("other"), slice("x"), false};
    stem_engine_snapshot *snapshot;
    stem_read reads[2];

    put(engine, keys[0], slice("1"));
    assert_ok(engine->ops->snapshot_open(engine, &snapshot));
    put(engine, keys[0], slice("2"));
    assert_ok(engine->ops->read(engine, snapshot, keys, 1, reads));
    assert_bytes(&reads[0], slice("1"));
    const stem_expectation old = {STEM_EXPECT_EQUAL, keys[0], slice("1"), reads[0].stamp};
    assert_code(commit(engine, &write, 1, &old, 1), STEM_CONFLICT);
    free(reads[0].data);
    engine->ops->snapshot_close(engine, snapshot);

    assert_ok(engine->ops->read(engine, NULL, keys, 2, reads));
    const stem_expectation many = {STEM_EXPECT_EQUAL, keys[0], slice("2"),
                                   reads[0].stamp};
    assert_ok(commit(engine, &write, 1, &many, 1));
    put(engine, keys[0], slice("3"));
    assert_code(commit(engine, &write, 1, &many, 1), STEM_CONFLICT);
    free(reads[0].data);
    close_engine(engine);
}
END_TEST

/* ---- Many at once ----------------------------------------------------------------- */

enum { N_THREADS = 4, N_ROUNDS = 1000 };

/* Adds one to one of two counters by comparing, with the stamp or without it. */
static void add_one(stem_engine *engine, stem_slice key, bool with_stamp)
{
    int code;

    do {
        char old[16] = "", new[16];
        stem_expectation same = expect_same(engine, key, old);

        if (!with_stamp)
            same.stamp = 0;
        snprintf(new, sizeof new, "%d", atoi(old) + 1);
        const stem_write write = {key, slice(new), false};
        code = commit(engine, &write, 1, &same, 1);
    } while (code == STEM_CONFLICT);
    assert_ok(code);
}

static void *count_up(void *argument)
{
    stem_engine *engine = argument;

    for (int i = 0; i < N_ROUNDS; i++)
        add_one(engine, i % 2 ? slice("odd") : slice("even"), i % 3);
    return NULL;
}

START_TEST(counters_kept_by_comparing_lose_nothing)
{
    stem_engine *engine = open_engine(_i);
    pthread_t threads[N_THREADS];
    char sum[16];

    for (int i = 0; i < N_THREADS; i++)
        pthread_create(&threads[i], NULL, count_up, engine);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    snprintf(sum, sizeof sum, "%d", N_THREADS * N_ROUNDS / 2);
    assert_holds(engine, NULL, slice("odd"), slice(sum));
    assert_holds(engine, NULL, slice("even"), slice(sum));
    close_engine(engine);
}
END_TEST

/* Adds one by reading and then writing, with nothing to guard it. */
static void add_one_unguarded(stem_engine *engine, stem_slice key)
{
    char old[16] = "", new[16];

    expect_same(engine, key, old);
    snprintf(new, sizeof new, "%d", atoi(old) + 1);
    put(engine, key, slice(new));
}

/* Takes a place in an empty range, of which only one may be taken at a time: were two in it
 * together, a count would be lost. */
static void *take_turns(void *argument)
{
    stem_engine *engine = argument;
    const stem_expectation empty = {STEM_EXPECT_EMPTY, slice("turn"), slice("turo"), 0};
    char key[32];

    snprintf(key, sizeof key, "turn%p", (void *)&key);
    for (int i = 0; i < N_ROUNDS; i++) {
        const stem_write take = {slice(key), slice("mine"), false};

        while (commit(engine, &take, 1, &empty, 1) == STEM_CONFLICT)
            sched_yield();
        add_one_unguarded(engine, slice("sum"));
        del(engine, slice(key));
    }
    return NULL;
}

START_TEST(an_empty_range_is_taken_by_one_at_a_time)
{
    stem_engine *engine = open_engine(_i);
    pthread_t threads[N_THREADS];
    char sum[16];

    for (int i = 0; i < N_THREADS; i++)
        pthread_create(&threads[i], NULL, take_turns, engine);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    snprintf(sum, sizeof sum, "%d", N_THREADS * N_ROUNDS);
    assert_holds(engine, NULL, slice("sum"), slice(sum));
    close_engine(engine);
}
END_TEST

/* ---- Limits ----------------------------------------------------------------------- */

/* So many bytes that are there, but in no memory until somebody reads them. */
static char *reserve(size_t size)
{
    char *bytes =
        mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ck_assert_ptr_ne(bytes, MAP_FAILED);
    return bytes;
}

/* Asserts that a commit with a small write before the large ones is refused whole. */
static void assert_too_large(stem_engine *engine, const stem_write *large, size_t n)
{
    stem_write writes[8] = {{slice("small"), slice("x"), false}};

    memcpy(writes + 1, large, n * sizeof *large);
    assert_code(commit(engine, writes, n + 1, NULL, 0), STEM_EINVAL);
    assert_code(commit(engine, writes + 1, n, NULL, 0), STEM_EINVAL);
    ck_assert_str_ne(stem_errmsg(), "");
    assert_absent(engine, NULL, slice("small"));
}

/* A key of so many bytes, which is a path as well; to free(). */
static stem_slice key_of(size_t len)
{
    char *bytes = malloc(len);

    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'k', len);
    for (size_t i = STEM_COMPONENT_MAX; i + 2 < len; i += STEM_COMPONENT_MAX)
        bytes[i] = '\0';
    return (stem_slice){bytes, len};
}

/* Limits are the location's own, and what reaches them is nothing that could be translated:
 * keys that are paths, and a value that is MessagePack. */
START_TEST(what_is_over_a_limit_is_refused_before_anything_is_written)
{
    stem_engine *opened = open_engine(_i), *engine = translated_engine(opened);
    const size_t most = engine->max_value_bytes, most_key = engine->max_key_bytes;
    char *bytes = reserve(most + 1);
    const stem_slice too_long = key_of(most_key + 1);
    size_t n = engine->max_commit_bytes / most + 1;
    stem_write many[7];

    ck_assert_uint_ge(most_key, STEM_PATH_MAX);
    ck_assert_uint_ge(most, STEM_VALUE_MAX);
    ck_assert_uint_ge(engine->max_commit_bytes, most + most_key);
    const stem_write value = {slice("k"), {bytes, most + 1}, false};
    const stem_write key = {too_long, slice("x"), false};
    const stem_write key_only = {too_long, slice(""), true};
    assert_too_large(engine, &value, 1);
    assert_too_large(engine, &key, 1);
    assert_too_large(engine, &key_only, 1);
    ck_assert_uint_le(n, 7);
    for (size_t i = 0; i < n; i++)
        many[i] = (stem_write){slice("k"), {bytes, most}, false};
    assert_too_large(engine, many, n);
    assert_absent(engine, NULL, slice("k"));

    const stem_write longest = {{too_long.data, most_key}, slice("x"), false};
    assert_ok(commit(engine, &longest, 1, NULL, 0));
    assert_holds(engine, NULL, longest.key, slice("x"));
    munmap(bytes, most + 1);
    free((char *)(uintptr_t)too_long.data);
    close_engine(opened);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *reading = add_case(suite, "reading", 60);
    TCase *commits = add_case(suite, "commits", 60);
    TCase *expects = add_case(suite, "expectations", 60);
    TCase *at_once = add_case(suite, "at once", 60);

    add_engine_test(reading, a_key_reads_as_it_was_written_whatever_its_bytes);
    add_engine_test(reading,
                    an_absent_key_is_no_failure_and_an_empty_value_is_not_absent);
    add_engine_test(reading, many_keys_are_read_in_the_order_asked_for_each_to_be_freed);
    add_engine_test(reading, of_many_keys_those_that_hold_so_much_are_read_first);
    add_engine_test(reading, many_keys_are_read_from_one_state);
    add_engine_test(commits, the_later_of_two_writes_of_one_key_wins);
    add_engine_test(commits, a_commit_of_nothing_and_a_delete_of_nothing_are_fine);
    add_engine_test(commits, a_large_commit_is_applied_whole);
    add_engine_test(commits, a_synced_commit_is_like_any_other);
    add_engine_test(commits, what_is_over_a_limit_is_refused_before_anything_is_written);
    add_engine_test(expects,
                    each_expectation_holds_or_fails_and_a_conflict_changes_nothing);
    add_engine_test(expects, failed_is_the_index_of_an_expectation_that_failed);
    add_engine_test(expects, expectations_are_judged_before_the_writes_beside_them);
    add_engine_test(expects,
                    a_fresh_stamp_vouches_for_the_key_and_a_stale_one_for_nothing);
    add_engine_test(expects, a_stamp_is_stale_after_every_kind_of_commit);
    add_engine_test(expects,
                    reads_of_a_snapshot_or_of_many_keys_carry_no_stamp_that_lies);
    add_engine_test(at_once, counters_kept_by_comparing_lose_nothing);
    add_engine_test(at_once, an_empty_range_is_taken_by_one_at_a_time);
    return run_suite(suite);
}
