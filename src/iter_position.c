/*
 * Where a walk stands, as a path that outlives the engine's step, and going there: in the state
 * that it walks, or in another when an engine that serves it knows nothing of that one any more.
 *
 * The path is kept in stored form, so that going there needs no memory: whatever is refused is
 * refused before the walk is touched.
 */
#include <stdlib.h>
#include <string.h>

#include "iter.h"

/* ---- Keeping ---------------------------------------------------------------------- */

/* Room for a stored key and a NUL, with the prefix in it. */
static int make_room(stem_iter *iter, size_t size)
{
    const stem_db *place = iter->place;
    char *room = iter->kept_inline;
    size_t room_size = sizeof iter->kept_inline;

    if (size <= iter->kept_room)
        return STEM_OK;
    if (size > room_size) {
        room_size = 2 * size;
        room = malloc(room_size);
        if (!room)
            return stem_fail(STEM_ENOMEM, "no memory for a key of %zu bytes", size - 1);
    }
    if (iter->kept != iter->kept_inline)
        free(iter->kept);
    memcpy(room, place->prefix, place->prefix_len);
    iter->kept = room;
    iter->kept_room = room_size;
    return STEM_OK;
}

int stem_iter_keep(stem_iter *iter, stem_slice path, size_t len)
{
    const size_t prefix_len = iter->place->prefix_len;

    int code = make_room(iter, prefix_len + len + 1);
    if (code != STEM_OK)
        return code;
    memcpy(iter->kept + prefix_len, path.data, len);
    iter->kept[prefix_len + len] = '\0';
    iter->kept_len = len;
    iter->key = iter->kept + prefix_len;
    iter->key_len = len;
    return STEM_OK;
}

int stem_iter_keep_place(stem_iter *iter, const stem_db *place)
{
    const size_t prefix_len = iter->place->prefix_len;
    const stem_slice path = {place->prefix + prefix_len,
                             place->prefix_len - prefix_len - 1};

    return stem_iter_keep(iter, path, path.len);
}

/* ---- Going there ------------------------------------------------------------------ */

enum { NO_BYTE = -1 };

/* The byte behind the kept path in the key that is sought. Behind a path and a NUL lies all
 * below it, and behind it and a 1 come other names. In reverse, arriving at a name means
 * arriving behind all that lies below it, at or before the name with a 1 behind it. */
static int last_byte(const stem_iter *iter, enum stem_iter_position position)
{
    if (iter->is_reverse)
        return position == STEM_ITER_AT && iter->names_only ? 1 : NO_BYTE;
    if (position == STEM_ITER_BEHIND)
        return iter->names_only ? 1 : 0;
    return position == STEM_ITER_LEFT ? 1 : NO_BYTE;
}

/* Whether the key that is sought is no part of what is to come. There is no key right before
 * another, so in reverse what is given already is met again; and the name with a 1 behind it
 * may be a name itself. */
static bool is_to_pass(const stem_iter *iter, enum stem_iter_position position)
{
    return iter->is_reverse && (position == STEM_ITER_BEHIND ||
                                (position == STEM_ITER_AT && iter->names_only));
}

int stem_iter_go_to(stem_iter *iter, enum stem_iter_position position)
{
    iter->pending = is_to_pass(iter, position) ? STEM_ITER_PASSING : STEM_ITER_NOTHING;
    if (position == STEM_ITER_START)
        return iter->ops->iter_seek(iter->entries, (stem_slice){NULL, 0});

    const size_t len = iter->place->prefix_len + iter->kept_len;
    const int byte = last_byte(iter, position);
    if (byte != NO_BYTE)
        iter->kept[len] = (char)byte;
    int code = iter->ops->iter_seek(
        iter->entries, (stem_slice){iter->kept, len + (byte != NO_BYTE ? 1 : 0)});
    iter->kept[len] = '\0';
    return code;
}

bool stem_iter_is_passed(const stem_iter *iter, stem_slice path)
{
    const bool has_one = iter->position == STEM_ITER_AT;
    const size_t len = iter->kept_len;

    return path.len == len + (has_one ? 1 : 0) && (!has_one || path.data[len] == 1) &&
           memcmp(path.data, iter->kept + iter->place->prefix_len, len) == 0;
}

/* ---- Another state ---------------------------------------------------------------- */

int stem_iter_enter(stem_iter *iter)
{
    const stem_db *place = iter->place;
    stem_engine_iter *entries;

    int code = iter->ops->iter_open(place->engine, stem_db_snapshot(place),
                                    &iter->span.range, iter->is_reverse, &entries);
    if (code != STEM_OK)
        return code;
    if (iter->entries)
        iter->ops->iter_close(iter->entries);
    iter->entries = entries;
    iter->pending = STEM_ITER_NOTHING;
    return iter->position == STEM_ITER_START ? STEM_OK
                                             : stem_iter_go_to(iter, iter->position);
}

/* Forgets what a fresh walk has passed over in a state that is gone. */
static int start_again(stem_iter *iter)
{
    iter->position = iter->sought ? STEM_ITER_AT : STEM_ITER_START;
    return iter->sought ? stem_iter_keep_place(iter, iter->sought) : STEM_OK;
}

int stem_iter_resume(stem_iter *iter, int code, int (*step)(stem_iter *),
                     const stem_failure *before)
{
    while (code == STEM_EGONE && iter->n_gone < STEM_STATES_MAX) {
        iter->n_gone++;
        code = iter->is_fresh ? start_again(iter) : STEM_OK;
        if (code == STEM_OK)
            code = stem_iter_enter(iter);
        if (code == STEM_OK && step)
            code = step(iter);
    }
    if (code >= 0)
        stem_failure_restore(before);
    return code;
}
