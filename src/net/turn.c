/*
 * Which thread has the loop; see turn.h.
 *
 * `turn` is the number of the turn times four, plus its state. Only a compare-and-exchange from a
 * running state decides whether the loop is kept or taken. Of the threads that wait, one keeps
 * the time: it looks every millisecond whether the turn that runs is the one that ran before.
 */
#include "turn.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "../clock.h"
#include "../error.h"

enum { IDLE = 0, RUNS = 1, RUNS_SLOWLY = 2, STATES = 4 };

static const uint64_t patience_ns = STEM_MILLISECOND, parking_ns = 50 * STEM_MILLISECOND;

/* What the thread that keeps the time has seen last. */
typedef struct watched_turn {
    uint64_t turn, since_ns;
} watched_turn;

static bool is_running(uint64_t turn)
{
    return turn % STATES != IDLE;
}

/* ---- Taking the loop over --------------------------------------------------------- */

/* This thread has the loop, and the one that had it is away. */
static void note_away(stem_server *server)
{
    const stem_turn *taken = &server->turns.current;

    server->turns.n_away++;
    server->metrics.handovers++;
    if (taken->of)
        taken->of->is_away = true;
    if (taken->group) {
        server->forming = server->unused;
        server->unused = NULL;
    }
}

static bool is_overdue(const watched_turn *seen, uint64_t turn, uint64_t now)
{
    return turn % STATES == RUNS_SLOWLY || (turn % STATES == RUNS && turn == seen->turn &&
                                            now - seen->since_ns >= patience_ns);
}

static bool take_over(stem_server *server, uint64_t turn)
{
    uint_fast64_t expected = turn;

    if (!atomic_compare_exchange_strong(&server->turns.turn, &expected,
                                        (turn / STATES + 1) * STATES + IDLE))
        return false;
    note_away(server);
    return true;
}

/* ---- Waiting for the loop --------------------------------------------------------- */

static void wait_until(stem_turns *turns, uint64_t ns)
{
    const struct timespec until = {.tv_sec = (time_t)(ns / STEM_SECOND),
                                   .tv_nsec = (long)(ns % STEM_SECOND)};

    pthread_cond_timedwait(&turns->changed, &turns->lock, &until);
}

/* Sleeps until a turn begins. Either this sees the turn that has begun, or the thread that began
 * it sees that this one is parked. */
static void park(stem_turns *turns, uint64_t turn)
{
    atomic_store(&turns->is_parked, true);
    while (atomic_load(&turns->is_parked) && atomic_load(&turns->turn) == turn &&
           !turns->is_stopping && !turns->is_offered)
        pthread_cond_wait(&turns->changed, &turns->lock);
    atomic_store(&turns->is_parked, false);
}

/* Waits a moment; true when this thread has taken the loop over. */
static bool keep_time(stem_server *server, watched_turn *seen)
{
    stem_turns *turns = &server->turns;
    const uint64_t turn = atomic_load(&turns->turn), now = stem_clock();

    if (is_overdue(seen, turn, now))
        return take_over(server, turn);
    if (turn != seen->turn)
        *seen = (watched_turn){turn, now};
    if (!is_running(turn) && now - seen->since_ns > parking_ns) {
        park(turns, turn);
        seen->since_ns = stem_clock();
    } else {
        wait_until(turns, now + patience_ns);
    }
    return false;
}

/* Whether the loop was given to this thread; it was offered to those that come back. */
static bool accept_offer(stem_turns *turns, bool comes_back)
{
    if (!comes_back || !turns->is_offered)
        return false;
    turns->is_offered = false;
    return true;
}

/* `lock` is held. */
static void wake_all(stem_turns *turns)
{
    pthread_cond_signal(&turns->changed);
    pthread_cond_broadcast(&turns->vacant);
}

/* Until this thread has the loop: true; or, where it does not come back to what it has begun,
 * until the server ends: false. `lock` is held. */
static bool wait_for_loop(stem_server *server, bool comes_back)
{
    stem_turns *turns = &server->turns;
    watched_turn seen = {atomic_load(&turns->turn), stem_clock()};
    bool has_loop = false;

    while (!has_loop && (comes_back || !turns->is_stopping)) {
        has_loop = accept_offer(turns, comes_back);
        if (has_loop)
            break;
        if (turns->has_keeper) {
            pthread_cond_wait(&turns->vacant, &turns->lock);
            seen = (watched_turn){atomic_load(&turns->turn), stem_clock()};
            continue;
        }
        turns->has_keeper = true;
        has_loop = keep_time(server, &seen);
        turns->has_keeper = false;
    }
    if (has_loop)
        atomic_fetch_sub(&turns->n_waiting, 1);
    pthread_cond_signal(&turns->vacant); /* another keeps the time */
    return has_loop;
}

/* ---- Turns ------------------------------------------------------------------------ */

bool stem_turn_is_free(const stem_server *server)
{
    return atomic_load_explicit(&server->turns.n_waiting, memory_order_relaxed) > 0;
}

static void wake_keeper(stem_turns *turns)
{
    pthread_mutex_lock(&turns->lock);
    atomic_store(&turns->is_parked, false);
    pthread_cond_signal(&turns->changed);
    pthread_mutex_unlock(&turns->lock);
}

