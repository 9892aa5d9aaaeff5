/*
 * `stem put`: stores one value. What is JSON is taken as JSON, all else as a string; an
 * option says which when that could be wrong.
 */
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "tool.h"

/* Options; above what getopt uses itself. */
enum kind { ANY = 256, STR, JSON, BIN, PLAIN, SYNC };

static const char help[] =
    "Stores a value under PATH, replacing what was there. The database is made when\n"
    "there is none.\n"
    "\n"
    "VALUE is taken as JSON when it is JSON, otherwise as a string:\n"
    "\n"
    "  7, 7.0, true, null      an integer, a float, a bool, nil\n"
    "  Ada, \"Ada\"              the same string\n"
    "  [1, 2], {\"a\": 1}        a list, a map\n"
    "  {\"$bin\": \"AQI=\"}        bytes, in base64\n"
    "  {\"$time\": \"2026-01-31T12:00:00Z\"}\n"
    "  {\"$ext\": {\"code\": 5, \"data\": \"AQI=\"}}\n"
    "  {\"$array\": {\"type\": \"f32\", \"shape\": [3], \"data\": [1, 2, 3]}}\n"
    "\n"
    "An object is one map value here; 'stem import' makes sub-databases of objects.\n"
    "\n"
    "VALUE - reads standard input. One line end at its end is left out, unless --str\n"
    "or --bin take the bytes as they are.\n"
    "\n"
    "  --str    VALUE is a string, whatever it looks like\n"
    "  --json   VALUE is JSON, and fails when it is not\n"
    "  --bin    VALUE is bytes\n"
    "  --plain  in JSON names that begin with '$' are taken as they are, and there are\n"
    "           no forms; give it to 'get' too\n"
    "  --sync   end only when the value is on the disk, where it survives a power cut\n"
    "\n"
    "Examples:\n"
    "  stem put ./app.db users/42/name Ada\n"
    "  stem put ./app.db users/42/logins 7\n"
    "  stem put ./app.db users/42/zip --str 01234\n"
    "  stem put ./app.db users/42/photo --bin - < photo.jpg\n"
    "  stem put ./app.db users/42/note -- '-- a string that begins with dashes'\n";

static const struct option options[] = {
    {"str", no_argument, NULL, STR},   {"json", no_argument, NULL, JSON},
    {"bin", no_argument, NULL, BIN},   {"plain", no_argument, NULL, PLAIN},
    {"sync", no_argument, NULL, SYNC}, {0},
};

/* JSON can hold a string if and only if it is UTF-8. */
static bool is_utf8(const char *text, size_t len)
{
    const stem_value value = stem_strn(text, len);
    char *json = stem_json_format(&value, 0);
    /* A build without JSON cannot tell. */
    bool is_plain = !json || json[0] == '"';

    stem_free(json);
    return is_plain;
}

static int make_string(const char *text, size_t len, stem_value *value)
{
    if (!is_utf8(text, len)) {
        complain("put: VALUE is not UTF-8; --bin stores it as bytes");
        return FAILED;
    }
    *value = stem_strn(text, len);
    return DONE;
}

static int make_value(enum kind kind, int flags, const char *text, size_t len,
                      stem_value *value)
{
    if (kind == BIN) {
        *value = stem_bin(text, len);
        return DONE;
    }
    if (kind == STR)
        return make_string(text, len, value);
    if (stem_json_parse_flags(text, len, flags, value) == STEM_OK)
        return DONE;
    /* JSON that Stem does not take, a number too large or a name twice, is not silently a
     * string; nor is anything in a build that does not know JSON. */
    if (kind == ANY && stem_errcode() != STEM_ENOTSUP && !stem_json_valid(text, len))
        return make_string(text, len, value);
    complain("put: VALUE: %s%s", stem_errmsg(),
             kind == ANY ? " (--str stores it as a string)" : "");
    return FAILED;
}

/* The bytes of VALUE. `*input` is to be freed. */
static const char *read_value(const char *argument, enum kind kind, char **input,
                              size_t *len)
{
    *input = NULL;
    if (strcmp(argument, "-") != 0) {
        *len = strlen(argument);
        return argument;
    }
    *input = read_input("-", len);
    if (*input && kind != STR && kind != BIN && *len > 0 && (*input)[*len - 1] == '\n')
        --*len;
    return *input;
}

static int put(const arguments *args, enum kind kind, int flags, enum place_mode mode)
{
    stem_value value = {0};
    char *input;
    size_t len;
    const char *text = read_value(args->operands[2], kind, &input, &len);
    int status = text ? make_value(kind, flags, text, len, &value) : FAILED;
    place where;

    if (status == DONE) {
        status =
            open_place(args->command, args->operands[0], args->operands[1], mode, &where);
        if (status == DONE) {
            int code = stem_put_value(where.parent, place_key(&where), value);

            if (code != STEM_OK)
                status = complain_code(code);
        }
        status = close_place(&where, status);
    }
    stem_value_free(&value);
    free(input);
    return status;
}

static int run(const command *which, int argc, char **argv)
{
    enum place_mode mode = CREATING;
    enum kind kind = ANY;
    arguments args;
    int flags = 0;
    int option;

    arguments_start(&args, which, argc, argv);
    while ((option = arguments_next(&args)) != -1) {
        if (option == SYNC) {
            mode = CREATING_SYNCED;
            continue;
        }
        if (option == PLAIN) {
            flags = STEM_JSON_PLAIN;
            continue;
        }
        if (kind != ANY && kind != (enum kind)option)
            usage_error(which, "only one of --str, --json and --bin");
        kind = (enum kind)option;
    }
    if (flags && kind != ANY && kind != JSON)
        usage_error(which, "--plain is about JSON, which --str and --bin are not");
    need_key(which, args.operands[1]);
    return put(&args, kind, flags, mode);
}

const command put_command = {
    .name = "put",
    .operands = "LOCATION PATH VALUE [--str | --json | --bin] [--plain]\n"
                "                [--sync]",
    .summary = "store a value",
    .help = help,
    .min_operands = 3,
    .max_operands = 3,
    .letters = "",
    .options = options,
    .run = run,
};
