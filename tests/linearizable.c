/*
 * The search for a sequential order that explains a history, depth first over the sets of
 * operations that have taken effect, after Wing and Gong. Lowe's remedy against its cost
 * is to remember each pair of such a set and the state it led to, and never to enter it
 * twice.
 */
#include "linearizable.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "stem.h"

/* ---- The model -------------------------------------------------------------------- */

int64_t model_update(const operation *op, int64_t current)
{
    if (current == ABSENT)
        return op->value;
    return current == op->expected ? ABSENT : current + op->value;
}

static int present(int64_t value)
{
    return value == ABSENT ? STEM_NOTFOUND : STEM_OK;
}

static int pop_first(const operation *op, model_state *state, int64_t *seen)
{
    int64_t n = 0;

    for (size_t i = 0; i < N_SLOTS && n < op->value; i++)
        if (state->values[i] != ABSENT) {
            seen[i] = state->values[i];
            state->values[i] = ABSENT;
            n++;
        }
    return n > 0 ? STEM_OK : STEM_NOTFOUND;
}

static int put_both_if(bool holds, const operation *op, model_state *state)
{
    if (!holds)
        return STEM_CONFLICT;
    state->values[op->slot] = state->values[op->other] = op->value;
    return STEM_OK;
}

/* Does the operation; the code it answers, and what it gives. */
static int apply(const operation *op, model_state *state, int64_t seen[N_SLOTS])
{
    int64_t *value = &state->values[op->slot], before = *value;

    memcpy(seen, NOTHING.values, sizeof NOTHING.values);
    switch (op->kind) {
    case OP_GET:
        seen[op->slot] = before;
        return present(before);
    case OP_PUT:
        *value = op->value;
        return STEM_OK;
    case OP_DEL:
        *value = ABSENT;
        return STEM_OK;
    case OP_INSERT:
        if (before != ABSENT)
            return STEM_EXISTS;
        *value = op->value;
        return STEM_OK;
    case OP_REPLACE:
        if (before != ABSENT)
            *value = op->value;
        return present(before);
    case OP_CAS:
        if (before == ABSENT || before != op->expected)
            return STEM_CONFLICT;
        *value = op->value;
        return STEM_OK;
    case OP_INCR:
        *value = seen[op->slot] = (before == ABSENT ? 0 : before) + op->value;
        return STEM_OK;
    case OP_POP:
        seen[op->slot] = before;
        *value = ABSENT;
        return present(before);
    case OP_POP_FIRST:
        return pop_first(op, state, seen);
    case OP_GET_OR_PUT:
        *value = seen[op->slot] = before == ABSENT ? op->value : before;
        return STEM_OK;
    case OP_UPDATE:
        seen[op->slot] = before;
        *value = model_update(op, before);
        return STEM_OK;
    case OP_BATCH:
        return put_both_if(before == op->expected, op, state);
    case OP_FILL:
        return put_both_if(memcmp(state, &NOTHING, sizeof *state) == 0, op, state);
    case OP_GET_MANY:
        memcpy(seen, state->values, N_LEVEL * sizeof *seen);
        return STEM_OK;
    case OP_COPY:
    case OP_MOVE:
        if (before == ABSENT)
            return STEM_NOTFOUND;
        state->values[op->other] = before;
        if (op->kind == OP_MOVE)
            *value = ABSENT;
        return STEM_OK;
    default:
        abort();
    }
}

/* ---- The search ------------------------------------------------------------------- */

typedef struct situation {
    uint64_t search; /* which search entered it: others' are as good as none */
    uint32_t done;   /* a bit for each operation that has taken effect */
    model_state state;
} situation;

enum { N_REMEMBERED = 1 << 14, PROBES = 64 };
static situation remembered[N_REMEMBERED];
static uint64_t search;

/* Whether this search was here before; remembers that it was. Where there is no room it
 * forgets, which costs time and no truth. */
