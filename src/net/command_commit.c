/*
 * STEM.COMMIT: operations applied all or nothing, exactly once where the commit carries a
 * number. Everything that was sent is read before anything is judged, and judged before
 * anything is written: expectations see the database without the writes beside them.
 *
 * The number's record is read through the execution like any key, so that it cannot
 * change between this judgement and the write.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../error.h"
#include "../value.h"
#include "command_own.h"
#include "command_rows.h"
#include "command_value.h"
#include "sessions.h"

enum kind { PUT, PUTJSON, DEL, ABSENT, EQUAL, EMPTY, N_KINDS };

static const struct {
    const char *name;
    size_t n_words; /* behind the name */
} kinds[N_KINDS] = {{"PUT", 2},    {"PUTJSON", 2}, {"DEL", 1},
                    {"ABSENT", 1}, {"EQUAL", 2},   {"EMPTY", 2}};

typedef struct operation {
    enum kind kind;
    size_t at; /* the word of its name */
    stem_slice key, value;
    stem_bounds bounds; /* of EMPTY */
} operation;

typedef struct own_commit {
    stem_request *request;
    uint64_t number; /* 0: nobody repeats it */
    bool is_synced;
    operation *operations;
    size_t n_operations;
    size_t n_expectations, n_writes;

    /* The records of the session and of its slot, and then the keys of EQUAL, with what
     * they hold. */
    stem_slice *keys, *values;
    size_t n_keys;
    /* The keys of ABSENT, and whether they are there. */
    stem_slice *absent_keys;
    bool *is_there;
    size_t n_absent;
    char session_key[STEM_SESSION_KEY_LEN], slot_key[STEM_SLOT_KEY_LEN];
} own_commit;

/* ---- Reading what was sent -------------------------------------------------------- */

enum { HEAD_WORDS = 3 };

/* N_KINDS for a word that is none. */
static enum kind kind_of(stem_slice word)
{
    int kind = 0;

    while (kind < N_KINDS && !stem_word_is(word, kinds[kind].name))
        kind++;
    return (enum kind)kind;
}

static int read_kind(own_commit *commit, size_t at, enum kind *kind)
{
    const stem_request *request = commit->request;

    *kind = kind_of(request->args[at]);
    if (*kind == N_KINDS || request->n_args - at <= kinds[*kind].n_words)
        return stem_refuse_syntax(commit->request);
    return STEM_OK;
}

static int read_operation(own_commit *commit, size_t at, operation *read)
{
    stem_request *request = commit->request;

    *read = (operation){.at = at};
    int code = read_kind(commit, at, &read->kind);
    if (code != STEM_OK)
        return code;
    if (read->kind == EMPTY)
        return stem_request_bounds(request, at + 1, &read->bounds);
    code = stem_request_key_or_record(request, at + 1, &read->key);
    if (code != STEM_OK)
        return code;
    if (read->kind == PUT)
        return stem_request_packed(request, at + 2, &read->value);
    if (read->kind == PUTJSON)
        return stem_request_json(request, at + 2, &read->value);
    if (read->kind == EQUAL)
        read->value = request->args[at + 2];
    return STEM_OK;
}

static int read_operations(own_commit *commit)
{
    stem_request *request = commit->request;
    const size_t most = (request->n_args - HEAD_WORDS) / 2;
    size_t bytes = stem_execution_own_bytes(request->on);

    commit->operations =
        stem_execution_room(request->on, (most + 1) * sizeof *commit->operations);
    if (!commit->operations)
        return STEM_ENOMEM;
    for (size_t at = HEAD_WORDS; at < request->n_args;) {
        operation *read = &commit->operations[commit->n_operations];

        int code = read_operation(commit, at, read);
        if (code != STEM_OK)
            return code;
        at += 1 + kinds[read->kind].n_words;
        commit->n_operations++;
        commit->n_expectations += read->kind >= ABSENT;
        commit->n_writes += read->kind < ABSENT;
        if (read->kind < ABSENT &&
            !stem_request_admits(request, read->key, read->value.len, &bytes))
            return STEM_EINVAL;
    }
    return STEM_OK;
}

