/*
 * Damaged files: what is read is right or it is an error that names the file, never a wrong
 * value, an older one, or one entry too few. A log cut short is an earlier state.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"
#include "stem.h"
#include "support.h"

enum { GROUPS = 40, IN_GROUP = 25, MAX_TABLES = 64 };

/* ---- A database with older values below newer ones -------------------------------- */

/* What key `i` of a group holds in the end: the generation that wrote it last, 0 for none. */
static int generation_of(int group, int i)
{
    static const int last[] = {1, 2, 3, 0, 3};

    return last[(group + i) % 5];
}

static void make_value(int generation, int group, int i, char text[128])
{
    snprintf(text, 128, "generation %d of key %d in group %d %0*d", generation, i, group,
             (group * 7 + i * 3) % 50 + 1, i);
}

static void name_key(int i, char name[32])
{
    snprintf(name, 32, "key %02d", i);
}

static stem_db *open_group(stem_db *db, int group)
{
    char name[32];

    snprintf(name, sizeof name, "group %02d", group);
    return stem_sub(db, name);
}

/* Writes one generation over the others; in the third the deleted ones go as well. */
static void write_generation(stem_db *db, int generation)
{
    for (int group = 0; group < GROUPS; group++) {
        stem_db *sub = open_group(db, group);

        for (int i = 0; i < IN_GROUP; i++) {
            char name[32], text[128];
            const int last = generation_of(group, i);

            name_key(i, name);
            make_value(generation, group, i, text);
            if (last == 0 && generation == 3)
                assert_ok(stem_del(sub, name));
            else if (last == 0 || generation <= last)
                assert_ok(stem_put(sub, name, text));
        }
        assert_ok(stem_close(sub));
    }
}

static const stem_options variants[] = {
    {.block_bytes = 1 << 10},
    {.block_bytes = 1 << 10, .no_compression = true},
    {.no_bloom = true},
    {.block_bytes = 2 << 10, .write_buffer_bytes = 64 << 10},
};

/* Each generation lies in tables of its own, the oldest deepest; the logs are empty. */
static const char *make_database(const stem_options *options)
{
    const char *path = path_in(temp_dir(), "d");
    stem_db *db;

    for (int generation = 1; generation <= 3; generation++) {
        assert_ok(stem_open(&db, path, options));
        write_generation(db, generation);
        if (generation == 1)
            assert_ok(stem_compact(db));
        assert_ok(stem_close(db));
    }
    assert_ok(stem_open(&db, path, options));
    assert_ok(stem_close(db));
    return path;
}

/* ---- Copies and damage ------------------------------------------------------------ */

/* A new directory of links to the files of the other, which LevelDB leaves as they are. */
static void copy_directory(const char *from, const char *to)
{
    DIR *listing = opendir(from);
    struct dirent *entry;

    remove_tree(to);
    ck_assert_int_eq(mkdir(to, 0777), 0);
    ck_assert_ptr_nonnull(listing);
    while ((entry = readdir(listing)) != NULL) {
        char source[4096], target[4096];

        snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
        snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
        if (*entry->d_name != '.')
            ck_assert_int_eq(link(source, target), 0);
    }
    closedir(listing);
}

/* Makes the file one of its own, to be changed, of at most so many bytes. */
static void unlink_copy(const char *path, long size)
{
    char *bytes = malloc((size_t)size + 1);
    FILE *file = fopen(path, "r");

    ck_assert_ptr_nonnull(bytes);
    ck_assert_ptr_nonnull(file);
    size_t len = fread(bytes, 1, (size_t)size, file);
    fclose(file);
    ck_assert_int_eq(remove(path), 0);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
    free(bytes);
}

/* The names in the directory that end so; how many. */
static int list_names(const char *path, const char *part, char names[][64])
{
    DIR *listing = opendir(path);
    struct dirent *entry;
    int n = 0;

    ck_assert_ptr_nonnull(listing);
    while ((entry = readdir(listing)) != NULL)
        if (strstr(entry->d_name, part) && n < MAX_TABLES)
            snprintf(names[n++], 64, "%.63s", entry->d_name);
    closedir(listing);
    return n;
}

