/*
 * A directory that processes share: who may open it and with what options, and what each
 * sees of the others.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "process.h"
#include "sharer.h"

static void start_three(void)
{
    start_sharers(D);
}

/* ---- Together --------------------------------------------------------------------- */

START_TEST(processes_see_each_others_writes)
{
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, A, put_value, .key = "a", .value = 1);
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_OK, C, open_shared, 0);
    expect_value(B, "a", 1);
    expect(STEM_OK, B, put_value, .key = "a", .value = 2);
    expect_value(A, "a", 2);
    expect_value(C, "a", 2);
    for (int i = 1; i <= 9; i++)
        ck_assert_int_eq(expect(STEM_OK, i % D, incr_value, .key = "n").value, i);
    ck_assert_int_eq(expect(STEM_OK, C, count_all, 0).value, 2);
}
END_TEST

START_TEST(whoever_is_first_owns_it_and_whoever_is_left_goes_on)
{
    expect(STEM_OK, B, open_shared, 0);
    ck_assert_int_eq(owner_pid(), sharer_pid(B));
    expect(STEM_OK, A, open_shared, 0);
    ck_assert_int_eq(owner_pid(), sharer_pid(B));
    expect(STEM_OK, A, put_value, .key = "a", .value = 1);
    expect(STEM_OK, B, close_it, 0);
    expect_value(A, "a", 1);
    ck_assert_int_eq(owner_pid(), sharer_pid(A));
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_OK, C, open_shared, 0);
    expect(STEM_OK, B, close_it, 0);
    ck_assert_int_eq(owner_pid(), sharer_pid(A));
    expect_value(C, "a", 1);
    expect(STEM_OK, A, close_it, 0);
    expect_value(C, "a", 1);
    expect(STEM_OK, C, close_it, 0);
    expect(STEM_OK, B, open_shared, 0);
    expect_value(B, "a", 1);
}
END_TEST

static void open_and_close(step *given)
{
    const int64_t times = given->value;

    for (int64_t i = 0; i < times; i++) {
        must_ok(stem_open(&shared_db, shared_place, STEM_OPTIONS(.shared = true)));
        must_ok(stem_incr(shared_db, "n", 1, 0, &given->value));
        must_ok(stem_close(shared_db));
    }
}

START_TEST(opening_and_closing_at_once_lets_everybody_in)
{
    enum { TIMES = 40 };

    for (int who = A; who <= C; who++)
        begin_in(who, open_and_close, (step){.value = TIMES});
    for (int who = A; who <= C; who++)
        expect_end(STEM_OK, who);
    expect(STEM_OK, A, open_shared, 0);
    expect_value(A, "n", (C + 1) * TIMES);
}
END_TEST

START_TEST(twenty_processes_make_one_database)
{
    enum { TWENTY = 20 };

    for (int who = D; who < TWENTY; who++)
        start_sharer(who);
    for (int who = A; who < TWENTY; who++)
        begin_in(who, open_shared, (step){0});
    for (int who = A; who < TWENTY; who++)
        expect_end(STEM_OK, who);
    for (int who = A; who < TWENTY; who++)
        expect(STEM_OK, who, incr_value, .key = "n");
    for (int who = A; who < TWENTY; who++)
        expect_value(who, "n", TWENTY);
}
END_TEST

enum { THREADS = 4, INCREMENTS = 150 };

static void *increment(void *unused)
{
    for (int i = 0; i < INCREMENTS; i++)
        must_ok(stem_incr(shared_db, "n", 1, 0, NULL));
    return unused;
}

