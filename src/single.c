/*
 * Reading and writing single keys through a handle.
 *
 * The common case (a path up to 512 bytes, a scalar or a short string) lives on the stack:
 * a put allocates nothing here, and a get only what the engine hands out.
 */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "db.h"
#include "error.h"
#include "msgpack_bytes.h"
#include "value.h"

/* ---- Writing ---------------------------------------------------------------------- */

static int check_writable(const stem_db *db)
{
    return db->is_read_only ? stem_fail(STEM_EREADONLY, "the handle only reads")
                            : STEM_OK;
}

static int commit_one(const stem_db *db, const stem_write *write)
{
    const stem_commit commit = {.writes = write, .n_writes = 1, .sync = db->sync};
    size_t failed;

    return db->engine->ops->commit(db->engine, &commit, &failed);
}

static int put_bytes(const stem_db *db, stem_slice key, const void *bytes, size_t size)
{
    const stem_write write = {.key = key, .value = {bytes, size}};

    return commit_one(db, &write);
}

/* Writes a value of that size from memory of its own, unless it lies encoded as it is. */
static int put_large(const stem_db *db, stem_slice key, const stem_value *value,
                     size_t size)
{
    const void *encoded = stem_value_encoded(value, size);
    unsigned char *bytes;
    int code;

    if (encoded)
        return put_bytes(db, key, encoded, size);
    bytes = malloc(size);
    if (!bytes)
        return stem_fail(STEM_ENOMEM, "no memory for a value of %zu bytes", size);
    stem_value_encode(value, bytes);
    code = put_bytes(db, key, bytes, size);
    free(bytes);
    return code;
}

/* Encodes the value, on the stack when it is small, and writes it. */
static int put_encoded(const stem_db *db, stem_slice key, const stem_value *value)
{
    unsigned char small[512];
    size_t size = stem_value_encode_small(value, small);

    if (size > 0)
        return put_bytes(db, key, small, size);
    size = stem_value_encoded_size(value);
    if (size == 0)
        return stem_errcode();
    if (size > sizeof small)
        return put_large(db, key, value, size);
    stem_value_encode(value, small);
    return put_bytes(db, key, small, size);
}

int stem_put_value(stem_db *db, const char *key, stem_value value)
{
    stem_key stored;

    int code = stem_db_check(db, "put");
    if (code != STEM_OK)
        return code;
    code = check_writable(db);
    if (code == STEM_OK)
        code = stem_key_make(db, key, &stored);
    if (code == STEM_OK) {
        code = put_encoded(db, stored.stored, &value);
        stem_key_free(&stored);
    }
    return code == STEM_OK ? STEM_OK : stem_db_fail(db, code, "put", key);
}

int stem_del(stem_db *db, const char *key)
{
    stem_key stored;

    int code = stem_db_check(db, "del");
    if (code != STEM_OK)
        return code;
    code = check_writable(db);
    if (code == STEM_OK)
        code = stem_key_make(db, key, &stored);
    if (code == STEM_OK) {
        const stem_write write = {.key = stored.stored, .is_delete = true};

        code = commit_one(db, &write);
        stem_key_free(&stored);
    }
    return code == STEM_OK ? STEM_OK : stem_db_fail(db, code, "del", key);
}

/* ---- Reading ---------------------------------------------------------------------- */

/* The stored bytes of a key, owned by the caller. */
static inline int read_key(const stem_db *db, const char *key, stem_read *read)
{
    stem_key stored;

    int code = stem_key_make(db, key, &stored);
    if (code != STEM_OK)
        return code;
    code =
        db->engine->ops->read(db->engine, stem_db_snapshot(db), &stored.stored, 1, read);
    stem_key_free(&stored);
    return code == STEM_OK && !read->data ? STEM_NOTFOUND : code;
}

/* What every read begins with. */
static inline int begin(const stem_db *db, const char *operation, const char *key,
                        const void *out, stem_read *read)
{
    int code = stem_db_check(db, operation);

    if (code != STEM_OK)
        return code;
    code = out ? read_key(db, key, read)
               : stem_fail(STEM_EINVAL, "the place for the result is NULL");
    return code >= 0 ? code : stem_db_fail(db, code, operation, key);
}

/* What every read that found something ends with. */
static inline int end(const stem_db *db, const char *operation, const char *key, int code)
{
    return code >= 0 ? code : stem_db_fail(db, code, operation, key);
}

int stem_get(stem_db *db, const char *key, stem_value *value)
{
    stem_read read;
    int code = begin(db, "get", key, value, &read);

    if (code != STEM_OK)
        return code;
    return end(db, "get", key, stem_value_adopt(read.data, read.len, value));
}

int stem_has(stem_db *db, const char *key)
{
    stem_read read;
    int code = begin(db, "has", key, &read, &read);

    if (code == STEM_OK)
        free(read.data);
    return code;
}

int stem_type(stem_db *db, const char *key, int *type)
{
    stem_read read;
    int code = begin(db, "type", key, type, &read);

    if (code != STEM_OK)
        return code;
    code = stem_value_peek_type(read.data, read.len, type);
    free(read.data);
    return end(db, "type", key, code);
}

/* Reads a value that is not kept: a scalar to be converted. */
static int get_scalar(const stem_db *db, const char *key, const void *out,
                      stem_value *value)
{
    stem_read read;
    bool needs_copy;
    int code = begin(db, "get", key, out, &read);

    if (code != STEM_OK)
        return code;
    code = stem_value_decode(read.data, read.len, value, &needs_copy);
    free(read.data);
    return end(db, "get", key, code);
}

