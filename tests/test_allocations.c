/*
 * What a put and a get allocate: every call of malloc in this process, on this thread, is
 * counted, and compared with LevelDB doing the very same, so that LevelDB's own cancel out.
 * Nothing is asserted while it counts, because Check allocates for every assertion.
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

/* The shared libraries must find these in the program, or their calls are not seen. */
#pragma GCC visibility push(default)

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

#pragma GCC visibility pop

/* ---- The two sides ---------------------------------------------------------------- */

/* LevelDB's memory grows by blocks, one more or less on either side: SLACK is far from one a
 * call. */
enum { N = 1000, SLACK = 20 };

static stem_db *db, *sub;
static leveldb_t *raw;
static leveldb_options_t *options;
static leveldb_readoptions_t *read_options;
static leveldb_writeoptions_t *write_options;
static leveldb_writebatch_t *batch; /* kept, as Stem keeps one */
static size_t n_failed;             /* calls that did not answer as they should */

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
    batch = leveldb_writebatch_create();
}

static void close_both(void)
{
    ck_assert_uint_eq(n_failed, 0);
    leveldb_writebatch_destroy(batch);
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

static void write_raw(void)
{
    char *message = NULL;

    leveldb_write(raw, write_options, batch, &message);
    n_failed += message != NULL;
}

static size_t count_raw_puts(const stem_value *value)
{
    size_t len;
    void *bytes = stem_encode(value, &len);
    size_t before = n_allocations;

    for (int i = 0; i < N; i++) {
        name_key(i);
        leveldb_writebatch_clear(batch);
        leveldb_writebatch_put(batch, key, key_len, bytes, len);
        write_raw();
    }
    size_t count = n_allocations - before;
    stem_free(bytes);
    return count;
}

static size_t count_raw_dels(void)
{
    size_t before = n_allocations;

    for (int i = 0; i < N; i++) {
        name_key(i);
        leveldb_writebatch_clear(batch);
        leveldb_writebatch_delete(batch, key, key_len);
        write_raw();
    }
    return n_allocations - before;
}

static size_t count_puts(stem_value value)
{
    size_t before = n_allocations;

    for (int i = 0; i < N; i++)
        n_failed += stem_put_value(sub, name_key(i), value) != STEM_OK;
    return n_allocations - before;
}

static size_t count_dels(void)
{
    size_t before = n_allocations;

    for (int i = 0; i < N; i++)
        n_failed += stem_del(sub, name_key(i)) != STEM_OK;
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
        n_failed += message != NULL;
    }
    return n_allocations - before;
}

/* ---- The promises ----------------------------------------------------------------- */

static const size_t path_lens[] = {11, 64, 128, 256};

START_TEST(the_calls_of_the_library_and_of_leveldb_are_counted)
{
    stem_value value = stem_int(1);

    open_both(64);
    size_t before = n_allocations;
    stem_db *made = stem_dup(db);
    size_t by_stem = n_allocations - before;
    stem_close(made);
    count_raw_puts(&value);
    size_t by_leveldb = count_raw_gets();
    ck_assert_uint_eq(by_stem, 1);
    ck_assert_uint_ge(by_leveldb, N);
    close_both();
}
END_TEST

START_TEST(a_put_of_a_scalar_or_a_short_string_allocates_nothing_of_stems_own)
{
    const stem_value values[] = {stem_nil(),
                                 stem_bool(true),
                                 stem_int(7),
                                 stem_int(-1000000),
                                 stem_uint(UINT64_MAX),
                                 stem_float(0.1),
                                 stem_time(1, 1),
                                 stem_str("a short string of some forty characters!")};

    open_both(path_lens[_i]);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        size_t ours = count_puts(values[i]), theirs = count_raw_puts(&values[i]);

        ck_assert_msg(ours <= theirs + SLACK,
                      "%s: %zu allocations, and LevelDB's own %zu",
                      stem_type_name(values[i].type), ours, theirs);
    }
    size_t ours = count_dels(), theirs = count_raw_dels();
    ck_assert_msg(ours <= theirs + SLACK, "del: %zu, and LevelDB's own %zu", ours,
                  theirs);
    close_both();
}
END_TEST

/* Reads each key in one way. */
enum way { INT, HAS, TYPE, STR, ARRAY };

static size_t count_gets(enum way way)
{
    size_t before = n_allocations;

    for (int i = 0; i < N; i++) {
        const char *name = name_key(i);
        stem_value value = stem_nil();
        char *text = NULL;
        int64_t n;
        int type, code = STEM_OK;

        if (way == INT)
            code = stem_get_int(sub, name, &n);
        else if (way == HAS)
            code = stem_has(sub, name);
        else if (way == TYPE)
            code = stem_type(sub, name, &type);
        else if (way == STR)
            code = stem_get_str(sub, name, &text, NULL);
        else
            code = stem_get_array(sub, name, STEM_F64, &value);
        n_failed += code < 0;
        stem_free(text);
        stem_value_free(&value);
    }
    return n_allocations - before;
}

/* What LevelDB allocates for a read includes the one buffer that is handed on. */
static void assert_reads(enum way way)
{
    size_t theirs = count_raw_gets(), ours = count_gets(way);

    ck_assert_msg(ours <= theirs + SLACK,
                  "way %d: %zu allocations, and LevelDB's own %zu", (int)way, ours,
                  theirs);
}

static void put_both(stem_value value)
{
    count_puts(value);
    count_raw_puts(&value);
}

START_TEST(a_read_allocates_nothing_beyond_the_buffer_that_leveldb_returns)
{
    static double numbers[1000];

    open_both(path_lens[_i]);
    assert_reads(INT); /* absent */
    put_both(stem_int(1234567));
    assert_reads(INT);
    assert_reads(HAS);
    assert_reads(TYPE);
    put_both(stem_str("some text"));
    assert_reads(STR);
    put_both(stem_vec(numbers, 10));
    assert_reads(ARRAY);
    put_both(stem_vec(numbers, 100));
    assert_reads(ARRAY);
    close_both();
}
END_TEST

START_TEST(a_derived_handle_is_one_allocation)
{
    open_both(64);
    size_t before = n_allocations;
    for (int i = 0; i < N; i++) {
        n_failed += stem_close(stem_sub(sub, "a", "b")) != STEM_OK;
        n_failed += stem_close(stem_dup(sub)) != STEM_OK;
        n_failed += stem_close(stem_read_only(sub)) != STEM_OK;
    }
    size_t count = n_allocations - before;
    ck_assert_uint_eq(count, 3 * N);
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

    tcase_add_test(tcase, the_calls_of_the_library_and_of_leveldb_are_counted);
    tcase_add_loop_test(
        tcase, a_put_of_a_scalar_or_a_short_string_allocates_nothing_of_stems_own, 0, n);
    tcase_add_loop_test(
        tcase, a_read_allocates_nothing_beyond_the_buffer_that_leveldb_returns, 0, n);
    tcase_add_test(tcase, a_derived_handle_is_one_allocation);
    tcase_add_test(tcase, a_step_of_a_walk_over_scalars_allocates_nothing_of_stems_own);
    return run_suite(suite);
}
