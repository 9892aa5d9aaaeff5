/*
 * Damaged files: what is read is right or it is an error that names the file, never a
 * wrong value, an older one, or one entry too few. A log cut short is an earlier state.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "damage.h"
#include "stem.h"
#include "support.h"

enum { GROUPS = 40, IN_GROUP = 25 };

/* ---- A database with older values below newer ones -------------------------------- */

/* What key `i` of a group holds in the end: the generation that wrote it last, 0 for
 * none. */
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

/* ---- Reading all of it ------------------------------------------------------------ */

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

/* The tables of a database that its next open neither removes nor replaces; how many. */
static int list_live(const char *whole, const char *path, const stem_options *options,
                     char tables[MAX_NAMES][NAME_ROOM])
{
    int n = list_names(whole, ".ldb", tables), live = 0;
    stem_db *db;

    copy_directory(whole, path);
    assert_ok(stem_open(&db, path, options));
    assert_ok(stem_close(db));
    for (int i = 0; i < n; i++)
        if (access(path_in(path, tables[i]), F_OK) == 0)
            memmove(tables[live++], tables[i], NAME_ROOM);
    return live;
}

START_TEST(a_damaged_table_is_an_error_that_names_it_and_never_another_value)
{
    enum { TRIALS = 40 };
    const stem_options *options = &variants[_i];
    const char *whole = make_database(options), *path = path_in(temp_dir(), "copy");
    char tables[MAX_NAMES][NAME_ROOM];
    int n = list_live(whole, path, options, tables), noticed = 0, unnoticed = 0;

    srand((unsigned)_i);
    ck_assert_int_ge(n, 3);
    copy_directory(whole, path);
    ck_assert_int_eq(read_all(path, options, ""), 0);
    for (int trial = 0; trial < TRIALS; trial++) {
        const char *table = tables[rand() % n];

        copy_directory(whole, path);
        damage_file(path_in(path, table), rand() % file_size(path_in(path, table)),
                    trial % 3 == 0 ? 8 : 1);
        if (read_all(path, options, table) > 0)
            noticed++;
        else if (access(path_in(path, table), F_OK) == 0)
            unnoticed++;
    }
    /* Damage to filters, which are then not used. */
    ck_assert_int_gt(noticed, 5 * unnoticed);
}
END_TEST

START_TEST(a_table_with_a_damaged_end_is_an_error_that_names_it)
{
    enum { FOOTER = 48 };
    const stem_options *options = &variants[0];
    const char *whole = make_database(options), *path = path_in(temp_dir(), "copy");
    char tables[MAX_NAMES][NAME_ROOM];
    int n = list_names(whole, ".ldb", tables);

    ck_assert_int_ge(n, 3);
    for (int from_end = 1; from_end <= FOOTER; from_end++) {
        const char *table = tables[from_end % n];

        copy_directory(whole, path);
        damage_file(path_in(path, table), file_size(path_in(path, table)) - from_end, 1);
        read_all(path, options, table);
    }
}
END_TEST

START_TEST(a_missing_or_shortened_table_is_an_error_that_names_it)
{
    const stem_options *options = &variants[0];
    const char *whole = make_database(options), *path = path_in(temp_dir(), "copy");
    char tables[MAX_NAMES][NAME_ROOM];
    int n = list_names(whole, ".ldb", tables);

    for (int i = 0; i < n; i++) {
        const char *table = path_in(path, tables[i]);

        copy_directory(whole, path);
        shorten_file(table, file_size(table) * i / n);
        ck_assert_int_gt(read_all(path, options, tables[i]), 0);
        copy_directory(whole, path);
        ck_assert_int_eq(remove(table), 0);
        ck_assert_int_gt(read_all(path, options, tables[i]), 0);
        /* Nothing has been thrown away for it. */
        char left[MAX_NAMES][NAME_ROOM];
        ck_assert_int_eq(list_names(path, ".ldb", left), n - 1);
    }
}
END_TEST

enum { N_SINGLE = 5 };

/* Tables of one entry each, "single" > "0" and on. */
static const char *make_single_tables(void)
{
    const char *path = path_in(temp_dir(), "single");
    stem_db *db;

    for (int i = 0; i <= N_SINGLE; i++) {
        char name[2] = {(char)('0' + i), '\0'};

        assert_ok(stem_open(&db, path, NULL));
        stem_db *sub = stem_sub(db, "single");
        if (i < N_SINGLE)
            assert_ok(stem_put(sub, name, i));
        assert_ok(stem_close(sub));
        assert_ok(stem_close(db));
    }
    return path;
}

typedef enum table_fault { EMPTY, SHORT, HALF, NOISE, DIRECTORY, N_FAULTS } table_fault;

static void break_table(const char *table, table_fault fault)
{
    switch (fault) {
    case EMPTY:
    case SHORT:
        shorten_file(table, fault == EMPTY ? 0 : 17);
        return;
    case HALF:
        shorten_file(table, file_size(table) / 2);
        return;
    case NOISE:
        damage_file(table, 0, (int)file_size(table));
        return;
    default:
        ck_assert_int_eq(remove(table), 0);
        ck_assert_int_eq(mkdir(table, 0777), 0);
    }
}

static int read_single(const char *path, bool shared, const char *table)
{
    stem_db *db, *sub;
    int refused = 0;

    const int opened = stem_open(&db, path, STEM_OPTIONS(.shared = shared));
    if (shared && opened == STEM_ENOTSUP)
        return 1; /* a build that cannot share */
    assert_ok(opened);
    ck_assert_ptr_nonnull(sub = stem_sub(db, "single"));
    for (int i = 0; i < N_SINGLE; i++) {
        char name[2] = {(char)('0' + i), '\0'};
        int64_t n;

        const int code = stem_get_int(sub, name, &n);
        if (code == STEM_OK) {
            ck_assert_int_eq(n, i);
            continue;
        }
        assert_code(code, STEM_ECORRUPT);
        assert_names(code, table);
        refused++;
    }
    assert_ok(stem_close(sub));
    assert_ok(stem_close(db));
    return refused;
}

