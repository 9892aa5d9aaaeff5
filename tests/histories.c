/*
 * Short random runs of operations; see histories.h.
 */
#include "histories.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"
#include "random.h"

static stem_db *root_place, *left, *right;
static const char *const level[N_LEVEL] = {"a", "b"};
static stem_db **const slot_places[N_SLOTS] = {&left, &left, &right};
static const char *const slot_keys[N_SLOTS] = {"a", "b", "c"};

void history_open(stem_db *root)
{
    root_place = root;
    left = stem_sub(root, "left");
    right = stem_sub(root, "right");
}

void history_close(void)
{
    must_ok(stem_close(left));
    must_ok(stem_close(right));
}

/* ---- Doing an operation ----------------------------------------------------------- */

/* Lets the others in; mostly not at all, or for a very short while. */
static void pause_for(unsigned pause)
{
    if (pause == 1)
        sched_yield();
    for (volatile unsigned i = 1; i < pause; i++)
        continue;
}

static int keep_seen(operation *op, size_t slot, int code, stem_value *value)
{
    if (code == STEM_OK) {
        must_ok(stem_as_int(value, &op->seen[slot]));
        stem_value_free(value);
    }
    return code;
}

static int do_pop_first(operation *op)
{
    stem_entry *entries;
    size_t count, previous = 0;

    int code = stem_pop_first(root_place, NULL, (size_t)op->value, &entries, &count);
    if (code != STEM_OK)
        return code;
    for (size_t i = 0; i < count; i++) {
        size_t slot = (size_t)(entries[i].names[1][0] - 'a');

        must(entries[i].n_names == 2);
        must(slot < N_SLOTS && (i == 0 || slot > previous));
        previous = slot;
        must_ok(stem_as_int(&entries[i].value, &op->seen[slot]));
    }
    stem_entries_free(entries, count);
    return STEM_OK;
}

static int do_get_many(operation *op)
{
    stem_value values[N_LEVEL];
    int codes[N_LEVEL];

    int code = stem_get_many(left, level, N_LEVEL, values, codes);
    for (size_t i = 0; i < N_LEVEL && code == STEM_OK; i++)
        keep_seen(op, i, codes[i], &values[i]);
    return code;
}

static int do_batch(const operation *op)
{
    stem_db *place = *slot_places[op->slot];
    const char *key = slot_keys[op->slot];
    stem_batch *batch = stem_batch_new(root_place);
    const stem_value value = stem_int(op->value);

    if (op->kind == OP_FILL)
        must_ok(stem_batch_expect_empty(batch, root_place, NULL));
    else if (op->expected == ABSENT)
        must_ok(stem_batch_expect_absent(batch, place, key));
    else
        must_ok(stem_batch_expect(batch, place, key, op->expected));
    must_ok(stem_batch_put_value(batch, place, key, value));
    must_ok(stem_batch_put_value(batch, *slot_places[op->other], slot_keys[op->other],
                                 value));
    int code = stem_batch_commit(batch, false);
    stem_batch_free(batch);
    return code;
}

static int update(void *context, const stem_value *current, stem_value *next)
{
    plan *planned = context;
    operation *op = &planned->op;
    int64_t *seen = &op->seen[op->slot];

    *seen = ABSENT;
    if (current)
        must_ok(stem_as_int(current, seen));
    pause_for(planned->pause);
    int64_t value = model_update(op, *seen);
    if (value == ABSENT)
        return STEM_UPDATE_DELETE;
    *next = stem_int(value);
    return STEM_UPDATE_PUT;
}

static int do_operation(plan *planned)
{
    operation *op = &planned->op;
    stem_db *place = *slot_places[op->slot], *other_place = *slot_places[op->other];
    const char *key = slot_keys[op->slot], *other_key = slot_keys[op->other];
    stem_value value;

    switch (op->kind) {
    case OP_GET:
        return stem_get_int(place, key, &op->seen[op->slot]);
    case OP_PUT:
        return stem_put(place, key, op->value);
    case OP_DEL:
        return stem_del(place, key);
    case OP_INSERT:
        return stem_insert(place, key, op->value);
    case OP_REPLACE:
        return stem_replace(place, key, op->value);
    case OP_CAS:
        return stem_cas(place, key, op->expected, op->value);
    case OP_INCR:
        return stem_incr(place, key, op->value, 0, &op->seen[op->slot]);
    case OP_POP:
        return keep_seen(op, op->slot, stem_pop(place, key, &value), &value);
    case OP_POP_FIRST:
        return do_pop_first(op);
    case OP_GET_OR_PUT:
        return keep_seen(op, op->slot, stem_get_or_put(place, key, op->value, &value),
                         &value);
    case OP_UPDATE:
        return stem_update(place, key, update, planned);
    case OP_BATCH:
    case OP_FILL:
        return do_batch(op);
    case OP_GET_MANY:
        return do_get_many(op);
    case OP_COPY:
        return stem_copy(place, key, other_place, other_key);
    case OP_MOVE:
        return stem_move(place, key, other_place, other_key);
    default:
        abort();
    }
}

