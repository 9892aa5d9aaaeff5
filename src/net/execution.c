/*
 * An execution: its overlay, in which every key that commands have read or written has an
 * entry, and the log of writes. All of it goes with the reset.
 */
#include "execution_overlay.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "../error.h"

/* ---- Memory ----------------------------------------------------------------------- */

/* A random start, so that nobody can choose keys that meet in one chain; the clock will do
 * where the system has no random bytes yet. */
static uint64_t make_seed(void)
{
    struct timespec now = {0};
    uint64_t seed;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed)
        return seed;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec;
}

stem_execution *stem_execution_new(stem_engine *engine)
{
    stem_execution *execution = calloc(1, sizeof *execution);

    if (!execution) {
        stem_fail(STEM_ENOMEM, "no memory for an execution");
        return NULL;
    }
    execution->engine = engine;
    execution->seed = make_seed();
    stem_execution_begin(execution);
    return execution;
}

/* What one commit holds, and as much again for all around it: without a limit the versions of one
 * value that is written again and again would grow without end. */
static size_t limit_from(const stem_execution *execution, size_t bytes)
{
    const size_t most = execution->engine->max_commit_bytes;

    return most < (SIZE_MAX - bytes) / 2 ? bytes + 2 * most : SIZE_MAX;
}

void stem_execution_begin(stem_execution *execution)
{
    execution->arena.most = limit_from(execution, execution->arena.taken);
    execution->most_read = limit_from(execution, execution->read_bytes);
    execution->begun_bytes = execution->pending_bytes;
}

const stem_engine *stem_execution_engine(const stem_execution *execution)
{
    return execution->engine;
}

int stem_overlay_grow(void *array, size_t *room, size_t used, size_t n, size_t item)
{
    enum { FIRST = 16 };
    size_t wanted = *room > 0 ? *room : FIRST;
    void *before;
    void *grown;

    while (wanted - used < n && wanted <= SIZE_MAX / 4 / item)
        wanted *= 2;
    memcpy(&before, array, sizeof before);
    grown = wanted - used >= n ? realloc(before, wanted * item) : NULL;
    if (!grown)
        return stem_fail(STEM_ENOMEM, "no memory for %zu keys of a commit", used + n);
    memcpy(array, &grown, sizeof grown);
    *room = wanted;
    return STEM_OK;
}

/* Gives an array back that has grown beyond what is kept; it is empty. */
static void shrink(void *array, size_t *room, size_t item)
{
    void *before;

    if (*room <= STEM_ARENA_KEPT / item)
        return;
    memcpy(&before, array, sizeof before);
    free(before);
    memset(array, 0, sizeof before);
    *room = 0;
}

void stem_execution_reset(stem_execution *execution)
{
    HASH_CLEAR(hh, execution->entries);
    for (size_t i = 0; i < execution->n_buffers; i++)
        free(execution->buffers[i]);
    stem_arena_reset(&execution->arena);
    execution->n_writes = execution->n_pending = execution->pending_bytes = 0;
    execution->n_expectations = execution->n_states = execution->n_buffers = 0;
    execution->read_bytes = 0;
    execution->only_reads = execution->insists = false;
    shrink(&execution->writes, &execution->writes_room, sizeof *execution->writes);
    shrink(&execution->previous, &execution->previous_room, sizeof *execution->previous);
    shrink(&execution->expectations, &execution->expectations_room,
           sizeof *execution->expectations);
    shrink(&execution->buffers, &execution->buffers_room, sizeof *execution->buffers);
    stem_execution_begin(execution);
}

void stem_execution_free(stem_execution *execution)
{
    if (!execution)
        return;
    stem_execution_reset(execution);
    stem_arena_free(&execution->arena);
    free(execution->writes);
    free(execution->previous);
    free(execution->expectations);
    free(execution->buffers);
    free(execution);
}

void *stem_execution_room(stem_execution *execution, size_t bytes)
{
    return stem_arena_take(&execution->arena, bytes);
}

void stem_execution_only_reads(stem_execution *execution)
{
    execution->only_reads = true;
}

/* ---- The overlay ------------------------------------------------------------------ */

/* Eight bytes at a time. The product of the two halves depends on the seed in a way that whoever
 * chooses the keys cannot foresee; the other one sees to it that no half of zero hides the
 * other. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    const uint64_t factor = UINT64_C(0x9E3779B97F4A7C15);
    const uint64_t mixed = hash ^ word;

    hash = (mixed & UINT32_MAX) * (mixed >> 32) + mixed * factor;
    return hash ^ hash >> 32;
}

static unsigned hash_key(const stem_execution *execution, stem_slice key)
{
    uint64_t hash = execution->seed + key.len, word;
    const char *bytes = key.data;
    size_t left = key.len;

    for (; left >= sizeof word; bytes += sizeof word, left -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        hash = mix(hash, word);
    }
    if (left > 0) {
        word = 0;
        memcpy(&word, bytes, left);
        hash = mix(hash, word);
    }
    return (unsigned)mix(hash, execution->seed << 1);
}

static overlay_entry *find_entry(const stem_execution *execution, stem_slice key,
                                 unsigned hash)
{
    overlay_entry *found = NULL;

    if (execution->entries)
        HASH_FIND_BYHASHVALUE(hh, execution->entries, key.data, (unsigned)key.len, hash,
                              found);
    return found;
}

overlay_entry *stem_overlay_entry(stem_execution *execution, stem_slice key)
{
    const unsigned hash = hash_key(execution, key);
    overlay_entry *made = find_entry(execution, key, hash);

    if (made)
        return made;
    made = stem_arena_take(&execution->arena, sizeof *made + key.len + 1);
    if (!made)
        return NULL;
    made->written = made->expected = 0;
    made->is_wanted = false;
    made->dropped = NULL;
    if (key.len > 0)
        memcpy(made->key, key.data, key.len);
    made->key[key.len] = '\0';
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, execution->entries, made->key, (unsigned)key.len,
                                hash, made);
    if (made->hh.tbl)
        return made;
    stem_fail(STEM_ENOMEM, "no memory for a key of %zu bytes", key.len);
    return NULL;
}

/* ---- Writing ---------------------------------------------------------------------- */

