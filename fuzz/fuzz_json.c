/*
 * Reads arbitrary bytes as JSON, as a document in pieces, and as a stored value: whatever is
 * read as a value is written as JSON that reads back as the same value, indented or not, and
 * plain if that can say it; the entries of a document are the same whatever its pieces are.
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

static void require_same(const stem_value *left, const stem_value *right)
{
    size_t left_len;
    size_t right_len;
    void *left_bytes = stem_encode(left, &left_len);
    void *right_bytes = stem_encode(right, &right_len);

    /* An ext code that is read and not put has no encoding on either side. */
    require(!left_bytes == !right_bytes);
    if (left_bytes)
        require(left_len == right_len && memcmp(left_bytes, right_bytes, left_len) == 0);
    stem_free(left_bytes);
    stem_free(right_bytes);
}

static void round_trip(const stem_value *value, int flags)
{
    char *text = stem_json_format(value, flags);
    stem_value again;

    if (!text && (flags & STEM_JSON_PLAIN) && stem_errcode() == STEM_ETYPE)
        return;
    require(text != NULL);
    require(stem_json_valid(text, strlen(text)));
    require(stem_json_parse_flags(text, strlen(text), flags & STEM_JSON_PLAIN, &again) ==
            STEM_OK);
    require_same(value, &again);
    stem_value_free(&again);
    stem_free(text);
}

static void round_trips(stem_value *value)
{
    round_trip(value, 0);
    round_trip(value, STEM_JSON_PRETTY);
    round_trip(value, STEM_JSON_PLAIN);
    stem_value_free(value);
}

typedef struct pieces {
    const unsigned char *data;
    size_t len;
    size_t most; /* bytes of a piece */
} pieces;

static ptrdiff_t read_piece(void *context, void *buffer, size_t size)
{
    pieces *from = context;
    size_t n = from->len < from->most ? from->len : from->most;

    n = n < size ? n : size;
    if (n > 0)
        memcpy(buffer, from->data, n);
    from->data += n;
    from->len -= n;
    return (ptrdiff_t)n;
}

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const unsigned char *)data)[i]) * UINT64_C(0x100000001B3);
    return hash;
}

/* A hash of all entries and of the error at their end. */
static uint64_t hash_entries(const unsigned char *data, size_t size, size_t most,
                             int flags)
{
    pieces from = {data, size, most};
    stem_json_reader *reader = stem_json_open(read_piece, &from, NULL, 0, flags);
    uint64_t hash = 0;

    require(reader != NULL);
    while (stem_json_next(reader)) {
        size_t n;
        const char *const *names = stem_json_path(reader, &n);
        size_t len;
        char *path = stem_path_format(names, n);
        void *bytes = stem_encode(stem_json_value(reader), &len);

        require(n > 0 && path != NULL && bytes != NULL);
        hash = mix(mix(hash, path, strlen(path)), bytes, len);
        stem_free(path);
        stem_free(bytes);
    }
    if (stem_json_close(reader) != STEM_OK)
        hash = mix(hash, stem_errmsg(), strlen(stem_errmsg()));
    return hash;
}

static void read_document(const unsigned char *data, size_t size)
{
    static const int flags[] = {0, STEM_JSON_PLAIN, STEM_JSON_FLAT};

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        uint64_t hash = hash_entries(data, size, SIZE_MAX, flags[i]);

        require(hash_entries(data, size, 1, flags[i]) == hash);
        require(hash_entries(data, size, 1 + size / 3, flags[i]) == hash);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    stem_value value;

    if (!data)
        return 0;
    if (stem_json_parse((const char *)data, size, &value) == STEM_OK) {
        require(stem_json_valid((const char *)data, size));
        round_trips(&value);
    } else {
        require(stem_errcode() == STEM_EINVAL);
    }
    read_document(data, size);
    if (stem_decode(data, size, &value) == STEM_OK)
        round_trips(&value);
    return 0;
}
