/*
 * What sharing a database costs: Stem's server beside Redis with its log on (appendonly
 * yes, appendfsync everysec), over Unix sockets; what recording a commit adds, so that it
 * is applied once; reads of a shared directory beside those of LMDB, both from a second
 * process; and how long those who share wait when the owner is killed. In each round either side does the same work on a fresh server and database of its own,
 * one after the other and the first of them by turns, and has come to rest before each
 * measurement. A ratio is taken within a round, and the median over the rounds counts.
 * Nothing is judged by the exit status, which is 77 where there is no redis-server.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "client_side.h"
#include "keeper.h"
#include "lmdb_side.h"
#include "load.h"
#include "served_by.h"
#include "takeover.h"

enum { CLIENTS = 8, DEPTH = 64, HOT_KEYS = 10000, LONG_VALUE = 100 };
enum { NO_REDIS = 77 };

static const size_t value_lens[] = {3, LONG_VALUE};
enum { VALUE_LENS = sizeof value_lens / sizeof *value_lens };

/* ---- Rows ------------------------------------------------------------------------- */

enum { STEM, OTHER, SIDES };

/* What was measured on both sides, in operations a second; ratios are Stem's to the
 * other's. */
typedef struct row {
    const char *what, *other;
    double least, aim; /* 0 where there is none */
    bench_samples sides[SIDES], ratios;
} row;

enum { ONE_SET, ONE_GET, DEEP_SET, DEEP_GET, MANY, OF_A_LENGTH };
enum {
    RECORDED = VALUE_LENS * OF_A_LENGTH,
    RECORDED_OF_8,
    CLIENT_PUT,
    LMDB_ONE,
    LMDB_MANY,
    ROWS
};

static row rows[ROWS] = {
    {.what = "SET of 3, one at a time", .other = "Redis", .least = 0.90, .aim = 1},
    {.what = "GET of 3, one at a time", .other = "Redis", .least = 0.90, .aim = 1},
    {.what = "SET of 3, 64 deep, 8 clients", .other = "Redis", .least = 0.70, .aim = 1},
    {.what = "GET of 3, 64 deep, 8 clients", .other = "Redis", .least = 0.60, .aim = 1},
    {.what = "100 of 3 at once, from C", .other = "Redis", .least = 0.80, .aim = 1},
    {.what = "SET of 100, one at a time", .other = "Redis", .least = 0.90, .aim = 1},
    {.what = "GET of 100, one at a time", .other = "Redis", .least = 0.90, .aim = 1},
    {.what = "SET of 100, 64 deep, 8 clients", .other = "Redis", .least = 0.70, .aim = 1},
    {.what = "GET of 100, 64 deep, 8 clients", .other = "Redis", .least = 0.60, .aim = 1},
    {.what = "100 of 100 at once, from C", .other = "Redis", .least = 0.80, .aim = 1},
    [RECORDED] = {.what = "numbered commit, by hiredis", .other = "number 0"},
    [RECORDED_OF_8] = {.what = "the same, of 8 clients", .other = "number 0"},
    [CLIENT_PUT] = {.what = "stem_put", .other = "number 0"},
    [LMDB_ONE] = {.what = "stem_get", .other = "LMDB"},
    [LMDB_MANY] = {.what = "stem_get_many of 100", .other = "LMDB"},
};

static void add(row *to, const double rates[SIDES])
{
    for (int side = 0; side < SIDES; side++)
        bench_add(&to->sides[side], rates[side]);
    bench_add(&to->ratios, rates[STEM] / rates[OTHER]);
}

static const char *verdict(const row *of, double ratio)
{
    return of->aim == 0         ? ""
           : ratio >= of->aim   ? "aim met"
           : ratio >= of->least ? "met"
                                : "MISSED";
}

static void print_rows(void)
{
    printf("%-32s %-8s %6s %6s %8s %7s %7s %12s %12s\n", "what", "beside", "least", "aim",
           "times", "from", "to", "Stem", "the other");
    for (row *each = rows; each < rows + ROWS; each++) {
        const double ratio = bench_median(&each->ratios);

        if (each->ratios.n > 0)
            printf("%-32s %-8s %6.2f %6.2f %8.3f %7.3f %7.3f %10.0f/s %10.0f/s  %s\n",
                   each->what, each->other, each->least, each->aim, ratio,
                   bench_least(&each->ratios), bench_most(&each->ratios),
                   bench_median(&each->sides[STEM]), bench_median(&each->sides[OTHER]),
                   verdict(each, ratio));
    }
    putchar('\n');
    for (row *each = rows; each < rows + ROWS; each++)
        if (each->ratios.n > 0)
            printf("figure\t%s\tper second\tleast=%.2f\taim=%.2f\tratio=%.3f\tfrom=%.3f"
                   "\tto=%.3f\tstem=%.1f\tother=%.1f\tbeside=%s\trounds=%zu\n",
                   each->what, each->least, each->aim, bench_median(&each->ratios),
                   bench_least(&each->ratios), bench_most(&each->ratios),
                   bench_median(&each->sides[STEM]), bench_median(&each->sides[OTHER]),
                   each->other, each->ratios.n);
}

