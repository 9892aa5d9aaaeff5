/*
 * Locations of servers, and what goes with them: users, passwords, scopes, hosts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/remote_location.h"
#include "scripted_server.h"
#include "stem.h"
#include "support.h"

#define ID "0123456789abcdef0123456789abcdef"
#define ATTACHED "*5\r\n$32\r\n" ID "\r\n:4\r\n:65536\r\n:1073741824\r\n:1073741824\r\n"
#define SECRET "hunter2"

static void assert_text(const char *part)
{
    ck_assert_msg(strstr(stem_errmsg(), part), "no \"%s\" in: %s", part, stem_errmsg());
}

static void assert_part(const char *part, const char *expected)
{
    ck_assert_msg(expected ? part && strcmp(part, expected) == 0 : !part,
                  "\"%s\", not \"%s\"", part ? part : "NULL",
                  expected ? expected : "NULL");
}

static const struct {
    const char *text;
    enum stem_remote_scheme scheme;
    const char *path, *host, *port, *user, *scope;
} locations[] = {
    {"unix:/run/stem", STEM_REMOTE_UNIX, "/run/stem", NULL, NULL, NULL, NULL},
    {"unix:./a%20b?c@d", STEM_REMOTE_UNIX, "./a%20b?c@d", NULL, NULL, NULL, NULL},
    {"unix:ada@/run/stem", STEM_REMOTE_UNIX, "/run/stem", NULL, NULL, "ada", NULL},
    {"stem://host", STEM_REMOTE_TCP, NULL, "host", "7835", NULL, NULL},
    {"stem://host/", STEM_REMOTE_TCP, NULL, "host", "7835", NULL, NULL},
    {"stem://10.0.0.1:80", STEM_REMOTE_TCP, NULL, "10.0.0.1", "80", NULL, NULL},
    {"stem://[::1]", STEM_REMOTE_TCP, NULL, "::1", "7835", NULL, NULL},
    {"stems://[::1]:65535/a", STEM_REMOTE_TLS, NULL, "::1", "65535", NULL, "a"},
    {"stems://ada@h/users/42", STEM_REMOTE_TLS, NULL, "h", "7835", "ada", "users/42"},
    {"stem://a%3A%40b@h", STEM_REMOTE_TCP, NULL, "h", "7835", "a:@b", NULL},
    {"stem://h/a%5C%2fb%20c/%C3%A9", STEM_REMOTE_TCP, NULL, "h", "7835", NULL,
     "a\\/b c/\xC3\xA9"},
    {"stem://h/%0A", STEM_REMOTE_TCP, NULL, "h", "7835", NULL, "\\x0A"},
    {"stem://h/\\x41", STEM_REMOTE_TCP, NULL, "h", "7835", NULL, "A"},
};

START_TEST(a_location_is_taken_apart)
{
    stem_remote_location location;

    ck_assert(stem_remote_is_location(locations[_i].text));
    assert_ok(stem_remote_location_parse(locations[_i].text, &location));
    ck_assert_int_eq(location.scheme, locations[_i].scheme);
    assert_part(location.text, locations[_i].text);
    assert_part(location.path, locations[_i].path);
    assert_part(location.host, locations[_i].host);
    assert_part(location.port, locations[_i].port);
    assert_part(location.user, locations[_i].user);
    assert_part(location.scope, locations[_i].scope);
    stem_remote_location_free(&location);
}
END_TEST

static const struct {
    const char *text;
    const char *says;
} wrong[] = {
    {"unix:", "no path"},
    {"unix:@/run/stem", "no user's name"},
    {"stem://", "no host's name or address at byte 7"},
    {"stem:///a", "no host"},
    {"stem://@h", "no user's name"},
    {"stem://h:", "no port"},
    {"stem://h:0", "no port"},
    {"stem://h:65536", "no port"},
    {"stem://h:99999999999999999999", "no port"},
    {"stem://h:8o", "no port"},
    {"stem://[::1", "no ']'"},
    {"stem://[]", "no host"},
    {"stem://[::1]x", "must follow"},
    {"stem://a b", "no host"},
    {"stem://h?x=1", "written %3F"},
    {"stem://h/a#b", "written %23"},
    {"stem://h//a", "scope, from byte 9"},
    {"stem://h/a/", "scope, from byte 9"},
    {"stem://h/a%2", "'%' at byte 10"},
    {"stem://h/a%zz", "'%' at byte 10"},
    {"stem://h/a%00", "'%' at byte 10"},
    {"stem://h/a\\q", "scope, from byte 9"},
    {"stem://a@b@h", "written %40"},
    {"stem://a%@h", "'%' at byte 8"},
};

START_TEST(a_location_that_is_wrong_is_refused_with_what_and_where)
{
    stem_remote_location location;
    stem_db *db;

    assert_code(stem_remote_location_parse(wrong[_i].text, &location), STEM_EINVAL);
    assert_text(wrong[_i].says);
    assert_code(stem_open(&db, wrong[_i].text, NULL), STEM_EINVAL);
    assert_text(wrong[_i].says);
}
END_TEST

START_TEST(a_password_in_a_location_is_refused_and_not_repeated)
{
    static const char *const texts[] = {
        "stem://ada:" SECRET "@h",       "stem://ada:" SECRET "@h:80/a",
        "stems://:" SECRET "@h",         "stem://ada:x/" SECRET "@h",
        "stem://ada:x@" SECRET "@h/a",   "stem://ada:80/" SECRET "@h",
        "unix:ada:" SECRET "@/run/stem",
    };
    stem_db *db;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_code(stem_open(&db, texts[i], NULL), STEM_EINVAL);
        ck_assert_msg(!strstr(stem_errmsg(), SECRET), "%s", stem_errmsg());
        assert_text("***@");
        if (i != 4) /* a second '@' comes first */
            assert_text("password has no place");
        assert_code(stem_destroy(texts[i]), STEM_EINVAL);
        ck_assert_msg(!strstr(stem_errmsg(), SECRET), "%s", stem_errmsg());
    }
}
END_TEST

