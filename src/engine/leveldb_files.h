/*
 * What LevelDB's files hold, without LevelDB: whether they are whole, as far as their own
 * checksums tell, which is asked when LevelDB has found damage and does not say where.
 */
#ifndef STEM_ENGINE_LEVELDB_FILES_H
#define STEM_ENGINE_LEVELDB_FILES_H

#include "directory.h"

enum { STEM_MANIFEST_ROOM = 32 };

/* False for a table whose blocks do not follow each other from its start to its footer,
 * each with its own checksum. True as well for one that cannot be read at all: that is
 * told otherwise. `directory` is a descriptor. */
bool stem_leveldb_table_is_whole(int directory, const char *name);

/* Whether CURRENT names a MANIFEST that is there; its name in `manifest`. */
bool stem_leveldb_current_is_whole(int directory, char manifest[STEM_MANIFEST_ROOM]);

#endif
