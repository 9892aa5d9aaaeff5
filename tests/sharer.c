/*
 * Processes that share a database; see sharer.h. Each has one end of a socket pair of its
 * own. The pairs are made before any of them is started, so that a sharer can fork another.
 */
#include "sharer.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

enum { ALIVE_MS = 50 };

typedef struct request {
    step_fn *what; /* NULL: the end */
    step given;
} request;

typedef struct sharer {
    pid_t pid; /* 0 when there is none */
    bool is_forked;
    int test_end, own_end;
} sharer;

static sharer sharers[SHARERS];
static pid_t test; /* 0 before the first sharer */
const char *shared_place;
stem_db *shared_db;

/* ---- In a sharer ------------------------------------------------------------------ */

/* Whose end the test has closed, or who outlives it, has no more to do. */
static void do_steps(void *argument)
{
    const sharer *me = argument;
    request told;

    for (sharer *each = sharers; each < sharers + SHARERS; each++)
        if (each->test_end >= 0) {
            close(each->test_end); /* a copy, that would keep it open */
            each->test_end = -1;
        }
    while (recv(me->own_end, &told, sizeof told, 0) == (ssize_t)sizeof told &&
           told.what) {
        *told.given.why = '\0';
        told.what(&told.given);
        if (told.given.code < 0)
            snprintf(told.given.why, sizeof told.given.why, "%s", stem_errmsg());
        must(send(me->own_end, &told.given, sizeof told.given, MSG_NOSIGNAL) ==
             (ssize_t)sizeof told.given);
    }
}

/* Of what the test itself has started: nothing outlives the test. */
static void be_sharer(void *argument)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    do_steps(argument);
}

static void fork_another(step *given)
{
    given->value = start_child(do_steps, &sharers[given->value]);
}

/* ---- Starting and ending ---------------------------------------------------------- */

/* Before what they have open is removed. */
static void end_all(void)
{
    if (getpid() != test)
        return;
    for (sharer *each = sharers; each < sharers + SHARERS; each++)
        if (each->pid > 0)
            kill(each->pid, SIGKILL);
    for (sharer *each = sharers; each < sharers + SHARERS; each++)
        while (each->pid > 0 && is_alive(each->pid))
            pause_ms(1);
}

