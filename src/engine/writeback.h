/*
 * The write-back engine as location.c opens it.
 */
#ifndef STEM_ENGINE_WRITEBACK_H
#define STEM_ENGINE_WRITEBACK_H

#include "../engine.h"

/* STEM_EINVAL, naming the option, when one that concerns write-back is out of range. */
int stem_writeback_check_options(const stem_options *options);

/* Fills in what a zero stands for; without write-back it stays zero. */
void stem_writeback_complete_options(stem_options *options);

/* Puts write-back in front of an engine, which it owns from then on. After a failure the
 * engine is untouched and the caller's. The options are complete. */
int stem_writeback_open(stem_engine *below, const stem_options *options,
                        stem_engine **engine);

/* In a child, before anything else is called: the engines of the parent are none of its own. */
void stem_writeback_after_fork(void);

#endif
