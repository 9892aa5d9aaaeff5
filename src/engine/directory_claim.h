/*
 * Claiming a database's directory: what has to be right before LevelDB is called.
 */
#ifndef STEM_ENGINE_DIRECTORY_CLAIM_H
#define STEM_ENGINE_DIRECTORY_CLAIM_H

#include "directory.h"

/* Whether the options let a database be made where there is none. */
bool stem_may_create(const stem_options *options);

/* Looks without the lock, changing nothing: STEM_OK when the directory holds a database, or may
 * get one; STEM_NOTFOUND, STEM_EXISTS as the options ask; failures as stem_directory_look. */
int stem_directory_expect(stem_directory *dir, const stem_options *options,
                          enum stem_directory_claim claim);

/* The same, and takes the lock, signs and marks. `*is_new` tells that there is no database yet;
 * it is set also on failure. STEM_ELOCKED when somebody has it. */
int stem_directory_claim(stem_directory *dir, const stem_options *options,
                         enum stem_directory_claim claim, bool *is_new);

/* Undoes what claiming and LevelDB left in a directory that had no database, and closes it;
 * `made` tells that the directory itself was made for it. Whoever has given up the lock has
 * nothing to undo any more: what lies there now may be another's. */
void stem_directory_unclaim(stem_directory *dir, bool made, bool is_new);

#endif
