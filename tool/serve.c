/*
 * `stem serve`: a database for other processes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

enum {
    LISTEN = 'l',
    USERS = 'u',
    TLS_CERT = 256,
    TLS_KEY,
    METRICS,
    INSECURE,
    LITERAL,
    READ_ONLY,
    MEMORY,
    SHARED,
    WHILE_USED,
    DETACH,
    SET,
    FIRST_LIMIT, /* in the order of limit_of */
    MAX_CLIENTS = FIRST_LIMIT,
    MAX_REQUEST,
    MAX_INPUT_BYTES,
    MAX_OUTPUT,
    MAX_TOTAL_OUTPUT,
    IDLE,
    LOGIN_SECONDS,
    MAX_FAILED_LOGINS,
    MAX_SESSIONS,
    MAX_SNAPSHOTS,
    SNAPSHOT_SECONDS,
    END_OF_LIMITS
};

static const struct option options[] = {
    {"listen", required_argument, NULL, LISTEN},
    {"users", required_argument, NULL, USERS},
    {"tls-cert", required_argument, NULL, TLS_CERT},
    {"tls-key", required_argument, NULL, TLS_KEY},
    {"metrics", required_argument, NULL, METRICS},
    {"insecure", no_argument, NULL, INSECURE},
    {"literal", no_argument, NULL, LITERAL},
    {"read-only", no_argument, NULL, READ_ONLY},
    {"memory", required_argument, NULL, MEMORY},
    {"max-clients", required_argument, NULL, MAX_CLIENTS},
    {"max-request", required_argument, NULL, MAX_REQUEST},
    {"max-input", required_argument, NULL, MAX_INPUT_BYTES},
    {"max-output", required_argument, NULL, MAX_OUTPUT},
    {"max-total-output", required_argument, NULL, MAX_TOTAL_OUTPUT},
    {"idle", required_argument, NULL, IDLE},
    {"login-seconds", required_argument, NULL, LOGIN_SECONDS},
    {"max-failed-logins", required_argument, NULL, MAX_FAILED_LOGINS},
    {"max-sessions", required_argument, NULL, MAX_SESSIONS},
    {"max-snapshots", required_argument, NULL, MAX_SNAPSHOTS},
    {"snapshot-seconds", required_argument, NULL, SNAPSHOT_SECONDS},
    {"shared", no_argument, NULL, SHARED},
    {"while-used", no_argument, NULL, WHILE_USED},
    {"detach", no_argument, NULL, DETACH},
    {"set", required_argument, NULL, SET},
    {NULL, 0, NULL, 0},
};

enum { MOST_ADDRESSES = 16, DEFAULT_MEMORY_MIB = 256 };

typedef struct wanted {
    const char *location;
    const char *listen[MOST_ADDRESSES + 1];
    size_t n_listen;
    stem_server_options server;
    stem_options database;
    bool while_used, is_detached, has_memory;
} wanted;

/* ---- Options ---------------------------------------------------------------------- */

/* NAME=VALUE: an option of the whole database, by its name in stem_options. */
static void read_setting(const char *text, stem_options *to)
{
    const struct {
        const char *name;
        bool *as_bool;
        int *as_int;
        size_t *as_size;
    } settings[] = {
        {"no_compression", &to->no_compression, NULL, NULL},
        {"no_verify", &to->no_verify, NULL, NULL},
        {"no_bloom", &to->no_bloom, NULL, NULL},
        {"bloom_bits", NULL, &to->bloom_bits, NULL},
        {"max_open_files", NULL, &to->max_open_files, NULL},
        {"cache_bytes", NULL, NULL, &to->cache_bytes},
        {"write_buffer_bytes", NULL, NULL, &to->write_buffer_bytes},
        {"block_bytes", NULL, NULL, &to->block_bytes},
        {"writeback_bytes", NULL, NULL, &to->writeback_bytes},
        {"writeback_ms", NULL, NULL, &to->writeback_ms},
    };
    const size_t len = strcspn(text, "=");

    if (!text[len])
        usage_error(&serve_command, "--set takes NAME=VALUE, not '%s'", text);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (strlen(settings[i].name) != len || memcmp(settings[i].name, text, len) != 0)
            continue;
        const size_t most = settings[i].as_bool  ? 1
                            : settings[i].as_int ? INT_MAX
                                                 : SIZE_MAX;
        const size_t value =
            parse_number(&serve_command, settings[i].name, text + len + 1, 1, most);
        if (settings[i].as_bool)
            *settings[i].as_bool = true;
        else if (settings[i].as_int)
            *settings[i].as_int = (int)value;
        else
            *settings[i].as_size = value;
        return;
    }
    usage_error(&serve_command, "--set %s: there is no such option", text);
}

