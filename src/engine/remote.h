/*
 * The engine of served databases: see docs/wire.md, "Stem's own commands" and "Sessions".
 */
#ifndef STEM_ENGINE_REMOTE_H
#define STEM_ENGINE_REMOTE_H

#include "../engine.h"

/* Connects to a server, logs in and attaches. Where nothing listens it waits within the time
 * limit: a server may be starting. Each open is an engine with a session of its
 * own. `options` may name what a server's client has; what is of an engine's own is
 * STEM_EINVAL. */
int stem_remote_open(const char *location, const stem_options *options,
                     stem_engine **engine);

/* Asked before a call that found no server to answer it is repeated: STEM_OK when that has a
 * prospect, else the failure to answer with. `ask` may be NULL. */
typedef struct stem_remote_outlook {
    int (*ask)(void *context);
    void *context;
} stem_remote_outlook;

/* The same for the owner of a shared database, which may be replaced by another at any time: by
 * way of its socket, one attempt. `shown` is what people are told. STEM_EACCES when it is of
 * another user. */
int stem_remote_open_shared(const char *socket, const char *shown, size_t timeout_ms,
                            stem_remote_outlook outlook, stem_engine **engine);

/* For the calls from now on; no other thread uses the engine meanwhile. */
void stem_remote_set_timeout(stem_engine *engine, size_t timeout_ms);

/* Sets the settings that the owner of a shared database has in effect. */
int stem_remote_ask_settings(stem_engine *engine, stem_options *options);

enum { STEM_REMOTE_TIMEOUT_MS = 30000 };
/* STEM_EINVAL when it is out of range. */
int stem_remote_check_timeout(size_t timeout_ms);

#endif
