/*
 * Reading bytes that nobody vouches for: every head byte, every truncation, lengths that
 * lie, nesting, and what a value owns when it takes a buffer over.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "failing_malloc.h"
#include "random.h"
#include "support.h"
#include "value.h"

/* A copy of the bytes in a block of just their size, so that memory checkers see a read
 * behind them. */
static unsigned char *exact(const void *bytes, size_t len)
{
    unsigned char *copy = malloc(len > 0 ? len : 1);

    memcpy(copy, bytes, len);
    return copy;
}

/* Asserts that the bytes are damaged for every way of reading them, and that finding out
 * takes no memory. */
static void assert_corrupt(const void *bytes, size_t len)
{
    unsigned char *copy = exact(bytes, len);
    stem_value out = stem_int(777);
    bool needs_copy;
    int decoded;
    int adopted;
    int looked_at;

    out_of_memory(decoded = stem_decode(copy, len, &out));
    out_of_memory(looked_at = stem_value_decode(copy, len, &out, &needs_copy));
    out_of_memory(adopted = stem_value_adopt((char *)copy, len, &out));
    ck_assert_msg(decoded == STEM_ECORRUPT && looked_at == STEM_ECORRUPT &&
                      adopted == STEM_ECORRUPT,
                  "%zu bytes from %02X: %s", len, *(const unsigned char *)bytes,
                  stem_errmsg());
    ck_assert_int_eq(strncmp(stem_errmsg(), "damaged value: at byte ", 23), 0);
    ck_assert_int_eq(out.type, STEM_INT);
    ck_assert_int_eq(out.as.integer, 777);
}

static stem_value decode(const void *bytes, size_t len)
{
    stem_value value;

    assert_ok(stem_decode(bytes, len, &value));
    ck_assert_int_eq(value.reserved, 0);
    return value;
}

/* The smallest object that begins with the byte `head`, and its type; 0 when there is
 * none. Written from MessagePack's specification. */
static size_t smallest(unsigned char head, unsigned char object[64], int *type)
{
    size_t len = 1;

    memset(object, 0, 64);
    object[0] = head;
    if (head <= 0x7F || head >= 0xE0) {
        *type = STEM_INT;
    } else if (head <= 0x8F) {
        *type = STEM_MAP;
        len += 2 * (size_t)(head & 15);
    } else if (head <= 0x9F) {
        *type = STEM_LIST;
        len += head & 15;
    } else if (head <= 0xBF) {
        *type = STEM_STR;
        len += head & 31;
    } else if (head == 0xC0) {
        *type = STEM_NIL;
    } else if (head == 0xC1) {
        return 0;
    } else if (head <= 0xC3) {
        *type = STEM_BOOL;
    } else if (head <= 0xC6) {
        *type = STEM_BIN;
        len += (size_t)1 << (head - 0xC4);
    } else if (head <= 0xC9) {
        *type = STEM_EXT;
        len += ((size_t)1 << (head - 0xC7)) + 1;
    } else if (head <= 0xCB) {
        *type = STEM_FLOAT;
        len += head == 0xCA ? 4 : 8;
    } else if (head <= 0xCF) {
        *type = STEM_INT;
        len += (size_t)1 << (head - 0xCC);
    } else if (head <= 0xD3) {
        *type = STEM_INT;
        len += (size_t)1 << (head - 0xD0);
    } else if (head <= 0xD8) {
        *type = STEM_EXT;
        len += ((size_t)1 << (head - 0xD4)) + 1;
    } else if (head <= 0xDB) {
        *type = STEM_STR;
        len += (size_t)1 << (head - 0xD9);
    } else {
        *type = head <= 0xDD ? STEM_LIST : STEM_MAP;
        len += head & 1 ? 4 : 2;
    }
    return len;
}

START_TEST(every_head_byte_is_read_as_the_specification_says)
{
    unsigned char object[64];
    int type;
    int peeked;
    size_t len = smallest((unsigned char)_i, object, &type);
    bool needs_copy = true;
    stem_value looked_at;
    stem_value value;

    if (len == 0) {
        assert_corrupt(object, 1);
        assert_code(stem_value_peek_type(object, 1, &peeked), STEM_ECORRUPT);
        return;
    }
    value = decode(object, len);
    ck_assert_int_eq(value.type, type);
    ck_assert_ptr_null(value.owned);
    assert_ok(stem_value_decode(object, len, &looked_at, &needs_copy));
    ck_assert_int_eq(looked_at.type, type);
    ck_assert(!needs_copy);
    assert_ok(stem_value_peek_type(object, len, &peeked));
    ck_assert_int_eq(peeked, type);
    if (type == STEM_LIST || type == STEM_MAP) {
        ck_assert_uint_eq(value.as.packed.len, len);
        ck_assert_ptr_eq(value.as.packed.data, object);
    }
    for (size_t shorter = 0; shorter < len; shorter++)
        assert_corrupt(object, shorter);
    assert_corrupt(object, len + 1);
}
END_TEST

