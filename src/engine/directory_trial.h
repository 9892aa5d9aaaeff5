/*
 * A directory of links to a database's files, below it, in which LevelDB is opened to see
 * whether it could open the database itself: that takes as much room, and leaves the files as
 * they are.
 */
#ifndef STEM_ENGINE_DIRECTORY_TRIAL_H
#define STEM_ENGINE_DIRECTORY_TRIAL_H

#include "directory.h"

/* Makes it. STEM_EIO also where the file system has no links. */
int stem_directory_open_trial(const stem_directory *dir, stem_directory *trial);
/* Closes and removes it. */
void stem_directory_close_trial(const stem_directory *dir, stem_directory *trial);
/* Removes one that a process which died has left: its links keep the room of files that the
 * database needs no more. */
void stem_directory_clear_trial(const stem_directory *dir);

#endif
