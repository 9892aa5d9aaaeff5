/*
 * From any threads the operations are linearizable: many short random runs of a few
 * threads on the same few keys, each recorded and searched for an order that explains
 * it. A run's plan comes from its seed; how the threads meet does not, and may take many
 * tries to recur. STEM_TEST_SEED and STEM_TEST_RUNS say where to start and how many runs
 * to do.
 */
#include "linearizable.h"
#include "place.h"
#include "random.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_THREADS = 4, MAX_EACH = 6 };

/* What a thread is to do; where `follows`, what is expected is what it saw there last. */
typedef struct plan {
    operation op;
    unsigned pause;
    bool follows;
} plan;

static plan plans[MAX_THREADS][MAX_EACH];
static size_t n_each[MAX_THREADS];
static bool is_over;

static pthread_barrier_t start_line, finish_line;
static atomic_uint ready;
static atomic_ullong moment;

static stem_db *root, *left, *right;
static const char *const level[N_LEVEL] = {"a", "b"};
static stem_db **const slot_places[N_SLOTS] = {&left, &left, &right};
static const char *const slot_keys[N_SLOTS] = {"a", "b", "c"};

/* ---- Doing an operation ----------------------------------------------------------- */

/* In place of the C library's: lets the others in while LevelDB writes a commit. */
STEM_API ssize_t write(int fd, const void *bytes, size_t n)
{
    if (atomic_load(&moment) % 2 == 0)
        sched_yield();
    return syscall(SYS_write, fd, bytes, n);
}

/* Lets the others in; mostly not at all, or for a very short while. */
static void pause_for(unsigned pause)
{
    if (pause == 1)
        sched_yield();
    for (unsigned i = 1; i < pause; i++)
        atomic_load(&moment);
}

static int keep_seen(operation *op, size_t slot, int code, stem_value *value)
{
    if (code == STEM_OK) {
        assert_ok(stem_as_int(value, &op->seen[slot]));
        stem_value_free(value);
    }
    return code;
}

