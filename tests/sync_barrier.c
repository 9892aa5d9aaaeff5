/*
 * What sync_barrier.sh traces: unsynced writes over a switch of logs, and then one sync,
 * of the kind that the second argument names. Says which logs there are before it, and
 * where in the trace it begins and ends.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "stem.h"

static int put_until_two_logs(stem_db *db)
{
    stem_statistics stats = {0};
    char key[16], value[200] = "";
    int code = STEM_OK;

    for (int i = 0; i < 5000 && stats.log_files < 2 && code == STEM_OK; i++) {
        snprintf(key, sizeof key, "%d", i);
        code = stem_put(db, key, stem_bin(value, sizeof value));
        if (code == STEM_OK)
            code = stem_stats(db, &stats);
    }
    /* And something in the newer one. */
    return code == STEM_OK ? stem_put(db, "last", 1) : code;
}

static void print_logs(const char *directory)
{
    DIR *listing = opendir(directory);
    struct dirent *entry;

    while (listing && (entry = readdir(listing)) != NULL)
        if (strlen(entry->d_name) > 4 &&
            strcmp(entry->d_name + strlen(entry->d_name) - 4, ".log") == 0)
            printf("%s\n", entry->d_name);
    if (listing)
        closedir(listing);
    fflush(stdout);
}

/* A call that does nothing, to be found in the trace. */
static void mark(const char *name)
{
    if (access(name, F_OK) == 0)
        puts("the mark exists");
}

int main(int argc, char **argv)
{
    stem_db *db = NULL, *synced = NULL;

    if (argc != 3)
        return 2;
    int code = stem_open(&db, argv[1], STEM_OPTIONS(.write_buffer_bytes = 64 << 10));
    if (code == STEM_OK)
        code = stem_open(&synced, argv[1], STEM_OPTIONS(.sync = true));
    if (code == STEM_OK)
        code = put_until_two_logs(db);
    if (code == STEM_OK) {
        print_logs(argv[1]);
        mark("/barrier begins");
        code = strcmp(argv[2], "put") == 0 ? stem_put(synced, "key", 1) : stem_sync(db);
        mark("/barrier ends");
    }
    stem_close(synced);
    stem_close(db);
    if (code != STEM_OK)
        fprintf(stderr, "%s\n", stem_errmsg());
    return code == STEM_OK ? 0 : 1;
}
