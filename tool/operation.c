/*
 * One operation of `stem batch`, read from its JSON object: one member that names the
 * operation and has a path, and a value where there must be one.
 */
#include "operation.h"

#include <stdlib.h>
#include <string.h>

#include "tool.h"

#define KINDS "\"put\", \"del\", \"expect\", \"expect_absent\" or \"expect_empty\""

const char *const operation_names[N_OPERATION_KINDS] = {"put", "del", "expect",
                                                        "expect_absent", "expect_empty"};

void operation_free(operation *what)
{
    free(what->path);
    stem_free(what->names);
    stem_value_free(&what->value);
}

static bool is_named(const stem_value *key, const char *name)
{
    return key->type == STEM_STR && key->as.str.len == strlen(name) &&
           memcmp(key->as.str.data, name, key->as.str.len) == 0;
}

static enum operation_kind kind_named(const stem_value *key)
{
    int kind = 0;

    while (kind < N_OPERATION_KINDS && !is_named(key, operation_names[kind]))
        kind++;
    return (enum operation_kind)kind;
}

static char *refuse_member(const stem_value *key)
{
    char *name = key->type == STEM_STR
                     ? safe_text(key->as.str.data, key->as.str.len, 40, '"')
                     : format_text("a name that is no string");
    char *fault = format_text("%s is unknown; an operation has one of " KINDS
                              ", and a \"value\" with \"put\" and \"expect\"",
                              name);

    free(name);
    return fault;
}

static char *read_path(const stem_value *value, operation *what)
{
    const char *kind = operation_names[what->kind];

    if (value->type != STEM_STR)
        return format_text("the path of \"%s\" is of type %s, not a string", kind,
                           stem_type_name(value->type));
    if (memchr(value->as.str.data, '\0', value->as.str.len))
        return format_text("the path of \"%s\" holds a NUL", kind);
    what->path = need_memory(strndup(value->as.str.data, value->as.str.len));
    /* Of what may be a sub-database, as for other commands. */
    what->names = what->kind == EXPECT_EMPTY
                      ? names_of_path(what->path, &what->n_names)
                      : stem_path_parse(what->path, &what->n_names);
    if (!what->names)
        return format_text("the path of \"%s\": %s", kind, stem_errmsg());
    if (what->n_names == 0 && what->kind != EXPECT_EMPTY)
        return format_text("the path of \"%s\" is empty, and the database itself holds "
                           "no value",
                           kind);
    return NULL;
}

/* Reads one member; `*value` is left NIL when the operation takes it over. */
static char *read_member(const stem_value *key, stem_value *value, operation *what,
                         bool *has_value)
{
    enum operation_kind kind = kind_named(key);

    if (is_named(key, "value")) {
        if (*has_value)
            return format_text("\"value\" stands twice");
        *has_value = true;
        what->value = *value;
        *value = (stem_value){0};
        return NULL;
    }
    if (kind == N_OPERATION_KINDS)
        return refuse_member(key);
    if (what->kind != N_OPERATION_KINDS)
        return format_text("\"%s\" and \"%s\" are two operations; write [{...}, {...}]",
                           operation_names[what->kind], operation_names[kind]);
    what->kind = kind;
    return read_path(value, what);
}

/* Whether what was read is complete. */
static char *check(const operation *what, bool has_value)
{
    bool needs_value = what->kind == PUT || what->kind == EXPECT;

    if (what->kind == N_OPERATION_KINDS)
        return format_text("there is no " KINDS);
    if (needs_value && !has_value)
        return format_text("\"%s\" is without a \"value\"", operation_names[what->kind]);
    if (!needs_value && has_value)
        return format_text("\"%s\" takes no \"value\"", operation_names[what->kind]);
    return NULL;
}

char *operation_read(const stem_value *object, operation *what)
{
    bool has_value = false;
    char *fault = NULL;
    stem_cursor cursor;
    stem_value key;
    stem_value value;

    *what = (operation){.kind = N_OPERATION_KINDS};
    if (object->type != STEM_MAP)
        return format_text("an operation is an object, such as {\"put\": \"a/b\", "
                           "\"value\": 1}, not of type %s",
                           stem_type_name(object->type));
    stem_cursor_init(&cursor, object);
    while (!fault && stem_cursor_next(&cursor, &key, &value)) {
        fault = read_member(&key, &value, what, &has_value);
        stem_value_free(&key);
        stem_value_free(&value);
    }
    if (!fault && cursor.code != STEM_OK)
        return format_text("%s", stem_errmsg());
    return fault ? fault : check(what, has_value);
}
