/*
 * The LevelDB engine as location.c opens it.
 */
#ifndef STEM_ENGINE_LEVELDB_H
#define STEM_ENGINE_LEVELDB_H

#include "../engine.h"
#include "directory.h"

/* STEM_EINVAL, naming the option, when one that concerns LevelDB is out of range. */
int stem_leveldb_check_options(const stem_options *options);

/* The options with every zero replaced by what it stands for. */
stem_options stem_leveldb_effective_options(const stem_options *options);

/* Opens the LevelDB in a marked and locked directory, making it when there is none. The
 * directory is borrowed until the engine is closed; the options are effective ones. */
int stem_leveldb_open(const stem_directory *dir, const stem_options *options,
                      stem_engine **engine);

#endif
