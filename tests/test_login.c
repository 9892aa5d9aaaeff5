/*
 * Logging in beside the event loop: outcomes, limits, cancelling and stopping.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "error.h"
#include "net/login.h"
#include "support.h"
#include "users.h"

static stem_access *users;
static stem_login *pool;

/* One login and what came of it. */
typedef struct attempt {
    enum stem_login_outcome outcome; /* WAITS until there is one */
    int calls;
    char user[16];
    uint64_t ticket;
    sem_t is_told;
    sem_t *gate; /* when not NULL, keeps the pool's thread until it is posted */
} attempt;

static char *text(const char *constant)
{
    char *copy = strdup(constant);

    ck_assert_ptr_nonnull(copy);
    return copy;
}

static void make_users(void)
{
    users = calloc(1, sizeof *users);
    users->users = calloc(2, sizeof *users->users);
    users->n_users = 2;
    atomic_init(&users->users_of_it, 1);
    users->users[0] = (stem_user){text("ada"), text(HASH_OF_SECRET), text(""), 7};
    users->users[1] = (stem_user){text("web"), text(HASH_OF_SECRET), text("apps"), 1};
    pool = NULL;
}

static void let_go_of_users(void)
{
    stem_login_close(pool);
    stem_access_release(users);
}

static void open_pool(stem_login_options options)
{
    assert_ok(stem_login_open(&options, &pool));
}

static void take_outcome(void *argument, enum stem_login_outcome outcome,
                         const stem_user *user)
{
    attempt *which = argument;
    sem_t *gate = which->gate; /* once it is told the attempt may be gone */

    which->outcome = outcome;
    which->calls++;
    if (user)
        strncpy(which->user, user->name, sizeof which->user - 1);
    sem_post(&which->is_told);
    if (gate)
        sem_wait(gate);
}

static enum stem_login_outcome try(attempt *which, const char *peer, const char *user,
                                   const char *password)
{
    const stem_login_request request = {
        .access = users,
        .user = {user, strlen(user)},
        .password = {password, strlen(password)},
        .peer = peer,
        .done = take_outcome,
        .argument = which,
    };

    sem_init(&which->is_told, 0, 0);
    which->outcome = STEM_LOGIN_WAITS;
    return stem_login_start(pool, &request, &which->ticket);
}

static enum stem_login_outcome outcome_of(attempt *which)
{
    sem_wait(&which->is_told);
    return which->outcome;
}

/* Keeps the pool's one thread busy until the gate is posted. */
static void shut(attempt *which, sem_t *gate)
{
    sem_init(gate, 0, 0);
    which->gate = gate;
    ck_assert_int_eq(try(which, "gate", "ada", ""), STEM_LOGIN_WAITS);
    ck_assert_int_eq(outcome_of(which), STEM_LOGIN_REFUSED);
}

/* ---- Outcomes --------------------------------------------------------------------- */

START_TEST(a_right_password_is_granted_and_everything_else_refused)
{
    attempt right = {0}, wrong = {0}, unknown = {0}, empty = {0};

    open_pool((stem_login_options){0});
    ck_assert_int_eq(try(&right, "a", "web", "secret"), STEM_LOGIN_WAITS);
    ck_assert_int_eq(try(&wrong, "a", "web", "secre"), STEM_LOGIN_WAITS);
    ck_assert_int_eq(try(&unknown, "a", "eve", "secret"), STEM_LOGIN_WAITS);
    ck_assert_int_eq(try(&empty, "a", "", ""), STEM_LOGIN_WAITS);
    ck_assert_uint_ne(right.ticket, 0);
    ck_assert_uint_ne(right.ticket, wrong.ticket);

    ck_assert_int_eq(outcome_of(&right), STEM_LOGIN_GRANTED);
    ck_assert_str_eq(right.user, "web");
    ck_assert_int_eq(outcome_of(&wrong), STEM_LOGIN_REFUSED);
    ck_assert_int_eq(outcome_of(&unknown), STEM_LOGIN_REFUSED);
    ck_assert_int_eq(outcome_of(&empty), STEM_LOGIN_REFUSED);
    ck_assert_str_eq(wrong.user, "");
    ck_assert_str_eq(unknown.user, "");
}
END_TEST

