/*
 * Values to canonical MessagePack: the shortest head of each kind, floats always in 64
 * bits. msgpack-c writes it, through callbacks that count or append; only integers and
 * short strings, whose cost would show beside a put's, are written here. What lies packed
 * already is written anew token by token, which needs no recursion: MessagePack's
 * containers say up front how much they hold.
 */
#include <endian.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "error.h"
#include "msgpack_bytes.h"
#include "value.h"

static int count_bytes(void *total, const char *data, size_t len)
{
    (void)data;
    *(size_t *)total += len;
    return 0;
}

static int append_bytes(void *next, const char *data, size_t len)
{
    unsigned char **out = next;

    if (len > 0)
        memcpy(*out, data, len);
    *out += len;
    return 0;
}

/* Packs a value that has been checked, but for arrays, and for containers their heads
 * alone. */
static inline void pack(msgpack_packer *packer, const stem_value *value)
{
    msgpack_timestamp time;

    switch (value->type) {
    case STEM_NIL:
        msgpack_pack_nil(packer);
        break;
    case STEM_BOOL:
        if (value->as.boolean)
            msgpack_pack_true(packer);
        else
            msgpack_pack_false(packer);
        break;
    case STEM_INT:
        msgpack_pack_int64(packer, value->as.integer);
        break;
    case STEM_UINT:
        msgpack_pack_uint64(packer, value->as.unsigned_);
        break;
    case STEM_FLOAT:
        msgpack_pack_double(packer, value->as.real);
        break;
    case STEM_STR:
        msgpack_pack_str(packer, value->as.str.len);
        packer->callback(packer->data, value->as.str.data, value->as.str.len);
        break;
    case STEM_BIN:
        msgpack_pack_bin(packer, value->as.bin.len);
        packer->callback(packer->data, value->as.bin.data, value->as.bin.len);
        break;
    case STEM_TIME:
        time.tv_sec = value->as.time.seconds;
        time.tv_nsec = value->as.time.nanoseconds;
        msgpack_pack_timestamp(packer, &time);
        break;
    case STEM_EXT:
        msgpack_pack_ext(packer, value->as.ext.len, (int8_t)value->as.ext.code);
        packer->callback(packer->data, value->as.ext.data, value->as.ext.len);
        break;
    case STEM_LIST:
        msgpack_pack_array(packer, value->as.packed.count);
        break;
    default: /* STEM_MAP */
        msgpack_pack_map(packer, value->as.packed.count);
        break;
    }
}

static int check_bytes(const stem_value *value, const void *data, size_t len)
{
    const char *type = stem_type_name(value->type);

    if (!data && len > 0)
        return stem_fail(STEM_EINVAL, "%s: the data is NULL", type);
    if (len > STEM_VALUE_MAX)
        return stem_fail(STEM_EINVAL, "%s: %zu bytes, and a value may have %d", type, len,
                         STEM_VALUE_MAX);
    return STEM_OK;
}

static int check(const stem_value *value)
{
    if (value->reserved != 0)
        return stem_fail(STEM_EINVAL, "the value's reserved member is not zero");
    switch (value->type) {
    case STEM_NIL:
    case STEM_BOOL:
    case STEM_INT:
    case STEM_UINT:
    case STEM_FLOAT:
        return STEM_OK;
    case STEM_STR:
        return check_bytes(value, value->as.str.data, value->as.str.len);
    case STEM_BIN:
        return check_bytes(value, value->as.bin.data, value->as.bin.len);
    case STEM_TIME:
        if (value->as.time.nanoseconds > STEM_NANOSECONDS_MAX)
            return stem_fail(STEM_EINVAL, "time: %u nanoseconds, and the most is %d",
                             (unsigned)value->as.time.nanoseconds, STEM_NANOSECONDS_MAX);
        return STEM_OK;
    case STEM_LIST:
    case STEM_MAP:
        return check_bytes(value, value->as.packed.data, value->as.packed.len);
    case STEM_EXT:
        if (value->as.ext.code < 0 || value->as.ext.code > STEM_EXT_CODE_MAX)
            return stem_fail(STEM_EINVAL, "ext: type code %d, not 0 to %d",
                             value->as.ext.code, STEM_EXT_CODE_MAX);
        return check_bytes(value, value->as.ext.data, value->as.ext.len);
    default:
        return stem_fail(STEM_EINVAL, "%d is no type of a value", value->type);
    }
}

