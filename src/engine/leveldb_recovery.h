/*
 * Whether LevelDB can recover a database without losing in silence what was committed, looked at
 * while it is closed.
 */
#ifndef STEM_ENGINE_LEVELDB_RECOVERY_H
#define STEM_ENGINE_LEVELDB_RECOVERY_H

#include "directory.h"

/* STEM_ECORRUPT, naming the file, where the MANIFEST is damaged, or a log is and whole records
 * are behind the damage, in that or in a newer one; logs are not looked at unless `verify` is
 * set. What a crash has left at their ends, which LevelDB would refuse, is cut off. */
int stem_leveldb_check_recovery(const stem_directory *dir, bool verify);

#endif