static long file_size(const char *path)
{
    struct stat status;

    ck_assert_int_eq(stat(path, &status), 0);
    return (long)status.st_size;
}

/* Changes `n` bytes from `offset` on, each to something else. */
static void damage(const char *path, long offset, int n)
{
    unlink_copy(path, file_size(path));
    FILE *file = fopen(path, "r+");

    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(fseek(file, offset + i, SEEK_SET), 0);
        int byte = fgetc(file);
        if (byte == EOF)
            break;
        ck_assert_int_eq(fseek(file, offset + i, SEEK_SET), 0);
        fputc(byte ^ (rand() % 255 + 1), file);
    }
    ck_assert_int_eq(fclose(file), 0);
}

/* ---- Reading all of it ------------------------------------------------------------ */

/* Check notes every assertion that holds, which a million of them would wait for. */
#define expect(claim) ((claim) ? (void)0 : ck_abort_msg("%s: %s", #claim, stem_errmsg()))

/* Asserts that the failure is one of damage and names the file. */
static void assert_names(int code, const char *file)
{
    expect(code == STEM_ECORRUPT || code == STEM_EIO);
    if (!strstr(stem_errmsg(), file))
        ck_abort_msg("%s is not named: %s", file, stem_errmsg());
}

static int read_keys(stem_db *db, const char *file)
{
    int errors = 0;

    for (int group = 0; group < GROUPS; group++) {
        stem_db *sub = open_group(db, group);

        for (int i = 0; i < IN_GROUP; i++) {
            char name[32], text[128], *found;
            const int generation = generation_of(group, i);

            name_key(i, name);
            make_value(generation, group, i, text);
            int code = stem_get_str(sub, name, &found, NULL);
            if (code == STEM_OK) {
                expect(generation != 0);
                expect(strcmp(found, text) == 0);
                stem_free(found);
            } else if (code == STEM_NOTFOUND) {
                expect(generation == 0);
            } else {
                assert_names(code, file);
                errors++;
            }
        }
        expect(stem_close(sub) == STEM_OK);
    }
    return errors;
}

/* Walks all, and compares with what should be there up to where it stops. */
static int walk(stem_db *db, bool reverse, const char *file)
{
    const int all = GROUPS * IN_GROUP;
    stem_iter *iter = stem_iter_open(db, &(const stem_range){.reverse = reverse});
    int at = 0;

    while (stem_iter_next(iter)) {
        char name[32], text[128];
        int group, i;

        do {
            expect(at < all);
            int place = reverse ? all - 1 - at : at;
            group = place / IN_GROUP;
            i = place % IN_GROUP;
            at++;
        } while (generation_of(group, i) == 0);
        name_key(i, name);
        make_value(generation_of(group, i), group, i, text);
        expect(strcmp(stem_iter_key(iter), name) == 0);
        expect(strcmp(stem_iter_value(iter)->as.str.data, text) == 0);
    }
    int code = stem_iter_close(iter);
    if (code != STEM_OK) {
        assert_names(code, file);
        return 1;
    }
    for (; at < all; at++) {
        int place = reverse ? all - 1 - at : at;
        expect(generation_of(place / IN_GROUP, place % IN_GROUP) == 0);
    }
    return 0;
}

static int walk_names(stem_db *db, bool reverse, const char *file)
{
    stem_iter *iter = stem_children(db, &(const stem_range){.reverse = reverse});
    int at = 0;

    while (stem_iter_next(iter)) {
        char name[32];

        snprintf(name, sizeof name, "group %02d", reverse ? GROUPS - 1 - at : at);
        expect(strcmp(stem_iter_key(iter), name) == 0);
        at++;
    }
    int code = stem_iter_close(iter);
    if (code == STEM_OK)
        expect(at == GROUPS);
    else
        assert_names(code, file);
    return code != STEM_OK;
}

