/*
 * What the tests of commands share.
 */
#include "command_support.h"

#include <stdlib.h>

#include "value.h"

stem_engine *engine;
stem_execution *execution;
stem_slice request_scope;
bool has_raw_keys;
int protocol_version;

static stem_buffer last_reply;

void open_commands(void)
{
    assert_ok(stem_engine_acquire("mem:", &(stem_options){0}, NULL, &engine));
    execution = stem_execution_new(engine);
    ck_assert_ptr_nonnull(execution);
    request_scope = (stem_slice){NULL, 0};
    has_raw_keys = false;
    protocol_version = 2;
}

void close_commands(void)
{
    free(last_reply.data);
    last_reply = (stem_buffer){0};
    stem_execution_free(execution);
    assert_ok(stem_engine_release(engine));
}

static void run(const stem_slice *words, size_t n, stem_reply *reply)
{
    const stem_command *parent;
    const stem_command *command = stem_command_of(words, n, &parent);
    stem_request request = {.args = words,
                            .n_args = n,
                            .scope = request_scope,
                            .has_raw_keys = has_raw_keys,
                            .on = execution,
                            .reply = reply};

    ck_assert_ptr_nonnull(command);
    if (!stem_command_fits(command, n)) {
        stem_reply_arity(reply, command);
        return;
    }
    assert_ok(command->run(&request));
    if (reply->bytes.len > 0 && reply->bytes.data[0] == '-')
        ck_assert_uint_eq(stem_execution_writes(execution), 0);
    assert_ok(stem_execution_commit(execution, false));
}

stem_slice answer_to(const stem_slice *words, size_t n)
{
    stem_reply reply = {.version = protocol_version};

    run(words, n, &reply);
    stem_execution_reset(execution);
    ck_assert_uint_gt(reply.bytes.len, 0);
    stem_buffer_add(&reply.bytes, "", 1);
    ck_assert(!reply.bytes.failed);
    free(last_reply.data);
    last_reply = reply.bytes;
    return (stem_slice){last_reply.data, last_reply.len - 1};
}

const char *answer_to_texts(const char *const *words, size_t n)
{
    stem_slice *slices = calloc(n, sizeof *slices);

    for (size_t i = 0; i < n; i++)
        slices[i] = text_slice(words[i]);
    const char *text = answer_to(slices, n).data;
    free(slices);
    return text;
}

int stored_type(const char *key)
{
    const stem_slice name = text_slice(key);
    stem_read read;
    stem_value value;

    assert_ok(engine->ops->read(engine, NULL, &name, 1, &read));
    if (!read.data)
        return -1;
    assert_ok(stem_value_adopt(read.data, read.len, &value));
    const int type = value.type;
    stem_value_free(&value);
    return type;
}

void store(const char *key, stem_value value)
{
    size_t len, failed;
    char *bytes = stem_encode(&value, &len);

    ck_assert_ptr_nonnull(bytes);
    const stem_write write = {text_slice(key), {bytes, len}, false};
    const stem_commit commit = {.writes = &write, .n_writes = 1};
    assert_ok(engine->ops->commit(engine, &commit, &failed));
    free(bytes);
}