static bool was_here(uint32_t done, const model_state *state)
{
    uint64_t hash = done;

    for (size_t i = 0; i < N_SLOTS; i++) {
        hash = (hash ^ (uint64_t)state->values[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    for (uint64_t probe = 0; probe < PROBES; probe++) {
        situation *known = &remembered[(hash + probe) % N_REMEMBERED];

        if (known->search != search) {
            *known = (situation){search, done, *state};
            return false;
        }
        if (known->done == done && memcmp(&known->state, state, sizeof *state) == 0)
            return true;
    }
    return false;
}

static bool has_that_answer(const operation *op, int code, const int64_t seen[N_SLOTS])
{
    return op->answered == NEVER ||
           (op->code == code && memcmp(op->seen, seen, sizeof op->seen) == 0);
}

/* Those that are left at the end may never have been done. */
static bool explain(const operation *ops, size_t n, uint32_t done,
                    const model_state *state)
{
    uint64_t first_answer = NEVER;

    if (was_here(done, state))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!(done >> i & 1) && ops[i].answered < first_answer)
            first_answer = ops[i].answered;
    if (first_answer == NEVER)
        return true;
    for (size_t i = 0; i < n; i++) {
        model_state next = *state;
        int64_t seen[N_SLOTS];

        /* What was called after another's answer cannot come before that other. */
        if (done >> i & 1 || ops[i].called > first_answer)
            continue;
        if (has_that_answer(&ops[i], apply(&ops[i], &next, seen), seen) &&
            explain(ops, n, done | (uint32_t)1 << i, &next))
            return true;
    }
    return false;
}

bool is_linearizable(const operation *ops, size_t n, const model_state *start)
{
    if (n > MAX_OPERATIONS)
        abort();
    search++;
    return explain(ops, n, 0, start);
}

/* ---- In words --------------------------------------------------------------------- */

static const char *const kind_names[] = {
    [OP_GET] = "get",
    [OP_PUT] = "put",
    [OP_DEL] = "del",
    [OP_INSERT] = "insert",
    [OP_REPLACE] = "replace",
    [OP_CAS] = "cas",
    [OP_INCR] = "incr",
    [OP_POP] = "pop",
    [OP_POP_FIRST] = "pop_first",
    [OP_GET_OR_PUT] = "get_or_put",
    [OP_UPDATE] = "update",
    [OP_BATCH] = "batch",
    [OP_FILL] = "fill",
    [OP_GET_MANY] = "get_many",
    [OP_COPY] = "copy",
    [OP_MOVE] = "move",
};

static void print_values(FILE *out, const int64_t *values)
{
    for (size_t i = 0; i < N_SLOTS; i++)
        if (values[i] != ABSENT)
            fprintf(out, " %c=%" PRId64, (int)('a' + i), values[i]);
}

static void print_operation(FILE *out, const operation *op)
{
    fprintf(out, "%4" PRIu64 " to ", op->called);
    if (op->answered == NEVER)
        fprintf(out, "    ");
    else
        fprintf(out, "%4" PRIu64, op->answered);
    fprintf(out, "  %*sthread %u: %s", (int)(2 * op->thread), "", op->thread,
            kind_names[op->kind]);
    if (op->kind != OP_POP_FIRST && op->kind != OP_GET_MANY)
        fprintf(out, " %c", (int)('a' + op->slot));
    if (op->kind >= OP_BATCH && op->kind != OP_GET_MANY)
        fprintf(out, "%c", (int)('a' + op->other));
    if (op->kind == OP_CAS || op->kind == OP_UPDATE || op->kind == OP_BATCH) {
        if (op->expected == ABSENT)
            fprintf(out, " absent:");
        else
            fprintf(out, " %" PRId64 ":", op->expected);
    }
    if (op->kind != OP_GET && op->kind != OP_DEL && op->kind != OP_POP &&
        op->kind < OP_GET_MANY)
        fprintf(out, " %" PRId64, op->value);
    if (op->answered != NEVER) {
        fprintf(out, " -> %s", stem_strerror(op->code));
        print_values(out, op->seen);
    }
    fputc('\n', out);
}

static int compare_calls(const void *a, const void *b)
{
    const operation *first = a, *second = b;

    return (first->called > second->called) - (first->called < second->called);
}

void print_history(FILE *out, const operation *ops, size_t n, const model_state *start)
{
    operation sorted[MAX_OPERATIONS];

    if (n > MAX_OPERATIONS)
        abort();
    memcpy(sorted, ops, n * sizeof *ops);
    qsort(sorted, n, sizeof *sorted, compare_calls);
    fprintf(out, "start:");
    print_values(out, start->values);
    fputc('\n', out);
    for (size_t i = 0; i < n; i++)
        print_operation(out, &sorted[i]);
}
