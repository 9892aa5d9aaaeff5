/*
 * Reads arbitrary bytes as a value, walks it, converts it, and encodes it again: whatever
 * is read must have a canonical encoding that reads and encodes to itself.
 */
#include <stdlib.h>
#include <string.h>

#include <stem.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* The program ends where a promise is broken, and the fuzzer keeps the input. */
static void require(int holds)
{
    if (!holds)
        abort();
}

static void touch(const void *data, size_t len)
{
    static volatile unsigned char sink;
    const unsigned char *bytes = data;

    for (size_t i = 0; i < len; i++)
        sink = (unsigned char)(sink ^ bytes[i]);
}

static void convert(const stem_value *value)
{
    int64_t integer;
    uint64_t natural;
    double real;
    bool boolean;
    stem_value array;

    if (stem_as_int(value, &integer) == STEM_OK && stem_as_float(value, &real) == STEM_OK)
        require((double)integer == real);
    if (stem_as_uint(value, &natural) == STEM_OK &&
        stem_as_int(value, &integer) == STEM_OK)
        require((uint64_t)integer == natural);
    stem_as_bool(value, &boolean);
    if (stem_as_array(value, STEM_ANY, &array) == STEM_OK) {
        const stem_array_view *view = &array.as.array;

        require((uintptr_t)view->shape % 8 == 0);
        touch(view->shape, (size_t)view->ndim * 8);
        touch(view->data, (size_t)view->count * stem_dtype_size(view->dtype));
        stem_value_free(&array);
    }
}

/* Recursion is as deep as decoding allows. */
static void walk(const stem_value *value)
{
    stem_cursor cursor;
    stem_value key;
    stem_value element;
    uint64_t steps = 0;

    convert(value);
    switch (value->type) {
    case STEM_STR:
        touch(value->as.str.data, value->as.str.len);
        break;
    case STEM_BIN:
        touch(value->as.bin.data, value->as.bin.len);
        break;
    case STEM_EXT:
        touch(value->as.ext.data, value->as.ext.len);
        break;
    case STEM_LIST:
    case STEM_MAP:
        require(stem_cursor_init(&cursor, value) == STEM_OK);
        key = stem_nil();
        while (stem_cursor_next(&cursor, &key, &element)) {
            walk(&key);
            walk(&element);
            stem_value_free(&key);
            stem_value_free(&element);
            steps++;
        }
        require(cursor.code == STEM_OK && steps == value->as.packed.count);
        break;
    default:
        break;
    }
}

/* The canonical encoding reads, and encodes to itself. */
static void round_trip(const stem_value *value)
{
    size_t len;
    size_t again_len;
    void *bytes = stem_encode(value, &len);
    void *again;
    stem_value read;

    if (!bytes) {
        /* An ext code that is read and not put. */
        require(stem_errcode() == STEM_EINVAL);
        return;
    }
    require(stem_decode(bytes, len, &read) == STEM_OK && read.type == value->type);
    again = stem_encode(&read, &again_len);
    require(again && again_len == len && memcmp(again, bytes, len) == 0);
    stem_value_free(&read);
    stem_free(again);
    stem_free(bytes);
}

/* The same bytes unchecked, as an application hands them over. */
static void put_packed(const unsigned char *data, size_t size, int is_sound)
{
    stem_value packed = stem_packed(data, size);
    stem_cursor cursor;
    stem_value element;
    size_t len;
    void *bytes = stem_encode(&packed, &len);

    require(is_sound || !bytes);
    stem_free(bytes);
    if (stem_cursor_init(&cursor, &packed) != STEM_OK)
        return;
    while (stem_cursor_next(&cursor, NULL, &element))
        stem_value_free(&element);
    require(!is_sound || cursor.code == STEM_OK);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    stem_value value;
    int is_sound;

    if (!data)
        return 0;
    is_sound = stem_decode(data, size, &value) == STEM_OK;
    if (is_sound) {
        walk(&value);
        round_trip(&value);
        stem_value_free(&value);
    } else {
        require(stem_errcode() == STEM_ECORRUPT);
    }
    put_packed(data, size, is_sound);
    return 0;
}
