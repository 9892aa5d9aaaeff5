/*
 * Reads arbitrary bytes as JSON, and as a stored value: whatever is read by either is
 * written as JSON that reads back as the same value, indented or not.
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

    require(text != NULL);
    require(stem_json_parse(text, strlen(text), &again) == STEM_OK);
    require_same(value, &again);
    stem_value_free(&again);
    stem_free(text);
}

static void round_trips(stem_value *value)
{
    round_trip(value, 0);
    round_trip(value, STEM_JSON_PRETTY);
    stem_value_free(value);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    stem_value value;

    if (!data)
        return 0;
    if (stem_json_parse((const char *)data, size, &value) == STEM_OK)
        round_trips(&value);
    else
        require(stem_errcode() == STEM_EINVAL);
    if (stem_decode(data, size, &value) == STEM_OK)
        round_trips(&value);
    return 0;
}
