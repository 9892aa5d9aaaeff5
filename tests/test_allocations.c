/*
 * What a put and a get allocate: every call of malloc in this process, on this thread, is
 * counted, and compared with LevelDB doing the very same, so that LevelDB's own cancel out.
 *
 * Sanitizers bring a malloc of their own; this program is not built with them.
 */
#include "support.h"

#include <errno.h>
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stem.h"

/* The C library's own, under the names that an interposer calls. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static _Thread_local size_t n_allocations;

void *malloc(size_t size)
{
    n_allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    n_allocations++;
    return __libc_calloc(n, size);
}

void *realloc(void *block, size_t size)
{
    n_allocations++;
    return __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size)
{
    n_allocations++;
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    *block = memalign(alignment, size);
    return *block ? 0 : ENOMEM;
}

/* ---- The two sides ---------------------------------------------------------------- */

enum { N = 1000 };

static stem_db *db, *sub;
static leveldb_t *raw;
static leveldb_options_t *options;
static leveldb_readoptions_t *read_options;
static leveldb_writeoptions_t *write_options;

/* A path of exactly `path_len` bytes: the sub-database's name and a separator first. */
static char prefix[300], key[300];
static size_t key_len;

static void open_both(size_t path_len)
{
    char *message = NULL;

    assert_ok(stem_open(&db, path_in(temp_dir(), "stem"), NULL));
    memset(prefix, 'p', path_len - 9);
    sub = stem_sub(db, prefix);
    ck_assert_ptr_nonnull(sub);
    key_len = path_len;

    options = leveldb_options_create();
    leveldb_options_set_create_if_missing(options, 1);
    leveldb_options_set_filter_policy(options, leveldb_filterpolicy_create_bloom(10));
    raw = leveldb_open(options, path_in(temp_dir(), "raw"), &message);
    ck_assert_ptr_null(message);
    read_options = leveldb_readoptions_create();
    write_options = leveldb_writeoptions_create();
}

static void close_both(void)
{
    stem_close(sub);
    stem_close(db);
    leveldb_close(raw);
}

/* The last name of the `i`-th key; the whole stored key in `key`. */
static const char *name_key(int i)
{
    size_t at = key_len - 9;

    memcpy(key, prefix, at);
    snprintf(key + at + 1, sizeof key - at - 1, "%08d", i);
    return key + at + 1;
}

static void put_raw(int i, const void *data, size_t len)
{
    char *message = NULL;

    name_key(i);
    leveldb_put(raw, write_options, key, key_len, data, len, &message);
    ck_assert_ptr_null(message);
}

static size_t count_raw_puts(const stem_value *value)
{
    size_t len, before;
    void *bytes = stem_encode(value, &len);

    before = n_allocations;
    for (int i = 0; i < N; i++)
        put_raw(i, bytes, len);
    size_t count = n_allocations - before;
    stem_free(bytes);
    ck_assert_uint_ge(count, N); /* LevelDB's calls are seen as well */
    return count;
}

static size_t count_puts(stem_value value)
{
    size_t before = n_allocations;

    for (int i = 0; i < N; i++)
        stem_put_value(sub, name_key(i), value);
    return n_allocations - before;
}

static size_t count_raw_gets(void)
{
    size_t before = n_allocations;

    for (int i = 0; i < N; i++) {
        char *message = NULL;
        size_t len;

        name_key(i);
        leveldb_free(leveldb_get(raw, read_options, key, key_len, &len, &message));
    }
    return n_allocations - before;
}

/* ---- The promises ----------------------------------------------------------------- */

static const size_t path_lens[] = {11, 64, 128, 256};

static const stem_value *scalars(size_t *n)
{
    static stem_value all[7];
    const stem_value made[] = {stem_nil(),         stem_bool(true),       stem_int(7),
                               stem_int(-1000000), stem_uint(UINT64_MAX), stem_float(0.1),
                               stem_time(1, 1)};

    memcpy(all, made, sizeof all);
    *n = sizeof all / sizeof *all;
    return all;
}

START_TEST(a_put_of_a_scalar_allocates_nothing_of_stems_own)
{
    size_t n;
    const stem_value *values = scalars(&n);

    open_both(path_lens[_i]);
    for (size_t i = 0; i < n; i++) {
        size_t ours = count_puts(values[i]), theirs = count_raw_puts(&values[i]);

        ck_assert_msg(ours <= theirs, "%s: %zu allocations, and LevelDB's own %zu",
                      stem_type_name(values[i].type), ours, theirs);
    }
    close_both();
}
END_TEST

START_TEST(a_put_of_a_short_string_and_a_removal_allocate_nothing_of_stems_own)
{
    const stem_value value = stem_str("a short string of some forty characters!");

    open_both(path_lens[_i]);
    size_t ours = count_puts(value), theirs = count_raw_puts(&value);
    ck_assert_msg(ours <= theirs, "put: %zu, and LevelDB's own %zu", ours, theirs);
    ours = n_allocations;
    for (int i = 0; i < N; i++)
        stem_del(sub, name_key(i));
    ours = n_allocations - ours;
    theirs = n_allocations;
    for (int i = 0; i < N; i++) {
        char *message = NULL;

        name_key(i);
        leveldb_delete(raw, write_options, key, key_len, &message);
    }
    theirs = n_allocations - theirs;
    ck_assert_msg(ours <= theirs, "del: %zu, and LevelDB's own %zu", ours, theirs);
    close_both();
}
END_TEST

