/*
 * A certificate made for the occasion, which is its own authority.
 */
#ifndef STEM_TESTS_CERTIFICATE_H
#define STEM_TESTS_CERTIFICATE_H

/* Writes it and its key in PEM, the key readable by this user alone. The certificate is good for
 * `names`, as in "DNS:localhost,IP:127.0.0.1". */
void write_certificate(const char *names, const char *certificate_path,
                       const char *key_path);

#endif
