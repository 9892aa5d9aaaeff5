/*
 * Values by pointer, for languages that cannot pass or return a struct with a union in it:
 * every call that takes a stem_value, and every constructor, once more. No call does anything
 * else than its namesake.
 */
#include "error.h"

/* ---- Constructors ----------------------------------------------------------------- */

static int set(stem_value *out, stem_value made)
{
    if (!out)
        return stem_fail(STEM_EINVAL, "set: the place for the value is NULL");
    *out = made;
    return STEM_OK;
}

int stem_set_nil(stem_value *out)
{
    return set(out, stem_nil());
}

int stem_set_bool(stem_value *out, int x)
{
    return set(out, stem_bool(x != 0));
}

int stem_set_int(stem_value *out, int64_t x)
{
    return set(out, stem_int(x));
}

int stem_set_uint(stem_value *out, uint64_t x)
{
    return set(out, stem_uint(x));
}

int stem_set_float(stem_value *out, double x)
{
    return set(out, stem_float(x));
}

int stem_set_str(stem_value *out, const char *x)
{
    return set(out, stem_str(x));
}

int stem_set_strn(stem_value *out, const char *x, size_t len)
{
    return set(out, stem_strn(x, len));
}

int stem_set_bin(stem_value *out, const void *data, size_t len)
{
    return set(out, stem_bin(data, len));
}

int stem_set_time(stem_value *out, int64_t seconds, uint32_t nanoseconds)
{
    return set(out, stem_time(seconds, nanoseconds));
}

int stem_set_array(stem_value *out, int dtype, const void *data, int ndim,
                   const uint64_t *shape)
{
    return set(out, stem_array(dtype, data, ndim, shape));
}

int stem_set_vec(stem_value *out, int dtype, const void *data, uint64_t n)
{
    return set(out, stem_array1(dtype, data, n));
}

int stem_set_packed(stem_value *out, const void *data, size_t len)
{
    return set(out, stem_packed(data, len));
}

int stem_set_ext(stem_value *out, int code, const void *data, size_t len)
{
    return set(out, stem_ext(code, data, len));
}

/* ---- Storing ---------------------------------------------------------------------- */

static int check(const stem_value *value, const char *operation)
{
    return value ? STEM_OK : stem_fail(STEM_EINVAL, "%s: the value is NULL", operation);
}

int stem_put_ref(stem_db *db, const char *key, const stem_value *value)
{
    const int code = check(value, "put");

    return code == STEM_OK ? stem_put_value(db, key, *value) : code;
}

int stem_insert_ref(stem_db *db, const char *key, const stem_value *value)
{
    const int code = check(value, "insert");

    return code == STEM_OK ? stem_insert_value(db, key, *value) : code;
}

int stem_replace_ref(stem_db *db, const char *key, const stem_value *value)
{
    const int code = check(value, "replace");

    return code == STEM_OK ? stem_replace_value(db, key, *value) : code;
}

int stem_get_or_put_ref(stem_db *db, const char *key, const stem_value *value,
                        stem_value *now)
{
    const int code = check(value, "get or put");

    return code == STEM_OK ? stem_get_or_put_value(db, key, *value, now) : code;
}

int stem_cas_ref(stem_db *db, const char *key, const stem_value *expected,
                 const stem_value *desired)
{
    int code = check(expected, "cas");

    if (code == STEM_OK)
        code = check(desired, "cas");
    return code == STEM_OK ? stem_cas_value(db, key, *expected, *desired) : code;
}

int stem_batch_put_ref(stem_batch *batch, stem_db *db, const char *key,
                       const stem_value *value)
{
    const int code = check(value, "batch");

    return code == STEM_OK ? stem_batch_put_value(batch, db, key, *value) : code;
}

int stem_batch_expect_ref(stem_batch *batch, stem_db *db, const char *key,
                          const stem_value *value)
{
    const int code = check(value, "batch");

    return code == STEM_OK ? stem_batch_expect_value(batch, db, key, *value) : code;
}
