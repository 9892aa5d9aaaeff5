/*
 * `stem rm`: removes values, or with -r whole places, about which a person is asked.
 * The whole database goes only by an option of its own: an empty PATH, most often a
 * variable that is not set, must never do that.
 */
#include <stdlib.h>
#include <unistd.h>

#include "tool.h"

/* Options; above what getopt uses itself. */
enum { ALL = 256 };

static const char help[] =
    "Removes the value under each PATH, all in one commit. What lies below a PATH that\n"
    "is a sub-database as well stays, unless with -r. 'stem del' is the same command.\n"
    "\n"
    "  -r, --recursive   each PATH's value and all that lies below it\n"
    "  --all             all that the database holds; no PATH\n"
    "  -f, --force       do not ask\n"
    "\n"
    "On a terminal -r and --all say how many entries there are and ask first. They\n"
    "remove what was there when they began; one that fails can be run again. The exit\n"
    "status is 1 when there is nothing at a PATH, after removing what is at the others,\n"
    "and 3 when the answer was no.\n"
    "\n"
    "Examples:\n"
    "  stem rm ./app.db users/42/token users/43/token\n"
    "  stem rm -r ./app.db users/42\n"
    "  stem rm --all -f ./app.db\n";

static const struct option options[] = {
    {"recursive", no_argument, NULL, 'r'},
    {"force", no_argument, NULL, 'f'},
    {"all", no_argument, NULL, ALL},
    {0},
};

/* ---- Values ----------------------------------------------------------------------- */

/* Adds the removal of one value. */
static int gather(stem_batch *batch, const place *where)
{
    int code = stem_has(where->parent, place_key(where));

    if (code == STEM_NOTFOUND)
        return complain_no_value(where, "-r removes what lies below it");
    if (code == STEM_OK)
        code = stem_batch_del(batch, where->parent, place_key(where));
    return code == STEM_OK ? DONE : complain_code(code);
}

static int remove_values(const command *which, const place *database, char **paths)
{
    stem_batch *batch = stem_batch_new(database->root);
    int status = batch ? DONE : complain_code(stem_errcode());

    for (size_t i = 0; status != FAILED && paths[i]; i++) {
        place where;
        int result = open_place_beside(which, database, paths[i], &where);

        if (result == DONE)
            result = gather(batch, &where);
        status = worse_status(status, close_place(&where, result));
    }
    if (status != FAILED) {
        int code = stem_batch_commit(batch, false);

        if (code != STEM_OK)
            status = complain_code(code);
    }
    stem_batch_free(batch);
    return status;
}

/* ---- Whole places ----------------------------------------------------------------- */

static int confirm(const place *where, bool has_value)
{
    char entries[48];
    uint64_t n;
    bool is_yes;
    int code = stem_count(where->inside, NULL, &n);

    if (code != STEM_OK)
        return complain_code(code);
    entries_text(n, entries);
    if (where->n_names == 0)
        is_yes = ask("remove everything in %s, %s?", where->location, entries);
    else if (n == 0)
        is_yes = ask("remove the value of %s?", where->path);
    else if (has_value)
        is_yes = ask("remove the value of %s and %s below it?", where->path, entries);
    else
        is_yes = ask("remove %s below %s?", entries, where->path);
    if (is_yes)
        return DONE;
    complain("rm: nothing was removed from %s",
             where->n_names > 0 ? where->path : where->location);
    return FAILED;
}

static int remove_place(const place *where, bool is_asking)
{
    bool has_value;
    bool has_below;
    int status = look_at_place(where, &has_value, &has_below);
    int code;

    if (status == NOT_FOUND)
        return complain_nothing(where);
    if (status == DONE && is_asking)
        status = confirm(where, has_value);
    if (status != DONE)
        return status;
    code = stem_clear(where->inside, NULL);
    if (code == STEM_OK && has_value)
        code = stem_del(where->parent, place_key(where));
    return code == STEM_OK ? DONE : complain_code(code);
}

static int remove_places(const command *which, const place *database, char **paths,
                         bool is_asking)
{
    int status = DONE;

    for (size_t i = 0; paths[i]; i++) {
        place where;
        int result = open_place_beside(which, database, paths[i], &where);

        if (result == DONE)
            result = remove_place(&where, is_asking);
        status = worse_status(status, close_place(&where, result));
    }
    return status;
}

/* ---- The command ------------------------------------------------------------------ */

static int run(const command *which, int argc, char **argv)
{
    bool is_recursive = false;
    bool is_forced = false;
    bool is_all = false;
    bool is_asking;
    arguments args;
    char **paths;
    place database;
    int option;
    int status;

    arguments_start(&args, which, argc, argv);
    while ((option = arguments_next(&args)) != -1) {
        is_recursive |= option == 'r';
        is_forced |= option == 'f';
        is_all |= option == ALL;
    }
    paths = args.operands + 1;
    if (is_all && paths[0])
        usage_error(which, "--all takes no PATH");
    if (!is_all && !paths[0])
        usage_error(which, "PATH is missing (--all removes all that the database holds)");
    check_paths(which, paths, " (--all removes all that the database holds)");
    for (size_t i = 0; !is_recursive && paths[i]; i++)
        need_key(which, paths[i]);
    is_asking = !is_forced && isatty(STDIN_FILENO);
    status = open_place(which, args.operands[0], "", WRITING, &database);
    if (status == DONE) {
        if (is_all)
            status = remove_place(&database, is_asking);
        else if (is_recursive)
            status = remove_places(which, &database, paths, is_asking);
        else
            status = remove_values(which, &database, paths);
    }
    return close_place(&database, status);
}

const command rm_command = {
    .name = "rm",
    .other_name = "del",
    .operands = "LOCATION (PATH... [-r] | --all) [-f]",
    .summary = "remove values, or with -r all below a path (also 'del')",
    .help = help,
    .min_operands = 1,
    .max_operands = ANY_NUMBER,
    .letters = "rf",
    .options = options,
    .run = run,
};
