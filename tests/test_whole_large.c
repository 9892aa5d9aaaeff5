/*
 * Copying and moving places that take many commits: complete, in little memory, and right
 * while others read and write what is moved. Each test runs within one database and then
 * into another.
 *
 * STEM_TEST_MEBIBYTES makes the place of the memory test larger.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "place.h"

static stem_db *root, *other, *source, *target;

static void open_places(int is_other)
{
    const stem_options options = {.cache_bytes = 1 << 20};

    assert_ok(stem_open(&root, path_in(temp_dir(), "db"), &options));
    assert_ok(stem_open(&other, path_in(temp_dir(), "other"), &options));
    source = stem_sub(root, "source");
    target = stem_sub(is_other ? other : root, "target");
}

static void close_places(void)
{
    assert_ok(stem_close(target));
    assert_ok(stem_close(source));
    assert_ok(stem_close(other));
    assert_ok(stem_close(root));
}

/* ---- Complete --------------------------------------------------------------------- */

static void *encoded(const stem_iter *iter, size_t *len)
{
    return stem_encode(stem_iter_value(iter), len);
}

static void assert_same_contents(stem_db *a, stem_db *b)
{
    stem_iter *left = stem_iter_open(a, NULL), *right = stem_iter_open(b, NULL);

    while (stem_iter_next(left)) {
        size_t n_left, n_right, left_len, right_len;

        ck_assert(stem_iter_next(right));
        const char *const *left_names = stem_iter_path(left, &n_left);
        const char *const *right_names = stem_iter_path(right, &n_right);
        ck_assert_uint_eq(n_left, n_right);
        for (size_t i = 0; i < n_left; i++)
            ck_assert_str_eq(left_names[i], right_names[i]);
        void *left_bytes = encoded(left, &left_len);
        void *right_bytes = encoded(right, &right_len);
        ck_assert_uint_eq(left_len, right_len);
        ck_assert_mem_eq(left_bytes, right_bytes, left_len);
        stem_free(left_bytes);
        stem_free(right_bytes);
    }
    ck_assert(!stem_iter_next(right));
    assert_ok(stem_iter_close(left));
    assert_ok(stem_iter_close(right));
}

START_TEST(places_of_many_commits_arrive_complete)
{
    enum { N = 3500, LARGE = 300 << 10, LARGER = 3 << 20 };
    stem_db *deep;
    char key[16], *large = malloc(LARGER);

    open_places(_i);
    deep = stem_sub(source, "deep", "down");
    for (int i = 0; i < LARGER; i++)
        large[i] = (char)((unsigned)i * (unsigned)i >> 3);
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_ok(stem_put(i % 2 ? source : deep, key, i));
    }
    for (int i = 0; i < 12; i++) {
        snprintf(key, sizeof key, "%d", i * 111);
        assert_ok(stem_put(source, key, stem_bin(large, i == 5 ? LARGER : LARGE)));
    }
    stem_db *before = stem_snapshot(source);
    assert_ok(stem_copy(source, NULL, target, NULL));
    assert_same_contents(target, before);
    assert_same_contents(source, before);
    assert_ok(stem_clear(target, NULL));
    assert_ok(stem_move(source, NULL, target, NULL));
    assert_same_contents(target, before);
    assert_contents(source, "");
    assert_ok(stem_close(before));
    assert_ok(stem_close(deep));
    free(large);
    close_places();
}
END_TEST

/* ---- In little memory ------------------------------------------------------------- */

static atomic_bool is_over;

/* The memory of this process that no file backs, in KiB. */
static unsigned long anonymous_memory(void)
{
    char line[128];
    unsigned long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");

    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "RssAnon: %lu", &kib) == 1)
            break;
    if (status)
        fclose(status);
    return kib;
}

static void *watch_memory(void *peak)
{
    while (!atomic_load(&is_over)) {
        unsigned long now = anonymous_memory();

        if (now > *(unsigned long *)peak)
            *(unsigned long *)peak = now;
        usleep(500);
    }
    return NULL;
}

