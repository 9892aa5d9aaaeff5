/*
 * Atomic operations on one key: each reads, decides, and commits on the expectation that the
 * key still holds the bytes that were read; when it does not, somebody else's commit landed in
 * between, and the operation starts again.
 */
#include <math.h>
#include <stdlib.h>

#include "db.h"
#include "error.h"
#include "value.h"

/* One attempt at an operation: the key, what it held, and what it shall hold. */
struct attempt {
    const stem_db *db;
    stem_key key;
    stem_read read; /* owned by the attempt; data is NULL when the key held nothing */
    unsigned char *bytes; /* of the new value: `small` or the heap */
    size_t size;
    unsigned char small[512];
};

/* ---- Steps of an attempt ---------------------------------------------------------- */

static int begin(struct attempt *attempt, const stem_db *db, const char *operation,
                 const char *name)
{
    int code = stem_db_check(db, operation);

    if (code != STEM_OK)
        return code;
    attempt->db = db;
    attempt->read = (stem_read){0};
    attempt->bytes = attempt->small;
    attempt->size = 0;
    if (db->is_read_only)
        code = stem_fail(STEM_EREADONLY, "the handle only reads");
    else
        code = stem_key_make(db, name, &attempt->key);
    return code == STEM_OK ? STEM_OK : stem_db_fail(db, code, operation, name);
}

static int finish(struct attempt *attempt, const char *operation, const char *name,
                  int code)
{
    free(attempt->read.data);
    if (attempt->bytes != attempt->small)
        free(attempt->bytes);
    stem_key_free(&attempt->key);
    return code < 0 ? stem_db_fail(attempt->db, code, operation, name) : code;
}

/* Reads the newest state, whatever was read before. */
static int read_current(struct attempt *attempt)
{
    stem_engine *engine = attempt->db->engine;

    free(attempt->read.data);
    attempt->read.data = NULL;
    return engine->ops->read(engine, NULL, &attempt->key.stored, 1, &attempt->read);
}

static int encode(struct attempt *attempt, const stem_value *value)
{
    size_t size = stem_value_encoded_size(value);

    if (size == 0)
        return stem_errcode();
    if (attempt->bytes != attempt->small)
        free(attempt->bytes);
    attempt->bytes = size <= sizeof attempt->small ? attempt->small : malloc(size);
    if (!attempt->bytes) {
        attempt->bytes = attempt->small;
        return stem_fail(STEM_ENOMEM, "no memory for a value of %zu bytes", size);
    }
    stem_value_encode(value, attempt->bytes);
    attempt->size = size;
    return STEM_OK;
}

static int commit(const struct attempt *attempt, const stem_expectation *expectation,
                  bool is_delete)
{
    stem_engine *engine = attempt->db->engine;
    const stem_write write = {.key = attempt->key.stored,
                              .value = {(const char *)attempt->bytes, attempt->size},
                              .is_delete = is_delete};
    const stem_commit commit = {.writes = &write,
                                .n_writes = 1,
                                .expectations = expectation,
                                .n_expectations = 1,
                                .sync = attempt->db->sync};
    size_t failed;

    return engine->ops->commit(engine, &commit, &failed);
}

/* Commits what was encoded, or a deletion, if the key is still as it was read. */
static int commit_if_unchanged(const struct attempt *attempt, bool is_delete)
{
    const stem_expectation unchanged = {
        .kind = attempt->read.data ? STEM_EXPECT_EQUAL : STEM_EXPECT_ABSENT,
        .key = attempt->key.stored,
        .value = {attempt->read.data, attempt->read.len},
        .stamp = attempt->read.stamp,
    };

    return commit(attempt, &unchanged, is_delete);
}

/* What was read as a value that borrows from it. */
static int decode_current(const struct attempt *attempt, stem_value *value)
{
    bool needs_copy;

    /* The engine's buffer is aligned, and so is an array of Stem's own form in it. */
    int code =
        stem_value_decode(attempt->read.data, attempt->read.len, value, &needs_copy);
    if (code == STEM_OK && needs_copy)
        code = stem_decode(attempt->read.data, attempt->read.len, value);
    return code;
}

/* ---- Insert, replace, get or put, compare and set --------------------------------- */

static int insert_encoded(const struct attempt *attempt)
{
    const stem_expectation absent = {.kind = STEM_EXPECT_ABSENT,
                                     .key = attempt->key.stored};

    return commit(attempt, &absent, false);
}

