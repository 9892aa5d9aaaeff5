/*
 * From any threads the operations are linearizable: many short random runs of a few
 * threads on the same few keys, each recorded and searched for an order that explains
 * it. A run's plan comes from its seed; how the threads meet does not, and may take many
 * tries to recur. STEM_TEST_SEED and STEM_TEST_RUNS say where to start and how many runs
 * to do.
 */
#include "histories.h"
#include "place.h"
#include "random.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static history run;
static bool is_over;

static pthread_barrier_t start_line, finish_line;
static atomic_uint ready;

/* In place of the C library's: lets the others in while LevelDB writes a commit. */
STEM_API ssize_t write(int fd, const void *bytes, size_t n)
{
    if (atomic_load(&run.moment) % 2 == 0)
        sched_yield();
    return syscall(SYS_write, fd, bytes, n);
}

/* ---- A run ------------------------------------------------------------------------ */

/* The barrier wakes the threads one after the other: they wait for the last one awake, so
 * as not to be through before it begins. */
static void meet(void)
{
    pthread_barrier_wait(&start_line);
    atomic_fetch_add(&ready, 1);
    while (atomic_load(&ready) < MAX_CALLERS)
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
    for (meet(); !is_over; pthread_barrier_wait(&finish_line), meet())
        history_perform(&run, me);
    return NULL;
}

static void run_once(uint64_t seed, unsigned long *n_concurrent)
{
    operation recorded[MAX_RECORDED];

    history_plan(&run, seed);
    history_make_start(&run);
    atomic_store(&ready, 0);
    pthread_barrier_wait(&start_line);
    pthread_barrier_wait(&finish_line);
    history_look(&run);
    const size_t n = history_collect(&run, recorded);
    *n_concurrent += history_is_concurrent(recorded, n);
    if (!is_linearizable(recorded, n, &run.start)) {
        print_history(stderr, recorded, n, &run.start);
        ck_abort_msg("no order explains this history of STEM_TEST_SEED=%llu",
                     (unsigned long long)seed);
    }
}

START_TEST(every_recorded_history_is_explained_by_some_order)
{
    pthread_t threads[MAX_CALLERS];
    const unsigned long runs = number_from("STEM_TEST_RUNS", 5000);
    const uint64_t seed = random_start();
    unsigned long n_concurrent = 0;
    stem_db *root;

    /* Small enough that compactions run meanwhile. */
    assert_ok(stem_open(&root, getenv(IN_MEMORY) ? "mem:" : path_in(temp_dir(), "db"),
                        STEM_OPTIONS(.write_buffer_bytes = 64 << 10,
                                     .writeback_bytes = number_from(WRITEBACK_BYTES, 0),
                                     .writeback_ms = number_from(WRITEBACK_MS, 0))));
    history_open(root);
    pthread_barrier_init(&start_line, NULL, MAX_CALLERS + 1);
    pthread_barrier_init(&finish_line, NULL, MAX_CALLERS + 1);
    for (size_t i = 0; i < MAX_CALLERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)i), 0);

    for (unsigned long i = 0; i < runs; i++)
        run_once(seed + i, &n_concurrent);
    printf("%lu runs, operations met in %lu of them\n", runs, n_concurrent);
    ck_assert_msg(runs < 1000 || n_concurrent > runs / 20,
                  "operations met in %lu of %lu runs: this shows nothing", n_concurrent,
                  runs);

    is_over = true;
    pthread_barrier_wait(&start_line);
    for (size_t i = 0; i < MAX_CALLERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start_line);
    pthread_barrier_destroy(&finish_line);
    history_close();
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

START_TEST(what_was_never_answered_was_done_at_any_moment_after_its_call_or_not)
{
    operation ops[] = {
        CALL(OP_GET, 0, 1, .seen = SEEN_A(1)),
        CALL(OP_PUT, 2, NEVER, .value = 2),
        CALL(OP_GET, 3, 4, .seen = SEEN_A(1)),
        CALL(OP_GET, 5, 6, .seen = SEEN_A(2)),
    };

    ck_assert(is_explained(ops, 4, 1));
    ops[3].seen[0] = 1;
    ck_assert(is_explained(ops, 4, 1));
    ops[2].seen[0] = 2;
    ck_assert(!is_explained(ops, 4, 1));
    ops[0].seen[0] = ops[3].seen[0] = 2;
    ck_assert(!is_explained(ops, 4, 1));
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
    tcase_add_test(checker,
                   what_was_never_answered_was_done_at_any_moment_after_its_call_or_not);
    return run_suite(suite);
}
