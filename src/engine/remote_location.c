/*
 * Locations of Stem servers; see remote_location.h.
 *
 * What is not understood is refused, so that it can get a meaning later: '?', '#' and a second
 * '@' are to be written as escapes. A password is refused before anything of it could get into
 * a text.
 */
#include "remote_location.h"

#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "../path.h"

static const struct {
    const char *text;
    enum stem_remote_scheme scheme;
} schemes[] = {{"unix:", STEM_REMOTE_UNIX},
               {"stem://", STEM_REMOTE_TCP},
               {"stems://", STEM_REMOTE_TLS}};

enum { USER_MAX = 128, HOST_MAX = 255, PORT_MAX = 65535 };

/* A part of the location, which `text` is the whole of. */
typedef struct part {
    const char *text;
    const char *data;
    size_t len;
} part;

bool stem_remote_is_location(const char *text)
{
    for (size_t i = 0; text && i < sizeof schemes / sizeof *schemes; i++)
        if (strncmp(text, schemes[i].text, strlen(schemes[i].text)) == 0)
            return true;
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int copy_part(const part *from, char **to)
{
    *to = strndup(from->data, from->len);
    return *to ? STEM_OK : stem_fail(STEM_ENOMEM, "no memory for a location");
}

/* The part with its percent-escapes decoded, owned. */
static int decode(const part *from, const char *what, char **to)
{
    const char *end = from->data + from->len;

    if (copy_part(from, to) != STEM_OK)
        return STEM_ENOMEM;
    char *out = *to;
    for (const char *in = from->data; in < end;) {
        if (*in != '%') {
            *out++ = *in++;
            continue;
        }
        const int high = end - in > 2 ? hex_digit(in[1]) : -1;
        const int low = end - in > 2 ? hex_digit(in[2]) : -1;
        if (high < 0 || low < 0 || high + low == 0)
            return stem_fail(STEM_EINVAL,
                             "the %s has a '%%' at byte %zu of the location that two "
                             "hexadecimal digits, not 00, do not follow",
                             what, (size_t)(in - from->text));
        *out++ = (char)(high * 16 + low);
        in += 3;
    }
    *out = '\0';
    return STEM_OK;
}

static int parse_user(const part *from, stem_remote_location *location)
{
    if (memchr(from->data, ':', from->len))
        return stem_fail(STEM_EINVAL,
                         "a password has no place in a location: give it in the option "
                         "password or password_file, or in the environment as "
                         "STEM_PASSWORD (a ':' of the user's name is written %%3A)");
    if (from->len == 0)
        return stem_fail(STEM_EINVAL, "no user's name is before the '@'");
    int code = decode(from, "user's name", &location->user);
    if (code == STEM_OK && strlen(location->user) > USER_MAX)
        code =
            stem_fail(STEM_EINVAL, "the user's name is longer than %d bytes", USER_MAX);
    return code;
}

static int parse_port(const part *from, stem_remote_location *location)
{
    unsigned long port = 0;
    bool is_number = from->len > 0 && from->len <= 5;

    for (size_t i = 0; i < from->len && is_number; i++) {
        is_number = from->data[i] >= '0' && from->data[i] <= '9';
        port = port * 10 + (unsigned long)(from->data[i] - '0');
    }
    if (!is_number || port == 0 || port > PORT_MAX)
        return stem_fail(STEM_EINVAL,
                         "what follows the host's ':' is no port from 1 to %d", PORT_MAX);
    return copy_part(from, &location->port);
}

static bool is_host(const part *host)
{
    for (size_t i = 0; i < host->len; i++)
        if (host->data[i] <= ' ' || host->data[i] > '~')
            return false;
    return host->len > 0 && host->len <= HOST_MAX;
}

/* "host", "host:port", "[address]", "[address]:port". */
static int parse_host(const part *from, stem_remote_location *location)
{
    const char *end = from->data + from->len;
    part host = {from->text, from->data, 0};
    const char *behind;

    if (from->len > 0 && *from->data == '[') {
        const char *bracket = memchr(from->data, ']', from->len);

        if (!bracket)
            return stem_fail(STEM_EINVAL, "the address in brackets has no ']'");
        host.data++;
        host.len = (size_t)(bracket - host.data);
        behind = bracket + 1;
    } else {
        const char *colon = memchr(from->data, ':', from->len);

        behind = colon ? colon : end;
        host.len = (size_t)(behind - host.data);
    }
    if (!is_host(&host))
        return stem_fail(STEM_EINVAL,
                         "there is no host's name or address at byte %zu of "
                         "the location",
                         (size_t)(host.data - from->text));
    if (behind < end && *behind != ':')
        return stem_fail(STEM_EINVAL, "a port or a '/' must follow the address's ']'");
    int code = copy_part(&host, &location->host);
    if (code != STEM_OK)
        return code;
    const part port = {from->text, behind + 1, (size_t)(end - behind) - 1};
    const part standard = {from->text, STEM_REMOTE_PORT, strlen(STEM_REMOTE_PORT)};
    return behind < end ? parse_port(&port, location)
                        : copy_part(&standard, &location->port);
}

/* The scope in canonical form: as a path that is read and written again. */
static int parse_scope(const part *from, stem_remote_location *location)
{
    char *decoded = NULL;
    size_t n;

    int code = decode(from, "scope", &decoded);
    if (code == STEM_OK && *decoded) {
        char **names = stem_path_parse(decoded, &n);

        if (names)
            location->scope = stem_path_format((const char *const *)names, n);
        stem_free(names);
        if (!location->scope)
            code =
                stem_fail(stem_errcode(), "the scope, from byte %zu of the location: %s",
                          (size_t)(from->data - from->text), stem_errmsg());
    }
    free(decoded);
    return code;
}

static int parse_network(const char *rest, stem_remote_location *location)
{
    const char *slash = strchr(rest, '/');
    const char *at = strrchr(rest, '@');
    const char *query = strpbrk(rest, "?#");
    const size_t authority_len = slash ? (size_t)(slash - rest) : strlen(rest);
    part host = {location->text, rest, authority_len};
    int code = STEM_OK;

    if (slash && at && at > slash)
        return stem_fail(STEM_EINVAL, "an '@' behind the host is written %%40, and a "
                                      "password has no place in a location");
    if (query)
        return stem_fail(STEM_EINVAL, "a '%c' is written %%%02X", *query,
                         (unsigned)(unsigned char)*query);
    if (at) {
        const part user = {location->text, rest, (size_t)(at - rest)};

        if (memchr(user.data, '@', user.len))
            return stem_fail(STEM_EINVAL, "an '@' of the user's name is written %%40");
        host.data = at + 1;
        host.len = authority_len - user.len - 1;
        code = parse_user(&user, location);
    }
    if (code == STEM_OK)
        code = parse_host(&host, location);
    if (code == STEM_OK && slash) {
        const part scope = {location->text, slash + 1, strlen(slash + 1)};

        code = parse_scope(&scope, location);
    }
    return code;
}

/* "/path", "./path", and "user@/path". The path is taken as it is. */
static int parse_unix(const char *rest, stem_remote_location *location)
{
    const char *slash = strchr(rest, '/');
    int code = STEM_OK;

    if (slash && slash > rest && slash[-1] == '@') {
        const part user = {location->text, rest, (size_t)(slash - rest) - 1};

        code = parse_user(&user, location);
        rest = slash;
    }
    if (code == STEM_OK && !*rest)
        code = stem_fail(STEM_EINVAL, "no path of a socket follows unix:");
    const part path = {location->text, rest, strlen(rest)};
    return code == STEM_OK ? copy_part(&path, &location->path) : code;
}

int stem_remote_location_parse(const char *text, stem_remote_location *location)
{
    stem_remote_location parsed = {.text = strdup(text)};
    size_t i = 0;

    if (!parsed.text)
        return stem_fail(STEM_ENOMEM, "no memory for a location");
    while (strncmp(text, schemes[i].text, strlen(schemes[i].text)) != 0)
        i++;
    parsed.scheme = schemes[i].scheme;
    const char *rest = parsed.text + strlen(schemes[i].text);
    int code = parsed.scheme == STEM_REMOTE_UNIX ? parse_unix(rest, &parsed)
                                                 : parse_network(rest, &parsed);
    if (code == STEM_OK)
        *location = parsed;
    else
        stem_remote_location_free(&parsed);
    return code;
}

void stem_remote_location_free(stem_remote_location *location)
{
    free(location->text);
    free(location->path);
    free(location->host);
    free(location->port);
    free(location->user);
    free(location->scope);
}
