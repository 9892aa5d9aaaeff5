/*
 * Many keys at once: each call is one consistent read or one commit.
 */
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "error.h"
#include "value.h"

/* ---- Reading ---------------------------------------------------------------------- */

/* What several keys are read with: their stored forms, and what the engine found. */
typedef struct key_list {
    stem_slice *keys; /* one block, with the reads behind it */
    stem_read *reads;
    char *bytes; /* of all keys */
} key_list;

static void free_list(key_list *list)
{
    free(list->keys);
    free(list->bytes);
}

/* Measures the keys; the sum of their stored lengths, or 0 after a failure that names the
 * key. */
static size_t measure_keys(const stem_db *db, const char *const *keys, size_t n,
                           stem_slice *stored)
{
    size_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        stored[i].len = stem_key_len(db, keys[i]);
        if (stored[i].len == 0) {
            stem_db_fail(db, STEM_EINVAL, "key", keys[i]);
            return 0;
        }
        sum += stored[i].len;
    }
    return sum;
}

static int make_list(const stem_db *db, const char *const *keys, size_t n, key_list *list)
{
    list->bytes = NULL;
    list->keys = n <= SIZE_MAX / (sizeof *list->keys + sizeof *list->reads)
                     ? malloc(n * (sizeof *list->keys + sizeof *list->reads))
                     : NULL;
    if (!list->keys)
        return stem_fail(STEM_ENOMEM, "no memory for %zu keys", n);
    list->reads = (stem_read *)(list->keys + n);
    const size_t sum = measure_keys(db, keys, n, list->keys);
    if (sum == 0)
        return STEM_EINVAL;
    list->bytes = malloc(sum);
    if (!list->bytes)
        return stem_fail(STEM_ENOMEM, "no memory for %zu keys", n);
    char *end = list->bytes;
    for (size_t i = 0; i < n; i++) {
        stem_key_write(db, keys[i], list->keys[i].len, end);
        list->keys[i].data = end;
        end += list->keys[i].len;
    }
    return STEM_OK;
}

/* Reads all keys, at least one, from one state; `list` is to be freed, what was read to be
 * taken. */
static int read_many(const stem_db *db, const char *const *keys, size_t n, key_list *list)
{
    int code = make_list(db, keys, n, list);

    if (code == STEM_OK)
        code = db->engine->ops->read(db->engine, stem_db_snapshot(db), list->keys, n,
                                     list->reads);
    if (code != STEM_OK)
        free_list(list);
    return code;
}

static int check_lists(const stem_db *db, const char *operation, size_t n,
                       const void *const lists[], size_t n_lists)
{
    int code = stem_db_check(db, operation);

    for (size_t i = 0; i < n_lists && code == STEM_OK; i++)
        if (n > 0 && !lists[i])
            code = stem_fail(STEM_EINVAL, "%s: a list is NULL", operation);
    return code;
}

int stem_get_many(stem_db *db, const char *const *keys, size_t n, stem_value *values,
                  int *codes)
{
    key_list list;

    int code = check_lists(db, "get many", n, (const void *[]){keys, values, codes}, 3);
    if (code != STEM_OK || n == 0)
        return code;
    code = read_many(db, keys, n, &list);
    if (code != STEM_OK)
        return stem_db_fail(db, code, "get many", NULL);

    const stem_read *reads = list.reads;
    size_t done;
    for (done = 0; done < n && code == STEM_OK; done++) {
        codes[done] = reads[done].data ? STEM_OK : STEM_NOTFOUND;
        values[done] = stem_nil();
        if (reads[done].data) {
            code = stem_value_adopt(reads[done].data, reads[done].len, &values[done]);
            if (code != STEM_OK)
                stem_db_fail(db, code, "get many", keys[done]);
        }
    }
    if (code != STEM_OK) {
        for (size_t i = 0; i < done; i++)
            stem_value_free(&values[i]);
        for (size_t i = done; i < n; i++)
            free(reads[i].data);
    }
    free_list(&list);
    return code;
}

int stem_has_many(stem_db *db, const char *const *keys, size_t n, bool *has)
{
    key_list list;

    int code = check_lists(db, "has many", n, (const void *[]){keys, has}, 2);
    if (code != STEM_OK || n == 0)
        return code;
    code = read_many(db, keys, n, &list);
    if (code != STEM_OK)
        return stem_db_fail(db, code, "has many", NULL);
    for (size_t i = 0; i < n; i++) {
        has[i] = list.reads[i].data != NULL;
        free(list.reads[i].data);
    }
    free_list(&list);
    return STEM_OK;
}

/* ---- Writing ---------------------------------------------------------------------- */

static int write_many(stem_db *db, const char *const *keys, const stem_value *values,
                      size_t n)
{
    stem_batch *batch = stem_batch_new(db);
    int code = batch ? STEM_OK : stem_errcode();

    for (size_t i = 0; i < n && code == STEM_OK; i++)
        code = values ? stem_batch_put_value(batch, db, keys[i], values[i])
                      : stem_batch_del(batch, db, keys[i]);
    if (code == STEM_OK)
        code = stem_batch_commit(batch, false);
    stem_batch_free(batch);
    return code;
}

int stem_put_many(stem_db *db, const char *const *keys, const stem_value *values,
                  size_t n)
{
    int code = check_lists(db, "put many", n, (const void *[]){keys, values}, 2);

    return code == STEM_OK ? write_many(db, keys, values, n) : code;
}

int stem_del_many(stem_db *db, const char *const *keys, size_t n)
{
    int code = check_lists(db, "del many", n, (const void *[]){keys}, 1);

    return code == STEM_OK ? write_many(db, keys, NULL, n) : code;
}