static int count_all(stem_db *db, const char *file)
{
    uint64_t n = 0, expected = 0;

    for (int group = 0; group < GROUPS; group++)
        for (int i = 0; i < IN_GROUP; i++)
            expected += generation_of(group, i) != 0;
    int code = stem_count(db, NULL, &n);
    if (code == STEM_OK)
        expect(n == expected);
    else
        assert_names(code, file);
    return code != STEM_OK;
}

/* Goes to keys here and there, from before them or from behind. */
static int seek_keys(stem_db *db, bool reverse, const char *file)
{
    int errors = 0;

    for (int at = reverse; at < GROUPS * IN_GROUP; at += 31) {
        char parent[32], name[32], text[128];
        const int group = at / IN_GROUP, i = at % IN_GROUP;
        stem_iter *iter = stem_iter_open(db, &(const stem_range){.reverse = reverse});

        if (generation_of(group, i) != 0) {
            snprintf(parent, sizeof parent, "group %02d", group);
            name_key(i, name);
            make_value(generation_of(group, i), group, i, text);
            stem_iter_seek(iter, (const char *const[]){parent, name}, 2);
            if (stem_iter_next(iter)) {
                expect(strcmp(stem_iter_key(iter), name) == 0);
                expect(strcmp(stem_iter_value(iter)->as.str.data, text) == 0);
            } else {
                int code = stem_iter_close(iter);

                iter = NULL;
                assert_names(code, file);
                errors++;
            }
        }
        if (iter)
            stem_iter_close(iter);
    }
    return errors;
}

/* Reads everything in every way; how many answers were errors. */
static int read_all(const char *path, const stem_options *options, const char *file)
{
    int errors = 0;
    stem_db *db;

    int code = stem_open(&db, path, options);
    if (code != STEM_OK) {
        assert_names(code, file);
        return 1;
    }
    errors += walk(db, false, file);
    errors += walk(db, true, file);
    errors += read_keys(db, file);
    errors += seek_keys(db, false, file);
    errors += seek_keys(db, true, file);
    errors += count_all(db, file);
    errors += walk_names(db, false, file);
    errors += walk_names(db, true, file);
    assert_ok(stem_close(db));
    return errors;
}

/* ---- Tables ----------------------------------------------------------------------- */

START_TEST(a_damaged_table_is_an_error_that_names_it_and_never_another_value)
{
    enum { TRIALS = 40 };
    const stem_options *options = &variants[_i];
    const char *whole = make_database(options), *path = path_in(temp_dir(), "copy");
    char tables[MAX_TABLES][64];
    int n = list_names(whole, ".ldb", tables), noticed = 0, unnoticed = 0;

    srand((unsigned)_i);
    ck_assert_int_ge(n, 3);
    ck_assert_int_eq(read_all(whole, options, ""), 0);
    n = list_names(whole, ".ldb", tables);
    for (int trial = 0; trial < TRIALS; trial++) {
        const char *table = tables[rand() % n];

        copy_directory(whole, path);
        damage(path_in(path, table), rand() % file_size(path_in(path, table)),
               trial % 3 == 0 ? 8 : 1);
        if (read_all(path, options, table) > 0)
            noticed++;
        else if (access(path_in(path, table), F_OK) == 0)
            unnoticed++;
    }
    /* Damage to filters, which are then not used; other tables were no longer in use. */
    ck_assert_int_gt(noticed, 10 * unnoticed);
}
END_TEST

START_TEST(a_table_with_a_damaged_end_is_an_error_that_names_it)
{
    enum { FOOTER = 48 };
    const stem_options *options = &variants[0];
    const char *whole = make_database(options), *path = path_in(temp_dir(), "copy");
    char tables[MAX_TABLES][64];
    int n = list_names(whole, ".ldb", tables);

    ck_assert_int_ge(n, 3);
    for (int from_end = 1; from_end <= FOOTER; from_end++) {
        const char *table = tables[from_end % n];

        copy_directory(whole, path);
        damage(path_in(path, table), file_size(path_in(path, table)) - from_end, 1);
        read_all(path, options, table);
    }
}
END_TEST

