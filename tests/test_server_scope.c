/*
 * The scope proof, over sockets: whoever is confined to a sub-database tries every command on a
 * real server, and learns and changes nothing of what lies outside. Two servers hold the same
 * below the scope and something else around it; to the same requests both give the same
 * replies, byte for byte, but for ids that are random. STEM_TEST_RUNS says how many runs of
 * requests each way of confining goes through, STEM_TEST_SEED where to begin.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/command.h"
#include "place.h"
#include "random.h"
#include "scope_world.h"

enum { N_RUNS = 30, RUN_LEN = 10, RUNS_OF_A_CONNECTION = 16, BATCH = 6 };

static const confinement confinements[] = {
    {"a users file", {"in", 3}, NULL, "web", NULL, false},
    {"HELLO SCOPE", {"in", 3}, NULL, NULL, "in", false},
    {"a users file and HELLO SCOPE", {"in\0deep", 8}, NULL, "web", "deep", true},
    {"HELLO SCOPE of two components", {"in\0deep", 8}, NULL, NULL, "in/deep", true},
    {"a served sub-database and HELLO SCOPE", {"in\0deep", 8}, "in", NULL, "deep", false},
};
enum { N_CONFINEMENTS = sizeof confinements / sizeof *confinements };

static scope_world worlds[N_WORLDS];
static raw_client clients[N_WORLDS]; /* the confined one, in each */
static uint64_t seed;

#define claim(condition, what)                                                           \
    ck_assert_msg((condition), "confined by %s, seed %llu: %s", worlds[0].how->name,     \
                  (unsigned long long)seed, (what))

/* ---- Logging in ------------------------------------------------------------------- */

static void log_in(void)
{
    const confinement *how = worlds[0].how;
    char hello[64];

    snprintf(hello, sizeof hello, "HELLO 2%s%s%s%s%s", how->user ? " AUTH " : "",
             how->user ? how->user : "", how->user ? " secret" : "",
             how->asked ? " SCOPE " : "", how->asked ? how->asked : "");
    for (int i = 0; i < N_WORLDS; i++) {
        raw_open(&clients[i], scope_world_address(&worlds[i]));
        const stem_slice reply = raw_ask(&clients[i], hello);
        ck_assert_msg(*reply.data == '*', "%.*s", (int)reply.len, reply.data);
    }
}

static void log_out(void)
{
    for (int i = 0; i < N_WORLDS; i++)
        raw_close(&clients[i]);
}

/* ---- What is random, or of the whole server --------------------------------------- */

static void add_masked(stem_buffer *out, stem_slice reply, const char *before, size_t len)
{
    const char *at = memmem(reply.data, reply.len, before, strlen(before));
    const size_t head = at ? (size_t)(at - reply.data) + strlen(before) : reply.len;

    stem_buffer_add(out, reply.data, head);
    if (head < reply.len) {
        const size_t masked =
            len > 0 ? len : strcspn(reply.data + head, "\r"); /* a line has an end */
        stem_buffer_add(out, reply.data + head + masked, reply.len - head - masked);
    }
}

static void keep_id(scope_world *world, enum hostile_role role, const char *at,
                    size_t len)
{
    ck_assert_uint_lt(len, sizeof world->ids[role]);
    memcpy(world->ids[role], at, len);
    world->ids[role][len] = '\0';
}

/* The reply with a new id or cursor left out, and kept. */
static void add_without_id(stem_buffer *out, scope_world *world,
                           const hostile_request *asked, stem_slice reply)
{
    static const char id[] = "$32\r\n";
    const char *at = memmem(reply.data, reply.len, id, strlen(id));

    if (hostile_is(asked, "SCAN") && *reply.data == '*') {
        at = strchr(strchr(reply.data, '\n') + 1, '\n') + 1;
        const size_t len = strcspn(at, "\r");

        keep_id(world, HOSTILE_CURSOR, at, len);
        stem_buffer_add_text(out, len == 1 && *at == '0' ? "done" : "more");
        stem_buffer_add(out, at + len, reply.len - (size_t)(at + len - reply.data));
    } else if (at && *reply.data != '-') {
        keep_id(world, *reply.data == '*' ? HOSTILE_SESSION : HOSTILE_SNAPSHOT,
                at + strlen(id), STEM_ID_DIGITS);
        add_masked(out, reply, id, STEM_ID_DIGITS);
    } else {
        stem_buffer_add(out, reply.data, reply.len);
    }
}

/* Asks for no cursor or snapshot twice that is gone. */
static void forget_gone(scope_world *world, stem_slice reply)
{
    static const char gone[] = "-GONE", invalid[] = "-ERR invalid cursor";

    if (reply.len > strlen(gone) && memcmp(reply.data, gone, strlen(gone)) == 0)
        strcpy(world->ids[HOSTILE_SNAPSHOT], "0");
    if (reply.len > strlen(invalid) && memcmp(reply.data, invalid, strlen(invalid)) == 0)
        strcpy(world->ids[HOSTILE_CURSOR], "0");
}

