/*
 * stem.h in C++: the same calls as in C11, as templates, and in C++20 the macros for options.
 */
#include <complex>
#include <cstdio>
#include <cstring>

#include <stem.h>

static int failures;

template <typename T> static void expect(stem_db *db, const char *what, T x, int type)
{
    int found = -1;

    if (stem_put(db, what, x) != STEM_OK || stem_type(db, what, &found) != STEM_OK ||
        found != type) {
        std::printf("%s becomes %s, not %s: %s\n", what, stem_type_name(found),
                    stem_type_name(type), stem_errmsg());
        failures++;
    }
}

template <typename T> static void expect_dtype(const char *what, int dtype)
{
    const T numbers[2] = {};
    stem_value value = stem_vec(numbers, 2);

    if (value.type != STEM_ARRAY || value.as.array.dtype != dtype ||
        value.as.array.count != 2) {
        std::printf("%s becomes %s, not %s\n", what,
                    stem_dtype_name(value.as.array.dtype), stem_dtype_name(dtype));
        failures++;
    }
}

static void scalars(stem_db *db)
{
    char buffer[] = "text";
    char *text = buffer;

    expect(db, "bool", true, STEM_BOOL);
    expect(db, "a comparison", db != nullptr, STEM_BOOL);
    expect(db, "char", 'x', STEM_INT);
    expect(db, "signed char", static_cast<signed char>(-1), STEM_INT);
    expect(db, "unsigned char", static_cast<unsigned char>(1), STEM_INT);
    expect(db, "short", static_cast<short>(-1), STEM_INT);
    expect(db, "unsigned short", static_cast<unsigned short>(1), STEM_INT);
    expect(db, "int", 7, STEM_INT);
    expect(db, "unsigned", 7U, STEM_INT);
    expect(db, "long", 7L, STEM_INT);
    expect(db, "unsigned long", 7UL, STEM_INT);
    expect(db, "long long", 7LL, STEM_INT);
    expect(db, "unsigned long long", ~0ULL, STEM_UINT);
    expect(db, "float", 0.5F, STEM_FLOAT);
    expect(db, "double", 0.5, STEM_FLOAT);
    expect(db, "a literal", "text", STEM_STR);
    expect(db, "char *", text, STEM_STR);
    expect(db, "a stem_value", stem_nil(), STEM_NIL);
}

static void arrays()
{
    expect_dtype<bool>("bool", STEM_B8);
    expect_dtype<signed char>("signed char", STEM_I8);
    expect_dtype<unsigned char>("unsigned char", STEM_U8);
    expect_dtype<short>("short", STEM_I16);
    expect_dtype<unsigned short>("unsigned short", STEM_U16);
    expect_dtype<int>("int", STEM_I32);
    expect_dtype<unsigned>("unsigned", STEM_U32);
    expect_dtype<std::int64_t>("int64_t", STEM_I64);
    expect_dtype<std::uint64_t>("uint64_t", STEM_U64);
    expect_dtype<long long>("long long", STEM_I64);
    expect_dtype<unsigned long long>("unsigned long long", STEM_U64);
    expect_dtype<float>("float", STEM_F32);
    expect_dtype<double>("double", STEM_F64);
    expect_dtype<std::complex<float>>("complex<float>", STEM_C64);
    expect_dtype<std::complex<double>>("complex<double>", STEM_C128);
}

#if __cplusplus >= 202002L
static void expect_ok(const char *what, int code)
{
    if (code != STEM_OK) {
        std::printf("%s: %s\n", what, stem_errmsg());
        failures++;
    }
}

/* One member, several, all in the order of their declaration, and none. */
static void options()
{
    const char *const listen[] = {"unix:/nonexistent/socket", nullptr};
    stem_db *db = nullptr;
    stem_entry *entries = nullptr;
    size_t n = 0;
    uint64_t count = 0;

    expect_ok("options", stem_open(&db, "mem:",
                                   STEM_OPTIONS(.sync = true, .must_be_new = true,
                                                .cache_bytes = 1 << 20)));
    expect_ok("put", stem_put(db, "b", 7));
    expect_ok("range", stem_count(db, STEM_RANGE(.gte = "a", .limit = 10), &count));
    expect_ok("bound", stem_pop_first(db, STEM_RANGE(.prefix = "b"), 1, &entries, &n));
    expect_ok("none", stem_clear(db, STEM_RANGE()));
    if (count != 1 || n != 1) {
        std::printf("the range spans %llu and %zu\n",
                    static_cast<unsigned long long>(count), n);
        failures++;
    }
    stem_entries_free(entries, n);

    stem_server *server = nullptr;
    const int code = stem_server_open(
        &server, db, STEM_SERVER_OPTIONS(.listen = listen, .max_clients = 3));
    if (code != STEM_EIO && code != STEM_ENOTSUP) {
        std::printf("served nowhere: %s\n", stem_strerror(code));
        failures++;
    }
    stem_close(db);
}
#endif

int main()
{
    stem_db *db = nullptr, *sub = nullptr;
    stem_options chosen = {};

    chosen.cache_bytes = 1 << 20;
    if (stem_open(&db, "mem:", &chosen) != STEM_OK ||
        (sub = stem_sub(db, "a", "b")) == nullptr) {
        std::printf("%s\n", stem_errmsg());
        return 1;
    }
    scalars(sub);
    arrays();
#if __cplusplus >= 202002L
    options();
#endif
    stem_close(sub);
    stem_close(db);
    return failures == 0 ? 0 : 1;
}
