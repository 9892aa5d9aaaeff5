/*
 * The commands about keys, whatever they hold. What lies below a key in a sub-database of its
 * name is no part of it, and stays.
 */
#include "../value.h"
#include "command_rows.h"
#include "command_value.h"

static bool is_same(stem_slice a, stem_slice b)
{
    return stem_slice_compare(a, b) == 0;
}

/* ---- Removing, asking ------------------------------------------------------------- */

int stem_run_del(stem_request *request)
{
    bool *is_there, is_left;
    stem_slice *keys;
    int64_t removed = 0;
    size_t n;
    int code;

    if (!stem_request_has_keys(request, 1, 1, &keys, &n, &code))
        return code;
    code = stem_request_has(request, keys, n, &is_there);
    for (size_t i = 0; i < n && code == STEM_OK; i++) {
        if (!is_there[i])
            continue;
        /* A key that is named again is there no more. */
        code = stem_execution_has(request->on, &keys[i], 1, &is_left);
        if (code == STEM_OK && is_left) {
            removed++;
            code = stem_execution_delete(request->on, keys[i]);
        }
    }
    if (code == STEM_OK)
        stem_reply_integer(request->reply, removed);
    return code;
}

int stem_run_exists(stem_request *request)
{
    bool *is_there;
    stem_slice *keys;
    int64_t found = 0;
    size_t n;
    int code;

    if (!stem_request_has_keys(request, 1, 1, &keys, &n, &code))
        return code;
    code = stem_request_has(request, keys, n, &is_there);
    for (size_t i = 0; i < n && code == STEM_OK; i++)
        found += is_there[i];
    if (code == STEM_OK)
        stem_reply_integer(request->reply, found);
    return code;
}

const char *stem_type_text(int type)
{
    switch (type) {
    case STEM_NIL:
        return "stem.nil";
    case STEM_TIME:
        return "stem.time";
    case STEM_EXT:
        return "stem.ext";
    case STEM_LIST:
        return "stem.list";
    case STEM_MAP:
        return "stem.map";
    case STEM_ARRAY:
        return "stem.array";
    default:
        return "string";
    }
}

int stem_run_type(stem_request *request)
{
    stem_slice key;
    stem_look look;
    int type;
    int code;

    if (!stem_request_has_key(request, 1, &key, &code))
        return code;
    code = stem_execution_look(request->on, key, &look);
    if (code == STEM_OK && look.is_there)
        code = stem_value_peek_type(look.head.data, look.head.len, &type);
    if (code == STEM_OK)
        stem_reply_status(request->reply, look.is_there ? stem_type_text(type) : "none");
    return code;
}

/* ---- Renaming, copying ------------------------------------------------------------ */

/* Stores the bytes under the second key, where they fit; `*is_put` tells, and where not an
 * error was replied. With `moves` the first is removed. */
static int put_stored(stem_request *request, const stem_slice *keys, stem_slice stored,
                      bool moves, bool *is_put)
{
    size_t bytes = stem_execution_own_bytes(request->on) + (moves ? keys[0].len : 0);

    *is_put = stem_request_admits(request, keys[1], stored.len, &bytes);
    if (!*is_put)
        return STEM_OK;
    int code = stem_execution_put_own(request->on, keys[1], stored);
    return code == STEM_OK && moves ? stem_execution_delete(request->on, keys[0]) : code;
}

/* The keys in the first two words. */
static bool has_two_keys(stem_request *request, stem_slice keys[2], int *code)
{
    return stem_request_has_key(request, 1, &keys[0], code) &&
           stem_request_has_key(request, 2, &keys[1], code);
}

int stem_run_rename(stem_request *request)
{
    stem_slice keys[2], stored;
    bool is_put = true;
    int code;

    if (!has_two_keys(request, keys, &code))
        return code;
    code = stem_execution_read(request->on, keys, 1, &stored);
    if (code != STEM_OK)
        return code;
    if (!stored.data) {
        stem_reply_error(request->reply, "ERR no such key");
        return STEM_OK;
    }
    if (!is_same(keys[0], keys[1]))
        code = put_stored(request, keys, stored, true, &is_put);
    if (code == STEM_OK && is_put)
        stem_reply_status(request->reply, "OK");
    return code;
}

int stem_run_renamenx(stem_request *request)
{
    bool is_there[2], is_put = true;
    stem_slice keys[2], stored = {NULL, 0};
    int code;

    if (!has_two_keys(request, keys, &code))
        return code;
    code = stem_execution_has(request->on, keys, 2, is_there);
    if (code != STEM_OK)
        return code;
    if (!is_there[0]) {
        stem_reply_error(request->reply, "ERR no such key");
        return STEM_OK;
    }
    if (!is_there[1])
        code = stem_execution_read(request->on, keys, 1, &stored);
    if (code == STEM_OK && !is_there[1])
        code = put_stored(request, keys, stored, true, &is_put);
    if (code == STEM_OK && is_put)
        stem_reply_integer(request->reply, !is_there[1]);
    return code;
}

/* The options of COPY; false after having replied with an error. */
static bool read_copy_options(stem_request *request, bool *replaces)
{
    enum { FIRST_OPTION = 3 };
    const char *error = NULL;

    *replaces = false;
    for (size_t i = FIRST_OPTION; i < request->n_args && !error; i++) {
        int64_t database;

        if (stem_word_is(request->args[i], "REPLACE"))
            *replaces = true;
        else if (!stem_word_is(request->args[i], "DB") || ++i == request->n_args)
            error = stem_syntax_error;
        else if (!stem_text_is_int(request->args[i], &database))
            error = stem_no_integer;
        else if (database < INT32_MIN || database > INT32_MAX)
            error = "ERR value is out of range, value must between -2147483648 and "
                    "2147483647";
        else if (database != 0)
            error = "ERR DB index is out of range";
    }
    if (error)
        stem_reply_error(request->reply, error);
    return !error;
}

int stem_run_copy(stem_request *request)
{
    bool replaces, is_there[2], is_put = true;
    stem_slice keys[2], stored;
    int code;

    if (!read_copy_options(request, &replaces))
        return STEM_OK;
    if (!has_two_keys(request, keys, &code))
        return code;
    if (is_same(keys[0], keys[1])) {
        stem_reply_error(request->reply,
                         "ERR source and destination objects are the same");
        return STEM_OK;
    }
    code = stem_execution_has(request->on, keys, 2, is_there);
    const bool is_copied = code == STEM_OK && is_there[0] && (replaces || !is_there[1]);
    if (is_copied)
        code = stem_execution_read(request->on, keys, 1, &stored);
    if (code == STEM_OK && is_copied)
        code = put_stored(request, keys, stored, false, &is_put);
    if (code == STEM_OK && is_put)
        stem_reply_integer(request->reply, is_copied);
    return code;
}
