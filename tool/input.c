/*
 * Reading files and standard input, whole.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static char *read_all(FILE *file, size_t *len)
{
    size_t size = 65536;
    char *data = need_memory(malloc(size));

    *len = 0;
    for (;;) {
        size_t n = fread(data + *len, 1, size - *len - 1, file);

        *len += n;
        if (n == 0)
            break;
        if (*len == size - 1) {
            size *= 2;
            data = need_memory(realloc(data, size));
        }
    }
    data[*len] = '\0';
    return data;
}

char *read_input(const char *name, size_t *len)
{
    bool is_stdin = strcmp(name, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(name, "rb");
    char *data;

    if (!file) {
        complain("cannot open %s: %s", name, strerror(errno));
        return NULL;
    }
    errno = 0;
    data = read_all(file, len);
    if (ferror(file)) {
        complain("cannot read %s: %s", is_stdin ? "standard input" : name,
                 strerror(errno));
        free(data);
        data = NULL;
    }
    if (!is_stdin)
        fclose(file);
    return data;
}