static void increment_in_threads(step *given)
{
    pthread_t threads[THREADS];

    (void)given;
    for (int i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, increment, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

START_TEST(threads_of_several_processes_lose_no_update)
{
    for (int who = A; who <= C; who++)
        expect(STEM_OK, who, open_shared, 0);
    for (int who = A; who <= C; who++)
        begin_in(who, increment_in_threads, (step){0});
    for (int who = A; who <= C; who++)
        expect_end(STEM_OK, who);
    expect_value(B, "n", (C + 1) * THREADS * INCREMENTS);
}
END_TEST

enum { LARGE = 3 << 20 };

static void put_large(step *given)
{
    char *bytes = malloc(LARGE);

    must(bytes != NULL);
    memset(bytes, 'x', LARGE);
    given->code = stem_put(shared_db, given->key, stem_bin(bytes, LARGE));
    free(bytes);
}

static void get_large(step *given)
{
    stem_value value;

    given->code = stem_get(shared_db, given->key, &value);
    must(value.type == STEM_BIN && value.as.bin.len == LARGE);
    must(((const char *)value.as.bin.data)[LARGE - 1] == 'x');
    stem_value_free(&value);
}

static bool is_zero(const uint64_t *words, size_t n)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < n; i++)
        bits |= words[i];
    return bits == 0;
}

/* As the owner, or as a client of the one that is, which `value` tells. */
static void care_for_all(step *given)
{
    stem_size_info size;
    stem_statistics stats;

    memset(&size, 0xAA, sizeof size);
    memset(&stats, 0xAA, sizeof stats);
    must_ok(stem_sync(shared_db));
    must_ok(stem_flush(shared_db));
    must_ok(stem_compact(shared_db));
    must_ok(stem_size(shared_db, &size));
    must_ok(stem_stats(shared_db, &stats));
    must(size.table_bytes > 0 && stats.table_files > 0);
    must(stats.handles == 1);
    must(stats.is_owner == (uint64_t)given->value);
    must(given->value ? stats.clients > 0 : stats.clients == 0);
    must(is_zero(size.reserved, sizeof size.reserved / sizeof *size.reserved));
    must(is_zero(stats.reserved, sizeof stats.reserved / sizeof *stats.reserved));
}

START_TEST(all_have_every_operation)
{
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_OK, B, put_large, .key = "b");
    expect(STEM_OK, A, get_large, .key = "b");
    expect(STEM_OK, A, put_large, .key = "a");
    expect(STEM_OK, B, get_large, .key = "a");
    expect(STEM_OK, A, care_for_all, .value = true);
    expect(STEM_OK, B, care_for_all, .value = false);
}
END_TEST

/* The place that is left in the longest path for one name, which is that long itself. */
enum { LEVELS = 15, NAME_LEN = STEM_PATH_MAX / (LEVELS + 1) - 1 };

static stem_db *deepest_place(const char *name)
{
    const char *names[LEVELS];
    stem_db *place;

    for (int i = 0; i < LEVELS; i++)
        names[i] = name;
    place = stem_sub_path(shared_db, names, LEVELS);
    must(place != NULL);
    return place;
}

/* Arrives in reverse at the last of the names, whose path is as long as one may be. */
static void walk_to_longest(step *given)
{
    char name[NAME_LEN + 1] = "", longest[NAME_LEN + 2] = "";
    const char *const sought = longest;

    memset(name, 'n', NAME_LEN);
    memset(longest, 'n', NAME_LEN + 1);
    stem_db *place = deepest_place(name);
    must_ok(stem_put(place, name, 1));
    must_ok(stem_put(place, longest, 2));
    stem_iter *children = stem_children(place, STEM_RANGE(.reverse = true));
    must(children != NULL);
    must_ok(stem_iter_seek(children, &sought, 1));
    must(stem_iter_next(children) && strcmp(stem_iter_key(children), longest) == 0);
    must(stem_iter_next(children) && strcmp(stem_iter_key(children), name) == 0);
    must(!stem_iter_next(children));
    given->code = stem_iter_close(children);
    stem_close(place);
}

START_TEST(all_walk_to_the_longest_path)
{
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_OK, A, walk_to_longest, 0);
    expect(STEM_OK, B, walk_to_longest, 0);
}
END_TEST

/* ---- Handles of one process ------------------------------------------------------- */

static stem_db *second;

static void open_second(step *given)
{
    given->options.shared = true;
    given->code = stem_open(&second, shared_place, &given->options);
}

static void put_by_second(step *given)
{
    given->code = stem_put(second, given->key, given->value);
}

static void get_by_second(step *given)
{
    given->code = stem_get_int(second, given->key, &given->value);
}

static void close_second(step *given)
{
    given->code = stem_close(second);
}