int stem_insert_value(stem_db *db, const char *key, stem_value value)
{
    struct attempt attempt;
    int code = begin(&attempt, db, "insert", key);

    if (code != STEM_OK)
        return code;
    code = encode(&attempt, &value);
    if (code == STEM_OK)
        code = insert_encoded(&attempt);
    return finish(&attempt, "insert", key, code == STEM_CONFLICT ? STEM_EXISTS : code);
}

int stem_replace_value(stem_db *db, const char *key, stem_value value)
{
    struct attempt attempt;
    int code = begin(&attempt, db, "replace", key);

    if (code != STEM_OK)
        return code;
    code = encode(&attempt, &value);
    if (code == STEM_OK)
        do {
            code = read_current(&attempt);
            if (code == STEM_OK)
                code = attempt.read.data ? commit_if_unchanged(&attempt, false)
                                         : STEM_NOTFOUND;
        } while (code == STEM_CONFLICT);
    return finish(&attempt, "replace", key, code);
}

/* Makes what the caller gets before anything is stored, so that nothing is stored when it
 * cannot be made. */
static int get_or_put_once(struct attempt *attempt, stem_value *now)
{
    stem_value made = stem_nil();

    int code = read_current(attempt);
    if (code == STEM_OK && now)
        code = attempt->read.data
                   ? stem_value_copy(attempt->read.data, attempt->read.len, &made)
                   : stem_value_copy(attempt->bytes, attempt->size, &made);
    if (code == STEM_OK && !attempt->read.data)
        code = insert_encoded(attempt);
    if (stem_is_applied(code) && now)
        *now = made;
    else
        stem_value_free(&made);
    return code;
}

int stem_get_or_put_value(stem_db *db, const char *key, stem_value value, stem_value *now)
{
    struct attempt attempt;
    int code = begin(&attempt, db, "get or put", key);

    if (code != STEM_OK)
        return code;
    code = encode(&attempt, &value);
    if (code == STEM_OK)
        do
            code = get_or_put_once(&attempt, now);
        while (code == STEM_CONFLICT);
    return finish(&attempt, "get or put", key, code);
}

int stem_cas_value(stem_db *db, const char *key, stem_value expected, stem_value desired)
{
    struct attempt attempt;
    size_t len;
    int code = begin(&attempt, db, "cas", key);

    if (code != STEM_OK)
        return code;
    char *bytes = stem_encode(&expected, &len);
    code = bytes ? encode(&attempt, &desired) : stem_errcode();
    if (code == STEM_OK) {
        const stem_expectation equal = {
            .kind = STEM_EXPECT_EQUAL, .key = attempt.key.stored, .value = {bytes, len}};

        code = commit(&attempt, &equal, false);
    }
    free(bytes);
    return finish(&attempt, "cas", key, code);
}

/* ---- Counters --------------------------------------------------------------------- */

/* The sum of what was read, or of `initial`, and `delta`. */
static int add(const struct attempt *attempt, int64_t delta, int64_t initial,
               int64_t *sum)
{
    stem_value before = stem_int(initial);

    if (attempt->read.data) {
        int code = decode_current(attempt, &before);

        if (code != STEM_OK)
            return code;
        if (before.type != STEM_INT && before.type != STEM_UINT) {
            code = stem_fail(STEM_ETYPE, "the value is of type %s, not an integer",
                             stem_type_name(before.type));
            stem_value_free(&before);
            return code;
        }
    }
    bool overflows = before.type == STEM_UINT
                         ? __builtin_add_overflow(before.as.unsigned_, delta, sum)
                         : __builtin_add_overflow(before.as.integer, delta, sum);
    if (overflows)
        return stem_fail(STEM_ERANGE, "the sum with %lld does not fit int64_t",
                         (long long)delta);
    return STEM_OK;
}

int stem_incr(stem_db *db, const char *key, int64_t delta, int64_t initial, int64_t *now)
{
    struct attempt attempt;
    int64_t sum = 0;
    int code = begin(&attempt, db, "incr", key);

    if (code != STEM_OK)
        return code;
    do {
        code = read_current(&attempt);
        if (code == STEM_OK)
            code = add(&attempt, delta, initial, &sum);
        if (code == STEM_OK) {
            const stem_value value = stem_int(sum);

            code = encode(&attempt, &value);
        }
        if (code == STEM_OK)
            code = commit_if_unchanged(&attempt, false);
    } while (code == STEM_CONFLICT);
    if (stem_is_applied(code) && now)
        *now = sum;
    return finish(&attempt, "incr", key, code);
}

