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

static const char help[] = "Prints the value under PATH: a string as it is, everything "
                           "else as JSON, and a line end.\n"
                           "On a terminal the control characters of a string are shown "
                           "as \\xHH; all else that is\n"
                           "printed, also there, is what was stored.\n"
                           "\n"
                           "  --json     strings as JSON too, in quotes\n"
                           "  --pretty   JSON over several lines\n"
                           "  --raw      the bytes of a string, bytes, an array's data "
                           "or an ext, and no line end\n"
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

static void print_string(const stem_string *str)
{
    const char *start = str->data;
    const char *end = start + str->len;

    if (!isatty(STDOUT_FILENO)) {
        fwrite(start, 1, str->len, stdout);
        putchar('\n');
        return;
    }
    for (;;) {
        const char *stop = memchr(start, '\n', (size_t)(end - start));
        char *safe = safe_text(start, (size_t)((stop ? stop : end) - start), 0, 0);

        puts(safe);
        free(safe);
        if (!stop)
            return;
        start = stop + 1;
    }
}

static int print_json(const stem_value *value, bool is_pretty)
{
    char *json = stem_json_format(value, is_pretty ? STEM_JSON_PRETTY : 0);

    if (!json)
        return complain_code(stem_errcode());
    puts(json);
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
    print_string(&value->as.str);
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