START_TEST(a_read_allocates_nothing_beyond_the_buffer_that_leveldb_returns)
{
    static double numbers[1000];
    int64_t n;
    char *text;
    stem_value value;

    open_both(path_lens[_i]);
    count_puts(stem_int(1234567));
    value = stem_int(1234567);
    count_raw_puts(&value);
    size_t theirs = count_raw_gets(), before = n_allocations;
    for (int i = 0; i < N; i++)
        stem_get_int(sub, name_key(i), &n);
    ck_assert_uint_le(n_allocations - before, theirs);
    before = n_allocations;
    for (int i = 0; i < N; i++)
        stem_has(sub, name_key(i));
    ck_assert_uint_le(n_allocations - before, theirs);

    value = stem_str("some text");
    count_puts(value);
    count_raw_puts(&value);
    theirs = count_raw_gets();
    before = n_allocations;
    for (int i = 0; i < N; i++) {
        stem_get_str(sub, name_key(i), &text, NULL);
        stem_free(text);
    }
    ck_assert_uint_le(n_allocations - before, theirs);

    value = stem_vec(numbers, 1000);
    count_puts(value);
    count_raw_puts(&value);
    assert_ok(stem_compact(db));
    leveldb_compact_range(raw, NULL, 0, NULL, 0);
    for (int round = 0; round < 2; round++) { /* the first fills the block cache */
        theirs = count_raw_gets();
        before = n_allocations;
        for (int i = 0; i < N; i++) {
            stem_get_array(sub, name_key(i), STEM_F64, &value);
            stem_value_free(&value);
        }
    }
    ck_assert_uint_le(n_allocations - before, theirs);
    close_both();
}
END_TEST

START_TEST(an_absent_key_costs_no_allocation_of_stems_own)
{
    int64_t n;

    open_both(path_lens[_i]);
    size_t theirs = count_raw_gets(), before = n_allocations;
    for (int i = 0; i < N; i++)
        stem_get_int(sub, name_key(i), &n);
    ck_assert_uint_le(n_allocations - before, theirs);
    close_both();
}
END_TEST

START_TEST(a_derived_handle_is_one_allocation)
{
    stem_db *made;

    open_both(64);
    size_t before = n_allocations;
    for (int i = 0; i < N; i++) {
        made = stem_sub(sub, "a", "b");
        stem_close(made);
        made = stem_dup(sub);
        stem_close(made);
        made = stem_read_only(sub);
        stem_close(made);
    }
    ck_assert_uint_eq(n_allocations - before, 3 * N);
    close_both();
}
END_TEST

START_TEST(a_step_of_a_walk_over_scalars_allocates_nothing_of_stems_own)
{
    char *message = NULL;
    stem_value value = stem_int(1234567);

    open_both(64);
    count_puts(value);
    count_raw_puts(&value);
    assert_ok(stem_compact(db));
    leveldb_compact_range(raw, NULL, 0, NULL, 0);
    size_t ours = 0, theirs = 0;
    for (int round = 0; round < 2; round++) { /* the first fills the block cache */
        size_t before = n_allocations;
        leveldb_iterator_t *raw_iter = leveldb_create_iterator(raw, read_options);
        for (leveldb_iter_seek_to_first(raw_iter); leveldb_iter_valid(raw_iter);
             leveldb_iter_next(raw_iter))
            leveldb_iter_get_error(raw_iter, &message);
        leveldb_iter_destroy(raw_iter);
        theirs = n_allocations - before;

        before = n_allocations;
        stem_iter *iter = stem_iter_open(sub, NULL);
        int steps = 0;
        while (stem_iter_next(iter))
            steps++;
        stem_iter_close(iter);
        ours = n_allocations - before;
        ck_assert_int_eq(steps, N);
    }
    /* What opening one costs, however long the walk is. */
    ck_assert_uint_le(ours, theirs + 12);
    close_both();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("allocations");
    TCase *tcase = add_case(suite, "allocations", 60);
    const int n = sizeof path_lens / sizeof *path_lens;

    tcase_add_loop_test(tcase, a_put_of_a_scalar_allocates_nothing_of_stems_own, 0, n);
    tcase_add_loop_test(
        tcase, a_put_of_a_short_string_and_a_removal_allocate_nothing_of_stems_own, 0, n);
    tcase_add_loop_test(
        tcase, a_read_allocates_nothing_beyond_the_buffer_that_leveldb_returns, 0, n);
    tcase_add_loop_test(tcase, an_absent_key_costs_no_allocation_of_stems_own, 0, n);
    tcase_add_test(tcase, a_derived_handle_is_one_allocation);
    tcase_add_test(tcase, a_step_of_a_walk_over_scalars_allocates_nothing_of_stems_own);
    return run_suite(suite);
}
