/*
 * The commands of Redis's strings: GET, SET and their kin. command_counter.c has those that
 * count.
 */
#include <stdlib.h>

#include "../buffer.h"
#include "../error.h"
#include "command_rows.h"
#include "command_value.h"

/* The most that is admitted of one key and the text that it is to hold. */
static bool admits_text(stem_request *request, stem_slice key, size_t len, size_t *bytes)
{
    return stem_request_admits(request, key, stem_text_encoded_most(len), bytes);
}

/* Stores a text under a key, and replies when it is too large; `*is_put` tells. */
static int put_text(stem_request *request, stem_slice key, stem_slice text, bool *is_put)
{
    size_t bytes = stem_execution_own_bytes(request->on);

    *is_put = admits_text(request, key, text.len, &bytes);
    if (!*is_put)
        return STEM_OK;
    const stem_value value = stem_value_of_text(text);
    return stem_request_put(request, key, &value);
}

/* ---- Reading ---------------------------------------------------------------------- */

int stem_run_get(stem_request *request)
{
    stem_slice key;
    stem_text text;
    int code;

    if (stem_request_has_text(request, &key, &text, &code))
        stem_reply_value(request->reply, &text);
    return code;
}

int stem_run_strlen(stem_request *request)
{
    enum stem_text_kind kind;
    stem_slice key;
    stem_look look;
    size_t len;
    int code;

    if (!stem_request_has_key(request, 1, &key, &code))
        return code;
    code = stem_execution_look(request->on, key, &look);
    if (code == STEM_OK)
        code = stem_text_len(&look, &kind, &len);
    if (code != STEM_OK)
        return code;
    if (kind == STEM_TEXT_OTHER)
        stem_reply_error(request->reply, stem_wrong_type);
    else
        stem_reply_integer(request->reply, (int64_t)len);
    return STEM_OK;
}

/* Adds one value of MGET. */
static int add_value(void *context, stem_slice stored)
{
    stem_request *request = context;
    stem_text text;

    int code = stem_text_make(stored, &text);
    if (code != STEM_OK)
        return code;
    if (text.kind == STEM_TEXT_OTHER)
        stem_reply_null(request->reply);
    else
        stem_reply_value(request->reply, &text);
    return stem_request_goes_on(request);
}

int stem_run_mget(stem_request *request)
{
    stem_slice *keys;
    size_t n;
    int code;

    if (!stem_request_has_keys(request, 1, 1, &keys, &n, &code))
        return code;
    stem_reply_array(request->reply, n);
    return stem_execution_read_each(request->on, NULL, keys, n, add_value, request);
}

/* ---- SET -------------------------------------------------------------------------- */

enum set_option {
    SET_NX = 1,
    SET_XX = 2,
    SET_GET = 4,
    SET_KEEPTTL = 8,
    SET_EX = 16,
    SET_PX = 32,
    SET_EXAT = 64,
    SET_PXAT = 128,
    SET_EXPIRES = SET_EX | SET_PX | SET_EXAT | SET_PXAT
};

/* An option of SET, the words that it takes, and which it does not go together with. */
static const struct option {
    const char *name;
    unsigned bit, excludes;
    size_t n_words;
} options[] = {
    {"NX", SET_NX, SET_XX, 1},
    {"XX", SET_XX, SET_NX, 1},
    {"GET", SET_GET, 0, 1},
    {"KEEPTTL", SET_KEEPTTL, SET_EXPIRES, 1},
    {"EX", SET_EX, SET_KEEPTTL | (SET_EXPIRES & ~SET_EX), 2},
    {"PX", SET_PX, SET_KEEPTTL | (SET_EXPIRES & ~SET_PX), 2},
    {"EXAT", SET_EXAT, SET_KEEPTTL | (SET_EXPIRES & ~SET_EXAT), 2},
    {"PXAT", SET_PXAT, SET_KEEPTTL | (SET_EXPIRES & ~SET_PXAT), 2},
};

static const struct option *find_option(stem_slice word)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (stem_word_is(word, options[i].name))
            return &options[i];
    }
    return NULL;
}

/* The options of a request; false after having replied with an error. */
static bool read_options(stem_request *request, unsigned *set)
{
    enum { FIRST_OPTION = 3 };
    size_t i = FIRST_OPTION;

    *set = 0;
    while (i < request->n_args) {
        const struct option *option = find_option(request->args[i]);

        if (!option || (*set & option->excludes) ||
            request->n_args - i < option->n_words) {
            stem_reply_error(request->reply, stem_syntax_error);
            return false;
        }
        *set |= option->bit;
        i += option->n_words;
    }
    if (*set & SET_EXPIRES) {
        stem_reply_error(request->reply,
                         "ERR expiry is not supported: Stem's keys do not expire");
        return false;
    }
    return true;
}

/* SET with NX or XX, which rests on whether there is the key. */
static int set_conditionally(stem_request *request, stem_slice key, unsigned set)
{
    bool exists, is_put = true;

    int code = stem_execution_has(request->on, &key, 1, &exists);
    if (code != STEM_OK)
        return code;
    if (exists == ((set & SET_NX) != 0)) {
        stem_reply_null(request->reply);
        return STEM_OK;
    }
    code = put_text(request, key, request->args[2], &is_put);
    if (code == STEM_OK && is_put)
        stem_reply_status(request->reply, "OK");
    return code;
}

