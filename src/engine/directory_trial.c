/*
 * Links to a database's files for a trial: see directory_trial.h.
 */
#include "directory_trial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../error.h"
#include "descriptor.h"
#include "directory_names.h"

/* A temporary file's to LevelDB, which leaves it alone as it is no file. */
static const char trial_name[] = "000001.dbtmp";

static bool is_linked(enum stem_file_kind kind)
{
    return kind == CURRENT || kind == MANIFEST || kind == LOG || kind == TABLE;
}

/* What vanishes meanwhile is a table that is needed no more, or LevelDB misses it. */
static int link_files(const stem_directory *dir, const stem_directory *trial)
{
    int code = STEM_OK;
    const char *name;
    DIR *listing = stem_directory_list(dir);

    if (!listing)
        return stem_errcode();
    while (code == STEM_OK && (name = stem_directory_next(listing)) != NULL) {
        uint64_t number;

        if (is_linked(stem_file_classify(name, &number)) &&
            linkat(dir->fd, name, trial->fd, name, 0) != 0 && errno != ENOENT)
            code = stem_directory_fail(trial, "link", name);
    }
    stem_listing_close(listing);
    return code;
}

/* Removes all that LevelDB and link_files have made in it. */
static void empty(const stem_directory *trial)
{
    const char *name;
    DIR *listing = stem_directory_list(trial);

    if (!listing)
        return;
    while ((name = stem_directory_next(listing)) != NULL)
        unlinkat(trial->fd, name, 0);
    stem_listing_close(listing);
}

static int open_below(const stem_directory *dir, bool make, stem_directory *trial)
{
    const char *above = stem_directory_name(dir);
    const size_t size = strlen(above) + sizeof trial_name + 1;
    char *path = malloc(size);
    bool made;

    if (!path)
        return stem_fail(STEM_ENOMEM, "no memory for a path");
    snprintf(path, size, "%s/%s", above, trial_name);
    const int code = stem_directory_open(path, make, trial, &made);
    free(path);
    return code == STEM_EGONE
               ? stem_fail(STEM_EIO, "%s/%s was removed", dir->path, trial_name)
               : code;
}

int stem_directory_open_trial(const stem_directory *dir, stem_directory *trial)
{
    stem_directory_clear_trial(dir);
    int code = open_below(dir, true, trial);
    if (code != STEM_OK)
        return code;
    code = link_files(dir, trial);
    if (code != STEM_OK)
        stem_directory_close_trial(dir, trial);
    return code;
}

void stem_directory_close_trial(const stem_directory *dir, stem_directory *trial)
{
    empty(trial);
    stem_directory_close(trial);
    unlinkat(dir->fd, trial_name, AT_REMOVEDIR);
}

void stem_directory_clear_trial(const stem_directory *dir)
{
    stem_directory trial;
    stem_failure last;

    if (unlinkat(dir->fd, trial_name, AT_REMOVEDIR) == 0 ||
        (errno != ENOTEMPTY && errno != EEXIST))
        return;
    stem_failure_save(&last);
    if (open_below(dir, false, &trial) == STEM_OK)
        stem_directory_close_trial(dir, &trial);
    stem_failure_restore(&last);
}
