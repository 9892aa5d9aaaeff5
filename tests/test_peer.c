/*
 * Peers: what stands for one, how much it may fail, and how long it is kept.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"
#include "net/peer.h"
#include "support.h"

static const uint64_t second = UINT64_C(1000000000);
static stem_peers peers;

/* ---- How much it may fail --------------------------------------------------------- */

START_TEST(so_many_failures_are_allowed_at_once_and_then_one_each_share_of_a_second)
{
    const uint64_t start = 77 * second;

    stem_peers_init(&peers, 5);
    stem_peer *peer = stem_peers_at(&peers, "192.0.2.1", second);
    for (int i = 0; i < 5; i++) {
        ck_assert(!stem_peer_is_over(&peers, peer, start));
        stem_peer_failed(&peers, peer, start);
    }
    ck_assert(stem_peer_is_over(&peers, peer, start));
    ck_assert(stem_peer_is_over(&peers, peer, start + second / 5 - 1));
    ck_assert(!stem_peer_is_over(&peers, peer, start + second / 5));

    stem_peer_failed(&peers, peer, start + second / 5);
    ck_assert(stem_peer_is_over(&peers, peer, start + second / 5));
    ck_assert(stem_peer_is_over(&peers, peer, start + 2 * second / 5 - 1));
    ck_assert(!stem_peer_is_over(&peers, peer, start + 2 * second / 5));

    for (int i = 0; i < 5; i++) {
        ck_assert(!stem_peer_is_over(&peers, peer, start + 2 * second));
        stem_peer_failed(&peers, peer, start + 2 * second);
    }
    ck_assert(stem_peer_is_over(&peers, peer, start + 2 * second));
    stem_peers_free(&peers);
}
END_TEST

START_TEST(one_peer_s_failures_are_nobody_else_s)
{
    stem_peers_init(&peers, 1);
    stem_peer *one = stem_peers_at(&peers, "192.0.2.1", second);
    stem_peer_failed(&peers, one, second);

    ck_assert(stem_peer_is_over(&peers, one, second));
    ck_assert_ptr_eq(stem_peers_at(&peers, "192.0.2.1", second), one);
    ck_assert(
        !stem_peer_is_over(&peers, stem_peers_at(&peers, "192.0.2.11", second), second));
    ck_assert(
        !stem_peer_is_over(&peers, stem_peers_at(&peers, "192.0.2", second), second));
    stem_peers_free(&peers);
}
END_TEST

START_TEST(a_peer_is_kept_as_long_as_it_waits_or_owes)
{
    enum { MANY = 10000 };
    const uint64_t later = 3 * second;
    char text[32];

    stem_peers_init(&peers, 1);
    stem_peer *waits = stem_peers_at(&peers, "waits", second);
    waits->n_waiting = 1;
    stem_peer_failed(&peers, stem_peers_at(&peers, "owes", second), later);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "peer %d", i);
        stem_peer *fresh = stem_peers_at(&peers, text, later);
        ck_assert_str_eq(fresh->text, text);
        ck_assert(!stem_peer_owes(fresh, later));
    }
    ck_assert_uint_lt(HASH_COUNT(peers.by_text), 1000);
    ck_assert_ptr_eq(stem_peers_at(&peers, "waits", later), waits);
    ck_assert(stem_peer_is_over(&peers, stem_peers_at(&peers, "owes", later), later));
    stem_peers_free(&peers);
}
END_TEST

START_TEST(so_many_peers_as_wait_are_kept)
{
    enum { MANY = 10000 };
    static stem_peer *kept[MANY];
    char text[32];

    stem_peers_init(&peers, 1);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "peer %d", i);
        kept[i] = stem_peers_at(&peers, text, second);
        kept[i]->n_waiting = 1;
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "peer %d", i);
        ck_assert_ptr_eq(stem_peers_at(&peers, text, second), kept[i]);
    }
    stem_peers_free(&peers);
}
END_TEST