/* The side whose turn it is in a round. */
static int side_of_turn(size_t round, int turn)
{
    return (int)((round + (size_t)turn) % SIDES);
}

/* ---- Beside Redis ----------------------------------------------------------------- */

/* A server that holds every key. */
static void start_filled(served_by *started, int which, const bench_arguments *given,
                         size_t value_len)
{
    served_by_start(started, which, given);
    load_fill(&(load){.socket = started->socket,
                      .clients = CLIENTS,
                      .depth = DEPTH,
                      .n = given->n,
                      .value_len = value_len});
}

/* The rates of SET and of GET by so many clients. */
static void measure_load(served_by *server, const bench_arguments *given, load with,
                         double *set, double *get)
{
    with.socket = server->socket;
    with.n = given->n;
    served_by_settle(server);
    *set = load_run(&with, LOAD_SET, given->seconds);
    served_by_settle(server);
    *get = load_run(&with, LOAD_GET, given->seconds);
}

/* The same keys again and again, read once before, so that they are in the server's
 * memory. */
static double measure_many(served_by *server, const bench_arguments *given,
                           size_t value_len)
{
    const client_side_keys hot = {given->n < HOT_KEYS ? given->n : HOT_KEYS, value_len};
    double (*const measure)(served_by *, const client_side_keys *, size_t) =
        server->which == SERVED_BY_STEM ? client_side_get_many : client_side_mget;

    served_by_settle(server);
    measure(server, &hot, 1);
    return measure(server, &hot, given->seconds);
}

static void run_beside_redis(const bench_arguments *given, size_t round, size_t len_at)
{
    const size_t value_len = value_lens[len_at];
    row *const of_length = rows + len_at * OF_A_LENGTH;
    double rates[OF_A_LENGTH][SIDES];
    const bool is_one = bench_is_wanted(given, "one");
    const bool is_deep = bench_is_wanted(given, "deep");
    const bool is_many = bench_is_wanted(given, "many");

    for (int turn = 0; turn < SIDES; turn++) {
        const int side = side_of_turn(round, turn);
        served_by server;

        start_filled(&server, side == STEM ? SERVED_BY_STEM : SERVED_BY_REDIS, given,
                     value_len);
        if (is_one)
            measure_load(&server, given,
                         (load){.clients = 1, .depth = 1, .value_len = value_len},
                         &rates[ONE_SET][side], &rates[ONE_GET][side]);
        if (is_deep)
            measure_load(
                &server, given,
                (load){.clients = CLIENTS, .depth = DEPTH, .value_len = value_len},
                &rates[DEEP_SET][side], &rates[DEEP_GET][side]);
        if (is_many)
            rates[MANY][side] = measure_many(&server, given, value_len);
        served_by_stop(&server);
    }
    for (int i = 0; i < OF_A_LENGTH; i++)
        if (i == MANY ? is_many : i == ONE_SET || i == ONE_GET ? is_one : is_deep)
            add(&of_length[i], rates[i]);
}

/* ---- Commits that are applied once ------------------------------------------------ */

enum record_way { UNRECORDED, NUMBERED, BY_CLIENT, RECORD_WAYS };

static double measure_commits(served_by *server, const bench_arguments *given,
                              enum record_way way)
{
    const client_side_keys keys = {given->n, LONG_VALUE};

    served_by_settle(server);
    return way == BY_CLIENT
               ? client_side_put(server, &keys, given->seconds)
               : client_side_commit(server, &keys, given->seconds, way == NUMBERED);
}

static double measure_commits_of_8(served_by *server, const bench_arguments *given,
                                   enum record_way way)
{
    const load with = {.socket = server->socket,
                       .clients = CLIENTS,
                       .depth = 1,
                       .n = given->n,
                       .value_len = LONG_VALUE};

    served_by_settle(server);
    return load_run(&with, way == NUMBERED ? LOAD_NUMBERED_COMMIT : LOAD_COMMIT,
                    given->seconds);
}

