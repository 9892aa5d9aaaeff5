/*
 * What the engines have in common when they judge the expectations of a commit.
 */
#ifndef STEM_ENGINE_EXPECTATION_H
#define STEM_ENGINE_EXPECTATION_H

#include <stdlib.h>
#include <string.h>

#include "../engine.h"

/* Whether the expectation is on the bytes that a read found, and needs no other. */
static inline bool stem_rests_on_read(const stem_expectation *expectation)
{
    return expectation->kind != STEM_EXPECT_EMPTY && expectation->stamp != 0;
}

/* Judges an expectation on one key by what the engine has now: STEM_OK when it holds,
 * STEM_CONFLICT when not. */
static inline int stem_judge_key(stem_engine *engine, const stem_expectation *expectation)
{
    const stem_slice wanted = expectation->value;
    stem_read read;

    int code = engine->ops->read(engine, NULL, &expectation->key, 1, &read);
    if (code != STEM_OK)
        return code;
    bool holds = !read.data;
    if (expectation->kind != STEM_EXPECT_ABSENT)
        holds = read.data && wanted.len == read.len &&
                (wanted.len == 0 || memcmp(wanted.data, read.data, wanted.len) == 0);
    free(read.data);
    return holds ? STEM_OK : STEM_CONFLICT;
}

#endif
