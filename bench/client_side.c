/*
 * What one client does; see client_side.h.
 */
#include "client_side.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "stem.h"

/* Everything that one measurement needs. */
typedef struct work {
    served_by *server;
    const client_side_keys *of;
    stem_db *db; /* NULL where hiredis is the client */
    load_key *keys;
    uint64_t seed;
    uint64_t number; /* of the last commit */
    bool is_recorded;
    void *packed; /* the value */
    size_t packed_len;
} work;

static void must(int code)
{
    if (code != STEM_OK)
        bench_die("%s: %s", stem_strerror(code), stem_errmsg());
}

static const char *draw_key(work *with)
{
    return with->keys[load_draw(&with->seed, with->of->n)];
}

/* Repeats a step, which counts as so many, until the time is over. */
static double repeat(work *with, void (*step)(work *with), size_t counts, size_t seconds)
{
    const uint64_t start = bench_wall(), ns = seconds * UINT64_C(1000000000);
    uint64_t taken;
    size_t n = 0;

    do {
        step(with);
        n += counts;
        taken = bench_wall() - start;
    } while (taken < ns);
    return (double)n * 1e9 / (double)taken;
}

static double run(work *with, void (*step)(work *with), size_t counts, size_t seconds)
{
    with->seed = 1; /* the same keys in the same order, whoever is the client */
    with->keys = bench_alloc(with->of->n, sizeof *with->keys);
    for (size_t i = 0; i < with->of->n; i++)
        load_key_of(i, with->keys[i]);
    const double rate = repeat(with, step, counts, seconds);
    free(with->keys);
    return rate;
}

static double run_by_stem(served_by *server, const client_side_keys *of,
                          void (*step)(work *with), size_t counts, size_t seconds)
{
    work with = {.server = server, .of = of};

    must(stem_open(&with.db, server->location,
                   STEM_OPTIONS(.shared = server->which == SERVED_BY_SHARING)));
    const double rate = run(&with, step, counts, seconds);
    must(stem_close(with.db));
    return rate;
}

/* ---- Reads ------------------------------------------------------------------------ */

static void check_len(const work *with, size_t len)
{
    if (len != with->of->value_len)
        bench_die("a value of %zu bytes was read, not of %zu", len, with->of->value_len);
}

static void get_many(work *with)
{
    const char *keys[CLIENT_SIDE_MANY];
    stem_value values[CLIENT_SIDE_MANY];
    int codes[CLIENT_SIDE_MANY];

    for (size_t i = 0; i < CLIENT_SIDE_MANY; i++)
        keys[i] = draw_key(with);
    must(stem_get_many(with->db, keys, CLIENT_SIDE_MANY, values, codes));
    for (size_t i = 0; i < CLIENT_SIDE_MANY; i++) {
        must(codes[i]);
        check_len(with, values[i].as.str.len);
        stem_value_free(&values[i]);
    }
}

static void mget(work *with)
{
    const char *words[CLIENT_SIDE_MANY + 1] = {"MGET"};
    size_t lengths[CLIENT_SIDE_MANY + 1] = {4};

    for (size_t i = 1; i <= CLIENT_SIDE_MANY; i++) {
        words[i] = draw_key(with);
        lengths[i] = LOAD_KEY_LEN;
    }
    redisReply *reply = served_by_ask(with->server, CLIENT_SIDE_MANY + 1, words, lengths);
    for (size_t i = 0; i < reply->elements; i++)
        check_len(with, reply->element[i]->len);
    freeReplyObject(reply);
}

static void get(work *with)
{
    stem_value value;

    must(stem_get(with->db, draw_key(with), &value));
    check_len(with, value.as.str.len);
    stem_value_free(&value);
}

double client_side_get_many(served_by *server, const client_side_keys *of, size_t seconds)
{
    return run_by_stem(server, of, get_many, CLIENT_SIDE_MANY, seconds);
}

double client_side_mget(served_by *server, const client_side_keys *of, size_t seconds)
{
    work with = {.server = server, .of = of};

    return run(&with, mget, CLIENT_SIDE_MANY, seconds);
}

double client_side_get(served_by *server, const client_side_keys *of, size_t seconds)
{
    return run_by_stem(server, of, get, 1, seconds);
}

/* ---- Commits ---------------------------------------------------------------------- */

static void put(work *with)
{
    must(stem_put_value(with->db, draw_key(with),
                        stem_str(load_value(with->of->value_len))));
}

double client_side_put(served_by *server, const client_side_keys *of, size_t seconds)
{
    return run_by_stem(server, of, put, 1, seconds);
}

static void commit(work *with)
{
    enum { NUMBER_ROOM = 24, WORDS = 6 };
    char number[NUMBER_ROOM] = "0";
    size_t number_len = 1;

    if (with->is_recorded)
        number_len = (size_t)snprintf(number, sizeof number, "%llu",
                                      (unsigned long long)++with->number);
    const char *words[WORDS] = {"STEM.COMMIT", number,         "-",
                                "PUT",         draw_key(with), with->packed};
    const size_t lengths[WORDS] = {11, number_len, 1, 3, LOAD_KEY_LEN, with->packed_len};
    freeReplyObject(served_by_ask(with->server, WORDS, words, lengths));
}

/* Makes the session in which its commits are numbered. */
static void attach(served_by *server)
{
    const char *words[] = {"STEM.ATTACH", "1", "0", "NEW"};

    freeReplyObject(served_by_ask(server, 4, words, NULL));
}

double client_side_commit(served_by *server, const client_side_keys *of, size_t seconds,
                          bool is_recorded)
{
    const stem_value value = stem_str(load_value(of->value_len));
    work with = {.server = server, .of = of, .is_recorded = is_recorded};

    attach(server);
    with.packed = stem_encode(&value, &with.packed_len);
    if (!with.packed)
        bench_die("%s", stem_errmsg());
    const double rate = run(&with, commit, 1, seconds);
    stem_free(with.packed);
    return rate;
}
