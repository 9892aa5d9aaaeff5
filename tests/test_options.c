/*
 * Opening: what the options ask for, what of them is refused, and one directory opened by
 * several names, from several threads: always one engine.
 */
#include "support.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "stem.h"

/* Whether the build has an engine for locations elsewhere. */
#ifdef HAVE_HIREDIS
enum { has_clients = 1 };
#else
enum { has_clients = 0 };
#endif

static bool is_there(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0;
}

static void assert_empty(const char *path)
{
    ck_assert_msg(rmdir(path) == 0, "%s is not empty", path);
}

static void make_database(const char *path)
{
    stem_db *db;

    assert_ok(stem_open(&db, path, NULL));
    assert_ok(stem_put(db, "k", 1));
    assert_ok(stem_close(db));
}

/* Opens, expects the code and that the handle is left alone. */
static void assert_open(const char *path, const stem_options *options, int expected)
{
    stem_db *db = (stem_db *)&db;
    int code = stem_open(&db, path, options);

    ck_assert_msg(code == expected, "%s, not %s: %s", stem_strerror(code),
                  stem_strerror(expected), stem_errmsg());
    if (code == STEM_OK)
        assert_ok(stem_close(db));
    else
        ck_assert_ptr_eq(db, &db);
    if (expected < 0)
        assert_code(stem_errcode(), expected);
}

static void assert_text(const char *part)
{
    ck_assert_msg(strstr(stem_errmsg(), part), "no \"%s\" in: %s", part, stem_errmsg());
}

/* ---- Of this open ----------------------------------------------------------------- */

START_TEST(must_exist_and_read_only_make_nothing)
{
    const char *dir = temp_dir(), *missing = path_in(dir, "missing");
    const stem_options *const asks[] = {STEM_OPTIONS(.must_exist = true),
                                        STEM_OPTIONS(.read_only = true)};

    mkdir(path_in(dir, "empty"), 0777);
    for (int i = 0; i < 2; i++) {
        assert_open(missing, asks[i], STEM_NOTFOUND);
        ck_assert(!is_there(missing));
        assert_open(path_in(dir, "empty"), asks[i], STEM_NOTFOUND);
        assert_open("mem:", asks[i], STEM_NOTFOUND);
    }
    assert_empty(path_in(dir, "empty"));
    make_database(missing);
    for (int i = 0; i < 2; i++)
        assert_open(missing, asks[i], STEM_OK);
}
END_TEST

START_TEST(must_be_new_refuses_a_database_closed_or_open)
{
    const char *path = path_in(temp_dir(), "db");
    const stem_options *new_only = STEM_OPTIONS(.must_be_new = true);
    stem_db *db;
    int64_t value;

    assert_open(path, new_only, STEM_OK);
    assert_open(path, new_only, STEM_EXISTS);
    make_database(path);
    assert_ok(stem_open(&db, path, NULL));
    assert_open(path, new_only, STEM_EXISTS);
    assert_ok(stem_get_int(db, "k", &value));
    assert_ok(stem_close(db));
    assert_open("mem:", new_only, STEM_OK);
}
END_TEST

START_TEST(read_only_is_of_the_handle_not_of_the_engine)
{
    const char *path = path_in(temp_dir(), "db");
    stem_db *reader, *writer, *sub;
    int64_t value;

    make_database(path);
    assert_ok(stem_open(&reader, path, STEM_OPTIONS(.read_only = true)));
    assert_ok(stem_open(&writer, path, NULL));
    sub = stem_sub(reader, "s");
    assert_code(stem_put(reader, "k", 2), STEM_EREADONLY);
    assert_code(stem_put(sub, "k", 2), STEM_EREADONLY);
    assert_ok(stem_put(writer, "k", 3));
    assert_ok(stem_get_int(reader, "k", &value));
    ck_assert_int_eq(value, 3);
    stem_close(sub);
    stem_close(reader);
    stem_close(writer);
}
END_TEST

START_TEST(a_synced_handle_writes_beside_one_that_is_not)
{
    const char *path = path_in(temp_dir(), "db");
    stem_db *synced, *plain, *sub;

    assert_ok(stem_open(&synced, path, STEM_OPTIONS(.sync = true)));
    assert_ok(stem_open(&plain, path, NULL));
    sub = stem_sub(synced, "s");
    assert_ok(stem_put(sub, "k", 1));
    assert_ok(stem_put(plain, "k", 1));
    assert_ok(stem_del(synced, "k"));
    assert_code(stem_has(plain, "k"), STEM_NOTFOUND);
    assert_ok(stem_sync(plain));
    stem_close(sub);
    stem_close(plain);
    stem_close(synced);
}
END_TEST

