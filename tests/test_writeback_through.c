/*
 * Commits that go through write-back's memory to the engine below before they are answered, and
 * the values that are kept for reading meanwhile. The engine below is a real one whose commits
 * can be held up, or made to fail.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "engine/writeback.h"
#include "engine_support.h"
#include "error.h"
#include "process.h"
#include "random.h"

/* ---- An engine below that does as it is told -------------------------------------- */

/* Where somebody can be made to wait below. */
enum point { BEFORE_A_COMMIT, AFTER_A_COMMIT, BEFORE_A_READ, POINTS };

static struct {
    const stem_engine_ops *real;
    stem_engine_ops ops;
    atomic_uint reads;
    atomic_int code;      /* what the next commit answers; STEM_EUNKNOWN applies it */
    atomic_uint one_in;   /* so many commits fail, or none */
    pthread_mutex_t lock; /* of the rest */
    pthread_cond_t changed;
    bool is_closed[POINTS], is_reached[POINTS];
    const stem_engine_snapshot *instead; /* what is read, while a test sets it */
} below = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* The next one who comes there waits. */
static void stop_at(enum point point)
{
    pthread_mutex_lock(&below.lock);
    below.is_closed[point] = true;
    below.is_reached[point] = false;
    pthread_mutex_unlock(&below.lock);
}

static void wait_until_reached(enum point point)
{
    pthread_mutex_lock(&below.lock);
    while (!below.is_reached[point])
        pthread_cond_wait(&below.changed, &below.lock);
    pthread_mutex_unlock(&below.lock);
}

static void go_on_from(enum point point)
{
    pthread_mutex_lock(&below.lock);
    below.is_closed[point] = false;
    pthread_cond_broadcast(&below.changed);
    pthread_mutex_unlock(&below.lock);
}

static void pass(enum point point)
{
    pthread_mutex_lock(&below.lock);
    if (below.is_closed[point] && !below.is_reached[point]) {
        below.is_reached[point] = true;
        pthread_cond_broadcast(&below.changed);
        while (below.is_closed[point])
            pthread_cond_wait(&below.changed, &below.lock);
    }
    pthread_mutex_unlock(&below.lock);
}

static int counted_read(stem_engine *engine, const stem_engine_snapshot *snapshot,
                        const stem_slice *keys, size_t n, stem_read *reads)
{
    atomic_fetch_add(&below.reads, 1);
    pass(BEFORE_A_READ);
    return below.real->read(engine, below.instead ? below.instead : snapshot, keys, n,
                            reads);
}

static int counted_read_some(stem_engine *engine, const stem_engine_snapshot *snapshot,
                             const stem_slice *keys, size_t n, size_t most,
                             stem_read *reads, size_t *n_read)
{
    atomic_fetch_add(&below.reads, 1);
    pass(BEFORE_A_READ);
    return below.real->read_some(engine, below.instead ? below.instead : snapshot, keys,
                                 n, most, reads, n_read);
}

/* The code that a commit is to answer with. */
static int chosen_code(void)
{
    const unsigned one_in = atomic_load(&below.one_in);

    if (one_in > 0 && random_below(one_in) == 0)
        return random_below(2) ? STEM_EIO : STEM_EUNKNOWN;
    return atomic_exchange(&below.code, STEM_OK);
}

static int controlled_commit(stem_engine *engine, const stem_commit *commit,
                             size_t *failed)
{
    const int chosen = chosen_code();
    int code = STEM_OK;

    pass(BEFORE_A_COMMIT);
    if (chosen == STEM_OK || chosen == STEM_EUNKNOWN)
        code = below.real->commit(engine, commit, failed);
    pass(AFTER_A_COMMIT);
    return chosen == STEM_OK ? code : stem_fail(chosen, "a failure put in by a test");
}

static int release_below(stem_engine *engine)
{
    engine->ops = below.real;
    return stem_engine_release(engine);
}

