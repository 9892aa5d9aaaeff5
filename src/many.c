/*
 * Many keys at once: each call is one consistent read or one commit.
 */
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "error.h"
#include "value.h"

/* ---- Reading ---------------------------------------------------------------------- */

/* The stored forms of several keys, in one buffer. */
typedef struct key_list {
    stem_slice *slices;
    char *bytes;
} key_list;

static void free_keys(key_list *list)
{
    free(list->slices);
    free(list->bytes);
}

/* Where the keys would be when there are few of them and they are short. */
enum { TYPICAL_KEY = 64 };

static int make_keys(const stem_db *db, const char *const *keys, size_t n, key_list *list)
{
    size_t used = 0, room = n * (db->prefix_len + TYPICAL_KEY);
    int code = STEM_OK;

    *list =
        (key_list){malloc((n ? n : 1) * sizeof *list->slices), malloc(room ? room : 1)};
    if (!list->slices || !list->bytes)
        code = stem_fail(STEM_ENOMEM, "no memory for %zu keys", n);
    for (size_t i = 0; i < n && code == STEM_OK; i++) {
        stem_key key;

        code = stem_key_make(db, keys[i], &key);
        if (code != STEM_OK) {
            code = stem_db_fail(db, code, "key", keys[i]);
            break;
        }
        if (used + key.stored.len > room) {
            size_t larger_room = 2 * room + key.stored.len;
            char *larger = realloc(list->bytes, larger_room);

            if (larger) {
                list->bytes = larger;
                room = larger_room;
            } else {
                code = stem_fail(STEM_ENOMEM, "no memory for %zu keys", n);
            }
        }
        if (code == STEM_OK) {
            memcpy(list->bytes + used, key.stored.data, key.stored.len);
            list->slices[i].len = key.stored.len;
            used += key.stored.len;
        }
        stem_key_free(&key);
    }
    if (code != STEM_OK) {
        free_keys(list);
        return code;
    }
    used = 0;
    for (size_t i = 0; i < n; i++) {
        list->slices[i].data = list->bytes + used;
        used += list->slices[i].len;
    }
    return STEM_OK;
}

/* Reads all keys from one state; `*reads` is a list to free, its data to be taken. */
static int read_many(const stem_db *db, const char *const *keys, size_t n,
                     stem_read **reads)
{
    key_list list;

    int code = make_keys(db, keys, n, &list);
    if (code != STEM_OK)
        return code;
    *reads = malloc((n ? n : 1) * sizeof **reads);
    if (*reads)
        code = db->engine->ops->read(db->engine, stem_db_snapshot(db), list.slices, n,
                                     *reads);
    else
        code = stem_fail(STEM_ENOMEM, "no memory for %zu values", n);
    if (code != STEM_OK)
        free(*reads);
    free_keys(&list);
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
    stem_read *reads;

    int code = check_lists(db, "get many", n, (const void *[]){keys, values, codes}, 3);
    if (code != STEM_OK)
        return code;
    code = read_many(db, keys, n, &reads);
    if (code != STEM_OK)
        return stem_db_fail(db, code, "get many", NULL);

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
    free(reads);
    return code;
}

int stem_has_many(stem_db *db, const char *const *keys, size_t n, bool *has)
{
    stem_read *reads;

    int code = check_lists(db, "has many", n, (const void *[]){keys, has}, 2);
    if (code != STEM_OK)
        return code;
    code = read_many(db, keys, n, &reads);
    if (code != STEM_OK)
        return stem_db_fail(db, code, "has many", NULL);
    for (size_t i = 0; i < n; i++) {
        has[i] = reads[i].data != NULL;
        free(reads[i].data);
    }
    free(reads);
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