/* SET with GET, and GETSET. */
static int set_reading(stem_request *request, stem_slice key, unsigned set)
{
    stem_reply *reply = request->reply;
    stem_text before;
    bool is_put = true;

    int code = stem_text_of_key(request, key, &before);
    if (code != STEM_OK)
        return code;
    const bool exists = before.kind != STEM_TEXT_ABSENT;
    const bool is_refused = (set & SET_NX && exists) || (set & SET_XX && !exists);
    if (before.kind == STEM_TEXT_OTHER) {
        stem_reply_error(reply, stem_wrong_type);
        return STEM_OK;
    }
    if (!is_refused)
        code = put_text(request, key, request->args[2], &is_put);
    if (code != STEM_OK || !is_put)
        return code;
    stem_reply_value(reply, &before);
    return STEM_OK;
}

int stem_run_set(stem_request *request)
{
    stem_slice key;
    unsigned set;
    bool is_put;
    int code;

    if (!read_options(request, &set))
        return STEM_OK;
    if (!stem_request_has_key(request, 1, &key, &code))
        return code;
    if (set & SET_GET)
        return set_reading(request, key, set);
    if (set & (SET_NX | SET_XX))
        return set_conditionally(request, key, set);
    code = put_text(request, key, request->args[2], &is_put);
    if (code == STEM_OK && is_put)
        stem_reply_status(request->reply, "OK");
    return code;
}

int stem_run_getset(stem_request *request)
{
    stem_slice key;
    int code;

    if (!stem_request_has_key(request, 1, &key, &code))
        return code;
    return set_reading(request, key, SET_GET);
}

int stem_run_setnx(stem_request *request)
{
    bool is_there, is_put;
    stem_slice key;
    int code;

    if (!stem_request_has_key(request, 1, &key, &code))
        return code;
    code = stem_execution_has(request->on, &key, 1, &is_there);
    if (code != STEM_OK)
        return code;
    if (is_there) {
        stem_reply_integer(request->reply, 0);
        return STEM_OK;
    }
    code = put_text(request, key, request->args[2], &is_put);
    if (code == STEM_OK && is_put)
        stem_reply_integer(request->reply, 1);
    return code;
}

int stem_run_getdel(stem_request *request)
{
    stem_slice key;
    stem_text before;
    int code;

    if (!stem_request_has_text(request, &key, &before, &code))
        return code;
    if (before.kind == STEM_TEXT_READ)
        code = stem_execution_delete(request->on, key);
    if (code == STEM_OK)
        stem_reply_value(request->reply, &before);
    return code;
}

/* ---- Many ------------------------------------------------------------------------- */

/* The keys of a request of keys and values in turn, once all of it can be written. */
static bool has_pairs(stem_request *request, stem_slice **keys, size_t *n, int *code)
{
    size_t bytes = stem_execution_own_bytes(request->on);

    *code = STEM_OK;
    if (request->n_args % 2 == 0) {
        stem_reply_arity(request->reply, stem_command_find(request->args[0]));
        return false;
    }
    if (!stem_request_has_keys(request, 1, 2, keys, n, code))
        return false;
    for (size_t i = 0; i < *n; i++) {
        if (!admits_text(request, (*keys)[i], request->args[2 + 2 * i].len, &bytes))
            return false;
    }
    return true;
}

static int put_pairs(stem_request *request, const stem_slice *keys, size_t n)
{
    int code = STEM_OK;

    for (size_t i = 0; i < n && code == STEM_OK; i++) {
        const stem_value value = stem_value_of_text(request->args[2 + 2 * i]);

        code = stem_request_put(request, keys[i], &value);
    }
    return code;
}

int stem_run_mset(stem_request *request)
{
    stem_slice *keys;
    size_t n;
    int code;

    if (!has_pairs(request, &keys, &n, &code))
        return code;
    code = put_pairs(request, keys, n);
    if (code == STEM_OK)
        stem_reply_status(request->reply, "OK");
    return code;
}

int stem_run_msetnx(stem_request *request)
{
    bool *is_there, exists = false;
    stem_slice *keys;
    size_t n;
    int code;

    if (!has_pairs(request, &keys, &n, &code))
        return code;
    code = stem_request_has(request, keys, n, &is_there);
    for (size_t i = 0; i < n && code == STEM_OK; i++)
        exists |= is_there[i];
    if (code == STEM_OK && !exists)
        code = put_pairs(request, keys, n);
    if (code == STEM_OK)
        stem_reply_integer(request->reply, !exists);
    return code;
}

/* ---- APPEND ----------------------------------------------------------------------- */

/* The text and the word behind it, stored as SET would. */
static int put_joined(stem_request *request, stem_slice key, stem_slice before,
                      stem_slice word, bool *is_put)
{
    stem_buffer joined = {0};

    stem_buffer_room(&joined, before.len + word.len);
    if (joined.failed)
        return stem_fail(STEM_ENOMEM, "no memory for a text of %zu bytes",
                         before.len + word.len);
    if (before.len > 0)
        memcpy(joined.data, before.data, before.len);
    if (word.len > 0)
        memcpy(joined.data + before.len, word.data, word.len);
    int code = put_text(request, key, (stem_slice){joined.data, joined.len}, is_put);
    free(joined.data);
    return code;
}

int stem_run_append(stem_request *request)
{
    const stem_slice word = request->args[2];
    stem_slice key;
    stem_text before;
    bool is_put = true;
    int code;

    if (!stem_request_has_text(request, &key, &before, &code))
        return code;
    if (before.kind == STEM_TEXT_OTHER) {
        stem_reply_error(request->reply, stem_wrong_type);
        return STEM_OK;
    }
    if (word.len > 0 || before.kind == STEM_TEXT_ABSENT)
        code = put_joined(request, key, before.bytes, word, &is_put);
    if (code == STEM_OK && is_put)
        stem_reply_integer(request->reply, (int64_t)(before.bytes.len + word.len));
    return code;
}