/* Of an owner, and of another. */
START_TEST(a_process_may_have_several_handles_some_that_only_read)
{
    const int who = _i;

    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_OK, who, open_second, .options.read_only = true);
    expect(STEM_OK, who, put_value, .key = "a", .value = 1);
    ck_assert_int_eq(expect(STEM_OK, who, get_by_second, .key = "a").value, 1);
    expect(STEM_EREADONLY, who, put_by_second, .key = "a");
    expect(STEM_OK, who, close_it, 0);
    expect(STEM_OK, !who, put_value, .key = "a", .value = 2);
    ck_assert_int_eq(expect(STEM_OK, who, get_by_second, .key = "a").value, 2);
    expect(STEM_OK, who, close_second, 0);
    expect_value(!who, "a", 2);
}
END_TEST

START_TEST(an_owner_that_only_reads_lets_others_write)
{
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, A, close_it, 0);
    expect(STEM_OK, A, open_shared, .options.read_only = true);
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_OK, B, put_value, .key = "a", .value = 1);
    expect_value(A, "a", 1);
    expect(STEM_EREADONLY, A, put_value, .key = "a", .value = 2);
    expect(STEM_OK, C, open_shared, .options.read_only = true);
    expect(STEM_EREADONLY, C, put_value, .key = "a", .value = 2);
    expect_value(C, "a", 1);
}
END_TEST

/* ---- Opening ---------------------------------------------------------------------- */

START_TEST(must_exist_and_must_be_new_hold_for_everybody)
{
    expect(STEM_NOTFOUND, A, open_shared, .options.must_exist = true);
    ck_assert(!is_there(shared_place));
    expect(STEM_OK, A, open_shared, .options.must_be_new = true);
    expect(STEM_EXISTS, B, open_shared, .options.must_be_new = true);
    expect(STEM_OK, B, open_shared, .options.must_exist = true);
    expect(STEM_OK, A, close_it, 0);
    expect(STEM_OK, B, close_it, 0);
    expect(STEM_EXISTS, B, open_shared, .options.must_be_new = true);
    expect(STEM_OK, B, open_shared, .options.must_exist = true);
}
END_TEST

START_TEST(who_shares_and_who_does_not_keep_each_other_out)
{
    expect(STEM_OK, A, open_as_given, 0);
    expect(STEM_ELOCKED, B, open_shared, 0);
    expect(STEM_OK, A, close_it, 0);
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_ELOCKED, A, open_as_given, 0);
    expect(STEM_OK, C, open_shared, 0);
    expect(STEM_OK, B, close_it, 0);
    expect(STEM_OK, C, incr_value, .key = "n");
    expect(STEM_ELOCKED, A, open_as_given, 0);
    expect(STEM_OK, C, close_it, 0);
    expect(STEM_OK, A, open_as_given, 0);
    expect_value(A, "n", 1);
}
END_TEST

typedef struct differing {
    const char *name;
    stem_options first, other;
} differing;

enum { MIB = 1 << 20 };
static const differing options[] = {
    {"no_compression", .other.no_compression = true},
    {"no_verify", .other.no_verify = true},
    {"no_bloom", .other.no_bloom = true},
    {"bloom_bits", .first.bloom_bits = 8, .other.bloom_bits = 12},
    {"max_open_files", .other.max_open_files = 500},
    {"cache_bytes", .first.cache_bytes = 2 * MIB, .other.cache_bytes = MIB},
    {"write_buffer_bytes", .other.write_buffer_bytes = MIB},
    {"block_bytes", .other.block_bytes = 8 << 10},
    {"writeback_bytes", .other.writeback_bytes = MIB},
    {"writeback_ms", .first = {.writeback_bytes = MIB, .writeback_ms = 10},
     .other = {.writeback_bytes = MIB, .writeback_ms = 20}},
};

