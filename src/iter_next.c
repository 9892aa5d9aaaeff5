/*
 * Stepping through what lies below a handle, and through the names one level down.
 *
 * The engine gives stored keys; here they lose the handle's prefix, values are decoded, and
 * whole sub-databases are stepped over with one seek where only one level is wanted. An entry
 * that cannot be decoded ends the walk: nothing doubtful is handed out. What the engine lends
 * is lent on where it can be: a walk copies long strings and arrays that are not aligned.
 */
#include <stdlib.h>
#include <string.h>

#include "iter.h"
#include "msgpack_bytes.h"
#include "value.h"

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
static inline int fetch(stem_iter *iter, stem_slice *key, stem_slice *value)
{
    int code = iter->ops->iter_next(iter->entries, key, iter->keys_only ? NULL : value);

    if (code == STEM_OK) {
        key->data += iter->place->prefix_len;
        key->len -= iter->place->prefix_len;
    }
    return code;
}

/* The next one after what has been looked at, or is to be passed over. */
static int next_pending(stem_iter *iter, stem_slice *key, stem_slice *value)
{
    const bool is_ahead = iter->pending == STEM_ITER_AHEAD;

    iter->pending = STEM_ITER_NOTHING;
    if (is_ahead) {
        *key = iter->ahead_key;
        *value = iter->ahead_value;
        return STEM_OK;
    }
    int code = fetch(iter, key, value);
    return code == STEM_OK && stem_iter_is_passed(iter, *key) ? fetch(iter, key, value)
                                                              : code;
}

static inline int next_stored(stem_iter *iter, stem_slice *key, stem_slice *value)
{
    return iter->pending == STEM_ITER_NOTHING ? fetch(iter, key, value)
                                              : next_pending(iter, key, value);
}

static int next_look_ahead(stem_iter *iter)
{
    int code = next_stored(iter, &iter->ahead_key, &iter->ahead_value);

    iter->pending = code == STEM_OK ? STEM_ITER_AHEAD : STEM_ITER_NOTHING;
    return code;
}

/* Copies a value's bytes, and a NUL behind them, to where they stay until the next step. */
static int hold_value(stem_iter *iter, stem_slice *bytes)
{
    if (!iter->held || bytes->len + 1 > iter->held_room) {
        size_t room = bytes->len + bytes->len / 2 + 64;
        char *larger = malloc(room);

        if (!larger)
            return stem_fail(STEM_ENOMEM, "no memory for a value of %zu bytes",
                             bytes->len);
        free(iter->held);
        iter->held = larger;
        iter->held_room = room;
    }
    if (bytes->len > 0 && bytes->data != iter->held)
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

/* Steps over all that lies below the first name of a path. */
static int leave_name(stem_iter *iter, stem_slice path, size_t len)
{
    int code = stem_iter_keep(iter, path, len);

    if (code != STEM_OK)
        return code;
    iter->position = STEM_ITER_LEFT;
    iter->n_gone = 0;
    return stem_iter_go_to(iter, iter->position);
}

/* An entry of any depth, or of this level alone. Inlined in the step of an ordinary walk. */
static inline int next_entry(stem_iter *iter)
{
    stem_slice key, value = {0};
    int code;

    while ((code = next_stored(iter, &key, &value)) == STEM_OK && iter->shallow) {
        size_t len = first_name_len(key);

        if (len == key.len)
            break;
        code = leave_name(iter, key, len);
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
    int code = STEM_OK;

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
        code = stem_iter_go_to(iter, STEM_ITER_LEFT);
    return code;
}

/* In reverse what lies below a name comes first, and then its value. */
static int next_name_reverse(stem_iter *iter, stem_slice key, stem_slice value)
{
    iter->kind = STEM_HAS_VALUE;
    if (iter->key_len != key.len) {
        iter->kind = STEM_HAS_CHILDREN;
        int code = stem_iter_go_to(iter, STEM_ITER_LEFT);
        if (code == STEM_OK)
            code = next_look_ahead(iter);
        if (code == STEM_NOTFOUND)
            return STEM_OK;
        if (code != STEM_OK || iter->ahead_key.len != iter->key_len ||
            memcmp(iter->ahead_key.data, iter->key, iter->key_len) != 0)
            return code;
        iter->pending = STEM_ITER_NOTHING;
        iter->kind |= STEM_HAS_VALUE;
        value = iter->ahead_value;
    }
    return iter->keys_only ? STEM_OK : read_value(iter, value);
}

static int next_name(stem_iter *iter)
{
    stem_slice key, value = {0};
    int code = next_stored(iter, &key, &value);

    if (code == STEM_OK)
        code = stem_iter_keep(iter, key, first_name_len(key));
    if (code != STEM_OK)
        return code;
    iter->position = STEM_ITER_AT;
    return iter->is_reverse ? next_name_reverse(iter, key, value)
                            : next_name_forward(iter, key, value);
}

static int next_of_either(stem_iter *iter)
{
    return iter->names_only ? next_name(iter) : next_entry(iter);
}

/* A step of a walk that resumes, and remembers what it gave. */
static int next_resuming(stem_iter *iter)
{
    stem_failure before;

    stem_failure_save(&before);
    int code = next_of_either(iter);
    if (code == STEM_EGONE)
        code = stem_iter_resume(iter, code, next_of_either, &before);
    if (code == STEM_OK && !iter->names_only)
        code = stem_iter_keep(iter, stem_iter_below(iter), iter->key_len);
    if (code != STEM_OK)
        return code;
    iter->position = STEM_ITER_BEHIND;
    iter->n_gone = 0;
    return STEM_OK;
}

/* The first step of a walk that does not resume: nothing was given yet, so another state does
 * as well when the one of the opening is gone. */
static int next_fresh(stem_iter *iter)
{
    stem_failure before;

    stem_failure_save(&before);
    int code = next_entry(iter);
    if (code == STEM_EGONE)
        code = stem_iter_resume(iter, code, next_of_either, &before);
    iter->is_fresh = false;
    stem_db_release(iter->sought);
    iter->sought = NULL;
    free(iter->span.buffer);
    iter->span.buffer = NULL;
    return code;
}

/* A step of any walk. */
static inline int next_step(stem_iter *iter)
{
    if (iter->resumes)
        return next_resuming(iter);
    if (iter->is_fresh)
        return next_fresh(iter);
    return iter->names_only ? next_name(iter) : next_entry(iter);
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
    const int code = next_step(iter);
    if (code != STEM_OK)
        return stop(iter, code);
    iter->left--;
    return iter->has_entry = true;
}
