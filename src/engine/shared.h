/*
 * The engine of a directory that processes share by its location: one of them, the owner, has
 * the store open and serves the others at a socket in the directory; when it is gone another
 * takes its place. See docs/sharing.md.
 */
#ifndef STEM_ENGINE_SHARED_H
#define STEM_ENGINE_SHARED_H

#include "../engine.h"
#include "directory.h"

typedef struct stem_shared_place {
    stem_directory
        *dir; /* lent until the engine is closed; locked while this is the owner */
    const stem_engine_host *host;
    stem_options options; /* as asked for; when it is open, those in effect */
} stem_shared_place;

/* Becomes the owner, or joins it. STEM_NOTFOUND, STEM_EXISTS as the options ask; STEM_ELOCKED
 * when somebody has the database who does not share it; STEM_EINVAL when it is shared with
 * other options. `*is_new` tells, also on failure, that there was no database when this got the
 * lock, which it has. */
int stem_shared_open(stem_shared_place *place, bool *is_new, stem_engine **engine);

/* In a child, before anything else is called: nobody holds the locks of this room. */
void stem_shared_after_fork(void);

#endif
