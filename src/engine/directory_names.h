/*
 * What the names in a database's directory are, shared by directory.c and
 * directory_files.c.
 */
#ifndef STEM_ENGINE_DIRECTORY_NAMES_H
#define STEM_ENGINE_DIRECTORY_NAMES_H

#include <dirent.h>

#include "directory.h"

#define STEM_MARKER_NAME "STEM"
#define STEM_LOCK_NAME "stem.lock"
/* What CURRENT is renamed to as a removal begins. */
#define STEM_REMOVAL_NAME "stem.removal"
/* At which the owner of a shared database listens. */
#define STEM_SOCKET_NAME "stem.sock"

/* PASSING files are LevelDB's and hold no data: LOCK, the info log, temporary files. */
enum stem_file_kind { FOREIGN, OURS, CURRENT, MANIFEST, LOG, TABLE, PASSING };

/* What a name is to LevelDB (its filename.cc), and the number within it. */
enum stem_file_kind stem_file_classify(const char *name, uint64_t *number);

/* Fails with what errno says, of the directory or a name in it (""). */
int stem_directory_fail(const stem_directory *dir, const char *what, const char *name);

/* A listing, to be closed with stem_listing_close, or NULL after a failure. */
DIR *stem_directory_list(const stem_directory *dir);

/* The next name but "." and "..", or NULL at the end; errno tells a failure from the
 * end. */
const char *stem_directory_next(DIR *listing);

#endif
