/*
 * Takeovers; see takeover.h. The owner is `stem serve --shared`, and this process, which shares
 * the directory with it, takes over when it is killed.
 */
#include "takeover.h"

#include <stdio.h>

#include "load.h"
#include "served_by.h"
#include "stem.h"

enum { TIMES = 50, CLIENTS = 8, DEPTH = 64, MOST_COMMITS = 20000 };

enum { FIRST_READ, FIRST_COMMIT, KINDS };

/* Milliseconds, of each kind asked for first, as often as the other. */
static struct {
    const char *what;
    bench_samples ms;
} measured[KINDS] = {{.what = "first read"}, {.what = "first commit"}};

static void must(int code)
{
    if (code != STEM_OK)
        bench_die("%s: %s", stem_strerror(code), stem_errmsg());
}

typedef struct survivor {
    stem_db *db;
    size_t n, value_len;
    uint64_t seed;
} survivor;

static void commit(survivor *by)
{
    load_key key;

    load_key_of(load_draw(&by->seed, by->n), key);
    must(stem_put_value(by->db, key, stem_str(load_value(by->value_len))));
}

static void read_one(survivor *by)
{
    stem_value value;
    load_key key;

    load_key_of(load_draw(&by->seed, by->n), key);
    must(stem_get(by->db, key, &value));
    stem_value_free(&value);
}

/* So many commits have been made since the last table was written, or fewer. */
static void take_over(survivor *by, served_by *owner, int kind)
{
    const size_t commits = load_draw(&by->seed, MOST_COMMITS);

    must(stem_open(&by->db, owner->location, STEM_OPTIONS(.shared = true)));
    read_one(by);
    for (size_t i = 0; i < commits; i++)
        commit(by);
    const uint64_t start = bench_wall();
    served_by_kill(owner);
    (kind == FIRST_READ ? read_one : commit)(by);
    bench_add(&measured[kind].ms, (double)(bench_wall() - start) / 1e6);
    must(stem_close(by->db));
}

void takeover_run(const bench_arguments *given, size_t value_len)
{
    survivor by = {.n = given->n, .value_len = value_len, .seed = 1};
    served_by owner;

    served_by_start(&owner, SERVED_BY_SHARING, given);
    load_fill(&(load){.socket = owner.socket,
                      .clients = CLIENTS,
                      .depth = DEPTH,
                      .n = given->n,
                      .value_len = value_len});
    served_by_settle(&owner);
    for (int i = 0; i < KINDS * TIMES; i++) {
        take_over(&by, &owner, i % KINDS);
        served_by_start_again(&owner, given);
    }
    served_by_stop(&owner);
}

void takeover_print(void)
{
    for (int i = 0; i < KINDS; i++) {
        bench_samples *ms = &measured[i].ms;

        if (ms->n == 0)
            continue;
        const double median = bench_median(ms);
        printf("owner killed, %-14s %3zu times: median %.1f ms (100), worst %.1f ms "
               "(1000)  %s\n",
               measured[i].what, ms->n, median, bench_most(ms),
               median <= 100 && bench_most(ms) <= 1000 ? "met" : "MISSED");
        printf("figure\ttakeover, %s\tms\tmedian=%.2f\tfrom=%.2f\tto=%.2f\ttimes=%zu\n",
               measured[i].what, median, bench_least(ms), bench_most(ms), ms->n);
    }
}
