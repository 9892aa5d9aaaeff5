/*
 * A database in memory, slow and plain, for the real one to be compared with: stored paths
 * in order, and what a walk over them must give, found by looking at every entry.
 */
#ifndef STEM_TESTS_MODEL_H
#define STEM_TESTS_MODEL_H

#include "stem.h"

/* A value: NIL, an INT, a UINT, a FLOAT by its bits, or one of a few strings by its
 * number. */
typedef struct model_value {
    int type;
    int64_t bits;
} model_value;

enum { MODEL_STRINGS = 5 };

/* As Stem takes it; what it points to lives for ever. */
stem_value model_value_stored(model_value value);
/* Whether a value that was read is exactly this one. */
bool model_value_is(model_value value, const stem_value *read);

typedef struct model_entry {
    char *path; /* names joined by a NUL, and a NUL behind them */
    size_t len; /* without the last NUL */
    model_value value;
} model_entry;

typedef struct model {
    model_entry *entries; /* in memcmp order */
    size_t n, room;
} model;

model *model_new(void);
model *model_copy(const model *from);
void model_free(model *m);

void model_put(model *m, const char *path, size_t len, model_value value);
void model_put_int(model *m, const char *path, size_t len, int64_t value);
void model_del(model *m, const char *path, size_t len);
const model_entry *model_get(const model *m, const char *path, size_t len);

int compare_paths(const char *a, size_t a_len, const char *b, size_t b_len);

/* What a walk gives, in its order; paths are relative to the prefix, and borrowed. */
typedef struct model_step {
    const char *path;
    size_t len;
    model_value value; /* when `kind` has STEM_HAS_VALUE */
    int kind;
} model_step;

typedef struct model_walk {
    model_step *steps;
    size_t n;
} model_walk;

/* What stem_iter_open, or with `children` stem_children, must give below a prefix that ends
 * with a NUL or is empty; the range's limit is left out. Release `steps` with free(). */
model_walk model_expect(const model *m, const char *prefix, size_t prefix_len,
                        const stem_range *range, bool children);

/* Where a seek to a path arrives in a walk: the index of a step, or `n`. */
size_t model_seek(const model_walk *walk, bool reverse, const char *path, size_t len);

/* Compares the entry that the iterator stands on with a step: NULL, or what differs. */
const char *model_differs(stem_iter *iter, const model_step *step, bool keys_only);

/* Walks the range below a handle to its end: NULL, or what differs from the model. */
const char *model_compare(const model *m, const char *prefix, size_t prefix_len,
                          stem_db *db, const stem_range *range, bool children);

#endif
