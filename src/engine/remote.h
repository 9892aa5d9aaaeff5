/*
 * The engine of served databases: see docs/wire.md, "Stem's own commands" and "Sessions".
 */
#ifndef STEM_ENGINE_REMOTE_H
#define STEM_ENGINE_REMOTE_H

#include "../engine.h"

/* Connects to a server, logs in and attaches. Each open is an engine with a session of its
 * own. `options` may name what a server's client has; what is of an engine's own is
 * STEM_EINVAL. */
int stem_remote_open(const char *location, const stem_options *options,
                     stem_engine **engine);

#endif