START_TEST(what_is_handed_over_is_copied_and_the_list_is_counted)
{
    char user[] = "ada", password[] = "secret", peer[] = "a";
    attempt which = {0}, first = {0};
    sem_t gate;
    const stem_login_request request = {
        .access = users,
        .user = {user, 3},
        .password = {password, 6},
        .peer = peer,
        .done = take_outcome,
        .argument = &which,
    };

    open_pool((stem_login_options){0});
    shut(&first, &gate);
    sem_init(&which.is_told, 0, 0);
    ck_assert_int_eq(stem_login_start(pool, &request, &which.ticket), STEM_LOGIN_WAITS);
    memset(user, 'x', 3);
    memset(password, 'x', 6);
    memset(peer, 'x', 1);
    stem_access_release(users);
    users = NULL;
    sem_post(&gate);

    ck_assert_int_eq(outcome_of(&which), STEM_LOGIN_GRANTED);
    ck_assert_str_eq(which.user, "ada");
}
END_TEST

static sigset_t mask_of_thread;

static void take_mask(void *argument, enum stem_login_outcome outcome,
                      const stem_user *user)
{
    attempt *which = argument;

    (void)user;
    which->outcome = outcome;
    pthread_sigmask(SIG_SETMASK, NULL, &mask_of_thread);
    sem_post(&which->is_told);
}

START_TEST(signals_are_left_to_the_other_threads)
{
    attempt which = {0};
    const stem_login_request request = {
        .access = users,
        .user = {"ada", 3},
        .peer = "a",
        .done = take_mask,
        .argument = &which,
    };
    sigset_t own;

    open_pool((stem_login_options){0});
    sem_init(&which.is_told, 0, 0);
    ck_assert_int_eq(stem_login_start(pool, &request, &which.ticket), STEM_LOGIN_WAITS);
    outcome_of(&which);
    ck_assert_int_eq(sigismember(&mask_of_thread, SIGTERM), 1);
    ck_assert_int_eq(sigismember(&mask_of_thread, SIGHUP), 1);
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    ck_assert_int_eq(sigismember(&own, SIGTERM), 0);
}
END_TEST

START_TEST(options_that_cannot_be_are_refused)
{
    const stem_login_options many = {.threads = STEM_LOGIN_MAX_THREADS + 1};

    assert_code(stem_login_open(&many, &pool), STEM_EINVAL);
    ck_assert_ptr_null(pool);
    assert_ok(stem_login_open(NULL, &pool));
}
END_TEST

START_TEST(what_there_is_no_memory_to_check_has_failed_and_is_no_failure_of_the_peer_s)
{
    attempt which = {0};

    open_pool((stem_login_options){.failures_per_second = 1});
    leave_no_memory_for_a_hash();
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(try(&which, "a", "ada", "secret"), STEM_LOGIN_WAITS);
        ck_assert_int_eq(outcome_of(&which), STEM_LOGIN_FAILED);
    }
}
END_TEST

/* ---- Limits ----------------------------------------------------------------------- */

START_TEST(who_fails_too_often_is_refused_at_once_and_others_are_not)
{
    attempt failed = {0}, next = {0}, other = {0};

    open_pool((stem_login_options){.failures_per_second = 1});
    ck_assert_int_eq(try(&failed, "a", "ada", "wrong"), STEM_LOGIN_WAITS);
    ck_assert_int_eq(outcome_of(&failed), STEM_LOGIN_REFUSED);
    ck_assert_int_eq(try(&next, "a", "ada", "secret"), STEM_LOGIN_TOO_MANY);
    ck_assert_int_eq(try(&other, "b", "ada", "secret"), STEM_LOGIN_WAITS);
    ck_assert_int_eq(outcome_of(&other), STEM_LOGIN_GRANTED);
    ck_assert_int_eq(next.calls, 0);
}
END_TEST

START_TEST(a_login_is_no_failure)
{
    attempt which = {0};

    open_pool((stem_login_options){.failures_per_second = 1});
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(try(&which, "a", "ada", "secret"), STEM_LOGIN_WAITS);
        ck_assert_int_eq(outcome_of(&which), STEM_LOGIN_GRANTED);
    }
}
END_TEST

