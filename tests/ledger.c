/*
 * What processes were answered, against what is in the database; see ledger.h.
 */
#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "process.h"
#include "support.h"

/* Short queues, so that popping does not step over all that was ever popped. */
enum { QUEUE_ITEMS = 500 };

ledger *ledger_new(void)
{
    ledger *made = mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ck_assert_ptr_ne(made, MAP_FAILED);
    return made;
}

/* ---- Places ----------------------------------------------------------------------- */

const char *name_of(uint32_t number, ledger_name name)
{
    snprintf(name, sizeof(ledger_name), "%08u", number);
    return name;
}

stem_db *queue_of(const places *of, uint32_t item)
{
    ledger_name name;

    return stem_sub(of->db, "queues", name_of(item / QUEUE_ITEMS, name));
}

void places_of(stem_db *db, places *found)
{
    ledger_name name;

    found->db = db;
    found->counters = stem_sub(db, "counters");
    found->names = stem_sub(db, "names");
    for (uint32_t i = 0; i < BOXES; i++)
        found->boxes[i] = stem_sub(db, "boxes", name_of(i, name));
}

void places_close(places *of)
{
    for (int i = 0; i < BOXES; i++)
        must_ok(stem_close(of->boxes[i]));
    must_ok(stem_close(of->names));
    must_ok(stem_close(of->counters));
    must_ok(stem_close(of->db));
}

void put_tokens(const places *to)
{
    ledger_name name;

    for (uint32_t i = 0; i < TOKENS; i++)
        must_ok(stem_put(to->boxes[0], name_of(i, name), i));
}

/* ---- What was answered ------------------------------------------------------------ */

/* What the entries say, by names and items; numbers of workers are kept one higher. */
typedef struct verdict {
    const ledger *book;
    size_t n_entries, n_items;
    uint32_t *winner;
    bool *is_tried, *is_pushed, *is_popped, *is_left;
    int64_t increments[COUNTERS], pending_increments[COUNTERS];
    bool *is_seen[COUNTERS];
    int held[TOKENS][BOXES], pending_moves[TOKENS];
    uint32_t pending_pops;
    size_t n_pending;
} verdict;

static void *room_for(size_t n, size_t size)
{
    void *room = calloc(n + 1, size);

    must(room != NULL);
    return room;
}

static void judge_popped(verdict *of, uint32_t item)
{
    must(item > 0 && item <= of->n_items);
    must(!of->is_popped[item]);
    of->is_popped[item] = true;
}

static void judge_answered(verdict *of, const entry *this)
{
    switch ((kind)this->kind) {
    case INCREMENT:
        of->increments[this->what]++;
        must(this->got[0] > 0 && this->got[0] <= of->n_entries);
        must(!of->is_seen[this->what][this->got[0]]);
        of->is_seen[this->what][this->got[0]] = true;
        return;
    case INSERT:
        of->is_tried[this->what] = true;
        must(this->code == STEM_EXISTS || of->winner[this->what] == 0);
        if (this->code == STEM_OK)
            of->winner[this->what] = this->worker + 1;
        return;
    case PUSH:
        of->is_pushed[this->what] = true;
        return;
    case POP:
    case TAKE:
        for (int i = 0; i < MOST_POPPED; i++)
            if (this->got[i] > 0)
                judge_popped(of, this->got[i]);
        must(this->kind == POP || this->code != STEM_OK || this->got[0] == this->what);
        return;
    default:
        if (this->code == STEM_OK) {
            of->held[this->what][this->from]--;
            of->held[this->what][this->to]++;
        }
    }
}

static void count_pending(verdict *of, const entry *this)
{
    of->n_pending++;
    if (this->kind == INCREMENT)
        of->pending_increments[this->what]++;
    else if (this->kind == POP || this->kind == TAKE)
        of->pending_pops += this->kind == POP ? this->what : 1;
    else if (this->kind == MOVE)
        of->pending_moves[this->what]++;
}