START_TEST(memory_stays_small_however_large_the_place_is)
{
    enum { LARGE = 64 << 10, MOST = 40 << 10 };
    unsigned long n = number_from("STEM_TEST_MEBIBYTES", HAS_SANITIZER ? 20 : 200) * 16;
    uint64_t *noise = malloc(LARGE), state = 42, count;
    unsigned long peak = 0;
    pthread_t watcher;
    char key[24];

    open_places(_i);
    for (unsigned long i = 0; i < n; i++) {
        for (size_t k = 0; k < LARGE / sizeof *noise; k++)
            noise[k] = state = state * 6364136223846793005u + 1442695040888963407u;
        snprintf(key, sizeof key, "%06lu", i);
        assert_ok(stem_put(source, key, stem_bin(noise, LARGE)));
    }
    unsigned long before = anonymous_memory();
    pthread_create(&watcher, NULL, watch_memory, &peak);
    assert_ok(stem_move(source, NULL, target, NULL));
    assert_ok(stem_count(target, NULL, &count));
    ck_assert_uint_eq(count, n);
    assert_ok(stem_clear(target, NULL));
    atomic_store(&is_over, true);
    pthread_join(watcher, NULL);
    if (!HAS_SANITIZER)
        ck_assert_msg(peak < before + MOST, "%lu KiB, and %lu before", peak, before);
    assert_contents(root, "");
    free(noise);
    close_places();
}
END_TEST

/* ---- While others read and write -------------------------------------------------- */

enum { N_KEYS = 2500 };

static const char *key_of(int number, char key[8])
{
    snprintf(key, 8, "%05d", number);
    return key;
}

static void *read_both(void *unused)
{
    unsigned short state[3] = {1, 2, 3};
    char key[8];

    (void)unused;
    while (!atomic_load(&is_over)) {
        key_of((int)(nrand48(state) % N_KEYS), key);
        if (stem_has(source, key) == STEM_NOTFOUND)
            assert_ok(stem_has(target, key));
    }
    return NULL;
}

START_TEST(no_entry_is_ever_in_neither_place)
{
    pthread_t reader;
    char key[8];

    open_places(_i);
    for (int i = 0; i < N_KEYS; i++)
        assert_ok(stem_put(source, key_of(i, key), i));
    pthread_create(&reader, NULL, read_both, NULL);
    assert_ok(stem_move(source, NULL, target, NULL));
    atomic_store(&is_over, true);
    pthread_join(reader, NULL);
    close_places();
}
END_TEST

static int64_t written[N_KEYS]; /* the last value of each key; 0 is none */
static atomic_int n_writes;

static void *write_on(void *unused)
{
    unsigned short state[3] = {4, 5, 6};
    char key[8];

    (void)unused;
    for (int64_t number = 1; !atomic_load(&is_over); number++) {
        int i = (int)(nrand48(state) % N_KEYS);

        assert_ok(stem_put(source, key_of(i, key), number));
        written[i] = number;
        atomic_fetch_add(&n_writes, 1);
    }
    return NULL;
}

START_TEST(what_is_written_meanwhile_is_not_lost)
{
    pthread_t writer;
    uint64_t count, expected = 0;
    char key[8];

    open_places(_i);
    pthread_create(&writer, NULL, write_on, NULL);
    for (int round = 1; round <= 8; round++) {
        while (atomic_load(&n_writes) < round * N_KEYS)
            usleep(100);
        assert_ok(stem_move(source, NULL, target, NULL));
    }
    atomic_store(&is_over, true);
    pthread_join(writer, NULL);
    assert_ok(stem_move(source, NULL, target, NULL));
    assert_contents(source, "");
    for (int i = 0; i < N_KEYS; i++) {
        ck_assert_int_eq(stem_get_int_or(target, key_of(i, key), 0), written[i]);
        expected += written[i] != 0;
    }
    assert_ok(stem_count(target, NULL, &count));
    ck_assert_uint_eq(count, expected);
    close_places();
}
END_TEST

