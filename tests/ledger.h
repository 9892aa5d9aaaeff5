/*
 * What several processes do to one database, written down where it outlives them, and whether
 * what is in the database afterwards is what they were answered: every answered operation was
 * applied exactly once, and of what was never answered each at most once.
 */
#ifndef STEM_TESTS_LEDGER_H
#define STEM_TESTS_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stem.h"

enum { COUNTERS = 3, TOKENS = 8, BOXES = 3, RACERS = 3 };

typedef enum kind {
    INCREMENT, /* what: a counter; got[0]: its value */
    INSERT, /* what: a name, which several race for; its value is the worker's number */
    PUSH,   /* what: an item of a queue */
    POP,    /* what: how many at most; got: items, or 0 */
    TAKE,   /* what: an item; got[0] as well, or 0 */
    MOVE,   /* what: a token; from one box to another */
    KINDS
} kind;

enum { MOST_POPPED = 2 };

/* One operation, written down before it is called and again when it is answered. */
typedef struct entry {
    uint8_t kind, from, to;
    bool is_answered;
    uint32_t worker, what;
    int code;
    uint32_t got[MOST_POPPED];
} entry;

enum { MOST_ENTRIES = 1 << 24 };

typedef struct ledger {
    atomic_uint n_entries, n_answered;
    atomic_uint n_tries; /* of names: RACERS for each */
    atomic_uint n_items; /* they are numbered from 1 */
    entry entries[MOST_ENTRIES];
} ledger;

/* Where it all lies; tokens are in the first box at the start. */
typedef struct places {
    stem_db *db, *counters, *names, *boxes[BOXES];
} places;

/* A new ledger in memory that children share. */
ledger *ledger_new(void);

/* These end the process when something fails, or is not as it has to be. */
void places_of(stem_db *db, places *found);
void places_close(places *of);
void put_tokens(const places *to);
void ledger_judge(const ledger *book, const places *of);

/* The sub-database of the queue that the item belongs in; owned. */
stem_db *queue_of(const places *of, uint32_t item);
/* The name of a counter, token, box, item and so on. */
typedef char ledger_name[16];
const char *name_of(uint32_t number, ledger_name name);

#endif
