/*
 * A server's end of the wire; see wire_peer.h.
 */
#include "wire_peer.h"

#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int listen_at(const char *path)
{
    enum { BACKLOG = 64 };
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, BACKLOG) != 0)
        abort();
    return fd;
}

FILE *open_peer(int fd)
{
    FILE *peer = fdopen(fd, "r");

    __fsetlocking(peer, FSETLOCKING_BYCALLER);
    return peer;
}

/* The number behind the sign, or -1. */
static long read_head(FILE *from, char sign)
{
    char line[32];

    return fgets(line, sizeof line, from) && *line == sign ? strtol(line + 1, NULL, 10)
                                                           : -1;
}

bool read_request(FILE *from, wire_request *request)
{
    const long n = read_head(from, '*');

    if (n < 0)
        return false;
    *request = (wire_request){calloc((size_t)n + 1, sizeof(stem_slice)), 0};
    while (request->n < (size_t)n) {
        const long len = read_head(from, '$');
        char *word = len < 0 ? NULL : malloc((size_t)len + 2);

        if (!word || fread(word, 1, (size_t)len + 2, from) != (size_t)len + 2) {
            free(word);
            free_request(request);
            return false;
        }
        word[len] = '\0';
        request->words[request->n++] = (stem_slice){word, (size_t)len};
    }
    return true;
}

void free_request(wire_request *request)
{
    for (size_t i = 0; i < request->n; i++)
        free((char *)(uintptr_t)request->words[i].data);
    free(request->words);
}

bool is_word(const wire_request *request, size_t i, const char *word)
{
    return i < request->n && strcmp(request->words[i].data, word) == 0;
}

void write_bytes(int fd, const void *data, size_t len)
{
    const char *next = data;

    while (len > 0) {
        const ssize_t n = send(fd, next, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        next += n;
        len -= (size_t)n;
    }
}