/* The size of a scalar, or of a container's head; 0 after stem_fail. */
static size_t token_size(const stem_value *value)
{
    msgpack_packer packer;
    size_t size = 0;

    if (value->type == STEM_ARRAY)
        return stem_array_encoded_size(&value->as.array);
    if (check(value) != STEM_OK)
        return 0;
    msgpack_packer_init(&packer, &size, count_bytes);
    pack(&packer, value);
    return size;
}

/* The same for a whole container, whose bytes are the caller's and so are checked. */
static size_t packed_size(const stem_packed_view *packed)
{
    const unsigned char *start = packed->data;
    stem_tokens tokens;
    stem_value token;
    size_t total = 0;

    stem_tokens_start(&tokens, start, start + packed->len);
    while (!tokens.is_done) {
        size_t offset = (size_t)(tokens.next - start);
        const char *problem = stem_tokens_next(&tokens, &token);
        size_t size;

        if (problem) {
            stem_fail(STEM_EINVAL, "packed: at byte %zu %s", offset, problem);
            return 0;
        }
        size = token_size(&token);
        if (size == 0) {
            stem_fail(STEM_EINVAL, "packed: at byte %zu %s", offset, stem_errmsg());
            return 0;
        }
        total += size;
    }
    if (tokens.next != tokens.end) {
        stem_fail(STEM_EINVAL,
                  "packed: at byte %zu the value has ended, and more follows",
                  (size_t)(tokens.next - start));
        return 0;
    }
    return total;
}

static inline size_t int_size(int64_t x)
{
    if (x >= -32 && x <= INT8_MAX)
        return 1;
    if (x >= INT8_MIN && x <= UINT8_MAX)
        return 2;
    if (x >= INT16_MIN && x <= UINT16_MAX)
        return 3;
    return x >= INT32_MIN && x <= UINT32_MAX ? 5 : 9;
}

static inline void store_int(unsigned char *out, int64_t x)
{
    uint64_t bits = (uint64_t)x;
    unsigned char sign = x < 0 ? 4 : 0;

    switch (int_size(x)) {
    case 1:
        out[0] = (unsigned char)bits;
        break;
    case 2:
        out[0] = 0xCC + sign;
        out[1] = (unsigned char)bits;
        break;
    case 3:
        out[0] = 0xCD + sign;
        out[1] = (unsigned char)(bits >> 8);
        out[2] = (unsigned char)bits;
        break;
    case 5:
        out[0] = 0xCE + sign;
        bits = htobe32((uint32_t)bits);
        memcpy(out + 1, &bits, 4);
        break;
    default:
        out[0] = 0xCF + sign;
        bits = htobe64(bits);
        memcpy(out + 1, &bits, 8);
        break;
    }
}

static inline bool is_short_str(const stem_value *value)
{
    return value->type == STEM_STR && value->as.str.data &&
           value->as.str.len <= UINT8_MAX;
}

static inline void store_short_str(unsigned char *out, const stem_string *str)
{
    if (str->len <= 31) {
        *out++ = (unsigned char)(0xA0 | str->len);
    } else {
        *out++ = 0xD9;
        *out++ = (unsigned char)str->len;
    }
    memcpy(out, str->data, str->len);
}

static inline size_t short_str_size(const stem_value *value)
{
    return value->as.str.len + (value->as.str.len <= 31 ? 1 : 2);
}

size_t stem_value_encode_small(const stem_value *value,
                               unsigned char out[STEM_SMALL_ENCODED])
{
    if (value->reserved != 0)
        return 0;
    if (value->type == STEM_INT) {
        store_int(out, value->as.integer);
        return int_size(value->as.integer);
    }
    if (!is_short_str(value))
        return 0;
    store_short_str(out, &value->as.str);
    return short_str_size(value);
}

