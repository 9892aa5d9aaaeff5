/*
 * `stem incr`: adds to a number, and prints the sum.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "tool.h"

/* Options; above what getopt uses itself. */
enum { INITIAL = 256, FLOAT, SYNC };

static const char help[] =
    "Adds DELTA, or 1, to the integer under PATH and prints the sum. Where there is no\n"
    "value it counts as 0; the database is made when there is none. DELTA may be\n"
    "negative, and needs no '--' before it.\n"
    "\n"
    "  --initial N   what counts where there is no value; DELTA is added to it too\n"
    "  --float       DELTA, N and the sum are floats; an integer under PATH becomes one\n"
    "  --sync        end only when the sum is on the disk, where it survives a power "
    "cut\n"
    "\n"
    "A sum that does not fit 64 bits, and a value that is no number, is an error and\n"
    "leaves the value as it was.\n"
    "\n"
    "Examples:\n"
    "  stem incr ./app.db users/42/logins\n"
    "  stem incr ./app.db stock/apples -5\n"
    "  stem incr ./app.db next/invoice --initial 1000\n"
    "  stem incr ./app.db balance 0.25 --float\n";

static const struct option options[] = {
    {"initial", required_argument, NULL, INITIAL},
    {"float", no_argument, NULL, FLOAT},
    {"sync", no_argument, NULL, SYNC},
    {0},
};

static int64_t parse_integer(const command *which, const char *name, const char *text)
{
    char *end;
    long long number;

    errno = 0;
    number = strtoll(text, &end, 10);
    if (isspace((unsigned char)text[0]) || end == text)
        usage_error(which, "%s '%s' is no integer", name, text);
    if (*end)
        usage_error(which, "%s '%s' is no integer (--float adds floats)", name, text);
    if (errno == ERANGE)
        usage_error(which, "%s %s does not fit 64 bits", name, text);
    return number;
}

static double parse_float(const command *which, const char *name, const char *text)
{
    char *end;
    double number = strtod(text, &end);

    if (isspace((unsigned char)text[0]) || end == text || *end)
        usage_error(which, "%s '%s' is no number", name, text);
    if (!isfinite(number))
        usage_error(which, "%s '%s' is not finite", name, text);
    return number;
}

/* The failure in words, with what helps when a float is there. */
static int complain_sum(const place *where, int code)
{
    char *text = format_text("%s", stem_errmsg());
    int type;
    bool is_float = code == STEM_ETYPE &&
                    stem_type(where->parent, place_key(where), &type) == STEM_OK &&
                    type == STEM_FLOAT;

    complain("%s%s", text, is_float ? " (--float adds to floats)" : "");
    free(text);
    return FAILED;
}

static int add_integer(const place *where, int64_t delta, int64_t initial)
{
    int64_t now;
    int code = stem_incr(where->parent, place_key(where), delta, initial, &now);

    if (code != STEM_OK)
        return complain_sum(where, code);
    printf("%" PRId64 "\n", now);
    return DONE;
}

static int add_float(const command *which, const place *where, double delta,
                     double initial)
{
    const form json = {.kind = FORM_JSON};
    stem_value value;
    double now;
    int code = stem_incr_float(where->parent, place_key(where), delta, initial, &now);

    if (code != STEM_OK)
        return complain_code(code);
    value = stem_float(now);
    return print_value(which, &value, &json);
}

static int run(const command *which, int argc, char **argv)
{
    enum place_mode mode = CREATING;
    const char *initial = "0";
    const char *delta;
    bool is_float = false;
    int64_t integers[2];
    double floats[2];
    arguments args;
    place where;
    int option;
    int status;

    arguments_start(&args, which, argc, argv);
    while ((option = arguments_next(&args)) != -1) {
        if (option == FLOAT)
            is_float = true;
        else if (option == SYNC)
            mode = CREATING_SYNCED;
        else
            initial = optarg;
    }
    need_key(which, args.operands[1]);
    delta = args.operands[2] ? args.operands[2] : "1";
    if (is_float) {
        floats[0] = parse_float(which, "DELTA", delta);
        floats[1] = parse_float(which, "--initial", initial);
    } else {
        integers[0] = parse_integer(which, "DELTA", delta);
        integers[1] = parse_integer(which, "--initial", initial);
    }
    status = open_place(which, args.operands[0], args.operands[1], mode, &where);
    if (status == DONE)
        status = is_float ? add_float(which, &where, floats[0], floats[1])
                          : add_integer(&where, integers[0], integers[1]);
    return close_place(&where, status);
}

const command incr_command = {
    .name = "incr",
    .operands = "LOCATION PATH [DELTA] [--initial N] [--float] [--sync]",
    .summary = "add to a number and print the sum",
    .help = help,
    .min_operands = 2,
    .max_operands = 3,
    .letters = "",
    .options = options,
    .run = run,
};
