/*
 * A host that loads two plug-ins and gives each its own sub-database and nothing more: the
 * counter may write in its place, the report may only read in its own. No call leads from
 * a handle to its parent, so neither can reach the other or the host's own settings.
 *
 *     modules LOCATION COUNTER.so REPORT.so
 */
#include <dlfcn.h>
#include <stdio.h>

#include "plugin.h"

/* Loads the plug-in and runs it on `db`; takes the handle over and closes it. */
static int run_plugin(const char *file, stem_db *db)
{
    int (*run)(stem_db *) = NULL;
    void *plugin = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    int code = STEM_EIO;

    /* The assignment that POSIX gives for a function from dlsym: ISO C has no cast. */
    if (plugin)
        *(void **)&run = dlsym(plugin, "plugin_run");
    if (!run) {
        fprintf(stderr, "modules: %s\n", dlerror());
    } else {
        code = run(db);
        if (code != STEM_OK)
            fprintf(stderr, "modules: %s: %s\n", file, stem_errmsg());
    }
    stem_close(db);
    if (plugin)
        dlclose(plugin);
    return code;
}

static int run_all(stem_db *db, const char *counter, const char *report)
{
    stem_db *of_counter = stem_sub(db, "modules", "counter");
    stem_db *of_report = stem_sub(db, "modules", "report");
    stem_db *to_read;
    int code;

    stem_put(db, "owner", "the host");
    code = stem_put(of_report, "title", "Quarterly figures");
    to_read = stem_read_only(of_report);
    stem_close(of_report);
    if (code != STEM_OK)
        fprintf(stderr, "modules: %s\n", stem_errmsg());

    if (run_plugin(counter, of_counter) != STEM_OK)
        code = STEM_EIO;
    if (run_plugin(report, to_read) != STEM_OK)
        code = STEM_EIO;
    return code;
}

int main(int argc, char **argv)
{
    stem_db *db;
    int code;

    if (argc != 4) {
        fprintf(stderr, "usage: modules LOCATION COUNTER.so REPORT.so\n");
        return 2;
    }
    if (stem_open(&db, argv[1], NULL) != STEM_OK) {
        fprintf(stderr, "modules: %s\n", stem_errmsg());
        return 1;
    }
    code = run_all(db, argv[2], argv[3]);
    stem_close(db);
    return code == STEM_OK ? 0 : 1;
}
