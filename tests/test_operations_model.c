/*
 * Random operations of every kind, through handles whose names are prefixes of each other
 * or sort first or last, against a model in memory. After each thousand the database is
 * closed, opened again and compared as a whole.
 *
 * Ten seeds of 100,000 operations. STEM_TEST_SEED=<n> runs that seed alone, which brings
 * a failure back; STEM_TEST_OPERATIONS=<n> makes each run longer or shorter. The
 * directory is made under $TMPDIR or, when that is not set, in /dev/shm if it is there.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "operations.h"
#include "place.h"
#include "support.h"

enum { SEEDS = 10, OPERATIONS = 100000, REOPEN_EVERY = 1000 };

/* Larger or deeper places are not copied, and a larger database is cleared, so that
 * copies of copies do not outgrow the run. */
enum { COPIED_MAX = 40, COPIED_PATH_MAX = 100, ENTRIES_MAX = 400 };

/* ---- Walks ------------------------------------------------------------------------ */

static void walk(void)
{
    stem_range range = any_range();

    range.keys_only = below(4) == 0;
    range.shallow = below(4) == 0;
    check_walk(any_site(), &range, false);
}

static void children(void)
{
    stem_range range = any_range();

    range.keys_only = below(4) == 0;
    check_walk(any_site(), &range, true);
}

/* What a walk over the handle gives up to the limit of its range. */
static model_walk expect_limited(const site *at, const stem_range *range)
{
    model_walk found =
        model_expect(view_of(at), at->prefix, at->prefix_len, range, false);

    if (range->limit != 0 && found.n > range->limit)
        found.n = range->limit;
    return found;
}

static void count(void)
{
    site *at = any_site();
    stem_range range = any_range();
    uint64_t found = 0;

    range.shallow = below(4) == 0;
    model_walk expected = expect_limited(at, &range);
    check_code(at, NULL, "the answer", stem_count(at->db, &range, &found), STEM_OK);
    check_number(at, NULL, "the count", (long long)found, (long long)expected.n);
    free(expected.steps);
}

/* ---- Batches ---------------------------------------------------------------------- */

enum { BATCH_MAX = 8 };

enum promise { ABSENT, EQUAL, EMPTY };

/* A write or an expectation that is in a batch. */
struct item {
    const site *at;
    const char *key;
    model_value value;
    bool is_delete;
    enum promise promise;
    stem_range range;
};

struct plan {
    stem_batch *batch;
    struct item writes[BATCH_MAX], expectations[BATCH_MAX];
    size_t n_writes, n_expectations;
};

static void add_write(struct plan *plan)
{
    struct item item = {.at = any_site(), .key = any_name(), .value = any_value()};

    item.is_delete = below(3) == 0;
    int code = item.is_delete ? stem_batch_del(plan->batch, item.at->db, item.key)
                              : stem_batch_put_value(plan->batch, item.at->db, item.key,
                                                     model_value_stored(item.value));
    check_code(item.at, item.key, "adding a write", code, if_writable(item.at, STEM_OK));
    if (code == STEM_OK)
        plan->writes[plan->n_writes++] = item;
    check_number(item.at, item.key, "the writes in the batch",
                 (long long)stem_batch_count(plan->batch), (long long)plan->n_writes);
}

static bool holds(const struct item *item)
{
    holding now;

    if (item->promise == EMPTY) {
        stem_range bounds = item->range;

        bounds.limit = 0;
        model_walk found =
            model_expect(live, item->at->prefix, item->at->prefix_len, &bounds, false);
        free(found.steps);
        return found.n == 0;
    }
    now = held(item->at, item->key);
    if (item->promise == ABSENT)
        return !now.is_there;
    return now.is_there && now.value.type == item->value.type &&
           now.value.bits == item->value.bits;
}

/* Most of them hold at this moment. */
static struct item choose_expectation(void)
{
    struct item item;

    for (int tries = 0; tries < 5; tries++) {
        item = (struct item){.at = any_site(), .key = any_name(), .value = any_value()};
        item.promise = (enum promise)below(3);
        item.range = any_range();
        holding now = held(item.at, item.key);
        if (item.promise == EQUAL && now.is_there && below(6) != 0)
            item.value = now.value;
        if (item.at->frozen || holds(&item) || below(6) == 0)
            break;
    }
    return item;
}

static void add_expectation(struct plan *plan)
{
    struct item item = choose_expectation();
    stem_db *db = item.at->db;
    int code;

    if (item.promise == ABSENT)
        code = stem_batch_expect_absent(plan->batch, db, item.key);
    else if (item.promise == EQUAL)
        code = stem_batch_expect_value(plan->batch, db, item.key,
                                       model_value_stored(item.value));
    else
        code = stem_batch_expect_empty(plan->batch, db, &item.range);
    check_code(item.at, item.key, "adding an expectation", code,
               if_writable(item.at, STEM_OK));
    if (code == STEM_OK)
        plan->expectations[plan->n_expectations++] = item;
}