/* A caller may be killed between any two lines: what was called is never answered, until
 * all of the answer is there. */
static void record(history *run, plan *planned)
{
    operation *op = &planned->op;

    pause_for(planned->pause);
    memcpy(op->seen, NOTHING.values, sizeof op->seen);
    op->answered = NEVER;
    atomic_signal_fence(memory_order_seq_cst);
    op->called = 1 + atomic_fetch_add(&run->moment, 1);
    op->code = do_operation(planned);
    atomic_signal_fence(memory_order_seq_cst);
    op->answered = 1 + atomic_fetch_add(&run->moment, 1);
}

void history_perform(history *run, size_t caller)
{
    model_state last = NOTHING;

    for (size_t i = 0; i < run->n_each[caller]; i++) {
        plan *planned = &run->plans[caller][i];

        if (planned->follows && last.values[planned->op.slot] != ABSENT)
            planned->op.expected = last.values[planned->op.slot];
        record(run, planned);
        for (size_t slot = 0; slot < N_SLOTS; slot++)
            if (planned->op.seen[slot] != ABSENT)
                last.values[slot] = planned->op.seen[slot];
    }
}

void history_make_start(const history *run)
{
    for (size_t i = 0; i < N_SLOTS; i++) {
        if (run->start.values[i] == ABSENT)
            must_ok(stem_del(*slot_places[i], slot_keys[i]));
        else
            must_ok(stem_put(*slot_places[i], slot_keys[i], run->start.values[i]));
    }
}

void history_look(history *run)
{
    for (size_t slot = 0; slot < N_SLOTS; slot++) {
        run->looks[slot] =
            (plan){.op = {.kind = OP_GET, .thread = MAX_CALLERS, .slot = slot}};
        record(run, &run->looks[slot]);
    }
}

/* ---- A run ------------------------------------------------------------------------ */

static plan plan_one(unsigned caller, unsigned i, unsigned n_slots)
{
    plan planned = {.op = {.kind = (operation_kind)random_below(N_KINDS)}};
    operation *op = &planned.op;

    op->thread = caller;
    op->slot = random_below(n_slots);
    op->other = (op->slot + 1 + random_below(n_slots - 1)) % n_slots;
    op->value = op->kind == OP_POP_FIRST ? 1 + random_below(3) : 10 * (1 + caller) + i;
    op->expected = random_below(4) == 0 ? ABSENT : random_below(3);
    if (op->kind == OP_CAS && op->expected == ABSENT)
        op->expected = 1;
    planned.follows = random_below(4) > 0;
    planned.pause = random_below(3) > 0 ? 0 : 1 + random_below(400);
    return planned;
}

void history_plan(history *run, uint64_t seed)
{
    unsigned n_callers, n_slots;

    random_state = seed * 0x9e3779b97f4a7c15u;
    n_callers = 3 + random_below(2);
    n_slots = 2 + random_below(N_SLOTS - 1);
    for (unsigned caller = 0; caller < MAX_CALLERS; caller++) {
        run->n_each[caller] = caller < n_callers ? 4 + random_below(MAX_EACH - 3) : 0;
        for (unsigned i = 0; i < run->n_each[caller]; i++)
            run->plans[caller][i] = plan_one(caller, i, n_slots);
    }
    run->start = NOTHING;
    for (size_t i = 0; i < N_SLOTS; i++)
        if (random_below(2) == 0)
            run->start.values[i] = random_below(3);
    atomic_store(&run->moment, 0);
}

static size_t add_called(operation *recorded, size_t n, const operation *op)
{
    if (op->called == 0)
        return n;
    recorded[n] = *op;
    return n + 1;
}

size_t history_collect(const history *run, operation recorded[MAX_RECORDED])
{
    size_t n = 0;

    for (size_t caller = 0; caller < MAX_CALLERS; caller++)
        for (size_t i = 0; i < run->n_each[caller]; i++)
            n = add_called(recorded, n, &run->plans[caller][i].op);
    for (size_t slot = 0; slot < N_SLOTS; slot++)
        n = add_called(recorded, n, &run->looks[slot].op);
    return n;
}

bool history_is_concurrent(const operation *recorded, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (recorded[i].called < recorded[j].answered &&
                recorded[j].called < recorded[i].answered)
                return true;
    return false;
}