static size_t bytes_of(const stem_write *write)
{
    return write->key.len + write->value.len;
}

/* Adds a write to the log; the value is the execution's own. */
static int log_write(stem_execution *execution, overlay_entry *of, stem_slice value,
                     bool is_delete)
{
    const size_t n = execution->n_writes;

    int code = overlay_reserve(&execution->writes, &execution->writes_room, n, 1,
                               sizeof *execution->writes);
    if (code == STEM_OK)
        code = overlay_reserve(&execution->previous, &execution->previous_room, n, 1,
                               sizeof *execution->previous);
    if (code != STEM_OK)
        return code;
    execution->writes[n] = (stem_write){{of->key, of->hh.keylen}, value, is_delete};
    execution->previous[n] = of->written;
    if (of->written > 0)
        execution->pending_bytes -= bytes_of(&execution->writes[of->written - 1]);
    else
        execution->n_pending++;
    execution->pending_bytes += bytes_of(&execution->writes[n]);
    of->written = execution->n_writes = n + 1;
    return STEM_OK;
}

static int refuse_write(void)
{
    return stem_fail(STEM_EREADONLY, "a write among commands that only read");
}

int stem_execution_put_own(stem_execution *execution, stem_slice key, stem_slice value)
{
    if (execution->only_reads)
        return refuse_write();
    overlay_entry *of = stem_overlay_entry(execution, key);
    return of ? log_write(execution, of, value, false) : STEM_ENOMEM;
}

int stem_execution_put_room(stem_execution *execution, stem_slice key, size_t len,
                            char **value)
{
    char *room = stem_execution_room(execution, len);

    if (!room)
        return STEM_ENOMEM;
    int code = stem_execution_put_own(execution, key, (stem_slice){room, len});
    if (code == STEM_OK)
        *value = room;
    return code;
}

int stem_execution_put(stem_execution *execution, stem_slice key, stem_slice value)
{
    char *room;

    int code = stem_execution_put_room(execution, key, value.len, &room);
    if (code == STEM_OK && value.len > 0)
        memcpy(room, value.data, value.len);
    return code;
}

int stem_execution_delete(stem_execution *execution, stem_slice key)
{
    if (execution->only_reads)
        return refuse_write();
    overlay_entry *of = stem_overlay_entry(execution, key);
    if (!of)
        return STEM_ENOMEM;
    /* Of what is known to be absent, and is expected to be, nothing is to be deleted. */
    if (overlay_is_known(of) && !overlay_is_there(execution, of))
        return STEM_OK;
    return log_write(execution, of, (stem_slice){NULL, 0}, true);
}

size_t stem_execution_writes(const stem_execution *execution)
{
    return execution->n_pending;
}

size_t stem_execution_bytes(const stem_execution *execution)
{
    return execution->pending_bytes;
}

size_t stem_execution_own_bytes(const stem_execution *execution)
{
    return execution->pending_bytes > execution->begun_bytes
               ? execution->pending_bytes - execution->begun_bytes
               : 0;
}

size_t stem_execution_memory(const stem_execution *execution)
{
    return execution->arena.taken + execution->read_bytes;
}

void stem_execution_insist(stem_execution *execution)
{
    execution->insists = true;
}

stem_execution_mark stem_execution_note(const stem_execution *execution)
{
    return (stem_execution_mark){execution->n_writes};
}

void stem_execution_take_back(stem_execution *execution, stem_execution_mark mark)
{
    while (execution->n_writes > mark.writes) {
        const size_t n = --execution->n_writes;
        const stem_write *last = &execution->writes[n];
        const size_t previous = execution->previous[n];

        execution->pending_bytes -= bytes_of(last);
        if (previous > 0)
            execution->pending_bytes += bytes_of(&execution->writes[previous - 1]);
        else
            execution->n_pending--;
        overlay_entry_of(last->key.data)->written = previous;
    }
}

/* ---- Committing ------------------------------------------------------------------- */

/* Drops the writes that later ones replace. The entries do not find theirs any more. */
static void drop_replaced(stem_execution *execution)
{
    size_t kept = 0;

    for (size_t i = 0; i < execution->n_writes; i++) {
        const stem_write write = execution->writes[i];

        if (overlay_entry_of(write.key.data)->written == i + 1)
            execution->writes[kept++] = write;
    }
    execution->n_writes = kept;
}

int stem_execution_commit(stem_execution *execution, bool sync)
{
    stem_engine *engine = execution->engine;
    size_t failed;

    /* What came from one state of the engine, in one look, was true then. */
    if (execution->only_reads ||
        (execution->n_pending == 0 && execution->n_states <= 1 && !execution->insists))
        return STEM_OK;
    if (execution->n_pending < execution->n_writes)
        drop_replaced(execution);
    const stem_commit commit = {.writes = execution->writes,
                                .n_writes = execution->n_writes,
                                .expectations = execution->expectations,
                                .n_expectations = execution->n_expectations,
                                .sync = sync && execution->n_writes > 0,
                                .through = true};
    return engine->ops->commit(engine, &commit, &failed);
}