static int read_head(own_commit *commit)
{
    stem_request *request = commit->request;
    const stem_slice flags = request->args[2];

    if (!stem_read_number(request->args[1], &commit->number))
        return stem_refuse(request, "ERR number is not an integer or out of range");
    commit->is_synced = stem_word_is(flags, "SYNC");
    if (!commit->is_synced && !stem_word_is(flags, "-"))
        return stem_refuse_syntax(request);
    if (commit->number > 0 && !request->peer->session)
        return stem_refuse(request, "ERR number without a session: STEM.ATTACH first");
    return STEM_OK;
}

/* ---- The database as it is -------------------------------------------------------- */

/* Memory for all that is judged. */
static bool has_room(own_commit *commit)
{
    stem_execution *on = commit->request->on;
    const size_t n = commit->n_expectations, most = 2 + n;

    commit->keys = stem_execution_room(on, most * sizeof *commit->keys);
    commit->values = stem_execution_room(on, most * sizeof *commit->values);
    commit->absent_keys = stem_execution_room(on, n * sizeof *commit->absent_keys);
    commit->is_there = stem_execution_room(on, n * sizeof *commit->is_there);
    return commit->keys && commit->values && commit->absent_keys && commit->is_there;
}

static void list_keys(own_commit *commit)
{
    const stem_caller *peer = commit->request->peer;

    if (commit->number > 0) {
        stem_session_key(peer->session, commit->session_key);
        stem_slot_key(peer->session, peer->slot, commit->slot_key);
        commit->keys[commit->n_keys++] =
            (stem_slice){commit->session_key, sizeof commit->session_key};
        commit->keys[commit->n_keys++] =
            (stem_slice){commit->slot_key, sizeof commit->slot_key};
    }
    for (size_t i = 0; i < commit->n_operations; i++) {
        const operation *each = &commit->operations[i];

        if (each->kind == EQUAL)
            commit->keys[commit->n_keys++] = each->key;
        else if (each->kind == ABSENT)
            commit->absent_keys[commit->n_absent++] = each->key;
    }
}

/* All that is judged. That it is from one state the commit will tell. */
static int look(own_commit *commit)
{
    stem_execution *on = commit->request->on;
    int code = STEM_OK;

    if (!has_room(commit))
        return STEM_ENOMEM;
    list_keys(commit);
    if (commit->n_keys > 0)
        code = stem_execution_read(on, commit->keys, commit->n_keys, commit->values);
    if (code == STEM_OK && commit->n_absent > 0)
        code = stem_execution_has(on, commit->absent_keys, commit->n_absent,
                                  commit->is_there);
    return code;
}

/* A session that was made while the disk took no commit is stored with the first that it takes. */
static int store_session(const own_commit *commit)
{
    stem_request *request = commit->request;
    const stem_caller *peer = request->peer;
    stem_buffer record = {0};
    int code = STEM_OK;

    if (!stem_sessions_is_unstored(peer->sessions, peer->session, &record))
        return stem_refuse(request, "NOSESSION the session has ended");
    if (record.failed)
        code = stem_fail(STEM_ENOMEM, "no memory for the record of a session");
    else
        code = stem_execution_put(request->on, commit->keys[0],
                                  (stem_slice){record.data, record.len});
    free(record.data);
    return code;
}

/* Whether the slot has had this number already. */
static int judge_number(const own_commit *commit, bool *is_repeated)
{
    stem_request *request = commit->request;
    const stem_slice session = commit->values[0], last = commit->values[1];
    bool needs_copy;
    stem_value value;

    *is_repeated = false;
    if (!session.data)
        return store_session(commit);
    stem_sessions_note_stored(request->peer->sessions, request->peer->session);
    if (!last.data)
        return STEM_OK;
    if (stem_value_decode(last.data, last.len, &value, &needs_copy) != STEM_OK ||
        value.type != STEM_INT || value.as.integer < 1)
        return stem_fail(STEM_ECORRUPT, "the record of a session's slot is damaged");
    *is_repeated = (uint64_t)value.as.integer == commit->number;
    if ((uint64_t)value.as.integer > commit->number)
        return stem_refuse(request, "ERR number is smaller than the last of its slot");
    return STEM_OK;
}

