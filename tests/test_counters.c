/*
 * Counters, queues and claims under many threads at once: no increment is lost or made
 * twice, and what was put in comes out exactly once.
 */
#include "place.h"
#include "random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    N_THREADS = 8,
    N_COUNTERS = 4,
    N_INCREMENTS = 200000,
    N_EACH = N_INCREMENTS / N_THREADS,
    STEPS_PER_TICKET = 50,
    N_TICKETS = N_INCREMENTS / STEPS_PER_TICKET,
    N_CLAIMS = 8
};

static stem_db *counters, *queue, *shelf, *claims;

/* How often each counter answered each sum, and how often each ticket was put in and came
 * out. A ticket is a number that is put in at most once. */
static atomic_uchar sums[N_COUNTERS][N_INCREMENTS + 1];
static atomic_uchar put_in[2 * N_TICKETS], came_out[2 * N_TICKETS];

static const char *name_of(size_t number, char name[16])
{
    snprintf(name, 16, "%06zu", number);
    return name;
}

/* ---- What a thread does ----------------------------------------------------------- */

static void count_up(size_t counter)
{
    char name[16];
    int64_t now;

    assert_ok(stem_incr(counters, name_of(counter, name), 1, 0, &now));
    ck_assert(now > 0 && now <= N_INCREMENTS);
    ck_assert_uint_eq(atomic_fetch_add(&sums[counter][now], 1), 0);
}

static void note_came_out(const stem_value *value)
{
    int64_t ticket;

    assert_ok(stem_as_int(value, &ticket));
    ck_assert(ticket >= 0 && ticket < 2 * N_TICKETS);
    ck_assert_uint_eq(atomic_fetch_add(&came_out[ticket], 1), 0);
}

static int pop_one(stem_db *place, size_t number)
{
    char name[16];
    stem_value value;

    int code = stem_pop(place, name_of(number, name), &value);
    if (code != STEM_NOTFOUND) {
        assert_ok(code);
        note_came_out(&value);
        stem_value_free(&value);
    }
    return code;
}

static int pop_some(stem_db *place, size_t n)
{
    stem_entry *entries;
    size_t count;

    int code = stem_pop_first(place, NULL, n, &entries, &count);
    if (code != STEM_NOTFOUND) {
        assert_ok(code);
        ck_assert(count > 0 && count <= n);
        for (size_t i = 0; i < count; i++)
            note_came_out(&entries[i].value);
        stem_entries_free(entries, count);
    }
    return code;
}

static void move_one(stem_db *from, stem_db *to, size_t number)
{
    char name[16];

    name_of(number, name);
    int code = stem_move(from, name, to, name);
    if (code != STEM_NOTFOUND)
        assert_ok(code);
}

/* Names in the queue and on the shelf are the tickets', so that no move ever replaces. */
static void use_queue(size_t ticket)
{
    const size_t near = ticket - random_below((uint32_t)ticket % N_TICKETS + 1);
    char name[16];

    assert_ok(stem_insert(queue, name_of(ticket, name), ticket));
    atomic_fetch_add(&put_in[ticket], 1);
    move_one(queue, shelf, near);
    switch (random_below(4)) {
    case 0:
        pop_one(queue, near);
        break;
    case 1:
        pop_some(queue, 1 + random_below(3));
        break;
    case 2:
        move_one(shelf, queue, near);
        break;
    default:
        pop_one(shelf, near);
        pop_some(shelf, 1);
    }
}

/* All threads want the same few names. */
static void use_claims(size_t ticket)
{
    size_t claim = random_below(N_CLAIMS);
    char name[16];

    int code = stem_insert(claims, name_of(claim, name), ticket);
    if (code != STEM_EXISTS) {
        assert_ok(code);
        atomic_fetch_add(&put_in[ticket], 1);
    }
    pop_one(claims, random_below(N_CLAIMS));
}

static void *work(void *argument)
{
    size_t me = (size_t)argument;

    random_state += me;
    for (size_t i = 0; i < N_EACH; i++) {
        count_up(random_below(N_COUNTERS));
        if (i % STEPS_PER_TICKET == 0) {
            /* Threads take tickets in turn, and so meet at the same names. */
            size_t ticket = i / STEPS_PER_TICKET * N_THREADS + me;

            use_queue(ticket);
            use_claims(N_TICKETS + ticket);
        }
    }
    return NULL;
}

/* ---- The sums --------------------------------------------------------------------- */

/* Every sum from 1 to the last was answered once, and the last is what is stored. */
static int64_t check_counter(size_t counter)
{
    int64_t stored;
    char name[16];

    assert_ok(stem_get_int(counters, name_of(counter, name), &stored));
    for (int64_t sum = 1; sum <= N_INCREMENTS; sum++)
        ck_assert_uint_eq(atomic_load(&sums[counter][sum]), sum <= stored);
    return stored;
}

START_TEST(no_increment_is_lost_and_every_item_comes_out_once)
{
    pthread_t threads[N_THREADS];
    stem_db *root = new_database();
    int64_t total = 0;

    counters = stem_sub(root, "counters");
    queue = stem_sub(root, "queue");
    shelf = stem_sub(root, "shelf");
    claims = stem_sub(root, "claims");
    random_start();
    for (size_t i = 0; i < N_THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    for (size_t i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);

    for (size_t i = 0; i < N_COUNTERS; i++)
        total += check_counter(i);
    ck_assert_int_eq(total, N_INCREMENTS);

    while (pop_some(queue, 100) == STEM_OK || pop_some(shelf, 100) == STEM_OK ||
           pop_some(claims, 100) == STEM_OK)
        ;
    for (size_t i = 0; i < 2 * N_TICKETS; i++)
        ck_assert_uint_eq(atomic_load(&came_out[i]), atomic_load(&put_in[i]));

    assert_ok(stem_close(counters));
    assert_ok(stem_close(queue));
    assert_ok(stem_close(shelf));
    assert_ok(stem_close(claims));
    assert_ok(stem_close(root));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("counters");
    TCase *tcase = add_case(suite, "counters", 300);

    tcase_add_test(tcase, no_increment_is_lost_and_every_item_comes_out_once);
    return run_suite(suite);
}
