/*
 * Damage in LevelDB's logs, of every kind and at every place: whole records behind it make it
 * STEM_ECORRUPT, which names the log; and with none behind, the state before it is opened, as
 * after a crash. What was committed before is never lost without an error.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "damage.h"
#include "process.h"
#include "stem.h"
#include "support.h"

enum { BLOCK = 32768, HEADER = 7, MAX_BYTES = 1 << 20, MAX_FRAGMENTS = 512 };
enum { FULL = 1, FIRST = 2, MIDDLE = 3, LAST = 4 };

/* ---- A database whose log is known ------------------------------------------------ */

typedef struct fragment {
    long at, end;
    int type;
    int record; /* how many whole records are before it */
} fragment;

typedef struct sample {
    const char *whole, *path; /* the database, and the copy that is damaged */
    int n_keys;
    int first_bytes; /* of the first value, by which all others lie where they do */
    int (*bytes_of)(int number);
    char log[NAME_ROOM];
    unsigned char bytes[MAX_BYTES];
    long size;
    fragment fragments[MAX_FRAGMENTS];
    int n_fragments, n_records;
} sample;

static int small_bytes(int number)
{
    return number * 37 % 90;
}

/* Some span several blocks. */
static int mixed_bytes(int number)
{
    return number == 9 ? 70000 : number % 7 == 3 ? 20000 + number : number * 977 % 3000;
}

static void write_sample(void *argument)
{
    static char value[MAX_BYTES];
    const sample *made = argument;
    stem_db *db;

    must_ok(stem_open(&db, made->whole, STEM_OPTIONS(.sync = true)));
    for (int i = 0; i < made->n_keys; i++) {
        const int bytes =
            i == 0 && made->first_bytes > 0 ? made->first_bytes : made->bytes_of(i);
        char name[32];

        snprintf(name, sizeof name, "%04d", i);
        for (int at = 0; at < bytes; at++)
            value[at] = (char)(i * 31 + at * 7);
        must_ok(stem_put(db, name, stem_bin(value, (size_t)bytes)));
    }
    raise(SIGKILL);
}

static void read_fragments(sample *made)
{
    made->n_fragments = made->n_records = 0;
    for (long at = 0; at + HEADER <= made->size;) {
        const unsigned char *header = made->bytes + at;
        const long left = BLOCK - at % BLOCK;

        if (left < HEADER) {
            at += left;
            continue;
        }
        const fragment each = {.at = at,
                               .end = at + HEADER + header[4] + header[5] * 256,
                               .type = header[6],
                               .record = made->n_records};
        ck_assert_int_lt(made->n_fragments, MAX_FRAGMENTS);
        made->fragments[made->n_fragments++] = each;
        made->n_records += each.type == FULL || each.type == LAST;
        at = each.end;
    }
}

static void read_log(sample *made)
{
    char logs[MAX_NAMES][NAME_ROOM];

    ck_assert_int_eq(list_names(made->whole, ".log", logs), 1);
    snprintf(made->log, sizeof made->log, "%s", logs[0]);
    FILE *file = fopen(path_in(made->whole, made->log), "r");
    ck_assert_ptr_nonnull(file);
    made->size = (long)fread(made->bytes, 1, sizeof made->bytes, file);
    fclose(file);
    ck_assert_int_lt(made->size, MAX_BYTES);
    read_fragments(made);
    ck_assert_int_eq(made->n_records, made->n_keys);
}

static sample *make_sample(int n_keys, int (*bytes_of)(int), int first_bytes)
{
    static sample made;

    made = (sample){.n_keys = n_keys, .bytes_of = bytes_of, .first_bytes = first_bytes};
    made.whole = path_in(temp_dir(), "d");
    made.path = path_in(temp_dir(), "copy");
    remove_tree(made.whole);
    assert_child_killed(start_child(write_sample, &made), SIGKILL);
    read_log(&made);
    return &made;
}