/* Write-back over an engine that is told what to do; `*lower` is that one. */
static stem_engine *open_over(stem_engine **lower, size_t bytes, size_t ms)
{
    const stem_options plain = {0},
                       options = {.writeback_bytes = bytes, .writeback_ms = ms};
    stem_engine *engine;

    assert_ok(stem_engine_acquire(path_in(temp_dir(), "db"), &plain, NULL, lower));
    below.real = (*lower)->ops;
    below.ops = *below.real;
    below.ops.read = counted_read;
    below.ops.read_some = counted_read_some;
    below.ops.commit = controlled_commit;
    below.ops.close = release_below;
    (*lower)->ops = &below.ops;
    assert_ok(stem_writeback_open(*lower, &options, &engine));
    return engine;
}

enum { NEVER_MS = 60000, ROOMY = 64 << 20 };

static void close_over(stem_engine *engine)
{
    assert_ok(engine->ops->close(engine));
}

static int commit_through(stem_engine *engine, const stem_write *writes, size_t n)
{
    const stem_commit commit = {.writes = writes, .n_writes = n, .through = true};
    size_t failed;

    return engine->ops->commit(engine, &commit, &failed);
}

static int put_through(stem_engine *engine, const char *key, const char *value)
{
    const stem_write write = {slice(key), slice(value), false};

    return commit_through(engine, &write, 1);
}

/* Reads a key so often that it is kept, and sees that it is. */
static void keep(stem_engine *engine, const char *key, const char *value)
{
    for (int i = 0; i < 3; i++)
        assert_holds(engine, NULL, slice(key), slice(value));
    const unsigned before = atomic_load(&below.reads);
    assert_holds(engine, NULL, slice(key), slice(value));
    ck_assert_uint_eq(atomic_load(&below.reads), before);
}

static stem_statistics stats_of(stem_engine *engine)
{
    stem_statistics stats;

    assert_ok(engine->ops->stats(engine, &stats));
    return stats;
}

/* ---- What it does ----------------------------------------------------------------- */

START_TEST(what_goes_through_is_below_when_it_is_answered_and_is_no_round)
{
    stem_engine *lower, *engine = open_over(&lower, ROOMY, NEVER_MS);

    assert_ok(put_through(engine, "k", "1"));
    assert_holds(lower, NULL, slice("k"), slice("1"));
    assert_holds(engine, NULL, slice("k"), slice("1"));
    ck_assert_uint_eq(stats_of(engine).dirty_bytes, 0);
    ck_assert_uint_eq(stats_of(engine).rounds, 0);
    close_over(engine);
}
END_TEST

START_TEST(what_was_gathered_before_goes_before_it)
{
    stem_engine *lower, *engine = open_over(&lower, ROOMY, NEVER_MS);

    put(engine, slice("a"), slice("1"));
    put(engine, slice("k"), slice("1"));
    assert_absent(lower, NULL, slice("a"));
    assert_ok(put_through(engine, "k", "2"));
    assert_holds(lower, NULL, slice("a"), slice("1"));
    assert_holds(lower, NULL, slice("k"), slice("2"));
    ck_assert_uint_eq(stats_of(engine).rounds, 1);
    put(engine, slice("k"), slice("3"));
    assert_holds(lower, NULL, slice("k"), slice("2"));
    assert_holds(engine, NULL, slice("k"), slice("3"));
    close_over(engine);
}
END_TEST

START_TEST(what_is_kept_of_a_key_is_brought_up_to_date)
{
    stem_engine *lower, *engine = open_over(&lower, ROOMY, NEVER_MS);
    const char *const values[] = {"one", "two", "", "much longer than those before it",
                                  "6"};
    const stem_write deletion = {slice("k"), {NULL, 0}, true};

    assert_ok(put_through(engine, "k", "first"));
    keep(engine, "k", "first");
    const unsigned before = atomic_load(&below.reads);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        assert_ok(put_through(engine, "k", values[i]));
        assert_holds(engine, NULL, slice("k"), slice(values[i]));
    }
    ck_assert_uint_eq(atomic_load(&below.reads), before);
    assert_ok(commit_through(engine, &deletion, 1));
    assert_absent(engine, NULL, slice("k"));
    ck_assert_uint_eq(stats_of(engine).cached_bytes, 0);
    close_over(engine);
}
END_TEST

