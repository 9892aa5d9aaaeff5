/*
 * Whether two handles lead into the same keys, although each was opened by itself: two clients
 * of one server, or a client of a server and who has its database. To copy such a place onto
 * itself, or to move it there, would destroy it.
 */
#include "db.h"
#include "engine/place_id.h"
#include "error.h"

static int identify(const stem_db *db, stem_place_id *id)
{
    return db->engine->ops->identify(db->engine, id);
}

/* Asks for both in one and the same moment: a store that another process takes over has other
 * ids from then on. */
static int identify_both(const stem_db *a, const stem_db *b, stem_place_id *id_a,
                         stem_place_id *id_b)
{
    stem_place_id before;

    int code = identify(a, &before);
    for (int i = 0; i < STEM_STATES_MAX && code == STEM_OK; i++) {
        code = identify(b, id_b);
        if (code == STEM_OK)
            code = identify(a, id_a);
        if (code != STEM_OK || stem_id_equal(&before.store, &id_a->store))
            return code;
        before = *id_a;
    }
    return code == STEM_OK ? stem_fail(STEM_EIO, "the database is another's all the time")
                           : code;
}

int stem_db_compare_keys(const stem_db *a, const stem_db *b, bool *are_same)
{
    stem_place_id id_a, id_b;

    *are_same = a->engine == b->engine;
    if (*are_same)
        return STEM_OK;
    const int code = identify_both(a, b, &id_a, &id_b);
    if (code != STEM_OK || !stem_id_equal(&id_a.store, &id_b.store))
        return code;
    *are_same = stem_id_equal(&id_a.place, &id_b.place);
    return *are_same
               ? STEM_OK
               : stem_fail(STEM_EINVAL,
                           "both are of one database, seen in different scopes, and may "
                           "be one place: open both in the same scope");
}