/* A copy whose log holds these bytes, or which has a log of that name with them. */
static void put_log(const char *path, const char *log, const unsigned char *bytes,
                    long size)
{
    remove(path_in(path, log));
    FILE *file = fopen(path_in(path, log), "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq((long)fwrite(bytes, 1, (size_t)size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void damage_sample(const sample *made, const unsigned char *bytes, long size)
{
    copy_directory(made->whole, made->path);
    put_log(made->path, made->log, bytes, size);
}

/* ---- What must be ----------------------------------------------------------------- */

static void expect_refused(const sample *made, const char *log)
{
    stem_db *db;

    expect(stem_open(&db, made->path, NULL) == STEM_ECORRUPT);
    expect(strstr(stem_errmsg(), log));
    expect(strstr(stem_errmsg(), "at byte"));
    expect(strstr(stem_errmsg(), "no_verify"));
}

static void expect_keys(stem_db *db, int n)
{
    stem_iter *iter = stem_iter_open(db, STEM_RANGE(.keys_only = true));
    int found = 0;

    while (stem_iter_next(iter))
        expect(atoi(stem_iter_key(iter)) == found++);
    expect(stem_iter_close(iter) == STEM_OK);
    if (found != n)
        ck_abort_msg("%d keys, not %d", found, n);
}

/* Twice: what was opened once is whole. */
static void expect_state(const sample *made, int n)
{
    stem_db *db;

    for (int i = 0; i < 2; i++) {
        expect(stem_open(&db, made->path, NULL) == STEM_OK);
        expect_keys(db, n);
        expect(stem_close(db) == STEM_OK);
    }
}

/* How many records are whole in the first bytes of the log. */
static int records_within(const sample *made, long size)
{
    int n = 0;

    for (int i = 0; i < made->n_fragments; i++)
        if (made->fragments[i].end <= size)
            n = made->fragments[i].record +
                (made->fragments[i].type == FULL || made->fragments[i].type == LAST);
    return n;
}

/* ---- One bit ---------------------------------------------------------------------- */

/* The last fragment is the only one with nothing behind, and of it a length alone is known to
 * be damaged rather than written in part. */
static void flip(sample *made, int which, int bit)
{
    const fragment *each = &made->fragments[which];
    unsigned char *byte = &made->bytes[each->at + bit / 8];
    const bool is_length = bit / 8 == 4 || bit / 8 == 5;

    *byte ^= (unsigned char)(1 << bit % 8);
    damage_sample(made, made->bytes, made->size);
    *byte ^= (unsigned char)(1 << bit % 8);
    if (is_length || which < made->n_fragments - 1)
        expect_refused(made, made->log);
    else
        expect_state(made, each->record);
}

START_TEST(any_bit_of_a_header_in_a_small_log)
{
    sample *made = make_sample(12, small_bytes, 0);

    for (int which = 0; which < made->n_fragments; which++)
        for (int bit = 0; bit < 8 * HEADER; bit++)
            flip(made, which, bit);
    damage_sample(made, made->bytes, made->size);
    expect_state(made, 12);
}
END_TEST

START_TEST(any_bit_of_a_length_and_some_of_the_rest_in_a_log_of_many_blocks)
{
    sample *made = make_sample(40, mixed_bytes, 0);

    ck_assert_int_gt(made->size, 6 * BLOCK);
    for (int which = 0; which < made->n_fragments; which++) {
        for (int bit = 32; bit < 48; bit++)
            flip(made, which, bit);
        flip(made, which, which * 5 % 32);
        flip(made, which, 48 + which % 8);
    }
}
END_TEST

/* Records that end with so many bytes left in their block, 7 of which are a fragment that
 * holds nothing. */
START_TEST(any_bit_of_a_length_where_a_block_ends)
{
    const int left = _i;
    const sample *first = make_sample(1, small_bytes, 30000);
    const int to_end = (int)(BLOCK - first->size) + 30000;
    sample *made = make_sample(3, small_bytes, to_end - left);

    ck_assert_int_eq(made->fragments[0].end, BLOCK - left);
    for (int which = 0; which < made->n_fragments; which++)
        for (int bit = 32; bit < 48; bit++)
            flip(made, which, bit);
    damage_sample(made, made->bytes, made->size);
    expect_state(made, 3);
}
END_TEST

START_TEST(a_bit_of_a_length_in_a_log_that_was_closed)
{
    const char *path = path_in(temp_dir(), "d");
    char logs[MAX_NAMES][NAME_ROOM];
    stem_db *db;

    assert_ok(stem_open(&db, path, STEM_OPTIONS(.sync = true)));
    for (int i = 0; i < 100; i++) {
        char name[32];

        snprintf(name, sizeof name, "%03d", i);
        assert_ok(stem_put(db, name, i));
    }
    assert_ok(stem_close(db));
    ck_assert_int_eq(list_names(path, ".log", logs), 1);
    FILE *log = fopen(path_in(path, logs[0]), "r+");
    ck_assert_int_eq(fseek(log, 5, SEEK_SET), 0);
    fputc(0x40, log);
    ck_assert_int_eq(fclose(log), 0);
    assert_code(stem_open(&db, path, NULL), STEM_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), logs[0]));
}
END_TEST

/* ---- Ends ------------------------------------------------------------------------- */

START_TEST(a_small_log_cut_at_any_byte)
{
    sample *made = make_sample(12, small_bytes, 0);

    for (long cut = 0; cut <= made->size; cut++) {
        damage_sample(made, made->bytes, cut);
        expect_state(made, records_within(made, cut));
    }
}
END_TEST

