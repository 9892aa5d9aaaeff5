/*
 * Where a server listens: its descriptors, its sockets' names, and its port for metrics, also
 * when something fails on the way.
 */
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "place.h"
#include "served.h"

/* How often a number was closed that nothing had open. */
static atomic_int closed_in_vain;

int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_close(int fd)
{
    const int answer = __real_close(fd);

    if (answer != 0 && errno == EBADF)
        closed_in_vain++;
    return answer;
}

static stem_db *db;

static void open_database(void)
{
    db = new_database();
}

static void close_database(void)
{
    assert_ok(stem_close(db));
}

/* ---- Descriptors ------------------------------------------------------------------ */

START_TEST(what_could_not_listen_is_closed_once)
{
    /* Nobody makes a socket there. */
    const char *listen[] = {"unix:/proc/socket", NULL};
    stem_server *server;

    assert_failure(stem_server_open(&server, db, STEM_SERVER_OPTIONS(.listen = listen)),
                   STEM_EIO);
    ck_assert_int_eq(closed_in_vain, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listening");
    TCase *descriptors = add_case(suite, "descriptors", 20);

    tcase_add_checked_fixture(descriptors, open_database, close_database);
    tcase_add_test(descriptors, what_could_not_listen_is_closed_once);
    return run_suite(suite);
}
