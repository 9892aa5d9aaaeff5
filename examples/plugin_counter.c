/*
 * A plug-in that counts its runs. To it the database is its own alone: it finds nothing
 * but what it put there, whatever else the host keeps.
 */
#include <inttypes.h>
#include <stdio.h>

#include "plugin.h"

int plugin_run(stem_db *db)
{
    int64_t runs = stem_get_int_or(db, "runs", 0) + 1;
    uint64_t entries;
    int code = stem_put(db, "runs", runs);

    if (code == STEM_OK)
        code = stem_count(db, NULL, &entries);
    if (code == STEM_OK)
        printf("counter: run %" PRId64 ", and I see %" PRIu64 " entry\n", runs, entries);
    return code;
}
