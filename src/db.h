/*
 * Handles, shared by what can be done through one: db.c, single.c, iter.c.
 */
#ifndef STEM_DB_H
#define STEM_DB_H

#include "engine.h"

/* A snapshot of the engine's, shared by the handles and iterators that read from it. */
typedef struct stem_frozen {
    atomic_size_t users;
    stem_engine_snapshot *snapshot;
} stem_frozen;

/* A handle is a place in an engine: a prefix, and how to read and write there. Immutable. */
struct stem_db {
    stem_engine *engine; /* one user of it */
    stem_frozen *frozen; /* one user of it; NULL reads the newest state */
    bool is_read_only;
    bool sync;
    size_t prefix_len;
    char prefix[]; /* each component with a NUL behind it */
};

/* The failure of using NULL, STEM_EINVAL, or an inherited handle, STEM_EFORK. */
void stem_db_refuse(const stem_db *db, const char *operation);

/* The same for a handle that a child has inherited: one of a shared database goes on there. */
int stem_db_check_inherited(const stem_db *db, const char *operation);

/* Checks that a handle can be used here. */
static inline int stem_db_check(const stem_db *db, const char *operation)
{
    if (db && !stem_engine_is_inherited(db->engine))
        return STEM_OK;
    if (db)
        return stem_db_check_inherited(db, operation);
    stem_db_refuse(db, operation);
    return STEM_EINVAL;
}

/* Whether a commit that answered so has been applied, durably or not. */
static inline bool stem_is_applied(int code)
{
    return code == STEM_OK || code == STEM_EUNKNOWN;
}

/* Says "operation path: cause" of the last failure and returns its code; `key` may be NULL. */
int stem_db_fail(const stem_db *db, int code, const char *operation, const char *key);
/* The same for a path of `len` stored bytes below the handle. */
int stem_db_fail_below(const stem_db *db, int code, const char *operation,
                       const char *below, size_t len);

/* The handle below `db` under `names`, or NULL after a failure that says the cause alone. */
stem_db *stem_db_sub(const stem_db *db, const char *const *names, size_t n);

static inline const stem_engine_snapshot *stem_db_snapshot(const stem_db *db)
{
    return db->frozen ? db->frozen->snapshot : NULL;
}

stem_frozen *stem_frozen_retain(stem_frozen *frozen); /* NULL is nothing */
void stem_frozen_release(stem_frozen *frozen, stem_engine *engine);

/* Closes a handle that belongs to something that is gone whatever the answer is: an engine that
 * cannot close goes to the next who opens it. NULL is nothing. */
void stem_db_release(stem_db *db);

/* What lets processes share a directory (serve.c); NULL in a build without libevent. */
extern const stem_engine_host *const stem_serve_host;

/* The root handle over an engine, one user of which it takes over; NULL after a failure. */
stem_db *stem_db_over(stem_engine *engine, const stem_options *options);

/* States that may be gone one after the other, when a server that knows them is replaced, before
 * what goes on in another gives up. Each replacement takes one, and is waited for by the
 * engine. */
enum { STEM_STATES_MAX = 32 };

/* Whether stored keys of both are keys of one place, to be compared; otherwise they are of
 * different databases. STEM_EINVAL when they are of one, in scopes that cannot be compared. */
int stem_db_compare_keys(const stem_db *a, const stem_db *b, bool *are_same);

/* The stored length of a key below a handle, or 0 after stem_fail (STEM_EINVAL) for what is no
 * component, or a path over the limit. */
size_t stem_key_len(const stem_db *db, const char *name);
/* Writes the stored form of a key that stem_key_len measured. */
static inline void stem_key_write(const stem_db *db, const char *name, size_t stored_len,
                                  char *out)
{
    memcpy(out, db->prefix, db->prefix_len);
    memcpy(out + db->prefix_len, name, stored_len - db->prefix_len);
}

enum { STEM_KEY_INLINE = 512 };

/* The stored form of a key below a handle; on the stack unless it is long. */
typedef struct stem_key {
    stem_slice stored;
    char *heap;
    char inline_bytes[STEM_KEY_INLINE];
} stem_key;

/* Fills it; STEM_EINVAL for what is no component, or a path over the limit. */
int stem_key_make(const stem_db *db, const char *name, stem_key *key);
static inline void stem_key_free(stem_key *key)
{
    if (key->heap)
        stem_free(key->heap);
}

/* The stored bytes that a range spans below a handle. */
typedef struct stem_span {
    stem_engine_range range;
    char *buffer; /* holds both ends; to free() */
} stem_span;

/* Fills it. `by_name`: the bounds are names one level down and take what lies below them
 * along; otherwise they are compared with whole paths. `range` may be NULL. */
int stem_span_make(const stem_db *db, const stem_range *range, bool by_name,
                   stem_span *span);

/* An iterator whose failures name the operation that it is part of; a text that lasts. */
stem_iter *stem_iter_open_for(stem_db *db, const stem_range *range,
                              const char *operation);
/* The path of the entry an iterator stands on, as it is stored below its handle. */
stem_slice stem_iter_below(const stem_iter *iter);

/* Adds what is stored bytes already to a batch: a put (a deletion when `value` is NULL), or
 * the expectation that the key holds exactly these bytes. */
int stem_batch_add_stored(stem_batch *batch, stem_slice key, const stem_slice *value);
int stem_batch_expect_stored(stem_batch *batch, stem_slice key, stem_slice value);
/* The memory its writes and expectations take. */
size_t stem_batch_held(const stem_batch *batch);
/* Its writes and expectations. */
size_t stem_batch_items(const stem_batch *batch);
/* The write and the expectation added as number `i` of each, borrowed until the reset. */
void stem_batch_at(const stem_batch *batch, size_t i, const stem_write **write,
                   const stem_expectation **expectation);

#endif
