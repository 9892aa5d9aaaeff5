/*
 * Load on a server; see load.h. One thread: of several clients epoll names those that
 * have answers to read, of a single one a read waits for them.
 */
#include "load.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench.h"

/* ---- Keys and values -------------------------------------------------------------- */

enum { DIGITS = LOAD_KEY_LEN - 4 };

/* Writes the last digits of a number, which snprintf does too slowly. */
static void write_digits(char *digits, size_t number)
{
    for (size_t i = DIGITS; i-- > 0; number /= 10)
        digits[i] = (char)('0' + number % 10);
}

void load_key_of(size_t number, load_key key)
{
    memcpy(key, "key:", 4);
    write_digits(key + 4, number);
    key[LOAD_KEY_LEN] = '\0';
}

const char *load_value(size_t len)
{
    static char bytes[LOAD_VALUE_MAX + 1];

    if (bytes[0] == '\0')
        memset(bytes, 'x', LOAD_VALUE_MAX);
    return bytes + LOAD_VALUE_MAX - len;
}

size_t load_draw(uint64_t *state, size_t n)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)((*state >> 32) % n);
}

/* ---- Clients ---------------------------------------------------------------------- */

enum { ANSWERS_ROOM = 64 << 10 };

typedef struct client {
    int socket;
    size_t awaited;             /* answers that are still to come */
    char answers[ANSWERS_ROOM]; /* bytes of those not judged yet, of the last not all */
    size_t answers_len;
} client;

/* What all clients of a run share. */
typedef struct run {
    const load *on;
    enum load_kind kind;
    char *requests; /* `depth` of them, of which only the digits of the keys change, */
    size_t request_len, digits_at;
    uint64_t number; /* and of a commit's number */
    uint64_t seed;
    size_t next_key; /* of those to be filled */
    bool is_fill;
    size_t answered;
} run;

/* The first number of a commit: from it on all have as many digits. */
static const uint64_t first_number = 100000000000;
enum { NUMBER_AT = sizeof "*6\r\n$11\r\nSTEM.COMMIT\r\n$12\r\n" - 1 };

enum { REQUEST_MAX = LOAD_VALUE_MAX + 128 };

/* Writes a request of that kind for some key, and returns its length. */
static size_t write_request(char *request, enum load_kind kind, size_t value_len)
{
    const char *value = load_value(value_len);
    load_key key;
    int len;

    load_key_of(0, key);
    if (kind == LOAD_SET)
        len = snprintf(request, REQUEST_MAX,
                       "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%zu\r\n%s\r\n", LOAD_KEY_LEN,
                       key, value_len, value);
    else if (kind == LOAD_GET)
        len = snprintf(request, REQUEST_MAX, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n",
                       LOAD_KEY_LEN, key);
    else /* the value as MessagePack's str 8 */
        len = snprintf(request, REQUEST_MAX,
                       "*6\r\n$11\r\nSTEM.COMMIT\r\n%s\r\n$1\r\n-\r\n$3\r\nPUT\r\n"
                       "$%d\r\n%s\r\n$%zu\r\n\xd9%c%s\r\n",
                       kind == LOAD_COMMIT ? "$1\r\n0" : "$12\r\n000000000000",
                       LOAD_KEY_LEN, key, value_len + 2, (int)value_len, value);
    return (size_t)len;
}

static void make_requests(run *of)
{
    char request[REQUEST_MAX];

    of->request_len = write_request(request, of->kind, of->on->value_len);
    of->digits_at = (size_t)(strstr(request, "key:") + 4 - request);
    of->number = first_number;
    of->requests = bench_alloc(of->on->depth, of->request_len);
    for (size_t i = 0; i < of->on->depth; i++)
        memcpy(of->requests + i * of->request_len, request, of->request_len);
}

static void write_all(int socket, const char *bytes, size_t len)
{
    while (len > 0) {
        const ssize_t n = send(socket, bytes, len, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            bench_die("the server takes no requests: %s", strerror(errno));
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
}

/* Writes the client's next requests; fewer, or none, when all keys are filled. */
static void send_requests(run *of, client *from)
{
    const load *on = of->on;
    size_t n = on->depth;

    if (of->is_fill && n > on->n - of->next_key)
        n = on->n - of->next_key;
    for (size_t i = 0; i < n; i++)
        write_digits(of->requests + i * of->request_len + of->digits_at,
                     of->is_fill ? of->next_key++ : load_draw(&of->seed, on->n));
    if (of->kind == LOAD_NUMBERED_COMMIT)
        write_digits(of->requests + NUMBER_AT, of->number++);
    write_all(from->socket, of->requests, n * of->request_len);
    from->awaited = n;
}

/* The length of the answer at the start of those bytes, 0 when it is not there as a
 * whole. */
static size_t judge_answer(const run *of, const char *bytes, size_t len)
{
    const char *end = memchr(bytes, '\n', len);

    if (!end)
        return 0;
    const size_t line_len = (size_t)(end + 1 - bytes);
    if (of->kind != LOAD_GET && bytes[0] == '+')
        return line_len;
    if (of->kind == LOAD_GET && bytes[0] == '$' &&
        strtoull(bytes + 1, NULL, 10) == of->on->value_len) {
        const size_t whole = line_len + of->on->value_len + 2;

        return len >= whole ? whole : 0;
    }
    bench_die("the server answers %.*s", (int)line_len - 1, bytes);
}

/* Reads what has come, and waits when nothing has. */
static void read_answers(run *of, client *at)
{
    const ssize_t n =
        read(at->socket, at->answers + at->answers_len, ANSWERS_ROOM - at->answers_len);
    size_t judged = 0, len;

    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0)
        bench_die("the server has ended the connection");
    at->answers_len += (size_t)n;
    while (at->awaited > 0 &&
           (len = judge_answer(of, at->answers + judged, at->answers_len - judged)) > 0) {
        judged += len;
        at->awaited--;
        of->answered++;
    }
    at->answers_len -= judged;
    memmove(at->answers, at->answers + judged, at->answers_len);
}

/* ---- Runs ------------------------------------------------------------------------- */

static int dial(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof to.sun_path)
        bench_die("%s is too long for a socket", path);
    strcpy(to.sun_path, path);
    if (made < 0 || connect(made, (const struct sockaddr *)&to, sizeof to) != 0)
        bench_die("%s cannot be connected to: %s", path, strerror(errno));
    return made;
}

