/*
 * The scope proof for Stem's own commands and those that walk: two databases that hold
 * the same below the scope, and in one of them much besides. Whatever a confined request
 * says, hostile words of every kind among it, both give the same reply, and what is
 * outside stays as it is.
 */
#include "own_support.h"

#include <stdlib.h>

#include "random.h"

enum { N_REQUESTS = 6000, N_WORLDS = 2, WORD_MAX = STEM_PATH_MAX + 16 };

/* The second has nothing but what is below the scope. */
typedef struct world {
    stem_engine *engine;
    stem_caller peer;
    char cursor[24], snapshot[STEM_ID_DIGITS + 1];
} world;

static world worlds[N_WORLDS];
static const stem_id session = {{9, 9, 9}};

static const stem_slice scopes[] = {{"in\0", 3}, {"in\0deep\0", 8}};

/* Names that sort next to the scopes, look like them, or are there in both places. */
static const stem_slice neighbours[] = {{"\x01", 1},
                                        {"\xFF", 1},
                                        {"\xFF\xFF\xFF\0a", 5},
                                        {"a", 1},
                                        {"a\0b", 3},
                                        {"i", 1},
                                        {"in", 2},
                                        {"in\x01", 3},
                                        {"in\x01\0a", 5},
                                        {"in/\0a", 5},
                                        {"inn\0a", 5},
                                        {"out\0hidden", 10},
                                        {"in\0hidden", 9},
                                        {"in\0deep", 7},
                                        {"in\0deep\x01", 8},
                                        {"in\0deep\x01\0b", 10},
                                        {"in\0deeper\0a", 11},
                                        {"in\0\xFF", 4},
                                        {"b\0in\0deep\0a", 11},
                                        {"\0other\0record", 13},
                                        {"\0session", 8},
                                        {"\0session\1", 9},
                                        {"\0zzz", 4},
                                        {"hidden", 6}};
enum { N_NEIGHBOURS = sizeof neighbours / sizeof *neighbours };

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
        peer.session = &session;
        worlds[i] =
            (world){.engine = engine, .peer = peer, .cursor = "0", .snapshot = "0"};
        put_session(engine);
        for (size_t n = 0; n < N_NEIGHBOURS; n++)
            if (i == 0 || is_below(neighbours[n]))
                put(engine, neighbours[n], slice("\xA6secret"));
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
            ck_assert_mem_eq(value.data, "\xA6secret", 7);
        }
    }
    engine->ops->iter_close(iter);
    return n;
}

static void check_both_outside(void)
{
    size_t expected = 1;

    for (size_t i = 0; i < N_NEIGHBOURS; i++)
        expected += !is_below(neighbours[i]);
    enter_world(0);
    ck_assert_uint_eq(check_outside(), expected);
    enter_world(1);
    ck_assert_uint_eq(check_outside(), 1);
}

/* ---- Hostile words ---------------------------------------------------------------- */

static char word_room[32][WORD_MAX];
static stem_slice words[32];
static size_t n_words;

static void add_word(stem_slice word)
{
    char *room = word_room[n_words];

    ck_assert_uint_lt(n_words, 32);
    ck_assert_uint_le(word.len, WORD_MAX);
    if (word.len > 0)
        memcpy(room, word.data, word.len);
    words[n_words++] = (stem_slice){room, word.len};
}

static void add_text(const char *text)
{
    add_word(slice(text));
}

static void add_random(const char *alphabet, size_t n_alphabet, uint32_t longest)
{
    char text[16];
    size_t len = random_below(longest + 1);

    for (size_t i = 0; i < len; i++)
        text[i] = alphabet[random_below((uint32_t)n_alphabet)];
    add_word((stem_slice){text, len});
}

static void add_long(size_t len, char separator)
{
    static char text[WORD_MAX];

    memset(text, 'x', len);
    for (size_t i = 4096; i < len; i += 4097)
        text[i] = separator;
    add_word((stem_slice){text, len});
}

static const char alphabet[] = "\0\x01/\\aabin.\xFF";

/* A key or a bound. */
static void add_key(void)
{
    static const char *const texts[] = {
        "",           "a",      "a/b",       "deep/a", "..",    "../out/hidden", "/",
        "//",         "a/",     "/a",        "\\x00",  "\\x61", "a/\\x00b",      ".",
        "out/hidden", "hidden", "in/deep/a", "\\/",    "a\\/b", "\\xFF",         "deep"};
    static const size_t lengths[] = {4096,
                                     4097,
                                     STEM_PATH_MAX - 8,
                                     STEM_PATH_MAX,
                                     STEM_PATH_MAX + 1,
                                     STEM_PATH_MAX + 9};

    switch (random_below(has_raw_keys ? 12 : 8)) {
    case 0:
        add_long(lengths[random_below(6)], has_raw_keys ? '\0' : '/');
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        add_text(texts[random_below(sizeof texts / sizeof *texts)]);
        break;
    case 8:
    case 9:
        add_word(neighbours[random_below(N_NEIGHBOURS)]);
        break;
    default:
        add_random(alphabet, sizeof alphabet - 1, 6);
        break;
    }
}

static void add_pattern(void)
{
    static const char *const patterns[] = {"*",   "../*", "[^a]*", "hidden*", "*hidden*",
                                           "/*",  "a/*",  "\\0*",  "\\\\x*",  "deep*",
                                           "in*", "?",    "*/*",   "[a-",     ""};

    if (random_below(3) == 0)
        add_random("*?[]\\/ain^-\xFF\0", 13, 8);
    else
        add_text(patterns[random_below(sizeof patterns / sizeof *patterns)]);
}