START_TEST(fixed_heads_hold_their_number_or_length)
{
    unsigned char object[64] = {0};

    for (int head = 0; head <= 0x7F; head++) {
        object[0] = (unsigned char)head;
        ck_assert_int_eq(decode(object, 1).as.integer, head);
    }
    for (int head = 0xE0; head <= 0xFF; head++) {
        object[0] = (unsigned char)head;
        ck_assert_int_eq(decode(object, 1).as.integer, head - 256);
    }
    for (size_t n = 0; n <= 31; n++) {
        object[0] = (unsigned char)(0xA0 | n);
        ck_assert_uint_eq(decode(object, 1 + n).as.str.len, n);
        ck_assert_ptr_eq(decode(object, 1 + n).as.str.data, object + 1);
    }
    for (unsigned n = 0; n <= 15; n++) {
        object[0] = (unsigned char)(0x90 | n);
        ck_assert_uint_eq(decode(object, 1 + n).as.packed.count, n);
        object[0] = (unsigned char)(0x80 | n);
        ck_assert_uint_eq(decode(object, 1 + 2 * n).as.packed.count, n);
    }
}
END_TEST

START_TEST(integers_of_any_width_are_read)
{
    static const struct {
        const char *bytes;
        size_t len;
        int64_t expected;
    } cases[] = {{"\xCC\0", 2, 0},
                 {"\xCC\xFF", 2, 255},
                 {"\xCD\0\7", 3, 7},
                 {"\xCD\xFF\xFE", 3, 65534},
                 {"\xCE\xFF\xFF\xFF\xFE", 5, 4294967294},
                 {"\xCF\0\0\0\0\0\0\0\5", 9, 5},
                 {"\xCF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 9, INT64_MAX},
                 {"\xD0\x80", 2, -128},
                 {"\xD0\5", 2, 5},
                 {"\xD1\x80\0", 3, -32768},
                 {"\xD2\x80\0\0\0", 5, INT32_MIN},
                 {"\xD3\x80\0\0\0\0\0\0\0", 9, INT64_MIN},
                 {"\xD3\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 9, -1}};
    stem_value value;
    int type;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        value = decode(cases[i].bytes, cases[i].len);
        ck_assert_int_eq(value.type, STEM_INT);
        ck_assert_int_eq(value.as.integer, cases[i].expected);
    }
    value = decode("\xCF\x80\0\0\0\0\0\0\1", 9);
    ck_assert_int_eq(value.type, STEM_UINT);
    ck_assert_uint_eq(value.as.unsigned_, (UINT64_C(1) << 63) + 1);
    assert_ok(stem_value_peek_type("\xCF\x80", 2, &type));
    ck_assert_int_eq(type, STEM_UINT);
    assert_code(stem_value_peek_type("\xCF", 1, &type), STEM_ECORRUPT);
    assert_code(stem_value_peek_type("", 0, &type), STEM_ECORRUPT);
}
END_TEST

START_TEST(floats_of_32_bits_are_read)
{
    ck_assert(decode("\xCA\x3F\xC0\0\0", 5).as.real == 1.5);
    ck_assert(isinf(decode("\xCA\x7F\x80\0\0", 5).as.real));
    ck_assert(isnan(decode("\xCA\x7F\xC0\0\1", 5).as.real));
    ck_assert(signbit(decode("\xCA\x80\0\0\0", 5).as.real));
    ck_assert_int_eq(decode("\xCA\x3F\xC0\0\0", 5).type, STEM_FLOAT);
}
END_TEST

static void assert_time(const char *bytes, size_t len, int64_t seconds,
                        uint32_t nanoseconds)
{
    stem_value value = decode(bytes, len);
    int type;

    ck_assert_int_eq(value.type, STEM_TIME);
    ck_assert_int_eq(value.as.time.seconds, seconds);
    ck_assert_uint_eq(value.as.time.nanoseconds, nanoseconds);
    assert_ok(stem_value_peek_type(bytes, len, &type));
    ck_assert_int_eq(type, STEM_TIME);
}

START_TEST(timestamps_are_read_in_every_form)
{
    assert_time("\xD6\xFF\xFF\xFF\xFF\xFF", 6, UINT32_MAX, 0);
    assert_time("\xD7\xFF\xEE\x6B\x27\xFF\xFF\xFF\xFF\xFF", 10, (INT64_C(1) << 34) - 1,
                999999999);
    assert_time("\xC7\x0C\xFF\x3B\x9A\xC9\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 15, -1,
                999999999);
    assert_time("\xC7\4\xFF\0\0\0\5", 7, 5, 0);
    assert_time("\xC8\0\x08\xFF\0\0\0\4\0\0\0\5", 12, 5, 1);
    assert_time("\xC9\0\0\0\4\xFF\0\0\0\5", 10, 5, 0);
}
END_TEST

START_TEST(malformed_timestamps_are_corrupt)
{
    assert_corrupt("\xD4\xFF\0", 3);
    assert_corrupt("\xD5\xFF\0\0", 4);
    assert_corrupt("\xD8\xFF\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18);
    assert_corrupt("\xC7\0\xFF", 3);
    assert_corrupt("\xC7\5\xFF\0\0\0\0\0", 8);
    assert_corrupt("\xD7\xFF\xEE\x6B\x28\0\0\0\0\0", 10);
    assert_corrupt("\xC7\x0C\xFF\x3B\x9A\xCA\0\0\0\0\0\0\0\0\0", 15);
    assert_corrupt("\x91\xD4\xFF\0", 4);
}
END_TEST

START_TEST(exts_of_every_code_are_read)
{
    unsigned char bytes[3] = {0xD4, 0, 'x'};
    int type;

    for (int code = -128; code <= 127; code++) {
        stem_value value;

        if (code == -1 || code == 78)
            continue;
        bytes[1] = (unsigned char)code;
        value = decode(bytes, sizeof bytes);
        ck_assert_int_eq(value.type, STEM_EXT);
        ck_assert_int_eq(value.as.ext.code, code);
        ck_assert_uint_eq(value.as.ext.len, 1);
        ck_assert_ptr_eq(value.as.ext.data, bytes + 2);
        assert_ok(stem_value_peek_type(bytes, sizeof bytes, &type));
        ck_assert_int_eq(type, STEM_EXT);
    }
    assert_ok(stem_value_peek_type("\xC8\0\x20\x4E", 4, &type));
    ck_assert_int_eq(type, STEM_ARRAY);
    assert_ok(stem_value_peek_type("\xC9\0\0\0\x20\x4E", 6, &type));
    ck_assert_int_eq(type, STEM_ARRAY);
}
END_TEST

START_TEST(lengths_that_lie_are_corrupt_and_take_no_memory)
{
    static const unsigned char heads[] = {0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xD9,
                                          0xDA, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF};
    unsigned char bytes[64];

    for (size_t i = 0; i < sizeof heads; i++) {
        memset(bytes, 0xFF, sizeof bytes);
        bytes[0] = heads[i];
        assert_corrupt(bytes, sizeof bytes);
        /* The same inside a list. */
        memset(bytes, 0xFF, sizeof bytes);
        bytes[0] = 0x91;
        bytes[1] = heads[i];
        assert_corrupt(bytes, sizeof bytes);
    }
    /* One more than there is. */
    assert_corrupt("\xDD\0\0\0\3\1\2", 7);
    assert_corrupt("\xDF\0\0\0\2\1\2\3", 8);
    assert_corrupt("\x92\x92\1\2", 4);
}
END_TEST

/* `levels` lists, or maps, inside each other, with a scalar in the innermost. */
static size_t nested(unsigned char *bytes, size_t levels, bool is_map)
{
    size_t len = 0;

    for (size_t i = 0; i < levels; i++) {
        bytes[len++] = is_map ? 0x81 : 0x91;
        if (is_map)
            bytes[len++] = 0xC0;
    }
    bytes[len++] = 0x05;
    return len;
}

START_TEST(nesting_of_128_levels_is_read_and_no_more)
{
    bool is_map = _i == 1;
    unsigned char bytes[2 * STEM_DEPTH_MAX + 10];
    size_t len = nested(bytes, STEM_DEPTH_MAX, is_map);

    decode(bytes, len);
    len = nested(bytes, STEM_DEPTH_MAX + 1, is_map);
    assert_corrupt(bytes, len);
    ck_assert_ptr_nonnull(strstr(stem_errmsg(), "128"));
    /* An empty container is a level as well. */
    len = nested(bytes, STEM_DEPTH_MAX, is_map);
    bytes[len - 1] = 0x90;
    assert_corrupt(bytes, len);
    len = nested(bytes, STEM_DEPTH_MAX - 1, is_map);
    bytes[len - 1] = 0x90;
    decode(bytes, len);
}
END_TEST

START_TEST(nesting_of_a_million_levels_is_refused_without_recursion)
{
    size_t len = 1000000;
    unsigned char *bytes = malloc(len);

    memset(bytes, 0x91, len);
    assert_corrupt(bytes, len);
    free(bytes);
}
END_TEST

START_TEST(many_containers_beside_each_other_are_no_depth)
{
    unsigned char bytes[3 + 1000] = {0xDC, 1000 >> 8, 1000 & 255};

    memset(bytes + 3, 0x90, 1000);
    ck_assert_uint_eq(decode(bytes, sizeof bytes).as.packed.count, 1000);
}
END_TEST

START_TEST(null_arguments_are_refused)
{
    stem_value value;

    assert_code(stem_decode(NULL, 0, &value), STEM_EINVAL);
    assert_code(stem_decode(NULL, 5, &value), STEM_EINVAL);
    assert_code(stem_decode("\5", 1, NULL), STEM_EINVAL);
}
END_TEST

#define BYTES(literal) literal, sizeof(literal) - 1

/* clang-format off */
/* Values of every class, in their canonical encoding. */
static const struct {
    const char *bytes;
    size_t len;
} corpus[] = {
    {BYTES("\xC0")},
    {BYTES("\xC3")},
    {BYTES("\xD3\x80\0\0\0\0\0\0\0")},
    {BYTES("\xCF\xFF\0\0\0\0\0\0\0")},
    {BYTES("\xCB\x3F\xF0\0\0\0\0\0\0")},
    {BYTES("\xA5hello")},
    {BYTES("\xD9\x21" "0123456789abcdef0123456789abcdef!")},
    {BYTES("\xC4\3bin")},
    {BYTES("\xC4\0")},
    {BYTES("\xD6\xFF\0\0\0\1")},
    {BYTES("\xD7\xFF\0\0\0\4\0\0\0\1")},
    {BYTES("\xC7\x0C\xFF\0\0\0\1\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")},
    {BYTES("\xC9\0\0\0\x0E\x4E\5\1\2\0\0\0\0\0\0\0\1\0\2\0")},
    {BYTES("\x93\1\xA1z\x91\xC0")},
    {BYTES("\x82\xA1" "a\x80\xA1" "b\x81\1\xC4\1x")},
    {BYTES("\xD5\7ab")},
    {BYTES("\xC7\3\7abc")},
    {BYTES("\x92\xC9\0\0\0\x0B\x4E\3\1\1\0\0\0\0\0\0\0\7\5")},
};
/* clang-format on */
enum { CORPUS_SIZE = sizeof corpus / sizeof *corpus };

START_TEST(every_truncation_is_corrupt)
{
    for (size_t len = 0; len < corpus[_i].len; len++)
        assert_corrupt(corpus[_i].bytes, len);
}
END_TEST

START_TEST(trailing_bytes_are_corrupt)
{
    unsigned char longer[64];

    memcpy(longer, corpus[_i].bytes, corpus[_i].len);
    for (int byte = 0; byte <= 255; byte++) {
        longer[corpus[_i].len] = (unsigned char)byte;
        assert_corrupt(longer, corpus[_i].len + 1);
    }
}
END_TEST

START_TEST(a_decoded_value_encodes_to_the_same_bytes)
{
    unsigned char *bytes = exact(corpus[_i].bytes, corpus[_i].len);
    stem_value value = decode(bytes, corpus[_i].len);
    size_t len;
    unsigned char *again = stem_encode(&value, &len);

    ck_assert_uint_eq(len, corpus[_i].len);
    ck_assert_mem_eq(again, corpus[_i].bytes, len);
    stem_free(again);
    stem_value_free(&value);
    free(bytes);
}
END_TEST

START_TEST(an_adopted_value_owns_its_buffer)
{
    char *buffer = (char *)exact(corpus[_i].bytes, corpus[_i].len);
    stem_value value;
    size_t len;
    unsigned char *again;

    assert_ok(stem_value_adopt(buffer, corpus[_i].len, &value));
    switch (value.type) {
    case STEM_STR:
        ck_assert_ptr_eq(value.owned, buffer);
        ck_assert_ptr_eq(value.as.str.data, buffer);
        ck_assert_uint_eq(strlen(value.as.str.data), value.as.str.len);
        break;
    case STEM_BIN:
        ck_assert_ptr_eq(value.owned, buffer);
        ck_assert_ptr_nonnull(value.as.bin.data);
        break;
    case STEM_ARRAY:
        ck_assert_ptr_eq(value.owned, buffer);
        ck_assert_ptr_eq(value.as.array.data, buffer + 16);
        break;
    case STEM_LIST:
    case STEM_MAP:
    case STEM_EXT:
        ck_assert_ptr_eq(value.owned, buffer);
        break;
    default:
        ck_assert_ptr_null(value.owned);
        break;
    }
    again = stem_encode(&value, &len);
    ck_assert_uint_eq(len, corpus[_i].len);
    ck_assert_mem_eq(again, corpus[_i].bytes, len);
    stem_free(again);
    stem_value_free(&value);
}
END_TEST

/* Reads whatever the bytes are; what is read must be told the same in its canonical
 * encoding. */
static void read_anything(const unsigned char *bytes, size_t len)
{
    unsigned char *copy = exact(bytes, len);
    stem_value value;
    size_t size;
    size_t again_size;
    unsigned char *encoded;
    unsigned char *again;

    if (stem_decode(copy, len, &value) == STEM_OK) {
        encoded = stem_encode(&value, &size);
        stem_value_free(&value);
        if (encoded) {
            if (stem_decode(encoded, size, &value) != STEM_OK)
                ck_abort_msg("%s", stem_errmsg());
            again = stem_encode(&value, &again_size);
            if (!again || again_size != size || memcmp(again, encoded, size) != 0)
                ck_abort_msg("a %s changes when it is encoded again",
                             stem_type_name(value.type));
            stem_free(again);
            stem_value_free(&value);
        } else {
            /* Only foreign ext codes are read and cannot be put. */
            ck_assert_ptr_nonnull(strstr(stem_errmsg(), "ext: type code"));
        }
        stem_free(encoded);
    } else {
        ck_assert_int_eq(stem_errcode(), STEM_ECORRUPT);
    }
    free(copy);
}

START_TEST(random_bytes_are_read_or_refused)
{
    unsigned char bytes[40];

    for (int round = 0; round < 40000; round++) {
        size_t len = random_below(sizeof bytes);

        for (size_t i = 0; i < len; i++)
            bytes[i] = (unsigned char)random_below(random_below(2) ? 256 : 8);
        if (len > 0 && random_below(2) == 0)
            bytes[0] = (unsigned char)(0x80 + random_below(0x20));
        read_anything(bytes, len);
    }
}
END_TEST

START_TEST(damaged_values_are_read_or_refused)
{
    unsigned char bytes[64];

    for (int round = 0; round < 2000; round++) {
        memcpy(bytes, corpus[_i].bytes, corpus[_i].len);
        for (uint32_t flips = 1 + random_below(3); flips > 0; flips--)
            bytes[random_below((uint32_t)corpus[_i].len)] =
                (unsigned char)random_below(256);
        read_anything(bytes, corpus[_i].len);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decode");
    TCase *tcase = add_case(suite, "forms", 30);

    tcase_add_loop_test(tcase, every_head_byte_is_read_as_the_specification_says, 0, 256);
    tcase_add_test(tcase, fixed_heads_hold_their_number_or_length);
    tcase_add_test(tcase, integers_of_any_width_are_read);
    tcase_add_test(tcase, floats_of_32_bits_are_read);
    tcase_add_test(tcase, timestamps_are_read_in_every_form);
    tcase_add_test(tcase, malformed_timestamps_are_corrupt);
    tcase_add_test(tcase, exts_of_every_code_are_read);
    tcase = add_case(suite, "hostile", 60);
    tcase_add_test(tcase, lengths_that_lie_are_corrupt_and_take_no_memory);
    tcase_add_loop_test(tcase, nesting_of_128_levels_is_read_and_no_more, 0, 2);
    tcase_add_test(tcase, nesting_of_a_million_levels_is_refused_without_recursion);
    tcase_add_test(tcase, many_containers_beside_each_other_are_no_depth);
    tcase_add_test(tcase, null_arguments_are_refused);
    tcase_add_loop_test(tcase, every_truncation_is_corrupt, 0, CORPUS_SIZE);
    tcase_add_loop_test(tcase, trailing_bytes_are_corrupt, 0, CORPUS_SIZE);
    tcase_add_test(tcase, random_bytes_are_read_or_refused);
    tcase_add_loop_test(tcase, damaged_values_are_read_or_refused, 0, CORPUS_SIZE);
    tcase = add_case(suite, "round trips", 30);
    tcase_add_loop_test(tcase, a_decoded_value_encodes_to_the_same_bytes, 0, CORPUS_SIZE);
    tcase_add_loop_test(tcase, an_adopted_value_owns_its_buffer, 0, CORPUS_SIZE);
    return run_suite(suite);
}
