/*
 * The scope proof for clients that name their scope in the location: whatever bytes such a
 * client has for keys and ranges, two served databases that differ outside the scope alone give
 * it the same answers, and what is outside stays as it is. STEM_TEST_RUNS and STEM_TEST_SEED
 * are those of test_server_scope.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "place.h"
#include "random.h"
#include "scope_world.h"

enum { N_RUNS = 30, RUN_LEN = 20, MOST_WRITES = 3, MOST_STEPS = 40 };

static const confinement confinements[] = {
    {"the location", {"in", 3}, NULL, NULL, "in", true},
    {"the location, deeper", {"in\0deep", 8}, NULL, NULL, "in/deep", true},
    {"a users file and the location", {"in\0deep", 8}, NULL, "web", "deep", true},
};
enum { N_CONFINEMENTS = sizeof confinements / sizeof *confinements };

static scope_world worlds[N_WORLDS];
static hostile_request request; /* for its words */

/* What one client was answered, to be compared with the other's. */
typedef struct client {
    stem_db *db;
    stem_engine *engine;
    stem_buffer told;
} client;

static client open_client(const scope_world *world)
{
    const confinement *how = world->how;
    const char *host = strstr(scope_world_address(world), "//") + 2;
    char location[256];
    client made = {0};

    snprintf(location, sizeof location, "stem://%s%s%s/%s", how->user ? how->user : "",
             how->user ? "@" : "", host, how->asked);
    assert_ok(stem_open(&made.db, location,
                        STEM_OPTIONS(.password = how->user ? "secret" : NULL)));
    made.engine = made.db->engine;
    return made;
}

static void tell(client *to, stem_slice bytes)
{
    stem_buffer_add(&to->told, &bytes.len, sizeof bytes.len);
    stem_buffer_add(&to->told, bytes.data, bytes.len);
}

static void tell_code(client *to, int code)
{
    stem_buffer_add_text(&to->told, stem_strerror(code));
    if (code < 0)
        ck_assert(!has_secret((stem_slice){stem_errmsg(), strlen(stem_errmsg())}));
}

/* ---- What the client does --------------------------------------------------------- */

static void read_keys(client *by, const stem_engine_snapshot *snapshot)
{
    stem_slice keys[HOSTILE_WORDS];
    stem_read reads[HOSTILE_WORDS];
    size_t n = 0;

    hostile_make(&request, "MGET");
    for (size_t i = 1; i < request.n; i++)
        keys[n++] = hostile_word(&request, i);
    const int code = by->engine->ops->read(by->engine, snapshot, keys, n, reads);
    tell_code(by, code);
    for (size_t i = 0; i < n && code == STEM_OK; i++) {
        tell(by, reads[i].data ? (stem_slice){reads[i].data, reads[i].len}
                               : (stem_slice){"none", 4});
        free(reads[i].data);
    }
}

/* Writes, one of which may be a guess at what is there. */
static void commit_writes(client *by)
{
    const enum stem_expectation_kind kinds[] = {STEM_EXPECT_ABSENT, STEM_EXPECT_EQUAL,
                                                STEM_EXPECT_EMPTY};
    stem_write writes[MOST_WRITES];
    stem_expectation guess = {.kind = kinds[random_below(3)]};
    const size_t n_guesses = random_below(2);
    size_t n = 0, failed = 0;

    hostile_make(&request, "MSET");
    for (size_t i = 1; i + 1 < request.n && n < MOST_WRITES; i += 2)
        writes[n++] =
            (stem_write){hostile_word(&request, i), {"\x01", 1}, random_below(3) == 0};
    guess.key = writes[0].key;
    guess.value = guess.kind == STEM_EXPECT_EMPTY ? hostile_word(&request, request.n - 2)
                                                  : (stem_slice){GUESSED_VALUE, 7};
    const stem_commit commit = {.writes = writes,
                                .n_writes = n,
                                .expectations = &guess,
                                .n_expectations = n_guesses,
                                .sync = random_below(8) == 0};
    tell_code(by, by->engine->ops->commit(by->engine, &commit, &failed));
}

static void walk_range(client *by, const stem_engine_snapshot *snapshot)
{
    const bool is_reverse = random_below(2), seeks = random_below(2);
    const uint32_t steps = random_below(MOST_STEPS);
    stem_engine_iter *iter;
    stem_slice key, value;

    hostile_make(&request, "STEM.ESTIMATE");
    const stem_engine_range range = {hostile_word(&request, 1),
                                     hostile_word(&request, 2)};
    int code =
        by->engine->ops->iter_open(by->engine, snapshot, &range, is_reverse, &iter);
    tell_code(by, code);
    if (code != STEM_OK)
        return;
    if (seeks) {
        hostile_make(&request, "GET");
        tell_code(by, by->engine->ops->iter_seek(iter, hostile_word(&request, 1)));
    }
    for (uint32_t i = 0; i < steps && code == STEM_OK; i++) {
        code = by->engine->ops->iter_next(iter, &key, &value);
        tell_code(by, code);
        if (code == STEM_OK) {
            tell(by, key);
            tell(by, value);
        }
    }
    by->engine->ops->iter_close(iter);
}