static void add_number(void)
{
    static const char *const numbers[] = {"0",   "1",       "2",  "3",
                                          "100", "1000000", "-1", "x"};

    add_text(numbers[random_below(sizeof numbers / sizeof *numbers)]);
}

static void add_operation(void)
{
    static const char *const names[] = {"PUT",   "DEL",   "ABSENT",
                                        "EQUAL", "EMPTY", "PUTJSON"};
    const uint32_t i = random_below(6);

    add_text(names[i]);
    add_key();
    if (i == 0)
        add_text("\x01");
    else if (i == 3)
        add_text(random_below(2) ? "\xA6secret" : "\x01");
    else if (i == 4)
        add_key();
    else if (i == 5)
        add_text("[1]");
}

/* ---- Requests --------------------------------------------------------------------- */

enum command { SCAN, READ, RANGE, SNAPSHOT, CHILDREN, KEYS, COMMIT, FLUSHDB, OTHERS };

static void make_request(enum command command)
{
    static const char *const others[] = {"STEM.GET",      "STEM.PUT",     "STEM.PUTJSON",
                                         "STEM.ESTIMATE", "STEM.COMPACT", "STEM.FLUSH",
                                         "STEM.RELEASE",  "DBSIZE"};

    n_words = 0;
    switch (command) {
    case SCAN:
        add_text("SCAN");
        add_text("cursor");
        add_text("MATCH");
        add_pattern();
        add_text("COUNT");
        add_number();
        break;
    case READ:
        add_text("STEM.READ");
        add_text("snapshot");
        add_key();
        add_key();
        break;
    case RANGE:
        add_text("STEM.RANGE");
        add_text("snapshot");
        add_key();
        add_key();
        add_text(random_below(2) ? "FORWARD" : "REVERSE");
        add_number();
        add_number();
        break;
    case SNAPSHOT:
        add_text("STEM.SNAPSHOT");
        break;
    case CHILDREN:
        add_text("STEM.CHILDREN");
        if (random_below(2))
            add_key();
        if (random_below(2)) {
            add_text("AFTER");
            add_key();
        }
        break;
    case KEYS:
        add_text("KEYS");
        add_pattern();
        break;
    case COMMIT:
        add_text("STEM.COMMIT");
        add_number();
        add_text("-");
        for (uint32_t n = random_below(4); n > 0; n--)
            add_operation();
        break;
    case FLUSHDB:
        add_text("FLUSHDB");
        break;
    default: {
        const uint32_t i = random_below(8);

        add_text(others[i]);
        if (i < 5 || i == 6)
            add_key();
        if (i == 1)
            add_text("\x01");
        if (i == 2)
            add_text("{}");
        if (i == 3 || i == 4)
            add_key();
    }
    }
}

/* The request in one world, with its cursor and its snapshot; the reply without them. */
static char *reply_in(int i, enum command command)
{
    world *at = &worlds[i];

    enter_world(i);
    if (command == SCAN)
        words[1] = slice(at->cursor);
    if (command == READ || command == RANGE)
        words[1] = slice(at->snapshot);
    const char *reply = ask_words(words, n_words);
    if (command == SNAPSHOT && reply[0] == '"')
        strcpy(at->snapshot, last_id());
    if (command == SNAPSHOT)
        reply = reply[0] == '"' ? "an id" : reply;
    if (command == SCAN && reply[0] == '[') {
        const size_t len = strcspn(reply + 2, "\"");

        memcpy(at->cursor, reply + 2, len);
        at->cursor[len] = '\0';
        reply += 2 + len;
    }
    return strdup(reply);
}

/* Time may end a walk early in one of them: then they are asked again. */
static bool are_the_same(enum command command)
{
    char before[N_WORLDS][24];
    bool is_same = false;

    for (int i = 0; i < N_WORLDS; i++)
        strcpy(before[i], worlds[i].cursor);
    for (int attempt = 0; attempt < 5 && !is_same; attempt++) {
        for (int i = 0; i < N_WORLDS; i++)
            strcpy(worlds[i].cursor, before[i]);
        char *replies[N_WORLDS] = {reply_in(0, command), reply_in(1, command)};

        is_same = strcmp(replies[0], replies[1]) == 0 &&
                  !strcmp(worlds[0].cursor, "0") == !strcmp(worlds[1].cursor, "0");
        free(replies[0]);
        free(replies[1]);
        if (command != SCAN && command != RANGE)
            break;
    }
    return is_same;
}

static enum command choose_command(void)
{
    const uint32_t n = random_below(200);

    if (n == 0)
        return FLUSHDB;
    return n < 5 ? SNAPSHOT : n < 60 ? COMMIT : (enum command)(n % (OTHERS + 1));
}

START_TEST(a_confined_request_gives_nothing_away_and_changes_nothing_outside)
{
    random_state = 42 + (uint64_t)_i;
    const uint64_t seed = random_start();

    scope = scopes[_i % 2];
    has_raw_keys = _i >= 2;
    open_worlds();
    for (int i = 0; i < N_REQUESTS; i++) {
        enum command command = choose_command();

        make_request(command);
        ck_assert_msg(are_the_same(command), "request %d (%.*s) with seed %llu", i,
                      (int)words[0].len, words[0].data, (unsigned long long)seed);
        if (i % 500 == 0)
            check_both_outside();
    }
    check_both_outside();
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
