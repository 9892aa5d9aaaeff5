/*
 * Handles used from many threads at once: every write is seen by its writer at once and by
 * all in the end, and deriving and closing disturb nobody.
 */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "stem.h"

enum { N_THREADS = 4, N_KEYS = 50 };

static stem_db *shared;
static atomic_bool is_over;

static void run(void *(*work)(void *), size_t n)
{
    pthread_t threads[N_THREADS];

    ck_assert_uint_le(n, N_THREADS);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

static void open_shared(size_t write_buffer_bytes)
{
    assert_ok(stem_open(&shared, path_in(temp_dir(), "db"),
                        STEM_OPTIONS(.write_buffer_bytes = write_buffer_bytes)));
}

static const char *name_of(const char *stem, size_t number, char name[16])
{
    snprintf(name, 16, "%s%zu", stem, number);
    return name;
}

/* Writes and reads its own place, through handles derived and closed all the while. */
static void *keep_own_place(void *argument)
{
    size_t me = (size_t)argument;
    char place_name[16], key[16];

    name_of("place", me, place_name);
    for (int round = 0; round < 200; round++) {
        stem_db *place = stem_sub(shared, place_name), *reader = stem_read_only(place);
        uint64_t count;

        ck_assert_ptr_nonnull(reader);
        for (size_t i = 0; i < N_KEYS; i++) {
            int64_t value = -1, written = (int64_t)(me * 1000000 + (size_t)round);

            name_of("", i, key);
            assert_ok(stem_put(place, key, written));
            assert_ok(stem_get_int(reader, key, &value));
            ck_assert_int_eq(value, written);
        }
        assert_ok(stem_close(place));
        if (round % 20 == 0) {
            assert_ok(stem_count(reader, NULL, &count));
            ck_assert_uint_eq(count, N_KEYS);
        }
        assert_ok(stem_close(reader));
    }
    return NULL;
}

START_TEST(each_thread_finds_what_it_wrote_and_nothing_of_the_others)
{
    uint64_t count;

    open_shared(64 << 10);
    run(keep_own_place, N_THREADS);
    assert_ok(stem_count(shared, NULL, &count));
    ck_assert_uint_eq(count, N_THREADS * N_KEYS);
    assert_ok(stem_close(shared));
}
END_TEST

/* Writes one key over and over, its two halves always equal. */
static void *write_pairs(void *argument)
{
    char text[64];

    for (int i = 0; i < 5000; i++) {
        int len = snprintf(text, 32, "%zu.%d", (size_t)argument, i);

        memcpy(text + len, text, (size_t)len);
        assert_ok(stem_put(shared, "pair", stem_strn(text, (size_t)(2 * len))));
    }
    return NULL;
}

static void *read_pairs(void *argument)
{
    int64_t seen = 0;

    (void)argument;
    while (!atomic_load(&is_over)) {
        size_t len;
        char *text;

        assert_ok(stem_get_str(shared, "pair", &text, &len));
        ck_assert_mem_eq(text, text + len / 2, len / 2);
        stem_free(text);
        seen++;
    }
    ck_assert_int_gt(seen, 0);
    return NULL;
}

static void *write_then_stop(void *argument)
{
    run(write_pairs, 2);
    atomic_store(&is_over, true);
    return argument;
}

static void *write_or_read(void *argument)
{
    return (size_t)argument == 1 ? write_then_stop(argument) : read_pairs(argument);
}

START_TEST(a_value_is_never_seen_half_written)
{
    open_shared(64 << 10);
    assert_ok(stem_put(shared, "pair", "xx"));
    run(write_or_read, 3);
    assert_ok(stem_close(shared));
}
END_TEST

/* A writer counts up under several keys in their order; whoever looks at one state sees no
 * later key ahead of an earlier one. */
static void *count_up(void *argument)
{
    char key[16];

    for (int64_t n = 1; n <= 500; n++)
        for (size_t i = 0; i < 10; i++)
            assert_ok(stem_put(shared, name_of("count", i, key), n));
    atomic_store(&is_over, true);
    return argument;
}

static void assert_in_order(stem_iter *iter)
{
    int64_t previous = INT64_MAX, first = -1;

    while (stem_iter_next(iter)) {
        int64_t value = stem_iter_value(iter)->as.integer;

        if (first < 0)
            first = value;
        ck_assert_int_le(value, previous);
        ck_assert_int_ge(value, first - 1);
        previous = value;
    }
    assert_ok(stem_iter_close(iter));
}

static void *watch(void *argument)
{
    const stem_range *range = STEM_RANGE(.prefix = "count");

    (void)argument;
    while (!atomic_load(&is_over)) {
        stem_db *frozen = stem_snapshot(shared);
        uint64_t before, after;

        ck_assert_ptr_nonnull(frozen);
        assert_in_order(stem_iter_open(shared, range));
        assert_ok(stem_count(frozen, NULL, &before));
        assert_in_order(stem_iter_open(frozen, range));
        assert_in_order(stem_children(frozen, range));
        assert_ok(stem_count(frozen, NULL, &after));
        ck_assert_uint_eq(before, after);
        assert_ok(stem_close(frozen));
    }
    return NULL;
}

static void *look_after(void *argument)
{
    stem_statistics stats;
    stem_size_info size;

    (void)argument;
    while (!atomic_load(&is_over)) {
        assert_ok(stem_sync(shared));
        assert_ok(stem_compact(shared));
        assert_ok(stem_stats(shared, &stats));
        assert_ok(stem_size(shared, &size));
    }
    return NULL;
}

static void *count_watch_or_look_after(void *argument)
{
    switch ((size_t)argument) {
    case 1:
        return count_up(argument);
    case 2:
        return look_after(argument);
    default:
        return watch(argument);
    }
}

START_TEST(every_view_is_of_one_moment)
{
    open_shared(64 << 10);
    run(count_watch_or_look_after, 4);
    assert_ok(stem_close(shared));
}
END_TEST

/* What failed last is each thread's own. */
static void *fail_apart(void *argument)
{
    char key[16];

    name_of("missing", (size_t)argument, key);
    for (int i = 0; i < 2000; i++) {
        int64_t value;

        if ((size_t)argument == 1) {
            assert_ok(stem_put(shared, "text", "x"));
            assert_code(stem_errcode(), STEM_OK);
            ck_assert_str_eq(stem_errmsg(), "");
        } else {
            stem_db *sub = stem_sub(shared, key);

            assert_code(stem_get_int(sub, "", &value), STEM_EINVAL);
            ck_assert_ptr_nonnull(strstr(stem_errmsg(), key));
            assert_ok(stem_close(sub));
        }
    }
    return NULL;
}

START_TEST(each_thread_has_its_own_last_failure)
{
    open_shared(0);
    run(fail_apart, N_THREADS);
    assert_ok(stem_close(shared));
}
END_TEST

/* More than LevelDB is made to compact in one piece. */
enum { LARGE_KEYS = 400, LARGE_VALUE = 40000 };

static void *compact(void *argument)
{
    for (int i = 0; i < 2; i++)
        assert_ok(stem_compact(shared));
    is_over = true;
    return argument;
}

static void *write_meanwhile(void *argument)
{
    static const char text[500] = {1};
    char key[16];

    for (size_t i = 0; !is_over || i < N_KEYS; i++)
        assert_ok(stem_put(shared, name_of("new", i % N_KEYS, key),
                           stem_bin(text, sizeof text)));
    return argument;
}

static void *compact_or_write(void *argument)
{
    return (size_t)argument <= 2 ? compact(argument) : write_meanwhile(argument);
}

START_TEST(several_compact_while_others_write)
{
    static unsigned char bytes[LARGE_VALUE];
    stem_size_info size;
    char key[16];

    assert_ok(stem_open(&shared, path_in(temp_dir(), "db"),
                        STEM_OPTIONS(.no_compression = true)));
    for (unsigned char generation = 1; generation <= 2; generation++)
        for (size_t i = 0; i < LARGE_KEYS; i++) {
            bytes[0] = generation;
            assert_ok(
                stem_put(shared, name_of("key", i, key), stem_bin(bytes, sizeof bytes)));
        }
    is_over = false;
    run(compact_or_write, 4);
    assert_ok(stem_compact(shared));
    assert_ok(stem_size(shared, &size));
    const uint64_t needed = (uint64_t)LARGE_KEYS * LARGE_VALUE;
    ck_assert_uint_ge(size.table_bytes, needed);
    ck_assert_uint_lt(size.table_bytes, needed + needed / 8);
    for (size_t i = 0; i < LARGE_KEYS; i++) {
        void *data;
        size_t len;

        assert_ok(stem_get_bin(shared, name_of("key", i, key), &data, &len));
        ck_assert_uint_eq(len, LARGE_VALUE);
        ck_assert_int_eq(*(unsigned char *)data, 2);
        stem_free(data);
    }
    for (size_t i = 0; i < N_KEYS; i++)
        assert_ok(stem_has(shared, name_of("new", i, key)));
    assert_ok(stem_close(shared));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("threads");
    TCase *tcase = add_case(suite, "threads", 120);

    tcase_add_test(tcase, each_thread_finds_what_it_wrote_and_nothing_of_the_others);
    tcase_add_test(tcase, a_value_is_never_seen_half_written);
    tcase_add_test(tcase, every_view_is_of_one_moment);
    tcase_add_test(tcase, each_thread_has_its_own_last_failure);
    tcase_add_test(tcase, several_compact_while_others_write);
    return run_suite(suite);
}
