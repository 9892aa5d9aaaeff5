/*
 * Where a Stem server is: "unix:/path", "stem://[user@]host[:port][/scope]" and "stems://..."
 * as text and taken apart. No I/O.
 */
#ifndef STEM_ENGINE_REMOTE_LOCATION_H
#define STEM_ENGINE_REMOTE_LOCATION_H

#include <stdbool.h>

enum stem_remote_scheme { STEM_REMOTE_UNIX, STEM_REMOTE_TCP, STEM_REMOTE_TLS };

#define STEM_REMOTE_PORT "7835"

typedef struct stem_remote_location {
    enum stem_remote_scheme scheme;
    char *text;  /* the whole of it, for people: it holds no secret */
    char *path;  /* of the socket; NULL where there is a host */
    char *host;  /* a name or an address, without brackets */
    char *port;  /* in decimal */
    char *user;  /* NULL when none is named */
    char *scope; /* a path in canonical text form; NULL for all */
} stem_remote_location;

/* Whether the text begins like one of those. */
bool stem_remote_is_location(const char *text);

/* Takes it apart; STEM_EINVAL, with what is wrong and where, and without a password that may
 * be in it. Released with stem_remote_location_free. */
int stem_remote_location_parse(const char *text, stem_remote_location *location);
void stem_remote_location_free(stem_remote_location *location);

#endif
