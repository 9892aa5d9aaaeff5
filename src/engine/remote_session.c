/*
 * Calls over the slots of a session.
 *
 * A connection that breaks is replaced, and the call repeated, until its time is over. What
 * must never happen is a commit that is applied twice: it is repeated only in the session in
 * which it was sent, under the same number; where that is not possible, nothing is sent, and
 * the answer is that it is not known.
 */
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "remote_engine.h"

enum {
    FAREWELL_MS = 1000,
    FIRST_PAUSE_MS = 1,
    RENEWALS_MAX = 3, /* of the session, for one call */
    BUSY_MAX = 9,     /* times that a server may say so, some 200 ms in all */
    BROKEN_MAX = 3,   /* connections, while it is opened */
    SLOTS_MAX = 1024
};

/* A call on its way. */
typedef struct attempt {
    remote_engine *engine;
    remote_slot *slot;
    const stem_remote_request *request;
    enum stem_remote_call_kind kind;
    stem_remote_clock *clock;
    stem_remote_reply *reply;
    bool may_be_applied; /* a commit that was sent and not answered */
    uint64_t sent_in;    /* the session, then */
    bool is_answered;
    unsigned renewals, times_busy;
    unsigned pause_ms; /* the last; 0 before the first */
    int hopeless;      /* the failure for which it is given up, or STEM_OK */
} attempt;

int stem_remote_misunderstood(const remote_engine *engine)
{
    return stem_fail(STEM_EIO, "%s gave an answer that is none to what was asked",
                     engine->peer.location.text);
}