/* What administrators alone are told, of the whole server. */
static bool is_for_admins(const hostile_request *asked)
{
    return hostile_is(asked, "INFO") || hostile_is(asked, "STEM.STATS") ||
           hostile_is(asked, "STEM.SETTINGS") || hostile_is(asked, "STEM.ESTIMATE");
}

/* INFO but for the time, a count that may be a second old, and the length that both change. */
static void add_info(stem_buffer *out, stem_slice reply)
{
    const size_t head = *reply.data == '$' ? strcspn(reply.data, "\n") : 0;
    const stem_slice rest = {reply.data + head, reply.len - head};
    stem_buffer timeless = {0};

    add_masked(&timeless, rest, "uptime_in_seconds:", 0);
    add_masked(out, (stem_slice){timeless.data, timeless.len}, "keys=", 0);
    free(timeless.data);
}

/* What differs from one connection, or one moment, to the next. */
static bool is_incomparable(const hostile_request *asked)
{
    return hostile_is(asked, "TIME") || hostile_is(asked, "RANDOMKEY") ||
           hostile_is(asked, "CLIENT");
}

/* Whether a world's transaction holds what differs so. */
static bool has_queued[N_WORLDS];

/* The reply to EXEC: how many there are, where one of them differs from world to world. */
static void add_executed(stem_buffer *out, const scope_world *world, stem_slice reply)
{
    bool *is_queued = &has_queued[world - worlds];

    stem_buffer_add(out, reply.data,
                    *is_queued && *reply.data == '*' ? strcspn(reply.data, "\n")
                                                     : reply.len);
    *is_queued = false;
}

static void add_comparable(stem_buffer *out, scope_world *world,
                           const hostile_request *asked, stem_slice reply)
{
    const bool is_error = reply.len == 0 || *reply.data == '-';

    if (reply.len > 7 && memcmp(reply.data, "+QUEUED", 7) == 0)
        has_queued[world - worlds] |= is_incomparable(asked) || is_for_admins(asked);
    if (hostile_is(asked, "EXEC") && reply.len > 0)
        add_executed(out, world, reply);
    else if (is_for_admins(asked) && !world->how->user && !is_error)
        stem_buffer_add_text(out, "figures");
    else if (hostile_is(asked, "STEM.PLACE") && !is_error)
        stem_buffer_add_text(out, "ids"); /* random ones, and a hash of one */
    else if (hostile_is(asked, "INFO"))
        add_info(out, reply);
    else if (hostile_is(asked, "HELLO"))
        add_masked(out, reply, "id\r\n:", 0);
    else if (is_incomparable(asked) && !is_error)
        stem_buffer_add(out, reply.data, 1);
    else if (hostile_is(asked, "SCAN") || hostile_is(asked, "STEM.SNAPSHOT") ||
             hostile_is(asked, "STEM.ATTACH"))
        add_without_id(out, world, asked, reply);
    else
        stem_buffer_add(out, reply.data, reply.len);
    stem_buffer_add_text(out, "\n");
    forget_gone(world, reply);
}

/* ---- Asking ----------------------------------------------------------------------- */

static void add_request(stem_buffer *out, const scope_world *world,
                        const hostile_request *request)
{
    stem_slice words[HOSTILE_WORDS];

    for (size_t i = 0; i < request->n; i++) {
        const char *id = world->ids[request->words[i].role];

        words[i] = request->words[i].role == HOSTILE_WORD ? hostile_word(request, i)
                                                          : (stem_slice){id, strlen(id)};
    }
    raw_add(out, words, request->n);
}

/* What one world says to the requests, to be compared. */
static stem_buffer answers(int i, const hostile_request *requests, size_t n)
{
    scope_world *world = &worlds[i];
    stem_buffer sent = {0}, found = {0};

    for (size_t at = 0; at < n; at++)
        add_request(&sent, world, &requests[at]);
    if (i == 0)
        let_stranger_write(world);
    raw_send(&clients[i], &sent);
    for (size_t at = 0; at < n; at++) {
        const stem_slice reply = raw_reply(&clients[i]);

        claim(!has_secret(reply), "a secret got out");
        stem_buffer_add(&found, requests[at].bytes.data, requests[at].words[0].len);
        stem_buffer_add_text(&found, " ");
        add_comparable(&found, world, &requests[at], reply);
    }
    if (i == 0)
        wait_for_stranger(world);
    free(sent.data);
    ck_assert(!found.failed);
    return found;
}

static bool is_walk(const hostile_request *request)
{
    return hostile_is(request, "SCAN") || hostile_is(request, "STEM.RANGE");
}

static bool are_answers_alike(const hostile_request *requests, size_t n, bool must_be)
{
    stem_buffer found[N_WORLDS];

    for (int i = 0; i < N_WORLDS; i++)
        found[i] = answers(i, requests, n);
    const bool is_same = found[0].len == found[1].len &&
                         memcmp(found[0].data, found[1].data, found[0].len) == 0;
    ck_assert_msg(is_same || !must_be,
                  "confined by %s, seed %llu, two worlds can be told apart:\n%.*s\n%.*s",
                  worlds[0].how->name, (unsigned long long)seed, (int)found[0].len,
                  found[0].data, (int)found[1].len, found[1].data);
    free(found[0].data);
    free(found[1].data);
    return is_same;
}