static void prepare(void)
{
    test = getpid();
    atexit(end_all);
    /* So that what a killed sharer has forked is this process's to wait for. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (sharer *each = sharers; each < sharers + SHARERS; each++) {
        int ends[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        each->test_end = ends[0];
        each->own_end = ends[1];
    }
}

/* Throws away what was not read before a sharer was killed. */
static void make_new(int who)
{
    char left[sizeof(request) + sizeof(step)];

    if (test == 0)
        prepare();
    ck_assert_int_eq(sharers[who].pid, 0);
    while (recv(sharers[who].test_end, left, sizeof left, MSG_DONTWAIT) > 0 ||
           recv(sharers[who].own_end, left, sizeof left, MSG_DONTWAIT) > 0)
        continue;
}

void start_sharer(int who)
{
    make_new(who);
    sharers[who].is_forked = false;
    sharers[who].pid = start_child(be_sharer, &sharers[who]);
}

void start_sharers(int n)
{
    shared_place = path_in(temp_dir(), "db");
    for (int who = A; who < n; who++)
        start_sharer(who);
}

void fork_sharer(int from, int who)
{
    make_new(who);
    sharers[who].is_forked = true;
    sharers[who].pid = (pid_t)expect(STEM_OK, from, fork_another, .value = who).value;
}

pid_t sharer_pid(int who)
{
    return sharers[who].pid;
}

void signal_sharer(int who, int signal)
{
    ck_assert_int_gt(sharers[who].pid, 0);
    ck_assert_int_eq(kill(sharers[who].pid, signal), 0);
    /* Its threads go on until the last of them has stopped. */
    if (signal == SIGSTOP && !sharers[who].is_forked)
        ck_assert_int_eq(waitpid(sharers[who].pid, NULL, WUNTRACED), sharers[who].pid);
}

/* One that another has forked is that one's to wait for, as long as that is there. */
static void await_end(int who)
{
    while (is_alive(sharers[who].pid))
        pause_ms(1);
    sharers[who].pid = 0;
}

void kill_sharer(int who)
{
    signal_sharer(who, SIGKILL);
    if (!sharers[who].is_forked)
        assert_child_killed(sharers[who].pid, SIGKILL);
    await_end(who);
}

void end_sharer(int who)
{
    request told = {.what = NULL};

    ck_assert_int_eq(send(sharers[who].test_end, &told, sizeof told, MSG_NOSIGNAL),
                     sizeof told);
    if (!sharers[who].is_forked)
        assert_child_ends_well(sharers[who].pid);
    await_end(who);
}

/* ---- Telling ---------------------------------------------------------------------- */

void begin_in(int who, step_fn *what, step given)
{
    request told = {.what = what, .given = given};

    ck_assert_int_eq(send(sharers[who].test_end, &told, sizeof told, MSG_NOSIGNAL),
                     sizeof told);
}

step finish_in(int who)
{
    struct pollfd answer = {.fd = sharers[who].test_end, .events = POLLIN};
    step done;

    while (poll(&answer, 1, ALIVE_MS) == 0)
        ck_assert_msg(is_alive(sharers[who].pid), "sharer %c has ended", 'A' + who);
    ck_assert_int_eq(recv(answer.fd, &done, sizeof done, 0), sizeof done);
    return done;
}

step do_in(int who, step_fn *what, step given)
{
    begin_in(who, what, given);
    return finish_in(who);
}

step expect_code(const char *file, int line, int code, const char *what, step done)
{
    ck_assert_msg(done.code == code, "%s:%d: %s answered %s, not %s: %s", file, line,
                  what, stem_strerror(done.code), stem_strerror(code), done.why);
    return done;
}

void expect_why(const step *done, const char *part)
{
    ck_assert_msg(strstr(done->why, part), "no \"%s\" in: %s", part, done->why);
}

/* ---- Around them ------------------------------------------------------------------ */

pid_t owner_pid(void)
{
    char path[4096];
    long pid = 0;

    snprintf(path, sizeof path, "%s/stem.lock", shared_place);
    FILE *lock = fopen(path, "r");
    if (!lock)
        return 0;
    if (fscanf(lock, "%ld", &pid) != 1)
        pid = 0;
    fclose(lock);
    return (pid_t)pid;
}

bool is_tested(void)
{
    return kill(test, 0) == 0;
}

bool is_there(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

/* ---- Steps ------------------------------------------------------------------------ */

static const char *place_of(const step *given)
{
    return given->place ? given->place : shared_place;
}

void open_as_given(step *given)
{
    given->code = stem_open(&shared_db, place_of(given), &given->options);
}

void open_shared(step *given)
{
    given->options.shared = true;
    open_as_given(given);
}

void close_it(step *given)
{
    given->code = stem_close(shared_db);
    shared_db = NULL;
}

void put_value(step *given)
{
    given->code = stem_put(shared_db, given->key, given->value);
}

void get_value(step *given)
{
    given->code = stem_get_int(shared_db, given->key, &given->value);
}

void incr_value(step *given)
{
    given->code = stem_incr(shared_db, given->key, 1, 0, &given->value);
}

void count_all(step *given)
{
    uint64_t n;

    given->code = stem_count(shared_db, NULL, &n);
    given->value = given->code == STEM_OK ? (int64_t)n : -1;
}

void fill(step *given)
{
    stem_batch *batch = stem_batch_new(shared_db);
    char name[32];

    for (int64_t i = 0; i < given->value; i++) {
        snprintf(name, sizeof name, "%06lld", (long long)i);
        must_ok(stem_batch_put(batch, shared_db, name, i));
    }
    given->code = stem_batch_commit(batch, false);
    stem_batch_free(batch);
}

void destroy(step *given)
{
    given->code = stem_destroy(place_of(given));
}

static stem_db *snapshot;

void take_snapshot(step *given)
{
    snapshot = stem_snapshot(shared_db);
    given->code = snapshot ? STEM_OK : stem_errcode();
}

void get_frozen(step *given)
{
    given->code = stem_get_int(snapshot, given->key, &given->value);
}

void close_snapshot(step *given)
{
    given->code = stem_close(snapshot);
}

static stem_iter *iter;
static int64_t n_walked;

static void start_walk(step *given, const stem_range *range)
{
    n_walked = 0;
    iter = stem_iter_open(shared_db, range);
    given->code = iter ? STEM_OK : stem_errcode();
}

void open_walk(step *given)
{
    start_walk(given, STEM_RANGE(.lt = "a"));
}

void open_resuming_walk(step *given)
{
    start_walk(given, STEM_RANGE(.lt = "a", .resume = true));
}

void seek_first(step *given)
{
    given->code = stem_iter_seek(iter, (const char *[]){"000000"}, 1);
}

void walk(step *given)
{
    const int64_t until = n_walked + given->value;
    char name[32];

    while (n_walked < until && stem_iter_next(iter)) {
        snprintf(name, sizeof name, "%06lld", (long long)n_walked);
        must(strcmp(stem_iter_key(iter), name) == 0);
        must(stem_iter_value(iter)->as.integer == n_walked);
        n_walked++;
    }
    given->code = stem_iter_code(iter);
    if (n_walked < until)
        must(stem_iter_close(iter) == given->code);
    given->value = n_walked;
}