/* Bytes are counted for who is no administrator, and estimated for the others. */
static void measure_range(client *by, bool is_exact)
{
    stem_size_info size = {0};

    hostile_make(&request, "STEM.ESTIMATE");
    const stem_engine_range range = {hostile_word(&request, 1),
                                     hostile_word(&request, 2)};
    const int code = by->engine->ops->estimate(by->engine, &range, &size);
    tell_code(by, code);
    if (is_exact)
        tell(by, (stem_slice){(const char *)&size, sizeof size});
    if (random_below(8) == 0)
        tell_code(by, by->engine->ops->compact(by->engine, &range));
}

static void look_around(client *by)
{
    uint64_t count = 0;
    const char *text = contents(by->db);

    tell(by, (stem_slice){text, strlen(text)});
    tell_code(by, stem_count(by->db, NULL, &count));
    tell(by, (stem_slice){(const char *)&count, sizeof count});
}

static void do_something(client *by, const confinement *how,
                         const stem_engine_snapshot *snapshot)
{
    const stem_engine_snapshot *at = random_below(2) ? snapshot : NULL;

    switch (random_below(16)) {
    case 0:
        look_around(by);
        break;
    case 1:
        measure_range(by, how->user != NULL);
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        walk_range(by, at);
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        read_keys(by, at);
        break;
    default:
        commit_writes(by);
        break;
    }
}

/* A run of one client, which is the same for both: it begins with the same random number. */
static void run(client *by, scope_world *world, uint64_t start)
{
    stem_engine_snapshot *snapshot;

    random_state = start;
    hostile_start(start);
    assert_ok(by->engine->ops->snapshot_open(by->engine, &snapshot));
    for (int i = 0; i < RUN_LEN; i++) {
        if (world == &worlds[0])
            let_stranger_write(world);
        do_something(by, world->how, snapshot);
        if (world == &worlds[0])
            wait_for_stranger(world);
    }
    by->engine->ops->snapshot_close(by->engine, snapshot);
    ck_assert(!by->told.failed);
    ck_assert(!has_secret((stem_slice){by->told.data, by->told.len}));
}

START_TEST(a_scope_in_the_location_is_all_that_its_client_sees_and_changes)
{
    const unsigned long runs = number_from("STEM_TEST_RUNS", N_RUNS);
    client clients[N_WORLDS];

    random_state = 42 + (uint64_t)_i;
    uint64_t start = random_start();
    open_scope_worlds(worlds, &confinements[_i]);
    for (int i = 0; i < N_WORLDS; i++)
        clients[i] = open_client(&worlds[i]);
    for (unsigned long n = 0; n < runs; n++, start++) {
        for (int i = 0; i < N_WORLDS; i++) {
            clients[i].told.len = 0;
            run(&clients[i], &worlds[i], start);
        }
        let_stranger_restore(&worlds[0]);
        ck_assert_msg(clients[0].told.len == clients[1].told.len &&
                          memcmp(clients[0].told.data, clients[1].told.data,
                                 clients[0].told.len) == 0 &&
                          is_outside_untouched(&worlds[0]) &&
                          is_outside_untouched(&worlds[1]) && are_insides_alike(worlds),
                      "confined by %s, run %lu, from seed %llu", confinements[_i].name, n,
                      (unsigned long long)start);
    }
    for (int i = 0; i < N_WORLDS; i++) {
        assert_ok(stem_close(clients[i].db));
        free(clients[i].told.data);
    }
    hostile_free(&request);
    close_scope_worlds(worlds);
}
END_TEST

START_TEST(the_longest_key_within_a_scope_is_what_the_client_is_told)
{
    char bytes[STEM_PATH_MAX];
    size_t failed;

    open_scope_worlds(worlds, &confinements[_i]);
    client by = open_client(&worlds[1]);
    const size_t most = by.engine->max_key_bytes;
    ck_assert_uint_eq(most, STEM_PATH_MAX - confinements[_i].scope.len);
    memset(bytes, 'k', sizeof bytes);
    for (size_t i = STEM_COMPONENT_MAX; i < most; i += STEM_COMPONENT_MAX)
        bytes[i] = '\0';
    stem_write write = {{bytes, most}, {"\x01", 1}, false};
    const stem_commit commit = {.writes = &write, .n_writes = 1};
    assert_ok(by.engine->ops->commit(by.engine, &commit, &failed));
    write.key.len++;
    assert_code(by.engine->ops->commit(by.engine, &commit, &failed), STEM_EINVAL);
    assert_ok(stem_close(by.db));
    close_scope_worlds(worlds);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("remote scope");
    TCase *tcase = add_case(suite, "location", 600);

    tcase_add_loop_test(tcase,
                        a_scope_in_the_location_is_all_that_its_client_sees_and_changes,
                        0, N_CONFINEMENTS);
    tcase_add_loop_test(tcase, the_longest_key_within_a_scope_is_what_the_client_is_told,
                        0, N_CONFINEMENTS);
    return run_suite(suite);
}
