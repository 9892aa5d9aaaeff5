/*
 * Batches: writes and expectations gathered for one commit.
 *
 * Keys and values are encoded straight into blocks of memory that never move, so what the
 * engine is handed at the commit are the slices noted when they were added.
 */
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "error.h"
#include "value.h"

typedef struct block {
    struct block *next; /* the one before it */
    size_t used, room;
    char bytes[];
} block;

enum { BLOCK_ROOM = 64 << 10, FIRST_ITEMS = 64 };

struct stem_batch {
    stem_db *home; /* keeps the engine open */
    block *blocks; /* the one in use first */
    stem_write *writes;
    size_t n_writes, writes_room;
    stem_expectation *expectations;
    size_t n_expectations, expectations_room;
    size_t bytes;
    size_t held; /* of the blocks in use: writes and expectations */
    size_t failed;
    bool sync;
};

/* ---- Memory ----------------------------------------------------------------------- */

/* `size` bytes that stay where they are until the batch is reset; NULL after a failure. */
static inline char *reserve(stem_batch *batch, size_t size)
{
    block *current = batch->blocks;

    if (!current || current->room - current->used < size) {
        size_t room = size > BLOCK_ROOM ? size : BLOCK_ROOM;

        current = malloc(sizeof *current + room);
        if (!current) {
            stem_fail(STEM_ENOMEM, "no memory for %zu bytes of a batch", size);
            return NULL;
        }
        *current = (block){.next = batch->blocks, .room = room};
        batch->blocks = current;
    }
    current->used += size;
    batch->held += size;
    return current->bytes + current->used - size;
}

static void free_blocks(block *each)
{
    while (each) {
        block *next = each->next;

        free(each);
        each = next;
    }
}

/* Room for one item more in a list that doubles. */
static int grow(void **items, size_t item_size, size_t n, size_t *room)
{
    if (n < *room)
        return STEM_OK;
    size_t larger_room = *room ? 2 * *room : FIRST_ITEMS;
    void *larger = realloc(*items, larger_room * item_size);
    if (!larger)
        return stem_fail(STEM_ENOMEM, "no memory for %zu items of a batch", larger_room);
    *items = larger;
    *room = larger_room;
    return STEM_OK;
}

static int grow_writes(stem_batch *batch)
{
    return grow((void **)&batch->writes, sizeof *batch->writes, batch->n_writes,
                &batch->writes_room);
}

static int grow_expectations(stem_batch *batch)
{
    return grow((void **)&batch->expectations, sizeof *batch->expectations,
                batch->n_expectations, &batch->expectations_room);
}

/* ---- Making and freeing ----------------------------------------------------------- */

stem_batch *stem_batch_new(stem_db *db)
{
    stem_batch *batch;

    if (stem_db_check(db, "batch") != STEM_OK)
        return NULL;
    batch = calloc(1, sizeof *batch);
    if (!batch) {
        stem_fail(STEM_ENOMEM, "no memory for a batch");
        return NULL;
    }
    batch->home = stem_dup(db);
    if (!batch->home) {
        free(batch);
        return NULL;
    }
    batch->failed = SIZE_MAX;
    return batch;
}

void stem_batch_reset(stem_batch *batch)
{
    if (!batch)
        return;
    if (batch->blocks && batch->blocks->room == BLOCK_ROOM) {
        free_blocks(batch->blocks->next);
        batch->blocks->next = NULL;
        batch->blocks->used = 0;
    } else {
        free_blocks(batch->blocks);
        batch->blocks = NULL;
    }
    batch->n_writes = batch->n_expectations = batch->bytes = batch->held = 0;
    batch->failed = SIZE_MAX;
    batch->sync = false;
}

void stem_batch_free(stem_batch *batch)
{
    if (!batch)
        return;
    free_blocks(batch->blocks);
    free(batch->writes);
    free(batch->expectations);
    stem_db_release(batch->home);
    free(batch);
}

/* ---- Adding ----------------------------------------------------------------------- */

