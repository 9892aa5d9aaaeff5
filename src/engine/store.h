/*
 * The store of a directory: its LevelDB, with write-back in front where that is asked for.
 */
#ifndef STEM_ENGINE_STORE_H
#define STEM_ENGINE_STORE_H

#include "../engine.h"
#include "directory.h"

/* STEM_EINVAL, naming the option, when one that concerns the whole database is out of range. */
int stem_store_check_options(const stem_options *options);
/* The options with every zero replaced by what it stands for. */
stem_options stem_store_complete_options(const stem_options *options);
/* STEM_EINVAL, naming the option, when one that concerns the whole database is neither zero nor
 * what it is in `open`, the options in effect; `where` says of what they are. */
int stem_store_check_same(const stem_options *wanted, const stem_options *open,
                          const char *where);

/* The settings of the whole database, as names and values, for who has to tell another process:
 * setting number `i`, or NULL behind the last. */
const char *stem_store_setting(const stem_options *options, size_t i, uint64_t *value);
/* Sets one by its name; false when there is none of that name, or the value is no setting. */
bool stem_store_set(stem_options *options, stem_slice name, uint64_t value);

/* STEM_EFORK in a process forked from one that had used LevelDB, which has no background thread
 * here, and no way to start another. */
int stem_store_check_process(void);
/* The same as a question. */
bool stem_store_may_open(void);

/* Opens what a marked and locked directory has, or makes it. The directory is borrowed until the
 * engine is closed; the options are complete. */
int stem_store_open(const stem_directory *dir, const stem_options *options,
                    stem_engine **engine);

#endif
