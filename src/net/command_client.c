/*
 * CLIENT: what a connection is called, and which connections there are. A user sees its own
 * connections in lists, an administrator all.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "command_own.h"
#include "command_rows.h"
#include "connection.h"

/* ---- Names ------------------------------------------------------------------------ */

/* Visible bytes alone, as Redis has it: a name is shown in lists. */
static bool is_name(stem_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] < '!' || name.data[i] > '~')
            return false;
    return name.len <= 128;
}

/* Replaces a name; false, having replied, when it is none. */
static bool set(stem_connection *connection, char **to, stem_slice name,
                const char *error)
{
    char *copy = is_name(name) ? malloc(name.len + 1) : NULL;

    if (!copy) {
        stem_reply_error(&connection->output, error);
        return false;
    }
    memcpy(copy, name.data, name.len);
    copy[name.len] = '\0';
    free(*to);
    *to = copy;
    return true;
}

bool stem_connection_set_name(stem_connection *connection, stem_slice name)
{
    return set(connection, &connection->name, name,
               "ERR Client names cannot contain spaces, newlines or special characters.");
}

void stem_serve_client_setname(stem_connection *connection, const stem_slice *args,
                               size_t n_args)
{
    (void)n_args;
    if (stem_connection_set_name(connection, args[2]))
        stem_reply_status(&connection->output, "OK");
}

void stem_serve_client_getname(stem_connection *connection, const stem_slice *args,
                               size_t n_args)
{
    (void)args;
    (void)n_args;
    if (connection->name && *connection->name)
        stem_reply_text(&connection->output, connection->name);
    else
        stem_reply_null(&connection->output);
}

void stem_serve_client_setinfo(stem_connection *connection, const stem_slice *args,
                               size_t n_args)
{
    stem_reply *reply = &connection->output;
    bool is_set = false;

    (void)n_args;
    if (stem_word_is(args[2], "LIB-NAME"))
        is_set = set(connection, &connection->library, args[3],
                     "ERR lib-name cannot contain spaces, newlines or special "
                     "characters.");
    else if (stem_word_is(args[2], "LIB-VER"))
        is_set = set(connection, &connection->library_version, args[3],
                     "ERR lib-ver cannot contain spaces, newlines or special "
                     "characters.");
    else {
        char error[64];

        stem_command_quote("ERR Unrecognized option '", args[2], "'", error,
                           sizeof error);
        stem_reply_error(reply, error);
    }
    if (is_set)
        stem_reply_status(reply, "OK");
}

void stem_serve_client_id(stem_connection *connection, const stem_slice *args,
                          size_t n_args)
{
    (void)args;
    (void)n_args;
    stem_reply_integer(&connection->output, (int64_t)connection->id);
}

/* ---- Lists ------------------------------------------------------------------------ */

/* A word of the line, with nothing in it that could end it. */
static void add_word(stem_buffer *out, const char *name, const char *word)
{
    size_t plain = 0;

    stem_buffer_print(out, " %s=", name);
    for (; *word; word += plain) {
        plain = 0;
        while (word[plain] > ' ' && word[plain] <= '~')
            plain++;
        stem_buffer_add(out, word, plain);
        if (plain == 0) {
            stem_buffer_print(out, "\\x%02X", (unsigned)(unsigned char)*word);
            plain = 1;
        }
    }
}

typedef int name_fn(int fd, struct sockaddr *address, socklen_t *len);

/* One end of the connection. The other end of a Unix socket has no name; as in Redis its own
 * stands for both. */