START_TEST(what_came_before_a_failure_is_refused_when_its_turn_comes)
{
    attempt first = {0}, failed = {0}, next = {0}, other = {0};
    sem_t gate;

    open_pool((stem_login_options){.failures_per_second = 1});
    shut(&first, &gate);
    ck_assert_int_eq(try(&failed, "a", "ada", "wrong"), STEM_LOGIN_WAITS);
    ck_assert_int_eq(try(&next, "a", "ada", "secret"), STEM_LOGIN_WAITS);
    ck_assert_int_eq(try(&other, "b", "ada", "secret"), STEM_LOGIN_WAITS);
    const uint64_t before = stem_clock();
    sem_post(&gate);

    ck_assert_int_eq(outcome_of(&failed), STEM_LOGIN_REFUSED);
    const enum stem_login_outcome outcome = outcome_of(&next);
    /* A failure counts for a second, and under a sanitizer a check may take that long. */
    if (stem_clock() - before < STEM_SECOND)
        ck_assert_int_eq(outcome, STEM_LOGIN_TOO_MANY);
    ck_assert_int_eq(outcome_of(&other), STEM_LOGIN_GRANTED);
}
END_TEST

/* ---- Turns ------------------------------------------------------------------------ */

START_TEST(any_number_of_logins_of_one_peer_wait_their_turn)
{
    enum { MANY = 5000 };
    attempt first = {0}, *waits = calloc(MANY, sizeof *waits);
    sem_t gate;

    open_pool((stem_login_options){.failures_per_second = 1000000000});
    shut(&first, &gate);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(try(&waits[i], "a", "ada", ""), STEM_LOGIN_WAITS);
    sem_post(&gate);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(outcome_of(&waits[i]), STEM_LOGIN_REFUSED);
        ck_assert_int_eq(waits[i].calls, 1);
    }
    free(waits);
}
END_TEST

static int n_outcomes;

/* Notes in which order the outcomes come. */
static void take_place(void *argument, enum stem_login_outcome outcome,
                       const stem_user *user)
{
    attempt *which = argument;

    (void)user;
    which->outcome = outcome;
    which->calls = ++n_outcomes;
    sem_post(&which->is_told);
}

static void try_in_order(attempt *which, const char *peer, const char *password)
{
    const stem_login_request request = {
        .access = users,
        .user = {"ada", 3},
        .password = {password, strlen(password)},
        .peer = peer,
        .done = take_place,
        .argument = which,
    };

    sem_init(&which->is_told, 0, 0);
    ck_assert_int_eq(stem_login_start(pool, &request, &which->ticket), STEM_LOGIN_WAITS);
}

START_TEST(peers_take_turns_and_a_flood_of_one_delays_another_by_one_check)
{
    enum { FLOOD = 200, OTHERS = 3 };
    static const char *const peers[OTHERS] = {"b", "c", "d"};
    attempt first = {0}, flood[FLOOD] = {0}, others[OTHERS][2] = {0};
    sem_t gate;

    n_outcomes = 0;
    open_pool((stem_login_options){.failures_per_second = 1000000000});
    shut(&first, &gate);
    for (int i = 0; i < FLOOD; i++)
        try_in_order(&flood[i], "a", "");
    for (int i = 0; i < OTHERS; i++)
        for (int k = 0; k < 2; k++)
            try_in_order(&others[i][k], peers[i], "");
    sem_post(&gate);
    for (int i = 0; i < FLOOD; i++)
        outcome_of(&flood[i]);

    for (int i = 0; i < OTHERS; i++)
        for (int k = 0; k < 2; k++)
            ck_assert_int_le(others[i][k].calls, (OTHERS + 1) * (k + 1));
    for (int i = 1; i < FLOOD; i++)
        ck_assert_int_gt(flood[i].calls, flood[i - 1].calls);
}
END_TEST

START_TEST(peers_that_have_failed_lately_come_behind_those_that_have_not)
{
    enum { FAILED = 20 };
    attempt first = {0}, failed[FAILED] = {0}, again[FAILED] = {0}, late = {0};
    char peer[16];
    sem_t gate;

    n_outcomes = 0;
    open_pool((stem_login_options){.failures_per_second = 2});
    for (int i = 0; i < FAILED; i++) {
        snprintf(peer, sizeof peer, "peer %d", i);
        ck_assert_int_eq(try(&failed[i], peer, "ada", ""), STEM_LOGIN_WAITS);
        outcome_of(&failed[i]);
    }
    shut(&first, &gate);
    for (int i = 0; i < FAILED; i++) {
        snprintf(peer, sizeof peer, "peer %d", i);
        try_in_order(&again[i], peer, "");
    }
    try_in_order(&late, "late", "secret");
    sem_post(&gate);

    ck_assert_int_eq(outcome_of(&late), STEM_LOGIN_GRANTED);
    for (int i = 0; i < FAILED; i++)
        ck_assert_int_eq(outcome_of(&again[i]), STEM_LOGIN_REFUSED);
    ck_assert_int_eq(late.calls, 1);
}
END_TEST

