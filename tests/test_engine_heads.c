/*
 * The heads of values (read_heads of src/engine.h) agree with the values at every location, also
 * while others write; an engine that has none passes.
 */
#include "engine_support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "random.h"

enum { N_KEYS = 12, LARGEST = 200 << 10 };

static const size_t lengths[] = {
    0, 1, 255, 256, 257, 5000, 65535, 65536, 70000, LARGEST,
};
enum { N_LENGTHS = sizeof lengths / sizeof *lengths };

static char names[N_KEYS][8];
static stem_slice keys[N_KEYS];

static void name_keys(void)
{
    for (int i = 0; i < N_KEYS; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        keys[i] = slice(names[i]);
    }
}

static void assert_head(const stem_read *head, const stem_read *whole)
{
    const size_t len = whole->len < STEM_SHORT_VALUE ? whole->len : STEM_SHORT_VALUE;

    ck_assert_int_eq(!head->data, !whole->data);
    if (!whole->data)
        return;
    ck_assert_uint_eq(head->len, whole->len);
    ck_assert(memcmp(head->data, whole->data, len) == 0);
}

/* One after the other, and all together. */
static void assert_heads(stem_engine *engine)
{
    stem_read heads[N_KEYS], wholes[N_KEYS], head;

    assert_ok(engine->ops->read(engine, NULL, keys, N_KEYS, wholes));
    assert_ok(engine->ops->read_heads(engine, keys, N_KEYS, heads));
    for (int i = 0; i < N_KEYS; i++) {
        assert_ok(engine->ops->read_heads(engine, &keys[i], 1, &head));
        assert_head(&head, &wholes[i]);
        assert_head(&heads[i], &wholes[i]);
        free(head.data);
        free(heads[i].data);
        free(wholes[i].data);
    }
}

/* A commit of some writes, of one key more than once, too. */
static void write_some(stem_engine *engine, char *bytes)
{
    enum { MOST = 5 };
    stem_write writes[MOST];
    const size_t n = 1 + random_below(MOST);

    bytes[0] = (char)random_below(256);
    for (size_t i = 0; i < n; i++) {
        const size_t len = lengths[random_below(N_LENGTHS)];

        writes[i] = (stem_write){keys[random_below(N_KEYS)],
                                 {bytes + random_below(100), len},
                                 random_below(4) == 0};
    }
    assert_ok(commit(engine, writes, n, NULL, 0));
}

START_TEST(heads_are_those_of_the_values_after_every_commit)
{
    stem_engine *engine = open_engine(_i);
    char *bytes = malloc(LARGEST + 100);

    name_keys();
    for (size_t i = 0; i < LARGEST + 100; i++)
        bytes[i] = (char)random_below(256);
    for (int i = 0; engine->ops->read_heads && i < 300; i++) {
        write_some(engine, bytes);
        assert_heads(engine);
        if (i % 50 == 0 && engine->ops->flush)
            assert_ok(engine->ops->flush(engine));
        if (i % 100 == 0)
            assert_ok(engine->ops->compact(engine, &(stem_engine_range){{0}, {0}}));
    }
    free(bytes);
    close_engine(engine);
}
END_TEST

/* ---- While others write ----------------------------------------------------------- */

/* A writer counts up in the first bytes of a value that is now large and now small. */
typedef struct counting {
    stem_engine *engine;
    atomic_bool is_over;
} counting;

static void *count_in_value(void *argument)
{
    enum { ROUNDS = 2000 };
    counting *of = argument;
    char *bytes = calloc(1, LARGEST);

    for (unsigned i = 1; i <= ROUNDS; i++) {
        memcpy(bytes, &i, sizeof i);
        put(of->engine, keys[0], (stem_slice){bytes, i % 3 ? 66000 : 100});
    }
    free(bytes);
    of->is_over = true;
    return NULL;
}

static unsigned count_of(stem_read *read)
{
    unsigned count = 0;

    if (read->data)
        memcpy(&count, read->data, sizeof count);
    free(read->data);
    return count;
}

/* Whatever a read has shown, no later one shows what was before it. */
START_TEST(heads_never_go_back_behind_what_was_read)
{
    counting of = {.engine = open_engine(_i)};
    unsigned last = 0;
    pthread_t thread;
    stem_read read;

    name_keys();
    pthread_create(&thread, NULL, count_in_value, &of);
    for (unsigned i = 0; !of.is_over; i++) {
        const bool is_head = i % 3 > 0 && of.engine->ops->read_heads;

        if (is_head)
            assert_ok(of.engine->ops->read_heads(of.engine, keys, 1, &read));
        else
            assert_ok(of.engine->ops->read(of.engine, NULL, keys, 1, &read));
        const unsigned now = count_of(&read);

        ck_assert_uint_ge(now, last);
        last = now;
    }
    pthread_join(thread, NULL);
    close_engine(of.engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine heads");
    TCase *tcase = add_case(suite, "heads", 120);

    add_engine_test(tcase, heads_are_those_of_the_values_after_every_commit);
    add_engine_test(tcase, heads_never_go_back_behind_what_was_read);
    return run_suite(suite);
}