/* ---- Options ---------------------------------------------------------------------- */

static void assert_refused(const char *location, const stem_options *options,
                           const char *says)
{
    stem_db *db;

    assert_code(stem_open(&db, location, options), STEM_EINVAL);
    assert_text(says);
}

START_TEST(options_of_an_engine_are_refused_by_name)
{
    const char *at = "unix:/nowhere";

    assert_refused(at, STEM_OPTIONS(.cache_bytes = 1 << 20), "option cache_bytes ");
    assert_refused(at, STEM_OPTIONS(.block_bytes = 4096), "option block_bytes ");
    assert_refused(at, STEM_OPTIONS(.write_buffer_bytes = 1 << 20),
                   "write_buffer_bytes ");
    assert_refused(at, STEM_OPTIONS(.max_open_files = 100), "option max_open_files ");
    assert_refused(at, STEM_OPTIONS(.bloom_bits = 10), "option bloom_bits ");
    assert_refused(at, STEM_OPTIONS(.no_bloom = true), "option no_bloom ");
    assert_refused(at, STEM_OPTIONS(.no_verify = true), "option no_verify ");
    assert_refused(at, STEM_OPTIONS(.no_compression = true), "option no_compression ");
    assert_refused(at, STEM_OPTIONS(.writeback_bytes = 1 << 20),
                   "option writeback_bytes ");
    assert_refused(at, STEM_OPTIONS(.writeback_ms = 5), "option writeback_ms ");
    assert_refused(at, STEM_OPTIONS(.timeout_ms = 3600001), "option timeout_ms ");
    assert_refused(at, STEM_OPTIONS(.password = SECRET), "option password ");
    assert_refused(at, STEM_OPTIONS(.password_file = "f"), "option password_file ");
    assert_refused(at, STEM_OPTIONS(.ca_file = "f"), "option ca_file ");
}
END_TEST

START_TEST(options_of_a_servers_client_are_refused_for_a_directory)
{
    const char *at = path_in(temp_dir(), "db");

    assert_refused(at, STEM_OPTIONS(.password = SECRET), "option password ");
    assert_refused(at, STEM_OPTIONS(.password_file = "f"), "option password_file ");
    assert_refused("mem:", STEM_OPTIONS(.ca_file = "f"), "option ca_file ");
    assert_refused("mem:", STEM_OPTIONS(.timeout_ms = 1), "option timeout_ms ");
}
END_TEST

START_TEST(a_served_database_is_not_destroyed_from_here)
{
    assert_code(stem_destroy("unix:/nowhere"), STEM_EINVAL);
    assert_code(stem_destroy("stem://localhost"), STEM_EINVAL);
}
END_TEST

START_TEST(a_server_that_is_not_there_is_named_with_the_reason)
{
    stem_db *db;

    assert_code(stem_open(&db, "unix:/nowhere", STEM_OPTIONS(.timeout_ms = 20)),
                STEM_EIO);
    assert_text("cannot connect to unix:/nowhere: No such file");
    assert_code(stem_open(&db, "stem://127.0.0.1:1", STEM_OPTIONS(.timeout_ms = 20)),
                STEM_EIO);
    assert_text("cannot connect to stem://127.0.0.1:1: Connection refused");
}
END_TEST

/* ---- Passwords -------------------------------------------------------------------- */

/* The location of the script, with a user in it. */
static const char *as_ada(const char *location)
{
    static char text[512];

    snprintf(text, sizeof text, "unix:ada@%s", location + strlen("unix:"));
    return text;
}

#define LOGS_IN(password)                                                                \
    {                                                                                    \
        "HELLO 2 AUTH ada " password, "*2\r\n+a\r\n*0\r\n", KEEP, 0                      \
    }
#define ATTACHES                                                                         \
    {                                                                                    \
        "STEM.ATTACH 1 0 NEW", ATTACHED, KEEP, 0                                         \
    }

