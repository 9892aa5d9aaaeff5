/*
 * What LevelDB's files hold, without LevelDB: whether they are whole, as far as their own
 * checksums tell, which is asked when LevelDB has found damage and does not say where; and
 * how many entries there are.
 */
#ifndef STEM_ENGINE_LEVELDB_FILES_H
#define STEM_ENGINE_LEVELDB_FILES_H

#include "directory.h"

enum { STEM_MANIFEST_ROOM = 32 };

/* False for a table whose blocks do not follow each other from its start to its footer,
 * each with its own checksum. True as well for one that cannot be read at all: that is
 * told otherwise. `directory` is a descriptor. */
bool stem_leveldb_table_is_whole(int directory, const char *name);

/* The same for a log or a MANIFEST. A last record that is cut short is a crash's, no
 * damage. */
bool stem_leveldb_log_is_whole(int directory, const char *name);

/* How many puts and deletes are in the log, up to where it is torn. */
uint64_t stem_leveldb_log_entries(int directory, const char *name);

/* How many bytes of a log or a MANIFEST are records that are whole, from its start on. */
size_t stem_leveldb_whole_records(const unsigned char *bytes, size_t size);

/* Whether CURRENT names a MANIFEST that is there; its name in `manifest`. */
bool stem_leveldb_current_is_whole(int directory, char manifest[STEM_MANIFEST_ROOM]);

/* leveldb_manifest.c. STEM_ECORRUPT, naming it, for a MANIFEST that has lost its end, or
 * the log that it names last. */
int stem_leveldb_check_manifest(const stem_directory *dir);

/* leveldb_manifest.c. Cuts off what stands behind the last record that was whole in a MANIFEST
 * after a write to it has failed, when LevelDB is closed. Nothing when that is no earlier state
 * all of which is still there: then LevelDB tells. */
int stem_leveldb_cut_manifest(const stem_directory *dir);

#endif