static void commit(struct plan *plan, const site *home)
{
    size_t failed = 0;

    while (failed < plan->n_expectations && holds(&plan->expectations[failed]))
        failed++;
    bool all_hold = failed == plan->n_expectations;
    check_code(home, NULL, "the commit", stem_batch_commit(plan->batch, below(50) == 0),
               all_hold ? STEM_OK : STEM_CONFLICT);
    size_t named = stem_batch_failed(plan->batch);
    if (all_hold)
        check_number(home, NULL, "whether an expectation is named", named != SIZE_MAX, 0);
    else if (named >= plan->n_expectations || holds(&plan->expectations[named]))
        check_number(home, NULL, "the expectation that failed", (long long)named,
                     (long long)failed);
    for (size_t i = 0; i < plan->n_writes && all_hold; i++) {
        const struct item *each = &plan->writes[i];

        if (each->is_delete)
            drop_held(each->at, each->key);
        else
            set_held(each->at, each->key, each->value);
    }
}

/* A put of somebody else's, between what the batch was made for and its commit. */
static void interfere(void)
{
    site *at = any_site();
    const char *key = any_name();
    model_value value = any_value();

    if (at->is_read_only)
        return;
    check_code(at, key, "a put meanwhile",
               stem_put_value(at->db, key, model_value_stored(value)), STEM_OK);
    set_held(at, key, value);
}

/* Commits once or twice: what it keeps, added to or not, or something else. */
static void batch(void)
{
    const site *home = any_site();
    struct plan plan = {.batch = stem_batch_new(home->db)};

    if (!plan.batch)
        mismatch(home, NULL, "the batch", "one", "none");
    for (uint32_t left = 1 + below(2); left > 0; left--) {
        if (below(2) == 0) {
            stem_batch_reset(plan.batch);
            plan.n_writes = plan.n_expectations = 0;
        }
        for (uint32_t i = below(BATCH_MAX / 2 + 1); i > 0; i--)
            add_write(&plan);
        for (uint32_t i = below(BATCH_MAX / 2 + 1); i > 0; i--)
            add_expectation(&plan);
        if (below(3) == 0)
            interfere();
        commit(&plan, home);
    }
    stem_batch_free(plan.batch);
}

/* ---- Queues ----------------------------------------------------------------------- */

static void check_entry(const site *at, const stem_entry *entry, const model_step *step)
{
    const char *path = step->path;

    for (size_t i = 0; i < entry->n_names; i++) {
        if (path > step->path + step->len || strcmp(entry->names[i], path) != 0)
            mismatch(at, path, "a name of an entry", path, entry->names[i]);
        path += strlen(path) + 1;
    }
    check_number(at, NULL, "the length of an entry's path", path - step->path,
                 (long long)step->len + 1);
    check_value(at, step->path, "the value of an entry", &entry->value, step->value);
}

static void pop_end(bool is_first)
{
    site *at = any_site();
    const size_t asked = below(40) == 0 ? 1000 : below(5);
    stem_range range = any_range();
    stem_entry *entries = NULL;
    size_t n = 0;

    range.reverse = !is_first;
    model_walk expected = expect_limited(at, &range);
    if (expected.n > asked)
        expected.n = asked;
    int code = is_first ? stem_pop_first(at->db, &range, asked, &entries, &n)
                        : stem_pop_last(at->db, &range, asked, &entries, &n);

    check_code(at, NULL, "the answer", code,
               if_writable(at, expected.n > 0 || asked == 0 ? STEM_OK : STEM_NOTFOUND));
    check_number(at, NULL, "the entries popped", (long long)n,
                 code == STEM_OK ? (long long)expected.n : 0);
    for (size_t i = 0; i < n; i++)
        check_entry(at, &entries[i], &expected.steps[i]);
    drop_steps(at, &expected, n);
    stem_entries_free(entries, n);
    free(expected.steps);
}

static void pop_first(void)
{
    pop_end(true);
}

static void pop_last(void)
{
    pop_end(false);
}

/* ---- Whole places ----------------------------------------------------------------- */

static void clear(void)
{
    site *at = any_site();
    stem_range range = any_range();

    range.shallow = below(4) == 0;
    if (live->n > ENTRIES_MAX)
        range = (stem_range){0};
    model_walk expected = expect_limited(at, &range);
    int code = stem_clear(at->db, &range);
    check_code(at, NULL, "the answer", code, if_writable(at, STEM_OK));
    drop_steps(at, &expected, code == STEM_OK ? expected.n : 0);
    free(expected.steps);
}

static int if_movable(const site *from, const site *to, bool is_move, int code)
{
    return is_move && from->is_read_only ? STEM_EREADONLY : if_writable(to, code);
}

static bool are_nested(const site *a, const site *b)
{
    size_t len = a->prefix_len < b->prefix_len ? a->prefix_len : b->prefix_len;

    return memcmp(a->prefix, b->prefix, len) == 0;
}