/* What is wrong with adding something below `db`, where that is not plain to see. */
static int refuse(const stem_batch *batch, const stem_db *db)
{
    if (!batch)
        return stem_fail(STEM_EINVAL, "batch: the batch is NULL");
    int code = stem_db_check(db, "batch");
    if (code != STEM_OK)
        return code;
    if (db->engine != batch->home->engine)
        return stem_db_fail(db,
                            stem_fail(STEM_EINVAL, "the handle is of another database "
                                                   "than the batch"),
                            "batch", NULL);
    if (!db->is_read_only)
        return STEM_OK; /* a child's now */
    return stem_db_fail(db, stem_fail(STEM_EREADONLY, "the handle only reads"), "batch",
                        NULL);
}

/* What every addition begins with. */
static inline int check(const stem_batch *batch, const stem_db *db)
{
    return batch && db && db->engine == batch->home->engine && !db->is_read_only &&
                   !stem_engine_is_inherited(db->engine)
               ? STEM_OK
               : refuse(batch, db);
}

/* Gives back the end of what was reserved last. */
static inline void give_back(stem_batch *batch, size_t size)
{
    batch->blocks->used -= size;
    batch->held -= size;
}

/* Encodes a key, and a value when there is one, into memory of the batch's own. */
static inline int add_pair(stem_batch *batch, const stem_db *db, const char *name,
                           const stem_value *value, stem_slice *key, stem_slice *encoded)
{
    size_t len = 0;

    const size_t key_len = stem_key_len(db, name);
    if (key_len == 0)
        return STEM_EINVAL;
    char *bytes = reserve(batch, key_len + STEM_SMALL_ENCODED);
    if (!bytes)
        return STEM_ENOMEM;
    if (value)
        len = stem_value_encode_small(value, (unsigned char *)bytes + key_len);
    if (!value || len > 0) {
        give_back(batch, STEM_SMALL_ENCODED - len);
    } else {
        give_back(batch, key_len + STEM_SMALL_ENCODED);
        len = stem_value_encoded_size(value);
        if (len == 0)
            return stem_errcode();
        bytes = reserve(batch, key_len + len);
        if (!bytes)
            return STEM_ENOMEM;
        stem_value_encode(value, (unsigned char *)bytes + key_len);
    }
    stem_key_write(db, name, key_len, bytes);
    *key = (stem_slice){bytes, key_len};
    if (value)
        *encoded = (stem_slice){bytes + key_len, len};
    return STEM_OK;
}

/* Copies two slices into the batch, the second directly behind the first. */
static int add_bytes(stem_batch *batch, stem_slice *first, stem_slice *second)
{
    char *bytes = reserve(batch, first->len + second->len);

    if (!bytes)
        return STEM_ENOMEM;
    if (first->len > 0)
        memcpy(bytes, first->data, first->len);
    if (second->len > 0)
        memcpy(bytes + first->len, second->data, second->len);
    first->data = bytes;
    second->data = bytes + first->len;
    return STEM_OK;
}

int stem_batch_add_stored(stem_batch *batch, stem_slice key, const stem_slice *value)
{
    stem_write write = {.key = key, .is_delete = !value};

    if (value)
        write.value = *value;
    int code = grow_writes(batch);
    if (code == STEM_OK)
        code = add_bytes(batch, &write.key, &write.value);
    if (code != STEM_OK)
        return code;
    batch->writes[batch->n_writes++] = write;
    batch->bytes += write.key.len + write.value.len;
    return STEM_OK;
}

int stem_batch_expect_stored(stem_batch *batch, stem_slice key, stem_slice value)
{
    stem_expectation expectation = {
        .kind = STEM_EXPECT_EQUAL, .key = key, .value = value};

    int code = grow_expectations(batch);
    if (code == STEM_OK)
        code = add_bytes(batch, &expectation.key, &expectation.value);
    if (code == STEM_OK)
        batch->expectations[batch->n_expectations++] = expectation;
    return code;
}

static int add_write(stem_batch *batch, const stem_db *db, const char *name,
                     const stem_value *value)
{
    stem_write write = {.is_delete = !value};

    int code = check(batch, db);
    if (code != STEM_OK)
        return code;
    code = grow_writes(batch);
    if (code == STEM_OK)
        code = add_pair(batch, db, name, value, &write.key, &write.value);
    if (code != STEM_OK)
        return stem_db_fail(db, code, value ? "batch put" : "batch del", name);
    batch->writes[batch->n_writes++] = write;
    batch->bytes += write.key.len + write.value.len;
    batch->sync |= db->sync;
    return STEM_OK;
}

