/*
 * What `stem cp` and `stem mv` share: a value, or a sub-database with the value of its
 * own name, from one path to another, also in another database. What can be seen to be
 * wrong is refused before the destination is opened, so that no mistake makes a database.
 */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* Options; above what getopt uses itself. */
enum { TO = 256 };

const struct option transfer_options[] = {
    {"recursive", no_argument, NULL, 'r'},
    {"to", required_argument, NULL, TO},
    {0},
};

struct transfer {
    const command *which;
    bool is_move;
    bool is_recursive;
    const char *to_location;
    const char *to_path;
    char **to_names;
    size_t n_to_names;
};

/* How messages name the place. */
static const char *name_of(const char *path)
{
    return path[0] ? path : "the database";
}

/* Whether FROM and TO, in one database, leave each other alone. */
static int check_apart(const struct transfer *t, const place *from)
{
    const char *name = t->which->name;
    const char *verb = t->is_move ? "move" : "copy";
    size_t n_from = from->n_names;
    size_t n_to = t->n_to_names;
    size_t common = 0;

    while (common < n_from && common < n_to &&
           strcmp(from->names[common], t->to_names[common]) == 0)
        common++;
    if (common == n_from && common == n_to)
        complain("%s: FROM and TO are the same place", name);
    else if (t->is_recursive && common == n_from)
        complain("%s: cannot %s %s into itself: %s lies within it", name, verb,
                 name_of(from->path), t->to_path);
    else if (t->is_recursive && common == n_to)
        complain("%s: cannot %s %s to %s, which it lies within", name, verb, from->path,
                 name_of(t->to_path));
    else
        return DONE;
    return FAILED;
}

/* Whether what is at FROM can be at TO. */
static int check_source(const struct transfer *t, const place *from, bool *has_value,
                        bool *has_below)
{
    int status = look_at_place(from, has_value, has_below);

    if (status == NOT_FOUND)
        return complain_nothing(from);
    if (status == DONE && !t->is_recursive && !*has_value)
        return complain_no_value(from, t->is_move ? "-r moves what lies below it"
                                                  : "-r copies what lies below it");
    if (status == DONE && t->is_recursive && *has_value && t->n_to_names == 0) {
        complain("%s: %s has a value of its own, and TO is the database, which cannot "
                 "have one: give TO a name",
                 t->which->name, from->path);
        return FAILED;
    }
    return status;
}

static int transfer_key(const struct transfer *t, const place *from, const place *to)
{
    const char *from_key = place_key(from);
    const char *to_key = place_key(to);
    int code = t->is_move ? stem_move(from->parent, from_key, to->parent, to_key)
                          : stem_copy(from->parent, from_key, to->parent, to_key);

    if (code == STEM_NOTFOUND)
        return complain_nothing(from);
    return code == STEM_OK ? DONE : complain_code(code);
}

static int transfer_below(const struct transfer *t, const place *from, const place *to)
{
    int code = t->is_move ? stem_move(from->inside, NULL, to->inside, NULL)
                          : stem_copy(from->inside, NULL, to->inside, NULL);

    if (code == STEM_OK)
        return DONE;
    complain("%s%s", stem_errmsg(),
             code == STEM_EINVAL ? ""
                                 : "; what has arrived stays, and the same command "
                                   "once more does the rest");
    return FAILED;
}

static int transfer_to(const struct transfer *t, const place *from, bool has_value,
                       bool has_below)
{
    place to;
    int status = open_place(t->which, t->to_location, t->to_path, CREATING, &to);

    /* What lies below goes first: only then is it certain that TO is no place within. */
    if (status == DONE && t->is_recursive && has_below)
        status = transfer_below(t, from, &to);
    if (status == DONE && has_value)
        status = transfer_key(t, from, &to);
    return close_place(&to, status);
}

int transfer(const command *which, int argc, char **argv)
{
    struct transfer t = {.which = which, .is_move = which == &mv_command};
    const char *to_location = NULL;
    bool has_value = false;
    bool has_below = false;
    arguments args;
    place from;
    int option;
    int status;

    arguments_start(&args, which, argc, argv);
    while ((option = arguments_next(&args)) != -1) {
        if (option == TO)
            to_location = optarg;
        else
            t.is_recursive = true;
    }
    if (!t.is_recursive) {
        need_key(which, args.operands[1]);
        need_key(which, args.operands[2]);
    }
    t.to_location = to_location ? to_location : args.operands[0];
    t.to_path = args.operands[2];
    t.to_names = parse_path(which, t.to_path, &t.n_to_names);
    status = open_place(which, args.operands[0], args.operands[1],
                        t.is_move ? WRITING : READING, &from);
    if (status == DONE && !to_location)
        status = check_apart(&t, &from);
    if (status == DONE)
        status = check_source(&t, &from, &has_value, &has_below);
    if (status == DONE)
        status = transfer_to(&t, &from, has_value, has_below);
    stem_free(t.to_names);
    return close_place(&from, status);
}
