/*
 * How little memory a JSON document takes that is read entry by entry.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "stem.h"
#include "support.h"

/* A document of many entries, or of one list, that is made while it is read. */
typedef struct endless {
    size_t n, n_made;
    const char *pattern; /* of each, with its number; behind it a comma or `end` */
    const char *start, *end;
    char rest[128];
    size_t n_rest;
} endless;

static ptrdiff_t make_piece(void *context, void *buffer, size_t size)
{
    endless *from = context;
    char *out = buffer;
    size_t len = 0;

    if (from->n_made == 0 && from->start) {
        len = strlen(from->start);
        memcpy(out, from->start, len);
        from->start = NULL;
    }
    while (from->n_made < from->n && size - len > sizeof from->rest) {
        len += (size_t)snprintf(out + len, size - len, from->pattern, from->n_made);
        out[len++] = ',';
        if (++from->n_made == from->n)
            len += (size_t)sprintf(out + len - 1, "%s", from->end) - 1;
    }
    return (ptrdiff_t)len;
}

/* KiB. */
static long peak_memory(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

START_TEST(a_large_document_takes_little_memory)
{
    endless from = {.n = 1500000,
                    .pattern =
                        "\"u%07zu\":{\"name\":\"a user\",\"tags\":[1,2,3],\"n\":{}}",
                    .start = "{",
                    .end = "}"};
    long before = peak_memory();
    stem_json_reader *reader = stem_json_open(make_piece, &from, NULL, 0, 0);
    size_t n = 0;

    while (stem_json_next(reader))
        n++;
    assert_ok(stem_json_close(reader));
    ck_assert_uint_eq(n, 3 * from.n);
    if (!HAS_SANITIZER)
        ck_assert_int_lt(peak_memory() - before, 40 * 1024);
}
END_TEST

START_TEST(a_large_value_is_in_memory_once)
{
    enum { BYTES = 100 << 20 };
    endless from = {
        .n = BYTES / 32, .pattern = "\"%030zu\"", .start = "{\"list\":[", .end = "]}"};
    long before = peak_memory();
    stem_json_reader *reader = stem_json_open(make_piece, &from, NULL, 0, 0);

    ck_assert(stem_json_next(reader));
    ck_assert_uint_gt(stem_json_value(reader)->as.packed.len, from.n * 31);
    ck_assert(!stem_json_next(reader));
    assert_ok(stem_json_close(reader));
    if (!HAS_SANITIZER)
        ck_assert_int_lt(peak_memory() - before, BYTES / 1024 / 2 * 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_memory");
    TCase *memory = add_case(suite, "memory", 120);

    tcase_add_test(memory, a_large_document_takes_little_memory);
    tcase_add_test(memory, a_large_value_is_in_memory_once);
    return run_suite(suite);
}