START_TEST(a_text_that_is_too_long_is_cut_and_found_again)
{
    char text[2 * STEM_PEER_SIZE] = {0};

    memset(text, 'x', sizeof text - 1);
    stem_peers_init(&peers, 1);
    stem_peer *peer = stem_peers_at(&peers, text, second);
    ck_assert_uint_eq(strlen(peer->text), STEM_PEER_SIZE - 1);
    ck_assert_ptr_eq(stem_peers_at(&peers, text, second), peer);
    stem_peers_free(&peers);
}
END_TEST

/* ---- Who it is -------------------------------------------------------------------- */

START_TEST(the_peer_of_a_unix_socket_is_a_uid)
{
    char text[STEM_PEER_SIZE], expected[STEM_PEER_SIZE];
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_ok(stem_peer_of(ends[0], text));
    snprintf(expected, sizeof expected, "uid %u", (unsigned)geteuid());
    ck_assert_str_eq(text, expected);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

/* The text for whoever connects from `from` to a socket that listens there; NULL when the
 * system has no such addresses. */
static const char *text_of(int family, const struct sockaddr *listens, socklen_t len,
                           int from_family, const char *from)
{
    static char text[STEM_PEER_SIZE];
    struct sockaddr_storage at;
    socklen_t at_len = sizeof at;
    int listener = socket(family, SOCK_STREAM, 0);
    int client = socket(from_family, SOCK_STREAM, 0);
    bool is_there = listener >= 0 && client >= 0 && bind(listener, listens, len) == 0 &&
                    listen(listener, 1) == 0 &&
                    getsockname(listener, (struct sockaddr *)&at, &at_len) == 0;

    if (is_there && from_family == AF_INET && family == AF_INET6) {
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = ((struct sockaddr_in6 *)&at)->sin6_port};
        inet_pton(AF_INET, from, &to.sin_addr);
        is_there = connect(client, (struct sockaddr *)&to, sizeof to) == 0;
    } else if (is_there) {
        is_there = connect(client, (struct sockaddr *)&at, at_len) == 0;
    }
    int server = is_there ? accept(listener, NULL, NULL) : -1;
    if (server >= 0)
        assert_ok(stem_peer_of(server, text));
    close(server);
    close(client);
    close(listener);
    return server >= 0 ? text : NULL;
}

START_TEST(the_peer_of_a_tcp_connection_is_an_address_without_its_port)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct sockaddr_in6 both = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
    const char *text =
        text_of(AF_INET, (struct sockaddr *)&ipv4, sizeof ipv4, AF_INET, "127.0.0.1");

    ck_assert_str_eq(text, "127.0.0.1");
    text = text_of(AF_INET6, (struct sockaddr *)&ipv6, sizeof ipv6, AF_INET6, "::1");
    if (text) /* not every machine has IPv6 */
        ck_assert_str_eq(text, "::1");
    text = text_of(AF_INET6, (struct sockaddr *)&both, sizeof both, AF_INET, "127.0.0.1");
    if (text)
        ck_assert_str_eq(text, "127.0.0.1");
}
END_TEST

START_TEST(a_socket_without_a_peer_has_none)
{
    char text[STEM_PEER_SIZE] = "unchanged";
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_code(stem_peer_of(fd, text), STEM_EIO);
    ck_assert_str_eq(text, "unchanged");
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peer");
    TCase *failures = add_case(suite, "failures", 60);
    TCase *texts = add_case(suite, "texts", 60);

    tcase_add_test(
        failures,
        so_many_failures_are_allowed_at_once_and_then_one_each_share_of_a_second);
    tcase_add_test(failures, one_peer_s_failures_are_nobody_else_s);
    tcase_add_test(failures, a_peer_is_kept_as_long_as_it_waits_or_owes);
    tcase_add_test(failures, so_many_peers_as_wait_are_kept);
    tcase_add_test(failures, a_text_that_is_too_long_is_cut_and_found_again);
    tcase_add_test(texts, the_peer_of_a_unix_socket_is_a_uid);
    tcase_add_test(texts, the_peer_of_a_tcp_connection_is_an_address_without_its_port);
    tcase_add_test(texts, a_socket_without_a_peer_has_none);
    return run_suite(suite);
}