static void *write_rounds(void *unused)
{
    char names[N_KEYS][8];
    const char *keys[N_KEYS];
    stem_value values[N_KEYS];

    (void)unused;
    for (int i = 0; i < N_KEYS; i++)
        keys[i] = key_of(i, names[i]);
    for (int round = 1; !atomic_load(&is_over); round++) {
        for (int i = 0; i < N_KEYS; i++)
            values[i] = stem_int(round);
        assert_ok(stem_put_many(source, keys, values, N_KEYS));
        atomic_fetch_add(&n_writes, 1);
    }
    return NULL;
}

START_TEST(a_copy_is_of_one_moment)
{
    pthread_t writer;

    open_places(_i);
    pthread_create(&writer, NULL, write_rounds, NULL);
    while (atomic_load(&n_writes) == 0)
        usleep(100);
    for (int round = 0; round < 10; round++) {
        assert_ok(stem_copy(source, NULL, target, NULL));
        int64_t first = stem_get_int_or(target, "00000", 0);
        stem_iter *iter = stem_iter_open(target, NULL);

        ck_assert_int_gt(first, 0);
        while (stem_iter_next(iter))
            ck_assert_int_eq(stem_iter_value(iter)->as.integer, first);
        assert_ok(stem_iter_close(iter));
    }
    atomic_store(&is_over, true);
    pthread_join(writer, NULL);
    close_places();
}
END_TEST

static void *put_what_fits_here_alone(void *place)
{
    usleep(3000);
    assert_ok(stem_put((stem_db *)place, "zzz", 1));
    return NULL;
}

START_TEST(a_path_too_long_that_appears_meanwhile_does_not_arrive)
{
    enum { DEPTH = 15, ROOM = STEM_PATH_MAX - DEPTH * (STEM_COMPONENT_MAX + 1) };
    const char *names[DEPTH + 1];
    stem_db *deep, *longer;
    pthread_t writer;
    char key[8];
    uint64_t count;

    open_places(_i);
    /* One byte more than the source has room for in front of the same path. */
    for (int i = 0; i < DEPTH; i++)
        names[i] = longest_name;
    names[DEPTH] = longest_name + STEM_COMPONENT_MAX - (ROOM - strlen("source//zzz"));
    deep = stem_sub_path(source, names, DEPTH + 1);
    longer = stem_sub(_i ? other : root, "longer than it");
    ck_assert_ptr_nonnull(deep);
    for (int i = 0; i < N_KEYS; i++)
        assert_ok(stem_put(source, key_of(i, key), i));
    for (int is_move = 0; is_move < 2; is_move++) {
        pthread_create(&writer, NULL, put_what_fits_here_alone, deep);
        int code = (is_move ? stem_move : stem_copy)(source, NULL, longer, NULL);
        pthread_join(writer, NULL);
        if (code != STEM_OK)
            assert_failure(code, STEM_EINVAL);
        ck_assert_int_eq(stem_get_int_or(deep, "zzz", 0), 1);
        assert_ok(stem_count(longer, STEM_RANGE(.prefix = "n"), &count));
        ck_assert_uint_eq(count, 0);
        assert_ok(stem_del(deep, "zzz"));
    }
    assert_ok(stem_close(longer));
    assert_ok(stem_close(deep));
    close_places();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("whole, large");
    TCase *large = add_case(suite, "large", 300);
    TCase *meanwhile = add_case(suite, "meanwhile", 120);

    tcase_add_loop_test(large, places_of_many_commits_arrive_complete, 0, 2);
    tcase_add_loop_test(large, memory_stays_small_however_large_the_place_is, 0, 2);
    tcase_add_loop_test(meanwhile, no_entry_is_ever_in_neither_place, 0, 2);
    tcase_add_loop_test(meanwhile, what_is_written_meanwhile_is_not_lost, 0, 2);
    tcase_add_loop_test(meanwhile, a_copy_is_of_one_moment, 0, 2);
    tcase_add_loop_test(meanwhile, a_path_too_long_that_appears_meanwhile_does_not_arrive,
                        0, 2);
    return run_suite(suite);
}