START_TEST(logins_with_the_same_user_and_password_are_granted_by_one_check)
{
    enum { MANY = 1000 };
    attempt first = {0}, *waits = calloc(MANY, sizeof *waits);
    sem_t gate;

    open_pool((stem_login_options){.failures_per_second = 1000000000});
    shut(&first, &gate);
    /* Every fourth is another user's or has another password, also one that begins alike. */
    static const char *const others[][2] = {{"web", "secret"},
                                            {"ada", "secreT"},
                                            {"ada", "secret1"},
                                            {"ada", ""},
                                            {"eve", "secret"}};
    enum { N_OTHERS = sizeof others / sizeof *others };
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(i < N_OTHERS
                             ? try(&waits[i], "b", others[i][0], others[i][1])
                             : try(&waits[i], i % 2 ? "a" : "c", "ada", "secret"),
                         STEM_LOGIN_WAITS);
    const uint64_t before = stem_clock();
    sem_post(&gate);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(outcome_of(&waits[i]), i == 0 || i >= N_OTHERS
                                                    ? STEM_LOGIN_GRANTED
                                                    : STEM_LOGIN_REFUSED);
    /* A check takes some 50 ms, a hundred times that under a sanitizer on a busy machine. */
    ck_assert_uint_lt(stem_clock() - before, 30 * STEM_SECOND);
    ck_assert_str_eq(waits[0].user, "web");
    for (int i = N_OTHERS; i < MANY; i++)
        ck_assert_str_eq(waits[i].user, "ada");
    free(waits);
}
END_TEST

START_TEST(a_peer_that_fails_too_often_is_not_granted_with_others)
{
    attempt first = {0}, failed = {0}, guess = {0}, other = {0};
    sem_t gate;

    open_pool((stem_login_options){.failures_per_second = 1});
    shut(&first, &gate);
    ck_assert_int_eq(try(&failed, "a", "ada", "wrong"), STEM_LOGIN_WAITS);
    ck_assert_int_eq(try(&other, "b", "ada", "secret"), STEM_LOGIN_WAITS);
    ck_assert_int_eq(try(&guess, "a", "ada", "secret"), STEM_LOGIN_WAITS);
    sem_post(&gate);

    ck_assert_int_eq(outcome_of(&failed), STEM_LOGIN_REFUSED);
    ck_assert_int_eq(outcome_of(&other), STEM_LOGIN_GRANTED);
    ck_assert_int_eq(outcome_of(&guess), STEM_LOGIN_TOO_MANY);
}
END_TEST

START_TEST(a_cancelled_login_is_not_granted_with_others)
{
    attempt first = {0}, cancelled = {0}, other = {0};
    sem_t gate;

    open_pool((stem_login_options){0});
    shut(&first, &gate);
    ck_assert_int_eq(try(&other, "b", "ada", "secret"), STEM_LOGIN_WAITS);
    ck_assert_int_eq(try(&cancelled, "b", "ada", "secret"), STEM_LOGIN_WAITS);
    ck_assert(stem_login_cancel(pool, cancelled.ticket));
    sem_post(&gate);

    ck_assert_int_eq(outcome_of(&other), STEM_LOGIN_GRANTED);
    ck_assert_int_eq(cancelled.calls, 0);
}
END_TEST

