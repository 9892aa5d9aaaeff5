/*
 * The scope proof for Stem's own commands and those that walk: two databases that hold
 * the same below the scope, and in one of them much besides. Whatever a confined request
 * says, hostile words of every kind among it, both give the same reply, and what is
 * outside stays as it is.
 */
#include "own_support.h"

#include <stdlib.h>

#include "hostile.h"
#include "random.h"

enum { N_REQUESTS = 6000, N_WORLDS = 2 };

/* The second has nothing but what is below the scope. */
typedef struct world {
    stem_engine *engine;
    stem_caller peer;
    char cursor[24], snapshot[STEM_ID_DIGITS + 1];
} world;

static world worlds[N_WORLDS];
static const stem_id session = {{9, 9, 9}};

static const stem_slice scopes[] = {{"in\0", 3}, {"in\0deep\0", 8}};

static bool is_below(stem_slice key)
{
    return key.len > scope.len && memcmp(key.data, scope.data, scope.len) == 0;
}

/* What a commit with a number leaves behind, in both. */
static bool is_own_record(stem_slice key)
{
    return key.len == STEM_SLOT_KEY_LEN &&
           memcmp(key.data, "\0slot\0\x09\x09\x09", 9) == 0;
}

static void put_session(stem_engine *on)
{
    char key[STEM_SESSION_KEY_LEN];

    stem_session_key(&session, key);
    put(on, (stem_slice){key, sizeof key}, slice("\x93\xA0\x10\x01"));
}

static void open_worlds(void)
{
    for (int i = 0; i < N_WORLDS; i++) {
        open_caller();
        put_session(engine);
        assert_ok(stem_sessions_open(engine, NULL, &peer.sessions));
        peer.session = &session;
        worlds[i] =
            (world){.engine = engine, .peer = peer, .cursor = "0", .snapshot = "0"};
        for (size_t n = 0; n < n_hostile_neighbours; n++)
            if (i == 0 || is_below(hostile_neighbours[n]))
                put(engine, hostile_neighbours[n], slice(GUESSED_VALUE));
    }
}

static void enter_world(int i)
{
    engine = worlds[i].engine;
    peer = worlds[i].peer;
}

static void close_worlds(void)
{
    for (int i = 0; i < N_WORLDS; i++) {
        enter_world(i);
        stem_sessions_close(peer.sessions);
        close_caller();
    }
}

/* ---- What is outside -------------------------------------------------------------- */

/* How many keys are outside, each with the value that it had. */
static size_t check_outside(void)
{
    const stem_engine_range everything = {{NULL, 0}, {NULL, 0}};
    stem_engine_iter *iter;
    stem_slice key, value;
    size_t n = 0;

    assert_ok(engine->ops->iter_open(engine, NULL, &everything, false, &iter));
    while (engine->ops->iter_next(iter, &key, &value) == STEM_OK) {
        if (is_below(key) || is_own_record(key))
            continue;
        n++;
        if (key.len != STEM_SESSION_KEY_LEN) {
            ck_assert_uint_eq(value.len, 7);
            ck_assert_mem_eq(value.data, GUESSED_VALUE, 7);
        }
    }
    engine->ops->iter_close(iter);
    return n;
}

static void check_both_outside(void)
{
    size_t expected = 1;

    for (size_t i = 0; i < n_hostile_neighbours; i++)
        expected += !is_below(hostile_neighbours[i]);
    enter_world(0);
    ck_assert_uint_eq(check_outside(), expected);
    enter_world(1);
    ck_assert_uint_eq(check_outside(), 1);
}

/* ---- Requests --------------------------------------------------------------------- */

static const char *const others[] = {"STEM.GET",      "STEM.PUT",     "STEM.PUTJSON",
                                     "STEM.ESTIMATE", "STEM.COMPACT", "STEM.FLUSH",
                                     "STEM.RELEASE",  "DBSIZE"};
static const char *const frequent[] = {"SCAN",          "STEM.READ", "STEM.RANGE",
                                       "STEM.CHILDREN", "KEYS",      "STEM.COMMIT"};

static const char *choose_command(void)
{
    const uint32_t n = random_below(200);

    if (n == 0)
        return "FLUSHDB";
    if (n < 5)
        return "STEM.SNAPSHOT";
    if (n < 60)
        return "STEM.COMMIT";
    return n % 9 < 6 ? frequent[n % 9] : others[random_below(8)];
}

static hostile_request request;

static bool is_walk(void)
{
    return hostile_is(&request, "SCAN") || hostile_is(&request, "STEM.RANGE");
}

/* A word, with what is known in one world alone. */
static stem_slice word_in(const world *at, size_t i)
{
    switch (request.words[i].role) {
    case HOSTILE_CURSOR:
        return slice(at->cursor);
    case HOSTILE_SNAPSHOT:
        return slice(at->snapshot);
    case HOSTILE_WORD:
        return hostile_word(&request, i);
    default:
        return slice("77");
    }
}

/* The request in one world, with its cursor and its snapshot; the reply without them. */
static char *reply_in(int i)
{
    world *at = &worlds[i];
    stem_slice words[HOSTILE_WORDS];

    enter_world(i);
    for (size_t n = 0; n < request.n; n++)
        words[n] = word_in(at, n);
    const char *reply = ask_words(words, request.n);
    if (hostile_is(&request, "STEM.SNAPSHOT") && reply[0] == '"') {
        strcpy(at->snapshot, last_id());
        reply = "an id";
    }
    if (hostile_is(&request, "SCAN") && reply[0] == '[') {
        const size_t len = strcspn(reply + 2, "\"");

        memcpy(at->cursor, reply + 2, len);
        at->cursor[len] = '\0';
        reply += 2 + len;
    }
    return strdup(reply);
}

/* Time may end a walk early in one of them: then they are asked again. */
static bool are_the_same(void)
{
    char before[N_WORLDS][24];
    bool is_same = false;

    for (int i = 0; i < N_WORLDS; i++)
        strcpy(before[i], worlds[i].cursor);
    for (int attempt = 0; attempt < 5 && !is_same; attempt++) {
        for (int i = 0; i < N_WORLDS; i++)
            strcpy(worlds[i].cursor, before[i]);
        char *replies[N_WORLDS] = {reply_in(0), reply_in(1)};

        is_same = strcmp(replies[0], replies[1]) == 0 &&
                  !strcmp(worlds[0].cursor, "0") == !strcmp(worlds[1].cursor, "0");
        free(replies[0]);
        free(replies[1]);
        if (!is_walk())
            break;
    }
    return is_same;
}

START_TEST(a_confined_request_gives_nothing_away_and_changes_nothing_outside)
{
    random_state = 42 + (uint64_t)_i;
    const uint64_t seed = random_start();

    hostile_start(seed);
    scope = scopes[_i % 2];
    has_raw_keys = _i >= 2;
    open_worlds();
    for (int i = 0; i < N_REQUESTS; i++) {
        const char *command = choose_command();

        hostile_make(&request, command);
        ck_assert_msg(are_the_same(), "request %d (%s) with seed %llu", i, command,
                      (unsigned long long)seed);
        if (i % 500 == 0)
            check_both_outside();
    }
    check_both_outside();
    hostile_free(&request);
    close_worlds();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("own scope");
    TCase *tcase = add_case(suite, "scope", 60);

    tcase_add_loop_test(
        tcase, a_confined_request_gives_nothing_away_and_changes_nothing_outside, 0, 4);
    return run_suite(suite);
}