/* A limit of the server's; another option is nothing here. */
static void read_limit(int option, const char *text, stem_server_options *to)
{
    const struct {
        const char *name;
        size_t *value;
    } limits[END_OF_LIMITS - FIRST_LIMIT] = {
        {"--max-clients", &to->max_clients},
        {"--max-request", &to->max_request_bytes},
        {"--max-input", &to->max_input_bytes},
        {"--max-output", &to->max_output_bytes},
        {"--max-total-output", &to->max_total_output_bytes},
        {"--idle", &to->idle_seconds},
        {"--login-seconds", &to->login_seconds},
        {"--max-failed-logins", &to->max_failed_logins},
        {"--max-sessions", &to->max_sessions},
        {"--max-snapshots", &to->max_snapshots},
        {"--snapshot-seconds", &to->snapshot_seconds},
    };

    if (option < FIRST_LIMIT || option >= END_OF_LIMITS)
        return;
    *limits[option - FIRST_LIMIT].value =
        parse_count(&serve_command, limits[option - FIRST_LIMIT].name, text);
}

/* Whether values that are read are kept without being asked to: not in a directory that is shared,
 * where memory is every process's own choice, nor for another server, which has its own. */
static bool wants_memory(const wanted *what)
{
    static const char *const served[] = {"unix:", "stem:", "stems:"};
    bool is_served = false;

    for (size_t i = 0; i < sizeof served / sizeof *served; i++)
        is_served |= strncmp(what->location, served[i], strlen(served[i])) == 0;
    return !is_served && !what->database.shared && what->database.writeback_bytes == 0;
}

static void read_arguments(int argc, char **argv, wanted *what)
{
    arguments args;
    int option;

    arguments_start(&args, &serve_command, argc, argv);
    while ((option = arguments_next(&args)) != -1) {
        switch (option) {
        case LISTEN:
            if (what->n_listen == MOST_ADDRESSES)
                usage_error(&serve_command, "too many addresses to listen at");
            what->listen[what->n_listen++] = optarg;
            break;
        case USERS:
            what->server.users = optarg;
            break;
        case TLS_CERT:
            what->server.tls_certificate = optarg;
            break;
        case TLS_KEY:
            what->server.tls_key = optarg;
            break;
        case METRICS:
            what->server.metrics = optarg;
            break;
        case INSECURE:
            what->server.insecure = true;
            break;
        case LITERAL:
            what->server.literal_keys = true;
            break;
        case READ_ONLY:
            what->database.read_only = true;
            break;
        case MEMORY:
            what->has_memory = true;
            what->database.writeback_bytes =
                parse_number(&serve_command, "--memory", optarg, 0, SIZE_MAX >> 20) << 20;
            break;
        case SHARED:
            what->database.shared = true;
            break;
        case WHILE_USED:
            what->while_used = true;
            break;
        case DETACH:
            what->is_detached = true;
            break;
        case SET:
            read_setting(optarg, &what->database);
            break;
        default:
            read_limit(option, optarg, &what->server);
            break;
        }
    }
    if (what->n_listen == 0 && !what->database.shared)
        usage_error(&serve_command, "give at least one --listen");
    if (what->while_used && (what->n_listen > 0 || !what->database.shared))
        usage_error(&serve_command,
                    "--while-used goes with --shared, and without --listen");
    what->server.listen = what->listen;
    what->location = args.operands[0];
    if (!what->has_memory && wants_memory(what))
        what->database.writeback_bytes = (size_t)DEFAULT_MEMORY_MIB << 20;
}

