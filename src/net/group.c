/*
 * Writes that arrive together, as one commit of the engine's.
 *
 * Commands run as they come in, on one execution: each sees what those before it have
 * written. Their replies wait behind `output_safe` of their connections until the commit is written.
 * When another client has written what they read, all run again; when the commit fails none has
 * been applied, those that would have written are answered with the cause, and the others run
 * again without them.
 */
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "connection.h"

enum { MOST_MEMBERS = 4096, MOST_BYTES = 4 << 20, MOST_MEMORY = 32 << 20 };

/* A command, or with no `command` all that its connection has queued since MULTI. */
typedef struct member {
    stem_connection *from;
    const stem_command *command;
    size_t first_arg, n_args;
    size_t reply_start, reply_len; /* in the output of its connection */
    bool has_written, wants_sync;
} member;

struct stem_group {
    stem_server *server;
    stem_execution *execution;
    member *members;
    size_t n_members, members_capacity;
    stem_slice *args;
    size_t n_args, args_capacity;
    stem_connection *connections;
    bool wants_sync;
    uint64_t n_commits, n_conflicts, n_failures;
    stem_failure cause; /* of a commit that has failed */
};

stem_group *stem_group_new(stem_server *server)
{
    stem_group *group = calloc(1, sizeof *group);

    if (!group)
        return NULL;
    group->server = server;
    group->execution = stem_execution_new(server->engine);
    if (!group->execution) {
        free(group);
        return NULL;
    }
    return group;
}

void stem_group_free(stem_group *group)
{
    if (!group)
        return;
    stem_execution_free(group->execution);
    free(group->members);
    free(group->args);
    free(group);
}

bool stem_group_is_empty(const stem_group *group)
{
    return group->n_members == 0;
}

bool stem_group_is_full(const stem_group *group)
{
    return group->n_members >= MOST_MEMBERS ||
           stem_execution_bytes(group->execution) >= MOST_BYTES ||
           stem_execution_memory(group->execution) >= MOST_MEMORY;
}

bool stem_group_is_slow(const stem_group *group)
{
    return group->wants_sync;
}

/* ---- Running ---------------------------------------------------------------------- */

static void cut_out(stem_buffer *bytes, size_t start, size_t end)
{
    if (bytes->failed)
        return;
    memmove(bytes->data + start, bytes->data + end, bytes->len - end);
    bytes->len -= end - start;
}

/* EXEC: all or nothing of what is queued, but for commands that are wrong by themselves. */
static int run_transaction(member *of, stem_execution *on)
{
    stem_connection *from = of->from;
    const stem_transaction *transaction = &from->transaction;
    const stem_execution_mark mark = stem_execution_note(on);
    const size_t start = from->output.bytes.len;
    bool is_unchanged;

    int code = stem_transaction_judge(transaction, on, &is_unchanged);
    if (code != STEM_OK) {
        stem_output_fail(from, start, code);
        return code;
    }
    if (!is_unchanged) {
        stem_reply_null_array(&from->output);
        return STEM_OK;
    }
    stem_reply_array(&from->output, transaction->n_queued);
    for (size_t i = 0; i < transaction->n_queued; i++) {
        const stem_queued *each = &transaction->queued[i];
        const size_t start_of_each = from->output.bytes.len;

        if (each->reply) {
            stem_buffer_add(&from->output.bytes, each->reply, each->reply_len);
            if (!from->output.bytes.failed)
                continue;
            stem_execution_take_back(on, mark);
            stem_output_fail(from, start, STEM_ENOMEM);
            return STEM_ENOMEM;
        }
        code = stem_connection_run(from, each->command, each->args, each->n_args, on,
                                   &of->wants_sync);
        if (code != STEM_OK) { /* its error is that of them all */
            stem_execution_take_back(on, mark);
            cut_out(&from->output.bytes, start, start_of_each);
            return code;
        }
    }
    return STEM_OK;
}

static void run(stem_group *group, member *of)
{
    stem_connection *from = of->from;
    const size_t writes = stem_execution_note(group->execution).writes;

    stem_execution_begin(group->execution);
    of->reply_start = from->output.bytes.len;
    of->wants_sync = false;
    if (of->command)
        stem_connection_run(from, of->command, &group->args[of->first_arg], of->n_args,
                            group->execution, &of->wants_sync);
    else
        run_transaction(of, group->execution);
    of->reply_len = from->output.bytes.len - of->reply_start;
    of->has_written = stem_execution_note(group->execution).writes != writes;
    group->wants_sync |= of->wants_sync;
}

/* Forgets all replies and all that was read and written. */
static void forget_all(stem_group *group)
{
    stem_execution_reset(group->execution);
    group->wants_sync = false;
    for (stem_connection *each = group->connections; each; each = each->next_in_group)
        each->output.bytes.len = each->output_safe;
}

static void run_all_again(stem_group *group)
{
    forget_all(group);
    for (size_t i = 0; i < group->n_members; i++)
        run(group, &group->members[i]);
}

/* ---- Gathering -------------------------------------------------------------------- */

static bool make_room(void **items, size_t size, size_t wanted, size_t *capacity)
{
    size_t more = *capacity > 0 ? *capacity : 64;

    if (wanted <= *capacity)
        return true;
    while (more < wanted)
        more *= 2;
    void *grown = realloc(*items, more * size);
    if (!grown)
        return false;
    *items = grown;
    *capacity = more;
    return true;
}

static void enter(stem_group *group, stem_connection *from)
{
    if (from->group)
        return;
    from->group = group;
    from->output_safe = from->output.bytes.len;
    from->next_in_group = group->connections;
    group->connections = from;
}

