/*
 * The command line of a subcommand: getopt_long's options, operands wherever they stand,
 * "--" before what begins with '-' and is no option. A negative number is never an
 * option.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

enum { OPERAND = 1 }; /* what getopt calls one that begins with '-' in its letters */

void usage_error(const command *which, const char *format, ...)
{
    char text[512];
    va_list values;

    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (which)
        complain("%s: %s\nusage: stem %s %s\nsee 'stem %s --help'", which->name, text,
                 which->name, which->operands, which->name);
    else
        complain("%s; see 'stem --help'", text);
    exit(USAGE);
}

/* Every command has --help, whatever its own options are. */
static void fill_options(struct option *to, const struct option *own)
{
    size_t n = 0;

    for (; own[n].name; n++) {
        assert(n < MAX_OPTIONS);
        to[n] = own[n];
    }
    to[n] = (struct option){"help", no_argument, NULL, 'h'};
}

void arguments_start(arguments *args, const command *which, int argc, char **argv)
{
    memset(args, 0, sizeof *args);
    args->command = which;
    args->argc = argc;
    args->argv = argv;
    args->operands = argv;
    fill_options(args->options, which->options);
    snprintf(args->letters, sizeof args->letters, "-:h%s", which->letters);
    optind = 1;
    opterr = 0;
}

static void add_operand(arguments *args, char *text)
{
    if (args->n_operands == args->command->max_operands)
        usage_error(args->command, "'%s' is one argument too many", text);
    args->operands[args->n_operands++] = text;
}

/* Names the operand that is missing: the words of the usage in order. */
static _Noreturn void complain_missing(const arguments *args)
{
    const char *word = args->command->operands;
    size_t len;

    for (int i = 0; i < args->n_operands; i++)
        word += strcspn(word, " ") + 1;
    len = strcspn(word, " ");
    if (len > 3 && strncmp(word + len - 3, "...", 3) == 0)
        len -= 3;
    usage_error(args->command, "%.*s is missing", (int)len, word);
}

/* The end of the options: what is left are operands. */
static int finish(arguments *args)
{
    while (optind < args->argc)
        add_operand(args, args->argv[optind++]);
    if (args->n_operands < args->command->min_operands)
        complain_missing(args);
    for (int i = args->n_operands; i < args->argc; i++)
        args->operands[i] = NULL;
    return -1;
}

size_t parse_number(const command *which, const char *option, const char *text,
                    size_t least, size_t most)
{
    char *end;

    const unsigned long n = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || n < least)
        usage_error(which, "%s is a number from %zu on, not '%s'", option, least, text);
    if (n > most)
        usage_error(which, "%s is at most %zu, not '%s'", option, most, text);
    return n;
}

size_t parse_count(const command *which, const char *option, const char *text)
{
    return parse_number(which, option, text, 1, SIZE_MAX);
}

static bool is_negative_number(const char *text)
{
    return text[0] == '-' && text[1] != '\0' && strchr("0123456789.", text[1]) != NULL;
}

/* The option that getopt stopped at, as it was written. */
static const char *culprit(const arguments *args, char buffer[3])
{
    /* A long one is the word before the next; a letter may stand among others. */
    const char *word = args->argv[optind - 1];

    if (optopt == 0 || strncmp(word, "--", 2) == 0)
        return word;
    snprintf(buffer, 3, "-%c", optopt);
    return buffer;
}

int arguments_next(arguments *args)
{
    char buffer[3];
    const char *hint = "";

    for (;;) {
        int option;

        if (optind < args->argc && is_negative_number(args->argv[optind])) {
            add_operand(args, args->argv[optind++]);
            continue;
        }
        option = getopt_long(args->argc, args->argv, args->letters, args->options, NULL);
        switch (option) {
        case -1:
            return finish(args);
        case OPERAND:
            add_operand(args, optarg);
            break;
        case 'h':
            print_help(args->command);
            exit(output_status(DONE));
        case ':':
            usage_error(args->command, "%s needs a value", culprit(args, buffer));
        case '?':
            if (args->command == &put_command)
                hint = " (before a VALUE that begins with '-' write '--')";
            usage_error(args->command, "'%s' is no option of it%s", culprit(args, buffer),
                        hint);
        default:
            return option;
        }
    }
}