START_TEST(one_too_large_to_be_kept_is_kept_no_longer)
{
    stem_engine *lower, *engine = open_over(&lower, 1 << 20, NEVER_MS);
    static char large[1 << 18];

    assert_ok(put_through(engine, "k", "small"));
    keep(engine, "k", "small");
    memset(large, 'x', sizeof large - 1);
    assert_ok(put_through(engine, "k", large));
    ck_assert_uint_eq(stats_of(engine).cached_bytes, 0);
    assert_holds(engine, NULL, slice("k"), slice(large));
    close_over(engine);
}
END_TEST

START_TEST(the_last_of_several_writes_of_a_key_is_kept)
{
    stem_engine *lower, *engine = open_over(&lower, ROOMY, NEVER_MS);
    const stem_write writes[] = {{slice("k"), slice("2"), false},
                                 {slice("l"), {NULL, 0}, true},
                                 {slice("k"), slice("3"), false},
                                 {slice("l"), slice("3"), false}};

    assert_ok(put_through(engine, "k", "1"));
    assert_ok(put_through(engine, "l", "1"));
    keep(engine, "k", "1");
    keep(engine, "l", "1");
    assert_ok(commit_through(engine, writes, 4));
    assert_holds(engine, NULL, slice("k"), slice("3"));
    assert_holds(engine, NULL, slice("l"), slice("3"));
    close_over(engine);
}
END_TEST

START_TEST(one_that_fails_below_leaves_what_is_kept_as_it_was)
{
    stem_engine *lower, *engine = open_over(&lower, ROOMY, NEVER_MS);

    assert_ok(put_through(engine, "k", "1"));
    keep(engine, "k", "1");
    atomic_store(&below.code, STEM_EIO);
    assert_code(put_through(engine, "k", "2"), STEM_EIO);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "put in by a test"));
    keep(engine, "k", "1");
    assert_ok(put_through(engine, "k", "3"));
    keep(engine, "k", "3");
    close_over(engine);
}
END_TEST

START_TEST(where_it_is_not_known_how_it_went_what_is_below_is_read)
{
    stem_engine *lower, *engine = open_over(&lower, ROOMY, NEVER_MS);

    assert_ok(put_through(engine, "k", "1"));
    keep(engine, "k", "1");
    atomic_store(&below.code, STEM_EUNKNOWN);
    assert_code(put_through(engine, "k", "2"), STEM_EUNKNOWN);
    ck_assert_uint_eq(stats_of(engine).cached_bytes, 0);
    assert_holds(engine, NULL, slice("k"), slice("2"));
    close_over(engine);
}
END_TEST

START_TEST(it_is_refused_while_what_was_gathered_cannot_be_written)
{
    stem_engine *lower, *engine = open_over(&lower, ROOMY, NEVER_MS);

    put(engine, slice("a"), slice("1"));
    atomic_store(&below.code, STEM_EIO);
    assert_code(put_through(engine, "k", "1"), STEM_EIO);
    assert_absent(engine, NULL, slice("k"));
    assert_holds(engine, NULL, slice("a"), slice("1"));
    put(engine, slice("b"), slice("1"));
    assert_ok(put_through(engine, "k", "2"));
    assert_holds(lower, NULL, slice("a"), slice("1"));
    assert_holds(lower, NULL, slice("b"), slice("1"));
    close_over(engine);
}
END_TEST

/* ---- While it is on its way ------------------------------------------------------- */

static void *put_both(void *engine)
{
    const stem_write writes[] = {{slice("k"), slice("new"), false},
                                 {slice("l"), slice("new"), false}};

    assert_ok(commit_through(engine, writes, 2));
    return NULL;
}

