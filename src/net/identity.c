/*
 * Who a connection is: logging in, the scope and the rights that come with it, and what is
 * dropped when it becomes another user's or goes.
 */
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "connection.h"
#include "cursors.h"
#include "login.h"
#include "peer.h"
#include "sessions.h"
#include "snapshots.h"

enum { EVERY_RIGHT = STEM_MAY_READ | STEM_MAY_WRITE | STEM_MAY_ADMIN };

/* ---- Becoming and leaving --------------------------------------------------------- */

/* Adds the names of a path in text form, each with a NUL behind it. */
static int add_scope(stem_buffer *scope, const char *text)
{
    size_t n;
    char **names = stem_path_parse(text, &n);

    if (!names)
        return stem_errcode();
    for (size_t i = 0; i < n; i++)
        stem_buffer_add(scope, names[i], strlen(names[i]) + 1);
    stem_free(names);
    return scope->len < STEM_PATH_MAX ? STEM_OK
                                      : stem_fail(STEM_EINVAL, "the scope is too long");
}

/* Whether the text is what stem_path_format writes. */
static bool is_canonical(const char *text)
{
    size_t n;
    char **names = stem_path_parse(text, &n);
    char *again = names ? stem_path_format((const char *const *)names, n) : NULL;
    const bool is_same = again && strcmp(text, again) == 0;

    stem_free(names);
    stem_free(again);
    return is_same;
}

static int add_wanted_scope(stem_buffer *scope, const stem_slice *wanted)
{
    char *text = wanted ? malloc(wanted->len + 1) : NULL;

    if (!wanted)
        return STEM_OK;
    if (!text)
        return stem_fail(STEM_ENOMEM, "no memory for a scope");
    memcpy(text, wanted->data, wanted->len);
    text[wanted->len] = '\0';
    const int code = memchr(text, '\0', wanted->len) || !is_canonical(text)
                         ? stem_fail(STEM_EINVAL, "the scope is no canonical path")
                         : add_scope(scope, text);
    free(text);
    return code;
}

/* Snapshots belong to the connection as long as it has no session. */
static void hold_as_connection(stem_connection *connection)
{
    memset(connection->holder, 0, sizeof connection->holder);
    memcpy(connection->holder, &connection->id, sizeof connection->id);
    connection->has_session = false;
    connection->caller.session = NULL;
    connection->caller.holder = (stem_slice){connection->holder, sizeof connection->id};
}

/* Sees what is below the scope made, which is taken over. */
static void settle(stem_connection *connection, const stem_buffer *made)
{
    const stem_server *server = connection->server;
    const stem_user *user = connection->user;

    stem_connection_leave(connection);
    free(connection->scope);
    connection->scope = made->data;
    connection->scope_len = made->len;
    connection->rights = user ? user->rights : EVERY_RIGHT;
    connection->is_authenticated = true;
    connection->caller.engine = server->engine;
    connection->caller.cursors = server->cursors;
    connection->caller.snapshots = server->snapshots;
    connection->caller.sessions = server->sessions;
    connection->caller.settings = server->is_sharing ? &server->settings : NULL;
    connection->caller.can_admin = connection->rights & STEM_MAY_ADMIN;
    connection->caller.max_text_bytes = server->options.max_request_bytes;
    connection->caller.may_serve = server->is_sharing;
    connection->output.tells_causes =
        connection->caller.can_admin || stem_peer_is_own_user(connection->peer);
    connection->caller.user = (stem_slice){0};
    if (user)
        connection->caller.user = (stem_slice){user->name, strlen(user->name)};
    hold_as_connection(connection);
    stem_connection_allow(connection);
}

static int check_made(stem_buffer *made, int code)
{
    if (code == STEM_OK && made->failed)
        code = stem_fail(STEM_ENOMEM, "no memory for a scope");
    if (code != STEM_OK)
        free(made->data);
    return code;
}

