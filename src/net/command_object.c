/*
 * OBJECT and MEMORY USAGE: how a value is stored.
 */
#include "command_own.h"
#include "command_rows.h"

/* What the key in the third word holds, without reading it. False when the command is to return
 * `*code`; for an absent key the reply is null. */
static bool has_look(stem_request *request, stem_slice *key, stem_look *look, int *code)
{
    if (!stem_request_has_key(request, 2, key, code))
        return false;
    *code = stem_execution_look(request->on, *key, look);
    if (*code == STEM_OK && !look->is_there)
        stem_reply_null(request->reply);
    return *code == STEM_OK && look->is_there;
}

/* Redis's names: what Redis would hold as a number or in one piece with its head is called so;
 * all other values are "raw" bytes. */
int stem_run_object_encoding(stem_request *request)
{
    enum { EMBEDDED_MOST = 44 };
    const char *encoding = "raw";
    stem_text text = {.kind = STEM_TEXT_OTHER};
    stem_slice key;
    stem_look look;
    int code;

    if (!has_look(request, &key, &look, &code))
        return code;
    if (look.len == look.head.len)
        code = stem_text_make(look.head, &text);
    if (code != STEM_OK)
        return code;
    if (text.kind == STEM_TEXT_READ && text.type == STEM_INT)
        encoding = "int";
    else if (text.kind == STEM_TEXT_READ && text.bytes.len <= EMBEDDED_MOST)
        encoding = "embstr";
    stem_reply_text(request->reply, encoding);
    return STEM_OK;
}

int stem_run_object_refcount(stem_request *request)
{
    stem_slice key;
    stem_look look;
    int code;

    if (has_look(request, &key, &look, &code))
        stem_reply_integer(request->reply, 1);
    return code;
}

static int refuse_unrecorded(stem_request *request, const char *error)
{
    stem_slice key;
    stem_look look;
    int code;

    if (has_look(request, &key, &look, &code))
        stem_reply_error(request->reply, error);
    return code;
}

int stem_run_object_freq(stem_request *request)
{
    return refuse_unrecorded(
        request, "ERR An LFU maxmemory policy is not selected, access frequency not "
                 "tracked. Please note that when switching between policies at runtime "
                 "LRU and LFU data will take some time to adjust.");
}

int stem_run_object_idletime(stem_request *request)
{
    return refuse_unrecorded(request,
                             "ERR idle time not tracked: Stem records no access");
}

/* The options of MEMORY USAGE, which say how much of a nested value to look at: all is. */
static bool read_samples(stem_request *request)
{
    int64_t samples;

    if (request->n_args == 3)
        return true;
    if (request->n_args != 5 || !stem_word_is(request->args[3], "SAMPLES")) {
        stem_reply_error(request->reply, stem_syntax_error);
        return false;
    }
    if (!stem_text_is_int(request->args[4], &samples)) {
        stem_reply_error(request->reply, stem_no_integer);
        return false;
    }
    if (samples < 0) {
        stem_reply_error(request->reply, stem_syntax_error);
        return false;
    }
    return true;
}

int stem_run_memory_usage(stem_request *request)
{
    stem_slice key;
    stem_look look;
    int code;

    if (!read_samples(request))
        return STEM_OK;
    if (has_look(request, &key, &look, &code))
        stem_reply_integer(request->reply,
                           (int64_t)(key.len - request->scope.len + look.len));
    return code;
}
