/*
 * What is stored comes back: strings, bytes and arrays, owned, ended and aligned as promised,
 * up to the limits; what is over them, or no value at all, changes nothing.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "stem.h"

static stem_db *db;

static void open_db(void)
{
    assert_ok(stem_open(&db, path_in(temp_dir(), "db"), NULL));
}

static void close_db(void)
{
    assert_ok(stem_close(db));
}

static void assert_text(const char *part)
{
    ck_assert_msg(strstr(stem_errmsg(), part), "no \"%s\" in: %s", part, stem_errmsg());
}

/* ---- Strings and bytes ------------------------------------------------------------ */

START_TEST(a_string_comes_back_owned_and_ended_by_a_nul)
{
    char text[70000];
    const size_t lens[] = {0, 1, 31, 32, 255, 256, 300, 65535, 65536, sizeof text - 1};

    open_db();
    memset(text, 's', sizeof text);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        char *read = NULL;
        size_t len = 1;
        stem_value value;

        assert_ok(stem_put(db, "s", stem_strn(text, lens[i])));
        assert_ok(stem_get_str(db, "s", &read, &len));
        ck_assert_uint_eq(len, lens[i]);
        ck_assert_uint_eq(strlen(read), lens[i]);
        ck_assert_mem_eq(read, text, len);
        stem_free(read);
        assert_ok(stem_get_str(db, "s", &read, NULL));
        ck_assert_uint_eq(strlen(read), lens[i]);
        stem_free(read);
        assert_ok(stem_get(db, "s", &value));
        ck_assert_uint_eq(strlen(value.as.str.data), lens[i]);
        stem_value_free(&value);
        ck_assert_int_eq(value.type, STEM_NIL);
    }
    close_db();
}
END_TEST

START_TEST(a_string_with_a_nul_must_be_asked_for_with_its_length)
{
    char *read = (char *)&read;
    size_t len = 9;

    open_db();
    assert_ok(stem_put(db, "s", stem_strn("a\0b", 3)));
    assert_code(stem_get_str(db, "s", &read, NULL), STEM_ERANGE);
    assert_text("NUL");
    ck_assert_ptr_eq(read, &read);
    assert_ok(stem_get_str(db, "s", &read, &len));
    ck_assert_uint_eq(len, 3);
    ck_assert_mem_eq(read, "a\0b", 4);
    stem_free(read);
    close_db();
}
END_TEST

START_TEST(bytes_come_back_owned_and_never_null)
{
    unsigned char bytes[70000];
    const size_t lens[] = {0, 1, 255, 256, 65535, 65536, sizeof bytes};

    open_db();
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        void *read = NULL;
        size_t len = 1;

        assert_ok(stem_put(db, "b", stem_bin(lens[i] ? bytes : NULL, lens[i])));
        assert_ok(stem_get_bin(db, "b", &read, &len));
        ck_assert_ptr_nonnull(read);
        ck_assert_uint_eq(len, lens[i]);
        ck_assert_mem_eq(read, bytes, len);
        stem_free(read);
    }
    close_db();
}
END_TEST

START_TEST(strings_and_bytes_are_read_as_themselves_alone)
{
    const stem_value others[] = {stem_nil(),
                                 stem_int(1),
                                 stem_bool(true),
                                 stem_float(1),
                                 stem_time(1, 1),
                                 stem_array1(STEM_I8, "x", 1),
                                 stem_packed("\x90", 1),
                                 stem_ext(1, "x", 1)};
    char *text = (char *)&text;
    void *data = &data;
    size_t len = 42;

    open_db();
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_ok(stem_put(db, "x", others[i]));
        assert_code(stem_get_str(db, "x", &text, &len), STEM_ETYPE);
        assert_text(stem_type_name(others[i].type));
        assert_code(stem_get_bin(db, "x", &data, &len), STEM_ETYPE);
    }
    assert_ok(stem_put(db, "x", stem_bin("x", 1)));
    assert_code(stem_get_str(db, "x", &text, &len), STEM_ETYPE);
    assert_ok(stem_put(db, "x", "x"));
    assert_code(stem_get_bin(db, "x", &data, &len), STEM_ETYPE);
    ck_assert_ptr_eq(text, &text);
    ck_assert_ptr_eq(data, &data);
    ck_assert_uint_eq(len, 42);
    close_db();
}
END_TEST

/* ---- Arrays ----------------------------------------------------------------------- */

