/*
 * Values on standard output, in forms for which `stem get` and `stem pop` have options.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

void form_option(const command *which, form *how, int option)
{
    if (option == FORM_PRETTY)
        how->flags |= STEM_JSON_PRETTY;
    else if (option == FORM_PLAIN)
        how->flags |= STEM_JSON_PLAIN;
    else if (how->kind != FORM_BARE && how->kind != option)
        usage_error(which, "only one of --json and --raw");
    else
        how->kind = option;
}

void print_text(const char *text, size_t len)
{
    const char *end = text + len;
    const char *stop;

    if (!isatty(STDOUT_FILENO)) {
        fwrite(text, 1, len, stdout);
        putchar('\n');
        return;
    }
    do {
        char *safe;

        stop = memchr(text, '\n', (size_t)(end - text));
        safe = safe_text(text, (size_t)((stop ? stop : end) - text), 0, 0);
        puts(safe);
        free(safe);
        if (stop)
            text = stop + 1;
    } while (stop);
}

static int print_json(const stem_value *value, int flags)
{
    char *json = stem_json_format(value, flags);

    if (!json)
        return complain_code(stem_errcode());
    print_text(json, strlen(json));
    stem_free(json);
    return DONE;
}

static int print_raw(const command *which, const stem_value *value)
{
    uint64_t bytes = 0;
    const void *data;

    switch (value->type) {
    case STEM_STR:
        data = value->as.str.data;
        break;
    case STEM_BIN:
        data = value->as.bin.data;
        break;
    case STEM_ARRAY:
        data = value->as.array.data;
        break;
    case STEM_EXT:
        data = value->as.ext.data;
        break;
    default:
        complain("%s: the value is %s %s, which has no raw bytes; use --json",
                 which->name,
                 strchr("aeiou", stem_type_name(value->type)[0]) ? "an" : "a",
                 stem_type_name(value->type));
        return FAILED;
    }
    payload_size(value, &bytes);
    fwrite(data, 1, (size_t)bytes, stdout);
    return DONE;
}

int print_value(const command *which, const stem_value *value, const form *how)
{
    if (how->kind == FORM_RAW)
        return print_raw(which, value);
    if (how->kind == FORM_JSON || value->type != STEM_STR)
        return print_json(value, how->flags);
    print_text(value->as.str.data, value->as.str.len);
    return DONE;
}
