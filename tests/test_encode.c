/*
 * The encoded form: byte for byte what msgpack-c writes for every class of value, and
 * what is refused before anything is written.
 */
#include <math.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "failing_malloc.h"
#include "random.h"
#include "support.h"
#include "value.h"

static msgpack_sbuffer expected;
static msgpack_packer packer;

static void setup(void)
{
    msgpack_sbuffer_init(&expected);
    msgpack_packer_init(&packer, &expected, msgpack_sbuffer_write);
}

static void teardown(void)
{
    msgpack_sbuffer_destroy(&expected);
}

/* Asserts that the value is encoded as what was packed since, and no byte more. */
static void assert_as_packed(stem_value value)
{
    size_t len = 0;
    unsigned char *bytes = stem_encode(&value, &len);

    if (!bytes)
        ck_abort_msg("%s", stem_errmsg());
    if (len != expected.size || memcmp(bytes, expected.data, len) != 0 ||
        stem_value_encoded_size(&value) != len)
        ck_abort_msg("a %s of %zu bytes is not the %zu of msgpack-c",
                     stem_type_name(value.type), len, expected.size);
    stem_free(bytes);
    msgpack_sbuffer_clear(&expected);
}

START_TEST(nil_and_bools_are_msgpack_s)
{
    msgpack_pack_nil(&packer);
    assert_as_packed(stem_nil());
    msgpack_pack_true(&packer);
    assert_as_packed(stem_bool(true));
    msgpack_pack_false(&packer);
    assert_as_packed(stem_bool(false));
}
END_TEST

START_TEST(integers_around_every_power_of_two_are_msgpack_s)
{
    for (int bit = 0; bit < 64; bit++) {
        for (int64_t near = -3; near <= 3; near++) {
            uint64_t x = (UINT64_C(1) << bit) + (uint64_t)near;

            msgpack_pack_int64(&packer, (int64_t)x);
            assert_as_packed(stem_int((int64_t)x));
            msgpack_pack_int64(&packer, (int64_t)(0 - x));
            assert_as_packed(stem_int((int64_t)(0 - x)));
            msgpack_pack_uint64(&packer, x);
            assert_as_packed(stem_uint(x));
            msgpack_pack_uint64(&packer, x);
            assert_as_packed((stem_value){.type = STEM_UINT, .as.unsigned_ = x});
        }
    }
}
END_TEST

START_TEST(small_integers_are_msgpack_s)
{
    for (int64_t x = -70000; x <= 70000; x++) {
        msgpack_pack_int64(&packer, x);
        assert_as_packed(stem_int(x));
    }
}
END_TEST

START_TEST(floats_are_msgpack_s_doubles)
{
    const double numbers[] = {0.0,    -0.0,     1.0,       0.1, -1e300,
                              5e-324, INFINITY, -INFINITY, 7};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        msgpack_pack_double(&packer, numbers[i]);
        assert_as_packed(stem_float(numbers[i]));
    }
}
END_TEST

START_TEST(nan_bits_are_kept)
{
    const uint64_t all_bits[] = {0x7FF8000000000000, 0xFFF8000000000000,
                                 0x7FF8DEADBEEF0001, 0x7FF0000000000001,
                                 0xFFFFFFFFFFFFFFFF};

    for (size_t i = 0; i < sizeof all_bits / sizeof *all_bits; i++) {
        uint64_t bits = all_bits[i];
        double x;
        size_t len;
        stem_value value;
        unsigned char *bytes;

        memcpy(&x, &bits, sizeof x);
        value = stem_float(x);
        bytes = stem_encode(&value, &len);
        ck_assert_uint_eq(len, 9);
        ck_assert_int_eq(bytes[0], 0xCB);
        for (int byte = 0; byte < 8; byte++)
            ck_assert_int_eq(bytes[1 + byte], (int)(bits >> (56 - 8 * byte) & 0xFF));
        assert_ok(stem_decode(bytes, len, &value));
        memcpy(&bits, &value.as.real, sizeof bits);
        ck_assert_uint_eq(bits, all_bits[i]);
        stem_free(bytes);
    }
}
END_TEST