static void add_address(stem_buffer *out, const char *label, int fd, name_fn *name_of)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
        struct sockaddr_storage storage;
    } address = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof address;
    char text[sizeof address.local.sun_path + 1] = "";

    name_of(fd, &address.any, &len);
    if (address.any.sa_family == AF_UNIX) {
        len = sizeof address.storage - 1;
        getsockname(fd, &address.any, &len);
        snprintf(text, sizeof text, "%.*s", (int)sizeof address.local.sun_path,
                 address.local.sun_path);
        add_word(out, label, text);
        stem_buffer_print(out, ":0");
        return;
    }
    if (address.any.sa_family == AF_INET)
        inet_ntop(AF_INET, &address.v4.sin_addr, text, sizeof text);
    else if (address.any.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &address.v6.sin6_addr, text, sizeof text);
    stem_buffer_print(out,
                      address.any.sa_family == AF_INET6 ? " %s=[%s]:%u" : " %s=%s:%u",
                      label, text, (unsigned)ntohs(address.v4.sin_port));
}

/* What it has queued and watched; as of none while another thread may change that. */
static const stem_transaction *transaction_of(const stem_connection *of)
{
    static const stem_transaction none;

    return stem_connection_is_elsewhere(of) ? &none : &of->transaction;
}

/* Letters for its states, as Redis has them: N for none of the others. */
static const char *flags_of(const stem_connection *of)
{
    if (transaction_of(of)->is_open)
        return of->is_ending ? "xc" : "x";
    return of->is_ending ? "c" : "N";
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

/* One line as Redis has it; what Stem has nothing of is 0. */
static void add_client(stem_buffer *out, const stem_connection *of)
{
    const uint64_t now = of->server->now_ms;
    const stem_transaction *transaction = transaction_of(of);
    const size_t waiting = stem_connection_is_elsewhere(of) ? 0 : stem_output_waiting(of);
    char command[STEM_COMMAND_NAME_MAX + 1] = "NULL";

    if (of->last_command)
        stem_command_lower(of->last_command, command);
    stem_buffer_print(out, "id=%" PRIu64, of->id);
    add_address(out, "addr", of->fd, getpeername);
    add_address(out, "laddr", of->fd, getsockname);
    stem_buffer_print(out, " fd=%d", of->fd);
    add_word(out, "name", text_or_empty(of->name));
    stem_buffer_print(
        out,
        " age=%" PRIu64 " idle=%" PRIu64 " flags=%s db=0 sub=0 psub=0 ssub=0 multi=%lld"
        " qbuf=%zu qbuf-free=%zu argv-mem=0 multi-mem=%zu rbs=%zu rbp=%zu obl=%zu oll=0"
        " omem=0 tot-mem=%zu events=%s",
        (now - of->since_ms) / 1000, (now - of->active_ms) / 1000, flags_of(of),
        transaction->is_open ? (long long)transaction->n_queued : -1LL,
        of->input_len - of->input_used, of->input_capacity - of->input_len,
        transaction->queued_bytes, of->output_counted, of->output_counted, waiting,
        sizeof *of + of->input_capacity + of->output_counted + transaction->queued_bytes +
            transaction->watched_bytes,
        of->is_blocked ? "rw" : "r");
    add_word(out, "cmd", command);
    add_word(out, "user", of->user ? of->user->name : "default");
    stem_buffer_print(out, " redir=-1 resp=%d", of->output.version);
    add_word(out, "lib-name", text_or_empty(of->library));
    add_word(out, "lib-ver", text_or_empty(of->library_version));
    stem_buffer_add_text(out, "\n");
}

static void reply_with(stem_connection *connection, stem_buffer *lines)
{
    if (lines->failed)
        stem_reply_failure(&connection->output, STEM_ENOMEM);
    else
        stem_reply_verbatim(&connection->output, lines->len > 0 ? lines->data : "",
                            lines->len);
    free(lines->data);
}

void stem_serve_client_info(stem_connection *connection, const stem_slice *args,
                            size_t n_args)
{
    stem_buffer line = {0};

    (void)args;
    (void)n_args;
    add_client(&line, connection);
    reply_with(connection, &line);
}

/* What CLIENT LIST is to show. */
typedef struct listing {
    bool is_none;  /* of a type that there is none of */
    uint64_t *ids; /* of these alone, unless it is NULL */
    size_t n_ids;
} listing;

static bool read_type(stem_connection *connection, stem_slice type, listing *what)
{
    static const char *const others[] = {"MASTER", "REPLICA", "SLAVE", "PUBSUB"};
    char error[64];

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        what->is_none |= stem_word_is(type, others[i]);
    if (what->is_none || stem_word_is(type, "NORMAL"))
        return true;
    stem_command_quote("ERR Unknown client type '", type, "'", error, sizeof error);
    stem_reply_error(&connection->output, error);
    return false;
}

static bool read_ids(stem_connection *connection, const stem_slice *args, size_t n,
                     listing *what)
{
    stem_reply *reply = &connection->output;

    if (n > STEM_FEW_WORDS) {
        stem_reply_error(reply, "ERR too many client IDs");
        return false;
    }
    what->ids = malloc(n * sizeof *what->ids);
    if (!what->ids) {
        stem_reply_failure(reply, STEM_ENOMEM);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!stem_read_number(args[i], &what->ids[i])) {
            stem_reply_error(reply, "ERR Invalid client ID");
            return false;
        }
    }
    what->n_ids = n;
    return true;
}

