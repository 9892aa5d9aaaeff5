/*
 * Random numbers that are the same in every run, unless STEM_TEST_SEED says otherwise.
 * Each thread has its own, and sets random_state apart from the others' where it matters.
 */
#ifndef STEM_TESTS_RANDOM_H
#define STEM_TESTS_RANDOM_H

#include <stdint.h>
#include <stdlib.h>

static _Thread_local uint64_t random_state = 42;

/* A number from 0 to n - 1. */
static inline uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

/* Starts from the seed in STEM_TEST_SEED when there is one; returns the seed. */
static inline uint64_t random_start(void)
{
    const char *text = getenv("STEM_TEST_SEED");

    return random_state = text && *text ? strtoull(text, NULL, 0) : random_state;
}

#endif
