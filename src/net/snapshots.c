/*
 * Snapshots under random names; see snapshots.h. Those that have a name are in a table by
 * name, in the list of their holder, and in one list of all, the one that was used last
 * at its end. One that is in use when its name goes is closed when it is given back.
 */
#include "snapshots.h"

#include <pthread.h>
#include <stdlib.h>

#include "../clock.h"
#include "../error.h"
#include "table.h"

enum { DEFAULT_LIMIT = 64, DEFAULT_IDLE_SECONDS = 300 };

typedef struct snapshot_holder {
    UT_hash_handle hh;
    stem_held_snapshot *first;
    size_t n_held;
    char name[];
} snapshot_holder;

struct stem_held_snapshot {
    UT_hash_handle hh;
    stem_id id;
    stem_engine_snapshot *snapshot;
    snapshot_holder *of; /* NULL once the name is gone */
    size_t n_uses;
    uint64_t used_at;
    stem_held_snapshot *prev, *next;             /* of the holder's */
    stem_held_snapshot *used_before, *used_next; /* of all */
};

struct stem_snapshots {
    pthread_mutex_t lock;
    stem_engine *engine;
    size_t limit;
    uint64_t idle;
    stem_held_snapshot *by_id;
    stem_held_snapshot *idlest;
    snapshot_holder *holders;
};

stem_snapshots *stem_snapshots_new(stem_engine *engine,
                                   const stem_snapshots_options *options)
{
    stem_snapshots *snapshots = calloc(1, sizeof *snapshots);

    if (!snapshots)
        return NULL;
    pthread_mutex_init(&snapshots->lock, NULL);
    snapshots->engine = engine;
    snapshots->limit = options && options->limit ? options->limit : DEFAULT_LIMIT;
    snapshots->idle =
        STEM_SECOND * (options && options->idle_seconds ? options->idle_seconds
                                                        : (unsigned)DEFAULT_IDLE_SECONDS);
    return snapshots;
}

static void destroy(stem_snapshots *snapshots, stem_held_snapshot *held)
{
    if (held->snapshot)
        snapshots->engine->ops->snapshot_close(snapshots->engine, held->snapshot);
    free(held);
}

static void remove_if_unused(stem_snapshots *snapshots, snapshot_holder *of)
{
    if (of->n_held > 0)
        return;
    HASH_DEL(snapshots->holders, of);
    free(of);
}

/* Takes the name away, and closes the snapshot unless it is in use. */
static void forget(stem_snapshots *snapshots, stem_held_snapshot *held)
{
    snapshot_holder *of = held->of;

    HASH_DEL(snapshots->by_id, held);
    DL_DELETE2(snapshots->idlest, held, used_before, used_next);
    DL_DELETE(of->first, held);
    of->n_held--;
    remove_if_unused(snapshots, of);
    held->of = NULL;
    if (held->n_uses == 0)
        destroy(snapshots, held);
}

void stem_snapshots_free(stem_snapshots *snapshots)
{
    if (!snapshots)
        return;
    while (snapshots->by_id)
        forget(snapshots, snapshots->by_id);
    pthread_mutex_destroy(&snapshots->lock);
    free(snapshots);
}

/* ---- Opening ---------------------------------------------------------------------- */

static snapshot_holder *find_holder(const stem_snapshots *snapshots, stem_slice name)
{
    snapshot_holder *found;

    HASH_FIND(hh, snapshots->holders, name.data, name.len, found);
    return found;
}

static snapshot_holder *make_holder(stem_snapshots *snapshots, stem_slice name)
{
    snapshot_holder *made = calloc(1, sizeof *made + name.len);

    if (!made)
        return NULL;
    if (name.len > 0)
        memcpy(made->name, name.data, name.len);
    HASH_ADD_KEYPTR(hh, snapshots->holders, made->name, name.len, made);
    if (made->hh.tbl)
        return made;
    free(made);
    return NULL;
}

/* Enters the snapshot under its name, as its holder's. */
static int enter(stem_snapshots *snapshots, stem_slice name, stem_held_snapshot *held)
{
    snapshot_holder *of = find_holder(snapshots, name);

    if (of && of->n_held >= snapshots->limit)
        return stem_fail(STEM_ERANGE, "%zu snapshots are open, and no more may be",
                         of->n_held);
    if (!of && !(of = make_holder(snapshots, name)))
        return stem_fail(STEM_ENOMEM, "no memory for a snapshot");
    HASH_ADD(hh, snapshots->by_id, id, sizeof held->id, held);
    if (!held->hh.tbl) {
        remove_if_unused(snapshots, of);
        return stem_fail(STEM_ENOMEM, "no memory for a snapshot");
    }
    DL_APPEND(of->first, held);
    of->n_held++;
    held->of = of;
    held->used_at = stem_clock();
    DL_APPEND2(snapshots->idlest, held, used_before, used_next);
    return STEM_OK;
}

