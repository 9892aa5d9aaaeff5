/*
 * Adaptive spinning: who stays awake, and for how long.
 */
#include <time.h>

#include "spin.h"
#include "support.h"

enum { PATIENCE = 1000 };

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* A wait that ended at once. Another process may come between, and make a long one of it: so it
 * is tried until the next wait is an awake one. */
static void wait_shortly(stem_spin *spin)
{
    for (int i = 0; i < PATIENCE; i++) {
        stem_spin_again(spin);
        stem_spin_end(spin);
        if (stem_spin_again(spin))
            return;
        stem_spin_end(spin);
        sleep_ms(20); /* longer than others are left the processor */
    }
    ck_abort_msg("no wait was followed by one that stays awake");
}

START_TEST(the_first_wait_sleeps_at_once)
{
    stem_spin spin = {0};

    ck_assert(!stem_spin_again(&spin));
    ck_assert(!stem_spin_again(&spin));
}
END_TEST

START_TEST(a_wait_behind_a_short_one_stays_awake_for_a_while_only)
{
    stem_spin spin = {0};

    wait_shortly(&spin);
    sleep_ms(1);
    ck_assert(!stem_spin_again(&spin));
}
END_TEST

START_TEST(a_wait_behind_a_long_one_sleeps_at_once)
{
    stem_spin spin = {0};

    wait_shortly(&spin);
    sleep_ms(1);
    stem_spin_end(&spin);
    ck_assert(!stem_spin_again(&spin));
}
END_TEST

START_TEST(what_comes_while_nobody_waits_changes_nothing)
{
    stem_spin spin = {0};

    stem_spin_end(&spin);
    ck_assert(!stem_spin_again(&spin));
    sleep_ms(1);
    stem_spin_end(&spin);
    stem_spin_end(&spin);
    ck_assert(!stem_spin_again(&spin));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spin");
    TCase *tcase = add_case(suite, "waits", 30);

    tcase_add_test(tcase, the_first_wait_sleeps_at_once);
    tcase_add_test(tcase, a_wait_behind_a_short_one_stays_awake_for_a_while_only);
    tcase_add_test(tcase, a_wait_behind_a_long_one_sleeps_at_once);
    tcase_add_test(tcase, what_comes_while_nobody_waits_changes_nothing);
    return run_suite(suite);
}