static void *put_behind(void *engine)
{
    put(engine, slice("k"), slice("newest"));
    return NULL;
}

/* Starts a commit through of "k" and "l", and returns when it is there. */
static pthread_t start_and_stop(stem_engine *engine, enum point point)
{
    pthread_t thread;

    stop_at(point);
    pthread_create(&thread, NULL, put_both, engine);
    wait_until_reached(point);
    return thread;
}

static void let_end(pthread_t thread, enum point point)
{
    go_on_from(point);
    pthread_join(thread, NULL);
}

static void assert_several(stem_engine *engine, const stem_engine_snapshot *snapshot,
                           const char *expected)
{
    const stem_slice keys[] = {slice("l"), slice("k"), slice("other")};
    stem_read reads[3];

    assert_ok(engine->ops->read(engine, snapshot, keys, 3, reads));
    assert_bytes(&reads[0], slice(expected));
    assert_bytes(&reads[1], slice(expected));
    assert_bytes(&reads[2], slice("1"));
    for (int i = 0; i < 3; i++)
        free(reads[i].data);
}

/* Every way of reading, none of which may wait. */
static void assert_state(stem_engine *engine, const char *expected)
{
    const stem_engine_range range = {slice("k"), {NULL, 0}};
    stem_engine_snapshot *snapshot;
    stem_engine_iter *iter;
    stem_slice key, value;

    for (int i = 0; i < 3; i++) {
        assert_holds(engine, NULL, slice("k"), slice(expected));
        assert_holds(engine, NULL, slice("l"), slice(expected));
        assert_several(engine, NULL, expected);
    }
    assert_ok(engine->ops->snapshot_open(engine, &snapshot));
    assert_several(engine, snapshot, expected);
    engine->ops->snapshot_close(engine, snapshot);
    assert_ok(engine->ops->iter_open(engine, NULL, &range, false, &iter));
    assert_ok(engine->ops->iter_next(iter, &key, &value));
    ck_assert_int_eq(stem_slice_compare(value, slice(expected)), 0);
    engine->ops->iter_close(iter);
}

START_TEST(nobody_who_reads_waits_for_it_or_sees_some_of_it)
{
    const enum point point = _i ? AFTER_A_COMMIT : BEFORE_A_COMMIT;
    stem_engine *lower, *engine = open_over(&lower, ROOMY, NEVER_MS);

    assert_ok(put_through(engine, "k", "old"));
    assert_ok(put_through(engine, "l", "old"));
    assert_ok(put_through(engine, "other", "1"));
    keep(engine, "k", "old");
    keep(engine, "other", "1");
    pthread_t writer = start_and_stop(engine, point);
    assert_state(engine, point == BEFORE_A_COMMIT ? "old" : "new");
    let_end(writer, point);
    keep(engine, "k", "new");
    assert_state(engine, "new");
    close_over(engine);
}
END_TEST

typedef struct reader {
    stem_engine *engine;
    const char *expected;
} reader;

static void *read_several(void *argument)
{
    const reader *by = argument;

    assert_several(by->engine, NULL, by->expected);
    return NULL;
}

START_TEST(who_has_read_some_keys_in_memory_reads_the_others_from_that_state)
{
    stem_engine *lower, *engine = open_over(&lower, ROOMY, NEVER_MS);
    reader by = {engine, "new"};
    pthread_t thread, writer;

    assert_ok(put_through(engine, "k", "old"));
    assert_ok(put_through(engine, "l", "old"));
    assert_ok(put_through(engine, "other", "1"));
    keep(engine, "k", "old");
    stop_at(BEFORE_A_READ);
    pthread_create(&thread, NULL, read_several, &by);
    wait_until_reached(BEFORE_A_READ);
    if (_i == 0) { /* it is there, and not answered */
        writer = start_and_stop(engine, AFTER_A_COMMIT);
        let_end(thread, BEFORE_A_READ);
        let_end(writer, AFTER_A_COMMIT);
    } else {
        put_both(engine);
        let_end(thread, BEFORE_A_READ);
    }
    close_over(engine);
}
END_TEST

