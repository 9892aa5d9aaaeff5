/*
 * `stem passwd`: who may connect to a server. Adds, changes and removes lines of a users
 * file; a password is read, and never an argument, which any other user could see.
 */
#include <stdlib.h>
#include <string.h>

#include "secret.h"
#include "tool.h"

enum { SCOPE = 256, RIGHTS, REMOVE, PASSWORD_FILE };

static const char help[] =
    "Gives NAME a new password in FILE, the users file of a server, and adds NAME when\n"
    "it is not there. Who is connected as NAME is let go when the server reads FILE\n"
    "again, on SIGHUP.\n"
    "\n"
    "The password is asked for twice on a terminal; otherwise it is the first line of\n"
    "standard input.\n"
    "\n"
    "  --scope PATH         NAME sees what lies below PATH and nothing else; '' is the\n"
    "                       whole database\n"
    "  --rights LIST        some of read,write,admin, or all\n"
    "  --password-file F    the password is the first line of F\n"
    "  --remove             take NAME out of FILE\n"
    "\n"
    "Without --scope and --rights they stay as they were; who is new may read, in the\n"
    "whole database.\n"
    "\n"
    "Examples:\n"
    "  stem passwd ./users ada --rights all\n"
    "  stem passwd ./users web --scope apps/web --rights read,write\n"
    "  stem passwd ./users web --password-file ./web.password\n"
    "  stem passwd ./users web --remove\n";

static const struct option options[] = {
    {"scope", required_argument, NULL, SCOPE},
    {"rights", required_argument, NULL, RIGHTS},
    {"remove", no_argument, NULL, REMOVE},
    {"password-file", required_argument, NULL, PASSWORD_FILE},
    {0},
};

typedef struct change {
    const char *file;
    const char *name;
    char *shown_name; /* safe for a terminal */
    char *scope;      /* owned; NULL when it was not given */
    unsigned rights;
    const char *password_file;
    bool is_removal;
} change;

static stem_slice name_of(const change *what)
{
    return (stem_slice){what->name, strlen(what->name)};
}

/* Whether the file is as it should be, before anybody is asked for anything, and whether
 * the user is in it. */
static int look_at_file(const change *what, bool *is_there)
{
    stem_access *access;
    const int code = stem_access_load(what->file, &access);

    *is_there = false;
    if (code == STEM_NOTFOUND && !what->is_removal)
        return DONE;
    if (code != STEM_OK)
        return complain_code(code);
    *is_there = stem_access_find(access, name_of(what)) != NULL;
    stem_access_release(access);
    return DONE;
}

/* Says what the file has for the user now. */
static int tell(const change *what, bool was_there)
{
    stem_access *access;
    const int code = stem_access_load(what->file, &access);
    const stem_user *user;

    if (code != STEM_OK)
        return complain_code(code);
    user = stem_access_find(access, name_of(what));
    if (user) {
        char *line =
            format_text("%s %s: %s, %s%s", was_there ? "changed" : "added",
                        what->shown_name, stem_rights_text(user->rights),
                        *user->scope ? "below " : "the whole database", user->scope);

        print_text(line, strlen(line));
        free(line);
    }
    stem_access_release(access);
    return DONE;
}

static int set(const change *what)
{
    bool was_there;
    secret password;
    char *prompt;
    int status = look_at_file(what, &was_there);

    if (status != DONE)
        return status;
    prompt = format_text("password for %s", what->shown_name);
    status = secret_read(what->password_file, prompt, &password) ? DONE : FAILED;
    free(prompt);
    if (status != DONE)
        return status;
    const int code = stem_access_set(what->file, what->name, password.bytes, password.len,
                                     what->scope, what->rights);
    secret_wipe(&password);
    return code == STEM_OK ? tell(what, was_there) : complain_code(code);
}

static int remove_user(const change *what)
{
    bool is_there;
    int status = look_at_file(what, &is_there);
    int code = STEM_NOTFOUND;

    if (status != DONE)
        return status;
    if (is_there)
        code = stem_access_remove(what->file, what->name);
    if (code == STEM_NOTFOUND) {
        complain("no user %s in %s", what->shown_name, what->file);
        return NOT_FOUND;
    }
    if (code != STEM_OK)
        return complain_code(code);
    printf("removed %s\n", what->shown_name);
    return DONE;
}

/* As a server reads it: without the '/' that may end a PATH; owned. */
static char *read_scope(const command *which, const char *text)
{
    size_t n;
    char **names = parse_path(which, text, &n);
    char *scope = need_memory(stem_path_format((const char *const *)names, n));

    stem_free(names);
    return scope;
}

static void read_option(const command *which, int option, change *what)
{
    switch (option) {
    case SCOPE:
        stem_free(what->scope);
        what->scope = read_scope(which, optarg);
        break;
    case RIGHTS:
        if (!stem_rights_parse(optarg, strlen(optarg), &what->rights) ||
            what->rights == 0)
            usage_error(which, "--rights are some of read,write,admin, or all, not '%s'",
                        optarg);
        break;
    case PASSWORD_FILE:
        what->password_file = optarg;
        break;
    default:
        what->is_removal = true;
        break;
    }
}

static int run(const command *which, int argc, char **argv)
{
    change what = {0};
    arguments args;
    int option;
    int status;

    arguments_start(&args, which, argc, argv);
    while ((option = arguments_next(&args)) != -1)
        read_option(which, option, &what);
    if (what.is_removal && (what.scope || what.rights != 0 || what.password_file))
        usage_error(which, "--remove goes with no other option");
    what.file = args.operands[0];
    what.name = args.operands[1];
    if (!*what.name || strlen(what.name) > STEM_USER_NAME_MAX)
        usage_error(which, "NAME has 1 to %d bytes", STEM_USER_NAME_MAX);
    what.shown_name = safe_text(what.name, strlen(what.name), 0, 0);
    status = what.is_removal ? remove_user(&what) : set(&what);
    free(what.shown_name);
    stem_free(what.scope);
    return status;
}

const command passwd_command = {
    .name = "passwd",
    .operands = "FILE NAME [--scope PATH] [--rights LIST] [--remove] [--password-file F]",
    .summary = "set the password of a server's user",
    .help = help,
    .min_operands = 2,
    .max_operands = 2,
    .letters = "",
    .options = options,
    .run = run,
};
