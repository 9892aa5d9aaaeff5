/*
 * Walking what a list or a map holds. A container inside is skipped over, so each level
 * is walked by a cursor of its own and none needs a stack or memory.
 */
#include "error.h"
#include "msgpack_bytes.h"
#include "value.h"

/* Ends the walk: every further step is false. */
static int stop(stem_cursor *cursor, int code)
{
    cursor->left = 0;
    cursor->next = cursor->end;
    cursor->code = code;
    return code;
}

int stem_cursor_init(stem_cursor *cursor, const stem_value *container)
{
    stem_tokens tokens;
    stem_value head;
    const unsigned char *data;
    const char *problem;

    if (!cursor)
        return stem_fail(STEM_EINVAL, "cursor: NULL");
    /* A caller may step without having looked at the answer. */
    *cursor = (stem_cursor){0};
    if (!container)
        return stop(cursor, stem_fail(STEM_EINVAL, "cursor: the container is NULL"));
    if (container->type != STEM_LIST && container->type != STEM_MAP)
        return stop(cursor, stem_fail(STEM_ETYPE,
                                      "cursor: the value is of type %s, not list or map",
                                      stem_type_name(container->type)));
    data = container->as.packed.data;
    stem_tokens_start(&tokens, data, data + container->as.packed.len);
    problem = stem_tokens_next(&tokens, &head);
    if (!problem && head.type != STEM_LIST && head.type != STEM_MAP)
        problem = "is no list or map";
    if (problem)
        return stop(cursor, stem_fail(STEM_ECORRUPT, "cursor: at byte 0 %s", problem));
    cursor->next = tokens.next;
    cursor->end = tokens.end;
    cursor->is_map = head.type == STEM_MAP;
    cursor->left = (uint64_t)head.as.packed.count << (cursor->is_map ? 1 : 0);
    return STEM_OK;
}

/* Reads the value the cursor stands at and steps behind it. */
static int read_next(stem_cursor *cursor, stem_value *out)
{
    cursor->left--;
    return stem_value_read(cursor->next, cursor->end, false, out, &cursor->next);
}

bool stem_cursor_next(stem_cursor *cursor, stem_value *key, stem_value *value)
{
    stem_value own_key = {0};
    stem_value own_value = {0};
    int code = STEM_OK;

    if (!cursor || !value) {
        code = stem_fail(STEM_EINVAL, "cursor: %s is NULL", cursor ? "value" : "cursor");
        if (cursor)
            stop(cursor, code);
        return false;
    }
    if (cursor->left == 0) {
        if (cursor->next != cursor->end)
            stop(cursor, stem_fail(STEM_ECORRUPT, "cursor: more follows the last value"));
        return false;
    }
    if (cursor->is_map)
        code = read_next(cursor, &own_key);
    if (code == STEM_OK)
        code = read_next(cursor, &own_value);
    if (code != STEM_OK) {
        stem_value_free(&own_key);
        stop(cursor, code);
        return false;
    }
    if (cursor->is_map && key)
        *key = own_key;
    else
        stem_value_free(&own_key);
    *value = own_value;
    return true;
}