START_TEST(arguments_that_can_never_be_right_are_refused)
{
    const char *path = path_in(temp_dir(), "db");
    stem_options options = {0};

    assert_code(stem_open(NULL, path, NULL), STEM_EINVAL);
    assert_open(NULL, NULL, STEM_EINVAL);
    assert_open("", NULL, STEM_EINVAL);
    assert_open("leveldb:", NULL, STEM_EINVAL);
    for (size_t i = 0; i < sizeof options.reserved / sizeof *options.reserved; i++) {
        options.reserved[i] = 1;
        assert_open(path, &options, STEM_EINVAL);
        assert_text("reserved");
        options.reserved[i] = 0;
    }
    const char *const elsewhere[] = {"unix:/none/s", "stem://host:1/s", "stems://host"};
    for (int i = 0; i < 3; i++) {
        if (!has_clients)
            assert_open(elsewhere[i], NULL, STEM_ENOTSUP);
        assert_open(elsewhere[i], STEM_OPTIONS(.writeback_bytes = 1 << 20),
                    has_clients ? STEM_EINVAL : STEM_ENOTSUP);
    }
    ck_assert(!is_there(path));
    assert_open(path, &options, STEM_OK);
}
END_TEST

/* ---- Of the whole database -------------------------------------------------------- */

START_TEST(an_option_out_of_range_is_named_and_makes_nothing)
{
    static const struct {
        const char *name;
        stem_options options;
    } wrong[] = {
        {"bloom_bits", {.bloom_bits = 65}},
        {"bloom_bits is -1", {.bloom_bits = -1}},
        {"bloom_bits", {.bloom_bits = 5, .no_bloom = true}},
        {"max_open_files", {.max_open_files = 73}},
        {"max_open_files", {.max_open_files = 50001}},
        {"max_open_files is -5", {.max_open_files = -5}},
        {"cache_bytes", {.cache_bytes = 65535}},
        {"cache_bytes", {.cache_bytes = ((size_t)1 << 40) + 1}},
        {"write_buffer_bytes", {.write_buffer_bytes = 1}},
        {"write_buffer_bytes", {.write_buffer_bytes = (1 << 30) + 1}},
        {"block_bytes", {.block_bytes = 1023}},
        {"block_bytes", {.block_bytes = (4 << 20) + 1}},
    };
    const char *path = path_in(temp_dir(), "db");

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_open(path, &wrong[i].options, STEM_EINVAL);
        assert_text(wrong[i].name);
        assert_text(path);
        assert_open("mem:", &wrong[i].options, STEM_EINVAL);
        ck_assert(!is_there(path));
    }
}
END_TEST

START_TEST(the_ends_of_every_range_work)
{
    static const stem_options ends[] = {
        {.bloom_bits = 1,
         .max_open_files = 74,
         .cache_bytes = 64 << 10,
         .write_buffer_bytes = 64 << 10,
         .block_bytes = 1 << 10},
        {.bloom_bits = 64,
         .max_open_files = 50000,
         .cache_bytes = (size_t)1 << 40,
         .write_buffer_bytes = 1 << 30,
         .block_bytes = 4 << 20},
        {.no_compression = true, .no_verify = true, .no_bloom = true},
    };
    const char *path = path_in(temp_dir(), "db");

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        stem_db *db;
        int64_t value;

        assert_ok(stem_open(&db, path, &ends[i]));
        for (int n = 0; n < 1000; n++) {
            char key[16];

            snprintf(key, sizeof key, "%zu-%d", i, n);
            assert_ok(stem_put(db, key, n));
        }
        assert_ok(stem_compact(db));
        assert_ok(stem_get_int(db, "0-999", &value));
        ck_assert_int_eq(value, 999);
        assert_ok(stem_close(db));
    }
}
END_TEST

/* One option after the other, with a value other than its default. */
static const struct {
    const char *name;
    stem_options options;
} settings[] = {
    {"no_compression", {.no_compression = true}},
    {"no_verify", {.no_verify = true}},
    {"no_bloom", {.no_bloom = true}},
    {"bloom_bits", {.bloom_bits = 12}},
    {"max_open_files", {.max_open_files = 500}},
    {"cache_bytes", {.cache_bytes = 1 << 20}},
    {"write_buffer_bytes", {.write_buffer_bytes = 1 << 20}},
    {"block_bytes", {.block_bytes = 8 << 10}},
};
enum { N_SETTINGS = sizeof settings / sizeof *settings };