/* Attaches a connection to a slot of the session of that id, which NEW becomes. */
static void attach(int socket, size_t slot, char *id, size_t id_room)
{
    char bytes[256];
    const int len = snprintf(bytes, sizeof bytes, "STEM.ATTACH 1 %zu %s\r\n", slot, id);

    write_all(socket, bytes, (size_t)len);
    const ssize_t n = read(socket, bytes, sizeof bytes - 1);
    bytes[n > 0 ? n : 0] = '\0';
    /* "*5\r\n$32\r\n<id>\r\n": so short an answer comes in one piece. */
    char *rest = NULL, *word = strtok_r(bytes, "\r\n", &rest);
    for (int i = 0; i < 2 && word; i++)
        word = strtok_r(NULL, "\r\n", &rest);
    if (!word || bytes[0] != '*' || strlen(word) >= id_room)
        bench_die("a client cannot be attached to a session");
    strcpy(id, word);
}

static client *connect_clients(const load *on, enum load_kind kind, int epoll)
{
    char session[64] = "NEW";
    client *clients = bench_alloc(on->clients, sizeof *clients);

    for (size_t i = 0; i < on->clients; i++) {
        struct epoll_event interest = {.events = EPOLLIN, .data.ptr = &clients[i]};

        clients[i].socket = dial(on->socket);
        if (kind == LOAD_COMMIT || kind == LOAD_NUMBERED_COMMIT)
            attach(clients[i].socket, i, session, sizeof session);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].socket, &interest) != 0)
            bench_die("epoll fails: %s", strerror(errno));
    }
    return clients;
}

/* Those that have something to read, at least one; returns how many. */
static size_t wait_for_answers(const load *on, client *clients, int epoll,
                               struct epoll_event *ready)
{
    if (on->clients == 1) {
        ready[0].data.ptr = clients;
        return 1;
    }
    const int n = epoll_wait(epoll, ready, (int)on->clients, -1);
    if (n < 0 && errno != EINTR)
        bench_die("epoll fails: %s", strerror(errno));
    return n > 0 ? (size_t)n : 0;
}

/* Until the time is over, or all keys are filled, and every answer is there. */
static void drive(run *of, client *clients, int epoll, uint64_t deadline)
{
    struct epoll_event *ready = bench_alloc(of->on->clients, sizeof *ready);
    size_t busy = 0;

    for (size_t i = 0; i < of->on->clients; i++) {
        send_requests(of, &clients[i]);
        busy += clients[i].awaited > 0;
    }
    while (busy > 0) {
        const size_t n = wait_for_answers(of->on, clients, epoll, ready);

        for (size_t i = 0; i < n; i++) {
            client *at = ready[i].data.ptr;

            read_answers(of, at);
            if (at->awaited > 0)
                continue;
            if (bench_wall() < deadline)
                send_requests(of, at);
            busy -= at->awaited == 0;
        }
    }
    free(ready);
}

static double run_until(run *of, uint64_t ns)
{
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    client *clients = connect_clients(of->on, of->kind, epoll);

    make_requests(of);
    const uint64_t start = bench_wall();
    drive(of, clients, epoll, ns == UINT64_MAX ? ns : start + ns);
    const double taken = (double)(bench_wall() - start);
    for (size_t i = 0; i < of->on->clients; i++)
        close(clients[i].socket);
    close(epoll);
    free(clients);
    free(of->requests);
    return (double)of->answered * 1e9 / taken;
}

double load_run(const load *on, enum load_kind kind, size_t seconds)
{
    /* The same keys in the same order, whichever server it is. */
    run of = {.on = on, .kind = kind, .seed = 1};

    return run_until(&of, seconds * UINT64_C(1000000000));
}

void load_fill(const load *on)
{
    run of = {.on = on, .kind = LOAD_SET, .is_fill = true};

    run_until(&of, UINT64_MAX);
}
