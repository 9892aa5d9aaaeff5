/*
 * `stem`: a database from the shell. Finds the subcommand, and prints the help.
 */
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static const command *const commands[] = {
    &put_command,  &get_command,   &incr_command,   &pop_command,
    &cp_command,   &mv_command,    &rm_command,     &ls_command,
    &tree_command, &count_command, &import_command, &export_command,
    &stat_command, &batch_command, &serve_command,  &passwd_command,
    NULL,
};

static const char about[] =
    "\n"
    "LOCATION is the directory of a database, such as ./app.db. PATH leads to a value\n"
    "or a sub-database in it, with '/' between the names: users/42/name. Within a\n"
    "name '/' is written '\\/', a backslash '\\\\', any other byte can be '\\xHH'.\n"
    "\n"
    "Options may stand anywhere; '--' ends them. 'stem COMMAND --help' says more.\n"
    "\n"
    "Exit status: 0 done, 1 not found or not as expected, 2 wrong usage, 3 failed.\n"
    "\n"
    "Examples:\n"
    "  stem put ./app.db users/42/name Ada\n"
    "  stem put ./app.db users/42/tags '[\"admin\", \"ops\"]'\n"
    "  stem get ./app.db users/42/name\n"
    "  stem import ./app.db countries.json countries\n"
    "  stem tree ./app.db --depth 2\n";

static void print_overview(FILE *out)
{
    fputs("usage: stem COMMAND LOCATION [PATH] ...\n"
          "       stem --help | --version | help COMMAND\n"
          "\n"
          "Stores typed values under paths, in a LevelDB database.\n"
          "\n",
          out);
    for (size_t i = 0; commands[i]; i++)
        fprintf(out, "  %-8s%s\n", commands[i]->name, commands[i]->summary);
}

void print_help(const command *which)
{
    printf("usage: stem %s %s\n\n%s", which->name, which->operands, which->help);
}

static const command *find_command(const char *name)
{
    for (size_t i = 0; commands[i]; i++) {
        const char *other_name = commands[i]->other_name;

        if (strcmp(commands[i]->name, name) == 0 ||
            (other_name && strcmp(other_name, name) == 0))
            return commands[i];
    }
    usage_error(NULL, "'%s' is no command", name);
}

static int help(int argc, char **argv)
{
    if (argc > 2)
        usage_error(NULL, "help takes one command");
    if (argc == 2) {
        print_help(find_command(argv[1]));
    } else {
        print_overview(stdout);
        fputs(about, stdout);
    }
    return output_status(DONE);
}

int main(int argc, char **argv)
{
    const command *which;

    /* A reader that has gone ends the process only when all is put back and closed. */
    signal(SIGPIPE, SIG_IGN);
    setlocale(LC_CTYPE, "");
    if (argc < 2) {
        fputs("stem: no command\n", stderr);
        print_overview(stderr);
        return USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("stem %s\n", stem_version());
        return output_status(DONE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(1, argv + 1);
    if (strcmp(argv[1], "help") == 0)
        return help(argc - 1, argv + 1);
    if (argv[1][0] == '-')
        usage_error(NULL, "'%s' is no option of stem", argv[1]);
    which = find_command(argv[1]);
    return output_status(which->run(which, argc - 1, argv + 1));
}