int stem_get_int(stem_db *db, const char *key, int64_t *out)
{
    stem_value value;
    int code = get_scalar(db, key, out, &value);

    return code == STEM_OK ? end(db, "get", key, stem_as_int(&value, out)) : code;
}

int stem_get_uint(stem_db *db, const char *key, uint64_t *out)
{
    stem_value value;
    int code = get_scalar(db, key, out, &value);

    return code == STEM_OK ? end(db, "get", key, stem_as_uint(&value, out)) : code;
}

int stem_get_float(stem_db *db, const char *key, double *out)
{
    stem_value value;
    int code = get_scalar(db, key, out, &value);

    return code == STEM_OK ? end(db, "get", key, stem_as_float(&value, out)) : code;
}

int stem_get_bool(stem_db *db, const char *key, bool *out)
{
    stem_value value;
    int code = get_scalar(db, key, out, &value);

    return code == STEM_OK ? end(db, "get", key, stem_as_bool(&value, out)) : code;
}

static int fail_type(const stem_value *value, int wanted)
{
    return stem_fail(STEM_ETYPE, "the value is of type %s, not %s",
                     stem_type_name(value->type), stem_type_name(wanted));
}

int stem_get_time(stem_db *db, const char *key, stem_timestamp *out)
{
    stem_value value;
    int code = get_scalar(db, key, out, &value);

    if (code != STEM_OK)
        return code;
    if (value.type != STEM_TIME)
        return end(db, "get", key, fail_type(&value, STEM_TIME));
    *out = value.as.time;
    return STEM_OK;
}

/* Reads a value of one type, which owns its buffer. */
static int get_owned(const stem_db *db, const char *key, const void *out, int type,
                     stem_value *value)
{
    stem_read read;
    int code = begin(db, "get", key, out, &read);

    if (code != STEM_OK)
        return code;
    code = stem_value_adopt(read.data, read.len, value);
    if (code == STEM_OK && value->type != type) {
        code = fail_type(value, type);
        stem_value_free(value);
    }
    return end(db, "get", key, code);
}

int stem_get_str(stem_db *db, const char *key, char **out, size_t *len)
{
    stem_value value;
    int code = get_owned(db, key, out, STEM_STR, &value);

    if (code != STEM_OK)
        return code;
    if (!len && memchr(value.as.str.data, '\0', value.as.str.len)) {
        stem_value_free(&value);
        return end(db, "get", key,
                   stem_fail(STEM_ERANGE, "the string holds a NUL: ask for its length"));
    }
    if (len)
        *len = value.as.str.len;
    *out = value.owned;
    return STEM_OK;
}

int stem_get_bin(stem_db *db, const char *key, void **out, size_t *len)
{
    stem_value value;
    int code = get_owned(db, key, len ? out : NULL, STEM_BIN, &value);

    if (code != STEM_OK)
        return code;
    /* The caller frees what it is given, so the bytes go to where the buffer starts. */
    memmove(value.owned, value.as.bin.data, value.as.bin.len);
    *len = value.as.bin.len;
    *out = value.owned;
    return STEM_OK;
}

/* Whether the bytes are an array of that element type in Stem's own form: then it is decoded
 * where the result goes, as there is nothing else to look at. */
static bool read_wanted_array(const stem_read *read, int dtype, stem_value *out)
{
    const unsigned char *bytes = (const unsigned char *)read->data;

    return read->len > STEM_ARRAY_DTYPE_AT &&
           (dtype == STEM_ANY || dtype == bytes[STEM_ARRAY_DTYPE_AT]) &&
           stem_read_plain_array(bytes, read->len, out);
}

int stem_get_array(stem_db *db, const char *key, int dtype, stem_value *out)
{
    stem_value stored, array;
    stem_read read;
    int code = begin(db, "get", key, out, &read);

    if (code != STEM_OK)
        return code;
    if (read_wanted_array(&read, dtype, out)) {
        out->owned = read.data;
        return STEM_OK;
    }
    code = stem_value_adopt(read.data, read.len, &stored);
    if (code != STEM_OK)
        return end(db, "get", key, code);
    code = stem_as_array(&stored, dtype, &array);
    if (code == STEM_OK && stored.type == STEM_ARRAY)
        array = stored; /* what it would borrow, owned */
    else
        stem_value_free(&stored);
    if (code == STEM_OK)
        *out = array;
    return end(db, "get", key, code);
}

/* ---- With a fallback -------------------------------------------------------------- */

int64_t stem_get_int_or(stem_db *db, const char *key, int64_t fallback)
{
    stem_errcode_set(stem_get_int(db, key, &fallback));
    return fallback;
}

uint64_t stem_get_uint_or(stem_db *db, const char *key, uint64_t fallback)
{
    stem_errcode_set(stem_get_uint(db, key, &fallback));
    return fallback;
}

double stem_get_float_or(stem_db *db, const char *key, double fallback)
{
    stem_errcode_set(stem_get_float(db, key, &fallback));
    return fallback;
}

bool stem_get_bool_or(stem_db *db, const char *key, bool fallback)
{
    stem_errcode_set(stem_get_bool(db, key, &fallback));
    return fallback;
}

char *stem_get_str_or(stem_db *db, const char *key, const char *fallback)
{
    char *text = NULL;
    int code = stem_get_str(db, key, &text, NULL);

    if (code != STEM_OK && fallback) {
        text = strdup(fallback);
        if (!text)
            code = stem_fail_at(stem_fail(STEM_ENOMEM, "no memory for the fallback"),
                                "get", key);
    }
    stem_errcode_set(code);
    return text;
}