START_TEST(an_array_lies_aligned_in_the_buffer_that_was_read)
{
    const int dtypes[] = {STEM_B8,   STEM_I8,  STEM_U8,  STEM_I16, STEM_U16,
                          STEM_I32,  STEM_U32, STEM_I64, STEM_U64, STEM_F16,
                          STEM_BF16, STEM_F32, STEM_F64, STEM_C64, STEM_C128};
    static double data[24];
    const uint64_t shape[STEM_NDIM_MAX] = {2, 3, 1, 2, 1, 1, 1, 1, 1, 1, 1,
                                           1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                           1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

    open_db();
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        for (int ndim = 1; ndim <= STEM_NDIM_MAX; ndim++) {
            stem_value read;

            assert_ok(stem_put(db, "a", stem_array(dtypes[i], data, ndim, shape)));
            assert_ok(stem_get_array(db, "a", dtypes[i], &read));
            const char *start = read.owned, *at = read.as.array.data;
            size_t size = read.as.array.count * stem_dtype_size(dtypes[i]);
            ck_assert_ptr_nonnull(start);
            ck_assert_uint_eq((uintptr_t)at % 16, 0);
            ck_assert(at > start && at - start <= 8 + 8 * ndim + 16 + 6);
            ck_assert_mem_eq(at, data, size);
            ck_assert_int_eq(read.as.array.ndim, ndim);
            ck_assert_mem_eq(read.as.array.shape, shape, (size_t)ndim * 8);
            stem_value_free(&read);
            assert_ok(stem_get(db, "a", &read));
            ck_assert_uint_eq((uintptr_t)read.as.array.data % 16, 0);
            stem_value_free(&read);
        }
    close_db();
}
END_TEST

START_TEST(an_array_of_another_element_type_or_no_array_is_refused)
{
    stem_value read = {.type = 99};

    open_db();
    assert_ok(stem_put(db, "a", stem_array1(STEM_F32, "abcd", 1)));
    assert_code(stem_get_array(db, "a", STEM_F64, &read), STEM_ETYPE);
    assert_text("f32");
    assert_ok(stem_put(db, "n", 1));
    assert_code(stem_get_array(db, "n", STEM_ANY, &read), STEM_ETYPE);
    assert_ok(stem_put(db, "m", stem_packed("\x81\xa1k\x01", 4)));
    assert_code(stem_get_array(db, "m", STEM_ANY, &read), STEM_ETYPE);
    ck_assert_int_eq(read.type, 99);
    assert_ok(stem_get_array(db, "a", STEM_ANY, &read));
    ck_assert_int_eq(read.as.array.dtype, STEM_F32);
    stem_value_free(&read);
    close_db();
}
END_TEST

/* ---- Sizes ------------------------------------------------------------------------ */

START_TEST(packed_bytes_are_stored_canonical_whatever_form_they_come_in)
{
    /* The integer 300 in its canonical form and in others of the same and of more bytes, a
     * short string with a longer head, a float of 32 bits. */
    static const struct {
        const char *bytes;
        size_t len;
    } forms[] = {{"\xCD\x01\x2C", 3},     {"\xD1\x01\x2C", 3}, {"\xCE\0\0\x01\x2C", 5},
                 {"\xD2\0\0\x01\x2C", 5}, {"\xD9\x01s", 3},    {"\xCA\x3F\x80\0\0", 5}};
    enum { COUNT = 1000 };
    unsigned char packed[3 + COUNT * 5] = {0xDC, COUNT >> 8, COUNT & 0xFF};

    open_db();
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        stem_value value;
        size_t len = 3;
        size_t canonical_len;
        void *canonical;

        for (int k = 0; k < COUNT; k++) {
            /* The one that differs stands at the end. */
            const size_t form = k < COUNT - 1 ? 0 : i;

            memcpy(packed + len, forms[form].bytes, forms[form].len);
            len += forms[form].len;
        }
        value = stem_packed(packed, len);
        canonical = stem_encode(&value, &canonical_len);
        ck_assert_ptr_nonnull(canonical);
        assert_ok(stem_put_value(db, "list", value));
        assert_ok(stem_get(db, "list", &value));
        ck_assert_uint_eq(value.as.packed.len, canonical_len);
        ck_assert_mem_eq(value.as.packed.data, canonical, canonical_len);
        stem_value_free(&value);
        stem_free(canonical);
    }
    close_db();
}
END_TEST

START_TEST(values_of_sixteen_mebibytes_come_back)
{
    const size_t len = 16 << 20;
    char *data = malloc(len), *text;
    stem_value value;
    void *read;
    size_t read_len;

    open_db();
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 2654435761u >> 16 | 1);
    assert_ok(stem_put(db, "bin", stem_bin(data, len)));
    assert_ok(stem_put(db, "str", stem_strn(data, len)));
    assert_ok(stem_put(db, "array", stem_array1(STEM_F64, data, len / 8)));
    for (int compacted = 0; compacted < 2; compacted++) {
        assert_ok(stem_get_bin(db, "bin", &read, &read_len));
        ck_assert_uint_eq(read_len, len);
        ck_assert(memcmp(read, data, len) == 0);
        stem_free(read);
        assert_ok(stem_get_str(db, "str", &text, NULL));
        ck_assert(memcmp(text, data, len) == 0);
        stem_free(text);
        assert_ok(stem_get_array(db, "array", STEM_F64, &value));
        ck_assert(memcmp(value.as.array.data, data, len) == 0);
        stem_value_free(&value);
        assert_ok(stem_compact(db));
    }
    free(data);
    close_db();
}
END_TEST

