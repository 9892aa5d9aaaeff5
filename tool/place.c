/*
 * Where a command works: opening the database, and the handles along a path.
 */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* Whether a path ends in a '/' that is neither part of a name, as in "a\\/", nor all of it. */
static bool ends_in_slash(const char *path)
{
    const size_t len = strlen(path);
    size_t n_backslashes = 0;

    if (len < 2 || path[len - 1] != '/')
        return false;
    while (n_backslashes < len - 1 && path[len - 2 - n_backslashes] == '\\')
        n_backslashes++;
    return n_backslashes % 2 == 0;
}

/* Without the '/' that it may end in; owned. */
static char *path_of(const char *text)
{
    return need_memory(strndup(text, strlen(text) - (ends_in_slash(text) ? 1 : 0)));
}

char **names_of_path(const char *text, size_t *n)
{
    char *path = path_of(text);
    char **names = stem_path_parse(path, n);

    if (!names && stem_errcode() == STEM_ENOMEM)
        need_memory(NULL);
    free(path);
    return names;
}

char **parse_path(const command *which, const char *path, size_t *n)
{
    const char *text = path ? path : "";
    char **names = names_of_path(text, n);

    if (!names)
        usage_error(which, "'%s' is no path: %s", text, stem_errmsg());
    return names;
}

/* Beside programs that share the directory, where the location is one and this build can. */
static int open_database(stem_db **db, const char *location, stem_options *options)
{
    options->shared = true;
    const int code = stem_open(db, location, options);
    if (code != STEM_EINVAL && code != STEM_ENOTSUP)
        return code;
    options->shared = false;
    return stem_open(db, location, options);
}

static int open_root(place *where, enum place_mode mode)
{
    stem_options options = {.read_only = mode == READING,
                            .must_exist = mode < CREATING,
                            .sync = mode == CREATING_SYNCED};
    stem_db *db = NULL;

    begin_waiting(where->location);
    int code = open_database(&db, where->location, &options);
    end_waiting();

    if (code == STEM_NOTFOUND) {
        complain("no database at %s; 'stem put' and 'stem import' make one",
                 where->location);
        return NOT_FOUND;
    }
    if (code != STEM_OK)
        return complain_code(code);
    if (mode != READING) {
        where->root = db;
        return DONE;
    }
    where->root = stem_snapshot(db);
    stem_close(db);
    return where->root ? DONE : complain_code(stem_errcode());
}

/* Makes the handles along the path, once there is a root. */
static int enter(place *where)
{
    const char *const *names = (const char *const *)where->names;

    if (!where->root)
        return complain_code(stem_errcode());
    where->inside = stem_sub_path(where->root, names, where->n_names);
    if (where->inside && where->n_names > 0)
        where->parent = stem_sub_path(where->root, names, where->n_names - 1);
    if (!where->inside || (where->n_names > 0 && !where->parent))
        return complain_code(stem_errcode());
    return DONE;
}

int open_place(const command *which, const char *location, const char *path,
               enum place_mode mode, place *where)
{
    int status;

    if (strcmp(location, "mem:") == 0)
        usage_error(which,
                    "mem: is a new database, which would be gone when this command "
                    "ends: nothing is found or kept there");
    *where = (place){.location = location, .path = path_of(path ? path : "")};
    where->names = parse_path(which, path, &where->n_names);
    status = open_root(where, mode);
    return status == DONE ? enter(where) : status;
}

int open_place_beside(const command *which, const place *beside, const char *path,
                      place *where)
{
    *where = (place){.location = beside->location, .path = path_of(path)};
    where->names = parse_path(which, path, &where->n_names);
    where->root = stem_dup(beside->root);
    return enter(where);
}

int close_place(place *where, int status)
{
    free(where->path);
    stem_free(where->names);
    stem_close(where->inside);
    stem_close(where->parent);
    if (stem_close(where->root) != STEM_OK && status != FAILED)
        status = complain_code(stem_errcode());
    return status;
}

void need_key(const command *which, const char *path)
{
    if (path[0] == '\0')
        usage_error(which, "PATH is empty, and the database itself holds no value");
    if (ends_in_slash(path))
        usage_error(which,
                    "%s is a sub-database: leave out the '/' at its end for the value of "
                    "that name",
                    path);
}

void check_paths(const command *which, char **paths, const char *reason)
{
    for (size_t i = 0; paths[i]; i++) {
        size_t n;

        if (paths[i][0] == '\0')
            usage_error(which, "PATH is empty%s", reason);
        stem_free(parse_path(which, paths[i], &n));
    }
}

const char *place_key(const place *where)
{
    return where->names[where->n_names - 1];
}

int read_own_value(const place *where, stem_value *value)
{
    int code;

    if (where->n_names == 0)
        return NOT_FOUND;
    code = stem_get(where->parent, place_key(where), value);
    if (code == STEM_NOTFOUND)
        return NOT_FOUND;
    return code == STEM_OK ? DONE : complain_code(code);
}

int find_anything_below(const place *where)
{
    const stem_range first = {.keys_only = true, .limit = 1};
    stem_iter *iter = stem_iter_open(where->inside, &first);
    bool is_there = stem_iter_next(iter);
    int code = stem_iter_close(iter);

    if (code != STEM_OK)
        return complain_code(code);
    return is_there ? DONE : NOT_FOUND;
}

int look_at_place(const place *where, bool *has_value, bool *has_below)
{
    int code =
        where->n_names > 0 ? stem_has(where->parent, place_key(where)) : STEM_NOTFOUND;
    int below;

    if (code < 0)
        return complain_code(code);
    below = find_anything_below(where);
    if (below == FAILED)
        return FAILED;
    *has_value = code == STEM_OK;
    *has_below = below == DONE;
    return *has_value || *has_below ? DONE : NOT_FOUND;
}

int complain_nothing(const place *where)
{
    if (where->n_names > 0)
        complain("nothing at %s in %s", where->path, where->location);
    else
        complain("nothing in %s", where->location);
    return NOT_FOUND;
}

int complain_no_value(const place *where, const char *advice)
{
    int status = find_anything_below(where);

    if (status == NOT_FOUND)
        return complain_nothing(where);
    if (status == DONE)
        complain("%s is a sub-database without a value of its own; %s", where->path,
                 advice);
    return status == FAILED ? FAILED : NOT_FOUND;
}

int complain_nothing_below(const place *where)
{
    int code =
        where->n_names > 0 ? stem_has(where->parent, place_key(where)) : STEM_NOTFOUND;

    if (code == STEM_NOTFOUND)
        return complain_nothing(where);
    if (code != STEM_OK)
        return complain_code(code);
    complain("%s is a value, and nothing lies below it", where->path);
    return NOT_FOUND;
}