static int do_pop_first(operation *op)
{
    stem_entry *entries;
    size_t count, previous = 0;

    int code = stem_pop_first(root, (size_t)op->value, &entries, &count);
    if (code != STEM_OK)
        return code;
    for (size_t i = 0; i < count; i++) {
        size_t slot = (size_t)(entries[i].names[1][0] - 'a');

        ck_assert_uint_eq(entries[i].n_names, 2);
        ck_assert(slot < N_SLOTS && (i == 0 || slot > previous));
        previous = slot;
        assert_ok(stem_as_int(&entries[i].value, &op->seen[slot]));
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
    stem_batch *batch = stem_batch_new(root);
    const stem_value value = stem_int(op->value);

    if (op->kind == OP_FILL)
        assert_ok(stem_batch_expect_empty(batch, root, NULL));
    else if (op->expected == ABSENT)
        assert_ok(stem_batch_expect_absent(batch, place, key));
    else
        assert_ok(stem_batch_expect(batch, place, key, op->expected));
    assert_ok(stem_batch_put_value(batch, place, key, value));
    assert_ok(stem_batch_put_value(batch, *slot_places[op->other], slot_keys[op->other],
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
        assert_ok(stem_as_int(current, seen));
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

static void record(plan *planned)
{
    operation *op = &planned->op;

    pause_for(planned->pause);
    memcpy(op->seen, NOTHING.values, sizeof op->seen);
    op->called = atomic_fetch_add(&moment, 1);
    op->code = do_operation(planned);
    op->answered = atomic_fetch_add(&moment, 1);
}

/* ---- A run ------------------------------------------------------------------------ */

/* The barrier wakes the threads one after the other: they wait for the last one awake, so
 * as not to be through before it begins. */
static void meet(void)
{
    pthread_barrier_wait(&start_line);
    atomic_fetch_add(&ready, 1);
    while (atomic_load(&ready) < MAX_THREADS)
        sched_yield();
}

/* To the processors in turn: what is woken would else run where it was woken from, one
 * thread after the other. */
static void spread_out(size_t me)
{
    cpu_set_t allowed, chosen;
    size_t turn = 0;

    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    for (size_t i = 0, n = (size_t)CPU_COUNT(&allowed); i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &allowed) && turn++ == me % n) {
            CPU_ZERO(&chosen);
            CPU_SET(i, &chosen);
            sched_setaffinity(0, sizeof chosen, &chosen);
        }
}

static void *work(void *argument)
{
    size_t me = (size_t)argument;

    spread_out(me);
    for (meet(); !is_over; pthread_barrier_wait(&finish_line), meet()) {
        model_state last = NOTHING;

        for (size_t i = 0; i < n_each[me]; i++) {
            plan *planned = &plans[me][i];

            if (planned->follows && last.values[planned->op.slot] != ABSENT)
                planned->op.expected = last.values[planned->op.slot];
            record(planned);
            for (size_t slot = 0; slot < N_SLOTS; slot++)
                if (planned->op.seen[slot] != ABSENT)
                    last.values[slot] = planned->op.seen[slot];
        }
    }
    return NULL;
}

static void make_plan(uint64_t seed)
{
    unsigned n_threads, n_slots;

    random_state = seed * 0x9e3779b97f4a7c15u;
    n_threads = 3 + random_below(2);
    n_slots = 2 + random_below(N_SLOTS - 1);
    for (unsigned thread = 0; thread < MAX_THREADS; thread++) {
        n_each[thread] = thread < n_threads ? 4 + random_below(MAX_EACH - 3) : 0;
        for (unsigned i = 0; i < n_each[thread]; i++) {
            plan *planned = &plans[thread][i];
            operation *op = &planned->op;

            *op = (operation){.kind = (operation_kind)random_below(N_KINDS)};
            op->thread = thread;
            op->slot = random_below(n_slots);
            op->other = (op->slot + 1 + random_below(n_slots - 1)) % n_slots;
            op->value =
                op->kind == OP_POP_FIRST ? 1 + random_below(3) : 10 * (1 + thread) + i;
            op->expected = random_below(4) == 0 ? ABSENT : random_below(3);
            if (op->kind == OP_CAS && op->expected == ABSENT)
                op->expected = 1;
            planned->follows = random_below(4) > 0;
            planned->pause = random_below(3) > 0 ? 0 : 1 + random_below(400);
        }
    }
}

static model_state make_start(void)
{
    model_state start = NOTHING;

    for (size_t i = 0; i < N_SLOTS; i++) {
        if (random_below(2) == 0)
            start.values[i] = random_below(3);
        if (start.values[i] == ABSENT)
            assert_ok(stem_del(*slot_places[i], slot_keys[i]));
        else
            assert_ok(stem_put(*slot_places[i], slot_keys[i], start.values[i]));
    }
    return start;
}

/* All that the threads did, and a look at what is left. */
static size_t collect(operation *history)
{
    size_t n = 0;

    for (size_t thread = 0; thread < MAX_THREADS; thread++)
        for (size_t i = 0; i < n_each[thread]; i++)
            history[n++] = plans[thread][i].op;
    for (size_t slot = 0; slot < N_SLOTS; slot++) {
        plan look = {.op = {.kind = OP_GET, .thread = MAX_THREADS, .slot = slot}};

        record(&look);
        history[n++] = look.op;
    }
    return n;
}

static bool is_concurrent(const operation *history, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (history[i].called < history[j].answered &&
                history[j].called < history[i].answered)
                return true;
    return false;
}

static void run_once(uint64_t seed, unsigned long *n_concurrent)
{
    operation history[MAX_THREADS * MAX_EACH + N_SLOTS];

    make_plan(seed);
    const model_state start = make_start();
    atomic_store(&ready, 0);
    atomic_store(&moment, 0);
    pthread_barrier_wait(&start_line);
    pthread_barrier_wait(&finish_line);
    size_t n = collect(history);
    *n_concurrent += is_concurrent(history, n);
    if (!is_linearizable(history, n, &start)) {
        print_history(stderr, history, n, &start);
        ck_abort_msg("no order explains this history of STEM_TEST_SEED=%llu",
                     (unsigned long long)seed);
    }
}

START_TEST(every_recorded_history_is_explained_by_some_order)
{
    pthread_t threads[MAX_THREADS];
    const unsigned long runs = number_from("STEM_TEST_RUNS", 5000);
    const uint64_t seed = random_start();
    unsigned long n_concurrent = 0;

    /* Small enough that compactions run meanwhile. */
    assert_ok(stem_open(&root, getenv(IN_MEMORY) ? "mem:" : path_in(temp_dir(), "db"),
                        STEM_OPTIONS(.write_buffer_bytes = 64 << 10,
                                     .writeback_bytes = number_from(WRITEBACK_BYTES, 0),
                                     .writeback_ms = number_from(WRITEBACK_MS, 0))));
    left = stem_sub(root, "left");
    right = stem_sub(root, "right");
    pthread_barrier_init(&start_line, NULL, MAX_THREADS + 1);
    pthread_barrier_init(&finish_line, NULL, MAX_THREADS + 1);
    for (size_t i = 0; i < MAX_THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)i), 0);

    for (unsigned long i = 0; i < runs; i++)
        run_once(seed + i, &n_concurrent);
    printf("%lu runs, operations met in %lu of them\n", runs, n_concurrent);
    ck_assert_msg(runs < 1000 || n_concurrent > runs / 20,
                  "operations met in %lu of %lu runs: this shows nothing", n_concurrent,
                  runs);

    is_over = true;
    pthread_barrier_wait(&start_line);
    for (size_t i = 0; i < MAX_THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start_line);
    pthread_barrier_destroy(&finish_line);
    assert_ok(stem_close(left));
    assert_ok(stem_close(right));
    assert_ok(stem_close(root));
}
END_TEST

/* ---- The checker itself ----------------------------------------------------------- */

#define SEEN_A(value)                                                                    \
    {                                                                                    \
        (value), ABSENT, ABSENT                                                          \
    }
#define SEEN_NOTHING                                                                     \
    {                                                                                    \
        ABSENT, ABSENT, ABSENT                                                           \
    }
#define CALL(kind_, from, to, ...)                                                       \
    {                                                                                    \
        .kind = (kind_), .called = (from), .answered = (to), __VA_ARGS__                 \
    }

static bool is_explained(const operation *ops, size_t n, int64_t a)
{
    return is_linearizable(ops, n, &(const model_state){SEEN_A(a)});
}

START_TEST(a_read_is_old_or_new_while_the_write_runs_and_new_after_it)
{
    operation ops[] = {
        CALL(OP_PUT, 0, 3, .value = 2, .seen = SEEN_NOTHING),
        CALL(OP_GET, 1, 2, .seen = SEEN_A(2)),
        CALL(OP_GET, 4, 5, .seen = SEEN_A(2)),
    };

    ck_assert(is_explained(ops, 3, 1));
    ops[1].seen[0] = 1;
    ck_assert(is_explained(ops, 3, 1));
    ops[1].seen[0] = 3;
    ck_assert(!is_explained(ops, 3, 1));
    ops[1].seen[0] = ops[2].seen[0] = 1;
    ck_assert(!is_explained(ops, 3, 1));
}
END_TEST

START_TEST(what_one_reader_has_seen_no_later_reader_unsees)
{
    operation ops[] = {
        CALL(OP_PUT, 0, 9, .value = 2, .seen = SEEN_NOTHING),
        CALL(OP_GET, 1, 2, .seen = SEEN_A(1)),
        CALL(OP_GET, 3, 4, .seen = SEEN_A(2)),
    };

    ck_assert(is_explained(ops, 3, 1));
    ops[1].seen[0] = 2;
    ops[2].seen[0] = 1;
    ck_assert(!is_explained(ops, 3, 1));
}
END_TEST

START_TEST(no_update_is_lost)
{
    operation ops[] = {
        CALL(OP_INCR, 0, 2, .value = 1, .seen = SEEN_A(1)),
        CALL(OP_INCR, 1, 3, .value = 1, .seen = SEEN_A(2)),
        CALL(OP_GET, 4, 5, .seen = SEEN_A(2)),
    };

    ck_assert(is_explained(ops, 3, ABSENT));
    ops[1].seen[0] = ops[2].seen[0] = 1;
    ck_assert(!is_explained(ops, 3, ABSENT));
}
END_TEST

START_TEST(nothing_is_popped_twice)
{
    operation ops[] = {
        CALL(OP_POP, 0, 2, .seen = SEEN_A(7)),
        CALL(OP_POP_FIRST, 1, 3, .value = 1, .code = STEM_NOTFOUND, .seen = SEEN_NOTHING),
    };

    ck_assert(is_explained(ops, 2, 7));
    ops[1].code = STEM_OK;
    ops[1].seen[0] = 7;
    ck_assert(!is_explained(ops, 2, 7));
}
END_TEST

START_TEST(a_move_is_seen_at_one_place_only)
{
    operation ops[] = {
        CALL(OP_MOVE, 0, 3, .slot = 0, .other = 1, .seen = SEEN_NOTHING),
        CALL(OP_GET_MANY, 1, 2, .seen = {ABSENT, 5, ABSENT}),
    };

    ck_assert(is_explained(ops, 2, 5));
    ops[1].seen[0] = 5;
    ck_assert(!is_explained(ops, 2, 5));
    ops[1].seen[1] = ABSENT;
    ck_assert(is_explained(ops, 2, 5));
    ops[1].seen[0] = ABSENT;
    ck_assert(!is_explained(ops, 2, 5));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("linearizable");
    TCase *tcase = add_case(suite, "histories", 300), *checker;

    tcase_add_test(tcase, every_recorded_history_is_explained_by_some_order);
    checker = add_case(suite, "checker", 10);
    tcase_add_test(checker, a_read_is_old_or_new_while_the_write_runs_and_new_after_it);
    tcase_add_test(checker, what_one_reader_has_seen_no_later_reader_unsees);
    tcase_add_test(checker, no_update_is_lost);
    tcase_add_test(checker, nothing_is_popped_twice);
    tcase_add_test(checker, a_move_is_seen_at_one_place_only);
    return run_suite(suite);
}