START_TEST(a_log_of_many_blocks_cut_anywhere)
{
    sample *made = make_sample(40, mixed_bytes, 0);

    for (int which = 0; which < made->n_fragments; which++)
        for (long past = -8; past <= 8; past += which % 4 == 0 ? 1 : 5) {
            const long cut = made->fragments[which].end + past;

            if (cut > made->size)
                continue;
            damage_sample(made, made->bytes, cut);
            expect_state(made, records_within(made, cut));
        }
}
END_TEST

enum filling { ZEROS, ONES, GARBAGE, SMALL_NUMBERS, N_FILLINGS };

static void fill(unsigned char *bytes, long size, enum filling filling)
{
    for (long i = 0; i < size; i++)
        bytes[i] = filling == ZEROS     ? 0
                   : filling == ONES    ? 0xFF
                   : filling == GARBAGE ? (unsigned char)rand()
                                        : (unsigned char)(rand() % 3);
}

/* As after a power cut: the end of the file is there, and what was to be in it is not. */
START_TEST(a_log_with_anything_but_records_behind_is_the_state_before)
{
    static const long lens[] = {1, 6, 7, 8, 100, 4096, BLOCK - 1, BLOCK, 3 * BLOCK + 5};
    static unsigned char bytes[MAX_BYTES];
    sample *made =
        _i % 2 == 0 ? make_sample(12, small_bytes, 0) : make_sample(40, mixed_bytes, 0);

    srand(7);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++)
        for (int where = 0; where < 8; where++) {
            /* Behind the last record, or in it, or in the one before that. */
            const long size =
                where < 2 ? made->size
                          : made->fragments[made->n_fragments - 1].at + (where - 4) * 3;

            memcpy(bytes, made->bytes, (size_t)size);
            fill(bytes + size, lens[i], (enum filling)(_i / 2));
            damage_sample(made, bytes, size + lens[i]);
            expect_state(made, records_within(made, size));
        }
}
END_TEST

/* What a crash has left is no reason to refuse what is written later. */
START_TEST(a_database_with_a_torn_log_goes_on)
{
    static unsigned char bytes[MAX_BYTES];
    sample *made = make_sample(12, small_bytes, 0);
    stem_db *db;

    memcpy(bytes, made->bytes, (size_t)made->size);
    fill(bytes + made->size, 5000, GARBAGE);
    for (int i = 0; i < 3; i++) {
        damage_sample(made, bytes, made->size + 5000);
        assert_ok(stem_open(&db, made->path, NULL));
        for (int key = 12; key < 40; key++) {
            char name[32];

            snprintf(name, sizeof name, "%04d", key);
            assert_ok(stem_put(db, name, key));
        }
        assert_ok(stem_close(db));
        expect_state(made, 40);
    }
}
END_TEST

/* Also where the hole begins and ends with a record, which LevelDB does not notice. */
START_TEST(a_hole_is_refused)
{
    static unsigned char bytes[MAX_BYTES];
    sample *made = make_sample(40, mixed_bytes, 0);

    srand(7);
    for (int which = 0; which < made->n_fragments - 1; which++)
        for (int filling = 0; filling < N_FILLINGS; filling++) {
            const fragment *each = &made->fragments[which];
            const long until =
                filling % 2 == 0 ? each->end : made->fragments[made->n_fragments - 2].end;

            memcpy(bytes, made->bytes, (size_t)made->size);
            fill(bytes + each->at, until - each->at, (enum filling)filling);
            damage_sample(made, bytes, made->size);
            expect_refused(made, made->log);
        }
}
END_TEST

/* A value that is a log is no log, and its first bytes, written in part, are no hole. */
START_TEST(a_log_within_a_value_that_was_written_in_part_is_no_record)
{
    static unsigned char inner[MAX_BYTES];
    sample *made = make_sample(30, small_bytes, 0);
    const long inner_size = made->size;
    char logs[MAX_NAMES][NAME_ROOM];
    stem_db *db;

    memcpy(inner, made->bytes, (size_t)inner_size);
    damage_sample(made, made->bytes, made->size);
    assert_ok(stem_open(&db, made->path, NULL));
    assert_ok(stem_put(db, "9999", stem_bin(inner, (size_t)inner_size)));
    assert_ok(stem_close(db));
    ck_assert_int_eq(list_names(made->path, ".log", logs), 1);
    const long size = file_size(path_in(made->path, logs[0]));
    ck_assert_int_gt(size, inner_size);
    for (long cut = size - 1; cut > 0; cut -= 37) {
        shorten_file(path_in(made->path, logs[0]), cut);
        const char *again = path_in(temp_dir(), "again");
        copy_directory(made->path, again);
        assert_ok(stem_open(&db, again, NULL));
        expect_keys(db, 30);
        assert_ok(stem_close(db));
    }
}
END_TEST

