/*
 * `stem get`: prints one value.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

/* Options; above what getopt uses itself. */
enum form { PLAIN = 256, JSON, RAW };
enum { PRETTY = RAW + 1 };

static const char help[] =
    "Prints the value under PATH: a string as it is, everything else as JSON, and a\n"
    "line end. On a terminal control characters are shown as \\xHH, unless with\n"
    "--raw.\n"
    "\n"
    "  --json     strings as JSON too, in quotes\n"
    "  --pretty   JSON over several lines\n"
    "  --raw      the bytes of a string, of bytes, an array or an ext; no line end\n"
    "\n"
    "Examples:\n"
    "  stem get ./app.db users/42/name\n"
    "  stem get ./app.db users/42/tags --json | jq length\n"
    "  stem get ./app.db users/42/photo --raw > photo.jpg\n";

static const struct option options[] = {
    {"json", no_argument, NULL, JSON},
    {"raw", no_argument, NULL, RAW},
    {"pretty", no_argument, NULL, PRETTY},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* Prints a text and a line end; to a terminal nothing that it would obey. */
static void print_text(const char *text, size_t len)
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

static int print_json(const stem_value *value, bool is_pretty)
{
    char *json = stem_json_format(value, is_pretty ? STEM_JSON_PRETTY : 0);

    if (!json)
        return complain_code(stem_errcode());
    print_text(json, strlen(json));
    stem_free(json);
    return DONE;
}

static int print_raw(const stem_value *value)
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
        complain("get: the value is %s %s, which has no raw bytes; use --json",
                 strchr("aeiou", stem_type_name(value->type)[0]) ? "an" : "a",
                 stem_type_name(value->type));
        return FAILED;
    }
    payload_size(value, &bytes);
    fwrite(data, 1, (size_t)bytes, stdout);
    return DONE;
}

static int print(const stem_value *value, enum form form, bool is_pretty)
{
    if (form == RAW)
        return print_raw(value);
    if (form == JSON || value->type != STEM_STR)
        return print_json(value, is_pretty);
    print_text(value->as.str.data, value->as.str.len);
    return DONE;
}

static int run(const command *which, int argc, char **argv)
{
    enum form form = PLAIN;
    bool is_pretty = false;
    stem_value value = {0};
    arguments args;
    place where;
    int option;
    int status;

    arguments_start(&args, which, argc, argv);
    while ((option = arguments_next(&args)) != -1) {
        if (option == PRETTY)
            is_pretty = true;
        else if (form != PLAIN && form != (enum form)option)
            usage_error(which, "only one of --json and --raw");
        else
            form = (enum form)option;
    }
    need_key(which, args.operands[1]);
    status = open_place(which, args.operands[0], args.operands[1], READING, &where);
    if (status == DONE) {
        status = read_own_value(&where, &value);
        if (status == NOT_FOUND)
            status = complain_no_value(&where);
        else if (status == DONE)
            status = print(&value, form, is_pretty);
    }
    stem_value_free(&value);
    return close_place(&where, status);
}

const command get_command = {
    .name = "get",
    .operands = "LOCATION PATH [--json | --raw] [--pretty]",
    .summary = "print a value",
    .help = help,
    .min_operands = 2,
    .max_operands = 2,
    .letters = "",
    .options = options,
    .run = run,
};
