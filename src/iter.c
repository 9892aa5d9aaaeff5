/*
 * Reading in order: iterators over what lies below a handle, and over the names one level down.
 *
 * The engine gives stored keys; here they lose the handle's prefix, values are decoded, and
 * whole sub-databases are stepped over with one seek where only one level is wanted. An entry
 * that cannot be decoded ends the walk: nothing doubtful is handed out. What the engine lends
 * is lent on where it can be: a walk copies long strings and arrays that are not aligned.
 */
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "error.h"
#include "msgpack_bytes.h"
#include "path.h"
#include "value.h"

enum { KEPT_INLINE = 256 };

struct stem_iter {
    stem_db *place;        /* a handle of its own: engine, snapshot and prefix */
    const char *operation; /* what it is part of, for the text of a failure */
    stem_engine_iter *entries;
    const stem_engine_ops *ops;
    bool is_reverse, keys_only, shallow, names_only;
    uint64_t left; /* entries that the limit leaves to be given */
    int code;      /* the first failure */

    /* The entry stepped to. */
    bool has_entry;
    int kind; /* STEM_HAS_VALUE, STEM_HAS_CHILDREN */
    const char
        *key; /* the path below the handle, a NUL behind it; the engine's, or `kept` */
    size_t key_len; /* without that NUL */
    stem_value value;
    const char **names; /* filled on demand by stem_iter_path */
    size_t names_room;

    /* Copies of what must outlive the engine's step. */
    char *kept; /* a key; `kept_inline` until it must be larger */
    size_t kept_room;
    char *held; /* the bytes of a value, or NULL */
    size_t held_room;

    /* Looked at already, to be given by the next step; lent by the engine. */
    bool has_ahead;
    stem_slice ahead_key, ahead_value;
    /* A name to pass over when it is met exactly: see seek_names. */
    char *passed;

    char kept_inline[KEPT_INLINE];
};

/* ---- Opening and closing ---------------------------------------------------------- */

static void free_iter(stem_iter *iter)
{
    if (iter->entries && !stem_engine_is_inherited(iter->place->engine))
        iter->ops->iter_close(iter->entries);
    stem_db_release(iter->place);
    stem_value_free(&iter->value);
    if (iter->kept != iter->kept_inline)
        free(iter->kept);
    free(iter->held);
    free(iter->names);
    free(iter->passed);
    free(iter);
}

static stem_iter *open_iter(stem_db *db, const stem_range *range, bool names_only,
                            const char *operation)
{
    stem_span span;
    stem_iter *iter;

    if (stem_db_check(db, operation) != STEM_OK)
        return NULL;
    int code = stem_span_make(db, range, names_only, &span);
    if (code != STEM_OK) {
        stem_db_fail(db, code, operation, NULL);
        return NULL;
    }
    iter = calloc(1, sizeof *iter);
    if (!iter || !(iter->place = stem_dup(db))) {
        free(iter);
        free(span.buffer);
        stem_db_fail(db, stem_fail(STEM_ENOMEM, "no memory for an iterator"), operation,
                     NULL);
        return NULL;
    }
    iter->operation = operation;
    iter->ops = db->engine->ops;
    iter->kept = iter->kept_inline;
    iter->kept_room = sizeof iter->kept_inline;
    iter->left = UINT64_MAX;
    iter->names_only = names_only;
    if (range) {
        iter->is_reverse = range->reverse;
        iter->keys_only = range->keys_only;
        iter->shallow = range->shallow;
        if (range->limit != 0)
            iter->left = range->limit;
    }
    code = iter->ops->iter_open(db->engine, stem_db_snapshot(db), &span.range,
                                iter->is_reverse, &iter->entries);
    free(span.buffer);
    if (code != STEM_OK) {
        stem_db_fail(db, code, operation, NULL);
        free_iter(iter);
        return NULL;
    }
    return iter;
}

stem_iter *stem_iter_open_for(stem_db *db, const stem_range *range, const char *operation)
{
    return open_iter(db, range, false, operation);
}

stem_iter *stem_iter_open(stem_db *db, const stem_range *range)
{
    return stem_iter_open_for(db, range, "iterate");
}

stem_iter *stem_children(stem_db *db, const stem_range *range)
{
    return open_iter(db, range, true, "children");
}

int stem_iter_close(stem_iter *iter)
{
    if (!iter)
        return stem_errcode();
    int code = iter->code;
    free_iter(iter);
    return code;
}

