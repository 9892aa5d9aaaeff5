/*
 * What is written and read; see workload.h. Everything lies in memory in the order of its
 * use, so that all sides of a comparison pay alike for fetching it.
 */
#include "workload.h"

#include <string.h>

#include "bench.h"
#include "stem.h"

enum { NAME_MIN = 8, NAME_MAX = 40, TEXT_MAX = 24, ENCODED_MAX = TEXT_MAX + 2 };

/* splitmix64: a bijection of 64-bit words that looks random. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static char letter(uint64_t bits)
{
    return "abcdefghijklmnopqrstuvwxyz234567"[bits % 32];
}

static void fill_letters(char *out, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++)
        out[i] = letter(mix(seed + i / 12) >> (i % 12 * 5));
}

/* A bijection of 40-bit words. */
static uint64_t mix40(uint64_t x)
{
    const uint64_t mask = (UINT64_C(1) << 40) - 1;

    x = x * UINT64_C(0x9E3779B97F) & mask;
    x ^= x >> 20;
    return x * UINT64_C(0xBF58476D1D) & mask;
}

/* A name that no other number gives: its first eight letters are a bijection of it. */
static size_t make_name(char *out, uint64_t number)
{
    uint64_t unique = mix40(number);
    size_t len = NAME_MIN + mix(number) % (NAME_MAX - NAME_MIN + 1);

    for (int i = 0; i < NAME_MIN; i++)
        out[i] = letter(unique >> (35 - 5 * i));
    fill_letters(out + NAME_MIN, len - NAME_MIN, mix(number * 2 + 1));
    out[len] = '\0';
    return len;
}

static void make_prefix(workload *load, size_t levels)
{
    static const char *const names[LEVELS_MAX] = {
        "entries", "second",  "third",  "fourth", "fifth",
        "sixth",   "seventh", "eighth", "ninth",  "tenth"};

    load->levels = levels;
    for (size_t i = 0; i < levels; i++) {
        load->level_names[i] = names[i];
        memcpy(load->prefix + load->prefix_len, names[i], strlen(names[i]) + 1);
        load->prefix_len += strlen(names[i]) + 1;
    }
}

/* Integers of every size, and strings of 1 to 24 bytes. */
static size_t make_value(entry *made, uint64_t number, char *text)
{
    uint64_t random = mix(number ^ UINT64_C(0x5555555555555555));

    if (number % 2 == 0) {
        uint64_t magnitude = random >> (1 + mix(random) % 63);

        made->integer = random & 1 ? -(int64_t)magnitude : (int64_t)magnitude;
        return 0;
    }
    made->text = text;
    made->text_len = 1 + (uint32_t)(random % TEXT_MAX);
    fill_letters(text, made->text_len, random);
    text[made->text_len] = '\0';
    return made->text_len + 1;
}

static uint32_t encode(const entry *made, char *out)
{
    stem_value value =
        made->text ? stem_strn(made->text, made->text_len) : stem_int(made->integer);
    size_t len;
    void *bytes = stem_encode(&value, &len);

    if (!bytes || len > ENCODED_MAX)
        bench_die("encode: %s", stem_errmsg());
    memcpy(out, bytes, len);
    stem_free(bytes);
    return (uint32_t)len;
}

workload *workload_make(size_t n, size_t levels)
{
    workload *load = bench_alloc(1, sizeof *load);

    load->n = n;
    make_prefix(load, levels);
    load->entries = bench_alloc(n, sizeof *load->entries);
    char *name = load->blocks[0] = bench_alloc(n, NAME_MAX + 1);
    char *text = load->blocks[1] = bench_alloc(n / 2 + 1, TEXT_MAX + 1);
    char *stored = load->blocks[2] = bench_alloc(n, load->prefix_len + NAME_MAX);
    char *encoded = load->blocks[3] = bench_alloc(n, ENCODED_MAX);

    for (size_t i = 0; i < n; i++) {
        entry *made = &load->entries[i];
        size_t name_len = make_name(name, i + 1);

        made->name = name;
        name += name_len + 1;
        text += make_value(made, i, text);
        made->stored = stored;
        made->stored_len = (uint32_t)(load->prefix_len + name_len);
        memcpy(stored, load->prefix, load->prefix_len);
        memcpy(stored + load->prefix_len, made->name, name_len);
        stored += made->stored_len;
        made->encoded = encoded;
        made->encoded_len = encode(made, encoded);
        encoded += made->encoded_len;

        load->integer_sum += (uint64_t)made->integer;
        load->text_bytes += made->text_len;
        load->stored_bytes += made->stored_len + made->encoded_len;
    }
    return load;
}

void workload_free(workload *load)
{
    for (size_t i = 0; i < sizeof load->blocks / sizeof *load->blocks; i++)
        stem_free(load->blocks[i]);
    stem_free(load->entries);
    stem_free(load);
}

void workload_array(const workload *load, size_t number, double elements[ARRAY_ELEMENTS])
{
    uint64_t seed = mix(number);
    int quarters = 80;

    for (size_t i = 0; i < ARRAY_ELEMENTS; i++) {
        uint64_t random = mix(seed + i);

        quarters += (int)(random % 3) - 1;
        elements[i] = load->has_dense_arrays ? (double)(random >> 11) : quarters / 4.0;
    }
    elements[0] = elements[ARRAY_ELEMENTS - 1] = (double)number;
}