static bool read_listing(stem_connection *connection, const stem_slice *args,
                         size_t n_args, listing *what)
{
    if (n_args == 2)
        return true;
    if (n_args == 4 && stem_word_is(args[2], "TYPE"))
        return read_type(connection, args[3], what);
    if (n_args > 3 && stem_word_is(args[2], "ID"))
        return read_ids(connection, args + 3, n_args - 3, what);
    stem_reply_error(&connection->output, stem_syntax_error);
    return false;
}

static bool is_seen(const stem_connection *by, const stem_connection *connection)
{
    return by->caller.can_admin ||
           (connection->is_authenticated &&
            stem_slice_compare(by->caller.user, connection->caller.user) == 0);
}

static bool is_listed(const listing *what, const stem_connection *connection)
{
    if (connection->is_dead || what->is_none)
        return false;
    for (size_t i = 0; i < what->n_ids; i++)
        if (what->ids[i] == connection->id)
            return true;
    return !what->ids;
}

void stem_serve_client_list(stem_connection *connection, const stem_slice *args,
                            size_t n_args)
{
    stem_buffer lines = {.limit = connection->output.bytes.limit};
    listing what = {0};

    if (read_listing(connection, args, n_args, &what)) {
        for (stem_connection *each = connection->server->connections; each;
             each = each->next)
            if (is_listed(&what, each) && is_seen(connection, each))
                add_client(&lines, each);
        reply_with(connection, &lines);
    }
    free(what.ids);
}

/* ---- Modes ------------------------------------------------------------------------ */

/* NO-EVICT and NO-TOUCH: true of every connection. */
void stem_serve_client_no(stem_connection *connection, const stem_slice *args,
                          size_t n_args)
{
    (void)n_args;
    if (stem_word_is(args[2], "ON") || stem_word_is(args[2], "OFF"))
        stem_reply_status(&connection->output, "OK");
    else
        stem_reply_error(&connection->output, stem_syntax_error);
}

void stem_serve_client_reply(stem_connection *connection, const stem_slice *args,
                             size_t n_args)
{
    (void)n_args;
    if (stem_word_is(args[2], "ON")) {
        connection->reply_mode = STEM_REPLY_ON;
        connection->has_muted = false;
        stem_reply_status(&connection->output, "OK");
    } else if (stem_word_is(args[2], "OFF")) {
        connection->reply_mode = STEM_REPLY_OFF;
    } else if (stem_word_is(args[2], "SKIP")) {
        if (connection->reply_mode != STEM_REPLY_OFF)
            connection->reply_mode = STEM_REPLY_SKIPS_NEXT;
    } else {
        stem_reply_error(&connection->output, stem_syntax_error);
    }
}