static const size_t lengths[] = {0,   1,   2,   3,   4,    5,     7,     8,
                                 9,   15,  16,  17,  31,   32,    33,    127,
                                 128, 255, 256, 257, 1000, 65535, 65536, 65537};

START_TEST(strings_bytes_and_exts_of_every_length_class_are_msgpack_s)
{
    size_t len = lengths[_i];
    char *data = malloc(len + 1);

    memset(data, 'x', len + 1);
    msgpack_pack_str(&packer, len);
    msgpack_pack_str_body(&packer, data, len);
    assert_as_packed(stem_strn(data, len));
    msgpack_pack_bin(&packer, len);
    msgpack_pack_bin_body(&packer, data, len);
    assert_as_packed(stem_bin(data, len));
    for (int code = 0; code <= STEM_EXT_CODE_MAX; code += STEM_EXT_CODE_MAX) {
        msgpack_pack_ext(&packer, len, (int8_t)code);
        msgpack_pack_ext_body(&packer, data, len);
        assert_as_packed(stem_ext(code, data, len));
    }
    free(data);
}
END_TEST

START_TEST(empty_data_may_be_null)
{
    msgpack_pack_str(&packer, 0);
    assert_as_packed(stem_strn(NULL, 0));
    msgpack_pack_bin(&packer, 0);
    assert_as_packed(stem_bin(NULL, 0));
    msgpack_pack_ext(&packer, 0, 5);
    assert_as_packed(stem_ext(5, NULL, 0));
}
END_TEST

START_TEST(times_are_msgpack_s_shortest_form)
{
    const int64_t seconds[] = {
        0,          1,          UINT32_MAX,      INT64_C(1) << 32,
        -1,         INT64_MIN,  INT64_MAX,       (INT64_C(1) << 34) - 1,
        1769860800, -100000000, INT64_C(1) << 34};
    const uint32_t nanoseconds[] = {0, 1, 500000000, 999999999};

    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        for (size_t k = 0; k < sizeof nanoseconds / sizeof *nanoseconds; k++) {
            msgpack_timestamp time = {seconds[i], nanoseconds[k]};
            stem_value value = stem_time(seconds[i], nanoseconds[k]);
            stem_value read;
            size_t len;
            char *bytes = stem_encode(&value, &len);

            assert_ok(stem_decode(bytes, len, &read));
            ck_assert_int_eq(read.type, STEM_TIME);
            ck_assert_int_eq(read.as.time.seconds, seconds[i]);
            ck_assert_uint_eq(read.as.time.nanoseconds, nanoseconds[k]);
            stem_free(bytes);
            msgpack_pack_timestamp(&packer, &time);
            assert_as_packed(value);
        }
    }
}
END_TEST

START_TEST(lists_and_maps_of_every_length_class_are_msgpack_s)
{
    size_t n = lengths[_i];
    msgpack_sbuffer packed;
    msgpack_packer to_packed;

    msgpack_sbuffer_init(&packed);
    msgpack_packer_init(&to_packed, &packed, msgpack_sbuffer_write);
    for (int is_map = 0; is_map <= 1; is_map++) {
        if (is_map)
            msgpack_pack_map(&to_packed, n);
        else
            msgpack_pack_array(&to_packed, n);
        for (size_t i = 0; i < n << is_map; i++)
            msgpack_pack_uint64(&to_packed, i);
        msgpack_sbuffer_write(&expected, packed.data, packed.size);
        assert_as_packed(stem_packed(packed.data, packed.size));
        msgpack_sbuffer_clear(&packed);
    }
    msgpack_sbuffer_destroy(&packed);
}
END_TEST

/* A random document, canonical as msgpack-c packs it and, alike in meaning, with heads
 * that are longer than they need be. */
static msgpack_sbuffer sloppy;

static void sloppy_head(unsigned char head, uint64_t operand, int width)
{
    unsigned char bytes[9] = {head};

    for (int i = 0; i < width; i++)
        bytes[1 + i] = (unsigned char)(operand >> (8 * (width - 1 - i)));
    msgpack_sbuffer_write(&sloppy, (char *)bytes, (size_t)width + 1);
}

