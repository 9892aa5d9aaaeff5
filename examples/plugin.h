/*
 * What the host in modules.c and its plug-ins agree on: one function, which is given the
 * one place in the database that the plug-in may use.
 */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <stem.h>

/* Runs once on `db`, which stays the host's to close; answers with a stem_code. */
__attribute__((visibility("default"))) int plugin_run(stem_db *db);

#endif
