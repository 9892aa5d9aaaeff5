/*
 * What tests of users share: a hash that need not be made at each run, and too little memory
 * to check one.
 */
#ifndef STEM_TESTS_USERS_H
#define STEM_TESTS_USERS_H

#include <check.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Of the password "secret". */
#define HASH_OF_SECRET                                                                   \
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZSBzYWx0IGhlcmUuLg$"                             \
    "jZg6SxNHWGhdNY9NnSX85Hv8juEW8ioWfpViZtX/1PU"

/* From now on this process has memory, but not the 64 MiB that a hash takes. */
static inline void leave_no_memory_for_a_hash(void)
{
    struct rlimit limit = {0, RLIM_INFINITY};
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    ck_assert(file && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (32 << 20);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

#endif
