/*
 * Reading in order: iterators over what lies below a handle, and over the names one level down.
 * What they open, where they seek, and the entry they stand on.
 */
#include <stdlib.h>
#include <string.h>

#include "iter.h"
#include "path.h"
#include "value.h"

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
    free(iter->span.buffer);
    stem_db_release(iter->sought);
    free(iter->names);
    free(iter);
}

/* A snapshot that is gone is not another one. */
static void set_range(stem_iter *iter, const stem_range *range)
{
    const bool is_frozen = iter->place->frozen != NULL;

    iter->left = UINT64_MAX;
    iter->resumes = (iter->names_only || (range && range->resume)) && !is_frozen;
    iter->is_fresh = !iter->resumes && !is_frozen;
    if (!range)
        return;
    iter->is_reverse = range->reverse;
    iter->keys_only = range->keys_only;
    iter->shallow = range->shallow;
    if (range->limit != 0)
        iter->left = range->limit;
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
    iter->names_only = names_only;
    iter->span = span;
    set_range(iter, range);
    code = stem_iter_enter(iter);
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

int stem_iter_code(const stem_iter *iter)
{
    return iter ? iter->code : stem_errcode();
}

int stem_iter_close(stem_iter *iter)
{
    const int code = stem_iter_code(iter);

    if (iter)
        free_iter(iter);
    return code;
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

/* Nothing is touched before all that can be refused is there. */
static int seek_names(stem_iter *iter, const char *const *names, size_t n)
{
    stem_db *target = seek_target(iter, names, n);
    int code;

    if (!target)
        return stem_errcode();
    if (n > 0 && (code = stem_iter_keep_place(iter, target)) != STEM_OK) {
        stem_close(target);
        return code;
    }
    stem_db *sought = iter->is_fresh && n > 0 ? target : NULL;
    stem_db_release(iter->sought);
    iter->sought = sought;
    if (!sought)
        stem_close(target);
    iter->has_entry = false;
    iter->position = n > 0 ? STEM_ITER_AT : STEM_ITER_START;
    iter->n_gone = 0;
    return stem_iter_go_to(iter, iter->position);
}

int stem_iter_seek(stem_iter *iter, const char *const *names, size_t n)
{
    stem_failure before;

    if (!iter)
        return stem_fail(STEM_EINVAL, "seek: the iterator is NULL");
    if (iter->code != STEM_OK)
        return iter->code;
    int code = stem_db_check(iter->place, "seek");
    if (code != STEM_OK)
        return code;
    stem_failure_save(&before);
    code = seek_names(iter, names, n);
    if (code == STEM_EGONE && (iter->resumes || iter->is_fresh))
        code = stem_iter_resume(iter, code, NULL, &before);
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