/* ---- Stepping --------------------------------------------------------------------- */

/* Keeps the first failure, with its text, for stem_iter_close. */
static bool stop(stem_iter *iter, int code)
{
    iter->has_entry = false;
    if (code < 0 && iter->code == STEM_OK)
        iter->code = stem_db_fail(iter->place, code, iter->operation, NULL);
    return false;
}

/* The same for the value of the key stepped to, which the text names. */
static int fail_value(stem_iter *iter, int code)
{
    iter->code =
        stem_db_fail_below(iter->place, code, iter->operation, iter->key, iter->key_len);
    return code;
}

/* The next entry of the engine's, its key without the handle's prefix. */
static inline int next_stored(stem_iter *iter, stem_slice *key, stem_slice *value)
{
    if (iter->has_ahead) {
        iter->has_ahead = false;
        *key = iter->ahead_key;
        *value = iter->ahead_value;
        return STEM_OK;
    }
    int code = iter->ops->iter_next(iter->entries, key, iter->keys_only ? NULL : value);
    if (code == STEM_OK) {
        key->data += iter->place->prefix_len;
        key->len -= iter->place->prefix_len;
    }
    return code;
}

static int next_look_ahead(stem_iter *iter)
{
    int code = next_stored(iter, &iter->ahead_key, &iter->ahead_value);

    iter->has_ahead = code == STEM_OK;
    return code;
}

/* Copies the first `len` bytes of a key to where they outlive the engine's step. */
static int keep_key(stem_iter *iter, stem_slice key, size_t len)
{
    if (len + 1 > iter->kept_room) {
        size_t room = 2 * (len + 1);
        char *larger = malloc(room);

        if (!larger)
            return stem_fail(STEM_ENOMEM, "no memory for a key of %zu bytes", len);
        if (iter->kept != iter->kept_inline)
            free(iter->kept);
        iter->kept = larger;
        iter->kept_room = room;
    }
    memcpy(iter->kept, key.data, len);
    iter->kept[len] = '\0';
    iter->key = iter->kept;
    iter->key_len = len;
    return STEM_OK;
}

/* Copies a value's bytes, and a NUL behind them, to where they stay until the next step. */
static int hold_value(stem_iter *iter, stem_slice *bytes)
{
    if (bytes->len + 1 > iter->held_room) {
        size_t room = bytes->len + bytes->len / 2 + 64;
        char *larger = malloc(room);

        if (!larger)
            return stem_fail(STEM_ENOMEM, "no memory for a value of %zu bytes",
                             bytes->len);
        free(iter->held);
        iter->held = larger;
        iter->held_room = room;
    }
    if (bytes->data != iter->held)
        memcpy(iter->held, bytes->data, bytes->len);
    iter->held[bytes->len] = '\0';
    bytes->data = iter->held;
    return STEM_OK;
}

/* Decodes once more, from a copy: a string that must end in a NUL, or an array that is not
 * aligned, which the copy is unless its header is not of Stem's own form. */
static int read_held(stem_iter *iter, stem_slice bytes)
{
    bool needs_copy;
    int code = hold_value(iter, &bytes);

    if (code == STEM_OK)
        code = stem_value_decode(bytes.data, bytes.len, &iter->value, &needs_copy);
    if (code == STEM_OK && needs_copy)
        code = stem_decode(bytes.data, bytes.len, &iter->value);
    return code;
}

/* Decodes into iter->value where the bytes lie, if that can be lent. */
static int read_value(stem_iter *iter, stem_slice bytes)
{
    bool needs_copy;

    if (iter->value.owned)
        stem_value_free(&iter->value);
    if (bytes.len <= STEM_SHORT_VALUE &&
        stem_read_common((const unsigned char *)bytes.data, bytes.len, &iter->value))
        return STEM_OK;
    int code = stem_value_decode(bytes.data, bytes.len, &iter->value, &needs_copy);
    needs_copy |= iter->value.type == STEM_STR && bytes.len > STEM_SHORT_VALUE &&
                  bytes.data != iter->held;
    if (code == STEM_OK && needs_copy)
        code = read_held(iter, bytes);
    if (code == STEM_OK)
        return STEM_OK;
    iter->value = stem_nil();
    return fail_value(iter, code);
}

/* Moves the engine past all below the name of `len` bytes at iter->key: forward to the first
 * key after it, in reverse to the name itself or what comes before. */