bool stem_remote_copy_id(char to[STEM_REMOTE_ID_MAX + 1], stem_slice id)
{
    if (id.len == 0 || id.len > STEM_REMOTE_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (id.data[i] <= ' ' || id.data[i] > '~')
            return false;
    memcpy(to, id.data, id.len);
    to[id.len] = '\0';
    return true;
}

static void drop(remote_slot *slot)
{
    stem_remote_connection_close(slot->connection);
    slot->connection = NULL;
    slot->session = 0;
}

/* ---- Attaching -------------------------------------------------------------------- */

/* Puts the server's name before a cause that the connection alone has said. */
static void name_server(const remote_engine *engine)
{
    stem_failure_set(stem_errcode(), "%s: %s", engine->peer.location.text, stem_errmsg());
}

/* `id` is a session's, or NEW. */
static int send_attach(remote_engine *engine, remote_slot *slot, const char *id,
                       stem_remote_clock *clock, stem_remote_reply *reply)
{
    stem_remote_request request = {.n_long = 0};
    bool was_sent;

    stem_remote_request_begin(&request, 4);
    stem_remote_request_text(&request, "STEM.ATTACH");
    stem_remote_request_text(&request, "1");
    stem_remote_request_number(&request, slot->index);
    stem_remote_request_text(&request, id);
    int code = stem_remote_exchange(slot->connection, &request, clock, reply, &was_sent);
    stem_remote_request_free(&request);
    if (code != STEM_OK) {
        name_server(engine);
        return code;
    }
    if (reply->is_array)
        return STEM_OK;
    if (stem_remote_reply_is_error(reply, "NOSESSION"))
        return STEM_REMOTE_NO_SESSION;
    code = stem_remote_refusal(&engine->peer, reply);
    return stem_remote_is_busy(reply) ? STEM_REMOTE_REFUSED : code;
}

static int make_slots(remote_engine *engine, size_t n)
{
    engine->slots = calloc(n, sizeof *engine->slots);
    engine->free_slots = calloc(n, sizeof(remote_slot *));
    if (!engine->slots || !engine->free_slots)
        return stem_fail(STEM_ENOMEM, "no memory for %zu connections", n);
    for (size_t i = 0; i < n; i++)
        engine->slots[i].index = i;
    while (engine->n_free < n) {
        engine->free_slots[engine->n_free] = &engine->slots[n - 1 - engine->n_free];
        engine->n_free++;
    }
    engine->n_slots = n;
    return STEM_OK;
}

/* A limit that a server may leave out. */
static size_t limit_at(const stem_remote_reply *reply, size_t i)
{
    return i < reply->n && reply->items[i].kind == STEM_REPLY_INTEGER &&
                   reply->items[i].as.integer > 0
               ? (size_t)reply->items[i].as.integer
               : SIZE_MAX;
}

/* Takes over what the server says of a session: its id, and of the first the slots and the
 * limits, which stay. */
static int read_attached(remote_engine *engine, const stem_remote_reply *reply)
{
    enum { ID, SLOTS, KEY, VALUE, COMMIT, N_ITEMS, REQUEST = N_ITEMS, WORDS };
    const stem_remote_item *items = reply->items;
    bool is_right = reply->n >= N_ITEMS && items[ID].kind == STEM_REPLY_STRING;

    for (size_t i = SLOTS; i < N_ITEMS && is_right; i++)
        is_right = items[i].kind == STEM_REPLY_INTEGER && items[i].as.integer > 0;
    if (!is_right ||
        !stem_remote_copy_id(engine->session_id, stem_remote_reply_text(reply, ID)))
        return stem_remote_misunderstood(engine);
    if (engine->slots)
        return STEM_OK;
    engine->base.max_key_bytes = (size_t)items[KEY].as.integer;
    engine->base.max_value_bytes = (size_t)items[VALUE].as.integer;
    engine->base.max_commit_bytes = (size_t)items[COMMIT].as.integer;
    engine->max_request_bytes = limit_at(reply, REQUEST);
    engine->max_words = limit_at(reply, WORDS);
    engine->base.max_commit_items = stem_remote_items_in(engine->max_words);
    const size_t n =
        items[SLOTS].as.integer < SLOTS_MAX ? (size_t)items[SLOTS].as.integer : SLOTS_MAX;
    return make_slots(engine, n);
}

/* The engine's time limit from now on, or what is left of a call's where that is less. */
static stem_remote_clock shorter_clock(const remote_engine *engine,
                                       const stem_remote_clock *clock)
{
    const stem_remote_clock usual = stem_remote_clock_start(engine->timeout_ms);

    return clock->deadline_ns < usual.deadline_ns ? *clock : usual;
}

/* A new session in place of number `old`, unless another thread has made one. All calls wait
 * for it: for no longer than calls wait, also when this one may take longer. */
static int renew_session(remote_engine *engine, remote_slot *slot, uint64_t old,
                         const stem_remote_clock *clock)
{
    stem_remote_reply reply = {.is_packed = true};
    int code = STEM_REMOTE_NO_SESSION;

    pthread_mutex_lock(&engine->session_lock);
    if (engine->session == old) {
        stem_remote_clock limited = shorter_clock(engine, clock);

        code = send_attach(engine, slot, "NEW", &limited, &reply);
        if (code == STEM_OK)
            code = read_attached(engine, &reply);
        if (code == STEM_OK)
            slot->session = ++engine->session;
    }
    pthread_mutex_unlock(&engine->session_lock);
    stem_remote_reply_free(&reply);
    return code;
}

static uint64_t current_session(remote_engine *engine, char id[STEM_REMOTE_ID_MAX + 1])
{
    pthread_mutex_lock(&engine->session_lock);
    const uint64_t current = engine->session;
    memcpy(id, engine->session_id, sizeof engine->session_id);
    pthread_mutex_unlock(&engine->session_lock);
    return current;
}

/* A server that has lost the record of a session may remember the session: to attach to it once
 * more would lead to the same answer. */
static void lose_session(remote_engine *engine, uint64_t which)
{
    pthread_mutex_lock(&engine->session_lock);
    if (engine->session == which)
        *engine->session_id = '\0';
    pthread_mutex_unlock(&engine->session_lock);
}

/* Attaches the connection to the session; where that is gone, to a new one, unless it is a
 * commit of the old one that is on its way. STEM_REMOTE_NO_SESSION: once more, or never. */
static int attach(attempt *call)
{
    char id[STEM_REMOTE_ID_MAX + 1];
    stem_remote_reply reply = {.is_packed = true};
    remote_slot *slot = call->slot;
    int code = STEM_REMOTE_NO_SESSION;

    const uint64_t current = current_session(call->engine, id);
    if (slot->session == current)
        return STEM_OK;
    if (call->may_be_applied && call->sent_in != current)
        return STEM_REMOTE_NO_SESSION;
    if (*id)
        code = send_attach(call->engine, slot, id, call->clock, &reply);
    stem_remote_reply_free(&reply);
    if (code == STEM_OK)
        slot->session = current;
    if (code == STEM_REMOTE_NO_SESSION && !call->may_be_applied)
        code = renew_session(call->engine, slot, current, call->clock);
    return code;
}

/* A slot with a connection that is attached. */
static int make_ready(attempt *call)
{
    remote_slot *slot = call->slot;

    if (slot->connection &&
        !stem_remote_connection_is_fresh(slot->connection, call->clock->started_ns))
        drop(slot);
    if (!slot->connection) {
        int code = stem_remote_connection_open(&call->engine->peer, call->clock,
                                               &slot->connection);
        if (code != STEM_OK)
            return code;
    }
    return attach(call);
}

/* ---- Calling ---------------------------------------------------------------------- */

/* Whether an error proves that a commit was not applied. When it has been sent before, only
 * what is answered after the number was looked up does. */
static bool is_proof(const attempt *call)
{
    return !call->may_be_applied || stem_remote_reply_is_error(call->reply, "CONFLICT");
}

static int judge_reply(attempt *call)
{
    if (call->reply->is_array || !stem_remote_reply_is(call->reply, STEM_REPLY_ERROR)) {
        call->is_answered = true;
        return STEM_OK;
    }
    if (stem_remote_reply_is_error(call->reply, "NOSESSION")) {
        stem_failure_set(STEM_EIO, "%s has ended the session",
                         call->engine->peer.location.text);
        lose_session(call->engine, call->sent_in);
        drop(call->slot);
        return STEM_REMOTE_NO_SESSION;
    }
    if (stem_remote_reply_is_error(call->reply, "BUSY")) {
        stem_remote_refusal(&call->engine->peer, call->reply);
        return STEM_REMOTE_BUSY;
    }
    call->is_answered = is_proof(call);
    return call->kind == STEM_REMOTE_COMMIT &&
                   stem_remote_reply_is_error(call->reply, "CONFLICT")
               ? STEM_CONFLICT
               : stem_remote_refusal(&call->engine->peer, call->reply);
}

static int try_once(attempt *call)
{
    const uint64_t deadline_ns = call->clock->deadline_ns;
    bool was_sent;

    int code = make_ready(call);
    if (code != STEM_OK) {
        if (code != STEM_REMOTE_NO_SESSION)
            drop(call->slot);
        return code;
    }
    call->sent_in = call->slot->session;
    code = stem_remote_exchange(call->slot->connection, call->request, call->clock,
                                call->reply, &was_sent);
    if (code == STEM_OK)
        return judge_reply(call);
    /* What has moved in vain is no reason to go on for longer. */
    call->clock->deadline_ns = deadline_ns;
    name_server(call->engine);
    drop(call->slot);
    call->may_be_applied |= was_sent && call->kind == STEM_REMOTE_COMMIT;
    return code;
}

/* Waits as long as is said, and has the next time be longer; false when time is up. */
static bool pause_for(const remote_engine *engine, const stem_remote_clock *clock,
                      unsigned *next_ms)
{
    const unsigned longest_ms = engine->longest_pause_ms, pause_ms = *next_ms;

    if (stem_remote_clock_left(clock) <= (int)pause_ms)
        return false;
    nanosleep(&(struct timespec){.tv_nsec = (long)pause_ms * 1000000}, NULL);
    *next_ms = pause_ms == 0               ? FIRST_PAUSE_MS
               : pause_ms < longest_ms / 2 ? 2 * pause_ms
                                           : longest_ms;
    return true;
}

/* Waits before the next attempt, not before the second; false when time is up, or when there is
 * nothing to be waited for. */
static bool pause_before_next(attempt *call)
{
    const stem_remote_outlook *outlook = &call->engine->outlook;

    if (outlook->ask)
        call->hopeless = outlook->ask(outlook->context);
    return call->hopeless == STEM_OK &&
           pause_for(call->engine, call->clock, &call->pause_ms);
}

static bool is_worth_repeating(attempt *call, int code)
{
    if (call->kind == STEM_REMOTE_FAREWELL)
        return false;
    if (code == STEM_REMOTE_NO_SESSION)
        return !call->may_be_applied && ++call->renewals <= RENEWALS_MAX;
    if (code == STEM_REMOTE_BUSY && ++call->times_busy == BUSY_MAX)
        return false;
    return (stem_remote_is_broken(code) || code == STEM_REMOTE_BUSY) &&
           pause_before_next(call);
}

/* The code for the caller, whose text is that of the last attempt. */
static int conclude(const attempt *call, int code)
{
    if (call->may_be_applied && !call->is_answered)
        return stem_fail(STEM_EUNKNOWN, "whether it was applied is not known: %s",
                         code == STEM_REMOTE_NO_SESSION
                             ? "the server has lost the session"
                             : stem_errmsg());
    if (call->hopeless != STEM_OK)
        return call->hopeless;
    if (code == STEM_REMOTE_NO_SESSION)
        return stem_fail(STEM_EIO, "%s ends every session",
                         call->engine->peer.location.text);
    return stem_remote_is_broken(code) || code == STEM_REMOTE_LATE ||
                   code == STEM_REMOTE_BUSY
               ? STEM_EIO
               : code;
}

int stem_remote_run(remote_engine *engine, remote_slot *slot,
                    const stem_remote_request *request, enum stem_remote_call_kind kind,
                    stem_remote_clock *clock, stem_remote_reply *reply)
{
    attempt call = {.engine = engine,
                    .slot = slot,
                    .request = request,
                    .kind = kind,
                    .clock = clock,
                    .reply = reply};
    stem_failure before;
    int code;

    stem_failure_save(&before);
    do
        code = try_once(&call);
    while (is_worth_repeating(&call, code));
    code = conclude(&call, code);
    if (code >= 0)
        stem_failure_restore(&before);
    return code;
}

/* ---- Slots ------------------------------------------------------------------------ */

int stem_remote_take(remote_engine *engine, stem_remote_clock *clock, remote_slot **slot)
{
    const struct timespec until = {(time_t)(clock->deadline_ns / 1000000000),
                                   (long)(clock->deadline_ns % 1000000000)};
    int cause = 0;

    pthread_mutex_lock(&engine->lock);
    while (engine->n_free == 0 && cause == 0)
        cause = pthread_cond_timedwait(&engine->slot_freed, &engine->lock, &until);
    const bool is_found = engine->n_free > 0;
    if (is_found)
        *slot = engine->free_slots[--engine->n_free];
    pthread_mutex_unlock(&engine->lock);
    return is_found
               ? STEM_OK
               : stem_fail(STEM_EIO, "all %zu connections to %s were in use for %zu ms",
                           engine->n_slots, engine->peer.location.text, clock->limit_ms);
}

void stem_remote_give(remote_engine *engine, remote_slot *slot)
{
    pthread_mutex_lock(&engine->lock);
    engine->free_slots[engine->n_free++] = slot;
    pthread_cond_signal(&engine->slot_freed);
    pthread_mutex_unlock(&engine->lock);
}

int stem_remote_call(remote_engine *engine, stem_remote_request *request,
                     enum stem_remote_call_kind kind, stem_remote_reply *reply)
{
    const size_t limit = kind == STEM_REMOTE_FAREWELL && engine->timeout_ms > FAREWELL_MS
                             ? FAREWELL_MS
                             : engine->timeout_ms;
    stem_remote_clock clock = stem_remote_clock_start(limit);
    remote_slot *slot;

    int code = stem_remote_take(engine, &clock, &slot);
    if (code == STEM_OK) {
        code = stem_remote_run(engine, slot, request, kind, &clock, reply);
        stem_remote_give(engine, slot);
    }
    stem_remote_request_free(request);
    return code;
}

/* ---- The session ------------------------------------------------------------------ */

static int start_once(remote_engine *engine, stem_remote_clock *clock)
{
    remote_slot first = {.index = 0};

    int code = stem_remote_connection_open(&engine->peer, clock, &first.connection);
    if (code == STEM_OK)
        code = renew_session(engine, &first, 0, clock);
    if (code == STEM_OK)
        engine->slots[0] = first;
    else
        drop(&first);
    return code;
}

/* A server that starts again is waited for; one that is there and breaks connections is tried a
 * few times: it may be about to end. A shared database's owner is found otherwise. */
int stem_remote_session_start(remote_engine *engine)
{
    stem_remote_clock clock = stem_remote_clock_start(engine->timeout_ms);
    unsigned pause_ms = FIRST_PAUSE_MS, times_broken = 0;
    stem_failure before;
    int code;

    stem_failure_save(&before);
    do {
        code = start_once(engine, &clock);
        times_broken += code == STEM_REMOTE_BROKEN;
    } while (!engine->outlook.ask &&
             (code == STEM_REMOTE_AWAY ||
              (code == STEM_REMOTE_BROKEN && times_broken < BROKEN_MAX)) &&
             pause_for(engine, &clock, &pause_ms));
    if (code == STEM_OK)
        stem_failure_restore(&before);
    return stem_remote_is_broken(code) || code == STEM_REMOTE_LATE ? STEM_EIO
           : code == STEM_REMOTE_NO_SESSION ? stem_remote_misunderstood(engine)
                                            : code;
}

/* Over a connection that is there; what cannot be said is found out by the server. */
static void say_goodbye(remote_engine *engine)
{
    stem_remote_request request = {.n_long = 0};
    stem_remote_reply reply = {.is_packed = true};
    stem_remote_clock clock = stem_remote_clock_start(
        engine->timeout_ms < FAREWELL_MS ? engine->timeout_ms : FAREWELL_MS);
    stem_failure before;
    bool was_sent;

    stem_failure_save(&before);
    stem_remote_request_begin(&request, 1);
    stem_remote_request_text(&request, "STEM.DETACH");
    for (size_t i = 0; i < engine->n_slots; i++) {
        const remote_slot *slot = &engine->slots[i];

        if (slot->connection && slot->session == engine->session &&
            stem_remote_exchange(slot->connection, &request, &clock, &reply, &was_sent) ==
                STEM_OK)
            break;
    }
    stem_remote_request_free(&request);
    stem_remote_reply_free(&reply);
    stem_failure_restore(&before);
}

void stem_remote_session_end(remote_engine *engine)
{
    say_goodbye(engine);
    for (size_t i = 0; i < engine->n_slots; i++)
        drop(&engine->slots[i]);
    free(engine->slots);
    free(engine->free_slots);
}