static void *read_once(void *engine)
{
    assert_holds(engine, NULL, slice("k"), slice("old"));
    return NULL;
}

START_TEST(what_was_read_before_it_is_not_kept_after_it)
{
    stem_engine *lower, *engine = open_over(&lower, ROOMY, NEVER_MS);
    stem_engine_snapshot *before;
    pthread_t thread;

    assert_ok(put_through(engine, "k", "old"));
    assert_ok(lower->ops->snapshot_open(lower, &before));
    below.instead = before;
    stop_at(BEFORE_A_READ);
    pthread_create(&thread, NULL, read_once, engine);
    wait_until_reached(BEFORE_A_READ);
    put_both(engine);
    let_end(thread, BEFORE_A_READ);
    below.instead = NULL;
    assert_holds(engine, NULL, slice("k"), slice("new"));
    lower->ops->snapshot_close(lower, before);
    close_over(engine);
}
END_TEST

START_TEST(a_commit_into_memory_comes_behind_it)
{
    stem_engine *lower, *engine = open_over(&lower, ROOMY, NEVER_MS);
    pthread_t behind;

    pthread_t writer = start_and_stop(engine, BEFORE_A_COMMIT);
    pthread_create(&behind, NULL, put_behind, engine);
    sched_yield();
    assert_absent(engine, NULL, slice("k"));
    let_end(writer, BEFORE_A_COMMIT);
    pthread_join(behind, NULL);
    assert_holds(engine, NULL, slice("k"), slice("newest"));
    assert_holds(lower, NULL, slice("k"), slice("new"));
    close_over(engine);
}
END_TEST

/* ---- Many at once ----------------------------------------------------------------- */

enum { GROUPS = 4, GROUP_KEYS = 8, GROUP_COMMITS = 2000, OTHERS = 400, READERS = 2 };
enum { VALUE_BYTES = 256, OTHER_BYTES = 8 << 10 };

/* Each group is written by one thread, one number after the other into all its keys: two of them
 * through, one into memory, and one either way. */
static struct {
    stem_engine *engine;
    char names[GROUPS][GROUP_KEYS][8];
    stem_slice keys[GROUPS][GROUP_KEYS];
    atomic_int answered[GROUPS];
    atomic_bool is_refused[GROUPS][GROUP_COMMITS + 1], is_seen[GROUPS][GROUP_COMMITS + 1];
    atomic_int n_writing;
} busy;

static void name_groups(void)
{
    for (int group = 0; group < GROUPS; group++)
        for (int i = 0; i < GROUP_KEYS; i++) {
            char *name = busy.names[group][i];

            snprintf(name, sizeof busy.names[group][i], "%d.%d", group, i);
            busy.keys[group][i] = slice(name);
        }
}

/* As text, with so much behind it that values grow and shrink. */
static stem_slice number_text(int number, char text[VALUE_BYTES])
{
    const size_t len = 8 + (size_t)number * 7 % (VALUE_BYTES - 8);

    memset(text, ' ', VALUE_BYTES);
    snprintf(text, VALUE_BYTES, "%7d", number);
    text[7] = ' ';
    return (stem_slice){text, len};
}

static int number_of(const stem_read *read)
{
    char text[8] = "";

    if (!read->data)
        return 0;
    memcpy(text, read->data, 7);
    const int number = atoi(text);
    char expected[VALUE_BYTES];
    assert_bytes(read, number_text(number, expected));
    return number;
}

