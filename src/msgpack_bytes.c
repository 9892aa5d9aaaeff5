/*
 * MessagePack's grammar. Nothing in the bytes is trusted: a token is measured against
 * what is left before any of it is used, a container's count as well, and nesting is
 * counted in a fixed stack instead of recursed into.
 */
#include "msgpack_bytes.h"

#include <endian.h>
#include <string.h>

#include "array.h"

/* What each head byte says of its token's size: the fixed part (the head, a length field,
 * an ext's type code, operands, the bytes of a short string), 0 for the byte that begins
 * nothing; and the width of the length field that tells the rest. */
#define X2(a) a, a
#define X4(a) X2(a), X2(a)
#define X16(a) X4(a), X4(a), X4(a), X4(a)
static const unsigned char fixed_size[256] = {
    /* 00 to 9F: small integers, small maps and small lists are their head alone. */
    X16(1), X16(1), X16(1), X16(1), X16(1), X16(1), X16(1), X16(1), X16(1), X16(1),
    /* A0 to BF: strings of 0 to 31 bytes. */
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
    25, 26, 27, 28, 29, 30, 31, 32,
    /* C0: nil, nothing, false, true; bin; ext; floats. */
    1, 0, 1, 1, 2, 3, 5, 3, 4, 6, 5, 9,
    /* CC: integers; fixed exts; str; list; map. */
    2, 3, 5, 9, 2, 3, 5, 9, 3, 4, 6, 10, 18, 2, 3, 5, 3, 5, 3, 5,
    /* E0 to FF: small negative integers. */
    X16(1), X16(1)};

static const unsigned char length_width[256] = {
    [0xC4] = 1, [0xC5] = 2, [0xC6] = 4, [0xC7] = 1, [0xC8] = 2,
    [0xC9] = 4, [0xD9] = 1, [0xDA] = 2, [0xDB] = 4};

static inline uint16_t load16(const unsigned char *p)
{
    uint16_t x;

    memcpy(&x, p, sizeof x);
    return be16toh(x);
}

static inline uint32_t load32(const unsigned char *p)
{
    uint32_t x;

    memcpy(&x, p, sizeof x);
    return be32toh(x);
}

static inline uint64_t load64(const unsigned char *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof x);
    return be64toh(x);
}

static uint32_t load_length(const unsigned char *p, unsigned width)
{
    return width == 1 ? p[0] : width == 2 ? load16(p) : load32(p);
}

/* The bytes of the token at `p`, all of which are there; 0 when they are not. */
static inline size_t token_size(const unsigned char *p, size_t left)
{
    size_t fixed;
    size_t rest = 0;

    if (left == 0)
        return 0;
    fixed = fixed_size[p[0]];
    if (fixed > left)
        return 0;
    if (length_width[p[0]] > 0)
        rest = load_length(p + 1, length_width[p[0]]);
    return rest <= left - fixed ? fixed + rest : 0;
}

/* Why token_size said 0. */
static const char *size_problem(const unsigned char *p, size_t left)
{
    if (left > 0 && fixed_size[p[0]] == 0)
        return "a byte that begins no value";
    return left == 0 ? "a value is missing" : "a value is cut short";
}

static inline void set_type(stem_value *out, int type)
{
    out->type = type;
    out->reserved = 0;
    out->owned = NULL;
}

static inline void set_int(stem_value *out, int64_t x)
{
    set_type(out, STEM_INT);
    out->as.integer = x;
}

static inline void set_uint(stem_value *out, uint64_t x)
{
    if (x <= INT64_MAX) {
        set_int(out, (int64_t)x);
    } else {
        set_type(out, STEM_UINT);
        out->as.unsigned_ = x;
    }
}

static inline void set_str(stem_value *out, const unsigned char *data, size_t len)
{
    set_type(out, STEM_STR);
    out->as.str.data = (const char *)data;
    out->as.str.len = len;
}

static inline void set_bin(stem_value *out, const unsigned char *data, size_t len)
{
    set_type(out, STEM_BIN);
    out->as.bin.data = data;
    out->as.bin.len = len;
}

static inline void set_container(stem_value *out, int type, const unsigned char *head,
                                 uint32_t count)
{
    set_type(out, type);
    out->as.packed.data = head;
    out->as.packed.len = 0;
    out->as.packed.count = count;
}

static inline void set_float(stem_value *out, double x)
{
    set_type(out, STEM_FLOAT);
    out->as.real = x;
}