stem_turn stem_turn_begin(stem_server *server, stem_connection *of, stem_group *group,
                          bool is_slow)
{
    stem_turns *turns = &server->turns;
    const uint64_t before = atomic_load_explicit(&turns->turn, memory_order_relaxed);

    assert(!is_running(before));
    turns->current = (stem_turn){.number = before + (is_slow ? RUNS_SLOWLY : RUNS),
                                 .of = of,
                                 .group = group,
                                 .reader = server->reader};
    const stem_turn begun = turns->current;
    atomic_store(&turns->turn, begun.number);
    if (is_slow || atomic_load(&turns->is_parked))
        wake_keeper(turns);
    return begun;
}

/* Waits for the loop, and puts right what was taken from under this thread. */
static void come_back(stem_server *server, const stem_turn *turn)
{
    stem_turns *turns = &server->turns;

    pthread_mutex_lock(&turns->lock);
    atomic_fetch_add(&turns->n_waiting, 1);
    atomic_fetch_add(&turns->n_coming_back, 1);
    stem_loop_wake(server);
    wait_for_loop(server, true);
    atomic_fetch_sub(&turns->n_coming_back, 1);
    pthread_mutex_unlock(&turns->lock);
    turns->n_away--;
    server->reader = turn->reader;
    if (turn->of)
        turn->of->is_away = false;
    if (turn->group) {
        assert(server->n_gathered < STEM_GROUPS);
        server->gathered[server->n_gathered++] = turn->group;
    }
    stem_connections_resume(server);
}

void stem_turn_end(stem_server *server, const stem_turn *turn)
{
    uint_fast64_t number = turn->number;

    if (!atomic_compare_exchange_strong(&server->turns.turn, &number,
                                        (number / STATES + 1) * STATES + IDLE))
        come_back(server, turn);
}

bool stem_turn_yield(stem_server *server)
{
    stem_turns *turns = &server->turns;

    if (atomic_load(&turns->n_coming_back) == 0)
        return false;
    pthread_mutex_lock(&turns->lock);
    turns->is_offered = true;
    atomic_fetch_add(&turns->n_waiting, 1); /* this thread, from now on */
    wake_all(turns);
    pthread_mutex_unlock(&turns->lock);
    return true;
}

/* ---- The threads ------------------------------------------------------------------ */

static void end_turns(stem_turns *turns)
{
    pthread_mutex_lock(&turns->lock);
    turns->is_stopping = true;
    wake_all(turns);
    pthread_mutex_unlock(&turns->lock);
}

static bool get_loop(stem_turn_thread *self)
{
    stem_turns *turns = &self->server->turns;

    pthread_mutex_lock(&turns->lock);
    const bool has_loop = wait_for_loop(self->server, false);
    pthread_mutex_unlock(&turns->lock);
    if (has_loop)
        self->server->reader = self->reader;
    return has_loop;
}

static void *begin_waiting(void *argument)
{
    stem_turn_thread *self = argument;
    stem_turns *turns = &self->server->turns;

    while (get_loop(self))
        if (turns->run_loop(self->server))
            end_turns(turns);
    return NULL;
}

static void *begin_with_loop(void *argument)
{
    stem_turn_thread *self = argument;
    stem_turns *turns = &self->server->turns;

    self->server->reader = self->reader;
    if (turns->run_loop(self->server))
        end_turns(turns);
    return begin_waiting(argument);
}

int stem_turns_prepare(stem_server *server)
{
    stem_turns *turns = &server->turns;
    pthread_condattr_t attributes;

    pthread_mutex_init(&turns->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&turns->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_cond_init(&turns->vacant, NULL);
    for (size_t i = 0; i < STEM_TURN_THREADS; i++) {
        turns->threads[i].server = server;
        turns->threads[i].reader = stem_execution_new(server->engine);
        if (!turns->threads[i].reader)
            return stem_fail(STEM_ENOMEM, "no memory for a server");
    }
    return STEM_OK;
}

void stem_turns_forget(stem_server *server)
{
    stem_turns *turns = &server->turns;

    for (size_t i = 0; i < STEM_TURN_THREADS; i++)
        stem_execution_free(turns->threads[i].reader);
    pthread_cond_destroy(&turns->vacant);
    pthread_cond_destroy(&turns->changed);
    pthread_mutex_destroy(&turns->lock);
}

/* The last of them begins with the loop. */
int stem_turns_start(stem_server *server, bool (*run_loop)(stem_server *server))
{
    stem_turns *turns = &server->turns;
    sigset_t all, before;
    int cause = 0;

    turns->run_loop = run_loop;
    atomic_store(&turns->n_waiting, STEM_TURN_THREADS - 1);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (turns->n_threads < STEM_TURN_THREADS && cause == 0) {
        const bool is_last = turns->n_threads == STEM_TURN_THREADS - 1;
        stem_turn_thread *next = &turns->threads[turns->n_threads];

        cause = pthread_create(&next->thread, NULL,
                               is_last ? begin_with_loop : begin_waiting, next);
        turns->n_threads += cause == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (cause == 0)
        return STEM_OK;
    end_turns(turns);
    stem_turns_join(server);
    return stem_fail(STEM_EIO, "cannot start a thread: %s", strerror(cause));
}

void stem_turns_join(stem_server *server)
{
    for (; server->turns.n_threads > 0; server->turns.n_threads--)
        pthread_join(server->turns.threads[server->turns.n_threads - 1].thread, NULL);
}