static void *write_group(void *argument)
{
    const int group = *(const int *)argument;
    stem_write writes[GROUP_KEYS];
    char text[VALUE_BYTES];
    size_t failed;

    random_state += (uint64_t)group;
    for (int number = 1; number <= GROUP_COMMITS; number++) {
        const stem_slice value = number_text(number, text);

        for (int i = 0; i < GROUP_KEYS; i++)
            writes[i] = (stem_write){busy.keys[group][i], value, false};
        const stem_commit commit = {.writes = writes,
                                    .n_writes = GROUP_KEYS,
                                    .through =
                                        group < 2 || (group == 3 && number % 2 == 0)};
        int code = busy.engine->ops->commit(busy.engine, &commit, &failed);
        if (code == STEM_OK)
            atomic_store(&busy.answered[group], number);
        else if (code != STEM_EUNKNOWN)
            atomic_store(&busy.is_refused[group][number], true);
    }
    atomic_fetch_sub(&busy.n_writing, 1);
    return NULL;
}

/* All keys of a group: from one state, which is none older than `least`. */
static int read_group(int group, int least)
{
    stem_read reads[GROUP_KEYS];

    const int answered = atomic_load(&busy.answered[group]);
    assert_ok(
        busy.engine->ops->read(busy.engine, NULL, busy.keys[group], GROUP_KEYS, reads));
    const int number = number_of(&reads[0]);
    for (int i = 0; i < GROUP_KEYS; i++) {
        ck_assert_int_eq(number_of(&reads[i]), number);
        free(reads[i].data);
    }
    ck_assert_int_ge(number, least);
    ck_assert_int_ge(number, answered);
    return number;
}

/* One key after the other, none older than the one before. */
static int read_keys(int group, int least)
{
    for (uint32_t i = 0, at = random_below(GROUP_KEYS); i < GROUP_KEYS; i++) {
        const int answered = atomic_load(&busy.answered[group]);
        stem_read read;

        assert_ok(busy.engine->ops->read(
            busy.engine, NULL, &busy.keys[group][(at + i) % GROUP_KEYS], 1, &read));
        const int number = number_of(&read);
        ck_assert_int_ge(number, least);
        ck_assert_int_ge(number, answered);
        least = number;
        free(read.data);
    }
    return least;
}

static int walk_group(int group, int least)
{
    const stem_engine_range range = {busy.keys[group][0], slice(group == 0   ? "1"
                                                                : group == 1 ? "2"
                                                                : group == 2 ? "3"
                                                                             : "4")};
    const stem_engine_ops *ops = busy.engine->ops;
    stem_engine_iter *iter;
    stem_slice key, value;
    int number = -1, code;

    assert_ok(ops->iter_open(busy.engine, NULL, &range, false, &iter));
    while ((code = ops->iter_next(iter, &key, &value)) == STEM_OK) {
        const stem_read read = {(char *)value.data, value.len, 0};

        if (number < 0)
            number = number_of(&read);
        ck_assert_int_eq(number_of(&read), number);
    }
    assert_code(code, STEM_NOTFOUND);
    ops->iter_close(iter);
    if (number < 0)
        number = 0;
    ck_assert_int_ge(number, least);
    return number;
}

static void *read_groups(void *argument)
{
    int last[GROUPS] = {0};

    random_state += (uint64_t) * (const int *)argument + GROUPS;
    while (atomic_load(&busy.n_writing) > 0) {
        const int group = (int)random_below(GROUPS);
        const uint32_t way = random_below(8);

        if (way < 4)
            last[group] = read_keys(group, last[group]);
        else if (way < 7)
            last[group] = read_group(group, last[group]);
        else
            last[group] = walk_group(group, last[group]);
        atomic_store(&busy.is_seen[group][last[group]], true);
    }
    return NULL;
}

/* Reads what takes the place of what is kept. */
static void *read_others(void *argument)
{
    (void)argument;
    random_state += GROUPS + READERS;
    while (atomic_load(&busy.n_writing) > 0) {
        char name[16];

        snprintf(name, sizeof name, "other%u", random_below(OTHERS));
        const stem_slice key = slice(name);
        for (int i = 0; i < 2; i++) {
            stem_read read;

            assert_ok(busy.engine->ops->read(busy.engine, NULL, &key, 1, &read));
            ck_assert_uint_eq(read.len, OTHER_BYTES);
            free(read.data);
        }
    }
    return NULL;
}

