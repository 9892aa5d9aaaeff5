/*
 * A pattern and a text, with a NUL between them: they match as trying every way says,
 * where they are short enough to try, and every match begins with the pattern's prefix.
 */
#include <stdlib.h>
#include <string.h>

#include "../tests/pattern_oracle.h"
#include "net/pattern.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* The program ends where a promise is broken, and the fuzzer keeps the input. */
static void require(int holds)
{
    if (!holds)
        abort();
}

/* In memory of exactly that size. */
static stem_slice copy(const unsigned char *data, size_t len)
{
    char *bytes = malloc(len);

    require(len == 0 || bytes != NULL);
    if (len > 0)
        memcpy(bytes, data, len);
    return (stem_slice){bytes, len};
}

static bool is_short(stem_slice pattern, stem_slice text)
{
    size_t n_stars = 0;

    for (size_t i = 0; i < pattern.len; i++)
        n_stars += pattern.data[i] == '*';
    return n_stars <= 4 && text.len <= 24;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const unsigned char *nul = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t len = nul ? (size_t)(nul - data) : size;
    stem_slice pattern_text = copy(data, len);
    stem_slice text = nul ? copy(nul + 1, size - len - 1) : copy(data, len);
    stem_pattern *pattern = stem_pattern_make(pattern_text);

    require(!pattern == (len > STEM_PATTERN_MAX));
    if (pattern) {
        const bool is_match = stem_pattern_matches(pattern, text);
        const stem_slice prefix = stem_pattern_prefix(pattern);

        if (is_short(pattern_text, text))
            require(is_match == oracle_matches(pattern_text.data, pattern_text.len,
                                               text.data, text.len));
        if (is_match && prefix.len > 0)
            require(text.len >= prefix.len &&
                    memcmp(text.data, prefix.data, prefix.len) == 0);
    }
    free(pattern);
    free((char *)text.data);
    free((char *)pattern_text.data);
    return 0;
}
