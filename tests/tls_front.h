/*
 * TLS in front of a server at a Unix socket, with a certificate made for the occasion, which
 * is its own authority.
 */
#ifndef STEM_TESTS_TLS_FRONT_H
#define STEM_TESTS_TLS_FRONT_H

/* Listens on 127.0.0.1 and is the port. The certificate is good for `names`, as in
 * "DNS:localhost,IP:127.0.0.1". `backend` is a location "unix:...". */
int start_tls_front(const char *backend, const char *names);
/* The file that holds the certificate. */
const char *tls_front_certificate(void);
void stop_tls_front(void);

#endif