/* Heads in rising width; `n` fits the first that is allowed. */
static void sloppy_length(const unsigned char heads[3], size_t n)
{
    static const int widths[3] = {1, 2, 4};
    uint32_t least = n > 65535 ? 2 : n > 255 || heads[0] == 0 ? 1 : 0;
    uint32_t chosen = least + random_below(3 - least);

    sloppy_head(heads[chosen], n, widths[chosen]);
}

static void random_scalar(void)
{
    static const char text[300] = "any text will do";
    size_t len = random_below(4) == 0 ? random_below(300) : random_below(20);
    msgpack_timestamp time = {random_below(100), 0};
    float f32 = (float)random_below(1000) / 8;
    uint32_t f32_bits;
    int64_t small = (int64_t)random_below(300) - 150;

    switch (random_below(7)) {
    case 0:
        msgpack_pack_nil(&packer);
        sloppy_head(0xC0, 0, 0);
        break;
    case 1:
        msgpack_pack_int64(&packer, small);
        sloppy_head(0xD3, (uint64_t)small, 8);
        break;
    case 2:
        msgpack_pack_uint64(&packer, random_state);
        sloppy_head(0xCF, random_state, 8);
        break;
    case 3:
        msgpack_pack_double(&packer, (double)f32);
        memcpy(&f32_bits, &f32, sizeof f32_bits);
        sloppy_head(0xCA, f32_bits, 4);
        break;
    case 4:
        msgpack_pack_str(&packer, len);
        msgpack_pack_str_body(&packer, text, len);
        sloppy_length((const unsigned char[]){0xD9, 0xDA, 0xDB}, len);
        msgpack_sbuffer_write(&sloppy, text, len);
        break;
    case 5:
        msgpack_pack_bin(&packer, len);
        msgpack_pack_bin_body(&packer, text, len);
        sloppy_length((const unsigned char[]){0xC4, 0xC5, 0xC6}, len);
        msgpack_sbuffer_write(&sloppy, text, len);
        break;
    default:
        msgpack_pack_timestamp(&packer, &time);
        sloppy_head(0xC7, 12, 1);
        sloppy_head(0xFF, 0, 4);
        sloppy_head(0, (uint64_t)time.tv_sec, 7);
        break;
    }
}

static void random_document(int depth)
{
    size_t n = random_below(8) == 0 ? 16 + random_below(20) : random_below(6);
    bool is_map = random_below(2) == 0;

    if (depth > 0 && random_below(3) == 0) {
        random_scalar();
        return;
    }
    if (is_map)
        msgpack_pack_map(&packer, n);
    else
        msgpack_pack_array(&packer, n);
    sloppy_length(is_map ? (const unsigned char[]){0, 0xDE, 0xDF}
                         : (const unsigned char[]){0, 0xDC, 0xDD},
                  n);
    for (size_t i = 0; i < n << is_map; i++) {
        if (depth < 4)
            random_document(depth + 1);
        else
            random_scalar();
    }
}

START_TEST(packed_bytes_become_canonical)
{
    msgpack_sbuffer_init(&sloppy);
    for (int round = 0; round < 300; round++) {
        random_document(0);
        assert_as_packed(stem_packed(sloppy.data, sloppy.size));
        msgpack_sbuffer_clear(&sloppy);
    }
    msgpack_sbuffer_destroy(&sloppy);
}
END_TEST

START_TEST(packed_scalars_become_canonical)
{
    msgpack_sbuffer_init(&sloppy);
    for (int round = 0; round < 2000; round++) {
        random_scalar();
        assert_as_packed(stem_packed(sloppy.data, sloppy.size));
        msgpack_sbuffer_clear(&sloppy);
    }
    msgpack_sbuffer_destroy(&sloppy);
}
END_TEST