START_TEST(a_second_open_gives_zero_or_the_same)
{
    const char *path = path_in(temp_dir(), "db");

    for (int i = 0; i < N_SETTINGS; i++) {
        stem_db *db;

        assert_ok(stem_open(&db, path, &settings[i].options));
        for (int j = 0; j < N_SETTINGS; j++) {
            assert_open(path, &settings[j].options, i == j ? STEM_OK : STEM_EINVAL);
            if (i != j)
                assert_text(settings[j].name);
        }
        assert_open(path, NULL, STEM_OK);
        assert_ok(stem_close(db));
    }
}
END_TEST

START_TEST(a_second_open_may_name_the_defaults)
{
    const stem_options defaults = {.bloom_bits = 10,
                                   .max_open_files = 1000,
                                   .cache_bytes = 32 << 20,
                                   .write_buffer_bytes = 4 << 20,
                                   .block_bytes = 4 << 10};
    const char *path = path_in(temp_dir(), "db");
    stem_db *db;

    assert_ok(stem_open(&db, path, NULL));
    assert_open(path, &defaults, STEM_OK);
    assert_ok(stem_close(db));
    assert_ok(stem_open(&db, path, &defaults));
    assert_open(path, NULL, STEM_OK);
    assert_open(path, &defaults, STEM_OK);
    assert_ok(stem_close(db));
}
END_TEST

/* ---- One directory, several names ------------------------------------------------- */

enum { N_NAMES = 8, ROUNDS = 20 };
static const char *directory_names[N_NAMES];

/* Names for one directory that is not there yet; changes to the directory above it. */
static void name_directory(void)
{
    static char above[PATH_MAX];

    ck_assert_ptr_nonnull(realpath(temp_dir(), above));
    ck_assert_int_eq(chdir(above), 0);
    ck_assert_int_eq(mkdir("real", 0777), 0);
    ck_assert_int_eq(mkdir("real/d", 0777), 0);
    ck_assert_int_eq(symlink("real/d", "link"), 0);
    ck_assert_int_eq(symlink("real", "parent"), 0);
    const char *const names[N_NAMES] = {"real/d",
                                        "./real/d",
                                        "real/./d/",
                                        "link",
                                        "parent/d",
                                        "leveldb:real/../link",
                                        path_in(above, "real/d"),
                                        path_in(above, "link/../d")};
    memcpy(directory_names, names, sizeof names);
}

typedef struct opening {
    const char *name;
    pthread_barrier_t *barrier;
    uint64_t handles;
} opening;

static void *open_in_thread(void *argument)
{
    opening *mine = argument;
    stem_statistics stats;
    stem_db *db;

    pthread_barrier_wait(mine->barrier);
    assert_ok(stem_open(&db, mine->name, NULL));
    assert_ok(stem_put(db, mine->name, 1));
    pthread_barrier_wait(mine->barrier);
    assert_ok(stem_stats(db, &stats));
    mine->handles = stats.handles;
    for (int i = 0; i < N_NAMES; i++)
        assert_ok(stem_has(db, directory_names[i]));
    pthread_barrier_wait(mine->barrier);
    assert_ok(stem_close(db));
    return NULL;
}

START_TEST(a_directory_opened_by_several_names_at_once_is_one_engine)
{
    name_directory();
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_t barrier;
        pthread_t threads[N_NAMES];
        opening each[N_NAMES];
        stem_db *db;

        pthread_barrier_init(&barrier, NULL, N_NAMES);
        for (int i = 0; i < N_NAMES; i++) {
            each[i] = (opening){directory_names[i], &barrier, 0};
            pthread_create(&threads[i], NULL, open_in_thread, &each[i]);
        }
        for (int i = 0; i < N_NAMES; i++) {
            pthread_join(threads[i], NULL);
            ck_assert_uint_eq(each[i].handles, N_NAMES);
        }
        pthread_barrier_destroy(&barrier);
        assert_ok(stem_open(&db, "link", STEM_OPTIONS(.must_exist = true)));
        for (int i = 0; i < N_NAMES; i++)
            assert_ok(stem_has(db, directory_names[i]));
        assert_ok(stem_close(db));
    }
}
END_TEST

/* Opens and closes without a pause, so that openings meet closings. */
static void *open_and_close(void *argument)
{
    const char *name = argument;

    for (int i = 0; i < 100; i++) {
        stem_db *db;

        assert_ok(stem_open(&db, name, NULL));
        assert_ok(stem_put(db, name, i));
        assert_ok(stem_has(db, name));
        assert_ok(stem_close(db));
    }
    return NULL;
}