static const char *password_file(const char *text)
{
    const char *path = path_in(temp_dir(), "password");
    FILE *file = fopen(path, "w");

    fputs(text, file);
    fclose(file);
    return path;
}

START_TEST(the_password_is_the_options_the_files_or_the_environments)
{
    stem_db *db;

    setenv("STEM_PASSWORD", "third", 1);
    const char *location = as_ada(START_SCRIPT(LOGS_IN("first"), ATTACHES));
    assert_ok(stem_open(
        &db, location,
        STEM_OPTIONS(.password = "first", .password_file = password_file("second"))));
    assert_ok(stem_close(db));
    finish_script();
    location = as_ada(START_SCRIPT(LOGS_IN("sec ond"), ATTACHES));
    assert_ok(stem_open(&db, location,
                        STEM_OPTIONS(.password_file = password_file("sec ond\r\nx\n"))));
    assert_ok(stem_close(db));
    finish_script();
    location = as_ada(START_SCRIPT(LOGS_IN("third"), ATTACHES));
    assert_ok(stem_open(&db, location, NULL));
    assert_ok(stem_close(db));
    finish_script();
}
END_TEST

START_TEST(a_password_that_is_none_is_refused)
{
    char long_one[1026];

    memset(long_one, 'x', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    unsetenv("STEM_PASSWORD");
    assert_refused("unix:ada@/nowhere", NULL, "there is no password");
    assert_refused("unix:ada@/nowhere", STEM_OPTIONS(.password = ""), "option password");
    assert_refused("unix:ada@/nowhere", STEM_OPTIONS(.password = long_one), "1024");
    assert_refused("unix:ada@/nowhere",
                   STEM_OPTIONS(.password_file = password_file(long_one)), "1024");
    assert_refused("unix:ada@/nowhere",
                   STEM_OPTIONS(.password_file = password_file("\n")), "is empty");
    stem_db *db;
    assert_code(
        stem_open(&db, "unix:ada@/nowhere", STEM_OPTIONS(.password_file = "/none")),
        STEM_EIO);
    assert_text("password_file /none");
}
END_TEST

START_TEST(a_refused_login_is_no_access_and_keeps_the_secret)
{
    static const struct {
        const char *reply;
        int code;
    } answers[] = {{"-WRONGPASS no\r\n", STEM_EACCES},
                   {"-NOPERM scope\r\n", STEM_EACCES},
                   {"-BUSY too many logins\r\n", STEM_EIO},
                   {"-ERR what\r\n", STEM_EIO},
                   {"+OK\r\n", STEM_EIO}};
    const char *location = as_ada(START_SCRIPT({NULL, answers[_i].reply, KEEP, 0}));
    stem_db *db;

    assert_code(stem_open(&db, location, STEM_OPTIONS(.password = SECRET)),
                answers[_i].code);
    ck_assert_msg(!strstr(stem_errmsg(), SECRET), "%s", stem_errmsg());
    finish_script();
}
END_TEST

START_TEST(a_password_does_not_leave_the_machine_in_the_clear)
{
    const stem_options *with_password =
        STEM_OPTIONS(.password = SECRET, .timeout_ms = 20);
    stem_db *db;

    assert_refused("stem://ada@192.0.2.1", with_password, "stems://");
    assert_refused("stem://ada@[2001:db8::1]", with_password, "stems://");
    assert_code(stem_open(&db, "stem://ada@127.0.0.1:1", with_password), STEM_EIO);
    assert_code(stem_open(&db, "stem://ada@[::ffff:127.0.0.1]:1", with_password),
                STEM_EIO);
}
END_TEST

/* Once for each element of the table. */
#define add_table_test(tcase, test, table)                                               \
    tcase_add_loop_test((tcase), (test), 0, (int)(sizeof(table) / sizeof *(table)))

int main(void)
{
    Suite *suite = suite_create("remote location");
    TCase *texts = add_case(suite, "texts", 20);
    TCase *options = add_case(suite, "options", 20);
    TCase *passwords = add_case(suite, "passwords", 20);

    add_table_test(texts, a_location_is_taken_apart, locations);
    add_table_test(texts, a_location_that_is_wrong_is_refused_with_what_and_where, wrong);
    tcase_add_test(texts, a_password_in_a_location_is_refused_and_not_repeated);
    tcase_add_test(options, options_of_an_engine_are_refused_by_name);
    tcase_add_test(options, options_of_a_servers_client_are_refused_for_a_directory);
    tcase_add_test(options, a_served_database_is_not_destroyed_from_here);
    tcase_add_test(options, a_server_that_is_not_there_is_named_with_the_reason);
    tcase_add_test(passwords, the_password_is_the_options_the_files_or_the_environments);
    tcase_add_test(passwords, a_password_that_is_none_is_refused);
    tcase_add_loop_test(passwords, a_refused_login_is_no_access_and_keeps_the_secret, 0,
                        5);
    tcase_add_test(passwords, a_password_does_not_leave_the_machine_in_the_clear);
    return run_suite(suite);
}
