/*
 * Random numbers that are the same in every run.
 */
#ifndef STEM_TESTS_RANDOM_H
#define STEM_TESTS_RANDOM_H

#include <stdint.h>

static uint64_t random_state = 42;

/* A number from 0 to n - 1. */
static inline uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

#endif
