/*
 * Claiming a database's directory; see directory_claim.h.
 */
#include "directory_claim.h"

#include <unistd.h>

#include "../error.h"

bool stem_may_create(const stem_options *options)
{
    return !options->must_exist && !options->read_only;
}

int stem_directory_expect(stem_directory *dir, const stem_options *options,
                          enum stem_directory_claim claim)
{
    const int found = stem_directory_look(dir, claim);

    if (found < 0)
        return found;
    if (found == STEM_NOTFOUND)
        return stem_may_create(options) ? STEM_OK : STEM_NOTFOUND;
    return options->must_be_new ? STEM_EXISTS : STEM_OK;
}

int stem_directory_claim(stem_directory *dir, const stem_options *options,
                         enum stem_directory_claim claim, bool *is_new)
{
    *is_new = false;
    int code = stem_directory_expect(dir, options, claim);
    if (code == STEM_OK)
        code = stem_directory_lock(dir, true, claim);
    if (code != STEM_OK)
        return code;
    /* Somebody else may have made, or removed, a database before the lock was ours. */
    const int found = stem_directory_inspect(dir);
    if (found < 0)
        return found;
    if (found == STEM_OK && options->must_be_new)
        return STEM_EXISTS;
    if (found == STEM_NOTFOUND && !stem_may_create(options))
        return STEM_NOTFOUND;
    stem_directory_sign(dir);
    *is_new = found == STEM_NOTFOUND;
    if (!*is_new)
        return STEM_OK;
    code = stem_directory_is_being_removed(dir) ? stem_directory_finish_removal(dir)
                                                : STEM_OK;
    return code == STEM_OK ? stem_directory_mark(dir) : code;
}

void stem_directory_unclaim(stem_directory *dir, bool made, bool is_new)
{
    if (is_new && dir->lock_fd >= 0)
        stem_directory_clear(dir);
    if (made)
        rmdir(dir->path);
    stem_directory_close(dir);
}