int stem_connection_be(stem_connection *connection, const stem_user *user,
                       const stem_slice *scope)
{
    const stem_server *server = connection->server;
    stem_buffer made = {0};
    int code = STEM_OK;

    stem_buffer_add(&made, server->scope.data, server->scope.len);
    if (user)
        code = add_scope(&made, user->scope);
    if (code == STEM_OK)
        code = add_wanted_scope(&made, scope);
    code = check_made(&made, code);
    if (code != STEM_OK)
        return code;
    connection->user = user;
    settle(connection, &made);
    return STEM_OK;
}

void stem_connection_reset(stem_connection *connection)
{
    stem_server *server = connection->server;

    stem_connection_leave(connection);
    free(connection->name);
    connection->name = NULL;
    connection->output.version = 2;
    if (connection->reply_mode == STEM_REPLY_OFF) { /* SKIP holds for this one, too */
        connection->reply_mode = STEM_REPLY_ON;
        connection->has_muted = false;
    }
    if (!server->access) /* it sees what it did: a narrowed scope is not left so */
        return;
    stem_access_release(connection->access);
    connection->access = NULL;
    connection->user = NULL;
    connection->rights = 0;
    connection->is_authenticated = false;
    connection->caller.user = (stem_slice){0};
    connection->caller.can_admin = false;
    connection->since_ms = server->now_ms; /* it has as long to log in as a new one */
    stem_connection_disallow(connection);
}

int stem_connection_narrow(stem_connection *connection, const stem_slice *scope)
{
    stem_buffer made = {0};

    stem_buffer_add(&made, connection->scope, connection->scope_len);
    const int code = check_made(&made, add_wanted_scope(&made, scope));
    if (code == STEM_OK)
        settle(connection, &made);
    return code;
}

/* Those of a session stay with it. */
static void drop_snapshots(stem_connection *connection)
{
    if (connection->is_authenticated && !connection->has_session)
        stem_snapshots_drop_all(connection->server->snapshots, connection->caller.holder);
}

void stem_connection_leave(stem_connection *connection)
{
    if (!connection->is_authenticated)
        return;
    if (!connection->is_away && !connection->group)
        stem_connection_forget_transaction(connection);
    drop_snapshots(connection);
    if (connection->has_session)
        stem_sessions_leave(connection->server->sessions, &connection->session,
                            connection->slot, connection);
    /* What is under way for one that closes still looks at who it was. */
    if (connection->is_away || connection->group || connection->task)
        return;
    hold_as_connection(connection);
    connection->has_raw_keys = false;
}

void stem_connection_forget(stem_connection *connection)
{
    drop_snapshots(connection); /* what was under way as it closed may have opened one */
    stem_connection_forget_transaction(connection);
    free(connection->scope);
    free(connection->name);
    free(connection->library);
    free(connection->library_version);
    stem_access_release(connection->access);
    connection->scope = connection->name = NULL;
    connection->library = connection->library_version = NULL;
    connection->access = NULL;
    connection->user = NULL;
}

/* ---- Logging in ------------------------------------------------------------------- */

/* A login under way. The connection waits for it, and is not freed before it is over. */
struct stem_login_wait {
    stem_post post;
    stem_connection *connection;
    uint64_t ticket, since_ms;
    enum stem_login_outcome outcome;
    stem_access *access; /* counted, when granted */
    const stem_user *user;
    char *scope;
    size_t scope_len;
    bool has_scope;
    int hello;
};

static void free_wait(struct stem_login_wait *wait)
{
    stem_connection *connection = wait->connection;

    connection->login = NULL;
    connection->login_waited_ms += connection->server->now_ms - wait->since_ms;
    connection->server->input_bytes -= wait->scope_len;
    stem_access_release(wait->access);
    free(wait->scope);
    free(wait);
}

/* The user as the file has it by now; NULL when the line has changed meanwhile. */
static const stem_user *current(const stem_server *server, const stem_user *user)
{
    const stem_slice name = {user->name, strlen(user->name)};
    const stem_user *now = stem_access_find(server->access, name);

    return now && stem_user_equal(now, user) ? now : NULL;
}

