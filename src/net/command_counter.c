/*
 * The commands that count. INCR and its kin agree with stem_incr; INCRBYFLOAT adds in decimal
 * what GET would answer, as far as a long double goes, so that ten times 0.1 is 1.
 */
#include <math.h>

#include "../error.h"
#include "../value.h"
#include "command_rows.h"
#include "command_value.h"

/* The most bytes of an integer's or a float's encoding. */
enum { NUMBER_ENCODED_MOST = 9 };

/* Stores a number, and replies when the commit would be too large; `*is_put` tells. */
static int put_number(stem_request *request, stem_slice key, stem_value value,
                      bool *is_put)
{
    size_t bytes = stem_execution_own_bytes(request->on);

    *is_put = stem_request_admits(request, key, NUMBER_ENCODED_MOST, &bytes);
    return *is_put ? stem_request_put(request, key, &value) : STEM_OK;
}

/* ---- Integers --------------------------------------------------------------------- */

/* What a key holds, of a value that is too long to be a number the type alone; 0 for nothing. */
static int read_before(const stem_look *look, stem_value *before)
{
    bool needs_copy;

    *before = stem_int(0);
    if (!look->is_there)
        return STEM_OK;
    if (look->len == look->head.len)
        return stem_value_decode(look->head.data, look->len, before, &needs_copy);
    return stem_value_peek_type(look->head.data, look->head.len, &before->type);
}

/* Adds to what the key holds; NULL and `*sum` as they were, or the error to reply. */
static int add(const stem_look *look, int64_t delta, int64_t *sum, const char **error)
{
    stem_value before;
    bool overflows;

    const int code = read_before(look, &before);
    if (code != STEM_OK)
        return code;
    switch (before.type) {
    case STEM_INT:
        overflows = __builtin_add_overflow(before.as.integer, delta, sum);
        break;
    case STEM_UINT:
        overflows = __builtin_add_overflow(before.as.unsigned_, delta, sum);
        break;
    case STEM_STR:
    case STEM_BIN:
    case STEM_FLOAT:
    case STEM_BOOL:
        *error = stem_no_integer;
        return STEM_OK;
    default:
        *error = stem_wrong_type;
        return STEM_OK;
    }
    *error = overflows ? "ERR increment or decrement would overflow" : NULL;
    return STEM_OK;
}

static int add_to_key(stem_request *request, int64_t delta)
{
    stem_slice key;
    stem_look look;
    const char *error;
    bool is_put = false;
    int64_t sum;
    int code;

    if (!stem_request_has_key(request, 1, &key, &code))
        return code;
    code = stem_execution_look(request->on, key, &look);
    if (code == STEM_OK)
        code = add(&look, delta, &sum, &error);
    if (code != STEM_OK)
        return code;
    if (error) {
        stem_reply_error(request->reply, error);
        return STEM_OK;
    }
    code = put_number(request, key, stem_int(sum), &is_put);
    if (code == STEM_OK && is_put)
        stem_reply_integer(request->reply, sum);
    return code;
}

int stem_run_incr(stem_request *request)
{
    return add_to_key(request, 1);
}

int stem_run_decr(stem_request *request)
{
    return add_to_key(request, -1);
}

int stem_run_incrby(stem_request *request)
{
    int64_t delta;

    if (!stem_text_is_int(request->args[2], &delta)) {
        stem_reply_error(request->reply, stem_no_integer);
        return STEM_OK;
    }
    return add_to_key(request, delta);
}

int stem_run_decrby(stem_request *request)
{
    int64_t delta;

    if (!stem_text_is_int(request->args[2], &delta)) {
        stem_reply_error(request->reply, stem_no_integer);
        return STEM_OK;
    }
    if (delta == INT64_MIN) {
        stem_reply_error(request->reply, "ERR decrement would overflow");
        return STEM_OK;
    }
    return add_to_key(request, -delta);
}

/* ---- Floats ----------------------------------------------------------------------- */

/* 2^63, the first above every int64_t. */
static const long double int_end = 9223372036854775808.0L;

static bool is_integer(long double x)
{
    return x >= -int_end && x < int_end && (long double)(int64_t)x == x;
}

/* The value that a sum is stored as. */
static stem_value value_of_sum(long double sum)
{
    const double rounded = (double)sum;

    if (is_integer(sum))
        return stem_int((int64_t)sum);
    return is_integer(rounded) ? stem_int((int64_t)rounded) : stem_float(rounded);
}

/* The sum, or the error to reply. */
static const char *add_real(const stem_text *before, stem_slice word, long double *sum)
{
    long double held = 0;
    long double delta;

    if (before->kind == STEM_TEXT_OTHER)
        return stem_wrong_type;
    if ((before->kind == STEM_TEXT_READ &&
         (before->type == STEM_BOOL || !stem_text_is_real(before->bytes, &held))) ||
        !stem_text_is_real(word, &delta))
        return "ERR value is not a valid float";
    *sum = held + delta;
    return isfinite((double)*sum) ? NULL : "ERR increment would produce NaN or Infinity";
}

/* Replies with what GET would now. */
static int reply_number(stem_request *request, stem_slice key)
{
    stem_text now;

    int code = stem_text_of_key(request, key, &now);
    if (code == STEM_OK)
        stem_reply_value(request->reply, &now);
    return code;
}

int stem_run_incrbyfloat(stem_request *request)
{
    stem_slice key;
    stem_text before;
    long double sum;
    bool is_put;
    int code;

    if (!stem_request_has_text(request, &key, &before, &code))
        return code;
    const char *error = add_real(&before, request->args[2], &sum);
    if (error) {
        stem_reply_error(request->reply, error);
        return STEM_OK;
    }
    code = put_number(request, key, value_of_sum(sum), &is_put);
    if (code == STEM_OK && is_put)
        code = reply_number(request, key);
    return code;
}