int stem_snapshots_open(stem_snapshots *snapshots, stem_slice holder, stem_id *id)
{
    stem_engine *engine = snapshots->engine;
    stem_held_snapshot *held = calloc(1, sizeof *held);

    if (!held)
        return stem_fail(STEM_ENOMEM, "no memory for a snapshot");
    int code = stem_id_make(&held->id);
    /* Not under the lock: the engine may wait for who is writing. */
    if (code == STEM_OK)
        code = engine->ops->snapshot_open(engine, &held->snapshot);
    if (code == STEM_OK) {
        const stem_id made = held->id;

        pthread_mutex_lock(&snapshots->lock);
        code = enter(snapshots, holder, held);
        pthread_mutex_unlock(&snapshots->lock);
        if (code == STEM_OK)
            *id = made;
    }
    if (code != STEM_OK)
        destroy(snapshots, held);
    return code;
}

/* ---- Using ------------------------------------------------------------------------ */

/* The holder's own of that name, or NULL. */
static stem_held_snapshot *find(const stem_snapshots *snapshots, stem_slice name,
                                const stem_id *id)
{
    stem_held_snapshot *found;

    HASH_FIND(hh, snapshots->by_id, id, sizeof *id, found);
    if (found && stem_slice_compare((stem_slice){found->of->name, found->of->hh.keylen},
                                    name) != 0)
        found = NULL;
    return found;
}

stem_held_snapshot *stem_snapshots_take(stem_snapshots *snapshots, stem_slice holder,
                                        const stem_id *id)
{
    pthread_mutex_lock(&snapshots->lock);
    stem_held_snapshot *held = find(snapshots, holder, id);
    if (held)
        held->n_uses++;
    pthread_mutex_unlock(&snapshots->lock);
    return held;
}

const stem_engine_snapshot *stem_held_snapshot_of(const stem_held_snapshot *held)
{
    return held->snapshot;
}

void stem_snapshots_give_back(stem_snapshots *snapshots, stem_held_snapshot *held)
{
    pthread_mutex_lock(&snapshots->lock);
    held->n_uses--;
    if (held->of) {
        held->used_at = stem_clock();
        DL_DELETE2(snapshots->idlest, held, used_before, used_next);
        DL_APPEND2(snapshots->idlest, held, used_before, used_next);
    } else if (held->n_uses == 0) {
        destroy(snapshots, held);
    }
    pthread_mutex_unlock(&snapshots->lock);
}

/* ---- Letting go ------------------------------------------------------------------- */

void stem_snapshots_drop(stem_snapshots *snapshots, stem_slice holder, const stem_id *id)
{
    pthread_mutex_lock(&snapshots->lock);
    stem_held_snapshot *held = find(snapshots, holder, id);
    if (held)
        forget(snapshots, held);
    pthread_mutex_unlock(&snapshots->lock);
}

void stem_snapshots_drop_all(stem_snapshots *snapshots, stem_slice holder)
{
    pthread_mutex_lock(&snapshots->lock);
    const snapshot_holder *of = find_holder(snapshots, holder);
    /* With the last of them the holder goes. */
    for (size_t n = of ? of->n_held : 0; n > 0; n--)
        forget(snapshots, of->first);
    pthread_mutex_unlock(&snapshots->lock);
}

void stem_snapshots_expire(stem_snapshots *snapshots, uint64_t now)
{
    stem_held_snapshot *each, *next;

    pthread_mutex_lock(&snapshots->lock);
    for (each = snapshots->idlest; each && each->used_at + snapshots->idle <= now;
         each = next) {
        next = each->used_next;
        if (each->n_uses == 0)
            forget(snapshots, each);
    }
    pthread_mutex_unlock(&snapshots->lock);
}

uint64_t stem_snapshots_last_use(stem_snapshots *snapshots)
{
    pthread_mutex_lock(&snapshots->lock);
    /* The head's `used_before` is the tail, which was used last. */
    const stem_held_snapshot *idlest = snapshots->idlest;
    const uint64_t used = idlest ? idlest->used_before->used_at : 0;
    pthread_mutex_unlock(&snapshots->lock);
    return used;
}

size_t stem_snapshots_count(stem_snapshots *snapshots)
{
    pthread_mutex_lock(&snapshots->lock);
    size_t n = HASH_COUNT(snapshots->by_id);
    pthread_mutex_unlock(&snapshots->lock);
    return n;
}
