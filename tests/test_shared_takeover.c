/*
 * Processes that share a directory while its owner is killed again and again, and others with
 * it: every operation that is answered has been applied exactly once, and none fails. Of what
 * a killed process was doing, at most that one operation may or may not have been applied.
 * Some of the processes are forked by others in the middle of their work, and go on with what
 * they inherited. STEM_TEST_KILLS says how often.
 */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger.h"
#include "place.h"
#include "process.h"
#include "random.h"
#include "sharer.h"

/* The others are forked by workers: but not where a sanitizer watches. ThreadSanitizer cannot
 * follow threads of a forked child, and AddressSanitizer's allocator may be locked in it. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { KILLS = 100, WORKERS = 6, CLEAN = WORKERS };
#else
enum { KILLS = 100, WORKERS = 6, CLEAN = 4 };
#endif

/* ---- Shared by all ---------------------------------------------------------------- */

/* A place for a worker, which is a new one after each kill. */
typedef struct slot {
    _Atomic pid_t pid;     /* 0 until it works */
    atomic_uint fork_into; /* the slot it is asked to fork a worker for, and 1; 0: none */
    atomic_bool is_over, has_ended;
} slot;

/* In memory that outlives whoever writes to it. */
typedef struct stage {
    pid_t judge;
    size_t writeback_bytes;
    atomic_uint n_workers;
    slot slots[WORKERS];
} stage;

static stage *scene;
static ledger *book;

/* ---- A worker --------------------------------------------------------------------- */

typedef struct worker {
    unsigned slot;
    uint32_t number;
    places at;
} worker;

static int increment(worker *me, entry *this)
{
    ledger_name name;
    int64_t now = 0;

    const int code = stem_incr(me->at.counters, name_of(this->what, name), 1, 0, &now);
    this->got[0] = (uint32_t)now;
    return code;
}

static int insert(worker *me, entry *this)
{
    ledger_name name;

    return stem_insert(me->at.names, name_of(this->what, name), this->worker);
}

static int push(worker *me, entry *this)
{
    stem_db *queue = queue_of(&me->at, this->what);
    ledger_name name;

    const int code = stem_insert(queue, name_of(this->what, name), this->what);
    stem_close(queue);
    return code;
}

static uint32_t item_in(stem_value *value)
{
    int64_t item;

    must_ok(stem_as_int(value, &item));
    return (uint32_t)item;
}

static int pop(worker *me, entry *this)
{
    stem_db *queue = queue_of(&me->at, atomic_load(&book->n_items));
    stem_entry *entries;
    size_t n;

    const int code = (random_below(2) ? stem_pop_first : stem_pop_last)(
        queue, NULL, this->what, &entries, &n);
    if (code == STEM_OK) {
        must(n > 0 && n <= this->what);
        for (size_t i = 0; i < n; i++)
            this->got[i] = item_in(&entries[i].value);
        stem_entries_free(entries, n);
    }
    stem_close(queue);
    return code;
}

static int take(worker *me, entry *this)
{
    stem_db *queue = queue_of(&me->at, this->what);
    stem_value value;
    ledger_name name;

    const int code = stem_pop(queue, name_of(this->what, name), &value);
    if (code == STEM_OK) {
        this->got[0] = item_in(&value);
        stem_value_free(&value);
    }
    stem_close(queue);
    return code;
}

static int move(worker *me, entry *this)
{
    ledger_name name;

    name_of(this->what, name);
    return stem_move(me->at.boxes[this->from], name, me->at.boxes[this->to], name);
}

static int (*const calls[KINDS])(worker *, entry *) = {
    [INCREMENT] = increment, [INSERT] = insert, [PUSH] = push, [POP] = pop,
    [TAKE] = take,           [MOVE] = move,
};

/* What an operation answers when others were there first. */
static const int refusals[KINDS] = {
    [INSERT] = STEM_EXISTS,
    [POP] = STEM_NOTFOUND,
    [TAKE] = STEM_NOTFOUND,
    [MOVE] = STEM_NOTFOUND,
};

static entry plan(const worker *me)
{
    entry made = {.kind = (uint8_t)random_below(KINDS), .worker = me->number};

    switch ((kind)made.kind) {
    case INCREMENT:
        made.what = random_below(COUNTERS);
        break;
    case INSERT:
        made.what = atomic_fetch_add(&book->n_tries, 1) / RACERS;
        break;
    case PUSH:
        made.what = 1 + atomic_fetch_add(&book->n_items, 1);
        break;
    case POP:
        made.what = 1 + random_below(MOST_POPPED);
        break;
    case TAKE:
        made.what = 1 + atomic_load(&book->n_items) - random_below(20);
        made.what = made.what > 0 && made.what < MOST_ENTRIES ? made.what : 1;
        break;
    default:
        made.what = random_below(TOKENS);
        made.from = (uint8_t)random_below(BOXES);
        made.to = (uint8_t)((made.from + 1 + random_below(BOXES - 1)) % BOXES);
    }
    return made;
}

/* A kill may come between any two lines: what was called is written down before, and is
 * answered only once all of the answer is. */
static void do_something(worker *me)
{
    const unsigned at = atomic_fetch_add(&book->n_entries, 1);
    entry *this = &book->entries[at];

    must(at < MOST_ENTRIES);
    *this = plan(me);
    atomic_signal_fence(memory_order_seq_cst);
    this->code = calls[this->kind](me, this);
    if (this->code != refusals[this->kind])
        must_ok(this->code);
    atomic_signal_fence(memory_order_seq_cst);
    this->is_answered = true;
    atomic_fetch_add(&book->n_answered, 1);
}

static void work(void *argument);

