/*
 * stem.h in strict C11: what each C type becomes, and that no argument is evaluated twice.
 */
#include <complex.h>
#include <stdio.h>
#include <string.h>

#include <stem.h>

static int failures;

static void expect(const char *what, stem_value value, int type)
{
    if (value.type != type) {
        printf("%s becomes %s, not %s\n", what, stem_type_name(value.type),
               stem_type_name(type));
        failures++;
    }
}

static void expect_dtype(const char *what, stem_value value, int dtype)
{
    expect(what, value, STEM_ARRAY);
    if (value.as.array.dtype != dtype) {
        printf("%s becomes %s, not %s\n", what, stem_dtype_name(value.as.array.dtype),
               stem_dtype_name(dtype));
        failures++;
    }
}

#define EXPECT(T, type) expect(#T, STEM_VALUE((T)1), type)
#define EXPECT_DTYPE(T, dtype)                                                           \
    do {                                                                                 \
        T numbers[2] = {0};                                                              \
        const T *constant = numbers;                                                     \
        expect_dtype(#T, stem_vec(numbers, 2), dtype);                                   \
        expect_dtype("const " #T, stem_vec(constant, 2), dtype);                         \
    } while (0)

static void scalars(void)
{
    char buffer[] = "text";
    const char *text = buffer;

    EXPECT(_Bool, STEM_BOOL);
    EXPECT(char, STEM_INT);
    EXPECT(signed char, STEM_INT);
    EXPECT(unsigned char, STEM_INT);
    EXPECT(short, STEM_INT);
    EXPECT(unsigned short, STEM_INT);
    EXPECT(int, STEM_INT);
    EXPECT(unsigned, STEM_INT);
    EXPECT(long, STEM_INT);
    EXPECT(unsigned long, STEM_INT);
    EXPECT(long long, STEM_INT);
    EXPECT(unsigned long long, STEM_INT);
    EXPECT(float, STEM_FLOAT);
    EXPECT(double, STEM_FLOAT);
    expect("UINT64_MAX", STEM_VALUE(UINT64_MAX), STEM_UINT);
    expect("a literal", STEM_VALUE("text"), STEM_STR);
    expect("char *", STEM_VALUE(buffer), STEM_STR);
    expect("const char *", STEM_VALUE(text), STEM_STR);
    expect("a comparison", STEM_VALUE(text != buffer), STEM_INT);
    expect("a stem_value", STEM_VALUE(stem_nil()), STEM_NIL);
}

static void arrays(void)
{
    EXPECT_DTYPE(_Bool, STEM_B8);
    EXPECT_DTYPE(signed char, STEM_I8);
    EXPECT_DTYPE(unsigned char, STEM_U8);
    EXPECT_DTYPE(short, STEM_I16);
    EXPECT_DTYPE(unsigned short, STEM_U16);
    EXPECT_DTYPE(int, STEM_I32);
    EXPECT_DTYPE(unsigned, STEM_U32);
    EXPECT_DTYPE(int64_t, STEM_I64);
    EXPECT_DTYPE(uint64_t, STEM_U64);
    EXPECT_DTYPE(long long, STEM_I64);
    EXPECT_DTYPE(unsigned long long, STEM_U64);
    EXPECT_DTYPE(float, STEM_F32);
    EXPECT_DTYPE(double, STEM_F64);
    EXPECT_DTYPE(float _Complex, STEM_C64);
    EXPECT_DTYPE(double _Complex, STEM_C128);
}

static void single_evaluation(void)
{
    const char *keys[] = {"a", "b"};
    const char *const *key = keys;
    stem_db *db = NULL;
    stem_db **handle = &db;
    int n = 1;
    bool is_right = stem_open(&db, "mem:", NULL) == STEM_OK &&
                    stem_put(*handle++, *key++, n++) == STEM_OK;

    if (!is_right || n != 2 || key != keys + 1 || handle != &db + 1) {
        puts("stem_put evaluates an argument other than once");
        failures++;
    }
    stem_close(db);
}

int main(void)
{
    scalars();
    arrays();
    single_evaluation();
    return failures == 0 ? 0 : 1;
}