static bool is_pending(const verdict *in, kind of, uint32_t what, uint32_t by)
{
    for (const entry *each = in->book->entries; each < in->book->entries + in->n_entries;
         each++)
        if (!each->is_answered && each->kind == of && each->what == what &&
            each->worker == by)
            return true;
    return false;
}

/* ---- What is there ---------------------------------------------------------------- */

static void judge_counters(const verdict *of, const places *in)
{
    ledger_name name;

    for (uint32_t i = 0; i < COUNTERS; i++) {
        const int64_t value = stem_get_int_or(in->counters, name_of(i, name), 0);

        must(value >= of->increments[i]);
        must(value <= of->increments[i] + of->pending_increments[i]);
    }
}

static void judge_names(const verdict *of, const places *in)
{
    const uint32_t n = atomic_load(&of->book->n_tries) / RACERS;
    ledger_name name;

    for (uint32_t i = 0; i <= n; i++) {
        int64_t value;
        const int code = stem_get_int(in->names, name_of(i, name), &value);

        if (code != STEM_OK) {
            must_be(code, STEM_NOTFOUND);
            must(!of->is_tried[i]);
        } else if (of->winner[i] > 0) {
            must(value == (int64_t)of->winner[i] - 1);
        } else {
            must(is_pending(of, INSERT, i, (uint32_t)value));
        }
    }
}

/* Each item has been popped, or is left, or was in the hands of whoever was killed. */
static void judge_queues(verdict *of, const places *in)
{
    stem_db *queues = stem_sub(in->db, "queues");
    stem_iter *iter = stem_iter_open(queues, NULL);
    uint32_t n_missing = 0;

    while (stem_iter_next(iter)) {
        const int64_t item = stem_iter_value(iter)->as.integer;

        must(item > 0 && item <= (int64_t)of->n_items && !of->is_popped[item]);
        of->is_left[item] = true;
    }
    must_ok(stem_iter_close(iter));
    stem_close(queues);
    for (uint32_t i = 1; i <= of->n_items; i++)
        n_missing += of->is_pushed[i] && !of->is_popped[i] && !of->is_left[i];
    must(n_missing <= of->pending_pops);
}

static void judge_tokens(const verdict *of, const places *in)
{
    ledger_name name;

    for (uint32_t token = 0; token < TOKENS; token++) {
        int n_held = 0, n_unexplained = 0;

        for (int box = 0; box < BOXES; box++) {
            const int held = stem_has(in->boxes[box], name_of(token, name)) == STEM_OK;

            n_held += held;
            n_unexplained += abs(held - of->held[token][box]);
        }
        must(n_held == 1);
        must(n_unexplained <= 2 * of->pending_moves[token]);
    }
}

/* ---- All of it -------------------------------------------------------------------- */

static void read_entries(verdict *of)
{
    for (size_t i = 0; i < of->n_entries; i++) {
        const entry *this = &of->book->entries[i];

        if (this->is_answered)
            judge_answered(of, this);
        else
            count_pending(of, this);
    }
}

void ledger_judge(const ledger *book, const places *of)
{
    const size_t n = atomic_load(&book->n_entries), items = atomic_load(&book->n_items);
    verdict made = {.book = book,
                    .n_entries = n,
                    .n_items = items,
                    .winner = room_for(n, sizeof *made.winner),
                    .is_tried = room_for(n, 1),
                    .is_pushed = room_for(items, 1),
                    .is_popped = room_for(items, 1),
                    .is_left = room_for(items, 1)};

    for (int i = 0; i < COUNTERS; i++)
        made.is_seen[i] = room_for(n, 1);
    for (int i = 0; i < TOKENS; i++)
        made.held[i][0] = 1;
    read_entries(&made);
    judge_counters(&made, of);
    judge_names(&made, of);
    judge_queues(&made, of);
    judge_tokens(&made, of);
    printf("%zu operations, of which %zu were not answered\n", n, made.n_pending);
    fflush(stdout);
    free(made.winner);
    free(made.is_tried);
    free(made.is_pushed);
    free(made.is_popped);
    free(made.is_left);
    for (int i = 0; i < COUNTERS; i++)
        free(made.is_seen[i]);
}
