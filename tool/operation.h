/*
 * One operation of `stem batch`, read from its JSON object.
 */
#ifndef STEM_TOOL_OPERATION_H
#define STEM_TOOL_OPERATION_H

#include <stddef.h>

#include "stem.h"

enum operation_kind { PUT, DEL, EXPECT, EXPECT_ABSENT, EXPECT_EMPTY, N_OPERATION_KINDS };

extern const char *const operation_names[N_OPERATION_KINDS];

typedef struct operation {
    enum operation_kind kind;
    char *path; /* in text form */
    char **names;
    size_t n_names;   /* 0 only for EXPECT_EMPTY */
    stem_value value; /* of PUT and EXPECT; borrows from the object */
} operation;

/* NULL, or what is wrong with the object, owned: free. operation_free is due in either
 * case. */
char *operation_read(const stem_value *object, operation *what);
void operation_free(operation *what);

#endif
