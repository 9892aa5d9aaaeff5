/*
 * Money that several threads move between accounts, none of it made or lost: a transfer is a
 * batch that lands only if both balances still are what it read. An update keeps a journal's
 * last entry, a counter counts the transfers.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include <stem.h>

enum { ACCOUNTS = 4, THREADS = 3, TRANSFERS = 200, FIRST_BALANCE = 100000 };

static const char *const names[ACCOUNTS] = {"ada", "grace", "edsger", "barbara"};

/* Moves the amount if it is there; starts again when somebody was faster. */
static int transfer(stem_db *accounts, const char *from, const char *to, int64_t amount)
{
    stem_batch *batch = stem_batch_new(accounts);
    int code = batch ? STEM_CONFLICT : stem_errcode();

    while (code == STEM_CONFLICT) {
        int64_t had = stem_get_int_or(accounts, from, 0);
        int64_t has = stem_get_int_or(accounts, to, 0);

        if (had < amount) {
            code = STEM_NOTFOUND;
            break;
        }
        stem_batch_reset(batch);
        stem_batch_expect(batch, accounts, from, had);
        stem_batch_expect(batch, accounts, to, has);
        stem_batch_put(batch, accounts, from, had - amount);
        stem_batch_put(batch, accounts, to, has + amount);
        code = stem_batch_commit(batch, false);
    }
    stem_batch_free(batch);
    return code;
}

/* Keeps the greatest amount so far; stem_update calls it again on a conflict. */
static int keep_greatest(void *context, const stem_value *current, stem_value *next)
{
    const int64_t *amount = context;

    if (current && current->type == STEM_INT && current->as.integer >= *amount)
        return STEM_UPDATE_KEEP;
    *next = stem_int(*amount);
    return STEM_UPDATE_PUT;
}

static void *work(void *argument)
{
    stem_db *db = argument;
    stem_db *accounts = stem_sub(db, "accounts"), *journal = stem_sub(db, "journal");

    for (int i = 0; i < TRANSFERS; i++) {
        int64_t amount = 1 + i % 50;

        if (transfer(accounts, names[i % ACCOUNTS],
                     names[(i + 1 + i / ACCOUNTS % (ACCOUNTS - 1)) % ACCOUNTS],
                     amount) != STEM_OK)
            continue;
        stem_incr(journal, "transfers", 1, 0, NULL);
        stem_update(journal, "greatest", keep_greatest, &amount);
    }
    stem_close(journal);
    stem_close(accounts);
    return NULL;
}

static int64_t sum_of(stem_db *accounts)
{
    int64_t sum = 0;

    for (int i = 0; i < ACCOUNTS; i++)
        sum += stem_get_int_or(accounts, names[i], 0);
    return sum;
}

int main(void)
{
    pthread_t threads[THREADS];
    stem_db *db;
    int started = 0;

    if (stem_open(&db, "mem:", NULL) != STEM_OK) {
        fprintf(stderr, "accounts: %s\n", stem_errmsg());
        return 1;
    }
    stem_db *accounts = stem_sub(db, "accounts"), *journal = stem_sub(db, "journal");
    for (int i = 0; i < ACCOUNTS; i++)
        stem_insert(accounts, names[i], FIRST_BALANCE);
    while (started < THREADS && pthread_create(&threads[started], NULL, work, db) == 0)
        started++;
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    printf("%" PRId64 " transfers, the greatest of %" PRId64 "; %" PRId64
           " before, %" PRId64 " now\n",
           stem_get_int_or(journal, "transfers", 0),
           stem_get_int_or(journal, "greatest", 0), (int64_t)ACCOUNTS * FIRST_BALANCE,
           sum_of(accounts));
    stem_close(journal);
    stem_close(accounts);
    stem_close(db);
    return 0;
}