/* Time may end a walk early in one of them: then both go there again. */
static void try_walk(const hostile_request *request)
{
    enum { ATTEMPTS = 50 };
    char cursors[N_WORLDS][STEM_ID_DIGITS + 1];
    bool is_same = false;

    for (int i = 0; i < N_WORLDS; i++)
        strcpy(cursors[i], worlds[i].ids[HOSTILE_CURSOR]);
    for (int left = ATTEMPTS; left > 0 && !is_same; left--) {
        for (int i = 0; i < N_WORLDS; i++)
            strcpy(worlds[i].ids[HOSTILE_CURSOR], cursors[i]);
        is_same = are_answers_alike(request, 1, left == 1);
    }
}

/* MULTI, EXEC, and between them what may be there. */
static size_t make_transaction(hostile_request requests[BATCH])
{
    static const char *const names[] = {"GET",  "SET",       "MGET",     "DEL",
                                        "COPY", "RENAME",    "STEM.GET", "STEM.PUT",
                                        "INCR", "STEM.READ", "EXISTS",   "GETDEL"};
    size_t n = 1 + random_below(BATCH - 2);

    hostile_make(&requests[0], "MULTI");
    for (size_t i = 1; i <= n; i++)
        hostile_make(&requests[i], names[random_below(sizeof names / sizeof *names)]);
    hostile_make(&requests[n + 1], "EXEC");
    return n + 2;
}

/* Whether it ends what the login has begun. */
static bool is_farewell(const hostile_request *request)
{
    return hostile_is(request, "QUIT") || hostile_is(request, "RESET");
}

/* Some requests, of which a walk or a farewell is the last. */
static size_t make_some(hostile_request requests[BATCH])
{
    size_t n = 0;
    bool is_last = false;

    while (n < BATCH && !is_last) {
        hostile_request *request = &requests[n++];

        hostile_make_any(request);
        if (random_below(16) == 0)
            hostile_mangle(request);
        is_last = is_farewell(request) || is_walk(request) || random_below(2);
    }
    return n;
}

/* Some requests at once; a walk is alone. False when the connection has ended. */
static bool try_some(void)
{
    hostile_request requests[BATCH] = {{0}};
    const size_t n = random_below(8) ? make_some(requests) : make_transaction(requests);
    const size_t walks = is_walk(&requests[n - 1]);
    const bool goes_on = !is_farewell(&requests[n - 1]);

    if (n > walks)
        are_answers_alike(requests, n - walks, true);
    if (walks)
        try_walk(&requests[n - 1]);
    for (size_t i = 0; i < n; i++)
        hostile_free(&requests[i]);
    return goes_on;
}

static void read_metrics(const scope_world *world)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: a\r\n"
                                  "Connection: close\r\n\r\n";
    stem_buffer sent = {0};
    raw_client client;

    stem_buffer_add_text(&sent, request);
    raw_open(&client, stem_server_metrics_address(world->server));
    raw_send(&client, &sent);
    const stem_slice text = raw_rest(&client);
    ck_assert_ptr_nonnull(memmem(text.data, text.len, "stem_uptime_seconds", 19));
    ck_assert(!has_secret(text));
    raw_close(&client);
    free(sent.data);
}

START_TEST(who_is_confined_learns_and_changes_nothing_outside)
{
    const unsigned long runs = number_from("STEM_TEST_RUNS", N_RUNS);
    bool is_in = false;

    random_state = 42 + (uint64_t)_i;
    seed = random_start();
    hostile_start(seed);
    open_scope_worlds(worlds, &confinements[_i]);
    for (unsigned long run = 0; run < runs; run++) {
        if (is_in && run % RUNS_OF_A_CONNECTION == 0) {
            log_out();
            is_in = false;
        }
        if (!is_in)
            log_in();
        is_in = true;
        for (int i = 0; i < RUN_LEN && is_in; i++)
            is_in = try_some();
        if (!is_in)
            log_out();
        let_stranger_restore(&worlds[0]);
        claim(is_outside_untouched(&worlds[0]) && is_outside_untouched(&worlds[1]),
              "what is outside has changed");
        claim(are_insides_alike(worlds), "the same requests had other effects");
    }
    if (is_in)
        log_out();
    read_metrics(&worlds[0]);
    close_scope_worlds(worlds);
}
END_TEST

START_TEST(every_command_of_the_server_is_tried)
{
    const stem_command *command;

    for (size_t i = 0; (command = stem_command_at(i)); i++)
        ck_assert_msg(hostile_knows(command->name), "%s is not", command->name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server scope");
    TCase *wire = add_case(suite, "wire", 600);

    tcase_add_test(wire, every_command_of_the_server_is_tried);
    tcase_add_loop_test(wire, who_is_confined_learns_and_changes_nothing_outside, 0,
                        N_CONFINEMENTS);
    return run_suite(suite);
}
