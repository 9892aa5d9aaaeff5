/*
 * Twin worlds: two served databases that hold the same below a scope, and outside it each
 * something else. Whoever is confined to the scope cannot tell which of them he is in, and
 * leaves them as they are.
 */
#ifndef STEM_TESTS_SCOPE_WORLD_H
#define STEM_TESTS_SCOPE_WORLD_H

#include "engine/id.h"
#include "hostile.h"
#include "raw_client.h"
#include "stem.h"

enum { N_WORLDS = 2 };

/* In keys and values outside, and in no word that the confined client sends. */
#define SECRET "s3cr3t"

/* How somebody is confined. */
typedef struct confinement {
    const char *name;
    stem_slice scope;   /* as stored bytes, with the NUL behind it */
    const char *served; /* the sub-database that is served, or NULL */
    const char *user;   /* NULL where there are no users: whoever comes has every right */
    const char *asked;  /* what is asked for within that, as text, or NULL */
    bool is_tcp;
} confinement;

typedef struct scope_world {
    const confinement *how;
    stem_engine *engine; /* below the server's database, for a look from outside */
    stem_db *db, *served;
    stem_server *server;
    raw_client other; /* somebody who sees everything */
    char ids[HOSTILE_ROLES][STEM_ID_DIGITS + 1];
    stem_buffer
        outside; /* all keys and values outside the scope, as they were at first */
} scope_world;

/* The first world has much outside the scope, and a stranger who uses it; the second less and
 * other things, and ids of the stranger's that were never given out. */
void open_scope_worlds(scope_world worlds[N_WORLDS], const confinement *how);
void close_scope_worlds(scope_world worlds[N_WORLDS]);

/* Where the confined client goes. */
const char *scope_world_address(const scope_world *world);

/* The stranger changes something outside, and waits for the answer when he is told to: in
 * between others write at the same time. At last everything is as it was. */
void let_stranger_write(scope_world *world);
void wait_for_stranger(scope_world *world);
void let_stranger_restore(scope_world *world);

/* Whether what is outside is what was there at first, byte for byte. */
bool is_outside_untouched(const scope_world *world);
/* Whether the scopes of both hold the same. */
bool are_insides_alike(const scope_world worlds[N_WORLDS]);
/* Whether something of what is outside is in these bytes. */
bool has_secret(stem_slice bytes);

#endif