START_TEST(a_value_over_the_limit_is_refused_before_anything_is_written)
{
    const size_t most = STEM_VALUE_MAX;
    /* There, but in no memory until somebody reads it. */
    void *data = mmap(NULL, most + 64, PROT_READ,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    stem_statistics before, after;
    int64_t n;

    ck_assert_ptr_ne(data, MAP_FAILED);
    const stem_value over[] = {stem_bin(data, most - 4),
                               stem_bin(data, most + 1),
                               stem_strn(data, most - 4),
                               stem_strn(data, SIZE_MAX),
                               stem_ext(1, data, most),
                               stem_array1(STEM_U8, data, most),
                               stem_array1(STEM_C128, data, most / 16),
                               stem_array1(STEM_C128, data, UINT64_MAX / 2)};
    open_db();
    assert_ok(stem_put(db, "k", 1));
    assert_ok(stem_stats(db, &before));
    for (size_t i = 0; i < sizeof over / sizeof *over; i++) {
        assert_code(stem_put(db, "k", over[i]), STEM_EINVAL);
        assert_text("put k: ");
    }
    assert_ok(stem_stats(db, &after));
    ck_assert_uint_eq(before.log_bytes, after.log_bytes);
    assert_ok(stem_get_int(db, "k", &n));
    ck_assert_int_eq(n, 1);
    munmap(data, most + 64);
    close_db();
}
END_TEST

START_TEST(what_cannot_be_stored_is_refused_and_the_old_value_stays)
{
    const uint64_t shape[33] = {2, 2}, huge[] = {UINT64_MAX, UINT64_MAX};
    const stem_value wrong[] = {stem_str(NULL),
                                stem_strn(NULL, 1),
                                stem_bin(NULL, 1),
                                stem_ext(-1, "", 0),
                                stem_ext(64, "", 0),
                                stem_ext(1, NULL, 1),
                                stem_packed(NULL, 0),
                                stem_packed("", 0),
                                stem_packed("\x92\x01", 2),
                                stem_packed("\x90\x90", 2),
                                stem_packed("\xc1", 1),
                                stem_array(STEM_F64, "x", 0, shape),
                                stem_array(STEM_F64, "x", 33, shape),
                                stem_array(STEM_F64, "x", -1, shape),
                                stem_array(STEM_F64, "x", 2, huge),
                                stem_array(STEM_F64, NULL, 2, shape),
                                stem_array(STEM_F64, "x", 1, NULL),
                                stem_array(STEM_ANY, "x", 1, shape),
                                stem_array(16, "x", 1, shape),
                                stem_array1(STEM_I8, NULL, 1),
                                {.type = 12},
                                {.type = -1},
                                {.type = STEM_INT, .reserved = 1}};
    int64_t n;

    open_db();
    assert_ok(stem_put(db, "k", 1));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int code = stem_put_value(db, "k", wrong[i]);

        ck_assert_msg(code == STEM_EINVAL, "value %zu: %s", i, stem_strerror(code));
        assert_text("put k: ");
    }
    assert_ok(stem_get_int(db, "k", &n));
    ck_assert_int_eq(n, 1);
    close_db();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stored");
    TCase *bytes = add_case(suite, "bytes", 30);
    TCase *arrays = add_case(suite, "arrays", 30);
    TCase *sizes = add_case(suite, "sizes", 60);

    tcase_add_test(bytes, a_string_comes_back_owned_and_ended_by_a_nul);
    tcase_add_test(bytes, a_string_with_a_nul_must_be_asked_for_with_its_length);
    tcase_add_test(bytes, bytes_come_back_owned_and_never_null);
    tcase_add_test(bytes, strings_and_bytes_are_read_as_themselves_alone);
    tcase_add_test(arrays, an_array_lies_aligned_in_the_buffer_that_was_read);
    tcase_add_test(arrays, an_array_of_another_element_type_or_no_array_is_refused);
    tcase_add_test(sizes, packed_bytes_are_stored_canonical_whatever_form_they_come_in);
    tcase_add_test(sizes, values_of_sixteen_mebibytes_come_back);
    tcase_add_test(sizes, a_value_over_the_limit_is_refused_before_anything_is_written);
    tcase_add_test(sizes, what_cannot_be_stored_is_refused_and_the_old_value_stays);
    return run_suite(suite);
}
