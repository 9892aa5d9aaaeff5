/*
 * Recovering a database: see leveldb_recovery.h.
 *
 * Logs are read in the order of their numbers, and the sequence numbers of their records follow
 * each other across them. So a log that has lost its end, even at the end of a record, is
 * noticed where a newer one goes on.
 */
#include "leveldb_recovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "directory_names.h"
#include "leveldb_log.h"
#include "leveldb_manifest.h"

enum { LOG_NAME_ROOM = 32 };

typedef struct log_list {
    stem_manifest_logs known;
    uint64_t *numbers; /* rising, once it is sorted */
    size_t n, room;
    bool is_short_of_memory;
} log_list;

static bool note_log(void *context, int directory, const char *name)
{
    log_list *list = context;
    uint64_t number;

    (void)directory;
    stem_file_classify(name, &number);
    if (number < list->known.oldest)
        return false;
    if (list->n == list->room) {
        const size_t room = list->room ? 2 * list->room : 16;
        uint64_t *larger = realloc(list->numbers, room * sizeof *larger);

        if (!larger)
            return list->is_short_of_memory = true;
        list->numbers = larger;
        list->room = room;
    }
    list->numbers[list->n++] = number;
    return false;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

static int list_logs(const stem_directory *dir, log_list *list)
{
    stem_directory_visit_logs(dir, note_log, list);
    if (list->is_short_of_memory)
        return stem_fail(STEM_ENOMEM, "no memory to list the logs");
    if (list->n > 0)
        qsort(list->numbers, list->n, sizeof *list->numbers, compare_numbers);
    return STEM_OK;
}

static void name_log(uint64_t number, char name[LOG_NAME_ROOM])
{
    snprintf(name, LOG_NAME_ROOM, "%06llu.log", (unsigned long long)number);
}

#define WAY_OUT                                                                          \
    "opening would lose commits: restore the directory from a backup, or copy it and "   \
    "open it once with no_verify, which goes on without what is damaged"

static int fail_holed(const stem_directory *dir, const char *name,
                      const stem_log_look *look)
{
    return stem_fail(STEM_ECORRUPT,
                     "%s/%s is damaged at byte %llu, and whole records follow at byte "
                     "%llu; " WAY_OUT,
                     dir->path, name, (unsigned long long)look->damage,
                     (unsigned long long)look->behind);
}

/* The newest log that has records, or the newest with damage; before there is one the oldest. */
typedef struct log_end {
    char name[LOG_NAME_ROOM];
    stem_log_look look;
} log_end;

/* Whether the records of a newer log do not follow those of the one before; or, where that is
 * the oldest and has none, those that there were before any was written to it. */
static bool is_gap(const log_end *before, const log_list *list, const stem_log_look *look)
{
    if (look->first_sequence == 0)
        return false;
    if (before->look.state != STEM_LOG_WHOLE)
        return true;
    return before->look.first_sequence != 0
               ? before->look.next_sequence != look->first_sequence
               : list->known.oldest != 0 &&
                     look->first_sequence > list->known.named_sequence + 1;
}

static int fail_ended(const stem_directory *dir, const log_end *before, const char *name)
{
    return stem_fail(
        STEM_ECORRUPT,
        "%s/%s is damaged at byte %llu, or has lost its end there, and whole "
        "records follow in %s; " WAY_OUT,
        dir->path, before->name, (unsigned long long)before->look.damage, name);
}

static int check_log(const stem_directory *dir, const log_list *list, const char *name,
                     log_end *before)
{
    const bool is_oldest = strcmp(name, before->name) == 0;
    stem_log_look look;

    int code = stem_leveldb_look_at_log(dir, name, STEM_LOG_OF_ENTRIES,
                                        before->look.next_sequence, &look);
    if (code != STEM_OK)
        return code == STEM_NOTFOUND ? STEM_OK : code;
    if (look.state == STEM_LOG_HOLED)
        return fail_holed(dir, name, &look);
    if (!is_oldest && is_gap(before, list, &look))
        return fail_ended(dir, before, name);
    if (look.first_sequence != 0 || look.state != STEM_LOG_WHOLE) {
        before->look = look;
        snprintf(before->name, sizeof before->name, "%s", name);
    }
    return STEM_OK;
}

/* The ends of several logs may be torn where none has whole records behind. */
static int cut_torn_log(const stem_directory *dir, const char *name)
{
    stem_log_look look;

    const int code = stem_leveldb_look_at_log(dir, name, STEM_LOG_OF_ENTRIES, 0, &look);
    if (code != STEM_OK || look.state != STEM_LOG_TORN)
        return code == STEM_NOTFOUND ? STEM_OK : code;
    return stem_leveldb_cut_log(dir, name, look.whole);
}

static int check_logs(const stem_directory *dir, const log_list *list)
{
    log_end before = {
        .look = {.state = STEM_LOG_WHOLE, .next_sequence = list->known.least_sequence}};
    bool is_torn = false;
    int code = STEM_OK;
    char name[LOG_NAME_ROOM];

    name_log(list->known.oldest, before.name);
    for (size_t i = 0; i < list->n && code == STEM_OK; i++) {
        name_log(list->numbers[i], name);
        code = check_log(dir, list, name, &before);
        is_torn |= before.look.state == STEM_LOG_TORN;
    }
    for (size_t i = 0; i < list->n && code == STEM_OK && is_torn; i++) {
        name_log(list->numbers[i], name);
        code = cut_torn_log(dir, name);
    }
    return code;
}

int stem_leveldb_check_recovery(const stem_directory *dir, bool verify)
{
    log_list list = {.n = 0};

    int code = stem_leveldb_check_manifest(dir, &list.known);
    if (code != STEM_OK || !verify)
        return code;
    code = list_logs(dir, &list);
    if (code == STEM_OK)
        code = check_logs(dir, &list);
    free(list.numbers);
    return code;
}
