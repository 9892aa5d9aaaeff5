/*
 * Random operations on keys, one or several at once: reads, writes and the atomic ones,
 * each with the answer and the effect that the model says it must have.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "operations.h"

/* More than any type that is added up holds. */
__extension__ typedef __int128 wide;

/* ---- One key ---------------------------------------------------------------------- */

static void put(void)
{
    site *at = any_site();
    const char *key = any_name();
    model_value value = any_value();
    int code = stem_put_value(at->db, key, model_value_stored(value));

    check_code(at, key, "the answer", code, if_writable(at, STEM_OK));
    if (code == STEM_OK)
        set_held(at, key, value);
}

static void del(void)
{
    site *at = any_site();
    const char *key = any_name();
    int code = stem_del(at->db, key);

    check_code(at, key, "the answer", code, if_writable(at, STEM_OK));
    if (code == STEM_OK)
        drop_held(at, key);
}

static void get(void)
{
    site *at = any_site();
    const char *key = any_name();
    holding before = held(at, key);
    stem_value found = stem_nil();

    check_code(at, key, "the answer", stem_get(at->db, key, &found),
               before.is_there ? STEM_OK : STEM_NOTFOUND);
    check_value(at, key, "the value", &found, before.value);
    stem_value_free(&found);
}

static void has(void)
{
    site *at = any_site();
    const char *key = any_name();

    check_code(at, key, "the answer", stem_has(at->db, key),
               held(at, key).is_there ? STEM_OK : STEM_NOTFOUND);
}

static void insert(void)
{
    site *at = any_site();
    const char *key = any_name();
    model_value value = any_value();
    int expected = held(at, key).is_there ? STEM_EXISTS : STEM_OK;
    int code = stem_insert_value(at->db, key, model_value_stored(value));

    check_code(at, key, "the answer", code, if_writable(at, expected));
    if (code == STEM_OK)
        set_held(at, key, value);
}

static void replace(void)
{
    site *at = any_site();
    const char *key = any_name();
    model_value value = any_value();
    int expected = held(at, key).is_there ? STEM_OK : STEM_NOTFOUND;
    int code = stem_replace_value(at->db, key, model_value_stored(value));

    check_code(at, key, "the answer", code, if_writable(at, expected));
    if (code == STEM_OK)
        set_held(at, key, value);
}

static void get_or_put(void)
{
    site *at = any_site();
    const char *key = any_name();
    model_value value = any_value();
    holding before = held(at, key);
    stem_value now = stem_nil();
    int code = stem_get_or_put_value(at->db, key, model_value_stored(value), &now);

    check_code(at, key, "the answer", code, if_writable(at, STEM_OK));
    if (code != STEM_OK)
        return;
    if (!before.is_there)
        set_held(at, key, value);
    check_value(at, key, "what it then holds", &now,
                before.is_there ? before.value : value);
    stem_value_free(&now);
}

static bool same(model_value a, model_value b)
{
    return a.type == b.type && a.bits == b.bits;
}

static void cas(void)
{
    site *at = any_site();
    const char *key = any_name();
    holding before = held(at, key);
    model_value desired = any_value();
    model_value compared = before.is_there && below(3) != 0 ? before.value : any_value();
    int expected =
        before.is_there && same(compared, before.value) ? STEM_OK : STEM_CONFLICT;
    int code = stem_cas_value(at->db, key, model_value_stored(compared),
                              model_value_stored(desired));

    check_code(at, key, "the answer", code, if_writable(at, expected));
    if (code == STEM_OK)
        set_held(at, key, desired);
}

/* Whether it is an integer, and which. */
static bool is_integer(model_value value, wide *integer)
{
    *integer = value.type == STEM_UINT ? (wide)(uint64_t)value.bits : (wide)value.bits;
    return value.type == STEM_INT || value.type == STEM_UINT;
}

static void incr(void)
{
    static const int64_t numbers[] = {1,         -1,        0,         2,  -3,
                                      INT64_MAX, INT64_MIN, INT64_MIN, 10, 1};
    site *at = any_site();
    const char *key = any_name();
    holding before = held(at, key);
    int64_t delta = numbers[below(10)], initial = numbers[below(10)], now = 77;
    int expected = STEM_OK;
    wide sum = initial;

    if (before.is_there && !is_integer(before.value, &sum))
        expected = STEM_ETYPE;
    sum += delta;
    if (expected == STEM_OK && (sum > INT64_MAX || sum < INT64_MIN))
        expected = STEM_ERANGE;
    int code = stem_incr(at->db, key, delta, initial, &now);
    check_code(at, key, "the answer", code, if_writable(at, expected));
    check_number(at, key, "the sum", now, code == STEM_OK ? (int64_t)sum : 77);
    if (code == STEM_OK)
        set_held(at, key, (model_value){STEM_INT, now});
}

/* The code for a value that is to be added to as a float, and what it is as one. */
static int to_float(model_value value, double *real)
{
    wide integer;

    if (value.type == STEM_FLOAT) {
        memcpy(real, &value.bits, sizeof *real);
        return STEM_OK;
    }
    if (!is_integer(value, &integer))
        return STEM_ETYPE;
    *real = (double)integer;
    return (wide)*real == integer ? STEM_OK : STEM_ERANGE;
}