static int transfer(const site *from, const char *from_key, const site *to,
                    const char *to_key, bool is_move)
{
    return is_move ? stem_move(from->db, from_key, to->db, to_key)
                   : stem_copy(from->db, from_key, to->db, to_key);
}

static void transfer_key(bool is_move)
{
    const site *from = any_site(), *to = any_site();
    const char *from_key = any_name(), *to_key = below(20) == 0 ? NULL : any_name();
    holding before = held(from, from_key);
    int expected = before.is_there ? STEM_OK : STEM_NOTFOUND;

    if (!to_key || (from->prefix_len == to->prefix_len && are_nested(from, to) &&
                    strcmp(from_key, to_key) == 0))
        expected = STEM_EINVAL;
    int code = transfer(from, from_key, to, to_key, is_move);
    check_code(from, from_key, "the answer", code,
               if_movable(from, to, is_move, expected));
    if (code != STEM_OK)
        return;
    set_held(to, to_key, before.value);
    if (is_move)
        drop_held(from, from_key);
}

static void copy_steps(const model_walk *walk, const site *to)
{
    for (size_t i = 0; i < walk->n; i++) {
        char path[PATH_ROOM + COPIED_PATH_MAX];

        memcpy(path, to->prefix, to->prefix_len);
        memcpy(path + to->prefix_len, walk->steps[i].path, walk->steps[i].len);
        model_put(live, path, to->prefix_len + walk->steps[i].len, walk->steps[i].value);
    }
}

static bool is_small(const model_walk *walk)
{
    for (size_t i = 0; i < walk->n; i++)
        if (walk->steps[i].len > COPIED_PATH_MAX)
            return false;
    return walk->n <= COPIED_MAX;
}

static void transfer_place(bool is_move)
{
    const site *from = any_site(), *to = any_site();
    model_walk moved =
        model_expect(view_of(from), from->prefix, from->prefix_len, NULL, false);
    bool is_refused = are_nested(from, to);

    if (is_refused || is_small(&moved)) {
        int code = transfer(from, NULL, to, NULL, is_move);

        check_code(from, NULL, "the answer", code,
                   if_movable(from, to, is_move, is_refused ? STEM_EINVAL : STEM_OK));
        if (code == STEM_OK)
            copy_steps(&moved, to);
        if (code == STEM_OK && is_move)
            drop_steps(from, &moved, moved.n);
        if (code == STEM_OK)
            check_walk(to, NULL, false);
    }
    free(moved.steps);
}

static void copy_key(void)
{
    transfer_key(false);
}

static void move_key(void)
{
    transfer_key(true);
}

static void copy_place(void)
{
    transfer_place(false);
}

static void move_place(void)
{
    transfer_place(true);
}

/* ---- Runs ------------------------------------------------------------------------- */

static const named_operation place_operations[] = {
    {"walk", walk, 40},
    {"children", children, 40},
    {"count", count, 20},
    {"batch", batch, 120},
    {"pop_first", pop_first, 15},
    {"pop_last", pop_last, 15},
    {"clear", clear, 15},
    {"copy of a key", copy_key, 30},
    {"move of a key", move_key, 30},
    {"copy of a place", copy_place, 15},
    {"move of a place", move_place, 15},
    {"new handle", replace_site, 60},
};
enum { N_PLACE_OPERATIONS = sizeof place_operations / sizeof *place_operations };

static const named_operation *operation_at(size_t i)
{
    return i < n_key_operations ? &key_operations[i]
                                : &place_operations[i - n_key_operations];
}

static void operate(void)
{
    size_t n = n_key_operations + N_PLACE_OPERATIONS, i;
    uint32_t sum = 0;

    for (i = 0; i < n; i++)
        sum += operation_at(i)->weight;
    uint32_t left = below(sum);
    for (i = 0; left >= operation_at(i)->weight; i++)
        left -= operation_at(i)->weight;
    operations_next(operation_at(i)->name);
    operation_at(i)->run();
}

START_TEST(any_operations_do_what_they_do_to_the_model)
{
    unsigned long operations = number_from("STEM_TEST_OPERATIONS", OPERATIONS);

    operations_start(path_in(temp_dir(), "db"),
                     number_from("STEM_TEST_SEED", (unsigned long)_i));
    for (unsigned long i = 1; i <= operations; i++) {
        operate();
        if (i % REOPEN_EVERY == 0)
            operations_reopen();
    }
    operations_reopen();
    operations_stop();
}
END_TEST

int main(void)
{
    const char *chosen = getenv("STEM_TEST_SEED");
    Suite *suite = suite_create("operations model");
    TCase *tcase = add_case(suite, "random", 3600);

    if (!getenv("TMPDIR") && access("/dev/shm", W_OK | X_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    tcase_add_loop_test(tcase, any_operations_do_what_they_do_to_the_model, 1,
                        chosen && *chosen ? 2 : SEEDS + 1);
    return run_suite(suite);
}