/* Cut there, or with zeros from there on to its size, as power cuts leave it. */
static void expect_torn(sample *made, long at, int records)
{
    unsigned char *rest = made->bytes + at;
    const size_t len = (size_t)(made->size - at);
    unsigned char *kept = malloc(len);

    expect(kept);
    memcpy(kept, rest, len);
    damage_sample(made, made->bytes, at);
    expect_state(made, records);
    memset(rest, 0, len);
    damage_sample(made, made->bytes, made->size);
    expect_state(made, records);
    memcpy(rest, kept, len);
    free(kept);
}

/* Also where that log is of another database, which has come further. */
START_TEST(a_log_of_another_database_within_a_torn_value_is_no_record)
{
    static unsigned char inner[MAX_BYTES];
    sample *made = make_sample(500, small_bytes, 0);
    const long inner_size = made->size;
    char name[32];
    stem_db *db;

    memcpy(inner, made->bytes, (size_t)inner_size);
    made = make_sample(_i, small_bytes, 0);
    assert_ok(stem_open(&db, made->whole, STEM_OPTIONS(.write_buffer_bytes = 1 << 20)));
    snprintf(name, sizeof name, "%04d", _i);
    assert_ok(stem_put(db, name, 1));
    assert_ok(stem_put(db, "9999", stem_bin(inner, (size_t)inner_size)));
    assert_ok(stem_close(db));
    made->n_keys = 2;
    read_log(made);
    ck_assert_int_gt(made->size, BLOCK);
    for (long at = 1; at < made->size; at += 199)
        expect_torn(made, at, _i + records_within(made, at));
}
END_TEST

/* ---- Several logs ----------------------------------------------------------------- */

/* The records of a log of one block in two, as when a memtable is full and not yet a table. */
static void split(const sample *made, long at, long first_size, const char *second,
                  long second_size)
{
    damage_sample(made, made->bytes, first_size);
    put_log(made->path, second, made->bytes + at, second_size);
}

START_TEST(a_log_that_lacks_its_end_before_another_is_a_hole)
{
    sample *made = make_sample(12, small_bytes, 0);
    const long at = made->fragments[7].at, rest = made->size - at;
    char second[NAME_ROOM];

    snprintf(second, sizeof second, "%06d.log", atoi(made->log) + 1);
    split(made, at, at, second, rest);
    expect_state(made, 12);
    for (long cut = 0; cut < at; cut += cut % 40 == 0 ? 1 : 13) {
        split(made, at, cut, second, rest);
        expect_refused(made, made->log);
        split(made, at, cut, second, 0);
        expect_state(made, records_within(made, cut));
    }
    /* Nothing was written to it. */
    split(made, 0, 0, second, made->size);
    expect_state(made, 12);
    for (long cut = 0; cut < rest; cut += 11) {
        split(made, at, at, second, cut);
        expect_state(made, records_within(made, at + cut));
    }
    for (int bit = 0; bit < 8 * HEADER; bit++) {
        made->bytes[made->fragments[6].at + bit / 8] ^= (unsigned char)(1 << bit % 8);
        split(made, at, at, second, rest);
        made->bytes[made->fragments[6].at + bit / 8] ^= (unsigned char)(1 << bit % 8);
        expect_refused(made, made->log);
    }
}
END_TEST

int main(void)
{
    /* Thousands of databases are opened, and nothing here depends on a disk. */
    if (access("/dev/shm", R_OK | W_OK | X_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);

    Suite *suite = suite_create("log_damage");
    TCase *bits = add_case(suite, "bits", 120);
    TCase *ends = add_case(suite, "ends", 120);
    TCase *several = add_case(suite, "several", 60);

    tcase_add_test(bits, any_bit_of_a_header_in_a_small_log);
    tcase_add_test(bits,
                   any_bit_of_a_length_and_some_of_the_rest_in_a_log_of_many_blocks);
    tcase_add_loop_test(bits, any_bit_of_a_length_where_a_block_ends, 0, 20);
    tcase_add_test(bits, a_bit_of_a_length_in_a_log_that_was_closed);
    tcase_add_test(ends, a_small_log_cut_at_any_byte);
    tcase_add_test(ends, a_log_of_many_blocks_cut_anywhere);
    tcase_add_loop_test(ends, a_log_with_anything_but_records_behind_is_the_state_before,
                        0, 2 * N_FILLINGS);
    tcase_add_test(ends, a_database_with_a_torn_log_goes_on);
    tcase_add_test(ends, a_hole_is_refused);
    tcase_add_test(ends, a_log_within_a_value_that_was_written_in_part_is_no_record);
    tcase_add_loop_test(ends, a_log_of_another_database_within_a_torn_value_is_no_record,
                        1, 3);
    tcase_add_test(several, a_log_that_lacks_its_end_before_another_is_a_hole);
    return run_suite(suite);
}
