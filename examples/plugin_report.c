/*
 * A plug-in with a read-only handle: it reads what the host prepared, and shows what an
 * attempt to write answers.
 */
#include <stdio.h>

#include "plugin.h"

int plugin_run(stem_db *db)
{
    char *title;
    int code = stem_get_str(db, "title", &title, NULL);

    if (code != STEM_OK)
        return code;
    printf("report: my title is \"%s\"\n", title);
    stem_free(title);

    code = stem_put(db, "title", "Mine now");
    printf("report: my write answers %s: %s\n", stem_strerror(code), stem_errmsg());
    return code == STEM_EREADONLY ? STEM_OK : STEM_EINVAL;
}