/* ---- Serving ---------------------------------------------------------------------- */

/* Each connection takes a descriptor, beside those of the tables. */
static void raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit); /* what it is will do, if this fails */
}

/* What has been said of requests that the database has failed. */
typedef struct report {
    uint64_t n;     /* of them */
    int ticks_left; /* before there is more to say */
} report;

/* The first at once, and then, while there are more, how many they are, from time to time. */
static void report_failures(stem_server *server, report *said)
{
    enum { SILENT_TICKS = 10 };
    char *message;

    if (said->ticks_left > 0)
        said->ticks_left--;
    const uint64_t n = stem_server_failures(server, NULL);
    if (n == said->n || said->ticks_left > 0)
        return;
    stem_server_failures(server, &message);
    complain("%" PRIu64 " request%s failed: %s", n - said->n, n - said->n == 1 ? "" : "s",
             message ? message : "no memory for the cause");
    stem_free(message);
    *said = (report){n, SILENT_TICKS};
}

/* Serves until it is told to end. The signals are blocked already. */
static int wait_for_end(stem_server *server, const sigset_t *signals)
{
    const struct timespec tick = {.tv_sec = 1};
    report said = {0};

    for (;;) {
        const int signal = sigtimedwait(signals, NULL, &tick);

        report_failures(server, &said);
        if (signal == SIGTERM || signal == SIGINT)
            return DONE;
        if (signal == SIGHUP && stem_server_reload(server) != STEM_OK)
            complain("the users stay as they were: %s", stem_errmsg());
    }
}

static int serve(stem_db *db, const wanted *what, const sigset_t *signals)
{
    stem_server *server;
    const char *address;

    int code = stem_server_open(&server, db, &what->server);
    if (code != STEM_OK)
        return complain_code(code);
    for (size_t i = 0; (address = stem_server_address(server, i)); i++)
        printf("serving %s at %s\n", what->location, address);
    if (stem_server_metrics_address(server))
        printf("metrics at %s\n", stem_server_metrics_address(server));
    fflush(stdout);
    int status = wait_for_end(server, signals);
    code = stem_server_close(server);
    return code == STEM_OK ? status : complain_code(code);
}

/* ---- Sharing ---------------------------------------------------------------------- */

/* Has the database for those who share it, as long as there are any. */
static int serve_while_used(stem_db *db, const sigset_t *signals)
{
    enum { TICKS_UNUSED = 10 };
    const struct timespec tick = {.tv_nsec = 100000000};
    stem_statistics stats = {0};

    for (int unused = 0; unused < TICKS_UNUSED; unused++) {
        const int signal = sigtimedwait(signals, NULL, &tick);

        if (signal == SIGTERM || signal == SIGINT)
            return DONE;
        const int code = stem_stats(db, &stats);
        if (code != STEM_OK)
            return complain_code(code);
        if (!stats.is_owner) /* another process is */
            return DONE;
        if (stats.clients > 0)
            unused = 0;
    }
    return DONE;
}

/* Is one of those who share it, and keeps it open for the others. */
static int share(stem_db *db, const wanted *what, const sigset_t *signals)
{
    int signal;

    if (what->while_used)
        return serve_while_used(db, signals);
    printf("sharing %s\n", what->location);
    fflush(stdout);
    while (sigwait(signals, &signal) == 0 && signal == SIGHUP)
        continue;
    return DONE;
}

/* Closes descriptors of the process that started this one, which would keep them open: pipes
 * whose end is waited for, locks. */
static void close_inherited(void)
{
    DIR *listing = opendir("/proc/self/fd");
    const struct dirent *each;

    while (listing && (each = readdir(listing)) != NULL) {
        const int fd = atoi(each->d_name); /* "." and ".." are 0 */

        if (fd > STDERR_FILENO && fd != dirfd(listing))
            close(fd);
    }
    if (listing)
        closedir(listing);
}

/* Goes on in a session of its own. What was started ends when this is at work, or has failed to be;
 * returns what tells it so. */