int stem_batch_put_value(stem_batch *batch, stem_db *db, const char *key,
                         stem_value value)
{
    return add_write(batch, db, key, &value);
}

int stem_batch_del(stem_batch *batch, stem_db *db, const char *key)
{
    return add_write(batch, db, key, NULL);
}

static int add_expectation(stem_batch *batch, const stem_db *db, const char *name,
                           const stem_value *value)
{
    stem_expectation expectation = {.kind =
                                        value ? STEM_EXPECT_EQUAL : STEM_EXPECT_ABSENT};

    int code = check(batch, db);
    if (code != STEM_OK)
        return code;
    code = grow_expectations(batch);
    if (code == STEM_OK)
        code = add_pair(batch, db, name, value, &expectation.key, &expectation.value);
    if (code != STEM_OK)
        return stem_db_fail(db, code, "batch expect", name);
    batch->expectations[batch->n_expectations++] = expectation;
    return STEM_OK;
}

int stem_batch_expect_absent(stem_batch *batch, stem_db *db, const char *key)
{
    return add_expectation(batch, db, key, NULL);
}

int stem_batch_expect_value(stem_batch *batch, stem_db *db, const char *key,
                            stem_value value)
{
    return add_expectation(batch, db, key, &value);
}

int stem_batch_expect_empty(stem_batch *batch, stem_db *db, const stem_range *range)
{
    stem_expectation expectation = {.kind = STEM_EXPECT_EMPTY};
    stem_span span = {.buffer = NULL};

    int code = check(batch, db);
    if (code != STEM_OK)
        return code;
    if (range && range->shallow)
        code = stem_fail(STEM_EINVAL,
                         "an empty range takes what lies below its names along");
    if (code == STEM_OK)
        code = grow_expectations(batch);
    if (code == STEM_OK)
        code = stem_span_make(db, range, false, &span);
    if (code == STEM_OK) {
        expectation.key = span.range.start;
        expectation.value = span.range.end;
        code = add_bytes(batch, &expectation.key, &expectation.value);
    }
    free(span.buffer);
    if (code != STEM_OK)
        return stem_db_fail(db, code, "batch expect", NULL);
    batch->expectations[batch->n_expectations++] = expectation;
    return STEM_OK;
}

/* ---- Committing ------------------------------------------------------------------- */

int stem_batch_commit(stem_batch *batch, bool sync)
{
    size_t failed = SIZE_MAX;

    if (!batch)
        return stem_fail(STEM_EINVAL, "commit: the batch is NULL");
    int code = stem_db_check(batch->home, "commit");
    if (code != STEM_OK)
        return code;
    const stem_commit commit = {.writes = batch->writes,
                                .n_writes = batch->n_writes,
                                .expectations = batch->expectations,
                                .n_expectations = batch->n_expectations,
                                .sync = sync || batch->sync};
    code = batch->home->engine->ops->commit(batch->home->engine, &commit, &failed);
    batch->failed = code == STEM_CONFLICT ? failed : SIZE_MAX;
    return code < 0 ? stem_fail_at(code, "commit", NULL) : code;
}

size_t stem_batch_failed(const stem_batch *batch)
{
    return batch ? batch->failed : SIZE_MAX;
}

size_t stem_batch_count(const stem_batch *batch)
{
    return batch ? batch->n_writes : 0;
}

size_t stem_batch_bytes(const stem_batch *batch)
{
    return batch ? batch->bytes : 0;
}

size_t stem_batch_held(const stem_batch *batch)
{
    return batch->held;
}

size_t stem_batch_items(const stem_batch *batch)
{
    return batch->n_writes + batch->n_expectations;
}

void stem_batch_at(const stem_batch *batch, size_t i, const stem_write **write,
                   const stem_expectation **expectation)
{
    *write = &batch->writes[i];
    *expectation = &batch->expectations[i];
}
