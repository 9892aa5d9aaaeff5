/*
 * SCAN's cursors; see cursors.h. A table of all by number, and of each user who has any
 * with its cursors in the order in which they were made.
 */
#include "cursors.h"

#include <pthread.h>
#include <stdlib.h>

#include "../engine/id.h"
#include "../error.h"
#include "table.h"

typedef struct cursor_user {
    UT_hash_handle hh;
    struct cursor *oldest;
    size_t n_cursors;
    char name[];
} cursor_user;

typedef struct cursor {
    UT_hash_handle hh;
    uint64_t id;
    uint64_t before;
    cursor_user *of;
    struct cursor *prev, *next; /* of the user's */
    size_t scope_len, position_len;
    char bytes[]; /* of both */
} cursor;

struct stem_cursors {
    pthread_mutex_t lock;
    size_t limit;
    cursor *by_id;
    cursor_user *users;
};

stem_cursors *stem_cursors_new(size_t limit)
{
    stem_cursors *cursors = calloc(1, sizeof *cursors);

    if (!cursors)
        return NULL;
    pthread_mutex_init(&cursors->lock, NULL);
    cursors->limit = limit > 0 ? limit : STEM_CURSORS_LIMIT;
    return cursors;
}

static void remove_cursor(stem_cursors *cursors, cursor *gone)
{
    cursor_user *of = gone->of;

    HASH_DEL(cursors->by_id, gone);
    DL_DELETE(of->oldest, gone);
    if (--of->n_cursors == 0) {
        HASH_DEL(cursors->users, of);
        free(of);
    }
    free(gone);
}

void stem_cursors_free(stem_cursors *cursors)
{
    if (!cursors)
        return;
    while (cursors->by_id)
        remove_cursor(cursors, cursors->by_id);
    pthread_mutex_destroy(&cursors->lock);
    free(cursors);
}

static cursor *find(const stem_cursors *cursors, uint64_t id)
{
    cursor *found;

    HASH_FIND(hh, cursors->by_id, &id, sizeof id, found);
    return found;
}

/* The user of that name, made when there is none; NULL when there is no memory. */
static cursor_user *find_user(stem_cursors *cursors, stem_slice name)
{
    cursor_user *found;

    HASH_FIND(hh, cursors->users, name.data, name.len, found);
    if (found)
        return found;
    found = calloc(1, sizeof *found + name.len);
    if (!found)
        return NULL;
    if (name.len > 0)
        memcpy(found->name, name.data, name.len);
    HASH_ADD_KEYPTR(hh, cursors->users, found->name, name.len, found);
    if (!found->hh.tbl) {
        free(found);
        return NULL;
    }
    return found;
}

/* With no number and no user yet. */
static cursor *make_cursor(stem_slice scope, stem_slice position, uint64_t before)
{
    cursor *made = calloc(1, sizeof *made + scope.len + position.len);

    if (!made)
        return NULL;
    made->before = before;
    made->scope_len = scope.len;
    made->position_len = position.len;
    if (scope.len > 0)
        memcpy(made->bytes, scope.data, scope.len);
    if (position.len > 0)
        memcpy(made->bytes + scope.len, position.data, position.len);
    return made;
}

static int choose_id(const stem_cursors *cursors, uint64_t *id)
{
    int code;

    do {
        code = stem_random(id, sizeof *id);
        *id >>= 1;
    } while (code == STEM_OK && (*id == 0 || find(cursors, *id)));
    return code;
}

/* Puts a cursor into the tables; `made` is theirs on STEM_OK alone. */
static int enter(stem_cursors *cursors, stem_slice name, cursor *made)
{
    int code = choose_id(cursors, &made->id);
    if (code != STEM_OK)
        return code;
    made->of = find_user(cursors, name);
    if (!made->of)
        return stem_fail(STEM_ENOMEM, "no memory for a cursor");
    HASH_ADD(hh, cursors->by_id, id, sizeof made->id, made);
    if (!made->hh.tbl) {
        if (made->of->n_cursors == 0) {
            HASH_DEL(cursors->users, made->of);
            free(made->of);
        }
        return stem_fail(STEM_ENOMEM, "no memory for a cursor");
    }
    DL_APPEND(made->of->oldest, made);
    if (++made->of->n_cursors > cursors->limit)
        remove_cursor(cursors, made->of->oldest);
    return STEM_OK;
}

int stem_cursors_keep(stem_cursors *cursors, stem_slice user, stem_slice scope,
                      stem_slice position, uint64_t before, uint64_t *id)
{
    cursor *made = make_cursor(scope, position, before);

    if (!made)
        return stem_fail(STEM_ENOMEM, "no memory for a cursor");
    pthread_mutex_lock(&cursors->lock);
    int code = enter(cursors, user, made);
    if (code == STEM_OK)
        *id = made->id;
    pthread_mutex_unlock(&cursors->lock);
    if (code != STEM_OK)
        free(made);
    return code;
}

static bool is_for(const cursor *found, stem_slice name, stem_slice scope)
{
    return stem_slice_compare((stem_slice){found->of->name, found->of->hh.keylen},
                              name) == 0 &&
           stem_slice_compare((stem_slice){found->bytes, found->scope_len}, scope) == 0;
}

int stem_cursors_find(stem_cursors *cursors, stem_slice user, stem_slice scope,
                      uint64_t id, stem_buffer *position)
{
    pthread_mutex_lock(&cursors->lock);
    cursor *found = find(cursors, id);
    if (found && !is_for(found, user, scope))
        found = NULL;
    if (found) {
        cursor *before = find(cursors, found->before);

        stem_buffer_add(position, found->bytes + found->scope_len, found->position_len);
        if (before && before->of == found->of)
            remove_cursor(cursors, before);
        found->before = 0;
    }
    pthread_mutex_unlock(&cursors->lock);
    return found ? STEM_OK : STEM_NOTFOUND;
}