START_TEST(options_are_those_of_the_first)
{
    const differing *each = &options[_i];
    step refused;

    expect(STEM_OK, A, open_shared, .options = each->first);
    refused = expect(STEM_EINVAL, B, open_shared, .options = each->other);
    expect_why(&refused, each->name);
    refused = expect(STEM_EINVAL, A, open_second, .options = each->other);
    expect_why(&refused, each->name);
    expect(STEM_OK, B, open_shared, .options = each->first);
    refused = expect(STEM_EINVAL, B, open_second, .options = each->other);
    expect_why(&refused, each->name);
    expect(STEM_OK, B, close_it, 0);

    /* And still when the first is gone. */
    expect(STEM_OK, B, open_shared, 0);
    kill_sharer(A);
    expect(STEM_OK, B, put_value, .key = "a", .value = 1);
    refused = expect(STEM_EINVAL, C, open_shared, .options = each->other);
    expect_why(&refused, each->name);
    expect(STEM_OK, C, open_shared, .options = each->first);
    expect(STEM_OK, B, close_it, 0);
    expect_value(C, "a", 1);
    refused = expect(STEM_EINVAL, B, open_shared, .options = each->other);
    expect_why(&refused, each->name);
    expect(STEM_OK, C, close_it, 0);
    expect(STEM_OK, B, open_shared, .options = each->other);
}
END_TEST

START_TEST(what_was_answered_with_write_back_survives_the_owner)
{
    const stem_options slow = {.writeback_bytes = MIB, .writeback_ms = 60000};

    expect(STEM_OK, A, open_shared, .options = slow);
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_OK, B, put_value, .key = "of B", .value = 1);
    expect(STEM_OK, A, put_value, .key = "of A", .value = 2);
    kill_sharer(A);
    expect_value(B, "of B", 1);
    expect_value(B, "of A", 2);
}
END_TEST

/* Leaves `more` of them. */
static void fill_descriptors(step *given)
{
    struct rlimit limit;

    must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    given->value = (int64_t)limit.rlim_cur;
    const int next = dup(STDIN_FILENO);
    must(next > 0 && close(next) == 0);
    limit.rlim_cur = (rlim_t)(next + given->more);
    must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void set_descriptors(step *given)
{
    struct rlimit limit;

    must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = (rlim_t)given->value;
    must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

START_TEST(a_process_without_descriptors_is_told_so_and_comes_in_later)
{
    const int64_t before = expect(STEM_OK, A, fill_descriptors, 0).value;

    expect(STEM_EIO, A, open_shared, 0);
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_EIO, A, open_shared, 0);
    expect(STEM_OK, A, set_descriptors, .value = before);
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, A, put_value, .key = "a", .value = 1);
    expect_value(B, "a", 1);
}
END_TEST

static void print_to(step *given)
{
    given->code = freopen(given->key, "w", stderr) ? STEM_OK : STEM_EIO;
}

/* Nothing ends it, and nothing prints. */
START_TEST(an_application_with_few_descriptors_is_answered)
{
    const char *printed = path_in(temp_dir(), "printed");
    int code = STEM_EIO;
    struct stat status;

    start_sharer(D); /* which knows the name */
    expect(STEM_OK, D, print_to, .key = printed);
    for (int64_t left = 0; code != STEM_OK; left++) {
        const int64_t before = expect(STEM_OK, D, fill_descriptors, .more = left).value;

        code = do_in(D, open_shared, (step){.options.timeout_ms = 1000}).code;
        ck_assert(code == STEM_OK || code == STEM_EIO);
        expect(STEM_OK, D, set_descriptors, .value = before);
    }
    expect(STEM_OK, D, put_value, .key = "a", .value = 1);
    ck_assert_int_eq(stat(printed, &status), 0);
    ck_assert_int_eq(status.st_size, 0);
}
END_TEST

START_TEST(who_cannot_take_over_without_descriptors_does_so_later)
{
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, B, open_shared, .options.timeout_ms = 500);
    expect(STEM_OK, B, put_value, .key = "a", .value = 1);
    const int64_t before = expect(STEM_OK, B, fill_descriptors, 0).value;
    kill_sharer(A);
    expect(STEM_EIO, B, get_value, .key = "a");
    expect(STEM_OK, B, set_descriptors, .value = before);
    while (do_in(B, get_value, (step){.key = "a"}).code == STEM_EIO)
        pause_ms(10); /* a failure is the answer for a moment */
    expect_value(B, "a", 1);
}
END_TEST

