/*
 * Commits for which write-back has no memory leave nothing that keeps others from being written,
 * or what is below from being closed.
 */
#include <stdatomic.h>
#include <time.h>

#include "engine/writeback.h"
#include "engine_support.h"
#include "error.h"
#include "failing_malloc.h"

/* ---- An engine below that fails, or takes its time -------------------------------- */

static struct {
    const stem_engine_ops *real;
    stem_engine_ops ops;
    atomic_bool fails;
    atomic_bool is_held_up; /* the next commit, until it is false again */
    atomic_bool is_inside, is_reached;
} below;

static void nap(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static int slow_commit(stem_engine *engine, const stem_commit *commit, size_t *failed)
{
    int code;

    below.is_inside = true;
    for (; below.is_held_up; nap(1))
        below.is_reached = true;
    nap(20);
    code = below.fails ? stem_fail(STEM_EIO, "a failure put in by a test")
                       : below.real->commit(engine, commit, failed);
    below.is_inside = false;
    return code;
}

static int close_unused(stem_engine *engine)
{
    ck_assert(!below.is_inside);
    nap(20);
    ck_assert(!below.is_inside);
    engine->ops = below.real;
    return stem_engine_release(engine);
}

static stem_engine *open_over(stem_engine **lower, size_t ms)
{
    const stem_options plain = {0},
                       options = {.writeback_bytes = 64 << 20, .writeback_ms = ms};
    stem_engine *engine;

    assert_ok(stem_engine_acquire(path_in(temp_dir(), "db"), &plain, NULL, lower));
    below.real = (*lower)->ops;
    below.ops = *below.real;
    below.ops.commit = slow_commit;
    below.ops.close = close_unused;
    (*lower)->ops = &below.ops;
    assert_ok(stem_writeback_open(*lower, &options, &engine));
    return engine;
}

static size_t dirty_bytes_of(stem_engine *engine)
{
    stem_statistics stats;

    assert_ok(engine->ops->stats(engine, &stats));
    return stats.dirty_bytes;
}

/* A commit that gets memory for its key, and none for its value. */
static void run_out_of_memory(stem_engine *engine)
{
    static char large[1 << 20];
    const stem_write write = {slice("large"), {large, sizeof large}, false};
    const size_t before = dirty_bytes_of(engine);
    int code = STEM_ENOMEM;

    for (unsigned long granted = 0; dirty_bytes_of(engine) == before; granted++) {
        mallocs_granted = granted;
        malloc_recovers = true;
        out_of_memory(code = commit(engine, &write, 1, NULL, 0));
        assert_code(code, STEM_ENOMEM);
    }
}

/* ---- What holds after that -------------------------------------------------------- */

START_TEST(what_comes_after_a_lack_of_memory_is_written_in_time)
{
    stem_engine *lower, *engine = open_over(&lower, 20);

    run_out_of_memory(engine);
    put(engine, slice("small"), slice("1"));
    for (int i = 0; i < 2000 && dirty_bytes_of(engine) > 0; i++)
        nap(5);
    ck_assert_uint_eq(dirty_bytes_of(engine), 0);
    assert_holds(lower, NULL, slice("small"), slice("1"));
    assert_absent(lower, NULL, slice("large"));
    assert_ok(engine->ops->close(engine));
}
END_TEST

START_TEST(what_a_lack_of_memory_left_is_given_back_when_nothing_comes)
{
    stem_engine *lower, *engine = open_over(&lower, 20);

    run_out_of_memory(engine);
    for (int i = 0; i < 2000 && dirty_bytes_of(engine) > 0; i++)
        nap(5);
    ck_assert_uint_eq(dirty_bytes_of(engine), 0);
    assert_ok(engine->ops->close(engine));
}
END_TEST

START_TEST(nothing_is_written_below_while_it_closes)
{
    enum { NEVER_MS = 60000 };
    stem_engine *lower, *engine = open_over(&lower, NEVER_MS);

    /* A round that has failed and is tried again, and something for one behind it. */
    put(engine, slice("k"), slice("1"));
    below.fails = true;
    assert_code(engine->ops->flush(engine), STEM_EIO);
    below.is_held_up = true;
    while (!below.is_reached)
        nap(1);
    run_out_of_memory(engine);
    below.fails = false;
    below.is_held_up = false;
    assert_ok(engine->ops->close(engine));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("writeback_memory");
    TCase *tcase = add_case(suite, "a lack of memory", 60);

    tcase_add_test(tcase, what_comes_after_a_lack_of_memory_is_written_in_time);
    tcase_add_test(tcase, what_a_lack_of_memory_left_is_given_back_when_nothing_comes);
    tcase_add_test(tcase, nothing_is_written_below_while_it_closes);
    return run_suite(suite);
}