static int refuse_conflict(stem_request *request, size_t expectation)
{
    char text[40];

    snprintf(text, sizeof text, "CONFLICT %zu", expectation);
    return stem_refuse(request, text);
}

static bool is_same(stem_slice a, stem_slice b)
{
    return a.len == b.len && stem_slice_compare(a, b) == 0;
}

static int judge_expectations(const own_commit *commit)
{
    const stem_slice *value = commit->values + (commit->number > 0 ? 2 : 0);
    const bool *is_there = commit->is_there;
    size_t index = 0;

    for (size_t i = 0; i < commit->n_operations; i++) {
        const operation *each = &commit->operations[i];
        const stem_engine_range *range = &each->bounds.range;
        bool holds = true;

        if (each->kind < ABSENT)
            continue;
        if (each->kind == EMPTY && !each->bounds.is_empty) {
            int code = stem_execution_is_empty(commit->request->on, range->start,
                                               range->end, &holds);

            if (code != STEM_OK)
                return code;
        } else if (each->kind == ABSENT) {
            holds = !*is_there++;
        } else if (each->kind == EQUAL) {
            holds = value->data && is_same(*value, each->value);
            value++;
        }
        if (!holds)
            return refuse_conflict(commit->request, index);
        index++;
    }
    return STEM_OK;
}

/* ---- Writing ---------------------------------------------------------------------- */

static int write_number(const own_commit *commit)
{
    const stem_value number = stem_int((int64_t)commit->number);
    unsigned char encoded[STEM_SMALL_ENCODED];
    const size_t len = stem_value_encode_small(&number, encoded);

    return stem_execution_put(commit->request->on, commit->keys[1],
                              (stem_slice){(char *)encoded, len});
}

static int write_all(const own_commit *commit)
{
    stem_execution *on = commit->request->on;
    int code = STEM_OK;

    for (size_t i = 0; i < commit->n_operations && code == STEM_OK; i++) {
        const operation *each = &commit->operations[i];

        if (each->kind == DEL)
            code = stem_execution_delete(on, each->key);
        else if (each->kind < ABSENT)
            code =
                stem_request_store(commit->request, each->key, each->value, each->at + 2);
    }
    return code;
}

static int run_judged(own_commit *commit)
{
    bool is_repeated = false;

    int code = look(commit);
    if (code == STEM_OK && commit->number > 0)
        code = judge_number(commit, &is_repeated);
    if (code == STEM_OK && !is_repeated) {
        code = judge_expectations(commit);
        if (code == STEM_OK)
            code = write_all(commit);
    }
    /* Of a repeated one too: an answer is only given to what is written, or synced, by then. */
    if (code == STEM_OK && commit->number > 0)
        code = write_number(commit);
    if (code == STEM_OK) {
        commit->request->wants_sync = commit->is_synced;
        stem_reply_status(commit->request->reply, "OK");
    }
    return code;
}

int stem_run_commit(stem_request *request)
{
    own_commit commit = {.request = request};

    int code = read_head(&commit);
    if (code == STEM_OK)
        code = read_operations(&commit);
    if (code != STEM_OK)
        return stem_answered(code);
    /* A refusal is as good as an OK: what it rests on must be what the engine has. */
    if (commit.number > 0 || commit.n_expectations > 0)
        stem_execution_insist(request->on);
    return stem_answered(run_judged(&commit));
}

bool stem_commit_expects(const stem_slice *args, size_t n_args)
{
    for (size_t i = HEAD_WORDS; i < n_args;) {
        const enum kind kind = kind_of(args[i]);

        if (kind == N_KINDS)
            return false; /* it will be refused */
        if (kind >= ABSENT)
            return true;
        i += 1 + kinds[kind].n_words;
    }
    return false;
}