static void incr_float(void)
{
    static const double numbers[] = {0.5, -1, 0, -0.0, 1e300, DBL_MAX, INFINITY, 2};
    site *at = any_site();
    const char *key = any_name();
    holding before = held(at, key);
    double delta = numbers[below(8)], initial = numbers[below(8)];
    double sum = initial, now = 77;
    int expected = before.is_there ? to_float(before.value, &sum) : STEM_OK;

    sum += delta;
    if (expected == STEM_OK && !isfinite(sum))
        expected = STEM_ERANGE;
    int code = stem_incr_float(at->db, key, delta, initial, &now);
    check_code(at, key, "the answer", code, if_writable(at, expected));
    model_value stored = {STEM_FLOAT, 0};
    memcpy(&stored.bits, code == STEM_OK ? &sum : &(double){77}, sizeof stored.bits);
    const stem_value found = stem_float(now);
    check_value(at, key, "the sum", &found, stored);
    if (code == STEM_OK)
        set_held(at, key, stored);
}

static void pop(void)
{
    site *at = any_site();
    const char *key = any_name();
    holding before = held(at, key);
    stem_value found = stem_nil();
    int code = stem_pop(at->db, key, &found);

    check_code(at, key, "the answer", code,
               if_writable(at, before.is_there ? STEM_OK : STEM_NOTFOUND));
    check_value(at, key, "what was popped", &found,
                code == STEM_OK ? before.value : (model_value){STEM_NIL, 0});
    stem_value_free(&found);
    if (code == STEM_OK)
        drop_held(at, key);
}

struct decision {
    const site *at;
    const char *key;
    holding before;
    int action;
    model_value next;
};

static int decide(void *context, const stem_value *current, stem_value *next)
{
    const struct decision *decision = context;
    const stem_value nothing = stem_nil();

    check_number(decision->at, decision->key, "whether there is a current value",
                 current != NULL, decision->before.is_there);
    check_value(decision->at, decision->key, "the current value",
                current ? current : &nothing, decision->before.value);
    check_code(decision->at, decision->key, "a read within",
               stem_has(decision->at->db, decision->key),
               decision->before.is_there ? STEM_OK : STEM_NOTFOUND);
    *next = model_value_stored(decision->next);
    return decision->action;
}

static void update(void)
{
    static const int actions[] = {STEM_UPDATE_KEEP,   STEM_UPDATE_PUT, STEM_UPDATE_PUT,
                                  STEM_UPDATE_DELETE, STEM_ERANGE,     7};
    struct decision decision = {any_site(), any_name(), {0}, 0, any_value()};
    const site *at = decision.at;
    int expected;

    decision.before = held(at, decision.key);
    decision.action = actions[below(6)];
    expected = decision.action < 0    ? decision.action
               : decision.action == 7 ? STEM_EINVAL
                                      : STEM_OK;
    int code = stem_update(at->db, decision.key, decide, &decision);
    check_code(at, decision.key, "the answer", code, if_writable(at, expected));
    if (code == STEM_OK && decision.action == STEM_UPDATE_PUT)
        set_held(at, decision.key, decision.next);
    else if (code == STEM_OK && decision.action == STEM_UPDATE_DELETE)
        drop_held(at, decision.key);
}

/* ---- Several keys ----------------------------------------------------------------- */

enum { MANY = 6 };

/* Names, of which some may be the same. */
static size_t any_names(const char *names[MANY])
{
    size_t n = 1 + below(MANY);

    for (size_t i = 0; i < n; i++)
        names[i] = any_name();
    return n;
}

static void get_many(void)
{
    site *at = any_site();
    const char *keys[MANY];
    size_t n = any_names(keys);
    stem_value found[MANY];
    int codes[MANY];

    check_code(at, keys[0], "the answer", stem_get_many(at->db, keys, n, found, codes),
               STEM_OK);
    for (size_t i = 0; i < n; i++) {
        holding before = held(at, keys[i]);

        check_code(at, keys[i], "the code", codes[i],
                   before.is_there ? STEM_OK : STEM_NOTFOUND);
        check_value(at, keys[i], "the value", &found[i], before.value);
        stem_value_free(&found[i]);
    }
}

static void has_many(void)
{
    site *at = any_site();
    const char *keys[MANY];
    size_t n = any_names(keys);
    bool found[MANY];

    check_code(at, keys[0], "the answer", stem_has_many(at->db, keys, n, found), STEM_OK);
    for (size_t i = 0; i < n; i++)
        check_number(at, keys[i], "whether it is there", found[i],
                     held(at, keys[i]).is_there);
}

static void put_many(void)
{
    site *at = any_site();
    const char *keys[MANY];
    size_t n = any_names(keys);
    model_value values[MANY];
    stem_value stored[MANY];

    for (size_t i = 0; i < n; i++) {
        values[i] = any_value();
        stored[i] = model_value_stored(values[i]);
    }
    int code = stem_put_many(at->db, keys, stored, n);
    check_code(at, keys[0], "the answer", code, if_writable(at, STEM_OK));
    for (size_t i = 0; i < n && code == STEM_OK; i++)
        set_held(at, keys[i], values[i]);
}

static void del_many(void)
{
    site *at = any_site();
    const char *keys[MANY];
    size_t n = any_names(keys);
    int code = stem_del_many(at->db, keys, n);

    check_code(at, keys[0], "the answer", code, if_writable(at, STEM_OK));
    for (size_t i = 0; i < n && code == STEM_OK; i++)
        drop_held(at, keys[i]);
}

/* ---- All of them ------------------------------------------------------------------ */

const named_operation key_operations[] = {
    {"put", put, 300},
    {"del", del, 60},
    {"get", get, 60},
    {"has", has, 30},
    {"insert", insert, 40},
    {"replace", replace, 40},
    {"get_or_put", get_or_put, 40},
    {"cas", cas, 50},
    {"incr", incr, 60},
    {"incr_float", incr_float, 60},
    {"pop", pop, 30},
    {"update", update, 50},
    {"get_many", get_many, 20},
    {"has_many", has_many, 20},
    {"put_many", put_many, 30},
    {"del_many", del_many, 20},
};
const size_t n_key_operations = sizeof key_operations / sizeof *key_operations;