START_TEST(a_missing_or_shortened_table_is_an_error_that_names_it)
{
    const stem_options *options = &variants[0];
    const char *whole = make_database(options), *path = path_in(temp_dir(), "copy");
    char tables[MAX_TABLES][64];
    int n = list_names(whole, ".ldb", tables);

    for (int i = 0; i < n; i++) {
        const char *table = path_in(path, tables[i]);

        copy_directory(whole, path);
        unlink_copy(table, file_size(table) * i / n);
        ck_assert_int_gt(read_all(path, options, tables[i]), 0);
        copy_directory(whole, path);
        ck_assert_int_eq(remove(table), 0);
        ck_assert_int_gt(read_all(path, options, tables[i]), 0);
        /* Nothing has been thrown away for it. */
        char left[MAX_TABLES][64];
        ck_assert_int_eq(list_names(path, ".ldb", left), n - 1);
    }
}
END_TEST

START_TEST(a_compaction_that_meets_damage_is_told_and_loses_nothing)
{
    const stem_options *options = &variants[1];
    const char *path = make_database(options);
    char tables[MAX_TABLES][64];
    int n = list_names(path, ".ldb", tables);
    stem_db *db;

    ck_assert_int_ge(n, 3);
    damage(path_in(path, tables[0]), 100, 1);
    assert_ok(stem_open(&db, path, options));
    assert_names(stem_compact(db), tables[0]);
    ck_assert_int_gt(read_keys(db, tables[0]), 0);
    assert_ok(stem_put(db, "more", 1));
    assert_ok(stem_close(db));
    ck_assert_int_eq(access(path_in(path, tables[0]), F_OK), 0);
}
END_TEST

/* ---- CURRENT, MANIFEST and logs --------------------------------------------------- */

START_TEST(a_damaged_current_or_manifest_is_an_error_that_names_it)
{
    const stem_options *options = &variants[0];
    const char *whole = make_database(options), *path = path_in(temp_dir(), "copy");
    char manifests[MAX_TABLES][64];
    ck_assert_int_eq(list_names(whole, "MANIFEST", manifests), 1);
    const char *const files[] = {"CURRENT", manifests[0]};

    for (int i = 0; i < 2; i++) {
        const char *file = path_in(path, files[i]);
        const long size = file_size(path_in(whole, files[i]));

        for (long at = 0; at < size; at += i == 0 ? 1 : size / 40 + 1) {
            copy_directory(whole, path);
            damage(file, at, 1);
            read_all(path, options, i == 0 ? "CURRENT" : "MANIFEST");
        }
    }
}
END_TEST

/* In a child that is killed: the last log is not yet a table. */
static void put_in_order(void *path, int n, const stem_options *options)
{
    stem_db *db;

    must_ok(stem_open(&db, path, options));
    for (int i = 0; i < n; i++) {
        char name[32], value[256] = "";

        snprintf(name, sizeof name, "%04d", i);
        must_ok(stem_put(db, name, stem_bin(value, (size_t)(i * 37 % 256))));
    }
    raise(SIGKILL);
}

static void put_into_one_log(void *path)
{
    put_in_order(path, 1000, NULL);
}

static void put_into_many_logs(void *path)
{
    put_in_order(
        path, 2500,
        &(const stem_options){.write_buffer_bytes = 64 << 10, .no_compression = true});
}

/* Asserts that just the first of the keys are there; how many. */
static int count_first(const char *path)
{
    int n = 0;
    stem_db *db;

    assert_ok(stem_open(&db, path, NULL));
    stem_iter *iter = stem_iter_open(db, NULL);
    while (stem_iter_next(iter)) {
        ck_assert_int_eq(atoi(stem_iter_key(iter)), n);
        ck_assert_uint_eq(stem_iter_value(iter)->as.bin.len, (size_t)(n * 37 % 256));
        n++;
    }
    assert_ok(stem_iter_close(iter));
    assert_ok(stem_close(db));
    return n;
}