START_TEST(arrays_inside_packed_bytes_become_ext32)
{
    static const unsigned char packed[] = {0x92, 0xC7, 12, 78, STEM_U8, 1, 2,    0, 0, 0,
                                           0,    0,    0,  0,  8,       9, 0xCD, 0, 1};
    static const unsigned char canonical[] = {0x92, 0xC9, 0, 0, 0, 12, 78, STEM_U8, 1, 2,
                                              0,    0,    0, 0, 0, 0,  0,  8,       9, 1};

    msgpack_sbuffer_write(&expected, (const char *)canonical, sizeof canonical);
    assert_as_packed(stem_packed(packed, sizeof packed));
    /* Alone, and where it cannot be lent. */
    msgpack_sbuffer_write(&expected, (const char *)canonical + 1, sizeof canonical - 2);
    assert_as_packed(stem_packed(packed + 1, sizeof packed - 4));
}
END_TEST

START_TEST(values_that_cannot_be_stored_are_refused)
{
    const struct {
        stem_value value;
        const char *cause;
    } cases[] = {
        {stem_str(NULL), "str: the data is NULL"},
        {stem_strn(NULL, 1), "str: the data is NULL"},
        {stem_bin(NULL, 1), "bin: the data is NULL"},
        {stem_ext(1, NULL, 1), "ext: the data is NULL"},
        {stem_packed(NULL, 1), "list: the data is NULL"},
        {stem_packed(NULL, 0), "packed: at byte 0"},
        {stem_ext(-1, "1234", 4), "ext: type code -1"},
        {stem_ext(64, "", 0), "ext: type code 64, not 0 to 63"},
        {stem_ext(78, "", 0), "ext: type code 78"},
        {stem_ext(256, "", 0), "ext: type code 256"},
        {stem_time(0, 1000000000), "1000000000 nanoseconds"},
        {{.type = 12}, "12 is no type"},
        {{.type = -1}, "-1 is no type"},
        {{.type = STEM_INT, .reserved = 1}, "reserved"},
        {stem_packed("\x92\1", 2), "packed: at byte 0"},
        {stem_packed("\x92\1\xA5", 3), "packed: at byte 2"},
        {stem_packed("\x92\1\xC1", 3), "packed: at byte 2"},
        {stem_packed("\x91\1\2", 3), "packed: at byte 2"},
        {stem_packed("\x91\xD4\x40x", 4), "packed: at byte 1 ext: type code 64"},
        {stem_packed("\x91\xD6\xFF", 3), "packed: at byte 1"},
        {stem_packed("\x91\xD5\xFFxx", 5), "packed: at byte 1 a timestamp"},
        {stem_packed("\x91\xD4\x4Ex", 4), "packed: at byte 1 an array"},
    };
    size_t len = 99;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_ptr_null(stem_encode(&cases[i].value, &len));
        ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
        ck_assert_msg(strstr(stem_errmsg(), cases[i].cause) != NULL, "%zu: %s", i,
                      stem_errmsg());
    }
    ck_assert_uint_eq(len, 99);
}
END_TEST

START_TEST(packed_bytes_may_nest_128_levels)
{
    unsigned char nested[STEM_DEPTH_MAX + 2];
    stem_value value;

    memset(nested, 0x91, sizeof nested);
    nested[STEM_DEPTH_MAX] = 0x01;
    value = stem_packed(nested, STEM_DEPTH_MAX + 1);
    ck_assert_uint_eq(stem_value_encoded_size(&value), STEM_DEPTH_MAX + 1);
    nested[STEM_DEPTH_MAX] = 0x91;
    nested[STEM_DEPTH_MAX + 1] = 0x01;
    value = stem_packed(nested, STEM_DEPTH_MAX + 2);
    ck_assert_uint_eq(stem_value_encoded_size(&value), 0);
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "128"));
}
END_TEST

static void assert_size(stem_value value, size_t size)
{
    ck_assert_uint_eq(stem_value_encoded_size(&value), size);
    if (size == 0) {
        ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
        ck_assert_ptr_nonnull(strstr(stem_errmsg(), "1073741824"));
    }
}