static void put_others(void)
{
    static const char bytes[OTHER_BYTES];

    for (unsigned i = 0; i < OTHERS; i++) {
        char name[16];

        snprintf(name, sizeof name, "other%u", i);
        put(busy.engine, slice(name), (stem_slice){bytes, OTHER_BYTES});
    }
}

static void run_all(void)
{
    pthread_t writers[GROUPS], readers[READERS], other;
    int groups[GROUPS];

    atomic_store(&busy.n_writing, GROUPS);
    for (int i = 0; i < GROUPS; i++) {
        groups[i] = i;
        pthread_create(&writers[i], NULL, write_group, &groups[i]);
    }
    for (int i = 0; i < READERS; i++)
        pthread_create(&readers[i], NULL, read_groups, &groups[i]);
    pthread_create(&other, NULL, read_others, NULL);
    for (int i = 0; i < GROUPS; i++)
        pthread_join(writers[i], NULL);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    pthread_join(other, NULL);
}

static void assert_nothing_refused_was_seen(void)
{
    for (int group = 0; group < GROUPS; group++)
        for (int number = 1; number <= GROUP_COMMITS; number++)
            ck_assert(!atomic_load(&busy.is_refused[group][number]) ||
                      !atomic_load(&busy.is_seen[group][number]));
}

START_TEST(nothing_older_is_read_after_something_newer_and_nothing_that_was_refused)
{
    stem_engine *lower;

    random_start();
    busy.engine = open_over(&lower, 1 << 20, 1);
    name_groups();
    put_others();
    atomic_store(&below.one_in, (unsigned)_i);
    run_all();
    atomic_store(&below.one_in, 0);
    assert_nothing_refused_was_seen();
    for (int group = 0; group < GROUPS; group++)
        read_group(group, 0);
    close_over(busy.engine);
}
END_TEST

enum { COUNTING = 3, COUNTS = 2000 };

/* Adds one to what was read, if it is still that. */
static void count_one(stem_engine *engine, bool through)
{
    const stem_slice key = slice("counter");
    char text[16];
    int code;

    do {
        stem_read read;
        size_t failed;

        assert_ok(engine->ops->read(engine, NULL, &key, 1, &read));
        snprintf(text, sizeof text, "%d", read.data ? atoi(read.data) + 1 : 1);
        const stem_slice next = {text, strlen(text) + 1};
        const stem_write write = {key, next, false};
        const stem_expectation same = {
            .kind = read.data ? STEM_EXPECT_EQUAL : STEM_EXPECT_ABSENT,
            .key = key,
            .value = {read.data, read.len},
            .stamp = random_below(2) ? read.stamp : 0,
        };
        const stem_commit commit = {&write, 1, &same, 1, false, through};
        code = engine->ops->commit(engine, &commit, &failed);
        free(read.data);
    } while (code == STEM_CONFLICT);
    assert_ok(code);
}

static void *count_on(void *engine)
{
    static atomic_uint started;

    random_state += atomic_fetch_add(&started, 1);
    for (int i = 0; i < COUNTS; i++)
        count_one(engine, random_below(4) > 0);
    return NULL;
}

START_TEST(each_is_judged_once_against_memory_and_what_is_below)
{
    stem_engine *lower, *engine = open_over(&lower, ROOMY, 1);
    pthread_t threads[COUNTING];
    char expected[16];

    for (int i = 0; i < COUNTING; i++)
        pthread_create(&threads[i], NULL, count_on, engine);
    for (int i = 0; i < COUNTING; i++)
        pthread_join(threads[i], NULL);
    snprintf(expected, sizeof expected, "%d", COUNTING * COUNTS);
    assert_holds(engine, NULL, slice("counter"),
                 (stem_slice){expected, strlen(expected) + 1});
    close_over(engine);
}
END_TEST

/* ---- Killed ----------------------------------------------------------------------- */

typedef struct ledger {
    const char *path;
    atomic_int answered;
} ledger;

