/*
 * An engine over one that takes paths and MessagePack alone, as that of served databases does:
 * keys and values of any bytes become such, and come back as they were. The order of keys is
 * kept, so every promise of the contract is one of the engine below.
 */
#ifndef STEM_TESTS_TRANSLATING_ENGINE_H
#define STEM_TESTS_TRANSLATING_ENGINE_H

#include "engine.h"

/* Takes over the caller's use of `inner`. It has one user, as if it had been acquired. */
stem_engine *translating_engine_over(stem_engine *inner);
/* The one below, or the engine itself when it is another. */
stem_engine *translated_engine(stem_engine *engine);

#endif