static int add_float(const struct attempt *attempt, double delta, double initial,
                     double *sum)
{
    double before = initial;

    if (attempt->read.data) {
        stem_value value;
        int code = decode_current(attempt, &value);

        if (code == STEM_OK) {
            code = stem_as_float(&value, &before);
            stem_value_free(&value);
        }
        if (code != STEM_OK)
            return code;
    }
    *sum = before + delta;
    if (!isfinite(*sum))
        return stem_fail(STEM_ERANGE, "the sum of %g and %g is not finite", before,
                         delta);
    return STEM_OK;
}

int stem_incr_float(stem_db *db, const char *key, double delta, double initial,
                    double *now)
{
    struct attempt attempt;
    double sum = 0;
    int code = begin(&attempt, db, "incr", key);

    if (code != STEM_OK)
        return code;
    do {
        code = read_current(&attempt);
        if (code == STEM_OK)
            code = add_float(&attempt, delta, initial, &sum);
        if (code == STEM_OK) {
            const stem_value value = stem_float(sum);

            code = encode(&attempt, &value);
        }
        if (code == STEM_OK)
            code = commit_if_unchanged(&attempt, false);
    } while (code == STEM_CONFLICT);
    if (stem_is_applied(code) && now)
        *now = sum;
    return finish(&attempt, "incr", key, code);
}

/* ---- Pop and update --------------------------------------------------------------- */

/* Reads the value, and takes it out only once the caller is sure to get it. */
static int pop_once(struct attempt *attempt, stem_value *value)
{
    stem_value popped;

    int code = read_current(attempt);
    if (code != STEM_OK)
        return code;
    if (!attempt->read.data)
        return STEM_NOTFOUND;
    code = stem_value_copy(attempt->read.data, attempt->read.len, &popped);
    if (code != STEM_OK)
        return code;
    code = commit_if_unchanged(attempt, true);
    if (stem_is_applied(code))
        *value = popped;
    else
        stem_value_free(&popped);
    return code;
}

int stem_pop(stem_db *db, const char *key, stem_value *value)
{
    struct attempt attempt;
    int code = begin(&attempt, db, "pop", key);

    if (code != STEM_OK)
        return code;
    if (!value)
        code = stem_fail(STEM_EINVAL, "the place for the value is NULL");
    else
        do
            code = pop_once(&attempt, value);
        while (code == STEM_CONFLICT);
    return finish(&attempt, "pop", key, code);
}

/* Asks the callback and does what it decides. */
static int update_once(struct attempt *attempt, stem_update_fn *update, void *context)
{
    stem_value current = stem_nil(), next = stem_nil();

    int code = read_current(attempt);
    if (code == STEM_OK && attempt->read.data)
        code = stem_value_copy(attempt->read.data, attempt->read.len, &current);
    if (code != STEM_OK)
        return code;
    /* A code that the callback sets tells that it left a text as well. */
    const int code_before = stem_errcode();
    stem_errcode_set(STEM_OK);
    int action = update(context, attempt->read.data ? &current : NULL, &next);
    const int code_within = stem_errcode();
    if (code_within == STEM_OK)
        stem_errcode_set(code_before);
    if (action == STEM_UPDATE_PUT) {
        code = encode(attempt, &next);
        if (code == STEM_OK)
            code = commit_if_unchanged(attempt, false);
    } else if (action == STEM_UPDATE_DELETE) {
        code = attempt->read.data ? commit_if_unchanged(attempt, true) : STEM_OK;
    } else if (action < 0) {
        code = code_within == action ? action : stem_fail(action, "the callback failed");
    } else if (action != STEM_UPDATE_KEEP) {
        code = stem_fail(STEM_EINVAL, "the callback answered %d, which is no action",
                         action);
    }
    stem_value_free(&current);
    return code;
}

int stem_update(stem_db *db, const char *key, stem_update_fn *update, void *context)
{
    struct attempt attempt;
    int code = begin(&attempt, db, "update", key);

    if (code != STEM_OK)
        return code;
    if (!update)
        code = stem_fail(STEM_EINVAL, "the callback is NULL");
    else
        do
            code = update_once(&attempt, update, context);
        while (code == STEM_CONFLICT);
    return finish(&attempt, "update", key, code);
}