/* Opened alone, and shared, where the owner reads records of its own first. */
START_TEST(a_table_that_cannot_be_read_keeps_no_other_from_being_read)
{
    const char *whole = make_single_tables(), *path = path_in(temp_dir(), "copy");
    const bool is_shared = _i % 2 != 0;
    char tables[MAX_NAMES][NAME_ROOM];
    const int n = list_names(whole, ".ldb", tables);

    ck_assert_int_eq(n, N_SINGLE);
    for (int i = 0; i < n; i++) {
        copy_directory(whole, path);
        break_table(path_in(path, tables[i]), (table_fault)(_i / 2));
        ck_assert_int_eq(read_single(path, is_shared, tables[i]), 1);
    }
}
END_TEST

START_TEST(a_table_that_vanishes_is_damage_that_is_named)
{
    const char *path = make_single_tables();
    char tables[MAX_NAMES][NAME_ROOM];
    stem_db *db, *sub;
    uint64_t n;

    list_names(path, ".ldb", tables);
    assert_ok(stem_open(&db, path, NULL));
    ck_assert_ptr_nonnull(sub = stem_sub(db, "single"));
    for (int i = 0; i < N_SINGLE; i++)
        ck_assert_int_eq(remove(path_in(path, tables[i])), 0);
    const int code = stem_count(sub, NULL, &n);
    assert_code(code, STEM_ECORRUPT);
    assert_names(code, ".ldb");
    assert_ok(stem_close(sub));
    assert_ok(stem_close(db));
}
END_TEST

START_TEST(a_compaction_that_meets_damage_is_told_and_loses_nothing)
{
    const stem_options *options = &variants[1];
    const char *path = make_database(options);
    char tables[MAX_NAMES][NAME_ROOM];
    int n = list_names(path, ".ldb", tables);
    stem_db *db;

    ck_assert_int_ge(n, 3);
    damage_file(path_in(path, tables[0]), 100, 1);
    assert_ok(stem_open(&db, path, options));
    assert_names(stem_compact(db), tables[0]);
    ck_assert_int_gt(read_keys(db, tables[0]), 0);
    assert_ok(stem_put(db, "more", 1));
    assert_ok(stem_close(db));
    ck_assert_int_eq(access(path_in(path, tables[0]), F_OK), 0);
}
END_TEST

/* ---- CURRENT and MANIFEST --------------------------------------------------------- */

START_TEST(a_damaged_current_or_manifest_is_an_error_that_names_it)
{
    const stem_options *options = &variants[0];
    const char *whole = make_database(options), *path = path_in(temp_dir(), "copy");
    char manifests[MAX_NAMES][NAME_ROOM];
    ck_assert_int_eq(list_names(whole, "MANIFEST", manifests), 1);
    const char *const files[] = {"CURRENT", manifests[0]};

    for (int i = 0; i < 2; i++) {
        const char *file = path_in(path, files[i]);
        const long size = file_size(path_in(whole, files[i]));

        for (long at = 0; at < size; at += i == 0 ? 1 : size / 40 + 1) {
            copy_directory(whole, path);
            damage_file(file, at, 1);
            read_all(path, options, i == 0 ? "CURRENT" : "MANIFEST");
        }
    }
}
END_TEST

START_TEST(a_manifest_that_cannot_be_right_is_damage_that_is_named)
{
    const stem_options *options = &variants[0];
    const char *whole = make_database(options), *path = path_in(temp_dir(), "copy");
    char manifests[MAX_NAMES][NAME_ROOM];
    ck_assert_int_eq(list_names(whole, "MANIFEST", manifests), 1);
    const char *manifest = path_in(path, manifests[0]);

    for (int fault = 0; fault <= N_FAULTS; fault++) {
        stem_db *db;

        copy_directory(whole, path);
        if (fault < N_FAULTS)
            break_table(manifest, (table_fault)fault);
        else
            ck_assert_int_eq(remove(manifest), 0);
        const int code = stem_open(&db, path, options);
        assert_code(code, STEM_ECORRUPT);
        assert_names(code, manifests[0]);
    }
}
END_TEST

int main(void)
{
    /* Hundreds of databases are opened, and nothing here depends on a disk. */
    if (access("/dev/shm", R_OK | W_OK | X_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);

    Suite *suite = suite_create("damage");
    TCase *tables = add_case(suite, "tables", 60);
    TCase *others = add_case(suite, "current_manifest", 60);

    tcase_add_loop_test(tables,
                        a_damaged_table_is_an_error_that_names_it_and_never_another_value,
                        0, (int)(sizeof variants / sizeof *variants));
    tcase_add_test(tables, a_table_with_a_damaged_end_is_an_error_that_names_it);
    tcase_add_test(tables, a_missing_or_shortened_table_is_an_error_that_names_it);
    tcase_add_loop_test(tables,
                        a_table_that_cannot_be_read_keeps_no_other_from_being_read, 0,
                        2 * N_FAULTS);
    tcase_add_test(tables, a_table_that_vanishes_is_damage_that_is_named);
    tcase_add_test(tables, a_compaction_that_meets_damage_is_told_and_loses_nothing);
    tcase_add_test(others, a_damaged_current_or_manifest_is_an_error_that_names_it);
    tcase_add_test(others, a_manifest_that_cannot_be_right_is_damage_that_is_named);
    return run_suite(suite);
}