static void run_record(const bench_arguments *given, size_t round)
{
    double rates[RECORD_WAYS], of_8[RECORD_WAYS];

    for (size_t turn = 0; turn < RECORD_WAYS; turn++) {
        const enum record_way way = (enum record_way)((round + turn) % RECORD_WAYS);
        served_by server;

        served_by_start(&server, SERVED_BY_STEM, given);
        rates[way] = measure_commits(&server, given, way);
        if (way != BY_CLIENT)
            of_8[way] = measure_commits_of_8(&server, given, way);
        served_by_stop(&server);
    }
    add(&rows[RECORDED], (const double[SIDES]){rates[NUMBERED], rates[UNRECORDED]});
    add(&rows[RECORDED_OF_8], (const double[SIDES]){of_8[NUMBERED], of_8[UNRECORDED]});
    add(&rows[CLIENT_PUT], (const double[SIDES]){rates[BY_CLIENT], rates[UNRECORDED]});
}

/* ---- Beside LMDB ------------------------------------------------------------------ */

static void read_stem(const bench_arguments *given, double *one, double *many)
{
    const client_side_keys keys = {given->n, LONG_VALUE};
    served_by server;

    start_filled(&server, SERVED_BY_SHARING, given, LONG_VALUE);
    served_by_settle(&server);
    *one = client_side_get(&server, &keys, given->seconds);
    *many = client_side_get_many(&server, &keys, given->seconds);
    served_by_stop(&server);
}

static void read_lmdb(const bench_arguments *given, double *one, double *many)
{
    lmdb_side *side = lmdb_side_open(given->n, LONG_VALUE);

    *one = lmdb_side_run(side, 1, given->seconds);
    *many = lmdb_side_run(side, CLIENT_SIDE_MANY, given->seconds);
    lmdb_side_close(side);
}

static void run_beside_lmdb(const bench_arguments *given, size_t round)
{
    double one[SIDES], many[SIDES];

    for (int turn = 0; turn < SIDES; turn++) {
        const int side = side_of_turn(round, turn);

        (side == STEM ? read_stem : read_lmdb)(given, &one[side], &many[side]);
    }
    add(&rows[LMDB_ONE], one);
    add(&rows[LMDB_MANY], many);
}

/* ---- All of it -------------------------------------------------------------------- */

static void run_round(const bench_arguments *given, size_t round)
{
    const bool is_beside_redis = bench_is_wanted(given, "one") ||
                                 bench_is_wanted(given, "deep") ||
                                 bench_is_wanted(given, "many");

    for (size_t i = 0; i < VALUE_LENS && is_beside_redis; i++)
        run_beside_redis(given, round, i);
    if (bench_is_wanted(given, "record"))
        run_record(given, round);
    if (bench_is_wanted(given, "lmdb") && lmdb_side_is_there())
        run_beside_lmdb(given, round);
}

int main(int argc, char **argv)
{
    const bench_arguments defaults = {.n = 1000000,
                                      .rounds = 3,
                                      .seconds = 60,
                                      .program = "./stem",
                                      .stem_arguments = "",
                                      .redis_arguments = ""};
    const bench_arguments given = bench_parse(
        argc, argv, defaults,
        "usage: sharing [-n KEYS] [-r ROUNDS] [-t SECONDS of each measurement] "
        "[-d DIRECTORY] [-p STEM, the program] [-a \"MORE ARGUMENTS of stem serve\"] "
        "[-A \"MORE ARGUMENTS of redis-server\"] [-o "
        "one|deep|many|record|lmdb|takeover]");

    signal(SIGPIPE, SIG_IGN); /* hiredis would let it through */
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!served_by_redis_is_there()) {
        fputs("sharing: there is no redis-server (Debian: redis-server)\n", stderr);
        return NO_REDIS;
    }
    keeper_start(given.dir);
    if (!lmdb_side_is_there())
        puts("built without LMDB (Debian: liblmdb-dev), which is left out");
    if (bench_is_wanted(&given, "takeover")) {
        fputs("takeovers\n", stderr);
        takeover_run(&given, LONG_VALUE);
    }
    for (size_t round = 0; round < given.rounds; round++) {
        fprintf(stderr, "round %zu of %zu\n", round + 1, given.rounds);
        run_round(&given, round);
    }
    printf("%zu keys, %zu s each, medians of %zu rounds; arguments: stem serve \"%s\", "
           "redis-server \"%s\"\n\n",
           given.n, given.seconds, given.rounds, given.stem_arguments,
           given.redis_arguments);
    print_rows();
    takeover_print();
    keeper_finish();
    return EXIT_SUCCESS;
}
