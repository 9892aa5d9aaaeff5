/*
 * From any processes that share a directory the operations are linearizable, though the owner
 * is killed in the middle of them: many short random runs of four processes, one of them
 * forked from another, each recorded and searched for an order that explains it. Of one who
 * was killed the last operation may have been done, then or later, or never.
 * STEM_TEST_KILLS and STEM_TEST_SEED say how many runs, and where to start.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "histories.h"
#include "place.h"
#include "process.h"
#include "random.h"
#include "sharer.h"

enum { RUNS = 80 };

/* One run, in memory of all processes, and whether it has begun. */
typedef struct shared_run {
    history of;
    atomic_bool has_begun;
} shared_run;

static shared_run *run;

/* ---- Dying ------------------------------------------------------------------------ */

/* How many writes a process has left, to files and to sockets, and whether it dies before or
 * after the last; 0 for no end. */
static atomic_uint writes_left;
static bool dies_before;

static void count_write(bool is_before)
{
    if (is_before == dies_before && atomic_load(&writes_left) > 0 &&
        atomic_fetch_sub(&writes_left, 1) == 1)
        kill(getpid(), SIGKILL);
}

/* These in place of the C library's: with them LevelDB writes its log, and answers go out. */
STEM_API ssize_t write(int fd, const void *bytes, size_t n)
{
    if (atomic_load(&writes_left) > 0)
        sched_yield(); /* lets the others in */
    count_write(true);
    const ssize_t written = syscall(SYS_write, fd, bytes, n);
    count_write(false);
    return written;
}

STEM_API ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
    count_write(true);
    const ssize_t sent = syscall(SYS_sendto, fd, bytes, n, flags, NULL, 0);
    count_write(false);
    return sent;
}

/* ---- Steps ------------------------------------------------------------------------ */

static void open_places(step *given)
{
    given->options.write_buffer_bytes = 64 << 10;
    open_shared(given);
    if (given->code == STEM_OK)
        history_open(shared_db);
}

static void make_start(step *given)
{
    (void)given;
    history_make_start(&run->of);
}

/* Of the caller `value`; `more` is twice the writes that it has left, and 1. */
static void perform(step *given)
{
    dies_before = given->more % 2 != 0;
    atomic_store(&writes_left, (unsigned)given->more / 2);
    while (!atomic_load(&run->has_begun)) {
        must(is_tested());
        sched_yield();
    }
    history_perform(&run->of, (size_t)given->value);
}

static void look(step *given)
{
    (void)given;
    history_look(&run->of);
}

static void close_places(step *given)
{
    history_close();
    close_it(given);
}

/* ---- A run ------------------------------------------------------------------------ */

static int await_some_owner(void)
{
    for (;; pause_ms(1)) {
        const pid_t pid = owner_pid();

        for (int who = A; who < MAX_CALLERS; who++) {
            ck_assert(is_alive(sharer_pid(who)));
            if (sharer_pid(who) == pid)
                return who;
        }
    }
}

/* Has all callers perform, of which the owner dies somewhere in the middle: early as often as
 * late, since its own calls are over soon. */
static void perform_all(int owner)
{
    enum { MOST_DOUBLINGS = 7 };
    const uint32_t twice_the_writes =
        2 + random_below(2U << random_below(MOST_DOUBLINGS));

    atomic_store(&run->has_begun, false);
    for (int who = A; who < MAX_CALLERS; who++)
        begin_in(who, perform,
                 (step){.value = who, .more = who == owner ? twice_the_writes : 0});
    atomic_store(&run->has_begun, true);
    for (int who = A; who < MAX_CALLERS; who++)
        if (who != owner)
            expect_end(STEM_OK, who);
    kill_sharer(owner); /* if it has not come to that */
}

static void count_pending(const operation *recorded, size_t n, unsigned long *n_pending)
{
    for (size_t i = 0; i < n; i++)
        *n_pending += recorded[i].answered == NEVER;
}

static void run_once(uint64_t seed, unsigned long *n_pending)
{
    operation recorded[MAX_RECORDED];

    history_plan(&run->of, seed);
    expect(STEM_OK, D, make_start, 0);
    const int owner = await_some_owner();
    ck_assert_int_ne(owner, D); /* which is forked */
    perform_all(owner);
    expect(STEM_OK, D, look, 0);
    const size_t n = history_collect(&run->of, recorded);
    count_pending(recorded, n, n_pending);
    if (!is_linearizable(recorded, n, &run->of.start)) {
        print_history(stderr, recorded, n, &run->of.start);
        ck_abort_msg("no order explains this history of STEM_TEST_SEED=%llu",
                     (unsigned long long)seed);
    }
    start_sharer(owner);
    expect(STEM_OK, owner, open_places, 0);
}

START_TEST(every_history_with_a_takeover_is_explained_by_some_order)
{
    const unsigned long runs = number_from("STEM_TEST_KILLS", RUNS);
    const uint64_t seed = random_start();
    unsigned long n_pending = 0;

    run = mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
               0);
    ck_assert_ptr_ne(run, MAP_FAILED);
    start_sharers(D);
    for (int who = A; who < D; who++)
        expect(STEM_OK, who, open_places, 0);
    fork_sharer(A, D);
    for (unsigned long i = 0; i < runs; i++)
        run_once(seed + i, &n_pending);
    for (int who = A; who < MAX_CALLERS; who++) {
        expect(STEM_OK, who, close_places, 0);
        end_sharer(who);
    }
    printf("%lu runs, %lu operations were never answered\n", runs, n_pending);
    ck_assert_msg(runs < 20 || n_pending > runs / 20, "this shows nothing");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shared histories");
    TCase *tcase = add_case(suite, "killed", 600);

    tcase_add_test(tcase, every_history_with_a_takeover_is_explained_by_some_order);
    return run_suite(suite);
}