static double load_f32(const unsigned char *p)
{
    uint32_t bits = load32(p);
    float x;

    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

static double load_f64(const unsigned char *p)
{
    uint64_t bits = load64(p);
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static const char *read_time(const unsigned char *data, size_t len, stem_value *out)
{
    stem_timestamp time;

    if (len == 4) {
        time.seconds = load32(data);
        time.nanoseconds = 0;
    } else if (len == 8) {
        time.seconds = (int64_t)(load64(data) & ((UINT64_C(1) << 34) - 1));
        time.nanoseconds = load32(data) >> 2;
    } else if (len == 12) {
        time.seconds = (int64_t)load64(data + 4);
        time.nanoseconds = load32(data);
    } else {
        return "a timestamp that is not 4, 8 or 12 bytes long";
    }
    if (time.nanoseconds > STEM_NANOSECONDS_MAX)
        return "a timestamp of more than 999999999 nanoseconds";
    set_type(out, STEM_TIME);
    out->as.time = time;
    return NULL;
}

/* Reads an ext by its type code and payload. */
static const char *read_ext(int code, const unsigned char *data, size_t len,
                            stem_value *out)
{
    if (code == STEM_TIME_EXT_CODE)
        return read_time(data, len, out);
    if (code == STEM_ARRAY_EXT_CODE) {
        const char *problem = stem_array_decode(data, len, &out->as.array);

        if (!problem)
            set_type(out, STEM_ARRAY);
        return problem;
    }
    set_type(out, STEM_EXT);
    out->as.ext.data = data;
    out->as.ext.len = len;
    out->as.ext.code = code;
    return NULL;
}

/* Fills `out` from the token at `p` when its head tells its size, and it is neither a
 * container nor an ext: `size` is then fixed_size of its head. */
static inline bool read_scalar(const unsigned char *p, size_t size, stem_value *out)
{
    unsigned char head = p[0];

    if (head <= 0x7F || head >= 0xE0) {
        set_int(out, (int8_t)head);
        return true;
    }
    if (head >= 0xA0 && head <= 0xBF) {
        set_str(out, p + 1, size - 1);
        return true;
    }
    switch (head) {
    case 0xC0:
        set_type(out, STEM_NIL);
        return true;
    case 0xC2:
    case 0xC3:
        set_type(out, STEM_BOOL);
        out->as.boolean = head == 0xC3;
        return true;
    case 0xCA:
        set_float(out, load_f32(p + 1));
        return true;
    case 0xCB:
        set_float(out, load_f64(p + 1));
        return true;
    case 0xCC:
        set_int(out, p[1]);
        return true;
    case 0xCD:
        set_int(out, load16(p + 1));
        return true;
    case 0xCE:
        set_int(out, load32(p + 1));
        return true;
    case 0xCF:
        set_uint(out, load64(p + 1));
        return true;
    case 0xD0:
        set_int(out, (int8_t)p[1]);
        return true;
    case 0xD1:
        set_int(out, (int16_t)load16(p + 1));
        return true;
    case 0xD2:
        set_int(out, (int32_t)load32(p + 1));
        return true;
    case 0xD3:
        set_int(out, (int64_t)load64(p + 1));
        return true;
    default:
        return false;
    }
}

/* Fills `out` from the token at `p`, whose `size` bytes token_size has seen to be there;
 * NULL, or what is wrong with it, and then `out` is as it was. */
static const char *read_token(const unsigned char *p, size_t size, stem_value *out)
{
    unsigned char head = p[0];
    size_t body = fixed_size[head];

    if (read_scalar(p, size, out))
        return NULL;
    if (head <= 0x9F) {
        set_container(out, head <= 0x8F ? STEM_MAP : STEM_LIST, p, head & 0x0F);
        return NULL;
    }
    switch (head) {
    case 0xC4:
    case 0xC5:
    case 0xC6:
        set_bin(out, p + body, size - body);
        return NULL;
    case 0xC7:
    case 0xC8:
    case 0xC9:
        return read_ext((int8_t)p[body - 1], p + body, size - body, out);
    case 0xD4:
    case 0xD5:
    case 0xD6:
    case 0xD7:
    case 0xD8:
        return read_ext((int8_t)p[1], p + 2, size - 2, out);
    case 0xD9:
    case 0xDA:
    case 0xDB:
        set_str(out, p + body, size - body);
        return NULL;
    case 0xDC:
    case 0xDE:
        set_container(out, head == 0xDC ? STEM_LIST : STEM_MAP, p, load16(p + 1));
        return NULL;
    default: /* DD and DF; token_size has refused C1 */
        set_container(out, head == 0xDD ? STEM_LIST : STEM_MAP, p, load32(p + 1));
        return NULL;
    }
}

const char *stem_tokens_next(stem_tokens *tokens, stem_value *token)
{
    const unsigned char *p = tokens->next;
    size_t size = token_size(p, (size_t)(tokens->end - p));
    const char *problem;

    if (size == 0)
        return size_problem(p, (size_t)(tokens->end - p));
    if ((problem = read_token(p, size, token)))
        return problem;
    if (token->type == STEM_LIST || token->type == STEM_MAP) {
        uint64_t values = (uint64_t)token->as.packed.count
                          << (token->type == STEM_MAP ? 1 : 0);

        /* A value takes a byte at least. */
        if (values > (size_t)(tokens->end - p) - size)
            return "a container claims more than there is";
        if (tokens->depth == STEM_DEPTH_MAX)
            return "nesting deeper than 128 levels";
        tokens->left[tokens->depth++] = values;
    }
    tokens->next = p + size;
    while (tokens->depth > 0 && tokens->left[tokens->depth - 1] == 0)
        tokens->depth--;
    if (tokens->depth == 0)
        tokens->is_done = true;
    else
        tokens->left[tokens->depth - 1]--;
    return NULL;
}

bool stem_read_common(const unsigned char *p, size_t len, stem_value *out)
{
    if (len == 0)
        return false;
    if (fixed_size[p[0]] == len)
        return read_scalar(p, len, out);
    if (p[0] == 0xD9 && len >= 2 && len == 2 + (size_t)p[1]) {
        set_str(out, p + 2, p[1]);
        return true;
    }
    return false;
}

bool stem_read_plain_array(const unsigned char *p, size_t len, stem_value *out)
{
    const size_t head = fixed_size[0xC9];

    if (len < head || p[0] != 0xC9 || p[head - 1] != STEM_ARRAY_EXT_CODE ||
        load32(p + 1) != len - head ||
        stem_array_decode(p + head, len - head, &out->as.array))
        return false;
    set_type(out, STEM_ARRAY);
    return true;
}