static int leave_name(stem_iter *iter, size_t len)
{
    const size_t prefix_len = iter->place->prefix_len;
    char *target = malloc(prefix_len + len + 1);

    if (!target)
        return stem_fail(STEM_ENOMEM, "no memory for a key of %zu bytes", len);
    memcpy(target, iter->place->prefix, prefix_len);
    memcpy(target + prefix_len, iter->key, len);
    target[prefix_len + len] = 1;
    iter->has_ahead = false;
    int code = iter->ops->iter_seek(
        iter->entries, (stem_slice){target, prefix_len + len + !iter->is_reverse});
    free(target);
    return code;
}

static size_t first_name_len(stem_slice key)
{
    const char *nul = memchr(key.data, '\0', key.len);

    return nul ? (size_t)(nul - key.data) : key.len;
}

/* Whether the key lies below the name at iter->key. */
static bool is_below_name(const stem_iter *iter, stem_slice key)
{
    return key.len > iter->key_len && key.data[iter->key_len] == '\0' &&
           memcmp(key.data, iter->key, iter->key_len) == 0;
}

/* An entry of any depth, or of this level alone. */
static int next_entry(stem_iter *iter)
{
    stem_slice key, value = {0};
    int code;

    while ((code = next_stored(iter, &key, &value)) == STEM_OK && iter->shallow) {
        size_t len = first_name_len(key);

        if (len == key.len)
            break;
        code = keep_key(iter, key, len);
        if (code == STEM_OK)
            code = leave_name(iter, len);
        if (code != STEM_OK)
            break;
    }
    if (code != STEM_OK)
        return code;
    iter->key = key.data;
    iter->key_len = key.len;
    iter->kind = STEM_HAS_VALUE;
    return iter->keys_only ? STEM_OK : read_value(iter, value);
}

/* Forward, a name's value comes first and then what lies below it. */
static int next_name_forward(stem_iter *iter, stem_slice key, stem_slice value)
{
    int code = keep_key(iter, key, first_name_len(key));

    if (code != STEM_OK)
        return code;
    iter->kind = STEM_HAS_CHILDREN;
    if (iter->key_len == key.len) {
        iter->kind = STEM_HAS_VALUE;
        if (!iter->keys_only) {
            code = hold_value(iter, &value);
            if (code == STEM_OK)
                code = read_value(iter, value);
        }
        if (code == STEM_OK)
            code = next_look_ahead(iter);
        if (code == STEM_OK && is_below_name(iter, iter->ahead_key))
            iter->kind |= STEM_HAS_CHILDREN;
        if (code == STEM_NOTFOUND)
            return STEM_OK;
    }
    if (code == STEM_OK && (iter->kind & STEM_HAS_CHILDREN))
        code = leave_name(iter, iter->key_len);
    return code;
}

/* In reverse what lies below a name comes first, and then its value. */
static int next_name_reverse(stem_iter *iter, stem_slice key, stem_slice value)
{
    int code = keep_key(iter, key, first_name_len(key));

    if (code != STEM_OK)
        return code;
    iter->kind = STEM_HAS_VALUE;
    if (iter->key_len != key.len) {
        iter->kind = STEM_HAS_CHILDREN;
        code = leave_name(iter, iter->key_len);
        if (code == STEM_OK)
            code = next_look_ahead(iter);
        if (code == STEM_NOTFOUND)
            return STEM_OK;
        if (code != STEM_OK || iter->ahead_key.len != iter->key_len ||
            memcmp(iter->ahead_key.data, iter->key, iter->key_len) != 0)
            return code;
        iter->has_ahead = false;
        iter->kind |= STEM_HAS_VALUE;
        value = iter->ahead_value;
    }
    return iter->keys_only ? STEM_OK : read_value(iter, value);
}

static int next_name(stem_iter *iter)
{
    stem_slice key, value = {0};
    int code = next_stored(iter, &key, &value);

    if (code == STEM_OK && iter->passed && key.len == strlen(iter->passed) &&
        memcmp(key.data, iter->passed, key.len) == 0)
        code = next_stored(iter, &key, &value);
    free(iter->passed);
    iter->passed = NULL;
    if (code != STEM_OK)
        return code;
    return iter->is_reverse ? next_name_reverse(iter, key, value)
                            : next_name_forward(iter, key, value);
}