enum { DESCRIPTORS = 300, OCCUPIED = DESCRIPTORS / 2 + 10 };
static int occupied[OCCUPIED];

/* Connects so often that the owner's limit is reached, and keeps the connections. */
static void occupy(step *given)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)given;
    snprintf(address.sun_path, sizeof address.sun_path, "%s/stem.sock", shared_place);
    for (int i = 0; i < OCCUPIED; i++) {
        occupied[i] = socket(AF_UNIX, SOCK_STREAM, 0);
        must(connect(occupied[i], (struct sockaddr *)&address, sizeof address) == 0);
    }
}

static void leave(step *given)
{
    (void)given;
    for (int i = 0; i < OCCUPIED; i++)
        close(occupied[i]);
}

START_TEST(who_is_one_too_many_for_the_owner_waits_and_is_told_why)
{
    step refused;
    int tries = 0;

    expect(STEM_OK, A, set_descriptors, .value = DESCRIPTORS);
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, B, occupy, 0);
    do /* the last attempt may be cut short, and then says that */
        refused = expect(STEM_EIO, C, open_shared, .options.timeout_ms = 200);
    while (!strstr(refused.why, "max number of clients") && ++tries < 10);
    expect_why(&refused, "max number of clients");
    begin_in(C, open_shared, (step){0});
    expect(STEM_OK, B, leave, 0);
    expect_end(STEM_OK, C);
    expect(STEM_OK, C, put_value, .key = "a", .value = 1);
    expect_value(A, "a", 1);
}
END_TEST

/* Stopped, the other does not take over before this one has tried to. */
START_TEST(who_cannot_take_over_waits_for_another_who_can)
{
    expect(STEM_OK, A, open_shared, 0);
    expect(STEM_OK, B, open_shared, 0);
    expect(STEM_OK, C, open_shared, 0);
    expect(STEM_OK, B, put_value, .key = "a", .value = 1);
    expect(STEM_OK, B, fill_descriptors, .more = 3);
    signal_sharer(C, SIGSTOP);
    kill_sharer(A);
    begin_in(B, put_value, (step){.key = "a", .value = 2});
    pause_ms(20);
    signal_sharer(C, SIGCONT);
    expect_end(STEM_OK, B);
    expect_value(C, "a", 2);
    ck_assert_int_eq(owner_pid(), sharer_pid(C));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shared");
    TCase *together = add_case(suite, "together", 120);
    TCase *opening = add_case(suite, "opening", 120);

    tcase_add_checked_fixture(together, start_three, NULL);
    tcase_add_test(together, processes_see_each_others_writes);
    tcase_add_test(together, whoever_is_first_owns_it_and_whoever_is_left_goes_on);
    tcase_add_test(together, opening_and_closing_at_once_lets_everybody_in);
    tcase_add_test(together, twenty_processes_make_one_database);
    tcase_add_test(together, threads_of_several_processes_lose_no_update);
    tcase_add_test(together, all_have_every_operation);
    tcase_add_test(together, all_walk_to_the_longest_path);
    tcase_add_loop_test(together, a_process_may_have_several_handles_some_that_only_read,
                        A, B + 1);
    tcase_add_test(together, an_owner_that_only_reads_lets_others_write);

    tcase_add_checked_fixture(opening, start_three, NULL);
    tcase_add_test(opening, must_exist_and_must_be_new_hold_for_everybody);
    tcase_add_test(opening, who_shares_and_who_does_not_keep_each_other_out);
    tcase_add_loop_test(opening, options_are_those_of_the_first, 0,
                        sizeof options / sizeof *options);
    tcase_add_test(opening, what_was_answered_with_write_back_survives_the_owner);
    tcase_add_test(opening, a_process_without_descriptors_is_told_so_and_comes_in_later);
    tcase_add_test(opening, an_application_with_few_descriptors_is_answered);
    tcase_add_test(opening, who_cannot_take_over_without_descriptors_does_so_later);
    tcase_add_test(opening, who_is_one_too_many_for_the_owner_waits_and_is_told_why);
    tcase_add_test(opening, who_cannot_take_over_waits_for_another_who_can);

    return run_suite(suite);
}
