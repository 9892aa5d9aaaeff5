/*
 * Hostile requests; see hostile.h. Each command has its words in a table, a letter for each
 * kind of word.
 */
#include "hostile.h"

#include <check.h>
#include <stdlib.h>

#include "random.h"

/* Names that sort next to the scopes, look like them, or are there in both places. */
const stem_slice hostile_neighbours[] = {{"\x01", 1},
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
                                         {"\0session\0abcdefghijklmnop", 25},
                                         {"\0slot\0abcdefghijklmnop\0\1", 24},
                                         {"\0zzz", 4},
                                         {"hidden", 6}};
const size_t n_hostile_neighbours =
    sizeof hostile_neighbours / sizeof *hostile_neighbours;

/* ---- Commands --------------------------------------------------------------------- */

/*
 * The words behind the name. A letter is a word of its kind, other words are themselves, and
 * the request may end at a question mark:
 *
 *     k key   K up to two more keys   V up to two more keys with values   b bound
 *     v value   j JSON   m packed value   o operations of a commit
 *     p pattern   n number   d direction   c cursor   s snapshot   i session
 */
static const struct shape {
    const char *name, *words;
    uint32_t weight; /* of those that hostile_make_any draws */
} shapes[] = {
    {"APPEND", "k v", 10},
    {"AUTH", "v", 1},
    {"AUTH", "k v", 1},
    {"CLIENT", "ID", 10},
    {"CLIENT", "GETNAME", 10},
    {"CLIENT", "SETNAME k", 10},
    {"CLIENT", "INFO", 5},
    {"CLIENT", "LIST ? ID n", 5},
    {"CLIENT", "NO-EVICT k", 2},
    {"CLIENT", "SETINFO LIB-NAME k", 2},
    {"COMMAND", "? COUNT", 1},
    {"COMMAND", "GETKEYS GET k", 2},
    {"COMMAND", "LIST FILTERBY PATTERN p", 2},
    {"COMMAND", "INFO k", 10},
    {"CONFIG", "GET p", 2},
    {"COPY", "k k ? REPLACE", 10},
    {"DBSIZE", "", 20},
    {"DECR", "k", 10},
    {"DECRBY", "k n", 10},
    {"DEL", "k K", 10},
    {"DISCARD", "", 10},
    {"ECHO", "k", 10},
    {"EXEC", "", 15},
    {"EXISTS", "k K", 10},
    {"FLUSHALL", "? ASYNC", 1},
    {"FLUSHDB", "? ASYNC", 1},
    {"GET", "k", 20},
    {"GETDEL", "k", 10},
    {"GETRANGE", "k n n", 10},
    {"GETSET", "k v", 10},
    {"HELLO", "? 2", 10},
    {"HELLO", "3", 10},
    {"HELLO", "2 SCOPE k", 6},
    {"HELLO", "3 SCOPE k AUTH k v", 1},
    {"INCR", "k", 10},
    {"INCRBY", "k n", 10},
    {"INCRBYFLOAT", "k n", 10},
    {"INFO", "? k", 10},
    {"KEYS", "p", 20},
    {"MEMORY", "USAGE k", 10},
    {"MGET", "k K", 10},
    {"MSET", "k v V", 10},
    {"MSETNX", "k v V", 10},
    {"MULTI", "", 8},
    {"OBJECT", "ENCODING k", 10},
    {"OBJECT", "REFCOUNT k", 5},
    {"PING", "? k", 10},
    {"QUIT", "", 1},
    {"RANDOMKEY", "", 20},
    {"RENAME", "k k", 10},
    {"RENAMENX", "k k", 10},
    {"RESET", "", 1},
    {"SCAN", "c ? MATCH p ? COUNT n", 60},
    {"SELECT", "n", 10},
    {"SET", "k v ? GET", 10},
    {"SET", "k v NX ? GET", 10},
    {"SET", "k v XX ? KEEPTTL", 10},
    {"SET", "k v EX n", 10},
    {"SETNX", "k v", 10},
    {"SETRANGE", "k n v", 10},
    {"STEM.ATTACH", "1 n NEW", 1},
    {"STEM.ATTACH", "1 n i", 10},
    {"STEM.CHILDREN", "? k ? AFTER k ? LIMIT n", 20},
    {"STEM.CHILDREN", "AFTER k", 20},
    {"STEM.COMMIT", "0 - o", 40},
    {"STEM.COMMIT", "n - o", 20},
    {"STEM.COMMIT", "n SYNC o", 1},
    {"STEM.COMPACT", "b b", 2},
    {"STEM.DETACH", "", 1},
    {"STEM.ESTIMATE", "b b", 20},
    {"STEM.FLUSH", "", 10},
    {"STEM.GET", "k ? JSON", 20},
    {"STEM.PLACE", "", 5},
    {"STEM.PUT", "k m", 10},
    {"STEM.PUTJSON", "k j", 10},
    {"STEM.RANGE", "s b b d n n ? KEYS", 60},
    {"STEM.READ", "s k K", 40},
    {"STEM.RELEASE", "s", 10},
    {"STEM.SETTINGS", "", 5},
    {"STEM.SNAPSHOT", "", 12},
    {"STEM.STATS", "", 10},
    {"STEM.SYNC", "", 1},
    {"STRLEN", "k", 10},
    {"SUBSTR", "k n n", 2},
    {"TIME", "", 2},
    {"TOUCH", "k K", 5},
    {"TYPE", "k", 10},
    {"UNLINK", "k K", 10},
    {"UNWATCH", "", 10},
    {"WATCH", "k K", 20},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* A subcommand by the command that it is one of. */
bool hostile_knows(const char *command)
{
    const size_t len = strcspn(command, "|");

    for (size_t i = 0; i < N_SHAPES; i++)
        if (strlen(shapes[i].name) == len && memcmp(shapes[i].name, command, len) == 0)
            return true;
    return false;
}

/* ---- Words ------------------------------------------------------------------------ */

static void add_word(hostile_request *request, const void *data, size_t len)
{
    ck_assert_uint_lt(request->n, HOSTILE_WORDS);
    request->words[request->n].at = request->bytes.len;
    request->words[request->n].len = len;
    request->words[request->n++].role = HOSTILE_WORD;
    stem_buffer_add(&request->bytes, data, len);
    ck_assert(!request->bytes.failed);
}

static void add_text(hostile_request *request, const char *text)
{
    add_word(request, text, strlen(text));
}

#define add_one_of(request, texts)                                                       \
    add_text(request, (texts)[random_below(sizeof(texts) / sizeof *(texts))])

static void add_random(hostile_request *request, const char *alphabet,
                       uint32_t n_alphabet, uint32_t longest)
{
    char text[16];
    const size_t len = random_below(longest + 1);

    for (size_t i = 0; i < len; i++)
        text[i] = alphabet[random_below(n_alphabet)];
    add_word(request, text, len);
}

/* Components of the greatest length, and what is left. */
static void add_long(hostile_request *request)
{
    static const size_t lengths[] = {STEM_COMPONENT_MAX, STEM_COMPONENT_MAX + 1,
                                     STEM_PATH_MAX - 8,  STEM_PATH_MAX,
                                     STEM_PATH_MAX + 1,  STEM_PATH_MAX + 9};
    static char text[STEM_PATH_MAX + 16];
    const size_t len = lengths[random_below(6)];
    const char separator = random_below(2) ? '/' : '\0';

    memset(text, 'x', len);
    for (size_t i = STEM_COMPONENT_MAX; i < len; i += STEM_COMPONENT_MAX + 1)
        text[i] = separator;
    add_word(request, text, len);
}

static void add_neighbour(hostile_request *request)
{
    const stem_slice key =
        hostile_neighbours[random_below((uint32_t)n_hostile_neighbours)];

    add_word(request, key.data, key.len);
}

static void add_key(hostile_request *request)
{
    static const char alphabet[] = "\0\x01/\\aabin.\xFF";
    static const char *const paths[] = {
        "a",       "a/b",           "deep/a",   "deep",      "hidden",      "out/hidden",
        "in",      "in/a",          "..",       "in/deep/a", "a\\/b",       "\\xFF",
        "\\x01/b", "../out/hidden", "deeper/a", "deeper",    "deep\\x01/b", "deep\\x01",
        "."};
    static const char *const no_paths[] = {"",   "/",     "//",    "a/",       "/a",
                                           "\\", "\\x00", "\\x61", "a/\\x00b", "a//b"};
    const uint32_t n = random_below(24);

    if (n == 0)
        add_long(request);
    else if (n < 5)
        add_neighbour(request);
    else if (n < 8)
        add_random(request, alphabet, sizeof alphabet - 1, 6);
    else if (n < 11)
        add_one_of(request, no_paths);
    else
        add_one_of(request, paths);
}

/* Where a range begins or ends: often nowhere. */
static void add_bound(hostile_request *request)
{
    if (random_below(2))
        add_text(request, "");
    else
        add_key(request);
}

static void add_value(hostile_request *request)
{
    static const char *const texts[] = {"1",    "-7", "",     "9223372036854775807",
                                        "1.5",  "in", "\xFF", GUESSED_TEXT,
                                        "text", "0"};

    add_one_of(request, texts);
}

static void add_packed(hostile_request *request)
{
    static const char *const texts[] = {
        "\x01", "\xA1x", "\x92\x01\xA1y", "\x81\xA1z\x02", "\xC3", "\x92\x01", ""};

    add_one_of(request, texts);
}

static void add_pattern(hostile_request *request)
{
    static const char *const patterns[] = {"*",   "../*", "[^a]*", "hidden*", "*hidden*",
                                           "/*",  "a/*",  "\\0*",  "\\\\x*",  "deep*",
                                           "in*", "?",    "*/*",   "[a-",     ""};

    if (random_below(3) == 0)
        add_random(request, "*?[]\\/ain^-\xFF\0", 13, 8);
    else
        add_one_of(request, patterns);
}

static void add_number(hostile_request *request)
{
    static const char *const numbers[] = {"0",   "1",   "2",       "3",  "7",
                                          "100", "400", "1000000", "-1", "x"};

    add_one_of(request, numbers);
}

static void add_operation(hostile_request *request)
{
    static const char *const names[] = {"PUT",   "DEL",   "ABSENT",
                                        "EQUAL", "EMPTY", "PUTJSON"};
    const uint32_t i = random_below(6);

    add_text(request, names[i]);
    if (i == 4)
        add_bound(request);
    else
        add_key(request);
    if (i == 0)
        add_packed(request);
    else if (i == 3)
        add_text(request, random_below(2) ? GUESSED_VALUE : "\x01");
    else if (i == 4)
        add_bound(request);
    else if (i == 5)
        add_text(request, "[1]");
}

/* One's own, somebody else's, or one that is none. */
static void add_id(hostile_request *request, enum hostile_role own,
                   enum hostile_role foreign)
{
    static const char *const texts[] = {"0", "00000000000000000000000000000000",
                                        "1", "ffffffffffffffffffffffffffffffff",
                                        "",  "9223372036854775807",
                                        "-1"};
    const uint32_t n = random_below(8);

    if (n == 0) {
        add_one_of(request, texts);
        return;
    }
    add_text(request, "");
    request->words[request->n - 1].role = n < 3 ? foreign : own;
}

/* ---- Requests --------------------------------------------------------------------- */

static void add_several(hostile_request *request, void (*add)(hostile_request *),
                        void (*and_add)(hostile_request *), uint32_t most)
{
    for (uint32_t n = random_below(most + 1); n > 0; n--) {
        add(request);
        if (and_add)
            and_add(request);
    }
}

static void add_letter(hostile_request *request, char letter)
{
    static const char *const directions[] = {"FORWARD", "REVERSE"};
    static const char *const documents[] = {"{}", "[1]", "null", "{\"a\":", "\"x\""};

    switch (letter) {
    case 'b':
        add_bound(request);
        break;
    case 'k':
        add_key(request);
        break;
    case 'K':
        add_several(request, add_key, NULL, 2);
        break;
    case 'V':
        add_several(request, add_key, add_value, 2);
        break;
    case 'v':
        add_value(request);
        break;
    case 'j':
        add_one_of(request, documents);
        break;
    case 'm':
        add_packed(request);
        break;
    case 'o':
        add_several(request, add_operation, NULL, 3);
        break;
    case 'p':
        add_pattern(request);
        break;
    case 'n':
        add_number(request);
        break;
    case 'd':
        add_one_of(request, directions);
        break;
    case 'c':
        add_id(request, HOSTILE_CURSOR, HOSTILE_FOREIGN_CURSOR);
        break;
    case 's':
        add_id(request, HOSTILE_SNAPSHOT, HOSTILE_FOREIGN_SNAPSHOT);
        break;
    default:
        ck_assert_int_eq(letter, 'i');
        add_id(request, HOSTILE_SESSION, HOSTILE_FOREIGN_SESSION);
        break;
    }
}

void hostile_start(uint64_t seed)
{
    random_state = seed;
}

static void make(hostile_request *request, const struct shape *shape)
{
    const char *at = shape->words;

    request->n = request->bytes.len = 0;
    add_text(request, shape->name);
    while (*at) {
        const size_t len = strcspn(at, " ");

        if (len == 1 && *at == '?' && random_below(2))
            return;
        if (len == 1 && *at >= 'A' && *at != '?')
            add_letter(request, *at);
        else if (*at != '?')
            add_word(request, at, len);
        at += len + (at[len] == ' ');
    }
}

void hostile_make(hostile_request *request, const char *command)
{
    size_t matching[N_SHAPES];
    uint32_t n = 0;

    for (size_t i = 0; i < N_SHAPES; i++)
        if (strcmp(shapes[i].name, command) == 0)
            matching[n++] = i;
    ck_assert_uint_gt(n, 0);
    make(request, &shapes[matching[random_below(n)]]);
}

void hostile_make_any(hostile_request *request)
{
    uint32_t sum = 0, left;
    size_t i = 0;

    for (size_t n = 0; n < N_SHAPES; n++)
        sum += shapes[n].weight;
    for (left = random_below(sum); left >= shapes[i].weight; i++)
        left -= shapes[i].weight;
    make(request, &shapes[i]);
}

void hostile_free(hostile_request *request)
{
    free(request->bytes.data);
    *request = (hostile_request){0};
}

stem_slice hostile_word(const hostile_request *request, size_t i)
{
    return (stem_slice){request->bytes.data + request->words[i].at,
                        request->words[i].len};
}

bool hostile_is(const hostile_request *request, const char *command)
{
    const stem_slice name = hostile_word(request, 0);

    return name.len == strlen(command) && memcmp(name.data, command, name.len) == 0;
}

void hostile_mangle(hostile_request *request)
{
    const size_t i = request->n > 1 ? 1 + random_below((uint32_t)request->n - 1) : 0;

    if (i == 0 || (random_below(2) && request->n < HOSTILE_WORDS)) {
        add_key(request);
    } else if (random_below(2)) {
        request->words[i] = request->words[--request->n];
    } else {
        const hostile_request before = *request;

        request->words[i] = before.words[request->n - 1];
        request->words[request->n - 1] = before.words[i];
    }
}
