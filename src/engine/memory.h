/*
 * Private directories on memory-backed storage, for `mem:`.
 */
#ifndef STEM_ENGINE_MEMORY_H
#define STEM_ENGINE_MEMORY_H

#include "directory.h"

/* Makes a new directory, locked and marked, after removing those whose processes have
 * died. Waits while another process of the user does this. STEM_ENOTSUP when the system
 * has no memory-backed storage. */
int stem_memory_directory(stem_directory *dir);

#endif