/* Asks for what cannot be had while the others have it open. */
static void *open_in_vain(void *argument)
{
    const char *name = argument;

    for (int i = 0; i < 300; i++) {
        stem_db *db;
        int code = i % 2 == 0 ? stem_open(&db, name, STEM_OPTIONS(.block_bytes = 8 << 10))
                              : stem_open(&db, name, STEM_OPTIONS(.must_be_new = true));

        if (code == STEM_OK)
            assert_ok(stem_close(db));
        else
            ck_assert_int_eq(code, i % 2 == 0 ? STEM_EINVAL : STEM_EXISTS);
    }
    return NULL;
}

START_TEST(refused_openings_meet_closing)
{
    pthread_t threads[4];
    stem_db *db;

    name_directory();
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, i % 2 ? open_in_vain : open_and_close,
                       (void *)directory_names[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_ok(stem_open(&db, "real/d", NULL));
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(opening_meets_closing)
{
    pthread_t threads[N_NAMES];
    stem_db *db;

    name_directory();
    for (int i = 0; i < N_NAMES; i++)
        pthread_create(&threads[i], NULL, open_and_close, (void *)directory_names[i]);
    for (int i = 0; i < N_NAMES; i++)
        pthread_join(threads[i], NULL);
    assert_ok(stem_open(&db, "real/d", NULL));
    for (int i = 0; i < N_NAMES; i++) {
        int64_t value;

        assert_ok(stem_get_int(db, directory_names[i], &value));
        ck_assert_int_eq(value, 99);
    }
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_relative_name_follows_no_later_change_of_directory)
{
    stem_db *db, *again;
    int64_t value;

    name_directory();
    assert_ok(stem_open(&db, "real/d", STEM_OPTIONS(.write_buffer_bytes = 64 << 10)));
    ck_assert_int_eq(chdir("/"), 0);
    for (int i = 0; i < 10000; i++) {
        char key[16];

        snprintf(key, sizeof key, "%d", i);
        assert_ok(stem_put(db, key, stem_bin(directory_names, sizeof directory_names)));
    }
    assert_ok(stem_put(db, "k", 1));
    assert_ok(stem_compact(db));
    assert_ok(stem_open(&again, directory_names[6], NULL));
    assert_ok(stem_get_int(again, "k", &value));
    assert_ok(stem_close(again));
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(two_memory_databases_have_nothing_in_common)
{
    stem_db *a, *b;

    assert_ok(stem_open(&a, "mem:", NULL));
    assert_ok(stem_open(&b, "mem:", STEM_OPTIONS(.no_bloom = true)));
    assert_ok(stem_put(a, "k", 1));
    assert_code(stem_has(b, "k"), STEM_NOTFOUND);
    assert_code(stem_destroy("mem:"), STEM_EINVAL);
    assert_ok(stem_close(a));
    assert_ok(stem_put(b, "k", 1));
    assert_ok(stem_close(b));
    assert_ok(stem_open(&a, "mem:", NULL));
    assert_code(stem_has(a, "k"), STEM_NOTFOUND);
    assert_ok(stem_close(a));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *opens = add_case(suite, "this open", 30);
    TCase *whole = add_case(suite, "the whole database", 30);
    TCase *names = add_case(suite, "names", 60);

    tcase_add_test(opens, must_exist_and_read_only_make_nothing);
    tcase_add_test(opens, must_be_new_refuses_a_database_closed_or_open);
    tcase_add_test(opens, read_only_is_of_the_handle_not_of_the_engine);
    tcase_add_test(opens, a_synced_handle_writes_beside_one_that_is_not);
    tcase_add_test(opens, arguments_that_can_never_be_right_are_refused);
    tcase_add_test(whole, an_option_out_of_range_is_named_and_makes_nothing);
    tcase_add_test(whole, the_ends_of_every_range_work);
    tcase_add_test(whole, a_second_open_gives_zero_or_the_same);
    tcase_add_test(whole, a_second_open_may_name_the_defaults);
    tcase_add_test(names, a_directory_opened_by_several_names_at_once_is_one_engine);
    tcase_add_test(names, opening_meets_closing);
    tcase_add_test(names, refused_openings_meet_closing);
    tcase_add_test(names, a_relative_name_follows_no_later_change_of_directory);
    tcase_add_test(names, two_memory_databases_have_nothing_in_common);
    return run_suite(suite);
}