static int detach(void)
{
    int ends[2];
    char byte;

    close_inherited();
    const pid_t child = pipe(ends) == 0 ? fork() : -1;
    if (child < 0) {
        complain("cannot go on in the background: %s", strerror(errno));
        exit(FAILED);
    }
    if (child > 0) {
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 1 ? DONE : FAILED);
    }
    close(ends[0]);
    setsid();
    return ends[1];
}

/* A process that reads what this one prints waits for the end of that. */
static void tell_detached(int to)
{
    const int null = open("/dev/null", O_RDWR);

    for (int fd = 0; fd <= STDERR_FILENO && null >= 0; fd++)
        dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
    if (write(to, "", 1) == 1)
        close(to);
}

static int run(const command *which, int argc, char **argv)
{
    wanted what = {0};
    sigset_t signals;
    stem_db *db;
    int starter = -1;

    (void)which;
    read_arguments(argc, argv, &what);
    if (what.is_detached)
        starter = detach();
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    raise_limits();
    int code = stem_open(&db, what.location, &what.database);
    if (code == STEM_NOTFOUND) {
        complain("%s: there is no database", what.location);
        return NOT_FOUND;
    }
    if (code != STEM_OK)
        return complain_code(code);
    if (what.is_detached)
        tell_detached(starter);
    int status =
        what.n_listen > 0 ? serve(db, &what, &signals) : share(db, &what, &signals);
    code = stem_close(db);
    return code == STEM_OK ? status : complain_code(code);
}

const command serve_command = {
    .name = "serve",
    .operands = "LOCATION --listen ADDRESS...",
    .summary = "serve a database to other processes",
    .help =
        "Serves the database to redis-cli, to client libraries of Redis, and to "
        "programs\n"
        "that open the address as a location, until SIGTERM or SIGINT. SIGHUP reads the\n"
        "users file again. The database is made when there is none.\n"
        "\n"
        "  -l, --listen ADDRESS  unix:/path or tcp://host:port; may be given again\n"
        "  -u, --users FILE      who may connect, as `stem passwd` writes it\n"
        "      --tls-cert FILE   certificate and key in PEM: TLS on TCP\n"
        "      --tls-key FILE\n"
        "      --metrics ADDRESS host:port for Prometheus, at /metrics\n"
        "      --insecure        allow TCP without users, and beyond this machine\n"
        "                        without TLS\n"
        "      --literal         keys of Redis's commands are no paths, but bytes as "
        "they\n"
        "                        are: URLs, base64\n"
        "      --read-only       answer no writes\n"
        "      --memory MIB      memory for values that are read again, 0 for none (256; "
        "of\n"
        "                        a shared directory, or another server's database, "
        "none)\n"
        "\n"
        "Limits, and their defaults (docs/server.md):\n"
        "      --max-clients N          connections at a time (10000)\n"
        "      --max-request BYTES      of one request (67108864)\n"
        "      --max-input BYTES        of all requests under way (1073741824)\n"
        "      --max-output BYTES       of one answer (268435456)\n"
        "      --max-total-output BYTES of all answers that wait (1073741824)\n"
        "      --idle SECONDS           after which a silent connection is closed "
        "(3600)\n"
        "      --login-seconds SECONDS  within which a connection must log in (10)\n"
        "      --max-failed-logins N    a second, of one peer (5)\n"
        "      --max-sessions N         kept for clients (1024)\n"
        "      --max-snapshots N        open at a time, of one client (64)\n"
        "      --snapshot-seconds N     after which an unused one is given up (300)\n"
        "\n"
        "Sharing:\n"
        "      --shared          share the directory with programs that open it so; "
        "then\n"
        "                        --listen may be left out\n"
        "      --while-used      with --shared: end when no other process uses it\n"
        "      --detach          go on in the background, once the database is open\n"
        "      --set NAME=VALUE  an option of the whole database, as stem_options has "
        "it\n"
        "\n"
        "Examples:\n"
        "  stem serve ./app.db --listen unix:app.sock\n"
        "  stem serve ./app.db -l tcp://127.0.0.1:7000 --users ./users --memory 64\n"
        "  stem serve ./app.db --shared\n",
    .min_operands = 1,
    .max_operands = 1,
    .letters = "l:u:",
    .options = options,
    .run = run,
};