START_TEST(a_log_cut_short_is_an_earlier_state)
{
    const char *whole = path_in(temp_dir(), "d"), *path = path_in(temp_dir(), "copy");
    char logs[MAX_TABLES][64];
    int last = 0;

    assert_child_killed(start_child(put_into_one_log, (void *)whole), SIGKILL);
    ck_assert_int_eq(list_names(whole, ".log", logs), 1);
    const long size = file_size(path_in(whole, logs[0]));
    ck_assert_int_gt(size, 3 * 32768);
    for (long cut = 0; cut <= size; cut += size / 60) {
        copy_directory(whole, path);
        unlink_copy(path_in(path, logs[0]), cut);
        int n = count_first(path);
        ck_assert_int_ge(n, last);
        last = n;
    }
    copy_directory(whole, path);
    ck_assert_int_eq(count_first(path), 1000);
}
END_TEST

START_TEST(a_manifest_cut_short_loses_nothing_or_is_an_error_that_names_it)
{
    const char *whole = path_in(temp_dir(), "d"), *path = path_in(temp_dir(), "copy");
    char manifests[MAX_TABLES][64];
    int opened = 0, refused = 0;

    assert_child_killed(start_child(put_into_many_logs, (void *)whole), SIGKILL);
    ck_assert_int_eq(list_names(whole, "MANIFEST", manifests), 1);
    const long size = file_size(path_in(whole, manifests[0]));
    for (long cut = 0; cut <= size; cut++) {
        stem_db *db;

        copy_directory(whole, path);
        unlink_copy(path_in(path, manifests[0]), cut);
        int code = stem_open(&db, path, NULL);
        if (code == STEM_OK) {
            assert_ok(stem_close(db));
            expect(count_first(path) == 2500);
            opened++;
        } else {
            assert_names(code, manifests[0]);
            refused++;
        }
    }
    expect(opened >= 1 && refused >= size / 2);
}
END_TEST

START_TEST(a_damaged_log_is_an_error_that_names_it_or_an_earlier_state)
{
    const char *whole = path_in(temp_dir(), "d"), *path = path_in(temp_dir(), "copy");
    char logs[MAX_TABLES][64];
    int noticed = 0;

    srand(1);
    assert_child_killed(start_child(put_into_one_log, (void *)whole), SIGKILL);
    ck_assert_int_eq(list_names(whole, ".log", logs), 1);
    const long size = file_size(path_in(whole, logs[0]));
    for (int trial = 0; trial < 60; trial++) {
        stem_db *db;

        copy_directory(whole, path);
        damage(path_in(path, logs[0]), rand() % size, 1);
        int code = stem_open(&db, path, NULL);
        if (code == STEM_OK) {
            assert_ok(stem_close(db));
            count_first(path);
        } else {
            assert_names(code, logs[0]);
            noticed++;
        }
    }
    ck_assert_int_gt(noticed, 40);
}
END_TEST

int main(void)
{
    /* Hundreds of databases are opened, and nothing here depends on a disk. */
    if (access("/dev/shm", R_OK | W_OK | X_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);

    Suite *suite = suite_create("damage");
    TCase *tables = add_case(suite, "tables", 60);
    TCase *others = add_case(suite, "current_manifest_log", 60);

    tcase_add_loop_test(tables,
                        a_damaged_table_is_an_error_that_names_it_and_never_another_value,
                        0, (int)(sizeof variants / sizeof *variants));
    tcase_add_test(tables, a_table_with_a_damaged_end_is_an_error_that_names_it);
    tcase_add_test(tables, a_missing_or_shortened_table_is_an_error_that_names_it);
    tcase_add_test(tables, a_compaction_that_meets_damage_is_told_and_loses_nothing);
    tcase_add_test(others, a_damaged_current_or_manifest_is_an_error_that_names_it);
    tcase_add_test(others, a_log_cut_short_is_an_earlier_state);
    tcase_add_test(others,
                   a_manifest_cut_short_loses_nothing_or_is_an_error_that_names_it);
    tcase_add_test(others, a_damaged_log_is_an_error_that_names_it_or_an_earlier_state);
    return run_suite(suite);
}