START_TEST(what_is_longer_than_any_password_is_refused)
{
    static char large[100000];
    attempt name = {0}, password = {0}, longest = {0};

    memset(large, 'x', sizeof large - 1);
    open_pool((stem_login_options){.failures_per_second = 100});
    ck_assert_int_eq(try(&name, "a", large, "secret"), STEM_LOGIN_WAITS);
    ck_assert_int_eq(try(&password, "a", "ada", large), STEM_LOGIN_WAITS);
    large[STEM_PASSWORD_MAX] = '\0';
    ck_assert_int_eq(try(&longest, "a", "ada", large), STEM_LOGIN_WAITS);
    ck_assert_int_eq(outcome_of(&name), STEM_LOGIN_REFUSED);
    ck_assert_int_eq(outcome_of(&password), STEM_LOGIN_REFUSED);
    ck_assert_int_eq(outcome_of(&longest), STEM_LOGIN_REFUSED);
}
END_TEST

/* ---- Cancelling and stopping ------------------------------------------------------ */

START_TEST(a_cancelled_login_is_never_told)
{
    attempt first = {0}, cancelled = {0}, last = {0};
    sem_t gate;

    open_pool((stem_login_options){0});
    shut(&first, &gate);
    ck_assert_int_eq(try(&cancelled, "a", "ada", "secret"), STEM_LOGIN_WAITS);
    ck_assert_int_eq(try(&last, "a", "ada", ""), STEM_LOGIN_WAITS);
    ck_assert(stem_login_cancel(pool, cancelled.ticket));
    ck_assert(!stem_login_cancel(pool, cancelled.ticket));
    ck_assert(!stem_login_cancel(pool, first.ticket));
    ck_assert(!stem_login_cancel(pool, 0));
    sem_post(&gate);

    ck_assert_int_eq(outcome_of(&last), STEM_LOGIN_REFUSED);
    ck_assert_int_eq(cancelled.calls, 0);
}
END_TEST

START_TEST(a_login_cancelled_under_way_is_never_told_and_still_a_failure)
{
    const struct timespec moment = {0, 5000000};
    enum stem_login_outcome outcome = STEM_LOGIN_WAITS;

    open_pool((stem_login_options){.failures_per_second = 1});
    /* Now and then it is cancelled before it is under way, or after. */
    for (int i = 0; i < 50 && outcome != STEM_LOGIN_TOO_MANY; i++) {
        attempt cancelled = {0}, last = {0}, next = {0};
        char peer[16], other[16];

        snprintf(peer, sizeof peer, "peer %d", i);
        snprintf(other, sizeof other, "other %d", i);
        ck_assert_int_eq(try(&cancelled, peer, "ada", "wrong"), STEM_LOGIN_WAITS);
        nanosleep(&moment, NULL); /* it takes some 50 ms */
        const bool is_cancelled = stem_login_cancel(pool, cancelled.ticket);
        ck_assert(!stem_login_cancel(pool, cancelled.ticket));
        ck_assert_int_eq(try(&last, other, "ada", ""), STEM_LOGIN_WAITS);
        outcome_of(&last);
        ck_assert_int_eq(cancelled.calls, is_cancelled ? 0 : 1);
        if (is_cancelled && (outcome = try(&next, peer, "ada", "")) == STEM_LOGIN_WAITS)
            outcome_of(&next);
    }
    ck_assert_int_eq(outcome, STEM_LOGIN_TOO_MANY);
}
END_TEST

START_TEST(closing_tells_those_that_wait_that_there_will_be_nothing)
{
    static const char *const passwords[] = {"secret", "b", "c"};
    attempt first = {0}, waits[3] = {0};
    sem_t gate;

    open_pool((stem_login_options){0});
    shut(&first, &gate);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(try(&waits[i], "a", "ada", passwords[i]), STEM_LOGIN_WAITS);
    sem_post(&gate);
    stem_login_close(pool);
    pool = NULL;

    /* The thread may have taken one up before it was told to stop. */
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(waits[i].calls, 1);
    ck_assert_int_ne(waits[0].outcome, STEM_LOGIN_WAITS);
    ck_assert_int_eq(waits[1].outcome, STEM_LOGIN_STOPPED);
    ck_assert_int_eq(waits[2].outcome, STEM_LOGIN_STOPPED);
    stem_login_close(NULL);
}
END_TEST

/* ---- From many threads ------------------------------------------------------------ */

enum { N_THREADS = 4, N_ATTEMPTS = 500 };
static atomic_int told, taken_back, turned_away;

static void count_outcome(void *argument, enum stem_login_outcome outcome,
                          const stem_user *user)
{
    (void)argument;
    (void)outcome;
    (void)user;
    atomic_fetch_add(&told, 1);
}

