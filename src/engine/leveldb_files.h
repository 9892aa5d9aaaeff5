/*
 * What LevelDB's files hold, without LevelDB: whether they are whole, as far as their own
 * checksums tell, which is asked when LevelDB has found damage and does not say where.
 */
#ifndef STEM_ENGINE_LEVELDB_FILES_H
#define STEM_ENGINE_LEVELDB_FILES_H

#include "directory.h"

enum { STEM_MANIFEST_ROOM = 32 };

enum stem_table_state {
    STEM_TABLE_WHOLE,
    /* Its blocks do not follow each other from its start to its footer, each with its own
     * checksum; or it is no file. */
    STEM_TABLE_DAMAGED,
    STEM_TABLE_MISSING,
    STEM_TABLE_UNREADABLE /* for now: errno says why */
};
/* `directory` is a descriptor. */
enum stem_table_state stem_leveldb_look_at_table(int directory, const char *name);

/* Whether CURRENT names a MANIFEST that is there; its name in `manifest`. */
bool stem_leveldb_current_is_whole(int directory, char manifest[STEM_MANIFEST_ROOM]);

#endif
