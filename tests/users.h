/*
 * What tests of users share: a hash that need not be made at each run.
 */
#ifndef STEM_TESTS_USERS_H
#define STEM_TESTS_USERS_H

/* Of the password "secret". */
#define HASH_OF_SECRET                                                                   \
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZSBzYWx0IGhlcmUuLg$"                             \
    "jZg6SxNHWGhdNY9NnSX85Hv8juEW8ioWfpViZtX/1PU"

#endif
