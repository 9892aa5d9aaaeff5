/*
 * Served databases over TLS: which certificates are accepted, and that the calls are the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "small_server.h"
#include "stem.h"
#include "support.h"
#include "tls_front.h"

enum { SLOTS = 2 };

static const char *location_at(const char *host, int port)
{
    static char text[128];

    snprintf(text, sizeof text, "stems://%s:%d", host, port);
    return text;
}

static void stop(void)
{
    stop_tls_front();
    stop_small_server();
}

static void assert_text(const char *part)
{
    ck_assert_msg(strstr(stem_errmsg(), part), "no \"%s\" in: %s", part, stem_errmsg());
}

START_TEST(a_trusted_certificate_that_names_the_host_is_accepted)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1"};
    enum { LARGE = 3 << 20 };
    const int port =
        start_tls_front(start_small_server(SLOTS), "DNS:localhost,IP:127.0.0.1");
    char *bytes = malloc(LARGE);
    stem_db *db;
    void *read;
    size_t len;

    memset(bytes, 'x', LARGE);
    assert_ok(stem_open(&db, location_at(hosts[_i], port),
                        STEM_OPTIONS(.ca_file = tls_front_certificate())));
    assert_ok(stem_put_value(db, "large", stem_bin(bytes, LARGE)));
    assert_ok(stem_get_bin(db, "large", &read, &len));
    ck_assert_uint_eq(len, LARGE);
    ck_assert(memcmp(read, bytes, LARGE) == 0);
    stem_free(read);
    assert_ok(stem_close(db));
    free(bytes);
    stop();
}
END_TEST

START_TEST(a_certificate_that_names_another_host_is_refused)
{
    static const char *const names[] = {"DNS:other.example,IP:192.0.2.1",
                                        "DNS:127.0.0.1"};
    const int port = start_tls_front(start_small_server(SLOTS), names[_i]);
    const stem_options *options = STEM_OPTIONS(.ca_file = tls_front_certificate());
    stem_db *db;

    assert_code(stem_open(&db, location_at("localhost", port), options), STEM_EIO);
    assert_text("certificate is refused: ");
    assert_code(stem_open(&db, location_at("127.0.0.1", port), options), STEM_EIO);
    assert_text("certificate is refused: ");
    stop();
}
END_TEST

START_TEST(a_certificate_of_nobody_trusted_is_refused)
{
    const int port = start_tls_front(start_small_server(SLOTS), "DNS:localhost");
    stem_db *db;

    assert_code(stem_open(&db, location_at("localhost", port), NULL), STEM_EIO);
    assert_text("certificate is refused: ");
    stop();
}
END_TEST

START_TEST(certificates_that_cannot_be_read_are_named)
{
    stem_db *db;

    assert_code(stem_open(&db, "stems://localhost:1", STEM_OPTIONS(.ca_file = "/none")),
                STEM_EIO);
    assert_text("ca_file /none");
}
END_TEST

START_TEST(connections_that_break_are_made_again)
{
    enum { N = 100 };
    const int port = start_tls_front(start_small_server(SLOTS), "DNS:localhost");
    stem_db *db;
    int64_t n;

    assert_ok(stem_open(&db, location_at("localhost", port),
                        STEM_OPTIONS(.ca_file = tls_front_certificate())));
    break_connections(10);
    for (int i = 0; i < N; i++)
        assert_ok(stem_incr(db, "n", 1, 0, NULL));
    break_connections(0);
    assert_ok(stem_get_int(db, "n", &n));
    ck_assert_int_eq(n, N);
    ck_assert_uint_eq(small_server_commits(), N);
    assert_ok(stem_close(db));
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("remote TLS");
    TCase *certificates = add_case(suite, "certificates", 60);
    TCase *calls = add_case(suite, "calls", 60);

    tcase_add_loop_test(certificates,
                        a_trusted_certificate_that_names_the_host_is_accepted, 0, 2);
    tcase_add_loop_test(certificates, a_certificate_that_names_another_host_is_refused, 0,
                        2);
    tcase_add_test(certificates, a_certificate_of_nobody_trusted_is_refused);
    tcase_add_test(certificates, certificates_that_cannot_be_read_are_named);
    tcase_add_test(calls, connections_that_break_are_made_again);
    return run_suite(suite);
}
