/*
 * The server that is asked and the user that asks: the location of a server, and the options that go with it. The
 * password comes from the option, else the file, else the environment; it is in no text.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../error.h"
#include "descriptor.h"
#include "remote_connection.h"

enum { PASSWORD_MAX = 1024 };

/* ---- The password ----------------------------------------------------------------- */

static int read_file(const char *path, char *to, size_t size, size_t *len)
{
    const int fd = stem_descriptor_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0);
    ssize_t n = fd < 0 ? -1 : 1;

    for (*len = 0; n > 0 && *len < size; *len += (size_t)(n > 0 ? n : 0)) {
        do
            n = read(fd, to + *len, size - *len);
        while (n < 0 && errno == EINTR);
    }
    const int cause = errno;
    if (fd >= 0)
        stem_descriptor_close(fd);
    return n >= 0 ? STEM_OK
                  : stem_fail(STEM_EIO, "cannot read password_file %s: %s", path,
                              strerror(cause));
}

static int copy_password(const char *from, size_t len, const char *source,
                         char **password)
{
    if (len == 0 || len > PASSWORD_MAX || memchr(from, '\0', len))
        return stem_fail(STEM_EINVAL,
                         "the password in %s is empty, has a NUL, or is longer than %d "
                         "bytes",
                         source, PASSWORD_MAX);
    *password = malloc(len + 1);
    if (!*password)
        return stem_fail(STEM_ENOMEM, "no memory for a password");
    memcpy(*password, from, len);
    (*password)[len] = '\0';
    return STEM_OK;
}

/* The first line of the file. */
static int password_from_file(const char *path, char **password)
{
    char text[PASSWORD_MAX + 2];
    size_t len;

    int code = read_file(path, text, sizeof text, &len);
    if (code == STEM_OK) {
        const char *end = memchr(text, '\n', len);

        if (end)
            len = (size_t)(end - text);
        if (len > 0 && text[len - 1] == '\r')
            len--;
        code = copy_password(text, len, path, password);
    }
    explicit_bzero(text, sizeof text);
    return code;
}

static int find_password(const stem_options *options, char **password)
{
    const char *environment = secure_getenv("STEM_PASSWORD");

    if (options->password)
        return copy_password(options->password, strlen(options->password),
                             "option password", password);
    if (options->password_file)
        return password_from_file(options->password_file, password);
    if (environment)
        return copy_password(environment, strlen(environment), "STEM_PASSWORD", password);
    return stem_fail(STEM_EINVAL,
                     "the location names a user, and there is no password: "
                     "give it in the option password or password_file, or in "
                     "the environment as STEM_PASSWORD");
}

/* ---- The peer --------------------------------------------------------------------- */

static int check_options(const stem_remote_location *location,
                         const stem_options *options)
{
    if (!location->user && (options->password || options->password_file))
        return stem_fail(STEM_EINVAL, "option %s is for a location that names a user",
                         options->password ? "password" : "password_file");
    if (location->scheme != STEM_REMOTE_TLS && options->ca_file)
        return stem_fail(STEM_EINVAL, "option ca_file is for stems://");
    return STEM_OK;
}

int stem_remote_peer_make(const char *location, const stem_options *options,
                          stem_remote_peer *peer)
{
    stem_remote_peer made = {.password = NULL};

    int code = stem_remote_location_parse(location, &made.location);
    if (code != STEM_OK)
        return code;
    code = check_options(&made.location, options);
    if (code == STEM_OK && made.location.user)
        code = find_password(options, &made.password);
    if (code == STEM_OK && made.location.scheme == STEM_REMOTE_TLS)
        code = stem_remote_tls_new(options->ca_file, &made.tls);
    if (code == STEM_OK)
        *peer = made;
    else
        stem_remote_peer_free(&made);
    return code;
}

int stem_remote_peer_at(const char *socket, const char *shown, stem_remote_peer *peer)
{
    stem_remote_peer made = {.location = {.scheme = STEM_REMOTE_UNIX,
                                          .text = strdup(shown),
                                          .path = strdup(socket)},
                             .is_own_user = true};

    if (!made.location.text || !made.location.path) {
        stem_remote_peer_free(&made);
        return stem_fail(STEM_ENOMEM, "no memory for a location");
    }
    *peer = made;
    return STEM_OK;
}

void stem_remote_peer_free(stem_remote_peer *peer)
{
    if (peer->password)
        explicit_bzero(peer->password, strlen(peer->password));
    free(peer->password);
    stem_remote_tls_free(peer->tls);
    stem_remote_location_free(&peer->location);
}
