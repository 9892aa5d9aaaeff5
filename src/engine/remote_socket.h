/*
 * A byte stream to a server: a Unix socket, TCP, or TLS over it. It connects, sends all and
 * receives some, within a time limit, and knows nothing of what the bytes mean. It raises no
 * SIGPIPE, and its descriptors are close-on-exec and on the list of descriptor.h.
 */
#ifndef STEM_ENGINE_REMOTE_SOCKET_H
#define STEM_ENGINE_REMOTE_SOCKET_H

#include "../engine.h"
#include "../spin.h"
#include "remote_clock.h"
#include "remote_location.h"

/* What these calls, and those above them, answer beside the codes of stem.h, the cause being
 * said as a STEM_EIO: they stay inside the engine. */
enum stem_remote_code {
    STEM_REMOTE_BROKEN = -1000, /* another connection may do better */
    STEM_REMOTE_LATE = -1001,   /* the time limit is over */
    STEM_REMOTE_NO_SESSION = -1002,
    STEM_REMOTE_BUSY = -1003,   /* the server says so: it may do later */
    STEM_REMOTE_AWAY = -1004,   /* nothing listens there, for now: broken, too */
    STEM_REMOTE_REFUSED = -1005 /* no address, or a limit: not waited for when opening */
};

static inline bool stem_remote_is_broken(int code)
{
    return code == STEM_REMOTE_BROKEN || code == STEM_REMOTE_AWAY ||
           code == STEM_REMOTE_REFUSED;
}

/* What all TLS connections of an engine share: the certificates that are trusted. */
typedef struct stem_remote_tls stem_remote_tls;

/* `ca_file` holds them; NULL takes the system's. STEM_ENOTSUP in a build without OpenSSL. */
int stem_remote_tls_new(const char *ca_file, stem_remote_tls **tls);
void stem_remote_tls_free(stem_remote_tls *tls); /* NULL is nothing */

typedef struct stem_remote_socket {
    int fd;
    void *stream;   /* the TLS over it, or NULL */
    stem_spin spin; /* of receiving */
} stem_remote_socket;

/* Connects. STEM_REMOTE_AWAY when the connection is refused, or the socket's file is missing in
 * a directory that is there: so it is while a server starts again. `tls` is for a location that is stems://. With `only_loopback` STEM_EINVAL instead of
 * connecting to another machine in the clear. The failure's text is the reason alone. */
int stem_remote_socket_open(const stem_remote_location *location, stem_remote_tls *tls,
                            bool only_loopback, stem_remote_clock *clock,
                            stem_remote_socket *opened);
void stem_remote_socket_close(stem_remote_socket *socket);

/* Sends all the parts, one behind the other. `*was_sent` tells, also on failure, whether any
 * of it may have gone out. */
int stem_remote_socket_send(stem_remote_socket *socket, const stem_slice *parts, size_t n,
                            stem_remote_clock *clock, bool *was_sent);
/* Waits until something has arrived: `*got` bytes, 1 to `size`. */
int stem_remote_socket_receive(stem_remote_socket *socket, char *room, size_t size,
                               stem_remote_clock *clock, size_t *got);
/* Whether nothing has arrived unasked, the end of the stream included. */
bool stem_remote_socket_is_quiet(stem_remote_socket *socket);

/* ---- remote_tls.c, for remote_socket.c ---------------------------------------------- */

/* STEM_OK once poll() has one of the events; STEM_REMOTE_LATE. */
int stem_remote_wait(int fd, short events, const stem_remote_clock *clock);

int stem_remote_tls_connect(stem_remote_tls *tls, const char *host,
                            stem_remote_clock *clock, stem_remote_socket *socket);
void stem_remote_tls_close(stem_remote_socket *socket);
/* Sends one part as a whole, and receives some. */
int stem_remote_tls_send(stem_remote_socket *socket, stem_slice part,
                         stem_remote_clock *clock, bool *was_sent);
int stem_remote_tls_receive(stem_remote_socket *socket, char *room, size_t size,
                            stem_remote_clock *clock, size_t *got);
bool stem_remote_tls_is_quiet(stem_remote_socket *socket);

#endif