bool stem_iter_next(stem_iter *iter)
{
    if (!iter || iter->code != STEM_OK)
        return false;
    if (stem_engine_is_inherited(iter->place->engine)) {
        const int code = stem_db_check(iter->place, iter->operation);

        if (code != STEM_OK)
            return stop(iter, code);
    }
    if (iter->left == 0)
        return stop(iter, STEM_NOTFOUND);
    int code = iter->names_only ? next_name(iter) : next_entry(iter);
    if (code != STEM_OK)
        return stop(iter, code);
    iter->left--;
    return iter->has_entry = true;
}

/* ---- Seeking ---------------------------------------------------------------------- */

/* The place that a seek goes to, or NULL after a failure. */
static stem_db *seek_target(const stem_iter *iter, const char *const *names, size_t n)
{
    if (iter->names_only && n > 1) {
        stem_fail(STEM_EINVAL, "a name is one component, not %zu", n);
        return NULL;
    }
    return stem_db_sub(iter->place, names, n);
}

/* The name with a 1 behind it. */
static char *name_and_one(const char *name)
{
    const size_t len = strlen(name);
    char *made = malloc(len + 2);

    if (!made) {
        stem_fail(STEM_ENOMEM, "no memory for a key of %zu bytes", len);
        return NULL;
    }
    memcpy(made, name, len);
    memcpy(made + len, "\1", 2);
    return made;
}

/* In reverse, arriving at a name means arriving behind all that lies below it: at or before the
 * name with a 1 behind it, which may be a name itself, to be passed over. Nothing is touched
 * before all that can be refused is there. */
static int seek_names(stem_iter *iter, const char *const *names, size_t n)
{
    const bool is_behind_name = iter->names_only && iter->is_reverse && n > 0;
    stem_db *target = seek_target(iter, names, n);
    char *passed = NULL;

    if (!target || (is_behind_name && !(passed = name_and_one(names[0])))) {
        int code = stem_errcode();
        stem_close(target);
        return code;
    }
    free(iter->passed);
    iter->passed = passed;
    iter->has_ahead = false;
    iter->has_entry = false;
    iter->key_len = 0;

    stem_slice stored = {NULL, 0}; /* back to the start */
    if (n > 0)
        stored = (stem_slice){target->prefix, target->prefix_len - !is_behind_name};
    if (is_behind_name)
        target->prefix[target->prefix_len - 1] = 1;
    int code = iter->ops->iter_seek(iter->entries, stored);
    stem_close(target);
    return code;
}

int stem_iter_seek(stem_iter *iter, const char *const *names, size_t n)
{
    if (!iter)
        return stem_fail(STEM_EINVAL, "seek: the iterator is NULL");
    if (iter->code != STEM_OK)
        return iter->code;
    int code = stem_db_check(iter->place, "seek");
    if (code != STEM_OK)
        return code;
    code = seek_names(iter, names, n);
    return code == STEM_OK ? STEM_OK : stem_db_fail(iter->place, code, "seek", NULL);
}

/* ---- The entry -------------------------------------------------------------------- */

const char *stem_iter_key(const stem_iter *iter)
{
    if (!iter || !iter->has_entry)
        return NULL;
    const char *nul = memrchr(iter->key, '\0', iter->key_len);
    return nul ? nul + 1 : iter->key;
}

stem_slice stem_iter_below(const stem_iter *iter)
{
    return (stem_slice){iter->key, iter->key_len};
}

const char *const *stem_iter_path(stem_iter *iter, size_t *n)
{
    if (!iter || !iter->has_entry)
        return NULL;
    if (!n) {
        stem_fail(STEM_EINVAL, "path: the place for the number of names is NULL");
        return NULL;
    }
    size_t count = 1;
    for (size_t i = 0; i < iter->key_len; i++)
        count += iter->key[i] == '\0';
    if (count > iter->names_room) {
        const char **larger = realloc(iter->names, count * sizeof *larger);

        if (!larger) {
            stem_fail(STEM_ENOMEM, "no memory for a path of %zu names", count);
            stem_db_fail(iter->place, STEM_ENOMEM, iter->operation, NULL);
            return NULL;
        }
        iter->names = larger;
        iter->names_room = count;
    }
    const char *name = iter->key;
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1)
        iter->names[i] = name;
    *n = count;
    return iter->names;
}

const stem_value *stem_iter_value(const stem_iter *iter)
{
    if (!iter || !iter->has_entry || iter->keys_only || !(iter->kind & STEM_HAS_VALUE))
        return NULL;
    return &iter->value;
}

int stem_iter_kind(const stem_iter *iter)
{
    return iter && iter->has_entry ? iter->kind : 0;
}