/* Numbers into "through" once they are in "gathered". */
static void write_until_killed(void *argument)
{
    const stem_options options = {.writeback_bytes = ROOMY, .writeback_ms = NEVER_MS};
    ledger *book = argument;
    stem_engine *engine;

    must_ok(stem_engine_acquire(book->path, &options, NULL, &engine));
    for (int number = 1;; number++) {
        char text[VALUE_BYTES];
        const stem_write gathered = {slice("gathered"), number_text(number, text), false};
        const stem_write write = {slice("through"), gathered.value, false};

        if (number % 8 == 0)
            must_ok(commit(engine, &gathered, 1, NULL, 0));
        must_ok(commit_through(engine, &write, 1));
        atomic_store(&book->answered, number);
    }
}

static int number_at(stem_engine *engine, const char *key)
{
    const stem_slice at = slice(key);
    stem_read read;

    must_ok(engine->ops->read(engine, NULL, &at, 1, &read));
    const int number = number_of(&read);
    free(read.data);
    return number;
}

static void check_after_death(void *argument)
{
    const stem_options plain = {0};
    const ledger *book = argument;
    stem_engine *engine;

    must_ok(stem_engine_acquire(book->path, &plain, NULL, &engine));
    const int number = number_at(engine, "through");
    must(number >= atomic_load(&book->answered));
    must(number_at(engine, "gathered") >= number - number % 8);
    must_ok(stem_engine_release(engine));
}

START_TEST(what_was_answered_is_there_after_a_kill_with_all_that_was_before_it)
{
    ledger *book = mmap(NULL, sizeof *book, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(book, MAP_FAILED);
    for (int run = 1; run <= 20; run++) {
        book->path = path_in(temp_dir(), "db");
        atomic_store(&book->answered, 0);
        pid_t writer = start_child(write_until_killed, book);
        while (atomic_load(&book->answered) < run * 40)
            sched_yield();
        ck_assert_int_eq(kill(writer, SIGKILL), 0);
        assert_child_killed(writer, SIGKILL);
        assert_child_ends_well(start_child(check_after_death, book));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("write-back, through");
    TCase *tcase = add_case(suite, "through", 120);

    tcase_add_test(tcase, what_goes_through_is_below_when_it_is_answered_and_is_no_round);
    tcase_add_test(tcase, what_was_gathered_before_goes_before_it);
    tcase_add_test(tcase, what_is_kept_of_a_key_is_brought_up_to_date);
    tcase_add_test(tcase, one_too_large_to_be_kept_is_kept_no_longer);
    tcase_add_test(tcase, the_last_of_several_writes_of_a_key_is_kept);
    tcase_add_test(tcase, one_that_fails_below_leaves_what_is_kept_as_it_was);
    tcase_add_test(tcase, where_it_is_not_known_how_it_went_what_is_below_is_read);
    tcase_add_test(tcase, it_is_refused_while_what_was_gathered_cannot_be_written);
    tcase_add_loop_test(tcase, nobody_who_reads_waits_for_it_or_sees_some_of_it, 0, 2);
    tcase_add_loop_test(
        tcase, who_has_read_some_keys_in_memory_reads_the_others_from_that_state, 0, 2);
    tcase_add_test(tcase, what_was_read_before_it_is_not_kept_after_it);
    tcase_add_test(tcase, a_commit_into_memory_comes_behind_it);
    /* Nothing fails below, and then one commit in 16. */
    tcase_add_loop_test(
        tcase, nothing_older_is_read_after_something_newer_and_nothing_that_was_refused,
        0, 1);
    tcase_add_loop_test(
        tcase, nothing_older_is_read_after_something_newer_and_nothing_that_was_refused,
        16, 17);
    tcase_add_test(tcase, each_is_judged_once_against_memory_and_what_is_below);
    tcase_add_test(tcase,
                   what_was_answered_is_there_after_a_kill_with_all_that_was_before_it);
    return run_suite(suite);
}