size_t stem_value_encoded_size(const stem_value *value)
{
    size_t size;

    if (value->reserved == 0) {
        if (value->type == STEM_INT)
            return int_size(value->as.integer);
        if (is_short_str(value))
            return short_str_size(value);
    }
    size = token_size(value);
    if (size > 0 && (value->type == STEM_LIST || value->type == STEM_MAP))
        size = packed_size(&value->as.packed);
    if (size > STEM_VALUE_MAX) {
        stem_fail(STEM_EINVAL, "%s: %zu bytes, and a value may have %d",
                  stem_type_name(value->type), size, STEM_VALUE_MAX);
        return 0;
    }
    return size;
}

/* What is written is compared with the bytes at `next`, for which `left` says how many there
 * are. */
typedef struct comparison {
    const unsigned char *next;
    size_t left;
    bool differs;
} comparison;

static int compare_bytes(void *context, const char *data, size_t len)
{
    comparison *with = context;

    if (len > with->left || (len > 0 && memcmp(with->next, data, len) != 0)) {
        with->differs = true;
        return 0;
    }
    with->next += len;
    with->left -= len;
    return 0;
}

static void compare_token(const stem_value *value, comparison *with)
{
    msgpack_packer packer;

    if (value->type == STEM_ARRAY) {
        unsigned char header[STEM_ARRAY_HEADER_MAX];
        size_t len = stem_array_header_size(value->as.array.ndim);

        stem_array_encode_header(&value->as.array, header);
        compare_bytes(with, (const char *)header, len);
        compare_bytes(with, value->as.array.data,
                      stem_array_encoded_size(&value->as.array) - len);
        return;
    }
    msgpack_packer_init(&packer, with, compare_bytes);
    pack(&packer, value);
}

const void *stem_value_encoded(const stem_value *value, size_t size)
{
    const stem_packed_view *packed = &value->as.packed;
    comparison with;
    stem_tokens tokens;
    stem_value token;

    if ((value->type != STEM_LIST && value->type != STEM_MAP) || packed->len != size)
        return NULL;
    with = (comparison){.next = packed->data, .left = packed->len};
    stem_tokens_start(&tokens, packed->data, with.next + packed->len);
    while (!tokens.is_done && !with.differs && !stem_tokens_next(&tokens, &token))
        compare_token(&token, &with);
    return with.differs ? NULL : packed->data;
}

static void encode_token(const stem_value *value, unsigned char **out)
{
    msgpack_packer packer;

    if (value->type == STEM_ARRAY) {
        stem_array_encode(&value->as.array, *out);
        *out += stem_array_encoded_size(&value->as.array);
        return;
    }
    msgpack_packer_init(&packer, out, append_bytes);
    pack(&packer, value);
}

void stem_value_encode(const stem_value *value, unsigned char *out)
{
    stem_tokens tokens;
    stem_value token;

    if (value->type == STEM_INT) {
        store_int(out, value->as.integer);
        return;
    }
    if (is_short_str(value)) {
        store_short_str(out, &value->as.str);
        return;
    }
    if (value->type != STEM_LIST && value->type != STEM_MAP) {
        encode_token(value, &out);
        return;
    }
    stem_tokens_start(&tokens, value->as.packed.data,
                      (const unsigned char *)value->as.packed.data +
                          value->as.packed.len);
    while (!tokens.is_done && !stem_tokens_next(&tokens, &token))
        encode_token(&token, &out);
}

void *stem_encode(const stem_value *value, size_t *len)
{
    void *buffer;
    size_t size;

    if (!value || !len) {
        stem_fail(STEM_EINVAL, "encode: %s is NULL", value ? "len" : "the value");
        return NULL;
    }
    size = stem_value_encoded_size(value);
    if (size == 0)
        return NULL;
    buffer = malloc(size);
    if (!buffer) {
        stem_fail(STEM_ENOMEM, "no memory to encode %zu bytes", size);
        return NULL;
    }
    stem_value_encode(value, buffer);
    *len = size;
    return buffer;
}