/* Passwords that are empty are refused for nothing: it is the pool that is put to the
 * test. */
static void *try_and_cancel(void *argument)
{
    const stem_login_request request = {
        .access = users,
        .user = {"ada", 3},
        .peer = argument,
        .done = count_outcome,
    };

    for (int i = 0; i < N_ATTEMPTS; i++) {
        uint64_t ticket;

        if (stem_login_start(pool, &request, &ticket) != STEM_LOGIN_WAITS)
            atomic_fetch_add(&turned_away, 1);
        else if (i % 2 == 0 && stem_login_cancel(pool, ticket))
            atomic_fetch_add(&taken_back, 1);
    }
    return NULL;
}

START_TEST(each_login_is_told_once_or_taken_back)
{
    static char names[N_THREADS][2] = {"a", "b", "c", "d"};
    pthread_t threads[N_THREADS];

    open_pool((stem_login_options){.threads = 3, .failures_per_second = 1000000000});
    for (int i = 0; i < N_THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, try_and_cancel, names[i]), 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    stem_login_close(pool);
    pool = NULL;

    ck_assert_int_eq(told + taken_back + turned_away, N_THREADS * N_ATTEMPTS);
    ck_assert_int_gt(told, 0);
    ck_assert_uint_eq(users->users_of_it, 1);
}
END_TEST

START_TEST(threads_check_beside_each_other)
{
    attempt which[6] = {0};

    open_pool((stem_login_options){.threads = 2});
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(try(&which[i], "a", i % 2 ? "ada" : "web", "secret"),
                         STEM_LOGIN_WAITS);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(outcome_of(&which[i]), STEM_LOGIN_GRANTED);
        ck_assert_str_eq(which[i].user, i % 2 ? "ada" : "web");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("login");
    TCase *outcomes = add_case(suite, "outcomes", 60);
    TCase *limits = add_case(suite, "limits", 60);
    TCase *turns = add_case(suite, "turns", 60);
    TCase *ends = add_case(suite, "cancelling and stopping", 60);
    TCase *threads = add_case(suite, "threads", 60);

    tcase_add_checked_fixture(outcomes, make_users, let_go_of_users);
    tcase_add_test(outcomes, a_right_password_is_granted_and_everything_else_refused);
    tcase_add_test(outcomes, what_is_handed_over_is_copied_and_the_list_is_counted);
    tcase_add_test(
        outcomes,
        what_there_is_no_memory_to_check_has_failed_and_is_no_failure_of_the_peer_s);
    tcase_add_test(outcomes, signals_are_left_to_the_other_threads);
    tcase_add_test(outcomes, options_that_cannot_be_are_refused);

    tcase_add_checked_fixture(limits, make_users, let_go_of_users);
    tcase_add_test(limits, who_fails_too_often_is_refused_at_once_and_others_are_not);
    tcase_add_test(limits, a_login_is_no_failure);
    tcase_add_test(limits, what_came_before_a_failure_is_refused_when_its_turn_comes);

    tcase_add_checked_fixture(turns, make_users, let_go_of_users);
    tcase_add_test(turns, any_number_of_logins_of_one_peer_wait_their_turn);
    tcase_add_test(turns,
                   peers_take_turns_and_a_flood_of_one_delays_another_by_one_check);
    tcase_add_test(turns, peers_that_have_failed_lately_come_behind_those_that_have_not);
    tcase_add_test(turns,
                   logins_with_the_same_user_and_password_are_granted_by_one_check);
    tcase_add_test(turns, a_peer_that_fails_too_often_is_not_granted_with_others);
    tcase_add_test(turns, a_cancelled_login_is_not_granted_with_others);
    tcase_add_test(turns, what_is_longer_than_any_password_is_refused);

    tcase_add_checked_fixture(ends, make_users, let_go_of_users);
    tcase_add_test(ends, a_cancelled_login_is_never_told);
    tcase_add_test(ends, a_login_cancelled_under_way_is_never_told_and_still_a_failure);
    tcase_add_test(ends, closing_tells_those_that_wait_that_there_will_be_nothing);

    tcase_add_checked_fixture(threads, make_users, let_go_of_users);
    tcase_add_test(threads, each_login_is_told_once_or_taken_back);
    tcase_add_test(threads, threads_check_beside_each_other);
    return run_suite(suite);
}