START_TEST(a_value_has_at_most_a_gibibyte)
{
    const size_t max = STEM_VALUE_MAX;

    /* Only lengths are looked at. */
    assert_size(stem_strn("", max - 5), max);
    assert_size(stem_strn("", max - 4), 0);
    assert_size(stem_bin("", max - 5), max);
    assert_size(stem_bin("", max - 4), 0);
    assert_size(stem_ext(1, "", max - 6), max);
    assert_size(stem_ext(1, "", max - 5), 0);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "ext: 1073741825 bytes"));
    assert_size(stem_strn("", max + 1), 0);
    assert_size(stem_bin("", SIZE_MAX), 0);
    assert_size(stem_packed("\x90", SIZE_MAX / 2), 0);
}
END_TEST

START_TEST(packed_bytes_have_at_most_a_gibibyte_when_canonical)
{
    size_t size = (size_t)STEM_VALUE_MAX + 4096;
    unsigned char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ck_assert_ptr_ne(bytes, MAP_FAILED);
    /* A list of a bin; its head is shorter when canonical, and a float is longer. */
    memcpy(bytes, "\xDD\0\0\0\1\xC6\x3F\xFF\xFF\xF6", 10);
    assert_size(stem_packed(bytes, 10 + 0x3FFFFFF6), STEM_VALUE_MAX - 4);
    memcpy(bytes, "\x92\xCA\0\0\0\0\xC6\x3F\xFF\xFF\xF1", 11);
    assert_size(stem_packed(bytes, 11 + 0x3FFFFFF1), STEM_VALUE_MAX);
    bytes[10] = 0xF2;
    assert_size(stem_packed(bytes, 11 + 0x3FFFFFF2), 0);
    munmap(bytes, size);
}
END_TEST

START_TEST(no_memory_is_told)
{
    const stem_value value = stem_str("x");
    size_t len;
    void *bytes;

    out_of_memory(bytes = stem_encode(&value, &len));
    ck_assert_ptr_null(bytes);
    ck_assert_int_eq(stem_errcode(), STEM_ENOMEM);
}
END_TEST

START_TEST(null_arguments_are_refused)
{
    const stem_value value = stem_str("x");
    size_t len;

    ck_assert_ptr_null(stem_encode(NULL, &len));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
    ck_assert_ptr_null(stem_encode(&value, NULL));
    ck_assert_int_eq(stem_errcode(), STEM_EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("encode");
    TCase *tcase = add_case(suite, "as msgpack-c", 60);
    int n_lengths = sizeof lengths / sizeof *lengths;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, nil_and_bools_are_msgpack_s);
    tcase_add_test(tcase, integers_around_every_power_of_two_are_msgpack_s);
    tcase_add_test(tcase, small_integers_are_msgpack_s);
    tcase_add_test(tcase, floats_are_msgpack_s_doubles);
    tcase_add_test(tcase, nan_bits_are_kept);
    tcase_add_loop_test(tcase, strings_bytes_and_exts_of_every_length_class_are_msgpack_s,
                        0, n_lengths);
    tcase_add_test(tcase, empty_data_may_be_null);
    tcase_add_test(tcase, times_are_msgpack_s_shortest_form);
    tcase_add_loop_test(tcase, lists_and_maps_of_every_length_class_are_msgpack_s, 0,
                        n_lengths);
    tcase_add_test(tcase, packed_bytes_become_canonical);
    tcase_add_test(tcase, packed_scalars_become_canonical);
    tcase_add_test(tcase, arrays_inside_packed_bytes_become_ext32);
    tcase = add_case(suite, "refusals", 60);
    tcase_add_test(tcase, values_that_cannot_be_stored_are_refused);
    tcase_add_test(tcase, packed_bytes_may_nest_128_levels);
    tcase_add_test(tcase, a_value_has_at_most_a_gibibyte);
    tcase_add_test(tcase, packed_bytes_have_at_most_a_gibibyte_when_canonical);
    tcase_add_test(tcase, no_memory_is_told);
    tcase_add_test(tcase, null_arguments_are_refused);
    return run_suite(suite);
}