static void reply_refused(stem_connection *connection, enum stem_login_outcome outcome)
{
    stem_reply *reply = &connection->output;

    switch (outcome) {
    case STEM_LOGIN_TOO_MANY:
        stem_reply_error(reply, "BUSY too many failed logins, try again later");
        break;
    case STEM_LOGIN_STOPPED:
        stem_reply_error(reply, "BUSY the server is shutting down");
        break;
    case STEM_LOGIN_FAILED:
        stem_reply_failure(reply, STEM_ENOMEM);
        break;
    default:
        stem_reply_error(reply,
                         "WRONGPASS invalid username-password pair or user is disabled.");
        break;
    }
    connection->server->metrics.failed_logins++;
}

static void become(stem_connection *connection, const stem_user *user,
                   const stem_slice *scope, int hello)
{
    stem_server *server = connection->server;

    if (stem_connection_be(connection, user, scope) != STEM_OK) {
        stem_reply_error(&connection->output, "INVALID the scope is no canonical path");
        return;
    }
    if (user) {
        stem_access *before = connection->access;

        connection->access = stem_access_retain(server->access);
        stem_access_release(before);
    }
    if (hello != 0)
        connection->output.version = hello;
    if (hello != 0)
        stem_connection_greet(connection);
    else
        stem_reply_status(&connection->output, "OK");
}

static void finish_login(stem_post *post)
{
    struct stem_login_wait *wait = (struct stem_login_wait *)post;
    stem_connection *connection = wait->connection;
    const stem_user *user = wait->user ? current(connection->server, wait->user) : NULL;
    const stem_slice scope = {wait->scope, wait->scope_len};

    connection->server->n_tasks--;
    if (!connection->is_dead) {
        if (wait->outcome == STEM_LOGIN_GRANTED && user)
            become(connection, user, wait->has_scope ? &scope : NULL, wait->hello);
        else
            reply_refused(connection, wait->outcome);
    }
    free_wait(wait);
    stem_connection_make_ready(connection);
}

/* On a thread of the pool's. */
static void on_login(void *argument, enum stem_login_outcome outcome,
                     const stem_user *user)
{
    struct stem_login_wait *wait = argument;

    wait->outcome = outcome;
    wait->user = user;
    if (!user) { /* nothing of the list is needed any more */
        stem_access_release(wait->access);
        wait->access = NULL;
    }
    wait->post.run = finish_login;
    stem_server_post(wait->connection->server, &wait->post);
}

static struct stem_login_wait *make_wait(stem_connection *connection,
                                         const stem_slice *scope, int hello)
{
    struct stem_login_wait *wait = calloc(1, sizeof *wait);

    if (!wait)
        return NULL;
    wait->connection = connection;
    wait->since_ms = connection->server->now_ms;
    wait->hello = hello;
    wait->has_scope = scope != NULL;
    if (scope) {
        wait->scope = malloc(scope->len + 1);
        if (!wait->scope) {
            free(wait);
            return NULL;
        }
        memcpy(wait->scope, scope->data, scope->len);
        wait->scope_len = scope->len;
        connection->server->input_bytes += scope->len;
    }
    wait->access = stem_access_retain(connection->server->access);
    connection->login = wait;
    return wait;
}

void stem_connection_login(stem_connection *connection, stem_slice name,
                           stem_slice password, const stem_slice *scope, int hello)
{
    stem_server *server = connection->server;

    if (scope && !stem_connection_may_hold(connection, scope->len)) {
        stem_reply_error(&connection->output, stem_input_is_full);
        return;
    }
    struct stem_login_wait *wait = make_wait(connection, scope, hello);
    if (!wait) {
        stem_reply_failure(&connection->output, STEM_ENOMEM);
        return;
    }
    const stem_login_request request = {.access = server->access,
                                        .user = name,
                                        .password = password,
                                        .peer = connection->peer,
                                        .done = on_login,
                                        .argument = wait};
    server->n_tasks++;
    const enum stem_login_outcome outcome =
        stem_login_start(server->login, &request, &wait->ticket);
    if (outcome == STEM_LOGIN_WAITS)
        return;
    server->n_tasks--;
    free_wait(wait);
    reply_refused(connection, outcome);
}

void stem_connection_abandon_login(stem_connection *connection)
{
    struct stem_login_wait *wait = connection->login;

    if (!wait || !stem_login_cancel(connection->server->login, wait->ticket))
        return;
    connection->server->n_tasks--;
    free_wait(wait);
}