static bool add(stem_group *group, member added, const stem_slice *args)
{
    void *members = group->members, *all_args = group->args;
    const bool has_room = make_room(&members, sizeof *group->members,
                                    group->n_members + 1, &group->members_capacity) &&
                          make_room(&all_args, sizeof *group->args,
                                    group->n_args + added.n_args, &group->args_capacity);

    group->members = members;
    group->args = all_args;
    if (!has_room)
        return false;
    if (added.n_args > 0)
        memcpy(group->args + group->n_args, args, added.n_args * sizeof *args);
    added.first_arg = group->n_args;
    group->n_args += added.n_args;
    group->members[group->n_members++] = added;
    enter(group, added.from);
    run(group, &group->members[group->n_members - 1]);
    return true;
}

bool stem_group_add(stem_group *group, stem_connection *from, const stem_command *command,
                    const stem_slice *args, size_t n_args)
{
    return add(group, (member){.from = from, .command = command, .n_args = n_args}, args);
}

bool stem_group_add_transaction(stem_group *group, stem_connection *from)
{
    return add(group, (member){.from = from}, NULL);
}

/* ---- Committing ------------------------------------------------------------------- */

static int commit_all(stem_group *group)
{
    const bool has_writes = stem_execution_writes(group->execution) > 0;

    int code = stem_execution_commit(group->execution, false);
    if (code == STEM_OK && has_writes)
        group->n_commits++;
    return code;
}

static void answer_with_failure(member *to, size_t start, int code)
{
    to->reply_start = start;
    stem_output_fail(to->from, start, code);
    to->reply_len = to->from->output.bytes.len - start;
    to->wants_sync = to->has_written = false;
}

/* Runs one for itself, and commits it. With a `failure`, a command that has written something
 * is answered with that instead. */
static void run_apart(stem_group *group, member *of, int failure)
{
    enum { ATTEMPTS = 10000 };
    const size_t start = of->from->output.bytes.len;
    int code = STEM_CONFLICT;

    for (int tries = 0; code == STEM_CONFLICT && tries < ATTEMPTS; tries++) {
        stem_execution_reset(group->execution);
        of->from->output.bytes.len = start;
        run(group, of);
        code = failure != STEM_OK && of->has_written ? failure : commit_all(group);
    }
    if (code == failure && code != STEM_OK)
        stem_failure_restore(&group->cause);
    if (code != STEM_OK)
        answer_with_failure(of, start, code);
}

/* Nothing was applied, as far as is known: those that would have written are answered with the
 * cause. The others may have
 * read what was not, and run again. */
static void answer_failure(stem_group *group, int code)
{
    group->n_failures++;
    stem_failure_save(&group->cause);
    forget_all(group);
    for (size_t i = 0; i < group->n_members; i++) {
        member *each = &group->members[i];

        if (each->has_written) {
            stem_failure_restore(&group->cause);
            answer_with_failure(each, each->from->output.bytes.len, code);
        } else {
            run_apart(group, each, code);
        }
    }
}

/* Each for itself: where together they are too large, or others write all the time. */
static void commit_apart(stem_group *group)
{
    forget_all(group);
    for (size_t i = 0; i < group->n_members; i++)
        run_apart(group, &group->members[i], STEM_OK);
}

/* What was written is not known to survive the machine. */
static void answer_unknown(stem_group *group)
{
    for (size_t i = group->n_members; i > 0; i--) {
        member *each = &group->members[i - 1];

        if (each->wants_sync)
            stem_output_replace(each->from, each->reply_start, each->reply_len,
                                STEM_EUNKNOWN);
    }
}

void stem_group_commit(stem_group *group)
{
    enum { ATTEMPTS = 8 };
    stem_engine *engine = group->server->engine;

    int code = commit_all(group);
    for (int tries = 1; code == STEM_CONFLICT && tries < ATTEMPTS; tries++) {
        group->n_conflicts++;
        run_all_again(group);
        code = commit_all(group);
    }
    if (code == STEM_CONFLICT || (code == STEM_EINVAL && group->n_members > 1))
        commit_apart(group);
    else if (code != STEM_OK)
        answer_failure(group, code);
    if (group->wants_sync && engine->ops->sync(engine) != STEM_OK)
        answer_unknown(group);
    stem_execution_reset(group->execution);
}

/* ---- Finishing -------------------------------------------------------------------- */

static void empty(stem_group *group)
{
    stem_metrics *metrics = &group->server->metrics;

    for (size_t i = 0; i < group->n_members; i++)
        if (!group->members[i].command)
            stem_connection_forget_transaction(group->members[i].from);
    metrics->commits += group->n_commits;
    metrics->commit_conflicts += group->n_conflicts;
    metrics->commit_failures += group->n_failures;
    group->n_commits = group->n_conflicts = group->n_failures = 0;
    group->n_members = group->n_args = 0;
    group->wants_sync = false;
    group->connections = NULL;
}

/* Those that found no group with room. */
static void wake_waiting(stem_server *server)
{
    if (!server->has_waiting)
        return;
    server->has_waiting = false;
    for (stem_connection *each = server->connections; each; each = each->next)
        if (each->waits_for_group && !each->group)
            stem_connection_make_ready(each);
}

void stem_group_finish(stem_group *group)
{
    stem_connection *each = group->connections;

    empty(group);
    while (each) {
        stem_connection *next = each->next_in_group;

        each->group = NULL;
        each->output_safe = SIZE_MAX;
        stem_connection_settle(each);
        each = next;
    }
    wake_waiting(group->server);
}