static void fork_if_asked(worker *me)
{
    slot *mine = &scene->slots[me->slot];
    const unsigned into = atomic_load(&mine->fork_into);
    worker child = *me;

    if (into == 0)
        return;
    atomic_store(&mine->fork_into, 0);
    child.slot = into - 1;
    start_child(work, &child);
}

/* With the handles it has, until it is told to end. */
static void work(void *argument)
{
    worker *me = argument;
    slot *mine = &scene->slots[me->slot];

    me->number = atomic_fetch_add(&scene->n_workers, 1);
    random_state += me->number;
    signal(SIGCHLD, SIG_IGN);
    atomic_store(&mine->pid, getpid());
    while (!atomic_load(&mine->is_over)) {
        must(kill(scene->judge, 0) == 0);
        do_something(me);
        fork_if_asked(me);
    }
    places_close(&me->at);
    atomic_store(&mine->has_ended, true);
}

static void open_all(places *found, bool shared)
{
    stem_db *db;

    must_ok(stem_open(&db, shared_place,
                      STEM_OPTIONS(.shared = shared, .write_buffer_bytes = 64 << 10,
                                   .writeback_bytes = scene->writeback_bytes)));
    places_of(db, found);
}

static void open_and_work(void *argument)
{
    worker me = {.slot = *(unsigned *)argument};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    open_all(&me.at, true);
    work(&me);
}

/* ---- Killing ---------------------------------------------------------------------- */

static void assert_all_work(void)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        const pid_t pid = atomic_load(&scene->slots[i].pid);

        ck_assert_msg(pid == 0 || is_alive(pid), "worker %u has ended", i);
    }
}

static void await_worker(unsigned which)
{
    while (atomic_load(&scene->slots[which].pid) == 0) {
        assert_all_work();
        pause_ms(1);
    }
}

static void start_worker(unsigned which)
{
    atomic_store(&scene->slots[which].pid, 0);
    if (which < CLEAN) {
        start_child(open_and_work, &which);
        await_worker(which);
        return;
    }
    const unsigned parent = (which + 1 + random_below(WORKERS - 1)) % WORKERS;
    slot *asked = &scene->slots[parent];
    if (atomic_load(&asked->pid) == 0)
        asked = &scene->slots[0];
    atomic_store(&asked->fork_into, which + 1);
    await_worker(which);
}

static void kill_worker(unsigned which)
{
    const pid_t pid = atomic_load(&scene->slots[which].pid);

    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    while (is_alive(pid))
        sched_yield();
    waitpid(pid, NULL, WNOHANG); /* unless it is another's to wait for */
    start_worker(which);
}

/* The one that has the directory now: never one that is forked from another. */
static unsigned await_new_owner(void)
{
    for (;; pause_ms(1)) {
        const pid_t pid = owner_pid();

        for (unsigned i = 0; i < WORKERS; i++)
            if (pid > 0 && atomic_load(&scene->slots[i].pid) == pid) {
                ck_assert_uint_lt(i, CLEAN);
                return i;
            }
        assert_all_work();
    }
}

/* Mostly in the middle of work; now and then in the middle of a takeover. */
static void await_moment(void)
{
    const unsigned until = atomic_load(&book->n_answered) + random_below(400);

    if (random_below(6) == 0)
        return;
    while (atomic_load(&book->n_answered) < until) {
        assert_all_work();
        pause_ms(1);
    }
    usleep(random_below(20000));
}

static void kill_again_and_again(unsigned long kills)
{
    for (unsigned long i = 0; i < kills; i++) {
        const unsigned owner = await_new_owner();

        await_moment();
        kill_worker(owner);
        if (random_below(3) == 0)
            kill_worker(random_below(WORKERS));
    }
}

/* Those that are forked first: left alone they would have another process own it. */
static void end_work(void)
{
    for (unsigned i = WORKERS; i-- > 0;) {
        slot *each = &scene->slots[i];

        atomic_store(&each->is_over, true);
        while (!atomic_load(&each->has_ended)) {
            ck_assert_msg(is_alive(atomic_load(&each->pid)) ||
                              atomic_load(&each->has_ended),
                          "worker %u has ended early", i);
            pause_ms(1);
        }
    }
    while (waitpid(-1, NULL, 0) > 0)
        continue;
}

/* ---- All of it -------------------------------------------------------------------- */

static void prepare(void *unused)
{
    places at;

    (void)unused;
    open_all(&at, true);
    put_tokens(&at);
    places_close(&at);
}

static void judge(void *unused)
{
    places at;

    (void)unused;
    open_all(&at, false);
    ledger_judge(book, &at);
    places_close(&at);
}

static const size_t writeback_bytes[] = {0, 1 << 20};

START_TEST(what_is_answered_was_applied_once)
{
    const unsigned long kills = number_from("STEM_TEST_KILLS", KILLS);

    scene = mmap(NULL, sizeof *scene, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    ck_assert_ptr_ne(scene, MAP_FAILED);
    book = ledger_new();
    scene->judge = getpid();
    scene->writeback_bytes = writeback_bytes[_i];
    shared_place = path_in(temp_dir(), "db");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    random_start();
    assert_child_ends_well(start_child(prepare, NULL));
    for (unsigned i = 0; i < WORKERS; i++)
        start_worker(i);
    kill_again_and_again(kills);
    end_work();
    assert_child_ends_well(start_child(judge, NULL));
    ck_assert_uint_gt(atomic_load(&book->n_answered), kills);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("takeover");
    TCase *tcase = add_case(suite, "killed", 600);

    tcase_add_loop_test(tcase, what_is_answered_was_applied_once, 0,
                        sizeof writeback_bytes / sizeof *writeback_bytes);
    return run_suite(suite);
}
